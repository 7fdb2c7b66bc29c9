"""What is asked of systemd, by systemctl; where there is none, that is an answer, too."""

import shutil
import subprocess
from collections.abc import Mapping

_PROPERTIES = "LoadState,ActiveState,UnitFileState,MainPID,FragmentPath,NeedDaemonReload,Result,StatusText"
_TIMEOUT = 60.0


def systemctl(*words: str) -> str | None:
    """Run systemctl; return None if that went well, else what it said, in one line."""
    if shutil.which("systemctl") is None:
        return "there is no systemctl here"
    try:
        done = _run(*words)
    except subprocess.TimeoutExpired:
        return f"systemctl has not answered within {_TIMEOUT:.0f} s"
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split()) or f"systemctl has failed with {done.returncode}"


def is_there() -> bool:
    """Whether this person has a systemd that can be asked."""
    return systemctl("--user", "show-environment") is None


def properties(unit: str) -> Mapping[str, str]:
    """Return what systemd knows of a unit of the user; empty where it cannot be asked."""
    if shutil.which("systemctl") is None:
        return {}
    try:
        done = _run("--user", "show", f"--property={_PROPERTIES}", unit)
    except subprocess.TimeoutExpired:
        return {}
    pairs = (line.partition("=") for line in done.stdout.splitlines() if done.returncode == 0)
    return {name: value for name, _, value in pairs}


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ("systemctl", *words), capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
