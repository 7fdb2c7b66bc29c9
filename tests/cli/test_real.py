"""The command line against the real service and a real PipeWire."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from service import Service

pytestmark = pytest.mark.integration
PROGRAM = "import sys; from pwmixer_dbus.cli import main; sys.exit(main())"


def ctl(service: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**service.session.env, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def said(service: Service, *words: str) -> str:
    """Run a command that has to succeed, and return what it prints."""
    result = ctl(service, *words)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


def test_volumes_are_set_stepped_and_read(service: Service) -> None:
    assert said(service, "set", "50%") == "50%"
    assert said(service, "up") == "55%"
    assert said(service, "down", "@sink", "10%") == "45%"
    assert said(service, "set", "sink:head*", "0.3") == "30%"
    service.session.wait_for(lambda: said(service, "get") == "45%", "the volume to be read back")
    service.session.wait_for(
        lambda: said(service, "get", "sink:headset", "-f", "{name} {percent}") == "headset 30",
        "the other device's, too",
    )


@pytest.mark.xfail(
    reason="Describe shows the server's last word, not yet the value that is on its way", strict=False
)
def test_a_value_that_was_set_is_read_back_at_once(service: Service) -> None:
    assert said(service, "set", "50%") == "50%"
    assert said(service, "get") == "50%"


def test_a_volume_over_the_limit_is_clamped_and_said(service: Service) -> None:
    assert said(service, "set", "150%") == "100% (limited; 150% was asked)"


def test_mute_and_default(service: Service) -> None:
    assert said(service, "toggle") == "muted"
    service.session.wait_for(lambda: said(service, "get").endswith(" muted"), "the mute to be read back")
    assert said(service, "unmute") == "unmuted"
    assert said(service, "default", "sink:headset") == ""
    service.session.wait_for(
        lambda: json.loads(said(service, "describe"))["defaults"]["sink"] == "headset", "the new default"
    )


def test_status_list_and_resolve_show_the_devices(service: Service) -> None:
    assert "Headset" in said(service, "status")
    assert "sink:speakers" in said(service, "list", "sinks")
    path = said(service, "resolve", "@sink")
    assert said(service, "get", path) == said(service, "get")


def test_what_the_service_refuses_is_exit_code_1(service: Service) -> None:
    result = ctl(service, "up", "app:nobody")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "app:nobody" in result.stderr
