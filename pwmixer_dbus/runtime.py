"""Our folder for what lives no longer than the session: `$XDG_RUNTIME_DIR/pwmixer`, which nobody else can look into."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder, made where it is missing; raises OSError with a sentence."""
    base = environment.get("XDG_RUNTIME_DIR", "")
    if not base.startswith("/"):
        raise OSError("XDG_RUNTIME_DIR is not set; start within a login session")
    folder = Path(base, "pwmixer")
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(f"{folder} is not a folder of ours")
    if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        folder.chmod(stat.S_IRWXU)
    return folder
