"""A connection to PipeWire in its native protocol, as much of it as a sound card needs.

A message is an object's id, an opcode, and a struct. Ids of new objects are chosen by us and never used twice.
"""

import socket
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any

from fakecard import pod

CORE, CLIENT = 0, 1
NODE = "PipeWire:Interface:Node"
DEVICE = "Spa:Pointer:Interface:Device"

_HELLO, _PONG, _CREATE, _DESTROY = 1, 3, 6, 7
_UPDATE_PROPERTIES = 2
_PING, _ERROR, _BOUND = 2, 3, 5
_PROTOCOL = 3
_HEADER = struct.Struct("=IIII")
_LONGEST = 1 << 16

Handler = Callable[[int, list[Any]], None]
"""Is called with the opcode and the arguments of every message for an object."""


class NativeConnection:
    """A client of PipeWire. `receive` has to be called whenever there is something to read on `socket`."""

    def __init__(self, path: str, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._received = b""
        self._sequence = 0
        self._next_id = 2
        self._handlers: dict[int, Handler] = {}
        self._bound: dict[int, Callable[[int], None]] = {}
        self.send(CORE, _HELLO, pod.integer(_PROTOCOL))
        self.send(CLIENT, _UPDATE_PROPERTIES, pod.sequence(pod.pairs({"application.name": name})))

    def create(
        self,
        factory: str,
        interface: str,
        version: int,
        properties: Mapping[str, str],
        *,
        on_message: Handler,
        on_bound: Callable[[int], None],
    ) -> int:
        """Have a factory make an object; `on_bound` is told the id under which everybody sees it."""
        new, self._next_id = self._next_id, self._next_id + 1
        self._handlers[new], self._bound[new] = on_message, on_bound
        self.send(
            CORE,
            _CREATE,
            pod.string(factory),
            pod.string(interface),
            pod.integer(version),
            pod.sequence(pod.pairs(properties)),
            pod.integer(new),
        )
        return new

    def destroy(self, object_id: int) -> None:
        """Take an object away again."""
        self._handlers.pop(object_id, None)
        self._bound.pop(object_id, None)
        self.send(CORE, _DESTROY, pod.integer(object_id))

    def send(self, object_id: int, opcode: int, *arguments: bytes) -> None:
        """Send a message to an object, or as its events where it is one of ours."""
        body = pod.sequence(*arguments)
        self.socket.sendall(_HEADER.pack(object_id, opcode << 24 | len(body), self._sequence, 0) + body)
        self._sequence += 1

    def receive(self) -> bool:
        """Handle the messages that have arrived; false at the end of the connection."""
        data = self.socket.recv(_LONGEST)
        self._received += data
        while len(self._received) >= _HEADER.size:
            object_id, word, _, _ = _HEADER.unpack_from(self._received)
            end = _HEADER.size + (word & 0xFFFFFF)
            if len(self._received) < end:
                break
            body, self._received = self._received[_HEADER.size : end], self._received[end:]
            self._handle(object_id, word >> 24, pod.decoded(body))
        return bool(data)

    def _handle(self, object_id: int, opcode: int, arguments: list[Any]) -> None:
        if object_id != CORE:
            if object_id in self._handlers:
                self._handlers[object_id](opcode, arguments)
        elif opcode == _PING:
            self.send(CORE, _PONG, *(pod.integer(a) for a in arguments[:2]))
        elif opcode == _BOUND:
            ours, everybodys = arguments[:2]
            if ours in self._bound:
                self._bound[ours](everybodys)
        elif opcode == _ERROR:
            sys.stdout.write(f"error {arguments}\n")
            sys.stdout.flush()
