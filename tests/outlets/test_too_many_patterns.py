"""Rules whose patterns would hold the service while it reads them are refused before any is read, whoever hands them over."""

from pathlib import Path

import pytest
from core.build import no_parents
from dbus_fast import Variant
from test_mixer import Desk, on_a_desk

from pwmixer_dbus.config.rulebook import RuleBook
from pwmixer_dbus.core import requests
from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.core.patterns import _regex
from pwmixer_dbus.outlets.bus.rules import RuleMethods
from pwmixer_dbus.router import Router

TOO_MANY = [
    {"name": Variant("s", f"{i}"), "match": Variant("a{sas}", {"app": [f"re:{i}-{n}" for n in range(60)]})}
    for i in range(100)
]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("SetRules", [0, TOO_MANY]), ("TestRules", [TOO_MANY]), ("TestProperties", [TOO_MANY, {"app": "x"}])],
)
def test_of_more_patterns_than_can_be_read_at_once_none_is_read(
    method: str, arguments: list[object], tmp_path: Path
) -> None:
    @on_a_desk
    async def main(desk: Desk) -> None:
        book = RuleBook(tmp_path / "rules.toml")
        rules = RuleMethods(
            desk.mixer,
            Router(desk.mixer),
            book,
            lambda selector: requests.targets_of(desk.mixer.state, selector, no_parents),
        )
        _regex.cache_clear()
        with pytest.raises(LimitsExceededError, match="fewer or shorter"):
            rules.carry_out(method, arguments)
        assert _regex.cache_info().misses == 0
        assert not book.rules

    main()
