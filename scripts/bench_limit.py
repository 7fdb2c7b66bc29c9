"""The service beside the limit: a small service in C that does the same work with a volume, on the same server and bus."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pulsectl
from dbus_fast import Message
from session import SessionError

if TYPE_CHECKING:
    from session import Session

PEERS = Path(__file__).parent.parent / "benchmarks" / "peers"
LIBRARIES = {"mixer": ("libpulse", "libsystemd"), "caller": ("libsystemd",)}
OURS, PEER = "org.pwmixer.Mixer", "org.pwmixer.PeerInC"
ROOT = "/org/pwmixer/Mixer"
FLOOD = 1000
"""Volumes a second that another mixer sets in the flood, over all streams."""

LONGEST = 5.0


@contextmanager
def built() -> Iterator[Path]:
    """Build the programs in C, and give the folder that they are in; raises SessionError where that cannot be."""
    compiler = shutil.which("cc")
    if compiler is None or shutil.which("pkg-config") is None:
        raise SessionError("there is no C compiler or no pkg-config; `scripts/setup --bench` installs them")
    with tempfile.TemporaryDirectory(prefix="pwm-") as folder:
        for name, libraries in LIBRARIES.items():
            flags = shlex.split(_said("pkg-config", "--cflags", "--libs", *libraries))
            _said(compiler, "-O2", "-o", str(Path(folder, name)), str(PEERS / f"{name}.c"), *flags)
        yield Path(folder)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SessionError(f"{command[0]} failed: {done.stderr.strip()}; `scripts/setup --bench` may help")
    return done.stdout


@dataclass(slots=True)
class Caller:
    """The client in C, so that what is timed is not the client."""

    process: asyncio.subprocess.Process
    words: asyncio.StreamWriter
    times: asyncio.StreamReader

    @classmethod
    async def start(cls, session: Session, folder: Path) -> Caller:
        """Start it in a session."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            folder / "caller", stdin=pipe, stdout=pipe, env=session.env
        )
        if process.stdin is None or process.stdout is None:
            raise SessionError("the caller has no pipes")
        return cls(process, process.stdin, process.stdout)

    async def ask(self, *words: object) -> float:
        """Carry out one call; return milliseconds."""
        self.words.write(f"{' '.join(map(str, words))}\n".encode())
        line = (await asyncio.wait_for(self.times.readline(), LONGEST)).decode().strip()
        if not line or line.startswith("-"):
            raise SessionError(f"{' '.join(map(str, words))} failed: {line or 'the caller has ended'}")
        return float(line) / 1000

    async def end(self) -> None:
        """Let it end."""
        self.words.close()
        await self.process.wait()


@dataclass(slots=True)
class Signals:
    """When the last PropertiesChanged of each sender and object was heard, and how many there were of each sender."""

    heard: dict[tuple[str, str], asyncio.Future[float]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def look(self, message: Message) -> None:
        """Take note of a signal."""
        if message.member != "PropertiesChanged" or "Volume" not in message.body[1]:
            return
        sender, path = message.sender or "", message.path or ""
        self.count[sender] = self.count.get(sender, 0) + 1
        future = self.heard.pop((sender, path), None)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())

    def of(self, sender: str, path: str) -> asyncio.Future[float]:
        """Return what will be the moment of the next one."""
        self.heard[sender, path] = future = asyncio.get_running_loop().create_future()
        return future


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Flood:
    """Another mixer that sets volumes in a thread of its own, at a steady pace, without waiting for answers."""

    def __init__(self, server: str, indexes: Sequence[int], seconds: float) -> None:
        self.sent = 0
        self._server, self._indexes, self._seconds = server, indexes, seconds
        self._thread = Thread(target=self._run)

    async def run(self) -> None:
        """Set volumes for the given time."""
        self._thread.start()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with pulsectl.Pulse("flood", server=self._server) as pulse:
            infos = {info.index: info for info in pulse.sink_input_list()}
            turn = cycle([infos[index] for index in self._indexes])
            started = time.monotonic()
            while (passed := time.monotonic() - started) < self._seconds:
                while self.sent < passed * FLOOD:
                    pulse.volume_set_all_chans(next(turn), (20 + self.sent * 7 % 70) / 100)
                    self.sent += 1
                time.sleep(0.0005)


Samples = dict[str, list[float]]


async def compared(bench: Any, folder: Path, flood_seconds: float) -> dict[str, tuple[str, Samples]]:
    """Measure both in turns; return for each benchmark its unit, and the samples of each row, the limit first."""
    session = bench.session
    peer = session.spawn("peer", str(folder / "mixer"), PEER)
    await asyncio.to_thread(session.wait_for, lambda: PEER in session.run("busctl", "--user", "list"), PEER)
    senders = {name: await _owner(bench.bus, name) for name in (PEER, OURS)}
    caller = await Caller.start(session, folder)
    signals = Signals()
    bench.bus.add_message_handler(signals.look)
    rows = {PEER: "a service in C", OURS: "pwmixer"}
    found: dict[str, tuple[str, Samples]] = {
        name: (unit, {what: [] for what in rows.values()})
        for name, unit in (
            ("limit: SetVolume", "ms"),
            ("limit: Get", "ms"),
            ("limit: change seen", "ms"),
            ("limit: flood", "%"),
            ("limit: own memory", "MiB"),
        )
    }
    streams = cycle(bench.streams)
    with pulsectl.Pulse("another", server=session.env["PULSE_SERVER"]) as another:
        infos = {info.index: info for info in another.sink_input_list()}
        for turn in range(bench.rounds):
            stream = next(streams)
            targets = {PEER: f"stream:{stream['index']}", OURS: stream["selector"]}
            paths = {
                PEER: f"{ROOT}/streams/{stream['index']}",
                OURS: f"{ROOT}/streams/{stream['number']}",
            }
            order = list(rows) if turn % 2 else list(reversed(rows))
            for place, name in enumerate(order):
                await bench.rested(stream["selector"])
                level = (20 + turn * 7 % 70 + place) / 100
                found["limit: SetVolume"][1][rows[name]].append(
                    await caller.ask("set", name, targets[name], level)
                )
                found["limit: Get"][1][rows[name]].append(await caller.ask("get", name, paths[name]))
            await bench.rested(stream["selector"])
            news = {name: signals.of(senders[name], paths[name]) for name in rows}
            started = time.perf_counter()
            await asyncio.to_thread(
                another.volume_set_all_chans, infos[stream["index"]], (91 + turn % 9) / 100
            )
            for name, future in news.items():
                heard = await asyncio.wait_for(future, LONGEST)
                found["limit: change seen"][1][rows[name]].append(1000 * (heard - started))
    pids = {PEER: peer.pid, OURS: bench.service.pid}
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    await Flood(session.env["PULSE_SERVER"], [s["index"] for s in bench.streams], flood_seconds).run()
    for name, pid in pids.items():
        share = 100 * (processor_seconds(pid) - before[name]) / flood_seconds
        found["limit: flood"][1][rows[name]].append(share)
        found["limit: own memory"][1][rows[name]].append(private_dirty(pid))
    bench.bus.remove_message_handler(signals.look)
    await caller.end()
    peer.terminate()
    peer.wait(LONGEST)
    return found


def private_dirty(pid: int) -> float:
    """Return the memory that only this process has, in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) / 1024
    raise SessionError(f"the kernel does not tell the memory of {pid}")


async def _owner(bus: Any, name: str) -> str:
    message = Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="GetNameOwner",
        signature="s",
        body=[name],
    )
    reply = await asyncio.wait_for(bus.call(message), LONGEST)
    return str(reply.body[0]) if reply.signature == "s" and str(reply.body[0]).startswith(":") else ""
