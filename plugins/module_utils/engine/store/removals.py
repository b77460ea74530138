# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that are removed in two steps: renamed, so that nothing looks whole that is not, then deleted.

The name says which process does it, so that what an interrupted one has left is told from what another is at just now.
"""

from __future__ import annotations

import os
from typing import Dict

_MARK = ".removed-"


def put_away(path: str) -> str:
    """Rename a folder that is to be deleted; its path from then on."""
    parent, name = os.path.split(path)
    doomed = os.path.join(parent, "%s%s-%d" % (_MARK, name, os.getpid()))
    os.rename(path, doomed)
    return doomed


def interrupted(parent: str) -> Dict[str, str]:
    """What interrupted removals have left in a folder, if that is there: paths, with the names that they had."""
    try:
        names = os.listdir(parent)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {os.path.join(parent, each): each[len(_MARK):].rpartition("-")[0] for each in names
            if each.startswith(_MARK) and not os.path.exists("/proc/" + each.rpartition("-")[2])}
