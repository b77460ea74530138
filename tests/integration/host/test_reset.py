# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking an instance away, whatever state it is in."""

from __future__ import annotations

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.host import reset
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance

import busybox
from hosts import Host
from sites import everything_of


def coracle(host: Host, *words: str) -> "tuple[int, str]":
    done = host.run(["/var/lib/coracle/engine/current/coracle", "--cgroup-root", host.cgroup_root, *words], check=False)
    return done.returncode, done.stdout + done.stderr


def test_reset_leaves_nothing_of_running_frozen_and_spoilt_containers(host: Host) -> None:
    before = everything_of(host)
    (host.folder / "rootfs.tar").write_bytes(busybox.tar())
    host.module("container_image", name="box:1", source=str(host.folder / "rootfs.tar"))
    for name, state in (("running", "started"), ("frozen", "paused"), ("spoilt", "started"), ("ended", "stopped")):
        host.module("container_run", name=name, image="box:1", command=["sleep", "1000"], state=state, restart_policy="always",
                    published_ports=["8080:80"] if name == "running" else [], stop_timeout="1s",
                    volumes=["%s-data:/data" % name])
    host.module("container_netns", name="lonely", network={"name": "apart", "subnet": "10.99.0.0/24"})
    host.shell("echo '{' > /var/lib/coracle/containers/spoilt/container.json")
    assert host.shell("ip -o link") != ""
    status, said = coracle(host, "reset")
    assert (status, said) == (0, "")
    assert everything_of(host) == before
    assert host.shell("pgrep -x sleep || true") == ""


def test_reset_does_not_touch_another_instance(host: Host) -> None:
    (host.folder / "rootfs.tar").write_bytes(busybox.tar())
    other = {"state_root": str(host.folder / "other"), "run_root": "/run/other", "cgroup_root": host.cgroup_root + "/other"}
    mine = {"cgroup_root": host.cgroup_root + "/mine"}
    pids = {}
    for roots in (mine, other):
        host.module("container_image", name="box:1", source=str(host.folder / "rootfs.tar"), **roots)
        made = host.module("container_run", name="box", image="box:1", command=["sleep", "1000"], **roots)
        pids[roots["cgroup_root"]] = made["container"]["pid"]
    host.run(["/var/lib/coracle/engine/current/coracle", "--cgroup-root", mine["cgroup_root"], "reset", "--yes"])
    still = host.module("container_run", name="box", image="box:1", command=["sleep", "1000"], **other)
    assert still["changed"] is False, still
    assert still["container"]["pid"] == pids[other["cgroup_root"]]


@pytest.mark.parametrize("roots", [("/", "/run/x", "/x"), ("/var/lib", "/run/x", "/x"), ("/x", "/run", "/x"), ("/x", "/run/x", "/")])
def test_reset_refuses_what_is_not_the_engines_alone(roots: "tuple[str, str, str]") -> None:
    with pytest.raises(InvalidValue, match="is not the engine's alone"):
        reset.reset(Instance(*roots))
