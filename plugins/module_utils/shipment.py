# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module carries to the managed host besides what it imports itself.

Ansible ships the files that it finds by following import statements. The engine
installs itself as a whole from whichever module comes first, so each must carry
all of it: the function below names every file and is never called.
"""

from __future__ import annotations


def everything() -> None:
    """Name every file of the engine; a unit test compares this list with the folder."""
    # pylint: disable=import-outside-toplevel,unused-import
    from .engine import errors, instance, plan  # noqa: F401
    from .engine.cgroup import (  # noqa: F401
        checks, devices, entry, explain, freezer, group, hierarchy, limits, render, request, resource, support, usage, v1,
        v2, weights, write)
    from .engine.cli import containers, main  # noqa: F401
    from .engine.cli import arguments, oci, oci_attend, oci_control, oci_exec, oci_info, oci_life  # noqa: F401
    from .engine.cli import host as _host  # noqa: F401
    from .engine.container import (  # noqa: F401
        bundle, client, desired, keeper, lifecycle, logs, monitor, planning, records as _records, restart, secrets, userns,
        sockets, steps, wiring)
    from .engine.container import observe as _observe, resource as _resource  # noqa: F401
    from .engine.host import features, reset  # noqa: F401
    from .engine.kernel import bpf, cgroupfs  # noqa: F401
    from .engine.kernel import mounts, namespaces, paths, processes, syscalls  # noqa: F401
    from .engine.kernel import commands, netlink, nftables, rtnetlink  # noqa: F401
    from .engine.netns import resource as netns_resource  # noqa: F401
    from .engine.network import (  # noqa: F401
        addresses, attach, documents, ends, firewall, hosts, leases, listeners, namespace, networks, observe, publish,
        records, spec, sysctls, turns)
    from .engine.kernel import capabilities, clone, seccomp, syscall_numbers  # noqa: F401
    from .engine.runtime import exec as _exec  # noqa: F401
    from .engine.runtime import (  # noqa: F401
        cgroup_mount, checks, child, console, create, delete, devices, hooks, identity, init, isolation, kill, labels,
        launch, masks, memory, mount_options, parameters, record, report, rootfs, seal, seccomp_default, spec, start, state,
        syscall_filter, users)
    from .engine.image import (  # noqa: F401
        archives, choosing, garbage, images, importing, manifests, references, resource as image_resource)
    from .engine.image import rootfs as _rootfs  # noqa: F401
    from .engine.kernel import erofs, loop  # noqa: F401
    from .engine.layer import (  # noqa: F401
        below, commit, diff, forms, layers, overlay, pack, resource as layer_resource, tarstream, tree, unpack,
        whiteouts)
    from .engine.store import blobs, files, locks, notes, streams  # noqa: F401
