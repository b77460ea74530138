# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as a page: a pure function."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

TARGETS = {"create": 0.6, "unchanged": 0.7}
_WORDS = {"create": "create and start", "unchanged": "nothing changes", "remove": "remove"}


def render(figures: Dict[str, Any]) -> str:
    """The page, as Markdown."""
    machine, summary = figures["machine"], figures["summary"]
    parts = [
        "# Benchmarks\n",
        "Written by `benchmarks/run`; [README.md](README.md) says what is measured and how. The other side of each ratio was\n"
        "measured in the same run on the same machine.\n",
        "- %(date)s, %(processors)d x %(processor)s, Linux %(kernel)s" % machine
        + "; load average %.1f before, %.1f after" % (machine["load_before"], machine["load_after"]),
        "- ansible-core %(ansible-core)s on Python %(controller_python)s, modules run by Python %(python)s" % machine,
        "- containers.podman %(containers.podman)s, Podman %(podman)s, crun %(crun)s, runc %(runc)s, conmon %(conmon)s, "
        "netavark %(netavark)s\n" % machine,
        "## Tasks\n",
        "Median (least) of each, in milliseconds. The floor is `ansible.builtin.ping` in the same place. Ratios are of medians.\n",
    ]
    for name, title in (("alone", "The only task of a playbook"), ("following", "A further task of a playbook"),
                        ("following, no network", "A further task of a playbook, containers without network"),
                        ("loop", "A loop of 20, the only task of a playbook")):
        parts += ["### %s\n" % title, _tasks(summary[name])]
    if figures["surprises"]:
        parts += ["Tasks of the peer that did not say `changed` as expected; their times stand above all the same:\n",
                  *("- " + note for note in figures["surprises"]), ""]
    return "\n".join(parts + [
        "## The runtime alone\n",
        "Create, start, wait for and delete a container of /bin/true from the same bundle, in milliseconds.\n",
        _runtimes(summary["runtime"]),
        "## Memory of what watches\n",
        "While 20 containers of each side run; KiB of each process on the mean.\n",
        _memory(figures["memory"]),
    ]).rstrip("\n") + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| %s |" % " | ".join(heads), "|%s" % ("---|" + "---:|" * (len(heads) - 1))]
    return "\n".join(lines + ["| %s |" % " | ".join(row) for row in rows]) + "\n"


def _spread(times: Dict[str, float]) -> str:
    return "%.0f (%.0f)" % (times["median"], times["least"])


def _tasks(times: Dict[str, Any]) -> str:
    rows: List[List[str]] = []
    for what, words in _WORDS.items():
        row = times[what]
        rows.append([words, _spread(row["coracle"]), _spread(row["podman"]), "**%.2f**" % row["ratio"],
                     "%.2f" % TARGETS[what] if what in TARGETS else ""])
    rows.append(["the floor", _spread(times["ping"]), "", "", ""])
    return _table(("", "container_run", "podman_container", "ratio", "target"), rows)


def _runtimes(times: Dict[str, Any]) -> str:
    ours = times["coracle"]["median"]
    return _table(("", "median", "least", "ours : this"), [
        [{"coracle": "this engine, in a warm process"}.get(name, name + " run"), "%.1f" % row["median"],
         "%.1f" % row["least"], "%.2f" % (ours / row["median"])] for name, row in times.items()])


def _memory(kinds: Dict[str, Any]) -> str:
    words = {"monitor": "monitor, one for each container", "keeper": "keeper, one for the host",
             "conmon": "conmon, one for each container"}
    return _table(("", "processes", "PSS", "private", "RSS"), [
        [text, *("%d" % kinds[kind][key] for key in ("processes", "pss", "private", "rss"))]
        for kind, text in words.items()])
