"""How `status` looks: pure functions over documents."""

import copy

import pytest
from documents import DOCUMENT

from pwmixer_dbus.cli.render import Terminal, bar, cells, shorten, status, table, wrapped


def test_status_shows_devices_applications_and_their_streams() -> None:
    drawn = status(DOCUMENT, Terminal(width=110))
    lines = drawn.splitlines()
    assert lines[0] == "Connected to PulseAudio (on PipeWire 1.4.2) 15.0.0"
    assert any(line.startswith("● Speakers") and "45%" in line and "default" in line for line in lines)
    assert any("USB DAC" in line and "120%" in line and "muted" in line for line in lines)
    assert lines.index("Applications") < next(i for i, line in enumerate(lines) if "    A song" in line)
    assert "paused, on USB DAC" in drawn
    assert "not playing" in drawn
    assert "stream:5" in drawn


def test_monitors_are_shown_when_asked_for() -> None:
    assert "Monitor of" not in status(DOCUMENT, Terminal())
    assert "Monitor of" in status(DOCUMENT, Terminal(), everything=True)


def test_what_is_locked_is_marked_with_a_word() -> None:
    document = copy.deepcopy(DOCUMENT)
    assert "locked" not in status(document, Terminal(width=110))
    document["sinks"][0]["locked"] = document["apps"][0]["locked"] = True
    lines = [line for line in status(document, Terminal(width=110)).splitlines() if "locked" in line]
    assert len(lines) == 2
    assert lines[0].startswith("● Speakers")
    assert "Firefox" in lines[1]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_cap_is_told_where_it_was_set_and_not_by_all_that_plays_there(width: int) -> None:
    document = copy.deepcopy(DOCUMENT)
    for app in document["apps"]:
        app["streams"] = app["streams"][:1]
    assert "cap" not in status(document, Terminal(width=width))
    for record in (document["sinks"][0], document["streams"][0], document["apps"][0]):
        record["max_volume"] = 0.8
    (line,) = [line for line in status(document, Terminal(width=width)).splitlines() if "cap 80%" in line]
    assert line.startswith("● Speakers")
    document["apps"][0]["max_volume"] = 0.5
    (line,) = [line for line in status(document, Terminal(width=width)).splitlines() if "cap 50%" in line]
    assert "Firefox" in line


def test_what_a_rule_hides_is_shown_when_asked_for() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["streams"][1]["hidden"] = True
    document["apps"][1]["hidden"] = True
    drawn, whole = status(document, Terminal()), status(document, Terminal(), everything=True)
    assert "A song" in drawn
    assert "A video" not in drawn
    assert "My SDL game" not in drawn
    assert "A video" in whole
    assert "My SDL game" in whole


@pytest.mark.parametrize("width", [20, 30, 36, 40, 60, 72, 80, 100, 200])
def test_status_keeps_within_the_terminal_and_its_columns_aligned(width: int) -> None:
    drawn = status(DOCUMENT, Terminal(width=width)).splitlines()
    assert all(cells(line) <= width for line in drawn)
    lines = [line for line in drawn if "%" in line]
    assert len({cells(line.partition("%")[0]) for line in lines}) == 1


def test_a_narrow_terminal_shows_that_something_is_muted_rather_than_a_bar() -> None:
    drawn = status(DOCUMENT, Terminal(width=30))
    assert "█" not in drawn
    (line,) = [line for line in drawn.splitlines() if "USB DAC" in line]
    assert line == "  USB DAC 日…   120%  muted"
    narrow = status(DOCUMENT, Terminal(width=40))
    assert "██████" in narrow
    assert "45%  muted\n" in narrow  # and not what would be left of "paused"
    assert "muted, paused, o" not in status(DOCUMENT, Terminal(width=50))
    assert "muted, paused, on USB DA" in status(DOCUMENT, Terminal(width=70))


def test_what_is_muted_is_said_before_what_is_less() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["sinks"][0]["muted"] = True
    assert "muted, default, Speakers" in status(document, Terminal(width=110))


def test_a_plain_terminal_gets_ascii_marks_and_no_colour() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["sinks"][1]["description"] = "USB DAC"
    drawn = status(document, Terminal(unicode=False))
    assert drawn.isascii()
    assert "\x1b" not in drawn
    assert "* Speakers" in drawn


def test_colour_only_repeats_what_is_said() -> None:
    colored = status(DOCUMENT, Terminal(color=True))
    assert "\x1b[33m" in colored
    assert "muted" in colored


def test_an_escape_in_a_title_is_disarmed() -> None:
    assert "\x1b" not in status(DOCUMENT, Terminal())


def test_a_server_that_is_gone_and_empty_lists_are_said() -> None:
    empty = {**DOCUMENT, "connected": False, "sinks": [], "sources": [], "streams": [], "apps": []}
    drawn = status(empty, Terminal())
    assert drawn.startswith("The sound server is not there at the moment")
    assert "There is no output device." in drawn
    assert "No application plays or records." in drawn


@pytest.mark.parametrize(
    ("volume", "drawn"),
    [(0.0, "····"), (0.5, "██··"), (0.53, "██▏·"), (1.0, "████"), (1.5, "████")],
)
def test_a_bar_counts_eighths(volume: float, drawn: str) -> None:
    assert bar(volume, 4, unicode=True) == drawn


def test_an_ascii_bar_counts_cells() -> None:
    assert bar(0.5, 4, unicode=False) == "##--"


def test_wide_and_combining_characters_count_as_the_terminal_does() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert shorten("日本語", 5) == "日本…"
    assert shorten("abcdef", 5, unicode=False) == "ab..."
    assert table([["日本", "x"], ["a", "y"]]) == "日本  x\na     y"


def test_a_table_is_cut_where_it_is_wide_but_for_what_comes_first() -> None:
    rows = [
        ["sink:speakers", "100%", "Built-in Audio Analog Stereo", "default"],
        ["sink:usb", "5%", "日本", ""],
    ]
    assert table(rows, Terminal(width=60)).splitlines() == table(rows).splitlines()
    assert table(rows, Terminal(width=50)).splitlines() == [
        "sink:speakers  100%  Built-in Audio Anal…  default",
        "sink:usb       5%    日本",
    ]
    assert table(rows, Terminal(width=42, unicode=False)).splitlines() == [
        "sink:speakers  100%  Built-in...   default",
        "sink:usb       5%    日本",
    ]


def test_a_table_that_is_too_wide_even_so_is_written_a_row_at_a_time() -> None:
    rows = [
        ["sink:speakers", "100%", "Built-in Audio Analog Stereo", "default"],
        ["sink:usb", "5%", "日本", ""],
    ]
    assert table(rows, Terminal(width=41), heads=("NAME", "", "WHAT", "")).splitlines() == [
        "sink:speakers  100%",
        "  Built-in Audio Analog Stereo",
        "  default",
        "sink:usb  5%",
        "  日本",
    ]


def test_a_selector_with_blanks_is_whole_also_where_a_row_takes_several_lines() -> None:
    rows = [["app:name:my sdl game", "100%", "My SDL game", "not playing"]]
    assert table(rows, Terminal(width=24)).splitlines() == [
        "app:name:my sdl game",
        "  100%",
        "  My SDL game",
        "  not playing",
    ]
    assert table(rows, Terminal(width=16)).splitlines()[0] == "app:name:my sdl game"


def test_what_is_wanted_whole_is_not_cut() -> None:
    rows = [("  -", "A rule", "the reason is a long sentence"), ("  matches", "B", "why")]
    assert table(rows, Terminal(width=48), is_whole=True) == table(rows)
    assert table(rows, Terminal(width=42), is_whole=True).splitlines() == [
        "  -        A rule  the reason is a long",
        "                   sentence",
        "  matches  B       why",
    ]
    assert table(rows, Terminal(width=20), is_whole=True).splitlines() == [
        "  -  A rule",
        "    the reason is a",
        "    long sentence",
        "  matches  B",
        "    why",
    ]


def test_lines_are_broken_between_words_and_no_word_is() -> None:
    assert wrapped("one two  three", 7) == "one two\nthree"
    assert wrapped("  one two", 7, "    ") == "  one\n    two"
    assert wrapped("see /a/long/path now", 8) == "see\n/a/long/path\nnow"
    assert wrapped("see /a/long/path now", 12, "      ") == "see\n/a/long/path\n      now"
    assert wrapped("see /a/long/path", 14, "      ") == "see\n  /a/long/path"
    assert wrapped("日本 語", 5) == "日本\n語"
    assert wrapped("", 5) == ""
