# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options that say which instance of the engine is meant."""

    DOCUMENTATION = r"""
options:
  state_root:
    description:
      - Folder for what survives a reboot, such as images, containers and volumes.
      - Two instances with different roots share nothing.
    type: path
    default: /var/lib/coracle
  run_root:
    description:
      - Folder, on a tmpfs, for what must not survive a reboot.
    type: path
    default: /run/coracle
  cgroup_root:
    description:
      - Cgroup below which this instance makes its own, as a path within each hierarchy.
    type: str
    default: /coracle
"""
