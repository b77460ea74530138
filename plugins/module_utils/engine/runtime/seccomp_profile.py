# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System call profiles as Docker and Podman write them, turned into linux.seccomp of the runtime-spec.

To what the runtime-spec has they add C(archMap), and for each rule C(includes) and C(excludes): the capabilities,
architectures and kernel with which it holds. A section of the runtime-spec is such a profile, too.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from ..kernel.syscalls import MACHINE
from . import spec
from .checks import Invalid, array, filled, parse, record, text

LIMIT = 1 << 20
"""Bytes of a profile."""
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Machines as profiles call them."""
_CONDITION = record({"caps": array(text), "arches": array(text), "minKernel": text})
_CHECK = record({
    "archMap": array(record({"architecture": filled, "subArchitectures": array(filled)}, ("architecture",))),
    "syscalls": array(record({"name": filled, "includes": _CONDITION, "excludes": _CONDITION}, ("action",))),
})
_EXTRA = ("includes", "excludes", "comment", "name")


def read(content: bytes, name: str) -> Dict[str, Any]:
    """A profile, checked.

    Args:
        name: What to call it in errors.

    Raises:
        Invalid: It is no JSON, too long, or not of a profile's form; names the member.
    """
    profile = parse(content, name, LIMIT)
    try:
        _CHECK(profile, "")
        # With every condition fulfilled, so that each rule is seen.
        spec.validate_seccomp(_section(profile, profile.get("syscalls") or ()))
    except Invalid as error:
        raise Invalid("", "%s: %s" % (name, error.what), "Write it as Docker's default profile is written") from error
    return dict(profile)


def section(profile: Mapping[str, Any], capabilities: Iterable[str]) -> Dict[str, Any]:
    """linux.seccomp for a container with these capabilities in its bounding set, on this machine and kernel."""
    have = frozenset(capabilities)
    return _section(profile, [rule for rule in profile.get("syscalls") or () if _holds(rule, have)])


def _section(profile: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    made = {key: value for key, value in profile.items() if key not in ("archMap", "syscalls")}
    if profile.get("archMap"):
        native = "SCMP_ARCH_" + MACHINE.upper()
        made["architectures"] = [name for row in profile["archMap"] if row["architecture"] == native
                                 for name in [native, *(row.get("subArchitectures") or ())]]
    made["syscalls"] = [_rule(rule) for rule in rules]
    return made


def _rule(rule: Mapping[str, Any]) -> Dict[str, Any]:
    plain = {key: value for key, value in rule.items() if key not in _EXTRA}
    names: List[str] = list(plain.get("names") or ())
    if rule.get("name"):
        names.append(rule["name"])
    return dict(plain, names=names)


def _holds(rule: Mapping[str, Any], have: "frozenset[str]") -> bool:
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    machine = _GO_NAMES.get(MACHINE, MACHINE)
    if wanted.get("arches") and machine not in wanted["arches"] or machine in (unwanted.get("arches") or ()):
        return False
    if not set(wanted.get("caps") or ()) <= have or have & set(unwanted.get("caps") or ()):
        return False
    if wanted.get("minKernel") and _kernel() < _version(wanted["minKernel"]):
        return False
    return not (unwanted.get("minKernel") and _kernel() >= _version(unwanted["minKernel"]))


def _kernel() -> Tuple[int, int]:
    return _version(os.uname().release)


def _version(said: str) -> Tuple[int, int]:
    parts = said.split(".")
    numbers = ["".join(letter for letter in part if letter in "0123456789") for part in (parts + ["0"])[:2]]
    return int(numbers[0][:5] or 0), int(numbers[1][:5] or 0)
