"""A call to a service that does not run starts it: by the bus itself, as on systems without systemd."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from recorder import Recorder
from service import NAME, ROOT, Service
from session import PATIENCE, Session, completed

FILE = Path(__file__).parents[2] / "data" / "dbus-1" / "services" / f"{NAME}.service"


@pytest.fixture
def activatable(session: Session) -> Iterator[Service]:
    """Put the activation file into the session, with the one program in it that can run here."""
    started_by_hand = _exec()
    here = f"{sys.executable} -X dev -m pwmixer_dbus.daemon --debug"
    folder = Path(session.env["XDG_DATA_HOME"], "dbus-1", "services")
    text = FILE.read_text().replace(started_by_hand, here)
    assert here in text
    (folder / FILE.name).write_text(text)
    service = Service(session)
    service.call_daemon("ReloadConfig")
    yield service
    if service.call_daemon("NameHasOwner", "s", NAME):
        end(service)


def test_calls_that_come_at_once_start_one_service_and_are_all_answered(activatable: Service) -> None:
    callers = [
        subprocess.Popen(
            ("busctl", "--user", "call", NAME, ROOT, NAME, "Describe", "a{sv}", "0"),
            env=activatable.session.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [caller.communicate(timeout=PATIENCE)[0] for caller in callers]
    assert all("Speakers" in answer for answer in answers), answers


def test_it_is_started_anew_after_it_was_stopped_and_after_it_was_killed(activatable: Service) -> None:
    before = owner(activatable)
    for number in (signal.SIGTERM, signal.SIGKILL):
        end(activatable, number)
        assert activatable.get("Connected") is True
        assert owner(activatable) != before
        before = owner(activatable)


def test_what_rules_do_at_the_start_is_told_when_whoever_has_started_it_is_answered(
    activatable: Service,
) -> None:
    """Who asks which objects there are knows none before that."""
    session = activatable.session
    session.configure('[[rules]]\nname = "music"\nmatch.app = "radio"\nto = "headset"\n')
    recorder = Recorder(activatable)
    end(activatable)
    session.play("Radio")
    activatable.managed_objects()
    activatable.wait_for_stream("Radio", device="headset")
    unique = activatable.call_daemon("GetNameOwner", "s", NAME)
    said = [m for m in recorder.messages() if m["sender"] == unique]
    applied = next(i for i, m in enumerate(said) if m.get("member") == "RuleApplied")
    assert "method_return" in [m["type"] for m in said[:applied]]
    recorder.assert_nothing_is_named_before_it_is_announced()


def test_a_key_at_a_prompt_starts_nothing(activatable: Service) -> None:
    complete = "from pwmixer_dbus.cli import main; main(['complete-words', '--', 'set', ''])"
    done = completed(sys.executable, "-c", complete, env=activatable.session.env, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert not activatable.call_daemon("NameHasOwner", "s", NAME)


def owner(service: Service) -> int:
    """Start the service by a call if need be; return its process id."""
    service.get("Version")
    return int(service.call_daemon("GetConnectionUnixProcessID", "s", NAME))


def end(service: Service, number: signal.Signals = signal.SIGTERM) -> None:
    """End what the bus has started, and wait until its name is free."""
    os.kill(owner(service), number)
    service.session.wait_for(
        lambda: not service.call_daemon("NameHasOwner", "s", NAME), "the name to be free"
    )


def _exec() -> str:
    parser = ConfigParser(interpolation=None)
    parser.read_string(FILE.read_text())
    return parser["D-BUS Service"]["Exec"]
