"""What the parts of one instance hand over to those of the next, on a loop whose time jumps; through the document itself."""

import asyncio
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from anything import anything
from hypothesis import given, settings
from jumping import jumped
from test_fader import LATENCY, OTHER, Stage, on_a_stage
from test_mixer import MUSIC, STREAM, USER, snapshot, stream

from pwmixer_dbus.config.rulebook import RuleBook
from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import MoveStream, Origin, SetVolume
from pwmixer_dbus.core.errors import AudioServerError, NotFoundError
from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.memory import GRACE, Memory
from pwmixer_dbus.core.model import Kind, Server
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change, MixerState, seen_in
from pwmixer_dbus.core.succession import Succession, understood, written
from pwmixer_dbus.core.suggestions import Sightings
from pwmixer_dbus.lanes import PACE
from pwmixer_dbus.outlets.bus.holds import Holds
from pwmixer_dbus.router import Router
from pwmixer_dbus.succession import go_on


def left_by(old: Stage) -> Succession:
    """Let the parts of an instance leave all that they know."""
    old.mixer.sleep()
    return Succession(
        made_at=old.loop.time(),
        state=old.mixer.state,
        history=old.mixer.history,
        asked=old.mixer.hand_over(),
        vigil=old.keeper.hand_over(),
        fades=old.fader.hand_over(),
    )


def go_on_from(left: Succession, stage: Stage, memory: Memory) -> None:
    """Let the parts of an instance go on with what was left; also of the same one, whose heir has died."""
    stage.mixer.take_over(left.history, left.asked)
    stage.keeper.take_over(left.vigil)
    now = stage.mixer.wake(left.state)
    stage.keeper.start(memory)
    stage.mixer.on_event(now)
    stage.mixer.resume(left)
    stage.fader.take_over(left.fades)


def handed_over(old: Stage, *, obedient: bool = True) -> Stage:
    """Let the parts of an instance hand over to those of a new one, which has looked at the same server before."""
    new = Stage()
    new.obedient = obedient
    new.mixer.sleep()
    new.mixer.on_event(seen_in(old.mixer.state))
    left = left_by(old)
    found, problem = understood(written(left), new.loop.time())
    assert (found, problem) == (left, "")
    go_on_from(left, new, old.keeper.memory)
    return new


def shown(stage: Stage, index: int = 10, volume: float = 0.5) -> None:
    stage.mixer.on_event(Seen(record=stream(index, volume, device=1)))


@on_a_stage
async def test_a_fade_goes_on_from_where_it_was_and_takes_what_remained(stage: Stage) -> None:
    stage.fade(0.1, 4.0, key=None)
    stage.fade(0.1, 4.0)
    await asyncio.sleep(2)
    new = handed_over(stage)
    taken_at, begin = new.loop.time(), stage.volume(STREAM)
    assert begin == pytest.approx(0.3, abs=0.01)
    await asyncio.sleep(1)
    assert new.volume(STREAM) == pytest.approx(0.2, abs=0.01)
    levels = [begin, *new.levels(STREAM)]
    assert max(before - after for before, after in itertools.pairwise(levels)) < 0.01
    assert stage.arrived == new.arrived == []
    await asyncio.sleep(1.1)
    assert new.volume(STREAM) == new.volume() == new.learned() == 0.1
    assert new.sent[-1][0] == pytest.approx(taken_at + 2, abs=0.05)
    assert len(new.arrived) == 2
    sent = len(stage.sent)
    await asyncio.sleep(10)
    assert len(stage.sent) == sent, "the old one does nothing any more"
    new.mixer.undo(2, Origin(kind="undo"), lambda *_: None)
    await asyncio.sleep(1)
    assert new.volume(STREAM) == new.volume() == 0.5


@on_a_stage
async def test_what_somebody_has_taken_hold_of_stays_theirs(stage: Stage) -> None:
    shown(stage, 11)
    await stage.quiet()
    stage.fade(0.1, 4.0, key=None)
    await asyncio.sleep(2)
    stage.set(STREAM, 0.9)
    new = handed_over(stage)
    await asyncio.sleep(5)
    assert new.volume(STREAM) == 0.9
    assert new.volume((Kind.PLAYBACK, 11)) == 0.1


@on_a_stage
async def test_a_step_counts_from_what_was_asked_of_the_one_before(stage: Stage) -> None:
    """A sink that is suspended acknowledges at once, and shows it when it runs again."""
    stage.obedient = False
    stage.set_volume(0.8)
    stage.answer()
    waiting = stage.loop.time()
    await stage.mixer.settle(1.0)
    assert stage.answers == [None]
    assert stage.loop.time() == waiting, "what only has to be shown is not waited for"
    new = handed_over(stage)
    new.obedient = False
    new.step(0.05)
    assert new.volumes == [0.85]
    new.answer()
    await asyncio.sleep(1)


@on_a_stage
async def test_what_was_asked_of_the_one_before_goes_with_its_stream(stage: Stage) -> None:
    stage.obedient = False
    stage.ask(SetVolume(key=STREAM, channels=(0.8, 0.8)))
    stage.answer()
    await stage.mixer.settle(1.0)
    new = handed_over(stage)
    assert new.mixer.pending
    assert new.mixer.writes_of(STREAM)
    new.mixer.on_event(Gone(kind=STREAM[0], index=STREAM[1]))
    assert (new.mixer.pending, new.mixer.writes_of(STREAM)) == ({}, {})


@on_a_stage
async def test_what_the_server_answers_late_is_brought_to_its_end_by_the_next_one(stage: Stage) -> None:
    stage.obedient = False
    state = stage.mixer.state
    plan = verbs.set_volume(state, {}, state.apps[MUSIC], 0.3)
    stage.mixer.submit(plan, USER, stage.answers.append)
    new = handed_over(stage)
    await asyncio.sleep(1)
    assert (new.volume(STREAM), new.learned(), new.mixer.state.apps[MUSIC].volume) == (0.3, 0.3, 0.3)
    stage.answer()
    await asyncio.sleep(1)
    assert stage.answers == [None], "who has asked is answered by who was asked"
    assert len(new.mixer.history) == 1
    new.mixer.undo(1, Origin(kind="undo"), lambda *_: None)
    await asyncio.sleep(1)
    assert (new.volume(STREAM), new.learned()) == (0.5, None)


@on_a_stage
async def test_of_a_drag_that_the_server_answers_late_the_next_one_sends_the_rest(stage: Stage) -> None:
    """If both did, the one that has been asked later might come before the other."""
    stage.obedient = False
    for volume in (0.3, 0.4, 0.45):
        stage.set_volume(volume)
    new = handed_over(stage)
    stage.answer()
    await asyncio.sleep(1)
    assert (stage.volumes, new.volumes) == ([0.3], [0.45])
    assert stage.answers == [None] * 3
    new.mixer.undo(1, Origin(kind="undo"), lambda *_: None)
    await asyncio.sleep(1)
    assert (new.volume(), new.mixer.history) == (0.5, ())


@on_a_stage
async def test_what_is_under_way_may_be_handed_over_twice(stage: Stage) -> None:
    stage.obedient = False
    stage.set_volume(0.3)
    second = handed_over(stage, obedient=False)
    third = handed_over(second)
    await asyncio.sleep(1)
    assert (third.volume(), len(third.mixer.history)) == (0.3, 1)


@on_a_stage
async def test_what_was_under_way_fails_as_if_nothing_was_handed_over(stage: Stage) -> None:
    stage.obedient = False
    stage.set_volume(0.3)
    new = handed_over(stage, obedient=False)
    go_on_from(left_by(new), new, new.keeper.memory)
    while new.unanswered:
        new.answer(AudioServerError("No."))
        await asyncio.sleep(1)
    assert (new.volume(), new.mixer.history, new.mixer.pending) == (0.5, (), {})


@on_a_stage
async def test_what_was_under_way_in_another_life_of_the_server_is_not_asked_again(stage: Stage) -> None:
    """Its indexes mean other objects by now."""
    stage.obedient = False
    stage.set_volume(0.3)
    new, left = Stage(), left_by(stage)
    new.mixer.sleep()
    new.mixer.on_event(snapshot(cookie=2))
    go_on_from(left, new, Memory())
    await asyncio.sleep(1)
    assert new.volumes == []


@on_a_stage
async def test_who_is_asleep_tells_nobody_and_then_only_what_is_different(stage: Stage) -> None:
    told: list[Change] = []

    def tell(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        told.extend(changes)

    state = stage.mixer.state
    stage.mixer.subscribe(tell)
    stage.mixer.sleep()
    shown(stage, 11)
    stage.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=11))
    shown(stage, 10, 0.2)
    assert told == []
    stage.mixer.on_event(stage.mixer.wake(state))
    change = told[0]
    assert (change.before, change.after) == (state.streams[STREAM], stage.mixer.state.streams[STREAM])
    assert {each.kind for each in told[1:]} <= {Kind.APP}
    assert stage.learned() == 0.2, "another program has set it, which a person may want"
    told.clear()
    stage.mixer.sleep()
    stage.mixer.on_event(Disconnected(reason="It has gone."))
    stage.mixer.on_event(stage.mixer.wake(stage.mixer.state))
    assert not stage.mixer.state.connected


@on_a_stage
async def test_only_what_is_really_new_is_new_to_the_next_one(stage: Stage) -> None:
    state = stage.mixer.state
    plan = verbs.set_volume(state, stage.mixer.pending, state.apps[MUSIC], 0.3)
    stage.mixer.submit(plan, USER, stage.answers.append)
    await stage.quiet()
    # Together with a change of the default it says nothing of what a person wants, and is left alone.
    stage.mixer.on_event(Seen(record=Server(default_sink="sink3", cookie=1)))
    shown(stage, 10, 0.9)
    await stage.quiet()
    assert (stage.volume(STREAM), stage.learned()) == (0.9, 0.3)
    new = handed_over(stage)
    shown(new, 12, 1.0)
    await asyncio.sleep(GRACE / 2)
    assert new.levels(STREAM) == []
    assert new.levels((Kind.PLAYBACK, 12)) == [0.3]


@on_a_stage
async def test_a_correction_that_is_under_way_is_looked_after_by_the_next_one(stage: Stage) -> None:
    stage.set(STREAM, 0.3)  # a person, with another program
    await stage.quiet()
    stage.obedient = False
    shown(stage, 11, 1.0)
    new = handed_over(stage)
    stage.unanswered.pop()[1](None)  # its program has set it back in that instant
    await asyncio.sleep(1)
    assert (stage.levels(OTHER), new.levels(OTHER)) == ([0.3], [0.3])


# --- whoever goes on, as its heir has died


@on_a_stage
async def test_who_waits_for_a_stream_that_goes_is_told_also_by_an_instance_whose_heir_has_died(
    stage: Stage,
) -> None:
    stage.obedient = False
    stage.ask(MoveStream(key=STREAM, device=3))
    go_on_from(left_by(stage), stage, Memory())
    stage.mixer.on_event(Gone(kind=STREAM[0], index=STREAM[1]))
    assert [type(error) for error in stage.answers] == [NotFoundError]
    assert stage.mixer.pending == {}


@on_a_stage
async def test_what_is_under_way_is_one_step_when_the_heir_has_died(stage: Stage) -> None:
    stage.obedient = False
    stage.set_volume(0.3)
    left = left_by(stage)
    stage.obedient = True
    go_on_from(left, stage, stage.keeper.memory)
    stage.answer()
    await asyncio.sleep(1)
    assert (stage.volume(), len(stage.mixer.history)) == (0.3, 1)
    assert stage.answers == [None]


@on_a_stage
async def test_a_volume_is_not_sent_sooner_after_another_because_the_heir_has_died(stage: Stage) -> None:
    stage.set_volume(0.3)
    await asyncio.sleep(LATENCY)
    go_on_from(left_by(stage), stage, Memory())
    stage.set_volume(0.4)
    await asyncio.sleep(1)
    first, second = (at for at, _ in stage.sent)
    assert second - first == pytest.approx(PACE)


@on_a_stage
async def test_what_was_there_before_the_service_may_be_moved_when_the_heir_has_died(stage: Stage) -> None:
    stage.set(STREAM, 0.3)
    go_on_from(left_by(stage), stage, stage.keeper.memory)
    stage.mixer.on_event(Seen(record=stream(10, 0.3, device=3)))
    await stage.quiet()
    stage.set(STREAM, 0.4)
    assert stage.learned() == 0.4


@on_a_stage
async def test_a_correction_that_was_under_way_is_looked_after_when_the_heir_has_died(stage: Stage) -> None:
    stage.set(STREAM, 0.3)
    await stage.quiet()
    stage.obedient = False
    shown(stage, 11, 1.0)
    left = left_by(stage)
    stage.unanswered.pop()[1](None)
    await asyncio.sleep(1)
    assert stage.levels(OTHER) == [0.3], "who is asleep corrects nothing"
    stage.obedient = True
    go_on_from(left, stage, stage.keeper.memory)
    await asyncio.sleep(1)
    assert stage.levels(OTHER) == [0.3, 0.3]


class Nobody:
    """A bus with nobody on it."""

    def when_gone(self, client: str, tell: object) -> object:
        del client, tell
        return lambda: None

    def send(self, _signal: object) -> None:
        pass


def with_kinds(left: Succession) -> Succession:
    """Make streams of what is called a stream, and devices of what is called a device; no instance has others."""

    def right(record: Any, *kinds: Kind) -> Any:
        return record if record.kind in kinds else replace(record, kind=kinds[0])

    state = left.state
    streams = {key: right(s, Kind.PLAYBACK, Kind.CAPTURE) for key, s in state.streams.items()}
    devices = {key: right(d, Kind.SINK, Kind.SOURCE) for key, d in state.devices.items()}
    return replace(left, state=replace(state, streams=streams, devices=devices))


@settings(max_examples=20)
@given(anything(Succession).map(with_kinds))
def test_whatever_is_handed_over_no_part_fails_and_none_works_for_ever(left: Succession) -> None:
    failures: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        stage = Stage()
        router = Router(stage.mixer)
        stage.mixer.sleep()
        holds = Holds(stage.mixer, router, cast("Any", Nobody()), lambda: None)
        rules = SimpleNamespace(sightings=Sightings())
        methods = SimpleNamespace(holds=holds, rules=rules, go_on_telling=lambda _: None)
        parts = SimpleNamespace(
            mixer=stage.mixer,
            fader=stage.fader,
            keeper=stage.keeper,
            router=router,
            rules=RuleBook(Path("/nowhere/rules.toml")),
        )
        service = cast("Any", SimpleNamespace(parts=parts, methods=methods))
        now = replace(left, made_at=stage.loop.time())
        go_on(service, now, configured=Settings(), memory=left.memory or Memory())
        await asyncio.sleep(5)

    jumped(main())
    assert failures == []
