"""What a program holds is what it has named, and not what has its index later."""

from collections.abc import Callable
from typing import Any, cast

from dbus_fast import Message
from test_mixer import STREAM, Desk, on_a_desk, snapshot, stream
from test_router import MUSIC

from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.model import Group, Kind
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.outlets.bus.holds import Holds
from pwmixer_dbus.router import Router

OTHER = (Kind.PLAYBACK, 11)


class Nobody:
    """A connection that nobody leaves but in `leave`; `said` is which signals have been sent."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._waiting: list[Callable[[], None]] = []

    def when_gone(self, _client: str, tell: Callable[[], None]) -> Any:
        self._waiting.append(tell)
        return lambda: None

    def leave(self) -> None:
        """Let all clients leave; as on the bus, it is too late then not to be told."""
        for tell in self._waiting:
            tell()

    def send(self, signal: Message) -> None:
        self.said.append(signal.member or "")


@on_a_desk
async def test_what_has_the_index_of_what_was_held_in_the_next_life_of_the_server_is_not_held(
    desk: Desk,
) -> None:
    router, nobody = Router(desk.mixer), Nobody()
    holds = Holds(desk.mixer, router, cast("Any", nobody), lambda: None)
    held = desk.mixer.state.streams[STREAM]
    holds.hold(":1.7", "stream:1", [held], "a test", "")
    assert router.is_held(held)
    desk.mixer.on_event(Disconnected(reason="it has ended"))
    desk.mixer.on_event(snapshot(cookie=2))
    assert not router.is_held(desk.mixer.state.streams[STREAM])
    assert (holds.listed(), nobody.said) == ([], ["HoldReleased"])


@on_a_desk
async def test_of_several_streams_that_are_held_the_last_ends_the_hold(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    router, nobody = Router(desk.mixer), Nobody()
    holds = Holds(desk.mixer, router, cast("Any", nobody), lambda: None)
    first, last = desk.mixer.state.streams.values()
    holds.hold(":1.7", "group:Music", [Group(name="Music", streams=(STREAM, OTHER))], "a test", "")
    desk.mixer.on_event(Gone(kind=first.kind, index=first.index))
    assert (router.is_held(first), router.is_held(last), nobody.said) == (False, True, [])
    desk.mixer.on_event(Gone(kind=last.kind, index=last.index))
    assert (router.is_held(last), holds.listed(), nobody.said) == (False, [], ["HoldReleased"])


@on_a_desk
async def test_of_a_selector_that_is_listed_what_harms_other_clients_is_left_out(desk: Desk) -> None:
    holds = Holds(desk.mixer, Router(desk.mixer), cast("Any", Nobody()), lambda: None)
    # GLib and libdbus send U+FDD0, and sd-bus reads no message that has one in it.
    holds.hold(":1.7", "app:[!\ufdd0\n]*", [*desk.mixer.state.streams.values()], "a test", "")
    assert [hold["target"].value for hold in holds.listed()] == ["app:[!]*"]


@on_a_desk
async def test_who_leaves_while_others_have_not_heard_that_what_it_holds_has_ended_gives_back_all_of_it(
    desk: Desk,
) -> None:
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    router, nobody = Router(desk.mixer), Nobody()
    holds = Holds(desk.mixer, router, cast("Any", nobody), lambda: None)
    ending, staying = desk.mixer.state.streams.values()
    for held in (staying, ending):
        holds.hold(":1.7", "stream:1", [held], "a test", "")
    router.set_rules((MUSIC,))
    # What is new is moved first, and for that moment the end of the other is told to nobody.
    desk.mixer.on_event(replace(snapshot(), streams=(staying, stream(12, device=1))))
    assert len(holds.listed()) == 2
    nobody.leave()
    assert (holds.listed(), router.is_held(staying)) == ([], False)
