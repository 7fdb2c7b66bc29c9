"""Whatever a document says, there are settings or there are problems."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.config import schema
from pwmixer_dbus.core.settings import Settings

values = st.one_of(
    st.booleans(),
    st.sampled_from(
        [0, 1, 2, -1, 0.0, 0.001, 0.5, 1.5, 1.500001, 10.0, 10.1, 1 << 70, float("nan"), float("inf")]
    ),
    st.floats(0.0, 2.0),
    st.sampled_from(
        ["", "info", "debug", "loud", "bin:vesktop", "x" * 513, "a\u202eb", "a/b", ".a", "x" * 65]
    ),
    st.dictionaries(st.sampled_from(["", "bin:a", "b\x07"]), st.sampled_from(["bin:b", "", 1]), max_size=2),
    st.sampled_from([[], [1]]),
)
tables = st.dictionaries(
    st.sampled_from([*(key.path[1] for key in schema.KEYS), "colour"]), values, max_size=3
)
documents = st.dictionaries(st.sampled_from([*schema.TABLES[:-1], "outlook"]), tables | values, max_size=4)


@given(documents)
def test_each_key_counts_for_itself(document: dict[str, Any]) -> None:
    parts: list[dict[str, object]] = []
    for table, entries in document.items():
        if isinstance(entries, dict) and table in schema.TABLES:
            parts += [{table: {name: value}} for name, value in entries.items()]
        else:
            parts.append({table: entries})
    alone = [problem for part in parts for problem in schema.read(part)[1]]
    settings, problems = schema.read(document)
    assert [*map(str, problems)] == [*map(str, alone)]
    assert (settings is None) == bool(problems)
    for key in schema.KEYS:
        table, name = key.path
        said = document.get(table)
        if settings is not None and not (isinstance(said, dict) and name in said):
            assert schema.value_of(settings, key) == key.default


@pytest.mark.parametrize(
    ("table", "name", "lowest", "highest", "beyond"),
    [
        ("volume", "max", 0.0, 1.5, 1e-9),
        ("volume", "step", 0.001, 0.5, 1e-9),
        ("memory", "grace", 0.0, 10.0, 1e-9),
        ("memory", "first_volume", 0.0, 1.5, 1e-9),
        ("bar_signal", "number", 1, 30, 1),
        ("osd", "seconds", 0.5, 10.0, 1e-9),
        ("service", "nice", -20, 19, 1),
    ],
)
def test_both_ends_of_a_range_are_in_it_and_what_is_beyond_is_not(
    table: str, name: str, lowest: float, highest: float, beyond: float
) -> None:
    (key,) = (key for key in schema.KEYS if key.path == (table, name))
    for value in (lowest, highest):
        settings, _ = schema.read({table: {name: value}})
        assert settings is not None
        assert schema.value_of(settings, key) == value
    assert schema.read({table: {name: lowest - beyond}})[0] is None
    assert schema.read({table: {name: highest + beyond}})[0] is None


def test_what_makes_no_sense_leaves_no_settings() -> None:
    assert schema.read({"memory": {"enabled": False}, "volume": {"max": 2.0}})[0] is None
    assert schema.read({}) == (Settings(), [])
