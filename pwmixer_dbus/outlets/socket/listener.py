"""The listening end: lets in whom it may concern, and looks after all clients together."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from socket import socket

from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.core.selectors import ParentOf
from pwmixer_dbus.core.settings import SocketSettings
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.socket import text
from pwmixer_dbus.outlets.socket.carry import Carrier, Refuser
from pwmixer_dbus.outlets.socket.client import Client
from pwmixer_dbus.outlets.socket.feed import Feed
from pwmixer_dbus.outlets.socket.place import (
    BACKLOG,
    NAME,
    Place,
    listen_at,
    passed,
    peer_of,
)
from pwmixer_dbus.system.runtime import runtime_folder

log = logging.getLogger(__name__)

CLIENTS = 64
REST = 1.0
"""Seconds for which nobody is let in after that has failed, as where no descriptor is left; it is told the first time."""

ROOT = 0


class Listener:
    """The socket, from its making to `close`; see `open_socket`. Until `begin` whoever comes has to wait."""

    def __init__(self, place: Place, carrier: Carrier, mixer: Mixer) -> None:
        self._place = place
        self._carrier = carrier
        self._feed = Feed(mixer)
        self._loop = asyncio.get_running_loop()
        self._clients: set[Client] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._measures = mixer.measures
        self._measures.clients["socket"] = lambda: len(self._clients)
        self._is_closed = self._is_full = False

    def begin(self) -> None:
        """Let in whoever comes, and has come."""
        self._rest = None
        if not self._is_closed:
            self._loop.add_reader(self._place.listening, self._let_in)

    def close(self) -> None:
        """Let nobody in any more; what has been asked already is still answered, and then nothing is left."""
        self._is_closed = True
        self._loop.remove_reader(self._place.listening)
        del self._measures.clients["socket"]
        if self._rest is not None:
            self._rest.cancel()
        if self._place.path is not None:  # at systemd's, whoever waits there is for the next one
            self._let_in()
        self._place.leave()
        for client in list(self._clients):
            client.finish()

    def _let_in(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _ = self._place.listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if not self._is_full:
                    log.error("nobody is let in at the socket for now: %s", error.strerror)
                self._is_full = True
                self._loop.remove_reader(self._place.listening)
                self._rest = self._loop.call_later(REST, self.begin)
                return
            self._is_full = False
            self._welcome(connection)

    def _welcome(self, connection: socket) -> None:
        connection.setblocking(False)
        pid, uid = peer_of(connection)
        if uid not in {os.geteuid(), ROOT}:
            log.warning("process %s of user %s is not let in at the socket", pid, uid)
            connection.close()
            return
        if len(self._clients) >= CLIENTS:
            for client in list(self._clients):
                client.leave_if_alone()
        if len(self._clients) >= CLIENTS:
            _turn_away(connection)
            return
        self._clients.add(
            Client(
                connection,
                f"socket:{pid}",
                carrier=self._carrier,
                feed=self._feed,
                on_left=self._clients.discard,
            )
        )


def _turn_away(connection: socket) -> None:
    error = LimitsExceededError(f"There are {CLIENTS} clients already; close one of them.")
    try:
        connection.send(text.refused(error).encode())
    except OSError as failure:
        log.debug("nobody to turn away: %s", failure)
    connection.close()


def open_socket(
    settings: SocketSettings,
    mixer: Mixer,
    *,
    parent_of: ParentOf,
    reload: Callable[[], None],
    predecessor: int | None,
    when_ready: Callable[[Callable[[], None]], None],
) -> Listener:
    """Open the socket: systemd's, or one at the path of the settings. Raises OSError with a sentence.

    Where it is switched off, whoever comes to systemd's is refused, and would wait for ever otherwise. `parent_of` gives
    the parent of a process, `reload` reads the configuration again, and `predecessor` is the process that we take over
    from. Nobody is let in before `when_ready` calls back.
    """
    place = passed(os.environ, os.getpid())
    if place is None and not settings.enabled:
        raise OSError("config.toml switches it off, and systemd listens at none of ours")
    if place is None and settings.path:
        place = listen_at(Path(settings.path), predecessor)
    if place is None:
        place = listen_at(runtime_folder(os.environ) / NAME, predecessor)
    carrier = (Carrier if settings.enabled else Refuser)(mixer, parent_of, reload)
    listener = Listener(place, carrier, mixer)
    when_ready(listener.begin)
    return listener
