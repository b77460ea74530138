# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets of a stack: in the host's memory, as those of C(container_secret) are, and not in what is kept of the stack on disk.

Each content has a name of its own there, STACK:KEY:NUMBER. So another content is another option of the containers that have it, which
are replaced as for any other option; and a revision that is gone back to finds its own. No secret of C(container_secret) can have
such a name.
"""

from __future__ import annotations

from typing import AbstractSet, Any, Dict, List, Mapping

from ..container import secret_files
from ..errors import NotFound
from ..instance import Instance

_KEPT, _PRINT = "kept", "print"
"""What is recorded of a secret instead of its content: its name in memory, and its fingerprint by a key that a reboot ends."""


def bytes_of(content: object) -> bytes:
    """What a file of this content holds."""
    return str(content).encode("utf-8", "surrogateescape")


def place(instance: Instance, stack: str, key: str, content: bytes) -> str:
    """The name under which a content is kept, or will be."""
    start = "%s:%s:" % (stack, key)
    numbers = [int(name[len(start):]) for name in _of(instance, start)]
    same = [number for number in numbers if secret_files.read(instance, "%s%d" % (start, number)) == content]
    return "%s%d" % (start, max(same or [max(numbers, default=0) + 1]))


def _of(instance: Instance, start: str) -> List[str]:
    return [name for name in secret_files.names(instance) if name.startswith(start) and name.rpartition(":")[2].isdigit()]


def write(instance: Instance, wanted: Mapping[str, bytes]) -> None:
    """Keep contents by their names."""
    for name, content in wanted.items():
        if secret_files.read(instance, name) != content:
            secret_files.write(instance, name, content)


def forget(instance: Instance, stack: str, needed: AbstractSet[str] = frozenset()) -> None:
    """Drop what is kept for a stack, but for what is still needed."""
    for name in _of(instance, stack + ":"):
        if name not in needed:
            secret_files.remove(instance, name)


def concealed(instance: Instance, stack: str, written: Mapping[str, Any], prints: bool = False) -> Dict[str, Any]:
    """A definition with the names of its secrets in the place of their contents.

    Args:
        prints: With their fingerprints too, once they are kept.
    """
    secrets = written.get("secrets")
    if not isinstance(secrets, Mapping):
        return dict(written)
    found: Dict[str, Any] = {}
    for key, row in secrets.items():
        if isinstance(row, Mapping) and row.get("content") is not None:
            content = bytes_of(row["content"])
            row = {name: value for name, value in row.items() if name != "content"}
            row[_KEPT] = place(instance, stack, str(key), content)
            if prints:
                row[_PRINT] = secret_files.fingerprint(instance, content)
        found[key] = row
    return dict(written, secrets=found)


def revealed(instance: Instance, stack: str, recorded: Mapping[str, Any]) -> Dict[str, Any]:
    """The definition of which C(concealed) made this.

    Raises:
        NotFound: A secret is not in memory any more.
    """
    found: Dict[str, Any] = {}
    for key, row in (recorded.get("secrets") or {}).items():
        if isinstance(row, Mapping) and _KEPT in row:
            content = secret_files.read(instance, row[_KEPT])
            if content is None or secret_files.fingerprint(instance, content) != row.get(_PRINT):
                raise NotFound("the secret '%s' of the stack '%s' is no more: it was in memory, and went with a reboot" % (key, stack),
                               "Declare the stack with its definition")
            row = {name: value for name, value in row.items() if name not in (_KEPT, _PRINT)}
            row["content"] = content.decode("utf-8", "surrogateescape")
        found[key] = row
    return dict(recorded, secrets=found) if found else dict(recorded)


def kept(recorded: Mapping[str, Any]) -> List[str]:
    """The names of the secrets of a definition that was recorded."""
    return [row[_KEPT] for row in (recorded.get("secrets") or {}).values() if isinstance(row, Mapping) and _KEPT in row]
