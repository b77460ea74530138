# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the container's process is: user and groups, capabilities, limits, priorities.

Order as capabilities(7) demands it: the bounding set while CAP_SETPCAP is held,
then the user with the capabilities kept over the change, then the other sets.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import KernelError
from ..kernel import capabilities
from ..kernel.syscalls import call
from .spec import CAPABILITY_SETS, RLIMITS, SCHEDULER_FLAGS

_INFINITY = 2**64 - 1
_IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
             "SCHED_DEADLINE": 6}
_UNNEEDED = capabilities.mask("CAP_" + name for name in (
    "DAC_READ_SEARCH", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE",
    "SYS_RAWIO", "SYS_PTRACE", "SYS_PACCT", "SYS_BOOT", "SYS_TTY_CONFIG", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "AUDIT_READ",
    "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "PERFMON", "BPF", "CHECKPOINT_RESTORE"))
"""What the set-up of a process never needs."""


class Identity(NamedTuple):
    """All that a process is, in the kernel's own numbers.

    Attributes:
        groups: Supplementary groups.
        may_set_groups: False in a user namespace whose /proc/self/setgroups says deny: the creator's groups stay.
        sets: Capability bits by the spec's names of the sets; C(None) for a process without the member: it has none.
        rlimits: Number of the resource, soft, hard; -1 for no limit.
    """

    uid: int
    gid: int
    groups: Tuple[int, ...]
    umask: int
    sets: Dict[str, int]
    no_new_privileges: bool
    rlimits: Tuple[Tuple[int, int, int], ...]
    oom_score_adj: Optional[int]
    io_priority: Optional[int]
    scheduler: Optional[Dict[str, Any]]
    may_set_groups: bool = True


def of(process: Dict[str, Any]) -> Identity:
    """What a validated process object says."""
    if process.get("rlimits"):
        import resource  # noqa: F401  # pylint: disable=import-outside-toplevel,unused-import # nothing can be imported later
    user = process.get("user") or {}
    sets = process.get("capabilities") or {}
    umask = user.get("umask")
    priority = process.get("ioPriority")
    return Identity(
        uid=user.get("uid") or 0, gid=user.get("gid") or 0, groups=tuple(user.get("additionalGids") or ()),
        umask=0o022 if umask is None else umask,
        sets={kind: capabilities.mask(sets.get(kind) or ()) for kind in CAPABILITY_SETS},
        no_new_privileges=bool(process.get("noNewPrivileges")),
        rlimits=tuple((RLIMITS.index(each["type"]), _limit(each["soft"]), _limit(each["hard"]))
                      for each in process.get("rlimits") or ()),
        oom_score_adj=process.get("oomScoreAdj"),
        io_priority=None if not priority else _IO_CLASSES[priority["class"]] << 13 | (priority.get("priority") or 0),
        scheduler=process.get("scheduler"))


def _limit(value: int) -> int:
    return -1 if value >= _INFINITY else min(value, 2**63 - 1)


def set_limits(identity: Identity) -> None:
    """Set the resource limits, last of all: a low one would get in the way of the set-up."""
    for number, soft, hard in identity.rlimits:
        import resource  # pylint: disable=import-outside-toplevel
        resource.setrlimit(number, (soft, hard))


def raise_limits(pid: int, identity: Identity) -> None:
    """Lift hard limits to what C(set_limits) will need, while the right to do so is held.

    Args:
        pid: A child, from the host, where a user namespace takes that right away; 0 for the caller.

    Raises:
        KernelError: One is above what the host allows; a lower one would not be what was asked for.
    """
    for number, _soft, hard in identity.rlimits:
        import resource  # pylint: disable=import-outside-toplevel
        now, most = resource.prlimit(pid, number)
        if most != -1 and (hard == -1 or hard > most):
            try:
                resource.prlimit(pid, number, (now, hard))
            except PermissionError as error:
                raise KernelError("prlimit", error.errno or 0, "%s, hard limit %s" % (RLIMITS[number], "none" if hard == -1 else hard),
                                  "More than the host's %d needs CAP_SYS_RESOURCE, and RLIMIT_NOFILE is never above fs.nr_open"
                                  % most) from error


def set_priorities(identity: Identity) -> None:
    """I/O priority and scheduler of the calling process (ioprio_set(2), sched_setattr(2))."""
    if identity.io_priority is not None:
        call("ioprio_set", 1, 0, identity.io_priority, target="ioPriority")
    if identity.scheduler:
        wanted = identity.scheduler
        flags = 0
        for name in wanted.get("flags") or ():
            flags |= SCHEDULER_FLAGS[name]
        record = struct.pack("=IIQiIQQQ", 48, _POLICIES[wanted["policy"]], flags, wanted.get("nice") or 0,
                             wanted.get("priority") or 0, wanted.get("runtime") or 0, wanted.get("deadline") or 0,
                             wanted.get("period") or 0)
        try:
            call("sched_setattr", 0, record, 0, target="scheduler")
        except KernelError as error:
            if error.errno != errno.EPERM or wanted["policy"] != "SCHED_DEADLINE":
                raise
            raise KernelError(error.call, error.errno, error.target, "It needs CAP_SYS_NICE, and all processors (sched(7)): "
                              "a process scheduler can't be used together with AllowedCPUs, linux.resources.cpu.cpus") from error


def lessen(identity: Identity) -> None:
    """Give up what no step of the set-up needs and the program does not get: a hole in the set-up is worth less then."""
    effective, permitted, inheritable = capabilities.own()
    kept = ~_UNNEEDED
    for bits in identity.sets.values():
        kept |= bits
    capabilities.set_own(effective & kept, permitted & kept, inheritable & kept)


def become(identity: Identity) -> None:
    """Turn the calling process into the container's user, with exactly its capabilities; there is no way back."""
    sets = identity.sets
    have = capabilities.own()[1]
    permitted = sets["permitted"] & have
    # A capability that the host does not grant is left out rather than fatal: a container starts with what there is.
    capabilities.limit_bounding(sets["bounding"])
    capabilities.keep_over_setuid(True)
    if identity.may_set_groups:
        os.setgroups(_groups(identity))
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    capabilities.keep_over_setuid(False)
    capabilities.set_own(sets["effective"] & permitted, permitted, sets["inheritable"] & have)
    capabilities.set_ambient(sets["ambient"] & permitted & sets["inheritable"])
    os.umask(identity.umask)


def _groups(identity: Identity) -> List[int]:
    return list(identity.groups)
