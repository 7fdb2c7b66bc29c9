"""Where the socket is: handed over by systemd, or a file of ours that nobody else can reach and no live one loses.

What a dead instance has left is replaced. What a live one listens at is not, but for the one that we take over from.
"""

import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_UNIX, SO_ACCEPTCONN, SO_PEERCRED, SOCK_STREAM, SOL_SOCKET, socket

from pwmixer_dbus.core.records import dataclass

FIRST_PASSED = 3
"""The first descriptor that systemd passes, see sd_listen_fds(3)."""

PASSED_NAME = "pwmixer"
"""What our socket unit calls its descriptor."""

NAME = "socket"
"""What the socket is called in our runtime folder."""

MAKING = ".new"
LONGEST_PATH = 107 - len(MAKING)
BACKLOG = 64

MOMENT, MOMENTS = 0.002, 25
"""Another instance of us holds the folder for less than a moment; after this many, in seconds, it is somebody else."""

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Place:
    """A socket that listens. `path` and `inode` are those of its file; None where that is systemd's."""

    listening: socket
    path: Path | None = None
    inode: tuple[int, int] | None = None

    def leave(self) -> None:
        """Stop listening, and remove the file where it is still ours."""
        if self.path is not None:
            with suppress(OSError), _alone_in(self.path.parent):
                if _inode(self.path) == self.inode:
                    self.path.unlink()
        self.listening.close()


def passed(environment: Mapping[str, str], pid: int) -> Place | None:
    """Take the socket that systemd listens at for us, None where there is none."""
    if environment.get("LISTEN_PID") != str(pid):
        return None
    count = environment.get("LISTEN_FDS", "")
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    for place in range(int(count) if count.isdecimal() else 0):
        if names == [""] or (place < len(names) and names[place] == PASSED_NAME):
            # A copy, so that the socket can be closed and opened again while we run.
            candidate = socket(fileno=os.dup(FIRST_PASSED + place))
            if candidate.family == AF_UNIX and candidate.getsockopt(SOL_SOCKET, SO_ACCEPTCONN):
                candidate.setblocking(False)
                return Place(candidate)
            candidate.close()
    return None


def listen_at(path: Path, predecessor: int | None = None) -> Place:
    """Listen at a path, whose folder has to be there; `predecessor` is the process that we take over from.

    Raises OSError with a sentence.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise OSError(f"{path} is too long; a socket's path has at most {LONGEST_PATH} bytes")
    listening = socket(AF_UNIX, SOCK_STREAM)
    try:
        listening.setblocking(False)
        with _alone_in(path.parent):
            _check_free(path, predecessor)
            # Renamed into place when it listens, so that a client finds the one or the other, and always an answer.
            making = path.with_name(path.name + MAKING)
            making.unlink(missing_ok=True)
            listening.bind(os.fsencode(making))
            making.chmod(stat.S_IRUSR | stat.S_IWUSR)
            listening.listen(BACKLOG)
            making.rename(path)
            return Place(listening, path, _inode(path))
    except BaseException:
        listening.close()
        raise


def peer_of(connection: socket) -> tuple[int, int]:
    """Return the process and the user at the other end."""
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(SOL_SOCKET, SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


def _check_free(path: Path, predecessor: int | None) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path} is there already, and is no socket")
    with socket(AF_UNIX, SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fsencode(path))
        except ConnectionRefusedError:
            return
        except BlockingIOError:
            raise OSError(f"somebody listens at {path} already, and does not answer") from None
        pid, _ = peer_of(probe)
    if pid != predecessor:
        raise OSError(f"process {pid} listens at {path} already")


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Be the only one that looks for a socket in a folder and then makes or removes it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for patience in reversed(range(MOMENTS)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not patience:
                    raise OSError(f"another program has locked {folder}") from None
                time.sleep(MOMENT)
        yield
    finally:
        os.close(descriptor)
