#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image_info
short_description: Says which images a host has, what is in them, and what they take of the disk
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Reports the images of the host's store with all their names, digests, configs and layers, and for each how much of the
    disk it takes alone and together with others.
  - Changes nothing.
options:
  name:
    description:
      - Names or IDs of the images that are asked for; those that are not in the store are left out of the result.
      - When left out, all images.
    type: list
    elements: str
    aliases: [reference]
  registry:
    description:
      - Whether the registries are asked what each of O(name) means there, whether the store has it or not. See RV(registry).
      - With O(registry_tags), O(referrers) and O(fetch) that is told there as well.
    type: bool
    default: false
  platform:
    description:
      - With O(registry), the platform whose image is described, such as V(linux/arm64/v8) or V(arm64). When left out it is the
        host's own.
    type: str
  referrers:
    description:
      - Whether the registries of the images' names are asked what refers to them, such as software bills of materials,
        vulnerability reports and signatures; by the referrers interface, or by the tag that stands in for it.
    type: bool
    default: false
  fetch:
    description:
      - Artifact types whose documents are fetched, such as V(application/spdx+json). Implies O(referrers).
    type: list
    elements: str
  registry_tags:
    description:
      - Whether the registries of the images' names are asked for all tags of their repositories.
    type: bool
    default: false
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
  - coracle.containers.registry
attributes:
  diff_mode:
    support: N/A
    description: This module does not change anything.
seealso:
  - module: coracle.containers.container_image
  - module: coracle.containers.container_prune
"""

EXAMPLES = r"""
- name: All images
  coracle.containers.container_image_info:
  register: found

- name: What removing each would free
  ansible.builtin.debug:
    msg: "{{ item.references | first }}: {{ item.disk.unique }} bytes"
  loop: "{{ found.images }}"

- name: What the image is made of, as its builder has attached it
  coracle.containers.container_image_info:
    name: [registry.example.com/shop/web:1.4]
    fetch: [application/spdx+json]
  register: found

- name: What a name means at its registry, and which tags there are, without pulling anything
  coracle.containers.container_image_info:
    name: [registry.example.com/shop/web:1.5]
    registry: true
    registry_tags: true
  register: found

- name: One image
  coracle.containers.container_image_info:
    name: [registry.example.com/shop/web:1.4]
"""

RETURN = r"""
images:
  description: The images, each once whatever names it has.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The image ID, which is the digest of its config.
      type: str
    digest:
      description: The digest of its manifest.
      type: str
    media_type:
      description: The media type of its manifest.
      type: str
    references:
      description: All its names, complete.
      type: list
      elements: str
    size:
      description: Bytes of its blobs as stored.
      type: int
    created:
      description: When it was made, if its config says so.
      type: str
    architecture:
      description: The processor architecture that it is for.
      type: str
    os:
      description: The operating system that it is for.
      type: str
    config:
      description: What containers of it start with, in the words of image-spec, such as C(Entrypoint), C(Cmd), C(Env).
      type: dict
    document:
      description: The whole config, with its history.
      type: dict
    layers:
      description: Its layers, lowest first, as M(coracle.containers.container_image) returns them.
      type: list
      elements: dict
    containers:
      description: Names of the containers that were made from it.
      type: list
      elements: str
    disk:
      description: >-
        Bytes on the disk, of blobs and of what is mounted. C(unique) is what removing the image would free, C(shared) what other
        images or containers use too.
      type: dict
      sample: {"unique": 7340032, "shared": 31457280}
    referrers:
      description: With O(referrers) or O(fetch), what refers to it at its registries.
      type: list
      elements: dict
      contains:
        repository:
          description: Where it is.
          type: str
        subject:
          description: The digest that it refers to, of the image or of the index that names it.
          type: str
        digest:
          description: The digest of its manifest.
          type: str
        artifact_type:
          description: What it is.
          type: str
        size:
          description: Bytes of its manifest.
          type: int
        annotations:
          description: What it says of itself.
          type: dict
        documents:
          description: For types in O(fetch), its documents, each with C(media_type), C(digest), and C(content), parsed where it
            is JSON.
          type: list
          elements: dict
    registry_tags:
      description: With O(registry_tags), the tags by repository.
      type: dict
registry:
  description: With O(registry), what each of O(name) means at its registry.
  returned: with O(registry)
  type: list
  elements: dict
  contains:
    name:
      description: The complete name.
      type: str
    exists:
      description: Whether the registry has it. Of the other keys only C(tags) is there if not.
      type: bool
    present:
      description: Whether the store has this very image.
      type: bool
    digest:
      description: The digest that the name has there; of the index, where the image is for several platforms.
      type: str
    manifest_digest:
      description: The digest of the manifest for the platform.
      type: str
    media_type:
      description: The media type of that manifest.
      type: str
    platforms:
      description: The platforms that the index has images for; empty where the name means a single image.
      type: list
      elements: str
    id:
      description: The image ID, which is the digest of its config.
      type: str
    created:
      description: When it was made, if its config says so.
      type: str
    architecture:
      description: The processor architecture that it is for.
      type: str
    os:
      description: The operating system that it is for.
      type: str
    config:
      description: What containers of it start with.
      type: dict
    size:
      description: Bytes of its blobs.
      type: int
    layers:
      description: Its layers, lowest first, each with C(diff_id), C(digest), C(media_type) and C(size).
      type: list
      elements: dict
    tags:
      description: With O(registry_tags), all tags of the repository.
      type: list
      elements: str
    referrers:
      description: With O(referrers) or O(fetch), what refers to it, as in RV(images[].referrers).
      type: list
      elements: dict
"""

from ansible_collections.coracle.containers.plugins.module_utils.information import run
from ansible_collections.coracle.containers.plugins.module_utils.options.image_info import OPTIONS


def main() -> None:
    run("", "image.information", OPTIONS)


if __name__ == "__main__":
    main()
