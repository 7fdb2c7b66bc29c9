"""Who follows the trace, on a loop whose time jumps: told in bunches, forgotten when gone, and never more than so many."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

import pytest
from dbus_fast import Message
from jumping import jumped
from test_mixer import Desk

from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.core.tally import KEPT
from pwmixer_dbus.outlets.bus.connection import BACKLOG, BusConnection
from pwmixer_dbus.outlets.bus.statistics import EVERY, FOLLOWERS, Followers


class Bus:
    """A bus that notes what is sent to whom; the test says who leaves it and how much it has to read."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[int]]] = []
        self.awaited: dict[str, Callable[[], None]] = {}
        self.backlog = 0

    def send(self, signal: Message) -> None:
        events = json.loads(signal.body[0])
        self.sent.append((signal.destination or "", [event["number"] for event in events]))

    def when_gone(self, client: str, tell: Callable[[], None]) -> Callable[[], None]:
        self.awaited[client] = tell
        return partial(self._forget, client)

    def _forget(self, client: str) -> None:
        del self.awaited[client]


def followed(test: Callable[[Desk, Bus, Followers], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        desk, bus = Desk(), Bus()
        await test(desk, bus, Followers(desk.mixer, cast("BusConnection", bus)))

    jumped(main())


def test_what_happens_is_sent_in_bunches_to_each_from_when_he_asked() -> None:
    async def main(desk: Desk, bus: Bus, followers: Followers) -> None:
        first = desk.mixer.measures.counted().number
        followers.follow(":1.1")
        desk.show(volume=0.1)
        followers.follow(":1.2")
        desk.show(volume=0.2)
        assert bus.sent == []
        await asyncio.sleep(EVERY)
        assert bus.sent == [(":1.1", [first, first + 1]), (":1.2", [first + 1])]
        await asyncio.sleep(100 * EVERY)
        assert len(bus.sent) == 2
        desk.show(volume=0.3)
        await asyncio.sleep(EVERY)
        assert bus.sent[2:] == [(":1.1", [first + 2]), (":1.2", [first + 2])]

    followed(main)


def test_who_leaves_or_has_enough_is_told_nothing_more_and_nothing_is_left_of_the_last() -> None:
    async def main(desk: Desk, bus: Bus, followers: Followers) -> None:
        clients = desk.mixer.measures.clients
        for name in (":1.1", ":1.2", ":1.1"):
            followers.follow(name)
        assert clients["followers"]() == 2
        desk.show(volume=0.1)
        bus.awaited[":1.1"]()
        followers.leave(":1.2")
        followers.leave(":1.3")
        assert "followers" not in clients
        assert bus.awaited == {}
        await asyncio.sleep(EVERY)
        desk.show(volume=0.2)
        await asyncio.sleep(EVERY)
        assert bus.sent == []

    followed(main)


def test_only_so_many_can_follow() -> None:
    async def main(_desk: Desk, _bus: Bus, followers: Followers) -> None:
        for number in range(FOLLOWERS):
            followers.follow(f":1.{number}")
        with pytest.raises(LimitsExceededError):
            followers.follow(":1.99")
        followers.leave(":1.0")
        followers.follow(":1.99")

    followed(main)


def test_what_a_bus_that_does_not_read_has_missed_is_missing_in_the_numbers() -> None:
    async def main(desk: Desk, bus: Bus, followers: Followers) -> None:
        first = desk.mixer.measures.counted().number
        followers.follow(":1.1")
        bus.backlog = BACKLOG + 1
        for step in range(KEPT + 100):
            desk.show(volume=step % 100 / 100)
        await asyncio.sleep(EVERY)
        assert bus.sent == []
        bus.backlog = 0
        desk.show(volume=0.555)
        await asyncio.sleep(EVERY)
        ((_, numbers),) = bus.sent
        assert numbers == list(range(first + 101, first + KEPT + 101))

    followed(main)
