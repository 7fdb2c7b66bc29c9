"""The file in /dev/shm: made aside and put in place whole, taken away by its maker only. Never a foreign file is touched.

Who starts last has the name: what is there then is replaced by a file of its own, and told to be closed.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from pathlib import Path

from pwmixer_dbus.outlets.shm.layout import HEADER, MAGIC

FOLDER = "/dev/shm"  # noqa: S108 - a name that readers know is what this is about; see the checks below
FOLDER_VARIABLE = "PWMIXER_SHM_FOLDER"
"""In the environment of a private session: another folder, so that it takes nothing from the user's own."""

_CLOSED_AT = HEADER.offset("closed")
_MODE = 0o600


class SharedFile:
    """A file of `size` bytes, all 0, in `memory`. Nobody sees it before `show`. Locked for as long as its maker lives.

    Raises OSError where it cannot be made.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.{os.getpid()}")
        self._aside.unlink(missing_ok=True)  # of one that crashed, and had our number
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._aside, flags, _MODE)
        try:
            os.fchmod(descriptor, _MODE)
            # Reserved at once: to write where there is no room any more would end the process.
            os.posix_fallocate(descriptor, 0, size)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._inode = os.fstat(descriptor).st_ino
            self._map = mmap.mmap(descriptor, size)  # keeps the file open, and so the lock
        except BaseException:
            self._aside.unlink()
            raise
        finally:
            os.close(descriptor)
        self.memory = memoryview(self._map)

    def show(self) -> None:
        """Put it in its place; raises OSError where something stands there that is not ours."""
        _replace(self._path, self._aside)

    def remove(self) -> None:
        """Take it away, if its name has not been given to another one meanwhile. The memory must have been let go of."""
        self._map.close()
        if self._is_at(self._path):
            # Another instance may take the name after this look: what has been taken away is looked at again.
            with contextlib.suppress(FileNotFoundError):
                self._path.rename(self._aside)
            if not self._is_at(self._aside):
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    self._path.hardlink_to(self._aside)
        self._aside.unlink(missing_ok=True)

    def _is_at(self, path: Path) -> bool:
        try:
            return path.lstat().st_ino == self._inode
        except FileNotFoundError:
            return False


def usual_path(name: str) -> Path:
    """Return where a file of this name is; `{uid}` in it stands for the number of the user."""
    return Path(os.environ.get(FOLDER_VARIABLE, FOLDER), name.replace("{uid}", str(os.getuid())))


def _replace(path: Path, aside: Path) -> None:
    """Put a file in its place, then tell the readers of the one that was there to look anew; its writer may have crashed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        aside.rename(path)
        return
    except OSError as error:
        raise _foreign(path) from error
    try:
        about = os.fstat(descriptor)
        is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
        if not is_ours or os.pread(descriptor, len(MAGIC), 0) != MAGIC:
            raise _foreign(path)
        aside.rename(path)  # first, or whoever looks anew at once finds nothing
        os.pwrite(descriptor, b"\1\0\0\0", _CLOSED_AT)
    finally:
        os.close(descriptor)


def _foreign(path: Path) -> OSError:
    advice = "is not ours; remove it, or choose another name with shared_memory.name"
    return FileExistsError(errno.EEXIST, advice, str(path))
