# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the keys of a service, and of what services share."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest

REST = "networks: {n: , m: }\nvolumes: {data: , other: }\n"
MADE = {"create_host_path": True}
CASES = [
    ("command: sleep 5", {"command": ["sleep", "5"]}),
    ("command: sh -c 'a \"b c\"'", {"command": ["sh", "-c", 'a "b c"']}),
    ("command: [a, 'b c']", {"command": ["a", "b c"]}),
    ("command: ''", {"command": []}),
    ("entrypoint: /bin/x -y\ncommand: []", {"entrypoint": ["/bin/x", "-y"], "command": []}),
    ("environment: [A=1, B, C=]", {"env": {"A": "1", "C": ""}}),
    ("environment: {A: 1, B: 1.50, C: true, D: , E: '', F: 0755}", {"env": {"A": "1", "B": "1.5", "C": "true", "E": "", "F": "493"}}),
    ("labels: [a=b, c]", {"labels": {"a": "b", "c": ""}}),
    ("labels: {a.b: 5, c: }", {"labels": {"a.b": "5", "c": ""}}),
    ("ports: ['8080:80', 443:443, '127.0.0.1:53:53/udp', '[fd00::1]:81:81', '90-92:80-82']", {"published_ports": [
        "8080:80/tcp", "443:443/tcp", "127.0.0.1:53:53/udp", "[fd00::1]:81:81/tcp", "90:80/tcp", "91:81/tcp", "92:82/tcp"]}),
    ("ports: [{target: 80, published: '8080', protocol: udp, host_ip: 10.0.0.1, mode: host, name: web, app_protocol: http}]",
     {"published_ports": ["10.0.0.1:8080:80/udp"]}),
    ("ports: [{target: 80, published: 8000-8002}]", {"published_ports": ["8000:80/tcp"]}),
    ("ports: ['22:22', '22:22/tcp', '22:22/udp']", {"published_ports": ["22:22/tcp", "22:22/udp"]}),
    ("volumes: ['data:/d:ro', './c:/c', '/abs:/abs:rw,rshared,z', '/anon/x', '../up:/up:noexec']", {"mounts": [
        {"type": "volume", "source": "data", "target": "/d", "read_only": True},
        {"type": "bind", "source": "/srv/p/c", "target": "/c", **MADE},
        {"type": "bind", "source": "/abs", "target": "/abs", "propagation": "rshared", **MADE},
        {"type": "volume", "source": "web-anon-x", "target": "/anon/x"},
        {"type": "bind", "source": "/srv/up", "target": "/up", "options": ["noexec"], **MADE}]}),
    ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 01777}}, {type: volume, source: data, target: /d/}, "
     "{type: bind, source: ., target: /p, read_only: true, bind: {propagation: rslave}, consistency: cached}]", {"mounts": [
         {"type": "tmpfs", "target": "/t", "size": "1048576", "mode": "1777"}, {"type": "volume", "source": "data", "target": "/d"},
         {"type": "bind", "source": "/srv/p", "target": "/p", "read_only": True, "propagation": "rslave"}]}),
    ("tmpfs: /run", {"mounts": [{"type": "tmpfs", "target": "/run"}]}),
    ("tmpfs: ['/run:size=64m,mode=755,noexec', /tmp]", {"mounts": [
        {"type": "tmpfs", "target": "/run", "size": "64m", "mode": "0755", "options": ["noexec"]}, {"type": "tmpfs", "target": "/tmp"}]}),
    ("networks: [n, m]", {"networks": [{"name": "m"}, {"name": "n"}]}),
    ("networks: {n: {priority: 10, aliases: [a], ipv4_address: 10.0.0.5, mac_address: '02:00:00:00:00:01'}, m: {interface_name: lan}}",
     {"networks": [{"name": "n", "ipv4_address": "10.0.0.5", "mac_address": "02:00:00:00:00:01", "aliases": ["a"]},
                   {"name": "m", "interface": "lan"}]}),
    ("networks: {n: {gw_priority: 1, driver_opts: {com.docker.network.endpoint.ifname: up0}}, m: {priority: 5}}",
     {"networks": [{"name": "n", "interface": "up0"}, {"name": "m"}]}),
    ("mac_address: '02:00:00:00:00:01'", {"networks": [{"name": "default", "mac_address": "02:00:00:00:00:01"}]}),
    ("network_mode: host", {"network_mode": "host", "networks": None}),
    ("healthcheck: {test: curl x, interval: 1m30s, timeout: 500ms, retries: 5, start_period: 0s, start_interval: 1s}",
     {"healthcheck": {"test": ["CMD-SHELL", "curl x"], "interval": "90s", "timeout": "500ms", "retries": 5, "start_period": "0s",
                      "start_interval": "1s"}}),
    ("healthcheck: {test: [CMD, a, b], interval: 0s}", {"healthcheck": {"test": ["CMD", "a", "b"]}}),
    ("healthcheck: {disable: true}", {"healthcheck": {"test": ["NONE"]}}),
    ("healthcheck: {test: [NONE], interval: 5s}", {"healthcheck": {"test": ["NONE"]}}),
    ("restart: no", {"restart_policy": "no"}), ("restart: unless-stopped", {"restart_policy": "unless-stopped"}),
    ("restart: on-failure:3", {"restart_policy": "on-failure:3"}),
    ("restart: always\ndeploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", {"restart_policy": "on-failure:2"}),
    ("deploy: {restart_policy: {condition: any}}", {"restart_policy": "always"}),
    ("deploy: {restart_policy: {condition: none}}", {"restart_policy": "no"}),
    ("deploy: {replicas: 3, mode: replicated, endpoint_mode: dnsrr}", {"replicas": 3}), ("scale: 2", {"replicas": 2}),
    ("deploy: {mode: replicated-job}", {"one_shot": True}), ("deploy: {mode: global}", {}),
    ("deploy: {resources: {limits: {cpus: '0.50', memory: 50M, pids: 10}, reservations: {memory: 20M}}}",
     {"cpus": "0.5", "memory_max": "52428800", "pids_max": "10", "memory_low": "20971520"}),
    ("deploy: {update_config: {parallelism: 2, delay: 1m, order: start-first, failure_action: rollback, monitor: 1500ms, "
     "max_failure_ratio: 0.2}, rollback_config: {order: stop-first}}",
     {"update": {"parallelism": 2, "delay": 60, "order": "start_first", "failure_action": "rollback", "monitor": 1.5,
                 "max_failure_ratio": 0.2}, "rollback": {"order": "stop_first"}}),
    ("mem_limit: 1g\nmem_reservation: 512m\nmemswap_limit: 1536m\npids_limit: 0\ncpus: 1.5\ncpu_shares: 1024\ncpuset: 0,1",
     {"memory_max": "1073741824", "memory_low": "536870912", "memory_swap_max": "536870912", "pids_max": "-1", "cpus": "1.5",
      "cpu_weight": 100, "cpuset_cpus": "0,1"}),
    ("mem_limit: 100000000\nmemswap_limit: -1", {"memory_max": "100000000", "memory_swap_max": "-1"}),
    ("cpu_quota: 50000\ncpu_period: '100ms'\ncpu_rt_runtime: 400ms\ncpu_rt_period: '1000000'",
     {"cpu_quota": "50000", "cpu_period": 100000, "cpu_rt_runtime": 400000, "cpu_rt_period": 1000000}),
    ("mem_limit: 0\ncpu_shares: 0\ncpus: 0", {}),
    ("oom_kill_disable: true\noom_score_adj: -5\nmem_swappiness: 10",
     {"memory_oom_kill": False, "oom_score_adj": -5, "memory_swappiness": 10}),
    ("oom_kill_disable: false", {}),
    ("blkio_config: {weight: 10, device_read_bps: [{path: /dev/sda, rate: 1mb}], device_write_iops: [{path: /dev/sda, rate: 5}], "
     "weight_device: [{path: /dev/sdb, weight: 1000}]}",
     {"io_weight": 1, "io_limits": [{"device": "/dev/sda", "read_bps": "1048576", "write_iops": "5"}],
      "io_device_weights": [{"device": "/dev/sdb", "weight": 10000}]}),
    ("cap_add: [NET_ADMIN]\ncap_drop: [ALL]\nprivileged: false\nread_only: true\ninit: true",
     {"capabilities": ["NET_ADMIN"], "cap_drop": ["ALL"], "privileged": False, "read_only": True, "init": True}),
    ("security_opt: ['no-new-privileges:true', 'seccomp:unconfined', 'label:disable']",
     {"security_opts": ["no-new-privileges:true", "seccomp:unconfined", "label:disable"]}),
    ("ulimits: {nofile: {soft: 1024, hard: 4096}, nproc: 100, core: -1}", {"ulimits": ["core:-1:-1", "nofile:1024:4096", "nproc:100:100"]}),
    ("sysctls: {net.core.somaxconn: 1024}", {"sysctls": {"net.core.somaxconn": "1024"}}),
    ("sysctls: [net.ipv4.ip_forward=1]", {"sysctls": {"net.ipv4.ip_forward": "1"}}),
    ("devices: [/dev/fuse, '/dev/a:/dev/b', '/dev/c:/dev/d:r', '/dev/e:rw', {source: /dev/f, permissions: r}]",
     {"devices": ["/dev/fuse:/dev/fuse:rwm", "/dev/a:/dev/b:rwm", "/dev/c:/dev/d:r", "/dev/e:/dev/e:rw", "/dev/f:/dev/f:r"]}),
    ("device_cgroup_rules: ['c 189:* rwm']", {"device_cgroup_rules": ["c 189:* rwm"]}),
    ("dns: 1.1.1.1\ndns_search: [a.b, c]\ndns_opt: ['ndots:2']", {"dns_servers": ["1.1.1.1"], "dns_search_domains": ["a.b", "c"],
                                                                  "dns_opts": ["ndots:2"]}),
    ("extra_hosts: ['a:10.0.0.1', 'b=::1', 'c:[::2]', 'd:host-gateway']",
     {"etc_hosts": {"a": "10.0.0.1", "b": "::1", "c": "::2", "d": "host-gateway"}}),
    ("extra_hosts: {a: 10.0.0.1, b: [10.0.0.2]}", {"etc_hosts": {"a": "10.0.0.1", "b": "10.0.0.2"}}),
    ("hostname: h\ndomainname: example.com", {"hostname": "h.example.com"}),
    ("user: '1000:1000'\ngroup_add: [10, wheel]\nworking_dir: /app",
     {"user": "1000:1000", "groups": ["10", "wheel"], "working_dir": "/app"}),
    ("stop_signal: SIGINT\nstop_grace_period: 1m\nshm_size: 64m", {"stop_signal": "SIGINT", "stop_timeout": "60s", "shm_size": "67108864"}),
    ("logging: {driver: local, options: {max-size: 1m, max-file: '3'}}",
     {"log_driver": "json-file", "log_max_size": "1m", "log_max_files": 3}),
    ("logging: {driver: syslog, options: {syslog-address: 'udp://10.0.0.1:514', syslog-facility: daemon, tag: t}}",
     {"log_driver": "syslog", "log_options": {"syslog_address": "udp://10.0.0.1:514", "facility": "daemon", "tag": "t"}}),
    ("container_name: mine\nplatform: linux/arm64\npull_policy: if_not_present\nruntime: crun",
     {"container_name": "mine", "platform": "linux/arm64", "pull": "missing", "runtime": "crun"}),
    ("post_start: [{command: chown -R 5 /d, user: root, privileged: true}, {command: [a, 'b c'], working_dir: /d, environment: [A=1, B]}]",
     {"post_start": [{"command": ["chown", "-R", "5", "/d"], "user": "root", "privileged": True},
                     {"command": ["a", "b c"], "working_dir": "/d", "env": {"A": "1"}}]}),
    ("pre_stop: [{command: ./flush.sh}]", {"pre_stop": [{"command": ["./flush.sh"]}]}),
    ("tty: true\nstdin_open: true", {"tty": True, "interactive": True}),
    ("ipc: host\npid: host\nuts: host\nuserns_mode: host\ncgroup: host\ncgroup_parent: /batch",
     {"ipc_mode": "host", "pid_mode": "host", "uts": "host", "userns_mode": "host", "cgroupns_mode": "host", "cgroup_parent": "/batch"}),
    ("expose: [80, '90/udp']\nattach: false\ndevelop: {watch: []}\nx-any: [1]", {}),
]


@pytest.mark.parametrize("text, found", CASES, ids=[case[0].splitlines()[0] for case in CASES])
def test_keys(service: Any, text: str, found: Dict[str, Any]) -> None:
    made = service(text, rest=REST, folder="/srv/p")
    if "networks" in found and found["networks"] is None:
        assert made.pop("networks", None) is None
        del found["networks"]
    assert made == found


def test_everything_is_plain(reading: Any) -> None:
    """JSON gives back what was written, and keys of texts only."""
    text = "services:\n  web:\n    image: x\n    volumes: [./a:/a, b:/b]\n" \
           "    security_opt: [seccomp=p.json]\n    build: .\nvolumes: {b: }\n"
    found = reading(text, {"p.json": '{"defaultAction": "SCMP_ACT_ALLOW"}'}).definition

    def look(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
        for each in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(each)
    look(json.loads(json.dumps(found)))
    assert json.loads(json.dumps(found)) == found
    assert found["services"]["web"]["security_opts"] == ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']


def test_the_same_files_are_the_same_definition(reading: Any) -> None:
    lines = ["services:"]
    for name in "dcab":
        lines.append("  %s: {image: x, environment: [Z=1, A=2], networks: [n, m], depends_on: []}" % name)
    text = "\n".join(lines) + "\nnetworks: {n: , m: }\n"
    one = json.dumps(reading(text).definition)
    assert one == json.dumps(reading(text).definition)
    other = "\n".join([lines[0], *reversed(lines[1:])]) + "\nnetworks: {m: , n: }\n"
    assert one == json.dumps(reading(other).definition)


SHARING = """
services:
  web:
    image: x
    depends_on: {db: {condition: service_healthy, restart: true}, once: {condition: service_completed_successfully}}
    links: ["db:database", "cache"]
    secrets: [plain, {source: env, target: /etc/env, uid: "5", gid: 6, mode: 0400}, {source: file, mode: "0440"}, out]
    configs: [inline, {source: inline, target: /etc/app.conf}]
  db: {image: x, volumes: ["dbdata:/var/lib"], networks: {default: {aliases: [sql]}, n: }, ipc: shareable}
  cache: {image: x, volumes_from: ["db:ro"], volumes: ["c:/c"], ipc: "service:db"}
  once: {image: x, network_mode: "service:db"}
networks:
  n: {driver: bridge, driver_opts: {com.docker.network.driver.mtu: 1400}, internal: true, enable_ipv6: true, labels: {a: 5},
      attachable: true,
      ipam: {driver: default, config: [{subnet: 10.5.0.0/16, gateway: 10.5.0.1, ip_range: 10.5.1.0/24, aux_addresses: {h: 10.5.0.9}}]}}
  unused: {}
volumes:
  dbdata: {driver: local, driver_opts: {type: nfs, o: "addr=10.0.0.1,rw", device: ":/x"}, labels: [l=1]}
  c: {external: true, name: there}
secrets:
  plain: {content: text}
  env: {environment: TOKEN}
  file: {file: ./s.txt, name: real}
  out: {external: true}
configs: {inline: {content: "a=${A:-b}"}}
"""


def test_what_services_share(reading: Any) -> None:
    found = reading(SHARING, {"s.txt": "from file\n"}, environment={"TOKEN": "t"}).definition
    web, database, cache, once = (found["services"][name] for name in ("web", "db", "cache", "once"))
    started = {"condition": "started", "restart": False, "required": True}
    assert web["depends_on"] == {"db": {"condition": "healthy", "restart": True, "required": True}, "cache": started,
                                 "once": {"condition": "completed_successfully", "restart": False, "required": True}}
    assert web["secrets"] == [
        {"source": "plain", "target": "/run/secrets/plain", "mode": "0444", "uid": 0, "gid": 0},
        {"source": "env", "target": "/etc/env", "mode": "0400", "uid": 5, "gid": 6},
        {"source": "file", "target": "/run/secrets/file", "mode": "0440", "uid": 0, "gid": 0},
        {"source": "out", "target": "/run/secrets/out", "mode": "0444", "uid": 0, "gid": 0}]
    assert [row["target"] for row in web["configs"]] == ["/inline", "/etc/app.conf"]
    assert database["networks"] == [{"name": "default", "aliases": ["sql", "database"]}, {"name": "n", "aliases": ["database"]}]
    assert cache["mounts"] == [{"type": "volume", "source": "dbdata", "target": "/var/lib", "read_only": True},
                               {"type": "volume", "source": "c", "target": "/c"}]
    assert (cache["ipc_mode"], cache["depends_on"]) == ("service:db", {"db": dict(started, restart=True)})
    assert (once["network_mode"], once.get("networks")) == ("service:db", None)
    assert found["networks"] == {
        "default": {"external": False, "name": "proj_default"},
        "n": {"external": False, "name": "proj_n", "driver": "bridge", "driver_options": {"com.docker.network.driver.mtu": "1400"},
              "internal": True, "ipv6": True, "labels": {"a": "5"},
              "subnets": [{"subnet": "10.5.0.0/16", "gateway": "10.5.0.1", "ip_range": "10.5.1.0/24", "aux_addresses": {"h": "10.5.0.9"}}]}}
    assert found["volumes"] == {
        "dbdata": {"external": False, "name": "proj_dbdata", "driver_options": {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/x"},
                   "labels": {"l": "1"}},
        "c": {"external": True, "name": "there"}}
    assert found["secrets"] == {
        "plain": {"external": False, "name": "proj_plain", "content": "text"},
        "env": {"external": False, "name": "proj_env", "content": "t"},
        "file": {"external": False, "name": "real", "content": "from file\n"}, "out": {"external": True, "name": "out"}}
    assert found["configs"] == {"inline": {"external": False, "name": "proj_inline", "content": "a=b"}}


def test_env_files(service: Any) -> None:
    files = {"a.env": "A=a\nB=${OUT}-x # c\n", "b.env": "A=b\n", "raw.env": "R='$OUT'\n"}
    text = "env_file: [a.env, {path: b.env, required: true}, {path: none.env, required: false}, {path: raw.env, format: raw}]\n" \
           "environment: {C: c, A: }\n"
    assert service(text, files=files, environment={"OUT": "o"})["env"] == {"B": "o-x", "R": "'$OUT'", "C": "c"}
    assert service("env_file: a.env", files=files)["env"] == {"A": "a", "B": "-x"}


def test_label_files(service: Any) -> None:
    assert service("label_file: l\nlabels: [b=3]", files={"l": "a=1\nb=2\n"})["labels"] == {"a": "1", "b": "3"}


def test_build(reading: Any) -> None:
    text = """
services:
  web:
    build: {context: ./app, dockerfile: D, args: {A: 1, B: , C: }, target: t, labels: [l=1], network: host, no_cache: true, pull: true,
            platforms: [linux/amd64], tags: ["x:1"], shm_size: 1m, extra_hosts: ["a:10.0.0.1"], additional_contexts: {base: ../base, b: "docker-image://x"},
            secrets: [key, {source: key, target: other}]}
  git: {build: "https://example.com/x.git#main", image: named, pull_policy: build}
secrets: {key: {content: k}}
"""
    whole = reading(text, folder="/srv/p", environment={"B": "b"}).definition
    found = whole["services"]
    assert whole["secrets"]["key"]["content"] == "k"
    assert found["web"]["build"] == {
        "context": "/srv/p/app", "dockerfile": "D", "args": {"A": "1", "B": "b"}, "target": "t", "labels": {"l": "1"}, "network": "host",
        "no_cache": True, "pull": True, "platforms": ["linux/amd64"], "tags": ["x:1"], "shm_size": "1048576",
        "extra_hosts": {"a": "10.0.0.1"}, "additional_contexts": {"base": "/srv/base", "b": "docker-image://x"},
        "secrets": [{"source": "key"}, {"source": "key", "target": "other"}]}
    assert found["web"]["image"] == "proj-web"
    assert (found["git"]["image"], found["git"]["build"]) == ("named", {"context": "https://example.com/x.git#main"})


WRONG = [
    ("image: 5", "3", "is the number 5, but has to be a text; write it in quotes"),
    ("imagee: x", "3", "is no key here; did you mean 'image'?"),
    ("ports: ['80:99999']", "4", "is '80:99999', which has a port that is not between 1 and 65535"),
    ("ports: ['80-82:80-81']", "4", "ranges have not the same length"),
    ("ports: [{published: 5}]", "4", "has an entry without a target"),
    ("ports: x", "4", "is 'x', but has to be a list"),
    ("volumes: ['a:b:c:d']", "4", "but has to be [SOURCE:]TARGET[:OPTIONS]"),
    ("volumes: ['nope:/x']", "4", "names 'nope', which the project does not declare in its 'volumes'"),
    ("volumes: ['~/x:/x']", "4", "begins in a home folder"),
    ("volumes: [./x:relative]", "4", "has the target 'relative', which is no absolute path"),
    ("volumes: ['/x:/y:rw,strange']", "4", "is no mount option that is allowed here"),
    ("networks: [nope]", "4", "names 'nope', which the project does not declare in its 'networks'"),
    ("networks: {default: {ipv4_address: x}}", "4", "is no IPv4 address"),
    ("network_mode: host\nnetworks: [default]", "4", "does not go with 'networks'"),
    ("network_mode: host\nports: ['1:1']", "5", "does not go with 'network_mode: host'"),
    ("secrets: [nope]", "4", "names 'nope', which the project does not declare in its 'secrets'"),
    ("depends_on: [nope]", "4", "names the service 'nope', which there is not"),
    ("depends_on: [web]", "4", "the service itself"),
    ("depends_on: {web: {condition: healthy}}", "4", "is 'healthy', and none of service_started, service_healthy"),
    ("restart: sometimes", "4", "'sometimes' is no restart policy; write no, always, on-failure[:N] or unless-stopped"),
    ("mem_limit: lots", "4", "'lots' is no size; write a size such as 512m"),
    ("mem_limit: 1m", "4", "is below 6 MiB"),
    ("memswap_limit: 1g", "4", "needs mem_limit"),
    ("mem_limit: 2g\nmemswap_limit: 1g", "5", "is less than mem_limit"),
    ("healthcheck: {interval: 5}", "4", "is the number 5, but has to be a text"),
    ("healthcheck: {interval: '5'}", "4", "'5' is no duration; write a duration such as 1m30s"),
    ("healthcheck: {test: [curl, x]}", "4", "does not begin with CMD, CMD-SHELL or NONE"),
    ("healthcheck: {test: x, disable: true}", "4", "contradicts the test"),
    ("environment: [{A: 1}]", "4", "has an entry that is a mapping, but has to be NAME=VALUE"),
    ("environment: {A: [1]}", "4", "is a list, but has to be a text or number"),
    ("cap_add: [NET_ADMN]", "4", "value 'NET_ADMN' is no capability"),
    ("ulimits: {nofile: {soft: 5}}", "4", "needs both soft and hard"),
    ("ulimits: {nofiles: 5}", "4", "is no limit of a process"),
    ("sysctls: [kernel.hostname=x]", "4", "is not a sysctl of a container's own namespaces"),
    ("scale: 2\ndeploy: {replicas: 3}", "4", "contradicts"),
    ("mem_limit: 10m\ndeploy: {resources: {limits: {memory: 11m}}}", "4", "contradicts"),
    ("scale: 2\ncontainer_name: one", "5", "cannot be the name of 2 replicas"),
    ("command: 'a \"b'", "4", "cannot be split into words: No closing quotation"),
    ("env_file: none.env", "4", "a file of variables cannot be read on the controller: No such file or directory"),
    ("security_opt: [seccomp=none.json]", "4", "a seccomp profile cannot be read on the controller"),
    ("volumes_from: [web]", "4", "goes round in a circle: web -> web"),
    ("deploy: {update_config: {order: first}}", "4", "is 'first', and none of start-first, stop-first"),
    ("deploy: {mode: global, replicas: 2}", "4", "contradicts 'mode: global'"),
    ("logging: {options: {max-size: big}}", "4", "is no size"),
    ("extra_hosts: ['a:nowhere']", "4", "is no address"),
    ("stop_signal: SIGNOT", "4", "is no signal"),
    ("hostname: 'a b'", "4", "is no host name"),
    ("build: {dockerfile: a, dockerfile_inline: b}", "4", "says again what 'dockerfile' says"),
    ("privileged: maybe", "4", "is 'maybe', but has to be true or false"),
    ("user: 1000", "4", "is the number 1000, but has to be a text; write it in quotes"),
]


@pytest.mark.parametrize("text, line, words", WRONG, ids=[case[0].splitlines()[0] for case in WRONG])
def test_wrong_values_are_told_with_their_place(faults: Any, text: str, line: str, words: str) -> None:
    start = "services:\n  web:\n" + ("" if text.startswith("image") else "    image: x\n")
    lines = faults(start + "    " + text.replace("\n", "\n    ") + "\n", unsupported="warn")
    assert any(each.startswith("compose.yaml:%s: services.web" % line) and words in each for each in lines), lines


UNSUPPORTED = [
    ("ports: [80]", "80 is published at no port of the host"),
    ("deploy: {replicas: 2}\nports: ['80:80']", "cannot be published by 2 replicas"),
    ("volumes: [{type: npipe, source: a, target: /a}]", "the type 'npipe' is of Windows"), ("pull_policy: daily", "depends on the age"),
    ("logging: {driver: gelf}", "'gelf' is none of"), ("logging: {options: {labels: x}}", "is no option of a log here"),
    ("devices: ['nvidia.com/gpu=all']", "is a device of the Container Device Interface"), ("domainname: x", "needs a hostname"),
    ("deploy: {endpoint_mode: vip}", "'vip' is not there"), ("extra_hosts: {a: [10.0.0.1, 10.0.0.2]}", "has more than one address"),
    ("volumes_from: ['container:x']", "names a container that the project does not know"), ("use_api_socket: true", "there is no daemon"),
    ("deploy: {restart_policy: {condition: any, max_attempts: 3}}", "counts restarts after failures alone"),
    ("deploy: {replicas: 2}\nvolumes: [/x]", "would be one for each replica"),
]


@pytest.mark.parametrize("text, words", UNSUPPORTED, ids=[case[0].splitlines()[0] for case in UNSUPPORTED])
def test_values_that_are_not_supported(reading: Any, faults: Any, text: str, words: str) -> None:
    whole = "services:\n  web:\n    image: x\n    " + text.replace("\n", "\n    ") + "\n"
    assert any("is not supported: " in each and words in each for each in faults(whole))
    assert any("is not supported, and left out: " in each and words in each for each in reading(whole, unsupported="warn").warnings)


def test_all_faults_at_once(faults: Any) -> None:
    text = """
services:
  one: {image: 5, use_api_socket: true, ports: [x, y]}
  two:
    user: [a]
    mem_limit: lots
networks: {n: {drivers: x}}
volumez: {}
"""
    assert [line.split(": ")[0:2] for line in faults(text)[:-1]] == [
        ["compose.yaml:3", "services.one.image"], ["compose.yaml:3", "services.one.image"], ["compose.yaml:3", "services.one.ports[0]"],
        ["compose.yaml:3", "services.one.ports[1]"], ["compose.yaml:4", "services.two.image"], ["compose.yaml:5", "services.two.user"],
        ["compose.yaml:6", "services.two.mem_limit"], ["compose.yaml:7", "networks.n.drivers"], ["compose.yaml:8", "volumez"],
        ["compose.yaml:3", "services.one.use_api_socket"]]


def test_circles(faults: Any) -> None:
    lines = faults("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, links: [c]}\n  c: {image: x, depends_on: [a]}\n")
    assert lines == ["compose.yaml:2: services.a.depends_on: goes round in a circle: a -> b -> c -> a"]


@pytest.mark.parametrize("text, words", [
    ("networks: {n: {driver: overlay}}", "'overlay' is none of bridge, macvlan, ipvlan"),
    ("networks: {n: {enable_ipv4: false}}", "without IPv4"),
    ("networks: {n: {ipam: {config: [{subnet: 10.0.0.1/8}]}}}", "has bits set behind its prefix"),
    ("networks: {n: {ipam: {config: [{gateway: 10.0.0.1}]}}}", "has an entry without a subnet"),
    ("networks: {n: {external: true, internal: true}}", "does not go with 'external'"),
    ("volumes: {v: {driver: rexray}}", "'rexray' is none of local, tmpfs"), ("secrets: {s: {environment: NO}}", "needs the variable 'NO'"),
    ("secrets: {s: {}}", "needs one of file, environment, content and external"),
    ("secrets: {s: {file: a, environment: B}}", "says its content twice: file, environment"),
    ("secrets: {s: {file: none}}", "cannot be read on the controller: No such file or directory"),
])
def test_shared_things_at_fault(faults: Any, text: str, words: str) -> None:
    whole = "services: {web: {image: x, networks: [default%s], volumes: [%s], secrets: [%s]}}\n%s\n" % (
        ", n" if "networks" in text else "", "'v:/v'" if "volumes" in text else "", "s" if "secrets" in text else "", text)
    lines = faults(whole)
    assert any(each.startswith("compose.yaml:2: ") and words in each for each in lines), lines
