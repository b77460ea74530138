# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of the host that a container gets for itself (runtime-spec config-linux.md, Network Devices)."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from ..errors import EngineError
from ..kernel import namespaces, rtnetlink
from ..kernel.netlink import NetlinkError, Socket


class _Moved(NamedTuple):
    """An interface as it was here, and its number there."""

    link: rtnetlink.Link
    lasting: Tuple[str, ...]
    ifindex: int


def move(pid: int, wanted: Mapping[str, Dict[str, Any]], undo: List[Callable[[], Any]]) -> Callable[[], None]:
    """Move interfaces into the network namespace of a process, with their lasting addresses, and switch them on.

    Args:
        wanted: By their names here; C(name) is the one that they get there, where C(%d) becomes a free number.
        undo: Gets the way back: a virtual interface would end with its namespace.

    Returns: To be called when there will be no way back.

    Raises:
        EngineError: There is none of this name, or it cannot be moved; names the member.
    """
    there = namespaces.open_of(pid, "network")
    moved: List[_Moved] = []

    def forget() -> None:
        os.close(there)

    def back() -> None:
        try:
            with namespaces.inside(there, namespaces.NEWNET, Socket) as theirs, Socket() as ours:
                for each in moved:
                    _return(each, theirs, ours)
        finally:
            forget()
    undo.append(back)
    with Socket() as ours, namespaces.inside(there, namespaces.NEWNET, Socket) as theirs:
        for name, device in wanted.items():
            try:
                _move(name, device.get("name") or name, there, ours, theirs, moved)
            except NetlinkError as error:
                raise EngineError("linux.netDevices.%s: %s" % (name, error), None, errno=error.errno,
                                  path="linux.netDevices.%s" % name) from error
    return forget


def _move(name: str, new_name: str, there: int, ours: Socket, theirs: Socket, moved: List[_Moved]) -> None:
    link = rtnetlink.link(ours, name)
    if link is None:
        raise EngineError("linux.netDevices.%s: there is no such network interface" % name, "See 'ip link'",
                          path="linux.netDevices.%s" % name)
    lasting = rtnetlink.lasting_addresses(ours, link.ifindex)
    before = {each.name for each in rtnetlink.links(theirs)}
    if "%d" not in new_name and new_name in before:
        raise EngineError("linux.netDevices.%s: the container has a network interface %s already" % (name, new_name),
                          "Choose another name, such as eth%d", path="linux.netDevices.%s" % name)
    ours.request(rtnetlink.move_link(link.ifindex, there, new_name))
    found = [each for each in rtnetlink.links(theirs) if each.name not in before][0]
    moved.append(_Moved(link, tuple(lasting), found.ifindex))
    theirs.request(*[rtnetlink.add_address(found.ifindex, each) for each in lasting],
                   rtnetlink.set_link(found.name, up=True))


def _return(each: _Moved, theirs: Socket, ours: Socket) -> None:
    """Bring an interface home as it was."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs.request(rtnetlink.move_link(each.ifindex, home, each.link.name))
    finally:
        os.close(home)
    found = rtnetlink.link(ours, each.link.name)
    if found is not None:
        ours.request(*[rtnetlink.add_address(found.ifindex, cidr) for cidr in each.lasting],
                     rtnetlink.set_link(found.name, up=each.link.up))
