"""Meters on a loop whose time jumps: when levels are read, what is told, and that nothing runs when nothing comes."""

import asyncio
import math
import struct
from collections.abc import Callable, Mapping

import pytest
from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.core.errors import NotFoundError
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.metering import Tap
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import resolve
from pwmixer_dbus.meters import HELD, RESTING, Meters

PERIOD = 1 / 30


class Levels:
    """The taps: what has come of each, until it is read."""

    def __init__(self, on_data: Callable[[], None]) -> None:
        self.on_data = on_data
        self.wanted: set[tuple[Kind, int]] = set()
        self.come: dict[Tap, float] = {}
        self.taps: dict[tuple[Kind, int], Tap] = {}
        self.reads = 0
        self.is_resting = True
        self.is_closed = False

    def follow(self, wanted: frozenset[Tap]) -> None:
        self.taps = {(tap.kind, tap.index): tap for tap in wanted}
        self.wanted = set(self.taps)

    def read(self) -> Mapping[Tap, float]:
        self.reads += 1
        self.is_resting = False
        come, self.come = self.come, {}
        return come

    def rest(self) -> None:
        self.is_resting = True

    def close(self) -> None:
        self.is_closed = True

    def hear(self, kind: Kind, index: int, level: float) -> None:
        """Let something come from the server."""
        self.come[self.taps[kind, index]] = level
        if self.is_resting:
            self.on_data()


class Display:
    """Meters on a desk, and what the one that is open was told."""

    def __init__(self, desk: Desk, *selectors: str, rate: float = 30.0) -> None:
        self.made: list[Levels] = []
        self.frames: list[tuple[float, ...]] = []
        self.meters = Meters(
            desk.mixer,
            lambda selector: resolve(desk.mixer.state, selector, lambda _: None),
            self._make,
        )
        self.meter = self.meters.open(selectors, rate, self._deliver)

    def _make(self, on_data: Callable[[], None]) -> Levels:
        self.made.append(Levels(on_data))
        return self.made[-1]

    def _deliver(self, frame: bytes) -> None:
        self.frames.append(struct.unpack(f"<{len(frame) // 4}f", frame))

    @property
    def levels(self) -> Levels:
        return self.made[-1]


def timers() -> int:
    """Count the timers that the loop has."""
    loop = asyncio.get_running_loop()
    return sum(not timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]


@on_a_desk
async def test_the_first_frame_comes_at_once_and_then_one_for_each_change(desk: Desk) -> None:
    display = Display(desk, "@sink", "app:music", "sink:sink3")
    assert display.frames == [(0.0, 0.0, 0.0)]
    assert display.levels.wanted == {(Kind.SINK, 1), (Kind.SINK, 3), (Kind.PLAYBACK, 10)}
    for level in (0.5, 0.5, 0.25):
        display.levels.hear(Kind.SINK, 1, level)
        await asyncio.sleep(PERIOD)
    assert display.frames[1:] == [(0.5, 0.0, 0.0), (0.25, 0.0, 0.0)]


@on_a_desk
async def test_what_nothing_follows_falls_silent_and_then_nothing_runs_until_something_comes(
    desk: Desk,
) -> None:
    display = Display(desk, "@sink")
    before = timers()
    display.levels.hear(Kind.SINK, 1, 0.5)
    await asyncio.sleep(HELD / 2)
    assert display.frames == [(0.0,), (0.5,)]
    await asyncio.sleep(RESTING + HELD)
    assert display.frames == [(0.0,), (0.5,), (0.0,)]
    assert display.levels.is_resting
    assert timers() == before
    reads = display.levels.reads
    await asyncio.sleep(100)
    assert display.levels.reads == reads
    display.levels.hear(Kind.SINK, 1, 0.25)
    assert display.frames[3:] == [(0.25,)]


@on_a_desk
async def test_a_slow_meter_beside_a_fast_one_shows_the_loudest_since_its_last_frame(desk: Desk) -> None:
    display, slow = Display(desk, "@sink", rate=60.0), list[bytes]()
    display.meters.open(["@sink"], 1.0, slow.append)
    for number in range(120):
        display.levels.hear(Kind.SINK, 1, 0.875 if number == 20 else 0.125)
        await asyncio.sleep(1 / 60)
    told = [struct.unpack("<f", frame)[0] for frame in slow]
    assert told[0] == 0.0
    assert 0.875 in told
    assert len(told) <= 4
    assert len(display.frames) == 4, "silent, quiet, loud and quiet again"


@on_a_desk
async def test_streams_that_come_and_go_are_followed_and_what_is_gone_is_told_without_a_sound(
    desk: Desk,
) -> None:
    first = desk.mixer.state.streams[Kind.PLAYBACK, 10]
    display = Display(desk, "app:music", f"stream:{first.number}")
    display.levels.hear(Kind.PLAYBACK, 10, 0.5)
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    await asyncio.sleep(0)
    assert display.levels.wanted == {(Kind.PLAYBACK, 10), (Kind.PLAYBACK, 11)}
    await asyncio.sleep(RESTING + HELD + PERIOD)
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    await asyncio.sleep(0)
    assert display.levels.is_resting
    assert display.levels.wanted == {(Kind.PLAYBACK, 11)}
    assert display.frames[-1][0] == 0.0
    assert math.isnan(display.frames[-1][1])


@on_a_desk
async def test_volumes_are_no_reason_to_look_anew(desk: Desk) -> None:
    display = Display(desk, "@sink")
    looks = list[str]()
    display.meters._resolve = lambda selector: looks.append(selector) or ()  # type: ignore[func-returns-value]
    for volume in (0.1, 0.2, 0.3):
        desk.show(volume=volume)
        await asyncio.sleep(0.1)
    assert looks == []


@on_a_desk
async def test_two_share_what_both_look_at_and_the_last_one_takes_everything_along(desk: Desk) -> None:
    display = Display(desk, "@sink")
    other = display.meters.open(["sink:sink1", "sink:sink3"], 30.0, lambda _: None)
    assert len(display.made) == 1
    assert display.levels.wanted == {(Kind.SINK, 1), (Kind.SINK, 3)}
    display.meters.close(other)
    assert display.levels.wanted == {(Kind.SINK, 1)}
    before = timers()
    await asyncio.sleep(PERIOD)
    display.levels.hear(Kind.SINK, 1, 0.5)
    assert timers() == before + 1
    display.meters.close(display.meter)
    assert display.levels.is_closed
    assert timers() == before
    desk.mixer.on_event(Seen(record=stream(12, device=1)))
    await asyncio.sleep(1.0)
    assert display.frames == [(0.0,), (0.5,)]


@on_a_desk
async def test_one_that_is_refused_leaves_nothing(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        Display(desk, "app:nobody")
    assert timers() == 0


@on_a_desk
async def test_of_a_meter_that_could_not_be_opened_nothing_is_left(desk: Desk) -> None:
    def refuse(_on_data: Callable[[], None]) -> Levels:
        raise OSError("no descriptor is left")

    told: list[bytes] = []
    meters = Meters(desk.mixer, lambda s: resolve(desk.mixer.state, s, lambda _: None), refuse)
    with pytest.raises(OSError, match="descriptor"):
        meters.open(["@sink"], 30.0, told.append)
    meters._open_taps = Levels
    meter = meters.open(["@sink"], 30.0, lambda _: None)
    assert told == []
    meters.close(meter)
    assert meters._taps is None
