"""What `pwmixerctl install` puts where: units, activation, interfaces, completions and manual pages, as plain texts.

Nothing here writes. For a person it is $XDG_DATA_HOME, where systemd, the bus, the shells and man look by themselves; for a
machine /usr/local, since /usr is the distribution's.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pwmixer_dbus.cli import CommandError
from pwmixer_dbus.cli.completion import SCRIPTS
from pwmixer_dbus.config.paths import data_home

PACKAGE = Path(__file__).resolve().parents[1]
UNITS = ("pwmixer-dbus.service", "pwmixer-dbus.socket")
ACTIVATION = Path("dbus-1", "services", "org.pwmixer.Mixer.service")
_PROGRAM = "pwmixer-dbus"
_USUAL_PROGRAM = f"/usr/bin/{_PROGRAM}"
_COMPLETIONS = {
    "bash": "bash-completion/completions/pwmixerctl",
    "zsh": "zsh/site-functions/_pwmixerctl",
    "fish": "fish/vendor_completions.d/pwmixerctl.fish",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """For whom it is installed: the folder of shared data, that of units, and how systemctl is told."""

    share: Path
    units: Path
    flag: str

    @property
    def starters(self) -> tuple[Path, ...]:
        """The files by which the service is started."""
        return self.units / UNITS[0], self.share / ACTIVATION

    @property
    def manifest(self) -> Path:
        """Where is written down what was installed."""
        return self.share / "pwmixer" / "installed.json"


def user_scope() -> Scope:
    """Return where a person's own files go."""
    share = data_home()
    return Scope(share=share, units=share / "systemd" / "user", flag="--user")


def system_scope(root: Path) -> Scope:
    """Return where files for everybody on a machine go; `root` stands before it, as DESTDIR does."""
    local = root / "usr" / "local"
    return Scope(share=local / "share", units=local / "lib" / "systemd" / "user", flag="--global")


def packaged(root: Path = Path("/")) -> tuple[Path, ...]:
    """Return which files that start the service a package has put below a root, where the bus and systemd look for them."""
    named = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    shares = [Path(name) for name in named.split(":")] if root == Path("/") else [root / "usr" / "share"]
    ours = {user_scope().share, system_scope(root).share}
    return tuple(
        path
        for share in shares
        if share not in ours
        for path in (share.parent / "lib" / "systemd" / "user" / UNITS[0], share / ACTIVATION)
        if path.is_file()
    )


def wanted(scope: Scope, program: tuple[str, ...]) -> Mapping[Path, str]:
    """Make every file that belongs to an installation. Raises CommandError where our own are missing."""
    data = _data()
    found = {scope.units / name: _text(data / "systemd" / "user" / name) for name in UNITS}
    for folder in ("dbus-1/services", "dbus-1/interfaces", "man"):
        for file in sorted((data / folder).rglob("*.*")):
            found[scope.share / folder / file.relative_to(data / folder)] = _text(file)
    for shell, place in _COMPLETIONS.items():
        found[scope.share / place] = SCRIPTS[shell]
    command = " ".join(map(_quoted, program))
    for path, text in found.items():
        if path.parent == scope.units:
            # A dollar sign means something in the arguments only, and ours have none.
            found[path] = text.replace(
                f"ExecStart={_USUAL_PROGRAM}", f"ExecStart={command.replace('%', '%%')}"
            )
        elif path.parent.name == "services":
            found[path] = text.replace(f"Exec={_USUAL_PROGRAM}", f"Exec={command}")
    return found


def service_program() -> tuple[str, ...]:
    """Find how the service of this very installation is started, whatever it is: pipx, venv, system or checkout."""
    folders = (
        Path(sys.argv[0]).absolute().parent,
        Path(sysconfig.get_path("scripts")),
        Path(sysconfig.get_path("scripts", "posix_user")),
    )
    for folder in folders:
        if os.access(folder / _PROGRAM, os.X_OK) and (folder / "pwmixerctl").exists():
            return (str(folder / _PROGRAM),)
    return (sys.executable, "-m", "pwmixer_dbus.start")


def program_of(unit: str) -> str:
    """Return the program that a unit starts, "" where it names none."""
    line = next((line for line in unit.splitlines() if line.startswith("ExecStart=")), "")
    text = line.removeprefix("ExecStart=")
    if text.startswith('"'):
        text = text[1 : text.find('"', 1)]
    return text.split(" -m ")[0].replace("%%", "%")


def _data() -> Path:
    """Find our data: inside the package, or beside it in a checkout."""
    for folder in (PACKAGE / "data", PACKAGE.parent / "data"):
        if (folder / "systemd" / "user" / UNITS[0]).is_file():
            return folder
    raise CommandError(
        "The files to install are not in this package; your distribution's package has put them in their places."
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _quoted(word: str) -> str:
    if any(c in word for c in "\"'\\\n"):
        raise CommandError(
            f"The service cannot be started from {word}: the name holds a quote or a backslash."
        )
    return f'"{word}"' if any(c.isspace() or c in "$&;|<>()*?#~" for c in word) else word
