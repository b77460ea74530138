# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny root file system for tests: Debian's static busybox and a few names for it."""

from __future__ import annotations

import functools
import io
import tarfile
from pathlib import Path

PROGRAMS = ("sh", "sleep", "cat", "echo", "ls", "id", "ps", "wget", "httpd", "hostname", "mount", "kill", "true", "head",
            "tail", "ip", "env", "nc", "dd", "mkdir", "rm", "touch", "test", "grep", "sync", "seq", "nproc", "stat",
            "ulimit", "df", "sysctl", "pwd", "chmod", "unshare")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/home/web:/bin/sh\n",
    "etc/group": "root:x:0:\nweb:x:1000:\nextra:x:2000:web\n",
}


@functools.lru_cache(maxsize=1)
def tar() -> bytes:
    """The root file system as a tar."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "home", "home/web", "data"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name in ("tmp", "data") else 0o755
            archive.addfile(entry)
        program = Path("/bin/busybox").read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.mode, entry.size = 0o755, len(program)
        archive.addfile(entry, io.BytesIO(program))
        for name in PROGRAMS:
            entry = tarfile.TarInfo("bin/" + name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        for name, text in _FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return target.getvalue()
