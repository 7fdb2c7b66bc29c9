"""Records with defaults, so that a test names only what it is about; and the worlds that are made of them."""

from collections.abc import Callable
from typing import Any

from pwmixer_dbus.core.events import KEEP, AppWanted, Event, Gone, Keep, Seen, Snapshot
from pwmixer_dbus.core.model import App, Card, Client, Device, Kind, Process, Server, Stream
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState, apply

MUSIC = "bin:music"
"""The id of the application that streams belong to where nothing else is said."""


def sink(index: int = 1, name: str = "speakers", volume: float = 0.5, **fields: Any) -> Device:
    """Make a stereo sink."""
    return Device(**{"kind": Kind.SINK, "index": index, "name": name, "channels": (volume, volume), **fields})


def source(index: int = 2, name: str = "microphone", volume: float = 0.5, **fields: Any) -> Device:
    """Make a stereo source."""
    return sink(index, name, volume, kind=Kind.SOURCE, **fields)


def playback(index: int = 10, binary: str = "music", volume: float = 0.5, **fields: Any) -> Stream:
    """Make a stereo stream of a program."""
    properties = {"application.process.binary": binary} if binary else {}
    made = {"kind": Kind.PLAYBACK, "index": index, "channels": (volume, volume), "properties": properties}
    return Stream(**{**made, **fields})


def capture(index: int = 20, binary: str = "music", volume: float = 0.5, **fields: Any) -> Stream:
    """Make a stream that records."""
    return playback(index, binary, volume, kind=Kind.CAPTURE, **fields)


def client(index: int = 5, binary: str = "music", **fields: Any) -> Client:
    """Make a client of a program."""
    return Client(index=index, properties={"application.process.binary": binary}, **fields)


def card(index: int = 7, name: str = "card0", **fields: Any) -> Card:
    """Make a card."""
    return Card(index=index, name=name, **fields)


def process(pid: int) -> Process:
    """Make a process that a stream of `music` may well have."""
    return Process(pid=pid, comm="music")


def server(default_sink: str = "speakers", default_source: str = "microphone", cookie: int = 1) -> Server:
    """Make a server in its first life."""
    return Server(default_sink=default_sink, default_source=default_source, cookie=cookie)


def snapshot(*records: Device | Stream | Client | Card | Server) -> Snapshot:
    """Make the listing of a world."""
    return Snapshot(
        server=next((r for r in records if isinstance(r, Server)), server()),
        devices=tuple(r for r in records if isinstance(r, Device)),
        streams=tuple(r for r in records if isinstance(r, Stream)),
        clients=tuple(r for r in records if isinstance(r, Client)),
        cards=tuple(r for r in records if isinstance(r, Card)),
    )


def state_of(*records: Device | Stream | Client | Card | Server, **chosen: Any) -> MixerState:
    """Make the state of a world; `chosen` are settings."""
    return after(MixerState(settings=Settings(**chosen)), snapshot(*records))


def after(state: MixerState, *events: Event) -> MixerState:
    """Return the state after events."""
    for event in events:
        state, _ = apply(state, event)
    return state


def crowd(count: int) -> list[Event]:
    """Let as many applications play and fall silent, one after the other."""
    return [
        event
        for i in range(count)
        for event in (
            Seen(record=playback(100 + i, binary=f"a{i}x")),
            Gone(kind=Kind.PLAYBACK, index=100 + i),
        )
    ]


def wanted(
    volume: float | Keep | None = KEEP, muted: bool | Keep | None = KEEP, app_id: str = MUSIC
) -> AppWanted:
    """Make the wish for an application."""
    return AppWanted(app_id=app_id, volume=volume, muted=muted)


def app(state: MixerState, app_id: str = MUSIC) -> App:
    """Return an application."""
    return state.apps[app_id]


def stream(state: MixerState, index: int = 10) -> Stream:
    """Return the playback stream with this index."""
    return state.streams[Kind.PLAYBACK, index]


def parents(**by_child: int) -> Callable[[int], int | None]:
    """Make a `parent_of` from `p3=2`: the parent of process 3 is 2."""
    table = {int(child.removeprefix("p")): parent for child, parent in by_child.items()}
    return table.get


def no_parents(pid: int) -> None:
    """Stand in for `parent_of` where no process has a parent."""
    del pid
