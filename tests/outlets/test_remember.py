"""Rules that are made of where a program plays: what is on no device at that moment says nothing about that."""

from pathlib import Path

import pytest
from core.build import no_parents
from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.config.rulebook import RuleBook
from pwmixer_dbus.core import requests
from pwmixer_dbus.core.errors import NotFoundError
from pwmixer_dbus.core.events import Seen
from pwmixer_dbus.outlets.bus.rules import RuleMethods
from pwmixer_dbus.router import Router


def made(desk: Desk, folder: Path) -> RuleMethods:
    book = RuleBook(folder / "rules.toml", (), config_path=folder / "config.toml")
    return RuleMethods(
        desk.mixer,
        Router(desk.mixer),
        book,
        lambda selector: requests.targets_of(desk.mixer.state, selector, no_parents),
    )


@pytest.mark.parametrize("selector", ["app:music", "stream:*"])
def test_an_application_is_remembered_while_one_of_its_streams_is_on_no_device(
    selector: str, tmp_path: Path
) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        desk.mixer.on_event(Seen(record=stream(11)))
        rules = made(desk, tmp_path)
        assert rules.carry_out("Remember", [selector]) == ("Remembered: Music",)
        ((_, (rule,)),) = [rules.carry_out("ListRules", [])]
        assert rule["to"].value == ["sink1"]

    main()


@pytest.mark.parametrize("selector", ["app:music", "stream:1"])
def test_where_nothing_is_on_a_device_that_is_said(selector: str, tmp_path: Path) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        desk.mixer.on_event(Seen(record=stream()))
        with pytest.raises(NotFoundError, match=r"stream:1 is on no device at the moment\."):
            made(desk, tmp_path).carry_out("Remember", [selector])

    main()
