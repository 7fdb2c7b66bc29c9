"""What a person wants of applications and devices, over restarts: what is learned, what is recalled, what is enforced.

Only a person's intent is learned, and `intent_of` is the one place that says what counts as such. A `Memory` is a
value: where nothing differs, the same object comes back, so `is` tells whether there is anything to save.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import Command, LevelCommand, Origin, SetMuted, SetVolume, Slot, sounds_so
from pwmixer_dbus.core.events import KEEP, AppWanted, Keep, OnDevices, kept
from pwmixer_dbus.core.model import VOLUME_DIGITS, App, Device, Kind, Stream, clean
from pwmixer_dbus.core.records import dataclass, field, replace
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.table import lasting, with_entry, without

APPS, DEVICES, DEVICES_PER_APP = 1000, 200, 32
"""How many are remembered; beyond that, what has been unused longest is forgotten."""

DAY = 86400
"""When something was last used is kept to the day, so that using it does not write the file each time."""

LAST_DAY = 253370764800
"""9999-01-01, the latest day that is kept; a clock may be set to anything."""

GRACE = 2.0
"""Seconds after its birth in which a stream's own volume says nothing about what a person wants, and is corrected.

This is where nothing else is set; a `Moment` has what is in force.
"""

LATE = 0.25
"""Seconds by which a change may be heard of after it was made: what is set at the end of the grace is within it."""

BIRTH = 0.05
"""Seconds that count as its birth, at which it gets what is remembered however short the grace is."""

SETTLING = 1.0
"""Seconds after an upheaval (a device, a default, the server) in which what other programs do says nothing either."""

ECHO = 1.0
"""Seconds after a command of ours in which a change of the same setting may still be its echo."""

CORRECTIONS, CORRECTIONS_IN = 5, 30.0
"""How often a stream is corrected within how many seconds; more would be a fight that nobody wins."""

BY_HAND = frozenset({"user", "fade"})
"""The kinds of `Origin` behind which a person is acting at this very moment."""

NOBODY = "stream:"
"""How the ids of applications begin that nobody could recognise again; they are never remembered."""

_DEVICE_KEYS = (f"{Kind.SINK}:", f"{Kind.SOURCE}:")

_BLUETOOTH_NAME = re.compile(r"bluez_\w+\.((?:[0-9A-F]{2}[_:]){5}[0-9A-F]{2})\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[0-9A-F]{2}[_:]){5}[0-9A-F]{2}", re.IGNORECASE)

E = TypeVar("E", bound="KnownApp | KnownDevice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A volume and a mute that a person asked for; None where nobody asked. 1.0 = 100 %, at most 1.5."""

    volume: float | None = None
    muted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownApp:
    """What is remembered of an application, running or not.

    `levels` are by `playback` and `capture` for what it does on any device, and by `device_key` for one device; those
    of devices stand in the order in which they were set. `first_volume` is where its playback may start at most until a
    person sets a volume. `preferred_sink` and `preferred_source` are device keys, "" for none. `used` is a day, as
    seconds since 1970.
    """

    app_id: str
    name: str = ""
    icon_name: str = ""
    levels: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))
    locked: bool = False
    max_volume: float | None = None
    first_volume: float | None = None
    preferred_sink: str = ""
    preferred_source: str = ""
    used: int = 0

    @property
    def is_bare(self) -> bool:
        """Whether nobody has asked anything of it; such a one is forgotten first."""
        asked = (self.levels, self.locked, self.preferred_sink, self.preferred_source)
        return not any(asked) and self.max_volume is None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """What is remembered of a device, present or not. `key` is its `device_key`, `name` what people read."""

    key: str
    name: str = ""
    level: Level = Level()
    locked: bool = False
    max_volume: float | None = None
    used: int = 0

    @property
    def is_bare(self) -> bool:
        """Whether nobody has asked anything of it; such a one is forgotten first."""
        return self.level == Level() and not self.locked and self.max_volume is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that is remembered: applications by id, devices by key, and whether rules have been switched off."""

    apps: Mapping[str, KnownApp] = field(default_factory=lambda: MappingProxyType({}))
    devices: Mapping[str, KnownDevice] = field(default_factory=lambda: MappingProxyType({}))
    rules_off: bool = False

    @property
    def is_full(self) -> bool:
        """Whether whoever is new may have taken the place of another."""
        return len(self.apps) >= APPS or len(self.devices) >= DEVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class AppIntent:
    """What a person wants of an application. KEEP leaves a setting as it is, None gives it up ("" for a preferred device).

    `devices` are the keys of those that it was on, "" for no device at all. Where there are none, the wish is for all: what
    was remembered for single devices gives way, to what `on_devices` says of them. `kind` is PLAYBACK or CAPTURE; None is
    whatever it is known to do, else playback.
    """

    app_id: str
    name: str = ""
    icon_name: str = ""
    kind: Kind | None = None
    devices: tuple[str, ...] = ()
    volume: float | Keep | None = KEEP
    muted: bool | Keep | None = KEEP
    locked: bool | Keep = KEEP
    max_volume: float | Keep | None = KEEP
    preferred_sink: str | Keep = KEEP
    preferred_source: str | Keep = KEEP
    on_devices: OnDevices = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIntent:
    """What a person wants of a device, by its key. KEEP leaves a setting as it is, None gives it up."""

    key: str
    name: str = ""
    volume: float | Keep | None = KEEP
    muted: bool | Keep | None = KEEP
    locked: bool | Keep = KEEP
    max_volume: float | Keep | None = KEEP


Intent = AppIntent | DeviceIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is wanted of one stream or device: None where nothing is. `max_volume` is the lowest cap that is remembered.

    `at_most` is a safe first volume, where there is no volume. `where` says whether the volume, or without one the mute,
    was asked for on this device or anywhere.
    """

    volume: float | None = None
    muted: bool | None = None
    locked: bool = False
    max_volume: float | None = None
    at_most: float | None = None
    preferred: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Our own latest command for a setting: who wanted it, and when it was last on its way (now, while it is pending)."""

    command: LevelCommand
    origin: Origin
    at: float


NO_WRITES: Mapping[Slot, Write] = MappingProxyType({})


class Moment(NamedTuple):
    """When something happens, in seconds of one monotonic clock, and what happened before.

    `born_at`: when the stream or device in question appeared; for a stream that the session manager is to link, when it
    was first linked, or now if it has not been. `unrest_at`: when there last were changes that `is_upheaval` calls one,
    these included. `writes`: our own latest command for each setting. `grace`: for how many seconds from its birth a
    stream is new.
    """

    now: float
    born_at: float = -math.inf
    unrest_at: float = -math.inf
    writes: Mapping[Slot, Write] = NO_WRITES
    grace: float = GRACE

    @property
    def is_in_grace(self) -> bool:
        """Whether what was born has not yet had time to say what it means."""
        return self.now - self.born_at < (self.grace + LATE if self.grace else BIRTH)

    def fresh_write(self, slot: Slot) -> Write | None:
        """Return our own command for a setting where a change of that may be its echo."""
        write = self.writes.get(slot)
        return write if write is not None and self.now - write.at < ECHO else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """Commands, with the reason for them or for there being none; `again_at` is when to look again without a cause."""

    commands: tuple[Command, ...] = ()
    reason: str = ""
    again_at: float | None = None


# --- which device is it


def device_key(device: Device) -> str:
    """Name a device so that it is known again: `sink:` or `source:`, and its name; a Bluetooth one's address.

    The name of a Bluetooth device changes with its profile (bluez_output.80_99_E7_00_00_01.a2dp-sink), its address never.
    """
    properties = device.properties
    address = properties.get("api.bluez5.address", "")
    if not address and properties.get("device.api", "").startswith("bluez"):
        address = properties.get("device.string", "")
    return _device_key(device.kind, device.name, address, device.is_monitor)


@lru_cache(maxsize=DEVICES)  # it is asked for with each step of a slider
def _device_key(kind: Kind, name: str, address: str, is_monitor: bool) -> str:
    if not _ADDRESS.fullmatch(address):
        found = _BLUETOOTH_NAME.match(name)
        address = found[1] if found else ""
    if not address:
        return clean(f"{kind}:{name}")
    monitor = ".monitor" if is_monitor else ""
    return f"{kind}:{address.upper().replace('_', ':')}{monitor}"


def device_of_key(state: MixerState, key: str) -> Device | None:
    """Find the device that a key names, if it is there now."""
    return next((device for device in state.devices.values() if device_key(device) == key), None)


def keys_of_places(state: MixerState, streams: Iterable[Stream]) -> tuple[str, ...]:
    """Return the keys of the devices that streams are on, each once: "" for the placeholder; a stream on none adds nothing."""
    devices = [state.device_of(stream) for stream in streams if stream.device is not None]
    return tuple(dict.fromkeys("" if device is None else device_key(device) for device in devices))


def is_device_key(text: str) -> bool:
    """Whether this is the key of a device, of any that there may ever be."""
    return text.startswith(_DEVICE_KEYS) and clean(text) == text


# --- what is learned


def learned(memory: Memory, intent: Intent, now: float) -> Memory:
    """Return the memory with one more intent; `now` is wall-clock seconds. Total: what makes no sense changes nothing."""
    return all_learned(memory, (intent,), now)


def all_learned(memory: Memory, intents: Iterable[Intent], now: float) -> Memory:
    """Return the memory with more intents, in their order."""
    apps, devices, day = memory.apps, memory.devices, _day(now)
    for intent in intents:
        if isinstance(intent, DeviceIntent):
            devices = _device_learned(devices, intent, day)
        else:
            apps = _app_learned(apps, intent, day)
    if apps is memory.apps and devices is memory.devices:
        return memory
    return bounded(replace(memory, apps=apps, devices=devices))


def _app_learned(apps: Mapping[str, KnownApp], intent: AppIntent, day: int) -> Mapping[str, KnownApp]:
    app_id = clean(intent.app_id)
    if not app_id or app_id.startswith(NOBODY):
        return apps
    known = apps.get(app_id) or KnownApp(app_id=app_id, name=app_id)
    volume, kind = _sane(intent.volume), intent.kind or _direction(known)
    app = replace(
        known,
        name=_text(intent.name, known.name),
        icon_name=_text(intent.icon_name, known.icon_name),
        levels=_levels(known, intent, kind, volume),
        locked=kept(known.locked, intent.locked),
        max_volume=kept(known.max_volume, _sane(intent.max_volume)),
        first_volume=known.first_volume if volume is KEEP or kind is Kind.CAPTURE else None,
        preferred_sink=_preferred(Kind.SINK, known.preferred_sink, intent.preferred_sink),
        preferred_source=_preferred(Kind.SOURCE, known.preferred_source, intent.preferred_source),
        used=day,
    )
    return _put_last(apps, app_id, known, app)


def met(memory: Memory, app: App, now: float, first_volume: float | None = None) -> Memory:
    """Return the memory after an application was seen, so that it is known later when it does not run.

    At most once a day for each application this differs, whatever it calls itself. `first_volume` is the safe one for
    those that were never seen.
    """
    app_id, today = clean(app.app_id), _day(now)
    if not app_id or app_id.startswith(NOBODY):
        return memory
    known = memory.apps.get(app_id)
    if known is None:
        known = KnownApp(app_id=app_id, first_volume=first_volume)
    elif known.used == today:
        return memory
    fresh = replace(
        known,
        name=clean(app.name) or known.name or app_id,
        icon_name=clean(app.icon_name) or known.icon_name,
        used=today,
    )
    after = bounded(replace(memory, apps=_put_last(memory.apps, app_id, known, fresh)))
    return after if app_id in after.apps else memory


def forgotten(memory: Memory, app_id: str | None) -> Memory:
    """Return the memory without one application; None forgets all of them, devices too."""
    if app_id is None:
        return Memory(rules_off=memory.rules_off)
    if app_id not in memory.apps:
        return memory
    return replace(memory, apps=without(memory.apps, app_id))


def device_forgotten(memory: Memory, key: str) -> Memory:
    """Return the memory without one device, neither its own level nor those of applications on it."""
    apps = {
        app_id: _without_device(app, key) if key in _keys_in(app) else app
        for app_id, app in memory.apps.items()
    }
    devices = {k: v for k, v in memory.devices.items() if k != key}
    after = replace(memory, apps=apps, devices=devices)
    return memory if after == memory else after


def bounded(memory: Memory) -> Memory:
    """Return the memory within its limits: of those of which nothing was asked, the longest unused go first."""
    if len(memory.apps) <= APPS and len(memory.devices) <= DEVICES:
        return memory
    return replace(
        memory, apps=_most_wanted(memory.apps, APPS), devices=_most_wanted(memory.devices, DEVICES)
    )


def _device_learned(
    devices: Mapping[str, KnownDevice], intent: DeviceIntent, day: int
) -> Mapping[str, KnownDevice]:
    if not is_device_key(intent.key):
        return devices
    known = devices.get(intent.key) or KnownDevice(key=intent.key, name=intent.key)
    device = replace(
        known,
        name=clean(intent.name) or known.name,
        level=_set(known.level, _sane(intent.volume), intent.muted),
        locked=kept(known.locked, intent.locked),
        max_volume=kept(known.max_volume, _sane(intent.max_volume)),
        used=day,
    )
    return _put_last(devices, device.key, known, device)


def _levels(
    known: KnownApp, intent: AppIntent, kind: Kind, volume: float | Keep | None
) -> Mapping[str, Level]:
    """Set the level for any device, and those for the devices named; where none is named, those give way."""
    if volume is KEEP and intent.muted is KEEP:
        return known.levels
    levels = dict(known.levels)
    levels[kind] = _set(levels.get(kind, Level()), volume, intent.muted)
    of_its_kind = f"{kind.devices}:"
    if intent.devices:
        for key in intent.devices:
            if key.startswith(of_its_kind) and is_device_key(key):
                levels[key] = _set(levels.pop(key, Level()), volume, intent.muted)  # put last, for the limit
    else:
        given_up = (KEEP if volume is KEEP else None, KEEP if intent.muted is KEEP else None)
        for key in [key for key in levels if key.startswith(of_its_kind)]:
            levels[key] = _set(levels[key], *given_up)
    for key, volume_there, muted_there in intent.on_devices:
        back = (KEEP if volume is KEEP else volume_there, KEEP if intent.muted is KEEP else muted_there)
        levels[key] = _set(levels.get(key, Level()), *back)
    levels = {key: each for key, each in levels.items() if not (each.volume is None and each.muted is None)}
    if len(levels) <= DEVICES_PER_APP:
        return levels
    on_devices = [key for key in levels if is_device_key(key)]
    surplus = set(on_devices[: max(len(on_devices) - DEVICES_PER_APP, 0)])
    return {key: each for key, each in levels.items() if key not in surplus}


def _direction(known: KnownApp) -> Kind:
    if Kind.CAPTURE in known.levels and Kind.PLAYBACK not in known.levels:
        return Kind.CAPTURE
    return Kind.PLAYBACK


def _set(level: Level, volume: float | Keep | None, muted: bool | Keep | None) -> Level:
    return Level(volume=kept(level.volume, volume), muted=kept(level.muted, muted))


def _sane(volume: float | Keep | None) -> float | Keep | None:
    """Bring a volume into range; one that is no number says nothing."""
    if isinstance(volume, Keep) or volume is None:
        return volume
    if math.isnan(volume):
        return KEEP
    return round(min(max(volume, 0.0), gain.CEILING), VOLUME_DIGITS)


def _preferred(kind: Kind, known: str, wanted: str | Keep) -> str:
    if isinstance(wanted, Keep) or (wanted and not (is_device_key(wanted) and wanted.startswith(f"{kind}:"))):
        return known
    return wanted


def _keys_in(app: KnownApp) -> set[str]:
    return {*app.levels, app.preferred_sink, app.preferred_source}


def _without_device(app: KnownApp, key: str) -> KnownApp:
    return replace(
        app,
        levels={k: v for k, v in app.levels.items() if k != key},
        preferred_sink="" if app.preferred_sink == key else app.preferred_sink,
        preferred_source="" if app.preferred_source == key else app.preferred_source,
    )


def _most_wanted(entries: Mapping[str, E], limit: int) -> Mapping[str, E]:
    """Return at most `limit` entries: bare ones go first, then those used longest ago, of one day those that stand first."""
    surplus = len(entries) - limit
    if surplus <= 0:
        return entries
    ranked = sorted(entries.items(), key=lambda item: (not item[1].is_bare, item[1].used))
    if surplus == 1:  # as nearly always, and quicker then
        return without(entries, ranked[0][0])
    gone = dict(ranked[:surplus])
    return lasting({key: entry for key, entry in entries.items() if key not in gone})


def _text(said: str, known: str) -> str:
    """Return the new text, cleaned, or the known one where nothing is left of it."""
    return known if said == known else clean(said) or known


def _put_last(entries: Mapping[str, E], key: str, known: E, entry: E) -> Mapping[str, E]:
    """Put an entry last, where it is another one than was known."""
    if entry == known:
        return entries
    return with_entry(without(entries, key) if key in entries else entries, key, entry)


def _day(now: float) -> int:
    return int(min(max(now, 0), LAST_DAY) // DAY) * DAY if math.isfinite(now) else 0


# --- what is recalled


def recall(memory: Memory, app_id: str, kind: Kind, device: Device | None) -> Remembered:
    """Return what is wanted of a stream of an application, `kind` PLAYBACK or CAPTURE, on a device.

    Volume and mute each: what was asked on this device, else what was asked of the application, else nothing.
    """
    app = memory.apps.get(app_id)
    key = "" if device is None else device_key(device)
    cap = _cap(memory, app_id, key)
    if app is None:
        return Remembered(max_volume=cap)
    here, anywhere = app.levels.get(key, Level()), app.levels.get(kind, Level())
    volume = anywhere.volume if here.volume is None else here.volume
    is_here = here.volume is not None or (volume is None and here.muted is not None)
    return Remembered(
        volume=volume,
        muted=anywhere.muted if here.muted is None else here.muted,
        locked=app.locked,
        max_volume=cap,
        at_most=app.first_volume if volume is None and kind is Kind.PLAYBACK else None,
        preferred=app.preferred_sink if kind is Kind.PLAYBACK else app.preferred_source,
        where=" on this device" if is_here else "",
    )


def recall_device(memory: Memory, device: Device) -> Remembered:
    """Return what is wanted of a device itself."""
    known = memory.devices.get(device_key(device))
    if known is None:
        return Remembered()
    level = known.level
    return Remembered(
        volume=level.volume, muted=level.muted, locked=known.locked, max_volume=known.max_volume
    )


def _cap(memory: Memory, app_id: str, key: str) -> float | None:
    """Return the lower one of the caps of an application and of a device, by its key."""
    app, device = memory.apps.get(app_id), memory.devices.get(key)
    return _lowest(app.max_volume if app else None, device.max_volume if device else None)


def _lowest(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


# --- whether it was a person


def is_upheaval(changes: Iterable[Change]) -> bool:
    """Whether what other programs do in the `SETTLING` seconds after these changes may merely follow from them.

    A device, its port or a card's profile; a default, the connection or the server; a stream that moves.
    """
    for change in changes:
        kind, before, after = change.kind, change.before, change.after
        if kind is Kind.SERVER:
            return True
        if kind not in _UPSETTING:
            continue
        if before is None or after is None:
            if kind.is_device:
                return True
        elif getattr(before, _UPSETTING[kind]) != getattr(after, _UPSETTING[kind]):
            return True
    return False


_UPSETTING: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.SINK: "active_port",
        Kind.SOURCE: "active_port",
        Kind.CARD: "active_profile",
        Kind.PLAYBACK: "device",
        Kind.CAPTURE: "device",
    }
)
"""What of a record is an upheaval where it changes."""


def intent_of(
    change: Change, origin: Origin, moment: Moment, state: MixerState, memory: Memory
) -> Intent | None:
    """Return what a person wants, given a change and who is behind it; None where it says nothing of that.

    `state` is the one after the change. Each setting by itself, in this order:

    1. Only a volume or mute of what was there before and still is, and the wish for an application, can be an intent.
       A move is none: it lasts as long as the stream, until the person has it remembered.
    2. A setting that we wrote ourselves within `ECHO` seconds: if a user asked for that, it is what the user *asked*,
       which may differ from what a device makes of it; if a rule, a step of a fade or our own enforcement did,
       nothing.
    3. What another program did (origin server, or in the midst of a fade, which gives way, or of a user's request for
       something else) counts as a person's doing, unless it may as well be the program's own or the session manager's:
       within `grace` seconds of birth, within `SETTLING` seconds of an upheaval, while there is no connection, together
       with a move, another port or other channels, or against a lock.
    4. Anything else does not count.
    """
    before, after = change.before, change.after
    if isinstance(before, App) and isinstance(after, App):
        return asked_for_app(after, _wish(before, after, origin), state)
    volume, muted = meant(change, origin, moment, state, memory)
    if not isinstance(after, Stream | Device) or (volume is KEEP and muted is KEEP):
        return None
    return intent_for(after, volume, muted, state, memory)


def meant(
    change: Change, origin: Origin, moment: Moment, state: MixerState, memory: Memory
) -> tuple[float | Keep, bool | Keep]:
    """Return the volume and the mute that `intent_of` takes a change of a stream or a device for, before any cap."""
    before, after = change.before, change.after
    known: KnownApp | KnownDevice | None
    if isinstance(before, Stream) and isinstance(after, Stream):
        known, is_there = memory.apps.get(after.identity.app_id), before.device == after.device
    elif isinstance(before, Device) and isinstance(after, Device):
        known, is_there = memory.devices.get(device_key(after)), before.active_port == after.active_port
    else:
        return KEEP, KEEP
    counts = (
        origin.kind in {"server", "fade", "user"}
        and is_there
        and not (known is not None and known.locked)
        and state.connected
        and before.positions == after.positions
        and moment.now - moment.unrest_at >= SETTLING
        and not moment.is_in_grace
    )
    return _volume_intent(before, after, moment, counts), _mute_intent(before, after, moment, counts)


def intent_for(
    record: Stream | Device, volume: float | Keep, muted: bool | Keep, state: MixerState, memory: Memory
) -> Intent:
    """Return the wish for a stream's application on its device, or for a device; a volume is within the cap in force."""
    device = record if isinstance(record, Device) else state.device_of(record)
    app_id, own = ("", None) if isinstance(record, Device) else (record.identity.app_id, record.max_volume)
    key = "" if device is None else device_key(device)
    cap = _lowest(_cap(memory, app_id, key), own, state.settings.max_volume)
    return asked_for(record, _capped(volume, cap), muted, state)


def asked_for(record: Stream | Device, volume: float | Keep, muted: bool | Keep, state: MixerState) -> Intent:
    """Return likewise what a person has asked for through us, whatever a cap makes of it."""
    if isinstance(record, Device):
        return DeviceIntent(key=device_key(record), name=record.description, volume=volume, muted=muted)
    identity = record.identity
    return AppIntent(
        app_id=identity.app_id,
        name=identity.name,
        icon_name=identity.icon_name,
        kind=record.kind,
        devices=keys_of_places(state, (record,)),
        volume=volume,
        muted=muted,
    )


def asked_for_app(app: App, wish: AppWanted, state: MixerState) -> AppIntent | None:
    """Return what a person wants of an application as a whole, where it plays now; None where that is nothing."""
    wanted = (wish.volume, wish.muted, wish.preferred_sink, wish.preferred_source)
    if all(each is KEEP for each in wanted):
        return None
    streams = [s for s in state.streams_of(app) if s.has_volume]
    # The same streams that the request was about: what it plays, or where it only records, what it records.
    kind = next((k for k in (Kind.PLAYBACK, Kind.CAPTURE) if any(s.kind is k for s in streams)), None)
    return AppIntent(
        app_id=app.app_id,
        name=app.name,
        icon_name=app.icon_name,
        kind=kind,
        devices=keys_of_places(state, (s for s in streams if s.kind is kind)),
        volume=wish.volume,
        muted=wish.muted,
        preferred_sink=wish.preferred_sink,
        preferred_source=wish.preferred_source,
        on_devices=wish.on_devices,
    )


def _wish(before: App, after: App, origin: Origin) -> AppWanted:
    """Return what of a change of an application is a person's wish."""
    is_users = origin.kind == "user"  # those of an undo are learned as they were asked
    is_preferred = is_users or origin.kind == "undo"
    sink, source = after.preferred_sink, after.preferred_source
    return AppWanted(
        app_id=after.app_id,
        volume=after.volume if is_users and before.volume != after.volume else KEEP,
        muted=after.muted if is_users and before.muted != after.muted else KEEP,
        preferred_sink=sink if is_preferred and before.preferred_sink != sink else KEEP,
        preferred_source=source if is_preferred and before.preferred_source != source else KEEP,
    )


def _volume_intent(
    before: Stream | Device, after: Stream | Device, moment: Moment, counts: bool
) -> float | Keep:
    level = gain.level(after.channels)
    if gain.same(gain.level(before.channels), level):
        return KEEP  # a change of the balance alone is none of what is remembered
    write = moment.fresh_write((SetVolume, (after.kind, after.index)))
    if write is not None and isinstance(write.command, SetVolume):
        return gain.level(write.command.channels) if write.origin.kind == "user" else KEEP
    return level if counts else KEEP


def _mute_intent(
    before: Stream | Device, after: Stream | Device, moment: Moment, counts: bool
) -> bool | Keep:
    if before.muted == after.muted:
        return KEEP
    write = moment.fresh_write((SetMuted, (after.kind, after.index)))
    if write is not None and isinstance(write.command, SetMuted):
        return write.command.muted if write.origin.kind == "user" else KEEP
    return after.muted if counts else KEEP


def _capped(volume: float | Keep, cap: float | None) -> float | Keep:
    return volume if isinstance(volume, Keep) or cap is None else min(volume, cap)


# --- what is enforced


def enforcement(
    before: Stream | None,
    stream: Stream,
    remembered: Remembered,
    moment: Moment,
    *,
    corrected_at: Iterable[float] = (),
    limit: float = gain.CEILING,
) -> Enforcement:
    """Return what has to be corrected at a stream, which was `before` (None at its birth, or to look at all of it again).

    `corrected_at` are the times of the corrections so far, `limit` is the highest volume of all. In words, each setting
    by itself, and only where it differs from before, or the device or the application does:

    1. What shows our own latest write, and what a person is setting just now, is left alone up to the cap; but a write
       that enforced what is remembered for another device says nothing of this one.
    2. A volume above a cap comes down to it, at any time.
    3. What is remembered is set: within `grace` seconds of birth, and with a lock at any time.
    4. An application never seen before starts at its safe first volume at most, until a person sets one.

    After `CORRECTIONS` in `CORRECTIONS_IN` seconds the stream is let be; one with a lock or above a cap, unless it is `gain.NEAR`
    what it should be, is looked at again when the first of them is that long ago.
    """
    recent = sorted(t for t in corrected_at if moment.now < t + CORRECTIONS_IN)  # as `again_at` has it
    found = [
        *_volume_correction(before, stream, remembered, moment, limit),
        *_mute_correction(before, stream, remembered, moment),
    ]
    if not found:
        return Enforcement()
    reason = "; ".join(reason for _, reason, _ in found)
    if len(recent) < CORRECTIONS:
        return Enforcement(commands=tuple(command for command, _, _ in found), reason=reason)
    is_for_good = any(for_good for _, _, for_good in found)
    return Enforcement(
        reason=f"{reason}; but it was corrected {len(recent)} times and is let be",
        again_at=recent[-CORRECTIONS] + CORRECTIONS_IN if is_for_good else None,
    )


_Correction = tuple[Command, str, bool]
"""A command, its reason, and whether it is due at any time and not only in the grace window."""


def _volume_correction(
    before: Stream | None, stream: Stream, remembered: Remembered, moment: Moment, limit: float
) -> Iterable[_Correction]:
    level, name = gain.level(stream.channels), stream.identity.name
    if not (stream.has_volume and stream.volume_writable and stream.channels):
        return
    is_same_case = before is not None and _is_same_case(before, stream)
    if before is not None and is_same_case and before.channels == stream.channels:
        return
    cap = min(limit, gain.CEILING if remembered.max_volume is None else remembered.max_volume)
    slot = (SetVolume, (stream.kind, stream.index))
    if level <= cap and _is_left_alone(moment, slot, stream, is_same_case=is_same_case):
        return
    wanted, reason = level, ""
    if remembered.volume is not None and (moment.is_in_grace or remembered.locked):
        wanted = remembered.volume
        lock = ", and is locked" if remembered.locked else ""
        reason = f"{name} was set to {wanted:.0%}{remembered.where}{lock}, and shows {level:.0%}"
    elif remembered.at_most is not None and moment.is_in_grace:
        wanted = min(level, remembered.at_most)
        reason = f"{name} is new, and starts at {wanted:.0%} at most"
    if wanted > cap:
        wanted, reason = cap, f"{name} may not be above {cap:.0%}, and shows {level:.0%}"
    if not gain.same(wanted, level):
        channels = gain.with_level(stream.channels, wanted)
        # A device with coarse steps never shows what it is set to.
        is_for_good = (remembered.locked or level > cap) and abs(wanted - level) > gain.NEAR
        yield SetVolume(key=slot[1], channels=channels), reason, is_for_good


def _mute_correction(
    before: Stream | None, stream: Stream, remembered: Remembered, moment: Moment
) -> Iterable[_Correction]:
    if remembered.muted is None or remembered.muted == stream.muted or not stream.has_volume:
        return
    if not (moment.is_in_grace or remembered.locked):
        return
    is_same_case = before is not None and _is_same_case(before, stream)
    if before is not None and is_same_case and before.muted == stream.muted:
        return
    slot = (SetMuted, (stream.kind, stream.index))
    if _is_left_alone(moment, slot, stream, is_same_case=is_same_case):
        return
    lock = ", and is locked" if remembered.locked else ""
    reason = f"{stream.identity.name} was {'' if remembered.muted else 'un'}muted{remembered.where}{lock}"
    yield SetMuted(key=slot[1], muted=remembered.muted), reason, remembered.locked


def _is_left_alone(moment: Moment, slot: Slot, stream: Stream, *, is_same_case: bool) -> bool:
    """Whether the first case of `enforcement` holds for a setting of a stream."""
    write = moment.writes.get(slot)
    if write is None:
        return False
    if write.origin.kind in BY_HAND and moment.fresh_write(slot) is not None:
        return True
    if not is_same_case and write.origin.kind == "memory":
        return False
    return sounds_so(stream, write.command)


def _is_same_case(before: Stream, stream: Stream) -> bool:
    """Whether the same is remembered for a stream as before: nothing of its device or application differs."""
    return before.device == stream.device and before.identity.app_id == stream.identity.app_id
