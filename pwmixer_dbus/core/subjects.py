"""What can be announced, and what a change of one record means for others."""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from pwmixer_dbus.core.document import Level, level_of
from pwmixer_dbus.core.model import App, Card, Client, Device, Group, Kind, Record, Stream
from pwmixer_dbus.core.records import fields
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.verbs import telling_streams

Subject = tuple[Kind, Any]
"""A device, card or group by name, a stream by index, an app by id, the whole as SERVER, a default device as (kind, None)."""

ROOT_SUBJECT: Subject = (Kind.SERVER, None)
DEFAULTS = (Kind.SINK, Kind.SOURCE)


def subject_of(record: Record | None) -> Subject:
    """Return the key by which the announcements of an object are collected."""
    match record:
        case App():
            return Kind.APP, record.app_id
        case Card():
            return Kind.CARD, record.name
        case Device():
            return record.kind, record.name
        case Stream():
            return record.kind, record.index
        case Group():
            return Kind.GROUP, record.name
    return ROOT_SUBJECT


def target_of(state: MixerState, subject: Subject) -> Target | None:
    """Return the object behind a subject; None where it has gone."""
    kind, key = subject
    if kind is Kind.PLAYBACK or kind is Kind.CAPTURE:
        return state.streams.get((kind, key))
    if kind is Kind.APP:
        return state.apps.get(key)
    if kind is Kind.CARD:
        return next((card for card in state.cards.values() if card.name == key), None)
    if kind is Kind.GROUP:
        return state.group_named(key)
    if key is None:
        return state.default(kind) if kind in DEFAULTS else None
    return state.device_named(kind, key)


def shown_by(stream: Stream) -> Iterator[Subject]:
    """List what shows something of a stream beside it: its application and its group."""
    yield Kind.APP, stream.identity.app_id
    if stream.group:
        yield Kind.GROUP, stream.group


Louder = tuple[Subject, Target, Level, Level]
"""An object whose level may differ: its subject, the object, its level before, and its level now."""


def louder(before: MixerState, state: MixerState, change: Change) -> list[Louder]:
    """List the objects whose level may differ after a change of level only, the changed object itself first."""
    was, record = change.before, change.after
    if isinstance(was, Stream) and isinstance(record, Stream):
        old, new = level_of(before, was), level_of(state, record)
        found: list[Louder] = [((record.kind, record.index), record, old, new)]
        app = state.apps.get(record.identity.app_id)
        if app is not None:
            # Nearly all are of one stream only, which has been looked at already.
            if len(app.streams) == 1 and record.has_volume and record.device is not None:
                old, new = Level(old.volume, old.muted), Level(new.volume, new.muted)
            else:
                old, new = level_of(before, app), level_of(state, app)
            found.append(((Kind.APP, app.app_id), app, old, new))
        if record.group:
            found += _louder_group(before, state, record.group)
        return found
    if not (isinstance(was, Device) and isinstance(record, Device)):
        return []
    if state.device_named(record.kind, record.name) is not record:
        return []  # of two devices of one name, the first is the one that is told of
    old, new = level_of(before, was), level_of(state, record)
    found = [((record.kind, record.name), record, old, new)]
    if state.server.default(record.kind) == record.name:
        found.append(((record.kind, None), record, old, new))
    return found


def _louder_group(before: MixerState, state: MixerState, name: str) -> list[Louder]:
    was, group = before.group_named(name), state.group_named(name)
    if was is None or group is None:
        return []
    return [((Kind.GROUP, name), group, level_of(before, was), level_of(state, group))]


def affected(before: MixerState, state: MixerState, changes: Iterable[Change]) -> Iterable[Subject]:
    """List what may look different after changes: the objects themselves, and what shows something of them."""
    clients: dict[int, None] = {}
    for change in changes:
        record = change.after or change.before
        if change.is_level:
            yield from [subject for subject, *_ in louder(before, state, change)]
        elif isinstance(record, Client):
            clients[record.index] = None
        else:
            yield from _affected(before, state, change)
    if clients:
        yield from [subject_of(stream) for index in clients for stream in state.streams_of_client(index)]


def _affected(before: MixerState, state: MixerState, change: Change) -> Iterable[Subject]:
    record = change.after or change.before
    match record:
        case Device():
            yield from _affected_by_device(before, state, record, change)
        case Stream():
            yield from _affected_by_stream(state, record, change)
        case Group():
            yield subject_of(record)
        case App():
            yield subject_of(record)
            if change.before is None or change.after is None:
                yield from (subject_of(s) for s in state.streams_of(record))
        case Card():
            yield subject_of(record)
            yield from (subject_of(d) for d in state.devices.values() if d.card == record.index)
        case _:
            yield from _affected_by_server(before, state)


def _affected_by_device(
    before: MixerState, state: MixerState, device: Device, change: Change
) -> Iterable[Subject]:
    yield subject_of(device)
    if device.name in (before.server.default(device.kind), state.server.default(device.kind)):
        yield device.kind, None
    if change.before is None or change.after is None:
        yield from _affected_by_coming_and_going(state, device)


def _affected_by_stream(state: MixerState, stream: Stream, change: Change) -> Iterable[Subject]:
    yield subject_of(stream)
    was = change.before
    if isinstance(was, Stream) and change.after is not None:
        if not shows_in_owners(was, stream):
            return
        ids = dict.fromkeys((was.identity.app_id, stream.identity.app_id))
    else:
        ids = {stream.identity.app_id: None}
    yield from [(Kind.APP, app_id) for app_id in ids if app_id in state.apps]
    if stream.group:
        yield Kind.GROUP, stream.group


def shows_in_owners(was: Stream, stream: Stream) -> bool:
    """Whether what differs of a stream may show in its application and its group."""
    return bool(_SEEN_IN_OWNERS(was) != _SEEN_IN_OWNERS(stream))


def _affected_by_coming_and_going(state: MixerState, device: Device) -> Iterable[Subject]:
    yield ROOT_SUBJECT
    for stream in state.streams.values():
        if stream.kind.devices is device.kind:  # it may be on it, and then has its cap
            yield subject_of(stream)
            yield from shown_by(stream)


def _affected_by_server(before: MixerState, state: MixerState) -> Iterable[Subject]:
    yield ROOT_SUBJECT
    for kind in DEFAULTS:
        yield kind, None
        for device in (before.default(kind), state.default(kind)):
            if device is not None:
                yield subject_of(device)
    known = (before.settings, before.caps, before.locked)
    if known != (state.settings, state.caps, state.locked):
        for records in (state.devices, state.streams, state.apps):
            yield from (subject_of(r) for r in records.values())
        yield from map(subject_of, state.groups())


_SEEN_IN_OWNERS = attrgetter(
    *("device", "channels", "muted", "corked", "has_volume", "volume_writable"),
    *("identity", "display_name", "icon_name", "hidden", "group", "max_volume"),
)
"""What of a stream shows in its application and its group."""

_BUT_FOR_WISH = attrgetter(*(field.name for field in fields(App) if field.name not in {"volume", "muted"}))


def is_of_level(change: Change) -> bool:
    """Whether a change is one of how loud something is, or shall be when it plays again, and of nothing else.

    What it affects then looks different in its level only. It is by far the most frequent one.
    """
    if change.is_level:
        return True
    old, new = change.before, change.after
    return isinstance(old, App) and isinstance(new, App) and _BUT_FOR_WISH(old) == _BUT_FOR_WISH(new)


def is_unseen(state: MixerState, changes: Iterable[Change]) -> bool:
    """Whether changes cannot be seen yet: what an application wishes for its level shows only while no stream tells it."""
    return all(
        isinstance(change.after, App) and is_of_level(change) and telling_streams(state, {}, change.after)
        for change in changes
    )


def first_apps(target: Target) -> int:
    """Order objects so that what is named comes before what names it."""
    return (Card, Device, App, Stream, Group).index(type(target))
