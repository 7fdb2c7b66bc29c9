"""A sound server that lets us in and then tells nothing, or dies while very much waits to be looked at."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from jumping import jumped

from pwmixer_dbus.core.errors import AudioServerError, MixerError
from pwmixer_dbus.core.events import Event
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.libpulse import Connection
from pwmixer_dbus.pulse.server import LAST_RETRY, LOOKS, SoundServer

MANY = 1000
"""Objects that have changed at a time: more than Python lets functions call each other."""

CHANGED = 0x12


class Refusing:
    """A connection over which everything is refused."""

    def command(self, *_: Any, done: Callable[[MixerError | None], None]) -> None:
        done(None)

    def fetch(self, *_: Any, done: Callable[[MixerError | None], None], **__: Any) -> None:
        done(AudioServerError("The sound server refused: Access denied."))

    fetch_single = fetch

    def close(self) -> None:
        """Have nothing to give back."""


def test_a_server_that_lets_us_in_and_refuses_to_list_is_asked_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def opened(_server: SoundServer) -> Any:
            attempts.append(loop.time())
            return Refusing()

        monkeypatch.setattr(SoundServer, "_opened", opened)
        following = asyncio.create_task(SoundServer(ignore).run())
        await asyncio.sleep(20 * LAST_RETRY)
        following.cancel()

    jumped(main())
    assert attempts[1] - attempts[0] < 0.2
    assert len(attempts) < 35


def test_a_server_that_dies_while_very_many_objects_wait_is_given_up_without_an_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        lost = asyncio.Event()
        connection = Connection("dying", lambda *_: None, lost.set)
        server = SoundServer(ignore)
        server._connection, server._is_listed = connection, True
        connection._connected.set()
        with monkeypatch.context() as patched:
            patched.setattr(connection._loop, "call", lambda *_: 1)
            patched.setattr(libpulse, "_operation_unref", lambda _: None)
            for index in range(MANY):
                server._on_notice(CHANGED, index)
            assert len(server._waiting) == MANY - LOOKS
            connection._connected.clear()
            connection._lost()
        assert lost.is_set()
        server._drop("it has died")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert caplog.messages == []


def ignore(event: Event) -> None:
    del event
