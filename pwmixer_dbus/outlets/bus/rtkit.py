"""RealtimeKit, the service of the system bus by which PipeWire has its priority as well.

Its interface is documented in its own README (org.freedesktop.RealtimeKit1).
"""

import asyncio
import threading

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

NAME, PATH = "org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1"

PATIENCE = 5.0
"""Seconds for all of it; RealtimeKit may have to be started first."""


async def make_nice(nice: int) -> None:
    """Have this thread run at a nice level from now on; raises OSError with the reason where that is not to be had."""
    try:
        async with asyncio.timeout(PATIENCE):
            bus = await _connected()
            try:
                reply = await bus.call(_wish(nice))
            finally:
                bus.disconnect()
    except TimeoutError as error:
        raise TimeoutError(f"{NAME} did not answer within {PATIENCE:g} s") from error
    except EOFError as error:
        raise ConnectionError("the system bus has gone") from error
    if reply is not None and reply.message_type is MessageType.ERROR:
        raise OSError(reply.body[0] if reply.signature.startswith("s") else reply.error_name)


async def _connected() -> MessageBus:
    try:
        return await MessageBus(bus_type=BusType.SYSTEM).connect()
    except Exception as error:
        raise ConnectionError(f"there is no system bus to ask RealtimeKit on ({error})") from error


def _wish(nice: int) -> Message:
    return Message(
        destination=NAME,
        path=PATH,
        interface=NAME,
        member="MakeThreadHighPriority",
        signature="ti",
        body=[threading.get_native_id(), nice],
    )
