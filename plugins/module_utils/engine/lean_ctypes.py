# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of C(ctypes) that a container needs, straight over the C module behind it (see C(lean.py)).

C(import ctypes) takes two and a half milliseconds, most of it for types that it
declares for other systems and byte orders.
"""

from __future__ import annotations

import _ctypes as implementation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Union

_ctypes: Any = implementation

_CODES = {"c_bool": "?", "c_char": "c", "c_int": "i", "c_uint": "I", "c_long": "l", "c_ulong": "L", "c_char_p": "z",
          "c_void_p": "P", "c_size_t": "L", "c_int32": "i", "c_uint32": "I", "c_int64": "q", "c_uint64": "Q"}
"""The format characters of the simple types, as in the module C(struct), and z and P for pointers."""


class CDLL:
    """A shared library; its functions are its attributes. C(None) is what the process itself has loaded."""

    flags = _ctypes.FUNCFLAG_CDECL

    def __init__(self, name: Optional[str], mode: int = 0, use_errno: bool = False) -> None:
        self._handle = _ctypes.dlopen(name, mode)

        class _Function(_ctypes.CFuncPtr):  # type: ignore[misc]
            _flags_ = self.flags | (_ctypes.FUNCFLAG_USE_ERRNO if use_errno else 0)
            _restype_ = members["c_int"]
        self._function = _Function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._function((name, self))
        setattr(self, name, found)
        return found


class PyDLL(CDLL):
    """A library that is called with the interpreter's lock held."""

    flags = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI


def create_string_buffer(init: Union[int, bytes], size: Optional[int] = None) -> Any:
    """Memory that can be written: so many bytes, or these and a NUL."""
    length = init if isinstance(init, int) else len(init) + 1 if size is None else size
    buffer = (members["c_char"] * length)()
    if not isinstance(init, int):
        buffer.value = init
    return buffer


def _prototype(address: int, result: Any, *arguments: Any) -> Any:
    """A function of C at an address."""
    class _Prototype(_ctypes.CFuncPtr):  # type: ignore[misc]
        _flags_ = _ctypes.FUNCFLAG_CDECL
        _restype_ = result
        _argtypes_ = arguments
    return _Prototype(address)


def _members() -> Dict[str, Any]:
    made: Dict[str, Any] = {name: type(name, (_ctypes._SimpleCData,), {"_type_": code}) for name, code in _CODES.items()}
    pointer, size, number = made["c_void_p"], made["c_size_t"], made["c_int"]
    made.update({name: getattr(_ctypes, name) for name in (
        "Array", "Structure", "Union", "addressof", "byref", "get_errno", "set_errno", "sizeof")})
    made.update(CDLL=CDLL, PyDLL=PyDLL, create_string_buffer=create_string_buffer,
                memmove=_prototype(_ctypes._memmove_addr, pointer, pointer, pointer, size),
                memset=_prototype(_ctypes._memset_addr, pointer, pointer, number, size))
    return made


members = _members()
"""The names that the stand-in has."""
members["pythonapi"] = PyDLL(None)
