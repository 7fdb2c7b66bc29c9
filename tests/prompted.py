"""A program with a stream, which does at SIGUSR1 what pacat cannot.

python prompted.py play|record NAME [DEVICE]     the stream is paused, and goes on: of such a one the server tells least
python prompted.py rename NAME OTHER             it plays, and calls itself otherwise
"""

import ctypes
import signal
import sys
from typing import Any

import pulsectl
from pulsectl import _pulsectl as c

START_CORKED = 1
READY = 2
REPLACE = 2


class _Format(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


def main() -> None:
    """Open the stream and keep it."""
    does, name, *more = sys.argv[1:]
    pulse: Any = pulsectl.Pulse(name)
    library = ctypes.CDLL("libpulse.so.0")
    library.pa_stream_new.restype = library.pa_proplist_new.restype = ctypes.c_void_p
    stereo = _Format(c.PA_SAMPLE_FLOAT32LE, 48000, 2)
    context = ctypes.cast(pulse._ctx, ctypes.c_void_p)
    stream = ctypes.c_void_p(library.pa_stream_new(context, name.encode(), ctypes.byref(stereo), None))

    def go_on(*_: object) -> None:
        library.pa_stream_cork(stream, 0, None, None)

    def rename(*_: object) -> None:
        properties = ctypes.c_void_p(library.pa_proplist_new())
        library.pa_proplist_sets(properties, b"application.name", more[0].encode())
        library.pa_context_proplist_update(context, REPLACE, properties, None, None)
        library.pa_stream_proplist_update(stream, REPLACE, properties, None, None)

    signal.signal(signal.SIGUSR1, rename if does == "rename" else go_on)
    # The server shows the stream before libpulse lets anything be done with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    device = more[0].encode() if more and does != "rename" else None
    if does == "record":
        library.pa_stream_connect_record(stream, device, None, START_CORKED)
    else:
        flags = START_CORKED if does == "play" else 0
        library.pa_stream_connect_playback(stream, device, None, flags, None, None)
    while True:
        # Not for longer, since Python hears a signal only between two calls.
        library.pa_mainloop_prepare(pulse._loop, 50_000)
        library.pa_mainloop_poll(pulse._loop)
        library.pa_mainloop_dispatch(pulse._loop)
        if library.pa_stream_get_state(stream) == READY:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


if __name__ == "__main__":
    main()
