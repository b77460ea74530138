# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a stack to what is declared, and back to what was reached before where that fails."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence

from ..container import records as containers
from ..container import waiting
from ..container.logs import timestamp
from ..errors import EngineError, NotFound
from ..image import images
from ..instance import Instance
from ..network import networks
from ..store import files
from ..volume import records as volume_records
from . import definition, planning, reality, records, scheduling, secrecy, work
from .definition import STACK, Stack
from .kinds import HEALTHY, Kinds
from .planning import Operation
from .reality import Reality
from .scheduling import Outcome


class Aim(NamedTuple):
    """What is to be reached: the stack, its definition as it was written, and the revision that this was."""

    stack: Stack
    written: Dict[str, Any]
    revision: Optional[records.Good] = None


def digest_of(written: Mapping[str, Any]) -> str:
    """Of a definition as it was written."""
    return "sha256:" + hashlib.sha256(files.encode_json(dict(written))).hexdigest()


def stack_of(instance: Instance, kinds: Kinds, written: Mapping[str, Any], task: Mapping[str, Any], name: str) -> Stack:
    """What a definition means.

    Raises:
        EngineError: It has faults.
    """
    return definition.expand(kinds.read(written, name), digest_of(secrecy.concealed(instance, name, written)),
                             records.folder(instance, name), partial(secrecy.place, instance, name), task)


def earlier(instance: Instance, name: str, number: Optional[int]) -> records.Good:
    """The revision to go back to: the one that is named; else the last that was reached before the present one.

    A stack that has been brought back, and to nothing else since, stays where it is: the same task again changes nothing.

    Raises:
        NotFound: There is none.
    """
    past, record = records.history(instance, name), records.read(instance, name)
    if number is None and record is not None and record.rolled_back is not None:
        number = record.rolled_back
    if number is None:
        reached = bool(past) and record is not None and past[-1].digest == record.digest
        found = next(iter(past[:-1][-1:] if reached else past[-1:]), None)
    else:
        found = next((each for each in past if each.revision == number), None)
    if found is None:
        known = ", ".join(str(each.revision) for each in past) or "none"
        raise NotFound("the stack '%s' has no %s to go back to; it has: %s" % (
            name, "earlier revision" if number is None else "revision %d" % number, known), "Declare it with a definition")
    return found


def there(instance: Instance, name: str, services: Optional[FrozenSet[str]]) -> Reality:
    """What there is of a stack, whatever its definition; of some services only, or with networks and volumes too."""
    record = records.read(instance, name)
    seen = reality.present(instance, name, services)
    mine = {each.container.name: each.container.service for each in seen}
    if services is not None:
        return Reality(record, mine, {}, seen)
    labelled = {each.name for each in networks.every(instance) if dict(each.labels).get(STACK) == name}
    recorded = {each for each in (record.networks if record else ()) if networks.load(instance, each) is not None}
    volumes = tuple(each for each in (record.volumes if record else ()) if volume_records.load(instance, each) is not None)
    return Reality(record, mine, {}, seen, (), tuple(sorted(labelled | recorded)), volumes=volumes, known=record is not None)


def bring_up(instance: Instance, aim: Aim, found: Reality, operations: Sequence[Operation], kinds: Kinds, task: Mapping[str, Any]) -> None:
    """Carry out a plan; what fails is told, and taken back where that is asked for.

    Raises:
        EngineError: Something failed.
    """
    before = found.record
    secrecy.write(instance, aim.stack.secrets)
    _note(instance, aim, before)
    _write_files(aim.stack)
    done = _carry_out(instance, aim.stack, found, operations, kinds, task)
    if not scheduling.failures(done):
        return
    comfort = ""
    good = _last_good(instance, aim.stack.name, before)
    if task["rollback_on_failure"]:
        comfort = _roll_back(instance, aim.stack, good, None, kinds, task)
    else:
        failed = [each for each in work.failed_services(operations, done) if aim.stack.services[each].update.failure_action == "rollback"]
        if failed:
            comfort = _roll_back(instance, aim.stack, good, failed, kinds, task)
    raise _told(aim.stack.name, operations, done, comfort)


def _carry_out(instance: Instance, stack: Stack, found: Reality, operations: Sequence[Operation], kinds: Kinds,
               task: Mapping[str, Any]) -> Dict[str, Outcome]:
    edges, waits = planning.order(stack, found, operations, task["wait"])
    site = work.Site(instance, stack, found, kinds, task["wait_timeout"] / 1000000, task["keep_volumes"])
    return work.carry_out(site, operations, edges, waits, task["parallel"] or scheduling.width())


def _last_good(instance: Instance, name: str, record: Optional[records.Record]) -> Optional[records.Good]:
    past = records.history(instance, name)
    if record is not None and record.rolled_back is not None:
        return next((each for each in past if each.revision == record.rolled_back), None)
    return past[-1] if past else None


def _roll_back(instance: Instance, stack: Stack, good: Optional[records.Good], services: Optional[List[str]], kinds: Kinds,
               task: Mapping[str, Any]) -> str:
    """Go back to the last definition that was reached, with all services or with some; says how that went."""
    name = stack.name
    if good is None:
        return "There is no earlier definition to go back to"
    task = dict(task, recreate=False, pull=None, wait="started" if task["wait"] == "none" else task["wait"])
    try:
        definition_then = secrecy.revealed(instance, name, good.definition)
        old = stack_of(instance, kinds, definition_then, task, name)
        old = old._replace(services={each: service._replace(update=service.rollback) for each, service in old.services.items()
                                     if services is None or each in services})
        found = reality.look(instance, old, kinds, services is None, good.images)
        faults = list(found.faults)
        operations = planning.up(old, found, faults)
        if faults:
            raise EngineError("; ".join(faults))
        secrecy.write(instance, old.secrets)
        if services is None:
            _note(instance, Aim(old, definition_then, good), found.record)
        _write_files(old)
        done = _carry_out(instance, old, found, operations, kinds, task)
    except EngineError as error:
        return "Going back to revision %d failed too: %s" % (good.revision, error)
    failures = scheduling.failures(done)
    if failures:
        return "Going back to revision %d failed too: %s" % (good.revision, "; ".join("%s: %s" % each for each in failures))
    what = "The stack is" if services is None else "The service%s %s %s" % (
        "" if len(services) == 1 else "s", ", ".join(services), "is" if len(services) == 1 else "are")
    return "%s back at revision %d" % (what, good.revision)


def _told(name: str, operations: Sequence[Operation], done: Mapping[str, Outcome], comfort: str) -> EngineError:
    """All failures in one error."""
    failures = scheduling.failures(done)
    skipped = {key: outcome.because for key, outcome in done.items() if outcome.status == scheduling.SKIPPED}
    text = ["- %s: %s" % (key, error) for key, error in failures]
    text += ["- %s: was not begun, because of %s" % each for each in sorted(skipped.items())]
    service_of = {each.key: each.service for each in operations}
    return EngineError(
        "the stack '%s': %d of %d operations failed:\n%s\n" % (name, len(failures), len(done), "\n".join(text)),
        comfort or "What does not depend on these was carried out; the next run goes on from there", changed=True,
        failures=[{"operation": key, "service": service_of.get(key) or None, "msg": str(error), **error.facts} for key, error in failures],
        skipped=[{"operation": key, "because": because} for key, because in sorted(skipped.items())],
        plan=planning.lines(operations), operations=planning.shown(operations))


def fetch(instance: Instance, stack: Stack, found: Reality, operations: Sequence[Operation], kinds: Kinds, task: Mapping[str, Any]) -> None:
    """Bring the images.

    Raises:
        EngineError: One does not come.
    """
    done = _carry_out(instance, stack, found, operations, kinds, dict(task, wait="none"))
    if scheduling.failures(done):
        raise _told(stack.name, operations, done, "")


def take_down(instance: Instance, name: str, state: str, found: Reality, operations: Sequence[Operation], task: Mapping[str, Any]) -> None:
    """Stop or remove what there is of a stack, who depends on others first.

    Raises:
        EngineError: Something stays.
    """
    stack = Stack(name, {}, {}, {}, frozenset(), {}, {}, "")
    site = work.Site(instance, stack, found, None, 0.0, task["keep_volumes"])
    edges = planning.reverse(operations, _needs(found.record))
    done = work.carry_out(site, operations, edges, {}, task["parallel"] or scheduling.width())
    if scheduling.failures(done):
        raise _told(name, operations, done, "")
    if state == "absent" and not task["services"]:
        _unpin(instance, name, frozenset())
        secrecy.forget(instance, name)
        records.remove(instance, name)


def _needs(record: Optional[records.Record]) -> Dict[str, List[str]]:
    """Which services need which, by a definition as it was written."""
    services = (record.definition.get("services") if record is not None else None) or {}
    return {str(name): [str(each) for each in row.get("depends_on") or ()] for name, row in services.items() if isinstance(row, dict)}


def settle(instance: Instance, aim: Aim, task: Mapping[str, Any]) -> None:
    """Wait for health where that is asked for; then keep what was reached, and forget what nobody needs any more.

    Raises:
        EngineError: A container does not become healthy.
    """
    stack = aim.stack
    if task["wait"] == HEALTHY:
        for each in stack.containers:
            key = containers.current(instance, each.name)
            record = containers.read(instance, key)
            if record is not None and record.options.get("healthcheck"):
                waiting.await_health(instance, key, task["wait_timeout"] / 1000000, locked=False)
    if task["services"]:
        return
    if aim.revision is None:
        used = {}
        for each in stack.containers:
            record = containers.read(instance, containers.current(instance, each.name))
            if record is not None:
                used[each.service] = record.image_id
        kept = secrecy.concealed(instance, stack.name, aim.written, prints=True)
        records.note_good(instance, stack.name, kept, stack.digest, used)
    _forget(instance, stack)


def _note(instance: Instance, aim: Aim, before: Optional[records.Record]) -> None:
    """Keep what is asked for, before the first change: a run that is interrupted leaves nobody's containers."""
    stack = aim.stack
    kept = secrecy.concealed(instance, stack.name, aim.written, prints=True)
    records.write(instance, records.Record(
        stack.name, kept, stack.digest, sorted({*stack.networks, *(before.networks if before else ())}),
        sorted({*stack.volumes, *(before.volumes if before else ())}), timestamp(),
        aim.revision.revision if aim.revision is not None else None))


def _write_files(stack: Stack) -> None:
    """The files of configs, by their content."""
    for path, file in stack.files.items():
        if os.path.lexists(path):
            continue
        data = (file.content or "").encode("utf-8", "surrogateescape")
        if file.source is not None:
            with open(file.source, "rb") as stream:
                data = stream.read()
        for folder in (os.path.dirname(os.path.dirname(path)), os.path.dirname(path)):
            files.make_folder(folder)
        part = path + files.TEMPORARY
        files.write(part, data, file.mode)
        os.chown(part, file.uid, file.gid)
        os.chmod(part, file.mode)
        os.rename(part, path)


def _forget(instance: Instance, stack: Stack) -> None:
    """Drop files that no container mounts, secrets and names of images that no revision needs, and networks that are gone."""
    record = records.read(instance, stack.name)
    past = records.history(instance, stack.name)
    _unpin(instance, stack.name, frozenset(each for good in past for each in good.images.values()))
    options = [each.options for name in reality.members(instance, stack.name)
               for each in [containers.read(instance, containers.current(instance, name))] if each is not None]
    needed = {row["source"] for each in options for row in each.get("secrets") or ()}
    needed.update(*(secrecy.kept(each.definition) for each in past), secrecy.kept(record.definition if record is not None else {}))
    secrecy.forget(instance, stack.name, needed)
    folder = records.folder(instance, stack.name, "files")
    if os.path.isdir(folder):
        mounted = {row["source"] for each in options for row in each.get("mounts") or ()}
        for name in os.listdir(folder):
            if os.path.join(folder, name) not in mounted:
                os.unlink(os.path.join(folder, name))
        files.remove_empty(folder)
    if record is not None:
        alive = [each for each in record.networks if each in stack.networks or networks.load(instance, each) is not None]
        if alive != record.networks:
            records.write(instance, record._replace(networks=alive))


def _unpin(instance: Instance, name: str, needed: FrozenSet[str]) -> None:
    """Take away the names that kept images of earlier revisions, where no revision needs them, and what nobody else needs of these."""
    prefix = work.pin(name, "")
    kept = {work.pin(name, each) for each in needed}
    unneeded = [each.reference for each in images.entries(instance) if each.reference.startswith(prefix) and each.reference not in kept]
    for reference in unneeded:
        images.forget(instance, reference)
    if unneeded:
        from ..image import garbage  # pylint: disable=import-outside-toplevel
        garbage.collect(instance)
        images.write_index(instance)
