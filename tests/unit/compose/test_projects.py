# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects of several files: overrides, C(extends), C(include), profiles, variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BASE = """
services:
  web:
    image: one
    command: [a, b]
    entrypoint: /one
    environment: {A: "1", B: "1"}
    labels: [l=1, m=1]
    ports: ["80:80", "81:81"]
    volumes: ["data:/data", "logs:/logs"]
    dns: 1.1.1.1
    networks: [front]
    depends_on: [db]
    expose: ["80"]
    healthcheck: {test: one, interval: 10s}
    logging: {driver: json-file, options: {max-size: 1m}}
    deploy: {resources: {limits: {memory: 64M, cpus: "1"}}}
    ulimits: {nofile: 10, nproc: {soft: 1, hard: 2}}
    build: .
    secrets: [s]
    cap_add: [NET_ADMIN]
    x-any: {a: 1}
  db: {image: db}
networks: {front: {driver: bridge}, back: }
volumes: {data: , logs: , more: }
secrets: {s: {content: one}, t: {content: two}}
"""


def merged(reading: Any, over: str, name: str = "compose.override.yaml") -> Any:
    """The service C(web) of the project above with another file over it."""
    return reading(BASE, {name: "services:\n  web:\n    " + over.strip("\n").replace("\n", "\n    ") + "\n"}).definition["services"]["web"]


@pytest.mark.parametrize("over, name, value", [
    ("image: two", "image", "two"),
    ("command: [c]", "command", ["c"]),
    ("command: c d", "command", ["c", "d"]),
    ("entrypoint: []", "entrypoint", []),
    ("environment: {B: '2', C: '2'}", "env", {"A": "1", "B": "2", "C": "2"}),
    ("environment: [B=2]", "env", {"A": "1", "B": "2"}),
    ("labels: {m: '2'}", "labels", {"l": "1", "m": "2"}),
    ("ports: ['80:80', '82:82']", "published_ports", ["80:80/tcp", "81:81/tcp", "82:82/tcp"]),
    ("ports: ['90:80']", "published_ports", ["80:80/tcp", "81:81/tcp", "90:80/tcp"]),
    ("ports: [{target: 81, published: '81'}]", "published_ports", ["80:80/tcp", "81:81/tcp"]),
    ("ports: !reset []", "published_ports", None),
    ("ports: !reset null", "published_ports", None),
    ("ports: !override ['90:80']", "published_ports", ["90:80/tcp"]),
    ("volumes: ['more:/data']", "mounts", [{"type": "volume", "source": "more", "target": "/data"},
                                           {"type": "volume", "source": "logs", "target": "/logs"}]),
    ("dns: [8.8.8.8]", "dns_servers", ["1.1.1.1", "8.8.8.8"]),
    ("networks: {back: {aliases: [w]}}", "networks", [{"name": "back", "aliases": ["w"]}, {"name": "front"}]),
    ("networks: !override [back]", "networks", [{"name": "back"}]),
    ("depends_on: {db: {condition: service_healthy}}", "depends_on", {"db": {"condition": "healthy", "restart": False, "required": True}}),
    ("healthcheck: {test: [CMD, two]}", "healthcheck", {"test": ["CMD", "two"], "interval": "10s"}),
    ("healthcheck: !reset null", "healthcheck", None),
    ("logging: {options: {max-file: '2'}}", "log_max_files", 2),
    ("logging: {driver: journald, options: {tag: x}}", "log_max_size", None),
    ("logging: {driver: journald, options: {tag: x}}", "log_options", {"tag": "x"}),
    ("deploy: {resources: {limits: {memory: 32M}}}", "memory_max", "33554432"),
    ("deploy: {resources: {limits: {memory: 32M}}}", "cpus", "1"),
    ("deploy: {resources: {limits: {memory: !reset null}}}", "memory_max", None),
    ("ulimits: {nofile: 20, nproc: {soft: 2}}", "ulimits", ["nofile:20:20", "nproc:2:2"]),
    ("ulimits: {nofile: {soft: 5, hard: 6}}", "ulimits", ["nofile:5:6", "nproc:1:2"]),
    ("build: {target: t}", "build", {"context": "PROJECT", "target": "t"}),
    ("build: other", "build", {"context": "PROJECT/other"}),
    ("secrets: [{source: t, target: s}]", "secrets", [{"source": "t", "target": "/run/secrets/s", "mode": "0444", "uid": 0, "gid": 0}]),
    ("cap_add: [NET_ADMIN, SYS_TIME]", "capabilities", ["NET_ADMIN", "SYS_TIME"]),
    ("ports:", "published_ports", ["80:80/tcp", "81:81/tcp"]),
])
def test_override(reading: Any, tmp_path: Path, over: str, name: str, value: Any) -> None:
    found = merged(reading, over)
    if name == "build":
        value = dict(value, context=value["context"].replace("PROJECT", str(tmp_path / "proj")))
    assert found.get(name) == value
    if name != "image":
        assert found["image"] == "one"


def test_reset_of_a_service_and_of_a_network(reading: Any) -> None:
    found = reading(BASE, {"compose.override.yaml": "services: {db: !reset null, web: {depends_on: !reset []}}\n"}).definition
    assert sorted(found["services"]) == ["web"]


def test_reset_in_a_single_file(reading: Any) -> None:
    found = reading("services: {web: {image: x, ports: !reset ['1:1'], user: !reset me, hostname: h}}\n").definition["services"]["web"]
    assert found == {"image": "x", "hostname": "h", "networks": [{"name": "default"}]}


def test_files_in_their_order(reading: Any) -> None:
    files = {"a.yaml": "services: {web: {image: a, user: a, hostname: a}}", "b.yml": "services: {web: {image: b, user: b}}",
             "sub/c.yml": "services: {web: {image: c, volumes: ['./x:/x'], env_file: e.env}}", "e.env": "A=1",
             "compose.yaml": "services: {not: {image: read}}"}
    found = reading(files=files, paths=["a.yaml", "b.yml", "sub/c.yml"], folder="/srv/p").definition["services"]
    assert sorted(found) == ["web"]
    web = found["web"]
    assert (web["image"], web["user"], web["hostname"], web["env"]) == ("c", "b", "a", {"A": "1"})
    assert web["mounts"][0]["source"] == "/srv/p/x"  # where the first file is, whatever the later ones lie in


def test_documents_of_one_file_are_merged(reading: Any) -> None:
    found = reading("services: {web: {image: a, user: u}}\n---\nservices: {web: {image: b}}\n").definition["services"]["web"]
    assert (found["image"], found["user"]) == ("b", "u")


EXTENDS = {
    "compose.yaml": """
services:
  base: {image: base, environment: {A: "1"}, ports: ["1:1"], profiles: [never]}
  web: {extends: base, environment: {B: "2"}, profiles: !reset []}
  other: {extends: {service: app, file: shared/common.yaml}, volumes: ["./here:/here"]}
""",
    "shared/common.yaml": """
services:
  app: {extends: {service: root, file: ../root.yaml}, volumes: ["./there:/there"], env_file: app.env, image: "app:${TAG:-1}"}
""",
    "root.yaml": "services: {root: {image: root, user: u, x-a: b}, unused: {image: y}}",
    "shared/app.env": "FROM=app",
}


def test_extends(reading: Any) -> None:
    found = reading(files=EXTENDS, folder="/srv/p", environment={"TAG": "9"}).definition["services"]
    assert sorted(found) == ["other", "web"]
    assert found["web"] == {"image": "base", "env": {"A": "1", "B": "2"}, "published_ports": ["1:1/tcp"], "networks": [{"name": "default"}]}
    assert (found["other"]["image"], found["other"]["user"], found["other"]["env"]) == ("app:9", "u", {"FROM": "app"})
    assert [row["source"] for row in found["other"]["mounts"]] == ["/srv/p/shared/there", "/srv/p/here"]


@pytest.mark.parametrize("text, fault", [
    ("a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}", "compose.yaml:2: services.a.extends: goes round in a circle: "),
    ("a: {extends: a, image: x}", "compose.yaml:2: services.a.extends: goes round in a circle: a -> a"),
    ("a: {image: x, extends: nobody}", "compose.yaml:2: services.a.extends: names the service 'nobody', which compose.yaml has not"),
    ("a: {image: x, extends: {service: b, file: none.yaml}}", "a file that is extended (compose.yaml:2) cannot be read on the controller"),
    ("a: {image: x, extends: [b]}", "compose.yaml:2: services.a.extends: is a list, but has to be a service's name"),
    ("a: {image: x, extends: {file: compose.yaml}}", "compose.yaml:2: services.a.extends: is a mapping, but has to be"),
])
def test_extends_at_fault(faults: Any, text: str, fault: str) -> None:
    assert any(fault in line for line in faults("services:\n  " + text + "\n"))


INCLUDE = {
    "compose.yaml": """
include:
  - team/compose.yaml
  - path: [other/one.yaml, other/two.yaml]
    project_directory: elsewhere
    env_file: other/my.env
services:
  web: {image: "web:${TAG}", depends_on: [db]}
""",
    ".env": "TAG=outer\nSHARED=outer\n",
    "team/compose.yaml": """
services:
  db: {image: "db:${TAG}", volumes: ["./data:/data"], env_file: db.env, secrets: [pw]}
volumes: {unused: }
secrets: {pw: {file: pw.txt}}
""",
    "team/.env": "TAG=team\nTEAM=t\n", "team/db.env": "X=${TEAM}\n", "team/pw.txt": "secret",
    "other/one.yaml": "services: {job: {image: 'job:${MINE}-${SHARED}', volumes: ['./d:/d'], environment: [MINE]}}",
    "other/two.yaml": "services: {job: {user: two}}",
    "other/my.env": "MINE=mine\nSHARED=inner\n",
}


def test_include(reading: Any) -> None:
    found = reading(files=INCLUDE, folder="/srv/p").definition
    services = found["services"]
    assert services["web"]["image"] == "web:outer"
    assert services["db"]["image"] == "db:outer"  # the project's own variables come before those of what it includes
    assert services["db"]["env"] == {"X": "t"}
    assert services["db"]["mounts"][0]["source"] == "/srv/p/team/data"
    assert (services["job"]["image"], services["job"]["user"], services["job"]["env"]) == ("job:mine-outer", "two", {"MINE": "mine"})
    assert services["job"]["mounts"][0]["source"] == "/srv/p/elsewhere/d"
    assert found["secrets"]["pw"]["content"] == "secret"


def test_what_is_included_can_be_overridden(reading: Any) -> None:
    files = dict(INCLUDE, **{"compose.override.yaml": "services: {db: {image: mine}}\n"})
    assert reading(files=files).definition["services"]["db"]["image"] == "mine"


def test_included_twice_and_the_same(reading: Any) -> None:
    files = {"compose.yaml": "include: [a.yaml, b.yaml]\nservices: {web: {image: x}}\n",
             "a.yaml": "include: [c.yaml]\n", "b.yaml": "include: [c.yaml]\n", "c.yaml": "services: {c: {image: c, ports: ['1:1']}}\n"}
    assert sorted(reading(files=files).definition["services"]) == ["c", "web"]


@pytest.mark.parametrize("files, fault", [
    ({"a.yaml": "services: {web: {image: y}}"},
     "compose.yaml:2: services.web: is included from a.yaml:1 too, and says something else there"),
    ({"a.yaml": "include: [compose.yaml]"}, "a.yaml:1: include: goes round in a circle: compose.yaml -> a.yaml -> compose.yaml"),
    ({}, "an included file (compose.yaml:1) cannot be read on the controller: No such file or directory"),
])
def test_include_at_fault(faults: Any, files: Any, fault: str) -> None:
    assert any(fault in line for line in faults("include: [a.yaml]\nservices: {web: {image: x}}\n", files=files))


def test_include_from_elsewhere_is_not_supported(faults: Any) -> None:
    lines = faults("include: ['https://example.com/x.git', 'oci://y']\nservices: {web: {image: x}}\n")
    assert len([line for line in lines if "is fetched from elsewhere" in line]) == 2


PROFILES = """
services:
  web: {image: x}
  dev: {image: x, profiles: [dev], depends_on: [tool, plain]}
  tool: {image: x, profiles: [tools], network_mode: "service:base"}
  base: {image: x, profiles: [never]}
  plain: {image: x}
  broken: {image: x, profiles: [broken], ports: [x], use_api_socket: true}
  weak: {image: x, depends_on: {broken: {condition: service_started, required: false}}}
"""


@pytest.mark.parametrize("profiles, names", [
    ([], ["plain", "weak", "web"]), (["tools"], ["base", "plain", "tool", "weak", "web"]),
    (["dev"], ["base", "dev", "plain", "tool", "weak", "web"]), (["other"], ["plain", "weak", "web"]),
])
def test_profiles(reading: Any, profiles: Any, names: Any) -> None:
    text = PROFILES.replace("ports: [x], ", "")
    found = reading(text, profiles=profiles)
    assert sorted(found.definition["services"]) == names
    assert found.definition["services"]["weak"].get("depends_on") is None
    if profiles == ["dev"]:
        assert sum("none of its profiles is active" in line for line in found.warnings) == 2


def test_profiles_by_variable(reading: Any) -> None:
    text = PROFILES.replace("ports: [x], ", "")
    assert "dev" in reading(text, environment={"COMPOSE_PROFILES": "dev,tools"}).definition["services"]
    assert "dev" not in reading(text, environment={"COMPOSE_PROFILES": "dev,tools"}, profiles=[]).definition["services"]


def test_what_is_wrong_in_a_service_that_is_off_is_told(faults: Any) -> None:
    lines = faults(PROFILES)
    assert len(lines) == 1
    assert lines[0].startswith("compose.yaml:8: services.broken.ports[0]: is 'x', but has to be")
    assert len(faults(PROFILES, profiles=["*"])) == 3  # the terminal, too, and a word about 'unsupported'


def test_names(reading: Any) -> None:
    text = "services: {web: {image: 'x:${COMPOSE_PROJECT_NAME}'}}\n"
    assert reading(text).definition["name"] == "proj"
    assert reading("name: own-${X:-y}\n" + text).definition["services"]["web"]["image"] == "x:own-y"
    assert reading(text, name="task").definition["name"] == "task"
    assert reading("name: own\n" + text, environment={"COMPOSE_PROJECT_NAME": "env"}).definition["name"] == "env"


def test_files_named_by_a_variable(reading: Any) -> None:
    files = {"a.yml": "services: {web: {image: a}}", "b.yml": "services: {web: {user: b}}", ".env": "COMPOSE_FILE=a.yml:b.yml\n"}
    found = reading(files=files).definition["services"]["web"]
    assert (found["image"], found["user"]) == ("a", "b")


def test_variables_of_files_and_of_the_task(reading: Any) -> None:
    text = "services: {web: {image: '${A}-${B}-${C}', environment: [A, B, NONE]}}\n"
    files = {".env": "A=dot\nB=dot\n", "one.env": "A=one\nC=$A\n", "two.env": "B=two"}
    assert reading(text, files).definition["services"]["web"]["image"] == "dot-dot-"
    found = reading(text, files, env_files=["one.env", "two.env"], environment={"B": "task"}).definition["services"]["web"]
    assert (found["image"], found["env"]) == ("one-task-one", {"A": "one", "B": "task"})


def test_unset_variables_are_warned_of_once(reading: Any) -> None:
    found = reading("services: {web: {image: 'x$NO', user: 'u$NO'}}\n")
    assert found.warnings == ["The variable 'NO' is not set, and stands for nothing (compose.yaml)"]


def test_which_file(reading: Any) -> None:
    files = {"docker-compose.yml": "services: {old: {image: x}}", "docker-compose.override.yml": "services: {old: {user: o}}"}
    assert reading(files=files).definition["services"]["old"]["user"] == "o"
    found = reading("services: {old: {image: x}}", files)
    assert found.definition["services"]["old"]["image"] == "x"
    assert found.warnings[0] == "compose.yaml is taken, and docker-compose.yml beside it left"
