# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables of options and the engine both have to know of a stack."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Set, Tuple

STARTED, HEALTHY, COMPLETED = "started", "healthy", "completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)
"""What one service can wait for of another."""


class Kinds(NamedTuple):
    """What lies above the engine, and is handed down to it: the tables by which a definition is read, and values compared.

    Attributes:
        read: A definition as it was written, and the stack's name; returns what C(expand) takes.
        container: Compares desired options with present ones.
        shared: By C(network) and C(volume), the same for these.
        params: By the same, the options of that kind's module from a row of the definition.
        hide: The task's options as they may be shown, and the values that may not be.
    """

    read: Callable[[Mapping[str, Any], str], Dict[str, Any]]
    container: Callable[[Mapping[str, Any], Mapping[str, Any]], Tuple[Any, ...]]
    shared: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Tuple[Any, ...]]]
    params: Mapping[str, Callable[[Mapping[str, Any]], Dict[str, Any]]]
    hide: Callable[[Mapping[str, Any]], Tuple[Dict[str, Any], Set[str]]]


def container_name(stack: str, service: str, given: Optional[str], number: int) -> str:
    """The name of a container."""
    return given or "%s-%s-%d" % (stack, service, number)
