"""`watch`, on a real bus with signals of a stand-in for the service."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_rig import FakeService, first_line, running
from session import PATIENCE

from pwmixer_dbus.cli import wire
from pwmixer_dbus.cli.paths import object_path, selector_of
from pwmixer_dbus.cli.watch import sentence

GONE = "the pwmixer service is gone"
TOLD = [
    "sink:speakers volume 45%",
    "sink:speakers muted",
    "sink:usb.dac default yes",
    "the sound server is gone",
    "default-sink sink:speakers",
    "stream:9 added Firefox - A song",
    "stream:9 removed",
    "sink:speakers limited to 100%, 150% was asked: the global limit",
]


def text_of(line: str) -> str:
    return line.partition(" ")[2]


@pytest.fixture
def watching(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Start `watch` before there is a service; it says so when it is ready."""
    with running(["pwmixerctl", "watch"], environment) as process:
        assert text_of(first_line(process)) == GONE
        yield process


def test_paths_and_selectors_turn_into_each_other() -> None:
    for selector in ("sink:usb.dac", "app:name:my sdl game", "stream:5", "card:é_1"):
        assert selector_of(object_path(selector)) == selector
    assert selector_of(wire.PATH) == ""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Device", "/", "stream:9 device none"),
        ("Device", object_path("sink:usb.dac"), "stream:9 device sink:usb.dac"),
        ("Card", "/", "stream:9 card none"),
        ("App", object_path("app:bin:firefox"), "stream:9 app app:bin:firefox"),
        ("RoutedBy", "", "stream:9 routed-by none"),
    ],
)
def test_a_change_is_told_as_people_say_it(name: str, value: object, said: str) -> None:
    event = {"event": "changed", "selector": "stream:9", "property": name, "value": value}
    assert sentence(event) == said


def test_a_change_of_the_rules_is_told_without_a_selector() -> None:
    event = {"event": "changed", "selector": "", "path": wire.PATH}
    told = [sentence({**event, "property": p, "value": v}) for p, v in (("Enabled", False), ("Revision", 2))]
    assert told == ["rules disabled", "rules changed"]


def test_each_change_is_one_line_and_a_service_may_come_and_go(
    watching: "subprocess.Popen[str]",
    fake_service: FakeService,
    monkeypatch: pytest.MonkeyPatch,
    bus_address: str,
) -> None:
    assert text_of(first_line(watching)) == "the pwmixer service is there"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    wire.call("Play")
    assert [text_of(first_line(watching)) for _ in TOLD] == TOLD
    fake_service.process.terminate()
    assert text_of(first_line(watching)) == GONE
    watching.send_signal(signal.SIGINT)
    assert watching.wait(PATIENCE) == 0


def test_json_is_one_object_a_line(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    bus_address: str,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    with running(["pwmixerctl", "watch", "--json"], environment) as process:
        assert json.loads(first_line(process))["present"] is False
        request.getfixturevalue("fake_service")
        assert json.loads(first_line(process))["present"] is True
        wire.call("Play")
        told = [json.loads(first_line(process)) for _ in range(len(TOLD) + 1)]
    assert told[0]["event"] == "changed"
    assert (told[0]["selector"], told[0]["property"], told[0]["value"]) == ("sink:speakers", "Volume", 0.45)
    assert told[-1]["client"] == ":1.2"


def test_an_output_that_fills_up_ends_it_with_a_sentence(
    environment: dict[str, str], fake_service: FakeService, monkeypatch: pytest.MonkeyPatch, bus_address: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            ["pwmixerctl", "watch"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        # Until it listens, changes pass it by.
        while process.poll() is None:
            wire.call("Play")
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (1, "pwmixerctl: No space left on device\n")
    assert fake_service.process.poll() is None


def test_a_reader_that_leaves_ends_it_quietly(
    environment: dict[str, str], fake_service: FakeService, monkeypatch: pytest.MonkeyPatch, bus_address: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    command = ["pwmixerctl", "watch"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        # Until it listens, changes pass it by; the service's going is one that it cannot miss in the end.
        while process.poll() is None:
            wire.call("Play")
        assert (process.wait(PATIENCE), process.stderr.read()) == (0, b"")
    assert fake_service.process.poll() is None
