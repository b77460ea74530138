# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What watches containers costs in memory: our keeper and monitors beside conmon."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

from hosts import Host


def measure(host: Host) -> Dict[str, Any]:
    """Memory of the watchers that run in the host now: how many, and KiB of each on the mean."""
    found: Dict[str, Any] = host.call(_watchers)
    return found


def _watchers() -> Dict[str, Any]:
    kinds: Dict[str, List[Dict[str, int]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
            rollup = (folder / "smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        kind = {"conmon": "conmon", "coracle-keeper": "keeper"}.get(name, "monitor" if name.startswith("coracle:") else "")
        if kind:
            kinds.setdefault(kind, []).append({
                key: int(value) for key, value in re.findall(r"^(Rss|Pss|Private_Dirty|Private_Clean): +(\d+) kB", rollup, re.M)})
    return {kind: {
        "processes": len(rows),
        "pss": round(sum(row["Pss"] for row in rows) / len(rows)),
        "private": round(sum(row["Private_Dirty"] + row["Private_Clean"] for row in rows) / len(rows)),
        "rss": round(sum(row["Rss"] for row in rows) / len(rows)),
    } for kind, rows in kinds.items()}

