# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role overlay: one network over hosts that are reached by SSH, from an inventory; one joins, one leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from hosts import Host
from sites import Controller, Run
from talk import inside

pytestmark = pytest.mark.slow

PLAY = """
- hosts: all
  gather_facts: false
  vars:
    overlay_ranges: [10.80.0.0/16, "fd00:80::/48"]
    overlay_name: mesh
    overlay_address: "{{ ansible_host }}"
  roles: [coracle.containers.overlay]
"""


@pytest.fixture(scope="module")
def controller(new_host: Callable[[], Host], tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(new_host(), {name: new_host() for name in ("one", "two", "three")}, tmp_path_factory.mktemp("controller"))


def converge(controller: Controller, folder: Path, hosts: List[str], *options: str, **variables: Any) -> Run:
    """Run the role on some hosts, of which the network consists too unless it is said otherwise."""
    play = folder / "play.yml"
    play.write_text(PLAY, encoding="utf-8")
    done = controller.run(str(play), "--limit", ",".join(hosts), *options, **{"overlay_hosts": hosts, **variables})
    assert done.status == 0, done.text
    return done


def changed(done: Run) -> Dict[str, int]:
    return {name: recap["changed"] for name, recap in done.recap.items()}


def test_hosts_join_and_leave(controller: Controller, tmp_path: Path) -> None:
    managed = controller.managed
    assert changed(converge(controller, tmp_path, ["one", "two"])) == {"one": 1, "two": 1}
    assert changed(converge(controller, tmp_path, ["one", "two"])) == {"one": 0, "two": 0}
    for name in ("one", "two"):
        managed[name].module("container_netns", name="in-" + name, network={"name": "mesh"})
    managed["one"].run([*inside("in-one"), "ping", "-n", "-c", "1", "-w", "60", "-M", "do", "-s", "1422", "10.80.1.2"])
    managed["two"].run([*inside("in-two"), "ping", "-n", "-c", "1", "-w", "60", "fd00:80::2"])

    # The third one joins: the others are outside of the play, are asked, and learn of it with their next run.
    three = converge(controller, tmp_path, ["three"], overlay_hosts=["three", "one", "two"])
    assert changed(three) == {"three": 1}
    known = managed["three"].module("container_network_info", name=["mesh"])["networks"][0]
    assert known["subnet"] == "10.80.2.0/24"
    assert [(peer["name"], peer["subnets"][0], [each["name"] for each in peer["members"]]) for peer in known["peers"]] == [
        ("one", "10.80.0.0/24", ["in-one"]), ("two", "10.80.1.0/24", ["in-two"])]
    everybody = ["one", "two", "three"]
    assert changed(converge(controller, tmp_path, everybody)) == {"one": 1, "two": 1, "three": 0}
    managed["three"].module("container_netns", name="in-three", network={"name": "mesh"})
    managed["three"].run([*inside("in-three"), "ping", "-n", "-c", "1", "-w", "60", "10.80.0.2"])
    gone = converge(controller, tmp_path, everybody, overlay_state="absent")
    assert changed(gone) == dict.fromkeys(everybody, 1)
    for host in managed.values():
        assert "mesh" not in host.shell("ip -o link; ip route; nft list ruleset")
