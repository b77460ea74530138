# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image runs on: operating system, architecture and variant, in the words of image-spec and Go.

Source: image-spec image-index.md, Platform Variants.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, NamedTuple, Tuple

_ARCHITECTURES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv7l": ("arm", "v7"),
                  "armv6l": ("arm", "v6"), "i686": ("386", ""), "i386": ("386", ""), "riscv64": ("riscv64", ""),
                  "ppc64le": ("ppc64le", ""), "s390x": ("s390x", ""), "loongarch64": ("loong64", ""),
                  "mips64": ("mips64le", "")}


class Platform(NamedTuple):
    """What an image runs on, in the words of image-spec and Go; C(variant) may be empty."""

    os: str
    architecture: str
    variant: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def platform() -> Tuple[str, str]:
    """This host's architecture and variant as image-spec and Go name them."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, (machine, ""))


def parse(text: str) -> Platform:
    """C(OS/ARCHITECTURE[/VARIANT]), or an architecture alone, by any of its usual names.

    Raises:
        ValueError: It is none.
    """
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if len(parts) > 3 or not all(re.match(r"[a-z0-9_.-]+\Z", part) for part in parts):
        raise ValueError("is no platform")
    architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
    given = parts[2] if len(parts) == 3 else ""
    return Platform(parts[0], architecture, given or ("" if parts[1] == architecture else variant))


def of_config(config: Dict[str, Any]) -> Platform:
    """What a config says that its image is for."""
    return Platform(str(config.get("os") or "linux"), str(config.get("architecture") or ""), str(config.get("variant") or ""))


def fits(wanted: Platform, found: Platform) -> bool:
    """Whether an image for one platform is what was asked for; a variant only counts where both name one."""
    return wanted[:2] == found[:2] and (not wanted.variant or not found.variant or wanted.variant == found.variant)
