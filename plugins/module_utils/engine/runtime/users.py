# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups by the names that an image gives them.

/etc/passwd and /etc/group are parsed here, from files opened beneath the image's
root: the C library's look-ups would load the host's or, worse, the image's
modules. What counts as a number is always a number, whatever a line in the
image calls itself. Sources: passwd(5), group(5); the rules are Docker's.
"""

from __future__ import annotations

import errno
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import EngineError, KernelError
from ..kernel.paths import Root

LIMIT = 4 << 20
"""Bytes of either file that are looked at; one that is longer is refused."""
MOST = 2**31 - 1
"""The highest ID that a user may be asked for by number."""


class User(NamedTuple):
    """Who a process is.

    Attributes:
        groups: Supplementary groups, without doubles, in ascending order.
        home: Its home folder, C(/) where the image does not say.
        name: Its name, or nothing where the image has none for it.
    """

    uid: int
    gid: int
    groups: Tuple[int, ...]
    home: str
    name: str = ""


def resolve(root: Root, user: str, groups: Sequence[str] = ()) -> User:
    """Who C(user[:group]) is in an image.

    Args:
        user: A name or number, and a group's name or number after a colon; nothing is root.
        groups: Names or numbers of further supplementary groups.

    Raises:
        EngineError: The form is wrong, a number is out of range, or the image does not know the name.
    """
    name, colon, group = user.partition(":")
    if (colon and not (name and group)) or ":" in group:
        raise EngineError("user '%s' is not of the form NAME or NAME:GROUP" % user,
                          "Give a user, or a user and a group, as names or numbers")
    uid = _number(name, "user", user) if name else 0
    row = _find_user(root, name, uid)
    if row is None and uid is None:
        raise EngineError("user '%s' is not in the image's /etc/passwd" % name, "Give a number, or a user that it has")
    found = User(row[1], row[2], (), row[3] or "/", row[0]) if row is not None else User(uid or 0, 0, (), "/")
    extra = set()
    wanted = [group] + [str(each) for each in groups] if group else [str(each) for each in groups]
    known = list(_groups(root)) if wanted or found.name else []
    if group:
        found = found._replace(gid=_group(group, known))
    elif found.name:
        extra = {gid for _name, gid, members in known if found.name in members}
    extra |= {_group(str(each), known) for each in groups}
    return found._replace(groups=tuple(sorted(extra)))


def home_of(root: Root, uid: int) -> str:
    """The home folder of a user, C(/) where the image does not say."""
    try:
        row = _find_user(root, "", uid)
    except EngineError:
        return "/"
    return row[3] if row is not None and row[3].startswith("/") else "/"


def _number(text: str, kind: str, whole: str) -> Optional[int]:
    """The number that a text is, or C(None) where it is a name."""
    if not text.lstrip("+-").isdigit() or not text.isascii():
        return None
    if not text.isdecimal() or len(text) > 10 or int(text) > MOST:
        raise EngineError("%s '%s': %s is not within 0 and %d" % (kind, whole, text, MOST),
                          "Give a number in this range, or a name")
    return int(text)


def _group(wanted: str, known: Sequence[Tuple[str, int, List[str]]]) -> int:
    number = _number(wanted, "group", wanted)
    if number is not None:
        return number
    for name, gid, _members in known:
        if name == wanted:
            return gid
    raise EngineError("group '%s' is not in the image's /etc/group" % wanted, "Give a number, or a group that it has")


def _find_user(root: Root, name: str, uid: Optional[int]) -> Optional[Tuple[str, int, int, str]]:
    """The first line for a name, or for a number: name, uid, gid, home."""
    for fields in _rows(root, "/etc/passwd", 6):
        its_uid, its_gid = _id(fields[2]), _id(fields[3])
        if its_uid is not None and its_gid is not None and (its_uid == uid if uid is not None else fields[0] == name):
            return fields[0], its_uid, its_gid, fields[5]
    return None


def _groups(root: Root) -> Iterator[Tuple[str, int, List[str]]]:
    for fields in _rows(root, "/etc/group", 4):
        gid = _id(fields[2])
        if gid is not None:
            yield fields[0], gid, [each for each in fields[3].split(",") if each]


def _id(text: str) -> Optional[int]:
    return int(text) if text.isdecimal() and len(text) <= 10 and int(text) < 2**32 - 1 else None


def _rows(root: Root, path: str, least: int) -> Iterator[List[str]]:
    try:
        content = root.read(path, LIMIT + 1)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise EngineError("the image's %s cannot be read: %s" % (path, error), "It must be an ordinary file",
                          path=path) from error
    if len(content) > LIMIT:
        raise EngineError("the image's %s is longer than %d bytes" % (path, LIMIT), "It must be an ordinary file",
                          path=path)
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least and fields[0] and not fields[0].startswith(("#", "+", "-")):
            yield fields
