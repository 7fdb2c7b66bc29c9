"""What is known of the mixer, and `apply`, the only place where it changes.

`apply` is total and idempotent: an unknown index is a no-op, the same event twice changes nothing, and any list of
events ends in what a fresh snapshot of the final world gives, but for stream numbers, apps that have fallen silent, and
streams whose client has gone before them: those keep the application that they were given to.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, assert_never

from pwmixer_dbus.core.directory import Directory, age, directory_of, entered
from pwmixer_dbus.core.events import (
    AppsWanted,
    AppWanted,
    Capped,
    Configured,
    Disconnected,
    Event,
    Forgotten,
    Gone,
    Known,
    Levelled,
    Routed,
    Seen,
    Snapshot,
    kept,
)
from pwmixer_dbus.core.identity import identify, is_of_the_past
from pwmixer_dbus.core.model import (
    UNRESOLVED,
    App,
    Card,
    Client,
    Device,
    Group,
    Identity,
    Key,
    Kind,
    Record,
    Server,
    Stream,
)
from pwmixer_dbus.core.records import dataclass, field, fields, replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.table import lasting, with_entry, without

KNOWN_APPS = 1000
"""How many applications are remembered; beyond that, the one that has been silent longest is forgotten."""

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerState:
    """Everything that is known. `generation` grows by one with every change; `connected` is False while stale.

    `directory` has the indexes of the streams. `caps` are the highest volumes of applications and devices, by
    app id and by device key; `locked` are those of them that are held where they are.
    """

    connected: bool = False
    server: Server = field(default_factory=Server)
    devices: Mapping[Key, Device] = field(default_factory=dict)
    streams: Mapping[Key, Stream] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)
    clients: Mapping[int, Client] = field(default_factory=dict)
    cards: Mapping[int, Card] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    settings: Settings = field(default_factory=Settings)
    next_number: int = 1
    generation: int = 0

    def device_named(self, kind: Kind, name: str) -> Device | None:
        """Find a sink or source by its name."""
        for device in self.devices.values():
            if device.name == name and device.kind is kind:
                return device
        return None

    def audible(self, key: Key) -> Device | Stream | None:
        """Find a device or a stream by its key."""
        return self.devices.get(key) or self.streams.get(key)

    def stream_numbered(self, number: str) -> Stream | None:
        """Find a stream by its number, as it is written in a selector or a path."""
        key = self.directory.numbers.get(number)
        return None if key is None else self.streams.get(key)

    def default(self, kind: Kind) -> Device | None:
        """Find the default sink or source; None is a state, not an error."""
        name = self.server.default(kind)
        return self.device_named(kind, name) if name else None

    def lacks_default(self, kind: Kind) -> bool:
        """Whether there are sinks, or sources, of which none is the default: one is about to be chosen."""
        return self.default(kind) is None and any(device.kind is kind for device in self.devices.values())

    def device_of(self, stream: Stream) -> Device | None:
        """Find the device that a stream is connected to; None while it is between two."""
        return None if stream.device is None else self.devices.get((stream.kind.devices, stream.device))

    def client_of(self, stream: Stream) -> Client | None:
        """Find the client that owns a stream."""
        return None if stream.client is None else self.clients.get(stream.client)

    def streams_of_client(self, index: int) -> list[Stream]:
        """List the streams of a client."""
        return list(self._there(self.directory.clients.get(index, ())))

    def streams_of(self, owner: App | Group) -> Iterator[Stream]:
        """Go through the streams of an application or a group, oldest first."""
        return self._there(owner.streams)

    def _there(self, keys: Iterable[Key]) -> Iterator[Stream]:
        return (self.streams[key] for key in keys if key in self.streams)

    def groups(self) -> list[Group]:
        """List the groups that have a stream now."""
        return [self._group(name, keys) for name, keys in self.directory.groups.items()]

    def group_named(self, name: str) -> Group | None:
        """Find a group by its name; there is none without a stream."""
        keys = self.directory.groups.get(name)
        return None if keys is None else self._group(name, keys)

    def _group(self, name: str, keys: Iterable[Key]) -> Group:
        ordered = sorted(self._there(keys), key=lambda s: s.number)
        return Group(name=name, streams=tuple((s.kind, s.index) for s in ordered))


class Change(NamedTuple):
    """One record that is new (no `before`), different, or gone (no `after`).

    For the kind SERVER, connection, defaults or settings may be what differs. `is_level` says that nothing differs but how
    loud a stream or a device is, as `levelled` has it; there is no other change beside such a one.
    """

    kind: Kind
    before: Record | None
    after: Record | None
    is_level: bool = False


Result = tuple[MixerState, tuple[Change, ...]]


def apply(state: MixerState, event: Event) -> Result:
    """Return the state after an event, and what differs from before."""
    return levelled(state, event) or more_than_levelled(state, event)


def levelled(state: MixerState, event: Event) -> Result | None:
    """Return what `apply` does with an event that only says how loud an object is; None for any other event.

    Nearly all events in a storm are such, and need no look at applications, groups and identities.
    """
    if type(event) is Levelled:
        return _louder(state, event, state.streams.get(event.key))
    if type(event) is not Seen:
        return None
    shown = event.record
    if type(shown) is Stream:
        return _stream_levelled(state, shown)
    return _device_levelled(state, shown) if type(shown) is Device else None


def _stream_levelled(state: MixerState, shown: Stream) -> Result | None:
    key = (shown.kind, shown.index)
    known = state.streams.get(key)
    if (
        known is None
        or shown.number not in {0, known.number}
        or _STEADY_OF_STREAMS(known) != _STEADY_OF_STREAMS(shown)
    ):
        return None
    return _louder(state, Levelled(key, shown.channels, shown.muted), known)


def _louder(state: MixerState, event: Levelled, known: Stream | None) -> Result | None:
    key, channels, muted = event
    if known is None or len(channels) != len(known.channels):
        return None
    if channels == known.channels and muted == known.muted:
        return state, ()
    stream = replace(known, channels=channels, muted=muted)
    streams = with_entry(state.streams, key, stream)
    change = Change(kind=key[0], before=known, after=stream, is_level=True)
    return replace(state, streams=streams, generation=state.generation + 1), (change,)


def _device_levelled(state: MixerState, shown: Device) -> Result | None:
    key = (shown.kind, shown.index)
    known = state.devices.get(key)
    if known is None or _STEADY_OF_DEVICES(known) != _STEADY_OF_DEVICES(shown):
        return None
    if shown.channels == known.channels and shown.muted == known.muted:
        return state, ()
    if len(shown.channels) != len(known.channels):
        return None
    devices = with_entry(state.devices, key, shown)
    change = Change(kind=key[0], before=known, after=shown, is_level=True)
    return replace(state, devices=devices, generation=state.generation + 1), (change,)


def _all_but(record: type[Any], *names: str) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads all fields of a record but these."""
    return attrgetter(*(each.name for each in fields(record) if each.name not in names))


_DECIDED = (
    *("number", "identity", "routed_by", "display_name"),
    *("icon_name", "hidden", "group", "max_volume"),
)
"""The fields of a stream that do not come from the sound server, but are decided here."""

_STEADY_OF_STREAMS = _all_but(Stream, "channels", "muted", *_DECIDED)
_STEADY_OF_DEVICES = _all_but(Device, "channels", "muted")


def more_than_levelled(state: MixerState, event: Event) -> Result:
    """Return what `apply` does with an event for which `levelled` returns None; right for every event, but slower."""
    after, changes = _applied(state, event)
    if not changes:
        return state, ()
    changes = _with_groups(state, after, changes)
    if after.generation == state.generation:
        after = replace(after, generation=state.generation + 1)
    return after, changes


def _with_groups(before: MixerState, after: MixerState, changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Add which groups have come, have other streams, or have gone."""
    names: set[str] = set()
    for change in changes:
        was, now = getattr(change.before, "group", ""), getattr(change.after, "group", "")
        if was != now:
            names |= {was, now}
    if not names:  # as nearly always
        return changes
    pairs = ((before.group_named(name), after.group_named(name)) for name in sorted(names))
    return (*changes, *(_change(known, group) for known, group in pairs if known != group))


def seen_in(state: MixerState) -> Snapshot | Disconnected:
    """Return a state as a listing by the server would show it, without anything that was decided here."""
    if not state.connected:
        return Disconnected(reason="there is none")
    return Snapshot(
        server=state.server,
        devices=tuple(state.devices.values()),
        streams=tuple(
            _as_decided(stream, Stream(kind=stream.kind, index=stream.index), 0, UNRESOLVED)
            for stream in state.streams.values()
        ),
        clients=tuple(state.clients.values()),
        cards=tuple(state.cards.values()),
    )


def _applied(state: MixerState, event: Event) -> Result:
    match event:
        case Seen(record=record):
            return _seen(state, record)
        case Gone(kind=kind, index=index):
            return _gone(state, kind, index)
        case Snapshot():
            after = _from_snapshot(state, event)
            return after, tuple(_differences(state, after))
        case Levelled():
            return state, ()  # of a stream that is not known, or is another one
        case Disconnected():
            return _server_changed(state, replace(state, connected=False))
        case _:
            return _chosen(state, event)


def _chosen(
    state: MixerState, event: AppWanted | AppsWanted | Configured | Routed | Known | Forgotten | Capped
) -> Result:
    """Apply an event that does not come from the sound server."""
    match event:
        case AppWanted():
            return _apps_wanted(state, (event,))
        case AppsWanted(wishes=wishes):
            return _apps_wanted(state, wishes)
        case Configured(settings=settings):
            return _configured(state, settings)
        case Routed():
            return _routed(state, event)
        case Known(apps=apps):
            return _known(state, apps)
        case Forgotten(app_id=app_id):
            return _forgotten(state, app_id)
        case Capped():
            return _capped(state, event)
    assert_never(event)


def _seen(state: MixerState, record: Device | Stream | Client | Card | Server) -> Result:
    match record:
        case Device(is_placeholder=True) | Stream(is_meter=True):
            return _gone(state, record.kind, record.index)  # its name or properties may have come late
        case Stream():
            return _stream_seen(state, record)
        case Device():
            key = (record.kind, record.index)
            before = state.devices.get(key)
            if before == record:
                return state, ()
            return replace(state, devices=with_entry(state.devices, key, record)), _shown(before, record)
        case Client():
            return _client_seen(state, record)
        case Card():
            known = state.cards.get(record.index)
            if known == record:
                return state, ()
            return replace(state, cards=with_entry(state.cards, record.index, record)), _shown(known, record)
        case Server():
            return _server_changed(state, replace(state, server=_without_placeholders(record)))
    assert_never(record)


def _shown(before: Device | Card | None, after: Device | Card) -> tuple[Change, ...]:
    """Return the changes at an index. An object of another name there is another object, as it is in a snapshot."""
    if before is None or before.name == after.name:
        return (_change(before, after),)
    return _change(before, None), _change(None, after)


def _gone(state: MixerState, kind: Kind, index: int) -> Result:
    if kind.is_stream:
        return _stream_gone(state, (kind, index))
    if kind.is_device:
        device = state.devices.get((kind, index))
        if device is None:
            return state, ()
        return replace(state, devices=without(state.devices, (kind, index))), (_change(device, None),)
    if kind is Kind.CARD and index in state.cards:
        return replace(state, cards=without(state.cards, index)), (_change(state.cards[index], None),)
    if kind is Kind.CLIENT and index in state.clients:
        return replace(state, clients=without(state.clients, index)), (_change(state.clients[index], None),)
    return state, ()


def _stream_seen(state: MixerState, stream: Stream) -> Result:
    known = state.streams.get((stream.kind, stream.index))
    if known is None:
        return _stream_born(state, stream)
    identity = known.identity if _same_evidence(known, stream) else _identity_of(state, stream, known)
    number = stream.number or known.number
    stream = _as_decided(stream, known, number, identity)
    if stream == known:
        return state, ()
    after = replace(
        state,
        streams=with_entry(state.streams, (stream.kind, stream.index), stream),
        directory=entered(state.directory, known, stream),
        next_number=max(state.next_number, number + 1),
    )
    after, app_changes = _regrouped(after, stream, known.identity)
    return after, (_change(known, stream), *app_changes)


def _stream_born(state: MixerState, stream: Stream) -> Result:
    """Give a new stream its number and application, in as few steps as can be: a rule's move waits for that."""
    number = stream.number or state.next_number
    identity = identify(stream, state.client_of(stream), state.settings.aliases)
    stream = replace(stream, number=number, identity=identity)
    key = (stream.kind, stream.index)
    streams = with_entry(state.streams, key, stream)
    known = state.apps.get(identity.app_id)
    app = _joined(streams, known, key, identity)
    apps, forgotten = _bounded(with_entry(state.apps, identity.app_id, app))
    after = replace(
        state,
        streams=streams,
        directory=entered(state.directory, None, stream),
        apps=apps,
        next_number=max(state.next_number, number + 1),
        generation=state.generation + 1,
    )
    born = Change(key[0], None, stream)
    if known is not None and app == known:
        return after, (born, *forgotten)
    return after, (born, Change(Kind.APP, known, app), *forgotten)


def _as_decided(stream: Stream, known: Stream, number: int, identity: Identity) -> Stream:
    """Return a stream with all that has been decided of it so far."""
    return replace(
        stream,
        number=number,
        identity=identity,
        routed_by=known.routed_by,
        display_name=known.display_name,
        icon_name=known.icon_name,
        hidden=known.hidden,
        group=known.group,
        max_volume=known.max_volume,
    )


def _same_evidence(known: Stream, stream: Stream) -> bool:
    return (
        known.properties == stream.properties
        and known.client == stream.client
        and known.process == stream.process
        and (known.media_name == stream.media_name or bool(stream.properties))
    )


def _stream_gone(state: MixerState, key: Key) -> Result:
    stream = state.streams.get(key)
    if stream is None:
        return state, ()
    after = replace(
        state, streams=without(state.streams, key), directory=entered(state.directory, stream, None)
    )
    after, app_changes = _left(after, key, stream.identity)
    return after, (_change(stream, None), *app_changes)


def _client_seen(state: MixerState, client: Client) -> Result:
    known = state.clients.get(client.index)
    if known == client:
        return state, ()
    after = replace(state, clients=with_entry(state.clients, client.index, client))
    changes = [_change(known, client)]
    for stream in after.streams_of_client(client.index):
        after, more = _identified(after, stream)
        changes += more
    return after, tuple(changes)


def _identity_of(state: MixerState, stream: Stream, known: Stream | None) -> Identity:
    """Say what a stream is, which was `known` before; what its client has said counts even when that has gone."""
    client, aliases = state.client_of(stream), state.settings.aliases
    if known is not None and known.client == stream.client and is_of_the_past(known, client, aliases):
        return known.identity
    return identify(stream, client, aliases)


def _identified(state: MixerState, stream: Stream) -> Result:
    identity = identify(stream, state.client_of(stream), state.settings.aliases)
    if identity == stream.identity:
        return state, ()
    renamed = replace(stream, identity=identity)
    after = replace(state, streams=with_entry(state.streams, (stream.kind, stream.index), renamed))
    after, app_changes = _regrouped(after, renamed, stream.identity)
    return after, (_change(stream, renamed), *app_changes)


def _regrouped(state: MixerState, stream: Stream, previous: Identity | None) -> Result:
    """Put a stream under its application, and take it from the one where it stood."""
    identity = stream.identity
    if identity == previous:
        return state, ()
    key = (stream.kind, stream.index)
    changes: tuple[Change, ...] = ()
    if previous is not None and previous.app_id != identity.app_id:
        state, changes = _left(state, key, previous)
    known = state.apps.get(identity.app_id)
    app = _joined(state.streams, known, key, identity)
    if app == known:
        return state, changes
    apps, forgotten = _bounded(with_entry(state.apps, app.app_id, app))
    return replace(state, apps=apps), (*changes, _change(known, app), *forgotten)


def _joined(streams: Mapping[Key, Stream], known: App | None, key: Key, identity: Identity) -> App:
    """Return the application of this identity with one more stream."""
    if known is None:
        return App(app_id=identity.app_id, name=identity.name, icon_name=identity.icon_name, streams=(key,))
    if known.streams and key not in known.streams and age(key) > max(map(age, known.streams)):
        # As of nearly all: the older ones have named it, and are not gone through again.
        icon_name = known.icon_name or identity.icon_name
        return replace(known, streams=(*known.streams, key), icon_name=icon_name)
    return _named(streams, replace(known, streams=tuple(dict.fromkeys((*known.streams, key)))))


def _named(streams: Mapping[Key, Stream], app: App) -> App:
    """Name an application that plays after its oldest stream, whatever the history."""
    identities = (streams[key].identity for key in sorted(app.streams, key=age))
    oldest = next(identities)
    icon_name = oldest.icon_name or next((i.icon_name for i in identities if i.icon_name), "")
    return replace(app, name=oldest.name, icon_name=icon_name)


def _left(state: MixerState, key: Key, identity: Identity) -> Result:
    """Take a stream from its application, which stays known unless nobody could ever recognise it again."""
    app = state.apps.get(identity.app_id)
    if app is None or key not in app.streams:
        return state, ()
    rest = list(app.streams)
    rest.remove(key)
    quieter = replace(app, streams=tuple(rest))
    if rest and (app.icon_name or age(key) < min(map(age, rest))):  # else it has named nothing
        quieter = _named(state.streams, quieter)
    others = without(state.apps, app.app_id)
    if not quieter.streams and app.app_id.startswith("stream:"):
        return replace(state, apps=others), (_change(app, None),)
    # Put last: the order of `apps` is that in which they fell silent, for `_bounded`.
    return replace(state, apps=with_entry(others, app.app_id, quieter)), (_change(app, quieter),)


def _bounded(apps: Mapping[str, App]) -> tuple[Mapping[str, App], tuple[Change, ...]]:
    surplus = len(apps) - KNOWN_APPS
    if surplus <= 0:
        return apps, ()
    forgotten = list(islice((app for app in apps.values() if not app.streams), surplus))
    for app in forgotten:
        apps = without(apps, app.app_id)
    return apps, tuple(_change(app, None) for app in forgotten)


def _apps_wanted(state: MixerState, wishes: Iterable[AppWanted]) -> Result:
    wanted: dict[str, App] = {}
    for wish in wishes:
        app = wanted.get(wish.app_id) or state.apps.get(wish.app_id)
        if app is not None:
            wanted[wish.app_id] = _with_wish(app, wish)
    different = {app_id: app for app_id, app in wanted.items() if app != state.apps[app_id]}
    if not different:
        return state, ()
    changes = tuple(_change(state.apps[app_id], app) for app_id, app in different.items())
    apps = state.apps
    for app_id, app in different.items():
        apps = with_entry(apps, app_id, app)
    return replace(state, apps=apps), changes


def _with_wish(app: App, wish: AppWanted) -> App:
    return replace(
        app,
        volume=kept(app.volume, wish.volume),
        muted=kept(app.muted, wish.muted),
        preferred_sink=kept(app.preferred_sink, wish.preferred_sink),
        preferred_source=kept(app.preferred_source, wish.preferred_source),
    )


def _routed(state: MixerState, event: Routed) -> Result:
    key = (event.kind, event.index)
    stream = state.streams.get(key)
    if stream is None:
        return state, ()
    routed = replace(
        stream,
        routed_by=event.by,
        display_name=event.display_name,
        icon_name=event.icon_name,
        hidden=event.hidden,
        group=event.group,
        max_volume=event.max_volume,
    )
    if routed == stream:
        return state, ()
    after = replace(
        state,
        streams=with_entry(state.streams, key, routed),
        directory=entered(state.directory, stream, routed),
    )
    return after, (_change(stream, routed),)


def _known(state: MixerState, apps: tuple[App, ...]) -> Result:
    room = max(KNOWN_APPS - len(state.apps), 0)
    new = {app.app_id: replace(app, streams=()) for app in apps if app.app_id not in state.apps}
    surplus = set(list(new)[: max(len(new) - room, 0)])
    new = {app_id: app for app_id, app in new.items() if app_id not in surplus}
    if not new:
        return state, ()
    # Put first: they have been silent for longer than any that was seen since.
    return replace(state, apps=lasting({**new, **state.apps})), tuple(
        _change(None, app) for app in new.values()
    )


def _forgotten(state: MixerState, app_id: str) -> Result:
    app = state.apps.get(app_id)
    if app is None or app.streams:
        nothing = AppWanted(app_id=app_id, volume=None, muted=None, preferred_sink="", preferred_source="")
        return _apps_wanted(state, (nothing,))
    return replace(state, apps=without(state.apps, app_id)), (_change(app, None),)


def _capped(state: MixerState, event: Capped) -> Result:
    if event.caps == state.caps and event.locked == state.locked:
        return state, ()
    # What a cap holds for is told of as a whole, as with settings: caps are few, and seldom change.
    after = replace(state, caps=dict(event.caps), locked=event.locked)
    return after, (_change(state.server, state.server),)


def _configured(state: MixerState, settings: Settings) -> Result:
    if settings == state.settings:
        return state, ()
    after = replace(state, settings=settings)
    changes = [_change(state.server, state.server)]
    if settings.aliases != state.settings.aliases:
        for stream in state.streams.values():
            if not is_of_the_past(stream, state.client_of(stream), state.settings.aliases):
                after, more = _identified(after, stream)
                changes += more
    return after, tuple(changes)


def _server_changed(state: MixerState, after: MixerState) -> Result:
    if after.server == state.server and after.connected == state.connected:
        return state, ()
    return after, (_change(state.server, after.server),)


def _without_placeholders(server: Server) -> Server:
    sink = "" if server.default_sink == "auto_null" else server.default_sink
    source = "" if server.default_source == "auto_null.monitor" else server.default_source
    return replace(server, default_sink=sink, default_source=source)


def _from_snapshot(state: MixerState, snapshot: Snapshot) -> MixerState:
    """Build the state anew, as if each of its records was seen by itself; known apps and their wishes stay."""
    same_life = snapshot.server.cookie == state.server.cookie
    after = replace(
        state,
        connected=True,
        server=_without_placeholders(snapshot.server),
        devices={(d.kind, d.index): d for d in snapshot.devices if not d.is_placeholder},
        clients=lasting({client.index: client for client in snapshot.clients}),
        cards={card.index: card for card in snapshot.cards},
    )
    streams: dict[Key, Stream] = {}
    members: dict[str, list[Key]] = {}
    next_number = state.next_number
    listed = {(stream.kind, stream.index): stream for stream in snapshot.streams}
    for key, shown in sorted(listed.items(), key=lambda item: item[1].index):
        if shown.is_meter:
            continue
        known = state.streams.get(key, shown) if same_life else shown
        number = known.number or next_number
        next_number = max(next_number, number + 1)
        identity = _identity_of(after, shown, known)
        streams[key] = _as_decided(shown, known, number, identity)
        members.setdefault(identity.app_id, []).append(key)
    directory = directory_of(streams.values())
    after = replace(after, streams=lasting(streams), directory=directory, next_number=next_number)
    return replace(after, apps=_regrouped_anew(after, members, same_life=same_life))


def _regrouped_anew(
    state: MixerState, members: Mapping[str, Iterable[Key]], *, same_life: bool
) -> Mapping[str, App]:
    """Return the applications that are known when each has just these streams, and no other has any."""
    # What played comes last: of those that are silent now, it was the last to be so.
    known = sorted(state.apps.values(), key=lambda app: bool(app.streams))
    apps = {
        app.app_id: replace(app, streams=())
        for app in known
        if same_life or not app.app_id.startswith("stream:")
    }
    for app_id, keys in members.items():
        app = apps.get(app_id) or App(app_id=app_id, name=app_id)
        apps[app_id] = _named(state.streams, replace(app, streams=tuple(keys)))
    bounded, _ = _bounded(apps)
    return lasting({i: app for i, app in bounded.items() if app.streams or not i.startswith("stream:")})


def _differences(before: MixerState, after: MixerState) -> Iterator[Change]:
    if (before.connected, before.server) != (after.connected, after.server):
        yield _change(before.server, after.server)
    yield from _map_differences(_by_name(before.cards), _by_name(after.cards))
    yield from _map_differences(_by_name(before.devices), _by_name(after.devices))
    yield from _map_differences(before.clients, after.clients)
    # Numbers, not indexes: a new life of the server counts its indexes anew.
    yield from _map_differences(_by_number(before.streams), _by_number(after.streams))
    yield from _map_differences(before.apps, after.apps)


def _by_name(mapping: Mapping[K, Device] | Mapping[K, Card]) -> Mapping[tuple[str, str, int], Device | Card]:
    """Key what outlives a restart of the server by what stays the same over it; namesakes are counted."""
    named: dict[tuple[str, str, int], Device | Card] = {}
    count: Counter[tuple[str, str]] = Counter()
    records: list[Device | Card] = [*mapping.values()]
    for record in sorted(records, key=lambda r: r.index):
        name = getattr(record, "kind", Kind.CARD), record.name
        named[*name, count[name]] = record
        count[name] += 1
    return named


def _by_number(streams: Mapping[Key, Stream]) -> Mapping[int, Stream]:
    return {stream.number: stream for stream in streams.values()}


def _map_differences(before: Mapping[K, R], after: Mapping[K, R]) -> Iterator[Change]:
    for key, record in before.items():
        if key not in after:
            yield _change(record, None)
    for key, record in after.items():
        known = before.get(key)
        if known != record:
            yield _change(known, record)


_KINDS: Mapping[type, Kind] = {
    Client: Kind.CLIENT,
    Card: Kind.CARD,
    App: Kind.APP,
    Group: Kind.GROUP,
    Server: Kind.SERVER,
}


def _change(before: Record | None, after: Record | None) -> Change:
    record = after or before
    kind = record.kind if isinstance(record, Device | Stream) else _KINDS[type(record)]
    return Change(kind=kind, before=before, after=after)
