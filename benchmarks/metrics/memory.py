"""What the processes occupy."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from benchmarks.figures import Line, lines
from benchmarks.peers import IN_C, IN_PYTHON
from benchmarks.rig import Bench

MEBI = 1024 * 1024
KINDS = {"Private_Dirty": "own", "Rss": "resident", "Pss": "shared out"}

CLEARED = 0.5
"""Seconds after which a service that has listed all has given back what only its start has read."""


async def memory(bench: Bench) -> list[Line]:
    """Read what the service occupies, after all that has been measured before, beside the limits that have seen the same."""
    await bench.verb("Describe", {})
    async with bench.plain_at_work():
        await asyncio.sleep(CLEARED)  # which it may not have done yet where nothing else was measured
    pids = {IN_C: bench.limit.pid, IN_PYTHON: bench.plain.pid, "pwmixer": bench.service.pid}
    found = {what: sizes(pid) for what, pid in pids.items()}
    return [
        line
        for kind in KINDS.values()
        for line in lines(f"memory: {kind}", "MiB", {what: [each[kind]] for what, each in found.items()})
    ]


def sizes(pid: int) -> dict[str, float]:
    """Return the MiB that a process has, of each of the `KINDS`."""
    return {kind: occupied(pid, name) / MEBI for name, kind in KINDS.items()}


def occupied(pid: int, kind: str = "Private_Dirty") -> int:
    """Return the bytes that a process has; the kinds are those of /proc/PID/smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * int(re.findall(rf"^{kind}: +(\d+) kB", text, re.MULTILINE)[0])
