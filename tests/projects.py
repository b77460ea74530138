# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose projects as people write them, their files by name; all images are one that the tests make."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

SHOP = {
    "compose.yaml": """
name: shop
x-service: &service
  image: busybox
  restart: unless-stopped
  stop_grace_period: 2s
  pull_policy: never
  logging: {driver: json-file, options: {max-size: "${LOG_SIZE:-10m}", max-file: "3"}}
x-healthy: &healthy
  interval: 1s
  retries: 120

include:
  - path: ./data/compose.yaml

services:
  proxy:
    <<: *service
    command: httpd -f -p 80 -h /www
    ports:
      - "${PORT:?the port of the shop}:80"
    configs:
      - source: page
        target: /www/index.html
    networks: [front]
    depends_on:
      web: {condition: service_started}
    healthcheck:
      <<: *healthy
      test: [CMD, wget, -qO, /dev/null, "http://127.0.0.1/"]
  web:
    <<: *service
    extends: {service: application, file: common.yaml}
    command: ["/bin/sh", "-c", "trap 'exit 0' TERM; echo $$GREETING; while :; do sleep 0.1; done"]
    scale: 2
    networks:
      front: {aliases: [shop]}
      back:
    depends_on: [migrate, cache]
    environment:
      GREETING: "hello from ${PLACE-nowhere}"
      WORKERS: 4
      DEBUG: false
      TOKEN:
    deploy:
      resources: {limits: {memory: 64M, cpus: "0.5"}}
      update_config: {parallelism: 1, order: stop-first, failure_action: pause}
  worker:
    <<: *service
    extends: {service: application, file: common.yaml}
    command: /bin/sh -c "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    networks: [back]
    volumes: ["./uploads:/uploads:ro"]
    depends_on: {migrate: {condition: service_completed_successfully}, db: {condition: service_healthy, restart: true}}
    ulimits: {nofile: {soft: 512, hard: 1024}}
    cap_drop: [ALL]
    read_only: true
    tmpfs: /tmp:size=8m,mode=1777
  migrate:
    <<: *service
    restart: "no"
    command: [sh, -c, "cat /run/secrets/db_password > /state/migrated"]
    secrets: [db_password]
    volumes: ["state:/state"]
    networks: [back]
    depends_on:
      db: {condition: service_healthy}
  debug:
    <<: *service
    profiles: [debug]
    command: sleep 1000
    tty: true

networks:
  front:
  back: {internal: true}
volumes:
  state:
configs:
  page: {file: ./page.html}
""",
    "common.yaml": """
services:
  application:
    env_file: [app.env, {path: local.env, required: false}]
    labels: {org.example.team: shop}
    user: "1000:1000"
    init: true
""",
    "data/compose.yaml": """
services:
  db:
    image: busybox
    pull_policy: never
    restart: unless-stopped
    stop_grace_period: 2s
    command: ["sh", "-c", "trap 'exit 0' TERM; echo $$DB_NAME > /var/lib/db/name; while :; do sleep 0.1; done"]
    env_file: db.env
    volumes: ["dbdata:/var/lib/db"]
    secrets: [{source: db_password, target: password, mode: 0400}]
    networks: {back: {aliases: [database]}}
    healthcheck: {test: test -s /var/lib/db/name, interval: 1s, retries: 120}
    shm_size: 16m
    post_start: [{command: sh -c "echo $$PLACE > /var/lib/db/place", user: root, environment: [PLACE]}]
  cache:
    image: busybox
    pull_policy: never
    stop_grace_period: 2s
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    networks: [back]
    mem_limit: 32m
    sysctls: [net.core.somaxconn=512]
networks: {back: {internal: true}}
volumes: {dbdata: {labels: {backup: "yes"}}}
secrets: {db_password: {environment: DB_PASSWORD}}
""",
    "data/db.env": "# the database\nexport DB_NAME='shop'\nDB_USER=\"${DB_NAME}_user\"\n",
    "app.env": "FROM_FILE=1\nGREETING=overridden\nGREETED=${PLACE} # where\n",
    "page.html": "<h1>shop</h1>\n",
    "uploads/.keep": "",
    ".env": "PLACE=Aachen\nLOG_SIZE=5m\n",
}
"""A web shop: a proxy, two of an application, a worker, a migration, a database, a cache."""

MONITORING = {
    "docker-compose.yml": """
version: "3.8"
services:
  prometheus:
    image: prom/prometheus:${PROMETHEUS_VERSION:-v3.0.0}
    container_name: prometheus
    restart: always
    user: "65534:65534"
    command:
      - --config.file=/etc/prometheus/prometheus.yml
      - --storage.tsdb.path=/prometheus
      - --storage.tsdb.retention.time=${RETENTION-15d}
    ports: ["127.0.0.1:9090:9090"]
    volumes:
      - ./prometheus:/etc/prometheus:ro
      - prometheus_data:/prometheus
    extra_hosts: ["host.docker.internal:host-gateway"]
    networks: [monitoring]
  alertmanager:
    image: prom/alertmanager
    restart: always
    ports:
      - target: 9093
        published: "9093"
        host_ip: 127.0.0.1
    volumes: ["./alertmanager:/etc/alertmanager:ro", "alerts:/alertmanager"]
    networks: [monitoring]
  node-exporter:
    image: prom/node-exporter
    restart: always
    network_mode: host
    pid: host
    cap_add: [SYS_TIME]
    command: ["--path.rootfs=/host"]
    volumes: ["/:/host:ro,rslave"]
  cadvisor:
    image: gcr.io/cadvisor/cadvisor
    restart: unless-stopped
    privileged: true
    devices: ["/dev/kmsg"]
    volumes: ["/sys:/sys:ro", "/var/run:/var/run:rw"]
    expose: ["8080"]
    networks: [monitoring]
    deploy: {resources: {limits: {cpus: "0.25", memory: 200M}}}
  grafana:
    image: grafana/grafana:latest
    restart: unless-stopped
    environment:
      - GF_SECURITY_ADMIN_USER=${ADMIN_USER:-admin}
      - GF_SECURITY_ADMIN_PASSWORD=${ADMIN_PASSWORD:?set it}
      - GF_USERS_ALLOW_SIGN_UP=false
    ports: ["3000:3000"]
    volumes: ["grafana_data:/var/lib/grafana"]
    depends_on: [prometheus]
    healthcheck:
      test: ["CMD-SHELL", "wget -q --spider http://localhost:3000/api/health || exit 1"]
      interval: 1m
      timeout: 10s
      retries: 3
    logging: {driver: journald, options: {tag: grafana}}
    networks: {monitoring: {ipv4_address: 10.210.7.10}}
networks:
  monitoring:
    driver: bridge
    ipam: {config: [{subnet: 10.210.7.0/24}]}
volumes:
  prometheus_data:
  alerts: {driver: local}
  grafana_data: {name: grafana}
""",
    "docker-compose.override.yml": """
services:
  prometheus:
    ports: ["9091:9090"]
    command: [--config.file=/etc/prometheus/other.yml]
  grafana:
    environment: {GF_LOG_LEVEL: debug, GF_USERS_ALLOW_SIGN_UP: "true"}
""",
    ".env": "ADMIN_PASSWORD=from file\n",
}
"""A monitoring stack as one finds it in many repositories, with an override file."""

SITE = {
    "compose.yaml": """
services:
  frontend:
    image: example/webapp
    ports: ["443:8043"]
    networks: [front-tier, back-tier]
    configs: [httpd-config]
    secrets: [server-certificate]
    depends_on: [backend]
  backend:
    image: example/database
    volumes: ["db-data:/etc/data"]
    networks: [back-tier]
    build: {context: backend, dockerfile: ../backend.Dockerfile, args: {GIT: "${COMMIT:-none}"}}
    blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 12mb}]}
    cpu_shares: 512
    dns: 8.8.8.8
    sysctls: {net.core.somaxconn: 1024}
  backend-2: {extends: backend, networks: [back-tier], volumes: ["more:/more"]}
volumes:
  db-data: {driver_opts: {type: nfs, o: "addr=10.40.0.199,nolock,soft,rw", device: ":/docker/example"}}
  more:
configs: {httpd-config: {external: true}}
secrets: {server-certificate: {external: true}}
networks: {front-tier: {}, back-tier: {}}
""",
}
"""What the specification explains its parts by."""

PROJECTS: Dict[str, Dict[str, str]] = {"shop": SHOP, "monitoring": MONITORING, "site": SITE}
VARIABLES = {"shop": {"PORT": "18080", "DB_PASSWORD": "very-secret-word", "TOKEN": "t0ken"}, "monitoring": {}, "site": {}}
"""What is said from outside."""


def write(folder: Path, files: Dict[str, str]) -> Path:
    """The files of a project, below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder
