# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's sections on tasks that do other things than run one container: exec, copy, information, stacks. Pure functions."""

from __future__ import annotations

import statistics
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]
_WORDS = {"exec": "`container_exec` of `true`", "copy": "`container_copy` of 1,000 files", "copy again": "the same, unchanged"}
_STEPS = ("create", "unchanged", "one changed", "remove")
_SIDES = {"ours": "`container_stack`", "loop": "`podman_container` in a loop", "kube": "`podman kube play --replace`",
          "compose": "podman-compose"}
_TARGETS = {"create": 0.1, "unchanged": 0.05}


def render(figures: Mapping[str, Any], table: Table) -> List[str]:
    """What C(around.py), C(information.py) and C(stacks.py) have found, as far as they were run."""
    return _around(figures.get("around"), table) + _information(figures.get("information"), table) + _stacks(figures.get("stacks"), table)


def _where(of: Mapping[str, Any]) -> str:
    return "- %(date)s, Linux %(kernel)s; load average %(load).1f before\n" % of


def _around(figures: Optional[Mapping[str, Any]], table: Table) -> List[str]:
    if figures is None:
        return []
    times = figures["milliseconds"]

    def spread(name: str) -> str:
        return "%.0f (%.0f)" % (times[name]["median"], times[name]["least"])
    rows = [[words, spread("coracle " + what), spread("podman " + what), "**%.2f**" % figures["ratios"][what], "0.50"]
            for what, words in _WORDS.items()]
    return ["## Tasks around a container\n",
            "Further tasks of a playbook beside containers.podman's modules for the same; median (least), in milliseconds.\n",
            _where(figures),
            table(("", "ours", "containers.podman", "ratio", "target"), [*rows, ["the floor", spread("ping"), "", "", ""]])]


def _information(figures: Optional[Mapping[str, Any]], table: Table) -> List[str]:
    if figures is None:
        return []
    parts = ["## Information on %d containers\n" % figures["containers"],
             "In one warm process, median, in milliseconds; target for everything but drift: 50.\n", _where(figures),
             table(("", "of the clock", "of the processor"), [[what, "%.1f" % of["clock"], "%.1f" % of["processor"]]
                                                             for what, of in figures["milliseconds"].items()])]
    tasks = {name.rpartition(".")[2]: of for name, of in figures["seconds of a task"].items()}
    if tasks:
        ours, theirs = tasks["container_info"], tasks["podman_container_info"]
        parts.append("A task that asks for everything: %.2f s (least %.2f); `podman_container_info`: %.2f s (%.2f); ratio **%.2f**, target "
                     "0.5.\n`ansible.builtin.ping`: %.2f s.\n" % (ours["median"], ours["least"], theirs["median"], theirs["least"],
                                                                 ours["median"] / theirs["median"], tasks["ping"]["median"]))
    return parts


def _stacks(figures: Optional[Mapping[str, Any]], table: Table) -> List[str]:
    if figures is None:
        return []
    median: Dict[str, Dict[str, float]] = {side: {step: statistics.median(times) for step, times in steps.items()}
                                           for side, steps in figures["seconds"].items()}
    rows = [[words, *("%.2f" % median[side][step] for step in _STEPS)] for side, words in _SIDES.items() if side in median]
    if "loop" in median:
        rows += [["ours : loop", *("**%.3f**" % (median["ours"][step] / median["loop"][step]) for step in _STEPS)],
                 ["target", *("%.2f" % _TARGETS[step] if step in _TARGETS else "" for step in _STEPS)]]
    parts = ["## Stacks\n", "%d services, each with a network, a named volume, limits and a published port; medians, in seconds.\n"
             % figures["count"], _where(figures), table(("", *_STEPS), rows)]
    if "many" in median:
        unchanged, ping = median["many"]["unchanged"], median["ping"]["ping"]
        parts.append("An unchanged run of %d services: %.2f s (least %.2f), %.2f s more than `ansible.builtin.ping`; target 0.5.\n" % (
            figures["many"], unchanged, min(figures["seconds"]["many"]["unchanged"]), unchanged - ping))
    return parts
