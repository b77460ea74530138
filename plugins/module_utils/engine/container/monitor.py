# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: the small process that stays with one container.

It is the parent of the container's init, moves its output from the FIFOs to the
log, learns the exit status, and applies the restart policy. It holds nothing
that is not on disk or in the kernel, so another can take over at any time.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import time
from typing import Any, Dict, List, Optional

from ..cgroup import group
from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..runtime import create, delete
from ..store import files, locks
from . import logs, records, restart, sockets

_CHUNK = 1 << 16


def main(instance: Instance, name: str, request: Dict[str, Any], link: Optional[socket.socket]) -> int:
    """Be the monitor of one container.

    Args:
        request: C(do) is C(start) or C(adopt).
        link: Where the answer goes: C({"pid": N}) or an error; later C({"exit_code": N}). Who is at the other end
            holds the container's lock. C(None) where the keeper adopts of its own accord.

    Returns: The exit status of the monitor: 0 unless it is to be tried again.
    """
    processes.set_name("coracle:" + name)
    os.setsid()
    if request["do"] == "start":
        watch = Monitor(instance, name)
        try:
            watch.start()
        except (EngineError, OSError) as error:
            watch.failed(str(error))
            if link is not None:
                facts = error.facts if isinstance(error, EngineError) else {}
                sockets.send(link, {"error": str(error), "facts": facts})
            return 0
    elif link is not None:
        if not orphaned(instance, name):
            return 0
        watch = Monitor(instance, name)
        watch.adopt()
    else:
        with locks.tried(instance, "container", name) as mine:
            if not mine:
                return 1  # a run is at this container; afterwards there may be nothing left to adopt
            if not orphaned(instance, name):
                return 0
            watch = Monitor(instance, name)
            watch.adopt()
    watch.run(link)
    watch.release()
    return 0


def orphaned(instance: Instance, name: str) -> bool:
    """Whether a container has something to watch and nobody who does."""
    live = records.read_live(instance, name)
    if live.monitor is not None and processes.alive(live.monitor):
        return False
    if not os.path.isdir(records.run_folder(instance, name)):
        return False
    return live.init is not None or records.read_status(instance, name).status == "restarting"


class Monitor:
    """One container's monitor."""

    def __init__(self, instance: Instance, name: str) -> None:
        self.instance = instance
        self.name = name
        self.status = records.read_status(instance, name)
        self.runtime = records.run_folder(instance, name, "runtime")
        self.me = processes.identify(os.getpid())
        self.init: Optional[processes.Process] = None
        self.pidfd = -1
        self.child = False
        self.began = 0.0
        self.last_pause = 0.0
        self.again_at: Optional[float] = None
        self.kill_at: Optional[float] = None
        self.waiting: List[socket.socket] = []
        self.streams: Dict[int, str] = {}
        self.read_options()
        self.log = logs.Log(records.folder(instance, name, "container.log"),
                            self.options.get("log_max_size") or 0, self.options.get("log_max_files") or 1)
        for stream in ("stdout", "stderr"):
            self.streams[os.open(self.fifo(stream), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)] = stream
        self.control = sockets.listen(records.run_folder(instance, name, "monitor.sock"))
        records.write_monitor(instance, name, self.me)

    def read_options(self) -> None:
        """Learn what was last asked for."""
        record = records.read(self.instance, self.name)
        self.options: Dict[str, Any] = record.options if record else {}
        self.policy = restart.parse(self.options.get("restart_policy") or restart.NO)

    def fifo(self, stream: str) -> str:
        """The path of one of the FIFOs; made if it is not there."""
        path = records.run_folder(self.instance, self.name, stream)
        try:
            os.mkfifo(path, 0o600)
        except FileExistsError:
            if not stat.S_ISFIFO(os.lstat(path).st_mode):
                raise
        return path

    # Beginning

    def start(self) -> None:
        """Create the container's process and let it go.

        Raises:
            EngineError: It could not be started; nothing of the attempt is left.
        """
        self.clean()  # of a run that ended with nobody watching
        config = records.read_config(self.instance, self.name)
        user = config["process"]["user"]
        # Open for reading too, by the container itself: should this monitor die, the FIFO still has a reader, and
        # the container's writes wait for the next monitor instead of failing with EPIPE.
        ends = [os.open(self.fifo(stream), os.O_RDWR | os.O_CLOEXEC) for stream in ("stdout", "stderr")]
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.note(status="running", started_at=logs.timestamp(), finished_at=None, exit_code=None, oom_killed=False,
                  error=None, log_offset=self.log.length)
        try:
            for end in ends:
                os.fchown(end, user["uid"], user["gid"])
            created = create.create(
                records.folder(self.instance, self.name), self.runtime, config,
                identity=self.name, stdin=null, stdout=ends[0], stderr=ends[1], cgroup=self.instance.cgroup(self.name),
                init=bool(self.options.get("init")), wait=False)
        finally:
            for end in ends + [null]:
                os.close(end)
        self.pidfd = created.pidfd
        self.child = True
        self.init = processes.Process(created.pid, created.start_time)
        self.began = time.monotonic()
        self.again_at = None

    def adopt(self) -> None:
        """Take over a container that another monitor watched."""
        live = records.read_live(self.instance, self.name)
        self.init = live.init
        self.began = time.monotonic()
        if live.init is None:  # the other one ended between two runs of the container
            self.restart_later(0.0)
            return
        handle = processes.open_pidfd(live.init)
        if handle is None:
            self.ended(self.noted_exit())
        else:
            self.pidfd = handle

    # The loop

    def run(self, link: Optional[socket.socket]) -> None:
        """Stay with the container until it has ended for good."""
        if link is not None:
            sockets.send(link, {"pid": self.init.pid if self.init else 0})
            self.waiting.append(link)
        while self.init is not None or self.again_at is not None:
            poller = select.poll()
            for handle in self.streams:
                poller.register(handle, select.POLLIN)
            poller.register(self.control, select.POLLIN)
            if self.pidfd >= 0:
                poller.register(self.pidfd, select.POLLIN)
            ready = {handle for handle, _events in poller.poll(self.patience())}
            for handle in list(self.streams):
                if handle in ready:
                    self.drain(handle)
            if self.control.fileno() in ready:
                self.command()
            if self.pidfd in ready:
                self.reap()
            self.on_time()
        self.log.close()

    def patience(self) -> Optional[int]:
        """Milliseconds until the next thing that is due."""
        due = [when for when in (self.again_at, self.kill_at) if when is not None]
        return None if not due else max(0, int((min(due) - time.monotonic()) * 1000) + 1)

    def on_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            group.kill(self.instance.cgroup(self.name))
            if self.pidfd >= 0:
                processes.send_signal(self.pidfd, signal.SIGKILL)
        if self.again_at is not None and now >= self.again_at:
            self.again_at = None
            self.status = self.status._replace(restarts=self.status.restarts + 1)
            try:
                self.start()
            except (EngineError, OSError) as error:
                self.failed(str(error))
                if self.to_restart(None):
                    self.note(status="restarting")
                    self.restart_later(0.0)

    def drain(self, handle: int) -> None:
        """Move what is in a FIFO to the log."""
        while True:
            try:
                content = os.read(handle, _CHUNK)
            except BlockingIOError:
                return
            if not content:
                return
            self.log.feed(self.streams[handle], content)
            if len(content) < _CHUNK:
                return

    def command(self) -> None:
        """Do what the other end of the control socket asks for."""
        link, _address = self.control.accept()
        link.settimeout(5)
        request = sockets.receive(link) if sockets.peer_is_owner(link) else None
        if request is None:
            link.close()
        elif request["do"] == "stop":
            self.stop(int(request["signal"]), float(request["timeout"]))
            self.waiting.append(link)
        else:
            if request["do"] == "reload":
                self.read_options()
                self.log.max_size = self.options.get("log_max_size") or 0
                self.log.max_files = self.options.get("log_max_files") or 1
            sockets.send(link, {"done": request["do"]})
            link.close()

    def stop(self, number: int, timeout: float) -> None:
        """Ask the container to end, and end it when it has not after C(timeout) seconds."""
        self.again_at = None
        self.note(stopped=True)
        if self.init is not None:
            processes.send_signal(self.pidfd, number)
            group.thaw(self.instance.cgroup(self.name))  # a frozen process does not see its signals
            self.kill_at = time.monotonic() + timeout

    # The end

    def reap(self) -> None:
        """Learn how the container ended."""
        if self.child:
            _pid, status = os.waitpid(self.init.pid if self.init else -1, 0)
            code: Optional[int] = os.waitstatus_to_exitcode(status)
        else:
            code = self.strangers_exit()
        self.ended(code if code is None or code >= 0 else 128 - code)

    def strangers_exit(self) -> Optional[int]:
        """The exit code of an init that is another's child: from the kernel or from who reaped it."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            status = processes.exit_status(self.pidfd)
            code = self.noted_exit() if status is None else os.waitstatus_to_exitcode(status)
            if code is not None:
                return code
            time.sleep(0.005)
        return None

    def noted_exit(self) -> Optional[int]:
        """What the keeper noted when it reaped an orphan."""
        noted = files.read_json(records.run_folder(self.instance, self.name, "exit.json"))
        if noted and self.init and (noted["pid"], noted["start_time"]) == tuple(self.init):
            return int(noted["exit_code"])
        return None

    def ended(self, code: Optional[int]) -> None:
        """Note the end, and consider what comes next."""
        for handle in self.streams:
            self.drain(handle)
        self.log.finish()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self.init, self.child, self.kill_at = None, False, None
        path = self.instance.cgroup(self.name)
        killed = group.exists(path) and group.oom_kills(path) > 0
        again = self.to_restart(code)
        self.note(status="restarting" if again else "exited", exit_code=code, finished_at=logs.timestamp(),
                  oom_killed=killed, error=None if code is not None else "the exit status was not seen by any monitor")
        self.clean()
        if again:
            self.restart_later(time.monotonic() - self.began)

    def clean(self) -> None:
        """Remove what the runtime made for the run that has ended."""
        if os.path.exists(os.path.join(self.runtime, "state.json")):
            delete.delete(self.runtime, force=True)
        files.remove(records.run_folder(self.instance, self.name, "exit.json"))

    def to_restart(self, code: Optional[int]) -> bool:
        """Whether the policy wants another start."""
        return not self.status.stopped and restart.restarts(self.policy, code, self.status.restarts)

    def restart_later(self, ran_for: float) -> None:
        """Set the time of the next start."""
        self.last_pause = restart.pause(self.last_pause, ran_for)
        self.again_at = time.monotonic() + self.last_pause

    def failed(self, why: str) -> None:
        """Note that it could not be started."""
        self.init = None
        self.note(status="exited", exit_code=None, finished_at=logs.timestamp(), error=why)

    def note(self, **fields: Any) -> None:
        """Change the status on disk."""
        self.status = self.status._replace(**fields)
        records.write_status(self.instance, self.name, self.status)

    def release(self) -> None:
        """Give back mounts and network of a container that has ended for good, unless somebody is at it already."""
        # Nobody can reach this monitor from here on: who holds the lock may be waiting for it.
        files.remove(records.run_folder(self.instance, self.name, "monitor.sock"))
        self.control.close()
        for link in self.waiting:
            sockets.send(link, {"exit_code": self.status.exit_code})
            link.close()
        from . import lifecycle  # pylint: disable=import-outside-toplevel
        with locks.held(self.instance, "container", self.name):
            live = records.read_live(self.instance, self.name)
            if live.init is None and live.monitor == self.me:
                lifecycle.release(self.instance, self.name)
