"""The answer to a Get of a number or a boolean, straight as bytes: by far the most frequent one.

dbus-fast takes three times as long for it. That its bytes are these is held by a property test; every other answer is left to it.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct

_word = Struct("<I").pack
_start = Struct("<4sIII4s").pack
"""The fixed part of the message: its kind, the length of its body, its serial, the length of its header fields, and the
first of those, which names the call, without its value.
"""

_RETURN = b"l\2\0\1"
"""Little endian, the return of a method, no flags, version 1 of the protocol."""

_REPLY_SERIAL, _DESTINATION, _SIGNATURE = b"\5\1u\0", b"\6\1s\0", b"\x08\1g\0\1v\0"
_START_OF_FIELDS = 16
"""How many bytes of the header fields come before the name of the destination."""

_KINDS = {"d": b"\1d".ljust(8, b"\0"), "b": b"\1b\0\0"}
"""What a body begins with, before its value."""

_VALUES = {"d": Struct("<d"), "b": Struct("<I")}

FRAMES = 16
"""How many are kept: more than there are clients that ask at one time."""


@lru_cache(maxsize=FRAMES)
def _frame(client: str, kind: str) -> tuple[Callable[..., bytes], bytes, bytes]:
    """Return what answers to a client have in common: their writer, and the bytes before the call's serial and the value."""
    to, value = client.encode(), _VALUES[kind]
    name = to + bytes(8 - len(to) % 8)
    before_value = _DESTINATION + _word(len(to)) + name + _SIGNATURE + b"\0" + _KINDS[kind]
    length = _START_OF_FIELDS + len(name) + len(_SIGNATURE)
    start = _start(_RETURN, len(_KINDS[kind]) + value.size, 0, length, _REPLY_SERIAL)
    return Struct(f"<{len(start)}sI{len(before_value)}s{value.format[1:]}").pack, start, before_value


def written_value(serial: int, client: str, kind: str, value: float | bool) -> bytearray | None:
    """Write the answer to a call by its serial and its sender, without a serial of its own; None for what is not `d` or `b`."""
    if kind not in _KINDS:
        return None
    pack, start, before_value = _frame(client, kind)
    return bytearray(pack(start, serial, before_value, value))
