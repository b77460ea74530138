# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The netlink codec against the kernel, with pyroute2 as a second opinion."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import namespaces, netlink, rtnetlink as rt
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.netlink import NetlinkError, Socket
from hypothesis import given, strategies

from hosts import Host


def other_namespace() -> Any:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    namespaces.unshare(namespaces.NEWNET)
    handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    namespaces.setns(home, namespaces.NEWNET)
    return handle


def test_pyroute2_sees_what_we_made(shared_host: Host) -> None:
    def inside() -> None:
        from pyroute2 import IPRoute
        handle = other_namespace()
        with Socket() as sock:
            sock.request(rt.new_bridge("br7", "02:00:00:00:00:07"),
                         rt.set_link("br7", mtu=1400, alias="a bridge", no_link_local=True), rt.set_link("br7", up=True))
            bridge = rt.link(sock, "br7")
            assert bridge is not None
            sock.request(rt.add_address(bridge.ifindex, "10.7.0.1/24"), rt.add_address(bridge.ifindex, "fd07::1/64"),
                         rt.new_veth("port7", "eth0", handle, "02:00:00:00:07:02", 1400, bridge.ifindex),
                         rt.set_port("port7", True), rt.set_link("port7", up=True, alias="a port"),
                         rt.add_route("10.8.0.0/16", "10.7.0.9", metric=7), rt.add_route("fd08::/32", "fd07::9"),
                         rt.set_neighbour(bridge.ifindex, "10.7.0.5", "02:00:00:00:07:05"))
            with IPRoute() as second:
                link = second.link("get", ifname="br7", ext_mask=0)[0]
                assert link.get_attr("IFLA_MTU") == 1400 and link.get_attr("IFLA_IFALIAS") == "a bridge"
                assert link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge" and link["flags"] & 1
                port = second.link("get", ifname="port7")[0]
                assert port.get_attr("IFLA_MASTER") == bridge.ifindex
                assert port.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA").get_attr("IFLA_BRPORT_MODE") == 1
                assert {"%s/%d" % (each.get_attr("IFA_ADDRESS"), each["prefixlen"])
                        for each in second.get_addr(index=bridge.ifindex)} == {"10.7.0.1/24", "fd07::1/64"}
                route = next(each for each in second.get_routes() if each.get_attr("RTA_DST") == "10.8.0.0")
                assert (route.get_attr("RTA_GATEWAY"), route.get_attr("RTA_PRIORITY")) == ("10.7.0.9", 7)
                near = next(iter(second.get_neighbours(dst="10.7.0.5")))
                assert (near.get_attr("NDA_LLADDR"), near["state"]) == ("02:00:00:00:07:05", 0x80)
                # What pyroute2 changes, we see.
                second.link("set", ifname="br7", state="down")
                second.addr("del", index=bridge.ifindex, address="10.7.0.1", prefixlen=24)
                every = {each.get_attr("IFLA_IFNAME"): each["index"] for each in second.get_links()}
            seen = rt.link(sock, "br7")
            assert seen is not None and not seen.up and seen.kind == "bridge" and seen.alias == "a bridge"
            assert "10.7.0.1/24" not in [each.cidr for each in rt.addresses(sock)]
            assert {each.name: each.ifindex for each in rt.links(sock)} == every
            port7 = rt.link(sock, "port7")
            assert port7 is not None and port7.hairpin and port7.master == seen.ifindex and port7.mtu == 1400
            inner = namespaces.inside(handle, namespaces.NEWNET, Socket)
            eth0 = rt.link(inner, "eth0")
            assert eth0 is not None and eth0.mac == "02:00:00:00:07:02" and eth0.kind == "veth" and not eth0.up
            inner.request(rt.rename_link(eth0.ifindex, "lan0"))
            assert rt.link(inner, "lan0") is not None and rt.link(inner, "eth0") is None
            inner.close()
            sock.request(rt.delete_neighbour(bridge.ifindex, "10.7.0.5"), rt.delete_link("port7"),
                         rt.delete_link("br7"), rt.delete_link("br7"))
            assert rt.link(sock, "br7") is None
    shared_host.call(inside)


def test_repeating_is_as_good_and_refusals_are_in_plain_words(shared_host: Host) -> None:
    def inside() -> None:
        with Socket() as sock:
            sock.request(rt.new_bridge("br8", "02:00:00:00:00:08"), rt.set_link("br8", up=True))
            link = rt.link(sock, "br8")
            assert link is not None
            for _twice in range(2):
                sock.request(rt.add_address(link.ifindex, "10.8.0.1/24"))
                sock.request(rt.add_route("10.80.0.0/16", "10.8.0.2"))
            for _twice in range(2):
                sock.request(rt.delete_route("10.80.0.0/16", "10.8.0.2"))
            assert "10.80.0.0/16" not in [route.destination for route in rt.routes(sock)]
            for message, words in (
                    (rt.new_bridge("br8", "02:00:00:00:00:08"), "cannot create bridge 'br8': File exists"),
                    (rt.add_route("10.80.0.0/16", "172.16.0.1"), "invalid gateway"),
                    (rt.set_link("nope", up=True), "cannot change link 'nope': No such device"),
                    (rt.new_bridge("a" * 16, "02:00:00:00:00:09"), "create bridge"),
                    (rt.set_link("br8", mtu=20), "mtu")):
                with pytest.raises(NetlinkError, match=words):
                    sock.request(message)
            with pytest.raises(NetlinkError, match="nope"):  # all are worked on, the first refusal is told
                sock.request(rt.set_link("nope", up=True), rt.set_link("br8", mtu=1300), rt.set_link("nada", up=True))
            changed = rt.link(sock, "br8")
            assert changed is not None and changed.mtu == 1300
            for _twice in range(2):
                sock.request(rt.delete_address(link.ifindex, "10.8.0.1/24"))
            sock.request(rt.delete_link("br8"))
    shared_host.call(inside)


def test_long_dumps_are_whole(shared_host: Host) -> None:
    def inside() -> None:
        with Socket() as sock:
            sock.request(rt.new_bridge("br9", "02:00:00:00:00:09"), rt.set_link("br9", up=True))
            link = rt.link(sock, "br9")
            assert link is not None
            wanted = {"10.%d.%d.1/24" % (9 + n // 250, n % 250) for n in range(700)}
            sock.request(*[rt.add_address(link.ifindex, cidr) for cidr in wanted])
            assert {each.cidr for each in rt.addresses(sock) if each.ifindex == link.ifindex and ":" not in each.cidr} \
                == wanted
            assert len([route for route in rt.routes(sock) if route.ifindex == link.ifindex
                        and ":" not in route.destination]) == 700
            sock.request(rt.delete_link("br9"))
    shared_host.call(inside)


@given(strategies.binary(max_size=200))
def test_any_bytes_are_parsed_to_something(data: bytes) -> None:
    for kind, value in netlink.each_attribute(data):
        assert 0 <= kind <= 0x3FFF and len(value) <= len(data)


@given(strategies.lists(strategies.tuples(strategies.integers(0, 0x3FFF), strategies.binary(max_size=30)), max_size=8))
def test_attributes_come_back(pairs: Any) -> None:
    packed = b"".join(netlink.attribute(kind, value) for kind, value in pairs)
    assert list(netlink.each_attribute(packed)) == pairs
