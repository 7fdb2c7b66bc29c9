"""The text dialect: a command and its words on a line; `OK [value]` or `ERROR <message>` is the answer.

Words are parted by blanks; one with blanks in it stands in quotes, "..." with backslashes before what they would end,
or '...' as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pwmixer_dbus.core.document import Document, Value
from pwmixer_dbus.core.errors import InvalidArgumentError, MixerError
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.words import sentence
from pwmixer_dbus.outlets.socket.asked import (
    LISTS,
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
    checked_amount,
    checked_volume,
)

_WORD = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"']+))(?=\s|$)""")
_PLAIN = re.compile(r"""[^\s"'\\]+""")
_NUMBER = re.compile(r"((?:\d{1,9}(?:\.\d{0,9})?)|\.\d{1,9})(%?)", re.ASCII)
_MUTES = {"true": "on", "false": "off", "toggle": "toggle"}
_COLUMNS: Mapping[str, Sequence[str]] = {
    "apps": ("selector", "volume", "muted", "name"),
    "sinks": ("selector", "volume", "muted", "description", "default"),
    "sources": ("selector", "volume", "muted", "description", "default"),
    "streams": ("selector", "volume", "muted", "app_name", "media_name", "device"),
    "groups": ("selector", "volume", "muted", "name"),
}


def read(line: str) -> Request:
    """Read a line; raises InvalidArgumentError with what would be right."""
    name, *words = words_of(line) or [""]
    if not name:
        raise InvalidArgumentError(f"The line is empty; a command is one of {', '.join(_COMMANDS)}.")
    command = _COMMANDS.get(name)
    if command is None:
        raise InvalidArgumentError(
            f"“{clean(name, 80)}” is no command; there is: {', '.join(_COMMANDS)}. JSON begins with {{."
        )
    usage, fewest, most, make = command
    if not fewest <= len(words) <= most:
        raise InvalidArgumentError(
            f"It is written {name}{usage and ' '}{usage}; names with blanks in quotes."
        )
    return make(words)


def words_of(line: str) -> list[str]:
    """Part a line into words; raises InvalidArgumentError for quotes that do not close, or that stand within a word."""
    if '"' not in line and "'" not in line:
        return line.split()
    words, position, end = [], 0, len(line.rstrip())
    while position < end:
        match = _WORD.match(line, position, end)
        if match is None:
            raise InvalidArgumentError("A quote (\" or ') does not close, or stands within a word.")
        double, single, plain = match.groups()
        words.append(re.sub(r"\\(.)", r"\1", double) if double is not None else single or plain or "")
        position = match.end()
    return words


def quoted(text: str) -> str:
    """Write a word so that `words_of` reads it back."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def number_of(text: str) -> float:
    """Read a number, `0.5` or `50%`."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InvalidArgumentError(f"“{clean(text, 40)}” is no number, such as 0.5 or 50%.")
    return float(match[1]) / (100 if match[2] else 1)


def reply(request: Request, outcome: Answer | MixerError) -> str:
    """Write what has come of a request, one line or with a list several."""
    if isinstance(outcome, MixerError):
        return refused(outcome)
    return _REPLIES[type(request)](request, outcome)


def refused(error: MixerError) -> str:
    """Write an error as one line."""
    return f"ERROR {sentence(error)}\n"


def told(event: Document) -> str:
    """Write what has happened, a line for each value that has changed."""
    selector = event.get("selector")
    match event["event"]:
        case "added":
            about = event.get("object")
            names = about if isinstance(about, dict) else {}
            title = [names.get(key) for key in ("app_name", "media_name", "name", "description")]
            return f"ADDED {_row([selector, *dict.fromkeys(filter(None, title))])}\n"
        case "removed":
            return f"REMOVED {_row([selector])}\n"
        case "default":
            return f"DEFAULT {_row([event['kind'], selector])}\n"
        case "server":
            return f"SERVER {'connected' if event['connected'] else 'disconnected'}\n"
    changes = event["changes"]
    plain = {k: v for k, v in changes.items() if not isinstance(v, list)} if isinstance(changes, dict) else {}
    return "".join(f"CHANGED {_row([selector, key, value])}\n" for key, value in plain.items())


def _row(values: object) -> str:
    return " ".join(_word(value) for value in values) if isinstance(values, Iterable) else ""


def _word(value: object) -> str:
    """Write a value as one word; what there is not is `-`."""
    match value:
        case bool():
            return "true" if value else "false"
        case None | "":
            return "-"
        case str():
            return quoted(value)
    return str(value)


def _documents(value: Value) -> list[Document]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _list(words: Sequence[str]) -> ListAll:
    kind = words[0] if words else "apps"
    if kind not in LISTS:
        raise InvalidArgumentError(f"There is no list of “{clean(kind, 40)}”; there is: {', '.join(LISTS)}.")
    return ListAll(kind=kind)


def _muted(words: Sequence[str]) -> SetMuted:
    mode = _MUTES.get(words[1])
    if mode is None:
        raise InvalidArgumentError(f"Mute is true, false or toggle, not “{clean(words[1], 40)}”.")
    return SetMuted(target=words[0], mode=mode)


def _step(words: Sequence[str], *, up: bool) -> Step:
    amount = checked_amount(number_of(words[1])) if words[1:] else None
    return Step(target=words[0], up=up, amount=amount)


_COMMANDS: Mapping[str, tuple[str, int, int, Callable[[Sequence[str]], Request]]] = {
    "ROUTE": ("<app> <sink>", 2, 2, lambda w: Route(target=w[0], device=w[1])),
    "SET_VOLUME": (
        "<target> <0.0-1.0>",
        2,
        2,
        lambda w: SetVolume(target=w[0], volume=checked_volume(number_of(w[1]))),
    ),
    "MUTE": ("<target> <true|false|toggle>", 2, 2, _muted),
    "VOLUME_UP": ("<target> [amount]", 1, 2, lambda w: _step(w, up=True)),
    "VOLUME_DOWN": ("<target> [amount]", 1, 2, lambda w: _step(w, up=False)),
    "GET_VOLUME": ("<target>", 1, 1, lambda w: Look(target=w[0])),
    "GET_MUTE": ("<target>", 1, 1, lambda w: Look(target=w[0], muted=True)),
    "LIST": (f"[{'|'.join(LISTS)}]", 0, 1, _list),
    "RELOAD_CONFIG": ("", 0, 0, lambda _: Reload()),
    "WATCH": ("", 0, 0, lambda _: Watch()),
}
"""Each command: how it is written, the fewest and the most words, and what it asks."""


def _reply_with_list(request: ListAll, answer: Answer) -> str:
    rows = _documents(answer[request.kind])
    lines = [f"OK {len(rows)}", *(_row(row.get(c) for c in _COLUMNS[request.kind]) for row in rows)]
    return "".join(f"{line}\n" for line in lines)


def _volume(answer: Answer) -> str:
    return f"OK {answer['volume']}\n"


def _mute(answer: Answer) -> str:
    return "OK true\n" if answer["muted"] else "OK false\n"


_REPLIES: Mapping[type, Callable[[Any, Answer], str]] = {
    SetVolume: lambda _, answer: _volume(answer),
    Step: lambda _, answer: _volume(answer),
    SetMuted: lambda _, answer: _mute(answer),
    Look: lambda look, answer: (_mute if look.muted else _volume)(answer),
    Route: lambda _, answer: f"OK {_row(answer['streams'])}\n",
    ListAll: _reply_with_list,
    Reload: lambda *_: "OK\n",
    Watch: lambda _, answer: "OK\n" if answer.get("connected", True) else "OK\nSERVER disconnected\n",
}
"""What is said to each request that has been done."""
