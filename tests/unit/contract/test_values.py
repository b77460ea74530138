# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which people write sizes, times and names."""

from __future__ import annotations

from typing import Any, FrozenSet

import pytest
from ansible_collections.coracle.containers.plugins.module_utils import values
from ansible_collections.coracle.containers.plugins.module_utils.engine import sizes
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("text", "number"), [
    ("0", 0), ("1048576", 1048576), (4096, 4096), ("512M", 512 << 20), ("512m", 512 << 20), ("1.5g", 3 << 29),
    ("64KiB", 64 << 10), ("64kb", 64 << 10), ("10 MB", 10 << 20), ("2T", 2 << 40), ("1P", 1 << 50), ("7b", 7),
    (" 1k ", 1024), ("-1", -1), (-1, -1), ("max", -1), ("MAX", -1), ("unlimited", -1),
])
def test_sizes(text: Any, number: int) -> None:
    assert values.size(text) == number


@pytest.mark.parametrize("text", ["", "M", "-2", "1x", "1.M", "1e3", "0x10", "1 2", True, None, "1MM", "one"])
def test_no_sizes(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        values.size(text)


@pytest.mark.parametrize(("text", "micros"), [
    ("1", 1000000), (2, 2000000), (0.5, 500000), ("1.5s", 1500000), ("1m30s", 90000000), ("1h", 3600000000),
    ("500ms", 500000), ("10us", 10), ("1h2m3s4ms5us", 3723004005), ("0", 0),
])
def test_durations(text: Any, micros: int) -> None:
    assert values.duration(text) == micros


@pytest.mark.parametrize("text", ["", "s", "1d", "-1", "1s1h", "1 m", "m30", True])
def test_no_durations(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        values.duration(text)


@pytest.mark.parametrize(("text", "number"), [("0.5", 0.5), (2, 2.0), ("0.001", 0.001), (" 1 ", 1.0)])
def test_cpus(text: Any, number: float) -> None:
    assert values.cpus(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "all", "", "0.0009", True, None])
def test_no_cpus(text: Any) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        values.cpus(text)


@pytest.mark.parametrize(("text", "canonical"), [
    ("0", "0"), ("3,0-1,2", "0-3"), ("0-3,8", "0-3,8"), ("8, 9 ,1", "1,8-9"), (0, "0"), ("1-1", "1"), ("5,3", "3,5")])
def test_cpu_sets(text: Any, canonical: str) -> None:
    assert values.cpu_set(text) == canonical


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "1-", "-1", "0-1-2", "0-999999"])
def test_no_cpu_sets(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        values.cpu_set(text)


@given(st.frozensets(st.integers(0, 99999), min_size=1, max_size=50))
def test_a_formatted_set_reads_back(numbers: FrozenSet[int]) -> None:
    assert values.number_set(values.format_set(numbers)) == numbers


@pytest.mark.parametrize("text", ["a", "web-1", "A.b_c-9", "0", "x" * 63])
def test_names(text: str) -> None:
    assert values.name(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "a\n", "\na", "a\0", "ä", "x" * 64, "a:b"])
def test_no_names(text: str) -> None:
    with pytest.raises(ValueError, match=r"^has "):
        values.name(text)


@pytest.mark.parametrize(("text", "path"), [("/", "/"), ("/a/b", "/a/b"), ("//a///b/", "/a/b"), ("/a/./b/.", "/a/b"),
                                            ("/a..b/..c", "/a..b/..c")])
def test_paths(text: str, path: str) -> None:
    assert values.absolute_path(text) == path


@pytest.mark.parametrize("text", ["", "a", "./a", "/a/../b", "/..", "/a\0b", "~/a"])
def test_no_paths(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        values.absolute_path(text)


def test_integers() -> None:
    parse = values.integer(1, 10, also=(-1,))
    assert [parse(each) for each in ("1", 10, " 5 ", -1)] == [1, 10, 5, -1]
    for wrong in ("0", 11, "x", "", "1.5", None, True):
        with pytest.raises(ValueError, match=r"^is "):
            parse(wrong)


def test_only_text_is_a_value_of_a_mapping_of_text() -> None:
    assert values.mapping_of_text({"a": "1.10"}) == {"a": "1.10"}
    for wrong in (1.1, 8, True, None, ["a"]):
        with pytest.raises(ValueError, match="'a'"):
            values.mapping_of_text({"a": wrong})


@pytest.mark.parametrize(("number", "text"), [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (512 << 20, "512.0 MiB"), (3 << 29, "1.5 GiB"), (5 << 50, "5120.0 TiB"),
    (None, "unlimited"), (-1, "unlimited")])
def test_sizes_for_people(number: Any, text: str) -> None:
    assert sizes.human_size(number) == text
