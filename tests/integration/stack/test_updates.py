# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks that change, fail, and go back; plans that are kept."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Dict

from stacks import HEALTHY, Stacks, service

WRONG = ["/bin/sh", "-c", "exit 7"]


def ids(result: Dict[str, Any], name: str) -> Dict[str, str]:
    """The IDs of a service's containers."""
    return {each["name"]: each["id"] for each in result["stack"]["services"][name]["containers"]}


def test_a_failure_stops_its_dependants_only_and_going_back_works(stack: Stacks) -> None:
    good = {"base": service(), "free": service(), "web": service(depends_on=["base"]), "top": service(depends_on=["web"])}
    assert stack("shop", good)["stack"]["revision"] == 1
    bad = {**good, "base": service(command=["/does/not/exist"]), "free": service(env={"NEW": "1"}),
           "web": service(depends_on=["base"], env={"NEW": "1"}), "top": service(depends_on=["web"], env={"NEW": "1"})}
    said = stack("shop", bad, fail=True)
    assert said["changed"] and [each["operation"] for each in said["failures"]] == ["container shop-base-1"]
    assert "/does/not/exist" in said["msg"]
    assert said["skipped"] == [{"operation": "container shop-%s-1" % each, "because": "container shop-base-1"} for each in ("top", "web")]
    there = stack.host.module("container_info", name="shop-free-1")["containers"][0]
    assert there["options"]["env"]["NEW"] == "1"
    assert stack.host.module("container_stack_info")["stacks"][0]["revision"] is None

    said = stack("shop", bad, fail=True, rollback_on_failure=True)
    assert "The stack is back at revision 1" in said["msg"]
    assert not stack("shop", good)["changed"]

    better = {**good, "free": service(env={"NEW": "2"}), "more": service()}
    assert stack("shop", better)["stack"]["revision"] == 2
    back = stack("shop", state="rolled_back")
    assert {(each["sign"], each["name"]) for each in back["operations"]} == {("~", "shop-free-1"), ("-", "shop-more-1")}
    assert back["stack"]["revision"] == 1
    assert not stack("shop", state="rolled_back")["changed"]
    assert stack("shop", state="rolled_back", revision=2)["changed"]
    told = stack.host.module("container_stack_info")["stacks"][0]
    assert (told["revision"], told["rolled_back"]) == (2, True) and [each["revision"] for each in told["history"]] == [1, 2]
    assert sorted(told["services"]) == ["base", "free", "more", "top", "web"]


def test_replicas_are_replaced_in_turn_and_stop_where_one_fails(stack: Stacks) -> None:
    web = service(replicas=3, healthcheck=HEALTHY, update={"order": "start_first"})
    before = ids(stack("shop", {"web": web}, wait="healthy"), "web")
    after = stack("shop", {"web": {**web, "env": {"NEW": "1"}}}, wait="healthy")
    assert all(each["actions"] == ["swap"] for each in after["operations"])
    assert set(ids(after, "web").values()).isdisjoint(before.values())
    sick = {**web, "env": {"NEW": "2"}, "healthcheck": {"test": ["CMD", "false"], "interval": "200ms", "retries": 1}}
    said = stack("shop", {"web": sick}, fail=True, wait_timeout="60s")
    assert [each["operation"] for each in said["failures"]] == ["container shop-web-1"]
    assert [each["operation"] for each in said["skipped"]] == ["container shop-web-2", "container shop-web-3"]
    now = stack.host.module("container_stack_info")["stacks"][0]["services"]["web"]
    assert now["running"] == 3 and {each["name"]: each["id"] for each in now["containers"]} == ids(after, "web")
    for action, skipped in (("continue", 0), ("rollback", 2)):
        said = stack("shop", {"web": {**sick, "update": {"order": "stop_first", "failure_action": action}}}, fail=True, wait_timeout="60s")
        assert len(said["skipped"]) == skipped, said["msg"]
    assert "The service web is back at revision 2" in said["msg"]
    assert not stack("shop", {"web": {**web, "env": {"NEW": "1"}}}, wait="healthy")["changed"]


def test_batches_rest_between_and_bear_the_failures_that_they_may(stack: Stacks) -> None:
    # the first of a try whose health is looked at does not get well, the others do; where nothing can be made, all do
    check = "test -e /tmp/good || { ! test -e /tmp/bad && ! mkdir /data/$TRY && touch /tmp/good; } || { touch /tmp/bad; false; }"

    def services(word: str, **update: Any) -> Dict[str, Any]:
        return {"web": service(replicas=4, volumes=["tries:/data"], env={"TRY": word}, update={"order": "stop_first", **update},
                               healthcheck={"test": ["CMD-SHELL", check], "interval": "100ms", "retries": 1})}
    parts: Dict[str, Any] = {"volumes": {"tries": {}}, "wait_timeout": "60s"}
    stack("four", services("none/1"), **parts)
    made = stack("four", services("none/2", parallelism=2, delay="500ms"), **parts)
    born = sorted(datetime.fromisoformat(each["created"][:26]) for each in stack.host.module("container_info")["containers"]
                  if each["name"] in ids(made, "web"))
    assert (born[2] - born[1]).total_seconds() >= 0.5

    borne = stack("four", services("one", parallelism=2, max_failure_ratio=0.25), fail=True, **parts)
    assert (len(borne["failures"]), borne["skipped"]) == (1, [])
    ended = stack("four", services("two", parallelism=2), fail=True, **parts)
    assert [each["operation"] for each in ended["skipped"]] == ["container four-web-3", "container four-web-4"]
    brief = service(command=["/bin/sh", "-c", "sleep 0.2; exit 7"], update={"monitor": "60s"}, env={"NEW": "1"})
    stack("brief", {"a": service()})
    assert "has ended with exit code 7 within 60 s of its replacement" in stack("brief", {"a": brief}, fail=True)["msg"]


def test_dependants_start_anew_with_what_they_hang_on(stack: Stacks) -> None:
    services = {"net": service(), "side": service(network_mode="service:net"),
                "tied": service(depends_on={"net": {"condition": "started", "restart": True}}), "loose": service(depends_on=["net"])}
    stack("pod", services)
    changed = stack("pod", {**services, "net": service(env={"NEW": "1"})})
    assert {each["name"]: each["actions"][-1] for each in changed["operations"]} == {
        "pod-net-1": "start", "pod-side-1": "restart", "pod-tied-1": "restart"}
    same = stack.host.shell("for each in net side; do readlink /proc/$(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' "
                            "/run/coracle/containers/pod-$each-1/runtime/state.json | head -1)/ns/net; done").split()
    assert len(same) == 2 and same[0] == same[1]
    assert not stack("pod", {**services, "net": service(env={"NEW": "1"})})["changed"]


def test_ports_are_exchanged_in_one_run(stack: Stacks) -> None:
    def services(*ports: int) -> Dict[str, Any]:
        return {name: service(published_ports=["%d:80" % port], depends_on=list("abc"[:at]))
                for at, (name, port) in enumerate(zip("abc", ports))}
    stack("swap", services(7171, 7172, 7173))
    for ports in ((7172, 7171, 7173), (7173, 7172, 7171), (7172, 7171, 7173)):
        moved = stack("swap", services(*ports))
        assert all(each["disruption"] == "live" for each in moved["operations"])
        assert [each["containers"][0]["published_ports"] for each in moved["stack"]["services"].values()] == [
            ["%d:80/tcp" % port] for port in ports]
        assert not stack("swap", services(*ports))["changed"]


def test_a_plan_is_carried_out_only_while_it_is_true(stack: Stacks) -> None:
    path = "/run/shop.plan"
    assert "there is no plan in" in stack("shop", {"a": service()}, plan=path, fail=True)["msg"]
    stack("shop", {"a": service()}, plan=path, check_mode=True)
    kept = json.loads(stack.host.shell("cat " + path))
    assert kept["plan"] == ["+ network shop_default (create): is not there", "+ container shop-a-1 (create, start): is not there"]
    for there, told in ((json.dumps(dict(kept, plan=["nothing"])), "its digest is that of another"), ("no plan", "holds no JSON")):
        stack.host.run(["tee", path], input=there)
        assert told in stack("shop", {"a": service()}, plan=path, fail=True)["msg"]
    stack.host.run(["tee", path], input=json.dumps(kept))
    assert stack("shop", {"a": service()}, plan=path)["plan"] == kept["plan"]
    assert "does not fit any more" in stack("shop", {"a": service()}, plan=path, fail=True)["msg"]
    stack("shop", {"a": service(memory="64M")}, plan=path, check_mode=True)
    assert "asks for something else" in stack("shop", {"a": service(memory="65M")}, plan=path, fail=True)["msg"]
    stack("shop", {"a": service(env={"BY": "hand"})})
    assert "does not fit any more" in stack("shop", {"a": service(memory="64M")}, plan=path, fail=True)["msg"]


def test_secrets_are_in_memory_configs_are_files_and_ports_move_with_a_name(stack: Stacks) -> None:
    show = ["/bin/sh", "-c", "cd /run/secrets; cat key /etc/own /motd; stat -c '%a %u:%g' key; stat -c mode-%a /etc/own; exec sleep 1000"]
    given = [{"source": "key", "uid": 7, "gid": 8, "mode": "0440"}, {"source": "own", "target": "/etc/own"}]
    options: Dict[str, Any] = {"secrets": given, "configs": ["motd"], "command": show, "published_ports": ["7070:80"],
                               "stop_signal": "SIGKILL"}
    parts: Dict[str, Any] = {"secrets": {"key": {"content": "s3cret-of-length\n"}, "own": {"external": True}},
                             "configs": {"motd": {"content": "hello\n"}}}
    host = stack.host
    assert "the secret 'own' is external, and there is none" in stack("files", {"old": service(**options)}, fail=True, **parts)["msg"]
    host.module("container_secret", name="own", data="of-the-host\n")
    foreseen = stack("files", {"old": service(**options)}, check_mode=True, **parts)
    made = stack("files", {"old": service(**options)}, **parts)
    assert made["plan"] == foreseen["plan"] and "s3cret-of-length" not in json.dumps(made)
    read = "cat /var/lib/coracle/containers/files-%s-1/container.log"
    assert [text in host.shell(read % "old") for text in ("s3cret-of-length", "of-the-host", "hello", "440 7:8", "mode-400")] == [True] * 5
    assert host.shell("grep -rl s3cret-of-length /var/lib/coracle/stacks /var/lib/coracle/containers/*/*.json || true") == ""
    assert not stack("files", {"old": service(**options)}, **parts)["changed"]
    parts["secrets"]["key"]["content"] = "other\n"
    changed = stack("files", {"old": service(**options)}, **parts)
    assert changed["operations"][0]["options"] == ["secrets"]
    renamed = stack("files", {"new": service(**options)}, prune=True, **parts)
    assert {(each["sign"], each["name"]) for each in renamed["operations"]} == {("+", "files-new-1"), ("-", "files-old-1")}
    assert host.shell("ls /var/lib/coracle/stacks/files/files | wc -l").strip() == "1"
    stack("files", state="rolled_back", revision=1)
    assert "s3cret-of-length" in host.shell("cat /run/coracle/secrets/given/files-old-1/files/key")
    stack("files", state="absent")
    assert host.module("container_secret", name="own", state="absent")["secret"]["names"] == []
