# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System call filters, judged instruction by instruction, and the default profile beside the one that Docker publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import seccomp, syscall_numbers
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.syscalls import MACHINE
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import seccomp_default, seccomp_profile, syscall_filter

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data" / "seccomp" / "default.json"
X86_64, I386 = 0xC000003E, 0x40000003
EPERM, ENOSYS = seccomp.ERRNO | 1, seccomp.ERRNO | 38
pytestmark = pytest.mark.skipif(MACHINE != "x86_64", reason="the numbers in these tests are x86-64's")


def filter_of(*rows: Dict[str, Any], **more: Any) -> bytes:
    section = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rows), **more}
    return syscall_filter.assemble(section).program


def row(name: str, action: str, *conditions: Any, **more: Any) -> Dict[str, Any]:
    return {"names": [name], "action": action, "args": [
        {"index": index, "op": "SCMP_CMP_" + operator, "value": value, "valueTwo": second}
        for index, operator, value, second in conditions], **more}


@pytest.mark.parametrize(("action", "more", "verdict"), [
    ("SCMP_ACT_KILL", {}, 0), ("SCMP_ACT_KILL_PROCESS", {}, 0x80000000), ("SCMP_ACT_TRAP", {}, 0x30000),
    ("SCMP_ACT_ERRNO", {"errnoRet": 5}, 0x50005), ("SCMP_ACT_TRACE", {"errnoRet": 9}, 0x7FF00009),
    ("SCMP_ACT_ALLOW", {}, 0x7FFF0000), ("SCMP_ACT_LOG", {}, 0x7FFC0000),
])
def test_every_action(action: str, more: Dict[str, Any], verdict: int) -> None:
    program = filter_of(row("getpid", action, **more))
    assert seccomp.judge(program, X86_64, 39) == verdict
    assert seccomp.judge(program, X86_64, 38) == EPERM
    assert seccomp.judge(program, 0xC00000B7, 39) == seccomp.KILL_PROCESS


@pytest.mark.parametrize("operator", ["NE", "LT", "LE", "EQ", "GE", "GT"])
def test_every_comparison_is_64_bits_wide(operator: str) -> None:
    import operator as python
    test = getattr(python, operator.lower())
    edges = [0, 1, 5, 6, 2**32 - 1, 2**32, 2**32 + 5, 2**33 + 6, 2**63, 2**64 - 1]
    for value in edges:
        program = filter_of(row("read", "SCMP_ACT_ALLOW", (2, operator, value, 0)))
        for given in edges:
            verdict = seccomp.ALLOW if test(given, value) else EPERM
            assert seccomp.judge(program, X86_64, 0, (9, 9, given)) == verdict, (given, value)


def test_masks_and_conditions_together_and_alternatives() -> None:
    program = filter_of(row("read", "SCMP_ACT_ALLOW", (0, "MASKED_EQ", 0xF0000000F, 0x300000003), (1, "EQ", 7, 0)))
    assert seccomp.judge(program, X86_64, 0, (0xF3FFFFFFF3, 7)) == seccomp.ALLOW
    assert seccomp.judge(program, X86_64, 0, (0xF3FFFFFFF3, 8)) == EPERM
    assert seccomp.judge(program, X86_64, 0, (0xF4FFFFFFF3, 7)) == EPERM
    either = filter_of(row("read", "SCMP_ACT_ALLOW", (0, "EQ", 1, 0), (0, "EQ", 2, 0)))
    assert [seccomp.judge(either, X86_64, 0, (given,)) for given in (1, 2, 3)] == [seccomp.ALLOW, seccomp.ALLOW, EPERM]


def test_what_is_newer_than_the_profile_is_unknown_rather_than_forbidden() -> None:
    program = filter_of(row("read", "SCMP_ACT_ALLOW"), row("mseal", "SCMP_ACT_ERRNO"))
    assert seccomp.judge(program, X86_64, 462) == EPERM
    assert seccomp.judge(program, X86_64, 463) == ENOSYS
    permissive = filter_of(row("read", "SCMP_ACT_KILL"), defaultAction="SCMP_ACT_ALLOW")
    assert seccomp.judge(permissive, X86_64, 999) == seccomp.ALLOW


@pytest.mark.parametrize("conditions", [(), ((0, "EQ", 7, 0),)], ids=["plain", "conditional"])
@pytest.mark.parametrize("below", [60, 1000])
def test_short_filters_and_those_too_long_for_one_jump_say_the_same(below: int, conditions: Any) -> None:
    numbers = syscall_numbers.table("x86_64")
    allowed = {name: number for name, number in numbers.items() if number % 2 and number < below}
    program = filter_of(*(row(name, "SCMP_ACT_ALLOW", *conditions) for name in allowed))
    for name, number in numbers.items():
        for given in (7, 8):
            expected = ENOSYS if number > max(allowed.values()) else \
                seccomp.ALLOW if name in allowed and (given == 7 or not conditions) else EPERM
            assert seccomp.judge(program, X86_64, number, (given,)) == expected, name


def test_architectures_apart() -> None:
    program = filter_of(row("openat", "SCMP_ACT_ALLOW"), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    assert seccomp.judge(program, X86_64, 257) == seccomp.judge(program, I386, 295) == seccomp.ALLOW
    assert seccomp.judge(program, X86_64, seccomp.X32_BIT | 257) == seccomp.ALLOW
    assert seccomp.judge(program, I386, 257) == EPERM
    native = filter_of(row("openat", "SCMP_ACT_ALLOW"))
    assert seccomp.judge(native, X86_64, seccomp.X32_BIT | 257) == seccomp.judge(native, I386, 295) == seccomp.KILL_PROCESS


def test_a_filter_asks_where_a_rule_says_so() -> None:
    asking, silent = (syscall_filter.assemble({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [row("read", action)]})
                      for action in ("SCMP_ACT_NOTIFY", "SCMP_ACT_ERRNO"))
    assert (asking.asks, silent.asks) == (True, False)
    assert seccomp.judge(asking.program, X86_64, 0) == seccomp.NOTIFY


CAPABILITIES: List[FrozenSet[str]] = [frozenset()] + [frozenset([each]) for each in (
    "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_SYS_NICE", "CAP_SYSLOG", "CAP_BPF", "CAP_PERFMON")]
ARGUMENTS = ([(each,) for each in (0, 2, 8, 9, 16, 37, 38, 39, 40, 41, 44, 45, 0x20000, 0x20008, 0x20009, 0xFFFFFFFF, 0x7E020000,
                                   0x10000000, 0x00020000, 0x80, 0x1200011)]
             + [(0, 0x10000000), (0x11, 5)])


def published_verdict(profile: Any, name: str, arguments: Any, capabilities: FrozenSet[str]) -> int:
    """What the published profile says, worked out from its own text."""
    verdict: Optional[int] = None
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if name not in rule["names"] or not set(includes.get("caps") or ()) <= capabilities \
                or (includes.get("arches") and "amd64" not in includes["arches"]) \
                or set(excludes.get("caps") or ()) & capabilities or "amd64" in (excludes.get("arches") or ()):
            continue
        tests = {"SCMP_CMP_LT": lambda a, c: a < c["value"], "SCMP_CMP_EQ": lambda a, c: a == c["value"],
                 "SCMP_CMP_GT": lambda a, c: a > c["value"],
                 "SCMP_CMP_MASKED_EQ": lambda a, c: a & c["value"] == c.get("valueTwo", 0)}
        filled = [*arguments, 0, 0, 0, 0, 0, 0]
        if all(tests[each["op"]](filled[each["index"]], each) for each in rule.get("args") or ()):
            verdict = {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_ERRNO": seccomp.ERRNO | rule.get("errnoRet", 1)}[rule["action"]]
    return seccomp.ERRNO | profile["defaultErrnoRet"] if verdict is None else verdict


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published profile is not here")
@pytest.mark.parametrize("capabilities", CAPABILITIES, ids=lambda each: "+".join(each) or "none")
def test_the_default_profile_says_what_dockers_says(capabilities: FrozenSet[str]) -> None:
    profile = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    program = syscall_filter.assemble(seccomp_default.section(capabilities)).program
    assert len(program) // 8 < 1000
    depend = {name for rule in profile["syscalls"] if rule.get("args") for name in rule["names"]}
    for machine, token, offset in (("x86_64", X86_64, 0), ("i386", I386, 0), ("x32", X86_64, seccomp.X32_BIT)):
        numbers = syscall_numbers.table(machine)
        highest = max(numbers[name] for rule in profile["syscalls"] for name in rule["names"] if name in numbers)
        for name, number in numbers.items():
            for arguments in ARGUMENTS if name in depend else [()]:
                if name == "socket" and arguments[0] > 63:
                    continue  # no such family; Docker's rule lets these through, with what hides in them: see below
                expected = published_verdict(profile, name, arguments, capabilities)
                if number > highest:
                    expected = ENOSYS
                found = seccomp.judge(program, token, number | offset, arguments)
                assert found == expected, (machine, name, arguments, hex(found))


def test_a_family_in_disguise_does_not_pass() -> None:
    """The kernel reads 32 bits of socket's first argument, so the upper half must not hide AF_ALG."""
    program = syscall_filter.assemble(seccomp_default.section()).program
    for family in (38, 40):
        for disguise in (1 << 32, 1 << 63, 0xFFFFFFFF << 32):
            assert seccomp.judge(program, X86_64, 41, (disguise | family,)) == EPERM


def test_the_same_section_is_assembled_once() -> None:
    assert syscall_filter.assemble(seccomp_default.section()) is syscall_filter.assemble(seccomp_default.section())


def test_a_program_is_kept_by_digest_for_processes_to_come(tmp_path: Path) -> None:
    folder = tmp_path / "filters"
    section = seccomp_default.section(["CAP_SYS_ADMIN"])
    syscall_filter._assembled.clear()
    first = syscall_filter.assemble(section, str(folder))
    (kept,) = folder.iterdir()
    assert kept.read_bytes() == first.program and folder.stat().st_mode & 0o777 == 0o700
    syscall_filter._assembled.clear()
    kept.write_bytes(first.program[:80])  # what is there is taken: nobody else can have put it there
    assert syscall_filter.assemble(section, str(folder)).program == first.program[:80]


@pytest.mark.parametrize("harm", ["others may write the folder", "others may write the file", "a link", "half a file", "empty"])
def test_a_kept_program_that_somebody_else_could_have_written_is_not_taken(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "filters"
    section = seccomp_default.section()
    syscall_filter._assembled.clear()
    good = syscall_filter.assemble(section, str(folder)).program
    (kept,) = folder.iterdir()
    kept.write_bytes(good[:8] if harm != "half a file" else good[:-3])
    if harm == "empty":
        kept.write_bytes(b"")
    elif harm == "others may write the folder":
        folder.chmod(0o777)
    elif harm == "others may write the file":
        kept.chmod(0o666)
    elif harm == "a link":
        kept.rename(tmp_path / "elsewhere")
        kept.symlink_to(tmp_path / "elsewhere")
    syscall_filter._assembled.clear()
    assert syscall_filter.assemble(section, str(folder)).program == good


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published profile is not here")
@pytest.mark.parametrize("capabilities", [(), ("CAP_SYS_ADMIN",), ("CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_TIME")])
def test_a_profile_in_dockers_form_says_what_it_says(capabilities: Any) -> None:
    content = PUBLISHED.read_bytes()
    profile = json.loads(content)
    made = seccomp_profile.section(seccomp_profile.read(content, "default.json"), capabilities)
    program = syscall_filter.assemble(made).program
    depend = {name for rule in profile["syscalls"] if rule.get("args") for name in rule["names"]}
    highest = max(number for name, number in syscall_numbers.table("x86_64").items()
                  if any(name in rule["names"] for rule in made["syscalls"]))
    for name, number in syscall_numbers.table("x86_64").items():
        for arguments in ARGUMENTS if name in depend else [()]:
            expected = ENOSYS if number > highest else published_verdict(profile, name, arguments, frozenset(capabilities))
            assert seccomp.judge(program, X86_64, number, arguments) == expected, (name, arguments)


@pytest.mark.parametrize(("content", "words"), [
    (b"", "no JSON"), (b"[]", "must be an object"), (b"{}", "defaultAction: is missing"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_ERRNO"}', "twice"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}', "syscalls[0].names"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "X"}]}', "syscalls[0].action"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9999}]}', "9999"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"caps": "x"}}]}',
     "includes.caps"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 7, "value": 1, '
     b'"op": "SCMP_CMP_EQ"}]}]}', "index"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 1, '
     b'"value": 1e999, "op": "SCMP_CMP_EQ"}]}]}', "value"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": NaN}', "NaN"),
    (b'{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 123456789012345678901234567890}', "digits"),
    (b"[" * 100000, "nested too deeply"), (b" " * (2 << 20), "bytes, more than"), (b"\xff{}", "not UTF-8"),
])
def test_a_profile_that_is_wrong_is_named_with_its_member(content: bytes, words: str) -> None:
    with pytest.raises(EngineError) as caught:
        seccomp_profile.read(content, "the profile /x.json")
    assert words in str(caught.value) and "the profile /x.json" in str(caught.value)
