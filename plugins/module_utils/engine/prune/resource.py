# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(container_prune): what is not needed any more, of containers, volumes, networks, images, layers and broken off downloads."""

from __future__ import annotations

import calendar
import os
import time
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from ..container import lifecycle, observe as looking, records, status
from ..errors import EngineError
from ..image import garbage, images
from ..instance import Instance
from ..plan import RECREATE, Change, Difference, Plan
from ..network import declare, networks
from ..network import leases as addresses
from ..store import files, leases, locks
from ..volume import information, volumes
from ..volume import records as volume_records

_ENDED = (status.CREATED, status.EXITED)


class Desired(NamedTuple):
    """What was asked for."""

    params: Mapping[str, Any]
    options: Dict[str, Any]


class Observed(NamedTuple):
    """What may go.

    Attributes:
        containers: Names, and bytes of their folders.
        volumes: Likewise.
        networks: Names.
        images: Complete names.
        unused: Layers, blobs and parts that nothing would use any more.
        options: Nothing is compared by table.
    """

    containers: Dict[str, int]
    volumes: Dict[str, int]
    networks: Tuple[str, ...]
    images: Tuple[str, ...]
    unused: garbage.Unused
    options: Dict[str, Any]


def key(_params: Mapping[str, Any]) -> str:
    """One at a time."""
    return "all"


def resolve(_instance: Instance, params: Mapping[str, Any]) -> Desired:
    """Nothing depends on the host."""
    return Desired(params, {})


def observe(instance: Instance, desired: Desired) -> Observed:
    """Look for what nobody needs and the filters let through."""
    params = desired.params
    doomed: Dict[str, int] = {}
    if params["containers"]:
        for name in records.names(instance):
            if _may_go(instance, name, params["containers_filters"] or {}):
                doomed[name] = files.usage(records.folder(instance, name))
    gone = frozenset(doomed)
    names = _image_names(instance, params, gone)
    return Observed(doomed, _volumes(instance, params, gone), _networks(instance, params, gone), names,
                    garbage.unused(instance, frozenset(names), gone, _resumable_for(params), _content(params)),
                    {})


def _may_go(instance: Instance, name: str, filters: Mapping[str, Any]) -> bool:
    """Whether a container has ended and the filters let it through."""
    state = looking.report_of(instance, name)
    record = records.read(instance, name)
    if record is None or state.get("status") not in _ENDED:
        return False
    return _old(_seconds(record.created), filters) and _labelled(record.options.get("labels") or {}, filters)


def _volumes(instance: Instance, params: Mapping[str, Any], without: FrozenSet[str]) -> Dict[str, int]:
    """The volumes that no container mentions and the filters let through, with their bytes on the disk."""
    if not params["volumes"]:
        return {}
    filters = params["volumes_filters"] or {}
    users = volume_records.users(instance)
    return {record.name: information.on_disk(instance, record) for record in volume_records.every(instance)
            if not set(users.get(record.name, ())) - without and (filters.get("all") or record.container)
            and _old(_seconds(record.created), filters) and _labelled(record.labels, filters)}


def _networks(instance: Instance, params: Mapping[str, Any], without: FrozenSet[str]) -> Tuple[str, ...]:
    """The networks that have no member, that no container mentions, and that the filters let through."""
    if not params["networks"]:
        return ()
    filters = params["networks_filters"] or {}
    mentioned = set()
    for name, record in garbage.containers(instance):
        if name not in without:
            options = record.get("options") or {}
            mentioned |= {options.get("network_mode"), *(row["name"] for row in options.get("networks") or ())}
    return tuple(each.name for each in networks.every(instance) if each.name not in mentioned
                 and not {lease.netns for lease in addresses.of(instance, each.name)} - without
                 and _old(os.stat(networks.path(instance, each.name)).st_mtime, filters) and _labelled(dict(each.labels), filters))


def _image_names(instance: Instance, params: Mapping[str, Any], without: FrozenSet[str]) -> Tuple[str, ...]:
    """The names of images that no container uses and the filters let through; none where only nameless images may go."""
    filters = params["images_filters"] or {}
    if not params["images"] or filters.get("dangling", True):
        return ()
    used = {record.get("image_id") for name, record in garbage.containers(instance) if name not in without}
    found = []
    for entry in images.entries(instance):
        try:
            image = images.load(instance, entry)
        except (EngineError, ValueError, KeyError):
            continue
        if image.id not in used and _old(entry.imported, filters) and _labelled(
                image.run_config.get("Labels") or {}, filters):
            found.append(entry.reference)
    return tuple(found)


def _content(params: Mapping[str, Any]) -> bool:
    return bool(params["containers"] or params["images"] or params["layers"])


def _resumable_for(params: Mapping[str, Any]) -> float:
    """Seconds for which the parts of broken off downloads are kept."""
    if not params["parts"]:
        return float(leases.KEPT_FOR)
    return float(((params["parts_filters"] or {}).get("until") or 0) / 1000000)


def _old(since: float, filters: Mapping[str, Any]) -> bool:
    return time.time() - since >= (filters.get("until") or 0) / 1000000


def _seconds(moment: str) -> float:
    """RFC 3339 in UTC, in whole seconds since the epoch."""
    return float(calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")))


def _labelled(labels: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """Whether all labels that are asked for are there, and none that is not wanted."""
    def there(text: str) -> bool:
        name, equals, value = text.partition("=")
        return name in labels and (not equals or str(labels[name]) == value)
    return all(map(there, filters.get("labels") or ())) and not any(map(there, filters.get("without_labels") or ()))


def plan(_desired: Desired, observed: Observed, _differences: Tuple[Difference, ...]) -> Plan:
    """A step for each thing that goes, with its bytes."""
    unused = observed.unused
    steps: List[Change] = [_step("remove", "container " + name, size, RECREATE) for name, size in observed.containers.items()]
    steps += [_step("remove", "volume " + name, size, RECREATE) for name, size in observed.volumes.items()]
    steps += [_step("remove", "network " + name, None) for name in observed.networks]
    steps += [_step("remove", "image " + name, None) for name in observed.images]
    steps += [_step("delete", "layer " + diff_id, unused.sizes.get(diff_id)) for diff_id in unused.layers]
    steps += [_step("delete", "blob " + digest, unused.sizes.get(digest)) for digest in unused.blobs
              if digest not in unused.layers]
    steps += [_step("delete", "part " + os.path.basename(part.path), part.size) for part in unused.parts]
    return tuple(steps)


def _step(action: str, target: str, size: Optional[int], disruption: str = "live") -> Change:
    return Change(action, target, disruption, (Difference(target, "there" if size is None else size, None),))


def apply(instance: Instance, desired: Desired, observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """Remove it. What has come into use meanwhile stays."""
    freed = 0
    for name, size in observed.containers.items():
        with locks.held(instance, "container", records.called(name)):
            if _may_go(instance, name, desired.params["containers_filters"] or {}):
                lifecycle.release(instance, name)
                records.remove(instance, name)
                freed += size
    for name in observed.volumes:
        with locks.held(instance, "volume", name):
            if name in _volumes(instance, desired.params, frozenset()):
                freed += observed.volumes[name]
                volumes.remove(instance, name)
    volumes.sweep(instance)
    for name in observed.networks:
        if name in _networks(instance, desired.params, frozenset()):
            declare.withdraw(instance, name)
    lifecycle.tidy(instance)
    if observed.images:
        still = set(_image_names(instance, desired.params, frozenset()))
        for name in observed.images:
            if name in still:
                images.forget(instance, name)
    found = garbage.collect(instance, _resumable_for(desired.params), _content(desired.params))
    if observed.images:
        images.write_index(instance)
    return {"freed": freed + found.size}


def rehearse(_instance: Instance, _desired: Desired, observed: Observed, _steps: Plan) -> Dict[str, Any]:
    """How many bytes would be freed."""
    return {"freed": _size(observed)}


def report(_instance: Instance, _desired: Desired, observed: Observed) -> Dict[str, Any]:
    """What could go now."""
    unused = observed.unused
    return {"containers": list(observed.containers), "volumes": list(observed.volumes), "networks": list(observed.networks),
            "images": list(observed.images), "layers": list(unused.layers),
            "blobs": list(unused.blobs), "parts": [os.path.basename(part.path) for part in unused.parts],
            "size": _size(observed)}


def _size(observed: Observed) -> int:
    """Bytes of all that would go."""
    return observed.unused.size + sum(observed.containers.values()) + sum(observed.volumes.values())
