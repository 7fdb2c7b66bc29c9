"""A program that changes its memory all the time and logs when, made to be killed; see test_store.

`state_writer.py` reads lines `FOLDER DELAY LIFE` from its standard input, forks a writer for each, and prints its process
id. After LIFE seconds the kernel ends it by a signal that nobody catches, wherever it is, as it does by SIGKILL. Forks, since two hundred new interpreters would take a minute.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pwmixer_dbus.config.store import StateFile
from pwmixer_dbus.core.memory import AppIntent, learned

if TYPE_CHECKING:
    from _typeshed import HasFileno

APP = "bin:counter"
EVERY = 0.004
DISK = 0.002
"""Seconds that a disk takes at least, where that is but memory: many kills shall be in the middle of a write."""


async def write(folder: Path, delay: float, life: float) -> None:
    """Count from where the file stands, in the name of an application.

    The log says when it will be killed, in SECONDS, and then `NUMBER SECONDS` after each change.
    """
    file = StateFile(folder / "state.json", delay=delay)
    memory = file.load()
    number = int(memory.apps[APP].name) if APP in memory.apps else 0
    with (folder / "log").open("a", buffering=1, encoding="ascii") as log:
        log.write(f"{time.monotonic() + life}\n")
        signal.setitimer(signal.ITIMER_REAL, life)
        while True:
            number += 1
            memory = learned(memory, AppIntent(app_id=APP, name=str(number)), 0.0)
            file.schedule(memory)
            log.write(f"{number} {time.monotonic()}\n")
            await asyncio.sleep(EVERY)


def main() -> None:
    """Fork a writer for each line, until there are no more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed leave no zombies
    fsync = os.fsync

    def slow_fsync(fd: "int | HasFileno") -> None:
        time.sleep(DISK)
        fsync(fd)

    os.fsync = slow_fsync
    for line in sys.stdin:
        folder, delay, life = line.rsplit(" ", 2)
        pid = os.fork()
        if not pid:
            asyncio.run(write(Path(folder), float(delay), float(life)))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
