# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocol Buffers on the wire: the examples of their documentation, and what is cut short."""

from __future__ import annotations

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import messages


def test_the_documentations_examples() -> None:
    assert messages.encode([(1, 150)]) == bytes.fromhex("089601")
    assert messages.encode([(2, "testing")]) == bytes.fromhex("120774657374696e67")
    assert messages.encode([(3, [(1, 150)])]) == bytes.fromhex("1a03089601")
    assert messages.encode([(1, -2)]) == bytes.fromhex("08feffffffffffffffff01")
    assert messages.encode([(5, True), (5, False)]) == bytes.fromhex("28012800")


def test_what_was_written_is_read() -> None:
    written = messages.encode([(1, 2**32), (2, "ä"), (2, "b"), (500, [(1, "x")])])
    assert messages.decode(written) == {1: [2**32], 2: ["ä".encode(), b"b"], 500: [b"\x0a\x01x"]}
    assert messages.decode(bytes.fromhex("0d01000000" "110200000000000000")) == {1: [b"\x01\0\0\0"], 2: [b"\x02" + bytes(7)]}


@pytest.mark.parametrize("content", ["08", "0880", "1207", "0d0100", "0b", "0f"])
def test_what_is_damaged_is_refused(content: str) -> None:
    with pytest.raises(EngineError, match="damaged"):
        messages.decode(bytes.fromhex(content))
