# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files by which a container knows names: /etc/hosts, /etc/hostname, /etc/resolv.conf.

They lie in C(containers/NAME/) of the run root and are mounted into the container,
so they are rewritten in place: a renamed file would not be seen through the mount.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ..instance import Instance
from ..store import files, glance
from . import leases, networks, records, resolvconf

HOST_GATEWAY = "host-gateway"
"""In extra_hosts, instead of an address: the host, as the container's network reaches it."""


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


class View(NamedTuple):
    """What containers with the same networks know of them.

    Attributes:
        gateway: Of the first network that has one.
        resolver: Where our resolver answers them, if it does.
        members: Their leases, and the lines of each in the hosts files of the others.
    """

    gateway: str
    resolver: str
    members: Tuple[Tuple[leases.Lease, str], ...]


def hosts_text(names: Names, own: Sequence[str], members: Iterable[str], gateway: str = "") -> str:
    """/etc/hosts (hosts(5)).

    Args:
        own: The container's own addresses.
        members: The lines of the others of its networks.
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
    return "\n".join(lines) + "\n" + "".join(members)


def lines_of(members: Sequence[leases.Lease], resolver: str = "") -> Tuple[str, ...]:
    """The lines of each member in the hosts files of the others.

    Args:
        resolver: Where our resolver answers, if it does. It is left what several are called: it tells all their addresses, each time
            another first.
    """
    called_by: Dict[str, Set[str]] = {}
    for lease in members:
        for name in lease.names or (lease.netns,):
            called_by.setdefault(name, set()).add(lease.netns)
    found = []
    for lease in members:
        single = " ".join(name for name in lease.names or (lease.netns,) if not resolver or len(called_by[name]) == 1)
        found.append("".join("%s\t%s\n" % (address, single) for address in lease.addresses) if single else "")
    return tuple(found)


def resolv_text(names: Names, host: str, on_loopback: bool = False, resolver: str = "") -> str:
    """/etc/resolv.conf (resolv.conf(5)).

    Args:
        host: The content of the host's.
        on_loopback: Whether the host's loopback is the container's too (no own network namespace).
        resolver: Where our resolver answers the container; it asks the container's servers or the host's by itself. A
            server on the container's own loopback is asked instead of it.
    """
    said = resolvconf.parse(host)
    servers = list(said.servers if names.dns is None else names.dns)
    if resolver and not (names.dns is not None and any(_loopback(server) for server in names.dns)):
        servers = [resolver]
    elif names.dns is None and not on_loopback:
        servers = [server for server in servers if not _loopback(server)]
    search = list(said.search if names.dns_search is None else names.dns_search)
    options = list(said.options if names.dns_options is None else names.dns_options)
    if servers == [resolver] and not any(option.startswith("ndots") for option in options):
        options.append("ndots:0")  # a name without a dot is a neighbour's first of all
    lines = ["search " + " ".join(search)] if search and search != ["."] else []
    lines += ["nameserver " + server for server in servers]
    lines += ["options " + " ".join(options)] if options else []
    return "".join(line + "\n" for line in lines)


def _loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def path(instance: Instance, name: str, file: str) -> str:
    """Where C(hosts), C(hostname) or C(resolv.conf) of a container lies."""
    return instance.run("containers", name, file)


def contents(instance: Instance, name: str, names: Names, mode: str = "bridge") -> Dict[str, str]:
    """The three files of a container as they ought to be now; nothing is written."""
    record = records.load(instance, name)
    if mode.startswith("container:"):  # it shares the other's addresses, and so its view of the names
        record = records.load(instance, mode.partition(":")[2])
    joined = _networks_of(record)
    view = glance.shared(("names", joined), lambda: _view(instance, joined))
    hosts = _seen_by(names, record, view)
    if mode == "host":
        hosts = resolvconf.read("/etc/hosts") + "".join("%s\t%s\n" % (address, extra) for extra, address in names.extra_hosts
                                                        if address != HOST_GATEWAY)
    return {"hosts": hosts, "hostname": names.hostname + "\n",
            "resolv.conf": resolv_text(names, resolvconf.host(), mode == "host", view.resolver)}


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
    touched, views = set(of_networks), {}  # type: Set[str], Dict[Tuple[str, ...], View]
    for record in records.every(instance):
        if record.names is None:
            continue
        holder = records.load(instance, record.mode.partition(":")[2]) if record.mode.startswith("container:") else record
        joined = _networks_of(holder)
        if holder is None or not touched.intersection(joined):
            continue
        where = path(instance, record.name, "hosts")
        if os.path.exists(where):
            if joined not in views:
                views[joined] = _view(instance, joined)
            rewrite(where, _seen_by(from_record(record.names), holder, views[joined]))


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


def _view(instance: Instance, of_networks: Sequence[str]) -> View:
    """What the members of these networks know of them."""
    found = [networks.load(instance, each) for each in of_networks]
    resolver = next((each.gateways[0] for each in found if each and each.bridged and each.gateways), "")
    members = [lease for each in of_networks for lease in leases.of(instance, each)]
    return View(next((each.gateway for each in found if each and each.gateway), ""), resolver,
                tuple(zip(members, lines_of(members, resolver))))


def _networks_of(record: Optional[records.Record]) -> Tuple[str, ...]:
    return tuple(network for network, _interface in record.attachments) if record else ()


def _seen_by(names: Names, holder: Optional[records.Record], view: View) -> str:
    """The hosts file of a container by what it knows.

    Args:
        holder: The namespace that it is in, its own or another's.
    """
    own = [address for lease, _lines in view.members if holder and lease.netns == holder.name for address in lease.addresses]
    return hosts_text(names, own, [lines for lease, lines in view.members if not holder or lease.netns != holder.name], view.gateway)
