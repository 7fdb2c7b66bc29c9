"""The command line `pwmixerctl`: finds the module of a command and turns every failure into a sentence and an exit code.

A key binding starts this program at each press, so nothing is imported here but what every command needs.
"""

import codecs
import os
import sys

DONE, REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


class CommandError(Exception):
    """The service or the sound server said no. The text is one sentence for a person."""

    exit_code = REFUSED


class UsageError(CommandError):
    """The command line is not one that can ever work."""

    exit_code = USAGE


class UnreachableError(CommandError):
    """There is no bus, or no service behind it. The text says what to do."""

    exit_code = UNREACHABLE


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 refused, 2 usage, 3 the service cannot be reached."""
    # Whoever has closed the output wants none.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - as long as we run
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - likewise
    # A terminal that cannot show a name shall show the rest, and that in its column.
    codecs.register_error("pwmixer", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="pwmixer")
    try:
        code = _dispatch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except CommandError as error:
        print(for_reader(f"pwmixerctl: {printable(str(error))}"), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # Python would flush once more at its end and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return DONE  # the reader has seen enough (`pwmixerctl list | head -1`)
        about = f"{error.filename}: " if error.filename else ""
        print(f"pwmixerctl: {printable(about)}{error.strerror}", file=sys.stderr)
        return REFUSED
    else:
        return code


def printable(text: str) -> str:
    """Drop what could move the cursor, recolour or reorder a terminal: names come from programs that we do not know."""
    if text.isprintable():
        return text
    pairs = zip(" " + text, text, strict=False)
    return "".join(c if c.isprintable() or _joins(before, c) else " " * c.isspace() for before, c in pairs)


def _joins(before: str, character: str) -> bool:
    """Whether it is a joiner, or non-joiner, behind what there is to be joined: emoji, and letters of some scripts."""
    return character in "\u200c\u200d" and before.isprintable() and not before.isascii()


def for_reader(remark: str) -> str:
    """Break what goes to standard error between words where that is a terminal; in a pipe it is one line."""
    if not sys.stderr.isatty():
        return remark
    from pwmixer_dbus.cli.render import wrapped  # noqa: PLC0415

    return wrapped(remark, os.get_terminal_size(sys.stderr.fileno()).columns or len(remark))


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Put question marks where something cannot be encoded, for as many cells as it was counted for; and plain quotes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from pwmixer_dbus.cli.render import cells  # noqa: PLC0415

    missing = error.object[error.start : error.end]
    return "".join('"' if c in "“”" else "?" * cells(c) for c in missing), error.end


def _dispatch(argv: list[str]) -> int:
    from pwmixer_dbus.cli.commands import COMMANDS  # noqa: PLC0415

    name, words = (argv[0], argv[1:]) if argv else ("status", [])
    if name.startswith("-") and any(name.partition("=")[0] in o.names for o in COMMANDS["status"].options):
        name, words = "status", argv
    command = COMMANDS.get(name)
    # `config` and `rules` have parsers of their own, help and all; they need no speed.
    is_help = ("--help" in words or "-h" in words) and name not in {"config", "rules"}
    if command is None or is_help:
        return _run("usage", name, words)
    if command.module in _READERS:
        return _run(command.module, name, words)
    options, arguments = command.parse(words)
    return _run("doctor" if "--service" in options else command.module, name, options, arguments)


_READERS = frozenset({"usage", "config", "rules", "completion"})
"""The modules of commands that read their words themselves."""


def _run(module: str, *how: object) -> int:
    """Run a command, whose module is only imported now: not by `importlib`, which a key press can do without."""
    code: int = __import__(f"pwmixer_dbus.cli.{module}", fromlist=("run",)).run(*how)
    return code
