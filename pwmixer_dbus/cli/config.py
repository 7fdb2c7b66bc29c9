"""`pwmixerctl config`: check, show, find and start the configuration file. Needs only files, never the bus."""

import sys
from pathlib import Path

from pwmixer_dbus.cli.parser import Parser, parsed
from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import config_path, load, show, write_example
from pwmixer_dbus.config.rulebook import read_rules, rules_path


def run(_name: str, words: list[str]) -> int:
    """Run what follows `pwmixerctl config`; answer the exit code: 0 fine, 1 a problem (on stderr). Raises UsageError."""
    options = parsed(parser(), words)
    if options is None:
        return 0
    try:
        print(_answer(options.action, options.file or config_path()))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parser() -> Parser:
    """Make the parser of `pwmixerctl config`; its manual page is made from it, too."""
    parser = Parser(prog="pwmixerctl config", description="Check and show the configuration.")
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=["check", "show", "path", "init"],
        help="check: name every problem of the file, and of rules.toml beside it; show: print the settings that it gives; path: print where it "
        "is; init: write a commented example, never over an existing file",
    )
    parser.add_argument("--file", type=Path, metavar="PATH", help="another file than the user's own")
    return parser


def _check(path: Path) -> None:
    """Raise ConfigError with the problems of both files."""
    problems = []
    for check, file in ((load, path), (read_rules, rules_path(path))):
        try:
            check(file)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))


def _answer(action: str, path: Path) -> str:
    match action:
        case "check":
            _check(path)
            return f"{path}: fine" if path.exists() else f"no file at {path}: the defaults are in force"
        case "show":
            return show(load(path)).rstrip("\n")
        case "init":
            write_example(path)
            return f"{path}: written, with every key at its default"
        case _:
            return str(path)
