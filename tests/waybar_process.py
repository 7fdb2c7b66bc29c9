"""Real processes whose program is called waybar, that say when the signal reaches them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from session import PATIENCE

NUMBER = 1 + os.getpid() % 29
"""Another one for each run of the tests, since what a run signals may be another's process."""

SIGNAL = signal.SIGRTMIN + NUMBER

PROGRAM = """
import os, signal, sys

def say(word):
    os.write(1, word.encode() + b"\\n")

def wait():
    while True:
        signal.pause()

signal.signal(signal.SIGUSR1, lambda *_: say("asked"))
if sys.argv[2:]:
    signal.signal(int(sys.argv[2]), lambda *_: say("told"))
say("ready")
for line in sys.stdin:
    if line == "call yourself waybar\\n":
        open("/proc/self/comm", "w").write("waybar")
        say("done")
    if line == "become nobody\\n":
        os.setuid(65534)
        say("done")
    if line == "exec\\n":
        os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], sys.argv[1]])
    if line == "fork\\n":
        child = os.fork()
        if child == 0:
            wait()
        say(str(child))
    if line == "start waybar\\n":
        child = os.fork()
        if child == 0:
            program = os.path.join(os.path.dirname(sys.executable), "waybar")
            os.execv(program, [program, "-S", "-c", *[sys.argv[1]] * 2, *sys.argv[2:]])
        say(str(child))
"""


class Waybar:
    """A running one. It prints `told` for the signal to bars, and `asked` for SIGUSR1."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid

    def do(self, order: str) -> str:
        """Have it do one of the things above; return what it says then."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return self.said()

    def said(self) -> str:
        """Wait for the next word."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def asked(self) -> str:
        """Return what it says after all that it was told until now."""
        self._process.send_signal(signal.SIGUSR1)
        return self.said()

    def dies_of(self, number: int) -> bool:
        """Whether a signal ends it, as its default action does."""
        self._process.send_signal(number)
        return self._process.wait(PATIENCE) == -number


@contextmanager
def waybar(folder: Path, *, name: str = "waybar", listens: bool = True) -> Iterator[Waybar]:
    """Run a program of this name, which handles the signal to bars where it `listens`."""
    program = folder / name
    if not program.exists():
        shutil.copy(Path(sys.executable).resolve(), program)
    words = [str(program), "-S", "-c", PROGRAM, PROGRAM, *([str(int(SIGNAL))] if listens else [])]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHOME": sys.base_prefix},
    ) as running:
        try:
            bar = Waybar(running)
            assert bar.said() == "ready"
            yield bar
        finally:
            running.kill()
