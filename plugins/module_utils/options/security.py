# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_run) that say what a container may do and what it shares, named as Docker names them."""

from __future__ import annotations

import re
from typing import Any, Dict, List

from .. import values
from ..option import UNORDERED, Option
from ..engine.plan import RECREATE

RECORD = "what was last applied (container.json)"
"""Where the present value of an option is read from which the kernel does not tell."""
_STATUS = RECORD + ", and more than that from /proc/PID/status"
_CONFINED = RECORD + ", and less than that from /proc/PID/mountinfo, status and attr"

_RLIMITS = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
            "rtprio", "rttime", "sigpending", "stack")
_INFINITY = (1 << 64) - 1
_SYSCTL = re.compile(r"^(net\.|fs\.mqueue\.|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)\Z)"
                     r"[a-zA-Z0-9_.*/-]*\Z")
_OTHER = r"container:[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_LABEL_PARTS = ("user", "role", "type", "level")


def _capability(value: Any) -> str:
    from ..engine.kernel.capabilities import NAMES  # pylint: disable=import-outside-toplevel
    text = str(value).upper()
    text = text if text.startswith("CAP_") or text == "ALL" else "CAP_" + text
    if text != "ALL" and text not in NAMES:
        raise ValueError("is no capability")
    return text


def _security_opt(value: Any) -> str:
    """One of Docker's and Podman's security options, in its one written form: C(KEY=VALUE)."""
    text = str(value)
    key, separator, rest = text.partition("=")
    if not separator or ":" in key:
        key, _colon, rest = text.partition(":")  # the older form
    if key == "no-new-privileges" and rest in ("", "true", "false"):
        return "no-new-privileges=" + (rest or "true")
    if key == "systempaths" and rest == "unconfined" or key == "label" and rest == "disable":
        return "%s=%s" % (key, rest)
    if key == "seccomp" and rest:
        return "seccomp=" + _seccomp(rest)
    if key == "apparmor" and re.match(r"^[^\s\0]{1,255}\Z", rest):
        return "apparmor=" + rest
    if key == "label" and re.match(r"^(%s):[a-zA-Z0-9_.:,-]{1,255}\Z" % "|".join(_LABEL_PARTS), rest):
        return "label=" + rest
    if key == "unmask" and rest.upper() == "ALL":
        return "unmask=ALL"
    if key in ("mask", "unmask") and rest:
        return "%s=%s" % (key, ":".join(sorted({values.absolute_path(path) for path in rest.split(":")})))
    raise ValueError("is no security option")


def _seccomp(rest: str) -> str:
    if rest in ("unconfined", "builtin"):
        return rest
    return rest if rest.lstrip().startswith("{") else values.absolute_path(rest)


def _security_opts(value: Any) -> List[str]:
    """All of them; of some kinds only one can hold."""
    for single in ("seccomp", "apparmor", "no-new-privileges"):
        if len({each for each in value if each.startswith(single + "=")}) > 1:
            raise ValueError("has more than one '%s'" % single)
    return sorted(set(value))


def _userns_mode(value: Any) -> str:
    text = str(value)
    match = re.match(r"^(?:host|auto(?::size=([0-9]{1,10}))?|remap:[a-zA-Z0-9_][a-zA-Z0-9_.@$-]{0,63})\Z", text)
    if not match:
        raise ValueError("is no mode of a user namespace")
    if match.group(1) is None:
        return text
    size = int(match.group(1))
    if not 1 <= size <= values.LAST_ID:
        raise ValueError("has a size that is not between 1 and %d" % values.LAST_ID)
    return "auto" if size == 65536 else "auto:size=%d" % size


def _sysctls(value: Any) -> Dict[str, str]:
    for key, item in value.items():
        if not _SYSCTL.match(str(key)) or ".." in str(key):
            raise ValueError("has '%s', which is not a sysctl of a container's own namespaces" % key)
        if not re.match(r"^[0-9a-zA-Z_. \t-]{1,1000}\Z", str(item)):
            raise ValueError("has a value for '%s' with other characters than letters, digits and blanks" % key)
    return {str(key): str(item) for key, item in value.items()}


def _ulimit(value: Any) -> Dict[str, Any]:
    """C(NAME:SOFT[:HARD]), as Docker writes it, as the OCI runtime-spec has it."""
    match = re.match(r"^([a-z]+)[:=](-1|unlimited|[0-9]{1,20})(?::(-1|unlimited|[0-9]{1,20}))?\Z", str(value))
    if not match or match.group(1) not in _RLIMITS:
        raise ValueError("is no limit of a process")
    soft, hard = (_INFINITY if text in ("-1", "unlimited") else int(text)
                  for text in (match.group(2), match.group(3) or match.group(2)))
    if max(soft, hard) > _INFINITY:
        raise ValueError("has a number beyond 64 bits")
    if soft > hard:
        raise ValueError("has a soft limit above its hard limit")
    return {"type": "RLIMIT_" + match.group(1).upper(), "soft": soft, "hard": hard}


def _ulimits(value: Any) -> List[Dict[str, Any]]:
    if len({each["type"] for each in value}) < len(value):
        raise ValueError("has one limit twice")
    return list(value)


def _device(value: Any) -> str:
    """C(HOST[:CONTAINER[:ACCESS]]), as Docker writes it, all three parts filled in."""
    parts = str(value).split(":")
    if len(parts) == 2 and _is_access(parts[1]):
        parts = [parts[0], parts[0], parts[1]]
    if len(parts) > 3 or not parts[0]:
        raise ValueError("is not HOST[:CONTAINER[:ACCESS]]")
    host = values.absolute_path(parts[0])
    inside = values.absolute_path(parts[1]) if len(parts) > 1 else host
    access = parts[2] if len(parts) > 2 else "rwm"
    if not _is_access(access) or "/" in (host, inside):
        raise ValueError("is not HOST[:CONTAINER[:ACCESS]] with an access of the letters r, w and m")
    return "%s:%s:%s" % (host, inside, _access(access))


def _is_access(text: str) -> bool:
    return bool(re.match(r"^[rwm]{1,3}\Z", text)) and len(set(text)) == len(text)


def _access(text: str) -> str:
    return "".join(letter for letter in "rwm" if letter in text)


def _device_rule(value: Any) -> str:
    """C(TYPE MAJOR:MINOR ACCESS), as Docker and the kernel write it."""
    match = re.match(r"^([abc])\s+(\*|[0-9]{1,7}):(\*|[0-9]{1,7})\s+([rwm]{1,3})\Z", str(value).strip())
    if not match or not _is_access(match.group(4)):
        raise ValueError("is no rule of the devices cgroup")
    if match.group(2) != "*" and int(match.group(2)) > 4095 or match.group(3) != "*" and int(match.group(3)) >= 1 << 20:
        raise ValueError("has a major number above 4095 or a minor number above %d" % ((1 << 20) - 1))
    kind, major, minor, access = match.groups()
    return "%s %s:%s %s" % (kind, *(part if part == "*" else str(int(part)) for part in (major, minor)), _access(access))


def group(value: Any) -> str:
    """A group by name or number."""
    text = str(value)
    if not re.match(r"^[^:\s/\0]{1,255}\Z", text):
        raise ValueError("is no group")
    return text


def _ipc_mode(value: Any) -> str:
    if not re.match(r"^(private|shareable|none|host|%s)\Z" % _OTHER, str(value)):
        raise ValueError("is no IPC mode")
    return str(value)


def _pid_mode(value: Any) -> str:
    if not re.match(r"^(private|host|%s)\Z" % _OTHER, str(value)):
        raise ValueError("is no PID mode")
    return str(value)


SECURITY = (
    Option("privileged", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("capabilities", type="list", elements="str", parse=_capability, form="a name such as NET_ADMIN, or ALL",
           aliases=("cap_add",), compare=UNORDERED, disruption=RECREATE, read_from=_STATUS),
    Option("cap_drop", type="list", elements="str", parse=_capability, form="a name such as NET_RAW, or ALL",
           compare=UNORDERED, disruption=RECREATE, read_from=_STATUS),
    Option("security_opts", aliases=("security_opt",), type="list", elements="str", parse=_security_opt, whole=_security_opts,
           form="seccomp=unconfined, seccomp=/PATH, apparmor=PROFILE, label=disable, label=type:TYPE, no-new-privileges, "
                "systempaths=unconfined, mask=/PATH or unmask=/PATH",
           compare=UNORDERED, disruption=RECREATE, read_from=_CONFINED),
    Option("no_new_privileges", type="bool", disruption=RECREATE, read_from=_STATUS),
    Option("userns_mode", aliases=("userns",), default="host", parse=_userns_mode, form="host, auto, auto:size=N or remap:USER",
           disruption=RECREATE, read_from=RECORD),
    Option("uidmap", type="list", elements="str", parse=values.id_row, whole=values.id_map, form=values.ID_MAP_FORM,
           disruption=RECREATE, read_from=RECORD + ", and /proc/PID/uid_map"),
    Option("gidmap", type="list", elements="str", parse=values.id_row, whole=values.id_map, form=values.ID_MAP_FORM,
           disruption=RECREATE, read_from=RECORD + ", and /proc/PID/gid_map"),
    Option("ipc_mode", aliases=("ipc",), default="private", parse=_ipc_mode, form="private, shareable, none, host or container:NAME",
           disruption=RECREATE, read_from=RECORD),
    Option("pid_mode", aliases=("pid",), default="private", parse=_pid_mode, form="private, host or container:NAME",
           disruption=RECREATE, read_from=RECORD),
    Option("uts", default="private", choices=("private", "host"), disruption=RECREATE, read_from=RECORD),
    Option("cgroupns_mode", aliases=("cgroupns",), default="private", choices=("private", "host"), disruption=RECREATE, read_from=RECORD),
    Option("devices", aliases=("device",), type="list", elements="str", parse=_device, form="HOST[:CONTAINER[:ACCESS]] such as /dev/fuse",
           compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("device_cgroup_rules", aliases=("device_cgroup_rule",), type="list", elements="str", parse=_device_rule,
           form="TYPE MAJOR:MINOR ACCESS such as 'c 189:* rwm'", compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("sysctls", aliases=("sysctl",), type="dict", parse=_sysctls, form="sysctls such as net.core.somaxconn", disruption=RECREATE,
           read_from=RECORD + ", and /proc/sys inside"),
    Option("ulimits", aliases=("ulimit",), type="list", elements="str", parse=_ulimit, whole=_ulimits,
           form="NAME:SOFT[:HARD] such as nofile:1024:4096", compare=UNORDERED, disruption=RECREATE,
           read_from=RECORD + ", and higher ones from /proc/PID/limits"),
    Option("oom_score_adj", type="int", parse=values.integer(-1000, 1000), form="a number from -1000 to 1000",
           disruption=RECREATE, read_from=RECORD + ", and /proc/PID/oom_score_adj"),
)
