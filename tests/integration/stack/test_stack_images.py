# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of stacks: those that a tag has left, and those that are built on the host."""

from __future__ import annotations

import shutil
from typing import Any, Dict

import pytest

import busybox
from imagery import Image
from registries import Registry
from stacks import Stacks, service


def image_of(result: Dict[str, Any], name: str) -> str:
    """The ID of the image of a service's container."""
    return str(result["stack"]["services"][name]["containers"][0]["image_id"])


def test_going_back_brings_the_image_that_a_tag_has_left(stack: Stacks) -> None:
    layer = busybox.tar()
    registry = Registry(stack.host)
    try:
        app = {"app": service(image="%s/app:1" % registry.address, pull="always", registry={"plain_http": True})}
        found = []
        for version in ("1", "2"):
            registry.put("app", "1", Image([layer], packed=True, config={"Env": ["PATH=/bin", "VERSION=" + version]}))
            foreseen = stack("tags", app, state="pulled", check_mode=True)
            fetched = stack("tags", app, state="pulled")
            assert fetched["plan"] == foreseen["plan"] and [each["kind"] for each in fetched["operations"]] == ["image"]
            assert not stack("tags", app, state="pulled")["changed"] and len(stack.names_running()) == len(found)
            found.append(image_of(stack("tags", app), "app"))
    finally:
        registry.close()
    assert found[0] != found[1]
    back = stack("tags", state="rolled_back")
    assert image_of(back, "app") == found[0] and back["operations"][0]["options"] == ["image", "env"]
    assert not stack("tags", state="rolled_back")["changed"]
    stack("tags", state="absent")
    assert "localhost/coracle-stack" not in stack.host.shell("cat /var/lib/coracle/index.json")


@pytest.mark.skipif(not shutil.which("buildah"), reason="this machine has no buildah")
def test_an_image_is_built_where_there_is_none(stack: Stacks) -> None:
    # Debian's crun, which runs what the builder does, refuses a hybrid host whose unified hierarchy has controllers.
    stack.host.shell("! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified")
    stack.host.shell("mkdir -p /run/context && cp /bin/busybox /run/context/sh && echo page > /run/context/page")
    lines = ["FROM scratch", "ARG WORD=x", "COPY sh /bin/sh", "COPY sh /bin/sleep", "COPY sh /bin/cat",
             "COPY page /page", "ENV WORD=$WORD PATH=/bin",
             "RUN --mount=type=secret,id=word,uid=0 cat /run/secrets/word > /told", "STOPSIGNAL KILL"]
    build = {"context": "/run/context", "dockerfile_inline": "\n".join(lines), "args": {"WORD": "built"}, "tags": ["localhost/other:2"],
             "secrets": [{"source": "said", "target": "word"}]}
    web = {"web": {"build": build, "command": [
        "/bin/sh", "-c", "read line </page; read told </told; echo $WORD $line $told; exec sleep 1000"]}}
    parts: Dict[str, Any] = {"secrets": {"said": {"content": "in-confidence"}}}
    assert "web.build.secrets[0]: there is no 'said' in definition.secrets" in stack("made", web, fail=True)["msg"]
    made = stack("made", web, **parts)
    assert [each["actions"] for each in made["operations"] if each["kind"] == "image"] == [["build"]]
    assert "built page in-confidence" in stack.host.shell("cat /var/lib/coracle/containers/made-web-1/container.log")
    assert not stack("made", web, **parts)["changed"]
    known = stack.host.shell("cat /var/lib/coracle/index.json")
    assert "localhost/made-web:latest" in known and "localhost/other:2" in known
    broken = {"web": {"build": {
        **build, "secrets": [], "dockerfile_inline": "FROM scratch\nCOPY none /none\n"}, "image": "localhost/broken"}}
    said = stack("broken", broken, fail=True)["msg"]
    assert "the image 'localhost/broken:latest' could not be built: 'build' ended with" in said and "none" in said
