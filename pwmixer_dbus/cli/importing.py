"""`pwmixerctl import`: take over what WirePlumber or gnome-pipewire-volume-mixer has kept, and say what is left out."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pwmixer_dbus.cli import DONE, CommandError, UnreachableError, UsageError, printable, wire
from pwmixer_dbus.cli.change import percent
from pwmixer_dbus.cli.render import sentence
from pwmixer_dbus.cli.show import screen
from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.importing import (
    Imported,
    add_rules,
    from_mixer_config,
    from_wireplumber,
    peek,
    plain_of,
    read_text,
    remembered,
    wireplumber_path,
)
from pwmixer_dbus.config.load import config_path, load
from pwmixer_dbus.config.rulebook import read_rules, rules_path
from pwmixer_dbus.config.store import StateFile, state_path

WIREPLUMBER = "wireplumber"
_SINKS_FILE = "~/.config/pipewire/pipewire.conf.d/50-virtual-sinks.conf"


def run(_name: str, options: dict[str, str], arguments: list[str]) -> int:
    """Run the command. Raises CommandError."""
    is_rehearsal = "--dry-run" in options
    try:
        if arguments[0] == WIREPLUMBER:
            _volumes(Path(arguments[1]) if arguments[1:] else wireplumber_path(), is_rehearsal)
        elif arguments[1:]:
            raise UsageError(
                "'import' is used as: pwmixerctl import wireplumber [FILE], or pwmixerctl import FILE"
            )
        else:
            _rules(Path(arguments[0]), is_rehearsal)
    except ConfigError as error:
        raise CommandError(str(error)) from error
    return DONE


def _volumes(path: Path, is_rehearsal: bool) -> None:
    text = read_text(path)
    file = StateFile(state_path())
    is_ours = not is_rehearsal and not _is_running()
    memory = file.load() if is_ours else peek(state_path())
    if file.problem:
        raise CommandError(file.problem)
    settings = load(config_path())
    if not settings.memory:
        print(
            printable(
                f"memory.enabled is false in {config_path()}: what is imported is kept, and not used until that is changed"
            ),
            file=sys.stderr,
        )
    found = from_wireplumber(text, memory, settings.aliases)
    taken = [(intent, f"{intent.name} ({intent.app_id}): {_level(intent)}") for intent in found.intents]
    if is_rehearsal:
        _tell("would be remembered", [line for _, line in taken])
        _tell_rest(found)
        return
    later: list[str] = []
    if not is_ours:
        # The service is the state file's one writer. It can set what it knows, and an application as it plays.
        done: list[str] = []
        for intent, line in taken:
            is_known = intent.app_id in memory.apps and intent.kind == "playback"
            is_set = is_known and _is_set(f"app:{intent.app_id}", intent.volume, intent.muted)
            (done if is_set else later).append(line)
    else:
        done = [line for _, line in taken]
        asyncio.run(_save(file, remembered(memory, found.intents, time.time())))
    _tell("remembered", done)
    _tell_rest(found)
    if later:
        _tell("not yet", later)
        raise CommandError(
            "The service cannot be told of applications that it has not met, nor of what they record; run "
            "'systemctl --user stop pwmixer-dbus' and import again."
        )


def _level(intent: object) -> str:
    volume, muted = getattr(intent, "volume", None), getattr(intent, "muted", None)
    words = [percent(volume)] if isinstance(volume, float) else []
    words += ["muted"] if muted is True else []
    verb = "records" if getattr(intent, "kind", "") == "capture" else "plays"
    return f"{verb} at {' and '.join(words)}" if isinstance(volume, float) else f"{verb} {words[0]}"


def _is_set(target: str, volume: object, muted: object) -> bool:
    """Have the service set an application; False where it knows none of that id (any more)."""
    try:
        if isinstance(volume, float):
            wire.call("SetVolume", "sda{sv}", target, volume, {"quiet": True})
        if muted is True:
            wire.call("SetMuted", "ssa{sv}", target, "on", {"quiet": True})
    except UnreachableError:
        raise
    except CommandError:
        return False
    return True


async def _save(file: StateFile, memory: object) -> None:
    file.schedule(memory)  # type: ignore[arg-type]  # it is what `remembered` gave; core's types are not ours
    file.flush()
    if file.problem:
        raise CommandError(file.problem)


def _rules(path: Path, is_rehearsal: bool) -> None:
    config = config_path()
    if path.resolve() == config.resolve():
        raise CommandError(f"{path} is pwmixer's own configuration; its rules are in force already.")
    text = read_text(path)
    own = load(config).rules
    found = from_mixer_config(text, (*own, *read_rules(rules_path(config))))
    names = [rule.name for rule in found.rules]
    if is_rehearsal:
        _tell("rules that would be added", names)
    elif found.rules and _is_running():
        _hand_over(found)
    else:
        if found.rules:
            add_rules(config, own, found.rules)
        _tell("added", names)
    _tell_rest(found)
    if found.sinks:
        print(
            "\nPwmixer makes no virtual sinks yet. PipeWire makes them itself, from its next start on, if this is"
        )
        print(f"written to {_SINKS_FILE}:\n")
        print("\n".join(printable(line) for line in found.sinks.splitlines()))


def _hand_over(found: Imported) -> None:
    """Have the service write its own file, each rule through the command that people have for it."""
    from pwmixer_dbus.cli.rules import run as run_rules  # noqa: PLC0415

    for rule in found.rules:
        match, to = plain_of(rule)["match"], plain_of(rule)["to"]
        words = [f"--to={device}" for device in to] if isinstance(to, list) else []
        for field, patterns in match.items() if isinstance(match, dict) else ():
            words += [f"--match={field}={pattern}" for pattern in patterns]
        run_rules("rules", ["add", f"--name={rule.name}", *words])


def _is_running() -> bool:
    with wire.Connection(auto_start=False) as bus:
        return bool(bus.call("NameHasOwner", "s", wire.NAME, to=wire.BUS))


def _tell_rest(found: Imported) -> None:
    if found.present:
        _tell("there already", found.present)
    _tell("left out", [f"{left.what}: {left.why}" for left in found.left_out])


def _tell(head: str, lines: Sequence[str]) -> None:
    print(f"{head}:")
    for line in lines or ("nothing",):
        print(sentence(f"  {line}", screen(), "    "))
