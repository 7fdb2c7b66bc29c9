"""Rules whose patterns would hold the service while it reads them are refused before any is read, whoever hands them over."""

from pathlib import Path

import pytest
from dbus_fast import Variant
from test_mixer import Desk, on_a_desk
from test_remember import made, names

from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.core.patterns import _regex

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
        rules = made(desk, tmp_path)
        _regex.cache_clear()
        with pytest.raises(LimitsExceededError, match="fewer or shorter"):
            rules.carry_out(method, arguments)
        assert _regex.cache_info().misses == 0
        assert names(rules) == []

    main()
