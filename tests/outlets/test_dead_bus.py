"""A bus daemon that dies while we write to it."""

import asyncio
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from dbus_fast import Message, MessageType
from session import PATIENCE, Session

from pwmixer_dbus.outlets.bus import connection as connection_module
from pwmixer_dbus.outlets.bus.connection import DAEMON, BusConnection


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


@pytest.mark.parametrize("dies", [True, False])
def test_a_name_is_given_up_also_where_the_bus_dies_meanwhile_or_says_nothing(
    monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    async def main() -> None:
        connection = await BusConnection.open()
        await connection.own("org.pwmixer.Test")
        pid = await connection.process_behind(DAEMON)
        assert pid
        os.kill(pid, signal.SIGSTOP)
        ending = asyncio.create_task(connection.disown("org.pwmixer.Test"))
        await asyncio.sleep(0)
        if dies:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            await ending
        connection.close()
        if not dies:
            os.kill(pid, signal.SIGCONT)

    with Session(sound=False) as session:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        if not dies:
            monkeypatch.setattr(connection_module, "DISOWN_TIMEOUT", 0.1)
        asyncio.run(main())


def connection_is_dead(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("owning", ["own", "own_instead", "process_behind"])
def test_a_bus_that_leaves_while_it_is_asked_is_one_that_has_gone(
    monkeypatch: pytest.MonkeyPatch, owning: str
) -> None:
    async def main() -> None:
        connection = await BusConnection.open()

        async def leave(*_: object) -> None:
            raise EOFError

        with monkeypatch.context() as patch:
            patch.setattr(connection, "_bus", SimpleNamespace(call=leave, request_name=leave))
            with pytest.raises(ConnectionError, match="the session bus has gone"):
                await getattr(connection, owning)("org.pwmixer.Test")
        connection.close()

    with Session(sound=False) as session:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        asyncio.run(main())
