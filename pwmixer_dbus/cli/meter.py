"""`meter`: how loud something is, as bars that are drawn anew with each frame, or as numbers."""

import _socket
import math
import os
import select
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pwmixer_dbus.cli import DONE, CommandError, UnreachableError, UsageError, printable, wire
from pwmixer_dbus.cli.render import Terminal, bar, cells, pad, shorten
from pwmixer_dbus.cli.show import terminal

ONCE = 0.5
"""Seconds of which the loudest peaks are printed where they are printed once."""

RANGE = 60.0
"""Decibels below full scale at which a bar begins."""

_FRAME = 4096
_LONGEST_NAME, _SHORTEST_BAR = 30, 10
_BESIDE = 15  # cells for the gaps and the decibels
_SLOWEST, _FASTEST = 1.0, 60.0


class _Connection(wire.Connection):
    """A connection over which file descriptors come; the last ones are in `descriptors`."""

    descriptors: Sequence[int] = ()

    def _sign_in(self) -> None:
        super()._sign_in()
        if not self._ask(b"NEGOTIATE_UNIX_FD").startswith(b"AGREE_UNIX_FD"):
            raise CommandError("This session bus passes no file descriptors, so there can be no meters.")

    def _take(self) -> bytes:
        data, ancillary, _, _ = self._socket.recvmsg(1 << 16, _socket.CMSG_SPACE(4))
        for level, kind, content in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self.descriptors = struct.unpack(f"{len(content) // 4}i", content)
        return bytes(data)


def run(_name: str, options: dict[str, str], arguments: list[str]) -> int:
    """Show levels until interrupted, or print them once. Raises UsageError, and what the wire raises."""
    targets = arguments or ["@sink"]
    rate = _rate(options.get("--rate", "30"))
    if "--once" in options or not sys.stdout.isatty():
        levels = [0.0] * len(targets)
        for frame in _frames(targets, _FASTEST, time.monotonic() + ONCE):
            levels = [_louder(*pair) for pair in zip(levels, frame, strict=True)]
        print(*(f"{level:.4f}" for level in levels))
        return DONE
    with suppress(KeyboardInterrupt):  # which is how it is meant to end
        _draw_all(targets, rate, terminal({}))
    return DONE


def _rate(word: str) -> float:
    try:
        rate = float(word)
    except ValueError:
        rate = math.nan
    if not _SLOWEST <= rate <= _FASTEST:
        raise UsageError(f"--rate takes how often a second, from 1 to 60, not '{word}'.")
    return rate


def _louder(before: float, now: float) -> float:
    return now if math.isnan(now) or math.isnan(before) else max(before, now)


def _draw_all(targets: list[str], rate: float, screen: Terminal) -> None:
    """Draw until the service has gone; one that takes over is asked anew."""
    is_first, auto_start = True, True
    while True:
        for frame in _frames(targets, rate, None, auto_start=auto_start):
            start = "" if is_first else f"\033[{len(targets)}A"
            sys.stdout.write(start + "".join(f"{line}\033[K\n" for line in lines(targets, frame, screen)))
            sys.stdout.flush()
            is_first = False
        # Whoever has stopped the service does not want it to be started by this.
        auto_start = False


def _frames(
    targets: list[str], rate: float, until: float | None, *, auto_start: bool = True
) -> Iterator[tuple[float, ...]]:
    """Open a meter, and yield its frames until a moment, or until its end."""
    bus = _Connection(auto_start=auto_start)
    with bus:
        bus.call("OpenMeter", "asa{sv}", targets, {"rate": rate})
        if not bus.descriptors:
            raise UnreachableError("The pwmixer service has sent no pipe; it may be older than this program.")
        (pipe,) = bus.descriptors
        try:
            while True:
                left = None if until is None else max(until - time.monotonic(), 0.0)
                if not select.select([pipe], [], [], left)[0]:
                    return
                frame = os.read(pipe, _FRAME)
                if not frame:
                    return
                yield struct.unpack(f"<{len(targets)}f", frame)
                if until is not None and time.monotonic() > until:
                    return
        finally:
            os.close(pipe)


def lines(targets: Sequence[str], levels: Sequence[float], screen: Terminal) -> list[str]:
    """Draw a line for each target: its name, a bar over 60 dB, and the decibels."""
    longest = min(_LONGEST_NAME, screen.width - _SHORTEST_BAR - _BESIDE)
    names = [shorten(printable(target), longest, unicode=screen.unicode) for target in targets]
    width = max(map(cells, names))
    room = max(screen.width - width - _BESIDE, _SHORTEST_BAR)
    return [
        f"{pad(name, width)}  {bar(_share(level), room, unicode=screen.unicode)}  {_decibels(level):>8}"
        for name, level in zip(names, levels, strict=True)
    ]


def _share(level: float) -> float:
    """Return how much of a bar a level fills, 0.0 to 1.0."""
    if math.isnan(level) or level <= 0.0:
        return 0.0
    return min(max(1.0 + 20.0 * math.log10(level) / RANGE, 0.0), 1.0)


def _decibels(level: float) -> str:
    if math.isnan(level):
        return "not here"
    return f"{20.0 * math.log10(level):.1f} dB" if level > 0.0 else "-inf dB"
