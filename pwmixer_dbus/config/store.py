"""The state file: what is remembered, as JSON on the disk. Whole at any moment, or set aside; never silently lost.

The file is ours, and the folder is the user's own, so what may be in it is damage and not an attack: a total reader
written by hand drops bad entries one by one, which pydantic does not do, and costs no 100 ms at start-up.
"""

import asyncio
import contextlib
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pwmixer_dbus.config.paths import state_home
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.memory import (
    LAST_DAY,
    NOBODY,
    KnownApp,
    KnownDevice,
    Level,
    Memory,
    bounded,
    is_device_key,
)
from pwmixer_dbus.core.model import VOLUME_DIGITS, Kind, clean

log = logging.getLogger(__name__)

VERSION = 1
"""Of the format. An older service drops keys that it does not know, so one whose loss would matter raises this."""

DELAY = 0.25
"""Seconds from a change to the write that saves it; the other half of the 500 ms that may be lost is for the disk."""

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds from a write that failed to the next attempt where nothing changes meanwhile; each is twice as long as the last."""

SIZE_LIMIT = 8 * 1024 * 1024
KEPT_ASIDE = 3
"""How many damaged files are kept; the oldest goes first."""

STALE = 60.0
"""Seconds after which a temporary file is left over from a service that was killed."""


_UNSAVED = "what is learned now is not saved"

D = TypeVar("D")


class _DamagedError(Exception):
    """The file is none that a service of any version has written; the message ends the sentence `PATH …`."""


def state_path() -> Path:
    """Name the state file, whether it exists or not."""
    return state_home() / "pwmixer" / "state.json"


def pause_before(attempt: int) -> float:
    """Return how many seconds pass before what could not be saved is tried again, for the first time (0) or a later one."""
    return float(min(FIRST_PAUSE * 2 ** min(attempt, 10), LONGEST_PAUSE))


class StateFile:
    """Memory on the disk. `load` once, then `schedule` each new memory on the loop, or `expect` it, and `flush` at the end.

    What could not be saved is tried again with the next change, and without one after a pause; not after `flush`.

    `problem` is one sentence on why memory is not saved at the moment, "" when all is well. `on_problem` is called when
    that differs, on the loop's thread.
    """

    def __init__(
        self, path: Path, *, delay: float = DELAY, on_problem: Callable[[], None] = lambda: None
    ) -> None:
        # Through a link, so that a state file which lives elsewhere is not replaced by one that lives here.
        self._path = Path(os.path.realpath(path))
        self._delay = delay
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._latest = self._tried = self._saved = Memory()
        self._lines: _Lines = {}
        self._ask: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at: float | None = None
        self._attempts = 0
        self._is_over = False
        self._writing: asyncio.Future[str] | None = None
        self._is_foreign = False
        self._is_damaged = False
        self.problem = ""

    def load(self) -> Memory:
        """Read the file. Where there is none, or none that can be used, the memory is empty; nothing is raised."""
        try:
            memory = self._load()
        except (FileNotFoundError, NotADirectoryError):
            memory = Memory()
        except OSError as error:
            # Perhaps it is a good one, so it must not be replaced.
            memory, self._is_foreign = Memory(), True
            self._tell(
                f"{self._path} cannot be read: {error.strerror}; {_UNSAVED}; mend that and start pwmixer again"
            )
        self._latest = self._tried = self._saved = memory
        return memory

    def schedule(self, memory: Memory) -> None:
        """Save a memory soon: its write begins at most `delay` seconds after the first change that is not saved yet."""
        self._latest, self._is_over = memory, False
        if memory is not self._saved and not self._is_foreign:
            self._plan()

    def expect(self, ask: Callable[[], None]) -> None:
        """Begin a write as soon as `schedule` would; `ask` is called right before it, to schedule what is to be saved."""
        if not self._is_foreign:
            self._ask, self._is_over = ask, False
            self._plan()

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        if self._changed_at is None:
            self._stop_timer()  # that of another attempt, which would come later
            self._changed_at, self._attempts = loop.time(), 0
        elif self._timer is not None:
            return
        # During a write that takes long, the time for what has changed meanwhile goes on.
        if self._writing is None:
            self._timer = loop.call_at(self._changed_at + self._delay, self._write_aside)

    def flush(self) -> None:
        """Save what is not saved yet, at once; for the end of the service."""
        self._hear()
        self._stop_timer()
        self._changed_at, self._is_over = None, True
        self._tell(self._write_latest())

    def _hear(self) -> None:
        ask, self._ask = self._ask, None
        if ask is not None:
            ask()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _load(self) -> Memory:
        self._sweep()
        try:
            version, memory, dropped = _read(self._path)
        except _DamagedError as error:
            log.warning("%s %s", self._path, error)
            self._is_damaged = True
            self._tell(self._attempt(self._set_aside))
            return Memory()
        if version > VERSION:
            self._is_foreign = True
            self._tell(f"{self._path} was written by a newer pwmixer (format {version}); {_UNSAVED}")
        if dropped:
            log.warning("%s: %d bad entries were left out, the rest is in use", self._path, dropped)
        return memory

    def _write_aside(self) -> None:
        """Write in a thread: to sync 300 kB to a disk takes 15 ms and more, and nobody's slider waits for that."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not needed before there is something to save

        try:
            self._hear()  # while there is a timer still, so that what is scheduled now does not set another one
        finally:
            self._timer = self._changed_at = None
        if self._latest is self._saved:
            return
        thread = ThreadPoolExecutor(max_workers=1)
        self._writing = asyncio.get_running_loop().run_in_executor(thread, self._write_latest)
        thread.shutdown(wait=False)  # it ends with the write, so that nothing is left that waits
        self._writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[str]") -> None:
        self._writing = None
        if writing.cancelled():
            return  # the loop is closing, and `flush` has the last word
        self._tell(writing.result())
        if self._is_over:
            return
        if self._ask is not None:
            self._plan()
            return
        if self._latest is not self._tried:
            self.schedule(self._latest)
            return
        self._changed_at = None
        if self._latest is not self._saved and not self._is_foreign:
            pause = pause_before(self._attempts)
            log.debug("%s is tried again in %g s", self._path, pause)
            self._timer = asyncio.get_running_loop().call_later(pause, self._write_aside)
            self._attempts += 1

    def _write_latest(self) -> str:
        """Save the latest memory, on any thread; return the problem with that."""
        with self._lock:
            self._tried = memory = self._latest
            if memory is self._saved or self._is_foreign:
                return self.problem
            problem = self._attempt(lambda: self._replace(_text(memory, self._lines)))
            if not problem:
                self._saved = memory
            return problem

    def _attempt(self, step: Callable[[], None]) -> str:
        try:
            step()
        except OSError as error:
            what = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
            return f"{self._path} cannot be written: {what}; {_UNSAVED} until that is mended"
        return ""

    def _replace(self, text: str) -> None:
        """Put a new file in the place of the old one: all of it is on the disk before it gets the name."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._is_damaged:
            self._set_aside()
        # By hand: tempfile brings random and shutil, half a megabyte for a name.
        temporary = folder / f".{self._path.name}.{os.urandom(8).hex()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        with contextlib.suppress(
            OSError
        ):  # some network file systems cannot, and the file has its name by now
            _sync_folder(folder)

    def _set_aside(self) -> None:
        """Rename a damaged file, so that a person may still mend it, and forget the oldest of those."""
        now = time.time_ns()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9))
        aside = self._path.with_name(f"{self._path.name}.corrupt-{stamp}.{now % 10**9:09}Z")
        try:
            self._path.rename(aside)
            log.warning("%s is kept as %s", self._path, aside.name)
        except FileNotFoundError:
            pass  # somebody has taken it away
        self._is_damaged = False
        for old in sorted(self._path.parent.glob(f"{self._path.name}.corrupt-*"))[:-KEPT_ASIDE]:
            if not old.is_dir():
                old.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what a service left that was killed while it wrote; a young one may be just being written."""
        for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
            try:
                if time.time() - left.lstat().st_mtime > STALE:
                    left.unlink()
            except OSError as error:
                log.debug("%s stays: %s", left, error)

    def _tell(self, problem: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if problem:
            log.warning("%s", problem)
        else:
            log.info("%s is saved again", self._path)
        self._on_problem()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- memory as text


_Lines = dict[str, tuple[KnownApp, str]]
"""What was written of each application last time: of a thousand, all but one are the same the next time."""


def _text(memory: Memory, lines: _Lines) -> str:
    """Write a memory as JSON, a line for each entry: json is quick where it need not indent, and people can read it."""
    for app_id, app in memory.apps.items():
        if app_id not in lines or lines[app_id][0] is not app:
            lines[app_id] = (app, f"\n{_json(app_id)}: {_json(_app_values(app))}")
    for gone in lines.keys() - memory.apps.keys():
        del lines[gone]
    apps = ",".join(lines[app_id][1] for app_id in memory.apps)
    devices = ",".join(f"\n{_json(k)}: {_json(_device_values(d))}" for k, d in memory.devices.items())
    rules = ',\n"rules_off": true' if memory.rules_off else ""
    return f'{{"version": {VERSION}{rules},\n"apps": {{{apps}}},\n"devices": {{{devices}}}}}\n'


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _app_values(app: KnownApp) -> Mapping[str, object]:
    return {
        "name": app.name,
        "icon_name": app.icon_name,
        "used": app.used,
        **({"locked": True} if app.locked else {}),
        **({"max_volume": app.max_volume} if app.max_volume is not None else {}),
        **({"first_volume": app.first_volume} if app.first_volume is not None else {}),
        **({"preferred_sink": app.preferred_sink} if app.preferred_sink else {}),
        **({"preferred_source": app.preferred_source} if app.preferred_source else {}),
        **(
            {"levels": {key: _level_values(level) for key, level in app.levels.items()}} if app.levels else {}
        ),
    }


def _device_values(device: KnownDevice) -> Mapping[str, object]:
    return {
        "name": device.name,
        "used": device.used,
        **({"locked": True} if device.locked else {}),
        **({"max_volume": device.max_volume} if device.max_volume is not None else {}),
        **_level_values(device.level),
    }


def _level_values(level: Level) -> Mapping[str, object]:
    return {
        **({"volume": level.volume} if level.volume is not None else {}),
        **({"muted": level.muted} if level.muted is not None else {}),
    }


# --- text as memory


def _read(path: Path) -> tuple[int, Memory, int]:
    """Read a file; return its version, the memory in it, and how many bad entries were left out.

    Raises _DamagedError for what is no state file, and OSError where it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe could wait forever
        raise _DamagedError("is no regular file")
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise _DamagedError("is larger than 8 MiB, which no memory can be")
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _DamagedError("is damaged: it is not valid JSON") from error
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise _DamagedError("is damaged: it does not say which version it is")
    if version > VERSION:
        return version, Memory(), 0
    reader = _Reader()
    apps, devices = document.get("apps", {}), document.get("devices", {})
    if not (isinstance(apps, dict) and isinstance(devices, dict)):
        raise _DamagedError("is damaged: its tables are none")
    memory = Memory(
        apps={app.app_id: app for app in reader.apps(apps)},
        devices={device.key: device for device in reader.devices(devices)},
        rules_off=reader.rules_off(document),
    )
    return version, bounded(memory), reader.dropped


class _Reader:
    """Takes what is good out of tables of any content, and counts what is not."""

    def __init__(self) -> None:
        self.dropped = 0

    def apps(self, table: Mapping[str, object]) -> Iterator[KnownApp]:
        """Read the applications."""
        for app_id, values in self._tables(table, _is_app_id):
            yield KnownApp(
                app_id=app_id,
                name=self._text(values, "name", app_id),
                icon_name=self._text(values, "icon_name", ""),
                levels=self._levels(values.get("levels", {})),
                locked=self._switch(values, "locked") or False,
                max_volume=self._volume(values, "max_volume"),
                first_volume=self._volume(values, "first_volume"),
                preferred_sink=self._device(values, Kind.SINK),
                preferred_source=self._device(values, Kind.SOURCE),
                used=self._time(values),
            )

    def devices(self, table: Mapping[str, object]) -> Iterator[KnownDevice]:
        """Read the devices."""
        for key, values in self._tables(table, is_device_key):
            yield KnownDevice(
                key=key,
                name=self._text(values, "name", key),
                level=self._level(values),
                locked=self._switch(values, "locked") or False,
                max_volume=self._volume(values, "max_volume"),
                used=self._time(values),
            )

    def rules_off(self, document: Mapping[str, object]) -> bool:
        """Read whether rules are switched off."""
        return self._switch(document, "rules_off") or False

    def _tables(
        self, table: object, is_key: Callable[[str], bool]
    ) -> Iterator[tuple[str, Mapping[str, object]]]:
        if not isinstance(table, dict):
            self.dropped += 1
            return
        for key, values in table.items():
            if is_key(key) and isinstance(values, dict):
                yield key, values
            else:
                self.dropped += 1

    def _levels(self, table: object) -> Mapping[str, Level]:
        levels = ((key, self._level(values)) for key, values in self._tables(table, _is_level_key))
        return {key: level for key, level in levels if level != Level()}

    def _level(self, values: Mapping[str, object]) -> Level:
        return Level(volume=self._volume(values, "volume"), muted=self._switch(values, "muted"))

    def _volume(self, values: Mapping[str, object], key: str) -> float | None:
        value = values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= gain.CEILING:
            return self._without(values, key, None)
        return round(float(value), VOLUME_DIGITS)

    def _switch(self, values: Mapping[str, object], key: str) -> bool | None:
        value = values.get(key)
        return value if isinstance(value, bool) else self._without(values, key, None)

    def _text(self, values: Mapping[str, object], key: str, default: str) -> str:
        value = values.get(key)
        return (
            value if isinstance(value, str) and clean(value) == value else self._without(values, key, default)
        )

    def _device(self, values: Mapping[str, object], kind: Kind) -> str:
        key = f"preferred_{kind}"
        value = self._text(values, key, "")
        return value if not value or value.startswith(f"{kind}:") else self._without(values, key, "")

    def _time(self, values: Mapping[str, object]) -> int:
        value = values.get("used")
        return value if type(value) is int and 0 <= value <= LAST_DAY else self._without(values, "used", 0)

    def _without(self, values: Mapping[str, object], key: str, default: D) -> D:
        """Do without a value, which counts where there is one."""
        self.dropped += key in values
        return default


def _is_app_id(text: str) -> bool:
    return bool(text) and not text.startswith(NOBODY) and clean(text) == text


def _is_level_key(text: str) -> bool:
    return text in {Kind.PLAYBACK, Kind.CAPTURE} or is_device_key(text)
