# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service has mounted: volumes, folders of the host, memory, secrets and configs."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .findings import Unsupported, Wrong
from .services import Service, Setting

_TMPFS_OPTIONS = ("nosuid", "nodev", "noexec", "suid", "dev", "exec", "noatime", "relatime", "sync")
_OTHERS = {"cluster": "is a volume of Docker Swarm", "npipe": "is of Windows", "image": "mounts an image"}


def volumes_of(said: Mapping[str, Any]) -> List[str]:
    """The keys of the named volumes that a service itself mounts."""
    return [str(row["source"]) for row in said.get("volumes", ()) if row.get("type", "volume") == "volume" and row.get("source")]


def mounts_of(setting: Setting, name: str, above: Tuple[str, ...] = ()) -> List[Tuple[str, Dict[str, Any]]]:
    """The mounts of a service, those of C(volumes_from) beneath its own, each with the key that says it.

    Raises:
        Wrong: Services take volumes from one another in a circle.
    """
    if name in above:
        raise Wrong("goes round in a circle: " + " -> ".join((*above, name)))
    said = setting.services[name]
    found: Dict[str, Tuple[str, Dict[str, Any]]] = {}
    for text in said.get("volumes_from", ()):
        other, _colon, access = text.partition(":")
        if other == "container":
            raise Unsupported("'%s' names a container that the project does not know; name the volumes themselves" % text)
        if other not in setting.services:
            raise Wrong("names the service '%s', which there is not" % other)
        for _key, row in mounts_of(setting, other, (*above, name)):
            found[str(row.get("target"))] = ("volumes_from", dict(row, read_only=True) if access == "ro" else row)
    for row in said.get("volumes", ()):
        found[str(row.get("target"))] = ("volumes", row)
    return list(found.values())


def _mounts(service: Service) -> None:
    found: Dict[str, Dict[str, Any]] = {}
    try:
        said = mounts_of(service.setting, service.name)
    except Wrong as error:
        service.wrong("volumes_from", str(error))
        said = []
    except Unsupported as error:
        service.unsupported("volumes_from", str(error))
        said = []
    for key, row in said:
        try:
            entry = _mount(service, row)
            found[entry["target"]] = entry
        except Wrong as error:
            service.wrong(key, str(error))
        except Unsupported as error:
            service.unsupported(key, str(error))
    for text in service.said.get("tmpfs", ()):
        try:
            entry = _tmpfs(text)
            found[entry["target"]] = entry
        except ValueError as error:
            service.wrong("tmpfs", "'%s' %s" % (text, error))
    service.put("mounts", list(found.values()), "volumes" if said else "tmpfs")


def _mount(service: Service, row: Mapping[str, Any]) -> Dict[str, Any]:
    kind, source, target = row.get("type", "volume"), row.get("source"), row.get("target")
    if kind in _OTHERS:
        raise Unsupported("the type '%s' %s" % (kind, _OTHERS[kind]))
    if not target:
        raise Wrong("has an entry without a target")
    if not target.startswith("/"):
        raise Wrong("has the target '%s', which is no absolute path" % target)
    entry: Dict[str, Any] = {"type": kind, "target": "/" + "/".join(part for part in target.split("/") if part not in ("", "."))}
    if row.get("read_only"):
        entry["read_only"] = True
    if row.get("options"):
        entry["options"] = sorted(row["options"])
    if kind == "tmpfs":
        entry.update({key: value for key, value in sorted(row.get("tmpfs", {}).items()) if value != "0"})
    elif kind == "bind":
        if not source:
            raise Wrong("has a bind mount without a source (%s)" % target)
        entry["source"] = service.setting.on_host(source)
        if row.get("bind", {}).get("propagation"):
            entry["propagation"] = row["bind"]["propagation"]
        if row.get("bind", {}).get("create_host_path") and "create_host_path" in service.setting.mount_options:
            entry["create_host_path"] = True
    else:
        entry["source"] = str(source) if source else _anonymous(service, entry["target"])
        if row.get("volume", {}).get("nocopy"):
            if "no_copy" not in service.setting.mount_options:
                raise Unsupported("'nocopy' is not there: %s" % target)
            entry["no_copy"] = True
    return entry


def _anonymous(service: Service, target: str) -> str:
    """The key of a volume that has no name: one that follows from where it appears, so that it is found again."""
    if service.found.get("replicas", 1) > 1:
        raise Unsupported("a volume without a name (%s) would be one for each replica; all of a service mount the same here" % target)
    return anonymous_key(service.name, target)


def anonymous_key(name: str, target: str) -> str:
    """C(web) and C(/var/lib/data) as C(web-var-lib-data)."""
    return "%s-%s" % (name, re.sub(r"[^a-zA-Z0-9_.-]+", "-", target.strip("/")))


def _tmpfs(text: str) -> Dict[str, Any]:
    target, _colon, rest = text.partition(":")
    if not target.startswith("/"):
        raise ValueError("has a target that is no absolute path")
    entry: Dict[str, Any] = {"type": "tmpfs", "target": "/" + "/".join(part for part in target.split("/") if part)}
    for each in filter(None, rest.split(",")):
        key, _equals, value = each.partition("=")
        if key == "size":
            entry["size"] = value
        elif key == "mode":
            entry["mode"] = "%04o" % int(value, 8)
        elif key in ("uid", "gid") and value.isdecimal():
            entry[key] = int(value)
        elif key == "ro":
            entry["read_only"] = True
        elif key in _TMPFS_OPTIONS:
            entry.setdefault("options", []).append(key)
        elif key != "rw":
            raise ValueError("has '%s', which is no option of a tmpfs here" % each)
    return entry


def _contents(service: Service) -> None:
    """Secrets and configs, with their places inside written out."""
    for part, folder in (("secrets", "/run/secrets"), ("configs", "/")):
        found = []
        for row in service.said.get(part, ()):
            source = row.get("source")
            if not source:
                service.wrong(part, "has an entry without a source")
                continue
            entry: Dict[str, Any] = {"source": source, "target": os.path.normpath(os.path.join(folder, row.get("target") or source)),
                                     "mode": row.get("mode", "0444"), "uid": row.get("uid", 0), "gid": row.get("gid", 0)}
            found.append(entry)
        service.put(part, found, part)


def missing(setting: Setting, name: str, declared: Mapping[str, Mapping[str, Any]]) -> List[Tuple[str, Optional[str], str]]:
    """What a service names and the project does not declare: the key, and the text that says so."""
    said = setting.services[name]
    found = []
    for part, names in (("volumes", volumes_of(said)), ("networks", list(said.get("networks") or ())),
                        ("secrets", [row.get("source") for row in (*said.get("secrets", ()), *said.get("build", {}).get("secrets", ()))]),
                        ("configs", [row.get("source") for row in said.get("configs", ())])):
        for key in names:
            if key and key not in declared[part] and not (part == "networks" and key == "default"):
                found.append((part, key, "names '%s', which the project does not declare in its '%s'" % (key, part)))
    return found


STEPS: Tuple[Callable[[Service], None], ...] = (_mounts, _contents)
"""What is done to a service, in order."""
