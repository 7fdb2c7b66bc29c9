"""A private bus, a stand-in for the service on it, and `pwmixerctl` as a program on PATH."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_rig import Ctl, FakeService, first_line, running
from session import PATIENCE

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
        return subprocess.run(
            ["pwmixerctl", *words],
            env={**environment, **changes},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


@pytest.fixture
def fake_service(environment: dict[str, str]) -> Iterator[FakeService]:
    """Start the stand-in and wait until it owns the name."""
    script = Path(__file__).with_name("fake_service.py")
    with running([sys.executable, str(script)], environment) as process:
        # Somebody who waits for the name may have called before.
        for line in iter(lambda: first_line(process), "ready"):
            assert line, "the stand-in has ended"
        yield FakeService(process)
