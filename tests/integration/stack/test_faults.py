# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a stack is told, all of it, before anything is changed."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from stacks import Stacks, service

WRONG: Dict[str, Any] = {
    "several at once, each with its path": (
        {"web": service(memry="1M", published_ports=["80:x"], restart_policy="perhaps"), "db": {"command": ["x"]}}, {},
        ["definition.services.web.memry: is no option here; did you mean 'memory'?",
         "definition.services.web.published_ports[0]: value '80:x'",
         "definition.services.web.restart_policy: value 'perhaps' is no restart policy"]),
    "what is external": (
        {"a": service(networks=["out"], volumes=["kept:/data"])},
        {"networks": {"out": {"external": True}}, "volumes": {"kept": {"external": True}}},
        ["the network 'out' is external", "the volume 'kept' is external"]),
    "an image that is nowhere": ({"a": service(image="missing")}, {}, ["the image 'missing' is not in the store"]),
    "health without a check": (
        {"a": service(depends_on={"b": {"condition": "healthy"}}), "b": service()}, {},
        ["waits for the health of 'b', which has no health check"]),
    "a mount": ({"a": service(volumes=["/does/not/exist:/data"])}, {}, ["the source '/does/not/exist' does not exist on the host"]),
    "subnets": (
        {"a": service(networks=["one", "two"])}, {"networks": {"one": {"subnet": "10.77.0.0/24"}, "two": {"subnet": "10.77.0.128/25"}}},
        ["network 'x_two'"]),
    "an address": (
        {"a": service(networks=[{"name": "one", "ipv4_address": "10.9.9.9"}])}, {"networks": {"one": {"subnet": "10.77.0.0/24"}}},
        ["10.9.9.9"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_definition_is_told_before_anything_is_changed(stack: Stacks, case: str) -> None:
    services, parts, told = WRONG[case]
    said = stack("x", services, fail=True, **parts)
    assert not said.get("changed")
    assert [text for text in told if text not in said["msg"]] == [], said["msg"]
    assert len(said["faults"]) >= len(told)
    assert untouched(stack)


def untouched(stack: Stacks) -> bool:
    """Whether nothing has been made on the host."""
    there: List[Any] = stack.host.module("container_info")["containers"]
    return there == [] and stack.host.module("container_network_info")["networks"] == [] \
        and stack.host.module("container_stack_info")["stacks"] == []


def test_a_container_of_somebody_else_is_left_alone(stack: Stacks) -> None:
    stack.host.module("container_run", name="x-a-1", image="busybox", command=["/bin/sleep", "1000"], stop_signal="SIGKILL")
    try:
        said = stack("x", {"a": service()}, fail=True)
        assert "there is a container 'x-a-1' already, and it is not of this stack" in said["msg"]
    finally:
        stack.host.module("container_run", name="x-a-1", state="absent")


def test_a_port_of_somebody_else_is_told(stack: Stacks) -> None:
    stack("y", {"a": service(published_ports=["9090:80"])})
    said = stack("x", {"a": service(published_ports=["9090:80"])}, fail=True)
    assert "port 9090/tcp of the host is taken: container 'y-a-1' publishes it" in said["msg"]


def test_what_needs_a_stack_says_so(stack: Stacks) -> None:
    assert "there is no stack 'x'" in stack("x", fail=True)["msg"]
    assert "no earlier revision to go back to" in stack("x", state="rolled_back", fail=True)["msg"]
    assert not stack("x", state="absent")["changed"] and not stack("x", state="stopped")["changed"]
    assert "goes with the state 'rolled_back' only" in stack("x", {"a": service()}, revision=3, fail=True)["msg"]
    assert "there is no service 'z'" in stack("x", {"a": service()}, services=["z"], fail=True)["msg"]


def test_a_fault_of_the_task_is_told_whole_and_secrets_are_not(stack: Stacks) -> None:
    services = {"a": service(depends_on={"b": {"condition": "healthy"}}, env={"PASSWORD": "hush-hush-hush"})}
    said = stack("x", services, secrets={"key": {"content": "quiet-quiet-quiet"}}, wait="hush-hush-hush healthy", fail=True)
    assert "one of: none, started, healthy" in said["msg"]
    assert "hush-hush-hush" not in str(said) and "quiet-quiet-quiet" not in str(said)
    said = stack("x", services, parallel=["volume"], fail=True)
    assert "parallel" in said["msg"] and "hush-hush-hush" not in str(said)
    said = stack.host.module("container_stack", name="x", definition="hush-hush-hush", fail=True)
    assert "definition" in said["msg"] and "hush-hush-hush" not in str(said)
