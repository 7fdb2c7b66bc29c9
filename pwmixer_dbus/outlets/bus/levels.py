"""PropertiesChanged of a level, straight as bytes: by far the most frequent message, and always the same but for its values.

dbus-fast takes three times as long for it: it checks each name, and walks the signature for each value. That its bytes are
these is held by a property test; every other message is left to it.
"""

from struct import Struct, pack

from pwmixer_dbus.core.document import Level
from pwmixer_dbus.outlets.bus.interfaces import NODE, PROPERTIES

_PATH, _INTERFACE, _MEMBER, _SIGNATURE = 1, 2, 3, 8
"""The codes of header fields."""

_START = Struct("<4sIII")
"""What kind of message it is, the lengths of its body and its header fields around its serial, which is put in by the connection."""

_SIGNAL = b"l\4\0\1"
"""Little endian, a signal, no flags, version 1 of the protocol."""

_double, _word = Struct("<d").pack, Struct("<I").pack


def _aligned(data: bytes) -> bytes:
    """Fill up to a multiple of 8, on which structs and doubles begin."""
    return data + bytes(-len(data) % 8)


def _text(text: str) -> bytes:
    data = text.encode()
    return _word(len(data)) + data + b"\0"


def _signature(signature: str) -> bytes:
    return bytes((len(signature),)) + signature.encode() + b"\0"


def _field(code: int, kind: str, value: bytes) -> bytes:
    return bytes((code,)) + _signature(kind) + value


_KIND = _field(_PATH, "o", b"")
_FIELDS = (
    _aligned(_field(_INTERFACE, "s", _text(PROPERTIES.name)))
    + _aligned(_field(_MEMBER, "s", _text("PropertiesChanged")))
    + _field(_SIGNATURE, "g", _signature("sa{sv}as"))
)
"""The header fields behind the path, which are always the same; they end on no multiple of 8."""

_FIELDS_END = bytes(-len(_FIELDS) % 8)
_BODY = _text(NODE.name)
_BODY += bytes(-len(_BODY) % 4)
_BODY_END = bytes(-(len(_BODY) + 4) % 8)
"""What is between the number of bytes of the entries and the first of them."""

_VOLUME = _aligned(_text("Volume") + _signature("d"))
_MUTED = {muted: _aligned(_text("Muted") + _signature("b")) + _word(muted) for muted in (False, True)}
_CHANNELS = _text("ChannelVolumes") + _signature("ad")
_CHANNELS += bytes(-len(_CHANNELS) % 4)
_NOTHING_INVALID = _word(0)


def level_changed(path: str, old: Level, new: Level) -> bytearray | None:
    """Write the signal that an object is as loud as it is now, without a serial; None where it was so before."""
    entries = b""
    if new.volume != old.volume:
        entries = _VOLUME + _double(new.volume)
    if new.muted != old.muted:
        entries += _MUTED[new.muted]
    if new.channels != old.channels:
        count = len(new.channels)
        entries += bytes(-len(entries) % 8)
        entries += _CHANNELS + pack(f"<I4x{count}d", 8 * count, *new.channels)
    if not entries:
        return None
    body = _BODY + _word(len(entries)) + _BODY_END + entries + _NOTHING_INVALID
    name = path.encode()
    where = _KIND + _word(len(name)) + name + bytes(8 - len(name) % 8) + _FIELDS  # at least one 0 ends a text
    return bytearray(_START.pack(_SIGNAL, len(body), 0, len(where)) + where + _FIELDS_END + body)
