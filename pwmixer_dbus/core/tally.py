"""What has been counted of what the service does: how often, histograms of its delays, what costs what, and the last events.

The rules of this file: what is kept is bounded, and of everything that is counted it is known when it happened, so that
nothing depends on when it is counted; see `pwmixer_dbus.core.measures`. Nothing here knows a clock.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from struct import Struct
from typing import Any, ClassVar, TypeVar

from pwmixer_dbus.core.model import Key, Kind
from pwmixer_dbus.core.records import dataclass

BOUNDS = (
    *(float(f"{step}e{power}") for power in range(-5, 1) for step in (1.0, 1.6, 2.5, 4.0, 6.3)),
    10.0,
)
"""The upper bounds of a histogram's buckets in seconds, five a decade (Renard's numbers); one more bucket is for the rest."""

KEPT = 4096
"""How many events are kept."""

COSTS = 2048
"""For how many objects the cost is kept; the one that was first seen longest ago makes room."""

CALLERS = 64
"""For how many callers on the bus the cost is kept; likewise."""

NESTED = 64
"""For how many of the latest measurements the time is kept, to be subtracted from that of what they were part of."""

NEW = 5.0
"""Seconds from its birth for which a stream counts as new."""

WORDS, WORD = 256, 64
"""How many different details events can have, and how long one may be; whatever comes later is `…`."""

About = tuple[Kind, int | str]
"""An object: its kind and the server's index of it, -1 for all of a kind; or an application by its id."""

Note = tuple[int, float, About | str | None, float | None, str]
"""What happened (see below), when, about what or by which caller, since when (of what takes time), and a detail."""

KINDS = ("", *(kind.value for kind in Kind))
WHATS = (
    *("connected", "disconnected", "notice", "fetched", "changed", "signal"),
    *("call", "reply", "error", "command", "done", "failed", "moved"),
)
"""What is an event in the trace; a note names it by its place here."""

(
    CONNECTED,
    DISCONNECTED,
    NOTICE,
    FETCHED,
    CHANGED,
    SIGNAL,
    CALL,  # by a caller; its detail: the method, as of the next two
    REPLY,
    ERROR,
    COMMAND,  # its detail: the name of the command, as of the next two
    DONE,
    FAILED,
    MOVED,
) = range(len(WHATS))

(
    FETCHING,
    SEEN,
    GONE,
    FORGOTTEN,
    APPLIED,  # anything else
    SPENT,  # the time since then, on an object or by a caller
    BORN,
    DIED,  # its detail: the id of its application
    RULED,  # moved by a rule, which is an event only of what is new
) = range(len(WHATS), len(WHATS) + 9)
"""What only counts."""

_KIND_CODES: dict[str, int] = {kind: code for code, kind in enumerate(KINDS)}
_NOTHING = ("", 0)
_TRACED = len(WHATS)

_ENTRY = Struct("<dfIHBB")
"""Of one event: when, how long, index, detail, what and kind; the last three by their places in tables."""

_SIZE, _PACK = _ENTRY.size, _ENTRY.pack_into
_ALL = 0xFFFFFFFF


_Owner = TypeVar("_Owner", About, str)


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

    `kind` is a `Kind`, or "" for nothing in particular, and `index` the server's number of it, None for all of
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


def _kept(costs: dict[_Owner, Cost], of: _Owner, most: int) -> Cost:
    """Return what one has cost; of more than so many, the one that was first seen longest ago makes room."""
    cost = costs.get(of)
    if cost is None:
        if len(costs) >= most:
            del costs[next(iter(costs))]
        cost = costs[of] = Cost()
    return cost


class Tally:
    """All that has been counted since the start."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.notice_to_state = Histogram()
        self.state_to_signal = Histogram()
        self.call_to_reply = Histogram()
        self.new_stream_to_moved = Histogram()
        self.costs: dict[About, Cost] = {}
        self.callers: dict[str, Cost] = {}
        self.number = 0
        """How many events there were; the next one gets this number."""
        self._ended: deque[tuple[float, float]] = deque(maxlen=NESTED)
        self._noticed: dict[Key, float] = {}
        self._awaited: dict[Key, float] = {}
        self._born: dict[Key, float] = {}
        self._words = {"": 0}
        self._ring = bytearray(KEPT * _SIZE)

    def add(self, notes: Iterable[Note]) -> None:
        """Count what has happened, in its order."""
        ways = self._WAYS
        for what, at, about, since, detail in notes:
            way = ways.get(what)
            if way is not None:
                way(self, at, about, since, detail)
            if what < _TRACED:
                self._trace(what, at, about, since, detail)

    def events(self, since: int = 0) -> Iterator[Traced]:
        """List the events that are kept, from a number on."""
        words = list(self._words)
        for number in range(max(since, self.number - KEPT, 0), self.number):
            at, took, index, word, what, kind = _ENTRY.unpack_from(self._ring, number % KEPT * _SIZE)
            yield Traced(
                number=number,
                at=at,
                what=WHATS[what],
                kind=KINDS[kind],
                index=None if index == _ALL else index,
                detail=words[word],
                took=took,
            )

    def _trace(self, what: int, at: float, about: Any, since: float | None, detail: str) -> None:
        number = self.number
        self.number = number + 1
        kind, index = about if type(about) is tuple else _NOTHING
        if type(index) is str:
            detail, index = index, 0
        word = self._words.get(detail)
        if word is None:
            word = self._new_word(detail)
        took, kind = 0.0 if since is None else at - since, _KIND_CODES[kind]
        _PACK(self._ring, number % KEPT * _SIZE, at, took, index & _ALL, word, what, kind)

    def _new_word(self, word: str) -> int:
        word = word[:WORD] if len(self._words) < WORDS - 1 else "…"
        return self._words.setdefault(word, len(self._words))

    # --- what costs what

    def cost_of(self, about: About) -> Cost:
        """Return what an object has cost so far, to be added to."""
        return _kept(self.costs, about, COSTS)

    def _spent(self, at: float, about: Any, since: float, _detail: str) -> None:
        """Charge what has ended; what began and ended meanwhile is not charged twice."""
        whole, within, ended = at - since, 0.0, self._ended
        while ended and ended[-1][0] >= since:
            within += ended.pop()[1]
        ended.append((since, whole))
        cost = _kept(self.callers, about, CALLERS) if type(about) is str else self.cost_of(about)
        cost.seconds += whole - within

    # --- the sound server

    def _connected(self, *_: object) -> None:
        self.counts.connections += 1

    def _disconnected(self, *_: object) -> None:
        for awaited in (self._noticed, self._awaited, self._born):
            awaited.clear()

    def _notice(self, at: float, about: Key, *_: object) -> None:
        self.counts.notices += 1
        self._noticed.setdefault(about, at)
        self.cost_of(about).notices += 1

    def _fetching(self, _at: float, about: Key, *_: object) -> None:
        self.counts.fetches += 1
        self.cost_of(about).fetches += 1
        noticed_at = self._noticed.pop(about, None)
        if noticed_at is not None:
            self._awaited[about] = noticed_at

    def _fetched(self, _at: float, about: Key, *_: object) -> None:
        self._awaited.pop(about, None)

    def _forgotten(self, _at: float, about: Key, *_: object) -> None:
        self.costs.pop(about, None)
        for kept in (self._noticed, self._awaited, self._born):
            kept.pop(about, None)

    # --- the state

    def _seen(self, at: float, about: Key, *_: object) -> None:
        self._show(at, self._awaited.pop(about, None))

    def _gone(self, at: float, about: Key, *_: object) -> None:
        self._show(at, self._noticed.pop(about, None))

    def _applied(self, at: float, *_: object) -> None:
        self._show(at, None)

    def _show(self, at: float, noticed_at: float | None) -> None:
        """Count an event, which ends the way of the notice that led to it."""
        self.counts.events += 1
        if noticed_at is not None:
            self.notice_to_state.add(at - noticed_at)

    def _stream_born(self, at: float, about: Key, *_: object) -> None:
        self._born[about] = at

    def _stream_died(self, _at: float, about: Key, _since: None, app_id: str) -> None:
        cost = self.costs.pop(about, None)
        if cost is not None:
            self.cost_of((Kind.APP, app_id)).add(cost)
        self._born.pop(about, None)

    # --- what the service does

    def _signal(self, at: float, _about: About, since: float, _detail: str) -> None:
        self.counts.signals += 1
        self.state_to_signal.add(at - since)

    def _call(self, _at: float, caller: str, *_: object) -> None:
        self.counts.calls += 1
        _kept(self.callers, caller, CALLERS).calls += 1

    def _reply(self, at: float, _about: None, since: float, _detail: str) -> None:
        self.call_to_reply.add(at - since)

    def _error(self, at: float, _about: None, since: float, _detail: str) -> None:
        self.counts.errors += 1
        self.call_to_reply.add(at - since)

    def _command(self, _at: float, about: Key, *_: object) -> None:
        self.counts.commands += 1
        self.cost_of(about).commands += 1

    def _failed(self, *_: object) -> None:
        self.counts.commands_failed += 1

    def _ruled(self, at: float, about: Key, *_: object) -> None:
        """Time a new stream's way to where a rule has moved it, the first time."""
        born_at = self._born.pop(about, None)
        # A rule that comes later moves old streams, too, which is no delay.
        if born_at is not None and at - born_at < NEW:
            self.new_stream_to_moved.add(at - born_at)
            self._trace(MOVED, at, about, born_at, "")

    _WAYS: ClassVar[Mapping[int, Callable[..., None]]] = {
        CONNECTED: _connected,
        DISCONNECTED: _disconnected,
        NOTICE: _notice,
        FETCHING: _fetching,
        FETCHED: _fetched,
        FORGOTTEN: _forgotten,
        SEEN: _seen,
        GONE: _gone,
        APPLIED: _applied,
        BORN: _stream_born,
        DIED: _stream_died,
        SIGNAL: _signal,
        CALL: _call,
        REPLY: _reply,
        ERROR: _error,
        COMMAND: _command,
        FAILED: _failed,
        RULED: _ruled,
        SPENT: _spent,
    }
    """How what counts is counted."""
