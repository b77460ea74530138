# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options that say how a registry is spoken to."""

    DOCUMENTATION = r"""
options:
  username:
    description:
      - Who to be at the registry that the image's name tells, and at no other.
      - When left out, the logins that other tools have left on the host are used. They are looked for in the file that the
        environment variable E(REGISTRY_AUTH_FILE) names, else in F(auth.json) as Podman and Skopeo write it, then in
        F(~/.docker/config.json), with the credential helpers that these name.
    type: str
  password:
    description:
      - The password, or an access token, for O(username).
    type: str
  auth_file:
    description:
      - Absolute path of the only file of logins that is to be read, written as F(~/.docker/config.json) is.
    type: path
  ca_path:
    description:
      - Absolute path of a file or folder of certificates, in PEM format, that are trusted beside the host's own.
      - Certificates in F(/etc/containers/certs.d/HOST[:PORT]) and F(/etc/docker/certs.d/HOST[:PORT]) are read without being
        named, C(*.crt) as authorities, C(*.cert) and C(*.key) as the host's own certificate.
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
  plain_http:
    description:
      - Whether the registry is spoken to by HTTP without TLS. Nothing is encrypted then, the password neither.
    type: bool
    default: false
  timeout:
    description:
      - Seconds without a byte after which a connection is given up, and tried again.
    type: int
    default: 60
"""
