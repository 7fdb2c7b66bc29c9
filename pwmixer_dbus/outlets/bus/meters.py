"""Meters on the bus: the method that opens one, and the pipes through which frames are read. Imported with the first one.

A meter belongs to the connection that asked for it, and ends when whoever reads closes the pipe, or when the caller has left.
"""

import asyncio
import fcntl
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pwmixer_dbus.core.errors import LimitsExceededError, NotSupportedError
from pwmixer_dbus.core.metering import USUAL, Resolve, rate_of
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.meters import Meter, Meters, OpenTaps
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.call import Call, options_of
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.paths import ALIASES

PER_CLIENT, AT_ALL = 16, 64
"""How many meters there can be of one client, and of all."""

_FOLLOWING = {alias: f"@{kind}" for kind, alias in ALIASES.items()}
"""What is meant by the path of a default device: whichever that is at any time."""

KEPT = 4
"""How many frames wait for a reader; pages of the pipe, each of which holds one frame."""


class Pipe:
    """The writing end of a pipe in packet mode: each write is one read, if the reader asks for enough bytes.

    Raises OSError where no descriptor is left.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK | os.O_DIRECT)
        os.set_blocking(self.reader, True)
        # A user with very many pipes gets new ones of a page or two, which do as well.
        with suppress(PermissionError):
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, KEPT * os.sysconf("SC_PAGESIZE"))
        self._on_end = on_end
        self._late: bytes | None = None
        # When the last reader closes its end, the writing end shows an error, which wakes whoever watches it for
        # anything.
        self._loop.add_reader(self._writer, self._end)

    def write(self, frame: bytes) -> None:
        """Write a frame, or the newest one as soon as the reader has taken one of those that wait."""
        if self._late is not None:
            self._late = frame
            return
        try:
            os.write(self._writer, frame)
        except BlockingIOError:
            self._late = frame
            self._loop.add_writer(self._writer, self._write_late)
        except BrokenPipeError:
            self._end()

    def _write_late(self) -> None:
        self._loop.remove_writer(self._writer)
        frame, self._late = self._late, None
        if frame is not None:
            self.write(frame)

    def _end(self) -> None:
        # Not at once: a caller may be in the midst of writing to this pipe, or to others.
        self._loop.remove_reader(self._writer)
        self._loop.call_soon(self._on_end)

    def close(self) -> None:
        """Close the writing end; the reader reads what waits, and then the end."""
        self._loop.remove_reader(self._writer)
        self._loop.remove_writer(self._writer)
        os.close(self._writer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    client: str
    meter: Meter
    pipe: Pipe
    forget: Callable[[], None]


class MeterMethods:
    """Opens meters for clients, and ends them."""

    def __init__(
        self, mixer: Mixer, connection: BusConnection, resolve: Resolve, open_taps: OpenTaps
    ) -> None:
        self._connection = connection
        self._meters = Meters(mixer, resolve, open_taps)
        self._open: dict[int, _Open] = {}
        self._next = 1

    def open(self, call: Call) -> None:
        """Open a meter; raises MixerError."""
        asked, options = call.arguments
        targets = [_FOLLOWING.get(target, target) for target in asked]
        rate = rate_of(options_of(options, {"rate": "d"}).get("rate", USUAL))
        self._check(call)
        number, self._next = self._next, self._next + 1
        try:
            pipe = Pipe(partial(self._end, number))
            try:
                meter = self._meters.open(targets, rate, pipe.write)
            except BaseException:
                pipe.close()
                os.close(pipe.reader)
                raise
        except OSError as error:
            raise LimitsExceededError(
                "No file descriptor is left for a meter; close what you need no more."
            ) from error
        self._open[number] = _Open(
            client=call.client,
            meter=meter,
            pipe=pipe,
            forget=self._connection.when_gone(call.client, partial(self._end, number)),
        )
        self._connection.reply_with_descriptor(call.message, pipe.reader)

    def _check(self, call: Call) -> None:
        if self._connection.is_passed(call.message):
            raise NotSupportedError("Another instance has just taken over; open the meter again.")
        if not self._connection.passes_descriptors:
            raise NotSupportedError("This bus passes no file descriptors, so there can be no meters.")
        of_client = Counter(each.client for each in self._open.values())[call.client]
        if of_client >= PER_CLIENT or len(self._open) >= AT_ALL:
            raise LimitsExceededError(
                f"There can be {PER_CLIENT} meters of one client, and {AT_ALL} at all; close one, or ask for several targets."
            )

    def _end(self, number: int) -> None:
        ended = self._open.pop(number, None)
        if ended is not None:
            self._meters.close(ended.meter)
            ended.pipe.close()
            ended.forget()

    def close(self) -> None:
        """End all of them."""
        for number in [*self._open]:
            self._end(number)
