# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of every module: runs the one that the host has kept, else sends it, and the engine where that is missing.

Packing the engine into each module would cost the controller 0.4 s for each
module of a play, and each task 400 kB on the wire.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any, Dict, Mapping, Optional

from ansible import constants
from ansible.plugins.action import ActionBase

from ..module_utils.engine.instance import STATE_ROOT as USUAL
from ..module_utils.shipment import ARCHIVE, IDENTITY, KEY, MISSING, STATE_ROOT
from . import engine_archive, kept, pull_progress

kept.key()  # read by the process that loads this, so that the ones it forks for tasks need not
_MODULES = "ansible_collections.coracle.containers.plugins.modules."
_NO_TERMINAL = "must have a tty"
"""What sudo says where it is set to want a terminal, which there is none of beside standard input."""


class EngineAction(ActionBase):
    """Runs the module of the same name; base of all action plugins here."""

    _supports_check_mode = True
    _supports_async = True
    pulls = False
    """Whether the module may pull an image, which can take long enough to be watched."""
    _kept = False
    _root = USUAL

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Run the module; run it again with the engine if it says that the host has none."""
        result = super().run(tmp, task_vars)
        background = bool(self._task.async_val) and not self._connection.has_native_async
        self._root = str(self._task.args.get("state_root") or USUAL)
        self._kept = not background and kept.possible(self, task_vars or {})
        self._task.environment.append({IDENTITY: engine_archive.identity(), STATE_ROOT: self._root, KEY: kept.key()})
        if background:  # nobody would be there to send it later
            self._send()
        with (pull_progress.watch(self, dict(task_vars or {})) if self.pulls and not background else None) or nullcontext():
            found = self._execute_module(task_vars=task_vars, wrap_async=background)
            if self._kept and (found.get(kept.MISSING) or _NO_TERMINAL in str(found.get("module_stderr"))):
                self._kept = False
                if found.get(kept.MISSING) == "engine":
                    self._send()
                found = self._execute_module(task_vars=task_vars)
            if found.get(MISSING):
                self._send()
                found = self._execute_module(task_vars=task_vars)
        result.update(found)
        if not background:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        """A kept module goes through standard input whatever is set, since there is none to be written to a file."""
        return self._kept or bool(super()._is_pipelining_enabled(module_style, wrap_async))

    def _configure_module(self, module_name: str, module_args: Any, task_vars: Any) -> Any:
        """Where the host has kept the module, what runs that takes its place."""
        if not self._kept:
            return super()._configure_module(module_name, module_args, task_vars)
        name = _MODULES + module_name.rpartition(".")[2]
        return kept.program(self._root, name, module_args, kept.interpreter(self, task_vars) or ""), name

    def _send(self) -> None:
        """Transfer the archive to the task's temporary folder."""
        self._task.environment.append({ARCHIVE: self._bring(engine_archive.archive(constants.DEFAULT_LOCAL_TMP))})

    def _bring(self, local: str) -> str:
        """Transfer a file to the task's temporary folder; its path there."""
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        remote = shell.join_path(shell.tmpdir, os.path.basename(local))
        self._transfer_file(local, remote)
        self._fixup_perms2((shell.tmpdir, remote))
        return str(remote)
