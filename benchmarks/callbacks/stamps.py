# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long each task took and what it changed, a line of JSON for each, in order."""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stamps
type: aggregate
short_description: How long each task took
description: Appends a line of JSON for each task to the file that E(CORACLE_BENCHMARK_STAMPS) names.
"""


class CallbackModule(CallbackBase):
    """From the moment that a task is handed to the strategy to the moment that its result is there."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stamps"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._began = 0.0

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._began = time.monotonic()

    def v2_runner_on_ok(self, result):
        took = time.monotonic() - self._began
        task = getattr(result, "task", None) or result._task
        found = getattr(result, "result", None) or result._result
        if task.action == "ansible.builtin.include_tasks":
            return
        changed = [bool(each.get("changed")) for each in found.get("results", [found])]
        with open(os.environ["CORACLE_BENCHMARK_STAMPS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"task": task.get_name(), "seconds": took, "changed": changed}) + "\n")
