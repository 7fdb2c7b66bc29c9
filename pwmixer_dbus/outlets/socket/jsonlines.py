"""The JSON dialect: an object on a line, `{"ok": true, ...}` or `{"ok": false, "error": ...}` is the answer.

What is accepted is defined by `schema`, which is published; this is the same by hand, since pydantic would cost the
running service more than everything else together. A test holds the two to each other.
"""

from collections.abc import Mapping
from json import dumps, loads
from typing import Any

from pwmixer_dbus.core.commands import CONTEXT_LIMIT
from pwmixer_dbus.core.document import Document
from pwmixer_dbus.core.errors import InvalidArgumentError, MixerError
from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.selectors import SELECTOR_LIMIT
from pwmixer_dbus.core.words import sentence
from pwmixer_dbus.outlets.socket.asked import (
    Answer,
    Asked,
    Look,
    Request,
    Route,
    SetMuted,
    SetVolume,
    Step,
    Watch,
    checked_amount,
    checked_volume,
)

ID_LIMIT = 128
ID_RANGE = 2**53 - 1
"""The largest whole number that every JSON library keeps as it is."""


Id = int | str | None
Json = Mapping[str, Any]

_CHANGE = ("app", "target", "context", "quiet")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "up": ("amount", *_CHANGE),
    "down": ("amount", *_CHANGE),
    "mute": _CHANGE,
    "unmute": _CHANGE,
    "toggle": _CHANGE,
    "get": ("app", "target"),
    "set": ("volume", *_CHANGE),
    "route": ("device", *_CHANGE),
    "subscribe": (),
}
"""Each action, and what may stand beside it and `id`."""

_MODES = {"mute": "on", "unmute": "off", "toggle": "toggle"}


def document_of(line: bytes) -> Json:
    """Read a line as a JSON object; raises InvalidArgumentError."""
    try:
        document = loads(line.decode("utf-8"))
        if b"\\u" in line:  # half a character could not be written back
            dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"That is no JSON: {clean(str(error), 200)}.") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError("A line is one JSON object.")
    return document


def id_of(document: Json) -> Id:
    """Return the id by which the answer to a message is known, None where there is none that is valid."""
    name = document.get("id")
    if isinstance(name, str):
        return name if len(name) <= ID_LIMIT else None
    return name if type(name) is int and -ID_RANGE <= name <= ID_RANGE else None


def asked_of(document: Json) -> Asked | str:
    """Read what a message asks, or the text of its command; raises InvalidArgumentError with what would be right."""
    _check_id(document)
    if "command" not in document:
        return _action(document)
    _only(document, ("id", "command"), "beside command")
    match document["command"]:
        case str() as command:
            return command
        case dict() as inner:
            _check_id(inner)
            return _action(inner)
    raise InvalidArgumentError('A command is an object such as {"app": "vesktop", "action": "up"}, or text.')


def reply(name: Id, outcome: Answer | MixerError) -> str:
    """Write what has come of a request as a line; `name` in an error is the one that it has on D-Bus."""
    named: Document = {} if name is None else {"id": name}
    if isinstance(outcome, MixerError):
        return _line({**named, "ok": False, "error": sentence(outcome), "name": outcome.dbus_name})
    return _line({**named, "ok": True, **outcome})


def told(event: Document) -> str:
    """Write what has happened as a line."""
    return _line(event)


def _line(document: Document) -> str:
    # ASCII, so that no name can break a line, whatever the reader takes for a line end.
    return dumps(document, separators=(",", ":")) + "\n"


def _check_id(document: Json) -> None:
    if id_of(document) is None and document.get("id") is not None:
        raise InvalidArgumentError(
            f"An id is a whole number of at most {ID_RANGE}, or text of at most {ID_LIMIT} characters."
        )


def _action(document: Json) -> Asked:
    action = document.get("action")
    if not isinstance(action, str) or action not in _KEYS:
        raise InvalidArgumentError(f"An action is one of {', '.join(_KEYS)}.")
    _only(document, ("id", "action", *_KEYS[action]), f"with the action {action}")
    context, quiet = document.get("context", ""), document.get("quiet", False)
    if not isinstance(context, str) or len(context) > CONTEXT_LIMIT:
        raise InvalidArgumentError(f"A context is text of at most {CONTEXT_LIMIT} characters.")
    if not isinstance(quiet, bool):
        raise InvalidArgumentError("quiet is true or false.")
    return Asked(request=_request(action, document), context=clean(context), quiet=quiet)


def _request(action: str, document: Json) -> Request:
    if action == "subscribe":
        return Watch()
    target = _target(document)
    match action:
        case "get":
            return Look(target=target)
        case "set":
            return SetVolume(target=target, volume=checked_volume(_number(document, "volume")))
        case "route":
            return Route(target=target, device=_text(document, "device", SELECTOR_LIMIT))
        case "up" | "down":
            amount = checked_amount(_number(document, "amount")) if "amount" in document else None
            return Step(target=target, up=action == "up", amount=amount)
    return SetMuted(target=target, mode=_MODES[action])


def _target(document: Json) -> str:
    if ("app" in document) == ("target" in document):
        raise InvalidArgumentError(
            'Either "app" names an application, or "target" anything, such as "@sink".'
        )
    if "app" in document:
        return f"app:{_text(document, 'app', TEXT_LIMIT)}"
    return _text(document, "target", SELECTOR_LIMIT)


def _text(document: Json, key: str, limit: int) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise InvalidArgumentError(f"{key} is text of 1 to {limit} characters.")
    return value


def _number(document: Json, key: str) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgumentError(f"{key} is a number, such as 0.05 for 5 %.")
    return value


def _only(document: Json, known: tuple[str, ...], where: str) -> None:
    for key in document:
        if key not in known:
            raise InvalidArgumentError(
                f"There is no key “{clean(key, 80)}” {where}; there is: {', '.join(known)}."
            )
