# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the host leaks: environment, folders, groups, keys, sockets, states, titles."""

from __future__ import annotations

import ctypes
import json
import os
import stat
from typing import Any, Dict, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import exec as exec_verb, kill
from attacks import Ground
from containers import SLEEP, Runner
from hosts import MANAGED_PYTHON, Host

pytestmark = pytest.mark.slow
SECRET = "5ecret-of-the-h0st"
_ADD_KEY, _KEYCTL = (248, 250) if os.uname().machine == "x86_64" else (217, 219)


@pytest.mark.quick
@pytest.mark.advisory("CVE-2020-14370", "CVE-2021-3602", "CVE-2026-57231")
@pytest.mark.parametrize("init", [False, True])
def test_environment_folder_groups_and_command_line(ground: Ground, init: bool) -> None:
    """Of the creator: none reaches the container, neither by inheritance nor by /proc/1."""
    def scenario() -> Any:
        os.environ["SECRET_OF_THE_HOST"] = SECRET
        os.chdir(str(ground.folder))
        os.setgroups([4242])
        script = ("env; for each in /proc/[0-9]*; do busybox tr '\\0' ' ' < $each/environ; busybox tr '\\0' ' ' < $each/cmdline; done;"
                  "pwd; id -G; ls -l /proc/1/cwd /proc/1/root /proc/self/cwd")
        return ground.run(ground.document(args=["sh", "-c", script]), init=init)
    done = ground.inside(scenario)
    assert done.status == 0 and SECRET not in done.output and "4242" not in done.output.split()
    assert "pytest" not in done.output and str(ground.folder) not in done.output


@pytest.mark.advisory("CVE-2016-9962")
def test_environment_folder_and_groups_of_who_adds_a_process(ground: Ground) -> None:
    said = ground.folder / "said"

    def scenario() -> str:
        os.environ["SECRET_OF_THE_HOST"] = SECRET
        os.chdir(str(ground.folder))

        def add(_pid: int) -> None:
            os.setgroups([4242])
            handle = os.open(str(said), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            started = exec_verb.run(ground.bundle.state(), exec_verb.process_like_init(
                ground.bundle.state(), ["sh", "-c", "env; pwd; id -G; busybox tr '\\0' ' ' < /proc/self/environ"]), stdout=handle)
            os.waitpid(started.pid, 0)
            os.close(started.pidfd)
            os.close(handle)
            kill.kill(ground.bundle.state(), 9)
        ground.run(ground.document(args=["sleep", "60"]), while_running=add)
        return said.read_text(encoding="utf-8")
    output = ground.inside(scenario)
    assert "\n/\n" in output and SECRET not in output and "4242" not in output.split()


@pytest.mark.quick
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_a_key_of_the_hosts_session_cannot_be_read(plain: Ground, verb: str) -> None:
    """A session keyring is inherited, and who possesses a key may read it (keyrings(7))."""
    code = ("import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\nroom = ctypes.create_string_buffer(100)\n"
            "got = libc.syscall(%d, 11, int(sys.argv[1]), room, 100)\n"  # KEYCTL_READ
            "print('read' if got > 0 else 'refused')\n" % _KEYCTL)

    def scenario() -> str:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(_KEYCTL, 1, None) < 0:  # KEYCTL_JOIN_SESSION_KEYRING: one of this test's own
            return "no keys"
        key = libc.syscall(_ADD_KEY, b"user", b"of-the-host", SECRET.encode(), len(SECRET), -3)
        room = ctypes.create_string_buffer(100)
        assert key > 0 and libc.syscall(_KEYCTL, 11, key, room, 100) == len(SECRET)
        assert libc.syscall(_KEYCTL, 5, key, 0x3f000000) == 0  # KEYCTL_SETPERM: for the possessor alone
        document = plain.program(code)
        document["process"]["args"].append(str(key))
        if verb == "create":
            return plain.run(document).output
        said = plain.folder / "said"
        words = document["process"]["args"]
        document["process"]["args"] = ["sleep", "60"]

        def add(_pid: int) -> None:
            handle = os.open(str(said), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            started = exec_verb.run(plain.bundle.state(), exec_verb.process_like_init(plain.bundle.state(), words), stdout=handle)
            os.waitpid(started.pid, 0)
            os.close(handle)
            kill.kill(plain.bundle.state(), 9)
        plain.run(document, while_running=add)
        return said.read_text(encoding="utf-8")
    said = plain.inside(scenario)
    if said == "no keys":
        pytest.skip("this kernel has no keys")
    assert said == "refused\n"


@pytest.mark.advisory("CVE-2020-15257")
@pytest.mark.parametrize("run", ["root"], indirect=True)
def test_no_socket_of_the_engine_is_abstract(run: Runner) -> None:
    """In the host's network namespace a container could connect to those, whatever its mounts."""
    run("one", network_mode="host")
    script = "cat /proc/net/unix"
    seen = run.output("two", script, network_mode="host")
    names = [line.split()[-1] for line in seen.splitlines() if len(line.split()) == 8]
    ours = [name for name in names if "coracle" in name or "keeper" in name or "monitor" in name]
    assert ours and not [name for name in names if name.startswith("@")], names
    assert run.output("three", "test -e %s && echo there; :" % ours[0], network_mode="host") == ""


@pytest.mark.quick
@pytest.mark.advisory("CVE-2021-41091", "CVE-2024-25621")
def test_nobody_but_root_gets_at_what_the_engine_keeps(run: Runner) -> None:
    """Layers hold set-uid programs, logs and records secrets: their folders let nobody else pass."""
    run("one", env={"PASSWORD": SECRET}, volumes=["things:/vol"])
    host = run.host
    host.shell("echo x > %s/volumes/things/_data/file; chmod 666 %s/volumes/things/_data/file" % (host.state_root, host.state_root))

    def look(roots: List[str]) -> List[str]:
        import os
        tops = [os.path.join(root, name) for root in roots for name in os.listdir(root)]
        paths = [os.path.join(folder, each) for top in tops for folder, folders, files in os.walk(top) for each in folders + files]
        assert len(paths) > 20
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return [path for path in paths if os.access(path, os.R_OK) or os.access(path, os.W_OK)]
    seen = [each for each in host.python(look, [host.state_root, host.run_root]) if not each.startswith(host.state_root + "/engine")]
    assert seen == []


@pytest.mark.advisory("CVE-2021-41091")
def test_the_folders_of_containers_are_for_root_alone(run: Runner) -> None:
    run("one")

    def modes(paths: List[str]) -> Dict[str, int]:
        import os
        return {path: os.stat(path).st_mode & 0o7777 for path in paths if os.path.isdir(path)}
    host = run.host
    found = host.python(modes, [host.run_root, *(host.state_root + "/" + each for each in ("containers", "containers/one", "volumes",
                                                                                           "layers", "containers/one/work")),
                                *(host.run_root + "/" + each for each in ("containers", "containers/one", "containers/one/runtime"))])
    assert len(found) >= 6 and {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}


@pytest.mark.quick
def test_states_of_the_runtime_are_for_root_alone(ground: Ground) -> None:
    def scenario() -> Dict[str, int]:
        found: Dict[str, int] = {}

        def look(_pid: int) -> None:
            state = ground.bundle.state()
            found[state] = os.stat(state).st_mode
            found.update({name: os.stat(os.path.join(state, name)).st_mode for name in os.listdir(state)})
            kill.kill(state, 9)
        ground.run(ground.document(args=["sleep", "60"]), while_running=look)
        return found
    found = ground.inside(scenario)
    assert len(found) > 2 and not [name for name, mode in found.items() if stat.S_IMODE(mode) & 0o077]


def test_no_title_and_no_environment_of_the_engines_processes_holds_a_secret(machine: Host) -> None:
    """Neither what a task was given nor what Ansible runs with: while it starts, while it runs."""
    options = {"name": "one", "image": "busybox", "command": SLEEP, "env": {"PASSWORD": SECRET + "-option"}, "stop_timeout": "1s"}
    payload = machine.payload("container_run", options)
    watcher = machine.start([MANAGED_PYTHON, "-c", WATCH, SECRET], stdin=-1, stdout=-1)
    assert watcher.stdout is not None and watcher.stdout.readline() == b"begins\n"
    machine.run([MANAGED_PYTHON, payload], env={"ANSIBLE_SECRET": SECRET + "-environment"})
    payload.unlink()
    seen = json.loads(watcher.communicate(timeout=240)[0])
    machine.module("container_run", name="one", state="absent")
    # The container's own program has its environment; the task's process has the environment it was called with.
    assert seen["processes"] > 5 and seen["titles"] == []
    assert [each for each in seen["environments"] if "coracle" in each or "engine" in each] == []


WATCH = """
import json, os, select, sys
secret, titles, environments, processes = sys.argv[1], set(), set(), set()
print("begins", flush=True)
while not select.select([0], [], [], 0)[0]:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid, errors='replace') as stream: title = stream.read().replace(chr(0), ' ')
            with open('/proc/%s/environ' % pid, errors='replace') as stream: environment = stream.read()
        except OSError:
            continue
        if pid == str(os.getpid()): continue
        processes.add(pid)
        if secret in title: titles.add(title)
        if secret in environment: environments.add(title)
json.dump({'titles': sorted(titles), 'environments': sorted(environments), 'processes': len(processes)}, sys.stdout)
"""


@pytest.mark.advisory("CVE-2023-0778", "CVE-2022-23648")
def test_removing_a_volume_follows_no_link_in_it(run: Runner) -> None:
    """Nor does anything that is written into a root whose files are links out of it."""
    host = run.host
    host.shell("mkdir -p /run/victim/below && echo intact > /run/victim/below/file")
    run.output("one", "cd /vol && busybox ln -s /run/victim link && busybox ln -s /../../../../run/victim out && "
                      "rm -f /etc/hosts; busybox ln -s /run/victim/below/file /tmp/x; :", volumes=["things:/vol"])
    run("one", command=["/bin/sh", "-c", "echo more >> /vol/link/below/file; :"], volumes=["things:/vol"], detach=False, recreate=True)
    run("one", state="absent")
    host.module("container_volume", name="things", state="absent")
    assert host.shell("cat /run/victim/below/file; ls %s/volumes 2>/dev/null || :" % host.state_root) == "intact\n"


def test_processes_and_cgroups_of_the_host_stay_hidden(run: Runner) -> None:
    text = run.output("one", "cat /proc/self/cgroup; ls -d /proc/[0-9]*; ls /sys/fs/cgroup/pids /sys/fs/cgroup 2>/dev/null; :")
    groups = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    assert groups and set(groups) == {"/"} and run.host.name not in text
    assert len([line for line in text.splitlines() if line.startswith("/proc/")]) < 5
