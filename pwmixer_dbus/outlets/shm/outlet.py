"""Shows the state in shared memory: levels when they are told, what else has changed in one pass of the loop once, at its end."""

import asyncio
import os
import time
from typing import cast

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.document import Document, Level, Value, describe_app, describe_device, level_of
from pwmixer_dbus.core.model import App, Device, Kind, Record, Stream
from pwmixer_dbus.core.settings import SharedMemorySettings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.subjects import is_of_level, shows_in_owners
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.shm.file import SharedFile, usual_path
from pwmixer_dbus.outlets.shm.layout import Capacity, flag
from pwmixer_dbus.outlets.shm.writer import About, Facts, Row, Writer

DeviceKey = tuple[Kind, int, str]
InLevel = bool
"""Whether nothing else of an object has changed than its level, so that the rest of its row stays."""

_MUTED = flag("device", "muted")  # an application's is the same

Flags = tuple[tuple[str, Value, int], ...]
"""Which key of the document makes which flag, when it has which value."""

_DEVICE_FLAGS: Flags = (
    ("muted", True, flag("device", "muted")),
    ("kind", Kind.SOURCE.value, flag("device", "source")),
    ("monitor", True, flag("device", "monitor")),
    ("state", "running", flag("device", "running")),
    ("locked", True, flag("device", "locked")),
)
_APP_FLAGS: Flags = (
    ("muted", True, flag("app", "muted")),
    ("active", True, flag("app", "active")),
    ("hidden", True, flag("app", "hidden")),
    ("locked", True, flag("app", "locked")),
    ("volume_writable", True, flag("app", "writable")),
)


class SharedMemory:
    """The file, from now until `close`. Raises OSError where it cannot be made."""

    def __init__(self, mixer: Mixer, settings: SharedMemorySettings) -> None:
        room = Capacity()
        self._mixer = mixer
        self._loop = asyncio.get_running_loop()
        self._file = SharedFile(usual_path(settings.name), room.size)
        self._writer = Writer[DeviceKey](self._file.memory, room, pid=os.getpid(), clock=time.monotonic_ns)
        self._devices: dict[DeviceKey, InLevel] = {}
        self._apps: dict[str, InLevel] = {}
        self._mark_all()
        self._are_facts_old = True
        self._soon: asyncio.Handle | None = None
        try:
            self._publish()
            self._file.show()
        except BaseException:
            self._writer.close()
            self._file.remove()
            raise
        self._unsubscribe = mixer.subscribe(self._on_change)

    def close(self) -> None:
        """Write what is left to be written, tell readers that it was the last, and take the file away."""
        self._unsubscribe()  # first, since whoever leaves hears of all that there is
        if self._soon is not None:
            self._soon.cancel()
            self._publish()
        self._writer.close()
        self._file.remove()

    def _on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if changes[0].is_level:  # then all are
            for change in changes:
                self._mark_record(change.after, in_level=True)
            if self._soon is None:
                self._publish()
            return
        for change in changes:
            self._mark(before, change)
        if self._soon is None:
            self._soon = self._loop.call_soon(self._publish)

    def _mark(self, before: MixerState, change: Change) -> None:
        """Note which records a change may show in."""
        state = self._mixer.state
        if is_of_level(change):
            self._mark_record(change.after, in_level=True)
            return
        was, now = change.before, change.after
        if isinstance(was, Stream) and isinstance(now, Stream) and not shows_in_owners(was, now):
            return
        if change.kind is Kind.SERVER:
            self._are_facts_old = True
            if (before.settings, before.caps, before.locked) != (state.settings, state.caps, state.locked):
                self._mark_all()
        elif change.kind.is_device and not _is_same(was, now):
            # A default is named before it comes, and after it has gone, and streams may be on it.
            self._are_facts_old = True
            self._apps.update((app.app_id, False) for app in state.apps.values() if app.streams)
        self._mark_record(was, in_level=False)
        self._mark_record(now, in_level=False)

    def _mark_record(self, record: Record | None, *, in_level: InLevel) -> None:
        if isinstance(record, Stream):
            app_id = record.identity.app_id
        elif isinstance(record, App):
            app_id = record.app_id
        else:
            if isinstance(record, Device):
                key = _key(record)
                self._devices[key] = in_level and self._devices.get(key, True)
            return
        self._apps[app_id] = in_level and self._apps.get(app_id, True)

    def _mark_all(self) -> None:
        state = self._mixer.state
        self._devices.update((_key(device), False) for device in state.devices.values())
        self._apps.update(dict.fromkeys(state.apps, False))

    def _publish(self) -> None:
        self._mixer.tell_levels()  # what there is to be shown of the state
        self._soon = None
        state = self._mixer.state
        devices = {key: self._device_row(state, key, in_level) for key, in_level in self._devices.items()}
        apps = {app_id: self._app_row(state, app_id, in_level) for app_id, in_level in self._apps.items()}
        self._devices.clear()
        self._apps.clear()
        facts = None
        if self._are_facts_old:
            sink, source = (self._id_of(state.default(kind)) for kind in (Kind.SINK, Kind.SOURCE))
            facts = Facts(state.connected, sink, source)
            self._are_facts_old = False
        self._writer.publish(state.generation, devices, apps, facts)

    def _device_row(self, state: MixerState, key: DeviceKey, in_level: InLevel) -> Row | None:
        kind, index, name = key
        device = state.devices.get((kind, index))
        if device is None or device.name != name:
            return None
        known = self._writer.device(key) if in_level else None
        if known is not None:
            return _with_level(known, level_of(state, device))
        document = describe_device(state, device)
        about = About(_texts(document, "name", "description", "icon_name"))
        return _row(document, index, _DEVICE_FLAGS, about)

    def _app_row(self, state: MixerState, app_id: str, in_level: InLevel) -> Row | None:
        app = state.apps.get(app_id)
        if app is None:
            return None
        known = self._writer.app(app_id) if in_level else None
        if known is not None:
            return _with_level(known, level_of(state, app))
        document = describe_app(state, app)
        streams = list(state.streams_of(app))
        device = next((d for s in streams if (d := state.device_of(s)) is not None), None)
        about = About(_texts(document, "app_id", "name", "icon_name"), tuple(s.number for s in streams))
        return _row(document, self._id_of(device), _APP_FLAGS, about)

    def _id_of(self, device: Device | None) -> int:
        return 0 if device is None else self._writer.device_id(_key(device))


def _key(device: Device) -> DeviceKey:
    """Name a device: indexes are given anew in the next life of the server, and two may share a name."""
    return device.kind, device.index, device.name


def _is_same(was: Record | None, now: Record | None) -> bool:
    return isinstance(was, Device) and isinstance(now, Device) and _key(was) == _key(now)


def _with_level(row: Row, level: Level) -> Row:
    number, flags, _, max_volume, about = row
    flags = flags | _MUTED if level.muted else flags & ~_MUTED
    return Row(number, flags, level.volume, max_volume, about)


def _row(document: Document, number: int, flags: Flags, about: About) -> Row:
    bits = sum(value for key, wanted, value in flags if document[key] == wanted)
    volume, limit = cast("float", document["volume"]), cast("float", document["max_volume"])
    return Row(number, bits, volume, limit, about)


def _texts(document: Document, *keys: str) -> tuple[str, str, str]:
    one, two, three = (str(document[key]) for key in keys)
    return one, two, three
