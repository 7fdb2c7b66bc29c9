"""The service under test: the real one, in a private session, called as a foreign program would."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from session import PATIENCE, Session, completed

NAME = "org.pwmixer.Mixer"
ROOT = "/org/pwmixer/Mixer"
ALIAS = "/org/pwmixer/Default"

CTL = (sys.executable, "-c", "import sys; from pwmixer_dbus.cli import main; sys.exit(main())")
"""`pwmixerctl`."""

CACHE = Path(__file__).resolve().parent.parent / ".pytest_cache" / "service"
"""Where a service finds its byte code, which one before it has written, as on a machine where it has been started before."""

OF_FILES = 8
"""MiB of libraries that it may have in memory when the start is over: pages that only that has read are given back then; ten before."""

Json = Any
"""A JSON document; what is in it is what the test says."""


class CallError(Exception):
    """A D-Bus error: its message as a person at a terminal reads it."""


class Service:
    """`pwmixer-dbus` in a session. Calls go through busctl, so that nothing of ours talks to itself."""

    def __init__(
        self, session: Session, *arguments: str, name: str = "pwmixer", under: tuple[str, ...] = ()
    ) -> None:
        """Prepare it; `under` is a program, with its arguments, that becomes the service."""
        self.session = session
        self.under = under
        self.name = name
        self.arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """What has been started."""
        assert self._process is not None, "it has not been started, or has been stopped"
        return self._process

    @process.setter
    def process(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def start(self, *, connected: bool = True) -> "Service":
        """Start it; return when it owns its name and, where `connected`, has seen the sound server."""
        command = (
            *self.under,
            sys.executable,
            "-X",
            "dev",
            "-m",
            "pwmixer_dbus.start",
            "--debug",
            *self.arguments,
        )
        env = {**self.session.env, "XDG_CACHE_HOME": str(CACHE)}
        self.process = self.session.spawn(self.name, *command, env=env)
        # Each call is a process, which would take its time from what is waited for: they are for what it has said already.
        self._wait_until_said(" serves ")
        self.session.wait_for_child(self.name, self.is_owner, "to own its name")
        if connected:
            self._wait_until_said("connected to ", "took over from ")
            self.wait_connected()
        return self

    def _wait_until_said(self, *any_of: str) -> None:
        def is_said() -> bool:
            said = self.log()
            return any(words in said for words in any_of)

        self.session.wait_for_child(self.name, is_said, f"to log “{any_of[0]}”")

    def is_owner(self) -> bool:
        """Whether our process owns the bus name."""
        try:
            answer = self.call_daemon("GetConnectionUnixProcessID", "s", NAME)
        except CallError:
            return False
        return bool(answer == self.process.pid)

    def wait_connected(self, wanted: bool = True) -> None:
        """Wait until the property Connected says so."""
        self.session.wait_for(lambda: self.get("Connected") is wanted, f"Connected to be {wanted}")

    def wait_settled(self) -> None:
        """Wait until the start is over: then what only that has needed is given back."""
        status = Path(f"/proc/{self.process.pid}/status")

        def is_small() -> bool:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            return int(fields["RssFile"].split()[0]) < OF_FILES * 1024

        self.session.wait_for(is_small, "what only the start needed to be given back")

    def stop(self, *, errors: bool = False) -> None:
        """End it as systemd would; it has to end cleanly, and without ever having logged a traceback.

        errors: whether it has had to log errors, which tell what a person has to mend.
        """
        if self._process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE)
        said = self.log()
        self._process = None
        assert "Traceback" not in said, said
        assert ("ERROR" in said) is errors, said
        assert "never awaited" not in said, said
        assert status == 0, f"it ended with {status}: {said[-2000:]}"

    def log(self) -> str:
        """Return all that it has logged."""
        return Path(self.session.runtime / f"{self.name}.log").read_text(errors="replace")

    def call(self, member: str, signature: str = "", *arguments: object, interface: str = "") -> Any:
        """Call a method of the root; return its only value, or all of them, or None."""
        return self.busctl(
            "call", NAME, ROOT, _interface(interface), member, *_arguments(signature, arguments)
        )

    def add_rule(self, name: str, *, app: str, position: int = -1, **actions: str) -> int:
        """Add a rule for an application, with actions such as to="headset"; return the new revision."""
        acts = [word for action, value in actions.items() for word in (action, "s", value)]
        rule = (2 + len(actions), "name", "s", name, "match", "a{sv}", 1, "app", "s", app, *acts)
        return int(self.call("AddRule", "a{sv}i", *rule, position, interface="Rules"))

    def explain(self, selector: str) -> Json:
        """Return why a stream is where it is."""
        return json.loads(self.call("ExplainStream", "s", selector))

    def get(self, prop: str, *, path: str = ROOT, interface: str = "") -> Any:
        """Read a property."""
        return self.busctl("get-property", NAME, path, _interface(interface), prop)

    def set(self, prop: str, signature: str, *value: object, path: str, interface: str) -> None:
        """Write a property."""
        self.busctl("set-property", NAME, path, _interface(interface), prop, *_arguments(signature, value))

    def describe(self) -> Json:
        """Return the whole state."""
        return json.loads(self.call("Describe", "a{sv}", 0))

    def managed_objects(self) -> Json:
        """Return every object, with the values of its interfaces."""
        return self.busctl("call", NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")

    def stream_of(self, app: str) -> Json:
        """Return the only stream of an application, by its name."""
        (stream,) = [s for s in self.describe()["streams"] if s["app_name"] == app]
        return stream

    def wait_for_stream(self, app: str, **wanted: object) -> Json:
        """Wait until an application has one stream, and that looks as wanted; return it."""
        found: list[Json] = []

        def is_there() -> bool:
            found[:] = [s for s in self.describe()["streams"] if s["app_name"] == app]
            return len(found) == 1 and all(found[0][key] == value for key, value in wanted.items())

        self.session.wait_for(is_there, f"{app} with {wanted}")
        return found[0]

    def call_daemon(self, member: str, signature: str = "", *arguments: object) -> Any:
        """Call the bus itself."""
        bus = "org.freedesktop.DBus"
        return self.busctl(
            "call", bus, "/org/freedesktop/DBus", bus, member, *_arguments(signature, arguments)
        )

    def busctl(self, *arguments: str) -> Any:
        """Run busctl and return its answer as plain values; raises CallError."""
        done = completed("busctl", "--user", "--json=short", *arguments, env=self.session.env)
        if done.returncode:
            raise CallError(re.sub(r"^Call failed: ", "", done.stderr.strip()))
        if not done.stdout.strip():
            return None
        answer = _plain(json.loads(done.stdout))
        return (
            answer[0] if arguments[0] == "call" and isinstance(answer, list) and len(answer) == 1 else answer
        )


def _interface(name: str) -> str:
    return f"{NAME}.{name}" if name else NAME


def _arguments(signature: str, values: tuple[object, ...]) -> list[str]:
    if not signature:
        return []
    return ["--", signature, *(_word(v) for v in values)]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    """Take the types out of busctl's JSON."""
    if isinstance(value, dict) and set(value) == {"type", "data"}:
        return _plain(value["data"])
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
