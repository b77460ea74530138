# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the engine to the host for the module of the same name, and files of the controller."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, Dict, Mapping, Optional

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import trust_as_template

from ansible_collections.coracle.containers.plugins.plugin_utils import parcel
from ansible_collections.coracle.containers.plugins.plugin_utils.engine_action import EngineAction

PARCEL = "CORACLE_PARCEL"
WANTED = "coracle_wants_the_content"


class ActionModule(EngineAction):
    """C(container_copy)."""

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Run the module; with C(src), send what that names first, and its content as soon as that is needed."""
        source = self._task.args.get("src")
        if not source:
            return super().run(tmp, task_vars)
        folder = tempfile.mkdtemp(prefix="coracle-parcel-", dir=constants.DEFAULT_LOCAL_TMP)
        try:
            path, name = self._find(str(source), folder, dict(task_vars or {}))
            rows, contents, skipped = parcel.entries(path, self._loader.get_real_file)
            complete = parcel.little(rows) or bool(self._task.async_val)
            self._send_parcel(folder, name, rows, contents, skipped, complete)
            result = super().run(tmp, task_vars)
            if result.get(WANTED):
                self._send_parcel(folder, name, rows, contents, skipped, True)
                result = super().run(tmp, task_vars)
            return result
        except OSError as error:
            raise AnsibleActionFail("option 'src': %s: %s" % (error.filename or source, error.strerror or error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._loader.cleanup_all_tmp_files()

    def _find(self, source: str, folder: str, variables: Dict[str, Any]) -> "tuple[str, str]":
        """The path of what is to be sent, and its name; a template is rendered to a file first."""
        template = boolean(self._task.args.get("template", False), strict=False)
        try:
            path = self._find_needle("templates" if template else "files", source.rstrip("/") or "/")
        except AnsibleError as error:
            raise AnsibleActionFail("option 'src': %s" % error) from error
        name = os.path.basename(path.rstrip("/"))
        if not template:
            return path, name
        if os.path.isdir(path):
            raise AnsibleActionFail("option 'template': '%s' is a folder. Name a file" % source)
        rendered = os.path.join(folder, "rendered")
        search = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(path)]
        search = [each for one in search for each in (os.path.join(one, "templates"), one)]
        known = {"ansible_managed": "Ansible managed", **variables, "template_host": os.uname().nodename, "template_path": source,
                 "template_fullpath": os.path.abspath(path), "template_destpath": self._task.args.get("container_path")}
        templar = self._templar.copy_with_new_env(searchpath=search, available_variables=known)
        text = templar.template(trust_as_template(self._loader.get_text_file_contents(path)), escape_backslashes=False,
                                overrides={"trim_blocks": True})
        with open(rendered, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write("" if text is None else str(text))
        shutil.copymode(path, rendered)
        return rendered, name[:-3] if name.endswith(".j2") else name

    def _send_parcel(self, folder: str, name: str, rows: Any, contents: Any, skipped: Any, complete: bool) -> None:
        local = os.path.join(folder, "parcel-%d" % complete)
        parcel.write(local, name, rows, contents, skipped, complete)
        self._task.environment.append({PARCEL: self._bring(local)})
