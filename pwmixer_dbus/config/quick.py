"""Reads a config.toml in which all is as it should be, in no time; what is wrong with any other, `schema` says.

pydantic is 200 ms and 8 MB on its first use, which is more than an edit may take and more than a service of this size
should weigh. So it is asked only about files that this reader does not take, and a test holds both to the same answer.
`KEYS` is where keys, fields and ranges stand; `schema` takes them from here.
"""

from collections.abc import Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.records import dataclass, replace
from pwmixer_dbus.core.settings import Settings

HIGHEST: Final = 1.5
SOCKET_PATH: Final = 103
"""As long as a socket's path may be, less what is put behind it while it is made."""
NAME_LIMIT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of the file: its table and name, and the field of Settings, or of a record in it (`stats.file`).

    Of a number also its range, both ends in it; of text the words that it may be, or as an absolute path, "" for none,
    how long it may be, or that it is the name of a file.
    """

    table: str
    name: str
    field: str
    words: tuple[str, ...] = ()
    lowest: float = 0.0
    highest: float = 0.0
    longest: int = 0
    is_name: bool = False


KEYS: Final = (
    Entry(table="volume", name="max", field="max_volume", highest=HIGHEST),
    Entry(table="volume", name="enforce_max", field="enforce_max"),
    Entry(table="volume", name="step", field="step", lowest=0.001, highest=0.5),
    Entry(table="volume", name="unmute_on_raise", field="unmute_on_raise"),
    Entry(table="apps", name="aliases", field="aliases"),
    Entry(table="memory", name="enabled", field="memory"),
    Entry(table="memory", name="grace", field="grace", highest=10.0),
    Entry(table="memory", name="first_volume", field="first_volume", highest=HIGHEST),
    Entry(table="stats", name="file", field="stats.file"),
    Entry(table="stats", name="prometheus", field="stats.prometheus"),
    Entry(table="socket", name="enabled", field="socket.enabled"),
    Entry(table="socket", name="path", field="socket.path", longest=SOCKET_PATH),
    Entry(table="bar_signal", name="enabled", field="bar_signal.enabled"),
    Entry(table="bar_signal", name="number", field="bar_signal.number", lowest=1, highest=30),
    Entry(table="shared_memory", name="enabled", field="shared_memory.enabled"),
    Entry(table="shared_memory", name="name", field="shared_memory.name", is_name=True),
    Entry(table="osd", name="enabled", field="osd.enabled"),
    Entry(table="osd", name="seconds", field="osd.seconds", lowest=0.5, highest=10.0),
    Entry(table="service", name="nice", field="nice", lowest=-20, highest=19),
    Entry(table="log", name="level", field="log_level", words=("debug", "info", "warning", "error")),
)

_BY_TABLE: Final = {
    table: {entry.name: entry for entry in KEYS if entry.table == table}
    for table in dict.fromkeys(entry.table for entry in KEYS)
}
_DEFAULTS: Final = Settings()


class _DoubtError(Exception):
    """Something is not as it should be; what, is not for this reader to say."""


def settings_of(document: Mapping[str, object]) -> Settings | None:
    """Return the settings that a document without rules says; None where anything in it is wrong."""
    found: dict[str, object] = {}
    try:
        for name, table in document.items():
            if name in _BY_TABLE and isinstance(table, Mapping):
                found.update(_values(table, _BY_TABLE[name]))
            else:
                return None
    except _DoubtError:
        return None
    return built(found)


def built(values: Mapping[str, object]) -> Settings:
    """Make the settings of the values of fields; what is not named is at its default."""
    found: dict[str, Any] = {}
    for field, value in values.items():
        name, _, inner = field.partition(".")
        if inner:
            found[name] = replace(found.get(name, getattr(_DEFAULTS, name)), **{inner: value})
        else:
            found[name] = MappingProxyType({**value}) if isinstance(value, Mapping) else value
    return Settings(**found)


def value_of(settings: Settings, entry: Entry) -> object:
    """Return the value of a key in settings."""
    return reduce(getattr, entry.field.split("."), settings)


def _values(table: Mapping[str, object], entries: Mapping[str, Entry]) -> Mapping[str, object]:
    if not table.keys() <= entries.keys():
        raise _DoubtError
    return {entries[name].field: _value(entries[name], value) for name, value in table.items()}


def _value(entry: Entry, value: object) -> object:
    match value_of(_DEFAULTS, entry), value:
        case bool(), bool():
            return value
        case bool(), _:  # which is an int as well
            pass
        case int(), int() if not isinstance(value, bool) and entry.lowest <= value <= entry.highest:
            return value
        case float(), int() | float() if (
            not isinstance(value, bool) and entry.lowest <= value <= entry.highest
        ):
            return float(value)
        case str(), str() if value in entry.words or _is_path(entry, value):
            return value
        case str(), str() if entry.is_name and is_file_name(value):
            return value
        case Mapping(), Mapping() if all(_is_app_id(text) for pair in value.items() for text in pair):
            return value
    raise _DoubtError


def _is_path(entry: Entry, text: str) -> bool:
    is_short = bool(entry.longest) and len(text) <= entry.longest
    return is_short and clean(text) == text and text[:1] in {"", "/"}


def _is_app_id(text: object) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= TEXT_LIMIT and clean(text) == text


def is_file_name(text: str) -> bool:
    """Whether a text can be the name of a file in a folder that all programs share."""
    is_name = "/" not in text and not text.startswith(".")
    return is_name and 1 <= len(text) <= NAME_LIMIT and clean(text) == text
