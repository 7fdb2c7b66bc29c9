"""Property lists made to harm, and those of Windows programs: what libpulse's text form does not escape."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_convert import MANY, Proplist, libpulse, read_back

from pwmixer_dbus.core.model import TEXT_LIMIT

BITS = ['"', " = ", ' = "', '" = "', "=", " ", "hex:", "\\", "x", "y" * 600]
HOSTILE = st.lists(st.sampled_from(BITS), max_size=5).map("".join)


@pytest.mark.parametrize("value", ["C:\\music\\song.mp3", "C:\\music\\", "\\", '\\"', '\\\\"x'])
def test_a_backslash_is_a_character_like_any_other(value: str) -> None:
    proplist = Proplist(media_name=value, node_name=value, application_name="Game.exe")
    assert read_back(proplist) == {
        "media.name": value,
        "node.name": value,
        "application.name": "Game.exe",
    }


@pytest.mark.parametrize("head", ['x"', "x=", 'x = "', "= ", '"'])
def test_no_key_forges_another_entry(head: str) -> None:
    proplist = Proplist(pipewire_sec_pid="7")
    assert proplist.set(f"{head}pipewire.sec.pid", "42")
    proplist.set("media.name", "Song")
    read = read_back(proplist)
    assert (read["pipewire.sec.pid"], read["media.name"]) == ("7", "Song")


def test_no_key_of_what_is_no_text_forges_an_entry() -> None:
    proplist = Proplist()
    libpulse.pa_proplist_set(proplist.address, b'pipewire.sec.pid = "42" ', b"\x00\xff", 2)
    assert read_back(proplist) == {}


@pytest.mark.parametrize("value", ["a" * 100_000, "\\" * 100_000, '"' * 100_000, " = " * 30_000])
def test_a_long_text_is_read_in_no_time(value: str) -> None:
    proplist = Proplist(application_name="Music", media_name=value)
    before = time.process_time()
    read = read_back(proplist)
    assert time.process_time() - before < 0.5
    assert read["application.name"] == "Music"


@MANY
@given(st.lists(st.tuples(HOSTILE, HOSTILE | st.just("\x00"))))
def test_any_list_is_taken_apart_between_its_entries_only(entries: list[tuple[str, str]]) -> None:
    proplist, held = Proplist(), dict[str, str]()
    for key, value in entries:
        if value == "\x00":
            libpulse.pa_proplist_set(proplist.address, key.encode(), b"\x00\xff", 2)
            held.pop(key, None)
        elif proplist.set(key, value):
            held[key] = value
    assert read_back(proplist) == {key[:TEXT_LIMIT]: value[:TEXT_LIMIT] for key, value in held.items()}
