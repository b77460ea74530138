# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collection leaves alone, and what becomes of an import when the disk is full."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError, NotFound
from ansible_collections.coracle.containers.plugins.module_utils.engine.image import archives, choosing, garbage, images, importing
from ansible_collections.coracle.containers.plugins.module_utils.engine.instance import Instance
from ansible_collections.coracle.containers.plugins.module_utils.engine.layer import layers
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import blobs, leases

from hosts import Host
from imagery import Image, digest, files, layout, write_folder


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """A store that needs no mount: its layers are folders."""
    made = Instance(str(tmp_path / "state"), str(tmp_path / "run"), "/none")
    blobs.prepare(made)
    return made


def ingest(instance: Instance, content: bytes) -> str:
    return layers.ingest(instance, iter([content]), "test", wanted="directory").diff_id


def test_a_collection_takes_what_nobody_needs_and_says_how_much(instance: Instance) -> None:
    """The bytes are those of the disk: the blob, and the layer's folder with its files."""
    diff_id = ingest(instance, files({"a": b"1" * 100000}))
    found = garbage.collect(instance)
    assert (found.layers, found.blobs, found.parts) == ((diff_id,), (diff_id,), ())
    assert 200000 < found.size < 300000
    assert garbage.collect(instance) == ((), (), (), 0, {})


def test_leases(instance: Instance) -> None:
    """What is leased stays, be it there or not; what a dead process has leased does not."""
    content = files({"a": b"1"})
    with leases.held(instance, [digest(content)]):
        diff_id = ingest(instance, content)
        assert garbage.collect(instance).layers == ()
        assert layers.find(instance, diff_id) is not None
        pid = os.fork()
        if pid == 0:
            lease = leases.held(instance, ["sha256:" + "0" * 64])
            lease.__enter__()
            os._exit(0)
        os.waitpid(pid, 0)
        assert len(os.listdir(instance.state("leases"))) == 2
        garbage.collect(instance)
        assert len(os.listdir(instance.state("leases"))) == 1
    assert os.listdir(instance.state("leases")) == []
    assert garbage.collect(instance).layers == (diff_id,)


def test_an_import_whose_digests_are_known_is_not_waited_for(instance: Instance) -> None:
    """A collection in the middle of an import returns at once and takes nothing of it, not even what is half written."""
    content = files({"a": b"1" * 3000000})
    begun, go_on = threading.Event(), threading.Event()
    stored: List[Any] = []

    def chunks() -> Any:
        yield content[:2000000]
        begun.set()
        assert go_on.wait(30)
        yield content[2000000:]

    def work() -> None:
        with importing.additions(instance, [digest(content)]) as added:
            stored.append(importing.add_layer(instance, added, chunks, "test", "", digest(content), "directory", ()))
            stored.append(garbage.collect(instance))
    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    broken = instance.state("ingest", "layer-1-broken-off")
    Path(broken).write_bytes(b"x" * 5000)
    first = garbage.collect(instance)
    assert [part.path for part in first.parts] == [broken] and first.size == 8192
    go_on.set()
    thread.join()
    assert stored[0][1] == digest(content) and stored[1].layers == ()
    assert garbage.collect(instance).layers == (digest(content),)


GOOD, BAD = files({"good": b"g" * 100000}), files({"bad": b"b" * 100000})


class Lying(archives.Archive):
    """An archive one of whose layers is something else, told when somebody has waited for it."""

    def __init__(self, path: str, here: int, go_on: int) -> None:
        super().__init__(path)
        self._pipes = here, go_on

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bad layer's content only when it may come."""
        if digest(BAD)[7:] in name:
            stop(*self._pipes)
            yield b"something else"
        else:
            yield from super().chunks(name)


def stop(here: int, go_on: int) -> None:
    """Say that one is here, and wait."""
    os.write(here, b"x")
    assert os.read(go_on, 1)


def process(work: Callable[[], Any]) -> int:
    """Work in a process of its own, whose status is 0 when it succeeds and 1 when it fails as an import does."""
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except EngineError:
            os._exit(1)
        finally:
            os._exit(2)
    return pid


def waits_for_a_lock(pid: int) -> bool:
    return any(line.split()[1] == "->" and str(pid) in line.split() for line in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("kind", ["archive", "root"])
def test_what_a_failed_import_takes_back_is_not_what_another_has_found(instance: Instance, tmp_path: Path, kind: str) -> None:
    """One process has stored a layer that two need, and fails; the other one's image is whole nevertheless."""
    source = str(write_folder(tmp_path / "source", layout({"one": Image([GOOD, BAD]), "two": Image([GOOD])})))
    here, go_on = os.pipe(), os.pipe()

    def config(diff_id: str) -> Dict[str, Any]:
        return {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}

    def failing(diff_id: str) -> Dict[str, Any]:
        stop(here[1], go_on[0])
        raise NotFound("%s has no config" % diff_id)

    def bring(name: str, archive: archives.Archive) -> None:
        importing.import_archive(instance, archive, choosing.choose(archive, "oci", name, name), "docker.io/x/%s:1" % name, "directory")
    if kind == "archive":
        first = process(lambda: bring("one", Lying(source, here[1], go_on[0])))
    else:
        first = process(lambda: importing.import_root(instance, iter([GOOD]), "one", None, failing, "docker.io/x/one:1", "directory"))
    assert os.read(here[0], 1)
    assert layers.find(instance, digest(GOOD)) is not None, "the first has stored it"
    if kind == "archive":
        second = process(lambda: bring("two", archives.Archive(source)))
    else:
        second = process(lambda: importing.import_root(instance, iter([GOOD]), "two", None, config, "docker.io/x/two:1", "directory"))
    ended = 0
    while not ended and not waits_for_a_lock(second):
        ended = os.waitpid(second, os.WNOHANG)[0]
        time.sleep(0.01)
    os.write(go_on[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) == 1
    if not ended:
        assert os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]) == 0
    assert images.find(instance, "docker.io/x/one:1") is None
    found = images.need(instance, "docker.io/x/two:1")
    assert garbage.missing(instance, found) == () and found.diff_ids == (digest(GOOD),)
    assert [each for each in blobs.every(instance) if each == digest(BAD)] == [] and os.listdir(instance.state("ingest")) == []
    for pipe in (*here, *go_on):
        os.close(pipe)


def test_an_import_that_is_killed(instance: Instance, tmp_path: Path) -> None:
    """It leaves no name, and nothing that a collection would not take; the next import does not mind what it finds."""
    source = str(write_folder(tmp_path / "source", layout({"one": Image([GOOD, BAD])})))

    def bring(archive: archives.Archive) -> None:
        importing.import_archive(instance, archive, choosing.choose(archive, "oci", "one", "one"), "docker.io/x/one:1", "directory")
    here, go_on = os.pipe(), os.pipe()
    for again in (False, True):
        killed = process(lambda: bring(Lying(source, here[1], go_on[0])))
        assert os.read(here[0], 1)
        os.kill(killed, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGKILL
        assert images.find(instance, "docker.io/x/one:1") is None and os.listdir(instance.state("ingest"))
        if again:
            bring(archives.Archive(source))
            assert garbage.missing(instance, images.need(instance, "docker.io/x/one:1")) == ()
        garbage.collect(instance)
        assert os.listdir(instance.state("ingest")) == os.listdir(instance.state("leases")) == []
        assert list(layers.every(instance)) == (sorted([digest(GOOD), digest(BAD)]) if again else [])
    for pipe in (*here, *go_on):
        os.close(pipe)


def test_parts_of_downloads_are_kept_for_a_while(instance: Instance) -> None:
    part = Path(instance.state("ingest", leases.KEPT + "sha256-" + "0" * 64))
    part.write_bytes(b"half")
    assert garbage.collect(instance).parts == ()
    os.utime(part, (1, 1))
    assert [each.path for each in garbage.collect(instance).parts] == [str(part)]
    assert not part.exists()


def test_a_full_disk(shared_host: Host, tmp_path: Path) -> None:
    """Wherever the room ends, the error says so and the store is what it was; with room again all is well."""
    small = Image([files({"small": b"s" * 10000})])
    large = Image([files({"random": os.urandom(9 << 20)}), files({"more": os.urandom(1 << 20)})])
    source = str(write_folder(tmp_path / "layout", layout({"small": small, "large": large})))
    state = "/var/lib/small"
    shared_host.shell("mkdir %s; mount -t tmpfs -o size=64m tmpfs %s" % (state, state))
    try:
        def run(**arguments: Any) -> Any:
            return shared_host.module("container_image", state_root=state, **arguments)

        def listing() -> str:
            return shared_host.shell("cd %s; ls refs; find blobs layers ingest index.json ! -type d -printf '%%p %%s\n' | sort"
                                     % state)
        run(name="small", source=source, source_reference="small")
        run(name="small", state="tagged", tags=["other"])
        before = listing()
        kib = int(shared_host.shell("df --output=avail -k %s | tail -1" % state))
        for left in (0, 600, 10300):  # KiB: for nothing, a beginning, the blob alone
            shared_host.shell("dd if=/dev/zero of=%s/filler bs=1024 count=%d 2>/dev/null || true" % (state, kib - left))
            for name in ("large", "small"):  # a new name, and one that would move
                result = run(name=name, source=source, source_reference="large", fail=True)
                assert result["msg"].startswith("the disk that holds /var/lib/small is full"), result["msg"]
                assert listing() == before
            if left == 0:
                assert run(name="other", state="absent")["changed"], "a name goes without room"
                shared_host.shell("rm %s/filler" % state)
                run(name="small", state="tagged", tags=["other"])
                assert listing() == before
            shared_host.shell("rm -f %s/filler" % state)
        assert run(name="large", source=source, source_reference="large")["image"]["id"] == large.id
    finally:
        shared_host.shell("umount %s" % state)


def test_pointing_a_name_is_all_or_nothing(instance: Instance) -> None:
    """A name and the index that is derived from the names change together."""
    images.point(instance, "docker.io/library/a:1", "type", "sha256:" + "0" * 64, 1)
    os.mkdir(instance.state("index.json.d"))
    os.rename(instance.state("index.json"), instance.state("kept"))
    os.mkdir(instance.state("index.json"))  # nothing can be renamed over it
    os.mkdir(instance.state("index.json", "x"))
    with pytest.raises(OSError, match="directory"):
        images.point(instance, "docker.io/library/b:1", "type", "sha256:" + "1" * 64, 1)
    assert [name for name in os.listdir(instance.state("refs")) if name.startswith(".")] == []
