# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which people write sizes, times and names, and what they mean.

Each parser takes what Ansible hands over and returns the typed value that is
compared and applied; it raises C(ValueError) whose text continues the sentence
"option 'x': value 'y' ...".
"""

from __future__ import annotations

import re
from typing import Any, Callable, FrozenSet, Tuple, List

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$", re.IGNORECASE)
_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?(?:(\d+)us)?$")
_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}\Z")
UNLIMITED = -1
"""The size or number that stands for C(max), C(unlimited) and C(-1)."""


def size(value: Any) -> int:
    """Bytes from C(512M), C(1.5g), C(64KiB) or C(1048576); units are powers of 1024; C(-1), C(max): unlimited."""
    text = str(value).strip()
    if text.lower() in ("-1", "max", "unlimited"):
        return UNLIMITED
    match = _SIZE.match(text)
    if not match:
        raise ValueError("is no size")
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()]) if "." in match.group(1) \
        else int(match.group(1)) * _UNITS[match.group(2).lower()]


def duration(value: Any) -> int:
    """Microseconds from C(1m30s), C(500ms) or C(1.5s); a bare number is seconds."""
    text = str(value).strip()
    if re.match(r"^\d+(\.\d+)?$", text):
        return int(round(float(text) * 1000000))
    match = _DURATION.match(text)
    if not text or not match:
        raise ValueError("is no duration")
    hours, minutes, seconds, millis, micros = (float(part or 0) for part in match.groups())
    return int(round((hours * 3600 + minutes * 60 + seconds) * 1000000 + millis * 1000 + micros))


def cpus(value: Any) -> float:
    """A number of CPUs above zero, such as C(0.5) or C(2)."""
    try:
        number = float(str(value).strip())
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 100000:  # also refuses nan
        raise ValueError("is no number of CPUs above zero")
    return number


def cpu_set(value: Any) -> str:
    """A list of CPU or memory node numbers in its canonical form: C(3,0-1,2) becomes C(0-3)."""
    return format_set(number_set(str(value)))


def number_set(text: str) -> FrozenSet[int]:
    """The numbers of a list such as C(0-3,8) (cpuset(7), list format)."""
    numbers = set()
    for part in text.split(","):
        match = re.match(r"^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$", part)
        if not match:
            raise ValueError("is no list of numbers and ranges such as 0-2,4")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise ValueError("has a range that ends before it begins")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def format_set(numbers: FrozenSet[int]) -> str:
    """The shortest list format of these numbers."""
    runs = []  # type: list[list[int]]
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in runs)


def name(value: Any) -> str:
    """A name of an object: letters, digits, C(_), C(.), C(-); begins with a letter or digit; at most 63 characters."""
    text = str(value)
    if not _NAME.match(text):
        raise ValueError("has characters that a name must not have, or is longer than 63")
    return text


def absolute_path(value: Any) -> str:
    """An absolute path without C(..), in its shortest form."""
    text = str(value)
    if not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise ValueError("is no absolute path without '..'")
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


def integer(low: int, high: int, also: Tuple[int, ...] = ()) -> Callable[[Any], int]:
    """A parser of whole numbers from low to high, or one of a few others."""
    def parse(value: Any) -> int:
        try:
            number = int(str(value).strip())
        except ValueError:
            raise ValueError("is no whole number")
        if not (low <= number <= high or number in also):
            raise ValueError("is not between %d and %d" % (low, high))
        return number
    return parse


def mapping_of_text(value: Any) -> "dict[str, str]":
    """A mapping whose values are text; numbers are refused, since YAML would have rewritten them (1.10, 010, yes)."""
    for key, item in value.items():
        if not isinstance(item, str):
            raise ValueError("has a value for '%s' that is no string" % key)
    return {str(key): str(item) for key, item in value.items()}


def environment(value: Any) -> "dict[str, str]":
    """Variables and their values, as execve(2) can take them."""
    variables = mapping_of_text(value)
    for key, item in variables.items():
        if not key or "=" in key or "\0" in key or "\0" in item:
            raise ValueError("has a variable whose name is empty or has '=' or NUL in it")
    return variables


def argument(value: Any) -> str:
    """A word of a command line, as execve(2) can take it."""
    if "\0" in str(value):
        raise ValueError("has a NUL character")
    return str(value)


def user(value: Any) -> str:
    """C(USER) or C(USER:GROUP), names or numbers; whether there is such a user is for the container's files to tell."""
    text = str(value)
    if not re.match(r"^[^:\s/\0]+(:[^:\s/\0]+)?$", text):
        raise ValueError("is no user")
    return text


def signal(value: Any) -> int:
    """The number of a signal from C(SIGTERM), C(TERM), C(15) or C(RTMIN+3)."""
    import signal as signals  # pylint: disable=import-outside-toplevel
    text = str(value).upper()
    text = text[3:] if text.startswith("SIG") else text
    if text.isdigit() and 1 <= int(text) <= 64:
        return int(text)
    match = re.match(r"^RTM(IN|AX)([+-]\d{1,2})?$", text)
    if match:
        return int(signals.SIGRTMIN if match.group(1) == "IN" else signals.SIGRTMAX) + int(match.group(2) or 0)
    try:
        return int(getattr(signals, "SIG" + text))
    except (AttributeError, TypeError, ValueError):
        raise ValueError("is no signal")


def octal(value: Any) -> int:
    """Permission bits from C('0644')."""
    text = str(value)
    if not re.match(r"^0?[0-7]{3,4}$", text):
        raise ValueError("is no mode")
    return int(text, 8)


# Mappings of user namespaces

LAST_ID = (1 << 32) - 2
ID_MAP_FORM = "rows of the form CONTAINER:HOST:SIZE such as 0:100000:65536, the container's ID 0 among them"


def id_row(value: Any) -> List[int]:
    """C(CONTAINER:HOST[:SIZE]), as Podman writes it, as a row of user_namespaces(7)."""
    match = re.match(r"^([0-9]{1,10}):([0-9]{1,10})(?::([0-9]{1,10}))?\Z", str(value))
    if not match:
        raise ValueError("is not CONTAINER:HOST[:SIZE] in numbers")
    inside, outside, size = int(match.group(1)), int(match.group(2)), int(match.group(3) or 1)
    if size < 1 or max(inside, outside) + size - 1 > LAST_ID:
        raise ValueError("reaches beyond the last ID, %d" % LAST_ID)
    return [inside, outside, size]


def id_map(value: Any) -> List[List[int]]:
    """Rows that do not overlap, in order."""
    rows = sorted(value)  # type: List[List[int]]
    for side, name in ((0, "inside"), (1, "on the host")):
        ordered = sorted(rows, key=lambda row: row[side])
        for before, after in zip(ordered, ordered[1:]):
            if before[side] + before[2] > after[side]:
                raise ValueError("maps ID %d %s twice" % (after[side], name))
    if rows and rows[0][0] != 0:
        raise ValueError("does not map ID 0 of the container, who owns its files")
    if len(rows) > 340:
        raise ValueError("has %d rows, and the kernel takes 340" % len(rows))
    return rows
