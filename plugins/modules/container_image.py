#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Pull, push, import, save, name and remove container images
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Brings an image into the host's store from a registry, an OCI image layout, an archive of one, an archive that
    C(docker save) has written, or a root file system; gives it further names; removes it.
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
        tag it is C(latest), as in Docker. What a name without a host means can be changed in
        F(/etc/coracle/registries.conf), see O(pull).
      - With O(state=tagged), O(state=absent), or O(state=present) without O(source), also an image ID, such as
        V(sha256:4bcff63911fc).
      - Needed for every O(state) but V(loaded).
    type: str
    aliases: [reference]
  state:
    description:
      - V(present) is an image of this name with the content of O(source). Without O(source) it comes from its registry,
        as O(pull) says; layers of it that were lost are made anew from their blobs.
      - V(tagged) is an image in the store that has the names O(tags) too.
      - V(absent) is no such name. Content goes with it that no other name and no container uses. With an image ID, all
        names of the image go.
      - V(saved) is a file or folder O(dest) that holds the image, and those of O(images).
      - V(pushed) is the image at its registry, under O(name) or O(destination).
      - V(unpushed) is no such name at the registry any more, be it O(name) or O(destination); the store is left as it is. A tag
        goes alone, which needs the right to push at registries that only delete manifests, such as Debian's docker-registry.
        A name with a digest and no tag is the manifest with all its tags.
      - V(loaded) are all images of O(source) under the names that they have there.
    type: str
    choices: [present, absent, tagged, saved, loaded, pushed, unpushed]
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
      - The digest that the image must have, as C(sha256:) and 64 hexadecimal digits, or C(sha512:) and 128. It is that of the manifest or of
        the config (the image ID). For a root file system it is the diff ID of a folder or the digest of the tarball file.
      - With O(state=unpushed) it is the one that the name must lead to at the registry.
      - When it has another, the task fails and nothing is changed.
    type: str
  tags:
    description:
      - Further names that shall point to the same image. A name that points elsewhere is moved.
      - Changed live; read back from the store.
    type: list
    aliases: [target_names]
    elements: str
  dest:
    description:
      - With O(state=saved), absolute path of the file or folder on the managed host. Its folder must exist.
      - Read back from the file itself; it is written anew when it holds another image, another name, another kind or is not
        whole. The same images give the same bytes.
    type: path
  dest_type:
    description:
      - What O(dest) shall be. V(docker-archive) is a tar that C(docker load), Podman and skopeo take; it is an archive of an
        OCI image layout too. V(oci-archive) is that alone. V(oci) is the folder of a layout; images are added to one that is
        there.
      - Of these the digests of manifest, config and layers are those of the image in the store.
      - V(rootfs) is a tar of the files that a container of the image would see, as C(docker export) writes it; V(rootfs-folder)
        is a folder with them. A folder that is there is only replaced if it is empty or was written in this way. One in which
        anything was changed is written anew.
    type: str
    choices: [oci, oci-archive, docker-archive, rootfs, rootfs-folder]
    default: docker-archive
  images:
    description:
      - Further images that shall be in O(dest). Layers that several have are written once.
    type: list
    elements: str
  destination:
    description:
      - With O(state=pushed), the complete name that the image shall have at the registry. When left out, it is O(name).
      - Compared by the digest of the manifest there. What the registry has already is not sent, or is mounted there from a
        repository that an image of the store with the same layer has come from.
    type: str
  compression:
    description:
      - With O(state=pushed), how layers are compressed on the way that are stored plain, such as those of root file systems;
        by default zstd where the host has libzstd, else gzip, by isal where the host's Python has that, by libdeflate where the
        host has that, else by zlib. Layers that are stored compressed are sent as they are, so that their digests stay.
      - With O(state=saved), how the file as a whole is compressed; by default not at all, since layers mostly are.
        Neither Docker nor skopeo seeks in a compressed archive.
    type: str
    choices: [none, gzip, zstd]
  pull:
    description:
      - When to ask the registry for an image without O(source). V(missing) asks for what the store lacks. V(always) asks
        each time which digest the name has now, which is one request, and pulls where it differs. V(newer) does so too,
        but is content with the present image, and a warning, where the registry does not answer. V(never) does not ask.
      - When the image that the name leads to at the registry is another one than the present one, the name is moved to it.
      - Layers come several at once, and are verified and written while they come. What has come when a pull breaks off is
        kept for a week, and the next run goes on from there.
      - Mirrors, registries to be replaced or blocked, and plain HTTP are read from F(/etc/containers/registries.conf) and
        F(/etc/containers/registries.conf.d), as containers-registries.conf(5) describes, and from
        F(/etc/coracle/registries.conf), written in the same way. Only the last one can change what a name without host
        means, by C(unqualified-search-registries) with one entry and by C([aliases]), so that a name means the same on
        hosts with and without other tools.
      - The variables C(http_proxy), C(https_proxy), C(all_proxy) and C(no_proxy) of the task's environment are heeded.
    type: str
    choices: [missing, always, newer, never]
    default: missing
  platform:
    description:
      - The platform that the image shall be for, such as V(linux/arm64/v8) or V(arm64). When left out it is the host's own.
    type: str
  verify:
    description:
      - What is demanded of an image before anything of it is unpacked; all of it must be satisfied, else the task fails and
        the store stays as it was. An image that is in the store already is checked again, with each task that says so.
      - To demand one image and no other, say its O(digest).
      - Signatures are checked on the managed host by its OpenSSL (libcrypto).
    type: dict
    suboptions:
      keys:
        description:
          - Public keys, one of which must have signed the image as C(cosign sign --key) does (ECDSA, RSA or Ed25519), either in
            the manifest with the tag C(sha256-DIGEST.sig) or in a bundle that refers to the image. Each is PEM, or the absolute
            path of such a file on the managed host. A signature of the index that names the image will do too.
          - Only the image's digest is looked at; a name that was signed with it is not compared.
        type: list
        elements: str
      policy:
        description:
          - Absolute path of a C(policy.json) as Podman and skopeo read it, such as V(/etc/containers/policy.json). What it
            demands of the registry, repository or path that the image comes from is checked.
          - Understood are C(insecureAcceptAnything), C(reject), and C(sigstoreSigned) with keys. An image of which anything else
            is demanded is refused. Names that were signed are compared as C(signedIdentity) says; a bundle without a name is
            no signature for it.
        type: path
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
  - coracle.containers.registry
notes:
  - In check mode everything that would be imported is read and verified too, but nothing is written. Of an image that
    would be pulled, the manifest and the config are read, and RV(pull) says what would come.
seealso:
  - module: coracle.containers.container_layer
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: An image from a registry
  coracle.containers.container_image:
    name: registry.example.com/shop/web:1.4
    pull: newer
    username: deploy
    password: "{{ registry_password }}"

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

- name: An image that the key of the shop's builder has signed
  coracle.containers.container_image:
    name: registry.example.com/shop/web:1.4
    verify:
      keys: [/etc/pki/containers/shop.pub]
      policy: /etc/containers/policy.json

- name: A second name
  coracle.containers.container_image:
    name: web
    state: tagged
    tags: [web:stable]

- name: Two images in one archive, for docker load, podman load or state=loaded elsewhere
  coracle.containers.container_image:
    name: web:stable
    images: [worker:stable]
    state: saved
    dest: /srv/export/shop.tar

- name: All images of an archive under the names that they have there
  coracle.containers.container_image:
    source: /srv/export/shop.tar
    state: loaded

- name: An image at the registry, under another name
  coracle.containers.container_image:
    name: web:stable
    state: pushed
    destination: registry.example.com/shop/web:1.4
    username: builder
    password: "{{ registry_password }}"

- name: No such tag at the registry any more, if it still is what was tested
  coracle.containers.container_image:
    name: registry.example.com/shop/web:1.3
    state: unpushed
    digest: sha256:9d0b1a3e4c5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcdef
    username: builder
    password: "{{ registry_password }}"

- name: The files of an image, as one tarball
  coracle.containers.container_image:
    name: web:stable
    state: saved
    dest: /srv/export/web-rootfs.tar.zst
    dest_type: rootfs
    compression: zstd

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
        - C(pull) and C(import) bring the image into the store or move its name to another, C(mend) makes a lost layer anew,
          C(tag) gives a name, C(remove) removes one, C(delete) deletes a layer that nothing uses any more, C(save) writes
          O(dest), C(push) sends the image to the registry, C(unpush) deletes a name there.
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
push:
  description: With O(state=pushed), what was sent, or in check mode would be.
  returned: when O(state=pushed) and changed
  type: dict
  contains:
    registry:
      description: Where to.
      type: str
    repository:
      description: The repository there.
      type: str
    digest:
      description: The digest of the manifest there; in check mode that of the image in the store.
      type: str
    size:
      description: Bytes that were sent; in check mode of layers that will be compressed on the way the plain bytes.
      type: int
freed:
  description: Bytes on the disk that deleting has freed.
  type: int
  returned: when O(state=absent) and changed
pull:
  description: What came from the registry, or in check mode would come.
  type: dict
  returned: when it was pulled
  contains:
    registry:
      description: The registry's host.
      type: str
    repository:
      description: The path there.
      type: str
    digest:
      description: The digest that the name has there; of the index, where the image is for several platforms.
      type: str
    manifest_digest:
      description: The digest of the manifest for the platform.
      type: str
    size:
      description: Bytes of the layers that came.
      type: int
    layers:
      description: The layers that the store lacked, lowest first.
      type: list
      elements: dict
      contains:
        diff_id:
          description: The digest of the plain tar.
          type: str
        digest:
          description: The digest of the blob.
          type: str
        size:
          description: The blob's bytes.
          type: int
        present:
          description: How many of them an earlier run had left.
          type: int
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
    saved:
      description: With O(state=saved), what O(dest) holds, or null where that is no whole image.
      type: dict
      contains:
        path:
          description: As O(dest).
          type: str
        kind:
          description: As O(dest_type).
          type: str
        compression:
          description: As O(compression).
          type: str
        images:
          description: Digests of the manifests by name.
          type: dict
        size:
          description: Bytes of the file, or of all files of the folder.
          type: int
    pushed:
      description: With O(state=pushed), the C(name) at the registry, the C(digest) that it has there, and whether that is this
        image (C(same)). With O(state=unpushed) the first two, and C(exists) is whether the registry has it.
      type: dict
    images:
      description: With O(state=loaded), the images of O(source), each with the keys above.
      type: list
      elements: dict
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.image import OPTIONS


def main() -> None:
    run("image", OPTIONS, required_if=[
        ("state", "present", ("name",)), ("state", "absent", ("name",)), ("state", "tagged", ("name", "tags")),
        ("state", "saved", ("name", "dest")), ("state", "loaded", ("source",)),
        ("state", "pushed", ("name",)), ("state", "unpushed", ("name",))])


if __name__ == "__main__":
    main()
