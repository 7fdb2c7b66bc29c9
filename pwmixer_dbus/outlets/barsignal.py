"""A real-time signal to waybar whenever something has changed that a bar shows, for modules that look again at one.

Such a signal ends a process that does not handle it. So it goes only to processes of our own user that are waybar and
handle it, which is looked at again right before each, and through a descriptor that leads to no later process.
"""

import asyncio
import math
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import assert_never

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.model import App, Card, Client, Device, Group, Record, Server, Stream
from pwmixer_dbus.core.settings import BarSignalSettings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.mixer import Mixer

SPACING = 0.05
"""Least seconds between two signals."""

LOOK = 1.0
"""Seconds for which nobody looks for further processes: to go through all there are costs milliseconds."""

NAMES = ("waybar", ".waybar-wrapped")
"""What the program is called; Nix wraps it."""


_NAME_LINES = tuple(f"{name}\n".encode() for name in NAMES)

COMM = 64
"""More than the bytes of a process's name in /proc, which are at most 17."""


class BarSignal:
    """Sends the signal from now on; raises OSError where the kernel has no descriptors of processes (before 5.3)."""

    def __init__(self, mixer: Mixer, settings: BarSignalSettings) -> None:
        os.close(os.pidfd_open(os.getpid()))
        self._mixer = mixer
        self._bars = Bars(settings.number)
        self._loop = asyncio.get_running_loop()
        self._told_at = self._looked_at = -LOOK
        self._alarm = Alarm(self._tell)
        self._late = Alarm(self._tell_newcomers)
        self._leave = mixer.subscribe(self._on_change)

    def close(self) -> None:
        """Stop."""
        self._leave()
        self._alarm.stop()
        self._late.stop()
        self._bars.close()

    def _on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if self._alarm.when < math.inf:
            return
        for change in changes:
            if shows(before, self._mixer.state, change):
                # While there is nobody to tell, it is enough to look for somebody.
                due = self._told_at + SPACING if self._bars.are_there else self._looked_at + LOOK
                self._alarm.by(max(self._loop.time(), due))
                return

    def _tell(self) -> None:
        now = self._told_at = self._loop.time()
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            self._bars.look_again()
        else:
            # A bar that has started since we looked has missed this change.
            self._late.by(self._looked_at + LOOK)
        self._bars.tell()

    def _tell_newcomers(self) -> None:
        self._looked_at = self._loop.time()
        self._bars.tell(self._bars.look_again())


class Bars:
    """The waybar processes of our user, each with a descriptor, and the one signal that they may get."""

    def __init__(self, number: int) -> None:
        self._signal = signal.SIGRTMIN + number
        self._found: dict[int, int] = {}
        self._started = b""

    @property
    def are_there(self) -> bool:
        """Whether there are any, as far as we know."""
        return bool(self._found)

    def look_again(self) -> list[int]:
        """Look, unless no process has been started since; returns as `look` does.

        A bar begins with threads, which are counted as processes are: it is found, whatever program it was before.
        """
        started = _started_last()
        if started and started == self._started:
            return []
        self._started = started
        return self.look()

    def look(self) -> list[int]:
        """Look through all processes; return the ids of those that were not there at the last look."""
        there = {int(name) for name in os.listdir("/proc") if name.isdecimal() and _is_named(name)}  # noqa: PTH208
        for pid in [pid for pid in self._found if pid not in there or self._has_gone(pid)]:
            self._drop(pid)
        new = [pid for pid in there if pid not in self._found and self._add(pid)]
        return sorted(new)

    def tell(self, pids: Iterable[int] | None = None) -> None:
        """Send the signal to those of the found, or to some of them, that can be sent it now."""
        for pid in tuple(self._found) if pids is None else pids:
            try:
                if handles(pid, self._signal):
                    signal.pidfd_send_signal(self._found[pid], self._signal)
            except OSError:  # it has gone
                self._drop(pid)

    def close(self) -> None:
        """Give back every descriptor."""
        for pid in tuple(self._found):
            self._drop(pid)

    def _add(self, pid: int) -> bool:
        try:
            self._found[pid] = os.pidfd_open(pid)
        except OSError:
            return False
        return True

    def _has_gone(self, pid: int) -> bool:
        """Whether the process that was found has ended, whoever has its number now."""
        try:
            signal.pidfd_send_signal(self._found[pid], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def _drop(self, pid: int) -> None:
        os.close(self._found.pop(pid))


def handles(pid: int, number: int) -> bool:
    """Whether a process is a waybar of our user that handles a signal now. Raises OSError where it has gone."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as often as it changes
        said = dict(line.split(":", 1) for line in file)
    return (
        said["Name"].strip() in NAMES
        and {int(user) for user in said["Uid"].split()} == {os.geteuid()}
        and bool(int(said["SigCgt"], 16) >> (number - 1) & 1)
        and _program(pid) in NAMES
        # What waybar starts is a copy of itself, handlers and all, until it has become the command that it is for.
        # (A parent that is only called so may be a script that starts it.)
        and not (_is_named(said["PPid"].strip()) and _program(int(said["PPid"])) in NAMES)
    )


def shows(before: MixerState, after: MixerState, change: Change) -> bool:
    """Whether a bar may look different after a change: by volumes, mute, names and what plays, not by titles."""
    record = change.before or change.after
    match record:
        case Server() | None:
            return (before.connected, _defaults(before)) != (after.connected, _defaults(after))
        case Client() | Card():
            return False
        case Device() | Stream() | App() | Group():
            return _look_of(change.before) != _look_of(change.after)
    assert_never(record)


def _look_of(record: Record | None) -> tuple[object, ...]:
    """Collect what a bar may show of a record; nothing for what no bar shows."""
    match record:
        case Device(is_monitor=False):
            return gain.level(record.channels), record.muted, record.description, record.active_port
        case Stream(is_meter=False, hidden=False):
            name = record.display_name or record.identity.name
            return gain.level(record.channels), record.muted, record.corked, name, record.device
        case App():
            return record.volume, record.muted, record.name
        case Group():
            return (record.streams,)
    return ()


def _defaults(state: MixerState) -> tuple[str, str]:
    return state.server.default_sink, state.server.default_source


def _started_last() -> bytes:
    """Return the number of the process or thread that was started last; nothing where that is not told."""
    try:
        return Path("/proc/loadavg").read_bytes().rpartition(b" ")[2]
    except OSError:
        return b""


def _is_named(pid: str) -> bool:
    # Hundreds of times a look, so without a file object for each.
    try:
        file = os.open(f"/proc/{pid}/comm", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.read(file, COMM) in _NAME_LINES
    except OSError:
        return False
    finally:
        os.close(file)


def _program(pid: int) -> str:
    """Name the file that a process runs, also after an upgrade has replaced it."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
    except PermissionError:
        # From within a unit with PrivateUsers= no other process may be looked at so closely; then its own word counts.
        return Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])).name
