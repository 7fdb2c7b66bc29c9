"""The socket beside what it replaces: programs that are started for each change, and the limit, an echo in C."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from session import Session, SessionError

from benchmarks.figures import Line, lines
from benchmarks.rig import LONGEST, Bench

LINES = 34
"""Lines over the socket for each program that is started."""

PIPELINE = (
    "wpctl set-volume \"$(wpctl status | awk -v name='{name}' '"
    '/Streams:/ {{ found = 1 }} found && index($0, name " ") {{ print int($1); exit }}'
    "')\" {level}"
)
"""What scripts do that know the name of a program: look for its number, then set it."""

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
                samples[what].append(_timed(wire.ask, text, granted=True))
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
    """Ask what needs no sound server, beside an echo in C."""
    path = place(bench.session)
    asked = {
        "GET_VOLUME": (path, b"GET_VOLUME @sink\n"),
        "JSON get": (path, b'{"target":"@sink","action":"get"}\n'),
        "GET_VOLUME of an application": (path, b"GET_VOLUME app:program-7\n"),
    }
    samples: Samples = {}
    with _echo(bench) as echo:
        asked = {"an echo in C": (echo, b"GET_VOLUME @sink\n"), **asked}
        wires = {what: Wire(end) for what, (end, _) in asked.items()}
        for _ in range(bench.length.rounds):
            for what, (_, line) in asked.items():
                samples.setdefault(what, []).append(_timed(wires[what].ask, line))
        for wire in wires.values():
            wire.close()
    samples["wpctl get-volume"] = []
    for _ in range(bench.length.starts):
        samples["wpctl get-volume"].append(await bench.run("wpctl", "get-volume", "@DEFAULT_AUDIO_SINK@"))
    return lines("socket-look", "ms", samples)


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


def _timed(ask: Callable[[bytes], bytes], line: bytes, *, granted: bool = False) -> float:
    """Return how many milliseconds an answer takes; `granted` refuses one that is an error."""
    started = time.perf_counter()
    answer = ask(line)
    took = 1000 * (time.perf_counter() - started)
    if granted and not answer.startswith((b"OK", b'{"ok":true')):
        raise SessionError(f"the socket said {answer.decode().strip()}")
    return took
