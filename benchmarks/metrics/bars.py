"""A bar, until it draws what has changed: waybar with its own pulseaudio module, and with ours, side by side in a headless sway.

Where waybar and sway are missing (`scripts/desktop waybar` installs them) there are no lines. That it draws is read from the
protocol between it and sway.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pulsectl
from desktop_waybar import sway
from session import END_WITH_PARENT, Session

from benchmarks.figures import Line, lines
from benchmarks.rig import (
    LONGEST,
    ROOT,
    SERVICE,
    Length,
    News,
    connected,
    in_thread,
    listen,
    switch_everything_on,
)

OWN, OURS = "waybar's own pulseaudio module", "waybar with pwmixerctl waybar"
MODULES: dict[str, dict[str, Any]] = {
    OWN: {"modules-left": ["pulseaudio"], "pulseaudio": {"format": "{volume}%"}},
    OURS: {
        "modules-left": ["custom/volume"],
        "custom/volume": {
            "exec": f"{Path(sys.executable).with_name('pwmixerctl')} waybar",
            "return-type": "json",
        },
    },
}
DRAWN = b".commit()"
ROUNDS_EACH = 10
STARTED = 1.5
"""Seconds after which the program of a bar's module has started as well."""

QUIET = 0.3
"""Seconds between two changes, after which a bar has drawn all of the one before."""


async def bars(length: Length) -> list[Line]:
    """Change the default sink's volume with another program until each bar draws."""
    if not (shutil.which("waybar") and shutil.which("sway")):
        print("bench: without waybar, which is not installed", file=sys.stderr)
        return []
    samples: dict[str, list[float]] = {OWN: [], OURS: [], "PropertiesChanged of that": []}
    with Session() as session, ThreadPoolExecutor(1) as thread:
        session.add_null_sink("speakers", "Speakers")
        session.pactl("set-default-sink", "speakers")
        session.play("Radio", sink="speakers")
        switch_everything_on(session)
        bus = await connected(session.env)
        news = News(bus)
        await listen(bus, f"type='signal',path='{ROOT}'")
        owned = news.of(ROOT)
        session.spawn("pwmixer", *SERVICE)
        await asyncio.wait_for(owned, LONGEST)
        await listen(bus, f"type='signal',path='{ROOT}/sinks/speakers'")
        with sway(session) as display:
            async with _bar(session, display, OWN) as own, _bar(session, display, OURS) as ours:
                pulse = await in_thread(
                    thread, lambda: pulsectl.Pulse("another", server=session.env["PULSE_SERVER"])
                )
                (sink,) = await in_thread(thread, pulse.sink_list)
                for turn in range(max(3, length.rounds // ROUNDS_EACH)):
                    signal = news.of(f"{ROOT}/sinks/speakers")
                    waiting = (own.next_drawn(), ours.next_drawn(), signal)
                    started = time.perf_counter()
                    await in_thread(
                        thread, partial(pulse.volume_set_all_chans, sink, (20 + turn * 7 % 70) / 100)
                    )
                    for what, heard in zip(
                        samples, await asyncio.wait_for(asyncio.gather(*waiting), LONGEST), strict=True
                    ):
                        samples[what].append(1000 * (heard - started))
                    await asyncio.sleep(QUIET)
                await in_thread(thread, pulse.close)
        bus.disconnect()
    return lines("bar", "ms", samples)


class Bar:
    """A waybar that says what it asks of the compositor."""

    def __init__(self, said: asyncio.StreamReader) -> None:
        self._awaited: asyncio.Future[float] | None = None
        self._reading = asyncio.create_task(self._read(said))

    def next_drawn(self) -> asyncio.Future[float]:
        """Return what will be the moment when it has drawn next."""
        self._awaited = asyncio.get_running_loop().create_future()
        return self._awaited

    async def _read(self, said: asyncio.StreamReader) -> None:
        while line := await said.readline():
            if DRAWN in line and self._awaited is not None and not self._awaited.done():
                self._awaited.set_result(time.perf_counter())


@asynccontextmanager
async def _bar(session: Session, display: Path, what: str) -> AsyncIterator[Bar]:
    folder = session.runtime / what.replace(" ", "-")
    folder.mkdir()
    config, style = folder / "bar.json", folder / "bar.css"
    config.write_text(json.dumps({"layer": "top", "height": 34, **MODULES[what]}))
    style.write_text("* { font-size: 15px; }")
    process = await asyncio.create_subprocess_exec(
        *(*END_WITH_PARENT, "waybar", "-c", str(config), "-s", str(style)),
        env={**session.env, "WAYLAND_DISPLAY": str(display), "WAYLAND_DEBUG": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    bar = Bar(process.stderr)
    try:
        await asyncio.wait_for(bar.next_drawn(), LONGEST)
        await asyncio.sleep(STARTED)
        yield bar
    finally:
        process.terminate()
        await process.wait()
