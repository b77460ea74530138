# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Process 1 of a test host: arranges its mounts, then reaps until its standard input ends.

When it ends, the kernel ends every process of the host and, with the last of
them, its mounts and links.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

OWN = ("/etc", "/var/lib", "/usr/local", "/opt", "/var/log", "/var/cache", "/srv", "/mnt")
"""Folders that a host may write to as it likes: what is written goes to its own layer."""


def mount(*arguments: str) -> None:
    """Call mount(8)."""
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL)


def arrange(name: str, folder: str) -> None:
    """Give the host its own /proc, /sys, /run, /dev/shm and writable layers; the machine's tree stays below."""
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    for path in OWN:
        layer = os.path.join(folder, "layers", path.strip("/").replace("/", "-"))
        os.makedirs(layer + "/upper")
        os.makedirs(layer + "/work")
        mount("-t", "overlay", "-o", "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (path, layer, layer),
              "overlay", path)
    state = os.path.join(folder, "state")
    os.mkdir(state, 0o700)
    os.makedirs("/var/lib/coracle", exist_ok=True)
    mount("--bind", state, "/var/lib/coracle")
    mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev", "tmpfs", "/run")
    mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", "/dev/shm")
    for path in ("/run/lock", "/run/sshd", "/run/sys"):
        os.mkdir(path)
    # A sysfs of its own shows the links of its own network namespace; the cgroup trees are those of the machine.
    mount("-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/run/sys")
    mount("--rbind", "/sys/fs/cgroup", "/run/sys/fs/cgroup")
    mount("--rbind", "/run/sys", "/sys")
    subprocess.run(["umount", "-R", "/run/sys"], check=True)
    os.rmdir("/run/sys")
    with open("/proc/sys/kernel/hostname", "w", encoding="ascii") as stream:
        stream.write(name)
    with open("/etc/hostname", "w", encoding="ascii") as stream:
        stream.write(name + "\n")
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):  # a new namespace has what the machine has
        if os.path.exists("/proc/sys/net/" + path):
            with open("/proc/sys/net/" + path, "w", encoding="ascii") as stream:
                stream.write("0")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def reap(*_arguments: Any) -> None:
    """Collect what has ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> None:
    """Arrange, say so, reap."""
    arrange(sys.argv[1], sys.argv[2])
    signal.signal(signal.SIGCHLD, reap)
    os.write(1, b"ready\n")
    os.close(1)
    while os.read(0, 64):
        pass


if __name__ == "__main__":
    main()
