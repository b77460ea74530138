# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume's mount: made, looked for, taken away."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import Iterator, List, Optional, Sequence

from ..errors import Conflict, EngineError, KernelError, NotFound, Unsupported
from ..instance import Instance
from ..kernel import commands, loop, mounts
from . import drivers, records
from .records import Record

_NAMES_TRIED = ("4.2", "4.1", "4.0")


def wanted(record: Record) -> bool:
    """Whether something has to be mounted before the volume can be used."""
    return record.backing in (records.IMAGE, records.MOUNT)


def seen(instance: Instance, record: Record, table: Optional[Sequence[mounts.Mount]] = None) -> Optional[mounts.Mount]:
    """What is mounted for a volume as it has to be; C(None) where nothing is, or something else."""
    found = mounts.at(records.content(instance, record.name), None if table is None else list(table))
    if found is None or record.backing == records.IMAGE:
        return found
    call = record.call
    if call is None or (call.seen_as and found.fstype not in call.seen_as):
        return None
    return found


def attach(instance: Instance, record: Record) -> None:
    """Mount what a volume needs, unless it is.

    Raises:
        Unsupported: A helper or a file system is missing.
        EngineError: The helper or the kernel failed; says what it said.
    """
    if not wanted(record) or seen(instance, record) is not None:
        return
    target = records.content(instance, record.name)
    mounts.unmount_if_mounted(target)
    call = record.call
    if record.backing == records.IMAGE:
        _attach_image(records.image(instance, record.name), target)
    elif call is not None:
        _attach_call(record.name, call, target)


def detach(instance: Instance, record: Record, force: bool = False) -> None:
    """Unmount a volume, all layers of mounts.

    Args:
        force: Even where a process of the host is in it, or a server does not answer.

    Raises:
        Conflict: It is in use on the host.
    """
    target = records.content(instance, record.name)
    while mounts.at(target) is not None:
        try:
            mounts.unmount(target, mounts.UMOUNT_NOFOLLOW | (mounts.MNT_DETACH if force else 0))
        except KernelError as error:
            if error.errno != errno.EBUSY:
                raise
            raise Conflict("the volume '%s' is in use: something has files of %s open" % (record.name, target),
                           "End it ('fuser -vm %s' names it), or say 'force: true'" % target) from error


def _attach_image(path: str, target: str) -> None:
    handle, device = loop.attach(path, read_only=False)
    try:
        # Blocks that are freed inside go back to the disk that the file is on.
        mounts.mount(device, target, "ext4", mounts.MS_NOATIME, "discard")
    finally:
        os.close(handle)


def _attach_call(name: str, call: drivers.Call, target: str) -> None:
    if call.bind:
        if not os.path.isdir(call.source):
            raise NotFound("volume '%s': the folder %s is not there" % (name, call.source), "Create it first")
        mounts.bind(call.source, target, read_only="ro" in call.options, recursive="rbind" in call.options)
        return
    helper = drivers.HELPERS.get(call.fstype)
    program = commands.find(helper.name) if helper is not None else None
    if helper is not None and program is not None:
        _by_helper(name, program, call, target)
    elif helper is not None and helper.needed:
        raise Unsupported("volume '%s': this host has no %s, which mounts file systems of type %s"
                          % (name, helper.name, call.fstype), "Install Debian's package %s, or what has it elsewhere" % helper.package)
    elif helper is not None:
        _nfs(name, call, target)
    else:
        flags, data = drivers.flags_of(call.options)
        with _explained(name, call):
            mounts.mount(call.source, target, call.fstype, flags, ",".join(data))


def _by_helper(name: str, program: str, call: drivers.Call, target: str) -> None:
    """Let the host's own program do it: it asks name services, keys and servers, and knows what this kernel wants."""
    options = list(call.options)
    if call.fstype in ("nfs", "nfs4") and not any(each.startswith("retry=") for each in options):
        options.append("retry=0")  # in minutes; a task that fails can be run again
    done = commands.run([program, call.source, target, *(["-o", ",".join(options)] if options else [])],
                        environment=call.environment)
    if done.status:
        said = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())
        raise EngineError("volume '%s': %s cannot mount %s (exit status %d): %s" % (
            name, os.path.basename(program), call.source, done.status, said or "it says nothing"),
            "Check 'driver_options', and whether the server serves this to this host")
    if mounts.at(target) is None:
        raise EngineError("volume '%s': %s has ended well and mounted nothing" % (name, program), "Look at what it is")


def _nfs(name: str, call: drivers.Call, target: str) -> None:
    """NFS by the kernel alone (nfs(5)): version 4 and up, which needs no other service, from the newest version on."""
    host, _colon, path = call.source.rpartition(":")
    options = [each for each in call.options if not each.startswith("retry=")]
    versions: Sequence[str] = [""] if any(each.startswith(("vers=", "nfsvers=")) for each in options) else _NAMES_TRIED
    flags, data = drivers.flags_of(options)
    address = _address(name, host.strip("[]"))
    with _explained(name, call):
        for at, version in enumerate(versions):
            words = [*data, *(["vers=" + version] if version else []), "addr=" + address, "clientaddr=" + _own_address(address)]
            try:
                mounts.mount("%s:%s" % (host, path), target, "nfs", flags, ",".join(words))
                return
            except KernelError as error:
                if error.errno not in (errno.EPROTONOSUPPORT, errno.EINVAL) or at == len(versions) - 1:
                    raise


def _address(name: str, host: str) -> str:
    import socket  # pylint: disable=import-outside-toplevel
    try:
        return str(socket.getaddrinfo(host, 2049, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise NotFound("volume '%s': the server '%s' has no address: %s" % (name, host, error.strerror or error),
                       "Check the name, or write an address") from error


def _own_address(server: str) -> str:
    """The address from which the server would see this host; no packet is sent."""
    import socket  # pylint: disable=import-outside-toplevel
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((server, 2049))
            return str(probe.getsockname()[0])
        except OSError:
            return "0.0.0.0"


@contextmanager
def _explained(name: str, call: drivers.Call) -> Iterator[None]:
    """Say of a refusal what was refused."""
    try:
        yield
    except KernelError as error:
        if error.errno == errno.ENODEV:
            raise Unsupported("volume '%s': this kernel has no file system of type %s" % (name, call.fstype),
                              "Load its module (modprobe %s), or run a kernel that has it" % call.fstype) from error
        raise EngineError("volume '%s': the kernel cannot mount %s (%s): %s" % (
            name, call.source, call.fstype, os.strerror(error.errno)),
            "Check 'driver_options', and whether the device or server is there") from error


def inside(instance: Instance, name: str) -> List[mounts.Mount]:
    """What somebody has mounted below a volume's content; it would be deleted with it."""
    top = records.content(instance, name)
    return [each for each in mounts.below(top) if each.target != top]
