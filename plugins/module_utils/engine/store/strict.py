# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON from strangers: what one reader takes for one thing and the next for another is refused (RFC 8259, section 4)."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from . import documents

LIMIT = 8 << 20
"""Of a document, in bytes."""
_DIGITS = 20


class Unclear(ValueError):
    """A document is no JSON, or says two things.

    Args:
        why: Continues the document's name.
        key: The key that comes twice, or nothing.
    """

    def __init__(self, why: str, key: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.key = key


def loads(content: bytes, limit: int = LIMIT) -> Any:
    """Decode JSON: no duplicate keys, no NaN, no number of more digits than the kernel's, nothing after the end.

    Raises:
        Unclear: Says why.
    """
    if len(content) > limit:
        raise Unclear("has %d bytes, more than the %d allowed" % (len(content), limit))
    try:
        return documents.decode(content.decode("utf-8"), _pairs, _integer, _constant)
    except UnicodeDecodeError as error:
        raise Unclear("is not UTF-8: byte %d" % error.start) from error
    except RecursionError as error:
        raise Unclear("is nested too deeply") from error
    except Unclear:
        raise
    except ValueError as error:
        raise Unclear("is no JSON: %s" % error) from error


def _pairs(items: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(items)
    if len(result) != len(items):
        seen = set()
        for key, _value in items:
            if key in seen:
                raise Unclear("has the key %r twice in one object" % key[:80], key)
            seen.add(key)
    return result


def _constant(text: str) -> Any:
    raise Unclear("holds %s, which JSON does not have" % text)


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise Unclear("holds a number of %d digits" % len(text))
    return int(text)
