# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a stack: made, unchanged, changed, stopped, removed."""

from __future__ import annotations

from stacks import HEALTHY, Stacks, service


def test_a_stack_comes_up_stays_and_goes(stack: Stacks) -> None:
    services = {
        "db": service(healthcheck=HEALTHY, volumes=["data:/data"]),
        "migrate": service(one_shot=True, command=["/bin/sh", "-c", "echo done > /data/migrated"], volumes=["data:/data"], depends_on={
            "db": {"condition": "healthy"}}),
        "web": service(replicas=2, networks=["default", "front"], depends_on={"migrate": {"condition": "completed_successfully"}}),
    }
    parts = {"networks": {"front": {"isolate": "strict"}}, "volumes": {"data": {}}}
    foreseen = stack("shop", services, check_mode=True, **parts)
    assert stack.names_running() == []
    made = stack("shop", services, **parts)
    assert made["changed"] and made["actions"] == foreseen["actions"] and made["plan"] == foreseen["plan"]
    assert [each["sign"] for each in made["operations"]] == ["+"] * 7
    assert made["stack"]["services"]["web"]["running"] == 2
    assert made["stack"]["services"]["migrate"]["containers"][0]["exit_code"] == 0
    assert stack.names_running() == ["shop-db-1", "shop-web-1", "shop-web-2"]
    again = stack("shop", services, **parts)
    assert not again["changed"] and again["actions"] == []
    asked = stack.host.module("container_exec", name="shop-db-1", argv=["/bin/busybox", "nslookup", "web"])["stdout"]
    replicas = {stack.host.module("container_exec", name="shop-web-%d" % number, argv=["/bin/hostname", "-i"])["stdout"].split()[0]
                for number in (1, 2)}
    assert len(replicas) == 2 and replicas <= set(asked.split()), asked  # a service's name stands for all its replicas

    services["web"] = service(replicas=1, networks=["default", "front"], env={"COLOUR": "blue"}, depends_on=["db"])
    foreseen = stack("shop", services, prune=True, check_mode=True, **parts)
    changed = stack("shop", services, prune=True, **parts)
    assert changed["plan"] == foreseen["plan"]
    assert {(each["sign"], each["name"]) for each in changed["operations"]} == {("~", "shop-web-1"), ("-", "shop-web-2")}
    assert changed["diff"]["after"]["container shop-web-1.env"]["COLOUR"] == "blue"
    assert not stack("shop", services, prune=True, **parts)["changed"]

    stopped = stack("shop", state="stopped")
    assert {each["name"] for each in stopped["operations"]} == {"shop-db-1", "shop-web-1"}
    assert stack.names_running() == []
    assert not stack("shop", state="stopped")["changed"]
    assert stack("shop")["changed"]  # as it was declared last
    assert stack.names_running() == ["shop-db-1", "shop-web-1"]

    gone = stack("shop", state="absent", keep_volumes=False)
    assert {(each["kind"], each["name"]) for each in gone["operations"]} >= {
        ("container", "shop-db-1"), ("network", "shop_default"), ("network", "shop_front"), ("volume", "shop_data")}
    assert not stack("shop", state="absent")["changed"]
    assert stack.host.module("container_network_info")["networks"] == []
    assert stack.host.module("container_stack_info")["stacks"] == []
