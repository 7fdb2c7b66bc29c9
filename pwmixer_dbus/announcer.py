"""When changes are announced: the first at once, then at most `RATE` a second for one object, the last value always.

What anybody was told is never stored. For an object that has changed and was not announced yet, the (immutable) state
from before is kept; what differs between it and the present is the announcement.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.document import Level, level_of
from pwmixer_dbus.core.measures import Measures, Queue, place_of
from pwmixer_dbus.core.model import App, Kind, Stream
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.subjects import (
    DEFAULTS,
    Subject,
    affected,
    first_apps,
    is_of_level,
    louder,
    subject_of,
    target_of,
)
from pwmixer_dbus.core.tally import SIGNAL

RATE = 30.0

CHOICE = 0.3
"""Seconds that the session manager has for another default where the one that there was has gone; it takes 30 ms."""

_NUMBERED = (Stream, App)
"""Objects whose subject is also the key that `Measures` counts them under."""


class Speaker(Protocol):
    """Tells what is announced."""

    def is_behind(self) -> bool:
        """Whether what was told before is still on its way, so that changes had better wait and merge."""

    def come(self, target: Target) -> None:
        """Tell that an object is new."""

    def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        """Tell what differs between two states; return whether there was anything to tell."""

    def louder(self, subject: Subject, target: Target, old: Level, new: Level) -> bool:
        """Tell of an object of which nothing but the level can differ; likewise."""

    def gone(self, target: Target) -> None:
        """Tell that an object has gone."""


class _Pending(NamedTuple):
    """A change that was not announced yet: the state before all of it, since when it waits, and whether it is of level only."""

    before: MixerState
    since: float
    in_level: bool


class Announcer:
    """Lets a speaker tell of changes, in the right order and not too often; `measures` hears how long each has waited.

    As long as nobody can have asked what there is (`is_asked`), only what is always there is announced: the whole, and
    the defaults. `tell_all` has the mixer tell us of a change that its state shows already.
    """

    def __init__(
        self,
        state: Callable[[], MixerState],
        tell_all: Callable[[], None],
        speaker: Speaker,
        measures: Measures | None = None,
    ) -> None:
        self._state = state
        self._tell_all = tell_all
        self._speaker = speaker
        self._loop = asyncio.get_running_loop()
        self._measures = measures
        self._dirty: dict[Subject, _Pending] = {}
        self._free_at: dict[Subject, float] = {}
        self._alarm = Alarm(self._on_timer)
        self.is_asked = True
        self._queue = Queue(lambda: len(self._dirty))
        if measures is not None:
            measures.queues["signals"] = self._queue

    def on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        """Announce what has come, what has changed (now, or as soon as its rate allows), and what has gone.

        In this order, and apps before their streams, so that nothing ever names an object that was not told of.
        """
        state, changed_at = self._state(), self._changed_at
        if not self.is_asked:
            always = dict.fromkeys(
                subject for subject in affected(before, state, changes) if subject[1] is None
            )
            self._note(always, _Pending(before, changed_at, in_level=False))
            self._flush_due(always)
            return
        new = [c.after for c in changes if c.before is None and isinstance(c.after, Target)]
        gone = [c.before for c in changes if c.after is None and isinstance(c.before, Target)]
        come = {s for target in sorted(new, key=first_apps) if (s := self._come(before, target)) is not None}
        changed = {subject: None for subject in affected(before, state, changes) if subject not in come}
        self._note(changed, _Pending(before, changed_at, in_level=all(map(is_of_level, changes))))
        for target in gone:
            if isinstance(target, Stream) or target_of(state, subject_of(target)) is None:
                self._dirty.pop(subject_of(target), None)
        # Anything may name an object that is about to go, so all that is pending is told before.
        self._flush_due(self._dirty if gone else changed, at_once=bool(gone))
        for target in sorted(gone, key=first_apps, reverse=True):
            self._gone(target)

    def on_level(self, before: MixerState, state: MixerState, change: Change) -> None:
        """Announce a change that is but a level; what need not wait is not noted first, as nearly always."""
        waiting, speaker, since = [], self._speaker, self._changed_at
        is_behind = speaker.is_behind()
        for subject, target, old, new in louder(before, state, change):
            if is_behind or subject in self._dirty or self._free_at.get(subject, 0.0) > since:
                waiting.append(subject)
            elif speaker.louder(subject, target, old, new):
                self._told(subject, target, since)
        if waiting:
            self._note(waiting, _Pending(before, since, in_level=True))
            self._flush_due(waiting)

    @property
    def _changed_at(self) -> float:
        return self._loop.time() if self._measures is None else self._measures.applied_at

    @property
    def pending(self) -> Collection[Subject]:
        """The subjects that are still to be announced; the collection itself, which goes on changing."""
        return self._dirty.keys()

    def mark(self, subject: Subject) -> None:
        """Have all of an object looked at by the next `flush`, though nothing of it may have changed."""
        self._tell_all()
        known = self._dirty.get(subject) or _Pending(self._state(), self._loop.time(), in_level=False)
        self._dirty[subject] = known._replace(in_level=False)

    def flush(self, subjects: Iterable[Subject] | None = None) -> None:
        """Announce at once what is pending of these objects, or of all: before a reply that a client may compare."""
        self._tell_all()
        for subject in list(self._dirty) if subjects is None else subjects:
            if subject in self._dirty:
                self._announce(subject, self._dirty.pop(subject))

    def close(self) -> None:
        """Announce all that is pending and stop."""
        self.flush()
        self._alarm.stop()

    def _come(self, before: MixerState, target: Target) -> Subject | None:
        """Announce an object that is new; return its subject, None where it is there already by another of that name."""
        subject = subject_of(target)
        # Two devices may share a name: the first announces it, the last takes it away.
        if not isinstance(target, Stream) and target_of(before, subject) is not None:
            return None
        self._dirty.pop(subject, None)
        self._speaker.come(target)
        self._measure(target)
        return subject

    def _gone(self, target: Target) -> None:
        subject = subject_of(target)
        if isinstance(target, Stream) or target_of(self._state(), subject) is None:
            self._free_at.pop(subject, None)
            self._speaker.gone(target)
            self._measure(target)

    def _flush_due(self, subjects: Iterable[Subject], *, at_once: bool = False) -> None:
        """Announce what of these may be announced now, or all `at_once`; see to it that the rest is later."""
        if self._speaker.is_behind():
            self._arm(self._loop.time() + 1 / RATE)
            return
        now = self._loop.time()
        next_at = None
        for subject in tuple(subjects):
            free_at = 0.0 if at_once else self._free_at.get(subject, 0.0)
            if subject not in self._dirty:
                continue
            if subject[1] is None and self._is_choosing(subject[0]):
                free_at = max(free_at, self._dirty[subject].since + CHOICE)
            if free_at <= now:
                self._announce(subject, self._dirty.pop(subject))
            elif next_at is None or free_at < next_at:
                next_at = free_at
        if next_at is not None:
            self._arm(next_at)

    def _is_choosing(self, kind: Kind) -> bool:
        """Whether the default device has gone and there are others: another one is about to be chosen.

        Who was told of none meanwhile would show 0 % for an instant.
        """
        state = self._state()
        return kind in DEFAULTS and bool(state.server.default(kind)) and state.lacks_default(kind)

    def _arm(self, when: float) -> None:
        if self._alarm.when > when + 1 / RATE:  # so that what is due within a moment is told together
            self._alarm.by(when)

    def _on_timer(self) -> None:
        self._tell_all()
        self._flush_due(self._dirty)

    def _announce(self, subject: Subject, change: _Pending) -> None:
        before, since, in_level = change
        state = self._state()
        was, target = target_of(before, subject), target_of(state, subject)
        if not in_level:
            is_told = self._speaker.changed(subject, before, state)
        elif was is None or target is None:
            is_told = False
        else:
            is_told = self._speaker.louder(subject, target, level_of(before, was), level_of(state, target))
        if is_told:
            self._told(subject, target, since)

    def _told(self, subject: Subject, target: Target | None, since: float) -> None:
        if self._measures is None:
            now = self._loop.time()
        elif isinstance(target, _NUMBERED):
            now = self._measures.note(SIGNAL, subject, since)
        else:
            now = self._measures.note(SIGNAL, place_of(None if subject[1] is None else target), since)
        self._free_at[subject] = now + 1 / RATE

    def _note(self, subjects: Iterable[Subject], change: _Pending) -> None:
        for subject in subjects:
            known = self._dirty.get(subject)
            if known is None:
                self._dirty[subject] = change
                continue
            if self._measures is not None:
                self._measures.counts.signals_merged += 1
            if known.in_level and not change.in_level:
                self._dirty[subject] = known._replace(in_level=False)
        self._queue.grew(len(self._dirty))

    def _measure(self, target: Target) -> None:
        """Tell that an object was announced that did not have to wait."""
        if self._measures is not None:
            self._measures.note(SIGNAL, place_of(target), self._measures.applied_at)
