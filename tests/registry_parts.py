# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that stand beside a real registry in the tests: one that breaks what passes through it, a token service, a SOCKS proxy.

    registry_parts.py proxy PORT UPSTREAM_PORT FOLDER
    registry_parts.py token PORT FOLDER
    registry_parts.py socks PORT FOLDER

The proxy does what F(FOLDER/faults.json) says and writes each request as a line of JSON to F(FOLDER/requests). A fault is a
mapping: C(match), a regular expression on "METHOD path"; C(times), how often it happens (for ever without it); and what
happens: C(status) with C(headers) and C(body); C(cut), after how many bytes of the body the connection is broken; C(delay),
seconds before the answer; C(flip), the byte of the body that is changed; C(drop), whether the connection is closed without
an answer; C(plain), whether a range is ignored; C(location), where a redirect leads.
"""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any, Dict, List, Optional

_lock = threading.Lock()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server with a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    folder: Path
    upstream: int = 0


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes requests on, and breaks some of them."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        fault = self._fault()
        if "delay" in fault:
            time.sleep(fault["delay"])
        if fault.get("drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if "status" in fault:
            content = fault.get("body", "").encode()
            self.send_response(fault["status"])
            for key, value in {"Content-Length": len(content), **fault.get("headers", {})}.items():
                self.send_header(key, str(value))
            self.end_headers()
            self.wfile.write(content if self.command != "HEAD" else b"")
            return
        self._pass(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any

    def _pass(self, body: bytes, fault: Dict[str, Any]) -> None:
        headers = {key: value for key, value in self.headers.items() if not (fault.get("plain") and key == "Range")}
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("connection", "date"):
                self.send_header(key, value)
        self.end_headers()
        sent = 0
        while True:
            chunk = answer.read(65536)
            if not chunk:
                break
            if "flip" in fault and sent <= fault["flip"] < sent + len(chunk):
                at = fault["flip"] - sent
                chunk = chunk[:at] + bytes([chunk[at] ^ 0x40]) + chunk[at + 1:]
            if "cut" in fault and sent + len(chunk) > fault["cut"]:
                self.wfile.write(chunk[:fault["cut"] - sent])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if "trickle" in fault:
                time.sleep(fault["trickle"])
            self.wfile.write(chunk)
            sent += len(chunk)

    def _fault(self) -> Dict[str, Any]:
        line = "%s %s" % (self.command, self.path)
        with _lock:
            with (self.server.folder / "requests").open("a", encoding="utf-8") as log:
                log.write(json.dumps({"line": line, "headers": dict(self.headers)}) + "\n")
            place = self.server.folder / "faults.json"
            faults: List[Dict[str, Any]] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else []
            for fault in faults:
                if re.search(fault["match"], line) and fault.get("times", 1) > 0:
                    if "times" in fault:
                        fault["times"] -= 1
                        place.write_text(json.dumps(faults), encoding="utf-8")
                    return fault
        return {}


class Token(http.server.BaseHTTPRequestHandler):
    """A token service: signs what is asked for, for anonymous users to pull, for C(alice) everything."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The flow of token.md."""
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        login: Optional[str] = self.headers.get("Authorization")
        user = ""
        if login is not None:
            user, _colon, password = base64.b64decode(login.partition(" ")[2]).decode().partition(":")
            if (user, password) != ("alice", "open sesame"):
                self._answer(401, {"details": "wrong login"})
                return
        self._grant(asked.get("scope", []), user)

    def do_POST(self) -> None:
        """The flow of oauth.md."""
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != ["refresh me"]:
            self._answer(401, {"details": "wrong token"})
            return
        self._grant(form.get("scope", [""])[0].split(), "alice")

    def _grant(self, scopes: List[str], user: str) -> None:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 1)[0], scope.split(":", 1)[1].rpartition(":")[0], scope.rpartition(":")[2]
            allowed = [each for each in actions.split(",") if user or (each == "pull" and not name.startswith("private/"))]
            access.append({"type": kind, "name": name, "actions": allowed})
        with _lock, (self.server.folder / "grants").open("a", encoding="utf-8") as log:
            log.write(json.dumps({"user": user, "scopes": scopes}) + "\n")
        life = self.server.folder / "life"
        now = int(time.time())
        claims = {"iss": "tests", "sub": user, "aud": "registry", "nbf": now - 5, "iat": now, "exp": now + 300,
                  "jti": "%x" % time.time_ns(), "access": access}
        certificate = (self.server.folder / "token.crt").read_text(encoding="ascii")
        der = "".join(certificate.split("-----")[2].split())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        signed = b".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (head, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.server.folder / "token.key")],
                                   input=signed, capture_output=True, check=True).stdout
        token = signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")
        self._answer(200, {"token": token.decode(), "expires_in": int(life.read_text()) if life.exists() else 300})

    def _answer(self, status: int, value: Dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Socks(socketserver.BaseRequestHandler):
    """A SOCKS 5 proxy by RFC 1928 and RFC 1929 that wants C(alice) where its folder has a file C(login), leads all hosts to this
    one, allows no host whose name begins with C(no), and writes what was asked for to F(FOLDER/socks)."""

    server: Server

    def handle(self) -> None:
        """Negotiate, connect, and pass bytes on."""
        want = b"\x02" if (self.server.folder / "login").exists() else b"\x00"
        methods = self._take(self._take(2)[1])
        self.request.sendall(b"\x05" + (want if want in methods else b"\xff"))
        if want not in methods:
            return
        if want == b"\x02":
            name = self._take(self._take(2)[1])
            password = self._take(self._take(1)[0])
            self.request.sendall(b"\x01" + (b"\x00" if (name, password) == (b"alice", b"open sesame") else b"\x01"))
        _version, _command, _reserved, kind = self._take(4)
        address = self._take(self._take(1)[0]).decode() if kind == 3 else socket.inet_ntop(
            socket.AF_INET if kind == 1 else socket.AF_INET6, self._take(4 if kind == 1 else 16))
        port = int.from_bytes(self._take(2), "big")
        with _lock, (self.server.folder / "socks").open("a", encoding="utf-8") as log:
            log.write("%d %s\n" % (kind, address))
        if address.startswith("no"):
            self.request.sendall(b"\x05\x02\x00\x01" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", port)) as upstream:
            self.request.sendall(b"\x05\x00\x00\x04" + bytes(18))
            back = threading.Thread(target=self._copy, args=(upstream, self.request), daemon=True)
            back.start()
            self._copy(self.request, upstream)
            back.join()

    def _take(self, count: int) -> bytes:
        return bytes(self.request.recv(count, socket.MSG_WAITALL))

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            for chunk in iter(lambda: source.recv(65536), b""):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def main() -> None:
    """Serve until killed."""
    role, port, *rest = sys.argv[1:]
    handlers: Dict[str, Any] = {"proxy": Proxy, "token": Token, "socks": Socks}
    server = Server(("", int(port)), handlers[role])
    server.folder = Path(rest[-1])
    if role == "proxy":
        server.upstream = int(rest[0])
    server.serve_forever()


if __name__ == "__main__":
    main()
