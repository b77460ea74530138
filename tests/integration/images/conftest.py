# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One suite for all forms of layers: each test that asks for C(store) runs once for each."""

from __future__ import annotations

import errno
import itertools
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Sequence

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import KernelError
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import layers, overlay
from hosts import Host

_numbers = itertools.count(1)


class Store:
    """A store of its own on a test host, that makes layers of one form.

    Attributes:
        form: C(erofs), C(loop) (an EROFS image through a loop device, as before Linux 6.12) or C(directory).
        folder: Of the test, for whatever it likes.
    """

    def __init__(self, host: Host, form: str) -> None:
        self.host = host
        self.form = form
        self.wanted = "directory" if form == "directory" else "erofs"
        self.folder = host.folder / ("store-%d" % next(_numbers))
        self.instance = Instance(str(self.folder / "state"), str(self.folder / "run"), host.cgroup_root)
        self.folder.mkdir()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on the host, with this form."""
        def inside() -> Any:
            if self.form == "loop":
                _refuse_files()
            return function(*arguments)
        return self.host.call(inside)

    def ingest(self, content: bytes, lowers: Sequence[str] = ()) -> str:
        """Store a layer; its diff ID."""
        return str(self.call(lambda: layers.ingest(self.instance, iter([content]), "test.tar", wanted=self.wanted,
                                                   lowers=lowers).diff_id))

    def mount(self, *stack: str, upper: Optional[str] = None, name: str = "root") -> Path:
        """Mount an overlay with upper folder C(upper), if given; where."""
        target = self.folder / name
        target.mkdir(exist_ok=True)
        for each in (upper, upper and upper + ".work"):
            if each:
                (self.folder / each).mkdir(exist_ok=True)
        self.call(lambda: overlay.mount(self.instance, stack, str(target), upper and str(self.folder / upper),
                                        upper and str(self.folder / (upper + ".work"))))
        return target

    def unmount(self, target: Path) -> bool:
        """Unmount an overlay."""
        return bool(self.call(lambda: overlay.unmount(self.instance, str(target))))

    def shell(self, script: str) -> str:
        """Run a shell script in the test's folder on the host."""
        return self.host.shell("cd '%s'\n%s" % (self.folder, script))


def _refuse_files() -> None:
    """Be a kernel that cannot mount an EROFS image from a file (before Linux 6.12); in this process only."""
    real = mounts.new_file_system

    def old(fstype: str, options: Any, attributes: int = 0) -> int:
        if fstype == "erofs" and not dict(options)["source"].startswith("/dev/"):
            raise KernelError("fsconfig", errno.ENOTBLK, fstype)
        return real(fstype, options, attributes)
    mounts.new_file_system = old


@pytest.fixture(params=["erofs", "loop", "directory"])
def store(shared_host: Host, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store for one test; its layers are not mounted any more when the test ends."""
    made = Store(shared_host, request.param)
    yield made
    shared_host.shell("grep -c '%s' /proc/self/mountinfo && exit 1 || true" % made.folder)
