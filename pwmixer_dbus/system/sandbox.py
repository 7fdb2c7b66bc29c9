"""What holds this process back, as it can be seen from inside: systemd lists what it was asked for, not what it did.

On systemd 252 a user's unit silently goes without most of it where PrivateUsers= is missing, so nothing is taken on trust.
"""

import os
from pathlib import Path

_STATUS = Path("/proc/self/status")
_FILTERED = "2"


def describe(home: str = "~", status: Path = _STATUS) -> str:
    """Say in one sentence whether the sandbox is in force, and what is missing where only some of it is."""
    fields = dict(line.split(":\t", 1) for line in _text(status).splitlines() if ":\t" in line)
    parts = {
        "the home folder cannot be written": _is_read_only(home),
        "system calls are filtered": fields.get("Seccomp") == _FILTERED,
        "no privileges can be gained": fields.get("NoNewPrivs") == "1",
    }
    held = [part for part, holds in parts.items() if holds]
    if len(held) == len(parts):
        return f"the sandbox is in force: {', '.join(held)}"
    if not held:
        return "the sandbox is not in force: only the unit of systemd brings it"
    missing = [part for part, holds in parts.items() if not holds]
    return f"the sandbox is in force only in part: {', '.join(held)}; but not: {', '.join(missing)}"


def _is_read_only(folder: str) -> bool:
    try:
        # Not by Path, which raises where there is no home.
        return bool(os.statvfs(os.path.expanduser(folder)).f_flag & os.ST_RDONLY)  # noqa: PTH111
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
