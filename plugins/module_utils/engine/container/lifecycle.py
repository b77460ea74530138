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
import signal
import socket
import sys
import time
from contextlib import ExitStack
from typing import Any, List, Mapping, Optional

from ..cgroup import limits, request
from ..errors import EngineError
from ..instance import Instance
from ..kernel import mounts, paths, processes
from ..layer import overlay
from ..network import attach, hosts
from ..runtime import users
from ..store import files, locks
from . import (activation, boot_files, bundle, cgroups, client, devices, naming, readiness, records, runtimes, secret_files, sharing,
               sockets, userns, volumes, wiring)

ETC = {"hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf"}


def start(instance: Instance, record: records.Record, published: bool = True) -> socket.socket:
    """Start a container that does not run, with its hooks; what is done is undone where it fails.

    Args:
        published: Whether its ports lead to it from the beginning.

    Returns: The connection to its monitor, which tells the exit code in the end.
    """
    status = records.read_status(instance, record.name)
    fresh = status._replace(stopped=False, ended_for="", restarts=0, error=None)
    if status != fresh:
        records.write_status(instance, record.name, fresh)
    try:
        prepare(instance, record, published)
        link = client.ask(instance, {"do": "start", "name": record.name})
        try:
            client.answer(link)
            _post_start(instance, record)
        except BaseException:
            link.close()
            raise
    except BaseException as error:
        release(instance, record.name)
        if isinstance(error, EngineError) and error.what.startswith(secret_files.MISSING):
            records.write_status(instance, record.name, records.read_status(instance, record.name)._replace(error=error.what))
        raise
    return link


def _post_start(instance: Instance, record: records.Record) -> None:
    """Run what is to be run after the start; without it the container does not stay."""
    if not record.options.get("post_start"):
        return
    from . import hooks  # pylint: disable=import-outside-toplevel
    try:
        hooks.run(instance, record, hooks.POST_START)
    except BaseException as error:
        stop(instance, record.name, signal.SIGKILL, 0.0)
        records.write_status(instance, record.name, records.read_status(instance, record.name)._replace(error=str(error)))
        raise


def pre_stop(instance: Instance, record: records.Record) -> None:
    """Run what is to be run before a container is stopped on request.

    Raises:
        EngineError: It has failed, and the container is to go on.
    """
    if record.options.get("pre_stop"):
        from . import hooks  # pylint: disable=import-outside-toplevel
        hooks.run(instance, record, hooks.PRE_STOP)


def prepare(instance: Instance, record: records.Record, published: bool = True) -> None:
    """Mount its root, connect its network, write its files and its bundle's configuration."""
    name, options = record.name, record.options
    secret_files.need(instance, options.get("secrets") or ())
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("containers"))
    files.make_folder(records.run_folder(instance, name))
    root = records.run_folder(instance, name, "rootfs")
    netns = wiring.settle(instance, name, options)
    if record.candidate:
        netns = wiring.hidden(netns)
    if not published:
        netns = netns._replace(published=())
    if record.ids is not None:
        userns.make(instance, name, record.ids, with_network=netns.mode in ("bridge", "none"))
    mount_root(instance, record, root)
    attach.apply(instance, netns)
    answering = naming.begin(instance)
    etc = hosts.write(instance, name, wiring.names(options), netns.mode)
    namespaces = sharing.namespaces(instance, name, options, wiring.path(instance, name, netns.mode),
                                    None if record.ids is None else userns.path(instance, name))
    who = identity(root, options)
    inside = paths.Root(root)
    try:
        secrets = secret_files.give(instance, name, secret_rows(inside, options, who), record.ids)
    finally:
        inside.close()
    places = bundle.Places(root, cgroups.path(instance, name, options), namespaces,
                           {ETC[file]: path for file, path in etc.items()}, volumes.ready(instance, record, root),
                           sharing.shm(instance, name, options), userns.mappings(record.ids), devices.of(options),
                           records.read_profile(instance, name), secrets,
                           readiness.folder(instance, name) if options.get("sdnotify") == readiness.PROGRAM else None)
    if places.notify is not None:
        files.make_folder(places.notify, 0o755)
    userns.need(record.ids, options["user"], who.uid, [who.gid, *who.groups])
    config = bundle.config(options, who, places,
                           limits.to_oci(request.from_options(options)))
    runtimes.settle(instance, options, config)
    # Made anew from the record at each start, so that no power cut can make it matter.
    files.write_json(records.folder(instance, name, "config.json"), config, durable=False)
    naming.ensure(instance, answering)


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
    if record.ids is not None:
        os.chown(upper, *userns.root_of(record.ids))
    namespace = None if record.ids is None else os.open(userns.path(instance, record.name), os.O_RDONLY | os.O_CLOEXEC)
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


def secret_rows(inside: paths.Root, options: Mapping[str, Any], who: bundle.Identity) -> List[secret_files.Row]:
    """The secrets of a container, whose users are looked up in its files; by default they are those of its process."""
    rows = []
    for row in options.get("secrets") or ():
        uid = who.uid if row["uid"] is None else users.resolve(inside, row["uid"]).uid
        gid = who.gid if row["gid"] is None else users.resolve(inside, "0:" + row["gid"]).gid
        rows.append(secret_files.Row(row["source"], secret_files.target_of(row), uid, gid, row["mode"]))
    return rows


def tidy(instance: Instance) -> None:
    """Remove the folders that have become empty with the last container."""
    if not records.names(instance):
        shutil.rmtree(runtimes.folder(instance), ignore_errors=True)
    files.remove_empty(instance.state("containers"), instance.state("volumes"), instance.run("containers"), instance.run("activation"))


def release(instance: Instance, name: str) -> None:
    """Give back what C(prepare) made and what a run may have left: processes, cgroup, mounts, network, run folder."""
    with ExitStack() as steps:  # each is tried, whatever becomes of those before it
        steps.callback(_remove_run_folder, instance, name)
        steps.callback(secret_files.take_back, instance, name)
        steps.callback(overlay.unmount, instance, records.run_folder(instance, name, "rootfs"))
        steps.callback(attach.remove, instance, name)
        steps.callback(cgroups.end, instance, cgroups.of(instance, name))


def _remove_run_folder(instance: Instance, name: str) -> None:
    folder = records.run_folder(instance, name)
    for mounted in mounts.below(folder):
        mounts.unmount(mounted.target, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    files.remove_empty(instance.run("containers"), instance.run("netns"))


def stop(instance: Instance, name: str, signal_number: int, timeout: float, reason: str = "") -> None:
    """End a container and give back what it used. The monitor does it; where there is none, a new one is made.

    Args:
        timeout: Seconds until it is killed.
        reason: C(ended_for) of its status; without one it counts as stopped on request.
    """
    link = monitor(instance, name)
    if link is not None and sockets.send(link, {"do": "stop", "signal": signal_number, "timeout": timeout, "reason": reason}):
        link.settimeout(timeout + 30)
        try:
            sockets.receive(link)
        except socket.timeout:
            raise EngineError("the container '%s' did not end within %d s of being killed" % (name, 30),
                              "Look for processes in uninterruptible sleep in cgroup %s" % cgroups.of(instance, name))
        finally:
            link.close()
    status = records.read_status(instance, name)
    records.write_status(instance, name, status._replace(**records.as_ended(reason)))
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


def show(instance: Instance, record: records.Record) -> None:
    """Have systemd know of a container that has taken the place of another, whose unit went with it."""
    from . import units  # pylint: disable=import-outside-toplevel
    live = units.monitored(instance, record.name)
    units.show(instance, record.name, record.options, None if live is None else live.monitor)


def log_command(instance: Instance, name: str) -> str:
    """The command that shows a container's output."""
    return boot_files.command(instance, "logs", name)


# At boot and at the host's end

def begin(instance: Instance, name: str, awake: bool = False) -> bool:
    """Start a container unless it runs; whether it had to be. One that is started at the first connection only sleeps from then on.

    Args:
        awake: Start that one too.
    """
    with locks.held(instance, "container", records.called(name)):
        live = records.read_live(instance, name)
        record = records.read(instance, name)
        if record is None or any(each is not None and processes.alive(each) for each in live):
            return False  # it runs, or somebody is at it
        release(instance, name)  # what was recorded of its network before the host went down, too
        if activation.wanted(record.options):
            activation.arm(instance, record)
            if not awake:
                return True
        start(instance, record).close()
        return True


def end(instance: Instance, name: str, reason: str = "") -> bool:
    """Stop a container as its options say, unless it does not run; whether it had to be.

    Args:
        reason: As of C(stop); with one, hooks that fail keep nothing from its end.
    """
    with locks.held(instance, "container", records.called(name)):
        live, record = records.read_live(instance, name), records.read(instance, name)
        sleeps = record is not None and activation.listening(instance, name)
        if sleeps:
            activation.disarm(instance, name)
        if record is None or not sleeps and not any(each is not None and processes.alive(each) for each in live):
            return False
        try:
            pre_stop(instance, record)
        except EngineError as error:
            if not reason:
                raise
            sys.stderr.write("coracle: %s\n" % error)  # a host that goes down waits for nobody
        stop(instance, name, int(record.options["stop_signal"]), record.options["stop_timeout"] / 1000000, reason)
        return True
