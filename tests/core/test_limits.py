"""Limits hold: whatever is asked, by whichever verb, nothing rises above the lowest that is in force for it."""

from typing import Any

from build import MUSIC, after, capture, playback, sink, source, state_of, wanted
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import SetVolume, slot_of
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.events import Capped, Configured, Routed, Seen
from pwmixer_dbus.core.history import Step, recorded, step_of, undone
from pwmixer_dbus.core.model import Device, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState

VOLUMES = st.floats(0.0, 1.5).map(lambda v: round(v, 4))
CAPS = st.none() | VOLUMES
ASKED = st.floats(-3.0, 3.0).map(lambda v: round(v, 4))
ROUNDING = 0.00011
"""Two channels are rounded each for itself."""


@st.composite
def worlds(draw: st.DrawFn) -> MixerState:
    """Make a world with two sinks, a source, two applications, and limits of every sort."""
    channels = st.tuples(VOLUMES, VOLUMES)
    state = state_of(
        sink(1, channels=draw(channels)),
        sink(3, "headset", channels=draw(channels)),
        source(2, channels=draw(channels)),
        playback(10, channels=draw(channels), device=1),
        playback(11, channels=draw(channels), device=3),
        playback(12, "game", channels=draw(channels), device=None),
        capture(20, channels=draw(channels), device=2),
        max_volume=draw(VOLUMES),
    )
    names = (MUSIC, "bin:game", "sink:speakers", "sink:headset", "source:microphone")
    caps = {name: cap for name in names if (cap := draw(CAPS)) is not None}
    ruled = Routed(kind=Kind.PLAYBACK, index=11, by="", max_volume=draw(CAPS))
    return after(state, Capped(caps=caps), ruled, wanted(draw(VOLUMES)))


def records(state: MixerState) -> list[Device | Stream]:
    return [*state.devices.values(), *state.streams.values()]


def targets(state: MixerState) -> list[Target]:
    """List what has a volume; applications, where most can go wrong, as often as all else."""
    return [*records(state), *4 * [*state.apps.values()]]


def assert_within(state: MixerState, plan: verbs.Plan, limit: float = gain.CEILING) -> None:
    for command in plan.commands:
        if isinstance(command, SetVolume):
            record = state.devices.get(command.key) or state.streams[command.key]
            allowed = max(min(limit, verbs.max_volume(state, record)), gain.level(record.channels))
            assert 0.0 <= gain.level(command.channels) <= allowed + ROUNDING


@given(worlds(), st.data())
def test_no_verb_raises_anything_above_its_limit(state: MixerState, data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(targets(state)))
    asked, limit = data.draw(ASKED), data.draw(VOLUMES)
    for verb in (verbs.set_volume, verbs.adjust_volume):
        plan = verb(state, {}, target, asked, limit)
        assert_within(state, plan, limit)
        assert all(clamp.effective != clamp.requested for clamp in plan.clamps)


@given(worlds(), st.lists(ASKED, min_size=1, max_size=6), st.data())
def test_nor_do_many_steps_in_a_hurry(state: MixerState, steps: list[float], data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(targets(state)))
    pending: dict[Any, Any] = {}
    for step in steps:
        plan = verbs.adjust_volume(state, pending, target, step)
        assert_within(state, plan)
        pending |= {slot_of(command): command for command in plan.commands}


@given(worlds(), st.data(), st.tuples(ASKED, ASKED))
def test_nor_does_the_balance(state: MixerState, data: st.DataObject, channels: tuple[float, float]) -> None:
    target = data.draw(st.sampled_from(records(state)))
    assert_within(state, verbs.set_channels(state, target, channels))


@given(worlds(), st.data(), VOLUMES, CAPS)
def test_nor_does_an_undo_of_what_was_done_before_there_was_the_limit(
    state: MixerState, data: st.DataObject, most: float, cap: float | None
) -> None:
    history: tuple[Step, ...] = ()
    for at in (10.0, 20.0):
        target = data.draw(st.sampled_from(targets(state)))
        try:
            plan = verbs.set_volume(state, {}, target, data.draw(ASKED))
        except MixerError:
            continue
        history = recorded(history, step_of(state, {}, plan, ":1.7", at))
    caps = {} if cap is None else {MUSIC: cap, "sink:speakers": cap}
    silent = [replace(r, channels=(0.0, 0.0)) for r in records(state)]
    quieter = after(
        state,
        *(Seen(record=record) for record in silent),
        Configured(settings=Settings(max_volume=most)),
        Capped(caps=caps),
    )
    _, plan, _ = undone(quieter, history, 2)
    assert_within(quieter, plan)
    for wish in plan.wishes:
        if isinstance(wish.volume, float):
            assert wish.volume <= verbs.max_volume(quieter, quieter.apps[wish.app_id])


def test_an_application_goes_no_higher_than_the_device_that_it_is_on() -> None:
    state = after(
        state_of(sink(1), sink(3, "headset"), playback(10, device=1), playback(11, device=3)),
        Capped(caps={"sink:headset": 0.6}),
    )
    plan = verbs.set_volume(state, {}, state.apps[MUSIC], 0.9)
    assert [gain.level(c.channels) for c in plan.commands if isinstance(c, SetVolume)] == [0.9, 0.6]
    assert [(clamp.requested, clamp.effective) for clamp in plan.clamps] == [(0.9, 0.6)]
    alone = after(state_of(sink(3, "headset"), playback(11, device=3)), Capped(caps={"sink:headset": 0.6}))
    plan = verbs.set_volume(alone, {}, alone.apps[MUSIC], 0.9)
    assert plan.volume == 0.6
    assert len(plan.clamps) == 1
