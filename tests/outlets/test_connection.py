"""The bus connection on a real, private bus: what it leans on in dbus-fast, and that a full socket is no end."""

import asyncio
import inspect
import os
import select
import signal
import socket
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from calls import called, of_bus
from core.build import playback
from counting import taken
from dbus_fast import BusType, ErrorType, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.aio.message_bus import _MessageWriter
from dbus_fast.auth import AuthExternal
from session import PATIENCE, Session

from pwmixer_dbus.config.rulebook import RuleBook
from pwmixer_dbus.core.commands import Command
from pwmixer_dbus.core.errors import AudioServerError, MixerError
from pwmixer_dbus.core.events import Seen, Snapshot
from pwmixer_dbus.core.matching import NOTHING
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.model import Device, Kind, Server
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper
from pwmixer_dbus.lanes import Done
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus import connection as connection_module
from pwmixer_dbus.outlets.bus.connection import DAEMON, DAEMON_PATH, BusConnection, TakenError, marshalled
from pwmixer_dbus.outlets.bus.methods import Parts
from pwmixer_dbus.outlets.bus.service import BusService
from pwmixer_dbus.router import Router

NAME = "org.pwmixer.Test"
MORE_THAN_FITS = 20_000

A, B = ":1.7", ":1.8"

FEW, MANY = 200, 1000
"""Calls: more than there can be in what is read at once, and more than that."""

LOUDNESS_STEPS = 720
"""What a Get of a volume may take of the interpreter with Python 3.11, which takes 678 (and was 827); newer ones take fewer."""


pytestmark = pytest.mark.usefixtures("private_bus")


def signal_message(member: str = "Said", signature: str = "s", said: str | int = "x" * 100) -> Message:
    return Message(
        message_type=MessageType.SIGNAL,
        path="/org/pwmixer/Test",
        interface=NAME,
        member=member,
        signature=signature,
        body=[said],
    )


# --- the private names that we lean on


def test_the_writer_of_dbus_fast_has_the_parts_that_we_reach_into() -> None:
    source = inspect.getsource(_MessageWriter)
    assert "self.sock = " in source
    assert "self.messages: deque" in source
    assert "self.buf: memoryview | None = None" in source
    assert "self.buf is None" in inspect.getsource(_MessageWriter.write_callback)
    assert "self._loop.add_reader(" in inspect.getsource(MessageBus.connect)
    assert "sock = self.sock\n" in inspect.getsource(_MessageWriter.write_callback)
    assert "sock.send(" in source
    assert "if self.offset < len(self.buf):" in source, "a short write is waited for"
    assert "if self.unix_fds and self.negotiate_unix_fd:" in source
    assert "sock.sendmsg([self.buf[self.offset :]], ancdata)" in source
    assert "self.unix_fds = None" in source, "what is not sent is ours to keep"


async def test_an_open_connection_has_a_writer_with_our_socket_under_it() -> None:
    connection = await BusConnection.open()
    writer: Any = connection._bus._writer
    assert writer is not None
    assert isinstance(writer.sock, connection_module._PatientSocket)
    assert writer.sock.fileno() == writer.fd
    assert connection.backlog == 0
    assert connection.unique_name.startswith(":1.")
    connection.close()


def test_dbus_fasts_way_of_signing_in_is_what_ours_departs_from() -> None:
    source = inspect.getsource(AuthExternal)
    assert "def _authentication_start(self, negotiate_unix_fd" in source
    assert "def _receive_line(self, line: str)" in source
    assert "self.negotiating_fds = True" in source
    agreed, refused = connection_module._Authenticator(), connection_module._Authenticator()
    for authenticator, answer in ((agreed, "AGREE_UNIX_FD"), (refused, "ERROR not supported")):
        authenticator._authentication_start()
        assert authenticator._receive_line("OK 1234") == "NEGOTIATE_UNIX_FD"
        assert authenticator._receive_line(answer) == "BEGIN"
    assert agreed.is_agreed
    assert not refused.is_agreed


# --- descriptors


def taken_by(come: "asyncio.Future[Message]") -> connection_module.Handler:
    """Return what takes one call, and gives it away."""

    def take(call: Message) -> bool:
        come.set_result(call)
        return True

    return take


async def first_call(connection: BusConnection, message: Message) -> Message:
    """Send a call to a connection from another one that may pass descriptors, and return it as it has come."""
    come: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    connection.serve(taken_by(come), lambda _: None)
    caller = await MessageBus(bus_type=BusType.SESSION, negotiate_unix_fd=True).connect()
    message.destination = connection.unique_name
    caller.send(message)
    async with asyncio.timeout(PATIENCE):
        call = await come
    caller.disconnect()
    return call


def wait_until_nobody_reads(pipe: int) -> None:
    """Wait until every reading end of a pipe is closed; the bus closes its own a moment after it has passed it on."""
    poll = select.poll()
    poll.register(pipe, 0)
    assert poll.poll(PATIENCE * 1000) == [(pipe, select.POLLERR)]
    os.close(pipe)


async def test_a_descriptor_arrives_with_its_own_reply_even_through_a_full_socket() -> None:
    """It is closed here as soon as it is on its way, and not before."""
    connection = await BusConnection.open()
    assert connection.passes_descriptors
    pid = await connection.process_behind(DAEMON)
    assert pid
    caller = await MessageBus(bus_type=BusType.SESSION, negotiate_unix_fd=True).connect()
    come: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    connection.serve(taken_by(come), lambda _: None)
    message = Message(destination=connection.unique_name, path="/", interface=NAME, member="Open")
    calling = asyncio.create_task(caller.call(message))
    async with asyncio.timeout(PATIENCE):
        asked = await come
    readable, writable = os.pipe()
    with StoppedBus(pid):
        for _ in range(MORE_THAN_FITS):
            connection.send(signal_message())
        connection.reply_with_descriptor(asked, readable)
        connection.send(signal_message())
        assert connection.backlog > 0
        os.fstat(readable)
    async with asyncio.timeout(PATIENCE):
        reply = await calling
        await connection.process_behind(DAEMON)  # comes after all the others
    assert reply is not None
    assert (reply.signature, reply.body) == ("h", [0])
    (theirs,) = reply.unix_fds
    os.write(writable, b"frame")
    assert os.read(theirs, 5) == b"frame"
    os.close(theirs)
    wait_until_nobody_reads(writable)
    caller.disconnect()
    connection.close()


async def test_a_descriptor_that_nobody_wants_is_closed() -> None:
    connection = await BusConnection.open()
    call = Message(path="/", member="Open", flags=MessageFlag.NO_REPLY_EXPECTED, serial=3)
    readable, writable = os.pipe()
    connection.reply_with_descriptor(call, readable)
    connection.close()
    wait_until_nobody_reads(writable)


async def test_a_descriptor_that_somebody_sends_us_is_not_kept() -> None:
    connection = await BusConnection.open()
    readable, writable = os.pipe()
    message = Message(path="/", interface=NAME, member="Take", signature="h", body=[0], unix_fds=[readable])
    await first_call(connection, message)
    os.close(readable)
    wait_until_nobody_reads(writable)
    connection.close()


# --- a full socket


class StoppedBus:
    """The bus daemon does not read in here, as if the machine were very busy."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __enter__(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGCONT)


async def test_a_full_socket_is_waited_for() -> None:
    connection = await BusConnection.open()
    pid = await connection.process_behind(DAEMON)
    assert pid
    with StoppedBus(pid):
        for _ in range(MORE_THAN_FITS):
            connection.send(signal_message())
        await asyncio.sleep(0)
        assert connection.backlog > 0
        written = asyncio.Event()
        connection.when_written(written.set)
        await asyncio.sleep(0)
        assert not written.is_set()
    async with asyncio.timeout(PATIENCE):
        assert await connection.process_behind(DAEMON) == pid  # comes after all the others
    assert connection.backlog == 0
    assert written.is_set()
    connection.close()


class Flood:
    """A client that writes without looking, and whose calls wait for us to read them."""

    def __init__(self, bus: Session) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(bus.runtime / "bus"))
        self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self._socket.recv(100).startswith(b"OK")
        self._socket.sendall(b"BEGIN\r\n")
        self._say([Message(destination=DAEMON, path=DAEMON_PATH, interface=DAEMON, member="Hello", serial=1)])

    def call(self, connection: BusConnection, count: int) -> None:
        """Make so many calls; return when some of them, more than we read at once, have come to us."""
        self._say(
            [
                Message(destination=connection.unique_name, path="/", member="Ask", serial=n)
                for n in range(2, 2 + count)
            ]
        )
        waits_for_us: Any = connection._bus._sock
        until = time.monotonic() + PATIENCE
        came = 0
        while came < 2 * connection_module.AT_ONCE and time.monotonic() < until:
            with suppress(BlockingIOError):
                came = len(waits_for_us.recv(1 << 20, socket.MSG_PEEK))

    def close(self) -> None:
        self._socket.close()

    def _say(self, messages: list[Message]) -> None:
        self._socket.sendall(b"".join(bytes(marshalled(message)) for message in messages))


async def test_one_client_however_much_it_asks_lets_others_have_their_turn(private_bus: Session) -> None:
    connection = await BusConnection.open()
    turn, turns, serials = 0, Counter[int](), list[int]()

    def ask(call: Message) -> bool:
        turns[turn] += 1
        serials.append(call.serial)
        return True

    connection.serve(ask, lambda _: None)
    with closing(Flood(private_bus)) as flood:
        flood.call(connection, MANY)
        while len(serials) < MANY:
            turn += 1
            await asyncio.sleep(0)
    assert max(turns.values()) < FEW
    assert serials == [*range(2, 2 + MANY)]
    connection.close()


async def test_without_our_socket_dbus_fast_still_takes_a_full_one_for_the_end() -> None:
    """The day on which this fails, `_PatientSocket` can go."""
    probe = await BusConnection.open()
    pid = await probe.process_behind(DAEMON)
    assert pid
    # The future of the message that it fails on is lost, and would be complained about.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    foreign = await MessageBus(bus_type=BusType.SESSION).connect()
    with StoppedBus(pid), suppress(OSError):  # it even registers the descriptor that it has just closed
        for _ in range(MORE_THAN_FITS):
            foreign.send(signal_message()).add_done_callback(lambda future: future.exception())
            if not foreign.connected:
                break
    assert not foreign.connected
    with suppress(OSError, EOFError):
        await foreign.wait_for_disconnect()  # type: ignore[no-untyped-call]
    probe.close()


def test_a_daemon_that_never_reads_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection_module, "OVERFLOW", 100)

    async def main() -> None:
        connection = await BusConnection.open()
        pid = await connection.process_behind(DAEMON)
        assert pid
        with StoppedBus(pid):
            for _ in range(MORE_THAN_FITS):
                connection.send(signal_message())
            assert "stopped reading" in caplog.text
            assert connection.backlog <= 101
        async with asyncio.timeout(PATIENCE):
            await connection.wait_closed()
        connection.send(signal_message())  # and nothing happens

    asyncio.run(main())
    assert len(caplog.records) == 1


# --- names, replies and errors


async def test_a_name_has_one_owner_until_another_takes_it_over() -> None:
    lost: list[str] = []
    first, second = await BusConnection.open(), await BusConnection.open()
    first.serve(lambda _: False, lost.append)
    second.serve(lambda _: False, lost.append)
    assert await first.own_instead(NAME) == ""
    assert not await second.own_again(NAME)
    with pytest.raises(TakenError):
        await second.own(NAME)
    with pytest.raises(OSError, match="reserved"):
        await second.own(DAEMON)
    assert not await second.own_again(DAEMON)
    assert await second.process_behind(NAME) == os.getpid()
    assert await second.own_instead(NAME) == first.unique_name
    await first.process_behind(DAEMON)
    assert NAME in lost
    assert await first.process_behind("org.pwmixer.Nobody") is None
    first.close()
    second.close()


class Swallowing:
    """A socket into which everything fits."""

    send = staticmethod(len)


class Faulty:
    """A sound server with a mistake in it."""

    def send(self, command: Command, done: Done) -> None:
        raise ZeroDivisionError(command, done)

    def renew(self) -> None:
        raise AssertionError(self)


def served(mixer: Mixer, connection: BusConnection, folder: Path) -> BusService:
    """Let a mixer that has a sink be asked on the bus."""
    sink = Device(kind=Kind.SINK, index=1, name="speakers", channels=(0.5, 0.4))
    mixer.on_event(Snapshot(server=Server(default_sink="speakers", cookie=1), devices=(sink,)))
    parts = Parts(
        mixer=mixer,
        connection=connection,
        keeper=Keeper(
            mixer,
            rules=lambda _: NOTHING,
            locks=lambda _: False,
            save=lambda _: None,
            save_soon=lambda: None,
            wall_clock=time.time,
        ),
        fader=Fader(mixer),
        router=Router(mixer),
        rules=RuleBook(folder / "rules.toml", (), config_path=folder / "config.toml"),
        parent_of=lambda _: None,
        reload=lambda: None,
        predecessor=lambda: None,
        open_taps=lambda _: pytest.fail("nobody reads a meter"),
        when_ready=lambda begin: begin(),
    )
    service = BusService(parts, instance_id="x", config_error=lambda: "", state_error=lambda: "")
    connection.serve(service.on_call, lambda _: None)
    service.release_calls()
    return service


async def test_how_loud_something_is_is_told_in_few_steps(tmp_path: Path) -> None:
    connection = await BusConnection.open()
    mixer = Mixer(Settings(), Measures(lambda: 0.0))
    service = served(mixer, connection, tmp_path)
    mixer.on_event(Seen(record=playback(10)))
    connection._writer.sock = Swallowing()

    def steps(interface: str, name: str) -> int:
        call = Message(
            path="/org/pwmixer/Mixer/streams/1",
            interface="org.freedesktop.DBus.Properties",
            member="Get",
            sender=":1.7",
            serial=1,
            signature="ss",
            body=[interface, name],
        )
        return taken(lambda: service.on_call(call)).steps

    assert steps("org.pwmixer.Mixer.Node", "Volume") < LOUDNESS_STEPS
    assert steps("org.pwmixer.Mixer.Node", "Index") > LOUDNESS_STEPS, "what is not asked so often"
    service.publisher.close()
    connection.close()


class Refusing(Faulty):
    """A sound server that does nothing."""

    def send(self, _command: Command, done: Done) -> None:
        done(AudioServerError("No."))


async def test_what_is_believed_of_an_object_is_healed_once_however_often_a_request_names_it(
    tmp_path: Path,
) -> None:
    connection = await BusConnection.open()
    mixer = Mixer(Settings())
    mixer.server = Refusing()
    service = served(mixer, connection, tmp_path)
    sent: list[Message] = []
    connection.send = sent.append  # type: ignore[assignment, method-assign]
    connection._writer.sock = Swallowing()
    sink = "/org/pwmixer/Mixer/sinks/speakers"
    call = Message(
        path="/org/pwmixer/Mixer",
        interface="org.pwmixer.Mixer",
        member="Apply",
        signature="ta(oa{sv})a{sv}",
        body=[0, [[sink, {"Volume": Variant("d", n / 10)}] for n in range(10)], {}],
        sender=A,
        serial=1,
    )
    answered = asyncio.Event()
    connection.on_answer = lambda *_: answered.set()
    service.on_call(call)
    async with asyncio.timeout(PATIENCE):
        await answered.wait()
    assert [message.path for message in sent].count(sink) == 1
    service.publisher.close()
    connection.close()


class Slow:
    """A clock by which everything takes a second."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


def asked_by(client: str, serial: int) -> Message:
    return Message(
        path="/org/pwmixer/Mixer",
        interface="org.pwmixer.Mixer",
        member="Resolve",
        signature="s",
        body=["@sink"],
        sender=client,
        serial=serial,
    )


async def test_who_asks_what_takes_long_has_one_answer_in_a_turn_and_others_have_theirs(
    tmp_path: Path,
) -> None:
    connection = await BusConnection.open()
    service = served(Mixer(Settings(), Measures(Slow())), connection, tmp_path)
    answers: list[tuple[str, int]] = []
    connection.on_answer = lambda call, _: answers.append((call.sender or "", call.serial))
    connection._writer.sock = Swallowing()
    for n in range(1, 4):
        service.on_call(asked_by(A, n))
    service.on_call(asked_by(B, 1))
    assert answers == [(A, 1), (B, 1)], "the first of each at once"
    service.on_call(asked_by(B, 2))
    told = len(answers)
    while told < 5:
        await asyncio.sleep(0)
        assert len(answers) - told <= 1
        told = len(answers)
    assert answers[2:] == [(A, 2), (B, 2), (A, 3)]
    service.publisher.close()
    connection.close()


async def test_what_waits_for_its_turn_when_nobody_is_answered_any_more_is_answered_or_passed_on_later(
    tmp_path: Path,
) -> None:
    connection = await BusConnection.open()
    service = served(Mixer(Settings(), Measures(Slow())), connection, tmp_path)
    answers, passed_on = list[int](), list[int]()
    connection.on_answer = lambda call, _: answers.append(call.serial)
    service.heir.pass_on = lambda call: passed_on.append(call.serial)  # type: ignore[method-assign]
    connection._writer.sock = Swallowing()
    for n in range(1, 4):
        service.on_call(asked_by(A, n))
    service.hold_calls()
    service.on_call(asked_by(A, 4))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert answers == [1]
    service.release_calls()
    assert answers == [1, 2, 3, 4]
    service.on_call(asked_by(A, 5))
    service.on_call(asked_by(A, 6))
    service.hold_calls()
    service.pass_calls_on()
    assert (answers[4:], passed_on) == ([5], [6])
    service.publisher.close()
    connection.close()


@pytest.mark.mistakes
def test_a_mistake_of_ours_is_told_under_our_own_error_name(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:

    async def main() -> None:
        connection, caller = await BusConnection.open(), await MessageBus(bus_type=BusType.SESSION).connect()
        mixer = Mixer(Settings())
        mixer.server = Faulty()
        service = served(mixer, connection, tmp_path)
        call = called("SetVolume", "sda{sv}", "@sink", 0.3, {}, to=connection.unique_name)
        async with asyncio.timeout(PATIENCE):
            reply = await caller.call(call)
        assert reply is not None
        assert reply.error_name == MixerError.dbus_name
        assert reply.body[0].endswith(".")
        assert "ZeroDivisionError" not in reply.body[0]
        quiet = called("NoSuchThing", to=connection.unique_name)
        quiet.flags = MessageFlag.NO_REPLY_EXPECTED
        await caller.send(quiet)
        async with asyncio.timeout(PATIENCE):
            again = await caller.call(
                Message(destination=connection.unique_name, path="/nowhere", member="Get")
            )
        assert again is not None
        assert again.error_name == ErrorType.UNKNOWN_OBJECT.value
        service.publisher.close()
        caller.disconnect()
        connection.close()

    asyncio.run(main())
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_said_while_calls_are_read_is_written_at_once_when_all_of_them_are() -> None:
    connection = await BusConnection.open()
    writer: Any = connection._writer
    real, writes = writer.sock, list[bytes]()

    class Watched:
        def send(self, data: bytes) -> int:
            writes.append(bytes(data))
            return int(real.send(data))

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    writer.sock = Watched()

    def read_three_calls() -> None:
        for _ in range(3):
            connection.send(signal_message())
            assert not writes

    connection._reading._read(read_three_calls)
    assert [data.count(b"Said") for data in writes] == [3]
    connection.send(signal_message())
    connection.send(signal_message())
    assert len(writes) == 1, "what is said at other times is gathered until the end of this pass of the loop"
    await asyncio.sleep(0)
    assert [data.count(b"Said") for data in writes] == [3, 2]
    call = Message(path="/", interface=NAME, member="Ask", sender=":1.7", serial=1)
    connection.send(signal_message())
    connection.reply(call)
    assert [data.count(b"Said") for data in writes] == [3, 2, 1], "whoever waits is answered at once"
    connection.hold()
    connection.send(signal_message())
    connection.reply(call)
    assert len(writes) == 3
    connection.release()
    connection.release()
    assert [data.count(b"Said") for data in writes] == [3, 2, 1, 1]
    assert connection.backlog == 0
    connection.close()


async def test_what_does_not_fit_into_the_socket_follows_what_did() -> None:
    connection, reader = await BusConnection.open(), await MessageBus(bus_type=BusType.SESSION).connect()
    heard: list[int] = []
    reader.add_message_handler(lambda m: heard.append(m.body[0]) if m.member == "Counted" else None)
    rule = of_bus("AddMatch", "s", "type='signal',member='Counted'")
    await reader.call(rule)
    writer: Any = connection._writer
    whole, room = writer.sock, [7, 0]

    class Narrow:
        """A socket into which seven bytes fit, then nothing, then the rest."""

        def send(self, data: bytes) -> int:
            return int(whole.send(bytes(data)[: room.pop(0)] if room else data))

        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

    writer.sock = Narrow()
    for number in range(5):
        connection.send(signal_message("Counted", "u", number))
        if number == 2:
            await asyncio.sleep(0)
            assert connection.backlog == 3
    async with asyncio.timeout(PATIENCE):
        await connection.process_behind(DAEMON)
        while len(heard) < 5:
            await reader.call(rule)
    assert heard == [0, 1, 2, 3, 4]
    assert connection.backlog == 0
    connection.close()
    reader.disconnect()


async def test_the_bus_is_not_left_to_tell_of_somebody_who_was_awaited_for_a_moment_only() -> None:
    connection = await BusConnection.open()
    connection.serve(lambda _: False, lambda _: None)
    other = await MessageBus(bus_type=BusType.SESSION).connect()
    client = other.unique_name or ""
    for _ in range(2):
        connection.when_gone(client, lambda: None)()
    await asyncio.gather(*connection._asking)
    answer = await connection.call(
        connection_module._to_daemon("RemoveMatch", connection_module._end_of(client))
    )
    assert answer.error_name == "org.freedesktop.DBus.Error.MatchRuleNotFound"
    gone = asyncio.Event()
    connection.when_gone(client, gone.set)
    other.disconnect()
    async with asyncio.timeout(PATIENCE):
        await gone.wait()
        gone.clear()
        connection.when_gone(client, gone.set)
        await gone.wait()
    connection.close()
