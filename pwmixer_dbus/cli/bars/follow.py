"""The module of a bar: prints a line at once, and another whenever there is something else to show, until it is left.

It sleeps until the bus or the bar wakes it. On each change it looks at the whole state, at most every 50 ms; a bar that
does not read is not told more than the latest.
"""

import contextlib
import json
import os
import select
import time
from collections.abc import Callable

from pwmixer_dbus.cli import DONE, CommandError, UsageError, wire
from pwmixer_dbus.cli.bars.lines import FORMAT, LONGEST_TEMPLATE, MAKERS
from pwmixer_dbus.cli.bars.status import (
    ABSENT,
    NO_SERVER,
    NO_SERVICE,
    OK,
    Document,
    Status,
    absent,
    status_of,
)
from pwmixer_dbus.cli.show import at_paths, of_selector
from pwmixer_dbus.cli.template import Record

_SPACING = 0.05

_CHOICE = 0.3
"""For how many seconds what was shown may be missing before that is told: where the default device is unplugged, the session
manager takes some 30 ms to choose another one."""

_STDOUT = 1
_LEFT = select.POLLERR | select.POLLHUP | select.POLLNVAL
_ANNOUNCED = ("org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager")
_RULES = (
    f"type='signal',sender='{wire.BUS_NAME}',member='NameOwnerChanged',arg0='{wire.NAME}'",
    *(
        f"type='signal',sender='{wire.NAME}',path_namespace='{wire.PATH}',interface='{interface}'"
        for interface in _ANNOUNCED
    ),
)
_GONE_NOW = ("org.pwmixer.Error.NotFound", "org.pwmixer.Error.NotConnected")


def run(name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Print lines until the bar leaves or interrupts; with --once, one. Raises UsageError, and what the wire raises."""
    template = options.get("--format", FORMAT)
    make = MAKERS[name]
    if len(template) > LONGEST_TEMPLATE:
        raise UsageError(f"A template has at most {LONGEST_TEMPLATE} characters.")
    make(Status(OK), template)  # a mistake in it is told now, not when the service comes
    once = "--once" in options
    selector = options.get("--target", "@sink")
    # One line is worth the wait for a service that has to be started first; else that is told before it is there.
    with wire.Connection(auto_start=once) as bus:
        try:
            Follower(bus, selector, lambda status: make(status, template), once=once).run()
        except KeyboardInterrupt:
            return DONE  # it is meant to be ended so
    return DONE


class Follower:
    """What is being asked, what has changed meanwhile, and what is still to be printed."""

    def __init__(
        self, bus: wire.Connection, selector: str, make: Callable[[Status], str], *, once: bool
    ) -> None:
        self._bus = bus
        self._selector = selector
        self._make = make
        self._once = once
        self._whole: Document = {}
        self._asked = 0  # the serial of the call that is under way
        self._is_stale = False  # something has changed since the last look
        self._looked_at = 0.0
        self._missing_since: float | None = None  # None also where it was not there before
        self._was_there = False
        self._unsaid = b""
        self._rest = b""  # of a line that went out in part
        self._said = b""

    def run(self) -> None:
        """Go on until the bar has left. Raises UnreachableError when the bus goes, CommandError for a bad selector."""
        poll = select.poll()
        poll.register(self._bus, select.POLLIN)
        for rule in () if self._once else _RULES:
            self._bus.post("AddMatch", "s", rule, to=wire.BUS)
        self._look()
        while not self._once or self._rest or not self._said:
            poll.register(_STDOUT, select.POLLOUT if self._unsaid or self._rest else 0)
            for descriptor, events in poll.poll(self._patience()):
                if descriptor != _STDOUT:
                    for message in self._bus.arrived():
                        self._on(message)
                elif events & _LEFT:
                    return
                else:
                    self._write()
            if self._patience() == 0:
                self._look()

    def _patience(self) -> int | None:
        """Say for how many milliseconds there is nothing to do; None for as long as nothing happens."""
        if not self._is_stale or self._asked or self._unsaid or self._rest:
            return None
        return max(0, round((self._looked_at + _SPACING - time.monotonic()) * 1000))

    def _look(self) -> None:
        self._is_stale = False
        self._looked_at = time.monotonic()
        self._asked = self._bus.post("Describe", "a{sv}", {})

    def _on(self, message: wire.Message) -> None:
        kind, reply_to, error, values = message
        if kind == wire.SIGNAL and values[:1] == [wire.NAME]:
            self._on_owner(str(values[-1]))
        elif kind == wire.SIGNAL:
            self._is_stale = True
        elif reply_to == self._asked and kind == wire.METHOD_RETURN:
            self._on_answer(values)
        elif reply_to == self._asked and kind == wire.ERROR:
            self._on_error(error, str(values[0]) if values else "")

    def _on_owner(self, owner: str) -> None:
        self._asked = 0
        if owner:
            self._is_stale, self._looked_at = True, 0.0
        else:
            self._is_stale = False
            self._show(absent(NO_SERVICE, self._selector))

    def _on_answer(self, values: list[wire.Result]) -> None:
        self._asked = 0
        if values and isinstance(values[0], list):
            self._show_records(at_paths(self._whole, values[0]))
            return
        # What was announced until now is in it.
        self._is_stale = False
        self._whole = json.loads(str(values[0]))
        if not self._whole["connected"]:
            self._show(absent(NO_SERVER, self._selector))
        elif records := of_selector(self._whole, self._selector):
            self._show_records(records)
        else:
            self._asked = self._bus.post("Resolve", "s", self._selector)

    def _on_error(self, error: str, sentence: str) -> None:
        self._asked = 0
        if error in _GONE_NOW:
            self._show_missing()
        elif not wire.is_unreachable(error):
            raise CommandError(sentence or error)
        else:
            # Only at the start: one that was ended later shall stay so. The owner of the name will be announced.
            if not (self._once or self._said or self._unsaid):
                self._bus.post("StartServiceByName", "su", wire.NAME, 0, to=wire.BUS)
            self._show(absent(NO_SERVICE, self._selector))

    def _show_records(self, records: list[Record]) -> None:
        if not records:
            self._show_missing()
            return
        if "volume" not in records[0]:
            raise CommandError(f"{records[0]['selector']} has no volume.")
        self._show(status_of(self._whole, records))

    def _show_missing(self) -> None:
        now = time.monotonic()
        if self._was_there and self._missing_since is None:
            self._missing_since = now
        if self._missing_since is not None and now - self._missing_since < _CHOICE:
            self._is_stale = True  # so that it is looked for again
        else:
            self._show(absent(ABSENT, self._selector))

    def _show(self, status: Status) -> None:
        self._was_there, self._missing_since = status.state == OK, None
        line = self._make(status).encode(errors="replace") + b"\n"
        self._unsaid = b"" if line == self._said and not self._rest else line

    def _write(self) -> None:
        if not self._rest:
            self._rest = self._said = self._unsaid
            self._unsaid = b""
        # So much never blocks where there is room at all (pipe(7)).
        with contextlib.suppress(BlockingIOError):
            self._rest = self._rest[os.write(_STDOUT, self._rest[: select.PIPE_BUF]) :]
