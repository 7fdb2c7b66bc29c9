"""What the tests of the command line share besides their fixtures."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Ctl = Callable[..., "subprocess.CompletedProcess[str]"]


@contextmanager
def running(
    command: list[str], environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a program as long as the context lasts; its output can be read."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with process:
        try:
            yield process
        finally:
            process.terminate()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the next line of a program."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


class FakeService:
    """The running stand-in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def last_call(self) -> list[object]:
        """Return the next call that it got: method and arguments."""
        call = json.loads(first_line(self.process))
        assert isinstance(call, list)
        return call
