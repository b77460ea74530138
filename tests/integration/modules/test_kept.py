# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host keeps a module that it was sent; later tasks bring it a program of a few lines, and say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

from hosts import Host
from sites import Controller

PLAY = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/coracle.containers.containers:
      state_root: /var/lib/elsewhere
  tasks:
    - coracle.containers.container_cgroup:
        path: /%s/batch
        pids_max: "{{ most | default(10) }}"
      register: found
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: /run/found
      delegate_to: localhost
      check_mode: false
"""
WHOLE = {"ANSIBLE_KEEP_REMOTE_FILES": "true"}
"""With this Ansible sends the module itself, in a file."""


def run(host: Host, *options: str, **env: str) -> Tuple[Dict[str, Any], int]:
    """Run the task; its result, and how often the module itself was sent."""
    said = host.playbook(PLAY % host.name, "-i", "localhost,", "-c", "local", "-vvv", *options, env=env).stdout
    sent = len(re.findall(r"Using module file \S+/container_cgroup\.py", said))
    result: Dict[str, Any] = json.loads(host.shell("cat /run/found; rm /run/found"))
    return result, sent


def kept(host: Host) -> List[str]:
    """The modules that the host has kept."""
    return host.shell("cd /var/lib/elsewhere/engine && ls *[0-9a-f]/kept 2>/dev/null || true").split()


def test_a_kept_module_says_what_the_one_that_is_sent_says(host: Host) -> None:
    first, sent = run(host)
    assert first["changed"] and sent == 1, "together with the engine"
    assert len(kept(host)) == 1
    assert host.shell("ls -A /run/ansible-tmp 2>/dev/null || true") == ""
    for options, changed in ((("--check", "--diff", "-e", "most=20"), True), ((), False), (("-e", "most=many"), False),
                             (("-e", "most=30", "--diff"), True)):
        again, sent = run(host, *options)
        assert sent == 0
        assert again["changed"] == changed
        if again["changed"] and "--check" not in options:
            continue
        whole, sent = run(host, *options, **WHOLE)
        assert sent == 1
        assert again == whole
    assert len(kept(host)) == 1


def test_check_mode_keeps_nothing(host: Host) -> None:
    run(host)
    host.shell("rm -r /var/lib/elsewhere/engine/*[0-9a-f]/kept")
    _found, sent = run(host, "--check")
    assert sent == 1 and kept(host) == []
    _found, sent = run(host, "--check")
    assert sent == 1


@pytest.mark.parametrize("harm", ["chmod o+w", "chown 1", "truncate -s 100", "rm", "ln -sf /dev/null"])
def test_what_others_may_have_written_is_not_run(host: Host, harm: str) -> None:
    run(host)
    host.shell("%s /var/lib/elsewhere/engine/*[0-9a-f]/kept/*" % harm)
    found, sent = run(host)
    if harm.startswith("truncate"):  # by root, so it is run; and its fault is told
        assert sent == 0 and found["failed"]
        return
    assert sent == 1 and not found.get("failed")
    found, sent = run(host)
    assert sent == 0 and not found["changed"]


def test_a_module_that_cannot_be_kept_works_all_the_same(host: Host) -> None:
    run(host)
    host.shell("cd /var/lib/elsewhere/engine/*[0-9a-f]; rm -r kept; touch kept")
    for _time in range(2):
        found, sent = run(host)
        assert sent == 1 and not found.get("failed") and not found["changed"]


def test_modules_that_only_look_are_kept_beside_an_engine(host: Host) -> None:
    look = "- hosts: all\n  gather_facts: false\n  tasks:\n    - coracle.containers.container_host_info:\n"
    where = ("-i", "localhost,", "-c", "local", "-vvv")
    host.playbook(look, *where)
    assert host.shell("ls /var/lib/coracle") == "", "what only looks installs nothing"
    host.module("container_cgroup", path="/%s/batch" % host.name)
    host.shell("rm -f /var/lib/coracle/engine/*[0-9a-f]/kept/*host_info*")  # which another host may have left it
    assert "AnsiballZ" in host.playbook(look, *where).stdout
    assert "AnsiballZ" not in host.playbook(look, *where).stdout


SUDO = """#!/bin/sh
[ -t 0 ] || { echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1; }
while [ "$1" != /bin/sh ]; do shift; done
exec "$@"
"""


def test_over_ssh_and_past_a_sudo_that_wants_a_terminal(new_host: Callable[[], Host], tmp_path: Path) -> None:
    managed = new_host()
    controller = Controller(new_host(), {"one": managed}, tmp_path)
    book = tmp_path / "play.yml"
    book.write_text("""
- hosts: all
  gather_facts: false
  tasks:
    - coracle.containers.container_cgroup:
        path: /%s/batch
""" % managed.name, encoding="utf-8")
    assert controller.run(str(book)).recap["one"]["changed"] == 1
    again = controller.run(str(book), "-vvv")
    assert again.recap["one"]["changed"] == 0 and "container_cgroup.py" not in again.text
    managed.run(["install", "-m", "755", "/dev/stdin", "/usr/local/bin/sudo"], input=SUDO)
    wants = controller.run(str(book), "-vvv", ansible_become=True, ansible_become_exe="/usr/local/bin/sudo",
                           env={"ANSIBLE_SSH_PIPELINING": "false", "ANSIBLE_BECOME_ALLOW_SAME_USER": "true"})
    assert wants.recap["one"] == again.recap["one"] and "AnsiballZ_container_cgroup.py" in wants.text
