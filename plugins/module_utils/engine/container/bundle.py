# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a container's options to the OCI runtime-spec's C(config.json): a pure function.

The defaults are Docker's: its capabilities, system call filter, masked and read-only paths, and mounts.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from . import readiness, security
from .devices import Devices

OCI_VERSION = "1.0.2"
"""The lowest version of the runtime-spec that has all that is used here, so that older runtimes accept it."""

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
        namespaces: C(linux.namespaces).
        etc: Paths of the files that stand for /etc/hosts and the like, by their place inside.
        volumes: The folders of named volumes, by name.
        shm: The folder that is its /dev/shm, or C(None) for one of its own.
        mappings: C(uidMappings) and C(gidMappings) of its user namespace; what is mounted from the host is shown
            through them. Empty without one.
        devices: Of the host.
        profile: The custom system call profile, or C(None).
        secrets: The files and folders with secrets, by their place inside.
        notify: The folder of the socket on which the program says that it is ready, or C(None).
    """

    root: str
    cgroup: str
    namespaces: Sequence[Mapping[str, str]]
    etc: Mapping[str, str]
    volumes: Mapping[str, str]
    shm: Optional[str] = None
    mappings: Mapping[str, List[Dict[str, int]]] = {}
    devices: Devices = Devices()
    profile: Optional[Mapping[str, Any]] = None
    secrets: Mapping[str, str] = {}
    notify: Optional[str] = None


def config(options: Mapping[str, Any], identity: Identity, places: Places, resources: Dict[str, Any]) -> Dict[str, Any]:
    """The runtime configuration of a container.

    Args:
        options: Of C(container_run), typed, values inherited from the image resolved.
        resources: The limits as C(linux.resources).
    """
    masked, read_only = security.paths(options)
    linux: Dict[str, Any] = {
        "cgroupsPath": places.cgroup,
        "resources": dict(resources, devices=[*(resources.get("devices") or ()), *places.devices.rules]),
        "namespaces": [dict(each) for each in places.namespaces],
        "maskedPaths": masked,
        "readonlyPaths": read_only,
    }
    if places.devices.nodes:
        linux["devices"] = list(places.devices.nodes)
    seccomp = security.seccomp(options, places.profile)
    if seccomp is not None:
        linux["seccomp"] = seccomp
    if options.get("sysctls"):
        linux["sysctl"] = dict(options["sysctls"])
    made = {
        "ociVersion": OCI_VERSION,
        "process": _process(options, identity, places.notify is not None),
        "root": {"path": places.root, "readonly": bool(options.get("read_only"))},
        "mounts": _mounts(options, places),
        "linux": linux,
    }
    if options.get("annotations"):
        made["annotations"] = dict(options["annotations"])
    if options.get("uts") != "host":
        made["hostname"] = options["hostname"]
    return made


def _process(options: Mapping[str, Any], identity: Identity, notify: bool) -> Dict[str, Any]:
    granted = security.capabilities(options)
    # Another user than root starts without any; the bounding set limits what a set-uid program regains.
    effective = granted if identity.uid == 0 else []
    process: Dict[str, Any] = {
        "terminal": bool(options.get("tty")),
        # The primary group among the others: without it, a file whose group is denied could be read after setgid.
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": sorted({identity.gid, *identity.groups})},
        "args": list(options.get("entrypoint") or ()) + list(options.get("command") or ()),
        "env": environment(options, identity, notify),
        "cwd": options.get("working_dir") or "/",
        "capabilities": {"bounding": granted, "effective": effective, "permitted": effective,
                         "inheritable": [], "ambient": []},
        "noNewPrivileges": bool(options.get("no_new_privileges")),
        **security.process_labels(options),
    }
    if options.get("ulimits"):
        process["rlimits"] = list(options["ulimits"])
    if options.get("oom_score_adj") is not None:
        process["oomScoreAdj"] = options["oom_score_adj"]
    return process


def environment(options: Mapping[str, Any], identity: Identity, notify: bool = False) -> List[str]:
    """The environment in a fixed order, with PATH, HOME and HOSTNAME, with a terminal TERM, where nobody has set them."""
    variables = dict(options.get("env") or {})
    if notify:
        variables["NOTIFY_SOCKET"] = "%s/%s" % (readiness.INSIDE, readiness.SOCKET)
    variables.setdefault("PATH", PATH.partition("=")[2])
    variables.setdefault("HOME", identity.home)
    variables.setdefault("HOSTNAME", options["hostname"])
    if options.get("tty"):
        variables.setdefault("TERM", "xterm")
    return ["%s=%s" % pair for pair in sorted(variables.items())]


def _mounts(options: Mapping[str, Any], places: Places) -> List[Dict[str, Any]]:
    system = "rw" if options.get("privileged") else "ro"
    mounts = [
        _mount("proc", "proc", "/proc", "nosuid", "noexec", "nodev"),
        _mount("tmpfs", "tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("devpts", "devpts", "/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        _mount("sysfs", "sysfs", "/sys", "nosuid", "noexec", "nodev", system),
        _mount("cgroup", "cgroup", "/sys/fs/cgroup", "nosuid", "noexec", "nodev", "relatime", system),
        _mount("mqueue", "mqueue", "/dev/mqueue", "nosuid", "noexec", "nodev"),
    ]
    if places.shm is not None:
        mounts.append(_mount("bind", places.shm, "/dev/shm", "rbind", "rprivate", "nosuid", "noexec", "nodev", "rw"))
    elif options.get("ipc_mode") != "none":
        mounts.append(_mount("tmpfs", "shm", "/dev/shm", "nosuid", "noexec", "nodev", "mode=1777",
                             "size=%d" % (options.get("shm_size") or 65536 * 1024)))
    mounts += [_mount("bind", source, target, "rbind", "rprivate") for target, source in sorted(places.etc.items())]
    mounts += users_mounts(options, places)
    return mounts + [_mount("bind", source, target, "bind", "rprivate", "ro", "nosuid", "nodev", "noexec")
                     for target, source in sorted(places.secrets.items())]


def users_mounts(options: Mapping[str, Any], places: Places) -> List[Dict[str, Any]]:
    """What the option C(mounts) asks for, and the socket's folder; a mount below another's target comes after it."""
    found = [] if places.notify is None else [_mount("bind", places.notify, readiness.INSIDE, "rbind", "rprivate", "ro", "nosuid",
                                                     "nodev", "noexec")]
    found += [_users_mount(row, places) for row in options.get("mounts") or ()]
    return sorted(found, key=lambda mount: str(mount["destination"]).count("/"))


def _users_mount(row: Mapping[str, Any], places: Places) -> Dict[str, Any]:
    options = list(row.get("options") or ())
    options.append("ro" if row.get("read_only") else "rw")
    if row["type"] == "tmpfs":
        options += [word for word, opposite in (("nosuid", "suid"), ("nodev", "dev")) if opposite not in options]
        if row.get("size") is not None and row["size"] >= 0:
            options.append("size=%d" % row["size"])
        options.append("mode=%o" % (0o1777 if row.get("mode") is None else row["mode"]))
        options += ["%s=%d" % (key, row[key]) for key in ("uid", "gid") if row.get(key) is not None]
        return _mount("tmpfs", "tmpfs", row["target"], *options)
    source = row["source"] if row["type"] == "bind" else places.volumes[row["source"]]
    mount = _mount("bind", source, row["target"], "rbind", row.get("propagation") or "rprivate", *options)
    if places.mappings:
        # Owners on the host's side stay what they are inside: 0 is 0.
        mount["options"].append("ridmap")
        mount.update(places.mappings)
    return mount


def _mount(kind: str, source: str, target: str, *options: str) -> Dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": list(options)}
