# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins for heavy modules behave as what they stand for."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import collection
import pytest
from ansible_collections.coracle.containers.plugins.module_utils.engine.store import documents
from hypothesis import given
from hypothesis import strategies as st

ENGINE = collection.ROOT / "plugins" / "module_utils"

RECORDS = """
    from __future__ import annotations
    import sys
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
        from engine import lean
        lean.install()
    from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union
    Alias = Dict[str, Union[int, Optional[Tuple[int, ...]]]]
    Function = Callable[..., Any]
    T = TypeVar("T")

    class Point(NamedTuple):
        \"\"\"A point.\"\"\"

        x: int
        y: int = 2
        label: Optional[str] = None

        @property
        def sum(self) -> int:
            return self.x + self.y

        def moved(self, by: int) -> Point:
            return self._replace(x=self.x + by)

    def refusal(*values: Any, **named: Any) -> str:
        try:
            return repr(Point(*values, **named))
        except TypeError:
            return "refused"

    one = Point(1, label="a")
    x, y, label = one
    print(one, one.sum, one.moved(3), (x, y, label), one == (1, 2, "a"), one._asdict(), Point._fields, hash(one) == hash(Point(1, 2, "a")))
    print(Point._make([1, 2, 3]), one[0], one[-1], len(one), isinstance(one, tuple), Point.__doc__, sorted({Point(2), Point(1)}))
    print(refusal(), refusal(1, 2, 3, 4), refusal(1, x=1), refusal(z=1), refusal(x=1), refusal(1, 2, 3))
    print(isinstance({}, Mapping), isinstance([], Sequence), isinstance({}, Dict), isinstance(1, Mapping))
    print(hasattr(one, "__dict__"))

    import signal
    print(int(signal.SIGTERM), signal.NSIG, int(signal.SIG_DFL), signal.SIGTERM in signal.valid_signals())
    print(signal.Signals.SIGTERM.name)
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.open.restype = ctypes.c_long
    print(libc.open(b"/nonexistent/x", 0), ctypes.get_errno(), libc.getpid() > 1)

    class Pair(ctypes.Structure):
        _fields_ = [("a", ctypes.c_uint64), ("b", ctypes.c_int)]
    pair = Pair(7, -1)
    print(ctypes.sizeof(pair), pair.a, pair.b, ctypes.sizeof(ctypes.c_long), ctypes.sizeof(ctypes.c_size_t))
    text = ctypes.create_string_buffer(b"a\\0bc", 8)
    print(text.raw, ctypes.create_string_buffer(3).raw, ctypes.create_string_buffer(b"ab").raw)
    ctypes.memmove(ctypes.addressof(text), b"xyz", 2)
    ctypes.memset(ctypes.addressof(text) + 4, 65, 2)
    print(text.raw, ctypes.byref(pair) is not None)
    print(ctypes.c_uint16(70000).value)  # not in the stand-in
    from typing import get_type_hints  # neither
    print(get_type_hints(refusal, {"Any": int, "str": str}))
    """


def said(*arguments: str) -> str:
    """What the script prints, with the modules themselves or with what stands in for them."""
    return subprocess.run([sys.executable, "-IS", "-c", textwrap.dedent(RECORDS), *arguments], check=True, capture_output=True,
                          text=True).stdout


def test_stand_ins_do_as_the_modules_do() -> None:
    lines = said(str(ENGINE)).splitlines()
    assert lines == said().splitlines()
    assert len(lines) == 13


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                      lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES)
def test_documents_are_written_and_read_as_json_does(value: Any) -> None:
    text = documents.encode(value)
    assert text == json.dumps(value)
    assert documents.decode(" " + text + "\n") == value


@given(st.text(alphabet='[]{}",:0123456789.eE+-truefalsn \\u\x00\u00a0', max_size=12))
def test_what_is_no_json_is_refused_in_the_same_words(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError as error:
        with pytest.raises(ValueError) as refused:
            documents.decode(text)
        assert str(refused.value) == str(error)
    else:
        assert documents.decode(text) == expected


@pytest.mark.parametrize("text", ["{", "[1,]", '"\\x"', "", "1 2"])
def test_no_json_is_refused_where_json_is_not_imported_yet(text: str) -> None:
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from engine.store import documents
        assert "json" not in sys.modules
        try:
            documents.decode(sys.argv[2])
        except ValueError as error:
            print(error)
        """
    done = subprocess.run([sys.executable, "-IS", "-c", textwrap.dedent(script), str(ENGINE), text], check=True, capture_output=True,
                          text=True)
    with pytest.raises(ValueError) as expected:
        json.loads(text)
    assert done.stdout == "%s\n" % expected.value


def test_hooks_reach_the_scanner() -> None:
    assert documents.decode('{"a": 1, "a": [2]}', pairs=lambda items: items, integer=str) == [("a", "1"), ("a", ["2"])]
    assert documents.decode("[NaN]", constant=lambda name: name) == ["NaN"]
    with pytest.raises(TypeError):
        documents.encode({"a": object()})
