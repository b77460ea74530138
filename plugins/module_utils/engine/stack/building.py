# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that a service says how to build: by the host's own builder, and from it into the store.

Source: buildah-build(1), containers-transports(5).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, List, Mapping

from ..container import secret_files
from ..errors import EngineError, NotFound, Unsupported
from ..image import archives, choosing, importing, references
from ..instance import Instance
from ..kernel import commands

_PROGRAM = "buildah"


def build(instance: Instance, name: str, said: Mapping[str, Any]) -> None:
    """Build an image and bring it into the store. The builder keeps its own, so that a later build finds the layers.

    Args:
        name: That it shall have.
        said: The options of the definition's C(build).

    Raises:
        Unsupported: The host has no builder.
        EngineError: The build fails; tells the last lines of what the builder wrote.
    """
    name, program = references.normal(name), commands.find(_PROGRAM)
    if program is None:
        raise Unsupported("the image '%s' is to be built, and the host has no %s" % (name, _PROGRAM),
                          "Install the package %s, or bring the image with coracle.containers.container_image" % _PROGRAM)
    context = str(said["context"])
    if context.startswith("/") and not os.path.isdir(context):
        raise NotFound("the image '%s' is to be built from %s, which is no folder of the host" % (name, context),
                       "Bring it there first")
    folder = tempfile.mkdtemp(prefix=".build-", dir=instance.state_root)  # on the disk: an image may be larger than the memory
    try:
        _run([program, "build", "--tag", name, *_arguments(instance, said, folder), context], name)
        path = os.path.join(folder, "image.tar")
        _run([program, "push", "--quiet", name, "oci-archive:%s:%s" % (path, name)], name)
        archive = archives.Archive(path)
        try:
            found = choosing.choose(archive, archives.detect(path), None, name)
            for each in (name, *(said.get("tags") or ())):
                importing.import_archive(instance, archive, found, each, "auto")
        finally:
            archive.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _arguments(instance: Instance, said: Mapping[str, Any], folder: str) -> List[str]:
    """What the builder is told."""
    found: List[str] = ["--quiet"]
    if said.get("dockerfile_inline"):
        path = os.path.join(folder, "Dockerfile")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(said["dockerfile_inline"])
        found += ["--file", path]
    elif said.get("dockerfile"):
        found += ["--file", os.path.join(str(said["context"]), said["dockerfile"])]
    for option, key in (("--target", "target"), ("--network", "network"), ("--shm-size", "shm_size")):
        if said.get(key):
            found += [option, str(said[key])]
    for option, key, between in (("--build-arg", "args", "="), ("--label", "labels", "="), ("--build-context", "additional_contexts", "="),
                                 ("--add-host", "extra_hosts", ":")):
        for name, value in (said.get(key) or {}).items():
            found += [option, str(name) if value is None else "%s%s%s" % (name, between, value)]
    found += ["--no-cache"] * bool(said.get("no_cache")) + ["--pull-always"] * bool(said.get("pull"))
    for row in said.get("secrets") or ():  # which are files in memory already
        found += ["--secret", "id=%s,src=%s" % (row["target"], secret_files.folder(instance, "store", row["source"]))]
    if said.get("platforms"):
        found += ["--platform", ",".join(said["platforms"])]
    return found


def _run(arguments: List[str], name: str) -> None:
    done = commands.run(arguments, environment={"HOME": os.environ.get("HOME", "/root")})
    if done.status != 0:
        words = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-8:]
        raise EngineError("the image '%s' could not be built: '%s' ended with %d: %s" % (
            name, " ".join(arguments[1:2]), done.status, " / ".join(words)), "Correct its Dockerfile or context")
