"""The state equals the server's after thousands of random operations, by us and by others at once.

Ours come over one D-Bus connection, many at a time. The others' are most of them pulsectl's, which keeps its
connection as a tray icon does; some are pactl's, a process each; and programs start and end meanwhile. How many of them
all: RANDOM_OPERATIONS in the environment; the CI has 10 000.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pulsectl
from calls import called, connected
from compare import wait_until_equal
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from service import NAME, ROOT, Json, Service
from session import PATIENCE

SEED = 1
OPERATIONS = int(os.environ.get("RANDOM_OPERATIONS", "2000"))
PERCENT = {"ours": 70, "pulsectl": 20, "pactl": 8, "births and deaths": 2}
AT_ONCE = 32
FEWEST, MOST = 6, 20
"""How many programs play or record at a time."""

EXTRA_SINKS = 4
APPS = ("Browser", "Radio", "Game", "Phone", "Editor", "Recorder")
GONE = {"org.pwmixer.Error.NotFound", "org.freedesktop.DBus.Error.UnknownObject"}
"""How it is said that an object has gone between being listed and being changed."""


Choice = TypeVar("Choice")


def test_the_state_is_the_servers_after_thousands_of_random_operations(service: Service) -> None:
    operate(service, OPERATIONS)


def operate(service: Service, operations: int) -> None:
    """Let all change what they like, and compare what the service knows with what the server says then."""
    counts = {who: operations * percent // 100 for who, percent in PERCENT.items()}
    before, started = memory_of(service), time.monotonic()
    world = World(service, counts)
    asyncio.run(world.run())
    took = time.monotonic() - started
    wait_until_equal(service)
    figures = (
        f"seed {SEED}: {operations} operations in {took:.1f} s",
        f"ours: {dict(world.answers)}; by pulsectl: {dict(world.other.answers)}",
        f"by pactl, exit statuses: {dict(world.by_pactl)}",
        f"memory of the service in KiB before: {before}; after: {memory_of(service)}",
    )
    sys.stdout.write("\n".join(("", *figures, "")))  # shown by pytest -s, and where the test fails
    assert set(world.answers) <= {"done", *GONE}
    # What goes away while it is asked for is no failure; how much that is depends on how fast the rest is.
    assert world.answers["done"] > 0.7 * counts["ours"]
    assert world.other.answers["done"] > 0.7 * counts["pulsectl"]


class World:
    """All who change something: we, two other mixers, and the programs themselves."""

    def __init__(self, service: Service, counts: dict[str, int]) -> None:
        self.answers: Counter[str] = Counter()
        self.by_pactl: Counter[int] = Counter()
        self.other = Other(service.session.env["PULSE_SERVER"])
        self._session = service.session
        self._chance = random.Random(SEED)  # noqa: S311 - no secret
        order = [who for who, count in counts.items() for _ in range(count)]
        self._chance.shuffle(order)
        self._order = iter(order)
        self._players: list[subprocess.Popen[bytes]] = []
        self._born = 0
        self._modules: list[str] = []
        self._loaded = 0
        self._known: Json = {}
        self._bus: MessageBus
        self._ours: tuple[tuple[int, Callable[[], Message]], ...] = (
            (20, self._set_volume),
            (10, self._adjust_volume),
            (10, self._write_channels),
            (12, self._set_muted),
            (10, self._move),
            (3, self._set_default),
            (5, self._set_app_volume),
            (2, self._mute_app),
        )
        self._by_pactl: tuple[tuple[int, Callable[[], tuple[str, ...]]], ...] = (
            (10, lambda: ("set-sink-input-volume", self._index("streams"), self._percent())),
            (5, lambda: ("set-sink-input-mute", self._index("streams"), "toggle")),
            (10, lambda: ("set-sink-volume", self._index("sinks"), self._percent())),
            (5, lambda: ("set-source-mute", self._index("sources"), "toggle")),
            (5, lambda: ("move-sink-input", self._index("streams"), self._index("sinks"))),
            (3, lambda: ("set-default-sink", self._any("sinks")["name"])),
        )

    async def run(self) -> None:
        """Carry out all operations, many at a time."""
        while len(self._players) < FEWEST:
            self._be_born()
        self._bus = await connected(self._session)
        while len((await self._look())["streams"]) < FEWEST:
            pass
        # pulsectl waits for each answer, so it has a thread of its own.
        with ThreadPoolExecutor(1) as thread:
            await asyncio.gather(*(self._work(thread) for _ in range(AT_ONCE)))
            thread.submit(self.other.close).result()
        self._bus.disconnect()

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        for turn, who in enumerate(self._order):
            if turn % 10 == 0:
                await self._look()
            match who:
                case "ours":
                    reply = await self._call(_one_of(self._chance, self._ours)())
                    failed = reply.message_type is MessageType.ERROR
                    self.answers[str(reply.error_name) if failed else "done"] += 1
                case "pulsectl":
                    await asyncio.get_running_loop().run_in_executor(thread, self.other.operate)
                case "pactl":
                    await self._operate_by_pactl()
                case _:
                    self._live_or_die()

    async def _look(self) -> Json:
        """Read what there is; operations choose from it, and may come too late."""
        reply = await self._call(called("Describe", "a{sv}", {}))
        self._known = json.loads(reply.body[0])
        return self._known

    async def _call(self, message: Message) -> Message:
        return await asyncio.wait_for(self._bus.call(message), PATIENCE)

    # What we do

    def _set_volume(self) -> Message:
        return called("SetVolume", "sda{sv}", self._node()["selector"], self._level(), {})

    def _adjust_volume(self) -> Message:
        delta = self._chance.choice((-0.05, 0.05))
        return called("AdjustVolume", "sda{sv}", self._node()["selector"], delta, {})

    def _write_channels(self) -> Message:
        stream = self._any("streams")
        levels = [self._level() for _ in stream["channel_volumes"]]
        written = (f"{NAME}.Node", "ChannelVolumes", Variant("ad", levels))
        path = f"{ROOT}/streams/{stream['number']}"
        return called("Set", "ssv", *written, path=path, interface="org.freedesktop.DBus.Properties")

    def _set_muted(self) -> Message:
        mode = self._chance.choice(("on", "off", "toggle"))
        return called("SetMuted", "ssa{sv}", self._node()["selector"], mode, {})

    def _move(self) -> Message:
        stream = self._any("streams")
        device = self._any("sinks" if stream["direction"] == "playback" else "sources")
        return called("Move", "ssa{sv}", stream["selector"], device["selector"], {})

    def _set_default(self) -> Message:
        return called("SetDefault", "s", self._any("sinks")["selector"])

    def _set_app_volume(self) -> Message:
        quiet = {"quiet": Variant("b", self._chance.random() < 0.5)}
        return called("SetVolume", "sda{sv}", self._any("apps")["selector"], self._level(), quiet)

    def _mute_app(self) -> Message:
        return called("SetMuted", "ssa{sv}", self._any("apps")["selector"], "toggle", {})

    # What others do

    async def _operate_by_pactl(self) -> None:
        if self._chance.random() < 0.2:
            await self._load_or_unload()
        else:
            await self._pactl(*_one_of(self._chance, self._by_pactl)())

    async def _load_or_unload(self) -> None:
        if len(self._modules) < self._chance.randint(1, EXTRA_SINKS):
            self._loaded += 1
            name = f"extra-{self._loaded}"
            self._modules.append(await self._pactl("load-module", "module-null-sink", f"sink_name={name}"))
        elif self._modules:
            module = self._modules.pop(self._chance.randrange(len(self._modules)))
            await self._pactl("unload-module", module)

    async def _pactl(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "pactl",
            *arguments,
            env=self._session.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        printed, _ = await process.communicate()
        self.by_pactl[process.returncode or 0] += 1
        return printed.decode().strip()

    def _live_or_die(self) -> None:
        if len(self._players) < self._chance.randint(FEWEST, MOST):
            self._be_born()
        else:
            self._players.pop(self._chance.randrange(len(self._players))).kill()

    def _be_born(self) -> None:
        self._born += 1
        properties = {"application.name": self._chance.choice(APPS), "media.name": f"Title {self._born}"}
        does = ("--record", "/dev/null") if self._born % 5 == 0 else ("--playback", "/dev/zero")
        words = ("pacat", "--raw", *(f"--property={key}={value}" for key, value in properties.items()))
        self._players.append(self._session.spawn(f"player-{self._born}", *words, *does))

    # Chance

    def _any(self, kind: str) -> Json:
        return self._chance.choice(self._known[kind])

    def _index(self, kind: str) -> str:
        return str(self._any(kind)["index"])

    def _node(self) -> Json:
        return self._any(
            "streams" if self._chance.random() < 0.7 else self._chance.choice(("sinks", "sources"))
        )

    def _level(self) -> float:
        return self._chance.randint(0, 100) / 100

    def _percent(self) -> str:
        return f"{self._chance.randint(0, 100)}%"


class Other:
    """Another mixer: one connection by pulsectl, on the one thread that calls it."""

    def __init__(self, server: str) -> None:
        self.answers: Counter[str] = Counter()
        self._chance = random.Random(SEED + 1)  # noqa: S311 - no secret
        self._server = server
        self._pulse: Any = None
        self._operations: tuple[tuple[int, Callable[[], None]], ...] = (
            (20, self._set_volume),
            (10, self._set_channels),
            (10, self._mute),
            (8, self._move),
            (2, self._set_default),
        )

    def operate(self) -> None:
        """Carry out one operation; what has gone in between is not there to be changed."""
        if self._pulse is None:
            self._pulse = pulsectl.Pulse("another mixer", server=self._server)
        try:
            _one_of(self._chance, self._operations)()
        except (pulsectl.PulseOperationFailed, pulsectl.PulseIndexError):
            self.answers["refused"] += 1
        else:
            self.answers["done"] += 1

    def close(self) -> None:
        """Leave."""
        if self._pulse is not None:
            self._pulse.close()

    def _set_volume(self) -> None:
        self._pulse.volume_set_all_chans(self._node(), self._chance.randint(0, 100) / 100)

    def _set_channels(self) -> None:
        node = self._node()
        levels = [self._chance.randint(0, 100) / 100 for _ in node.volume.values]
        self._pulse.volume_set(node, pulsectl.PulseVolumeInfo(levels))

    def _mute(self) -> None:
        self._pulse.mute(self._node(), self._chance.random() < 0.5)

    def _move(self) -> None:
        stream = self._chance.choice(self._pulse.sink_input_list())
        self._pulse.sink_input_move(stream.index, self._chance.choice(self._pulse.sink_list()).index)

    def _set_default(self) -> None:
        self._pulse.default_set(self._chance.choice(self._pulse.sink_list()))

    def _node(self) -> Any:
        listings = (self._pulse.sink_input_list, self._pulse.sink_input_list, self._pulse.sink_list)
        return self._chance.choice(self._chance.choice((*listings, self._pulse.source_list))())


def _one_of(chance: random.Random, weighted: tuple[tuple[int, Choice], ...]) -> Choice:
    ((_, chosen),) = chance.choices(weighted, [weight for weight, _ in weighted])
    return chosen


def memory_of(service: Service) -> dict[str, int]:
    """Return the memory of the service in KiB."""
    text = Path("/proc", str(service.process.pid), "smaps_rollup").read_text()
    return {
        name: int(size)
        for name, size in re.findall(r"^(Rss|Pss|Private_Dirty): +(\d+) kB", text, re.MULTILINE)
    }
