"""Where a person's files are, by the XDG Base Directory Specification."""

from pathlib import Path

import platformdirs


def config_home() -> Path:
    """Name the folder of configuration files."""
    return _absolute(platformdirs.user_config_path(), ".config")


def state_home() -> Path:
    """Name the folder of what programs remember."""
    return _absolute(platformdirs.user_state_path(), ".local/state")


def data_home() -> Path:
    """Name the folder of what programs bring along."""
    return _absolute(platformdirs.user_data_path(), ".local/share")


def _absolute(folder: Path, usual: str) -> Path:
    """Return the usual folder where a variable names a relative one, which the specification has ignored."""
    return folder if folder.is_absolute() else Path.home() / usual
