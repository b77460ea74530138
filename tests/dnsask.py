# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client and a server of the domain name system that share no code with the engine.

C(dnsask.py ask JSON) asks a list of questions, each C([server, protocol, name, type, options]), and prints what came: code, flags,
addresses or names, size. C(dnsask.py serve ADDRESS LABEL) is a server outside whose names tell what it does:
C(big.*) has an answer of 3,000 bytes, C(silent.*) none, C(broken.*) a failure, C(forged.*) forgeries before the right one,
all others have 192.0.2.200 and a text with the label.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from typing import Any, Dict, List, Tuple

TYPES = {"A": 1, "NS": 2, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "AXFR": 252, "ANY": 255}


def name_of(packet: bytes, at: int) -> Tuple[str, int]:
    """A name at an offset, and where it ends."""
    labels: List[str] = []
    end = 0
    while packet[at]:
        if packet[at] >= 192:
            end = end or at + 2
            at = (packet[at] & 63) << 8 | packet[at + 1]
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += packet[at] + 1
    return ".".join(labels), end or at + 1


def question(name: str, kind: str, options: Dict[str, Any]) -> bytes:
    """A query."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"
    edns = b"" if "edns" not in options else b"\0" + struct.pack(">HHIH", 41, options["edns"], options.get("version", 0) << 16, 0)
    return struct.pack(">HHHHHH", options.get("id", 0x1234), options.get("flags", 0x0100), options.get("questions", 1), 0, 0,
                       1 if edns else 0) + labels + struct.pack(">HH", TYPES[kind], options.get("class", 1)) + edns


def read(packet: bytes) -> Dict[str, Any]:
    """What an answer says."""
    number, flags, questions, answers, _authorities, additional = struct.unpack(">HHHHHH", packet[:12])
    found: Dict[str, Any] = {"id": number, "code": flags & 15, "aa": bool(flags & 0x400), "tc": bool(flags & 0x200),
                             "ra": bool(flags & 0x80), "records": [], "size": len(packet), "edns": None}
    at = 12
    for _each in range(questions):
        found["question"], at = name_of(packet, at)
        at += 4
    for _each in range(answers + additional):
        _name, at = name_of(packet, at)
        kind, klass, ttl, length = struct.unpack(">HHIH", packet[at:at + 10])
        data = packet[at + 10:at + 10 + length]
        at += 10 + length
        if kind == 41:
            found["edns"] = klass
            found["code"] |= ttl >> 24 << 4
        elif kind in (1, 28):
            found["records"].append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, data))
        elif kind == 12:
            found["records"].append(name_of(packet, at - length)[0])
        else:
            found["records"].append(data[1:20].decode("latin-1"))
    return found


def ask(server: str, protocol: str, name: str, kind: str, options: Dict[str, Any]) -> Any:
    """Ask one question; C(None) where nobody answers in time."""
    packet = bytes.fromhex(options["raw"]) if "raw" in options else question(name, kind, options)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as sock:
            sock.settimeout(options.get("patience", 30))
            if "from" in options:
                sock.bind((options["from"], 0))
            sock.connect((server, 53))
            if protocol == "udp":
                sock.send(packet)
                return read(sock.recv(65535))
            sock.sendall(len(packet).to_bytes(2, "big") + packet)
            content = b""
            while len(content) < 2 or len(content) < int.from_bytes(content[:2], "big") + 2:
                part = sock.recv(65535)
                if not part:
                    return None
                content += part
            return read(content[2:])
    except OSError:
        return None


def answer(packet: bytes, label: str, stream: bool) -> List[bytes]:
    """What the server says to a query, forgeries first."""
    name, end = name_of(packet, 12)
    kind = struct.unpack(">H", packet[end:end + 2])[0]
    asked = packet[12:end + 4]
    verb = name.lower().partition(".")[0]

    def say(code: int = 0, records: bytes = b"", count: int = 0, flags: int = 0, number: bytes = packet[:2],
            about: bytes = asked) -> bytes:
        return number + struct.pack(">HHHHH", 0x8180 | flags | code, 1, count, 0, 0) + about + records

    def record(of: int, data: bytes) -> bytes:
        return b"\xc0\x0c" + struct.pack(">HHIH", of, 1, 60, len(data)) + data
    good = say(records=record(1, socket.inet_aton("192.0.2.200")), count=1) if kind == 1 else \
        say(records=record(16, bytes([len(label)]) + label.encode()), count=1) if kind == 16 else say()
    if verb == "silent":
        return []
    if verb == "broken":
        return [say(2)]
    if name.lower().endswith(".lan.example"):
        return [say(3)]
    if verb == "forged":
        evil = record(1, socket.inet_aton("192.0.2.66"))
        other = b"\x05other" + asked
        return [say(records=evil, count=1, number=bytes([packet[0] ^ 1, packet[1]])),
                say(records=evil, count=1, about=other), good]
    if verb == "big":
        if not stream:
            return [say(flags=0x200)]
        return [say(records=b"".join(record(16, b"\xc8" + b"%03d" % each + b"x" * 197) for each in range(14)), count=14)]
    return [good]


def serve(address: str, label: str) -> None:
    """Be the server until killed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packets = socket.socket(family, socket.SOCK_DGRAM)
    packets.bind((address, 53))
    stream = socket.create_server((address, 53), family=family)

    def streams() -> None:
        while True:
            link, _peer = stream.accept()
            with link:
                length = int.from_bytes(link.recv(2), "big")
                for each in answer(link.recv(length), label, stream=True)[-1:]:
                    link.sendall(len(each).to_bytes(2, "big") + each)
    threading.Thread(target=streams, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        packet, peer = packets.recvfrom(4096)
        sys.stdout.write("%d %s\n" % (peer[1], packet[:2].hex()))
        sys.stdout.flush()
        for each in answer(packet, label, stream=False):
            packets.sendto(each, peer)


def all_of(questions: List[List[Any]]) -> List[Any]:
    """Answers, all questions asked at once."""
    found: List[Any] = [None] * len(questions)

    def one(at: int) -> None:
        found[at] = ask(*questions[at])
    threads = [threading.Thread(target=one, args=(at,)) for at in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def speed(server: str, name: str, rounds: int, port: int = 53) -> List[float]:
    """Microseconds of each of many questions in turn."""
    packet = question(name, "A", {})
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((server, port))
        for _round in range(rounds):
            begin = time.perf_counter()
            sock.send(packet)
            sock.recv(512)
            times.append((time.perf_counter() - begin) * 1e6)
    return times


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    elif sys.argv[1] == "speed":
        json.dump(speed(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])), sys.stdout)
    else:
        json.dump(all_of(json.loads(sys.argv[2])), sys.stdout)
