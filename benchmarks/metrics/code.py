"""How much Python an operation executes, by the part of the service that it is in: which no load of the machine changes.

Other programs run between two operations, so that each finds the caches of the processor cold. What counts then is not only
how many opcodes there are, but how many different ones, since each of these has to come from memory first.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path, PurePath

from session import END_WITH_PARENT

from benchmarks.counted import ALL, BEGIN, END, FILE, UNTIL_MOVED
from benchmarks.figures import Line, lines
from benchmarks.metrics.new_stream import PLAYER, RIGHT, RULED, rules
from benchmarks.metrics.sockets import Wire, place
from benchmarks.rig import LONGEST, NAME, ROOT, STREAMS, Bench, Length, opened, pipe
from benchmarks.targets import CALLS, CODE, DIFFERENT

COUNTED = (sys.executable, str(Path(__file__).parent.parent / "counted.py"))
WARM, TIMES = 10, 9
QUIET = 0.5
"""Seconds after which an operation has done all that it does."""

NEW_STREAM = "a new stream, until its move is sent"

Span = Mapping[str, Sequence[int]]
"""From functions to their calls, opcodes, and different opcodes."""


async def code(length: Length) -> list[Line]:
    """Count what each operation executes, and return what it was at least: statistics that are written may have come between."""
    sums: dict[str, dict[str, list[float]]] = {CALLS: {}, DIFFERENT: {}}
    found: list[Line] = []
    async with opened(length, min(STREAMS, length.most_streams), service=COUNTED, settings=rules()) as bench:
        with ExitStack() as stack:
            for what, operate in _operations(bench, stack).items():
                span = UNTIL_MOVED if what == NEW_STREAM else ALL
                counted = await _counted(bench, operate, span, min(TIMES, length.rounds))
                sums[CALLS][what] = [sum(calls for calls, _, _ in counted.values())]
                sums[DIFFERENT][what] = [sum(different for _, _, different in counted.values())]
                found += lines(f"{CODE}{what}", "opcodes", by_part(counted))
    return [*found, *(line for name, samples in sums.items() for line in lines(name, "", samples))]


def _operations(bench: Bench, stack: ExitStack) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is done once each time, by its name."""
    bench.session.add_null_sink(RIGHT)
    wire = Wire(place(bench.session))
    stack.callback(wire.close)
    player = subprocess.Popen(
        (*END_WITH_PARENT, *PLAYER, "1", RIGHT),
        env=bench.session.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(player.wait)
    stack.callback(player.kill)
    pipe(player.stdout).readline()
    stream, newcomers = bench.streams[0], count()

    async def born() -> None:
        pipe(player.stdin).write(f"{RULED} {next(newcomers)}\t\n")
        pipe(player.stdin).flush()
        await asyncio.to_thread(pipe(player.stdout).readline)

    return {
        "Get": lambda: bench.caller.ask("get", NAME, f"{ROOT}/streams/{stream['number']}"),
        "GET_VOLUME on the socket": lambda: asyncio.to_thread(
            wire.ask, f"GET_VOLUME {stream['selector']}\n".encode()
        ),
        "SetVolume": lambda: bench.caller.ask(
            "set", NAME, stream["selector"], bench.level(stream["selector"])
        ),
        "a volume that another program sets": lambda: bench.caller.ask(
            "server", stream["index"], bench.level(stream["selector"])
        ),
        NEW_STREAM: born,
    }


async def _counted(bench: Bench, operate: Callable[[], Awaitable[object]], span: str, times: int) -> Span:
    """Return what was executed in one span, of several the one with the fewest opcodes."""
    file = bench.session.runtime / FILE
    spans: list[Span] = []
    for turn in range(WARM + times):
        if turn >= WARM:
            os.kill(bench.service.pid, BEGIN)
        await operate()
        await asyncio.sleep(QUIET)
        if turn >= WARM:
            os.kill(bench.service.pid, END)
            await asyncio.to_thread(bench.session.wait_for, file.exists, "what was counted", LONGEST)
            spans.append(json.loads(file.read_text(encoding="utf-8"))[span])
            file.unlink()
    return min(spans, key=lambda span: sum(opcodes for _, opcodes, _ in span.values()))


def by_part(span: Span) -> dict[str, list[float]]:
    """Return the opcodes of all, then of each part of the service, those with the most of them first."""
    opcodes: Counter[str] = Counter()
    for function, (_, executed, _) in span.items():
        opcodes[part_of(function)] += executed
    return {ALL: [opcodes.total()], **{part: [executed] for part, executed in opcodes.most_common()}}


def part_of(function: str) -> str:
    """Name the part that a function belongs to: a package or file of ours, or the library."""
    parts = PurePath(function.partition(":")[0]).parts
    if "pwmixer_dbus" in parts:
        return PurePath(parts[parts.index("pwmixer_dbus") + 1]).stem
    for library in ("asyncio", "dbus_fast", "pulsectl"):
        if library in parts:
            return library
    return "records" if function.startswith("<") else "other libraries"
