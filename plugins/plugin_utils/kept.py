# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task without its module, where the host has kept that (C(module_utils/keeping.py)).

What is sent is a program of a few lines with the task's options, through the connection's standard input, in one go: no temporary
folder, no file. Ansible takes it for the module that it is, so all else of a task is as always.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import zlib
from functools import lru_cache
from typing import Any, Mapping, Optional

from ansible import constants
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.release import __version__

from . import engine_archive
from .kept_program import run_kept

try:
    from ansible.executor.module_common import _BuiltModule
except ImportError:  # another ansible-core than those that this was written for: it sends the modules themselves
    _BuiltModule = None  # type: ignore[assignment,misc]

MISSING = "coracle_kept_missing"
"""In the answer of a host that has not kept the module: C(module), or C(engine) if it has not even that."""
_PROFILE = "legacy"  # how Ansible writes options and results of modules that say nothing of it
_DISCOVERED = ("", "auto", "auto_legacy", "auto_silent", "auto_legacy_silent")


@lru_cache(maxsize=1)
def key() -> str:
    """What a kept module is known by: everything that decides what Ansible would send."""
    plugins = os.path.dirname(engine_archive.SOURCE)
    digest = hashlib.sha256(("%s %s" % (__version__, engine_archive.identity())).encode())
    for folder in (engine_archive.SOURCE, os.path.join(plugins, "modules")):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as stream:
                    digest.update(b"%s %08x\n" % (name.encode(), zlib.crc32(stream.read())))
    return digest.hexdigest()[:16]


def interpreter(action: Any, variables: Mapping[str, Any]) -> Optional[str]:
    """The Python of the host, C(None) if Ansible has still to look for it."""
    if action._task.delegate_to:
        variables = variables.get("ansible_delegated_vars", {}).get(action._task.delegate_to, {})
    if getattr(action._connection, "_remote_is_local", False):
        return str(variables["ansible_playbook_python"])
    found = constants.config.get_config_value("INTERPRETER_PYTHON", variables=variables)
    found = str(action._templar.template(found) or "").strip()
    if found in _DISCOVERED:
        found = str(variables.get("ansible_facts", {}).get("discovered_interpreter_python") or "")
    return found or None


def possible(action: Any, variables: Mapping[str, Any]) -> bool:
    """Whether the connection takes standard input, and nothing is wanted of the module that a file of it is needed for."""
    connection = action._connection
    become = connection.become
    return bool(_BuiltModule is not None and connection.has_pipelining and (not become or become.pipelining)
                and not constants.DEFAULT_KEEP_REMOTE_FILES
                and not constants.config.get_config_value("PYTHON_MODULE_RLIMIT_NOFILE", variables=variables)
                and not any(name.startswith("_ANSIBLE_ANSIBALLZ_") for name in os.environ)  # coverage, debuggers
                and interpreter(action, variables))


def program(root: str, module: str, params: Mapping[str, Any], python: str) -> _BuiltModule:
    """What is sent in place of the module."""
    encoded = json.dumps({"ANSIBLE_MODULE_ARGS": params}, cls=get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE))
    text = "%s\nrun_kept(%s)\n" % (_text(), ", ".join(
        ascii(each) for each in (root, engine_archive.identity(), key(), module, encoded, MISSING)))
    return _BuiltModule(b_module_data=text.encode(), module_style="new", shebang="#!" + python, serialization_profile=_PROFILE)


@lru_cache(maxsize=1)
def _text() -> str:
    return inspect.getsource(run_kept)
