"""What the service does of its own accord: a new stream gets what was asked of its application, and nothing else does."""

from typing import Any

from build import MUSIC, after, app, card, playback, sink, state_of, stream, wanted

from pwmixer_dbus.core.commands import SetMuted, SetVolume
from pwmixer_dbus.core.events import AppWanted, Event, Gone, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.plan import Reasoned, overruled, plan
from pwmixer_dbus.core.state import MixerState, apply

KEY = (Kind.PLAYBACK, 11)


def planned(state: MixerState, event: Event) -> list[Reasoned]:
    return plan(*apply(state, event))


def newcomer(wish: AppWanted, **fields: Any) -> list[Reasoned]:
    return planned(after(state_of(playback(10)), wish), Seen(record=playback(11, **fields)))


def test_a_new_stream_of_an_application_without_a_wish_is_left_alone() -> None:
    assert newcomer(wanted()) == []
    assert newcomer(wanted(None, None)) == []


def test_a_new_stream_gets_the_volume_of_its_application_and_keeps_its_balance() -> None:
    assert newcomer(wanted(0.4), channels=(0.5, 1.0)) == [
        (SetVolume(key=KEY, channels=(0.2, 0.4)), "Music was set to 40%")
    ]


def test_a_new_stream_is_muted_with_its_application() -> None:
    assert newcomer(wanted(muted=True)) == [(SetMuted(key=KEY, muted=True), "Music was muted")]
    assert newcomer(wanted(muted=False), muted=True) == [
        (SetMuted(key=KEY, muted=False), "Music was unmuted")
    ]


def test_a_new_stream_that_is_as_wished_is_left_alone() -> None:
    assert newcomer(wanted(0.4, muted=False), volume=0.4) == []


def test_what_cannot_be_set_is_not_tried() -> None:
    assert newcomer(wanted(0.4, muted=True), has_volume=False) == []
    assert [type(c) for c, _ in newcomer(wanted(0.4, muted=True), volume_writable=False)] == [SetMuted]


def test_a_change_of_a_stream_that_was_there_before_is_no_cause() -> None:
    state = after(state_of(playback()), wanted(0.4))
    assert planned(state, Seen(record=playback(volume=0.9))) == []


def test_what_is_no_stream_is_no_cause() -> None:
    state = after(state_of(playback()), wanted(0.4))
    for event in (Seen(record=sink()), Seen(record=card()), Gone(kind=Kind.PLAYBACK, index=10)):
        assert planned(state, event) == []


def test_a_stream_that_comes_back_gets_the_wish_again() -> None:
    state = after(state_of(playback()), wanted(0.4), Gone(kind=Kind.PLAYBACK, index=10))
    assert len(planned(state, Seen(record=playback()))) == 1


# --- wishes that somebody overrules with another program


def given_up(wish: AppWanted, **fields: Any) -> AppWanted:
    """Say what is left of a wish after the stream of an application has changed to these fields."""
    state, changes = apply(after(state_of(playback(volume=0.4)), wish), Seen(record=playback(**fields)))
    left = app(after(state, *overruled(state, changes)))
    return wanted(left.volume, left.muted)


def test_another_volume_ends_the_wish_for_the_volume_only() -> None:
    assert given_up(wanted(0.4, muted=False), volume=0.9) == wanted(None, muted=False)


def test_another_mute_ends_the_wish_for_mute_only() -> None:
    assert given_up(wanted(0.4, muted=False), volume=0.4, muted=True) == wanted(0.4, muted=None)


def test_what_comes_as_wished_ends_nothing() -> None:
    assert given_up(wanted(0.7, muted=True), volume=0.7001, muted=True) == wanted(0.7, muted=True)


def test_a_change_of_anything_else_ends_nothing() -> None:
    assert given_up(wanted(0.7), volume=0.4, corked=True) == wanted(0.7, muted=None)


def test_nothing_is_overruled_where_nothing_was_wished() -> None:
    state, changes = apply(state_of(playback()), Seen(record=playback(volume=0.9)))
    assert apply(state, overruled(state, changes)[0]) == (state, ())
    assert stream(state).identity.app_id == MUSIC
