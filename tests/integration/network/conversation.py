# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real connections: a server that says who it is and whom it sees, and a client that asks many at once.

Run as C(conversation.py serve NAME PORT...) and C(conversation.py ask SECONDS TARGET...), a target being
C(PROTOCOL ADDRESS PORT) with colons between, an IPv6 address in brackets.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
from typing import Dict, List


def serve(name: str, ports: List[int]) -> None:
    """Answer C(NAME PEER) on these ports, by TCP and UDP, until killed."""
    listening = {}
    for port in ports:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            stream = socket.create_server((address, port), family=family, backlog=64)
            packets = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            packets.bind((address, port))
            listening.update({stream.fileno(): stream, packets.fileno(): packets})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for handle in select.select(list(listening), [], [])[0]:
            if listening[handle].type == socket.SOCK_STREAM:
                peer, address = listening[handle].accept()
                with peer:
                    peer.sendall(("%s %s" % (name, address[0])).encode())
            else:
                _data, address = listening[handle].recvfrom(100)
                listening[handle].sendto(("%s %s" % (name, address[0])).encode(), address)


def ask(seconds: float, targets: List[str]) -> Dict[str, str]:
    """What each target answered; C(nothing) where it did not."""
    answers: Dict[str, str] = {}

    def one(target: str) -> None:
        protocol, _colon, rest = target.partition(":")
        address, _colon, port = rest.rpartition(":")
        family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
        address = address.strip("[]")
        try:
            with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as sock:
                sock.settimeout(seconds)
                sock.connect((address, int(port)))
                if protocol == "udp":
                    sock.send(b"?")
                answers[target] = sock.recv(100).decode() or "nothing"
        except OSError:
            answers[target] = "nothing"
    threads = [threading.Thread(target=one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    else:
        json.dump(ask(float(sys.argv[2]), sys.argv[3:]), sys.stdout)
