"""Where a person's files are, by the XDG Base Directory Specification."""

import os
from pathlib import Path


def config_home() -> Path:
    """Name the folder of configuration files."""
    return _home("XDG_CONFIG_HOME", ".config")


def state_home() -> Path:
    """Name the folder of what programs remember."""
    return _home("XDG_STATE_HOME", ".local/state")


def data_home() -> Path:
    """Name the folder of what programs bring along."""
    return _home("XDG_DATA_HOME", ".local/share")


def _home(variable: str, usual: str) -> Path:
    folder = os.environ.get(variable, "")
    # The specification has relative paths ignored.
    return Path(folder) if os.path.isabs(folder) else Path.home() / usual  # noqa: PTH117 - before it is a path
