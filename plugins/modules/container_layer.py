#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage layers and overlays of them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_layer
short_description: Unpack layers, mount overlays of them, and turn changes into layers
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Stores a layer from its tarball, in a form that the kernel can mount, with whiteouts as image-spec defines them.
  - Mounts and unmounts overlays of named layers, read-only or with an upper folder that takes all writes.
  - Turns an upper folder back into a layer, as a tarball or in the store, and on request into a new image.
  - A layer is named by its diff ID, which is the digest of its plain tar. Nothing in a tarball can lead to a file outside of
    the layer, and its digests are verified while it is read.
  - What is mounted is read from the kernel's table of mounts. An overlay's source there is the chain ID of its layers.
options:
  state:
    description:
      - V(present) is a layer in the store, from O(source), that stays although no image uses it.
      - V(absent) is no such layer. It is an error if an image or a container uses it.
      - V(mounted) is an overlay at O(path) of exactly these layers with exactly this upper folder. An overlay of ours with
        others is replaced. Anything else that is mounted there is an error.
      - V(unmounted) is no overlay at O(path). Upper and work folder stay.
      - V(diff) is a tarball at O(dest) of what O(upper) changes.
      - V(committed) is a layer in the store of what O(upper) changes, and with O(commit_as) an image with it on top of
        O(image).
    type: str
    choices: [present, absent, mounted, unmounted, diff, committed]
    default: present
  source:
    description:
      - Absolute path on the managed host of the layer's tar, plain or compressed with gzip, bzip2, xz or zstd.
      - Used with O(state=present). It may be left out if a layer with O(diff_id) is in the store.
    type: path
  digest:
    description:
      - The digest that the file O(source) must have, as C(sha256:) and 64 hexadecimal digits.
    type: str
  diff_id:
    description:
      - The layer. With O(source) it is the digest that its plain tar must have; a layer that is in the store is then not
        read again.
      - Required with O(state=absent). Read back from the store.
    type: str
  layers:
    description:
      - The diff IDs of the layers to be mounted, lowest first. With O(state=mounted) exactly one of O(layers) and O(image)
        is required.
      - With O(state=present), the layers below. Where the tarball names a file without its folder, the folder's mode and
        owner are taken from them, and hard links to their files become copies.
      - Read back from the kernel's table of mounts. A change mounts anew.
    type: list
    elements: str
  image:
    description:
      - The name or ID of an image whose layers are to be mounted, or that O(upper) belongs to with O(commit_as).
    type: str
  path:
    description:
      - Where the overlay is mounted. Created if missing, and left in place.
    type: path
    aliases: [target]
  upper:
    description:
      - The folder that takes what is written to the overlay. Created if missing. Without it the overlay is read-only.
      - Required with O(state=diff) and O(state=committed). Unmount the overlay, or stop what writes to it, before.
      - Read back from the kernel's table of mounts. A change mounts anew.
    type: path
  work:
    description:
      - A folder of the kernel's own on the same file system as O(upper). Created if missing.
      - When left out it is the name of O(upper) with C(.work) behind it.
    type: path
  read_only:
    description:
      - Whether the overlay refuses writes although it has an upper folder. Read back from the kernel's table of mounts.
    type: bool
    default: false
  uidmap:
    description:
      - With O(state=mounted), by which user IDs the overlay shows the layers, as rows C(CONTAINER:HOST[:SIZE]), ID 0 of the
        container among them. What belongs to ID 0 in the layers belongs to V(100000) at O(path) with V(0:100000:65536). Nothing is
        copied or changed for it.
      - A new O(upper) belongs to the mapped ID 0; one that is there must do so, since it holds the IDs of the host.
      - Read back from the kernel's table of mounts, whose room limits it to some 180 characters together with O(gidmap). A change
        mounts anew.
    type: list
    elements: str
  gidmap:
    description:
      - The same of groups. By default O(uidmap), and the other way round.
    type: list
    elements: str
  dest:
    description:
      - The file that O(state=diff) writes, in a folder that exists. It is replaced at once or not at all.
    type: path
  compression:
    description:
      - How the tarball of O(state=diff) or the blob of O(state=committed) is compressed.
    type: str
    choices: [none, gzip]
    default: none
  source_date_epoch:
    description:
      - For O(state=diff) and O(state=committed), no file's time in the tarball is later than this, in seconds since the epoch.
      - With it, the same changes made at different times give the same diff ID.
    type: int
  commit_as:
    description:
      - The name of the image that O(state=committed) makes, with O(image) below and the new layer on top. A name that
        points elsewhere is moved.
    type: str
  layer_store:
    description:
      - In which form a new layer is made mountable, see the same option of M(coracle.containers.container_image).
    type: str
    choices: [auto, erofs, directory]
    default: auto
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
seealso:
  - module: coracle.containers.container_image
"""

EXAMPLES = r"""
- name: A layer from a tarball
  coracle.containers.container_layer:
    source: /srv/layers/base.tar.gz
    diff_id: sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1

- name: An image's files, to be read only
  coracle.containers.container_layer:
    state: mounted
    image: web
    path: /mnt/web

- name: The same with an upper folder, to be changed
  coracle.containers.container_layer:
    state: mounted
    image: web
    path: /mnt/web-edit
    upper: /srv/web-edit

- name: The files by the IDs that a user namespace has on the host
  coracle.containers.container_layer:
    state: mounted
    image: web
    path: /mnt/web-mapped
    uidmap: ["0:100000:65536"]

- name: Unmount it
  coracle.containers.container_layer:
    state: unmounted
    path: /mnt/web-edit

- name: What was changed, as a tarball
  coracle.containers.container_layer:
    state: diff
    upper: /srv/web-edit
    dest: /srv/web-edit.tar
    source_date_epoch: 1767225600

- name: What was changed, as a new image
  coracle.containers.container_layer:
    state: committed
    upper: /srv/web-edit
    image: web
    commit_as: web:edited
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
      description: C(unpack), C(delete), C(mount), C(unmount), C(write) or C(commit).
      type: str
    target:
      description: The layer, path or image.
      type: str
    disruption:
      description: C(live), or C(restart) where what is mounted goes away.
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
  sample: {"before": {"read_only": false}, "after": {"read_only": true}}
layer:
  description: The layer or the mount as it is after the task; in check mode as it is now.
  type: dict
  returned: always
  contains:
    exists:
      description: Whether the layer is in the store.
      type: bool
      returned: unless O(state) is V(mounted) or V(unmounted)
    diff_id:
      description: The layer's diff ID.
      type: str
      returned: unless O(state) is V(mounted) or V(unmounted)
    form:
      description: C(erofs) or C(directory).
      type: str
      returned: when the layer exists
    path:
      description: The layer's image file or folder; with O(state=mounted) and O(state=unmounted) where the overlay is.
      type: str
      returned: when the layer exists, or O(state) is V(mounted) or V(unmounted)
    digest:
      description: The digest of the layer's blob.
      type: str
      returned: when the layer exists
    media_type:
      description: The blob's media type.
      type: str
      returned: when the layer exists
    size:
      description: The blob's bytes.
      type: int
      returned: when the layer exists
    entries:
      description: How many files the tarball has.
      type: int
      returned: when the layer exists
    used_by:
      description: Images and containers that use the layer.
      type: list
      elements: str
      returned: when the layer exists
    mounted:
      description: Whether an overlay is mounted at O(path).
      type: bool
      returned: when O(state) is V(mounted) or V(unmounted)
    chain_id:
      description: The digest that names the stack of layers.
      type: str
      returned: when an overlay is mounted
    layers:
      description: The diff IDs of the layers, lowest first.
      type: list
      elements: str
      returned: when an overlay is mounted
    upper:
      description: The upper folder.
      type: str
      returned: when an overlay is mounted
    work:
      description: The work folder.
      type: str
      returned: when an overlay is mounted
    read_only:
      description: Whether the overlay refuses writes.
      type: bool
      returned: when an overlay is mounted
    image:
      description: The image that was made, with its C(id), C(digest) and C(references).
      type: dict
      returned: when O(commit_as) is given and the image exists
    dest:
      description: The tarball.
      type: str
      returned: when O(state=diff) and the tarball holds exactly these changes
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.layer import OPTIONS


def main() -> None:
    run("layer", OPTIONS, required_if=[
        ("state", "present", ("source", "diff_id"), True), ("state", "absent", ("diff_id",)),
        ("state", "mounted", ("path",)), ("state", "mounted", ("layers", "image"), True),
        ("state", "unmounted", ("path",)), ("state", "diff", ("upper", "dest")), ("state", "committed", ("upper",)),
    ], mutually_exclusive=[("layers", "image")])


if __name__ == "__main__":
    main()
