"""`dataclasses` for a program that is waited for: a method is made when it is first used, not when its class is declared.

The standard library writes and compiles up to eight functions for each class, in half a millisecond; we have ninety
classes, few of which are ever compared or printed in one run. The rule of this file: what it offers cannot be told from
`dataclasses`, which it is to a type checker, and which `pwmixer_dbus.start` puts in its place when it is told to. What we
have no use for is left out: records that inherit from records, class variables, `__post_init__`, pickling.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["MISSING", "Field", "dataclass", "field", "fields", "is_dataclass", "replace"]

_FIELDS, _COPIES, _OPEN = "__record_fields__", "__record_copies__", "__record_open__"
_MISSING: Any = object()
"""In the place of a value that is not given."""

_WIDE = 10
"""From how many fields on a record is filled while it is of another class; see `_open`."""


class _Field:
    """A field: its name, and either its default or what makes one."""

    __slots__ = ("default", "default_factory", "name")

    def __init__(self, name: str = "", *, default: Any = _MISSING, default_factory: Any = _MISSING) -> None:
        self.name = name
        self.default = default
        self.default_factory = default_factory


def _dataclass(
    *, frozen: bool = False, slots: bool = True, kw_only: bool = False, eq: bool = True
) -> Callable[[type], type]:
    """Make records of a class with annotations; with slots in any case."""
    assert slots  # noqa: S101 - there are no others
    shared: dict[str, Any] = {"__init__": _first_init if kw_only else _first_init_in_order, "__repr__": _repr}
    shared |= {"__eq__": _first_eq, "__hash__": _first_hash if frozen else None} if eq else {}
    shared |= {"__setattr__": _refuse, "__delattr__": _refuse} if frozen else {}

    def made(plain: type) -> type:
        body = dict(vars(plain))
        fields = [_declared(name, body.pop(name, _MISSING)) for name in plain.__annotations__]
        del body["__dict__"], body["__weakref__"]
        own: dict[str, Any] = {"__qualname__": plain.__qualname__, "__slots__": [f.name for f in fields]}
        own |= {_FIELDS: fields, _COPIES: {}}
        return type(plain.__name__, plain.__bases__, shared | body | own)

    return made


def _declared(name: str, value: Any) -> _Field:
    if not isinstance(value, _Field):
        return _Field(name, default=value)
    value.name = name
    return value


def _field(*, default_factory: Callable[[], Any]) -> Any:
    """Declare how a field that is not given gets its value."""
    return _Field(default_factory=default_factory)


def _fields(record: Any) -> tuple[_Field, ...]:
    """Return the fields of a record or of a class of records."""
    return tuple(getattr(record, _FIELDS))


def _is_dataclass(value: Any) -> bool:
    """Whether this is a record or a class of records."""
    return hasattr(value, _FIELDS)


def _replace(record: Any, /, **changes: Any) -> Any:
    """Make a record that differs from another in some fields."""
    names = tuple(changes)
    copy = record.__record_copies__.get(names) or _make_copy(type(record), names)
    return copy(record, **changes)


def _refuse(record: Any, name: str, *_value: Any) -> NoReturn:
    raise AttributeError(
        f"a {type(record).__qualname__} is not changed; `replace` makes one with another {name}"
    )


def _repr(record: Any) -> str:
    said = (f"{field.name}={getattr(record, field.name)!r}" for field in _fields(record))
    return f"{type(record).__qualname__}({', '.join(said)})"


def _first_init(record: Any, /, *values: Any, **named: Any) -> None:
    _make_init(type(record), "*, ")(record, *values, **named)


def _first_init_in_order(record: Any, /, *values: Any, **named: Any) -> None:
    _make_init(type(record), "")(record, *values, **named)


def _first_eq(record: Any, other: Any) -> Any:
    mine, theirs = _values(type(record), "self"), _values(type(record), "other")
    text = f"return {mine} == {theirs} if other.__class__ is self.__class__ else NotImplemented"
    return _make(type(record), "__eq__", "self, other", text, {})(record, other)


def _first_hash(record: Any) -> Any:
    text = f"return hash({_values(type(record), 'self')})"
    return _make(type(record), "__hash__", "self", text, {})(record)


def _open(cls: type) -> type:
    """Return a class of the same slots that anybody may fill, as which a record is made until it is whole.

    To fill a slot of a frozen record takes a call for each, since assignment is refused; without that it is one step of
    the interpreter. A stream is made in a quarter of the time (0.4 µs), and thousands are made in a second.
    """
    made = vars(cls).get(_OPEN)
    if made is None:
        made = type(cls.__name__, cls.__bases__, {"__slots__": [field.name for field in _fields(cls)]})
        setattr(cls, _OPEN, made)
    return made


def _make_copy(cls: type, changed: tuple[str, ...]) -> Any:
    """Write what makes a copy with these fields changed, and keep it."""
    names = [field.name for field in _fields(cls)]
    for name in changed:
        if name not in names:
            raise TypeError(f"{cls.__qualname__} has no field {name}")
    lines = [f"other.{name} = {name if name in changed else f'self.{name}'}" for name in names]
    text = "; ".join(["other = new(open)", *lines, "other.__class__ = cls", "return other"])
    known: dict[str, Any] = {"new": object.__new__, "open": _open(cls), "cls": cls}
    copy = getattr(cls, _COPIES)[changed] = _written("copy", ", ".join(("self, /", *changed)), text, known)
    return copy


def _make_init(cls: type, mark: str) -> Any:
    known: dict[str, Any] = {"MISSING": _MISSING}
    parameters, lines = "self", ["pass"]
    is_wide = len(_fields(cls)) >= _WIDE
    for field in _fields(cls):
        name, make = field.name, field.default_factory
        # The slot's own way in: object.__setattr__ would look for it by its name each time.
        known[f"set_{name}"] = vars(cls)[name].__set__
        known[f"default_{name}"] = field.default
        known[f"make_{name}"] = make
        is_needed = field.default is _MISSING and make is _MISSING
        parameters += f", {mark}{name}" if is_needed else f", {mark}{name}=default_{name}"
        value = name if make is _MISSING else f"make_{name}() if {name} is MISSING else {name}"
        lines.append(f"self.{name} = {value}" if is_wide else f"set_{name}(self, {value})")
        mark = ""
    if is_wide:
        known |= {"set_class": vars(object)["__class__"].__set__, "open": _open(cls), "cls": cls}
        lines = ["set_class(self, open)", *lines, "self.__class__ = cls"]
    return _make(cls, "__init__", parameters, "; ".join(lines), known)


def _make(cls: type, name: str, parameters: str, text: str, known: dict[str, Any]) -> Any:
    """Write a method, compile it, and put it into its place in the class."""
    made = _written(name, parameters, text, known)
    setattr(cls, name, made)
    return made


def _written(name: str, parameters: str, text: str, known: dict[str, Any]) -> Any:
    exec(f"def {name}({parameters}): {text}", known)  # noqa: S102 - names of our own fields, as dataclasses does it
    return known.pop(name)


def _values(cls: type, whose: str) -> str:
    return f"({''.join(f'{whose}.{field.name}, ' for field in _fields(cls))})"


if TYPE_CHECKING:
    from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
else:
    MISSING, Field = _MISSING, _Field
    dataclass, field, fields, is_dataclass, replace = _dataclass, _field, _fields, _is_dataclass, _replace
