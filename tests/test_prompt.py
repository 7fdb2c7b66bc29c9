"""A selector that calls whoever reads at once is asyncio's own in everything else: the order, what is cancelled, what fails."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pwmixer_dbus.system.prompt import PromptSelector

Pair = tuple[socket.socket, socket.socket]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "prompt": lambda: asyncio.SelectorEventLoop(PromptSelector()),
    "asyncio's": asyncio.SelectorEventLoop,
}


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop of each kind: whatever is true of one is so of the other."""
    with closing(LOOPS[request.param]()) as loop:
        yield loop


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Give two connections; the first of each is read."""
    pairs = [socket.socketpair() for _ in range(2)]
    yield pairs
    for pair in pairs:
        for end in pair:
            end.close()


def test_who_reads_is_called_in_what_the_loop_takes_for_waiting(pairs: list[Pair]) -> None:
    loop = asyncio.SelectorEventLoop(PromptSelector())
    (ours, theirs), _ = pairs
    called: list[str] = []
    with closing(loop):
        loop.add_reader(ours, called.append, "read")
        theirs.send(b"x")
        assert loop._selector.select(1.0) == []  # type: ignore[attr-defined]
        assert called == ["read"]
        loop.call_soon(called.append, "first")
        loop._run_once()  # type: ignore[attr-defined]
        assert called == ["read", "first", "read"], "who waits for its turn comes first"


def test_it_can_be_switched_off(pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptSelector, "is_prompt", False)
    loop = asyncio.SelectorEventLoop(PromptSelector())
    (ours, theirs), _ = pairs
    with closing(loop):
        loop.add_reader(ours, pytest.fail)
        theirs.send(b"x")
        ((key, _),) = loop._selector.select(1.0)  # type: ignore[attr-defined]
        assert key.fd == ours.fileno()


def test_all_are_called_and_what_they_put_off_comes_after(
    loop: asyncio.AbstractEventLoop, pairs: list[Pair]
) -> None:
    called: list[str] = []

    def read(number: int) -> None:
        pairs[number][0].recv(1)
        called.append("read")
        loop.call_soon(put_off)

    def put_off() -> None:
        called.append("later")
        if called.count("later") == len(pairs):
            loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        loop.add_reader(ours, read, number)
        theirs.send(b"x")
    loop.run_forever()
    assert called == ["read", "read", "later", "later"]


def test_who_is_no_longer_to_be_called_is_not(loop: asyncio.AbstractEventLoop, pairs: list[Pair]) -> None:
    """Both can be read; who is called first has the other left alone, whose number then is that of another file."""
    called: list[int] = []

    def read(number: int) -> None:
        called.append(number)
        other = pairs[1 - number][0]
        loop.remove_reader(other)
        os.dup2(another.fileno(), other.fileno())
        loop.add_reader(other, called.append, 2)
        loop.remove_reader(pairs[number][0])
        loop.call_later(0.01, loop.stop)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another:
        for number, (ours, theirs) in enumerate(pairs):
            loop.add_reader(ours, read, number)
            theirs.send(b"x")
        loop.run_forever()
    assert len(called) == 1


def test_one_that_fails_is_told_and_keeps_nobody_waiting(
    loop: asyncio.AbstractEventLoop, pairs: list[Pair]
) -> None:
    told: list[BaseException | None] = []
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    read: list[int] = []

    def fail(number: int) -> None:
        pairs[number][0].recv(1)
        read.append(number)
        if len(read) == len(pairs):
            loop.stop()
        raise ValueError

    for number, (ours, theirs) in enumerate(pairs):
        loop.add_reader(ours, fail, number)
        theirs.send(b"x")
    loop.run_forever()
    assert sorted(read) == [0, 1]
    assert [type(error) for error in told] == [ValueError, ValueError]


def test_timers_threads_and_programs_wake_it(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    async def all_of_them() -> int:
        started = loop.time()
        await asyncio.sleep(0.003)
        assert loop.time() >= started + 0.003
        assert await asyncio.to_thread(os.getpid) == os.getpid()
        process = await asyncio.create_subprocess_exec("cat", cwd=tmp_path, stdin=asyncio.subprocess.PIPE)
        await process.communicate(b"x")
        return process.returncode or 0

    assert loop.run_until_complete(all_of_them()) == 0


def test_who_writes_is_called_when_there_is_room(loop: asyncio.AbstractEventLoop, pairs: list[Pair]) -> None:
    (ours, theirs), _ = pairs
    ours.setblocking(False)
    sent = bytes(1_000_000)

    async def send() -> int:
        sending = asyncio.create_task(loop.sock_sendall(ours, sent))
        await asyncio.sleep(0)
        theirs.setblocking(False)
        received = 0
        while received < len(sent):
            received += len(await loop.sock_recv(theirs, 65536))
        await sending
        return received

    assert loop.run_until_complete(send()) == len(sent)
