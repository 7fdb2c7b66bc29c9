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
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath

from session import END_WITH_PARENT

from benchmarks.counted import ALL, BEGIN, END, FILE, UNTIL_MOVED
from benchmarks.figures import Line, lines
from benchmarks.metrics.new_stream import PLAINLY as PLAINLY_MOVED
from benchmarks.metrics.new_stream import PLAYER, RIGHT, RULED, rules
from benchmarks.metrics.sockets import place
from benchmarks.rig import LONGEST, NAME, PLAIN, STREAMS, Bench, Length, opened, pipe
from benchmarks.targets import CALLS, CODE, DIFFERENT, PLAINLY, PLAINLY_DIFFERENT

COUNTED = (sys.executable, str(Path(__file__).parent.parent / "counted.py"))
WARM, TIMES = 10, 9
PLAINLY_TIMES = 3
"""How often it is counted in the limit in Python, which does nothing in between."""

QUIET = 0.5
"""Seconds after which an operation has done all that it does."""

NEW_STREAM = "a new stream, until its move is sent"

Span = Mapping[str, Sequence[int]]
"""From functions to their calls, opcodes, and different opcodes."""


async def code(length: Length) -> list[Line]:
    """Count what each operation executes, and return what it was at least: statistics that are written may have come between."""
    sums: dict[str, dict[str, list[float]]] = {CALLS: {}, DIFFERENT: {}, PLAINLY: {}, PLAINLY_DIFFERENT: {}}
    found: list[Line] = []
    async with opened(
        length,
        min(STREAMS, length.most_streams),
        service=COUNTED,
        plain_service=(*COUNTED, PLAIN, PLAINLY_MOVED, RIGHT),
        settings=rules(),
    ) as bench:
        bench.session.add_null_sink(RIGHT)
        with _player(bench) as player:
            for what, operate in _operations(bench, NAME, player).items():
                times = min(TIMES, length.rounds)
                counted = await _counted(bench, bench.service.pid, operate, _span_of(what), times)
                sums[CALLS][what] = [sum(calls for calls, _, _ in counted.values())]
                sums[DIFFERENT][what] = [sum(different for _, _, different in counted.values())]
                found += lines(f"{CODE}{what}", "opcodes", by_part(counted))
            async with bench.plain_at_work():
                for what, operate in _operations(bench, PLAIN, player).items():
                    counted = await _counted(bench, bench.plain.pid, operate, _span_of(what), PLAINLY_TIMES)
                    sums[PLAINLY][what] = by_part(counted)[ALL]
                    sums[PLAINLY_DIFFERENT][what] = [sum(different for _, _, different in counted.values())]
    return [*found, *(line for name, samples in sums.items() for line in lines(name, "", samples))]


def _span_of(what: str) -> str:
    return UNTIL_MOVED if what == NEW_STREAM else ALL


@contextmanager
def _player(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    player = subprocess.Popen(
        (*END_WITH_PARENT, *PLAYER, "1", RIGHT),
        env=bench.session.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pipe(player.stdout).readline()
        yield player
    finally:
        player.kill()
        player.wait()


def _operations(
    bench: Bench, name: str, player: subprocess.Popen[str]
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is done once each time with a service, by its name."""
    stream, newcomers = bench.streams[0], count()
    path = place(bench.session) if name == NAME else bench.session.runtime / name
    target = bench.target(name, stream)

    async def born() -> None:
        pipe(player.stdin).write(f"{RULED if name == NAME else PLAINLY_MOVED} {next(newcomers)}\t\n")
        pipe(player.stdin).flush()
        await asyncio.to_thread(pipe(player.stdout).readline)

    return {
        "Get": lambda: bench.caller.ask("get", name, bench.path(name, stream)),
        "GET_VOLUME on the socket": lambda: bench.caller.ask("line", path, f"GET_VOLUME {target}"),
        "SetVolume": lambda: bench.caller.ask("set", name, target, bench.level(stream["selector"])),
        "a volume that another program sets": lambda: bench.caller.ask(
            "server", stream["index"], bench.level(stream["selector"])
        ),
        NEW_STREAM: born,
    }


async def _counted(
    bench: Bench, pid: int, operate: Callable[[], Awaitable[object]], span: str, times: int
) -> Span:
    """Return what a process has executed in one span, of several the one with the fewest opcodes."""
    file = bench.session.runtime / FILE
    spans: list[Span] = []
    for turn in range(WARM + times):
        if turn >= WARM:
            os.kill(pid, BEGIN)
        await operate()
        await asyncio.sleep(QUIET)
        if turn >= WARM:
            os.kill(pid, END)
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
