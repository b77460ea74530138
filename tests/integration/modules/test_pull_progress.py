# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long pull is shown while it goes on: a bar for each layer on a terminal, lines elsewhere, the pull itself untouched."""

from __future__ import annotations

import re
from typing import Iterator

import pytest
from ansible_collections.coracle.containers.plugins.plugin_utils import pull_progress

from hosts import Host
from imagery import Image, digest, files
from registries import Registry, noise

IMAGE = Image([files({"big": noise(700_000)}), files({"small": b"x"})], packed=True)
PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - coracle.containers.container_image:
        name: %s/app:1
        plain_http: true
"""


@pytest.fixture(scope="module")
def registry(shared_host: Host) -> Iterator[Registry]:
    """A registry behind a slow proxy."""
    made = Registry(shared_host)
    made.put("app", "1", IMAGE)
    made.proxy()
    yield made
    made.close()


def test_bars_and_lines() -> None:
    """What is shown of a state."""
    layers = [("sha256:" + "ab" * 32, 500, 1000), ("sha256:" + "cd" * 32, 2_000_000, 2_000_000)]
    assert pull_progress.line("web", "app:1", layers) == "[web] pulling app:1: 2.0 MB of 2.0 MB (99 %), 1 of 2 layers"
    rows = pull_progress.bars("web", "app:1", layers)
    assert rows[1] == "  abababababab [###############...............] 500 B of 1.0 kB"
    assert len(pull_progress.bars("web", "app:1", layers * 20)) == 1 + pull_progress.MOST + 1
    assert pull_progress.parse('{"name": "x", "layers": [["') is None


@pytest.mark.parametrize("terminal", [True, False])
def test_a_slow_pull_is_shown(shared_host: Host, registry: Registry, terminal: bool) -> None:
    """The bars move on a terminal; elsewhere there are plain lines without any control character."""
    registry.fault({"match": "blobs/" + digest(IMAGE.stored[0]), "trickle": 0.25})
    shared_host.shell("rm -rf /var/lib/coracle/refs /var/lib/coracle/layers /var/lib/coracle/blobs")
    environment = {"CORACLE_PROGRESS_SECONDS": "0.3", "TERM": "xterm"}
    probe = shared_host.playbook(PLAY % registry.proxy(), env=environment, terminal=terminal)
    assert "changed=1" in probe.stdout
    shares = [int(each) for each in re.findall(r"pulling %s/app:1: .*\((\d+) %%\)" % registry.proxy(), probe.stdout)]
    assert shares and shares == sorted(shares), probe.stdout
    bar = re.findall(r"%s \[#*\.*\]" % digest(IMAGE.stored[0])[7:19], probe.stdout)
    assert bool(bar) == terminal and ("\x1b[J" in probe.stdout) == terminal
