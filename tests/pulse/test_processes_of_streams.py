"""Whose process a stream is: what its client's is known to be is not read again."""

import asyncio
import os
from collections.abc import Callable

from pwmixer_dbus.core.model import Kind, Process, Properties
from pwmixer_dbus.pulse.process import read_process
from pwmixer_dbus.pulse.server import SoundServer

CLIENT, STREAM = 7, (Kind.PLAYBACK, 8)


def of_process(pid: int) -> Properties:
    return {"application.process.id": str(pid)}


def behind(look: Callable[[SoundServer], Process | None]) -> Process | None:
    """Look at a sound server that knows one client, which is this process."""

    async def main() -> Process | None:
        server = SoundServer(lambda _: None)
        server._process_behind((Kind.CLIENT, CLIENT), None, of_process(os.getpid()))
        return look(server)

    return asyncio.run(main())


def test_a_stream_is_of_its_clients_process_which_is_not_read_again() -> None:
    def look(server: SoundServer) -> Process | None:
        server._processes[Kind.CLIENT, CLIENT] = known = Process(pid=os.getpid(), comm="as it was read")
        assert server._process_behind(STREAM, CLIENT, of_process(os.getpid())) is known
        return known

    assert behind(look)


def test_a_stream_of_another_process_than_its_clients_is_of_that() -> None:
    found = behind(lambda server: server._process_behind(STREAM, CLIENT, of_process(os.getppid())))
    assert found == read_process(os.getppid())


def test_a_stream_without_a_client_is_of_the_process_that_it_names() -> None:
    found = behind(lambda server: server._process_behind(STREAM, None, of_process(os.getpid())))
    assert found == read_process(os.getpid())


def test_a_stream_that_names_no_process_is_of_none() -> None:
    assert behind(lambda server: server._process_behind(STREAM, CLIENT, {})) is None
