"""The tables and keys of config.toml: what each may be, what it means, what reads it, and a sentence for each way to get one wrong.

`KEYS` is the one description: the reader, its messages, the commented example and the documentation follow it. Defaults are
those of `Settings`.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial, reduce
from math import inf
from types import MappingProxyType
from typing import Any, Final

from pwmixer_dbus.config.errors import key_text
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.model import TEXT_LIMIT
from pwmixer_dbus.core.records import dataclass, replace
from pwmixer_dbus.core.rules import PROBLEM_LIMIT, SWITCH, Form, KeyPath, Problem, WrongError, text_of
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.words import shortened, value_text

SOCKET_PATH: Final = 103
"""As long as a socket's path may be, less what is put behind it while it is made."""
NAME_LIMIT: Final = 64

_DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the file: its table and name, and the `field` of Settings, or of a record in it (`stats.file`).

    `allowed` says in words what its value may be, and `read` reads it; of a table that people fill freely each key and value.
    """

    path: tuple[str, str]
    field: str
    allowed: str
    read: Callable[[object], object]
    description: str

    @property
    def default(self) -> object:
        """What counts where the file does not say it."""
        return value_of(_DEFAULTS, self)


def value_of(settings: Settings, key: Key) -> object:
    """Return the value of a key in settings."""
    return reduce(getattr, key.field.split("."), settings)


def _within(kind: type[int | float], lowest: float, highest: float, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | kind):
        raise WrongError
    try:
        number = kind(value)
    except OverflowError as error:  # no float is as large
        raise WrongError from error
    if not -inf < number < inf:
        raise WrongError
    if number < lowest:
        raise WrongError(f"{value_text(value)} is too small, the lowest is {lowest}")
    if number > highest:
        raise WrongError(f"{value_text(value)} is too large, the highest is {highest}")
    return number


def _number(lowest: float, highest: float) -> Form:
    return f"a number from {lowest} to {highest}", partial(_within, float, lowest, highest)


def _whole(lowest: int, highest: int) -> Form:
    return f"a whole number from {lowest} to {highest}", partial(_within, int, lowest, highest)


def _word(words: Collection[str], value: object) -> object:
    if value not in words:
        raise WrongError
    return value


def _one_of(*words: str) -> Form:
    return f"one of {', '.join(map(value_text, words))}", partial(_word, words)


def _text_up_to(longest: int, read: Callable[[object], object]) -> Form:
    return f"text in quotes, 1 to {longest} printable characters", read


def _app_id(value: object) -> object:
    return text_of(value, TEXT_LIMIT)


def _file_name(value: object) -> object:
    name = text_of(value, NAME_LIMIT)
    if "/" in name or name.startswith("."):
        raise WrongError(
            f"must be a name without slashes that does not begin with a dot, not {value_text(name)}"
        )
    return name


def _path(value: object) -> object:
    if value != "" and not text_of(value, SOCKET_PATH).startswith("/"):
        raise WrongError
    return value


_VOLUME: Final = _number(0.0, gain.CEILING)
_PATH: Final[Form] = f'an absolute path in quotes, at most {SOCKET_PATH} characters, or ""', _path


def _key(path: str, form: Form, description: str, *, field: str = "") -> Key:
    table, _, name = path.partition(".")
    allowed, read = form
    return Key(path=(table, name), field=field or path, allowed=allowed, read=read, description=description)


KEYS: Final = (
    _key("volume.max", _VOLUME, "The highest volume that can be set; 1.0 is 100 %.", field="max_volume"),
    _key(
        "volume.enforce_max",
        SWITCH,
        "Whether max also holds against other programs: what they set above it is brought down to it."
        " The caps of single applications and devices always do.",
        field="enforce_max",
    ),
    _key(
        "volume.step",
        _number(0.001, 0.5),
        "How far one step up or down goes; 0.05 is five percent of full volume.",
        field="step",
    ),
    _key(
        "volume.unmute_on_raise",
        SWITCH,
        "Whether a step up also unmutes. A step down never does.",
        field="unmute_on_raise",
    ),
    _key(
        "apps.aliases",
        _text_up_to(TEXT_LIMIT, _app_id),
        "Lets one application count as another, one line for each: old id = new id, such as"
        ' "bin:vesktop" = "flatpak:dev.vencord.Vesktop". An alias of an alias is not followed.',
        field="aliases",
    ),
    _key(
        "memory.enabled",
        SWITCH,
        "Whether volumes, mutes, locks and caps are kept over restarts; counts from the next start on.",
        field="memory",
    ),
    _key(
        "memory.grace",
        _number(0.0, 10.0),
        "For how many seconds a new stream is held at what is remembered, and nothing is learned from what other"
        " programs set; with 0.0 it is set just once.",
        field="grace",
    ),
    _key(
        "memory.first_volume",
        _VOLUME,
        "How loud an application that was never seen may start at most, until you set it; 1.5 is any volume.",
        field="first_volume",
    ),
    _key(
        "stats.file",
        SWITCH,
        "Whether what it measures is kept in $XDG_RUNTIME_DIR/pwmixer/stats as JSON, written every three seconds at most.",
    ),
    _key(
        "stats.prometheus",
        SWITCH,
        "Whether it is kept in $XDG_RUNTIME_DIR/pwmixer/stats.prom as text for Prometheus, likewise.",
    ),
    _key("socket.enabled", SWITCH, "Whether scripts and bars can reach the service over a Unix socket."),
    _key(
        "socket.path",
        _PATH,
        "Where the socket is, in a folder that is there already; empty for pwmixer/socket in the runtime directory."
        " A socket that systemd listens at for the service stays where it is.",
    ),
    _key(
        "bar_signal.enabled",
        SWITCH,
        "Whether waybar gets a signal whenever something changes that a bar may show, at most every 50 ms.",
    ),
    _key(
        "bar_signal.number",
        _whole(1, 30),
        "Which one: SIGRTMIN plus this number, as in the key signal of a module of waybar.",
    ),
    _key(
        "shared_memory.enabled",
        SWITCH,
        "Whether the state can be read in a file in /dev/shm; it costs 264 KiB of memory.",
    ),
    _key(
        "shared_memory.name",
        _text_up_to(NAME_LIMIT, _file_name),
        "The name of the file, without slashes; {uid} stands for your user number.",
    ),
    _key(
        "osd.enabled",
        SWITCH,
        "Whether the desktop's notifications tell of changed volumes: those that you ask for, and those of the default"
        " devices. A desktop with a display of its own needs none.",
    ),
    _key("osd.seconds", _number(0.5, 10.0), "For how many seconds it stays."),
    _key(
        "service.nice",
        _whole(-20, 19),
        "Its nice level, from its next start on. -11 is that of PipeWire and WirePlumber, beside which it would else"
        " come late on a busy machine; RealtimeKit grants it, as it does to them. 0 asks for nothing.",
        field="nice",
    ),
    _key(
        "log.level",
        _one_of("debug", "info", "warning", "error"),
        "The least important messages that are logged.",
        field="log_level",
    ),
)
"""Every key of the file in its order, but for those of the rules, of which it has any number: `KEYS` in `core.rules`."""

TABLES: Final = (*dict.fromkeys(table for table, _ in (key.path for key in KEYS)), "rules")

_BY_PATH: Final = {key.path: key for key in KEYS}


def read(document: Mapping[str, object]) -> tuple[Settings | None, list[Problem]]:
    """Read a document without its rules; return the settings, or None with every problem, in the order of the document."""
    found: dict[str, object] = {}
    problems: list[Problem] = []
    for table, values in document.items():
        if table not in TABLES:
            problems.append(((table,), _unknown_key((table,), len(problems))))
        elif not isinstance(values, Mapping):
            problems.append(((table,), _no_table((table,), values)))
        else:
            for name, value in values.items():
                key = _BY_PATH.get((table, name))
                if key is None:
                    problems.append(((table, name), _unknown_key((table, name), len(problems))))
                else:
                    found[key.field] = _read(key, value, problems)
    return None if problems else _settings(found), problems


def _read(key: Key, value: object, problems: list[Problem]) -> object:
    """Read the value of a key; of one that is wrong, tell the problems."""
    if not isinstance(key.default, Mapping):
        return _read_at(key, key.path, value, problems)
    if not isinstance(value, Mapping):
        problems.append((key.path, _no_table(key.path, value)))
        return None
    for name, entry in value.items():
        _read_at(key, (*key.path, name), name, problems)
        _read_at(key, (*key.path, name), entry, problems)
    return MappingProxyType({**value})


def _read_at(key: Key, path: KeyPath, value: object, problems: list[Problem]) -> object:
    try:
        return key.read(value)
    except WrongError as error:
        problems.append((path, str(error) or f"must be {key.allowed}, not {value_text(value)}"))
    return None


def _no_table(path: KeyPath, value: object) -> str:
    return f"must be a table, written [{key_text(path)}], not {value_text(value)}"


def _settings(values: Mapping[str, object]) -> Settings:
    """Make the settings of the values of fields; what is not named is at its default."""
    found: dict[str, Any] = {}
    for field, value in values.items():
        name, _, inner = field.partition(".")
        known = found.get(name, getattr(_DEFAULTS, name))
        found[name] = replace(known, **{inner: value}) if inner else value
    return Settings(**found)


def _unknown_key(path: tuple[str, ...], before: int) -> str:
    """Suggest the key that was meant: like it in its table, the tables that have it, else all of its table.

    `before` is how many problems there are before this one: where they are as many as are told, nobody reads of this one.
    """
    if before >= PROBLEM_LIMIT:
        return "no such key"
    import difflib  # noqa: PLC0415 - only mistakes need it

    *table, name = path
    siblings = [key.path[1] for key in KEYS if key.path[0] == table[0]] if table else TABLES
    close = difflib.get_close_matches(shortened(name), siblings, n=1)
    if close:
        return f'no such key; did you mean "{close[0]}"?'
    if table and name in TABLES:
        return f"no such key; it has a header of its own, {'[[rules]]' if name == 'rules' else f'[{name}]'}"
    tables = [f"[{key.path[0]}]" for key in KEYS if key.path[1] == name]
    if tables:
        return f"no such key; it belongs under {' or '.join(tables)}"
    return f"no such key; here may stand {', '.join(siblings)}"
