"""What may look different after a change: nothing that does is left out, and the quick answer is the whole answer."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from build import (
    MUSIC,
    after,
    app,
    capture,
    card,
    client,
    playback,
    server,
    sink,
    source,
    state_of,
    wanted,
)
from hypothesis import given
from test_state import HISTORIES

from pwmixer_dbus.core.document import describe_target, level_of
from pwmixer_dbus.core.events import Capped, Configured, Event, Gone, Routed, Seen
from pwmixer_dbus.core.model import App, Card, Device, Group, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.subjects import (
    DEFAULTS,
    ROOT_SUBJECT,
    Subject,
    affected,
    first_apps,
    is_of_level,
    is_unseen,
    louder,
    subject_of,
    target_of,
)
from pwmixer_dbus.core.verbs import muted_of, volume_of
from pwmixer_dbus.outlets.bus.interfaces import OF_LEVEL, alias_values, interfaces_of, values_of

LEVELS = {name for _, name in OF_LEVEL}


def grouped(index: int) -> Routed:
    return Routed(kind=Kind.PLAYBACK, index=index, by="", group="Chat")


def looks(state: MixerState) -> dict[Subject, Mapping[str, Any]]:
    """Return what clients see of every object, and of the defaults."""
    maps = (state.devices, state.streams, state.apps, state.cards)
    subjects = {subject_of(record) for records in maps for record in records.values()}
    subjects |= {subject_of(group) for group in state.groups()}
    seen = {s: values_of(state, target) for s in subjects if (target := target_of(state, s)) is not None}
    return seen | {(kind, None): alias_values(state, kind) for kind in DEFAULTS}


def differences(before: MixerState, state: MixerState) -> Iterator[tuple[Subject, set[str]]]:
    """Compare the objects that are there before and after."""
    old, new = looks(before), looks(state)
    for subject in old.keys() & new.keys():
        yield subject, {name for name in new[subject] if old[subject][name] != new[subject][name]}


@given(HISTORIES)
def test_whatever_looks_different_is_affected(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        before, (state, changes) = state, apply(state, event)
        listed = set(affected(before, state, changes))
        different = {subject for subject, names in differences(before, state) if names}
        assert different <= listed


@given(HISTORIES)
def test_what_a_change_of_level_affects_looks_different_in_its_level_only(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        before, (state, changes) = state, apply(state, event)
        more = set(affected(before, state, [change for change in changes if not is_of_level(change)]))
        for subject, names in differences(before, state):
            assert names <= LEVELS or subject in more


@given(HISTORIES)
def test_a_property_differs_exactly_where_the_document_does(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        before, state = state, after(state, event)
        for subject, names in differences(before, state):
            was, now = target_of(before, subject), target_of(state, subject)
            if was is not None and now is not None:
                old, new = describe_target(before, was), describe_target(state, now)
                properties = [p for i in interfaces_of(now) for p in i.properties if p.emits == "true"]
                assert {p.name for p in properties if old.get(p.key) != new.get(p.key)} == {
                    p.name for p in properties if p.name in names
                }


@given(HISTORIES)
def test_a_level_is_what_the_verbs_count_from_when_nothing_is_pending(history: list[Event]) -> None:
    state = MixerState()
    for event in history:
        state = after(state, event)
        targets: list[Device | Stream | App | Group] = [*state.devices.values(), *state.streams.values()]
        targets += [*state.apps.values(), *state.groups()]
        for target in targets:
            level = level_of(state, target)
            assert level[:2] == (volume_of(state, {}, target), muted_of(state, {}, target))
            whole = values_of(state, target)
            assert all(read(level) == whole[name] for (_, name), (_, read) in OF_LEVEL.items())


def of_level(before: MixerState, event: Event) -> set[Subject]:
    """Return what is affected by an event that changes levels only."""
    state, changes = apply(before, event)
    if not all(map(is_of_level, changes)):
        return set()
    return set(affected(before, state, changes))


def test_a_louder_stream_differs_in_level_and_so_does_its_application() -> None:
    before = state_of(playback(10), playback(11), sink())
    subject = (Kind.APP, app(before).app_id)
    assert of_level(before, Seen(record=playback(10, volume=0.7))) == {(Kind.PLAYBACK, 10), subject}
    assert of_level(before, wanted(0.3)) >= {subject}
    assert (Kind.SINK, "speakers") in of_level(before, Seen(record=sink(volume=0.9)))


def test_a_stream_that_shows_its_volume_before_it_is_linked_makes_its_application_no_louder() -> None:
    born = playback(volume=0.0, properties={**playback().properties, "node.autoconnect": "true"})
    before = after(state_of(playback(9)), wanted(0.7), Gone(kind=Kind.PLAYBACK, index=9), Seen(record=born))
    state, (change,) = apply(before, Seen(record=replace(born, channels=(0.7, 0.7))))
    told = {subject: (old.volume, new.volume) for subject, _, old, new in louder(before, state, change)}
    assert told == {(Kind.PLAYBACK, 10): (0.0, 0.7), (Kind.APP, MUSIC): (0.7, 0.7)}


def test_a_louder_stream_of_a_group_is_a_louder_group_and_no_other_is() -> None:
    before = after(state_of(playback(10), playback(11), sink()), grouped(10))
    group = (Kind.GROUP, "Chat")
    assert group in of_level(before, Seen(record=playback(10, volume=0.7)))
    assert group not in of_level(before, Seen(record=playback(11, volume=0.7)))
    for event in (grouped(11), Seen(record=playback(10, corked=True)), Gone(kind=Kind.PLAYBACK, index=10)):
        assert not of_level(before, event), event


def test_a_cap_that_comes_and_goes_with_its_device_shows_in_all_that_is_on_it() -> None:
    world = after(state_of(playback(10, device=1)), Capped(caps={"sink:speakers": 0.4}), grouped(10))
    plugged, changes = apply(world, Seen(record=sink()))
    different = {subject for subject, names in differences(world, plugged) if "MaxVolume" in names}
    default = (Kind.SINK, None)  # has come as well
    assert different == {(Kind.PLAYBACK, 10), (Kind.APP, "bin:music"), (Kind.GROUP, "Chat"), default}
    assert different <= set(affected(world, plugged, changes))


def test_more_than_a_level_is_not_taken_for_one() -> None:
    before = state_of(playback(10), capture(20), sink())
    for event in (
        Seen(record=playback(10, corked=True)),
        Seen(record=playback(10, channels=(0.5,))),
        Seen(record=sink(description="New")),
        Gone(kind=Kind.PLAYBACK, index=10),
    ):
        assert not of_level(before, event), event


DESK = after(
    state_of(
        *(sink(1, card=7), sink(3, "headset"), source(2), card(7), client(5, "game")),
        *(playback(10, device=1), playback(11, "game", device=3, client=5), capture(20, "call", device=2)),
    ),
    grouped(10),
)
ON_SINKS = {"playback:10", "playback:11", "app:bin:music", "app:bin:game", "group:Chat"}
EVERYTHING = {
    *ON_SINKS,
    *(
        "root",
        "sink",
        "sink:speakers",
        "sink:headset",
        "source",
        "source:microphone",
        "capture:20",
        "app:bin:call",
    ),
}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Seen(record=sink(1, card=7, description="New")), {"sink:speakers", "sink"}),
        (Seen(record=sink(3, "headset", description="New")), {"sink:headset"}),
        (Seen(record=sink(3, "screen")), {*ON_SINKS, "root", "sink:headset", "sink:screen"}),
        (Seen(record=sink(1, "screen")), {*ON_SINKS, "root", "sink:speakers", "sink:screen", "sink"}),
        (Gone(kind=Kind.SINK, index=3), {*ON_SINKS, "root", "sink:headset"}),
        (Seen(record=source(4, "line")), {"root", "source:line", "capture:20", "app:bin:call"}),
        (Seen(record=playback(11, "game", device=3, client=5, media_name="Level 2")), {"playback:11"}),
        (Seen(record=playback(10, device=1, corked=True)), {"playback:10", "app:bin:music", "group:Chat"}),
        (Seen(record=playback(11, "film", device=3)), {"playback:11", "app:bin:game", "app:bin:film"}),
        (Gone(kind=Kind.PLAYBACK, index=10), {"playback:10", "app:bin:music", "group:Chat"}),
        (Seen(record=playback(12, device=1)), {"playback:12", "app:bin:music"}),
        (grouped(11), {"playback:11", "app:bin:game", "group:Chat"}),
        (Seen(record=card(7, active_profile="off")), {"card:card0", "sink:speakers"}),
        (Seen(record=client(5, "level")), {"playback:11"}),
        (Seen(record=client(6, "nobody")), set()),
        (wanted(0.3), {"app:bin:music"}),
        (
            Seen(record=server(default_sink="headset")),
            {"root", "sink", "sink:speakers", "sink:headset", "source", "source:microphone"},
        ),
        (Capped(caps={"sink:speakers": 0.4}), EVERYTHING),
        (Configured(settings=Settings(max_volume=0.4)), EVERYTHING),
    ],
)  # fmt: skip
def test_what_a_change_shows_in_is_affected_and_nothing_else(event: Event, expected: set[str]) -> None:
    """What is named alone is the root, or what is the default."""
    state, changes = apply(DESK, event)
    listed = {
        "root"
        if subject == ROOT_SUBJECT
        else str(subject[0])
        if subject[1] is None
        else f"{subject[0]}:{subject[1]}"
        for subject in affected(DESK, state, changes)
    }
    assert listed == expected


def test_an_object_is_found_by_its_subject_and_what_is_named_comes_before_what_names_it() -> None:
    records = (DESK.devices, DESK.streams, DESK.apps, DESK.cards)
    targets = [*(record for table in records for record in table.values()), *DESK.groups()]
    for target in targets:
        assert target_of(DESK, subject_of(target)) == target
    assert subject_of(DESK.server) == ROOT_SUBJECT
    assert target_of(DESK, (Kind.SOURCE, None)) == DESK.devices[Kind.SOURCE, 2]
    for subject in (ROOT_SUBJECT, (Kind.SINK, "x"), (Kind.CARD, "x"), (Kind.GROUP, "x"), (Kind.APP, "x")):
        assert target_of(DESK, subject) is None
    order = [type(target) for target in sorted(targets, key=first_apps)]
    assert list(dict.fromkeys(order)) == [Card, Device, App, Stream, Group]


def test_a_wish_is_unseen_while_streams_tell_the_level_of_their_application() -> None:
    for state, is_hidden in ((DESK, True), (after(DESK, Gone(kind=Kind.PLAYBACK, index=10)), False)):
        _, changes = apply(state, wanted(0.3))
        assert is_unseen(state, changes) is is_hidden
    _, more = apply(DESK, Seen(record=playback(10, device=1, corked=True)))
    assert not is_unseen(DESK, more)


def test_of_two_devices_of_one_name_the_first_one_is_told_of() -> None:
    before = state_of(sink(1), sink(3))
    for index, told in ((1, [(Kind.SINK, "speakers"), (Kind.SINK, None)]), (3, [])):
        state, (change,) = apply(before, Seen(record=sink(index, volume=0.9)))
        assert [subject for subject, *_ in louder(before, state, change)] == told
