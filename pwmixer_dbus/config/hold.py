"""Keeps two instances, as those of two session buses, from writing to one folder: the kernel gives it back with the process."""

import fcntl
import os
from pathlib import Path


class Hold:
    """A lock on a folder, for one process at a time. It leaves nothing in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether nobody else can have it."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Return whether nobody else has it, as far as that can be known: some network file systems have no locks."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it is not there yet, or cannot be opened
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            return not isinstance(error, BlockingIOError)
        self._descriptor = descriptor
        return True

    def leave(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
