# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container needs around its process, made and given back: mounts, network, files, the process itself.

Each function brings one thing about, whatever part of it is there already, so
that an interrupted run is completed by the next.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import ExitStack
from typing import Any, Dict, List, Mapping, Optional, Set

from ..cgroup import group, limits, request
from ..errors import EngineError
from ..instance import Instance
from ..kernel import mounts, paths, processes
from ..layer import overlay
from ..network import attach, hosts
from ..runtime import users
from ..store import files, locks
from . import bundle, client, records, restart, sockets, userns, wiring

ETC = {"hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf"}


def start(instance: Instance, record: records.Record) -> socket.socket:
    """Start a container that does not run; what is done is undone where it fails.

    Returns: The connection to its monitor, which tells the exit code in the end.
    """
    status = records.read_status(instance, record.name)
    records.write_status(instance, record.name, status._replace(stopped=False, restarts=0, error=None))
    try:
        prepare(instance, record)
        link = client.ask(instance, {"do": "start", "name": record.name})
        try:
            client.answer(link)
        except BaseException:
            link.close()
            raise
    except BaseException:
        release(instance, record.name)
        raise
    return link


def prepare(instance: Instance, record: records.Record) -> None:
    """Mount its root, connect its network, write its files and its bundle's configuration."""
    name, options = record.name, record.options
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("containers"))
    files.make_folder(records.run_folder(instance, name))
    root = records.run_folder(instance, name, "rootfs")
    netns = wiring.settle(instance, name, options)
    if record.id_base is not None:
        userns.make(instance, name, record.id_base, with_network=netns.mode in ("bridge", "none"))
    mount_root(instance, record, root)
    attach.apply(instance, netns)
    etc = hosts.write(instance, name, wiring.names(options), netns.mode)
    places = bundle.Places(root, instance.cgroup(name), wiring.path(instance, name, netns.mode),
                           {ETC[file]: path for file, path in etc.items()}, volumes(instance, options),
                           None if record.id_base is None else userns.path(instance, name),
                           None if record.id_base is None else userns.mappings(record.id_base))
    config = bundle.config(options, identity(root, options), places,
                           limits.to_oci(request.from_options(options)))
    files.write_json(records.folder(instance, name, "config.json"), config)


def mount_root(instance: Instance, record: records.Record, root: str) -> None:
    """Mount the image's layers with the container's own on top, unless they are."""
    there = overlay.observe(root)
    if there is not None and there.chain_id == overlay.chain_id(record.diff_ids):
        return
    mounts.unmount_if_mounted(root)
    files.make_folder(root)
    upper, work = (records.folder(instance, record.name, part) for part in ("upper", "work"))
    for path, mode in ((upper, 0o755), (work, 0o700)):
        files.make_folder(path, mode)
    if record.id_base is not None:
        os.chown(upper, record.id_base, record.id_base)
    namespace = None if record.id_base is None else os.open(userns.path(instance, record.name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        overlay.mount(instance, record.diff_ids, root, upper, work, user_namespace=namespace)
    finally:
        if namespace is not None:
            os.close(namespace)


def identity(root: str, options: Mapping[str, Any]) -> bundle.Identity:
    """Who the container's process is, looked up in the image."""
    inside = paths.Root(root)
    try:
        user = users.resolve(inside, options["user"], options["groups"])
    finally:
        inside.close()
    return bundle.Identity(user.uid, user.gid, user.groups, user.home)


def volumes(instance: Instance, options: Mapping[str, Any]) -> Dict[str, str]:
    """The folders of the named volumes that the options mention; made where they are missing."""
    found = {}
    for row in options["mounts"]:
        if row["type"] == "volume":
            found[row["source"]] = volume_folder(instance, row["source"])
            for path in (instance.state("volumes"), os.path.dirname(found[row["source"]])):
                files.make_folder(path)
            files.make_folder(found[row["source"]], 0o755)
    return found


def volume_names(record: Optional[records.Record]) -> Set[str]:
    """The named volumes that a container mentions."""
    return {row["source"] for row in (record.options["mounts"] if record else ()) if row["type"] == "volume"}


def volume_folder(instance: Instance, name: str) -> str:
    """Where a named volume's content is."""
    return instance.state("volumes", name, "_data")


def remove_volumes(instance: Instance, names: Set[str]) -> None:
    """Delete named volumes that no container mentions any more."""
    used: Set[str] = set()
    for each in records.names(instance):
        used |= volume_names(records.read(instance, each))
    for name in names - used:
        shutil.rmtree(instance.state("volumes", name), ignore_errors=True)


def tidy(instance: Instance) -> None:
    """Remove the folders that have become empty with the last container."""
    files.remove_empty(instance.state("containers"), instance.state("volumes"), instance.run("containers"))


def release(instance: Instance, name: str) -> None:
    """Give back what C(prepare) made and what a run may have left: processes, cgroup, mounts, network, run folder."""
    with ExitStack() as steps:  # each is tried, whatever becomes of those before it
        steps.callback(_remove_run_folder, instance, name)
        steps.callback(overlay.unmount, instance, records.run_folder(instance, name, "rootfs"))
        steps.callback(attach.remove, instance, name)
        steps.callback(_end_processes, instance.cgroup(name))


def _end_processes(path: str) -> None:
    if group.exists(path):
        group.kill(path)
    group.remove(path)
    group.prune(os.path.dirname(path))


def _remove_run_folder(instance: Instance, name: str) -> None:
    folder = records.run_folder(instance, name)
    for mounted in mounts.below(folder):
        mounts.unmount(mounted.target, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    files.remove_empty(instance.run("containers"), instance.run("netns"))


def stop(instance: Instance, name: str, signal_number: int, timeout: float) -> None:
    """End a container and give back what it used. The monitor does it; where there is none, a new one is made.

    Args:
        timeout: Seconds until it is killed.
    """
    link = monitor(instance, name)
    if link is not None and sockets.send(link, {"do": "stop", "signal": signal_number, "timeout": timeout}):
        link.settimeout(timeout + 30)
        try:
            sockets.receive(link)
        except socket.timeout:
            raise EngineError("the container '%s' did not end within %d s of being killed" % (name, 30),
                              "Look for processes in uninterruptible sleep in cgroup %s" % instance.cgroup(name))
        finally:
            link.close()
    status = records.read_status(instance, name)
    records.write_status(instance, name, status._replace(stopped=True))
    await_monitor(instance, name)
    release(instance, name)


def await_monitor(instance: Instance, name: str) -> None:
    """Wait until the monitor has nothing left to do but to wait for the container's lock, which the caller holds."""
    path = records.run_folder(instance, name, "monitor.sock")
    deadline = time.monotonic() + 5
    while os.path.exists(path) and time.monotonic() < deadline:
        live = records.read_live(instance, name)
        if live.monitor is None or not processes.alive(live.monitor):
            return
        time.sleep(0.002)


def monitor(instance: Instance, name: str) -> Optional[socket.socket]:
    """A connection to the monitor; a dead one is replaced. C(None) where there is nothing to watch."""
    path = records.run_folder(instance, name, "monitor.sock")
    if not os.path.isdir(os.path.dirname(path)):
        return None
    link = sockets.connect(path)
    if link is None and records.read_live(instance, name).init is not None:
        adopt(instance, name)
        link = sockets.connect(path)
    return link


def adopt(instance: Instance, name: str) -> None:
    """Give a running container a new monitor and wait until it is there."""
    link = client.ask(instance, {"do": "adopt", "name": name})
    try:
        sockets.receive(link)
    finally:
        link.close()


def tell_monitor(instance: Instance, name: str) -> None:
    """Let the monitor read the record again."""
    link = monitor(instance, name)
    if link is not None:
        sockets.send(link, {"do": "reload"})
        sockets.receive(link)
        link.close()


# At boot

def boot_order(instance: Instance) -> List[str]:
    """The containers that a boot starts, those whose network others join before these others."""
    names = []
    for name in records.names(instance):
        record = records.read(instance, name)
        if record is None:
            continue
        status = records.read_status(instance, name)
        policy = restart.parse(record.options.get("restart_policy") or restart.NO)
        if restart.starts_at_boot(policy, status.stopped, status.status in ("running", "restarting")):
            names.append((str(record.options.get("network_mode")).startswith("container:"), name))
    return [name for _joins, name in sorted(names)]


def boot(instance: Instance, name: str) -> None:
    """Start one container unless it runs."""
    with locks.held(instance, "container", name):
        live = records.read_live(instance, name)
        record = records.read(instance, name)
        if record is None or any(each is not None and processes.alive(each) for each in live):
            return  # it runs, or somebody is at it
        release(instance, name)
        start(instance, record).close()
