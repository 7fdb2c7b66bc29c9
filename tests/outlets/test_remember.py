"""Rules that are made of where programs play: written together, and what is on no device at that moment says nothing."""

from pathlib import Path

import pytest
from core.build import no_parents
from dbus_fast import Variant
from test_mixer import Desk, on_a_desk, stream

from pwmixer_dbus.config.rulebook import RuleBook
from pwmixer_dbus.core import requests
from pwmixer_dbus.core.errors import LimitsExceededError, NotFoundError
from pwmixer_dbus.core.events import Seen
from pwmixer_dbus.core.rules import RULE_LIMIT
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
        assert rules.carry_out("Remember", [selector]) == (["Remembered: Music"],)
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


def films_too(desk: Desk) -> None:
    desk.mixer.on_event(Seen(record=stream(11, device=3, properties={"application.process.binary": "films"})))


def names(rules: RuleMethods) -> list[str]:
    _, listed = rules.carry_out("ListRules", [])
    return [rule["name"].value for rule in listed]


def test_several_applications_are_remembered_in_one_write_and_all_of_their_rules_named(
    tmp_path: Path,
) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        films_too(desk)
        rules = made(desk, tmp_path)
        (revision, _) = rules.carry_out("ListRules", [])
        both = ["Remembered: Music", "Remembered: Films"]
        assert rules.carry_out("Remember", ["stream:*"]) == (both,)
        assert (names(rules), rules.carry_out("ListRules", [])[0]) == (both, revision + 1)
        assert rules.carry_out("Remember", ["stream:*"]) == (both,)
        assert names(rules) == both

    main()


def test_where_there_is_room_for_some_of_the_rules_none_is_written(tmp_path: Path) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        films_too(desk)
        rules = made(desk, tmp_path)
        full = [
            {
                "name": Variant("s", str(n)),
                "match": Variant("a{sv}", {"app": Variant("s", "x")}),
                "hide": Variant("b", True),
            }
            for n in range(RULE_LIMIT - 1)
        ]
        rules.carry_out("SetRules", [0, full])
        with pytest.raises(LimitsExceededError):
            rules.carry_out("Remember", ["stream:*"])
        assert len(names(rules)) == RULE_LIMIT - 1

    main()
