# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_info) tells: containers in full, as far as it is asked for."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..instance import Instance
from ..kernel import mounts
from . import log_reading, metrics, observe, records, status

_RUNNING = (status.RUNNING, status.PAUSED)


def describe(instance: Instance, params: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The containers that are asked for, by name; those named that do not exist say so."""
    keys = records.listed(instance) if params["name"] is None else [records.current(instance, name) for name in params["name"]]
    wanted = _image(instance, params["image"])
    known = observe.attached(instance)
    states = {key: observe.report_of(instance, key, known) for key in keys}
    states = {key: state for key, state in states.items() if _fits(state, params, wanted)}
    samples: Dict[str, Optional[metrics.Sample]] = {}
    if "usage" in params["gather"] or "limits" in params["gather"]:
        samples = _measure(instance, [key for key, state in states.items() if state["exists"]], params["interval"] / 1e6)
    return [_complete(instance, key, state, params, samples, known) for key, state in states.items()]


def _image(instance: Instance, reference: Optional[str]) -> Optional[Callable[[Mapping[str, Any]], bool]]:
    """A test whether a container was made from an image; it need not be in the store any more."""
    if reference is None:
        return None
    from ..image import images, references  # pylint: disable=import-outside-toplevel
    image = images.find(instance, reference)
    if image is not None:
        return lambda state: bool(state["image_id"] == image.id)
    name = references.normal(reference)
    return lambda state: references.normal(state["image"]) == name


def _fits(state: Mapping[str, Any], params: Mapping[str, Any], image: Optional[Callable[[Mapping[str, Any]], bool]]) -> bool:
    if params["state"] and state["status"] not in params["state"]:
        return False
    labels = (state.get("options") or {}).get("labels") or {}
    for key, value in (params["label"] or {}).items():
        if key not in labels or value is not None and labels[key] != value:
            return False
    return image is None or state["exists"] and image(state)


def _measure(instance: Instance, names: List[str], interval: float) -> Dict[str, Any]:
    """For each container, its sample with what it used over the interval."""
    before = {}
    if interval:
        before = {each.name: each for each in metrics.samples(instance, names)}
        time.sleep(interval)
    return {each.name: metrics.report(each, before.get(each.name)) for each in metrics.samples(instance, names)}


def _complete(instance: Instance, key: str, state: Dict[str, Any], params: Mapping[str, Any],
              measured: Mapping[str, Any], known: observe.Attached) -> Dict[str, Any]:
    parts, tail = params["gather"], params["logs_tail"]
    state.pop("usage", None)
    if not state["exists"]:
        return state
    name, running = state["name"], state["status"] in _RUNNING and "pid" in state
    told = measured.get(name)
    if "usage" in parts:
        state["usage"] = None if told is None or told["usage"] is None else dict(
            told["usage"], rates=told["rates"], memory_percent=told["memory_percent"], network=told["network"])
    if "limits" in parts:
        state["limits"] = None if told is None or told["usage"] is None else told["limits"]
    if tail is not None:
        log = records.folder(instance, key, "container.log")
        state["logs"] = log_reading.lines(log_reading.last(log_reading.Reader(log).more(), tail))
    if "network" in parts:
        state["network"] = _network(state, known.get(key, ()))
    if "mounts" in parts:
        state["mounts"] = _mounts(instance, state, running)
    if "processes" in parts:
        state["processes"] = metrics.processes(instance, key) if running else []
    if "drift" in parts:
        from . import drift  # pylint: disable=import-outside-toplevel
        state["drift"] = drift.describe(instance, key)
    return state


def _network(state: Mapping[str, Any], attached: Sequence[Tuple[Any, Any]]) -> Dict[str, Any]:
    """Its mode, and each attachment as its lease says."""
    attachments = [{"name": each.name, "interface": lease.interface, "ipv4_address": lease.address, "mac_address": lease.mac,
                    "gateway": each.gateway, "subnet": each.subnet} for each, lease in attached]
    return {"mode": state["options"]["network_mode"], "networks": attachments,
            "published_ports": state["options"].get("published_ports") or []}


def _mounts(instance: Instance, state: Mapping[str, Any], running: bool) -> List[Dict[str, Any]]:
    """The declared mounts, and whether the container's kernel has them."""
    from ..volume import records as volume_records  # pylint: disable=import-outside-toplevel
    table: List[mounts.Mount] = []
    if running:
        try:
            table = mounts.table(str(state["pid"]))
        except OSError:  # it has ended meanwhile
            pass
    found = []
    for row in state["options"]["mounts"]:
        seen = mounts.at(row["target"], table) if table else None
        source = volume_records.content(instance, row["source"]) if row["type"] == "volume" else row.get("source")
        found.append({"type": row["type"], "name": row["source"] if row["type"] == "volume" else None, "source": source,
                      "target": row["target"], "mounted": seen is not None,
                      "read_only": "ro" in seen.options if seen else bool(row.get("read_only")),
                      "options": list(seen.options) if seen else None, "file_system": seen.fstype if seen else None})
    return found
