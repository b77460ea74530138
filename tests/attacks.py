# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground on which the runtime is attacked: a bundle in a test host, with or without a user namespace."""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional

from bundles import Bundle, Outcome, config
from hosts import Host

BASE = 100000
"""What a user namespace makes of root."""
SECONDS = float(os.environ.get("CORACLE_ATTACK_SECONDS") or 1)
"""How long each race is run at least, and its thousands of rounds are reached far earlier."""
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


class Ground(NamedTuple):
    """Where an attack takes place.

    Attributes:
        bundle: Its root file system is the attacker's.
        folder: The host's, of this test alone; what the attacker must not reach lies here.
        mapped: Whether containers have a user namespace.
    """

    host: Host
    bundle: Bundle
    folder: Path
    mapped: bool

    @property
    def root(self) -> Path:
        """The attacker's root file system."""
        return self.bundle.root

    def inside(self, scenario: Callable[[], Any]) -> Any:
        """Call a function within the test host."""
        return self.host.call(scenario)

    def document(self, **process: Any) -> Dict[str, Any]:
        """A configuration like a stock container's; arguments are members of its process."""
        document = config(**process)
        if self.mapped:
            document["linux"]["namespaces"].append({"type": "user"})
            for kind in ("uidMappings", "gidMappings"):
                document["linux"][kind] = [{"containerID": 0, "hostID": BASE, "size": 65536}]
        return document

    def program(self, code: str, **process: Any) -> Dict[str, Any]:
        """The same for a Python program, run by the host's Python, which the container sees read-only."""
        for name in ("lib", "lib64"):
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to("usr/" + name)
        document = self.document(args=["/usr/bin/python3", "-IS", "-c", code], **process)
        document["mounts"].append({"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]})
        return document

    def volume(self, name: str = "volume") -> Path:
        """A folder of the host that the container gets; show it with C(show)."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def give(self, *folders: Path) -> None:
        """Let all below some folders belong to the container's root."""
        if not self.mapped:
            return
        for top in folders:
            for folder, names, files in os.walk(top):
                for path in (folder, *(os.path.join(folder, each) for each in names + files)):
                    if os.lstat(path).st_uid == 0:
                        os.lchown(path, BASE, BASE)

    def run(self, document: Dict[str, Any], *volumes: Path, **options: Any) -> Outcome:
        """Run a container of the attacker's; to be called within the test host.

        Raises:
            EngineError: It was refused.
        """
        self.give(self.root, *volumes)
        return self.bundle.run(document, **options)

    def shell(self, script: str, changes: Optional[Callable[[Dict[str, Any]], None]] = None, **options: Any) -> Outcome:
        """Run a shell script in a stock container, whose configuration a function may change; from outside."""
        document = self.document(args=["sh", "-c", script])
        if changes is not None:
            changes(document)
        done: Outcome = self.inside(lambda: self.run(document, **options))
        return done


def show(document: Dict[str, Any], source: Path, destination: str, *options: str) -> None:
    """Add a bind mount to a configuration."""
    document["mounts"].append({"destination": destination, "source": str(source), "type": "bind",
                               "options": ["rbind", *options]})


def outward(target: Path) -> str:
    """A link's text that leads to a path of the host if it is followed without regard to the root."""
    return "/.." * 12 + str(target)


@contextmanager
def swapped(one: Path, other: Path) -> Iterator[None]:
    """While this lasts, another thread exchanges the two without pause (renameat2(2))."""
    end = threading.Event()
    libc = ctypes.CDLL(None)

    def swap() -> None:
        while not end.is_set():
            libc.renameat2(_AT_FDCWD, bytes(one), _AT_FDCWD, bytes(other), _RENAME_EXCHANGE)
    racer = threading.Thread(target=swap)
    racer.start()
    try:
        yield
    finally:
        end.set()
        racer.join()


class Refused(NamedTuple):
    """An attempt that the engine did not make."""

    why: str


def attempt(step: Callable[[], Any]) -> Any:
    """What a step returns, or that and why the engine refused it."""
    from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError
    try:
        return step()
    except (EngineError, OSError) as error:
        return Refused(str(error))
