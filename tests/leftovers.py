# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests leave on the machine: nothing, or the run fails with the list.

    python leftovers.py snapshot FILE     before
    python leftovers.py compare FILE      after; prints what is new, one a line, and then ends with 1
"""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Set, Tuple

Snapshot = Dict[str, List[str]]

FILES = ("/run/coracle", "/run/coracle/*", "/var/lib/coracle", "/var/lib/coracle/*", "/run/netns/*", "/dev/shm/*coracle*",
         "/etc/*/*coracle*", "/etc/*/*/*coracle*", "/usr/local/*/*coracle*", "/usr/bin/*coracle*", "/opt/*coracle*",
         "/tmp/*coracle*", "/var/tmp/*coracle*", "/*", "/srv/*", "/mnt/*", "/home/*", "/root/*")
CGROUPS = ("*coracle*", "default", "libpod*", "buildah*", "containerd*", "crun*", "runc*")
"""At the top of a hierarchy: ours, and what other engines make when tests give them no better place."""
_NAME = re.compile(r"coracle-test-(\d+)-\d+")
_MARK = re.compile(rb"(?:^|\0)CORACLE_TEST_HOST=([^\0]*)")
_ENGINE = re.compile(r"/coracle( |$)|lib/coracle/engine")


def snapshot() -> Snapshot:
    """All that could stay behind, by kind."""
    return {
        "mount": sorted(_mounts()),
        "link": sorted(_lines("ip", "-o", "link", "show")),
        "address": sorted(_lines("ip", "-o", "address", "show")),
        "route": sorted(_lines("ip", "route", "show", "table", "all")),
        "nftables": sorted(_lines("nft", "list", "tables")),
        "cgroup": sorted(_cgroups()),
        "loop device": sorted(_loops()),
        "process": sorted(_processes()),
        "file": sorted(path for pattern in FILES for path in _matches(pattern)),
        "sysctl": sorted(_sysctls()),
    }


def compare(before: Snapshot, after: Snapshot, alive: Collection[str] = ()) -> List[str]:
    """What the second has and the first has not, as C(KIND: WHAT).

    Args:
        before, after: The two.
        alive: Names of test hosts that are still in use; what is theirs is no leftover. Neither is what belongs to
            another run of the tests that is still under way.
    """
    new = []
    others = any(_another_run(int(number)) for line in after["process"] for number in _NAME.findall(line))
    for kind, found in after.items():
        if kind == "loop device" and others:  # it does not say whose it is
            continue
        for what in sorted(set(found) - set(before.get(kind, []))):
            if others and what.startswith(("/tmp/", "/var/tmp/")):  # nor does what is at work there
                continue
            if others and kind == "cgroup" and "coracle" not in what:  # nor what another engine has made
                continue
            owner = _NAME.search(what)
            if owner and (owner.group(0) in alive or _another_run(int(owner.group(1)))):
                continue
            new.append("%s: %s" % (kind, what))
    return new


def _another_run(pid: int) -> bool:
    """Whether that is a run of tests, not somebody who has its number now."""
    try:
        return pid != os.getpid() and b"python" in Path("/proc/%d/cmdline" % pid).read_bytes()
    except OSError:
        return False


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split()
        yield "%s on %s" % (" ".join(fields[fields.index("-") + 1:][:2]), fields[4])


def _lines(*command: str) -> Set[str]:
    """A command's lines without what changes by itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return set()
    volatile = r"^\d+: | (state|expires|valid_lft|preferred_lft|age|qlen) \S+|<[^>]*>"
    return {re.sub(volatile, " ", line).strip() for line in done.stdout.splitlines()}


def _matches(pattern: str) -> List[str]:
    """What C(glob.glob) finds, in half the time, for this is done twice for each test: a part has one star, or two around a word."""
    *folders, last = pattern.strip("/").split("/")
    found = ["/"]
    for part in folders:
        if part == "*":
            found = [entry.path + "/" for folder in found for entry in _scan(folder) if entry.is_dir() and not entry.name.startswith(".")]
        else:
            found = [folder + part + "/" for folder in found if os.path.isdir(folder + part)]
    if "*" not in last:
        return [folder + last for folder in found if os.path.lexists(folder + last)]
    return [entry.path for folder in found for entry in _scan(folder)
            if last.strip("*") in entry.name and not entry.name.startswith(".")]


def _scan(folder: str) -> "List[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _cgroups() -> Iterator[str]:
    for top in ["/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/")]:
        for entry in _scan(top):
            if entry.is_dir() and any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in CGROUPS):
                for folder, _folders, _files in os.walk(entry.path):
                    yield folder


def _loops() -> Iterator[str]:
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            yield "%s of %s" % (path.split("/")[3], Path(path).read_text(encoding="utf-8").strip())
        except OSError:
            continue


def _processes() -> Iterator[str]:
    """Those that were started in a test host, and those of the engine."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = _read("/proc/%s/cmdline" % number)
            if not command:
                continue  # the kernel's own, or one that has ended
            environment = _read("/proc/%s/environ" % number)
        except OSError:
            continue
        mark = _MARK.search(environment)
        words = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
        if mark or _ENGINE.search(words):
            # As far as the cgroup root, which tells whose a keeper is.
            yield "%s %s %s" % (number, mark.group(1).decode() if mark else "", words[:400])


def _read(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 1 << 18)
    finally:
        os.close(handle)


def _sysctls() -> Iterator[str]:
    for name in ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/all/route_localnet",
                 "net/ipv6/conf/all/forwarding", "kernel/core_pattern", "kernel/hostname", "kernel/domainname",
                 "user/max_user_namespaces", "vm/max_map_count", "fs/inotify/max_user_instances"):
        try:
            yield "%s=%s" % (name, Path("/proc/sys", name).read_text(encoding="utf-8").strip())
        except OSError:
            continue


def main(arguments: List[str]) -> int:
    """The command line; returns the exit status."""
    command, path = arguments
    if command == "snapshot":
        Path(path).write_text(json.dumps(snapshot()), encoding="utf-8")
        return 0
    new = patiently(json.loads(Path(path).read_text(encoding="utf-8")))
    for line in new:
        sys.stdout.write("left over: %s\n" % line)
    return 1 if new else 0


def patiently(before: Snapshot, alive: Collection[str] = ()) -> Tuple[str, ...]:
    """What C(compare) finds after what is on its way out has had the time to go."""
    import time

    from waiting import PATIENCE
    deadline = time.monotonic() + PATIENCE / 2
    while True:
        new = compare(before, snapshot(), alive)
        if not new or time.monotonic() > deadline:
            return tuple(new)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
