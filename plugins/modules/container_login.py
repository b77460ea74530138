#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Be somebody at a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_login
short_description: Write or remove a login at a registry, where this collection and other container tools read it
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Keeps the login at a registry in a file that Docker, Podman, Skopeo, Buildah and this collection read, or in a credential
    helper.
  - The registry is asked whether it takes the login before anything is written. What else the file says stays as it is.
  - A single task that needs a login can also be given O(username) and O(password) itself; nothing is then left on the host.
options:
  registry:
    description:
      - The registry, with its port if it has one, such as V(registry.example.com:5000).
      - With the beginning of a repository's name behind it, such as V(registry.example.com/team), the login is for these
        repositories alone; Podman and this collection read such logins, Docker does not.
    type: str
    default: docker.io
    aliases: [registry_url, url]
  state:
    description:
      - Whether the login is there. With V(absent), it is removed from the file, or from the helper that has it.
    type: str
    choices: [present, absent]
    default: present
  username:
    description:
      - Who to be. Needed for O(state=present).
    type: str
  password:
    description:
      - The password, or an access token. Needed for O(state=present).
      - A file holds it readable for whoever can read the file, which is root, or its owner; a helper may do better.
    type: str
  store:
    description:
      - The file that holds the login, in the home of the user who runs the task.
      - V(docker) is F(~/.docker/config.json), which all of these tools read, and Docker alone.
      - V(containers) is F(~/.config/containers/auth.json), or what the environment variable E(REGISTRY_AUTH_FILE) names. All but
        Docker read it, and before that of Docker.
      - V(runtime) is F(/run/containers/UID/auth.json), where C(podman login) writes, which is read first and gone after a reboot.
    type: str
    choices: [docker, containers, runtime]
    default: docker
  auth_file:
    description:
      - Absolute path of another file that holds the login, instead of O(store). It is made if it is not there, and its owner stays;
        a new one belongs to the owner of its folder. Where it is a link, what that leads to is written.
    type: path
    aliases: [authfile, config_path, dockercfg_path]
  helper:
    description:
      - The name of a credential helper, a program C(docker-credential-NAME) on the host, that shall keep the login. The file then
        only says so.
      - When left out, the helper is used that the file names for the registry or for all, if any.
    type: str
  check_login:
    description:
      - Whether the registry is asked before the login is written, in check mode too. A login that it refuses is not written.
    type: bool
    default: true
  reauthorize:
    description:
      - Whether the registry is asked even when the login is there already.
    type: bool
    default: false
    aliases: [reauth]
  ca_path:
    description:
      - Absolute path of a file or folder of certificates, in PEM format, that are trusted beside the host's own and those in
        F(/etc/containers/certs.d/HOST[:PORT]) and F(/etc/docker/certs.d/HOST[:PORT]), when the login is checked.
    type: path
  client_cert:
    description:
      - Absolute path of the host's own certificate, in PEM format, for registries that ask for one.
    type: path
  client_key:
    description:
      - Absolute path of the key of O(client_cert), where it is not in the same file.
    type: path
  validate_certs:
    description:
      - Whether the registry's certificate is checked.
    type: bool
    default: true
    aliases: [tlsverify, tls_verify]
  plain_http:
    description:
      - Whether the registry is spoken to by HTTP without TLS when the login is checked. Nothing is encrypted then, the password neither.
    type: bool
    default: false
  timeout:
    description:
      - Seconds without a byte after which a connection is given up, and tried again.
    type: int
    default: 60
notes:
  - A helper that needs a desktop or a terminal, such as one that opens a window, does not work in a task.
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
seealso:
  - module: coracle.containers.container_image
"""

EXAMPLES = r"""
- name: Log in, for all tools on the host
  coracle.containers.container_login:
    registry: registry.example.com
    username: deploy
    password: "{{ registry_password }}"

- name: For one team's repositories, until the next reboot
  coracle.containers.container_login:
    registry: registry.example.com/shop
    username: shop
    password: "{{ shop_password }}"
    store: runtime

- name: In a credential helper
  coracle.containers.container_login:
    registry: registry.example.com
    username: deploy
    password: "{{ registry_password }}"
    helper: pass

- name: Log out of Docker Hub
  coracle.containers.container_login:
    state: absent
"""

RETURN = r"""
changed:
  description: Whether the login was, or in check mode would be, written or removed.
  type: bool
  returned: always
actions:
  description: What was done, or in check mode would be.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: C(write) or C(remove).
      type: str
    target:
      description: The registry and the file.
      type: str
    disruption:
      description: Always C(live).
      type: str
    options:
      description: What of the login differs.
      type: list
      elements: str
diff:
  description: With C(--diff), what differs; the password only as a row of asterisks.
  returned: success, with C(--diff)
  type: dict
  contains:
    before:
      description: What was.
      type: dict
      returned: always
    after:
      description: What is, or will be.
      type: dict
      returned: always
  sample: {"before": {"username": null, "password": null}, "after": {"username": "deploy", "password": "********"}}
login:
  description: The login, without the password.
  type: dict
  returned: always
  contains:
    registry:
      description: The registry, perhaps with the beginning of a repository's name.
      type: str
    path:
      description: The file.
      type: str
    helper:
      description: The credential helper that keeps it; null where the file does.
      type: str
    exists:
      description: Whether there is a login.
      type: bool
    username:
      description: Whose it is.
      type: str
  sample: {"registry": "registry.example.com", "path": "/root/.docker/config.json", "helper": null, "exists": true, "username": "deploy"}
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.login import OPTIONS


def main() -> None:
    run("login", OPTIONS, required_if=[("state", "present", ("username", "password"))])


if __name__ == "__main__":
    main()
