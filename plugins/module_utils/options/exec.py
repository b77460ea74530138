# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_exec): each declared here and nowhere else."""

from __future__ import annotations

from typing import Any, List

from .. import values
from ..option import NOT_COMPARED, Option

_PATH_FORM = "an absolute path such as /srv/app"


def _words(value: Any) -> List[str]:
    """A command line as a shell would take it apart."""
    import shlex  # pylint: disable=import-outside-toplevel
    try:
        words = shlex.split(values.argument(value))
    except ValueError as error:
        raise ValueError("is no command line: %s" % str(error).lower())
    if not words:
        raise ValueError("is empty")
    return words


def _some(value: Any) -> List[str]:
    if not value:
        raise ValueError("is empty")
    return list(value)


def _positive(value: Any) -> int:
    microseconds = values.duration(value)
    if microseconds <= 0:
        raise ValueError("is no time")
    return microseconds


def _bytes(value: Any) -> int:
    size = values.size(value)
    if not 1 <= size <= 1 << 30:
        raise ValueError("is not between 1 and 1G")
    return size


OPTIONS = (
    Option("container", required=True, aliases=("name",), parse=values.name, compare=NOT_COMPARED, form="the name of a container"),
    Option("argv", type="list", elements="str", parse=values.argument, whole=_some, compare=NOT_COMPARED,
           form="a list of words, the program first"),
    Option("command", parse=_words, compare=NOT_COMPARED, form="a command line such as 'ls -l /srv', its quotes closed"),
    Option("chdir", aliases=("workdir",), parse=values.absolute_path, form=_PATH_FORM, compare=NOT_COMPARED),
    Option("user", parse=values.user, form="NAME, UID, NAME:GROUP or UID:GID", compare=NOT_COMPARED),
    Option("env", type="dict", parse=values.environment, form="a mapping of names to quoted strings", compare=NOT_COMPARED),
    Option("stdin", compare=NOT_COMPARED),
    Option("stdin_add_newline", type="bool", default=True, compare=NOT_COMPARED),
    Option("strip_empty_ends", type="bool", default=True, compare=NOT_COMPARED),
    Option("tty", type="bool", default=False, compare=NOT_COMPARED),
    Option("privileged", type="bool", default=False, compare=NOT_COMPARED),
    Option("creates", parse=values.absolute_path, form=_PATH_FORM, compare=NOT_COMPARED),
    Option("removes", parse=values.absolute_path, form=_PATH_FORM, compare=NOT_COMPARED),
    Option("timeout", parse=_positive, form="a duration such as 30s", compare=NOT_COMPARED),
    Option("max_output", default="1M", parse=_bytes, form="a size such as 1M", compare=NOT_COMPARED),
    Option("detach", type="bool", default=False, compare=NOT_COMPARED),
)
"""The table."""
