# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems as images: a folder or a tarball becomes one layer, options become the config."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, Mapping

from ..instance import Instance
from ..layer import pack, whiteouts
from ..store import notes, streams
from . import platforms

CONFIG_OPTIONS = ("entrypoint", "cmd", "env", "working_dir", "user", "exposed_ports", "labels", "volumes",
                  "stop_signal", "created")
NOTE = "root"
"""What the digest of a root file system is noted as."""


def make_config(options: Mapping[str, Any], diff_id: str) -> Dict[str, Any]:
    """The config document (image-spec, config.md) for one layer; nothing in it depends on when or where it is made."""
    inner = {
        "Entrypoint": options.get("entrypoint") or None,
        "Cmd": options.get("cmd") or None,
        "Env": ["%s=%s" % each for each in sorted((options.get("env") or {}).items())] or None,
        "WorkingDir": options.get("working_dir") or None,
        "User": options.get("user") or None,
        "ExposedPorts": {port: {} for port in options.get("exposed_ports") or ()} or None,
        "Labels": options.get("labels") or None,
        "Volumes": {path: {} for path in options.get("volumes") or ()} or None,
        "StopSignal": options.get("stop_signal") or None,
    }  # type: Dict[str, Any]
    architecture, variant = platforms.platform()
    config = {
        "architecture": architecture, "os": "linux",
        "config": {key: value for key, value in inner.items() if value is not None},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created_by": "root file system"}],
    }  # type: Dict[str, Any]
    if variant:
        config["variant"] = variant
    if options.get("created"):
        config["created"] = options["created"]
        config["history"][0]["created"] = options["created"]
    return config


def options_of(config: Mapping[str, Any]) -> Dict[str, Any]:
    """What the options of a config would be; the reverse of C(make_config)."""
    inner = config.get("config") or {}
    env = {}
    for each in inner.get("Env") or ():
        key, _equals, value = each.partition("=")
        env[key] = value
    return {
        "entrypoint": inner.get("Entrypoint") or None, "cmd": inner.get("Cmd") or None, "env": env or None,
        "working_dir": inner.get("WorkingDir") or None, "user": inner.get("User") or None,
        "exposed_ports": sorted(inner.get("ExposedPorts") or ()) or None, "labels": inner.get("Labels") or None,
        "volumes": sorted(inner.get("Volumes") or ()) or None, "stop_signal": inner.get("StopSignal") or None,
        "created": config.get("created"),
    }


def chunks(path: str) -> Iterator[bytes]:
    """The tar stream of a folder, or a tarball as it is."""
    if os.path.isdir(path):
        return pack.pack(path, allowed=whiteouts.allowed_xattr)
    return _file_chunks(path)


def _file_chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        yield from streams.read_chunks(stream)


# The digest of a source, without reading it again where nothing has changed

def identity(instance: Instance, path: str) -> str:
    """Diff ID of a folder as a layer, or digest of a tarball as stored.

    The note of an earlier import serves as long as no file has changed; else everything is read.
    """
    import hashlib  # pylint: disable=import-outside-toplevel

    def compute() -> str:
        found = hashlib.sha256()
        for chunk in chunks(path):
            found.update(chunk)
        return "sha256:" + found.hexdigest()
    return notes.recalled_or(instance, NOTE, path, compute)
