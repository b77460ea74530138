# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytecode in one file, as C(start.Finder) reads it; C(start.ARCHIVE) says how."""

from __future__ import annotations

import marshal
from typing import Any, Mapping, Tuple


class Pack:
    """Pieces, each with its place."""

    def __init__(self) -> None:
        self._body = bytearray()

    def add(self, content: Any) -> Tuple[int, int]:
        """Put in a piece, anything that C(marshal) can write; where it begins, and its length in bytes."""
        piece = marshal.dumps(content)
        self._body.extend(piece)
        return len(self._body) - len(piece), len(piece)

    def bytes(self, head: Mapping[str, Any]) -> bytes:
        """The whole file, with a head that says where what is."""
        content = marshal.dumps(dict(head))
        return len(content).to_bytes(4, "little") + content + bytes(self._body)
