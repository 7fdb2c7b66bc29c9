"""What Python and the libraries occupy before the first line of a service: how much of the target for memory is left for it.

A program of a few lines takes one step more each time, once as any program would, and once with what makes ours small: the
byte code from its file, modules that come later, pages that are given back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from itertools import accumulate

from session import END_WITH_PARENT, SessionError

from benchmarks.figures import Line, lines
from benchmarks.metrics.memory import sizes
from benchmarks.metrics.starts import another_bus, ended
from benchmarks.rig import LONGEST, NAME, ROOT, SERVICE, Bench

STEPS: Mapping[str, str] = {
    "Python": "import sys",
    "and asyncio": """
import asyncio
runner = asyncio.Runner()
runner.run(asyncio.sleep(0))""",
    "and json, logging, pathlib, tomllib": "import json, logging, pathlib, tomllib",
    "and libpulse": """
import ctypes.util
libpulse = ctypes.CDLL("libpulse.so.0")""",
    "and pulsectl-asyncio, connected": """
ctypes.util.find_library = lambda name: None  # else pulsectl runs a compiler to find it
from pulsectl_asyncio.pulsectl_async import PulseAsync
async def connect():
    pulse = PulseAsync("floor")
    await pulse.connect()
    return pulse
pulse = runner.run(connect())""",
    "and dbus-fast, connected": """
from dbus_fast.aio import MessageBus
async def connect():
    return await MessageBus().connect()
bus = runner.run(connect())""",
    "and our modules": """
import pwmixer_dbus.daemon
import pwmixer_dbus.outlets.barsignal, pwmixer_dbus.outlets.osd, pwmixer_dbus.outlets.stats
import pwmixer_dbus.outlets.shm.outlet, pwmixer_dbus.outlets.socket.listener""",
}
"""What each program does beyond the one before it."""

AS_OURS = """
import gc, os, sys
gc.disable()
sys.modules["ssl"] = None
from pwmixer_dbus.startup import bundle
finder = bundle.Finder(bundle.folder_of(os.environ))
sys.meta_path.insert(0, finder)
from pwmixer_dbus.startup import later
putting_off = later.put_off()
putting_off.__enter__()
from pwmixer_dbus.core import records
vars(records)["exec"] = finder.execute
"""
"""As `pwmixer_dbus.start` does it."""

SETTLED_DOWN = """
finder.learned()
putting_off.__exit__(None, None, None)
from pwmixer_dbus.startup import settled
settled.settle(lambda do: do())
"""

THEIR_LOOP = "from pulsectl_asyncio.pulsectl_async import PulseAsync"
OUR_LOOP = f"import pwmixer_dbus.pulse.libpulse\n{THEIR_LOOP}"
"""What makes `PulseAsync` run on our main loop."""

WAIT = "\nprint(flush=True)\nsys.stdin.read()"

LISTED = "the service, listed"

SETTLED = 1.0
"""Seconds after the first listing: nothing is loaded any more, and all has been given back."""

TURNS = 3


async def floor(bench: Bench) -> list[Line]:
    """Measure each step, and last of all the service when it has listed all streams and done nothing else."""
    programs = dict(zip(STEPS, accumulate(STEPS.values(), lambda done, step: f"{done}\n{step}"), strict=True))
    ours = {
        f"{what}, as ours": f"{AS_OURS}{text.replace(THEIR_LOOP, OUR_LOOP)}{SETTLED_DOWN}"
        if text != STEPS["Python"]
        else text
        for what, text in programs.items()
    }
    turns = min(TURNS, bench.length.starts)
    found: dict[str, list[dict[str, float]]] = {}
    for what, text in [*programs.items(), *ours.items()] * turns:
        found.setdefault(what, []).append(await _occupied(bench, text))
    found[LISTED] = [size async for size in _listed(bench, turns)]
    return [
        line
        for kind in ("own", "resident")
        for line in lines(
            f"floor: {kind}", "MiB", {what: [size[kind] for size in each] for what, each in found.items()}
        )
    ]


async def _occupied(bench: Bench, text: str) -> dict[str, float]:
    """Return what a program occupies when it has done what it does, as `sizes` does."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *END_WITH_PARENT, sys.executable, "-c", text + WAIT, env=bench.session.env, stdin=pipe, stdout=pipe
    )
    if process.stdin is None or process.stdout is None:
        raise SessionError("the program has no pipes")
    if not await asyncio.wait_for(process.stdout.readline(), LONGEST):
        raise SessionError("a program of the floor has failed, and said why")
    found = sizes(process.pid)
    process.stdin.close()
    await process.wait()
    return found


async def _listed(bench: Bench, turns: int) -> AsyncIterator[dict[str, float]]:
    """Start the service so many times, on a bus of its own, and go through its sizes."""
    async with another_bus(bench) as (other, env, news):
        for turn in range(turns):
            state = news.of(ROOT)
            process = other.spawn(f"service-{turn}", *SERVICE, env=env)
            await asyncio.wait_for(state, LONGEST)
            await asyncio.sleep(SETTLED)
            yield sizes(process.pid)
            await ended(process, NAME, news)
