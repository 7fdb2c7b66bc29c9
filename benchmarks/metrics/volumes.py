"""Setting a volume: at the sound server, over D-Bus until it is in force, and by programs that are started for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import cycle
from typing import Any

from dbus_fast import Variant
from pulsectl_asyncio import PulseAsync

from benchmarks.figures import Line, lines
from benchmarks.metrics.sockets import wpctl_numbers
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.programs import Caller
from benchmarks.rig import (
    LIMIT,
    LONGEST,
    NAME,
    PLAIN,
    PROPERTIES,
    Bench,
    blocks,
    call,
    rotated,
)
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse import convert, libpulse
from pwmixer_dbus.pulse.server import SET_VOLUME

PROGRAMS_EACH = 10
"""Rounds for each start of a program."""

BREATH = 0.004
"""Seconds between two volumes of a round trip, so that the session manager, which follows each, does not fall behind."""

NOTICES = 1000
"""A second, while the service is busy."""

Stream = Mapping[str, Any]
Ways = Mapping[str, Callable[[Stream, float], Awaitable[float]]]


async def round_trip(bench: Bench) -> list[Line]:
    """Have the sound server set a stream's volume, until it acknowledges: by libpulse in C, by ours, and as libraries do it."""
    server = bench.session.env["PULSE_SERVER"]
    stock = PulseAsync("stock", server=server)
    await stock.connect()
    infos = {info.index: info for info in await stock.sink_input_list()}
    ours = libpulse.Connection("ours", lambda *_: None, lambda: None)
    ours.server = server
    await ours.connect(timeout=LONGEST)
    ways: dict[str, Callable[[int, float], Awaitable[float]]] = {
        "libpulse in C": lambda index, level: _in_c(bench.caller, index, level),
        "pwmixer's libpulse": partial(_by_ours, ours),
        "pulsectl-asyncio": lambda index, level: _timed(stock.volume_set_all_chans(infos[index], level)),
    }
    samples: dict[str, list[float]] = {what: [] for what in ways}
    streams = cycle(bench.streams)
    for turn in range(bench.length.rounds):
        for what, way in rotated(list(ways.items()), turn):
            stream = next(streams)
            await bench.rested(stream["selector"])
            samples[what].append(await way(stream["index"], bench.level(stream["selector"])))
            await asyncio.sleep(BREATH)
    ours.close()
    stock.close()
    return lines("pulse", "ms", samples)


async def _in_c(caller: Caller, index: int, level: float) -> float:
    return (await caller.ask("server", index, level))[0] / 1000


async def _by_ours(connection: libpulse.Connection, index: int, level: float) -> float:
    answer: asyncio.Future[MixerError | None] = asyncio.get_running_loop().create_future()
    started = time.perf_counter()
    volume = convert.volume_struct((level, level))
    connection.command(SET_VOLUME[Kind.PLAYBACK], index, volume, done=answer.set_result)
    await answer
    return 1000 * (time.perf_counter() - started)


async def _timed(doing: Awaitable[object]) -> float:
    started = time.perf_counter()
    await doing
    return 1000 * (time.perf_counter() - started)


async def set_volume(bench: Bench) -> list[Line]:
    """Set a stream's volume until it is in force and announced; programs only wait for the acknowledgement."""

    async def by_property(stream: Stream, level: float) -> float:
        path, value = bench.path(NAME, stream), Variant("d", level)
        return await _timed(call(bench.bus, path, PROPERTIES, "Set", f"{NAME}.Node", "Volume", value))

    numbers = wpctl_numbers(bench.session)
    ways: Ways = {
        IN_C: partial(_by_caller, bench, LIMIT),
        "SetVolume": partial(_by_caller, bench, NAME),
        "the property Volume, from Python": by_property,
    }
    beside: Ways = {
        BESIDE_PLAIN: partial(_by_caller, bench, LIMIT),
        IN_PYTHON: partial(_by_caller, bench, PLAIN),
    }
    programs: dict[str, Callable[[Stream, float], tuple[str, ...]]] = {
        "pactl": lambda s, level: ("pactl", "set-sink-input-volume", str(s["index"]), f"{level:.0%}"),
        "wpctl": lambda s, level: ("wpctl", "set-volume", str(numbers[s["app_name"]]), f"{level:.2f}"),
        "pulsemixer": lambda s, level: (
            *("pulsemixer", "--id", f"sink-input-{s['index']}"),
            *("--set-volume", f"{100 * level:.0f}"),
        ),
        "pamixer, of a sink": lambda _, level: (
            *("pamixer", "--sink", "speakers"),
            *("--set-volume", f"{100 * level:.0f}"),
        ),
    }
    samples: dict[str, list[float]] = {what: [] for what in [IN_C, IN_PYTHON, *ways, *programs, BESIDE_PLAIN]}
    streams = cycle(bench.streams)

    async def once(turn: int, ways: Ways) -> None:
        for what, way in rotated(list(ways.items()), turn):
            stream = next(streams)
            await bench.rested(stream["selector"])
            samples[what].append(await way(stream, bench.level(stream["selector"])))

    for block in blocks(bench.length.rounds):
        for turn in block:
            await once(turn, ways)
            for what, command in programs.items() if turn % PROGRAMS_EACH == 0 else ():
                stream = next(streams)
                await bench.rested(stream["selector"])
                samples[what].append(await bench.run(*command(stream, bench.level(stream["selector"]))))
        async with bench.plain_at_work():
            for turn in block:
                await once(turn, beside)
    return lines("set-volume", "ms", samples)


async def _by_caller(bench: Bench, name: str, stream: Stream, level: float) -> float:
    return (await bench.caller.ask("set", name, bench.target(name, stream), level))[0] / 1000


async def busy(bench: Bench) -> list[Line]:
    """Set a stream's volume while others change, so that a thousand notices a second have to be followed."""
    samples, rate = await _in_storm(bench, {IN_C: LIMIT, "SetVolume": NAME})
    async with bench.plain_at_work():
        beside, _ = await _in_storm(bench, {BESIDE_PLAIN: LIMIT, IN_PYTHON: PLAIN})
    found = lines("busy", "ms", samples | beside)
    return [*found, *lines("busy: notices", "1/s", {"volumes set meanwhile": [rate]})]


async def _in_storm(bench: Bench, names: Mapping[str, str]) -> tuple[dict[str, list[float]], float]:
    """Ask services by their names, in turns, during a storm; return milliseconds, and how many volumes a second were set."""
    mine, others = bench.streams[: len(bench.streams) // 2], bench.streams[len(bench.streams) // 2 :]
    samples: dict[str, list[float]] = {what: [] for what in names}
    another = await Caller.start(bench.folder, bench.session.env)
    await asyncio.sleep(REST_BEFORE)
    another.tell("flood", NOTICES, bench.length.flood, *(stream["index"] for stream in others))
    flood = asyncio.create_task(another.figures("flood", longest=bench.length.flood + 2 * LONGEST))
    streams, turn = cycle(mine), 0
    while not flood.done():
        for what, name in rotated(list(names.items()), turn):
            stream = next(streams)
            await bench.rested(stream["selector"])
            samples[what].append(await _by_caller(bench, name, stream, bench.level(stream["selector"])))
        turn += 1
    (sent,) = await flood
    await another.end()
    return samples, sent / bench.length.flood


REST_BEFORE = 0.5
"""Seconds of rest before a storm, so that what was asked before is over."""
