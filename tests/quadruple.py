# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test that every option of every module has to pass.

Create, repeat, look at a change, make it, repeat: five runs of the real module.
What check mode says is what then happens, a repetition changes nothing, and the
change is as disruptive as the option's row declares.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import collection
from hosts import Host

PACKAGE = "ansible_collections.coracle.containers.plugins."
ORDER = ("live", "restart", "recreate")
PREDICTED = ("changed", "actions", "diff")


def table(module: str) -> Tuple[Any, ...]:
    """The rows that a module's file takes from C(module_utils/options/)."""
    for node in ast.parse(path_of(module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and ".module_utils.options." in node.module:
            return tuple(getattr(importlib.import_module(node.module), node.names[0].name))
    raise LookupError("%s imports no option table" % module)


def compared(module: str) -> Sequence[str]:
    """The names of the options that say how things shall be."""
    return [row.name for row in table(module) if row.compare != "not_compared"]


def quadruple(host: Host, module: str, base: Mapping[str, Any], option: str, first: Any, second: Any,
              disruption: Optional[str] = None) -> Dict[str, Any]:
    """Put an option through its paces.

    Args:
        host: Where.
        module: Its short name.
        base: The other options.
        option: The option; C(None) as one of the values leaves it out.
        first, second: Two values that differ.
        disruption: What the change costs, where that is not what the option's row says.

    Returns: The result of the change.
    """
    def arguments(value: Any) -> Dict[str, Any]:
        return {**base, **({} if value is None else {option: value})}
    row = next(row for row in table(module) if row.name == option)
    expected = disruption or row.disruption

    created = host.module(module, arguments(first))
    assert created["changed"] is True, "creating changes nothing"
    again = host.module(module, arguments(first))
    assert (again["changed"], again["actions"]) == (False, []), "repeating changes %s" % again["diff"]

    predicted = host.module(module, arguments(second), check_mode=True)
    assert predicted["changed"] is True, "the change is not seen"
    same = host.module(module, arguments(first), check_mode=True)
    assert same["changed"] is False, "check mode changed something: %s" % same["diff"]

    changed = host.module(module, arguments(second))
    assert {key: changed[key] for key in PREDICTED} == {key: predicted[key] for key in PREDICTED}
    assert option in changed["diff"]["before"], changed["diff"]
    assert changed["diff"]["before"][option] != changed["diff"]["after"][option] or row.no_log, changed["diff"]
    worst = max((action["disruption"] for action in changed["actions"]), key=ORDER.index)
    assert worst == expected, "%s is declared %s, but the plan is %s" % (option, expected, changed["actions"])
    assert [action for action in changed["actions"] if option in action["options"]], changed["actions"]

    final = host.module(module, arguments(second))
    assert (final["changed"], final["actions"]) == (False, []), "repeating changes %s" % final["diff"]
    return changed


def path_of(module: str) -> Path:
    """The module's file in the collection under test."""
    return collection.collections_path() / "ansible_collections/coracle/containers/plugins/modules" / (module + ".py")
