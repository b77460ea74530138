# Copyright (c) 2026, Coracle contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for three modules of the standard library whose import costs more than a container.

C(typing) brings C(re), C(enum), C(collections) and C(functools): seven
milliseconds for what the engine uses at run time of it, which is
C(NamedTuple) and names without effect. C(signal) makes enumerations of what
its built-in part offers under the same names: one to four milliseconds. Of
C(ctypes), which takes two and a half, C(lean_ctypes.py) has the part in use.

The command C(coracle) puts them in their places before anything else is
imported. What they lack, they fetch from the module that they
stand for, so that whoever needs more gets it, and pays for it then.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Tuple
else:
    ModuleType = type(sys)


def install() -> None:
    """Stand in for those of the three that nobody has imported yet."""
    if "typing" not in sys.modules:
        sys.modules["typing"] = _typing()
    try:
        if "signal" not in sys.modules:
            import _signal  # type: ignore[import-not-found]  # pylint: disable=import-outside-toplevel
            sys.modules["signal"] = _StandIn("signal", vars(_signal))
        if "ctypes" not in sys.modules:
            from . import lean_ctypes  # pylint: disable=import-outside-toplevel
            sys.modules["ctypes"] = _StandIn("ctypes", lean_ctypes.members)
    except (ImportError, AttributeError):
        pass  # another Python than CPython: it has the modules themselves


def take_records(package: str) -> None:
    """Where C(typing) has been imported, let it make this package's records as is done here: in a tenth of the time."""
    typing: Any = sys.modules.get("typing")
    if typing is not None and typing.NamedTuple is not NamedTuple:
        _Fields.package, _Fields.original = package, typing.NamedTuple
        typing.NamedTuple = NamedTuple


class _StandIn(ModuleType):
    """A module that becomes the real one when it is asked for more than it has."""

    def __init__(self, name: str, members: Dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update({key: value for key, value in members.items() if not key.startswith("__")})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            __import__(self.__name__)
        return getattr(sys.modules[self.__name__], name)


class _Nothing:
    """What C(Optional[int]) and the like are at run time where nobody looks at them."""

    def __getitem__(self, _parameters: Any) -> _Nothing:
        return self


def _typing() -> _StandIn:
    import _collections_abc as abstract  # pylint: disable=import-outside-toplevel
    members: Dict[str, Any] = dict.fromkeys(("Any", "BinaryIO", "Optional", "Union"), _Nothing())
    members.update({name: getattr(abstract, name) for name in (
        "Callable", "Collection", "Iterable", "Iterator", "Mapping", "Sequence")})
    members.update(Dict=dict, FrozenSet=frozenset, List=list, Set=set, Tuple=tuple, Type=type, TYPE_CHECKING=False,
                   NamedTuple=NamedTuple, TypeVar=lambda name, *_bounds, **_more: name)
    return _StandIn("typing", members)


class _Fields(type):
    """Makes the classes of records: as C(typing.NamedTuple) does, but from parts instead of from source text.

    Attributes:
        original: What makes those of other packages than C(package), where it stands in for it in all of the process.
    """

    package = ""
    original: Any = None

    def __new__(cls, name: str, bases: Tuple[type, ...], space: Dict[str, Any]) -> Any:
        if not bases or bases == (tuple,):
            return super().__new__(cls, name, bases, space)
        if cls.original is not None and not str(space.get("__module__")).startswith(cls.package):
            real = cls.original.__mro_entries__(bases)
            return type(real[0])(name, real, space)
        fields = tuple(space.get("__annotations__", ()))
        defaults = {field: space.pop(field) for field in fields if field in space}
        space.update({field: _getter(number) for number, field in enumerate(fields)})
        space.update(__slots__=(), _fields=fields, _field_defaults=defaults)
        return super().__new__(cls, name, bases, space)


def _getter(number: int) -> Any:
    return property(lambda self: tuple.__getitem__(self, number))


try:
    from _collections import _tuplegetter  # type: ignore[import-not-found]
except ImportError:  # another Python than CPython
    pass
else:
    def _getter(number: int) -> Any:
        return _tuplegetter(number, None)  # what C(collections.namedtuple) has too: it takes a tenth of the time


class NamedTuple(tuple, metaclass=_Fields):  # type: ignore[type-arg]
    """The base of a record; its annotated members are its fields, in their order."""

    __slots__ = ()
    _fields: Tuple[str, ...] = ()
    _field_defaults: Dict[str, Any] = {}

    def __new__(cls, *values: Any, **named: Any) -> Any:
        """A record from values by place and by name."""
        if cls is NamedTuple:
            return _Fields.original(*values, **named)
        if named or len(values) != len(cls._fields):
            rest = cls._fields[len(values):]
            wrong = [name for name in named if name not in rest]
            if wrong or len(values) > len(cls._fields):
                raise TypeError("%s: %s" % (cls.__name__, ", ".join(wrong) or "too many values"))
            given = {**cls._field_defaults, **named}
            missing = [name for name in rest if name not in given]
            if missing:
                raise TypeError("%s lacks %s" % (cls.__name__, ", ".join(missing)))
            values += tuple([given[name] for name in rest])
        return tuple.__new__(cls, values)

    @classmethod
    def _make(cls, values: Any) -> Any:
        return cls(*values)

    def _replace(self, **named: Any) -> Any:
        values = tuple.__new__(type(self), map(named.pop, self._fields, self))
        if named:
            raise TypeError("%s: %s" % (type(self).__name__, ", ".join(named)))
        return values

    def _asdict(self) -> Dict[str, Any]:
        return dict(zip(self._fields, self))

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % item for item in zip(self._fields, self)))
