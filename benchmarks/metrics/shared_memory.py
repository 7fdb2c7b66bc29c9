"""What the shared memory costs who writes it and who reads it, with as many applications as there are streams elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks.figures import ENOUGH, Line, lines
from benchmarks.rig import Bench
from pwmixer_dbus.outlets.shm.file import SharedFile
from pwmixer_dbus.outlets.shm.layout import Capacity
from pwmixer_dbus.outlets.shm.reader import Reader
from pwmixer_dbus.outlets.shm.writer import About, Facts, Row, Writer

APPS = 50
BATCH = 1000
"""How many make one sample: a single one is too short to be timed."""


async def measured(bench: Bench) -> list[Line]:
    """Write and read the shared memory, in a file beside the service's."""
    path = bench.session.runtime / "shared-memory"
    return lines("shared-memory", "us", written_and_read(path, max(ENOUGH, bench.length.rounds)))


def written_and_read(path: Path, rounds: int) -> dict[str, list[float]]:
    """Write and read a file of the benchmark's own; return samples in microseconds, by what was done."""
    room = Capacity()
    file = SharedFile(path, room.size)
    writer = Writer[str](file.memory, room, pid=os.getpid(), clock=time.monotonic_ns)
    abouts = [About((f"bin:program{i}", f"Program {i}", "audio-card"), (i,)) for i in range(APPS)]
    table = {about.texts[0]: Row(0, 2, 0.5, 1.0, about) for about in abouts}
    writer.publish(1, {}, table, Facts(connected=True))
    file.show()
    reader = Reader(str(path))
    name = abouts[7].texts[0]
    changes = cycle([{name: table[name]._replace(volume=i / 100)} for i in range(100)])
    ways: dict[str, Callable[[], object]] = {
        "write: one application": lambda: writer.publish(2, {}, next(changes)),
        "write: all of them": partial(writer.publish, 2, {}, table),
        "read: one application": reader.follow(name),
        "read: nothing has changed": reader.read,
    }
    samples: dict[str, list[float]] = {what: [] for what in [*ways, "read: all of them"]}
    for _ in range(rounds):
        for what, act in ways.items():
            times = BATCH if "all" not in what else BATCH // APPS
            samples[what].append(_timed(act, times))
        samples["read: all of them"].append(_read_anew(writer, reader, table))
    reader.close()
    writer.close()
    file.remove()
    return samples


def _timed(act: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - started) / times * 1e6


def _read_anew(writer: Writer[str], reader: Reader, table: dict[str, Row]) -> float:
    writer.publish(3, {}, table)
    return _timed(reader.read, 1)
