"""Where things of the session are: its bus, and our folder in `$XDG_RUNTIME_DIR`, which nobody else can look into."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder, made where it is missing; raises OSError with a sentence."""
    base = environment.get("XDG_RUNTIME_DIR", "")
    if not base.startswith("/"):
        raise OSError("XDG_RUNTIME_DIR is not set; start within a login session")
    return private(Path(base, "pwmixer"))


def private(folder: Path) -> Path:
    """Return a folder that nobody else can look into, made where it is missing; raises OSError where it is not ours."""
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(f"{folder} is not a folder of ours")
    if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        folder.chmod(stat.S_IRWXU)
    return folder


def session_bus(environment: Mapping[str, str]) -> str | None:
    """Return the address of the session bus; None where it is not known, and perhaps to be found in older ways.

    What starts services does not always tell them (OpenRC does not). Raises OSError where it can be nowhere.
    """
    if told := environment.get("DBUS_SESSION_BUS_ADDRESS"):
        return told
    usual = Path(environment.get("XDG_RUNTIME_DIR", ""), "bus")
    if not (usual.is_absolute() and usual.is_socket()):
        if "HOME" not in environment:  # where the older ways look
            raise FileNotFoundError("DBUS_SESSION_BUS_ADDRESS is not set")
        return None
    plain = b"-_/.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "unix:path=" + "".join(chr(b) if b in plain else f"%{b:02x}" for b in os.fsencode(usual))
