"""A stream of whose end nobody is told: PipeWire drops the notices of what comes and goes before they are read."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from core.build import sink
from test_streams_that_are_only_louder import CHANGED, KEY, REMOVED, START, Answering, Stage, on_a

from pwmixer_dbus.core.commands import SetMuted
from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotFoundError
from pwmixer_dbus.core.model import Device, Kind
from pwmixer_dbus.pulse.libpulse import Connection
from pwmixer_dbus.pulse.server import FETCH, LIST

OTHER = (Kind.PLAYBACK, 2)
SINK, CARD = 0, 9
"""How notices say of what they are."""


class Desk(Stage):
    """A stage on which one stream is known, and of the answers to commands there is one: there is no such object."""

    async def begin(self) -> None:
        await super().begin()
        await self.answer()

    async def answer(self) -> None:
        """Let time go by, and the server answer all that it is asked."""
        for _ in range(20):
            await asyncio.sleep(0.1)
            for connection in self.connections:
                connection.answer(100)


class Refusing(Answering):
    def command(self, _function: Any, *_arguments: Any, done: Callable[[Any], None]) -> None:
        self._asked.append(lambda: done(AudioServerError("No such entity", is_missing=True)))


@on_a(Desk)
async def test_what_is_not_there_when_it_is_looked_at_has_gone(desk: Desk) -> None:
    del desk.world.streams[KEY]
    desk.notice(CHANGED, KEY)
    await desk.answer()
    assert KEY not in desk.state.streams


@on_a(Desk)
async def test_what_is_not_there_when_something_is_asked_of_it_has_gone_before_that_is_answered(
    desk: Desk,
) -> None:
    told: list[tuple[type, bool]] = []

    def tell(error: MixerError | None) -> None:
        told.append((type(error), KEY in desk.state.streams))

    del desk.world.streams[KEY]
    desk.connections[-1].__class__ = Refusing
    desk.server.send(SetMuted(key=KEY, muted=True), tell)
    await desk.answer()
    assert told == [(NotFoundError, False)]


@on_a(Desk)
async def test_a_stream_that_is_only_listed_is_looked_at_by_itself(desk: Desk) -> None:
    desk.world.streams[OTHER] = dict(START)
    desk.notice(CHANGED, (Kind.SERVER, 0))
    desk.connections[-1].answer(100)
    assert OTHER in desk.state.streams
    del desk.world.streams[OTHER]
    await desk.answer()
    assert OTHER not in desk.state.streams


@on_a(Desk)
async def test_what_the_first_listing_shows_is_looked_at_by_itself_if_it_came_after_us(desk: Desk) -> None:
    """Of what was there before us, the end is told."""
    desk.world.streams[OTHER] = dict(START)
    desk.server._drop("it went away")
    desk.connect()
    connection = desk.connections[-1]
    connection.client = KEY[1]
    connection.answer(100)
    assert {KEY, OTHER} <= desk.state.streams.keys()
    del desk.world.streams[OTHER]
    await desk.answer()
    assert OTHER not in desk.state.streams
    assert [index for _, index in connection.ever if index] == [OTHER[1:]]


class Plugged(Answering):
    """A connection of a server on which there is one sink, or none any more."""

    client = 0
    sinks: tuple[Device, ...] = (sink(7),)

    def fetch(self, function: Any, *index: int, seen: Any, done: Any, **how: Any) -> None:
        if function not in (LIST[Kind.SINK], FETCH[Kind.SINK]):
            super().fetch(function, *index, seen=seen, done=done, **how)
            return
        self.ever.append((function.__name__, index))

        def answer() -> None:
            for each in self.sinks:
                seen(each)
            is_missing = bool(index) and not self.sinks
            done(AudioServerError("It has gone.", is_missing=True) if is_missing else None)

        self._asked.append(answer)


@on_a(Desk)
async def test_a_device_that_is_only_listed_is_looked_at_by_itself_once(desk: Desk) -> None:
    """All are listed when a card changes."""
    connection = desk.connections[-1] = Plugged(desk.world)
    desk.server._connection = cast(Connection, connection)
    for looks in (1, 1):
        desk.server._on_notice(CHANGED | CARD, 3)
        await desk.answer()
        assert connection.ever.count((FETCH[Kind.SINK].__name__, (7,))) == looks
    assert (Kind.SINK, 7) in desk.state.devices
    desk.server._on_notice(REMOVED | SINK, 7)
    desk.server._on_notice(CHANGED | CARD, 3)
    while (Kind.SINK, 7) not in desk.state.devices:
        connection.answer(1)
    connection.sinks = ()
    await desk.answer()
    assert (Kind.SINK, 7) not in desk.state.devices
