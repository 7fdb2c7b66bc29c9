"""The answer to a Get of a number or a truth, straight as bytes: by far the most frequent answer, as it is how loud something is.

dbus-fast takes three times as long for it. That its bytes are these is held by a property test; every other answer is left to it.
"""

from struct import Struct

_START = Struct("<4sIII4sI4sI").pack
"""What it is, the lengths of its body and its header fields around its serial, and the fields: to which call, and to whom."""

_RETURN = b"l\2\0\1"
"""Little endian, the return of a method, no flags, version 1 of the protocol."""

_REPLY_SERIAL, _DESTINATION, _SIGNATURE = b"\5\1u\0", b"\6\1s\0", b"\x08\1g\0\1v\0"
_START_OF_FIELDS = 16
"""How many bytes are in them before the name of the destination."""

_number = Struct("<8sd").pack
_TRUTHS = {truth: b"\1b\0\0" + Struct("<I").pack(truth) for truth in (False, True)}


def written_value(serial: int, client: str, kind: str, value: float | bool) -> bytearray | None:
    """Write the answer to a call by its serial and its sender, without a serial of its own; None for what is not `d` or `b`."""
    if kind == "d":
        body = _number(b"\1d", value)
    elif kind == "b":
        body = _TRUTHS[bool(value)]
    else:
        return None
    to = client.encode()
    name = to + bytes(8 - len(to) % 8)
    length = _START_OF_FIELDS + len(name) + len(_SIGNATURE)
    start = _START(_RETURN, len(body), 0, length, _REPLY_SERIAL, serial, _DESTINATION, len(to))
    return bytearray(start + name + _SIGNATURE + b"\0" + body)
