"""Invariant 3 where it is hard: what turns out to be something else, comes back, or shares a name."""

from build import after, app, capture, crowd, playback, sink, snapshot, state_of, wanted
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.events import Disconnected, Gone, Seen
from pwmixer_dbus.core.model import Kind, Stream
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


LIVES = st.tuples(
    st.integers(1, 5), st.sampled_from(["One", "Two", "Three"]), st.sampled_from(["", "", "drum", "harp"])
)


@given(st.lists(LIVES | st.integers(1, 5), max_size=12))
def test_its_name_and_icon_are_those_that_a_fresh_look_gives(
    lives: list[tuple[int, str, str] | int],
) -> None:
    state, world = state_of(), dict[int, Stream]()
    for life in lives:
        if isinstance(life, int):
            world.pop(life, None)
            state = after(state, Gone(kind=Kind.PLAYBACK, index=life))
        else:
            index, name, icon = life
            said = {"application.name": name, "application.icon_name": icon}
            world[index] = playback(index, properties={"application.process.binary": "music", **said})
            state = after(state, Seen(record=world[index]))
        if world:
            fresh = app(state_of(*world.values()))
            assert (app(state).name, app(state).icon_name) == (fresh.name, fresh.icon_name)
            assert sorted(app(state).streams) == sorted(fresh.streams)
