"""The files of statistics: written anew every few seconds at most, and only after something has happened.

Each is replaced as a whole, so that a reader finds the one before or the one after.
"""

import asyncio
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core.settings import StatisticsSettings
from pwmixer_dbus.core.statistics import Statistics, prometheus
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.system.diagnostics import statistics

log = logging.getLogger(__name__)

EVERY = 3.0
"""Least seconds between two writes."""

SOON = 0.1
"""Seconds from something that happens until it is written, so that what follows from it is in it."""


class StatisticsFiles:
    """`stats` and, where it is wanted, `stats.prom` in a folder of ours; raises OSError where they cannot be written."""

    def __init__(self, mixer: Mixer, settings: StatisticsSettings, folder: Path) -> None:
        self._mixer = mixer
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._write_again)
        self._failed = False
        self._ours: dict[Path, tuple[int, int]] = {}
        self._paths = {
            folder / name: text
            for name, wanted, text in (
                ("stats", settings.file, _json),
                ("stats.prom", settings.prometheus, prometheus),
            )
            if wanted
        }
        self._write()
        mixer.measures.when_active(self._plan)

    def close(self) -> None:
        """Stop, and remove the files, unless another instance has put its own in their place."""
        self._mixer.measures.no_longer(self._plan)
        self._alarm.stop()
        for path, identity in self._ours.items():
            with suppress(OSError):
                if _identity(path) == identity:
                    path.unlink()

    def _plan(self) -> None:
        self._alarm.by(max(self._loop.time() + SOON, self._written_at + EVERY))

    def _write_again(self) -> None:
        self._mixer.measures.when_active(self._plan)
        try:
            self._write()
        except OSError as error:
            if not self._failed:
                log.warning("the statistics could not be written: %s", error)
            self._failed = True
        else:
            self._failed = False

    def _write(self) -> None:
        self._written_at = self._loop.time()
        measured = statistics(self._mixer)
        for path, text in self._paths.items():
            new = path.with_name(f"{path.name}.new")
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text(measured))
            new.replace(path)
            self._ours[path] = _identity(path)


def _json(measured: Statistics) -> str:
    return json.dumps(measured, ensure_ascii=False) + "\n"


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from one that takes its place and may be given its inode number."""
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns
