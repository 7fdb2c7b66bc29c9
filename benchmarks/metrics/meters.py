"""What fifty meters cost the processor that all move, in one pipe at the fastest pace; and what the same costs in C."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from dbus_fast import Variant
from session import END_WITH_PARENT, SessionError

from benchmarks.figures import Line, lines
from benchmarks.rig import NAME, ROOT, Bench, Length, answer_of, connected, opened, processor_time

METERS, RATE = 50, 60
PARTS = 3
"""In how many turns each of the two is measured."""

FIRST = 5.0
"""Seconds until all streams are linked and have been heard."""


async def meters(length: Length) -> list[Line]:
    """Measure both in turns, with all the streams that there are."""
    shares: dict[str, list[float]] = {"libpulse in C": [], "pwmixer": []}
    seconds = length.flood / PARTS
    async with opened(length, min(METERS, length.most_streams), is_noisy=True) as bench:
        for _ in range(PARTS if length.flood > 1 else 1):
            shares["libpulse in C"].append(await _in_c(bench, seconds))
            shares["pwmixer"].append(await _ours(bench, seconds))
    return lines(f"{METERS} meters at {RATE} Hz", "%", shares)


async def _in_c(bench: Bench, seconds: float) -> float:
    words = [str(RATE), *map(str, bench.indexes())]
    process = await asyncio.create_subprocess_exec(
        *END_WITH_PARENT,
        bench.folder / "meters",
        *words,
        stdout=asyncio.subprocess.PIPE,
        env=bench.session.env,
    )
    try:
        out = process.stdout
        if out is None:
            raise SessionError("the meters in C have no pipe")
        size = 4 * len(bench.streams)
        return await _share(process.pid, seconds, lambda: out.readexactly(size))
    finally:
        process.kill()
        await process.wait()


async def _ours(bench: Bench, seconds: float) -> float:
    bus = await connected(bench.session.env, negotiate_unix_fd=True)
    targets, options = [stream["selector"] for stream in bench.streams], {"rate": Variant("d", float(RATE))}
    (descriptor,) = (await answer_of(bus, ROOT, NAME, "OpenMeter", targets, options)).unix_fds
    os.set_blocking(descriptor, False)
    try:
        return await _share(bench.service.pid, seconds, lambda: _read(descriptor))
    finally:
        os.close(descriptor)
        bus.disconnect()


async def _share(pid: int, seconds: float, read: Callable[[], Awaitable[bytes]]) -> float:
    """Return which share of a processor a process uses while its frames are read, once it is under way."""
    await _frames(FIRST, read)
    before = processor_time(pid)
    frames = await _frames(seconds, read)
    if not frames:
        raise SessionError(f"in {seconds:.1f} s no frame has come")
    return 100 * (processor_time(pid) - before) / seconds


async def _frames(seconds: float, read: Callable[[], Awaitable[bytes]]) -> int:
    frames = 0
    try:
        async with asyncio.timeout(seconds):
            while await read():
                frames += 1
    except TimeoutError:
        pass
    return frames


async def _read(descriptor: int) -> bytes:
    """Read a frame of a pipe that does not block."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 4096)
