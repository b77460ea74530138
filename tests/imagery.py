# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers and images made by hand: by the standard library's tarfile, which the engine does not use."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

XATTRS = """python3 -c 'import os
for top, folders, files in os.walk("."):
    for name in sorted(folders + files) + ["."]:
        path = os.path.join(top, name)
        for key in sorted(os.listxattr(path, follow_symlinks=False)):
            if not key.startswith("trusted.overlay."): print(path, key, os.getxattr(path, key, follow_symlinks=False))
' | sort"""
"""A shell command that lists all extended attributes below the working folder, but for the overlay's own."""
FILE = "application/vnd.oci.image.layer.v1.tar"


def digest(content: bytes) -> str:
    """A sha256 digest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def member(name: str, content: Optional[bytes] = None, **attributes: Any) -> Tuple[tarfile.TarInfo, bytes]:
    """An entry: with content a file, with C(link), C(symlink) or C(device) that, else a folder.

    Args:
        name: With any characters.
        attributes: Of TarInfo; C(xattrs) for a mapping of names to text.
    """
    info = tarfile.TarInfo(name)
    info.mode = 0o644 if content is not None else 0o755
    info.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    for key in ("link", "symlink"):
        if key in attributes:
            info.type = tarfile.LNKTYPE if key == "link" else tarfile.SYMTYPE
            info.linkname = attributes.pop(key)
    if "device" in attributes:
        info.type = tarfile.CHRTYPE
        info.devmajor, info.devminor = attributes.pop("device")
    if attributes.pop("fifo", False):
        info.type = tarfile.FIFOTYPE
    for key, value in attributes.pop("xattrs", {}).items():
        info.pax_headers["SCHILY.xattr." + key] = value
    for key, value in attributes.items():
        setattr(info, key, value)
    info.size = len(content or b"") if info.type == tarfile.REGTYPE else 0
    return info, content or b""


def tar(*members: Tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A plain tar of these entries."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files(content: Dict[str, Union[bytes, None]]) -> bytes:
    """A plain tar of files and (C(None)) folders."""
    return tar(*(member(name, data) for name, data in content.items()))


class Image:
    """An image in memory.

    Args:
        layers: Plain tars, lowest first.
        packed: Whether the layers are stored as gzip.
        config: What containers start with.
    """

    def __init__(self, layers: Sequence[bytes], packed: bool = False, config: Optional[Dict[str, Any]] = None) -> None:
        self.plain = list(layers)
        self.diff_ids = [digest(layer) for layer in layers]
        self.stored = [gzip.compress(layer, mtime=0) if packed else layer for layer in layers]
        self.config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}).encode()
        self.id = digest(self.config)
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.id,
                       "size": len(self.config)},
            "layers": [{"mediaType": FILE + ("+gzip" if packed else ""), "digest": digest(layer), "size": len(layer)}
                       for layer in self.stored]}).encode()
        self.digest = digest(self.manifest)

    def blobs(self) -> Dict[str, bytes]:
        """All content by digest."""
        return {digest(each): each for each in [self.config, self.manifest, *self.stored]}


def layout(images: Dict[str, Image]) -> Dict[str, bytes]:
    """The files of an OCI image layout that holds images by name."""
    found = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps({
        "schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": image.digest,
             "size": len(image.manifest), "annotations": {"org.opencontainers.image.ref.name": name}}
            for name, image in images.items()]}).encode()}
    for image in images.values():
        for name, content in image.blobs().items():
            found["blobs/" + name.replace(":", "/")] = content
    return found


def docker(images: Dict[str, Image]) -> Dict[str, bytes]:
    """The files of an archive as C(docker save) writes it (before version 25)."""
    found: Dict[str, bytes] = {}
    listing: List[Dict[str, Any]] = []
    for name, image in images.items():
        config = image.id[7:] + ".json"
        found[config] = image.config
        names = []
        for at, layer in enumerate(image.plain):
            path = "%064x/layer.tar" % (at + int(image.id[7:20], 16))
            found[path] = layer
            names.append(path)
        listing.append({"Config": config, "RepoTags": [name], "Layers": names})
    found["manifest.json"] = json.dumps(listing).encode()
    return found


def write_folder(folder: Path, content: Dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_tar(path: Path, content: Dict[str, bytes], order: Optional[Iterable[str]] = None) -> Path:
    """Write files into a tar archive."""
    path.write_bytes(files({name: content[name] for name in order or content}))
    return path
