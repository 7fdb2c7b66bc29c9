"""What the router keeps of streams, on a loop whose time jumps."""

import asyncio
import math

from test_mixer import USER, Desk, on_a_desk, stream

from pwmixer_dbus.core.commands import MoveStream
from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.matching import NOTHING, Outcome
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.routing import FIRST_REST, SETTLE, STABLE, TRIES
from pwmixer_dbus.core.rules import rule_from_plain
from pwmixer_dbus.core.verbs import Plan
from pwmixer_dbus.router import DOUBTS, FIRST_DOUBT, Router

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
    assert router.explain(music)["reason"] == "It is on its way."
    router.enabled = False
    assert router.outcome_of(music).to == ()
    assert router.explain(music)["reason"] == "Rules are switched off, so that none counts."
    router.set_rules(())
    assert router.explain(music)["reason"] == ""
    router.set_rules((MUSIC,))
    router.enabled = True
    desk.mixer.on_event(Disconnected(reason="test"))
    assert router.outcome_of(music).to == ("sink3",)


# --- a default that may be another than we know


def following(index: int, device: int, **said: str) -> Stream:
    """Make a stream that its program leaves to the session manager; sink1 is the default."""
    properties = {"application.process.binary": "video", "node.autoconnect": "true", **said}
    return stream(index, device=device, properties=properties)


@on_a_desk
async def test_for_streams_that_go_elsewhere_without_a_reason_the_default_is_looked_for_once(
    desk: Desk,
) -> None:
    Router(desk.mixer)
    for index in range(100, 150):
        desk.mixer.on_event(Seen(record=following(index, 1)))
    await asyncio.sleep(2 * SETTLE)
    assert desk.renewals == 0
    for index in range(100, 150):
        desk.mixer.on_event(Seen(record=following(index, 3)))
    await asyncio.sleep(FIRST_DOUBT + 0.01)
    assert desk.renewals == 1
    await asyncio.sleep(10 * DOUBTS)
    assert desk.renewals == 1


@on_a_desk
async def test_so_it_is_for_one_that_comes_up_there_and_however_many_do_not_too_often(desk: Desk) -> None:
    Router(desk.mixer)
    for index in range(100, 140):
        desk.mixer.on_event(Seen(record=following(index, 3)))
        await asyncio.sleep(DOUBTS / 10)
    assert 4 <= desk.renewals <= 5
    await asyncio.sleep(10 * DOUBTS)
    assert desk.renewals <= 5


@on_a_desk
async def test_where_no_default_was_ever_told_it_is_looked_for_when_something_plays(desk: Desk) -> None:
    Router(desk.mixer)
    desk.mixer.on_event(Seen(record=replace(desk.mixer.state.server, default_sink="@DEFAULT_SINK@")))
    await asyncio.sleep(2 * SETTLE)
    desk.mixer.on_event(Seen(record=following(100, 9)))  # on what is no device, as where there is none
    await asyncio.sleep(FIRST_DOUBT + 0.01)
    assert desk.renewals == 0
    desk.mixer.on_event(Seen(record=following(101, 3)))
    await asyncio.sleep(10 * DOUBTS)
    assert desk.renewals == 1


@on_a_desk
async def test_what_has_a_reason_to_be_elsewhere_speaks_against_no_default(desk: Desk) -> None:
    router = Router(desk.mixer)
    router.set_rules((MUSIC,))
    mixer = desk.mixer
    music = {"application.process.binary": "music"}
    mixer.on_event(Seen(record=following(100, 3, **music)))  # where its rule would send it
    mixer.on_event(Seen(record=following(101, 3, **{"target.object": "sink3"})))  # by its own program
    mixer.on_event(
        Seen(record=following(102, 3, **{"node.autoconnect": "false"}))
    )  # linked by its own program
    mixer.on_event(Seen(record=following(103, 1)))
    mixer.on_event(Seen(record=following(104, 3)))  # which has gone when it is looked
    mixer.on_event(Gone(kind=Kind.PLAYBACK, index=104))
    await asyncio.sleep(2 * SETTLE)
    plan = Plan(commands=(MoveStream(key=(Kind.PLAYBACK, 103), device=3),))
    mixer.submit(plan, USER, desk.answers.append)  # by a person
    mixer.on_event(Seen(record=following(103, 3)))
    await asyncio.sleep(2 * STABLE)
    assert desk.renewals == 0


@on_a_desk
async def test_for_what_a_rule_has_moved_nothing_is_even_planned(desk: Desk) -> None:
    router = Router(desk.mixer)
    router.set_rules((MUSIC,))
    music = {"application.process.binary": "music"}
    desk.mixer.on_event(Seen(record=following(100, 1, **music)))
    assert desk.sent[-1][1] == MoveStream(key=(Kind.PLAYBACK, 100), device=3)
    desk.mixer.on_event(Seen(record=following(100, 3, **music)))
    assert not is_look_planned(router)
    desk.mixer.on_event(Seen(record=following(101, 3)))
    assert is_look_planned(router)
    router.hand_over()


@on_a_desk
async def test_a_default_that_is_told_in_a_moment_is_not_looked_for(desk: Desk) -> None:
    Router(desk.mixer)
    desk.mixer.on_event(Seen(record=following(100, 1)))
    await asyncio.sleep(2 * SETTLE)
    desk.mixer.on_event(Seen(record=following(100, 3)))
    desk.mixer.on_event(Seen(record=replace(desk.mixer.state.server, default_sink="sink3")))
    await asyncio.sleep(10 * DOUBTS)
    assert desk.renewals == 0


@on_a_desk
async def test_what_went_ahead_of_the_default_is_nobodys_wish(desk: Desk) -> None:
    router = Router(desk.mixer)
    desk.mixer.on_event(Seen(record=following(100, 1)))
    await asyncio.sleep(2 * SETTLE)
    desk.mixer.on_event(Seen(record=following(100, 3)))
    assert "another program" in moved_by(router, desk)
    await asyncio.sleep(FIRST_DOUBT + 0.01)
    desk.mixer.on_event(Seen(record=replace(desk.mixer.state.server, default_sink="sink3")))
    await asyncio.sleep(2 * STABLE)
    assert moved_by(router, desk) == "the session manager"


@on_a_desk
async def test_who_hands_over_does_not_look_any_more(desk: Desk) -> None:
    router = Router(desk.mixer)
    desk.mixer.on_event(Seen(record=following(100, 3)))
    router.hand_over()
    await asyncio.sleep(10 * DOUBTS)
    assert desk.renewals == 0


@on_a_desk
async def test_who_goes_on_since_its_heir_has_died_looks_again(desk: Desk) -> None:
    router = Router(desk.mixer)
    desk.mixer.on_event(Seen(record=following(100, 3)))
    router.take_over(router.hand_over(), enabled=True)
    desk.mixer.on_event(Seen(record=following(101, 3)))
    await asyncio.sleep(FIRST_DOUBT + 0.01)
    assert desk.renewals == 1


def moved_by(router: Router, desk: Desk) -> str:
    """Say who has moved stream 100."""
    return str(router.explain(desk.mixer.state.streams[Kind.PLAYBACK, 100])["moved_by"])


def is_look_planned(router: Router) -> bool:
    """Say whether the default is about to be looked for."""
    return router._doubt.when < math.inf


# --- why a stream is where it is


def seen_on(desk: Desk, device: int) -> None:
    """Show the stream on a device, and have all that was asked for acknowledged."""
    desk.mixer.on_event(Seen(record=stream(device=device)))
    while desk.unanswered:
        desk.answer()


def why(router: Router, desk: Desk) -> tuple[str | bool | None, ...]:
    """Return where the stream should be, by whose wish, who moved it last, and why it is not there."""
    told = router.explain(desk.mixer.state.streams[Kind.PLAYBACK, 10])
    return told["desired_device"], told["desired_by"], told["moved_by"], told["reason"]


@on_a_desk
async def test_who_moves_a_stream_is_told_and_when_that_is_a_persons_wish(desk: Desk) -> None:
    router, key = Router(desk.mixer), (Kind.PLAYBACK, 10)

    def is_settling() -> bool:
        return bool(router.explain(desk.mixer.state.streams[key])["settling"])

    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    seen_on(desk, 1)
    assert why(router, desk) == (None, "", "the session manager", "")
    assert is_settling()
    await asyncio.sleep(2 * SETTLE)
    assert not is_settling()
    router.set_rules((MUSIC,))
    assert why(router, desk) == ("sink3", "rule music", "the session manager", "It is on its way.")
    seen_on(desk, 3)
    assert why(router, desk) == ("sink3", "rule music", "rule music", "")
    assert is_settling()
    await asyncio.sleep(2 * SETTLE)
    seen_on(desk, 1)
    just = "Another program has just moved it; in a moment that counts as a person's wish."
    assert why(router, desk) == (None, "", "another program", just)
    await asyncio.sleep(2 * STABLE)
    assert why(router, desk) == ("sink1", "person", "a person, with another program", "")
    for device, origin, how in ((3, USER, "with a slider"), (1, replace(USER, kind="undo"), "by undo")):
        desk.mixer.submit(Plan(commands=(MoveStream(key=key, device=device),)), origin, desk.answers.append)
        seen_on(desk, device)
        assert why(router, desk) == (f"sink{device}", "person", f"a person, {how}", "")


@on_a_desk
async def test_a_stream_that_is_held_says_so_and_goes_on_when_it_is_let_go(desk: Desk) -> None:
    router = Router(desk.mixer)
    router.hold(frozenset({"bin:music"}), frozenset())
    router.set_rules((MUSIC,))
    held = "A program holds it where it is, as Holds tells; rules count again when that ends."
    assert why(router, desk) == ("sink3", "rule music", "the session manager", held)
    assert desk.sent == []
    router.hold(frozenset(), frozenset())
    assert why(router, desk) == ("sink3", "rule music", "the session manager", "It is on its way.")


@on_a_desk
async def test_what_fights_a_rule_is_left_alone_for_a_while_which_is_told(desk: Desk) -> None:
    router = Router(desk.mixer)
    router.set_rules((MUSIC,))
    for _ in range(TRIES + 1):
        seen_on(desk, 3)
        seen_on(desk, 1)
    fought = "Something fights the move, perhaps another rule; it is tried again in 60 s."
    assert why(router, desk) == ("sink3", "rule music", "the session manager", fought)
    tried = len(desk.sent)
    await asyncio.sleep(FIRST_REST + 0.1)
    assert len(desk.sent) > tried
    assert why(router, desk)[3] == "It is on its way."


@on_a_desk
async def test_a_rule_for_what_plays_on_a_device_says_why_it_leaves_a_stream_where_it_brought_it(
    desk: Desk,
) -> None:
    router = Router(desk.mixer)
    away = rule_from_plain({"name": "away", "match": {"device": "sink1"}, "to": "sink3"})
    router.set_rules((away,))
    seen_on(desk, 3)
    brought = "The rule away found it on sink1 and brought it here; that is no reason to move it on."
    assert why(router, desk) == ("sink3", "rule away", "rule away", brought)
