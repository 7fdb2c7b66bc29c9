"""Ramps: they begin and end where they should, never turn back, keep the balance, and know their own steps again."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.fading import (
    LEAST,
    LONGEST,
    STEP,
    Ramp,
    Trail,
    at,
    distance,
    interval,
    is_step,
    sent,
    shown,
)

VOLUMES = st.floats(0.0, 1.5).map(lambda v: round(v, 4))
CHANNELS = st.lists(st.tuples(VOLUMES, VOLUMES), min_size=1, max_size=8)
FEW = settings(max_examples=20)
"""For those that take every step of a ramp, a thousand or more."""

SECONDS = st.floats(0.0, LONGEST)


def ramp(
    begin: tuple[float, ...] = (1.0, 0.5), end: tuple[float, ...] = (0.2, 0.1), seconds: float = 2.0
) -> Ramp:
    return Ramp(begin=begin, end=end, begins_at=10.0, ends_at=10.0 + seconds)


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    begin, end = zip(*draw(CHANNELS), strict=True)
    return ramp(tuple(begin), tuple(end), draw(SECONDS))


def walk(way: Ramp) -> list[gain.Channels]:
    """Take the steps that a timer would, at most a thousand and one of them."""
    pause = interval(way)
    count = int((way.ends_at - way.begins_at) / pause)
    return [at(way, way.begins_at + i * pause) for i in range(count + 1)] + [at(way, way.ends_at)]


# --- where it is


def test_halfway_in_time_is_halfway_on_the_cubic_scale() -> None:
    assert at(ramp(), 11.0) == (0.6, 0.3)


def test_it_stays_where_it_begins_and_where_it_ends() -> None:
    assert at(ramp(), 0.0) == (1.0, 0.5)
    assert at(ramp(), 99.0) == (0.2, 0.1)


def test_one_that_takes_no_time_is_over() -> None:
    assert at(ramp(seconds=0.0), 10.0) == (0.2, 0.1)


@FEW
@given(ramps())
def test_it_goes_from_its_begin_to_its_end_and_never_back(way: Ramp) -> None:
    steps = walk(way)
    assert distance(steps[0], way.begin) < LEAST or way.begins_at == way.ends_at
    assert steps[-1] == way.end
    for begin, end, *path in zip(way.begin, way.end, *steps, strict=True):
        assert path == sorted(path, reverse=begin > end)
        assert all(min(begin, end) <= volume <= max(begin, end) for volume in path)


@given(st.lists(VOLUMES, min_size=1, max_size=8), VOLUMES, st.floats(0.0, 1.0))
def test_on_the_way_the_balance_is_kept(channels: list[float], volume: float, part: float) -> None:
    begin = tuple(channels)
    way = ramp(begin, gain.with_level(begin, volume))
    now = at(way, 10.0 + 2 * part)
    expected = gain.with_level(begin, gain.level(now)) if any(begin) else now
    assert distance(now, expected) <= 0.0002


# --- how often it moves


@given(ramps())
def test_it_moves_at_most_sixty_times_a_second_and_a_fifteen_hundred_times_in_all(way: Ramp) -> None:
    assert interval(way) >= STEP > 1 / 60
    assert (way.ends_at - way.begins_at) / interval(way) <= 1500 + 1e-6


@FEW
@given(ramps())
def test_each_step_is_worth_a_command_and_none_is_coarser_than_it_has_to_be(way: Ramp) -> None:
    steps = walk(way)[:-1]
    for one, other in pairwise(steps):
        if distance(way.begin, way.end) > 2 * LEAST:
            assert is_step(one, other)
        if interval(way) > STEP:
            assert distance(one, other) <= LEAST + 0.0002


def test_a_fade_of_an_hour_wakes_nobody_fifty_times_a_second() -> None:
    assert interval(ramp((0.5,), (0.0,), LONGEST)) == LONGEST * LEAST / 0.5


# --- whose value is it


def test_what_is_shown_of_it_late_or_not_at_all_is_its_own() -> None:
    trail = Trail(steps=((0.5,),))
    for volume in (0.4, 0.3, 0.2):
        trail = sent(trail, (volume,))
    still = shown(trail, (0.3001,))
    assert still == Trail(steps=((0.3,), (0.2,)), is_exact=True)


def test_a_value_that_was_passed_is_somebody_elses() -> None:
    trail = shown(sent(sent(Trail(steps=((0.5,),)), (0.4,)), (0.3,)), (0.3,))
    assert trail is not None
    assert shown(trail, (0.4,)) is None


def test_another_balance_or_another_number_of_channels_is_somebody_elses() -> None:
    trail = Trail(steps=((0.5, 0.5), (0.4, 0.4)), is_exact=True)
    assert shown(trail, (0.4, 0.2)) is None
    assert shown(trail, (0.4,)) is None


def test_a_device_that_knows_only_some_volumes_is_followed_until_it_proves_exact() -> None:
    trail = Trail(steps=((0.5,), (0.48,)))
    assert shown(trail, (0.46 + gain.NEAR / 10,)) is trail
    assert shown(trail, (0.4,)) is None
    exact = shown(trail, (0.48,))
    assert exact is not None
    assert shown(exact, (0.47,)) is None


@FEW
@given(ramps())
def test_all_steps_of_it_are_its_own_in_their_order(way: Ramp) -> None:
    trail: Trail | None = Trail(steps=(way.begin,))
    steps = walk(way)
    for step in steps:
        assert trail is not None
        trail = sent(trail, step)
    for step in steps:
        assert trail is not None
        trail = shown(trail, step)
    assert trail is not None
    assert distance(trail.steps[0], way.end) < LEAST
