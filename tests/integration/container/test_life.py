# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of a container, and what the world does to it meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict

import pytest

from hosts import MANAGED_PYTHON, Host
from waiting import until

SLEEP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]


def record(host: Host, name: str, file: str) -> Any:
    """A JSON file of a container in the run folder."""
    return json.loads(host.shell("cat %s/containers/%s/%s" % (host.run_root, name, file)))


def kill(host: Host, pid: int) -> None:
    host.run(["kill", "-%d" % signal.SIGKILL, str(pid)])


def keepers(host: Host) -> list[int]:
    """The keeper's, the resolver's and the monitors' pids."""
    return [int(pid) for pid in host.run(["pgrep", "-f", "coracle --state-root .* keeper"], check=False).stdout.split()]


def end_keepers(host: Host) -> None:
    """Kill the keeper, the resolver and the monitors; stopped first, since each starts another in the place of one that ends."""
    while True:
        pids = [str(pid) for pid in keepers(host)]
        if not pids:
            return
        for number in ("-STOP", "-KILL"):
            host.run(["kill", number, *pids], check=False)
        until(lambda before=set(pids): not before & {str(pid) for pid in keepers(host)}, 60)


def test_from_state_to_state(run: Any) -> None:
    assert [step["action"] for step in run("one")["actions"]] == ["create", "start"]
    for state, actions, status in (("paused", ["pause"], "paused"), ("paused", [], "paused"),
                                   ("started", ["unpause"], "running"), ("stopped", ["stop"], "exited"),
                                   ("stopped", [], "exited"), ("paused", ["start", "pause"], "paused"),
                                   ("restarted", ["unpause", "restart"], "running"), ("started", [], "running"),
                                   ("absent", ["stop", "remove"], "absent"), ("absent", [], "absent")):
        more = {} if state != "started" else {}
        predicted = run("one", state=state, check_mode=True, **more)
        result = run("one", state=state, **more)
        assert [step["action"] for step in result["actions"]] == actions, state
        assert predicted["actions"] == result["actions"]
        assert result["container"]["status"] == status
        assert result["changed"] is bool(actions)


def test_stopping_with_part_of_the_options_touches_nothing_else(run: Any) -> None:
    first = run("one", memory_max="64M", env={"A": "1"})["container"]
    run("one", state="stopped")
    after = run("one", state="stopped", image="busybox")["container"]
    assert after["id"] == first["id"] and after["options"] == first["options"]
    assert run("one", state="restarted")["container"]["options"] == first["options"]


def test_stop_asks_first_and_kills_in_the_end(run: Any) -> None:
    run("one")
    assert run("one", state="stopped", stop_timeout="120s")["container"]["exit_code"] == 0
    run("two", command=["/bin/sleep", "1000"], stop_timeout="500ms")
    assert run("two", state="stopped", stop_timeout="500ms")["container"]["exit_code"] == 137


@pytest.mark.parametrize("policy, code, restarts", [("no", 1, 0), ("on-failure:2", 1, 2), ("on-failure", 0, 0)])
def test_policies_that_end(run: Any, machine: Host, policy: str, code: int, restarts: int) -> None:
    run("one", restart_policy=policy, command=["/bin/sh", "-c", "exit %d" % code])
    until(lambda: machine.module("container_run", name="one", state="stopped", check_mode=True)
          ["container"]["status"] == "exited")
    seen = machine.module("container_run", name="one", state="stopped")["container"]
    assert (seen["exit_code"], seen["restarts"]) == (code, restarts)


def test_an_application_that_is_killed_comes_back(run: Any, machine: Host) -> None:
    first = run("one", restart_policy="always")["container"]["pid"]
    kill(machine, first)
    until(lambda: run("one", restart_policy="always")["container"].get("pid") not in (None, first))
    again = run("one", restart_policy="always")
    assert again["changed"] is False and again["container"]["restarts"] == 1


def test_a_standard_input_stays_open_where_it_is_asked_for(run: Any, machine: Host) -> None:
    read = ["/bin/sh", "-c", "while read line; do echo got $line; done; echo over"]
    made = run("one", command=read, interactive=True, annotations={"org.example.kind": "reader"}, stop_signal="SIGKILL")
    for word in ("a", "b"):  # the first who writes goes, and it is open still
        machine.shell("echo %s > /run/coracle/containers/one/stdin" % word)
    log = "/var/lib/coracle/containers/one/container.log"
    until(lambda: "got b" in machine.shell("cat " + log))
    assert "over" not in machine.shell("cat " + log) and made["container"]["status"] == "running"
    config = json.loads(machine.shell("cat /var/lib/coracle/containers/one/config.json"))
    assert config["annotations"] == {"org.example.kind": "reader"}


def script(text: str, **said: Any) -> Dict[str, Any]:
    """A hook that runs a shell script."""
    return {"command": ["/bin/sh", "-c", text], **said}


def test_hooks_are_run_after_the_start_and_before_the_stop(run: Any, machine: Host) -> None:
    machine.shell("mkdir -p -m 1777 /run/notes && : > /run/notes/log && chmod 666 /run/notes/log")
    said = script("echo $(id -u) $PWD $WORD $(hostname) >> /notes/log", user="web", working_dir="/tmp", env={"WORD": "said"})
    able = script("grep CapEff /proc/self/status >> /notes/log", privileged=True)
    options: Dict[str, Any] = {"mounts": [{"source": "/run/notes", "target": "/notes"}], "post_start": [said, able],
                               "pre_stop": [script("kill -0 1 && echo stops >> /notes/log")]}
    notes = lambda: machine.shell("cat /run/notes/log").splitlines()
    run("one", **options)
    assert notes()[0] == "1000 /tmp said one" and int(notes()[1].split()[1], 16) >> 21 & 1  # CAP_SYS_ADMIN
    assert not run("one", **options)["changed"] and len(notes()) == 2
    run("one", state="restarted", **options)
    assert [line.split()[0] for line in notes()] == ["1000", "CapEff:", "stops", "1000", "CapEff:"]

    options["pre_stop"] = [script("echo not yet; exit 3")]
    assert run("one", **options)["actions"][0]["disruption"] == "live"
    refused = run("one", state="stopped", fail=True)
    assert "pre_stop[0] of the container 'one' has failed: it ended with exit code 3: not yet" in refused["msg"]
    assert run("one", state="killed")["container"]["status"] == "exited"
    for hook, told in ((script("exit 4"), "exit code 4"), (script("sleep 100", timeout="200ms"), "it took longer than 0.2 s"),
                       ({"command": ["/no/such"]}, "/no/such"), (script("true", user="nobody-there"), "nobody-there")):
        failed = run("one", **dict(options, post_start=[script("true"), hook]), fail=True)
        assert "post_start[1] of the container 'one' has failed: " in failed["msg"] and told in failed["msg"]
        found = machine.module("container_info", name="one")["containers"][0]
        assert found["status"] == "exited" and told in found["error"]


def test_a_stopped_container_is_not_restarted(run: Any) -> None:
    run("one", restart_policy="always")
    run("one", state="stopped")
    time.sleep(0.5)
    assert run("one", state="stopped")["container"]["status"] == "exited"


def test_output_goes_on_when_the_monitor_is_killed(run: Any, machine: Host) -> None:
    run("one", command=["/bin/sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done"], stop_timeout="0s")
    pid = machine.module("container_run", name="one", state="started", check_mode=True)["container"]["pid"]
    kill(machine, record(machine, "one", "monitor.json")["pid"])
    time.sleep(0.5)  # it writes meanwhile, and nobody reads
    seen = run("one", state="started", image=None, command=None)
    assert seen["changed"] is False and seen["container"]["pid"] == pid
    log = "%s/containers/one/container.log" % machine.state_root
    before = int(machine.shell("wc -l < " + log))
    until(lambda: int(machine.shell("wc -l < " + log)) > before + 20)
    run("one", state="stopped")
    lines = [json.loads(line)["log"] for line in machine.shell("cat " + log).splitlines()]
    assert lines == ["line %d\n" % number for number in range(len(lines))]


def test_a_monitor_at_work_that_is_killed_has_a_successor(run: Any, machine: Host) -> None:
    check = {"test": "sleep 100", "interval": "100ms", "timeout": "100s"}
    pid = run("one", healthcheck=check)["container"]["pid"]
    first = record(machine, "one", "monitor.json")["pid"]

    def at_work() -> list[str]:
        return machine.run(["pgrep", "-x", "-P", str(first), "coracle:one"], check=False).stdout.split()
    until(lambda: len(at_work()) == 1)
    kill(machine, int(at_work()[0]))
    until(lambda: record(machine, "one", "monitor.json")["pid"] != first)
    again = run("one", healthcheck=check)
    assert again["changed"] is False and again["container"]["pid"] == pid


def test_the_next_run_adopts_when_keeper_and_monitor_are_killed(run: Any, machine: Host) -> None:
    pid = run("one")["container"]["pid"]
    end_keepers(machine)
    predicted = run("one", check_mode=True)
    adopted = run("one")
    assert [step["action"] for step in adopted["actions"]] == ["adopt", "reconnect"] and predicted["actions"] == adopted["actions"]
    assert adopted["container"]["pid"] == pid and adopted["actions"][0]["disruption"] == "live"
    assert run("one")["changed"] is False
    machine.run(["kill", "-TERM", str(pid)])
    until(lambda: run("one", state="stopped", check_mode=True)["container"]["status"] == "exited")
    assert run("one", state="stopped")["container"]["exit_code"] == 0


def test_what_died_unwatched_is_started_again(run: Any, machine: Host) -> None:
    pid = run("one")["container"]["pid"]
    end_keepers(machine)
    kill(machine, pid)
    until(lambda: not machine.run(["pgrep", "-x", "sleep"], check=False).stdout)
    result = run("one")
    assert [step["action"] for step in result["actions"]] == ["start"]
    assert result["container"]["status"] == "running" and run("one")["changed"] is False


def test_limits_edited_by_hand_are_seen_and_mended(run: Any, machine: Host) -> None:
    options = {"memory_max": "64M", "cpus": "0.5", "published_ports": ["18070:80"]}
    run("one", **options)
    machine.run(["python3", "-c", "open('/sys/fs/cgroup/memory%s/one/memory.limit_in_bytes' % '" + machine.cgroup_root
                 + "', 'w').write('100000000') if __import__('os').path.exists('/sys/fs/cgroup/memory') else "
                 "open('/sys/fs/cgroup%s/one/memory.max' % '" + machine.cgroup_root + "', 'w').write('100000000')"])
    machine.run(["nft", "flush", "ruleset"])
    predicted = run("one", check_mode=True, **options)
    assert predicted["diff"]["before"]["memory_max"] == 99999744 and predicted["diff"]["after"]["memory_max"] == 64 << 20
    assert predicted["diff"]["before"].get("published_ports", []) == []  # a kernel that keeps a table for its owner does not flush it
    mended = run("one", **options)
    assert mended["diff"] == predicted["diff"] and {step["disruption"] for step in mended["actions"]} == {"live"}
    assert run("one", **options)["changed"] is False


def test_a_limit_set_by_hand_where_none_was_asked_for_is_drift(run: Any, machine: Host) -> None:
    run("one")
    machine.module("container_cgroup", path="%s/one" % machine.cgroup_root, pids_max=7)
    predicted = run("one", check_mode=True)
    assert (predicted["diff"]["before"], predicted["diff"]["after"]) == ({"pids_max": 7}, {"pids_max": None})
    run("one")
    assert run("one")["changed"] is False


def test_a_hosts_file_changed_by_hand_is_mended(run: Any, machine: Host) -> None:
    run("one")
    machine.shell("echo 192.0.2.9 evil >> %s/containers/one/hosts" % machine.run_root)
    assert run("one")["diff"]["before"] == {"/etc/hosts": "changed"}
    assert run("one")["changed"] is False


def test_after_a_reboot_the_boot_command_brings_back_what_shall_run(run: Any, machine: Host) -> None:
    for name, policy in (("always", "always"), ("no", "no"), ("unless", "unless-stopped"), ("stopped", "unless-stopped")):
        run(name, restart_policy=policy)
    run("stopped", state="stopped")
    # What a power cut and a boot do: every process and all of /run is gone, the state is as it was.
    end_keepers(machine)
    for name in ("always", "no", "unless"):
        kill(machine, record(machine, name, "runtime/state.json")["pid"])
    until(lambda: not machine.run(["pgrep", "-f", "trap .exit"], check=False).stdout)
    machine.shell("umount -l $(cut -d' ' -f2 /proc/self/mounts | grep '^%s/' | sort -r); rm -r %s/*; nft flush ruleset; "
                  "for link in $(ip -o link show type veth | cut -d: -f2 | cut -d@ -f1); do ip link delete $link; done; "
                  "ip link delete coracle0" % (machine.run_root, machine.run_root), check=False)
    assert machine.shell("ls %s" % machine.run_root) == ""
    machine.run([machine.state_root + "/engine/current/coracle", "--cgroup-root", machine.cgroup_root, "boot"])
    status = {name: machine.module("container_run", name=name, state="stopped", check_mode=True)["container"]["status"]
              for name in ("always", "no", "unless", "stopped")}
    assert status == {"always": "running", "no": "exited", "unless": "running", "stopped": "exited"}
    for name in ("always", "unless"):
        assert run(name, restart_policy="always" if name == "always" else "unless-stopped")["changed"] is False


def payload(host: Host, name: str, **options: Any) -> Path:
    return host.payload("container_run", {"name": name, "image": "busybox", "command": SLEEP, "stop_timeout": "2s", **options})


def test_two_runs_at_once_are_two_runs_in_turn(run: Any, machine: Host) -> None:
    names = ["one", "one", "two", "three"]
    started = [machine.start([MANAGED_PYTHON, payload(machine, name)], stdout=subprocess.PIPE) for name in names]
    results = []
    for process in started:
        results.append(json.loads(process.communicate()[0]))
    assert sorted(result["changed"] for result in results[:2]) == [False, True]
    assert results[0]["container"]["pid"] == results[1]["container"]["pid"]
    assert len({result["container"]["addresses"]["coracle"] for result in results}) == 3
    for name in set(names):
        run(name)


def test_a_run_that_is_killed_at_any_moment_is_completed_by_the_next(run: Any, machine: Host) -> None:
    options: Dict[str, Any] = {"published_ports": ["18060:80"], "memory_max": "64M",
                               "mounts": [{"type": "volume", "source": "v", "target": "/v"}]}
    began = time.monotonic()
    run("one", **options)
    whole = time.monotonic() - began
    for number in range(12):
        run("one", state="absent")
        path = payload(machine, "one", **options)
        process = machine.start([MANAGED_PYTHON, path])
        time.sleep(whole * (0.3 + 0.06 * number))
        machine.run(["pkill", "-9", "-f", str(path)], check=False)
        process.wait()
        assert run("one", **options)["container"]["status"] == "running"
        again = run("one", **options)
        assert again["changed"] is False, again["diff"]
    for number in range(6):
        path = payload(machine, "one", state="absent")
        process = machine.start([MANAGED_PYTHON, path])
        time.sleep(whole * (0.3 + 0.1 * number))
        machine.run(["pkill", "-9", "-f", str(path)], check=False)
        process.wait()
        assert run("one", state="absent", keep_volumes=False)["container"]["exists"] is False
        left = machine.shell("mount | grep %s/containers; ip -o link show type veth; ls %s/containers 2>/dev/null"
                             % (machine.run_root, machine.state_root), check=False)
        assert left == ""
        run("one", **options)


def test_a_container_that_cannot_start_leaves_the_old_one_running(run: Any, machine: Host) -> None:
    before = run("one", env={"A": "1"})["container"]
    failed = machine.module("container_run", name="one", image="busybox", command=["/bin/missing"], fail=True,
                            stop_timeout="2s")
    assert "/bin/missing" in failed["msg"]
    after = run("one", env={"A": "1"})
    assert after["changed"] is False and after["container"]["id"] == before["id"]


def test_the_layers_of_a_removed_image_go_with_the_last_container_on_it(run: Any, machine: Host) -> None:
    source = str(machine.folder / "busybox.tar")
    machine.module("container_image", name="other", source=source, cmd=["/bin/true"], layer_store="directory")
    run("one", image="other")
    machine.module("container_image", name="other", state="absent")
    assert run("one", state="restarted")["container"]["status"] == "running"
    config = run("one", state="absent")["container"]
    assert config["exists"] is False
    left = machine.shell("ls %s/blobs/sha256" % machine.state_root).split()
    image = machine.module("container_image", name="busybox", source=source, cmd=["/bin/sh"], env={"PATH": "/bin"})["image"]
    assert len(left) == 2 + len(image["layers"])
