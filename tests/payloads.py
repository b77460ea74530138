# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules as Ansible sends them to a host, without the second that starting Ansible takes.

A process of its own (Ansible's collection loader takes imports over) loads
Ansible once and then turns each request, a line of JSON with a module's name
and arguments, into the payload that the C(local) and C(ssh) connections would
transfer: the self-extracting script with all that the module imports. What the
action plugin would say in the environment is said by the script itself, and the
archive of the engine is there for it from the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "engine"
MODULES = "ansible_collections.coracle.containers.plugins.modules."
OURS = "coracle.containers."
USUAL = "/var/lib/coracle"
"""The state root."""


class Payloads:
    """Builds payloads; the process behind it starts with the first and ends with C(close)."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen[str]] = None
        self._key = ""

    @property
    def key(self) -> str:
        """What hosts know the modules by that they have kept."""
        if self._process is None:
            self._process = subprocess.Popen([sys.executable, __file__], text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdout
            self._key = self._process.stdout.readline().strip()
        return self._key

    def build(self, module: str, arguments: Mapping[str, Any], target: str, interpreter: str, kept: bool = False) -> None:
        """Write the payload of a module to a file.

        Args:
            module: Its full name.
            arguments: Its arguments, with the C(_ansible_) ones.
            target: The file.
            interpreter: The Python that will run it.
            kept: Whether it is the program that is sent to a host that has kept the module.
        """
        if not self.key or not self._process:
            raise RuntimeError("the builder of payloads does not start")
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([module, dict(arguments), target, interpreter, kept]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if answer != "done\n":
            raise RuntimeError("no payload of %s: %s" % (module, answer or "the builder ended"))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin and self._process.stdout
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()
            self._process = None


def serve() -> None:
    """Answer requests until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ansible has to say is no answer
    import ansible.constants as constants
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader, module_loader
    from ansible.release import __version__
    from ansible.template import Templar
    init_plugin_loader()
    from ansible_collections.coracle.containers.plugins.plugin_utils import kept
    templar = Templar(loader=DataLoader())
    print(kept.key(), file=answers, flush=True)
    for line in sys.stdin:
        module, arguments, target, interpreter, there = json.loads(line)
        try:
            found = module_loader.find_plugin_with_context(module, ".py")
            if not found.resolved:
                raise RuntimeError("there is no such module in %s" % os.environ.get("ANSIBLE_COLLECTIONS_PATH"))
            arguments.update(_ansible_version=__version__, _ansible_module_name=module,
                             _ansible_selinux_special_fs=constants.DEFAULT_SELINUX_SPECIAL_FS,
                             _ansible_tracebacks_for=[])
            built = kept.program(USUAL, MODULES + module[len(OURS):], arguments, interpreter) if there else modify_module(
                module_name=module, module_path=found.plugin_resolved_path, module_args=arguments,
                templar=templar, task_vars={"ansible_python_interpreter": interpreter},
                module_compression=constants.DEFAULT_MODULE_COMPRESSION, remote_is_local=False)
            start = b"" if there else b"from __future__ import annotations\n"
            said = b"import os; os.environ.update(%s)\n" % repr(environment(kept.key())).encode()
            with open(target, "wb") as stream:
                stream.write(built.b_module_data.replace(start, start + said, 1))
            answers.write("done\n")
        except Exception as error:  # the test that asked shall say it
            answers.write("%r\n" % error)
        answers.flush()


def environment(key: str) -> Dict[str, str]:
    """What the action plugin says to a module: which engine it is meant for, and where that was sent to."""
    from ansible_collections.coracle.containers.plugins.module_utils import shipment
    from ansible_collections.coracle.containers.plugins.plugin_utils import engine_archive
    CACHE.mkdir(parents=True, exist_ok=True)
    path = engine_archive.archive(str(CACHE))
    for old in sorted(CACHE.iterdir(), key=lambda each: each.stat().st_mtime)[:-8]:
        old.unlink(missing_ok=True)
    return {shipment.IDENTITY: engine_archive.identity(), shipment.ARCHIVE: path, shipment.STATE_ROOT: USUAL, shipment.KEY: key}


if __name__ == "__main__":
    serve()
