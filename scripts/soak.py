#!/usr/bin/env python3
"""What takes too long for the everyday tests: the real service in a private session, round after round.

A trial is a function in TRIALS that raises BrokenPromiseError as soon as the service does not do what it promises, and
returns what it has seen. The same seed asks for the same rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import shm_storm
from dbus_fast.aio import MessageBus
from session import Session, SessionError
from take_overs import Load, LostError, Relay, complaints, descriptors, kept, left_behind, load_of

from benchmarks.rig import NAME, PROPERTIES, ROOT, SERVICE, News, call, connected, listen
from pwmixer_dbus.config.store import StateFile
from pwmixer_dbus.core.memory import APPS, KnownApp, Level, Memory

PROMISE = 0.5
"""Seconds after which what was answered is on the disk."""

FOR_THE_DISK = 0.25
"""How many of them a write may take; what a slower disk loses is told, and is no fault of the service."""

COUNTER = "bin:counter"
STEP = 0.0001
"""From one volume to the next; the finest that is kept, so that each of a life is told from the others."""

CREATED, MOVED_TO = 0x100, 0x80  # from <sys/inotify.h>


class BrokenPromiseError(Exception):
    """The service has not done what it promises; the message says what."""


# --- kills


@dataclass(slots=True)
class Life:
    """One life of the service: the volumes that it answered and when, and when its writes began and ended."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    killed_at: float = 0.0

    @property
    def slowest(self) -> float:
        """The seconds that the slowest write took; the last may have been cut short by the kill."""
        return max(
            (end - begin for begin, end in zip(self.began, [*self.ended, self.killed_at], strict=False)),
            default=0.0,
        )


class Folder:
    """Tells of the writes in the state folder as the kernel sees them: a temporary file comes, and gets the name."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.life = Life()
        self._name = path.name
        self._begun: asyncio.Future[None] | None = None
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path.parent), CREATED | MOVED_TO) < 0:
            raise SessionError(f"{path.parent} cannot be watched: {os.strerror(ctypes.get_errno())}")
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    async def next_write(self) -> None:
        """Wait until the next write begins."""
        self._begun = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(self._begun, 10)

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        now, data = time.monotonic(), os.read(self._descriptor, 1 << 16)
        while data:
            mask, length = (
                int.from_bytes(data[4:8], sys.byteorder),
                int.from_bytes(data[12:16], sys.byteorder),
            )
            name, data = data[16 : 16 + length].rstrip(b"\0").decode(), data[16 + length :]
            if mask & CREATED and name.endswith(".tmp"):
                self.life.began.append(now)
                if self._begun is not None and not self._begun.done():
                    self._begun.set_result(None)
            elif mask & MOVED_TO and name == self._name:
                self.life.ended.append(now)


async def kills(session: Session, rounds: int, dice: random.Random) -> list[str]:
    """Kill the service, most times in the middle of a write: what was answered half a second before is never lost.

    An application that does not run is set all the time, as fast as answers come. A write is known to have begun when
    its temporary file comes; the kill follows a random part of the time that writes take. A temporary file that is left
    says that it was in time. The file is a large one, so that there is a middle. Where few are in time, since the disk is
    quick, there are more of them, up to four times as many.
    """
    path = session.state
    prepare(path)
    bus = await connected(session.env)
    await listen(bus, "type='signal',member='NameOwnerChanged'")
    news, folder = News(bus), Folder(path)
    takes, hits, slow, losses, volume = [0.01], 0, 0, [0.0], 1.0
    number = 0
    while number < rounds or (hits < rounds / 3 and number < 4 * rounds):
        number += 1
        folder.life = life = Life()
        up = news.of(NAME)
        service = session.spawn("pwmixer", *SERVICE)
        await asyncio.wait_for(up, 20)
        await expect(bus, volume, number - 1)
        drag = asyncio.create_task(set_all_the_time(bus, life))
        await moment(folder, dice, median(takes))
        life.killed_at = time.monotonic()
        service.send_signal(signal.SIGKILL)
        down = news.of(NAME)
        service.wait(10)
        drag.cancel()
        await asyncio.wait((drag,))
        if not down.done():
            await asyncio.wait_for(down, 10)
        hits += sweep(path)
        volume, lost, is_slow = outcome(path, life, volume, number)
        losses.append(lost)
        slow += is_slow
        takes += [end - begin for begin, end in zip(life.began, life.ended, strict=False)]
    folder.close()
    bus.disconnect()
    if hits < rounds / 3:
        raise BrokenPromiseError(
            f"only {hits} of {number} kills were in the middle of a write, which shows nothing"
        )
    seen = [
        f"{number} kills, {hits} of them in the middle of a write; a write takes {median(takes) * 1000:.1f} ms",
        f"lost at most the last {max(losses) * 1000:.0f} ms of what was answered, never the file",
    ]
    if slow:
        seen.append(f"the disk took longer than {FOR_THE_DISK * 1000:.0f} ms at {slow} of them")
    return seen


def prepare(path: Path) -> None:
    """Write as much as is ever remembered."""
    others = {
        f"bin:{i}": KnownApp(app_id=f"bin:{i}", name=f"Somebody {i}", levels={"playback": Level(volume=0.5)})
        for i in range(APPS - 1)
    }
    memory = Memory(
        apps={
            **others,
            COUNTER: KnownApp(app_id=COUNTER, name="Counter", levels={"playback": Level(volume=1.0)}),
        }
    )
    file = StateFile(path)
    file.load()
    file.schedule(memory)
    file.flush()


async def set_all_the_time(bus: MessageBus, life: Life) -> None:
    """Set one volume after the other, and note what is answered, until the service has gone."""
    with contextlib.suppress(SessionError):
        for number in range(1, 10_000):
            volume = round(number * STEP, 4)
            await call(bus, ROOT, NAME, "SetVolume", f"app:{COUNTER}", volume, {})
            life.answered.append((volume, time.monotonic()))


async def moment(folder: Folder, dice: random.Random, write: float) -> None:
    """Wait for the moment to kill: one time in four any, else a random part of a write."""
    if dice.random() < 1 / 4:
        await asyncio.sleep(dice.uniform(0.0, 1.0))
        return
    await asyncio.sleep(dice.uniform(0.3, 0.6))
    await folder.next_write()
    until = time.perf_counter() + dice.uniform(0.0, write)
    while time.perf_counter() < until:
        pass  # a timer of the loop is late by up to a millisecond, which is a whole write


async def expect(bus: MessageBus, volume: float, number: int) -> None:
    """Look whether the service has read what was saved."""
    state = await call(bus, ROOT, NAME, "Describe", {})
    apps = {app["app_id"]: app["volume"] for app in json.loads(state)["apps"]}
    if len(apps) != APPS or apps[COUNTER] != volume:
        raise BrokenPromiseError(
            f"after kill {number}: {len(apps)} applications are known, the counter at {apps.get(COUNTER)}, not {volume}"
        )


def sweep(path: Path) -> int:
    """Remove the temporary file that a kill has left; return whether there was one."""
    left = list(path.parent.glob(f".{path.name}.*.tmp"))
    for file in left:
        file.unlink()
    return len(left)


def outcome(path: Path, life: Life, before: float, number: int) -> tuple[float, float, bool]:
    """Return what the file says, of what time the answers were lost, and whether that was for want of a quick disk."""
    file = StateFile(path)
    memory = file.load()
    file.flush()  # the service is the next one to have it
    if file.problem or list(path.parent.glob("*.corrupt-*")) or len(memory.apps) != APPS:
        raise BrokenPromiseError(f"kill {number}: the file is damaged ({len(memory.apps)} entries)")
    level = memory.apps[COUNTER].levels.get("playback", Level()).volume or 0.0
    places = {volume: place for place, (volume, _) in enumerate(life.answered)}
    # What was saved last may never have been answered, and is then the one after the last that was.
    place = places.get(level, len(life.answered) if life.answered and level > life.answered[-1][0] else -1)
    if place < 0 and level != before:
        raise BrokenPromiseError(f"kill {number}: {level} is in the file, which nobody has set")
    lost = [at for _, at in life.answered[place + 1 :]]
    since = life.killed_at - lost[0] if lost else 0.0
    if since <= PROMISE:
        return level, since, False
    if life.slowest > FOR_THE_DISK:
        return level, since, True
    raise BrokenPromiseError(f"kill {number}: what was answered {since * 1000:.0f} ms before is lost")


# --- storm

READS = 50_000
"""By all readers of the shared memory together, in one round."""


async def storm(_session: Session, rounds: int, _dice: random.Random) -> list[str]:
    """Read the shared memory while everything in it changes; no state may be torn, and none older than it has to be."""
    changes, found = await asyncio.to_thread(shm_storm.storm, rounds * READS)
    if len(found) != shm_storm.READERS or any(one.torn or one.stale for one in found):
        raise BrokenPromiseError("\n".join(shm_storm.told(one) for one in found) or "the readers have failed")
    return [f"{changes} publications", *(shm_storm.told(one) for one in found)]


# --- take-overs

TWINS = 10
"""In one of so many rounds, two instances take over at the same time."""

DESCRIBE = (NAME, ROOT, NAME, "Describe", "a{sv}", "0")
APPS_THAT_PLAY, APPS_THAT_DO_NOT = ("Film", "Game", "Radio", "Talk"), ("Alarm", "Bell")


async def take_overs(session: Session, rounds: int, dice: random.Random) -> list[str]:
    """Let one instance after the other take over while a dozen clients call, set, step, watch and hold.

    No call may fail or stay unanswered, no step and no volume may be lost or carried out twice, a hold and a fade go on,
    all keep their numbers, and nothing is left behind: no process, no descriptor, no file, and no memory.
    """
    session.add_null_sink("speakers", "Speakers")
    session.pactl("set-default-sink", "speakers")
    for name in (*APPS_THAT_PLAY, "Held", "Dusk"):
        session.play(name)
    first = session.spawn("pwmixer-0", *SERVICE)

    def knows(name: str) -> bool:
        return name in session.run("busctl", "--user", "call", *DESCRIBE, check=False)

    session.wait_for(lambda: knows("Dusk"), "the streams")
    for name in APPS_THAT_DO_NOT:
        player = session.play(name)
        session.wait_for(lambda: knows(name), f"{name} to be known")  # noqa: B023
        player.kill()
    playing = len(APPS_THAT_PLAY) + 2
    session.wait_for(
        lambda: len(session.pactl("list", "short", "sink-inputs").splitlines()) == playing,
        "the others to end",
    )
    relay = Relay(session, first)
    load = await load_of(
        session,
        [f"name:{n.lower()}" for n in APPS_THAT_PLAY],
        [f"name:{n.lower()}" for n in APPS_THAT_DO_NOT],
        dice,
    )
    await load.holder.ask("FadeVolume", "sdua{sv}", "app:dusk", 0.1, 3_600_000, {})
    try:
        found, used = await taken_over(relay, load, rounds)
    except LostError as lost:
        raise LostError("\n".join((str(lost), *complaints(session)))) from lost
    finally:
        await load.end()
    answers, signals = sum(caller.answers for caller in load.callers), sum(load.signals)
    with contextlib.suppress(SessionError):  # the last one may be writing its state file
        session.wait_for(lambda: not left_behind(session), "nothing to be left behind")
    left, said = left_behind(session), complaints(session)
    if left or said:
        raise BrokenPromiseError("\n".join((*left, *said)))
    return [
        f"{rounds} take-overs; {answers} calls answered as they should, {signals} signals",
        f"longest time without an answer: median {median(found):.0f} ms, 99 % {sorted(found)[int(0.99 * (len(found) - 1))]:.0f} ms, most {max(found):.0f} ms",
        f"memory of its own {used[0][0] / 2**20:.1f} MiB of the first, {used[-1][0] / 2**20:.1f} MiB of the last; descriptors {used[0][1]} and {used[-1][1]}",
    ]


async def taken_over(relay: Relay, load: Load, rounds: int) -> tuple[list[float], list[tuple[int, int]]]:
    """Take over; return the longest time without an answer of each in ms, and the memory and descriptors of each heir."""
    before, found, used = await seen(load), [], []
    for number in range(rounds):
        load.asking.begin()
        await relay.take_over(2 if number % TWINS == TWINS - 1 else 1)
        load.check()
        found.append(1000 * load.asking.longest)
        now = await seen(load)
        if now.same != before.same or now.generation < before.generation or now.fading > before.fading:
            raise BrokenPromiseError(f"take-over {number + 1}: {before} has become {now}")
        before = now
        used.append((kept(relay.process.pid), descriptors(relay.process.pid)))
    return found, used


@dataclass(frozen=True, slots=True)
class Sight:
    """What clients see after a take-over: what has to be the same, and what may only go one way."""

    same: object
    generation: int
    fading: float


async def seen(load: Load) -> Sight:
    """Look at the service as a client does."""
    state = await load.holder.describe()
    holds = await load.holder.ask("Get", "ss", NAME, "Holds", interface=PROPERTIES)
    same = (
        sorted((s["number"], s["index"], s["app_id"], s["device"]) for s in state["streams"]),
        [app["app_id"] for app in state["apps"]],
        [hold["cookie"].value for hold in holds.value],
    )
    (fading,) = [s["volume"] for s in state["streams"] if s["app_id"] == "name:dusk"]
    return Sight(same, int(state["generation"]), float(fading))


# --- all trials

TRIALS: dict[str, Callable[[Session, int, random.Random], Coroutine[Any, Any, list[str]]]] = {
    "kills": kills,
    "storm": storm,
    "take-overs": take_overs,
}


def main() -> int:
    """Parse the command line, run the trial, and print what it has seen."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trial", choices=TRIALS)
    parser.add_argument("--rounds", type=int, default=200, metavar="N", help="how often (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the dice (0)")
    options = parser.parse_args()
    dice = random.Random(options.seed)  # noqa: S311 - no secret
    try:
        with Session() as session:
            for line in asyncio.run(TRIALS[options.trial](session, options.rounds, dice)):
                print(line)
    except (SessionError, BrokenPromiseError, LostError, TimeoutError) as error:
        print(f"soak: {error or 'something that was to happen did not'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
