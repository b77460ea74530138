# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the options of community.docker and containers.podman here, and the page that says so.

    scripts/migration.py FOLDER    reads the names of their options out of the collections in a folder (ansible_collections/)

C(peers.json) has the names that their options have, and nothing else of theirs; C(migration_table.py) says where each has gone.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Set, Tuple

from migration_table import DAEMON, ELSEWHERE, MODULES, PEERS, PROGRAM, Fate, To

HERE = Path(__file__).resolve().parent
NAMES = HERE / "peers.json"

HEAD = """
<!--
Copyright (c) 2026, Coracle contributors
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later
-->
<!-- Written by scripts/generate.py from scripts/migration.py. -->
# Coming from community.docker or containers.podman

What becomes of every module of theirs, and of every option of those that have a counterpart here. Options with the same name, or
one of its other names, mean the same, as far as both have the same values; `ansible-doc` tells which each takes, and
[the page of all options](options.md) what a change of it costs.
"""


def names() -> Dict[str, Dict[str, List[str]]]:
    """Their options by module, with the other names of each."""
    found: Dict[str, Dict[str, List[str]]] = json.loads(NAMES.read_text(encoding="utf-8"))["modules"]
    return found


def fates(module: str, own: Set[str]) -> Iterator[Tuple[str, Fate]]:
    """Where each option of a module of theirs has gone.

    Args:
        own: The names of the options here.

    Raises:
        KeyError: Nothing says so.
    """
    listed = {**(PROGRAM if module.startswith(PEERS[1]) else DAEMON), **MODULES[module][1]}
    for option, others in names()[module].items():
        if option in listed:
            yield option, listed[option]
            continue
        same = next((name for name in (option, *others) if name in own), None)
        if same is None:
            raise KeyError("%s: %s: scripts/migration_table.py says neither what it is here nor why it is not" % (module, option))
        yield option, To(same)


def page(table: Callable[[str], Sequence[Any]]) -> str:
    """The page."""
    lines = [HEAD.strip("\n")]
    for module in sorted({*MODULES, *ELSEWHERE}, key=lambda name: (PEERS.index(name.rpartition(".")[0]), name)):
        lines += ["", "## %s" % module, ""]
        if module in ELSEWHERE:
            lines.append("%s." % (ELSEWHERE[module][:1].upper() + ELSEWHERE[module][1:]))
            continue
        here = MODULES[module][0]
        own = {name for option in table(here) for name in (option.name, *option.aliases)}
        found = list(fates(module, own))
        lines.append("`%s`." % here)
        same = [option for option, fate in found if isinstance(fate, To) and fate == To(option)]
        if same:
            lines += ["", "By the same name: %s." % ", ".join("`%s`" % option for option in same)]
        rest = [(option, fate) for option, fate in found if option not in same]
        if rest:
            lines += ["", "| there | here | |", "|---|---|---|"]
        for option, fate in rest:
            lines.append(
                "| `%s` | %s | %s |" % ((option, "`%s`" % fate.option, fate.note) if isinstance(fate, To) else (option, "–", fate))
            )
    return "\n".join(lines) + "\n"


# Reading their names


def collect(folder: Path) -> Dict[str, Any]:
    """The names of all options of both collections."""
    versions, modules = {}, {}
    for peer in PEERS:
        root = folder / "ansible_collections" / peer.replace(".", "/")
        versions[peer] = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
        for path in sorted((root / "plugins/modules").glob("[a-z]*.py")):
            modules["%s.%s" % (peer, path.stem)] = _options(path, peer, root)
    return {"versions": versions, "modules": modules}


def _options(path: Path, peer: str, root: Path) -> Dict[str, List[str]]:
    doc = _block(path, "DOCUMENTATION")
    options = dict(doc.get("options") or {})
    fragments = doc.get("extends_documentation_fragment") or []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        if fragment.startswith(peer + "."):
            name, _dot, part = fragment[len(peer) + 1 :].partition(".")
            more = _block(root / "plugins/doc_fragments" / (name + ".py"), part.upper() or "DOCUMENTATION").get("options") or {}
            options = {**more, **options}
    return {name: list((entry or {}).get("aliases") or []) for name, entry in options.items()}


def _block(path: Path, name: str) -> Dict[str, Any]:
    import yaml

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return dict(yaml.safe_load(ast.literal_eval(node.value)))
    return {}


if __name__ == "__main__":
    NAMES.write_text(json.dumps(collect(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n", encoding="utf-8")
