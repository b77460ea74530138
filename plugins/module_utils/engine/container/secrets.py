# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be shown: values of environment variables whose names sound secret."""

from __future__ import annotations

import re
from typing import Dict, Mapping

_SECRET = re.compile(r"pass|secret|token|credential|(^|_)key($|_)|api_?key|private", re.IGNORECASE)
HIDDEN = "********"


def mask(environment: Mapping[str, str]) -> Dict[str, str]:
    """The environment with the values of variables that sound secret hidden."""
    return {key: HIDDEN if _SECRET.search(key) else value for key, value in environment.items()}
