"""Where it is measured: a session of its own with streams, in which the service runs with everything switched on."""

from __future__ import annotations

import asyncio
import compileall
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from session import END_WITH_PARENT, Session, SessionError

from benchmarks.programs import Caller, built

NAME = "org.pwmixer.Mixer"
ROOT = "/org/pwmixer/Mixer"
PROPERTIES = "org.freedesktop.DBus.Properties"
BUS = "org.freedesktop.DBus"
SERVICE = (sys.executable, "-m", "pwmixer_dbus.start")
PACKAGES = (
    Path(__file__).resolve().parent.parent / "pwmixer_dbus",
    Path(__file__).resolve().parent / "peers",
)

LIMIT = "org.pwmixer.PeerInC"
"""The name of the service in C, whose objects have the same paths but for the numbers of streams."""

PLAIN = "org.pwmixer.PeerInPython"
"""The name of the same in Python; it works only in the place of ours, see `Bench.plain_at_work`."""

PLAIN_SERVICE = (sys.executable, "-m", "benchmarks.peers.plain_start")


STREAMS, PLAYING = 50, 4

BLOCK = 200
"""Rounds after which it is another one's turn to be at work."""

CAUGHT_UP = 0.15
"""Seconds in which a service that was stopped has followed all that has happened meanwhile."""

REST = 0.04
"""Least seconds between two volumes for one object: the service sends one at most 60 volumes a second and announces it at
most 30 times a second, and a faster pace would measure that."""

LONGEST = 30.0
"""Seconds after which something that was to happen has failed."""

FOR_STREAMS = 0.2
"""Further seconds that each stream may take to come into being."""

EVERYTHING = """\
[stats]
file = true
prometheus = true
[bar_signal]
enabled = true
[osd]
enabled = true
"""
"""A config.toml with every outlet switched on, beside those that are on anyway."""

Way = TypeVar("Way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How often and how long things are measured; times are seconds."""

    rounds: int
    starts: int
    births: int
    flood: float
    idle: float
    operations: int
    most_streams: int


FULL = Length(rounds=1000, starts=20, births=60, flood=10.0, idle=60.0, operations=20_000, most_streams=1000)
SHORT = Length(rounds=20, starts=2, births=1, flood=0.5, idle=1.0, operations=800, most_streams=10)


@dataclass(slots=True, kw_only=True)
class Bench:
    """A session with streams, the service in it and the limits beside it; `folder` has the programs in C."""

    session: Session
    folder: Path
    length: Length
    service: subprocess.Popen[bytes]
    limit: subprocess.Popen[bytes]
    plain: subprocess.Popen[bytes]
    bus: MessageBus
    caller: Caller
    streams: Sequence[dict[str, Any]] = ()
    used_at: dict[str, float] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)

    async def verb(self, member: str, *body: object) -> Any:
        """Call a method of the root; return its first value."""
        return await call(self.bus, ROOT, NAME, member, *body)

    async def rested(self, selector: str) -> None:
        """Return when an object has rested for long enough to be changed again."""
        early = self.used_at.get(selector, 0.0) + REST - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        self.used_at[selector] = time.monotonic()

    @asynccontextmanager
    async def plain_at_work(self) -> AsyncIterator[None]:
        """Have the limit in Python work in the place of ours, which is stopped meanwhile.

        So there are always two that follow the sound server, the limit in C and one in Python, as there were before there
        was a second one; what is stopped neither runs nor reads, and the sound server keeps one notice of each object for it.
        """
        try:
            await self._change_places(self.service, self.plain, PLAIN)
            yield
        finally:
            await self._change_places(self.plain, self.service, NAME)

    async def _change_places(
        self, old: subprocess.Popen[bytes], new: subprocess.Popen[bytes], name: str
    ) -> None:
        change_places(old, new)
        # Its answer comes after all that the sound server has kept for it.
        stream = self.streams[0]
        await self.rested(stream["selector"])
        await self.caller.ask("set", name, self.target(name, stream), self.level(stream["selector"]))
        await asyncio.sleep(CAUGHT_UP)

    @staticmethod
    def target(name: str, stream: Mapping[str, Any]) -> str:
        """Name a stream as a service does: the limits know it by the sound server's index."""
        return stream["selector"] if name == NAME else f"stream:{stream['index']}"

    @staticmethod
    def path(name: str, stream: Mapping[str, Any]) -> str:
        """Return the object path of a stream at a service, likewise."""
        return f"{ROOT}/streams/{stream['number' if name == NAME else 'index']}"

    def level(self, selector: str) -> float:
        """Return a volume for an object that it did not have before, in whole percents, which pactl can say, too."""
        self.used[selector] += 1
        return level_of(self.used[selector])

    async def run(self, *command: str) -> float:
        """Run a program to its end; return milliseconds. A failure ends the run, as a figure of failures would mislead."""
        started = time.perf_counter()
        # In a thread, so that signals are read meanwhile; asyncio's own way to run a program starts one, too, and more.
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=self.session.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LONGEST,
            check=False,
        )
        took = 1000 * (time.perf_counter() - started)
        if done.returncode:
            said = done.stderr.decode().strip()
            raise SessionError(f"{' '.join(command)} failed with {done.returncode}: {said}")
        return took

    def indexes(self, count: int | None = None) -> list[int]:
        """Return what the sound server calls the streams."""
        return [stream["index"] for stream in self.streams[:count]]


class News:
    """What is awaited by a word: the path of an object that changes, the name of an owner, a line that is printed."""

    def __init__(self, bus: MessageBus) -> None:
        self._awaited: dict[str, asyncio.Future[float]] = {}
        bus.add_message_handler(self._look)

    def of(self, word: str) -> asyncio.Future[float]:
        """Return what will be the moment of the next news of this."""
        self._awaited[word] = future = asyncio.get_running_loop().create_future()
        return future

    async def read_lines(self, stream: asyncio.StreamReader | None) -> None:
        """Take each line as news, until the end."""
        while stream and (line := await stream.readline()):
            self._tell(line.decode().rstrip("\n"))

    def _look(self, message: Message) -> None:
        if message.member == "NameOwnerChanged":
            self._tell(message.body[0])
        elif message.member == "PropertiesChanged":
            is_root = message.path == ROOT
            wanted = {"Connected", "MaxVolume"} if is_root else {"Volume"}
            if wanted & message.body[1].keys():
                self._tell(message.path or "")

    def _tell(self, word: str) -> None:
        future = self._awaited.pop(word, None)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())


class Crowd:
    """Streams of one process, each of an application of its own; it is kept until the end of the block."""

    def __init__(
        self, session: Session, folder: Path, count: int, playing: int, *, is_noisy: bool = False
    ) -> None:
        command = (str(folder / "crowd"), str(count), str(playing), *(["noise"] if is_noisy else []))
        self._process = subprocess.Popen(
            (*END_WITH_PARENT, *command),
            env=session.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._longest = LONGEST + FOR_STREAMS * count

    def __enter__(self) -> None:
        out = pipe(self._process.stdout)
        with ThreadPoolExecutor(1) as thread:
            said = thread.submit(out.readline)
            try:
                is_there = said.result(self._longest).strip() == "ready"
            except TimeoutError:
                is_there = False
                self._process.kill()
        if not is_there:
            raise SessionError("the streams did not come into being")

    def __exit__(self, *_: object) -> None:
        pipe(self._process.stdin).close()
        try:
            self._process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        pipe(self._process.stdout).close()


class Children:
    """Programs in number, which say nothing and end with the block."""

    def __init__(self, session: Session) -> None:
        self._env = session.env
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._started:
            child.kill()
        for child in self._started:
            child.wait()

    def spawn(self, *command: str) -> None:
        """Start one."""
        none = subprocess.DEVNULL
        child = subprocess.Popen(
            (*END_WITH_PARENT, *command), env=self._env, stdin=none, stdout=none, stderr=none
        )
        self._started.append(child)


@asynccontextmanager
async def opened(
    length: Length,
    streams: int = STREAMS,
    *,
    beside: Callable[[Session], AbstractContextManager[None]] = lambda _: nullcontext(),
    known: int = 0,
    is_noisy: bool = False,
    service: Sequence[str] = SERVICE,
    plain_service: Sequence[str] = (*PLAIN_SERVICE, PLAIN),
    settings: str = "",
) -> AsyncIterator[Bench]:
    """Make the session with so many streams, the first few of them playing, and start everything in it.

    `beside` makes further ones before the service starts, which then are `known` in all. Where it `is_noisy`, all streams play, and not silence.
    """
    # As an installed package has it; this environment may not let Python write it.
    for package in PACKAGES:
        compileall.compile_dir(package, quiet=1)
    with built() as folder, Session() as session:
        session.add_null_sink("speakers", "Speakers")
        session.pactl("set-default-sink", "speakers")
        switch_everything_on(session, settings)
        playing = streams if is_noisy else min(PLAYING, streams)
        with Crowd(session, folder, streams, playing, is_noisy=is_noisy), beside(session):
            write_bundle(session)
            screen = session.spawn("screen", str(folder / "screen"))
            running = session.spawn("pwmixer", *service)
            limit = session.spawn("limit", str(folder / "mixer"), LIMIT)
            plain = session.spawn("plain", *plain_service)
            bus = await connected(session.env)
            caller = await Caller.start(folder, session.env)
            bench = Bench(
                session=session,
                folder=folder,
                length=length,
                service=running,
                limit=limit,
                plain=plain,
                bus=bus,
                caller=caller,
            )
            await _ready(bench, known or streams)
            # Where ours is allowed to be more than others, the limits are so as well.
            for peer in (limit, plain):
                os.setpriority(os.PRIO_PROCESS, peer.pid, os.getpriority(os.PRIO_PROCESS, running.pid))
            plain.send_signal(signal.SIGSTOP)
            try:
                yield bench
            finally:
                await caller.end()
                bus.disconnect()
                screen.terminate()
                plain.send_signal(signal.SIGCONT)


def switch_everything_on(session: Session, settings: str = "") -> None:
    """Write a config.toml with every outlet, and further settings."""
    session.configure(EVERYTHING + settings)


def write_bundle(session: Session, env: Mapping[str, str] | None = None) -> None:
    """Let a service run until it has prepared the start of the next one, as it has on every machine after the first time."""
    folder = Path(session.env["XDG_CACHE_HOME"], "pwmixer")
    process = session.spawn("first", *SERVICE, env=env)
    session.wait_for((folder / "bytecode").exists, "the byte code of the service", LONGEST)
    process.terminate()
    process.wait(LONGEST)


async def connected(env: Mapping[str, str], *, negotiate_unix_fd: bool = False) -> MessageBus:
    """Connect to the bus of a session."""
    address = env["DBUS_SESSION_BUS_ADDRESS"]
    bus = MessageBus(address, BusType.SESSION, negotiate_unix_fd=negotiate_unix_fd)
    return await bus.connect()


async def _ready(bench: Bench, count: int) -> None:
    """Wait until all services are there and ours knows all streams."""
    deadline = time.monotonic() + LONGEST + FOR_STREAMS * count
    has_looked = False
    while len(bench.streams) < count or not has_looked:
        if time.monotonic() > deadline:
            said = bench.session.log_tail("pwmixer")
            raise SessionError(f"the service knows {len(bench.streams)} of {count} streams: {said}")
        try:
            has_looked = all([await _has_looked(bench.bus, name) for name in (LIMIT, PLAIN)])
            bench.streams = json.loads(await bench.verb("Describe", {}))["streams"]
        except SessionError:  # it does not own its name yet
            await asyncio.sleep(0.01)


async def _has_looked(bus: MessageBus, name: str) -> bool:
    """Whether one of the limits knows what there is."""
    return bool((await call(bus, ROOT, PROPERTIES, "Get", NAME, "Connected", to=name)).value)


async def call(bus: MessageBus, path: str, interface: str, member: str, *body: object, to: str = NAME) -> Any:
    """Call as `answer_of` does; return the first value of the answer."""
    answer = await answer_of(bus, path, interface, member, *body, to=to)
    return answer.body[0] if answer.body else None


async def answer_of(
    bus: MessageBus, path: str, interface: str, member: str, *body: object, to: str = NAME
) -> Message:
    """Call a method of a service, ours unless `to` names another, or of the bus at its path. Raises SessionError."""
    signatures = {
        "AddMatch": "s",
        "Delays": "",
        "Describe": "a{sv}",
        "Get": "ss",
        "GetConnectionUnixProcessID": "s",
        "GetNameOwner": "s",
        "OpenMeter": "asa{sv}",
        "ReloadConfig": "",
        "Set": "ssv",
        "SetVolume": "sda{sv}",
        "Trace": "a{sv}",
    }
    message = Message(
        destination=BUS if interface == BUS else to,
        path=path,
        interface=interface,
        member=member,
        signature=signatures[member],
        body=list(body),
    )
    reply = await asyncio.wait_for(bus.call(message), LONGEST)
    if reply is None or reply.message_type is MessageType.ERROR:
        raise SessionError(f"{member} failed: {reply.body[0] if reply and reply.body else 'no answer'}")
    return reply


async def delays_of(name: str, bus: MessageBus) -> tuple[list[float], list[float]]:
    """Return the milliseconds from a notice to the signal and to the move in one of the limits, of all since this was last asked."""
    to_signal, to_move = (await answer_of(bus, ROOT, NAME, "Delays", to=name)).body
    return to_signal, to_move


async def listen(bus: MessageBus, rule: str) -> None:
    """Have signals delivered."""
    await call(bus, "/org/freedesktop/DBus", BUS, "AddMatch", rule)


async def in_thread(thread: ThreadPoolExecutor, function: Callable[[], Way]) -> Way:
    """Have something done that waits, in a thread of its own."""
    return await asyncio.get_running_loop().run_in_executor(thread, function)


def change_places(old: subprocess.Popen[bytes], new: subprocess.Popen[bytes]) -> None:
    """Stop one service, and let another one go on, which catches up in `CAUGHT_UP`."""
    old.send_signal(signal.SIGSTOP)
    new.send_signal(signal.SIGCONT)


def blocks(rounds: int) -> Iterator[range]:
    """Part rounds, so that our service and the limit in Python can take turns in being at work."""
    for start in range(0, rounds, BLOCK):
        yield range(start, min(start + BLOCK, rounds))


def rotated(ways: list[Way], turn: int) -> list[Way]:
    """Begin with another one each time: whoever comes after a program that ends finds the server busy with that."""
    first = turn % len(ways)
    return ways[first:] + ways[:first]


def level_of(turn: int) -> float:
    """Return a volume that differs from that of the nine turns before, in whole percents."""
    return (20 + turn * 7 % 70) / 100


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used, by its clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def pipe(stream: IO[str] | None) -> IO[str]:
    """Return what a program was started with."""
    if stream is None:
        raise SessionError("a program was started without its pipe")
    return stream
