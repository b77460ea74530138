# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths inside a root that is the attacker's: links, swaps and volumes lead nowhere but inside."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts, paths
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import devices, places
from attacks import SECONDS, Ground, Refused, attempt, outward, show, swapped
from waiting import PATIENCE

ROUNDS = 3000
"""How often each step is taken at least while a path is swapped."""


def files_below(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


STEPS: Dict[str, Callable[[paths.Root, str], Any]] = {
    "make_folders": lambda root, name: os.close(root.make_folders("/a/x%s/y" % name)),
    "make_file": lambda root, name: os.close(root.make_file("/a/f%s" % name)),
    "open": lambda root, name: os.close(root.open("/a/new%s" % name, os.O_RDWR | os.O_CREAT, 0o600)),
    "nodes": lambda root, name: devices.make(root, [devices.Node("/a/n" + name, stat.S_IFCHR | 0o666, os.makedev(1, 3))], False),
    "links": lambda root, name: devices.link(root, (("/dev/l" + name, "x"),)),
}


@pytest.mark.advisory("CVE-2021-30465", "CVE-2018-15664", "CVE-2026-42306", "CVE-2024-45310", "CVE-2025-24965", "CVE-2024-23651")
@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_part_of_a_path_that_is_swapped_for_a_link_leads_nowhere(plain: Ground, step: str) -> None:
    """Thousands of rounds: a folder on the way turns into a link out of the root at any moment."""
    trap = plain.volume("trap")

    def scenario() -> Any:
        place = "dev" if step == "links" else "a"
        folder, link = plain.root / place, plain.root / "other"
        folder.mkdir(exist_ok=True)
        link.symlink_to(outward(trap))
        root = paths.Root(str(plain.root))
        good = bad = 0
        until = time.monotonic() + SECONDS
        with swapped(folder, link):
            while good + bad < ROUNDS or time.monotonic() < until or good <= 20 and time.monotonic() < until + PATIENCE:
                result = attempt(lambda: STEPS[step](root, str(good + bad)))  # noqa: B023
                good, bad = good + (result is None), bad + (result is not None)
        root.close()
        return good, bad
    good, bad = plain.inside(scenario)
    behind = files_below(plain.root / str(trap).lstrip("/"))  # where the link leads to inside of the root
    assert good + bad >= ROUNDS and good > 20 and bad + len(behind) > 20, (good, bad, len(behind))
    assert files_below(trap) == []


@pytest.mark.advisory("CVE-2021-30465", "CVE-2024-45310", "CVE-2026-55686")
def test_containers_whose_places_are_swapped_while_they_start_stay_inside(ground: Ground) -> None:
    """A part of the destinations of mounts, devices and the working folder turns into a link out of the root."""
    trap = ground.volume("trap")

    def scenario() -> Any:
        folder, link = ground.root / "a", ground.root / "b"
        folder.mkdir()
        link.symlink_to(outward(trap))
        ground.give(ground.root)
        good = rounds = 0
        bad: List[str] = []
        until = time.monotonic() + 2 * SECONDS
        with swapped(folder, link):
            while rounds < 20 or time.monotonic() < until or good <= 2 and time.monotonic() < until + PATIENCE:
                document = ground.document(args=["true"], cwd="/a/work/%d" % rounds)
                document["mounts"] += [
                    {"destination": "/a/x%d" % rounds, "type": "tmpfs", "source": "t"},
                    {"destination": "/a/y%d/z" % rounds, "source": "/etc/hostname", "options": ["bind"]}]
                document["linux"]["devices"] = [{"path": "/a/device%d" % rounds, "type": "c", "major": 1, "minor": 3}] \
                    if not ground.mapped else []
                rounds += 1
                try:
                    ground.bundle.run(document, wait=False)
                    good += 1
                except (EngineError, OSError) as error:
                    bad.append(str(error))
        return good, bad
    good, bad = ground.inside(scenario)
    behind = files_below(ground.root / str(trap).lstrip("/"))
    assert good > 2 and len(bad) + len(behind) > 2, (good, bad[:5])
    assert files_below(trap) == []


@pytest.mark.advisory("CVE-2025-54867", "CVE-2023-28642", "CVE-2019-19921", "CVE-2023-27561")
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/etc", "other", "missing", "/proc/self/root", None])
def test_proc_and_sys_are_mounted_on_folders_of_their_own(ground: Ground, name: str, target: Any) -> None:
    """The image's /proc or /sys is a link, or a file: a mask or a label would land elsewhere."""
    place = ground.root / name

    def scenario() -> Any:
        place.rmdir()
        (ground.root / "other").mkdir()
        if target is None:
            place.write_text("no folder", encoding="ascii")
        else:
            place.symlink_to(target)
        return attempt(lambda: ground.run(ground.document(args=["true"])))
    done = ground.inside(scenario)
    assert isinstance(done, Refused) and "/" + name in done.why and "ordinary folder" in done.why


@pytest.mark.advisory("CVE-2023-27561", "CVE-2025-52881")
def test_proc_that_is_swapped_for_a_link_while_it_is_mounted_is_refused_or_real(plain: Ground) -> None:
    """Thousands of rounds: between the look at /proc and its mount the folder turns into a link."""
    def scenario() -> Any:
        folder, link, decoy = plain.root / "proc", plain.root / "link", plain.root / "decoy"
        decoy.mkdir()
        link.symlink_to("decoy")
        mounts.bind(str(plain.root), str(plain.root))
        root = paths.Root(str(plain.root))
        good = bad = 0
        until = time.monotonic() + SECONDS
        elsewhere = 0
        try:
            with swapped(folder, link):
                while good + bad < ROUNDS or time.monotonic() < until or min(good, bad) <= 20 and time.monotonic() < until + PATIENCE:
                    tree = mounts.new_file_system("tmpfs", [("source", "x")])  # a detached mount is copied from Linux 6.15 on
                    result = attempt(lambda: places.attach(root, "/proc", tree, strict=True))  # noqa: B023
                    os.close(tree)
                    good, bad = good + (result is None), bad + (result is not None)
                    elsewhere += mounts.unmount_if_mounted(str(decoy))
                    for each in (folder, link):
                        mounts.unmount_if_mounted(str(each))
        finally:
            root.close()
            for each in mounts.below(str(plain.root)):
                mounts.unmount(each.target, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        return good, bad, elsewhere
    good, bad, elsewhere = plain.inside(scenario)
    assert good > 20 and bad > 20 and elsewhere == 0, (good, bad, elsewhere)


@pytest.mark.advisory("CVE-2019-16884", "CVE-2019-19921", "CVE-2025-52881", "CVE-2025-62596")
def test_what_is_mounted_over_proc_gets_no_write_of_the_runtime(plain: Ground) -> None:
    """A volume at /proc: kernel parameters and labels are written to the host's, which it cannot be taken for."""
    volume = plain.volume()
    fakes = ["sys/net/ipv4/ip_default_ttl", "thread-self/attr/exec", "thread-self/attr/apparmor/exec", "self/attr/exec"]
    for each in fakes:
        (volume / each).parent.mkdir(parents=True, exist_ok=True)
        (volume / each).write_text("", encoding="ascii")
    real = Path("/proc/sys/net/ipv4/ip_default_ttl")

    def scenario() -> Any:
        document = plain.document(args=["cat", "/proc/sys/net/ipv4/ip_default_ttl"], apparmorProfile="unconfined")
        show(document, volume, "/proc")
        document["linux"]["sysctl"] = {"net.ipv4.ip_default_ttl": "99"}
        before = real.read_text(encoding="ascii")
        return plain.run(document).output, before == real.read_text(encoding="ascii")
    assert plain.inside(scenario) == ("", True)
    assert [each for each in fakes if (volume / each).read_text(encoding="ascii")] == []


@pytest.mark.advisory("CVE-2025-52881")
def test_the_runtime_asks_no_proc_of_the_image_about_itself(plain: Ground) -> None:
    """Once the root has changed, /proc is what the image says: it tells of many threads, and of another process."""
    volume = plain.volume()
    for each in ("self/task/1/x", "self/task/2/x", "self/task/3/x", "thread-self/ns/pid"):
        (volume / each).parent.mkdir(parents=True, exist_ok=True)
        (volume / each).write_text("", encoding="ascii")

    def scenario() -> Any:
        document = plain.document(args=["echo", "fine"])
        show(document, volume, "/proc")
        document["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
        return plain.run(document).output
    assert plain.inside(scenario) == "fine\n"


@pytest.mark.advisory("CVE-2019-19921", "CVE-2025-52881")
def test_kernel_parameters_reach_the_containers_own_namespace(ground: Ground) -> None:
    def change(document: Dict[str, Any]) -> None:
        document["linux"]["sysctl"] = {"net.ipv4.ip_default_ttl": "99"}
    assert ground.shell("cat /proc/sys/net/ipv4/ip_default_ttl", change).output == "99\n"
    assert ground.inside(lambda: Path("/proc/sys/net/ipv4/ip_default_ttl").read_text(encoding="ascii")) != "99\n"


@pytest.mark.advisory("CVE-2025-31133", "CVE-2025-62161")
def test_a_null_device_of_the_image_never_serves_as_a_mask(ground: Ground) -> None:
    """/dev/null in the container is a link to what the attacker would like to have there, when paths are masked."""
    volume = ground.volume()
    (volume / "null").symlink_to("/etc/prize")
    (ground.root / "etc/prize").write_text("prize", encoding="ascii")

    def changes(document: Dict[str, Any]) -> None:
        document["mounts"] = [each for each in document["mounts"] if not each["destination"].startswith("/dev")]
        show(document, volume, "/dev")
        document["linux"]["maskedPaths"] = ["/proc/keys", "/proc/timer_list"]
    done = ground.shell("stat -c %t:%T /proc/keys /proc/timer_list; busybox readlink /dev/null", changes)
    assert done.output.split() == ["1:3", "1:3", "/etc/prize"], done


@pytest.mark.advisory("CVE-2025-52565")
def test_the_console_is_the_terminal_itself_and_no_name_of_it(plain: Ground) -> None:
    """/dev is a link: by name, /dev/pts/0 would be a file that the attacker chose on the host."""
    import socket
    trap = plain.volume("trap")
    (trap / "pts").mkdir()
    for each in ("pts/0", "console"):
        (trap / each).write_text("a file of the host", encoding="ascii")

    def scenario() -> Any:
        (plain.root / "dev").rmdir()
        (plain.root / "dev").symlink_to(trap)
        inside = plain.root / str(trap).lstrip("/")
        inside.mkdir(parents=True)
        ours, theirs = socket.socketpair()
        document = plain.document(args=["sh", "-c", "test -c /dev/console && echo yes > /data/said; cat /etc/hostname"], terminal=True)
        document["process"]["args"][2] = "test -c /dev/console && echo yes"
        with ours, theirs:
            done = attempt(lambda: plain.run(document, console=theirs))
            if isinstance(done, Refused):
                return done.why
            _data, rights, _flags, _address = ours.recvmsg(64, socket.CMSG_SPACE(4))
            master = int.from_bytes(rights[0][2][:4], "little")
            said = os.read(master, 100)
            os.close(master)
            return bytes(said)
    assert plain.inside(scenario).strip() == b"yes"
    assert {(trap / each).read_text(encoding="ascii") for each in ("pts/0", "console")} == {"a file of the host"}
    assert files_below(trap) == ["console", "pts", "pts/0"]


@pytest.mark.advisory("CVE-2026-41579", "CVE-2026-47766")
@pytest.mark.parametrize("absolute", [True, False])
def test_default_devices_and_links_are_not_made_where_a_link_of_the_image_leads(ground: Ground, absolute: bool) -> None:
    trap = ground.volume("trap")

    def scenario() -> Any:
        (ground.root / "dev").rmdir()
        (ground.root / "dev").symlink_to(str(trap) if absolute else outward(trap))
        document = ground.document(args=["ls", str(trap)])
        document["mounts"] = [each for each in document["mounts"] if not each["destination"].startswith("/dev")]
        ground.give(ground.root)
        return attempt(lambda: ground.run(document))
    done = ground.inside(scenario)
    assert isinstance(done, Refused) or "null" in done.output.split(), done
    assert files_below(trap) == []


@pytest.mark.advisory("CVE-2024-45310", "CVE-2026-55686")
@pytest.mark.parametrize("text", ["absolute", "outward", "chain"])
def test_a_working_folder_behind_a_link_is_made_inside(ground: Ground, text: str) -> None:
    trap = ground.volume("trap")

    def scenario() -> Any:
        link = ground.root / "link"
        link.symlink_to({"absolute": str(trap), "outward": outward(trap), "chain": "chain/x"}[text])
        (ground.root / "chain").symlink_to(outward(trap))
        return attempt(lambda: ground.run(ground.document(args=["pwd"], cwd="/link/new/folder")))
    done = ground.inside(scenario)
    assert isinstance(done, Refused) or done.output.endswith("/new/folder\n")
    assert files_below(trap) == []


@pytest.mark.advisory("CVE-2024-9341", "CVE-2025-9566", "CVE-2025-24965")
@pytest.mark.parametrize("kind", ["file", "folder", "tmpfs"])
def test_the_place_of_a_mount_behind_a_link_is_made_inside(ground: Ground, kind: str) -> None:
    """What a runtime puts into the root (secrets, resolv.conf, FIPS folders) lands where a link of the image leads."""
    trap, source = ground.volume("trap"), ground.volume("source")
    (source / "file").write_text("of the host", encoding="ascii")

    def scenario() -> Any:
        (ground.root / "etc/link").symlink_to(outward(trap))
        document = ground.document(args=["ls", "/etc/link"])
        if kind == "tmpfs":
            document["mounts"].append({"destination": "/etc/link/new/place", "type": "tmpfs", "source": "t"})
        else:
            show(document, source / "file" if kind == "file" else source, "/etc/link/new/place")
        return attempt(lambda: ground.run(document))
    done = ground.inside(scenario)
    assert isinstance(done, Refused) or "new" in done.output, done
    assert files_below(trap) == []


@pytest.mark.advisory("CVE-2025-9566")
def test_a_file_that_is_mounted_over_a_link_leaves_the_links_target(ground: Ground) -> None:
    victim = ground.folder / "victim"
    victim.write_text("untouched", encoding="ascii")
    source = ground.volume("source")
    (source / "file").write_text("new", encoding="ascii")

    def scenario() -> Any:
        (ground.root / "etc/resolv.conf").symlink_to(outward(victim))
        document = ground.document(args=["sh", "-c", "cat /etc/resolv.conf; echo more >> /etc/resolv.conf"])
        show(document, source / "file", "/etc/resolv.conf", "ro")
        return attempt(lambda: ground.run(document))
    ground.inside(scenario)
    assert victim.read_text(encoding="ascii") == "untouched"
    assert (source / "file").read_text(encoding="ascii") == "new"


@pytest.mark.advisory("CVE-2024-9676")
@pytest.mark.parametrize("kind", ["fifo", "device", "zero", "huge", "loop", "folder", "kmsg", "host"])
def test_a_users_file_that_is_none_is_refused_at_once(ground: Ground, kind: str) -> None:
    """/etc/passwd is a FIFO, a device, a link to one, endless, or the host's."""
    passwd = ground.root / "etc/passwd"
    victim = ground.folder / "passwd"
    victim.write_text("root:x:0:0::/of/the/host:/bin/sh\n", encoding="ascii")

    def scenario() -> Any:
        passwd.unlink()
        if kind == "fifo":
            os.mkfifo(str(passwd))
        elif kind == "device":
            os.mknod(str(passwd), 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        elif kind == "huge":
            with passwd.open("wb") as stream:
                stream.truncate(1 << 30)
        elif kind == "folder":
            passwd.mkdir()
        else:
            passwd.symlink_to({"zero": "/dev/zero", "loop": "passwd", "kmsg": "/proc/kmsg", "host": outward(victim)}[kind])
        document = ground.document(args=["sh", "-c", "echo $HOME"])
        document["process"]["env"] = ["PATH=/bin"]
        begin = time.monotonic()
        return attempt(lambda: ground.run(document)), time.monotonic() - begin
    done, seconds = ground.inside(scenario)
    assert seconds < 100 and not isinstance(done, Refused) and done.output == "/\n", (done, seconds)


@pytest.mark.advisory("CVE-2024-1753")
@pytest.mark.parametrize("name", ["../../escape", "/../../escape", "a/../../../escape", "./../escape"])
def test_a_destination_with_dots_stays_inside(ground: Ground, name: str) -> None:
    def change(document: Dict[str, Any]) -> None:
        document["mounts"].append({"destination": name, "type": "tmpfs", "source": "t"})
    done = attempt(lambda: ground.shell("ls -d /escape", change))
    assert isinstance(done, Refused) or done.output == "/escape\n", done
    assert not list(ground.folder.parent.rglob("escape")) or (ground.root / "escape").is_dir()
    assert not (ground.folder / "escape").exists() and not (ground.bundle.folder / "escape").exists()
