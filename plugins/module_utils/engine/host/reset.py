# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an instance away: its processes, cgroups, namespaces, links, rules, mounts and files.

Works from what the kernel and the folders show, so that a half-made or spoilt
object does not stand in the way. Steps that find nothing to do are no error.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import Iterator, List

from ..cgroup import group
from ..container import cgroups, records, units
from ..errors import EngineError, InvalidValue
from ..instance import Instance
from ..kernel import mounts, nftables, processes, rtnetlink
from ..kernel.netlink import Socket
from ..network import attach, firewall, networks, sysctls
from ..network import records as network_records
from ..network.ends import ALIAS

GRACE = 10.0
"""Seconds that all containers together have to end before they are killed."""
SHARED = ("/", "/boot", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var", "/var/lib", "/var/run",
          "/system.slice", "/user.slice")
"""What no instance can have to itself."""


def reset(instance: Instance) -> None:
    """End and remove everything that belongs to the instance, images and volumes included.

    Raises:
        InvalidValue: One of the roots is shared with others, such as C(/).
        EngineError: The kernel refused a step; what came before it is done, and a second run goes on from there.
    """
    for option in ("state_root", "run_root", "cgroup_root"):
        path = getattr(instance, option)
        if path in SHARED:
            raise InvalidValue(option, path, "is not the engine's alone", "Name the one that the instance was made with")
    end_keepers(instance)
    end_containers(instance)
    for name in records.names(instance):  # their groups may be elsewhere
        cgroups.end(instance, cgroups.of(instance, name))
    group.kill(instance.cgroup_root)
    group.remove(instance.cgroup_root)
    remove_networks(instance)
    units.forget(instance)
    for root in (instance.run_root, instance.state_root):
        unmount_below(root)
        remove_folder(root)


def end_keepers(instance: Instance) -> None:
    """Kill the keeper, the resolver and the monitors, so that nobody starts again what is about to end."""
    for _round in range(10):
        handles = [each for each in map(processes.open_pidfd, _engine_processes(instance)) if each is not None]
        if not handles:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped, none of them can put another in the place of one that ended
            for pidfd in handles:
                processes.send_signal(pidfd, number)
        for pidfd in handles:
            processes.wait(pidfd, 5)
            os.close(pidfd)


def _engine_processes(instance: Instance) -> Iterator[processes.Process]:
    """Those that run from the instance's engine folder, but for the one that asks and those above it."""
    mine = set()
    pid = os.getpid()
    while pid > 1:
        mine.add(pid)
        with open("/proc/%d/stat" % pid, "rb") as stream:
            pid = int(stream.read().rpartition(b")")[2].split()[1])
    engine = os.fsencode(instance.state("engine") + "/")
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in mine:
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as stream:
                words = stream.read().split(b"\0")
        except OSError:
            continue
        process = processes.identify(int(name)) if any(word.startswith(engine) for word in words) else None
        if process is not None:
            yield process
    for name in records.names(instance):
        monitor = records.read_live(instance, name).monitor
        if monitor is not None and processes.alive(monitor):
            yield monitor


def end_containers(instance: Instance) -> None:
    """Ask the first process of each container to end, with the signal that it was given, and wait for all together."""
    handles = []
    for name in records.names(instance):
        try:
            init = records.read_live(instance, name).init
            record = records.read(instance, name)
        except EngineError:  # spoilt; its cgroup is killed later
            continue
        pidfd = processes.open_pidfd(init) if init is not None else None
        if pidfd is not None:
            wanted = (record.options.get("stop_signal") if record else None) or signal.SIGTERM
            group.thaw(cgroups.of(instance, name))
            processes.send_signal(pidfd, int(wanted))
            handles.append(pidfd)
    deadline = time.monotonic() + GRACE
    for pidfd in handles:
        processes.wait(pidfd, max(0.0, deadline - time.monotonic()))
        os.close(pidfd)


def remove_networks(instance: Instance) -> None:
    """Remove namespaces, links, addresses, rules, and give sysctls back."""
    names = {record.name for record in network_records.every(instance)}
    folder = instance.run("netns")
    names.update(os.listdir(folder) if os.path.isdir(folder) else ())
    for name in sorted(names):
        attach.remove(instance, name)
    with Socket() as sock:
        for network in networks.every(instance):
            networks.remove_bridge(sock, network)
            networks.forget(instance, network.name)
        ours = " of %s" % instance.name
        for link in rtnetlink.links(sock):
            if link.alias.startswith(ALIAS) and link.alias.endswith(ours):
                sock.request(rtnetlink.delete_link(link.name))
        if nftables.available():
            firewall.remove(instance)
        sysctls.give_back(instance, sock)


def unmount_below(root: str) -> None:
    """Unmount what is mounted below a folder, the latest first; loop devices clear themselves with their mounts."""
    for mount in mounts.below(root):
        if mount.target != root:
            mounts.unmount_if_mounted(mount.target)


def remove_folder(root: str) -> None:
    """Remove a folder with all in it; a folder on which an administrator has mounted a disk stays, empty."""
    if not os.path.isdir(root):
        return
    for entry in os.listdir(root):
        path = os.path.join(root, entry)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    if not os.path.ismount(root):
        os.rmdir(root)


def remains(instance: Instance) -> List[str]:
    """What of an instance is still to be seen, as sentences; empty after C(reset)."""
    found = ["process %d" % process.pid for process in _engine_processes(instance)]
    found += ["cgroup " + path for path in sorted(set(group.paths(instance.cgroup_root).values()))]
    found += ["mount " + mount.target for root in (instance.run_root, instance.state_root)
              for mount in mounts.below(root) if mount.target != root]
    with Socket() as sock:
        found += ["link " + link.name for link in rtnetlink.links(sock)
                  if link.alias.startswith(ALIAS) and link.alias.endswith(" of " + instance.name)]
    return found
