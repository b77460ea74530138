# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same site.yml converges two hosts at once, each with its own sshd, from an inventory, over SSH."""

from __future__ import annotations

import json
import re
import time
from typing import Callable, Dict

import pytest

from hosts import Host
from sites import Controller, demonstration, everything_of
from waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def controller(new_host: Callable[[], Host], tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(new_host(), {"first": new_host(), "second": new_host()}, tmp_path_factory.mktemp("controller"))


def wait_for(look: Callable[[], str], expected: str, seconds: float = PATIENCE) -> str:
    """Look until something is to be seen; the last look."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if expected in seen or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)


def test_site_twice_then_by_hand_then_teardown(controller: Controller) -> None:
    before = {name: everything_of(host) for name, host in controller.managed.items()}
    variables: Dict[str, str] = {"demonstration_folder": str(demonstration())}

    first = controller.run("site", **variables)
    assert first.status == 0, first.text
    assert set(first.recap) == {"first", "second"}
    assert all(recap["changed"] > 0 and not recap["failed"] for recap in first.recap.values()), first.text
    assert first.text.count("NAME    IMAGE") == 2, first.text

    for host in controller.managed.values():
        address = host.shell("ip -4 -o addr show dev eth0").split()[3].partition("/")[0]
        page = controller.host.shell("curl -sS --max-time 60 http://%s:18080/" % address)
        assert "Hello from web" in page and "Flask" in page
        shown = json.loads(host.run(["coracle", "ps", "--json"]).stdout)
        assert {each["name"]: each["status"] for each in shown} == {"web": "running", "client": "running"}
        # The client finds the application by name and says what it saw.
        said = wait_for(lambda: host.run(["coracle", "logs", "client"]).stdout, "answered 200")  # noqa: B023
        assert "http://web:8080/ answered 200: Hello from web" in said
        options = {each["name"]: each["options"] for each in shown}
        assert (options["web"]["memory_max"], options["web"]["cpus"]) == (128 << 20, 0.5)

    second = controller.run("site", **variables)
    assert second.status == 0, second.text
    assert {name: recap["changed"] for name, recap in second.recap.items()} == {"first": 0, "second": 0}, second.text

    # One host's limit is edited by hand: check mode shows exactly that, and the next run mends it.
    edited = controller.managed["first"]
    edited.python("""
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group, limits
group.update("%s/web", limits.Limits(memory_max=96 << 20))
""" % edited.cgroup_root)
    drift = controller.run("site", "--check", "--diff", **variables)
    assert drift.status == 0, drift.text
    assert {name: recap["changed"] for name, recap in drift.recap.items()} == {"first": 1, "second": 0}, drift.text
    assert re.search(r"-.*memory_max.*100663296", drift.text) and re.search(r"\+.*memory_max.*134217728", drift.text), drift.text
    mended = controller.run("site", **variables)
    assert {name: recap["changed"] for name, recap in mended.recap.items()} == {"first": 1, "second": 0}, mended.text

    gone = controller.run("teardown", **variables)
    assert gone.status == 0, gone.text
    for name, host in controller.managed.items():
        assert everything_of(host) == before[name]
