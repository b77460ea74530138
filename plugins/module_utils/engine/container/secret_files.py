# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: kept in memory, given to containers as files, and never anywhere else.

    RUN/secrets/              a file system of its own in memory, which is not swapped out; for root alone
    RUN/secrets/key           by which fingerprints are made; a new one after each boot
    RUN/secrets/store/NAME    the secret
    RUN/secrets/given/CONTAINER/files/     what is mounted at /run/secrets
    RUN/secrets/given/CONTAINER/others/N   what is mounted elsewhere
    RUN/secrets/given/CONTAINER/given.json the fingerprints of what it was given

Nothing of it survives a reboot, and nothing that follows from a secret's content is on a disk: a fingerprint would let who
has the disk try out words.
"""

from __future__ import annotations

import hmac
import os
import shutil
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import KernelError, NotFound
from ..instance import Instance
from ..kernel import mounts
from ..store import files
from . import userns

FOLDER = "/run/secrets"
"""Where a container finds its secrets unless it is said otherwise."""
MOST = 512 << 10
"""Bytes of a secret."""
MISSING = "secrets-missing"
"""The first word of the error of a container that could not be started for want of one."""
NONE, RESTART, SIGNAL = "none", "restart", "signal"
_MOUNT = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


class Row(NamedTuple):
    """A secret that a container is given, as the option says, users looked up."""

    source: str
    target: str
    uid: int
    gid: int
    mode: int


def folder(instance: Instance, *parts: str) -> str:
    """A path below the folder of secrets."""
    return instance.run("secrets", *parts)


def names(instance: Instance) -> List[str]:
    """All secrets that there are."""
    try:
        return sorted(name for name in os.listdir(folder(instance, "store")) if not name.startswith("."))
    except FileNotFoundError:
        return []


def read(instance: Instance, name: str) -> Optional[bytes]:
    """A secret, or C(None)."""
    try:
        with open(folder(instance, "store", name), "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(instance: Instance, name: str, content: bytes) -> None:
    """Keep a secret."""
    _prepare(instance)
    files.write(folder(instance, "store", name), content, 0o400, durable=False)


def remove(instance: Instance, name: str) -> None:
    """Forget a secret; what containers were given of it stays theirs as long as they run."""
    files.remove(folder(instance, "store", name))
    tidy(instance)


def _prepare(instance: Instance) -> None:
    top = folder(instance)
    files.make_folder(instance.run_root)
    files.make_folder(top, 0o700)
    if mounts.at(os.path.realpath(top)) is None:
        try:
            mounts.mount("secrets", top, "tmpfs", _MOUNT, "mode=0700,size=64m,noswap")
        except KernelError:  # before Linux 6.4 a tmpfs can always be swapped out; a ramfs never is, but has no size
            mounts.mount("secrets", top, "ramfs", _MOUNT, "mode=0700")
    for name in ("store", "given"):
        files.make_folder(os.path.join(top, name), 0o700)


def tidy(instance: Instance) -> None:
    """Give the memory back when there is no secret and nobody who has one."""
    top = folder(instance)
    files.remove_empty(os.path.join(top, "given"), os.path.join(top, "store"))
    if os.path.isdir(top) and not {"store", "given"} & set(os.listdir(top)):
        mounts.unmount_if_mounted(top)
        shutil.rmtree(top, ignore_errors=True)


def fingerprint(instance: Instance, content: Optional[bytes]) -> Optional[str]:
    """What tells two contents apart and nothing else: HMAC with SHA-256 and the host's key (RFC 2104)."""
    if content is None:
        return None
    path = folder(instance, "key")
    try:
        with open(path, "rb") as stream:
            key = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        key = b"none"  # nothing is kept yet with which this could be compared
        if os.path.isdir(folder(instance, "store")):
            key = os.urandom(32)
            files.write(path, key, 0o600, durable=False)
    return hmac.new(key, content, "sha256").hexdigest()


# What containers are given

def target_of(row: Mapping[str, Any]) -> str:
    """Where a container finds it."""
    return os.path.join(FOLDER, row["target"] or row["source"])


def promise(name: str) -> str:
    """What says of a secret that is not there that it will be."""
    return "secret " + name


def need(instance: Instance, rows: Sequence[Mapping[str, Any]]) -> None:
    """See that there is what a container is to be given.

    Raises:
        NotFound: There is not.
    """
    there = set(names(instance))
    for row in rows:
        if row["source"] not in there:
            raise NotFound("%s: the secret '%s' is not on this host" % (MISSING, row["source"]),
                           "Run the task of container_secret that declares it: secrets are kept in memory, and go with a reboot",
                           secret=row["source"])


def give(instance: Instance, container: str, rows: Sequence[Row], ids: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """Write a container's files; what is to be mounted, by its place inside.

    A file that is there already is rewritten where it is mounted by itself, and replaced where its folder is.

    Raises:
        NotFound: There is no such secret.
    """
    if not rows:
        return {}
    need(instance, [row._asdict() for row in rows])
    _prepare(instance)
    top = folder(instance, "given", container)
    files.make_folder(top, 0o700)
    for name in ("files", "others"):
        files.make_folder(os.path.join(top, name), 0o755)
    mounted: Dict[str, str] = {}
    prints: Dict[str, Optional[str]] = {}
    for at, row in enumerate(rows):
        content = read(instance, row.source) or b""
        owner = tuple(userns.on_host(ids, kind, number) for kind, number in (("uid", row.uid), ("gid", row.gid)))
        own = os.path.dirname(row.target) == FOLDER
        path = os.path.join(top, "files", os.path.basename(row.target)) if own else os.path.join(top, "others", str(at))
        mounted[FOLDER if own else row.target] = os.path.join(top, "files") if own else path
        _write(path, content, row.mode, (owner[0], owner[1]), in_place=not own)
        prints[row.source] = fingerprint(instance, content)
    files.write_json(os.path.join(top, "given.json"), prints, durable=False)
    return mounted


def _write(path: str, content: bytes, mode: int, owner: Tuple[int, int], in_place: bool) -> None:
    part = path if in_place and os.path.exists(path) else path + ".new"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view):]
        os.ftruncate(handle, len(content))
        os.fchown(handle, *owner)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
    if part != path:
        os.rename(part, path)


def given(instance: Instance, container: str) -> Dict[str, Optional[str]]:
    """The fingerprints of what a container was given."""
    return dict(files.read_json(folder(instance, "given", container, "given.json")) or {})


def stale(instance: Instance, container: str, rows: Sequence[Mapping[str, Any]]) -> List[Tuple[str, str]]:
    """The secrets that have changed since a container was given them, and what is to be done then."""
    if not rows:
        return []
    has, found = given(instance, container), []
    for row in rows:
        now = fingerprint(instance, read(instance, row["source"]))
        if now is not None and has.get(row["source"]) != now:
            found.append((row["source"], row["on_change"]))
    return found


def take_back(instance: Instance, container: str) -> None:
    """Remove what a container was given."""
    path = folder(instance, "given", container)
    if os.path.isdir(path):
        shutil.rmtree(path)
    if os.path.isdir(folder(instance)):
        tidy(instance)
