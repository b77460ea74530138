# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A graph of jobs, each carried out in a process of its own as soon as those before it are done.

A job is forked from this process, which has all loaded that it needs: so two processors are used, a job that dies takes nobody
with it, and nothing that one changes of its own namespaces or mask is another's. A job that fails stops those that come after it,
and nobody else.
"""

from __future__ import annotations

import os
import select
import time
from functools import partial
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import EngineError
from ..kernel import processes
from ..store import documents

MOST_WAITING = 256
"""How many jobs that only wait may do so at once."""
OK, FAILED, SKIPPED = "ok", "failed", "skipped"


class Job(NamedTuple):
    """One job.

    Attributes:
        key: Its own.
        work: Does it, in a process of its own; what it returns is JSON.
        after: Those that have to have succeeded before.
        behind: Those that have to be over before, whatever became of them.
        rest: Seconds between the end of these and its own begin.
        waits: Whether it only waits, and takes nobody's turn.
    """

    key: str
    work: Callable[[], Any]
    after: FrozenSet[str] = frozenset()
    behind: FrozenSet[str] = frozenset()
    rest: float = 0.0
    waits: bool = False


class Outcome(NamedTuple):
    """What became of a job: its result, or the error, or the key of the job that kept it from beginning."""

    status: str
    result: Any = None
    error: Optional[EngineError] = None
    because: str = ""


def width() -> int:
    """How many jobs are worked on at once where nobody says: one more for each processor, since each waits now and then."""
    return 2 * len(os.sched_getaffinity(0))


def run(jobs: Mapping[str, Job], most: int, gate: Callable[[Job, Mapping[str, Outcome]], str] = lambda job, done: "") -> Dict[str, Outcome]:
    """Do all jobs that can be done.

    Args:
        most: How many at once.
        gate: Asked before a job begins; the key of a job because of which it must not, or nothing.
    """
    done: Dict[str, Outcome] = {}
    left = {key: job._replace(after=job.after & set(jobs), behind=job.behind & set(jobs)) for key, job in jobs.items()}
    ended: Dict[str, float] = {}
    running: Dict[int, Tuple[int, Job, bytearray]] = {}
    poller = select.poll()
    try:
        while left or running:
            soonest = _begin(left, done, ended, running, poller, most, gate)
            if not running and soonest is None:
                if not left:
                    break
                if not any(job.behind for job in left.values()):  # a circle, which whoever made the graph should have told
                    raise EngineError("these wait for one another: %s" % ", ".join(sorted(left)), "Break the circle")
                left = {key: job._replace(behind=frozenset()) for key, job in left.items()}
                continue
            timeout = None if soonest is None else max(0, soonest - time.monotonic()) * 1000 + 1
            for handle, _events in poller.poll(timeout):
                _listen(handle, running, poller, done, ended)
    finally:
        for handle, (pid, _job, _text) in running.items():  # only where this loop itself has failed
            os.close(handle)
            os.waitpid(pid, 0)
    return done


def _begin(left: Dict[str, Job], done: Dict[str, Outcome], ended: Mapping[str, float],
           running: Dict[int, Tuple[int, Job, bytearray]], poller: Any, most: int,
           gate: Callable[[Job, Mapping[str, Outcome]], str]) -> Optional[float]:
    """Begin what can be begun; when the next could be, where that is a matter of time alone."""
    soonest: Optional[float] = None
    _skipped(left, done)
    free = {waits: width - sum(1 for _pid, each, _text in running.values() if each.waits == waits)
            for waits, width in ((True, MOST_WAITING), (False, most))}
    for key, job in list(left.items()):
        if free[job.waits] <= 0 or not (job.after <= done.keys() and job.behind <= done.keys()):
            continue
        due = max([ended.get(each, 0.0) for each in job.after | job.behind] or [0.0]) + job.rest if job.rest else 0.0
        if due > time.monotonic():
            soonest = due if soonest is None else min(soonest, due)
            continue
        del left[key]
        because = gate(job, done)
        if because:
            done[key] = Outcome(SKIPPED, because=because)
            return time.monotonic()  # others may follow from that
        free[job.waits] -= 1
        pid, handle = processes.forked(partial(_done, job))
        running[handle] = (pid, job, bytearray())
        poller.register(handle, select.POLLIN | select.POLLHUP)
    return soonest


def _skipped(left: Dict[str, Job], done: Dict[str, Outcome]) -> bool:
    """Take out what cannot be begun any more; whether there was any."""
    before = len(left)
    again = True
    while again:
        again = False
        for key, job in list(left.items()):
            bad = min((each for each in job.after if each in done and done[each].status != OK), default=None)
            if bad is not None:
                done[key] = Outcome(SKIPPED, because=done[bad].because or bad)
                del left[key]
                again = True
    return len(left) < before


def _answer(job: Job) -> Dict[str, Any]:
    try:
        return {"result": job.work()}
    except EngineError as error:
        return {"what": error.what, "remedy": error.remedy, "facts": error.facts}
    except OSError as error:
        return {"what": "%s: %s" % (error.strerror or error, error.filename or job.key), "remedy": None, "facts": {}}
    except BaseException as error:  # pylint: disable=broad-except
        import traceback  # pylint: disable=import-outside-toplevel
        return {"what": "%s: %s: %s" % (job.key, type(error).__name__, error), "remedy": None,
                "facts": {"traceback": traceback.format_exc()}}


def _done(job: Job) -> bytes:
    return _encoded(_answer(job))


def _encoded(answer: Dict[str, Any]) -> bytes:
    try:
        text = documents.encode(answer)
    except (TypeError, ValueError):
        text = documents.encode(dict(answer, facts={}))
    return text.encode("ascii")


def _listen(handle: int, running: Dict[int, Tuple[int, Job, bytearray]], poller: Any, done: Dict[str, Outcome],
            ended: Dict[str, float]) -> None:
    pid, job, text = running[handle]
    part = os.read(handle, 1 << 16)
    if part:
        text += part
        return
    poller.unregister(handle)
    os.close(handle)
    del running[handle]
    _pid, status = os.waitpid(pid, 0)
    ended[job.key] = time.monotonic()
    try:
        answer = documents.decode(bytes(text).decode("ascii"))
    except ValueError:
        done[job.key] = Outcome(FAILED, error=EngineError("%s: the process that did it has ended, with status %d" % (job.key, status),
                                                          "Run the task again"))
        return
    if "what" in answer:
        done[job.key] = Outcome(FAILED, error=EngineError(answer["what"], answer["remedy"], **answer["facts"]))
    else:
        done[job.key] = Outcome(OK, answer["result"])


def failures(done: Mapping[str, Outcome]) -> List[Tuple[str, EngineError]]:
    """The jobs that have failed, with what they failed for."""
    return [(key, each.error) for key, each in done.items() if each.status == FAILED and each.error is not None]
