"""A stream that has other channels when it is written than when it was read: a race that no reading can rule out."""

import asyncio

import pytest
from session import PATIENCE, Session

from pwmixer_dbus.core.commands import SetVolume
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.events import Event
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.pulse.server import SoundServer


@pytest.mark.parametrize(("read", "written"), [(1, 2), (2, 1), (6, 2)])
def test_a_volume_for_other_channels_is_set_on_those_that_there_are(
    session: Session, monkeypatch: pytest.MonkeyPatch, read: int, written: int
) -> None:
    session.play("Changeling", channels=written)
    monkeypatch.setenv("PULSE_SERVER", session.env["PULSE_SERVER"])
    state = asyncio.run(after_writing(read))
    assert [stream.channels for stream in state.streams.values()] == [(0.4,) * written]


async def after_writing(read: int) -> MixerState:
    """Write as many channels as were read; return the state when that is acknowledged, and shown."""
    state, shown = MixerState(), asyncio.Event()
    answered: asyncio.Future[MixerError | None] = asyncio.get_running_loop().create_future()

    def take(event: Event) -> None:
        nonlocal state
        state, _ = apply(state, event)
        if any(stream.channels[:1] == (0.4,) for stream in state.streams.values()):
            shown.set()

    server = SoundServer(take)
    following = asyncio.create_task(server.run())
    async with asyncio.timeout(PATIENCE):
        await server.has_looked.wait()
        (key,) = state.streams
        server.send(SetVolume(key=key, channels=(0.4,) * read), answered.set_result)
        assert await answered is None
        await shown.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return state
