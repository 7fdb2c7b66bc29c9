"""Writes rows into memory in the layout, under a sequence lock: readers neither block it nor see a half of anything.

The sequence is odd while something is being written, so a reader that finds the same even number before and after it has read
has read one state. What holds in which order on which processor is told in docs/shared-memory.md.
"""

from collections.abc import Callable, Hashable, Mapping
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from pwmixer_dbus.outlets.shm.layout import (
    APP,
    DEVICE,
    HEADER,
    MAGIC,
    STREAMS,
    VERSION,
    Capacity,
    Record,
    flag,
)

_FIXED = HEADER.struct("magic", "closed")
_put_stamp = HEADER.struct("generation", "updated_ns").pack_into
_SUMMARY = HEADER.struct("flags", "default_source")
_put_level = DEVICE.struct("id", "max_volume").pack_into  # an application's are the same
_TEXTS = DEVICE.struct("name", "icon_name")  # likewise
_STREAMS = APP.struct("stream_count", "streams")
_TEXTS_AT = DEVICE.offset("name")
_STREAMS_AT = APP.offset("stream_count")
_STAMP_AT = HEADER.offset("generation")
_SUMMARY_AT = HEADER.offset("flags")
_SEQUENCE = HEADER.offset("sequence") // 4
_CLOSED = HEADER.offset("closed") // 4
_WRAP = 0xFFFFFFFF

_CONNECTED = flag("header", "connected")
_DEVICES_OVERFLOW = flag("header", "devices_overflow")
_APPS_OVERFLOW = flag("header", "apps_overflow")
_STREAMS_OVERFLOW = flag("header", "streams_overflow")
_TEXTS_OVERFLOW = flag("header", "texts_overflow")

K = TypeVar("K", bound=Hashable)
Reference = tuple[int, int]
"""Where a text is: its offset from the start of the file and its length, in bytes."""


class About(NamedTuple):
    """What seldom changes of a row: three texts in the order of the layout, and an application's stream numbers."""

    texts: tuple[str, str, str]
    streams: tuple[int, ...] = ()


class Row(NamedTuple):
    """A device or an application. `number` is a device's index, or the id of an application's device."""

    number: int
    flags: int
    volume: float
    max_volume: float
    about: About


class Facts(NamedTuple):
    """What the header says of the whole; the defaults are ids of devices, 0 for none."""

    connected: bool = False
    default_sink: int = 0
    default_source: int = 0


class _NoRoomError(Exception):
    """There is no place left, or no room for a text: all has to be laid out anew."""


class _Texts:
    """Every text once. Those that nothing names any more stay until all is laid out anew."""

    def __init__(self, memory: memoryview, capacity: Capacity) -> None:
        self._memory = memory
        self._offset = capacity.text_offset
        self._capacity = capacity.texts
        self._known: dict[str, Reference] = {"": (0, 0)}
        self.used = 0

    def clear(self) -> None:
        """Forget all."""
        self._known = {"": (0, 0)}
        self.used = 0

    def refer(self, text: str) -> Reference:
        """Return where a text is, and write it where it is new; raises _NoRoomError."""
        known = self._known.get(text)
        if known is not None:
            return known
        data = text.encode(errors="replace")
        end = self.used + len(data) + 1  # a NUL behind it, for C
        if end > self._capacity:
            raise _NoRoomError
        at = self._offset + self.used
        self._memory[at : at + len(data) + 1] = data + b"\0"
        self._known[text] = reference = (at, len(data))
        self.used = end
        return reference


_Place = tuple[int, int, About]
"""Where a record is, whose, and what has been written there of what seldom changes; a tuple is taken apart at once."""


class _Table(Generic[K]):
    """The records of one kind. They stand side by side: the last one takes the place of one that goes.

    `shown` are the keys of those that have a place, in this order; `crowded` of those with more streams than room for them.
    """

    def __init__(self, memory: memoryview, record: Record, offset: int, capacity: int) -> None:
        self._memory = memory
        self._record = record
        self._offset = offset
        self._capacity = capacity
        self._places: dict[K, _Place] = {}
        self._rows: dict[K, Row] = {}
        self._ids: dict[K, int] = {}
        self._last_id = 0
        self.shown: list[K] = []
        self.crowded: set[K] = set()

    @property
    def is_short(self) -> bool:
        """Whether there are more than have a place."""
        return len(self._rows) > len(self.shown)

    def id_of(self, key: K) -> int:
        """Return the id of an object, which may be one that has no place yet."""
        known = self._ids.get(key)
        if known is None:
            self._last_id = known = self._last_id + 1
            self._ids[key] = known
        return known

    def row(self, key: K) -> Row | None:
        """Return what is kept of an object."""
        return self._rows.get(key)

    def note(self, rows: Mapping[K, Row | None]) -> None:
        """Keep rows, to lay them out later."""
        for key, row in rows.items():
            if row is None:
                self._drop(key)
            else:
                self._rows[key] = row

    def write(self, rows: Mapping[K, Row | None], refer: Callable[[str], Reference]) -> bool:
        """Keep rows and write them; return whether more than levels has changed.

        Raises _NoRoomError where one has no room.
        """
        is_more = False
        for key, row in rows.items():
            place = self._places.get(key)
            if row is None or place is None:
                is_more = True
                self._come_or_go(key, row, refer)
                continue
            number, flags, volume, max_volume, about = row
            at, its_id, known = place
            _put_level(self._memory, at, its_id, number, flags, 0.0, volume, max_volume)
            self._rows[key] = row
            if about != known:
                is_more = True
                self._places[key] = at, its_id, about
                self._put_about(at, key, about, refer)
        return is_more

    def lay_out(self, refer: Callable[[str], Reference]) -> None:
        """Write all rows anew, as many as have room: those with streams first."""
        for at, _, _ in self._places.values():
            self._clear(at)
        self._places.clear()
        self.shown.clear()
        self.crowded.clear()
        in_order = sorted(self._rows.items(), key=lambda item: not item[1].about.streams)
        for key, row in in_order[: self._capacity]:
            self._take(key, row, refer)

    def _come_or_go(self, key: K, row: Row | None, refer: Callable[[str], Reference]) -> None:
        if row is None:
            self._drop(key)
        else:
            self._rows[key] = row
            self._take(key, row, refer)

    def _take(self, key: K, row: Row, refer: Callable[[str], Reference]) -> None:
        """Write a row behind the last one."""
        if len(self.shown) >= self._capacity:
            raise _NoRoomError
        at, its_id = self._offset + len(self.shown) * self._record.size, self.id_of(key)
        self._places[key] = at, its_id, row.about
        self.shown.append(key)
        number, flags, volume, max_volume, about = row
        _put_level(self._memory, at, its_id, number, flags, 0.0, volume, max_volume)
        self._put_about(at, key, about, refer)

    def _put_about(self, at: int, key: K, about: About, refer: Callable[[str], Reference]) -> None:
        one, two, three = about.texts
        _TEXTS.pack_into(self._memory, at + _TEXTS_AT, *refer(one), *refer(two), *refer(three))
        if self._record is not APP:
            return
        streams = about.streams[:STREAMS]
        padding = (0,) * (STREAMS - len(streams))
        _STREAMS.pack_into(self._memory, at + _STREAMS_AT, len(about.streams), 0, *streams, *padding)
        self.crowded.discard(key)
        if len(about.streams) > STREAMS:
            self.crowded.add(key)

    def _drop(self, key: K) -> None:
        """Forget an object; its place goes to the last one."""
        self._rows.pop(key, None)
        self._ids.pop(key, None)
        self.crowded.discard(key)
        place = self._places.pop(key, None)
        if place is None:
            return
        last, at = self.shown.pop(), place[0]
        if last != key:
            size, (from_, its_id, about) = self._record.size, self._places[last]
            self._memory[at : at + size] = self._memory[from_ : from_ + size]
            self.shown[(at - self._offset) // size] = last
            self._places[last] = at, its_id, about
            at = from_
        self._clear(at)

    def _clear(self, at: int) -> None:
        """Empty a place, so that a reader who comes back to it does not find there who has left it."""
        self._memory[at : at + self._record.size] = bytes(self._record.size)


class Writer(Generic[K]):
    """The one writer of a piece of memory. Devices have keys of the caller's own, applications their app ids.

    `memory` has `capacity.size` bytes, all 0, and is aligned to 8. `pid` is told to readers; `clock` gives nanoseconds.
    """

    def __init__(self, memory: memoryview, capacity: Capacity, *, pid: int, clock: Callable[[], int]) -> None:
        self._memory = memory
        self._words = memory.cast("I")
        self._clock = clock
        self._texts = _Texts(memory, capacity)
        self._devices: _Table[K] = _Table(memory, DEVICE, HEADER.size, capacity.devices)
        self._apps: _Table[str] = _Table(memory, APP, capacity.app_offset, capacity.apps)
        self._sequence = 0
        self._overflow = 0
        self._facts = Facts()
        self._refer = self._texts.refer
        self._release, self._acquire = fence()
        places = (HEADER.size, DEVICE.size, capacity.devices, capacity.app_offset, APP.size, capacity.apps)
        texts = (capacity.text_offset, capacity.texts)
        _FIXED.pack_into(memory, 0, MAGIC, VERSION, capacity.size, pid, *places, *texts, 0)

    def device_id(self, key: K) -> int:
        """Return the id by which a device is named in facts and in the rows of applications."""
        return self._devices.id_of(key)

    def device(self, key: K) -> Row | None:
        """Return what was written of a device last."""
        return self._devices.row(key)

    def app(self, app_id: str) -> Row | None:
        """Return what was written of an application last."""
        return self._apps.row(app_id)

    def publish(
        self,
        generation: int,
        devices: Mapping[K, Row | None],
        apps: Mapping[str, Row | None],
        facts: Facts | None = None,
    ) -> None:
        """Write what has changed, None for what has gone, in one step: a reader sees all of it or nothing of it.

        Facts stay as they are where none are given.
        Costs as much as what has changed; only while something overflows, or has used up the room for texts, as all there is.
        """
        words = self._words
        sequence = self._sequence
        words[_SEQUENCE] = sequence + 1
        self._release()
        self._acquire()
        is_more = facts is not None
        try:
            if devices:
                is_more |= self._devices.write(devices, self._refer)
            if apps:
                is_more |= self._apps.write(apps, self._refer)
        except _NoRoomError:
            is_more = True
            self._devices.note(devices)
            self._apps.note(apps)
            self._lay_out()
        else:
            if self._overflow:
                is_more = True
                self._lay_out()
        _put_stamp(self._memory, _STAMP_AT, generation, self._clock())
        if is_more:
            self._sum_up(facts or self._facts)
        self._release()
        self._acquire()
        self._sequence = words[_SEQUENCE] = (sequence + 2) & _WRAP

    def close(self) -> None:
        """Tell readers that nothing is written here any more, and let go of the memory."""
        self._words[_CLOSED] = 1
        self._words.release()
        self._memory.release()

    def _lay_out(self) -> None:
        self._texts.clear()
        self._overflow = 0
        self._devices.lay_out(self._refer_or_empty)
        self._apps.lay_out(self._refer_or_empty)
        if self._devices.is_short:
            self._overflow |= _DEVICES_OVERFLOW
        if self._apps.is_short:
            self._overflow |= _APPS_OVERFLOW

    def _refer_or_empty(self, text: str) -> Reference:
        try:
            return self._texts.refer(text)
        except _NoRoomError:
            self._overflow |= _TEXTS_OVERFLOW
            return 0, 0

    def _sum_up(self, facts: Facts) -> None:
        """Write what the header says of the whole."""
        self._facts = facts
        flags = self._overflow
        if facts.connected:
            flags |= _CONNECTED
        if self._apps.crowded:
            flags |= _STREAMS_OVERFLOW
        counts = (len(self._devices.shown), len(self._apps.shown), self._texts.used)
        _SUMMARY.pack_into(
            self._memory, _SUMMARY_AT, flags, *counts, facts.default_sink, facts.default_source
        )


def fence() -> tuple[Callable[[], None], Callable[[], object]]:
    """Return two calls that, one after the other, keep what was read and written before them from what is so after them.

    They let go of a lock and take it again: the one orders what came before, the other what comes after, on every processor.
    """
    lock = Lock()
    lock.acquire()
    return lock.release, lock.acquire
