"""What comes to an instance that has handed over is answered by its heir, however odd the call; on a real, private bus."""

import asyncio
from functools import reduce
from typing import Any

import pytest
from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus
from session import PATIENCE, Session

from pwmixer_dbus.outlets.bus.connection import BusConnection, marshalled
from pwmixer_dbus.outlets.bus.paths import ROOT
from pwmixer_dbus.outlets.bus.succession import Heir, passed

pytestmark = pytest.mark.integration

LONGEST, DEEPEST = 255, 32
"""Characters of a signature, and structures within one another: more are no D-Bus."""

DEEPEST_VALUE = 64


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


def test_each_call_reaches_the_heir_as_it_was_and_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        old, new = await BusConnection.open(), await BusConnection.open()
        heir, heard = Heir(old), list[Message]()
        heir.name = new.unique_name

        def pass_on(call: Message) -> bool:
            heir.pass_on(call)
            return True

        def hear(message: Message) -> bool:
            call = passed(message)
            heard.append(call)
            new.answer_as(call, message)
            new.reply(call, "s", ["Heard."])
            return True

        old.serve(pass_on, lambda _: None)
        new.serve(hear, lambda _: None)
        client = await MessageBus(bus_type=BusType.SESSION).connect()
        for interface in (None, "org.pwmixer.Mixer"):
            for signature, body in ODD:
                call = Message(
                    destination=old.unique_name,
                    path=ROOT,
                    interface=interface,
                    member="Odd",
                    signature=signature,
                    body=body,
                )
                async with asyncio.timeout(PATIENCE):
                    reply = await client.call(call)
                assert reply is not None
                assert (reply.sender, reply.body) == (old.unique_name, ["Heard."])
                found = heard.pop()
                assert found.sender == client.unique_name
                assert marshalled(found) == marshalled(call)
        for each in (old, new):
            each.close()
        client.disconnect()

    with Session(sound=False) as session:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        asyncio.run(main())
