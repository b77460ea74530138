# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for those who come from other collections: it says of each of their options where it has gone, and nothing that is not so."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

import collection

sys.path.insert(0, str(Path(collection.__file__).resolve().parent.parent / "scripts"))
import generate
import migration

MODULES = {path.stem for path in (Path(migration.HERE).parent / "plugins/modules").glob("*.py")}


def own(module: str) -> Dict[str, Any]:
    """The options of a module here, by all their names."""
    return {name: option for option in generate.option_table(module) for name in (option.name, *option.aliases)}


def test_every_module_of_theirs_is_on_the_page() -> None:
    assert set(migration.names()) == {*migration.MODULES, *migration.ELSEWHERE}
    assert len(migration.names()) > 60 and not set(migration.MODULES) & set(migration.ELSEWHERE)


@pytest.mark.parametrize("module", sorted(migration.MODULES))
def test_every_option_of_theirs_has_a_fate(module: str) -> None:
    here = migration.MODULES[module][0]
    assert here in MODULES
    table = own(here)
    found = dict(migration.fates(module, set(table)))
    assert found.keys() == migration.names()[module].keys()
    for option, fate in found.items():
        if isinstance(fate, migration.To):
            assert fate.option in table, "%s: %s is no option of %s" % (option, fate.option, here)
        else:
            assert len(fate) > 8, option


@pytest.mark.parametrize("here", sorted({here for here, _listed in migration.MODULES.values()}))
def test_nothing_is_listed_that_is_not_so(here: str) -> None:
    """Each row is an option that one of them has, and none refuses what there is here by that very name."""
    modules = {module: listed for module, (name, listed) in migration.MODULES.items() if name == here}
    theirs = {option for module in modules for option in migration.names()[module]}
    assert {option for listed in modules.values() for option in listed} - theirs == set()
    table = own(here)
    for module, listed in modules.items():
        for option in listed.keys() & migration.names()[module].keys():
            assert option not in table or isinstance(listed[option], migration.To), "%s: %s" % (module, option)


def test_podmans_names_are_taken_where_they_mean_the_same() -> None:
    found = dict(migration.fates("containers.podman.podman_container", set(own("container_run"))))
    same = ["annotation", "cgroup_conf", "cgroupns", "device", "device_cgroup_rule", "dns_option", "group_add", "ipc", "label",
            "memory_reservation", "pid", "publish", "security_opt", "stop_time", "sysctl", "ulimit", "userns", "volume",
            "workdir"]
    assert [option for option in same if found[option] != migration.To(option)] == []
    assert "memory_swap" not in own("container_run"), "theirs is memory and swap together"


def test_what_the_page_names_exists() -> None:
    text = re.sub(r"^\| `[a-z_]+`|^By the same name.*", "", migration.page(generate.option_table), flags=re.MULTILINE)
    named = set(re.findall(r"`(container_[a-z_]+)`", text)) - {"container_path"}  # an option
    assert {"container_run", "container_login"} <= named <= MODULES


def test_an_option_without_a_fate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = migration.names()
    theirs["community.docker.docker_login"]["new"] = []
    monkeypatch.setattr(migration, "names", lambda: theirs)
    with pytest.raises(KeyError, match="new"):
        dict(migration.fates("community.docker.docker_login", set(own("container_login"))))
