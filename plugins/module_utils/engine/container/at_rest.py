# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a container that does not run, as it will see them: its layers, with its mounts, where nobody else sees them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

from ..errors import EngineError
from ..instance import Instance
from ..kernel import mounts, namespaces, paths
from ..layer import overlay
from ..runtime import isolation, rootfs
from ..store import files
from . import bundle, records, userns, volumes


@contextmanager
def mounted(instance: Instance, record: records.Record) -> Iterator[paths.Seen]:
    """The root of a container that does not run, and will not while the context lasts: its lock is held.

    It is mounted in a mount namespace of a process that is there for nothing else. With that it goes, whatever becomes of
    the caller; on the host nothing is mounted.

    Raises:
        EngineError: It cannot be mounted.
    """
    reading, saying = os.pipe2(os.O_CLOEXEC)
    waiting, release = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.close(release)
            os.write(saying, _prepare(instance, record))
            os.read(waiting, 1)  # the end of it is that of the caller, or its wish
        finally:
            os._exit(0)
    os.close(saying)
    os.close(waiting)
    try:
        said = os.read(reading, 4096)
        if said != b"ready":
            raise EngineError(said.decode("utf-8", "replace") or "the process that mounted the container's files was ended",
                              "Start the container once, and look at what it says")
        root = paths.Seen("/proc/%d/root%s" % (child, _place(instance, record)))
        try:
            yield root
        finally:
            root.close()
    finally:
        os.close(release)
        os.close(reading)
        os.waitpid(child, 0)
        overlay.unmount(instance, records.run_folder(instance, record.name, "rootfs"))  # sweeps what mounting has made


def _place(instance: Instance, record: records.Record) -> str:
    """Where it is mounted: over a folder that is there in any case."""
    return os.path.realpath(records.folder(instance, record.name))


def _prepare(instance: Instance, record: records.Record) -> bytes:
    try:
        _mount(instance, record)
        return b"ready"
    except EngineError as error:
        return error.what.encode("utf-8", "surrogateescape")[:4000]
    except OSError as error:
        return ("%s: %s" % (error.filename, error.strerror)).encode("utf-8", "surrogateescape")[:4000]


def _mount(instance: Instance, record: records.Record) -> None:
    places = volumes.ready(instance, record, None)
    upper, work = (records.folder(instance, record.name, part) for part in ("upper", "work"))
    for path, mode in ((upper, 0o755), (work, 0o700)):
        files.make_folder(path, mode)
    mappings = userns.mappings(record.ids)
    if record.ids is not None:
        os.chown(upper, *userns.root_of(record.ids))
    namespaces.unshare(namespaces.NEWNS)
    mounts.mount(None, "/", None, mounts.MS_PRIVATE | mounts.MS_REC)
    space = isolation.mapping_namespace(mappings) if record.ids is not None else None
    target = _place(instance, record)
    overlay.mount(instance, record.diff_ids, target, upper, work, user_namespace=space)
    rows = [row for row in bundle.users_mounts(record.options, bundle.Places(target, "", (), {}, places, mappings=mappings))
            if row["type"] == "bind"]
    root = paths.Root(target)
    opened: "list[int]" = []
    config = {"mounts": rows, "linux": mappings}
    for step in rootfs.prepared(rootfs.steps(config, "/"), config, target, record.ids is not None, opened):
        rootfs.mount(root, step, None, [])  # type: ignore[arg-type]  # no mount of cgroups is among them
