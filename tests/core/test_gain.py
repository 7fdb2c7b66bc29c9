"""Arithmetic on volumes: what a person hears must follow what was asked, whatever the channels are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.errors import InvalidArgumentError

VOLUMES = st.floats(0.0, 1.5).map(lambda v: round(v, 4))
CHANNELS = st.lists(VOLUMES, min_size=1, max_size=8).map(tuple)


def test_the_level_is_that_of_the_loudest_channel() -> None:
    assert gain.level((0.2, 0.7)) == 0.7
    assert gain.level(()) == 0.0


def test_balance_is_kept_as_a_ratio() -> None:
    assert gain.with_level((0.4, 0.8), 0.4) == (0.2, 0.4)
    assert gain.with_level((0.0, 0.5), 1.0) == (0.0, 1.0)


def test_from_silence_all_channels_are_equal() -> None:
    assert gain.with_level((0.0, 0.0, 0.0), 0.3) == (0.3, 0.3, 0.3)
    assert gain.with_level((), 0.3) == ()


@given(CHANNELS, VOLUMES)
def test_the_loudest_channel_gets_what_was_asked(channels: tuple[float, ...], volume: float) -> None:
    scaled = gain.with_level(channels, volume)
    assert len(scaled) == len(channels)
    assert gain.level(scaled) == volume
    assert all(0.0 <= c <= volume for c in scaled)


@given(CHANNELS, VOLUMES)
def test_no_channel_overtakes_another(channels: tuple[float, ...], volume: float) -> None:
    scaled = gain.with_level(channels, volume)
    order = sorted(range(len(channels)), key=channels.__getitem__)
    assert [scaled[i] for i in order] == sorted(scaled)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_with_an_example(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"A volume must be a finite number, such as 0.5 .*\.$"):
        gain.checked(value, "A volume")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_rounded_to_four_digits(value: float) -> None:
    assert math.isclose(gain.checked(value, "A volume"), value, rel_tol=1e-9, abs_tol=0.00005001)


@pytest.mark.parametrize("value", [-0.0, -0.00001, 0.3 - (0.1 + 0.2)])
def test_a_zero_has_no_sign(value: float) -> None:
    assert str(gain.checked(value, "A volume")) == "0.0"


@pytest.mark.parametrize(
    ("wanted", "current", "effective", "reason"),
    [
        (0.5, 0.2, 0.5, ""),
        (1.0, 0.2, 1.0, ""),
        (1.2, 0.2, 1.0, "above the limit of 100%"),
        (-0.1, 0.2, 0.0, "below 0 %"),
        (1.2, 1.3, 1.2, ""),  # another program raised it: it may fall as far as one likes
        (1.3, 1.3, 1.3, ""),
        (1.4, 1.3, 1.3, "above the limit of 100%"),
    ],
)
def test_a_volume_is_brought_into_range_with_the_reason(
    wanted: float, current: float, effective: float, reason: str
) -> None:
    assert gain.limited(wanted, 1.0, current) == (effective, reason)


@given(st.floats(-2, 10), VOLUMES, st.floats(0, 2))
def test_a_limit_never_raises_what_is_above_it_and_never_lowers_it_on_the_way_up(
    wanted: float, limit: float, current: float
) -> None:
    effective, reason = gain.limited(wanted, limit, current)
    assert 0.0 <= effective <= max(limit, current)
    assert bool(reason) is (effective != wanted)
    if wanted >= current:
        assert effective >= min(current, wanted)


def test_the_way_through_the_server_changes_no_volume() -> None:
    assert gain.same(0.3333, 0.3334)
    assert not gain.same(0.33, 0.34)
