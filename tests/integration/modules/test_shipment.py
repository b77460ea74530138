# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine gets to a host: with the first task that finds none, and never again."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

import pytest

from hosts import Host

PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/coracle.containers.containers:
      state_root: /var/lib/elsewhere
  tasks:
    - coracle.containers.container_cgroup:
        path: /%s/batch
        pids_max: 10
%s
"""


def sent(output: str) -> int:
    """How often the archive was transferred, told by Ansible's own account of what it puts where."""
    return len(re.findall(r"PUT \S+coracle-engine-\w+\.zip TO", output))


def installed(host: Host) -> List[str]:
    """The engines of the host."""
    return host.shell("ls /var/lib/elsewhere/engine 2>/dev/null | grep -v current || true").split()


@pytest.mark.parametrize("pipelining", ["false", "true"])
def test_the_first_task_brings_the_engine_and_no_later_one(host: Host, pipelining: str) -> None:
    env = {"ANSIBLE_PIPELINING": pipelining}
    play = PLAY % (host.name, "    - coracle.containers.container_host_info:")
    first = host.playbook(play, "-vvv", env=env).stdout
    assert sent(first) == 1
    assert len(installed(host)) == 1
    assert "changed=1" in first
    second = host.playbook(play, "-vvv", env=env).stdout
    assert sent(second) == 0
    assert "changed=0" in second
    assert host.shell("ls -A /run/ansible-tmp 2>/dev/null || true") == ""


def test_check_mode_installs_nothing_and_predicts_all_the_same(host: Host) -> None:
    said = host.playbook(PLAY % (host.name, ""), "--check", "-vvv").stdout
    assert sent(said) == 1
    assert "changed=1" in said
    assert installed(host) == []
    assert host.shell("ls -A /run/ansible-tmp 2>/dev/null || true") == ""


def test_a_task_in_the_background_brings_it_at_once(host: Host) -> None:
    said = host.playbook(PLAY % (host.name, "      async: 60\n      poll: 1"), "-vvv").stdout
    assert sent(said) == 1
    assert "changed=1" in said and "failed=0" in said
    assert len(installed(host)) == 1


def test_a_user_without_rights_may_look_and_is_told_what_to_do_else(host: Host) -> None:
    host.shell("useradd -m worker")
    look = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: /usr/bin/python3
  become: true
  become_user: worker
  become_method: ansible.builtin.su
  tasks:
    - coracle.containers.container_host_info:
      register: found
    - ansible.builtin.debug:
        msg: "missing {{ found.host.missing.required | type_debug }}"
    - coracle.containers.container_cgroup:
        path: /x
      register: refused
      failed_when: "'must run as root' not in refused.msg"
"""
    said = host.playbook(look, env={"ANSIBLE_ALLOW_WORLD_READABLE_TMPFILES": "true"}).stdout
    assert "missing list" in said
    assert "failed=0" in said


def test_the_module_by_itself_says_what_is_missing(host: Host) -> None:
    payload = host.payload("container_cgroup", {"path": "/x"})
    text = payload.read_text(encoding="utf-8")
    payload.write_text(re.sub(r"(?m)^import os; os.environ.update.*\n", "", text, count=1), encoding="utf-8")
    done = host.run(["/usr/bin/python3", payload], check=False)
    result: Dict[str, Any] = json.loads(done.stdout[done.stdout.index("{"):])
    assert result["failed"] and result["engine_missing"]
    assert "Run the module as a task of Ansible" in result["msg"]
