"""Shows the state in shared memory: what has changed in one pass of the loop is written once, at its end."""

import asyncio
import os
import time
from typing import cast

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.document import Document, Value, describe_app, describe_device
from pwmixer_dbus.core.model import App, Device, Kind, Stream
from pwmixer_dbus.core.settings import SharedMemorySettings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.shm.file import SharedFile, usual_path
from pwmixer_dbus.outlets.shm.layout import Capacity, flag
from pwmixer_dbus.outlets.shm.writer import About, Facts, Row, Writer

DeviceKey = tuple[Kind, int, str]
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
        self._devices = {_key(device) for device in mixer.state.devices.values()}
        self._apps = set(mixer.state.apps)
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
        self._unsubscribe()
        if self._soon is not None:
            self._soon.cancel()
            self._publish()
        self._writer.close()
        self._file.remove()

    def _on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        for change in changes:
            self._mark(before, change)
        if self._soon is None:
            self._soon = self._loop.call_soon(self._publish)

    def _mark(self, before: MixerState, change: Change) -> None:
        """Note which records a change may show in."""
        state = self._mixer.state
        if change.kind is Kind.SERVER or change.kind.is_device:
            self._are_facts_old = True  # a default is named before it comes, and after it has gone
        limits = (state.settings, state.caps, state.locked)
        if change.kind is Kind.SERVER and (before.settings, before.caps, before.locked) != limits:
            self._devices.update(_key(device) for device in state.devices.values())
            self._apps.update(state.apps)
        for record in (change.before, change.after):
            match record:
                case Device():
                    self._devices.add(_key(record))
                    if change.before is None or change.after is None:  # streams may be on it
                        self._apps.update(app.app_id for app in state.apps.values() if app.streams)
                case Stream():
                    self._apps.add(record.identity.app_id)
                case App():
                    self._apps.add(record.app_id)

    def _publish(self) -> None:
        self._soon = None
        state = self._mixer.state
        devices = {key: _device_row(state, key) for key in self._devices}
        apps = {app_id: self._app_row(state, app_id) for app_id in self._apps}
        self._devices.clear()
        self._apps.clear()
        facts = None
        if self._are_facts_old:
            sink, source = (self._id_of(state.default(kind)) for kind in (Kind.SINK, Kind.SOURCE))
            facts = Facts(state.connected, sink, source)
            self._are_facts_old = False
        self._writer.publish(state.generation, devices, apps, facts)

    def _app_row(self, state: MixerState, app_id: str) -> Row | None:
        app = state.apps.get(app_id)
        if app is None:
            return None
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


def _device_row(state: MixerState, key: DeviceKey) -> Row | None:
    kind, index, name = key
    device = state.devices.get((kind, index))
    if device is None or device.name != name:
        return None
    document = describe_device(state, device)
    about = About(_texts(document, "name", "description", "icon_name"))
    return _row(document, index, _DEVICE_FLAGS, about)


def _row(document: Document, number: int, flags: Flags, about: About) -> Row:
    bits = sum(value for key, wanted, value in flags if document[key] == wanted)
    volume, limit = cast("float", document["volume"]), cast("float", document["max_volume"])
    return Row(number, bits, volume, limit, about)


def _texts(document: Document, *keys: str) -> tuple[str, str, str]:
    one, two, three = (str(document[key]) for key in keys)
    return one, two, three
