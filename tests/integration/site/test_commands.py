# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first command of the README, as a person types it: site, site again, teardown."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import collection
from hosts import Host
from sites import Run, demonstration, everything_of, result_of

pytestmark = pytest.mark.slow

SITE = collection.ROOT / "scripts" / "site.sh"


@pytest.fixture(scope="module")
def controller() -> None:
    """What the command sets up on first use needs the package indexes, which test hosts do not reach."""
    subprocess.run(["bash", "-ec", ". %s/lib.sh; venv controller; install_collection" % SITE.parent], check=True)
    demonstration()


@pytest.mark.usefixtures("controller")
def test_site_twice_then_teardown(host: Host, tmp_path: Path) -> None:
    def site(*arguments: Any) -> Run:
        command = [SITE, *arguments, "-e", "demonstration_folder=%s" % demonstration(),
                   "-e", "coracle_cgroup_root=%s" % host.cgroup_root]
        return result_of(host.run(command, check=False, timeout=550))
    before = everything_of(host)

    first = site()
    assert first.status == 0, first.text
    assert "web     demonstration:" in first.text
    assert "18080:8080" in first.text
    assert "Hello from web" in host.run(["curl", "-sS", "--max-time", "5", "http://127.0.0.1:18080/"]).stdout

    second = site()
    assert second.status == 0, second.text
    assert second.recap["localhost"]["changed"] == 0, second.text

    predicted = site("teardown", "--check")
    assert predicted.recap["localhost"]["changed"] > 0, predicted.text
    assert "Hello from web" in host.run(["curl", "-sS", "--max-time", "5", "http://127.0.0.1:18080/"]).stdout

    gone = site("teardown")
    assert gone.status == 0, gone.text
    assert everything_of(host) == before
    again = site("teardown")
    assert again.recap["localhost"]["changed"] == 0, again.text
