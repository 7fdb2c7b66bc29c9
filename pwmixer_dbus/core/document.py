"""The state as plain dictionaries: the one projection that every outlet shares.

Keys are stable and only added to; the command line's templates and `Describe` expose them as they stand here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, assert_never

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.identity import evidence_for
from pwmixer_dbus.core.memory import device_key, device_of_key
from pwmixer_dbus.core.model import App, Card, Device, Group, Kind, Port, Profile, Properties, Stream
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.verbs import audible_streams, max_volume, muted_of, telling_streams, volume_of

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Document = dict[str, Value]

ABSENT_DEVICE = Device(kind=Kind.SINK, index=0xFFFFFFFF, name="", channels=(), state="absent")
"""What the alias of a default device shows while there is none."""

_FORM_ICONS = {
    "headset": "audio-headset",
    "headphone": "audio-headphones",
    "headphones": "audio-headphones",
    "microphone": "audio-input-microphone",
    "webcam": "camera-web",
    "speaker": "audio-speakers",
    "tv": "video-display",
    "hands-free": "audio-headset",
    "handset": "phone",
    "portable": "audio-card",
}


_AUDIBLE = (Device, Stream)


class Level(NamedTuple):
    """How loud an object is: what changes most. An application or a group has no channels."""

    volume: float
    muted: bool
    channels: tuple[float, ...] = ()


def describe(state: MixerState) -> Document:
    """Return the whole state."""
    return {**_facts(state), **{name: [*objects] for name, objects in _objects(state)}}


def written(state: MixerState, write: Callable[[Document], str]) -> str:
    """Return the whole state as JSON, of which `write` writes one object.

    Objects are written one by one: the dictionaries of all of them at once would fragment memory, and cost 0.25 MB for
    good.
    """
    lists = (f'"{name}": [{", ".join(map(write, objects))}]' for name, objects in _objects(state))
    return f"{write(_facts(state))[:-1]}, {', '.join(lists)}}}"


def _facts(state: MixerState) -> Document:
    """Return what the mixer has as a whole, and not for each object."""
    return {
        "generation": state.generation,
        "connected": state.connected,
        "server": {"name": state.server.name, "version": state.server.version},
        "defaults": {"sink": state.server.default_sink, "source": state.server.default_source},
        "settings": {"max_volume": state.settings.max_volume, "step": state.settings.step},
    }


def _objects(state: MixerState) -> Iterator[tuple[str, Iterator[Document]]]:
    """Go through the lists of all objects, in order."""
    devices = sorted(state.devices.values(), key=lambda d: d.index)
    streams = sorted(state.streams.values(), key=lambda s: s.number)
    apps = sorted(
        state.apps.values(), key=lambda a: (not a.streams, _app_name(state, a).casefold(), a.app_id)
    )
    groups = sorted(state.groups(), key=lambda g: (g.name.casefold(), g.name))
    cards = sorted(state.cards.values(), key=lambda c: c.index)
    yield "sinks", (describe_device(state, d) for d in devices if d.kind is Kind.SINK)
    yield "sources", (describe_device(state, d) for d in devices if d.kind is Kind.SOURCE)
    yield "streams", (describe_stream(state, s) for s in streams)
    yield "apps", (describe_app(state, a) for a in apps)
    yield "groups", (describe_group(state, g) for g in groups)
    yield "cards", (describe_card(c) for c in cards)


def describe_target(state: MixerState, target: Target) -> Document:
    """Return one object, whatever it is."""
    match target:
        case Device():
            return describe_device(state, target)
        case Stream():
            return describe_stream(state, target)
        case App():
            return describe_app(state, target)
        case Group():
            return describe_group(state, target)
        case Card():
            return describe_card(target)
    assert_never(target)


def differing(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """List the keys under which two documents of objects of one kind say different things."""
    return [key for key, was, now in zip(new, old.values(), new.values(), strict=True) if was != now]


def level_of(state: MixerState, target: Target) -> Level:
    """Return how loud an object is, for a tenth of what `describe_target` costs; a card raises NotSupportedError."""
    if isinstance(target, _AUDIBLE):
        return Level(gain.level(target.channels), target.muted, target.channels)
    telling = () if isinstance(target, Card) else telling_streams(state, {}, target)
    if len(telling) == 1:  # as with nearly all
        return Level(gain.level(telling[0].channels), telling[0].muted)
    if telling:
        return Level(max(gain.level(s.channels) for s in telling), all(s.muted for s in telling))
    return Level(volume_of(state, {}, target), muted_of(state, {}, target))


def as_document(level: Level) -> Document:
    """Return a level as that part of a document."""
    return {"volume": level.volume, "muted": level.muted, "channel_volumes": list(level.channels)}


def describe_device(state: MixerState, device: Device) -> Document:
    """Return a sink or source."""
    card = None if device.card is None else state.cards.get(device.card)
    return {
        "selector": selector_of(device),
        "kind": device.kind.value,
        "index": device.index,
        "name": device.name,
        "description": device.description,
        "icon_name": _device_icon(device),
        **as_document(level_of(state, device)),
        "positions": list(device.positions),
        "state": device.state,
        "default": bool(device.name) and state.server.default(device.kind) == device.name,
        "monitor": device.is_monitor,
        "virtual": device.virtual,
        "form_factor": device.properties.get("device.form_factor", ""),
        "bus": device.properties.get("device.bus", ""),
        "card": None if card is None else card.name,
        "active_port": device.active_port,
        "ports": [_option(p) for p in device.ports],
        "max_volume": max_volume(state, device),
        "volume_writable": bool(device.channels),
        "locked": device_key(device) in state.locked,
    }


def describe_stream(state: MixerState, stream: Stream) -> Document:
    """Return a stream. `device` is a name, null between two devices; `pid` is 0 where it is unknown."""
    device = state.device_of(stream)
    return {
        "selector": selector_of(stream),
        "kind": stream.kind.value,
        "number": stream.number,
        "index": stream.index,
        "name": _stream_name(stream),
        "description": stream.media_name,
        "direction": stream.kind.value,
        "app_id": stream.identity.app_id,
        "app_name": _stream_name(stream),
        "media_name": stream.media_name,
        "icon_name": stream.icon_name or stream.identity.icon_name,
        "role": _property(state, stream, "media.role"),
        "binary": _property(state, stream, "application.process.binary"),
        "pid": 0 if stream.process is None else stream.process.pid,
        "device": None if device is None else device.name,
        **as_document(level_of(state, stream)),
        "positions": list(stream.positions),
        "corked": stream.corked,
        "state": "corked" if stream.corked else "running",
        "max_volume": max_volume(state, stream),
        "volume_writable": stream.has_volume and stream.volume_writable,
        "locked": stream.identity.app_id in state.locked,
        "routed_by": stream.routed_by,
        "hidden": stream.hidden,
        "group": stream.group,
    }


def describe_app(state: MixerState, app: App) -> Document:
    """Return an application; `streams` are stream numbers, and `hidden` is it when all of them are."""
    streams = list(state.streams_of(app))
    name = _common([s.display_name for s in streams]) or app.name
    active = not all(s.corked for s in streams)
    return {
        "selector": selector_of(app),
        "kind": Kind.APP.value,
        "app_id": app.app_id,
        "name": name,
        "description": name,
        "icon_name": _common([s.icon_name for s in streams]) or app.icon_name,
        "streams": [s.number for s in streams],
        "active": active,
        "state": "running" if active else "idle",
        **as_document(level_of(state, app)),
        "max_volume": max_volume(state, app),
        "volume_writable": not streams or any(s.volume_writable for s in audible_streams(state, app)),
        "locked": app.app_id in state.locked,
        "hidden": bool(streams) and all(s.hidden for s in streams),
        "preferred_device": _preferred(state, app.preferred_sink),
        "preferred_source": _preferred(state, app.preferred_source),
    }


def describe_group(state: MixerState, group: Group) -> Document:
    """Return a group; `streams` are stream numbers, `apps` the ids of their applications, each once."""
    streams = list(state.streams_of(group))
    audible = audible_streams(state, group)
    active = any(not s.corked for s in streams)
    return {
        "selector": selector_of(group),
        "kind": Kind.GROUP.value,
        "name": group.name,
        "description": group.name,
        "icon_name": _common(s.icon_name or s.identity.icon_name for s in streams),
        "streams": [s.number for s in streams],
        "apps": [*dict.fromkeys(s.identity.app_id for s in streams)],
        "active": active,
        "state": "running" if active else "idle",
        **as_document(level_of(state, group)),
        "max_volume": max_volume(state, group),
        "volume_writable": any(s.volume_writable for s in audible),
        "locked": all(s.identity.app_id in state.locked for s in streams),
        "hidden": all(s.hidden for s in streams),
    }


def describe_card(card: Card) -> Document:
    """Return a card."""
    return {
        "selector": selector_of(card),
        "kind": Kind.CARD.value,
        "index": card.index,
        "name": card.name,
        "description": card.description,
        "icon_name": card.properties.get("device.icon_name") or "audio-card",
        "active_profile": card.active_profile,
        "profiles": [_option(p) for p in card.profiles],
        "ports": [_option(p) for p in card.ports],
    }


def explain_stream(state: MixerState, stream: Stream) -> Document:
    """Return why a stream is what it is and where it is: the evidence for its application, and its device."""
    device = state.device_of(stream)
    facts = evidence_for(stream, state.client_of(stream), state.settings.aliases)
    evidence: list[Value] = [{"source": f.source, "value": f.value, "verdict": f.verdict} for f in facts]
    return {
        "stream": selector_of(stream),
        "media_name": stream.media_name,
        "app_id": stream.identity.app_id,
        "app_name": stream.identity.name,
        "evidence": evidence,
        "rules": [],
        "desired_device": None,
        "actual_device": None if device is None else device.name,
        "moved_by": "",
    }


def all_properties(state: MixerState, target: Target) -> Properties:
    """Return the property list of an object; a stream's are completed by its client's."""
    match target:
        case Stream():
            client = state.client_of(target)
            inherited: Mapping[str, str] = {} if client is None else client.properties
            return {**inherited, **target.properties}
        case App() | Group():
            return {}
        case Device() | Card():
            return target.properties
    assert_never(target)


def _preferred(state: MixerState, key: str) -> str:
    """Return the selector of a device, or while that is away its key; "" for none."""
    device = device_of_key(state, key) if key else None
    return key if device is None else selector_of(device)


def _stream_name(stream: Stream) -> str:
    return stream.display_name or stream.identity.name


def _app_name(state: MixerState, app: App) -> str:
    """Return what an application is called: what rules say of all its streams alike, else its own name."""
    return _common(s.display_name for s in state.streams_of(app)) or app.name


def _common(texts: Iterable[str]) -> str:
    """Return the one text that all of these are; "" where they differ."""
    different = set(texts)
    return different.pop() if len(different) == 1 else ""


def _option(option: Port | Profile) -> Document:
    return {"name": option.name, "description": option.description, "available": option.available.value}


def _property(state: MixerState, stream: Stream, name: str) -> str:
    value = stream.properties.get(name)
    if value:
        return value
    client = state.client_of(stream)
    return "" if client is None else client.properties.get(name, "")


def _device_icon(device: Device) -> str:
    named = device.properties.get("device.icon_name") or device.properties.get("device.icon-name")
    if named:
        return named
    form = _FORM_ICONS.get(device.properties.get("device.form_factor", ""))
    if form:
        return form
    return "audio-card" if device.kind is Kind.SINK or device.is_monitor else "audio-input-microphone"
