"""What the service does while nothing happens: nothing."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from session import SessionError

from benchmarks.figures import Line, lines
from benchmarks.rig import LONGEST, Bench, processor_time

SETTLED = 5.0
"""Seconds after which what was asked for last is over: files are written, timers have ended."""


async def rest(bench: Bench) -> list[Line]:
    """Count the system calls, wake-ups and ticks of the processor while everything is switched on and nothing happens."""
    await asyncio.sleep(SETTLED)
    pids = {"a service in C": bench.limit.pid, "pwmixer": bench.service.pid}
    tracers = {what: await _traced(bench, pid) for what, pid in pids.items()}
    before = {what: (processor_time(pid), wake_ups(pid)) for what, pid in pids.items()}
    await asyncio.sleep(bench.length.idle)
    after = {what: (processor_time(pid), wake_ups(pid)) for what, pid in pids.items()}
    calls = {what: await _ended(*tracer) for what, tracer in tracers.items()}
    minute = 60 / bench.length.idle
    return [
        *lines("at rest: system calls", "/min", {what: [count * minute] for what, count in calls.items()}),
        *lines("at rest: wake-ups", "/min", {w: [(after[w][1] - before[w][1]) * minute] for w in pids}),
        *lines(
            "at rest: processor", "ms/min", {w: [1000 * (after[w][0] - before[w][0]) * minute] for w in pids}
        ),
    ]


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process were given a processor."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if "ctxt_switches" in line
    )


async def _traced(bench: Bench, pid: int) -> tuple[asyncio.subprocess.Process, Path]:
    """Have strace write each system call of a process; it is attached when this returns."""
    file = bench.session.runtime / f"strace-{pid}"
    tracer = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-o", str(file), "-p", str(pid)), stderr=subprocess.PIPE
    )
    said = await asyncio.wait_for(tracer.stderr.readline(), LONGEST) if tracer.stderr else b""
    if b"attached" not in said:
        raise SessionError(f"strace cannot attach: {said.decode().strip()}")
    # What was interrupted by it is called again, once.
    await asyncio.sleep(0.2)
    return tracer, file


async def _ended(tracer: asyncio.subprocess.Process, file: Path) -> int:
    """Detach; return how many calls there were beside the one that the process sleeps in."""
    tracer.terminate()
    await tracer.communicate()
    calls = [line for line in file.read_text().splitlines() if "<detached ...>" not in line]
    return len(calls)
