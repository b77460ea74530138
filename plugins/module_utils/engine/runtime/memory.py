# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory policy and execution domain of the container's process (set_mempolicy(2), personality(2))."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, List

from ..kernel.syscalls import call
from .checks import Invalid

_MODES = {"MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
          "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6}
_FLAGS = {"MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13}
_DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}
_MOST_NODES = 1024


def check(linux: Dict[str, Any]) -> None:
    """Refuse what these calls do not know.

    Raises:
        Invalid: Names the member.
    """
    policy = linux.get("memoryPolicy")
    if policy:
        if policy["mode"] not in _MODES:
            raise Invalid("linux.memoryPolicy.mode", "%r is none of %s" % (policy["mode"], ", ".join(_MODES)))
        for number, flag in enumerate(policy.get("flags") or ()):
            if flag not in _FLAGS:
                raise Invalid("linux.memoryPolicy.flags[%d]" % number, "%r is none of %s" % (flag, ", ".join(_FLAGS)))
        _nodes(policy.get("nodes") or "")
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
        mode = _MODES[policy["mode"]]
        for flag in policy.get("flags") or ():
            mode |= _FLAGS[flag]
        bits = 0
        for node in _nodes(policy.get("nodes") or ""):
            bits |= 1 << node
        mask = ctypes.create_string_buffer(bits.to_bytes(_MOST_NODES // 8, "little"), _MOST_NODES // 8) if bits else None
        call("set_mempolicy", mode, mask, _MOST_NODES if bits else 0, target=policy["mode"])


def _nodes(text: str) -> List[int]:
    found: List[int] = []
    for part in text.split(",") if text else ():
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or int(last or first) >= _MOST_NODES:
            raise Invalid("linux.memoryPolicy.nodes", "%r is no list of memory nodes" % text, "Write it as 0-1,3")
        found += range(int(first), int(last or first) + 1)
    return found
