"""`dataclasses` for a program that is waited for: a method is made when it is first used, not when its class is declared.

The standard library writes and compiles up to eight functions for each class, in half a millisecond; we have ninety
classes, few of which are ever compared or printed in one run. The rule of this file: what it offers cannot be told from
`dataclasses`, which it is to a type checker, and which `pwmixer_dbus.start` puts in its place when it is told to. What we
have no use for is left out: records that inherit from records, class variables, `__post_init__`, pickling.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["MISSING", "Field", "dataclass", "field", "fields", "is_dataclass", "replace"]

_FIELDS, _COPY = "__record_fields__", "__record_copy__"
_MISSING: Any = object()
"""In the place of a value that is not given."""


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
    shared[_COPY] = _first_copy
    shared |= {"__eq__": _first_eq, "__hash__": _first_hash if frozen else None} if eq else {}
    shared |= {"__setattr__": _refuse, "__delattr__": _refuse} if frozen else {}

    def made(plain: type) -> type:
        body = dict(vars(plain))
        fields = [_declared(name, body.pop(name, _MISSING)) for name in plain.__annotations__]
        del body["__dict__"], body["__weakref__"]
        own = {"__qualname__": plain.__qualname__, "__slots__": [f.name for f in fields], _FIELDS: fields}
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
    other = getattr(record, _COPY)()
    try:
        for name, value in changes.items():
            object.__setattr__(other, name, value)
    except AttributeError as error:
        raise TypeError(f"{type(record).__qualname__} has no field {name}") from error
    return other


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


def _first_copy(record: Any) -> Any:
    cls = type(record)
    known: dict[str, Any] = {f"set_{field.name}": vars(cls)[field.name].__set__ for field in _fields(cls)}
    lines = [f"set_{field.name}(other, self.{field.name})" for field in _fields(cls)]
    text = "; ".join(["other = new(cls)", *lines, "return other"])
    return _make(cls, _COPY, "self", text, known | {"new": object.__new__, "cls": cls})(record)


def _make_init(cls: type, mark: str) -> Any:
    known: dict[str, Any] = {"MISSING": _MISSING}
    parameters, lines = "self", ["pass"]
    for field in _fields(cls):
        name, make = field.name, field.default_factory
        # The slot's own way in: object.__setattr__ would look for it by its name each time.
        known[f"set_{name}"] = vars(cls)[name].__set__
        known[f"default_{name}"] = field.default
        known[f"make_{name}"] = make
        is_needed = field.default is _MISSING and make is _MISSING
        parameters += f", {mark}{name}" if is_needed else f", {mark}{name}=default_{name}"
        value = name if make is _MISSING else f"make_{name}() if {name} is MISSING else {name}"
        lines.append(f"set_{name}(self, {value})")
        mark = ""
    return _make(cls, "__init__", parameters, "; ".join(lines), known)


def _make(cls: type, name: str, parameters: str, text: str, known: dict[str, Any]) -> Any:
    """Write a method, compile it, and put it into its place in the class."""
    exec(f"def {name}({parameters}): {text}", known)  # noqa: S102 - names of our own fields, as dataclasses does it
    made = known.pop(name)
    setattr(cls, name, made)
    return made


def _values(cls: type, whose: str) -> str:
    return f"({''.join(f'{whose}.{field.name}, ' for field in _fields(cls))})"


if TYPE_CHECKING:
    from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
else:
    MISSING, Field = _MISSING, _Field
    dataclass, field, fields, is_dataclass, replace = _dataclass, _field, _fields, _is_dataclass, _replace
