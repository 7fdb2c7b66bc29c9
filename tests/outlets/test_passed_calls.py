"""What comes to an instance that has handed over is answered by its heir, however odd the call; on a real, private bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from typing import Any

import pytest
from calls import called
from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus
from session import PATIENCE

from pwmixer_dbus.outlets.bus import succession
from pwmixer_dbus.outlets.bus.connection import BusConnection, marshalled
from pwmixer_dbus.outlets.bus.succession import Heir, asked, passed

pytestmark = pytest.mark.usefixtures("private_bus")

LONGEST, DEEPEST = 255, 32
"""Characters of a signature, and structures within one another: more are no D-Bus."""

DEEPEST_VALUE = 64
LARGEST = 1 << 26
"""Bytes of an array."""


def in_structures(count: int) -> tuple[str, list[Any]]:
    return "(" * count + "y" + ")" * count, reduce(lambda value, _: [value], range(count + 1), 1)  # type: ignore[arg-type]


def in_variants(count: int) -> Variant:
    return reduce(lambda value, _: Variant("v", value), range(count - 1), Variant("y", 1))


ODD: tuple[tuple[str, list[Any]], ...] = (
    ("", []),
    ("sda{sv}", ["@sink", 0.5, {"context": Variant("s", "ü")}]),
    ("y" * LONGEST, [1] * LONGEST),
    in_structures(DEEPEST),
    ("a" * DEEPEST + "y", [[]]),
    ("v", [in_variants(DEEPEST_VALUE)]),
)


class Rig:
    """An instance that has handed over, its heir, which answers each call, and a client."""

    def __init__(self, old: BusConnection, new: BusConnection, client: MessageBus) -> None:
        self.old, self.new, self.client = old, new, client
        self.heard: list[Message] = []
        self._heir = Heir(old)
        self._heir.name = new.unique_name
        old.serve(self._pass_on, lambda _: None)
        new.serve(self._hear, lambda _: None)

    def _pass_on(self, call: Message) -> bool:
        self._heir.pass_on(call)
        return True

    def _hear(self, message: Message) -> bool:
        call = passed(message)
        self.heard.append(call)
        self.new.answer_as(call, message)
        self.new.reply(call, "s", ["Heard."])
        return True

    def call(self, interface: str | None, signature: str, body: list[Any]) -> Message:
        """Make a call of the old instance."""
        return called("Odd", signature, *body, to=self.old.unique_name, interface=interface)

    async def answer(self, call: Message) -> Message:
        async with asyncio.timeout(PATIENCE):
            reply = await self.client.call(call)
        assert reply is not None
        assert reply.sender == self.old.unique_name
        return reply


@asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    old, new = await BusConnection.open(), await BusConnection.open()
    client = await MessageBus(bus_type=BusType.SESSION).connect()
    yield Rig(old, new, client)
    for each in (old, new):
        each.close()
    client.disconnect()


async def test_each_call_reaches_the_heir_as_it_was_and_is_answered() -> None:
    async with rigged() as rig:
        for interface in (None, "org.pwmixer.Mixer"):
            for signature, body in ODD:
                call = rig.call(interface, signature, body)
                assert (await rig.answer(call)).body == ["Heard."]
                found = rig.heard.pop()
                assert found.sender == rig.client.unique_name
                assert marshalled(found) == marshalled(call)


async def test_a_call_that_fits_into_no_other_is_refused_with_where_to_send_it() -> None:
    async with rigged() as rig:
        reply = await rig.answer(rig.call(None, "s", ["x" * LARGEST]))
        assert reply.error_name == "org.freedesktop.DBus.Error.LimitsExceeded"
        assert reply.body[0].endswith("send it to org.pwmixer.Mixer.")
        assert rig.heard == []


async def test_of_one_that_does_not_hand_over_in_time_just_that_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.0)
    async with rigged() as rig:
        assert await asked(rig.new, rig.old.unique_name) is None
    assert "has not handed over (too late)" in caplog.text
