# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that are too much, or say two things: each is one clear error, in time, and nothing is made."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cli.oci import Context
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create
from attacks import Ground, Refused, attempt


def mappings(document: Dict[str, Any], rows: Any) -> None:
    document["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        document["linux"][kind] = rows


CHANGES: Dict[str, Callable[[Dict[str, Any]], Any]] = {
    "very many mappings": lambda d: mappings(d, [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(5000)]),
    "a mapping beyond 32 bits": lambda d: mappings(d, [{"containerID": 0, "hostID": 2**32, "size": 1}]),
    "a mapping that wraps": lambda d: mappings(d, [{"containerID": 0, "hostID": 2**32 - 2, "size": 65536}]),
    "a mapping of nobody": lambda d: mappings(d, [{"containerID": 0, "hostID": 100000, "size": 0}]),
    "a long path of a namespace": lambda d: d["linux"]["namespaces"].__setitem__(1, {"type": "network", "path": "/" + "x" * (1 << 17)}),
    "a path with NUL": lambda d: d["linux"]["namespaces"].__setitem__(1, {"type": "network", "path": "/proc/1/ns/net\0x"}),
    "a user beyond 32 bits": lambda d: d["process"].update(user={"uid": 2**32, "gid": 0}),
    "the user that means none": lambda d: d["process"].update(user={"uid": 2**32 - 1, "gid": 0}),
    "a user below zero": lambda d: d["process"].update(user={"uid": -1, "gid": 0}),
    "a fraction for a user": lambda d: d["process"].update(user={"uid": 0.5, "gid": 0}),
    "true for a user": lambda d: d["process"].update(user={"uid": True, "gid": 0}),
    "an entry without =": lambda d: d["process"]["env"].append("SECRET"),
    "an entry without a name": lambda d: d["process"]["env"].append("=x"),
    "an entry with NUL": lambda d: d["process"]["env"].append("A=\0"),
    "a cgroup that leads out": lambda d: d["linux"].update(cgroupsPath="/../x"),
    "a line break in a parameter": lambda d: d["linux"].update(sysctl={"net.ipv4.ip_default_ttl": "64\n"}),
    "a parameter of the host": lambda d: d["linux"].update(sysctl={"kernel.printk_ratelimit": "5"}),
    "a parameter that leads out": lambda d: d["linux"].update(sysctl={"net/../kernel/printk_ratelimit": "5"}),
}


@pytest.mark.advisory("CVE-2021-43784", "CVE-2022-0811", "CVE-2024-40635", "JSON (Python)")
@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_a_configuration_that_is_too_much_is_refused(plain: Ground, kind: str) -> None:
    def scenario() -> Any:
        document = plain.document(args=["id", "-u"])
        CHANGES[kind](document)
        plain.bundle.write(document)
        begin = time.monotonic()
        result = attempt(lambda: create.create(str(plain.bundle.folder), plain.bundle.state()))
        return result, time.monotonic() - begin, os.listdir(plain.bundle.states)
    result, seconds, left = plain.inside(scenario)
    assert isinstance(result, Refused) and len(result.why) < 1 << 18 and seconds < 100 and left == []


@pytest.mark.advisory("JSON (Python)")
@pytest.mark.parametrize("text", ['"uid": 0', '"uid": NaN', '"uid": 1e308', '"uid": %s' % ("9" * 100000), '"uid": 1.0', '"uid": -0.0',
                                  '"uid": Infinity'])
def test_json_that_says_two_things_or_none_is_refused(plain: Ground, text: str) -> None:
    """Python's reader takes the last of two keys, and whatever number there is."""
    document = json.dumps(plain.document(args=["id", "-u"])).replace('"uid": 0', '"uid": 1000, "gid": 1000, %s' % text)
    assert document.count('"uid"') == 2
    (plain.bundle.folder / "config.json").write_text(document.replace('"uid": 1000, ', "") if text != '"uid": 0' else document,
                                                     encoding="ascii")
    result = plain.inside(lambda: attempt(lambda: create.create(str(plain.bundle.folder), plain.bundle.state())))
    assert isinstance(result, Refused), result


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/b", "/etc", "a\0b", "a\nb", "a b", "\u00e9", "x" * 2000])
def test_a_name_is_no_path(name: str) -> None:
    context = Context.__new__(Context, *["/run/x" if field == "root" else "" for field in Context._fields])
    with pytest.raises(EngineError):
        context.state_dir(name)
