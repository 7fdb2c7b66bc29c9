"""Object paths: every name comes back from its own, and what nobody is called costs nothing."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.outlets.bus.paths import escape, unescape

LONG = 1_000_000


@given(st.text(min_size=1, max_size=TEXT_LIMIT).map(clean).filter(bool))
def test_every_name_is_read_back(name: str) -> None:
    assert unescape(escape(name)) == name


def test_the_longest_name_is_read_back() -> None:
    name = "\N{MUSICAL SYMBOL G CLEF}" * TEXT_LIMIT
    assert unescape(escape(name)) == name


def test_of_a_path_that_is_longer_than_any_name_nothing_is_kept() -> None:
    tracemalloc.start()
    try:
        assert unescape("_2f" * LONG) is None
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < LONG
