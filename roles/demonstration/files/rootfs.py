# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the demonstration's root filesystem: Python, Flask and one small program, as a tar.

Usage: rootfs.py APP OUTPUT [TOOL]

TOOL is mmdebstrap or debootstrap, which take Debian packages from the sources
that this machine's own apt is configured with; or C(embedded), which takes the
Python that runs this script, its standard library and the shared libraries that
they load, and has no Flask. Without it, the first that this machine has and
that works.
The same packages and program give the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from typing import Dict, Iterator, List, Optional, Set

PACKAGES = "python3-flask,dash"
EPOCH = 1700000000
"""The time stamp of what this script itself writes."""
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
            "usr/share/javascript", "var/lib/dpkg", "var/cache", "var/log", "etc/apt", "etc/hostname", "etc/resolv.conf",
            "etc/fstab")
FRESH = ("data", "dev", "proc", "srv", "sys", "tmp")
"""Folders that a container gets empty."""
IMPORTS = "import flask, werkzeug.serving, urllib.request, http.server"
PLAIN = ("http.server", "urllib.request", "socket", "signal", "encodings.idna", "encodings.ascii", "encodings.latin_1",
         "stringprep", "select", "selectors", "zlib", "hashlib", "random", "datetime")
NO_LIBRARY = {"test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "distutils", "site-packages",
              "dist-packages", "__pycache__", "pydoc_data"}


class Failed(Exception):
    """The root filesystem cannot be built; the text says why."""


def sources() -> List[str]:
    """The machine's own apt sources of its own release, as C(deb) lines (sources.list(5))."""
    codename = ""
    with open("/etc/os-release", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("VERSION_CODENAME="):
                codename = line.partition("=")[2].strip().strip('"')
    suites = (codename, codename + "-updates", codename + "-security", codename + "/updates")
    found = []
    for path in ["/etc/apt/sources.list"] + ["/etc/apt/sources.list.d/" + name for name in
                                             sorted(os.listdir("/etc/apt/sources.list.d"))]:
        if not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        if path.endswith(".list"):
            found += one_line(text)
        elif path.endswith(".sources"):
            found += stanzas(text)
    wanted = ["deb %s%s %s main" % (entry["options"], entry["uri"], entry["suite"]) for entry in found
              if codename and entry["suite"] in suites and "main" in entry["components"].split()]
    if not wanted:
        raise Failed("apt on this machine has no source for the release '%s' with the component main" % codename)
    return sorted(set(wanted), key=wanted.index)


def one_line(text: str) -> Iterator[Dict[str, str]]:
    """The entries of a file in one-line style."""
    for match in re.finditer(r"^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.MULTILINE):
        yield {"options": (match.group(1) or "").strip() + " " if match.group(1) else "", "uri": match.group(2),
               "suite": match.group(3), "components": match.group(4)}


def stanzas(text: str) -> Iterator[Dict[str, str]]:
    """The entries of a file in deb822 style."""
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        fields = {name.lower(): re.sub(r"\s+", " ", value).strip() for name, value in
                  re.findall(r"^([A-Za-z-]+):((?:.*\n?)(?:[ \t]+.*\n?)*)", stanza, re.MULTILINE)}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        options = ["signed-by=" + fields["signed-by"]] if fields.get("signed-by", "").startswith("/") else []
        options += ["trusted=yes"] if fields.get("trusted") == "yes" else []
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield {"options": "[%s] " % " ".join(options) if options else "", "uri": uri, "suite": suite,
                       "components": fields.get("components", "")}


def run(*command: str, env: Optional[Dict[str, str]] = None) -> str:
    """Run a program; what it printed.

    Raises:
        Failed: It failed; its last lines are in the text.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, env={**os.environ, **(env or {})})
    if done.returncode:
        raise Failed("%s failed:\n%s" % (command[0], "\n".join(done.stdout.splitlines()[-15:])))
    return done.stdout


def mmdebstrap(folder: str) -> None:
    """Unpack the packages and what they depend on, without running their scripts; takes a few seconds."""
    lines = sources()
    settings = [line for line in run("apt-config", "dump").splitlines()
                if re.match(r'Acquire::(https?::|Retries|Check)[^"]*"[^"]', line)]
    run("mmdebstrap", "--mode=root", "--variant=extract", "--format=directory", "--include=" + PACKAGES,
        *["--aptopt=" + setting for setting in settings], suite_and_uri(lines[0])[0], folder, *lines)


def debootstrap(folder: str) -> None:
    """Install a minimal Debian with the packages, which takes longer and is larger."""
    run("debootstrap", "--variant=minbase", "--include=" + PACKAGES,
        suite_and_uri(sources()[0])[0], folder, suite_and_uri(sources()[0])[1])


def suite_and_uri(line: str) -> List[str]:
    """The suite and the URI of a C(deb) line."""
    uri, suite = re.sub(r"^deb (\[.*?\] )?", "", line).split()[:2]
    return [suite, uri]


def packaged(tool: str, app: str, output: str) -> None:
    """Debian packages, less what a container has no use for, and the program."""
    folder = tempfile.mkdtemp(dir=os.path.dirname(output))
    try:
        TOOLS[tool](folder)
        # Python writes the bytecode of what it imports, so that no container has to compile it when it starts.
        run("chroot", folder, "/usr/bin/python3", "-c", IMPORTS)
        for name in UNWANTED:
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
        with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as tar:
            for path, folders, files in os.walk(folder):
                inside = os.path.relpath(path, folder)
                folders[:] = sorted(each for each in folders if inside != "." or each not in FRESH)
                for name in sorted(folders + files):
                    tar.add(os.path.join(path, name), os.path.normpath(os.path.join(inside, name)), recursive=False,
                            filter=fixed)
            for name in FRESH:
                add_folder(tar, name, 0o1777 if name == "tmp" else 0o755)
            add(tar, app, "srv/app.py")
    finally:
        shutil.rmtree(folder)


def embedded(app: str, output: str) -> None:
    """This Python, its standard library, and the libraries that are loaded once everything needed is imported."""
    for name in PLAIN:
        __import__(name)
    library = os.path.dirname(os.path.realpath(os.__file__))
    interpreter = os.path.realpath("/proc/self/exe")
    with open("/proc/self/maps", encoding="utf-8") as stream:
        mapped = {line.split(None, 5)[5].strip() for line in stream if line.count("/") and ".so" in line}
    wanted = {path: path for path in mapped if path.startswith("/") and os.path.isfile(path)}
    wanted[interpreter] = interpreter
    for folder, folders, files in os.walk(library):
        folders[:] = [each for each in folders if each not in NO_LIBRARY and not each.startswith("config-")]
        for name in files:
            if name.endswith(".py") or os.path.join(folder, name) in mapped:
                path = os.path.join(folder, name)
                wanted[path] = path
    wanted.update(aliases(interpreter, mapped))
    with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as tar:
        made: Set[str] = set()
        for inside in sorted(wanted):
            for parent in parents(inside):
                if parent not in made:
                    made.add(parent)
                    add_folder(tar, parent)
            add(tar, os.path.realpath(wanted[inside]), inside.lstrip("/"))
        for name in ("data", "dev", "etc", "proc", "srv", "sys", "tmp"):
            if name not in made:
                add_folder(tar, name, 0o1777 if name == "tmp" else 0o755)
        if "/usr/bin/python3" not in wanted:
            for parent in ("usr", "usr/bin"):
                if parent not in made:
                    add_folder(tar, parent)
            entry = tarfile.TarInfo("usr/bin/python3")
            entry.type, entry.linkname, entry.mtime = tarfile.SYMTYPE, interpreter, EPOCH
            tar.addfile(entry)
        add(tar, app, "srv/app.py")


def aliases(interpreter: str, mapped: Set[str]) -> Dict[str, str]:
    """The names by which the dynamic linker looks for what is mapped: the program interpreter and each SONAME."""
    found = {}
    with open(interpreter, "rb") as stream:
        match = re.search(rb"/lib[0-9a-z]*/ld-[a-zA-Z0-9_.-]+", stream.read(65536))
    if match:
        path = match.group().decode()
        found[path] = path
    folders = sorted({os.path.dirname(path) for path in mapped})
    for folder in folders:
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if ".so" in name and os.path.islink(path) and os.path.realpath(path) in mapped:
                found[path] = path
    return found


def parents(path: str) -> List[str]:
    """The folders above a path, the highest first."""
    parts = path.strip("/").split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def fixed(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """A tar entry without what differs from build to build."""
    entry.mtime = min(int(entry.mtime), EPOCH)
    return entry


def add(tar: tarfile.TarFile, path: str, name: str) -> None:
    """Add a file under another name, owned by root."""
    entry = tar.gettarinfo(path, name)
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    entry.mtime = EPOCH
    entry.type, entry.linkname = tarfile.REGTYPE, ""
    entry.size = os.path.getsize(path)
    with open(path, "rb") as stream:
        tar.addfile(entry, stream)


def add_folder(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    """Add an empty folder."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, EPOCH
    tar.addfile(entry)


TOOLS = {"mmdebstrap": mmdebstrap, "debootstrap": debootstrap}


def main(app: str, output: str, tool: str = "") -> None:
    """Build it, unless another run has done so meanwhile."""
    folder = os.path.dirname(os.path.abspath(output))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(output):
            return
        found = [name for name in TOOLS if shutil.which(name) and shutil.which("apt-get")]
        part = output + ".part"
        for name in [tool] if tool else found + ["embedded"]:
            try:
                if name == "embedded":
                    embedded(os.path.abspath(app), part)
                else:
                    packaged(name, os.path.abspath(app), part)
                break
            except Failed as failure:  # without a network, for example
                if tool:
                    raise
                print(failure)
        os.rename(part, output)
        print("built by %s: %d bytes" % (name, os.path.getsize(output)))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failure:
        sys.exit("The demonstration's root filesystem cannot be built: %s" % failure)
