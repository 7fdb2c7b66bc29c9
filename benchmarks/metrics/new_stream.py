"""How soon a new stream is where a rule wants it, and how long it is heard elsewhere, with a hundred rules.

When the server's notice came and when the move was sent is read from the service's own trace. What goes to the wrong sink
is recorded from that sink's monitor. Beside it, in turns: a service in C that moves one application, a program that a rule
has moved before, a script of pactl, and a program that names its sink itself; and a service in plain Python, which then works in
the place of ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import IO, Any, Self

from dbus_fast import Variant
from session import END_WITH_PARENT, RATE, Session, SessionError

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.programs import built
from benchmarks.rig import (
    CAUGHT_UP,
    LIMIT,
    LONGEST,
    NAME,
    PLAIN,
    PLAIN_SERVICE,
    ROOT,
    SERVICE,
    Length,
    call,
    change_places,
    connected,
    delays_of,
    in_thread,
    pipe,
    rotated,
    switch_everything_on,
)

CROWD, RULES = 100, 100
QUIET = 0.15
"""Seconds after which nothing of a stream that has ended is on its way to a monitor any more."""

LAST = 600
"""Events of the service's trace, among which all are that a newcomer has caused."""

WRONG, RIGHT = "speakers", "headset"
LIMITED, RULED, AGAIN, SCRIPTED, BOUND = "limited", "ruled", "again", "scripted", "bound"
PLAINLY, BESIDE = "plainly", f"{LIMITED} beside"
NAMES = {
    LIMITED: IN_C,
    PLAINLY: IN_PYTHON,
    RULED: "a rule, at a program's first start",
    AGAIN: "a rule, at its next starts",
    SCRIPTED: "pactl subscribe, then pactl move",
    BOUND: "its program names the sink",
    BESIDE: BESIDE_PLAIN,
}
INSTEAD = {PLAINLY: PLAIN, BESIDE: LIMIT}
"""Who moves the newcomers that come while the limit in Python works in the place of ours."""
PLAYER = (sys.executable, str(Path(__file__).parent.parent / "player.py"))


def rules() -> str:
    """Write the rules: names, globs and regular expressions that match nobody, and last the one that matches."""
    forms = (
        'match.app = "Program {0}x"',
        'match.media_name = "*Site {0}*"',
        'match.app = "re:(?i)^tool {0}[a-f]+$"\nmatch.direction = "playback"',
        'match.media_name = ["*Radio {0}*", "re:^Song {0} (?:live|remix)"]',
    )
    tables = [
        f'[[rules]]\nname = "Rule {i}"\n{forms[i % len(forms)].format(i)}\nto = "{WRONG}"'
        for i in range(RULES - 1)
    ]
    tables.append(
        f'[[rules]]\nname = "Newcomers"\nmatch.app = "re:^(?:{RULED}|{AGAIN}) \\\\d+$"\nto = "{RIGHT}"'
    )
    return "\n".join(tables) + "\n"


class Monitor:
    """Counts the frames that are heard on a sink, by recording its monitor."""

    def __init__(self, session: Session, sink: str) -> None:
        command = ("parec", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=10")
        self._process = subprocess.Popen(
            (*command, f"--device={sink}.monitor"), env=session.env, stdout=subprocess.PIPE
        )
        self.frames = self.heard = 0
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(LONGEST)
        bytes_of(self._process).close()

    def _read(self) -> None:
        descriptor = bytes_of(self._process).fileno()
        while data := os.read(descriptor, 1 << 16):
            samples = memoryview(data[: len(data) & ~1]).cast("h")
            self.frames += len(samples)
            self.heard += sum(1 for sample in samples if sample) if any(samples) else 0


class Script:
    """What people write: `pactl subscribe`, and a `pactl move-sink-input` upon the line of a new stream."""

    def __init__(self, session: Session) -> None:
        self.is_on = False
        self._session = session
        self._process = subprocess.Popen(
            ("pactl", "subscribe"),
            env=session.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._follow, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(LONGEST)
        pipe(self._process.stdout).close()

    def _follow(self) -> None:
        for line in pipe(self._process.stdout):
            event, _, number = line.strip().rpartition("#")
            if self.is_on and event == "Event 'new' on sink-input ":
                command = ("pactl", "move-sink-input", number, RIGHT)
                subprocess.run(command, env=self._session.env, check=False, stderr=subprocess.DEVNULL)


@dataclass(slots=True, kw_only=True)
class Heard:
    """What was measured of the newcomers of one way: milliseconds until on the target, and heard elsewhere."""

    there: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)


class Delays:
    """What the trace says of the moves of new streams, in milliseconds."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {
            IN_C: [],
            IN_PYTHON: [],
            "notice to move sent": [],
            "notice to move in force": [],
            BESIDE_PLAIN: [],
        }
        self._seen = 0

    def read(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take what is new in a trace."""
        noticed: dict[str, float] = {}
        sent: dict[str, float] = {}
        for event in events:
            name, at = event["object"], event["time"]
            if event["number"] < self._seen:
                continue
            self._seen = event["number"] + 1
            if event["what"] == "notice":
                noticed.setdefault(name, at)
            elif (
                event["detail"] == "MoveStream"
                and event["what"] == "command"
                and name not in sent
                and name in noticed
            ):
                sent[name] = at
                self.samples["notice to move sent"].append(1000 * (at - noticed[name]))
            elif event["detail"] == "MoveStream" and event["what"] == "done" and sent.get(name):
                sent[name] = 0.0  # what moves it later corrects the session manager
                self.samples["notice to move in force"].append(1000 * (at - noticed[name]))


async def new_stream(length: Length) -> list[Line]:
    """Make the session and the crowd, let newcomers come, and return what was seen from outside and from inside."""
    crowd = min(CROWD, 4 * length.most_streams)
    with built() as folder, Session() as session, ThreadPoolExecutor(1) as thread:
        for name in (WRONG, RIGHT):
            session.add_null_sink(name)
        session.pactl("set-default-sink", WRONG)
        switch_everything_on(session)
        with session.config.open("a") as config:
            config.write(rules())
        service = session.spawn("pwmixer", *SERVICE)
        session.spawn("limit", str(folder / "mixer"), LIMIT, LIMITED, RIGHT)
        plain = session.spawn("plain", *PLAIN_SERVICE, PLAIN, PLAINLY, RIGHT)
        bus = await connected(session.env)
        with _player(session, crowd) as player, Monitor(session, WRONG) as monitor, Script(session) as script:
            await in_thread(thread, pipe(player.stdout).readline)
            session.wait_for(lambda: monitor.frames > 0, f"the monitor of {WRONG} to be heard")
            found, delays = {way: Heard() for way in NAMES}, Delays()
            change_places(plain, service)
            await _born(player, monitor, f"{AGAIN} 0", Heard(), thread)
            for turn in range(length.births):
                for way in rotated([way for way in found if way not in INSTEAD], turn):
                    script.is_on = way == SCRIPTED
                    name = f"{way} {0 if way == AGAIN else turn}"
                    await _born(
                        player, monitor, f"{name}\t{RIGHT if way == BOUND else ''}", found[way], thread
                    )
                    delays.read(
                        json.loads(await call(bus, ROOT, NAME, "Trace", {"last": Variant("u", LAST)}))
                    )
                delays.samples[IN_C] += (await delays_of(LIMIT, bus))[1]
                change_places(service, plain)
                await asyncio.sleep(CAUGHT_UP)
                for way, name in rotated(list(INSTEAD.items()), turn):
                    await _born(player, monitor, f"{way} {turn}\t", found[way], thread)
                    delays.samples[NAMES[way]] += (await delays_of(name, bus))[1]
                change_places(plain, service)
                await asyncio.sleep(CAUGHT_UP)
        bus.disconnect()
    return list(summary(found, delays))


@contextmanager
def _player(session: Session, crowd: int) -> Iterator[subprocess.Popen[str]]:
    command = (*END_WITH_PARENT, *PLAYER, str(crowd), RIGHT)
    with subprocess.Popen(
        command, env=session.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as player:
        try:
            yield player
        finally:
            player.kill()


async def _born(
    player: subprocess.Popen[str], monitor: Monitor, line: str, into: Heard, thread: ThreadPoolExecutor
) -> None:
    before, orders = monitor.heard, pipe(player.stdin)
    orders.write(f"{line}\n")
    orders.flush()
    there = json.loads(await in_thread(thread, pipe(player.stdout).readline))["there"]
    await asyncio.sleep(QUIET)
    into.elsewhere.append(1000 * (monitor.heard - before) / RATE)
    if there is not None:
        into.there.append(1000 * there)


def summary(found: Mapping[str, Heard], delays: Delays) -> Iterator[Line]:
    """Summarise. A stream that WirePlumber links elsewhere first takes twice as long, and near one half the median is either."""
    yield from lines("new stream: in the service", "ms", delays.samples)
    there = {NAMES[way]: heard.there for way, heard in found.items()}
    yield from lines("new stream: on its target", "ms", there)
    means = {what: [fmean(values)] for what, values in there.items() if values}
    yield from lines("new stream: on its target, mean", "ms", means)
    yield from lines(
        "new stream: heard elsewhere", "ms", {NAMES[way]: h.elsewhere for way, h in found.items()}
    )
    heard = {NAMES[way]: [100.0 * sum(map(bool, h.elsewhere)) / len(h.elsewhere)] for way, h in found.items()}
    yield from lines("new stream: heard elsewhere at all", "%", heard)
    lost = {NAMES[way]: [100.0 - 100.0 * len(h.there) / len(h.elsewhere)] for way, h in found.items()}
    yield from lines("new stream: never on its target", "%", lost)


def bytes_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Return what a program prints."""
    if process.stdout is None:
        raise SessionError("a program was started without its pipe")
    return process.stdout
