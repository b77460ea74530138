#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what is not needed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_prune
short_description: Remove containers that have ended, volumes, networks, images and layers that nothing uses, and what downloads have left
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Removes what nobody needs any more. What a container, a name of an image or a pull that is under way needs is never
    removed, nor are layers that M(coracle.containers.container_layer) was told to keep.
  - In check mode, and with C(--diff), each thing that would go is listed with its bytes on the disk.
  - Nothing is removed that is not asked for; without any of O(containers), O(volumes), O(networks), O(images), O(layers) and
    O(parts) nothing happens.
options:
  containers:
    description:
      - Whether containers go that have ended or were never started, with what they wrote and their logs. Their volumes stay, but for O(volumes).
    type: bool
    aliases: [container]
    default: false
  containers_filters:
    description: Which of them go; all that fit all filters.
    type: dict
    aliases: [container_filters]
    suboptions:
      until:
        description: Only those created at least so long ago, such as V(24h).
        type: str
      labels:
        description: Only those that have all these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
        aliases: [label]
      without_labels:
        description: Only those that have none of these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
  images:
    description:
      - Whether images go that no container uses, and the content that only they use. By default, as in Docker, only
        those without a name, such as the former image of a name that has moved.
    type: bool
    aliases: [image]
    default: false
  images_filters:
    description: Which of them go; all that fit all filters.
    type: dict
    aliases: [image_filters]
    suboptions:
      dangling:
        description: Whether only images without a name go. With V(false), images with a name go too.
        type: bool
        default: true
      until:
        description: Only names given at least so long ago in this store, such as V(72h). Those without a name go at any age.
        type: str
      labels:
        description: Only those that have all these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
        aliases: [label]
      without_labels:
        description: Only those that have none of these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
  volumes:
    description:
      - Whether volumes go that no container mentions, with their content. By default, as in Docker, only those that have no name of their
        own, such as those that only a container's image declares.
    type: bool
    aliases: [volume]
    default: false
  volumes_filters:
    description: Which of them go; all that fit all filters.
    type: dict
    aliases: [volume_filters]
    suboptions:
      all:
        description: Whether those with a name go too. What another machine holds is only unmounted.
        type: bool
        default: false
      until:
        description: Only those made at least so long ago, such as V(72h).
        type: str
      labels:
        description: Only those that have all these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
        aliases: [label]
      without_labels:
        description: Only those that have none of these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
  networks:
    description:
      - Whether networks go that have no member and that no container mentions.
    type: bool
    aliases: [network]
    default: false
  networks_filters:
    description: Which of them go; all that fit all filters.
    type: dict
    aliases: [network_filters]
    suboptions:
      until:
        description: Only those last declared or changed at least so long ago, such as V(72h).
        type: str
      labels:
        description: Only those that have all these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
        aliases: [label]
      without_labels:
        description: Only those that have none of these labels, each as C(NAME) or C(NAME=VALUE).
        type: list
        elements: str
  layers:
    description:
      - Whether layers and blobs go that no image, container or pull uses, and what interrupted imports have left.
    type: bool
    default: false
  parts:
    description:
      - Whether parts of broken off downloads go, which a later pull would go on with. Where this is V(false), they go
        after 7 days with whatever else is removed.
    type: bool
    default: false
  parts_filters:
    description: Which of them go.
    type: dict
    suboptions:
      until:
        description: Only those that have not grown for so long, such as V(1h).
        type: str
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
seealso:
  - module: coracle.containers.container_image
  - module: coracle.containers.container_image_info
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: What would go, and how much room that would make
  coracle.containers.container_prune:
    containers: true
    images: true
    images_filters:
      dangling: false
  check_mode: true
  diff: true

- name: Tidy up each night
  coracle.containers.container_prune:
    containers: true
    containers_filters:
      until: 24h
      without_labels: [keep]
    images: true
    images_filters:
      dangling: false
      until: 168h
    volumes: true
    volumes_filters:
      until: 24h
    networks: true
    parts: true
    parts_filters:
      until: 24h
"""

RETURN = r"""
changed:
  description: Whether anything was, or in check mode would be, removed.
  type: bool
  returned: always
actions:
  description: What was removed, or in check mode would be, in this order.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: C(remove) for containers, volumes, networks and names of images, C(delete) for content.
      type: str
    target:
      description: C(container), C(volume), C(network), C(image), C(layer), C(blob) or C(part), and its name.
      type: str
    disruption:
      description: C(recreate) for containers and volumes, else C(live).
      type: str
    options:
      description: The target again.
      type: list
      elements: str
diff:
  description: With C(--diff), each thing that goes, with its bytes on the disk where it has some of its own.
  returned: success, with C(--diff)
  type: dict
  contains:
    before:
      description: Bytes by target.
      type: dict
      returned: always
    after:
      description: Null by target.
      type: dict
      returned: always
  sample: {"before": {"layer sha256:4bcff63911fc": 7340032}, "after": {"layer sha256:4bcff63911fc": null}}
freed:
  description: Bytes on the disk that were, or in check mode would be, freed.
  type: int
  returned: when changed
prune:
  description: What could go with these options, after the task; in check mode as it is now.
  type: dict
  returned: always
  contains:
    containers:
      description: Names of containers.
      type: list
      elements: str
    volumes:
      description: Names of volumes.
      type: list
      elements: str
    networks:
      description: Names of networks.
      type: list
      elements: str
    images:
      description: Complete names of images.
      type: list
      elements: str
    layers:
      description: Diff IDs.
      type: list
      elements: str
    blobs:
      description: Digests.
      type: list
      elements: str
    parts:
      description: Files of broken off imports and downloads.
      type: list
      elements: str
    size:
      description: Bytes of all that on the disk.
      type: int
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.prune import OPTIONS


def main() -> None:
    run("prune", OPTIONS)


if __name__ == "__main__":
    main()
