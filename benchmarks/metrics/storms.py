"""What a thousand notices a second cost the processor: over a hundred streams, on one slider, and by one that is moved on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.figures import Line, lines
from benchmarks.rig import LIMIT, LONGEST, NAME, Bench, Length, opened, processor_time

STREAMS, RATE = 100, 1000
PARTS = 5
"""Into which a storm is divided, so that its figures have a spread."""

SETTLED = 1.0
"""Seconds after which the session manager has followed."""


async def storms(length: Length) -> list[Line]:
    """Have another program set volumes, and one call SetVolume; each is fetched and signalled by both services."""
    async with opened(length, min(STREAMS, length.most_streams)) as bench:
        part = length.flood / PARTS
        stream = bench.streams[0]
        kinds: dict[str, Callable[[], Awaitable[object]]] = {
            f"notices of {len(bench.streams)} streams": lambda: _flood(bench, part, bench.indexes()),
            "notices of one slider": lambda: _flood(bench, part, bench.indexes(1)),
        }
        found = []
        for kind, storm in kinds.items():
            pids = {"a service in C": bench.limit.pid, "pwmixer": bench.service.pid}
            found += lines(f"storm: {kind}", "%", await _shares(pids, storm, part))
        samples = {
            "a service in C": await _slid(bench, bench.limit.pid, LIMIT, f"stream:{stream['index']}", part),
            "pwmixer": await _slid(bench, bench.service.pid, NAME, stream["selector"], part),
        }
        return [*found, *lines("storm: calls of one slider", "%", samples)]


async def _flood(bench: Bench, seconds: float, indexes: list[int]) -> None:
    await bench.caller.ask("flood", RATE, seconds, *indexes, longest=seconds + 2 * LONGEST)


async def _slid(bench: Bench, pid: int, name: str, target: str, seconds: float) -> list[float]:
    async def slide() -> None:
        await bench.caller.ask("slide", name, RATE, seconds, target, longest=seconds + 2 * LONGEST)

    return (await _shares({name: pid}, slide, seconds))[name]


async def _shares(
    pids: dict[str, int], storm: Callable[[], Awaitable[object]], seconds: float
) -> dict[str, list[float]]:
    """Return what share of a processor each process used during each part of a storm, with what it did afterwards for it."""
    samples: dict[str, list[float]] = {what: [] for what in pids}
    for _ in range(PARTS):
        before = {what: processor_time(pid) for what, pid in pids.items()}
        await storm()
        await asyncio.sleep(SETTLED)
        for what, pid in pids.items():
            samples[what].append(100 * (processor_time(pid) - before[what]) / seconds)
    return samples
