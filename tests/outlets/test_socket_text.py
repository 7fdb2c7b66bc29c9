"""The text dialect: words, commands, answers and events, each on a line of its own."""

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pwmixer_dbus.core.document import Document
from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.outlets.socket import text
from pwmixer_dbus.outlets.socket.asked import (
    Answer,
    ListAll,
    Look,
    Reload,
    Request,
    Route,
    SetMuted,
    SetVolume,
    Step,
    Watch,
)
from pwmixer_dbus.outlets.socket.lines import LINE_LIMIT, Lines

MANY = settings(max_examples=150)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("ROUTE firefox Game", Route(target="firefox", device="Game")),
        ('ROUTE "Radio One" \'My "Sink"\'', Route(target="Radio One", device='My "Sink"')),
        ("SET_VOLUME @sink 0.5", SetVolume(target="@sink", volume=0.5)),
        ("SET_VOLUME @sink .5", SetVolume(target="@sink", volume=0.5)),
        ("SET_VOLUME @sink 1.", SetVolume(target="@sink", volume=1.0)),
        ("SET_VOLUME\tGame  50%\r", SetVolume(target="Game", volume=0.5)),
        ("MUTE Game true", SetMuted(target="Game", mode="on")),
        ("MUTE Game false", SetMuted(target="Game", mode="off")),
        ("MUTE Game toggle", SetMuted(target="Game", mode="toggle")),
        ("VOLUME_UP group:music", Step(target="group:music", up=True)),
        ("VOLUME_DOWN Game 0.1", Step(target="Game", up=False, amount=0.1)),
        ("GET_VOLUME Game", Look(target="Game")),
        ("GET_MUTE Game", Look(target="Game", muted=True)),
        ("LIST", ListAll(kind="apps")),
        ("LIST sinks", ListAll(kind="sinks")),
        ("RELOAD_CONFIG", Reload()),
        ("WATCH", Watch()),
    ],
)
def test_commands_ask_what_they_say(line: str, request_: Request) -> None:
    assert text.read(line) == request_


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "The line is empty; a command is one of ROUTE,"),
        ("  \r", "The line is empty"),
        ('""', "The line is empty"),
        ("FLY", "“FLY” is no command; there is: ROUTE, SET_VOLUME,"),
        ("set_volume a 0.5", "“set_volume” is no command"),
        ("ROUTE firefox", "It is written ROUTE <app> <sink>; names with blanks in quotes."),
        ("ROUTE a b c", "It is written ROUTE <app> <sink>"),
        ("WATCH me", "It is written WATCH;"),
        ("SET_VOLUME Game loud", "“loud” is no number, such as 0.5 or 50%."),
        ("SET_VOLUME Game nan", "“nan” is no number"),
        ("SET_VOLUME Game 1e3", "“1e3” is no number"),
        ("SET_VOLUME Game -0.1", "“-0.1” is no number"),
        ("SET_VOLUME Game ٣", "“٣” is no number"),
        (
            "SET_VOLUME Game 50",
            "A volume is a number from 0.0 to 1.0, and to 1.5 where the configuration allows it; 50 % is 0.5.",
        ),
        ("SET_VOLUME Game 151%", "A volume is a number from 0.0"),
        ("VOLUME_UP Game 5", "An amount is a number from 0.0 to 1.5; 5 % is 0.05."),
        ("MUTE Game on", "Mute is true, false or toggle, not “on”."),
        ("LIST cards", "There is no list of “cards”; there is: apps, sinks, sources, streams, groups."),
        ('MUTE "Game true', "A quote (\" or ') does not close"),
        ("MUTE Ga'me true", "A quote (\" or ') does not close, or stands within a word."),
        ('MUTE "a"b true', "stands within a word"),
        ('MUTE "a\\', "does not close"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(line: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        text.read(line)
    assert sentence in str(refused.value)
    assert text.refused(refused.value).count("\n") == 1


@MANY
@given(words=st.lists(st.text(), min_size=1))
@example(words=["", '"', "\\", "a b", "'", "\u2028", "ü\t"])
def test_every_text_can_be_written_as_a_word_and_read_back(words: list[str]) -> None:
    assert text.words_of(" ".join(text.quoted(word) for word in words)) == words


@MANY
@given(line=st.text() | st.text(alphabet="\"'\\ ab"))
def test_no_line_does_more_than_be_refused(line: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        text.read(line)


def test_a_long_line_of_quotes_is_read_in_no_time() -> None:
    for piece in ("'", '"', "\\", '"\\', "a'", " "):
        with pytest.raises(InvalidArgumentError):
            text.read("MUTE " + piece * (LINE_LIMIT // len(piece)))


@pytest.mark.parametrize(
    ("request_", "answer", "line"),
    [
        (SetVolume(target="a", volume=0.5), {"volume": 0.5, "limited": "x"}, "OK 0.5\n"),
        (Step(target="a", up=True), {"volume": 1.0}, "OK 1.0\n"),
        (SetMuted(target="a", mode="on"), {"muted": True}, "OK true\n"),
        (Look(target="a"), {"volume": 0.3333, "muted": True}, "OK 0.3333\n"),
        (Look(target="a", muted=True), {"volume": 0.3333, "muted": False}, "OK false\n"),
        (Route(target="a", device="b"), {"streams": ["stream:1", "stream:2"]}, "OK stream:1 stream:2\n"),
        (Reload(), {}, "OK\n"),
        (Watch(), {"state": {}}, "OK\n"),
        (Watch(), {"state": {}, "connected": False}, "OK\nSERVER disconnected\n"),
        (ListAll(kind="groups"), {"groups": []}, "OK 0\n"),
        (
            ListAll(kind="streams"),
            {
                "streams": [
                    {
                        "selector": "stream:1",
                        "volume": 0.5,
                        "muted": False,
                        "app_name": "A B",
                        "media_name": "",
                        "device": None,
                    }
                ]
            },
            'OK 1\nstream:1 0.5 false "A B" - -\n',
        ),
    ],
)
def test_answers_are_one_line_but_for_lists(request_: Request, answer: Answer, line: str) -> None:
    assert text.reply(request_, answer) == line


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (
            {
                "event": "changed",
                "selector": "sink:a b",
                "changes": {"volume": 0.5, "channel_volumes": [0.5]},
            },
            'CHANGED "sink:a b" volume 0.5\n',
        ),
        (
            {"event": "changed", "selector": "stream:1", "changes": {"muted": True, "device": None}},
            "CHANGED stream:1 muted true\nCHANGED stream:1 device -\n",
        ),
        (
            {"event": "added", "selector": "stream:1", "object": {"app_name": "A B", "media_name": "T"}},
            'ADDED stream:1 "A B" T\n',
        ),
        (
            {"event": "added", "selector": "sink:a", "object": {"name": "a", "description": "a"}},
            "ADDED sink:a a\n",
        ),
        ({"event": "removed", "selector": "stream:1"}, "REMOVED stream:1\n"),
        ({"event": "default", "kind": "sink", "selector": None}, "DEFAULT sink -\n"),
        ({"event": "server", "connected": True, "name": "x", "version": ""}, "SERVER connected\n"),
        ({"event": "server", "connected": False, "name": "x", "version": ""}, "SERVER disconnected\n"),
    ],
)
def test_events_are_a_line_for_each_value(event: Document, lines: str) -> None:
    assert text.told(event) == lines


# Lines out of pieces


def taken(lines: Lines) -> list[bytes | None]:
    found = []
    while lines.whole:
        found.append(lines.take())
    return found


@MANY
@given(pieces=st.lists(st.binary(max_size=8) | st.sampled_from([b"\n", b"a\nb"]), max_size=12))
def test_lines_are_the_same_in_whatever_pieces_they_come(pieces: list[bytes]) -> None:
    lines, found = Lines(), []
    for piece in pieces:
        lines.feed(piece)
        found += taken(lines)
    *whole, rest = b"".join(pieces).split(b"\n")
    assert (found, lines.has_rest) == (whole, bool(rest))


@pytest.mark.parametrize("piece", [1000, LINE_LIMIT, 3 * LINE_LIMIT])
def test_a_line_that_is_too_long_is_passed_over_in_bounded_memory(piece: int) -> None:
    lines, found = Lines(), []
    sent = b"x" * LINE_LIMIT + b"\n" + b"y" * (LINE_LIMIT + 1) + b"\nz\n" + b"y" * (5 * LINE_LIMIT) + b"\nz\n"
    for start in range(0, len(sent), piece):
        lines.feed(sent[start : start + piece])
        found += taken(lines)
        assert len(lines._buffer) <= LINE_LIMIT + piece
    assert found == [b"x" * LINE_LIMIT, None, b"z", None, b"z"]
    with pytest.raises(IndexError):
        lines.take()
