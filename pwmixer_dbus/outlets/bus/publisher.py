"""Signals from changes: what differs between two states of an object is its PropertiesChanged.

When they are sent is decided by the announcer; nothing is stored of what clients know.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dbus_fast import Variant

from pwmixer_dbus.announcer import Announcer
from pwmixer_dbus.core.document import level_of
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.model import Card
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.subjects import ROOT_SUBJECT, Subject, target_of
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
from pwmixer_dbus.outlets.bus.levels import level_changed
from pwmixer_dbus.outlets.bus.paths import ALIASES, ROOT, path_of

RootValues = Callable[[MixerState], Mapping[str, Any]]


class Publisher:
    """Turns changes of state into signals. `root_values` gives the properties of the root in a state.

    What is measured goes to `measures`.
    """

    def __init__(
        self,
        connection: BusConnection,
        state: Callable[[], MixerState],
        root_values: RootValues,
        measures: Measures,
    ) -> None:
        self._connection = connection
        self._state = state
        self._root_values = root_values
        self._forced: dict[Subject, set[str]] = {}
        self._announcer = Announcer(state, self, measures)
        self.on_change = self._announcer.on_change
        self.flush = self._announcer.flush
        self.close = self._announcer.close

    def heal(self, subject: Subject, names: Iterable[str]) -> None:
        """Announce these properties even if they did not change: a client believes that its own write succeeded."""
        self._forced.setdefault(subject, set()).update(names)
        self._announcer.mark(subject)
        self.flush((subject,))

    def is_behind(self) -> bool:
        """Whether the bus has too much to read already."""
        return self._connection.backlog > BACKLOG

    def come(self, target: Target) -> None:
        """Announce an object that is new, with all its values."""
        added = interfaces_with_values(self._state(), target)
        self._signal(ROOT, OBJECT_MANAGER, "InterfacesAdded", [path_of(target), added])

    def gone(self, target: Target) -> None:
        """Announce that an object has gone."""
        names = [i.name for i in interfaces_of(target)]
        self._signal(ROOT, OBJECT_MANAGER, "InterfacesRemoved", [path_of(target), names])

    def changed(self, subject: Subject, before: MixerState, state: MixerState, *, in_level: bool) -> bool:
        """Announce the properties that differ, and those that are to be healed."""
        if in_level and subject not in self._forced and subject[1] is not None:
            return self._level_changed(subject, before, state)
        forced = self._forced.pop(subject, set())
        old, new = self._values(before, subject), self._values(state, subject)
        if old is None or new is None:
            return False
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
        return announced

    def _level_changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        target, was = target_of(state, subject), target_of(before, subject)
        if isinstance(target, Card | None) or isinstance(was, Card | None):
            return False
        message = level_changed(path_of(target), level_of(before, was), level_of(state, target))
        if message is None:
            return False
        self._connection.send_marshalled(message)
        return True

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


def interfaces_with_values(state: MixerState, target: Target) -> dict[str, dict[str, Variant]]:
    """Return what ObjectManager says of an object: every interface with every property."""
    values = values_of(state, target)
    return {i.name: typed(i, values) for i in interfaces_of(target)}


def typed(interface: Interface, values: Mapping[str, Any]) -> dict[str, Variant]:
    """Wrap the values of an interface's properties in their types."""
    return {p.name: Variant(p.signature, values[p.name]) for p in interface.properties}
