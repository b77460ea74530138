# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upper folder as a new layer, and as a new image on top of the one that it was mounted over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, Dict, Optional

from ..image import images, importing
from ..instance import Instance
from ..store import streams
from . import diff, layers


def commit(instance: Instance, upper: str, compression: str, wanted: str, epoch: Optional[int], base: Optional[str],
           name: Optional[str]) -> layers.Layer:
    """Store the changes as a layer.

    Args:
        upper: The upper folder.
        base: The image that lies below, or C(None).
        name: The complete name of the new image, or C(None) for a layer alone, which then stays until it is removed.

    Returns: The layer.
    """
    with ExitStack() as guards, importing.additions(instance) as added:
        layer = layers.ingest(instance, streams.encoded(diff.chunks(upper, epoch), compression), upper, wanted=wanted,
                              kept=name is None, noted=added, guards=guards)
        if name is not None and base is not None:
            image = images.need(instance, base)
            stack = list(image.layers) + [(layer.media_type, layer.blob, layer.blob_size)]
            importing.store_image(instance, added, config_on_top(image.config, layer.diff_id, epoch), stack, name)
    return layer


def config_on_top(config: Dict[str, Any], diff_id: str, epoch: Optional[int]) -> Dict[str, Any]:
    """A config with one more layer; nothing in it depends on when it is made, but for C(epoch)."""
    made = dict(config)
    made["rootfs"] = {"type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], diff_id]}
    entry = {"created_by": "commit"}  # type: Dict[str, Any]
    made.pop("created", None)
    if epoch is not None:
        made["created"] = entry["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    made["history"] = [*(config.get("history") or ()), entry]
    return made
