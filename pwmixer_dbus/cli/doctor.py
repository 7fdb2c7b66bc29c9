"""`pwmixerctl doctor` and `status --service`: how the service itself is, and one sentence for each thing that is wrong.

The facts are collected first, each by itself, so that one that cannot be had hides no other; what they mean is decided
from the facts alone.
"""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pwmixer_dbus import __version__
from pwmixer_dbus.cli import DONE, REFUSED, CommandError, UnreachableError, UsageError, systemd, wire
from pwmixer_dbus.cli.files import UNITS, packaged, program_of, system_scope, user_scope
from pwmixer_dbus.cli.render import sentence
from pwmixer_dbus.cli.show import document, screen
from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import config_path, load

OLDEST = (0, 3, 65)
"""The oldest PipeWire that is tested."""

_PULSE, _PIPEWIRE = "pulse/native", "pipewire-0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found; "" or empty where it could not be had.

    `unit` is what systemd knows, `owner` the process that owns the bus name, 0 for none; `refusal` says why the service
    cannot be asked. `sockets` tells for each path whether somebody answers there. `twice` are the file that starts the service and the
    package's, where it has been installed besides.
    """

    bus_problem: str = ""
    unit: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    program_is_there: bool = True
    owner: int = 0
    refusal: str = ""
    version: str = ""
    connected: bool = False
    server: str = ""
    outputs: int = 0
    cards: int = 0
    config_error: str = ""
    state_error: str = ""
    pulse_server: str = ""
    sockets: Mapping[str, bool] = field(default_factory=dict)
    wanted_socket: str = ""
    twice: tuple[Path, Path] | None = None


def run(name: str, options: dict[str, str], _arguments: list[str]) -> int:
    """Print what is found; 0 where nothing is wrong, else 1. Raises UsageError."""
    if "--json" in options:
        raise UsageError(
            "'status --service' has no --json; 'pwmixerctl stats --json' has what the service measures."
        )
    facts, terminal = collect(), screen()
    if name == "status":
        for label, value in lines(facts):
            print(sentence(f"{label + ':':14} {value}", terminal, " " * 15))
    problems = list(diagnose(facts))
    for problem in problems:
        print(sentence(f"! {problem}", terminal, "  "))
    if name == "doctor":
        told = remark(facts)
        if told:
            print(sentence(told, terminal))
        if not problems:
            print("Apart from that, nothing is wrong." if told else "Nothing is wrong.")
    return REFUSED if problems else DONE


def lines(facts: Facts) -> Iterator[tuple[str, str]]:
    """Say how the service is, a label and a value at a time."""
    yield "Service", f"pwmixer {facts.version}, process {facts.owner}" if facts.version else "does not run"
    if facts.unit:
        unit = facts.unit
        state = f"{unit.get('ActiveState')}, {unit.get('UnitFileState') or 'not installed'}"
        yield "Unit", "; ".join(filter(None, (state, unit.get("StatusText"))))
    else:
        yield "Unit", "no systemd here"
    yield "Sound server", (facts.server if facts.connected else "none") if facts.version else "not known"
    if facts.wanted_socket:
        yield "Socket", facts.wanted_socket


def diagnose(facts: Facts) -> Iterator[str]:
    """Say what is wrong, a sentence each, the causes before what comes of them."""
    if facts.bus_problem:
        yield facts.bus_problem
        return
    yield from _of_packages(facts)
    of_unit = list(_of_unit(facts))
    yield from of_unit
    if not facts.version:
        if facts.refusal and not of_unit:
            yield facts.refusal
        return
    yield from _of_instance(facts)
    yield from _of_server(facts)
    yield from (*facts.config_error.splitlines(), *facts.state_error.splitlines())
    if facts.wanted_socket and not facts.sockets.get(facts.wanted_socket):
        told = "'journalctl --user -u pwmixer-dbus'" if facts.unit else "what the service has printed"
        yield f"Nobody answers at the socket {facts.wanted_socket}: {told} says why it could not be opened."


def _of_packages(facts: Facts) -> Iterator[str]:
    if facts.twice is not None:
        ours, theirs = facts.twice
        system = "" if ours in user_scope().starters else " --system"
        yield (
            f"The service is installed twice: {ours} goes before {theirs} of a package; "
            f"'pwmixerctl uninstall{system}' leaves it to the package."
        )


def _of_unit(facts: Facts) -> Iterator[str]:
    unit, name = facts.unit, UNITS[0]
    if unit.get("LoadState") == "masked" or unit.get("UnitFileState") == "masked":
        yield f"The unit is masked, so that nothing starts the service: 'systemctl --user unmask {name}'."
    elif unit.get("LoadState") == "not-found":
        yield "The unit is not installed, so the service does not start by itself: 'pwmixerctl install'."
    elif facts.program and not facts.program_is_there:
        yield (
            f"The unit starts {facts.program}, which is not there (any more); "
            "'pwmixerctl install' writes it anew."
        )
    elif unit.get("ActiveState") == "failed" and facts.program.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108
        yield (
            f"The unit cannot see {facts.program}, since it has a /tmp and a /var/tmp of its own: "
            "have that elsewhere, such as in your home, and 'pwmixerctl install' from there."
        )
    elif unit.get("ActiveState") == "failed":
        yield (
            f"The unit has failed ({unit.get('Result', 'unknown')}); 'journalctl --user -u pwmixer-dbus' says why, "
            f"and 'systemctl --user restart {name}' tries again."
        )
    elif unit.get("NeedDaemonReload") == "yes":
        yield "The unit's file has changed since systemd has read it: 'systemctl --user daemon-reload'."


def _of_instance(facts: Facts) -> Iterator[str]:
    main = int(facts.unit.get("MainPID") or 0)
    if facts.unit.get("LoadState") == "loaded" and main != facts.owner:
        beside = f"beside process {main} of the unit" if main else "outside of its unit"
        yield (
            f"A second instance serves the bus: process {facts.owner} runs {beside}; end it with "
            f"'kill {facts.owner}', and the unit can take its place."
        )
    if facts.version != __version__:
        restart = f"systemctl --user restart {UNITS[0]}" if facts.unit else "pwmixer-dbus --replace"
        yield (
            f"The service that runs is version {facts.version}, and this is {__version__}: "
            f"'{restart}' starts the one that is installed."
        )


def _of_server(facts: Facts) -> Iterator[str]:
    pipewire = re.search(r"PipeWire ([0-9]+)\.([0-9]+)\.([0-9]+)", facts.server)
    if facts.connected and pipewire is None:
        yield (
            f"The sound server is {facts.server or 'unknown'}, not PipeWire, with which alone this is tested; "
            "install pipewire-pulse in its place."
        )
    elif facts.connected and pipewire is not None and tuple(map(int, pipewire.groups())) < OLDEST:
        yield (
            f"PipeWire {'.'.join(pipewire.groups())} is older than {'.'.join(map(str, OLDEST))}, "
            "the oldest with which this is tested."
        )
    elif facts.connected:
        return
    elif facts.pulse_server:
        yield f"PULSE_SERVER is {facts.pulse_server}, and no sound server answers the service there."
    elif facts.sockets.get(_PIPEWIRE) and not facts.sockets.get(_PULSE):
        start = "'systemctl --user start pipewire-pulse.socket'" if facts.unit else "start 'pipewire-pulse'"
        yield f"PipeWire runs, but pipewire-pulse does not: {start}."
    elif facts.sockets.get(_PULSE):
        again = (
            "'systemctl --user restart pipewire-pulse'"
            if facts.unit
            else "end 'pipewire-pulse' and start it again"
        )
        yield (
            f"A sound server answers, but not to the service: {again}, "
            "and see whether PULSE_SERVER differs for the service."
        )
    elif facts.unit:
        yield "PipeWire does not run: 'systemctl --user start pipewire.socket pipewire-pulse.socket'."
    else:
        yield "PipeWire does not run: start 'pipewire' and 'pipewire-pulse'."


def remark(facts: Facts) -> str:
    """Say what may be as it should be, but explains silence: that there is no output device. "" where there is one."""
    if facts.outputs or not facts.connected:
        return ""
    if facts.cards:
        return (
            "There is no output device: 'pwmixerctl list cards' shows whether the profile of a card is off, "
            "and 'pwmixerctl profile CARD PROFILE' chooses another."
        )
    finder = (
        "'systemctl --user restart wireplumber' starts what finds them"
        if facts.unit
        else "see whether 'wireplumber' runs, which finds them"
    )
    return f"There is no output device, and no card: {finder}."


def collect() -> Facts:
    """Look at everything. Asking the service starts it where it does not run, unless that cannot work."""
    unit = systemd.properties(UNITS[0])
    fragment = Path(unit.get("FragmentPath") or "/dev/null")
    program = program_of(fragment.read_text(encoding="utf-8", errors="replace")) if fragment.is_file() else ""
    found: dict[str, object] = {
        "program": program,
        "program_is_there": os.access(program, os.X_OK),
        "pulse_server": os.environ.get("PULSE_SERVER", ""),
        "wanted_socket": wanted_socket(),
        "twice": twice(),
    }
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    is_startable = unit.get("LoadState") != "masked" and (not program or os.access(program, os.X_OK))
    try:
        found |= _ask(auto_start=is_startable)
    except UnreachableError as error:
        found |= {"bus_problem": str(error)}
    found["unit"] = systemd.properties(UNITS[0])  # the question may have started it
    sockets = {name: _answers(Path(runtime, name)) for name in (_PIPEWIRE, _PULSE)}
    sockets[str(found["wanted_socket"])] = _answers(Path(str(found["wanted_socket"])))
    return Facts(**found, sockets=sockets)  # type: ignore[arg-type]


def twice() -> tuple[Path, Path] | None:
    """Find a file of `pwmixerctl install` that stands before one of a package."""
    ours = [path for scope in (user_scope(), system_scope(Path("/"))) for path in scope.starters]
    return next(((path, theirs) for path in ours if path.is_file() for theirs in packaged()), None)


def wanted_socket() -> str:
    """Name the socket that there should be; "" where none is wanted, or the configuration does not tell."""
    try:
        wanted = load(config_path()).socket
    except ConfigError:
        return ""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usual = f"{runtime}/pwmixer/socket" if runtime else ""
    return (wanted.path or usual) if wanted.enabled else ""


def _ask(*, auto_start: bool) -> Mapping[str, object]:
    with wire.Connection(auto_start=auto_start) as bus:
        try:
            whole = document(bus)
            found = {
                "version": str(bus.get("Version")),
                "connected": bool(bus.get("Connected")),
                "server": str(bus.get("ServerName")),
                "outputs": len(whole["sinks"]),
                "cards": len(whole["cards"]),
                "config_error": str(bus.get("ConfigError")),
                "state_error": str(bus.get("StateError")),
            }
        except CommandError as error:
            return {"refusal": str(error)}
        owner = bus.call("GetConnectionUnixProcessID", "s", wire.NAME, to=wire.BUS)
        return {**found, "owner": int(str(owner)) if owner is not None else 0}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
