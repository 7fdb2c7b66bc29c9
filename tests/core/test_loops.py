"""Where a loopback would hear itself, by whatever ways its sound takes."""

import pytest
from build import capture, playback, sink, source, state_of

from pwmixer_dbus.core.loops import closes_a_loop
from pwmixer_dbus.core.model import Device, Stream
from pwmixer_dbus.core.state import MixerState

A, B, C = sink(1, "a"), sink(3, "b"), sink(5, "c")
A_MONITOR, B_MONITOR, C_MONITOR = (
    source(index + 1, f"{name}.monitor", monitor_of=index) for index, name in ((1, "a"), (3, "b"), (5, "c"))
)
MICROPHONE = source(9)


def out(device: Device, group: str = "loop", index: int = 10) -> Stream:
    return playback(index, device=device.index, properties={"node.link-group": group})


def into(device: Device, group: str = "loop", index: int = 20) -> Stream:
    return capture(index, device=device.index, properties={"node.link-group": group})


def world(*streams: Stream, more: tuple[Device, ...] = ()) -> MixerState:
    return state_of(A, B, C, A_MONITOR, B_MONITOR, C_MONITOR, MICROPHONE, *more, *streams)


@pytest.mark.parametrize(("device", "is_loop"), [(A_MONITOR, True), (B_MONITOR, False), (MICROPHONE, False)])
def test_what_records_must_not_record_what_it_plays(device: Device, is_loop: bool) -> None:
    moved = into(MICROPHONE)
    assert closes_a_loop(world(out(A), moved), moved, device) is is_loop


@pytest.mark.parametrize(("device", "is_loop"), [(A, True), (B, False)])
def test_what_plays_must_not_play_where_it_records(device: Device, is_loop: bool) -> None:
    moved = out(B)
    assert closes_a_loop(world(into(A_MONITOR), moved), moved, device) is is_loop


def test_a_virtual_sink_must_not_play_into_itself() -> None:
    virtual = sink(7, "virtual", properties={"node.link-group": "loop"})
    moved = out(A)
    assert closes_a_loop(world(moved, more=(virtual,)), moved, virtual)
    assert not closes_a_loop(world(moved, more=(virtual,)), moved, B)


def test_a_loop_may_lead_through_others() -> None:
    others = (
        into(B_MONITOR, "second", 21),
        out(C, "second", 11),
        into(C_MONITOR, "third", 22),
        out(A, "third", 12),
    )
    playing = out(C, index=13)
    assert closes_a_loop(world(*others, into(A_MONITOR), playing), playing, B)
    recording = into(MICROPHONE)
    assert closes_a_loop(world(*others, out(B), recording), recording, A_MONITOR)


def test_loops_of_others_end_the_search() -> None:
    others = (into(A_MONITOR, "second", 21), out(A, "second", 11))
    moved = out(B)
    assert not closes_a_loop(world(*others, moved), moved, A)


def test_of_other_programs_nothing_is_known() -> None:
    moved = capture(20, device=MICROPHONE.index)
    assert not closes_a_loop(world(playback(10, device=1), moved), moved, A_MONITOR)


def test_while_another_end_is_linked_to_nothing_it_may_come_out_anywhere() -> None:
    moved = into(MICROPHONE)
    other = playback(10, properties={"node.link-group": "loop"})
    assert closes_a_loop(world(moved, other), moved, A_MONITOR)
    assert not closes_a_loop(world(moved), moved, A_MONITOR)
