"""Invariant 3: `apply` is total and idempotent, and its states are what a fresh snapshot of the same world gives."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from build import (
    MUSIC,
    after,
    app,
    capture,
    card,
    client,
    crowd,
    playback,
    server,
    sink,
    snapshot,
    source,
    state_of,
    stream,
    wanted,
)
from hypothesis import example, given
from hypothesis import strategies as st

from pwmixer_dbus.core.directory import directory_of
from pwmixer_dbus.core.events import (
    KEEP,
    AppsWanted,
    AppWanted,
    Capped,
    Configured,
    Disconnected,
    Event,
    Gone,
    Levelled,
    Routed,
    Seen,
    Snapshot,
)
from pwmixer_dbus.core.model import App, Card, Client, Device, Group, Key, Kind, Record, Server, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import (
    KNOWN_APPS,
    Change,
    MixerState,
    apply,
    levelled,
    more_than_levelled,
)
from pwmixer_dbus.core.subjects import Subject, subject_of

# --- what each event does


def test_a_new_object_is_known_and_told() -> None:
    state, changes = apply(state_of(), Seen(record=sink()))
    assert state.devices == {(Kind.SINK, 1): sink()}
    assert changes == (Change(kind=Kind.SINK, before=None, after=sink()),)


def test_a_changed_object_is_told_with_what_it_was() -> None:
    state, changes = apply(state_of(sink(volume=0.5)), Seen(record=sink(volume=0.7)))
    assert changes == (
        Change(kind=Kind.SINK, before=sink(volume=0.5), after=sink(volume=0.7), is_level=True),
    )
    assert state.generation == 2


def test_the_same_object_again_is_nothing_new() -> None:
    state = state_of(sink(), playback(client=5), client(), card())
    for record in (sink(), playback(client=5), client(), card(), server()):
        assert apply(state, Seen(record=record)) == (state, ())


@pytest.mark.parametrize(
    ("one", "other"), [(sink(1, "old"), sink(1, "new", 0.7)), (card(1, "old"), card(1, "new"))]
)
def test_another_name_at_the_same_index_is_another_object(one: Device | Card, other: Device | Card) -> None:
    state, changes = apply(state_of(one), Seen(record=other))
    assert [(change.before, change.after) for change in changes] == [(one, None), (None, other)]
    assert state == replace(state_of(other), generation=2)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_nobody_knows_can_go(kind: Kind) -> None:
    state = state_of(sink())
    assert apply(state, Gone(kind=kind, index=99)) == (state, ())


def test_a_sink_and_a_source_may_share_an_index() -> None:
    state = after(state_of(sink(1), source(1)), Gone(kind=Kind.SINK, index=1))
    assert list(state.devices) == [(Kind.SOURCE, 1)]


def test_a_removed_sink_clears_the_default() -> None:
    state = state_of(sink())
    assert state.default(Kind.SINK) == sink()
    assert after(state, Gone(kind=Kind.SINK, index=1)).default(Kind.SINK) is None


def test_no_device_at_all_is_a_state() -> None:
    state = state_of(server("auto_null", "auto_null.monitor"), sink(name="auto_null"))
    assert state.devices == {}
    assert (state.server.default_sink, state.server.default_source) == ("", "")
    assert state.default(Kind.SINK) is None


def test_a_meter_is_no_stream() -> None:
    meter = capture(properties={"resample.peaks": "true"})
    assert state_of(meter).streams == {}
    assert apply(state_of(), Seen(record=meter)) == (state_of(), ())


def test_a_lost_server_leaves_what_is_known_as_stale() -> None:
    state, changes = apply(state_of(sink(), playback()), Disconnected(reason="x"))
    assert not state.connected
    assert state.devices
    assert state.streams
    assert [c.kind for c in changes] == [Kind.SERVER]


def test_a_reconnect_tells_only_what_differs() -> None:
    state = after(state_of(sink(1), source(2)), Disconnected(reason="x"))
    again = snapshot(sink(1), source(2, volume=0.9))
    state, changes = apply(state, again)
    assert state.connected
    assert [c.kind for c in changes] == [Kind.SERVER, Kind.SOURCE]


def test_a_sink_keeps_its_place_over_a_restart_that_gives_it_another_index() -> None:
    _, changes = apply(state_of(sink(1)), snapshot(server(cookie=2), sink(44)))
    assert [(c.before, c.after) for c in changes if c.kind is Kind.SINK] == [(sink(1), sink(44))]


@pytest.mark.parametrize(("cookie", "number"), [(1, 1), (2, 2)])
def test_a_stream_keeps_its_number_over_a_reconnect_but_not_over_a_restart(cookie: int, number: int) -> None:
    state = after(state_of(playback()), Disconnected(reason="x"), snapshot(server(cookie=cookie), playback()))
    assert stream(state).number == number


def test_a_stream_that_comes_back_under_its_index_is_a_new_one() -> None:
    state = after(state_of(playback()), Gone(kind=Kind.PLAYBACK, index=10), Seen(record=playback()))
    assert stream(state).number == 2


def test_what_is_decided_of_a_stream_is_kept_until_something_else_is() -> None:
    decided = Routed(
        kind=Kind.PLAYBACK,
        index=10,
        by="person",
        display_name="Radio",
        icon_name="radio",
        hidden=True,
        group="x",
    )
    state = after(state_of(playback()), decided)
    assert apply(state, decided) == (state, ())
    state = after(state, Seen(record=playback(volume=0.2)), snapshot(playback(volume=0.3)))
    known = stream(state)
    assert (known.routed_by, known.display_name, known.icon_name) == ("person", "Radio", "radio")
    assert (known.hidden, known.group, known.channels) == (True, "x", (0.3, 0.3))
    assert undecided(stream(after(state, Routed(kind=Kind.PLAYBACK, index=10, by="")))) == undecided(known)
    assert not stream(after(state, snapshot(server(cookie=2), playback()))).hidden


# --- applications


def test_a_stream_belongs_to_its_application() -> None:
    state = state_of(playback(10), capture(20), playback(11, binary="video"))
    assert app(state).streams == ((Kind.PLAYBACK, 10), (Kind.CAPTURE, 20))
    assert app(state, "bin:video").streams == ((Kind.PLAYBACK, 11),)


def test_the_streams_of_an_application_stand_in_the_order_in_which_they_came() -> None:
    state = after(state_of(), *(Seen(record=playback(i)) for i in (12, 10, 11)), Seen(record=playback(12)))
    assert [s.index for s in state.streams_of(app(state))] == [12, 10, 11]


def test_a_client_that_comes_late_names_its_streams() -> None:
    state = after(state_of(), Seen(record=playback(binary="", client=5)))
    assert list(state.apps) == ["stream:playback-10"]
    state, changes = apply(state, Seen(record=client(5)))
    assert list(state.apps) == [MUSIC]
    assert [c.kind for c in changes] == [Kind.CLIENT, Kind.PLAYBACK, Kind.APP, Kind.APP]


def test_a_client_that_goes_before_its_stream_leaves_it_its_name() -> None:
    state = state_of(playback(binary="", client=5), client(5))
    assert app(after(state, Gone(kind=Kind.CLIENT, index=5))).streams == ((Kind.PLAYBACK, 10),)


def test_whatever_comes_after_its_client_has_gone_a_stream_keeps_its_application() -> None:
    state = after(state_of(playback(binary="", client=5), client(5)), Gone(kind=Kind.CLIENT, index=5))
    titled = playback(binary="", client=5, media_name="a song", properties={"media.title": "a song"})
    for event in (
        Seen(record=titled),
        Configured(settings=Settings(aliases={"bin:other": "bin:another"})),
        snapshot(titled),
    ):
        state = after(state, event)
        assert [*state.apps] == [MUSIC]
    state = after(state, Seen(record=client(5, "video")))
    assert app(state, "bin:video").streams == ((Kind.PLAYBACK, 10),)
    state = after(state, Gone(kind=Kind.CLIENT, index=5), Seen(record=playback(binary="game", client=6)))
    assert app(state, "bin:game").streams == ((Kind.PLAYBACK, 10),)
    assert app(after(state, snapshot(server(cookie=2), titled)), "stream:playback-10").streams


def test_an_application_that_falls_silent_stays_known() -> None:
    state = after(state_of(playback()), wanted(0.4), Gone(kind=Kind.PLAYBACK, index=10))
    assert (app(state).streams, app(state).volume) == ((), 0.4)


def test_an_unknown_stream_takes_its_application_with_it() -> None:
    state, changes = apply(state_of(playback(binary="")), Gone(kind=Kind.PLAYBACK, index=10))
    assert state.apps == {}
    assert [(c.kind, c.after) for c in changes] == [(Kind.PLAYBACK, None), (Kind.APP, None)]


def test_a_wish_outlives_a_restart_of_the_server() -> None:
    state = after(state_of(playback()), wanted(0.4, muted=True), snapshot(server(cookie=2)))
    assert (app(state).volume, app(state).muted) == (0.4, True)


def test_the_wish_for_an_unknown_stream_dies_with_the_server_that_counted_it() -> None:
    state = after(state_of(playback(binary="")), wanted(0.4, app_id="stream:playback-10"))
    state = after(state, snapshot(server(cookie=2), playback(binary="")))
    assert app(state, "stream:playback-10").volume is None


def test_a_wish_for_one_setting_leaves_the_other() -> None:
    state = after(state_of(playback()), wanted(0.4), wanted(muted=True))
    assert (app(state).volume, app(state).muted) == (0.4, True)
    state = after(state, wanted(None))
    assert (app(state).volume, app(state).muted) == (None, True)


def test_nothing_can_be_wanted_of_what_was_never_seen() -> None:
    state = state_of()
    assert apply(state, wanted(0.4)) == (state, ())


def test_new_aliases_regroup_what_plays() -> None:
    state = after(
        state_of(playback(10), playback(11, binary="video")),
        Configured(settings=Settings(aliases={"bin:video": MUSIC})),
    )
    assert app(state).streams == ((Kind.PLAYBACK, 10), (Kind.PLAYBACK, 11))
    assert app(state, "bin:video").streams == ()


def test_new_settings_are_told_as_a_change_of_the_server() -> None:
    state, changes = apply(state_of(), Configured(settings=Settings(max_volume=0.8)))
    assert state.settings.max_volume == 0.8
    assert [c.kind for c in changes] == [Kind.SERVER]


def test_only_so_many_applications_are_remembered() -> None:
    state = after(state_of(), *crowd(KNOWN_APPS + 5))
    assert len(state.apps) == KNOWN_APPS
    assert next(iter(state.apps)) == "bin:a5x"


def test_an_application_that_plays_is_never_forgotten() -> None:
    state = after(state_of(playback()), *crowd(KNOWN_APPS + 5))
    assert MUSIC in state.apps


# --- groups


def grouped(index: int, group: str) -> Routed:
    return Routed(kind=Kind.PLAYBACK, index=index, by="", group=group)


def told(state: MixerState, event: Event) -> tuple[MixerState, list[tuple[Record | None, Record | None]]]:
    """Apply an event; return the state, and what is told of groups."""
    state, changes = apply(state, event)
    return state, [(c.before, c.after) for c in changes if c.kind is Kind.GROUP]


def test_a_group_comes_with_its_first_stream_and_goes_with_its_last() -> None:
    one, two = (Kind.PLAYBACK, 10), (Kind.PLAYBACK, 11)
    alone, both = Group(name="Chat", streams=(one,)), Group(name="Chat", streams=(one, two))
    state = state_of(playback(10), playback(11))
    assert state.group_named("Chat") is None
    state, changes = told(state, grouped(10, "Chat"))
    assert changes == [(None, alone)]
    state, changes = told(state, grouped(11, "Chat"))
    assert changes == [(alone, both)]
    assert state.group_named("Chat") == both
    assert [*state.streams_of(both)] == [stream(state, 10), stream(state, 11)]
    state, changes = told(state, Gone(kind=Kind.PLAYBACK, index=11))
    assert changes == [(both, alone)]
    state, changes = told(state, grouped(10, "Game"))
    assert changes == [(alone, None), (None, Group(name="Game", streams=(one,)))]
    state, changes = told(state, Gone(kind=Kind.PLAYBACK, index=10))
    assert [after for _, after in changes] == [None]
    assert state.groups() == []


def test_of_a_stream_that_stays_in_its_group_nothing_is_told_of_that() -> None:
    state = after(state_of(playback(10)), grouped(10, "Chat"))
    assert told(state, Seen(record=playback(10, volume=0.9)))[1] == []
    assert told(state, snapshot(playback(10)))[1] == []
    assert told(state, snapshot(server(cookie=2), playback(10)))[1] == [(state.group_named("Chat"), None)]


def test_no_group_has_no_name() -> None:
    assert state_of(playback()).group_named("") is None


# --- any history

SOMEONE: Mapping[str, str] = {"application.process.binary": "music"}
PROPERTIES: list[Mapping[str, str]] = [
    {},
    SOMEONE,
    {"application.process.binary": "video", "media.name": "Title"},
    {"application.name": "Radio", "application.process.binary": "radio"},
]
APP_IDS = [MUSIC, "bin:video", "bin:radio", "stream:playback-1"]
LEVELS = st.sampled_from([(0.5, 0.5), (0.25, 1.0), (0.0, 0.0), ()])
INDEXES = st.integers(1, 3)
MAYBE = st.none() | INDEXES
# Indexes and names belong together: what shares a name is told apart in a test of its own.
DEVICES = st.builds(
    lambda kind, index, channels, muted: Device(
        kind=kind,
        index=index,
        name="auto_null" if index == 3 else f"device{index}",
        channels=channels,
        muted=muted,
    ),
    st.sampled_from([Kind.SINK, Kind.SOURCE]),
    INDEXES,
    LEVELS,
    st.booleans(),
)
METERS = st.builds(
    Stream,
    kind=st.just(Kind.CAPTURE),
    index=st.just(4),
    channels=LEVELS,
    properties=st.just({"resample.peaks": "true"}),
)
# Whether the session manager is to link a stream is said at its birth, and stays.
STREAMS = st.builds(
    lambda index, properties, **fields: Stream(
        index=index, properties=properties | ({"node.autoconnect": "true"} if index == 3 else {}), **fields
    ),
    kind=st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]),
    index=INDEXES,
    client=MAYBE,
    device=MAYBE,
    media_name=st.sampled_from(["", "Title"]),
    channels=LEVELS,
    muted=st.booleans(),
    corked=st.booleans(),
    properties=st.sampled_from(PROPERTIES),
)
CLIENTS = st.builds(
    Client,
    index=INDEXES,
    name=st.sampled_from(["", "Music Player"]),
    properties=st.sampled_from(PROPERTIES),
)
CARDS = st.builds(
    lambda index, active: Card(index=index, name=f"card{index}", active_profile=active),
    INDEXES,
    st.sampled_from(["on", "off"]),
)
SERVERS = st.builds(
    Server,
    default_sink=st.sampled_from(["", "device1", "auto_null"]),
    default_source=st.sampled_from(["", "device2", "auto_null.monitor"]),
    cookie=st.sampled_from([1, 2]),
)
SNAPSHOTS = st.builds(
    Snapshot,
    server=SERVERS,
    devices=st.lists(DEVICES, max_size=3, unique_by=lambda d: (d.kind, d.index)).map(tuple),
    streams=st.lists(STREAMS | METERS, max_size=4, unique_by=lambda s: (s.kind, s.index)).map(tuple),
    clients=st.lists(CLIENTS, max_size=2, unique_by=lambda c: c.index).map(tuple),
    cards=st.lists(CARDS, max_size=2, unique_by=lambda c: c.index).map(tuple),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Seen, record=st.one_of(DEVICES, STREAMS, STREAMS, METERS, CLIENTS, CARDS, SERVERS)),
    st.builds(Gone, kind=st.sampled_from(list(Kind)), index=INDEXES),
    st.builds(Gone, kind=st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]), index=INDEXES),
    SNAPSHOTS,
    st.just(Disconnected(reason="it went away")),
    st.builds(
        AppWanted,
        app_id=st.sampled_from(APP_IDS),
        volume=st.sampled_from([KEEP, None, 0.3, 0.6]),
        muted=st.sampled_from([KEEP, None, True, False]),
    ),
    st.builds(
        Routed,
        kind=st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]),
        index=INDEXES,
        by=st.sampled_from(["", "person", "rule music"]),
        display_name=st.sampled_from(["", "Radio"]),
        hidden=st.booleans(),
        group=st.sampled_from(["", "Chat", "Music"]),
        max_volume=st.sampled_from([None, 0.5]),
    ),
    st.builds(
        lambda aliases: Configured(settings=Settings(aliases=aliases)),
        st.sampled_from([{}, {"bin:video": MUSIC}, {"bin:music": "Sounds"}]),
    ),
)
EVENTS |= st.builds(
    AppsWanted,
    wishes=st.lists(
        st.builds(
            AppWanted,
            app_id=st.sampled_from(APP_IDS),
            volume=st.sampled_from([KEEP, None, 0.2]),
            muted=st.sampled_from([KEEP, True]),
        ),
        max_size=3,
    ).map(tuple),
)
EVENTS |= st.builds(
    Capped,
    caps=st.sampled_from([{}, {"sink:device1": 0.4}, {MUSIC: 0.3, "source:device2": 0.2}]),
    locked=st.sampled_from([frozenset[str](), frozenset({MUSIC})]),
)
EVENTS |= st.builds(
    Levelled,
    key=st.tuples(st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]), INDEXES),
    channels=LEVELS,
    muted=st.booleans(),
)
HISTORIES = st.lists(EVENTS, max_size=15)


@dataclass
class World:
    """What the server would list: the plainest bookkeeping of the same events."""

    server: Server = field(default_factory=Server)
    connected: bool = False
    settings: Settings = field(default_factory=Settings)
    records: dict[Hashable, Any] = field(default_factory=dict)

    def follow(self, event: Event) -> None:
        match event:
            case Seen(record=Server() as record):
                self.server = record
            case Seen(record=Device() | Stream() | Client() | Card() as record):
                self.records[key_of(record)] = record
            case Levelled(key=key, channels=channels) if key in self.records:
                record = self.records[key]
                if len(channels) == len(record.channels):
                    self.records[key] = replace(record, channels=channels, muted=event.muted)
            case Gone(kind=kind, index=index):
                self.records.pop((kind, index), None)
            case Snapshot():
                self.server, self.connected = event.server, True
                listed: tuple[Record, ...] = (*event.devices, *event.streams, *event.clients, *event.cards)
                self.records = {key_of(record): record for record in listed}
            case Disconnected():
                self.connected = False
            case Configured(settings=settings):
                self.settings = settings

    def orphans(self) -> list[Gone]:
        """List the ends of streams whose client has gone: near, and until then they keep their identity."""
        streams = [r for r in self.records.values() if isinstance(r, Stream) and r.client is not None]
        return [
            Gone(kind=s.kind, index=s.index) for s in streams if (Kind.CLIENT, s.client) not in self.records
        ]

    def listing(self) -> Snapshot:
        return snapshot(self.server, *self.records.values())


def key_of(record: Record) -> Hashable:
    match record:
        case Client():
            return Kind.CLIENT, record.index
        case Card():
            return Kind.CARD, record.index
        case App():
            return record.app_id
        case Group():
            return Kind.GROUP, record.name
        case Server():
            return None
    return record.kind, record.index


def undecided(stream: Stream) -> Stream:
    return replace(
        stream, number=0, routed_by="", display_name="", icon_name="", hidden=False, group="", max_volume=None
    )


def comparable(state: MixerState) -> Mapping[str, Any]:
    """All that a fresh snapshot must give, too.

    Not numbers, silent applications, wishes, the order of arrival, and what rules and people have decided.
    """
    return {
        "server": state.server,
        "devices": state.devices,
        "clients": state.clients,
        "cards": state.cards,
        "streams": {key: undecided(s) for key, s in state.streams.items()},
        "apps": {a.app_id: (a.name, a.icon_name, set(a.streams)) for a in state.apps.values() if a.streams},
    }


def maps_of(state: MixerState) -> list[Mapping[Any, Record]]:
    groups = {group.name: group for group in state.groups()}
    return [state.devices, state.streams, state.clients, state.cards, state.apps, groups]


def patched(mapping: Mapping[Any, Record], changes: Iterable[Change]) -> dict[Any, Record]:
    """Apply changes to one of the maps of a state, as somebody would who sees nothing else."""
    own = [c for c in changes if c.kind is not Kind.SERVER]
    result = {key_of(record): record for record in mapping.values()}
    for change in own:
        if change.before is not None and result.get(key_of(change.before)) == change.before:
            del result[key_of(change.before)]
    return result | {key_of(c.after): c.after for c in own if c.after is not None}


@given(HISTORIES)
def test_any_history_ends_where_a_fresh_snapshot_of_its_world_does(history: list[Event]) -> None:
    world, state = World(), MixerState()
    for event in history:
        world.follow(event)
        state = after(state, event)
    for gone in world.orphans():
        world.follow(gone)
        state = after(state, gone)
    fresh = after(MixerState(settings=world.settings), world.listing())
    assert comparable(state) == comparable(fresh)
    assert state.connected is world.connected
    assert state.settings == world.settings


@given(HISTORIES)
def test_the_same_event_twice_changes_nothing(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        state = after(state, event)
        again, changes = apply(state, event)
        assert changes == ()
        assert again is state


@given(HISTORIES)
def test_the_generation_grows_by_one_with_every_change_and_only_then(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        changed, changes = apply(state, event)
        assert changed.generation == state.generation + bool(changes)
        assert (changed == state) is (not changes)
        assert all(c.before != c.after or c.kind is Kind.SERVER for c in changes)
        state = changed


@given(HISTORIES)
def test_no_state_that_somebody_holds_is_ever_touched(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        before = repr(state)
        changed, _ = apply(state, event)
        assert repr(state) == before
        state = changed


@given(HISTORIES)
def test_the_changes_tell_all_that_has_changed(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        changed, changes = apply(state, event)
        before = {key_of(r): r for m in maps_of(state) for r in m.values()}
        known = {key_of(r): r for m in maps_of(changed) for r in m.values()}
        assert patched(before, changes) == known
        if (state.server, state.connected, state.settings) != (
            changed.server,
            changed.connected,
            changed.settings,
        ):
            assert Kind.SERVER in {c.kind for c in changes}
        state = changed


@given(HISTORIES)
@example([Seen(record=sink(1, "one")), Seen(record=sink(1, "other"))])
@example([Seen(record=card(1, "one")), Seen(record=card(1, "other"))])
def test_whoever_only_hears_of_what_comes_and_goes_knows_what_there_is_by_name(history: list[Event]) -> None:
    state, known = MixerState(), Counter[Subject]()
    for event in history:
        state, changes = apply(state, event)
        told = [change for change in changes if change.kind not in {Kind.SERVER, Kind.CLIENT}]
        known.update(subject_of(change.after) for change in told if change.before is None)
        known.subtract(subject_of(change.before) for change in told if change.after is None)
        records = (state.devices, state.streams, state.cards, state.apps)
        there = [*(record for each in records for record in each.values()), *state.groups()]
        assert +known == Counter(map(subject_of, there))


@given(HISTORIES)
def test_a_level_is_a_change_of_nothing_but_how_loud_something_is(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        changed, changes = apply(state, event)
        for change in changes:
            assert change.is_level is (
                len(changes) == 1 and is_level(change) and isinstance(event, Seen | Levelled)
            )
        state = changed


def is_level(change: Change) -> bool:
    before, after = change.before, change.after
    if not (isinstance(before, Device | Stream) and isinstance(after, Device | Stream)):
        return False
    is_as_many = len(before.channels) == len(after.channels)
    return is_as_many and replace(after, channels=before.channels, muted=before.muted) == before


@given(HISTORIES, st.tuples(*[st.floats(0.0, 1.5)] * 2), st.booleans())
def test_the_short_way_of_a_level_ends_where_the_long_one_does(
    history: list[Event], channels: tuple[float, float], muted: bool
) -> None:
    state = after(MixerState(), *history)
    records: list[Device | Stream] = [*state.streams.values(), *state.devices.values()]
    for known in records:
        for shown in (known, undecided(known) if isinstance(known, Stream) else known):
            seen = Seen(record=replace(shown, channels=channels[: len(known.channels)], muted=muted))
            short = levelled(state, seen)
            assert short is not None
            assert short[0] == more_than_levelled(state, seen)[0]
            if isinstance(shown, Stream):
                key = (shown.kind, shown.index)
                level = Levelled(key, channels[: len(known.channels)], muted)
                assert levelled(state, level) == short


@given(HISTORIES)
def test_a_number_is_never_given_twice(history: list[Event]) -> None:
    state, owner, alive = MixerState(), dict[int, Key](), set[int]()
    for event in history:
        state = after(state, event)
        now = {s.number: key for key, s in state.streams.items()}
        assert len(now) == len(state.streams)
        assert 0 not in now
        for number, key in now.items():
            assert number in alive or number not in owner, "a number came back"
            assert owner.setdefault(number, key) == key
        alive = set(now)


@given(HISTORIES)
def test_the_directory_is_always_that_of_the_streams_as_they_are(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        state = after(state, event)
        assert state.directory == directory_of(state.streams.values())
        for s in state.streams.values():
            assert state.stream_numbered(str(s.number)) is s
            assert s.client is None or s in state.streams_of_client(s.client)
            group = state.group_named(s.group)
            assert group is None if not s.group else group is not None and s in state.streams_of(group)


@given(HISTORIES)
def test_each_stream_is_in_its_application_and_nowhere_else(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        state = after(state, event)
        places = [key for a in state.apps.values() for key in a.streams]
        assert sorted(places) == sorted(state.streams)
        for app_id, known in state.apps.items():
            assert app_id == known.app_id
            assert all(s.identity.app_id == app_id for s in state.streams_of(known))
            assert known.streams or not app_id.startswith("stream:")


@given(HISTORIES)
def test_wishes_survive_everything_but_a_new_one(history: list[Event]) -> None:
    state, wishes = MixerState(), dict[str, tuple[float | None, bool | None]]()
    for event in history:
        for asked in event.wishes if isinstance(event, AppsWanted) else [event]:
            if isinstance(asked, AppWanted) and asked.app_id in state.apps:
                volume, muted = wishes.get(asked.app_id, (None, None))
                wishes[asked.app_id] = (
                    volume if asked.volume is KEEP else asked.volume,
                    muted if asked.muted is KEEP else asked.muted,
                )
        state = after(state, event)
        for app_id, wish in wishes.items():
            if not app_id.startswith("stream:"):
                assert (app(state, app_id).volume, app(state, app_id).muted) == wish
