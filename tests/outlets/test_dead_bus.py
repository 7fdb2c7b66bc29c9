"""A bus daemon that dies while we write to it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType
from session import PATIENCE, Session

from pwmixer_dbus.outlets.bus.connection import DAEMON, BusConnection

pytestmark = pytest.mark.integration


def test_sending_never_raises_even_while_the_bus_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        connection = await BusConnection.open()
        pid = await connection.process_behind(DAEMON)
        assert pid
        os.kill(pid, signal.SIGKILL)
        session.wait_for(lambda: connection_is_dead(pid), "the end of the bus")
        for _ in range(10):
            connection.send(
                Message(
                    message_type=MessageType.SIGNAL, path="/x", interface="org.pwmixer.Test", member="Said"
                )
            )
        async with asyncio.timeout(PATIENCE):
            await connection.wait_closed()

    with Session(sound=False) as session:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        asyncio.run(main())


def connection_is_dead(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0] == "Z"
