"""The outlet: what changes in one pass of the loop is written once, at its end, levels when they are told, and then all is shown as it is."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from core.build import capture, client, playback, server, sink, snapshot, source
from hypothesis import given, settings
from hypothesis import strategies as st
from jumping import jumped

from pwmixer_dbus.core.commands import MoveStream, Origin
from pwmixer_dbus.core.events import AppWanted, Capped, Configured, Disconnected, Event, Gone, Routed, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.settings import Settings, SharedMemorySettings
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.shm.layout import HEADER
from pwmixer_dbus.outlets.shm.outlet import SharedMemory
from pwmixer_dbus.outlets.shm.reader import Reader, Snapshot

SEQUENCE = slice(HEADER.offset("sequence"), HEADER.offset("sequence") + 4)
Test = Callable[[Mixer, Reader], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PWMIXER_SHM_FOLDER", str(tmp_path))
    return tmp_path


def opened(folder: Path, test: Test) -> None:
    """Run a test beside an outlet that is open."""

    async def main() -> None:
        mixer = Mixer(Settings())
        outlet = SharedMemory(mixer, SharedMemorySettings(name="kept"))
        await test(mixer, Reader(str(folder / "kept")))
        outlet.close()
        assert not (folder / "kept").exists()

    jumped(main())


def seen(reader: Reader) -> Snapshot:
    state = reader.read()
    assert state is not None
    return state


def test_what_changes_in_one_pass_of_the_loop_is_written_once_at_its_end(folder: Path) -> None:
    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback()))
        await asyncio.sleep(0)
        before = (folder / "kept").read_bytes()
        assert [app.volume for app in seen(reader).apps] == [0.5]
        for step in range(1, 6):
            mixer.on_event(Seen(record=playback(volume=step / 10, corked=step % 2 == 1)))
            mixer.on_event(Seen(record=sink(volume=step / 10, description=f"Speakers {step}")))
        assert (folder / "kept").read_bytes() == before
        await asyncio.sleep(0)
        assert times_written(folder, before) == 1
        assert [app.volume for app in seen(reader).apps] == [0.5]
        assert seen(reader).generation == mixer.state.generation

    opened(folder, main)


def times_written(folder: Path, before: bytes) -> int:
    """Count how often it has been written since it was so."""
    was, now = (int.from_bytes(data[SEQUENCE], "little") for data in (before, (folder / "kept").read_bytes()))
    return (now - was) // 2


def test_levels_are_written_together_when_they_are_told(folder: Path) -> None:
    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback()))
        await asyncio.sleep(0)
        before = (folder / "kept").read_bytes()
        mixer.on_event(Seen(record=playback(volume=0.7)))
        assert times_written(folder, before) == 1
        assert [app.volume for app in seen(reader).apps] == [0.7]
        mixer.on_event(Seen(record=playback(volume=0.8)))
        mixer.on_event(Seen(record=sink(volume=0.2)))
        mixer.on_event(Seen(record=playback(volume=0.9)))
        mixer.tell_levels()
        assert times_written(folder, before) == 2
        assert [app.volume for app in seen(reader).apps] == [0.9]
        assert [device.volume for device in seen(reader).devices] == [0.2]
        assert seen(reader).generation == mixer.state.generation

    opened(folder, main)


def test_a_generation_is_never_shown_without_what_it_has_brought(folder: Path) -> None:
    """Of a stream that is moved at its birth, others are to hear a moment later."""

    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), sink(3, "headset")))
        moves = [(MoveStream(key=(Kind.PLAYBACK, 10), device=3), "a rule")]
        mixer.subscribe_first(lambda *_: mixer.act(moves, "rule"))
        mixer.on_event(Seen(record=playback()))
        assert mixer.state.apps
        await asyncio.sleep(0)
        assert seen(reader).generation == mixer.state.generation
        assert [app.app_id for app in seen(reader).apps] == [*mixer.state.apps]
        for volume in (0.6, 0.7):
            mixer.on_event(Seen(record=sink(volume=volume)))
        mixer.on_event(Seen(record=sink(3, "headset", description="Headset")))
        mixer.on_event(Seen(record=sink(volume=0.8)))
        await asyncio.sleep(0)
        assert seen(reader).generation == mixer.state.generation
        assert {device.name: device.volume for device in seen(reader).devices}["speakers"] == 0.8

    opened(folder, main)


def test_what_plays_is_shown_on_its_device_also_when_that_is_called_otherwise(folder: Path) -> None:
    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback(device=1)))
        await asyncio.sleep(0)
        mixer.on_event(Seen(record=sink(name="renamed")))
        await asyncio.sleep(0)
        (app,) = seen(reader).apps
        assert [(device.id, device.name) for device in seen(reader).devices] == [(app.device, "renamed")]

    opened(folder, main)


def test_what_is_remembered_without_a_sign_of_it_is_no_other_generation(folder: Path) -> None:
    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback()))
        await asyncio.sleep(0)
        (app_id,) = mixer.state.apps
        generation = mixer.state.generation
        mixer.on_event(AppWanted(app_id=app_id, volume=0.3), Origin(kind="memory"))
        assert mixer.state.apps[app_id].volume == 0.3
        await asyncio.sleep(0)
        assert seen(reader).generation == mixer.state.generation == generation

    opened(folder, main)


def test_what_changes_nothing_writes_nothing(folder: Path) -> None:
    async def main(mixer: Mixer, _reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback()))
        await asyncio.sleep(0)
        before = (folder / "kept").read_bytes()
        mixer.on_event(snapshot(sink(), playback()))
        mixer.on_event(Seen(record=sink()))
        mixer.on_event(Gone(kind=Kind.SINK, index=77))
        await asyncio.sleep(0)
        assert (folder / "kept").read_bytes() == before

    opened(folder, main)


def test_what_has_changed_last_is_there_when_it_closes(folder: Path) -> None:
    async def main(mixer: Mixer, reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), playback()))
        await asyncio.sleep(0)
        outlet = SharedMemory(mixer, SharedMemorySettings(name="other"))
        (folder / "linked").hardlink_to(folder / "other")
        mixer.on_event(Seen(record=playback(volume=0.9)))
        outlet.close()
        data = bytearray((folder / "linked").read_bytes())
        data[HEADER.offset("closed")] = 0
        (folder / "linked").write_bytes(data)
        assert [app.volume for app in seen(Reader(str(folder / "linked"))).apps] == [0.9]
        await asyncio.sleep(0)
        assert [app.volume for app in seen(reader).apps] == [0.9]

    opened(folder, main)


def test_what_others_are_to_hear_of_a_moment_later_is_there_when_it_closes(folder: Path) -> None:
    async def main(mixer: Mixer, _reader: Reader) -> None:
        mixer.on_event(snapshot(sink(), sink(3, "headset")))
        await asyncio.sleep(0)
        failed: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        outlet = SharedMemory(mixer, SharedMemorySettings(name="other"))
        (folder / "linked").hardlink_to(folder / "other")
        moves = [(MoveStream(key=(Kind.PLAYBACK, 10), device=3), "a rule")]
        mixer.subscribe_first(lambda *_: mixer.act(moves, "rule"))
        mixer.on_event(Seen(record=playback()))
        outlet.close()
        data = bytearray((folder / "linked").read_bytes())
        data[HEADER.offset("closed")] = 0
        (folder / "linked").write_bytes(data)
        shown = seen(Reader(str(folder / "linked")))
        assert [app.app_id for app in shown.apps] == [*mixer.state.apps] != []
        assert shown.generation == mixer.state.generation
        await asyncio.sleep(0)
        assert failed == []

    opened(folder, main)


INDEXES = st.integers(1, 3)
VOLUMES = st.sampled_from([0.0, 0.25, 1.0])
NAMES = st.sampled_from(["speakers", "headset"])
BINARIES = st.sampled_from(["", "music", "video"])
DEVICES = st.builds(
    lambda make, *fields: make(*fields), st.sampled_from([sink, source]), INDEXES, NAMES, VOLUMES
)
STREAMS = st.builds(
    lambda make, index, binary, volume, device, corked: make(
        index, binary, volume, device=device, corked=corked
    ),
    st.sampled_from([playback, capture]),
    INDEXES,
    BINARIES,
    VOLUMES,
    st.none() | INDEXES,
    st.booleans(),
)
SERVERS = st.builds(server, NAMES | st.just(""), NAMES, st.sampled_from([1, 2]))
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Seen, record=DEVICES | STREAMS | SERVERS | st.builds(client, INDEXES, BINARIES)),
    st.builds(Gone, kind=st.sampled_from(list(Kind)), index=INDEXES),
    st.lists(st.one_of(DEVICES, STREAMS), max_size=4, unique_by=lambda r: (r.kind, r.index)).flatmap(
        lambda records: SERVERS.map(lambda known: snapshot(known, *records))
    ),
    st.just(Disconnected(reason="it went away")),
    st.builds(AppWanted, app_id=st.sampled_from(["bin:music"]), volume=VOLUMES, muted=st.booleans()),
    st.builds(
        Routed,
        kind=st.just(Kind.PLAYBACK),
        index=INDEXES,
        by=st.just("rule music"),
        display_name=st.sampled_from(["", "Radio"]),
        hidden=st.booleans(),
        group=st.just(""),
        max_volume=st.sampled_from([None, 0.5]),
    ),
    st.builds(
        lambda caps, locked: Capped(caps=caps, locked=frozenset(locked)),
        st.dictionaries(st.sampled_from(["bin:music", "sink:speakers"]), st.just(0.5)),
        st.lists(st.sampled_from(["bin:music", "sink:speakers"])),
    ),
    st.builds(
        lambda limit, aliases: Configured(settings=Settings(max_volume=limit, aliases=aliases)),
        VOLUMES,
        st.sampled_from([{}, {"bin:video": "bin:music"}]),
    ),
)


def look_of(state: Snapshot) -> tuple[object, ...]:
    """Return what is shown, whatever ids and places its objects were given."""
    names = {device.id: (device.kind, device.server_index, device.name) for device in state.devices}
    devices = {(device._replace(id=0)) for device in state.devices}
    apps = {(app._replace(id=0, device=0), names.get(app.device)) for app in state.apps}
    defaults = names.get(state.default_sink), names.get(state.default_source)
    return state.generation, state.connected, state.overflow, defaults, devices, apps


def test_whatever_happens_it_shows_what_one_that_is_opened_now_would_show(folder: Path) -> None:
    @settings(max_examples=40)
    @given(st.lists(st.lists(EVENTS, max_size=4), max_size=6))
    def whatever(passes: list[list[Event]]) -> None:
        async def main(mixer: Mixer, reader: Reader) -> None:
            for events in passes:
                for event in events:
                    mixer.on_event(event)
                await asyncio.sleep(0)
                anew = SharedMemory(mixer, SharedMemorySettings(name="anew"))
                assert look_of(seen(reader)) == look_of(seen(Reader(str(folder / "anew"))))
                anew.close()

        opened(folder, main)

    whatever()
