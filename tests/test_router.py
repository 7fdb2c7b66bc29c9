"""What the router keeps of streams, on a loop whose time jumps."""

import asyncio

from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.core.commands import MoveStream
from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.matching import NOTHING, Outcome
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.routing import SETTLE, STABLE
from pwmixer_dbus.core.rules import rule_from_plain
from pwmixer_dbus.router import Router

MUSIC = rule_from_plain({"name": "music", "match": {"app": "music"}, "to": "sink3"})


@on_a_desk
async def test_of_streams_that_have_gone_nothing_is_kept(desk: Desk) -> None:
    router = Router(desk.mixer)
    router.set_rules((MUSIC,))
    for index in range(100, 120):
        desk.mixer.on_event(Seen(record=stream(index, device=1)))
        assert desk.sent[-1][1] == MoveStream(key=(Kind.PLAYBACK, index), device=3)
    for index in range(100, 120):
        desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=index))
    assert set(router._outcomes._decided) == set(desk.mixer.state.streams) == {(Kind.PLAYBACK, 10)}


@on_a_desk
async def test_of_many_only_those_are_looked_at_again_that_another_program_has_moved(desk: Desk) -> None:
    router, looked_at = Router(desk.mixer), list[int]()
    for index in range(100, 120):
        desk.mixer.on_event(Seen(record=stream(index, device=1)))
    await asyncio.sleep(2 * SETTLE)
    desk.mixer.on_event(Seen(record=stream(105, device=3)))

    def noted(stream: Stream) -> Outcome:
        looked_at.append(stream.index)
        return NOTHING

    router.outcome_of = noted  # type: ignore[method-assign]
    await asyncio.sleep(2 * STABLE)
    assert looked_at == [105]
    (moved,) = [s for s in desk.mixer.state.streams.values() if s.index == 105]
    assert router.explain(moved)["desired_by"] == "person"


@on_a_desk
async def test_rules_that_are_set_anew_count_at_once_for_streams_that_were_matched_before(desk: Desk) -> None:
    router, (music,) = Router(desk.mixer), desk.mixer.state.streams.values()
    router.set_rules((MUSIC,))
    assert router.outcome_of(music).to == ("sink3",)
    router.set_rules(())
    assert router.outcome_of(music).to == ()
    router.set_rules((MUSIC,))
    router.enabled = False
    assert router.outcome_of(music).to == ()
    router.enabled = True
    desk.mixer.on_event(Disconnected(reason="test"))
    assert router.outcome_of(music).to == ("sink3",)
