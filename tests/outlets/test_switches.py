"""Outlets that the configuration switches: open while it asks for them, opened anew when their part of it changes."""

import logging
from typing import cast

import pytest

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.outlets.bus.methods import Parts
from pwmixer_dbus.outlets.switches import Outlet, Switch, Switchboard

PARTS = cast("Parts", None)
"""The outlets here build on nothing."""


class Lamp:
    """An outlet that notes when it is lit and put out."""

    def __init__(self, seen: list[str], name: str) -> None:
        self._seen = seen
        self._name = name
        seen.append(f"+{name}")

    def close(self) -> None:
        self._seen.append(f"-{self._name}")


def switch(seen: list[str], name: str = "lamp", failure: Exception | None = None) -> Switch:
    def open_with(_parts: Parts, settings: Settings) -> Outlet:
        if failure is not None:
            raise failure
        return Lamp(seen, f"{name} {settings.step}")

    return Switch(name, lambda settings: settings.step if settings.memory else None, open_with)


def test_an_outlet_is_open_while_the_settings_ask_for_it() -> None:
    seen: list[str] = []
    board = Switchboard(PARTS, (switch(seen),))
    off = Settings(memory=False)
    board.follow(off)
    assert seen == []
    board.follow(Settings())
    board.follow(replace(Settings(), log_level="debug"))
    assert seen == ["+lamp 0.05"]
    board.follow(Settings(step=0.1))
    assert seen == ["+lamp 0.05", "-lamp 0.05", "+lamp 0.1"]
    board.follow(off)
    board.close()
    assert seen == ["+lamp 0.05", "-lamp 0.05", "+lamp 0.1", "-lamp 0.1"]


def test_early_ones_are_opened_before_the_others_and_once() -> None:
    seen: list[str] = []
    board = Switchboard(PARTS, (switch(seen, "late"), replace(switch(seen, "early"), early=True)))
    board.follow(Settings(), early=True)
    assert seen == ["+early 0.05"]
    board.follow(Settings())
    assert seen == ["+early 0.05", "+late 0.05"]
    board.close()
    board.follow(Settings(step=0.1))
    assert seen[2:] == ["-late 0.05", "-early 0.05"], "after the end nothing is opened"


def test_closing_puts_out_the_last_opened_first() -> None:
    seen: list[str] = []
    board = Switchboard(PARTS, (switch(seen, "a"), switch(seen, "b")))
    board.follow(Settings())
    board.close()
    assert seen == ["+a 0.05", "+b 0.05", "-b 0.05", "-a 0.05"]


@pytest.mark.parametrize("failure", [OSError("no room"), InvalidArgumentError("no such thing")])
def test_one_that_fails_stops_no_other_and_is_tried_again_when_it_is_changed(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    board = Switchboard(PARTS, (switch(seen, "broken", failure), switch(seen)))
    with caplog.at_level(logging.ERROR):
        board.follow(Settings())
    assert seen == ["+lamp 0.05"]
    assert [record.getMessage() for record in caplog.records] == [
        f"broken is off, since it could not be opened: {failure}"
    ]
    board.follow(Settings(step=0.1))
    assert len(caplog.records) == 2


def test_an_early_one_that_fails_is_told_only_when_all_are_opened(caplog: pytest.LogCaptureFixture) -> None:
    board = Switchboard(PARTS, (replace(switch([], "early", OSError("not yet")), early=True),))
    board.follow(Settings(), early=True)
    assert caplog.messages == []
    board.follow(Settings())
    assert caplog.messages == ["early is off, since it could not be opened: not yet"]


def test_who_goes_on_after_all_opens_the_early_ones_again_or_everything() -> None:
    seen: list[str] = []
    board = Switchboard(PARTS, (switch(seen, "late"), replace(switch(seen, "early"), early=True)))
    board.follow(Settings())
    seen.clear()
    board.close_early()
    board.follow(Settings())
    assert seen == ["-early 0.05", "+early 0.05"]
    seen.clear()
    board.open_anew(Settings())
    assert seen == ["-late 0.05", "-early 0.05", "+late 0.05", "+early 0.05"]
