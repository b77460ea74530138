# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the engine to the host for the module of the same name, and reads Compose files for it."""

from __future__ import annotations

import errno
import os
from typing import Any, Dict, Mapping, Optional

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.display import Display

from ansible_collections.coracle.containers.plugins.plugin_utils.engine_action import EngineAction

_OF_FILES = ("project_src", "files", "env_files", "environment", "profiles", "unsupported", "project_dest")


class ActionModule(EngineAction):
    """C(container_stack)."""

    pulls = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Let the module have a definition in place of the files that the task names."""
        if self._task.args.get("project_src") or self._task.args.get("files"):
            self._task.args = self._read(dict(self._task.args))
        return super().run(tmp, task_vars)

    def _read(self, args: Dict[str, Any]) -> Dict[str, Any]:
        from ansible_collections.coracle.containers.plugins.plugin_utils.compose import reader
        from ansible_collections.coracle.containers.plugins.plugin_utils.compose.findings import ComposeError
        from ansible_collections.coracle.containers.plugins.plugin_utils.compose.project import Request
        if args.get("definition") is not None:
            raise AnsibleActionFail("option 'definition' does not go with 'project_src' and 'files'. Leave one out")
        said = _checked({name: args.pop(name) for name in _OF_FILES if name in args})
        source = said["project_src"] and self._found(said["project_src"])
        files = said["files"]
        if files and not source:
            files = [self._found(each) for each in files]
        request = Request(source, files, args.get("name"), said["env_files"],
                          {str(name): str(value) for name, value in (said["environment"] or {}).items()}, self._content)
        try:
            reading = reader.read(request, said["profiles"], said["unsupported"], said["project_dest"])
        except ComposeError as error:
            raise AnsibleActionFail(str(error)) from error
        for text in reading.warnings:
            Display().warning(text)
        return dict(args, definition=reading.definition)

    def _found(self, path: str) -> str:
        """A path of the controller, looked for as the sources of C(ansible.builtin.copy) are."""
        try:
            return str(self._find_needle("files", path))
        except AnsibleError:
            return str(self._loader.path_dwim(path))  # the reader tells what is missing

    def _content(self, path: str) -> bytes:
        """What is in a file, decrypted if Ansible Vault has encrypted it."""
        if not os.path.isfile(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        real = self._loader.get_real_file(path)
        try:
            with open(real, "rb") as stream:
                return stream.read()
        finally:
            self._loader.cleanup_tmp_file(real)


def _checked(said: Dict[str, Any]) -> Dict[str, Any]:
    """The options that the module does not get, as it would have them.

    Raises:
        AnsibleActionFail: One is not what its row in the table says.
    """
    from ansible_collections.coracle.containers.plugins.module_utils import option
    from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
    from ansible_collections.coracle.containers.plugins.module_utils.options import stack
    rows = tuple(row for row in stack.OPTIONS if row.name in _OF_FILES)
    result = ArgumentSpecValidator(option.argument_spec(rows)).validate(said)
    if result.error_messages:
        raise AnsibleActionFail(". ".join(result.error_messages))
    try:
        return option.parse(rows, {name: result.validated_parameters.get(name) for name in _OF_FILES})
    except EngineError as error:
        raise AnsibleActionFail(str(error)) from error
