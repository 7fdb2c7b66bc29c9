"""Every command of docs/socket.md, run by a real shell with real socat and nc, prints what stands there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from defaults import add_devices
from service import Service
from session import Session, completed
from talk import Talk, place

from pwmixer_dbus.outlets.socket.schema import Event, Message, Reply

PAGE = Path(__file__).resolve().parents[2] / "docs" / "socket.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE.read_text()) if name == language]


@pytest.fixture(scope="module")
def desk() -> Iterator[Service]:
    """Start the service as the page has it: its rule, its applications, and the speakers at half."""
    with Session() as session:
        add_devices(session)
        session.configure("".join(blocks("toml")))
        for name in ("Firefox", "mpv", "Radio One"):
            session.play(name)
        session.play("Silence", tone=0, sink="headset")
        service = Service(session).start()
        service.call("SetVolume", "sda{sv}", "@sink", 0.5, 0)
        yield service
        service.stop()


def run(service: Service, command: str) -> str:
    done = completed("sh", "-c", command, env=service.session.env)
    assert done.stderr == "", command
    return done.stdout


def test_every_command_of_the_page_prints_what_stands_there(desk: Service) -> None:
    count = 0
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            assert run(desk, command) == printed, command
            count += 1
    assert count >= 10


def bound() -> Iterator[str]:
    """Find what the key bindings of the page start, as the window managers would hand it to a shell."""
    for line in "".join(blocks("ini")).splitlines():
        yield re.split(r", exec, ", line)[1]
    for language in ("sway", "i3"):
        lines = "".join(blocks(language)).splitlines()
        variables = dict(line.split(" ", 2)[1:] for line in lines if line.startswith("set "))
        for line in lines:
            if line.startswith("bindsym"):
                command = re.split(r" exec (?:--no-startup-id )?", line)[1]
                for name, value in variables.items():
                    command = command.replace(name, value)
                yield command


def test_every_key_binding_of_the_page_does_something(desk: Service) -> None:
    before = desk.describe()["generation"]
    commands = list(bound())
    assert len(commands) > 10
    for command in commands:
        assert run(desk, command).startswith("OK "), command
        after = desk.describe()["generation"]
        assert after > before or "MUTE @source" in command, command
        before = after
    assert desk.wait_for_stream("Firefox", device="headset")["muted"] is True


def test_a_group_is_stepped_muted_and_asked_for_as_one(desk: Service) -> None:
    path = "$XDG_RUNTIME_DIR/pwmixer/socket"
    lines = "SET_VOLUME group:music 0.5|VOLUME_UP group:music|MUTE group:music toggle|GET_MUTE group:Music|LIST groups"
    said = run(desk, f"echo '{lines}' | tr '|' '\\n' | nc -NU {path}")
    assert said.splitlines() == [
        "OK 0.5",
        "OK 0.55",
        "OK true",
        "OK true",
        "OK 1",
        "group:music 0.55 true music",
    ]
    assert desk.stream_of("mpv")["volume"] == 0.55
    assert desk.stream_of("Radio One")["muted"] is False
    said = run(desk, f"echo 'ROUTE group:music headset' | nc -NU {path}")
    assert said == f"OK {desk.wait_for_stream('mpv', device='headset')['selector']}\n"
    run(desk, f"echo 'ROUTE mpv speakers' | nc -NU {path}")


def test_real_replies_and_events_are_as_the_published_schema_describes(desk: Service) -> None:
    messages = [
        {"id": 1, "action": "subscribe"},
        {"id": 2, "app": "mpv", "action": "down"},
        {"id": 3, "app": "mpv", "action": "toggle"},
        {"id": 4, "app": "mpv", "action": "get"},
        {"id": 5, "app": "mpv", "action": "route", "device": "headset"},
        *({"id": 6, "command": f"LIST {kind}"} for kind in ("apps", "sinks", "sources", "streams", "groups")),
        {"id": 7, "app": "nobody", "action": "up"},
        {"id": 8, "target": "@sink", "action": "set", "volume": 1.5},
    ]
    events, replies = 0, 0
    with Talk(place(desk.session)) as talk:
        for message in messages:
            Message.model_validate_json(json.dumps(message))
            talk.say(json.dumps(message))
        # What a busy server acknowledges and shows late is answered before it is told.
        while replies < len(messages) or not events:
            line = talk.line()
            if "event" in json.loads(line):
                Event.model_validate_json(line)
                events += 1
            else:
                Reply.model_validate_json(line)
                replies += 1
