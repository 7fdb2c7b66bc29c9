"""A table is a dict that lasts: held to one by any sequence of what is put in and taken out."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.table import BUCKETS, SMALL, Table, lasting, with_entry, without

KEYS = st.one_of(st.integers(0, 3 * SMALL), st.tuples(st.sampled_from(["a", "b"]), st.integers(0, SMALL)))
STEPS = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers())), max_size=40)
"""Entries that are put in, and keys that are taken out."""

SIZES = st.sampled_from([0, 1, SMALL // 2, SMALL // 2 + 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])


@given(SIZES, STEPS)
def test_whatever_is_put_in_and_taken_out_it_is_as_a_dict(
    size: int, steps: list[tuple[object, int | None]]
) -> None:
    model: dict[object, int] = {key: -key for key in range(size)}
    table = lasting(dict(model))
    assert isinstance(table, Table) is (size > SMALL)
    for key, value in steps:
        held, shown = table, list(table.items())
        if value is not None:
            model[key], table = value, with_entry(table, key, value)
        elif key in model:
            del model[key]
            table = without(table, key)
        else:
            with pytest.raises(KeyError):
                without(table, key)
        assert list(held.items()) == shown, "one that somebody holds was touched"
        assert list(table.items()) == list(model.items())
        assert len(table) == len(model)
        assert (table.get(key), table.get(key, 7), key in table) == (
            model.get(key),
            model.get(key, 7),
            key in model,
        )
    assert [*table] == [*table.keys()] == [*model]
    assert [*table.values()] == [*model.values()]
    assert table == model
    assert model == table
    assert repr(table) == repr(model)
    assert {**table} == model


def test_one_that_has_grown_is_a_table_and_one_that_has_shrunk_a_dict() -> None:
    table: Mapping[int, int] = {}
    for key in range(SMALL + 1):
        assert type(table) is dict
        table = with_entry(table, key, key)
    for key in range(SMALL // 2 + 1):
        assert type(table) is Table
        table = without(table, key)
    assert type(table) is dict


def test_an_absent_key_is_told_as_by_a_dict() -> None:
    table = lasting({key: key for key in range(2 * SMALL)})
    with pytest.raises(KeyError):
        table[-1]
    assert table.get(-1) is None
    assert -1 not in table


def test_tables_are_equal_where_their_entries_are() -> None:
    entries = {key: key for key in range(2 * SMALL)}
    turned = lasting(dict(reversed(entries.items())))
    assert lasting(entries) == turned
    assert with_entry(turned, 0, 1) != turned


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8, 16, 64])
def test_indexes_at_intervals_do_not_meet_in_few_buckets(stride: int) -> None:
    count = 1000
    table = lasting({stride * i: i for i in range(count)})
    assert isinstance(table, Table)
    assert max(map(len, table._buckets)) <= 2 * count / BUCKETS
