# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""config.json, read and validated: each error names the member; whatever a document holds, it is an error of ours."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import mount_options, report, spec
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime.checks import Invalid, parse
from bundles import config

SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "data" / "runtime-spec"


def full() -> Dict[str, Any]:
    """A configuration with most of what there is."""
    made = config(terminal=False, noNewPrivileges=True, oomScoreAdj=-5, rlimits=[
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}], consoleSize={"height": 25, "width": 80},
        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 3}, scheduler={"policy": "SCHED_BATCH", "nice": 3},
        apparmorProfile="x", selinuxLabel="y")
    made["hooks"] = {"poststop": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 3}]}
    made["annotations"] = {"org.example.key": "value"}
    made["linux"].update({
        "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
        "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
        "sysctl": {"net.core.somaxconn": "256"},
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}],
        "resources": {"memory": {"limit": 1 << 30, "swap": -1}, "cpu": {"shares": 100, "cpus": "0-1"}, "pids": {"limit": 10},
                      "devices": [{"allow": False, "access": "rwm"}], "unified": {"memory.high": "max"},
                      "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
                      "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]}},
        "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]},
        "rootfsPropagation": "slave",
        "timeOffsets": {"boottime": {"secs": 5, "nanosecs": 7}},
    })
    made["linux"]["namespaces"] += [{"type": "user"}, {"type": "time"}]
    return made


def test_a_full_configuration_is_accepted_by_us_and_by_the_schema() -> None:
    document = full()
    assert spec.validate(document) == []
    if not SCHEMAS.exists():
        pytest.skip("the published schemas are not here")
    jsonschema = pytest.importorskip("jsonschema")
    store = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    referencing = pytest.importorskip("referencing")
    draft4 = pytest.importorskip("referencing.jsonschema").DRAFT4
    registry = referencing.Registry().with_resources(
        (name, draft4.create_resource({**each, "id": name})) for name, each in store.items())
    jsonschema.Draft4Validator({**store["config-schema.json"], "id": "config-schema.json"}, registry=registry).validate(document)


@pytest.mark.parametrize(("where", "value", "why"), [
    ("ociVersion", "2.0.0", "not supported"),
    ("ociVersion", "one", "no version"),
    ("ociVersion", None, "missing"),
    ("root", None, "missing"),
    ("root.path", 5, "string"),
    ("root.readonly", "yes", "true or false"),
    ("process.cwd", "relative", "absolute"),
    ("process.args", [], "0 members"),
    ("process.args[0]", "a\0b", "NUL"),
    ("process.env[0]", "NOVALUE", "NAME=value"),
    ("process.user.uid", -1, "not within"),
    ("process.user.uid", 2**32 - 1, "not within"),
    ("process.user.uid", 2**32, "not within"),
    ("process.user.uid", "0", "whole number"),
    ("process.user.uid", True, "a boolean"),
    ("process.user.uid", 1.5, "1.5"),
    ("process.rlimits[0].type", "RLIMIT_MADE_UP", "none of"),
    ("process.rlimits[0].soft", 30, "above hard"),
    ("process.oomScoreAdj", 1001, "not within"),
    ("mounts[0].destination", "", "empty"),
    ("mounts[1].options", "ro", "array"),
    ("linux.namespaces[0].type", "pids", "none of"),
    ("linux.namespaces[1].type", "pid", "twice"),
    ("linux.uidMappings[0].size", 0, "not within"),
    ("linux.seccomp.defaultAction", "SCMP_ACT_MAYBE", "none of"),
    ("linux.seccomp.syscalls[0].args[0].index", 6, "not within"),
    ("linux.resources.memory.limit", "1g", "whole number"),
    ("linux.resources.unified.memory.high", 5, "string"),
    ("linux.maskedPaths[0]", "proc", "absolute"),
    ("hooks.poststop[0].path", "true", "absolute"),
    ("hooks.poststop[0].timeout", 0, "not within"),
    ("annotations", [], "object"),
])
def test_each_error_names_the_member(where: str, value: Any, why: str) -> None:
    document = full()
    put(document, where, value)
    with pytest.raises(Invalid) as caught:
        spec.validate(document)
    assert caught.value.where == where
    assert why in str(caught.value)


def put(document: Any, where: str, value: Any) -> None:
    """Set the member at a JSON path; the rest of the path after C(unified.) is one key."""
    head, _unified, tail = where.partition("unified.")
    steps: List[Any] = []
    for part in (head + ("unified" if tail else "")).split("."):
        name, *numbers = part.replace("]", "").split("[")
        steps += [name, *map(int, numbers)]
    steps += [tail] if tail else []
    for step in steps[:-1]:
        document = document[step]
    document[steps[-1]] = value


@pytest.mark.parametrize(("name", "value", "why"), [
    ("kernel.core_pattern", "|/x", "no value of a namespace"[3:]),
    ("kernel.shmmax", "1\n2", "line break"),
    ("vm.swappiness", "1", "change the host"),
    ("net..ipv4", "1", "no name"),
    ("net/../kernel/core_pattern", "x", ""),
])
def test_a_sysctl_that_would_reach_the_host_is_refused(name: str, value: str, why: str) -> None:
    document = full()
    document["linux"]["sysctl"] = {name: value}
    with pytest.raises(Invalid, match="linux.sysctl") as caught:
        spec.validate(document)
    assert why in str(caught.value)


@pytest.mark.parametrize("kind", ["network", "ipc"])
def test_a_sysctl_needs_its_namespace(kind: str) -> None:
    document = full()
    document["linux"]["sysctl"] = {"network": {"net.core.somaxconn": "1"}, "ipc": {"kernel.shmmax": "1"}}[kind]
    spec.validate(document)
    document["linux"]["namespaces"] = [each for each in document["linux"]["namespaces"] if each["type"] != kind]
    with pytest.raises(Invalid, match="needs a %s namespace" % kind):
        spec.validate(document)


def test_unknown_capabilities_are_warned_of_and_unknown_members_ignored() -> None:
    document = full()
    document["process"]["capabilities"]["bounding"] = ["CAP_MADE_UP", "CAP_CHOWN"]
    document["solaris"] = {"anything": 1}
    assert spec.validate(document) == ["process.capabilities.bounding: this runtime does not know CAP_MADE_UP and ignores it"]


@pytest.mark.parametrize(("content", "why"), [
    (b'{"a": 1, "a": 2}', "twice"), (b'{"a": NaN}', "NaN"), (b"[" * 100000, "nested"), (b'{"a": 1} x', "no JSON"),
    (b'{"a": %s}' % (b"9" * 5000), "5000 digits"), (b'{"\xff": 1}', "UTF-8"), (b"", "no JSON"), (b" " * 100, "bytes"),
])
def test_json_is_read_strictly(content: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse(content, "config.json", 99 if content == b" " * 100 else 1 << 20)


def test_mutated_configurations_are_accepted_or_refused_in_our_own_words() -> None:
    """Whatever a member is replaced by, the answer is no other exception than an EngineError."""
    chance = random.Random(7)
    strange = [None, True, -1, 2**70, 1.5, 1e308, "", "x" * 5000, "\0", "..", [], {}, [[]], {"": {}}, "\udcff", [None], 0]
    places = list(every_place(full()))
    for _round in range(4000):
        document = full()
        for steps in chance.sample(places, chance.choice((1, 1, 2))):
            inner: Any = document
            try:
                for step in steps[:-1]:
                    inner = inner[step]
                if chance.random() < 0.2:
                    del inner[steps[-1]]
                else:
                    inner[steps[-1]] = copy.deepcopy(chance.choice(strange))
            except (KeyError, IndexError, TypeError):
                continue
        try:
            spec.validate(document)
        except EngineError as error:
            assert str(error)


def every_place(value: Any, steps: Tuple[Any, ...] = ()) -> Any:
    """The steps to each member of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in items:
        yield (*steps, step)
        yield from every_place(member, (*steps, step))


def test_mount_options_are_sorted_and_the_last_wins() -> None:
    parsed = mount_options.parse(["rbind", "ro", "rw", "nosuid", "rnodev", "rro", "rslave", "size=5", "newinstance", "noatime",
                                  "relatime", "tmpcopyup", "defaults", "idmap"])
    assert parsed.bind and parsed.recursive and parsed.copy_up and parsed.idmap == "idmap"
    assert parsed.data == (("size", "5"), ("newinstance", None))
    assert (parsed.set & 1, parsed.clear & 1) == (0, 1)  # ro, then rw
    assert parsed.set & 2 and parsed.set_below == 1 | 4
    assert parsed.clear & 0x70 == 0x70 and parsed.set & 0x70 == 0  # relatime
    assert len(parsed.propagation) == 1


def test_a_report_survives_the_pipe() -> None:
    sent = report.encode("mounts[0] (/x)", OSError(2, "No such file", "/y"))
    failure = report.decode(sent)
    assert (failure.stage, failure.errno, failure.path) == ("mounts[0] (/x)", 2, "/y")
    assert str(failure) == "cannot start the container: mounts[0] (/x): /y: No such file"
    assert len(report.encode("s", OSError(2, "x" * 9999))) <= 4000
    assert "killed" in str(report.decode(b""))
    assert "killed" in str(report.decode(b"Enonsense"))


def make(where: str, value: Any) -> Dict[str, Any]:
    """A configuration with a member set, its parents made where they are missing."""
    document = full()
    inner: Any = document
    *parents, last = where.split(".")
    for name in parents:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return document


@pytest.mark.parametrize(("where", "value", "named"), [
    ("linux.devices", [{"path": "/dev/x", "type": "c", "major": 1}], "linux.devices[0].minor"),
    ("linux.devices", [{"path": "/dev/x", "type": "b", "minor": 1}], "linux.devices[0].major"),
    ("linux.devices", [{"path": "/dev/x", "type": "a", "major": 1, "minor": 1}], "linux.devices[0].type"),
    ("linux.resources.devices", [{"access": "rwm"}], "linux.resources.devices[0].allow"),
    ("linux.resources.devices", [{"allow": True, "type": "p"}], "linux.resources.devices[0].type"),
    ("linux.resources.devices", [{"allow": True, "access": "rx"}], "linux.resources.devices[0].access"),
    ("linux.resources.hugepageLimits", [{"pageSize": "2mb", "limit": 1}], "linux.resources.hugepageLimits[0].pageSize"),
    ("linux.resources.blockIO.weightDevice", [{"major": 8, "weight": 10}], "linux.resources.blockIO.weightDevice[0].minor"),
    ("linux.resources.network", {"priorities": [{"name": "eth0"}]}, "linux.resources.network.priorities[0].priority"),
    ("linux.seccomp.defaultErrnoRet", 5, ""),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}, "linux.seccomp.defaultErrnoRet"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]}, "linux.seccomp.syscalls[0].errnoRet"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]},
     "linux.seccomp.architectures[0]"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY"}, "linux.seccomp.listenerPath"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}, "linux.seccomp.listenerMetadata"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/run/agent"}, ""),
    ("linux.netDevices", {"eth/0": {}}, "linux.netDevices['eth/0']"),
    ("linux.netDevices", {"eth0": {"name": "sixteencharacter"}}, "linux.netDevices.eth0.name"),
    ("linux.netDevices", {"eth0": {"name": "eth%d"}}, ""),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0-1023,3", "flags": ["MPOL_F_STATIC_NODES"]}, ""),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0-1024"}, "linux.memoryPolicy.nodes"),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "3-1"}, "linux.memoryPolicy.nodes"),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "linux.memoryPolicy.flags[0]"),
    ("linux.sysctl", {"kernel.hostname": "x"}, "linux.sysctl.kernel.hostname"),
    ("linux.gidMappings", [], "linux.gidMappings"),
    ("process.scheduler.flags", ["SCHED_FLAG_X"], "process.scheduler.flags[0]"),
    ("process.execCPUAffinity", {"initial": "0-3, 5", "final": "1"}, ""),
    ("process.execCPUAffinity", {"initial": "0-99999999999"}, "process.execCPUAffinity.initial"),
    ("process.execCPUAffinity", {"final": "one"}, "process.execCPUAffinity.final"),
])
def test_what_the_specification_says_of_single_members(where: str, value: Any, named: str) -> None:
    document = make(where, value)
    if not named:
        assert spec.validate(document) == []
        return
    with pytest.raises(Invalid) as caught:
        spec.validate(document)
    assert caught.value.where == named
