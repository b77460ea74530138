# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signal masks and dispositions by plain numbers (signal(7), pthread_sigmask(3)).

The functions of C(signal) make enumerations of all that they take and return: a fifth of a millisecond for each pair of masks,
and more in a process that has just been forked. The C module behind it does the same work in microseconds.
"""

from __future__ import annotations

import signal
from typing import Any, Tuple

_plain: Any
try:
    import _signal as _plain  # type: ignore[import-not-found,no-redef]
except ImportError:
    _plain = signal

_ALL = _plain.valid_signals()
_DEFAULT = int(signal.SIG_DFL)


class Blocked:
    """While this lasts no signal reaches the calling thread; a class, since what makes one of a function costs a start its import."""

    before: Tuple[int, ...] = ()

    def __enter__(self) -> None:
        self.before = _plain.pthread_sigmask(signal.SIG_BLOCK, _ALL)

    def __exit__(self, *_exception: Any) -> None:
        _plain.pthread_sigmask(signal.SIG_SETMASK, self.before)


def reset() -> None:
    """Default dispositions and an empty mask: an ignored signal would be inherited through execve(2)."""
    for number in range(1, signal.NSIG):
        try:
            if _plain.getsignal(number) != _DEFAULT:
                _plain.signal(number, _DEFAULT)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the two that the C library keeps for itself
    _plain.pthread_sigmask(signal.SIG_SETMASK, ())
