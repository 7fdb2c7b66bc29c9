"""Every command of `pwmixerctl` as plain data: dispatch, help, completions and manual pages are made from this table.

Loaded by every command, so it stays free of imports that cost.
"""

from pwmixer_dbus.cli import UsageError


class Option:
    """One option: its spellings, the name of its value ("" for a switch), what it does, and the values it may take."""

    def __init__(
        self, names: tuple[str, ...], value: str, meaning: str, choices: tuple[str, ...] = ()
    ) -> None:
        self.names = names
        self.value = value
        self.meaning = meaning
        self.choices = choices

    def check(self, spelling: str, value: str) -> str:
        """Return the value if it is one that this option can take. Raises UsageError."""
        if value and not self.value:
            raise UsageError(f"{spelling} takes no value.")
        if self.choices and value not in self.choices:
            raise UsageError(f"{spelling} takes {', '.join(self.choices)}, not '{value}'.")
        return value


class Command:
    """One command. `arguments` in square brackets may be left out, and the last one with an ellipsis given several times.

    One in small letters is one of the words that it names, as in on|off. `examples` pair a line with what it does. `module`, below
    `cli`, has what runs it: that of all which only call the service to change something, unless another one is named.
    """

    def __init__(
        self,
        name: str,
        arguments: tuple[str, ...],
        summary: str,
        *,
        module: str = "change",
        text: str = "",
        options: tuple[Option, ...] = (),
        examples: tuple[tuple[str, str], ...] = (),
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.module = module
        self.text = text
        self.options = options
        self.examples = examples
        self.hidden = hidden

    def parse(self, words: list[str]) -> tuple[dict[str, str], list[str]]:
        """Split words into options, under their long names, and arguments. Raises UsageError."""
        options: dict[str, str] = {}
        arguments: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                arguments += rest
                break
            if not is_option(word):
                arguments.append(word)
                continue
            spelling, has_value, value = word.partition("=")
            option = self._option(spelling)
            if option.value and not has_value:
                if not rest:
                    raise UsageError(f"{spelling} needs a value: {spelling} {option.value}.")
                value = rest.pop(0)
            options[option.names[-1]] = option.check(spelling, value)
        self.check(arguments)
        return options, arguments

    def check(self, arguments: list[str]) -> None:
        """Raise UsageError where the arguments are too few or too many, or where one is none of the words there may be."""
        self._check_count(arguments)
        for argument, given in zip(self.arguments, arguments, strict=False):
            words = choices(argument)
            if words and given not in words:
                raise UsageError(f"'{self.name}' takes {', '.join(words)}, not '{given}'.")

    @property
    def is_open(self) -> bool:
        """Whether there may be any number of arguments."""
        return "..." in "".join(self.arguments[-1:])

    def usage(self) -> str:
        """Write the command as it is typed."""
        words = ["pwmixerctl", self.name, *self.arguments]
        return " ".join([*words, "[OPTIONS]"] if self.options else words)

    def _option(self, spelling: str) -> Option:
        for option in self.options:
            if spelling in option.names:
                return option
        known = ", ".join(option.names[-1] for option in self.options) or "no options"
        raise UsageError(f"'{self.name}' does not know {spelling}; it takes {known}.")

    def _check_count(self, arguments: list[str]) -> None:
        least = sum(not argument.startswith("[") for argument in self.arguments)
        if least <= len(arguments) <= len(self.arguments) or (least <= len(arguments) and self.is_open):
            return
        if len(arguments) == 1 and _BAR_TARGET in self.options:
            raise UsageError(f"'{self.name}' takes its target as an option: --target {arguments[0]}")
        problem = "is missing an argument" if len(arguments) < least else "has an argument too many"
        raise UsageError(f"'{self.name}' {problem}; it is used as: {self.usage()}")


def choices(argument: str) -> list[str]:
    """List the words that an argument may be; none where it may be anything."""
    return argument.split("|") if argument.islower() else []


def is_option(word: str) -> bool:
    """Tell an option from a volume such as -5% and from a lone dash."""
    return word[:1] == "-" and len(word) > 1 and word[1] not in "0123456789."


_TARGET = (
    "A TARGET is a selector; without one it is the default output, @sink. See 'pwmixerctl help selectors'."
)
_VOLUMES = (
    "Volumes are written as 50% or 0.5, steps as +5%, -5%, 5%+, 5%- or with a fraction, +0.05. A number over 1.5 "
    "without a percent sign is refused, since 50 may mean 50% or fifty times as loud."
)
_QUIET = Option(("-q", "--quiet"), "", "print nothing but errors")
_NO_OSD = Option(("--no-osd",), "", "ask the desktop to show no on-screen display for this change")
_LIMIT = Option(("-l", "--limit"), "VOLUME", "do not go over this volume, such as 100%")
_JSON = Option(("--json",), "", "print JSON")
_FORMAT = Option(("-f", "--format"), "TEMPLATE", "print each by a template; see 'pwmixerctl help templates'")
_COLOR = Option(("--color",), "WHEN", "auto (the default), always or never", ("auto", "always", "never"))

_BAR_TARGET = Option(("-t", "--target"), "TARGET", "what to show, instead of the default output")
_BAR_FORMAT = Option(("-f", "--format"), "TEMPLATE", "the text to show; see 'pwmixerctl help bars'")
_ONCE = Option(("--once",), "", "print one line and end, for bars that ask again")


def _bar(name: str, what: str, example: tuple[str, str]) -> Command:
    return Command(
        name,
        (),
        f"print {what} for a target, now and whenever it changes",
        module="bars.follow",
        text="Goes on while the service or the sound server is away, and shows so; sleeps while nothing changes; ends with "
        "the bar. docs/bars.md has what to write into the configuration of each bar.",
        options=(_BAR_TARGET, _BAR_FORMAT, _ONCE),
        examples=(example,),
    )


def _muting(name: str, summary: str, example: tuple[str, str]) -> Command:
    return Command(
        name,
        ("[TARGET]",),
        summary,
        text=f"Prints 'muted' or 'unmuted'. {_TARGET}",
        options=(_QUIET, _NO_OSD),
        examples=(example,),
    )


_ALL = (
    Command(
        "status",
        (),
        "show outputs, inputs and applications with their volumes",
        module="show",
        text="The default devices are marked. This is also what pwmixerctl does without a command; the options can be given so, too.",
        options=(
            Option(("-a", "--all"), "", "show monitors of outputs and what rules hide, too"),
            _COLOR,
            Option(("--service",), "", "show instead how the service itself is, and what is wrong with it"),
            _JSON,
        ),
        examples=(("pwmixerctl status", "everything at a glance"),),
    ),
    Command(
        "list",
        ("apps|groups|streams|sinks|sources|cards",),
        "list what there is of a kind",
        module="show",
        text="One line for each, with the selector first. Where there is none, standard error says so, and the output is empty.",
        options=(
            Option(("-a", "--all"), "", "list monitors of outputs and what rules hide, too"),
            _FORMAT,
            _JSON,
        ),
        examples=(
            ("pwmixerctl list sinks", "the outputs"),
            (
                "pwmixerctl list streams --format '{app_name}: {percent}%'",
                "one line of your own for each stream",
            ),
        ),
    ),
    Command(
        "get",
        ("[TARGET]",),
        "print the volume, and whether it is muted",
        module="show",
        text=_TARGET,
        options=(_FORMAT, _JSON),
        examples=(
            ("pwmixerctl get", "the default output, such as: 45%"),
            ("pwmixerctl get @source --format '{percent} {muted}'", "the default input, for a status bar"),
        ),
    ),
    Command(
        "set",
        ("[TARGET]", "VOLUME"),
        "set the volume, or change it by a step",
        text=f"{_VOLUMES} Prints the volume that is now in force. {_TARGET}",
        options=(_LIMIT, _QUIET, _NO_OSD),
        examples=(
            ("pwmixerctl set @sink 50%", "half way"),
            ("pwmixerctl set app:firefox -5%", "a little quieter"),
        ),
    ),
    Command(
        "up",
        ("[TARGET]", "[AMOUNT]"),
        "raise the volume by one step, or by AMOUNT",
        text=f"A step up also unmutes. Prints the volume that is now in force. {_TARGET}",
        options=(_LIMIT, _QUIET, _NO_OSD),
        examples=(
            (
                "pwmixerctl up",
                "the default output, one step louder: 5%, unless the configuration says otherwise",
            ),
            ("pwmixerctl up @source 2%", "the default input, 2% louder"),
        ),
    ),
    Command(
        "down",
        ("[TARGET]", "[AMOUNT]"),
        "lower the volume by one step, or by AMOUNT",
        text=f"Prints the volume that is now in force. {_TARGET}",
        options=(_QUIET, _NO_OSD),
        examples=(("pwmixerctl down app:spotify 10%", "one application, 10% quieter"),),
    ),
    Command(
        "fade",
        ("[TARGET]", "VOLUME"),
        "let the volume go smoothly to another one",
        text=f"Returns at once; whoever sets the volume meanwhile, with any program, ends the fade. {_TARGET}",
        options=(
            Option(("-s", "--seconds"), "SECONDS", "how long it takes, such as 0.5 or 30; without this, 1"),
            _LIMIT,
            _NO_OSD,
        ),
        examples=(
            ("pwmixerctl fade app:spotify 20%", "down within a second"),
            ("pwmixerctl fade 0% --seconds 1800", "for falling asleep: the default output, in half an hour"),
        ),
    ),
    _muting("mute", "mute", ("pwmixerctl mute @source", "the default input")),
    _muting("unmute", "unmute", ("pwmixerctl unmute", "the default output")),
    _muting(
        "toggle", "mute, or unmute what is muted", ("pwmixerctl toggle @source", "a key for the microphone")
    ),
    Command(
        "undo",
        ("[STEPS]",),
        "take back what was last changed through pwmixer, by whatever program",
        text="Without STEPS, the last change. What is dragged or pressed within a second counts as one. Locks, caps and "
        "rules stay as they are.",
        options=(_QUIET,),
        examples=(
            ("pwmixerctl undo", "the wrong slider"),
            ("pwmixerctl undo 3", "the last three changes"),
        ),
    ),
    Command(
        "default",
        ("DEVICE",),
        "make a device the default output or input",
        text="DEVICE is a selector of one sink or source, or just its name.",
        examples=(
            ("pwmixerctl default headset", "what is called so, if only one device is"),
            ("pwmixerctl default 'sink:*headset*'", "the output whose name holds 'headset'"),
        ),
    ),
    Command(
        "move",
        ("STREAMS", "DEVICE"),
        "move streams to a device",
        text="STREAMS is a selector of streams or applications, DEVICE one of a sink or source, or just its name. Prints the streams that moved, one a line. An application "
        "that does not play or record now goes there when it next does.",
        options=(_QUIET,),
        examples=(("pwmixerctl move app:firefox sink:headset", "all of Firefox"),),
    ),
    Command(
        "port",
        ("DEVICE", "PORT"),
        "choose the port of a device, such as headphones",
        text="'pwmixerctl describe DEVICE' shows the names of its ports.",
        examples=(
            ("pwmixerctl port @sink analog-output-headphones", "the headphones of the default output"),
        ),
    ),
    Command(
        "profile",
        ("CARD", "PROFILE"),
        "choose the profile of a card",
        text="'pwmixerctl describe CARD' shows the names of its profiles.",
        examples=(("pwmixerctl profile card:alsa_card.usb output:analog-stereo", "stereo output only"),),
    ),
    Command(
        "watch",
        (),
        "print one line for each change until interrupted",
        module="watch",
        text="Goes on while the service or the sound server is away, and says so.",
        options=(Option(("--json",), "", "print one JSON object a line"),),
        examples=(("pwmixerctl watch --json", "to be read by a program"),),
    ),
    _bar(
        "follow",
        "a line of text",
        ("pwmixerctl follow --format '{icon} {level}'", "for any bar that takes text"),
    ),
    _bar("waybar", "JSON for waybar", ("pwmixerctl waybar --target app:spotify", "one application")),
    _bar("polybar", "a line for polybar", ("pwmixerctl polybar --target @source", "the default input")),
    _bar("i3blocks", "JSON for i3blocks", ("pwmixerctl i3blocks --format '{name} {level}'", "with its name")),
    _bar("i3status-rust", "JSON for i3status-rust", ("pwmixerctl i3status-rust", "the default output")),
    _bar("eww", "JSON for eww", ("pwmixerctl eww", "the default output, and what plays")),
    Command(
        "explain",
        ("STREAM",),
        "say which application a stream belongs to, where it plays, and why",
        module="show",
        options=(_JSON,),
        examples=(("pwmixerctl explain stream:5", "the evidence, the rules tried and the devices"),),
    ),
    Command(
        "describe",
        ("[TARGET]",),
        "print everything that is known as JSON",
        module="show",
        text="With a TARGET, an array of what it stands for; without, the whole state.",
        examples=(("pwmixerctl describe @sink", "the default output"),),
    ),
    Command(
        "resolve",
        ("SELECTOR",),
        "print the object paths that a selector stands for now",
        module="show",
        examples=(("pwmixerctl resolve 'app:*fire*'", "one path a line"),),
    ),
    Command(
        "config",
        ("check|show|path|init",),
        "check, show, locate or create the configuration file",
        module="config",
        examples=(("pwmixerctl config check", "say what is wrong in it, and where"),),
    ),
    Command(
        "rules",
        ("list|add|edit|remove|move|test|suggest|enable|disable",),
        "see and change what happens to which streams",
        module="rules",
        text="'pwmixerctl rules ACTION --help' shows the options of each.",
        examples=(
            ("pwmixerctl rules list", "the rules in the order in which they are tried"),
            (
                "pwmixerctl rules add --name YouTube --match app=firefox --match media_name='*YouTube*' --to '*Headset*'",
                "one site of a browser to the headset",
            ),
            ("pwmixerctl rules test", "what the rules do with what plays now"),
            ("pwmixerctl rules test --on app_name=Firefox,media_name='A song'", "and with what does not"),
        ),
    ),
    Command(
        "remember",
        ("STREAM|APP",),
        "make a rule that an application goes to where it is now",
        module="rules",
        examples=(("pwmixerctl remember app:firefox", "after moving it there"),),
    ),
    Command(
        "lock",
        ("APP|DEVICE",),
        "hold an application or a device where it is now, against every other program",
        text="What is set through pwmixer becomes the new locked volume.",
        examples=(("pwmixerctl lock @source", "no program turns the microphone up or down any more"),),
    ),
    Command(
        "unlock",
        ("APP|DEVICE",),
        "let other programs set it again",
        examples=(("pwmixerctl unlock @source", "the microphone, for example"),),
    ),
    Command(
        "cap",
        ("APP|DEVICE", "VOLUME|off"),
        "set the highest volume of an application or a device, for every program",
        examples=(
            ("pwmixerctl cap app:firefox 60%", "a browser is never louder than 60 %"),
            ("pwmixerctl cap app:firefox off", "and may be again"),
        ),
    ),
    Command(
        "forget",
        ("APP|DEVICE",),
        "forget the volume, mute, lock and cap of an application or a device",
        text="A lone asterisk, in quotes, forgets everything.",
        examples=(
            ("pwmixerctl forget app:firefox", "a browser"),
            ("pwmixerctl forget '*'", "everything that is remembered"),
        ),
    ),
    Command(
        "import",
        ("wireplumber|FILE", "[FILE]"),
        "take over the volumes of WirePlumber, or the rules of gnome-pipewire-volume-mixer",
        module="importing",
        text="'import wireplumber' reads what WirePlumber has stored of applications, 'import FILE' a config.toml of "
        "gnome-pipewire-volume-mixer. Only what is unambiguous is taken; all else is listed with the reason.",
        options=(Option(("--dry-run",), "", "say what would be done, and do nothing"),),
        examples=(
            ("pwmixerctl import wireplumber --dry-run", "what would be remembered"),
            (
                "pwmixerctl import /etc/pipewire-volume-mixer/config.toml",
                "rules, and a PipeWire configuration for the sinks",
            ),
        ),
    ),
    Command(
        "stats",
        (),
        "show what the service measures of itself: delays, counts, queues, memory",
        module="stats",
        options=(
            Option(("--plot",), "", "draw how the delays are spread"),
            _JSON,
            Option(("--prometheus",), "", "print the text format of Prometheus"),
            Option(("--profile",), "SECONDS", "write a profile of the service for so long, for developers"),
            _COLOR,
        ),
        examples=(
            ("pwmixerctl stats", "everything at a glance"),
            ("pwmixerctl stats --plot", "from a call to its reply, and the other delays, as bars"),
            ("pwmixerctl stats --profile 5", "a file for python3 -m pstats"),
        ),
    ),
    Command(
        "top",
        (),
        "show what costs what, live, until q is pressed",
        module="top",
        text="By application, device and caller, the dearest first, by the second; drawn once a second. "
        "Where the output is no terminal, it is printed once, since the start of the service.",
        options=(Option(("--once",), "", "print it once, since the start of the service"), _COLOR),
        examples=(("pwmixerctl top", "who keeps the service busy"),),
    ),
    Command(
        "meter",
        ("[TARGET...]",),
        "show how loud something is, live, until interrupted",
        module="meter",
        text="Without a target it is the default output, @sink. A bar is 60 dB long. Where the output is no terminal, the loudest "
        "peaks of half a second are printed: a number for each target, 1 for full scale, nan for what is not there.",
        options=(
            Option(("--once",), "", "print the loudest peaks of half a second"),
            Option(("--rate",), "RATE", "how often a second, 1 to 60, by default 30"),
        ),
        examples=(
            ("pwmixerctl meter", "the default output"),
            ("pwmixerctl meter @sink @source app:firefox", "the microphone is recorded meanwhile"),
            ("pwmixerctl meter --once app:firefox", "whether it can be heard"),
        ),
    ),
    Command(
        "trace",
        (),
        "print the last things that happened in the service, with their timing",
        module="stats",
        text="The last 4096 are kept. Each line has the time, what happened, how long it took, and what it was about.",
        options=(
            Option(("-f", "--follow"), "", "go on with what happens until interrupted"),
            Option(("-n", "--last"), "COUNT", "print so many of the last ones; with --follow, 10 by default"),
            Option(("--json",), "", "print one JSON object a line"),
        ),
        examples=(
            ("pwmixerctl trace --last 50", "what led to where we are"),
            ("pwmixerctl trace --follow", "what happens now"),
        ),
    ),
    Command(
        "reload",
        (),
        "read the configuration file again",
        examples=(("pwmixerctl reload", "after an edit"),),
    ),
    Command(
        "install",
        (),
        "install the service for yourself, enable and start it",
        module="install",
        text="Puts the units, the file by which the bus starts the service, the interface files, completions and manual pages "
        "where they belong, and says what it does. Doing it again changes nothing, or mends what an upgrade or a move of Python "
        "has made wrong. What you have changed yourself stays.",
        options=(
            Option(("--user",), "", "into your own folders (the default)"),
            Option(("--system",), "", "for everybody, into /usr/local; DESTDIR is put before it"),
            Option(
                ("--force",),
                "",
                "also where a package has installed the service; this one then goes before that",
            ),
            Option(("-n", "--dry-run"), "", "say what would be done, and do nothing"),
        ),
        examples=(("pwmixerctl install --dry-run", "what it would do"),),
    ),
    Command(
        "uninstall",
        (),
        "stop the service and remove what 'install' has put there",
        module="install",
        text="Removes exactly what 'install' has written; what you have changed since stays, and so do your configuration and "
        "what is remembered.",
        options=(
            Option(("--user",), "", "from your own folders (the default)"),
            Option(("--system",), "", "from /usr/local; DESTDIR is put before it"),
            Option(("--purge",), "", "forget what is remembered, too; the configuration stays"),
            Option(("-n", "--dry-run"), "", "say what would be done, and do nothing"),
        ),
        examples=(("pwmixerctl uninstall", "remove it; what is remembered waits for the next time"),),
    ),
    Command(
        "doctor",
        (),
        "say what is wrong with the service, its unit and the sound server",
        module="doctor",
        text="One sentence each, with what to do about it; exits with 1 if there is anything. It starts the service if need be.",
        examples=(("pwmixerctl doctor", "when something does not work"),),
    ),
    Command(
        "completion",
        ("bash|zsh|fish",),
        "print the completion script for bash, zsh or fish",
        module="completion",
        examples=(
            ("source <(pwmixerctl completion bash)", "in ~/.bashrc"),
            ("source <(pwmixerctl completion zsh)", "in ~/.zshrc, after compinit"),
            ("pwmixerctl completion fish | source", "in ~/.config/fish/config.fish"),
        ),
    ),
    Command(
        "help",
        ("[TOPIC...]",),
        "show help on commands, on selectors, templates or bars",
        module="usage",
        examples=(("pwmixerctl help selectors", "how targets are written"),),
    ),
    Command(
        "complete-words", ("WORD...",), "what the completion scripts call", module="completion", hidden=True
    ),
)

COMMANDS = {command.name: command for command in _ALL}

SELECTORS = (
    ("@sink, @source", "the default output or input"),
    ("sink:NAME, source:NAME", "a device; a glob such as 'sink:*usb*' may stand for the name"),
    ("app:ID", "an application with all its streams, such as app:firefox; globs work here, too"),
    ("stream:N", "one stream, by the number that 'pwmixerctl list streams' shows"),
    ("card:NAME", "a card, for profiles"),
    ("group:NAME", "a group: all the streams that rules have put into it"),
    ("pid:N", "the streams of a process, or of the process that started it"),
    ("/org/pwmixer/Mixer/...", "an object path"),
)
