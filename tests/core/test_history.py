"""What a person can take back: which requests are one step, and how many steps are kept."""

import pytest
from build import playback, sink, state_of

from pwmixer_dbus.core.commands import SetVolume
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
