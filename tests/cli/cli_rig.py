"""What the tests of the command line share besides their fixtures."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Timer

from service import CTL, Service
from session import PATIENCE, Session, completed

Ctl = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def running(
    command: list[str], environment: dict[str, str] | None = None, stdin: int | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a program as long as the context lasts; its output can be read."""
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment)
    with process:
        try:
            yield process
        finally:
            process.terminate()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line of a program, which is killed where none comes; "" where it has ended."""
    assert process.stdout is not None
    impatience = Timer(PATIENCE, process.kill)
    impatience.start()
    try:
        return process.stdout.readline().strip()
    finally:
        impatience.cancel()


def run(
    place: Service | Session, *words: str, stdin: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run `pwmixerctl` where a real service is, or might be."""
    session = place.session if isinstance(place, Service) else place
    return completed(*CTL, *words, env={**session.env, **environment}, stdin=stdin)


def said(place: Service | Session, *words: str, stdin: str = "", **environment: str) -> str:
    """Run a command that has to succeed, and return what it prints."""
    result = run(place, *words, stdin=stdin, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


class FakeService:
    """The running stand-in, which comes and goes by turns."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def last_call(self) -> list[object]:
        """Return the next call that it got: method and arguments."""
        call = json.loads(first_line(self.process))
        assert isinstance(call, list)
        return call

    def turn(self) -> None:
        """Have it go, and forget what it was told; or come back."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), b"\n")

    def has_said(self, word: str) -> bool:
        """Wait until it says so, whatever was called before; False where it has ended."""
        return word in iter(partial(first_line, self.process), "")
