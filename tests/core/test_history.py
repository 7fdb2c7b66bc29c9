"""What a person can take back: which requests are one step, and how many steps are kept."""

import pytest
from build import card, playback, sink, state_of

from pwmixer_dbus.core.commands import MoveStream, SetVolume
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
