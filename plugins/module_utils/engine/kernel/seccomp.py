# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System call filters: rules put together as classic BPF, and installed (seccomp(2), bpf in the kernel's filter.h).

Neighbouring numbers with the same verdict become one run; a binary search over the runs leads to a verdict or to
the few comparisons of arguments that a rule has. One such block stands for each architecture. The shorter a filter, the
sooner it is in force: the kernel compiles it anew for each container. So the verdicts stand once at the end of a block.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

from ..errors import EngineError
from .syscalls import call

KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
NOTIFY = 0x7FC00000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
FLAG_TSYNC = 1
FLAG_LOG = 2
FLAG_SPEC_ALLOW = 4
FLAG_NEW_LISTENER = 8
FLAG_WAIT_KILLABLE_RECV = 32
X32_BIT = 0x40000000
LONGEST = 4096
"""Instructions of one filter (BPF_MAXINSNS)."""

_SET_MODE_FILTER = 1
_LOAD = 0x20    # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54     # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05    # BPF_JMP | BPF_JA
_EQUAL = 0x15   # BPF_JMP | BPF_JEQ | BPF_K
_ABOVE = 0x25   # BPF_JMP | BPF_JGT | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_OK, _FAIL = "ok", "fail"

Instruction = Tuple[int, int, int, int]
_Loose = Tuple[int, Union[int, str], Union[int, str], int]


class Comparison(NamedTuple):
    """One condition on an argument, 64 bits wide.

    Attributes:
        argument: 0 to 5.
        operator: One of C(== != < <= > >= &), the last for C((argument & value) == second).
    """

    argument: int
    operator: str
    value: int
    second: int = 0


class Rule(NamedTuple):
    """A verdict on one system call, where all comparisons hold."""

    verdict: int
    comparisons: Tuple[Comparison, ...] = ()


class Block(NamedTuple):
    """What holds on one architecture.

    Attributes:
        token: AUDIT_ARCH_*.
        rules: By number; of several the first that holds counts.
        default: The verdict on numbers without a rule that holds.
        beyond: Numbers above this one get C(unknown).
        x32: Whether the numbers are those with X32_BIT.
    """

    token: int
    rules: Dict[int, List[Rule]]
    default: int
    beyond: int = 0xFFFFFFFF
    unknown: int = 0
    x32: bool = False


def assemble(blocks: Sequence[Block], elsewhere: int = KILL_PROCESS) -> bytes:
    """The instructions of a filter.

    Args:
        elsewhere: The verdict on architectures without a block.

    Raises:
        EngineError: The filter is longer than the kernel takes.
    """
    code: List[Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for token in sorted({block.token for block in blocks}):
        body: List[Instruction] = [(_LOAD, 0, 0, _NUMBER)]
        wide = [block for block in blocks if block.token == token and block.x32]
        plain = [block for block in blocks if block.token == token and not block.x32]
        if wide or token == 0xC000003E:
            above = _search(wide[0]) if wide else [(_RETURN, 0, 0, elsewhere)]
            below = _search(plain[0]) if plain else [(_RETURN, 0, 0, elsewhere)]
            body += _choose(X32_BIT, below, above)
        else:
            body += _search(plain[0])
        code += [(_EQUAL, 1, 0, token), (_JUMP, 0, 0, len(body))] + body
    code.append((_RETURN, 0, 0, elsewhere))
    if len(code) > LONGEST:
        raise EngineError("the system call filter has %d instructions, more than the kernel's %d" % (len(code), LONGEST),
                          "Use fewer rules with arguments")
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def _choose(border: int, below: List[Instruction], above: List[Instruction]) -> List[Instruction]:
    """Go one way for numbers below a border, the other from it on."""
    return _choose_past(border, len(below)) + below + above


def _choose_past(border: int, length: int) -> List[Instruction]:
    """Go on for numbers below a border, and past so many instructions from it on."""
    if length < 256:
        return [(_AT_LEAST, length, 0, border)]
    return [(_AT_LEAST, 0, 1, border), (_JUMP, 0, 0, length)]


def _search(block: Block) -> List[Instruction]:
    """The binary search over runs of numbers with one verdict."""
    offset = X32_BIT if block.x32 else 0
    runs: List[Tuple[int, List[Instruction]]] = []
    following = offset
    last: List[Instruction] = []

    def add(start: int, leaf: List[Instruction]) -> None:
        nonlocal last
        if leaf != last:
            runs.append((start, leaf))
            last = leaf

    default: List[Instruction] = [(_RETURN, 0, 0, block.default)]
    for number in sorted(block.rules):
        if number > following:
            add(following, default)
        add(number, _leaf(block.rules[number], block.default))
        following = number + 1
    if block.beyond < 0xFFFFFFFF:
        if following <= block.beyond:
            add(following, default)
        add(block.beyond + 1, [(_RETURN, 0, 0, block.unknown)])
    else:
        add(following, default)
    return _shared(runs) or _tree(runs)


def _tree(runs: List[Tuple[int, List[Instruction]]]) -> List[Instruction]:
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    return _choose(runs[middle][0], _tree(runs[:middle]), _tree(runs[middle:]))


def _shared(runs: List[Tuple[int, List[Instruction]]]) -> List[Instruction]:
    """The same where each mere verdict stands once, at the end; nothing where that is too far for a conditional jump."""
    code: List[_Loose] = list(_leaning(runs))
    ends = sorted({place for each in code for place in each[1:3] if isinstance(place, str)})
    places = {label: len(code) + number for number, label in enumerate(ends)}
    result: List[Instruction] = []
    for here, (operation, yes, no, value) in enumerate(code, 1):
        jumps = [places[each] - here if isinstance(each, str) else each for each in (yes, no)]
        if max(jumps) > 255:
            return []
        result.append((operation, jumps[0], jumps[1], value))
    return result + [(_RETURN, 0, 0, int(label)) for label in ends]


def _leaning(runs: List[Tuple[int, List[Instruction]]]) -> Sequence[_Loose]:
    """The tree in which mere verdicts are left out: a jump to one names it."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    border, halves = runs[middle][0], (runs[:middle], runs[middle:])
    below, above = ("" if len(half) > 1 or len(half[0][1]) > 1 else str(half[0][1][0][3]) for half in halves)
    if above:
        return [(_AT_LEAST, above, below or 0, border), *([] if below else _leaning(halves[0]))]
    rest = _leaning(halves[1])
    if below:
        return [(_AT_LEAST, 0, below, border), *rest]
    first = _leaning(halves[0])
    return [*_choose_past(border, len(first)), *first, *rest]


def _leaf(rules: List[Rule], default: int) -> List[Instruction]:
    """The verdict on one system call."""
    code: List[Instruction] = []
    for rule in rules:
        if not rule.comparisons:
            return code + [(_RETURN, 0, 0, rule.verdict)]
        code += _conditional(rule)
    return code + [(_RETURN, 0, 0, default)]


def _conditional(rule: Rule) -> List[Instruction]:
    """The comparisons of a rule, each ending behind it where it fails, and the verdict."""
    parts = [_compare(each) for each in rule.comparisons]
    total = sum(len(part) for part in parts) + 1
    code: List[Instruction] = []
    for part in parts:
        end_of_part = len(code) + len(part)
        for operation, yes, no, value in part:
            here = len(code) + 1
            jumps = [end_of_part - here if each == _OK else total - here if each == _FAIL else int(each)
                     for each in (yes, no)]
            code.append((operation, jumps[0], jumps[1], value))
    return code + [(_RETURN, 0, 0, rule.verdict)]


def _compare(comparison: Comparison) -> List[_Loose]:
    """One 64-bit comparison in 32-bit steps, the high half first; little-endian, as all our machines are."""
    low, high = comparison.value & 0xFFFFFFFF, comparison.value >> 32
    at = _ARGUMENTS + 8 * comparison.argument
    load_low, load_high = (_LOAD, 0, 0, at), (_LOAD, 0, 0, at + 4)
    operator = comparison.operator
    if operator == "==":
        return [load_high, (_EQUAL, 0, _FAIL, high), load_low, (_EQUAL, 0, _FAIL, low)]
    if operator == "!=":
        return [load_high, (_EQUAL, 0, _OK, high), load_low, (_EQUAL, _FAIL, 0, low)]
    if operator == "&":
        second_low, second_high = comparison.second & 0xFFFFFFFF, comparison.second >> 32
        return [load_high, (_AND, 0, 0, high), (_EQUAL, 0, _FAIL, second_high),
                load_low, (_AND, 0, 0, low), (_EQUAL, 0, _FAIL, second_low)]
    test = _ABOVE if operator in (">", "<=") else _AT_LEAST
    if operator in (">", ">="):
        return [load_high, (_ABOVE, _OK, 0, high), (_EQUAL, 0, _FAIL, high), load_low, (test, 0, _FAIL, low)]
    return [load_high, (_ABOVE, _FAIL, 0, high), (_EQUAL, 0, _OK, high), load_low, (test, _FAIL, 0, low)]


class Program(ctypes.Structure):
    """A filter as seccomp(2) takes it (struct sock_fprog); see C(ready)."""

    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def ready(program: bytes) -> Program:
    """A filter to be put in force later: in a process that has just been forked to make this would take half a millisecond."""
    return Program(len(program) // 8, program)


def install(program: Program, flags: int) -> int:
    """Put a filter in force on the calling thread, for good.

    Returns: With FLAG_NEW_LISTENER a descriptor of its notifications, else 0.

    Raises:
        KernelError: EACCES without CAP_SYS_ADMIN and without no_new_privs.
    """
    return call("seccomp", _SET_MODE_FILTER, flags, ctypes.byref(program), target="filter of %d instructions" % program.length)


def judge(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What a filter says to a call, worked out without the kernel: the verdict."""
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(list(arguments) + [0] * 6)[:6])
    accumulator = position = 0
    while True:
        operation, yes, no, value = code[position]
        position += 1
        if operation == _LOAD:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif operation == _AND:
            accumulator &= value
        elif operation == _JUMP:
            position += value
        elif operation == _RETURN:
            return int(value)
        else:
            holds = {_EQUAL: accumulator == value, _ABOVE: accumulator > value, _AT_LEAST: accumulator >= value}[operation]
            position += yes if holds else no
