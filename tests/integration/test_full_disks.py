"""Disks that are full or read-only, and state files that are not ours or damaged, under the real service.

It says so over D-Bus, goes on, loses nothing, and saves again as soon as it can.
"""

import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from recorder import Recorder
from service import NAME, ROOT, CallError, Service
from session import Session

pytestmark = pytest.mark.integration

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

Trouble = Callable[[Service], AbstractContextManager[None]]


def state_file(session: Session) -> Path:
    return Path(session.env["XDG_STATE_HOME"], "pwmixer", "state.json")


def rules_file(session: Session) -> Path:
    return Path(session.env["XDG_CONFIG_HOME"], "pwmixer", "rules.toml")


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(text)
    return file


def saved(session: Session, app: str) -> float:
    """Return what the file says of an application that plays."""
    return float(json.loads(state_file(session).read_text())["apps"][app]["levels"]["playback"]["volume"])


@contextmanager
def full(service: Service) -> Iterator[None]:
    """Let no file of the service grow; the kernel then fails a write as on a full disk, with another number."""
    assert service.process is not None
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


@pytest.mark.parametrize(("trouble", "why"), [(full, "File too large"), (read_only, "Permission denied")])
def test_my_volumes_and_rules_are_lost_when_the_disk_cannot_be_written(
    session: Session, trouble: Trouble, why: str
) -> None:
    state = put(state_file(session), json.dumps({"version": 1, "apps": APPS}, indent=1))
    rules = put(rules_file(session), RULES)
    service = Service(session, under=AS_ANYBODY).start()
    recorder = Recorder(service)
    service.call("SetVolume", "sda{sv}", "app:bin:1", 0.1, 0)
    session.wait_for(lambda: saved(session, "bin:1") == 0.1, "it to be saved while all is well")
    with trouble(service):
        before = state.read_text(), rules.read_text()
        service.call("SetVolume", "sda{sv}", "app:bin:2", 0.2, 0)
        session.wait_for(lambda: service.get("StateError"), "the problem to be told")
        assert (
            service.get("StateError") == f"{state} cannot be written: {why}; {UNSAVED} until that is mended"
        )
        rule = ("2", "name", "s", "Mine", "match", "a{sv}", "1", "app", "s", "radio")
        with pytest.raises(CallError, match=f"{rules} cannot be written: {why}; nothing has changed"):
            service.busctl("call", NAME, ROOT, f"{NAME}.Rules", "AddRule", "a{sv}i", "--", *rule, "-1")
        assert (state.read_text(), rules.read_text()) == before
        assert [file.name for file in state.parent.iterdir()] == ["state.json"]
        assert service.call("SetVolume", "sda{sv}", "app:bin:3", 0.3, 0) == 0.3
    service.call("SetVolume", "sda{sv}", "app:bin:4", 0.4, 0)
    session.wait_for(lambda: not service.get("StateError"), "it to be saved again")
    assert [saved(session, f"bin:{i}") for i in range(1, 6)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    told = [change["StateError"] for change in recorder.changes(ROOT) if "StateError" in change]
    assert [bool(problem) for problem in told] == [True, False]
    service.busctl("call", NAME, ROOT, f"{NAME}.Rules", "AddRule", "a{sv}i", "--", *rule, "-1")
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
