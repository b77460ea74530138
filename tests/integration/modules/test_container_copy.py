# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_copy): into containers and out of them, whatever state they are in."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from containers import SLEEP, Runner, add_image
from hosts import Host

Copy = Callable[..., Dict[str, Any]]
KINDS = ("runs", "mapped", "rests", "restsmapped")


@pytest.fixture(scope="module")
def runner(shared_host: Host) -> Runner:
    """Containers that run and that do not, with and without a user namespace, each with a volume at /vol and a tmpfs at /ram."""
    add_image(shared_host)
    made = Runner(shared_host, {"network_mode": "none"})
    for name in KINDS:
        mounts = [{"type": "volume", "source": "vol-" + name, "target": "/vol"}, {"type": "tmpfs", "target": "/ram"}]
        more = {"userns_mode": "auto"} if "mapped" in name else {}
        made(name, mounts=mounts, user="web", **more, **({"state": "created", "image": "busybox", "command": SLEEP}
                                                        if "rests" in name else {}))
    return made


@pytest.fixture
def copy(runner: Runner) -> Copy:
    """Run the module."""
    def call(container: str, container_path: str, check_mode: bool = False, fail: bool = False, **more: Any) -> Dict[str, Any]:
        given = {"container": container, "container_path": container_path, **more}
        return runner.host.module("container_copy", given, check_mode=check_mode, fail=fail)
    return call


def seen(runner: Runner, container: str, script: str) -> str:
    """What root in the container sees; one that rests is started for it, and stopped again."""
    host = runner.host
    if "rests" in container:
        host.module("container_run", name=container, state="started")
    try:
        return str(host.module("container_exec", container=container, argv=["sh", "-c", script], user="0")["stdout"])
    finally:
        if "rests" in container:
            host.module("container_run", name=container, state="stopped")


def quietly(runner: Runner) -> None:
    """Nothing is mounted on the host for a container that does not run."""
    assert "rests" not in runner.host.shell("cat /proc/self/mountinfo")


def twice(copy: Copy, *arguments: Any, **more: Any) -> Dict[str, Any]:
    """Check mode says what then happens, and a second run changes nothing."""
    told = copy(*arguments, check_mode=True, **more)
    made = copy(*arguments, **more)
    assert {key: told[key] for key in ("changed", "actions", "diff", "container_path")} == {
        key: made[key] for key in ("changed", "actions", "diff", "container_path")}
    again = copy(*arguments, **more)
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], [])
    return made


@pytest.mark.parametrize("name, folder", [("runs", "/etc"), ("mapped", "/vol"), ("rests", "/etc"), ("restsmapped", "/vol")])
def test_a_text(copy: Copy, runner: Runner, name: str, folder: str) -> None:
    """It belongs to the container's user; then to whom it is given, by the names that the container has."""
    path = folder + "/made.conf"
    made = twice(copy, name, path, content="one\n")
    assert made["changed"] and [(each["action"], each["target"]) for each in made["actions"]] == [("create", path)]
    assert {"before_header": path, "after_header": path, "before": "", "after": "one\n"} in made["diff"]
    changed = twice(copy, name, path, content="two\n", owner="root", group="extra", mode="0640")
    assert changed["actions"][0]["options"] == ["content", "mode", "owner", "group"] and changed["actions"][0]["action"] == "write"
    assert changed["diff"][0]["before"]["owner"] == 1000 and changed["diff"][0]["after"] == {
        "state": "file", "mode": "0640", "owner": 0, "group": 2000, "size": 4}
    kept = twice(copy, name, path, content="three\n")
    assert kept["actions"][0]["options"] == ["content"], "what is not said stays"
    assert twice(copy, name, path, content="three\n", owner="1000")["actions"][0]["action"] == "set"
    assert seen(runner, name, "cat {0}; stat -c '%u %g %a' {0}; ls -a {1} | grep -c coracle || true".format(path, folder)) == (
        "three\n1000 2000 640\n0")
    quietly(runner)


@pytest.mark.parametrize("name", ["runs", "restsmapped"])
def test_a_tree_there_and_back(copy: Copy, runner: Runner, name: str) -> None:
    source, back = "/run/tree-" + name, "/run/back-" + name
    runner.host.shell("mkdir -p %s/sub/deep; cd %s; echo a >a; echo b >sub/b; chmod 750 sub; chmod 4755 a; ln -s ../a sub/link;"
                      "ln -s /etc/shadow out; head -c 3000000 /dev/urandom >sub/deep/big; mkfifo fifo; : >empty" % (source, source))
    made = twice(copy, name, "/data/tree", path=source)
    assert made["transfer"] == {**made["transfer"], "files": 4, "directories": 3, "links": 2, "place": "/data/tree",
                                "skipped": [source + "/fifo"]}
    assert made["warnings"]
    assert seen(runner, name, "cd /data/tree; stat -c '%a %U' a sub; busybox readlink out; busybox readlink sub/link; cat sub/b") == (
        "4755 web\n750 web\n/etc/shadow\n../a\nb")
    runner.host.shell("echo changed >%s/sub/b" % source)
    assert [each["target"] for each in twice(copy, name, "/data/tree", path=source)["actions"]] == ["/data/tree/sub/b"]
    if name == "runs":
        seen(runner, name, "busybox mknod /data/tree/device c 1 3")
    fetched = twice(copy, name, "/data/tree", path=back, from_container=True)
    assert fetched["changed"] and fetched["transfer"]["skipped"] == (["/data/tree/device"] if name == "runs" else [])
    assert runner.host.shell("cd %s; stat -c '%%a %%u' a sub; readlink out; cmp sub/deep/big %s/sub/deep/big; ls" % (back, source)) == (
        "755 0\n750 0\n/etc/shadow\na\nempty\nout\nsub\n"), "no set-user-ID bit comes out of a container"
    quietly(runner)


def test_files_and_folders_and_links(copy: Copy, runner: Runner) -> None:
    """A file goes into a folder, and takes the place of a link; a link is followed only if that is asked for, and inside."""
    runner.host.shell("echo host >/run/one; mkdir -p /run/folder; echo x >/run/folder/x; ln -sfn /run/one /run/link")
    made = twice(copy, "runs", "/data", path="/run/one")
    assert made["container_path"] == "/data/one"
    assert "is a directory" in copy("runs", "/data", content="x", fail=True)["msg"]
    assert "is a file" in copy("runs", "/data/one", path="/run/folder", fail=True)["msg"]
    seen(runner, "runs", "ln -s /run/one /data/abroad; echo old >/data/old; ln -s old /data/near; mkdir -p /run")
    followed = twice(copy, "runs", "/data/near", content="new\n", follow=True)
    assert followed["container_path"] == "/data/old"
    assert twice(copy, "runs", "/data/abroad", content="inside\n", follow=True)["container_path"] == "/run/one"
    assert runner.host.shell("cat /run/one") == "host\n"
    twice(copy, "runs", "/data/near", content="instead\n")
    assert seen(runner, "runs", "cat /data/old /data/near /run/one; test -L /data/near || echo file") == "new\ninstead\ninside\nfile"
    twice(copy, "runs", "/data/linked", path="/run/link")
    twice(copy, "runs", "/data/as-link", path="/run/link", local_follow=False)
    assert seen(runner, "runs", "cat /data/linked; busybox readlink /data/as-link") == "host\n/run/one"


def test_force(copy: Copy, runner: Runner) -> None:
    copy("runs", "/data/f", content="1")
    assert not copy("runs", "/data/f", content="2", force=False)["changed"]
    assert copy("runs", "/data/f", content="1", force=True)["changed"]
    assert copy("runs", "/data/g", content="1", force=False)["changed"]
    copy("runs", "/data/b", content=base64.b64encode(b"\0\xff").decode(), content_is_b64=True, mode="0o600")
    assert seen(runner, "runs", "cat /data/f; stat -c %s%a /data/b") == "12600"
    assert "Base64" in copy("runs", "/data/b", content="?", content_is_b64=True, fail=True)["msg"]


@pytest.mark.parametrize("name", ["runs", "restsmapped"])
def test_backup(copy: Copy, runner: Runner, name: str) -> None:
    """What is replaced stays, with its owner and mode; nothing stays of what is new, or the same but for its mode."""
    source = "/run/kept-" + name
    runner.host.shell("mkdir -p %s/sub; cd %s; echo 1 >a; echo 1 >sub/b; ln -s a c" % (source, source))
    assert "backup_files" not in copy(name, "/vol/kept", path=source, owner="web", mode="0640", backup=True)
    assert "backup_files" not in copy(name, "/vol/kept", path=source, owner="root", mode="0600", backup=True)
    runner.host.shell("cd %s; echo 2 >a; echo 2 >sub/b; echo new >d; ln -sfn sub/b c" % source)
    assert "backup_files" not in copy(name, "/vol/kept", path=source, mode="0600", backup=True, check_mode=True)
    made = copy(name, "/vol/kept", path=source, mode="0600", backup=True)
    one, two, three = made["backup_files"]
    assert (one.split(".")[0], two.split(".")[0], three.split(".")[0]) == ("/vol/kept/a", "/vol/kept/c", "/vol/kept/sub/b")
    assert made["backup_file"] == one and one.endswith("~")
    look = "cat '%s' '%s' /vol/kept/a; busybox readlink '%s'; stat -c '%%U %%a' '%s'; ls -A /vol/kept /vol/kept/sub | wc -w"
    assert seen(runner, name, look % (one, three, two, one)) == "1\n1\n2\na\nroot 600\n10"
    single = copy(name, "/vol/kept/a", content="3", backup=True)
    assert seen(runner, name, "cat '%s'" % single["backup_file"]) == "2"
    quietly(runner)


@pytest.mark.parametrize("options, words", [
    ({"container": "nobody"}, ["no container 'nobody'"]),
    ({"container_path": "/none/x"}, ["no folder /none"]),
    ({"content": None, "path": "/none"}, ["option 'path'", "no /none"]),
    ({"content": None, "path": "/none", "from_container": True, "container_path": "/none"}, ["no /none"]),
    ({"content": None, "path": "/none/x", "from_container": True, "container_path": "/etc/passwd"}, ["no folder /none"]),
    ({"content": None, "src": "x"}, ["option 'src'", "controller"]),
    ({"content": None}, ["path, src, content"]),
    ({"path": "/etc/passwd"}, ["mutually exclusive"]),
    ({"from_container": True}, ["option 'path'"]),
    ({"template": True}, ["option 'template'"]),
    ({"owner": "stranger"}, ["option 'owner'", "/etc/passwd"]),
    ({"group": "strangers"}, ["option 'group'", "/etc/group"]),
    ({"container_path": "/proc/sysrq-trigger"}, ["/proc"]),
    ({"container_path": "/etc/hosts"}, ["/etc/hosts is in use", "mounted on it"]),
    ({"container": "rests", "container_path": "/ram/x"}, ["tmpfs", "Start it first"]),
    ({"container": "mapped", "owner": "70000"}, ["option 'owner'", "not mapped"]),
    ({"mode": 420}, ["option 'mode'", "quotes"]),
])
def test_wrong_values(copy: Copy, runner: Runner, options: Dict[str, Any], words: List[str]) -> None:
    given = {"container": "runs", "container_path": "/data/x", "content": "x", **options}
    failed = copy(given.pop("container"), given.pop("container_path"), fail=True,
                  **{key: value for key, value in given.items() if value is not None})
    assert all(word in failed["msg"] for word in words), failed["msg"]
    quietly(runner)


def test_a_failure_leaves_all_as_it_was(copy: Copy, runner: Runner) -> None:
    """A disk that is full after some of the files."""
    host = runner.host
    seen(runner, "runs", "mkdir -p /vol/tree; echo old >/vol/tree/a")
    host.shell("mkdir -p /run/large; echo new >/run/large/a; head -c 3000000 /dev/zero >/run/large/z; mkdir -p /run/large/more")
    runner("small", mounts=[{"type": "tmpfs", "target": "/ram", "size": "1M"}])
    host.module("container_exec", container="small", command="sh -c 'mkdir /ram/tree; echo old >/ram/tree/a'")
    failed = copy("small", "/ram/tree", path="/run/large", fail=True)
    assert "full" in failed["msg"]
    assert host.module("container_exec", container="small", command="sh -c 'cat /ram/tree/a; ls -a /ram/tree'")["stdout"] == "old\n.\n..\na"
    runner("sealed", read_only=True)
    assert "ead-only file system" in copy("sealed", "/etc/x", content="x", fail=True)["msg"]


def test_memory_is_bounded(runner: Runner) -> None:
    """A file of 300 MB takes no more memory than a small one."""
    host = runner.host
    host.shell("truncate -s 300M /var/lib/coracle/sparse")
    payload = host.payload("container_copy", {"container": "runs", "container_path": "/data/sparse", "path": "/var/lib/coracle/sparse"})
    script = "import os,subprocess,sys,resource; subprocess.run([sys.executable, sys.argv[1]], check=True, stdout=subprocess.DEVNULL); " \
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    used = int(host.run(["/usr/bin/python3", "-c", script, payload]).stdout)
    payload.unlink()
    assert used < 150000, "kB"
    assert seen(runner, "runs", "stat -c %s /data/sparse; rm /data/sparse") == str(300 << 20)


def test_from_the_controller(runner: Runner, tmp_path: Path) -> None:
    """One file, a template, a tree, and much that is sent only when it differs."""
    host = runner.host
    play = host.folder / "play"
    (play / "files/site/sub").mkdir(parents=True)
    (play / "templates").mkdir()
    (play / "files/one.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (play / "files/one.sh").chmod(0o755)
    (play / "files/site/sub/page").write_text("page\n", encoding="utf-8")
    (play / "files/site/link").symlink_to("sub/page")
    (play / "files/large").write_bytes(os.urandom(6 << 20))
    (play / "templates/app.conf.j2").write_text("{% for n in range(2) %}\nport={{ port + n }}\n{% endfor %}\n# {{ ansible_managed }}\n",
                                                encoding="utf-8")
    (play / "play.yml").write_text("""
- hosts: localhost
  gather_facts: false
  vars: {port: 80}
  module_defaults:
    group/coracle.containers.containers: {cgroup_root: "%s"}
  tasks:
    - coracle.containers.container_copy: {container: runs, container_path: /data, src: one.sh}
    - coracle.containers.container_copy: {container: runs, container_path: /data/app.conf, src: app.conf.j2, template: true, mode: '0600'}
    - coracle.containers.container_copy: {container: runs, container_path: /data/site, src: site/}
    - coracle.containers.container_copy: {container: runs, container_path: /data/large, src: large}
""" % host.cgroup_root, encoding="utf-8")
    missing = play / "missing.yml"
    missing.write_text((play / "play.yml").read_text(encoding="utf-8").replace("one.sh", "none.sh"), encoding="utf-8")
    for options, changed in ((["--check", "--diff"], 4), ([], 4), (["--check"], 0), ([], 0)):
        done = host.playbook(play / "play.yml", *options)
        assert "changed=%d " % changed in done.stdout, done.stdout
        assert not options[1:] or "+port=81" in done.stdout
    assert seen(runner, "runs", "cd /data; stat -c '%a %n' one.sh app.conf site/sub; cat app.conf site/link; stat -c %s large") == (
        "755 one.sh\n600 app.conf\n755 site/sub\nport=80\nport=81\n# Ansible managed\npage\n%d" % (6 << 20))
    failed = host.playbook(missing, check=False)
    assert failed.returncode and "none.sh" in failed.stdout + failed.stderr
