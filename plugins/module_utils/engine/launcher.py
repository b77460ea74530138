# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation of the engine gets beside its source: the command, and its bytecode in one file.

The command is a shell script, since a shell starts in half a millisecond and
chooses which interpreter to start: the sealed one of C(runtime/seal.py) where it
is the very file that this engine was compiled by, else that file itself, else
whatever has its name after an upgrade of the distribution, with the source.
"""

from __future__ import annotations

import os
import sys
from types import CodeType
from typing import Any, Dict, Tuple

from . import together
from .instance import RUN_ROOT
from .pack import Pack
from .start import ARCHIVE
from .store import files

NAME = "coracle"
"""Of the command in the folder of an installation."""
HOME = os.path.join(RUN_ROOT, "interpreter")
"""Where a host keeps a sealed interpreter; one for all instances."""
_SEAL = "runtime.seal"
_MAKING = ("cli.oci_life", _SEAL, "cli.oci_attend", "cgroup.group", "cgroup.limits", "cgroup.hierarchy")
_ENDING = ("cli.oci_life", "cgroup.group")
VERBS: Dict[str, Tuple[str, ...]] = {
    "create": _MAKING, "run": _MAKING, "start": _ENDING, "kill": _ENDING, "delete": _ENDING, "state": ("cli.oci_info", "cgroup.group"),
    "exec": ("cli.oci_exec", _SEAL, "cli.oci_attend", "cgroup.group"),
    "keeper": ("cli.containers", _SEAL, "container.keeper", "container.lifecycle", "container.log_services", "container.probe",
               "runtime.exec")}
"""Verbs that are called for each container, and the modules of C(engine) that they need besides what these import first."""
_ENTRIES = ("resource", "information", "info")
"""The last parts of the names of what Ansible's modules ask for."""
_COMMAND = """\
#!/bin/sh
# Written by coracle.containers: starts the engine that lies beside this file.
here={folder}
[ -e "$here/engine" ] || here=$(dirname "$(readlink -f "$0")")
python={python}
sealed={sealed}
program=$here/engine/__pycache__/start.{tag}.pyc
if [ "$sealed" -ef "$python" ]; then
    python=$sealed
elif ! [ -x "$python" ]; then
    python={name}
    program=$here/engine/start.py
fi
exec "$python" -IS -X utf8 "$program" "$0" "$@"
"""


def write(part: str, folder: str) -> None:
    """Write both to the folder of an installation.

    Args:
        part: The folder, with the source in C(engine/), by the name that it has while it is written.
        folder: By the name that it will have.
    """
    files.write(os.path.join(part, ARCHIVE), _archive(part, folder), 0o644, durable=False)
    python = os.path.realpath(sys.executable)
    text = _COMMAND.format(folder=_quoted(folder), python=_quoted(python), sealed=_quoted(place(python)),
                           tag=sys.implementation.cache_tag, name=_quoted(sys.executable))
    files.write(os.path.join(part, NAME), os.fsencode(text), 0o755, durable=False)


def place(python: str) -> str:
    """Where a host keeps an interpreter sealed: in a C(bin) whose siblings are the interpreter's own, its libraries."""
    return os.path.join(HOME, "bin", os.path.basename(python))


def _archive(part: str, folder: str) -> bytes:
    """All modules' code without documentation, in the form that C(start.ARCHIVE) describes."""
    modules = together.read(part)
    codes = {name: _code(os.path.join(part, each.source), os.path.join(folder, each.source)) for name, each in modules.items()}
    pack = Pack()
    lists = {roots: pack.add([(name, modules[name].package, modules[name].source, _shortened(codes[name]))
                              for name in together.order(modules, roots)]) for roots in dict.fromkeys(VERBS.values())}
    head = {verb: (*lists[roots], _SEAL in roots) for verb, roots in VERBS.items()}
    index = {name: (each.package, each.source, *pack.add(codes[name])) for name, each in modules.items()}
    orders = {name: together.order(modules, (name.partition(".")[2],), ()) for name in modules if name.rpartition(".")[2] in _ENTRIES}
    head[""] = (*pack.add((index, orders)), False)
    return pack.bytes(head)


def _code(path: str, name: str) -> CodeType:
    with open(path, "rb") as stream:
        return compile(stream.read(), name, "exec", dont_inherit=True, optimize=2)


def _shortened(code: CodeType) -> CodeType:
    """Code without its table of lines, a quarter of it: all of a function is said to be in its first line."""
    changes: Dict[str, Any] = {
        "co_consts": tuple(_shortened(each) if isinstance(each, CodeType) else each for each in code.co_consts)}
    size = len(code.co_code)
    if sys.version_info >= (3, 11):  # CPython, Objects/locations.md: entries without columns, of at most 8 units of 2 bytes
        changes["co_linetable"] = b"".join(bytes((0x80 | 13 << 3 | min(8, size // 2 - at) - 1, 0)) for at in range(0, size // 2, 8))
    elif sys.version_info >= (3, 10):  # PEP 626, Objects/lnotab_notes.txt: pairs of bytes of code and lines
        changes["co_linetable"] = b"".join(bytes((min(254, size - at), 0)) for at in range(0, size, 254))
    else:
        changes["co_lnotab"] = b""
    return code.replace(**changes)


def _quoted(text: str) -> str:
    """A word for the shell."""
    return "'%s'" % text.replace("'", "'\\''")
