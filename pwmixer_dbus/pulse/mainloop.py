"""What libpulse asks of a main loop, on asyncio, with as little between the two as there can be.

libpulse's own loop writes to a pipe of its own whenever it is told something, reads that, and polls, which together is
more than half of all system calls of a notice. Here what is watched is only noted, what is put off is done as soon as
libpulse has returned, and asyncio is told of what has to be watched when that is something else than before.

Everything runs on the thread of the loop. There are no events of time: libpulse's only ones are limits for answers, which
`libpulse.Connection` keeps by itself.
"""

import asyncio
import ctypes
import select
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

from pulsectl import _pulsectl as c

INPUT, OUTPUT = 1, 2

READS = 8
"""Reads after which whoever else waits for the loop has his turn; a message takes two.

In a storm there is more to read after each of them, so with half as many there are twice as many turns of the loop.
"""

TURN = 0.001
"""Seconds after which that is so even where there were fewer: of new streams, for which much is done, four messages took 6 ms."""

_pointer, _int = ctypes.c_void_p, ctypes.c_int
_IoCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _int, _int, _pointer)
_DeferCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _pointer)
_IoNew = ctypes.PYFUNCTYPE(_pointer, _pointer, _int, _int, _pointer, _pointer)
_TimeNew = ctypes.PYFUNCTYPE(_pointer, _pointer, _pointer, _pointer, _pointer)
_DeferNew = ctypes.PYFUNCTYPE(_pointer, _pointer, _pointer, _pointer)
_Enable = ctypes.PYFUNCTYPE(None, _pointer, _int)
_Free = ctypes.PYFUNCTYPE(None, _pointer)
_Put = ctypes.PYFUNCTYPE(None, _pointer, _pointer)
_Quit = ctypes.PYFUNCTYPE(None, _pointer, _int)

_TIMER = 1
"""The only event of time, which never happens."""


class _Api(ctypes.Structure):
    """`pa_mainloop_api`."""

    _fields_ = (
        ("userdata", _pointer),
        ("io_new", _IoNew),
        ("io_enable", _Enable),
        ("io_free", _Free),
        ("io_set_destroy", _Put),
        ("time_new", _TimeNew),
        ("time_restart", _Put),
        ("time_free", _Free),
        ("time_set_destroy", _Put),
        ("defer_new", _DeferNew),
        ("defer_enable", _Enable),
        ("defer_free", _Free),
        ("defer_set_destroy", _Put),
        ("quit", _Quit),
    )


class _Source:
    """A descriptor that libpulse wants to be watched; `events` are what it waits for, and `run` calls it with those that are there."""

    __slots__ = ("events", "fd", "handle", "poll", "run", "userdata", "watched", "who")

    def __init__(self, loop: "MainLoop", handle: int, who: tuple[int, int, int | None]) -> None:
        self.handle = handle
        self.who = who
        self.fd, call, self.userdata = who
        self.run = partial(loop.call, _IoCallback(call), loop.address, handle, self.fd)
        self.events = self.watched = 0
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        self.poll = poll.poll


class MainLoop:
    """Runs libpulse whenever asyncio finds one of its descriptors ready; it never blocks.

    `tell` is called when libpulse has returned and there is something in `said`, and may do anything, `stop` included.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.said: Collection[object] = ()
        self.tell: Callable[[], None] = _ignore
        self.clock = time.monotonic
        self._loop = loop
        self._sources: dict[int, _Source] = {}
        self._freed: _Source | None = None
        self._changed = False
        self._deferred: dict[int, tuple[Any, int | None]] = {}
        self._due: dict[int, None] = {}
        self._last_handle = _TIMER
        self._is_inside = False
        ignore_put, ignore_free = _Put(_ignore), _Free(_ignore)
        self._api = _Api(
            None,
            *(_IoNew(self._io_new), _Enable(self._io_enable), _Free(self._io_free), ignore_put),
            *(_TimeNew(_no_timer), ignore_put, ignore_free, ignore_put),
            *(_DeferNew(self._defer_new), _Enable(self._defer_enable), _Free(self._defer_free), ignore_put),
            _Quit(_ignore),
        )
        self.address = ctypes.addressof(self._api)
        self.api_pointer = ctypes.cast(self.address, ctypes.POINTER(c.PA_MAINLOOP_API))

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a function of libpulse's, and have what it wants to be written on its way at once."""
        if self._is_inside:
            return function(*arguments)
        self._is_inside = True
        try:
            result = function(*arguments)
            while self._due:
                handle = next(iter(self._due))
                call, userdata = self._deferred[handle]
                call(self.address, handle, userdata)
        finally:
            self._is_inside = False
        if self._changed or self._freed is not None:
            self._watch_what_is_wanted()
        return result

    def stop(self, _result: int) -> None:
        """Watch nothing any more; `PulseAsync.close` calls this."""
        for source in list(self._sources.values()):
            self._let_go(source)
        self._deferred.clear()
        self._due.clear()

    def _run(self) -> None:
        self.call(_ignore)
        if self.said:
            self.tell()

    def _ready(self, source: _Source, events: int) -> None:
        """Let libpulse read or write, and read on what has come meanwhile."""
        if not source.watched & events:
            return  # it was let go after asyncio had found it ready, and libpulse has freed all that this would lead to
        run, poll, said, clock = source.run, source.poll, self.said, self.clock
        until = clock() + TURN
        for _ in range(READS):
            run(events, source.userdata)
            if said:
                self.tell()
            if not source.watched & INPUT or not poll(0) or clock() > until:
                return
            events = INPUT

    def _watch_what_is_wanted(self) -> None:
        self._changed = False
        self._let_go_of_freed()
        for source in self._sources.values():
            if source.events != source.watched:
                self._watch(source)

    def _watch(self, source: _Source) -> None:
        loop, fd, events = self._loop, source.fd, source.events
        changed, source.watched = events ^ source.watched, events
        if changed & INPUT and events & INPUT:
            loop.add_reader(fd, self._ready, source, INPUT)
        elif changed & INPUT:
            loop.remove_reader(fd)
        if changed & OUTPUT and events & OUTPUT:
            loop.add_writer(fd, self._ready, source, OUTPUT)
        elif changed & OUTPUT:
            loop.remove_writer(fd)

    def _let_go_of_freed(self) -> None:
        if self._freed is not None:
            self._let_go(self._freed)

    def _let_go(self, source: _Source) -> None:
        self._freed = None
        del self._sources[source.handle]
        source.events = 0
        with suppress(OSError):  # where libpulse has closed it, asyncio forgets it all the same
            self._watch(source)

    def _new_handle(self) -> int:
        self._last_handle += 1
        return self._last_handle

    # --- what libpulse calls

    def _io_new(self, _api: int, fd: int, events: int, call: int, userdata: int | None) -> int:
        source, who = self._freed, (fd, call, userdata)
        if source is not None and source.who == who:
            self._freed = None  # at each read, it gives up what it wants again when it has read
        else:
            self._let_go_of_freed()  # its descriptor may be closed by now, and this one have its number
            source = _Source(self, self._new_handle(), who)
            self._sources[source.handle] = source
        source.events = events
        if events != source.watched:
            self._change()
        return source.handle

    def _io_enable(self, handle: int, events: int) -> None:
        source = self._sources[handle]
        source.events = events
        if events != source.watched:
            self._change()

    def _io_free(self, handle: int) -> None:
        if self._freed is not None:
            self._let_go_of_freed()
        self._freed = self._sources[handle]
        if not self._is_inside:
            self._watch_what_is_wanted()

    def _change(self) -> None:
        """Tell asyncio what has to be watched, when libpulse has returned."""
        self._changed = True
        if not self._is_inside:
            self._watch_what_is_wanted()

    def _defer_new(self, _api: int, call: int, userdata: int | None) -> int:
        handle = self._new_handle()
        self._deferred[handle] = (_DeferCallback(call), userdata)
        self._defer_enable(handle, 1)
        return handle

    def _defer_enable(self, handle: int, enable: int) -> None:
        if not enable:
            self._due.pop(handle, None)
            return
        self._due[handle] = None
        if not self._is_inside:
            self._loop.call_soon(self._run)

    def _defer_free(self, handle: int) -> None:
        self._due.pop(handle, None)
        del self._deferred[handle]


def _no_timer(_api: int, _at: int, _call: int, _userdata: int | None) -> int:
    return _TIMER


def _ignore(*_: int | None) -> None:
    pass
