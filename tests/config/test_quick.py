"""The quick reader says what pydantic says, or nothing; and where it says something, pydantic stays where it is."""

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from session import completed

from pwmixer_dbus.config import quick
from pwmixer_dbus.config.schema import Document, keys
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
    st.sampled_from([*(entry.name for entry in quick.KEYS), "colour"]), values, max_size=3
)
documents = st.dictionaries(
    st.sampled_from([*(entry.table for entry in quick.KEYS), "outlook"]), tables | values, max_size=4
)


def by_pydantic(document: dict[str, Any]) -> Settings | None:
    """Return what the schema makes of a document, None where it refuses."""
    try:
        return Document.model_validate(document).to_settings()
    except ValidationError:
        return None


@given(documents)
def test_both_readers_take_the_same_documents_for_the_same_settings(document: dict[str, Any]) -> None:
    assert quick.settings_of(document) == by_pydantic(document)


@pytest.mark.parametrize("entry", quick.KEYS, ids=lambda entry: entry.field)
def test_both_ends_of_a_range_are_in_it_and_what_is_beyond_is_not(entry: quick.Entry) -> None:
    for value in (entry.lowest, entry.highest, entry.lowest - 1e-9, entry.highest + 1e-9):
        document = {entry.table: {entry.name: value}}
        assert quick.settings_of(document) == by_pydantic(document)


def test_it_knows_every_key() -> None:
    assert {(entry.table, entry.name) for entry in quick.KEYS} == {key.path for key in keys()}


@pytest.mark.parametrize(
    ("text", "is_imported"),
    [
        ('[[rules]]\nname = "music"\nmatch.app = "re:^radio"\nto = "headset"\n', False),
        ('[[rules]]\nname = "music"\nvolume = 9\n', False),
        ("[volume]\nmax = 1.2\n[memory]\ngrace = 3\n[log]\nlevel = 'debug'\n", False),
        ("[volume]\nmax = 9\n", True),
    ],
)
def test_pydantic_is_imported_only_to_say_what_is_wrong(
    tmp_path: Path, text: str, *, is_imported: bool
) -> None:
    file = tmp_path / "config.toml"
    code = (
        "import sys; from pathlib import Path; from pwmixer_dbus.daemon import Configuration\n"
        "from pwmixer_dbus.core.errors import MixerError\n"
        f"configuration = Configuration(Path({str(file)!r}), 'error'); configuration.read()\n"
        f"Path({str(file)!r}).write_text({text!r})\n"
        "try: configuration.read()\n"
        "except MixerError: pass\n"
        "print('pydantic' in sys.modules or 'pydantic_core' in sys.modules)"
    )
    done = completed(sys.executable, "-c", code, check=True)
    assert done.stdout == f"{is_imported}\n"
