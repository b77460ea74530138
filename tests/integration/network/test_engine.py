# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network layer inside a test host: failures in the middle, many at once, several networks, names, reboots."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import (
    commands,
    mounts,
    nftables,
    rtnetlink,
)
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel.netlink import Socket
from ansible_collections.coracle.containers.plugins.module_utils.engine.network import (
    attach,
    bandwidth,
    declare,
    firewall,
    hosts as names,
    leases,
    links,
    namespace,
    networks,
    observe,
    publish,
    records,
    spec,
    sysctls,
)

from hosts import Host

HERE = Instance()
FORWARD = sysctls.FORWARD["0.0.0.0/0"]
GOLDEN = sorted((Path(__file__).parents[2] / "unit" / "network" / "golden").glob("*.nft"))


def traces() -> List[str]:
    """Links, rules, routes, mounts and files, as far as networks make them."""
    with Socket() as sock:
        found = ["link %s" % link.name for link in rtnetlink.links(sock)]
        found += ["route %s" % route.destination for route in rtnetlink.routes(sock)]
    found += [line for line in nftables._run("list ruleset", False, False)[1].splitlines() if line]
    found += ["mount " + mount.target for mount in mounts.table() if "/netns" in mount.target]
    for root in (HERE.state("networks"), HERE.state("netns"), HERE.run("netns"), HERE.run("network")):
        for folder, _folders, files in os.walk(root):
            found += [os.path.join(folder, name) for name in files] + [folder]
    return sorted(found + ["forward %s" % sysctls.read(FORWARD)])


def up(name: str, *wanted: Dict[str, Any], ports: Any = (), **more: Any) -> spec.NetnsSpec:
    """Settle and apply."""
    settled = spec.settle(HERE, name, "bridge", wanted, published=ports, **more)
    attach.apply(HERE, settled)
    seen = observe.observe(HERE, settled)
    assert list(seen.attachments) == [spec.attachment_view(each) for each in settled.attachments]
    assert not seen.drift and not seen.surplus and seen.published == settled.published
    return settled


STEPS: List[Any] = [
    (records, "save"), (firewall, "apply"), (networks, "ensure"), (namespace, "create"), (attach, "_connect"),
    (attach, "_routes"), (attach, "_sysctls"), (sysctls, "need"), (leases, "write"), (names, "refresh"),
    (nftables, "run"), (bandwidth, "apply"), (links, "connect"), (publish, "check"),
]


@pytest.mark.parametrize("others", [False, True], ids=["first", "second"])
@pytest.mark.parametrize(("module", "step"), STEPS, ids=lambda value: getattr(value, "__name__", value))
def test_a_failure_halfway_leaves_nothing(shared_host: Host, module: Any, step: str, others: bool) -> None:
    def inside() -> None:
        if others:
            up("other", ports=["9000:90"])
        before = traces()
        real = getattr(module, step)
        failed = []

        def fail(*arguments: Any, **options: Any) -> Any:
            if not failed:
                failed.append(real(*arguments, **options))
                raise EngineError("as the test wants it")
            return real(*arguments, **options)
        limits = {"ingress_rate": 8000000, "egress_rate": 8000000}
        settled = spec.settle(HERE, "web", "bridge", [{"aliases": ["w"], "bandwidth": limits}], published=["8080:80"],
                              sysctls={"net.core.somaxconn": "99"}, names=names.to_record(names.Names("web")))
        setattr(module, step, fail)
        try:
            with pytest.raises(EngineError, match="as the test wants it"):
                attach.apply(HERE, settled)
        finally:
            setattr(module, step, real)
        assert failed
        assert traces() == before
        attach.apply(HERE, settled)
        assert not observe.observe(HERE, settled).drift
        for name in ("web", "other"):
            attach.remove(HERE, name)
    shared_host.call(inside)


@pytest.mark.parametrize(("module", "step"), [
    (networks, "save"), (networks, "ensure"), (attach, "members_follow"), (firewall, "apply"), (nftables, "run"), (names, "refresh"),
], ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("there", [False, True], ids=["new", "changed"])
def test_a_declaration_that_fails_halfway_takes_itself_back(shared_host: Host, module: Any, step: str, there: bool) -> None:
    def inside() -> None:
        request: Dict[str, Any] = {"name": "shop", "subnet": "10.30.0.0/24", "persistent": True, "mtu": 1500}
        if there:
            declare.declare(HERE, request)
            up("web", {"network": {"name": "shop"}}, ports=["8080:80"])
        before = traces()
        real = getattr(module, step)
        failed = []

        def fail(*arguments: Any, **options: Any) -> Any:
            if not failed:
                failed.append(real(*arguments, **options))
                raise EngineError("as the test wants it")
            return real(*arguments, **options)
        setattr(module, step, fail)
        try:
            with pytest.raises(EngineError, match="as the test wants it"):
                declare.declare(HERE, {**request, "mtu": 1400, "icc": False, "ipv6": True, "isolate": "strict"})
            assert failed
        except pytest.fail.Exception:
            assert step == "members_follow" and not there, "this step is not on the way"
            declare.withdraw(HERE, "shop")
        finally:
            setattr(module, step, real)
        assert traces() == before
        if there:
            seen = observe.observe(HERE, spec.settle(HERE, "web", "bridge", [{"network": {"name": "shop"}}], published=["8080:80"]))
            assert not seen.drift and seen.attachments[0]["network"]["mtu"] == 1500
        attach.remove(HERE, "web")
        declare.withdraw(HERE, "shop", force=True)
    shared_host.call(inside)


def test_a_failed_change_of_a_namespace_that_is_there_takes_itself_back(shared_host: Host) -> None:
    def inside() -> None:
        was = up("web", ports=["8080:80"])
        before = traces()
        real = nftables.run

        def fail(text: str, check: bool = False) -> None:
            setattr(nftables, "run", real)  # noqa: B010
            raise EngineError("as the test wants it")
        settled = spec.settle(HERE, "web", "bridge", [{"aliases": ["w"]}], published=["8081:80"])
        setattr(nftables, "run", fail)  # noqa: B010
        with pytest.raises(EngineError):
            attach.apply(HERE, settled)
        assert traces() == before
        seen = observe.observe(HERE, was)
        assert seen.published == was.published and not seen.drift
        attach.remove(HERE, "web")
    shared_host.call(inside)


def test_several_networks_attach_and_detach_live(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        inner = {"network": {"name": "inner", "subnet": "10.70.0.0/24", "internal": True}, "aliases": ["x"]}
        two = up("web", inner, {"network": {"name": "front"}, "interface": "lan1", "ipv4_address": "10.209.0.9"},
                 ports=["8080:80"])
        inode = os.stat(namespace.path(HERE, "web")).st_ino
        assert two.defaults == (("0.0.0.0/0", "10.209.0.1", 0),) and two.attachments[1].network.bridge == "co-front"
        assert firewall.gather(HERE).published[0][1] == "10.209.0.9"
        three = up("web", inner, {"network": {"name": "front"}, "interface": "lan1"}, {"network": {"name": "third"}},
                   ports=["8080:80"])
        assert three.attachments[1].address == "10.209.0.9", "who has an address keeps it"
        assert [each.network.subnet for each in three.attachments] == ["10.70.0.0/24", "10.209.0.0/24", "10.209.1.0/24"]
        one = spec.settle(HERE, "web", "bridge", [inner])
        assert {network for network, _interface in observe.observe(HERE, one).surplus} == {"front", "third"}
        up("web", inner)
        assert os.stat(namespace.path(HERE, "web")).st_ino == inode
        assert [each.name for each in networks.every(HERE)] == ["inner"]
        attach.remove(HERE, "web")
        assert traces() == before
    shared_host.call(inside)


def test_members_learn_the_names_of_those_who_come_and_go(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        first = names.Names("web", (("host.internal", names.HOST_GATEWAY),))
        up("web", names=names.to_record(first))
        paths = names.write(HERE, "web", first)
        inode = os.stat(paths["hosts"]).st_ino

        def lines() -> List[str]:
            assert os.stat(paths["hosts"]).st_ino == inode
            return Path(paths["hosts"]).read_text(encoding="utf-8").splitlines()
        assert "10.209.0.2\tweb" in lines() and "10.209.0.1\thost.internal" in lines()
        assert Path(paths["hostname"]).read_text(encoding="utf-8") == "web\n"
        up("db", {"aliases": ["database", "sql"]})
        assert "10.209.0.3\tdb database sql" in lines()
        up("db", {"aliases": ["sql"], "ipv4_address": "10.209.0.50"})
        assert "10.209.0.50\tdb sql" in lines()
        aside = names.Names("aside")
        attach.apply(HERE, spec.settle(HERE, "aside", "container:web", names=names.to_record(aside)))
        shared = names.write(HERE, "aside", aside, "container:web")["hosts"]
        up("db", {"aliases": ["other"], "ipv4_address": "10.209.0.50"})
        assert "10.209.0.50\tdb other" in Path(shared).read_text(encoding="utf-8").splitlines()
        assert "10.209.0.2\taside" in Path(shared).read_text(encoding="utf-8").splitlines()
        names.remove(HERE, "aside")
        attach.remove(HERE, "aside")
        up("far", {"network": {"name": "far"}})
        assert not any("far" in line for line in lines())
        attach.remove(HERE, "db")
        attach.remove(HERE, "far")
        assert not any("db" in line for line in lines())
        names.remove(HERE, "web")
        attach.remove(HERE, "web")
        assert traces() == before
    shared_host.call(inside)


def test_many_at_once_get_different_addresses(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        children = []
        for number in range(24):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    settled = spec.settle(HERE, "m%d" % number, published=["%d:80" % (9000 + number)])
                    settled = attach.apply(HERE, settled)
                    for _while_others_change in range(3):
                        seen = observe.observe(HERE, settled)
                        assert not seen.drift and seen.published == settled.published
                        assert list(seen.attachments) == [spec.attachment_view(each) for each in settled.attachments]
                    code = 0
                finally:
                    os._exit(code)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 24
        held = leases.of(HERE, "coracle")
        assert len({lease.address for lease in held}) == len(held) == 24
        assert len(firewall.gather(HERE).published) == 24 and firewall.observe(HERE).intact
        for number in range(24):
            attach.remove(HERE, "m%d" % number)
        assert traces() == before
    shared_host.call(inside)


def test_two_instances_share_nothing(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        other = Instance("/var/lib/second", "/run/second")
        up("web", ports=["8080:80"])
        only_first = traces()
        settled = spec.settle(other, "web", published=["8081:80"])
        attach.apply(other, settled)
        assert settled.attachments[0].network.subnet == "10.209.1.0/24"
        assert not observe.observe(other, settled).drift
        attach.remove(other, "web")
        assert traces() == only_first, "the second one gives back nothing that the first one needs"
        attach.apply(other, settled)
        attach.remove(HERE, "web")
        assert sysctls.read(FORWARD) == "1" and not observe.observe(other, settled).drift
        attach.remove(other, "web")
        sysctls.write(FORWARD, "0")
        assert traces() == before
    shared_host.call(inside)


def test_loopback_leaves_by_a_bridge_only_while_a_port_needs_it(shared_host: Host) -> None:
    def inside() -> None:
        name = sysctls.route_localnet("coracle0")
        for ports, value in ((["192.0.2.1:80:80"], "0"), (["80:80"], "1"), ([], "0"), (["127.0.0.1:80:80"], "1")):
            up("web", ports=ports)
            assert sysctls.read(name) == value, ports
        attach.remove(HERE, "web")
    shared_host.call(inside)


def test_a_network_that_a_crash_left_without_members_goes_with_the_next_change(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        with Socket() as sock:
            lost = networks.settle(HERE, {"name": "lost"}, sock)
            networks.save(HERE, lost)
            networks.ensure(HERE, sock, lost)
        up("web")
        assert [each.name for each in networks.every(HERE)] == ["coracle"]
        attach.remove(HERE, "web")
        assert traces() == before
    shared_host.call(inside)


def test_in_a_container_every_user_may_use_all_ports(shared_host: Host) -> None:
    def inside() -> None:
        settled = up("web", names=names.to_record(names.Names("web")), sysctls={"net.ipv4.ping_group_range": "1 0"})
        assert dict(observe.observe(HERE, settled).sysctls) == {
            "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "1 0"}
        attach.remove(HERE, "web")
    shared_host.call(inside)


def test_nobody_becomes_a_router_by_saying_so(shared_host: Host) -> None:
    def inside() -> None:
        settled = up("web", {"interface": "lan.0"})
        assert sysctls.read("net.ipv6.conf.coracle0.accept_ra") == "0"
        handle = namespace.open_named(HERE, "web")
        assert handle is not None
        assert namespace.inside(handle, lambda: sysctls.read("net.ipv6.conf.lan/0.accept_ra")) == "0"
        os.close(handle)
        with Socket() as sock:
            assert not [each for each in rtnetlink.addresses(sock) if each.cidr.startswith("fe80")], settled
        attach.remove(HERE, "web")
    shared_host.call(inside)


def test_without_nftables_a_namespace_without_a_network_comes_and_goes(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        setattr(nftables, "_loaded", None)  # noqa: B010
        real, commands._PATH = commands._PATH, "/nonexistent"
        attach.apply(HERE, spec.settle(HERE, "web", "none"))
        attach.remove(HERE, "web")
        commands._PATH = real
        assert traces() == before
    shared_host.call(inside)


def test_a_sysctl_that_somebody_else_has_set_since_stays(shared_host: Host) -> None:
    def inside() -> None:
        sysctls.write(FORWARD, "0")
        up("web")
        sysctls.write(FORWARD, "0")
        attach.remove(HERE, "web")
        assert sysctls.read(FORWARD) == "0"
        sysctls.write(FORWARD, "1")
        up("web")
        attach.remove(HERE, "web")
        assert sysctls.read(FORWARD) == "1", "it was on before we came"
        sysctls.write(FORWARD, "0")
    shared_host.call(inside)


def test_after_a_reboot_everything_comes_back_with_its_address(shared_host: Host) -> None:
    def inside() -> None:
        before = traces()
        up("first")
        settled = up("web", ports=["8080:80"])
        with Socket() as sock:
            for name in ("first", "web"):
                mounts.unmount_if_mounted(namespace.path(HERE, name))
            sock.request(rtnetlink.delete_link("coracle0"))
        nftables.run("delete table inet coracle")
        os.system("rm -rf /run/coracle/netns /run/coracle/network; ip link | grep -o 'co[0-9a-f]*@' | tr -d @ "
                  "| xargs -rn1 ip link del")
        sysctls.write(FORWARD, "0")
        again = up("web", ports=["8080:80"])
        assert again == settled
        for name in ("first", "web"):
            attach.remove(HERE, name)
        assert traces() == before
    shared_host.call(inside)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_nft_takes_each_golden_file_and_the_listing_is_stable(shared_host: Host, path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    def tracked() -> bool:
        """Whether the kernel tracks connections between the ports of a bridge."""
        try:
            nftables.run("table bridge trial { chain trial { type filter hook forward priority 0; ct state new accept; }; }", check=True)
        except nftables.NftablesError as error:
            assert "Protocol error" in str(error)
            return False
        return True

    def inside() -> None:
        nftables.run(text, check=True)
        assert nftables.list_table("inet", "coracle") is None
        nftables.run(text)
        name = text.split()[2]
        listing = nftables.list_table("inet", name)
        if "{" not in text:
            assert listing is None
            return
        assert listing is not None and "jump published" in listing
        generation = nftables.generation()
        nftables.run(text)
        as_json = json.loads(nftables.list_table("inet", name, as_json=True) or "")["nftables"]
        assert {"published", "forward"} <= {item["chain"]["name"] for item in as_json if "chain" in item}
        assert nftables.list_table("inet", name) == listing and nftables.generation() > generation
        setattr(nftables, "_loaded", None)  # noqa: B010
        assert nftables.list_table("inet", name) == listing, "the program says what the library says"
        nftables.run(text)
        with pytest.raises(nftables.NftablesError, match="syntax error"):
            nftables.run("table inet x { chain y { nonsense; }; }")
        assert nftables.list_table("inet", "coracle-none") is None
        nftables.run("delete table inet %s" % name)
    if "ct " in text.partition("table bridge coracle {")[2] and not shared_host.call(tracked):
        pytest.skip("this kernel tracks no connections in bridges (nf_conntrack_bridge); the virtual machine's does")
    shared_host.call(inside)


def test_without_library_and_program_the_error_names_them(shared_host: Host) -> None:
    def inside() -> None:
        setattr(nftables, "_loaded", None)  # noqa: B010
        setattr(commands, "_PATH", "/nonexistent")  # noqa: B010
        with pytest.raises(EngineError, match=r"libnftables\.so\.1"):
            spec.settle(HERE, "web")
        assert spec.settle(HERE, "web", "none").mode == "none"
    shared_host.call(inside)


def test_a_container_and_a_namespace_do_not_share_a_name(shared_host: Host) -> None:
    def inside() -> None:
        attach.apply(HERE, spec.settle(HERE, "web", "none", names=names.to_record(names.Names("web"))))
    shared_host.call(inside)
    for state in ("present", "absent"):
        result = shared_host.module("container_netns", name="web", state=state, fail=True)
        assert "belongs to the container 'web'" in result["msg"]
    shared_host.call(attach.remove, HERE, "web")


def test_a_foreign_link_of_the_bridges_name_is_not_touched(shared_host: Host) -> None:
    def inside() -> None:
        with Socket() as sock:
            sock.request(rtnetlink.new_bridge("coracle0", "02:00:00:00:00:01"))
            with pytest.raises(Conflict, match="coracle0"):
                spec.settle(HERE, "web")
            sock.request(rtnetlink.delete_link("coracle0"))
    shared_host.call(inside)


def test_the_pool_steps_aside_for_routes_of_the_host(shared_host: Host) -> None:
    def inside() -> None:
        with Socket() as sock:
            sock.request(rtnetlink.new_bridge("lan", "02:00:00:00:00:01"), rtnetlink.set_link("lan", up=True))
            lan = rtnetlink.link(sock, "lan")
            assert lan is not None
            sock.request(rtnetlink.add_address(lan.ifindex, "10.209.0.7/23"))
            assert spec.settle(HERE, "web").attachments[0].network.subnet == "10.209.2.0/24"
            sock.request(rtnetlink.delete_link("lan"))
    shared_host.call(inside)


@pytest.mark.measures
def test_attaching_is_quick_in_a_warm_process(shared_host: Host) -> None:
    """Processor time, with a loose bound, for a busy machine; the benchmark has the figure."""
    def inside() -> List[float]:
        taken = []
        for number in range(12):
            started = time.process_time()
            attach.apply(HERE, spec.settle(HERE, "q%d" % number, published=["%d:80" % (7000 + number)]))
            taken.append(time.process_time() - started)
        for number in range(12):
            attach.remove(HERE, "q%d" % number)
        return sorted(taken)
    taken: Callable[..., Any] = shared_host.call
    assert taken(inside)[6] < 0.1
