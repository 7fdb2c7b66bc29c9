"""Asking over D-Bus what needs no sound server."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.rig import LIMIT, NAME, PLAIN, Bench, blocks, rotated

PROGRAMS_EACH = 10
"""Rounds for each start of a program."""


async def look(bench: Bench) -> list[Line]:
    """Read the volume of a stream."""
    ways, beside = {IN_C: LIMIT, "Get": NAME}, {BESIDE_PLAIN: LIMIT, IN_PYTHON: PLAIN}
    names = (IN_C, IN_PYTHON, "Get", "busctl get-property", "wpctl get-volume", BESIDE_PLAIN)
    samples: dict[str, list[float]] = {what: [] for what in names}
    streams = cycle(bench.streams)

    async def once(turn: int, names: Mapping[str, str]) -> None:
        stream = next(streams)
        for what, name in rotated(list(names.items()), turn):
            (took,) = await bench.caller.ask("get", name, bench.path(name, stream))
            samples[what].append(took / 1000)

    for block in blocks(bench.length.rounds):
        for turn in block:
            await once(turn, ways)
            if turn % PROGRAMS_EACH == 0:
                path = bench.path(NAME, next(streams))
                command = ("busctl", "--user", "get-property", NAME, path, f"{NAME}.Node", "Volume")
                samples["busctl get-property"].append(await bench.run(*command))
                took = await bench.run("wpctl", "get-volume", "@DEFAULT_AUDIO_SINK@")
                samples["wpctl get-volume"].append(took)
        async with bench.plain_at_work():
            for turn in block:
                await once(turn, beside)
    return lines("look", "ms", samples)
