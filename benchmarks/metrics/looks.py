"""Asking over D-Bus what needs no sound server."""

from __future__ import annotations

from itertools import cycle

from benchmarks.figures import Line, lines
from benchmarks.rig import LIMIT, NAME, ROOT, Bench, rotated

PROGRAMS_EACH = 10
"""Rounds for each start of a program."""


async def look(bench: Bench) -> list[Line]:
    """Read the volume of a stream."""
    numbers = {"a service in C": (LIMIT, "index"), "Get": (NAME, "number")}
    samples: dict[str, list[float]] = {
        what: [] for what in (*numbers, "busctl get-property", "wpctl get-volume")
    }
    streams = cycle(bench.streams)
    for turn in range(bench.length.rounds):
        stream = next(streams)
        for what, (name, number) in rotated(list(numbers.items()), turn):
            (took,) = await bench.caller.ask("get", name, f"{ROOT}/streams/{stream[number]}")
            samples[what].append(took / 1000)
        if turn % PROGRAMS_EACH == 0:
            path = f"{ROOT}/streams/{stream['number']}"
            command = ("busctl", "--user", "get-property", NAME, path, f"{NAME}.Node", "Volume")
            samples["busctl get-property"].append(await bench.run(*command))
            samples["wpctl get-volume"].append(await bench.run("wpctl", "get-volume", "@DEFAULT_AUDIO_SINK@"))
    return lines("look", "ms", samples)
