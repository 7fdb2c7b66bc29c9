"""Sends signals over the service's own connection, as fast as can be, and looks whether that is alive afterwards."""

import asyncio
import sys
import time

from dbus_fast import Variant

from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.interfaces import PROPERTIES, Interface

ROOT = "/org/pwmixer/Mixer"
OURS = Interface(name="org.pwmixer.Bench", signals=PROPERTIES.signals)


async def emit(count: int) -> None:
    """Send so many; print the moment of the first in microseconds. Raises OSError where the connection has died."""
    connection = await BusConnection.open()
    print(time.monotonic() * 1e6)
    for number in range(count):
        body = [f"{ROOT}.Node", {"Volume": Variant("d", number % 100 / 100)}, []]
        connection.send(OURS.signal(f"{ROOT}/streams/{number % 50}", "PropertiesChanged", body))
    await asyncio.sleep(0)  # they are written at the end of this pass of the loop
    await connection.process_behind(connection.unique_name)
    connection.close()


if __name__ == "__main__":
    asyncio.run(emit(int(sys.argv[1])))
