# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells a host's process 1 of the containers: units of systemd, and scripts for OpenRC, runit and System V's init; as pure functions.

Sources: systemd.unit(5), systemd.service(5), openrc-run(8), runsv(8), Linux Standard Base "Init Script Actions".
"""

from __future__ import annotations

import shlex
from typing import Callable, Dict

from ..instance import Instance

PAGE = "https://github.com/coracle-containers/coracle.containers"
_SUMMARY = "Containers that are to run from boot on"


def command(instance: Instance, *words: str) -> str:
    """The C(coracle) command of an instance, for a shell or a unit; roots that are the default ones are left out."""
    found = [instance.state("engine", "current", "coracle")]
    for option, value, default in zip(("--state-root", "--run-root", "--cgroup-root"), instance, Instance()):
        found += [option, value] if value != default else []
    return " ".join(map(shlex.quote, found + list(words)))


def container_unit(instance: Instance) -> str:
    """The template of the containers' units. At the host's end the boot unit, which knows who needs whom, is stopped before them."""
    return """[Unit]
Description=Container %%i
Documentation=%s
After=network.target
Before=%s.service

[Service]
Type=notify
NotifyAccess=all
ExecStart=%s
ExecStop=%s
# The container has ended when ExecStop has. What systemd sends then, to a number that may be another's by now, must harm nobody.
KillMode=process
KillSignal=SIGCONT
SendSIGKILL=no
# Without it systemd moves no process of others into the unit.
Delegate=yes
TimeoutStartSec=infinity
TimeoutStopSec=infinity
""" % (PAGE, instance.name, command(instance, "unit", "start") + " %i", command(instance, "unit", "stop") + " %i")


def systemd(instance: Instance) -> str:
    """The boot unit."""
    program = instance.state("engine", "current", "coracle")
    return """[Unit]
Description=%s
Documentation=%s
Wants=network-online.target
After=network-online.target local-fs.target nftables.service firewalld.service
RequiresMountsFor=%s
ConditionFileIsExecutable=%s

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-%s seal
ExecStart=%s
# Only when the host goes down; else the containers outlive the unit.
ExecStop=%s
TimeoutStopSec=infinity
KillMode=process
Delegate=yes

[Install]
WantedBy=multi-user.target
""" % (_SUMMARY, PAGE, shlex.quote(instance.state_root), program, shlex.quote(program), command(instance, "boot"),
       command(instance, "shutdown", "--if-stopping"))


def openrc(instance: Instance) -> str:
    """A service script for /etc/init.d."""
    return """#!/sbin/openrc-run
# Copy to /etc/init.d/coracle, mode 0755; then: rc-update add coracle default
description="%s"

depend() {
    need localmount
    use net
    after net firewall iptables nftables sysctl cgroups
}

start() {
    ebegin "Starting containers"
    %s
    eend $?
}

stop() {
    ebegin "Stopping containers"
    %s
    eend $?
}
""" % (_SUMMARY, command(instance, "boot"), command(instance, "shutdown"))


def runit(instance: Instance) -> str:
    """A run script; its process waits, since runsv would start again what ends."""
    return """#!/bin/sh
# Copy to /etc/sv/coracle/run, mode 0755; then link that folder into the one that runsvdir watches, such as /var/service.
# %s
exec 2>&1
end() {
    %s
    exit 0
}
trap end TERM HUP INT
%s
while :; do
    sleep 86400 &
    wait $!
done
""" % (_SUMMARY, command(instance, "shutdown"), command(instance, "boot"))


def sysv(instance: Instance) -> str:
    """A script for /etc/init.d, as the Linux Standard Base has it."""
    return """#!/bin/sh
# Copy to /etc/init.d/coracle, mode 0755; then: update-rc.d coracle defaults, or chkconfig --add coracle
### BEGIN INIT INFO
# Provides:          coracle
# Required-Start:    $local_fs $network
# Required-Stop:     $local_fs $network
# Should-Start:      nftables firewalld
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: %s
### END INIT INFO

case $1 in
    start) %s ;;
    stop) %s ;;
    restart|force-reload) "$0" stop && "$0" start ;;
    status) %s ;;
    *)
        echo "usage: $0 start|stop|restart|status" >&2
        exit 2
        ;;
esac
""" % (_SUMMARY, command(instance, "boot"), command(instance, "shutdown"), command(instance, "ps"))


KINDS: Dict[str, Callable[[Instance], str]] = {"systemd": systemd, "openrc": openrc, "runit": runit, "sysv": sysv}
