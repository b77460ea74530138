# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the OCI command line that only tell: state, list, ps, spec, features."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List

from ..errors import Conflict, EngineError, NotFound
from ..kernel import capabilities, commands
from ..kernel.namespaces import FLAGS
from ..runtime import mount_options, record
from ..runtime.spec import HOOKS, MEMORY_FLAGS, MEMORY_MODES, VERSION
from ..store import files
from .arguments import Flag, parse
from .oci import Context, one

_FORMAT = Flag(("format", "f"), default="table")


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _whole_state(state_dir: str) -> Dict[str, Any]:
    """The state as runc prints it: the specification's members and some more."""
    kept = record.load(state_dir)
    now = record.status(state_dir, kept)
    return {"ociVersion": kept.oci_version, "id": kept.id, "pid": 0 if now == "stopped" else kept.pid, "status": now,
            "bundle": kept.bundle, "rootfs": kept.rootfs, "created": kept.created, "annotations": kept.annotations,
            "owner": ""}


def state(context: Context, arguments: List[str]) -> int:
    """coracle state."""
    _print(_whole_state(context.state_dir(one(parse(arguments, (), "state").words, "state"))))
    return 0


def list_(context: Context, arguments: List[str]) -> int:
    """coracle list."""
    options = parse(arguments, (_FORMAT, Flag(("quiet", "q"), "flag")), "list").options
    found = []
    for name in sorted(os.listdir(context.root)) if os.path.isdir(context.root) else ():
        try:
            found.append(_whole_state(os.path.join(context.root, name)))
        except EngineError as error:
            if not isinstance(error, NotFound):
                sys.stderr.write("coracle: %s\n" % error)
    if options["quiet"]:
        sys.stdout.write("".join(each["id"] + "\n" for each in found))
    elif options["format"] == "json":
        sys.stdout.write(json.dumps(found or None, separators=(",", ":")) + "\n")
    elif options["format"] == "table":
        rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")] + [
            (each["id"], str(each["pid"]), each["status"], each["bundle"], each["created"], "root") for each in found]
        sys.stdout.write(table(rows))
    else:
        raise EngineError("invalid format option %r" % options["format"], "It is table or json")
    return 0


def table(rows: List[Any]) -> str:
    """Rows in columns, at least twelve wide, as runc's callers read them."""
    widths = [max(12, *(len(row[column]) + 3 for row in rows)) for column in range(len(rows[0]))]
    return "".join("".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n" for row in rows)


def ps(context: Context, arguments: List[str]) -> int:
    """coracle ps."""
    parsed = parse(arguments, (_FORMAT,), "ps", anywhere=False)
    if not parsed.words:
        raise EngineError("ps: an id is needed")
    kept = record.load(context.state_dir(parsed.words[0]))
    if kept.cgroup:
        from ..cgroup import group  # pylint: disable=import-outside-toplevel
        pids = group.processes(kept.cgroup)
    else:
        pids = [kept.pid]
    if parsed.options["format"] == "json":
        sys.stdout.write(json.dumps(pids, separators=(",", ":")) + "\n")
        return 0
    if parsed.options["format"] != "table":
        raise EngineError("invalid format option %r" % parsed.options["format"], "It is table or json")
    program = commands.find("ps")
    if program is None:
        raise EngineError("the host has no ps", "Install procps, or use --format json")
    done = commands.run([program, *(parsed.words[1:] or ["-ef"])])
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    column = lines[0].split().index("PID") if lines and "PID" in lines[0].split() else -1
    if done.status or column < 0:
        raise EngineError("ps %s: %s" % (" ".join(parsed.words[1:]), done.stderr.decode("utf-8", "replace").strip()
                                         or "its output has no column PID"))
    wanted = {str(pid) for pid in pids}
    sys.stdout.write("\n".join([lines[0]] + [line for line in lines[1:] if line.split()[column] in wanted]) + "\n")
    return 0


def spec(_context: Context, arguments: List[str]) -> int:
    """coracle spec."""
    options = parse(arguments, (Flag(("bundle", "b"), default="."), Flag(("rootless",), "flag")), "spec").options
    path = os.path.join(options["bundle"], "config.json")
    if os.path.lexists(path):
        raise Conflict("%s exists already" % path, "Remove it first")
    text = json.dumps(example(options["rootless"]), indent="\t") + "\n"
    files.write(path, text.encode(), 0o644, durable=False)
    return 0


def example(rootless: bool) -> Dict[str, Any]:
    """A configuration to begin with, as runc's: a shell, few rights, its own namespaces; of cgroups on v2 alone."""
    from ..cgroup import hierarchy  # pylint: disable=import-outside-toplevel
    cgroup = ("cgroup",) if hierarchy.discover().kind == "v2" else ()
    few = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    quiet = ["nosuid", "noexec", "nodev"]
    config: Dict[str, Any] = {
        "ociVersion": VERSION,
        "process": {
            "terminal": True, "user": {"uid": 0, "gid": 0}, "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"], "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), few),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}], "noNewPrivileges": True},
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "coracle",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] + ([] if rootless else ["gid=5"])},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": quiet + ["mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
            {"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}
            if rootless else {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": quiet + ["ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": quiet + ["relatime", "ro"]}],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount") + cgroup
                           + (("user",) if rootless else ("network",))],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]},
    }
    if rootless:
        config["linux"].pop("resources")
        config["mounts"] = [each for each in config["mounts"] if each["type"] != "cgroup"]
        for kind, number in (("uidMappings", os.geteuid()), ("gidMappings", os.getegid())):
            config["linux"][kind] = [{"containerID": 0, "hostID": number, "size": 1}]
    return config


def features(_context: Context, arguments: List[str]) -> int:
    """coracle features."""
    parse(arguments, (), "features")
    _print(description())
    return 0


def description() -> Dict[str, Any]:
    """What this runtime can do, in the form of runtime-spec features.md."""
    from ..runtime import syscall_filter  # pylint: disable=import-outside-toplevel
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": list(HOOKS),
        "mountOptions": list(mount_options.NAMES),
        "linux": {
            "namespaces": sorted(FLAGS),
            "capabilities": list(capabilities.NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "seccomp": {"enabled": True, "actions": syscall_filter.actions(), "operators": syscall_filter.operators(),
                        "archs": sorted(syscall_filter.ARCHITECTURES), "knownFlags": syscall_filter.flags(),
                        "supportedFlags": syscall_filter.flags()},
            "apparmor": {"enabled": True}, "selinux": {"enabled": True}, "intelRdt": {"enabled": False},
            "memoryPolicy": {"modes": sorted(MEMORY_MODES), "flags": sorted(MEMORY_FLAGS)},
            "mountExtensions": {"idmap": {"enabled": True}}, "netDevices": {"enabled": True},
        },
        "potentiallyUnsafeConfigAnnotations": [],
    }
