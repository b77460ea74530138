# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells process 1 of the containers: as texts, the scripts run with commands that only say what they were called with."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from ansible_collections.coracle.containers.plugins.filter.container_boot_script import container_boot_script
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import boot_files
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance


def instance(folder: Path) -> Instance:
    """One with a space in a path, and a command that notes its words."""
    made = Instance(str(folder / "its state"), str(folder / "run"), "/its")
    program = folder / "its state/engine/current/coracle"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nshift 6\necho "$*" >>%s/said\n' % folder, encoding="utf-8")
    program.chmod(0o755)
    return made


def test_the_script_of_system_v(tmp_path: Path) -> None:
    script = tmp_path / "coracle"
    script.write_text(boot_files.sysv(instance(tmp_path)), encoding="utf-8")
    script.chmod(0o755)  # it calls itself for a restart
    for word, status in (("start", 0), ("stop", 0), ("restart", 0), ("status", 0), ("dance", 2)):
        assert subprocess.run(["sh", str(script), word], check=False, capture_output=True).returncode == status
    assert (tmp_path / "said").read_text(encoding="utf-8").split() == ["boot", "shutdown", "shutdown", "boot", "ps"]


def test_the_script_of_openrc(tmp_path: Path) -> None:
    script = boot_files.openrc(instance(tmp_path))
    assert script.startswith("#!/sbin/openrc-run\n")
    shim = "ebegin() { :; }; eend() { return $1; }; need() { :; }; use() { :; }; after() { :; }\n"
    subprocess.run(["sh", "-euc", shim + script + "\ndepend; start; stop"], check=True)
    assert (tmp_path / "said").read_text(encoding="utf-8").split() == ["boot", "shutdown"]


def test_the_script_of_runit_waits_and_ends_the_containers_with_itself(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text(boot_files.runit(instance(tmp_path)).replace("sleep 86400 &", "sleep 86400 & kill -TERM $$;"), encoding="utf-8")
    done = subprocess.Popen(["sh", str(script)], start_new_session=True)
    assert done.wait(120) == 0
    os.killpg(done.pid, signal.SIGTERM)  # the sleep
    assert (tmp_path / "said").read_text(encoding="utf-8").split() == ["boot", "shutdown"]


@pytest.mark.parametrize("kind", sorted(boot_files.KINDS))
def test_default_roots_are_not_said_and_the_filter_says_the_same(kind: str) -> None:
    text = boot_files.KINDS[kind](Instance())
    assert "--state-root" not in text and "/var/lib/coracle/engine/current/coracle boot" in text
    assert container_boot_script(kind) == text
