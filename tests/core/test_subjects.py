"""What may look different after a change: nothing that does is left out, and the quick answer is the whole answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from build import MUSIC, after, app, capture, playback, sink, state_of, wanted
from hypothesis import given
from test_state import HISTORIES

from pwmixer_dbus.core.document import describe_target, level_of
from pwmixer_dbus.core.events import Capped, Event, Gone, Routed, Seen
from pwmixer_dbus.core.model import App, Device, Group, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.subjects import DEFAULTS, Subject, affected, is_of_level, louder, subject_of, target_of
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
