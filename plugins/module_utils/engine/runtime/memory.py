# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory policy and execution domain of the container's process (set_mempolicy(2), personality(2))."""

from __future__ import annotations

import ctypes
from typing import Any, Dict

from ..kernel.syscalls import call
from .checks import Invalid, numbers
from .spec import MEMORY_FLAGS, MEMORY_MODES, MOST_NODES

_DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}


def check(linux: Dict[str, Any]) -> None:
    """Refuse what these calls do not know.

    Raises:
        Invalid: Names the member.
    """
    personality = linux.get("personality")
    if personality and personality.get("flags"):
        raise Invalid("linux.personality.flags", "are none that the specification defines", "Leave them out")


def apply(linux: Dict[str, Any]) -> None:
    """Set both; execve(2) keeps them."""
    personality = linux.get("personality")
    if personality:
        call("personality", _DOMAINS[personality["domain"]], target=personality["domain"])
    policy = linux.get("memoryPolicy")
    if policy:
        mode = MEMORY_MODES[policy["mode"]]
        for flag in policy.get("flags") or ():
            mode |= MEMORY_FLAGS[flag]
        bits = 0
        for node in numbers(policy.get("nodes") or "", "linux.memoryPolicy.nodes"):
            bits |= 1 << node
        mask = ctypes.create_string_buffer(bits.to_bytes(MOST_NODES // 8, "little"), MOST_NODES // 8) if bits else None
        call("set_mempolicy", mode, mask, MOST_NODES if bits else 0, target=policy["mode"])
