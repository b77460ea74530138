# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures as a page: a pure function."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import page_around

TARGETS = {"create": 0.6, "unchanged": 0.7}
FLOOR_TARGETS = {"create": 1.5, "unchanged": 1.25}
OTHERS = ("pull", "push", "attach", "network", "names", "around", "information", "stacks")
"""The parts that other commands than benchmarks/run measure."""
_WORDS = {"create": "create and start", "unchanged": "nothing changes", "remove": "remove"}


def keep(folder: Path, name: str, figures: Dict[str, Any]) -> None:
    """Put one more part into the figures of a folder, and write its page again."""
    path = folder / "results.json"
    whole = {**json.loads(path.read_text(encoding="utf-8")), name: figures}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(render(whole), encoding="utf-8")


def circumstances() -> Dict[str, Any]:
    """When and on what something is measured."""
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "kernel": platform.release(), "load": os.getloadavg()[0]}


def tell(name: str, figures: Dict[str, Any], aloud: bool) -> None:
    """Put a part into the figures of this folder and its page, or only print it."""
    if not aloud:
        keep(Path(__file__).parent, name, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


def spread(times: Sequence[float]) -> Dict[str, float]:
    """The median and the least of some."""
    return {"median": statistics.median(times), "least": min(times)}


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
        *(["- Single tasks were measured again: %(date)s, Linux %(kernel)s; load average %(load).1f before\n" % figures["tasks"]]
          if "tasks" in figures else []),
        "Median (least) of each, in milliseconds. The floor is `ansible.builtin.ping` in the same place. Ratios are of medians.\n",
    ]
    for name, title in (("alone", "The only task of a playbook"), ("following", "A further task of a playbook"),
                        ("following, no network", "A further task of a playbook, containers without network"),
                        ("loop", "A loop of 20, the only task of a playbook")):
        parts += ["### %s\n" % title, _tasks(summary[name])]
    if figures["surprises"]:
        parts += ["Tasks of the peer that did not say `changed` as expected; their times stand above all the same:\n",
                  *("- " + note for note in figures["surprises"]), ""]
    return "\n".join(parts + page_around.render(figures, _table) + [
        "## The runtime alone\n",
        "Create, start, wait for and delete a container of /bin/true from the same bundle, in milliseconds: one after the other, all",
        "sides in turn; the last column counts the rounds. Load average %.1f before, %.1f after.\n"
        % tuple(figures.get("load beside the runtimes") or (machine["load_before"], machine["load_after"])),
        _runtimes(summary["runtime"], figures["seconds"]["runtime"]),
        *_exec(summary.get("exec")),
        *_hardening(summary.get("hardened")),
        "## Limits and metrics\n",
        "In milliseconds. What is done in process is what a module or the keeper does once it runs; commands include their start.\n",
        _limits(summary["limits"]),
        "## Memory of what watches\n",
        "While 20 containers of each side run; KiB of each process on the mean.\n",
        _memory(figures["memory"]),
        *_networks(figures),
        *_pull(figures.get("pull")),
        *_push(figures.get("push")),
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
                     "%.2f" % TARGETS[what] if what in TARGETS else "", "%.2f" % (row["coracle"]["median"] / times["ping"]["median"]),
                     "%.2f" % FLOOR_TARGETS[what] if what in FLOOR_TARGETS else ""])
    rows.append(["the floor", _spread(times["ping"]), "", "", "", "", ""])
    return _table(("", "container_run", "podman_container", "ratio", "target", "to the floor", "target"), rows)


def _hardening(times: Optional[Dict[str, Any]]) -> List[str]:
    if times is None:
        return []
    rows = []
    for name in ("coracle", "crun", "runc"):
        bare, hard = times[name + " bare"], times[name + " hardened"]
        rows.append([{"coracle": "this engine, in a warm process"}.get(name, name + " run"),
                     *("%.1f (%.1f)" % (row["median"], row["least"]) for row in (bare, hard)),
                     "%+.1f (%+.1f)" % (hard["median"] - bare["median"], hard["least"] - bare["least"])])
    return ["## What the hardening costs\n",
            "Docker's capabilities, system call filter, masked and read-only paths, no new privileges, and a user namespace with "
            "mapped\nlayers, beside a container with none of them: median (least) from nothing to nothing again, in milliseconds.\n",
            _table(("", "bare", "hardened", "more"), rows)]


def _runtimes(times: Dict[str, Any], seconds: Dict[str, Any]) -> str:
    ours = times["coracle"]["median"]
    words = {"coracle": "this engine, in a warm process", "coracle run": "coracle run", "floor": "the bare system calls"}
    return _table(("", "least", "median", "worst", "warm : this", "warm is faster in"), [
        [words.get(name, name + " run"), "%.1f" % row["least"], "%.1f" % row["median"], "%.1f" % (1000 * max(seconds[name])),
         "%.2f" % (ours / row["median"]),
         "" if name == "coracle" else "%d of %d" % (sum(map(float.__lt__, seconds["coracle"], seconds[name])), len(seconds[name]))]
        for name, row in times.items()])


def _exec(times: Optional[Dict[str, Any]]) -> List[str]:
    if times is None:
        return []
    ours = times["coracle"]["median"]
    words = {"coracle": "this engine, in a warm process", "coracle exec": "coracle exec"}
    return ["## One more process in a container\n", "Start /bin/true in a container that runs, and wait for it, in milliseconds.\n",
            _table(("", "median", "least", "warm : this"), [
                [words.get(name, name + " exec"), "%.1f" % row["median"], "%.1f" % row["least"], "%.2f" % (ours / row["median"])]
                for name, row in times.items()])]


def _limits(times: Dict[str, Any]) -> str:
    words = {"create": "make a group with limits of every controller, in process", "update": "change them, in process",
             "crun update": "`crun update` of the same", "metrics": "read all metrics and effective limits of 100 groups, in process",
             "coracle stats": "`coracle stats --no-stream`, 20 containers of ours",
             "podman stats": "`podman stats --no-stream`, 20 containers of Podman's"}
    targets = {"create": "1", "metrics": "50"}
    return _table(("", "median", "least", "target"), [
        [text, "%.2f" % times[name]["median"], "%.2f" % times[name]["least"], targets.get(name, "")]
        for name, text in words.items()])


def _memory(kinds: Dict[str, Any]) -> str:
    words = {"monitor": "monitor, one for each container", "keeper": "keeper, one for the host",
             "conmon": "conmon, one for each container"}
    return _table(("", "processes", "PSS", "private", "RSS"), [
        [text, *("%d" % kinds[kind][key] for key in ("processes", "pss", "private", "rss"))]
        for kind, text in words.items()])


def _networks(figures: Dict[str, Any]) -> List[str]:
    """What C(network_peers.py), C(network.py) and C(names.py) have found, as far as they were run."""
    attach, network, names = (figures.get(name) for name in ("attach", "network", "names"))
    parts = ["## Networks\n"] if attach or network or names else []

    def where(of: Dict[str, Any]) -> str:
        return "- %(date)s, Linux %(kernel)s; load average %(load).1f before\n" % of
    if attach:
        words = {"coracle": "this engine, in a warm process", "netavark": "netavark", "cni": "the CNI plugins bridge and portmap",
                 "200": "this engine, 200 of them together"}
        targets = {"coracle": "3", "200": "1000"}
        ratios = [attach[what]["ratio"][key] for what in ("clock", "processor") for key in ("median", "least")]
        parts += ["### Attaching a container\n",
                  "Namespace, veth pair, bridge port, address, route, one published port and the rules; median (least), in milliseconds.\n"
                  "Ours to the faster peer: **%.3f** (%.3f) of the clock, %.3f (%.3f) of processor time; target 0.1.\n" % tuple(ratios),
                  where(attach), _table(("", "of the clock", "of the processor", "target"), [
                      [text, *("%.2f (%.2f)" % (of[name]["median"] * 1000, of[name]["least"] * 1000)
                               for of in (attach["clock"], attach["processor"])), targets.get(name, "")]
                      for name, text in words.items()])]
    if network:
        ways = {"members": "between two containers", "port": "from another host through a published port"}
        parts += ["### Rules and throughput\n",
                  "A table with 1,000 published ports is replaced in %.1f ms (least %.1f; target 20). TCP by iperf3, in Gbit/s, "
                  "median (best);\nratios are the median of those of each round (and of the best); target 0.97.\n" % (
                      network["table"]["median"] * 1000, network["table"]["least"] * 1000),
                  where(network), _table(("", "ours", "Podman's bridge, by netavark", "ratio"), [
                      [text, *("%.1f (%.1f)" % (of[side]["median"] / 1e9, of[side]["best"] / 1e9) for side in ("coracle", "netavark")),
                       "**%.2f** (%.2f)" % (of["ratio"], of["ratio of the best"])]
                      for text, of in ((text, network["throughput"][way]) for way, text in ways.items())])]
    if names:
        parts += ["### Names\n",
                  "In microseconds; target 50. The echo is the way there and back, to a socket in Python on the same bridge.\n"
                  "The resolver has %(Private_Dirty)d KiB of its own (PSS %(Pss)d).\n" % names["resolver, KiB"],
                  where(names), _table(("", "median", "least", "99 of 100 below"), [
                      [text, *("%.1f" % names[what][key] for key in ("median", "least", "99 of 100"))]
                      for what, text in (("name", "a neighbour's name"), ("echo", "an echo"))])]
    return parts


def _pull(figures: Optional[Dict[str, Any]]) -> List[str]:
    if figures is None:
        return []
    medians, ratios = figures["medians"], figures["ratios"]
    sides = {"ours": "ours, with isal" if figures["isal"] else "ours, once more", "ours, standard library": "ours, standard library",
             "podman": "`podman pull`", "skopeo": "`skopeo copy`"}
    targets = {"ours": "0.25" if figures["isal"] else "", "ours, standard library": "0.35"}
    packed, tar = figures["packed"], medians[_TAR]
    parts = ["## Pulling an image\n",
             "A layer of %d files and %d MB, %d MB as gzip and %d MB as zstd, from docker-registry on the loopback, verified, ready to "
             "mount\nand on the disk; the peers end when their command does. " % (figures["entries"], *(
                 size >> 20 for size in (figures["bytes"], packed["gzip"], packed["zstd"])))
             + "Seconds; ratios to the faster peer of the same round, in seconds\nand in processor time (medians of the rounds), and of "
             "the least times. Our peak memory: %d MB. `%s`: %.2f (%.2f).\n" % (
                 figures["peak memory, KiB"] >> 10, _TAR, tar["seconds"], tar["least"]),
             _circumstances(figures)]
    for kind, title in (("gzip", "gzip"), ("zstd", "zstd"), ("again", "Once more, when nothing is new")):
        parts += ["### %s\n" % title, _beside(sides, medians[kind], ratios[kind], targets if kind != "again" else {})]
    return parts


def _push(figures: Optional[Dict[str, Any]]) -> List[str]:
    if figures is None:
        return []
    sides = {"zstd": "ours, zstd", "gzip, isal": "ours, gzip by isal", "gzip, libdeflate": "ours, gzip by the host's libdeflate",
             "gzip, zlib": "ours, gzip by zlib alone", "podman push": "`podman push`"}
    return ["## Pushing an image\n",
            "A layer of %d MB that is stored plain, compressed on the way. Seconds and ratios as above. Our peak memory: %d MB.\n"
            "Then it is removed, by the whole module: %.2f s, `podman rmi` %.2f s.\n" % (
                figures["bytes"] >> 20, figures["peak memory, KiB"] >> 10, figures["removal"]["ours"], figures["removal"]["podman rmi"]),
            _circumstances(figures),
            _beside(sides, figures["medians"], figures["ratios"], {side: "0.50" for side in sides if side != "podman push"})]


_TAR = "gzip -dc | tar x"


def _circumstances(figures: Dict[str, Any]) -> str:
    return ("- %(date)s, Linux %(kernel)s, Python %(python)s, Podman %(podman)s, skopeo %(skopeo)s" % figures
            + "; load average %(load_before).1f before, %(load_after).1f after\n" % figures)


def _beside(sides: Dict[str, str], medians: Dict[str, Any], ratios: Dict[str, Any], targets: Dict[str, str]) -> str:
    rows = []
    for side, words in sides.items():
        own, ratio = medians[side], ratios.get(side)
        rows.append([words, "%.2f (%.2f)" % (own["seconds"], own["least"]), "%.2f" % own["processor"],
                     *(("**%.2f**" if key == "seconds" else "%.2f") % ratio[key] if ratio else ""
                       for key in ("seconds", "processor", "least")),
                     targets.get(side, "")])
    return _table(("", "median (least)", "processor", "ratio", "of processor time", "of the least", "target"), rows)
