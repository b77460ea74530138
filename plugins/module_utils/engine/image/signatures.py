# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of images as cosign makes them with a key, checked by the host's OpenSSL.

Two forms: a manifest under the tag C(sha256-HEX.sig) whose layers are signed documents (simple signing), and a bundle
of sigstore in a manifest that refers to the image. What a key has signed is only ever looked at after its signature
was found good.

Sources: cosign specs/SIGNATURE_SPEC.md and specs/BUNDLE_SPEC.md; containers-signature(5); DSSE protocol.md; in-toto
Statement v1; EVP_DigestVerify(3).
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import json
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Corrupt, EngineError, InvalidValue, Unsupported
from .attached import Attached

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
_STATEMENTS = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_TYPE = "cosign container image signature"
_MOST = 64
"""How many signatures of an image are looked at."""


class Signature(NamedTuple):
    """A good signature.

    Attributes:
        key: Which of the keys has made it: its place in the list.
        digest: Of the manifest that was signed.
        reference: The name that was signed with it; empty where none was.
    """

    key: int
    digest: str
    reference: str


class Key:
    """A public key.

    Args:
        text: PEM, or the absolute path of a file of it.
        option: What an error names.

    Raises:
        InvalidValue: It is none.
        Unsupported: The host has no OpenSSL.
    """

    def __init__(self, text: str, option: str) -> None:
        self._crypto = _libcrypto()
        content = text.encode()
        if "-----BEGIN" not in text:
            try:
                with open(text, "rb") as stream:
                    content = stream.read(1 << 16)
            except OSError as error:
                raise InvalidValue(option, text, "cannot be read: %s" % os.strerror(error.errno or 0),
                                   "Give a public key as PEM, or the path of one on the managed host")
        source = self._crypto.BIO_new_mem_buf(content, len(content))
        self._key = self._crypto.PEM_read_bio_PUBKEY(source, None, None, None)
        self._crypto.BIO_free(source)
        if not self._key:
            raise InvalidValue(option, text if len(text) < 200 else text[:40] + "...", "is no public key as PEM",
                               "Give what cosign.pub or 'openssl pkey -pubout' holds")

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Whether this key has signed a content: ECDSA and RSA (PKCS #1 v1.5) over its SHA-256, or Ed25519."""
        crypto = self._crypto
        for algorithm in (crypto.EVP_sha256(), None):  # a key that hashes for itself (Ed25519) refuses an algorithm
            context = crypto.EVP_MD_CTX_new()
            try:
                if crypto.EVP_DigestVerifyInit(context, None, algorithm, None, self._key) == 1:
                    return bool(crypto.EVP_DigestVerify(context, signature, len(signature), content, len(content)) == 1)
            finally:
                crypto.EVP_MD_CTX_free(context)
                crypto.ERR_clear_error()
        return False


def _libcrypto() -> ctypes.CDLL:
    from ..kernel.syscalls import library  # pylint: disable=import-outside-toplevel
    found = library("libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so")
    if found is None:
        raise Unsupported("the host has no libcrypto (OpenSSL) to check signatures with",
                          "Install the package libssl3 (Debian) or openssl-libs (Fedora)")
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
            ("BIO_new_mem_buf", pointer, [ctypes.c_char_p, ctypes.c_int]), ("BIO_free", ctypes.c_int, [pointer]),
            ("PEM_read_bio_PUBKEY", pointer, [pointer] * 4), ("EVP_sha256", pointer, []),
            ("EVP_MD_CTX_new", pointer, []), ("EVP_MD_CTX_free", None, [pointer]), ("ERR_clear_error", None, []),
            ("EVP_DigestVerifyInit", ctypes.c_int, [pointer] * 5),
            ("EVP_DigestVerify", ctypes.c_int, [pointer, ctypes.c_char_p, size, ctypes.c_char_p, size])):
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


def good(keys: Sequence[Key], digests: Sequence[str], attached: Attached) -> List[Signature]:
    """The signatures by any of the keys of any of the manifests: an image's own, or the index's that names it."""
    found = []
    for digest in digests:
        for count, (content, signature, read) in enumerate(_candidates(digest, attached)):
            if count == _MOST:
                break
            for number, key in enumerate(keys):
                if key.verifies(content, signature):
                    reference = read(content, digest)
                    if reference is not None:
                        found.append(Signature(number, digest, reference))
    return found


def _candidates(digest: str, attached: Attached) -> Iterator[Tuple[bytes, bytes, Any]]:
    """What is said to be signed, its signature, and what reads it once that is found good; what is malformed is left out."""
    content = attached.tagged(digest.replace(":", "-") + ".sig")
    for layer in _layers(content) if content is not None else ():
        if layer.get("mediaType") == SIMPLE:
            signature = _decoded(str((layer.get("annotations") or {}).get(SIGNATURE_ANNOTATION, "")))
            payload = _read(attached, layer)
            if signature and payload is not None:
                yield payload, signature, _simple
    for each in attached.referrers(digest):
        if str(each.get("artifactType", "")).startswith(BUNDLE):
            document = _read(attached, each, manifest=True)
            for layer in _layers(document) if document is not None else ():
                bundle = _read(attached, layer) if str(layer.get("mediaType", "")).startswith(BUNDLE) else None
                if bundle is not None:
                    yield from _envelope(bundle)


def _read(attached: Attached, described: Dict[str, Any], manifest: bool = False) -> Optional[bytes]:
    """A document that is pointed to, or C(None) where it cannot be had; without it the signature counts for nothing."""
    try:
        return attached.document(described) if manifest else attached.blob(described)
    except (EngineError, KeyError, TypeError, ValueError):
        return None


def _layers(content: bytes) -> List[Dict[str, Any]]:
    try:
        return [each for each in json.loads(content)["layers"] if isinstance(each, dict)]
    except (ValueError, KeyError, TypeError):
        return []


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _envelope(bundle: bytes) -> Iterator[Tuple[bytes, bytes, Any]]:
    """The signatures of a bundle's DSSE envelope, over its pre-authentication encoding."""
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
        kind, payload = str(envelope["payloadType"]).encode(), _decoded(envelope["payload"])
        signatures = [_decoded(each["sig"]) for each in envelope["signatures"]]
    except (ValueError, KeyError, TypeError):
        return
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    for signature in signatures:
        if kind == b"application/vnd.in-toto+json" and signature:
            yield signed, signature, lambda _content, digest: _statement(payload, digest)


def _simple(payload: bytes, digest: str) -> Optional[str]:
    """The name in a simple signing document, or C(None) where it is not about this manifest."""
    try:
        critical = json.loads(payload)["critical"]
        if critical["type"] == _TYPE and critical["image"]["docker-manifest-digest"] == digest:
            return str((critical.get("identity") or {}).get("docker-reference") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def _statement(payload: bytes, digest: str) -> Optional[str]:
    """The name in an in-toto statement that says the image was signed, or C(None) where it says something else."""
    try:
        value = json.loads(payload)
        if value["_type"] in _STATEMENTS and value["predicateType"] == SIGN_PREDICATE:
            for subject in value["subject"]:
                algorithm, _colon, digits = digest.partition(":")
                if subject["digest"].get(algorithm) == digits:
                    return str(subject.get("name") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def refused(name: str, digest: str, why: str) -> Corrupt:
    """The error for an image that is not trusted."""
    return Corrupt("image '%s' (%s) is not trusted: %s" % (name, digest, why),
                   "Nothing of it was unpacked; sign it, or correct what 'verify' demands", digest=digest)
