#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy files into a container, or out of it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_copy
short_description: Copy files and trees into a container, or out of it
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Copies a file, a link or a tree into a container, from the controller (O(src)), from the managed host (O(path)) or from a text (O(content)),
    or out of a container to the managed host (O(from_container)). Nothing in the image is needed for it.
  - What is there already is compared by content, mode and owner, and only what differs is written. What is at the other end and not at this one
    stays.
  - Works on containers that run, are paused or do not run. In those that run, its mounts are seen as it sees them; for one that does not, its
    layers, binds and volumes are mounted for as long as the task takes, where nobody else sees them.
  - New files are written beside the old ones first, all of them, and then put into place by a rename each. If that fails before, as with a full disk,
    all is as it was.
  - No link that is below the place of a copy is followed, and every path in the container is resolved within it, whatever a process there does
    meanwhile. Devices, sockets and FIFOs are never opened; they are left out with a warning.
  - A tree's B(content) becomes the content of the folder that is named, which is made where it is missing. A file that is to go to where a folder is
    goes into that.
options:
  container:
    description: Name of the container.
    type: str
    required: true
    aliases: [name]
  container_path:
    description: Absolute path in the container. The folder that it is in must be there.
    type: str
    required: true
  path:
    description:
      - Absolute path of a file or tree on the managed host; with O(from_container=true) the place that it is copied to.
      - Exactly one of O(path), O(src) and O(content) is needed.
    type: str
  src:
    description:
      - File or folder on the controller, searched as M(ansible.builtin.copy) does, or with O(template=true) as M(ansible.builtin.template).
        What a vault has encrypted is decrypted.
      - It is sent once for all of it. More than 4 MiB is sent only if something differs.
    type: str
  content:
    description: The content of a file.
    type: str
  content_is_b64:
    description: Whether O(content) is in Base64, as binary content must be.
    type: bool
    default: false
  template:
    description: Whether the file that O(src) names is a template, which is rendered on the controller.
    type: bool
    default: false
  from_container:
    description:
      - Whether to copy from O(container_path) to O(path) instead. New files belong to root then, and get neither set-user-ID nor set-group-ID bits
        from the container.
    type: bool
    default: false
  owner:
    description:
      - Who files, folders and links shall belong to, by name or number; a name is one of the container's own F(/etc/passwd), with
        O(from_container=true) one of the host's. By default what is new belongs to the container's user, and the rest keeps its owner.
    type: str
    aliases: [owner_id]
  group:
    description: The group, likewise, from F(/etc/group).
    type: str
    aliases: [group_id]
  mode:
    description:
      - Permission bits of files, in quotes, such as V('0640'). By default those of the source; with O(content) V('0644') for a new file, and
        for an old one what it has.
    type: raw
  directory_mode:
    description: Permission bits of folders, likewise. By default those of the source for new folders; others keep theirs.
    type: raw
  follow:
    description:
      - Whether O(container_path) may be a link that is followed, within the container. Otherwise the link itself is meant.
    type: bool
    default: false
  local_follow:
    description: Whether O(path) may be a link that is followed. Otherwise the link itself is meant.
    type: bool
    default: true
  force:
    description:
      - With V(true), all is written without a comparison; with V(false), nothing that is there is touched. By default what differs is written.
    type: bool
  backup:
    description:
      - Whether a file or link that gets another content stays beside it under another name, with a number and the time, as with
        M(ansible.builtin.copy). Needs a file system with hard links.
    type: bool
    default: false
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
attributes:
  diff_mode:
    support: full
    details:
      - Text of up to 64 KiB for each file and 512 KiB for all together is shown; of all else the properties are.
notes:
  - To keep a secret out of the difference, set C(diff) to V(false) on the task, or use M(coracle.containers.container_secret).
seealso:
  - module: coracle.containers.container_exec
  - module: coracle.containers.container_run
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Configure the shop
  coracle.containers.container_copy:
    container: shop
    src: shop.conf.j2
    template: true
    container_path: /etc/shop.conf
    owner: shop
    mode: '0640'

- name: Bring the pages, many in one task
  coracle.containers.container_copy:
    container: web
    src: site/
    container_path: /usr/share/nginx/html

- name: A word of today
  coracle.containers.container_copy:
    container: web
    content: "{{ motd }}"
    container_path: /etc/motd

- name: Fetch the report to the managed host
  coracle.containers.container_copy:
    container: shop
    container_path: /var/lib/shop/report
    path: /srv/reports/shop
    from_container: true
"""

RETURN = r"""
changed:
  description: Whether anything was, or in check mode would be, written.
  type: bool
  returned: always
container_path:
  description: The place in the container. Another than O(container_path) where that is a link that was followed, or a folder.
  type: str
  returned: success
actions:
  description: What was done, or in check mode would be, in this order.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: C(create), C(write) for new content, or C(set) for another mode or owner.
      type: str
    target:
      description: The path at the end that is written.
      type: str
    disruption:
      description: C(live).
      type: str
    options:
      description: What differs, of C(content), C(mode), C(owner) and C(group).
      type: list
      elements: str
backup_file:
  description: With O(backup), the path of the old file, at the end that is written; of several the first.
  type: str
  returned: if something was kept
  sample: /etc/shop.conf.4711.2026-11-21@23:51:09~
backup_files:
  description: The paths of all of them.
  type: list
  elements: str
  returned: if something was kept
diff:
  description: With C(--diff), for each of them what was and what will be.
  returned: success, with C(--diff)
  type: list
  elements: dict
transfer:
  description: What was looked at.
  type: dict
  returned: success
  contains:
    container:
      description: Name of the container.
      type: str
    container_id:
      description: Its ID.
      type: str
    place:
      description: The path of the copy, at the end that is written.
      type: str
    files:
      description: How many files the source has.
      type: int
    directories:
      description: How many folders.
      type: int
    links:
      description: How many links.
      type: int
    size:
      description: Bytes of all files.
      type: int
    skipped:
      description: What was left out, as it is no file, folder or link.
      type: list
      elements: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.copy import OPTIONS


def main() -> None:
    run("transfer", OPTIONS, mutually_exclusive=[("path", "src", "content")], required_one_of=[("path", "src", "content")])


if __name__ == "__main__":
    main()
