# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An overlay's upper folder as a layer's tar: what was added and changed, and whiteouts for what was deleted.

Whiteouts of overlayfs become those of the image-spec (layer.md, "Whiteouts");
what overlayfs notes in xattrs for itself stays behind.
"""

from __future__ import annotations

import hashlib
import os
from typing import Iterator, List, Optional

from ..errors import NotFound, Unsupported
from ..store import files, streams
from . import pack, whiteouts

_REDIRECT = "trusted.overlay.redirect"
_METACOPY = "trusted.overlay.metacopy"


def chunks(upper: str, epoch: Optional[int] = None) -> Iterator[bytes]:
    """The tar stream; the same changes give the same bytes.

    Args:
        upper: The folder.
        epoch: No file's time is later than this (SOURCE_DATE_EPOCH); seconds since the epoch.

    Raises:
        NotFound: There is no such folder.
        Unsupported: It holds renamed folders or files without content, which only make sense above their layers.
    """
    if not os.path.isdir(upper):
        raise NotFound("upper folder %s does not exist" % upper, "Mount an overlay with it first")
    return pack.pack(upper, epoch, _turn, _after, whiteouts.allowed_xattr)


def diff_id(upper: str, epoch: Optional[int] = None) -> str:
    """The digest of the tar stream."""
    found = hashlib.sha256()
    for chunk in chunks(upper, epoch):
        found.update(chunk)
    return "sha256:" + found.hexdigest()


def write(upper: str, dest: str, compression: str, epoch: Optional[int] = None) -> None:
    """Write the tar stream to a file, atomically.

    Args:
        compression: C(none) or C(gzip); gzip without a time and a name, so that it is the same each time.
    """
    files.write_chunks(dest, streams.encoded(chunks(upper, epoch), compression))


def _turn(item: pack.Item) -> Optional[bytes]:
    if whiteouts.is_whiteout(item.status.st_mode, item.status.st_rdev):
        return item.name[:len(item.name) - len(item.leaf)] + whiteouts.PREFIX + item.leaf
    return None


def _after(item: pack.Item) -> List[bytes]:
    path = "/proc/self/fd/%d/%s" % (item.folder, os.fsdecode(item.leaf))
    names = os.listxattr(path, follow_symlinks=False)
    for name in (_REDIRECT, _METACOPY):
        if name in names:
            raise Unsupported("%s below the upper folder has the xattr %s" % (os.fsdecode(item.name), name),
                              "Mount the overlay with redirect_dir=off and metacopy=off")
    opaque = os.fsdecode(whiteouts.OPAQUE_XATTR)
    if opaque in names and os.getxattr(path, opaque, follow_symlinks=False) == b"y":
        return [item.name + b"/" + whiteouts.OPAQUE if item.name else whiteouts.OPAQUE]
    return []
