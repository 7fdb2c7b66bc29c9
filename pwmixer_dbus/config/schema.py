"""The tables and keys of config.toml: types, ranges, descriptions, and the sentence for each way to get one wrong.

Descriptions are written once, here; the commented example and the documentation are made from them. Defaults are
those of `Settings`, and keys and ranges those of `quick`. Importing this file imports pydantic (200 ms, 8 MB), so only do that where
a file is wrong.
"""

import difflib
from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from pwmixer_dbus.config import quick
from pwmixer_dbus.config.errors import key_text
from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.rules import KeyPath, Problem
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.words import shortened, value_text

_DEFAULTS = Settings()
_RULES = ("rules",)


def _clean_text(text: str) -> str:
    if clean(text) != text:
        raise PydanticCustomError("unprintable", "must be printable")
    return text


def _file_name(text: str) -> str:
    if not quick.is_file_name(text):
        raise PydanticCustomError("file_name", "must be a name")
    return text


CleanText = Annotated[str, AfterValidator(_clean_text)]
AppId = Annotated[CleanText, Field(min_length=1, max_length=TEXT_LIMIT)]
FileName = Annotated[
    str,
    Field(min_length=1, max_length=quick.NAME_LIMIT),
    AfterValidator(_clean_text),
    AfterValidator(_file_name),
]

_DESCRIPTIONS = {
    "max_volume": "The highest volume that can be set; 1.0 is 100 %.",
    "enforce_max": (
        "Whether max also holds against other programs: what they set above it is brought down to it."
        " The caps of single applications and devices always do."
    ),
    "step": "How far one step up or down goes; 0.05 is five percent of full volume.",
    "unmute_on_raise": "Whether a step up also unmutes. A step down never does.",
    "aliases": (
        "Lets one application count as another, one line for each: old id = new id, such as"
        ' "bin:vesktop" = "flatpak:dev.vencord.Vesktop". An alias of an alias is not followed.'
    ),
    "memory": "Whether volumes, mutes, locks and caps are kept over restarts; counts from the next start on.",
    "grace": (
        "For how many seconds a new stream is held at what is remembered, and nothing is learned from what other"
        " programs set; with 0.0 it is set just once."
    ),
    "first_volume": (
        "How loud an application that was never seen may start at most, until you set it; 1.5 is any volume."
    ),
    "stats.file": "Whether what it measures is kept in $XDG_RUNTIME_DIR/pwmixer/stats as JSON, written every three seconds at most.",
    "stats.prometheus": (
        "Whether it is kept in $XDG_RUNTIME_DIR/pwmixer/stats.prom as text for Prometheus, likewise."
    ),
    "socket.enabled": "Whether scripts and bars can reach the service over a Unix socket.",
    "socket.path": (
        "Where the socket is, in a folder that is there already; empty for pwmixer/socket in the runtime directory."
        " A socket that systemd listens at for the service stays where it is."
    ),
    "bar_signal.enabled": (
        "Whether waybar gets a signal whenever something changes that a bar may show, at most every 50 ms."
    ),
    "bar_signal.number": (
        "Which one: SIGRTMIN plus this number, as in the key signal of a module of waybar."
    ),
    "shared_memory.enabled": "Whether the state can be read in a file in /dev/shm; it costs 264 KiB of memory.",
    "shared_memory.name": "The name of the file, without slashes; {uid} stands for your user number.",
    "osd.enabled": (
        "Whether the desktop's notifications tell of changed volumes: those that you ask for, and those of the default"
        " devices. A desktop with a display of its own needs none."
    ),
    "osd.seconds": "For how many seconds it stays.",
    "nice": (
        "Its nice level, from its next start on. -11 is that of PipeWire and WirePlumber, beside which it would else"
        " come late on a busy machine; RealtimeKit grants it, as it does to them. 0 asks for nothing."
    ),
    "log_level": "The least important messages that are logged.",
}
"""What each key means, by its field of Settings."""


def _form(entry: quick.Entry) -> tuple[Any, dict[str, Any], str]:
    """Say what the value of a key, or in a table each value, may be: as a type, as limits on it, and in words."""
    limits: dict[str, Any] = {"ge": entry.lowest, "le": entry.highest}
    match quick.value_of(_DEFAULTS, entry):
        case bool():
            return bool, {}, "true or false"
        case int():
            return int, limits, f"a whole number from {entry.lowest} to {entry.highest}"
        case float():
            return float, limits, f"a number from {entry.lowest} to {entry.highest}"
        case str() if entry.words:
            return Literal[entry.words], {}, "one of " + ", ".join(map(value_text, entry.words))
        case str() if entry.is_name:
            return FileName, {}, _text_of(quick.NAME_LIMIT)
        case str():
            limits = {"max_length": entry.longest, "pattern": "^(/|$)"}
            words = f'an absolute path in quotes, at most {entry.longest} characters, or ""'
            return CleanText, limits, words
    return Mapping[AppId, AppId], {}, _text_of(TEXT_LIMIT)


def _text_of(longest: int) -> str:
    return f"text in quotes, 1 to {longest} printable characters"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Document(_Table):
    def to_settings(self) -> Settings:
        """Convert to the settings that the program runs on."""
        said: Any = self
        values = {entry.field: attrgetter(f"{entry.table}.{entry.name}")(said) for entry in quick.KEYS}
        return quick.built(values)


def _table_of(name: str) -> Any:
    """Make the model of a table, with its default."""
    fields: dict[str, Any] = {}
    for entry in quick.KEYS:
        if entry.table == name:
            kind, limits, _ = _form(entry)
            default = partial(quick.value_of, _DEFAULTS, entry)
            fields[entry.name] = kind, Field(default_factory=default, **limits)
    table = create_model(name, __base__=_Table, **fields)
    return table, Field(default_factory=table)


Document = create_model(
    "Document",
    __base__=_Document,
    **{entry.table: _table_of(entry.table) for entry in quick.KEYS},
)
"""The whole file, but for the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the file. `allowed` says in words what its value, or in a table each value, may be."""

    path: tuple[str, ...]
    default: object
    allowed: str
    description: str


def keys() -> Iterator[Key]:
    """List every key of the file in its order; a table that people fill freely is one key.

    Those of the rules, of which a file has any number, are `KEYS` in `core.rules`.
    """
    for entry in quick.KEYS:
        _, _, allowed = _form(entry)
        yield Key(
            path=(entry.table, entry.name),
            default=quick.value_of(_DEFAULTS, entry),
            allowed=allowed,
            description=_DESCRIPTIONS[entry.field],
        )


def problems(error: ValidationError, limit: int) -> list[Problem]:
    """Tell the first problems of a document that did not validate, at most `limit`: at which key, and what would be right."""
    known = list(keys())
    return [_problem(details, known) for details in error.errors(include_url=False)[:limit]]


# By pydantic's type of error; whatever is not here is a value that is not among those allowed.
_SENTENCES = {
    "extra_forbidden": "no such key; {suggestion}",
    "greater_than_equal": "{value} is too small, the lowest is {ge}",
    "less_than_equal": "{value} is too large, the highest is {le}",
    "model_type": "must be a table, written [{key}], not {value}",
    "dict_type": "must be a table, written [{key}], not {value}",
    "mapping_type": "must be a table, written [{key}], not {value}",
    "file_name": "must be a name without slashes that does not begin with a dot, not {value}",
}


def _problem(details: ErrorDetails, known: list[Key]) -> Problem:
    path = details["loc"]
    if path[-1:] == ("[key]",):  # a name in a table that people fill freely, not its value
        path = path[:-1]
    sentence = _SENTENCES.get(details["type"], "must be {allowed}, not {value}").format(
        value=value_text(details["input"]),
        key=key_text(path),
        allowed=next((key.allowed for key in known if path[: len(key.path)] == key.path), ""),
        suggestion=_suggestion(path, [*(key.path for key in known), _RULES]),
        **{"ge": "", "le": ""} | details.get("ctx", {}),
    )
    return path, sentence


def _suggestion(path: KeyPath, known: list[tuple[str, ...]]) -> str:
    """Suggest a key for an unknown one: like it in its table, the tables that have it, else all of its table."""
    *table, name = path
    depth = len(table)
    siblings = list(
        dict.fromkeys(key[depth] for key in known if len(key) > depth and list(key[:depth]) == table)
    )
    close = difflib.get_close_matches(shortened(str(name)), siblings, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    if table and name in {key[0] for key in known}:
        return f"it has a header of its own, {'[[rules]]' if name == 'rules' else f'[{name}]'}"
    tables = [f"[{key_text(key[:-1])}]" for key in known if key[1:] and key[-1] == name]
    if tables:
        return f"it belongs under {' or '.join(tables)}"
    return "here may stand " + ", ".join(siblings)
