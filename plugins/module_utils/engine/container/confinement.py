# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a running container is confined, as the kernel tells of its first process, in the words of the options.

A program may give up more than was asked: capabilities, limits. So a difference is what holds it less than it should
be held. What can be mended while it runs is told apart from what only a new container brings back.
Sources: proc_pid_status(5), proc_pid_mountinfo(5), proc_pid_limits(5), proc_pid_attr(5), user_namespaces(7).
"""

from __future__ import annotations

import errno
import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..cgroup import group
from ..errors import EngineError, NotFound
from ..instance import Instance
from ..kernel import capabilities, namespaces, processes
from ..plan import Difference
from ..runtime import labels
from . import cgroups, records, security

_TRUE_PROCESSES = ("crun", "runc", "youki")
"""External runtimes whose first process is the container's own, and not that of a virtual machine or another kernel."""
_OURS = (None, "coracle")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_INFINITY = (1 << 64) - 1


class Seen(NamedTuple):
    """What was read back.

    Attributes:
        options: Those that hold less than was asked for, as they are.
        drift: What is mended while the container runs.
    """

    options: Mapping[str, Any] = {}
    drift: Tuple[Difference, ...] = ()


class _Process(NamedTuple):
    """The first process; C(handle) is of its folder in /proc, which stays its own."""

    pid: int
    handle: int

    def read(self, name: str) -> bytes:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.handle)
        with os.fdopen(handle, "rb") as stream:
            return stream.read()


def observe(record: records.Record, init: processes.Process) -> Seen:
    """Compare a running container with what was last applied to it; reads only.

    Raises:
        NotFound: It has ended meanwhile.
    """
    runtime = record.options.get("runtime")
    if runtime not in _OURS and os.path.basename(str(runtime)) not in _TRUE_PROCESSES:
        return Seen()
    try:
        handle = os.open("/proc/%d" % init.pid, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = _observe(record, _Process(init.pid, handle))
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH, errno.EINVAL):  # the last from mountinfo of one that is about to end
            raise
        raise NotFound("the first process of the container '%s' has ended" % record.name)
    if not processes.alive(init):
        raise NotFound("the first process of the container '%s' has ended" % record.name)
    return found


def _observe(record: records.Record, process: _Process) -> Seen:
    options = record.options
    found: Dict[str, Any] = {}
    _rights(options, process, found)
    _paths(options, process, found)
    if record.ids is not None:
        maps = {kind: sorted([int(word) for word in line.split()] for line in process.read(kind + "_map").splitlines())
                for kind in record.ids}
        found.update((kind + "map", maps[kind]) for kind, rows in record.ids.items() if maps[kind] != sorted(rows))
    drift = []
    wanted = options.get("oom_score_adj")
    if wanted is not None:
        score = int(process.read("oom_score_adj"))
        if score != wanted:
            drift.append(Difference("oom_score_adj", score, wanted))
    if options.get("ulimits"):
        drift += _limits(options, process)
    if options.get("sysctls"):
        drift += _sysctls(options, process)
    return Seen(found, tuple(drift))


def _rights(options: Mapping[str, Any], process: _Process, found: Dict[str, Any]) -> None:
    """Capabilities, no new privileges, system call filter, AppArmor profile."""
    told = dict(line.split(b":", 1) for line in process.read("status").splitlines() if b":" in line)
    granted = capabilities.mask(security.capabilities(options))
    more = (int(told[b"CapBnd"], 16) | int(told[b"CapPrm"], 16)) & ~granted
    if more and not options.get("privileged"):
        names = [name for name, number in capabilities.NUMBERS.items() if more >> number & 1]
        found["capabilities"] = [*(options.get("capabilities") or ()), *names]
    if options.get("no_new_privileges") and told.get(b"NoNewPrivs", b"1").strip() == b"0":
        found["no_new_privileges"] = False
    profile = security.value_of(options, "seccomp")
    if profile != "unconfined" and (profile or not options.get("privileged")) and told.get(b"Seccomp", b"2").strip() == b"0":
        _instead(options, found, "seccomp", "unconfined")
    profile = security.value_of(options, "apparmor")
    if profile not in ("", "unconfined") and labels.confined_by(process.handle) == "unconfined":  # its profile was unloaded
        _instead(options, found, "apparmor", "unconfined")


def _instead(options: Mapping[str, Any], found: Dict[str, Any], key: str, value: str) -> None:
    """Say another value of one key of C(security_opts)."""
    said = found.get("security_opts", options.get("security_opts") or ())
    found["security_opts"] = [*(each for each in said if not each.startswith(key + "=")), "%s=%s" % (key, value)]


def _paths(options: Mapping[str, Any], process: _Process, found: Dict[str, Any]) -> None:
    """What is masked or read-only, the root, and the room for shared memory."""
    rows: Dict[bytes, Tuple[int, List[bytes]]] = {}
    for number, line in enumerate(process.read("mountinfo").splitlines()):
        fields = line.split(b" ")
        rows[fields[4]] = number, fields  # of two at one place the later lies on top
    masked, read_only = security.paths(options)
    shown = [path for path in masked if not _holds(rows, path, _is_mask)] \
        + [path for path in read_only if not _holds(rows, path, _is_read_only)]
    if shown:
        found["security_opts"] = [*found.get("security_opts", options.get("security_opts") or ()), "unmask=" + ":".join(sorted(shown))]
    root = rows.get(b"/")
    if root is not None and _is_read_only(root[1]) != bool(options.get("read_only")):
        found["read_only"] = _is_read_only(root[1])
    shm = rows.get(b"/dev/shm")
    own = options.get("ipc_mode") in (None, "private", "shareable") \
        and not any(row["target"].rstrip("/") == "/dev/shm" for row in options.get("mounts") or ())
    if shm is not None and own:
        size = next((int(each[5:-1]) * 1024 for each in shm[1][-1].split(b",") if each.startswith(b"size=") and each.endswith(b"k")), 0)
        wanted = options.get("shm_size") or 0
        if size and wanted > 0 and size != -(-wanted // _PAGE) * _PAGE:
            found["shm_size"] = size


def _holds(rows: Mapping[bytes, Tuple[int, List[bytes]]], path: str, holds: Callable[[List[bytes]], bool]) -> bool:
    """Whether a mount at a path does what it shall, and none above hides it.

    Where there is no mount, nothing needs one: the path is missing in the container, as it is on the host's /proc and /sys,
    or it lies in the image, which is the container's own.
    """
    at = os.fsencode(path.translate({9: "\\011", 10: "\\012", 32: "\\040", 92: "\\134"}))
    number, fields = rows.get(at, (-1, []))
    above, over = at, -1
    parent: List[bytes] = []
    while above not in (b"", b"/"):
        above = above.rpartition(b"/")[0] or b"/"
        if above in rows and rows[above][0] > over:
            over, parent = rows[above]
    if number > over:
        return holds(fields)
    if not parent or parent[parent.index(b"-") + 1] not in (b"proc", b"sysfs") or holds(parent):
        return True
    return not os.path.lexists(path)


def _is_mask(fields: List[bytes]) -> bool:
    """Whether a mount is of the null device, or a read-only one: an empty folder."""
    return fields[3].endswith(b"/null") or _is_read_only(fields) and fields[fields.index(b"-") + 1] not in (b"proc", b"sysfs")


def _is_read_only(fields: List[bytes]) -> bool:
    return fields[5].startswith(b"ro")


def _limits(options: Mapping[str, Any], process: _Process) -> List[Difference]:
    """Hard limits that are higher than they should be: to lower them is a program's own affair."""
    if options.get("init"):  # the first process is the engine's, the program its child
        child = process.read("task/%d/children" % process.pid).split()
        lines = b"" if not child else _Process(0, process.handle).read("../%d/limits" % int(child[0]))
    else:
        lines = process.read("limits")
    from ..runtime.spec import RLIMITS  # pylint: disable=import-outside-toplevel
    rows = lines.splitlines()[1:]  # by the numbers of the resources; columns of 26, 21 and 21 characters
    drift = []
    for wanted in options["ulimits"] if rows else ():
        row = rows[RLIMITS.index(wanted["type"])]
        hard = _INFINITY if row[47:67].strip() == b"unlimited" else int(row[47:67])
        if hard > wanted["hard"]:
            name = wanted["type"][len("RLIMIT_"):].lower()
            drift.append(Difference("ulimits", "%s:%d" % (name, hard), "%s:%d" % (name, wanted["hard"])))
    return drift


def _sysctls(options: Mapping[str, Any], process: _Process) -> List[Difference]:
    """Parameters of its namespaces that have other values."""
    drift = []
    for kind, wanted in _by_namespace(options["sysctls"]).items():
        now = _within(process, kind, lambda: {key: _parameter(key) for key in wanted})  # noqa: B023
        drift += [Difference("sysctls", "%s=%s" % (key, " ".join(now[key] or ())), "%s=%s" % (key, value))
                  for key, value in wanted.items() if now[key] is not None and not _same(now[key] or (), value.split())]
    return drift


def _by_namespace(sysctls: Mapping[str, str]) -> Dict[str, Dict[str, str]]:
    kinds: Dict[str, Dict[str, str]] = {}
    for key, value in sysctls.items():
        kinds.setdefault("network" if key.startswith("net.") else "ipc", {})[key] = value
    return kinds


def _within(process: _Process, kind: str, step: Callable[[], Any]) -> Any:
    """Call a function in one namespace of the container's: which parameters /proc/sys shows is the caller's affair."""
    handle = os.open("ns/" + namespaces.FILES[kind], os.O_RDONLY | os.O_CLOEXEC, dir_fd=process.handle)
    try:
        return namespaces.inside(handle, namespaces.FLAGS[kind], step)
    finally:
        os.close(handle)


def _parameter(name: str) -> Optional[List[str]]:
    """The words of a kernel parameter; C(None) where it can only be written."""
    from ..runtime import parameters  # pylint: disable=import-outside-toplevel
    try:
        with open("/proc/sys/" + parameters.to_path(name), "rb") as stream:
            return stream.read(65536).decode("utf-8", "surrogateescape").split()
    except OSError:
        return None


def _same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two values are the same to the kernel, which takes numbers in any base and tells them in ten."""
    return len(one) == len(other) and all(left == right or _number(left) is not None and _number(left) == _number(right)
                                          for left, right in zip(one, other))


def _number(word: str) -> Optional[int]:
    try:
        return int(word, 8 if word.startswith("0") and word.isdecimal() else 0)
    except ValueError:
        return None


def mend(instance: Instance, record: records.Record, init: processes.Process, drift: Sequence[Difference]) -> None:
    """Bring back, while a container runs, what C(observe) found drifted.

    Raises:
        EngineError: The host does not let this be changed.
    """
    options = record.options
    kinds = {each.option for each in drift}
    try:
        if "sysctls" in kinds:
            _write_sysctls(options, init)
        for pid in group.processes(cgroups.path(instance, record.name, record.options)) if kinds - {"sysctls"} else ():
            try:
                _mend_process(pid, options, kinds)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
    except PermissionError as error:
        raise EngineError("option '%s' of the container '%s' has drifted, and this host does not let it be set back: %s" % (
            "' and '".join(sorted(kinds)), record.name, error), "Say 'recreate: true'", errno=error.errno) from error


def _write_sysctls(options: Mapping[str, Any], init: processes.Process) -> None:
    from ..runtime import parameters  # pylint: disable=import-outside-toplevel
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    process = _Process(init.pid, os.open(str(init.pid), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc))
    try:
        if processes.alive(init):
            for kind, wanted in _by_namespace(options["sysctls"]).items():
                _within(process, kind, lambda: parameters.write(proc, wanted))  # noqa: B023
    finally:
        os.close(process.handle)
        os.close(proc)


def _mend_process(pid: int, options: Mapping[str, Any], kinds: "set[str]") -> None:
    if "oom_score_adj" in kinds:
        with open("/proc/%d/oom_score_adj" % pid, "wb", buffering=0) as stream:
            stream.write(b"%d" % options["oom_score_adj"])
    if "ulimits" in kinds:
        import resource  # pylint: disable=import-outside-toplevel

        from ..runtime.spec import RLIMITS  # pylint: disable=import-outside-toplevel
        for each in options["ulimits"]:
            number = RLIMITS.index(each["type"])
            soft, hard = resource.prlimit(pid, number)
            most = -1 if each["hard"] >= _INFINITY else each["hard"]
            if most != -1 and (hard == -1 or hard > most):
                resource.prlimit(pid, number, (most if soft == -1 else min(soft, most), most))
