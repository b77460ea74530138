# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a task does not insist on: the container that is there keeps its own values of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..errors import Corrupt
from ..image import images
from ..instance import Instance
from . import records

IGNORE = "ignore"
MORE = "allow_more_present"


class Kept(NamedTuple):
    """What the container that is there may keep.

    Attributes:
        options: Its own; empty where there is none, or it is to be replaced in any case.
        how: The comparison of each option, as C(comparisons) says; C(*) for all others.
        image: The ID of its image where that is to stay and still is in the store.
        reference: What that was asked for as.
    """

    options: Mapping[str, Any] = {}
    how: Mapping[str, str] = {}
    image: Optional[str] = None
    reference: str = ""


def kept(instance: Instance, params: Mapping[str, Any]) -> Kept:
    """What a task lets the container keep; reads only."""
    how = params["comparisons"] or {}
    if not how or params["recreate"]:
        return Kept()
    try:
        record = records.read(instance, records.current(instance, params["name"]))
    except Corrupt:
        record = None  # what looks at the container says so
    if record is None:
        return Kept()
    stays = _of(how, "image") == IGNORE and images.find(instance, record.image_id) is not None
    return Kept(record.options, how, record.image_id if stays else None, record.image)


def apply(full: Dict[str, Any], mine: Kept) -> Dict[str, Any]:
    """The options that are asked for, the container's own in place of those that it may keep."""
    if mine.image and "image" in full:
        full["image"] = mine.reference
    for name in full if mine.how else ():
        how, own = _of(mine.how, name), mine.options.get(name)
        if name != "image" and name in mine.options and (how == IGNORE or how == MORE and _more(own, full[name])):
            full[name] = own
    return full


def _of(how: Mapping[str, str], name: str) -> str:
    return how.get(name) or how.get("*") or "strict"


def _more(own: Any, wanted: Any) -> bool:
    """Whether the container's own value has all that is wanted, and perhaps more."""
    if isinstance(own, dict) and isinstance(wanted, dict):
        return all(key in own and own[key] == value for key, value in wanted.items())
    if not isinstance(own, list) or not isinstance(wanted, list):
        return bool(own == wanted)
    left: List[Any] = list(own)
    for each in wanted:
        if each not in left:
            return False
        left.remove(each)
    return True
