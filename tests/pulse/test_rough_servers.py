"""A sound server that hangs, dies or answers while whoever is told of it goes: nothing is lost, and nothing is asked for twice."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from session import PATIENCE, Session, completed

from pwmixer_dbus.core.errors import MixerError, NotConnectedError
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.server import SET_MUTE

MANY = 20_000
"""Requests that no socket holds."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session() as session:
        session.add_null_sink("speakers")
        yield session


class Asked:
    """A connection, the ends of what was asked in their order, and whether the server is lost."""

    def __init__(self, session: Session) -> None:
        self.ends: list[tuple[int, MixerError | None]] = []
        self.seen: list[int] = []
        self.is_answered = asyncio.Event()
        self.lost = asyncio.Event()
        self.is_done = asyncio.Event()
        self.connection = libpulse.Connection("rough", lambda *_: None, self.lost.set)
        self.connection.server = session.env["PULSE_SERVER"]

    def ask(self, count: int) -> None:
        """Ask for the server so often."""
        for number in range(count):
            self.connection.fetch_single(
                libpulse.get_server,
                read=partial(self._number, number),
                seen=self._see,
                done=partial(self._end, count, number),
            )

    def _number(self, number: int, _address: int) -> int:
        return number

    def _see(self, number: int) -> None:
        self.seen.append(number)
        self.is_answered.set()

    def _end(self, count: int, number: int, error: MixerError | None) -> None:
        self.ends.append((number, error))
        if len(self.ends) == count:
            self.is_done.set()


def with_a_server(
    test: Callable[[Asked, Session], Coroutine[Any, Any, None]],
) -> Callable[[Session], None]:
    def run(session: Session) -> None:
        async def main() -> None:
            asked = Asked(session)
            await asked.connection.connect(timeout=PATIENCE)
            async with asyncio.timeout(PATIENCE):
                await test(asked, session)
            asked.connection.close()

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@with_a_server
async def test_what_is_asked_of_a_server_that_hangs_waits_without_turning_and_is_answered_in_order(
    asked: Asked, session: Session
) -> None:
    pid = session.pid_of("pipewire-pulse")
    loop: Any = asyncio.get_running_loop()
    os.kill(pid, signal.SIGSTOP)
    try:
        asked.ask(MANY)  # which blocks nobody
        await asyncio.sleep(0)
        assert asked.connection.connected
        assert loop._selector.select(0) == [], "there is nothing to do before the server goes on"
    finally:
        os.kill(pid, signal.SIGCONT)
    await asked.is_done.wait()
    assert asked.ends == [(number, None) for number in range(MANY)]
    assert asked.seen == list(range(MANY))
    # What has been written is not waited for any more.
    assert [key.events for key in loop._selector.get_map().values()] == [1, 1]


@with_a_server
async def test_whoever_waits_for_a_server_that_dies_is_told_once(asked: Asked, session: Session) -> None:
    asked.ask(MANY)
    await asked.is_answered.wait()
    os.kill(session.pid_of("pipewire-pulse"), signal.SIGKILL)
    await asked.lost.wait()
    session.stop_pulse()
    session.start_pulse()
    answered = len(asked.seen)
    assert 0 < answered < MANY
    assert asked.seen == list(range(answered))
    assert [number for number, _ in asked.ends] == list(range(MANY))
    assert [type(error) for _, error in asked.ends] == [
        *[type(None)] * answered,
        *[NotConnectedError] * (MANY - answered),
    ]
    later: list[object] = []
    asked.connection.command(SET_MUTE[Kind.SINK], 1, 1, done=later.append)
    assert [type(error) for error in later] == [NotConnectedError]


@with_a_server
async def test_a_server_that_owes_an_answer_for_too_long_is_lost_when_it_is_asked_again(
    asked: Asked, session: Session
) -> None:
    pid = session.pid_of("pipewire-pulse")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as patch:
            asked.ask(1)
            await asyncio.sleep(0)
            assert (asked.ends, asked.lost.is_set()) == ([], False)
            patch.setattr(libpulse, "LONGEST", 0.0)
            asked.ask(1)
            await asked.lost.wait()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [type(error) for _, error in asked.ends] == [NotConnectedError, NotConnectedError]
    assert asked.seen == []


@with_a_server
async def test_whoever_retires_does_not_wait_for_ever_for_an_answer(asked: Asked, session: Session) -> None:
    pid = session.pid_of("pipewire-pulse")
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(libpulse, "LONGEST", 0.0)
            asked.ask(1)
            await asked.connection.retire()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [type(error) for _, error in asked.ends] == [NotConnectedError]


CLOSED = """
import asyncio, faulthandler, sys
from pwmixer_dbus.core.errors import NotConnectedError
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.server import LIST, SET_MUTE

faulthandler.enable()

async def once(who):
    ended = []
    told = asyncio.Event()
    def close(what):
        if what == who:
            connection.close()
            told.set()
    connection = libpulse.Connection("closed", lambda *_: close("notice"), lambda: None)
    await connection.connect()
    for _ in range(5):
        connection.fetch(LIST[Kind.SINK], read=lambda address: address, seen=lambda _: close("seen"),
                         done=lambda error: (ended.append(error), close("done")))
    connection.fetch_single(libpulse.get_server, read=lambda address: address, seen=lambda _: close("single"),
                            done=ended.append)
    connection.command(libpulse.subscribe, libpulse.EVERYTHING, done=lambda error: (ended.append(error), close("command")))
    connection.command(SET_MUTE[Kind.SINK], int(sys.argv[1]), 0, done=ended.append)
    another = libpulse.Connection("which is noticed", lambda *_: None, lambda: None)
    await another.connect()
    await told.wait()
    another.close()
    await asyncio.sleep(0)
    assert len(ended) == 8, (who, ended)
    assert who == "notice" or isinstance(ended[-1], NotConnectedError), (who, ended)
    connection.close()

async def main():
    for who in ("seen", "done", "single", "command", "notice"):
        await once(who)
    await once("seen")
    print("alive")

asyncio.run(main())
"""


def test_whoever_is_told_anything_may_close_the_connection(session: Session) -> None:
    sink = session.pactl("list", "short", "sinks").split()[0]
    done = completed(
        *(sys.executable, "-X", "dev", "-c", CLOSED, sink),
        env={**session.env, "PYTHONWARNINGS": "error"},
        cwd=Path(libpulse.__file__).parents[2],
    )
    assert done.stdout == "alive\n", done.stderr[-3000:]
    assert "failed" not in done.stderr
