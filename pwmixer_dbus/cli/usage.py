"""Help: everything that it says is made from the table of commands."""

import sys

from pwmixer_dbus.cli import DONE, UsageError
from pwmixer_dbus.cli.commands import COMMANDS, SELECTORS, Command, is_option

PURPOSE = "See and change the volumes of the desktop."
SELECTORS_INTRO = "A target is one of these selectors; quote a glob, so that the shell leaves it alone:"
TEMPLATES_INTRO = (
    "A template is text with fields in braces, filled for each record:\n\n"
    "  pwmixerctl list streams --format '{app_name:<20} {percent:>3}%'\n\n"
    "A width may follow a colon, as in Python. \\t and \\n stand for tab and line end. "
    "Every other key that 'pwmixerctl describe' shows is a field, too."
)
BARS_INTRO = (
    "The --format of waybar, polybar, i3blocks, i3status-rust, eww and follow is text with fields in braces:\n\n"
    "  pwmixerctl waybar --format '{name} {percent:>3}%'\n\n"
    "A width may follow a colon, as in Python; a brace of your own is written twice. Names are escaped for the bar, and "
    "what you write yourself may use its markup."
)
_VOLUME = (
    ("volume", "the volume as a fraction: 0.45"),
    ("muted", "yes or no"),
    ("percent", "the volume in percent, without the sign: 45"),
    ("mute", "'muted', or nothing"),
)
TEMPLATE_FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "sinks and sources": (
        ("selector", "what names it on the command line"),
        ("name", "the name that stays the same"),
        ("description", "the name for people"),
        *_VOLUME,
        ("default", "yes or no"),
        ("active_port", "the name of the port in use"),
        ("state", "running, idle or suspended"),
    ),
    "streams": (
        ("selector", "such as stream:5"),
        ("app_name, app_id", "the application"),
        ("media_name", "what is playing, as the application says"),
        *_VOLUME,
        ("device", "the name of the device"),
        ("corked", "whether it is paused: yes or no"),
        ("pid, binary", "the process"),
    ),
    "apps": (
        ("selector", "such as app:bin:firefox"),
        ("name", "the name for people"),
        *_VOLUME,
        ("active", "whether it has a stream that is not paused: yes or no"),
        ("streams", "the numbers of its streams"),
    ),
    "groups": (
        ("selector", "such as group:Music"),
        ("name", "the name"),
        *_VOLUME,
        ("active", "whether it has a stream that is not paused: yes or no"),
        ("apps", "the ids of the applications in it"),
        ("streams", "the numbers of its streams"),
    ),
    "cards": (
        ("selector", "such as card:NAME"),
        ("name, description", "the names"),
        ("active_profile", "the name of the profile in use"),
    ),
}
"""What a template may hold, by the kind of record, and what it is."""

_WIDEST_TERM, _WIDEST_LINE, _ENDLESS = 30, 78, 10_000

_ELSEWHERE = {
    "volume": "set",
    "raise": "up",
    "increase": "up",
    "lower": "down",
    "decrease": "down",
    "ls": "list",
    "info": "status",
    "show": "describe",
    "inspect": "describe",
    "monitor": "watch",
    "subscribe": "watch",
}
"""What other programs call it."""

CODES = (
    ("0", "done"),
    ("1", "the service or the sound server said no; one sentence on standard error says why"),
    ("2", "the command line is wrong"),
    ("3", "the service cannot be reached"),
)


def run(name: str, words: list[str]) -> int:
    """Print the help or the version that was asked for; refuse a command that does not exist. Raises UsageError."""
    topics = [word for word in words if not word.startswith("-")] if name == "help" else []
    print("\n\n".join([_about(topic) for topic in topics or [name]]))
    return DONE


def _about(topic: str) -> str:
    if topic in {"--version", "-V", "version"}:
        from pwmixer_dbus import __version__  # noqa: PLC0415

        return f"pwmixerctl {__version__}"
    if topic in {"--help", "-h", "help"}:
        return overview()
    if topic == "selectors":
        return f"{_fill(SELECTORS_INTRO)}\n\n{columns(SELECTORS)}"
    if topic == "templates":
        kinds = (f"Fields of {kind}:\n{columns(fields)}" for kind, fields in TEMPLATE_FIELDS.items())
        return "\n\n".join((_fill(TEMPLATES_INTRO), *kinds))
    if topic == "bars":
        from pwmixer_dbus.cli.bars.lines import FIELDS  # noqa: PLC0415

        return f"{_fill(BARS_INTRO)}\n\n{columns(FIELDS)}"
    if topic in COMMANDS:
        return command_help(COMMANDS[topic])
    raise UsageError(unknown(topic))


def overview() -> str:
    """Write the help of the whole program."""
    commands = [(" ".join((c.name, *c.arguments)), c.summary) for c in COMMANDS.values() if not c.hidden]
    return "\n\n".join(
        (
            _fill(f"usage: pwmixerctl COMMAND [ARGUMENTS] [OPTIONS]\n\n{PURPOSE}"),
            "Commands:\n" + columns(commands),
            f"{_fill('Selectors, for TARGET, DEVICE, STREAM and CARD:')}\n{columns(SELECTORS)}",
            "Exit codes:\n" + columns(CODES),
            _fill("'pwmixerctl COMMAND --help' says more, with examples."),
        )
    )


def command_help(command: Command) -> str:
    """Write the help of one command."""
    parts = [_fill(f"usage: {command.usage()}"), _fill(f"{command.summary[0].upper()}{command.summary[1:]}.")]
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

    known = [c.name for c in COMMANDS.values() if not c.hidden]
    word = _ELSEWHERE.get(name, name.lower())
    parts = [part for part in word.split("-") if part in known]
    meant = [part for part in parts if part != "set"] or parts
    meant = meant or get_close_matches(word, known, n=2, cutoff=0.7)
    hint = "'pwmixerctl --help' lists them."
    if meant:
        hint = f"did you mean {' or '.join(f'{word!r}' for word in meant)}?"
    elif name.strip("+-")[:1].isdecimal():
        hint = f"did you mean 'set {name}'?"
    elif is_option(name):
        hint = "options stand behind the command."
    return f"There is no command '{name}'; {hint}"


def columns(rows: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    """Align pairs of a term and its meaning, which stands below a long term, and keeps within a terminal."""
    from pwmixer_dbus.cli.render import wrapped  # noqa: PLC0415

    room = _room() if sys.stdout.isatty() else _ENDLESS
    widest = min(_WIDEST_TERM, room // 2 - 4)
    width = max((len(term) for term, _ in rows if len(term) <= widest), default=widest)
    margin = " " * (width + 4)
    return "\n".join(
        f"  {term}\n{wrapped(margin + meaning, room, margin)}"
        if len(term) > width
        else wrapped(f"  {term:<{width}}  {meaning}", room, margin)
        for term, meaning in rows
    )


def _room() -> int:
    from shutil import get_terminal_size  # noqa: PLC0415

    return get_terminal_size().columns


def _fill(text: str) -> str:
    """Break lines that are too long for a terminal between words; what is there to be typed stays whole."""
    from pwmixer_dbus.cli.render import wrapped  # noqa: PLC0415

    width = min(_WIDEST_LINE, _room())
    return "\n".join(
        line
        if line.startswith("  pwmixerctl ")
        else wrapped(line, width, line[: -len(line.lstrip())] if line.strip() else "")
        for line in text.split("\n")
    )
