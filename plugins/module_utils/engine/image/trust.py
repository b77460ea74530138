# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an image may come into the store: decided after its manifest is known and before anything is unpacked."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from . import policy, signatures
from .attached import Attached


def demand(verify: Optional[Mapping[str, Any]], transport: str, place: str, name: str, digests: Sequence[str],
           attached: Attached) -> None:
    """Check an image against what a task demands.

    Args:
        verify: The option: C(keys), any of which must have signed it, and C(policy), a path; C(None) demands nothing.
        transport: As containers-policy.json(5) names it.
        place: For C(docker) the complete name, else the absolute path.
        name: The complete name of the image, for errors and identities.
        digests: Of the manifest, and of the index that it was found by, if so.
        attached: Where its signatures are.

    Raises:
        Corrupt: It is not trusted; says why.
        InvalidValue, NotFound, Unsupported: What is demanded cannot be understood or checked.
    """
    if verify is None:
        return
    if verify.get("keys"):
        keys = [signatures.Key(text, "verify.keys") for text in verify["keys"]]
        if not signatures.good(keys, digests, attached):
            raise signatures.refused(name, digests[0], "none of the %d keys has signed it" % len(keys) if len(keys) > 1 else
                                     "the key has not signed it")
    if verify.get("policy"):
        path = str(verify["policy"])
        for each in policy.demands(policy.read(path), transport, place):
            why = _unsatisfied(each, name, digests, attached)
            if why:
                raise signatures.refused(name, digests[0], "%s demands: %s" % (path, why))


def _unsatisfied(each: policy.Requirement, name: str, digests: Sequence[str], attached: Attached) -> str:
    """Why one requirement is not satisfied, or an empty text."""
    if policy.cannot(each):
        return policy.cannot(each)
    if each["type"] == policy.ACCEPT:
        return ""
    if each["type"] == policy.REJECT:
        return "nothing from there is accepted"
    try:
        texts = policy.keys(each)
    except ValueError as error:
        return str(error)
    found = signatures.good([signatures.Key(text, "verify.policy") for text in texts], digests, attached)
    if not found:
        return "a signature by its key"
    if not any(policy.identity_fits(each, name, signature.reference) for signature in found):
        return "a signature for this name, not for %s" % (
            ", ".join(sorted({"'%s'" % each.reference for each in found})))
    return ""
