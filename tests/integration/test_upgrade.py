"""What was started goes on as it is when its files are replaced or removed under its feet, as an upgrade does."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from client import Client
from service import ROOT, CallError, Service
from session import PATIENCE, Session
from talk import Talk, place

import pwmixer_dbus
from pwmixer_dbus.startup import bundle

RUN = "from pwmixer_dbus.start import main\nmain()\n"
EVERYTHING_ON = """
[stats]
file = true
prometheus = true
[osd]
enabled = true
[bar_signal]
enabled = true
[shared_memory]
enabled = true
"""
RULE = ("3", "name", "s", "x", "match", "a{sv}", "1", "app", "s", "radio", "to", "s", "headset")
CALLS: tuple[tuple[Any, ...], ...] = (
    ("Describe", "a{sv}", 0),
    ("Resolve", "s", "app:*"),
    ("ExplainStream", "s", "app:radio"),
    ("AdjustVolume", "sda{sv}", "@sink", 0.1, 0),
    ("SetVolume", "sda{sv}", "app:radio", 0.5, 2, "quiet", "b", True, "context", "s", "x"),
    ("FadeVolume", "sdua{sv}", "app:radio", 0.3, 50, 0),
    ("SetMuted", "ssa{sv}", "app:radio", "toggle", 0),
    ("SetDefault", "s", "sink:headset"),
    ("Move", "ssa{sv}", "app:radio", "headset", 0),
    ("Apply", "ta(oa{sv})a{sv}", 0, 1, f"{ROOT}/sinks/speakers", 1, "Volume", "d", 0.4, 0),
    ("Undo", "u", 2),
    ("SetLock", "sb", "app:radio", True),
    ("SetCap", "sd", "app:radio", 0.9),
    ("Forget", "s", "app:radio"),
    ("HoldRouting", "sss", "app:radio", "a test", "test"),
    ("Stats",),
    ("Trace", "a{sv}", 0),
    ("FollowTrace", "b", True),
    ("ReloadConfig",),
    ("OpenMeter", "asa{sv}", 1, "@sink", 0),
    ("Profile", "u", 1),
)
CALLS_OF_RULES: tuple[tuple[Any, ...], ...] = (
    ("ListRules",),
    ("AddRule", "a{sv}i", *RULE, 0),
    ("TestRules", "aa{sv}", 0),
    ("TestProperties", "aa{sv}a{ss}", 0, 0),
    ("SuggestRules",),
    ("Remember", "s", "app:radio"),
    ("MoveRule", "su", "x", 0),
    ("RemoveRule", "s", "x"),
)


class Installed:
    """A service that runs from a place of its own, in which it is installed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.package = session.runtime / "site" / "pwmixer_dbus"
        self.bytecode = Path(session.env["XDG_CACHE_HOME"], "pwmixer", bundle.NAME)
        ours = Path(pwmixer_dbus.__file__).parent
        shutil.copytree(ours, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (self.package.parent / "run.py").write_text(RUN)

    def start(self, name: str) -> Service:
        """Start it; return when it is connected."""
        service = Service(self.session, name=name)
        program = str(self.package.parent / "run.py")
        service.process = self.session.spawn(name, sys.executable, "-X", "dev", program, "--debug")
        self.session.wait_for_child(name, service.is_owner, "to own its name")
        service.wait_connected()
        return service

    def upgrade(self) -> None:
        """Put another version in its place: some files are others now, and some are not there any more."""
        shutil.rmtree(self.package / "__pycache__", ignore_errors=True)
        for number, file in enumerate(sorted(self.package.rglob("*.py"))):
            shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
            if number % 2 or file.name == "__init__.py":
                new = file.with_name("new")
                new.write_text("raise RuntimeError('of another version')\n")
                new.replace(file)
            else:
                file.unlink()
        other = self.bytecode.with_name("other")
        other.write_bytes(b"of another version")
        other.replace(self.bytecode)


@pytest.fixture
def installed(session: Session) -> Installed:
    """Install it; a stream plays."""
    session.play("Radio", tone=440)
    return Installed(session)


def test_what_was_never_called_before_works_when_all_files_are_of_another_version(
    installed: Installed,
) -> None:
    """A package is upgraded, or removed, while the service runs."""
    session = installed.session
    first = installed.start("first")
    session.wait_for(installed.bytecode.exists, "the byte code to be written")
    first.stop()
    assert installed.bytecode.read_bytes().count(b"__loader__") > 100  # what has been put off
    service = installed.start("old")
    service.wait_for_stream("Radio", device="speakers")
    service.wait_settled()
    installed.upgrade()
    for member, *arguments in CALLS:
        service.call(member, *arguments)
    for member, *arguments in CALLS_OF_RULES:
        service.call(member, *arguments, interface="Rules")
    with pytest.raises(CallError, match="You have no hold with the cookie 7"):
        service.call("ReleaseHold", "u", 7)
    wrong = (word.replace("app", "ap") for word in RULE)
    with pytest.raises(CallError, match='no such key; did you mean "app"'):
        service.call("AddRule", "a{sv}i", *wrong, 0, interface="Rules")
    with Talk(place(session)) as talk:
        assert talk.ask("SET_VOLUME app:radio 0.5") == "OK 0.5"
        assert talk.json(id=1, action="get", target="app:radio")["ok"]
    with Client.gjs(session, "meter.js") as reader:
        assert "meter" in reader.ask(do="open", targets=["@sink"])
    session.configure(EVERYTHING_ON)
    service.call("ReloadConfig")
    session.wait_for((session.runtime / "pwmixer" / "stats.prom").exists, "statistics to be written")
    assert "config.toml" not in service.get("ConfigError")
    session.configure("[volume]\nmx = 7\n")
    session.wait_for(lambda: service.get("ConfigError"), "the file to be read")
    assert 'volume.mx: no such key; did you mean "max"?' in service.get("ConfigError")
    session.configure("")
    session.wait_for(lambda: not service.get("ConfigError"), "the file to be read again")
    new = Service(session, "--replace", name="new").start()
    assert service.process.wait(PATIENCE) == 0
    service.stop(errors=True)
    new.stop()


def test_a_service_that_has_had_its_byte_code_written_itself_goes_on_as_well(installed: Installed) -> None:
    service = installed.start("first")
    written = "the byte code has been written into one file"
    installed.session.wait_for(lambda: written in service.log(), written)
    installed.upgrade()
    assert json.loads(service.call("Stats"))["uptime"] > 0
    service.call("OpenMeter", "asa{sv}", 1, "@sink", 0)
    service.stop()


def test_the_first_start_of_another_version_says_what_is_wrong_in_a_file(installed: Installed) -> None:
    """It notes what is called, by which Python's own modules, of which the old file has most, have to work as well."""
    first = installed.start("first")
    installed.session.wait_for(installed.bytecode.exists, "the byte code to be written")
    first.stop()
    with (installed.package / "keeper.py").open("a") as source:
        source.write("\n")
    installed.session.configure("[volume]\nmx = 7\n")
    service = installed.start("new")
    assert 'volume.mx: no such key; did you mean "max"?' in service.get("ConfigError")
    service.stop(errors=True)


def test_a_service_that_cannot_begin_to_answer_ends_and_says_why(session: Session) -> None:
    """Half an upgrade: whoever has called is answered by the end, and systemd starts the service again."""
    installed = Installed(session)
    (installed.package / "outlets" / "socket" / "listener.py").write_text("raise ValueError('half')\n")
    process = session.spawn("half", sys.executable, str(installed.package.parent / "run.py"))
    assert process.wait(PATIENCE) == 1
    said = (session.runtime / "half.log").read_text()
    assert "ERROR what should answer could not be made ready; stopping" in said
    assert "ValueError: half" in said
