# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has no end, or makes no sense, is one clear error or a bounded answer within a bounded time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import busybox
import imagery
import pytest

from hosts import Host

SOON = 200.0
"""Seconds; on a quiet machine a fiftieth of it is enough. What has no end takes longer on any."""
Member = Any


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """Whatever a test asks is answered soon."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


def make_image(host: Host, name: str, layer: bytes, config: Dict[str, Any]) -> None:
    """An image of the tiny root file system with one more layer."""
    image = imagery.Image([busybox.tar(), layer], config={"Cmd": ["/bin/id"], "Env": ["PATH=/bin"], **config})
    folder = imagery.write_folder(host.folder / name, imagery.layout({name: image}))
    host.module("container_image", name=name, source=str(folder))


@pytest.mark.parametrize(("script", "stream", "least"), [
    ("yes", "stdout", 1 << 16), ("tr '\\0' x < /dev/zero", "stdout", 1 << 19), ("tr '\\0' x < /dev/zero", "stderr", 1 << 19)])
def test_output_without_end_is_cut_at_its_beginning(run: Any, script: str, stream: str, least: int) -> None:
    """At most 1 MiB comes back, and what the log still has of lines this short is less."""
    result = run("one", command=["/bin/sh", "-c", "exec >&%d; %s | head -c 4000000; echo end" % (1 + (stream == "stderr"), script)],
                 detach=False)
    assert least < len(result[stream]) <= 1 << 20 and result[stream].endswith("end\n")


def files(kind: str) -> List[Member]:
    """Layers whose /etc/passwd is not one that can be read."""
    # The link names itself under either name.
    return {"fifo": [imagery.member("etc/passwd", fifo=True)],
            "device": [imagery.member("etc/passwd", device=(1, 5))],
            "folder": [imagery.member("etc/passwd/")],
            "loop": [imagery.member("etc/passwd", symlink="passwd")],
            "outside": [imagery.member("etc/passwd", symlink="../../../../../../../../etc/shadow")],
            "long": [imagery.member("etc/passwd", b"a:x:1:1::/:/bin/sh\n" * 300000)]}[kind]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "loop", "long"])
@pytest.mark.parametrize("file", ["passwd", "group"])
def test_a_file_of_users_that_cannot_be_read(run: Any, machine: Host, kind: str, file: str) -> None:
    name = "%s-%s" % (file, kind)
    members: List[Tuple[Any, bytes]] = []
    for info, content in files(kind):
        info.name, info.linkname = info.name.replace("passwd", file), info.linkname.replace("passwd", file)
        members.append((info, content))
    make_image(machine, name, imagery.tar(*members), {})
    failed = machine.module("container_run", name="one", image=name, user="web:extra", fail=True)
    assert "/etc/%s" % file in failed["msg"] and "ordinary file" in failed["msg"], failed["msg"]
    assert run("one", state="absent")["changed"] is False
    machine.module("container_run", name="one", state="absent")


def test_a_link_to_the_hosts_users_stays_inside(run: Any, machine: Host) -> None:
    make_image(machine, "outside", imagery.tar(*files("outside")), {})
    failed = machine.module("container_run", name="one", image="outside", user="root", fail=True)
    assert "user 'root' is not in the image's /etc/passwd" in failed["msg"]


@pytest.mark.parametrize("user", ["4294967296", "4294967295", "2147483648", "-1", "1:4294967296", "99999999999999999999"])
def test_numbers_beyond_what_the_kernel_counts(machine: Host, user: str) -> None:
    failed = machine.module("container_run", name="one", image="busybox", command=["/bin/id"], user=user, fail=True)
    assert user.rpartition(":")[2].lstrip("-") in failed["msg"] and ". " in failed["msg"]


@pytest.mark.parametrize(("config", "words"), [
    ({"User": "1:"}, "1:"), ({"User": ":5"}, ":5"), ({"User": "1:2:3"}, "1:2:3"), ({"User": "4294967296"}, "4294967296"),
    ({"User": 5}, "User"), ({"Cmd": "sh -c true"}, "Cmd"), ({"Env": {"A": "1"}}, "Env"),
])
def test_settings_of_an_image_that_make_no_sense(machine: Host, config: Dict[str, Any], words: str) -> None:
    try:
        make_image(machine, "odd", imagery.tar(imagery.member("odd", b"")), config)
    except AssertionError as error:  # refused when it was imported
        assert words in str(error)
        return
    failed = machine.module("container_run", name="one", image="odd", fail=True)
    assert words in failed["msg"]


def test_an_images_environment_brings_nothing_of_the_hosts(run: Any, machine: Host) -> None:
    make_image(machine, "bare", imagery.tar(imagery.member("bare", b"")), {"Env": ["PATH=/bin", "HOME", "*", "CORACLE_TEST_HOST"]})
    said = run.output("one", "env", image="bare").splitlines()
    assert sorted(line.partition("=")[0] for line in said) == ["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"]


def test_a_profile_without_end(run: Any, machine: Host) -> None:
    machine.shell("truncate -s 1G /run/endless.json; mkfifo /run/pipe.json")
    for path, words in (("/run/endless.json", "bytes, more than"), ("/run/pipe.json", "no ordinary file")):
        failed = machine.module("container_run", name="one", image="busybox", command=["/bin/id"],
                                security_opts=["seccomp=" + path], fail=True)
        assert words in failed["msg"]
    machine.shell("rm /run/endless.json /run/pipe.json")


@pytest.mark.parametrize("content", ["{\"version\": 1, \"version\": 1}", "[" * 50000, "{\"name\": NaN}", "", "\\000\\001"])
def test_a_damaged_record_is_named_and_can_be_removed(machine: Host, run: Any, content: str) -> None:
    run("one")
    run("one", state="stopped")
    path = Path(machine.state_root) / "containers/one/container.json"
    machine.run(["sh", "-c", "cat > %s" % path], input=content)
    result = machine.module("container_run", name="one", image="busybox", command=["/bin/id"], fail=True)
    assert "container.json" in result["msg"] and "absent" in result["msg"], result["msg"]
    assert run("one", state="absent")["changed"] is True and not path.parent.exists()
    assert run("one", state="absent")["changed"] is False
