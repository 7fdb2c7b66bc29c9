"""From libpulse's structs to records: the structs are filled in here, by the declarations of pulsectl."""

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulsectl import _pulsectl as c

from pwmixer_dbus.core.model import (
    TEXT_LIMIT,
    Availability,
    Card,
    Client,
    Device,
    Kind,
    Port,
    Process,
    Profile,
    Properties,
    Server,
    Stream,
)
from pwmixer_dbus.core.tally import Counts
from pwmixer_dbus.pulse import convert
from pwmixer_dbus.pulse.convert import PropertyCache, volume_struct

MANY = settings(max_examples=150)

libpulse = ctypes.CDLL("libpulse.so.0")
libpulse.pa_proplist_new.restype = ctypes.c_void_p
libpulse.pa_proplist_sets.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
libpulse.pa_proplist_set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
libpulse.pa_proplist_unset.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
libpulse.pa_proplist_to_string_sep.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
libpulse.pa_proplist_to_string_sep.restype = ctypes.c_void_p
libpulse.pa_proplist_free.argtypes = [ctypes.c_void_p]
libpulse.pa_xfree.argtypes = [ctypes.c_void_p]


class Proplist:
    """A property list of libpulse's own."""

    def __init__(self, **properties: str) -> None:
        self.address = libpulse.pa_proplist_new()
        for key, value in properties.items():
            self.set(key.replace("_", "."), value)

    def set(self, key: str, value: str) -> bool:
        """Set a text; False where libpulse refuses it."""
        return bool(libpulse.pa_proplist_sets(self.address, key.encode(), value.encode()) == 0)

    def text(self) -> bytes:
        """Return it as the package reads it."""
        pointer = libpulse.pa_proplist_to_string_sep(self.address, b"\x1f")
        text = ctypes.string_at(pointer)
        libpulse.pa_xfree(pointer)
        return text

    def free(self) -> None:
        libpulse.pa_proplist_free(self.address)


@pytest.fixture
def proplist() -> Iterator[Proplist]:
    properties = Proplist(application_name="Music", media_name='a "b" c')
    yield properties
    properties.free()


PROPERTIES = {"application.name": "Music", "media.name": 'a "b" c'}


def filled(declared: Any, **fields: Any) -> Any:
    """Make a struct, with noise wherever the test says nothing."""
    info = declared.from_buffer_copy(b"\xaa" * ctypes.sizeof(declared))
    for name, value in fields.items():
        setattr(info, name, value)
    return info


def volumes(*raw: int) -> Any:
    return c.PA_CVOLUME(channels=len(raw), values=(ctypes.c_uint32 * 32)(*raw))


def positions(*numbers: int) -> Any:
    return c.PA_CHANNEL_MAP(channels=len(numbers), map=(ctypes.c_int * 32)(*numbers))


def list_of(address: int) -> Any:
    return ctypes.cast(address, ctypes.POINTER(c.PA_PROPLIST))


def pointers(items: list[Any]) -> Any:
    kind = ctypes.POINTER(type(items[0]))
    return (kind * len(items))(*(ctypes.pointer(item) for item in items))


def nobody(*_: object) -> None:
    """Know no process behind anything."""


STEREO = {"channel_map": positions(1, 2), "volume": volumes(0x8000, 0x10000)}


# --- records


@pytest.mark.parametrize("kind", [Kind.SINK, Kind.SOURCE])
def test_a_device_is_read(kind: Kind, proplist: Proplist) -> None:
    ports = [
        filled(c.PA_PORT_INFO, name=b"speaker", description=b"Speaker", available=0),
        filled(c.PA_PORT_INFO, name=b"hdmi", description=b"HDMI", available=1),
        filled(c.PA_PORT_INFO, name=b"line", description=b"Line", available=2),
    ]
    table = pointers(ports)
    common = {
        **STEREO,
        "name": b"speakers",
        "description": "Über".encode(),
        "index": 41,
        "mute": 1,
        "flags": 0x0004,
        "state": 0,
        "card": 50,
        "n_ports": 3,
        "ports": table,
        "active_port": table[2],
        "proplist": list_of(proplist.address),
    }
    if kind is Kind.SINK:
        info = filled(c.PA_SINK_INFO, **common)
        device = convert.sink(ctypes.addressof(info), PropertyCache())
    else:
        info = filled(c.PA_SOURCE_INFO, **common, monitor_of_sink=c.PA_INVALID)
        device = convert.source(ctypes.addressof(info), PropertyCache())
    assert device == Device(
        kind=kind,
        index=41,
        name="speakers",
        description="Über",
        channels=(0.5, 1.0),
        positions=("front-left", "front-right"),
        muted=True,
        state="running",
        card=50,
        virtual=False,
        ports=(
            Port(name="speaker", description="Speaker", available=Availability.UNKNOWN),
            Port(name="hdmi", description="HDMI", available=Availability.NO),
            Port(name="line", description="Line", available=Availability.YES),
        ),
        active_port="line",
        properties=PROPERTIES,
    )


def test_a_monitor_and_a_device_without_anything_are_read(proplist: Proplist) -> None:
    info = filled(
        c.PA_SOURCE_INFO,
        name=b"speakers.monitor",
        description=None,
        index=42,
        channel_map=positions(),
        volume=volumes(),
        mute=0,
        flags=0,
        state=-1,
        card=c.PA_INVALID,
        n_ports=0,
        ports=None,
        active_port=None,
        monitor_of_sink=41,
        proplist=list_of(proplist.address),
    )
    device = convert.source(ctypes.addressof(info), PropertyCache())
    assert (device.monitor_of, device.is_monitor) == (41, True)
    assert (device.card, device.virtual, device.state, device.channels) == (None, True, "unknown", ())
    assert (device.description, device.ports, device.active_port) == ("", (), "")


@pytest.mark.parametrize("kind", [Kind.PLAYBACK, Kind.CAPTURE])
def test_a_stream_is_read(kind: Kind, proplist: Proplist) -> None:
    playback = kind is Kind.PLAYBACK
    info = filled(
        c.PA_SINK_INPUT_INFO if playback else c.PA_SOURCE_OUTPUT_INFO,
        **STEREO,
        **{"sink" if playback else "source": c.PA_INVALID},
        name=b"Song",
        index=77,
        client=5,
        mute=1,
        corked=0,
        has_volume=1,
        volume_writable=0,
        proplist=list_of(proplist.address),
    )
    read = convert.sink_input if playback else convert.source_output
    asked: list[object] = []

    def process_of(*about: object) -> Process:
        asked.append(about)
        return Process(pid=42)

    assert convert.stream(read(ctypes.addressof(info), PropertyCache()), process_of) == Stream(
        kind=kind,
        index=77,
        client=5,
        device=None,
        media_name="Song",
        channels=(0.5, 1.0),
        positions=("front-left", "front-right"),
        muted=True,
        corked=False,
        has_volume=True,
        volume_writable=False,
        properties=PROPERTIES,
        process=Process(pid=42),
    )
    assert asked == [((kind, 77), 5, PROPERTIES)]


def test_each_field_of_a_stream_is_read_from_its_own_place(proplist: Proplist) -> None:
    flags = ("mute", "corked", "has_volume", "volume_writable")
    for declared, read in (
        (c.PA_SINK_INPUT_INFO, convert.sink_input),
        (c.PA_SOURCE_OUTPUT_INFO, convert.source_output),
    ):
        for flag in flags:
            fields = {**dict.fromkeys(flags, 0), flag: 1, "name": None, "proplist": list_of(proplist.address)}
            info = filled(declared, **STEREO, **fields)
            stream = convert.stream(read(ctypes.addressof(info), PropertyCache()), nobody)
            shown = (stream.muted, stream.corked, stream.has_volume, stream.volume_writable)
            assert shown == tuple(f == flag for f in flags)


def test_a_client_is_read(proplist: Proplist) -> None:
    info = filled(c.PA_CLIENT_INFO, index=5, name=b"Music\x1b[31m", proplist=list_of(proplist.address))
    assert convert.client(ctypes.addressof(info), PropertyCache(), nobody) == Client(
        index=5, name="Music[31m", properties=PROPERTIES
    )
    client = convert.client(ctypes.addressof(info), PropertyCache(), lambda *_: Process(pid=42))
    assert client.process == Process(pid=42)


def test_a_card_is_read_with_its_profiles_and_ports(proplist: Proplist) -> None:
    proplist.set("device.description", "Built-in Audio")
    profiles = [
        filled(c.PA_CARD_PROFILE_INFO, name=b"off", description=b"Off", available=1),
        filled(c.PA_CARD_PROFILE_INFO, name=b"hdmi", description=b"HDMI", available=0),
    ]
    ports = [filled(c.PA_CARD_PORT_INFO, name=b"line", description=b"Line", available=1)]
    offered = pointers(profiles)
    info = filled(
        c.PA_CARD_INFO,
        index=50,
        name=b"alsa_card",
        n_profiles=2,
        profiles2=offered,
        active_profile2=offered[1],
        n_ports=1,
        ports=pointers(ports),
        proplist=list_of(proplist.address),
    )
    assert convert.card(ctypes.addressof(info), PropertyCache()) == Card(
        index=50,
        name="alsa_card",
        description="Built-in Audio",
        profiles=(
            Profile(name="off", description="Off", available=Availability.YES),
            Profile(name="hdmi", description="HDMI", available=Availability.NO),
        ),
        active_profile="hdmi",
        ports=(Port(name="line", description="Line", available=Availability.NO),),
        properties={**PROPERTIES, "device.description": "Built-in Audio"},
    )


def test_a_card_with_nothing_to_choose_is_read(proplist: Proplist) -> None:
    info = filled(
        c.PA_CARD_INFO,
        index=50,
        name=b"x",
        n_profiles=0,
        n_ports=0,
        active_profile2=None,
        proplist=list_of(proplist.address),
    )
    card = convert.card(ctypes.addressof(info), PropertyCache())
    assert (card.description, card.profiles, card.active_profile, card.ports) == ("x", (), "", ())


def test_the_server_is_read() -> None:
    info = filled(
        c.PA_SERVER_INFO,
        server_name=b"PulseAudio (on PipeWire 1.4.2)",
        server_version=b"15.0.0",
        default_sink_name=b"speakers",
        default_source_name=None,
        cookie=0xDEADBEEF,
    )
    assert convert.server(ctypes.addressof(info)) == Server(
        name="PulseAudio (on PipeWire 1.4.2)",
        version="15.0.0",
        default_sink="speakers",
        default_source="",
        cookie=0xDEADBEEF,
    )


# --- volumes


@MANY
@given(st.lists(st.floats(0, 1.5), max_size=40).map(tuple))
def test_a_volume_comes_back_as_it_was_sent(channels: tuple[float, ...]) -> None:
    raw = volume_struct(channels)
    assert len(raw) == ctypes.sizeof(c.PA_CVOLUME)
    back = convert._volumes(raw)
    assert len(back) == min(len(channels), 32)
    assert all(abs(a - b) < 1e-4 for a, b in zip(channels, back, strict=False))


def test_every_volume_is_rounded_as_python_rounds_it() -> None:
    for first in (*range(0, 0x20000, 32), 0xFFFF_FFE0):
        raw = list(range(first, first + 32))
        volumes = convert._volumes(bytes(c.PA_CVOLUME(32, (ctypes.c_uint32 * 32)(*raw))))
        assert volumes == tuple(round(each / 0x10000, 4) for each in raw)


def test_a_volume_struct_is_libpulses_own() -> None:
    made = c.PA_CVOLUME.from_buffer_copy(volume_struct((0.5, 1.0)))
    assert (made.channels, list(made.values)) == (2, [0x8000, 0x10000, *[0] * 30])


# --- properties


def read_back(proplist: Proplist) -> dict[str, str]:
    read = dict(PropertyCache().read(Kind.CLIENT, 1, proplist.address))
    proplist.free()
    return read


@MANY
@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"=')),
        st.text(
            st.characters(
                min_codepoint=32,
                exclude_characters="\\",
                exclude_categories=["Cc", "Cs", "Cn", "Cf", "Zl", "Zp"],
            )
        ),
        max_size=6,
    )
)
def test_what_libpulse_holds_is_read(properties: dict[str, str]) -> None:
    proplist = Proplist()
    accepted = {key: value for key, value in properties.items() if proplist.set(key, value)}
    assert read_back(proplist) == accepted


@pytest.mark.parametrize(
    "value",
    [
        'says "hello"',
        '"',
        "",
        " = ",
        'x" = "y',
        '\x1fpipewire.sec.pid = "1"',
        '"\x1fpipewire.sec.pid = "1"\x1f',
        "\x1fpipewire.sec.pid = hex:31",
    ],
)
def test_no_value_forges_another_entry(value: str) -> None:
    proplist, keys = Proplist(), {"media.name", "application.name", "node.name"}
    assert all(proplist.set(key, value) for key in keys)
    read = read_back(proplist)
    assert set(read) == keys
    assert set(read.values()) == {value.replace("\x1f", "")}


def test_what_is_no_text_is_left_out() -> None:
    proplist = Proplist(application_name="Music")
    libpulse.pa_proplist_set(proplist.address, b"application.icon", b"\x00\xff\xfe", 3)
    proplist.set("media.name", "Song")
    assert read_back(proplist) == {"application.name": "Music", "media.name": "Song"}


def test_text_is_cleaned_on_the_way_in_and_bounded() -> None:
    proplist = Proplist(media_name="\x1b[31mred\u202e", node_name="x" * 1000)
    assert read_back(proplist) == {"media.name": "[31mred", "node.name": "x" * TEXT_LIMIT}


def test_a_property_list_cannot_be_changed() -> None:
    proplist = Proplist(media_name="One")
    read = PropertyCache().read(Kind.CLIENT, 1, proplist.address)
    with pytest.raises(TypeError):
        read["media.name"] = "Two"  # type: ignore[index]
    proplist.free()


def test_properties_are_parsed_again_only_when_they_changed() -> None:
    counts = Counts()
    cache, proplist = PropertyCache(counts), Proplist(media_name="One")
    first = cache.read(Kind.PLAYBACK, 10, proplist.address)
    for value in ("Two", "Three"):
        # As text, then as libpulse's own list.
        for _ in range(3):
            assert cache.read(Kind.PLAYBACK, 10, proplist.address) is first
        proplist.set("media.name", value)
        second = cache.read(Kind.PLAYBACK, 10, proplist.address)
        assert second["media.name"] == value != first["media.name"]
        first = second
    assert (counts.properties_hits, counts.properties_misses) == (6, 3)
    cache.forget(Kind.PLAYBACK, 10)
    assert cache.read(Kind.PLAYBACK, 10, proplist.address) is not first
    cache.clear()
    assert cache.read(Kind.CAPTURE, 10, proplist.address) == first
    proplist.free()


@pytest.mark.parametrize("value", ["One", 'a "b" c'])
def test_the_keys_of_many_objects_are_kept_once(value: str) -> None:
    lists = [Proplist(media_name=value) for _ in range(2)]
    one, other = (PropertyCache().read(Kind.CLIENT, 1, each.address) for each in lists)
    assert next(iter(one)) is next(iter(other))
    for each in lists:
        each.free()


def test_what_comes_or_goes_of_a_property_list_is_seen_however_often_it_was_looked_at() -> None:
    cache, proplist = PropertyCache(), Proplist(media_name="One")
    for key in ("media.role", "media.title"):
        for _ in range(3):
            assert key not in cache.read(Kind.PLAYBACK, 10, proplist.address)
        proplist.set(key, "")
        assert cache.read(Kind.PLAYBACK, 10, proplist.address)[key] == ""
    for _ in range(3):
        cache.read(Kind.PLAYBACK, 10, proplist.address)
    libpulse.pa_proplist_unset(proplist.address, b"media.role")
    assert set(cache.read(Kind.PLAYBACK, 10, proplist.address)) == {"media.name", "media.title"}
    proplist.free()


def test_of_a_thousand_objects_only_a_few_property_lists_are_kept_as_they_are() -> None:
    cache, proplist = PropertyCache(), Proplist(media_name="One")
    read: dict[int, Properties] = {}
    for _ in range(3):
        for index in range(1000):
            properties = cache.read(Kind.PLAYBACK, index, proplist.address)
            assert read.setdefault(index, properties) is properties
    assert len(cache._copies) == convert._COPIES
    for index in range(1000):
        cache.forget(Kind.PLAYBACK, index)
    assert (cache._copies, cache._known) == ({}, {})
    proplist.free()
