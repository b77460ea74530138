# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that stays with a container: what it has written to shares it with no other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Dict

import collection

STAY = r"""
import gc, json, os, re, select, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.coracle.containers.plugins.module_utils.engine.container import keeper, watcher
for rehearsed in (False, True):
    if rehearsed:
        watcher.rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()
    reading, writing = os.pipe()
    told, tell = os.pipe()
    def shift(state, handles, status):
        os.write(tell, b"x")
        return (watcher.Kept("coracle:one", 0, None, 1, {"rounds": 1}), handles) if not state else None
    stays = os.fork()
    if not stays:
        os.close(writing)
        os._exit(watcher.stay(shift, [reading]))
    os.read(told, 1)
    while open("/proc/%d/comm" % stays).read() != "coracle:one\n":
        select.select([], [], [], 0.01)
    while open("/proc/%d/stat" % stays).read().rpartition(")")[2].split()[0] != "S":
        select.select([], [], [], 0.01)
    own = re.search(r"^Private_Dirty: +(\d+)", open("/proc/%d/smaps_rollup" % stays).read(), re.M)
    print(json.dumps({"rehearsed": rehearsed, "own": int(own[1])}))
    sys.stdout.flush()
    os.close(writing)
    sys.exit("it failed") if os.waitpid(stays, 0)[1] else None
"""


def test_a_rehearsal_leaves_less_to_write_to() -> None:
    command = [sys.executable, "-IS", "-c", STAY, str(collection.collections_path())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    own: Dict[bool, int] = {row["rehearsed"]: row["own"] for row in map(json.loads, done.stdout.splitlines())}
    assert own[True] <= own[False] - 100, own
