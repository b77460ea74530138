#!/usr/bin/env python3
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the command coracle, an OCI runtime, from this checkout, without Ansible.

    scripts/install_runtime.py [--prefix DIR] [--python PATH]     to DIR/bin/coracle; DIR is /usr/local by default
                               [--no-seal]                        do not say 'coracle seal', as for a package
    scripts/install_runtime.py [--prefix DIR] --uninstall         takes it away again

DIR/lib/coracle/DIGEST/ gets the source and its bytecode, DIR/lib/coracle/current names the newest, and DIR/bin/coracle
leads there. A later version is installed beside an earlier one, which what runs keeps; --uninstall removes all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

NEEDED = (3, 9)


def main() -> int:
    """Install or uninstall, as the arguments say."""
    parser = argparse.ArgumentParser(description="Installs the command coracle, an OCI runtime, from this checkout.")
    parser.add_argument("--prefix", type=Path, default=Path("/usr/local"), help="default: /usr/local")
    parser.add_argument("--python", help="what is to run it, 3.9 or newer; default: the distribution's, else this one")
    parser.add_argument("--no-seal", action="store_true", help="do not keep a sealed interpreter on this host")
    parser.add_argument("--uninstall", action="store_true", help="take away what was installed to the prefix")
    arguments = parser.parse_args()
    prefix = Path(os.path.abspath(arguments.prefix))
    if arguments.uninstall:
        return uninstall(prefix)
    python = os.path.abspath(arguments.python) if arguments.python else next(candidates(), "")
    if not python or not suitable(python):
        parser.error("%s is no Python %d.%d or newer" % (python or "what runs this", *NEEDED))
    if not os.path.samefile(python, sys.executable):  # bytecode is for the version that writes it
        return subprocess.run([python, __file__, *sys.argv[1:], "--prefix", prefix, "--python", python], check=False).returncode
    return install(prefix, not arguments.no_seal and os.geteuid() == 0)


def candidates() -> Iterator[str]:
    """Pythons that could run it, the distribution's first: that of an environment may be gone tomorrow."""
    for path in ("/usr/bin/python3", "/usr/libexec/platform-python", sys.executable):
        if suitable(path):
            yield path


def suitable(path: str) -> bool:
    """Whether it is a Python new enough."""
    try:
        return subprocess.run([path, "-IS", "-c", "import ctypes, sys; sys.exit(sys.version_info < %r)" % (NEEDED,)],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(prefix: Path, seal: bool) -> int:
    """Install with this interpreter."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from plugins.module_utils import installation
    from plugins.plugin_utils import engine_archive
    command = prefix / "bin" / "coracle"
    if os.path.lexists(command) and not ours(command):
        sys.stderr.write("%s is there already and was not installed by this; nothing was done\n" % command)
        return 1
    for folder in (prefix / "bin", prefix / "lib"):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        installation.install_below(str(prefix / "lib" / "coracle"), engine_archive.archive(folder), engine_archive.identity())
    if not command.is_symlink():
        command.symlink_to(target())
    if seal and subprocess.run([command, "seal"], stdout=subprocess.DEVNULL, check=False).returncode:
        sys.stderr.write("No interpreter is kept sealed: the command starts slower\n")
    sys.stdout.write("%s\n" % command)
    return 0


def target() -> str:
    """Where the command in bin leads: a relative link, so that the whole prefix can be packed or moved."""
    return os.path.join("..", "lib", "coracle", "current", "coracle")


def ours(command: Path) -> bool:
    """Whether it is the link that this makes."""
    return command.is_symlink() and os.readlink(command) == target()


def uninstall(prefix: Path) -> int:
    """Remove the command and all versions of it; containers are not touched."""
    command, versions = prefix / "bin" / "coracle", prefix / "lib" / "coracle"
    if ours(command):
        if os.geteuid() == 0:
            subprocess.run([command, "seal", "--undo"], check=False)
        command.unlink()
    if versions.is_dir():
        shutil.rmtree(versions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
