"""What may look different after a change: nothing that does is left out, and the quick answer is the whole answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from build import after, app, capture, playback, sink, state_of, wanted
from hypothesis import given
from test_state import HISTORIES

from pwmixer_dbus.core.events import Capped, Event, Gone, Routed, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.subjects import Subject, affected, differs_in_level, subject_of, target_of
from pwmixer_dbus.outlets.bus.interfaces import LEVEL, values_of

LEVELS = {p.name for p in LEVEL}


def grouped(index: int) -> Routed:
    return Routed(kind=Kind.PLAYBACK, index=index, by="", group="Chat")


def looks(state: MixerState) -> dict[Subject, Mapping[str, Any]]:
    """Return what clients see of every object."""
    maps = (state.devices, state.streams, state.apps, state.cards)
    subjects = {subject_of(record) for records in maps for record in records.values()}
    subjects |= {subject_of(group) for group in state.groups()}
    return {s: values_of(state, target) for s in subjects if (target := target_of(state, s)) is not None}


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
        listed = {subject for change in changes for subject in affected(before, state, change)}
        different = {subject for subject, names in differences(before, state) if names}
        assert different <= listed


@given(HISTORIES)
def test_where_only_the_level_is_said_to_differ_nothing_else_does(history: list[Event]) -> None:
    states = [MixerState()]
    for event in history:
        states.append(after(states[-1], event))
    for before, state in zip(states, states[2:], strict=False):
        for subject, names in differences(before, state):
            if differs_in_level(before, state, subject):
                assert names <= LEVELS


def test_a_louder_stream_differs_in_level_and_so_does_its_application() -> None:
    before = state_of(playback(10), playback(11), sink())
    state = after(before, Seen(record=playback(10, volume=0.7)))
    assert differs_in_level(before, state, (Kind.PLAYBACK, 10))
    assert differs_in_level(before, state, (Kind.APP, app(state).app_id))
    assert differs_in_level(before, after(before, wanted(0.3)), (Kind.APP, app(state).app_id))
    assert differs_in_level(before, after(before, Seen(record=sink(volume=0.9))), (Kind.SINK, "speakers"))


def test_a_louder_stream_of_a_group_is_a_louder_group_and_no_other_is() -> None:
    before = after(state_of(playback(10), playback(11), sink()), grouped(10))
    group = (Kind.GROUP, "Chat")
    state, changes = apply(before, Seen(record=playback(10, volume=0.7)))
    assert group in affected(before, state, changes[0])
    assert differs_in_level(before, state, group)
    state, changes = apply(before, Seen(record=playback(11, volume=0.7)))
    assert not any(kind is Kind.GROUP for change in changes for kind, _ in affected(before, state, change))
    for event in (grouped(11), Seen(record=playback(10, corked=True)), Gone(kind=Kind.PLAYBACK, index=10)):
        assert not differs_in_level(before, after(before, event), group), event


def test_a_cap_that_comes_and_goes_with_its_device_shows_in_all_that_is_on_it() -> None:
    world = after(state_of(playback(10, device=1)), Capped(caps={"sink:speakers": 0.4}), grouped(10))
    plugged, changes = apply(world, Seen(record=sink()))
    different = {subject for subject, names in differences(world, plugged) if "MaxVolume" in names}
    assert different == {(Kind.PLAYBACK, 10), (Kind.APP, "bin:music"), (Kind.GROUP, "Chat")}
    assert different <= {subject for change in changes for subject in affected(world, plugged, change)}


def test_more_than_a_level_is_not_taken_for_one() -> None:
    before = state_of(playback(10), capture(20), sink())
    for event, subject in (
        (Seen(record=playback(10, corked=True)), (Kind.PLAYBACK, 10)),
        (Seen(record=playback(10, corked=True)), (Kind.APP, "bin:music")),
        (Seen(record=playback(10, channels=(0.5,))), (Kind.PLAYBACK, 10)),
        (Seen(record=sink(description="New")), (Kind.SINK, "speakers")),
        (Seen(record=sink(description="New")), (Kind.PLAYBACK, 10)),
        (Gone(kind=Kind.PLAYBACK, index=10), (Kind.PLAYBACK, 10)),
        (Gone(kind=Kind.PLAYBACK, index=10), (Kind.APP, "bin:music")),
    ):
        assert not differs_in_level(before, after(before, event), subject), (event, subject)
