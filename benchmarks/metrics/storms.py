"""What a thousand notices a second cost the processor: over a hundred streams, on one slider, and by one that is moved on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from benchmarks.figures import Line, lines
from benchmarks.rig import LIMIT, LONGEST, NAME, Bench, Length, opened, processor_time

STREAMS, RATE = 100, 1000
PART = 2.0
"""Seconds, about, of each part of a storm; several of them tell how far the figures spread."""

SETTLED = 0.7
"""Seconds after which the session manager has followed."""


async def storms(length: Length) -> list[Line]:
    """Have another program set volumes, and one call SetVolume; what changes is fetched and signalled by both services."""
    async with opened(length, min(STREAMS, length.most_streams)) as bench:
        pids = {LIMIT: bench.limit.pid, NAME: bench.service.pid}
        found = []
        for what, indexes in (("many streams", bench.indexes()), ("one slider", bench.indexes(1))):
            shares = await _shares(length, pids, partial(_flood, bench, indexes))
            found += lines(f"storm: notices of {what}", "%", _named(shares))
        targets = {LIMIT: f"stream:{bench.indexes()[0]}", NAME: bench.streams[0]["selector"]}
        shares = {}
        for name, target in targets.items():
            shares |= await _shares(length, {name: pids[name]}, partial(_slide, bench, name, target))
        return [*found, *lines("storm: calls of one slider", "%", _named(shares))]


def _named(shares: dict[str, list[float]]) -> dict[str, list[float]]:
    return {"a service in C": shares[LIMIT], "pwmixer": shares[NAME]}


async def _flood(bench: Bench, indexes: list[int], seconds: float) -> None:
    await bench.caller.ask("flood", RATE, seconds, *indexes, longest=seconds + 2 * LONGEST)


async def _slide(bench: Bench, name: str, target: str, seconds: float) -> None:
    await bench.caller.ask("slide", name, RATE, seconds, target, longest=seconds + 2 * LONGEST)


async def _shares(
    length: Length, pids: dict[str, int], storm: Callable[[float], Awaitable[None]]
) -> dict[str, list[float]]:
    """Return what share of a processor each process used in each part of a storm, with what it did for it afterwards."""
    samples: dict[str, list[float]] = {name: [] for name in pids}
    parts = max(1, round(length.flood / PART))
    seconds = length.flood / parts
    for _ in range(parts):
        before = {name: processor_time(pid) for name, pid in pids.items()}
        await storm(seconds)
        await asyncio.sleep(SETTLED)
        for name, pid in pids.items():
            samples[name].append(100 * (processor_time(pid) - before[name]) / seconds)
    return samples
