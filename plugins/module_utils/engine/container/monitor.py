# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: the small process that stays with one container.

It is the parent of the container's init, moves its output from the FIFOs to the
log, learns the exit status, and applies the restart policy. It holds nothing
that is not on disk or in the kernel, so another can take over at any time.

One stays with each container, so it is to be small. What stays is no more than
C(watcher.py); a C(Monitor) lives in forks of that (C(shifts.py)), from the moment
when there is something to do until there has been nothing for a while.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import Any, Dict, List, Optional

from ..cgroup import group
from ..errors import EngineError
from ..instance import Instance
from ..kernel import processes
from ..runtime import external
from ..store import files, locks
from . import activation, checks, errands, events, idle, logs, readiness, records, restart, sockets, terminal, units

_CHUNK = 1 << 16
_LINGER = 0.2
"""Seconds without anything to do after which a shift ends: what comes more often is not worth a fork each time."""
_PIECES = 16
"""Chunks of one stream that are taken before anything else is looked at: one that never ends must not keep a stop from being heard."""
_ALL = 1 << 10
"""Chunks that are taken at the end: more than can wait in any stream, unless somebody else goes on writing to it."""
_STREAMS = ("stdout", "stderr")
_STDIN = "stdin"


class Monitor:
    """One container's monitor, for the time of a shift.

    Args:
        known: What C(errands.learn) tells, or an earlier shift has handed over.
        first: Whether there was none; what is open all the time is opened then.
    """

    def __init__(self, instance: Instance, known: Dict[str, Any], first: bool = True) -> None:
        self.instance = instance
        self.name = name = str(known["name"])
        self.status = records.Status(*known["status"])
        self.runtime = records.run_folder(instance, name, "runtime")
        self.me = processes.Process(*known["monitor"])
        self.watched = os.pidfd_open(self.me.pid)
        self.init: Optional[processes.Process] = None
        self.pidfd = -1
        self.child = False
        self.began = 0.0
        self.last_pause = 0.0
        self.again_at: Optional[float] = None
        self.kill_at: Optional[float] = None
        self.revive = False
        self.enough = False
        self.checks = checks.Checks(instance, name)
        self.idle = idle.Idle()
        self.terminal = terminal.Terminal()
        self.waiting: List[socket.socket] = []
        self.streams: Dict[int, str] = {}
        self.take_in(known)
        self.log = self.open_log()
        if first:
            self.notices = readiness.Notices(instance, name, readiness.heard(instance, name, self.options))
            for stream in _STREAMS + (_STDIN,) * bool(self.options.get("tty") and self.options.get("interactive")):
                # Open for writing too: a container that closes its own end would else make it readable for ever.
                self.streams[os.open(errands.fifo(instance, name, stream), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)] = stream
            self.control = sockets.listen(records.run_folder(instance, name, "monitor.sock"))

    def take_in(self, known: Dict[str, Any]) -> None:
        """Keep in mind what was last asked for."""
        self.options: Dict[str, Any] = known["options"]
        self.identity = str(known["identity"])
        self.cgroup = str(known["cgroup"])

    def open_log(self) -> logs.Log:
        """Where its output goes."""
        return logs.open_log(records.folder(self.instance, self.name, "container.log"), records.called(self.name), self.identity,
                             self.options, units.name_of(self.instance, self.name) if units.wanted(self.options) else "")

    # Beginning

    def start(self) -> None:
        """Create the container's process and let it go.

        Raises:
            EngineError: It could not be started; nothing of the attempt is left.
        """
        self.status = self.status._replace(
            status="running", started_at=logs.timestamp(), finished_at=None, exit_code=None, oom_killed=False,
            error=None, log_offset=self.log.length, log_inode=self.log.inode)
        self.init = self.create()
        self.pidfd = os.pidfd_open(self.init.pid)  # a child of this process or of the one that stays, so the number is still its own
        self.child = self.enough = True  # with the end of this shift it is the other one's, who can wait for it
        self.began = time.monotonic()
        self.again_at = None
        self.checks.begin(self.options.get("healthcheck"), self.began)
        self.notices.begin(self.init, self.options)
        self.idle.begin(self.init.pid, self.options)

    def create(self) -> processes.Process:
        """Make the container's process."""
        records.write_monitor(self.instance, self.name, self.me)
        errands.clean(self.instance, self.name)  # of a run that ended with nobody watching
        self.write_status()
        made, master = errands.make(self.instance, self.name)
        if master is not None:
            self.terminal.begin(master)
            self.streams[master] = _STREAMS[0]
        events.note(self.instance, self.name, "start")
        units.show(self.instance, self.name, self.options, self.me)
        return made

    def present(self) -> Optional[processes.Process]:
        """Say that this monitor is the container's now; the container's first process, if there is one."""
        records.write_monitor(self.instance, self.name, self.me)
        init = records.read_live(self.instance, self.name).init
        if init is not None:
            units.show(self.instance, self.name, self.options, self.me)
        return init

    def adopt(self) -> None:
        """Take over a container that another monitor watched."""
        found = self.present()
        self.began = time.monotonic()
        if not found:  # the other one ended between two runs of the container
            self.restart_later(0.0)
            return
        self.init = found
        self.began -= processes.age(self.init)
        handle = processes.open_pidfd(self.init)
        if handle is None:
            self.ended(self.noted_exit())
        else:
            self.pidfd = handle
            self.checks.begin(self.options.get("healthcheck"), self.began, anew=False)
            self.notices.begin(self.init, self.options)
            self.idle.begin(self.init.pid, self.options)
            if self.status.ended_for:  # the other one was about to end it
                self.ask_to_end(int(self.options["stop_signal"]), self.options["stop_timeout"] / 1000000)

    # The loop

    def run(self) -> bool:
        """Stay with the container until there is nothing to do; whether there will be something again, as it has not ended for good."""
        while self.init is not None or self.again_at is not None:
            if self.enough:
                return True
            poller = select.poll()
            for handle in (*self.streams, self.control.fileno(), self.watched, self.pidfd, self.checks.pidfd, self.notices.fileno()):
                if handle >= 0 and not (self.terminal.unsaid and self.streams.get(handle) == _STDIN):
                    poller.register(handle, select.POLLIN)
            if self.terminal.unsaid:
                poller.register(self.terminal.master, select.POLLIN | select.POLLOUT)
            due = self.due()
            left = _LINGER if due is None else due - time.monotonic()
            ready = {handle for handle, _events in poller.poll(max(0, int(min(left, _LINGER) * 1000) + 1))}
            if self.watched in ready:
                os._exit(1)  # nobody stays with the container, and who takes over reads what is left
            if self.terminal.unsaid and self.terminal.master in ready:
                self.terminal.type(b"")
            for handle in list(self.streams):
                if handle in ready:
                    self.drain(handle)
            if self.control.fileno() in ready:
                self.command()
            if self.checks.pidfd in ready and self.checks.ended():
                self.unhealthy()
            if self.notices.fileno() in ready:
                self.notices.hear()
            if self.pidfd in ready:
                self.checks.end()
                if self.child:
                    return True  # who stays is its parent, and learns how it has ended
                self.ended(self.strangers_exit())
            if not ready and left > _LINGER and self.checks.pidfd < 0 and not self.terminal.unsaid:
                return True
            self.on_time()
        self.log.close()
        return False

    def due(self) -> Optional[float]:
        """When the next thing is due, by the monotonic clock."""
        return min((when for when in (self.again_at, self.kill_at, self.checks.due, self.idle.due) if when is not None), default=None)

    def on_time(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            group.kill(self.cgroup)
            if self.pidfd >= 0:
                processes.send_signal(self.pidfd, signal.SIGKILL)
        self.checks.on_time(now)
        if self.idle.over(now):
            self.rest()
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

    def drain(self, handle: int, pieces: int = _PIECES) -> None:
        """Move what is in a stream to where it belongs: output to the log, input to the terminal."""
        for _piece in range(pieces):
            try:
                content = os.read(handle, _CHUNK)
            except BlockingIOError:
                return
            except OSError:  # EIO: the container itself has hung its terminal up
                self.hang_up()
                return
            if self.streams[handle] == _STDIN:
                self.terminal.type(content)
                return
            self.log.feed(self.streams[handle], content)

    def hang_up(self) -> None:
        """Let go of the terminal."""
        self.streams.pop(self.terminal.master, None)
        self.terminal.end()

    def command(self) -> None:
        """Do what the other end of the control socket asks for."""
        link, _address = self.control.accept()
        link.settimeout(5)
        request = sockets.receive(link) if sockets.peer_is_owner(link) else None
        if request is None:
            link.close()
        elif request["do"] == "stop":
            self.stop(int(request["signal"]), float(request["timeout"]), request.get("reason") or "")
            self.waiting.append(link)
        elif request["do"] == "health":
            self.checks.watch(link)
        elif request["do"] == "ready":
            self.notices.watch(link)
        else:
            if request["do"] == "reload":
                before = [self.options.get(key) for key in ("log_driver", "log_options")]
                self.take_in(errands.learn(self.instance, self.name))
                if before != [self.options.get(key) for key in ("log_driver", "log_options")]:
                    self.log.close()
                    self.log = self.open_log()
                if self.init is not None and self.checks.check != self.options.get("healthcheck"):
                    self.checks.begin(self.options.get("healthcheck"), time.monotonic())
                self.log.limit(self.options)
                if self.init is not None:
                    self.idle.begin(self.init.pid, self.options)
            sockets.send(link, {"done": request["do"]})
            link.close()

    def stop(self, number: int, timeout: float, reason: str = "") -> None:
        """Ask the container to end, and end it when it has not after C(timeout) seconds."""
        self.again_at, self.revive = None, False
        self.note(**records.as_ended(reason))
        self.ask_to_end(number, timeout)

    def ask_to_end(self, number: int, timeout: float) -> None:
        """Send a signal, and see to it that the container ends by it."""
        if self.init is not None:
            if not external.manages(self.runtime):
                processes.send_signal(self.pidfd, number)
            else:  # its first process may be another machine, which the runtime knows how to reach
                external.act(self.runtime, "kill", str(number))
            group.thaw(self.cgroup)  # a frozen process does not see its signals
            self.kill_at = time.monotonic() + timeout

    def rest(self) -> None:
        """End a container that nobody uses, unless somebody comes in this very moment."""
        self.note(ended_for=activation.IDLE)  # whoever wakes it waits for its end
        if activation.leave(self.instance, self.name):
            self.idle.end()
            self.stop(int(self.options["stop_signal"]), self.options["stop_timeout"] / 1000000, activation.IDLE)
        else:
            self.note(ended_for="")

    def unhealthy(self) -> None:
        """Do with a container that has turned unhealthy what its health check says, unless it is being stopped."""
        if self.status.stopped or self.status.ended_for:
            return
        action = (self.checks.check or {}).get("on_failure")
        number, timeout = int(self.options["stop_signal"]), self.options["stop_timeout"] / 1000000
        if action == "stop":
            self.stop(number, timeout)
        elif action == "restart":
            self.revive = True
            self.ask_to_end(number, timeout)
        elif action == "kill":
            self.ask_to_end(signal.SIGKILL, 0.0)

    # The end

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
        """Note the end, and consider what comes next.

        Args:
            code: As C(os.waitstatus_to_exitcode) has it; C(None) where nobody has seen it.
        """
        code = code if code is None or code >= 0 else 128 - code
        for handle in list(self.streams):
            self.drain(handle, _ALL)
        self.log.finish()
        self.hang_up()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        self.init, self.child, self.kill_at = None, False, None
        self.checks.end()
        self.notices.end()
        self.idle.end()
        again = self.to_restart(code) or self.revive
        self.revive = False
        self.status = self.status._replace(
            status="restarting" if again else "exited", exit_code=code, finished_at=logs.timestamp(),
            error=None if code is not None else "the exit status was not seen by any monitor")
        self.status = self.status._replace(oom_killed=self.wind_up())
        if again:
            self.notices.say("ended with %s, to be started again" % code)
            self.restart_later(time.monotonic() - self.began)

    def wind_up(self) -> bool:
        """Write down how a run of the container has ended, and remove what is left of it; whether the kernel killed it for its memory."""
        killed = group.exists(self.cgroup) and group.oom_kills(self.cgroup) > 0
        events.note(self.instance, self.name, "die", exit_code=self.status.exit_code, oom_killed=killed)
        self.status = self.status._replace(oom_killed=killed)
        self.write_status()
        errands.clean(self.instance, self.name)
        return killed

    def to_restart(self, code: Optional[int]) -> bool:
        """Whether the policy wants another start."""
        policy = restart.parse(self.options.get("restart_policy") or restart.NO)
        return not self.status.stopped and not self.status.ended_for and restart.restarts(policy, code, self.status.restarts)

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
        self.write_status()

    def write_status(self) -> None:
        """Write the status to disk."""
        try:
            records.write_status(self.instance, self.name, self.status)
        except OSError as error:  # a full disk is no reason to leave the container alone; the next change is written again
            sys.stderr.write("coracle: the status of %s could not be written: %s\n" % (self.name, error))
            sys.stderr.flush()

    def release(self) -> None:
        """Give back mounts and network of a container that has ended for good, unless somebody is at it already."""
        # Nobody can reach this monitor from here on: who holds the lock may be waiting for it.
        files.remove(records.run_folder(self.instance, self.name, "monitor.sock"))
        sockets.turn_away(self.control)
        self.checks.close()
        self.notices.close()
        for link in self.waiting:
            sockets.send(link, {"exit_code": self.status.exit_code})
            sockets.hang_up(link)
        from . import lifecycle  # pylint: disable=import-outside-toplevel
        with locks.held(self.instance, "container", records.called(self.name)):
            live = records.read_live(self.instance, self.name)
            if live.init is None and live.monitor == self.me:
                lifecycle.release(self.instance, self.name)
