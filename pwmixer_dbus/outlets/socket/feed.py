"""What changes, for those who watch: only while somebody does, and each event is written once for all of them."""

from collections.abc import Callable
from typing import Protocol

from pwmixer_dbus.announcer import Announcer
from pwmixer_dbus.core.document import Document, Level, as_document, describe_target, differing
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.subjects import Subject, target_of
from pwmixer_dbus.mixer import Mixer

Writer = Callable[[Document], str]
"""Turns an event into lines of a dialect."""


class Watcher(Protocol):
    """Who is told, in the dialect in which it asked."""

    def tell(self, lines: bytes) -> None:
        """Send some lines, without waiting."""


class Feed:
    """Tells watchers of changes."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._watchers: dict[Watcher, Writer] = {}
        self._announcer: Announcer | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def add(self, watcher: Watcher, writer: Writer) -> None:
        """Tell a watcher of changes from now on; one that is told already, in this dialect from now on."""
        self._watchers[watcher] = writer
        if self._announcer is None:
            self._announcer = Announcer(lambda: self._mixer.state, self._mixer.tell_all, self)
            self._unsubscribe = self._mixer.subscribe(
                self._announcer.on_change, before_answers=self._announcer.on_level
            )

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher no more; with the last one, nothing is left that listens or waits."""
        if self._watchers.pop(watcher, None) is not None and not self._watchers:
            self._unsubscribe()
            if self._announcer is not None:
                self._announcer.close()
                self._announcer = None

    def flush(self) -> None:
        """Tell at once what is still held back for its rate."""
        if self._announcer is not None:
            self._announcer.flush()

    def is_behind(self) -> bool:
        """Tell at once: who does not read is dropped, and holds up nobody."""
        return False

    def come(self, target: Target) -> None:
        """Tell of an object that is new, with all that is known of it."""
        about = describe_target(self._mixer.state, target)
        self._tell({"event": "added", "selector": selector_of(target), "object": about})

    def gone(self, target: Target) -> None:
        """Tell of an object that has gone."""
        self._tell({"event": "removed", "selector": selector_of(target)})

    def changed(self, subject: Subject, before: MixerState, state: MixerState) -> bool:
        """Tell the values of an object that differ, another default device, or what has become of the server."""
        return self._tell_if_any(_event(subject, before, state))

    def louder(self, subject: Subject, target: Target, old: Level, new: Level) -> bool:
        """Tell another level; as a default, a device is the same."""
        return subject[1] is not None and self._tell_if_any(
            _different(target, as_document(old), as_document(new))
        )

    def _tell_if_any(self, event: Document | None) -> bool:
        if event is not None:
            self._tell(event)
        return event is not None

    def _tell(self, event: Document) -> None:
        written: dict[Writer, bytes] = {}
        for watcher, writer in list(self._watchers.items()):
            if writer not in written:
                written[writer] = writer(event).encode()
            watcher.tell(written[writer])


def _event(subject: Subject, before: MixerState, state: MixerState) -> Document | None:
    kind, key = subject
    if kind is Kind.SERVER:
        return _if_new(_server(before), _server(state))
    if key is None:
        return _if_new(_default(kind, before), _default(kind, state))
    was, now = target_of(before, subject), target_of(state, subject)
    if was is None or now is None:
        return None
    return _different(now, describe_target(before, was), describe_target(state, now))


def _different(target: Target, old: Document, new: Document) -> Document | None:
    changes: Document = {key: new[key] for key in differing(old, new)}
    return {"event": "changed", "selector": selector_of(target), "changes": changes} if changes else None


def _if_new(old: Document, new: Document) -> Document | None:
    return None if old == new else new


def _server(state: MixerState) -> Document:
    server = state.server
    return {"event": "server", "connected": state.connected, "name": server.name, "version": server.version}


def _default(kind: Kind, state: MixerState) -> Document:
    device = state.default(kind)
    selector = None if device is None else selector_of(device)
    return {"event": "default", "kind": kind.value, "selector": selector}
