"""Levels from the sound server: record streams in which it delivers peaks instead of sound, and how they are read.

No callback is made into Python for what comes: at each `read`, libpulse's own loop takes in whatever has come, and each
stream is asked for it. While somebody reads, asyncio watches none of the sockets: a block of sound reaches us as one
packet per stream, each of which would wake the process.

The connections are of their own, and there is one for each of the first `LINES` streams: up to PipeWire 1.6.8 the server
sends what a stream has recorded only while nothing else waits to be sent to its client, so of streams that share a
connection some deliver nothing for seconds.
"""

import asyncio
import ctypes
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from math import isfinite
from typing import Any, Final

from pulsectl import _pulsectl as c

from pwmixer_dbus.core.metering import FASTEST, Tap
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.pulse.libpulse import bind

log = logging.getLogger(__name__)

LINES: Final = 8
"""How many connections there are at most; the server lets in 64 clients."""

RECENT: Final = 4
"""How many of the newest peaks of a stream count where several come at once: the server may have held older ones back."""

FIRST_RETRY, LAST_RETRY = 0.25, 30.0
"""Seconds until a stream is asked for again that could not be had."""

NAME: Final = b"pwmixer meter"

_READY, _STREAM_CREATING, _STREAM_FAILED = 4, 1, 3
_NO_AUTOSPAWN = 1
_POLLIN, _POLLOUT = 1, 4
_AS_THE_SERVER_LIKES: Final = 2**32 - 1

# Not moved by anybody, peaks, and in blocks as short as asked for.
_FLAGS: Final = 0x0200 | 0x0800 | 0x2000

# Where what is named has gone, WirePlumber would link the stream to the default microphone; where it knows no
# such property, to a monitor at the worst. And what it keeps of one meter, such as a volume that a mixer has
# given it, it would give to all others. A sink on which nothing plays goes on sleeping.
_LEFT_ALONE: Final = (
    (b"node.dont-fallback", b"true"),
    (b"state.restore-props", b"false"),
    (b"state.restore-target", b"false"),
)
_LISTENS: Final = (*_LEFT_ALONE, (b"stream.capture.sink", b"true"), (b"node.passive", b"true"))
_PROPERTIES: Final = {Kind.SOURCE: _LEFT_ALONE, Kind.SINK: _LISTENS, Kind.PLAYBACK: _LISTENS}

_pointer, _int, _u32, _text = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_char_p
_PollFunction = ctypes.PYFUNCTYPE(_int, ctypes.POINTER(c.POLLFD), ctypes.c_ulong, _int, _pointer)
_StateCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer)


_loop_new = bind("mainloop_new", _pointer)
_loop_api = bind("mainloop_get_api", _pointer, _pointer)
_loop_iterate = bind("mainloop_iterate", _int, _pointer, _int, _pointer)
_loop_free = bind("mainloop_free", None, _pointer)
_loop_set_poll = bind("mainloop_set_poll_func", None, _pointer, _pointer, _pointer)
_context_new = bind("context_new", _pointer, _pointer, _text)
_context_connect = bind("context_connect", _int, _pointer, _text, _int, _pointer)
_context_state = bind("context_get_state", _int, _pointer)
_context_set_state_callback = bind("context_set_state_callback", None, _pointer, _pointer, _pointer)
_context_disconnect = bind("context_disconnect", None, _pointer)
_context_unref = bind("context_unref", None, _pointer)
_stream_new = bind("stream_new_with_proplist", _pointer, _pointer, _text, _pointer, _pointer, _pointer)
_stream_set_monitor = bind("stream_set_monitor_stream", _int, _pointer, _u32)
_stream_connect = bind("stream_connect_record", _int, _pointer, _text, _pointer, _int)
_stream_state = bind("stream_get_state", _int, _pointer)
_stream_set_state_callback = bind("stream_set_state_callback", None, _pointer, _pointer, _pointer)
_stream_disconnect = bind("stream_disconnect", _int, _pointer)
_stream_unref = bind("stream_unref", None, _pointer)
_stream_readable = bind("stream_readable_size", ctypes.c_ssize_t, _pointer)  # -1 is an error
_stream_peek = bind("stream_peek", _int, _pointer, _pointer, _pointer)
_stream_drop = bind("stream_drop", _int, _pointer)
_map_parse = bind("channel_map_parse", _pointer, _pointer, _text)
_proplist_new = bind("proplist_new", _pointer)
_proplist_sets = bind("proplist_sets", _int, _pointer, _text, _text)
_proplist_free = bind("proplist_free", None, _pointer)


class _Line:
    """One connection: the streams on it by what they measure, None for one that has not been opened yet."""

    def __init__(self, context: int) -> None:
        self.context = context
        self.streams: dict[Tap, int | None] = {}

    @property
    def state(self) -> int:
        """Return libpulse's number for the state of the connection."""
        return int(_context_state(self.context))


class Taps:
    """Streams that measure exactly what was asked for last. `on_data` is called when something comes during a rest."""

    def __init__(self, on_data: Callable[[], None]) -> None:
        self._on_data = on_data
        self._loop = asyncio.get_running_loop()
        self._wanted = frozenset[Tap]()
        self._lines: list[_Line] = []
        self._mainloop: int | None = None
        self._is_resting = True
        self._watched: list[int] = []
        self._retry = FIRST_RETRY
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Handle | None = None
        self._note_descriptors = _PollFunction(self._watch)
        self._state_callback = _StateCallback(self._state_changed)
        self._data, self._size = _pointer(), ctypes.c_size_t()
        self._to_data, self._to_size = ctypes.byref(self._data), ctypes.byref(self._size)

    def follow(self, wanted: frozenset[Tap]) -> None:
        """Measure exactly this from now on. What cannot be had is asked for again until it can, or nobody wants it."""
        if wanted != self._wanted:
            self._wanted, self._retry = wanted, FIRST_RETRY
        self._open_missing()

    def read(self) -> Mapping[Tap, float]:
        """Return the level of each tap of which something has come since the last time; the loudest channel counts."""
        self._is_resting = False
        self._unwatch()
        self._run()
        return {tap: self._take(stream) for tap, stream in self._streams() if _stream_readable(stream) > 0}

    def rest(self) -> None:
        """Let asyncio watch the sockets, and call back when something comes."""
        self._is_resting = True
        self._woken()

    def close(self) -> None:
        """Give everything back, but for a connection that is just being made: that ends when it has been."""
        self._is_resting = True
        self.follow(frozenset())

    def _streams(self) -> Iterator[tuple[Tap, int]]:
        for line in self._lines:
            for tap, stream in line.streams.items():
                if stream is not None:
                    yield tap, stream

    def _take(self, stream: int) -> float:
        """Take all that has come from a stream; return the loudest of the newest peaks, of those that are numbers.

        Programs play NaN and infinities, and the server passes them on.
        """
        peaks = []
        while _stream_peek(stream, self._to_data, self._to_size) == 0 and self._size.value:
            if self._data.value:
                samples = (ctypes.c_float * (self._size.value // 4)).from_address(self._data.value)
                peak = max(samples)
                peaks.append(peak if isfinite(peak) else max(filter(isfinite, samples), default=0.0))
            _stream_drop(stream)
        return max(peaks[-RECENT:], default=0.0)

    # --- connections and streams

    def _open_missing(self) -> None:
        """Give a connection to everything that is wanted and has none."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop()
        there = {tap for line in self._lines for tap in line.streams}
        for tap in sorted(self._wanted - there, key=lambda tap: (tap.kind, tap.index)):
            line = self._line_for_one_more()
            if line is not None:
                line.streams[tap] = None
        self._settle()

    def _line_for_one_more(self) -> _Line | None:
        """Return the connection with the fewest streams, or a new one; None where no server can be reached."""
        emptiest = min(self._lines, key=lambda line: len(line.streams), default=None)
        if emptiest is not None and (not emptiest.streams or len(self._lines) >= LINES):
            return emptiest
        return self._new_line() or emptiest

    def _new_line(self) -> _Line | None:
        if self._mainloop is None:
            self._mainloop = _loop_new()
        if self._mainloop is None:  # no descriptor is left, and libpulse would abort
            return None
        context = _context_new(_loop_api(self._mainloop), NAME)
        if context is None:  # no memory is left, and libpulse would abort
            return None
        _context_set_state_callback(context, self._state_callback, None)
        if _context_connect(context, None, _NO_AUTOSPAWN, None) < 0:
            _context_unref(context)
            return None
        self._lines.append(_Line(context))
        return self._lines[-1]

    def _state_changed(self, _of: int, _data: int | None) -> None:
        """Look later: nothing may be closed from within a callback."""
        if self._settling is None:
            self._settling = self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Open the streams of connections that are ready, close what is not wanted, and try later what has failed."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._drop()
        for line in self._lines:
            if line.state == _READY:
                for tap in [tap for tap, stream in line.streams.items() if stream is None]:
                    line.streams[tap] = _new_stream(line.context, tap, self._state_callback)
        self._plan_retry()
        if self._is_resting:
            self._woken()
        else:
            self._run()

    def _drop(self) -> None:
        """Close what is not wanted any more, and what has failed."""
        for line in [*self._lines]:
            is_wanted = line.state <= _READY and not self._wanted.isdisjoint(line.streams)
            for tap, stream in [*line.streams.items()]:
                state = 0 if stream is None else _stream_state(stream)
                # One that is being made cannot be ended but with its connection: the server would make it all the same.
                is_left = tap in self._wanted or state == _STREAM_CREATING
                if state >= _STREAM_FAILED or not (is_wanted and is_left):
                    _end_stream(line.streams.pop(tap))
            # One that is being made is left alone: whoever leaves PipeWire while it binds the session's metadata for
            # it leaves all others without news of them.
            if line.state > _READY or (line.state == _READY and not line.streams):
                self._lines.remove(line)
                _end_context(line.context)
        if not self._lines and self._mainloop is not None:
            self._unwatch()
            _loop_free(self._mainloop)
            self._mainloop = None

    def _plan_retry(self) -> None:
        is_missing = bool(self._wanted - {tap for line in self._lines for tap in line.streams})
        if self._timer is not None and not is_missing:
            self._timer.cancel()
            self._timer = None
        elif self._timer is None and is_missing:
            self._timer = self._loop.call_later(self._retry, self._open_missing)
            self._retry = min(2 * self._retry, LAST_RETRY)

    # --- libpulse's loop

    def _run(self) -> None:
        """Do all that can be done now."""
        while self._mainloop is not None and _loop_iterate(self._mainloop, 0, None) > 0:
            pass

    def _woken(self) -> None:
        """Do what can be done, have the sockets watched, and tell if there is something to read."""
        self._run()
        if self._mainloop is None:
            return
        _loop_set_poll(self._mainloop, self._note_descriptors, None)
        _loop_iterate(self._mainloop, 0, None)
        _loop_set_poll(self._mainloop, None, None)
        if any(_stream_readable(stream) > 0 for _, stream in self._streams()):
            self._on_data()

    def _watch(self, descriptors: Any, count: int, _timeout: int, _data: int | None) -> int:
        """Stand in for poll: find nothing ready, but let asyncio watch what libpulse wants to be watched."""
        self._unwatch()
        for i in range(count):
            fd, events = descriptors[i].fd, descriptors[i].events
            self._watched.append(fd)
            if events & _POLLIN:
                self._loop.add_reader(fd, self._woken)
            if events & _POLLOUT:
                self._loop.add_writer(fd, self._woken)
        return 0

    def _unwatch(self) -> None:
        for fd in self._watched:
            with suppress(OSError):  # where libpulse has closed it, asyncio forgets it all the same
                self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        self._watched.clear()


def _new_stream(context: int, tap: Tap, on_state: Any) -> int | None:
    channels = c.PA_CHANNEL_MAP()
    if not _map_parse(ctypes.byref(channels), ",".join(tap.positions or ("mono",)).encode()):
        _map_parse(ctypes.byref(channels), b"mono")
    spec = c.PA_SAMPLE_SPEC(format=c.PA_SAMPLE_FLOAT32LE, rate=int(FASTEST), channels=channels.channels)
    block = c.PA_BUFFER_ATTR(fragsize=4 * channels.channels, maxlength=_AS_THE_SERVER_LIKES)
    properties = _proplist_new()
    for name, value in _PROPERTIES[tap.kind]:
        _proplist_sets(properties, name, value)
    stream = _stream_new(context, NAME, ctypes.byref(spec), ctypes.byref(channels), properties)
    _proplist_free(properties)
    if not stream:
        return None
    if tap.kind is Kind.PLAYBACK:
        _stream_set_monitor(stream, tap.index)
    _stream_set_state_callback(stream, on_state, None)
    if _stream_connect(stream, tap.source.encode() or None, ctypes.byref(block), _FLAGS) < 0:
        _end_stream(stream)
        return None
    return int(stream)


def _end_stream(stream: int | None) -> None:
    if stream is not None:
        _stream_set_state_callback(stream, None, None)
        _stream_disconnect(stream)
        _stream_unref(stream)


def _end_context(context: int) -> None:
    _context_set_state_callback(context, None, None)
    _context_disconnect(context)
    _context_unref(context)
