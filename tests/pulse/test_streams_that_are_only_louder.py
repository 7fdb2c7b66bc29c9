"""What is read of a stream is compared with what was emitted last: whatever happens, nothing that changes is missed."""

import asyncio
import ctypes
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jumping import as_test, jumped
from pulsectl import _pulsectl as c
from test_convert import Proplist, filled, list_of, positions, volumes

from pwmixer_dbus.core.errors import AudioServerError, MixerError
from pwmixer_dbus.core.events import Event, Levelled, Seen
from pwmixer_dbus.core.model import Key, Kind
from pwmixer_dbus.core.state import Change, MixerState, apply
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.libpulse import Connection
from pwmixer_dbus.pulse.server import FETCH, LIST, SoundServer

MANY = settings(max_examples=150)
KINDS = {each.__name__: kind for kind in (Kind.PLAYBACK, Kind.CAPTURE) for each in (FETCH[kind], LIST[kind])}
FACILITIES = {Kind.PLAYBACK: 2, Kind.CAPTURE: 3, Kind.SERVER: 7}
NEW, CHANGED, REMOVED = 0x00, 0x10, 0x20

KEYS = st.tuples(st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]), st.integers(1, 2))
FIELDS: dict[str, list[Any]] = {
    "name": [None, b"One", b"Two"],
    "client": [c.PA_INVALID, 5, 6],
    "device": [c.PA_INVALID, 1, 2],
    "volume": [(0x8000, 0x8000), (0x4000, 0x10000), (0x8000,)],
    "channel_map": [(1, 2), (2, 1), (1,)],
    "mute": [0, 1],
    "corked": [0, 1],
    "has_volume": [0, 1],
    "volume_writable": [0, 1],
    "properties": [{}, {"media_name": "One"}, {"resample_peaks": "true"}],
}
START = {name: values[-2] for name, values in FIELDS.items()}
FIELD_VALUES = st.one_of(
    *(st.tuples(st.just(name), st.sampled_from(values)) for name, values in FIELDS.items()),
    *[st.tuples(st.just(name), st.sampled_from(FIELDS[name])) for name in ("volume", "mute")] * 3,
)


class World:
    """What the sound server has: of each stream the fields of its struct."""

    def __init__(self) -> None:
        self.streams: dict[Key, dict[str, Any]] = {}
        self.default: bytes | None = None

    def read(self, key: Key, read: Callable[[int], Any]) -> Any:
        """Have the struct of a stream read, and free it."""
        fields = dict(self.streams[key])
        properties = Proplist(**fields.pop("properties"))
        is_playback = key[0] is Kind.PLAYBACK
        fields |= {
            "index": key[1],
            "sink" if is_playback else "source": fields.pop("device"),
            "volume": volumes(*fields["volume"]),
            "channel_map": positions(*fields["channel_map"]),
            "proplist": list_of(properties.address),
        }
        info = filled(c.PA_SINK_INPUT_INFO if is_playback else c.PA_SOURCE_OUTPUT_INFO, **fields)
        what = read(ctypes.addressof(info))
        properties.free()
        return what


class Answering:
    """A connection that answers in order, and when it is told to, what is so by then."""

    client = libpulse.INVALID

    def __init__(self, world: World) -> None:
        self.ever: list[tuple[str, tuple[int, ...]]] = []
        self._world = world
        self._asked: list[Callable[[], None]] = []

    def command(self, _function: Any, *_arguments: Any, done: Callable[[None], None]) -> None:
        self._asked.append(lambda: done(None))

    def fetch_single(self, _function: Any, *, read: Any, seen: Any, done: Callable[[None], None]) -> None:
        self.ever.append(("server", ()))

        def answer() -> None:
            info = filled(c.PA_SERVER_INFO, **{**NAMES, "default_sink_name": self._world.default})
            seen(read(ctypes.addressof(info)))
            done(None)

        self._asked.append(answer)

    def fetch(
        self, function: Any, *index: int, read: Any, seen: Any, done: Callable[[MixerError | None], None]
    ) -> None:
        self.ever.append((function.__name__, index))

        def answer() -> None:
            kind = KINDS.get(function.__name__)
            found = [key for key in self._world.streams if key[0] is kind and key[1:] == (index or key[1:])]
            said = [self._world.read(key, read) for key in found]
            for each in said:
                seen(each)
            is_missing = bool(index) and not found
            done(AudioServerError("It has gone.", is_missing=True) if is_missing else None)

        self._asked.append(answer)

    def answer(self, count: int) -> None:
        """Answer so many requests, the oldest first."""
        for _ in range(min(count, len(self._asked))):
            self._asked.pop(0)()

    async def retire(self) -> None:
        self.answer(len(self._asked))

    def close(self) -> None:
        self._asked.clear()


NAMES = dict.fromkeys(("server_name", "server_version", "default_sink_name", "default_source_name"))


class Forgetful(dict[Key, tuple[Any, ...]]):
    """Keeps nothing, so that every stream is looked at as a whole."""

    def __setitem__(self, *_: object) -> None:
        pass


class Stage:
    """A world, whoever follows it, and what has come of that."""

    def __init__(self) -> None:
        self.world, self.state, self.events = World(), MixerState(), list[Event]()
        self.changes: list[Change] = []
        self.server = SoundServer(self.take)
        self.connections: list[Answering] = []
        self.connect()

    def take(self, event: Event) -> None:
        self.events.append(event)
        self.state, changes = apply(self.state, event)
        self.changes += changes

    async def begin(self) -> None:
        """Have the first two streams come."""
        for act in BEGIN:
            await self.play(act)

    def connect(self) -> None:
        """Connect, or go on by another connection; what was asked through the one before may still be answered."""
        self.connections.append(Answering(self.world))
        self.server._connection = cast(Connection, self.connections[-1])
        self.server._take_snapshot(self.server._connection)

    def notice(self, what: int, key: Key) -> None:
        self.server._on_notice(what | FACILITIES[key[0]], key[1])

    async def play(self, act: tuple[Any, ...]) -> None:
        match act:
            case ("list",):
                self.notice(CHANGED, (Kind.SERVER, 0))
            case ("renew",):
                if self.server._is_listed and self.server._gathered is None:
                    self.connect()
            case ("lose",):
                self.server._drop("it went away")
                self.connect()
            case "answer", which, count:
                self.connections[which % len(self.connections)].answer(count)
            case "wait", seconds:
                await asyncio.sleep(seconds)
            case what, key, *how:
                self.change(what, key, *how)

    def change(self, what: str, key: Key, field: tuple[str, Any] = ("", None), is_told: bool = True) -> None:
        known = self.world.streams.get(key)
        if what == "new":
            self.world.streams.setdefault(key, dict(START))
            self.notice(NEW if known is None else CHANGED, key)
        elif known is not None and what == "end":
            del self.world.streams[key]
            self.notice(REMOVED, key)
        elif known is not None:
            known[field[0]] = field[1]
            if is_told:
                self.notice(CHANGED, key)


ACTS = st.one_of(
    *[st.tuples(st.just("set"), KEYS, FIELD_VALUES, st.sampled_from([True, True, True, False]))] * 4,
    st.tuples(st.just("new"), KEYS),
    st.tuples(st.just("end"), KEYS),
    st.sampled_from([("list",), ("renew",), ("lose",)]),
    *[st.tuples(st.just("answer"), st.integers(-2, -1), st.sampled_from([1, 2, 7, 20]))] * 4,
    st.tuples(st.just("wait"), st.sampled_from([0.006, 0.1])),
)
BEGIN = [("new", (Kind.PLAYBACK, 1)), ("new", (Kind.CAPTURE, 1)), ("answer", 0, 20), ("answer", 0, 20)]
END = [("answer", -2, 20), ("answer", -1, 20), ("wait", 0.1)] * 3


Told = tuple[MixerState, list[Change], list[tuple[str, tuple[int, ...]]]]


def played(acts: list[Any], shown: dict[Key, tuple[Any, ...]]) -> tuple[list[Told], list[Event]]:
    """Return the state, the changes and the requests after each act, and all events."""
    told: list[Told] = []

    async def main() -> list[Event]:
        stage = Stage()
        stage.server._shown = shown
        for act in acts:
            await stage.play(act)
            told.append((stage.state, stage.changes, [e for each in stage.connections for e in each.ever]))
            stage.changes = []
        stage.server._drop("the end")
        return stage.events

    return told, jumped(main())


AnyStage = TypeVar("AnyStage", bound=Stage)


def on_a(
    kind: type[AnyStage],
) -> Callable[[Callable[[AnyStage], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Run a test on a stage of this kind, on which it has begun; no time passes for people."""

    def decorate(test: Callable[[AnyStage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def main() -> None:
            stage = kind()
            await stage.begin()
            await test(stage)
            stage.server._drop("the end")

        return as_test(test, main)

    return decorate


KEY = (Kind.PLAYBACK, 1)
ANSWER = ("answer", -1, 20)


def change(name: str, value: object) -> list[Any]:
    """Change a stream, and have it looked at."""
    return [("wait", 0.1), ("set", KEY, (name, value), True), ANSWER]


EACH_FIELD = [each for name, values in FIELDS.items() for value in values for each in change(name, value)]
RENEWED_MEANWHILE = [
    ("wait", 0.1),
    ("set", KEY, ("mute", 1), True),
    ("renew",),
    ("answer", -1, 7),  # the streams are listed
    ("set", KEY, ("client", 6), False),
    ("answer", -2, 20),  # and looked at
    ("answer", -1, 20),
    *change("mute", 0),
]
LINKED_IN_SILENCE = [
    *change("device", c.PA_INVALID),
    *change("mute", 1),
    ("set", KEY, ("device", 2), False),
    *[("wait", 0.1), ANSWER] * 3,
]


@MANY
@given(st.lists(ACTS, min_size=15, max_size=60))
@example(EACH_FIELD)
@example(RENEWED_MEANWHILE)
@example(LINKED_IN_SILENCE)
def test_whatever_happens_it_is_as_if_each_stream_was_always_looked_at_as_a_whole(acts: list[Any]) -> None:
    short, _ = played([*BEGIN, *acts, *END], {})
    whole, events = played([*BEGIN, *acts, *END], Forgetful())
    assert short == whole
    assert not [event for event in events if isinstance(event, Levelled)]


def test_what_is_only_louder_is_read_as_no_more_than_that() -> None:
    values = ("volume", (0x8000, 0x8000)), ("mute", 1), ("corked", 1), ("mute", 0)
    told, events = played([*BEGIN, *(each for value in values for each in change(*value))], {})
    assert [type(event).__name__ for event in events[-5:-1]] == ["Levelled", "Levelled", "Seen", "Levelled"]
    stream = told[-1][0].streams[KEY]
    assert (stream.channels, stream.muted, stream.corked) == ((0.5, 0.5), False, True)


def test_what_could_not_be_followed_is_looked_at_as_a_whole_again() -> None:
    async def main() -> None:
        stage = Stage()
        for act in (*BEGIN, ("wait", 0.1)):
            await stage.play(act)
        stage.server._emit = fail
        await stage.play(("set", KEY, ("client", 6), True))
        with pytest.raises(ZeroDivisionError):
            await stage.play(ANSWER)
        stage.server._emit = stage.take
        stage.server._fetched(KEY, 0.0, None)
        for act in change("client", 5):
            await stage.play(act)
        assert isinstance(stage.events[-1], Seen)
        stage.server._drop("the end")

    jumped(main())


def fail(_event: Event) -> None:
    raise ZeroDivisionError
