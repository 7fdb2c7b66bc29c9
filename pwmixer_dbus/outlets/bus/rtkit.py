"""The priority of the sound server, for this process: whoever moves a stream in time must not wait behind a busy machine.

PipeWire, its Pulse server and WirePlumber run at nice -11 (`nice.level` of PipeWire's module-rt), which they mostly have of
RealtimeKit, a service of the system bus; its interface is documented in its own README (org.freedesktop.RealtimeKit1).
Beside them, where they are busy, a process at 0 gets a tenth of a processor.
"""

import asyncio
import logging
import os
import threading

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

log = logging.getLogger(__name__)

NAME, PATH = "org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1"

PATIENCE = 5.0
"""Seconds for all of it; RealtimeKit may have to be started first."""


async def take(nice: int) -> None:
    """Run at a nice level from now on, -20 to 19. Where that is not allowed, RealtimeKit is asked."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError:
        try:
            await make_nice(nice)
        except OSError as error:
            log.info(
                "on a busy machine others have their turn first, since nice %d is not to be had: %s",
                nice,
                error,
            )


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
