# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """What all modules of the collection promise."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in C(check_mode) and predicts exactly what a real run then does.
  diff_mode:
    support: full
    description: Returns per option what was and what will be, secrets masked.
  idempotent:
    support: full
    description: When run twice with the same options, the second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Target OS families that can be operated against.
  action_group:
    support: full
    membership:
      - coracle.containers.containers
    description: Use C(group/coracle.containers.containers) in C(module_defaults) to set defaults for all modules.
"""
