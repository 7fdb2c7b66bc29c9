"""One call of a method on the bus, from its arguments to its answer."""

from collections.abc import Mapping
from typing import Any

from dbus_fast import Message, Variant

from pwmixer_dbus.core.errors import InvalidArgumentError, MixerError
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.words import sentence
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.interfaces import Method


class StandardError(MixerError):
    """What D-Bus itself has an error for, such as UnknownMethod: that is not there, or cannot be written."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.dbus_name = f"org.freedesktop.DBus.Error.{name}"  # type: ignore[misc]  # each other class has one


class Call:
    """One method call that will be answered exactly once, perhaps later."""

    __slots__ = ("_connection", "_is_written", "_reply", "_signature", "arguments", "message", "name")

    def __init__(self, connection: BusConnection, message: Message, method: Method) -> None:
        self._connection = connection
        self._signature = method.reply_signature
        self._reply: bytearray | None = None
        self._is_written = False
        self.name = method.name
        self.message = message
        self.arguments: list[Any] = message.body

    @property
    def client(self) -> str:
        """The unique name of the caller."""
        return self.message.sender or ""

    def write(self, *values: Any) -> None:
        """Write the answer that `reply` with these values is going to send, if it comes to that."""
        self._reply = self._connection.written_reply(self.message, self._signature, list(values))
        self._is_written = True

    def reply(self, *values: Any) -> None:
        """Answer."""
        if not self._is_written:
            self.write(*values)
        self._connection.send_reply(self.message, self._reply)

    def fail(self, error: MixerError) -> None:
        """Answer with an error, under its D-Bus name."""
        fail(self._connection, self.message, error)


def fail(connection: BusConnection, message: Message, error: MixerError) -> None:
    """Answer a call with an error, under its D-Bus name."""
    connection.fail(message, error.dbus_name, sentence(error))


def options_of(options: Mapping[str, Variant], known: Mapping[str, str]) -> Mapping[str, Any]:
    """Check the options of a call against what it knows, name and type; return their plain values."""
    if not options:  # as mostly
        return options
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise InvalidArgumentError(f"There is no option “{clean(name, 80)}”; there is: {there}.")
        if value.signature != known[name]:
            raise InvalidArgumentError(
                f"The option {name} has the type “{known[name]}”, not “{value.signature}”."
            )
    return {name: value.value for name, value in options.items()}
