# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in a container from its start to its end: what it is told, what it says, how long it may take."""

from __future__ import annotations

import errno
import os
import select
import signal
import struct
import time
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..cgroup import entry, freezer, hierarchy
from ..container import records
from ..instance import Instance
from ..kernel import cgroupfs
from ..runtime import exec as added

_TIMED_OUT = 124
"""The status of what took too long, as of timeout(1)."""
_PIECE = 65536


class Bounds(NamedTuple):
    """What it may take.

    Attributes:
        seconds: Till it is killed, or C(None).
        output: Bytes of each stream that are kept: the last.
    """

    seconds: Optional[float]
    output: int


class Output:
    """The end of what came through a stream."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept = bytearray()
        self.dropped = 0

    def take(self, part: bytes) -> None:
        """Keep the last bytes, count the others."""
        self.kept += part
        if len(self.kept) > self.most + (1 << 20):  # not with each piece: it moves all that stays
            self.trim()

    def trim(self) -> None:
        """Drop what is too much."""
        over = len(self.kept) - self.most
        if over > 0:
            del self.kept[:over]
            self.dropped += over


class Done(NamedTuple):
    """How it went.

    Attributes:
        status: As a shell gives it.
        start, end, delta: As C(ansible.builtin.command) writes them.
    """

    status: int
    stdout: Output
    stderr: Output
    timed_out: bool
    start: str
    end: str
    delta: str


def leave(instance: Instance, name: str, process: Dict[str, Any]) -> int:
    """Start a program and let it be; its number on the host."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        started = added.run(_state_dir(instance, name), process, null, null, null, filters=instance.run("filters"))
    finally:
        os.close(null)
    os.close(started.pidfd)
    return started.pid


def attend(instance: Instance, name: str, process: Dict[str, Any], stdin: bytes, bounds: Bounds) -> Done:
    """Run a program, feed it, and collect what it says until it ends.

    What it leaves in the background goes on, as after a command in a shell; where it has no more time, that is killed too.
    """
    begin, clock = datetime.now(), time.monotonic()
    with ExitStack() as closing:
        below = _group_below(instance, name, closing) if bounds.seconds is not None else None
        streams = _terminal if process.get("terminal") else _pipes
        started, talk = streams(instance, name, process, below, closing)
        closing.callback(os.close, started.pidfd)
        talk.tell(stdin)
        outputs = (Output(bounds.output), Output(bounds.output))
        try:
            in_time = _talk(started.pidfd, talk, outputs, None if bounds.seconds is None else clock + bounds.seconds)
            if not in_time:
                _kill(started, below)
        except BaseException:
            _kill(started, below)
            os.waitpid(started.pid, 0)
            raise
        code = os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1])
        talk.drain(outputs)
    for output in outputs:
        output.trim()
    end = datetime.now()
    return Done((code if code >= 0 else 128 - code) if in_time else _TIMED_OUT, outputs[0], outputs[1], not in_time, str(begin), str(end),
                str(end - begin))


def _state_dir(instance: Instance, name: str) -> str:
    return records.run_folder(instance, name, "runtime")


class _Group(NamedTuple):
    """A group of its own below the container's, in one hierarchy, so that all that a program starts is found again."""

    path: str
    below: Dict[str, str]


def _group_below(instance: Instance, name: str, closing: ExitStack) -> Optional[_Group]:
    from ..runtime import external, record  # pylint: disable=import-outside-toplevel
    path = record.load(_state_dir(instance, name)).cgroup
    if not path or external.manages(_state_dir(instance, name)):  # another runtime may put it elsewhere
        return None
    hierarchies = hierarchy.discover()
    root = hierarchies.v1.get("freezer") or (hierarchies.v2 if not hierarchies.folders else hierarchies.folders[0]) or ""
    # A hierarchy of v1 is called by its controllers, a lone v2 by nothing.
    called = os.path.basename(root).split(",")[0] if hierarchies.folders else ""
    own = "exec-%d-%s" % (os.getpid(), os.urandom(4).hex())
    folder = "%s/%s" % (hierarchy.folder(root, path), own)
    os.mkdir(folder, 0o755)

    def remove() -> None:
        """What goes on in the background keeps the group, which goes with the container's."""
        for _attempt in range(100):  # the kernel lets go of the last process a moment after it has been waited for
            try:
                return os.rmdir(folder)
            except OSError as error:
                if error.errno != errno.EBUSY or cgroupfs.numbers(folder + "/cgroup.procs"):
                    return None
            time.sleep(0.002)
        return None
    closing.callback(remove)
    return _Group(path + "/" + own, {called: own})


def _kill(started: added.Started, group: Optional[_Group]) -> None:
    if group is not None:
        freezer.kill(group.path)
        return
    for pid in entry.family([started.pid]):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class _Talk:
    """The descriptors at this end; whatever is -1 is closed. A terminal's is both the first and the second of them."""

    def __init__(self, stdin: int, stdout: int, stderr: int, ending: bytes = b"") -> None:
        self.stdin, self.outs, self.ending = stdin, [stdout, stderr], ending
        self.unsaid = memoryview(b"")
        for handle in {stdin, stdout, stderr} - {-1}:
            os.set_blocking(handle, False)

    def tell(self, text: bytes) -> None:
        """What it shall read."""
        self.unsaid = memoryview(text + self.ending)

    def write(self) -> None:
        """Pass on as much as it takes."""
        try:
            while self.unsaid:
                self.unsaid = self.unsaid[os.write(self.stdin, self.unsaid[:_PIECE]):]
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more
            self.unsaid = memoryview(b"")
        if not self.ending:
            os.close(self.stdin)
        self.stdin = -1

    def read(self, at: int, output: Output, most: int = 16) -> None:
        """Take what is there; not for ever, so that an endless stream keeps nobody from looking at the clock."""
        for _piece in range(most):
            try:
                part = os.read(self.outs[at], _PIECE)
            except BlockingIOError:
                return
            except OSError:  # EIO: the last holder of a terminal's other end is gone
                part = b""
            if not part:
                os.close(self.outs[at])
                self.stdin = -1 if self.stdin == self.outs[at] else self.stdin
                self.outs[at] = -1
                return
            output.take(part)

    def drain(self, outputs: Tuple[Output, Output]) -> None:
        """Take what was said before the end."""
        for at, output in enumerate(outputs):
            if self.outs[at] >= 0:
                self.read(at, output, 64)

    def close(self) -> None:
        """Let go of what is still open."""
        for handle in {self.stdin, *self.outs} - {-1}:
            os.close(handle)


def _pipes(instance: Instance, name: str, process: Dict[str, Any], group: Optional[_Group],
           closing: ExitStack) -> Tuple[added.Started, _Talk]:
    ends: List[Tuple[int, int]] = [os.pipe2(os.O_CLOEXEC) for _stream in range(3)]
    talk = _Talk(ends[0][1], ends[1][0], ends[2][0])
    closing.callback(talk.close)
    theirs = (ends[0][0], ends[1][1], ends[2][1])
    try:
        return _start(instance, name, process, group, theirs), talk
    finally:
        for handle in theirs:
            os.close(handle)


def _terminal(instance: Instance, name: str, process: Dict[str, Any], group: Optional[_Group],
              closing: ExitStack) -> Tuple[added.Started, _Talk]:
    import socket  # pylint: disable=import-outside-toplevel
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            started = _start(instance, name, process, group, (null,) * 3, theirs)
        finally:
            os.close(null)
        _data, ancillary, _flags, _address = ours.recvmsg(64, 64)
    master = struct.unpack("i", ancillary[0][2][:4])[0]
    os.set_inheritable(master, False)
    talk = _Talk(master, master, -1, b"\x04\x04")  # the end of the input, after a line or in the middle of one
    closing.callback(talk.close)
    return started, talk


def _start(instance: Instance, name: str, process: Dict[str, Any], group: Optional[_Group], theirs: Tuple[int, int, int],
           link: Optional[Any] = None) -> added.Started:
    return added.run(_state_dir(instance, name), process, *theirs, cgroup=None if group is None else group.below, socket=link,
                     filters=instance.run("filters"))


def _talk(pidfd: int, talk: _Talk, outputs: Tuple[Output, Output], deadline: Optional[float]) -> bool:
    """Until it ends; whether that was in time."""
    while True:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        waiting: Dict[int, List[Callable[[], None]]] = {}
        events: Dict[int, int] = {}
        for at, handle in enumerate(talk.outs):
            if handle >= 0:
                events[handle] = select.POLLIN
                waiting.setdefault(handle, []).append(lambda at=at: talk.read(at, outputs[at]))  # type: ignore[misc]
        if talk.stdin >= 0:
            events[talk.stdin] = events.get(talk.stdin, 0) | select.POLLOUT
            waiting.setdefault(talk.stdin, []).append(talk.write)
        for handle, wanted in events.items():
            poller.register(handle, wanted)
        left = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000) + 1)
        ready = dict(poller.poll(left))
        if pidfd in ready:
            return True
        for handle in ready:
            for step in waiting[handle]:
                step()
        if deadline is not None and time.monotonic() >= deadline:
            return False
