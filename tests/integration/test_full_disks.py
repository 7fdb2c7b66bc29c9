"""Disks that are full or read-only, and state files that are not ours or damaged, under the real service.

It says so over D-Bus, goes on, loses nothing, and saves again as soon as it can.
"""

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from recorder import Recorder
from service import NAME, ROOT, CallError, Service
from session import PATIENCE, Session

ROOM = 64 * 1024
"""Bytes that a file may have on the full disk: less than both files, and more than the log."""

LONG = 480 * "x"
RULES = "".join(
    f'[[rules]]\nname = "Rule {i}"\nmatch.media_name = {[f"*{LONG}{i}-{j}" for j in range(16)]}\nto = "tv"\n'
    for i in range(12)
)
APPS = {f"bin:{i}": {"name": f"{LONG}{i}", "levels": {"playback": {"volume": 0.5}}} for i in range(150)}

# To root, only a process without this capability finds anything read-only.
AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()

UNSAVED = "what is learned now is not saved"
PROPERTIES = "org.freedesktop.DBus.Properties"

Trouble = Callable[[Service], AbstractContextManager[None]]


def state_file(session: Session) -> Path:
    return session.state


def rules_file(session: Session) -> Path:
    return session.config.with_name("rules.toml")


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(text)
    return file


def saved(state: Path, app: str) -> float:
    """Return what the file says of an application that plays."""
    return float(json.loads(state.read_text())["apps"][app]["levels"]["playback"]["volume"])


@contextmanager
def full(service: Service) -> Iterator[None]:
    """Leave no room on the small disk, which nobody but the service has."""
    filler = seen(service, small(service.session) / "filler")
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    yield
    filler.unlink()


@contextmanager
def limited(service: Service) -> Iterator[None]:
    """Let no file of the service grow; the kernel then fails a write as on a full disk, with another number."""
    before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (ROOM, before[1]))
    yield
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(service: Service) -> Iterator[None]:
    """Take the right to write from both folders."""
    folders = [file(service.session).parent for file in (state_file, rules_file)]
    for folder in folders:
        folder.chmod(0o500)
    yield
    for folder in folders:
        folder.chmod(0o700)


def mounting() -> tuple[str, ...]:
    """Return how a process gets mounts of its own here; nothing where it may have none, as in most containers."""
    for ways in (("unshare", "--mount"), ("unshare", "--mount", "--user", "--map-root-user")):
        try_it = (*ways, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
        if subprocess.run(try_it, capture_output=True, check=False, timeout=PATIENCE).returncode == 0:
            return ways
    return ()


OWN_MOUNTS = mounting()
NO_ROOM = (full, "No space left on device") if OWN_MOUNTS else (limited, "File too large")


def small(session: Session) -> Path:
    """Name the place of a disk of 1 MB."""
    return session.runtime / "small"


def on_a_small_disk(session: Session) -> tuple[str, ...]:
    """Return what becomes the service with a small disk for its files, and what is there already on it."""
    folder, before = small(session), session.runtime / "before"
    folder.mkdir()
    before.mkdir()
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        Path(session.env[name]).rename(before / name)
        session.env[name] = str(folder / name)
    script = 'mount -t tmpfs -o size=1m,mode=700 tmpfs "$0" && cp -a "$1/." "$0" && shift && exec "$@"'
    return (*OWN_MOUNTS, "sh", "-c", script, str(folder), str(before))


def seen(service: Service, path: Path) -> Path:
    """Return a path as the service sees it."""
    return Path(f"/proc/{service.process.pid}/root{path}")


@pytest.mark.parametrize(("trouble", "why"), [NO_ROOM, (read_only, "Permission denied")])
def test_my_volumes_and_rules_are_lost_when_the_disk_cannot_be_written(
    session: Session, trouble: Trouble, why: str
) -> None:
    put(state_file(session), json.dumps({"version": 1, "apps": APPS}, indent=1))
    put(rules_file(session), RULES)
    under = on_a_small_disk(session) if trouble is full else AS_ANYBODY
    service = Service(session, under=under).start()
    state, rules = (seen(service, file(session)) for file in (state_file, rules_file))
    recorder = Recorder(service)
    service.call("SetVolume", "sda{sv}", "app:bin:1", 0.1, 0)
    session.wait_for(lambda: saved(state, "bin:1") == 0.1, "it to be saved while all is well")
    with trouble(service):
        before = state.read_text(), rules.read_text()
        service.call("SetVolume", "sda{sv}", "app:bin:2", 0.2, 0)
        session.wait_for(lambda: service.get("StateError"), "the problem to be told")
        told = f"{state_file(session)} cannot be written: {why}; {UNSAVED} until that is mended"
        assert service.get("StateError") == told
        with pytest.raises(
            CallError, match=f"{rules_file(session)} cannot be written: {why}; nothing has changed"
        ):
            service.add_rule("Mine", app="radio")
        assert (state.read_text(), rules.read_text()) == before
        assert [file.name for file in state.parent.iterdir()] == ["state.json"]
        assert service.call("SetVolume", "sda{sv}", "app:bin:3", 0.3, 0) == 0.3
        session.wait_for(lambda: service.log().count("is tried again in 5 s") == 2, "that not to be saved")
    # Nothing changes any more, and some seconds later it is tried again.
    session.wait_for(lambda: not service.get("StateError"), "it to be saved by itself")
    assert [saved(state, f"bin:{i}") for i in range(1, 5)] == [0.1, 0.2, 0.3, 0.5]
    changes = [change["StateError"] for change in recorder.changes(ROOT) if "StateError" in change]
    assert [bool(problem) for problem in changes] == [True, False]
    service.add_rule("Mine", app="radio")
    assert '"Mine"' in rules.read_text()
    service.stop()


def test_an_older_pwmixer_leaves_the_memory_of_a_newer_one_alone(session: Session) -> None:
    newer = '{"version": 2, "apps": {"bin:1": "of another kind"}}'
    state = put(state_file(session), newer)
    service = Service(session).start()
    assert service.get("StateError") == f"{state} was written by a newer pwmixer (format 2); {UNSAVED}"
    session.play("Game")
    service.wait_for_stream("Game")
    assert service.call("SetVolume", "sda{sv}", "app:game", 0.3, 0) == 0.3
    service.wait_for_stream("Game", volume=0.3)
    service.stop()
    assert state.read_text() == newer


def test_the_problem_is_told_also_where_the_path_is_no_text(silent_session: Session) -> None:
    home = silent_session.runtime / os.fsdecode(b"odd\n\xff")
    home.mkdir()
    silent_session.env["XDG_STATE_HOME"] = str(home)
    put(state_file(silent_session), '{"version": 2}')
    service = Service(silent_session).start(connected=False)
    told = f"{silent_session.runtime}/odd/pwmixer/state.json was written by a newer pwmixer (format 2); {UNSAVED}"
    assert service.get("StateError") == told
    assert service.busctl("call", NAME, ROOT, PROPERTIES, "GetAll", "s", NAME)["StateError"] == told
    service.stop()


def test_a_damaged_memory_is_kept_aside_and_one_with_strange_entries_is_used(session: Session) -> None:
    state = put(state_file(session), '{"version": 1, "apps": {"bin:1": {"vol')
    service = Service(session).start()
    assert service.get("StateError") == ""
    (aside,) = state.parent.glob("state.json.corrupt-*")
    assert aside.read_text() == '{"version": 1, "apps": {"bin:1": {"vol'
    assert f"is kept as {aside.name}" in service.log()
    service.stop()
    strange = {
        "name:game": {"mood": 7, "levels": {"playback": {"volume": 0.25}, "sink:gone": {"volume": 0.1}}},
        "bin:2": {"preferred_sink": "sink:gone", "levels": {"playback": {"volume": "loud"}}},
    }
    put(state, json.dumps({"version": 1, "apps": strange, "scenes": []}))
    service = Service(session, name="again").start()
    volumes = {app["app_id"]: app["volume"] for app in service.describe()["apps"]}
    assert (service.get("StateError"), volumes["name:game"]) == ("", 0.25)
    session.play("Game")
    service.wait_for_stream("Game", volume=0.25)
    service.stop()


def test_of_two_on_two_buses_with_one_file_the_second_says_that_it_does_not_save(session: Session) -> None:
    first = Service(session).start()
    first.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
    session.wait_for(state_file(session).exists, "it to be saved")
    with Session() as other:
        other.env["XDG_STATE_HOME"] = session.env["XDG_STATE_HOME"]
        second = Service(other).start()
        assert second.get("StateError").startswith("another pwmixer, as on another session bus, keeps ")
        new = Service(session, "--replace", name="new").start()
        assert first.process.wait(PATIENCE) == 0
        assert new.get("StateError") == ""
        second.stop()
        third = Service(other, name="third").start()
        assert third.get("StateError") != ""
        new.stop()
        third.stop()
    first.stop()
    last = Service(session, name="last").start()
    assert last.get("StateError") == ""
    last.stop()
