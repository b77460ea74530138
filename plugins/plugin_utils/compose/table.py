# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all keys of the Compose specification."""

from __future__ import annotations

import re
from typing import Dict, Tuple

from . import shorts
from .kinds import OPTIONS, PAIRS, Listed, Mapping, Pairs
from .leaves import ANY, BOOL, PATH, TEXT, Kind, Row, Spec
from .service_keys import SERVICE

_EXTERNAL = Mapping("true, false, or a mapping with a name", short=shorts.short_external)
_CLUSTER = "is of Docker Swarm"
_FILE = "the content; the file is read on the controller"


def _content(part: str, short: str, name: str) -> Tuple[Row, ...]:
    """The rows of secrets and of configs."""
    return (
        Row(part, Mapping(), becomes="`%s`" % part),
        Row(part + ".*", Mapping(), becomes="a %s of the stack, if a service uses it" % short),
        Row(part + ".*.content", TEXT, becomes="the content"),
        Row(part + ".*.driver", TEXT, unsupported=_CLUSTER),
        Row(part + ".*.driver_opts", PAIRS, unsupported=_CLUSTER),
        Row(part + ".*.environment", TEXT, becomes="the content, from that variable of `environment` of the task"),
        Row(part + ".*.external", _EXTERNAL, becomes="whether it is there already"),
        Row(part + ".*.external.name", TEXT, becomes="its name"),
        Row(part + ".*.file", PATH, becomes=_FILE),
        Row(part + ".*.labels", PAIRS, unsupported="%ss have no labels yet" % short),
        Row(part + ".*.name", TEXT, becomes=name),
        Row(part + ".*.template_driver", TEXT, unsupported=_CLUSTER),
    )


PROJECT = (
    Row("", Mapping(), becomes="a stack"),
    Row("version", ANY, idle="is of former versions of the specification"),
    Row("name", TEXT, becomes="the stack's name, if the task says none"),
    Row("include", Listed("a list", short=shorts.short_include), becomes="the other project's keys"),
    Row("include[].path", Listed("a path, or a list of paths", shorts.LOCAL, single=True),
        becomes="files, the later ones merged into the first"),
    Row("include[].env_file", Listed("a path, or a list of paths", PATH, single=True),
        becomes="variables, by default from `.env` beside the file"),
    Row("include[].project_directory", PATH, becomes="where relative paths begin, by default beside the file"),
    Row("services", Mapping(), becomes="`services`"),
    Row("services.*", Mapping(), becomes="a service"),
)
OTHERS = (
    Row("networks", Mapping(), becomes="`networks`"),
    Row("networks.*", Mapping(), becomes="a network of the stack, if a service uses it; one named `default` is there in any case"),
    Row("networks.*.attachable", BOOL, idle=_CLUSTER),
    Row("networks.*.driver", TEXT, becomes="`driver`: `bridge`, `macvlan` or `ipvlan`"),
    Row("networks.*.driver_opts", OPTIONS, sets="driver_options"),
    Row("networks.*.enable_ipv4", BOOL, becomes="nothing, for `true`; a network without IPv4 is not supported"),
    Row("networks.*.enable_ipv6", BOOL, sets="ipv6"),
    Row("networks.*.external", _EXTERNAL, becomes="whether it is there already"),
    Row("networks.*.external.name", TEXT, becomes="its name"),
    Row("networks.*.internal", BOOL, sets="internal"),
    Row("networks.*.ipam", Mapping(), becomes="`subnets`"),
    Row("networks.*.ipam.driver", TEXT, becomes="`default` alone"),
    Row("networks.*.ipam.options", PAIRS, unsupported="there is one way to give addresses, without options"),
    Row("networks.*.ipam.config", Listed("a list", key=lambda row: row.get("subnet")), becomes="`subnets`"),
    Row("networks.*.ipam.config[].subnet", TEXT, becomes="`subnets[].subnet`"),
    Row("networks.*.ipam.config[].ip_range", TEXT, becomes="`subnets[].ip_range`"),
    Row("networks.*.ipam.config[].gateway", TEXT, becomes="`subnets[].gateway`"),
    Row("networks.*.ipam.config[].aux_addresses", Pairs(listed=False, types=(str,)), becomes="`subnets[].aux_addresses`"),
    Row("networks.*.labels", PAIRS, sets="labels"),
    Row("networks.*.name", TEXT, becomes="its name, by default `PROJECT_KEY`"),
    Row("volumes", Mapping(), becomes="`volumes`"),
    Row("volumes.*", Mapping(), becomes="a volume of the stack, if a service uses it"),
    Row("volumes.*.driver", TEXT, becomes="`driver`"),
    Row("volumes.*.driver_opts", OPTIONS, sets="driver_options"),
    Row("volumes.*.external", _EXTERNAL, becomes="whether it is there already"),
    Row("volumes.*.external.name", TEXT, becomes="its name"),
    Row("volumes.*.labels", PAIRS, sets="labels"),
    Row("volumes.*.name", TEXT, becomes="its name, by default `PROJECT_KEY`"),
    *_content("secrets", "secret", "that of `container_secret`, if it is external"),
    *_content("configs", "config", "nothing: its content is what counts"),
    Row("models", ANY, unsupported="are run by a service of Docker Desktop"),
)
ROWS = (*PROJECT, *SERVICE, *OTHERS)
"""The table."""


def _tree() -> Spec:
    specs: Dict[str, Spec] = {}
    for row in ROWS:
        made = specs[row.path] = Spec(row)
        if not row.path:
            continue
        match = re.match(r"^(.*?)(\[\])?(?:^|\.)?([^.\[\]]+)\Z", row.path)
        if match is None:
            continue
        above = specs[match.group(1)]
        if match.group(2):
            if above.item is None:
                above.item = Spec(Row(match.group(1) + "[]", _ENTRY))
            above = above.item
        if match.group(3) == "*":
            above.any = made
        else:
            above.children[match.group(3)] = made
    return specs[""]


_ENTRY: Kind = Mapping()
ROOT = _tree()
"""The rows as they lie below one another."""
