# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device rules of cgroup v2: an eBPF program of type C(BPF_PROG_TYPE_CGROUP_DEVICE) on the group's folder.

Programs are assembled here, loaded and attached through bpf(2), and read back
from the kernel and taken apart again, so that what is in force can be told.
Layouts: linux/bpf.h (C(struct bpf_insn), C(union bpf_attr), C(struct bpf_prog_info), C(struct bpf_cgroup_dev_ctx)).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import KernelError
from . import syscalls

PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, PROG_QUERY = 5, 8, 9, 13, 15, 16
TYPE_CGROUP_DEVICE, CGROUP_DEVICE = 15, 6
ALLOW_MULTI, REPLACE = 2, 4
NAME = b"coracle_devices"
TYPES = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7
_LITTLE = sys.byteorder == "little"

# Opcodes: class | operation | source (linux/bpf.h, "eBPF instruction set" of the kernel's documentation)
_LOAD, _MOVE_REGISTER, _MOVE, _AND, _SHIFT_RIGHT, _IF, _UNLESS, _EXIT = 0x61, 0xBF, 0xB7, 0x57, 0x77, 0x15, 0x55, 0x95

Instruction = Tuple[int, int, int, int, int]
"""Opcode, destination register, source register, offset, immediate."""


class Rule(NamedTuple):
    """One rule.

    Attributes:
        allow: The verdict.
        type: C(b), C(c) or C(a) for both.
        major, minor: Numbers, or C(None) for all.
        access: Some of C(rwm).
    """

    allow: bool
    type: str
    major: Optional[int]
    minor: Optional[int]
    access: str


_PROLOGUE: Tuple[Instruction, ...] = (
    (_LOAD, 2, 1, 0, 0),            # r2 = access_type: access << 16 | type
    (_MOVE_REGISTER, 3, 2, 0, 0),
    (_AND, 2, 0, 0, 0xFFFF),        # r2 = type
    (_SHIFT_RIGHT, 3, 0, 0, 16),    # r3 = access
    (_LOAD, 4, 1, 4, 0),            # r4 = major
    (_LOAD, 5, 1, 8, 0),            # r5 = minor
)


def assemble(rules: Sequence[Rule], default: bool = False) -> List[Instruction]:
    """The program under which the last rule that matches decides.

    64 bit operations only: with these the verifier changes nothing, so that what
    is read back is what was loaded.

    Args:
        rules: In order; none of them matches everything (that is C(default)).
        default: The verdict where no rule matches.
    """
    program = list(_PROLOGUE)
    for rule in reversed(rules):
        program += _one(rule)
    return program + [(_MOVE, 0, 0, 0, int(default)), (_EXIT, 0, 0, 0, 0)]


def _one(rule: Rule) -> List[Instruction]:
    body: List[Instruction] = []
    if rule.type != "a":
        body.append((_UNLESS, 2, 0, 0, TYPES[rule.type]))
    mask = sum(ACCESS[each] for each in rule.access)
    if mask != _ALL:
        # An allowing rule must cover all that is asked for; a denying one strikes at any part of it.
        body.append((_MOVE_REGISTER, 1, 3, 0, 0))
        body.append((_AND, 1, 0, 0, _ALL & ~mask if rule.allow else mask))
        body.append((_UNLESS if rule.allow else _IF, 1, 0, 0, 0))
    for register, wanted in ((4, rule.major), (5, rule.minor)):
        if wanted is not None:
            body.append((_UNLESS, register, 0, 0, wanted))
    body += [(_MOVE, 0, 0, 0, int(rule.allow)), (_EXIT, 0, 0, 0, 0)]
    return [(code, destination, source, len(body) - at - 1, value) if code in (_UNLESS, _IF)
            else (code, destination, source, offset, value)
            for at, (code, destination, source, offset, value) in enumerate(body)]


def take_apart(program: Sequence[Instruction]) -> Optional[Tuple[List[Rule], bool]]:
    """The rules and the default of a program that C(assemble) made, or C(None) where it is another's."""
    if tuple(program[:len(_PROLOGUE)]) != _PROLOGUE or len(program) < len(_PROLOGUE) + 2:
        return None
    rules = []
    at = len(_PROLOGUE)
    while at < len(program) - 2:
        end = at
        while end < len(program) and program[end][0] != _EXIT:
            end += 1
        block = program[at:end + 1]
        rule = _rule(block)
        if rule is None or _one(rule) != list(block):
            return None
        rules.append(rule)
        at = end + 1
    default = program[-2][4] == 1
    rules.reverse()
    return (rules, default) if assemble(rules, default) == list(program) else None


def _rule(block: Sequence[Instruction]) -> Optional[Rule]:
    kind, access = "a", "rwm"
    numbers: Dict[int, int] = {}
    if len(block) < 2:
        return None
    allow = block[-2][4] == 1
    for code, register, _source, _offset, value in block[:-2]:
        if code == _AND:
            mask = _ALL & ~value if allow else value
            access = "".join(each for each in "rwm" if ACCESS[each] & mask)
        elif code == _UNLESS and register == 2:
            kind = "b" if value == 1 else "c"
        elif code == _UNLESS and register in (4, 5):
            numbers[register] = value
    return Rule(allow, kind, numbers.get(4), numbers.get(5), access) if access else None


def load(program: Sequence[Instruction]) -> int:
    """Hand a program to the kernel; return its descriptor.

    Raises:
        KernelError: It was refused; C(EPERM) where CAP_SYS_ADMIN or CAP_BPF is missing.
    """
    code = b"".join(struct.pack("=BBhi", operation,
                                destination | source << 4 if _LITTLE else destination << 4 | source, offset, value)
                    for operation, destination, source, offset, value in program)
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    attribute = struct.pack("=IIQQIIQII16sII", TYPE_CGROUP_DEVICE, len(program), ctypes.addressof(instructions),
                            ctypes.addressof(licence), 0, 0, 0, 0, 0, NAME, 0, CGROUP_DEVICE)
    try:
        return _bpf(PROG_LOAD, attribute, "program of device rules")
    except KernelError as error:
        if error.errno != 1:  # EPERM: before 5.11 the program counts against RLIMIT_MEMLOCK
            raise
    import resource  # pylint: disable=import-outside-toplevel
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return _bpf(PROG_LOAD, attribute, "program of device rules")


def attached(folder: str) -> List[Tuple[int, str]]:
    """The device programs on a group's folder: (id, name), in the order of their attachment."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        ids = (ctypes.c_uint32 * 64)()
        attribute = _buffer(struct.pack("=IIIIQI", handle, CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), len(ids)))
        _call(PROG_QUERY, attribute, folder)
        count = struct.unpack_from("=I", attribute.raw, 24)[0]
        return [(ids[at], _name(ids[at])) for at in range(count)]
    finally:
        os.close(handle)


def instructions_of(identity: int) -> List[Instruction]:
    """The instructions of a loaded program, as the verifier left them; empty where they cannot be had."""
    handle = _descriptor(identity)
    try:
        length = _info(handle)[1]
        code = ctypes.create_string_buffer(max(length, 1))
        _info(handle, code, length)
    finally:
        os.close(handle)
    found = []
    for at in range(0, length, 8):
        operation, registers, offset, value = struct.unpack_from("=BBhi", code.raw, at)
        low, high = registers & 15, registers >> 4
        found.append((operation, low if _LITTLE else high, high if _LITTLE else low, offset, value))
    return found


def attach(folder: str, program: int, replacing: Optional[int] = None) -> None:
    """Put a loaded program in force for a group and those below it.

    Args:
        folder: The group's folder in the v2 hierarchy.
        program: The descriptor of the program.
        replacing: The id of an attached program that it takes the place of, without a moment between.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    old = None
    try:
        if replacing is None:
            _bpf(PROG_ATTACH, struct.pack("=IIIII", handle, program, CGROUP_DEVICE, ALLOW_MULTI, 0), folder)
            return
        old = _descriptor(replacing)
        try:
            _bpf(PROG_ATTACH, struct.pack("=IIIII", handle, program, CGROUP_DEVICE, ALLOW_MULTI | REPLACE, old), folder)
        except KernelError as error:
            if error.errno != 22:  # EINVAL: kernels before 5.6 cannot replace
                raise
            _bpf(PROG_ATTACH, struct.pack("=IIIII", handle, program, CGROUP_DEVICE, ALLOW_MULTI, 0), folder)
            _bpf(PROG_DETACH, struct.pack("=IIIII", handle, old, CGROUP_DEVICE, 0, 0), folder)
    finally:
        os.close(handle)
        if old is not None:
            os.close(old)


def detach(folder: str, identity: int) -> None:
    """Take a program off a group."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        old = _descriptor(identity)
        try:
            _bpf(PROG_DETACH, struct.pack("=IIIII", handle, old, CGROUP_DEVICE, 0, 0), folder)
        finally:
            os.close(old)
    finally:
        os.close(handle)


def _descriptor(identity: int) -> int:
    return _bpf(PROG_GET_FD_BY_ID, struct.pack("=III", identity, 0, 0), "program %d" % identity)


def _name(identity: int) -> str:
    handle = _descriptor(identity)
    try:
        return _info(handle)[0]
    finally:
        os.close(handle)


def _info(handle: int, code: Optional[ctypes.Array[ctypes.c_char]] = None, length: int = 0) -> Tuple[str, int]:
    """Name and size of the instructions; the instructions themselves into C(code)."""
    information = _buffer(struct.pack("=II8sIIQQ", 0, 0, b"", 0, length, 0, ctypes.addressof(code) if code else 0)
                          + bytes(40))
    _call(OBJ_GET_INFO_BY_FD,
          _buffer(struct.pack("=IIQ", handle, len(information), ctypes.addressof(information))), "program")
    return (information.raw[64:80].split(b"\0")[0].decode("ascii", "replace"),
            struct.unpack_from("=I", information.raw, 20)[0])


def _buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, len(content))


def _bpf(command: int, attribute: bytes, target: str) -> int:
    return _call(command, _buffer(attribute), target)


def _call(command: int, attribute: ctypes.Array[ctypes.c_char], target: str) -> int:
    return syscalls.call("bpf", command, attribute, len(attribute), target=target)
