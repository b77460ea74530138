# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""linux.seccomp of a configuration, assembled for this machine (runtime-spec config-linux.md, Seccomp)."""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Tuple

from ..errors import EngineError, Unsupported
from ..kernel import seccomp, syscall_numbers
from ..kernel.seccomp import Block, Comparison, Rule
from ..kernel.syscalls import MACHINE

ARCHITECTURES: Dict[str, Tuple[int, str]] = {
    # name: (AUDIT_ARCH_*, table of numbers)
    "SCMP_ARCH_X86_64": (0xC000003E, "x86_64"),
    "SCMP_ARCH_X32": (0xC000003E, "x32"),
    "SCMP_ARCH_X86": (0x40000003, "i386"),
    "SCMP_ARCH_AARCH64": (0xC00000B7, "aarch64"),
}
NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_ACTIONS = {"SCMP_ACT_KILL": seccomp.KILL_THREAD, "SCMP_ACT_KILL_THREAD": seccomp.KILL_THREAD,
            "SCMP_ACT_KILL_PROCESS": seccomp.KILL_PROCESS, "SCMP_ACT_TRAP": seccomp.TRAP,
            "SCMP_ACT_ERRNO": seccomp.ERRNO, "SCMP_ACT_TRACE": seccomp.TRACE, "SCMP_ACT_ALLOW": seccomp.ALLOW,
            "SCMP_ACT_LOG": seccomp.LOG, "SCMP_ACT_NOTIFY": seccomp.NOTIFY}
_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": seccomp.FLAG_TSYNC, "SECCOMP_FILTER_FLAG_LOG": seccomp.FLAG_LOG,
          "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.FLAG_SPEC_ALLOW,
          "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": seccomp.FLAG_WAIT_KILLABLE_RECV}
_OPERATORS = {"SCMP_CMP_NE": "!=", "SCMP_CMP_LT": "<", "SCMP_CMP_LE": "<=", "SCMP_CMP_EQ": "==", "SCMP_CMP_GE": ">=",
              "SCMP_CMP_GT": ">", "SCMP_CMP_MASKED_EQ": "&"}
_EPERM, _ENOSYS = 1, 38
_MANY = 8
_assembled: Dict[str, Filter] = {}


class Filter(NamedTuple):
    """A filter ready to be put in force."""

    program: bytes
    flags: int

    def install(self) -> int:
        """Put it in force on this process, for good; see C(kernel.seccomp.install)."""
        return seccomp.install(self.program, self.flags)


def actions() -> List[str]:
    """The actions that are supported, by their names."""
    return sorted(name for name, verdict in _ACTIONS.items() if verdict != seccomp.NOTIFY)


def operators() -> List[str]:
    """The comparisons that are supported, by their names."""
    return sorted(_OPERATORS)


def flags() -> List[str]:
    """The filter flags that are supported, by their names."""
    return sorted(_FLAGS)


def assemble(section: Dict[str, Any]) -> Filter:
    """The filter of a validated linux.seccomp section; the same section is assembled once in a process.

    Raises:
        Unsupported: It uses what this machine or this runtime does not have.
    """
    key = json.dumps(section)
    known = _assembled.get(key)
    if known is not None:
        return known
    if len(_assembled) >= _MANY:
        _assembled.clear()
    result = Filter(_program(section), _flags_of(section))
    _assembled[key] = result
    return result


def _flags_of(section: Dict[str, Any]) -> int:
    names = section.get("flags")
    if names is None:
        return seccomp.FLAG_SPEC_ALLOW  # as runc: without it every process pays for a speculation barrier
    flags = 0
    for name in names:
        flags |= _FLAGS[name]
    return flags


def _program(section: Dict[str, Any]) -> bytes:
    if MACHINE not in NATIVE:
        raise Unsupported("linux.seccomp: the system calls of %s are not known here" % MACHINE,
                          "Leave the section out, or use an external runtime")
    names = list(section.get("architectures") or ())
    if NATIVE[MACHINE] not in names:
        names.insert(0, NATIVE[MACHINE])
    default = _verdict(section["defaultAction"], section.get("defaultErrnoRet"), "linux.seccomp.defaultAction")
    blocks = [_block(name, section, default) for name in names if name in ARCHITECTURES]
    return seccomp.assemble(blocks)


def _block(architecture: str, section: Dict[str, Any], default: int) -> Block:
    token, machine = ARCHITECTURES[architecture]
    numbers = syscall_numbers.table(machine)
    x32 = machine == "x32"
    offset = seccomp.X32_BIT if x32 else 0
    rules: Dict[int, List[Rule]] = {}
    highest = 0
    for place, each in enumerate(section.get("syscalls") or ()):
        verdict = _verdict(each["action"], each.get("errnoRet"), "linux.seccomp.syscalls[%d].action" % place)
        made = _rules(verdict, each.get("args") or ())
        for name in each["names"]:
            number = numbers.get(name)
            if number is None:
                continue  # a system call of another architecture or of a newer kernel
            number += offset
            highest = max(highest, number)
            if verdict == default:
                continue
            if not each.get("args"):
                rules[number] = [made[0]]  # what is said without conditions holds whatever else is said
            elif not any(not old.comparisons for old in rules.get(number, ())):
                rules.setdefault(number, []).extend(made)
    permissive = default & 0xFFFF0000 in (seccomp.ALLOW, seccomp.LOG, seccomp.TRACE, seccomp.NOTIFY)
    if permissive or default == seccomp.ERRNO | _ENOSYS or not highest:
        return Block(token, rules, default, x32=x32)
    # A call that is newer than the profile is unknown rather than forbidden, so that the C library falls back.
    return Block(token, rules, default, highest, seccomp.ERRNO | _ENOSYS, x32)


def _rules(verdict: int, arguments: Any) -> List[Rule]:
    comparisons = [Comparison(each["index"], _OPERATORS[each["op"]], each["value"], each.get("valueTwo") or 0)
                   for each in arguments]
    indexes = [each.argument for each in comparisons]
    if len(set(indexes)) != len(indexes):
        # Two conditions on one argument are alternatives, as runc reads them.
        return [Rule(verdict, (each,)) for each in comparisons]
    return [Rule(verdict, tuple(comparisons))]


def _verdict(action: str, errno_ret: Any, where: str) -> int:
    base = _ACTIONS[action]
    if base == seccomp.NOTIFY:
        raise EngineError("%s: SCMP_ACT_NOTIFY is not supported by this runtime" % where,
                          "Use another action, or an external runtime", path=where)
    if base in (seccomp.ERRNO, seccomp.TRACE):
        return base | (_EPERM if errno_ret is None else errno_ret)
    return base
