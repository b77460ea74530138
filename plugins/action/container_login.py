# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the engine to the host for the module of the same name."""

from __future__ import annotations

from ansible_collections.coracle.containers.plugins.plugin_utils.engine_action import EngineAction


class ActionModule(EngineAction):
    """C(container_login)."""
