"""The hand-over between two instances, on the bus: an interface of their own, which is no part of the contract.

Whoever takes the name over asks for a document (`HandOver`), says when it goes on with what is in it (`Taken`), and is
passed on what still comes to us under our own name (`Pass`), as from proxies that have not heard of the new owner yet.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from dbus_fast import Message, MessageFlag, MessageType

from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.outlets.bus.connection import BusConnection, marshalled, unmarshalled
from pwmixer_dbus.outlets.bus.paths import BUS_NAME, ROOT

log = logging.getLogger(__name__)

SUCCESSION = f"{BUS_NAME}.Succession"

PATIENCE = 5.0
"""Seconds in which the instance before has to hand over; it may have to wait for the sound server and for the disk."""

_LARGEST = 1 << 26
"""Bytes of an array on the bus, at most; a call may have twice as many."""

_REFUSED = "org.freedesktop.DBus.Error.AccessDenied"


class Heir:
    """The instance that takes the name from us, from the moment in which it does: `expect`."""

    def __init__(self, connection: BusConnection) -> None:
        self.name = ""
        """Its unique name, once it has asked."""
        self._connection = connection
        self._calls: asyncio.Queue[Message | None] | None = None
        self._forget: Callable[[], None] = lambda: None
        self._passing: set[asyncio.Task[None]] = set()

    def expect(self) -> None:
        """Listen to it from now on; calls have been refused until then."""
        self._calls = asyncio.Queue()
        self._forget = self._connection.when_gone(BUS_NAME, partial(self._calls.put_nowait, None))

    def expect_no_longer(self) -> None:
        """Refuse calls again; for who has the name back."""
        self._forget()
        self._calls, self.name = None, ""

    def wait_no_longer(self) -> None:
        """Have `hears` say at once that there is nothing more to hear; for who is told to end."""
        if self._calls is not None:
            self._calls.put_nowait(None)

    def on_call(self, call: Message) -> None:
        """Take a call of the interface."""
        if self._calls is None:
            self._connection.fail(call, _REFUSED, "Only who has taken the name over may ask for that.")
        else:
            self._calls.put_nowait(call)

    async def hears(self, member: str, longest: float) -> Message | None:
        """Wait for a call; return None when nobody owns the name any more, or nobody is waited for. Raises TimeoutError."""
        async with asyncio.timeout(longest):
            while self._calls is not None and (call := await self._calls.get()) is not None:
                if call.member == member:
                    self.name = call.sender or ""
                    return call
                self._connection.fail(call, _REFUSED, f"It is not time for {call.member}.")
        return None

    def pass_on(self, call: Message) -> None:
        """Let it answer a call that has come to us."""
        passing = asyncio.get_running_loop().create_task(self._pass_on(call))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass_on(self, call: Message) -> None:
        # As bytes: within a variant, what is as long or as deep as D-Bus allows would be too much for it.
        data = bytes(marshalled(call))
        if len(data) > _LARGEST:
            told = f"This is too large to be passed on to the instance that has taken over; send it to {BUS_NAME}."
            self._connection.fail(call, LimitsExceededError.dbus_name, told)
            return
        try:
            reply = await self._connection.call(_to(self.name, "Pass", "say", [call.sender or "", data]))
        except ConnectionError:
            return
        if reply.message_type is MessageType.ERROR:
            self._connection.fail(call, reply.error_name or "", str(next(iter(reply.body), "")))
        else:
            self._connection.reply(call, reply.signature, reply.body)


def passed(call: Message) -> Message:
    """Return the call that has been passed on by a call of `Pass`."""
    client, data = call.body
    message = unmarshalled(data)
    message.sender = client
    return message


async def asked(connection: BusConnection, predecessor: str) -> str | None:
    """Ask the instance that has owned the name until now for its document; None where it gives none."""
    try:
        async with asyncio.timeout(PATIENCE):
            (document,) = await connection.ask(_to(predecessor, "HandOver"))
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        log.warning(
            "the instance before has not handed over (%s); what it has saved is in use",
            str(error) or "too late",
        )
        return None
    return str(document)


def tell_taken(connection: BusConnection, predecessor: str) -> None:
    """Tell the instance before that it is not needed any more."""
    message = _to(predecessor, "Taken")
    message.flags = MessageFlag.NO_REPLY_EXPECTED
    connection.send(message)


def _to(instance: str, member: str, signature: str = "", body: list[Any] | None = None) -> Message:
    return Message(
        destination=instance,
        path=ROOT,
        interface=SUCCESSION,
        member=member,
        signature=signature,
        body=body or [],
    )
