# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a running container when a secret that it was given has changed."""

from __future__ import annotations

from typing import List, Tuple

from ..instance import Instance
from ..kernel import processes
from . import bundle, events, inside, lifecycle, records, secret_files


def bring(instance: Instance, name: str) -> None:
    """Give a container that runs its secrets as they are now, and restart or signal it where that is asked for.

    To be called with the container's lock.
    """
    record = records.read(instance, name)
    if record is None:
        return
    changed = secret_files.stale(instance, name, record.options.get("secrets") or ())
    if not changed:
        return
    if any(how == secret_files.RESTART for _source, how in changed):
        lifecycle.pre_stop(instance, record)
        lifecycle.stop(instance, name, record.options["stop_signal"], record.options["stop_timeout"] / 1000000)
        lifecycle.start(instance, record).close()
    else:
        renew(instance, record, changed)


def renew(instance: Instance, record: records.Record, changed: List[Tuple[str, str]]) -> None:
    """Write the files anew, then send the signals."""
    live = records.read_live(instance, record.name)
    pidfd = processes.open_pidfd(live.init) if live.init is not None else None
    if pidfd is None or live.init is None:
        return
    root = inside.root_of(live.init)
    process = records.read_config(instance, record.name)["process"]["user"]
    who = bundle.Identity(process["uid"], process["gid"])
    secret_files.give(instance, record.name, lifecycle.secret_rows(root, record.options, who), record.ids)
    root.close()
    for number in sorted({int(how.partition(":")[2]) for _source, how in changed if how.startswith(secret_files.SIGNAL)}):
        processes.send_signal(pidfd, number)
    events.note(instance, record.name, "secrets", changed=[source for source, _how in changed])
