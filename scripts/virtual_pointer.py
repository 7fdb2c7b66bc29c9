"""A mouse for a compositor without one: `zwlr_virtual_pointer_v1`, spoken as bytes, since no package has it for Python.

The protocol's own names stand in the comments; numbers are the positions of requests in its interfaces.
"""

import os
import socket
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Self

DISPLAY, REGISTRY = 1, 2
MANAGER = "zwlr_virtual_pointer_manager_v1"
BUTTONS = {"left": 0x110, "right": 0x111, "middle": 0x112}
NOTCH = 15 << 8  # as far as one notch of a wheel turns, as a fixed-point number


class PointerError(Exception):
    """The compositor has no virtual pointers, or has closed the connection."""


class Pointer:
    """A mouse on an output of `size`; it is there until its block is left."""

    def __init__(self, display: Path, size: tuple[int, int]) -> None:
        self._size = size
        self._last = REGISTRY
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(os.fspath(display))
        self._send(DISPLAY, 1, struct.pack("=I", REGISTRY))  # wl_display.get_registry
        offered = self._roundtrip()
        if MANAGER not in offered:
            raise PointerError(f"the compositor does not offer {MANAGER}")
        manager = self._new()
        # wl_registry.bind, then create_virtual_pointer on whatever seat there is
        name = struct.pack("=I", offered[MANAGER]) + _text(MANAGER) + struct.pack("=II", 1, manager)
        self._send(REGISTRY, 0, name)
        self._pointer = self._new()
        self._send(manager, 0, struct.pack("=II", 0, self._pointer))
        self._roundtrip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def move(self, x: int, y: int) -> None:
        """Move to a place of the output."""
        for place in (x - 1, x):  # a bar notices what moves over it, not what stands there
            self._do(1, struct.pack("=IIIII", _now(), place, y, *self._size))  # motion_absolute

    def click(self, button: str) -> None:
        """Press and release left, right or middle."""
        for state in (1, 0):
            self._do(2, struct.pack("=III", _now(), BUTTONS[button], state))  # button

    def scroll(self, notches: int) -> None:
        """Turn the wheel; positive is down."""
        sign = 1 if notches > 0 else -1
        for _ in range(abs(notches)):
            self._send(self._pointer, 5, struct.pack("=I", 0))  # axis_source: a wheel
            self._do(7, struct.pack("=IIii", _now(), 0, sign * NOTCH, sign))  # axis_discrete, vertical

    def _do(self, request: int, body: bytes) -> None:
        self._send(self._pointer, request, body)
        self._send(self._pointer, 4)  # frame
        self._roundtrip()

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _send(self, thing: int, request: int, body: bytes = b"") -> None:
        self._socket.sendall(struct.pack("=IHH", thing, request, 8 + len(body)) + body)

    def _roundtrip(self) -> dict[str, int]:
        """Wait until the compositor has done what it was sent; return what it offers, if it says so meanwhile."""
        offered: dict[str, int] = {}
        done = self._new()
        self._send(DISPLAY, 0, struct.pack("=I", done))  # wl_display.sync
        while True:
            thing, event, body = self._event()
            if thing == done:
                return offered
            if (thing, event) == (DISPLAY, 0):
                raise PointerError(f"the compositor refuses: {body!r}")
            if (thing, event) == (REGISTRY, 0):  # global: a number, and the name of its interface
                number, length = struct.unpack_from("=II", body)
                offered[body[8 : 7 + length].decode()] = number

    def _event(self) -> tuple[int, int, bytes]:
        self._fill(8)
        thing, event, size = struct.unpack_from("=IHH", self._received)
        self._fill(size)
        body, self._received = self._received[8:size], self._received[size:]
        return thing, event, body

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            data = self._socket.recv(1 << 16)
            if not data:
                raise PointerError("the compositor has closed the connection")
            self._received += data


def _text(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("=I", len(data)) + data + b"\0" * (-len(data) % 4)


def _now() -> int:
    return int(time.monotonic() * 1000) & 0xFFFFFFFF
