"""Property lists made to harm, and those of Windows programs: what libpulse's text form does not escape."""

import time

import pytest
from test_convert import Proplist, read_back


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


@pytest.mark.parametrize("value", ["a" * 100_000, "\\" * 100_000, '"' * 100_000, " = " * 30_000])
def test_a_long_text_is_read_in_no_time(value: str) -> None:
    proplist = Proplist(application_name="Music", media_name=value)
    before = time.process_time()
    read = read_back(proplist)
    assert time.process_time() - before < 0.5
    assert read["application.name"] == "Music"
