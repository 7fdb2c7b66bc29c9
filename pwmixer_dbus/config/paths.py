"""Where a person's files are, by the XDG Base Directory Specification."""

import os
from pathlib import Path


def config_home() -> Path:
    """Name the folder of configuration files."""
    return _folder("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """Name the folder of what programs remember."""
    return _folder("XDG_STATE_HOME", ".local/state")


def data_home() -> Path:
    """Name the folder of what programs bring along."""
    return _folder("XDG_DATA_HOME", ".local/share")


def _folder(variable: str, usual: str) -> Path:
    """Return the usual folder where the variable is not set, or names a relative one, which the specification has ignored."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / usual
