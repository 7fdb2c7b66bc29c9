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
            await _ask(nice)
    except TimeoutError as error:
        raise TimeoutError(f"{NAME} did not answer within {PATIENCE:g} s") from error
    except OSError:
        raise
    except Exception as error:
        raise ConnectionError(f"there is no system bus ({error})") from error


async def _ask(nice: int) -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        reply = await bus.call(
            Message(
                destination=NAME,
                path=PATH,
                interface=NAME,
                member="MakeThreadHighPriority",
                signature="ti",
                body=[threading.get_native_id(), nice],
            )
        )
    finally:
        bus.disconnect()
    if reply.message_type is MessageType.ERROR:
        raise OSError(reply.body[0] if reply.signature.startswith("s") else reply.error_name)
