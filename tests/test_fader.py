"""Fades on a loop whose time jumps: how they go, to whom they give way, and what is learned of them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from jumping import as_test
from test_mixer import MUSIC, SINK, STREAM, USER, Desk, Refusing, sink, snapshot, stream

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import Command, Origin, SetMuted, SetVolume
from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotConnectedError
from pwmixer_dbus.core.events import Capped, Disconnected, Gone, Routed, Seen
from pwmixer_dbus.core.fading import STEP
from pwmixer_dbus.core.matching import NOTHING
from pwmixer_dbus.core.memory import ECHO, GRACE, SETTLING, Memory
from pwmixer_dbus.core.model import Device, Key, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper

OTHER = (Kind.PLAYBACK, 11)
LATENCY = 0.004


class Stage(Desk):
    """A desk with fades, a memory, and a sound server that does at once what it is asked, and says so a little later."""

    def __init__(self, **chosen: Any) -> None:
        super().__init__(connected=False, **chosen)
        self.arrived: list[tuple[Target, verbs.Plan]] = []
        self.fader = Fader(self.mixer)
        self.fader.on_arrived = lambda target, plan, _: self.arrived.append((target, plan))
        self.keeper = Keeper(
            self.mixer,
            rules=lambda _: NOTHING,
            locks=lambda _: False,
            save=lambda _: None,
            save_soon=lambda: None,
            wall_clock=lambda: 1.7e9,
        )
        self.fader.holds = self.keeper.holds
        self.keeper.start(Memory())
        self.mixer.on_event(snapshot())
        self.obedient = True

    def send(self, command: Command, done: Callable[[MixerError | None], None]) -> None:
        super().send(command, done)
        if self.obedient:
            self.unanswered.clear()
            self.loop.call_later(LATENCY, self._obey, command, done)

    def _obey(self, command: Command, done: Callable[[MixerError | None], None]) -> None:
        record = self.shown(command.key)
        if record is not None and isinstance(command, SetVolume):
            self.mixer.on_event(Seen(record=replace(record, channels=command.channels)))
        if record is not None and isinstance(command, SetMuted):
            self.mixer.on_event(Seen(record=replace(record, muted=command.muted)))
        done(None)

    def shown(self, key: Key) -> Device | Stream | None:
        return self.mixer.state.devices.get(key) or self.mixer.state.streams.get(key)

    def volume(self, key: Key = SINK) -> float:
        """Return the volume that the server shows."""
        record = self.shown(key)
        assert record is not None
        return gain.level(record.channels)

    def fade(self, volume: float, seconds: float = 1.0, key: Key | None = SINK, limit: float = 1.5) -> None:
        """Let the sink, a stream, or with no key the application fade."""
        target: Target | None = self.mixer.state.apps[MUSIC] if key is None else self.shown(key)
        assert target is not None
        self.fade_target(target, volume, seconds, limit)

    def fade_target(self, target: Target, volume: float, seconds: float = 1.0, limit: float = 1.5) -> None:
        """Let anything fade."""
        self.fader.start([target], volume, seconds=seconds, limit=limit, origin=USER)

    def set(self, key: Key, volume: float) -> None:
        """Let another program set a volume."""
        record = self.shown(key)
        assert record is not None
        channels = gain.with_level(record.channels, volume)
        self.mixer.on_event(Seen(record=replace(record, channels=channels)))

    def levels(self, key: Key) -> list[float]:
        """Return what the server was asked for."""
        return [gain.level(c.channels) for _, c in self.sent if isinstance(c, SetVolume) and c.key == key]

    async def quiet(self) -> None:
        """Let the time pass after which what other programs do counts as a person's doing."""
        await asyncio.sleep(GRACE + SETTLING + ECHO)

    def learned(self) -> float | None:
        """Return what is remembered of the application."""
        known = self.keeper.memory.apps[MUSIC].levels.get(Kind.PLAYBACK)
        return None if known is None else known.volume


def on_a_stage(
    test: Callable[[Stage], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """Run a test on a stage of its own, after all has been quiet; at the end, nothing is left that runs."""

    async def main() -> None:
        stage = Stage()
        await stage.quiet()
        await test(stage)
        await asyncio.sleep(30)
        assert [timer for timer in timers(stage) if not timer.cancelled()] == []

    return as_test(test, main)


def timers(stage: Stage) -> list[asyncio.TimerHandle]:
    return list(stage.loop._scheduled)  # type: ignore[attr-defined]


# --- how it goes


@on_a_stage
async def test_a_fade_goes_to_its_end_in_its_time_step_by_step(stage: Stage) -> None:
    begin = stage.loop.time()
    stage.fade(0.1)
    await asyncio.sleep(0.5 + LATENCY)
    assert stage.volume() == pytest.approx(0.3, abs=0.01)
    await asyncio.sleep(0.5 + LATENCY)
    assert stage.volume() == 0.1
    steps = stage.levels(SINK)
    assert steps == sorted(steps, reverse=True)
    assert 45 <= len(steps) <= 51
    assert stage.sent[-1][0] == pytest.approx(begin + 1, abs=STEP)


@on_a_stage
async def test_one_that_takes_no_time_is_there_at_once(stage: Stage) -> None:
    stage.fade(0.1, 0.0)
    assert stage.levels(SINK) == [0.1]


@on_a_stage
async def test_the_streams_of_an_application_each_go_their_own_way_to_the_same_volume(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, 0.9, device=1)))
    await stage.quiet()
    stage.fade(0.2, key=None)
    await asyncio.sleep(0.5 + LATENCY)
    assert stage.volume(STREAM) == pytest.approx(0.35, abs=0.01)
    assert stage.volume(OTHER) == pytest.approx(0.55, abs=0.02)
    await asyncio.sleep(0.6)
    assert stage.volume(STREAM) == stage.volume(OTHER) == 0.2


@on_a_stage
async def test_the_balance_is_kept_on_the_way_down_and_lost_in_silence_only(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=replace(sink(), channels=(0.8, 0.4))))
    stage.fade(0.01)
    await asyncio.sleep(1.1)
    shown = stage.shown(SINK)
    assert shown is not None
    assert shown.channels == (0.01, 0.005)


@on_a_stage
async def test_whoever_wanted_it_is_told_of_its_end_and_only_then(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.99)
    assert stage.arrived == []
    await asyncio.sleep(0.1)
    ((target, plan),) = stage.arrived
    assert isinstance(target, Device)
    assert plan.volume == 0.1


@on_a_stage
async def test_a_thousand_fades_have_one_timer_and_none_when_they_are_over(stage: Stage) -> None:
    for index in range(100, 1100):
        stage.mixer.on_event(Seen(record=stream(index, device=1)))
    await stage.quiet()
    stage.obedient = False
    for index in range(100, 1100):
        stage.fade(0.4, 3000.0, (Kind.PLAYBACK, index))
    waiting = [timer for timer in timers(stage) if not timer.cancelled()]
    assert len(waiting) == 1
    stage.fader.finish()
    assert len(stage.sent) == 1000
    while stage.unanswered:
        stage.answer()


@on_a_stage
async def test_a_long_fade_takes_few_steps_and_a_short_one_beside_it_many(stage: Stage) -> None:
    stage.fade(0.4, 3600.0)
    stage.fade(0.0, 1.0, STREAM)
    await asyncio.sleep(1.1)
    assert len(stage.levels(STREAM)) > 40
    assert len(stage.levels(SINK)) <= 1
    await asyncio.sleep(3600)
    assert stage.volume() == 0.4
    assert len(stage.levels(SINK)) <= 101


@on_a_stage
async def test_a_server_that_is_slow_gets_only_what_is_the_latest(stage: Stage) -> None:
    stage.obedient = False
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    assert len(stage.sent) == 1
    stage.obey()
    assert len(stage.sent) == 2
    assert stage.levels(SINK)[-1] == pytest.approx(0.3, abs=0.02)
    await asyncio.sleep(1)
    while stage.unanswered:
        stage.obey()
    assert stage.volume() == 0.1


# --- to whom it gives way


@on_a_stage
async def test_a_person_who_sets_the_volume_through_us_ends_it(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    stage.set_volume(0.7)
    await asyncio.sleep(2)
    assert stage.volume() == 0.7
    assert stage.arrived == []


@on_a_stage
async def test_a_step_counts_from_where_the_fade_is(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5 + LATENCY)
    stage.step(0.05)
    await asyncio.sleep(2)
    assert stage.volume() == pytest.approx(0.35, abs=0.01)


@on_a_stage
async def test_a_person_who_sets_it_with_another_program_ends_it_and_that_is_learned(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5 + 2 * LATENCY)
    stage.set(STREAM, 0.7)
    await asyncio.sleep(2)
    assert stage.volume(STREAM) == stage.learned() == 0.7
    assert stage.arrived == []


@on_a_stage
async def test_a_drag_with_another_program_is_not_fought_from_its_first_value_on(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5 + 2 * LATENCY)
    count = len(stage.sent)
    for percent in range(31, 80):
        stage.set(SINK, percent / 100)
        await asyncio.sleep(0.01)
    assert len(stage.sent) == count
    assert stage.volume() == 0.79


@on_a_stage
async def test_a_step_that_comes_after_what_another_program_has_set_is_taken_back(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    stage.obedient = False
    await asyncio.sleep(0.1)
    step, done = stage.unanswered.pop()
    stage.set(STREAM, 0.7)
    assert isinstance(step, SetVolume)
    stage.obedient = True
    stage.set(STREAM, gain.level(step.channels))
    done(None)
    await asyncio.sleep(2)
    assert stage.volume(STREAM) == stage.learned() == 0.7


@on_a_stage
async def test_a_step_that_came_before_it_is_not(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    stage.obedient = False
    await asyncio.sleep(0.1)
    count = len(stage.sent)
    stage.set(STREAM, 0.7)
    stage.answer()
    await asyncio.sleep(2)
    assert len(stage.sent) == count
    assert stage.volume(STREAM) == stage.learned() == 0.7


@on_a_stage
async def test_a_group_fades_as_one_and_whoever_leaves_it_stays_where_it_is(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, 0.9, device=1)))
    for kind, index in (STREAM, OTHER):
        stage.mixer.on_event(Routed(kind=kind, index=index, by="", group="Chat"))
    await stage.quiet()
    (group,) = stage.mixer.state.groups()
    stage.fade_target(group, 0.2)
    await asyncio.sleep(0.5 + LATENCY)
    assert stage.volume(STREAM) == pytest.approx(0.35, abs=0.01)
    stage.mixer.on_event(Routed(kind=OTHER[0], index=OTHER[1], by="", group=""))
    left_at = stage.volume(OTHER)
    await asyncio.sleep(0.6)
    assert stage.volume(STREAM) == 0.2
    assert stage.volume(OTHER) == pytest.approx(left_at, abs=0.02)
    assert [target for target, _ in stage.arrived] == stage.mixer.state.groups()
    await stage.quiet()
    (group,) = stage.mixer.state.groups()
    stage.fade_target(group, 0.9)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Routed(kind=STREAM[0], index=STREAM[1], by="", group=""))
    await asyncio.sleep(0.6)
    assert timers(stage) == []
    assert len(stage.arrived) == 1


@on_a_stage
async def test_of_an_application_only_the_stream_that_somebody_has_taken_hold_of_stays(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, 0.9, device=1)))
    await stage.quiet()
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5 + 2 * LATENCY)
    stage.set(OTHER, 1.0)
    await asyncio.sleep(1)
    assert (stage.volume(STREAM), stage.volume(OTHER)) == (0.1, 1.0)
    assert len(stage.arrived) == 1


@on_a_stage
async def test_a_fade_of_a_stream_takes_it_out_of_that_of_its_application(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, device=1)))
    await stage.quiet()
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5)
    stage.fade(1.0, key=OTHER)
    await asyncio.sleep(1.1)
    assert (stage.volume(STREAM), stage.volume(OTHER)) == (0.1, 1.0)


@on_a_stage
async def test_a_second_fade_goes_on_from_where_the_first_is(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    stage.fade(0.9)
    await asyncio.sleep(1.1)
    steps = stage.levels(SINK)
    turn = steps.index(min(steps))
    assert steps[turn] == pytest.approx(0.3, abs=0.02)
    assert steps[turn:] == sorted(steps[turn:])
    assert stage.volume() == 0.9
    assert len(stage.arrived) == 1


@on_a_stage
async def test_muting_is_none_of_its_business(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    stage.ask(SetMuted(key=SINK, muted=True))
    await asyncio.sleep(1)
    assert stage.volume() == 0.1


@on_a_stage
async def test_a_device_that_rounds_is_faded_to_its_end_all_the_same(stage: Stage) -> None:
    stage.obedient = False
    stage.fade(0.1)
    for _ in range(60):
        await asyncio.sleep(STEP)
        while stage.unanswered:
            command, done = stage.unanswered.pop(0)
            assert isinstance(command, SetVolume)
            stage.set(SINK, round(gain.level(command.channels) * 32 + 0.013) / 32)
            done(None)
    assert len(stage.arrived) == 1
    assert stage.volume() == pytest.approx(0.1, abs=1 / 32)


# --- what ends, and what goes


@on_a_stage
async def test_a_stream_that_ends_takes_nothing_along_but_itself(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, device=1)))
    await stage.quiet()
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=11))
    await asyncio.sleep(1)
    assert stage.volume(STREAM) == stage.learned() == 0.1


@on_a_stage
async def test_an_application_that_falls_silent_will_be_where_it_was_going(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    await asyncio.sleep(0.1)
    assert stage.mixer.state.apps[MUSIC].volume == stage.learned() == 0.1
    assert len(stage.arrived) == 1


@on_a_stage
async def test_a_stream_that_begins_in_the_midst_of_it_joins_in(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Seen(record=stream(11, 1.0, device=1)))
    await asyncio.sleep(0.25 + LATENCY)
    assert stage.volume(OTHER) == pytest.approx(0.55, abs=0.05)
    await asyncio.sleep(0.5)
    assert stage.volume(STREAM) == stage.volume(OTHER) == 0.1


@on_a_stage
async def test_a_device_that_goes_ends_its_fade(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    await asyncio.sleep(1)
    assert stage.arrived == []


@on_a_stage
async def test_other_channels_in_the_midst_of_it_are_faded_as_well(stage: Stage) -> None:
    stage.fade(0.1)
    await asyncio.sleep(0.5 + 2 * LATENCY)
    stage.mixer.on_event(Seen(record=replace(sink(), channels=(0.5,) * 6, positions=("mono",) * 6)))
    await asyncio.sleep(1)
    shown = stage.shown(SINK)
    assert shown is not None
    assert shown.channels == (0.1,) * 6


@on_a_stage
async def test_a_server_that_goes_ends_them_all_and_nothing_is_learned(stage: Stage) -> None:
    stage.fade(0.1, key=None)
    stage.fade(0.1)
    await asyncio.sleep(0.5)
    stage.mixer.on_event(Disconnected(reason="a restart"))
    count = len(stage.sent)
    await asyncio.sleep(1)
    stage.mixer.on_event(snapshot(cookie=2))
    await asyncio.sleep(1)
    assert len(stage.sent) == count
    assert stage.arrived == []
    assert stage.learned() is None
    stage.mixer.on_event(Disconnected(reason="again"))
    with pytest.raises(NotConnectedError):
        stage.fade(0.1)


@on_a_stage
async def test_a_server_that_refuses_ends_it_and_is_not_asked_again(stage: Stage) -> None:
    stage.fade(0.1)
    stage.fade(0.1, key=None)
    stage.mixer.server = Refusing(AudioServerError("No."))
    await asyncio.sleep(2)
    stage.mixer.server = stage
    assert stage.sent == []
    assert stage.arrived == []
    stage.set_volume(0.3)
    await asyncio.sleep(1)
    assert stage.volume() == 0.3


@on_a_stage
async def test_when_the_service_ends_every_fade_is_at_its_end(stage: Stage) -> None:
    stage.fade(0.1, 1000.0)
    await asyncio.sleep(0.5)
    stage.fader.finish()
    await stage.mixer.drain(1.0)
    assert stage.volume() == 0.1


# --- what is learned, and what can be undone


@on_a_stage
async def test_only_the_end_is_learned_and_that_as_a_persons_wish(stage: Stage) -> None:
    stage.fade(0.1, 5.0, key=None)
    await asyncio.sleep(4.9)
    assert stage.learned() is None
    await asyncio.sleep(0.2)
    assert stage.learned() == stage.mixer.state.apps[MUSIC].volume == 0.1
    await stage.quiet()
    stage.fade(0.8, 5.0, key=STREAM)
    await asyncio.sleep(4.9)
    assert stage.learned() == 0.1
    await asyncio.sleep(0.2)
    assert stage.learned() == 0.8


@on_a_stage
async def test_nothing_is_learned_of_one_that_is_interrupted_but_what_has_interrupted_it(
    stage: Stage,
) -> None:
    stage.fade(0.1, key=None)
    await asyncio.sleep(0.5)
    state = stage.mixer.state
    plan = verbs.adjust_volume(state, stage.mixer.pending, state.streams[STREAM], 0.1)
    stage.mixer.submit(plan, USER, stage.answers.append)
    await asyncio.sleep(1)
    assert stage.learned() == stage.volume(STREAM) == pytest.approx(0.4, abs=0.02)


@on_a_stage
async def test_a_lock_lets_a_fade_pass_and_holds_its_end(stage: Stage) -> None:
    stage.keeper.set_lock(stage.mixer.state.apps[MUSIC], locked=True)
    stage.fade(0.1, 5.0, key=None)
    await asyncio.sleep(5.1)
    steps = stage.levels(STREAM)
    assert steps == sorted(steps, reverse=True)
    await stage.quiet()
    stage.set(STREAM, 0.9)
    await asyncio.sleep(1)
    assert stage.volume(STREAM) == stage.learned() == 0.1


@on_a_stage
async def test_no_other_program_takes_hold_of_what_is_locked(stage: Stage) -> None:
    stage.mixer.on_event(Seen(record=stream(11, 0.5, device=1)))
    await stage.quiet()
    for key in (None, SINK):
        target = stage.mixer.state.apps[MUSIC] if key is None else stage.mixer.state.devices[SINK]
        stage.keeper.set_lock(target, locked=True)
        stage.fade(0.1, key=key)
        await asyncio.sleep(0.5 + 2 * LATENCY)
        stage.set(key or OTHER, 1.0)
        await stage.quiet()
        assert stage.volume(key or OTHER) == 0.1
    assert stage.volume(STREAM) == stage.learned() == 0.1
    assert len(stage.arrived) == 2


@on_a_stage
async def test_a_program_that_sets_its_own_volume_at_its_start_stays_in_a_fade(stage: Stage) -> None:
    stage.fade(0.1, 4.0, key=None)
    await asyncio.sleep(1)
    stage.mixer.on_event(Seen(record=stream(11, 1.0, device=1)))
    await asyncio.sleep(0.5)
    stage.set(OTHER, 1.0)
    await asyncio.sleep(0.5)
    assert stage.volume(OTHER) < 0.9
    await asyncio.sleep(2.1)
    assert stage.volume(STREAM) == stage.volume(OTHER) == stage.learned() == 0.1


@on_a_stage
async def test_it_is_one_step_to_undo_while_it_runs_and_afterwards(stage: Stage) -> None:
    for pause in (0.5, 5.0):
        stage.fade(0.1)
        await asyncio.sleep(pause)
        stage.mixer.undo(1, Origin(kind="undo"), lambda _count, error: stage.answers.append(error))
        await asyncio.sleep(1)
        assert stage.volume() == 0.5
    assert stage.answers == [None, None]


@on_a_stage
async def test_to_undo_it_brings_back_what_another_program_had_just_set(stage: Stage) -> None:
    await stage.quiet()
    stage.set(STREAM, 0.3)
    stage.fade(0.9, key=None)
    await asyncio.sleep(2)
    stage.mixer.undo(1, Origin(kind="undo"), lambda _count, error: stage.answers.append(error))
    await asyncio.sleep(1)
    assert (stage.volume(STREAM), stage.mixer.state.apps[MUSIC].volume) == (0.3, 0.3)


@on_a_stage
async def test_what_has_interrupted_it_is_a_step_of_its_own(stage: Stage) -> None:
    stage.fade(0.1, 10.0)
    await asyncio.sleep(5 + LATENCY)
    stage.set_volume(0.9)
    await asyncio.sleep(1)
    for expected in (0.3, 0.5):
        stage.mixer.undo(1, Origin(kind="undo"), lambda _count, error: stage.answers.append(error))
        await asyncio.sleep(1)
        assert stage.volume() == pytest.approx(expected, abs=0.005)


# --- limits


@on_a_stage
async def test_it_ends_at_the_limit(stage: Stage) -> None:
    stage.fade(1.4)
    await asyncio.sleep(1.1)
    assert (stage.volume(), max(stage.levels(SINK))) == (1.0, 1.0)
    ((_, plan),) = stage.arrived
    assert [clamp.requested for clamp in plan.clamps] == [1.4]
    stage.fade(0.9, limit=0.6)
    await asyncio.sleep(1.1)
    assert stage.volume() == 0.9


@on_a_stage
async def test_what_is_above_the_limit_already_comes_down_gently(stage: Stage) -> None:
    stage.set(SINK, 1.5)
    await stage.quiet()
    stage.fade(0.5)
    await asyncio.sleep(0.2)
    assert 1.0 < stage.volume() < 1.5
    await asyncio.sleep(1)
    assert stage.volume() == 0.5


@on_a_stage
async def test_a_cap_that_comes_in_the_midst_of_it_holds_at_once_and_on_the_way_on(stage: Stage) -> None:
    stage.fade(0.9, 4.0)
    await asyncio.sleep(3)
    stage.keeper.set_cap(stage.mixer.state.devices[SINK], max_volume=0.6)
    await asyncio.sleep(2)
    assert stage.volume() == 0.6
    assert [level for level in stage.levels(SINK) if level > 0.6][-1] == pytest.approx(0.8, abs=0.01)
    ((_, plan),) = stage.arrived
    assert plan.volume == 0.6


@on_a_stage
async def test_a_cap_below_does_not_end_a_fade_that_goes_further_down(stage: Stage) -> None:
    stage.fade(0.1, 4.0)
    await asyncio.sleep(1)
    stage.keeper.set_cap(stage.mixer.state.devices[SINK], max_volume=0.2)
    await asyncio.sleep(1)
    assert stage.volume() == 0.2
    await asyncio.sleep(2.1)
    assert stage.volume() == 0.1


@on_a_stage
async def test_no_step_is_ever_above_a_cap_that_was_there_before(stage: Stage) -> None:
    stage.mixer.on_event(Capped(caps={"sink:sink1": 0.55}))
    stage.fade(0.9, key=None)
    stage.fade(0.9)
    await asyncio.sleep(1.1)
    assert max(stage.levels(SINK) + stage.levels(STREAM)) <= 0.55


@on_a_stage
async def test_what_has_no_volume_any_more_ends_its_own_fade_and_no_other(stage: Stage) -> None:
    stage.fade(0.1)
    stage.fade(0.9, key=STREAM)
    await asyncio.sleep(0.5 + 2 * LATENCY)
    record = stage.mixer.state.streams[STREAM]
    stage.mixer.on_event(Seen(record=replace(record, channels=(), has_volume=False)))
    await asyncio.sleep(1)
    assert stage.volume() == 0.1
    assert [target for target, _ in stage.arrived if isinstance(target, Stream)] == []
