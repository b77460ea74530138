# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of containers: made on first use, filled from the image, kept, pruned, and mounted again at boot."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List

import pytest

import busybox
from containers import Runner, add_image
from hosts import Host
from imagery import Image, files, layout, member, tar, write_folder

VOLUMES = "/var/lib/coracle/volumes"
COMMAND = "/var/lib/coracle/engine/current/coracle"
CONTENT = tar(member("srv/data", uid=33, gid=34, mode=0o2750), member("srv/data/file", b"shipped", uid=5, gid=6, mode=0o640),
              member("srv/data/link", symlink="/etc/passwd"), member("srv/data/deep/er", b"x"),
              member("srv/out", symlink="/run/victim"))
DATA = Image([busybox.tar(), CONTENT], config={"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], "Volumes": {"/srv/data": {}, "/srv/more/": {}}})


@pytest.fixture(scope="module")
def machine(new_host: Callable[[], Host]) -> Host:
    """A host with two images; C(data) declares volumes."""
    host = new_host()
    add_image(host)
    source = write_folder(host.folder / "source", layout({"data": DATA}))
    host.module("container_image", name="data", source=str(source), source_reference="data")
    host.shell("mkdir -p /run/victim; echo secret > /run/victim/file")
    return host


@pytest.fixture
def run(machine: Host) -> Iterator[Runner]:
    """A runner of containers; what it ran goes after the test, with all volumes."""
    runner = Runner(machine)
    yield runner
    for name in runner.names:
        machine.module("container_run", name=name, state="absent")
    for each in machine.module("container_volume_info", usage=False)["volumes"]:
        machine.module("container_volume", name=each["name"], state="absent")


def volumes(host: Host, **options: Any) -> Dict[str, Dict[str, Any]]:
    return {each["name"]: each for each in host.module("container_volume_info", **options)["volumes"]}


LOOK = "cd /srv/data && stat -c '%n %u %g %a' . file && cat file && ls -A . && readlink link; "
SHIPPED = ". 33 34 2750\nfile 5 6 640\nshippeddeep\nfile\nlink\n/etc/passwd\n"


@pytest.mark.parametrize("options", [{}, {"userns_mode": "auto"}], ids=["plain", "userns"])
def test_a_volume_takes_what_the_image_has_once(run: Runner, options: Dict[str, Any]) -> None:
    host = run.host
    first = run.output("one", LOOK, image="data", volumes=["things:/srv/data"], **options)
    assert first == SHIPPED
    made = volumes(host)["things"]
    assert made["exists"] and made["owner"] == 33 and made["mode"] == "2750" and made["used_by"] == ["one"] and not made["container"]
    run.output("one", "rm -r /srv/data/* && echo mine > /srv/data/mine", image="data", volumes=["things:/srv/data"], **options)
    assert run.output("two", "ls /srv/data; cat /srv/data/mine", image="data", volumes=["things:/srv/data"], **options) == "mine\nmine\n"
    run.output("one", "rm /srv/data/mine", image="data", volumes=["things:/srv/data"], **options)
    assert run.output("two", "ls /srv/data", image="data", volumes=["things:/srv/data"], **options) == "", "it stays empty"


def test_what_a_volume_is_told_to_be_goes_before_the_image(run: Runner) -> None:
    host = run.host
    host.module("container_volume", name="told", owner=9, mode="0711")
    assert run.output("one", LOOK, image="data", volumes=["told:/srv/data"]).startswith(". 9 34 711\nfile 5 6 640\nshipped")
    assert not host.module("container_volume", name="told", owner=9, mode="0711")["changed"]
    for row in ({"volumes": ["bare:/srv/data:nocopy"]},
                {"mounts": [{"type": "volume", "source": "bare", "target": "/srv/data", "no_copy": True}]}):
        assert run.output("two", "ls -A /srv/data; stat -c %u:%a /srv/data", image="data", **row) == "0:755\n"
    host.module("container_volume", name="memory", driver="tmpfs", size="8M")
    assert run.output("three", LOOK, image="data", volumes=["memory:/srv/data"]) == SHIPPED
    host.module("container_volume", name="sized", size="8M")
    assert run.output("four", LOOK, image="data", volumes=["sized:/srv/data"]) == SHIPPED
    assert run.output("five", "dd if=/dev/zero of=/v/x bs=1M count=20 2>&1 | tail -n 1; :", volumes=["sized:/v"]) != ""
    assert int(host.shell("stat -c %%s %s/sized/_data/x" % VOLUMES)) < 8 << 20


def test_links_of_an_image_lead_nowhere(run: Runner) -> None:
    """The place where a volume is mounted may be a link that the image has: what the host has there is not copied."""
    run.output("one", ":", image="data", volumes=["trap:/srv/out"])
    assert run.host.shell("find %s/trap/_data" % VOLUMES) == VOLUMES + "/trap/_data\n"
    assert run.host.shell("cat /run/victim/file") == "secret\n"


def test_a_volume_too_small_for_what_the_image_has(run: Runner) -> None:
    host = run.host
    source = write_folder(host.folder / "big", layout({"big": Image([busybox.tar(), files({"v/big": bytes(3 << 20)})])}))
    host.module("container_image", name="big", source=str(source), source_reference="big")
    host.module("container_volume", name="small", size="1M")
    refused = run("one", image="big", volumes=["small:/v"], fail=True)
    assert "full" in refused["msg"]
    assert host.shell("ls -A %s/small/_data" % VOLUMES) == ""


def test_volumes_without_a_name(run: Runner) -> None:
    host = run.host
    before = run("one", image="data", volumes=["/scratch"])["container"]
    assert not run("one", image="data", volumes=["/scratch"])["changed"]
    found = volumes(host)
    assert len(found) == 3 and all(name.startswith("one.") and each["container"] == "one" and each["used_by"] == ["one"]
                                   for name, each in found.items())
    targets = {row["target"]: row["name"] for row in host.module("container_info", name=["one"])["containers"][0]["mounts"]}
    assert set(targets) == {"/srv/data", "/srv/more", "/scratch"} and set(targets.values()) == set(found)
    host.shell("echo mine > %s/%s/_data/mine" % (VOLUMES, targets["/srv/data"]))
    # Another takes its place and finds what the first had.
    after = run("one", image="data", volumes=["/scratch"], env={"A": "b"})["container"]
    assert after["id"] != before["id"] and set(volumes(host)) == set(found)
    assert host.shell("ls %s/%s/_data" % (VOLUMES, targets["/srv/data"])).split() == ["deep", "file", "link", "mine"]
    # Where something else is mounted, the image's volume is not made.
    run("two", image="data", mounts=[{"type": "tmpfs", "target": "/srv/data"}], volumes=["things:/srv/more"])
    assert set(volumes(host)) == {*found, "things"}
    # They stay with the container's end unless it is said otherwise; volumes with a name stay in any case.
    run("one", state="absent")
    assert set(volumes(host)) == {*found, "things"}
    run("one", image="data", volumes=["/scratch", "named:/n"])
    run("one", state="absent", keep_volumes=False)
    assert set(volumes(host)) == {"things", "named"}


def test_a_volume_in_use_is_neither_removed_nor_made_anew_unless_forced(run: Runner) -> None:
    host = run.host
    run("one", volumes=["things:/v"])
    run("two", volumes=["things:/v"], state="created", image="busybox")
    host.shell("echo kept > %s/things/_data/file" % VOLUMES)
    for options in ({"state": "absent"}, {"recreate": "always"},
                    {"driver": "tmpfs", "recreate": "options-changed"}):
        for check_mode in (True, False):
            refused = host.module("container_volume", options, name="things", check_mode=check_mode, fail=True)
            assert "'things' is in use by: one, two" in refused["msg"] and "force" in refused["msg"]
    assert host.shell("cat %s/things/_data/file" % VOLUMES) == "kept\n"
    host.module("container_volume", name="things", labels={"a": "b"}, owner=5)
    assert volumes(host)["things"]["labels"] == {"a": "b"}, "what is live can change"
    gone = host.module("container_volume", name="things", state="absent", force=True)
    assert [step["action"] for step in gone["actions"]] == ["remove"] and not volumes(host)
    assert host.module("container_info", name=["one"])["containers"][0]["status"] == "running"
    run("one", volumes=["things:/v"], state="restarted", image="busybox", command=["/bin/sh", "-c", "sleep 1000"])
    assert set(volumes(host)) == {"things"}


def test_prune(run: Runner) -> None:
    host = run.host
    run("one", image="data", volumes=["used:/v"])
    run("two", image="data", volumes=["idle:/v"], command=["/bin/sh", "-c", ":"], detach=False)
    for name, labels in (("idle", {"keep": "1"}), ("free", {"app": "x"})):
        host.module("container_volume", name=name, labels=labels)
    host.shell("head -c 500000 /dev/urandom > %s/free/_data/big" % VOLUMES)
    host.module("container_network", name="lonely", labels={"app": "x"})
    host.module("container_network", name="busy")
    run("three", networks=[{"name": "busy"}])

    def prune(**options: Any) -> List[str]:
        """Check mode says what then happens, and then there is nothing more to do."""
        told = host.module("container_prune", options, check_mode=True)
        before = set(volumes(host))
        done = host.module("container_prune", options)
        assert {key: told.get(key) for key in ("changed", "actions", "diff", "freed")} == {
            key: done.get(key) for key in ("changed", "actions", "diff", "freed")}
        assert not host.module("container_prune", options)["changed"]
        assert set(volumes(host)) == before - {step["target"][7:] for step in done["actions"]}
        if any("free" in step["target"] for step in done["actions"]):
            assert done["diff"]["before"]["volume free"] >= 500000 and done["freed"] >= 500000
        return [step["target"] for step in done["actions"]]
    every = {"volumes": True, "volumes_filters": {"all": True}}
    assert prune() == [] and prune(volumes=True) == []
    for filters in ({"until": "1h"}, {"labels": ["none"]}, {"without_labels": ["app"], "labels": ["app=x"]}):
        assert prune(volumes=True, volumes_filters={"all": True, **filters}) == []
        assert prune(networks=True, networks_filters=filters) == []
    assert prune(**every) == ["volume free"]
    assert prune(networks=True) == ["network lonely"]
    assert "lonely" not in host.shell("ip -o link") and "busy" in host.shell("ip -o link")
    both = prune(containers=True, **{**every, "volumes_filters": {"all": True, "without_labels": ["keep"]}})
    assert both[0] == "container two" and len(both) == 3 and all(each.startswith("volume two.") for each in both[1:])
    assert prune(**every) == ["volume idle"]
    host.module("container_run", name="three", state="absent")
    host.module("container_network", name="busy", state="absent")


def test_what_the_host_tells_of_it(run: Runner) -> None:
    host = run.host
    host.module("container_network", name="small", subnet="10.44.0.0/29", aux_addresses={"printer": "10.44.0.5"})
    run("one", volumes=["things:/v"], networks=[{"name": "small"}])
    host.shell("head -c 700000 /dev/urandom > %s/things/_data/file" % VOLUMES)
    found = host.module("container_host_info")["host"]
    assert found["disk"]["volumes"] >= 700000 and found["disk"]["layers"] > 0 and found["versions"]["engine"]
    assert found["disk"]["total"] == sum(size for part, size in found["disk"].items() if part != "total")
    small = next(each for each in found["networks"] if each["name"] == "small")
    assert small["subnets"] == [{"subnet": "10.44.0.0/29", "used": 1, "free": 3}], "six, without the gateway, a printer and a container"
    told = host.module("container_info", name=["one"], gather=["drift"])["containers"][0]
    assert told["drift"] == []
    listed = host.run([COMMAND, "volume", "ls"]).stdout.splitlines()
    assert listed[0].split() == ["NAME", "DRIVER", "USED", "SIZE", "USED", "BY"] and listed[1].split()[:2] == ["things", "local"]
    assert listed[1].endswith(" one")
    assert json.loads(host.run([COMMAND, "volume", "inspect", "things"]).stdout)[0]["used_by"] == ["one"]
    assert json.loads(host.run([COMMAND, "volume", "ls", "--json"]).stdout)[0]["name"] == "things"
    for wrong in (["volume", "inspect", "nothing"], ["volume", "rm"]):
        refused = host.run([COMMAND, *wrong], check=False)
        assert refused.returncode == 1 and "coracle: " in refused.stderr
    host.module("container_run", name="one", state="absent")
    host.module("container_network", name="small", state="absent")


def test_drift_is_told_apart(run: Runner) -> None:
    host = run.host
    run("one", memory_max="64M")
    gather = {"name": ["one"], "gather": ["drift"]}
    assert host.module("container_info", gather)["containers"][0]["drift"] == []
    cgroup = host.module("container_info", gather)["containers"][0]["cgroup"]
    host.shell("for file in memory/%s/memory.limit_in_bytes .%s/memory.max; do "
               "[ ! -e /sys/fs/cgroup/$file ] || echo 134217728 > /sys/fs/cgroup/$file; done" % (cgroup, cgroup))
    drift = host.module("container_info", gather)["containers"][0]["drift"]
    assert [each for each in drift if each["option"] == "memory_max"] == [
        {"option": "memory_max", "before": 134217728, "after": 67108864}], drift


def test_at_boot_they_are_mounted_again(run: Runner) -> None:
    host = run.host
    host.module("container_volume", name="sized", size="8M", owner=7)
    host.module("container_volume", name="memory", driver="tmpfs", size="4M", mode="0700")
    host.module("container_volume", name="alone", size="8M")
    host.module("container_volume", name="lost", driver_options={"device": "/opt", "o": "bind"})
    run("one", image="data", volumes=["sized:/srv/data", "memory:/m"], restart_policy="always", command=["/bin/sh", "-c", "sleep 10000"])
    host.shell("echo mine > %s/sized/_data/mine; echo x > %s/memory/_data/x" % (VOLUMES, VOLUMES))
    # What a power cut does: no process, no mount, nothing in memory; and a folder that is not there any more.
    host.shell("pkill -9 -f '^[^ ]*python.* keeper' || :; pkill -9 sleep || :")
    host.shell("for at in $(grep -E '%s|/run/coracle' /proc/self/mountinfo | awk '{print $5}' | sort -r); do umount -l $at; done; "
               "rm -rf /run/coracle" % VOLUMES)
    document = json.loads(host.shell("cat %s/lost/volume.json" % VOLUMES))
    document["driver_options"]["device"] = "/opt/nowhere"
    host.run(["tee", VOLUMES + "/lost/volume.json"], input=json.dumps(document))
    done = host.run([COMMAND, "--cgroup-root", host.cgroup_root, "boot"], check=False)
    assert done.returncode == 1 and "volume lost: " in done.stderr and "/opt/nowhere is not there" in done.stderr, done.stderr
    found = volumes(host)
    assert [found[name]["mounted"] for name in ("sized", "memory", "alone", "lost")] == [True, True, True, False]
    assert found["memory"]["mode"] == "0700" and found["sized"]["owner"] == 7
    assert host.shell("cat %s/sized/_data/mine; ls -A %s/memory/_data" % (VOLUMES, VOLUMES)) == "mine\n"
    assert host.module("container_info", name=["one"])["containers"][0]["status"] == "running"


def test_the_source_of_a_bind_mount_is_made_where_that_is_asked_for(run: Runner) -> None:
    host = run.host
    mount = {"type": "bind", "source": "/srv/made/for/it", "target": "/data"}
    options = {"name": "binds", "image": "data", "command": ["sleep", "1000"], "network_mode": "none"}
    run.names.append("binds")
    failed = host.module("container_run", **options, mounts=[mount], fail=True)
    assert "'/srv/made/for/it' does not exist" in failed["msg"] and "create_host_path" in failed["msg"]
    mount["create_host_path"] = True
    assert host.module("container_run", **options, mounts=[mount], check_mode=True)["changed"]
    assert "made" not in host.shell("ls /srv")
    assert host.module("container_run", **options, mounts=[mount])["changed"]
    assert not host.module("container_run", **options, mounts=[mount])["changed"]
    assert host.shell("stat -c '%u %a' /srv/made/for/it") == "0 755\n"
    refused = host.module("container_run", **options, mounts=[{"type": "volume", "source": "v", "target": "/v", "create_host_path": True}],
                          fail=True)
    assert "create_host_path" in refused["msg"]
