"""What the processes occupy."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.figures import Line, lines
from benchmarks.rig import Bench

MEBI = 1024 * 1024
KINDS = {"Private_Dirty": "own", "Rss": "resident", "Pss": "shared out"}


async def memory(bench: Bench) -> list[Line]:
    """Read what the service occupies, after all that has been measured before, beside the limit that has seen the same."""
    await bench.verb("Describe", {})
    found = []
    for name, kind in KINDS.items():
        pids = {"a service in C": bench.limit.pid, "pwmixer": bench.service.pid}
        sizes = {what: [occupied(pid, name) / MEBI] for what, pid in pids.items()}
        found += lines(f"memory: {kind}", "MiB", sizes)
    return found


def occupied(pid: int, kind: str = "Private_Dirty") -> int:
    """Return the bytes that a process has; the kinds are those of /proc/PID/smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * int(re.findall(rf"^{kind}: +(\d+) kB", text, re.MULTILINE)[0])
