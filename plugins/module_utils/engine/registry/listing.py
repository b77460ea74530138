# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository lists: its tags, and what refers to a manifest.

Source: OCI distribution-spec 1.1, Content Discovery, Listing Referrers, Referrers Tag Schema.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

from ..errors import NotFound
from .client import RegistryError, Repository

_PAGES = 1000
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')
_LARGEST = 8 << 20


def tags(repository: Repository) -> List[str]:
    """All tags, over as many pages as there are.

    Raises:
        NotFound: There is no such repository.
    """
    found: List[str] = []
    path = "tags/list"
    for _page in range(_PAGES):
        answer = repository.request("GET", path, what="list of tags")
        value = _document(repository, answer.read(_LARGEST), "list of tags")
        found += [str(each) for each in value.get("tags") or ()]
        following = _NEXT.search(answer.headers.get("link", ""))
        if not following:
            break
        path = following.group(1)
    return sorted(found)


def referrers(repository: Repository, digest: str) -> List[Dict[str, Any]]:
    """Descriptors of the manifests whose subject is this one; of a registry without this interface, from the tag for it."""
    try:
        answer = repository.request("GET", "referrers/" + digest,
                                    {"Accept": "application/vnd.oci.image.index.v1+json"}, what="referrers of " + digest)
        content = answer.read(_LARGEST)
    except NotFound:
        try:
            content = repository.manifest(digest.replace(":", "-")).content
        except NotFound:
            return []
    value = _document(repository, content, "referrers of " + digest)
    return [each for each in value.get("manifests") or () if isinstance(each, dict)]


def _document(repository: Repository, content: bytes, what: str) -> Dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RegistryError("%s: %s is no JSON object" % (repository.name, what), "Is this a registry?")
    return value
