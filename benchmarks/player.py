"""A program that makes streams over libpulse, for benchmarks/metrics/new_stream.py: a crowd that is paused, and newcomers.

It gathers the crowd, then is one newcomer for each line of standard input: its name, a tab, and perhaps a device.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from typing import Any

import pulsectl

CONNECTIONS = 4
RATE = 48000
PLAYS, ENDS = 1.5, 0.1
"""Seconds for which a newcomer plays at most, and for which it goes on when it is where it should be."""


class Player:
    """Streams of one process over libpulse: a crowd that is paused, and newcomers that play a tone at once."""

    def __init__(self) -> None:
        self._library = library = ctypes.CDLL("libpulse.so.0")
        library.pa_stream_new.restype = ctypes.c_void_p
        library.pa_stream_get_device_name.restype = ctypes.c_char_p
        library.pa_stream_writable_size.restype = ctypes.c_size_t
        self._format = ctypes.create_string_buffer(12)  # S16LE, its rate, two channels
        ctypes.memmove(self._format, b"\3\0\0\0" + RATE.to_bytes(4, "little") + b"\2\0\0\0", 12)
        self._tone = ctypes.create_string_buffer(b"\x00\x08" * (RATE // 2))
        self._crowd: list[Any] = []

    def gather(self, count: int) -> None:
        """Open the crowd, paused, over few connections; return when the server has all of it."""
        for number in range(CONNECTIONS):
            pulse = pulsectl.Pulse(f"Crowd {number}")
            self._crowd.append(pulse)
            streams = [
                self._open(pulse, f"Title {number} {i}", None, corked=True)
                for i in range(count // CONNECTIONS)
            ]
            while not all(self._is_ready(stream) for stream in streams):
                self._run(pulse, 0.05)

    def birth(self, name: str, target: str, device: str | None) -> dict[str, float | None]:
        """Be a program that begins to play and soon ends; return the seconds until it was told that it is on the target."""
        pulse = pulsectl.Pulse(name)
        started = time.perf_counter()
        stream = self._open(pulse, name, device, corked=False)
        there: float | None = None
        while (now := time.perf_counter() - started) < PLAYS and (there is None or now < there + ENDS):
            self._run(pulse, 0.0005)
            if not self._is_ready(stream):
                continue
            if there is None and self._library.pa_stream_get_device_name(stream) == target.encode():
                there = time.perf_counter() - started
            room = min(self._library.pa_stream_writable_size(stream), len(self._tone) - 1)
            if room:
                self._library.pa_stream_write(
                    stream, self._tone, ctypes.c_size_t(room), None, ctypes.c_int64(0), 0
                )
        self._library.pa_stream_disconnect(stream)
        self._run(pulse, 0.005)
        pulse.close()
        return {"there": there}

    def _open(self, pulse: Any, title: str, device: str | None, *, corked: bool) -> ctypes.c_void_p:
        context = ctypes.cast(pulse._ctx, ctypes.c_void_p)  # noqa: SLF001 - pulsectl makes no streams
        stream = ctypes.c_void_p(self._library.pa_stream_new(context, title.encode(), self._format, None))
        name = device.encode() if device else None
        self._library.pa_stream_connect_playback(stream, name, None, int(corked), None, None)
        return stream

    def _is_ready(self, stream: ctypes.c_void_p) -> bool:
        return bool(self._library.pa_stream_get_state(stream) == 2)  # noqa: PLR2004 - PA_STREAM_READY

    def _run(self, pulse: Any, seconds: float) -> None:
        self._library.pa_mainloop_prepare(pulse._loop, int(seconds * 1e6))  # noqa: SLF001
        self._library.pa_mainloop_poll(pulse._loop)  # noqa: SLF001
        self._library.pa_mainloop_dispatch(pulse._loop)  # noqa: SLF001


def play(crowd: int, target: str) -> None:
    """Do what is said above."""
    player = Player()
    player.gather(crowd)
    print(json.dumps({"crowd": crowd}), flush=True)
    for line in sys.stdin:
        name, _, device = line.rstrip("\n").partition("\t")
        print(json.dumps(player.birth(name, target, device or None)), flush=True)


if __name__ == "__main__":
    play(int(sys.argv[1]), sys.argv[2])
