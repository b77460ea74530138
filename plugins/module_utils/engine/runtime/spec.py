# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""config.json: the OCI runtime-spec's description of a container, read and validated.

Types, ranges and the rules that can be told without the host are checked here,
before anything is made; each error names the JSON path. Source: runtime-spec
1.2 and 1.3, config.md and config-linux.md.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Tuple

from ..kernel.capabilities import NUMBERS
from ..kernel.namespaces import FLAGS
from .checks import (ID, I32, I64, U16, U32, U64, Invalid, absolute, array, boolean, choice, filled, integer, line,
                     mapping, number_list, parse, pattern, record, text)

VERSION = "1.3.0"
"""The newest runtime-spec that is understood."""
LIMIT = 8 << 20
"""Of config.json, bytes."""
RLIMITS = ("RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
           "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
           "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME")
"""By number, as in the kernel's asm-generic/resource.h."""
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
SCHEDULER_FLAGS = {"SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
                   "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
                   "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40}
"""Bits of struct sched_attr's flags (sched_setattr(2))."""
MEMORY_MODES = {"MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
                "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6}
MEMORY_FLAGS = {"MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13}
"""As in the kernel's uapi/linux/mempolicy.h."""
MOST_NODES = 1024
"""Of memory: the most that a kernel can be built for."""
_CPUS = number_list(8192)
_LINK = pattern("[^/: \t\n]{1,15}", "is no name of a network interface")


def _absolute_or_nothing(value: Any, where: str) -> None:
    text(value, where)
    if value:
        absolute(value, where)


def _version(value: Any, where: str) -> None:
    text(value, where)
    numbers = value.partition("-")[0].partition("+")[0].split(".")
    if len(numbers) != 3 or not all(part.isdecimal() and len(part) < 6 for part in numbers):
        raise Invalid(where, "%r is no version of the form 1.2.3" % value)
    if int(numbers[0]) != 1:
        raise Invalid(where, "version %s is not supported" % value, "This runtime understands 1.0.0 to " + VERSION)


def _environment(value: Any, where: str) -> None:
    text(value, where)
    if "=" not in value or value.startswith("="):
        raise Invalid(where, "%r is not of the form NAME=value" % value[:80])


def _unique_rlimits(value: Any, where: str) -> None:
    seen = set()
    for number, each in enumerate(value):
        if each["type"] in seen:
            raise Invalid("%s[%d].type" % (where, number), "%s comes twice" % each["type"])
        seen.add(each["type"])
        if each["soft"] > each["hard"]:
            raise Invalid("%s[%d].soft" % (where, number), "%d is above hard, %d" % (each["soft"], each["hard"]))


_rlimits = array(record({"type": choice(*RLIMITS), "soft": U64, "hard": U64}, ("type", "soft", "hard")))


def _check_rlimits(value: Any, where: str) -> None:
    _rlimits(value, where)
    _unique_rlimits(value, where)


_BOX = record({"height": U32, "width": U32})
_USER = record({"uid": ID, "gid": ID, "umask": integer(0, 0o777), "additionalGids": array(ID), "username": text})
PROCESS = record({
    "terminal": boolean,
    "consoleSize": _BOX,
    "user": _USER,
    "cwd": absolute,
    "env": array(_environment),
    "args": array(text, least=1),
    "capabilities": record({name: array(text) for name in CAPABILITY_SETS}),
    "rlimits": _check_rlimits,
    "noNewPrivileges": boolean,
    "apparmorProfile": line,
    "selinuxLabel": line,
    "oomScoreAdj": integer(-1000, 1000),
    "ioPriority": record({"class": choice("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"),
                          "priority": integer(0, 7)}, ("class",)),
    "scheduler": record({"policy": choice("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO",
                                          "SCHED_IDLE", "SCHED_DEADLINE"),
                         "nice": integer(-20, 19), "priority": I32, "flags": array(choice(*SCHEDULER_FLAGS)), "runtime": U64,
                         "deadline": U64, "period": U64}, ("policy",)),
    "execCPUAffinity": record({"initial": _CPUS, "final": _CPUS}),
}, ("cwd",))

_HOOK = record({"path": absolute, "args": array(text), "env": array(_environment), "timeout": integer(1, 2**31)},
               ("path",))
_MAPPINGS = array(record({"containerID": U32, "hostID": U32, "size": integer(1, 2**32 - 1)},
                         ("containerID", "hostID", "size")), most=340)
_MOUNT = record({"destination": filled, "type": text, "source": text, "options": array(text),
                 "uidMappings": _MAPPINGS, "gidMappings": _MAPPINGS}, ("destination",))


def _device_numbers(value: Dict[str, Any], where: str) -> None:
    """A node has its numbers, unless it is a FIFO, which has none."""
    for name in ("major", "minor"):
        if value["type"] != "p" and value.get(name) is None:
            raise Invalid("%s.%s" % (where, name), "is missing")


_DEVICE = record({"path": absolute, "type": choice("b", "c", "u", "p"), "major": integer(0, 4095),
                  "minor": integer(0, 2**20 - 1), "fileMode": integer(0, 0o177777), "uid": ID, "gid": ID},
                 ("path", "type"), _device_numbers)
_NUMBER = integer(-1, 2**32 - 1)


def _access(value: Any, where: str) -> None:
    """Letters of a device rule; an a beside others says nothing, and is let pass, as by runc."""
    text(value, where)
    if value and (set(value) - set("rwma") or value.strip("a") == ""):
        raise Invalid(where, "%r is not made of r, w and m" % value[:80])


_RULE = record({"allow": boolean, "type": choice("", "a", "b", "c"), "major": _NUMBER, "minor": _NUMBER,
                "access": _access}, ("allow",))
_BLOCK = {"major": U32, "minor": U32}
_THROTTLE = array(record(dict(_BLOCK, rate=U64), ("major", "minor")))
_RESOURCES = record({
    "devices": array(_RULE),
    "memory": record({"limit": I64, "reservation": I64, "swap": I64, "kernel": I64, "kernelTCP": I64,
                      "swappiness": integer(0, 200), "disableOOMKiller": boolean, "useHierarchy": boolean,
                      "checkBeforeUpdate": boolean}),
    "cpu": record({"shares": U64, "quota": I64, "burst": U64, "period": U64, "realtimeRuntime": I64,
                   "realtimePeriod": U64, "cpus": line, "mems": line, "idle": integer(0, 1)}),
    "pids": record({"limit": I64}),
    "blockIO": record({"weight": U16, "leafWeight": U16,
                       "weightDevice": array(record(dict(_BLOCK, weight=U16, leafWeight=U16), ("major", "minor"))),
                       "throttleReadBpsDevice": _THROTTLE, "throttleWriteBpsDevice": _THROTTLE,
                       "throttleReadIOPSDevice": _THROTTLE, "throttleWriteIOPSDevice": _THROTTLE}),
    "hugepageLimits": array(record({"pageSize": pattern("[1-9][0-9]*[KMG]B", "is no page size such as 2MB"), "limit": U64},
                                   ("pageSize", "limit"))),
    "network": record({"classID": U32, "priorities": array(record({"name": _LINK, "priority": U32}, ("name", "priority")))}),
    "rdma": mapping(record({"hcaHandles": U32, "hcaObjects": U32})),
    "unified": mapping(text, filled),
})
_ARGUMENT = record({"index": integer(0, 5), "value": U64, "valueTwo": U64,
                    "op": choice("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE",
                                 "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ")}, ("index", "value", "op"))
_ERRNO_ACTIONS = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")


def _errno_of(action: str, errno: str) -> Callable[[Dict[str, Any], str], None]:
    """Not every action hands an errno out."""
    def check(value: Dict[str, Any], where: str) -> None:
        if value.get(errno) is not None and value[action] not in _ERRNO_ACTIONS:
            raise Invalid("%s.%s" % (where, errno), "is of no use to %s" % value[action],
                          "Only %s take one" % " and ".join(_ERRNO_ACTIONS))
    return check


_ACTION = choice("SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
                 "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY")
_SECCOMP = record({
    "defaultAction": _ACTION,
    "defaultErrnoRet": integer(0, 4095),
    "architectures": array(choice(*("SCMP_ARCH_" + name for name in (
        "X86", "X86_64", "X32", "ARM", "AARCH64", "LOONGARCH64", "M68K", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
        "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "SH", "SHEB", "PARISC", "PARISC64", "RISCV64")))),
    "flags": array(choice("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                          "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")),
    "listenerPath": _absolute_or_nothing,
    "listenerMetadata": text,
    "syscalls": array(record({"names": array(filled, least=1), "action": _ACTION, "errnoRet": integer(0, 4095),
                              "args": array(_ARGUMENT)}, ("names", "action"), _errno_of("action", "errnoRet"))),
}, ("defaultAction",), _errno_of("defaultAction", "defaultErrnoRet"))
_LINUX = record({
    "uidMappings": _MAPPINGS,
    "gidMappings": _MAPPINGS,
    "sysctl": mapping(line, filled),
    "resources": _RESOURCES,
    "cgroupsPath": text,
    "namespaces": array(record({"type": choice(*FLAGS), "path": _absolute_or_nothing}, ("type",))),
    "devices": array(_DEVICE),
    "netDevices": mapping(record({"name": _LINK}), _LINK),
    "seccomp": _SECCOMP,
    "rootfsPropagation": choice("", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate",
                                "runbindable"),
    "maskedPaths": array(absolute),
    "readonlyPaths": array(absolute),
    "mountLabel": text,
    "intelRdt": record({"closID": text, "schemata": array(line), "l3CacheSchema": text, "memBwSchema": line,
                        "enableCMT": boolean, "enableMBM": boolean, "enableMonitoring": boolean}),
    "memoryPolicy": record({"mode": choice(*MEMORY_MODES), "nodes": number_list(MOST_NODES),
                            "flags": array(choice(*MEMORY_FLAGS))}, ("mode",)),
    "personality": record({"domain": choice("LINUX", "LINUX32"), "flags": array(text, most=0)}, ("domain",)),
    "timeOffsets": mapping(record({"secs": I64, "nanosecs": integer(0, 999999999)}), choice("monotonic", "boottime")),
})
_CONFIG = record({
    "ociVersion": _version,
    "root": record({"path": filled, "readonly": boolean}, ("path",)),
    "mounts": array(_MOUNT, most=4096),
    "process": PROCESS,
    "hostname": text,
    "domainname": text,
    "hooks": record({name: array(_HOOK, most=256) for name in HOOKS}),
    "annotations": mapping(text, filled),
    "linux": _LINUX,
}, ("ociVersion",))


def read(bundle: str, name: str = "config.json") -> Tuple[Dict[str, Any], bytes]:
    """The configuration of a bundle, validated, and its bytes.

    Args:
        name: Of its file, seen from the bundle.

    Raises:
        Invalid: Names the JSON path.
        EngineError: There is no such file.
    """
    path = os.path.join(bundle, name)
    try:
        with open(path, "rb") as stream:
            content = stream.read(LIMIT + 1)
    except OSError as error:
        raise Invalid("", "cannot read %s: %s" % (path, error.strerror),
                      "A bundle is a folder with a config.json") from error
    config = parse(content, path, LIMIT)
    validate(config)
    return config, content


def load(path: str) -> Dict[str, Any]:
    """A configuration that was validated before, from a state folder.

    Raises:
        Invalid: It cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            config = parse(stream.read(LIMIT + 1), path, LIMIT)
    except OSError as error:
        raise Invalid("", "cannot read %s: %s" % (path, error.strerror)) from error
    if not isinstance(config, dict):
        raise Invalid("", "%s is no object" % path)
    return config


def hooks_of(path: str, kind: str) -> List[Dict[str, Any]]:
    """The hooks of one kind in a configuration that was validated before; it is taken apart only if it may name the kind.

    Raises:
        Invalid: It cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(LIMIT + 1)
    except OSError as error:
        raise Invalid("", "cannot read %s: %s" % (path, error.strerror)) from error
    if kind.encode() not in content and b"\\u" not in content:
        return []
    return list((load(path).get("hooks") or {}).get(kind) or ())


def validate(config: Dict[str, Any]) -> List[str]:
    """Check a configuration.

    Returns: Warnings about what will be ignored.

    Raises:
        Invalid: Names the JSON path.
    """
    _CONFIG(config, "")
    if config.get("root") is None:
        raise Invalid("root", "is missing")
    linux = config.get("linux") or {}
    _check_namespaces(linux, config)
    _check_listener(linux.get("seccomp") or {})
    return warnings(config)


def warnings(config: Dict[str, Any]) -> List[str]:
    """What of a valid configuration will be ignored, or taken in a way that one might not expect."""
    found = _capabilities((config.get("process") or {}).get("capabilities") or {}, "process.capabilities")
    linux = config.get("linux") or {}
    if not linux.get("uidMappings") and any(each["type"] == "user" and not each.get("path")
                                            for each in linux.get("namespaces") or ()):
        found.append("linux.uidMappings: is missing, so in the new user namespace every ID stands for itself")
    return found


def validate_process(process: Dict[str, Any]) -> List[str]:
    """Check a process object as C(exec) takes it; see C(validate)."""
    PROCESS(process, "process")
    if not process.get("args"):
        raise Invalid("process.args", "is missing")
    return _capabilities(process.get("capabilities") or {}, "process.capabilities")


def validate_resources(resources: Dict[str, Any]) -> None:
    """Check an object like linux.resources, as C(update) takes it."""
    _RESOURCES(resources, "")


def validate_seccomp(section: Dict[str, Any]) -> None:
    """Check an object like linux.seccomp."""
    _SECCOMP(section, "")


def _capabilities(sets: Dict[str, List[str]], where: str) -> List[str]:
    """Warnings: what is unknown, and what is no ambient capability for want of being in two other sets (capabilities(7))."""
    both = set(sets.get("permitted") or ()) & set(sets.get("inheritable") or ())
    return ["%s.%s: this runtime does not know %s and ignores it" % (where, kind, name)
            for kind in CAPABILITY_SETS for name in sets.get(kind) or () if name not in NUMBERS] + [
                "%s.ambient: can't raise ambient capability %s: it is not both permitted and inheritable" % (where, name)
                for name in sets.get("ambient") or () if name in NUMBERS and name not in both]


def _check_namespaces(linux: Dict[str, Any], config: Dict[str, Any]) -> None:
    """The rules between namespaces and what needs them."""
    own: Dict[str, bool] = {}
    for number, each in enumerate(linux.get("namespaces") or ()):
        if each["type"] in own:
            raise Invalid("linux.namespaces[%d].type" % number, "%s comes twice" % each["type"])
        own[each["type"]] = not each.get("path")
    for kind in ("uidMappings", "gidMappings"):
        maps = linux.get(kind)
        if maps and not own.get("user"):
            raise Invalid("linux." + kind, "needs a new user namespace in linux.namespaces")
        if own.get("user") and not maps and (linux.get("uidMappings") or linux.get("gidMappings")):
            raise Invalid("linux." + kind, "is missing, but the other kind of mappings is there")
    if "mount" not in own:
        for kind in ("maskedPaths", "readonlyPaths"):
            if linux.get(kind):
                raise Invalid("linux." + kind, "needs a mount namespace in linux.namespaces")
        if config.get("mounts") and "user" in own:
            raise Invalid("mounts", "needs a mount namespace in linux.namespaces, beside the user namespace")
    if linux.get("timeOffsets") and not own.get("time"):
        raise Invalid("linux.timeOffsets", "needs a new time namespace in linux.namespaces")
    for key, needed in (("hostname", "uts"), ("domainname", "uts")):
        if config.get(key) and needed not in own:
            raise Invalid(key, "needs a %s namespace in linux.namespaces" % needed)
    if linux.get("netDevices") and "network" not in own:
        raise Invalid("linux.netDevices", "needs a network namespace in linux.namespaces")
    for name in linux.get("sysctl") or ():
        _check_sysctl(name, own)


def _check_listener(seccomp: Dict[str, Any]) -> None:
    """Who is asked for a verdict must be named, and metadata are for nobody else."""
    if not seccomp.get("listenerPath"):
        if seccomp.get("listenerMetadata"):
            raise Invalid("linux.seccomp.listenerMetadata", "needs linux.seccomp.listenerPath")
        asks = [each["action"] for each in seccomp.get("syscalls") or ()] + [seccomp.get("defaultAction")]
        if "SCMP_ACT_NOTIFY" in asks:
            raise Invalid("linux.seccomp.listenerPath", "is missing, but there is an action SCMP_ACT_NOTIFY")


_IPC_SYSCTLS = frozenset("kernel." + name for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni",
                                                       "shm_rmid_forced"))


def _check_sysctl(name: str, own: Dict[str, bool]) -> None:
    """Only what belongs to a namespace of the container's own may be set (sysctl(2) has no other bounds)."""
    where = "linux.sysctl.%s" % name
    dotted = name.replace("/", ".") if name.find("/") < name.find(".") or "." not in name else name
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        needed = "ipc"
    elif dotted.startswith("net."):
        needed = "network"
    elif dotted == "kernel.hostname":
        raise Invalid(where, "is what the member hostname is for", "Use that")
    elif dotted == "kernel.domainname":
        needed = "uts"
    elif dotted.startswith("user."):
        needed = "user"
    else:
        raise Invalid(where, "is not a value of a namespace, so it would change the host", "Set it on the host")
    if needed not in own:
        raise Invalid(where, "needs a %s namespace in linux.namespaces; without one it would change the host" % needed)
    if ".." in name.split("/") or any(not part for part in dotted.split(".")):
        raise Invalid(where, "is no name of a kernel parameter")
