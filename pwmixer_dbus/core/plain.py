"""Records as plain values, of which JSON can be made, and back; by their types alone. Total in both directions.

A record is a dictionary of those fields that differ from their defaults, so that KEEP, say, needs no form of its own; a
mapping whose keys are no text is a list of pairs. Who reads takes what is good: a field with a default falls back to it, an
entry of a collection is left out, and each of these is told by its place.
"""

import math
import types
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum
from functools import cache, partial
from typing import TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.records import MISSING, Field, fields, is_dataclass
from pwmixer_dbus.core.rules import Rule, rule_from_plain, rule_to_plain

T = TypeVar("T")

Told = Callable[[str], None]
_Read = Callable[[object, str, Told], object]
"""Reads a value that stands at a place; raises ValueError, and tells what has been left out within it."""


def plain(value: object) -> object:
    """Write a value of records, collections, texts, numbers and classes; a number that is none is None."""
    match value:
        case Rule():
            return rule_to_plain(value)
        case type():
            return value.__name__
        case Enum():
            return value.value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            is_table = all(isinstance(key, str) for key in value)
            pairs = [(plain(key), plain(entry)) for key, entry in value.items()]
            return dict(pairs) if is_table else [list(pair) for pair in pairs]
        case tuple() | list() | frozenset():
            return [plain(entry) for entry in value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    return {f.name: plain(now) for f in fields(value) if (now := getattr(value, f.name)) != _default(f)}


def read(kind: type[T], value: object, classes: Iterable[type] = ()) -> tuple[T, list[str]]:
    """Read a record of a kind; return it with the places of what had to be left out. `classes` are those that are named.

    Raises ValueError where nothing can be made of it.
    """
    left_out: list[str] = []
    read_record = _reader(cast("Hashable", kind), frozenset(classes))
    record = read_record(value, "", left_out.append)
    return cast("T", record), left_out


def _default(field: "Field[object]") -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


@cache
def _reader(kind: Hashable, classes: frozenset[type]) -> _Read:
    """Return what reads an annotation."""
    origin, of = get_origin(kind), get_args(kind)
    inner = partial(_reader, classes=classes)
    if origin in {Union, types.UnionType}:
        return _any_of(tuple(inner(one) for one in of))
    if origin is tuple and of[-1] is Ellipsis:
        return partial(_read_list, inner(of[0]), _is_record(of[0]))
    if origin is tuple:
        return partial(_read_tuple, tuple(inner(one) for one in of))
    if origin is frozenset:
        return lambda value, place, told: frozenset(
            cast("tuple[object, ...]", _read_list(inner(of[0]), True, value, place, told))
        )
    if origin is Mapping:
        return _read_texts if of == (str, str) else partial(_read_mapping, inner(of[0]), inner(of[1]))
    if kind is type or origin is type:
        return partial(_read_class, {one.__name__: one for one in classes})
    if kind is Rule:
        return _read_rule
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value, _place, _told: kind(value)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_record_of(kind, classes)
    return _SCALARS[kind]


def _of(kind: type[T], value: object, place: str) -> T:
    """Return a value that is of a kind."""
    if not isinstance(value, kind):
        raise ValueError(place)  # noqa: TRY004 - bad input is one kind of error here
    return value


def _is_record(kind: object) -> bool:
    """Whether an entry can be left out of a list without changing the meaning of the others."""
    return get_origin(kind) is not None or is_dataclass(kind)


def _read_record_of(kind: type, classes: frozenset[type]) -> _Read:
    hints = get_type_hints(kind)
    readers = [(f.name, _reader(hints[f.name], classes), f) for f in fields(kind)]

    def read_record(value: object, place: str, told: Told) -> object:
        value = _of(dict, value, place)
        found: dict[str, object] = {}
        for name, read_field, field in readers:
            if name in value:
                at = f"{place}.{name}" if place else name
                try:
                    found[name] = read_field(value[name], at, told)
                except ValueError:
                    if _default(field) is MISSING:
                        raise
                    told(at)
            elif _default(field) is MISSING:
                raise ValueError(f"{place}.{name}")
        return kind(**found)

    return read_record


def _any_of(readers: tuple[_Read, ...]) -> _Read:
    """Read what is the first of several kinds; records are told apart by the fields that they must have."""

    def read_one(value: object, place: str, told: Told) -> object:
        for reader in readers:
            left_out: list[str] = []
            try:
                found = reader(value, place, left_out.append)
            except ValueError:
                continue
            for each in left_out:
                told(each)
            return found
        raise ValueError(place)

    return read_one


def _read_list(read_entry: _Read, may_be_left_out: bool, value: object, place: str, told: Told) -> object:
    found = []
    for number, entry in enumerate(_of(list, value, place)):
        at = f"{place}[{number}]"
        try:
            found.append(read_entry(entry, at, told))
        except ValueError:
            if not may_be_left_out:
                raise
            told(at)
    return tuple(found)


def _read_tuple(readers: tuple[_Read, ...], value: object, place: str, told: Told) -> object:
    if not isinstance(value, list) or len(value) != len(readers):
        raise ValueError(place)
    return tuple(reader(entry, place, told) for reader, entry in zip(readers, value, strict=True))


def _read_mapping(read_key: _Read, read_entry: _Read, value: object, place: str, told: Told) -> object:
    if not isinstance(value, dict | list):
        raise ValueError(place)  # noqa: TRY004 - likewise
    found: dict[object, object] = {}
    for pair in value.items() if isinstance(value, dict) else value:
        try:
            key, entry = pair
            found[read_key(key, place, told)] = read_entry(entry, f"{place}.{key}", told)
        except (ValueError, TypeError):
            told(f"{place}[…]")
    return found


def _read_texts(value: object, place: str, _told: Told) -> object:
    """Read a table of texts, of which there are thousands: properties."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError(place)
    everything = "".join((*value, *value.values()))
    if clean(everything, len(everything)) != everything:
        raise ValueError(place)
    return value


def _read_class(classes: Mapping[str, type], value: object, place: str, _told: Told) -> object:
    if not isinstance(value, str) or value not in classes:
        raise ValueError(place)
    return classes[value]


def _read_rule(value: object, place: str, _told: Told) -> object:
    try:
        return rule_from_plain(_of(dict, value, place))
    except MixerError as error:
        raise ValueError(place) from error


def _read_float(value: object, place: str, _told: Told) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(place)  # noqa: TRY004 - likewise
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(place) from error
    if not math.isfinite(number):
        raise ValueError(place)
    return number


def _read_text(value: object, place: str, _told: Told) -> object:
    if not isinstance(value, str) or clean(value, len(value)) != value:
        raise ValueError(place)
    return value


def _read_exactly(kind: type, value: object, place: str, _told: Told) -> object:
    if type(value) is not kind:
        raise ValueError(place)
    return value


_SCALARS: Mapping[object, _Read] = types.MappingProxyType(
    {
        float: _read_float,
        str: _read_text,
        int: partial(_read_exactly, int),
        bool: partial(_read_exactly, bool),
        types.NoneType: partial(_read_exactly, types.NoneType),
    }
)
