"""Signals from changes: the first at once, then at most `RATE` a second for one object, the last value always.

What clients were told is never stored. For an object that has changed and was not announced yet, the (immutable)
state from before is kept; what differs between it and the present is the signal.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dbus_fast import Variant

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.model import App, Card, Client, Device, Kind, Record, Stream
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.outlets.bus.connection import BACKLOG, BusConnection
from pwmixer_dbus.outlets.bus.interfaces import (
    DEVICE,
    MIXER,
    NODE,
    OBJECT_MANAGER,
    PROPERTIES,
    RULES,
    Interface,
    alias_values,
    interfaces_of,
    values_of,
)
from pwmixer_dbus.outlets.bus.paths import ALIASES, ROOT, path_of

RATE = 30.0

Subject = tuple[Kind, Any]
"""What can be announced: a device or card by name, a stream by index, an app by id, the root as SERVER, an alias as (kind, None)."""

ROOT_SUBJECT: Subject = (Kind.SERVER, None)
RootValues = Callable[[MixerState], Mapping[str, Any]]


class Publisher:
    """Turns changes of state into signals. `root_values` gives the properties of the root in a state."""

    def __init__(
        self, connection: BusConnection, state: Callable[[], MixerState], root_values: RootValues
    ) -> None:
        self._connection = connection
        self._state = state
        self._root_values = root_values
        self._loop = asyncio.get_running_loop()
        self._dirty: dict[Subject, MixerState] = {}
        self._forced: dict[Subject, set[str]] = {}
        self._free_at: dict[Subject, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        """Announce what has come, what has changed (now, or as soon as its rate allows), and what has gone.

        In this order, and apps before their streams, so that no property ever names an object that a client cannot see.
        """
        come = {
            s for change in sorted(changes, key=_first_apps) if (s := self._come(before, change)) is not None
        }
        gone = [c for c in changes if c.after is None and isinstance(c.before, Device | Stream | App | Card)]
        for change in changes:
            for subject in self._affected(before, change):
                if subject not in come:
                    self._dirty.setdefault(subject, before)
        for change in gone:
            self._dirty.pop(subject_of(change.before), None)
        self._flush_due(at_once=bool(gone))
        for change in sorted(gone, key=_first_apps, reverse=True):
            self._gone(change)

    def flush(self, subjects: Iterable[Subject] | None = None) -> None:
        """Announce at once what is pending of these objects, or of all: before a reply that a client may compare."""
        for subject in list(self._dirty) if subjects is None else subjects:
            if subject in self._dirty:
                self._announce(subject)

    def heal(self, subject: Subject, names: Iterable[str]) -> None:
        """Announce these properties even if they did not change: a client believes that its own write succeeded."""
        self._forced.setdefault(subject, set()).update(names)
        self._dirty.setdefault(subject, self._state())
        self.flush((subject,))

    def close(self) -> None:
        """Announce all that is pending and stop."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _affected(self, before: MixerState, change: Change) -> Iterable[Subject]:
        record = change.after or change.before
        state = self._state()
        match record:
            case Device():
                yield subject_of(record)
                yield record.kind, None
                if change.before is None or change.after is None:
                    yield ROOT_SUBJECT
                    yield from (
                        subject_of(s) for s in state.streams.values() if s.kind.devices is record.kind
                    )
            case Stream():
                yield subject_of(record)
                ids = {r.identity.app_id for r in (change.before, change.after) if isinstance(r, Stream)}
                yield from ((Kind.APP, app_id) for app_id in ids if app_id in state.apps)
            case App():
                yield subject_of(record)
                yield from (subject_of(s) for s in state.streams_of(record))
            case Client():
                yield from (subject_of(s) for s in state.streams.values() if s.client == record.index)
            case Card():
                yield subject_of(record)
                yield from (subject_of(d) for d in state.devices.values() if d.card == record.index)
            case _:
                yield from self._affected_by_server(before, state)

    @staticmethod
    def _affected_by_server(before: MixerState, state: MixerState) -> Iterable[Subject]:
        yield ROOT_SUBJECT
        for kind in ALIASES:
            yield kind, None
            for device in (before.default(kind), state.default(kind)):
                if device is not None:
                    yield subject_of(device)
        known = (before.settings, before.caps, before.locked)
        if known != (state.settings, state.caps, state.locked):
            for records in (state.devices, state.streams, state.apps):
                yield from (subject_of(r) for r in records.values())

    def _come(self, before: MixerState, change: Change) -> Subject | None:
        """Announce an object that is new, with all its values; return its subject."""
        record = change.after
        if change.before is not None or not isinstance(record, Device | Stream | App | Card):
            return None
        subject = subject_of(record)
        self._dirty.pop(subject, None)
        # Two devices may share a name, and so a path: the first announces it, the last takes it away.
        if isinstance(record, Stream) or target_of(before, subject) is None:
            added = interfaces_with_values(self._state(), record)
            self._signal(ROOT, OBJECT_MANAGER, "InterfacesAdded", [path_of(record), added])
        return subject

    def _gone(self, change: Change) -> None:
        record = change.before
        if not isinstance(record, Device | Stream | App | Card):
            return
        subject = subject_of(record)
        if isinstance(record, Stream) or target_of(self._state(), subject) is None:
            self._free_at.pop(subject, None)
            names = [i.name for i in interfaces_of(record)]
            self._signal(ROOT, OBJECT_MANAGER, "InterfacesRemoved", [path_of(record), names])

    def _flush_due(self, *, at_once: bool = False) -> None:
        """Announce what may be announced now; `at_once` everything, since an object that it may name is about to go."""
        if self._connection.backlog > BACKLOG:
            self._arm(self._loop.time() + 1 / RATE)
            return
        now = self._loop.time()
        next_at = None
        for subject in list(self._dirty):
            free_at = self._free_at.get(subject, 0.0)
            if at_once or free_at <= now:
                self._announce(subject)
            else:
                next_at = free_at if next_at is None else min(next_at, free_at)
        if next_at is not None:
            self._arm(next_at)

    def _arm(self, when: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._flush_due()

    def _announce(self, subject: Subject) -> None:
        before, state = self._dirty.pop(subject), self._state()
        forced = self._forced.pop(subject, set())
        old, new = self._values(before, subject), self._values(state, subject)
        if old is None or new is None:
            return
        path, interfaces = self._place(state, subject)
        # What is constant for a device is not so for the alias, which names another one now.
        is_alias = path in ALIASES.values()
        announced = False
        for interface in interfaces:
            changed = {
                p.name: Variant(p.signature, new[p.name])
                for p in interface.properties
                if (p.emits == "true" or is_alias) and (p.name in forced or old[p.name] != new[p.name])
            }
            if changed:
                announced = True
                self._signal(path, PROPERTIES, "PropertiesChanged", [interface.name, changed, []])
        if announced:
            self._free_at[subject] = self._loop.time() + 1 / RATE

    def _values(self, state: MixerState, subject: Subject) -> Mapping[str, Any] | None:
        kind, key = subject
        if subject == ROOT_SUBJECT:
            return self._root_values(state)
        if key is None:
            return alias_values(state, kind)
        target = target_of(state, subject)
        return None if target is None else values_of(state, target)

    def _place(self, state: MixerState, subject: Subject) -> tuple[str, tuple[Interface, ...]]:
        kind, key = subject
        if subject == ROOT_SUBJECT:
            return ROOT, (MIXER, RULES)
        if key is None:
            return ALIASES[kind], (NODE, DEVICE)
        target = target_of(state, subject)
        if target is None:
            raise KeyError(subject)
        return path_of(target), interfaces_of(target)

    def _signal(self, path: str, interface: Interface, member: str, body: list[Any]) -> None:
        signal = next(s for s in interface.signals if s.name == member)
        self._connection.signal(path, interface.name, member, signal.signature, body)


def _first_apps(change: Change) -> int:
    """Order changes so that what is named comes before what names it."""
    order = (Card, Device, App, Stream)
    record = change.after or change.before
    return next((i for i, kind in enumerate(order) if isinstance(record, kind)), len(order))


def subject_of(record: Record | None) -> Subject:
    """Return the key by which an object's signals are collected."""
    match record:
        case App():
            return Kind.APP, record.app_id
        case Card():
            return Kind.CARD, record.name
        case Device():
            return record.kind, record.name
        case Stream():
            return record.kind, record.index
    return ROOT_SUBJECT


def target_of(state: MixerState, subject: Subject) -> Target | None:
    """Return the object behind a subject; None where it has gone."""
    kind, key = subject
    if kind is Kind.APP:
        return state.apps.get(key)
    if kind is Kind.CARD:
        return next((card for card in state.cards.values() if card.name == key), None)
    if kind.is_stream:
        return state.streams.get((kind, key))
    return state.device_named(kind, key)


def interfaces_with_values(state: MixerState, target: Target) -> dict[str, dict[str, Variant]]:
    """Return what ObjectManager says of an object: every interface with every property."""
    values = values_of(state, target)
    return {i.name: typed(i, values) for i in interfaces_of(target)}


def typed(interface: Interface, values: Mapping[str, Any]) -> dict[str, Variant]:
    """Wrap the values of an interface's properties in their types."""
    return {p.name: Variant(p.signature, values[p.name]) for p in interface.properties}
