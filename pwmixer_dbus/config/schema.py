"""The tables and keys of config.toml: types, ranges, descriptions, and the sentence for each way to get one wrong.

Descriptions are written once, here; the commented example and the documentation are made from them. Defaults are
those of `Settings`, and ranges those of `quick`. Importing this file imports pydantic (200 ms, 8 MB), so only do that where
a file is wrong.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from pwmixer_dbus.config import quick
from pwmixer_dbus.config.errors import KeyPath, key_text
from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.rules import RULE_LIMIT, Rule, read_rule, repeated_names
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


AppId = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT), AfterValidator(_clean_text)]
FileName = Annotated[
    str,
    Field(min_length=1, max_length=quick.NAME_LIMIT),
    AfterValidator(_clean_text),
    AfterValidator(_file_name),
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Volume(_Table):
    """How volumes move."""

    max_volume: float = Field(
        default=_DEFAULTS.max_volume,
        alias="max",
        ge=quick.BY_FIELD["max_volume"].lowest,
        le=quick.BY_FIELD["max_volume"].highest,
        description="The highest volume that can be set; 1.0 is 100 %.",
    )
    enforce_max: bool = Field(
        default=_DEFAULTS.enforce_max,
        description=(
            "Whether max also holds against other programs: what they set above it is brought down to it."
            " The caps of single applications and devices always do."
        ),
    )
    step: float = Field(
        default=_DEFAULTS.step,
        ge=quick.BY_FIELD["step"].lowest,
        le=quick.BY_FIELD["step"].highest,
        description="How far one step up or down goes; 0.05 is five percent of full volume.",
    )
    unmute_on_raise: bool = Field(
        default=_DEFAULTS.unmute_on_raise,
        description="Whether a step up also unmutes. A step down never does.",
    )


class Apps(_Table):
    """How applications are told apart."""

    aliases: Mapping[AppId, AppId] = Field(
        default_factory=lambda: dict(_DEFAULTS.aliases),
        description=(
            "Lets one application count as another, one line for each: old id = new id, such as"
            ' "bin:vesktop" = "flatpak:dev.vencord.Vesktop". An alias of an alias is not followed.'
        ),
    )


class Memory(_Table):
    """What is kept over restarts."""

    enabled: bool = Field(
        default=_DEFAULTS.memory,
        description=(
            "Whether volumes, mutes, locks and caps are kept over restarts; counts from the next start on."
        ),
    )
    grace: float = Field(
        default=_DEFAULTS.grace,
        ge=quick.BY_FIELD["grace"].lowest,
        le=quick.BY_FIELD["grace"].highest,
        description=(
            "For how many seconds a new stream is held at what is remembered, and nothing is learned from what other"
            " programs set; with 0.0 it is set just once."
        ),
    )
    first_volume: float = Field(
        default=_DEFAULTS.first_volume,
        ge=quick.BY_FIELD["first_volume"].lowest,
        le=quick.BY_FIELD["first_volume"].highest,
        description=(
            "How loud an application that was never seen may start at most, until you set it; 1.5 is any volume."
        ),
    )


class Stats(_Table):
    """What the service measures of itself, as files; pwmixerctl stats shows it without them, too."""

    file: bool = Field(
        default=_DEFAULTS.stats.file,
        description="Whether what it measures is kept in $XDG_RUNTIME_DIR/pwmixer/stats as JSON, written every three seconds at most.",
    )
    prometheus: bool = Field(
        default=_DEFAULTS.stats.prometheus,
        description="Whether it is kept in $XDG_RUNTIME_DIR/pwmixer/stats.prom as text for Prometheus, likewise.",
    )


class Socket(_Table):
    """The Unix socket for key bindings, bars and scripts."""

    enabled: bool = Field(
        default=_DEFAULTS.socket.enabled,
        description="Whether scripts and bars can reach the service over a Unix socket.",
    )
    path: Annotated[str, AfterValidator(_clean_text)] = Field(
        default=_DEFAULTS.socket.path,
        max_length=quick.BY_FIELD["socket.path"].longest,
        pattern="^(/|$)",
        description=(
            "Where the socket is, in a folder that is there already; empty for pwmixer/socket in the runtime directory."
            " A socket that systemd listens at for the service stays where it is."
        ),
    )


class BarSignal(_Table):
    """A signal to waybar, for modules that ask again at one; pwmixerctl waybar needs none."""

    enabled: bool = Field(
        default=_DEFAULTS.bar_signal.enabled,
        description="Whether waybar gets a signal whenever something changes that a bar may show, at most every 50 ms.",
    )
    number: int = Field(
        default=_DEFAULTS.bar_signal.number,
        ge=int(quick.BY_FIELD["bar_signal.number"].lowest),
        le=int(quick.BY_FIELD["bar_signal.number"].highest),
        description="Which one: SIGRTMIN plus this number, as in the key signal of a module of waybar.",
    )


class SharedMemory(_Table):
    """The file in shared memory, for readers that look at frame rate."""

    enabled: bool = Field(
        default=_DEFAULTS.shared_memory.enabled,
        description="Whether the state can be read in a file in /dev/shm; it costs 264 KiB of memory.",
    )
    name: FileName = Field(
        default=_DEFAULTS.shared_memory.name,
        description="The name of the file, without slashes; {uid} stands for your user number.",
    )


class Osd(_Table):
    """A notification on the screen of what has become of a volume."""

    enabled: bool = Field(
        default=_DEFAULTS.osd.enabled,
        description=(
            "Whether the desktop's notifications tell of changed volumes: those that you ask for, and those of the default"
            " devices. A desktop with a display of its own needs none."
        ),
    )
    seconds: float = Field(
        default=_DEFAULTS.osd.seconds,
        ge=quick.BY_FIELD["osd.seconds"].lowest,
        le=quick.BY_FIELD["osd.seconds"].highest,
        description="For how many seconds it stays.",
    )


class Service(_Table):
    """How the service runs."""

    nice: int = Field(
        default=_DEFAULTS.nice,
        ge=int(quick.BY_FIELD["nice"].lowest),
        le=int(quick.BY_FIELD["nice"].highest),
        description=(
            "Its nice level, from its next start on. -11 is that of PipeWire and WirePlumber, beside which it would else"
            " come late on a busy machine; RealtimeKit grants it, as it does to them. 0 asks for nothing."
        ),
    )


class Log(_Table):
    """What is written to the journal."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least important messages that are logged.",
    )


def _read_rules(tables: object) -> tuple[Rule, ...]:
    """Read the array of rules as the program itself does, which knows their keys and needs no pydantic for it."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise PydanticCustomError("rules_type", "no array of tables")
    if len(tables) > RULE_LIMIT:
        raise PydanticCustomError("rules_limit", "too many", {"count": len(tables), "limit": RULE_LIMIT})
    read = [read_rule(table) for table in tables]
    told = [
        ((place, *problem.path), problem.sentence)
        for place, (_, found) in enumerate(read)
        for problem in found
    ]
    told += [
        ((place, "name"), f"there is a rule called {value_text(name)} above; each name is used once")
        for place, name in repeated_names([rule for rule, _ in read])
    ]
    if told:
        raise ValidationError.from_exception_data(
            "rules",
            [
                InitErrorDetails(
                    type=PydanticCustomError("rule", "wrong", {"sentence": sentence}), loc=path, input=None
                )
                for path, sentence in told
            ],
        )
    return tuple(rule for rule, _ in read if rule is not None)


class Document(_Table):
    """The whole file."""

    volume: Volume = Volume()
    apps: Apps = Apps()
    memory: Memory = Memory()
    stats: Stats = Stats()
    socket: Socket = Socket()
    bar_signal: BarSignal = BarSignal()
    shared_memory: SharedMemory = SharedMemory()
    osd: Osd = Osd()
    service: Service = Service()
    log: Log = Log()
    rules: Annotated[tuple[Rule, ...], PlainValidator(_read_rules)] = ()

    def to_settings(self) -> Settings:
        """Convert to the settings that the program runs on."""
        said = self.model_dump(by_alias=True, exclude={"rules"})
        values = {entry.field: said[entry.table][entry.name] for entry in quick.KEYS}
        return quick.built({**values, "rules": self.rules})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the file. `allowed` says in words what its value, or in a table each value, may be."""

    path: tuple[str, ...]
    default: object
    allowed: str
    description: str


def keys(table: type[BaseModel] = Document, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """List every key of the file in its order; a table that people fill freely is one key.

    Those of the rules, of which a file has any number, are `KEYS` in `core.rules`.
    """
    for name, field in table.model_fields.items():
        key = field.alias or name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, (*path, key))
        elif (*path, key) != _RULES:
            yield Key(
                path=(*path, key),
                default=field.get_default(call_default_factory=True, validated_data={}),
                allowed=_allowed(table.model_json_schema()["properties"][key]),
                description=field.description or "",
            )


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    match schema:
        case {"enum": words}:
            return "one of " + ", ".join(value_text(word) for word in words)
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "integer", "minimum": lowest, "maximum": highest}:
            return f"a whole number from {lowest} to {highest}"
        case {"type": "number", "minimum": lowest, "maximum": highest}:
            return f"a number from {lowest} to {highest}"
        case {"type": "string", "pattern": _, "maxLength": longest}:
            return f'an absolute path in quotes, at most {longest} characters, or ""'
        case {"type": "string", "minLength": shortest, "maxLength": longest}:
            return f"text in quotes, {shortest} to {longest} printable characters"
        case {"type": "object", "additionalProperties": values}:
            return _allowed(values)
    raise AssertionError(f"no words for {schema}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: at which key, and a sentence that says what would be right."""

    path: KeyPath
    sentence: str


def problems(error: ValidationError, limit: int) -> list[Problem]:
    """Tell the first problems of a document that did not validate, at most `limit`."""
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
    "rules_type": "must be tables, each written [[rules]], not {value}",
    "rules_limit": "there are {count} rules; at most {limit} are possible",
    "rule": "{sentence}",
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
    return Problem(path=path, sentence=sentence)


def _suggestion(path: KeyPath, known: list[tuple[str, ...]]) -> str:
    """Suggest a key for an unknown one: like it in its table, of its name in another, else all of its table."""
    *table, name = path
    depth = len(table)
    siblings = list(
        dict.fromkeys(key[depth] for key in known if len(key) > depth and list(key[:depth]) == table)
    )
    close = difflib.get_close_matches(shortened(str(name)), siblings, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    elsewhere = [key for key in known if key[-1] == name]
    if elsewhere:
        return f'did you mean "{key_text(elsewhere[0])}"?'
    return "here may stand " + ", ".join(siblings)
