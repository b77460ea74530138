# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling an image: its layers at once, each fetched, verified, decompressed and written in one go.

What has come of a layer when a pull breaks off stays as a part in C(ingest/), and the next run goes on from there;
the store itself is then as it was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
from contextlib import ExitStack
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from ..errors import Corrupt, EngineError
from ..instance import Instance
from ..layer import layers
from ..registry import fetch
from ..store import blobs, files
from . import importing, progress, remote

AT_ONCE = 3
"""How many layers come at the same time."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Stopped(EngineError):
    """Another layer's failure has ended this one."""


def pull(instance: Instance, offer: remote.Offer, wanted: str = layers.AUTO) -> int:
    """Bring an image into the store and let its name point to it.

    Two pulls that share a layer do the work once: the locks of all layers are held to the end.

    Args:
        wanted: The form of the layers.

    Returns: Bytes of the layers that were fetched.

    Raises:
        RegistryError: The registry could not be reached, or broke off too often.
        Corrupt: A layer is not what its digest says, however often it is fetched.
        OSError: The disk is full; then no part is left either.
    """
    digests = {*offer.image.diff_ids, *(each.digest for each in offer.layers), offer.digest, offer.image.id}
    with importing.locked(instance, offer.image.diff_ids), \
            importing.additions(instance, digests, resumable=True) as added, ExitStack() as guards:
        lacking = remote.missing(instance, offer)
        coming = sum(each.blob.size - each.there for each in lacking)
        _check_room(instance, offer, coming)
        try:
            Pulling(instance, offer, wanted, _watch(offer, lacking, guards), added).run(lacking)
            importing.conclude(instance, added, offer.reference, offer.manifest, offer.media_type, offer.config,
                               offer.remote)
        except OSError as error:
            if error.errno in _FULL:
                added.resumable = False
                for each in lacking:
                    files.remove(blobs.part_path(instance, each.blob.digest))
            raise
    return coming


def _watch(offer: remote.Offer, lacking: Sequence[remote.Missing], guards: ExitStack) -> fetch.Watch:
    """What is told the progress: a file, if somebody wants to see one."""
    path = os.environ.get(progress.VARIABLE)
    if not path:
        return lambda _digest, _size: None
    try:
        reporter = progress.Reporter(path, offer.reference, lacking)
    except OSError:
        return lambda _digest, _size: None
    guards.callback(reporter.close)
    return reporter.watch


def _check_room(instance: Instance, offer: remote.Offer, coming: int) -> None:
    status = os.statvfs(instance.state_root)
    free = status.f_bavail * status.f_frsize
    if coming > free:
        raise OSError(errno.ENOSPC, "%s: %d bytes would come, and %d are free" % (offer.reference, coming, free),
                      instance.state_root)


class Pulling:
    """A pull under way.

    Args:
        added: Is told what comes into the store.
    """

    def __init__(self, instance: Instance, offer: remote.Offer, wanted: str, watch: fetch.Watch,
                 added: importing.Additions) -> None:
        self._instance = instance
        self._offer = offer
        self._wanted = wanted
        self._watch = watch
        self._added = added
        self._done: Dict[str, threading.Event] = {}
        self._failure: Optional[BaseException] = None
        self._lock = threading.Lock()

    def run(self, lacking: Sequence[remote.Missing]) -> None:
        """Fetch the layers, some at once; raises what the first failure was."""
        self._done = {each.diff_id: threading.Event() for each in lacking}
        layers.choose_form(self._instance, self._wanted)  # tried once, before there are threads
        waiting = list(lacking)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)  # threads that wait for a turn to hand on a chunk wait less
        try:
            if len(waiting) == 1:
                self._layer(waiting[0])
            else:
                self._with_threads(waiting)
        finally:
            sys.setswitchinterval(interval)
        if self._failure is not None:
            raise self._failure

    def _with_threads(self, waiting: List[remote.Missing]) -> None:
        def work() -> None:
            while True:
                with self._lock:
                    if not waiting or self._failure is not None:
                        return
                    one = waiting.pop(0)
                self._layer(one)
        threads = [threading.Thread(target=work, daemon=True) for _number in range(min(AT_ONCE, len(waiting)))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:  # such as an interrupt: the threads must not write on while it is taken back
            self._fail(error)
            for thread in threads:
                thread.join()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._failure is None:
                self._failure = error
        for event in self._done.values():
            event.set()

    def _layer(self, one: remote.Missing) -> None:
        try:
            for attempt in (1, 2, 3):
                try:
                    self._attempt(one, attempt)
                    break
                except Corrupt:
                    if self._failure is not None or self._as_pushed(one) or attempt == 3:
                        raise
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self._fail(error)
            return
        self._done[one.diff_id].set()

    def _as_pushed(self, one: remote.Missing) -> bool:
        """Whether a blob that cannot be used is what its digest says, so that fetching it again would not help."""
        blob = one.blob
        if blobs.size(self._instance, blob.digest) is not None:
            return True
        found = hashlib.new(blobs.split(blob.digest)[0])
        with blobs.Part(self._instance, blob.digest) as part:
            for chunk in fetch.chunks(self._offer.repository, blob.digest, blob.size, part, self._told, urls=blob.urls):
                found.update(chunk)
            part.discard()
        return found.hexdigest() == blobs.split(blob.digest)[1]

    def _attempt(self, one: remote.Missing, attempt: int) -> None:
        """Fetch and store one layer; from the registry itself where what came was not what its digest says."""
        instance, blob = self._instance, one.blob
        name = "%s: layer %s" % (self._offer.repository.name, blob.digest)
        at = self._offer.image.diff_ids.index(one.diff_id)
        lowers = self._offer.image.diff_ids[:at]
        present = layers.find(instance, one.diff_id)
        if blobs.size(instance, blob.digest) == blob.size:
            with open(blobs.path(instance, blob.digest), "rb") as stream:
                layers.ingest(instance, _file(stream.fileno(), self._check), name, blob.digest, one.diff_id, self._wanted,
                              lowers, await_lowers=self._waits_for(lowers), noted=self._added)
            return
        with blobs.Part(instance, blob.digest) as part:
            chunks = fetch.chunks(self._offer.repository, blob.digest, blob.size, part, self._told, attempt == 1, blob.urls)
            if present is not None:
                importing.another_blob(instance, self._added, chunks, name, blob.digest, one.diff_id)
                part.discard()
                return
            layers.ingest(instance, chunks, name, blob.digest, one.diff_id, self._wanted, lowers, part=part,
                          await_lowers=self._waits_for(lowers), noted=self._added)

    def _told(self, digest: str, size: int) -> None:
        self._check()
        self._watch(digest, size)

    def _check(self) -> None:
        if self._failure is not None:
            raise Stopped("%s: the pull has failed" % self._offer.reference)

    def _waits_for(self, lowers: Sequence[str]) -> Callable[[], None]:
        """Layers are begun from the lowest on, so that one which waits for those below waits for none that waits for it."""
        def wait() -> None:
            for diff_id in lowers:
                if diff_id in self._done:
                    self._done[diff_id].wait()
            self._check()
        return wait


def _file(handle: int, check: Callable[[], None]) -> Iterator[bytes]:
    while True:
        check()
        chunk = os.read(handle, 1 << 18)
        if not chunk:
            return
        yield chunk
