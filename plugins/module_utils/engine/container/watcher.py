# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that stays with a container and does nothing but wait; what there is to do is done by forks of it, one after another.

A fork shares all memory with who it was forked from that neither has written to since, and running Python writes to memory: the
counters of references to whatever is used. So the process that stays runs a few lines again and again, and each fork, a shift,
goes when nothing is left to do and takes with it what it has written to. What has to be kept until the next shift is handed over
to the process that stays, as a message and the descriptors that are open; it looks into neither.
"""

from __future__ import annotations

import _socket
import array
import marshal
import os
import select
import sys
import time
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from ..kernel import processes

_LONGEST = 1 << 18
_MOST = 1000
"""Bytes of what a shift hands over, and of the numbers of its descriptors; SCM_MAX_FD of the kernel is 253."""


class Kept(NamedTuple):
    """What a shift hands over to the next.

    Attributes:
        name: Of the process that stays.
        child: The number of a process whose end is awaited, and which is, or is to be, a child of the process that stays; 0 for none.
        due: When the next shift is to begin at the latest, by the monotonic clock; C(None) for no such time.
        waits: How many of the descriptors, the first ones, begin a shift when they become readable.
        state: Whatever else is to be kept, of plain types.
    """

    name: str
    child: int
    due: Optional[float]
    waits: int
    state: Any


Shift = Callable[[Any, List[int], Optional[int]], Optional[Tuple[Kept, List[int]]]]
"""What is done with the state, the descriptors, and the wait status of the child where that has ended; what is to be kept and the
descriptors, or C(None) when all is done. The first one is given no state. One that cannot do its work now raises SystemExit."""


def stay(shift: Shift, handles: List[int]) -> int:
    """Wait and work until all is done.

    What is called here is written in C as far as possible: each function of Python, and the classes of C(socket) above all, would
    cost some pages of memory for each container.

    Args:
        handles: Descriptors for the first shift.

    Returns: The exit status of the process: 0, or 1 where a shift was killed or failed.
    """
    child, status, called, state = 0, None, "", b""
    while True:
        if not child:
            processes.set_subreaper(True)  # a process that the shift makes and leaves behind comes to this one
        here, there = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        worker = os.fork()
        if not worker:
            _work(shift, state, handles, status, there)
        there.close()
        content, given, _flags, _address = here.recvmsg(_LONGEST, _MOST)
        here.close()
        os.waitpid(worker, 0)
        if not content:
            return 1
        for handle in handles:
            os.close(handle)
        name, made, due, waits, state = marshal.loads(content)  # noqa: S302
        if not name:
            return 0
        handles = array.array("i", given[0][2]).tolist()
        if made and not child:
            processes.set_subreaper(False)
        if name != called:
            called = name
            processes.rename(name)
        child, status = made, None
        poller = select.poll()
        for handle in handles[:waits]:
            poller.register(handle, select.POLLIN)
        poller.poll(None if due is None else max(0, int((due - time.monotonic()) * 1000) + 1))
        if child:
            ended, code = os.waitpid(child, os.WNOHANG)
            if ended:
                child, status = 0, code


def rehearse() -> None:
    """Stay with nothing for two rounds, in the process from which those that stay are forked.

    Where a function runs for the first time, the interpreter writes to its code, and makes what it keeps for the next time
    (CPython: inline caches, PEP 659): pages that each monitor would else have for itself.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.close(writing)  # so it is readable for ever

    def shift(state: Any, handles: List[int], _status: Optional[int]) -> Optional[Tuple[Kept, List[int]]]:
        rounds = (state or 0) + 1
        return None if rounds > 2 else (Kept("coracle-keeper", 0, None, 1, rounds), handles)
    stay(shift, [reading])


def _work(shift: Shift, state: bytes, handles: List[int], status: Optional[int], link: _socket.socket) -> None:
    """Be one shift."""
    failed = 1
    try:
        kept = shift(marshal.loads(state) if state else None, handles, status)  # noqa: S302
        if kept is None:
            link.send(marshal.dumps(("", 0, None, 0, b"")))
        else:
            link.sendmsg([marshal.dumps((*kept[0][:-1], marshal.dumps(kept[0].state)))],
                         [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", kept[1]))])
        failed = 0
    except SystemExit:
        pass
    except BaseException as error:  # pylint: disable=broad-except
        sys.stderr.write("coracle: a container's monitor failed: %s: %s\n" % (type(error).__name__, error))
        sys.stderr.flush()
    finally:
        os._exit(failed)
