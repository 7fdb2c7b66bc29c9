"""One connection takes the place of another: what has gone stays gone, and what is there does not go."""

import asyncio
from typing import cast

from test_streams_that_are_only_louder import CHANGED, KEY, Answering, Stage, World, on_a

from pwmixer_dbus.core.events import Snapshot
from pwmixer_dbus.pulse.libpulse import Connection

ALL = 20


class Owing(Answering):
    """A connection that is retired when it has answered."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._is_through = asyncio.Event()

    def answer(self, count: int) -> None:
        super().answer(count)
        if not self._asked:
            self._is_through.set()

    async def retire(self) -> None:
        self.answer(0)
        await self._is_through.wait()
        self.close()


class Desk(Stage):
    """A stage on which connections are opened as in earnest; the first one has listed a stream."""

    async def begin(self) -> None:
        self.server._opened = self._opened  # type: ignore[method-assign]
        await super().begin()
        await self.renew()
        self.connections[-1].answer(ALL)

    async def _opened(self) -> Connection:
        self.connections.append(Owing(self.world))
        return cast(Connection, self.connections[-1])

    async def renew(self) -> None:
        self.server.renew()
        await asyncio.sleep(0.002)


@on_a(Desk)
async def test_what_the_old_one_has_said_of_a_stream_is_older_than_what_the_new_one_lists(desk: Desk) -> None:
    """The old one has a last notice, which is not read any more: the end of that stream."""
    old = desk.connections[-1]
    await asyncio.sleep(0.1)
    desk.notice(CHANGED, KEY)
    await desk.renew()
    stream = desk.world.streams.pop(KEY)
    desk.connections[-1].answer(ALL)
    desk.world.streams[KEY] = stream  # as it was when the old one was asked
    old.answer(ALL)
    del desk.world.streams[KEY]
    await asyncio.sleep(0.002)
    desk.connections[-1].answer(ALL)
    assert KEY not in desk.state.streams


@on_a(Desk)
async def test_nothing_is_renewed_while_it_is_being_listed(desk: Desk) -> None:
    await desk.renew()
    first, number = desk.connections[-1], desk.state.streams[KEY].number
    await desk.renew()
    first.answer(ALL)
    desk.connections[-1].answer(ALL)
    assert desk.state.streams[KEY].number == number
    assert not desk.server._lost.is_set()
    assert isinstance(desk.events[-1], Snapshot)
