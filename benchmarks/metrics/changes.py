"""What another program changes, until somebody has heard of it: by our signal, by that of the limit, and by a shell pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from session import END_WITH_PARENT

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.rig import BUS, LIMIT, LONGEST, NAME, PLAIN, Bench, News, blocks, call

GRACE = 2.5
"""Seconds: what other mixers do to a stream in its first two is put right by the memory, and may never be seen."""

NOBODYS = 0.005
"""Added to a volume, it makes one that nobody else has left there, which would be no change."""

PIPELINES_EACH = 10
"""Rounds for each use of the pipeline, which starts a program."""

PIPELINE = """\
pactl subscribe | while read -r line; do
  case $line in *"'change' on sink-input"*)
    if [ -e {gate} ]; then pactl -f json list sink-inputs >/dev/null; echo "$line"; fi ;;
  esac
done"""
"""What scripts do: look at everything upon each line. The gate has it do so only when that is measured."""


async def external_change(bench: Bench) -> list[Line]:
    """Change a stream's volume with another program, over a connection that it keeps."""
    ways, beside = {IN_C: LIMIT, "PropertiesChanged": NAME}, {BESIDE_PLAIN: LIMIT, IN_PYTHON: PLAIN}
    names = (IN_C, IN_PYTHON, "PropertiesChanged", "pactl subscribe | while read", BESIDE_PLAIN)
    samples: dict[str, list[float]] = {name: [] for name in names}
    senders = await owners(bench)
    streams = cycle(bench.streams)

    async def once(names: Mapping[str, str]) -> None:
        """Change one stream, and wait until all of the services have told it."""
        stream = next(streams)
        awaited = [word for name in names.values() for word in (senders[name], bench.path(name, stream))]
        await bench.rested(stream["selector"])
        level = bench.level(stream["selector"]) + NOBODYS
        took = await bench.caller.ask("change", stream["index"], level, *awaited, longest=2 * LONGEST)
        for what, microseconds in zip(names, took, strict=True):
            samples[what].append(microseconds / 1000)

    gate = bench.session.runtime / "gate"
    async with _pipeline(bench, gate) as news:
        await asyncio.sleep(GRACE)
        await _until_it_prints(bench, gate, news)
        for block in blocks(bench.length.rounds):
            for turn in block:
                await once(ways)
                if turn % PIPELINES_EACH == 0:
                    took = await _until_printed(bench, next(streams), gate, news)
                    samples["pactl subscribe | while read"].append(took)
            async with bench.plain_at_work():
                for _ in block:
                    await once(beside)
    return lines("external-change", "ms", samples)


async def owners(bench: Bench) -> dict[str, str]:
    """Return the unique names of the services, by which their signals are known."""
    return {
        name: await call(bench.bus, "/org/freedesktop/DBus", BUS, "GetNameOwner", name)
        for name in (LIMIT, PLAIN, NAME)
    }


async def _until_printed(bench: Bench, stream: Mapping[str, Any], gate: Path, news: News) -> float:
    """Change a stream; return the milliseconds until the pipeline has told it."""
    await bench.rested(stream["selector"])
    gate.touch()
    printed = news.of(f"Event 'change' on sink-input #{stream['index']}")
    started = asyncio.get_running_loop().time()
    await bench.caller.ask("server", stream["index"], bench.level(stream["selector"]) + NOBODYS)
    heard = await asyncio.wait_for(printed, LONGEST)
    gate.unlink()
    return 1000 * (heard - started)


async def _until_it_prints(bench: Bench, gate: Path, news: News) -> None:
    """Change a stream until the pipeline tells: on a busy machine its program may take long to listen."""
    stream = bench.streams[0]
    printed = news.of(f"Event 'change' on sink-input #{stream['index']}")
    gate.touch()
    async with asyncio.timeout(2 * LONGEST):
        while not printed.done():
            await bench.caller.ask("server", stream["index"], bench.level(stream["selector"]) + NOBODYS)
            await asyncio.wait((printed,), timeout=1)
    gate.unlink()


@asynccontextmanager
async def _pipeline(bench: Bench, gate: Path) -> AsyncIterator[News]:
    """Run the pipeline; what it prints is news."""
    news = News(bench.bus)
    process = await asyncio.create_subprocess_exec(
        *(*END_WITH_PARENT, "sh", "-c", PIPELINE.format(gate=gate)),
        env=bench.session.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    reading = asyncio.create_task(news.read_lines(process.stdout))
    try:
        yield news
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await asyncio.gather(process.wait(), reading)
