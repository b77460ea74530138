# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container may do and what it shares: each option's effect, as the program inside and the kernel tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from hosts import Host

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
FEW = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
    {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}


def status(text: str) -> Dict[str, str]:
    """Lines of /proc/PID/status as a mapping."""
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in text.splitlines())}


def test_the_default_profile_is_dockers(run: Any, machine: Host) -> None:
    run("one")
    config = json.loads(machine.shell("cat %s/containers/one/config.json" % machine.state_root))
    throttles = machine.shell("ls -d /sys/devices/system/cpu/cpu[0-9]*/thermal_throttle 2>/dev/null || true").split()
    assert sorted(config["linux"]["maskedPaths"]) == sorted([
        *("/proc/" + name for name in ("acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi",
                                       "timer_list", "timer_stats")),
        "/sys/devices/virtual/powercap", "/sys/firmware", *throttles])
    assert config["linux"]["readonlyPaths"] == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    assert config["linux"]["seccomp"]["defaultErrnoRet"] == 1 and config["process"]["noNewPrivileges"] is True


def test_privileged_has_all_that_the_host_gives(run: Any, machine: Host) -> None:
    script = ("grep -E 'CapBnd|CapEff|Seccomp:|NoNewPrivs' /proc/self/status; test -c /dev/fuse && echo fuse; "
              "echo 1 > /proc/sys/vm/drop_caches && echo written; mkdir /tmp/m && mount -t tmpfs x /tmp/m && echo mounted")
    lines = run.output("one", script, privileged=True).splitlines()
    told = status("\n".join(lines[:4]))
    mine = status(machine.shell("cat /proc/self/status"))
    assert told["CapBnd"] == told["CapEff"] == mine["CapEff"]
    assert (told["Seccomp"], told["NoNewPrivs"]) == ("0", "0")
    assert lines[4:] == ["fuse", "written", "mounted"]
    refused = run("two", command=["/bin/mount", "-t", "tmpfs", "x", "/tmp"], detach=False)
    assert refused["rc"] != 0


def test_a_profile_of_ones_own(run: Any, machine: Host) -> None:
    machine.shell("cat > /run/few.json <<'X'\n%s\nX" % json.dumps(FEW))
    script = "mkdir /a 2>&1; rmdir /data 2>&1; echo done"
    said = run.output("one", script, security_opts=["seccomp=/run/few.json"])
    assert "No space left" in said and said.endswith("done\n") and "rmdir" not in said
    with_capability = run.output("two", script, security_opts=["seccomp=" + json.dumps(FEW)], capabilities=["SYS_ADMIN"])
    assert "No space left" in with_capability and "rmdir" in with_capability and "not permitted" in with_capability


def test_a_changed_profile_is_seen(run: Any, machine: Host) -> None:
    machine.shell("echo '%s' > /run/profile.json" % json.dumps(FEW))
    options = {"security_opts": ["seccomp=/run/profile.json"]}
    assert run("one", **options)["changed"] is True
    assert run("one", **options)["changed"] is False
    machine.shell("echo '%s' > /run/profile.json" % json.dumps(dict(FEW, defaultAction="SCMP_ACT_LOG")))
    changed = run("one", **options)
    assert [step["action"] for step in changed["actions"]] == ["recreate", "start"]
    assert changed["diff"]["before"]["security_opts"] != changed["diff"]["after"]["security_opts"]
    machine.shell("rm /run/profile.json")  # the container keeps its copy
    assert run("one", state="restarted")["container"]["status"] == "running"


def test_paths_are_hidden_and_shown(run: Any) -> None:
    script = "grep -c 'cgroup:' /proc/1/cgroup; cat /proc/interrupts | wc -c; cat /proc/version | wc -c; wc -c < /proc/timer_list"
    normal = run.output("one", "cat /proc/interrupts | wc -c; cat /proc/version | wc -c").split()
    assert normal[0] == "0" and int(normal[1]) > 20
    turned = run.output("two", "cat /proc/interrupts | wc -c; cat /proc/version | wc -c",
                        security_opts=["unmask=/proc/interrupts", "mask=/proc/version"]).split()
    assert int(turned[0]) > 20 and turned[1] == "0"
    free = run("three", command=["/bin/sh", "-c", script], security_opts=["systempaths=unconfined"], detach=False)
    assert "0" not in free["stdout"].split()[1:]


def test_devices_are_given_and_guarded(run: Any, machine: Host) -> None:
    machine.shell("mkdir -p /run/devices/deep && mknod /run/devices/a c 1 5 && mknod /run/devices/deep/b c 1 9")
    options = {"devices": ["/dev/fuse:/dev/x:r", "/run/devices:/dev/more"]}
    said = run.output("one", "for path in /dev/x /dev/more/a /dev/more/deep/b; do ls -l $path | cut -c1; done; "
                             "head -c 3 /dev/more/deep/b | wc -c; (: < /dev/x) && echo read; (: > /dev/x) 2>&1", **options)
    assert said.split()[:5] == ["c", "c", "c", "3", "read"] and "not permitted" in said
    script = "mknod /tmp/d c 10 229; : < /tmp/d && echo read; : > /tmp/d"
    later = run("two", command=["/bin/sh", "-c", script], device_cgroup_rules=["c 10:* rm"], detach=False)
    assert later["stdout"] == "read\n" and "not permitted" in later["stderr"]
    refused = run("three", command=["/bin/sh", "-c", script], detach=False)
    assert refused["stdout"] == "" and "not permitted" in refused["stderr"]
    run("one", **options)
    assert [step["action"] for step in run("one", memory_max="64M", **options)["actions"]] == ["update"]
    config = json.loads(machine.shell("cat %s/containers/one/config.json" % machine.state_root))
    assert {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"} in config["linux"]["resources"]["devices"]
    assert config["linux"]["resources"]["memory"]["limit"] == 64 << 20


def test_namespaces_are_shared_where_asked(run: Any, machine: Host) -> None:
    def kinds(name: str, **options: Any) -> Dict[str, str]:
        text = run.output(name, "for kind in pid ipc uts cgroup; do readlink /proc/self/ns/$kind; done; hostname", **options)
        return dict(zip(("pid", "ipc", "uts", "cgroup", "hostname"), text.split()))
    host = {kind: machine.shell("readlink /proc/1/ns/%s" % kind).strip() for kind in ("pid", "ipc", "uts", "cgroup")}
    shared = kinds("one", pid_mode="host", ipc_mode="host", uts="host", cgroupns_mode="host")
    assert {kind: shared[kind] for kind in host} == host and shared["hostname"] == machine.name
    own = kinds("two")
    assert not {own[kind] for kind in host} & set(host.values())
    run("first", ipc_mode="shareable", command=["/bin/sh", "-c", "echo there > /dev/shm/file; exec sleep 1000"],
        stop_timeout="100ms", restart_policy="always")
    other = run.output("second", "cat /dev/shm/file; readlink /proc/self/ns/ipc; ps -o pid,comm; echo back > /dev/shm/new",
                       ipc_mode="container:first", pid_mode="container:first")
    first = run.host.shell("readlink /proc/$(jq .pid %s/containers/first/runtime/state.json 2>/dev/null || python3 -c "
                           "'import json,sys; print(json.load(open(sys.argv[1]))[\"pid\"])' "
                           "%s/containers/first/runtime/state.json)/ns/ipc" % (machine.run_root, machine.run_root)).strip()
    assert other.split()[:2] == ["there", first] and "sleep" in other
    assert machine.shell("cat %s/containers/first/shm/new" % machine.run_root) == "back\n"
    none = run("three", command=["/bin/sh", "-c", "ls -d /dev/shm"], ipc_mode="none", detach=False)
    assert none["rc"] != 0


def test_a_container_that_joins_another_fails_once_that_has_gone(run: Any, machine: Host) -> None:
    run("first", ipc_mode="shareable")
    run("second", pid_mode="container:first")
    run("first", state="stopped")
    failed = machine.module("container_run", name="second", state="restarted", fail=True)
    assert "first" in failed["msg"] and "does not run" in failed["msg"]


@pytest.mark.parametrize(("options", "uids", "gids"), [
    ({"uidmap": ["0:300000:1000", "1000:500000:1010"]}, "0 300000 1000 1000 500000 1010", "0 300000 1000 1000 500000 1010"),
    ({"uidmap": ["0:300000:1001"], "gidmap": ["0:400000:3000"]}, "0 300000 1001", "0 400000 3000"),
    ({"userns_mode": "auto:size=4096"}, "0 1879048192 4096", "0 1879048192 4096"),
    ({"userns_mode": "remap:web"}, "0 700000 1000 1000 900000 2000", "0 800000 5000"),
])
def test_user_namespaces_people_use(run: Any, machine: Host, options: Dict[str, Any], uids: str, gids: str) -> None:
    machine.shell("printf 'web:700000:1000\\nother:1:5\\nweb:900000:2000\\n' > /etc/subuid; "
                  "printf 'web:800000:5000\\n' > /etc/subgid; mkdir -p %s/mine; echo x > %s/mine/file"
                  % (machine.folder, machine.folder))
    said = run.output("one", "echo $(cat /proc/self/uid_map); echo $(cat /proc/self/gid_map); touch /new /mine/new /vol/new; "
                             "stat -c %u:%g /bin/sh /new /mine/file /mine/new /vol/new; id -u",
                      user="1000", volumes=["things:/vol", "%s/mine:/mine" % machine.folder], **options)
    lines = said.splitlines()
    assert lines[:2] == [uids, gids] and lines[2] == "0:0" and lines[-1] == "1000"
    root = run.output("two", "touch /new /mine/new; stat -c %u:%g /new /mine/new",
                      volumes=["%s/mine:/mine" % machine.folder], **options)
    assert root.split() == ["0:0", "0:0"]
    # On the disk: the container's own layer holds the host's IDs, what was bound keeps its owners, and layers are untouched.
    outside = "%s:%s" % (uids.split()[1], gids.split()[1])
    upper = "%s/containers/two/upper/new" % machine.state_root
    if options.get("userns_mode") != "auto:size=4096":
        assert machine.shell("stat -c %%u:%%g %s" % upper).strip() == outside
    assert machine.shell("stat -c %%u:%%g %s/mine/new" % machine.folder).strip() == "0:0"


@pytest.mark.parametrize("mode", ["host", "container:base"])
def test_a_user_namespace_without_a_network_of_its_own(run: Any, machine: Host, mode: str) -> None:
    """Whose sysfs the container may not mount: it gets that of the namespace that it joins, read-only."""
    run("base")
    said = run.output("one", "ls /sys/class/net; grep -c ' /sys sysfs ' /proc/mounts; touch /sys/x 2>&1; cat /proc/self/uid_map",
                      userns_mode="auto", network_mode=mode)
    links = machine.shell("ls /sys/class/net").split() if mode == "host" else ["eth0", "lo"]
    assert said.split()[:len(links) + 1] == [*links, "1"] and "Read-only file system" in said and "1879048192" in said
    shown = [line.split()[1] for line in run.output("two", "cat /proc/mounts", userns_mode="auto", network_mode=mode).splitlines()]
    own = [line.split()[1] for line in run.output("three", "cat /proc/mounts", userns_mode="auto").splitlines()]
    assert sorted(shown) == sorted(own)  # nothing of what the host has mounted below its own


def test_ranges_do_not_overlap_whatever_their_size(run: Any, machine: Host) -> None:
    machine.shell("echo coracle:100000:100000 > /etc/subuid; echo coracle:300000:100000 > /etc/subgid")
    taken = []
    for name, mode in (("one", "auto"), ("two", "auto:size=1000"), ("three", "auto:size=30000")):
        run(name, userns_mode=mode)
        pid = machine.module("container_run", name=name, check_mode=True)["container"]["pid"]
        taken.append(tuple(int(word) for kind in "ug" for word in machine.shell("cat /proc/%d/%sid_map" % (pid, kind)).split()))
    assert taken == [(0, 100000, 65536, 0, 300000, 65536), (0, 165536, 1000, 0, 365536, 1000), (0, 166536, 30000, 0, 366536, 30000)]
    failed = machine.module("container_run", name="four", image="busybox", command=SLEEP, userns_mode="auto:size=20000", fail=True)
    # No room in that range; the kernel's other numbers are not taken in its stead.
    assert "no range of 20000" in failed["msg"] and "/etc/subuid" in failed["msg"]
    machine.shell("rm -f /etc/subuid /etc/subgid; touch /etc/subuid /etc/subgid")


def test_a_user_or_group_that_is_not_mapped_is_one_error(run: Any, machine: Host) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=SLEEP, user="web", uidmap=["0:300000:1010"],
                            fail=True)
    assert "option 'user'" in failed["msg"] and "2000" in failed["msg"] and "uidmap" in failed["msg"]
    assert run("one", state="absent")["changed"] is False


def test_what_cannot_be_mapped_is_one_error(run: Any, machine: Host) -> None:
    mapped = machine.module("container_run", name="one", image="busybox", command=SLEEP, userns_mode="auto",
                            volumes=["/proc/fs:/mine"], fail=True)
    assert "the file system of /proc/fs (proc) cannot be shown through mappings" in mapped["msg"].lower()
    assert run("one", state="absent")["changed"] is False


@pytest.mark.parametrize(("options", "words"), [
    ({"devices": ["/dev/nothing-here"]}, "there is no /dev/nothing-here on this host"),
    ({"devices": ["/etc/passwd"]}, "is no device"),
    ({"security_opts": ["seccomp=/nowhere.json"]}, "/nowhere.json cannot be read"),
    ({"security_opts": ["seccomp=/dev/zero"]}, "no ordinary file"),
    ({"security_opts": ["seccomp={\"defaultAction\": \"SCMP_ACT_MAYBE\"}"]}, "defaultAction"),
    ({"security_opts": ["no-new-privileges:false"], "no_new_privileges": True}, "contradicts"),
    ({"security_opts": ["label=type:spc_t"]}, "SELinux"),
    ({"userns_mode": "remap:nobody-here"}, "has no range in /etc/subuid"),
    ({"userns_mode": "auto", "uidmap": ["0:5:5"]}, "uidmap"),
    ({"userns_mode": "auto", "privileged": True}, "privileged"),
    ({"userns_mode": "auto", "pid_mode": "host"}, "pid_mode"),
    ({"uidmap": ["0:300000:10"], "uts": "host"}, "uts"),
    ({"pid_mode": "container:one"}, "cannot join its own"),
    ({"ipc_mode": "container:missing"}, "there is no container 'missing'"),
    ({"uts": "host", "hostname": "x"}, "hostname"),
    ({"ipc_mode": "host", "sysctls": {"kernel.shmmax": "1"}}, "kernel.shmmax"),
    ({"network_mode": "host", "sysctls": {"net.ipv4.ip_forward": "1"}}, "net.ipv4.ip_forward"),
])
def test_what_cannot_be_had(machine: Host, options: Dict[str, Any], words: str) -> None:
    arguments = {"name": "one", "image": "busybox", "command": SLEEP, **options}
    failed = machine.module("container_run", arguments, fail=True)
    assert words in failed["msg"] and ". " in failed["msg"]
    assert machine.module("container_run", arguments, check_mode=True, fail=True)["msg"] == failed["msg"]
    assert machine.shell("find %s/containers %s/containers -mindepth 1 -maxdepth 1 2>/dev/null || true"
                         % (machine.state_root, machine.run_root)) == ""


def test_an_apparmor_profile_needs_apparmor(machine: Host, run: Any) -> None:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    if enabled.exists() and enabled.read_text(encoding="ascii").startswith("Y"):
        assert run.output("one", "cat /proc/self/attr/current", security_opts=["apparmor=unconfined"]).strip() == "unconfined"
        return
    failed = machine.module("container_run", name="one", image="busybox", command=SLEEP, security_opts=["apparmor=docker-default"],
                            fail=True)
    assert "this kernel has no AppArmor" in failed["msg"]
    assert run.output("one", "echo fine", security_opts=["apparmor=unconfined", "label=disable"]) == "fine\n"


def test_podmans_names_of_options(run: Any) -> None:
    """They are other names of ours: what was said by the one is unchanged by the other."""
    said: Dict[str, Any] = {
        "device": ["/dev/fuse"], "device_cgroup_rule": ["c 10:200 rw"], "sysctl": {"net.core.somaxconn": "512"}, "ulimit": ["nofile:512"],
        "security_opt": ["no-new-privileges=false"], "ipc": "shareable", "pid": "private", "userns": "host", "cgroupns": "private",
        "workdir": "/tmp", "group_add": ["7"], "label": {"a": "b"}, "volume": ["/srv:/srv:ro"], "net": "none",
        "dns_option": ["ndots:1"], "add_hosts": {"far": "10.0.0.1"}, "memory_reservation": "8M"}
    ours = {"devices": said["device"], "device_cgroup_rules": said["device_cgroup_rule"], "sysctls": said["sysctl"],
            "ulimits": said["ulimit"], "security_opts": said["security_opt"], "ipc_mode": "shareable", "pid_mode": "private",
            "userns_mode": "host", "cgroupns_mode": "private", "working_dir": "/tmp", "groups": ["7"], "labels": {"a": "b"},
            "volumes": said["volume"], "network_mode": "none", "dns_opts": ["ndots:1"],
            "etc_hosts": {"far": "10.0.0.1"}, "memory_low": "8M"}
    assert run("one", **said)["changed"] and not run("one", **ours)["changed"] and not run("one", **said)["changed"]
