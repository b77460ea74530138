# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole projects, read beside another implementation and beside the published schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import collection
import jsonschema
import pytest
import yaml
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import project, reader

from projects import PROJECTS, VARIABLES, write

SCHEMA = collection.ROOT.parent / "shared" / "data" / "compose" / "compose-spec.json"


def ours(folder: Path, variables: Dict[str, str], *files: str) -> Dict[str, Any]:
    """The definition of a project."""
    return reader.read(project.Request(str(folder), files, environment=variables), profiles=[], unsupported="warn").definition


def resolved(folder: Path, variables: Dict[str, str]) -> str:
    """The project as one file, all its files merged and its variables replaced by podman-compose."""
    command = [sys.executable, str(Path(sys.executable).with_name("podman-compose")), "--in-pod", "false", "config"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("$", "$$")


@pytest.mark.parametrize("name", PROJECTS)
def test_as_podman_compose_resolves_it(name: str, tmp_path: Path) -> None:
    """What is left of includes, overrides, extends and variables is the same, whoever has resolved them."""
    files = PROJECTS[name]
    folder = write(tmp_path / name, dict(files, **{"db.env": files["data/db.env"]}) if name == "shop" else files)  # it keeps included paths
    mine = ours(folder, VARIABLES[name])
    (folder / "resolved.yaml").write_text(resolved(folder, VARIABLES[name]), encoding="utf-8")
    theirs = ours(folder, {**VARIABLES[name], "COMPOSE_PROJECT_NAME": mine["name"]}, "resolved.yaml")
    assert json.dumps(mine, indent=1, sort_keys=True) == json.dumps(theirs, indent=1, sort_keys=True)


@pytest.mark.skipif(not SCHEMA.exists(), reason="the published schema is not beside this checkout")
@pytest.mark.parametrize("name", PROJECTS)
def test_the_schema_takes_it(name: str) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for file, content in PROJECTS[name].items():
        if file.endswith((".yaml", ".yml")):
            jsonschema.Draft7Validator(schema).validate(yaml.safe_load(content))
