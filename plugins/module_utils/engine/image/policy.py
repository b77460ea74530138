# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(policy.json) as Podman, Buildah, skopeo and CRI-O read it: what is demanded of an image, by where it comes from.

What cannot be checked here (signatures of GnuPG, certificates of Fulcio, entries of Rekor) is never taken for checked: an
image of which that is demanded is refused. Source: containers-policy.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import Any, Dict, Iterator, List, Tuple

from ..errors import Corrupt, NotFound
from . import references

ACCEPT, REJECT, SIGNED = "insecureAcceptAnything", "reject", "sigstoreSigned"
_KNOWN = {ACCEPT: {"type"}, REJECT: {"type"},
          SIGNED: {"type", "keyPath", "keyPaths", "keyData", "keyDatas", "fulcio", "pki", "rekorPublicKeyPath",
                   "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas", "signedIdentity"},
          "signedBy": {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"},
          "signedBaseLayer": {"type", "baseLayerIdentity"}}
_NOT_HERE = ("fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas")
_IDENTITIES = {"matchExact": (), "matchRepoDigestOrExact": (), "matchRepository": (),
               "exactReference": ("dockerReference",), "exactRepository": ("dockerRepository",),
               "remapIdentity": ("prefix", "signedPrefix")}  # type: Dict[str, Tuple[str, ...]]

Requirement = Dict[str, Any]


def read(path: str) -> Dict[str, Any]:
    """The policy in a file, checked as strictly as the format demands.

    Raises:
        NotFound: There is no such file.
        Corrupt: It is no policy.
    """
    try:
        with open(path, "rb") as stream:
            value = json.loads(stream.read(), object_pairs_hook=_once)
    except OSError as error:
        raise NotFound("verify.policy %s: %s" % (path, os.strerror(error.errno or 0)), "Give the path of a policy.json")
    except ValueError as error:
        raise _wrong(path, str(error))
    if not isinstance(value, dict) or set(value) - {"default", "transports"} or "default" not in value:
        raise _wrong(path, "it has 'default' and perhaps 'transports', and nothing else")
    _checked(path, value["default"], "default")
    transports = value.get("transports") or {}
    if not isinstance(transports, dict) or not all(isinstance(scopes, dict) for scopes in transports.values()):
        raise _wrong(path, "'transports' maps transports to scopes")
    for transport, scopes in transports.items():
        for scope, demands in scopes.items():
            _checked(path, demands, "%s: '%s'" % (transport, scope))
    return value


def _once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _checked(path: str, demands: Any, where: str) -> None:
    if not isinstance(demands, list) or not demands:
        raise _wrong(path, "%s is a list of at least one requirement" % where)
    for each in demands:
        kind = each.get("type") if isinstance(each, dict) else None
        if kind not in _KNOWN:
            raise _wrong(path, "%s has a requirement of type %r" % (where, kind))
        if set(each) - _KNOWN[kind]:
            raise _wrong(path, "%s: %s has the unknown key '%s'" % (where, kind, min(set(each) - _KNOWN[kind])))
        identity = each.get("signedIdentity")
        if identity is not None and kind == SIGNED:
            named = identity.get("type") if isinstance(identity, dict) else None
            if named not in _IDENTITIES or set(identity) != {"type", *_IDENTITIES[named]}:
                raise _wrong(path, "%s: 'signedIdentity' is not as documented" % where)


def _wrong(path: str, why: str) -> Corrupt:
    return Corrupt("verify.policy %s is no policy: %s" % (path, why), "See containers-policy.json(5)")


def demands(policy: Dict[str, Any], transport: str, name: str) -> List[Requirement]:
    """What the most specific scope demands; all of it must be satisfied.

    Args:
        transport: C(docker) for registries, C(oci), C(oci-archive), C(docker-archive), C(dir).
        name: For C(docker) the complete name that is pulled; else the absolute path, with C(:NAME) for an image in it.
    """
    scopes = (policy.get("transports") or {}).get(transport)
    if scopes is not None:
        for scope in _scopes(transport, name):
            if scope in scopes:
                return list(scopes[scope])
    return list(policy["default"])


def _scopes(transport: str, name: str) -> Iterator[str]:
    """From the most specific one to the transport's default, the empty one."""
    if transport == "docker":
        reference = references.parse(name)
        yield name
        parts = reference.repository.split("/")
        for count in range(len(parts), 0, -1):
            yield "/".join(parts[:count])
        labels = reference.host.split(".")
        for count in range(1, len(labels)):
            yield "*." + ".".join(labels[count:])
    else:
        yield name
        path = name.partition(":")[0]
        while path not in ("/", ""):
            yield path
            path = os.path.dirname(path)
    yield ""


def cannot(demand: Requirement) -> str:
    """Why a requirement cannot be checked here, or an empty text."""
    if demand["type"] not in (ACCEPT, REJECT, SIGNED):
        return "'%s' cannot be checked here" % demand["type"]
    for key in _NOT_HERE:
        if demand["type"] == SIGNED and key in demand:
            return "'%s' of sigstoreSigned cannot be checked here" % key
    return ""


def keys(demand: Requirement) -> List[str]:
    """The public keys of sigstoreSigned, as paths or PEM.

    Raises:
        ValueError: There is not exactly one kind of them, or one is no base64.
    """
    given = [key for key in ("keyPath", "keyPaths", "keyData", "keyDatas") if key in demand]
    if len(given) != 1:
        raise ValueError("sigstoreSigned needs exactly one of keyPath, keyPaths, keyData, keyDatas")
    values = demand[given[0]] if given[0].endswith("s") else [demand[given[0]]]
    if given[0].startswith("keyData"):
        try:
            return [base64.b64decode(each, validate=True).decode() for each in values]
        except (binascii.Error, ValueError, TypeError):
            raise ValueError("'%s' of sigstoreSigned is no base64 of PEM" % given[0])
    return [str(each) for each in values]


def identity_fits(demand: Requirement, wanted: str, signed: str) -> bool:
    """Whether the name in a signature is one that the policy accepts for the image that was asked for.

    Args:
        wanted: The complete name that is pulled.
        signed: The name in the signature.
    """
    identity = demand.get("signedIdentity") or {"type": "matchRepoDigestOrExact"}
    kind = identity["type"]
    try:
        own, given = references.parse(wanted), references.parse(signed)
        if kind == "remapIdentity":
            prefix = identity["prefix"]
            if own.repository == prefix or own.repository.startswith(prefix + "/"):
                own = references.parse(identity["signedPrefix"] + str(own)[len(prefix):])
            kind = "matchRepoDigestOrExact"
        if kind == "matchRepository":
            return own.repository == given.repository
        if kind == "exactRepository":
            return references.parse(identity["dockerRepository"]).repository == given.repository
        if kind == "exactReference":
            return str(references.parse(identity["dockerReference"])) == str(given) and _has_tag(signed)
        if kind == "matchRepoDigestOrExact" and own.digest:
            return own.repository == given.repository
        return str(own) == str(given) and _has_tag(signed)
    except ValueError:
        return False


def _has_tag(name: str) -> bool:
    """Whether a name says a tag or digest itself: cosign signs repositories, which are the latest of nothing."""
    return ":" in name.rpartition("/")[2]
