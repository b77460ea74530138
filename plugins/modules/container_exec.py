#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_exec
short_description: Run a command in a running container
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Runs a program in a container that runs, as a further process of it, in its namespaces, its cgroup and its root, with its
    capabilities, its system call filter and its labels. Nothing but the program itself is needed in the image.
  - Like M(ansible.builtin.command), the task fails where the program ends with another status than 0. Use C(failed_when) to
    judge otherwise.
  - What the program leaves in the background goes on when the program has ended, and what it says from then on is lost.
    When the task itself is killed, as at the end of C(async), the program goes on; O(timeout) ends it.
options:
  container:
    description: Name of the container.
    type: str
    required: true
    aliases: [name]
  argv:
    description:
      - The program and its arguments, which no shell sees. A program without a slash is searched in the container's C(PATH).
      - Exactly one of O(argv) and O(command) is needed.
    type: list
    elements: str
  command:
    description:
      - The command line, which is taken apart at blanks and quotes as a shell does it, but given to no shell. For pipes, patterns
        and variables run one, as in V(/bin/sh -c 'ls /srv | wc -l').
      - Exactly one of O(argv) and O(command) is needed.
    type: str
  chdir:
    description: Absolute path of the folder in the container to run in. By default the container's own working directory.
    type: str
    aliases: [workdir]
  user:
    description:
      - Who runs it, as V(NAME), V(UID), V(NAME:GROUP) or V(UID:GID); names are those of the container's own files. By default the
        container's user. The variable C(HOME) becomes the user's, unless the container or O(env) sets it.
    type: str
  env:
    description:
      - Variables that the program gets beside those of the container. Values must be strings; quote numbers and booleans.
    type: dict
  stdin:
    description: What the program reads from its standard input, which is at its end otherwise.
    type: str
  stdin_add_newline:
    description: Whether a newline is added to O(stdin).
    type: bool
    default: true
  strip_empty_ends:
    description: Whether empty lines are removed from the ends of what the program wrote.
    type: bool
    default: true
  tty:
    description:
      - Whether the program gets a terminal of the container. All that it writes is in RV(stdout) then, and O(stdin) is seen there as
        a terminal shows what is typed.
    type: bool
    default: false
  privileged:
    description:
      - Whether the program may have all capabilities, of the container's user namespace where it has one of its own; root has them
        at once. The system call filter and the namespaces stay the container's.
    type: bool
    default: false
  creates:
    description:
      - Absolute path in the container. If it leads to anything, the program is not run. Links are followed inside the container.
    type: str
  removes:
    description: Absolute path in the container. Unless it leads to anything, the program is not run.
    type: str
  timeout:
    description:
      - How long the program may take, such as V(30s). After that it is killed with all that it has started, whatever became of that,
        and the task fails with RV(rc) 124 and what was written so far.
      - By default as long as it likes.
    type: str
  max_output:
    description:
      - How many bytes of RV(stdout) and of RV(stderr) are returned, the last ones, such as V(64k) or V(10M). What is dropped is counted and
        warned of, and takes no memory.
    type: str
    default: 1M
  detach:
    description:
      - Whether the program is started and left alone. What it writes is lost, and the task tells its process number on the host.
        Goes with none of O(stdin), O(tty) and O(timeout).
    type: bool
    default: false
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
attributes:
  check_mode:
    support: partial
    details:
      - What a program would do cannot be known. The task is skipped in check mode, unless O(creates) or O(removes) tell whether
        the program would run. The container, the user and all values are checked as otherwise.
  idempotent:
    support: partial
    details:
      - With O(creates) or O(removes).
  async:
    support: full
    description: Supports being used with the C(async) keyword.
seealso:
  - module: coracle.containers.container_run
  - module: coracle.containers.container_copy
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: Bring the database up to date
  coracle.containers.container_exec:
    container: shop
    argv: [python3, manage.py, migrate]
    chdir: /srv/shop
    user: shop
    timeout: 5m

- name: Make a key once
  coracle.containers.container_exec:
    container: shop
    command: openssl genrsa -out /srv/shop/key.pem 4096
    creates: /srv/shop/key.pem

- name: Load a dump
  coracle.containers.container_exec:
    container: db
    command: psql -U shop shop
    stdin: "{{ lookup('ansible.builtin.file', 'dump.sql') }}"

- name: Is it well? Its own word counts
  coracle.containers.container_exec:
    container: cache
    command: redis-cli ping
  register: ping
  changed_when: false
  failed_when: ping.stdout != 'PONG'

- name: Rebuild the index, which takes its time
  coracle.containers.container_exec:
    container: search
    command: /usr/bin/reindex --all
  async: 3600
  poll: 10
"""

RETURN = r"""
changed:
  description: Whether the program was run, or in check mode with O(creates) or O(removes) would be.
  type: bool
  returned: always
cmd:
  description: The program and its arguments.
  type: list
  elements: str
  returned: success, or when the program was run
rc:
  description: The status with which it ended, 128 and the number of the signal where one killed it; 124 after O(timeout).
  type: int
  returned: when O(detach=false)
stdout:
  description: What it wrote; the last O(max_output) of it.
  type: str
  returned: when O(detach=false)
stderr:
  description: What it wrote to its standard error.
  type: str
  returned: when O(detach=false)
stdout_dropped:
  description: How many bytes came before what is in RV(stdout).
  type: int
  returned: when it was run, and O(detach=false)
stderr_dropped:
  description: How many bytes came before what is in RV(stderr).
  type: int
  returned: when it was run, and O(detach=false)
timed_out:
  description: Whether it was killed since its time was up.
  type: bool
  returned: when it was run, and O(detach=false)
start:
  description: When it was started.
  type: str
  returned: when it was run, and O(detach=false)
end:
  description: When it ended.
  type: str
  returned: when it was run, and O(detach=false)
delta:
  description: How long it took.
  type: str
  returned: when it was run, and O(detach=false)
pid:
  description: Number of the process on the host.
  type: int
  returned: when it was run, and O(detach=true)
msg:
  description: Why it failed, or was not run.
  type: str
  returned: failure, or when it was not run
exec:
  description: Where it is run.
  type: dict
  returned: success
  contains:
    container:
      description: Name of the container.
      type: str
    container_id:
      description: Its ID.
      type: str
    uid:
      description: Number of the user inside.
      type: int
    gid:
      description: Number of the group inside.
      type: int
    chdir:
      description: The folder inside.
      type: str
actions:
  description: The step C(exec) with the container as its target, or nothing.
  type: list
  elements: dict
  returned: always
diff:
  description: With C(--diff), the same. What is run is not said.
  type: dict
  returned: success, with C(--diff)
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.exec import OPTIONS


def main() -> None:
    run("exec", OPTIONS, mutually_exclusive=[("argv", "command")], required_one_of=[("argv", "command")])


if __name__ == "__main__":
    main()
