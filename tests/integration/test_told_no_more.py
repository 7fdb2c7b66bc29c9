"""A session whose metadata is told to nobody any more, since some client left while PipeWire bound it: defaults look old."""

import itertools
import os
import re
import signal
from pathlib import Path

import pytest
from service import NAME, ROOT, Service
from session import PATIENCE, Session


def leave_while_bound(session: Session, manager: int, name: str = "hasty") -> None:
    """Let a client bind the metadata while WirePlumber cannot say what is in it, and leave."""
    os.kill(manager, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, manager, os.WSTOPPED)
        client = session.spawn(name, "stdbuf", "-oL", "pw-metadata", "-n", "default")
        session.wait_for(lambda: "Found" in session.log_tail(name), "the client to bind the metadata")
        session.wait_for(lambda: is_asleep(client.pid), "the client to wait for the answer")
        client.kill()
        client.wait(PATIENCE)
    finally:
        os.kill(manager, signal.SIGCONT)


def is_asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def objects(service: Service) -> list[str]:
    """Return the paths of all objects."""
    return sorted(service.managed_objects())


def tells_nobody(session: Session, witness: str) -> bool:
    """Whether the session does not tell a new client of changes of the default, which it shows to every newer one."""
    process = session.spawn(witness, "stdbuf", "-oL", "pw-metadata", "--monitor", "-n", "default")
    session.wait_for(lambda: "default.audio.source" in session.log_tail(witness), "the witness to look")
    for name in ("headset", "speakers", "headset"):
        session.pactl("set-default-sink", name)
        session.wait_for(lambda: session.pactl("get-default-sink").strip() == name, "a new client to see it")  # noqa: B023
    assert process.poll() is None
    return "headset" not in session.log_tail(witness, 20)


def is_mended(session: Session) -> bool:
    """Whether this PipeWire goes on telling all others, as 1.6.9 does; when between 1.4.2 and that it was mended is not known."""
    found = re.search(r"libpipewire (\d+)\.(\d+)", session.run("pipewire", "--version"))
    assert found
    return (int(found[1]), int(found[2])) >= (1, 6)


@pytest.fixture
def deaf(service: Service) -> Service:
    """Have a service that is not told of changes of the default, and show that the server does not tell anybody.

    Where that cannot be had any more, the rest has to be so as well.
    """
    session = service.session
    if is_mended(session):
        session.pactl("set-default-sink", "headset")
        return service
    leave_while_bound(session, session.pid_of("wireplumber"))
    for turn in itertools.count():
        if tells_nobody(session, f"witness-{turn}"):
            break
        # On a busy machine it may have left too early, or too late.
        assert turn < 10
        session.pactl("set-default-sink", "speakers")
        session.wait_for(
            lambda: service.describe()["defaults"]["sink"] == "speakers", "the default to be told"
        )
        leave_while_bound(session, session.pid_of("wireplumber"), f"hasty-{turn}")
    assert service.describe()["defaults"]["sink"] == "speakers"
    return service


def test_a_default_that_we_set_is_shown_all_the_same(deaf: Service) -> None:
    paths = objects(deaf)
    for name in ("headset", "speakers", "headset"):
        deaf.call("SetDefault", "s", f"sink:{name}")
        document = deaf.describe()
        assert document["defaults"]["sink"] == name
        assert objects(deaf) == paths
    assert deaf.get("Connected") is True
    assert "went away" not in deaf.log()


def test_what_is_asked_meanwhile_is_done(deaf: Service) -> None:
    """Volumes are set while one connection takes the place of the other, and none is refused."""
    session = deaf.session
    setting = session.spawn(
        "setting", "busctl", "--user", "call", NAME, ROOT, NAME, "SetDefault", "s", "sink:headset"
    )
    volumes = 0
    while setting.poll() is None:
        volumes += 1
        deaf.call("SetVolume", "sda{sv}", "sink:speakers", round(0.3 + 0.1 * (volumes % 5), 1), 0)
    assert setting.returncode == 0, session.log_tail("setting")
    assert volumes > 0


def test_a_default_that_another_program_sets_is_shown_when_what_plays_follows_it(deaf: Service) -> None:
    """The stream is said to be elsewhere, and so the default may be; and nobody is taken to have moved the stream."""
    session = deaf.session
    session.play("Radio")
    for name in ("speakers", "headset"):
        session.pactl("set-default-sink", name)
        session.wait_for(lambda: deaf.describe()["defaults"]["sink"] == name, "the default to be shown")  # noqa: B023
        stream = deaf.wait_for_stream("Radio", device=name)
        assert stream["routed_by"] == ""


def test_a_default_that_another_program_sets_is_shown_when_something_plays_at_last(deaf: Service) -> None:
    session = deaf.session
    assert session.pactl("get-default-sink").strip() == "headset"
    session.play("Radio")
    session.wait_for(lambda: deaf.describe()["defaults"]["sink"] == "headset", "the default to be shown")
