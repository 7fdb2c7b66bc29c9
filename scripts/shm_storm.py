"""A storm of changes in shared memory, and readers that look for a torn or a stale one among millions.

Every publication is a function of its generation, so a reader knows what it should have read: a state that is put together
from two of them is of none. What has been published is counted beside it, so a state from before that is stale.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from pwmixer_dbus.outlets.shm.file import SharedFile
from pwmixer_dbus.outlets.shm.layout import HEADER, Capacity, flag
from pwmixer_dbus.outlets.shm.reader import App, Device, Reader, Snapshot
from pwmixer_dbus.outlets.shm.writer import About, Facts, Row, Writer

NAME = "storm"
ROOM = Capacity(devices=4, apps=12, texts=4096)
CYCLE = 840
"""States repeat after this many; a volume is a whole number of this part, so that it says which, and so whether it is muted."""

MUTED = flag("app", "muted")
LOOKS = 9
"""How often the level of one application is read for each time that all is."""

PATIENT = 10
"""How often a reader that sees the same again goes on before it lets others run."""

READERS = 2


class Found(NamedTuple):
    """What a reader has seen: how often it read all and one application, how many differed, and what was wrong."""

    wholes: int
    looks: int
    generations: int
    torn: int
    stale: int
    slowest: float
    example: str


Tables = tuple[dict[str, Row], dict[str, Row]]


@cache
def rows(turn: int) -> Tables:
    """Make the devices and applications of a generation in its cycle: they come and go, and all of them changes."""
    volume, limit = turn / CYCLE, 1.5 - turn / CYCLE
    muted = MUTED if turn % 2 else 0
    streams = tuple(range(turn, turn + turn % 5))
    apps = {
        f"app {i}": Row(turn, muted, volume, limit, About((f"app {i}", f"{i} in {turn}", ""), streams))
        for i in range(5 + turn % 7)
    }
    devices = {
        f"sink {i}": Row(turn, muted, volume, limit, About((f"sink {i}", f"{i} of {turn}", "")))
        for i in range(1 + turn % 3)
    }
    return devices, apps


def is_torn(seen: Snapshot) -> bool:
    """Whether a state is not exactly that of its generation."""
    devices, apps = rows(seen.generation % CYCLE)
    shown = {device.name: row_of(device, device.description, device.name) for device in seen.devices}
    return (
        shown != devices
        or {app.app_id: row_of(app, app.name, app.app_id, app.streams) for app in seen.apps} != apps
        or seen.default_sink != seen.generation % 1000
        or seen.connected != (seen.generation % 2 == 0)
        or seen.overflow != ()
    )


def row_of(record: Device | App, label: str, name: str, streams: tuple[int, ...] = ()) -> Row:
    """Make the row again that a record was written from."""
    number = record.device if isinstance(record, App) else record.server_index
    flags = MUTED if record.muted else 0
    return Row(number, flags, record.volume, record.max_volume, About((name, label, ""), streams))


class Unlocked(Writer[str]):
    """A writer whose sequence never says that something is being written: to see whether the readers would notice."""

    def publish(self, *arguments: Any) -> None:
        """Write, and only then say that something is different."""
        words, place = self._words, HEADER.offset("sequence") // 4
        self._words = memoryview(bytearray(HEADER.size)).cast("I")
        super().publish(*arguments)
        self._words = words
        words[place] += 2


def read(folder: str, reads: int, wanted: int, told: Connection) -> None:
    """Read at least so often, and so many generations, in a process of its own; tell what was found."""
    reader = Reader(f"{folder}/{NAME}", patience=30)
    published = counter(folder)
    look = reader.follow("app 0")
    torn = stale = wholes = looks = generations = last = unchanged = 0
    slowest, example = 0.0, ""
    while wholes + looks < reads or generations < wanted:
        before = published[0]
        started = time.perf_counter()
        seen = reader.read()
        slowest = max(slowest, time.perf_counter() - started)
        if seen is None:
            raise SystemExit("the file has gone")
        wholes += 1
        if seen.generation < before:
            stale += 1
        if seen.generation == last:
            unchanged += 1
            if unchanged % PATIENT == 0:
                os.sched_yield()  # the writer may be waiting for this processor
        else:
            generations += 1
            last = seen.generation
            if is_torn(seen):
                torn += 1
                example = example or repr(seen)
        for _ in range(LOOKS):
            level = look()
            looks += 1
            if level is None or round(level[0] * CYCLE) % 2 != level[1]:
                torn += 1
                example = example or repr(level)
    told.send(Found(wholes, looks, generations, torn, stale, slowest, example))


def counter(folder: str) -> memoryview:
    """Open the number of the last generation that has been published."""
    with Path(folder, "published").open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")


@contextmanager
def shared(folder: str, kind: type[Writer[str]]) -> Iterator[Writer[str]]:
    """Make the file that the storm is in."""
    file = SharedFile(Path(folder, NAME), ROOM.size)
    writer = kind(file.memory, ROOM, pid=os.getpid(), clock=time.monotonic_ns)
    file.show()
    try:
        yield writer
    finally:
        writer.close()
        file.remove()


def storm(reads: int, generations: int = 0, kind: type[Writer[str]] = Writer) -> tuple[int, list[Found]]:
    """Let readers read so often together while all changes without a pause; return the changes, and what they found."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, shared(folder, kind) as writer:
        Path(folder, "published").write_bytes(bytes(8))
        published = counter(folder)
        generation = publish(writer, 0)
        pipes = [context.Pipe(duplex=False) for _ in range(READERS)]
        processes = [
            context.Process(target=read, args=(folder, reads // READERS, generations, told), daemon=True)
            for _, told in pipes
        ]
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes):
            for _ in range(1000):
                published[0] = generation = publish(writer, generation)
        return generation, [hears.recv() for hears, _ in pipes if hears.poll()]


def storm_beside(command: Sequence[str], kind: type[Writer[str]] = Writer) -> str:
    """Let a program read, which is told the file at its end, while all changes; return what it has printed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, shared(folder, kind) as writer:
        generation = publish(writer, 0)
        with subprocess.Popen((*command, f"{folder}/{NAME}"), stdout=subprocess.PIPE, text=True) as reader:
            while reader.poll() is None:
                for _ in range(200):
                    generation = publish(writer, generation)
            said = reader.stdout.read() if reader.stdout else ""
        return said if reader.returncode == 0 else f"it ended with {reader.returncode}"


def publish(writer: Writer[str], last: int) -> int:
    """Write the generation after the last one, and return it."""
    generation = last + 1
    (old_devices, old_apps), (devices, apps) = rows(last % CYCLE), rows(generation % CYCLE)
    facts = Facts(generation % 2 == 0, generation % 1000, 0)
    devices_changed = {**dict.fromkeys(old_devices), **devices}
    writer.publish(generation, devices_changed, {**dict.fromkeys(old_apps), **apps}, facts)
    return generation


def told(one: Found) -> str:
    """Say in a line what a reader has found."""
    return (
        f"{one.wholes} times all ({one.generations} generations) and {one.looks} times one application:"
        f" {one.torn} torn, {one.stale} stale, the slowest {one.slowest * 1000:.1f} ms {one.example[:200]}"
    )
