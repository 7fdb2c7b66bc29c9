"""What it costs that the service measures itself, always: processor time with and without it, side by side in one session.

Two services run on two buses and follow the same sound server; one has every method of `Measures` replaced by nothing.
In turns, each is asked for volumes of fifty streams. Then each method is timed by itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from timeit import repeat

from dbus_fast.aio import MessageBus
from session import Session, SessionError

from benchmarks.figures import Line, lines
from benchmarks.programs import built
from benchmarks.rig import (
    LONGEST,
    NAME,
    REST,
    ROOT,
    SERVICE,
    STREAMS,
    Crowd,
    Length,
    call,
    connected,
    level_of,
    processor_time,
)
from pwmixer_dbus.core.commands import SetVolume
from pwmixer_dbus.core.events import Seen
from pwmixer_dbus.core.measures import PENDING, Measures
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.tally import CHANGED, FETCHED, FETCHING, NOTICE, SIGNAL

BATCH = 50
"""Calls after which it is the other's turn."""

FEW = 2
REPEATS = 300

UNMEASURED = (sys.executable, str(Path(__file__).parent.parent / "unmeasured.py"))


async def statistics(length: Length) -> list[Line]:
    """Measure both."""
    samples = await side_by_side(max(FEW, length.rounds // 25))
    single = {what: [microseconds] for what, microseconds in alone().items()}
    return [
        *lines("statistics: a SetVolume", "ms", samples),
        *lines("statistics: one measurement", "us", single),
    ]


async def side_by_side(batches: int) -> dict[str, list[float]]:
    """Return milliseconds of processor time for a call, for each batch, with and without measuring."""
    commands = {"unmeasured": UNMEASURED, "measured": SERVICE}
    samples: dict[str, list[float]] = {what: [] for what in commands}
    with built() as folder, Session() as session, Session(sound=False) as other:
        session.add_null_sink("speakers", "Speakers")
        with Crowd(session, folder, STREAMS, playing=0):
            buses: dict[str, MessageBus] = {}
            pids: dict[str, int] = {}
            for (what, command), place in zip(commands.items(), (session, other), strict=True):
                env = {**place.env, "PULSE_SERVER": session.env["PULSE_SERVER"]}
                pids[what] = place.spawn("pwmixer", *command, env=env).pid
                buses[what] = await connected(env)
                await ready(buses[what])
            streams = cycle(range(1, STREAMS + 1))
            for turn in range(batches + 1):
                for what in (*buses,) if turn % 2 else reversed((*buses,)):
                    before = processor_time(pids[what])
                    for step in range(BATCH):
                        volume = level_of(turn * BATCH + step)
                        await call(
                            buses[what], ROOT, NAME, "SetVolume", f"stream:{next(streams)}", volume, {}
                        )
                    await asyncio.sleep(REST)
                    if turn:  # the first one warms up
                        samples[what].append(1000 * (processor_time(pids[what]) - before) / BATCH)
            for bus in buses.values():
                bus.disconnect()
    return samples


async def ready(bus: MessageBus) -> None:
    """Wait until a service knows all streams."""
    async with asyncio.timeout(4 * LONGEST):
        while True:
            with suppress(SessionError):  # it does not own its name yet
                if len(json.loads(await call(bus, ROOT, NAME, "Describe", {}))["streams"]) == STREAMS:
                    return
            await asyncio.sleep(0.05)


def alone() -> dict[str, float]:
    """Return the microseconds that it takes to note each thing, without what it takes to call nothing; and to count a note."""
    measures = Measures(time.monotonic)
    key, command = (Kind.PLAYBACK, 7), SetVolume(key=(Kind.PLAYBACK, 7), channels=(0.5, 0.5))
    seen = Seen(record=Stream(kind=Kind.PLAYBACK, index=7))
    ways: dict[str, Callable[[], object]] = {
        "a notice": lambda: measures.note(NOTICE, key),
        "a look": lambda: measures.note(FETCHING, key),
        "its end": lambda: measures.note(FETCHED, key, 1.0),
        "an event": lambda: measures.applied(seen, changed=True),
        "that all have heard of it": lambda: measures.note(CHANGED, key, 1.0),
        "a signal": lambda: measures.note(SIGNAL, key, 1.0),
        "what something costs": lambda: measures.spent(key, 1.0),
        "a call": lambda: measures.called(":1.5", "SetVolume"),
        "a command": lambda: measures.commanded(command, 1.0),
    }

    def timed(way: Callable[[], object], number: int, before: Callable[[], object]) -> float:
        return 1e6 * min(repeat(way, before, number=number, repeat=REPEATS)) / number

    def note_all() -> None:
        measures.counted()
        for _ in range(PENDING // len(ways)):
            for way in ways.values():
                way()

    empty = timed(lambda: None, PENDING, measures.counted)
    each = {what: timed(way, PENDING, measures.counted) - empty for what, way in ways.items()}
    return {**each, "counting one": timed(measures.counted, 1, note_all) / (PENDING // len(ways) * len(ways))}
