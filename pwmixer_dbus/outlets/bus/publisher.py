"""Signals from changes: what differs between two states of an object is its PropertiesChanged.

When they are sent is decided by the announcer; nothing is stored of what clients know.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from dbus_fast import Variant

from pwmixer_dbus.announcer import Announcer
from pwmixer_dbus.core.document import Level, describe_target, differing
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.subjects import Subject, target_of
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BACKLOG, BusConnection
from pwmixer_dbus.outlets.bus.interfaces import (
    DEVICE,
    MIXER,
    NODE,
    OBJECT_MANAGER,
    PROPERTIES,
    RULES,
    Interface,
    default_shown,
    interfaces_of,
    values_of,
)
from pwmixer_dbus.outlets.bus.levels import level_changed
from pwmixer_dbus.outlets.bus.paths import ALIASES, ROOT, path_of

RootDocument = Callable[[MixerState], Mapping[str, Any]]


class Publisher:
    """Turns changes of state into signals. `root_document` says what the root's properties are in a state."""

    def __init__(self, connection: BusConnection, mixer: Mixer, root_document: RootDocument) -> None:
        self._connection = connection
        self._mixer = mixer
        self._root_document = root_document
        self._forced: dict[Subject, set[str]] = {}
        self.announcer = Announcer(lambda: mixer.state, mixer.tell_all, self, mixer.measures)
        self.pending = self.announcer.pending
        self.on_change = self.announcer.on_change
        self.on_level = self.announcer.on_level
        self.flush = self.announcer.flush
        self.close = self.announcer.close

    def heal(self, subject: Subject, names: Iterable[str]) -> None:
        """Announce these properties even if they did not change: a client believes that its own write succeeded."""
        self._forced.setdefault(subject, set()).update(names)
        self.announcer.mark(subject)
        self.flush((subject,))

    def is_behind(self) -> bool:
        """Whether the bus has too much to read already."""
        return self._connection.backlog > BACKLOG

    def come(self, target: Target) -> None:
        """Announce an object that is new, with all its values."""
        added = interfaces_with_values(self._mixer.state, target)
        self._connection.send(OBJECT_MANAGER.signal(ROOT, "InterfacesAdded", [path_of(target), added]))

    def gone(self, target: Target) -> None:
        """Announce that an object has gone."""
        names = [i.name for i in interfaces_of(target)]
        self._connection.send(OBJECT_MANAGER.signal(ROOT, "InterfacesRemoved", [path_of(target), names]))

    def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        """Announce the properties that differ, and those that are to be healed."""
        forced = self._forced.pop(subject, set())
        was, now = self._shown(before, subject), self._shown(state, subject)
        if was is None or now is None:
            return False
        keys = differing(was.document, now.document)
        announced = False
        for interface in now.interfaces:
            properties = [p for key in keys for p in interface.saying(key)]
            properties += [p for p in map(interface.property, forced) if p is not None and p.key not in keys]
            changed = {
                p.name: Variant(
                    p.signature, now.document[p.key] if p.read is None else p.read(state, now.target)
                )
                for p in properties
                # What is constant for a device is not so for the alias, which names another one now.
                if p.emits == "true" or (p.emits == "const" and subject[1] is None)
            }
            if changed:
                announced = True
                body = [interface.name, changed, []]
                self._connection.send(PROPERTIES.signal(now.path, "PropertiesChanged", body))
        return announced

    def louder(self, subject: Subject, target: Target, old: Level, new: Level) -> bool:
        """Announce another level, and that straight as bytes."""
        path = ALIASES[subject[0]] if subject[1] is None else path_of(target)
        message = level_changed(path, old, new)
        if message is None:
            return False
        self._connection.send_marshalled(message)
        return True

    def _shown(self, state: MixerState, subject: Subject) -> "_Shown | None":
        kind, key = subject
        if kind is Kind.SERVER:
            return _Shown(ROOT, (MIXER, RULES), None, self._root_document(state))
        if key is None:
            return _Shown(ALIASES[kind], (NODE, DEVICE), *default_shown(state, kind))
        target = target_of(state, subject)
        if target is None:
            return None
        return _Shown(path_of(target), interfaces_of(target), target, describe_target(state, target))


class _Shown(NamedTuple):
    """What is at a path in a state, and all that its properties say."""

    path: str
    interfaces: tuple[Interface, ...]
    target: Target | None
    document: Mapping[str, Any]


def interfaces_with_values(state: MixerState, target: Target) -> dict[str, dict[str, Variant]]:
    """Return what ObjectManager says of an object: every interface with every property."""
    values = values_of(state, target)
    return {i.name: typed(i, values) for i in interfaces_of(target)}


def typed(interface: Interface, values: Mapping[str, Any]) -> dict[str, Variant]:
    """Wrap the values of an interface's properties in their types."""
    return {p.name: Variant(p.signature, values[p.name]) for p in interface.properties}
