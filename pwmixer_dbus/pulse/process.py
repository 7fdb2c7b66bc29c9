"""What the system says of the process behind a client: small, bounded reads of /proc that never raise.

A process may end at any moment, and its text is its own to choose: every read may find nothing, and all text is cleaned.
"""

import os
import re
from pathlib import Path
from typing import Final

from pwmixer_dbus.core.identity import is_sandboxed
from pwmixer_dbus.core.model import Process, Properties, clean

PROC: Final = Path("/proc")
READ_LIMIT: Final = 4096
ENVIRON_LIMIT: Final = 128 * 1024
WORD_LIMIT: Final = 128
PID_LIMIT: Final = 1 << 22  # the kernel's own on 64 bits
PID_DIGITS: Final = 7
ANCESTORS: Final = 4
LAUNCH_ANCESTORS: Final = 8

# Marks of a browser's child process: it was told nothing about the application, its parent was. Chromium writes the
# arguments of its children as one.
CHILD_ARGUMENT: Final = re.compile(rb"[\0 ](?:--type=(?:utility|renderer|zygote|broker)|-contentproc)")
# After these an argument is program text or a search path, not a name.
CODE_ARGUMENTS: Final = frozenset({b"-c", b"-e", b"--eval"})
VALUE_ARGUMENTS: Final = frozenset(
    {b"-cp", b"-classpath", b"--class-path", b"-p", b"--module-path", b"-W", b"-X"}
)
# File names that many programs share: the directory above says which.
SHARED_FILES: Final = frozenset({
    "app.asar", "app", "main.js", "index.js", "main.py", "__main__.py", "app.py", "resources", "bin", "lib", "src",
    "dist", "build",
})  # fmt: skip
STEAM_VARIABLES: Final = (b"SteamAppId", b"SteamGameId")
UNIT_SUFFIXES: Final = (b".scope", b".service")


def read_process(pid: int, proc: Path = PROC) -> Process | None:
    """Read /proc/PID: comm, the unit of its cgroup (v2), the Steam game of its environment, and what it runs.

    `command` is the program and its first argument that is no option, base names only; of a browser's child process it is
    the browser's. None if there is no such process or it cannot be read.
    """
    line = _read(proc, pid, "comm")
    if not line:
        return None
    environ = _read(proc, pid, "environ", ENVIRON_LIMIT)
    return Process(
        pid=pid,
        comm=_text(line.rstrip(b"\n")),
        unit=_unit(_read(proc, pid, "cgroup")),
        steam_app=_steam_app(environ) if environ else _steam_launch(pid, proc),
        command=_command(_own_arguments(pid, proc)),
    )


def parent_of(pid: int, proc: Path = PROC) -> int | None:
    """Say which process started this one: field 4 of /proc/PID/stat. None if it has ended or has no parent."""
    # The second field is a name in parentheses that may hold any character, so count from the last parenthesis.
    stat = _read(proc, pid, "stat")
    fields = stat[stat.rfind(b")") + 1 :].split()
    if b")" not in stat or len(fields) < 2:  # noqa: PLR2004  # state and parent
        return None
    return _pid(fields[1].decode("ascii", "replace"))


def trusted_pid(properties: Properties, machine_id: str) -> int | None:
    """Say which process of this machine a property list speaks of; None if it need not be one.

    A native client's pid is the kernel's word (`pipewire.sec.pid`). That of a Pulse client is the Pulse server's own, so
    there `application.process.id` counts, which the client chose: compare its comm with the binary before using it.
    `machine_id` is the content of /etc/machine-id.
    """
    if is_sandboxed(properties):
        return None
    is_pulse = properties.get("client.api") == "pipewire-pulse"
    if not is_pulse and "pipewire.sec.pid" in properties:
        return _pid(properties["pipewire.sec.pid"])
    machine = properties.get("application.process.machine_id")
    is_remote = properties.get("pulse.server.type") == "tcp" and not machine
    if is_remote or (machine and machine != machine_id):
        return None
    return _pid(properties.get("application.process.id", ""))


def _pid(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= PID_DIGITS):
        return None
    pid = int(text)
    return pid if 0 < pid <= PID_LIMIT else None


def _read(proc: Path, pid: int, name: str, limit: int = READ_LIMIT) -> bytes:
    try:
        # Not by way of Path.open, which is four times as slow: this is read for every stream that there is at the start.
        descriptor = os.open(f"{proc}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)  # of these files the kernel gives all that is asked for at once
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _text(raw: bytes) -> str:
    return clean(raw.decode("utf-8", "replace"), WORD_LIMIT)


def _unit(cgroup: bytes) -> str:
    """Take the innermost unit of the unified hierarchy: the line `0::/user.slice/.../app-gnome-mpv-12.scope`."""
    path = (b"\n" + cgroup).partition(b"\n0::")[2].partition(b"\n")[0]
    for part in reversed(path.split(b"/")):
        if part.endswith(UNIT_SUFFIXES):
            return clean(part.decode("utf-8", "replace"))
    return ""


def _steam_app(environ: bytes) -> str:
    """Take the number of the Steam game; 0 marks a program that is none of Steam's, whose shortcut has a number."""
    if b"Steam" not in environ:
        return ""
    variables = dict(
        pair.partition(b"=")[::2] for pair in environ.split(b"\0")[:-1] if pair.startswith(b"Steam")
    )
    numbers = (variables.get(name, b"") for name in STEAM_VARIABLES)
    return _text(next((number for number in numbers if number.isdigit() and number.strip(b"0")), b""))


def _steam_launch(pid: int, proc: Path) -> str:
    """Find the number of the Steam game where its environment cannot be read, as in the sandbox of our unit.

    Steam starts a game below `reaper SteamLaunch AppId=NUMBER -- ...`, which stays above all that the game starts.
    """
    current = parent_of(pid, proc)
    for _ in range(LAUNCH_ANCESTORS):
        if current is None or current <= 1:
            break
        words = _read(proc, current, "cmdline").split(b"\0")
        if words[1:2] == [b"SteamLaunch"]:
            number = next((word[len(b"AppId=") :] for word in words[2:5] if word.startswith(b"AppId=")), b"")
            return _text(number) if number.isdigit() and number.strip(b"0") else ""
        current = parent_of(current, proc)
    return ""


def _own_arguments(pid: int, proc: Path) -> list[bytes]:
    """Read the command line, that of the nearest ancestor which is no child process of the same browser."""
    line = b""
    current: int | None = pid
    for _ in range(ANCESTORS):
        if current is None:
            break
        line = _read(proc, current, "cmdline").rstrip(b"\0")
        if not CHILD_ARGUMENT.search(line):
            break
        current = parent_of(current, proc)
    return line.split(b"\0")


def _command(arguments: list[bytes]) -> tuple[str, ...]:
    """Keep the program and its first argument that is no option, without their folders, which are nobody's business."""
    # A program that writes its own title may have joined all arguments by spaces.
    named = (arguments[0].partition(b" -")[0], _first_operand(arguments[1:]))
    return tuple(filter(None, map(_base_name, named)))


def _first_operand(arguments: list[bytes]) -> bytes:
    rest = iter(arguments)
    for argument in rest:
        if argument in CODE_ARGUMENTS:
            return b""
        if argument in VALUE_ARGUMENTS:
            next(rest, None)
        elif not argument.startswith(b"-"):
            return argument
    return b""


def _base_name(argument: bytes) -> str:
    r"""Take the last part of a path, be it C:\Game.exe or, where many programs share it, the part above."""
    parts = _text(argument[-READ_LIMIT:]).replace("\\", "/").split("/")
    for part in reversed(parts):
        if part and part not in SHARED_FILES:
            return part
    return next(filter(None, reversed(parts)), "")
