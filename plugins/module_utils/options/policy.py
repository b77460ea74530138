# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How policies between containers and networks are written; shared by all modules that have them."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from .. import values
from ..engine.plan import LIVE
from ..option import Option
from .ports import ip_address, ip_block

PEER_FORM = "any, host, an address or block, or container:NAME, network:NAME, label:KEY=VALUE (several with blanks between: all of them)"
PORT_FORM = "PORT[-PORT][/tcp|udp|sctp], such as 5432/tcp"
_PORT = re.compile(r"^(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?\Z")


def peer(value: Any) -> str:
    """Who is meant, in its one written form."""
    text = str(value).strip()
    if text in ("any", "host"):
        return text
    if re.match(r"^[0-9A-Fa-f.:]+(/\d+)?\Z", text) and not text.startswith(("container:", "network:", "label:")):
        if "/" in text:
            return ip_block(text)
        address = ip_address(text)
        return address + ("/128" if ":" in address else "/32")
    return " ".join(sorted({_term(term) for term in text.split()})) or _term("")


def _term(text: str) -> str:
    kind, _colon, rest = text.partition(":")
    if kind in ("container", "network"):
        return "%s:%s" % (kind, values.name(rest))
    if kind == "label" and re.match(r"^[^=\s]+(=\S*)?\Z", rest):
        return text
    raise ValueError("is nobody that a policy can name")


def member(value: Any) -> str:
    """A member of the network that declares the policy, in its one written form."""
    text = peer(value)
    if not text.startswith(("container:", "label:")) or "network:" in text:
        raise ValueError("does not name members")
    return text


def port(value: Any) -> str:
    """Ports and their protocol, written out."""
    match = _PORT.match(str(value).strip())
    if not match:
        raise ValueError("is no port")
    low, high = int(match.group(1)), int(match.group(2) or match.group(1))
    if not 1 <= low <= high <= 65535:
        raise ValueError("has a port that is not between 1 and 65535, or a range that ends before it begins")
    return "%s/%s" % (low if low == high else "%d-%d" % (low, high), match.group(3) or "tcp")


def rows(value: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The rules of one direction, in order.

    Raises:
        ValueError: One says neither or both of allow and deny, or can never apply.
    """
    found: List[Dict[str, Any]] = []
    for at, row in enumerate(value):
        if bool(row["allow"]) == bool(row["deny"]):
            raise ValueError("has rule %d, which must have one of allow and deny, and name somebody in it" % (at + 1))
        if row["ports"] == []:
            raise ValueError("has rule %d with an empty list of ports; leave it out for all ports" % (at + 1))
        row = {key: item for key, item in row.items() if item}
        for before, earlier in enumerate(found):
            if ("allow" in earlier) != ("allow" in row) and _covers(earlier, row):
                raise ValueError("has rule %d, which never applies: rule %d says the opposite of the same ports and peers, and the "
                                 "first that applies decides" % (at + 1, before + 1))
        found.append(row)
    return found


def _covers(earlier: Dict[str, Any], later: Dict[str, Any]) -> bool:
    """Whether all that a rule is about is decided by an earlier one."""
    peers, others = _peers(earlier), _peers(later)
    if earlier.get("except") or "any" not in peers and not set(others) <= set(peers):
        return False
    if earlier.get("members") and earlier.get("members") != later.get("members"):
        return False
    return "ports" not in earlier or "ports" in later and all(
        any(kind == of and low <= first and last <= high for of, low, high in map(span, earlier["ports"]))
        for kind, first, last in map(span, later["ports"]))


def _peers(row: Dict[str, Any]) -> List[str]:
    return list(row.get("allow") or row.get("deny") or ())


def span(text: str) -> Tuple[str, int, int]:
    """Protocol, first and last port of the written form."""
    ports, _slash, protocol = text.partition("/")
    low, _dash, high = ports.partition("-")
    return protocol, int(low), int(high or low)


def _policy(value: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    return {key: item for key, item in value.items() if item is not None}


def _direction(name: str, with_members: bool) -> Option:
    of = (
        Option("allow", type="list", elements="str", parse=peer, form=PEER_FORM),
        Option("deny", type="list", elements="str", parse=peer, form=PEER_FORM),
        Option("except", type="list", elements="str", parse=peer, form=PEER_FORM),
        Option("ports", type="list", elements="str", parse=port, form=PORT_FORM),
    )
    if with_members:
        of += (Option("members", type="list", elements="str", parse=member, form="container:NAME or label:KEY=VALUE"),)
    return Option(name, type="list", elements="dict", options=of, parse=rows, form="rules with allow or deny each")


POLICY = Option("policy", type="dict", options=(_direction("ingress", False), _direction("egress", False)), parse=_policy,
                form="rules in ingress and egress", disruption=LIVE, read_from="the nftables table")
"""Of one container or namespace."""
NETWORK_POLICY = POLICY._replace(options=(_direction("ingress", True), _direction("egress", True)))
"""Of all members of a network, or of some."""
