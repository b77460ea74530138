# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_layer, by the common test."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import pytest

from hosts import Host
from quadruple import compared, quadruple

MODULE = "container_layer"
MOUNTED: Dict[str, Tuple[Dict[str, Any], Any, Any]] = {
    # option: (the others, first, second)
    "upper": ({}, "/var/lib/one", "/var/lib/two"),
    "work": ({"upper": "/var/lib/one"}, "/var/lib/work-one", "/var/lib/work-two"),
    "read_only": ({"upper": "/var/lib/one"}, False, True),
}


@pytest.fixture(scope="module")
def layers(shared_host: Host) -> List[str]:
    """The diff IDs of two layers in the host's store."""
    found = []
    for name in ("one", "two"):
        shared_host.shell("mkdir -p /opt/%s; echo %s >/opt/%s/%s; tar -C /opt/%s -cf /opt/%s.tar %s" % ((name,) * 7))
        shared_host.module(MODULE, source="/opt/%s.tar" % name)
        found.append("sha256:" + shared_host.shell("sha256sum /opt/%s.tar" % name).split()[0])
        assert shared_host.module(MODULE, diff_id=found[-1])["changed"] is False
    return found


@pytest.fixture
def base(shared_host: Host) -> Callable[[], Dict[str, Any]]:
    """Where an overlay is mounted for one test; on the real disk, as overlays do not nest."""
    shared_host.shell("mkdir -p %s" % shared_host.state_root)
    return lambda: {"state": "mounted", "path": shared_host.state_root + "/overlay"}


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted([*MOUNTED, "layers", "compression", "diff_id"])


@pytest.mark.parametrize("option", sorted(MOUNTED))
def test_option_of_a_mount(shared_host: Host, layers: List[str], base: Any, option: str) -> None:
    others, first, second = MOUNTED[option]

    def inside(value: Any) -> Any:  # the state root is the part of the host that is on the real disk
        return value.replace("/var/lib", shared_host.state_root) if isinstance(value, str) else value
    options = {**base(), "layers": layers, **{key: inside(value) for key, value in others.items()}}
    try:
        quadruple(shared_host, MODULE, options, option, inside(first), inside(second))
    finally:
        shared_host.module(MODULE, state="unmounted", path=options["path"])
    assert "overlay" not in shared_host.shell("findmnt -rno TARGET")


def test_layers(shared_host: Host, layers: List[str], base: Any) -> None:
    path = base()["path"]
    try:
        quadruple(shared_host, MODULE, base(), "layers", layers[:1], layers)
        assert shared_host.shell("cat %s/one %s/two" % (path, path)) == "one\ntwo\n"
    finally:
        shared_host.module(MODULE, state="unmounted", path=path)


def test_compression(shared_host: Host) -> None:
    folder = shared_host.state_root
    shared_host.shell("mkdir -p %s/changes; echo x >%s/changes/file" % (folder, folder))
    base = {"state": "diff", "upper": folder + "/changes", "dest": folder + "/diff.tar"}
    quadruple(shared_host, MODULE, base, "compression", "none", "gzip")
    assert shared_host.shell("tar -tzf %s/diff.tar" % folder).split()[-1].endswith("file")


def test_diff_id(shared_host: Host, layers: List[str]) -> None:
    shared_host.module(MODULE, state="absent", diff_id=layers[0])
    base = {"source": "/opt/one.tar", "diff_id": layers[0]}
    predicted = shared_host.module(MODULE, base, check_mode=True)
    assert predicted["changed"] is True
    assert shared_host.module(MODULE, base)["actions"] == predicted["actions"]
    assert shared_host.module(MODULE, base)["changed"] is False
    assert "expected diff ID" in shared_host.module(MODULE, {**base, "diff_id": "sha256:" + "0" * 64}, fail=True)["msg"]
