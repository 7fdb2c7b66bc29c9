"""What `mainloop` does, by the main loop of pulsectl-asyncio: `PWMIXER_PLAIN=1` puts this file in its place."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from pulsectl_asyncio.pa_asyncio_mainloop import PythonMainLoop


class MainLoop(PythonMainLoop):  # type: ignore[misc]  # pulsectl-asyncio has no types
    """Runs libpulse on asyncio, as `pulse.mainloop.MainLoop` does and by the same names."""

    __slots__ = ("said", "tell")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(_Telling(loop, self))
        self.said: Collection[object] = ()
        self.tell: Callable[[], None] = lambda: None

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a function of libpulse's; what it wants to be written is written in the loop's next turn."""
        return function(*arguments)


class _Telling:
    """The asyncio loop, as far as `PythonMainLoop` uses it: when libpulse has returned, what it has said is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop, main_loop: MainLoop) -> None:
        self._main_loop = main_loop
        self._call_soon, self._call_later = loop.call_soon, loop.call_later
        self._add_reader, self._add_writer = loop.add_reader, loop.add_writer
        self.remove_reader, self.remove_writer = loop.remove_reader, loop.remove_writer

    def add_reader(self, fd: int, run: Callable[[], None]) -> None:
        self._add_reader(fd, self._run, run)

    def add_writer(self, fd: int, run: Callable[[], None]) -> None:
        self._add_writer(fd, self._run, run)

    def call_soon(self, run: Callable[[], None]) -> asyncio.Handle:
        return self._call_soon(self._run, run)

    def call_later(self, delay: float, run: Callable[..., None], *arguments: Any) -> asyncio.Handle:
        return self._call_later(delay, self._run, partial(run, *arguments))

    def _run(self, run: Callable[[], None]) -> None:
        run()
        if self._main_loop.said:
            self._main_loop.tell()
