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
    if command is None or is_help or command.module == "usage":
        from pwmixer_dbus.cli.usage import run as run_usage  # noqa: PLC0415

        return run_usage(name, words)
    if command.module in {"config", "rules", "completion"}:
        return _run_words(command.module, name, words)
    options, arguments = command.parse(words)
    if command.module in {"install", "doctor"} or "--service" in options:
        return _run_service(command.module, name, options)
    if command.module == "change":
        from pwmixer_dbus.cli.change import run as run_change  # noqa: PLC0415

        return run_change(name, options, arguments)
    return _run_other(command.module, name, options, arguments)


def _run_other(module: str, name: str, options: dict[str, str], arguments: list[str]) -> int:
    """Run a command that hangs on no key."""
    match module:
        case "import":
            from pwmixer_dbus.cli.importing import run as run_import  # noqa: PLC0415

            return run_import(options, arguments)
        case "watch":
            from pwmixer_dbus.cli.watch import run as run_watch  # noqa: PLC0415

            return run_watch(options)
        case "bars":
            from pwmixer_dbus.cli.bars.follow import run as run_bar  # noqa: PLC0415

            return run_bar(name, options)
        case "meter":
            from pwmixer_dbus.cli.meter import run as run_meter  # noqa: PLC0415

            return run_meter(options, arguments)
        case "stats":
            from pwmixer_dbus.cli.stats import run as run_stats  # noqa: PLC0415

            return run_stats(name, options)
    from pwmixer_dbus.cli.show import run as run_show  # noqa: PLC0415

    return run_show(name, options, arguments)


def _run_words(module: str, name: str, words: list[str]) -> int:
    """Run a command that reads its words itself."""
    if module == "config":
        from pwmixer_dbus.cli.config import run as run_config  # noqa: PLC0415

        return run_config(words)
    if module == "rules":
        from pwmixer_dbus.cli.rules import run as run_rules  # noqa: PLC0415

        return run_rules(name, words)
    from pwmixer_dbus.cli.completion import run as run_completion  # noqa: PLC0415

    return run_completion(name, words)


def _run_service(module: str, name: str, options: dict[str, str]) -> int:
    """Run a command that is about the service itself."""
    if module == "install":
        from pwmixer_dbus.cli.install import run as run_install  # noqa: PLC0415

        return run_install(name, options)
    if "--json" in options:
        raise UsageError(
            "'status --service' has no --json; 'pwmixerctl stats --json' has what the service measures."
        )
    from pwmixer_dbus.cli.doctor import run as run_doctor  # noqa: PLC0415

    return run_doctor(name)
