"""PipeWire's PODs, the typed values of its protocol, to bytes and back; as much of them as a sound card needs.

Every value is a size, a type and a body, filled up to eight bytes. Encoded values are `bytes`; decoded ones are plain
Python: structs and arrays become lists, objects become dictionaries by key.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

NONE, BOOL, ID, INT, LONG, FLOAT, STRING = 1, 2, 3, 4, 5, 6, 8
ARRAY, STRUCT, OBJECT, CHOICE = 13, 14, 15, 19

HARDWARE = 2
"""The flag of a property that the hardware itself has, such as a volume."""

_SCALARS = {BOOL: "=i", ID: "=I", INT: "=i", LONG: "=q", FLOAT: "=f"}


def pod(kind: int, body: bytes) -> bytes:
    """Encode a value of any type from its body."""
    return struct.pack("=II", len(body), kind) + body + bytes(-len(body) % 8)


def nothing() -> bytes:
    """Encode the absence of a value."""
    return pod(NONE, b"")


def boolean(value: bool) -> bytes:
    """Encode true or false."""
    return pod(BOOL, struct.pack("=i", value))


def ident(value: int) -> bytes:
    """Encode a member of an enumeration."""
    return pod(ID, struct.pack("=I", value))


def integer(value: int) -> bytes:
    """Encode a whole number of 32 bits."""
    return pod(INT, struct.pack("=i", value))


def long(value: int) -> bytes:
    """Encode a whole number of 64 bits."""
    return pod(LONG, struct.pack("=q", value))


def real(value: float) -> bytes:
    """Encode a floating-point number."""
    return pod(FLOAT, struct.pack("=f", value))


def string(value: str) -> bytes:
    """Encode text."""
    return pod(STRING, value.encode() + b"\0")


def array(kind: int, values: Iterable[float]) -> bytes:
    """Encode numbers of one type."""
    bodies = [struct.pack(_SCALARS[kind], value) for value in values]
    return pod(ARRAY, struct.pack("=II", 4, kind) + b"".join(bodies))


def sequence(*fields: bytes) -> bytes:
    """Encode a struct: fields one after the other."""
    return pod(STRUCT, b"".join(fields))


def pairs(items: Mapping[str, str]) -> bytes:
    """Encode the body of a dictionary: its size, keys and values. It stands in a struct."""
    words = (string(word) for item in items.items() for word in item)
    return integer(len(items)) + b"".join(words)


def thing(kind: int, param: int, properties: Mapping[int, bytes], hardware: Iterable[int] = ()) -> bytes:
    """Encode an object: encoded values by key, some of which are the hardware's own."""
    flags = dict.fromkeys(hardware, HARDWARE)
    body = b"".join(struct.pack("=II", key, flags.get(key, 0)) + value for key, value in properties.items())
    return pod(OBJECT, struct.pack("=II", kind, param) + body)


def decoded(data: bytes) -> Any:
    """Decode the value at the beginning of `data`."""
    value, _ = _decode(data, 0)
    return value


def _decode(data: bytes, start: int) -> tuple[Any, int]:
    size, kind = struct.unpack_from("=II", data, start)
    body = data[start + 8 : start + 8 + size]
    return _value(kind, body), start + 8 + size + -size % 8


def _value(kind: int, body: bytes) -> Any:
    if kind in _SCALARS:
        (number,) = struct.unpack_from(_SCALARS[kind], body)
        return bool(number) if kind == BOOL else number
    if kind == STRING:
        return body.rstrip(b"\0").decode(errors="replace")
    if kind == STRUCT:
        return list(_fields(body, 0))
    if kind == OBJECT:
        return dict(_properties(body))
    if kind == ARRAY:
        return _elements(body)
    if kind == CHOICE:
        return next(iter(_elements(body[8:])), None)
    return None


def _fields(body: bytes, position: int) -> Iterator[Any]:
    while position < len(body):
        value, position = _decode(body, position)
        yield value


def _properties(body: bytes) -> Iterator[tuple[int, Any]]:
    position = 8
    while position < len(body):
        (key,) = struct.unpack_from("=I", body, position)
        value, position = _decode(body, position + 8)
        yield key, value


def _elements(body: bytes) -> list[Any]:
    if len(body) < 8:
        return []
    size, kind = struct.unpack_from("=II", body)
    return [_value(kind, body[i : i + size]) for i in range(8, len(body), size)] if size else []
