"""What a person wants to happen to some streams: the record, and its plain form that TOML, D-Bus and JSON share.

`KEYS` and `FIELDS` are the one description of the form; what reads it, its messages and the documentation follow them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, filterfalse
from types import MappingProxyType
from typing import Final

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.patterns import (
    WEIGHT_LIMIT,
    Pattern,
    PatternKind,
    are_too_many,
    fits_of,
    parse_pattern,
    pattern_text,
    weight_of,
)
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.words import value_text

RULE_LIMIT: Final = 1000
PATTERNS_LIMIT: Final = 64
CONDITIONS_LIMIT: Final = 32
TARGETS_LIMIT: Final = 16
NAME_LIMIT: Final = 128
HIGHEST_VOLUME: Final = 1.5
PROBLEM_LIMIT: Final = 20  # more is another kind of file, and the message has to fit a D-Bus property
TOO_MANY_PATTERNS: Final = (
    "all rules together have more patterns than can be read at once; make them fewer or shorter, or write texts and"
    " globs such as *part* in place of regular expressions"
)

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app": "The application by any of its names: its id, the id after the colon or after the last dot, or its name.",
        "app_id": "The application's id, such as `bin:vesktop`, and only that.",
        "app_name": "The application's name as it is shown, and only that.",
        "binary": "The program file's name, as the stream or its client says.",
        "media_name": "What is playing: often the title of the page or of the song.",
        "role": "The stream's role, such as `music`, `phone` or `game`. Most programs set none.",
        "direction": "`playback` or `capture`.",
        "group": "The group that the stream is in, by hand or by a rule above that says `continue`.",
        "device": "The device that the stream is on, by name or description.",
    }
)
"""What a rule can match, and what it means. Besides there are the properties, each `property:` and its key."""

PROPERTY: Final = "property:"
DIRECTIONS: Final = ("playback", "capture")
ORIGINS: Final = ("config", "service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one field of a stream must be: any of the positive patterns, if there are such, and none of the negated.

    `field` is a key of `FIELDS`, or `property:` and the key of a property of the stream or else its client.
    """

    field: str
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What happens to the streams that meet all `conditions`; `KEYS` says what each field means. Builders keep to the limits.

    No two of one origin share a `name`. Volumes are 0.0 to 1.5; None, "" and an empty `to` leave things as they are.
    `origin` is "config" for the file of a person, "service" for that of ours.
    """

    name: str
    conditions: tuple[Condition, ...]
    to: tuple[str, ...] = ()
    volume: float | None = None
    locked: bool = False
    max_volume: float | None = None
    muted: bool | None = None
    group: str = ""
    display_name: str = ""
    icon_name: str = ""
    hide: bool = False
    ignore: bool = False
    force: bool = False
    goes_on: bool = False
    enabled: bool = True
    origin: str = "config"


KeyPath = tuple[str | int, ...]
"""The keys, and places in lists, that lead to a value of a rule in its plain form."""


Problem = tuple[KeyPath, str]
"""At which key something is wrong with a rule in its plain form, and a sentence (“must be …”, “no such key; …”)."""


class _WrongError(Exception):
    """A value that is not what its key allows; the message says how it is wrong, "" for the general sentence."""


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _WrongError
    return value


def _level(value: object) -> float:
    """Read 0.5 or "50%" as 0.5."""
    level = value
    if isinstance(value, str) and value.endswith("%"):
        digits = value.removesuffix("%").strip()
        whole, _, part = digits.partition(".")
        is_number = digits.isascii() and whole.isdecimal()
        level = float(digits) / 100 if is_number and (part.isdecimal() or not part) else None
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0.0 <= level <= HIGHEST_VOLUME:
        raise _WrongError
    return float(level)


def _name(value: object) -> str:
    return _text(value, NAME_LIMIT)


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= limit or clean(value) != value:
        raise _WrongError
    return value


def _targets(value: object) -> tuple[str, ...]:
    targets = [value] if isinstance(value, str) else value
    if not isinstance(targets, list | tuple) or not 1 <= len(targets) <= TARGETS_LIMIT:
        raise _WrongError
    return tuple(_text(target, TEXT_LIMIT) for target in targets)


_MATCH: Final = "a table of conditions"
_PATTERN: Final = f"a pattern in quotes, or a list of 1 to {PATTERNS_LIMIT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleKey:
    """One key of a rule: `field` of the record, what is allowed in words, what it means, and what reads it."""

    key: str
    field: str
    allowed: str
    description: str
    read: Callable[[object], object] | None = None


_Form = tuple[str, Callable[[object], object] | None]
"""What is allowed in words, and what reads it."""

_SWITCH: Final[_Form] = "true or false", _switch
_LEVEL: Final[_Form] = f'a number from 0.0 to {HIGHEST_VOLUME} or a percentage such as "50%"', _level
_NAME: Final[_Form] = f"text in quotes, 1 to {NAME_LIMIT} printable characters", _name
_TARGETS: Final[_Form] = f"a device in quotes, or a list of 1 to {TARGETS_LIMIT}", _targets


def _key(key: str, form: _Form, description: str, *, field: str = "") -> RuleKey:
    allowed, read = form
    return RuleKey(key=key, field=field or key, allowed=allowed, description=description, read=read)


KEYS: Final = (
    _key("name", _NAME, "What the rule is called; needed, and each name once."),
    _key(
        "match",
        (_MATCH, None),
        "Which streams the rule is for; needed. All conditions must hold.",
        field="conditions",
    ),
    _key(
        "to",
        _TARGETS,
        "Where the streams go: a device's name, description, glob or selector. Of a list, the first that is there.",
    ),
    _key("volume", _LEVEL, "The volume that a stream starts with."),
    _key("locked", _SWITCH, "Whether `volume` is held against everybody, not only set at the start."),
    _key("max_volume", _LEVEL, "The highest volume that a stream can be set to."),
    _key("muted", _SWITCH, "Whether a stream starts muted or unmuted."),
    _key("group", _NAME, "The group that the streams join, unless they are in one already."),
    _key("display_name", _NAME, "What is shown instead of the application's name."),
    _key(
        "icon", _NAME, "The name of the icon that is shown instead of the application's.", field="icon_name"
    ),
    _key("hide", _SWITCH, "Whether lists leave the streams out."),
    _key("ignore", _SWITCH, "Whether pwmixer leaves the streams entirely alone."),
    _key("force", _SWITCH, "Whether `to` also moves streams that their own program has pinned to a device."),
    _key("continue", _SWITCH, "Whether rules below may add what this one leaves open.", field="goes_on"),
    _key("enabled", _SWITCH, "Whether the rule is in use."),
)
"""Every key of a rule, in the order in which rules are written."""

_NAMES: Final = tuple(key.key for key in KEYS)
_DEFAULTS: Final = Rule(name="", conditions=())


def rule_to_plain(rule: Rule) -> dict[str, object]:
    """Write a rule with the keys of the file: only what is set, and `origin`; match is a dict of lists of text."""
    plain: dict[str, object] = {}
    for key in KEYS:
        value = getattr(rule, key.field)
        if key.key == "match":
            plain[key.key] = {c.field: [pattern_text(p) for p in c.patterns] for c in rule.conditions}
        elif value != getattr(_DEFAULTS, key.field):
            plain[key.key] = list(value) if isinstance(value, tuple) else value
    return {**plain, "origin": rule.origin}


def rule_from_plain(plain: Mapping[str, object]) -> Rule:
    """Read what `rule_to_plain` writes; without an origin, the rule is the service's.

    Raises InvalidArgumentError with a sentence for each problem, which names the key.
    """
    origin = plain.get("origin", "service")
    if origin not in ORIGINS:
        raise InvalidArgumentError(f"origin: must be one of {_listed(ORIGINS)}, not {value_text(origin)}.")
    rule, problems = read_rule({k: v for k, v in plain.items() if k != "origin"}, origin=str(origin))
    if rule is None:
        told = [f"{_path_text(path)}: {sentence}" for path, sentence in problems[:PROBLEM_LIMIT]]
        if len(problems) > PROBLEM_LIMIT:
            told.append(f"and {len(problems) - PROBLEM_LIMIT} more")
        text = "; ".join(told)
        raise InvalidArgumentError(clean(text, len(text)) + "." * (not text.endswith("?")))
    return rule


def signature_of(value: object) -> str:
    """Return the D-Bus type of a value in the plain form of a rule."""
    match value:
        case bool():
            return "b"
        case str():
            return "s"
        case float():
            return "d"
        case Mapping():
            return "a{sas}"
    return "as"


def read_rule(
    plain: Mapping[str, object], *, origin: str = "config"
) -> tuple[Rule | None, tuple[Problem, ...]]:
    """Read a rule in its plain form, else tell every problem of it. Never raises, whatever the values are."""
    fields: dict[str, object] = {}
    problems: list[Problem] = [
        ((name,), _unknown_key(name, place, _NAMES))
        for place, name in enumerate(filterfalse(_NAMES.__contains__, plain))
    ]
    for key in KEYS:
        if key.key not in plain or key.read is None:
            continue
        value = plain[key.key]
        try:
            fields[key.field] = key.read(value)
        except _WrongError:
            problems.append(((key.key,), f"must be {key.allowed}, not {value_text(value)}"))
    if "name" not in plain:
        problems.append(((), 'needs a name, such as name = "Music"'))
    conditions = _read_match(plain.get("match"), problems)
    for name, needed in (("locked", "volume"), ("force", "to")):
        if fields.get(name) is True and needed not in plain:
            problems.append(((name,), f'means nothing without "{needed}"'))
    if "group" in fields and _needs_a_group(conditions):
        sentence = "means nothing beside match.group: a stream is in one group, and the first that it gets is its own"
        problems.append((("group",), sentence))
    if problems:
        return None, tuple(problems)
    return Rule(conditions=conditions, origin=origin, **fields), ()  # type: ignore[arg-type]  # each was read for its field


def read_tables(tables: object, *, origin: str = "config") -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    """Read all rules of a file; where there are problems, there is no rule, and their paths begin with `rules`."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        sentence = f"must be tables, each written [[rules]], not {value_text(tables)}"
        return (), ((("rules",), sentence),)
    if len(tables) > RULE_LIMIT:
        sentence = f"there are {len(tables)} rules; at most {RULE_LIMIT} are possible"
        return (), ((("rules",), sentence),)
    if are_too_many(pattern for table in tables for pattern in plain_patterns(table)):
        return (), ((("rules",), TOO_MANY_PATTERNS),)
    read = [read_rule(table, origin=origin) for table in tables]
    problems: list[Problem] = [
        (("rules", place, *path), sentence)
        for place, (_, found) in enumerate(read)
        for path, sentence in found
    ]
    problems += [
        (("rules", place, "name"), f"there is a rule called {value_text(name)} above; each name is used once")
        for place, name in repeated_names([rule for rule, _ in read])
    ]
    return () if problems else tuple(rule for rule, _ in read if rule is not None), tuple(problems)


def plain_patterns(plain: Mapping[str, object]) -> Iterator[str]:
    """Find the patterns of a rule in its plain form, whether it is right or not."""
    match = plain.get("match")
    for value in match.values() if isinstance(match, Mapping) else ():
        for each in value.values() if isinstance(value, Mapping) else (value,):
            yield from (text for text in _texts(each) if isinstance(text, str))


def repeated_names(rules: Sequence[Rule | None]) -> Iterator[tuple[int, str]]:
    """Find the rules that are called as one before them: their places and names. None is a rule with problems."""
    seen: set[str] = set()
    for place, rule in enumerate(rules):
        if rule is not None:
            if rule.name in seen:
                yield place, rule.name
            seen.add(rule.name)


def _read_match(match: object, problems: list[Problem]) -> tuple[Condition, ...]:
    """Read the conditions; `properties` is a table of its own, or each `property:KEY` stands among the others."""
    if not isinstance(match, Mapping) or not match:
        sentence = 'needs a condition, such as match.app = "firefox"; match.direction = "playback" is for all that plays'
        if match is not None and not isinstance(match, Mapping):
            sentence = f'must be {_MATCH}, such as match.app = "firefox", not {value_text(match)}'
        problems.append((() if match is None else ("match",), sentence))
        return ()
    written: list[tuple[KeyPath, str, object]] = []
    for name, value in match.items():
        path: KeyPath = ("match", str(name))
        if name in FIELDS or _is_property(name):
            written.append((path, name, value))
        elif name == "properties" and isinstance(value, Mapping):
            written += [((*path, str(key)), f"{PROPERTY}{key}", entry) for key, entry in value.items()]
        elif name == "properties":
            sentence = f'must be a table, such as properties."media.role" = "game" under match, not {value_text(value)}'
            problems.append((path, sentence))
        else:
            sentence = _unknown_key(name, len(problems), (*FIELDS, "properties"), f"{PROPERTY}KEY")
            problems.append((path, sentence))
    return _read_conditions(written, problems)


def _read_conditions(
    written: list[tuple[KeyPath, str, object]], problems: list[Problem]
) -> tuple[Condition, ...]:
    weights = (weight_of(t) for *_, value in written for t in _texts(value) if isinstance(t, str))
    if any(weight > WEIGHT_LIMIT for weight in accumulate(weights)):
        sentence = f"must have regular expressions of at most {WEIGHT_LIMIT} characters together, and fewer with wide ranges"
        problems.append((("match",), sentence))
        return ()
    found: dict[str, Condition] = {}
    for path, field, value in written:
        if field in found:
            problems.append((path, "is set twice"))
        elif not _is_property(field) and field not in FIELDS:
            sentence = f"the key of a property has 1 to {NAME_LIMIT} printable characters"
            problems.append((path, sentence))
        else:
            found[field] = Condition(field=field, patterns=_read_patterns(path, field, value, problems))
    if len(found) > CONDITIONS_LIMIT:
        sentence = f"must have at most {CONDITIONS_LIMIT} conditions, not {len(found)}"
        problems.append((("match",), sentence))
    return tuple(found.values())


def _needs_a_group(conditions: Iterable[Condition]) -> bool:
    """Whether only streams that are in a group already meet conditions."""
    wanted = [p for c in conditions if c.field == "group" for p in c.patterns if not p.negated]
    return bool(wanted) and not any(fits_of(pattern)("", "") for pattern in wanted)


def _is_property(field: object) -> bool:
    if not isinstance(field, str) or not field.startswith(PROPERTY):
        return False
    key = field.removeprefix(PROPERTY)
    return 1 <= len(key) <= NAME_LIMIT and clean(key) == key


def _texts(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value] if isinstance(value, str) else ()


def _read_patterns(path: KeyPath, field: str, value: object, problems: list[Problem]) -> tuple[Pattern, ...]:
    texts = _texts(value)
    if not 1 <= len(texts) <= PATTERNS_LIMIT:
        problems.append((path, f"must be {_PATTERN}, not {value_text(value)}"))
        return ()
    patterns = []
    for place, text in enumerate(texts):
        at: KeyPath = path if isinstance(value, str) else (*path, place)
        if not isinstance(text, str):
            problems.append((at, f"must be a pattern in quotes, not {value_text(text)}"))
            continue
        try:
            pattern = parse_pattern(text)
        except InvalidArgumentError as error:
            problems.append((at, str(error)))
            continue
        if (
            field == "direction"
            and pattern.kind is PatternKind.EXACT
            and pattern.text.casefold() not in DIRECTIONS
        ):
            sentence = f"must be one of {_listed(DIRECTIONS)}, not {value_text(text)}"
            problems.append((at, sentence))
        patterns.append(pattern)
    return tuple(patterns)


def _unknown_key(name: object, before: int, known: Sequence[str], *more: str) -> str:
    """Suggest the key that was meant: of its name in the other table, like it in this one, else all of this one.

    `before` is how many problems there are before this one. Where they are as many as are told, nobody reads of this one,
    and what was meant, which takes 0.1 ms to find, is not looked for.
    """
    if before >= PROBLEM_LIMIT:
        return "no such key"
    if name in FIELDS or _is_property(name) or name == "properties":
        return f'no such key; did you mean "match.{name}"?'
    if name in _NAMES:
        return "no such condition; this key stands outside of match"
    import difflib  # noqa: PLC0415 - only mistakes need it

    close = difflib.get_close_matches(str(name)[:NAME_LIMIT].replace(".", "_"), known, n=1)
    if close:
        return f'no such key; did you mean "{close[0]}"?'
    return f"no such key; here may stand {', '.join((*known, *more))}"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _path_text(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{clean(part, NAME_LIMIT)}"
    return text or "rule"
