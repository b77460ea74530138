# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a whole: its files and what they promise together."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

import collection

PLUGINS = collection.collections_path() / "ansible_collections" / "coracle" / "containers" / "plugins"
HEADER = """\
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""


def test_tests_run_the_collection_that_they_name() -> None:
    module = Path(__import__(Instance.__module__, fromlist=["x"]).__file__ or "")
    assert collection.collections_path() in module.parents


def test_every_file_has_the_licence_header() -> None:
    files = list(PLUGINS.rglob("*.py"))
    assert files
    wrong = [str(path) for path in files
             if HEADER not in path.read_text(encoding="utf-8")[:len(HEADER) + 60]]
    assert wrong == []


def test_there_are_no_package_files() -> None:
    assert [str(path) for path in PLUGINS.rglob("__init__.py")] == []
