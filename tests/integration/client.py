"""Client programs that print a JSON line for everything that happens to them, and do what lines on their stdin say."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from service import ROOT, Json, Service
from session import END_WITH_PARENT, PATIENCE, Session

CLIENTS = Path(__file__).parent / "clients"
DOCS = Path(__file__).parents[2] / "docs"
PYTHON = "/usr/bin/python3"
"""The distribution's own Python, for which PyGObject is packaged."""


@contextmanager
def example(session: Session, page: str, language: str, *program: str) -> Iterator[Iterator[str]]:
    """Run the example of a page in a language; yield the lines that it prints, and end it."""
    (text,) = re.findall(
        rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL
    )
    place = session.runtime / "example"
    place.write_text(text, encoding="utf-8")
    with subprocess.Popen(
        (*END_WITH_PARENT, *program, str(place)), env=session.env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout.readline, "")
        finally:
            process.kill()


class Client:
    """A program of another toolkit in the session; leave its block and it has to end well."""

    def __init__(self, session: Session, *argv: str, name: str) -> None:
        self.events: list[Json] = []
        self._session = session
        self._position = 0
        self._said = session.runtime / f"{name}.log"
        with self._said.open("ab") as log:
            self._process = subprocess.Popen(
                (*END_WITH_PARENT, *argv),
                env=session.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @classmethod
    def gjs(cls, session: Session, script: str, *arguments: str) -> Self:
        """Start one of the JavaScript clients; return when it is ready."""
        return cls(session, "gjs", "-m", str(CLIENTS / script), *arguments, name=script)._ready()

    @classmethod
    def python(cls, session: Session, script: str, *arguments: str) -> Self:
        """Start one of the PyGObject clients; return when it is ready."""
        return cls(session, PYTHON, str(CLIENTS / script), *arguments, name=script)._ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.close()
        try:
            status = self._process.wait(PATIENCE)
        finally:
            self._end()
        said = self._said.read_text(errors="replace")
        assert status == 0, said
        # GLib reports what is wrong with a service (a bad path, a missing property) in words only.
        assert "CRITICAL" not in said, said
        assert "WARNING" not in said, said

    def do(self, **order: object) -> None:
        """Have it do something."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(order) + "\n")

    def ask(self, **order: object) -> Json:
        """Have it do something that it answers with an event `answer`; return what it says."""
        self.do(**order)
        return self.wait("answer")

    def wait(self, event: str, condition: Callable[[Json], object] = bool) -> Json:
        """Wait for the next event of a kind for which a condition holds; those before it will not be seen again."""
        found: list[Json] = []

        def has_come() -> bool:
            while not found and self._position < len(self.events):
                candidate = self.events[self._position]
                self._position += 1
                if candidate["event"] == event and condition(candidate):
                    found.append(candidate)
            return bool(found) or self._process.poll() is not None

        self._session.wait_for(has_come, f"{event} among {self.events}")
        assert found, f"the client has ended: {self._said.read_text(errors='replace')}"
        return found[0]

    def all(self, event: str) -> list[Json]:
        """Return all events of a kind that have come so far."""
        return [e for e in self.events if e["event"] == event]

    def _ready(self) -> Self:
        try:
            self.wait("ready")
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


def with_speakers_running(service: Service) -> Service:
    """Play "Radio" on the speakers of a service: PipeWire applies a volume to a device only while it runs."""
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio", device="speakers")
    service.session.wait_for(
        lambda: service.get("State", path=f"{ROOT}/sinks/speakers", interface="Node") == "running",
        "the speakers to run",
    )
    return service
