# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a layer says that something below it is gone: in tar, in overlayfs, and from one to the other.

Sources: image-spec, layer.md, "Whiteouts"; kernel, filesystems/overlayfs.rst,
"whiteouts and opaque directories".
"""

from __future__ import annotations

import stat
from typing import Tuple

PREFIX = b".wh."
OPAQUE = b".wh..wh..opq"
OPAQUE_XATTR = b"trusted.overlay.opaque"
OVERLAY_XATTRS = (b"trusted.overlay.", b"user.overlay.")
"""Names that only overlayfs may give meaning to; an image must not bring them."""
OWN_XATTRS = b"trusted.coracle."
"""What this engine notes on folders outside of the store."""
RESERVED = b".wh..wh."
"""What other names aufs kept for itself, such as C(.wh..wh.plnk); they name no file of the container."""

NONE, REMOVES, EMPTIES, IGNORED = "none", "removes", "empties", "ignored"


def classify(name: bytes) -> Tuple[str, bytes]:
    """What the last part of a name in a layer's tar means.

    Returns: C(removes) and the name that is hidden; C(empties) where the folder hides all that lies
        below it; C(ignored); or C(none).

    Raises:
        ValueError: It is a whiteout that names nothing, or a folder.
    """
    if not name.startswith(PREFIX):
        return NONE, name
    if name == OPAQUE:
        return EMPTIES, b""
    if name.startswith(RESERVED):
        return IGNORED, b""
    hidden = name[len(PREFIX):]
    if hidden in (b"", b".", b".."):
        raise ValueError("is a whiteout that names nothing")
    return REMOVES, hidden


def is_whiteout(mode: int, device: int) -> bool:
    """Whether overlayfs takes an inode for a whiteout: a character device 0:0."""
    return stat.S_ISCHR(mode) and device == 0


def allowed_xattr(name: bytes) -> bool:
    """Whether an image may set this extended attribute on a file.

    C(trusted.overlay.*) would steer the overlay itself; C(security.selinux) and
    C(security.ima) belong to the host; C(system.nfs4_acl) cannot be set.
    """
    if name.startswith((*OVERLAY_XATTRS, OWN_XATTRS)):
        return False
    return name not in (b"security.selinux", b"security.ima", b"security.evm", b"system.nfs4_acl", b"")
