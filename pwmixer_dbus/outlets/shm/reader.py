"""Reads the state of pwmixer in shared memory, as often as a display is drawn, without waking anybody.

One file that needs Python only: import it from here, or copy it. What the fields mean: docs/shared-memory.md.

    reader = Reader()
    snapshot = reader.read()  # None where the service does not run
    for app in snapshot.apps if snapshot else ():
        print(app.name, f"{app.volume:.0%}", "muted" if app.muted else "")
"""

import fcntl
import mmap
import os
import stat
import time
from collections.abc import Callable
from struct import Struct
from threading import Lock
from typing import NamedTuple

# begin: written by scripts/gen_shm_layout.py
MAGIC = b"PWMIXER\0"
VERSION = 1
FIXED = Struct("@8sIIIIIIIIIIIII")
CLOSED = 52
SEQUENCE = 60
CHANGING_AT = 64
CHANGING = Struct("@QQIIIIII")
LEVEL = Struct("@IIIfdd")
DEVICE = Struct("@IIIfdd2I2I2I")
APP = Struct("@IIIfdd2I2I2IIIIIIIIIIIIIIIIIII")
CONNECTED = 1
OVERFLOWS = {
    "devices": 256,
    "apps": 512,
    "streams": 1024,
    "texts": 2048,
}
DEVICE_MUTED = 1
DEVICE_SOURCE = 2
DEVICE_MONITOR = 4
DEVICE_RUNNING = 8
DEVICE_LOCKED = 16
APP_MUTED = 1
APP_ACTIVE = 2
APP_HIDDEN = 4
APP_LOCKED = 8
APP_WRITABLE = 16
# end

_SEQUENCE_WORD, _CLOSED_WORD = SEQUENCE // 4, CLOSED // 4
_QUICK = 100
"""How often it is tried at once, before the writer is left some time."""


class ReaderError(Exception):
    """The file cannot be read; the message says why."""


class BusyError(ReaderError):
    """The service has been in the midst of writing for too long: it is stopped, or died there."""


class Device(NamedTuple):
    """A sink or source. `volume` is 1.0 at 100 %; `peak` is 0.0 so far."""

    id: int
    kind: str
    server_index: int
    name: str
    description: str
    icon_name: str
    volume: float
    max_volume: float
    muted: bool
    monitor: bool
    running: bool
    locked: bool
    peak: float


class App(NamedTuple):
    """An application. `device` is the id of a device, 0 for none; `streams` are the numbers of the first of its streams."""

    id: int
    app_id: str
    name: str
    icon_name: str
    volume: float
    max_volume: float
    muted: bool
    active: bool
    hidden: bool
    locked: bool
    writable: bool
    peak: float
    device: int
    stream_count: int
    streams: tuple[int, ...]


class Snapshot(NamedTuple):
    """One state, whole. `overflow` names what there was no room for: devices, apps, streams, texts."""

    generation: int
    updated_ns: int
    connected: bool
    overflow: tuple[str, ...]
    default_sink: int
    default_source: int
    devices: tuple[Device, ...]
    apps: tuple[App, ...]

    def device(self, its_id: int) -> Device | None:
        """Find a device by its id."""
        return next((device for device in self.devices if device.id == its_id), None)

    def app(self, app_id: str) -> App | None:
        """Find an application."""
        return next((app for app in self.apps if app.app_id == app_id), None)


Level = tuple[float, bool, bool, float]
"""Volume, whether muted, whether active, and the peak."""


class Reader:
    """The file, opened again by itself whenever the service has made another one. Belongs to one thread.

    `path` is another than the default. `patience` is for how many seconds a writer that is in the midst of writing is
    waited for; it is so for microseconds.
    """

    def __init__(self, path: str | None = None, *, patience: float = 0.25) -> None:
        folder = os.environ.get("PWMIXER_SHM_FOLDER", "/dev/shm")  # noqa: S108 - see _mapped
        self._path = path or f"{folder}/pwmixer-{os.getuid()}"
        self._patience = patience
        lock = Lock()
        lock.acquire()
        # One after the other, they keep what is read before them from what is read after them, on every processor.
        self._release, self._acquire = lock.release, lock.acquire
        self._file = -1
        self._words: memoryview | None = None
        self._memory = memoryview(b"")
        self._tables: tuple[int, ...] = ()
        self._last: Snapshot | None = None
        self._last_sequence = -1

    def read(self) -> Snapshot | None:
        """Return the present state, or None where there is no service; the same object as before while nothing changes.

        Raises ReaderError for a file that is not the user's own or that this reader does not know, and BusyError.
        """
        words = self._words
        if words is None or words[_CLOSED_WORD]:
            self.close()
            words = self._open()
            if words is None:
                return None
        if words[_SEQUENCE_WORD] != self._last_sequence:
            self._last_sequence, self._last = self._whole(words)
        return self._last

    def follow(self, app_id: str) -> Callable[[], Level | None]:
        """Return what reads the level of one application, quickly; that returns None while there is no such application."""
        release, acquire, unpack = self._release, self._acquire, LEVEL.unpack_from
        mine: memoryview | None = None
        at = its_id = 0

        def look() -> Level | None:
            nonlocal mine, at, its_id
            words = self._words
            if words is not None and words is mine and not words[_CLOSED_WORD]:
                sequence = words[_SEQUENCE_WORD]
                release()
                acquire()
                found, _, flags, peak, volume, _ = unpack(self._memory, at)
                release()
                acquire()
                if words[_SEQUENCE_WORD] == sequence and not sequence & 1 and found == its_id:
                    return volume, flags & APP_MUTED != 0, flags & APP_ACTIVE != 0, peak
            snapshot = self.read()
            mine = None
            for place, app in enumerate(snapshot.apps if snapshot else ()):
                if app.app_id == app_id:
                    mine, its_id = self._words, app.id
                    at = self._tables[3] + place * self._tables[4]
                    return app.volume, app.muted, app.active, app.peak
            return None

        return look

    def is_alive(self) -> bool:
        """Whether who writes the file that was read last still runs. Asks the kernel: not meant for every frame."""
        if self._words is None or self._words[_CLOSED_WORD]:
            return False
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Let go of the file. To read again opens it again."""
        if self._words is None:
            return
        self._words = None
        self._memory = memoryview(b"")
        self._last, self._last_sequence = None, -1
        os.close(self._file)

    def _open(self) -> memoryview | None:
        """Open the file; None where there is none, or only one that has been closed. Everybody may write to its folder."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ReaderError(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            memory, tables, closed = _mapped(self._path, file)
        except BaseException:
            os.close(file)
            raise
        if closed:
            os.close(file)
            return None
        self._file, self._memory, self._tables = file, memory, tables
        self._words = words = memory.cast("I")
        return words

    def _whole(self, words: memoryview) -> tuple[int, Snapshot]:
        """Copy until nothing was written meanwhile; return the sequence number with what was read."""
        deadline = 0.0
        for attempt in range(1 << 30):
            sequence = words[_SEQUENCE_WORD]
            self._release()
            self._acquire()
            if not sequence & 1:
                copy = self._copied()
                self._release()
                self._acquire()
                if words[_SEQUENCE_WORD] == sequence:
                    return sequence, self._decoded(*copy)
            if attempt < _QUICK:
                continue
            deadline = deadline or time.monotonic() + self._patience
            if time.monotonic() > deadline:
                break
            time.sleep(0.0002)
        raise BusyError("the service does not finish what it is writing")

    def _copied(self) -> tuple[tuple[int, ...], bytes, bytes, bytes]:
        """Copy what is in use. Anything may be in it as long as the sequence has not been looked at again."""
        memory = self._memory
        devices, device_size, most_devices, apps, app_size, most_apps, texts, most_texts = self._tables
        header = CHANGING.unpack_from(memory, CHANGING_AT)
        _, _, _, device_count, app_count, used, _, _ = header
        return (
            header,
            bytes(memory[devices : devices + min(device_count, most_devices) * device_size]),
            bytes(memory[apps : apps + min(app_count, most_apps) * app_size]),
            bytes(memory[texts : texts + min(used, most_texts)]),
        )

    def _decoded(self, header: tuple[int, ...], devices: bytes, apps: bytes, texts: bytes) -> Snapshot:
        base = self._tables[6]

        def text(at: int, length: int) -> str:
            return texts[at - base : at - base + length].decode(errors="replace") if length else ""

        generation, updated, flags, _, _, _, sink, source = header
        return Snapshot(
            generation=generation,
            updated_ns=updated,
            connected=flags & CONNECTED != 0,
            overflow=tuple(name for name, bit in OVERFLOWS.items() if flags & bit),
            default_sink=sink,
            default_source=source,
            devices=tuple(
                _device(DEVICE.unpack_from(devices, at), text)
                for at in range(0, len(devices), self._tables[1])
            ),
            apps=tuple(_app(APP.unpack_from(apps, at), text) for at in range(0, len(apps), self._tables[4])),
        )


def _mapped(path: str, file: int) -> tuple[memoryview, tuple[int, ...], bool]:
    """Map a file that is what it should be: its memory, its tables, and whether it has been closed."""
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        raise ReaderError(f"{path} is not a file of your own")
    if about.st_size < FIXED.size:
        raise ReaderError(f"{path} is not pwmixer's")
    memory = memoryview(mmap.mmap(file, about.st_size, prot=mmap.PROT_READ))
    magic, version, size, _, *tables, closed, _ = FIXED.unpack_from(memory)
    known = (magic, version, size) == (MAGIC, VERSION, about.st_size)
    if not known or tables[1] < DEVICE.size or tables[4] < APP.size:
        raise ReaderError(f"{path} is not of version {VERSION}, which is all that this reader knows")
    return memory, tuple(tables), closed != 0


def _device(fields: tuple[int, ...], text: Callable[[int, int], str]) -> Device:
    its_id, index, flags, peak, volume, limit, *texts = fields
    return Device(
        id=its_id,
        kind="source" if flags & DEVICE_SOURCE else "sink",
        server_index=index,
        name=text(texts[0], texts[1]),
        description=text(texts[2], texts[3]),
        icon_name=text(texts[4], texts[5]),
        volume=volume,
        max_volume=limit,
        muted=flags & DEVICE_MUTED != 0,
        monitor=flags & DEVICE_MONITOR != 0,
        running=flags & DEVICE_RUNNING != 0,
        locked=flags & DEVICE_LOCKED != 0,
        peak=peak,
    )


def _app(fields: tuple[int, ...], text: Callable[[int, int], str]) -> App:
    its_id, device, flags, peak, volume, limit, *rest = fields
    texts, stream_count, streams = rest[:6], rest[6], rest[8:]
    return App(
        id=its_id,
        app_id=text(texts[0], texts[1]),
        name=text(texts[2], texts[3]),
        icon_name=text(texts[4], texts[5]),
        volume=volume,
        max_volume=limit,
        muted=flags & APP_MUTED != 0,
        active=flags & APP_ACTIVE != 0,
        hidden=flags & APP_HIDDEN != 0,
        locked=flags & APP_LOCKED != 0,
        writable=flags & APP_WRITABLE != 0,
        peak=peak,
        device=device,
        stream_count=stream_count,
        streams=tuple(streams[:stream_count]),
    )
