# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compared option of container_image, by the common test."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

import pytest

from hosts import Host, loops
from quadruple import compared, quadruple

MODULE = "container_image"
VALUES: Dict[str, Tuple[Any, Any]] = {
    "source": ("/opt/one", "/opt/two"),
    "tags": (["web:stable"], ["web:stable", "web:testing"]),
    "entrypoint": (["/bin/app"], ["/bin/app", "--verbose"]),
    "cmd": (["serve"], ["serve", "--port", "80"]),
    "env": ({"MODE": "a"}, {"MODE": "A"}),
    "working_dir": ("/srv", "/"),
    "user": ("1000", "1000:1000"),
    "exposed_ports": (["80"], ["80", "53/udp"]),
    "labels": ({"a": "1"}, {"a": "1", "b": "2"}),
    "volumes": (["/data"], ["/data", "/more"]),
    "stop_signal": ("TERM", "SIGINT"),
    "created": ("2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"),
}


@pytest.fixture(scope="module")
def filled(shared_host: Host) -> Host:
    """A host with two root file systems."""
    shared_host.shell("for name in one two; do mkdir -p /opt/$name/bin /opt/$name/srv; echo $name >/opt/$name/bin/app;"
                      " chmod 755 /opt/$name/bin/app; done")
    return shared_host


@pytest.fixture
def image(filled: Host, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an image for one test."""
    name = "options/" + str(request.node.callspec.params["option"])
    yield name
    for each in (name, "web:stable", "web:testing"):
        filled.module(MODULE, name=each, state="absent")


def test_every_compared_option_is_tried() -> None:
    assert sorted(compared(MODULE)) == sorted(VALUES)


@pytest.mark.parametrize("option", sorted(VALUES))
def test_option(filled: Host, image: str, option: str) -> None:
    first, second = VALUES[option]
    quadruple(filled, MODULE, {"name": image, "source": "/opt/one"}, option, first, second)


def test_nothing_is_left_in_the_store(filled: Host) -> None:
    assert filled.shell("find /var/lib/coracle/refs /var/lib/coracle/blobs /var/lib/coracle/layers -type f") == ""
    assert loops(filled) == []
