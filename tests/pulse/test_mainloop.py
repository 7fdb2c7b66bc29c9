"""libpulse's main loop on asyncio: what libpulse asks of it, called as libpulse calls it, with real descriptors."""

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pwmixer_dbus.pulse.mainloop import INPUT, OUTPUT, READS, TURN, MainLoop

OnIo = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
OnTurn = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def address(callback: Any) -> int | None:
    return ctypes.cast(callback, ctypes.c_void_p).value


class Library:
    """A libpulse that notes what is called; `does` is what it does when a descriptor is ready. It always has `said` something."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.said = ["this"]
        self.does: Callable[[int, int], None] = lambda *_: None
        self.tells: Callable[[], None] = lambda: None
        self.loop = MainLoop(asyncio.get_running_loop())
        self.loop.said, self.loop.tell = self.said, self._tell
        self.api = self.loop._api
        self.turn = OnTurn(lambda _api, handle, _data: self._turn(handle))
        self.io = OnIo(lambda _api, handle, _fd, events, _data: self._io(handle, events))

    def watch(self, fd: int, events: int = INPUT, data: int = 1) -> int:
        """Ask for a descriptor to be watched; return its handle."""
        return int(self.api.io_new(None, fd, events, address(self.io), data))

    def defer(self) -> int:
        """Put something off."""
        return int(self.api.defer_new(None, address(self.turn), None))

    def _io(self, handle: int, events: int) -> None:
        self.told.append(f"ready {events}")
        self.does(handle, events)

    def _turn(self, handle: int) -> None:
        self.told.append("turn")
        self.api.defer_enable(handle, 0)

    def _tell(self) -> None:
        self.told.append("tell")
        self.tells()


def on_a_loop(test: Callable[[Library], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            library = Library()
            await test(library)
            library.loop.stop(0)
            assert watched() == {}

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def watched() -> dict[int, int]:
    """Return what asyncio watches beside its own: 1 to read, 2 to write."""
    loop: Any = asyncio.get_running_loop()
    own = loop._ssock.fileno()
    return {key.fd: key.events for key in loop._selector.get_map().values() if key.fd != own}


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@on_a_loop
async def test_what_is_ready_is_read_and_then_told(library: Library) -> None:
    with pipe() as (reads, writes):
        library.does = lambda *_: library.told.append(os.read(reads, 1).decode())
        library.watch(reads)
        await turns()
        assert library.told == []
        os.write(writes, b"ab")
        await turns()
        assert library.told == ["ready 1", "a", "tell", "ready 1", "b", "tell"]
        library.loop.stop(0)


@on_a_loop
async def test_where_nothing_is_said_nothing_is_told(library: Library) -> None:
    """As after the first read of each message."""
    with pipe() as (reads, writes):

        def read(*_: int) -> None:
            if os.read(reads, 1) == b"b":
                library.said.append("that")

        library.said.clear()
        library.does = read
        library.watch(reads)
        library.defer()
        os.write(writes, b"ab")
        await turns()
        assert library.told in (
            ["turn", "ready 1", "ready 1", "tell"],
            ["ready 1", "turn", "ready 1", "tell"],
        )
        library.loop.stop(0)


@on_a_loop
async def test_a_descriptor_that_is_closed_while_it_could_be_read_and_written_is_let_go(
    library: Library,
) -> None:
    """As by a server that dies while much is asked of it; libpulse has freed all that it would be called with."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
    here, there = socket.socketpair()
    with there:

        def fail(handle: int, _events: int) -> None:
            library.api.io_free(handle)
            here.close()

        library.does = fail
        library.watch(here.fileno(), INPUT | OUTPUT)
        there.send(b"a")
        await turns()
        assert library.told == ["ready 1", "tell"]
        assert (failures, watched()) == ([], {})


@on_a_loop
async def test_what_is_given_up_to_read_and_wanted_again_costs_no_system_call(library: Library) -> None:
    """As libpulse does it at each read."""
    with pipe() as (reads, writes):
        calls: list[str] = []

        def read_anew(handle: int, _events: int) -> None:
            library.api.io_free(handle)
            os.read(reads, 1)
            assert library.watch(reads) == handle
            calls.append(f"{watched()}")

        library.does = read_anew
        library.watch(reads)
        loop: Any = asyncio.get_running_loop()
        loop.add_reader = loop.remove_reader = pytest.fail
        os.write(writes, b"ab")
        await turns()
        assert len(calls) == 2
        del loop.add_reader, loop.remove_reader
        library.loop.stop(0)


@on_a_loop
async def test_what_is_given_up_is_watched_no_more(library: Library) -> None:
    with pipe() as (reads, writes):
        library.does = lambda handle, _: library.api.io_free(handle)
        library.watch(reads)
        os.write(writes, b"ab")
        await turns()
        assert library.told == ["ready 1", "tell"]
        assert watched() == {}


@on_a_loop
async def test_a_descriptor_that_gets_the_number_of_a_closed_one_is_watched_anew(library: Library) -> None:
    first, second = socket.socketpair()
    number = first.detach()
    others: list[socket.socket] = []

    def reconnect(handle: int, _events: int) -> None:
        library.api.io_free(handle)
        os.close(number)
        others.extend(socket.socketpair())
        assert others[0].fileno() == number
        library.does = lambda *_: library.told.append(others[0].recv(1).decode())
        library.watch(number, data=2)

    library.does = reconnect
    library.watch(number)
    second.send(b"x")
    await turns()
    others[1].send(b"y")
    await turns()
    assert library.told == ["ready 1", "tell", "ready 1", "y", "tell"]
    library.loop.stop(0)
    for end in (second, *others):
        end.close()


@on_a_loop
async def test_it_waits_to_write_only_as_long_as_that_is_wanted(library: Library) -> None:
    ours, theirs = socket.socketpair()
    handle = library.watch(ours.fileno(), INPUT)
    library.loop.call(library.api.io_enable, handle, INPUT | OUTPUT)
    assert watched() == {ours.fileno(): 3}
    library.does = lambda handle, _: library.api.io_enable(handle, INPUT)
    await turns()
    assert library.told == ["ready 2", "tell"]
    assert watched() == {ours.fileno(): 1}
    library.loop.stop(0)
    ours.close()
    theirs.close()


@on_a_loop
async def test_what_is_put_off_is_done_before_a_call_returns(library: Library) -> None:
    handle = library.defer()
    library.api.defer_enable(handle, 0)
    assert library.loop.call(lambda: library.api.defer_enable(handle, 1)) is None
    assert library.told == ["turn"]
    library.api.defer_free(handle)
    assert library.loop.call(lambda: 42) == 42
    assert library.told == ["turn"]


@on_a_loop
async def test_what_is_put_off_outside_of_a_call_is_done_soon(library: Library) -> None:
    library.defer()
    assert library.told == []
    await turns()
    assert library.told == ["turn", "tell"]


@on_a_loop
async def test_whoever_is_told_may_stop_everything(library: Library) -> None:
    with pipe() as (reads, writes):
        library.tells = lambda: library.loop.stop(0)
        library.watch(reads)
        os.write(writes, b"ab")
        library.defer()
        await turns()
        assert library.told in (["turn", "tell"], ["ready 1", "turn", "tell"])


@on_a_loop
async def test_others_have_their_turn_however_much_there_is_to_read(library: Library) -> None:
    with pipe() as (reads, writes):
        library.does = lambda *_: library.told.append(os.read(reads, 1).decode())
        library.watch(reads)
        os.write(writes, b"x" * 5 * READS)
        asyncio.get_running_loop().call_later(0, library.told.append, "another")
        await turns(9)
        assert library.told.index("another") <= 3 * READS < 15 * READS == len(library.told) - 1
        library.loop.stop(0)


@on_a_loop
async def test_of_what_takes_long_no_more_is_done_than_fits_into_a_turn(library: Library) -> None:
    """Each second read says something for which as much is done as for a new stream: most of a turn."""
    with pipe() as (reads, writes):
        now, messages = 0.0, 20
        between: list[int] = []

        def tell() -> None:
            nonlocal now
            now += 0.7 * TURN
            library.said.clear()
            between[-1] += 1

        def read(*_: int) -> None:
            if os.read(reads, 1) == b"b":
                library.said.append("a new stream")

        def take_turns() -> None:
            between.append(0)
            if sum(between) < messages:
                asyncio.get_running_loop().call_soon(take_turns)

        library.loop.clock = lambda: now
        library.said.clear()
        library.does, library.tells = read, tell
        library.watch(reads)
        os.write(writes, b"ab" * messages)
        take_turns()
        await turns(4 * messages)
        assert sum(between) == messages
        assert max(between) == 2 < READS / 2
        library.loop.stop(0)
