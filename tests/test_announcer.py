"""When outlets are told of changes, on a loop whose time jumps: nothing is named before it is announced."""

import asyncio
from collections.abc import Callable

import pytest
from test_mixer import MUSIC, Desk, on_a_desk, sink, stream

from pwmixer_dbus.announcer import CHOICE, RATE, Announcer
from pwmixer_dbus.core.commands import MoveStream, Origin
from pwmixer_dbus.core.document import Level
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.model import App, Device, Kind, Server, Stream
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.subjects import Subject, target_of
from pwmixer_dbus.mixer import MOVE_FIRST


class Notes:
    """A speaker that notes which streams come, and which an application is said to have."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def is_behind(self) -> bool:
        return False

    def come(self, target: Target) -> None:
        if isinstance(target, Stream):
            self.told.append(f"stream {target.index}")

    def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        app = target_of(state, subject)
        if isinstance(app, App):
            was = target_of(before, subject)
            assert not isinstance(was, App) or was.streams != app.streams
            self.told.append(f"app with {[index for _, index in app.streams]}")
        return True

    def louder(self, _subject: Subject, _target: Target, _old: Level, _new: Level) -> bool:
        return True

    def gone(self, target: Target) -> None:
        raise AssertionError(target)


class Objects(Notes):
    """A speaker that notes which devices come and go, and what is told of the default sink."""

    def come(self, target: Target) -> None:
        if isinstance(target, Device):
            self.told.append(f"{target.name} comes")

    def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        if subject != (Kind.SINK, None):
            return False
        was, now = before.default(Kind.SINK), state.default(Kind.SINK)
        self.told.append(f"the default is {now and now.name} and was {was and was.name}")
        return True

    def gone(self, target: Target) -> None:
        if isinstance(target, Device):
            self.told.append(f"{target.name} goes")


def objects_on(desk: Desk) -> Objects:
    """Return what is told on a desk from now on."""
    objects = Objects()
    announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, objects)
    desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
    return objects


def at_its_time(_announcer: Announcer) -> None:
    """Leave it to the timer."""


def healed(announcer: Announcer) -> None:
    """Look at all of the application, though nothing of it may have changed."""
    subject = (Kind.APP, MUSIC)
    announcer.mark(subject)
    announcer.flush((subject,))


@pytest.mark.parametrize("look", [at_its_time, Announcer.flush, Announcer.close, healed])
def test_what_has_to_wait_names_no_stream_that_is_yet_to_be_told(look: Callable[[Announcer], None]) -> None:
    @on_a_desk
    async def run(desk: Desk) -> None:
        notes = Notes()
        announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, notes)
        desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
        desk.mixer.subscribe_first(moving_only(12, desk))
        desk.mixer.on_event(Seen(record=stream(11)))  # after that, the application has to wait
        desk.mixer.on_event(Seen(record=stream(11, corked=True)))
        assert notes.told == ["stream 11", "app with [10, 11]"]
        await asyncio.sleep(1 / RATE - MOVE_FIRST / 2)
        desk.mixer.on_event(Seen(record=stream(12)))
        assert notes.told == ["stream 11", "app with [10, 11]"]
        look(announcer)
        await asyncio.sleep(2 / RATE)
        assert notes.told == ["stream 11", "app with [10, 11]", "stream 12", "app with [10, 11, 12]"]

    run()


def moving_only(index: int, desk: Desk) -> Callable[[MixerState, tuple[Change, ...], Origin], None]:
    """Move one stream as soon as it is there."""

    def move(_before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if any(c.before is None and isinstance(c.after, Stream) and c.after.index == index for c in changes):
            desk.mixer.act([(MoveStream(key=(Kind.PLAYBACK, index), device=3), "a rule")], "rule")

    return move


@on_a_desk
async def test_another_name_at_the_same_index_takes_the_old_object_away(desk: Desk) -> None:
    objects = objects_on(desk)
    desk.mixer.on_event(Seen(record=sink(3, name="other")))
    assert objects.told == ["other comes", "sink3 goes"]


@on_a_desk
async def test_of_a_default_that_goes_nothing_is_told_where_the_next_one_is_chosen_soon(desk: Desk) -> None:
    objects = objects_on(desk)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    await asyncio.sleep(CHOICE / 2)
    desk.mixer.on_event(Seen(record=Server(default_sink="sink3", cookie=1)))
    await asyncio.sleep(2 * CHOICE)
    assert objects.told == ["sink1 goes", "the default is sink3 and was sink1"]


@on_a_desk
async def test_while_the_next_default_is_chosen_nothing_else_waits_for_that(desk: Desk) -> None:
    told: list[tuple[Subject, float]] = []

    class Timed(Objects):
        def louder(self, subject: Subject, _target: Target, _old: Level, new: Level) -> bool:
            told.append((subject, new.volume))
            return True

    announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, Timed())
    desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    for volume in (0.1, 0.2, 0.3):
        desk.mixer.on_event(Seen(record=sink(3, volume=volume)))
    await asyncio.sleep(2 / RATE)
    assert told == [((Kind.SINK, "sink3"), 0.1), ((Kind.SINK, "sink3"), 0.3)]


@on_a_desk
async def test_where_no_default_is_chosen_that_is_told_a_moment_later(desk: Desk) -> None:
    objects = objects_on(desk)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    desk.mixer.on_event(Seen(record=sink(3, description="Headphones")))
    assert objects.told == ["sink1 goes"]
    await asyncio.sleep(2 * CHOICE)
    assert objects.told == ["sink1 goes", "the default is None and was sink1"]


@on_a_desk
async def test_where_nothing_is_left_to_choose_it_is_told_at_once(desk: Desk) -> None:
    objects = objects_on(desk)
    for index in (3, 1):
        desk.mixer.on_event(Gone(kind=Kind.SINK, index=index))
    assert objects.told == ["sink3 goes", "the default is None and was sink1", "sink1 goes"]


@on_a_desk
async def test_who_asks_meanwhile_is_told_first_that_there_is_none(desk: Desk) -> None:
    objects = Objects()
    announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, objects)
    desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=1))
    announcer.flush(((Kind.SINK, None),))
    assert objects.told == ["sink1 goes", "the default is None and was sink1"]


@on_a_desk
async def test_what_is_still_to_be_told_of_a_device_is_told_where_a_namesake_comes_meanwhile(
    desk: Desk,
) -> None:
    told: list[str] = []

    class Descriptions(Objects):
        def changed(self, subject: Subject, _before: MixerState, state: MixerState) -> bool:
            device = target_of(state, subject)
            if subject == (Kind.SINK, "sink3") and isinstance(device, Device):
                told.append(device.description)
            return True

    announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, Descriptions())
    desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
    for description in ("Headset", "Headphones"):
        desk.mixer.on_event(Seen(record=sink(3, description=description)))
    desk.mixer.on_event(Seen(record=sink(5, name="sink3", description="Another")))
    await asyncio.sleep(2 / RATE)
    assert told[0] == "Headset"
    assert told[-1] == "Headphones"


@on_a_desk
async def test_where_one_of_two_namesakes_goes_what_is_told_is_of_the_other(desk: Desk) -> None:
    shown: list[tuple[float, float]] = []

    class Levels(Objects):
        def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
            was, now = target_of(before, subject), target_of(state, subject)
            if subject == (Kind.SINK, "sink3") and isinstance(was, Device) and isinstance(now, Device):
                shown.append((was.channels[0], now.channels[0]))
                return was != now
            return True

    levels = Levels()
    announcer = Announcer(lambda: desk.mixer.state, desk.mixer.tell_all, levels)
    desk.mixer.subscribe(announcer.on_change, before_answers=announcer.on_level)
    desk.mixer.on_event(Seen(record=sink(5, name="sink3", volume=0.9)))
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=3))
    assert shown == [(0.5, 0.5), (0.5, 0.9)]
    desk.mixer.on_event(Gone(kind=Kind.SINK, index=5))
    assert levels.told == ["sink3 goes"]
