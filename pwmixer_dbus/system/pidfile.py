"""The file with our process id, for supervisors that want one (`--pid-file`). Nobody should believe it, and we never do.

Whether what is at its place is kept by a process, was left by a dead one, or is somebody else's, is told by the kernel's
locks and by the kind of file, not by what is in it. Its owner locks it for as long as it lives.
"""

import asyncio
import fcntl
import logging
import os
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pwmixer_dbus.system.runtime import runtime_folder

log = logging.getLogger(__name__)

NAME = "pid"
"""What the file is called in our runtime folder."""

USUAL = "$XDG_RUNTIME_DIR/pwmixer/pid"
"""Where that is, to a person."""

LONGEST = 16
"""Bytes that a PID file may have; what is longer is something else, and kept from harm."""

TURNS, TURN = 100, 0.01
"""How often, and after how many seconds, a place is looked at again that another process is just changing."""

_LIVES, _CHANGES = 0, 1
"""Bytes that are locked: by whom the file belongs to, and by whoever replaces or removes it."""

_LOCK = struct.Struct("hhqqi")  # struct flock of fcntl(2): kind, whence, start, length, process


class PidFile:
    """Our file at its place."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def remove(self) -> None:
        """Take it away, unless another file is at its place by now, or is just being put there."""
        with suppress(OSError):
            _lock(self._descriptor, _CHANGES)
            if _is_at(self._path, self._descriptor):
                self._path.unlink()
        os.close(self._descriptor)


async def write(
    chosen: str, environment: Mapping[str, str], *, predecessor: int | None = None
) -> PidFile | None:
    """Write our process id to a file, "" for the usual one; where that cannot be, say so and return None.

    `predecessor` is the process that we take over from, whose file may be replaced.
    """
    try:
        return await _write_in_turn(_place(chosen, environment), predecessor)
    except OSError as error:
        # Ours are sentences, and have no number.
        why = f"{chosen or USUAL} cannot be written: {error.strerror}" if error.errno else error
        log.warning("there is no PID file: %s", why)
        return None


def _place(chosen: str, environment: Mapping[str, str]) -> Path:
    return Path(chosen).absolute() if chosen else runtime_folder(environment) / NAME


async def _write_in_turn(path: Path, predecessor: int | None) -> PidFile:
    for _ in range(TURNS):
        with suppress(BlockingIOError):
            return _write(path, predecessor)
        await asyncio.sleep(TURN)
    raise OSError(f"{path} is being changed by other processes all the time")


def _write(path: Path, predecessor: int | None) -> PidFile:
    """Make the file aside and put it in its place whole; raises BlockingIOError where that is just changing."""
    aside = path.parent / f".{NAME}.{os.urandom(8).hex()}"
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"%d\n" % os.getpid())
        _lock(descriptor, _LIVES)
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            _replace(path, aside, predecessor)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        aside.unlink(missing_ok=True)
    return PidFile(path, descriptor)


def _replace(path: Path, aside: Path, predecessor: int | None) -> None:
    """Put a file in the place of one that nobody keeps, or that is our predecessor's; others are left alone."""
    try:
        old = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlockingIOError from None
    except OSError as error:
        raise _foreign(path) from error
    try:
        about = os.fstat(old)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_size > LONGEST:
            raise _foreign(path)
        keeper = _keeper_of(old)
        if keeper not in {None, predecessor}:
            raise OSError(f"process {keeper} has {path}; choose another with --pid-file FILE")
        _lock(old, _CHANGES)
        if not _is_at(path, old):
            raise BlockingIOError
        aside.rename(path)
        if keeper is None:
            log.warning("%s was left by a process that has gone; it is ours now", path)
    finally:
        os.close(old)


def _lock(descriptor: int, byte: int) -> None:
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)


def _keeper_of(descriptor: int) -> int | None:
    """Return the process that has locked a file as its own, as the kernel knows it."""
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _LIVES, 1, 0)
    kind, _, _, _, process = _LOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else process


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _foreign(path: Path) -> OSError:
    return OSError(f"{path} is there already, and is no PID file of ours; remove it, or name another one")
