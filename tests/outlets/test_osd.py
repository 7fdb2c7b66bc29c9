"""The on-screen display: what is shown and what never is, on a loop whose clock jumps; the screen is a double."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from jumping import as_test, jumped
from test_mixer import SINK, USER, Desk, sink, snapshot, stream

from pwmixer_dbus.core.commands import SetMuted, SetVolume
from pwmixer_dbus.core.events import Disconnected, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import OsdSettings
from pwmixer_dbus.core.verbs import Plan
from pwmixer_dbus.outlets.osd import SPACING, Notice, OnScreenDisplay

QUIET = replace(USER, quiet=True)
SECONDS = 1.5


class Screen:
    """Shows notices when the test lets it; answers with numbers, or as a desktop without notifications."""

    def __init__(self) -> None:
        self.shown: list[tuple[Notice, int]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.at_once = 0
        self.error: OSError | None = None

    async def show(self, notice: Notice, replaced: int) -> int:
        self.at_once += 1
        assert self.at_once == 1, "one is on its way already"
        self.shown.append((notice, replaced))
        await self.free.wait()
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return 40 + len(self.shown)

    @property
    def texts(self) -> list[str]:
        return [notice.text for notice, _ in self.shown]


Test = Callable[[Desk, Screen], Coroutine[Any, Any, None]]


def on_a_screen(test: Test) -> Callable[[], None]:
    """Run a test with a display that is open; nothing may be left over."""

    async def main() -> None:
        desk, screen = Desk(), Screen()
        osd = OnScreenDisplay(desk.mixer, OsdSettings(enabled=True, seconds=SECONDS), screen)
        await test(desk, screen)
        osd.close()

    return as_test(test, main)


# What is shown


@on_a_screen
async def test_what_a_person_asks_for_is_shown_with_its_level(desk: Desk, screen: Screen) -> None:
    desk.set_volume(0.3)
    desk.obey()
    await asyncio.sleep(SPACING)
    ((notice, replaced),) = screen.shown
    assert notice == Notice(title="sink1", text="30%", icon="audio-volume-low", percent=30, seconds=SECONDS)
    assert replaced == 0


@on_a_screen
async def test_what_another_program_does_to_a_default_device_is_shown(desk: Desk, screen: Screen) -> None:
    desk.show(volume=0.7)
    await asyncio.sleep(SPACING)
    desk.show(volume=0.7, muted=True)
    await asyncio.sleep(SPACING)
    assert [(n.text, n.icon, n.percent) for n, _ in screen.shown] == [
        ("70%", "audio-volume-high", 70),
        ("muted", "audio-volume-muted", 70),
    ]


@on_a_screen
async def test_another_device_is_shown_only_where_a_person_asks_for_it(desk: Desk, screen: Screen) -> None:
    desk.mixer.on_event(Seen(record=sink(3, volume=0.1)))
    await asyncio.sleep(SPACING)
    assert screen.shown == []
    desk.ask(SetVolume(key=(Kind.SINK, 3), channels=(0.2, 0.2)))
    desk.mixer.on_event(Seen(record=sink(3, volume=0.2)))
    await asyncio.sleep(SPACING)
    assert [(n.title, n.text) for n, _ in screen.shown] == [("sink3", "20%")]


@on_a_screen
async def test_a_stream_is_shown_as_its_application_where_a_person_asks_for_it(
    desk: Desk, screen: Screen
) -> None:
    desk.mixer.on_event(Seen(record=stream(volume=0.9, device=1)))
    await asyncio.sleep(SPACING)
    assert screen.shown == [], "a program may set itself as it likes"
    desk.ask(SetVolume(key=(Kind.PLAYBACK, 10), channels=(0.5, 0.5)))
    desk.mixer.on_event(Seen(record=stream(volume=0.5, device=1)))
    await asyncio.sleep(SPACING)
    assert [(n.title, n.text, n.icon) for n, _ in screen.shown] == [("Music", "50%", "audio-volume-medium")]


@on_a_screen
async def test_above_one_hundred_percent_the_bar_is_full(desk: Desk, screen: Screen) -> None:
    desk.show(volume=1.2)
    await asyncio.sleep(SPACING)
    assert [(n.text, n.percent) for n, _ in screen.shown] == [("120%", 100)]


@on_a_screen
async def test_a_key_is_answered_where_there_is_no_further_as_well(desk: Desk, screen: Screen) -> None:
    desk.show(volume=1.0)
    await asyncio.sleep(2 * SECONDS)
    for _ in range(2):
        desk.step(0.05)
        desk.answer()
        await asyncio.sleep(SPACING)
    assert [(text, replaced) for text, (_, replaced) in zip(screen.texts, screen.shown, strict=True)] == [
        ("100%", 0),
        ("100%", 0),
        ("100%", 42),
    ]


@on_a_screen
async def test_so_is_one_that_mutes_what_is_muted(desk: Desk, screen: Screen) -> None:
    desk.show(volume=0.5, muted=True)
    await asyncio.sleep(SPACING)
    desk.ask(SetMuted(key=SINK, muted=True))
    desk.answer()
    await asyncio.sleep(SPACING)
    assert screen.texts == ["muted", "muted"]


@on_a_screen
async def test_what_has_changed_is_shown_once(desk: Desk, screen: Screen) -> None:
    desk.set_volume(0.3)
    desk.obey()
    await asyncio.sleep(SECONDS)
    desk.step(0.05)
    desk.mixer.on_event(Seen(record=sink(volume=0.35)))
    desk.answer()
    await asyncio.sleep(SECONDS)
    assert screen.texts == ["30%", "35%"]


@on_a_screen
async def test_what_is_not_in_force_yet_is_shown_when_it_is(desk: Desk, screen: Screen) -> None:
    """As on a device that is suspended, which acknowledges and does nothing until it runs."""
    desk.set_volume(0.3)
    desk.answer()
    await asyncio.sleep(1.0)
    assert screen.shown == []
    desk.show(volume=0.3)
    await asyncio.sleep(SPACING)
    assert screen.texts == ["30%"]


# What never is


@on_a_screen
async def test_of_several_that_are_so_already_none_is_shown(desk: Desk, screen: Screen) -> None:
    commands = tuple(SetVolume(key=(Kind.SINK, index), channels=(0.5, 0.5)) for index in (1, 3))
    desk.mixer.submit(Plan(commands=commands), USER, desk.answers.append)
    desk.answer()
    desk.answer()
    await asyncio.sleep(SPACING)
    assert (screen.shown, desk.answers) == ([], [None])


@on_a_screen
async def test_what_was_asked_for_quietly_is_not_shown(desk: Desk, screen: Screen) -> None:
    for _ in range(2):
        desk.set_volume(0.3, QUIET)
        desk.obey()
        await asyncio.sleep(SPACING)
    assert screen.shown == []


@on_a_screen
async def test_nor_where_the_server_shows_it_late(desk: Desk, screen: Screen) -> None:
    desk.set_volume(0.3, QUIET)
    desk.answer()
    await asyncio.sleep(1.9)  # it is no longer waited for
    desk.show(volume=0.3)
    await asyncio.sleep(SPACING)
    assert screen.shown == []
    await asyncio.sleep(0.2)
    desk.show(volume=0.8)
    await asyncio.sleep(SPACING)
    desk.show(volume=0.3)
    await asyncio.sleep(SPACING)
    assert screen.texts == ["80%", "30%"], "later it is somebody else's"


@on_a_screen
async def test_what_a_person_takes_back_is_shown(desk: Desk, screen: Screen) -> None:
    desk.set_volume(0.3)
    desk.obey()
    await asyncio.sleep(SPACING)
    desk.mixer.undo(1, replace(USER, kind="undo"), lambda _undone, _error: None)
    desk.obey()
    await asyncio.sleep(SPACING)
    assert screen.texts == ["30%", "50%"]


@pytest.mark.parametrize("kind", ["rule", "memory"])
def test_what_the_service_does_of_its_own_accord_is_not_shown(kind: str) -> None:
    @on_a_screen
    async def main(desk: Desk, screen: Screen) -> None:
        commands = (SetVolume(key=SINK, channels=(0.2, 0.2)), SetMuted(key=SINK, muted=True))
        desk.mixer.act(((command, "because") for command in commands), kind)
        desk.obey()
        desk.obey()
        await asyncio.sleep(SPACING)
        assert screen.shown == []

    main()


@on_a_screen
async def test_what_is_found_at_the_start_or_after_a_reconnect_is_not_shown(
    desk: Desk, screen: Screen
) -> None:
    desk.mixer.on_event(Disconnected(reason="gone"))
    listed = snapshot()
    desk.mixer.on_event(replace(listed, devices=(sink(volume=0.1), sink(3))))
    desk.mixer.on_event(Seen(record=sink(4, volume=0.4)))
    await asyncio.sleep(SPACING)
    assert screen.shown == []


@on_a_screen
async def test_a_change_of_something_else_is_not_shown(desk: Desk, screen: Screen) -> None:
    desk.show(description="Loudspeakers", state="running")
    desk.show(channels=(0.5, 0.3), description="Loudspeakers", state="running")
    await asyncio.sleep(SPACING)
    assert screen.shown == [], "nor the balance"


# One at a time


@on_a_screen
async def test_each_replaces_the_one_before_as_long_as_that_is_there(desk: Desk, screen: Screen) -> None:
    for volume in (0.1, 0.2, 0.3):
        desk.show(volume=volume)
        await asyncio.sleep(SECONDS / 2)
    await asyncio.sleep(SECONDS)
    desk.show(volume=0.4)
    await asyncio.sleep(SPACING)
    assert [replaced for _, replaced in screen.shown] == [0, 41, 42, 0]


@on_a_screen
async def test_while_one_is_on_its_way_only_the_latest_waits(desk: Desk, screen: Screen) -> None:
    screen.free.clear()
    for step in range(1, 50):
        desk.show(volume=step / 100)
        await asyncio.sleep(0.01)
    assert screen.texts == ["1%"]
    screen.free.set()
    await asyncio.sleep(2 * SPACING)
    assert screen.texts == ["1%", "49%"]


@on_a_screen
async def test_a_slider_that_is_dragged_is_shown_twenty_times_a_second_and_at_its_end(
    desk: Desk, screen: Screen
) -> None:
    for step in range(1, 101):
        desk.show(volume=step / 100)
        await asyncio.sleep(0.01)
    await asyncio.sleep(2 * SPACING)
    assert 18 <= len(screen.shown) <= 22
    assert screen.texts[-1] == "100%"


def test_without_a_notification_service_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    @on_a_screen
    async def main(desk: Desk, screen: Screen) -> None:
        screen.error = OSError("The name is not activatable")
        for volume in (0.1, 0.2, 0.3):
            desk.show(volume=volume)
            await asyncio.sleep(SPACING)
        screen.error = None
        desk.show(volume=0.4)
        await asyncio.sleep(2 * SPACING)
        assert screen.shown[-1][1] == 0

    with caplog.at_level(logging.WARNING):
        main()
    assert [record.getMessage() for record in caplog.records] == [
        "changes cannot be shown on the screen: The name is not activatable"
    ]


def test_when_it_is_switched_off_nothing_is_left() -> None:
    async def main() -> None:
        desk, screen = Desk(), Screen()
        osd = OnScreenDisplay(desk.mixer, OsdSettings(enabled=True), screen)
        screen.free.clear()
        desk.show(volume=0.1)
        await asyncio.sleep(0)
        osd.close()
        for _ in range(2):
            desk.set_volume(0.2)
            desk.obey()
            await asyncio.sleep(SPACING)
        assert screen.texts == ["10%"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    jumped(main())


def test_by_default_it_is_off() -> None:
    assert not OsdSettings().enabled
