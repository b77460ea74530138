# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say which instance of the engine is meant; all modules have them."""

from __future__ import annotations

from ..engine.instance import CGROUP_ROOT, RUN_ROOT, STATE_ROOT
from ..option import NOT_COMPARED, Option
from ..values import absolute_path

INSTANCE = (
    Option("state_root", type="path", default=STATE_ROOT, compare=NOT_COMPARED,
           parse=absolute_path, form="an absolute path such as " + STATE_ROOT),
    Option("run_root", type="path", default=RUN_ROOT, compare=NOT_COMPARED,
           parse=absolute_path, form="an absolute path such as " + RUN_ROOT),
    Option("cgroup_root", type="str", default=CGROUP_ROOT, compare=NOT_COMPARED,
           parse=absolute_path, form="an absolute cgroup path such as " + CGROUP_ROOT),
)
