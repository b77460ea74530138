# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces of a container, new and joined, and the kernel parameters that belong to them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, kill
from bundles import Bundle, Lab, config, fields, refused


def test_namespaces_are_its_own(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        seen = {}
        own = {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}

        def look(pid: int) -> None:
            seen.update({name: os.readlink("/proc/%d/ns/%s" % (pid, name)) for name in own})
        done = bundle.run(config(args=["sleep", "0.3"]), while_running=look)
        assert done.status == 0
        for name in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
            assert seen[name] != own[name], name
        assert seen["user"] == own["user"]
    lab(scenario)


def test_joined_namespaces_by_path(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        found = {}

        def second(pid: int) -> None:
            script = "for each in net ipc uts pid; do readlink /proc/self/ns/$each; done; echo $$"
            document = config(args=["sh", "-c", script])
            document.pop("hostname")
            document["linux"]["namespaces"] = [{"type": "mount"}] + [
                {"type": kind, "path": "/proc/%d/ns/%s" % (pid, name)}
                for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid"))]
            before = {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}
            found["done"] = bundle.run(document, name="second", cgroup=bundle.cgroup + "-second")
            assert before == {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")}
            found["names"] = [os.readlink("/proc/%d/ns/%s" % (pid, name)) for name in ("net", "ipc", "uts", "pid")]
            kill.kill(bundle.state(), 9)
        bundle.run(config(args=["sleep", "100"]), while_running=second)
        return found
    found = lab(scenario)
    lines = found["done"].output.splitlines()
    assert lines[:4] == found["names"] and int(lines[4]) > 1


def test_a_namespace_path_of_the_wrong_kind_is_refused(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        for path, word in (("/proc/self/ns/uts", "is a uts namespace"), ("/etc/passwd", "no namespace"), ("/no", "No such file")):
            document = config()
            document["linux"]["namespaces"][1] = {"type": "network", "path": path}
            with pytest.raises(EngineError, match=word) as caught:
                bundle.run(document)
            assert "linux.namespaces[1].path" in str(caught.value)
    lab(scenario)


def test_a_user_namespace(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "user"})
        document["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        document["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
        document["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]

    def scenario(bundle: Bundle) -> Any:
        for folder in (bundle.folder, *bundle.folder.parents):
            if folder.stat().st_mode & 0o001 == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
        seen = {}

        def look(pid: int) -> None:
            seen["status"] = Path("/proc/%d/status" % pid).read_text(encoding="ascii")
        done = bundle.shell("id -u; id -g; cat /proc/self/uid_map; cat /dev/zero | head -c 3 | wc -c; ls -ln /dev/pts | wc -l;"
                            "sleep 0.3", changes, while_running=look)
        return done, seen["status"]
    done, status = lab(scenario)
    assert done.status == 0, done
    assert done.output.split()[:6] == ["0", "0", "0", "100000", "65536", "3"]
    assert fields(status)["Uid"].split()[0] == "100000" and fields(status)["Gid"].split()[0] == "200000"


def test_a_user_namespace_joined_by_path_owns_what_is_new(lab: Lab) -> None:
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def first(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "user"})
        document["linux"].update(uidMappings=maps, gidMappings=maps)

    def scenario(bundle: Bundle) -> Any:
        found = {}

        def second(pid: int) -> None:
            for kinds in (("pid", "mount", "uts"), ("mount", "uts")):
                document = config(args=["sh", "-c", "readlink /proc/self/ns/user; readlink /proc/self/ns/net; hostname; echo $$"])
                document["linux"]["namespaces"] = [{"type": kind} for kind in kinds] + [
                    {"type": kind, "path": "/proc/%d/ns/%s" % (pid, name)}
                    for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc"))
                    + (() if "pid" in kinds else (("pid", "pid"),))]
                found[len(kinds)] = bundle.run(document, name="second", cgroup=bundle.cgroup + "-second")
            found["names"] = [os.readlink("/proc/%d/ns/%s" % (pid, name)) for name in ("user", "net")]
            kill.kill(bundle.state(), 9)
        document = config(args=["sleep", "100"])
        first(document)
        bundle.run(document, while_running=second)
        return found
    found = lab(scenario)
    assert found[3].output.splitlines() == [*found["names"], "inside", "1"], found
    assert found[2].output.splitlines()[:3] == [*found["names"], "inside"] and int(found[2].output.split()[-1]) > 1


def test_a_container_in_the_hosts_pid_namespace(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"] = [{"type": "mount"}]
        document.pop("hostname")
        document["mounts"] = [each for each in document["mounts"] if each["type"] != "mqueue"]
    done = lab(lambda bundle: bundle.shell("echo $$; readlink /proc/self/ns/pid", changes))
    assert done.status == 0 and int(done.output.split()[0]) > 1


def test_without_a_mount_namespace_the_root_alone_changes(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"] = {"namespaces": [{"type": "pid"}]}
        document["mounts"] = []
        document.pop("hostname")
    done = lab(lambda bundle: bundle.shell("ls /; pwd", changes))
    assert done.status == 0 and "home" in done.output and "usr" not in done.output


def test_without_a_mount_namespace_its_mounts_go_with_it(lab: Lab) -> None:
    def changed(document: Dict[str, Any]) -> None:
        document["linux"] = {"namespaces": [{"type": "pid"}]}
        document["root"]["readonly"] = True
        document["mounts"] = [each for each in document["mounts"] if each["type"] != "mqueue"]
        del document["hostname"]

    def scenario(bundle: Bundle) -> Any:
        before = mounts.table()

        def look(_pid: int) -> None:
            added = [each.target for each in mounts.table()[len(before):]]
            assert str(bundle.root) in added and str(bundle.root / "proc") in added
        done = bundle.shell("readlink /proc/self; ls /dev/null; touch /new || echo no", changed, while_running=look)
        assert mounts.table() == before
        document = config()
        changed(document)
        document["mounts"].append({"destination": "/x", "type": "nonsense", "source": "x"})
        refused(lambda: bundle.run(document))
        document["mounts"].pop()
        document["linux"]["namespaces"].append({"type": "user"})
        assert "mounts: needs a mount namespace" in refused(lambda: bundle.run(document))
        return done
    done = lab(scenario)
    number, *rest = done.output.split()
    assert int(number) < 10 and rest == ["/dev/null", "no"], done


def test_clocks_of_its_own(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "time"})
        document["linux"]["timeOffsets"] = {"boottime": {"secs": 10000000, "nanosecs": 0}}
    done = lab(lambda bundle: bundle.shell("cat /proc/uptime", changes))
    assert float(done.output.split()[0]) > 10000000


def test_sysctls_of_its_own_namespaces_only(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "net/ipv4/conf/lo.x/../lo/rp_filter": "1"}
    assert "linux.sysctl" in lab(lambda bundle: refused(lambda: bundle.shell("true", changes)))

    def good(document: Dict[str, Any]) -> None:
        document["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "77", "fs.mqueue.msg_max": "11"}

    def scenario(bundle: Bundle) -> Any:
        def read() -> Any:
            return [Path("/proc/sys/" + name).read_text(encoding="ascii") for name in ("kernel/shmmni", "fs/mqueue/msg_max")]
        before = read()
        done = bundle.shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max", good)
        assert read() == before
        return done
    assert lab(scenario).output.split() == ["1", "77", "11"]


def test_interfaces_of_the_host_move_in_and_back_when_it_fails(lab: Lab) -> None:
    """linux.netDevices: with their lasting addresses, renamed, switched on; a failure brings them home as they were."""
    def addresses(name: str) -> List[str]:
        rows = json.loads(subprocess.run(["ip", "-j", "address", "show", name], check=True, stdout=subprocess.PIPE).stdout)
        return sorted("%s/%d" % (each["local"], each["prefixlen"]) for each in rows[0]["addr_info"] if each["scope"] == "global")

    def scenario(bundle: Bundle) -> Any:
        for words in ("link add out0 type veth peer name peer0", "address add 192.0.2.7/24 dev out0",
                      "address add 2001:db8::7/64 dev out0 nodad",
                      "link set out0 up",
                      "link add out1 type veth peer name peer1", "link add out2 type veth peer name peer2"):
            subprocess.run(["ip", *words.split()], check=True)
        script = "ip -o address show dev new0; ip -o link show; cat /sys/class/net/*/flags"
        document = config(args=["sh", "-c", script])
        document["linux"]["netDevices"] = {"out0": {"name": "new0"}, "out1": {"name": "lan%d"}, "missing": {}}
        messages = [refused(lambda: bundle.run(document))]
        assert addresses("out0") == ["192.0.2.7/24", "2001:db8::7/64"]
        del document["linux"]["netDevices"]["missing"]
        document["linux"]["netDevices"]["out2"] = {"name": "lo"}
        messages.append(refused(lambda: bundle.run(document)))
        del document["linux"]["netDevices"]["out2"]
        document["process"]["args"][0] = "missing"
        messages.append(refused(lambda: bundle.run(document)))
        assert addresses("out0") == ["192.0.2.7/24", "2001:db8::7/64"]
        document["process"]["args"][0] = "sh"
        done = bundle.run(document)
        left = [name for name in ("out0", "out1") if os.path.exists("/sys/class/net/" + name)]
        subprocess.run(["ip", "link", "delete", "out2"], check=True)
        return messages, done, left
    messages, done, left = lab(scenario)
    assert "linux.netDevices.missing" in messages[0] and "linux.netDevices.out2" in messages[1] and "process.args" in messages[2]
    assert "192.0.2.7/24" in done.output and "2001:db8::7/64" in done.output and "lan0" in done.output, done
    assert left == []  # virtual ones end with the container's namespace


def test_without_mappings_every_user_stands_for_itself(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        document = config(args=["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; readlink /proc/self/ns/user"])
        document["linux"]["namespaces"].append({"type": "user"})
        made = create.create(str(bundle.folder), bundle.state("other"), document)
        delete.delete(bundle.state("other"), force=True)
        os.waitpid(made.pid, 0)
        os.close(made.pidfd)
        return bundle.run(document), made.warnings, os.readlink("/proc/self/ns/user")
    done, warnings, own = lab(scenario)
    lines = done.output.splitlines()
    assert [line.split() for line in lines[:2]] == [["0", "0", "4294967295"]] * 2 and lines[2] != own
    assert len(warnings) == 1 and "linux.uidMappings" in warnings[0]


def test_devices_of_its_own_in_a_user_namespace(lab: Lab) -> None:
    """Where mknod(2) is refused, a node that the host lacks comes from outside, owned as inside was asked."""
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            document["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        document["linux"]["devices"] = [
            {"path": "/dev/made/zero/", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 10, "gid": 11},
            {"path": "/dev/pipe", "type": "p", "fileMode": 0o600}]

    def scenario(bundle: Bundle) -> Any:
        for folder in (bundle.folder, *bundle.folder.parents):
            if folder.stat().st_mode & 0o001 == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
        def bad(document: Dict[str, Any]) -> None:
            changes(document)
            document["linux"]["devices"][0]["uid"] = 70000
        script = "stat -c '%F %t:%T %a %u %g' /dev/made/zero /dev/pipe; head -c 2 /dev/made/zero | wc -c"
        return bundle.shell(script, changes), refused(lambda: bundle.shell("true", bad))
    done, message = lab(scenario)
    assert done.output.splitlines() == ["character special file 1:5 640 10 11", "fifo 0:0 600 0 0", "2"], done
    assert "linux.uidMappings" in message and "70000" in message
