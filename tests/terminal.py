"""A terminal, in which programs draw for a person."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from session import PATIENCE


@contextmanager
def terminal(columns: int = 80, lines: int = 24) -> Iterator[tuple[int, int]]:
    """Open one; yield our end of it, and that of a program."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


class Screen:
    """A program in a terminal, of which `end` is ours."""

    def __init__(self, end: int, process: "subprocess.Popen[bytes]") -> None:
        self.end = end
        self.process = process
        self._unread = b""

    def until(self, word: str) -> str:
        """Wait for a word; return what has been written up to it, since the last one."""
        while word.encode() not in self._unread:
            ready, _, _ = select.select([self.end], [], [], PATIENCE)
            assert ready, self._unread
            self._unread += os.read(self.end, 65536)
        read, found, self._unread = self._unread.partition(word.encode())
        return (read + found).decode()


@contextmanager
def on_screen(command: tuple[str, ...], env: Mapping[str, str]) -> Iterator[Screen]:
    """Run a program in a terminal as long as the context lasts."""
    env = {**env, "TERM": "xterm", "LANG": "C.UTF-8"}
    with terminal() as (ours, theirs):
        process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        try:
            yield Screen(ours, process)
        finally:
            process.kill()
            process.wait()
