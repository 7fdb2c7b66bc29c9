"""The JSON dialect: the parser of the service accepts exactly what the published schema describes."""

import json
from typing import Any

import gen_socket_schema
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pwmixer_dbus.core.errors import InvalidArgumentError, NotFoundError
from pwmixer_dbus.outlets.socket import jsonlines
from pwmixer_dbus.outlets.socket.asked import Asked, Look, Route, SetMuted, SetVolume, Step, Watch
from pwmixer_dbus.outlets.socket.schema import Event, Message, Reply

KEYS = ("id", "command", "action", "app", "target", "amount", "volume", "device", "context", "quiet", "x")
ACTIONS = ("up", "down", "mute", "unmute", "toggle", "get", "set", "route", "subscribe", "fly")

LEVELS = st.sampled_from([0, 1, 0.05, 1.5, 1.5000001, -0.0, -1, 2, 10**400, True, "0.5"]) | st.floats()
TEXTS = (
    st.sampled_from(["", "firefox", "@sink", "x" * 128, "x" * 129, "x" * 512, "x" * 520, "\x00"]) | st.text()
)
IDS = st.sampled_from([0, 7, -7, 2**53 - 1, 2**53, -(2**53), 7.0, True]) | TEXTS
OTHERS = st.sampled_from([None, [], {}, [1], {"a": 1}])
FITTING = {
    "id": IDS,
    "action": st.sampled_from(ACTIONS),
    "amount": LEVELS,
    "volume": LEVELS,
    "quiet": st.booleans(),
}


ALLOWED = {
    **dict.fromkeys(("up", "down"), ("amount", "context", "quiet", "id")),
    **dict.fromkeys(("mute", "unmute", "toggle"), ("context", "quiet", "id")),
    **dict.fromkeys(("set", "route"), ("volume", "device", "context", "quiet", "id")),
    **dict.fromkeys(("get", "subscribe", "fly"), ("id",)),
}
NEEDED = {"set": "volume", "route": "device"}


@st.composite
def actions(draw: st.DrawFn) -> dict[str, Any]:
    """Make a message that is nearly right, and often right."""
    action = draw(st.sampled_from(ACTIONS))
    document: dict[str, Any] = {"action": action}
    if action != "subscribe":
        document[draw(st.sampled_from(("app", "target")))] = draw(TEXTS)
    more = st.lists(
        st.sampled_from([k for k in ALLOWED[action] if k not in {"volume", "device"}]), unique=True
    )
    for key in [*draw(more), *([NEEDED[action]] if action in NEEDED else [])]:
        document[key] = draw(FITTING.get(key, TEXTS))
    match draw(st.integers(0, 5)):
        case 0:
            document[draw(st.sampled_from(KEYS))] = draw(TEXTS | LEVELS | OTHERS)
        case 1:
            del document[draw(st.sampled_from(sorted(document)))]
    return document


NESTED = st.builds(
    lambda outer, inner: {**outer, "command": inner},
    st.fixed_dictionaries({}, optional={"id": IDS, "x": IDS}),
    actions() | TEXTS | OTHERS,
)


def by_schema(line: bytes) -> bool:
    try:
        Message.model_validate_json(line)
    except ValidationError:
        return False
    return True


def by_service(line: bytes) -> bool:
    try:
        jsonlines.asked_of(jsonlines.document_of(line))
    except InvalidArgumentError:
        return False
    return True


@settings(max_examples=300)
@given(document=actions() | NESTED)
@example(document={"action": "up", "app": "a", "target": "b"})
@example(document={"command": {"action": "subscribe", "id": 7}})
@example(document={"action": "set", "app": "a", "volume": float("nan")})
@example(document={"command": "no such command"})
@example(document={"command": {"command": "LIST"}})
@example(document={"id": "\ud800", "action": "subscribe"})
@example(document={"action": "get", "app": "\U0001f3a7"})
def test_the_service_accepts_exactly_what_the_schema_describes(document: dict[str, Any]) -> None:
    line = json.dumps(document).encode()
    accepted = by_schema(line)
    event(f"accepted: {accepted}")
    assert by_service(line) == accepted, line


@settings(max_examples=300)
@given(
    document=actions() | NESTED,
    edits=st.lists(
        st.tuples(st.integers(0, 99), st.binary(max_size=3), st.booleans()), min_size=1, max_size=3
    ),
)
def test_what_is_hardly_json_is_taken_alike(
    document: dict[str, Any], edits: list[tuple[int, bytes, bool]]
) -> None:
    line = bytearray(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for place, piece, instead in edits:
        line[place : place + len(piece) * instead] = piece
    if line.startswith(b"{"):
        assert by_service(bytes(line)) == by_schema(bytes(line)), line


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"action":"subscribe"} {}',
        b'{"action":"subscribe",}',
        b"{'action':'subscribe'}",
        b'{"action":"subscribe","id":' + b"1" * 5000 + b"}",
        b'{"action":"up","app":"a","amount":1e999}',
        b'{"action":"up","app":"a","amount":NaN}',
        b'{"action":"up","app":"\xff"}',
        b'{"action":"up","app":"\\ud800"}',
        b'{"action":"up","app":"a\nb"}',
        b'{"x":' + b"[" * 60000 + b"}",
        b'{"x":' + b'{"x":' * 10000 + b"}",
        b'\xef\xbb\xbf{"action":"subscribe"}',
    ],
)
def test_what_is_no_json_is_refused_by_both(line: bytes) -> None:
    assert not by_schema(line)
    with pytest.raises(InvalidArgumentError, match=r"\S"):
        jsonlines.asked_of(jsonlines.document_of(line))


@pytest.mark.parametrize(
    ("document", "asked"),
    [
        (
            {"app": "vesktop", "action": "up", "amount": 0.05},
            Step(target="app:vesktop", up=True, amount=0.05),
        ),
        ({"target": "@sink", "action": "down"}, Step(target="@sink", up=False)),
        ({"app": "a b", "action": "toggle"}, SetMuted(target="app:a b", mode="toggle")),
        ({"app": "a", "action": "mute"}, SetMuted(target="app:a", mode="on")),
        ({"app": "a", "action": "unmute"}, SetMuted(target="app:a", mode="off")),
        ({"target": "group:music", "action": "get"}, Look(target="group:music")),
        ({"target": "speakers", "action": "set", "volume": 1}, SetVolume(target="speakers", volume=1.0)),
        ({"app": "a", "action": "route", "device": "Game"}, Route(target="app:a", device="Game")),
        ({"action": "subscribe"}, Watch()),
        ({"id": 7, "command": {"action": "subscribe"}}, Watch()),
    ],
)
def test_messages_ask_what_they_say(document: dict[str, Any], asked: object) -> None:
    assert jsonlines.asked_of(document) == Asked(request=asked)  # type: ignore[arg-type]


def test_context_and_quiet_are_passed_on_clean() -> None:
    asked = jsonlines.asked_of({"app": "a", "action": "mute", "context": "a\nkey", "quiet": True})
    assert asked == Asked(request=SetMuted(target="app:a", mode="on"), context="akey", quiet=True)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            {"action": "fly"},
            "An action is one of up, down, mute, unmute, toggle, get, set, route, subscribe.",
        ),
        ({}, "An action is one of"),
        ({"action": "up"}, 'Either "app" names an application, or "target" anything'),
        ({"action": "set", "app": "a", "volume": 50}, "50 % is 0.5"),
        ({"action": "set", "app": "a"}, "volume is a number"),
        (
            {"action": "up", "app": "a", "by": 1},
            "There is no key “by” with the action up; there is: id, action, amount",
        ),
        ({"action": "get", "app": "a", "quiet": True}, "There is no key “quiet”"),
        ({"action": "mute", "app": "a", "quiet": 1}, "quiet is true or false"),
        ({"command": 7}, "A command is an object"),
        ({"id": 1.5, "action": "subscribe"}, "An id is a whole number"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        jsonlines.asked_of(document)
    assert sentence in str(refused.value)


def test_the_id_is_known_even_where_the_rest_is_wrong() -> None:
    document = jsonlines.document_of(b'{"id":"a","action":"fly"}')
    assert jsonlines.id_of(document) == "a"
    line = jsonlines.reply("a", NotFoundError("two\nlines \u00fc"))
    assert line.isascii()
    assert json.loads(line) == {
        "id": "a",
        "ok": False,
        "error": "two lines ü",
        "name": "org.pwmixer.Error.NotFound",
    }


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"volume": 0.5, "muted": True},
        {"volume": 0.5, "muted": True, "connected": False},
        {"streams": ["stream:1"]},
        {"apps": [{"a": 1}]},
    ],
)
def test_replies_are_as_the_schema_describes(answer: dict[str, Any]) -> None:
    Reply.model_validate_json(jsonlines.reply(7, answer))
    Reply.model_validate_json(jsonlines.reply(None, InvalidArgumentError("no")))


def test_events_are_as_the_schema_describes() -> None:
    Event.model_validate_json(jsonlines.told({"event": "default", "kind": "sink", "selector": None}))


def test_the_published_schema_is_that_of_the_models() -> None:
    assert gen_socket_schema.PAGE.read_text(encoding="utf-8") == gen_socket_schema.page(), (
        "run scripts/gen_socket_schema.py"
    )
