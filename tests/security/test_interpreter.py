# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dangers that Python brings: its executable and its imports within reach of an image."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List

import collection
import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.runtime import exec as exec_verb, kill
from attacks import Ground, Refused, attempt
from hosts import MANAGED_PYTHON

INSTALLER = Path(__file__).resolve().parents[2] / "scripts" / "install_runtime.py"
_IN_OPEN, _IN_NONBLOCK = 0x20, 0o4000
PARTS = ("warnings", "traceback", "linecache", "struct", "signal", "pwd", "grp", "tokenize", "encodings/idna", "wave",
         "encodings/punycode", "encodings/__init__", "ctypes/util", "json/decoder", "posixpath", "locale", "gettext")


def loader() -> bytes:
    """A program for x86-64 that stands for the dynamic loader: it opens /proc/self/exe and becomes a shell script.

    As /lib64/ld-linux-x86-64.so.2 of an image it is what the kernel starts first when the host's interpreter is run there.
    """
    # open("/proc/self/exe", O_RDONLY); execve("/bin/sh", {"/bin/sh", "/write"}, {}); exit(1)
    code = bytes.fromhex(
        "488d3d41000000"      # lea rdi, [rip + exe]
        "31f6" "31d2"         # xor esi, esi; xor edx, edx
        "b802000000" "0f05"   # mov eax, 2; syscall
        "488d3d40000000"      # lea rdi, [rip + shell]
        "488d0541000000"      # lea rax, [rip + script]
        "6a00" "50" "57"      # push 0; push rax; push rdi
        "4889e6" "31d2"       # mov rsi, rsp; xor edx, edx
        "b83b000000" "0f05"   # mov eax, 59; syscall
        "bf01000000" "b83c000000" "0f05")  # mov edi, 1; mov eax, 60; syscall
    texts = (b"/proc/self/exe\0", b"/bin/sh\0", b"/write\0")
    code = bytearray(code)
    place = len(code)
    for text, at in zip(texts, (0x03, 0x15, 0x1c)):
        struct.pack_into("<i", code, at, place - (at + 4))
        place += len(text)
    content = bytes(code) + b"".join(texts)
    head = 64 + 56
    elf = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    # Writable, since kernels before 6.8 clear the rest of the last page and fail where they cannot.
    load = struct.pack("<IIQQQQQQ", 1, 7, 0, 0, 0, head + len(content), head + len(content), 0x1000)
    return elf + load + content


@pytest.fixture
def private(plain: Ground) -> Path:
    """A copy of the interpreter that nobody else runs, and the command over it."""
    folder = plain.folder / "private"
    folder.mkdir()
    python = folder / "python3"
    shutil.copy(os.path.realpath(MANAGED_PYTHON), python)
    package = collection.collections_path() / "ansible_collections" / "coracle" / "containers" / "plugins" / "module_utils"
    program = folder / "coracle"
    program.write_text(textwrap.dedent("""\
        #!%s -IS
        import sys
        sys.dont_write_bytecode = True
        sys.path.insert(0, %r)
        from engine.cli.main import main
        sys.exit(main(sys.argv[1:]))
        """) % (python, str(package)), encoding="utf-8")
    program.chmod(0o755)
    return program


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.advisory("CVE-2019-5736", "interpreter overwritten (Python)")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the attacker's loader is machine code for x86-64")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_hosts_interpreter_cannot_be_overwritten(plain: Ground, private: Path, verb: str) -> None:
    """The program is a script of /proc/self/exe, so that the interpreter runs anew in the image and is opened there."""
    trick, write = plain.root / "trick", plain.root / "write"
    trick.write_text("#!/proc/self/exe\n", encoding="ascii")
    # Refused while the file is being executed, so again and again, till the engine's process is gone.
    write.write_text("exec 2>/tmp/why\nfor each in $(seq 4000); do echo PWNED >> /proc/self/fd/3 && echo written >&2 && exit 42; "
                     "sleep 0.05; done\nexit 43\n", encoding="ascii")
    (plain.root / "lib64").mkdir()
    target = plain.root / "lib64/ld-linux-x86-64.so.2"
    target.write_bytes(loader())
    for path in (trick, write, target):
        path.chmod(0o755)
    python = private.with_name("python3")
    before = digest(python)
    states = plain.bundle.folder / "oci"

    def coracle(*words: str) -> "subprocess.CompletedProcess[str]":
        return plain.host.run([private, "--root", states, *words], check=False)
    document = plain.document(args=["/trick"] if verb == "run" else ["sleep", "60"])
    document["linux"]["cgroupsPath"] = plain.bundle.cgroup
    plain.bundle.write(document)
    shell = 'exec "$@" > /dev/null 2>&1 < /dev/null'  # a container that stays holds the streams that it was given
    plain.host.run(["sh", "-c", shell, "sh", private, "--root", states, "run", "-d", "--bundle", plain.bundle.folder, "c"],
                   check=False)
    if verb == "exec":
        plain.host.run(["sh", "-c", shell, "sh", private, "--root", states, "exec", "-d", "c", "/trick"], check=False)
    why = plain.root / "tmp/why"
    plain.host.shell("for each in $(seq 1200); do ! grep -qE 'Read-only|written' %s || break; sleep 0.1; done" % why)
    coracle("delete", "--force", "c")
    assert "Read-only file system" in why.read_text(encoding="utf-8")
    assert digest(python) == before


@pytest.mark.advisory("CVE-2019-5736")
def test_the_init_of_a_container_runs_from_a_read_only_interpreter(plain: Ground, private: Path) -> None:
    """With an init, the interpreter stays in the container as its process 1: with all power over it, it is read-only."""
    states = plain.bundle.folder / "oci"
    # To open it for writing is refused in any case as long as it runs; a descriptor may be carried out, and wait.
    code = "import os\nprint(os.statvfs('/proc/1/exe').f_flag & os.ST_RDONLY)\n"
    document = plain.program(code)
    document["linux"]["cgroupsPath"] = plain.bundle.cgroup
    for kind in ("bounding", "effective", "permitted"):
        document["process"]["capabilities"][kind] = [*document["process"]["capabilities"][kind], "CAP_SYS_PTRACE"]
    plain.bundle.write(document)
    package = collection.collections_path() / "ansible_collections" / "coracle" / "containers" / "plugins" / "module_utils"
    maker = private.with_name("maker")
    maker.write_text(textwrap.dedent("""\
        #!%s -IS
        import os, sys
        sys.dont_write_bytecode = True
        sys.path.insert(0, %r)
        from engine.runtime import seal
        seal.ensure()
        from engine.runtime import create, delete
        bundle, state, cgroup = sys.argv[1:]
        made = create.create(bundle, state, wait=False, init=True, cgroup=cgroup)
        os.waitpid(made.pid, 0)
        delete.delete(state)
        """) % (private.with_name("python3"), str(package)), encoding="utf-8")
    maker.chmod(0o755)
    states.mkdir()
    done = plain.host.run([maker, plain.bundle.folder, states / "c", plain.bundle.cgroup])
    assert done.stdout == "1\n", done


@pytest.mark.advisory("imports from the image (Python)", "CVE-2019-14271", "CVE-2022-1227")
def test_no_module_of_the_image_is_ever_imported(ground: Ground) -> None:
    """After the root has changed, sys.path leads into the image: what lies there must not run (as host root it would)."""
    owned = ground.folder / "owned"

    def scenario() -> Any:
        evil = "import os\nfor each in ('/tmp/owned', '%s'):\n    try: open(each, 'w').write('x')\n    except OSError: pass\n" % owned
        for folder in {*filter(None, sys.path), os.path.dirname(os.__file__)}:
            for name in PARTS:
                path = ground.root / folder.lstrip("/") / (name + ".py")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(evil, encoding="ascii")
        changes: List[Dict[str, Any]] = [{}, {"args": ["nothing"]}, {"cwd": "/missing/\udcff"}, {"user": {"uid": 12345, "gid": 5}}]
        for change in changes:
            for init in (False, True):
                document = ground.document(**{"args": ["true"], **change})
                document["process"]["env"] = ["PATH=/bin", "LANG=xx_XX.EUC-JP", "LC_ALL=tr_TR.UTF-8"]
                attempt(lambda: ground.run(document, init=init))  # noqa: B023

        def add(_pid: int) -> None:
            for change in changes:
                process = exec_verb.process_like_init(ground.bundle.state(), change.get("args", ["true"]))
                process.update(change)
                started = attempt(lambda: exec_verb.run(ground.bundle.state(), process))  # noqa: B023
                if not isinstance(started, Refused):
                    os.waitpid(started.pid, 0)
                    os.close(started.pidfd)
            kill.kill(ground.bundle.state(), 9)
        ground.run(ground.document(args=["sleep", "60"]), while_running=add)
        return [str(path) for path in (owned, ground.root / "tmp/owned") if path.exists()]
    assert ground.inside(scenario) == []


@pytest.mark.advisory("CVE-2019-14271", "CVE-2026-41567", "CVE-2022-1227", "imports from the image (Python)")
@pytest.mark.parametrize("verb", ["create", "exec"])
def test_the_runtime_opens_no_file_of_the_image_but_the_program(plain: Ground, verb: str) -> None:
    """Libraries, locales, codecs, name services, sources for tracebacks: nobody so much as opens what lies there."""
    baits = ["etc/passwd", "etc/group", "etc/nsswitch.conf",
             "etc/ld.so.cache", "etc/ld.so.preload", "etc/localtime", "etc/host.conf", "etc/resolv.conf",
             "usr/lib/x86_64-linux-gnu/libnss_files.so.2", "lib/x86_64-linux-gnu/libnss_files.so.2", "usr/lib/locale/locale-archive",
             "usr/lib/x86_64-linux-gnu/gconv/gconv-modules", "usr/share/locale/de/LC_MESSAGES/libc.mo", "bin/unpigz", "bin/xz",
             "usr/share/zoneinfo/UTC", "etc/selinux/config"]
    baits += ["%s/%s.py" % (os.path.dirname(os.__file__).lstrip("/"), name) for name in PARTS]

    def scenario() -> List[str]:
        for name in baits:
            path = plain.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="ascii")
        opened: List[str] = []
        libc = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(_IN_NONBLOCK)
        names = {libc.inotify_add_watch(watch, bytes(plain.root / name), _IN_OPEN): name for name in baits}

        def drain() -> None:
            while True:
                try:
                    events = os.read(watch, 65536)
                except BlockingIOError:
                    return
                while events:
                    number, length = struct.unpack_from("<i8xI", events)
                    opened.append(names[number])
                    events = events[16 + length:]
        drain()
        good, bad = plain.document(args=["true"]), plain.document(args=["nothing"])
        for document in (good, bad):
            document["process"]["env"] = ["PATH=/bin", "HOME=/"]
        if verb == "create":
            for document in (good, bad):
                attempt(lambda: plain.run(document))  # noqa: B023
            drain()
        else:
            def add(_pid: int) -> None:
                drain()
                for words in (["true"], ["nothing"]):
                    started = attempt(lambda: exec_verb.run(
                        plain.bundle.state(), exec_verb.process_like_init(plain.bundle.state(), words)))  # noqa: B023
                    if not isinstance(started, Refused):
                        os.waitpid(started.pid, 0)
                        os.close(started.pidfd)
                kill.kill(plain.bundle.state(), 9)
            plain.run(plain.document(args=["sleep", "60"]), while_running=add)
            drain()
        os.close(watch)
        return opened
    assert plain.inside(scenario) == []


@pytest.mark.advisory("environment and folders of the caller (Python)")
def test_nothing_of_the_callers_own_is_imported(plain: Ground) -> None:
    """PYTHON variables, the working folder, site packages and .pth files, of a user who may be tricked into sudo coracle."""
    prefix, evil, owned = plain.folder / "prefix", plain.folder / "evil", plain.folder / "owned"
    subprocess.run([MANAGED_PYTHON, INSTALLER, "--no-seal", "--prefix", prefix], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    version = subprocess.run([MANAGED_PYTHON, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.strip()
    site = evil / ".local/lib" / version / "site-packages"
    site.mkdir(parents=True)
    code = "open(%r, 'a').write('x')\n" % str(owned)
    for name in (*PARTS, "sitecustomize", "usercustomize", "json", "engine/__init__", "os", "__main__", "startup"):
        for folder in (evil, site):
            (folder / (name + ".py")).parent.mkdir(exist_ok=True)
            (folder / (name + ".py")).write_text(code, encoding="ascii")
    (site / "evil.pth").write_text("import os; " + code, encoding="ascii")
    (evil / "pyvenv.cfg").write_text("home = %s\n" % evil, encoding="ascii")
    document = plain.document(args=["env"])
    document["linux"]["cgroupsPath"] = plain.bundle.cgroup
    plain.bundle.write(document)
    variables = {"PYTHONPATH": str(evil), "PYTHONHOME": str(evil), "PYTHONSTARTUP": str(evil / "startup.py"), "HOME": str(evil),
                 "PYTHONUSERBASE": str(evil / ".local"), "PYTHONINSPECT": "1", "PYTHONPLATLIBDIR": "evil", "PYTHONWARNINGS": "error",
                 "PYTHONIOENCODING": "punycode", "PYTHONBREAKPOINT": "startup.x", "PYTHONPYCACHEPREFIX": str(evil),
                 "LC_ALL": "xx_XX.EUC-JP"}
    done = plain.host.run(["sh", "-c", 'cd "$1" && exec "$2" --root "$3" run -b "$4" c', "sh", evil, prefix / "bin" / "coracle",
                           plain.folder / "states", plain.bundle.folder], env=variables, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "PATH=/bin" in done.stdout and "PYTHON" not in done.stdout and not owned.exists()
    assert not [path for path in prefix.rglob("*") if path.stat().st_mode & 0o022 and not path.is_symlink() or path.stat().st_uid]
