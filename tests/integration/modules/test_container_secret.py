# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(coracle.containers.container_secret) and the secrets of containers: where they are, and that they are nowhere else."""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Callable, Dict, Iterator, List

import pytest

from containers import Runner, add_image
from hosts import Host
from waiting import until

Secret = Callable[..., Dict[str, Any]]
TOP = "/run/coracle/secrets"


@pytest.fixture(scope="module")
def runner(shared_host: Host) -> Runner:
    add_image(shared_host)
    return Runner(shared_host, {"network_mode": "none", "user": "web"})


@pytest.fixture
def secret(runner: Runner) -> Iterator[Secret]:
    """Run the module; what there is of secrets and containers goes afterwards, and with it all that they lay on."""
    host = runner.host

    def call(name: str, check_mode: bool = False, fail: bool = False, **options: Any) -> Dict[str, Any]:
        return host.module("container_secret", {"name": name, **options}, check_mode=check_mode, fail=fail)
    yield call
    for name in runner.names:
        host.module("container_run", name=name, state="absent")
    runner.names.clear()
    for name in call("any", state="absent")["secret"]["names"]:
        call(name, state="absent")
    assert TOP not in host.shell("cat /proc/self/mountinfo; ls -d /run/coracle/*")


def a_secret() -> str:
    return "hush-" + os.urandom(12).hex()


def inside(runner: Runner, name: str, script: str) -> str:
    return str(runner.host.module("container_exec", container=name, argv=["sh", "-c", script])["stdout"])


def search(text: str, top: str) -> List[str]:
    """Where a text is: files but those in the memory that is for secrets, and what processes tell of themselves."""
    import os
    wanted, found = text.encode(), []
    places = ["/proc/%s/%s" % (pid, part) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()
              for part in ("cmdline", "environ")]
    for start in ("/var/lib/coracle", "/run", "/root/.ansible", "/var/log", "/dev/shm"):
        for folder, folders, names in os.walk(start):
            folders[:] = [each for each in folders if os.path.join(folder, each) not in (top, "/run/coracle/containers")]
            places += [os.path.join(folder, each) for each in names]
    for path in places:
        try:
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as stream:
                if wanted in stream.read():
                    found.append(path)
        except OSError:
            continue
    return found


def nowhere(runner: Runner, text: str, *results: Any) -> None:
    """Neither on the host nor in what modules said."""
    said = runner.host.module("container_info", name=list(runner.names) or ["none"])
    for each in (*results, said):
        assert text not in json.dumps(each)
    payloads = str(runner.host.folder)  # the tests' own way to a host
    assert [path for path in runner.host.call(search, text, TOP) if not path.startswith(payloads)] == []


def test_life(secret: Secret, runner: Runner) -> None:
    first, second = a_secret(), a_secret()
    told = secret("key", data=first, check_mode=True)
    assert told["changed"] and not told["secret"]["exists"] and TOP not in runner.host.shell("cat /proc/self/mountinfo")
    made = secret("key", data=first)
    assert {key: told[key] for key in ("changed", "actions", "diff")} == {key: made[key] for key in ("changed", "actions", "diff")}
    assert made["actions"] == [{"action": "create", "target": "key", "disruption": "live", "options": ["data"]}]
    assert made["secret"] == {"name": "key", "exists": True, "containers": [], "names": ["key"]}
    again = secret("key", data=first)
    assert (again["changed"], again["actions"]) == (False, [])
    changed = secret("key", data=base64.b64encode(second.encode()).decode(), data_is_b64=True)
    assert changed["actions"][0]["action"] == "update"
    kept = "cat %s/store/key; stat -c %%a %s %s/store %s/store/key %s/key; grep -c %s /proc/self/mountinfo" % ((TOP,) * 6)
    assert runner.host.shell(kept) == (
        second + "700\n700\n400\n600\n1\n")
    runner.host.shell("printf %s >/run/file; chmod 600 /run/file" % first)
    assert secret("key", path="/run/file")["changed"] and not secret("key", data=first)["changed"]
    runner.host.shell("rm /run/file")
    nowhere(runner, first, told, made, again, changed)
    nowhere(runner, second, changed)
    assert not secret("other", state="absent")["changed"] and secret("key", state="absent")["changed"]


@pytest.mark.parametrize("userns", ["host", "auto"])
def test_what_a_container_is_given(secret: Secret, runner: Runner, userns: str) -> None:
    text = a_secret()
    secret("key", data=text)
    made = runner("web", userns_mode=userns, mounts=[{"type": "tmpfs", "target": "/run"}], secrets=[
        {"source": "key"}, {"source": "key", "target": "again", "uid": "0", "gid": "extra", "mode": "0440"},
        {"source": "key", "target": "/etc/app/key", "on_change": "restart"}])
    assert inside(runner, "web", "cd /run/secrets; cat key again /etc/app/key; echo; stat -c '%u %g %a %n' key again /etc/app/key;"
                  "(rm -f key; echo x >key; echo x >/etc/app/key) 2>/dev/null; ls") == (
        text * 3 + "\n1000 1000 400 key\n0 2000 440 again\n1000 1000 400 /etc/app/key\nagain\nkey")
    again = runner("web", userns_mode=userns, mounts=[{"type": "tmpfs", "target": "/run"}], secrets=[
        {"source": "key"}, {"source": "key", "target": "again", "uid": "0", "gid": "extra", "mode": "0440"},
        {"source": "key", "target": "/etc/app/key", "on_change": "restart"}])
    assert not again["changed"]
    nowhere(runner, text, made, again)
    assert runner("web", userns_mode=userns, secrets=[{"source": "key"}], check_mode=True)["actions"][0]["action"] == "recreate"


def test_what_becomes_of_those_who_have_it(secret: Secret, runner: Runner) -> None:
    """Restarted, signalled or left alone; and told by the next run where that did not come to it."""
    first, second, third = a_secret(), a_secret(), a_secret()
    secret("key", data=first)
    script = "trap 'cat /run/secrets/key >/tmp/seen' HUP; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    options = {name: {"command": ["/bin/sh", "-c", script], "secrets": [{"source": "key", "on_change": how}]}
               for name, how in (("calm", "none"), ("woken", "signal:HUP"), ("fresh", "restart"))}
    before = {name: runner(name, **each)["container"]["pid"] for name, each in options.items()}
    for name in before:  # it has set its traps
        until(lambda name=name: "sleep" in inside(runner, name, "ps"))
    told = secret("key", data=second, check_mode=True)
    made = secret("key", data=second)
    assert told["actions"] == made["actions"]
    assert [(each["action"], each["target"], each["disruption"]) for each in made["actions"]] == [
        ("update", "key", "live"), ("renew", "container calm", "live"), ("restart", "container fresh", "restart"),
        ("renew", "container woken", "live")]
    now = {each["name"]: each["pid"] for each in runner.host.module("container_info", name=sorted(options))["containers"]}
    assert {name for name in now if now[name] != before[name]} == {"fresh"}
    assert all(inside(runner, name, "cat /run/secrets/key") == second for name in options)
    until(lambda: inside(runner, "woken", "cat /tmp/seen 2>/dev/null || true") == second)
    assert inside(runner, "calm", "test -e /tmp/seen || echo nothing") == "nothing"
    assert not any(runner(name, **each)["changed"] for name, each in options.items())
    runner.host.shell("printf %s >%s/store/new; chmod 400 %s/store/new; mv %s/store/new %s/store/key" % (third, *(TOP,) * 4))
    for name, disruption in (("calm", "live"), ("fresh", "restart")):
        told = runner(name, check_mode=True, **options[name])
        made = runner(name, **options[name])
        assert told["actions"] == made["actions"] == [
            {"action": "renew", "target": name, "disruption": disruption, "options": ["secrets"]}]
        assert inside(runner, name, "cat /run/secrets/key") == third
        assert not runner(name, **options[name])["changed"]
    nowhere(runner, third, told, made)


def boot(name: str, roots: List[str]) -> List[Any]:
    """Start a container as at boot; what is said, and what its status says then."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.container import lifecycle, records
    from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
    from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
    instance = Instance(*roots)
    try:
        lifecycle.begin(instance, name)
        said = ""
    except EngineError as error:
        said = str(error)
    return [said, records.read_status(instance, name).error]


def test_after_a_reboot(secret: Secret, runner: Runner) -> None:
    """It cannot be started, says so by one word, and comes back with the next run of the playbook."""
    text, host = a_secret(), runner.host
    secret("key", data=text)
    options = {"secrets": [{"source": "key"}], "restart_policy": "always"}
    runner("web", **options)
    assert "needed by web" in secret("key", state="absent", fail=True)["msg"]
    runner("web", state="stopped")
    secret("key", state="absent", force=True)
    assert TOP not in host.shell("cat /proc/self/mountinfo")
    said, error = host.call(boot, "web", [host.state_root, host.run_root, host.cgroup_root])
    assert said.startswith("secrets-missing: the secret 'key'") and "container_secret" in said
    assert error.startswith("secrets-missing")
    assert host.module("container_info", name=["web"])["containers"][0]["error"].startswith("secrets-missing")
    assert "secrets-missing" in host.module("container_run", name="web", image="busybox", fail=True, **options)["msg"]
    secret("key", data=text)
    assert runner("web", **options)["changed"]
    assert inside(runner, "web", "cat /run/secrets/key") == text


@pytest.mark.parametrize("options, words", [
    ({}, ["option 'data'", "missing"]),
    ({"data": "hush", "path": "/x"}, ["mutually exclusive"]),
    ({"data": "x" * (512 * 1024 + 1)}, ["option 'data'", "too many"]),
    ({"data": "?", "data_is_b64": True}, ["option 'data_is_b64'"]),
    ({"path": "/none"}, ["option 'path'", "/none"]),
    ({"path": "/etc"}, ["option 'path'", "/etc"]),
    ({"data": "hush", "state": "absent"}, ["option 'state'"]),
])
def test_wrong_values(secret: Secret, options: Dict[str, Any], words: List[str]) -> None:
    failed = secret("key", fail=True, **options)
    assert all(word in failed["msg"] for word in words), failed["msg"]


def test_a_container_that_asks_for_what_there_is_not(secret: Secret, runner: Runner) -> None:
    secret("key", data="x")
    for rows, words in (([{"source": "none"}], ["the secret 'none'", "container_secret"]),
                        ([{"source": "key"}, {"source": "key"}], ["option 'secrets'", "two secrets"])):
        failed = runner.host.module("container_run", name="web", image="busybox", secrets=rows, fail=True)
        assert all(word in failed["msg"] for word in words), failed["msg"]
    failed = runner.host.module("container_run", name="web", image="busybox", secrets=[{"source": "key", "uid": "stranger"}],
                                network_mode="none", fail=True)
    assert "stranger" in failed["msg"]
    assert not runner.host.module("container_info", name=["web"])["containers"][0]["exists"]


def test_as_a_task(secret: Secret, runner: Runner) -> None:
    """It is in no file that Ansible leaves on the host, though it is told to leave them all, and in none of its words."""
    text, host = a_secret(), runner.host
    book = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/coracle.containers.containers: {cgroup_root: "%s"}
  tasks:
    - coracle.containers.container_secret: {name: key, data: "{{ lookup('ansible.builtin.env', 'THE_WORD') }}"}
""" % host.cgroup_root
    for changed in (1, 0):
        done = host.playbook(book, "-vvvv", "--diff", env={"THE_WORD": text, "ANSIBLE_KEEP_REMOTE_FILES": "1"})
        assert "changed=%d " % changed in done.stdout and text not in done.stdout + done.stderr
    assert host.shell("find /run/ansible-tmp -name 'AnsiballZ*' | head -1")
    assert host.shell("cat %s/store/key" % TOP) == text
    nowhere(runner, text)
    assert host.shell("ls /dev/shm") == ""
