"""A stream of whose end nobody is told: PipeWire drops the notices of what comes and goes before they are read."""

import asyncio
from collections.abc import Callable
from typing import Any

from test_streams_that_are_only_louder import CHANGED, KEY, START, Answering, Stage, on_a

from pwmixer_dbus.core.commands import SetMuted
from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotFoundError
from pwmixer_dbus.core.model import Kind

OTHER = (Kind.PLAYBACK, 2)


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
