# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is attached to an image: signatures, software bills of materials, reports; at a registry or in a layout.

Source: distribution-spec 1.1, Listing Referrers, Referrers Tag Schema.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

from ..errors import EngineError
from ..store import blobs
from . import archives, manifests

LARGEST = 64 << 20
"""The largest attached document that is read, in bytes."""


class Attached:
    """Where attached documents are looked for; this one has none."""

    def tagged(self, _tag: str) -> Optional[bytes]:
        """The manifest with a tag in the same repository, or C(None)."""
        return None

    def referrers(self, _digest: str) -> List[Dict[str, Any]]:
        """Descriptors of the manifests that refer to one."""
        return []

    def document(self, described: Dict[str, Any]) -> bytes:
        """A manifest that a descriptor points to, its digest verified."""
        return self.blob(described)

    def blob(self, _described: Dict[str, Any]) -> bytes:
        """A blob that a descriptor points to, its digest verified."""
        raise KeyError("there is none")


class InLayout(Attached):
    """What an OCI image layout holds besides the image, as C(cosign save) and C(skopeo copy --all) write it."""

    def __init__(self, archive: archives.Archive) -> None:
        self._archive = archive
        try:
            index = manifests.document(archive.read("index.json"), archive.path)
        except EngineError:
            index = {}
        self._entries = [each for each in index.get("manifests") or [] if isinstance(each, dict)]

    def tagged(self, tag: str) -> Optional[bytes]:
        """By the name in the index: the tag alone, or a whole name with this tag."""
        for each in self._entries:
            name = str((each.get("annotations") or {}).get(manifests.REFERENCE_ANNOTATION, ""))
            if name == tag or name.endswith(":" + tag):
                return self.document(each)
        return None

    def referrers(self, digest: str) -> List[Dict[str, Any]]:
        """Those of the index's manifests whose subject it is."""
        found = []
        for each in self._entries:
            try:
                value = json.loads(self.document(each))
                if (value.get("subject") or {}).get("digest") == digest:
                    kind = value.get("artifactType") or (value.get("config") or {}).get("mediaType", "")
                    found.append(dict(each, artifactType=kind, annotations=value.get("annotations") or {}))
            except (EngineError, ValueError, AttributeError):
                continue
        return found

    def blob(self, described: Dict[str, Any]) -> bytes:
        """From the layout's blobs."""
        checked = manifests.descriptor(described, self._archive.path)
        path = "blobs/%s/%s" % blobs.split(checked.digest)
        content = self._archive.read(path)
        blobs.verify(content, checked.digest, "%s: %s" % (self._archive.path, path))
        return content


class AtRegistry(Attached):
    """What a registry has in the image's repository."""

    def __init__(self, repository: Any) -> None:
        self._repository = repository

    def tagged(self, tag: str) -> Optional[bytes]:
        """One request."""
        from ..errors import NotFound  # pylint: disable=import-outside-toplevel
        try:
            return bytes(self._repository.manifest(tag).content)
        except NotFound:
            return None

    def referrers(self, digest: str) -> List[Dict[str, Any]]:
        """By the referrers API, or by the tag that stands in for it."""
        from ..registry import listing  # pylint: disable=import-outside-toplevel
        return listing.referrers(self._repository, digest)

    def document(self, described: Dict[str, Any]) -> bytes:
        """By digest."""
        checked = manifests.descriptor(described, self._repository.name)
        return bytes(self._repository.manifest(checked.digest).content)

    def blob(self, described: Dict[str, Any]) -> bytes:
        """By digest."""
        checked = manifests.descriptor(described, self._repository.name)
        if checked.size > LARGEST:
            raise ValueError("%d bytes are too many" % checked.size)
        answer = self._repository.blob(checked.digest)
        content = bytes(answer.read(LARGEST + 1))
        blobs.verify(content, checked.digest, "%s: blob %s" % (self._repository.name, checked.digest))
        return content
