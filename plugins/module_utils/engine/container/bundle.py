# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a container's options to the OCI runtime-spec's C(config.json): a pure function.

The defaults are Docker's: its capabilities, system call filter, masked and read-only paths, and mounts.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..runtime import seccomp_default

OCI_VERSION = "1.0.2"
"""The lowest version of the runtime-spec that has all that is used here, so that older runtimes accept it."""

CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
                "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
                "CAP_AUDIT_WRITE")
ALL_CAPABILITIES = CAPABILITIES + (
    "CAP_DAC_READ_SEARCH", "CAP_LINUX_IMMUTABLE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_IPC_LOCK",
    "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_LEASE",
    "CAP_AUDIT_CONTROL", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE")
MASKED = ("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
          "/sys/devices/virtual/powercap", "/sys/firmware")
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Identity(NamedTuple):
    """Who the container's process is, in numbers, looked up in the image's own files."""

    uid: int = 0
    gid: int = 0
    groups: Sequence[int] = ()
    home: str = "/"


class Places(NamedTuple):
    """Where on the host the container's parts are.

    Attributes:
        root: Where its root file system is mounted.
        cgroup: Its cgroup's absolute path.
        network: The path of its network namespace, or C(None) for the host's.
        etc: Paths of the files that stand for /etc/hosts and the like, by their place inside.
        volumes: The folders of named volumes, by name.
        user: The path of its user namespace, or C(None) for the host's.
        mappings: Of that namespace; what is mounted from the host is shown through them.
    """

    root: str
    cgroup: str
    network: Optional[str]
    etc: Mapping[str, str]
    volumes: Mapping[str, str]
    user: Optional[str] = None
    mappings: Optional[List[Dict[str, int]]] = None


def config(options: Mapping[str, Any], identity: Identity, places: Places, resources: Dict[str, Any]) -> Dict[str, Any]:
    """The runtime configuration of a container.

    Args:
        options: Of C(container_run), typed, values inherited from the image resolved.
        resources: The limits as C(linux.resources).
    """
    linux: Dict[str, Any] = {
        "cgroupsPath": places.cgroup,
        "resources": resources,
        "namespaces": _namespaces(places),
        "maskedPaths": list(MASKED),
        "readonlyPaths": list(READ_ONLY),
    }
    if "seccomp=unconfined" not in (options.get("security_opts") or ()):
        linux["seccomp"] = seccomp_default.section(_capabilities(options))
    if options.get("sysctls"):
        linux["sysctl"] = dict(options["sysctls"])
    return {
        "ociVersion": OCI_VERSION,
        "process": _process(options, identity),
        "root": {"path": places.root, "readonly": bool(options.get("read_only"))},
        "hostname": options["hostname"],
        "mounts": _mounts(options, places),
        "linux": linux,
    }


def _process(options: Mapping[str, Any], identity: Identity) -> Dict[str, Any]:
    granted = _capabilities(options)
    # Another user than root starts without any; the bounding set limits what a set-uid program regains.
    effective = granted if identity.uid == 0 else []
    process: Dict[str, Any] = {
        "terminal": False,
        # The primary group among the others: without it, a file whose group is denied could be read after setgid.
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": sorted({identity.gid, *identity.groups})},
        "args": list(options.get("entrypoint") or ()) + list(options.get("command") or ()),
        "env": environment(options, identity),
        "cwd": options.get("working_dir") or "/",
        "capabilities": {"bounding": granted, "effective": effective, "permitted": effective,
                         "inheritable": [], "ambient": []},
        "noNewPrivileges": bool(options.get("no_new_privileges")),
    }
    if options.get("ulimits"):
        process["rlimits"] = list(options["ulimits"])
    if options.get("oom_score_adj") is not None:
        process["oomScoreAdj"] = options["oom_score_adj"]
    return process


def environment(options: Mapping[str, Any], identity: Identity) -> List[str]:
    """The environment in a fixed order, with PATH, HOME and HOSTNAME where nobody has set them."""
    variables = dict(options.get("env") or {})
    variables.setdefault("PATH", PATH.partition("=")[2])
    variables.setdefault("HOME", identity.home)
    variables.setdefault("HOSTNAME", options["hostname"])
    return ["%s=%s" % pair for pair in sorted(variables.items())]


def _capabilities(options: Mapping[str, Any]) -> List[str]:
    return capabilities(options.get("capabilities") or (), options.get("cap_drop") or ())


def capabilities(added: Sequence[str], dropped: Sequence[str]) -> List[str]:
    """Docker's default set, plus and minus; C(ALL) on either side means every one, and drops are undone by adds."""
    granted = set() if "ALL" in dropped else set(CAPABILITIES)
    if "ALL" in added:
        granted = set(ALL_CAPABILITIES)
    granted -= set(dropped) - {"ALL"}
    granted |= set(added) - {"ALL"}
    return sorted(granted)


def _namespaces(places: Places) -> List[Dict[str, str]]:
    kinds: List[Dict[str, str]] = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "cgroup")]
    if places.network is not None:
        kinds.append({"type": "network", "path": places.network})
    if places.user is not None:
        kinds.append({"type": "user", "path": places.user})
    return kinds


def _mounts(options: Mapping[str, Any], places: Places) -> List[Dict[str, Any]]:
    mounts = [
        _mount("proc", "proc", "/proc", "nosuid", "noexec", "nodev"),
        _mount("tmpfs", "tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("devpts", "devpts", "/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        _mount("sysfs", "sysfs", "/sys", "nosuid", "noexec", "nodev", "ro"),
        _mount("cgroup", "cgroup", "/sys/fs/cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
        _mount("mqueue", "mqueue", "/dev/mqueue", "nosuid", "noexec", "nodev"),
        _mount("tmpfs", "shm", "/dev/shm", "nosuid", "noexec", "nodev", "mode=1777",
               "size=%d" % (options.get("shm_size") or 65536 * 1024)),
    ]
    mounts += [_mount("bind", source, target, "rbind", "rprivate") for target, source in sorted(places.etc.items())]
    # A mount below another's target must come after it.
    for row in sorted(options.get("mounts") or (), key=lambda row: str(row["target"]).count("/")):
        mounts.append(_users_mount(row, places))
    return mounts


def _users_mount(row: Mapping[str, Any], places: Places) -> Dict[str, Any]:
    options = list(row.get("options") or ())
    options.append("ro" if row.get("read_only") else "rw")
    if row["type"] == "tmpfs":
        options += [word for word, opposite in (("nosuid", "suid"), ("nodev", "dev")) if opposite not in options]
        if row.get("size") is not None and row["size"] >= 0:
            options.append("size=%d" % row["size"])
        options.append("mode=%o" % (0o1777 if row.get("mode") is None else row["mode"]))
        return _mount("tmpfs", "tmpfs", row["target"], *options)
    source = row["source"] if row["type"] == "bind" else places.volumes[row["source"]]
    mount = _mount("bind", source, row["target"], "rbind", row.get("propagation") or "rprivate", *options)
    if places.mappings is not None:
        # Owners on the host's side stay what they are inside: 0 is 0.
        mount["options"].append("ridmap")
        mount["uidMappings"] = mount["gidMappings"] = places.mappings
    return mount


def _mount(kind: str, source: str, target: str, *options: str) -> Dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}
