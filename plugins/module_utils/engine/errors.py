# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the engine: each names the object, the cause and the remedy.

They travel unchanged from the place that knows the object up to the one place
that turns them into C(fail_json) (the module contract) or into an exit status
(the command line).
"""

from __future__ import annotations

import os
from typing import Any, Dict, Optional


class EngineError(Exception):
    """Something that was asked for cannot be done.

    Args:
        what: One sentence without a full stop: the object, its value, the cause.
        remedy: One sentence that says what to do about it.
        facts: Further values for a program to read, returned beside the message.
    """

    def __init__(self, what: str, remedy: Optional[str] = None, **facts: Any) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.facts: Dict[str, Any] = facts

    def __str__(self) -> str:
        return self.what + (". " + self.remedy if self.remedy else "")


class InvalidValue(EngineError):
    """A value that was given cannot be used; nothing was changed.

    Args:
        option: The option's name as the user wrote it, dotted for suboptions.
        value: The value as given.
        why: What is wrong with it, continuing "option 'x': value 'y' ...".
        remedy: What would be right.
    """

    def __init__(self, option: str, value: Any, why: str, remedy: str) -> None:
        super().__init__("option '%s': value %r %s" % (option, value, why), remedy, option=option)
        self.option = option
        self.value = value


class NotFound(EngineError):
    """An object that was named does not exist."""


class Conflict(EngineError):
    """What was asked for collides with something that exists or is in use."""


class Unsupported(EngineError):
    """The host lacks a feature (kernel, library, file system, privilege)."""


class Corrupt(EngineError):
    """Content differs from its digest or cannot be decoded."""


class KernelError(EngineError):
    """A system call failed.

    Args:
        call: The call's name as in its man page.
        number: The errno.
        target: What it was applied to: a path, a link, a process.
    """

    def __init__(self, call: str, number: int, target: str = "", remedy: Optional[str] = None) -> None:
        at = " %s" % target if target else ""
        super().__init__("%s%s: %s" % (call, at, os.strerror(number)), remedy, errno=number)
        self.call = call
        self.errno = number
        self.target = target
