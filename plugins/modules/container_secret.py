#!/usr/bin/python
# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a secret in memory, for containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_secret
short_description: Keep secrets in the memory of a host, and give them to containers as files
version_added: 1.0.0
author: Coracle contributors (@coracle-containers)
description:
  - Keeps a secret that the option O(coracle.containers.container_run#module:secrets) of M(coracle.containers.container_run) gives to containers as
    a file, by default F(/run/secrets/NAME) with mode C(0400).
  - The secret is in a file system in memory below the instance's run root, for root alone, and that is never swapped out; nothing that follows from it
    is on a disk. It is never in results, differences, logs or process lists.
  - Where the connection can pass standard input on, as C(ssh) and C(local) can, O(data) is not among the options that Ansible writes to the
    host either.
  - After a reboot there is no secret. Containers that need one are not started at boot; their RV(coracle.containers.container_info#module:containers[].error)
    begins with C(secrets-missing). The next run of the playbook brings the secrets, and with M(coracle.containers.container_run) the containers, back.
  - A container that runs and was given another content is restarted, sent a signal, or only has its file replaced, as C(on_change) of its option
    says. Whether that is so is seen by a keyed hash (HMAC with SHA-256), whose key is on the host alone, in memory like the secrets.
options:
  name:
    description: Name of the secret.
    type: str
    required: true
  state:
    description: Whether there shall be a secret of this name.
    type: str
    default: present
    choices: [present, absent]
  data:
    description:
      - The secret, such as a variable that a vault holds, or a lookup. At most 512 KiB.
      - With O(state=present) exactly one of O(data) and O(path) is needed.
    type: str
  data_is_b64:
    description: Whether O(data) is in Base64, as a binary secret must be.
    type: bool
    default: false
  path:
    description: Absolute path of a file on the managed host that has the secret in it.
    type: str
    aliases: [data_src]
  force:
    description:
      - With O(state=absent), whether to remove a secret that containers need. Those that run keep what they were given; none can be started again.
    type: bool
    default: false
extends_documentation_fragment:
  - coracle.containers.attributes
  - coracle.containers.instance
seealso:
  - module: coracle.containers.container_run
"""

EXAMPLES = r"""
- name: Keep the password of the database
  coracle.containers.container_secret:
    name: db-password
    data: "{{ vault_db_password }}"

- name: Keep the key of the site
  coracle.containers.container_secret:
    name: site-key
    path: /etc/ssl/private/site.key

- name: Run the shop with both
  coracle.containers.container_run:
    name: shop
    image: shop:2.1
    env:
      DB_PASSWORD_FILE: /run/secrets/db-password
    secrets:
      - source: db-password
        on_change: restart
      - source: site-key
        target: tls.key
        mode: '0440'
        on_change: signal:HUP
"""

RETURN = r"""
changed:
  description: Whether the secret was, or in check mode would be, kept, changed or removed, or a container brought up to date with it.
  type: bool
  returned: always
actions:
  description: What was done, or in check mode would be, in this order.
  type: list
  elements: dict
  returned: always
  contains:
    action:
      description: C(create), C(update) or C(remove) for the secret, C(restart) or C(renew) for a container that has it.
      type: str
    target:
      description: The secret, or C(container) and a name.
      type: str
    disruption:
      description: C(live), or C(restart).
      type: str
    options:
      description: C(data), or nothing.
      type: list
      elements: str
diff:
  description: With C(--diff), that it differs; not what it is.
  type: dict
  returned: success, with C(--diff)
secret:
  description: All but what it is.
  type: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    exists:
      description: Whether it is kept.
      type: bool
    containers:
      description: Names of the containers that are to have it.
      type: list
      elements: str
    names:
      description: Names of all secrets.
      type: list
      elements: str
"""

from ansible_collections.coracle.containers.plugins.module_utils.contract import run
from ansible_collections.coracle.containers.plugins.module_utils.options.secret import OPTIONS


def main() -> None:
    run("secret", OPTIONS, mutually_exclusive=[("data", "path")])


if __name__ == "__main__":
    main()
