"""What the service measures of itself, always.

What happens is only noted where it happens, and counted when somebody looks, or a hundred notes at a time: each by itself,
amidst other work, would find nothing of what counting takes in the processor's caches. The rules of this file: a note costs
a fraction of a microsecond, and keeps nothing alive but the few words that it is made of; what waits to be counted is
bounded. The clock is handed in, and so is whoever measures: there is one `Measures`, made by whoever wires.
"""

from collections.abc import Callable
from typing import Any

from pwmixer_dbus.core.commands import Command
from pwmixer_dbus.core.events import Event, Gone, Levelled, Seen
from pwmixer_dbus.core.model import App, Card, Client, Device, Key, Kind, Record, Stream
from pwmixer_dbus.core.state import Change
from pwmixer_dbus.core.tally import (
    APPLIED,
    BORN,
    CALL,
    COMMAND,
    DIED,
    GONE,
    NOTICE,
    SEEN,
    SPENT,
    WHATS,
    About,
    Note,
    Tally,
)

PENDING = 128
"""How many notes are counted together.

They are counted when something ends that is charged to somebody, since nobody waits at that moment. Where nothing ends,
they are counted at twice as many, when the sound server says something or somebody calls.
"""

_FIELDS = 5
_MANY, _MOST = PENDING * _FIELDS, 2 * PENDING * _FIELDS
_OF_A_KIND = (Stream, Device)


class Queue:
    """How many wait somewhere: `depth` counts them now, `peak` is the most that there were."""

    __slots__ = ("depth", "peak")

    def __init__(self, depth: Callable[[], int]) -> None:
        self.depth = depth
        self.peak = 0

    def grew(self, depth: int) -> None:
        """Note that this many wait."""
        self.peak = max(self.peak, depth)


class Measures:
    """All that is measured. `clock` is the loop's, in seconds; everything here counts from the start.

    Whoever finds out that something has happened once more, and not when, adds to `counts`.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.started_at = self.applied_at = clock()
        self.queues: dict[str, Queue] = {}
        self.clients: dict[str, Callable[[], int]] = {}
        self._tally = Tally()
        self.counts = self._tally.counts
        # Field by field: a tuple for each would be another thing for the garbage collector to look at.
        self._pending: list[Any] = []
        self._add: Callable[[Note], None] = self._pending.extend
        self._waiting: list[Callable[[], None]] = []

    def queue(self, name: str, depth: Callable[[], int]) -> Queue:
        """Watch how many wait somewhere; `depth` is asked when somebody looks."""
        queue = self.queues[name] = Queue(depth)
        return queue

    def counted(self) -> Tally:
        """Count what has been noted, and return all that has been counted."""
        try:
            self._tally.add(zip(*[iter(self._pending)] * _FIELDS, strict=True))
        finally:
            self._pending.clear()
        return self._tally

    def when_active(self, tell: Callable[[], None]) -> None:
        """Call back once, at the next event; it must return at once."""
        self._waiting.append(tell)
        self._add = self._add_and_tell

    def no_longer(self, tell: Callable[[], None]) -> None:
        """Take back what was asked of `when_active`; no-op where it was not."""
        self._waiting = [other for other in self._waiting if other != tell]

    def _add_and_tell(self, note: Note) -> None:
        self._pending.extend(note)
        if note[0] < len(WHATS):
            waiting, self._waiting = self._waiting, []
            self._add = self._pending.extend
            for tell in waiting:
                tell()

    # --- what happens

    def note(
        self, what: int, about: About | None = None, since: float | None = None, detail: str = ""
    ) -> float:
        """Note that something happens, as `core.tally` has it; return when."""
        now = self.clock()
        self._add((what, now, about, since, detail))
        return now

    def noticed(self, key: Key) -> None:
        """Note a notice of the sound server."""
        if len(self._pending) > _MOST:
            self.counted()
        self._add((NOTICE, self.clock(), key, None, ""))

    def spent(self, about: About | str, since: float) -> float:
        """Charge the time since then to an object or a caller; what is charged meanwhile is not charged twice. Return when."""
        now = self.clock()
        self._add((SPENT, now, about, since, ""))
        if len(self._pending) > _MANY:
            self.counted()
        return now

    def called(self, caller: str, method: str) -> float:
        """Note a call; return when it was, for its reply."""
        if len(self._pending) > _MOST:
            self.counted()
        now = self.clock()
        self._add((CALL, now, caller, None, method))
        return now

    def commanded(self, command: Command, now: float) -> None:
        """Note a command that was sent to the sound server at a time."""
        self._add((COMMAND, now, command.key, None, type(command).__name__))

    def applied(self, event: Event, *, changed: bool) -> None:
        """Note an event that has just been applied."""
        if type(event) is Levelled:
            self._applied(SEEN, event.key, changed=changed)
        elif type(event) is Seen:
            self._applied(SEEN, place_of(event.record), changed=changed)
        elif type(event) is Gone:
            self._applied(GONE, (event.kind, event.index), changed=changed)
        else:
            self._applied(APPLIED, None, changed=changed)

    def _applied(self, what: int, about: About | None, *, changed: bool) -> None:
        now = self.applied_at = self.clock()
        if not changed:
            self.counts.events_without_change += 1
        self._add((what, now, about, None, ""))

    def follow(self, changes: tuple[Change, ...]) -> None:
        """Note which streams are new, and which have gone."""
        for change in changes:
            before, after = change.before, change.after
            if before is None and isinstance(after, Stream):
                self._add((BORN, self.applied_at, place_of(after), None, ""))
            elif after is None and isinstance(before, Stream):
                self._add((DIED, self.applied_at, place_of(before), None, before.identity.app_id))


def place_of(record: Record | None) -> About:
    """Return under what an object is counted, the server for None."""
    if isinstance(record, _OF_A_KIND):
        return record.kind, record.index
    if isinstance(record, App):
        return Kind.APP, record.app_id
    if isinstance(record, Client):
        return Kind.CLIENT, record.index
    return (Kind.CARD, record.index) if isinstance(record, Card) else (Kind.SERVER, 0)
