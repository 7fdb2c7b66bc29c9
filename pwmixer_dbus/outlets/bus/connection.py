"""One connection to the session bus that survives a full socket; the only file that leans on dbus-fast's private names.

dbus-fast treats a full socket as a lost connection. The shim under its writer turns EAGAIN into "nothing written yet",
upon which the writer waits until the socket can be written again. And it writes each message by itself, which wakes the
bus daemon for each; here all messages of one pass of the loop are written together: the signals of a change and the
reply that follows them, or the changes of many objects. What answers calls is written when all have been read that had
come, not in the loop's next turn; and the writer is only troubled with what does not fit into the socket. What this
leans on (`_loop`, `_sock`, what reads from it, `_writer` with `sock`, `buf`, `messages` and `negotiate_unix_fd`,
`_marshall`, `Unmarshaller`, `_user_message_handlers`, and what `_Authenticator` overrides) is checked by a test.

Descriptors go out and none comes in: passing them is agreed upon with the bus, but dbus-fast reads as if it were not, which
takes one system call less for each message. What somebody sends us nevertheless, the kernel closes.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from struct import Struct
from typing import Any

from dbus_fast import (
    BusType,
    DBusError,
    Message,
    MessageFlag,
    MessageType,
    NameFlag,
    RequestNameReply,
    Variant,
)
from dbus_fast._private.unmarshaller import Unmarshaller
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal

from pwmixer_dbus.core.errors import NotSupportedError
from pwmixer_dbus.outlets.bus.answers import written_value
from pwmixer_dbus.system.runtime import session_bus

log = logging.getLogger(__name__)

DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"

BACKLOG = 5_000
"""Messages waiting for the bus daemon beyond which property signals are held back (they merge meanwhile)."""

CONNECT_TIMEOUT = 5.0
"""Seconds in which a bus has to answer; one that is stopped accepts connections and says nothing."""

DISOWN_TIMEOUT = 2.0
"""Seconds in which a bus has to take a name back: less than systemd gives us to end, or nothing after it would be done."""

OVERFLOW = 100_000
"""Messages waiting beyond which the connection is given up; the daemon has not read for a long time."""

AT_ONCE = 8192
"""Bytes that are read before others have their turn: forty calls or so."""

REFUSABLE = 64
"""How many answers with descriptors are kept in mind; the bus says at once whether it has taken one."""

_SERIAL_AT = 8
"""Where the serial is in every message, as a little-endian word."""

_GONE = "the session bus has gone"

_NO_REPLY = MessageFlag.NO_REPLY_EXPECTED.value

_put_word = Struct("<I").pack_into

Handler = Callable[[Message], bool]
Answered = Callable[[Message, bool], None]


class TakenError(Exception):
    """Somebody else owns the bus name, and keeps it."""


class _PatientSocket:
    """A socket on which `send` returns 0 where it would block; descriptors then go with what is sent next."""

    __slots__ = ("_socket", "_unsent")

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._unsent: Any = None

    def send(self, data: Any) -> int:
        """Send what fits now."""
        if self._unsent is not None:
            return self.sendmsg([data], self._unsent)
        try:
            sent: int = self._socket.send(data)
        except OSError:  # it would block, or the bus has gone, which whoever reads notices in the same turn
            return 0
        return sent

    def sendmsg(self, buffers: Any, descriptors: Any) -> int:
        """Send what fits now, and descriptors with its first byte."""
        try:
            sent = int(self._socket.sendmsg(buffers, descriptors))
        except OSError:  # likewise
            self._unsent = descriptors
            return 0
        self._unsent = None
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _Batch:
    """Messages, or the rest of them, that are written together; to dbus-fast's writer they are one."""

    __slots__ = ("_bytes",)
    serial = 1  # the messages in it have their own
    unix_fds = None

    def __init__(self, data: bytes | bytearray) -> None:
        self._bytes = data

    def _marshall(self, _negotiate_unix_fd: bool) -> bytes | bytearray:
        return self._bytes


class _Loop:
    """The loop as dbus-fast sees it: `on_read` is called when it has read, and handled, what had come.

    It is also the socket from which that is read: once in a turn, since otherwise it is read from for as long as more comes.
    `is_reading` says whether it is at that.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, bus: MessageBus) -> None:
        self._loop = loop
        self._bus = bus
        self.is_reading = False
        self.on_read: Callable[[], None] = lambda: None

    def add_reader(self, file: int, read: "partial[None]") -> None:
        """Have `read` called when there is something to read."""
        socket: Any = self._bus._sock  # noqa: SLF001 - see the head of this file
        us: Any = self
        self._recv: Callable[[int], bytes] = socket.recv
        _, *others = read.args
        self._loop.add_reader(file, self._read, partial(read.func, Unmarshaller(None, us, False), *others))

    def recv(self, _size: int) -> bytes:
        """Read what has come."""
        if self.is_reading:
            raise BlockingIOError(errno.EAGAIN, "others have their turn")
        self.is_reading = True
        return self._recv(AT_ONCE)

    def _read(self, read: Callable[[], None]) -> None:
        try:
            read()
        finally:
            self.is_reading = False
            self.on_read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class _Authenticator(AuthExternal):
    """Asks the bus whether descriptors can be passed, and does without where they cannot, as over TCP."""

    is_agreed = False

    def _authentication_start(self, negotiate_unix_fd: bool = False) -> str:  # noqa: ARG002 - the signature is dbus-fast's
        return super()._authentication_start(negotiate_unix_fd=True)

    def _receive_line(self, line: str) -> str:
        self.is_agreed = line.startswith("AGREE_UNIX_FD")
        if self.negotiating_fds and line.startswith("ERROR"):
            return "BEGIN"
        return super()._receive_line(line)


class BusConnection:
    """The session bus: calls come in through a handler, replies and signals go out without ever waiting.

    `on_answer` is called with each call when it has been answered, and whether it failed; `passes_descriptors` says whether
    file descriptors can be sent.
    """

    def __init__(self, bus: MessageBus, reading: _Loop, *, passes_descriptors: bool) -> None:
        self.passes_descriptors = passes_descriptors
        self.on_answer: Answered = lambda *_: None
        self._bus = bus
        self._writer: Any = bus._writer  # noqa: SLF001 - see the head of this file
        self._reading = reading
        reading.on_read = self._write
        self._awaited: dict[str, list[Callable[[], None]]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._gathered: list[bytearray] = []
        self._is_held = False
        self._answered: list[tuple[Message, bool]] = []
        self._unwritten = 0
        self._then: Callable[[], None] | None = None
        self._passed: dict[int, Message] = {}
        self._with_descriptor: dict[int, Message] = {}
        self._replaced: asyncio.Future[str] | None = None

    @classmethod
    async def open(cls) -> "BusConnection":
        """Connect to the session bus of the environment; raises OSError and dbus-fast's errors where there is none."""
        authenticator = _Authenticator()
        bus = MessageBus(session_bus(os.environ), BusType.SESSION, authenticator)
        reading: Any = _Loop(asyncio.get_running_loop(), bus)
        bus._loop = reading  # noqa: SLF001 - see the head of this file
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await bus.connect()
        except TimeoutError as error:
            raise TimeoutError(f"it did not answer within {CONNECT_TIMEOUT:g} s") from error
        except EOFError as error:
            raise ConnectionError("it hangs up") from error
        writer: Any = bus._writer  # noqa: SLF001 - likewise
        writer.sock = _PatientSocket(writer.sock)
        writer.negotiate_unix_fd = authenticator.is_agreed
        return cls(bus, reading, passes_descriptors=authenticator.is_agreed)

    @property
    def unique_name(self) -> str:
        """Our name on the bus, such as `:1.42`."""
        return self._bus.unique_name or ""

    @property
    def backlog(self) -> int:
        """How many messages wait for the bus daemon to read."""
        return self._unwritten + len(self._gathered)

    def serve(self, on_call: Handler, on_name_lost: Callable[[str], None]) -> None:
        """Hand every method call to `on_call`, which says whether it was for it."""
        call = MessageType.METHOD_CALL

        def handle(message: Message) -> bool:
            if message.message_type is call:
                return on_call(message)
            if message.message_type is MessageType.ERROR:
                self._refuse_descriptor(message)
            elif message.sender == DAEMON and message.path == DAEMON_PATH:
                if message.member == "NameLost":
                    on_name_lost(message.body[0])
                elif message.member == "NameOwnerChanged" and not message.body[2]:
                    self._has_gone(message.body[0])
                elif message.member == "NameOwnerChanged":
                    self._has_changed(*message.body[1:])
            return False

        # Not add_message_handler, which looks into the function by way of `inspect`: 0.7 MiB and 6 ms.
        self._bus._user_message_handlers.append(handle)  # noqa: SLF001 - see the head of this file

    def send(self, message: Message) -> None:
        """Queue a message; it is written at the end of this pass of the loop, where the socket has room."""
        self.send_marshalled(marshalled(message))

    def send_marshalled(self, message: bytearray) -> None:
        """Queue a message that is complete but for its serial, as `marshalled` writes it; likewise."""
        bus, gathered = self._bus, self._gathered
        if not bus.connected:
            return
        if self._unwritten + len(gathered) > OVERFLOW:
            log.error("the bus daemon has stopped reading; giving up the connection")
            bus.disconnect()
            return
        _put_word(message, _SERIAL_AT, bus.next_serial())
        if not (gathered or self._is_held or self._reading.is_reading):
            self._loop.call_soon(self._write)
        gathered.append(message)

    def hold(self) -> None:
        """Write nothing until `release`, which has to follow in the same pass of the loop."""
        self._is_held = True

    def release(self) -> None:
        """Write what was held back; no-op where nothing was."""
        if self._is_held:
            self._is_held = False
            self._write()

    def when_written(self, tell: Callable[[], None]) -> None:
        """Call back in another turn of the loop, and not before the bus daemon has read what waits for it."""
        if self._unwritten:
            self._then = tell
        else:
            self._loop.call_soon(tell)

    def _send_with_descriptor(self, message: Message) -> None:
        """Write a message by itself, since descriptors belong to the first byte that they are sent with."""
        message.serial = self._bus.next_serial()
        self._write()
        self._unwritten += 1
        written = self._bus.send(message)
        for end in (partial(self._written, 1), partial(_close, message.unix_fds)):
            if written.done():
                end(written)
            else:
                written.add_done_callback(end)

    def _write(self) -> None:
        gathered = self._gathered
        if gathered:
            self._gathered = []
            data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
            writer = self._writer
            sent = 0 if writer.buf is not None or writer.messages else writer.sock.send(data)
            if sent != len(data):
                self._leave_to_writer(data[sent:] if sent else data, len(gathered))
        answered = self._answered
        if answered:  # which is told when it is on its way, so that nobody waits for that
            self._answered = []
            for call, has_failed in answered:
                self.on_answer(call, has_failed)

    def _leave_to_writer(self, data: bytes | bytearray, count: int) -> None:
        if not self._bus.connected:
            return
        self._unwritten += count
        batch: Any = _Batch(data)
        written = self._bus.send(batch)
        if written.done():
            self._written(count, written)
        else:
            written.add_done_callback(partial(self._written, count))

    def _written(self, count: int, future: "asyncio.Future[Any]") -> None:
        self._unwritten -= count
        if not self._unwritten and self._then is not None:
            self._loop.call_soon(self._then)
            self._then = None
        if not future.cancelled():
            future.exception()  # the end of the connection is noticed elsewhere

    def reply(self, call: Message, signature: str = "", body: list[Any] | None = None) -> None:
        """Answer a call, unless its sender does not want to know."""
        self.send_reply(call, self.written_reply(call, signature, body or []))

    def reply_value(self, call: Message, kind: str, value: Any) -> None:
        """Answer a call with a value in a variant of a type."""
        asked = self._passed.get(id(call), call) if self._passed else call
        reply = None
        if _wants_reply(asked):
            reply = written_value(asked.serial, asked.sender or "", kind, value)
            if reply is None:
                reply = marshalled(Message.new_method_return(asked, "v", [Variant(kind, value)]))
        self.send_reply(call, reply)

    def written_reply(self, call: Message, signature: str, body: list[Any]) -> bytearray | None:
        """Write the answer to a call, for `send_reply`; None where its sender does not want to know."""
        asked = self._passed.get(id(call), call)
        return marshalled(Message.new_method_return(asked, signature, body)) if _wants_reply(asked) else None

    def send_reply(self, call: Message, reply: bytearray | None, *, is_error: bool = False) -> None:
        """Answer a call, and that at once, unless more is being read, or held back to be written with it."""
        if self._passed:
            self._passed.pop(id(call), None)
        self._answered.append((call, is_error))
        if reply is not None:
            self.send_marshalled(reply)
        if not (self._is_held or self._reading.is_reading):
            self._write()

    def reply_with_descriptor(self, call: Message, descriptor: int) -> None:
        """Answer a call with a file descriptor, which is closed here when it is on its way, or cannot be."""
        if not _wants_reply(call) or not self._bus.connected:
            os.close(descriptor)
        else:
            answer = Message.new_method_return(call, "h", [0], unix_fds=[descriptor])
            self._send_with_descriptor(answer)
            self._with_descriptor[answer.serial] = call
            if len(self._with_descriptor) > REFUSABLE:
                del self._with_descriptor[next(iter(self._with_descriptor))]
        self.on_answer(call, False)

    def _refuse_descriptor(self, error: Message) -> None:
        """Tell a caller what the bus tells nobody but us: that it can be sent no descriptors."""
        call = self._with_descriptor.pop(error.reply_serial, None)
        if call is not None and error.sender == DAEMON:
            text = "Your connection to the bus takes no file descriptors; let it negotiate them when it connects."
            self.send(Message.new_error(call, NotSupportedError.dbus_name, text))

    def fail(self, call: Message, error_name: str, text: str) -> None:
        """Answer a call with an error, unless its sender does not want to know."""
        asked = self._passed.get(id(call), call)
        reply = marshalled(Message.new_error(asked, error_name, text)) if _wants_reply(asked) else None
        self.send_reply(call, reply, is_error=True)

    async def call(self, message: Message) -> Message:
        """Call a method of somebody else and return the answer, which may be an error; raises ConnectionError."""
        try:
            reply = await self._bus.call(message)
        except EOFError as error:
            raise ConnectionError(_GONE) from error
        if reply is None:
            raise ConnectionError(_GONE)
        return reply

    async def ask(self, message: Message) -> list[Any]:
        """Call a method of somebody else and return the answer; raises OSError with what they say against it."""
        reply = await self.call(message)
        if reply.message_type is MessageType.ERROR:
            said = reply.body[0] if reply.signature.startswith("s") else reply.error_name
            raise OSError(said)
        return reply.body

    async def own(self, name: str) -> None:
        """Become the owner of a name; raises TakenError, and OSError with what the bus says against it."""
        await self._request(name, NameFlag.NONE)

    async def own_instead(self, name: str) -> str:
        """Become the owner of a name, whoever it is; return the unique name of who it was until then, "" for nobody.

        Raises TakenError where that one does not allow it, and OSError likewise. `serve` has to have been called.
        """
        # Asked before, it could be another one by then.
        self._replaced = asyncio.get_running_loop().create_future()
        await self.call(_to_daemon("AddMatch", _owners_of(name)))
        await self._request(name, NameFlag.REPLACE_EXISTING)
        predecessor = await self._replaced
        await self.call(_to_daemon("RemoveMatch", _owners_of(name)))
        return predecessor

    async def _request(self, name: str, flags: NameFlag) -> None:
        try:
            answer = await self._bus.request_name(
                name, flags | NameFlag.DO_NOT_QUEUE | NameFlag.ALLOW_REPLACEMENT
            )
        except DBusError as error:
            raise OSError(error.text) from error
        except EOFError as error:
            raise ConnectionError(_GONE) from error
        if answer is not RequestNameReply.PRIMARY_OWNER:
            raise TakenError(name)

    async def own_again(self, name: str) -> bool:
        """Become the owner of a name that nobody owns; return whether we are."""
        try:
            await self.own(name)
        except (TakenError, OSError):
            return False
        return True

    async def disown(self, name: str) -> None:
        """Give up a name; every call that was sent to it has come in by then. No-op where the bus has gone, or goes now."""
        if self._bus.connected:
            self._write()
            with suppress(OSError, EOFError):  # a TimeoutError is an OSError
                async with asyncio.timeout(DISOWN_TIMEOUT):
                    await self._bus.release_name(name)

    def when_gone(self, client: str, tell: Callable[[], None]) -> Callable[[], None]:
        """Call back once when a client has left the bus, by its unique name; what is returned ends the waiting.

        The bus is asked to tell it only while somebody waits.
        """
        if client not in self._awaited:
            self._awaited[client] = []
            # By `send`, as what takes it back: that may be asked for before this has been written.
            self.send(_unanswered("AddMatch", _end_of(client)))
            asking = asyncio.get_running_loop().create_task(self._await_end(client))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        self._awaited[client].append(tell)
        return partial(self._await_no_longer, client, tell)

    async def _await_end(self, client: str) -> None:
        """Look whether the end has come before we were to be told of it."""
        with suppress(OSError):  # the bus itself has gone
            reply = await self.call(_to_daemon("NameHasOwner", client))
            if reply.message_type is MessageType.METHOD_RETURN and not reply.body[0]:
                self._has_gone(client)

    def _await_no_longer(self, client: str, tell: Callable[[], None]) -> None:
        waiting = self._awaited.get(client, [])
        if tell in waiting:
            waiting.remove(tell)
            if not waiting:
                self._stop_awaiting(client)

    def _has_gone(self, client: str) -> None:
        if client in self._awaited:
            waiting = self._awaited[client]
            self._stop_awaiting(client)
            for tell in waiting:
                tell()

    def _has_changed(self, before: str, owner: str) -> None:
        if self._replaced is not None and not self._replaced.done() and owner == self.unique_name:
            self._replaced.set_result(before)

    def _stop_awaiting(self, client: str) -> None:
        del self._awaited[client]
        self.send(_unanswered("RemoveMatch", _end_of(client)))

    def is_passed(self, call: Message) -> bool:
        """Whether a call was passed on to us by another instance, which then passes on the answer."""
        return id(call) in self._passed

    def answer_as(self, call: Message, asked: Message) -> None:
        """Let the answer to a call be the answer to another one, by which it was passed on."""
        self._passed[id(call)] = asked

    async def process_behind(self, name: str) -> int | None:
        """Return the process id of whoever owns a name; raises ConnectionError."""
        reply = await self.call(_to_daemon("GetConnectionUnixProcessID", name))
        return int(reply.body[0]) if reply.message_type is MessageType.METHOD_RETURN else None

    async def wait_closed(self) -> None:
        """Return when the connection has ended, for whatever reason."""
        try:
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError) as error:
            log.debug("the bus went away: %s", error)

    def close(self) -> None:
        """Disconnect; what is queued and fits into the socket has been written."""
        if self._bus.connected:
            self._write()
            self._bus.disconnect()


def marshalled(message: Message) -> bytearray:
    """Return a message as bytes, complete but for its serial."""
    return message._marshall(False)  # noqa: SLF001 - see the head of this file


def unmarshalled(data: bytes) -> Message:
    """Return a message that has come in and was marshalled again."""
    reader: Any = Unmarshaller
    message: Message = reader(BytesIO(data)).unmarshall()
    return message


def _to_daemon(member: str, text: str) -> Message:
    return Message(
        destination=DAEMON,
        path=DAEMON_PATH,
        interface=DAEMON,
        member=member,
        signature="s",
        body=[text],
    )


def _unanswered(member: str, text: str) -> Message:
    message = _to_daemon(member, text)
    message.flags = MessageFlag.NO_REPLY_EXPECTED
    return message


def _owners_of(name: str) -> str:
    return f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{name}'"


def _end_of(client: str) -> str:
    return f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{client}',arg2=''"


def _wants_reply(call: Message) -> bool:
    # By value: `&` of flags makes a new one each time.
    return not call.flags.value & _NO_REPLY


def _close(descriptors: list[int], _written: "asyncio.Future[Any]") -> None:
    for descriptor in descriptors:
        os.close(descriptor)
