"""Record streams that measure, on a real server: whom they never record, and over how many connections they come."""

import asyncio
import math
import os
import re
import resource
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pulsectl import _pulsectl as c
from session import PATIENCE, Session

from pwmixer_dbus.core.metering import Tap
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse.meters import LINES, Taps

TONE = 10 ** (-30 / 20)


@pytest.fixture
def server(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Make the session's sound server that of this process."""
    monkeypatch.setenv("PULSE_SERVER", session.env["PULSE_SERVER"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", session.env["XDG_RUNTIME_DIR"])
    yield session
    assert "media.name" not in session.pactl("list", "source-outputs")


def recordings(session: Session) -> list[str]:
    """List the server's numbers of the sources that are recorded."""
    return re.findall(r"Source: (\d+)", session.pactl("list", "source-outputs"))


async def until_heard(taps: Taps, wanted: set[Tap]) -> dict[Tap, float]:
    """Read until all of them have been heard; return the last level of each."""
    heard: dict[Tap, float] = {}
    async with asyncio.timeout(PATIENCE):
        while not wanted <= {tap for tap, level in heard.items() if level}:
            await asyncio.sleep(0.02)
            heard.update(taps.read())
    return heard


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(0.02)
            if condition():
                return


async def closed(taps: Taps) -> None:
    """Close, and wait until the last connection has ended."""
    taps.close()
    await until(lambda: taps._mainloop is None)


def inputs(session: Session) -> list[int]:
    return [int(line.split()[0]) for line in session.pactl("list", "short", "sink-inputs").splitlines()]


async def test_what_has_gone_is_measured_by_nobody_and_the_microphone_least_of_all(server: Session) -> None:
    server.play("Radio")
    radio = Tap(kind=Kind.PLAYBACK, index=inputs(server)[0], positions=("front-left", "front-right"))
    gone = {
        Tap(kind=Kind.PLAYBACK, index=99_999),
        Tap(kind=Kind.SINK, index=99_998, source="unplugged.monitor"),
        Tap(kind=Kind.SOURCE, index=99_997, source="unplugged"),
    }
    taps = Taps(lambda: None)
    taps.follow(frozenset({radio, *gone}))
    heard = await until_heard(taps, {radio})
    assert heard == {radio: pytest.approx(TONE, rel=0.02)}
    await until(lambda: taps.read() is not None and taps._timer is not None)  # they are asked for again
    microphone = server.pactl("list", "short", "sources").split("\tmicrophone\t")[0].splitlines()[-1]
    assert microphone not in recordings(server)
    await closed(taps)
    assert taps._timer is None


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
async def test_what_is_no_number_is_left_out(server: Session, tmp_path: Path, odd: float) -> None:
    played = tmp_path / "played"
    played.write_bytes(struct.pack("<2f", odd, 0.25) * 100_000)
    server.spawn("odd", "pacat", "--raw", "--format=float32le", "--rate=8000", "--channels=2", str(played))
    server.wait_for_child("odd", lambda: inputs(server), "to play")
    (index,) = inputs(server)
    both = Tap(kind=Kind.PLAYBACK, index=index, positions=("front-left", "front-right"))
    mixed = Tap(kind=Kind.PLAYBACK, index=index)
    taps = Taps(lambda: None)
    taps.follow(frozenset({both, mixed}))
    heard: dict[Tap, set[float]] = {both: set(), mixed: set()}
    async with asyncio.timeout(PATIENCE):
        while not all(heard.values()) or max(heard[both]) == 0.0:
            await asyncio.sleep(0.02)
            for tap, level in taps.read().items():
                heard[tap].add(level)
    assert all(map(math.isfinite, heard[both] | heard[mixed]))
    await closed(taps)


async def test_a_sink_on_which_nothing_plays_goes_on_sleeping(server: Session) -> None:
    server.play("Radio", sink="speakers")
    radio = Tap(kind=Kind.SINK, index=1, source="speakers.monitor")
    silence = Tap(kind=Kind.SINK, index=2, source="headset.monitor")

    def is_asleep() -> bool:
        (line,) = [x for x in server.pactl("list", "short", "sinks").splitlines() if "\theadset\t" in x]
        return line.endswith("SUSPENDED")

    taps = Taps(lambda: None)
    taps.follow(frozenset({radio, silence}))
    assert set(await until_heard(taps, {radio})) == {radio}
    await until(lambda: taps.read() is not None and len(set(recordings(server))) > 1)
    assert is_asleep()
    server.play("Film", sink="headset")
    await until_heard(taps, {silence})
    await closed(taps)


async def test_each_of_the_first_eight_has_a_connection_of_its_own(server: Session) -> None:
    for number in range(2):
        server.play(f"Radio {number}")
    wanted = {
        Tap(kind=Kind.PLAYBACK, index=index, positions=positions)
        for index in inputs(server)
        for positions in (("mono",), ("front-left",), ("front-right",), ("front-left", "front-right"), ())
    }
    assert len(wanted) == LINES + 2
    woken = asyncio.Event()
    taps = Taps(woken.set)
    taps.follow(frozenset(wanted))
    async with asyncio.timeout(PATIENCE):
        await woken.wait()
    assert sorted(len(line.streams) for line in taps._lines) == [1] * (LINES - 2) + [2, 2]
    await until_heard(taps, {tap for line in taps._lines if len(line.streams) == 1 for tap in line.streams})
    await closed(taps)


async def test_what_is_closed_while_the_server_makes_it_is_recorded_no_more(server: Session) -> None:
    """It shares a connection with others, which go on; libpulse gives nothing up that has no answer yet."""
    server.play("Radio")
    (index,) = inputs(server)
    places = (
        "mono",
        "lfe",
        "front-left",
        "front-right",
        "front-center",
        "rear-left",
        "rear-right",
        "side-left",
    )
    first, second, *others = [
        Tap(kind=Kind.PLAYBACK, index=index, positions=positions)
        for positions in (("side-right",), (), *((place,) for place in places))
    ]
    assert len(others) == LINES
    taps = Taps(lambda: None)
    taps.follow(frozenset(others))
    await until_heard(taps, {others[0]})
    await until(lambda: taps.read() is not None and len(recordings(server)) == LINES)
    pid = server.pid_of("pipewire-pulse")
    os.kill(pid, signal.SIGSTOP)
    taps.follow(frozenset({first, *others}))
    taps.follow(frozenset(others))
    taps.follow(frozenset({second, *others}))
    os.kill(pid, signal.SIGCONT)
    await until(lambda: taps.read() is not None and len(recordings(server)) > LINES)
    await until(lambda: taps.read() is not None and len(recordings(server)) == LINES + 1)
    await closed(taps)


def test_what_libpulse_has_closed_is_watched_no_more_also_where_it_waited_to_write() -> None:
    """As on a connection to a server that hangs, is asked for very many streams, and dies."""

    async def main() -> None:
        taps = Taps(lambda: None)
        here, there = socket.socketpair()
        with there:
            descriptors = (c.POLLFD * 1)(c.POLLFD(fd=here.fileno(), events=select.POLLIN | select.POLLOUT))
            taps._watch(descriptors, 1, 0, None)
            here.close()
            taps._watch(descriptors, 0, 0, None)
        assert taps._watched == []

    asyncio.run(main())


def test_what_is_closed_before_there_is_a_connection_waits_for_it_and_ends(server: Session) -> None:
    async def main() -> None:
        taps = Taps(lambda: None)
        taps.follow(frozenset({Tap(kind=Kind.SINK, index=1, source="speakers.monitor")}))
        assert taps._mainloop is not None
        await closed(taps)
        assert taps._lines == []
        assert taps._watched == []

    asyncio.run(main())
    assert recordings(server) == []


async def test_without_a_server_it_is_tried_again(server: Session) -> None:
    server.stop_pulse()
    taps = Taps(lambda: None)
    tap = Tap(kind=Kind.SINK, index=1, source="speakers.monitor")
    taps.follow(frozenset({tap}))
    await until(lambda: taps._timer is not None)
    server.start_pulse()
    server.add_null_sink("speakers")  # which has ended with its server
    server.play("Radio", sink="speakers")
    await until_heard(taps, {tap})
    await closed(taps)


async def test_without_a_descriptor_left_it_is_tried_again_later(server: Session) -> None:
    server.play("Radio")
    radio = Tap(kind=Kind.PLAYBACK, index=inputs(server)[0], positions=("front-left", "front-right"))
    taps = Taps(lambda: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        taps.follow(frozenset({radio}))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert taps._mainloop is None
    await until_heard(taps, {radio})
    await closed(taps)
