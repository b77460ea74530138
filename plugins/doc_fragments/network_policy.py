# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """Who may speak with whom."""

    DOCUMENTATION = r"""
options:
  policy:
    description:
      - Who may speak with the members of the network.
      - Of the rules of a direction, the first that is about a peer and port decides. What none is about is denied where one of them
        allows something or the list is empty, else it is let through; as with Kubernetes' NetworkPolicy, what is not mentioned stays open.
      - Connections of the host itself to a container are let through unless a rule with C(deny) names V(host), V(any) or the host's
        address; connections to the host are judged like others, but for questions for names.
      - A member's own rules come before those of its network. Changed live; V({}) takes the rules away.
      - Connections that exist go on. Ports are the container's own, also where it is reached by a published port, and peers are
        known by their own addresses, from outside too.
    type: dict
    suboptions:
      ingress:
        description:
          - Rules for connections to the members.
        type: list
        elements: dict
        suboptions:
          allow:
            description:
              - Who may. Each is V(any), V(host), an address or block, or C(container:NAME), C(network:NAME), C(label:KEY=VALUE) or
                C(label:KEY); of several with blanks between, all have to hold. Who comes later is meant too.
            type: list
            elements: str
          deny:
            description:
              - Who may not, written likewise.
            type: list
            elements: str
          except:
            description:
              - Who is not meant although named.
            type: list
            elements: str
          ports:
            description:
              - Of the one that is spoken to, as V(5432), V(8000-8010/tcp), V(53/udp); the protocol is V(tcp), V(udp) or V(sctp). By
                default all protocols and ports.
            type: list
            elements: str
          members:
            description:
              - Whom of the network the rule is about, as C(container:NAME) or C(label:KEY=VALUE). By default all.
            type: list
            elements: str
      egress:
        description:
          - Rules for connections from the members.
        type: list
        elements: dict
        suboptions:
          allow:
            description:
              - Who may. Each is V(any), V(host), an address or block, or C(container:NAME), C(network:NAME), C(label:KEY=VALUE) or
                C(label:KEY); of several with blanks between, all have to hold. Who comes later is meant too.
            type: list
            elements: str
          deny:
            description:
              - Who may not, written likewise.
            type: list
            elements: str
          except:
            description:
              - Who is not meant although named.
            type: list
            elements: str
          ports:
            description:
              - Of the one that is spoken to, as V(5432), V(8000-8010/tcp), V(53/udp); the protocol is V(tcp), V(udp) or V(sctp). By
                default all protocols and ports.
            type: list
            elements: str
          members:
            description:
              - Whom of the network the rule is about, as C(container:NAME) or C(label:KEY=VALUE). By default all.
            type: list
            elements: str
"""
