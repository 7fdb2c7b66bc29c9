"""Invariant 3 where it is hard: what turns out to be something else, comes back, or shares a name."""

from build import after, app, capture, crowd, playback, sink, snapshot, state_of, wanted

from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.state import KNOWN_APPS, apply


def test_a_device_that_turns_out_to_be_a_placeholder_goes() -> None:
    assert after(state_of(sink()), Seen(record=sink(name="auto_null"))).devices == {}


def test_a_stream_that_turns_out_to_be_a_meter_goes() -> None:
    state = state_of(capture())
    state = after(state, Seen(record=capture(properties={"resample.peaks": "true"})))
    assert state.streams == {}
    assert app(state).streams == ()


def test_the_wish_for_an_unknown_stream_outlives_a_reconnect() -> None:
    state = after(state_of(playback(binary="")), wanted(0.4, app_id="stream:playback-10"))
    state = after(state, Disconnected(reason="x"), snapshot(playback(binary="")))
    assert app(state, "stream:playback-10").volume == 0.4


def test_an_application_that_plays_is_not_forgotten_in_a_reconnect() -> None:
    state = after(state_of(playback(5000)), wanted(0.4), *crowd(KNOWN_APPS - 1))
    state = after(state, snapshot(playback(5000), playback(1, binary="new")))
    assert app(state).volume == 0.4


def test_namesakes_are_told_apart_in_a_snapshot() -> None:
    state, changes = apply(state_of(sink(1), sink(2)), snapshot(sink(2)))
    assert list(state.devices) == [(Kind.SINK, 2)]
    assert [c for c in changes if c.after is None]


def test_an_application_is_called_after_its_oldest_stream_whatever_has_happened() -> None:
    named = [{"application.process.binary": "music", "application.name": n} for n in ("One", "Two")]
    state = state_of(playback(10, properties=named[0]), playback(11, properties=named[1]))
    assert app(state).name == "One"
    assert app(after(state, Gone(kind=Kind.PLAYBACK, index=10))).name == "Two"
    assert app(after(state, Gone(kind=Kind.PLAYBACK, index=11))).name == "One"
