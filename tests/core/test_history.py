"""What a person can take back: which requests are one step, and how many steps are kept."""

import pytest
from build import card, playback, sink, state_of

from pwmixer_dbus.core.commands import (
    Command,
    MoveStream,
    SetDefault,
    SetMuted,
    SetPort,
    SetProfile,
    SetVolume,
    slot_of,
)
from pwmixer_dbus.core.events import AppWanted
from pwmixer_dbus.core.history import STEPS, Step, recorded, step_of, undone
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.verbs import Plan

STATE = state_of(sink(1), playback(10, device=1), playback(11, device=1))


def step(at: float, client: str = "slider", index: int = 10) -> Step:
    wish = SetVolume(key=(Kind.PLAYBACK, index), channels=(0.3, 0.3))
    return step_of(STATE, {}, Plan(commands=(wish,)), client, at)


@pytest.mark.parametrize(
    ("later", "is_one"),
    [
        (step(2.0), True),
        (step(2.1), False),  # after more than a second
        (step(1.5, client="key"), False),
        (step(1.5, index=11), False),
    ],
)
def test_requests_of_a_client_for_the_same_within_a_second_are_one_step(later: Step, is_one: bool) -> None:
    assert len(recorded((step(1.0),), later)) == (1 if is_one else 2)


def test_a_drag_is_one_step_however_long_it_goes_on() -> None:
    steps: tuple[Step, ...] = ()
    for tenth in range(50):
        steps = recorded(steps, step(tenth / 10))
    assert len(steps) == 1


STAYS: tuple[Command, ...] = (
    SetVolume(key=(Kind.PLAYBACK, 10), channels=STATE.streams[Kind.PLAYBACK, 10].channels),
    SetVolume(key=(Kind.SINK, 1), channels=tuple(v + 1e-6 for v in STATE.devices[Kind.SINK, 1].channels)),
    SetMuted(key=(Kind.SINK, 1), muted=STATE.devices[Kind.SINK, 1].muted),
    MoveStream(key=(Kind.PLAYBACK, 10), device=1),
)


@pytest.mark.parametrize("command", STAYS)
def test_what_changes_nothing_is_no_step(command: Command) -> None:
    """As a key at the end of the scale, after which what was before it is to be undone."""
    nothing = step_of(STATE, {}, Plan(commands=(command,)), "key", 2.0)
    assert recorded((step(1.0),), nothing) == (step(1.0),)


def test_nor_is_what_was_asked_for_already_and_is_on_its_way() -> None:
    asked = SetVolume(key=(Kind.PLAYBACK, 10), channels=(0.3, 0.3))
    again = step_of(STATE, {slot_of(asked): asked}, Plan(commands=(asked,)), "key", 2.0)
    assert recorded((), again) == ()


def test_nor_is_a_wish_that_is_kept_already() -> None:
    state = state_of(sink(1), playback(10, device=1))
    (app,) = state.apps.values()
    wish = AppWanted(app_id=app.app_id, volume=app.volume, muted=app.muted)
    assert recorded((), step_of(state, {}, Plan(wishes=(wish,)), "key", 2.0)) == ()


def test_of_what_changes_in_part_all_is_taken_back() -> None:
    """Since what is at its goal now may be led on by the next step of the same drag."""
    state, app = state_of(sink(1), playback(10, device=1), playback(11, volume=0.3, device=1)), "slider"
    steps: tuple[Step, ...] = ()
    for at, volume in ((1.0, 0.3), (1.5, 0.4)):
        commands = tuple(SetVolume(key=(Kind.PLAYBACK, i), channels=(volume, volume)) for i in (10, 11))
        steps = recorded(steps, step_of(state, {}, Plan(commands=commands), app, at))
    _, plan, count = undone(state, steps, 1)
    assert count == 1
    assert [c.channels for c in plan.commands if isinstance(c, SetVolume)] == [(0.5, 0.5), (0.3, 0.3)]


def test_a_drag_that_rests_for_a_while_is_one_step_all_the_same() -> None:
    steps: tuple[Step, ...] = (step(1.0),)
    for at in (1.8, 2.6):
        rests = SetVolume(key=(Kind.PLAYBACK, 10), channels=STATE.streams[Kind.PLAYBACK, 10].channels)
        steps = recorded(steps, step_of(STATE, {}, Plan(commands=(rests,)), "slider", at))
    assert len(recorded(steps, step(3.4))) == 1


def test_the_last_hundred_steps_are_kept() -> None:
    steps: tuple[Step, ...] = ()
    for number in range(120):
        steps = recorded(steps, step(10.0 * number))
    assert [s.at for s in steps] == [10.0 * number for number in range(20, 120)]
    assert STEPS == 100
    rest, _, count = undone(STATE, steps, 1000)
    assert (rest, count) == ((), 100)


def test_a_move_from_a_device_that_has_gone_since_is_left_out() -> None:
    steps: tuple[Step, ...] = ()
    for number, (before, after) in enumerate(((1, 2), (2, 3))):
        was = state_of(sink(1), sink(2, "headset"), sink(3, "screen"), playback(10, device=before))
        move = MoveStream(key=(Kind.PLAYBACK, 10), device=after)
        steps = recorded(steps, step_of(was, {}, Plan(commands=(move,)), "key", 10.0 * number))
    _, plan, _ = undone(state_of(sink(2, "headset"), sink(3, "screen"), playback(10, device=3)), steps, 2)
    assert plan.commands == (MoveStream(key=(Kind.PLAYBACK, 10), device=2),)
    _, plan, count = undone(state_of(sink(1), sink(3, "screen"), playback(10, device=3)), steps, 1)
    assert (plan, count) == (Plan(), 1)


def test_a_card_is_not_taken_for_a_stream_that_has_gone() -> None:
    _, plan, _ = undone(state_of(sink(1), card(10)), (step(1.0),), 1)
    assert plan.commands == ()


WORLD = state_of(
    sink(1, active_port="headphones"),
    sink(3, "headset"),
    playback(10, device=1),
    card(7, active_profile="stereo"),
)
SINK, CARD = (Kind.SINK, 1), (Kind.CARD, 7)


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        (SetVolume(key=SINK, channels=(0.9, 0.9)), SetVolume(key=SINK, channels=(0.5, 0.5))),
        (SetMuted(key=SINK, muted=True), SetMuted(key=SINK, muted=False)),
        (SetMuted(key=(Kind.PLAYBACK, 10), muted=True), SetMuted(key=(Kind.PLAYBACK, 10), muted=False)),
        (MoveStream(key=(Kind.PLAYBACK, 10), device=3), MoveStream(key=(Kind.PLAYBACK, 10), device=1)),
        (SetDefault(key=(Kind.SINK, 3), name="headset"), SetDefault(key=SINK, name="speakers")),
        (SetPort(key=SINK, port="line"), SetPort(key=SINK, port="headphones")),
        (SetProfile(key=CARD, profile="off"), SetProfile(key=CARD, profile="stereo")),
        # Where there is nothing to go back to, there is no step.
        (SetPort(key=(Kind.SINK, 3), port="line"), None),
        (SetProfile(key=(Kind.CARD, 8), profile="off"), None),
        (MoveStream(key=(Kind.PLAYBACK, 11), device=3), None),
        (SetMuted(key=(Kind.PLAYBACK, 11), muted=True), None),
    ],
)
def test_each_request_has_its_way_back(asked: Command, back: Command | None) -> None:
    steps = recorded((), step_of(WORLD, {}, Plan(commands=(asked,)), "key", 1.0))
    rest, plan, count = undone(WORLD, steps, 1)
    assert (rest, plan.commands, count) == (((), (back,), 1) if back is not None else ((), (), 0))
