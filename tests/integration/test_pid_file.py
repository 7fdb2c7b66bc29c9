"""The PID file: there for whoever asks for one, never believed, and no reason for the service to fail."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from service import Service
from session import PATIENCE, Session

from pwmixer_dbus.system import pidfile


@pytest.fixture
def quiet() -> Iterator[Session]:
    """Start a session that has only buses."""
    with Session(sound=False) as session:
        yield session


def usual(session: Session) -> Path:
    return session.runtime / "pwmixer" / "pid"


def started(session: Session, *options: str, name: str = "pwmixer") -> Service:
    """Start the service; return when it has written its PID file or said why not."""
    service = Service(session, *options, name=name).start(connected=False)
    # What comes next after it.
    session.wait_for(lambda: "no sound server" in service.log(), "it to look for a sound server")
    return service


def pid_of(service: Service) -> str:
    return f"{service.process.pid}\n"


def warnings(service: Service) -> list[str]:
    """Return what it has warned of, without the time; that the machine is slow is Python's own warning."""
    lines = [line.partition(" WARNING ")[2] for line in service.log().splitlines()]
    return [line for line in lines if line and not line.startswith("Executing <")]


# Where all is well


def test_there_is_one_only_for_whoever_asks_and_only_while_it_runs(quiet: Session) -> None:
    service = started(quiet)
    assert list(quiet.runtime.rglob("*pid*")) == []
    service.stop()
    elsewhere = quiet.runtime / "my.pid"
    for options, place in ((("--pid-file",), usual(quiet)), (("--pid-file", str(elsewhere)), elsewhere)):
        service = started(quiet, *options, name=f"for-{place.parent.name}")
        assert place.read_text() == pid_of(service)
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        service.stop()
        assert warnings(service) == []
        assert not place.exists()


def test_the_one_that_takes_over_has_it_from_then_on(quiet: Session) -> None:
    first = started(quiet, "--pid-file")
    second = started(quiet, "--pid-file", "--replace", name="second")
    assert first.process.wait(PATIENCE) == 0
    assert usual(quiet).read_text() == pid_of(second)
    third = started(quiet, "--replace", name="third")
    assert second.process.wait(PATIENCE) == 0
    assert not usual(quiet).exists(), "whoever has not asked for one has none"
    third.stop()
    assert [warnings(service) for service in (first, second, third)] == [[], [], []]


# Where something is there already


def test_what_a_dead_instance_left_is_replaced_whomever_it_names(quiet: Session) -> None:
    dead = started(quiet, "--pid-file")
    dead.process.kill()
    dead.process.wait(PATIENCE)
    assert usual(quiet).read_text() == pid_of(dead)
    usual(quiet).write_text(f"{os.getpid()}\n")  # its number has been given to somebody else
    service = started(quiet, "--pid-file", name="next")
    assert usual(quiet).read_text() == pid_of(service)
    assert warnings(service) == [f"{usual(quiet)} was left by a process that has gone; it is ours now"]
    service.stop()
    assert not usual(quiet).exists()


def link(path: Path) -> None:
    path.symlink_to("notes")
    path.with_name("notes").write_text("1\n")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def notes(path: Path) -> None:
    path.write_text("This is not a PID file, but the name of one.\n")


OF_ALL_KINDS = (link, folder, pipe, notes)


def test_what_is_no_pid_file_is_left_alone_and_told_once(quiet: Session) -> None:
    place = quiet.runtime / "my.pid"
    told = f"there is no PID file: {place} is there already, and is no PID file of ours; remove it, or name another one"
    for make in OF_ALL_KINDS:
        make(place)
        before = place.lstat()
        service = started(quiet, f"--pid-file={place}", name=make.__name__)
        assert warnings(service) == [told]
        service.stop()
        after = place.lstat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        place.rename(quiet.runtime / f"a {make.__name__}")
    assert (quiet.runtime / "notes").read_text() == "1\n", "it has not been written through the link"


def test_the_file_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "pid"
    place.write_text("1\n")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert asyncio.run(pidfile.write(str(place), {})) is None
    assert "is no PID file of ours" in caplog.text
    assert place.read_text() == "1\n"
    assert list(tmp_path.iterdir()) == [place]


def test_where_it_cannot_be_written_it_is_told_and_the_service_goes_on(quiet: Session) -> None:
    for place, why in (
        (quiet.runtime / "gone" / "pid", "No such file or directory"),
        (quiet.runtime / "bus" / "pid", "Not a directory"),
        (Path("/proc/pid"), "No such file or directory"),  # a place where root cannot write either
    ):
        service = started(quiet, f"--pid-file={place}", name=f"at-{place.parent.name}")
        assert warnings(service) == [f"there is no PID file: {place} cannot be written: {why}"]
        service.stop()


# Where another process has it, or wants it


def test_an_instance_on_another_bus_leaves_it_to_the_first(quiet: Session) -> None:
    first = started(quiet, "--pid-file")
    with Session(sound=False) as elsewhere:
        elsewhere.env["XDG_RUNTIME_DIR"] = str(quiet.runtime)
        second = started(elsewhere, "--pid-file")
        told = f"process {first.process.pid} has {usual(quiet)}; choose another with --pid-file FILE"
        assert f"there is no PID file: {told}" in warnings(second)
        second.stop(errors=True)  # the socket is the first one's, too
    assert usual(quiet).read_text() == pid_of(first)
    first.stop()
    assert not usual(quiet).exists()


class Runner:
    """A process that writes and removes a PID file when it is told to, as the service does."""

    CODE = """
import asyncio, sys
from pwmixer_dbus.system import pidfile
mine = None
for line in sys.stdin:
    place, predecessor = line.split()
    if mine is not None:
        mine.remove()
        mine = None
    else:
        mine = asyncio.run(pidfile.write(place, {}, predecessor=int(predecessor) or None))
    print(mine is not None, flush=True)
"""

    def __init__(self, ends: ExitStack) -> None:
        self.process = ends.enter_context(
            subprocess.Popen(
                (sys.executable, "-c", self.CODE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        ends.callback(self.process.kill)

    def tell(self, place: Path, predecessor: int = 0) -> None:
        """Have it write the file, or remove the one that it has."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{place} {predecessor}\n")
        self.process.stdin.flush()

    def has_it(self) -> bool:
        """Return whether it has a file, after what it was told."""
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "True\n"


def test_of_those_that_race_for_it_one_has_it(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    with ExitStack() as ends:
        racers = [Runner(ends) for _ in range(4)]
        for turn in range(200):
            if turn % 2:
                place.write_text("1\n")  # left by a dead one
            for racer in racers:
                racer.tell(place)
            (winner,) = [racer for racer in racers if racer.has_it()]
            assert place.read_text() == f"{winner.process.pid}\n"
            assert list(tmp_path.iterdir()) == [place]
            winner.tell(place)
            assert not winner.has_it()
            assert not place.exists()


def test_the_one_that_leaves_does_not_take_the_file_of_its_successor_away(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    with ExitStack() as ends:
        leaving, coming = Runner(ends), Runner(ends)
        leaving.tell(place)
        assert leaving.has_it()
        for _ in range(500):
            leaving.tell(place)
            coming.tell(place, leaving.process.pid)
            assert (leaving.has_it(), coming.has_it()) == (False, True)
            assert place.read_text() == f"{coming.process.pid}\n"
            leaving, coming = coming, leaving
