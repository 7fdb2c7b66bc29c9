"""The other end of a pipe or socket says nothing, or has gone."""

import socket
import subprocess
import sys

from session import PATIENCE, Session, completed

PLAIN = (sys.executable, "-m", "pwmixer_dbus.daemon")


def test_dump_events_ends_when_its_reader_has_seen_enough(bare_session: Session) -> None:
    with subprocess.Popen(
        (*PLAIN, "--dump-events"),
        env=bare_session.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"event": "Snapshot"')
        process.stdout.close()
        bare_session.play("Radio")
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""


def test_a_bus_that_never_answers_is_given_up(bare_session: Session) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(bare_session.runtime / "mute"))
        mute.listen()
        env = {**bare_session.env, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={bare_session.runtime}/mute"}
        done = completed(*PLAIN, env=env)
    assert done.returncode == 1
    assert "there is no session bus to serve on (it did not answer within 5 s)" in done.stderr


def test_a_bus_that_lets_nobody_stay_is_told(bare_session: Session) -> None:
    """As one of another user does, which says that all is well and hangs up."""
    with socket.socket(socket.AF_UNIX) as curt:
        curt.bind(str(bare_session.runtime / "curt"))
        curt.listen()
        env = {**bare_session.env, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={bare_session.runtime}/curt"}
        with subprocess.Popen(PLAIN, env=env, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = curt.accept()
            with connection, connection.makefile("rwb", 0) as lines:
                for answer in (b"OK 1234", b"AGREE_UNIX_FD"):
                    lines.readline()
                    lines.write(answer + b"\r\n")
                while b"Hello" not in lines.read(1 << 16):
                    pass
            assert process.stderr is not None
            said = process.stderr.read()
    assert process.returncode == 1
    assert "there is no session bus to serve on (it hangs up)" in said
