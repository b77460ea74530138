# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several looks at a host share: read once, as long as nobody changes anything in between."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List

_kept: List[Dict[Any, Any]] = []


@contextmanager
def once() -> Iterator[None]:
    """Let what is looked at within be read once. Not for changes, nor for what has to see them."""
    _kept.append({})
    try:
        yield
    finally:
        _kept.pop()


def active() -> bool:
    """Whether looks are shared now."""
    return bool(_kept)


def shared(key: Any, look: Callable[[], Any]) -> Any:
    """What a look yields; that of an earlier one of the same key where looks are shared."""
    if not _kept:
        return look()
    if key not in _kept[-1]:
        _kept[-1][key] = look()
    return _kept[-1][key]
