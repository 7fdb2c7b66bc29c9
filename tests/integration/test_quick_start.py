"""Every command of the quick start, in README.md and docs/quick-start.md, run by a real shell prints what stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service
from session import PATIENCE, Session, populate

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {
    "scripts/run": "it installs packages, and goes on until ctrl-C",
    "scripts/test": "it installs packages, and runs this test",
}
LASTING = ("pwmixerctl watch", "busctl --user monitor org.pwmixer.Mixer")
LATE = "pwmixerctl list streams"
"""The session manager moves what plays to a new default after that has been answered."""


@pytest.fixture
def demo(bare_session: Session) -> Iterator[Service]:
    """Start what `scripts/run` starts where there is no session, with its programs on PATH."""
    populate(bare_session)
    bare_session.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{bare_session.env['PATH']}"
    bare_session.env["COLUMNS"] = "80"
    service = Service(bare_session).start()
    yield service
    service.stop()


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Find the commands of a page, each with what it prints."""
    for block in re.findall(r"^```console\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def run(service: Service, command: str) -> str:
    """Return what a command prints, its errors as well."""
    return subprocess.run(
        ("bash", "-c", command),
        env=service.session.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    ).stdout


def wait_until_printed(service: Service, command: str, printed: str) -> None:
    service.session.wait_for(lambda: run(service, command) == printed, printed)


def follow(service: Service, command: str, printed: str) -> None:
    """Run what goes on for ever until it has printed what it prints of the changes that the page names."""
    name = command.partition(" ")[0]
    service.session.spawn(name, "bash", "-c", f"exec {command}")
    wanted = {untimed(line) for line in printed.splitlines()}

    def has_told() -> bool:
        log = service.session.runtime / f"{name}.log"
        told = {untimed(line) for line in log.read_text().splitlines()}
        if not wanted <= told:
            run(service, "pactl set-sink-volume headset 41% && pactl set-sink-volume headset 42%")
            run(service, "pwmixerctl toggle app:firefox")
        return bool(told) and wanted <= told

    service.session.wait_for_child(name, has_told, f"to print {printed}")


def untimed(line: str) -> str:
    return re.sub(r"^[\d:]+ ", "", line)


def unversioned(text: str) -> str:
    return re.sub(r"PipeWire [\d.]+", "PipeWire", text)


@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md"])
def test_every_command_of_the_quick_start_prints_what_stands_there(demo: Service, page: str) -> None:
    count = 0
    for command, printed in commands(page):
        if command in LEFT_OUT:
            continue
        if command in LASTING:
            follow(demo, command, printed)
        elif command == LATE:
            wait_until_printed(demo, command, printed)
        else:
            assert unversioned(run(demo, command)) == unversioned(printed), command
        count += 1
    assert count >= 2
