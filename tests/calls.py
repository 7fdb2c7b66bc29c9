"""Calls of the service, and of the bus itself, through dbus-fast: for tests with a loop, or with a socket, of their own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from dbus_fast import BusType, Message
from dbus_fast.aio import MessageBus
from service import NAME, ROOT
from session import Session

BUS = "org.freedesktop.DBus"


def called(
    member: str,
    signature: str = "",
    *body: object,
    to: str = NAME,
    path: str = ROOT,
    interface: str | None = NAME,
) -> Message:
    """Make a call of the service: of its root, unless another object or interface is named."""
    return Message(
        destination=to, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )


def of_bus(member: str, signature: str = "", *body: object) -> Message:
    """Make a call of the bus itself."""
    return called(member, signature, *body, to=BUS, path="/org/freedesktop/DBus", interface=BUS)


async def connected(session: Session, *, negotiate_unix_fd: bool = False) -> MessageBus:
    """Connect to the bus of a session."""
    address = session.env["DBUS_SESSION_BUS_ADDRESS"]
    bus = MessageBus(address, BusType.SESSION, negotiate_unix_fd=negotiate_unix_fd)
    return await bus.connect()


@contextmanager
def signed_in(session: Session) -> Iterator[socket.socket]:
    """Open a socket to the bus of a session, which takes `spoken` from then on, and reads nothing by itself."""
    address = session.env["DBUS_SESSION_BUS_ADDRESS"].removeprefix("unix:path=")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert connection.recv(100).startswith(b"OK")
        connection.sendall(b"BEGIN\r\n")
        yield connection


def spoken(*calls: Message) -> bytes:
    """Write the first words over such a socket: to be on the bus, and then these calls."""
    messages = (of_bus("Hello"), *calls)
    for serial, message in enumerate(messages, start=1):
        message.serial = serial
    return b"".join(bytes(message._marshall(False)) for message in messages)
