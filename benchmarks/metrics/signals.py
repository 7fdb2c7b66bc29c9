"""Signals in number: from a notice until they are sent, and as many as can be to one receiver."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from session import SessionError

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.programs import Caller
from benchmarks.rig import LIMIT, LONGEST, PLAIN, Bench, delays_of

BURST = 20_000
RATE = 1000
STORM = 3.0
"""Seconds: the service keeps its last 4096 events, which are those of about one second at this rate."""

EMITTER = (sys.executable, "-m", "benchmarks.emitter")


async def signals(bench: Bench) -> list[Line]:
    """Measure both."""
    return [*await notice_to_signal(bench), *await burst(bench)]


async def notice_to_signal(bench: Bench) -> list[Line]:
    """Read from each service's own notes how long its signals take at a thousand notices a second."""
    samples: dict[str, list[float]] = {
        IN_C: [],
        IN_PYTHON: [],
        "notice to signal sent": [],
        "notice to state": [],
        BESIDE_PLAIN: [],
    }
    await delays_of(LIMIT, bench.bus)
    for _ in range(max(1, bench.length.starts // 6)):
        await _flood(bench)
        for what, values in spans(json.loads(await bench.verb("Trace", {}))).items():
            samples[what] += values
        samples[IN_C] += (await delays_of(LIMIT, bench.bus))[0]
        async with bench.plain_at_work():
            for name in (LIMIT, PLAIN):  # from when it came to work
                await delays_of(name, bench.bus)
            await _flood(bench)
            for what, name in ((BESIDE_PLAIN, LIMIT), (IN_PYTHON, PLAIN)):
                samples[what] += (await delays_of(name, bench.bus))[0]
        await delays_of(LIMIT, bench.bus)
    return lines("notice to signal", "ms", samples)


async def _flood(bench: Bench) -> None:
    seconds = min(STORM, bench.length.flood)
    await bench.caller.ask("flood", RATE, seconds, *bench.indexes(), longest=4 * LONGEST)


def spans(events: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the milliseconds from the first notice of an object until it was signalled, and until it was looked at."""
    noticed: dict[str, float] = {}
    found: dict[str, list[float]] = {"notice to signal sent": [], "notice to state": []}
    known: set[str] = set()
    for event in events:
        name = event["object"]
        if not name.startswith("stream:"):
            continue
        if event["what"] == "notice":
            noticed.setdefault(name, event["time"])
        elif event["what"] == "signal" and name in noticed:
            found["notice to signal sent"].append(1000 * (event["time"] - noticed.pop(name)))
            known.discard(name)
        elif event["what"] == "changed" and name in noticed and name not in known:
            known.add(name)
            found["notice to state"].append(1000 * (event["time"] - noticed[name]))
        elif event["what"] == "fetched" and name not in known:
            noticed.pop(name, None)  # it was as before
    return found


async def burst(bench: Bench) -> list[Line]:
    """Send twenty thousand signals as fast as can be to one receiver, by sd-bus in C and by our connection."""
    receiver = await Caller.start(bench.folder, bench.session.env)
    rates: dict[str, list[float]] = {"sd-bus in C": [], "pwmixer's connection": []}
    for _ in range(max(1, bench.length.starts // 6)):
        for what, values in rates.items():
            receiver.tell("receive", BURST)
            if await receiver.line() != "listening":
                raise SessionError("the receiver does not listen")
            started = await (_emitted_in_c(bench) if what == "sd-bus in C" else _emitted_by_ours(bench))
            (ended,) = await receiver.figures("receive", longest=4 * LONGEST)
            values.append(BURST / (ended - started) * 1000)
    await receiver.end()
    return lines("signals to one receiver", "k/s", rates)


async def _emitted_in_c(bench: Bench) -> float:
    (started,) = await bench.caller.ask("emit", BURST)
    return started


async def _emitted_by_ours(bench: Bench) -> float:
    """Return the moment of the first; the connection has to be alive after the last."""
    process = await asyncio.create_subprocess_exec(
        *EMITTER, str(BURST), env=bench.session.env, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 4 * LONGEST)
    if process.returncode:
        raise SessionError("the connection did not survive the burst")
    return float(said)
