# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files by which a container knows names: /etc/hosts, /etc/hostname, /etc/resolv.conf.

They lie in C(containers/NAME/) of the run root and are mounted into the container,
so they are rewritten in place: a renamed file would not be seen through the mount.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..instance import Instance
from ..store import files
from . import leases, networks, records

HOST_GATEWAY = "host-gateway"
"""In extra_hosts, instead of an address: the host, as the container's network reaches it."""
_STUB = "127.0.0.53"
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"


class Names(NamedTuple):
    """What a container's name files are made from, beside its networks.

    Attributes:
        hostname: Its own.
        extra_hosts: Name and address of each further line.
        dns, dns_search, dns_options: Of resolv.conf(5); C(None) takes the host's.
    """

    hostname: str
    extra_hosts: Tuple[Tuple[str, str], ...] = ()
    dns: Optional[Tuple[str, ...]] = None
    dns_search: Optional[Tuple[str, ...]] = None
    dns_options: Optional[Tuple[str, ...]] = None


def hosts_text(names: Names, own: Sequence[str], members: Iterable[leases.Lease], gateway: str = "") -> str:
    """/etc/hosts (hosts(5)).

    Args:
        own: The container's own addresses.
        members: The leases of the others of its networks.
        gateway: What C(host-gateway) stands for.
    """
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback",
             "fe00::\tip6-localnet", "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters"]
    short = names.hostname.split(".", 1)[0]
    called = names.hostname if short == names.hostname else "%s %s" % (names.hostname, short)
    lines += ["%s\t%s" % (address, called) for address in own or ("127.0.1.1",)]
    for name, address in names.extra_hosts:
        address = gateway if address == HOST_GATEWAY else address
        if address:
            lines.append("%s\t%s" % (address, name))
    lines += ["%s\t%s" % (lease.address, " ".join(lease.names or (lease.netns,))) for lease in members]
    return "\n".join(lines) + "\n"


def resolv_text(names: Names, host: str, on_loopback: bool = False) -> str:
    """/etc/resolv.conf (resolv.conf(5)).

    Args:
        host: The content of the host's.
        on_loopback: Whether the host's loopback is the container's too (no own network namespace).
    """
    servers: List[str] = []
    search: List[str] = []
    options: List[str] = []
    for line in host.splitlines():
        fields = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(fields) < 2:
            continue
        if fields[0] == "nameserver":
            servers.append(fields[1])
        elif fields[0] in ("search", "domain"):
            search = fields[1:]
        elif fields[0] == "options":
            options += fields[1:]
    if not on_loopback:
        servers = [server for server in servers if not server.startswith("127.") and server != "::1"]
    servers = list(names.dns) if names.dns is not None else servers
    search = list(names.dns_search) if names.dns_search is not None else search
    options = list(names.dns_options) if names.dns_options is not None else options
    lines = ["search " + " ".join(search)] if search and search != ["."] else []
    lines += ["nameserver " + server for server in servers]
    lines += ["options " + " ".join(options)] if options else []
    return "".join(line + "\n" for line in lines)


def host_resolv() -> str:
    """The host's resolv.conf; where that names systemd-resolved's stub, the file with the servers behind it."""
    text = _read("/etc/resolv.conf")
    if _STUB in text:
        return _read(_BEHIND_STUB) or text
    return text


def path(instance: Instance, name: str, file: str) -> str:
    """Where C(hosts), C(hostname) or C(resolv.conf) of a container lies."""
    return instance.run("containers", name, file)


def contents(instance: Instance, name: str, names: Names, mode: str = "bridge") -> Dict[str, str]:
    """The three files of a container as they ought to be now; nothing is written."""
    record = records.load(instance, name)
    if mode.startswith("container:"):  # it shares the other's addresses, and so its view of the names
        record = records.load(instance, mode.partition(":")[2])
    own, members, gateway = _membership(instance, record)
    hosts = hosts_text(names, own, members, gateway)
    if mode == "host":
        hosts = _read("/etc/hosts") + "".join("%s\t%s\n" % (address, extra) for extra, address in names.extra_hosts
                                              if address != HOST_GATEWAY)
    return {"hosts": hosts, "hostname": names.hostname + "\n",
            "resolv.conf": resolv_text(names, host_resolv(), mode == "host")}


def write(instance: Instance, name: str, names: Names, mode: str = "bridge") -> Dict[str, str]:
    """Write the three files of a container; return their paths by C(hosts), C(hostname), C(resolv.conf)."""
    files.make_folder(instance.run_root)
    files.make_folder(instance.run("containers"))
    files.make_folder(instance.run("containers", name))
    paths = {}
    for file, text in contents(instance, name, names, mode).items():
        paths[file] = path(instance, name, file)
        rewrite(paths[file], text)
    return paths


def refresh(instance: Instance, of_networks: Iterable[str]) -> None:
    """Rewrite the hosts file of each member of these networks that has one."""
    touched = set(of_networks)
    for record in records.every(instance):
        if record.names is None:
            continue
        shared = records.load(instance, record.mode.partition(":")[2]) if record.mode.startswith("container:") else record
        if shared is None or not touched & {network for network, _interface in shared.attachments}:
            continue
        where = path(instance, record.name, "hosts")
        if os.path.exists(where):
            own, members, gateway = _membership(instance, shared)
            rewrite(where, hosts_text(from_record(record.names), own, members, gateway))


def remove(instance: Instance, name: str) -> None:
    """Remove the three files of a container."""
    for file in ("hosts", "hostname", "resolv.conf"):
        files.remove(path(instance, name, file))


def rewrite(where: str, text: str) -> None:
    """Replace a file's content and keep its inode; a reader never finds it empty."""
    content = text.encode("utf-8", "surrogateescape")
    handle = os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(handle, 0o644)  # whatever the umask: every user of the container reads it
        if os.pread(handle, len(content) + 1, 0) == content:
            return
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)


def to_record(names: Names) -> Dict[str, Any]:
    """Names as JSON takes them."""
    return names._asdict()


def from_record(value: Mapping[str, Any]) -> Names:
    """The reverse of C(to_record)."""
    def texts(key: str) -> Optional[Tuple[str, ...]]:
        return None if value.get(key) is None else tuple(value[key])
    return Names(value["hostname"], tuple((name, address) for name, address in value.get("extra_hosts") or ()),
                 texts("dns"), texts("dns_search"), texts("dns_options"))


def _membership(instance: Instance, record: Optional[records.Record]) -> Tuple[List[str], List[leases.Lease], str]:
    """Own addresses, the others' leases, and the first network's gateway."""
    own: List[str] = []
    members: List[leases.Lease] = []
    gateway = ""
    for network, _interface in record.attachments if record else ():
        found = networks.load(instance, network)
        gateway = gateway or (found.gateway if found else "")
        for lease in leases.of(instance, network):
            if record is not None and lease.netns == record.name:
                own.append(lease.address)
            else:
                members.append(lease)
    return own, members, gateway


def _read(where: str) -> str:
    try:
        with open(where, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""
