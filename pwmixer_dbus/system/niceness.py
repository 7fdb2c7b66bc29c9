"""The priority of the sound server, for this process: whoever moves a stream in time must not wait behind a busy machine.

PipeWire, its Pulse server and WirePlumber run at nice -11 (`nice.level` of PipeWire's module-rt). Beside them, where
they are busy, a process at 0 gets a tenth of a processor.
"""

import logging
import os

log = logging.getLogger(__name__)


async def take(nice: int) -> None:
    """Run at a nice level from now on, -20 to 19; 0 changes nothing. Where that is not allowed, RealtimeKit is asked."""
    if nice == 0:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError:
        from pwmixer_dbus.outlets.bus.rtkit import make_nice  # noqa: PLC0415 - needs a connection of its own, once

        try:
            await make_nice(nice)
        except OSError as error:
            log.info(
                "on a busy machine others have their turn first, since nice %d is not to be had: %s",
                nice,
                error,
            )
