"""Where a person's files are, by the XDG Base Directory Specification."""

import errno
from collections.abc import Callable
from pathlib import Path

import platformdirs


class HomelessError(OSError):
    """There is no home folder to be found, and no variable that names another one."""


def config_home() -> Path:
    """Name the folder of configuration files; raises HomelessError."""
    return _found(platformdirs.user_config_path, "XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """Name the folder of what programs remember; raises HomelessError."""
    return _found(platformdirs.user_state_path, "XDG_STATE_HOME", ".local/state")


def data_home() -> Path:
    """Name the folder of what programs bring along; raises HomelessError."""
    return _found(platformdirs.user_data_path, "XDG_DATA_HOME", ".local/share")


def _found(look: Callable[[], Path], variable: str, usual: str) -> Path:
    """Return the usual folder where a variable names a relative one, which the specification has ignored."""
    try:
        folder = look()
        return folder if folder.is_absolute() else Path.home() / usual
    except RuntimeError as error:
        raise HomelessError(errno.ENOENT, f"There is no home folder; set HOME, or {variable}.") from error
