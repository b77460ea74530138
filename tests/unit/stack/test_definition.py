# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a stack's definition is told, all of it, each with its path."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import pytest

import collection

collection.use()

from ansible_collections.coracle.containers.plugins.module_utils.engine.container import records as containers  # noqa: E402
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError  # noqa: E402
from ansible_collections.coracle.containers.plugins.module_utils.engine.stack import definition, planning, reality  # noqa: E402
from ansible_collections.coracle.containers.plugins.module_utils.options import stack_definition  # noqa: E402

TASK = {"services": None, "recreate": False, "force": False, "keep_volumes": True, "wait_timeout": 1, "pull": None}


def service(**options: Any) -> Dict[str, Any]:
    """A service with an image."""
    return {"image": "busybox", **options}


def expand(services: Any, task: Mapping[str, Any] = {}, **parts: Any) -> definition.Stack:
    """A definition as the engine has it."""
    document = stack_definition.read({"services": services, **parts}, "x")
    return definition.expand(document, "sha256:0", "/state/stacks/x", "x:{}:{}".format, {**TASK, **task})


WRONG: Dict[str, Any] = {
    "several at once, each with its path": (
        {"web": service(memry="1M", published_ports=["80:x"], restart_policy="perhaps"), "db": {"command": ["x"]}}, {},
        ["definition.services.web.memry: is no option here; did you mean 'memory'?",
         "definition.services.web.published_ports[0]: value '80:x'",
         "definition.services.web.restart_policy: value 'perhaps' is no restart policy"]),
    "no image": ({"db": {"command": ["x"]}}, {}, ["definition.services.db: lacks 'image'"]),
    "a circle": (
        {"a": service(depends_on=["b"]), "b": service(depends_on=["c"]), "c": service(depends_on=["a"])}, {},
        ["in a circle: a -> b -> c -> a"]),
    "references": (
        {"a": service(depends_on=["nobody"], networks=["nowhere"], volumes=["nothing:/data"], secrets=["none"], network_mode="bridge")}, {},
        ["there is no service 'nobody'", "there is no 'nowhere' in definition.networks", "there is no 'nothing' in definition.volumes",
         "there is no 'none' in definition.secrets"]),
    "ports": (
        {"a": service(published_ports=["8080:80"]), "b": service(published_ports=["127.0.0.1:8080:81"])}, {},
        ["port 8080/tcp of the host is also that of 'x-a-1'"]),
    "replicas of one port": ({"a": service(replicas=2, published_ports=["8080:80"])}, {}, [
        "port 8080/tcp of the host is also that of 'x-a-1'"]),
    "names": (
        {"a": service(container_name="same"), "b": service(container_name="same")}, {},
        ["the container's name 'same' is that of the service"]),
    "one name for several": ({"a": service(container_name="one", replicas=2)}, {}, ["container_name: cannot be with 2 replicas"]),
    "conditions": ({"a": service(depends_on={"b": {"condition": "green"}}), "b": service()}, {}, [
        "the condition 'green', which is none of"]),
    "updates": (
        {"a": service(update={"parallelism": -1, "delay": "soon", "order": "any", "max_failure_ratio": 2})}, {},
        ["update.parallelism: value -1", "update.delay: value 'soon'", "update.order: value 'any'", "update.max_failure_ratio: value 2"]),
    "a join": ({"a": service(network_mode="service:b")}, {}, ["there is no service 'b'"]),
    "no mapping": ({"a": ["image", "busybox"]}, {}, ["definition.services.a: is no mapping"]),
    "a name": ({"a b": service()}, {}, ["definition.services.a b: has characters that a name must not have"]),
    "a part": ({"a": service()}, {"secrets": ["x"]}, ["definition.secrets: is no mapping of names"]),
    "an external config": ({"a": service(configs=["c"])}, {"configs": {"c": {"external": True}}}, ["a host keeps none by itself"]),
    "a secret without content": ({"a": service(secrets=["s"])}, {"secrets": {"s": {}}}, ["'s' says neither 'content' nor 'file'"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_all_faults_of_a_definition_are_told(case: str) -> None:
    services, parts, told = WRONG[case]
    with pytest.raises(EngineError) as caught:
        expand(services, **parts)
    assert [text for text in told if text not in str(caught.value)] == [], str(caught.value)
    assert len(caught.value.facts["faults"]) >= len(told)


def test_secret_values_are_in_no_message() -> None:
    with pytest.raises(EngineError) as caught:
        expand({"a": service(env={"PASSWORD": "hunter2", "NUMBER": 7}, secrets=[{"source": "s", "mode": "9"}])},
               secrets={"s": {"content": ["hunter2"]}})
    assert "hunter2" not in str(caught.value) and "secrets.s.content" in str(caught.value)


def test_services_become_containers() -> None:
    stack = expand({
        "db": service(volumes=["data:/data", "/srv:/srv"], networks=["back"]),
        "web": service(replicas=2, depends_on=["db"], env={"A": "b"}, labels={"own": "1"}),
        "tool": service(network_mode="service:db", container_name="tool"),
    }, networks={"back": {"name": "real"}}, volumes={"data": None})
    assert [each.name for each in stack.containers] == ["x-db-1", "x-web-1", "x-web-2", "tool"]
    database, web, _second, tool = (each.params for each in stack.containers)
    assert [row["source"] for row in database["volumes"]] == ["x_data", "/srv"]
    assert [(row["name"], row["aliases"]) for row in database["networks"]] == [("real", ["db"])]
    assert [(row["name"], row["aliases"]) for row in web["networks"]] == [("x_default", ["web"])]
    assert web["labels"]["own"] == "1" and web["labels"]["coracle.stack.service"] == web["labels"]["com.docker.compose.service"] == "web"
    assert tool["network_mode"] == "container:x-db-1" and stack.services["tool"].needs["db"].implied
    assert sorted(stack.networks) == ["real", "x_default"] and sorted(stack.volumes) == ["x_data"]


def test_podmans_names_say_the_same() -> None:
    """Also where a service joins another, and where it asks for the network that it would not get by default."""
    stack = expand({"db": service(label={"own": "1"}, network="bridge"), "tool": service(net="service:db", ipc="service:db")})
    database, tool = (each.params for each in stack.containers)
    assert database["labels"]["own"] == "1" and database["networks"] == [] and not stack.networks
    assert tool["network_mode"] == tool["ipc_mode"] == "container:x-db-1"


def test_some_services_bring_those_that_they_need_and_no_others() -> None:
    stack = expand({"a": service(depends_on=["b"]), "b": service(networks=["n"]), "c": service(networks=["m"])}, {"services": ["a"]},
                   networks={"n": {}, "m": {}})
    assert sorted(stack.services) == ["a", "b"] and sorted(stack.networks) == ["x_default", "x_n"]


def test_files_are_named_after_their_content() -> None:
    def paths(content: str, **row: Any) -> Any:
        stack = expand({"a": service(configs=[{"source": "s", **row}])}, configs={"s": {"content": content}})
        (mount,) = stack.containers[0].params["mounts"]
        assert mount["target"] == "/s" and mount["read_only"] and mount["source"] in stack.files
        return mount["source"]
    assert paths("one") == paths("one") != paths("two")
    assert paths("one", mode="0400") != paths("one") != paths("one", uid=5)


def test_secrets_are_those_of_containers_by_the_names_that_they_are_kept_by() -> None:
    stack = expand({"a": service(secrets=["s", {"source": "out", "target": "/etc/key", "uid": 5, "mode": "0440"}])},
                   secrets={"s": {"content": "one"}, "out": {"external": True, "name": "real"}})
    assert stack.containers[0].params["secrets"] == [
        {"source": "x:s:b'one'", "target": "s", "uid": None, "gid": None, "mode": 0o400, "on_change": "none"},
        {"source": "real", "target": "/etc/key", "uid": "5", "gid": None, "mode": 0o440, "on_change": "none"}]
    assert stack.secrets == {"x:s:b'one'": b"one"} and ("secret", "real") in stack.external


def test_what_waits_and_who_takes_turns() -> None:
    stack = expand({
        "db": service(), "job": service(depends_on=["db"]),
        "web": service(replicas=3, update={"parallelism": 2}, depends_on={
            "job": {"condition": "completed_successfully"}, "db": {"condition": "healthy"}})})
    assert stack.services["job"].one_shot and not stack.services["db"].one_shot
    seen = tuple(reality.Seen(each, reality.Desired(each.name, "started"), reality.Observed(each.name)) for each in stack.containers)
    found = reality.Reality(None, {}, {}, seen)
    made = [planning.Operation("+", "container", each.name, each.service, tuple(
        planning.Change(action, each.name) for action in ("create", "start")), "") for each in stack.containers]
    edges, waits = planning.order(stack, found, made, "started")
    assert waits == {"completed_successfully x-job-1": "x-job-1", "healthy x-db-1": "x-db-1"}
    assert edges["container x-web-1"].after == {"container x-job-1", "completed_successfully x-job-1", "container x-db-1", "healthy x-db-1"}
    assert edges["container x-job-1"].after == {"container x-db-1"}
    assert edges["completed_successfully x-job-1"].after == {"container x-job-1"}
    replaced = [each._replace(sign="~", changes=(planning.Change("recreate", each.name),)) for each in made]
    edges, _waits = planning.order(stack, found, replaced, "started")
    assert edges["container x-web-3"].behind == {"container x-web-1", "container x-web-2"} and edges["container x-web-2"].behind == set()


def test_ports_that_go_round_are_let_go_of_by_one() -> None:
    stack = expand({name: service(published_ports=["%d:80" % port], depends_on=needs) for name, port, needs in (
        ("a", 2, []), ("b", 3, ["a"]), ("c", 1, []))})
    records = [containers.Record("x-%s-1" % name, "", "", "", "", [], {"published_ports": ["%d:80/tcp" % port]}, None, 0, False)
               for name, port in (("a", 1), ("b", 2), ("c", 3))]
    seen = tuple(reality.Seen(each, reality.Desired(each.name, "started"), reality.Observed(each.name)._replace(record=record))
                 for each, record in zip(stack.containers, records))
    moved = [planning.Operation("~", "container", each.name, each.service, (planning.Change("update", each.name),), "")
             for each in stack.containers]
    edges, beside = planning.order(stack, reality.Reality(None, {}, {}, seen), moved, "started")
    assert edges["container x-a-1"].behind == {"container x-b-1"} and edges["container x-b-1"].behind == {"container x-c-1"}
    assert beside == {"ports x-a-1": "x-a-1"} and edges["container x-c-1"].after == {"ports x-a-1"}
    assert edges["ports x-a-1"] == planning.Edge()
