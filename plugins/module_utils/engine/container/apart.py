# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a process that goes when it is done, and its memory with it.

A monitor is a fork of the keeper, and shares all memory with it that neither
has written to since. To make a container writes to four megabytes, to read a
record to half of one; done here, that is given back, and what stays with each
container is a small part of it.
"""

from __future__ import annotations

import marshal
import os
from typing import Any, Callable, Dict

from ..errors import EngineError
from ..kernel import processes

_FAILED = "what failed"


def run(step: Callable[[], Dict[str, Any]], makes: bool = False) -> Dict[str, Any]:
    """Do a step in a fork of this process; what it returns, of plain types.

    Args:
        makes: Whether it makes processes that stay; they are this one's own children then.

    Raises:
        EngineError: What the step failed with, or that its process was ended.
    """
    if makes:
        processes.set_subreaper(True)  # what the fork leaves behind comes to this process
    try:
        child, reading = processes.forked(lambda: _answer(step))
        with os.fdopen(reading, "rb", buffering=0) as stream:
            content = stream.readall()
        os.waitpid(child, 0)
    finally:
        if makes:
            processes.set_subreaper(False)
    if not content:
        raise EngineError("a process that worked for the container's monitor was ended before it was done", "Run the task again")
    said: Dict[str, Any] = marshal.loads(content)  # noqa: S302
    if _FAILED in said:
        raise EngineError(said[_FAILED], said["remedy"], **said["facts"])
    return said


def _answer(step: Callable[[], Dict[str, Any]]) -> bytes:
    try:
        answer = step()
    except EngineError as error:
        answer = {_FAILED: error.what, "remedy": error.remedy, "facts": error.facts}
    except Exception as error:  # pylint: disable=broad-except
        kind = "" if isinstance(error, OSError) else type(error).__name__ + ": "
        answer = {_FAILED: kind + str(error), "remedy": None, "facts": {}}
    return marshal.dumps(answer)
