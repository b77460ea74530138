# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes on what only some kernels have: a real NFS server and client, and project quotas.

The virtual machine's kernel has both; elsewhere a test says what is missing.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from hosts import Host
from waiting import until

VOLUMES = "/var/lib/coracle/volumes"


def needs(*programs: str, modules: str = "") -> None:
    """Skip the test where the machine lacks something."""
    missing = [each for each in programs if shutil.which(each, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    have = Path("/proc/filesystems").read_text(encoding="ascii").split()
    release = Path("/proc/sys/kernel/osrelease").read_text(encoding="ascii").strip()
    for module in modules.split():
        if module not in have and not list(Path("/lib/modules", release).rglob(module + ".ko*")):
            missing.append("the kernel's " + module)
    if missing:
        pytest.skip("this machine lacks " + ", ".join(missing))


def volume(host: Host, **options: Any) -> Dict[str, Any]:
    return host.module("container_volume", options)


def actions(result: Dict[str, Any]) -> List[str]:
    return [step["action"] for step in result["actions"]]


@pytest.fixture
def server(host: Host) -> Host:
    """A host whose kernel serves a folder by NFS 4 to itself."""
    needs("exportfs", "rpc.nfsd", "rpc.mountd", "modprobe", modules="nfsd nfsv4")
    folder = host.folder / "served"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "theirs").write_text("served\n", encoding="ascii")
    host.shell("modprobe nfsd; mkdir -p /var/lib/nfs/v4recovery; mount -t nfsd nfsd /proc/fs/nfsd")
    host.run(["tee", "/etc/exports"], input="%s 127.0.0.1(rw,no_root_squash,insecure,no_subtree_check,fsid=1)\n" % folder)
    host.shell("exportfs -ra; rpc.mountd -N 3; rpc.nfsd -N 3 -L 10 -G 10 2")
    until(lambda: "tcp 2049" in host.shell("cat /proc/fs/nfsd/portlist"))
    return host


def test_nfs(server: Host) -> None:
    """By the helper, by the kernel alone, and what either says of a server that does not serve it."""
    host = server
    there = {"server": "127.0.0.1", "path": str(host.folder / "served/data")}
    made = volume(host, name="far", driver="nfs", driver_options=there, owner=5, mode="0770")
    assert made["volume"]["mounted"] and made["volume"]["owner"] == 5
    assert host.shell("cat %s/far/_data/theirs; echo ours > %s/far/_data/ours" % (VOLUMES, VOLUMES)) == "served\n"
    assert not volume(host, name="far", driver="nfs", driver_options=there, owner=5, mode="0770")["changed"]
    assert " nfs4 127.0.0.1:" in host.shell("grep ' %s/far/_data ' /proc/self/mountinfo" % VOLUMES)
    host.shell("umount %s/far/_data" % VOLUMES)
    assert actions(volume(host, name="far")) == ["mount"]
    refused = host.module("container_volume", name="far2", driver="nfs", driver_options={**there, "path": "/nothing"}, fail=True)
    assert "mount.nfs cannot mount 127.0.0.1:/nothing (exit status 32)" in refused["msg"], refused["msg"]
    volume(host, name="far", state="absent")
    host.shell("mount --bind /dev/null $(readlink -f /usr/sbin/mount.nfs)")
    made = volume(host, name="far", driver_options={"type": "nfs", "device": ":" + there["path"], "o": "addr=127.0.0.1,ro"}, driver="local")
    assert made["volume"]["driver"] == "nfs" and host.shell("cat %s/far/_data/ours" % VOLUMES) == "ours\n"
    assert host.run(["touch", VOLUMES + "/far/_data/x"], check=False).returncode
    refused = host.module("container_volume", name="far2", driver="nfs", driver_options={**there, "path": "/nothing"}, fail=True)
    assert "the kernel cannot mount 127.0.0.1:/nothing (nfs): No such file or directory" in refused["msg"], refused["msg"]
    volume(host, name="far", state="absent")
    assert (host.folder / "served/data/ours").read_text(encoding="ascii") == "ours\n", "what is there stays there"
    assert not host.shell("ls %s 2>/dev/null || :" % VOLUMES) and "/far" not in host.shell("cat /proc/self/mountinfo")
    host.shell("rpc.nfsd 0; exportfs -au; pkill rpc.mountd; umount /proc/fs/nfsd")


def test_project_quotas(host: Host) -> None:
    """Where the file system counts by project, a size is a quota: at once, in both directions, and over all that is in the folder."""
    needs("mkfs.ext4", "setpriv", modules="quota_v2")
    disk = host.folder / "disk"
    host.shell("truncate -s 200M %s; mkfs.ext4 -q -O project,quota -E quotatype=prjquota %s; modprobe quota_v2" % (disk, disk))
    host.shell("mount -o loop,prjquota %s /var/lib/coracle" % disk)
    write = ["setpriv", "--bounding-set=-sys_resource", "dd", "if=/dev/zero", "bs=1M", "status=none"]
    path = VOLUMES + "/data/_data"
    made = volume(host, name="data", size="20M", owner=9)
    assert made["volume"]["backing"] == "project" and made["volume"]["size"] == 20 << 20
    assert not volume(host, name="data", size="20M", owner=9)["changed"]
    assert host.shell("df --output=size -B1 %s" % path).split()[-1] == str(20 << 20)
    host.shell("mkdir %s/deep" % path)
    assert host.run([*write, "of=%s/deep/file" % path, "count=40"], check=False).returncode
    assert int(host.shell("stat -c %%s %s/deep/file" % path)) <= 20 << 20
    assert "holds" in host.module("container_volume", name="data", size="5M", fail=True)["msg"]
    for size, shown in (("60M", 60 << 20), ("-1", -1), ("50M", 50 << 20)):
        assert volume(host, name="data", size=size)["volume"]["size"] == shown
    host.run([*write, "of=%s/deep/file" % path, "count=40"])
    other = volume(host, name="other")
    assert other["volume"]["backing"] == "folder" and other["volume"]["size"] == -1
    host.run([*write, "of=%s/other/_data/file" % VOLUMES, "count=30"])
    assert "holds" in host.module("container_volume", name="other", size="10M", fail=True)["msg"]
    assert volume(host, name="other", size="40M")["volume"]["backing"] == "project", "what is in it belongs to it from now on"
    assert host.run([*write, "of=%s/other/_data/more" % VOLUMES, "count=30"], check=False).returncode
    for name in ("data", "other"):
        volume(host, name=name, state="absent")
    assert volume(host, name="data", size="20M")["volume"]["used"] < 1 << 20
    volume(host, name="data", state="absent")
    host.shell("umount /var/lib/coracle")
