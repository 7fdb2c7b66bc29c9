"""Mere changes are looked at a few at a time; what people ask for and what is new does not wait behind them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from jumping import as_test

from pwmixer_dbus.core.commands import SetMuted
from pwmixer_dbus.core.errors import AudioServerError, MixerError
from pwmixer_dbus.core.events import Disconnected, Event, Gone
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse.libpulse import Connection
from pwmixer_dbus.pulse.server import LOOKS, SoundServer
from pwmixer_dbus.pulse.server import REST as PAUSE

NEW, CHANGED, REMOVED = 0x02, 0x12, 0x22
"""Notices about a playback stream."""

SERVER = -1
"""In place of an index, what there is only one of."""


class Slow:
    """A connection that answers when it is told to; `asked` are the streams that are being fetched, oldest first."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.ever: list[int] = []
        self._ends: dict[int, Callable[[MixerError | None], None]] = {}

    def command(self, _function: Any, *_arguments: Any, done: Callable[[None], None]) -> None:
        done(None)

    def fetch(
        self, _function: Any, index: int, *, read: Any, seen: Any, done: Callable[[MixerError | None], None]
    ) -> None:
        del read, seen
        assert index not in self._ends, "one request in flight for each object"
        self.asked.append(index)
        self.ever.append(index)
        self._ends[index] = done

    def fetch_single(
        self, function: Any, *, read: Any, seen: Any, done: Callable[[MixerError | None], None]
    ) -> None:
        self.fetch(function, SERVER, read=read, seen=seen, done=done)

    def answer(self, index: int, error: MixerError | None = None) -> None:
        """End what was asked about a stream."""
        self.asked.remove(index)
        self._ends.pop(index)(error)

    def close(self) -> None:
        """Have nothing to give back."""


class Desk:
    """A sound server of which three times as many streams have changed as are looked at at a time."""

    def __init__(self) -> None:
        self.slow, self.events = Slow(), list[Event]()
        self.measures = Measures(asyncio.get_running_loop().time)
        self.server = SoundServer(self.events.append, measures=self.measures)
        self.server._connection, self.server._is_listed = cast(Connection, self.slow), True
        for index in range(10, 10 + 3 * LOOKS):
            self.server._on_notice(CHANGED, index)


def with_a_slow_server(
    test: Callable[[Desk], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    async def main() -> None:
        await test(Desk())

    return as_test(test, main)


FIRST, REST = list(range(10, 10 + LOOKS)), list(range(10 + LOOKS, 10 + 3 * LOOKS))


@with_a_slow_server
async def test_all_changes_are_looked_at_in_their_order_a_few_at_a_time(desk: Desk) -> None:
    assert desk.slow.asked == FIRST
    while desk.slow.asked:
        assert len(desk.slow.asked) <= LOOKS
        desk.slow.answer(desk.slow.asked[0])
    assert desk.slow.ever == FIRST + REST


@with_a_slow_server
async def test_what_waits_for_its_turn_is_looked_at_once_however_often_it_changes(desk: Desk) -> None:
    for _ in range(5):
        for index in REST:
            desk.server._on_notice(CHANGED, index)
    while desk.slow.asked:
        desk.slow.answer(desk.slow.asked[0])
    assert desk.slow.ever == FIRST + REST


@with_a_slow_server
async def test_what_changes_while_it_is_looked_at_or_rests_is_looked_at_once_more(desk: Desk) -> None:
    looked_at, resting = FIRST[:2]
    desk.slow.answer(resting)
    for _ in range(5):
        for index in (looked_at, resting):
            desk.server._on_notice(CHANGED, index)
    while desk.slow.asked:
        desk.slow.answer(desk.slow.asked[0])
    assert desk.slow.ever == FIRST + REST, "not sooner than it has rested"
    await asyncio.sleep(2 * PAUSE)
    assert sorted(desk.slow.asked) == [looked_at, resting]
    for index in (looked_at, resting):
        desk.slow.answer(index)
    await asyncio.sleep(2 * PAUSE)
    assert not desk.slow.asked


@with_a_slow_server
async def test_looks_are_counted_and_so_are_those_that_fail(desk: Desk) -> None:
    await asyncio.sleep(0.01)
    desk.slow.answer(FIRST[0], AudioServerError("It has gone.", is_missing=True))
    desk.slow.answer(FIRST[1])
    tally = desk.measures.counted()
    assert (tally.counts.notices, tally.counts.fetches) == (3 * LOOKS, LOOKS + 2)
    assert tally.counts.fetches_failed == 1
    looked_at = [(event.index, event.took > 0) for event in tally.events() if event.what == "fetched"]
    assert looked_at == [(FIRST[0], True), (FIRST[1], True)]
    assert desk.measures.queues["fetches"].peak == 3 * LOOKS


@with_a_slow_server
async def test_what_is_new_does_not_wait_for_its_turn(desk: Desk) -> None:
    desk.server._on_notice(NEW, 99)
    assert desk.slow.asked == [*FIRST, 99]
    desk.slow.answer(FIRST[0])
    assert desk.slow.asked == [*FIRST[1:], 99], "there are as many on their way as may be"


@with_a_slow_server
async def test_what_a_person_has_changed_does_not_wait_for_its_turn(desk: Desk) -> None:
    told: list[object] = []
    desk.server.send(SetMuted(key=(Kind.PLAYBACK, REST[3]), muted=True), told.append)
    assert (desk.slow.asked, told) == ([*FIRST, REST[3]], [])
    desk.slow.answer(REST[3])
    assert told == [None]
    while desk.slow.asked:
        desk.slow.answer(desk.slow.asked[0])
    assert desk.slow.ever == [*FIRST, REST[3], *REST[:3], *REST[4:]]


@with_a_slow_server
async def test_who_catches_up_waits_for_all_that_the_server_has_told_before_it_answers(desk: Desk) -> None:
    desk.slow.answer(FIRST[0])
    desk.server._on_notice(CHANGED, FIRST[0])  # which rests
    caught_up = asyncio.create_task(desk.server.catch_up())
    await asyncio.sleep(0)
    assert desk.slow.asked[-1] == SERVER
    desk.server._on_notice(CHANGED, 99)
    desk.slow.answer(SERVER)
    await asyncio.sleep(0)
    assert {FIRST[0], *REST, 99} < set(desk.slow.asked), "none of it waits any longer"
    desk.server._on_notice(CHANGED, FIRST[1])  # which is being looked at
    while len(desk.slow.asked) > 1:
        desk.slow.answer(desk.slow.asked[0])
        await asyncio.sleep(0)
    assert not caught_up.done()
    desk.slow.answer(desk.slow.asked[0])
    await caught_up


@with_a_slow_server
async def test_who_catches_up_waits_for_no_server_that_has_gone(desk: Desk) -> None:
    caught_up = asyncio.create_task(desk.server.catch_up())
    await asyncio.sleep(0)
    desk.server._drop("the sound server went away")
    await caught_up
    await desk.server.catch_up()


@with_a_slow_server
async def test_what_goes_while_it_waits_is_not_looked_at(desk: Desk) -> None:
    desk.server._on_notice(REMOVED, REST[0])
    assert desk.events == [Gone(kind=Kind.PLAYBACK, index=REST[0])]
    desk.slow.answer(FIRST[0])
    assert desk.slow.asked == [*FIRST[1:], REST[1]]


@with_a_slow_server
async def test_nothing_waits_any_more_when_the_server_has_gone(desk: Desk) -> None:
    desk.server._drop("the sound server went away")
    assert [type(event) for event in desk.events] == [Disconnected]
    again = Slow()
    desk.server._connection = cast(Connection, again)
    desk.server._on_notice(CHANGED, REST[0])
    assert again.asked == [REST[0]]
    assert desk.slow.ever == FIRST


@with_a_slow_server
async def test_what_goes_while_it_is_looked_at_leaves_nothing_behind(desk: Desk) -> None:
    for index in FIRST:
        desk.server._on_notice(CHANGED, index)
        desk.server._on_notice(REMOVED, index)
        desk.slow.answer(index, AudioServerError("It has gone.", is_missing=True))
    assert desk.slow.ever == FIRST + REST[: len(FIRST)], "nothing of it is looked at again"
    kept = [held for held in vars(desk.server).values() if isinstance(held, dict | set)]
    assert not [held for held in kept if not {(Kind.PLAYBACK, index) for index in FIRST}.isdisjoint(held)]
