"""What stays in memory of what has come and gone: of commands, of notices, and of clients."""

from __future__ import annotations

import asyncio
import math
import mmap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from session import SessionError

from benchmarks.figures import Line, lines
from benchmarks.metrics.memory import occupied
from benchmarks.rig import LONGEST, NAME, ROOT, Bench

MOST = 4.0
"""How many bytes an operation may seem to keep: a leak of one object would be ten times as much."""

SLACK = 96 * 1024
"""Bytes that a short run may seem to keep, since memory is counted in pages."""

WARM = 20_000
"""How many come before at most, so that tables are full, and pools as large as they get: the first 20 000 clients of a service leave
40 KiB (2 bytes each), the next 80 000 nothing."""

COMMANDS, NOTICES = 500, 1000
"""A second; the session manager follows each, and falls behind where there are more."""

TRIES = 4
SETTLED = 0.7


async def growth(bench: Bench) -> list[Line]:
    """Do each many times; raises SessionError where it leaves anything."""
    path = f"{ROOT}/streams/{bench.streams[0]['number']}"

    async def visits(count: int) -> None:
        await bench.caller.ask("visit", count, NAME, path, longest=20 * LONGEST)

    async def notices(count: int) -> None:
        await bench.caller.ask(
            "flood", NOTICES, count / NOTICES, *bench.indexes(), longest=count / NOTICES + LONGEST
        )

    async def commands(count: int) -> None:
        selectors = (stream["selector"] for stream in bench.streams)
        seconds = count / COMMANDS
        await bench.caller.ask("slide", NAME, COMMANDS, seconds, *selectors, longest=seconds + 3 * LONGEST)

    kinds: dict[str, Callable[[int], Awaitable[None]]] = {
        "command": commands,
        "notice": notices,
        "client": visits,
    }
    found = {}
    for what, act in kinds.items():
        await act(min(WARM, bench.length.operations))
        found[f"by a {what}"] = [max(0.0, await _grown(bench, what, act) / bench.length.operations)]
    return [replace(line, n=bench.length.operations) for line in lines("growth", "B", found)]


async def _grown(bench: Bench, what: str, act: Callable[[int], Awaitable[None]]) -> int:
    """Return by how many bytes the service has grown; again where it has, since pools only grow once, and a leak each time."""
    pid, count = bench.service.pid, bench.length.operations
    least, left_open = math.inf, 0
    for _ in range(TRIES):
        await asyncio.sleep(SETTLED)
        before, descriptors = occupied(pid), open_files(pid)
        await act(count)
        await asyncio.sleep(SETTLED)
        grown, left_open = occupied(pid) - before, open_files(pid) - descriptors
        least = min(least, grown)
        if grown <= mmap.PAGESIZE and left_open <= 0:
            break
    if least > MOST * count + SLACK or left_open > 0:
        raise SessionError(
            f"{count} of a {what} have left {least} bytes and {left_open} descriptors, and as many before"
        )
    return int(least)


def open_files(pid: int) -> int:
    """Count the descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
