# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a user who is not root: by the command line itself, and below Podman as that user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import busybox
import collection
import pytest
from bundles import root_file_system

from hosts import MANAGED_PYTHON, Host

UID = 4242
FIRST = 700000
"""Of the user's range of further IDs."""


class Guest:
    """An unprivileged user of a test host."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.home = folder / "home"
        self.program = self.home / "coracle"
        self.runtime = "/run/user/%d" % UID
        host.shell("useradd --uid %d --home-dir %s --create-home --shell /bin/sh guest; "
                   "printf 'guest:%d:65536\\n' | tee /etc/subuid > /etc/subgid; "
                   "install -d -o guest -g guest -m 700 %s" % (UID, self.home, FIRST, self.runtime))
        package = collection.collections_path() / "ansible_collections/coracle/containers/plugins/module_utils"
        self.program.write_text(textwrap.dedent("""\
            #!%s -IS
            import sys
            sys.dont_write_bytecode = True
            sys.path.insert(0, %r)
            from engine.cli.main import main
            sys.exit(main(sys.argv[1:]))
            """) % (MANAGED_PYTHON, str(package)), encoding="utf-8")
        self.program.chmod(0o755)

    def run(self, *words: Any, check: bool = True, env: Optional[Dict[str, str]] = None, folder: Optional[Path] = None,
            **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command as the user, as a login would: no groups of root's, no capabilities."""
        done = self.host.run(["setpriv", "--reuid=%d" % UID, "--regid=%d" % UID, "--clear-groups", "--inh-caps=-all",
                              "env", "-C", str(folder or self.home), *map(str, words)], check=False,
                             env={"HOME": str(self.home), "XDG_RUNTIME_DIR": self.runtime, "USER": "guest", "TMPDIR": str(self.home),
                                  **(env or {})},
                             **options)
        assert not check or done.returncode == 0, done
        return done

    def coracle(self, *words: Any, **options: Any) -> "subprocess.CompletedProcess[str]":
        """The command under test."""
        return self.run(self.program, *words, **options)

    def bundle(self, name: str, change: Optional[Callable[[Dict[str, Any]], None]] = None, args: Optional[List[str]] = None) -> Path:
        """A bundle that C(coracle spec --rootless) began."""
        folder = self.home / name
        root_file_system(folder / "rootfs")
        self.host.shell("chown -R guest:guest %s" % folder)
        self.coracle("--root", self.home / "states", "spec", "--rootless", "--bundle", folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["process"].update(terminal=False, args=args or ["sh", "-c", "id -u; cat /proc/self/uid_map"],
                                 env=["PATH=/bin", "HOME=/root"])
        if change is not None:
            change(config)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder


@pytest.fixture(scope="module")
def guest(new_host: Callable[[], Host]) -> Iterator[Guest]:
    """A user on a host of their own, whose home lies where other users may pass: not below pytest's own folder."""
    folder = Path(tempfile.mkdtemp(prefix="coracle-guest-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield Guest(new_host(), folder)
    finally:
        shutil.rmtree(folder)


def many(config: Dict[str, Any]) -> None:
    """Map the user's further IDs too."""
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind].append({"containerID": 1, "hostID": FIRST, "size": 65536})


def test_one_id_needs_nothing_installed(guest: Guest) -> None:
    folder = guest.bundle("one", args=["sh", "-c", "id -u; cat /proc/self/uid_map; cat /proc/self/setgroups; hostname; "
                                                   "echo x > /tmp/x 2>&1 || echo sealed; ls /proc | grep -c '^[0-9]'"])
    done = guest.coracle("run", "one", folder=folder)
    lines = done.stdout.splitlines()
    assert lines[0] == "0" and lines[1].split() == ["0", str(UID), "1"] and lines[2] == "deny" and lines[3] == "coracle"
    assert int(lines[-1]) <= 4
    assert guest.host.shell("ls -A %s/coracle/oci" % guest.runtime) == ""


def test_a_range_of_ids_by_newuidmap(guest: Guest) -> None:
    def change(config: Dict[str, Any]) -> None:
        many(config)
        config["root"]["readonly"] = False
        config["process"]["capabilities"]["bounding"] = config["process"]["capabilities"]["effective"] = \
            config["process"]["capabilities"]["permitted"] = ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"]
        config["process"]["user"]["additionalGids"] = [7]
    folder = guest.bundle("many", change, ["sh", "-c", "touch /mine /theirs; chown 33:44 /theirs; id -G; cat /proc/self/gid_map; "
                                                       "mkdir -p /tmp"])
    done = guest.coracle("run", "many", folder=folder)
    assert done.stdout.split() == ["0", "7", "0", str(UID), "1", "1", str(FIRST), "65536"]
    owners = guest.host.shell("stat -c %%u:%%g %s/rootfs/mine %s/rootfs/theirs" % (folder, folder)).split()
    assert owners == ["%d:%d" % (UID, UID), "%d:%d" % (FIRST + 32, FIRST + 43)]


def test_its_whole_life(guest: Guest) -> None:
    folder = guest.bundle("life", many, ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"])
    guest.run("sh", "-c", "exec %s create --pid-file pid life > out 2> err < /dev/null" % guest.program, folder=folder)
    assert json.loads(guest.coracle("state", "life").stdout)["status"] == "created"
    guest.coracle("start", "life")
    assert json.loads(guest.coracle("state", "life").stdout)["status"] == "running"
    done = guest.coracle("exec", "life", "sh", "-c", "id -u; ps -o pid,comm | grep -c sh; readlink /proc/self/ns/pid")
    pid = (folder / "pid").read_text(encoding="ascii")
    assert done.stdout.split()[0] == "0" and done.stdout.split()[-1] == guest.host.shell("readlink /proc/%s/ns/pid" % pid).strip()
    failed = guest.coracle("exec", "life", "nothing-there", check=False)
    assert failed.returncode == 255 and "nothing-there" in failed.stderr
    assert [each["id"] for each in json.loads(guest.coracle("list", "--format", "json").stdout)] == ["life"]
    guest.coracle("kill", "life", "TERM")
    guest.host.shell("while test -e /proc/%s/ns/pid; do sleep 0.05; done" % pid)
    guest.coracle("delete", "life")
    assert guest.host.shell("ls -A %s/coracle/oci" % guest.runtime) == ""


def test_an_overlay_inside(guest: Guest) -> None:
    def change(config: Dict[str, Any]) -> None:
        many(config)
        config["mounts"].append({"destination": "/mnt", "type": "overlay", "source": "overlay", "options": [
            "lowerdir=%s" % (guest.home / "lower"), "upperdir=%s" % (guest.home / "upper"),
            "workdir=%s" % (guest.home / "work"), "userxattr"]})
    guest.run("sh", "-c", "mkdir lower upper work; echo below > lower/file")
    folder = guest.bundle("overlay", change, ["sh", "-c", "cat /mnt/file; echo above > /mnt/new; rm /mnt/file; ls /mnt"])
    assert guest.coracle("run", "overlay", folder=folder).stdout.split() == ["below", "new"]
    assert guest.run("cat", "upper/new").stdout == "above\n" and guest.run("cat", "lower/file").stdout == "below\n"


def test_the_hardening_holds_for_users_too(guest: Guest) -> None:
    folder = guest.bundle("hard", many, ["sh", "-c", "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; cat /proc/timer_list | wc -c; "
                                                     "echo 1 > /proc/sys/kernel/sem; ls -l /dev/null | cut -c1; echo x > /dev/null; "
                                                     "ls /proc/self/fd | wc -l"])
    done = guest.coracle("run", "hard", folder=folder)
    lines = done.stdout.splitlines()
    assert sorted(line.split()[1] for line in lines[:2]) == ["0000000020000420", "1"]
    assert lines[2:] == ["0", "c", "4"] and "Read-only file system" in done.stderr


def test_an_interpreter_that_the_user_could_write_is_copied_and_sealed(guest: Guest) -> None:
    """The container's root is the user: what the user owns must not be reachable as /proc/PID/exe for writing."""
    if Path(os.path.realpath(MANAGED_PYTHON)).stat().st_size > 64 << 20:
        pytest.skip("this interpreter is too large to be copied in a test")
    private = guest.home / "python3"
    shutil.copy(os.path.realpath(MANAGED_PYTHON), private)
    guest.host.shell("chown guest: %s" % private)
    script = "import os, sys; sys.path.insert(0, %r); from engine.runtime import seal; seal.ensure(); " \
             "print(seal.sealed(), os.readlink('/proc/self/exe'));\ntry: os.open('/proc/self/exe', os.O_WRONLY)\n" \
             "except OSError as error: print(error.errno)" % str(
                 collection.collections_path() / "ansible_collections/coracle/containers/plugins/module_utils")
    done = guest.run(private, "-ISBc", script, check=False)
    if "No module named" in done.stderr or "Could not find platform" in done.stderr:
        pytest.skip("this interpreter does not find its library from elsewhere")
    assert done.stdout.split()[0] == "True" and "memfd:coracle" in done.stdout and done.stdout.split()[-1] in ("26", "1", "13")
    plain = guest.run(MANAGED_PYTHON, "-ISBc", script)
    assert plain.stdout.split()[0] == "False" and plain.stdout.split()[-1] == "13"  # root's, who lets nobody write it


@pytest.mark.parametrize(("change", "words"), [
    (lambda config: config["linux"].update(resources={"memory": {"limit": 1 << 24}}), "memory cannot be applied: no cgroup"),
    (lambda config: config["linux"]["uidMappings"].append({"containerID": 1, "hostID": 1, "size": 5}), "newuidmap"),
    (lambda config: config["linux"]["namespaces"].remove({"type": "user"}), "linux.uidMappings"),
    (lambda config: (config["linux"]["namespaces"].remove({"type": "user"}), config["linux"].pop("uidMappings"),
                     config["linux"].pop("gidMappings")), "user namespace"),
    (lambda config: config["mounts"].append({"destination": "/mnt", "type": "bind", "source": "/usr", "options": ["bind", "idmap"]}),
     "idmap"),
])
def test_what_is_not_granted_is_one_error(guest: Guest, change: Any, words: str) -> None:
    folder = guest.bundle("refused", change)
    try:
        done = guest.coracle("run", "refused", folder=folder, check=False)
        assert done.returncode != 0 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert guest.host.shell("ls -A %s/coracle/oci" % guest.runtime) == ""
    finally:
        shutil.rmtree(folder)


def test_without_a_runtime_folder_the_remedy_is_named(guest: Guest) -> None:
    done = guest.coracle("list", check=False, env={"XDG_RUNTIME_DIR": ""})
    assert done.returncode == 1 and "XDG_RUNTIME_DIR" in done.stderr and "--root" in done.stderr
    assert guest.coracle("--root", guest.home / "elsewhere", "list", "-q", env={"XDG_RUNTIME_DIR": ""}).stdout == ""


_STORAGE = """\
[storage]
driver = "overlay"
[storage.options.overlay]
mount_program = "/usr/bin/fuse-overlayfs"
"""
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@pytest.fixture(scope="module")
def podman(guest: Guest) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Podman as the user, with an image, with either runtime."""
    for needed in ("/usr/bin/podman", "/usr/bin/newuidmap", "/usr/bin/fuse-overlayfs", "/usr/bin/slirp4netns", "/usr/bin/crun"):
        if not os.path.exists(needed):
            pytest.skip("%s is not installed" % needed)
    if not os.access("/dev/fuse", os.R_OK):
        pytest.skip("there is no /dev/fuse")
    # Nodes as a distribution's udev would leave them, seen on this host alone.
    guest.host.shell("rm -f /etc/containers/libpod.conf; "
                     "for node in 'fuse c 10 229' 'net/tun c 10 200'; do set -- $node; own=%s/node-$3-$4; "
                     "mknod -m 666 $own $2 $3 $4; mount --bind $own /dev/$1; done; "
                     "! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified" % guest.home)
    settings = guest.home / ".config" / "containers"
    guest.run("mkdir", "-p", settings)
    (settings / "storage.conf").write_text(_STORAGE, encoding="utf-8")
    (settings / "containers.conf").write_text(_CONTAINERS, encoding="utf-8")
    (guest.home / "image.tar").write_bytes(busybox.tar())

    def call(runtime: str, *words: Any, **options: Any) -> "subprocess.CompletedProcess[str]":
        chosen = {"coracle": str(guest.program), "crun": "/usr/bin/crun"}[runtime]
        return guest.run("podman", "--runtime", chosen, *words, **options)
    call("crun", "import", guest.home / "image.tar", "box")
    return call


@pytest.mark.parametrize("runtime", ["crun", "coracle"])
def test_podman_as_a_user(podman: Any, runtime: str) -> None:
    """The same with crun, so that what this asks of ours is what the peer does here."""
    done = podman(runtime, "run", "--rm", "--network", "none", "box", "sh", "-c", "id -u; cat /proc/self/uid_map; echo $0 >&2")
    assert done.stdout.split() == ["0", "0", str(UID), "1", "1", str(FIRST), "65536"]
    done = podman(runtime, "run", "--rm", "--network", "slirp4netns", "--user", "1000:1000", "-v", "%s:/in:ro" % "/etc/hostname",
                  "box", "sh", "-c", "id -u; cat /in; test -d /sys/class/net/tap0 && echo connected")
    assert done.stdout.split()[0] == "1000" and done.stdout.split()[-1] == "connected"
    podman(runtime, "run", "--detach", "--name", "web", "--network", "none", "--read-only", "--cap-drop", "all", "box",
           "sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.1; done")
    assert podman(runtime, "exec", "web", "sh", "-c", "grep CapBnd /proc/self/status").stdout.split()[1].strip("0") == ""
    assert "web" in podman(runtime, "ps", "--format", "{{.Names}}").stdout
    podman(runtime, "stop", "--time", "120", "web")
    assert podman(runtime, "inspect", "--format", "{{.State.ExitCode}}", "web").stdout.strip() == "4"
    podman(runtime, "rm", "web")
    failed = podman(runtime, "run", "--rm", "--network", "none", "box", "nothing-there", check=False)
    assert failed.returncode == 127
