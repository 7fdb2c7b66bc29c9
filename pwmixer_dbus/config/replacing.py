"""Writes a file as a whole: whoever reads it, or loses power, has the old one or the new one."""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

STALE = 60.0
"""Seconds after which a temporary file is left over from a service that was killed."""

_UNABLE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
"""What some file systems that live in a program say to a sync, however well they keep what is written."""


def replace_file(path: Path, text: str, rename: Callable[[Path, Path], object] = Path.replace) -> None:
    """Put a new file, for its owner only, in the place of the old one: all of it is on the disk before it gets the name.

    Folders are made where they are missing. `rename` may refuse when all is on the disk. Raises OSError, and then the old
    file is as it was.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(path)
    # By hand: tempfile brings random and shutil, half a megabyte for a name.
    temporary = folder / f".{path.name}.{os.urandom(8).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(text)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _UNABLE:
                    raise
        rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Some network file systems cannot, and the file has its name by now.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(path: Path) -> None:
    """Remove what a service left that was killed while it wrote; a young one may be just being written."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        try:
            if time.time() - left.lstat().st_mtime > STALE:
                left.unlink()
        except OSError as error:
            log.debug("%s stays: %s", left, error)
