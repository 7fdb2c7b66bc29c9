"""A D-Bus client for a few blocking calls: what `pwmixerctl` needs and no more, so that a key press stays fast.

It writes little-endian, reads either order, and knows only the types that the calls of org.pwmixer.Mixer use. A call
skips signals and whatever else arrives before its reply; whoever follows posts calls, and takes messages as they come.
"""

# The C module: `socket` costs 5 ms, since it makes enumerations out of hundreds of constants.
import _socket
import os
import struct

from pwmixer_dbus.cli import CommandError, UnreachableError

NAME, PATH = SERVICE = "org.pwmixer.Mixer", "/org/pwmixer/Mixer"
PROPERTIES = "org.freedesktop.DBus.Properties"
BUS_NAME, BUS_PATH = BUS = "org.freedesktop.DBus", "/org/freedesktop/DBus"
"""Whom a call is for: a name on the bus, which its interface has as well, and a path."""

Value = str | float | bool
Argument = Value | dict[str, Value] | list[str]
Result = str | float | bool | list[str]
Message = tuple[int, int, str, list[Result]]
"""What came in: its kind, the serial that it replies to, the name of its error, and its values."""

METHOD_RETURN, ERROR, SIGNAL = 2, 3, 4
_METHOD_CALL = 1
_NO_AUTO_START = 2
_ERROR_NAME, _REPLY_SERIAL, _SIGNATURE = 4, 5, 8
_HEADER = 16  # bytes, up to and with the length of the header fields
_LARGEST = 1 << 26
_TIMEOUT = 10.0
_NUMBER_CODES = {bool: "b", int: "u", float: "d"}
_NUMBERS = {"b": ("I", 4), "u": ("I", 4), "d": ("d", 8)}
_READABLE = "budsogA"  # with A for a list of texts
# What the bus says when nobody owns the name and nobody could be started, or when the owner went away over our call.
_NOBODY = ("ServiceUnknown", "NameHasNoOwner")
_SYSTEMD = "org.freedesktop.systemd1."
_UNREACHABLE = (*_NOBODY, "NoReply", "Disconnected", "TimedOut", "Spawn.", _SYSTEMD)
_GONE = "The session bus has closed the connection; try again."
_NOT_THERE = (
    "The pwmixer service is not there: 'pwmixer-dbus' starts it, "
    "and 'pwmixerctl install' has it started by itself from then on."
)
_NOT_STARTED = "The pwmixer service has not started, or has gone: run 'pwmixer-dbus' to see why."


class Connection:
    """A connection to the session bus. Raises UnreachableError if there is none."""

    def __init__(self, *, auto_start: bool = True) -> None:
        self._flags = 0 if auto_start else _NO_AUTO_START
        self._serial = 1
        self._received = b""
        self._socket = _connect(bus_addresses(dict(os.environ)))
        self._socket.settimeout(_TIMEOUT)
        try:
            self._sign_in()
        except UnreachableError:
            self._socket.close()
            raise
        self._unsent = b"BEGIN\r\n" + encode_call(1, "Hello", to=BUS)

    def __enter__(self) -> "Connection":  # noqa: PYI034 - Self would cost the import of typing
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(
        self, method: str, signature: str = "", *arguments: Argument, to: tuple[str, str] = SERVICE
    ) -> Result | None:
        """Call a method, and return the first value of the reply.

        Raises CommandError with the message of an error, UnreachableError where nobody is there to reply.
        """
        return self._answer(self.post(method, signature, *arguments, to=to))

    def get(self, prop: str) -> Result | None:
        """Read a property of the root. Raises as `call` does."""
        return self._answer(self.post("Get", "ss", NAME, prop, interface=PROPERTIES))

    def _answer(self, serial: int) -> Result | None:
        while True:
            kind, reply_to, error, values = decode_message(self._message())
            if reply_to == serial and kind == METHOD_RETURN:
                return values[0] if values else None
            if reply_to == serial and kind == ERROR:
                raise failure(error, str(values[0]) if values else "")

    def post(
        self,
        method: str,
        signature: str = "",
        *arguments: Argument,
        to: tuple[str, str] = SERVICE,
        interface: str = "",
    ) -> int:
        """Send a call, and return the serial that its reply will name."""
        self._serial += 1
        call = encode_call(
            self._serial, method, signature, arguments, to=to, interface=interface, flags=self._flags
        )
        self._send(self._unsent + call)
        self._unsent = b""
        return self._serial

    def fileno(self) -> int:
        """Return the descriptor that can be read when `arrived` has something to take."""
        return self._socket.fileno()

    def arrived(self) -> list[Message]:
        """Take the messages that have come in whole."""
        self._receive()
        messages = []
        while len(self._received) >= _HEADER and len(self._received) >= message_size(self._received):
            messages.append(decode_message(self._message()))
        return messages

    def _sign_in(self) -> None:
        # One exchange of its own; Hello then travels with the first call. To send all at once would save 50 µs, but
        # xdg-dbus-proxy and GDBus servers hang on it (flatpak/xdg-dbus-proxy#21, systemd/systemd#26375).
        answer = self._ask(b"\0AUTH EXTERNAL %s" % str(os.getuid()).encode().hex().encode())
        if not answer.startswith(b"OK "):
            raise UnreachableError(
                "The session bus refuses this user; DBUS_SESSION_BUS_ADDRESS may be another user's."
            )

    def _ask(self, line: bytes) -> bytes:
        """Send a line before the first message, and return the bus's answer."""
        self._send(line + b"\r\n")
        while b"\r\n" not in self._received:
            self._receive()
        answer, _, self._received = self._received.partition(b"\r\n")
        return answer

    def _message(self) -> bytes:
        self._fill(_HEADER)
        size = message_size(self._received)
        self._fill(size)
        message, self._received = self._received[:size], self._received[size:]
        return message

    def _fill(self, size: int) -> None:
        if size > _LARGEST:
            raise UnreachableError("The session bus sent a message that is too large to be true.")
        while len(self._received) < size:
            self._receive()

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise UnreachableError(_GONE) from error

    def _receive(self) -> None:
        try:
            data = self._take()
        except TimeoutError:
            raise UnreachableError(f"The pwmixer service has not answered within {_TIMEOUT:.0f} s.") from None
        except OSError as error:
            raise UnreachableError(_GONE) from error
        if not data:
            raise UnreachableError(_GONE)
        self._received += data

    def _take(self) -> bytes:
        return self._socket.recv(1 << 16)


def call(method: str, signature: str = "", *arguments: Argument) -> Result | None:
    """Make one call to the service. Raises as Connection does."""
    with Connection() as bus:
        return bus.call(method, signature, *arguments)


def bus_addresses(environment: dict[str, str]) -> list[str]:
    """Name the unix sockets at which the session bus may be, best first; one that starts with NUL is abstract."""
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    sockets = []
    for address in environment.get("DBUS_SESSION_BUS_ADDRESS", "").split(";"):
        transport, _, pairs = address.partition(":")
        keys = dict(pair.split("=", 1) for pair in pairs.split(",") if "=" in pair)
        if transport != "unix":
            continue
        if "path" in keys:
            sockets.append(_unescape(keys["path"]))
        elif "abstract" in keys:
            sockets.append("\0" + _unescape(keys["abstract"]))
        elif keys.get("runtime") == "yes":
            sockets.append(f"{runtime}/bus")
    return sockets or [f"{runtime}/bus"]


def encode_call(
    serial: int,
    method: str,
    signature: str = "",
    arguments: tuple[Argument, ...] = (),
    *,
    to: tuple[str, str] = SERVICE,
    interface: str = "",
    flags: int = 0,
) -> bytes:
    """Write a method call; without another one, the interface is named like whom it is for."""
    name, path = to
    body = b""
    for code, argument in zip(signature.replace("as", "A").replace("a{sv}", "a"), arguments, strict=True):
        body = _put(body, code, argument)
    fields = b""
    for number, code, value in (
        (1, "o", path),
        (2, "s", interface or name),
        (3, "s", method),
        (6, "s", name),
        (8, "g", signature),
    ):
        if value:
            fields = _put(_pad(fields, 8) + bytes((number, 1)) + code.encode() + b"\0", code, value)
    start = struct.pack("<4BIII", ord("l"), _METHOD_CALL, flags, 1, len(body), serial, len(fields))
    return _pad(start + fields, 8) + body


def message_size(start: bytes) -> int:
    """Say how long the message is whose first 16 bytes these are."""
    order = "<" if start[:1] == b"l" else ">"
    body, _, fields = struct.unpack_from(order + "III", start, 4)
    return int(_HEADER + -(-fields // 8) * 8 + body)


def decode_message(message: bytes) -> Message:
    """Read a message; one with values of types that no call here uses, as signals have them, is read without any."""
    order = "<" if message[:1] == b"l" else ">"
    end = _HEADER + struct.unpack_from(order + "I", message, 12)[0]
    texts, reply_to, position = {_ERROR_NAME: "", _SIGNATURE: ""}, 0, _HEADER
    while position < end:
        position += -position % 8
        field = message[position]
        code, position = _get_text(message, position + 1, "g", order)
        if code in "sog":
            texts[field], position = _get_text(message, position, code, order)
        else:
            number, position = _get_number(message, position, code, order)
            reply_to = int(number) if field == _REPLY_SERIAL else reply_to
    values: list[Result] = []
    position = end + -end % 8
    if texts[_SIGNATURE] == "v":
        texts[_SIGNATURE], position = _get_text(message, position, "g", order)
    codes = texts[_SIGNATURE].replace("as", "A").replace("ao", "A")
    for code in "" if codes.strip(_READABLE) else codes:
        get = _get_texts if code == "A" else _get_text if code in "sog" else _get_number
        value, position = get(message, position, code, order)
        values.append(value)
    return message[1], reply_to, texts[_ERROR_NAME], values


def is_unreachable(error: str) -> bool:
    """Tell from the name of an error whether nobody was there to reply."""
    return error.removeprefix("org.freedesktop.DBus.Error.").startswith(_UNREACHABLE)


def failure(error: str, message: str) -> CommandError:
    """Turn the error of a reply into ours."""
    if error.startswith(_SYSTEMD):
        return UnreachableError(f"{message} 'pwmixerctl doctor' says what to do.")
    if is_unreachable(error):
        is_nobody = error.removeprefix("org.freedesktop.DBus.Error.") in _NOBODY
        return UnreachableError(_NOT_THERE if is_nobody else _NOT_STARTED)
    return CommandError(message or error)


def no_bus() -> UnreachableError:
    """Say that no session bus answers, and where it was looked for: what is set may be of a session that has ended."""
    where, also = "", ", or set DBUS_SESSION_BUS_ADDRESS"
    if address := os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        where, also = f" at DBUS_SESSION_BUS_ADDRESS, which is {address}", ""
    return UnreachableError(f"There is no session bus{where}; run this inside a desktop session{also}.")


def _connect(addresses: list[str]) -> _socket.socket:
    for address in addresses:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            connection.connect(os.fsencode(address))
        except OSError:
            connection.close()
        else:
            return connection
    raise no_bus()


def _unescape(text: str) -> str:
    """Read a value of an address; "", where no bus is, for one that is not written as the specification has it."""
    first, *rest = text.split("%")
    try:
        return first + os.fsdecode(b"".join(bytes.fromhex(part[:2]) + os.fsencode(part[2:]) for part in rest))
    except ValueError:
        return ""


def _pad(data: bytes, alignment: int) -> bytes:
    return data + b"\0" * (-len(data) % alignment)


def _put(data: bytes, code: str, value: Argument) -> bytes:
    if isinstance(value, dict):
        entries = b""
        for key, entry in value.items():
            kind = "s" if isinstance(entry, str) else _NUMBER_CODES[type(entry)]
            # An array starts at a multiple of four or eight; its entries count from a multiple of eight.
            entries = _put(_pad(entries, 8), "s", key) + bytes((1,)) + kind.encode() + b"\0"
            entries = _put(entries, kind, entry)
        return _pad(_pad(data, 4) + struct.pack("<I", len(entries)), 8) + entries
    if isinstance(value, list):
        texts = b""
        for each in value:
            texts = _put(texts, "s", each)
        return _pad(data, 4) + struct.pack("<I", len(texts)) + texts
    if isinstance(value, str):
        text = value.encode(errors="replace")
        length = bytes((len(text),)) if code == "g" else struct.pack("<I", len(text))
        return _pad(data, 1 if code == "g" else 4) + length + text + b"\0"
    form, size = _NUMBERS[code]
    return _pad(data, size) + struct.pack("<" + form, value)


def _get_text(data: bytes, position: int, code: str, order: str) -> tuple[str, int]:
    position += 0 if code == "g" else -position % 4
    length = data[position] if code == "g" else struct.unpack_from(order + "I", data, position)[0]
    start = position + (1 if code == "g" else 4)
    return data[start : start + length].decode(errors="replace"), start + length + 1


def _get_texts(data: bytes, position: int, _code: str, order: str) -> tuple[list[str], int]:
    position += -position % 4
    texts, end = [], position + 4 + struct.unpack_from(order + "I", data, position)[0]
    position += 4
    while position < end:
        text, position = _get_text(data, position, "s", order)
        texts.append(text)
    return texts, position


def _get_number(data: bytes, position: int, code: str, order: str) -> tuple[float | bool, int]:
    form, size = _NUMBERS[code]
    position += -position % size
    value = struct.unpack_from(order + form, data, position)[0]
    return bool(value) if code == "b" else value, position + size
