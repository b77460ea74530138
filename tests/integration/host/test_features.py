# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host offers, asked by the module as Ansible sends it."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.host import features

from hosts import Host


def test_features_agree_with_the_kernel(shared_host: Host) -> None:
    links = shared_host.shell("ip -o link")
    found: Dict[str, Any] = shared_host.module("container_host_info")
    assert found["changed"] is False
    host = found["host"]
    assert host["kernel"] == shared_host.shell("uname -r").strip()
    assert {name for name, feature in host["features"].items() if feature["present"] is None} == set()
    known = shared_host.shell("cat /proc/filesystems").split()
    assert host["features"]["overlay"]["present"] == ("overlay" in known)
    assert host["missing"]["required"] == []
    for kind in ("bridge", "vxlan"):
        works = shared_host.run(["ip", "link", "add", "probe", "type", kind, *(["id", "9", "dev", "lo", "dstport", "0"]
                                                                              if kind == "vxlan" else [])], check=False)
        assert host["features"][kind]["present"] == (works.returncode == 0), (kind, works.stderr)
        shared_host.run(["ip", "link", "del", "probe"], check=False)
    assert host["features"]["mkfs.ext4"]["present"] == bool(shared_host.shell("command -v mkfs.ext4 || :"))
    assert "Python " + host["versions"]["python"] == shared_host.shell("/usr/bin/python3 --version").strip()
    assert host["versions"]["runtimes"]["crun"].startswith("crun version") and host["versions"]["engine"] is None
    assert host["disk"]["total"] == 0 and host["networks"] == []
    assert shared_host.module("container_host_info", disk=False)["host"]["disk"] is None
    assert host["storage"]["total"] > host["storage"]["free"] > 0
    assert shared_host.shell("ip -o link") == links
    assert shared_host.shell("nft list tables") == ""
    assert shared_host.shell("ls /var/lib/coracle /run/coracle 2>/dev/null || true").split("\n")[1:] == [""]


def test_what_is_missing_is_named_with_cost_and_remedy(shared_host: Host) -> None:
    def without(_kinds: List[str]) -> str:
        """In the host: no overlay, no bridges, no memory controller."""
        import json as encoder  # pylint: disable=import-outside-toplevel,reimported

        features._makes_link = lambda kind: kind not in ("bridge", "nonsense")
        features._has_file_system = lambda name: name != "overlay"
        features._read = lambda path: "" if path == "/proc/filesystems" else None
        controllers = features.cgroup_controllers()
        controllers.pop("memory")
        features.cgroup_controllers = lambda: controllers
        found = features.probe()
        return encoder.dumps({level: [[each.name, each.cost, each.remedy] for each in features.missing(found, level)]
                              for level in ("required", "recommended")})

    found = json.loads(shared_host.call(without, []))
    required = {name: (cost, remedy) for name, cost, remedy in found["required"]}
    assert required["overlay"] == ("containers cannot share an image's layers",
                                   "Build or load the kernel with CONFIG_OVERLAY_FS")
    assert "memory_max" in required["memory controller"][0]
    assert "bridge" in [name for name, _cost, _remedy in found["recommended"]]


@pytest.mark.parametrize("kind, known", [("bridge", True), ("nosuchkind", False)])
def test_kinds_of_links_are_told_apart(shared_host: Host, kind: str, known: bool) -> None:
    assert shared_host.call(features._makes_link, kind) is known


def test_it_answers_without_root_too(shared_host: Host) -> None:
    done = shared_host.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                            "import sys; sys.path.insert(0, sys.argv[1])\n"
                            "from ansible_collections.coracle.containers.plugins.module_utils.engine.host import features\n"
                            "print([each.name for each in features.probe() if each.present is None])",
                            __import__("collection").collections_path()], check=False)
    assert done.returncode == 0, done.stderr
    assert "bridge" in done.stdout and "nf_tables" in done.stdout and "overlay" not in done.stdout
