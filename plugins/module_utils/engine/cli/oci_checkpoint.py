# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the OCI command line that write containers to files and make them anew: checkpoint, restore."""

from __future__ import annotations

import fcntl
import os
from typing import Any, Dict, List, Optional, Tuple

from ..errors import Conflict, EngineError
from ..kernel import namespaces
from ..runtime import checkpoint as checkpoint_verb
from ..runtime import criu, record, rootless
from ..runtime import delete as delete_verb
from ..store import files
from .arguments import Flag, number, parse
from .oci import Context, one

_SAME = ("tcp-established", "ext-unix-sk", "shell-job", "file-locks", "auto-dedup", "lazy-pages")
_CHECKPOINT = ("leave-running", "pre-dump", "tcp-skip-in-flight", "link-remap")
_BOTH = (Flag(("image-path",)), Flag(("work-path",)), Flag(("manage-cgroups-mode",), default=""), Flag(("empty-ns",), "list"),
         *(Flag((name,), "flag") for name in _SAME))
_EMPTY = {"network": namespaces.NEWNET}


def checkpoint(context: Context, arguments: List[str]) -> int:
    """coracle checkpoint."""
    parsed = parse(arguments, (*_BOTH, *(Flag((name,), "flag") for name in _CHECKPOINT), Flag(("parent-path",), default=""),
                               Flag(("status-fd",), "number", -1), Flag(("page-server",))), "checkpoint")
    name, options = one(parsed.words, "checkpoint"), parsed.options
    state_dir = context.state_dir(name)
    record.load(state_dir)
    program = _program(context)
    wishes = _wishes(options)._replace(
        parent=_parent(options), page_server=_page_server(options["page-server"]), status_fd=_status_fd(options["status-fd"]),
        **{each.replace("-", "_"): options[each] for each in _CHECKPOINT})
    checkpoint_verb.checkpoint(program, state_dir, wishes)
    if not wishes.leave_running and not wishes.pre_dump:
        for warning in delete_verb.delete(state_dir, force=True):
            context.log.write("warning", warning)
    return 0


def restore(context: Context, arguments: List[str]) -> int:
    """coracle restore."""
    from . import oci_attend, oci_life  # pylint: disable=import-outside-toplevel
    parsed = parse(arguments, (*_BOTH, Flag(("bundle", "b"), default="."), Flag(("console-socket",)), Flag(("pid-file",)),
                               Flag(("detach", "d"), "flag"), Flag(("no-subreaper",), "flag"), Flag(("no-pivot",), "flag"),
                               Flag(("lsm-profile",), default=""), Flag(("lsm-mount-context",), default="")), "restore")
    name, options = one(parsed.words, "restore"), parsed.options
    state_dir = context.state_dir(name)
    if os.path.lexists(os.path.join(state_dir, record.FILE)):
        raise Conflict("container with id exists: '%s'" % name, "Delete it first, or choose another name")
    program = _program(context)
    wishes = _wishes(options)._replace(lsm_profile=options["lsm-profile"], lsm_mount_context=options["lsm-mount-context"])
    config = oci_life.read_config(options)
    console, terminal = None, None
    if options["console-socket"]:
        console = oci_life.connect(options["console-socket"])
    elif config["process"].get("terminal") and not options["detach"]:
        terminal = oci_attend.Terminal()
        console = terminal.theirs
    files.make_folder(context.root)
    from ..runtime import restore as restore_verb  # pylint: disable=import-outside-toplevel
    made = restore_verb.restore(
        program, options["bundle"], state_dir, wishes, identity=name, console=console, systemd=context.systemd_cgroup,
        cgroup=oci_life.cgroup_of(context, name, (config.get("linux") or {}).get("cgroupsPath") or ""))
    oci_life.announce(context, options, made)
    if options["detach"]:
        os.close(made.pidfd)
        return 0
    status = oci_attend.attend(made.pid, made.pidfd, terminal)
    delete_verb.delete(state_dir)
    return status


def _program(context: Context) -> str:
    if rootless.limited():
        raise EngineError("checkpoint and restore need the host's root", "Call it as root")
    return criu.find(context.criu)


def _wishes(options: Dict[str, Any]) -> checkpoint_verb.Wishes:
    empty = namespaces.NEWNET  # interfaces are made by whoever calls, as for a new container
    for kind in options["empty-ns"]:
        if kind not in _EMPTY:
            raise EngineError("--empty-ns: namespace %r is not supported" % kind, "It may be %s" % ", ".join(_EMPTY))
        empty |= _EMPTY[kind]
    mode = options["manage-cgroups-mode"]
    if mode not in criu.CGROUP_MODES:
        raise EngineError("--manage-cgroups-mode: %r is none" % mode, "It may be soft, full, strict or ignore")
    images = os.path.abspath(options["image-path"] or "checkpoint")
    work = os.path.abspath(options["work-path"]) if options["work-path"] else ""
    for path in filter(None, (images, work)):
        files.make_folder(path, 0o700)
    return checkpoint_verb.Wishes(images, work, cgroups=criu.CGROUP_MODES[mode], empty=empty,
                                  **{each.replace("-", "_"): options[each] for each in _SAME})


def _parent(options: Dict[str, Any]) -> str:
    parent = str(options["parent-path"])
    if parent.startswith("/"):
        raise EngineError("--parent-path must be relative, and is %s" % parent, "It is seen from --image-path")
    if parent and not os.path.isdir(os.path.join(options["image-path"] or "checkpoint", parent)):
        raise EngineError("invalid --parent-path: %s is no folder seen from --image-path" % parent,
                          "Name the --image-path of an earlier --pre-dump")
    return parent


def _page_server(text: Optional[str]) -> Optional[Tuple[str, int]]:
    if not text:
        return None
    address, _colon, port = text.rpartition(":")
    if not address or not 0 < number(port, "--page-server") < 1 << 16:
        raise EngineError("--page-server: %r is not of the form ADDRESS:PORT" % text)
    return address.strip("[]"), int(port)


def _status_fd(handle: int) -> int:
    """A descriptor that can be written to; -1 stays what it is.

    Raises:
        EngineError: It cannot.
    """
    if handle != -1:
        try:
            if not fcntl.fcntl(handle, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
                raise EngineError("invalid --status-fd argument %d: not writable" % handle)
        except (OSError, OverflowError) as error:
            raise EngineError("invalid --status-fd argument %d: %s" % (handle, error)) from error
    return handle
