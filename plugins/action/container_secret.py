# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the engine to the host for the module of the same name, and the secret on a way of its own."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible.errors import AnsibleActionFail

from ansible_collections.coracle.containers.plugins.plugin_utils.engine_action import EngineAction

GIVEN = "CORACLE_SECRET"


class ActionModule(EngineAction):
    """C(container_secret).

    Ansible writes a module's options to a file of the managed host unless it pipes them. So the secret is taken out of them and
    goes through the connection's standard input to a file in memory, which the module removes when it has read it.
    """

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Run the module."""
        data = self._task.args.get("data")
        if data is not None and self._connection.has_pipelining:
            self._task.args = {key: value for key, value in self._task.args.items() if key != "data"}
            self._task.environment.append({GIVEN: self._put(data)})
        return super().run(tmp, task_vars)

    def _put(self, data: Any) -> str:
        """Write it to a file in memory; the file's path."""
        content = (data if isinstance(data, str) else str(data)).encode("utf-8", "surrogateescape")
        done = self._low_level_execute_command(
            "umask 077; d=$(mktemp -d /dev/shm/coracle-XXXXXXXXXX) && cat >$d/secret && echo $d/secret", in_data=content)
        path = done.get("stdout", "").strip().rpartition("\n")[2]
        if done.get("rc") or not path.startswith("/dev/shm/"):
            raise AnsibleActionFail("the secret could not be brought to the host: %s" % done.get("stderr", ""))
        return str(path)
