"""The parsers of `config` and `rules`, which refuse as every other command does: in one sentence that says how it is right."""

import argparse
from typing import NoReturn

from pwmixer_dbus.cli import UsageError
from pwmixer_dbus.cli.commands import COMMANDS


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        name = self.prog.removeprefix("pwmixerctl ")
        raise UsageError(f"'{name}': {message}; '{self.prog} --help' says how it is used.")


def parsed(parser: Parser, words: list[str]) -> argparse.Namespace | None:
    """Parse the words behind a command whose first one is an action; None where help was asked for, and printed.

    Raises UsageError.
    """
    if not words or not words[0].startswith("-"):
        COMMANDS[parser.prog.removeprefix("pwmixerctl ")].check(words[:1])
    try:
        options, others = parser.parse_known_args(words)
    except SystemExit:
        return None
    if others:
        command = f"{parser.prog} {options.action}"
        raise UsageError(
            f"'{command.removeprefix('pwmixerctl ')}' does not know {others[0]}; '{command} --help' says how it is used."
        )
    return options
