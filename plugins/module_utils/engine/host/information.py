# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(container_host_info) tells: what the host offers, what runs what, what takes room, which addresses are free."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, List, Mapping

from ..instance import Instance
from ..kernel import commands
from ..store import files
from . import features

_RUNTIMES = ("crun", "runc", "youki", "runsc", "kata-runtime")
_PARTS = ("blobs", "layers", "containers", "ingest", "engine")


def describe(instance: Instance, params: Mapping[str, Any]) -> Dict[str, Any]:
    """The host as plain values, for a result."""
    found = features.describe(instance)
    found["versions"] = versions(instance)
    found["disk"] = _allowed(disk, instance) if params["disk"] else None
    found["networks"] = _allowed(networks, instance)
    return found


def _allowed(look: Callable[[Instance], Any], instance: Instance) -> Any:
    """What a look at the instance's folders finds; C(None) for who may not look, since they are for root alone."""
    try:
        return look(instance)
    except PermissionError:
        return None


def versions(instance: Instance) -> Dict[str, Any]:
    """What runs what: the engine by its identity, the interpreter, the C library, and the runtimes that containers can be given."""
    current = instance.state("engine", "current")
    runtimes = {}
    for name in _RUNTIMES:
        program = commands.find(name)
        if program is not None:
            said = commands.run([program, "--version"]).stdout.decode("utf-8", "replace").splitlines()
            runtimes[name] = said[0].strip() if said else ""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        libc = None
    return {"engine": os.path.basename(os.path.realpath(current)) if os.path.islink(current) else None,
            "python": "%d.%d.%d" % sys.version_info[:3], "libc": libc, "runtimes": runtimes}


def disk(instance: Instance) -> Dict[str, int]:
    """Bytes on the disk by what they are for; what is mounted into a volume from elsewhere is not among them."""
    from ..volume import information, records  # pylint: disable=import-outside-toplevel
    used = {part: files.usage(instance.state(part)) for part in _PARTS}
    used["volumes"] = sum(information.on_disk(instance, record) for record in records.every(instance))
    used["total"] = sum(used.values())
    return used


def networks(instance: Instance) -> List[Dict[str, Any]]:
    """The networks with how many addresses of each subnet are free."""
    from ..network import addresses, leases  # pylint: disable=import-outside-toplevel
    from ..network import networks as known  # pylint: disable=import-outside-toplevel
    found = []
    for network in known.every(instance):
        taken = {address for lease in leases.of(instance, network.name) for address in lease.addresses}
        kept = {*network.gateways, *(address for _name, address in (*network.aux_addresses, *network.static_leases))}
        subnets = []
        for pool in network.pools:
            block = addresses.subnet(pool.subnet)
            part = addresses.subnet(pool.ip_range) if pool.ip_range else block
            room = min(part.last, block.last - 1) - max(part.base, block.base + 1) + 1
            gone = [address for address in taken | kept if address and (":" in address) == (":" in pool.subnet)
                    and addresses.contains(part, address)]
            subnets.append({"subnet": pool.subnet, "used": len([each for each in gone if each in taken]), "free": room - len(gone)})
        found.append({"name": network.name, "subnets": subnets})
    return found
