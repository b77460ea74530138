# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations with anything in any member, run: a container, or one error with a JSON path; and nothing stays.

CORACLE_TEST_MUTATIONS is how many are tried; a hundred by default.
"""

from __future__ import annotations

import copy
import json
import os
import re
import select
import signal
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import create, delete, start
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime.checks import Invalid
from bundles import Bundle, Lab, config
from hypothesis import HealthCheck, given, settings, strategies

COUNT = int(os.environ.get("CORACLE_TEST_MUTATIONS", "100"))
Steps = Tuple[Any, ...]
_MEMBER = re.compile(r"\b(ociVersion|root|mounts|process|hostname|domainname|hooks|annotations|linux)\b")
_TRAP = "/trap-of-the-host"


def full() -> Dict[str, Any]:
    """A configuration that runs, with a member of nearly every kind."""
    made = config(
        args=["sh", "-c", "exit 3"], oomScoreAdj=10, noNewPrivileges=True, consoleSize={"height": 25, "width": 80},
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 64}],
        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 3}, scheduler={"policy": "SCHED_BATCH", "nice": 3, "flags": []},
        execCPUAffinity={"initial": "0", "final": "0"},
        user={"uid": 1, "gid": 1, "umask": 18, "additionalGids": [5], "username": "x"})
    made["domainname"] = "example.org"
    made["root"]["readonly"] = False
    made["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 0"], "env": ["A=b"], "timeout": 60}]
                     for kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
    made["annotations"] = {"org.example.key": "value"}
    made["mounts"] += [
        {"destination": "/mnt/a", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=64k", "mode=755", "tmpcopyup"]},
        {"destination": "/mnt/b/file", "source": "/etc/hostname", "options": ["bind", "ro", "rprivate"]},
        {"destination": "/mnt/c", "type": "bind", "source": "rootfs", "options": ["rbind", "rro", "nodev"]}]
    made["linux"].update({
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "devices": [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 438, "uid": 1, "gid": 1}],
        "resources": {"memory": {"limit": 64 << 20, "swappiness": 10}, "cpu": {"shares": 100, "quota": 50000, "period": 100000},
                      "pids": {"limit": 20}, "devices": [{"allow": False, "access": "rwm"},
                                                         {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rw"}]},
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "flags": [],
                    "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                                  "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}]},
        "rootfsPropagation": "rprivate",
        "timeOffsets": {"boottime": {"secs": 5, "nanosecs": 7}},
        "personality": {"domain": "LINUX", "flags": []},
        "memoryPolicy": {"mode": "MPOL_DEFAULT", "nodes": "", "flags": []},
    })
    made["linux"]["namespaces"].append({"type": "time"})
    return dict(json.loads(json.dumps(made)))  # no member is another's too


def places(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    """The steps to each member of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in items:
        yield (*steps, step)
        yield from places(member, (*steps, step))


def path_of(steps: Steps) -> str:
    """A JSON path as errors spell it."""
    return "".join("[%d]" % step if isinstance(step, int) else ("." if number else "") + step
                   for number, step in enumerate(steps))


def at(document: Any, steps: Steps) -> Any:
    """What steps lead to."""
    for step in steps:
        document = document[step]
    return document


PLACES = list(places(full()))
STRANGE = strategies.one_of(
    strategies.sampled_from([None, True, False, 0, -1, 1, 7, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**70, 1.5, 1e308]),
    strategies.sampled_from(["", ".", "..", "/", "/..", "x" * 5000, "\0", "a\nb", "\udcff", "%n", "a/../../b", "/proc/self/fd/3",
                             "/proc/self/ns/uts", "/dev/null", "/out/x", "/out", "/mnt/../out/y", "/missing/a", "rshared", "remount",
                             "idmap", "size=1", "0-3", "RLIMIT_STACK", "SCMP_ACT_KILL_PROCESS", "user", "CAP_NONE", "-", "1"]),
    strategies.sampled_from([[], {}, [[]], {"": {}}, [None], ["x"], [1], {"path": "/x"}]))
CHANGES = strategies.lists(strategies.tuples(strategies.sampled_from(PLACES), strategies.booleans(), STRANGE), min_size=1, max_size=2)


def changed(changes: List[Tuple[Steps, bool, Any]]) -> Dict[str, Any]:
    """The full configuration with some members replaced or removed."""
    document = full()
    for steps, remove, value in changes:
        try:
            inner = at(document, steps[:-1])
            if remove and value is None:
                del inner[steps[-1]]
            else:
                inner[steps[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    return document


def attempt(bundle: Bundle, document: Dict[str, Any], wait: bool) -> str:
    """Run a container to its end; its error, or nothing."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        made = create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup, wait=wait,
                             stdin=null, stdout=null, stderr=null)
    except EngineError as error:
        assert not os.path.exists(bundle.state()), error
        return "%s\n%s" % (error, error.facts.get("path") or "")
    finally:
        os.close(null)
    said = ""
    try:
        if wait:
            start.start(bundle.state())
        poller = select.poll()
        poller.register(made.pidfd, select.POLLIN)
        assert poller.poll(10000), "it does not end"
    except EngineError as error:
        said = str(error)
    finally:
        os.close(made.pidfd)
        delete.delete(bundle.state(), force=True)
        os.waitpid(made.pid, 0)
    return said


def test_the_whole_runs(lab: Lab) -> None:
    for wait in (True, False):
        assert lab(lambda bundle: attempt(bundle, full(), wait)) == "", wait  # noqa: B023


@settings(max_examples=COUNT, deadline=None, derandomize="CORACLE_TEST_MUTATIONS" not in os.environ,
          suppress_health_check=list(HealthCheck))
@given(changes=CHANGES, wait=strategies.booleans())
def test_anything_anywhere_is_run_or_refused(lab: Lab, changes: List[Tuple[Steps, bool, Any]], wait: bool) -> None:
    def scenario(bundle: Bundle) -> str:
        signal.alarm(60)  # nothing hangs
        out = bundle.root / "out"
        if not out.is_symlink():
            out.symlink_to(_TRAP)
        said = attempt(bundle, changed(changes), wait)
        assert not os.path.lexists(_TRAP), "something was made out of the root"
        return said
    said = lab(scenario)
    assert not said or _MEMBER.search(said), said


def wrong_types(value: Any) -> List[Any]:
    """Values of all the types that a member's value has not."""
    kinds = {"bool": True, "int": 7, "float": 0.5, "str": "x", "list": [7], "dict": {"x": 7}}
    kinds.pop(type(value).__name__)
    return list(kinds.values())


def test_a_wrong_type_in_any_member_is_refused_by_its_path(lab: Lab, tmp_path: Path) -> None:
    def scenario(bundle: Bundle) -> List[str]:
        wrong = []
        for steps in PLACES:
            for value in wrong_types(at(full(), steps)):
                document = full()
                at(document, steps[:-1])[steps[-1]] = value
                with pytest.raises(Invalid) as caught:
                    create.create(str(bundle.folder), bundle.state(), document, cgroup=bundle.cgroup)
                if not caught.value.where.startswith(path_of(steps)):
                    wrong.append("%s=%r: %s" % (path_of(steps), value, caught.value))
        return wrong
    assert lab(scenario) == []
