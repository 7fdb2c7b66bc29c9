"""A move is looked at again when the server no longer claims that it has happened; the clock is one that jumps."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from jumping import JumpingLoop

from pwmixer_dbus.core.commands import MoveStream, SetMuted
from pwmixer_dbus.core.events import Event
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse.libpulse import Connection
from pwmixer_dbus.pulse.server import CLAIMED, SoundServer

STREAM = (Kind.PLAYBACK, 10)


class Obedient:
    """A connection that grants everything at once, and notes when an object is fetched."""

    def __init__(self) -> None:
        self.fetched: list[tuple[float, int]] = []

    def command(self, _function: Any, *_arguments: Any, done: Callable[[None], None]) -> None:
        done(None)

    def fetch(
        self, _function: Any, index: int, *, read: Any, seen: Any, done: Callable[[None], None]
    ) -> None:
        del read, seen
        self.fetched.append((asyncio.get_running_loop().time(), index))
        done(None)

    def close(self) -> None:
        """Have nothing to give back."""


def fetches_after(does: Callable[[SoundServer], None]) -> list[tuple[float, int]]:
    """Return which indexes are fetched, how many seconds after something was done."""
    connection = Obedient()

    async def run() -> None:
        events: list[Event] = []
        server = SoundServer(events.append)
        server._connection, server._is_listed = cast(Connection, connection), True
        server._shown[STREAM], server._processes[STREAM] = (1,), None
        does(server)
        await asyncio.sleep(10)

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        started = runner.get_loop().time()
        runner.run(run())
    return [(round(at - started, 6), index) for at, index in connection.fetched]


def ignore(_error: object) -> None:
    """Take an answer."""


def test_a_stream_that_was_moved_is_looked_at_when_the_claim_is_over() -> None:
    assert fetches_after(lambda server: server.send(MoveStream(key=STREAM, device=1), ignore)) == [
        (CLAIMED, 10)
    ]


def test_one_that_is_moved_twice_is_looked_at_once() -> None:
    def move_twice(server: SoundServer) -> None:
        server.send(MoveStream(key=STREAM, device=3), ignore)
        server.send(MoveStream(key=STREAM, device=1), ignore)

    assert fetches_after(move_twice) == [(CLAIMED, 10)]


def test_one_that_has_gone_is_not_looked_at() -> None:
    def move_and_end(server: SoundServer) -> None:
        server.send(MoveStream(key=STREAM, device=3), ignore)
        server._on_notice(0x22, STREAM[1])  # removed, a playback stream

    assert fetches_after(move_and_end) == []


def test_one_whose_move_is_granted_after_its_end_leaves_nothing_behind() -> None:
    kept: list[int] = []

    def move_that_is_late(server: SoundServer) -> None:
        granted: list[Callable[[None], None]] = []
        late = SimpleNamespace(command=lambda *_, done: granted.append(done), close=lambda: None)
        server._connection = cast(Connection, late)
        server.send(MoveStream(key=STREAM, device=3), ignore)
        server._on_notice(0x22, STREAM[1])  # removed, a playback stream
        granted[0](None)
        kept.append(len(server._claimed))

    assert fetches_after(move_that_is_late) == []
    assert kept == [0]


def test_nothing_is_looked_at_after_the_connection_is_lost() -> None:
    def move_and_lose(server: SoundServer) -> None:
        server.send(MoveStream(key=STREAM, device=3), ignore)
        server._drop("the sound server went away")

    assert fetches_after(move_and_lose) == []


def test_what_is_muted_is_not_claimed() -> None:
    assert fetches_after(lambda server: server.send(SetMuted(key=STREAM, muted=True), ignore)) == []
