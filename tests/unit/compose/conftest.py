# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects written to a folder and read, for the tests of the Compose reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import collection
import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils.compose import findings, project, reader

Reader = Callable[..., reader.Reading]


@pytest.fixture(scope="session")
def schema() -> Dict[str, Any]:
    """The published schema."""
    path = collection.ROOT.parent / "shared" / "data" / "compose" / "compose-spec.json"
    if not path.exists():
        pytest.skip("the published schema is not beside this checkout")
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def reading(tmp_path: Path) -> Reader:
    """A function that reads a project of some files, by default C(compose.yaml) alone."""
    def read(text: str = "", files: Dict[str, str] | None = None, **said: Any) -> reader.Reading:
        folder = tmp_path / "proj"
        folder.mkdir(exist_ok=True)
        for name, content in {**({"compose.yaml": text} if text else {}), **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        how = {key: said.pop(key) for key in ("profiles", "unsupported", "folder") if key in said}
        return reader.read(project.Request(project_src=str(folder), files=said.pop("paths", None), **said), **how)
    return read


@pytest.fixture
def service(reading: Reader) -> Callable[..., Dict[str, Any]]:
    """A function that reads the lines of one service, C(image: x) beside them, and returns it without that."""
    def read(text: str, **said: Any) -> Dict[str, Any]:
        lines = "\n".join("    " + line for line in text.strip("\n").splitlines())
        found = reading("services:\n  web:\n    image: x\n%s\n" % lines + said.pop("rest", ""), **said).definition["services"]["web"]
        return {key: value for key, value in found.items() if (key, value) not in (("image", "x"), ("networks", [{"name": "default"}]))}
    return read


@pytest.fixture
def faults(reading: Reader) -> Callable[..., List[str]]:
    """A function that reads a project that cannot be read, and returns the lines about its faults."""
    def read(text: str, **said: Any) -> List[str]:
        with pytest.raises(findings.ComposeError) as caught:
            reading(text, **said)
        lines = str(caught.value).splitlines()
        return lines[1:] if lines[0].startswith("The project has") else lines
    return read
