# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and signatures in cosign's two forms, made with the openssl command."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, Tuple

from imagery import digest

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b"{}"
KINDS = {"ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ed25519": ["-algorithm", "ED25519"]}


class Signer:
    """A pair of keys.

    Attributes:
        public: The path of the public one, PEM.
    """

    def __init__(self, folder: Path, name: str = "cosign", kind: str = "ecdsa") -> None:
        self._private = folder / (name + ".key")
        self.public = folder / (name + ".pub")
        self._kind = kind
        subprocess.run(["openssl", "genpkey", *KINDS[kind], "-out", str(self._private)], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", str(self._private), "-pubout", "-out", str(self.public)], check=True)

    def sign(self, content: bytes) -> bytes:
        """A signature over a content's SHA-256, or of Ed25519 over the content."""
        path = self._private.with_suffix(".content")
        path.write_bytes(content)
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(self._private), "-in", str(path)]
        if self._kind != "ed25519":
            command = ["openssl", "dgst", "-sha256", "-sign", str(self._private), str(path)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    def simple(self, image: str, reference: str = "", **more: Any) -> Tuple[bytes, Dict[str, bytes]]:
        """A manifest for the tag C(sha256-HEX.sig), and the blobs that it needs.

        Args:
            image: The digest of the image's manifest.
            reference: The name that is signed with it.
            more: C(signature) for another one than the right one, C(kind) for another type of document.
        """
        payload = json.dumps({"critical": {
            "identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": image},
            "type": more.get("kind", "cosign container image signature")}, "optional": None}).encode()
        signature = more.get("signature") or self.sign(payload)
        return _manifest("application/vnd.oci.image.config.v1+json", EMPTY, SIMPLE, payload, {}, {
            "dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()})

    def bundle(self, image: str, media_type: str = MANIFEST, size: int = 1, name: str = "", **more: Any
               ) -> Tuple[bytes, Dict[str, bytes]]:
        """A manifest that refers to an image and holds a bundle, and the blobs that it needs."""
        statement = json.dumps({
            "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": name, "digest": {"sha256": image[7:]}}],
            "predicateType": more.get("predicate", "https://sigstore.dev/cosign/sign/v1"), "predicate": {}}).encode()
        kind = b"application/vnd.in-toto+json"
        signature = self.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement))
        content = json.dumps({
            "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}},
            "dsseEnvelope": {"payload": base64.b64encode(statement).decode(), "payloadType": kind.decode(),
                             "signatures": [{"sig": base64.b64encode(signature).decode()}]}}).encode()
        return _manifest("application/vnd.oci.empty.v1+json", EMPTY, BUNDLE, content, {
            "artifactType": BUNDLE, "subject": {"mediaType": media_type, "digest": image, "size": size}})


def _manifest(config_type: str, config: bytes, layer_type: str, layer: bytes, more: Dict[str, Any],
              annotations: Any = None) -> Tuple[bytes, Dict[str, bytes]]:
    described = {"mediaType": layer_type, "digest": digest(layer), "size": len(layer)}
    if annotations:
        described["annotations"] = annotations
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                          "config": {"mediaType": config_type, "digest": digest(config), "size": len(config)},
                          "layers": [described], **more}).encode()
    return content, {digest(config): config, digest(layer): layer}
