"""A service that is told to stop in the very moment in which the sound server answers."""

import asyncio
import os

import pytest
from session import PATIENCE, Session

from pwmixer_dbus.core.events import Event
from pwmixer_dbus.pulse import libpulse
from pwmixer_dbus.pulse.server import SoundServer


async def test_following_ends_when_it_is_cancelled_around_the_answer(
    bare_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", bare_session.env["XDG_RUNTIME_DIR"])
    assert "PULSE_SERVER" not in os.environ
    answered = asyncio.Event()
    told = libpulse.Connection._pulse_state_cb

    def tell(connection: libpulse.Connection, context: object, data: object) -> None:
        told(connection, context, data)
        if connection.connected:
            answered.set()

    monkeypatch.setattr(libpulse.Connection, "_pulse_state_cb", tell)
    for turns in range(10):
        answered.clear()
        running = asyncio.create_task(SoundServer(ignore).run())
        await answered.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait((running,), timeout=PATIENCE)
        if not done:
            running.cancel()
            await asyncio.wait((running,))
            pytest.fail(f"it went on after it was cancelled {turns} turns after the answer")


def ignore(event: Event) -> None:
    del event
