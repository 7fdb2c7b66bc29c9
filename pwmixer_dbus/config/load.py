"""Read, check, show and start config.toml. Foreign bytes become `Settings`, or a `ConfigError` that says where and why.

pydantic is imported only where a file is wrong, to say what would be right, and where the example is written.
Nor is tomllib imported where there is no file: most people have none, and who starts the service by a call waits for it.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from pwmixer_dbus.config import quick
from pwmixer_dbus.config.errors import ConfigError, key_text, lines_of
from pwmixer_dbus.config.paths import config_home
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import PROBLEM_LIMIT, KeyPath, Problem, Rule, read_tables, rule_to_plain
from pwmixer_dbus.core.settings import Settings, SharedMemorySettings, SocketSettings
from pwmixer_dbus.core.words import literal, shortened

SIZE_LIMIT = 1024 * 1024
_LINE_LIMIT = 4096 + 512  # a path and a sentence
_BOM = b"\xef\xbb\xbf"

_SWITCHES, _MEMORY = ("socket", "shared_memory"), "memory"
"""Tables that can switch off what is on by default."""

_COMMENTS = re.compile(r"^[ \t]*(?:#.*)?(?:\n|\Z)", re.MULTILINE)
_HEADER = re.compile(r"^[ \t]*\[+", re.MULTILINE)
_NAME = re.compile(r"""[ \t]*["']?([^]"'.=\s]*)""")
_EMPTY_TABLES = re.compile(r"^[ \t]*\[[^\n]*\][ \t]*(?:#.*)?\n(?=[ \t]*\[|\Z)", re.MULTILINE)

# What tomllib says, and what it means for the person who wrote the line.
_HINTS = {
    "Invalid value": 'a value is a number such as 0.5, text in quotes such as "info", or true or false',
    "Expected newline or end of document after a statement": "nothing may follow a value, and text stands in quotes",
    "Illegal character '\\n'": "the quotes are not closed on this line",
    "Cannot overwrite a value": "this key is already set above",
    "Expected '=' after a key in a key/value pair": 'a key is followed by "=" and a value',
}


RULE_EXAMPLES = """\
# Rules: what happens to which streams. They are tried in order; the first that matches wins, and only where it says
# "continue = true" the ones below may add to it. Texts: "Firefox" is the whole text and "*Tube*" a glob, both ignoring
# case; "re:..." is a regular expression; a "!" in front means not; of a list, one must match. All under match must hold.
# The examples do nothing until the # is taken off.

# Two sites in one browser, told apart by what they play.
[[rules]]
name = "YouTube"
match.app = ["firefox", "chromium"]
match.media_name = "*YouTube*"
group = "Video"

[[rules]]
name = "Twitch"
match.app = ["firefox", "chromium"]
match.media_name = "*Twitch*"
group = "Streams"
to = "*Speakers*"

# Discord: its voices to the headset, and its sounds quietly to wherever sound goes.
[[rules]]
name = "Discord voices"
match.app = "discord"
match.direction = "playback"
match.properties."application.name" = "WEBRTC VoiceEngine"
to = "*Headset*"
group = "Chat"

[[rules]]
name = "Discord sounds"
match.app = "discord"
match.direction = "playback"
volume = "40%"

# Games to the headset; without it to the speakers, and without those to the default device.
[[rules]]
name = "Games"
match.app_id = "steam:*"
match.direction = "playback"
to = ["*Headset*", "*Speakers*"]
max_volume = 0.8

# The level at which a program hears the microphone, held against its automatic gain.
[[rules]]
name = "Microphone level"
match.direction = "capture"
match.app = ["discord", "zoom", "re:(?i)teams"]
volume = 0.8
locked = true

# A program that nobody wants to see in a mixer.
[[rules]]
name = "Desktop sounds"
match.role = "event"
hide = true
"""
"""Rules that show the form; valid, and commented out in the example."""


def config_path() -> Path:
    """Name the file that is read where no other is asked for, whether it exists or not."""
    return config_home() / "pwmixer" / "config.toml"


def load(path: Path) -> Settings:
    """Read settings from a file; where there is none, the defaults.

    Raises ConfigError with every problem found, one per line, each as `PATH:LINE: KEY: what would be right`.
    """
    text = read_text(path)
    return Settings() if text is None else _settings(path, text, parsed(path, text))


def read_text(path: Path) -> str | None:
    """Read a file of ours; None where there is none. Raises ConfigError with one problem."""
    data = _read(path)
    return None if data is None else decoded(path, data)


def show(settings: Settings) -> str:
    """Write settings as TOML, so that `load` gives them back."""
    values = {(entry.table, entry.name): quick.value_of(settings, entry) for entry in quick.KEYS}
    tables = _document(_assignments(path, value) for path, value in values.items())
    return "\n".join([tables, *(rule_text(rule) for rule in settings.rules)])


def rule_text(rule: Rule) -> str:
    """Write a rule as a table of the file, so that `load` gives it back."""
    lines = ["[[rules]]"]
    for key, value in rule_to_plain(rule).items():
        if key == "match" and isinstance(value, Mapping):
            lines += [f"{key_text(_condition(field))} = {_list(texts)}" for field, texts in value.items()]
        elif key != "origin":  # the file is what it comes from
            lines.append(f"{key} = {_list(value)}")
    return "\n".join(lines) + "\n"


def _condition(field: str) -> KeyPath:
    name, colon, key = field.partition(":")
    return ("match", "properties", key) if colon else ("match", name)


def _list(value: object) -> str:
    """Write a value, or a list of text; of one that has a single entry, the entry."""
    if not isinstance(value, list):
        return literal(value)
    texts = [literal(entry) for entry in value]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def example() -> str:
    """Write a configuration in which each key is explained, commented out and at its default."""
    from pwmixer_dbus.config.schema import keys  # noqa: PLC0415 - see the top of the file

    head = "Settings of pwmixer, each at its default. Take off a # to change one."
    rules = re.sub(r"^(?=[^#\n])", "#", RULE_EXAMPLES, flags=re.MULTILINE)
    tables = _document(
        (table, [_comment(f"{key.description} Allowed: {key.allowed}."), *(f"#{line}" for line in lines)])
        for key in keys()
        for table, lines in [_assignments(key.path, key.default)]
    )
    return f"{_comment(head)}\n\n{tables}\n{rules}"


def in_doubt(path: Path) -> tuple[Settings, str, bool]:
    """Return the settings for a file that cannot be used, where no good one was read before, and a sentence on them.

    They are the defaults, but what the file may switch off is off: what it mentions, or all where it has a name that does
    not exist, which may be one of these misspelt. The sentence is "" where nothing is off. Memory is on; whether the file
    may say that it is off is what comes third.
    """
    try:
        said = (_read(path) or b"").decode("utf-8-sig", "replace")
    except ConfigError:
        said = " ".join((*_SWITCHES, _MEMORY))
    for silent in (_COMMENTS, _EMPTY_TABLES):
        said = silent.sub("", said)
    before, *tables = _HEADER.split(said)
    named = {match[1] for part in (*before.splitlines(), *tables) if (match := _NAME.match(part))}
    is_misspelt = not named <= {"rules", *(entry.table for entry in quick.KEYS)}
    off = [name for name in _SWITCHES if is_misspelt or name in said]
    settings = Settings(
        socket=SocketSettings(enabled="socket" not in off),
        shared_memory=SharedMemorySettings(enabled="shared_memory" not in off),
    )
    names = " and no ".join(off).replace("_", " ")
    sentence = f"until it is mended there is no {names}: it may say so"
    may_forbid = is_misspelt or _MEMORY in said.replace("shared_memory", "")
    return settings, problem_line(path, sentence) if off else "", may_forbid


def write_example(path: Path) -> None:
    """Write the example to a new file, whole or not at all, with the folders that it needs.

    Raises ConfigError where there is something already, or where it cannot be written.
    """
    import tempfile  # noqa: PLC0415 - see the top of the file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8"
        ) as file:
            file.write(example())
            file.flush()
            os.fsync(file.fileno())
            path.hardlink_to(file.name)  # a rename would silently overwrite
    except FileExistsError as error:
        raise _problem(path, "exists already and is left as it is") from error
    except OSError as error:
        raise _problem(path, f"cannot be written: {error.strerror}") from error


def _read(path: Path) -> bytes | None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _problem(path, "is a folder, where a file should be")
        if not stat.S_ISREG(mode):  # to open a pipe could wait forever
            raise _problem(path, "is no regular file")
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from error
    if len(data) > SIZE_LIMIT:
        raise _problem(path, "is larger than 1 MiB, which no configuration needs")
    return data


def decoded(path: Path, data: bytes) -> str:
    """Read bytes as UTF-8; raises ConfigError, which names the path."""
    if data.startswith(_BOM):
        raise _problem(path, "starts with a byte order mark; save it as UTF-8 without one")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _problem(path, "this line is not UTF-8; save the file as UTF-8", line) from error


def parsed(path: Path, text: str) -> Mapping[str, object]:
    """Read text as TOML; raises ConfigError, which names the path."""
    import tomllib  # noqa: PLC0415 - see the top of the file

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise _problem(path, "has brackets nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise _syntax_problem(path, text, str(error)) from error
    except ValueError as error:  # Python refuses to read numbers of more than 4300 digits
        raise _problem(path, "holds a number that is too long") from error


def _syntax_problem(path: Path, text: str, message: str) -> ConfigError:
    """Tell tomllib's `Message (at line 3, column 7)` or `Message (at end of document)` in our form."""
    where = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    what = message[: where.start()] if where else message
    line, column = where.groups() if where else (None, None)
    return _problem(
        path,
        f"not valid TOML: {_HINTS.get(what, what)}",
        int(line) if line else text.rstrip().count("\n") + 1,
        int(column) if column else None,
    )


def _settings(path: Path, text: str, document: Mapping[str, object]) -> Settings:
    tables = {name: table for name, table in document.items() if name != "rules"}
    rules, wrong = read_tables(document.get("rules", []))
    settings, found, count = quick.settings_of(tables), list[Problem](), 0
    if settings is None:
        settings, found, count = _by_schema(path, tables)
    found += wrong
    if settings is None or wrong:
        raise ConfigError(problem_lines(path, text, found[:PROBLEM_LIMIT], count + len(wrong)))
    return replace(settings, rules=rules)


def _by_schema(path: Path, tables: Mapping[str, object]) -> tuple[Settings | None, list[Problem], int]:
    """Return the settings, else the first problems, and how many there are."""
    try:
        from pydantic import ValidationError  # noqa: PLC0415 - see the top of the file

        from pwmixer_dbus.config.schema import Document, problems  # noqa: PLC0415 - likewise
    except Exception as error:  # an upgrade, or half of one, may raise anything
        why = shortened((str(error).splitlines() or [type(error).__name__])[0])
        sentence = (
            "something in it is wrong; pydantic, which would say what, cannot be loaded "
            f"({why}): install it again, and restart the service if it has been upgraded"
        )
        raise _problem(path, sentence) from error
    try:
        return Document.model_validate(tables).to_settings(), [], 0
    except ValidationError as error:
        return None, problems(error, PROBLEM_LIMIT), error.error_count()


def problem_lines(path: Path, text: str, problems: Sequence[Problem], count: int) -> str:
    """Write problems at keys, in the order of the file, and how many more there are of `count`."""
    placed = zip(lines_of(text, [key for key, _ in problems]), problems, strict=True)
    lines = [
        problem_line(path, f"{_short_key(key)}: {sentence}", line)
        for line, (key, sentence) in sorted(placed, key=lambda pair: pair[0] or 0)
    ]
    if count > len(problems):
        lines.append(problem_line(path, f"and {count - len(problems)} more"))
    return "\n".join(lines)


def _short_key(path: KeyPath) -> str:
    """Write a key path, with parts that are too long cut."""
    return key_text(tuple(shortened(part) if isinstance(part, str) else part for part in path))


def _problem(path: Path, sentence: str, line: int | None = None, column: int | None = None) -> ConfigError:
    return ConfigError(problem_line(path, sentence, line, column))


def problem_line(path: Path, sentence: str, line: int | None = None, column: int | None = None) -> str:
    """Write a problem as every one is told."""
    place = ":".join(str(part) for part in (path, line, column) if part is not None)
    return clean(f"{place}: {sentence}", _LINE_LIMIT)


def _assignments(path: tuple[str, ...], value: object) -> tuple[tuple[str, ...], list[str]]:
    """Split a key into its table and the lines there: one, or in a table that people fill freely one per entry."""
    if isinstance(value, Mapping):
        return path, [f"{key_text((name,))} = {literal(entry)}" for name, entry in value.items()]
    return path[:-1], [f"{key_text(path[-1:])} = {literal(value)}"]


def _document(blocks: Iterator[tuple[tuple[str, ...], list[str]]]) -> str:
    """Join tables and their lines; neighbours of one table share its header."""
    tables = []
    for table, group in groupby(blocks, key=lambda block: block[0]):
        lines = [line for _, lines in group for line in lines]
        tables.append("\n".join([f"[{key_text(table)}]", *lines]) + "\n")
    return "\n".join(tables)


def _comment(text: str) -> str:
    import textwrap  # noqa: PLC0415 - see the top of the file

    return textwrap.fill(
        text, 100, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False, break_long_words=False
    )
