"""PropertiesChanged of a level, straight as bytes: by far the most frequent message, and always the same but for its values.

dbus-fast takes three times as long for it: it checks each name, and walks the signature for each value. That its bytes are
these is held by a property test; every other message is left to it.
"""

from struct import Struct, pack

from pwmixer_dbus.core.document import Level
from pwmixer_dbus.outlets.bus.interfaces import NODE, PROPERTIES

_PATH, _INTERFACE, _MEMBER, _SIGNATURE = 1, 2, 3, 8
"""The codes of header fields."""

_head = Struct("<4sIII4sI").pack
"""What kind of message it is, the lengths of its body and its header fields around its serial, which is put in by the connection,
and how long the path is, which is the first of those."""

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

_BODY = _text(NODE.name)
_BODY += bytes(-len(_BODY) % 4)
_BODY_END = bytes(-(len(_BODY) + 4) % 8)
"""What is between the number of bytes of the entries and the first of them."""

_VOLUME = _aligned(_text("Volume") + _signature("d"))
_MUTED = {muted: _aligned(_text("Muted") + _signature("b")) + _word(muted) for muted in (False, True)}
_CHANNELS = _text("ChannelVolumes") + _signature("ad")
_CHANNELS += bytes(-len(_CHANNELS) % 4)
_NOTHING_INVALID = _word(0)
_REST = _FIELDS + bytes(-len(_FIELDS) % 8) + _BODY
"""All between the path and the entries, but for how many bytes those are."""

_AROUND = len(_BODY) + 4 + len(_BODY_END) + len(_NOTHING_INVALID)
"""How many bytes of a body are not of its entries."""


def level_changed(path: str, old: Level, new: Level) -> bytearray | None:
    """Write the signal that an object is as loud as it is now, without a serial; None where it was so before."""
    volume, muted, channels = new
    entries = b""
    if volume != old.volume:
        entries = _VOLUME + _double(volume)
    if muted != old.muted:
        entries += _MUTED[muted]
    if channels != old.channels:
        count = len(channels)
        entries += bytes(-len(entries) % 8) + _CHANNELS + pack(f"<I4x{count}d", 8 * count, *channels)
    if not entries:
        return None
    name = path.encode()
    end = 8 - len(name) % 8  # at least one 0 ends a text
    fields = 8 + len(name) + end + len(_FIELDS)
    head = _head(_SIGNAL, _AROUND + len(entries), 0, fields, _KIND, len(name))
    return bytearray().join(
        (head, name, bytes(end), _REST, _word(len(entries)), _BODY_END, entries, _NOTHING_INVALID)
    )
