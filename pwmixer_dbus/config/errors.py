"""How a problem in config.toml is told: the error, the key and the value as the file writes them, and the line.

tomllib gives no lines for keys, so `lines_of` finds them in the text. This file must not import pydantic.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.rules import KeyPath

_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}'''  # strings that may run over lines
    r"""|"(?:\\.|[^"\\])*"|'[^']*'|\#[^\n]*|[\[\]{}\n]""",
    re.DOTALL,
)


class ConfigError(MixerError):
    """The configuration cannot be used. The message has one line per problem."""

    dbus_name = "org.pwmixer.Error.Config"


def key_text(path: KeyPath) -> str:
    """Write a key path as TOML does, such as `apps.aliases."old id"`; an index of an array stands in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            is_bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            text += f"{'.' if text else ''}{part if is_bare else json.dumps(part, ensure_ascii=False)}"
    return text


def lines_of(text: str, paths: Iterable[KeyPath]) -> list[int | None]:
    """Find for each path the line, counted from 1, of the statement that sets it in valid TOML.

    What stands inside an inline table or an array is found at the line where its statement starts. Where a path is set
    nowhere, the nearest table around it counts; None where there is not even that.
    """
    statements = list(_statements(text))
    return [_line_of(statements, path) for path in paths]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """A header (no content) or an assignment: where it starts, the table it belongs to, what it says there."""

    line: int
    table: KeyPath
    content: Mapping[str, object]


def _statements(text: str) -> Iterator[_Statement]:
    import tomllib  # noqa: PLC0415 - only where there is a file

    table: KeyPath = ()
    lengths: dict[KeyPath, int] = {}
    for line, source in _sources(text):
        content = tomllib.loads(source)
        if source.startswith("["):
            table = _entered(content, lengths, is_array=source.startswith("[["))
            content = {}
        yield _Statement(line=line, table=table, content=content)


def _sources(text: str) -> Iterator[tuple[int, str]]:
    """Cut TOML into statements, each with its first line: they end at a newline outside of strings and brackets."""
    text = text.replace("\r\n", "\n") + "\n"  # as tomllib does
    start, line, open_brackets = 0, 1, 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                open_brackets += 1
            case "]" | "}":
                open_brackets -= 1
            case "\n" if open_brackets == 0:
                statement = text[start : token.end()]
                if statement.strip():
                    yield line, statement.strip(" \t")
                line += statement.count("\n")
                start = token.end()


def _entered(header: object, lengths: dict[KeyPath, int], *, is_array: bool) -> KeyPath:
    """Tell which table a header opens. `lengths` counts the elements of each array of tables so far."""
    keys = []
    while header:
        if isinstance(header, Mapping):
            key, header = next(iter(header.items()))
            keys.append(key)
        elif isinstance(header, Sequence):
            header = header[0]
    path: KeyPath = ()
    for depth, key in enumerate(keys, 1):
        path = (*path, key)
        if is_array and depth == len(keys):
            lengths[path] = lengths.get(path, 0) + 1
        if path in lengths:
            path = (*path, lengths[path] - 1)
    return path


def _line_of(statements: list[_Statement], path: KeyPath) -> int | None:
    best, best_depth = None, 0
    for statement in statements:
        depth = _shared_depth(statement, path)
        if depth > best_depth:
            best, best_depth = statement.line, depth
    return best


def _shared_depth(statement: _Statement, path: KeyPath) -> int:
    """Count the leading parts of the path that the statement names."""
    for depth, (mine, wanted) in enumerate(zip(statement.table, path, strict=False)):
        if mine != wanted:
            return depth
    depth = len(statement.table)
    value: object = statement.content
    for part in path[depth:]:
        match value:
            case Mapping() if part in value:
                value = value[part]
            case list() if isinstance(part, int) and part < len(value):
                value = value[part]
            case _:
                return depth
        depth += 1
    return min(depth, len(path))
