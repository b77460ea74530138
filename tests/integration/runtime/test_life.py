# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of the runtime on the real kernel: what a process finds, and what is left when it is gone."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import struct
import termios
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.cgroup import group, hierarchy
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import Conflict, EngineError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import capabilities, mounts
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import (
    create,
    delete,
    exec as exec_verb,
    kill,
    start,
    state,
)
from bundles import DEFAULT_CAPABILITIES, Bundle, children, config, fields
from hosts import Host

Lab = Callable[[Callable[[Bundle], Any]], Any]


@pytest.fixture
def lab(shared_host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Lab:
    """Call a scenario with a bundle inside a test host, and look for what it leaves there."""
    path = "%s/%s" % (shared_host.cgroup_root, request.node.name.replace("[", "-").rstrip("]"))
    bundle = Bundle(tmp_path / "bundle", path)

    def guarded(scenario: Callable[[Bundle], Any]) -> Any:
        before = (len(mounts.table()), len(os.listdir("/proc/self/fd")))
        result = scenario(bundle)
        assert os.listdir(bundle.states) == [], "state left"
        assert (len(mounts.table()), len(os.listdir("/proc/self/fd"))) == before, "mounts or descriptors left"
        assert children(os.getpid()) == [], "processes left"
        for root in hierarchy.discover().all_roots():
            assert not os.path.exists(hierarchy.folder(root, path)), "cgroup left"
        return result
    return lambda scenario: shared_host.call(guarded, scenario)


def refused(attempt: Callable[[], Any]) -> str:
    """The error that an attempt ends with."""
    with pytest.raises(EngineError) as caught:
        attempt()
    return str(caught.value)


def test_a_program_runs_and_its_exit_status_comes_back(lab: Lab) -> None:
    done = lab(lambda bundle: bundle.shell("echo out; echo err >&2; cat; exit 7", given=b"given"))
    assert done == (7, "out\ngiven", "err\n")


def test_without_waiting_it_runs_at_once(lab: Lab) -> None:
    assert lab(lambda bundle: bundle.shell("echo here; exit 3", wait=False)) == (3, "here\n", "")


def test_what_the_process_is(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o27}
        document["process"]["noNewPrivileges"] = True
        document["process"]["oomScoreAdj"] = 321
        document["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}]
        document["process"]["cwd"] = "/tmp/made/by/cwd"
    done = lab(lambda bundle: bundle.shell(
        "cat /proc/self/status; echo limit: $(ulimit -n) $(ulimit -Hn); echo cwd: $(pwd);"
        "echo score: $(cat /proc/self/oom_score_adj); echo fds:; ls /proc/$$/fd; :", changes))
    said = fields(done.output)
    assert done.status == 0, done.errors
    assert said["Uid"] == "\t".join(["1000"] * 4) and said["Gid"] == "\t".join(["1001"] * 4)
    assert said["Groups"].split() == ["5", "7"] and said["Umask"] == "0027"
    assert said["NoNewPrivs"] == "1" and said["SigIgn"] == said["SigBlk"] == "0" * 16
    assert said["CapInh"] == said["CapAmb"] == said["CapEff"] == said["CapPrm"] == "0" * 16
    assert int(said["CapBnd"], 16) == capabilities.mask(DEFAULT_CAPABILITIES)
    assert (said["limit"], said["cwd"], said["score"]) == ("33 44", "/tmp/made/by/cwd", "321")
    assert done.output.endswith("fds:\n0\n1\n2\n")


def test_capabilities_of_root_in_all_five_sets(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["process"]["user"]["uid"] = 1000
        document["process"]["capabilities"] = {
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
            "effective": ["CAP_KILL"], "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL", "CAP_MADE_UP"]}
    done = lab(lambda bundle: bundle.shell("cat /proc/self/status", changes))
    said = fields(done.output)
    kill_bit = capabilities.mask(["CAP_KILL"])
    assert int(said["CapBnd"], 16) == capabilities.mask(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"])
    assert int(said["CapInh"], 16) == capabilities.mask(["CAP_CHOWN", "CAP_KILL"])
    assert int(said["CapAmb"], 16) == int(said["CapEff"], 16) == int(said["CapPrm"], 16) == kill_bit


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


def test_what_it_sees_of_the_file_system(lab: Lab) -> None:
    done = lab(lambda bundle: bundle.shell(
        "echo host: $(hostname); echo kcore: $(head -c 4 /proc/kcore | wc -c); echo fw: $(ls /sys/firmware | wc -l);"
        "echo rdev: $(stat -c %t:%T /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty);"
        "echo links: $(readlink /dev/fd) $(readlink /dev/ptmx) $(readlink /dev/stdin);"
        "echo 1 > /proc/sys/kernel/panic && echo written; touch /proc/sysrq-trigger; touch /rooted && echo rooted; "
        "ls -d /proc/1/cwd; cat /proc/self/cgroup | head -1; echo x > /dev/null; mount"))
    said = fields(done.output)
    assert said["host"] == "inside" and said["kcore"] == "0" and said["fw"] == "0"
    assert said["rdev"] == "1:3 1:5 1:7 1:8 1:9 5:0"
    assert said["links"] == "/proc/self/fd pts/ptmx /proc/self/fd/0"
    assert "written" not in done.output and "Read-only" in done.errors
    assert "\nrooted" in done.output
    assert done.output.count("/rootfs") == 0  # no path of the host


def test_a_read_only_root_and_its_writable_places(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["root"]["readonly"] = True
        document["mounts"].append({"destination": "/scratch/deep", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700"]})
    done = lab(lambda bundle: bundle.shell("touch /x; touch /scratch/deep/y && stat -c %a /scratch/deep", changes))
    assert done.status == 0 and done.output == "700\n" and "Read-only" in done.errors


def test_binds_with_flags_and_propagation(lab: Lab, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "file").write_text("content", encoding="ascii")

    def scenario(bundle: Bundle) -> Any:
        mounts.mount("tmpfs", str(source / "below"), "tmpfs")
        try:
            (source / "below" / "inner").write_text("inner", encoding="ascii")

            def changes(document: Dict[str, Any]) -> None:
                document["mounts"] += [
                    {"destination": "/plain", "source": str(source), "options": ["bind", "ro"]},
                    {"destination": "/deep", "type": "bind", "source": str(source), "options": ["rbind", "rro", "nosuid"]},
                    {"destination": "/half", "source": str(source), "options": ["rbind", "ro", "rslave"]},
                    {"destination": "/etc/file", "source": str(source / "file"), "options": ["bind", "noexec"]},
                ]
            return bundle.shell(
                "ls /plain/below | wc -l; cat /deep/below/inner; touch /plain/x; touch /deep/below/y;"
                "touch /half/below/z && echo through; cat /etc/file; grep -E ' /(half|deep) ' /proc/self/mountinfo", changes)
        finally:
            mounts.unmount(str(source / "below"))
    done = lab(scenario)
    lines = done.output.splitlines()
    assert lines[0] == "0" and lines[1] == "innerthrough" and lines[2].startswith("content"), done
    assert done.errors.count("Read-only") == 2
    assert "ro,nosuid" in done.output


def test_missing_places_are_made_beneath_the_root_and_links_stay_inside(lab: Lab, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()

    def scenario(bundle: Bundle) -> Any:
        (bundle.root / "link").symlink_to(trap)
        (bundle.root / "up").symlink_to("../../../../../../../.." + str(trap))

        def changes(document: Dict[str, Any]) -> None:
            document["mounts"] += [
                {"destination": "/link/made", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/tmp/a/b", "source": "/etc/hostname", "options": ["bind"]},
            ]
        return refused(lambda: bundle.shell("ls /tmp/a", changes))
    assert "mounts[6] (/link/made)" in lab(scenario)
    assert list(trap.iterdir()) == []


def test_proc_reached_through_a_link_is_refused(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> str:
        (bundle.root / "proc").rmdir()
        (bundle.root / "proc").symlink_to("tmp")
        return refused(lambda: bundle.shell("true"))
    assert "mounts[0] (/proc)" in lab(scenario)


def test_a_dev_link_in_the_image_makes_no_node_on_the_host(lab: Lab, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()

    def scenario(bundle: Bundle) -> str:
        (bundle.root / "dev").rmdir()
        (bundle.root / "dev").symlink_to(trap)
        document = config()
        document["mounts"] = document["mounts"][:1]
        document["linux"].pop("maskedPaths")
        return refused(lambda: bundle.run(document))
    assert "linux.devices" in lab(scenario)
    assert list(trap.iterdir()) == []


@pytest.mark.parametrize(("change", "stage"), [
    ({"args": ["/bin/nothing"]}, "process.args"),
    ({"args": ["nothing"]}, "process.args"),
    ({"args": ["/etc/passwd"]}, "process.args"),
    ({"cwd": "/bin/busybox"}, "process.cwd"),
    ({"cwd": "/proc/self/fd/7"}, "process.cwd"),
])
def test_a_failure_in_the_child_is_one_error_and_leaves_nothing(lab: Lab, change: Dict[str, Any], stage: str) -> None:
    def scenario(bundle: Bundle) -> None:
        for wait in (True, False):
            with pytest.raises(EngineError) as caught:
                bundle.run(config(**change), wait=wait)
            assert caught.value.facts["stage"] == stage
            assert caught.value.facts["errno"]
    lab(scenario)


@pytest.mark.parametrize(("mount", "word"), [
    ({"destination": "/x", "source": "/does/not/exist", "options": ["bind"]}, "/does/not/exist"),
    ({"destination": "/x", "type": "nofs", "source": "x"}, "nofs"),
    ({"destination": "/x", "type": "tmpfs", "source": "x", "options": ["size=lots"]}, "size"),
    ({"destination": "/bin/busybox/x", "type": "tmpfs", "source": "x"}, "/bin/busybox"),
])
def test_a_mount_that_fails_is_named(lab: Lab, mount: Dict[str, Any], word: str) -> None:
    def scenario(bundle: Bundle) -> str:
        document = config()
        document["mounts"].append(mount)
        with pytest.raises(EngineError) as caught:
            bundle.run(document)
        assert caught.value.facts["stage"] == "mounts[6] (%s)" % mount["destination"]
        return str(caught.value)
    assert word in lab(scenario)


def test_states_and_verbs_in_every_order(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        where = bundle.state()
        for verb in (state.state, start.start, delete.delete):
            with pytest.raises(NotFound):
                verb(where)
        made = create.create(str(bundle.folder), where, config(args=["sleep", "100"]), cgroup=bundle.cgroup)
        assert stat.S_IMODE(os.stat(where).st_mode) == 0o700
        now = state.state(where)
        assert (now["status"], now["pid"], now["id"], now["bundle"]) == ("created", made.pid, "c", str(bundle.folder))
        with pytest.raises(Conflict, match="exists"):
            create.create(str(bundle.folder), where, config())
        with pytest.raises(Conflict, match="holds processes"):
            create.create(str(bundle.folder), bundle.state("other"), config(), cgroup=bundle.cgroup)
        start.start(where)
        assert state.state(where)["status"] == "running"
        with pytest.raises(Conflict):
            start.start(where)
        with pytest.raises(Conflict):
            delete.delete(where)
        group.freeze(bundle.cgroup)
        assert state.state(where)["status"] == "paused"
        group.thaw(bundle.cgroup)
        assert made.pid in group.processes(bundle.cgroup)
        kill.kill(where, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(made.pid, 0)[1]) == -signal.SIGKILL
        os.close(made.pidfd)
        assert "pid" not in state.state(where) and state.state(where)["status"] == "stopped"
        with pytest.raises(Conflict):
            kill.kill(where, signal.SIGTERM)
        with pytest.raises(Conflict):
            start.start(where)
        delete.delete(where)
    lab(scenario)


def test_force_deletes_what_runs(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        made = create.create(str(bundle.folder), bundle.state(), config(args=["sleep", "100"]), cgroup=bundle.cgroup)
        start.start(bundle.state())
        group.freeze(bundle.cgroup)
        delete.delete(bundle.state(), force=True)
        os.waitpid(made.pid, 0)
        os.close(made.pidfd)
    lab(scenario)


def test_a_creator_killed_between_create_and_start_leaves_a_container_that_another_starts(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        creator = os.fork()
        if creator == 0:
            create.create(str(bundle.folder), bundle.state(), config(args=["sh", "-c", "echo on > /tmp/said"]),
                          cgroup=bundle.cgroup)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(creator, 0)
        assert state.state(bundle.state())["status"] == "created"
        start.start(bundle.state())
        patience(lambda: state.state(bundle.state())["status"] == "stopped")
        assert (bundle.root / "tmp" / "said").read_text(encoding="ascii") == "on\n"
        delete.delete(bundle.state())
    lab(scenario)


def test_a_creator_killed_within_create_takes_the_child_with_it(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> None:
        document = config(args=["sleep", "100"])
        document["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]}
        creator = os.fork()
        if creator == 0:
            create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(creator, 0)[1]) == -signal.SIGKILL
        patience(lambda: not group.processes(bundle.cgroup))
        assert state.state(bundle.state())["status"] == "creating"
        delete.delete(bundle.state())
    lab(scenario)


def patience(holds: Callable[[], bool], seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_an_added_process_is_inside_with_the_same_rights(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        out = str(bundle.folder / "exec-out")

        def add(_pid: int) -> None:
            process = exec_verb.process_like_init(
                bundle.state(), ["sh", "-c", "cat /proc/self/status; hostname; readlink /proc/self/cwd; ls /proc/$$/fd; exit 5"],
                cwd="/tmp", user={"uid": 1000, "gid": 1000}, env=["MORE=1"])
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            started = exec_verb.run(bundle.state(), process, stdout=handle, stderr=handle)
            os.close(handle)
            assert os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]) == 5
            os.close(started.pidfd)
            for broken in ({"args": ["nothing"]}, {"cwd": "/proc/self/fd/4"}, {"cwd": "/missing"}):
                with pytest.raises(EngineError, match="container 'c'"):
                    exec_verb.run(bundle.state(), {**process, **broken})
        assert bundle.run(config(args=["sleep", "1"]), while_running=add).status == 0
        return Path(out).read_text(encoding="ascii")
    text = lab(scenario)
    said = fields(text)
    assert said["Uid"].split()[0] == "1000" and said["CapEff"] == said["CapInh"] == "0" * 16
    assert text.endswith("inside\n/tmp\n0\n1\n2\n")


def test_hooks_run_in_their_order_and_namespaces(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def hook(name: str, host: bool = True) -> Dict[str, Any]:
        target = str(log) if host else "/tmp/hook-" + name
        return {"path": "/bin/sh", "args": ["sh", "-c", "echo %s $(hostname) $(cat) $MARK >> %s" % (name, target)],
                "env": ["PATH=/bin:/usr/bin", "MARK=m"], "timeout": 5}

    def scenario(bundle: Bundle) -> Any:
        document = config(args=["sh", "-c", "echo program"])
        document["hooks"] = {name: [hook(name, name != "startContainer")] for name in (
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
        done = bundle.run(document)
        inner = bundle.root / "tmp" / "hook-startContainer"
        return done, inner.read_text(encoding="ascii"), os.uname().nodename
    done, inner, host_name = lab(scenario)
    assert done == (0, "program\n", "")
    lines = [line.split(" ", 2) for line in log.read_text(encoding="ascii").splitlines()]
    assert [line[0] for line in lines] == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    assert [line[1] for line in lines] == [host_name, host_name, host_name, host_name, host_name] or lines[2][1] == "inside"
    states = [json.loads(line[2].rsplit(" ", 1)[0]) for line in lines]
    assert [each["status"] for each in states] == ["creating", "creating", "creating", "running", "stopped"]
    assert states[0]["pid"] == states[3]["pid"] > 1 and "pid" not in states[4]
    assert inner.startswith("startContainer inside ") and '"status": "created"' in inner


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_fails_or_hangs_ends_the_container(lab: Lab, kind: str) -> None:
    def scenario(bundle: Bundle) -> None:
        for script, word in (("echo because >&2; exit 3", "exit status 3: because"), ("sleep 60", "timeout of 1 s")):
            document = config(args=["sleep", "100"])
            document["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1}]}
            with pytest.raises(EngineError) as caught:
                bundle.run(document)
            assert word in str(caught.value) and "hooks.%s[0]" % kind in str(caught.value)
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
        bundle.run(config(args=["sleep", "1"]), while_running=second)
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


def test_limits_hold(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "pids": {"limit": 9}}

    def scenario(bundle: Bundle) -> Any:
        seen = {}
        bundle.shell("sleep 0.3", changes, while_running=lambda _pid: seen.update(limits=group.read(bundle.cgroup)))
        return seen["limits"]
    limits = lab(scenario)
    assert (limits.memory_max, limits.pids_max) == (64 << 20, 9)


def test_a_device_that_no_rule_allows_cannot_be_opened(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["devices"] = [{"path": "/dev/kmsg2", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666},
                                        {"path": "/dev/deep/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600,
                                         "uid": 3, "gid": 4}]
    done = lab(lambda bundle: bundle.shell("stat -c '%a %u %g' /dev/deep/zero /dev/kmsg2; head -c 1 /dev/zero | wc -c;"
                                           "head -c 1 /dev/kmsg2", changes))
    assert done.output.splitlines()[:3] == ["600 3 4", "666 0 0", "1"]
    assert "not permitted" in done.errors


def test_an_init_that_reaps_and_forwards(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        def stop(pid: int) -> None:
            time.sleep(0.3)
            kill.kill(bundle.state(), signal.SIGTERM)
        return bundle.shell("(sleep 0.05 &) ; trap 'echo got; exit 9' TERM; ps; cat /proc/1/environ | wc -c;"
                            "while :; do sleep 0.02; done", while_running=stop, init=True)
    done = lab(scenario)
    assert done.status == 9 and "got" in done.output
    assert "coracle-init" in done.output and "python" not in done.output


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


def test_threads_of_the_caller_do_not_disturb(lab: Lab) -> None:
    """Threads that hold the allocator's locks while the process is cloned, in create and in exec."""
    def scenario(bundle: Bundle) -> Any:
        end = threading.Event()

        def work() -> None:
            while not end.is_set():
                _held = [bytearray(200000) for _each in range(20)]
                time.sleep(0)
        others = [threading.Thread(target=work) for _each in range(2)]
        for each in others:
            each.start()
        added = []

        def add(_pid: int) -> None:
            started = exec_verb.run(bundle.state(), exec_verb.process_like_init(bundle.state(), ["sh", "-c", "exit 6"]))
            added.append(os.waitstatus_to_exitcode(os.waitpid(started.pid, 0)[1]))
            os.close(started.pidfd)
            kill.kill(bundle.state(), signal.SIGKILL)
        try:
            return [bundle.shell("exit 4").status for _each in range(5)], bundle.shell("sleep 9", while_running=add).status, added
        finally:
            end.set()
            for each in others:
                each.join()
    assert lab(scenario) == ([4] * 5, -signal.SIGKILL, [6])


def test_many_after_one_another_leave_nothing(lab: Lab) -> None:
    assert lab(lambda bundle: [bundle.shell("exit 1", wait=bool(number % 2)).status for number in range(20)]) == [1] * 20


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
        document = config(args=["sleep", "1"])
        first(document)
        bundle.run(document, while_running=second)
        return found
    found = lab(scenario)
    assert found[3].output.splitlines() == [*found["names"], "inside", "1"], found
    assert found[2].output.splitlines()[:3] == [*found["names"], "inside"] and int(found[2].output.split()[-1]) > 1


def test_a_mapped_bind_shows_other_owners(lab: Lab, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x", encoding="ascii")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "user"})
        document["linux"].update(uidMappings=maps, gidMappings=maps)
        document["mounts"] += [{"destination": "/data", "source": str(source), "options": ["bind"]},
                               {"destination": "/home/web", "source": str(source), "options": ["bind", "idmap"]}]
    done = lab(lambda bundle: bundle.shell("stat -c %u /data/file /home/web/file; echo y > /home/web/new", changes))
    assert done.output.split() == ["65534", "0"], done
    assert (source / "new").stat().st_uid == 0


def test_a_mapped_bind_without_mappings_is_refused(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["mounts"].append({"destination": "/x", "source": "/etc", "options": ["bind", "idmap"]})
    assert "mounts[6] (/x)" in lab(lambda bundle: refused(lambda: bundle.shell("true", changes)))


def test_tmpcopyup_fills_a_tmpfs_with_what_was_there(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["mounts"].append({"destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "mode=755"]})

    def scenario(bundle: Bundle) -> Any:
        (bundle.root / "etc" / "link").symlink_to("/etc/passwd")
        (bundle.root / "etc" / "deep").mkdir(mode=0o711)
        (bundle.root / "etc" / "deep" / "file").write_text("deep", encoding="ascii")
        done = bundle.shell("cat /etc/deep/file; busybox readlink /etc/link; stat -c %a /etc/deep; head -n 1 /etc/passwd;"
                            "touch /etc/new", changes)
        assert not (bundle.root / "etc" / "new").exists()
        return done
    assert lab(scenario).output.split("\n")[:3] == ["deep/etc/passwd", "711", "root:x:0:0:root:/root:/bin/sh"]


def test_a_filter_holds_with_and_without_new_privileges(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        found = []
        for quiet in (True, False):
            document = config(args=["sh", "-c", "mkdir /tmp/x; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"])
            document["process"]["noNewPrivileges"] = quiet
            document["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
            found.append(bundle.run(document))
        return found
    for number, done in enumerate(lab(scenario)):
        assert "No space left" in done.errors
        assert fields(done.output) == {"Seccomp": "2", "NoNewPrivs": str(1 - number)}


def test_the_default_profile_runs_programs_and_stops_namespaces(lab: Lab) -> None:
    from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import seccomp_default

    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["seccomp"] = seccomp_default.section(DEFAULT_CAPABILITIES)
    done = lab(lambda bundle: bundle.shell("ls / | wc -l; (echo a; echo b) | grep b; id -u; mount -t tmpfs x /tmp", changes))
    assert done.output.splitlines()[1:] == ["b", "0"] and "permission denied" in done.errors


def test_a_terminal_of_its_own(lab: Lab) -> None:
    def scenario(bundle: Bundle) -> Any:
        ours, theirs = socket.socketpair()
        document = config(args=["sh", "-c", "test -t 0 && test -t 2 && echo on > /dev/console; echo off > /dev/tty; ls /dev/pts"],
                          terminal=True, consoleSize={"height": 12, "width": 34})
        made = create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup, console=theirs)
        theirs.close()
        _data, handles, _flags, _address = socket.recv_fds(ours, 64, 1)
        ours.close()
        size = struct.unpack("4H", fcntl.ioctl(handles[0], termios.TIOCGWINSZ, bytes(8)))
        start.start(bundle.state())
        said = b""
        while True:
            try:
                said += os.read(handles[0], 4096)
            except OSError:
                break
        os.close(handles[0])
        os.waitpid(made.pid, 0)
        os.close(made.pidfd)
        delete.delete(bundle.state())
        return said.decode(), size[:2]
    said, size = lab(scenario)
    assert size == (12, 34)
    assert said.split() == ["on", "off", "0", "ptmx"]


def test_a_terminal_needs_its_socket(lab: Lab) -> None:
    assert "process.terminal" in lab(lambda bundle: refused(lambda: bundle.run(config(terminal=True))))


def test_clocks_of_its_own(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["namespaces"].append({"type": "time"})
        document["linux"]["timeOffsets"] = {"boottime": {"secs": 10000000, "nanosecs": 0}}
    done = lab(lambda bundle: bundle.shell("cat /proc/uptime", changes))
    assert float(done.output.split()[0]) > 10000000


def test_cgroups_as_the_container_sees_them(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                   "options": ["nosuid", "noexec", "nodev", "ro"]})
    done = lab(lambda bundle: bundle.shell(
        "busybox cut -d: -f3 /proc/self/cgroup | busybox sort -u; cat $(busybox find /sys/fs/cgroup -name cgroup.procs | head -n 1);"
        "mkdir /sys/fs/cgroup/x", changes))
    assert done.output.splitlines()[0] == "/" and "1" in done.output.splitlines()[1:], done
    assert "Read-only" in done.errors


def test_what_this_kernel_or_runtime_lacks_is_said_before_anything_is_made(lab: Lab) -> None:
    cases = [("linux", "intelRdt", {"closID": "x"}), ("linux", "netDevices", {"eth9": {}}),
             ("linux", "memoryPolicy", {"mode": "MPOL_NEVER"}), ("linux", "personality", {"domain": "LINUX", "flags": ["X"]})]
    if not os.path.exists("/sys/module/apparmor/parameters/enabled"):
        cases.append(("process", "apparmorProfile", "docker-default"))
    if not os.path.exists("/sys/fs/selinux/enforce"):
        cases += [("process", "selinuxLabel", "a:b:c:s0"), ("linux", "mountLabel", "a:b:c:s0")]

    def scenario(bundle: Bundle) -> None:
        for part, member, value in cases:
            document = config()
            document[part][member] = value
            assert "%s.%s" % (part, member) in refused(lambda: bundle.run(document))  # noqa: B023
            assert not (bundle.states / "c").exists()
    lab(scenario)


def test_execution_domain_and_memory_policy(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["linux"]["personality"] = {"domain": "LINUX32"}
        document["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    done = lab(lambda bundle: bundle.shell("busybox uname -m; cat /proc/self/numa_maps | head -n 1", changes))
    assert done.output.splitlines()[0] == "i686", done
