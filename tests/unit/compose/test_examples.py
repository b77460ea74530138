# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms that the specification explains its elements by, chapter by chapter, in projects of our own; the published schema takes all."""

from __future__ import annotations

from typing import Any, Dict, List

import jsonschema
import pytest
import yaml

VARIABLES = {"TAG": "7", "EMPTY": "", "VOLUME": "of-the-host", "CERTIFICATE": "cert-2026", "TOKEN": "t0ken", "HTTPS": "proxy:3128"}
EXAMPLES: Dict[str, Any] = {
    "services that share a file system and a network": ("""
services:
  frontend: {image: example/webapp, ports: ["443:8043"], networks: [front, back], configs: [httpd], secrets: [cert]}
  backend: {image: example/database, volumes: ["data:/etc/data"], networks: [back]}
volumes: {data: {driver: local, driver_opts: {size: 10G}}}
configs: {httpd: {content: "Listen 8043"}}
secrets: {cert: {external: true, name: "${CERTIFICATE}"}}
networks: {front: {}, back: }
""", {"services.frontend.networks": [{"name": "back"}, {"name": "front"}], "services.backend.mounts.0.source": "data",
          "services.frontend.secrets.0.target": "/run/secrets/cert", "services.frontend.configs.0.target": "/httpd",
          "secrets.cert": {"external": True, "name": "cert-2026"}, "volumes.data.driver_options": {"size": "10G"}}),
    "aliases of networks": ("""
services:
  monitoring: {image: a, networks: [admin]}
  backend: {image: b, networks: {tier: {aliases: [database]}, admin: {aliases: [mysql]}}}
networks: {tier: {}, admin: {}}
""", {"services.backend.networks": [{"name": "admin", "aliases": ["mysql"]}, {"name": "tier", "aliases": ["database"]}]}),
    "addresses, gateways and interfaces": ("""
services:
  web:
    image: a
    networks:
      one: {ipv4_address: 172.16.238.10, ipv6_address: "2001:3984:3989::10", mac_address: "02:42:ac:11:65:43"}
      two: {gw_priority: 1, interface_name: lan0}
      three: {priority: 100}
networks:
  one:
    enable_ipv6: true
    ipam:
      driver: default
      config:
        - {subnet: 172.16.238.0/24, ip_range: 172.16.238.128/25, gateway: 172.16.238.254, aux_addresses: {printer: 172.16.238.5}}
        - {subnet: "2001:3984:3989::/64"}
  two: {driver: bridge, driver_opts: {com.docker.network.bridge.name: br-two}, internal: true, labels: [org.example.kind=inner, empty]}
  three: {name: "three-${TAG}", driver: default, labels: {a: 1}}
""", {"services.web.networks.0": {"name": "two", "interface": "lan0"}, "services.web.networks.1.name": "three",
          "networks.one.subnets.0.aux_addresses": {"printer": "172.16.238.5"}, "networks.one.ipv6": True,
          "networks.two.labels": {"org.example.kind": "inner", "empty": ""}, "networks.three.name": "three-7"}),
    "the host's own networks": ("""
services: {web: {image: a, networks: {host: {}}}, alone: {image: a, networks: [nothing]}}
networks: {host: {external: true, name: host}, nothing: {external: {name: none}}}
""", {"services.web": {"image": "a", "network_mode": "host"}, "services.alone.network_mode": "none", "networks": {}}),
    "modes of the network": ("""
services:
  a: {image: a, network_mode: none}
  b: {image: a, network_mode: "service:c", pid: "service:c", ipc: "service:c"}
  c: {image: a, ipc: shareable, network_mode: ""}
""", {"services.a.network_mode": "none", "services.b.pid_mode": "service:c", "services.c.ipc_mode": "shareable",
          "services.c.networks": [{"name": "default"}]}),
    "ports": ("""
services:
  web:
    image: a
    ports: ["8000:8000", "9090-9091:8080-8081", "127.0.0.1:8001:8001", "127.0.0.1:5000-5001:5000-5001", "[::1]:6001:6001",
            "6060:6060/udp",
            {name: secured, target: 443, host_ip: 127.0.0.1, published: "8083-9000", protocol: tcp, app_protocol: https, mode: host}]
    expose: ["3000", 8000, "8080-8085/tcp"]
""", {"services.web.published_ports": ["8000:8000/tcp", "9090:8080/tcp", "9091:8081/tcp", "127.0.0.1:8001:8001/tcp",
                                           "127.0.0.1:5000:5000/tcp", "127.0.0.1:5001:5001/tcp",
                                           "[::1]:6001:6001/tcp", "6060:6060/udp", "127.0.0.1:8083:443/tcp"]}),
    "volumes": ("""
services:
  backend:
    image: a
    volumes:
      - {type: volume, source: data, target: /data, volume: {nocopy: true}}
      - {type: bind, source: /run/postgres, target: /run/postgres, bind: {create_host_path: false, propagation: rslave, selinux: z}}
      - {type: tmpfs, target: /scratch, tmpfs: {size: 1024kb, mode: 0o700}}
      - "shared:/shared:ro,z"
    tmpfs: ["/cache:mode=755,uid=1009,gid=1010", /run]
  other: {image: a, volumes_from: ["backend:ro"]}
volumes: {data: &kept {driver: default}, shared: {external: {name: "${VOLUME}"}}, more: {<<: *kept, name: more}}
""", {"services.backend.mounts.0": {"type": "volume", "source": "data", "target": "/data", "no_copy": True},
          "services.backend.mounts.1": {"type": "bind", "source": "/run/postgres", "target": "/run/postgres", "propagation": "rslave"},
          "services.backend.mounts.2": {"type": "tmpfs", "target": "/scratch", "size": "1048576", "mode": "0700"},
          "services.backend.mounts.4": {"type": "tmpfs", "target": "/cache", "mode": "0755", "uid": 1009, "gid": 1010},
          "services.other.mounts.0.read_only": True, "volumes.shared": {"external": True, "name": "of-the-host"},
          "volumes.data": {"external": False, "name": "proj_data"}}),
    "secrets and configs": ("""
services:
  web:
    image: a
    secrets: [token, {source: cert, target: server.crt, uid: "103", gid: "103", mode: 0o440}]
    configs: [inline, {source: inline, target: /etc/app.conf, uid: "103", mode: 0440}]
secrets: {token: {environment: TOKEN}, cert: {file: ./cert.pem}}
configs: {inline: {content: "debug=${DEBUG:-0} port=$$PORT"}}
""", {"services.web.secrets.1": {"source": "cert", "target": "/run/secrets/server.crt", "uid": 103, "gid": 103, "mode": "0440"},
          "services.web.configs.1.target": "/etc/app.conf", "secrets.token.content": "t0ken", "secrets.cert.content": "PEM",
          "configs.inline.content": "debug=0 port=$PORT"}),
    "commands": ("""
services:
  a: {image: a, command: bundle exec thin -p 3000, entrypoint: /code/entrypoint.sh}
  b: {image: a, command: [bundle, exec], entrypoint: [php, -d, memory_limit=-1]}
  c: {image: a, command: , entrypoint: , user: "${NOBODY:-}"}
  d: {image: a, command: [], entrypoint: ""}
  e: {image: a, command: "/bin/sh -c 'echo \\"hello $$HOSTNAME\\"'"}
""", {"services.a.command": ["bundle", "exec", "thin", "-p", "3000"], "services.b.entrypoint": ["php", "-d", "memory_limit=-1"],
          "services.c": {"image": "a", "networks": [{"name": "default"}]}, "services.d.command": [], "services.d.entrypoint": [],
          "services.e.command": ["/bin/sh", "-c", 'echo "hello $HOSTNAME"']}),
    "interpolation": ("""
services:
  web:
    image: "a:${TAG:?needs a tag}"
    hostname: "${UNSET:-${ALSO:-h}}${EMPTY:-e}${EMPTY-}${TAG:+-set}"
    labels: {"$TAG": kept}
    environment: ["N$TAG=1", "COST=$$5", "X=${UNSET:-a b}", "Y=${TAG+${EMPTY:-inner}}", "no_proxy=$HTTPS"]
""", {"services.web.image": "a:7", "services.web.hostname": "he-set", "services.web.labels": {"$TAG": "kept"},
          "services.web.env": {"N7": "1", "COST": "$5", "X": "a b", "Y": "inner", "no_proxy": "proxy:3128"}}),
    "variables": ("""
services:
  list: {image: a, environment: [RACK_ENV=development, SHOW=true, TOKEN, NOT_SET]}
  map: {image: a, env_file: [one.env, {path: none.env, required: false}, {path: raw.env, format: raw}],
        environment: {RACK_ENV: development, SHOW: "true", NOT_SET: , ZERO: 0}}
""", {"services.list.env": {"RACK_ENV": "development", "SHOW": "true", "TOKEN": "t0ken"},
          "services.map.env": {"RACK_ENV": "development", "SHOW": "true", "ZERO": "0", "A": "VAL# not a comment", "B": "VAL # no comment",
                               "C": "$OTHER", "D": "Let's go!", "E": '{"hello": "json"}', "F": "some\tvalue", "G": "some\\tvalue", "H": "7",
                               "I": "", "RAW": "'$TAG'"}}),
    "anchors and extensions": ("""
x-custom: {any: [thing, 5]}
x-environment: &environment {FOO: BAR, ZOT: QUIX}
x-keys: &keys {KEY: VALUE}
x-function: &function
  labels: {function: "true"}
  depends_on: [gateway]
services:
  gateway: {image: g, x-note: here}
  nodeinfo: {<<: *function, image: n, environment: {<<: [*environment, *keys], FOO: own}}
  echo: {<<: *function, image: e, environment: &list [A=1, B=2]}
  again: {image: e, environment: *list}
""", {"services.nodeinfo.env": {"FOO": "own", "ZOT": "QUIX", "KEY": "VALUE"}, "services.echo.labels": {"function": "true"},
          "services.echo.depends_on.gateway.condition": "started", "services.again.env": {"A": "1", "B": "2"}}),
    "dependencies": ("""
services:
  web:
    image: a
    depends_on: {db: {condition: service_healthy, restart: true}, once: {condition: service_completed_successfully},
                 cache: {condition: service_started},
                 gone: {condition: service_started, required: false}}
    links: ["db:database", cache]
  db: {image: a, healthcheck: {test: [CMD, check], interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s, start_interval: 5s}}
  cache: {image: a, healthcheck: {test: "curl -f https://localhost || exit 1"}}
  once: {image: a, healthcheck: {disable: true}}
""", {"services.web.depends_on.db": {"condition": "healthy", "restart": True, "required": True},
          "services.web.depends_on.once.condition": "completed_successfully", "services.db.networks.0.aliases": ["database"],
          "services.db.healthcheck": {"test": ["CMD", "check"], "interval": "90s", "timeout": "10s", "retries": 3, "start_period": "40s",
                                      "start_interval": "5s"},
          "services.cache.healthcheck.test": ["CMD-SHELL", "curl -f https://localhost || exit 1"],
          "services.once.healthcheck.test": ["NONE"]}),
    "deployment": ("""
services:
  web:
    image: a
    deploy:
      mode: replicated
      replicas: 6
      endpoint_mode: dnsrr
      resources: {limits: {cpus: "0.50", memory: 50M, pids: 100}, reservations: {memory: 20M}}
      restart_policy: {condition: on-failure, max_attempts: 3}
      update_config: {parallelism: 2, delay: 10s, order: stop-first, monitor: 1m, failure_action: rollback, max_failure_ratio: 0.2}
      rollback_config: {parallelism: 0, order: start-first}
  each: {image: a, deploy: {mode: global}, scale: 1}
""", {"services.web.replicas": 6, "services.web.restart_policy": "on-failure:3", "services.web.cpus": "0.5",
          "services.web.update.max_failure_ratio": 0.2, "services.web.update.delay": 10, "services.web.rollback.order": "start_first",
          "services.web.pids_max": "100"}),
    "hooks and a terminal": ("""
services:
  web:
    image: a
    tty: true
    stdin_open: true
    post_start: [{command: ./start.sh, user: root, privileged: true, environment: [FOO=BAR]}]
    pre_stop: [{command: [./stop.sh, --now], working_dir: /app}]
    develop: {watch: [{path: ./web, action: sync, target: /src/web, ignore: [node_modules/]}]}
""", {"services.web.post_start": [{"command": ["./start.sh"], "user": "root", "privileged": True, "env": {"FOO": "BAR"}}],
          "services.web.pre_stop.0.working_dir": "/app", "services.web.tty": True, "services.web.interactive": True}),
    "limits": ("""
services:
  web:
    image: a
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: 12mb}]
      device_read_iops: [{path: /dev/sdb, rate: 120}]
      device_write_bps: [{path: /dev/sdb, rate: 1024k}]
    cpu_rt_runtime: 400ms
    cpu_rt_period: "11000"
    cpus: 0.5
    cpuset: 0-3
    mem_limit: 300m
    memswap_limit: 1gb
    shm_size: 2048k
    oom_score_adj: 500
    stop_grace_period: 1h5m30s20ms
    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}
    sysctls: [net.core.somaxconn=1024, net.ipv4.tcp_syncookies=0]
    cgroup_parent: m-executor-abcd
""", {"services.web.io_limits": [{"device": "/dev/sdb", "read_bps": "12582912", "write_bps": "1048576", "read_iops": "120"}],
          "services.web.cpu_rt_runtime": 400000, "services.web.memory_swap_max": "759169024", "services.web.stop_timeout": "3930020ms",
          "services.web.ulimits": ["nofile:20000:40000", "nproc:65535:65535"], "services.web.cgroup_parent": "/m-executor-abcd"}),
    "rights, devices and names": ("""
services:
  web:
    image: my_private.registry:5000/redis
    platform: linux/arm64/v8
    cap_add: [ALL]
    cap_drop: [NET_ADMIN, SYS_ADMIN]
    cgroup: private
    devices: ["/dev/ttyUSB0:/dev/ttyUSB0", "/dev/sda:/dev/xvda:rwm"]
    device_cgroup_rules: ["c 1:3 mr", "a 7:* rmw"]
    dns: [8.8.8.8, 9.9.9.9]
    dns_opt: [use-vc, no-tld-query]
    dns_search: example.com
    extra_hosts: ["somehost=162.242.195.82", "old:50.31.209.229", "v6=[::1]", "v6-too:::1"]
    group_add: [mail]
    security_opt: ["label:user:USER", "label:role:ROLE"]
    userns_mode: host
    uts: host
    init: true
    annotations: [com.example.foo=bar]
    label_file: [app.labels]
    labels: [com.example.description=Accounting webapp, com.example.empty]
    logging: {driver: syslog, options: {syslog-address: "tcp://192.168.0.42:123"}}
""", {"services.web.devices": ["/dev/ttyUSB0:/dev/ttyUSB0:rwm", "/dev/sda:/dev/xvda:rwm"],
          "services.web.dns_search_domains": ["example.com"],
          "services.web.etc_hosts": {"somehost": "162.242.195.82", "old": "50.31.209.229", "v6": "::1", "v6-too": "::1"},
          "services.web.labels": {"of.file": "1", "com.example.description": "Accounting webapp", "com.example.empty": ""},
          "services.web.log_options": {"syslog_address": "tcp://192.168.0.42:123"},
          "services.web.annotations": {"com.example.foo": "bar"}}),
    "builds": ("""
services:
  frontend: {image: example/webapp, build: ./webapp}
  backend: {image: example/database, build: {context: backend, dockerfile: ../backend.Dockerfile, target: prod, shm_size: 2gb}}
  args: {build: {context: ., args: [GIT_COMMIT=cdc3b19, TOKEN], labels: [com.example.empty], dockerfile_inline: "FROM scratch"}}
  git: {build: {context: "https://example.com/x.git#main:sub", extra_hosts: ["a=10.0.0.1"], additional_contexts: {res: ./res}, pull: true}}
""", {"services.frontend.build": {"context": "/srv/p/webapp"}, "services.backend.build.dockerfile": "../backend.Dockerfile",
          "services.args.build.args": {"GIT_COMMIT": "cdc3b19", "TOKEN": "t0ken"}, "services.args.image": "proj-args",
          "services.git.build.additional_contexts": {"res": "/srv/p/res"}}),
    "extends": ("""
services:
  base: {image: busybox, user: root}
  common: {extends: {service: base}, environment: {TZ: utc, PORT: 80}, volumes: ["one:/backup:rw"], security_opt: ["label:role:ROLE"]}
  cli: {extends: {service: common}, environment: [PORT=8080], volumes: ["two:/backup:ro"], security_opt: ["label:user:USER"]}
  web: {extends: {file: common.yml, service: webapp}, ports: ["1:1"]}
volumes: {one: , two: }
""", {"services.cli": {"image": "busybox", "user": "root", "env": {"TZ": "utc", "PORT": "8080"}, "networks": [{"name": "default"}],
                           "mounts": [{"type": "volume", "source": "two", "target": "/backup", "read_only": True}],
                           "security_opts": ["label:role:ROLE", "label:user:USER"]}, "services.web.image": "of-the-file"}),
    "profiles": ("""
services:
  frontend: {image: a, profiles: [frontend]}
  admin: {image: a, depends_on: [db], profiles: [debug]}
  db: {image: a}
""", {"services": {"db": {"image": "a", "networks": [{"name": "default"}]}}}),
}
FILES = {
    "cert.pem": "PEM", "app.labels": "of.file=1\n", "raw.env": "RAW='$TAG'\n", "common.yml": "services: {webapp: {image: of-the-file}}",
    "one.env": "# a comment\n\nA=VAL# not a comment\nB=\"VAL # no comment\" # one\nC='$OTHER'\nD='Let\\'s go!'\n"
               "E=\"{\\\"hello\\\": \\\"json\\\"}\"\n"
               "F=\"some\\tvalue\"\nG=some\\tvalue\nH=${TAG}\nI=\n",
}
"""Beside each of them."""
REFUSED: Dict[str, Any] = {
    "services: {web: {image: a, gpus: all, deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}}}": [
        "services.web.gpus", "services.web.deploy.resources.reservations.devices"],
    "services: {web: {image: a, deploy: {placement: {constraints: [disktype=ssd], preferences: [{spread: zone}]}}}}": [
        "services.web.deploy.placement.constraints", "services.web.deploy.placement.preferences"],
    "services: {web: {image: a, networks: {n: {link_local_ips: [57.123.22.11]}}}}\nnetworks: {n: {driver: overlay, attachable: true}}": [
        "services.web.networks.n.link_local_ips", "networks.n.driver"],
    "services: {web: {image: a, models: {m: {endpoint_var: URL}}}}\nmodels: {m: {model: ai/m}}": ["services.web.models", "models"],
    "services: {web: {image: a, provider: {type: cloud, options: {size: 5}}}}": ["services.web.provider"],
    "services: {web: {image: a, credential_spec: {file: a.json}, isolation: hyperv, storage_opt: {size: 1G}, use_api_socket: true}}": [
        "services.web.credential_spec", "services.web.isolation", "services.web.storage_opt", "services.web.use_api_socket"],
    "services: {web: {image: a, external_links: [redis, 'database:mysql'], pull_policy: every_12h, cpu_count: 2}}": [
        "services.web.external_links", "services.web.pull_policy", "services.web.cpu_count"],
    "services: {web: {image: a, volumes: [{type: image, source: b, target: /b}, {type: npipe, source: b, target: /c}]}}": [
        "services.web.volumes"],
    "services: {base: {build: .}, web: {build: {context: ., additional_contexts: {base: 'service:base'}, cache_from: [x]}}}": [
        "services.web.build.additional_contexts", "services.web.build.cache_from"],
}
WRONG: Dict[str, str] = {
    "services: {web: {image: a, network_mode: host, networks: [n]}}\nnetworks: {n: }":
        "services.web.network_mode: does not go with 'networks'",
    "services: {web: {image: a, networks: [h, n]}}\nnetworks: {n: , h: {external: true, name: host}}":
        "services.web.networks: has 'h', which is 'host', beside other networks",
    "services: {web: {image: a, network_mode: host, ports: ['1:1']}}": "services.web.ports: does not go with 'network_mode: host'",
    "services: {web: {image: a, labels: {com.docker.compose.project: mine}}}":
        "services.web.labels.com.docker.compose.project: begins like those that a container gets by itself",
    "services: {web: {image: a, labels: [com.docker.compose.service=mine]}}": "begins like those that a container gets by itself",
    "services: {web: {image: 'a:${NONE:?needs a tag}'}}": "services.web.image: needs the variable 'NONE': needs a tag",
    "services: {web: {image: 'a:${TAG/a/b}'}}": "has something else than :-, -, :?, ?, :+ or + behind the name 'TAG'",
    "services: {web: {image: a, container_name: one, scale: 2}}": "services.web.container_name: cannot be the name of 2 replicas",
    "services: {web: {build: ~/custom}}": "services.web.build.context: '~/custom' begins in a home folder",
    "services: {web: {image: a, secrets: [s]}}\nsecrets: {s: {external: true, file: x}}": "secrets.s.file: does not go with 'external'",
    "name: '-${TAG}'\nservices: {web: {image: a}}": "name: '-7' is no name of letters, digits",
}



def at(value: Any, path: str) -> Any:
    """What is at a place of a definition."""
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_becomes_of_an_example(reading: Any, name: str) -> None:
    text, wanted = EXAMPLES[name]
    found = reading(text, FILES, folder="/srv/p", environment=VARIABLES).definition
    assert {path: at(found, path) for path in wanted} == wanted


@pytest.mark.parametrize("text", REFUSED, ids=[each[0] for each in REFUSED.values()])
def test_what_a_host_cannot_mean_is_said(faults: Any, reading: Any, text: str) -> None:
    lines: List[str] = faults(text, environment=VARIABLES)
    assert [path for path in REFUSED[text] if not any(path in line and "is not supported: " in line for line in lines)] == []
    if "provider" not in text:
        assert "web" in reading(text, environment=VARIABLES, unsupported="warn").definition["services"]


@pytest.mark.parametrize("text", WRONG, ids=list(WRONG.values()))
def test_what_the_specification_forbids_is_told(faults: Any, text: str) -> None:
    assert any(WRONG[text] in line for line in faults(text, environment=VARIABLES))


def test_the_schema_takes_them_all(schema: Dict[str, Any]) -> None:
    judge = jsonschema.Draft7Validator(schema)
    for text in (*(text for text, _wanted in EXAMPLES.values()), *REFUSED):
        judge.validate(yaml.safe_load(text))
