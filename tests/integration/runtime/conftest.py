# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the runtime share: a bundle in a test host, and a look at what is left there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import hierarchy
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
from bundles import Bundle, Lab, children
from hosts import MANAGED_PYTHON, Host


@pytest.fixture
def lab(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Lab:
    """Call a scenario with a bundle inside a test host, and look for what it leaves there."""
    path = "%s/%s" % (shared_host.cgroup_root, request.node.name.replace("[", "-").rstrip("]"))
    bundle = Bundle(tmp_path / "bundle", path)

    def guarded(scenario: Callable[[Bundle], Any]) -> Any:
        before = (len(mounts.table()), len(os.listdir("/proc/self/fd")))
        result = scenario(bundle)
        assert os.listdir(bundle.states) == [], "state left"
        assert (len(mounts.table()), len(os.listdir("/proc/self/fd"))) == before, "mounts or descriptors left"
        assert children(os.getpid()) == [], "processes left"
        for root in hierarchy.discover().all_roots():
            assert not os.path.exists(hierarchy.folder(root, path)), "cgroup left"
        return result
    return lambda scenario: shared_host.call(guarded, scenario)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as its installer makes it from the sources under test."""
    prefix = tmp_path_factory.mktemp("prefix")
    installer = Path(__file__).resolve().parents[3] / "scripts" / "install_runtime.py"
    subprocess.run([MANAGED_PYTHON, str(installer), "--no-seal", "--prefix", str(prefix)], check=True, capture_output=True)
    for folder in (prefix, *prefix.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    return prefix / "bin" / "coracle"
