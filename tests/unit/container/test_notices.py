# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd is told: it takes a message from none that it cannot find when it reads it, so who sends one stays until then."""

from __future__ import annotations

import os
import select
import socket
import struct

from ansible_collections.coracle.containers.plugins.module_utils.engine.container import readiness


def test_who_sends_a_message_is_there_until_it_is_read() -> None:
    name = "coracle-notices-%d" % os.getpid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sender = os.fork()
        if not sender:
            try:
                readiness.notify("STATUS=running", "@" + name)
            finally:
                os._exit(0)
        handle = os.pidfd_open(sender)
        content, given, _flags, _address = systemd.recvmsg(4096, 1000)
        (credentials,) = [part for _level, kind, part in given if kind == socket.SCM_CREDENTIALS]
        assert content == b"STATUS=running" and struct.unpack("3i", credentials)[0] == sender
        content, given, _flags, _address = systemd.recvmsg(4096, 1000)
        (barrier,) = [part for _level, kind, part in given if kind == socket.SCM_RIGHTS]
        assert content == b"BARRIER=1" and select.select([handle], [], [], 0.1)[0] == []
        os.close(struct.unpack("i", barrier)[0])
        assert os.waitpid(sender, 0)[1] == 0
        os.close(handle)


def test_nobody_to_tell_is_no_error() -> None:
    readiness.notify("STATUS=running", "/nonexistent/notify")
