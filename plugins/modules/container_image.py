#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Import, name and remove container images
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Brings an image into the host's store from an OCI image layout, an archive of one, an archive that C(docker save) has
    written, or a root file system; gives it further names; removes it.
  - The store is an OCI image layout itself, content by digest. Each layer is also made mountable, once, by its diff ID,
    and shared by all images that have it.
  - The digests of manifest, config, layers and their plain content are verified while they are read. When one is wrong,
    the store stays as it was.
  - What an image is called is one file per name; which layers are shared, and what nothing uses any more, is derived
    from all names and containers each time.
options:
  name:
    description:
      - The image's name, as C([HOST[:PORT]/]PATH[:TAG][@DIGEST]). Without a host it belongs to C(docker.io), without a
        tag it is C(latest), as in Docker.
      - With O(state=tagged), O(state=absent), or O(state=present) without O(source), also an image ID, such as
        V(sha256:4bcff63911fc).
    type: str
    required: true
    aliases: [reference]
  state:
    description:
      - V(present) is an image of this name with the content of O(source). Without O(source) it must be in the store
        already; layers of it that were lost are then made anew from their blobs.
      - V(tagged) is an image in the store that has the names O(tags) too.
      - V(absent) is no such name. Content goes with it that no other name and no container uses. With an image ID, all
        names of the image go.
    type: str
    choices: [present, absent, tagged]
    default: present
  source:
    description:
      - Absolute path on the managed host of the folder or file that holds the image.
      - Archives and tarballs may be plain or compressed with gzip, bzip2, xz or zstd, as their first bytes tell. zstd
        needs the library libzstd, which nearly every host has.
      - Compared by content; read back from what the name points to. For layouts and archives the digest of the manifest
        is compared, for archives of C(docker save) that of the config, for root file systems that of the files or of
        the tarball. A folder in which nothing has changed since the import is not read again.
      - When the content differs, the name is moved to the new image. Containers keep the one that they were made from.
    type: path
  source_type:
    description:
      - What O(source) is. V(oci) is a folder that is an OCI image layout, V(oci-archive) a tar of one, V(docker-archive)
        a tar as C(docker save) writes it, V(rootfs) the folder or tarball of a root file system.
      - V(auto) looks into it.
    type: str
    choices: [auto, oci, oci-archive, docker-archive, rootfs]
    default: auto
  source_reference:
    description:
      - Which image of O(source) is meant, where it holds several, as a name or a digest of a manifest.
      - When left out, it is the one called like O(name), or the only one. Among images for several platforms, the one for
        this host is taken.
    type: str
  digest:
    description:
      - The digest that the image must have, as C(sha256:) and 64 hexadecimal digits. It is that of the manifest or of
        the config (the image ID). For a root file system it is the diff ID of a folder or the digest of the tarball file.
      - When it has another, the task fails and nothing is changed.
    type: str
  tags:
    description:
      - Further names that shall point to the same image. A name that points elsewhere is moved.
      - Changed live; read back from the store.
    type: list
    elements: str
  layer_store:
    description:
      - In which form layers that are new to the store are made mountable. V(erofs) is one read-only file system image for
        each, which needs a kernel with EROFS, through a loop device before Linux 6.12. V(directory) is a folder tree.
      - V(auto) takes V(erofs) where mounting one works when tried, else V(directory).
      - Layers that are in the store already keep their form.
    type: str
    choices: [auto, erofs, directory]
    default: auto
  entrypoint:
    description:
      - For a root file system, the program and its first arguments that a container starts with.
      - Like the options below, it is a part of the image. When it differs from the present image's, the name is moved to a
        new image; the layers stay.
    type: list
    elements: str
  cmd:
    description:
      - For a root file system, the arguments that follow O(entrypoint), or the whole command without one.
    type: list
    elements: str
    aliases: [command]
  env:
    description:
      - For a root file system, the environment. Values must be strings; quote numbers and booleans.
    type: dict
  working_dir:
    description:
      - For a root file system, the folder that the program starts in.
    type: path
  user:
    description:
      - For a root file system, the user and group that the program runs as, as names or numbers, such as V(app),
        V(1000) or V(1000:1000).
    type: str
  exposed_ports:
    description:
      - For a root file system, the ports that the program listens on, such as V(8080), V(53/udp) or V(8000-8010/tcp).
    type: list
    elements: str
  labels:
    description:
      - For a root file system, the image's labels. Values must be strings.
    type: dict
  volumes:
    description:
      - For a root file system, folders that each container keeps apart from its other files.
    type: list
    elements: str
  stop_signal:
    description:
      - For a root file system, the signal that asks the program to end, such as V(SIGTERM).
    type: str
  created:
    description:
      - For a root file system, when it was made, as RFC 3339 writes it, such as V(2026-01-31T12:00:00Z).
      - When left out the image says nothing about it, so that the same files give the same image ID on every host.
    type: str
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
notes:
  - In check mode everything that would be imported is read and verified too, but nothing is written.
seealso:
  - module: coracle.containers.container_layer
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: An image from an archive that was copied to the host
  coracle.containers.container_image:
    name: registry.example.com/shop/web:1.4
    source: /srv/images/web-1.4.tar.zst
    digest: sha256:9d0b1a3e4c5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcdef

- name: One of several images of a layout
  coracle.containers.container_image:
    name: alpine:3.20
    source: /srv/images/layout
    source_reference: "3.20"

- name: An image from a root file system that debootstrap or mmdebstrap has made
  coracle.containers.container_image:
    name: web
    source: /srv/rootfs/web
    entrypoint: [/usr/bin/python3, -m, flask, run]
    cmd: [--host, 0.0.0.0, --port, "8080"]
    env:
      FLASK_APP: /srv/app.py
    working_dir: /srv
    user: www-data
    exposed_ports: ["8080"]
    labels:
      org.opencontainers.image.title: web

- name: A second name
  coracle.containers.container_image:
    name: web
    state: tagged
    tags: [web:stable]

- name: Remove an image and what nothing else uses
  coracle.containers.container_image:
    name: web:stable
    state: absent
"""

RETURN = r"""
changed:
  description: Whether anything was, or in check mode would be, changed.
  type: bool
  returned: always
actions:
  description: What was done, or in check mode would be, in this order.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description:
        - C(import) brings the image into the store or moves its name to another, C(mend) makes a lost layer anew, C(tag)
          gives a name, C(remove) removes one, C(delete) deletes a layer that nothing uses any more.
      type: str
    target:
      description: The name, or C(layer) and the diff ID.
      type: str
    disruption:
      description: C(live), or C(recreate) where the name moves to another image.
      type: str
    options:
      description: The options that differed.
      type: list
      elements: str
diff:
  description: With C(--diff), per option what was and what will be. Secrets are masked.
  returned: success, with C(--diff)
  type: dict
  contains:
    before:
      description: What was, by option.
      type: dict
      returned: always
    after:
      description: What will be, by option. Steps that set no option are listed as C(actions).
      type: dict
      returned: always
  sample: {"before": {"tags": ["web:stable"]}, "after": {"tags": ["web:stable", "web:testing"]}}
freed:
  description: Bytes of the blobs that were deleted.
  type: int
  returned: when O(state=absent) and changed
image:
  description: The image as it is after the task; in check mode as it is now.
  type: dict
  returned: always
  contains:
    exists:
      description: Whether there is such an image. All other keys are only there if so.
      type: bool
    id:
      description: The image ID, which is the digest of its config.
      type: str
    digest:
      description: The digest of its manifest.
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
    layers:
      description: Its layers, lowest first.
      type: list
      elements: dict
      contains:
        diff_id:
          description: The digest of the plain tar.
          type: str
        digest:
          description: The digest of the blob.
          type: str
        media_type:
          description: The blob's media type.
          type: str
        size:
          description: The blob's bytes.
          type: int
        form:
          description: C(erofs) or C(directory), or null where it cannot be mounted.
          type: str
        shared:
          description: Whether another image or a container uses it too.
          type: bool
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.image import OPTIONS


def main() -> None:
    run("image", OPTIONS, required_if=[("state", "tagged", ("tags",))])


if __name__ == "__main__":
    main()
