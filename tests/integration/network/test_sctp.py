# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port published by SCTP, where the kernel has it: the virtual machine's does."""

from __future__ import annotations

import socket
from typing import Callable

import pytest

import hosts
from hosts import MANAGED_PYTHON, Host
from talk import end, inside

SERVER = """
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
listener.bind(("0.0.0.0", 80))
listener.listen(8)
print("ready", flush=True)
while True:
    link, peer = listener.accept()
    link.sendall(("web " + peer[0]).encode())
    link.close()
"""
CLIENT = """
import socket, sys
link = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
link.settimeout(float(sys.argv[2]))
link.connect((sys.argv[1], 8080))
print(link.recv(100).decode())
"""


def test_a_port_is_reached_from_outside_and_from_the_host(new_host: Callable[[], Host]) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        pytest.skip("this kernel has no SCTP; tests/vm/run tests/integration/network/test_sctp.py has")
    host, outside = new_host(), new_host()
    hosts.link(host, outside, "192.0.2.1/24", "192.0.2.2/24")
    host.module("container_netns", name="web", published_ports=["8080:80/sctp"])
    server = host.start([*inside("web"), MANAGED_PYTHON, "-c", SERVER], stdout=-1)
    try:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        assert outside.run([MANAGED_PYTHON, "-c", CLIENT, "192.0.2.1", "60"]).stdout == "web 192.0.2.2\n"
        assert host.run([MANAGED_PYTHON, "-c", CLIENT, "192.0.2.1", "60"]).stdout.startswith("web ")
        host.module("container_netns", name="web", published_ports=[])
        assert outside.run([MANAGED_PYTHON, "-c", CLIENT, "192.0.2.1", "3"], check=False).returncode
    finally:
        end([server])
