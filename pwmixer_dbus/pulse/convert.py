"""From libpulse's structs to our records and back. Nothing of a struct is kept: libpulse frees it after the callback.

The hot structs (sinks, sources, streams, clients) are read by one `struct.unpack` each, whose layout is taken from pulsectl's
own declarations; the rest, which rarely changes, through ctypes.
"""

import ctypes
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from pulsectl import _pulsectl as c

from pwmixer_dbus.core.events import Levelled
from pwmixer_dbus.core.model import (
    TEXT_LIMIT,
    VOLUME_DIGITS,
    Availability,
    Card,
    Client,
    Device,
    Key,
    Kind,
    Port,
    Process,
    Profile,
    Properties,
    Server,
    Stream,
    clean,
)
from pwmixer_dbus.core.tally import Counts
from pwmixer_dbus.pulse.libpulse import (
    INVALID,
    copy_list,
    free_list,
    is_same_list,
    properties_of,
    property_count,
    property_text,
)

Look = tuple[Levelled, tuple[Any, ...]]
"""What is read of a stream: how loud it is, and all else, which is equal as long as nothing else changes."""

ProcessOf = Callable[[Key, int | None, Properties], Process | None]
"""Tells the process behind a stream or client: by its key, the index of a stream's client, and its properties."""

_NORM = 0x10000
_STEPS = 10**VOLUME_DIGITS
_STEPS_OF_RAW = _STEPS / _NORM  # exactly
_MAX_CHANNELS = 32
_HARDWARE = 0x0004
_STATES = {0: "running", 1: "idle", 2: "suspended"}
_AVAILABILITY = {0: Availability.UNKNOWN, 1: Availability.NO, 2: Availability.YES}
_PROPERTY_COUNT = 1000
_KEYS = 512
_COPIES = 128


def _layout(declared: Any, *names: str) -> Callable[[int], tuple[Any, ...]]:
    """Return a function that reads fields of a struct, as they are named: pointers as numbers, structs as bytes."""
    codes = {ctypes.c_uint32: "I", ctypes.c_int: "i", ctypes.c_uint8: "B"}
    pieces, position = ["="], 0
    types = dict(declared._fields_)
    placed = sorted(names, key=lambda name: getattr(declared, name).offset)
    for name in placed:
        field = getattr(declared, name)
        pieces.append(f"{field.offset - position}x")
        is_struct = isinstance(types[name], type) and issubclass(types[name], ctypes.Structure)
        word = "Q" if field.size == struct.calcsize("=Q") else "I"
        pieces.append(f"{field.size}s" if is_struct else codes.get(types[name], word))
        position = field.offset + field.size
    reader = struct.Struct("".join(pieces))
    as_named = itemgetter(*map(placed.index, names))
    at = (ctypes.c_char * reader.size).from_address
    return lambda address: as_named(reader.unpack_from(at(address)))


_STREAM_FIELDS = (
    *("index", "volume", "mute", "name", "channel_map", "proplist"),
    *("client", "corked", "has_volume", "volume_writable"),
)
_read_sink_input = _layout(c.PA_SINK_INPUT_INFO, *_STREAM_FIELDS, "sink")
_read_source_output = _layout(c.PA_SOURCE_OUTPUT_INFO, *_STREAM_FIELDS, "source")
_read_client = _layout(c.PA_CLIENT_INFO, "index", "name", "proplist")
_DEVICE_FIELDS = (
    *("name", "index", "description", "channel_map", "volume", "mute", "flags", "proplist"),
    *("state", "card", "n_ports", "ports", "active_port"),
)
_read_sink = _layout(c.PA_SINK_INFO, *_DEVICE_FIELDS)
_read_source = _layout(c.PA_SOURCE_INFO, *_DEVICE_FIELDS, "monitor_of_sink")


class PropertyCache:
    """Keeps the property list of each object, so that it is read again only when it differs.

    At first it is compared by the hash of its text. For the few objects that are looked at again, libpulse's own list
    is kept instead: comparing that takes a tenth of the time, and much memory. How often one differs is counted in
    `counts`.
    """

    def __init__(self, counts: Counts | None = None) -> None:
        self._counts = counts or Counts()
        self._known: dict[tuple[Kind, int], tuple[int, Properties]] = {}
        self._copies: dict[tuple[Kind, int], tuple[int, Properties]] = {}

    def read(self, kind: Kind, index: int, proplist: int) -> Properties:
        """Return an object's properties; the same mapping as before where nothing changed."""
        key = (kind, index)
        copy = self._copies.get(key)
        if copy is not None and is_same_list(copy[0], proplist):
            self._counts.properties_hits += 1
            return copy[1]
        raw = property_text(proplist)
        hashed = hash(raw)
        known = self._known.get(key)
        if known is not None and known[0] == hashed:
            self._counts.properties_hits += 1
            if len(self._copies) < _COPIES:
                self.forget(kind, index)
                self._copies[key] = (copy_list(proplist), known[1])
            return known[1]
        if copy is not None:
            self.forget(kind, index)
        self._counts.properties_misses += 1
        properties = read_properties(proplist, raw)
        self._known[key] = (hashed, properties)
        return properties

    def forget(self, kind: Kind, index: int) -> None:
        """Drop what is kept of an object that has gone."""
        self._known.pop((kind, index), None)
        copy = self._copies.pop((kind, index), None)
        if copy is not None:
            free_list(copy[0])

    def clear(self) -> None:
        """Drop everything; a new life of the server counts its indexes anew."""
        self._known.clear()
        for copy, _ in self._copies.values():
            free_list(copy)
        self._copies.clear()


def read_properties(proplist: int, raw: bytes) -> Properties:
    """Read a property list of libpulse; binary values are left out, text is cleaned, `_PROPERTY_COUNT` are enough.

    `raw` is the same list as `property_text` has it.
    """
    plain = _plain_properties(_text(raw), property_count(proplist))
    if plain is None:
        entries = islice(properties_of(proplist), _PROPERTY_COUNT)
        plain = {_shared(_cut(key)): _cut(value) for key, value in entries}
    return MappingProxyType(plain)


def _plain_properties(text: str, count: int) -> dict[str, str] | None:
    """Take a list of so many properties apart, `KEY = "VALUE" = "KEY = "VALUE"`; None where that takes a closer look.

    There are three quotes for each property but the last: where there are no more, nobody has put one into a key or a
    value to forge another. Nearly every list is such a one, of short and printable text, which has nothing to clean.
    """
    if " = hex:" in text or not text.isprintable() or not 0 < count <= _PROPERTY_COUNT:
        return None
    if text.count('"') != 3 * count - 1 or text.count(' = "') != 2 * count - 1:
        return None
    pieces = text[:-1].replace('" = "', ' = "').split(' = "')
    if len(max(pieces, key=len)) > TEXT_LIMIT:
        return None
    one_after_the_other = iter(pieces)
    return dict(zip(map(_shared, one_after_the_other), one_after_the_other, strict=True))


_shared: Callable[[str], str] = lru_cache(maxsize=_KEYS)(str)
"""Returns the same object for equal texts, since hundreds of objects have the same few keys. Not `sys.intern`: Python
3.12 keeps interned texts for ever.
"""


def _cut(raw: bytes) -> str:
    return clean(_text(raw[: 4 * TEXT_LIMIT]))


def sink(address: int, cache: PropertyCache) -> Device:
    """Read a `pa_sink_info`."""
    return _device(Kind.SINK, (*_read_sink(address), INVALID), cache)


def source(address: int, cache: PropertyCache) -> Device:
    """Read a `pa_source_info`; a sink's monitor says so."""
    return _device(Kind.SOURCE, _read_source(address), cache)


def _device(kind: Kind, fields: tuple[Any, ...], cache: PropertyCache) -> Device:
    name, index, description, positions, volume, mute, flags, proplist, *rest = fields
    state, card, port_count, ports, active_port, monitored = rest
    return Device(
        kind=kind,
        index=index,
        name=_string(name),
        description=_string(description),
        channels=_volumes(volume),
        positions=_positions(positions),
        muted=bool(mute),
        state=_STATES.get(state, "unknown"),
        card=_index(card),
        monitor_of=_index(monitored),
        virtual=not flags & _HARDWARE,
        ports=tuple(_ports(ports, port_count, c.PA_PORT_INFO)) if port_count else (),
        active_port=_string(_dereference(active_port)) if active_port else "",
        properties=cache.read(kind, index, proplist),
    )


def _look(kind: Kind, read: Callable[[int], tuple[Any, ...]], address: int, cache: PropertyCache) -> Look:
    index, volume, mute, name, positions, proplist, *rest = read(address)
    level = Levelled((kind, index), _volumes(volume), mute != 0)
    text = ctypes.string_at(name) if name else b""
    return level, (text, volume[0], _positions(positions), cache.read(kind, index, proplist), *rest)


sink_input = partial(_look, Kind.PLAYBACK, _read_sink_input)
source_output = partial(_look, Kind.CAPTURE, _read_source_output)
"""Read a `pa_sink_input_info` or a `pa_source_output_info`; `stream` makes a record of it."""


def stream(look: Look, process_of: ProcessOf) -> Stream:
    """Make a record of what has been read."""
    (key, channels, muted), (name, _, positions, properties, client, *flags, device) = look
    corked, has_volume, writable = flags
    owner = None if client == INVALID else client
    return Stream(
        kind=key[0],
        index=key[1],
        client=owner,
        device=None if device == INVALID else device,
        media_name=_decoded(name),
        channels=channels,
        positions=positions,
        muted=muted,
        corked=corked != 0,
        has_volume=has_volume != 0,
        volume_writable=writable != 0,
        properties=properties,
        process=process_of(key, owner, properties),
    )


def client(address: int, cache: PropertyCache, process_of: ProcessOf) -> Client:
    """Read a `pa_client_info`."""
    index, name, proplist = _read_client(address)
    properties = cache.read(Kind.CLIENT, index, proplist)
    return Client(
        index=index,
        name=_string(name),
        properties=properties,
        process=process_of((Kind.CLIENT, index), None, properties),
    )


def card(address: int, cache: PropertyCache) -> Card:
    """Read a `pa_card_info`."""
    info = ctypes.cast(address, ctypes.POINTER(c.PA_CARD_INFO)).contents
    properties = cache.read(Kind.CARD, info.index, ctypes.cast(info.proplist, ctypes.c_void_p).value or 0)
    name = _decoded(info.name)
    profiles = tuple(
        Profile(
            name=_decoded(p.name),
            description=_decoded(p.description),
            available=Availability.YES if p.available else Availability.NO,
        )
        for p in (info.profiles2[i].contents for i in range(info.n_profiles))
    )
    ports = ctypes.cast(info.ports, ctypes.c_void_p).value or 0
    return Card(
        index=info.index,
        name=name,
        description=properties.get("device.description") or name,
        profiles=profiles,
        active_profile=_decoded(info.active_profile2.contents.name) if info.active_profile2 else "",
        ports=tuple(_ports(ports, info.n_ports, c.PA_CARD_PORT_INFO)) if info.n_ports else (),
        properties=properties,
    )


def server(address: int) -> Server:
    """Read a `pa_server_info`."""
    info = ctypes.cast(address, ctypes.POINTER(c.PA_SERVER_INFO)).contents
    return Server(
        name=_decoded(info.server_name),
        version=_decoded(info.server_version),
        default_sink=_decoded(info.default_sink_name),
        default_source=_decoded(info.default_source_name),
        cookie=info.cookie,
    )


def volume_struct(channels: tuple[float, ...]) -> bytes:
    """Make a `pa_cvolume`: the number of channels, then 32 volumes where 0x10000 is 100 %."""
    raw = [round(channel * _NORM) for channel in channels[:_MAX_CHANNELS]]
    return struct.pack(f"=B3x{_MAX_CHANNELS}I", len(raw), *raw, *[0] * (_MAX_CHANNELS - len(raw)))


def _ports(ports: int, count: int, declared: Any) -> Iterator[Port]:
    pointers = ctypes.cast(ports, ctypes.POINTER(ctypes.POINTER(declared)))
    for i in range(count):
        port = pointers[i].contents
        yield Port(
            name=_decoded(port.name),
            description=_decoded(port.description),
            available=_AVAILABILITY.get(port.available, Availability.UNKNOWN),
        )


def _volumes(raw: bytes) -> tuple[float, ...]:
    # As round(v / _NORM, VOLUME_DIGITS), for which Python goes by way of text.
    return tuple([round(v * _STEPS_OF_RAW) / _STEPS for v in struct.unpack_from(f"={raw[0]}I", raw, 4)])


@lru_cache(maxsize=64)
def _positions(raw: bytes) -> tuple[str, ...]:
    numbers = struct.unpack_from(f"={raw[0]}i", raw, 4)
    return tuple(c.pa.channel_position_to_string(n) or "unknown" for n in numbers)


def _index(index: int) -> int | None:
    return None if index == INVALID else int(index)


def _string(address: int) -> str:
    return clean(ctypes.string_at(address).decode("utf-8", "replace")) if address else ""


def _dereference(address: int) -> int:
    return ctypes.c_void_p.from_address(address).value or 0


def _decoded(raw: bytes | None) -> str:
    return clean(_text(raw)) if raw else ""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
