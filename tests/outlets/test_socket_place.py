"""Where the socket is: a dead instance's is replaced, a live one's is not, and nobody else gets at it."""

import fcntl
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from session import PATIENCE

from pwmixer_dbus.outlets.socket.place import (
    LONGEST_PATH,
    listen_at,
    passed,
    peer_of,
)

LISTEN_AND_DIE = """
import os, sys
from pathlib import Path
from pwmixer_dbus.outlets.socket.place import listen_at
place = listen_at(Path(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


def reach(path: Path) -> int:
    """Connect; return the process at the other end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return peer_of(client)[0]


def test_only_its_owner_reaches_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    place = listen_at(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert reach(path) == os.getpid()
    place.leave()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_instance_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        subprocess.run((sys.executable, "-c", LISTEN_AND_DIE, str(path)), check=False, timeout=PATIENCE)
        assert path.is_socket()
        with pytest.raises(ConnectionRefusedError):
            reach(path)
    path.with_name("socket.new").touch()  # it died in the middle
    place = listen_at(path)
    assert reach(path) == os.getpid()
    place.leave()


def test_a_live_socket_is_left_alone_but_for_the_one_that_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    first = listen_at(path)
    with pytest.raises(OSError, match=rf"process {os.getpid()} listens at .*/socket already"):
        listen_at(path)
    with pytest.raises(OSError, match="already"):
        listen_at(path, predecessor=1)
    assert reach(path) == os.getpid()
    second = listen_at(path, predecessor=os.getpid())
    first.leave()
    assert reach(path) == os.getpid(), "what is not ours any more is not removed"
    second.leave()
    assert not path.exists()


def test_a_live_one_that_is_too_busy_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as one:
        busy.bind(str(path))
        busy.listen(0)
        one.connect(str(path))
        with pytest.raises(OSError, match=r"somebody listens at .* and does not answer"):
            listen_at(path)


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("notes")
    with pytest.raises(OSError, match="is there already, and is no socket"):
        listen_at(path)
    assert path.read_text() == "notes"


def test_whoever_holds_the_folder_does_not_hold_the_start(tmp_path: Path) -> None:
    place = listen_at(tmp_path / "first")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(OSError, match=rf"another program has locked {tmp_path}"):
        listen_at(tmp_path / "second")
    place.leave()
    os.close(descriptor)
    listen_at(tmp_path / "first").leave()  # what was left there is dead
    assert list(tmp_path.iterdir()) == []


def test_another_instance_that_holds_the_folder_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(descriptor, fcntl.LOCK_UN))
    listen_at(tmp_path / "first").leave()
    os.close(descriptor)


def test_a_path_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"at most {LONGEST_PATH} bytes"):
        listen_at(tmp_path / ("ü" * (LONGEST_PATH // 2)))
    with pytest.raises(FileNotFoundError):
        listen_at(tmp_path / "nowhere" / "socket")


PASSED = """
import os, socket, sys
from pathlib import Path
from pwmixer_dbus.outlets.socket.place import passed
environment = dict(word.split("=") for word in sys.argv[2:])
for turn in range(2):
    place = passed(environment, 7)
    print(place is None or (place.path, place.listening.getsockname() == sys.argv[1], place.listening.getblocking()))
    if place is not None:
        place.leave()
"""


@pytest.mark.parametrize(
    ("environment", "is_ours"),
    [
        (("LISTEN_PID=7", "LISTEN_FDS=1"), True),
        (("LISTEN_PID=7", "LISTEN_FDS=2", "LISTEN_FDNAMES=pwmixer:other"), True),
        (("LISTEN_PID=7", "LISTEN_FDS=2", "LISTEN_FDNAMES=other:pwmixer"), False),
        (("LISTEN_PID=7", "LISTEN_FDS=1", "LISTEN_FDNAMES=other"), False),
        (("LISTEN_PID=8", "LISTEN_FDS=1"), False),
        (("LISTEN_PID=7", "LISTEN_FDS=one"), False),
        (("LISTEN_PID=7",), False),
        ((), False),
    ],
)
def test_a_socket_that_is_passed_is_taken_as_often_as_wanted(
    tmp_path: Path, environment: tuple[str, ...], is_ours: bool
) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as connected:
        listening.bind(path)
        listening.listen()
        connected.connect(path)

        arranged = f"""
import os, sys
os.dup2({listening.fileno()}, 300); os.dup2({connected.fileno()}, 301)
os.dup2(300, 3); os.dup2(301, 4)
{PASSED}"""
        done = subprocess.run(
            (sys.executable, "-c", arranged, path, *environment),
            pass_fds=(listening.fileno(), connected.fileno()),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    assert done.stdout == (2 * "(None, True, False)\n" if is_ours else 2 * "True\n")
    assert Path(path).is_socket(), "systemd's is systemd's to remove"
    assert passed({}, os.getpid()) is None
