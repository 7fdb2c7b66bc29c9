"""Memory at work, on a loop whose time jumps: what is learned, what a new stream gets, what is held and against whom."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jumping import as_test, jumped
from test_mixer import MUSIC, SINK, STREAM, USER, Desk, sink, snapshot, stream

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import Origin, SetMuted, SetPort, SetVolume
from pwmixer_dbus.core.errors import AudioServerError
from pwmixer_dbus.core.events import Configured, Disconnected, Gone, Routed, Seen, Snapshot
from pwmixer_dbus.core.history import SAME_STEP
from pwmixer_dbus.core.matching import NOTHING, Outcome
from pwmixer_dbus.core.memory import (
    APPS,
    CORRECTIONS,
    CORRECTIONS_IN,
    ECHO,
    GRACE,
    SETTLING,
    AppIntent,
    DeviceIntent,
    KnownApp,
    Level,
    Memory,
    learned,
)
from pwmixer_dbus.core.model import Kind, Server, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import read_rule
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change
from pwmixer_dbus.gathering import TOGETHER
from pwmixer_dbus.keeper import LATEST_START, PART, SECOND_LOOK, Keeper
from pwmixer_dbus.lanes import GIVE_UP, PACE, SHOWN_SOON
from pwmixer_dbus.router import Router

NEW = (Kind.PLAYBACK, 11)
DAY = 86400.0


class Memorising(Desk):
    """A desk with a memory, what the rules want, and what was saved."""

    def __init__(self, memory: Memory, **chosen: Any) -> None:
        super().__init__(connected=False, **chosen)
        self.saved: list[Memory] = []
        self.soon = 0
        self.outcome = NOTHING
        self.keeper = Keeper(
            self.mixer,
            rules=self._wanted,
            locks=lambda stream: self._wanted(stream).locked,
            save=self.saved.append,
            save_soon=self._expect,
            wall_clock=lambda: 20_000 * DAY,
        )
        self.keeper.start(memory)

    def _expect(self) -> None:
        self.soon += 1

    def _wanted(self, _stream: Stream) -> Outcome:
        return self.outcome

    def connect(self, *streams: Stream) -> None:
        """Let the server be there, with these streams."""
        found = Server(default_sink="sink1", cookie=1)
        self.mixer.on_event(Snapshot(server=found, devices=(sink(), sink(3)), streams=streams))

    def see(self, index: int = 11, volume: float = 1.0, **fields: Any) -> None:
        """Show a stream of `music`, by default a second one that has just been born."""
        self.mixer.on_event(Seen(record=stream(index, volume, **{"device": 1, **fields})))

    async def do(self) -> None:
        """Show and answer all that is asked for, also what waits for its turn."""
        while self.unanswered:
            command, done = self.unanswered.pop(0)
            known = self.mixer.state.streams.get(command.key)
            if known is not None and isinstance(command, SetVolume):
                self.see(known.index, gain.level(command.channels), muted=known.muted, device=known.device)
            if known is not None and isinstance(command, SetMuted):
                self.see(known.index, gain.level(known.channels), muted=command.muted, device=known.device)
            shown = self.mixer.state.devices.get(command.key)
            if shown is not None and isinstance(command, SetVolume):
                self.show(volume=gain.level(command.channels))
            done(None)
            if not self.unanswered:
                await asyncio.sleep(2 * PACE)

    def ask_app(self, volume: float) -> None:
        """Set the application as a person does with pwmixer."""
        state = self.mixer.state
        plan = verbs.set_volume(state, self.mixer.pending, state.apps[MUSIC], volume)
        self.mixer.submit(plan, USER, self.answers.append)

    async def quiet(self) -> None:
        """Let the time pass after which what other programs do counts as a person's doing."""
        await asyncio.sleep(GRACE + SETTLING)

    @property
    def known(self) -> KnownApp:
        """What is remembered of `music`."""
        return self.keeper.memory.apps[MUSIC]

    def level(self, key: str = Kind.PLAYBACK) -> Level:
        """Return what is remembered as its volume and mute."""
        return self.known.levels.get(key, Level())


def remembered(volume: float | None = 0.4, **fields: Any) -> Memory:
    """Return a memory in which a person has set `music`."""
    return learned(Memory(), AppIntent(app_id=MUSIC, name="Music", volume=volume, **fields), 19_000 * DAY)


def with_memory(
    memory: Memory | None = None, *, connected: bool = True, **chosen: Any
) -> Callable[[Callable[[Memorising], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Run a test on a desk with this memory and these settings, where the server is there, unless the test begins before."""

    def decorate(test: Callable[[Memorising], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def main() -> None:
            desk = Memorising(Memory() if memory is None else memory, **chosen)
            if connected:
                desk.connect()
            await test(desk)

        return as_test(test, main)

    return decorate


# --- what a new stream gets


@with_memory(remembered(0.4, muted=True))
async def test_a_new_stream_gets_what_was_asked_of_its_application(desk: Memorising) -> None:
    desk.see()
    assert [c for _, c in desk.sent] == [
        SetVolume(key=NEW, channels=(0.4, 0.4)),
        SetMuted(key=NEW, muted=True),
    ]


@with_memory(remembered())
async def test_an_app_that_sets_itself_back_at_its_start_is_corrected_each_time(desk: Memorising) -> None:
    desk.see()
    await desk.do()
    for delay in (0.005, 0.3, 1.5):
        await asyncio.sleep(delay)
        desk.see(volume=1.0)
        await desk.do()
        assert gain.level(desk.mixer.state.streams[NEW].channels) == 0.4
    assert desk.level().volume == 0.4


@with_memory(remembered())
async def test_an_app_that_sets_itself_back_in_the_instant_of_a_correction_is_corrected_too(
    desk: Memorising,
) -> None:
    desk.see()
    _, done = desk.unanswered.pop()
    done(None)
    desk.see(volume=1.0)  # it was 0.4 in between, and nobody has seen that
    await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
    assert desk.volumes == [0.4, 0.4]
    await desk.do()
    await desk.quiet()
    assert (desk.volumes, desk.level().volume) == ([0.4, 0.4], 0.4)


@with_memory(remembered(locked=True))
async def test_what_is_set_while_the_server_answers_nobody_is_corrected_when_it_does(
    desk: Memorising,
) -> None:
    desk.see()
    await asyncio.sleep(GIVE_UP)
    desk.answer()
    desk.see(volume=1.0)  # it was 0.4 in between, and nobody has seen that
    await asyncio.sleep(2 * SECOND_LOOK)
    assert desk.volumes == [0.4, 0.4]


@with_memory(remembered(locked=True))
async def test_however_long_the_server_answers_nobody_a_lock_is_held_as_soon_as_it_does(
    desk: Memorising,
) -> None:
    desk.see()
    await asyncio.sleep((CORRECTIONS + 2) * (GIVE_UP + SECOND_LOOK))
    while desk.unanswered:
        desk.answer()
    desk.see(volume=0.4)
    await asyncio.sleep(1)
    before = len(desk.volumes)
    desk.see(volume=1.0)
    assert desk.volumes[before:] == [0.4]


@with_memory(remembered(locked=True))
async def test_a_stream_that_never_shows_what_is_set_is_let_be(desk: Memorising) -> None:
    desk.see()
    for _ in range(2 * CORRECTIONS):
        while desk.unanswered:
            desk.unanswered.pop()[1](None)
        await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
    assert desk.volumes == [0.4] * CORRECTIONS


@with_memory(remembered(muted=False))
async def test_a_mute_that_is_corrected_right_after_a_correction_keeps_nobody_from_looking_again(
    desk: Memorising,
) -> None:
    desk.see()
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + SECOND_LOOK / 2)
    desk.see(volume=1.0, muted=True)
    await desk.do()
    assert [c for _, c in desk.sent][1:] == [SetMuted(key=NEW, muted=False)]
    await asyncio.sleep(SECOND_LOOK)
    assert desk.volumes == [0.4, 0.4]


@with_memory(remembered())
async def test_a_mute_right_after_a_correction_keeps_nobody_from_looking_again(desk: Memorising) -> None:
    desk.see()
    desk.unanswered.pop()[1](None)
    desk.see(volume=1.0, muted=True)
    await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
    assert desk.volumes == [0.4, 0.4]


@with_memory(remembered())
async def test_what_is_set_after_the_grace_is_left_alone_and_learned(desk: Memorising) -> None:
    desk.see()
    await desk.do()
    await desk.quiet()
    desk.see(volume=0.9)
    assert desk.volumes == [0.4]
    assert desk.level().volume == desk.level("sink:sink1").volume == 0.9


@with_memory(remembered())
async def test_what_is_set_within_the_grace_is_not_learned(desk: Memorising) -> None:
    await desk.quiet()
    desk.see()
    await desk.do()
    await asyncio.sleep(GRACE - 0.1)
    desk.see(volume=0.9)
    assert desk.level().volume == 0.4


@with_memory(remembered(), grace=10.0)
async def test_a_longer_grace_holds_an_app_that_takes_its_time(desk: Memorising) -> None:
    desk.see()
    await desk.do()
    await asyncio.sleep(9)
    desk.see(volume=0.9)
    await desk.do()
    assert gain.level(desk.mixer.state.streams[NEW].channels) == desk.level().volume == 0.4
    await asyncio.sleep(1.5)
    desk.see(volume=0.9)
    assert (desk.volumes, desk.level().volume) == ([0.4, 0.4], 0.9)


@with_memory(remembered(), grace=0.0)
async def test_without_a_grace_what_is_remembered_is_set_just_once(desk: Memorising) -> None:
    await desk.quiet()
    desk.see()
    await desk.do()
    await asyncio.sleep(ECHO + 0.1)
    desk.see(volume=0.9)
    assert (desk.volumes, desk.level().volume) == ([0.4], 0.9)


@with_memory(
    learned(
        remembered(0.4, devices=("sink:sink1",)),
        AppIntent(app_id=MUSIC, volume=0.7, devices=("sink:sink3",)),
        0.0,
    )
)
async def test_each_device_has_its_own_volume(desk: Memorising) -> None:
    desk.see(device=3)
    await desk.do()
    assert desk.volumes == [0.7]
    desk.see(device=1, volume=0.7)
    assert desk.volumes == [0.7, 0.4]


@with_memory(remembered(), connected=False)
async def test_a_server_that_starts_again_with_the_same_indexes_is_another_birth(desk: Memorising) -> None:
    desk.connect(stream(volume=0.4, device=1))
    desk.mixer.on_event(Disconnected(reason="a restart"))
    desk.mixer.on_event(snapshot(cookie=2))
    assert desk.volumes == [0.4]
    await desk.do()
    assert gain.level(desk.mixer.state.streams[STREAM].channels) == 0.4


@with_memory(remembered(), connected=False)
async def test_what_plays_before_the_service_may_be_set_otherwise_at_once(desk: Memorising) -> None:
    desk.connect(stream(volume=0.4, device=1))
    await asyncio.sleep(SETTLING)
    desk.see(10, 0.9)
    assert (desk.volumes, desk.level().volume) == ([], 0.9)


@with_memory(remembered(), connected=False)
async def test_what_plays_before_the_service_is_set_just_once(desk: Memorising) -> None:
    desk.connect(stream(volume=1.0, device=1))
    await desk.do()
    await asyncio.sleep(SETTLING / 2)
    desk.see(10, 0.9)
    assert desk.volumes == [0.4]
    assert (
        desk.level().volume == 0.4
    )  # it is not long since the service came, so it may be the session manager's


@with_memory(
    learned(
        remembered(0.7, devices=("sink:sink3",)),
        AppIntent(app_id=MUSIC, volume=0.4, devices=("sink:sink1",)),
        0.0,
    ),
    connected=False,
)
async def test_what_plays_before_the_service_is_set_where_it_is_sent_then(desk: Memorising) -> None:
    desk.connect(stream(volume=1.0, device=1))
    await desk.do()
    await asyncio.sleep(SETTLING / 2)
    desk.see(10, 0.4, device=3)
    await desk.do()
    await asyncio.sleep(SETTLING / 2)
    desk.see(10, 0.9, device=3)
    await asyncio.sleep(GRACE)
    desk.see(10, 0.9, device=1)
    assert desk.volumes == [0.4, 0.7]


@with_memory(remembered(), connected=False)
async def test_to_whoever_takes_over_what_was_there_before_is_not_new_either(desk: Memorising) -> None:
    desk.connect(stream(volume=0.4, device=1))
    desk.see()
    assert list(desk.keeper.hand_over().born_at) == [NEW]


@with_memory(remembered(), connected=False)
async def test_what_was_not_linked_when_the_service_came_has_its_grace_then(desk: Memorising) -> None:
    desk.connect(linked_stream(0.0, None))
    desk.answer()
    await desk.quiet()
    desk.mixer.on_event(linked(1.0))
    desk.answer()
    await asyncio.sleep(GRACE / 2)
    desk.mixer.on_event(linked(0.9))
    assert desk.volumes == [0.4, 0.4, 0.4]


@with_memory(remembered())
async def test_what_plays_on_over_a_reconnect_may_be_set_otherwise_at_once(desk: Memorising) -> None:
    desk.see(10, 0.4)
    await desk.quiet()
    desk.mixer.on_event(Disconnected(reason="it is tried again"))
    desk.connect(stream(volume=0.4, device=1))
    await asyncio.sleep(SETTLING)
    desk.see(10, 0.9)
    assert (desk.volumes, desk.level().volume) == ([], 0.9)


@with_memory(remembered(), connected=False)
async def test_what_comes_with_another_life_of_the_server_is_new(desk: Memorising) -> None:
    desk.connect(stream(volume=0.4, device=1))
    await desk.quiet()
    desk.mixer.on_event(Disconnected(reason="a restart"))
    desk.mixer.on_event(snapshot(cookie=2))
    await desk.do()
    await asyncio.sleep(GRACE / 2)
    desk.see(10, 0.9)
    assert desk.volumes == [0.4, 0.4]


@with_memory()
async def test_a_device_that_is_there_before_the_service_is_set_by_people_at_once(desk: Memorising) -> None:
    await asyncio.sleep(SETTLING)
    desk.show(volume=0.9)
    assert desk.keeper.memory.devices["sink:sink1"].level.volume == 0.9


@with_memory(remembered())
async def test_two_hundred_streams_at_once_all_get_their_volume(desk: Memorising) -> None:
    for index in range(200):
        desk.see(index)
    await desk.do()
    assert {gain.level(s.channels) for s in desk.mixer.state.streams.values()} == {0.4}
    assert len(desk.volumes) == 200


@with_memory(remembered(0.4, locked=True))
async def test_a_write_that_comes_back_with_another_digit_is_not_corrected(desk: Memorising) -> None:
    desk.see()
    desk.see(volume=0.4001)
    await desk.do()
    assert desk.volumes == [0.4]


def linked(volume: float, device: int | None = 1) -> Seen:
    """Show a stream of `music` that the session manager links to a device."""
    return Seen(record=linked_stream(volume, device))


def linked_stream(volume: float, device: int | None) -> Stream:
    properties = {"application.process.binary": "music", "node.autoconnect": "true"}
    return stream(11, volume, properties=properties, device=device)


def unlinked(volume: float = 0.0) -> Seen:
    """Show it as it is before that, when it shows no volume, unless somebody sets one."""
    return linked(volume, device=None)


@with_memory(remembered())
async def test_a_stream_that_is_linked_late_gets_its_volume_then(desk: Memorising) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    await asyncio.sleep(5 * GRACE)
    desk.mixer.on_event(linked(1.0))
    desk.mixer.on_event(linked(0.4))
    desk.answer()
    await asyncio.sleep(GRACE / 2)
    desk.mixer.on_event(linked(0.9))
    desk.answer()
    assert desk.volumes == [0.4, 0.4, 0.4]
    desk.mixer.on_event(linked(0.4))
    await asyncio.sleep(GRACE)
    desk.mixer.on_event(linked(0.8))
    assert len(desk.volumes) == 3
    assert desk.keeper.memory.apps[MUSIC].levels[Kind.PLAYBACK] == Level(volume=0.8)


@with_memory(remembered())
async def test_what_is_set_of_a_stream_that_is_not_linked_yet_is_not_learned(desk: Memorising) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    await asyncio.sleep(5 * GRACE)
    desk.mixer.on_event(unlinked(volume=0.6))
    assert desk.volumes == [0.4, 0.4]
    assert desk.keeper.memory.apps[MUSIC].levels == remembered().apps[MUSIC].levels


@with_memory(remembered())
async def test_a_stream_that_is_only_said_to_be_linked_has_not_begun(desk: Memorising) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    desk.mixer.on_event(linked(0.0))
    await asyncio.sleep(5 * GRACE)
    desk.answer()
    await asyncio.sleep(5 * GRACE)
    desk.mixer.on_event(linked(0.9))
    assert desk.volumes == [0.4, 0.4, 0.4]
    assert desk.keeper.memory.apps[MUSIC].levels == remembered().apps[MUSIC].levels


@with_memory(remembered())
async def test_a_stream_that_is_linked_before_it_shows_its_volume_begins_when_it_does(
    desk: Memorising,
) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    desk.mixer.on_event(linked(0.0))
    await asyncio.sleep(2 * PACE)
    desk.answer()
    desk.mixer.on_event(linked(0.4))
    await desk.quiet()
    asked = len(desk.volumes)
    desk.mixer.on_event(linked(0.8))
    await asyncio.sleep(TOGETHER)
    assert (len(desk.volumes), desk.level().volume) == (asked, 0.8)


@with_memory(remembered())
async def test_what_is_corrected_before_a_stream_is_linked_does_not_count_afterwards(
    desk: Memorising,
) -> None:
    for shown in [unlinked(), unlinked(0.2), unlinked(0.4), *(linked(1.0), linked(0.4)) * CORRECTIONS]:
        desk.mixer.on_event(shown)
        await asyncio.sleep(2 * PACE)
        while desk.unanswered:
            desk.answer()
    assert desk.volumes == [0.4] * (2 + CORRECTIONS)


@with_memory(remembered())
async def test_a_stream_that_was_at_zero_for_long_may_be_turned_up(desk: Memorising) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    await asyncio.sleep(LATEST_START + 1)
    desk.mixer.on_event(unlinked(0.9))
    assert desk.volumes == [0.4]


@with_memory(remembered())
async def test_a_stream_that_loses_its_device_later_does_not_begin_anew(desk: Memorising) -> None:
    desk.mixer.on_event(unlinked())
    desk.answer()
    desk.mixer.on_event(linked(0.4))
    await asyncio.sleep(5 * GRACE)
    asked = len(desk.volumes)
    desk.mixer.on_event(linked(0.4, device=None))
    desk.mixer.on_event(linked(0.4, device=3))
    await asyncio.sleep(SETTLING)
    desk.mixer.on_event(linked(0.8, device=3))
    assert len(desk.volumes) == asked


# --- what is learned


@with_memory()
async def test_what_a_person_asks_of_pwmixer_is_learned_at_once(desk: Memorising) -> None:
    desk.see()
    desk.ask_app(0.3)
    await desk.do()
    await asyncio.sleep(0)
    assert desk.level().volume == 0.3
    assert desk.saved[-1] is desk.keeper.memory


@with_memory()
async def test_asking_for_what_is_shown_already_is_learned_too(desk: Memorising) -> None:
    desk.see(volume=0.6)
    desk.ask_app(0.6)
    await desk.do()
    assert desk.level().volume == 0.6
    desk.set_volume(0.5)
    await desk.do()
    assert desk.keeper.memory.devices["sink:sink1"].level.volume == 0.5


@with_memory(remembered(devices=("sink:sink1",)))
async def test_what_is_set_while_there_is_no_device_leaves_what_was_set_on_devices(desk: Memorising) -> None:
    desk.mixer.on_event(Seen(record=sink(9, name="auto_null")))
    desk.see(volume=0.4, device=9)
    await desk.quiet()
    desk.see(volume=0.3, device=9)
    assert (desk.level().volume, desk.level("sink:sink1").volume) == (0.3, 0.4)
    desk.ask_app(0.2)
    await desk.do()
    assert (desk.level().volume, desk.level("sink:sink1").volume) == (0.2, 0.4)
    plan = verbs.set_volume(desk.mixer.state, desk.mixer.pending, desk.mixer.state.streams[NEW], 0.1)
    desk.mixer.submit(plan, USER, desk.answers.append)
    await desk.do()
    assert (desk.level().volume, desk.level("sink:sink1").volume) == (0.1, 0.4)


@with_memory()
async def test_an_undone_volume_is_the_one_that_is_remembered(desk: Memorising) -> None:
    desk.see(volume=0.6)
    desk.ask_app(0.6)
    await desk.do()
    await asyncio.sleep(5)
    desk.ask_app(0.9)
    await desk.do()
    await asyncio.sleep(5)
    desk.mixer.undo(1, USER, lambda _count, _error: None)
    await desk.do()
    assert desk.level().volume == 0.6


@with_memory()
async def test_a_step_of_several_streams_is_learned_as_the_loudest(desk: Memorising) -> None:
    desk.see(11, 0.8)
    desk.see(12, 0.4)
    state = desk.mixer.state
    step = verbs.adjust_volume(state, desk.mixer.pending, state.apps[MUSIC], 0.1)
    desk.mixer.submit(step, USER, desk.answers.append)
    await desk.do()
    assert desk.level().volume == desk.mixer.state.apps[MUSIC].volume == 0.9


@with_memory(remembered(), connected=False)
async def test_an_app_that_does_not_run_is_listed_and_can_be_set(desk: Memorising) -> None:
    assert desk.mixer.state.apps[MUSIC].volume == 0.4
    desk.connect()
    desk.ask_app(0.2)
    assert desk.level().volume == 0.2
    desk.see()
    assert desk.volumes == [0.2]


@with_memory()
async def test_what_a_rule_sets_is_never_learned(desk: Memorising) -> None:
    desk.outcome = Outcome(volume=0.2, muted=True)
    desk.see()
    await desk.do()
    assert desk.volumes == [0.2]
    assert desk.level() == Level()


@with_memory(remembered(0.4), connected=False)
async def test_a_rule_comes_before_what_is_remembered(desk: Memorising) -> None:
    desk.outcome = Outcome(volume=0.2, locked=True)
    desk.connect()
    desk.see()
    await desk.do()
    await desk.quiet()
    desk.see(volume=0.9)
    assert desk.volumes == [0.2, 0.2]
    assert desk.level().volume == 0.4


@with_memory()
async def test_what_a_duck_does_is_never_learned(desk: Memorising) -> None:
    desk.see(volume=0.8)
    await desk.quiet()
    desk.mixer.act([(SetVolume(key=NEW, channels=(0.1, 0.1)), "somebody speaks")], "duck")
    await desk.do()
    assert desk.level() == Level()


@with_memory()
async def test_what_happens_while_a_device_comes_is_never_learned(desk: Memorising) -> None:
    desk.see(volume=0.8)
    await desk.quiet()
    desk.mixer.on_event(Seen(record=sink(5)))
    desk.see(volume=0.2)
    assert desk.level() == Level()


# --- what is held


@with_memory(remembered(0.4, locked=True))
async def test_a_lock_holds_at_any_time_until_it_is_a_fight(desk: Memorising) -> None:
    desk.see(volume=0.4)
    await desk.quiet()
    for _ in range(CORRECTIONS):
        desk.see(volume=1.0)
        await desk.do()
        await asyncio.sleep(0.1)
    desk.see(volume=1.0)
    assert len(desk.volumes) == CORRECTIONS
    await asyncio.sleep(CORRECTIONS_IN)
    assert len(desk.volumes) == CORRECTIONS + 1
    assert desk.level().volume == 0.4


@with_memory()
async def test_a_lock_holds_what_is_heard_when_it_is_set(desk: Memorising) -> None:
    desk.see(volume=0.7)
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=True)
    desk.see(volume=1.0)
    assert desk.volumes == [0.7]
    await desk.do()
    desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=False)
    await desk.quiet()
    desk.see(volume=1.0)
    assert desk.volumes == [0.7]


@with_memory(remembered(0.4, muted=False, locked=True), connected=False)
async def test_what_a_program_mutes_while_a_person_sets_its_volume_is_nobodys_wish(desk: Memorising) -> None:
    desk.connect(stream(11, 0.4, device=1))
    await desk.quiet()
    desk.ask_app(0.5)
    desk.see(volume=0.5, muted=True)
    assert desk.level() == Level(volume=0.5, muted=False)
    assert desk.sent[-1][1] == SetMuted(key=NEW, muted=False)


@with_memory()
async def test_the_volume_of_the_port_that_a_person_chooses_is_nobodys_wish(desk: Memorising) -> None:
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    desk.ask(SetPort(key=SINK, port="headphones"))
    desk.show(volume=1.0, active_port="headphones")
    assert desk.keeper.memory.devices["sink:sink1"].level.volume == 0.5
    assert desk.volumes == [0.5]


@with_memory()
async def test_what_somebody_else_sets_right_after_a_person_is_held_a_moment_later(desk: Memorising) -> None:
    desk.see(volume=0.7)
    await desk.quiet()
    desk.ask_app(0.5)
    await desk.do()
    desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=True)
    desk.see(volume=1.0)
    assert desk.volumes == [0.5]
    await asyncio.sleep(ECHO + 0.1)
    assert desk.volumes == [0.5, 0.5]


@with_memory()
async def test_what_somebody_else_sets_in_the_instant_of_a_persons_request_is_held_a_moment_later(
    desk: Memorising,
) -> None:
    desk.see(volume=0.7)
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=True)
    desk.ask_app(0.5)
    desk.answer()
    desk.see(volume=0.7)  # it was 0.5 in between, and nobody has seen that
    await asyncio.sleep(SHOWN_SOON + ECHO + 0.1)
    assert (desk.answers, desk.volumes) == ([None], [0.5, 0.5])


@with_memory(remembered(0.7, muted=False, locked=True), connected=False)
async def test_what_a_person_was_refused_is_taken_back_from_another_program(desk: Memorising) -> None:
    desk.connect(stream(11, 0.7, device=1))
    await desk.quiet()
    for command in (SetVolume(key=NEW, channels=(0.5, 0.5)), SetMuted(key=NEW, muted=True)):
        desk.ask(command)
        desk.answer(AudioServerError("No."))
    await desk.quiet()
    desk.see(volume=0.5, muted=True)
    assert [c for _, c in desk.sent][2:] == [
        SetVolume(key=NEW, channels=(0.7, 0.7)),
        SetMuted(key=NEW, muted=False),
    ]


@with_memory(remembered(0.7, locked=True), connected=False)
async def test_what_is_locked_is_looked_at_after_a_request_though_all_is_looked_at_first(
    desk: Memorising,
) -> None:
    desk.connect(stream(11, 0.7, device=1))
    await desk.quiet()
    desk.ask_app(0.5)
    await desk.do()
    desk.see(volume=1.0)
    desk.keeper.set_cap(desk.mixer.state.devices[SINK], max_volume=1.0)
    assert desk.volumes == [0.5]
    await asyncio.sleep(ECHO + 0.1)
    assert desk.volumes == [0.5, 0.5]


@with_memory()
async def test_a_step_counts_from_what_is_shown_after_a_request_that_somebody_else_has_overruled(
    desk: Memorising,
) -> None:
    desk.show(state="running")
    desk.set_volume(0.2)
    desk.answer()
    await asyncio.sleep(SHOWN_SOON + ECHO + 0.1)
    assert gain.level(desk.mixer.state.devices[SINK].channels) == 0.5
    desk.step(0.05)
    assert desk.volumes == [0.2, 0.55]


@with_memory()
async def test_a_step_counts_from_what_was_asked_of_a_device_that_shows_it_when_it_runs(
    desk: Memorising,
) -> None:
    desk.show(state="suspended")
    desk.set_volume(0.2)
    desk.answer()
    await asyncio.sleep(60)
    desk.step(0.05)
    assert desk.volumes == [0.2, 0.25]


@with_memory()
async def test_a_device_that_is_set_in_the_instant_of_a_correction_is_corrected_too(desk: Memorising) -> None:
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    for state, corrections in (("running", 2), ("suspended", 1)):
        before = len(desk.volumes)
        desk.show(volume=0.9, state=state)
        desk.answer()
        desk.show(volume=0.9, state=state)  # it was 0.5 in between, and nobody has seen that
        await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
        assert desk.volumes[before:] == [0.5] * corrections
        await desk.do()
        desk.show(volume=0.5, state=state)


@with_memory(connected=False)
async def test_a_device_that_is_another_one_to_each_new_server_leaves_nothing_behind(
    desk: Memorising,
) -> None:
    kept = list[int]()
    for life in range(1, 10):
        device = sink(100 * life, 0.9, name="sink1")
        found = Server(default_sink="sink1", cookie=life)
        desk.mixer.on_event(Snapshot(server=found, devices=(device,), streams=()))
        desk.keeper.set_lock(device, locked=True)
        desk.mixer.on_event(Seen(record=replace(device, channels=(0.3, 0.3))))
        await asyncio.sleep(60)
        kept.append(sum(len(held) for held in vars(desk.keeper).values() if isinstance(held, dict | set)))
        desk.unanswered.clear()
        desk.mixer.on_event(Disconnected(reason="It is restarted."))
    assert len(desk.volumes) == 9
    assert max(kept) == kept[0]


@with_memory()
async def test_a_device_that_shows_no_correction_when_it_runs_is_corrected_again(desk: Memorising) -> None:
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    desk.show(volume=1.0, state="suspended")
    desk.answer()
    await desk.quiet()
    desk.show(volume=1.0, state="running")
    await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
    assert desk.volumes == [0.5, 0.5]
    await desk.do()
    desk.show(volume=0.5, state="suspended")
    desk.show(volume=0.5, state="running")
    await asyncio.sleep(SHOWN_SOON + 2 * SECOND_LOOK)
    assert desk.volumes == [0.5, 0.5]


@with_memory()
async def test_a_cap_comes_into_force_at_once_and_holds_against_everybody(desk: Memorising) -> None:
    desk.see(volume=0.9)
    await desk.quiet()
    desk.keeper.set_cap(desk.mixer.state.apps[MUSIC], max_volume=0.5)
    assert desk.volumes == [0.5]
    await desk.do()
    await asyncio.sleep(5)
    desk.see(volume=0.8)
    await desk.do()
    assert desk.volumes == [0.5, 0.5]
    state = desk.mixer.state
    assert verbs.max_volume(state, state.apps[MUSIC]) == verbs.max_volume(state, state.streams[NEW]) == 0.5
    desk.keeper.set_cap(state.apps[MUSIC], max_volume=None)
    assert verbs.max_volume(desk.mixer.state, state.apps[MUSIC]) == 1.0


@with_memory()
async def test_the_cap_of_a_rule_holds_against_a_person_too(desk: Memorising) -> None:
    desk.outcome = Outcome(max_volume=0.5)
    desk.see(volume=0.4)
    desk.ask_app(0.9)
    await desk.do()
    assert gain.level(desk.mixer.state.streams[NEW].channels) == 0.5


@with_memory(max_volume=0.8)
async def test_what_a_person_asked_is_remembered_as_it_was_asked_whenever_it_is_shown(
    desk: Memorising,
) -> None:
    await desk.quiet()
    desk.show(volume=1.0)
    for volume, acknowledge_first in ((0.95, True), (0.9, False)):
        desk.set_volume(volume)
        if acknowledge_first:
            desk.answer()
            desk.show(volume=volume)
        else:
            desk.show(volume=volume)
            desk.answer()
        assert desk.soon > 0, "it is saved soon, and learned then"
        assert desk.keeper.memory.devices["sink:sink1"].level.volume == volume
        await asyncio.sleep(1)


@with_memory(remembered(0.4, locked=True), connected=False)
async def test_a_lock_holds_what_a_person_has_just_asked_for(desk: Memorising) -> None:
    desk.connect(stream(11, 0.4, device=1))
    await desk.quiet()
    state = desk.mixer.state
    plan = verbs.set_volume(state, {}, state.streams[NEW], 0.6)
    desk.mixer.submit(plan, USER, desk.answers.append)
    await desk.do()
    await asyncio.sleep(ECHO + 0.1)
    desk.see(volume=0.9)
    await desk.do()
    assert desk.volumes == [0.6, 0.6]


@with_memory(remembered(0.4, locked=True), connected=False)
async def test_what_a_person_sets_of_one_stream_of_a_locked_application_is_what_the_others_are_held_at(
    desk: Memorising,
) -> None:
    desk.connect(stream(10, 0.4, device=1), stream(11, 0.4, device=1))
    await desk.quiet()
    desk.ask(SetVolume(key=STREAM, channels=(0.6, 0.6)))
    await desk.do()
    shown = desk.mixer.state.streams
    assert (gain.level(shown[STREAM].channels), gain.level(shown[NEW].channels)) == (0.6, 0.4)
    desk.see(volume=1.0)
    await desk.do()
    assert gain.level(desk.mixer.state.streams[NEW].channels) == 0.6


@with_memory()
async def test_a_device_is_held_by_its_cap_and_its_lock_only(desk: Memorising) -> None:
    await desk.quiet()
    desk.show(volume=0.9)
    assert desk.volumes == []
    desk.keeper.set_cap(desk.mixer.state.devices[SINK], max_volume=0.6)
    await desk.do()
    assert desk.volumes == [0.6]
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    await desk.quiet()
    desk.show(volume=0.2)
    assert desk.volumes == [0.6, 0.6]


@with_memory()
async def test_a_locked_device_with_coarse_steps_is_not_set_for_ever(desk: Memorising) -> None:
    await desk.quiet()
    desk.show(volume=0.5276, state="running")
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    plan = verbs.set_volume(desk.mixer.state, desk.mixer.pending, desk.mixer.state.devices[SINK], 0.53)
    desk.mixer.submit(plan, USER, desk.answers.append)
    for _ in range(1000):
        if desk.unanswered:
            desk.show(volume=0.5276, state="running")
            desk.answer()
        await asyncio.sleep(SECOND_LOOK)
    assert desk.volumes == [0.53] * (1 + CORRECTIONS)


@with_memory(remembered(0.4, locked=True), connected=False)
async def test_what_is_locked_is_shown(desk: Memorising) -> None:
    assert desk.mixer.state.locked == {MUSIC}
    desk.connect()
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    assert desk.mixer.state.locked == {MUSIC, "sink:sink1"}
    desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=False)
    assert desk.mixer.state.locked == {"sink:sink1"}
    desk.keeper.forget(None)
    assert not desk.mixer.state.locked


@with_memory()
async def test_the_cap_of_a_new_rule_holds_at_once_for_what_plays(desk: Memorising) -> None:
    desk.see(volume=0.9)
    await desk.quiet()
    desk.outcome = Outcome(max_volume=0.5)
    desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=11, by="", max_volume=0.5))
    assert desk.volumes == [0.5]


@with_memory()
async def test_what_another_program_sets_above_the_cap_of_a_rule_is_learned_as_that_cap(
    desk: Memorising,
) -> None:
    desk.see(volume=0.3)
    desk.outcome = Outcome(max_volume=0.5)
    desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=11, by="", max_volume=0.5))
    await desk.quiet()
    desk.see(volume=0.9)
    assert desk.level() == Level(volume=0.5)
    await desk.do()
    assert (desk.volumes, desk.level()) == ([0.5], Level(volume=0.5))
    desk.see(volume=0.9, muted=True)  # more than a level, which goes another way
    assert desk.level() == Level(volume=0.5, muted=True)


@with_memory()
async def test_the_cap_of_a_rule_is_set_once_for_what_is_born_under_it(desk: Memorising) -> None:
    desk.outcome = Outcome(max_volume=0.5)
    desk.see(volume=0.9)
    desk.mixer.on_event(Routed(kind=Kind.PLAYBACK, index=11, by="", max_volume=0.5))
    assert desk.volumes == [0.5]
    await desk.do()
    for _ in range(CORRECTIONS - 1):  # the first was one correction, not two
        desk.see(volume=0.9)
        await desk.do()
        assert gain.level(desk.mixer.state.streams[NEW].channels) == 0.5


@with_memory()
async def test_a_device_under_the_index_of_another_leaves_what_is_remembered_of_both(
    desk: Memorising,
) -> None:
    await desk.quiet()
    desk.show(volume=0.6)
    desk.show(volume=0.3, name="other")
    devices = desk.keeper.memory.devices
    assert {name: each.level.volume for name, each in devices.items()} == {"sink:sink1": 0.6}


@with_memory(learned(Memory(), DeviceIntent(key="sink:sink1", volume=0.1), 0.0))
async def test_a_device_that_appears_is_left_to_the_session_manager(desk: Memorising) -> None:
    assert desk.volumes == []


@with_memory()
async def test_the_highest_volume_holds_against_others_where_that_is_set(desk: Memorising) -> None:
    await desk.quiet()
    desk.see(volume=1.3)
    assert desk.volumes == []
    desk.mixer.on_event(Configured(settings=Settings(enforce_max=True)))
    assert desk.volumes == [1.0]


@with_memory(first_volume=0.3)
async def test_an_app_never_seen_starts_at_its_safe_first_volume(desk: Memorising) -> None:
    desk.see(volume=0.9)
    assert desk.volumes == [0.3]


@with_memory(first_volume=0.3, connected=False)
async def test_an_app_never_seen_that_plays_already_has_been_heard(desk: Memorising) -> None:
    desk.connect(stream(volume=0.9, device=1))
    assert desk.keeper.memory.apps[MUSIC].first_volume is None


# --- forgetting, and rest


@with_memory(remembered(), connected=False)
async def test_what_is_forgotten_is_not_set_again(desk: Memorising) -> None:
    desk.keeper.forget(desk.mixer.state.apps[MUSIC])
    assert MUSIC not in desk.mixer.state.apps
    desk.connect()
    desk.see()
    assert desk.volumes == []
    assert desk.saved[-1] is desk.keeper.memory


@with_memory(
    learned(remembered(), DeviceIntent(key="sink:sink1", volume=0.2, max_volume=0.3), 0.0), connected=False
)
async def test_everything_can_be_forgotten(desk: Memorising) -> None:
    assert desk.mixer.state.caps == {"sink:sink1": 0.3}
    desk.keeper.forget(None)
    assert desk.keeper.memory == Memory()
    assert desk.mixer.state.caps == {}


@with_memory(remembered())
async def test_nothing_is_kept_of_what_has_gone_and_no_timer_runs(desk: Memorising) -> None:
    desk.see()
    await desk.do()
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=11))
    assert desk.mixer.writes_of(NEW) == {}
    saved = len(desk.saved)
    await asyncio.sleep(100)
    assert len(desk.saved) == saved


# --- preferred devices


@with_memory()
async def test_a_preferred_device_is_remembered_undone_and_forgotten(desk: Memorising) -> None:
    desk.see()
    mixer = desk.mixer

    def shown() -> str:
        return mixer.state.apps[MUSIC].preferred_sink

    mixer.submit(verbs.prefer(mixer.state, mixer.state.apps[MUSIC], Kind.SINK, "sink:desk"), USER, ignore)
    assert (shown(), desk.known.preferred_sink) == ("sink:desk", "sink:desk")
    mixer.undo(1, Origin(kind="undo"), lambda _count, _error: None)
    assert (shown(), desk.known.preferred_sink) == ("", "")
    mixer.submit(verbs.prefer(mixer.state, mixer.state.apps[MUSIC], Kind.SINK, "sink:desk"), USER, ignore)
    desk.keeper.forget(mixer.state.apps[MUSIC])
    assert (shown(), desk.known.preferred_sink) == ("", "")


@with_memory(remembered(preferred_sink="sink:desk"), connected=False)
async def test_a_preferred_device_is_known_after_a_restart(desk: Memorising) -> None:
    assert desk.mixer.state.apps[MUSIC].preferred_sink == "sink:desk"


def ignore(_error: object) -> None:
    """Take an answer."""


# --- the highest volume of all


@with_memory(remembered(1.0), max_volume=0.8)
async def test_what_is_remembered_is_recalled_no_higher_than_may_be_set(desk: Memorising) -> None:
    desk.see(volume=0.3)
    assert desk.volumes == [0.8]


@with_memory(max_volume=0.8, connected=False)
async def test_a_rule_sets_nothing_higher_than_may_be_set(desk: Memorising) -> None:
    desk.outcome = Outcome(volume=1.2)
    desk.connect()
    desk.see(volume=0.3)
    assert desk.volumes == [0.8]


@with_memory(max_volume=0.6, enforce_max=True, connected=False)
async def test_the_highest_volume_of_all_holds_at_any_time(desk: Memorising) -> None:
    desk.connect(stream(volume=0.4, device=1))
    await desk.quiet()
    desk.see(10, 0.7)
    assert desk.volumes == [0.6]


@with_memory(connected=False)
async def test_a_rule_that_locks_is_found_while_rules_are_in_use(desk: Memorising) -> None:
    desk.connect(stream(device=1))
    router, (music,) = Router(desk.mixer), desk.mixer.state.streams.values()
    for app, locked, expected in (("music", False, False), ("video", True, False), ("music", True, True)):
        rule, problems = read_rule(
            {"name": "loud", "match": {"app": app}, "volume": 0.5, **({"locked": True} if locked else {})}
        )
        assert rule is not None, problems
        router.set_rules((rule,))
        assert router.locks(music) is router.outcome_of(music).locked is expected
    router.enabled = False
    assert not router.locks(music)


# --- what is put off


@with_memory(connected=False)
async def test_a_level_is_learned_when_somebody_asks_and_is_told_to_be_saved_soon(desk: Memorising) -> None:
    desk.connect(stream(device=1))
    await desk.quiet()
    saved, soon = len(desk.saved), desk.soon
    for volume in (0.1, 0.2, 0.3):
        desk.see(10, volume)
    assert (len(desk.saved), desk.soon) == (saved, soon + 1)
    desk.keeper.learn()
    assert [memory.apps[MUSIC].levels[Kind.PLAYBACK].volume for memory in desk.saved[saved:]] == [0.3]
    desk.keeper.learn()
    assert len(desk.saved) == saved + 1
    await asyncio.sleep(TOGETHER)
    desk.see(10, 0.4)
    assert desk.soon == soon + 2


@with_memory(connected=False)
async def test_an_application_that_falls_silent_shows_what_was_set_last_at_once(desk: Memorising) -> None:
    shown: list[float | None] = []
    desk.connect(stream(device=1))
    await desk.quiet()
    desk.mixer.subscribe(lambda _, __, ___: shown.append(desk.mixer.state.apps[MUSIC].volume))
    desk.see(10, 0.3)
    desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=10))
    assert shown[-1] == 0.3
    assert shown.count(None) == 1  # at the change itself, while it plays


@with_memory(connected=False)
async def test_what_is_learned_for_being_saved_is_learned_in_parts(desk: Memorising) -> None:
    indexes = range(10, 10 + 2 * PART + 1)
    programs = [{"application.process.binary": f"program{index}"} for index in indexes]
    desk.connect(*(stream(i, device=1, properties=p) for i, p in zip(indexes, programs, strict=True)))
    await desk.quiet()
    for index, program in zip(indexes, programs, strict=True):
        desk.see(index, 0.3, properties=program)

    def learned() -> int:
        return sum(Kind.PLAYBACK in app.levels for app in desk.saved[-1].apps.values())

    assert [(desk.keeper.learn_part(), learned()) for _ in range(3)] == [
        (True, PART),
        (True, 2 * PART),
        (False, 2 * PART + 1),
    ]


def capped_apps() -> Memory:
    """Return a memory that is full of applications with a cap, the last of which was unused the longest."""
    ids = [f"bin:program{number}" for number in range(APPS)]
    return Memory(apps={i: KnownApp(app_id=i, name=i, max_volume=0.5, used=i != ids[-1]) for i in ids})


@with_memory(capped_apps(), connected=False)
async def test_whoever_is_forgotten_for_one_who_is_new_is_capped_no_more(desk: Memorising) -> None:
    last = f"bin:program{APPS - 1}"
    assert last in desk.mixer.state.caps
    desk.connect(stream(device=1))
    await desk.quiet()
    desk.see(10, 0.3)
    assert last not in desk.keeper.memory.apps
    assert last not in desk.mixer.state.caps
    assert len(desk.mixer.state.caps) == APPS - 1


@with_memory(connected=False)
async def test_where_no_stream_has_a_volume_to_show_what_was_set_is_shown_at_once(desk: Memorising) -> None:
    desk.connect(stream(device=1, has_volume=False))
    await desk.quiet()
    desk.see(10, 0.3, has_volume=False)
    assert desk.mixer.state.apps[MUSIC].volume == 0.3


@with_memory(connected=False)
async def test_undo_brings_back_what_another_program_has_just_set(desk: Memorising) -> None:
    desk.connect(stream(device=1))
    await desk.quiet()
    desk.see(10, 0.3)
    desk.ask_app(0.8)
    await desk.do()
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    await desk.do()
    assert desk.mixer.state.apps[MUSIC].volume == desk.level().volume == 0.3


@with_memory(remembered(0.4, muted=False, locked=True), connected=False)
async def test_undo_brings_back_what_was_locked_and_not_what_was_shown_against_that(desk: Memorising) -> None:
    desk.connect(stream(11, 0.4, device=1))
    await desk.quiet()
    desk.ask_app(0.5)
    await desk.do()
    await asyncio.sleep(2 * PACE)
    desk.see(volume=1.0)
    state = desk.mixer.state
    plan = verbs.set_volume(state, desk.mixer.pending, state.apps[MUSIC], 0.6)
    desk.mixer.submit(plan, Origin(kind="user", client=":1.9"), desk.answers.append)
    await desk.do()
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    await desk.do()
    assert gain.level(desk.mixer.state.streams[NEW].channels) == desk.level().volume == 0.5


@pytest.mark.parametrize("by_stream_first", [True, False])
def test_steps_of_a_stream_and_of_its_application_are_undone_together_as_one_by_one(
    by_stream_first: bool,
) -> None:
    @with_memory(remembered(0.7, muted=True), connected=False)
    async def undo_both(desk: Memorising) -> None:
        desk.connect(stream(11, 0.7, device=1, muted=True))
        await desk.quiet()
        for is_of_stream in (by_stream_first, not by_stream_first):
            state = desk.mixer.state
            target = state.streams[NEW] if is_of_stream else state.apps[MUSIC]
            quiet = verbs.set_volume(state, {}, target, 0.1 if is_of_stream else 0.2)
            heard = verbs.set_muted(state, {}, target, "off")
            desk.mixer.submit(verbs.joined((quiet, heard)), USER, desk.answers.append)
            await desk.do()
            await asyncio.sleep(SAME_STEP)
        desk.mixer.undo(2, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
        await desk.do()
        shown = desk.mixer.state.streams[NEW]
        assert (
            Level(volume=gain.level(shown.channels), muted=shown.muted)
            == desk.level()
            == Level(volume=0.7, muted=True)
        )

    undo_both()


@with_memory(remembered(0.7, muted=True), connected=False)
async def test_of_two_steps_that_are_undone_each_is_learned_of_what_it_was_about(desk: Memorising) -> None:
    desk.connect(stream(11, 0.7, device=1, muted=True))
    await desk.quiet()
    state = desk.mixer.state
    for plan in (
        verbs.set_volume(state, {}, state.streams[NEW], 0.1),
        verbs.set_muted(state, {}, state.apps[MUSIC], "off"),
    ):
        desk.mixer.submit(plan, USER, desk.answers.append)
        await desk.do()
    desk.mixer.undo(2, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    await desk.do()
    assert desk.level() == Level(volume=0.7, muted=True)


@with_memory(
    learned(
        remembered(0.4, devices=("sink:sink1",)),
        AppIntent(app_id=MUSIC, volume=0.7, devices=("sink:sink3",)),
        0.0,
    ),
    connected=False,
)
async def test_undo_brings_back_the_volume_of_each_device(desk: Memorising) -> None:
    desk.connect(stream(10, 0.4, device=1), stream(11, 0.7, device=3), stream(12, 0.1, device=1))
    await desk.quiet()
    before = desk.known.levels
    desk.ask_app(0.2)
    await desk.do()
    assert {level.volume for level in desk.known.levels.values()} == {0.2}
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    await desk.do()
    assert desk.known.levels == before


@with_memory(
    learned(
        remembered(0.4, muted=True, devices=("sink:sink1",)),
        AppIntent(app_id=MUSIC, volume=0.7, devices=("sink:sink3",)),
        0.0,
    )
)
async def test_undo_brings_back_the_volume_of_each_device_also_of_what_does_not_play(
    desk: Memorising,
) -> None:
    before = desk.known.levels
    desk.ask_app(0.2)
    await asyncio.sleep(SAME_STEP / 2)
    desk.ask_app(0.1)
    assert desk.known.levels == {
        Kind.PLAYBACK: Level(volume=0.1, muted=True),
        "sink:sink1": Level(muted=True),
    }
    state = desk.mixer.state
    desk.mixer.submit(verbs.set_muted(state, {}, state.apps[MUSIC], "off"), USER, desk.answers.append)
    assert desk.known.levels == {Kind.PLAYBACK: Level(volume=0.1, muted=False)}
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    assert desk.known.levels["sink:sink1"] == Level(muted=True)
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    assert desk.known.levels == before
    assert desk.mixer.history == ()


@with_memory()
async def test_undo_brings_back_what_a_device_was_locked_at(desk: Memorising) -> None:
    await desk.quiet()
    desk.keeper.set_lock(desk.mixer.state.devices[SINK], locked=True)
    for _ in range(CORRECTIONS):
        desk.show(volume=1.0)
        await desk.do()
    desk.show(volume=1.0)
    await desk.quiet()
    desk.set_volume(0.6)
    await desk.do()
    desk.mixer.undo(1, Origin(kind="undo"), lambda _count, error: desk.answers.append(error))
    await desk.do()
    shown = desk.mixer.state.devices[SINK]
    assert gain.level(shown.channels) == desk.keeper.memory.devices["sink:sink1"].level.volume == 0.5


@with_memory(connected=False)
async def test_who_falls_asleep_leaves_nothing_to_be_learned(desk: Memorising) -> None:
    desk.connect(stream(device=1))
    await desk.quiet()
    desk.see(10, 0.3)
    desk.mixer.sleep()
    assert desk.mixer.state.apps[MUSIC].volume == 0.3


Act = Callable[[Memorising], Coroutine[Any, Any, None] | None]
_VOLUMES = st.sampled_from([0.1, 0.2, 0.3, 0.9, 1.2])


def _seen(index: int, volume: float, muted: bool) -> Act:
    video = {"properties": {"application.process.binary": "video"}} if index == 13 else {}
    fields: dict[str, Any] = {"has_volume": index < 12, **video}
    return lambda desk: desk.see(index, volume, muted=muted, **fields)


def _moved(index: int, device: int | None) -> Act:
    return lambda desk: desk.see(index, device=device)


def _in_turn(acts: list[Act]) -> Act:
    def do(desk: Memorising) -> None:
        for act in acts:
            act(desk)

    return do


def _quiet_or_not(seconds: float) -> Act:
    return lambda _desk: asyncio.sleep(seconds)


async def _ask(desk: Memorising, volume: float) -> None:
    if MUSIC in desk.mixer.state.apps:
        desk.ask_app(volume)
        await desk.do()


def _lock(desk: Memorising, locked: bool) -> None:
    if MUSIC in desk.mixer.state.apps:
        desk.keeper.set_lock(desk.mixer.state.apps[MUSIC], locked=locked)


def _cap(desk: Memorising, cap: float | None) -> None:
    desk.keeper.set_cap(desk.mixer.state.devices[SINK], max_volume=cap)


_DRAGS = st.lists(st.builds(_seen, st.integers(10, 13), _VOLUMES, st.booleans()), max_size=8).map(_in_turn)
_ACTS: st.SearchStrategy[Act] = st.one_of(
    _DRAGS,
    _DRAGS,
    st.builds(_moved, st.integers(10, 11), st.sampled_from([1, 3, None])),
    st.builds(lambda volume: lambda desk: desk.show(volume=volume), _VOLUMES),
    st.builds(_quiet_or_not, st.sampled_from([0.1, GRACE + SETTLING])),
    st.builds(_quiet_or_not, st.just(GRACE + SETTLING)),
    st.builds(lambda volume: lambda desk: _ask(desk, volume), _VOLUMES),
    st.builds(
        lambda index: lambda desk: desk.mixer.on_event(Gone(kind=Kind.PLAYBACK, index=index)),
        st.integers(10, 13),
    ),
    st.builds(lambda locked: lambda desk: _lock(desk, locked), st.booleans()),
    st.builds(lambda cap: lambda desk: _cap(desk, cap), st.sampled_from([None, 0.25])),
    st.just(lambda desk: desk.keeper.forget(None)),
)


@settings(max_examples=100)
@given(st.lists(_ACTS, max_size=25))
def test_what_is_put_off_is_learned_as_if_it_had_been_learned_at_once(acts: list[Act]) -> None:
    at_once = _after(acts, at_once=True)
    assert _after(acts, at_once=False) == at_once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pwmixer_dbus.keeper.PART", 1)
        assert _after(acts, at_once=False, in_parts=True) == at_once


def _after(acts: Iterable[Act], *, at_once: bool, in_parts: bool = False) -> tuple[object, ...]:
    """Return what these acts have led to: what was sent and told, what is remembered, in its order, and the applications."""

    async def main() -> tuple[object, ...]:
        desk, told = Memorising(Memory()), list[tuple[Change, ...]]()
        desk.mixer.subscribe(lambda _, changes, __: told.append(changes), levels=False)
        if at_once:
            desk.mixer.subscribe(lambda _, __, ___: desk.keeper.learn())
        desk.connect(*(stream(index, device=1) for index in (10, 11)), stream(12, device=1, has_volume=False))
        await desk.quiet()
        for act in acts:
            doing = act(desk)
            if doing is not None:
                await doing
            if in_parts:
                desk.keeper.learn_part()
        memory = desk.keeper.memory
        known = [*memory.apps.values(), *memory.devices.values()]
        return desk.sent, told, known, list(desk.mixer.state.apps.values())

    return jumped(main())
