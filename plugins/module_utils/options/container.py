# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_run): each declared here and nowhere else."""

from __future__ import annotations

import re
import signal
from typing import Any, Dict, List

from .. import values
from ..option import NOT_COMPARED, UNORDERED, Option
from ..engine.container import secrets
from ..engine.plan import LIVE, RECREATE
from .limits import LIMITS
from .ports import PUBLISHED_FORM, host_name, ipv4_address, mac_address, published_port

_RLIMITS = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
            "rtprio", "rttime", "sigpending", "stack")
_INFINITY = (1 << 64) - 1
_SYSCTL = re.compile(r"^(net\.|fs\.mqueue\.|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$)"
                     r"[a-zA-Z0-9_.*/-]*$")
_PATH_FORM = "an absolute path such as /srv/app"


def _environment(value: Any) -> Dict[str, str]:
    for key, item in values.mapping_of_text(value).items():
        if not key or "=" in key or "\0" in key or "\0" in item:
            raise ValueError("has a variable whose name is empty or has '=' or NUL in it")
    return values.mapping_of_text(value)


def _restart_policy(value: Any) -> str:
    text = {"False": "no", "false": "no"}.get(str(value), str(value))  # YAML 1.1 reads a bare 'no' as false
    if not re.match(r"^(no|always|unless-stopped|on-failure(:[0-9]{1,6})?)$", text):
        raise ValueError("is no restart policy")
    return text


def _signal(value: Any) -> int:
    text = str(value).upper()
    text = text[3:] if text.startswith("SIG") else text
    if text.isdigit() and 1 <= int(text) <= 64:
        return int(text)
    match = re.match(r"^RTM(IN|AX)([+-]\d{1,2})?$", text)
    if match:
        return int(signal.SIGRTMIN if match.group(1) == "IN" else signal.SIGRTMAX) + int(match.group(2) or 0)
    try:
        return int(getattr(signal, "SIG" + text))
    except (AttributeError, TypeError, ValueError):
        raise ValueError("is no signal")


def _hostname(value: Any) -> str:
    text = str(value)
    if not re.match(r"^(?=.{1,63}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$",
                    text):
        raise ValueError("is no host name (RFC 1123; at most 63 characters)")
    return text


def _user(value: Any) -> str:
    text = str(value)
    if not re.match(r"^[^:\s/\0]+(:[^:\s/\0]+)?$", text):
        raise ValueError("is no user")
    return text


def _capability(value: Any) -> str:
    text = str(value).upper()
    text = text if text.startswith("CAP_") or text == "ALL" else "CAP_" + text
    if not re.match(r"^(ALL|CAP_[A-Z_]{3,24})$", text):
        raise ValueError("is no capability")
    return text


def _security_opt(value: Any) -> str:
    if str(value) not in ("seccomp=unconfined", "seccomp:unconfined"):
        raise ValueError("is no security option")
    return "seccomp=unconfined"


def _network_mode(value: Any) -> str:
    text = str(value)
    if not re.match(r"^(bridge|none|host|container:[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62})$",
                    text):
        raise ValueError("is no network mode")
    return text


def _sysctls(value: Any) -> Dict[str, str]:
    for key, item in value.items():
        if not _SYSCTL.match(str(key)) or ".." in str(key):
            raise ValueError("has '%s', which is not a sysctl of a container's own namespaces" % key)
        if not re.match(r"^[0-9a-zA-Z_. \t-]*$", str(item)):
            raise ValueError("has a value for '%s' with other characters than letters, digits and blanks" % key)
    return {str(key): str(item) for key, item in value.items()}


def _ulimit(value: Any) -> Dict[str, Any]:
    """C(NAME:SOFT[:HARD]), as Docker writes it, as the OCI runtime-spec has it."""
    match = re.match(r"^([a-z]+)[:=](-1|unlimited|\d+)(?::(-1|unlimited|\d+))?$", str(value))
    if not match or match.group(1) not in _RLIMITS:
        raise ValueError("is no limit of a process")
    soft, hard = (_INFINITY if text in ("-1", "unlimited") else int(text)
                  for text in (match.group(2), match.group(3) or match.group(2)))
    if soft > hard:
        raise ValueError("has a soft limit above its hard limit")
    return {"type": "RLIMIT_" + match.group(1).upper(), "soft": soft, "hard": hard}


def _volume(value: Any) -> Dict[str, Any]:
    """C(SOURCE:TARGET[:OPTIONS]), as Docker writes it, as the row that C(mounts) takes."""
    parts = str(value).split(":")
    if len(parts) not in (2, 3) or not parts[0] or not parts[1]:
        raise ValueError("is not SOURCE:TARGET or SOURCE:TARGET:OPTIONS")
    options = parts[2].split(",") if len(parts) == 3 else []
    row = {"type": "bind" if parts[0].startswith("/") else "volume", "source": parts[0], "target": parts[1],
           "read_only": "ro" in options, "options": None, "size": None, "mode": None,
           "propagation": None}  # type: Dict[str, Any]
    for option in options:
        if option in ("rprivate", "private", "rshared", "shared", "rslave", "slave"):
            row["propagation"] = option
        elif option not in ("ro", "rw", "z", "Z"):
            row["options"] = (row["options"] or []) + [_mount_option(option)]
    return check_mount(row)


def _mount_option(value: Any) -> str:
    if str(value) not in ("nosuid", "nodev", "noexec", "suid", "dev", "exec", "noatime", "relatime", "sync"):
        raise ValueError("is no mount option that is allowed here")
    return str(value)


def _octal(value: Any) -> int:
    text = str(value)
    if not re.match(r"^0?[0-7]{3,4}$", text):
        raise ValueError("is no mode")
    return int(text, 8)


def check_mount(row: Dict[str, Any]) -> Dict[str, Any]:
    """A mount whose parts fit together.

    Raises:
        ValueError: They do not.
    """
    kind, source = row["type"], row.get("source")
    row["target"] = values.absolute_path(row["target"])
    if row["target"] == "/":
        raise ValueError("has the container's root as its target")
    if kind == "tmpfs":
        if source:
            raise ValueError("has a source, which a tmpfs has not")
    elif not source:
        raise ValueError("has no source")
    elif kind == "bind":
        row["source"] = values.absolute_path(source)
    else:
        row["source"] = values.name(source)
    if kind != "tmpfs" and (row.get("size") is not None or row.get("mode") is not None):
        raise ValueError("has a size or mode, which only a tmpfs has")
    return row


def _mounts(value: Any) -> List[Dict[str, Any]]:
    return [check_mount(row) for row in value]


def _etc_hosts(value: Any) -> Dict[str, str]:
    import socket  # pylint: disable=import-outside-toplevel
    for name, address in value.items():
        _hostname(name)
        if address == "host-gateway":
            continue
        try:
            socket.inet_pton(socket.AF_INET6 if ":" in str(address) else socket.AF_INET, str(address))
        except OSError:
            raise ValueError("has '%s', which is no address" % address)
    return {str(name): str(address) for name, address in value.items()}


def ip_address(value: Any) -> str:
    """An IPv4 or IPv6 address."""
    import ipaddress  # pylint: disable=import-outside-toplevel
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError("is no IP address")


def _arguments(value: Any) -> str:
    if "\0" in str(value):
        raise ValueError("has a NUL character")
    return str(value)


_MOUNT = (
    Option("type", choices=("bind", "tmpfs", "volume"), default="bind"),
    Option("source"),
    Option("target", required=True, parse=values.absolute_path, form=_PATH_FORM),
    Option("read_only", type="bool", default=False),
    Option("options", type="list", elements="str", parse=_mount_option,
           form="one of nosuid, nodev, noexec, suid, dev, exec, noatime, relatime, sync"),
    Option("propagation", choices=("private", "rprivate", "slave", "rslave", "shared", "rshared")),
    Option("size", parse=values.size, form="a size such as 64M"),
    Option("mode", parse=_octal, form="an octal mode such as '1777', in quotes"),
)
_NETWORK = (
    Option("name", required=True, parse=values.name, form="the name of a network"),
    Option("ipv4_address", parse=ipv4_address, form="an address such as 10.209.0.10"),
    Option("mac_address", parse=mac_address, form="an address such as 02:42:0a:d1:00:05"),
    Option("aliases", type="list", elements="str", parse=host_name, form="a host name"),
)


RECORD = "what was last applied (container.json)"
"""Where the present value of an option is read from which the kernel does not tell."""

_HOW = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED,
           form="a name of letters, digits, '_', '.' and '-' that begins with a letter or digit"),
    Option("state", default="started", choices=("started", "stopped", "paused", "restarted", "absent"),
           compare=NOT_COMPARED),
    Option("detach", type="bool", default=True, compare=NOT_COMPARED),
    Option("recreate", type="bool", default=False, compare=NOT_COMPARED),
    Option("keep_volumes", type="bool", default=True, compare=NOT_COMPARED),
)
_PROCESS = (
    Option("image", disruption=RECREATE, read_from="the record's image digest"),
    Option("command", type="list", elements="str", parse=_arguments, disruption=RECREATE, read_from=RECORD),
    Option("entrypoint", type="list", elements="str", parse=_arguments, disruption=RECREATE, read_from=RECORD),
    Option("env", type="dict", parse=_environment, form="a mapping of names to quoted strings",
           disruption=RECREATE, mask=secrets.mask, read_from=RECORD),
    Option("working_dir", parse=values.absolute_path, form=_PATH_FORM, disruption=RECREATE, read_from=RECORD),
    Option("user", parse=_user, form="NAME, UID, NAME:GROUP or UID:GID", disruption=RECREATE, read_from=RECORD),
    Option("groups", type="list", elements="str", disruption=RECREATE, read_from=RECORD),
    Option("hostname", parse=_hostname, form="a host name such as web-1", disruption=RECREATE, read_from=RECORD),
    Option("init", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("labels", type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings",
           disruption=LIVE, read_from=RECORD),
    Option("stop_signal", parse=_signal, form="a signal such as SIGTERM", disruption=LIVE, read_from=RECORD),
    Option("stop_timeout", type="str", default="10s", parse=values.duration, form="a duration such as 10s",
           disruption=LIVE, read_from=RECORD),
    Option("restart_policy", default="no", parse=_restart_policy, disruption=LIVE, read_from=RECORD,
           form="'no', on-failure, on-failure:N, always or unless-stopped"),
    Option("log_max_size", default="10M", parse=values.size, form="a size such as 10M, or -1 for no rotation",
           disruption=LIVE, read_from=RECORD),
    Option("log_max_files", type="int", default=3, parse=values.integer(1, 100), form="a number from 1 to 100",
           disruption=LIVE, read_from=RECORD),
)
_FILES = (
    Option("mounts", type="list", elements="dict", options=_MOUNT, parse=_mounts,
           form="for each mount a target, a source unless it is a tmpfs, and size and mode only for a tmpfs",
           disruption=RECREATE, read_from=RECORD),
    Option("volumes", type="list", elements="str", parse=_volume, compare=NOT_COMPARED,
           form="SOURCE:TARGET[:OPTIONS] with an absolute path or a volume's name as the source"),
    Option("read_only", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("shm_size", default="64M", parse=values.size, form="a size such as 64M", disruption=RECREATE,
           read_from=RECORD),
)
_SECURITY = (
    Option("capabilities", type="list", elements="str", parse=_capability, form="a name such as NET_ADMIN, or ALL",
           aliases=("cap_add",), compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("cap_drop", type="list", elements="str", parse=_capability, form="a name such as NET_RAW, or ALL",
           compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("security_opts", type="list", elements="str", parse=_security_opt, form="seccomp=unconfined",
           compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("no_new_privileges", type="bool", default=True, disruption=RECREATE, read_from=RECORD),
    Option("userns_mode", default="host", choices=("host", "auto"), disruption=RECREATE, read_from=RECORD),
    Option("sysctls", type="dict", parse=_sysctls, form="sysctls such as net.core.somaxconn", disruption=RECREATE,
           read_from=RECORD),
    Option("ulimits", type="list", elements="str", parse=_ulimit, form="NAME:SOFT[:HARD] such as nofile:1024:4096",
           compare=UNORDERED, disruption=RECREATE, read_from=RECORD),
    Option("oom_score_adj", type="int", parse=values.integer(-1000, 1000), form="a number from -1000 to 1000",
           disruption=RECREATE, read_from=RECORD),
)
_NET = (
    Option("network_mode", default="bridge", parse=_network_mode, disruption=RECREATE, read_from=RECORD,
           form="bridge, none, host, container:NAME or the name of a network"),
    Option("networks", type="list", elements="dict", options=_NETWORK, disruption=LIVE,
           read_from="netlink inside the namespace"),
    Option("published_ports", type="list", elements="str", parse=published_port, compare=UNORDERED,
           aliases=("ports",), form=PUBLISHED_FORM,
           disruption=LIVE, read_from="the nftables table"),
    Option("etc_hosts", type="dict", parse=_etc_hosts, form="a mapping of names to addresses",
           disruption=LIVE, read_from="the container's hosts file"),
    Option("dns_servers", type="list", elements="str", parse=ip_address, form="an address", disruption=LIVE,
           read_from="the container's resolv.conf"),
    Option("dns_search_domains", type="list", elements="str", parse=_hostname, form="a domain", disruption=LIVE,
           read_from="the container's resolv.conf"),
    Option("dns_opts", type="list", elements="str", disruption=LIVE, read_from="the container's resolv.conf"),
)

OPTIONS = _HOW + _PROCESS + LIMITS + _FILES + _SECURITY + _NET
"""The table."""
