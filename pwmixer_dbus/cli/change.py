"""The commands that change something. Each is one call on the bus, and what hangs on key bindings must start fast."""

from pwmixer_dbus.cli import DONE, UsageError, wire

_LOUDEST_BARE = 1.5  # a number above this without a percent sign is more likely meant as percent
_MODES = {"mute": "on", "unmute": "off", "toggle": "toggle"}
_MEANT = {"on": "mute", "off": "unmute", "toggle": "toggle", "mute": "toggle"}
_CLAMPED = 0.001
_DIGITS = 9
_NUMERIC = tuple("0123456789.+-")
_LONGEST = 2**32 - 1  # milliseconds, of which the service says how many are too many

Answer = tuple[list[str], str]


def run(name: str, options: dict[str, str], arguments: list[str]) -> int:
    """Run one command. Raises UsageError, and what the wire raises."""
    lines = _execute(name, options, arguments)
    if "--quiet" not in options:
        for line in lines:
            print(line)
    return DONE


def parse_amount(text: str, around: str = "{}") -> float:
    """Read a volume such as 50% or 0.5 as a number, 1.0 = 100 %. Raises UsageError, with the sign `around` it."""
    number = text.removesuffix("%")
    if not number or number.strip("0123456789.") or number.count(".") > 1 or number == ".":
        raise UsageError(f"'{around.format(text)}' is not a volume; write it as 50% or 0.5.")
    if text.endswith("%"):
        return round(float(number) / 100, 4)
    if float(number) > _LOUDEST_BARE:
        raise UsageError(
            f"'{around.format(text)}' could be percent or a factor; write {around.format(text + '%')} or a number up to {_LOUDEST_BARE}."
        )
    return round(float(number), 4)


def parse_change(text: str) -> tuple[float, bool]:
    """Read a volume or a step (+5%, 5%-), and say whether it is a step. Raises UsageError."""
    for sign in "+-":
        if text.startswith(sign):
            amount = parse_amount(text.removeprefix(sign), f"{sign}{{}}")
        elif text.endswith(sign):
            amount = parse_amount(text.removesuffix(sign), f"{{}}{sign}")
        else:
            continue
        return (-amount if sign == "-" else amount), True
    return parse_amount(text), False


def parse_count(text: str, what: str, least: int = 1) -> int:
    """Read a whole number; `what` it is, such as a number of steps, is for the message. Raises UsageError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS) or int(text) < least:
        raise UsageError(f"'{text}' is no {what}; write it as 1 or 3.")
    return int(text)


def percent(volume: float) -> str:
    """Write a volume for people."""
    return f"{volume * 100:.0f}%"


def _execute(name: str, options: dict[str, str], arguments: list[str]) -> list[str]:
    """Submit the call of a command, and return the lines that it prints."""
    if name in {"set", "up", "down"}:
        return _change(name, options, arguments)
    if name == "fade":
        return _fade(options, arguments)
    if name == "undo":
        steps = parse_count(arguments[0] if arguments else "1", "number of steps")
        undone = wire.call("Undo", "u", steps)
        return [f"{undone} undone" if undone else "nothing to undo"]
    if name in _MODES:
        target = arguments[0] if arguments else "@sink"
        if target in _MEANT:
            raise UsageError(
                f"'{target}' is no target; 'pwmixerctl {_MEANT[target]}' does that to the default output."
            )
        muted = wire.call("SetMuted", "ssa{sv}", target, _MODES[name], _call_options(options))
        return ["muted" if muted else "unmuted"]
    if name == "move":
        moved = wire.call("Move", "ssa{sv}", *arguments, _call_options(options))
        if not moved:
            return [f"{arguments[0]} goes there when it next plays or records"]
        return ["stream:" + path.rpartition("/")[2] for path in moved] if isinstance(moved, list) else []
    if name in {"lock", "unlock"}:
        wire.call("SetLock", "sb", arguments[0], name == "lock")
        return []
    if name == "cap":
        wire.call("SetCap", "sd", arguments[0], _cap(arguments[1]))
        return []
    method, signature = {
        "default": ("SetDefault", "s"),
        "port": ("SetPort", "ss"),
        "profile": ("SetProfile", "ss"),
        "forget": ("Forget", "s"),
        "reload": ("ReloadConfig", ""),
    }[name]
    wire.call(method, signature, *arguments)
    return []


def _cap(word: str) -> float:
    if word == "off":
        return -1.0
    try:
        return parse_amount(word)
    except UsageError as error:
        raise UsageError(f"{error} 'off' takes a cap away.") from error


def _change(name: str, options: dict[str, str], arguments: list[str]) -> list[str]:
    """Set or step a volume. A lone argument that begins like a number is the volume; a selector never does."""
    words = list(arguments)
    target = "@sink" if not words or words[0].startswith(_NUMERIC) else words.pop(0)
    if len(words) > 1:
        raise UsageError(f"'{name}' takes the target before the volume, as in: pwmixerctl {name} @sink 5%")
    if name == "set" and not words:
        raise UsageError(f"'set {target}' lacks a volume, such as 50% or +5%.")
    given = _call_options(options)
    if name == "set":
        volume, is_step = parse_change(words[0])
    elif words and words[0].strip("+-") != words[0]:
        raise UsageError(f"'{name}' takes an amount without a sign, such as 5%, not '{words[0]}'.")
    elif words:
        volume, is_step = parse_amount(words[0]), True
    else:  # one step of the size that the service is configured for
        volume, is_step = 1.0, True
        given["steps"] = True
    volume = -volume if name == "down" else volume
    method = "AdjustVolume" if is_step else "SetVolume"
    now = wire.call(method, "sda{sv}", target, volume, given)
    if not isinstance(now, float):
        return []
    is_clamped = not is_step and abs(now - volume) > _CLAMPED
    return [f"{percent(now)} (limited; {percent(volume)} was asked)" if is_clamped else percent(now)]


def _fade(options: dict[str, str], arguments: list[str]) -> list[str]:
    """Let a volume go to another one. A lone argument is the volume."""
    if len(arguments) == 1 and not arguments[0].startswith(_NUMERIC):
        raise UsageError(f"'fade {arguments[0]}' lacks a volume, such as 20%.")
    target = arguments[0] if len(arguments) > 1 else "@sink"
    volume, is_step = parse_change(arguments[-1])
    if is_step:
        raise UsageError(f"A fade goes to a volume, such as 20%, not by a step; got '{arguments[-1]}'.")
    text = options.get("--seconds", "1")
    if text.strip("0123456789.") or text.count(".") > 1 or text in {"", "."}:
        raise UsageError(f"'{text}' is no number of seconds; write it as 0.5 or 30.")
    milliseconds = round(min(float(text) * 1000, _LONGEST))
    wire.call("FadeVolume", "sdua{sv}", target, volume, milliseconds, _call_options(options))
    return []


def _call_options(options: dict[str, str]) -> dict[str, wire.Value]:
    given: dict[str, wire.Value] = {"context": "pwmixerctl"}
    if "--no-osd" in options:
        given["quiet"] = True
    if "--limit" in options:
        given["limit"] = parse_amount(options["--limit"])
    return given
