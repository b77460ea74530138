# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""linux.seccomp of a configuration, assembled for this machine (runtime-spec config-linux.md, Seccomp)."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import Unsupported
from ..kernel import seccomp, syscall_numbers
from ..kernel.seccomp import Block, Comparison, Rule
from ..kernel.syscalls import MACHINE
from ..store import documents, files

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
_MOST_KEPT = 64
_LARGEST = 4096 * 8
"""Bytes of a program: the kernel takes 4096 instructions (BPF_MAXINSNS)."""
_assembled: Dict[str, Filter] = {}


class Filter(NamedTuple):
    """A filter ready to be put in force.

    Attributes:
        program: Its instructions.
        ready: The same as the kernel takes them.
    """

    program: bytes
    flags: int
    ready: seccomp.Program

    @property
    def asks(self) -> bool:
        """Whether there are calls on which another process decides."""
        return bool(self.flags & seccomp.FLAG_NEW_LISTENER)

    def install(self) -> int:
        """Put it in force on this process, for good; see C(kernel.seccomp.install)."""
        return seccomp.install(self.ready, self.flags)


def actions() -> List[str]:
    """The actions that are supported, by their names."""
    return sorted(_ACTIONS)


def operators() -> List[str]:
    """The comparisons that are supported, by their names."""
    return sorted(_OPERATORS)


def flags() -> List[str]:
    """The filter flags that are supported, by their names."""
    return sorted(_FLAGS)


def assemble(section: Dict[str, Any], folder: str = "") -> Filter:
    """The filter of a validated linux.seccomp section; the same section is assembled once in a process.

    Args:
        folder: Where assembled programs are kept by digest, for processes to come; made where it is missing.

    Raises:
        Unsupported: It uses what this machine or this runtime does not have.
    """
    key = documents.encode(section)
    known = _assembled.get(key)
    if known is not None:
        return known
    if len(_assembled) >= _MANY:
        _assembled.clear()
    path = os.path.join(folder, _digest(key)) if folder else ""
    program = _kept(path)
    if program is None:
        program = _program(section)
        _keep(path, program)
    result = Filter(program, _flags_of(section), seccomp.ready(program))
    _assembled[key] = result
    return result


def _digest(key: str) -> str:
    """What a program depends on: the section, the machine, and the code that assembles it."""
    code = [os.stat(place) for place in (__file__, seccomp.__file__, syscall_numbers.__file__)]
    told = "%s %s %s" % (MACHINE, [(each.st_size, each.st_mtime_ns, each.st_ino) for each in code], key)
    try:
        from _blake2 import blake2b  # pylint: disable=import-outside-toplevel
    except ImportError:
        from hashlib import blake2b  # pylint: disable=import-outside-toplevel  # loads OpenSSL, for 3 ms
    return blake2b(told.encode("utf-8", "surrogateescape"), digest_size=32).hexdigest()


def _kept(path: str) -> Optional[bytes]:
    """A program that was assembled before; only from a file that nobody else could have written."""
    if not path:
        return None
    try:
        for place in (os.path.dirname(path), path):
            status = os.lstat(place)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022 or stat.S_ISLNK(status.st_mode):
                return None
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            program = stream.read(_LARGEST + 1)
    except OSError:
        return None
    return program if 0 < len(program) <= _LARGEST and not len(program) % 8 else None


def _keep(path: str, program: bytes) -> None:
    """Keep a program; not being able to is no failure."""
    if not path:
        return
    try:
        files.make_folder(os.path.dirname(path), 0o700)
        names = os.listdir(os.path.dirname(path))
        for name in names if len(names) >= _MOST_KEPT else ():
            files.remove(os.path.join(os.path.dirname(path), name))
        files.write(path, program, durable=False)
    except OSError:
        pass


def _flags_of(section: Dict[str, Any]) -> int:
    names = section.get("flags")
    flags = seccomp.FLAG_SPEC_ALLOW if names is None else 0  # as runc: without it every process pays for a speculation barrier
    for name in names or ():
        flags |= _FLAGS[name]
    if "SCMP_ACT_NOTIFY" in [each["action"] for each in section.get("syscalls") or ()] + [section["defaultAction"]]:
        # Of the two results that the call would have it can return one; and here is one thread.
        return flags & ~seccomp.FLAG_TSYNC | seccomp.FLAG_NEW_LISTENER
    return flags & ~seccomp.FLAG_WAIT_KILLABLE_RECV


def _program(section: Dict[str, Any]) -> bytes:
    if MACHINE not in NATIVE:
        raise Unsupported("linux.seccomp: the system calls of %s are not known here" % MACHINE,
                          "Leave the section out, or use an external runtime")
    names = list(section.get("architectures") or ())
    if NATIVE[MACHINE] not in names:
        names.insert(0, NATIVE[MACHINE])
    default = _verdict(section["defaultAction"], section.get("defaultErrnoRet"))
    blocks = [_block(name, section, default) for name in names if name in ARCHITECTURES]
    return seccomp.assemble(blocks)


def _block(architecture: str, section: Dict[str, Any], default: int) -> Block:
    token, machine = ARCHITECTURES[architecture]
    numbers = syscall_numbers.table(machine)
    x32 = machine == "x32"
    offset = seccomp.X32_BIT if x32 else 0
    rules: Dict[int, List[Rule]] = {}
    highest = 0
    for each in section.get("syscalls") or ():
        verdict = _verdict(each["action"], each.get("errnoRet"))
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


def _verdict(action: str, errno_ret: Any) -> int:
    base = _ACTIONS[action]
    if base in (seccomp.ERRNO, seccomp.TRACE):
        return base | (_EPERM if errno_ret is None else errno_ret)
    return base
