# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published escapes of container engines that no test of this folder tries again, and why."""

from __future__ import annotations

ELSEWHERE = {
    "CVE-2020-5291": "Bubblewrap installed set-user-ID. Nothing of this engine is set-user-ID.",
    "CVE-2020-15157": "Credentials sent to the host of a foreign layer's URL. Applies to pulls: tested with the registry client, in "
                      "`tests/integration/registry` and `tests/unit/registry`; foreign layers are not fetched.",
    "CVE-2024-41110": "An authorization plugin saw an empty request. There is no daemon and no API.",
    "CVE-2024-24557": "Cache of a classic image builder poisoned. Applies when images are built.",
    "CVE-2024-23652": "A mount point's stub removed on the host when a build step ends. Applies when images are built; a container's mount "
                      "points are in its own layer and stay.",
    "CVE-2024-23653": "A build step with more rights than allowed. Applies when images are built.",
    "CVE-2024-9407": "Bind propagation injected into a build step's mount. Applies when images are built.",
    "CVE-2024-11218": "Race of parallel build steps. Applies when images are built.",
    "CVE-2024-29018":
        "Names resolved outwards from an internal network. See the tests of names: who is on internal networks alone is told none.",
    "CVE-2025-54388": "Published ports exposed after firewalld reloads. See the tests of networks and of their nftables table.",
}
"""Advisory, or mechanism, to the reason."""
