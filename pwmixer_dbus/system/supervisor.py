"""What the service tells whoever has started it (sd_notify(3)), and a watchdog that sleeps while the service does.

A watchdog in the usual manner is fed by a timer, which would wake an idle service for nothing. Only who works can hang,
so the service has itself watched from the moment in which something wakes it until it has been quiet for a while.
"""

import asyncio
import logging
import os
import socket
from collections.abc import MutableMapping
from time import monotonic

from pwmixer_dbus.system.prompt import PromptSelector

log = logging.getLogger(__name__)

_SHARE = 3
"""A sign of life is given this many times within the watchdog's time: the supervisor may be late, and so may we."""


class Supervisor:
    """Sends notes to the socket that NOTIFY_SOCKET names; without one it does nothing.

    What it reads is taken out of the environment, so that no process that we start speaks in our name.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        watched = environment.pop("WATCHDOG_USEC", "0")
        pid = environment.pop("WATCHDOG_PID", "")
        is_for_us = bool(self._address) and pid in {"", str(os.getpid())}
        self.watchdog = int(watched) if is_for_us and watched.isascii() and watched.isdigit() else 0
        """Microseconds of silence after which we are taken for hung; 0 where nobody watches."""

    def tell(self, *assignments: str) -> bool:
        """Send notes such as `READY=1`; returns whether they have been sent. Never waits, never raises."""
        if self._address[:1] not in {"/", "@"}:
            return False
        address = os.fsencode(self._address)
        if address.startswith(b"@"):
            address = b"\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto("\n".join(assignments).encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            log.debug("the supervisor cannot be told: %s", error)
            return False
        return True

    def tell_status(self, text: str) -> None:
        """Send a sentence for people, such as `systemctl status` shows."""
        self.tell(f"STATUS={' '.join(text.split())}")


class WatchedSelector(PromptSelector):
    """A selector for the loop that has the process watched from when something wakes it until it is quiet.

    `attach` comes before the loop runs. While nothing happens, there is neither a timer nor a system call.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        super().__init__()
        self._supervisor = supervisor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_watched = True  # a supervisor watches from the start
        self._wakes = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say whose selector it is."""
        self._loop = loop
        self._look_later()

    def woken(self) -> None:
        """Have what comes now watched, which is work."""
        self._wakes += 1
        if not self._is_watched:
            self._is_watched = self._supervisor.tell(f"WATCHDOG_USEC={self._supervisor.watchdog}")
            if self._is_watched:
                self._look_later()

    def _look_later(self) -> None:
        assert self._loop is not None  # noqa: S101 - attach comes first
        self._wakes = 0
        self._loop.call_later(self._supervisor.watchdog / _SHARE / 1e6, self._look)

    def _look(self) -> None:
        if self._wakes > 1:  # more than this look itself
            self._supervisor.tell("WATCHDOG=1")
            self._look_later()
        else:
            self._is_watched = not self._supervisor.tell("WATCHDOG_USEC=0")
            if self._is_watched:
                self._look_later()


class _Loop(asyncio.SelectorEventLoop):
    """asyncio's, but its clock is no function of Python's: a SetVolume looks at it 22 times."""

    time = staticmethod(monotonic)


def new_loop(supervisor: Supervisor) -> asyncio.AbstractEventLoop:
    """Make the loop of the service; it is watched where somebody watches."""
    if not supervisor.watchdog:
        return _Loop(PromptSelector())
    selector = WatchedSelector(supervisor)
    loop = _Loop(selector)
    selector.attach(loop)
    return loop
