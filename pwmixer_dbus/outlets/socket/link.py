"""The bytes of one connection: read while they are wanted, written as the other end takes them, and never waited for."""

import asyncio
import select
from collections.abc import Callable
from socket import socket

CHUNK = 64 * 1024
"""The most bytes that are taken in at once."""

ALL = 1024 * 1024
"""More bytes than can wait to be read: the kernel lets who writes have some hundred kB on their way."""

PATIENCE = 10.0
"""Seconds after which a connection is given up whose other end reads nothing of what waits for it."""


class Link:
    """A connected, non-blocking socket.

    `on_data` gets what has come, b"" when the other end will say no more; `on_drained` is called when all that waited has
    been sent, and `on_lost` when there is nothing to talk to any more. `unsent` is what waits to be read by the other end.
    """

    def __init__(
        self,
        connection: socket,
        *,
        on_data: Callable[[bytes], None],
        on_drained: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._on_data = on_data
        self._on_drained = on_drained
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self.unsent = bytearray()
        self._patience: asyncio.TimerHandle | None = None
        self._is_reading = False

    @property
    def is_alone(self) -> bool:
        """Whether the other end has gone, and not only fallen silent."""
        poll = select.poll()
        poll.register(self._connection, 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def read(self, wanted: bool) -> None:
        """Hand over what comes from now on, or leave it where it is."""
        if wanted is not self._is_reading:
            self._is_reading = wanted
            if wanted:
                self._loop.add_reader(self._connection, self.receive)
            else:
                self._loop.remove_reader(self._connection)

    def receive(self, most: int = CHUNK) -> None:
        """Hand over what has come, at most so many bytes; call nobody where nothing has."""
        try:
            data = self._connection.recv(most)
        except BlockingIOError:
            return
        except OSError:
            self._on_lost()
            return
        self._on_data(data)

    def write(self, data: bytes) -> None:
        """Send, now or as soon as there is room."""
        if self.unsent or not data:
            self.unsent += data
            return
        sent = self._send(data)
        if 0 <= sent < len(data):
            self.unsent += data[sent:]
            self._loop.add_writer(self._connection, self._on_writable)
            self._wait()

    def close(self) -> None:
        """End it."""
        self.read(False)
        self._stop_waiting()
        self._connection.close()

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._connection.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._on_lost()
            return -1

    def _on_writable(self) -> None:
        sent = self._send(self.unsent)
        if sent < 0:
            return
        del self.unsent[:sent]
        self._stop_waiting()
        if self.unsent:
            self._loop.add_writer(self._connection, self._on_writable)
            self._wait()
        else:
            self._on_drained()

    def _wait(self) -> None:
        self._patience = self._loop.call_later(PATIENCE, self._on_lost)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._loop.remove_writer(self._connection)
