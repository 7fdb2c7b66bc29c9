"""Help: everything that it says is made from the table of commands."""

import sys

from pwmixer_dbus.cli import DONE, UsageError
from pwmixer_dbus.cli.commands import COMMANDS, SELECTORS, Command

PURPOSE = "See and change the volumes of the desktop."
SELECTORS_INTRO = "A target is one of these selectors; quote a glob, so that the shell leaves it alone:"
BARS_INTRO = (
    "The --format of waybar, polybar, i3blocks, i3status-rust, eww and follow is text with fields in braces:\n\n"
    "  pwmixerctl waybar --format '{name} {percent:>3}%'\n\n"
    "A width may follow a colon, as in Python; a brace of your own is written twice. Names are escaped for the bar, and "
    "what you write yourself may use its markup."
)
_WIDEST_TERM, _WIDEST_LINE, _NARROWEST, _ENDLESS = 30, 78, 20, 10_000

CODES = (
    ("0", "done"),
    ("1", "the service or the sound server said no; one sentence on standard error says why"),
    ("2", "the command line is wrong"),
    ("3", "the service cannot be reached"),
)


def run(name: str, words: list[str]) -> int:
    """Print the help or the version that was asked for; refuse a command that does not exist. Raises UsageError."""
    topics = [word for word in words if not word.startswith("-")] if name == "help" else []
    topic = topics[0] if topics else name
    if topic in {"--version", "-V"}:
        from pwmixer_dbus import __version__  # noqa: PLC0415

        print(f"pwmixerctl {__version__}")
    elif topic in {"--help", "-h", "help"}:
        print(overview())
    elif topic == "selectors":
        print(f"{_fill(SELECTORS_INTRO)}\n\n{columns(SELECTORS)}")
    elif topic == "templates":
        from pwmixer_dbus.cli.template import manual  # noqa: PLC0415

        print(_fill(manual()))
    elif topic == "bars":
        from pwmixer_dbus.cli.bars.lines import FIELDS  # noqa: PLC0415

        print(f"{_fill(BARS_INTRO)}\n\n{columns(FIELDS)}")
    elif topic in COMMANDS:
        print(command_help(COMMANDS[topic]))
    else:
        raise UsageError(unknown(topic))
    return DONE


def overview() -> str:
    """Write the help of the whole program."""
    commands = [(" ".join((c.name, *c.arguments)), c.summary) for c in COMMANDS.values() if not c.hidden]
    return "\n\n".join(
        (
            f"usage: pwmixerctl COMMAND [ARGUMENTS] [OPTIONS]\n\n{PURPOSE}",
            "Commands:\n" + columns(commands),
            "Selectors, for TARGET, DEVICE, STREAM and CARD:\n" + columns(SELECTORS),
            "Exit codes:\n" + columns(CODES),
            "'pwmixerctl COMMAND --help' says more, with examples.",
        )
    )


def command_help(command: Command) -> str:
    """Write the help of one command."""
    parts = [f"usage: {command.usage()}", _fill(f"{command.summary[0].upper()}{command.summary[1:]}.")]
    if command.text:
        parts.append(_fill(command.text))
    if command.options:
        rows = [(" ".join(filter(None, (", ".join(o.names), o.value))), o.meaning) for o in command.options]
        parts.append("Options:\n" + columns(rows))
    if command.examples:
        parts.append(
            "Examples:\n"
            + "\n".join(f"  {line}\n{_fill(f'      {meaning}')}" for line, meaning in command.examples)
        )
    return "\n\n".join(parts)


def unknown(name: str) -> str:
    """Say that there is no such command, and which one may have been meant."""
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(name, [c.name for c in COMMANDS.values() if not c.hidden], n=2, cutoff=0.7)
    hint = (
        f"did you mean {' or '.join(f'{word!r}' for word in close)}?"
        if close
        else "'pwmixerctl --help' lists them."
    )
    return f"There is no command '{name}'; {hint}"


def columns(rows: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    """Align pairs of a term and its meaning, which stands below a long term, and keeps within a terminal."""
    from shutil import get_terminal_size  # noqa: PLC0415
    from textwrap import wrap  # noqa: PLC0415

    width = max((len(term) for term, _ in rows if len(term) <= _WIDEST_TERM), default=_WIDEST_TERM)
    below = "\n" + " " * (width + 4)
    room = max(get_terminal_size().columns - width - 4, _NARROWEST) if sys.stdout.isatty() else _ENDLESS
    return "\n".join(
        f"  {term:<{width}}{below if len(term) > width else '  '}{below.join(wrap(meaning, room))}"
        for term, meaning in rows
    )


def _fill(text: str) -> str:
    """Break lines that are too long for a terminal between words; what is there to be typed stays whole."""
    from shutil import get_terminal_size  # noqa: PLC0415
    from textwrap import fill  # noqa: PLC0415

    width = min(_WIDEST_LINE, get_terminal_size().columns)
    return "\n".join(
        line
        if line.startswith("  pwmixerctl ")
        else fill(line, width, subsequent_indent=line[: -len(line.lstrip())], break_long_words=False)
        for line in text.split("\n")
    )
