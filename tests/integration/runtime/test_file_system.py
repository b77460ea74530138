# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system of a container: its mounts, devices, and what it may not see or write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import kill
from bundles import Bundle, Lab, config, fields, refused
from waiting import until


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
                {"destination": "/up/file", "source": "/etc/hostname", "options": ["bind"]},
                {"destination": "/chain", "source": "/etc/hostname", "options": ["bind"]},
            ]
        (bundle.root / "chain").symlink_to("tmp/first")
        (bundle.root / "tmp" / "first").symlink_to("../deep/down")
        (bundle.root / "round").symlink_to("about")
        (bundle.root / "about").symlink_to("round")
        done = bundle.shell("cat /tmp/a/b /up/file /chain /deep/down | wc -l; grep -c ' /.*/trap/made ' /proc/self/mountinfo", changes)

        def circle(document: Dict[str, Any]) -> None:
            document["mounts"].append({"destination": "/round/x", "type": "tmpfs", "source": "tmpfs"})
        made = bundle.root / str(trap).lstrip("/")
        return done, made.is_dir(), refused(lambda: bundle.shell("true", circle))
    done, inside, message = lab(scenario)
    assert done.output == "4\n1\n", done
    assert inside and "mounts[6] (/round/x)" in message and "symbolic links" in message
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

    def scenario(bundle: Bundle) -> Any:
        (bundle.root / "dev").rmdir()
        (bundle.root / "dev").symlink_to(trap)
        document = config(args=["sh", "-c", "test -c /dev/null && echo x > /dev/null"])
        document["mounts"] = document["mounts"][:1]
        document["linux"].pop("maskedPaths")
        return bundle.run(document)
    assert lab(scenario).status == 0
    assert list(trap.iterdir()) == []


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


def test_cgroups_as_the_container_sees_them(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        document["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                   "options": ["nosuid", "noexec", "nodev", "ro"]})
    done = lab(lambda bundle: bundle.shell(
        "busybox cut -d: -f3 /proc/self/cgroup | busybox sort -u; cat $(busybox find /sys/fs/cgroup -name cgroup.procs | head -n 1);"
        "mkdir /sys/fs/cgroup/x", changes))
    assert done.output.splitlines()[0] == "/" and "1" in done.output.splitlines()[1:], done
    assert "Read-only" in done.errors


def test_recursive_options_reach_what_is_mounted_below(lab: Lab, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    options = ("rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnodiratime", "rnosymfollow")

    def scenario(bundle: Bundle) -> Any:
        mounts.mount("tmpfs", str(source / "below"), "tmpfs")
        try:
            def changes(document: Dict[str, Any]) -> None:
                for option in options:
                    document["mounts"].append({"destination": "/m/" + option, "source": str(source), "options": ["rbind", option]})
                document["mounts"].append({"destination": "m/undone", "source": str(source),
                                           "options": ["rbind", "ro", "rrw", "nosuid", "rnosuid", "rsuid"]})
            return bundle.shell("grep ' /m/' /proc/self/mountinfo; touch /m/undone/below/x && echo written", changes)
        finally:
            mounts.unmount(str(source / "below"))
    done = lab(scenario)
    seen = {line.split()[4]: line.split()[5].split(",") for line in done.output.splitlines()[:-1]}
    for option in options:
        assert option[1:] in seen["/m/" + option] and option[1:] in seen["/m/%s/below" % option], (option, seen)
        assert option[1:] not in seen["/m/undone/below"]
    assert "nosuid" not in seen["/m/undone"] and "rw" in seen["/m/undone/below"] and done.output.endswith("written\n")


def test_mappings_of_a_mount_of_its_own(lab: Lab, tmp_path: Path) -> None:
    """idmap maps the mount itself, ridmap what is mounted below it too."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (tmp_path / "other").mkdir()

    def scenario(bundle: Bundle) -> Any:
        mounts.bind(str(tmp_path / "other"), str(source / "below"))  # tmpfs can be mapped from Linux 6.3 on
        try:
            for path in (source / "file", source / "below" / "file"):
                path.write_text("x", encoding="ascii")
                os.chown(path, 5, 6)

            def changes(document: Dict[str, Any]) -> None:
                for kind in ("idmap", "ridmap"):
                    document["mounts"].append({
                        "destination": "/" + kind, "source": str(source), "options": ["rbind", kind],
                        "uidMappings": [{"containerID": 5, "hostID": 1005, "size": 1}],
                        "gidMappings": [{"containerID": 6, "hostID": 1006, "size": 1}]})
            return bundle.shell("for each in /idmap /ridmap; do stat -c '%u %g' $each/file $each/below/file; done", changes)
        finally:
            mounts.unmount(str(source / "below"))
    assert lab(scenario).output.splitlines() == ["1005 1006", "5 6", "1005 1006", "1005 1006"]


@pytest.mark.parametrize(("name", "arrives", "leaves"), [
    ("rprivate", False, False), ("rslave", True, False), ("rshared", True, True), ("", True, False), ("private", False, False)])
def test_propagation_of_the_root(lab: Lab, tmp_path: Path, name: str, arrives: bool, leaves: bool) -> None:
    """rootfsPropagation: whether mounts come in from the host, and go out to it."""
    source = tmp_path / "source"
    source.mkdir()

    def scenario(bundle: Bundle) -> Any:
        mounts.mount("tmpfs", str(source), "tmpfs")
        mounts.mount(None, str(source), None, mounts.MS_SHARED)
        (source / "host").mkdir()
        (source / "own").mkdir()
        out = []
        try:
            document = config(args=["sh", "-c", "until test -e /data/go; do sleep 0.01; done; grep -c /data/host /proc/self/mountinfo;"
                                                "mount -t tmpfs x /data/own; touch /data/done; sleep 9"])
            for kind in ("bounding", "effective", "permitted"):
                document["process"]["capabilities"][kind] = ["CAP_SYS_ADMIN"]
            document["linux"]["rootfsPropagation"] = name
            document["mounts"].append({"destination": "/data", "source": str(source), "options": ["rbind"] + ([name] if name else [])})

            def look(_pid: int) -> None:
                mounts.mount("tmpfs", str(source / "host"), "tmpfs")
                (source / "go").touch()
                until((source / "done").exists)
                out.append(mounts.at(str(source / "own")) is not None)
                kill.kill(bundle.state(), 9)
            return bundle.run(document, while_running=look), out
        finally:
            mounts.unmount_if_mounted(str(source / "own"))
            mounts.unmount_if_mounted(str(source / "host"))
            mounts.unmount_if_mounted(str(source))
    done, out = lab(scenario)
    assert (done.output.strip() == "1", out) == (arrives, [leaves]), done


def test_a_tmpfs_without_a_mode_has_that_of_the_folder_that_it_covers(lab: Lab) -> None:
    def changes(document: Dict[str, Any]) -> None:
        for destination, options in (("/kept", []), ("/filled", ["tmpcopyup"]), ("/said", ["mode=1770", "tmpcopyup"]), ("/new", [])):
            document["mounts"].append({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options})

    def scenario(bundle: Bundle) -> Any:
        for name in ("kept", "filled", "said"):
            (bundle.root / name).mkdir()
            (bundle.root / name).chmod(0o2751)
        return bundle.shell("stat -c %a /kept /filled /said /new", changes)
    assert lab(scenario).output.split() == ["2751", "2751", "1770", "1777"]


def test_a_read_only_tmpfs_holds_what_is_made_in_it_first(lab: Lab, tmp_path: Path) -> None:
    """Devices in /dev, and the places of further mounts."""
    def changes(document: Dict[str, Any]) -> None:
        document["mounts"][1]["options"] += ["strictatime", "ro"]
        document["mounts"] += [{"destination": "/sealed", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "mode=755"]},
                               {"destination": "/sealed/open", "source": str(tmp_path), "options": ["bind"]}]
    done = lab(lambda bundle: bundle.shell(
        "test -c /dev/null && echo x > /dev/null && readlink /dev/fd; touch /dev/x; touch /sealed/x; touch /sealed/open/x && echo made;"
        "touch /dev/shm/x && echo made", changes))
    assert done.output.splitlines() == ["/proc/self/fd", "made", "made"] and done.errors.count("Read-only") == 2, done


MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def with_users(document: Dict[str, Any], wanted: bool) -> None:
    """Give a configuration a user namespace."""
    if wanted:
        document["linux"]["namespaces"].append({"type": "user"})
        document["linux"].update(uidMappings=MAPS, gidMappings=MAPS)


@pytest.mark.parametrize("users", [False, True])
def test_a_root_that_is_moved_leaves_no_way_to_the_hosts_proc(lab: Lab, users: bool) -> None:
    """Without pivot_root the host's mounts stay in the namespace; a procfs among them would allow one without masks."""
    done = lab(lambda bundle: bundle.shell(
        "cat /proc/sys/kernel/ostype; ls /usr; busybox unshare -mrpf mount -t proc none /proc && echo bare",
        lambda document: with_users(document, users), pivot=False))
    assert done.output == "Linux\n" and "permission denied" in done.errors, done


@pytest.mark.parametrize("users", [False, True])
def test_binds_show_what_earlier_mounts_have_brought_into_the_root(lab: Lab, tmp_path: Path, users: bool) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "file").touch()

    def scenario(bundle: Bundle) -> Any:
        (bundle.root / "first").mkdir()
        bundle.root.chmod(0o777)
        (bundle.root / "tmp").chmod(0o777)
        (bundle.root / "nothing").symlink_to("tmp/there")

        def changes(document: Dict[str, Any]) -> None:
            with_users(document, users)
            document["mounts"] += [
                {"destination": "/first", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/first/below", "source": str(tmp_path / "given"), "options": ["bind"]},
                {"destination": "/nothing", "source": str(bundle.root / "first"), "options": ["rbind"]},
                {"destination": "/one", "source": str(bundle.root / "first" / "below" / "file"), "options": ["bind"]},
                {"destination": str(bundle.root / "two"), "source": str(bundle.root / "first" / "below"), "options": ["bind", "idmap"],
                 "uidMappings": MAPS, "gidMappings": MAPS}]
        return bundle.shell("ls /tmp/there /tmp/there/below; test -f /one && echo one; stat -c %u /two/file", changes)
    done = lab(scenario)
    assert done.output.split() == ["/tmp/there:", "below", "/tmp/there/below:", "file", "one",
                                   "0" if users else str(MAPS[0]["hostID"])], done


def test_a_bind_mapped_as_the_user_namespace_that_is_joined(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def scenario(bundle: Bundle) -> Any:
        bundle.root.chmod(0o777)
        first = config(args=["sleep", "1000"])
        with_users(first, True)
        seen = []

        def join(pid: int) -> None:
            second = config(args=["stat", "-c", "%u", "/m/file"])
            second["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "mount", "uts")] + [
                {"type": kind, "path": "/proc/%d/ns/%s" % (pid, name)}
                for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc"))]
            second["mounts"].append({"destination": "/m", "source": str(tmp_path), "options": ["bind", "idmap"]})
            seen.append(bundle.run(second, name="second", cgroup=bundle.cgroup + "-second"))
            kill.kill(bundle.state(), 9)
        bundle.run(first, while_running=join)
        return seen[0]
    done = lab(scenario)
    assert (done.status, done.output) == (0, "0\n"), done


@pytest.mark.parametrize("users", [False, True])
@pytest.mark.parametrize("root", ["", "slave", "shared"])
def test_propagation_of_a_mapped_bind(lab: Lab, tmp_path: Path, users: bool, root: str) -> None:
    """Each mount has what it was given, whatever the root has."""
    wanted = {"shared": "shared", "rshared": "shared", "slave": "-", "private": "-", "unbindable": "unbindable"}

    def changes(document: Dict[str, Any]) -> None:
        with_users(document, users)
        document["linux"]["rootfsPropagation"] = root
        for name in wanted:
            document["mounts"].append({"destination": "/m/" + name, "source": str(tmp_path), "options": ["bind", name, "idmap"],
                                       "uidMappings": MAPS, "gidMappings": MAPS})

    def scenario(bundle: Bundle) -> Any:
        bundle.root.chmod(0o777)
        return bundle.shell("grep ' /m/' /proc/self/mountinfo", changes)
    done = lab(scenario)
    assert {line.split()[4][3:]: line.split()[6].partition(":")[0] for line in done.output.splitlines()} == wanted, done


def test_recursive_times_of_access(lab: Lab, tmp_path: Path) -> None:
    """Of the kinds of access times one holds at a time; each is set over any other, above and below."""
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    rows = {  # what stands in mountinfo, of what is written there at all
        "rnoatime": {"noatime"}, "ratime": {"relatime"}, "rrelatime": {"relatime"}, "rnostrictatime": {"relatime"},
        "rstrictatime": set(), "rnodiratime": {"noatime", "nodiratime"}, "rdiratime": {"noatime"}}

    def scenario(bundle: Bundle) -> Any:
        mounts.mount("tmpfs", str(source / "below"), "tmpfs", mounts.MS_NOATIME)
        mounts.bind(str(source), str(source))
        mounts.set_attributes(str(source), mounts.MOUNT_ATTR_NOATIME, mounts.MOUNT_ATTR_ATIME)
        try:
            def changes(document: Dict[str, Any]) -> None:
                for option in rows:
                    document["mounts"].append({"destination": "/m/" + option, "source": str(source), "options": ["rbind", option]})
            return bundle.shell("grep ' /m/' /proc/self/mountinfo", changes)
        finally:
            mounts.unmount_if_mounted(str(source))
            mounts.unmount_if_mounted(str(source / "below"))
    seen = {line.split()[4]: set(line.split()[5].split(",")) & {"noatime", "relatime", "nodiratime"}
            for line in lab(scenario).output.splitlines()}
    assert seen == {"/m/%s%s" % (option, place): kinds for option, kinds in rows.items() for place in ("", "/below")}
