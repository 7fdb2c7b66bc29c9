"""How cost grows: the same figures at 1, 10, 100 and 1000 streams, and at 1, 10 and 100 clients that listen.

Ten streams at most are linked to a device and changed; the others are there, but have not been linked, since it takes the
session manager a quarter of an hour to link a thousand.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import cycle
from typing import Any

from session import END_WITH_PARENT, Session, SessionError

from benchmarks.figures import Line, Samples, lines
from benchmarks.metrics.changes import owners
from benchmarks.metrics.memory import MEBI, occupied
from benchmarks.metrics.sockets import place
from benchmarks.metrics.starts import OWNED, TOLD
from benchmarks.rig import (
    LIMIT,
    LONGEST,
    NAME,
    PLAIN,
    ROOT,
    SERVICE,
    Bench,
    Children,
    Length,
    News,
    connected,
    level_of,
    listen,
    opened,
    processor_time,
    switch_everything_on,
    write_bundle,
)

STREAMS, CLIENTS = (1, 10, 100, 1000), (1, 10, 100)
LINKED = 10
WATCHING = 60
"""Most clients that watch the socket: the service lets 64 in."""

ROUNDS_EACH = 10
"""Rounds of the other benchmarks for each round of this one, which has seven parts."""

PROPERTIES = '{{ node.autoconnect = false application.name = "Program {0}" application.id = "org.example.Program{0}" }}'
TOGETHER, PATIENCE = 50, 300.0
"""How many of the others come at the same time, and for how many seconds they are waited for."""

RATE = 250
"""Notices a second: few enough for the session manager, whatever else there is."""

STORM, SETTLED = 2.0, 0.5

BESIDE = ", beside it"
OURS = {", in C": LIMIT, "": NAME}
INSTEAD = {BESIDE: LIMIT, ", in Python": PLAIN}
"""Who is measured together, and what that is called behind what is measured."""


async def scaling(length: Length) -> list[Line]:
    """Measure with more and more streams, then with more and more clients."""
    found: dict[str, dict[str, tuple[str, list[float]]]] = {}
    for count in STREAMS:
        if count <= length.most_streams:
            async with _with_streams(length, count) as bench:
                _take(found, "streams", count, await _figures(bench))
                _take(found, "streams", count, {"exec to first snapshot": ("ms", await _starts(bench))})
    async with opened(length, LINKED) as bench:
        for count in CLIENTS:
            if count <= length.most_streams:
                with _audience(bench, count):
                    _take(found, "clients", count, await _figures(bench))
    return [
        line
        for name, by_count in found.items()
        for line in lines(
            name, next(iter(by_count.values()))[0], {n: values for n, (_, values) in by_count.items()}
        )
    ]


Figures = dict[str, tuple[str, list[float]]]
"""Samples by what was measured, with their unit."""


def _take(found: dict[str, Figures], over: str, count: int, figures: Figures) -> None:
    for what, figure in figures.items():
        found.setdefault(f"{what} by {over}", {})[str(count)] = figure


@asynccontextmanager
async def _with_streams(length: Length, count: int) -> AsyncIterator[Bench]:
    """Open a session with so many streams; those that are not linked come before the service."""

    @contextmanager
    def others(session: Session) -> Iterator[None]:
        with Children(session) as children:
            for number in range(LINKED, count):
                properties = PROPERTIES.format(number)
                children.spawn("pw-cat", "-p", "--raw", "--target", "0", "-P", properties, "/dev/zero")
                is_last = number + 1 == count
                if is_last or number % TOGETHER == 0:
                    # Each newcomer is told of all others; too many at once keep each other from coming.
                    session.wait_for(partial(_has, session, number - LINKED + 1), "the streams", PATIENCE)
            yield

    async with opened(length, min(count, LINKED), beside=others, known=count) as bench:
        bench.streams = [stream for stream in bench.streams if stream["device"]]
        yield bench


def _has(session: Session, count: int) -> bool:
    return len(session.pactl("list", "short", "sink-inputs").splitlines()) >= count


@contextmanager
def _audience(bench: Bench, count: int) -> Iterator[None]:
    """Have so many clients listen on the bus, and as many on the socket, or as there may be."""
    watching = min(count, WATCHING)
    command = (str(bench.folder / "audience"), str(count), str(place(bench.session)), str(watching))
    with subprocess.Popen(
        (*END_WITH_PARENT, *command),
        env=bench.session.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as audience:
        said = audience.stdout.readline().strip() if audience.stdout else ""
        if said != "ready":
            raise SessionError(f"the audience does not listen: it has ended with {audience.wait(LONGEST)}")
        yield
        audience.communicate(timeout=LONGEST)


async def _figures(bench: Bench) -> Figures:
    """Measure what a change of one object costs, and what is there for all of them."""
    in_turn = await _in_turn(bench)
    selectors = [stream["selector"] for stream in bench.streams]
    seconds = min(STORM, bench.length.flood)
    notice = await _dear(bench, "flood", RATE, seconds, *bench.indexes())
    command = await _dear(bench, "slide", NAME, RATE, seconds, *selectors)
    return {
        **{what: ("ms", list(values)) for what, values in in_turn.items()},
        "processor for a notice": ("ms", [notice]),
        "processor for a SetVolume": ("ms", [command]),
        "own memory": ("MiB", [occupied(bench.service.pid) / MEBI]),
    }


async def _dear(bench: Bench, *words: object) -> float:
    """Return the milliseconds of processor time that each of many took, with all that follows from it."""
    before = processor_time(bench.service.pid)
    (done,) = await bench.caller.ask(*words, longest=STORM + 2 * LONGEST)
    await asyncio.sleep(SETTLED)
    return 1000 * (processor_time(bench.service.pid) - before) / done


async def _in_turn(bench: Bench) -> Samples:
    """Measure the services one after the other, ours and then the limit in Python in its place."""
    whats = [f"{what}{who}" for what in ("SetVolume", "change seen", "Get") for who in (*OURS, *INSTEAD)]
    samples: dict[str, list[float]] = {what: [] for what in (*whats, "Describe")}
    rounds = max(4, bench.length.rounds // ROUNDS_EACH)
    caller, senders, streams = bench.caller, await owners(bench), cycle(bench.streams)

    async def once(turn: int, services: Mapping[str, str]) -> None:
        """Set the volume of a stream by each service, have another program change it, and ask for it."""
        stream = next(streams)
        for step, (who, name) in enumerate(services.items()):
            await bench.rested(stream["selector"])
            took = await caller.ask("set", name, bench.target(name, stream), level_of(turn + step))
            samples[f"SetVolume{who}"].append(took[0] / 1000)
        await bench.rested(stream["selector"])
        awaited = [word for name in services.values() for word in (senders[name], bench.path(name, stream))]
        level = (91 + turn % 9) / 100
        told = await caller.ask("change", stream["index"], level, *awaited, longest=2 * LONGEST)
        for microseconds, (who, name) in zip(told, services.items(), strict=True):
            samples[f"change seen{who}"].append(microseconds / 1000)
            (got,) = await caller.ask("get", name, bench.path(name, stream))
            samples[f"Get{who}"].append(got / 1000)

    for turn in range(rounds):
        await once(turn, OURS)
        started = time.perf_counter()
        await bench.verb("Describe", {})
        samples["Describe"].append(1000 * (time.perf_counter() - started))
    async with bench.plain_at_work():
        for turn in range(rounds):
            await once(turn, INSTEAD)
    return {what: values for what, values in samples.items() if not what.endswith(BESIDE)}


async def _starts(bench: Bench) -> list[float]:
    """Start further services on a bus of their own."""
    found = []
    with Session(sound=False) as other:
        switch_everything_on(other)
        env: dict[str, Any] = {**other.env, "PULSE_SERVER": bench.session.env["PULSE_SERVER"]}
        write_bundle(other, env)
        bus = await connected(env)
        news = News(bus)
        await listen(bus, OWNED)
        await listen(bus, TOLD)
        for turn in range(max(2, bench.length.starts // 6)):
            name, started = news.of(NAME), time.perf_counter()
            process = other.spawn(f"service-{turn}", *SERVICE, env=env)
            await asyncio.wait_for(name, LONGEST)
            state = news.of(ROOT)  # not before, since the one before may have told its end
            found.append(1000 * (await asyncio.wait_for(state, 4 * LONGEST) - started))
            gone = news.of(NAME)
            process.terminate()
            await asyncio.wait_for(gone, LONGEST)
            process.wait(LONGEST)
        bus.disconnect()
    return found
