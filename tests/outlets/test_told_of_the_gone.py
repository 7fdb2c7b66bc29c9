"""What a request has changed, and what of it could not be had, is told of objects that are still there then."""

import io
from typing import Any, cast

from dbus_fast import Message
from dbus_fast._private.unmarshaller import Unmarshaller
from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.core.events import Gone, Routed, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.outlets.bus.call import Call
from pwmixer_dbus.outlets.bus.interfaces import MIXER
from pwmixer_dbus.outlets.bus.methods import Methods, Parts
from pwmixer_dbus.outlets.bus.paths import ROOT
from pwmixer_dbus.outlets.bus.publisher import Publisher
from pwmixer_dbus.router import Router

MUSIC = f"{ROOT}/apps/bin_3amusic"


class Bus:
    """A connection that keeps which signal was sent about which object; `replies` counts the answers."""

    backlog = 0

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.replies = 0

    def send(self, message: Message) -> None:
        if message.member != "PropertiesChanged":
            self.told.append((message.member or "", message.body[0]))

    def send_marshalled(self, data: bytearray) -> None:
        message = Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[arg-type]  # any stream will do
        assert message is not None
        self.send(message)

    def written_reply(self, *_: object) -> bytearray:
        return bytearray()

    def send_reply(self, *_: object) -> None:
        self.replies += 1


def asked(desk: Desk, member: str, *arguments: Any) -> Bus:
    """Ask for something of two streams of a program, both in a group."""
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    for index in (10, 11):
        desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=index, by="", group="Music"))
    bus = Bus()
    connection, unused = cast("Any", bus), cast("Any", None)
    parts = Parts(
        mixer=desk.mixer,
        connection=connection,
        keeper=unused,
        fader=Fader(desk.mixer),
        router=Router(desk.mixer),
        rules=unused,
        parent_of=unused,
        reload=unused,
        predecessor=unused,
        open_taps=unused,
        when_ready=unused,
    )
    methods = Methods(parts, Publisher(connection, desk.mixer, lambda _: {}))
    method = MIXER.method(member)
    assert method is not None
    message = Message(
        path=ROOT, member=member, signature=method.signature, body=[*arguments, {}], sender=":1.7"
    )
    methods.by_name[member](Call(connection, message, method))
    return bus


def end(desk: Desk, index: int) -> None:
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=index))


@on_a_desk
async def test_of_several_streams_one_that_has_ended_meanwhile_is_not_named(desk: Desk) -> None:
    bus = asked(desk, "SetMuted", "stream:*", "on")
    end(desk, 11)
    desk.mixer.on_event(Seen(record=stream(muted=True, device=1)))
    desk.answer()
    assert (bus.told, bus.replies) == ([("ClientChange", f"{ROOT}/streams/1")], 1)


@on_a_desk
async def test_nor_is_it_where_its_volume_could_not_be_had(desk: Desk) -> None:
    bus = asked(desk, "SetVolume", "stream:*", 1.4)
    end(desk, 11)
    desk.mixer.on_event(Seen(record=stream(volume=1.0, device=1)))
    desk.answer()
    first = f"{ROOT}/streams/1"
    assert (bus.told, bus.replies) == ([("VolumeClamped", first), ("ClientChange", first)], 1)


@on_a_desk
async def test_a_group_that_has_ended_with_its_streams_is_not_named(desk: Desk) -> None:
    bus = asked(desk, "SetMuted", "group:Music", "on")
    desk.answer()
    desk.mixer.on_event(Seen(record=stream(muted=True, device=1, group="Music")))
    end(desk, 10)
    end(desk, 11)
    assert (bus.told, bus.replies) == ([], 1)


@on_a_desk
async def test_an_application_is_known_longer_than_its_streams(desk: Desk) -> None:
    bus = asked(desk, "SetVolume", "app:music", 0.4)
    end(desk, 11)
    desk.mixer.on_event(Seen(record=stream(volume=0.4, device=1)))
    desk.answer()
    assert (bus.told, bus.replies) == ([("ClientChange", MUSIC)], 1)
