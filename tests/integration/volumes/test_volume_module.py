# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module container_volume: volumes that are declared by themselves, changed, written to tarballs, filled from them, removed."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List

import pytest

from hosts import Host

VOLUMES = "/var/lib/coracle/volumes"
EXPORT = {"server": "nas1", "path": "/export/data"}


@pytest.fixture(scope="module")
def one_host(new_host: Callable[[], Host]) -> Host:
    """One test host for all tests of this file."""
    return new_host()


@pytest.fixture
def machine(one_host: Host) -> Iterator[Host]:
    """It, without volumes before and after the test."""
    yield one_host
    for each in one_host.module("container_volume_info", usage=False)["volumes"]:
        one_host.module("container_volume", name=each["name"], state="absent", force=True)


def traces(host: Host) -> str:
    """All that a volume could leave on a host."""
    return host.shell("find %s 2>/dev/null || :; grep volumes /proc/self/mountinfo || :; losetup -a | grep %s || :"
                      % (VOLUMES, host.folder))


def converge(host: Host, **options: Any) -> Dict[str, Any]:
    """What check mode predicts, the run does, and the run after it finds done."""
    predicted = host.module("container_volume", options, check_mode=True)
    done = host.module("container_volume", options)
    assert {key: predicted[key] for key in ("changed", "actions", "diff")} == \
        {key: done[key] for key in ("changed", "actions", "diff")}
    again = host.module("container_volume", options)
    assert not again["changed"], again["diff"]
    assert again["volume"] == done["volume"]
    return done


def gone(host: Host, *names: str) -> None:
    """Remove volumes."""
    for name in names:
        host.module("container_volume", name=name, state="absent")


def actions(result: Dict[str, Any]) -> List[str]:
    return [step["action"] for step in result["actions"]]


def test_a_volume_comes_changes_and_goes(machine: Host) -> None:
    before = traces(machine)
    predicted = machine.module("container_volume", name="data", check_mode=True)
    assert predicted["changed"] and traces(machine) == before
    made = converge(machine, name="data", labels={"app": "shop"}, owner="www-data", group=33, mode="0750")
    assert actions(made) == ["create"] and made["diff"]["after"] == {
        "labels": {"app": "shop"}, "owner": 33, "group": 33, "mode": "0750"}
    assert {key: made["volume"][key] for key in ("driver", "owner", "group", "mode", "size", "backing", "mounted", "used_by")} == {
        "driver": "local", "owner": 33, "group": 33, "mode": "0750", "size": -1, "backing": "folder", "mounted": True, "used_by": []}
    assert machine.shell("stat -c '%%u %%g %%a' %s/data/_data; stat -c %%a %s/data %s" % (VOLUMES, VOLUMES, VOLUMES)).split() == [
        "33", "33", "750", "700", "700"]
    changed = converge(machine, name="data", labels={"app": "cafe"}, owner=7, mode="2770")
    assert actions(changed) == ["update"] and changed["actions"][0]["disruption"] == "live"
    assert changed["diff"] == {"before": {"labels": {"app": "shop"}, "owner": 33, "mode": "0750"},
                               "after": {"labels": {"app": "cafe"}, "owner": 7, "mode": "2770"}}
    assert not machine.module("container_volume", name="data")["changed"], "what is not said stays"
    machine.shell("chown 0 %s/data/_data; chmod 00700 %s/data/_data" % (VOLUMES, VOLUMES))
    mended = converge(machine, name="data", owner=7, mode="2770")
    assert mended["diff"]["before"] == {"owner": 0, "mode": "0700"}
    removed = machine.module("container_volume", name="data", state="absent")
    assert actions(removed) == ["remove"] and removed["volume"] == {"name": "data", "exists": False}
    assert not machine.module("container_volume", name="data", state="absent")["changed"]
    assert traces(machine) == before


def test_what_others_call_it_means_the_same(machine: Host) -> None:
    done = machine.module("container_volume", volume_name="a", driver="local", label={"x": "y"}, uid="5", gid="6",
                          options={"type": "tmpfs", "device": "tmpfs", "o": "size=2m,uid=5,gid=6"})
    assert done["volume"]["driver"] == "tmpfs" and done["volume"]["size"] == 2 << 20
    plain = machine.module("container_volume", name="a", driver="tmpfs", labels={"x": "y"}, owner=5, group=6, size="2M",
                           driver_options={"o": "size=2m,uid=5,gid=6"})
    assert not plain["changed"], plain["diff"]
    gone(machine, "a")


def test_information(machine: Host) -> None:
    for name, labels in (("one", {"app": "shop"}), ("two", {"app": "cafe", "x": "1"})):
        machine.module("container_volume", name=name, labels=labels)
    machine.shell("head -c 100000 /dev/zero > %s/one/_data/file" % VOLUMES)

    def names(**options: Any) -> List[str]:
        return [each["name"] for each in machine.module("container_volume_info", options)["volumes"]]
    assert names() == ["one", "two"] and names(label={"app": None}) == ["one", "two"] and names(label={"app": "shop"}) == ["one"]
    assert names(label={"x": "2"}) == [] and names(names=["two", "one"]) == ["two", "one"]
    found = machine.module("container_volume_info", name=["one", "three"])["volumes"]
    assert found[0]["exists"] and found[0]["used"] >= 100000 and found[1] == {"name": "three", "exists": False}
    assert machine.module("container_volume_info", name=["one"], usage=False)["volumes"][0]["used"] is None
    gone(machine, "one", "two")


def test_a_size_without_quotas_is_a_file_system_in_a_file(machine: Host) -> None:
    before = traces(machine)
    made = converge(machine, name="data", size="20M", owner=9)
    assert made["volume"]["backing"] == "image" and made["volume"]["size"] == 20 << 20 and made["volume"]["owner"] == 9
    path = VOLUMES + "/data/_data"
    assert machine.shell("ls -A %s" % path) == ""
    assert int(machine.shell("stat -c %%b %s/data/image" % VOLUMES)) * 512 < 10 << 20, "it is sparse"
    assert machine.run(["dd", "if=/dev/zero", "of=%s/file" % path, "bs=1M", "count=40"], check=False).returncode
    machine.shell("echo kept > %s/kept; rm %s/file" % (path, path))
    grown = converge(machine, name="data", size="60M")
    assert actions(grown) == ["update"] and grown["diff"] == {"before": {"size": 20 << 20}, "after": {"size": 60 << 20}}
    machine.shell("dd if=/dev/zero of=%s/file bs=1M count=40 status=none" % path)
    for size, why in (("30M", "cannot shrink"), ("-1", "cannot be without a limit")):
        for check_mode in (True, False):
            refused = machine.module("container_volume", name="data", size=size, fail=True, check_mode=check_mode)
            assert why in refused["msg"] and "backup" in refused["msg"]
    machine.shell("umount %s" % path)
    assert not machine.module("container_volume_info")["volumes"][0]["mounted"]
    mended = converge(machine, name="data", size="60M", owner=9)
    assert actions(mended) == ["mount"]
    assert machine.shell("cat %s/kept" % path) == "kept\n"
    gone(machine, "data")
    assert traces(machine) == before


def test_memory(machine: Host) -> None:
    before = traces(machine)
    made = converge(machine, name="data", driver="tmpfs", size="4M", mode="0710", owner=3)
    assert made["volume"]["size"] == 4 << 20 and made["volume"]["mode"] == "0710" and made["volume"]["owner"] == 3
    machine.shell("echo kept > %s/data/_data/kept" % VOLUMES)
    for size, shown in (("2M", 2 << 20), ("8M", 8 << 20)):
        assert converge(machine, name="data", size=size)["volume"]["size"] == shown
    assert "does not take away" in machine.module("container_volume", name="data", size="-1", fail=True)["msg"]
    machine.shell("head -c 3000000 /dev/zero > %s/data/_data/file" % VOLUMES)
    assert "more than the 2097152" in machine.module("container_volume", name="data", size="2M", fail=True)["msg"]
    machine.shell("mount -o remount,size=16m %s/data/_data" % VOLUMES)
    assert converge(machine, name="data", size="8M")["diff"]["before"] == {"size": 16 << 20}
    assert machine.shell("cat %s/data/_data/kept" % VOLUMES) == "kept\n"
    gone(machine, "data")
    assert traces(machine) == before


def test_a_tarball_of_it_and_back(machine: Host) -> None:
    machine.module("container_volume", name="data", owner=12, mode="0711")
    machine.shell("""cd %s/data/_data; echo hello > file; ln file hard; ln -s /etc/passwd soft; mkdir -p a/b; chmod 1770 a; chown 5:6 a
        mkfifo pipe; mknod null c 1 3; mknod whiteout c 0 0; touch .wh.file; head -c 300000 /dev/urandom > a/b/big; chmod 4755 a/b/big
        python3 -c 'import os; os.setxattr("file", "user.x", b"y"); os.setxattr("a", "trusted.overlay.opaque", b"y")'
        touch -d 2001-02-03T04:05:06 file a""" % VOLUMES)
    look = """cd %s/%s/_data; find . -printf '%%p %%y %%m %%U:%%G %%s %%l %%n\n' | grep -v '^[.]/[.] ' | sort
        find . -type f | sort | xargs sha256sum; stat -c %%Y file a
        python3 -c 'import os; print([(each, os.getxattr(path, each)) for path in ("file", "a") for each in os.listxattr(path)])'"""
    for end in (".tar", ".tar.gz", ".tar.zst"):
        path = "/run/data" + end
        made = converge(machine, name="data", backup=path)
        assert actions(made) == ["backup"] and made["diff"]["before"] == {"backup": None}
        first = machine.shell("sha256sum < %s; stat -c %%a %s" % (path, path))
        assert first.split()[-1] == "600", "what it holds may be secret"
        machine.shell("rm %s" % path)
        machine.module("container_volume", name="data", backup=path)
        assert machine.shell("sha256sum < %s; stat -c %%a %s" % (path, path)) == first
        assert actions(machine.module("container_volume", name="other", restore=path)) == ["create"]
        assert machine.shell(look % (VOLUMES, "other")) == machine.shell(look % (VOLUMES, "data"))
        gone(machine, "other")
    machine.shell("cd %s/data/_data; echo more >> file; touch -d 2001-02-03T04:05:06 a/b/* file null pipe whiteout .wh.file a/b a ."
                  % VOLUMES)
    assert actions(converge(machine, name="data", backup="/run/data.tar")) == ["backup"]
    machine.shell("tar -tf /run/data.tar > /dev/null; tar -df /run/data.tar -C %s/data/_data --exclude=./.coracle*" % VOLUMES)
    # One that has been in use stays as it is; to make it anew is to be asked for.
    machine.shell("rm %s/data/_data/file" % VOLUMES)
    machine.module("container_volume", name="used")
    machine.shell("touch %s/used/_data/mine" % VOLUMES)
    assert not machine.module("container_volume", name="used", restore="/run/data.tar")["changed"]
    assert actions(machine.module("container_volume", name="used", restore="/run/data.tar", recreate="always")) == ["recreate"]
    assert machine.shell("cat %s/used/_data/file; ls %s/used/_data" % (VOLUMES, VOLUMES)).startswith("hello\nmore\n")
    assert "mine" not in machine.shell("ls %s/used/_data" % VOLUMES)
    machine.module("container_volume", name="empty", mode="0700")
    filled = converge(machine, name="empty", mode="0700", restore="/run/data.tar")
    assert actions(filled) == ["restore"] and filled["volume"]["mode"] == "0700"
    gone(machine, "data", "used", "empty")


def test_a_tarball_that_cannot_be_restored_leaves_nothing(machine: Host) -> None:
    machine.python("""
import io, tarfile
def write(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name); info.type, info.linkname = kind, target
            info.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"text"))
F, S, L = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
write("/run/out.tar", ("good", F, ""), ("../../evil", F, ""))
write("/run/link.tar", ("good", F, ""), ("hard", L, "nothing"))
write("/run/through.tar", ("a", S, "/run/victim"), ("a/file", F, ""))
open("/run/cut.tar.gz", "wb").write(__import__("gzip").compress(open("/run/link.tar", "rb").read())[:-20])
""")
    machine.shell("mkdir /run/victim; echo no tar > /run/noise.tar")
    before = traces(machine)
    for name, why in (("out.tar", "leads out"), ("link.tar", "a file that the archive has not"), ("cut.tar.gz", "ends too early"),
                      ("noise.tar", "noise.tar"), ("nothing.tar", "there is no file")):
        for check_mode in (True, False):
            if name != "link.tar" or not check_mode:
                refused = machine.module("container_volume", name="data", restore="/run/" + name, fail=True, check_mode=check_mode)
                assert why in refused["msg"], refused["msg"]
    assert traces(machine) == before
    for size in ({}, {"size": "10M"}):
        machine.module("container_volume", name="data", restore="/run/through.tar", **size)
        assert machine.shell("ls /run/victim; ls %s/data/_data/run/victim" % VOLUMES).split() == ["file"], "a link leads inside"
        gone(machine, "data")
    assert traces(machine) == before


def test_another_driver_is_refused_unless_it_may_be_made_anew(machine: Host) -> None:
    machine.shell("mkdir -p /srv/coracle-shown 2>/dev/null || :; mkdir -p /opt/shown; echo there > /opt/shown/file")
    machine.module("container_volume", name="data", labels={"a": "b"})
    machine.shell("touch %s/data/_data/mine" % VOLUMES)
    bind = {"device": "/opt/shown", "o": "bind,ro"}
    for check_mode in (True, False):
        refused = machine.module("container_volume", name="data", driver_options=bind, fail=True, check_mode=check_mode)
        assert "'driver_options' cannot be changed" in refused["msg"] and "recreate: options-changed" in refused["msg"]
    made = converge(machine, name="data", driver_options=bind, recreate="options-changed")
    assert actions(made) == ["recreate"] and made["actions"][0]["disruption"] == "recreate"
    assert machine.shell("cat %s/data/_data/file" % VOLUMES) == "there\n"
    assert machine.run(["touch", VOLUMES + "/data/_data/x"], check=False).returncode
    assert made["volume"]["labels"] == {"a": "b"}
    # One that fails leaves the old one.
    refused = machine.module("container_volume", name="data", driver_options={"device": "/opt/nowhere", "o": "bind"},
                             recreate="options-changed", fail=True)
    assert "/opt/nowhere is not there" in refused["msg"]
    assert machine.shell("cat %s/data/_data/file" % VOLUMES) == "there\n"
    gone(machine, "data")
    assert machine.shell("cat /opt/shown/file") == "there\n", "what was only shown stays"


HELPER = """#!/usr/bin/python3
import json, os, subprocess, sys
if "refuse" in sys.argv[1]:
    sys.stderr.write("mount error(13): Permission denied\\n")
    sys.exit(32)
with open("/run/helper-calls", "a") as stream:
    stream.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], os.environ.get("PASSWD")]) + "\\n")
kind = {"mount.nfs": "nfs4", "mount.ceph": "ceph", "mount.cifs": "cifs", "mount.glusterfs": "fuse.glusterfs"}
os.makedirs("/run/served", exist_ok=True)
subprocess.run(["mount", "--bind", "/run/served", sys.argv[2]], check=True)
"""
CALLS = [
    ("nfs", {**EXPORT, "o": "vers=4.2,soft"}, ["mount.nfs", ["nas1:/export/data", "T", "-o", "vers=4.2,soft,retry=0"], None]),
    ("local", {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.5,rw"}, ["mount.nfs", ["10.0.0.5:/x", "T", "-o", "rw,retry=0"], None]),
    ("nfs", {"device": "[fd00::1]:/x", "o": "retry=1"}, ["mount.nfs", ["[fd00::1]:/x", "T", "-o", "retry=1"], None]),
    ("cephfs", {"monitors": "10.0.0.1:6789,10.0.0.2", "path": "/team", "user": "shop", "secret_file": "/etc/ceph/shop", "fs": "main"},
     ["mount.ceph", ["10.0.0.1:6789,10.0.0.2:/team", "T", "-o", "name=shop,secretfile=/etc/ceph/shop,fs=main"], None]),
    ("glusterfs", {"server": "g1", "volume": "gv0", "path": "/sub"}, ["mount.glusterfs", ["g1:/gv0/sub", "T"], None]),
    ("cifs", {"server": "files1", "share": "docs/a", "username": "anna", "password": "s3cr3t,x", "domain": "W", "o": "uid=5"},
     ["mount.cifs", ["//files1/docs/a", "T", "-o", "username=anna,domain=W,uid=5"], "s3cr3t,x"]),
    ("local", {"type": "cifs", "device": "//files1/docs", "o": "username=anna,password=s3cr3t"},
     ["mount.cifs", ["//files1/docs", "T", "-o", "username=anna"], "s3cr3t"]),
]


@pytest.fixture
def helpers(machine: Host) -> Host:
    """A host whose mount helpers write down how they are called, and mount a folder."""
    for name in ("mount.nfs", "mount.ceph", "mount.glusterfs", "mount.cifs"):
        machine.run(["tee", "/usr/local/sbin/" + name], input=HELPER)
        machine.shell("chmod 755 /usr/local/sbin/" + name)
    machine.shell("rm -f /run/helper-calls")
    return machine


@pytest.mark.parametrize("driver, options, call", CALLS, ids=[call[0] + " " + " ".join(options) for _driver, options, call in CALLS])
def test_helpers_are_called_with_just_these_words(helpers: Host, driver: str, options: Dict[str, str], call: List[Any]) -> None:
    before = traces(helpers)
    made = helpers.module("container_volume", name="far", driver=driver, driver_options=options)
    said = [json.loads(line) for line in helpers.shell("cat /run/helper-calls").splitlines()]
    call = [call[0], [VOLUMES + "/far/_data" if word == "T" else word for word in call[1]], call[2]]
    assert said == [call]
    if driver != "local":  # which has it among the options of mount(8), as Docker's users write it
        assert "s3cr3t" not in json.dumps(made)
    del made["invocation"]
    assert "s3cr3t" not in json.dumps(made)
    assert "s3cr3t" not in json.dumps(helpers.module("container_volume_info"))
    assert made["volume"]["size"] is None
    helpers.shell("touch /run/served/theirs")
    gone(helpers, "far")
    assert traces(helpers) == before
    assert helpers.shell("ls /run/served") == "theirs\n", "what another machine has stays there"


def test_what_a_helper_says_is_passed_on(helpers: Host) -> None:
    before = traces(helpers)
    refused = helpers.module("container_volume", name="far", driver="cifs", fail=True,
                             driver_options={"server": "refuse", "share": "x", "password": "s3cr3t"})
    assert "mount.cifs cannot mount //refuse/x (exit status 32): mount error(13): Permission denied" in refused["msg"]
    assert "s3cr3t" not in refused["msg"] and traces(helpers) == before


@pytest.mark.parametrize("driver, options, package", [
    ("cephfs", {"monitors": "m"}, "ceph-common"), ("cifs", {"server": "s", "share": "x"}, "cifs-utils"),
    ("glusterfs", {"server": "s", "volume": "v"}, "glusterfs-client")])
def test_a_missing_helper_is_named_with_its_package(machine: Host, driver: str, options: Dict[str, str], package: str) -> None:
    machine.shell("rm -f /usr/local/sbin/mount.*")
    before = traces(machine)
    name = "mount." + {"cephfs": "ceph"}.get(driver, driver)
    machine.shell("for path in /usr/sbin/%s; do [ ! -e $path ] || mount --bind /dev/null $path; done" % name)
    refused = machine.module("container_volume", name="far", driver=driver, driver_options=options, fail=True)
    assert "has no %s" % name in refused["msg"] and package in refused["msg"] and traces(machine) == before


@pytest.mark.parametrize("options, why", [
    ({"driver": "nfs"}, "lacks 'server'"), ({"driver_options": {"type": "nosuchfs", "device": "none"}}, "no file system of type nosuchfs"),
    ({"driver_options": {"type": "ext4", "device": "/dev/null"}}, "the kernel cannot mount /dev/null (ext4)"),
    ({"driver": "floppy"}, "driver"), ({"owner": "nobody-of-this-name"}, "no user 'nobody-of-this-name'"),
    ({"driver_options": {"Type": "x"}}, "driver_options"),
    ({"mode": 750}, "octal"), ({"size": "10"}, "less than 1M"), ({"backup": "/nowhere/data.tar"}, "/nowhere does not exist"),
])
def test_bad_input_is_one_error_and_leaves_nothing(one_host: Host, options: Dict[str, Any], why: str) -> None:
    before = traces(one_host)
    refused = one_host.module("container_volume", options, name="data", fail=True)
    assert why in refused["msg"], refused["msg"]
    assert "Traceback" not in (refused.get("exception") or "") and traces(one_host) == before


def test_a_full_disk_leaves_what_was(machine: Host) -> None:
    machine.shell("mkdir /run/small; mount -t tmpfs -o size=1m tmpfs /run/small")
    machine.module("container_volume", name="data")
    machine.shell("head -c 100000 /dev/urandom > %s/data/_data/file" % VOLUMES)
    machine.module("container_volume", name="data", backup="/run/small/data.tar")
    kept = machine.shell("sha256sum /run/small/*")
    machine.shell("head -c 2000000 /dev/urandom > %s/data/_data/file" % VOLUMES)
    assert "full" in machine.module("container_volume", name="data", backup="/run/small/data.tar", fail=True)["msg"]
    assert machine.shell("sha256sum /run/small/*") == kept
    machine.module("container_volume", name="data", backup="/run/big.tar")
    before = traces(machine)
    assert "full" in machine.module("container_volume", name="tiny", size="1M", restore="/run/big.tar", fail=True)["msg"]
    assert traces(machine) == before
    gone(machine, "data")
    machine.shell("umount /run/small; rmdir /run/small")


def test_what_is_mounted_in_it_is_not_deleted(machine: Host) -> None:
    machine.module("container_volume", name="data")
    machine.shell("mkdir -p %s/data/_data/in /opt/precious; touch /opt/precious/file; mount --bind /opt/precious %s/data/_data/in"
                  % (VOLUMES, VOLUMES))
    assert "has something mounted in it" in machine.module("container_volume", name="data", state="absent", fail=True)["msg"]
    machine.module("container_volume", name="data", state="absent", force=True)
    assert machine.shell("ls /opt/precious; ls %s 2>/dev/null || :" % VOLUMES) == "file\n"
