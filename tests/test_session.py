"""The private session of the other tests, on a real bus and a real PipeWire, and the apt source that setup adds."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import derive, parse_list, parse_sources
from session import PATIENCE, Session, SessionError

MIRROR = "mirror://own/debian"


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


def processes_in(runtime: Path) -> list[str]:
    wanted = f"XDG_RUNTIME_DIR={runtime}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "comm").read_text().strip())
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return found


def test_a_session_has_a_bus_and_pipewire_and_a_home_of_its_own(session: Session) -> None:
    session.run(
        "dbus-send",
        "--session",
        "--print-reply",
        "--dest=org.freedesktop.DBus",
        "/",
        "org.freedesktop.DBus.GetId",
    )
    assert "(on PipeWire " in session.pactl("info")
    assert session.run("sh", "-c", 'echo "$HOME"').strip() == str(session.runtime / "home")


def test_sinks_sources_and_streams_are_listed_when_their_calls_return(session: Session) -> None:
    session.add_null_sink("speakers", 'The "big" ones')
    session.add_null_source("microphone")
    session.play("Firefox", sink="speakers", properties={"application.id": "org.mozilla.firefox"}, channels=1)
    session.play("Silent", tone=0)
    session.record("Recorder", source="microphone")
    assert 'Description: The "big" ones' in session.pactl("list", "sinks")
    assert "\tmicrophone\t" in session.pactl("list", "short", "sources")
    inputs = session.pactl("list", "sink-inputs")
    assert 'application.name = "Firefox"' in inputs
    assert 'application.id = "org.mozilla.firefox"' in inputs
    assert "s16le 1ch 48000Hz" in inputs
    assert 'application.name = "Silent"' in inputs
    assert 'application.name = "Recorder"' in session.pactl("list", "source-outputs")


@pytest.mark.parametrize("kill", [False, True])
def test_the_sound_server_can_go_and_come_back(session: Session, kill: bool) -> None:
    stream = session.play("Firefox")
    session.stop_sound(kill=kill)
    assert stream.wait(PATIENCE) != 0
    with pytest.raises(SessionError):
        session.pactl("info")
    session.start_sound()
    assert "Firefox" not in session.pactl("list", "sink-inputs")
    session.play("Firefox")


def test_pulse_alone_can_go_and_come_back(session: Session) -> None:
    session.add_null_sink("speakers")
    session.stop_pulse()
    assert "pipewire" in processes_in(session.runtime)
    session.start_pulse()
    assert "speakers" not in session.pactl("list", "short", "sinks")  # it was pipewire-pulse's own


def test_stop_leaves_nothing_behind() -> None:
    with Session() as session:
        session.play("Firefox")
        session.spawn("family", "sh", "-c", "sleep 60 & sleep 60")
        session.wait_for(lambda: processes_in(session.runtime).count("sleep") == 2, "a child's children")
    session.wait_for(lambda: not processes_in(session.runtime), "the end of every process")
    assert not session.runtime.exists()


def test_a_session_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    runtime = tmp_path / "r"
    code = "import sys, pathlib, session; session.Session(pathlib.Path(sys.argv[1])).start(); print('up', flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", code, str(runtime)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent / "scripts",
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"up\n"
        parent.send_signal(signal.SIGKILL)
    probe = Session(runtime, sound=False)
    probe.wait_for(lambda: not processes_in(runtime), "the end of every process")


def test_a_missing_program_is_one_sentence() -> None:
    session = Session(sound=False)
    session.env["PATH"] = "/nonexistent"
    with pytest.raises(SessionError, match="dbus-daemon is not installed here; scripts/setup --test"):
        session.start()
    assert not session.runtime.exists()


DEB822 = f"""\
# a third party, first, of the same suite and component
Types: deb
URIs: mirror://other/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/other.gpg

Types: deb deb-src
# mirror nearby
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
Check-Valid-Until: no

Types: deb
URIs: {MIRROR}-security
Suites: bookworm-security
Components: main
"""
OWN = {
    (f"{MIRROR}/", "bookworm"),
    (f"{MIRROR}/", "bookworm-updates"),
    (f"{MIRROR}-security/", "bookworm-security"),
}


def test_backports_come_from_the_mirror_of_a_deb822_file_with_its_key_and_options() -> None:
    assert derive(parse_sources(DEB822), own=OWN, codename="bookworm") == (
        f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm-backports\nComponents: main contrib\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\nCheck-Valid-Until: no\n"
    )


def test_backports_come_from_the_mirror_of_a_classic_line_with_its_options() -> None:
    text = f"""\
deb [signed-by=/other.gpg] mirror://other/debian bookworm main
deb-src {MIRROR} bookworm main
deb  [ arch=amd64,i386 signed-by=/own.gpg ]\t{MIRROR}/  bookworm main non-free # nearby
# deb {MIRROR} bookworm-backports main
"""
    assert derive(parse_list(text), own=OWN, codename="bookworm") == (
        f"Types: deb\nURIs: {MIRROR}/\nSuites: bookworm-backports\nComponents: main non-free\n"
        "Architectures: amd64 i386\nSigned-By: /own.gpg\n"
    )


def test_backports_of_a_machine_that_follows_stable_still_have_the_codename() -> None:
    stanza = derive(parse_list(f"deb {MIRROR} stable main"), own={(MIRROR, "stable")}, codename="bookworm")
    assert stanza == f"Types: deb\nURIs: {MIRROR}\nSuites: bookworm-backports\nComponents: main\n"


@pytest.mark.parametrize("enabled", [True, False])
def test_backports_that_are_offered_already_are_not_added(enabled: bool) -> None:
    text = f"{DEB822}\nTypes: deb\nEnabled: {'yes' if enabled else 'no'}\nURIs: {MIRROR}\nSuites: bookworm-backports\n"
    offered = OWN | {(f"{MIRROR}/", "bookworm-backports")}
    stanza = derive(parse_sources(text), own=offered if enabled else OWN, codename="bookworm")
    assert (stanza is None) is enabled


def test_backports_without_a_source_of_the_distribution_are_refused() -> None:
    with pytest.raises(LookupError, match="no source of its own distribution for bookworm"):
        derive(parse_list("deb mirror://other/debian bookworm main"), own=OWN, codename="bookworm")
