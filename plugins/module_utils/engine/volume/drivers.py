# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each driver mounts, and how: from a volume's options to one call of mount(2) or of a mount helper, as a pure function."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import InvalidValue

LOCAL, TMPFS, NFS, CEPHFS, GLUSTERFS, CIFS = "local", "tmpfs", "nfs", "cephfs", "glusterfs", "cifs"
NAMES = (LOCAL, TMPFS, NFS, CEPHFS, GLUSTERFS, CIFS)
_SECRET = ("password", "pass", "secret")
_HIDDEN = "********"


class Helper(NamedTuple):
    """A program of the host that mounts one kind of file system (mount(8), "EXTERNAL HELPERS").

    Attributes:
        name: Of the program.
        package: Debian's, that has it.
        needed: Whether the kernel alone cannot do it.
    """

    name: str
    package: str
    needed: bool = True


HELPERS = {
    "nfs": Helper("mount.nfs", "nfs-common", needed=False),
    "nfs4": Helper("mount.nfs4", "nfs-common", needed=False),
    "ceph": Helper("mount.ceph", "ceph-common"),
    "glusterfs": Helper("mount.glusterfs", "glusterfs-client"),
    "cifs": Helper("mount.cifs", "cifs-utils"),
    "smb3": Helper("mount.smb3", "cifs-utils"),
}
"""By the type of file system."""
SEEN_AS = {"nfs": ("nfs", "nfs4"), "nfs4": ("nfs", "nfs4"), "glusterfs": ("fuse.glusterfs",), "cifs": ("cifs", "smb3"),
           "smb3": ("cifs", "smb3")}
"""What the kernel calls what was mounted as such a type; without an entry the same."""
_KEYS: Dict[str, Tuple[str, ...]] = {
    LOCAL: ("type", "device", "o"),
    TMPFS: ("o",),
    NFS: ("server", "path", "device", "o"),
    CEPHFS: ("monitors", "path", "user", "secret_file", "fs", "device", "o"),
    GLUSTERFS: ("server", "volume", "path", "device", "o"),
    CIFS: ("server", "share", "username", "domain", "password", "credentials_file", "device", "o"),
}
_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]+\]?"
_FORMS = {
    "server": (_HOST, "a host name or an address"),
    "monitors": (r"(%s)(:[0-9]+)?(,(%s)(:[0-9]+)?)*" % (_HOST, _HOST), "addresses such as 10.0.0.1:6789,10.0.0.2:6789"),
    "path": (r"/[^\n]*", "an absolute path on the server"),
    "share": (r"[^/\\\n]+(/[^\n]*)?", "the name of a share"),
    "volume": (r"[A-Za-z0-9_-]+", "the name of a volume of the cluster"),
    "type": (r"[a-z0-9][a-z0-9._-]*", "a type of file system such as ext4, or bind"),
    "user": (r"[A-Za-z0-9._-]+", "the name of a user of the cluster"),
    "fs": (r"[A-Za-z0-9._-]+", "the name of a file system of the cluster"),
    "username": (r"[^,\n]+", "a name without a comma"),
    "domain": (r"[^,\n]+", "a name without a comma"),
    "secret_file": (r"/[^,\n]+", "an absolute path on the managed host"),
    "credentials_file": (r"/[^,\n]+", "an absolute path on the managed host"),
    "device": (r"[^\n]+", "what shall be mounted"),
    "o": (r"[^\s,]+(,[^\s,]+)*", "mount options with commas between them"),
}
_BINDS = ("bind", "rbind")


class Call(NamedTuple):
    """What is mounted.

    Attributes:
        source: A device, C(SERVER:/PATH) or the like.
        fstype: Of the file system; C(none) for a folder that is shown at a second place.
        options: As C(mount -o) takes them.
        environment: What the helper is told and nobody else may see.
    """

    source: str
    fstype: str
    options: Tuple[str, ...] = ()
    environment: Mapping[str, str] = {}

    @property
    def seen_as(self) -> Tuple[str, ...]:
        """What the kernel may call its type; nothing for a bind mount, which has that of the folder's file system."""
        return () if self.bind else SEEN_AS.get(self.fstype, (self.fstype,))

    @property
    def bind(self) -> bool:
        """Whether it is a folder of the host."""
        return any(each in _BINDS for each in self.options)

    @property
    def remote(self) -> bool:
        """Whether the content is another machine's."""
        return self.fstype in HELPERS


def call_of(driver: str, options: Mapping[str, str], size: Optional[int] = None) -> Optional[Call]:
    """What a volume of this driver mounts; C(None) for a folder below the state root.

    Args:
        options: Of the driver; checked.
        size: Of a tmpfs in bytes; C(None) or less than 0 is no limit.
    """
    more = _split(options.get("o"))
    if driver == LOCAL:
        if not options:
            return None
        kind = options.get("type", "none")
        return Call(options.get("device", kind), "none" if kind in ("none", *_BINDS) else kind,
                    (*([kind] if kind in _BINDS else []), *more))
    if driver == TMPFS:
        return Call("tmpfs", "tmpfs", (*([] if size is None or size < 0 else ["size=%d" % size]), *more))
    if driver == NFS:
        source = options.get("device") or "%s:%s" % (options["server"], options["path"])
        if source.startswith(":"):  # as Docker writes it: the server is in the options
            server = dict(each.partition("=")[::2] for each in more).get("addr", "")
            source, more = server + source, tuple(each for each in more if not each.startswith("addr="))
        return Call(source, "nfs", more)
    if driver == CEPHFS:
        named = [("name", options.get("user")), ("secretfile", options.get("secret_file")), ("fs", options.get("fs"))]
        source = options.get("device") or "%s:%s" % (options.get("monitors", ""), options.get("path", "/"))
        return Call(source, "ceph", (*("%s=%s" % each for each in named if each[1]), *more))
    if driver == GLUSTERFS:
        return Call(options.get("device") or "%s:/%s%s" % (options["server"], options["volume"], options.get("path", "")),
                    "glusterfs", more)
    named = [("username", options.get("username")), ("domain", options.get("domain")),
             ("credentials", options.get("credentials_file"))]
    secret = options.get("password")
    source = options.get("device") or "//%s/%s" % (options["server"], options["share"])
    words = [*("%s=%s" % each for each in named if each[1]), *more]
    for each in list(words):
        if each.partition("=")[0] in ("password", "pass"):  # for the environment: a process list shows options to everybody
            secret = each.partition("=")[2]
            words.remove(each)
    return Call(source, "cifs", tuple(words), {} if secret is None else {"PASSWD": secret})


def check(driver: str, options: Mapping[str, str], size: Optional[int]) -> None:
    """Refuse what no mount can come of.

    Raises:
        InvalidValue: Names the option.
    """
    for key, value in options.items():
        if key not in _KEYS[driver]:
            raise InvalidValue("driver_options", key, "is no option of the driver '%s'" % driver,
                               "It has: %s" % ", ".join(_KEYS[driver]))
        pattern, form = _FORMS.get(key, (None, ""))
        if pattern is not None and not re.match(r"^(%s)\Z" % pattern, value):
            raise InvalidValue("driver_options." + key, value, "is not what it has to be", "Write %s" % form)
        if key in ("path", "device") and ".." in value.split("/"):
            raise InvalidValue("driver_options." + key, value, "has '..' in it", "Write a path without '..'")
    _complete(driver, options)
    if size is not None and driver != TMPFS and (driver != LOCAL or options):
        raise InvalidValue("size", size, "does not go with what is mounted from elsewhere, whose size is decided there",
                           "Leave it out, or set a quota on the server")


def _complete(driver: str, options: Mapping[str, str]) -> None:
    """What is needed, given together."""
    wanted: Sequence[str] = {NFS: ("server", "path"), CEPHFS: ("monitors",), GLUSTERFS: ("server", "volume"),
                             CIFS: ("server", "share")}.get(driver, ())
    given = [key for key in wanted if key in options]
    if "device" in options:
        for key in ("server", "path", "monitors", "volume", "share"):
            if key in options:
                raise InvalidValue("driver_options." + key, options[key], "does not go with 'device'", "Leave one of the two out")
        if driver == NFS and not options["device"].partition(":")[0] and not re.search(r"(^|,)addr=", options.get("o", "")):
            raise InvalidValue("driver_options.device", options["device"], "names no server", "Write SERVER:/PATH, or addr=SERVER in 'o'")
    elif driver != LOCAL:
        for key in wanted:
            if key not in given:
                raise InvalidValue("driver_options", dict(options), "lacks '%s', without which the driver '%s' has nothing to mount"
                                   % (key, driver), "Say it")
    if "password" in options and "credentials_file" in options:
        raise InvalidValue("driver_options.credentials_file", options["credentials_file"], "does not go with 'password'",
                           "Leave one of the two out")
    if driver == LOCAL and options:
        kind = options.get("type", "none")
        words = _split(options.get("o"))
        if kind == "none" and not any(each in _BINDS for each in words):
            raise InvalidValue("driver_options.type", kind, "mounts nothing", "Say a type of file system, or 'bind' in 'o'")
        if "device" not in options and kind != "tmpfs":
            raise InvalidValue("driver_options", dict(options), "lacks 'device'", "Say what shall be mounted")
        if (kind in ("none", *_BINDS)) and not options["device"].startswith("/"):
            raise InvalidValue("driver_options.device", options["device"], "is no absolute path", "Write the path of a folder")


def normal(driver: str, options: Mapping[str, str]) -> Tuple[str, Dict[str, str]]:
    """Driver and options as this module has them, where Docker's driver C(local) is told to mount what has a driver here."""
    kind = options.get("type", "")
    there = {"nfs": NFS, "nfs4": NFS, "tmpfs": TMPFS, "cifs": CIFS, "smb3": CIFS, "ceph": CEPHFS, "glusterfs": GLUSTERFS}.get(kind)
    if driver != LOCAL or there is None or set(options) - set(_KEYS[LOCAL]):
        return driver, dict(options)
    rest = {key: value for key, value in options.items() if key != "type"}
    if there == TMPFS:
        rest.pop("device", None)
    if kind == "nfs4" and "vers=" not in rest.get("o", ""):
        rest["o"] = ",".join(_split(rest.get("o")) + ("vers=4",))
    return there, rest


def flags_of(options: Sequence[str]) -> Tuple[int, List[str]]:
    """Options as mount(2) takes them: MS_* flags, and what is for the file system."""
    from ..kernel import mounts  # pylint: disable=import-outside-toplevel
    known = {"ro": mounts.MS_RDONLY, "nosuid": mounts.MS_NOSUID, "nodev": mounts.MS_NODEV, "noexec": mounts.MS_NOEXEC,
             "sync": mounts.MS_SYNCHRONOUS, "dirsync": mounts.MS_DIRSYNC, "noatime": mounts.MS_NOATIME,
             "nodiratime": mounts.MS_NODIRATIME, "relatime": mounts.MS_RELATIME, "strictatime": mounts.MS_STRICTATIME,
             "lazytime": mounts.MS_LAZYTIME, "bind": mounts.MS_BIND, "rbind": mounts.MS_BIND | mounts.MS_REC}
    flags, data = 0, []
    for each in options:
        if each in known:
            flags |= known[each]
        elif each not in ("rw", "suid", "dev", "exec", "async", "defaults", "_netdev", "nofail", "auto", "noauto"):
            data.append(each)
    return flags, data


def masked(options: Mapping[str, Any]) -> Dict[str, Any]:
    """Driver options as they may be shown, without passwords."""
    def shown(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [shown(key, each) for each in value]
        if value is None or key in _SECRET:
            return value and _HIDDEN
        return re.sub(r"\b(%s)=[^,]*" % "|".join(_SECRET), r"\1=" + _HIDDEN, str(value))
    return {key: shown(key, value) for key, value in options.items()}


def _split(text: Optional[Any]) -> Tuple[str, ...]:
    return tuple(each for each in str(text or "").split(",") if each)
