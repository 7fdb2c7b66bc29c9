"""A private bus, a stand-in for the service on it, and `pwmixerctl` as a program on PATH."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli_rig import Ctl, FakeService, first_line, running
from session import completed

ROOT = Path(__file__).parents[2]
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={directory}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
"""


@pytest.fixture(scope="module")
def bus_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a bus that can start no services."""
    directory = tmp_path_factory.mktemp("bus")
    config = directory / "bus.conf"
    config.write_text(BUS_CONFIG.format(directory=directory))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
    with running(command) as daemon:
        yield first_line(daemon)


@pytest.fixture(scope="module")
def environment(bus_address: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment with the private bus, and with `pwmixerctl` on PATH."""
    directory = tmp_path_factory.mktemp("bin")
    program = directory / "pwmixerctl"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pwmixer_dbus.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    return {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "DBUS_SESSION_BUS_ADDRESS": bus_address,
    }


@pytest.fixture(scope="module")
def ctl(environment: dict[str, str]) -> Ctl:
    """Return a function that runs `pwmixerctl` with words, and with changes to the environment."""

    def run(*words: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        return completed("pwmixerctl", *words, env={**environment, **changes})

    return run


@pytest.fixture(scope="module")
def stand_in(environment: dict[str, str]) -> Iterator[Callable[[], FakeService]]:
    """Return a function that starts the stand-in, or has it come back where no test has ended it."""
    command = [sys.executable, str(Path(__file__).with_name("fake_service.py"))]
    with ExitStack() as stack:
        last: list[FakeService] = []

        def come() -> FakeService:
            for service in last:
                service.turn()
                if service.has_said("ready"):
                    return service
            process = stack.enter_context(running(command, environment, subprocess.PIPE))
            last[:] = [FakeService(process)]
            assert last[0].has_said("ready"), "the stand-in has ended"
            return last[0]

        yield come


@pytest.fixture
def fake_service(stand_in: Callable[[], FakeService]) -> Iterator[FakeService]:
    """Have the stand-in own the name."""
    service = stand_in()
    yield service
    service.turn()
    service.has_said("gone")
