# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers in a test host: Podman with a store of its own beside this collection's, and the same image in both."""

from __future__ import annotations

import json
from typing import Dict

from busybox import tar
from hosts import Host

_CONTAINERS_CONF = """\
[containers]
# Podman asks for more than this machine may have to give (no CAP_SYS_RESOURCE).
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[network]
network_backend = "netavark"
"""
_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"""
_IMAGE = {"name": "bench", "cmd": ["/bin/sh"]}


def arrange(host: Host) -> None:
    """Make Podman work in the host, its store on the same disk as ours, and give both the same image."""
    disk = host.folder / "podman"
    disk.mkdir()
    archive = host.folder / "root.tar"
    archive.write_bytes(tar())
    for name, content in (("containers.conf", _CONTAINERS_CONF), ("storage.conf", _STORAGE_CONF)):
        host.run(["sh", "-c", "mkdir -p /etc/containers && cat >/etc/containers/" + name], input=content)
    host.shell("rm -f /etc/containers/libpod.conf; mkdir -p /var/lib/containers; mount --bind %s /var/lib/containers" % disk)
    # Debian's crun refuses a hybrid host whose unified hierarchy has controllers; without it, it is a v1 host to all.
    host.shell("! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified")
    host.module("container_image", source=str(archive), **_IMAGE)
    host.run(["podman", "import", "--change", "CMD=" + json.dumps(_IMAGE["cmd"]), archive, "bench"])


def versions(host: Host) -> Dict[str, str]:
    """What each peer says of itself."""
    said = host.shell("podman --version; crun --version | head -1; runc --version | head -1; conmon --version | head -1;"
                      "/usr/lib/podman/netavark --version")
    return {line.split()[0]: line.replace("version ", "").split(None, 1)[1] for line in said.splitlines()}
