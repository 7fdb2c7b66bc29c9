"""The socket beside what it replaces: programs that are started for each change, and the limits, which answer the same line."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from session import Session, SessionError

from benchmarks.figures import Line, lines
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.rig import LIMIT, LONGEST, PLAIN, Bench, blocks, rotated

LINES = 34
"""Lines over the socket for each program that is started."""

PIPELINE = (
    "wpctl set-volume \"$(wpctl status | awk -v name='{name}' '"
    '/Streams:/ {{ found = 1 }} found && index($0, name " ") {{ print int($1); exit }}'
    "')\" {level}"
)
"""What scripts do that know the name of a program: look for its number, then set it."""

ECHO = "an echo in C"
GET_VOLUME = "GET_VOLUME @sink"
OTHER_LINES = {
    "JSON get": '{"target":"@sink","action":"get"}',
    "GET_VOLUME of an application": "GET_VOLUME app:program-7",
}

Samples = dict[str, list[float]]
"""Milliseconds by what was done."""


class Wire:
    """A connection on which each line is answered by one."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LONGEST)
        self._socket.connect(str(path))

    def ask(self, line: bytes) -> bytes:
        """Send a line and wait for its answer."""
        self._socket.sendall(line)
        answer = self._socket.recv(4096)
        while not answer.endswith(b"\n"):
            answer += self._socket.recv(4096)
        return answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def place(session: Session) -> Path:
    """Name the socket of the service."""
    return session.runtime / "pwmixer" / "socket"


async def changed(bench: Bench) -> list[Line]:
    """Set the volume of one program after the other: over the socket, and by what is started for it."""
    path = place(bench.session)
    socat = f"echo 'SET_VOLUME {{selector}} {{level}}' | socat - UNIX-CONNECT:{path}"
    numbers = wpctl_numbers(bench.session)
    shells: dict[str, Callable[[dict[str, Any], float], str]] = {
        "echo | socat": lambda stream, level: socat.format(selector=stream["selector"], level=level),
        "wpctl set-volume": lambda stream, level: (
            f"exec wpctl set-volume {numbers[stream['app_name']]} {level}"
        ),
        "wpctl status | awk, set-volume": lambda stream, level: PIPELINE.format(
            name=stream["app_name"], level=level
        ),
    }
    samples: Samples = {"SET_VOLUME": [], "VOLUME_UP": [], "JSON set": [], **{what: [] for what in shells}}
    wire, streams, turn = Wire(path), cycle(bench.streams), 0
    for _ in range(bench.length.starts):
        for _ in range(LINES):
            for what, line in _lines():
                stream, turn = next(streams), turn + 1
                await bench.rested(stream["selector"])
                text = line.format(
                    selector=stream["selector"], level=bench.level(stream["selector"])
                ).encode()
                samples[what].append(_timed(wire, text))
        for what, shell in shells.items():
            stream, turn = next(streams), turn + 1
            await bench.rested(stream["selector"])
            samples[what].append(await bench.run("sh", "-c", shell(stream, bench.level(stream["selector"]))))
    wire.close()
    return lines("socket", "ms", samples)


def _lines() -> list[tuple[str, str]]:
    json = '{{"target":"{selector}","action":"set","volume":{level}}}\n'
    return [
        ("SET_VOLUME", "SET_VOLUME {selector} {level}\n"),
        ("VOLUME_UP", "VOLUME_UP {selector} 1%\n"),
        ("JSON set", json),
    ]


async def looked(bench: Bench) -> list[Line]:
    """Ask what needs no sound server, beside the limits, and beside an echo in C, which looks nothing up."""
    ours = place(bench.session)
    limit, plain = (bench.session.runtime / name for name in (LIMIT, PLAIN))
    names = (IN_C, IN_PYTHON, "GET_VOLUME", *OTHER_LINES, ECHO, BESIDE_PLAIN, "wpctl get-volume")
    samples: Samples = {what: [] for what in names}

    async def ask(turn: int, places: Mapping[str, Path]) -> None:
        for what, path in rotated(list(places.items()), turn):
            (took,) = await bench.caller.ask("line", path, OTHER_LINES.get(what, GET_VOLUME))
            samples[what].append(took / 1000)

    with _echo(bench) as echo:
        others = {**dict.fromkeys(OTHER_LINES, ours), ECHO: echo}
        for block in blocks(bench.length.rounds):
            _agree(limit, ours)
            for turn in block:
                await ask(turn, {IN_C: limit, "GET_VOLUME": ours})
            for turn in block:
                await ask(turn, others)
            async with bench.plain_at_work():
                _agree(limit, plain)
                for turn in block:
                    await ask(turn, {BESIDE_PLAIN: limit, IN_PYTHON: plain})
    for _ in range(bench.length.starts):
        samples["wpctl get-volume"].append(await bench.run("wpctl", "get-volume", "@DEFAULT_AUDIO_SINK@"))
    return lines("socket-look", "ms", samples)


def _agree(*places: Path) -> None:
    """See that all do the same work; raises SessionError where they answer differently."""
    said = set()
    for path in places:
        wire = Wire(path)
        said.add(wire.ask(f"{GET_VOLUME}\n".encode()))
        wire.close()
    if len(said) > 1 or not all(answer.startswith(b"OK ") for answer in said):
        raise SessionError(f"what they say over their sockets differs: {said}")


@contextmanager
def _echo(bench: Bench) -> Iterator[Path]:
    """Start the echo; give its socket."""
    path = bench.session.runtime / "echo"
    child = bench.session.spawn("echo", str(bench.folder / "echo"), str(path))
    bench.session.wait_for_child("echo", path.is_socket, "to listen")
    yield path
    child.terminate()
    child.wait(LONGEST)


def wpctl_numbers(session: Session) -> dict[str, int]:
    """Return what wpctl calls the streams, by the names of their programs."""
    _, _, streams = session.run("wpctl", "status").partition("Streams:")
    found: dict[str, int] = {}
    for line in streams.splitlines():
        number, _, name = line.strip().partition(". ")
        if number.isdecimal():
            found.setdefault(name.strip(), int(number))
    return found


def _timed(wire: Wire, line: bytes) -> float:
    """Return how many milliseconds an answer takes; raises SessionError for one that is an error."""
    started = time.perf_counter()
    answer = wire.ask(line)
    took = 1000 * (time.perf_counter() - started)
    if not answer.startswith((b"OK", b'{"ok":true')):
        raise SessionError(f"the socket said {answer.decode().strip()}")
    return took
