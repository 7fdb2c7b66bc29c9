"""A program whose stream is paused: `python corked.py play|record NAME [DEVICE]`; SIGUSR1 makes it go on.

Of such a stream the server tells least, and pacat cannot pause its own.
"""

import ctypes
import signal
import sys
from typing import Any

import pulsectl
from pulsectl import _pulsectl as c

START_CORKED = 1
READY = 2
CONNECT = {"play": "pa_stream_connect_playback", "record": "pa_stream_connect_record"}


class _Format(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


def main() -> None:
    """Open the stream and keep it."""
    does, name, *device = sys.argv[1:]
    pulse: Any = pulsectl.Pulse(name)
    library = ctypes.CDLL("libpulse.so.0")
    library.pa_stream_new.restype = ctypes.c_void_p
    stereo = _Format(c.PA_SAMPLE_FLOAT32LE, 48000, 2)
    context = ctypes.cast(pulse._ctx, ctypes.c_void_p)
    stream = ctypes.c_void_p(library.pa_stream_new(context, name.encode(), ctypes.byref(stereo), None))
    rest = (None, None) if does == "play" else ()
    getattr(library, CONNECT[does])(stream, device[0].encode() if device else None, None, START_CORKED, *rest)
    signal.signal(signal.SIGUSR1, lambda *_: library.pa_stream_cork(stream, 0, None, None))
    # The server shows the stream before libpulse lets anything be done with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    while True:
        # Not for longer, since Python hears a signal only between two calls.
        library.pa_mainloop_prepare(pulse._loop, 50_000)
        library.pa_mainloop_poll(pulse._loop)
        library.pa_mainloop_dispatch(pulse._loop)
        if library.pa_stream_get_state(stream) == READY:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


if __name__ == "__main__":
    main()
