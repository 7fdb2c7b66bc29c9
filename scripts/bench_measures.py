#!/usr/bin/env python3
"""What it costs that the service measures itself, always: processor time with and without it, side by side in one session.

Two services run on two buses and follow the same sound server; one has every method of `Measures` replaced by nothing.
In turns, each is asked for volumes of fifty streams. Then each method is timed by itself. Figures are for comparing.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import sys
import time
from itertools import cycle
from statistics import median
from timeit import repeat
from typing import Any

from bench import LONGEST, NAME, REST, ROOT, SERVICE, STREAMS, call, level_of
from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus
from session import Session

from pwmixer_dbus.core.commands import SetVolume
from pwmixer_dbus.core.events import Seen
from pwmixer_dbus.core.measures import Histogram, Measures
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.state import Change

BATCH = 50
"""Calls after which it is the other's turn."""

BATCHES, FEW = 40, 4
TIMED, REPEATS = 1000, 300

KEEP = ("__init__", "queue", "when_active", "no_longer", "cost_of", "cost_of_caller", "number", "events")
"""What makes no measurement, or returns what a caller works on."""


def unmeasured() -> None:
    """Run a service in which nothing is measured."""
    from pwmixer_dbus.core import measures  # noqa: PLC0415
    from pwmixer_dbus.daemon import main  # noqa: PLC0415

    cost = measures.Cost()
    for name, _ in inspect.getmembers(Measures, inspect.isfunction):
        if name not in KEEP:
            setattr(Measures, name, lambda *_, **__: 0.0)
    for name in ("cost_of", "cost_of_caller"):
        setattr(Measures, name, lambda *_: cost)
    measures.Queue.grew = lambda *_: None  # type: ignore[method-assign]
    sys.argv = ["pwmixer-dbus"]
    main()


async def side_by_side(batches: int) -> dict[str, list[float]]:
    """Return milliseconds of processor time for a call, for each batch, with and without measuring."""
    commands = {"measured": SERVICE, "unmeasured": (sys.executable, __file__, "--unmeasured")}
    samples: dict[str, list[float]] = {what: [] for what in commands}
    with Session() as session, Session(sound=False) as other:
        session.add_null_sink("speakers", "Speakers")
        for number in range(STREAMS):
            words = (f"--property=application.name=Program {number}", f"--property=media.name=Title {number}")
            session.spawn(f"player-{number}", "pacat", "--raw", "--playback", *words, "/dev/zero")
        session.wait_for(
            lambda: len(session.pactl("list", "short", "sink-inputs").splitlines()) == STREAMS,
            "all streams",
            timeout=30,
        )
        buses: dict[str, MessageBus] = {}
        pids: dict[str, int] = {}
        for (what, command), place in zip(commands.items(), (session, other), strict=True):
            env = {**place.env, "PULSE_SERVER": session.env["PULSE_SERVER"]}
            pids[what] = place.spawn("pwmixer", *command, env=env).pid
            address = env["DBUS_SESSION_BUS_ADDRESS"]
            buses[what] = await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()
            await ready(buses[what])
        streams = cycle(range(1, STREAMS + 1))
        for turn in range(batches + 1):
            for what in (*buses,) if turn % 2 else reversed((*buses,)):
                before = processor_time(pids[what])
                for step in range(BATCH):
                    volume = level_of(turn * BATCH + step)
                    await call(buses[what], ROOT, NAME, "SetVolume", f"stream:{next(streams)}", volume, {})
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
            answer = await bus.call(message("Describe", "a{sv}", {}))
            found = answer.body[0] if answer is not None and answer.body else ""
            if found.startswith("{") and len(json.loads(found)["streams"]) == STREAMS:
                return
            await asyncio.sleep(0.05)


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used, by its clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def message(member: str, signature: str = "", *body: Any) -> Message:
    """Make a call of the root."""
    return Message(
        destination=NAME, path=ROOT, interface=NAME, member=member, signature=signature, body=[*body]
    )


def alone() -> dict[str, float]:
    """Return the microseconds that each single measurement takes, without what it takes to call nothing."""
    measures, histogram = Measures(time.monotonic), Histogram()
    key, command = (Kind.PLAYBACK, 7), SetVolume(key=(Kind.PLAYBACK, 7), channels=(0.5, 0.5))
    stream = Stream(kind=Kind.PLAYBACK, index=7)
    seen, change = Seen(record=stream), Change(kind=Kind.PLAYBACK, before=stream, after=stream)
    cost, changes = measures.cost_of(*key), (change,)
    ways = {
        "a delay in a histogram": lambda: histogram.add(0.0037),
        "a notice": lambda: measures.noticed(*key),
        "a look": lambda: measures.fetching(*key),
        "its end": lambda: measures.fetched(*key, failed=False),
        "an event": lambda: measures.applied(seen, changed=True),
        "its changes": lambda: measures.follow(changes),
        "that all have heard of it": lambda: measures.told(1.0, change),
        "a signal": lambda: measures.announced(stream, 1.0),
        "a call": lambda: measures.called(":1.5", "SetVolume"),
        "its answer": lambda: measures.answered("SetVolume", 1.0, failed=False),
        "a command": lambda: measures.commanded(command),
        "its end ": lambda: measures.finished(command, 1.0, failed=False),
        "what something costs": lambda: measures.end(measures.begin(), cost),
    }
    empty = min(repeat(lambda: None, number=TIMED, repeat=REPEATS))
    return {
        what: 1e6 * (min(repeat(way, number=TIMED, repeat=REPEATS)) - empty) / TIMED
        for what, way in ways.items()
    }


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few rounds, for a CI that asks whether it runs")
    parser.add_argument("--unmeasured", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.unmeasured:
        unmeasured()
        return 0
    samples = asyncio.run(side_by_side(FEW if options.short else BATCHES))
    with_it, without = (median(samples[what]) for what in ("measured", "unmeasured"))
    pairs = [a / b for a, b in zip(samples["measured"], samples["unmeasured"], strict=True)]
    count = BATCH * len(pairs)
    print(f"processor time of a SetVolume, {count} each in turns of {BATCH}, medians of the turns")
    print(f"  measured    {with_it:.3f} ms")
    print(
        f"  unmeasured  {without:.3f} ms   {with_it / without:.3f}x, median of the pairs {median(pairs):.3f}x"
    )
    print("\none measurement, the best of many")
    for what, microseconds in alone().items():
        print(f"  {what:26} {microseconds:5.2f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
