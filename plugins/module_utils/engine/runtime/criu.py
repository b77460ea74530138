# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRIU, which writes processes to files and makes them anew: what it is asked, and what it says meanwhile.

It is started as C(criu swrk) with one end of a socket pair, on which requests and notifications go (criu's
images/rpc.proto, from which the numbers of types and fields are). So restored processes become the caller's children.
"""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, Unsupported
from ..kernel import commands, mounts
from ..store import files
from . import messages

if TYPE_CHECKING:
    import socket

DUMP, RESTORE, PRE_DUMP = 1, 2, 4
_NOTIFY, _FEATURE_CHECK = 6, 9
_NAMES = {DUMP: "DUMP", RESTORE: "RESTORE", PRE_DUMP: "PRE_DUMP", _NOTIFY: "NOTIFY", _FEATURE_CHECK: "FEATURE_CHECK"}

OPTIONS = {
    "images_dir_fd": 1, "pid": 2, "leave_running": 3, "ext_unix_sk": 4, "tcp_established": 5, "evasive_devices": 6, "shell_job": 7,
    "file_locks": 8, "log_level": 9, "log_file": 10, "ps": 11, "notify_scripts": 12, "root": 13, "parent_img": 14, "track_mem": 15,
    "auto_dedup": 16, "work_dir_fd": 17, "link_remap": 18, "ext_mnt": 23, "manage_cgroups": 24, "cg_root": 25, "rst_sibling": 26,
    "inherit_fd": 27, "manage_cgroups_mode": 34, "external": 37, "empty_ns": 38, "join_ns": 39, "freeze_cgroup": 44,
    "tcp_skip_in_flight": 46, "lazy_pages": 48, "orphan_pts_master": 50, "config_file": 51, "lsm_profile": 53,
    "lsm_mount_context": 63, "network_lock": 64}
"""The members of criu_opts that are used, and their numbers."""
_BY_NFTABLES = 2
CGROUP_MODES = {"ignore": 0, "soft": 3, "full": 4, "strict": 5, "": 6}
"""What --manage-cgroups-mode may say."""
FEATURES = {"mem_track": (1, "pages that were written to cannot be told from others"),
            "lazy_pages": (2, "userfaultfd(2) serves no memory to several processes")}
"""What is looked for before it is used: its number in criu_features, and what its lack means."""
_SEQPACKET_LIMIT = 1 << 16
_RIGHTS = 256


class Notice(NamedTuple):
    """What CRIU says on its way.

    Attributes:
        what: As C(--action-script) gets it: C(post-dump), C(setup-namespaces), C(post-restore), C(orphan-pts-master), ...
        pid: Of the first process, where it says one.
        handles: Descriptors that came with it; whoever is told closes them.
    """

    what: str
    pid: int
    handles: List[int]


def find(named: str = "") -> str:
    """The path of the program.

    Args:
        named: Path given by the caller; by default it is looked for in the system's folders.

    Raises:
        Unsupported: There is none.
    """
    path = named if "/" in named else commands.find(named or "criu")
    if path is None or not os.access(path, os.X_OK):
        raise Unsupported("checkpoint and restore need CRIU, and this host has no %s" % (named or "criu"),
                          "Install the package criu, or name the program with --criu")
    return path


def clear_log(folder: str, log: str) -> None:
    """Remove what an earlier call has written, so that C(complain) does not read it."""
    files.remove(os.path.join(folder, log))


def need(program: str, feature: str) -> None:
    """Look whether CRIU and the kernel have a feature; see C(FEATURES).

    Raises:
        Unsupported: They have it not.
    """
    number, lack = FEATURES[feature]
    answer = talk(program, _FEATURE_CHECK, features=[(number, True)])
    found = messages.decode(_bytes(answer, 8))
    if not found.get(number, [0])[0]:
        raise Unsupported("CRIU lacks %s on this kernel: %s" % (feature, lack), "'criu check --all' says more")


def options(**values: Any) -> List[messages.Field]:
    """criu_opts by the names of its members; those that are C(None) are left out, and a list is a repeated one."""
    fields: List[messages.Field] = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                fields.append((OPTIONS[name], each))
    return fields


def network_lock() -> Optional[int]:
    """How CRIU stops the traffic of a container meanwhile: its own way is iptables, which not every host has."""
    return None if commands.find("iptables-restore") else _BY_NFTABLES


def talk(program: str, kind: int, given: Sequence[messages.Field] = (), features: Sequence[messages.Field] = (),
         stdio: Sequence[int] = (), inherited: Sequence[int] = (), notified: Optional[Callable[[Notice], None]] = None,
         began: Optional[Callable[[int], Sequence[messages.Field]]] = None) -> Dict[int, List[Any]]:
    """Start CRIU, have one request done, and wait for its end.

    Args:
        kind: What it is to do.
        given: Its options, see C(options).
        features: What it is to look for.
        stdio: Its standard streams; the null device by default.
        inherited: Descriptors that it gets as 4, 5 and so on.
        notified: Called with all that it says on the way; what it raises ends CRIU, and is raised.
        began: Called with its process before it is asked; what it returns are further options.

    Returns: Its answer, a criu_resp.

    Raises:
        EngineError: It could not do it, or ended without an answer.
    """
    import socket  # pylint: disable=import-outside-toplevel,redefined-outer-name
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = -1
    try:
        if not stdio:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        pid = commands.start([program, "swrk", "3"], [*(stdio or (null,) * 3), theirs.fileno(), *inherited])
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        if null >= 0:
            os.close(null)
    hierarchy = _hierarchy()
    try:
        given = [*given, *(began(pid) if began is not None else ())]
        _send(ours, messages.encode([(1, kind), *([(2, given)] if given else []), *([(5, features)] if features else [])]))
        return _answer(ours, kind, notified)
    finally:
        ours.close()
        commands.status_of(pid)  # after a pre-dump it waits for more, and fails when the socket is closed
        if _hierarchy() != hierarchy:
            os.close(mounts.new_file_system("cgroup2", [(each, None) for each in hierarchy]))


def _hierarchy() -> Tuple[str, ...]:
    """Options of the host's cgroup v2 hierarchy, such as C(nsdelegate), on which delegation rests.

    They are the whole system's, and CRIU unsets them: each mount of the hierarchy sets them anew (cgroups(7)).
    """
    for each in mounts.table():
        if each.fstype == "cgroup2":
            return tuple(sorted(option for option in each.super_options if option not in ("rw", "ro")))
    return ()


def _send(link: "socket.socket", content: bytes) -> None:
    try:
        link.send(content)
    except BrokenPipeError:
        pass  # that it has ended is seen where its answer is read


def _answer(link: "socket.socket", kind: int, notified: Optional[Callable[[Notice], None]]) -> Dict[int, List[Any]]:
    while True:
        try:
            content, ancillary, _flags, _address = link.recvmsg(_SEQPACKET_LIMIT, _RIGHTS)
        except ConnectionResetError:  # it ended without having read the request
            content, ancillary = b"", []
        handles = [handle for level, what, data in ancillary if (level, what) == (1, 1)  # SOL_SOCKET, SCM_RIGHTS
                   for (handle,) in struct.iter_unpack("i", data[:len(data) // 4 * 4])]
        if not content:
            raise EngineError("criu failed: type %s: it ended without an answer" % _NAMES[kind])
        answer = messages.decode(content)
        said = int(answer[1][0])
        if not answer.get(2, [0])[0]:
            raise EngineError("criu failed: type %s errno %d" % (_NAMES.get(said, said), int(answer.get(7, [0])[0])))
        if said != _NOTIFY:
            return answer
        notice = messages.decode(_bytes(answer, 5))
        if notified is not None:
            notified(Notice(_bytes(notice, 1).decode("ascii", "replace"), int(notice.get(2, [0])[0]), handles))
        else:
            for handle in handles:
                os.close(handle)
        _send(link, messages.encode([(1, _NOTIFY), (3, True)]))


def _bytes(fields: Dict[int, List[Any]], number: int) -> bytes:
    return bytes(fields.get(number, [b""])[0])


def restored(answer: Dict[int, List[Any]]) -> int:
    """The first process that an answer to a C(RESTORE) tells of."""
    return int(messages.decode(_bytes(answer, 4)).get(1, [0])[0])


def complain(error: EngineError, program: str, folder: str, log: str) -> EngineError:
    """A failure of CRIU with what its log says of it, and what it says of the kernel where that is the cause."""
    path = os.path.join(folder, log)
    said: List[str] = []
    try:
        with open(path, "rb") as stream:
            said = _errors(stream.read())[-2:]
    except FileNotFoundError:
        path = ""
    done = commands.run([program, "check"])
    if done.status:
        reasons = _errors(done.stderr + done.stdout)[:1] + said or ["'criu check' ends with status %d" % done.status]
        return Unsupported("%s cannot work on this kernel: %s" % (program, "; ".join(reasons)), "A newer CRIU may do")
    return EngineError("; ".join([error.what, *said]), path and "The log is %s" % path, **error.facts)


def _errors(output: bytes) -> List[str]:
    lines = re.findall(rb"Error \([^)]*\): *(.*)", output)
    return [line.decode("utf-8", "replace") for line in lines if b"FAILED" not in line]
