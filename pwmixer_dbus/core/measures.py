"""What the service measures of itself, always: counts, histograms of its delays, what costs what, and the last events.

The rules of this file: each method is one thing that happens, costs about a microsecond, and keeps nothing alive; what is
kept is bounded. The clock is handed in, and so is whoever measures: there is one `Measures`, made by whoever wires.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from struct import Struct

from pwmixer_dbus.core.commands import Command
from pwmixer_dbus.core.events import Event, Gone, Seen
from pwmixer_dbus.core.model import App, Card, Client, Device, Key, Kind, Record, Stream
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.state import Change

BOUNDS = (
    *(float(f"{step}e{power}") for power in range(-5, 1) for step in (1.0, 1.6, 2.5, 4.0, 6.3)),
    10.0,
)
"""The upper bounds of a histogram's buckets in seconds, five a decade (Renard's numbers); one more bucket is for the rest."""

KEPT = 4096
"""How many events are kept."""

COSTS = 2048
"""Of how many objects it is kept what they cost; the one that was first seen longest ago makes room."""

CALLERS = 64
"""Of how many callers on the bus; likewise."""

NEW = 5.0
"""Seconds for which a stream is new."""

WORDS, WORD = 256, 64
"""How many different details events can have, and how long one may be; whatever comes later is `…`."""

KINDS = ("", *(kind.value for kind in Kind))
WHATS = (
    *("connected", "disconnected", "notice", "fetched", "changed", "signal"),
    *("call", "reply", "error", "command", "done", "failed", "moved"),
)
_KIND_CODES: dict[str, int] = {kind: code for code, kind in enumerate(KINDS)}
_NOTHING = ("", 0)
_OF_A_KIND = (Stream, Device)

_ENTRY = Struct("<dfIHBB")
"""Of one event: when, how long, index, detail, what and kind; the last three by their places in tables."""

_SIZE, _PACK = _ENTRY.size, _ENTRY.pack_into
_ALL = 0xFFFFFFFF

(
    _CONNECTED,
    _DISCONNECTED,
    _NOTICE,
    _FETCHED,
    _CHANGED,
    _SIGNAL,
    _CALL,
    _REPLY,
    _ERROR,
    _COMMAND,
    _DONE,
    _FAILED,
    _MOVED,
) = range(len(WHATS))

Started = tuple[float, float]
"""When something began, and what had been spent on others until then; see `Measures.begin`."""


class Histogram:
    """How often a delay fell into each bucket of `BOUNDS`; `total` and `largest` are seconds."""

    __slots__ = ("counts", "largest", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.largest = 0.0

    def add(self, seconds: float) -> None:
        """Count one delay."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        self.largest = max(self.largest, seconds)

    @property
    def count(self) -> int:
        """How many delays were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Estimate what this share of the delays did not exceed, in seconds; 0.0 where there are none.

        The bound of its bucket, so it is at most 1.6 times too large and never too small.
        """
        seen = list(accumulate(self.counts))
        if not seen[-1]:
            return 0.0
        bucket = bisect_left(seen, max(share * seen[-1], 1))
        return min(BOUNDS[bucket], self.largest) if bucket < len(BOUNDS) else self.largest


class Queue:
    """How many wait somewhere: `depth` counts them now, `peak` is the most that there were."""

    __slots__ = ("depth", "peak")

    def __init__(self, depth: Callable[[], int]) -> None:
        self.depth = depth
        self.peak = 0

    def grew(self, depth: int) -> None:
        """Note that this many wait."""
        self.peak = max(self.peak, depth)


class Cost:
    """What one object or caller has cost since it was first seen; `seconds` is the time spent on it alone."""

    __slots__ = ("calls", "commands", "fetches", "notices", "seconds")

    def __init__(self) -> None:
        self.notices = self.fetches = self.commands = self.calls = 0
        self.seconds = 0.0

    def add(self, other: "Cost") -> None:
        """Add what another one has cost."""
        self.notices += other.notices
        self.fetches += other.fetches
        self.commands += other.commands
        self.calls += other.calls
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One event: its number, when it was (by the clock), what it was, about what, and how many seconds it took.

    `kind` is a `Kind`, "caller", or "" for nothing in particular, and `index` the server's number of it, None for all of
    a kind; `detail` says the method, the setting, or what has no number.
    """

    number: int
    at: float
    what: str
    kind: str
    index: int | None
    detail: str
    took: float


class Counts:
    """How often it happened, since the start."""

    __slots__ = (
        "asked_again",
        "calls",
        "coalesced",
        "commands",
        "commands_failed",
        "commands_replaced",
        "connections",
        "errors",
        "events",
        "events_without_change",
        "fetches",
        "fetches_failed",
        "notices",
        "properties_hits",
        "properties_misses",
        "signals",
        "signals_merged",
    )

    def __init__(self) -> None:
        self.notices = self.coalesced = self.fetches = self.fetches_failed = 0
        self.properties_hits = self.properties_misses = 0
        self.events = self.events_without_change = 0
        self.signals = self.signals_merged = 0
        self.calls = self.errors = 0
        self.commands = self.commands_replaced = self.commands_failed = self.asked_again = 0
        self.connections = 0


class Measures:
    """All that is measured. `clock` gives seconds that never go back; everything here counts from the start."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.started_at = self.applied_at = clock()
        self.counts = Counts()
        self.notice_to_state = Histogram()
        self.state_to_signal = Histogram()
        self.call_to_reply = Histogram()
        self.new_stream_to_moved = Histogram()
        self.queues: dict[str, Queue] = {}
        self.clients: dict[str, Callable[[], int]] = {}
        self.costs: dict[tuple[Kind, int | str], Cost] = {}
        self.callers: dict[str, Cost] = {}
        self._inner = 0.0
        self._noticed: dict[Key, float] = {}
        self._awaited: dict[Key, float] = {}
        self._asked: dict[Key, float] = {}
        self._born: dict[Key, float] = {}
        self._waiting: list[Callable[[], None]] = []
        self._words = {"": 0}
        self._number = 0
        self._ring = bytearray(KEPT * _SIZE)

    def queue(self, name: str, depth: Callable[[], int]) -> Queue:
        """Watch how many wait somewhere; `depth` is asked when somebody looks."""
        queue = self.queues[name] = Queue(depth)
        return queue

    def when_active(self, tell: Callable[[], None]) -> None:
        """Call back once, at the next event; it must return at once."""
        self._waiting.append(tell)

    def no_longer(self, tell: Callable[[], None]) -> None:
        """Take back what was asked of `when_active`; no-op where it was not."""
        self._waiting = [other for other in self._waiting if other != tell]

    # --- what costs what

    def begin(self, now: float | None = None) -> Started:
        """Begin something that is to be charged to somebody; what begins and ends meanwhile is not charged twice."""
        outer, self._inner = self._inner, 0.0
        return self.clock() if now is None else now, outer

    def end(self, started: Started, cost: Cost) -> None:
        """End what was begun last, and charge it."""
        began_at, outer = started
        whole = self.clock() - began_at
        cost.seconds += whole - self._inner
        self._inner = outer + whole

    def cost_of(self, kind: Kind, index: int | str) -> Cost:
        """Return what an object has cost so far, to be added to."""
        cost = self.costs.get((kind, index))
        if cost is None:
            if len(self.costs) >= COSTS:
                del self.costs[next(iter(self.costs))]
            cost = self.costs[kind, index] = Cost()
        return cost

    def cost_of_caller(self, name: str) -> Cost:
        """Return what a caller on the bus has cost so far, likewise."""
        cost = self.callers.get(name)
        if cost is None:
            if len(self.callers) >= CALLERS:
                del self.callers[next(iter(self.callers))]
            cost = self.callers[name] = Cost()
        return cost

    # --- the sound server

    def connected(self) -> None:
        """Count a connection to the sound server."""
        self.counts.connections += 1
        self._note(self.clock(), _CONNECTED, _NOTHING)

    def disconnected(self) -> None:
        """Drop what was awaited of a server that has gone."""
        for awaited in (self._noticed, self._awaited, self._asked, self._born):
            awaited.clear()
        self._note(self.clock(), _DISCONNECTED, _NOTHING)

    def noticed(self, kind: Kind, index: int) -> None:
        """Count a notice of the sound server."""
        now = self.clock()
        self.counts.notices += 1
        key = (kind, index)
        self._noticed.setdefault(key, now)
        self.cost_of(kind, index).notices += 1
        self._note(now, _NOTICE, key)

    def fetching(self, kind: Kind, index: int) -> None:
        """Count a request for an object, or with -1 for all of a kind."""
        now, key = self.clock(), (kind, index)
        self.counts.fetches += 1
        self.cost_of(kind, index).fetches += 1
        noticed_at = self._noticed.pop(key, None)
        if noticed_at is not None:
            self._awaited[key] = noticed_at
        self._asked[key] = now

    def fetched(self, kind: Kind, index: int, *, failed: bool) -> None:
        """End a request for an object."""
        now, key = self.clock(), (kind, index)
        self.counts.fetches_failed += failed
        self._awaited.pop(key, None)
        self._note(now, _FETCHED, key, now - self._asked.pop(key, now))

    def gone(self, kind: Kind, index: int) -> None:
        """Drop what is kept of an object that has gone."""
        self.costs.pop((kind, index), None)
        for kept in (self._noticed, self._awaited, self._born):
            kept.pop((kind, index), None)

    # --- the state

    def applied(self, event: Event, *, changed: bool) -> None:
        """Count an event that has just been applied; it ends the way of the notice that led to it."""
        now = self.applied_at = self.clock()
        self.counts.events += 1
        self.counts.events_without_change += not changed
        if type(event) is Seen:
            noticed_at = self._awaited.pop(place_of(event.record), None)
        elif type(event) is Gone:
            noticed_at = self._noticed.pop((event.kind, event.index), None)
        else:
            return
        if noticed_at is not None:
            self.notice_to_state.add(now - noticed_at)

    def follow(self, changes: tuple[Change, ...]) -> None:
        """Time new streams; what one has cost is its application's when it has gone."""
        for change in changes:
            if change.before is None or change.after is None:
                self._follow(change.before, change.after)

    def _follow(self, before: Record | None, after: Record | None) -> None:
        if isinstance(after, Stream):
            self._born[after.kind, after.index] = self.applied_at
        elif isinstance(before, Stream):
            cost = self.costs.pop((before.kind, before.index), None)
            if cost is not None:
                self.cost_of(Kind.APP, before.identity.app_id).add(cost)
            self._born.pop((before.kind, before.index), None)

    def told(self, since: float, change: Change) -> None:
        """Note a change of state, with others or alone, that was begun at a time and that everybody has heard of by now."""
        now, record = self.clock(), change.after or change.before
        self._note(now, _CHANGED, place_of(record), now - since, _app_id_of(record))

    # --- what the service does

    def announced(self, record: Record | None, since: float) -> None:
        """Count that a change of an object, or of the whole, has been told; `since` is when the state changed."""
        now = self.clock()
        self.counts.signals += 1
        self.state_to_signal.add(now - since)
        self._note(now, _SIGNAL, place_of(record), now - since, _app_id_of(record))

    def called(self, caller: str, method: str) -> float:
        """Count a call; return when it was, for `answered`."""
        now = self.clock()
        self.counts.calls += 1
        self.cost_of_caller(caller).calls += 1
        self._note(now, _CALL, _NOTHING, 0.0, method)
        return now

    def answered(self, method: str, since: float, *, failed: bool) -> None:
        """Count the answer to a call that came in at a time."""
        now = self.clock()
        self.counts.errors += failed
        self.call_to_reply.add(now - since)
        self._note(now, _ERROR if failed else _REPLY, _NOTHING, now - since, method)

    def commanded(self, command: Command, now: float) -> None:
        """Count a command that was sent to the sound server at a time."""
        kind, index = command.key
        self.counts.commands += 1
        self.cost_of(kind, index).commands += 1
        self._note(now, _COMMAND, command.key, 0.0, type(command).__name__)

    def finished(self, command: Command, since: float, *, failed: bool) -> None:
        """Note that a command that was sent at a time is in force, or never will be."""
        now = self.clock()
        self.counts.commands_failed += failed
        self._note(now, _FAILED if failed else _DONE, command.key, now - since, type(command).__name__)

    def moved(self, key: Key) -> None:
        """Note that a rule has moved a stream; the first time since it came is counted."""
        now, born_at = self.clock(), self._born.pop(key, None)
        # A rule that comes later moves old streams, too, which is no delay.
        if born_at is not None and now - born_at < NEW:
            self.new_stream_to_moved.add(now - born_at)
            self._note(now, _MOVED, key, now - born_at)

    # --- the last events

    @property
    def number(self) -> int:
        """How many events there were; the next one gets this number."""
        return self._number

    def events(self, since: int = 0) -> Iterator[Traced]:
        """List the events that are kept, from a number on."""
        words = list(self._words)
        for number in range(max(since, self._number - KEPT, 0), self._number):
            at, took, index, word, what, kind = _ENTRY.unpack_from(self._ring, number % KEPT * _ENTRY.size)
            yield Traced(
                number=number,
                at=at,
                what=WHATS[what],
                kind=KINDS[kind],
                index=None if index == _ALL else index,
                detail=words[word],
                took=took,
            )

    def _note(
        self, at: float, what: int, about: tuple[str, int], took: float = 0.0, detail: str = ""
    ) -> None:
        number = self._number
        self._number = number + 1
        kind, index = about
        word = self._words.get(detail)
        if word is None:
            word = self._new_word(detail)
        place = number % KEPT * _SIZE
        _PACK(self._ring, place, at, took, index & _ALL, word, what, _KIND_CODES[kind])
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for tell in waiting:
                tell()

    def _new_word(self, word: str) -> int:
        word = word[:WORD] if len(self._words) < WORDS - 1 else "…"
        return self._words.setdefault(word, len(self._words))


def place_of(record: Record | None) -> tuple[Kind, int]:
    """Return under which kind and number an object is counted, the server for None; applications have no number."""
    if isinstance(record, _OF_A_KIND):
        return record.kind, record.index
    if isinstance(record, App):
        return Kind.APP, 0
    if isinstance(record, Client):
        return Kind.CLIENT, record.index
    return (Kind.CARD, record.index) if isinstance(record, Card) else (Kind.SERVER, 0)


def _app_id_of(record: Record | None) -> str:
    """Return the id by which an event names an application, "" for anything else."""
    return record.app_id if isinstance(record, App) else ""
