"""What the router keeps of streams, on a loop whose time jumps."""

from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.core.commands import MoveStream
from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.model import Kind
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
