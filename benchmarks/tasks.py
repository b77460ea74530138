# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tasks take in real runs of ansible-playbook, each with what it has to change checked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import collection
from hosts import Host

HERE = Path(__file__).resolve().parent
SIDES = ("ping", "coracle", "podman")
SINGLE = (("create", "started", True), ("unchanged", "started", False), ("remove", "absent", True))
"""What is done with a container in this order: a name for it, the state to ask for, whether that changes anything."""

Times = Dict[str, List[float]]


class Tasks:
    """Runs steps in a host. Times are in seconds; keys are C(SIDE WHAT)."""

    def __init__(self, host: Host, peers: Path, network_mode: str) -> None:
        self._host = host
        self._network_mode = network_mode
        self.surprises: List[str] = []
        self._stamps = host.folder / "stamps"
        self._environment = {
            "ANSIBLE_COLLECTIONS_PATH": "%s:%s" % (collection.collections_path(), peers),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callbacks"), "ANSIBLE_CALLBACKS_ENABLED": "stamps",
            "CORACLE_BENCHMARK_STAMPS": str(self._stamps)}

    def run(self, steps: List[Tuple[str, str, bool]], count: int) -> List[float]:
        """Run one playbook of these steps (side, state, whether it changes); how long each took.

        Raises:
            RuntimeError: One of ours said C(changed) where it must not, or did not where it must. That of a peer is noted.
        """
        variables = {"cgroup_root": self._host.cgroup_root, "steps": [
            {"side": side, "state": state, "count": count, "network_mode": self._network_mode}
            for side, state, _changes in steps]}
        self._stamps.write_text("", encoding="utf-8")
        self._host.playbook(HERE / "playbook" / "main.yml", "-c", "local", "-e", json.dumps(variables), env=self._environment)
        rows = [json.loads(line) for line in self._stamps.read_text(encoding="utf-8").splitlines()]
        for (side, state, changes), row in zip(steps, rows):
            wrong = row["changed"].count(not changes)
            if wrong:
                note = "%s: state %s, where changed: %s is right: %d of %d said otherwise" % (
                    side, state, str(changes).lower(), wrong, count)
                if side != "podman":
                    raise RuntimeError(note)
                self.surprises.append(note)
        if len(rows) != len(steps):
            raise RuntimeError("%d steps, but %d results" % (len(steps), len(rows)))
        return [float(row["seconds"]) for row in rows]

    def alone(self, budget: float, count: int = 1, after: Callable[[str], None] = lambda what: None) -> Times:
        """Each step as the only task of a playbook, the sides in turn.

        Args:
            budget: Seconds after which no further round begins.
            count: Containers in each task.
            after: Called when both sides have done a step.
        """
        times: Times = {}
        end = time.monotonic() + budget
        while not times or time.monotonic() < end:
            times.setdefault("ping", []).extend(self.run([("ping", "", False)], count))
            for what, state, changes in SINGLE:
                for side in SIDES[1:]:
                    times.setdefault("%s %s" % (side, what), []).extend(self.run([(side, state, changes)], count))
                after(what)
        return times

    def following(self, budget: float) -> Times:
        """Each step as one of many tasks of a playbook; the first round, which packs the modules, is left out."""
        names = ["ping"] + ["%s %s" % (side, what) for what, _state, _changes in SINGLE for side in SIDES[1:]]
        steps: List[Tuple[str, str, bool]] = [("ping", "", False)]
        steps += [(side, state, changes) for _what, state, changes in SINGLE for side in SIDES[1:]]
        times: Times = {name: [] for name in names}
        end = time.monotonic() + budget
        while not times["ping"] or time.monotonic() < end:
            seconds = self.run(steps * 4, 1)[len(steps):]
            for at, name in enumerate(names):
                times[name] += seconds[at::len(steps)]
        return times


def table(times: Times) -> Dict[str, Any]:
    """For each of C(SINGLE): the least and the median of each side, and the ratio of the medians."""
    rows: Dict[str, Any] = {"ping": summary(times["ping"])}
    for what, _state, _changes in SINGLE:
        ours, theirs = summary(times["coracle " + what]), summary(times["podman " + what])
        rows[what] = {"coracle": ours, "podman": theirs, "ratio": round(ours["median"] / theirs["median"], 3),
                      "ratio_of_least": round(ours["least"] / theirs["least"], 3)}
    return rows


def summary(seconds: List[float]) -> Dict[str, float]:
    """The least and the median, in milliseconds."""
    ordered = sorted(seconds)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"least": round(ordered[0] * 1000, 2), "median": round(median * 1000, 2)}
