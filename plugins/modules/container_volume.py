#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare a volume of containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_volume
short_description: Manages volumes of containers
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Makes a volume that containers mount by its name, changes it while they use it, writes it to a tarball, fills it from one, and
    removes it.
  - A volume that a container names and that nobody has declared is made with the container, as V(local) and without a limit. No
    volume goes with a container; only this module and M(coracle.containers.container_prune) remove those that have a name.
  - Owner, mode, size and what is mounted are read from the kernel each time. What a person changed by hand shows in check mode with
    C(--diff) and is mended.
  - The names that Docker and Podman give to the same things are accepted too.
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
requirements:
  - On the host for O(size) with O(driver=local) a file system with project quotas, or C(mkfs.ext4) (e2fsprogs).
  - On the host for O(driver=cifs) C(mount.cifs) (cifs-utils), for V(cephfs) C(mount.ceph) (ceph-common), for V(glusterfs)
    C(mount.glusterfs) (glusterfs-client). For V(nfs) C(mount.nfs) (nfs-common), or without it a kernel with NFS 4.
options:
  name:
    description:
      - Name of the volume.
    type: str
    required: true
    aliases: [volume_name]
  state:
    description:
      - With V(absent) the volume goes with its content. What another machine or a folder of the host holds is only unmounted.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - Go on where containers mention the volume. Those that run keep what they have mounted until they end; the next start makes the
        volume anew.
      - Without it, such a volume is neither removed nor made anew, and the message names the containers.
    type: bool
    default: false
  recreate:
    description:
      - Whether a volume that is there is made anew, V(always) or when O(driver) or O(driver_options) are not what it has. What is in a
        V(local) or V(tmpfs) volume is lost then.
      - With V(never) such a difference is an error.
    type: str
    choices: [always, never, options-changed]
    default: never
  driver:
    description:
      - What holds the content. Where nothing is said it stays what it is, V(local) for a new volume.
      - V(local) is a folder below O(state_root); with O(driver_options) what these mount.
      - V(tmpfs) is memory, and empty again after a reboot.
      - V(nfs), V(cephfs), V(glusterfs) and V(cifs) are what another machine serves. It is mounted while the volume is there, and again at
        boot.
    type: str
    choices: [local, tmpfs, nfs, cephfs, glusterfs, cifs]
  driver_options:
    description:
      - What shall be mounted. For V(nfs) C(server) and C(path) are needed, for V(cifs) C(server) and C(share), for V(cephfs) C(monitors), for
        V(glusterfs) C(server) and C(volume); or C(device) in their place.
      - V(local) has C(type), C(device) and C(o) as in Docker, such as C(type=ext4) with a block device, or C(o=bind) with a folder. With
        the type of a file system that has a driver of its own here it is that driver.
    type: dict
    aliases: [options, opt]
    suboptions:
      server:
        description: Host name or address, for V(nfs), V(cifs) and V(glusterfs).
        type: str
      path:
        description: Absolute path there, for V(nfs), V(cephfs) and V(glusterfs).
        type: str
      share:
        description: Name of the share, and perhaps a path in it, for V(cifs).
        type: str
      volume:
        description: Name of the volume of the cluster, for V(glusterfs).
        type: str
      username:
        description: Who is served, for V(cifs).
        type: str
      domain:
        description: Their domain, for V(cifs).
        type: str
      password:
        description:
          - Their password, for V(cifs). It is handed to the helper in its environment, and kept in the volume's record, which only root can
            read. One among O(driver_options.o) is treated alike, but Ansible shows it among the task's arguments.
        type: str
      credentials_file:
        description: In place of the two a file on the managed host with C(username=) and C(password=), for V(cifs).
        type: str
      monitors:
        description: Addresses with commas between them, for V(cephfs).
        type: str
      user:
        description: Name of the user of the cluster, for V(cephfs).
        type: str
      secret_file:
        description: File on the managed host with their key, for V(cephfs).
        type: str
      fs:
        description: Name of the file system, for V(cephfs).
        type: str
      type:
        description: Type of file system, for V(local).
        type: str
      device:
        description: What is mounted, as the file system writes it, in place of the parts above.
        type: str
      o:
        description: Options as C(mount -o) takes them, for all drivers.
        type: list
        elements: str
  labels:
    description:
      - Labels, by which M(coracle.containers.container_volume_info) finds it and M(coracle.containers.container_prune) spares it. Changed
        live.
    type: dict
    aliases: [label]
  owner:
    description:
      - Who owns the topmost folder, by name on the managed host or by number. Changed live, and set back where somebody changed it.
      - Where neither this nor O(group) nor O(mode) is said, they are those of the folder in the first container's image, else root's.
    type: str
    aliases: [uid]
  group:
    description:
      - Likewise its group.
    type: str
    aliases: [gid]
  mode:
    description:
      - Permission bits of the topmost folder in octal, in quotes, such as V('0750').
    type: raw
  size:
    description:
      - How much may be in it, such as V(10G); V(-1) for no limit. Rounded up to 4096 bytes.
      - With O(driver=local) it is a project quota where the file system of O(state_root) has these (XFS and ext4 that are mounted with
        C(prjquota)); it can be changed at any time. Processes with CAP_SYS_RESOURCE, which containers have not by default, are not
        held to it on ext4.
      - Elsewhere it is an ext4 file system of that size in a sparse file, which can grow while it is in use. To make it smaller or
        unlimited is refused.
      - With O(driver=tmpfs) it is the size of the file system, which can be changed at any time.
    type: str
  backup:
    description:
      - Write what is in the volume to this file on the managed host, which ends with C(.tar), C(.tar.gz), C(.tgz) or C(.tar.zst), unless
        it holds just that. The same content gives the same bytes. Owners, modes, times in whole seconds, links, devices and extended
        attributes are kept; sockets, and what is mounted in it, are not.
      - It is read while it is in use. For databases and the like stop the container first, or let the program itself write a dump.
    type: path
  restore:
    description:
      - A tarball on the managed host that a volume is filled from which is made by this task, or into which nothing was ever put. One
        that has been in use stays as it is; O(recreate=always) replaces it.
    type: path
seealso:
  - module: coracle.containers.container_volume_info
  - module: coracle.containers.container_run
  - module: coracle.containers.container_prune
"""

EXAMPLES = r"""
- name: Make a volume for a database, of at most 20 GiB
  coracle.containers.container_volume:
    name: db-data
    owner: 999
    group: 999
    mode: '0700'
    size: 20G
    labels: {app: shop}

- name: Write it to a tarball each night
  coracle.containers.container_volume:
    name: db-data
    backup: /srv/backup/db-data.tar.zst

- name: Bring it to what the tarball holds
  coracle.containers.container_volume:
    name: db-data
    recreate: always
    force: true
    restore: /srv/backup/db-data.tar.zst

- name: Mount what a server has
  coracle.containers.container_volume:
    name: media
    driver: nfs
    driver_options:
      server: nas1.example.org
      path: /export/media
      o: ro,vers=4.2,soft

- name: Likewise, in Docker's words
  coracle.containers.container_volume:
    name: media
    driver: local
    driver_options:
      type: nfs
      o: addr=192.0.2.5,ro
      device: ":/export/media"

- name: Mount a share of Windows
  coracle.containers.container_volume:
    name: documents
    driver: cifs
    driver_options:
      server: files1
      share: documents
      credentials_file: /etc/coracle/documents.credentials
      o: uid=1000,gid=1000

- name: Keep a cache in memory
  coracle.containers.container_volume:
    name: cache
    driver: tmpfs
    size: 256M

- name: Remove a volume that no container mentions
  coracle.containers.container_volume:
    name: documents
    state: absent
"""

RETURN = r"""
changed:
  description: Whether anything was, or in check mode would be, changed.
  type: bool
  returned: always
actions:
  description: The steps in their order.
  type: list
  elements: dict
  returned: success
  contains:
    action:
      description: C(create), C(recreate), C(mount), C(update), C(restore), C(backup) or C(remove).
      type: str
      returned: always
    target:
      description: The volume.
      type: str
      returned: always
    disruption:
      description: C(recreate) where content goes, else C(live).
      type: str
      returned: always
    options:
      description: The options that the step brings to their values.
      type: list
      elements: str
      returned: always
diff:
  description: With C(--diff), per option what was and what will be; of a tarball the digests of its content.
  type: dict
  returned: success, with C(--diff)
volume:
  description: The volume as it is now.
  type: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
      returned: always
    exists:
      description: Whether it is there.
      type: bool
      returned: always
    driver:
      description: What holds the content.
      type: str
      returned: when it is there
    driver_options:
      description: What is mounted, passwords hidden.
      type: dict
      returned: when it is there
    labels:
      description: Its labels.
      type: dict
      returned: when it is there
    owner:
      description: The number of the user that owns its topmost folder. Null where it is not mounted. C(group) likewise.
      type: int
      returned: when it is there
    mode:
      description: The folder's permission bits in octal.
      type: str
      returned: when it is there
      sample: "0750"
    size:
      description: How many bytes may be in it; -1 where there is no limit, null where another machine knows it.
      type: int
      returned: when it is there
    used:
      description: Bytes in it, where the file system knows; for a folder see M(coracle.containers.container_volume_info).
      type: int
      returned: when it is there
    backing:
      description: V(folder), V(project) with a quota, V(image) for a file system in a file, or V(mount).
      type: str
      returned: when it is there
    mounted:
      description: Whether what it needs is mounted.
      type: bool
      returned: when it is there
    mountpoint:
      description: The folder on the host with its content.
      type: str
      returned: when it is there
      sample: /var/lib/coracle/volumes/db-data/_data
    created:
      description: When it was made, RFC 3339 in UTC.
      type: str
      returned: when it is there
    container:
      description: The container that it was made for, if it has no name of its own.
      type: str
      returned: when it is there
    used_by:
      description: The containers that mention it, those that do not run included.
      type: list
      elements: str
      returned: when it is there
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.volume import OPTIONS


def main() -> None:
    """Run the module."""
    run("volume", OPTIONS)


if __name__ == "__main__":
    main()
