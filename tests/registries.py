# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real registries (Debian's docker-registry) in a test host: plain, with TLS, with logins, behind a proxy that breaks things."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import imagery
from hosts import Host
from waiting import until

_ports = itertools.count(5001)
PARTS = Path(__file__).with_name("registry_parts.py")
USER, PASSWORD = "alice", "open sesame"


class Registry:
    """A registry on a test host.

    Args:
        tls: Whether it speaks TLS, with a certificate of an authority of its own (C(ca)).
        login: C(basic) or C(token), or empty.
        client: Whether it wants to see a client's certificate (C(client.crt), C(client.key)).

    Attributes:
        address: C(HOST:PORT), as names of images begin.
        folder: With all that belongs to it.
    """

    def __init__(self, host: Host, tls: bool = False, login: str = "", client: bool = False) -> None:
        self.host = host
        self.port = next(_ports)
        self.address = "127.0.0.1:%d" % self.port
        self.folder = host.folder / ("registry-%d" % self.port)
        self.folder.mkdir()
        self.processes: List[subprocess.Popen[bytes]] = []
        self.proxy_port = 0
        lines = ["version: 0.1", "log: {level: error}",
                 "storage: {filesystem: {rootdirectory: '%s/data'}, delete: {enabled: true}}" % self.folder,
                 "validation: {manifests: {urls: {allow: ['^http://127']}}}", "http:", "  addr: ':%d'" % self.port, "  secret: tests"]
        if tls or client:
            certify(self.folder)
            lines += ["  tls:", "    certificate: '%s/server.crt'" % self.folder, "    key: '%s/server.key'" % self.folder]
            if client:
                lines.append("    clientcas: ['%s/ca.crt']" % self.folder)
        if login == "basic":
            done = subprocess.run(["htpasswd", "-Bbn", "-C", "4", USER, PASSWORD], capture_output=True, check=True)
            (self.folder / "htpasswd").write_bytes(done.stdout)
            lines.append("auth: {htpasswd: {realm: tests, path: '%s/htpasswd'}}" % self.folder)
        if login == "token":
            port = next(_ports)
            _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token", "-keyout",
                     self.folder / "token.key", "-out", self.folder / "token.crt")
            self._start([sys.executable, PARTS, "token", port, self.folder], port)
            lines.append("auth: {token: {realm: 'http://127.0.0.1:%d/token', service: registry, issuer: tests, "
                         "rootcertbundle: '%s/token.crt'}}" % (port, self.folder))
        (self.folder / "config.yml").write_text("\n".join(lines), encoding="utf-8")
        self._start(["docker-registry", "serve", self.folder / "config.yml"], self.port)

    def _start(self, command: Sequence[Any], port: int) -> None:
        log = (self.folder / "log").open("ab")
        self.processes.append(self.host.start([str(each) for each in command], stdout=log, stderr=log))
        log.close()

        def listens() -> bool:
            assert self.processes[-1].poll() is None, (self.folder / "log").read_text()
            return not self.host.run(["sh", "-c", "ss -Hltn sport = :%d | grep -q ." % port], check=False).returncode
        until(listens)

    # What is in it

    def put(self, name: str, tag: str, image: imagery.Image, **more: Any) -> str:
        """Store an image by the registry's own interface; the manifest's digest. Only without TLS and login."""
        return str(self.host.call(_put, self.port, name, tag, image, more))

    def put_index(self, name: str, tag: str, platforms: Mapping[str, imagery.Image]) -> str:
        """Store an index of images by platform, such as C(linux/arm64/v8); the index's digest."""
        entries = []
        for platform, image in platforms.items():
            self.put(name, image.digest, image)
            system, architecture, *variant = platform.split("/")
            entries.append({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest,
                            "size": len(image.manifest), "platform": {
                                "os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}})
        content = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                              "manifests": entries}).encode()
        self.host.call(_put_manifest, self.port, name, tag, content, "application/vnd.oci.image.index.v1+json")
        return imagery.digest(content)

    def put_manifest(self, name: str, tag: str, content: bytes, media_type: str, blobs: Mapping[str, bytes]) -> str:
        """Store any manifest with the blobs that it needs, such as a signature; its digest."""
        return str(self.host.call(_put_all, self.port, name, tag, content, media_type, dict(blobs)))

    # The proxy in front of it

    def proxy(self) -> str:
        """Start a proxy that breaks things in front of the registry; its address, as names of images begin."""
        if not self.proxy_port:
            self.proxy_port = next(_ports)
            self._start([sys.executable, PARTS, "proxy", self.proxy_port, self.port, self.folder], self.proxy_port)
        return "127.0.0.1:%d" % self.proxy_port

    def socks(self, login: bool = False) -> str:
        """Start a SOCKS proxy that leads every host's ports to this host; its address."""
        port = next(_ports)
        if login:
            (self.folder / "login").touch()
        self._start([sys.executable, PARTS, "socks", port, self.folder], port)
        return "127.0.0.1:%d" % port

    def fault(self, *faults: Dict[str, Any]) -> None:
        """What the proxy does from now on (see C(registry_parts.py)); also forgets the requests so far."""
        (self.folder / "faults.json").write_text(json.dumps(faults), encoding="utf-8")
        (self.folder / "requests").unlink(missing_ok=True)

    def requests(self) -> List[Dict[str, Any]]:
        """The requests that the proxy has seen since C(fault): C(line) and C(headers)."""
        try:
            text = (self.folder / "requests").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines()]

    def lines(self) -> List[str]:
        """Method and path of each of C(requests)."""
        return [each["line"] for each in self.requests()]

    def close(self) -> None:
        """End it."""
        for process in self.processes:
            process.kill()
            process.wait()


def _openssl(*arguments: Any, extra: Optional[str] = None) -> None:
    subprocess.run(["openssl", *map(str, arguments)], input=extra, text=True, capture_output=True, check=True)


def certify(folder: Path) -> None:
    """Make an authority (C(ca.crt)), and certificates by it: for a server at 127.0.0.1, and for a client."""
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests", "-keyout",
             folder / "ca.key", "-out", folder / "ca.crt")
    for name in ("server", "client"):
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", folder / (name + ".key"),
                 "-out", folder / (name + ".csr"))
        (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="ascii")
        _openssl("x509", "-req", "-in", folder / (name + ".csr"), "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key",
                 "-CAcreateserial", "-days", "2", "-extfile", folder / "extensions", "-out", folder / (name + ".crt"))


def _put(port: int, name: str, tag: str, image: imagery.Image, more: Dict[str, Any]) -> str:
    blobs = {digest: content for digest, content in image.blobs().items() if content != image.manifest}
    return _put_all(port, name, tag, image.manifest, more.get("media_type", "application/vnd.oci.image.manifest.v1+json"),
                    blobs)


def _put_all(port: int, name: str, tag: str, manifest: bytes, media_type: str, blobs: Dict[str, bytes]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for digest, content in blobs.items():
        connection.request("HEAD", "/v2/%s/blobs/%s" % (name, digest))
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            continue
        connection.request("POST", "/v2/%s/blobs/uploads/" % name)
        answer = connection.getresponse()
        answer.read()
        place = answer.headers["Location"]
        connection.request("PUT", place + ("&" if "?" in place else "?") + "digest=" + digest, content,
                           {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
    return _put_manifest(port, name, tag, manifest, media_type)


def _put_manifest(port: int, name: str, tag: str, content: bytes, media_type: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", "/v2/%s/manifests/%s" % (name, tag), content, {"Content-Type": media_type})
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 201, said
    return str(answer.headers["Docker-Content-Digest"])


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same each time."""
    out = bytearray()
    for number in itertools.count():
        if len(out) >= size:
            return bytes(out[:size])
        out += hashlib.sha256(b"%d %d" % (seed, number)).digest()
    raise AssertionError


def packed(content: bytes) -> bytes:
    """As gzip, the same each time."""
    return gzip.compress(content, mtime=0)
