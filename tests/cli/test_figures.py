"""What statistics look like: pure functions over documents."""

import copy
import sys
from typing import Any

import pytest

from pwmixer_dbus.cli.figures import duration, event_line, plots, summary, top
from pwmixer_dbus.cli.render import Terminal, cells
from pwmixer_dbus.cli.stats import _go_on

HOSTILE = "Fire\x1b[31mfox\u202e"


def delays(*buckets: tuple[float | None, int]) -> dict[str, Any]:
    count = sum(n for _, n in buckets)
    return {
        "count": count,
        "sum": 1.0,
        "p50": 0.0016,
        "p90": 0.004,
        "p99": 0.0042,
        "max": 0.0042,
        "buckets": buckets,
    }


def cost(
    kind: str, name: str, seconds: float, *, selector: str = "", app: str = "", **counts: int
) -> dict[str, Any]:
    counted = {"notices": 0, "fetches": 0, "commands": 0, "calls": 0, **counts}
    return {"kind": kind, "selector": selector, "name": name, "app": app, "seconds": seconds, **counted}


MEASURED: dict[str, Any] = {
    "uptime": 100.0,
    "counters": {
        "notices": 30,
        "fetches": 20,
        "commands": 8,
        "signals": 40,
        "calls": 10,
        "properties_hits": 3,
    },
    "caches": {"properties": {"hits": 3, "misses": 1, "rate": 0.75}},
    "queues": {"commands": {"now": 1, "peak": 7}},
    "clients": {"sound_server": 5},
    "usage": {"cpu_seconds": 2.0, "memory_private_dirty_bytes": 22 * 2**20, "memory_pss_bytes": 24 * 2**20},
    "histograms": {
        "notice_to_state": delays((0.0004, 3), (0.0016, 12), (0.004, 6), (None, 1)),
        "new_stream_to_moved": delays(),
    },
    "costs": [
        cost("app", "Firefox", 0.1, selector="app:firefox", app="firefox", notices=5),
        cost("playback", HOSTILE, 0.4, selector="stream:1", app="firefox", notices=10, fetches=9, commands=8),
        cost("client", "Firefox", 0.1, app="firefox", notices=1, fetches=1),
        cost("sink", "Speakers", 0.2, selector="sink:speakers", notices=4, fetches=4),
        cost("caller", ":1.7", 0.3, calls=6),
        cost("caller", ":1.8", 0.1, calls=3),
        cost("caller", ":1.9", 0.1, calls=1),
    ],
}
CALLERS = {":1.7": "gnome-shell"}


def rows(drawn: str) -> dict[str, list[str]]:
    """Return the figures of each line of `top`, by what it is about."""
    lines = drawn.splitlines()
    heads = next(i for i, line in enumerate(lines) if "share" in line)
    column = lines[heads].index("for what")
    return {line[column:].strip(): line[:column].split() for line in lines[heads + 1 :]}


def test_a_delay_is_written_in_the_unit_that_fits() -> None:
    written = [
        duration(s) for s in (0.000004, 0.00001, 0.00063, 0.001, 0.0016, 0.0099, 0.025, 1.0, 2.5, 100.0)
    ]
    assert written == [
        "4 µs",
        "10 µs",
        "630 µs",
        "1 ms",
        "1.6 ms",
        "9.9 ms",
        "25 ms",
        "1 s",
        "2.5 s",
        "100 s",
    ]


def test_the_summary_has_everything_and_dashes_where_nothing_was_timed() -> None:
    drawn = summary(MEASURED, Terminal())
    lines = {line.split("  ")[1]: line.split() for line in drawn.splitlines() if line.startswith("  ")}
    assert lines["notice to state"][3:] == ["22", "1.6", "ms", "4", "ms", "4.2", "ms", "4.2", "ms"]
    assert lines["new stream to moved"][4:] == ["0", "-", "-", "-", "-"]
    assert "up 0:01:40, 2.0 s of processor time, 22.0 MiB" in drawn
    assert "looks" in drawn
    assert "properties 75% hits" in drawn
    assert "sound server 5" in drawn
    for width in (30, 40, 50):
        narrow = summary(MEASURED, Terminal(width=width))
        assert max(map(cells, narrow.splitlines())) <= width
        assert "4.2 ms" in narrow


def test_a_histogram_is_drawn_with_its_gaps() -> None:
    drawn = plots(MEASURED, Terminal(width=64)).splitlines()
    assert drawn[0] == "Notice to state, 22 times: half within 1.6 ms, 99% within 4.2 ms"
    assert [line.split("  █")[0].strip() for line in drawn[1:7]] == [
        "≤ 400 µs",
        "≤ 630 µs",
        "≤ 1 ms",
        "≤ 1.6 ms",
        "≤ 2.5 ms",
        "≤ 4 ms",
    ]
    assert drawn[4].endswith("█ 12")
    assert drawn[4].count("█") == 40
    assert drawn[6].count("█") == 20
    assert drawn[7].lstrip().startswith("> 10 s")
    assert drawn[-1] == "New stream to moved, 0 times"
    assert all(cells(line) <= 30 for line in plots(MEASURED, Terminal(width=30)).splitlines())


def test_once_is_no_times() -> None:
    once = {"histograms": {"call_to_reply": delays((0.0016, 1))}}
    assert plots(once, Terminal()).startswith("Call to reply, once: half within")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert plots(MEASURED, Terminal(unicode=False)).replace("µ", "u").isascii()


def test_what_costs_most_comes_first_and_adds_up() -> None:
    found = rows(top(MEASURED, None, CALLERS, Terminal(width=100)))
    assert list(found) == [
        "app:firefox",
        "stream:1 Fire[31mfox",
        "client Firefox",
        "called by gnome-shell",
        "called by programs that have ended",
        "sink:speakers",
        "everything else",
    ]
    assert found["app:firefox"] == ["30.0%", "16", "10", "8", "-"]
    assert found["called by programs that have ended"] == ["10.0%", "-", "-", "-", "4"]
    groups = (
        "app:firefox",
        "called by gnome-shell",
        "called by programs that have ended",
        "sink:speakers",
        "everything else",
    )
    assert sum(float(found[group][0].rstrip("%")) for group in groups) == pytest.approx(100.0)


def test_what_happened_meanwhile_is_told_by_the_second() -> None:
    later = copy.deepcopy(MEASURED)
    later["uptime"] += 2.0
    later["usage"]["cpu_seconds"] += 0.5
    later["counters"]["notices"] += 7
    later["costs"][3].update(seconds=0.3, notices=11)
    later["costs"].append(cost("playback", "New", 0.1, selector="stream:2", app="mpv", notices=1))
    del later["costs"][0]
    drawn = top(later, MEASURED, CALLERS, Terminal(width=100))
    assert "25.0% of a processor" in drawn
    assert "notices 3.5/s" in drawn
    found = rows(drawn)
    assert list(found) == ["app:mpv  stream:2 New", "sink:speakers", "everything else"]
    assert found["sink:speakers"] == ["20.0%", "3.5", "-", "-", "-"]
    assert found["app:mpv  stream:2 New"] == ["20.0%", "0.5", "-", "-", "-"]


def test_a_service_that_did_nothing_is_drawn_too() -> None:
    idle = copy.deepcopy(MEASURED)
    idle["uptime"] += 1.0
    assert "0.0% of a processor" in top(idle, MEASURED, CALLERS, Terminal())


@pytest.mark.parametrize("width", [20, 40, 61, 62, 80, 200])
@pytest.mark.parametrize("height", [3, 8, 24])
def test_top_fits_into_the_terminal_and_obeys_nobody(width: int, height: int) -> None:
    drawn = top(MEASURED, None, {":1.7": HOSTILE}, Terminal(width=width), height)
    assert all(cells(line) <= width for line in drawn.splitlines())
    assert len(drawn.splitlines()) <= height
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn


@pytest.mark.parametrize("width", [14, 40, 100])
def test_colours_change_nothing_but_colours(width: int) -> None:
    plain, colored = (top(MEASURED, None, CALLERS, Terminal(width=width, color=c)) for c in (False, True))
    assert colored.replace("\x1b[1m", "").replace("\x1b[0m", "") == plain
    assert colored.count("\x1b[1m") == colored.count("\x1b[0m") == 2


def test_an_event_is_one_line_for_a_person() -> None:
    event = {"time": 0.0, "what": "reply", "took": 0.0067, "object": "", "detail": "SetVolume"}
    assert event_line(event).split()[1:] == ["reply", "6.7", "ms", "SetVolume"]
    hostile = {**event, "took": 0.0, "object": HOSTILE, "detail": ""}
    assert event_line(hostile).split()[1:] == ["reply", "Fire[31mfox"]


def test_an_event_that_is_longer_than_a_line_goes_on_below(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    event = {"number": 7, "time": 0.0, "what": "changed", "took": 0.001, "object": "stream:1", "detail": ""}
    assert _go_on([event], 7, as_json=False) == 8
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(".000000 changed          1 ms")
    assert second == " " * 16 + "stream:1"


@pytest.mark.parametrize(
    ("first", "told"), [(7, ""), (8, "1 event is missing\n"), (9, "2 events are missing\n")]
)
def test_events_that_were_not_sent_are_counted(
    first: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"number": first, "time": 0.0, "what": "reply", "took": 0.0, "object": "", "detail": ""}
    assert _go_on([event], 7, as_json=False) == first + 1
    assert capsys.readouterr().err == told
