"""The small D-Bus client: its bytes against another library's, its calls against a real bus."""

import io
from collections.abc import Iterator

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.cli import UNREACHABLE, CommandError, UnreachableError, wire

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
number = st.floats(allow_nan=False)
options = st.dictionaries(text, st.one_of(text, st.booleans(), number), max_size=5)


def read(data: bytes) -> Message:

    message = Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[arg-type]  # any stream will do
    assert message is not None
    return message


@given(target=text, volume=number, given_options=options)
def test_another_library_reads_what_we_write(
    target: str, volume: float, given_options: dict[str, wire.Value]
) -> None:
    data = wire.encode_call(7, "SetVolume", "sda{sv}", (target, volume, given_options))
    message = read(data)
    plain = {key: value.value for key, value in message.body[2].items()}
    assert (message.serial, message.member, message.path) == (7, "SetVolume", wire.PATH)
    assert (message.destination, message.interface, message.signature) == (wire.NAME, wire.NAME, "sda{sv}")
    assert [*message.body[:2], plain] == [target, volume, given_options]
    assert wire.message_size(data) == len(data)


@given(word=text, level=number, flag=st.booleans(), count=st.integers(0, 2**32 - 1))
def test_we_read_what_another_library_writes(word: str, level: float, flag: bool, count: int) -> None:
    reply = Message(
        message_type=MessageType.METHOD_RETURN,
        reply_serial=9,
        serial=4,
        signature="sdbuasao",
        body=[word, level, flag, count, [word, "x"], ["/a/b"]],
    )
    data = bytes(reply._marshall(False))
    assert wire.message_size(data[:16]) == len(data)
    assert wire.decode_message(data) == (2, 9, "", [word, level, flag, count, [word, "x"], ["/a/b"]])


def test_a_signal_replies_to_nothing() -> None:
    signal = Message.new_signal("/a", "b.c", "D", "s", ["text"])
    signal.serial = 3
    assert wire.decode_message(bytes(signal._marshall(False)))[:3] == (4, 0, "")


def test_a_big_endian_reply_is_read() -> None:
    fields = b"\x05\x01u\0\0\0\0\x09" + b"\x08\x01g\0\x01d\0"
    header = b"B\x02\0\x01" + (8).to_bytes(4, "big") + (1).to_bytes(4, "big") + len(fields).to_bytes(4, "big")
    data = header + fields + b"\0" + bytes.fromhex("3fe0000000000000")
    assert wire.message_size(data) == len(data)
    assert wire.decode_message(data) == (2, 9, "", [0.5])


def test_an_option_that_is_true_is_a_boolean() -> None:
    body = read(wire.encode_call(1, "M", "a{sv}", ({"quiet": True},))).body
    assert body == [{"quiet": Variant("b", True)}]


@given(words=st.lists(text))
def test_a_list_of_texts_is_read_by_another_library(words: list[str]) -> None:
    body = read(wire.encode_call(1, "OpenMeter", "asa{sv}", (words, {"rate": 5.0}))).body
    assert body == [words, {"rate": Variant("d", 5.0)}]


@pytest.mark.parametrize(
    ("address", "sockets"),
    [
        ("unix:path=/run/bus", ["/run/bus"]),
        ("unix:path=/run/bus,guid=12", ["/run/bus"]),
        ("unix:abstract=/tmp/dbus-x,guid=1;unix:path=/b", ["\0/tmp/dbus-x", "/b"]),
        ("unix:path=/run/a%20b%c3%a9", ["/run/a bé"]),
        ("unix:runtime=yes", ["/run/user/7/bus"]),
        ("unix:path=/run/%zz;unix:path=/b", ["", "/b"]),
        ("tcp:host=localhost,port=1", ["/run/user/7/bus"]),
        ("", ["/run/user/7/bus"]),
    ],
)
def test_addresses_name_their_sockets(address: str, sockets: list[str]) -> None:
    environment = {"DBUS_SESSION_BUS_ADDRESS": address, "XDG_RUNTIME_DIR": "/run/user/7"}
    assert wire.bus_addresses(environment) == sockets


@pytest.fixture
def connection(bus_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[wire.Connection]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    with wire.Connection() as bus:
        yield bus


def test_a_real_bus_answers_several_calls(connection: wire.Connection) -> None:
    identity = connection.call("GetId", to=wire.BUS)
    assert isinstance(identity, str)
    assert len(identity) == 32
    names = connection.call("ListNames", to=wire.BUS)
    assert isinstance(names, list)
    assert wire.BUS_NAME in names
    assert connection.call("NameHasOwner", "s", wire.NAME, to=wire.BUS) is False


def test_an_error_reply_becomes_its_message(connection: wire.Connection) -> None:
    with pytest.raises(CommandError, match="RequestName") as caught:
        connection.call("RequestName", "s", "org.example.Mine", to=wire.BUS)
    assert caught.value.exit_code == 1


def test_a_service_that_nobody_provides_is_unreachable(connection: wire.Connection) -> None:
    with pytest.raises(UnreachableError, match="'pwmixer-dbus' starts it"):
        connection.call("Describe", "a{sv}", {})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("ServiceUnknown", "'pwmixer-dbus' starts it, and 'pwmixerctl install' has it started by itself"),
        ("NameHasNoOwner", "'pwmixer-dbus' starts it, and 'pwmixerctl install' has it started by itself"),
        ("Spawn.ChildExited", "has not started, or has gone: run 'pwmixer-dbus' to see why"),
        ("NoReply", "has not started, or has gone: run 'pwmixer-dbus' to see why"),
    ],
)
def test_a_service_that_cannot_be_reached_is_told_with_what_to_do(error: str, told: str) -> None:
    failure = wire.failure(f"org.freedesktop.DBus.Error.{error}", "")
    assert failure.exit_code == UNREACHABLE
    assert told in str(failure)


def test_what_systemd_does_not_start_is_unreachable_and_told_in_its_words() -> None:
    failure = wire.failure("org.freedesktop.systemd1.UnitMasked", "Unit pwmixer-dbus.service is masked.")
    assert failure.exit_code == UNREACHABLE
    assert str(failure) == "Unit pwmixer-dbus.service is masked. 'pwmixerctl doctor' says what to do."


def test_no_bus_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    with pytest.raises(UnreachableError, match="no session bus"):
        wire.Connection()
