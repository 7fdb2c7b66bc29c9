"""A change of one object costs the same among nine hundred as among two hundred, with all who are told of it.

What is asked of all of them grows as they do. Counted in steps of the interpreter; what is copied, is counted in
`core/test_growth.py`. Only the sound server and the bus are doubles, which do nothing but answer.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from core.build import client, no_parents, playback, sink, snapshot, source
from counting import taken
from jumping import JumpingLoop
from test_mixer import USER

from pwmixer_dbus.core import requests, verbs
from pwmixer_dbus.core.commands import Command
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.memory import Memory
from pwmixer_dbus.core.model import Client, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import rule_from_plain
from pwmixer_dbus.core.settings import Settings, SharedMemorySettings
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper
from pwmixer_dbus.lanes import Done
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.publisher import Publisher
from pwmixer_dbus.outlets.shm.outlet import SharedMemory
from pwmixer_dbus.router import Router

FEW, MANY = 200, 900
SOME = 30
MINE, GROUPED = 5, 6
"""Of which of the programs something changes, and which a rule has put into a group."""

RULES = (
    {"name": "ruled", "match": {"media_name": "Ruled"}, "to": "headset"},
    {"name": "grouped", "match": {"media_name": "Grouped"}, "group": "Few"},
)


class Bus:
    """A connection on which nobody is slow."""

    backlog = 0

    def send(self, _signal: object) -> None:
        pass

    send_marshalled = send


def player(i: int, **fields: Any) -> tuple[Client, Stream]:
    """Make a program with a client and a stream of its own."""
    mine = client(5000 + 2 * i, binary=f"program{i}")
    title = "Grouped" if i == GROUPED else ""
    made = {"device": 1, "media_name": title, **fields}
    return mine, playback(100 + 2 * i, binary=f"program{i}", client=mine.index, **made)


class Service:
    """What of the service follows the mixer, with so many programs that play."""

    def __init__(self, size: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.mixer = Mixer(Settings())
        self.mixer.server = self
        router = Router(self.mixer)
        router.set_rules(tuple(map(rule_from_plain, RULES)))
        Fader(self.mixer)
        self.keeper = Keeper(
            self.mixer,
            rules=router.outcome_of,
            locks=router.locks,
            save=lambda _: None,
            save_soon=lambda: None,
            wall_clock=lambda: 2e9,
        )
        self.keeper.start(Memory())
        publisher = Publisher(cast("BusConnection", Bus()), self.mixer, lambda _: defaultdict(int))
        self.mixer.subscribe(publisher.on_change, before_answers=publisher.on_level)
        self.memory = SharedMemory(self.mixer, SharedMemorySettings(name=f"of{size}"))
        programs = (record for i in range(size) for record in player(i))
        self.mixer.on_event(snapshot(sink(), sink(3, "headset"), source(), *programs))
        self.last = size - 1
        self.fresh = count(10_000)

    def send(self, _command: Command, done: Done) -> None:
        self.loop.call_soon(done, None)

    def renew(self) -> None:
        pass

    async def see(self, *records: Client | Stream) -> None:
        """Show records, each by itself, and let all be told."""
        for record in records:
            self.mixer.on_event(Seen(record=record))
            await asyncio.sleep(0.1)

    async def lose(self, mine: Client, stream: Stream) -> None:
        self.mixer.on_event(Gone(kind=stream.kind, index=stream.index))
        self.mixer.on_event(Gone(kind=Kind.CLIENT, index=mine.index))
        await asyncio.sleep(0.1)

    async def ask(self, selector: str) -> None:
        """Set a volume of the last one, as a person does, and back."""
        for volume in (0.3, 0.5):
            (target,) = requests.targets_of(self.mixer.state, selector, no_parents)
            plan = verbs.set_volume(self.mixer.state, self.mixer.pending, target, volume)
            self.mixer.submit(plan, USER, lambda _: None)
            await self.see(player(self.last, volume=volume)[1])


Do = Callable[[Service], Awaitable[None]]


async def a_level(service: Service, which: int = MINE) -> None:
    await service.see(player(which, volume=0.9)[1], player(which)[1])


async def a_title(service: Service) -> None:
    await service.see(player(MINE, media_name="Song")[1], player(MINE)[1])


async def a_life(service: Service) -> None:
    """Let a program come that was there before, and go."""
    program = player(1000)
    await service.see(*program)
    await service.lose(*program)


async def a_first_life(service: Service) -> None:
    """Let a program come that nobody knows, and go."""
    program = player(next(service.fresh))
    await service.see(*program)
    await service.lose(*program)


async def a_ruled_life(service: Service) -> None:
    """Let a program come that a rule moves, and go."""
    mine, stream = player(1001, media_name="Ruled")
    await service.see(mine, stream, replace(stream, device=3))
    await service.lose(mine, stream)


async def a_request_for_a_stream(service: Service) -> None:
    number = service.mixer.state.streams[Kind.PLAYBACK, player(service.last)[1].index].number
    await service.ask(f"stream:{number}")


async def a_request_for_an_app(service: Service) -> None:
    await service.ask(f"app:bin:program{service.last}")


CHANGES: dict[str, Do] = {
    "a level": a_level,
    "a level in a group": partial(a_level, which=GROUPED),
    "another title": a_title,
    "a stream that comes and goes": a_life,
    "one of an application that is new": a_first_life,
    "one that a rule moves": a_ruled_life,
    "a request for a stream": a_request_for_a_stream,
    "a request for an application": a_request_for_an_app,
}


@pytest.mark.parametrize("do", CHANGES.values(), ids=CHANGES)
def test_a_change_of_one_object_takes_no_more_steps_among_many(
    do: Do, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWMIXER_SHM_FOLDER", str(tmp_path))

    # One step more for each of the others would be more than that.
    assert steps(do, MANY) <= steps(do, FEW) + (MANY - FEW) / 4


async def locks(service: Service) -> None:
    for locked in (True, False):
        service.keeper.set_lock(*service.mixer.state.apps.values(), locked=locked)


async def caps(service: Service) -> None:
    for cap in (0.9, None):
        service.keeper.set_cap(*service.mixer.state.apps.values(), max_volume=cap)


async def forgetting(service: Service) -> None:
    service.keeper.set_cap(*service.mixer.state.apps.values(), max_volume=0.9)
    service.keeper.forget(*service.mixer.state.apps.values())


@pytest.mark.parametrize("do", [locks, caps, forgetting])
def test_what_is_asked_of_all_grows_no_faster_than_they_are_more(
    do: Do, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWMIXER_SHM_FOLDER", str(tmp_path))
    assert steps(do, 4 * SOME) <= 4.4 * steps(do, SOME)


def steps(do: Do, size: int) -> int:
    """Count what is done among so many programs."""

    async def settled() -> Service:
        service = Service(size)
        await asyncio.sleep(60)
        return service

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        service = runner.run(settled())
        service.mixer.measures.counted()  # else what has happened before may be counted in between
        done = taken(lambda: runner.run(cast("Any", do(service))))
        service.memory.close()
    return done.steps
