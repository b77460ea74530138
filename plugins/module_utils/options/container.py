# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of C(container_run): each declared here and nowhere else."""

from __future__ import annotations

import re
from typing import Any, Dict, List

from .. import values
from ..option import NOT_COMPARED, UNORDERED, Option
from ..engine.container import mount_row, secrets
from ..engine.plan import LIVE, RECREATE
from .attachment import ATTACHMENT
from .health import HEALTH
from .hooks import HOOKS
from .limits import LIMITS
from .ports import PUBLISHED_FORM, host_name, published_port
from .policy import POLICY
from .registry import PULL, REGISTRY
from .secrets import SECRETS
from .security import RECORD, SECURITY, group

_FACILITIES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
               "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7")
_PATH_FORM = "an absolute path such as /srv/app"


def _restart_policy(value: Any) -> str:
    text = {"False": "no", "false": "no"}.get(str(value), str(value))  # YAML 1.1 reads a bare 'no' as false
    if not re.match(r"^(no|always|unless-stopped|on-failure(:[0-9]{1,6})?)$", text):
        raise ValueError("is no restart policy")
    return text


def _hostname(value: Any) -> str:
    text = str(value)
    if not re.match(r"^(?=.{1,63}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$",
                    text):
        raise ValueError("is no host name (RFC 1123; at most 63 characters)")
    return text


def _runtime(value: Any) -> str:
    text = str(value)
    if not re.match(r"^([a-zA-Z0-9][a-zA-Z0-9._-]*|/[^\0\n]*)$", text):
        raise ValueError("is no runtime")
    return text


def _cgroup_parent(value: Any) -> str:
    text = str(value)
    if text.startswith("/"):
        return values.absolute_path(text)
    if not re.match(r"^(-|[a-zA-Z0-9:_.@\\]+(-[a-zA-Z0-9:_.@\\]+)*)\.slice\Z", text):
        raise ValueError("is neither an absolute path nor the name of a slice")
    return text


def _network_mode(value: Any) -> str:
    text = str(value)
    if text.startswith("ns:"):
        return "ns:" + values.absolute_path(text[3:])
    if not re.match(r"^(bridge|none|host|container:[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62})$",
                    text):
        raise ValueError("is no network mode")
    return text


def _volume(value: Any) -> Dict[str, Any]:
    """C([SOURCE:]TARGET[:OPTIONS]), as Docker writes it, as the row that C(mounts) takes."""
    parts = str(value).split(":")
    nameless = len(parts) == 1 and parts[0].startswith("/")
    if nameless:
        parts.insert(0, "")
    if len(parts) not in (2, 3) or not parts[1] or not parts[0] and not nameless:
        raise ValueError("is not SOURCE:TARGET or SOURCE:TARGET:OPTIONS")
    options = parts[2].split(",") if len(parts) == 3 else []
    row = mount_row.complete("bind" if parts[0].startswith("/") else "volume", parts[0] or None, parts[1],
                             read_only="ro" in options, no_copy="nocopy" in options)
    for option in options:
        if option in ("rprivate", "private", "rshared", "shared", "rslave", "slave"):
            row["propagation"] = option
        elif option not in ("ro", "rw", "z", "Z", "copy", "nocopy"):
            row["options"] = (row["options"] or []) + [_mount_option(option)]
    return check_mount(row)


def _mount_option(value: Any) -> str:
    if str(value) not in ("nosuid", "nodev", "noexec", "suid", "dev", "exec", "noatime", "relatime", "sync"):
        raise ValueError("is no mount option that is allowed here")
    return str(value)


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
    elif kind == "volume":
        row["source"] = values.name(source) if source else None
    elif not source:
        raise ValueError("has no source")
    else:
        row["source"] = values.absolute_path(source)
    if row.get("no_copy") and kind != "volume":
        raise ValueError("has no_copy, which only a volume has")
    if row.get("create_host_path") and kind != "bind":
        raise ValueError("has create_host_path, which only a bind mount has")
    if kind != "tmpfs" and any(row.get(key) is not None for key in ("size", "mode", "uid", "gid")):
        raise ValueError("has a size, mode, uid or gid, which only a tmpfs has")
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


def _search(value: Any) -> str:
    return "." if value == "." else host_name(value)


def _resolver_option(value: Any) -> str:
    if not re.match(r"^[a-z0-9-]+(:[0-9]+)?$", str(value)):
        raise ValueError("is no option of resolv.conf")
    return str(value)


def ip_address(value: Any) -> str:
    """An IPv4 or IPv6 address."""
    import ipaddress  # pylint: disable=import-outside-toplevel
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError("is no IP address")


def _log_tag(value: Any) -> str:
    if not re.match(r"^[!-~]{1,128}\Z", str(value)):
        raise ValueError("is no tag")
    return str(value)


def _syslog_address(value: Any) -> str:
    import ipaddress  # pylint: disable=import-outside-toplevel
    text = str(value)
    if text.startswith("unix:///"):
        return "unix://" + values.absolute_path(text[len("unix://"):])
    match = re.match(r"^(udp|tcp)://(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})\Z", text)
    if not match or not 1 <= int(match.group(3)) <= 65535:
        raise ValueError("is no address of a syslog daemon")
    ipaddress.ip_address(match.group(2).strip("[]"))
    return text


def _comparisons(value: Any) -> Dict[str, str]:
    """How each option is compared, by its first name; C(*) stands for all that are not named."""
    rows = {name: row for row in OPTIONS if row.compare != NOT_COMPARED for name in (row.name, *row.aliases)}
    found = {}
    for name, how in value.items():
        if how not in ("strict", "ignore", "allow_more_present"):
            raise ValueError("has '%s' for '%s', which is no comparison" % (how, name))
        if name != "*" and name not in rows:
            raise ValueError("has '%s', which is no option that is compared" % name)
        if how == "allow_more_present" and (name == "*" or rows[name].type not in ("list", "dict")):
            raise ValueError("has 'allow_more_present' for '%s', which is neither a list nor a mapping" % name)
        found[name if name == "*" else rows[name].name] = str(how)
    return found


def _dependency(value: Any) -> str:
    name, colon, condition = str(value).strip().partition(":")
    if colon and condition not in ("started", "healthy"):
        raise ValueError("has a condition that is neither started nor healthy")
    return values.name(name) + (":healthy" if condition == "healthy" else "")


_MOUNT = (
    Option("type", choices=("bind", "tmpfs", "volume"), default="bind"),
    Option("source"),
    Option("target", required=True, parse=values.absolute_path, form=_PATH_FORM),
    Option("read_only", type="bool", default=False),
    Option("options", type="list", elements="str", parse=_mount_option,
           form="one of nosuid, nodev, noexec, suid, dev, exec, noatime, relatime, sync"),
    Option("propagation", choices=("private", "rprivate", "slave", "rslave", "shared", "rshared")),
    Option("size", parse=values.size, form="a size such as 64M"),
    Option("mode", parse=values.octal, form="an octal mode such as '1777', in quotes"),
    Option("uid", type="int", parse=values.integer(0, values.LAST_ID), form="a user id"),
    Option("gid", type="int", parse=values.integer(0, values.LAST_ID), form="a group id"),
    Option("no_copy", type="bool", default=False),
    Option("create_host_path", type="bool", default=False),
)
_LOG_OPTIONS = (
    Option("tag", parse=_log_tag, form="at most 128 visible characters"),
    Option("syslog_address", parse=_syslog_address, form="unix:///PATH, udp://ADDRESS:PORT or tcp://ADDRESS:PORT"),
    Option("facility", choices=_FACILITIES),
)
_HOW = (
    Option("name", required=True, parse=values.name, compare=NOT_COMPARED,
           form="a name of letters, digits, '_', '.' and '-' that begins with a letter or digit"),
    Option("state", default="started", compare=NOT_COMPARED,
           choices=("created", "started", "healthy", "stopped", "paused", "restarted", "killed", "absent")),
    Option("healthy_wait_timeout", default="300s", parse=values.duration, form="a duration such as 300s", compare=NOT_COMPARED),
    Option("update_order", choices=("auto", "stop_first", "start_first"), compare=NOT_COMPARED),
    Option("drain_timeout", default="10s", parse=values.duration, form="a duration such as 10s", compare=NOT_COMPARED),
    Option("comparisons", type="dict", parse=_comparisons, compare=NOT_COMPARED,
           form="for an option, or '*' for all others, one of strict, ignore and (for lists and mappings) allow_more_present"),
    Option("detach", type="bool", default=True, compare=NOT_COMPARED),
    Option("recreate", type="bool", default=False, compare=NOT_COMPARED),
    Option("force", type="bool", default=False, compare=NOT_COMPARED),
    Option("keep_volumes", type="bool", default=True, compare=NOT_COMPARED),
    *PULL,
    Option("registry", type="dict", options=REGISTRY, compare=NOT_COMPARED),
)
_PROCESS = (
    Option("image", disruption=RECREATE, read_from="the record's image digest"),
    Option("command", type="list", elements="str", parse=values.argument, disruption=RECREATE, read_from=RECORD),
    Option("entrypoint", type="list", elements="str", parse=values.argument, disruption=RECREATE, read_from=RECORD),
    Option("env", type="dict", parse=values.environment, form="a mapping of names to quoted strings",
           disruption=RECREATE, mask=secrets.mask, read_from=RECORD),
    Option("working_dir", aliases=("workdir",), parse=values.absolute_path, form=_PATH_FORM, disruption=RECREATE, read_from=RECORD),
    Option("user", parse=values.user, form="NAME, UID, NAME:GROUP or UID:GID", disruption=RECREATE, read_from=RECORD),
    Option("groups", aliases=("group_add",), type="list", elements="str", parse=group, form="a group by name or number",
           disruption=RECREATE, read_from=RECORD),
    Option("hostname", parse=_hostname, form="a host name such as web-1", disruption=RECREATE, read_from=RECORD),
    Option("runtime", parse=_runtime, form="a name such as crun, or an absolute path", disruption=RECREATE, read_from=RECORD),
    Option("init", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("labels", aliases=("label",), type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings",
           disruption=LIVE, read_from=RECORD),
    Option("annotations", aliases=("annotation",), type="dict", parse=values.mapping_of_text, form="a mapping of names to quoted strings",
           disruption=RECREATE, read_from=RECORD),
    Option("interactive", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("tty", type="bool", default=False, disruption=RECREATE, read_from=RECORD),
    Option("stop_signal", parse=values.signal, form="a signal such as SIGTERM", disruption=LIVE, read_from=RECORD),
    Option("stop_timeout", aliases=("stop_time",), type="str", default="10s", parse=values.duration, form="a duration such as 10s",
           disruption=LIVE, read_from=RECORD),
    Option("restart_policy", default="no", parse=_restart_policy, disruption=LIVE, read_from=RECORD,
           form="'no', on-failure, on-failure:N, always or unless-stopped"),
    Option("depends_on", type="list", elements="str", parse=_dependency, compare=UNORDERED, aliases=("requires",),
           form="NAME, or NAME:healthy, for each container that is to be started before", disruption=LIVE, read_from=RECORD),
    Option("sdnotify", default="conmon", choices=("conmon", "container", "healthy", "ignore"), disruption=RECREATE, read_from=RECORD),
    Option("activation", default="none", choices=("none", "socket"), disruption=LIVE, read_from=RECORD),
    Option("idle_timeout", default="0s", parse=values.duration, form="a duration such as 5m, or 0 for never", disruption=LIVE,
           read_from=RECORD),
    Option("log_driver", default="json-file", choices=("json-file", "k8s-file", "journald", "syslog", "none"), disruption=LIVE,
           read_from=RECORD),
    Option("log_options", aliases=("log_opt",), type="dict", options=_LOG_OPTIONS, disruption=LIVE, read_from=RECORD),
    Option("log_max_size", default="10M", parse=values.size, form="a size such as 10M, or -1 for no rotation",
           disruption=LIVE, read_from=RECORD),
    Option("log_max_files", type="int", default=3, parse=values.integer(1, 100), form="a number from 1 to 100",
           disruption=LIVE, read_from=RECORD),
)
_FILES = (
    Option("mounts", type="list", elements="dict", options=_MOUNT, parse=_mounts,
           form="for each mount a target, a source unless it is a tmpfs, and size, mode, uid and gid only for a tmpfs",
           disruption=RECREATE, read_from=RECORD),
    Option("volumes", aliases=("volume",), type="list", elements="str", parse=_volume, compare=NOT_COMPARED,
           form="SOURCE:TARGET[:OPTIONS] with an absolute path or a volume's name as the source, or TARGET alone"),
    Option("read_only", type="bool", default=False, disruption=RECREATE, read_from="/proc/PID/mountinfo"),
    Option("shm_size", default="64M", parse=values.size, form="a size such as 64M", disruption=RECREATE,
           read_from=RECORD + ", and /proc/PID/mountinfo"),
)
_NET = (
    Option("network_mode", aliases=("network", "net"), default="bridge", parse=_network_mode, disruption=RECREATE, read_from=RECORD,
           form="bridge, none, host, container:NAME, ns:PATH or the name of a network"),
    Option("networks", type="list", elements="dict", options=ATTACHMENT, disruption=LIVE,
           read_from="netlink inside the namespace"),
    Option("published_ports", aliases=("ports", "publish", "published"), type="list", elements="str", parse=published_port,
           compare=UNORDERED, form=PUBLISHED_FORM,
           disruption=LIVE, read_from="the nftables table"),
    Option("publish_mode", default="nat", choices=("nat", "proxy"), disruption=LIVE, read_from=RECORD),
    POLICY,
    Option("etc_hosts", aliases=("extra_hosts", "add_hosts"), type="dict", parse=_etc_hosts, form="a mapping of names to addresses",
           disruption=LIVE, read_from="the container's hosts file"),
    Option("dns_servers", type="list", elements="str", aliases=("dns",), parse=ip_address, form="an address", disruption=LIVE,
           read_from="the container's resolv.conf and its networks' zones"),
    Option("dns_search_domains", type="list", elements="str", aliases=("dns_search",), parse=_search, form="a domain, or a single '.'",
           disruption=LIVE,
           read_from="the container's resolv.conf"),
    Option("dns_opts", aliases=("dns_options", "dns_option"), type="list", elements="str", parse=_resolver_option,
           form="an option such as ndots:1", disruption=LIVE, read_from="the container's resolv.conf"),
)

_CGROUP = (
    Option("cgroup_manager", default="cgroupfs", choices=("cgroupfs", "systemd"), disruption=RECREATE, read_from=RECORD),
    Option("cgroup_parent", parse=_cgroup_parent, disruption=RECREATE, read_from=RECORD,
           form="a path such as /batch, or with systemd the name of a slice such as batch.slice"),
)

OPTIONS = _HOW + _PROCESS + HEALTH + HOOKS + LIMITS + _CGROUP + _FILES + (SECRETS,) + SECURITY + _NET
"""The table."""
