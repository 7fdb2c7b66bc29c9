"""`top`: a screen that shows what costs what, drawn anew once a second; the terminal is left as it was found."""

import json
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import get_terminal_size
from types import FrameType

from pwmixer_dbus.cli import DONE, CommandError, wire
from pwmixer_dbus.cli.figures import Document, top
from pwmixer_dbus.cli.show import terminal

EVERY = 1.0
_ENTER, _LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
_HOME, _TO_LINE_END, _BELOW = "\033[H", "\033[K", "\033[J"
_QUIT = b"qQ\x03\x04"
_UNKNOWN = "?"
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def run(_name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Show the screen until q is pressed; where there is no terminal, print once. Raises what the wire raises."""
    with suppress(KeyboardInterrupt):  # it may be ended so as well
        _show(options)
    return DONE


def _show(options: dict[str, str]) -> None:
    with wire.Connection() as bus:
        names = Names(bus)
        if not sys.stdout.isatty() or "--once" in options:
            measured = _measured(bus)
            print(top(measured, None, names.of(measured), terminal(options)))
            return
        with _screen() as wait:
            before = None
            measured = _measured(bus)
            while True:
                size = get_terminal_size()
                drawn = top(measured, before, names.of(measured), terminal(options), size.lines - 1)
                _draw(f"{drawn}\n", size.lines)
                if wait():
                    return
                earlier, measured = measured, _measured(bus)
                before = earlier if earlier["uptime"] < measured["uptime"] else None


class Names:
    """The programs behind callers on the bus, as far as they are still there."""

    def __init__(self, bus: wire.Connection) -> None:
        self._bus = bus
        self._known: dict[str, str] = {}

    def of(self, measured: Document) -> dict[str, str]:
        """Name every caller; one that had left before it was looked at is not among them."""
        callers = [cost["name"] for cost in measured["costs"] if cost["kind"] == "caller"]
        self._known = {caller: self._known.get(caller) or self._look(caller) for caller in callers}
        return {caller: name for caller, name in self._known.items() if name != _UNKNOWN}

    def _look(self, caller: str) -> str:
        with suppress(CommandError, OSError):
            kind, _, number = caller.rpartition(":")
            if kind != "socket":
                number = str(self._bus.call("GetConnectionUnixProcessID", "s", caller, to=wire.BUS))
            if number == str(os.getpid()):
                return "this program"
            return Path(f"/proc/{number}/comm").read_text().strip()
        return _UNKNOWN


def _measured(bus: wire.Connection) -> Document:
    found: Document = json.loads(str(bus.call("Stats")))
    return found


def _draw(text: str, lines: int) -> None:
    """Draw over what is there, so that nothing flickers."""
    kept = text.splitlines()[:lines]
    sys.stdout.write(_HOME + "\r\n".join(line + _TO_LINE_END for line in kept) + _BELOW)
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[Callable[[], bool]]:
    """Take the terminal, and give it back however this ends; what is yielded waits a second, and says whether to end."""
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    saved = None if keyboard is None else termios.tcgetattr(keyboard)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)

    def take() -> None:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        sys.stdout.write(_ENTER)
        sys.stdout.flush()

    def give_back() -> None:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        if keyboard is not None and saved is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)

    def stop(number: int, _frame: FrameType | None) -> None:
        give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on after fg.
        signal.signal(number, stop)
        take()

    def wait() -> bool:
        return _wait(keyboard, woken)

    before = {number: signal.signal(number, _end) for number in _ENDING}
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, stop)
    before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, _ignore)
    wakeup = signal.set_wakeup_fd(waker)
    take()
    try:
        yield wait
    finally:
        give_back()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(waker)


def _wait(keyboard: int | None, woken: int) -> bool:
    """Wait for a second, or less where the window has another size; return whether a key says that it is enough."""
    until = time.monotonic() + EVERY
    readers = [woken] if keyboard is None else [woken, keyboard]
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select(readers, [], [], left)
        if keyboard in ready:
            keys = os.read(keyboard or 0, 64)
            if not keys or any(key in _QUIT for key in keys):
                return True
        if woken in ready:
            os.read(woken, 64)
    return False


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the signal only wake who waits."""
