"""Another instance taking over, as a client sees it that asks without a pause."""

from __future__ import annotations

from take_overs import gaps

from benchmarks.figures import Line, lines
from benchmarks.rig import Length, opened


async def take_over(length: Length) -> list[Line]:
    """Take over again and again; each time it counts for how long there was no answer."""
    async with opened(length) as bench:
        found, bench.service = await gaps(bench.session, bench.service, length.starts)
    return lines("take-over", "ms", {"longest time without an answer": found})
