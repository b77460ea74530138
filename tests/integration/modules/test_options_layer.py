# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_layer, by the common test."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import pytest

from hosts import Host
from imagery import digest, files
from quadruple import compared, quadruple

MODULE = "container_layer"
ONE, TWO = files({"one": b"1"}), files({"two": b"2"})
MOUNT = {"state": "mounted", "path": "/opt/mnt", "layers": [digest(ONE)]}
UPPER = {**MOUNT, "upper": "/opt/upper"}
CASES: Dict[str, Tuple[Dict[str, Any], Any, Any]] = {
    "layers": (MOUNT, [digest(ONE)], [digest(ONE), digest(TWO)]),
    "upper": (MOUNT, "/opt/upper", "/opt/other"),
    "work": (UPPER, "/opt/work", "/opt/other-work"),
    "read_only": (UPPER, False, True),
    "uidmap": (MOUNT, ["0:100000:65536"], ["0:200000:1000", "1000:300000:10"]),
    "gidmap": ({**MOUNT, "uidmap": ["0:100000:65536"]}, ["0:100000:65536"], ["0:200000"]),
    "compression": ({"state": "diff", "upper": "/opt/changes", "dest": "/opt/diff.tar"}, "none", "gzip"),
}


@pytest.fixture(scope="module")
def filled(shared_host: Host, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A host with two layers and a folder of changes."""
    for name, content in (("one", ONE), ("two", TWO)):
        path = tmp_path_factory.mktemp("layers") / name
        path.write_bytes(content)
        shared_host.module(MODULE, source=str(path))
    shared_host.shell("mkdir /var/lib/coracle/w; mount --bind /var/lib/coracle/w /opt;"
                      "mkdir /opt/changes; echo 1 >/opt/changes/f")
    return shared_host


@pytest.fixture
def clean(filled: Host) -> Iterator[Host]:
    """Nothing is mounted afterwards."""
    yield filled
    filled.module(MODULE, state="unmounted", path="/opt/mnt")
    filled.shell("cd /opt; rm -rf diff.tar upper* other* work")


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted([*CASES, "diff_id"])


@pytest.mark.parametrize("option", sorted(CASES))
def test_option(clean: Host, option: str) -> None:
    base, first, second = CASES[option]
    quadruple(clean, MODULE, base, option, first, second)


def test_diff_id(clean: Host) -> None:
    """Two layers are two objects: each comes, and stays, on its own."""
    for content in (ONE, TWO):
        assert not clean.module(MODULE, diff_id=digest(content))["changed"]
