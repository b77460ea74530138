# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the collection under test is: built and installed, as users have it.

With C(CORACLE_TEST_CHECKOUT=1) it is a tree of links to the checkout instead,
which saves the build while one is at work on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("galaxy.yml", "meta", "plugins", "roles", "playbooks", "README.md", "docs")


def collections_path() -> Path:
    """The folder to put on C(ANSIBLE_COLLECTIONS_PATH) and C(sys.path)."""
    if os.environ.get("CORACLE_TEST_CHECKOUT") == "1":
        return linked()
    if not os.environ.get("CORACLE_TEST_INSTALLED"):
        done = subprocess.run([str(ROOT / "scripts" / "install.sh")], check=True, stdout=subprocess.PIPE, text=True)
        os.environ["CORACLE_TEST_INSTALLED"] = done.stdout.strip()
    installed = os.environ["CORACLE_TEST_INSTALLED"]
    return Path(installed) if installed.startswith("/") else ROOT / ".cache" / "collections"


def linked() -> Path:
    """A collections path whose collection consists of links into the checkout; made if it is not there."""
    tree = ROOT / ".cache" / "checkout"
    folder = tree / "ansible_collections" / "coracle" / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        try:
            (folder / name).symlink_to(ROOT / name)
        except FileExistsError:
            pass
    return tree


def use() -> Path:
    """Let this process, and the commands that it starts, find the collection."""
    path = collections_path()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(path)
    os.environ.setdefault("ANSIBLE_HOME", str(ROOT / ".cache" / "ansible"))
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))
    return path


if __name__ == "__main__":
    sys.stdout.write("%s\n" % linked())
