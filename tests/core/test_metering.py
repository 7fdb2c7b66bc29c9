"""What a meter measures: targets to taps, and back to frames."""

import math
import struct
from collections.abc import Sequence
from functools import partial

import pytest
from build import (
    MUSIC,
    after,
    app,
    capture,
    card,
    no_parents,
    playback,
    server,
    sink,
    source,
    state_of,
    stream,
)

from pwmixer_dbus.core.errors import (
    InvalidArgumentError,
    LimitsExceededError,
    NotFoundError,
    NotSupportedError,
)
from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.metering import (
    TARGETS,
    Resolve,
    Tap,
    concerns,
    followed,
    frame,
    loudest,
    planned,
    rate_of,
)
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import resolve
from pwmixer_dbus.core.state import Change, MixerState

FRONT = ("front-left", "front-right")
STATE = state_of(
    server(),
    sink(1, positions=FRONT),
    sink(3, "headset"),
    source(2),
    playback(10, device=1, positions=FRONT),
    playback(11, device=1),
    capture(20, device=2),
)
SPEAKERS = Tap(kind=Kind.SINK, index=1, source="speakers.monitor", positions=FRONT)
HEADSET = Tap(kind=Kind.SINK, index=3, source="headset.monitor")
MICROPHONE = Tap(kind=Kind.SOURCE, index=2, source="microphone")
FIRST, SECOND = Tap(kind=Kind.PLAYBACK, index=10, positions=FRONT), Tap(kind=Kind.PLAYBACK, index=11)


def within(state: MixerState) -> Resolve:
    return lambda selector: resolve(state, selector, no_parents)


def plan(state: MixerState, *selectors: str) -> list[set[Tap] | None]:
    return [taps if taps is None else set(taps) for taps in planned(state, selectors, within(state))]


def follow(*selectors: str, state: MixerState = STATE) -> Sequence[str]:
    return followed(selectors, within(state))


def test_a_sink_is_its_monitor_a_source_itself_and_an_application_its_playback_streams() -> None:
    first = f"stream:{stream(STATE).number}"
    assert plan(STATE, "@sink", "sink:headset", "@source", "app:music", first) == [
        {SPEAKERS},
        {HEADSET},
        {MICROPHONE},
        {FIRST, SECOND},
        {FIRST},
    ]


def test_what_was_named_is_followed_as_that_object_and_the_rest_as_whatever_it_means() -> None:
    assert follow("app:music", "sink:SPEAKERS") == (f"app:{MUSIC}", "sink:speakers")
    for selector in ("@sink", "@source", "sink:*", "app:mus*"):
        assert follow(selector) == (selector,)
    other = after(STATE, Seen(record=server(default_sink="headset")))
    assert plan(other, "@sink") == [{HEADSET}]


def test_what_is_not_there_is_absent_and_what_does_not_play_is_silent() -> None:
    gone = after(
        STATE,
        Gone(kind=Kind.PLAYBACK, index=10),
        Gone(kind=Kind.PLAYBACK, index=11),
        Gone(kind=Kind.SINK, index=3),
    )
    number = stream(STATE).number
    assert plan(gone, f"app:{MUSIC}", f"stream:{number}", "sink:headset") == [set(), None, None]
    assert plan(after(STATE, Disconnected(reason="a test")), "@sink", "app:music") == [None, None]


def test_a_source_is_recorded_for_nobody_who_has_not_named_it() -> None:
    with pytest.raises(InvalidArgumentError, match="only recorded when it is named"):
        follow("source:*")
    assert follow("source:microphone", "source:Microphone") == ("source:microphone",) * 2
    assert {tap.kind for taps in plan(STATE, "app:*", "stream:*", "sink:*") if taps for tap in taps} == {
        Kind.PLAYBACK,
        Kind.SINK,
    }
    with pytest.raises(NotSupportedError, match="only what plays"):
        follow(f"stream:{STATE.streams[Kind.CAPTURE, 20].number}")
    with pytest.raises(NotSupportedError, match="card:card0 has no level"):
        follow("card:card0", state=after(STATE, Seen(record=card())))


@pytest.mark.parametrize(
    ("selectors", "error"),
    [
        ([], InvalidArgumentError),
        (["@sink"] * (TARGETS + 1), LimitsExceededError),
        (["app:nobody"], NotFoundError),
        (["everything"], InvalidArgumentError),
    ],
)
def test_what_can_never_be_or_is_not_now_is_refused(selectors: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        follow(*selectors)


def test_the_loudest_of_what_a_target_means_counts() -> None:
    taps = planned(STATE, ("app:music", "@sink", "stream:999"), within(STATE))
    levels = loudest(taps, {FIRST: 0.25, SECOND: 0.5})
    assert levels[:2] == [0.5, 0.0]
    assert math.isnan(levels[2])
    numbers = struct.unpack("<3f", frame(levels))
    assert numbers[:2] == (0.5, 0.0)
    assert math.isnan(numbers[2])


def test_a_frame_of_the_same_levels_is_the_same_even_without_a_number() -> None:
    assert frame([0.5, math.nan]) == frame([0.5, math.nan])


@pytest.mark.parametrize(
    ("asked", "rate"), [(0.0, 1.0), (-5.0, 1.0), (30.0, 30.0), (1e9, 60.0), (math.inf, 60.0)]
)
def test_a_rate_is_the_nearest_that_can_be_had(asked: float, rate: float) -> None:
    assert rate_of(asked) == rate


def test_a_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="number of frames"):
        rate_of(math.nan)


def test_a_volume_is_no_reason_to_look_anew_and_what_comes_goes_or_becomes_the_default_is() -> None:
    playing, louder = playback(10), playback(10, volume=0.7)
    change = partial(Change, kind=Kind.PLAYBACK)
    assert not concerns(change(before=playing, after=louder))
    assert not concerns(Change(kind=Kind.SINK, before=sink(), after=sink(volume=0.9)))
    assert concerns(change(before=None, after=playing))
    assert concerns(change(before=playing, after=None))
    assert concerns(Change(kind=Kind.SINK, before=sink(), after=sink(7)))
    assert concerns(Change(kind=Kind.SERVER, before=server(), after=server("headset")))
    known = app(STATE)
    assert concerns(Change(kind=Kind.APP, before=app(state_of(playback(10))), after=known))
    assert not concerns(Change(kind=Kind.APP, before=known, after=known))
