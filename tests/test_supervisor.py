"""What whoever started the service is told, and the watchdog that sleeps while the service does."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from session import PATIENCE

from pwmixer_dbus.system.supervisor import Supervisor, WatchedSelector, new_loop

WATCHDOG = 60_000
"""Microseconds, so that a test need not wait long for quiet."""


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """Listen where a supervisor would, at a path or at an abstract address."""
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(name if request.param == "path" else f"\0{name}")
        ear.settimeout(PATIENCE)
        yield ear


def environment(ear: socket.socket, **more: str) -> dict[str, str]:
    address = ear.getsockname()
    name = f"@{address[1:].decode()}" if isinstance(address, bytes) else address
    return {"NOTIFY_SOCKET": name, "HOME": "/", **more}


def watched(ear: socket.socket) -> Supervisor:
    return Supervisor(environment(ear, WATCHDOG_USEC=str(WATCHDOG), WATCHDOG_PID=str(os.getpid())))


def heard(ear: socket.socket) -> str:
    return ear.recv(4096).decode()


def test_notes_are_sent_as_they_are(ear: socket.socket) -> None:
    supervisor = Supervisor(environment(ear))
    assert supervisor.tell("READY=1", "STATUS=It runs.")
    assert heard(ear) == "READY=1\nSTATUS=It runs."


def test_a_status_is_one_line(ear: socket.socket) -> None:
    Supervisor(environment(ear)).tell_status("config.toml:3: wrong\nWATCHDOG=trigger")
    assert heard(ear) == "STATUS=config.toml:3: wrong WATCHDOG=trigger"


def test_nobody_else_speaks_in_our_name(ear: socket.socket) -> None:
    left = environment(ear, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    Supervisor(left)
    assert left == {"HOME": "/"}


@pytest.mark.parametrize(
    "address", ["", "vsock:2:1234", "relative", "/nobody/is/here", "@nobody", "/" + 200 * "x"]
)
def test_without_anybody_to_tell_nothing_happens(address: str) -> None:
    assert not Supervisor({"NOTIFY_SOCKET": address}).tell("READY=1")


def test_a_supervisor_that_does_not_read_is_not_waited_for(ear: socket.socket) -> None:
    supervisor = Supervisor(environment(ear))
    sent = 0
    while supervisor.tell(f"STATUS={sent}"):
        sent += 1
        assert sent < 100_000
    assert heard(ear) == "STATUS=0"


@pytest.mark.parametrize(
    ("variables", "watchdog"),
    [
        ({"WATCHDOG_USEC": "5"}, 5),
        ({"WATCHDOG_USEC": "5", "WATCHDOG_PID": str(os.getpid())}, 5),
        ({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "-5"}, 0),
        ({}, 0),
    ],
)
def test_only_a_watchdog_that_is_for_us_counts(
    ear: socket.socket, variables: dict[str, str], watchdog: int
) -> None:
    assert Supervisor(environment(ear, **variables)).watchdog == watchdog


def test_a_loop_that_nobody_watches_has_no_watchdog() -> None:
    loop = new_loop(Supervisor({"WATCHDOG_USEC": "1000"}))
    assert not isinstance(loop._selector, WatchedSelector)  # type: ignore[attr-defined]
    loop.close()


@pytest.mark.parametrize("is_watched", [False, True])
def test_the_clock_of_the_loop_is_the_systems_at_first_hand(ear: socket.socket, *, is_watched: bool) -> None:
    loop = new_loop(watched(ear) if is_watched else Supervisor({}))
    assert loop.time is time.monotonic
    loop.close()


def test_the_watchdog_sleeps_while_nothing_happens_and_wakes_with_what_comes(ear: socket.socket) -> None:
    """It is watched from the start, let alone when it is quiet, and watched again before a call is handled."""
    supervisor = watched(ear)
    notes: list[str] = []
    ours, theirs = socket.socketpair()

    async def follow() -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_reader(ours, called.set)
        thread = asyncio.create_task(asyncio.to_thread(call_when_quiet, ear, theirs))
        await called.wait()
        loop.remove_reader(ours)
        notes.append(heard(ear))  # it has been sent already, and by this blocked loop
        await thread

    with asyncio.Runner(loop_factory=lambda: new_loop(supervisor)) as runner:
        runner.run(follow())
    ours.close()
    theirs.close()
    assert notes == [f"WATCHDOG_USEC={WATCHDOG}"]


def call_when_quiet(ear: socket.socket, caller: socket.socket) -> None:
    """Wait until nobody watches any more, then send something that wakes."""
    while heard(ear) != "WATCHDOG_USEC=0":
        pass
    caller.send(b"x")


def test_who_works_on_gives_signs_of_life(ear: socket.socket) -> None:
    supervisor = watched(ear)

    async def work() -> str:
        ear.setblocking(False)
        while True:
            await asyncio.sleep(WATCHDOG / 20e6)  # many times in each look
            try:
                return heard(ear)
            except BlockingIOError:
                continue

    with asyncio.Runner(loop_factory=lambda: new_loop(supervisor)) as runner:
        assert runner.run(work()) == "WATCHDOG=1"
