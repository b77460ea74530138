# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a copy: all new files beside the old ones first, then each into its place by one rename.

Whatever fails before the first rename leaves everything as it was. Each place is reached from the folder that is held
open, and no link in it is followed: who moves things about meanwhile stays among their own.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, KernelError
from ..kernel import rights
from . import entries, sources
from .entries import FILE, FOLDER, Place, Step

_PATIENT = 16
"""The most files that are flushed to the disk one by one; where there are more, that is left to the kernel."""


class _Staged(NamedTuple):
    """A new file or link under another name: the folder from the top, that name, its own, and the one that the old file gets, if any."""

    folder: str
    part: str
    name: str
    kept: str


class Writer:
    """Carries out the steps of a copy, and takes back what was begun if that fails.

    Args:
        keep: Whether files and links that get another content stay beside it under another name.

    Attributes:
        kept: The paths of those, for a person.
    """

    def __init__(self, source: Any, place: Place, creator: Tuple[int, int], keep: bool = False) -> None:
        self.source = source
        self.place = place
        self.creator = creator
        self.suffix = time.strftime(".%%d.%Y-%m-%d@%H:%M:%S~") % os.getpid() if keep else ""  # as ansible.builtin.copy calls them
        self.kept: List[str] = []
        self.staged: List[_Staged] = []
        self.made: List[str] = []
        self._open: Optional[Tuple[str, int]] = None

    def run(self, steps: Sequence[Step]) -> None:
        """Do all of it.

        Raises:
            Conflict: Somebody has changed the place meanwhile.
            OSError: The disk is full, or read-only.
        """
        durable = sum(each.entry.kind == FILE for each in steps) <= _PATIENT
        try:
            with rights.files_as(*self.creator):
                for step in steps:
                    if step.action != "set":
                        self._stage(step, durable)
                for staged in self.staged:
                    if staged.kept:
                        self._keep(staged)
                while self.staged:
                    self._put(self.staged[-1])
                    self.staged.pop()
                self.made = []
                for step in reversed(steps):  # folders after what is in them
                    if step.action == "set" or step.entry.kind == FOLDER:
                        self._set(step)
        except (FileNotFoundError, FileExistsError) as error:
            raise Conflict("%s has been changed by somebody else meanwhile" % self.place.path, "Run the task again") from error
        finally:
            self._take_back()
            self._let_go()

    def _stage(self, step: Step, durable: bool) -> None:
        folder, _slash, name = self.place.below(step.entry.path).rpartition("/")
        handle = self._folder(folder)
        if step.entry.kind == FOLDER:
            os.mkdir(name, 0o700, dir_fd=handle)
            self.made.append(self.place.below(step.entry.path))
            return
        part = ".coracle-%s" % os.urandom(8).hex()
        keep = self.suffix and step.now is not None and "content" in step.changed
        staged = _Staged(folder, part, name, name + self.suffix if keep else "")
        if step.entry.kind == FILE:
            target = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=handle)
            self.staged.append(staged)
            try:
                self._fill(target, step, durable)
            finally:
                os.close(target)
        else:
            os.symlink(step.entry.target, part, dir_fd=handle)
            self.staged.append(staged)
            os.chown(part, step.uid, step.gid, dir_fd=handle, follow_symlinks=False)

    def _fill(self, target: int, step: Step, durable: bool) -> None:
        with self.source.open(step.entry) as stream:
            for piece in sources.pieces(stream, step.entry.size):
                view = memoryview(piece)
                while view:
                    view = view[os.write(target, view):]
        os.fchown(target, step.uid, step.gid)
        os.fchmod(target, step.mode)
        if durable:
            os.fsync(target)

    def _keep(self, staged: _Staged) -> None:
        """Give the old file a second name. It has the first one too until the new file takes that."""
        handle = self._folder(staged.folder)
        try:
            os.link(staged.name, staged.kept, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENAMETOOLONG):
                raise Conflict("%s cannot be kept as %s: %s" % (staged.name, staged.kept, os.strerror(error.errno)),
                               "Set 'backup' to false, and copy it away before if it is needed", option="backup") from error
            raise

    def _put(self, staged: _Staged) -> None:
        handle = self._folder(staged.folder)
        try:
            os.rename(staged.part, staged.name, src_dir_fd=handle, dst_dir_fd=handle)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise Conflict("%s is in use: something is mounted on it" % staged.name,
                               "Name another place, or change what is mounted there on the host") from error
            raise
        if staged.kept:
            self.kept.append(self.place.path.rpartition("/")[0] + "/" + "/".join(filter(None, (staged.folder, staged.kept))))

    def _set(self, step: Step) -> None:
        handle = self.place.open(step.entry.path, os.O_PATH | os.O_NOFOLLOW)
        try:
            now = entries.entry("", os.fstat(handle), handle)
            if now.kind != step.entry.kind:
                raise FileNotFoundError(errno.ENOENT, "is another one", step.entry.path)
            itself = "/proc/self/fd/%d" % handle
            os.chown(itself, step.uid, step.gid)
            os.chmod(itself, step.mode)
        finally:
            os.close(handle)

    def _folder(self, folder: str) -> int:
        """A folder by its path from the place's; the last one stays open, since neighbours come one after the other."""
        if self._open is not None and self._open[0] == folder:
            return self._open[1]
        try:
            handle = os.dup(self.place.folder.handle) if not folder else self._reach(folder)
        except KernelError as error:
            raise Conflict("%s has been changed by somebody else meanwhile: %s" % (self.place.path, error),
                           "Run the task again") from error
        self._let_go()
        self._open = folder, handle
        return handle

    def _reach(self, folder: str) -> int:
        from ..kernel import paths  # pylint: disable=import-outside-toplevel
        return paths.open_beneath(self.place.folder.handle, folder, os.O_PATH | os.O_DIRECTORY, 0, entries.INSIDE)

    def _let_go(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _take_back(self) -> None:
        """Remove what was not put into its place; a folder goes only if it is as empty as it was made."""
        for staged in self.staged:
            for name in filter(None, (staged.part, staged.kept)):
                with _gone():
                    os.unlink(name, dir_fd=self._folder(staged.folder))
        for path in reversed(self.made):
            folder, _slash, name = path.rpartition("/")
            with _gone():
                os.rmdir(name, dir_fd=self._folder(folder))


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except (OSError, Conflict):
        return
