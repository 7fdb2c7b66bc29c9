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

NAME = "org.pwmixer.Test"

pytestmark = pytest.mark.usefixtures("private_bus")


async def test_sending_never_raises_even_while_the_bus_dies(private_bus: Session) -> None:
    connection = await BusConnection.open()
    pid = await connection.process_behind(DAEMON)
    assert pid
    os.kill(pid, signal.SIGKILL)
    private_bus.wait_for(lambda: connection_is_dead(pid), "the end of the bus")
    for _ in range(10):
        connection.send(Message(message_type=MessageType.SIGNAL, path="/x", interface=NAME, member="Said"))
    async with asyncio.timeout(PATIENCE):
        await connection.wait_closed()


@pytest.mark.parametrize("dies", [True, False])
async def test_a_name_is_given_up_also_where_the_bus_dies_meanwhile_or_says_nothing(
    monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    if not dies:
        monkeypatch.setattr(connection_module, "DISOWN_TIMEOUT", 0.1)
    connection = await BusConnection.open()
    await connection.own(NAME)
    pid = await connection.process_behind(DAEMON)
    assert pid
    os.kill(pid, signal.SIGSTOP)
    ending = asyncio.create_task(connection.disown(NAME))
    await asyncio.sleep(0)
    if dies:
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await ending
    connection.close()
    if not dies:
        os.kill(pid, signal.SIGCONT)


def connection_is_dead(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("owning", ["own", "own_instead", "process_behind"])
async def test_a_bus_that_leaves_while_it_is_asked_is_one_that_has_gone(
    monkeypatch: pytest.MonkeyPatch, owning: str
) -> None:
    connection = await BusConnection.open()

    async def leave(*_: object) -> None:
        raise EOFError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "_bus", SimpleNamespace(call=leave, request_name=leave))
        with pytest.raises(ConnectionError, match="the session bus has gone"):
            await getattr(connection, owning)(NAME)
    connection.close()
