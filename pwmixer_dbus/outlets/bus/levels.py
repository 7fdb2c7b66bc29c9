"""PropertiesChanged of a level, straight as bytes: by far the most frequent message, and always the same but for its values.

dbus-fast takes three times as long for it: it checks each name, and walks the signature for each value. That its bytes are
these is held by a property test; every other message is left to it.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct

from pwmixer_dbus.core.document import Level
from pwmixer_dbus.outlets.bus.interfaces import NODE, PROPERTIES

_PATH, _INTERFACE, _MEMBER, _SIGNATURE = 1, 2, 3, 8
"""The codes of header fields."""

_head = Struct("<4sIII4sI").pack
"""The fixed part of the message: its kind, the length of its body, its serial, which the connection puts in, the length
of its header fields, and of the first of those the length of the path.
"""

_SIGNAL = b"l\4\0\1"
"""Little endian, a signal, no flags, version 1 of the protocol."""

_word = Struct("<I").pack

FRAMES = 48
"""How many are kept: more than there are combinations of path length and what differs among all that plays at one time."""


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
"""What stands between the length of the entries and the first of them."""

_VOLUME = _aligned(_text("Volume") + _signature("d"))
_MUTED = {muted: _aligned(_text("Muted") + _signature("b")) + _word(muted) for muted in (False, True)}
_CHANNELS = _text("ChannelVolumes") + _signature("ad")
_CHANNELS += bytes(-len(_CHANNELS) % 4)
_NOTHING_INVALID = _word(0)
_REST = _FIELDS + bytes(-len(_FIELDS) % 8) + _BODY
"""All that stands between the path and the entries, but for the length of those."""

_AROUND = len(_BODY) + 4 + len(_BODY_END) + len(_NOTHING_INVALID)
"""How many bytes of a body do not belong to its entries."""


@lru_cache(maxsize=FRAMES)
def _frame(
    path: int, volume: bool, muted: bool | None, channels: int | None
) -> tuple[Callable[..., bytes], bytes, bytes, bytes]:
    """Return what messages of which the same differs have in common, for paths of this length.

    `muted`, and `channels`, which is how many there are, are None where they do not differ. What is returned writes such a
    message, and is what it is to begin with, what is before the volume, and what between that and the channels.
    """
    entries = _VOLUME + bytes(8) if volume else b""
    before, between = entries[:-8], b"" if muted is None else _MUTED[muted]
    if channels is not None:
        between += bytes(-(len(entries) + len(between)) % 8) + _CHANNELS + _word(8 * channels)
        between += bytes(-(len(entries) + len(between)) % 8)
    doubles = channels or 0
    length = len(entries) + len(between) + 8 * doubles
    before = _REST + _word(length) + _BODY_END + before
    name = path + 8 - path % 8  # at least one 0 ends a text
    head = _head(_SIGNAL, _AROUND + length, 0, 8 + name + len(_FIELDS), _KIND, path)
    number = "d" if volume else "0s"
    form = f"<{len(head)}s{name}s{len(before)}s{number}{len(between)}s{doubles}d{len(_NOTHING_INVALID)}x"
    return Struct(form).pack, head, before, between


def level_changed(path: str, old: Level, new: Level) -> bytearray | None:
    """Write the signal that an object is as loud as it is now, without a serial; None where it was so before."""
    if new == old:
        return None
    volume, muted, channels = new
    is_louder, count, name = volume != old.volume, None, path.encode()
    if channels == old.channels:
        channels = ()
    else:
        count = len(channels)
    pack, head, before, between = _frame(len(name), is_louder, None if muted == old.muted else muted, count)
    return bytearray(pack(head, name, before, volume if is_louder else b"", between, *channels))
