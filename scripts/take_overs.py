"""Take-overs, one after the other, while clients call all the time: what they ask for has to be so, and each is answered.

Used by the benchmark, with one client, and by the soak, with a dozen.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from benchmarks.rig import NAME, PROPERTIES, ROOT, SERVICE, connected, listen

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

    from session import Session

STEP = 0.001
"""Of the volumes that are stepped; a step that is lost or carried out twice shows in the next answer."""

PAUSE = 0.01
"""Seconds between two requests of each client but one, so that the service is busy and not drowned."""

PATIENCE = 30.0
"""Seconds after which a call or a take-over is lost, on a machine that has other things to do as well."""


MISTAKES = ("ERROR", "WARNING", "Traceback")


class LostError(Exception):
    """Something has been lost on the way from one instance to the next; the message says what."""


@dataclass(slots=True)
class Caller:
    """A connection that calls the service, and knows when it was answered last and the longest time without an answer."""

    bus: MessageBus
    answers: int = 0
    longest: float = 0.0
    is_over: bool = False
    """Whether it is to ask for no more; to cancel it would not do, since asyncio.wait_for may swallow that."""
    _answered_at: float = field(default_factory=time.perf_counter)

    async def ask(self, member: str, signature: str, *body: object, interface: str = NAME) -> Any:
        """Call a method of the root; return its first value. Raises LostError for a call that fails or is not answered."""
        message = Message(
            destination=NAME,
            path=ROOT,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            reply = await asyncio.wait_for(self.bus.call(message), PATIENCE)
        except TimeoutError:
            raise LostError(f"{member}{body} was not answered within {PATIENCE:g} s") from None
        if reply is None or reply.message_type is MessageType.ERROR:
            raise LostError(f"{member}{body} failed: {reply and (reply.error_name, reply.body)}")
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._answered_at)
        self._answered_at = now
        self.answers += 1
        return reply.body[0] if reply.body else None

    def begin(self) -> None:
        """Forget the longest time; a new one begins now."""
        self.longest, self._answered_at = 0.0, time.perf_counter()

    async def describe(self) -> Any:
        """Return the whole state."""
        return json.loads(await self.ask("Describe", "a{sv}", {}))


async def ask_all_the_time(caller: Caller) -> None:
    """Read a property without a pause."""
    while not caller.is_over:
        await caller.ask("Get", "ss", NAME, "MaxVolume", interface=PROPERTIES)


async def step_all_the_time(caller: Caller, target: str) -> None:
    """Step a volume up and down; each answer has to be one step from the one before."""
    volume, direction = await caller.ask("SetVolume", "sda{sv}", target, 0.5, {}), 1
    while not caller.is_over:
        await asyncio.sleep(PAUSE)
        if not 0.1 < volume + direction * STEP < 0.9:  # noqa: PLR2004 - within which it goes up and down
            direction = -direction
        before, expected = volume, round(volume + direction * STEP, 4)
        volume = await caller.ask("AdjustVolume", "sda{sv}", target, direction * STEP, {})
        if volume != expected:
            raise LostError(f"{target} is at {volume} after a step from {before} to {expected}")


async def set_all_the_time(caller: Caller, app_id: str, dice: random.Random) -> None:
    """Set a volume and read it; it has to be that, whoever was asked for the one and for the other.

    On a busy machine it may show what was before for a moment: what the server has acknowledged is not waited for long.
    """
    before = volume = await volume_of(caller, app_id)
    while not caller.is_over:
        await asyncio.sleep(PAUSE)
        before, volume = (
            volume,
            dice.randint(10, 90) / 100,
        )  # of a finer one, the server may show another last digit
        await caller.ask("SetVolume", "sda{sv}", f"app:{app_id}", volume, {})
        deadline = time.monotonic() + PATIENCE
        while (found := await volume_of(caller, app_id)) != volume:
            if found != before or time.monotonic() > deadline:
                raise LostError(f"{app_id} is at {found} after it was set from {before} to {volume}")
            await asyncio.sleep(PAUSE)


async def volume_of(caller: Caller, app_id: str) -> float:
    """Return the volume that an application shows."""
    (found,) = [app["volume"] for app in (await caller.describe())["apps"] if app["app_id"] == app_id]
    return float(found)


class Relay:
    """Instances one after the other; `process` is the one that owns the name."""

    def __init__(self, session: Session, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._session = session
        self._count = 0

    async def take_over(self, heirs: int = 1) -> None:
        """Let another one take over, or several in whatever order; return when the others have ended well."""
        candidates = [self.process, *(self._start() for _ in range(heirs))]
        deadline = time.monotonic() + PATIENCE
        while len(alive := [each for each in candidates if each.poll() is None]) > 1:
            if time.monotonic() > deadline:
                raise LostError(f"{len(alive)} instances are left of {len(candidates)}")
            await asyncio.sleep(PAUSE)
        for each in candidates:
            if each.returncode not in {0, None}:
                raise LostError(f"an instance has ended with {each.returncode}")
        (self.process,) = alive

    def _start(self) -> subprocess.Popen[bytes]:
        self._count += 1
        return self._session.spawn(f"pwmixer-{self._count}", *SERVICE, "--replace")


async def gaps(
    session: Session, process: subprocess.Popen[bytes], count: int
) -> tuple[list[float], subprocess.Popen[bytes]]:
    """Take over so many times; return the longest time without an answer of each in ms, and the last instance."""
    relay, asking, found = Relay(session, process), Caller(await connected(session.env)), []
    asks = asyncio.create_task(ask_all_the_time(asking))
    for _ in range(count):
        asking.begin()
        await relay.take_over()
        found.append(1000 * asking.longest)
        if asks.done():
            asks.result()
    asking.is_over = True
    await asks
    asking.bus.disconnect()
    return found, relay.process


@dataclass(slots=True)
class Load:
    """Clients that call all the time, and what they want to be so after each take-over."""

    tasks: list[asyncio.Task[None]]
    callers: list[Caller]
    asking: Caller
    holder: Caller
    watchers: list[MessageBus]
    signals: list[int]
    cookie: int = 0

    def check(self) -> None:
        """Raise what has been lost."""
        for task in self.tasks:
            if task.done():
                task.result()

    async def end(self) -> None:
        """Leave."""
        for caller in self.callers:
            caller.is_over = True
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for bus in (*(caller.bus for caller in self.callers), *self.watchers):
            bus.disconnect()


async def load_of(session: Session, apps: Iterable[str], silent: Iterable[str], dice: random.Random) -> Load:
    """Let clients begin: one that asks without a pause, others that step and set, watchers, and one that holds."""
    names, quiet = list(apps), list(silent)
    callers = [Caller(await connected(session.env)) for _ in range(2 + len(names) + len(quiet))]
    asking, holder, *others = callers
    watchers, signals = [await connected(session.env) for _ in range(3)], [0, 0, 0]
    for place, bus in enumerate(watchers):
        bus.add_message_handler(partial(_count, signals, place))
        await listen(bus, f"type='signal',interface='{PROPERTIES}',path_namespace='{ROOT}'")
    works = [ask_all_the_time(asking)]
    for number, name in enumerate([*names, *quiet]):
        is_stepped = number % 2 == 0
        work = (
            step_all_the_time(others[number], f"app:{name}")
            if is_stepped
            else set_all_the_time(others[number], name, dice)
        )
        works.append(work)
    load = Load(
        tasks=[asyncio.create_task(work) for work in works],
        callers=callers,
        asking=asking,
        holder=holder,
        watchers=watchers,
        signals=signals,
    )
    load.cookie = await holder.ask("HoldRouting", "sss", "app:held", "a soak", "")
    return load


def _count(signals: list[int], place: int, message: Message) -> None:
    signals[place] += message.member == "PropertiesChanged"


def kept(pid: int) -> int:
    """Return the bytes that only this process has."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Private_Dirty:")))


def descriptors(pid: int) -> int:
    """Count the open descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only counted


def left_behind(session: Session) -> list[str]:
    """List what stands in the folders of the service but one socket, one file of shared memory and one state file."""
    runtime = session.runtime
    expected = {
        runtime / "pwmixer" / "socket",
        runtime / f"pwmixer-{os.getuid()}",
        session.state,
    }
    found = {
        *(runtime / "pwmixer").iterdir(),
        *(path for path in runtime.glob("pwmixer-*") if path.suffix != ".log"),
        *session.state.parent.iterdir(),
    }
    return sorted(str(path) for path in found ^ expected)


def complaints(session: Session) -> list[str]:
    """List what instances have logged that tells of a mistake."""
    found: list[str] = []
    for log in sorted(session.runtime.glob("pwmixer-*.log")):
        lines = log.read_text(errors="replace").splitlines()
        found += [f"{log.name}: {line}" for line in lines if any(word in line for word in MISTAKES)]
    return found
