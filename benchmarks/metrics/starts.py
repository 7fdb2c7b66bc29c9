"""Starting the service, by hand and by a call, and editing its configuration."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

from session import Session

from benchmarks.figures import Line, lines
from benchmarks.peers import IN_C, IN_PYTHON
from benchmarks.rig import (
    BUS,
    LIMIT,
    LONGEST,
    NAME,
    PLAIN,
    PLAIN_SERVICE,
    PROPERTIES,
    ROOT,
    SERVICE,
    Bench,
    News,
    call,
    connected,
    listen,
    switch_everything_on,
    write_bundle,
)

RULES = "".join(
    f'[[rules]]\nname = "Rule {i}"\nmatch.media_name = "re:^Song {i} (?:live|remix)"\nto = "headset"\n'
    for i in range(100)
)
OWNED = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0namespace='org.pwmixer'"
TOLD = f"type='signal',path='{ROOT}',interface='{PROPERTIES}',arg0='{NAME}'"


@asynccontextmanager
async def another_bus(bench: Bench) -> AsyncIterator[tuple[Session, Mapping[str, str], News]]:
    """Open a bus beside that of the benchmark, with the same sound server and everything switched on.

    Yields its session, the environment for what is started there, and news of who owns a name and what our root tells.
    """
    with Session(sound=False) as other:
        switch_everything_on(other)
        env = {**other.env, "PULSE_SERVER": bench.session.env["PULSE_SERVER"]}
        write_bundle(other, env)
        bus = await connected(env)
        await listen(bus, OWNED)
        await listen(bus, TOLD)
        yield other, env, News(bus)
        bus.disconnect()


async def ended(process: subprocess.Popen[bytes], name: str, news: News) -> None:
    """End a service, and wait until its name is free."""
    gone = news.of(name)
    process.terminate()
    await asyncio.wait_for(gone, LONGEST)
    process.wait(LONGEST)


async def start_up(bench: Bench) -> list[Line]:
    """Start the service on a bus of its own, in the same sound session: to its name, and to the first snapshot."""
    samples: dict[str, list[float]] = {
        "python -c pass": [],
        IN_C: [],
        IN_PYTHON: [],
        "exec to name owned": [],
        "exec to first snapshot": [],
    }
    python, _, _, owned, snapshot = samples.values()
    peers = {
        IN_C: (LIMIT, (str(bench.folder / "mixer"), LIMIT)),
        IN_PYTHON: (PLAIN, (*PLAIN_SERVICE, PLAIN)),
    }
    async with another_bus(bench) as (other, env, news):
        for turn in range(bench.length.starts):
            is_owned = news.of(NAME)
            started = time.perf_counter()
            process = other.spawn(f"service-{turn}", *SERVICE, env=env)
            owned.append(1000 * (await asyncio.wait_for(is_owned, LONGEST) - started))
            state = news.of(ROOT)  # not before, since the one before may have told its end
            snapshot.append(1000 * (await asyncio.wait_for(state, LONGEST) - started))
            await ended(process, NAME, news)
            python.append(await bench.run(sys.executable, "-c", "pass"))
            for what, (name, command) in peers.items():
                samples[what].append(await _listed(other, env, news, name, command))
    return lines("start-up", "ms", samples)


async def _listed(
    other: Session, env: Mapping[str, str], news: News, name: str, command: Sequence[str]
) -> float:
    """Start one of the limits; return the milliseconds until it has listed all."""
    state = news.of(ROOT)
    started = time.perf_counter()
    process = other.spawn(name, *command, env=env)
    took = 1000 * (await asyncio.wait_for(state, LONGEST) - started)
    await ended(process, name, news)
    return took


async def edit(bench: Bench) -> list[Line]:
    """Edit config.toml, with a hundred rules, until it is in force: the first edit in a run, and the next."""
    samples: dict[str, list[float]] = {"first edit of config.toml": [], "next edit": []}
    with Session(sound=False) as other:
        write_bundle(other)
        bus = await connected(other.env)
        news = News(bus)
        await listen(bus, OWNED)
        await listen(bus, TOLD)
        file = other.config
        file.parent.mkdir()
        for turn in range(bench.length.starts):
            file.unlink(missing_ok=True)
            name = news.of(NAME)
            process = other.spawn(f"service-{turn}", *SERVICE)
            await asyncio.wait_for(name, LONGEST)
            await call(bus, ROOT, NAME, "Describe", {})
            for place, values in enumerate(samples.values()):
                in_force = news.of(ROOT)
                started = time.perf_counter()
                file.write_text(f"[volume]\nmax = 0.{place + 1}\n{RULES}")
                values.append(1000 * (await asyncio.wait_for(in_force, LONGEST) - started))
            await ended(process, NAME, news)
        bus.disconnect()
    return lines("edit", "ms", samples)


async def first_call(bench: Bench) -> list[Line]:
    """Call the service while it does not run: the bus starts it, as on a desktop that has no systemd."""
    samples = {}
    for what, server in (
        ("first Describe", bench.session.env["PULSE_SERVER"]),
        ("without a sound server", ""),
    ):
        values = await _activations(bench.length.starts, server)
        samples[what] = values
        samples[f"{what}, 95th percentile"] = [quantiles(values, n=20)[18]]
    return lines("first-call", "ms", samples)


async def _activations(count: int, server: str) -> list[float]:
    """Measure the first call so many times, in milliseconds; `server` is the sound server's address, "" for none."""
    other = Session(sound=False)
    other.env.update({"PULSE_SERVER": server} if server else {})
    values = []
    with other:
        write_bundle(other)
        services = Path(other.env["XDG_DATA_HOME"], "dbus-1", "services")
        services.joinpath(f"{NAME}.service").write_text(
            f"[D-BUS Service]\nName={NAME}\nExec={' '.join(SERVICE)}\n"
        )
        bus = await connected(other.env)
        news = News(bus)
        await listen(bus, OWNED)
        await call(bus, "/org/freedesktop/DBus", BUS, "ReloadConfig")
        for _ in range(count):
            started = time.perf_counter()
            await call(bus, ROOT, NAME, "Describe", {})
            values.append(1000 * (time.perf_counter() - started))
            process = await call(bus, "/org/freedesktop/DBus", BUS, "GetConnectionUnixProcessID", NAME)
            gone = news.of(NAME)
            os.kill(process, signal.SIGTERM)
            await asyncio.wait_for(gone, LONGEST)
        bus.disconnect()
    return values
