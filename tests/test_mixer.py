"""The one writer, on a real loop whose time jumps: only the sound server is a double, which answers when a test says so."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from jumping import JumpingLoop, as_test

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import Command, MoveStream, Origin, SetDefault, SetMuted, SetVolume
from pwmixer_dbus.core.errors import AudioServerError, AudioTimeoutError, MixerError, NotFoundError
from pwmixer_dbus.core.events import AppWanted, Disconnected, Gone, Routed, Seen, Snapshot
from pwmixer_dbus.core.model import Device, Kind, Server, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.lanes import ASK_AGAIN, GIVE_UP, OWN_ECHO, PACE, SHOWN_SOON
from pwmixer_dbus.mixer import MOVE_FIRST, Mixer

SINK = (Kind.SINK, 1)
STREAM = (Kind.PLAYBACK, 10)
USER = Origin(kind="user", client=":1.7", context="a slider")
MUSIC = "bin:music"


class Desk:
    """A mixer with a sink, a stream of `music`, and a sound server that does what the test says."""

    def __init__(self, *, connected: bool = True, **chosen: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent: list[tuple[float, Command]] = []
        self.unanswered: list[tuple[Command, Callable[[MixerError | None], None]]] = []
        self.answers: list[MixerError | None] = []
        self.renewals = 0
        self.mixer = Mixer(Settings(**chosen))
        self.mixer.server = self
        if connected:
            self.mixer.on_event(snapshot())

    def send(self, command: Command, done: Callable[[MixerError | None], None]) -> None:
        self.sent.append((self.loop.time(), command))
        self.unanswered.append((command, done))

    def renew(self) -> None:
        self.renewals += 1

    def answer(self, error: MixerError | None = None) -> None:
        """Answer the oldest request; what it asked of the sink is not shown yet."""
        self.unanswered.pop(0)[1](error)

    def obey(self) -> None:
        """Do what the oldest request asks of the sink, show it, and answer."""
        command, done = self.unanswered.pop(0)
        shown = self.mixer.state.devices[SINK]
        if isinstance(command, SetVolume):
            shown = replace(shown, channels=command.channels)
        if isinstance(command, SetMuted):
            shown = replace(shown, muted=command.muted)
        self.mixer.on_event(Seen(record=shown))
        done(None)

    def show(self, **fields: Any) -> None:
        """Let the server show the sink like this."""
        self.mixer.on_event(Seen(record=sink(**fields)))

    def set_volume(self, volume: float, origin: Origin = USER) -> None:
        device = self.mixer.state.devices[SINK]
        plan = verbs.set_volume(self.mixer.state, self.mixer.pending, device, volume)
        self.mixer.submit(plan, origin, self.answers.append)

    def step(self, delta: float) -> None:
        device = self.mixer.state.devices[SINK]
        plan = verbs.adjust_volume(self.mixer.state, self.mixer.pending, device, delta)
        self.mixer.submit(plan, USER, self.answers.append)

    def ask(self, command: Command) -> None:
        self.mixer.submit(verbs.Plan(commands=(command,)), USER, self.answers.append)

    @property
    def volumes(self) -> list[float]:
        """The volumes that the server was asked for, in order."""
        return [max(c.channels) for _, c in self.sent if isinstance(c, SetVolume)]


def sink(index: int = 1, volume: float = 0.5, **fields: Any) -> Device:
    name = f"sink{index}"
    return Device(**{"kind": Kind.SINK, "index": index, "name": name, "channels": (volume, volume), **fields})


def stream(index: int = 10, volume: float = 0.5, **fields: Any) -> Stream:
    properties = {"application.process.binary": "music"}
    made = {"kind": Kind.PLAYBACK, "index": index, "channels": (volume, volume), "properties": properties}
    return Stream(**{**made, **fields})


def snapshot(**server: Any) -> Snapshot:
    found = Server(**{"default_sink": "sink1", "cookie": 1, **server})
    return Snapshot(server=found, devices=(sink(), sink(3)), streams=(stream(device=1),))


def timers(desk: Desk) -> list[asyncio.TimerHandle]:
    """List what the loop still waits for."""
    return [timer for timer in desk.loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]


def on_a_desk(test: Callable[[Desk], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a desk of its own; nothing may be left over on the loop, and no time passes for people."""

    async def main() -> None:
        await test(Desk())

    return as_test(test, main)


# --- the latest absolute value wins


@on_a_desk
async def test_while_one_value_is_on_its_way_only_the_latest_waits(desk: Desk) -> None:
    for volume in (0.1, 0.2, 0.3, 0.4):
        desk.set_volume(volume)
    assert desk.volumes == [0.1]
    desk.obey()
    await asyncio.sleep(PACE)
    assert desk.volumes == [0.1, 0.4]


@on_a_desk
async def test_everybody_who_asked_is_answered_exactly_once(desk: Desk) -> None:
    for volume in (0.1, 0.2, 0.3, 0.4):
        desk.set_volume(volume)
    assert desk.answers == []
    desk.obey()
    assert desk.answers == [None]
    await asyncio.sleep(PACE)
    desk.obey()
    await asyncio.sleep(5)
    assert desk.answers == [None] * 4


@on_a_desk
async def test_those_whose_value_was_overtaken_hear_how_the_latest_fared(desk: Desk) -> None:
    for volume in (0.1, 0.2, 0.3):
        desk.set_volume(volume)
    desk.obey()
    await asyncio.sleep(PACE)
    error = AudioServerError("No.")
    desk.answer(error)
    assert desk.answers == [None, error, error]


@on_a_desk
async def test_a_plan_of_several_commands_is_answered_when_all_are_done(desk: Desk) -> None:
    commands = (SetVolume(key=SINK, channels=(0.1,)), SetMuted(key=SINK, muted=True))
    desk.mixer.submit(verbs.Plan(commands=commands), USER, desk.answers.append)
    desk.answer(AudioServerError("No."))
    assert desk.answers == []
    desk.obey()
    assert [str(e) for e in desk.answers] == ["No."]


@on_a_desk
async def test_a_plan_without_commands_is_answered_at_once(desk: Desk) -> None:
    desk.mixer.submit(verbs.Plan(), USER, desk.answers.append)
    assert desk.answers == [None]


@on_a_desk
async def test_different_settings_do_not_wait_for_each_other(desk: Desk) -> None:
    desk.set_volume(0.1)
    desk.ask(SetMuted(key=SINK, muted=True))
    desk.ask(SetVolume(key=STREAM, channels=(0.1, 0.1)))
    assert len(desk.sent) == 3


@on_a_desk
async def test_there_is_one_default_whichever_device_is_named(desk: Desk) -> None:
    desk.ask(SetDefault(key=SINK, name="sink1"))
    desk.ask(SetDefault(key=(Kind.SINK, 3), name="sink3"))
    assert len(desk.sent) == 1


# --- pace


@on_a_desk
async def test_a_lone_value_is_sent_at_once(desk: Desk) -> None:
    desk.set_volume(0.1)
    assert [at for at, _ in desk.sent] == [desk.loop.time()]


@on_a_desk
async def test_a_slider_drag_is_sent_sixty_times_a_second(desk: Desk) -> None:
    begin = desk.loop.time()
    for i in range(1000):
        desk.set_volume(i / 1000)
        while desk.unanswered:
            desk.obey()
        await asyncio.sleep(0.001)
    assert 55 <= len([at for at, _ in desk.sent if at < begin + 1]) <= 61
    await asyncio.sleep(PACE)
    assert desk.volumes[-1] == 0.999


@on_a_desk
async def test_mute_has_no_pace(desk: Desk) -> None:
    for muted in (True, False, True):
        desk.ask(SetMuted(key=SINK, muted=muted))
        desk.obey()
    assert len({at for at, _ in desk.sent}) == 1
    assert len(desk.sent) == 3


# --- the end


@on_a_desk
async def test_what_whoever_is_answered_asks_for_then_is_waited_for_too(desk: Desk) -> None:
    plan = verbs.Plan(commands=(SetMuted(key=SINK, muted=True),))
    desk.mixer.submit(plan, USER, lambda _: desk.set_volume(0.3))
    settling = asyncio.create_task(desk.mixer.settle(1.0))
    await asyncio.sleep(0.1)
    desk.obey()
    await asyncio.sleep(0.1)
    assert not settling.done()
    desk.obey()
    await settling
    assert desk.answers == [None]


# --- giving up


@on_a_desk
async def test_an_answer_is_waited_for_two_seconds(desk: Desk) -> None:
    desk.set_volume(0.1)
    await asyncio.sleep(GIVE_UP - 0.1)
    assert desk.answers == []
    await asyncio.sleep(0.2)
    assert [type(e) for e in desk.answers] == [AudioTimeoutError]
    assert desk.mixer.pending == {}


@on_a_desk
async def test_a_volume_that_is_acknowledged_at_the_last_moment_is_not_refused(desk: Desk) -> None:
    desk.set_volume(0.1)
    await asyncio.sleep(GIVE_UP - SHOWN_SOON / 2)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + 0.01)
    assert desk.answers == [None]


@on_a_desk
async def test_a_volume_that_is_acknowledged_is_not_refused_where_we_were_late(desk: Desk) -> None:
    desk.set_volume(0.1)
    desk.answer()
    assert isinstance(desk.loop, JumpingLoop)
    desk.loop.now += GIVE_UP + 0.1
    await asyncio.sleep(0.01)
    assert desk.answers == [None]


@on_a_desk
async def test_an_answer_that_comes_late_is_ignored(desk: Desk) -> None:
    desk.set_volume(0.1)
    await asyncio.sleep(GIVE_UP + 0.1)
    desk.set_volume(0.2)
    desk.answer()
    assert len(desk.answers) == 1
    assert desk.mixer.pending
    desk.obey()
    assert [type(e) for e in desk.answers] == [AudioTimeoutError, type(None)]


@on_a_desk
async def test_after_giving_up_what_waits_is_sent(desk: Desk) -> None:
    desk.set_volume(0.1)
    desk.set_volume(0.2)
    await asyncio.sleep(GIVE_UP + 0.1)
    assert desk.volumes == [0.1, 0.2]


@on_a_desk
async def test_a_server_that_refuses_at_once_is_no_trouble(desk: Desk) -> None:
    refused = AudioServerError("There is no server.")
    desk.mixer.server = Refusing(refused)
    for volume in (0.1, 0.2):
        desk.set_volume(volume)
    await asyncio.sleep(PACE)
    assert desk.answers == [refused, refused]
    assert desk.mixer.pending == {}


class Refusing:
    """A sound server that is not there."""

    def __init__(self, error: MixerError) -> None:
        self.error = error

    def send(self, command: Command, done: Callable[[MixerError | None], None]) -> None:
        del command
        done(self.error)

    def renew(self) -> None:
        raise AssertionError(self)


# --- pending values


@on_a_desk
async def test_steps_count_from_what_is_pending(desk: Desk) -> None:
    for _ in range(5):
        desk.step(0.05)
    desk.obey()
    await asyncio.sleep(PACE)
    assert desk.volumes == [0.55, 0.75]


@on_a_desk
async def test_a_request_is_answered_when_its_value_is_shown(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    assert desk.answers == []
    desk.show(volume=0.8001)
    assert desk.answers == [None]
    assert desk.mixer.pending == {}


@on_a_desk
async def test_a_value_that_is_shown_before_the_answer_is_pending_until_then(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.show(volume=0.8)
    assert desk.mixer.pending
    desk.answer()
    assert desk.answers == [None]
    assert desk.mixer.pending == {}


@on_a_desk
async def test_a_value_that_is_not_shown_is_not_waited_for_but_stays_pending(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + 0.01)
    assert desk.answers == [None]
    await asyncio.sleep(60)
    desk.step(0.05)
    assert desk.volumes == [0.8, 0.85]


@on_a_desk
async def test_a_value_that_is_shown_late_is_pending_no_more(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(60)
    desk.show(volume=0.8)
    assert desk.mixer.pending == {}


@on_a_desk
async def test_a_value_that_somebody_else_overrules_is_pending_no_more(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + OWN_ECHO + 0.01)
    desk.show(volume=0.5, muted=True)
    assert desk.mixer.pending
    desk.show(volume=0.3, muted=True)
    assert desk.mixer.pending == {}


@on_a_desk
async def test_an_echo_of_an_earlier_value_overrules_nothing(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + 0.01)
    desk.show(volume=0.6)
    assert desk.mixer.pending


@on_a_desk
async def test_an_object_that_goes_takes_its_requests_along(desk: Desk) -> None:
    desk.set_volume(0.1)
    desk.set_volume(0.2)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    assert [type(e) for e in desk.answers] == [NotFoundError, NotFoundError]
    assert desk.mixer.pending == {}
    desk.answer()
    await asyncio.sleep(5)
    assert len(desk.answers) == 2
    assert desk.volumes == [0.1]


@on_a_desk
async def test_an_object_that_goes_while_its_value_lingers_is_forgotten(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + 0.01)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    assert desk.mixer.pending == {}
    await asyncio.sleep(60)
    assert desk.answers == [None]


@on_a_desk
async def test_steps_do_not_count_from_what_another_life_of_the_server_has_not_shown(desk: Desk) -> None:
    desk.set_volume(0.8)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + 0.01)
    desk.mixer.on_event(Disconnected(reason="it has ended"))
    desk.mixer.on_event(snapshot(cookie=2))
    desk.step(0.1)
    assert desk.volumes == [0.8, 0.6]


@on_a_desk
async def test_an_object_that_goes_while_its_next_value_waits_for_its_turn(desk: Desk) -> None:
    desk.set_volume(0.1)
    desk.obey()
    desk.set_volume(0.2)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    await asyncio.sleep(1)
    assert [type(e) for e in desk.answers] == [type(None), NotFoundError]
    assert desk.volumes == [0.1]


# --- what the session manager carries out later


@on_a_desk
async def test_a_move_is_done_when_it_is_shown(desk: Desk) -> None:
    desk.ask(MoveStream(key=STREAM, device=3))
    desk.answer()
    assert desk.answers == []
    desk.mixer.on_event(Seen(record=stream(device=3)))
    assert desk.answers == [None]
    assert desk.mixer.pending == {}


@on_a_desk
async def test_a_move_that_does_not_happen_is_asked_for_again_and_then_given_up(desk: Desk) -> None:
    desk.ask(MoveStream(key=STREAM, device=3))
    for _ in range(3):
        desk.answer()
        await asyncio.sleep(ASK_AGAIN + 0.01)
    assert len(desk.sent) == 4
    desk.answer()
    await asyncio.sleep(GIVE_UP)
    assert [type(e) for e in desk.answers] == [AudioServerError]
    assert str(desk.answers[0]).endswith(
        "; perhaps its program or a rule of the session manager does not allow it."
    )


@on_a_desk
async def test_what_a_device_does_not_do_is_no_fault_of_a_program(desk: Desk) -> None:
    desk.ask(SetDefault(key=SINK, name="other"))
    desk.answer()
    await asyncio.sleep(GIVE_UP)
    assert str(desk.answers[0]).endswith(
        "; perhaps the device or a rule of the session manager does not allow it."
    )


@on_a_desk
async def test_a_default_that_is_not_shown_is_looked_for_through_another_connection(desk: Desk) -> None:
    desk.ask(SetDefault(key=SINK, name="other"))
    desk.answer()
    await asyncio.sleep(ASK_AGAIN - 0.01)
    assert desk.renewals == 0
    await asyncio.sleep(0.02)
    assert desk.renewals == 1
    desk.mixer.on_event(Seen(record=replace(desk.mixer.state.server, default_sink="other")))
    assert desk.answers == [None]


@on_a_desk
async def test_a_second_move_does_not_wait_for_the_first_to_happen(desk: Desk) -> None:
    desk.ask(MoveStream(key=STREAM, device=3))
    desk.answer()
    desk.ask(MoveStream(key=STREAM, device=1))
    assert [c.device for _, c in desk.sent if isinstance(c, MoveStream)] == [3, 1]
    desk.answer()
    assert desk.answers == [None, None]


# --- listeners


@on_a_desk
async def test_who_does_not_care_for_levels_hears_of_everything_else(desk: Desk) -> None:
    heard: list[tuple[Change, ...]] = []
    first: list[tuple[Change, ...]] = []
    end = desk.mixer.subscribe(lambda _before, changes, _origin: heard.append(changes), levels=False)
    desk.mixer.subscribe_first(lambda _before, changes, _origin: first.append(changes))
    desk.show(volume=0.7)
    desk.show(muted=True)
    assert heard == first == []
    desk.show(description="Speakers", volume=0.8)
    assert [change.is_level for changes in heard for change in changes] == [False]
    assert heard == first
    end()
    desk.show(description="Loudspeakers")
    assert len(heard) == 1


@on_a_desk
async def test_what_has_been_put_off_is_done_before_anything_but_a_level(desk: Desk) -> None:
    put_off = [AppWanted(app_id=MUSIC, volume=0.3)]

    def cause(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if changes[0].is_level:
            for volume in (0.1, 0.2):
                desk.mixer.on_event(AppWanted(app_id=MUSIC, volume=volume), USER)

    desk.mixer.before_more(lambda: desk.mixer.on_event(put_off.pop()) if put_off else None)
    desk.mixer.subscribe(cause)
    heard: list[Any] = []
    desk.mixer.subscribe(lambda _, changes, __: heard.extend(changes))
    desk.show(volume=0.7)
    assert [getattr(change.after, "volume", None) for change in heard] == [None, 0.3, 0.1, 0.2]


@on_a_desk
async def test_what_has_been_put_off_is_done_also_when_a_listener_asks_for_something(desk: Desk) -> None:
    put_off = [AppWanted(app_id=MUSIC, volume=0.3)]
    desk.mixer.before_more(lambda: desk.mixer.on_event(put_off.pop()) if put_off else None)
    desk.mixer.subscribe(lambda _, __, ___: desk.mixer.submit(verbs.Plan(), USER, desk.answers.append))
    desk.show(volume=0.7)
    assert desk.mixer.state.apps[MUSIC].volume == 0.3


@on_a_desk
async def test_whoever_has_asked_is_answered_before_those_hear_for_whom_nobody_waits(desk: Desk) -> None:
    order: list[str] = []
    desk.mixer.subscribe(lambda *_: order.append("anybody"))
    desk.mixer.subscribe(lambda *_: None, before_answers=lambda *_: order.append("first"))
    desk.mixer.hear(lambda *_: order.append("heard"))
    plan = verbs.set_volume(desk.mixer.state, {}, desk.mixer.state.devices[SINK], 0.8)
    desk.mixer.submit(plan, USER, lambda _: order.append("answered"))
    desk.answer()
    desk.show(volume=0.8)
    assert order == ["first", "answered", "heard", "anybody"]
    desk.show(volume=0.3)
    assert order[4:] == ["first", "anybody"]


@on_a_desk
async def test_no_timer_is_left_and_no_answer_waits_for_its_end(desk: Desk) -> None:
    left: list[int] = []
    desk.mixer.when_told(lambda: left.append(len(timers(desk))))
    desk.set_volume(0.8)
    desk.answer()
    desk.show(volume=0.8)
    assert left == [1]
    assert timers(desk) == []
    await asyncio.sleep(PACE)
    desk.set_volume(0.7)
    desk.show(volume=0.7)
    desk.answer()
    assert timers(desk) == []
    await asyncio.sleep(PACE)
    desk.set_volume(0.6)
    desk.answer()
    await desk.mixer.settle(1.0)
    assert timers(desk) == []


@on_a_desk
async def test_what_has_gone_or_is_given_up_is_not_waited_for(desk: Desk) -> None:
    """Whoever takes over has all calls wait for that."""
    desk.set_volume(0.8)
    desk.obey()
    desk.set_volume(0.7)  # it has to wait for its turn
    waiting = asyncio.create_task(desk.mixer.settle(1.0))
    await asyncio.sleep(0)
    began = desk.loop.time()
    desk.mixer.give_way((SetVolume, SINK))
    await waiting
    assert desk.loop.time() == began
    desk.ask(SetMuted(key=SINK, muted=True))
    waiting = asyncio.create_task(desk.mixer.settle(1.0))
    await asyncio.sleep(0)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    await waiting
    assert desk.loop.time() == began


@on_a_desk
async def test_what_follows_from_what_was_put_off_is_not_lost(desk: Desk) -> None:
    """As where what is learned has a rule move a stream, and say so."""
    put_off = [Seen(record=stream(11))]

    def do() -> None:
        while put_off:
            desk.mixer.on_event(put_off.pop())

    def rule(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if any(change.before is None and change.kind is Kind.PLAYBACK for change in changes):
            desk.mixer.act([(MoveStream(key=(Kind.PLAYBACK, 11), device=3), "a rule")], "rule")
            desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=11, by="a rule"))

    desk.mixer.subscribe_first(rule)
    desk.mixer.before_more(do)
    desk.mixer.on_event(Seen(record=stream(10, corked=True)))
    desk.mixer.tell_all()
    assert desk.mixer.state.streams[Kind.PLAYBACK, 11].routed_by == "a rule"


@on_a_desk
async def test_what_goes_over_a_wire_goes_as_soon_as_whoever_has_asked_is_answered(desk: Desk) -> None:
    order: list[str] = []
    desk.mixer.subscribe(lambda *_: order.append("anybody"))
    desk.mixer.subscribe(lambda *_: None, before_answers=lambda *_: order.append("first"))
    desk.mixer.when_told(lambda: order.append("written"))
    plan = verbs.set_volume(desk.mixer.state, {}, desk.mixer.state.devices[SINK], 0.8)
    desk.mixer.submit(plan, USER, lambda _: order.append("answered"))
    desk.answer()
    desk.show(volume=0.8)
    assert order == ["first", "answered", "written", "anybody"]
    desk.show(volume=0.3)
    assert order[4:] == ["first", "written", "anybody"]
    desk.show(volume=0.3)
    assert len(order) == 7


@on_a_desk
async def test_those_who_have_not_heard_yet_hear_before_anything_else_happens(desk: Desk) -> None:
    heard: list[str] = []
    desk.mixer.subscribe(lambda _, changes, __: heard.extend(change.kind for change in changes))
    wish = AppWanted(app_id=MUSIC, volume=0.2)
    plan = verbs.set_volume(desk.mixer.state, {}, desk.mixer.state.devices[SINK], 0.8)
    desk.mixer.submit(plan, USER, lambda _: desk.mixer.on_event(wish, USER))
    desk.answer()
    desk.show(volume=0.8)
    assert heard == [Kind.SINK, Kind.APP]


@on_a_desk
async def test_what_is_undone_is_what_was_before_it_was_sent(desk: Desk) -> None:
    for volume in (0.8, 0.6):
        desk.set_volume(volume)
        desk.answer()
        desk.show(volume=volume)
        await asyncio.sleep(2 * SHOWN_SOON + 1.0)
    desk.mixer.undo(2, USER, lambda _count, _error: None)
    assert desk.volumes == [0.8, 0.6, 0.5]


@on_a_desk
async def test_an_acknowledgement_that_comes_late_is_waited_for_as_long_as_one_that_comes_at_once(
    desk: Desk,
) -> None:
    for delay in (0.0, 0.35, 1.7):
        desk.set_volume(0.8)
        await asyncio.sleep(delay)
        desk.answer()
        assert not desk.answers
        await asyncio.sleep(SHOWN_SOON - 0.01)
        assert not desk.answers
        await asyncio.sleep(0.02)
        assert desk.answers.pop() is None


@on_a_desk
async def test_what_has_been_put_off_does_not_hold_up_a_request_for_a_level(desk: Desk) -> None:
    done: list[str] = []
    desk.mixer.before_more(lambda: done.append("put off"))
    desk.set_volume(0.8)
    desk.ask(SetMuted(key=SINK, muted=True))
    assert len(desk.sent) == 2
    assert not done
    desk.ask(SetDefault(key=SINK, name="sink1"))
    assert done


@on_a_desk
async def test_a_listener_hears_what_was_and_what_has_changed(desk: Desk) -> None:
    heard: list[tuple[MixerState, tuple[Change, ...], Origin]] = []
    desk.mixer.subscribe(lambda *told: heard.append(told))
    before = desk.mixer.state
    desk.show(volume=0.7)
    desk.show(volume=0.7)
    ((state, changes, origin),) = heard
    assert state is before
    assert changes == (Change(kind=Kind.SINK, before=sink(), after=sink(volume=0.7), is_level=True),)
    assert origin.kind == "server"


@pytest.mark.mistakes
@on_a_desk
async def test_a_listener_that_fails_does_not_stop_the_others(desk: Desk) -> None:
    heard: list[Any] = []

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    desk.mixer.subscribe(fail)
    desk.mixer.subscribe(lambda *told: heard.append(told))
    desk.mixer.on_event(AppWanted(app_id=MUSIC, volume=0.2, muted=None))
    desk.mixer.on_event(Seen(record=stream(11)))
    assert len(heard) == 2


@on_a_desk
async def test_a_change_is_said_to_be_that_of_whoever_asked_for_it(desk: Desk) -> None:
    heard: list[Origin] = []
    desk.mixer.subscribe(lambda _before, _changes, origin: heard.append(origin))
    desk.set_volume(0.8)
    desk.show(volume=0.8)
    desk.answer()
    desk.show(volume=0.3)
    assert [origin.kind for origin in heard] == ["user", "server"]


@on_a_desk
async def test_who_sets_a_volume_is_not_who_moves_a_stream_meanwhile(desk: Desk) -> None:
    desk.ask(SetVolume(key=STREAM, channels=(1.0, 1.0)))
    movers: list[str] = []
    desk.mixer.subscribe(lambda *_: movers.append(desk.mixer.mover_of(desk.mixer.state.streams[STREAM]).kind))
    desk.mixer.on_event(Seen(record=stream(device=3)))  # the session manager links it elsewhere
    desk.ask(MoveStream(key=STREAM, device=1))
    desk.mixer.on_event(Seen(record=stream(device=5)))  # and elsewhere again
    desk.mixer.on_event(Seen(record=stream(device=1, volume=1.0)))
    assert movers == ["server", "server", "user"]
    desk.answer()
    desk.answer()
    desk.mixer.on_event(Seen(record=stream(device=3)))
    assert movers[-1] == "server"


# --- wishes


def wish(desk: Desk, volume: float | None = 0.4, *, muted: bool | None = None) -> None:
    desk.mixer.on_event(AppWanted(app_id=MUSIC, volume=volume, muted=muted), USER)


@on_a_desk
async def test_a_wish_is_kept_when_it_is_in_force(desk: Desk) -> None:
    state = desk.mixer.state
    desk.mixer.submit(verbs.set_volume(state, {}, state.apps[MUSIC], 0.3), USER, desk.answers.append)
    assert desk.mixer.state.apps[MUSIC].volume is None
    desk.mixer.on_event(Seen(record=stream(device=1, volume=0.3)))
    desk.answer()
    assert desk.mixer.state.apps[MUSIC].volume == 0.3


@on_a_desk
async def test_a_wish_that_is_refused_is_not_kept(desk: Desk) -> None:
    state = desk.mixer.state
    desk.mixer.submit(verbs.set_volume(state, {}, state.apps[MUSIC], 0.3), USER, desk.answers.append)
    desk.answer(AudioServerError("No."))
    assert desk.mixer.state.apps[MUSIC].volume is None


@on_a_desk
async def test_a_stream_that_ends_meanwhile_fails_nothing_that_is_asked_of_its_app(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    for volume, ends in ((0.3, 11), (0.2, 10)):
        plan = verbs.set_volume(desk.mixer.state, desk.mixer.pending, desk.mixer.state.apps[MUSIC], volume)
        desk.mixer.submit(plan, USER, desk.answers.append)
        desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=ends))
        if STREAM in desk.mixer.state.streams:
            desk.mixer.on_event(Seen(record=stream(volume=volume, device=1)))
        while desk.unanswered:
            desk.answer()
        assert desk.mixer.state.apps[MUSIC].volume == volume
    assert desk.answers == [None, None]


@on_a_desk
async def test_where_all_has_gone_that_was_asked_for_that_is_said(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(11, device=1)))
    commands = tuple(SetMuted(key=(Kind.PLAYBACK, index), muted=True) for index in (10, 11))
    desk.mixer.submit(verbs.Plan(commands=commands), USER, desk.answers.append)
    for index in (10, 11):
        desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=index))
    assert [type(answer) for answer in desk.answers] == [NotFoundError]


@on_a_desk
async def test_a_wish_outlives_the_server(desk: Desk) -> None:
    wish(desk)
    desk.mixer.on_event(Disconnected(reason="x"))
    desk.mixer.on_event(snapshot(cookie=2))
    assert desk.mixer.state.apps[MUSIC].volume == 0.4


@pytest.mark.parametrize(("asked", "given"), [(0.8, 0.8), (-1.0, 0.0), (9.0, 1.5)])
def test_the_highest_volume_stays_in_its_range(asked: float, given: float) -> None:
    async def main() -> None:
        desk = Desk()
        assert desk.mixer.limit_volume(asked) == given
        assert desk.mixer.state.settings.max_volume == given

    asyncio.run(main())


def test_what_it_does_by_itself_is_told_by_names_that_people_know(caplog: pytest.LogCaptureFixture) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        desk.mixer.act([(MoveStream(key=STREAM, device=3), "rule X wants it on sink3")], "rule")
        desk.answer(NotFoundError("That object has just gone."))
        desk.mixer.act([(SetVolume(key=SINK, channels=(0.4, 0.4)), "it may not be above 40%")], "memory")
        desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))

    with caplog.at_level(logging.INFO):
        main()
    assert caplog.messages == [
        "stream:1 (Music): rule X wants it on sink3",
        "stream:1 (Music): That object has just gone.",
        "sink:sink1: it may not be above 40%",
        "sink #1: That object has just gone.",
    ]


def moving(desk: Desk, heard: list[str]) -> None:
    """Let the first listener send every new stream to device 3, and all others note how loud it is."""

    def move(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        new = [c.after for c in changes if c.before is None and isinstance(c.after, Stream)]
        moves = [(MoveStream(key=(s.kind, s.index), device=3), "a rule") for s in new]
        desk.mixer.act(moves, "rule")

    def note(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        heard.extend(f"{c.after.index} {c.after.channels[0]}" for c in changes if isinstance(c.after, Stream))

    desk.mixer.subscribe(note)
    desk.mixer.subscribe_first(move)


@on_a_desk
async def test_a_move_of_a_new_stream_is_on_its_way_before_anybody_else_is_told(desk: Desk) -> None:
    heard: list[str] = []
    moving(desk, heard)
    desk.mixer.subscribe(lambda *_: heard.append(f"{len(desk.sent)} sent"))
    desk.mixer.on_event(Seen(record=stream(11)))
    desk.mixer.on_event(Seen(record=stream(11, volume=0.7)))
    assert heard == ["11 0.5", "1 sent", "11 0.7", "1 sent"]


@on_a_desk
async def test_others_hear_of_a_new_stream_when_the_server_has_had_its_time_for_the_move(desk: Desk) -> None:
    heard: list[str] = []
    moving(desk, heard)
    born = desk.loop.time()
    told = asyncio.Event()
    desk.mixer.subscribe(lambda *_: told.set())
    desk.mixer.on_event(Seen(record=stream(11)))
    assert (len(desk.sent), heard) == (1, [])
    await told.wait()
    assert heard == ["11 0.5"]
    assert desk.loop.time() == born + MOVE_FIRST


@on_a_desk
async def test_whoever_asks_for_something_comes_after_all_have_heard(desk: Desk) -> None:
    heard: list[str] = []
    moving(desk, heard)
    desk.mixer.hear_first(lambda *_: heard.append("request"))
    desk.mixer.on_event(Seen(record=stream(11)))
    desk.mixer.tell_all()
    desk.mixer.tell_all()
    desk.mixer.on_event(Seen(record=stream(12)))
    desk.set_volume(0.8)
    desk.mixer.on_event(Seen(record=stream(13)))
    desk.mixer.submit(verbs.Plan(wishes=(AppWanted(app_id=MUSIC, volume=0.3),)), USER, desk.answers.append)
    assert heard == ["11 0.5", "12 0.5", "request", "13 0.5", "request"]
    assert desk.answers == [None]


@on_a_desk
async def test_what_is_said_of_a_stream_is_said_when_all_have_heard_of_it(desk: Desk) -> None:
    heard: list[str] = []
    moving(desk, heard)
    say = partial(desk.mixer.when_all_heard, lambda: heard.append("said"))
    desk.mixer.subscribe_first(lambda *_: say())
    say()
    assert heard == ["said"]
    desk.mixer.on_event(Seen(record=stream(11)))
    say()
    assert heard == ["said"]
    await asyncio.sleep(MOVE_FIRST)
    assert heard == ["said", "11 0.5", "said", "said"]
    desk.mixer.on_event(Seen(record=replace(stream(11), corked=True)))
    assert heard[4:] == ["11 0.5", "said"]


@pytest.mark.mistakes
@on_a_desk
async def test_what_cannot_be_said_keeps_nobody_else_waiting(desk: Desk) -> None:
    heard: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    moving(desk, heard)
    desk.mixer.on_event(Seen(record=stream(11)))
    desk.mixer.when_all_heard(fail)
    desk.mixer.when_all_heard(lambda: heard.append("said"))
    desk.mixer.on_event(Seen(record=stream(12)))
    assert heard == ["11 0.5", "said"]
    await asyncio.sleep(MOVE_FIRST)
    assert heard == ["11 0.5", "said", "12 0.5"]


@on_a_desk
async def test_whoever_is_answered_has_heard_before_what_came_of_his_request(desk: Desk) -> None:
    heard: list[str] = []

    def move(_before: MixerState, _changes: tuple[Change, ...], _origin: Origin) -> None:
        desk.mixer.act([(MoveStream(key=STREAM, device=3), "a rule")], "rule")

    def answered(_error: MixerError | None) -> None:
        heard.append("answered")

    desk.mixer.subscribe(lambda *_: heard.append("told"))
    desk.mixer.subscribe_first(move)
    default = verbs.Plan(commands=(SetDefault(key=(Kind.SINK, 3), name="sink3"),))
    desk.mixer.submit(default, USER, answered)
    desk.mixer.on_event(snapshot(default_sink="sink3"))
    desk.answer()
    assert heard == ["told", "answered"]
    desk.mixer.submit(verbs.Plan(wishes=(AppWanted(app_id=MUSIC, preferred_sink="sink3"),)), USER, answered)
    assert heard == ["told", "answered", "told", "answered"]


@on_a_desk
async def test_whoever_waits_for_what_goes_is_answered_when_all_have_heard_of_that(desk: Desk) -> None:
    heard: list[Kind] = []
    desk.mixer.subscribe(lambda _before, changes, _origin: heard.append(changes[0].kind))
    plan = verbs.set_volume(desk.mixer.state, {}, desk.mixer.state.apps[MUSIC], 0.3)

    def done(error: MixerError | None) -> None:
        heard.append(Kind.CLIENT)
        desk.answers.append(error)

    desk.mixer.submit(plan, USER, done)
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    # The end of the stream, then the wish for the next one, which is kept, and the answer.
    assert (heard, desk.answers) == ([Kind.PLAYBACK, Kind.APP, Kind.CLIENT], [None])
    assert desk.mixer.state.apps[MUSIC].volume == 0.3


@on_a_desk
async def test_of_a_device_that_is_at_another_index_nothing_is_kept_of_the_old_one(desk: Desk) -> None:
    desk.set_volume(0.3)
    desk.answer()
    await asyncio.sleep(2 * SHOWN_SOON)
    assert desk.mixer.pending
    desk.mixer.on_event(replace(snapshot(), devices=(sink(7, name="sink1"), sink(3))))
    assert (desk.mixer.pending, desk.mixer.writes_of(SINK)) == ({}, {})


@on_a_desk
async def test_what_a_move_causes_is_applied_after_all_have_heard_of_the_stream(desk: Desk) -> None:
    heard: list[str] = []
    moving(desk, heard)

    def decide(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        for change in changes:
            if change.before is None and isinstance(change.after, Stream):
                desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=change.after.index, by="rule x"))

    def note(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        heard.extend(
            f"{c.after.index} by {c.after.routed_by}" for c in changes if isinstance(c.after, Stream)
        )

    desk.mixer.subscribe_first(decide)
    desk.mixer.subscribe(note)
    desk.mixer.on_event(Seen(record=stream(11)))
    assert desk.mixer.state.streams[Kind.PLAYBACK, 11].routed_by == ""
    desk.mixer.on_event(Seen(record=stream(12)))
    desk.mixer.tell_all()
    assert [said for said in heard if "by" in said] == ["11 by ", "11 by rule x", "12 by ", "12 by rule x"]
    desk.mixer.on_event(Seen(record=stream(13)))
    desk.mixer.sleep()
    assert heard[-1] == "13 by rule x"


@on_a_desk
async def test_what_a_change_of_very_many_streams_causes_is_done_one_after_the_other(desk: Desk) -> None:
    many = range(100, 1100)
    heard: list[int] = []

    def decide(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        for change in changes:
            if change.before is None and isinstance(change.after, Stream):
                routed = Routed(kind=Kind.PLAYBACK, index=change.after.index, by="rule x")
                desk.mixer.on_event(routed)

    def note(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        heard.extend(c.after.index for c in changes if isinstance(c.after, Stream) and c.after.routed_by)

    desk.mixer.subscribe_first(decide)
    desk.mixer.subscribe(note)
    desk.mixer.on_event(replace(snapshot(), streams=tuple(stream(index) for index in many)))
    assert heard == list(many)
    assert all(s.routed_by == "rule x" for s in desk.mixer.state.streams.values())


@on_a_desk
async def test_a_volume_that_is_not_answered_in_time_may_still_come(desk: Desk) -> None:
    desk.set_volume(0.8)
    await asyncio.sleep(5 * GIVE_UP)
    assert isinstance(desk.answers[0], AudioTimeoutError)
    (write,) = desk.mixer.writes_of(SINK).values()
    assert write.at == desk.loop.time()
    desk.answer()
    answered = desk.loop.time()
    await asyncio.sleep(1)
    (write,) = desk.mixer.writes_of(SINK).values()
    assert write.at == answered


@on_a_desk
async def test_a_move_of_a_stream_that_is_not_linked_yet_is_asked_for_once(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(device=None)))
    desk.ask(MoveStream(key=STREAM, device=3))
    desk.answer()
    await asyncio.sleep(2.2 * ASK_AGAIN)
    assert len(desk.sent) == 1
    desk.mixer.on_event(Seen(record=stream(device=1)))
    await asyncio.sleep(0.9 * ASK_AGAIN)
    assert len(desk.sent) == 2
    desk.mixer.on_event(Seen(record=stream(device=3)))
    desk.answer()
    assert desk.answers == [None]


@on_a_desk
async def test_a_move_of_a_stream_that_is_not_linked_in_time_is_said_to_wait_for_that(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(device=None)))
    desk.ask(MoveStream(key=STREAM, device=3))
    desk.answer()
    await asyncio.sleep(1.1 * GIVE_UP)
    assert len(desk.sent) == 1
    assert isinstance(desk.answers[0], AudioTimeoutError)
    assert "has not linked that stream" in str(desk.answers[0])
