"""What a thousand notices a second cost the processor: over a hundred streams, on one slider, and by one that is moved on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.rig import (
    LIMIT,
    LONGEST,
    NAME,
    PLAIN,
    Bench,
    Length,
    opened,
    processor_time,
)

STREAMS, RATE = 100, 1000
PART = 2.0
"""Seconds, about, of each part of a storm; several of them tell how far the figures spread."""

SETTLED = 0.7
"""Seconds after which the session manager has followed."""


Storm = Callable[[float], Awaitable[None]]
"""A storm of so many seconds."""

Shares = dict[str, list[float]]
"""Samples by what was measured, in hundredths of a processor."""


async def storms(length: Length) -> list[Line]:
    """Have another program set volumes, and one call SetVolume; what changes is fetched and signalled by all services."""
    async with opened(length, min(STREAMS, length.most_streams)) as bench:
        found = []
        for what, indexes in (("many streams", bench.indexes()), ("one slider", bench.indexes(1))):
            flood = partial(_flood, bench, indexes)
            shares = await _in_turns(bench, flood)
            found += lines(f"storm: notices of {what}", "%", shares)
        shares = {IN_C: [], IN_PYTHON: [], "pwmixer": []}
        for _ in range(parts_of(length)):
            for what, name in ((IN_C, LIMIT), ("pwmixer", NAME)):
                await _share(bench, {what: name}, partial(_slide, bench, name), shares)
            async with bench.plain_at_work():
                await _share(bench, {IN_PYTHON: PLAIN}, partial(_slide, bench, PLAIN), shares)
        return [*found, *lines("storm: calls of one slider", "%", shares)]


async def _in_turns(bench: Bench, storm: Storm) -> Shares:
    """Measure the services in each part of a storm, ours and then the limit in Python in its place."""
    shares: Shares = {IN_C: [], IN_PYTHON: [], "pwmixer": [], BESIDE_PLAIN: []}
    for _ in range(parts_of(bench.length)):
        await _share(bench, {IN_C: LIMIT, "pwmixer": NAME}, storm, shares)
        async with bench.plain_at_work():
            await _share(bench, {BESIDE_PLAIN: LIMIT, IN_PYTHON: PLAIN}, storm, shares)
    return shares


def parts_of(length: Length) -> int:
    """Return how many parts a storm has."""
    return max(1, round(length.flood / PART))


async def _flood(bench: Bench, indexes: list[int], seconds: float) -> None:
    await bench.caller.ask("flood", RATE, seconds, *indexes, longest=seconds + 2 * LONGEST)


async def _slide(bench: Bench, name: str, seconds: float) -> None:
    target = bench.target(name, bench.streams[0])
    await bench.caller.ask("slide", name, RATE, seconds, target, longest=seconds + 2 * LONGEST)


async def _share(bench: Bench, names: Mapping[str, str], storm: Storm, shares: Shares) -> None:
    """Add what share of a processor each service used in a part of a storm, with what it did for it afterwards."""
    pids = {LIMIT: bench.limit.pid, PLAIN: bench.plain.pid, NAME: bench.service.pid}
    seconds = bench.length.flood / parts_of(bench.length)
    before = {what: processor_time(pids[name]) for what, name in names.items()}
    await storm(seconds)
    await asyncio.sleep(SETTLED)
    for what, name in names.items():
        shares[what].append(100 * (processor_time(pids[name]) - before[what]) / seconds)
