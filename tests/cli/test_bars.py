"""The modules of bars as programs, on a real bus with a stand-in for the service: what they print, and when."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cli_rig import Ctl, FakeService, first_line, running
from documents import DOCUMENT
from session import PATIENCE

from pwmixer_dbus.cli import wire
from pwmixer_dbus.cli.bars import follow
from pwmixer_dbus.cli.bars.follow import Follower

Process = subprocess.Popen[str]
Become = Callable[..., None]

PIPE_SIZE = 4096
NOT_RUNNING = "no pwmixer"


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, bus_address: str) -> Become:
    """Return a function that changes the first sink, or other keys of the document, and lets the stand-in say so."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)

    def change(**sink: Any) -> None:
        changed = {**DOCUMENT["sinks"][0], **sink}
        wire.call("Become", "s", json.dumps({"sinks": [changed, DOCUMENT["sinks"][1]]}))

    return change


@pytest.fixture
def following(environment: dict[str, str]) -> Iterator[Process]:
    """Start a module before there is a service."""
    with running(["pwmixerctl", "follow"], environment) as process:
        assert first_line(process) == NOT_RUNNING
        yield process


def test_a_line_at_once_and_one_for_each_change_that_shows(
    following: Process, fake_service: FakeService, become: Become
) -> None:
    assert first_line(following) == "45%"
    become(volume=0.5)
    assert first_line(following) == "50%"
    become(volume=0.5, icon_name="new", state="running")
    become(volume=1.2)
    assert first_line(following) == "120%"
    become(muted=True)
    assert first_line(following) == "muted"
    fake_service.process.terminate()
    assert first_line(following) == NOT_RUNNING
    following.send_signal(signal.SIGINT)
    assert following.wait(PATIENCE) == 0


def test_it_comes_back_by_itself_with_the_service(
    following: Process, environment: dict[str, str], become: Become
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("fake_service.py"))]
    for _ in range(2):
        with running(command, environment) as service:
            assert first_line(following) == "45%"
            become(volume=0.6)
            assert first_line(following) == "60%"
            service.terminate()
            assert first_line(following) == NOT_RUNNING


def test_the_service_is_started_at_the_start_and_never_again() -> None:
    asked: list[str] = []

    class Bus:
        def post(self, method: str, *_: object, **__: object) -> int:
            asked.append(method)
            return len(asked)

    follower = Follower(cast("wire.Connection", Bus()), "@sink", lambda status: status.state, once=False)
    for _ in range(2):
        follower._look()
        serial = follower._asked
        follower._on((wire.ERROR, serial, "org.freedesktop.DBus.Error.ServiceUnknown", ["Nobody."]))
    assert asked == ["Describe", "StartServiceByName", "Describe"]


def test_a_default_that_is_chosen_anew_within_a_moment_is_not_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a device is unplugged there is no default until the session manager has chosen another one."""
    now, serials = [100.0], itertools.count(1)
    monkeypatch.setattr(follow, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Bus:
        def post(self, *_: object, **__: object) -> int:
            return next(serials)

    follower = Follower(cast("wire.Connection", Bus()), "@sink", lambda status: status.state, once=False)

    def look(default: str) -> bytes:
        follower._look()
        document = {**DOCUMENT, "defaults": {**DOCUMENT["defaults"], "sink": default}}
        follower._on((wire.METHOD_RETURN, follower._asked, "", [json.dumps(document)]))
        if follower._asked:
            follower._on((wire.ERROR, follower._asked, "org.pwmixer.Error.NotFound", ["There is none."]))
        said, follower._unsaid = follower._unsaid, b""
        follower._said = said or follower._said
        return said

    speakers, other = (sink["name"] for sink in DOCUMENT["sinks"][:2])
    assert look("") == b"no-device\n", "it has never been there"
    assert look(speakers) == b"ok\n"
    assert look("") == b""
    assert follower._patience() == 50
    assert (look(other), look("")) == (b"", b"")
    now[0] += 0.2
    assert (look(speakers), look("")) == (b"", b"")
    now[0] += 0.2
    assert look("") == b""
    now[0] += 0.2
    assert look("") == b"no-device\n"
    assert follower._patience() is None


def test_it_sleeps_without_a_timer_while_nothing_changes(
    following: Process, fake_service: FakeService, become: Become
) -> None:
    assert first_line(following) == "45%"
    become(volume=0.5)
    assert first_line(following) == "50%"
    assert sleeps_for_good(following.pid)
    assert threads(following.pid) == 1
    assert fake_service.process.poll() is None


@pytest.mark.usefixtures("fake_service")
def test_it_ends_when_the_bar_leaves_though_nothing_changes(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        ["pwmixerctl", "waybar"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert json.loads(first_line(process))["text"] == "45%"
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_bar_that_does_not_read_gets_the_latest_and_nothing_in_between(
    environment: dict[str, str], fake_service: FakeService, become: Become
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    os.write(writer, b"x" * (PIPE_SIZE - 1) + b"\n")
    with (
        os.fdopen(reader) as lines,
        subprocess.Popen(["pwmixerctl", "follow"], env=environment, stdout=writer) as bar,
    ):
        os.close(writer)
        assert fake_service.last_call()[0] == "Describe"
        become(volume=0.1)
        become(volume=0.2)
        become(volume=0.3)
        assert [lines.readline().strip("x") for _ in range(3)] == ["\n", "45%\n", "30%\n"]
        bar.terminate()


def test_it_looks_at_most_twenty_times_a_second(
    following: Process, fake_service: FakeService, become: Become
) -> None:
    assert first_line(following) == "45%"
    began = time.monotonic()
    for step in range(200):
        become(volume=step / 200)
    while first_line(following) != "100%":
        pass
    longest = (time.monotonic() - began) / 0.05 + 2
    fake_service.process.terminate()
    assert fake_service.process.stdout is not None
    assert fake_service.process.stdout.read().count("Describe") <= longest


@pytest.mark.usefixtures("fake_service")
def test_once_prints_one_line_and_ends(ctl: Ctl) -> None:
    assert ctl("waybar", "--once").stdout.count("\n") == 1
    assert ctl("follow", "--once", "-t", "sink:usb.dac", "-f", "{name} {percent}% {mute}").stdout == (
        "USB DAC 日本語 120% muted\n"
    )
    assert ctl("follow", "--once", "--target", "app:*fire*", "--format", "{name}").stdout == "Firefox\n"
    assert ctl("follow", "--once", "--target", "app:nobody").stdout == "\n"


def test_once_without_a_service_says_so_and_is_no_error(ctl: Ctl) -> None:
    result = ctl("i3status-rust", "--once")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["state"] == "Critical"


@pytest.mark.usefixtures("fake_service")
def test_what_has_no_volume_is_refused(ctl: Ctl) -> None:
    result = ctl("follow", "--target", "card:pci")
    assert (result.returncode, result.stdout, result.stderr) == (
        1,
        "",
        "pwmixerctl: card:pci has no volume.\n",
    )


@pytest.mark.parametrize("template", ["{nothing}", "{name.upper}", "{", "x" * 513])
def test_a_wrong_template_is_told_before_there_is_a_bus(ctl: Ctl, template: str) -> None:
    result = ctl("waybar", "--format", template, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_the_end_of_the_bus_is_one_sentence(tmp_path: Path, environment: dict[str, str]) -> None:
    bus = ["dbus-daemon", "--session", f"--address=unix:dir={tmp_path}", "--nofork", "--print-address=1"]
    with running(bus) as daemon:
        address = {"DBUS_SESSION_BUS_ADDRESS": first_line(daemon)}
        with subprocess.Popen(
            ["pwmixerctl", "follow"],
            env=environment | address,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert first_line(process) == NOT_RUNNING
            daemon.terminate()
            assert process.stderr is not None
            assert process.stderr.read().count("\n") == 1
            assert process.wait(PATIENCE) == 3


def sleeps_for_good(pid: int) -> bool:
    """Wait until a process is in a poll that has no timeout: nothing but an event can wake it then."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        number, *arguments = Path("/proc", str(pid), "syscall").read_text().split()  # or "running"
        # The third argument of poll is its timeout in milliseconds, of which 32 bits count; where there is only ppoll, it is a pointer.
        wait = int(arguments[2], 16) & 0xFFFFFFFF if arguments else None
        if (number, wait) in {("7", 0xFFFFFFFF), ("73", 0)}:
            return True
        time.sleep(0.01)
    return False


def threads(pid: int) -> int:
    return len(list(Path("/proc", str(pid), "task").iterdir()))
