# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine is the host that the other tests believe it to be: what it offers, used and not only listed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.environ.get("CORACLE_VM") != "1", reason="runs inside the machine of tests/vm/run")

CGROUP = Path("/sys/fs/cgroup")
CAP_SYS_RESOURCE = 24


def run(*command: str) -> str:
    """The output of a command; its failure is the test's, with what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unshared(script: str, *flags: str) -> str:
    """The output of a shell script in namespaces of its own, so that nothing of it stays."""
    return run("unshare", "--mount", "--propagation", "private", *flags, "sh", "-euc", script)


def test_cgroups_are_version_2_only() -> None:
    """No hierarchy of version 1 is mounted, and the root offers every controller that limits use."""
    mounted = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text(encoding="ascii").splitlines()
               if line.split()[2] in ("cgroup", "cgroup2")]
    assert mounted == [[str(CGROUP), "cgroup2"]]
    controllers = (CGROUP / "cgroup.controllers").read_text(encoding="ascii").split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(controllers)


def test_a_cgroup_is_limited() -> None:
    """A limit is written below the root, read back, and the kernel obeys it."""
    group = CGROUP / ("smoke-%d" % os.getpid())
    (CGROUP / "cgroup.subtree_control").write_text("+pids +memory", encoding="ascii")
    group.mkdir()
    try:
        (group / "pids.max").write_text("1", encoding="ascii")
        assert (group / "pids.max").read_text(encoding="ascii") == "1\n"
        done = subprocess.run(
            ["sh", "-c", "echo $$ > %s/cgroup.procs; /bin/true; :" % group], capture_output=True, text=True, check=False)
        assert "fork" in done.stderr.lower()
        assert "max 0" not in (group / "pids.events").read_text(encoding="ascii")
    finally:
        group.rmdir()


def test_systemd_is_process_1() -> None:
    """And it is up, without a unit that failed."""
    assert Path("/proc/1/comm").read_text(encoding="ascii") == "systemd\n"
    assert Path("/run/systemd/system").is_dir()
    assert run("systemctl", "list-units", "--failed", "--plain", "--no-legend").strip() == ""


def test_all_capabilities_are_held() -> None:
    """CAP_SYS_RESOURCE among them: the hard limit of a resource can be raised."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    assert effective == (1 << last + 1) - 1
    assert effective >> CAP_SYS_RESOURCE & 1
    run("sh", "-euc", "ulimit -Hn 1024; ulimit -Hn 4096")


def test_apparmor_confines() -> None:
    """A profile can be loaded, and what runs under it is confined."""
    assert Path("/sys/module/apparmor/parameters/enabled").read_text(encoding="ascii") == "Y\n"
    profile = "profile coracle-smoke flags=(attach_disconnected) { file, deny /etc/hostname r, }\n"
    subprocess.run(["apparmor_parser", "--replace", "--skip-cache"], input=profile, text=True, check=True)
    try:
        code = ("open('/proc/self/attr/exec', 'w').write('exec coracle-smoke')\n"
                "import os; os.execv('/bin/cat', ['cat', '/proc/self/attr/current', '/etc/hostname'])")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout == "coracle-smoke (enforce)\n"
        assert "denied" in done.stderr
    finally:
        subprocess.run(["apparmor_parser", "--remove"], input=profile, text=True, check=True)


def test_overlayfs(tmp_path: Path) -> None:
    """Upper and work folder are on a file system that can be one."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "file").write_text("below", encoding="ascii")
    unshared("cd %s; mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged;"
             " echo above > merged/file" % tmp_path)
    assert (tmp_path / "upper" / "file").read_text(encoding="ascii") == "above\n"
    assert (tmp_path / "lower" / "file").read_text(encoding="ascii") == "below"


def test_erofs_over_loop(tmp_path: Path) -> None:
    """An EROFS image mounts through a loop device."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("from an image", encoding="ascii")
    (tmp_path / "mnt").mkdir()
    run("mkfs.erofs", "--quiet", str(tmp_path / "image"), str(tmp_path / "tree"))
    shown = unshared("mount -t erofs -o loop,ro %s %s; cat %s/file" % (
        tmp_path / "image", tmp_path / "mnt", tmp_path / "mnt"))
    assert shown == "from an image"


@pytest.mark.parametrize("flag", ["--user", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--time", "--mount"])
def test_namespaces(flag: str) -> None:
    """Each kind of namespace can be made, and is another one than ours."""
    name = {"--net": "net", "--mount": "mnt", "--pid": "pid_for_children", "--time": "time_for_children"}.get(flag, flag[2:])
    theirs = run("unshare", flag, "--fork", "readlink", "/proc/self/ns/%s" % name)
    assert theirs.strip() != os.readlink("/proc/self/ns/%s" % name)


def test_network_devices_and_nftables() -> None:
    """Bridge, veth, macvlan, vxlan and a table with NAT, in a network namespace of its own."""
    shown = unshared(
        "ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip link set v0 master br0;"
        "ip link add link v1 name m0 type macvlan mode bridge; ip link add x0 type vxlan id 7 dstport 4789;"
        "nft 'table inet t { chain c { type nat hook postrouting priority srcnat; ip saddr 10.0.0.0/8 masquerade; }; }';"
        "nft list ruleset; ip -brief link", "--net")
    assert "masquerade" in shown
    assert {"br0", "v0@v1", "m0@v1", "x0"} <= {line.split()[0] for line in shown.splitlines() if line}


def test_seccomp_is_available() -> None:
    """Filters can be asked for the actions that they know."""
    actions = Path("/proc/sys/kernel/seccomp/actions_avail").read_text(encoding="ascii").split()
    assert {"errno", "kill_process", "user_notif", "allow"} <= set(actions)


def test_libraries_of_a_stock_host() -> None:
    """The shared libraries that the engine reaches through ctypes are there."""
    for name in ("libnftables.so.1", "libzstd.so.1", "libcrypto.so.3"):
        ctypes.CDLL(name)


def test_nothing_of_the_outside_is_reachable() -> None:
    """The only link is the loopback."""
    assert os.listdir("/sys/class/net") == ["lo"]
