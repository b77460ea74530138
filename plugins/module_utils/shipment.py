# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine gets to a managed host: the words that controller and host share.

A module carries its option table and the contract, not the engine. The action
plugin tells it which engine it is meant for; a host that has not got that one
answers so, and is sent the module again with an archive of the engine. The
archive has the option tables too: a host that has got it finds them compiled there.
"""

from __future__ import annotations

import hashlib
from typing import Dict, Tuple

IDENTITY = "CORACLE_ENGINE"
"""Environment variable of a module: the C(identity) of the engine it shall use."""
STATE_ROOT = "CORACLE_STATE_ROOT"
"""Environment variable of a module: the state root below which that engine may be installed."""
ARCHIVE = "CORACLE_ENGINE_ARCHIVE"
"""Environment variable of a module: path of a zip file with that engine, where one was sent."""
KEY = "CORACLE_KEPT"
"""Environment variable of a module: what it shall be known by where the host keeps it."""
MISSING = "engine_missing"
"""Key in the result of a module that found no such engine and no archive."""


def identity(files: Dict[str, Tuple[int, int]]) -> str:
    """What tells one engine from another.

    Args:
        files: Names of its source files, relative to C(module_utils), to CRC-32 and size in bytes.
    """
    listing = "".join("%s %08x %d\n" % (name, crc, size) for name, (crc, size) in sorted(files.items()))
    return hashlib.sha256(listing.encode()).hexdigest()[:32]
