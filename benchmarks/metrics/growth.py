"""What stays in memory of what has come and gone: of commands, of notices, and of clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path

from session import SessionError

from benchmarks.figures import Line, lines
from benchmarks.metrics.memory import occupied
from benchmarks.rig import LONGEST, NAME, ROOT, Bench, level_of

MOST = 4.0
"""How many bytes an operation may seem to keep: a leak of one object would be ten times as much."""

SLACK = 96 * 1024
"""Bytes that a short run may seem to keep, since memory is counted in pages."""

WARM = 2400
"""How many come before, so that tables are full, and pools as large as they get."""

COMMANDS, NOTICES = 400, 1000
"""A second; the session manager follows each, and falls behind where there are more."""

SETTLED = 1.5


async def growth(bench: Bench) -> list[Line]:
    """Do each many times; raises SessionError where it leaves anything."""
    path = f"{ROOT}/streams/{bench.streams[0]['number']}"

    async def visits(count: int) -> None:
        await bench.caller.ask("visit", count, NAME, path, longest=120)

    async def notices(count: int) -> None:
        await bench.caller.ask(
            "flood", NOTICES, count / NOTICES, *bench.indexes(), longest=count / NOTICES + LONGEST
        )

    kinds: dict[str, Callable[[int], Awaitable[None]]] = {
        "command": lambda count: _commands(bench, count),
        "notice": notices,
        "client": visits,
    }
    found = {}
    for what, act in kinds.items():
        await act(WARM)
        await asyncio.sleep(SETTLED)
        before, descriptors = occupied(bench.service.pid), open_files(bench.service.pid)
        await act(bench.length.operations)
        await asyncio.sleep(SETTLED)
        grown = occupied(bench.service.pid) - before
        if open_files(bench.service.pid) != descriptors:
            raise SessionError(f"of {bench.length.operations} of a {what} descriptors are left open")
        if grown > MOST * bench.length.operations + SLACK:
            raise SessionError(f"{bench.length.operations} of a {what} have left {grown} bytes")
        found[f"by a {what}"] = [max(0.0, grown / bench.length.operations)]
    return lines(f"growth over {bench.length.operations}", "B", found)


async def _commands(bench: Bench, count: int) -> None:
    """Have volumes set over the bus at a steady pace, each until it is in force."""
    started, streams = asyncio.get_running_loop().time(), cycle(bench.streams)
    waiting: set[asyncio.Task[object]] = set()
    for number in range(count):
        stream = next(streams)
        volume = level_of(number + number // len(bench.streams))
        task = asyncio.create_task(bench.verb("SetVolume", stream["selector"], volume, {}))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        early = started + number / COMMANDS - asyncio.get_running_loop().time()
        if early > 0:
            await asyncio.sleep(early)
    await asyncio.gather(*waiting)


def open_files(pid: int) -> int:
    """Count the descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
