# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What volumes mount, and what of their options is refused; nothing here needs a kernel."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.errors import EngineError, InvalidValue
from ansible_collections.coracle.containers.plugins.module_utils.engine.kernel import mounts
from ansible_collections.coracle.containers.plugins.module_utils.engine.volume import content, drivers, records, room, volumes
from ansible_collections.coracle.containers.plugins.module_utils.option import parse
from ansible_collections.coracle.containers.plugins.module_utils.options.volume import OPTIONS

EXPORT = {"server": "nas1", "path": "/export/data"}


@pytest.mark.parametrize("driver, options, size, why", [
    ("nfs", {}, None, "lacks 'server'"), ("nfs", {"server": "nas1"}, None, "lacks 'path'"),
    ("nfs", {**EXPORT, "share": "x"}, None, "no option of the driver 'nfs'"),
    ("nfs", {**EXPORT, "server": "-o x"}, None, "driver_options.server"), ("nfs", {**EXPORT, "server": ""}, None, "driver_options.server"),
    ("nfs", {**EXPORT, "path": "export"}, None, "driver_options.path"), ("nfs", {**EXPORT, "path": "/a/../b"}, None, "'..'"),
    ("nfs", {**EXPORT, "device": "nas1:/x"}, None, "does not go with 'device'"), ("nfs", {"device": ":/x"}, None, "names no server"),
    ("nfs", {**EXPORT, "o": "ro,,rw"}, None, "driver_options.o"), ("nfs", {**EXPORT, "o": "a b"}, None, "driver_options.o"),
    ("nfs", EXPORT, 1 << 30, "'size'"),
    ("cifs", {"server": "s"}, None, "lacks 'share'"), ("cifs", {"server": "s", "share": "//x"}, None, "driver_options.share"),
    ("cifs", {"server": "s", "share": "x", "password": "p", "credentials_file": "/c"}, None, "'password'"),
    ("cifs", {"server": "s", "share": "x", "username": "a,uid=0"}, None, "driver_options.username"),
    ("cifs", {"server": "s", "share": "x", "credentials_file": "c"}, None, "driver_options.credentials_file"),
    ("cephfs", {}, None, "lacks 'monitors'"), ("cephfs", {"monitors": "a b"}, None, "driver_options.monitors"),
    ("cephfs", {"monitors": "m", "user": "a,b"}, None, "driver_options.user"),
    ("glusterfs", {"server": "s"}, None, "lacks 'volume'"), ("glusterfs", {"server": "s", "volume": "a/b"}, None, "driver_options.volume"),
    ("local", {"device": "/x"}, None, "mounts nothing"), ("local", {"type": "ext4"}, None, "lacks 'device'"),
    ("local", {"o": "bind", "device": "x"}, None, "no absolute path"), ("local", {"o": "bind", "device": "/x"}, 1 << 30, "'size'"),
    ("local", {"type": "../x", "device": "/x"}, None, "driver_options.type"), ("tmpfs", {"device": "x"}, None, "no option"),
])
def test_what_no_mount_can_come_of_is_refused(driver: str, options: Dict[str, str], size: Any, why: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        drivers.check(driver, options, size)
    assert why in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("driver, options, size, call", [
    ("local", {}, 5, None),
    ("tmpfs", {}, 1 << 20, ("tmpfs", "tmpfs", ("size=1048576",))),
    ("tmpfs", {"o": "nr_inodes=5"}, -1, ("tmpfs", "tmpfs", ("nr_inodes=5",))),
    ("local", {"type": "xfs", "device": "/dev/sdb1", "o": "ro"}, None, ("/dev/sdb1", "xfs", ("ro",))),
    ("local", {"type": "bind", "device": "/srv"}, None, ("/srv", "none", ("bind",))),
    ("local", {"o": "rbind,ro", "device": "/srv"}, None, ("/srv", "none", ("rbind", "ro"))),
    ("nfs", EXPORT, None, ("nas1:/export/data", "nfs", ())),
    ("nfs", {"device": ":/x", "o": "addr=10.0.0.5,soft"}, None, ("10.0.0.5:/x", "nfs", ("soft",))),
    ("cephfs", {"device": "shop@.main=/x"}, None, ("shop@.main=/x", "ceph", ())),
])
def test_what_is_mounted(driver: str, options: Dict[str, str], size: Any, call: Tuple[str, str, Tuple[str, ...]]) -> None:
    drivers.check(driver, options, size if driver == "tmpfs" else None)
    found = drivers.call_of(driver, options, size)
    assert (found if found is None else (found.source, found.fstype, found.options)) == call


def test_dockers_words_for_what_has_a_driver_here() -> None:
    assert drivers.normal("local", {"type": "nfs", "device": ":/x", "o": "addr=a"}) == ("nfs", {"device": ":/x", "o": "addr=a"})
    assert drivers.normal("local", {"type": "nfs4", "device": "a:/x"}) == ("nfs", {"device": "a:/x", "o": "vers=4"})
    assert drivers.normal("local", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}) == ("tmpfs", {"o": "size=1m"})
    assert drivers.normal("local", {"type": "ext4", "device": "/x"}) == ("local", {"type": "ext4", "device": "/x"})
    assert drivers.normal("nfs", EXPORT) == ("nfs", EXPORT)


def test_options_as_mount_takes_them() -> None:
    assert drivers.flags_of(["ro", "nosuid", "vers=4.2", "rw", "defaults"]) == (mounts.MS_RDONLY | mounts.MS_NOSUID, ["vers=4.2"])


def test_passwords_are_hidden() -> None:
    shown = drivers.masked({"password": "x1y2", "o": "username=a,password=x1y2,pass=x1y2,uid=1", "server": "s"})
    assert "x1y2" not in str(shown) and shown["server"] == "s" and shown["o"].startswith("username=a,") and "uid=1" in shown["o"]


@pytest.mark.parametrize("option, value", [
    ("name", "-a"), ("name", "a/b"), ("labels", {"a": 1}), ("owner", "a b"), ("owner", "-1"), ("owner", str(1 << 32)), ("group", "a:b"),
    ("mode", 750), ("mode", "0999"), ("mode", "77"), ("size", "10"), ("size", "much"), ("size", "512K"), ("backup", "data.tar"),
    ("restore", "/a/../b.tar"), ("driver_options", {"server": "a\nb"}),
])
def test_wrong_values(option: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(OPTIONS, {option: value})
    assert caught.value.option.startswith(option) and caught.value.remedy


def test_right_values() -> None:
    found = parse(OPTIONS, {"owner": "www-data", "group": "33", "mode": "02750", "size": "1.5G", "driver_options": {"o": ["a", "b=c"]}})
    assert (found["owner"], found["group"], found["mode"], found["size"]) == ("www-data", 33, 0o2750, 3 << 29)
    assert found["driver_options"] == {"o": "a,b=c"}


@pytest.mark.parametrize("record, size, used, counted, why", [
    (records.Record("v", backing=records.IMAGE, size=20 << 20), 10 << 20, 0, False, "cannot shrink"),
    (records.Record("v", backing=records.IMAGE, size=20 << 20), -1, 0, False, "without a limit"),
    (records.Record("v"), 10 << 20, 0, False, "knows no limit"),
    (records.Record("v", backing=records.PROJECT), 10 << 20, 11 << 20, True, "holds 11534336 bytes"),
    (records.Record("v", driver="tmpfs", backing=records.MOUNT), -1, 0, False, "does not take away"),
])
def test_sizes_that_cannot_be_reached(record: records.Record, size: int, used: int, counted: bool, why: str) -> None:
    with pytest.raises(EngineError, match=why) as caught:
        room.check(record, size, used, counted)
    assert caught.value.remedy
    room.check(records.Record("v"), 10 << 20, 0, True)


def test_sizes_are_whole_blocks() -> None:
    assert [volumes.rounded(size) for size in (-1, 4096, 4097, 1000000)] == [-1, 4096, 8192, 1003520]


def test_names_of_tarballs_tell_what_they_are() -> None:
    assert [content.compression_of("/a." + end) for end in ("tar", "tar.gz", "tgz", "tar.zst")] == ["none", "gzip", "gzip", "zstd"]
    with pytest.raises(InvalidValue, match="what kind of file"):
        content.compression_of("/a.zip")
