"""Byte code as `marshal` writes it, in which equal constants are one: names of variables, tables of lines, texts.

Python shares those that are the same object, which what two functions have alike is not.
"""

import marshal
from collections import Counter
from typing import Any

_SHARED = 0x80
"""A flag in the byte before a value: later values refer to it, by the number of flagged values before it."""

_NOTHING, _OF_FOUR, _OF_EIGHT, _OF_SIXTEEN = b"NTFS.0", b"i", b"g", b"y"
_SHORT, _LONG, _NUMBER = b"zZ", b"saAtu", b"l"
_FEW, _MANY = b")", b"(<>["
_CODE, _REFERENCE, _TABLE = b"c", b"r", b"{"
_END = b"0"
_COUNTS, _OBJECTS, _LINE = 20, 8, 4
"""Of a code: the bytes of its counts, the values after these, the bytes of its first line; two values end it."""

_Parts = tuple[bytes | int, ...]
"""A value as it is written, with the numbers of the values in it in their places."""


def shared(value: Any) -> bytes:
    """Write a value as `marshal.dumps` does, with equal constants shared; not shared where this Python has another format."""
    data = marshal.dumps(value)
    try:
        reader = _Reader(data)
        written = _written(reader.value(), [*reader.numbers])
        return written if marshal.loads(written) == value else data  # noqa: S302 - our own
    except (LookupError, ValueError, EOFError, TypeError):
        return data


class _Reader:
    """Reads values, each of which has a number; equal ones of the same type have the same."""

    def __init__(self, data: bytes) -> None:
        self.numbers: dict[_Parts, int] = {}
        self._data = data
        self._at = 0
        self._shared: list[int] = []

    def value(self) -> int:
        """Read the next value; return its number."""
        head = self._take(1)[0]
        kind = bytes([head & ~_SHARED])
        if kind == _REFERENCE:
            return self._shared[int.from_bytes(self._take(4), "little")]
        place = len(self._shared)
        if head & _SHARED:
            self._shared.append(-1)
        number = self.numbers.setdefault((kind, *self._parts(kind)), len(self.numbers))
        if head & _SHARED:
            self._shared[place] = number
        return number

    def _parts(self, kind: bytes) -> Any:
        if kind in _NOTHING:
            return ()
        for kinds, length in ((_OF_FOUR, 4), (_OF_EIGHT, 8), (_OF_SIXTEEN, 16)):
            if kind in kinds:
                return (self._take(length),)
        if kind == _CODE:
            values = [self._take(_COUNTS), *(self.value() for _ in range(_OBJECTS))]
            return *values, self._take(_LINE), self.value(), self.value()
        if kind == _TABLE:
            return self._table()
        size = self._take(1 if kind in _SHORT + _FEW else 4)
        length = int.from_bytes(size, "little", signed=kind == _NUMBER)
        if kind in _FEW + _MANY:
            return size, *(self.value() for _ in range(length))
        if kind not in _SHORT + _LONG + _NUMBER:
            raise ValueError(f"there is something of kind {kind!r}")
        return size, self._take(2 * abs(length) if kind == _NUMBER else length)

    def _table(self) -> Any:
        values: list[bytes | int] = []
        while self._data[self._at : self._at + 1] != _END:
            values += self.value(), self.value()
        return *values, self._take(1)

    def _take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) < length:
            raise ValueError("it ends too early")
        self._at += length
        return taken


def _written(root: int, values: list[_Parts]) -> bytes:
    """Write a value; whatever is there more than once is referred to."""
    uses = Counter(part for parts in values for part in parts if isinstance(part, int))
    places: dict[int, int] = {}
    out = bytearray()

    def write(number: int) -> None:
        if number in places:
            out.extend(_REFERENCE + places[number].to_bytes(4, "little"))
            return
        kind, *parts = values[number]
        assert isinstance(kind, bytes)  # noqa: S101 - a value begins with its kind
        if uses[number] > 1 and kind not in _NOTHING:
            places[number] = len(places)
            kind = bytes([kind[0] | _SHARED])
        out.extend(kind)
        for part in parts:
            if isinstance(part, int):
                write(part)
            else:
                out.extend(part)

    write(root)
    return bytes(out)
