# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts: machines made of namespaces, each with a real kernel's everything but its own memory.

A host has its own network, mount, UTS, IPC and PID namespace, its own process
1, F(/proc), F(/sys), F(/run) and writable layers over F(/etc), F(/var/lib) and
the like, a state root on the real disk and a cgroup path of its own. Nothing
that happens in it changes the machine; when it is closed, all of it is gone.
"""

from __future__ import annotations

import ctypes
import inspect
import itertools
import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Union

import collection
import payloads
from engines import Engines
from payloads import Payloads
from waiting import PATIENCE

MARK = "CORACLE_TEST_HOST"
"""Environment variable of every process that is started in a host: the host's name."""
MANAGED_PYTHON = os.environ.get("CORACLE_TEST_PYTHON", "/usr/bin/python3")
"""What runs modules in a host: the distribution's own Python, as on a managed host."""
CGROUPS = Path("/sys/fs/cgroup")
_numbers = itertools.count(1)
_CLONE = {"ipc": 0x08000000, "uts": 0x04000000, "net": 0x40000000, "pid": 0x20000000, "mnt": 0x00020000}


class HostError(AssertionError):
    """Something that was run in a host did not end as the test said it would."""


class Host:
    """One test host.

    Attributes:
        name: Its hostname, unique on the machine.
        pid: Of its process 1, as the machine sees it.
        folder: What belongs to it on the machine's disk; gone after C(close).
        state_root, run_root, cgroup_root: Where the engine keeps things on it; C(module) sets them.
    """

    alive: ClassVar[Set[str]] = set()
    """The names of those that this process has made and not closed."""

    def __init__(self, folder: Path, builder: Payloads, name: str = "") -> None:
        self.name = name or "coracle-test-%d-%d" % (os.getpid(), next(_numbers))
        self.folder = folder
        self.state_root = "/var/lib/coracle"
        self.run_root = "/run/coracle"
        self.cgroup_root = "/" + self.name
        self._payloads = builder
        self._links = itertools.count(0)
        self._payload_numbers = itertools.count(1)
        self.pid = 0
        self.alive.add(self.name)
        folder.mkdir(parents=True)
        init = Path(__file__).with_name("hosts_init.py")
        self._unshare = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--",
             sys.executable, "-IS", str(init), self.name, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / "start.log").open("wb"),
            env=self._environment(None))
        try:
            assert self._unshare.stdout is not None
            if self._unshare.stdout.readline() != b"ready\n":
                raise HostError("the test host %s did not start\n%s" % (
                    self.name, (folder / "start.log").read_text(encoding="utf-8")))
            children = Path("/proc/%d/task/%d/children" % (self._unshare.pid, self._unshare.pid))
            self.pid = int(children.read_text(encoding="ascii"))
        except BaseException:
            self.close()
            raise

    # -- running things ---------------------------------------------------------------------------------------------

    def command(self, *argv: Union[str, Path]) -> List[str]:
        """The command line that runs a command inside, from the outside."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", "--uts", "--ipc", "--pid", "--",
                *map(str, argv)]

    def run(self, argv: Sequence[Union[str, Path]], input: Union[str, None] = None,
            env: Optional[Mapping[str, str]] = None, check: bool = True,
            timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it.

        Raises:
            HostError: It failed, and C(check) was not switched off; or it did not end within the C(timeout) (seconds).
        """
        command = self.command(*argv)
        started = subprocess.Popen(command, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape",
                                   env=self._environment(env))
        try:
            output, complaints = started.communicate(input, timeout)
        except BaseException as error:
            # All that it started, not nsenter alone: what lived on would keep its locks from the tests that follow.
            doing = end_tree(started.pid)
            output, complaints = started.communicate(timeout=PATIENCE)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise HostError("%s on %s did not end within %g s; these ran:\n%s\n%s%s" % (
                " ".join(map(str, argv)), self.name, timeout, "\n".join(doing), output, complaints)) from None
        done = subprocess.CompletedProcess(command, started.returncode, output, complaints)
        if check and done.returncode:
            raise HostError("%s on %s ended with %d\n%s%s" % (
                " ".join(map(str, argv)), self.name, done.returncode, done.stdout, done.stderr))
        return done

    def shell(self, script: str, check: bool = True) -> str:
        """Run a shell script inside; what it printed."""
        return self.run(["sh", "-euc", script], check=check).stdout

    def start(self, argv: Sequence[Union[str, Path]], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command inside and leave it running; it ends with the host at the latest."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(*argv), env=self._environment(options.pop("env", None)), **options)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the test inside, in a fork of this process; its (picklable) result or exception.

        Costs a few milliseconds. It sees the host's links, mounts and processes; changes to Python objects stay there.
        """
        back, out = os.pipe()
        middle = os.fork()
        if middle == 0:
            self._answer(out, function, arguments)
        os.close(out)
        with os.fdopen(back, "rb") as stream:
            content = stream.read()
        os.waitpid(middle, 0)
        if not content:
            raise HostError("the call of %s on %s ended without an answer" % (function, self.name))
        good, value, trace = pickle.loads(content)
        if good:
            return value
        if isinstance(value, BaseException):
            value.__cause__ = HostError("on %s:\n%s" % (self.name, trace))
            raise value
        raise HostError("on %s:\n%s" % (self.name, trace))

    def _answer(self, out: int, function: Callable[..., Any], arguments: Any) -> None:
        """In the forked child: enter, fork into the PID namespace, call, send the answer, end."""
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            for kind in ("ipc", "uts", "net", "pid", "mnt"):
                handle = os.open("/proc/%d/ns/%s" % (self.pid, kind), os.O_RDONLY)
                if libc.setns(handle, _CLONE[kind]):
                    raise OSError(ctypes.get_errno(), "setns %s" % kind)
                os.close(handle)
            inner = os.fork()
            if inner:
                os.waitpid(inner, 0)
                os._exit(0)
            os.environ[MARK] = self.name
            try:
                answer = (True, function(*arguments), "")  # type: Any
            except BaseException as error:
                answer = (False, error, traceback.format_exc())
            try:
                content = pickle.dumps(answer)
                if not answer[0]:
                    pickle.loads(content)
            except Exception:
                content = pickle.dumps((False, None, "%s\n%s" % (answer[1:], traceback.format_exc())))
            with os.fdopen(out, "wb") as stream:
                stream.write(content)
        finally:
            os._exit(0)

    def python(self, code: Union[str, Callable[..., Any]], *arguments: Any, interpreter: str = "",
               check: bool = True) -> Any:
        """Run Python inside, with the collection on C(sys.path), in the managed host's own interpreter.

        Args:
            code: A script, whose output is returned; or a function that needs nothing around it, whose result is.
            arguments: For the function; must be JSON.
            interpreter: Another Python than the host's.
            check: Whether a failure raises.
        """
        text = code if isinstance(code, str) else "%s\nimport json, sys\njson.dump(%s(*json.loads(sys.argv[2])), sys.stdout)" % (
            textwrap.dedent(inspect.getsource(code)), code.__name__)
        text = "from __future__ import annotations\nimport sys; sys.path.insert(0, sys.argv[1])\n" + text
        done = self.run([interpreter or MANAGED_PYTHON, "-c", text,
                         str(collection.collections_path()), json.dumps(arguments)], check=check)
        return done.stdout if isinstance(code, str) or done.returncode else json.loads(done.stdout)

    # -- Ansible ----------------------------------------------------------------------------------------------------

    def module(self, module: str, arguments: Optional[Mapping[str, Any]] = None, check_mode: bool = False,
               diff: bool = True, fail: bool = False, interpreter: str = "", **more: Any) -> Dict[str, Any]:
        """Run a module inside, as Ansible would send it; its result.

        Args:
            module: Its short name (C(container_run)), or a full one.
            arguments: Its options; the instance's three roots are added.
            check_mode, diff: As on Ansible's command line.
            fail: Whether it has to fail; else a failure raises.
            interpreter: Another Python than the host's.
            more: Further options.

        Raises:
            HostError: It failed, or it did not though C(fail) was said, or it said no result.
        """
        interpreter = interpreter or MANAGED_PYTHON
        options = {**(arguments or {}), **more}
        engines = self._engines(module, options, interpreter)
        payload = self.payload(module, options, check_mode, diff, interpreter, kept=engines is not None and engines.lend(module))
        done = self.run([interpreter, payload], check=False, timeout=300)
        payload.unlink()
        if engines is not None and not check_mode:
            engines.take(module)
        try:
            result = json.loads(done.stdout[done.stdout.index("{"):])
        except ValueError:
            raise HostError("%s said no result (%d)\n%s%s" % (module, done.returncode, done.stdout, done.stderr)) from None
        if bool(result.get("failed")) != fail:
            raise HostError("%s %s\n%s\n%s" % (
                module, "did not fail" if fail else "failed: %s" % result.get("msg"),
                json.dumps(result, indent=1), result.get("exception", "")))
        return dict(result)

    def _engines(self, module: str, options: Mapping[str, Any], interpreter: str) -> Optional[Engines]:
        """Where an engine comes from that is not to be installed anew, C(None) where it is or nobody needs one."""
        if "." in module or interpreter != MANAGED_PYTHON or options.get("state_root", self.state_root) != payloads.USUAL:
            return None
        return Engines(self._payloads.key, self.folder / "state" / "engine")

    def payload(self, module: str, arguments: Mapping[str, Any], check_mode: bool = False, diff: bool = True,
                interpreter: str = MANAGED_PYTHON, kept: bool = False) -> Path:
        """The file that Ansible would send for a task: to be run by the interpreter, and removed, by the caller.

        With C(kept), what it sends to a host that has kept the module.
        """
        full = module if "." in module else "coracle.containers." + module
        given = dict(arguments)
        if full.startswith("coracle."):
            for root in ("state_root", "run_root", "cgroup_root"):
                given.setdefault(root, getattr(self, root))
        given.update(_ansible_check_mode=check_mode, _ansible_diff=diff, _ansible_no_log=False, _ansible_debug=False,
                     _ansible_verbosity=0, _ansible_syslog_facility="LOG_USER", _ansible_socket=None,
                     _ansible_shell_executable="/bin/sh", _ansible_keep_remote_files=False,
                     _ansible_tmpdir=None, _ansible_remote_tmp="/run/ansible-tmp", _ansible_ignore_unknown_opts=False,
                     _ansible_target_log_info=None)
        target = self.folder / ("payload-%d.py" % next(self._payload_numbers))
        self._payloads.build(full, given, str(target), interpreter, kept)
        return target

    def playbook(self, content: Union[str, Path], *options: str, check: bool = True, env: Optional[Mapping[str, str]] = None,
                 terminal: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a playbook (its text, or its path or name) inside, against C(localhost), with the real ansible-playbook.

        With C(terminal) on one, by script(1).
        """
        path = str(content)
        if "\n" in path:
            target = self.folder / "playbook.yml"
            target.write_text(path, encoding="utf-8")
            path = str(target)
        command = Path(sys.executable).with_name("ansible-playbook")
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(collection.collections_path()),
                       "ANSIBLE_HOME": "/run/ansible", "ANSIBLE_REMOTE_TMP": "/run/ansible-tmp",
                       "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
                       "ANSIBLE_PYTHON_INTERPRETER": MANAGED_PYTHON, "LC_ALL": "C.UTF-8", **(env or {})}
        argv: List[Union[str, Path]] = [command, path, *options]
        if terminal:
            argv = ["script", "-qefc", shlex.join(map(str, argv)), "/dev/null"]
        return self.run(argv, env=environment, check=check, timeout=600)

    # -- SSH --------------------------------------------------------------------------------------------------------

    def sshd(self, port: int = 22) -> Dict[str, str]:
        """Start a real sshd inside that lets root in by key.

        Returns: C(key): path of the private key; C(port); C(user); C(options): for C(ansible_ssh_common_args).
        """
        folder = self.folder / "ssh"
        folder.mkdir(mode=0o700)
        for name in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(folder / name)],
                           check=True)
        (folder / "config").write_text(
            "Port %d\nHostKey %s/host\nAuthorizedKeysFile %s/client.pub\nPidFile none\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nUsePAM no\nStrictModes no\nSetEnv %s=%s\nSubsystem sftp internal-sftp\n"
            "LogLevel ERROR\n" % (port, folder, folder, MARK, self.name), encoding="utf-8")
        self.run(["usermod", "-p", "*", "root"])  # in the host's own layer: a locked account cannot log in by key either
        self.run(["/usr/sbin/sshd", "-f", folder / "config", "-E", folder / "log"])
        return {"key": str(folder / "client"), "port": str(port), "user": "root",
                "options": "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o IdentitiesOnly=yes"}

    # -- life -------------------------------------------------------------------------------------------------------

    def _environment(self, env: Optional[Mapping[str, str]]) -> Dict[str, str]:
        return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                # What a killed command leaves lies in the host's own memory, and goes with the host.
                "TMPDIR": "/run", "LANG": "C.UTF-8", MARK: self.name, **(env or {})}

    def close(self) -> None:
        """End the host: its processes, cgroups and files.

        Raises:
            HostError: Something of it stays.
        """
        self.alive.discard(self.name)
        if self.pid and self._unshare.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        for stream in (self._unshare.stdin, self._unshare.stdout):
            if stream is not None:
                stream.close()
        remove_cgroups(self.name)
        try:
            self._unshare.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._unshare.kill()
            self._unshare.wait()
            raise HostError("processes of %s do not end" % self.name) from None
        deadline = time.monotonic() + PATIENCE / 2
        while self.folder.exists():  # the kernel unmounts after the last process is gone
            try:
                shutil.rmtree(self.folder)
            except FileNotFoundError:
                pass
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def end_tree(pid: int) -> List[str]:
    """Kill a process and its descendants; each one's id, what it waited for in the kernel, and its command line."""
    found = []
    for each in (pid, *_descendants(pid)):
        try:
            found.append("%d %s %s" % (each, Path("/proc/%d/wchan" % each).read_text(encoding="ascii"), Path(
                "/proc/%d/cmdline" % each).read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]))
            os.kill(each, signal.SIGKILL)
        except OSError:  # it has ended by itself
            continue
    return found


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path("/proc/%d/task/%d/children" % (pid, pid)).read_text(encoding="ascii").split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def remove_cgroups(name: str, patience: float = PATIENCE / 2) -> None:
    """Remove a cgroup and those below it from all hierarchies; what is frozen in them is thawed, so that it can end.

    Raises:
        HostError: A process stays in one of them.
    """
    deadline = time.monotonic() + patience
    while True:
        left = []
        for top in (CGROUPS / name, *CGROUPS.glob("*/" + name)):
            for folder, _folders, files in os.walk(top, topdown=False):
                for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    if file in files:
                        Path(folder, file).write_text(value, encoding="ascii")
                try:
                    os.rmdir(folder)
                except OSError:
                    left.append(folder)
        if not left:
            return
        if time.monotonic() > deadline:
            raise HostError("cgroups with processes that do not end: %s" % left)
        time.sleep(0.01)


def loops(host: Host) -> List[str]:
    """The loop devices of a host's files: losetup(8) shows those of the whole machine."""
    return [line for line in host.run(["losetup", "--all", "--output", "NAME,BACK-FILE"]).stdout.splitlines()
            if "/var/lib/coracle" in line or str(host.folder) in line]


def link(first: Host, second: Host, first_address: str, second_address: str, name: str = "") -> None:
    """Connect two hosts by a veth pair.

    Args:
        first_address, second_address: Such as C(192.0.2.1/24).
        name: Of the link at either side; else C(eth0), C(eth1), ...
    """
    ends = [(host, name or "eth%d" % next(host._links), address)
            for host, address in ((first, first_address), (second, second_address))]
    subprocess.run(["nsenter", "--target", str(first.pid), "--net", "ip", "link", "add", ends[0][1], "type", "veth",
                    "peer", "name", ends[1][1], "netns", str(second.pid)], check=True)
    for host, device, address in ends:
        host.run(["ip", "address", "add", address, "dev", device])
        host.run(["ip", "link", "set", device, "up"])


def keeps_vlans(host: Host) -> bool:
    """Whether the kernel has CONFIG_BRIDGE_VLAN_FILTERING: that of the virtual machine has."""
    made = host.run(["ip", "link", "add", "probe", "type", "bridge", "vlan_filtering", "1"], check=False).returncode == 0
    host.run(["ip", "link", "delete", "probe"], check=False)
    return made


def switch(hub: Host, addresses: Mapping[Host, str], name: str = "switch0") -> None:
    """Connect hosts by a bridge that stands in another host.

    Args:
        hub: Where the bridge is made.
        addresses: Each host's address, such as C(192.0.2.1/24).
    """
    hub.run(["ip", "link", "add", name, "type", "bridge"])
    hub.run(["ip", "link", "set", name, "up"])
    for number, (host, address) in enumerate(addresses.items()):
        device, port = "eth%d" % next(host._links), "%s-%d" % (name[:10], number)
        subprocess.run(["nsenter", "--target", str(hub.pid), "--net", "ip", "link", "add", port, "type", "veth",
                        "peer", "name", device, "netns", str(host.pid)], check=True)
        hub.run(["ip", "link", "set", port, "master", name, "up"])
        host.run(["ip", "address", "add", address, "dev", device])
        host.run(["ip", "link", "set", device, "up"])
