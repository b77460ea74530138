# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host that outlives the command that started it, for scenarios that are steps of their own.

    machine.py start FILE     starts one with an sshd, and writes to FILE how Ansible reaches it
    machine.py stop FILE      ends it and removes FILE
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import List

import collection
import sites
from hosts import MANAGED_PYTHON, MARK, Host
from payloads import Payloads
from waiting import PATIENCE


def start(record: Path) -> int:
    """Start the machine and a process that keeps it."""
    record.parent.mkdir(parents=True, exist_ok=True)
    collection.use()
    demonstration = sites.demonstration()
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1):
        os.dup2(null, handle)
    folder = Path(tempfile.mkdtemp(prefix="coracle-machine-"))
    host = Host(folder / "host", Payloads())
    try:
        login = host.sshd()
        door = " ".join(host.command("/usr/sbin/sshd", "-i", "-f", host.folder / "ssh" / "config"))
        record.write_text(json.dumps({
            "ansible_host": host.name, "ansible_user": login["user"], "ansible_ssh_private_key_file": login["key"],
            "ansible_ssh_common_args": "%s -o ProxyCommand='env %s=%s %s'" % (login["options"], MARK, host.name, door),
            "ansible_python_interpreter": MANAGED_PYTHON, "coracle_cgroup_root": host.cgroup_root,
            "demonstration_folder": str(demonstration), "machine_keeper": os.getpid()}), encoding="utf-8")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        os.write(tell, b"1")
        os.close(tell)
        os.dup2(null, 2)
        while True:
            signal.pause()
    finally:
        host.close()
        shutil.rmtree(folder)
        record.unlink()


def stop(record: Path) -> int:
    """End the machine."""
    keeper = int(json.loads(record.read_text(encoding="utf-8"))["machine_keeper"])
    try:
        os.kill(keeper, signal.SIGTERM)
    except ProcessLookupError:
        record.unlink()
        return 0
    deadline = time.monotonic() + PATIENCE
    while record.exists():
        if time.monotonic() > deadline:
            sys.stderr.write("the machine's keeper %d does not end\n" % keeper)
            return 1
        time.sleep(0.05)
    return 0


def main(arguments: List[str]) -> int:
    """The command line; returns the exit status."""
    verb, path = arguments
    return {"start": start, "stop": stop}[verb](Path(path).resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
