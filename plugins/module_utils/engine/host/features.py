# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's kernel and libraries offer, and what each missing thing costs.

Nothing is changed and nothing is loaded that stays: system calls are called
with arguments that cannot succeed, network devices and rules are tried in a
network namespace that ends with the child process that tried them.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..cgroup.hierarchy import Hierarchies, discover
from ..errors import Unsupported
from ..instance import Instance
from ..kernel import commands, mounts, namespaces
from ..kernel.syscalls import library, try_call

REQUIRED = "required"
"""Without it no container runs."""
RECOMMENDED = "recommended"
"""Without it something that most people use does not work, or works less well."""
OPTIONAL = "optional"
"""Without it an option that few people use is refused."""

_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io", "devices", "freezer")
_ENOSYS = 38
_EOPNOTSUPP = 95
_RTM_NEWLINK = 16
_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400  # NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE
_IFLA_LINKINFO = 18
_IFLA_INFO_KIND = 1
_NFT_PROBE = ("add table inet coracle_probe\n"
              "add chain inet coracle_probe c { type nat hook prerouting priority dstnat; }\n"
              "add map inet coracle_probe m { type inet_proto . inet_service : ipv4_addr . inet_service; }\n")


class Feature(NamedTuple):
    """One thing that the engine can make use of.

    Attributes:
        name: As the kernel or the distribution calls it.
        level: C(REQUIRED), C(RECOMMENDED) or C(OPTIONAL).
        cost: What does not work without it.
        remedy: How a host gets it.
        present: Whether it is there; C(None) where that cannot be told without being root.
    """

    name: str
    level: str
    cost: str
    remedy: str
    present: Optional[bool]


def probe() -> List[Feature]:
    """All features, required ones first. Takes a few milliseconds; the whole answer needs root."""
    tried = _try_apart() if os.geteuid() == 0 else {}
    controllers = cgroup_controllers()
    found = [Feature(name, level, cost, remedy, test(name, tried, controllers))
             for name, level, cost, remedy, test in _TABLE]
    order = (REQUIRED, RECOMMENDED, OPTIONAL)
    return sorted(found, key=lambda feature: order.index(feature.level))


def missing(features: List[Feature], level: str) -> List[Feature]:
    """Those of one level that are surely not there."""
    return [feature for feature in features if feature.level == level and feature.present is False]


def cgroup_version() -> str:
    """C(v2), C(v1), C(hybrid) (both are mounted) or C(none)."""
    found = _hierarchies()
    return found.kind if found else "none"


def cgroup_controllers() -> Dict[str, str]:
    """The controllers that the engine uses and that are mounted: v2's name to C(v1) or C(v2)."""
    found = _hierarchies()
    if found is None:
        return {}
    versions = {name: found.version(name) for name in _CONTROLLERS}
    if found.v2:
        for name in ("devices", "freezer"):  # part of v2 itself: eBPF programs and cgroup.freeze
            versions[name] = versions[name] or 2
    return {name: "v%d" % version for name, version in versions.items() if version}


def _hierarchies() -> Optional[Hierarchies]:
    try:
        return discover()
    except Unsupported:
        return None


def boots_with_systemd() -> bool:
    """Whether systemd is process 1 (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def storage(path: str) -> Dict[str, Any]:
    """The file system that a folder is or would be on: C(file_system), and C(total) and C(free) in bytes."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    space = os.statvfs(path)
    device = os.stat(path).st_dev
    number = "%d:%d" % (os.major(device), os.minor(device))
    kinds = [mount.fstype for mount in mounts.table() if mount.device == number]
    return {"file_system": kinds[-1] if kinds else "unknown", "total": space.f_blocks * space.f_frsize,
            "free": space.f_bavail * space.f_frsize}


Test = Callable[[str, Dict[str, bool], Dict[str, str]], Optional[bool]]


def _call(name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    """Whether the kernel knows a system call; -1 for every argument makes each of these fail at once."""
    return try_call(name, -1, -1, -1, -1, -1) != -_ENOSYS


def _namespace(name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    kind = name.split()[0]
    if not os.path.exists("/proc/self/ns/" + namespaces.FILES[kind]):
        return False
    return kind != "user" or _read("/proc/sys/user/max_user_namespaces") not in ("0", None)


def _controller(name: str, _tried: Dict[str, bool], controllers: Dict[str, str]) -> Optional[bool]:
    return name.split()[0] in controllers


def _tried(name: str, tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return tried.get(name)


def _file_system(name: str, tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    known = (_read("/proc/filesystems") or "").split()
    return True if name in known else tried.get(name)


def _seccomp(_name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return "errno" in (_read("/proc/sys/kernel/seccomp/actions_avail") or "").split()


def _nftables_library(_name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return library("libnftables.so.1") is not None


def _zstd_library(_name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return sys.version_info >= (3, 14) or library("libzstd.so.1") is not None  # 3.14 has compression.zstd


def _erofs_file(_name: str, tried: Dict[str, bool], controllers: Dict[str, str]) -> Optional[bool]:
    """Linux 6.12 and newer mount an EROFS image without a loop device; only trying with an image proves it."""
    return _file_system("erofs", tried, controllers) and kernel_version() >= (6, 12)


def _program(name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return commands.find(name) is not None


def _loop(_name: str, _tried: Dict[str, bool], _controllers: Dict[str, str]) -> Optional[bool]:
    return os.path.exists("/dev/loop-control")


def kernel_version() -> Tuple[int, int]:
    """The first two numbers of the kernel's release."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


_NEWER = "Run a kernel of version %s or newer"
_CONFIG = "Build or load the kernel with %s"
_MOUNTED = "Mount a cgroup hierarchy that has it (cgroups(7)), or boot without cgroup_disable=%s"
_TABLE = (
    ("mount namespace", REQUIRED, "no container can have a root file system of its own",
     _CONFIG % "CONFIG_NAMESPACES", _namespace),
    ("pid namespace", REQUIRED, "no container can be isolated from the host's processes",
     _CONFIG % "CONFIG_PID_NS", _namespace),
    ("network namespace", REQUIRED, "no container can have links and addresses of its own",
     _CONFIG % "CONFIG_NET_NS", _namespace),
    ("ipc namespace", REQUIRED, "containers would share System V IPC and message queues with the host",
     _CONFIG % "CONFIG_IPC_NS", _namespace),
    ("uts namespace", REQUIRED, "no container can have a hostname of its own", _CONFIG % "CONFIG_UTS_NS", _namespace),
    ("cgroup namespace", RECOMMENDED, "containers see the host's cgroup paths", _NEWER % "4.6", _namespace),
    ("user namespace", OPTIONAL, "containers cannot map their root to an unprivileged user",
     "Build the kernel with CONFIG_USER_NS, or set the sysctl user.max_user_namespaces above 0", _namespace),
    ("time namespace", OPTIONAL, "containers cannot have clock offsets", _NEWER % "5.6", _namespace),
    ("clone3", REQUIRED, "no container can be started", _NEWER % "5.3", _call),
    ("pidfd_open", REQUIRED, "processes cannot be told apart from others that get their number", _NEWER % "5.3", _call),
    ("openat2", REQUIRED, "paths inside an image cannot be opened safely", _NEWER % "5.6", _call),
    ("open_tree", REQUIRED, "mounts cannot be handed over by descriptor", _NEWER % "5.2", _call),
    ("mount_setattr", REQUIRED, "mounts cannot be made read-only as a tree, nor idmapped", _NEWER % "5.12", _call),
    ("close_range", RECOMMENDED, "closing inherited descriptors takes a call for each", _NEWER % "5.9", _call),
    ("overlay", REQUIRED, "containers cannot share an image's layers", _CONFIG % "CONFIG_OVERLAY_FS", _file_system),
    ("erofs", RECOMMENDED, "each layer is unpacked to a folder tree, which is slower to pull, to check and to delete",
     _CONFIG % "CONFIG_EROFS_FS", _file_system),
    ("erofs from a file", RECOMMENDED, "each EROFS layer needs a loop device, or is unpacked to a folder tree",
     _NEWER % "6.12" + " with CONFIG_EROFS_FS_BACKED_BY_FILE", _erofs_file),
    ("loop devices", OPTIONAL, "where the kernel cannot mount EROFS from a file, layers are unpacked to folder trees",
     _CONFIG % "CONFIG_BLK_DEV_LOOP", _loop),
    ("seccomp", REQUIRED, "containers could make every system call",
     _CONFIG % "CONFIG_SECCOMP_FILTER", _seccomp),
    ("memory controller", REQUIRED, "memory_max and its like are refused", _MOUNTED % "memory", _controller),
    ("cpu controller", REQUIRED, "cpus and cpu_weight are refused", _MOUNTED % "cpu", _controller),
    ("pids controller", REQUIRED, "pids_max is refused, so that one container can use up all process numbers",
     _MOUNTED % "pids", _controller),
    ("cpuset controller", OPTIONAL, "cpuset_cpus and cpuset_mems are refused", _MOUNTED % "cpuset", _controller),
    ("io controller", OPTIONAL, "disk weights and limits are refused", _MOUNTED % "io", _controller),
    ("devices controller", REQUIRED, "containers could open every device", _CONFIG % "CONFIG_CGROUP_BPF", _controller),
    ("freezer controller", RECOMMENDED, "containers cannot be paused", _CONFIG % "CONFIG_CGROUP_FREEZER", _controller),
    ("bridge", RECOMMENDED, "only the network modes none and host work", _CONFIG % "CONFIG_BRIDGE", _tried),
    ("veth", RECOMMENDED, "only the network modes none and host work", _CONFIG % "CONFIG_VETH", _tried),
    ("vxlan", OPTIONAL, "no network can span hosts", _CONFIG % "CONFIG_VXLAN", _tried),
    ("macvlan", OPTIONAL, "containers cannot appear on the host's own network", _CONFIG % "CONFIG_MACVLAN", _tried),
    ("nf_tables", RECOMMENDED, "no port can be published and no container reaches beyond its bridge",
     _CONFIG % "CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT and CONFIG_NFT_MASQ", _tried),
    ("libnftables", RECOMMENDED, "no port can be published and no container reaches beyond its bridge",
     "Install the package nftables, or libnftables1 on Debian and Ubuntu", _nftables_library),
    ("libzstd", OPTIONAL, "layers compressed with zstd cannot be read", "Install the package libzstd1 or libzstd",
     _zstd_library),
    *((helper, OPTIONAL, cost, "Install Debian's package %s, or what has it elsewhere" % package, _program) for helper, cost, package in (
        ("mkfs.ext4", "volumes can have a size only where the file system has project quotas", "e2fsprogs"),
        ("mount.nfs", "volumes of the driver nfs are mounted by the kernel alone, by NFS 4 only", "nfs-common"),
        ("mount.cifs", "there are no volumes of the driver cifs", "cifs-utils"),
        ("mount.ceph", "there are no volumes of the driver cephfs", "ceph-common"),
        ("mount.glusterfs", "there are no volumes of the driver glusterfs", "glusterfs-client"))),
)  # type: Tuple[Tuple[str, str, str, str, Test], ...]


def describe(instance: Instance) -> Dict[str, Any]:
    """The host as plain values, for a result."""
    features = probe()
    return {
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "cgroup_version": cgroup_version(),
        "cgroup_controllers": cgroup_controllers(),
        "systemd": boots_with_systemd(),
        "storage": storage(instance.state_root),
        "features": {feature.name: {"present": feature.present, "level": feature.level, "cost": feature.cost,
                                    "remedy": feature.remedy} for feature in features},
        "missing": {level: [feature.name for feature in missing(features, level)]
                    for level in (REQUIRED, RECOMMENDED, OPTIONAL)},
    }


def _try_apart() -> Dict[str, bool]:
    """Try what only trying tells, in a child with a network namespace of its own; name to whether it worked."""
    back, out = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(back)
            namespaces.unshare(namespaces.NEWNET)
            for name, worked in _attempts():
                os.write(out, ("%s=%d\n" % (name, worked)).encode())
        finally:
            os._exit(0)
    os.close(out)
    with os.fdopen(back, "rb") as stream:
        lines = stream.read().decode().splitlines()
    os.waitpid(child, 0)
    return {name: value == "1" for name, _equals, value in (line.partition("=") for line in lines)}


def _attempts() -> List[Tuple[str, bool]]:
    found = [(name, _has_file_system(name)) for name in ("overlay", "erofs")]
    found += [(kind, _makes_link(kind)) for kind in ("bridge", "veth", "vxlan", "macvlan")]
    rules = _takes_rules()
    return found if rules is None else found + [("nf_tables", rules)]


def _has_file_system(name: str) -> bool:
    """fsopen(2) loads the file system's module if there is one."""
    handle = try_call("fsopen", name.encode(), 0)
    if handle >= 0:
        os.close(handle)
    return handle >= 0


def _makes_link(kind: str) -> bool:
    """Whether the kernel knows a kind of link (rtnetlink(7)); some want more than that and refuse with another errno."""
    name = kind.encode() + b"\0"
    info = struct.pack("=HH", 4 + len(name), _IFLA_INFO_KIND) + name + b"\0" * (-len(name) % 4)
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + struct.pack("=HH", 4 + len(info), _IFLA_LINKINFO) + info
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as channel:
        channel.send(struct.pack("=IHHII", 16 + len(body), _RTM_NEWLINK, _REQUEST_ACK_CREATE, 1, 0) + body)
        answer = channel.recv(4096)
    return int(struct.unpack_from("=i", answer, 16)[0]) != -_EOPNOTSUPP


def _takes_rules() -> Optional[bool]:
    """Whether nf_tables has what our rule set needs; C(None) without the library to ask with (libnftables(3))."""
    nft = library("libnftables.so.1")
    if nft is None:
        return None
    nft.nft_ctx_new.restype = ctypes.c_void_p
    context = ctypes.c_void_p(nft.nft_ctx_new(0))
    nft.nft_ctx_buffer_error(context)
    return bool(nft.nft_run_cmd_from_buffer(context, _NFT_PROBE.encode()) == 0)


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return None
