"""What other programs have kept, as ours: WirePlumber's volumes of streams, and the rules of gnome-pipewire-volume-mixer.

Text in, intents or rules out, with a note on each thing that is left out and why. Only what is unambiguous is taken: a
volume at the wrong application is worse than none. What pwmixer remembers already is newer and stays.
"""

import contextlib
import json
import math
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.paths import state_home
from pwmixer_dbus.config.rulebook import RuleBook, rules_path
from pwmixer_dbus.config.store import StateFile
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.events import KEEP
from pwmixer_dbus.core.identity import identify
from pwmixer_dbus.core.memory import NOBODY, AppIntent, Level, Memory, all_learned
from pwmixer_dbus.core.model import VOLUME_DIGITS, Kind, Stream, clean
from pwmixer_dbus.core.records import dataclass, replace
from pwmixer_dbus.core.rules import Rule, read_rule, rule_to_plain

_SIZE_LIMIT = 8 * 1024 * 1024
_UNESCAPED = {"s": " ", "e": "=", "o": "[", "c": "]"}
_KINDS = {"Output/Audio": Kind.PLAYBACK, "Input/Audio": Kind.CAPTURE}
_FIELDS = ("volume", "mute", "channelVolumes", "channelMap", "target")
_ENTRY = re.compile(
    r"(?P<media>[^:]+):(?P<key>media\.role|application\.id|application\.name|media\.name|node\.name):(?P<value>.+)",
    re.DOTALL,
)
_NO_APPLICATION = {
    "media.role": "a role is shared by every program that plays in it",
    "media.name": "a title says what is played and not by which program",
    "node.name": "the name of a node says too little about its program",
}
_WITHOUT = {
    "cache": "pwmixer has nothing to tune there",
    "performance": "pwmixer has nothing to tune there",
    "routing.enable_auto_routing": "'pwmixerctl rules enable' and 'disable' switch all rules",
    "routing.default_sink": "what no rule is for goes to the default device; to have that be this one: "
    "pwmixerctl default 'sink:{}'",
}
"""Keys of gnome-pipewire-volume-mixer that are understood and not taken."""

_SPECIAL = re.compile(r"[!=*?\[\]]|re:")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that is not taken over, and the reason for a person."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was found: wishes for applications, rules, virtual sinks as a PipeWire configuration, and what is left out.

    `present` is what pwmixer has already.
    """

    intents: tuple[AppIntent, ...] = ()
    rules: tuple[Rule, ...] = ()
    sinks: str = ""
    present: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    what: str
    kind: Kind
    key: str
    value: str
    level: Level
    target: str


def wireplumber_path() -> Path:
    """Name the file in which WirePlumber keeps the volumes of streams: that of 0.5, else that of 0.4 if there is one."""
    folder = state_home() / "wireplumber"
    old = folder / "restore-stream"
    new = folder / "stream-properties"
    return old if old.exists() and not new.exists() else new


def read_text(path: Path) -> str:
    """Read a file that another program has written. Raises ConfigError with one sentence."""
    try:
        if not path.is_file():
            raise ConfigError(f"There is no file at {path}.")
        with path.open("rb") as file:
            data = file.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > _SIZE_LIMIT:
        raise ConfigError(f"{path} is larger than 8 MiB, which no such file is.")
    return data.decode("utf-8", "replace")


def peek(path: Path) -> Memory:
    """Read a state file that is not ours to mend: whatever is wrong with it, it stays as it is."""
    with tempfile.TemporaryDirectory(prefix="pwmixer-import-") as folder:
        copy = Path(folder) / path.name
        with contextlib.suppress(ConfigError):
            copy.write_text(read_text(path), encoding="utf-8")
        return StateFile(copy).load()


# --- WirePlumber


def from_wireplumber(text: str, memory: Memory, aliases: Mapping[str, str]) -> Imported:
    """Read the volumes of streams that WirePlumber restores, in the form of 0.5 or of 0.4. Never raises.

    `memory` says which applications are known by which names, and what is remembered of them already.
    """
    left_out: list[LeftOut] = []
    wanted: dict[tuple[str, Kind], list[tuple[_Entry, str]]] = {}
    untouched = 0
    for entry in _entries(text, left_out):
        if entry.key in _NO_APPLICATION:
            left_out.append(LeftOut(what=entry.what, why=_NO_APPLICATION[entry.key]))
            continue
        app_id, name_or_reason = _application(entry, memory, aliases)
        if not app_id:
            left_out.append(LeftOut(what=entry.what, why=name_or_reason))
            continue
        if entry.target:
            why = f"its device, {entry.target}, is no volume; a rule sends it there: {_rule_command(entry, app_id)}"
            left_out.append(LeftOut(what=entry.what, why=why))
        if entry.level == Level():
            untouched += 1
        else:
            wanted.setdefault((app_id, entry.kind), []).append((entry, name_or_reason))
    if untouched:
        why = "at 100% and not muted, which says nothing about what you want"
        left_out.append(LeftOut(what=f"{untouched} of the streams", why=why))
    intents: list[AppIntent] = []
    present: list[str] = []
    for (app_id, kind), found in wanted.items():
        entry, name = found[0]
        if any(other.level != entry.level for other, _ in found):
            what = ", ".join(other.what for other, _ in found)
            left_out.append(LeftOut(what=what, why=f"all of them are {app_id}, and their volumes differ"))
            continue
        known = memory.apps.get(app_id)
        level = (known.levels.get(kind) if known else None) or Level()
        volume = entry.level.volume if level.volume is None and entry.level.volume is not None else KEEP
        muted = entry.level.muted if level.muted is None and entry.level.muted is not None else KEEP
        if volume is KEEP and muted is KEEP:
            present.append(f"{entry.what}: pwmixer remembers {app_id} already, and that stays")
        else:
            intents.append(AppIntent(app_id=app_id, name=name, kind=kind, volume=volume, muted=muted))
    return Imported(intents=tuple(intents), present=tuple(present), left_out=tuple(left_out))


def remembered(memory: Memory, intents: Sequence[AppIntent], now: float) -> Memory:
    """Return the memory with all these intents; `now` is wall-clock seconds."""
    return all_learned(memory, intents, now)


def _entries(text: str, left_out: list[LeftOut]) -> Iterator[_Entry]:
    """Yield what a state file of WirePlumber has on streams; devices and what is damaged are left out."""
    devices = 0
    for name, values in _tables(text, left_out).items():
        found = _ENTRY.fullmatch(name)
        what = clean(name, 160)
        if found is None:
            left_out.append(LeftOut(what=what, why="not understood"))
        elif found["media"] not in _KINDS:
            devices += 1
        elif (level := _level(values)) is None:
            left_out.append(LeftOut(what=what, why="its volume is no number"))
        else:
            target = values.get("target")
            yield _Entry(
                what=what,
                kind=_KINDS[found["media"]],
                key=found["key"],
                value=clean(found["value"]),
                level=level,
                target=clean(target, 160) if isinstance(target, str) else "",
            )
    if devices:
        why = "the session manager restores these itself"
        left_out.append(LeftOut(what=f"devices and other nodes ({devices})", why=why))


def _tables(text: str, left_out: list[LeftOut]) -> Mapping[str, Mapping[str, object]]:
    """Read the lines of a state file: in 0.5 each has an object, in 0.4 each has one value of it."""
    tables: dict[str, dict[str, object]] = {}
    damaged = 0
    for line in text.splitlines():
        if not line.strip() or line.startswith(("[", "#")):
            continue
        key, equals, value = line.partition("=")
        name = re.sub(r"\\(.)", lambda match: _UNESCAPED.get(match[1], match[1]), key)
        stem, _, field = name.rpartition(":")
        if equals and not value.startswith("{") and field in _FIELDS:
            tables.setdefault(stem, {})[field] = _old_value(field, value)
        elif (values := _object(value)) is not None:
            tables.setdefault(name, {}).update(values)
        else:
            damaged += 1
    if damaged:
        left_out.append(LeftOut(what=f"damaged lines ({damaged})", why="not as WirePlumber writes them"))
    return tables


def _old_value(field: str, text: str) -> object:
    """Read a value of 0.4, where each has a line of its own."""
    if field == "mute":
        return text == "true"
    if field == "channelVolumes":
        return [_number(part) for part in text.split(";") if part]
    return _number(text) if field == "volume" else text


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _object(text: str) -> dict[str, object] | None:
    # GLib's key files escape backslashes once more; a value without any is JSON as it is.
    for attempt in (text.replace("\\\\", "\\"), text):
        try:
            values = json.loads(attempt)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict):
            return values
    return None


def _level(values: Mapping[str, object]) -> Level | None:
    """Turn linear factors into our cubic volume; None for what is no volume. 100 % and unmuted are nobody's wish."""
    factor = values.get("volume", 1.0)
    channels = values.get("channelVolumes") or [1.0]
    numbers = [factor, *channels] if isinstance(channels, list) else [None]
    if not all(_is_factor(number) for number in numbers):
        return None
    first, *rest = [float(str(number)) for number in numbers]
    volume = min(round(math.cbrt(first * max(rest)), VOLUME_DIGITS), gain.CEILING)
    return Level(
        volume=None if gain.same(volume, 1.0) else volume, muted=True if values.get("mute") is True else None
    )


def _is_factor(number: object) -> bool:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and 0.0 <= float(str(number)) <= 1000.0  # noqa: PLR2004 - 60 dB; NaN is in no range


def _application(entry: _Entry, memory: Memory, aliases: Mapping[str, str]) -> tuple[str, str]:
    """Say which application an entry is about: its id and name, or "" and why that cannot be told."""
    stream = Stream(kind=entry.kind, index=0, properties={entry.key: entry.value})
    identity = identify(stream, None, aliases)
    if identity.app_id.startswith(NOBODY):
        return "", "many programs call themselves that"
    folded = {entry.value.casefold(), identity.name.casefold()}
    if entry.key == "application.id":
        known = [a for a in memory.apps if a.partition(":")[2].casefold() == entry.value.casefold()]
    else:
        known = [a.app_id for a in memory.apps.values() if a.name.casefold() in folded]
    if len(known) > 1:
        return "", f"it may be any of {', '.join(known[:5])}"
    if known:
        return known[0], memory.apps[known[0]].name
    if entry.key == "application.id" or identity.app_id in memory.apps:
        return identity.app_id, identity.name
    if " " in identity.name:
        return "", "pwmixer has not met this program yet; let it play once, then import again"
    # Nearly every stream also names its program's file, which counts for more than what the program calls itself.
    binary = {**stream.properties, "application.process.binary": entry.value.casefold()}
    return identify(replace(stream, properties=binary), None, aliases).app_id, identity.name


def _rule_command(entry: _Entry, app_id: str) -> str:
    to = entry.target.replace("'", "")
    name = f"Imported: {entry.value}".replace("'", "")
    return (
        f"pwmixerctl rules add --name '{name}' --match 'app_id={app_id}' "
        f"--match direction={entry.kind} --to '{to}'"
    )


# --- gnome-pipewire-volume-mixer


def from_mixer_config(text: str, present: Sequence[Rule] = ()) -> Imported:
    """Read a config.toml of gnome-pipewire-volume-mixer. Raises ConfigError for what is no TOML.

    `present` are the rules that there are, of a person and of the service.
    """
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The file is not valid TOML: {error}.") from error
    if "virtual_sinks" not in document and "routing" not in document:
        raise ConfigError(
            "The file has neither [[virtual_sinks]] nor [routing], so it is none of gnome-pipewire-volume-mixer."
        )
    left_out: list[LeftOut] = []
    sinks = list(_sinks(document.get("virtual_sinks", []), left_out))
    routing = document.get("routing", {})
    if not isinstance(routing, dict):
        left_out.append(LeftOut(what="routing", why="not understood: it is no table"))
        routing = {}
    rules, there = _routing_rules(routing.get("rules", {}), {rule.name: rule for rule in present}, left_out)
    others = {f"routing.{key}": value for key, value in routing.items() if key != "rules"}
    others |= {key: value for key, value in document.items() if key not in {"virtual_sinks", "routing"}}
    left_out += [
        LeftOut(what=_shown(key), why=_WITHOUT.get(key, "not understood").format(_shown(value)))
        for key, value in others.items()
    ]
    return Imported(rules=rules, sinks=_drop_in(sinks), present=there, left_out=tuple(left_out))


def plain_of(rule: Rule) -> Mapping[str, object]:
    """Return a rule in the plain form in which people write it."""
    return rule_to_plain(rule)


def add_rules(config: Path, in_config: Sequence[Rule], rules: Sequence[Rule]) -> None:
    """Write rules to the service's file while there is no service. Raises ConfigError."""
    book = RuleBook(rules_path(config), tuple(in_config), config_path=config)
    book.read()
    try:
        for rule in rules:
            book.add(rule)
    except MixerError as error:
        raise ConfigError(str(error)) from error


def _sinks(tables: object, left_out: list[LeftOut]) -> Iterator[tuple[str, str]]:
    """Yield the name and description of each virtual sink."""
    for table in tables if isinstance(tables, list) else [tables]:
        name = table.get("name") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(name, str) or not clean(name).strip():
            left_out.append(LeftOut(what="a virtual sink", why="not understood: it has no name"))
            continue
        said = table.get("display_name") or table.get("description") or name
        yield clean(name, 128), clean(str(said), 128)
        left_out += [
            LeftOut(what=_shown(f"virtual_sinks.{key} of {name}"), why="not understood")
            for key in table
            if key not in {"name", "description", "display_name", "icon"}
        ]


def _routing_rules(
    table: object, present: Mapping[str, Rule], left_out: list[LeftOut]
) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Make a rule of each line `application = sink`; return those that are new, and what there is already."""
    if not isinstance(table, dict):
        left_out.append(LeftOut(what="routing.rules", why="not understood: it is no table"))
        return (), ()
    rules: list[Rule] = []
    there: list[str] = []
    for app, sink in table.items():
        plain = {
            "name": f"Imported: {app}",
            "match": {"app": f"={app}" if _SPECIAL.search(app) else app, "direction": "playback"},
            "to": sink,
        }
        rule, problems = read_rule(plain, origin="service")
        if rule is None:
            why = "; ".join(sentence for _, sentence in problems)
            left_out.append(LeftOut(what=_shown(f"routing.rules.{app}"), why=f"not understood: {why}"))
        elif rule.name not in present:
            rules.append(rule)
        elif _does(present[rule.name]) == _does(rule):
            there.append(f"the rule “{rule.name}”")
        else:
            why = f"there is another rule “{rule.name}” already, and that stays"
            left_out.append(LeftOut(what=_shown(f"routing.rules.{app}"), why=why))
    return tuple(rules), tuple(there)


def _does(rule: Rule) -> Mapping[str, object]:
    return {key: value for key, value in rule_to_plain(rule).items() if key in {"match", "to"}}


def _shown(value: object) -> str:
    return clean(str(value), 160)


def _drop_in(sinks: Sequence[tuple[str, str]]) -> str:
    """Write a configuration of PipeWire that makes these sinks, each heard on the default device."""
    if not sinks:
        return ""
    modules = "\n".join(
        "  { name = libpipewire-module-loopback\n"
        "    args = {\n"
        f"      node.description = {json.dumps(description, ensure_ascii=False)}\n"
        "      audio.position = [ FL FR ]\n"
        f"      capture.props = {{ node.name = {json.dumps(name, ensure_ascii=False)} media.class = Audio/Sink }}\n"
        f"      playback.props = {{ node.name = {json.dumps(f'{name}.output', ensure_ascii=False)} node.passive = true }}\n"
        "    }\n"
        "  }"
        for name, description in sinks
    )
    return f"context.modules = [\n{modules}\n]\n"
