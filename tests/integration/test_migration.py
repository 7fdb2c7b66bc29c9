"""Each line of the table in docs/migration.md does three times the same, with the real programs of before."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from defaults import add_devices
from service import CTL, Service
from session import Session
from talk import Talk, place

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migration.md"
TABLE = re.search(
    r"<!-- begin: commands -->\n.*?\n.*?\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
assert TABLE is not None
ROWS = [re.findall(r"`([^`]+)`", line) for line in TABLE[1].splitlines()]

Levels = dict[str, tuple[int, bool]]
START: Levels = {"speakers": (50, False), "headset": (60, False), "microphone": (80, False)}


@pytest.fixture(scope="module")
def desk() -> Iterator[Service]:
    """Start the service where all devices are in use, since only such ones report a volume."""
    with Session() as session:
        add_devices(session)
        session.play("Radio", sink="speakers")
        session.play("Film", sink="headset")
        session.record("Recorder", source="microphone")
        service = Service(session).start()
        yield service
        service.stop()


def levels(service: Service) -> Levels:
    """Ask the sound server, by pactl, how loud each device is in percent, and whether it is muted."""
    listed = json.loads(service.session.pactl("--format=json", "list"))
    found: Levels = {}
    for device in (*listed["sinks"], *listed["sources"]):
        if device["name"] in START:
            loudness = next(iter(device["volume"].values()))["value_percent"]
            found[device["name"]] = (int(loudness.rstrip("%")), device["mute"])
    return found


def known(service: Service) -> Levels:
    """Ask the service the same."""
    document = service.describe()
    return {
        device["name"]: (round(100 * device["volume"]), device["muted"])
        for kind in ("sinks", "sources")
        for device in document[kind]
        if device["name"] in START
    }


def begin(service: Service) -> None:
    for name, (percent, muted) in levels(service).items():
        kind = "source" if name == "microphone" else "sink"
        if percent != START[name][0]:
            service.session.pactl(f"set-{kind}-volume", name, f"{START[name][0]}%")
        if muted:
            service.session.pactl(f"set-{kind}-mute", name, "0")
    service.session.wait_for(lambda: known(service) == START, "all to be as at the start")


@pytest.mark.parametrize(("before", "command", "line"), ROWS, ids=lambda words: words)
def test_it_comes_to_the_same(desk: Service, before: str, command: str, line: str) -> None:
    begin(desk)
    desk.session.run(*shlex.split(before))
    desk.session.wait_for(lambda: levels(desk) != START, f"{before} to do something")
    wanted = levels(desk)
    begin(desk)
    program, *words = shlex.split(command)
    assert program == "pwmixerctl"
    desk.session.run(*CTL, *words)
    desk.session.wait_for(lambda: levels(desk) == wanted, f"{command} to make {wanted}")
    begin(desk)
    with Talk(place(desk.session)) as talk:
        assert talk.ask(line).startswith("OK ")
    desk.session.wait_for(lambda: levels(desk) == wanted, f"{line} to make {wanted}")


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 10
    assert all(len(row) == 3 for row in ROWS)
    assert len({tuple(row) for row in ROWS}) == len(ROWS)
