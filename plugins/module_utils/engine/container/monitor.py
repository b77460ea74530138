# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: the small process that stays with one container.

It is the parent of the container's init, moves its output from the FIFOs to the
log, learns the exit status, and applies the restart policy. It holds nothing
that is not on disk or in the kernel, so another can take over at any time.

One stays with each container, so it is to be small. It waits, moves output, and
keeps time; whatever else there is to do is done by forks of it (C(apart.py)).
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
from . import activation, apart, checks, errands, events, idle, logs, readiness, records, restart, sockets, units

_CHUNK = 1 << 16


def main(instance: Instance, name: str, link: Optional[socket.socket]) -> int:
    """Be the monitor of one container.

    Args:
        name: The container's; empty where the request says it.
        link: On which the request comes: C(do), which is C(start) or C(adopt), and C(name). The answer goes there:
            C({"pid": N}) or an error; later C({"exit_code": N}). Who is at the other end holds the container's lock.
            C(None) where the keeper adopts of its own accord.

    Returns: The exit status of the monitor: 0 unless it is to be tried again.
    """
    os.setsid()
    if link is None:
        with locks.tried(instance, "container", records.called(name)) as mine:
            if not mine:
                return 1  # a run is at this container; afterwards there may be nothing left to adopt
            known = apart.run(lambda: errands.learn(instance, name))
            if not known["orphaned"]:
                return 0
            watch = Monitor(instance, known)
            watch.adopt()
    else:
        known = apart.run(lambda: errands.asked(instance, link))
        if not known or known["do"] == "adopt" and not known["orphaned"]:
            return 0
        watch = Monitor(instance, known)
        if known["do"] == "adopt":
            watch.adopt()
        else:
            try:
                watch.start()
            except (EngineError, OSError) as error:
                watch.failed(str(error))
                facts = error.facts if isinstance(error, EngineError) else {}
                sockets.send(link, {"error": str(error), "facts": facts})
                return 0
    watch.run(link)
    watch.release()
    return 0


class Monitor:
    """One container's monitor."""

    def __init__(self, instance: Instance, known: Dict[str, Any]) -> None:
        self.instance = instance
        self.name = name = str(known["name"])
        processes.rename("coracle:" + name)
        self.status = records.Status(*known["status"])
        self.runtime = records.run_folder(instance, name, "runtime")
        self.me = processes.Process(*known["monitor"])
        self.init: Optional[processes.Process] = None
        self.pidfd = -1
        self.child = False
        self.began = 0.0
        self.last_pause = 0.0
        self.again_at: Optional[float] = None
        self.kill_at: Optional[float] = None
        self.revive = False
        self.checks = checks.Checks(instance, name)
        self.idle = idle.Idle()
        self.waiting: List[socket.socket] = []
        self.streams: Dict[int, str] = {}
        self.take_in(known)
        self.notices = readiness.Notices(instance, name, self.options)
        self.log = self.open_log()
        for stream in ("stdout", "stderr"):
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
        self.init = processes.Process(**apart.run(self.create, makes=True))
        self.pidfd = os.pidfd_open(self.init.pid)  # a child of this process now, so the number is still its own
        self.child = True
        self.began = time.monotonic()
        self.again_at = None
        self.checks.begin(self.options.get("healthcheck"), self.began)
        self.notices.begin(self.init, self.options)
        self.idle.begin(self.init.pid, self.options)

    def create(self) -> Dict[str, Any]:
        """Make the container's process, apart; its number and start time."""
        records.write_monitor(self.instance, self.name, self.me)
        errands.clean(self.instance, self.name)  # of a run that ended with nobody watching
        self.write_status()
        made = errands.make(self.instance, self.name)
        events.note(self.instance, self.name, "start")
        units.show(self.instance, self.name, self.options, self.me)
        return made._asdict()

    def present(self) -> Dict[str, Any]:
        """Say that this monitor is the container's now, apart; the container's first process, if there is one."""
        records.write_monitor(self.instance, self.name, self.me)
        init = records.read_live(self.instance, self.name).init
        if init is not None:
            units.show(self.instance, self.name, self.options, self.me)
        return {} if init is None else init._asdict()

    def adopt(self) -> None:
        """Take over a container that another monitor watched."""
        found = apart.run(self.present)
        self.began = time.monotonic()
        if not found:  # the other one ended between two runs of the container
            self.restart_later(0.0)
            return
        self.init = processes.Process(**found)
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
            for handle in (self.pidfd, self.checks.pidfd, self.notices.fileno()):
                if handle >= 0:
                    poller.register(handle, select.POLLIN)
            ready = {handle for handle, _events in poller.poll(self.patience())}
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
                self.reap()
            self.on_time()
        self.log.close()

    def patience(self) -> Optional[int]:
        """Milliseconds until the next thing that is due."""
        due = [when for when in (self.again_at, self.kill_at, self.checks.due, self.idle.due) if when is not None]
        return None if not due else max(0, int((min(due) - time.monotonic()) * 1000) + 1)

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
            self.stop(int(request["signal"]), float(request["timeout"]), request.get("reason") or "")
            self.waiting.append(link)
        elif request["do"] == "health":
            self.checks.watch(link)
        elif request["do"] == "ready":
            self.notices.watch(link)
        else:
            if request["do"] == "reload":
                before = [self.options.get(key) for key in ("log_driver", "log_options")]
                self.take_in(apart.run(lambda: errands.learn(self.instance, self.name)))
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
        if apart.run(lambda: {"left": activation.leave(self.instance, self.name)})["left"]:
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
        self.checks.end()
        self.notices.end()
        self.idle.end()
        again = self.to_restart(code) or self.revive
        self.revive = False
        self.status = self.status._replace(
            status="restarting" if again else "exited", exit_code=code, finished_at=logs.timestamp(),
            error=None if code is not None else "the exit status was not seen by any monitor")
        self.status = self.status._replace(**apart.run(self.wind_up))
        if again:
            self.notices.say("ended with %s, to be started again" % code)
            self.restart_later(time.monotonic() - self.began)

    def wind_up(self) -> Dict[str, Any]:
        """Write down how a run of the container has ended, and remove what is left of it, apart; what that tells of the end."""
        killed = group.exists(self.cgroup) and group.oom_kills(self.cgroup) > 0
        events.note(self.instance, self.name, "die", exit_code=self.status.exit_code, oom_killed=killed)
        self.status = self.status._replace(oom_killed=killed)
        self.write_status()
        errands.clean(self.instance, self.name)
        return {"oom_killed": killed}

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
        apart.run(self.write_status)

    def write_status(self) -> Dict[str, Any]:
        """Write the status to disk."""
        try:
            records.write_status(self.instance, self.name, self.status)
        except OSError as error:  # a full disk is no reason to leave the container alone; the next change is written again
            sys.stderr.write("coracle: the status of %s could not be written: %s\n" % (self.name, error))
            sys.stderr.flush()
        return {}

    def release(self) -> None:
        """Give back mounts and network of a container that has ended for good, unless somebody is at it already."""
        # Nobody can reach this monitor from here on: who holds the lock may be waiting for it.
        files.remove(records.run_folder(self.instance, self.name, "monitor.sock"))
        self.control.close()
        self.checks.close()
        self.notices.close()
        for link in self.waiting:
            sockets.send(link, {"exit_code": self.status.exit_code})
            link.close()
        from . import lifecycle  # pylint: disable=import-outside-toplevel
        with locks.held(self.instance, "container", records.called(self.name)):
            live = records.read_live(self.instance, self.name)
            if live.init is None and live.monitor == self.me:
                lifecycle.release(self.instance, self.name)
