"""A session manager that is behind connects streams long after their cause, in silence: they are looked at until it is through."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from jumping import as_test
from test_streams_that_are_only_louder import CHANGED, Stage

from pwmixer_dbus.core.commands import MoveStream
from pwmixer_dbus.core.model import Key, Kind
from pwmixer_dbus.pulse.server import CLAIMED, LATE_MOVES, RELINKS

FIRST, SECOND = (Kind.PLAYBACK, 1), (Kind.PLAYBACK, 2)
SPEAKERS, HEADSET = 1, 2
CARD = 9
"""What a notice about a card has in place of the facility."""

LAST = sum(RELINKS)
"""Seconds after a cause at which the streams are listed in any case, for the last time."""


async def goes_by(stage: Stage, seconds: float) -> None:
    """Let time go by, and the server answer at once."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        for connection in stage.connections:
            connection.answer(100)
        await asyncio.sleep(0.005)


def with_two_streams(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test with two streams on the speakers; in the end nothing is waited for, and nothing more is asked."""

    async def main() -> None:
        stage = Stage()
        stage.change("new", FIRST)
        stage.change("new", SECOND)
        await goes_by(stage, 5)
        await test(stage)
        asked = [len(connection.ever) for connection in stage.connections]
        await goes_by(stage, 5)
        assert asked == [len(connection.ever) for connection in stage.connections]
        stage.server._drop("the end")

    return as_test(test, main)


def link(stage: Stage, key: Key, device: int) -> None:
    """Connect a stream to a device, of which nobody is told."""
    stage.change("set", key, ("device", device), is_told=False)


def devices(stage: Stage) -> list[int | None]:
    return [stage.state.streams[key].device for key in (FIRST, SECOND)]


@with_two_streams
async def test_as_long_as_streams_are_moved_all_are_listed_again(stage: Stage) -> None:
    stage.notice(CHANGED, (Kind.SERVER, 0))
    await goes_by(stage, LAST - 0.1)
    link(stage, FIRST, HEADSET)
    await goes_by(stage, RELINKS[-1])
    assert devices(stage) == [HEADSET, SPEAKERS]
    link(stage, SECOND, HEADSET)
    await goes_by(stage, RELINKS[-1] + 0.2)
    assert devices(stage) == [HEADSET, HEADSET]
    await goes_by(stage, 2 * RELINKS[-1])


@with_two_streams
async def test_after_a_look_through_a_new_connection_more_may_be_moved(stage: Stage) -> None:
    stage.connect()
    await goes_by(stage, 0.1)
    link(stage, FIRST, HEADSET)
    await goes_by(stage, RELINKS[-1])
    assert devices(stage) == [HEADSET, SPEAKERS]
    await goes_by(stage, 2 * RELINKS[-1])


@with_two_streams
async def test_a_move_that_the_session_manager_carries_out_late_is_seen(stage: Stage) -> None:
    stage.server.send(MoveStream(key=FIRST, device=HEADSET), lambda _: None)
    link(stage, FIRST, HEADSET)  # as PipeWire claims for a second
    await goes_by(stage, CLAIMED - 0.1)
    link(stage, FIRST, SPEAKERS)
    await goes_by(stage, 4)
    assert devices(stage) == [SPEAKERS, SPEAKERS]
    link(stage, FIRST, HEADSET)
    await goes_by(stage, LATE_MOVES[1])
    assert devices(stage) == [HEADSET, SPEAKERS]
    await goes_by(stage, LATE_MOVES[2])


@with_two_streams
async def test_one_that_is_never_carried_out_is_given_up(stage: Stage) -> None:
    stage.server.send(MoveStream(key=FIRST, device=HEADSET), lambda _: None)
    await goes_by(stage, CLAIMED + sum(LATE_MOVES) + 0.1)


@with_two_streams
async def test_a_default_that_is_told_of_before_it_is_shown_is_seen(stage: Stage) -> None:
    stage.notice(CHANGED, (Kind.SERVER, 0))
    await goes_by(stage, LAST - 0.1)
    stage.world.default = b"headset"
    await goes_by(stage, 0.2)
    assert stage.state.server.default_sink == "headset"


@with_two_streams
async def test_the_devices_of_a_card_may_have_other_ports_than_before(stage: Stage) -> None:
    before = len(stage.connections[0].ever)
    stage.server._on_notice(CHANGED | CARD, 7)
    await goes_by(stage, 0.1)
    assert {name for name, _ in stage.connections[0].ever[before:]} == {
        "pa_context_get_card_info_by_index",
        "pa_context_get_sink_info_list",
        "pa_context_get_source_info_list",
    }


@with_two_streams
async def test_a_default_that_is_chosen_late_is_seen(stage: Stage) -> None:
    stage.server._lacks_default = lambda: not stage.state.server.default_sink
    stage.notice(CHANGED, (Kind.SERVER, 0))
    await goes_by(stage, LAST + RELINKS[-1] + LATE_MOVES[0] + 0.1)
    stage.world.default = b"headset"  # of which nobody is told
    await goes_by(stage, LATE_MOVES[1])
    assert stage.state.server.default_sink == "headset"


@with_two_streams
async def test_one_that_is_never_chosen_is_given_up(stage: Stage) -> None:
    stage.server._lacks_default = lambda: True
    stage.connect()
    await goes_by(stage, LAST + RELINKS[-1] + sum(LATE_MOVES) + 0.1)


@with_two_streams
async def test_one_that_is_missing_at_the_first_listing_is_seen(stage: Stage) -> None:
    stage.server._lacks_default = lambda: not stage.state.server.default_sink
    stage.server._drop("it went away")
    stage.connect()
    await goes_by(stage, 0.1)
    stage.world.default = b"headset"
    await goes_by(stage, 2 * RELINKS[-1] + LATE_MOVES[0])
    assert stage.state.server.default_sink == "headset"
