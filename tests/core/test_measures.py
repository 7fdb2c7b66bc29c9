"""What is measured: histograms, what costs what, the last events, and that all of it stays small."""

import math
import sys
import tracemalloc
from itertools import pairwise

import pytest
from build import MUSIC, STEADY, playback, server, sink
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.commands import SetVolume
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.measures import (
    BOUNDS,
    CALLERS,
    COSTS,
    KEPT,
    NEW,
    WORD,
    WORDS,
    Histogram,
    Measures,
)
from pwmixer_dbus.core.model import App, Identity, Kind
from pwmixer_dbus.core.state import Change

STREAM = (Kind.PLAYBACK, 10)


class Clock:
    """A clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """Measures on a clock of the test's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.measures = Measures(self.clock)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def whats(self) -> list[str]:
        return [event.what for event in self.measures.events()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_bounds_go_from_ten_microseconds_to_ten_seconds_in_even_steps() -> None:
    assert (BOUNDS[0], BOUNDS[-1], len(BOUNDS)) == (0.00001, 10.0, 31)
    steps = [b / a for a, b in pairwise(BOUNDS)]
    assert all(1.5 < step < 1.65 for step in steps)


@STEADY
@given(
    st.lists(st.floats(min_value=0.0, max_value=100.0), min_size=1), st.floats(min_value=0.01, max_value=1.0)
)
def test_a_quantile_is_never_too_small_and_at_most_a_bucket_too_large(
    delays: list[float], share: float
) -> None:
    histogram = Histogram()
    for delay in delays:
        histogram.add(delay)
    true = sorted(delays)[math.ceil(share * len(delays)) - 1]
    told = histogram.quantile(share)
    assert histogram.count == len(delays)
    assert histogram.total == pytest.approx(sum(delays))
    if true > BOUNDS[-1]:
        assert told == histogram.largest
    else:
        assert true <= told <= min(max(true * 1.65, BOUNDS[0]), histogram.largest)


def test_an_empty_histogram_says_nothing() -> None:
    assert (Histogram().count, Histogram().quantile(0.5), Histogram().largest) == (0, 0.0, 0.0)


def test_from_a_notice_to_the_state_is_timed_from_the_first_notice_that_was_not_looked_at(
    bench: Bench,
) -> None:
    measures = bench.measures
    measures.noticed(*STREAM)
    bench.wait(0.001)
    measures.noticed(*STREAM)
    bench.wait(0.002)
    measures.fetching(*STREAM)
    measures.noticed(*STREAM)
    bench.wait(0.004)
    measures.applied(Seen(record=playback(10)), changed=True)
    assert measures.notice_to_state.largest == pytest.approx(0.007)
    measures.fetched(*STREAM, failed=False)
    measures.fetching(*STREAM)
    bench.wait(0.1)
    measures.applied(Seen(record=playback(10)), changed=False)
    assert measures.notice_to_state.count == 2
    assert measures.notice_to_state.largest == pytest.approx(0.104)


def test_a_look_without_a_notice_and_one_that_fails_are_not_timed(bench: Bench) -> None:
    measures = bench.measures
    measures.fetching(*STREAM)
    measures.applied(Seen(record=playback(10)), changed=True)
    measures.noticed(*STREAM)
    measures.fetching(*STREAM)
    measures.fetched(*STREAM, failed=True)
    measures.applied(Seen(record=playback(10)), changed=True)
    assert measures.notice_to_state.count == 0
    assert (measures.counts.fetches, measures.counts.fetches_failed) == (2, 1)


def test_the_notice_of_an_end_is_timed_too(bench: Bench) -> None:
    bench.measures.noticed(*STREAM)
    bench.wait(0.001)
    bench.measures.applied(Gone(kind=Kind.PLAYBACK, index=10), changed=True)
    assert bench.measures.notice_to_state.largest == pytest.approx(0.001)


def test_a_new_stream_is_timed_until_a_rule_has_moved_it_for_the_first_time(bench: Bench) -> None:
    measures = bench.measures
    measures.applied(Seen(record=playback(10)), changed=True)
    measures.follow((Change(kind=Kind.PLAYBACK, before=None, after=playback(10)),))
    bench.wait(0.05)
    measures.moved(STREAM)
    measures.moved(STREAM)
    assert measures.new_stream_to_moved.count == 1
    assert measures.new_stream_to_moved.largest == pytest.approx(0.05)


def test_an_old_stream_that_a_new_rule_moves_is_not_late(bench: Bench) -> None:
    bench.measures.follow((Change(kind=Kind.PLAYBACK, before=None, after=playback(10)),))
    bench.wait(NEW)
    bench.measures.moved(STREAM)
    assert bench.measures.new_stream_to_moved.count == 0


def test_what_happens_within_something_is_not_charged_twice(bench: Bench) -> None:
    measures = bench.measures
    caller, stream = measures.cost_of_caller(":1.7"), measures.cost_of(*STREAM)
    outer = measures.begin()
    bench.wait(1.0)
    for _ in range(2):
        inner = measures.begin()
        bench.wait(0.25)
        measures.end(inner, stream)
    bench.wait(2.0)
    measures.end(outer, caller)
    assert (caller.seconds, stream.seconds) == (3.0, 0.5)


def test_what_a_stream_has_cost_is_its_applications_when_it_has_gone(bench: Bench) -> None:
    measures = bench.measures
    measures.noticed(*STREAM)
    measures.commanded(SetVolume(key=STREAM, channels=(0.5,)), measures.clock())
    measures.cost_of(*STREAM).seconds = 0.5
    gone = playback(10, identity=Identity(app_id=MUSIC, name="Music"))
    measures.follow((Change(kind=Kind.PLAYBACK, before=gone, after=None),))
    measures.gone(*STREAM)
    assert set(measures.costs) == {(Kind.APP, MUSIC)}
    cost = measures.costs[Kind.APP, MUSIC]
    assert (cost.notices, cost.commands, cost.seconds) == (1, 1, 0.5)


def test_a_program_that_came_and_went_unseen_leaves_nothing(bench: Bench) -> None:
    bench.measures.noticed(Kind.CLIENT, 88)
    bench.measures.fetching(Kind.CLIENT, 88)
    bench.measures.noticed(Kind.CLIENT, 88)
    bench.measures.gone(Kind.CLIENT, 88)
    bench.measures.fetched(Kind.CLIENT, 88, failed=True)
    assert bench.measures.costs == {}
    assert bench.measures._noticed == bench.measures._awaited == bench.measures._asked == {}


def test_events_are_listed_with_what_they_were_about(bench: Bench) -> None:
    measures = bench.measures
    measures.connected()
    measures.noticed(*STREAM)
    measures.fetching(*STREAM)
    bench.wait(0.5)
    measures.fetched(*STREAM, failed=False)
    measures.fetched(Kind.SINK, -1, failed=False)
    started = measures.clock()
    measures.told(started, Change(kind=Kind.SINK, before=None, after=sink(3)))
    measures.told(started, Change(kind=Kind.SERVER, before=None, after=server()))
    measures.announced(App(app_id=MUSIC, name="Music"), started)
    since = measures.called(":1.7", "SetVolume")
    bench.wait(0.25)
    measures.answered("SetVolume", since, failed=False)
    listed = [(e.what, e.kind, e.index, e.detail, e.took) for e in measures.events()]
    assert listed == [
        ("connected", "", 0, "", 0.0),
        ("notice", "playback", 10, "", 0.0),
        ("fetched", "playback", 10, "", 0.5),
        ("fetched", "sink", None, "", 0.0),
        ("changed", "sink", 3, "", 0.0),
        ("changed", "server", 0, "", 0.0),
        ("signal", "app", 0, MUSIC, 0.0),
        ("call", "", 0, "SetVolume", 0.0),
        ("reply", "", 0, "SetVolume", 0.25),
    ]
    assert [e.number for e in measures.events()] == list(range(9))
    assert [e.at for e in measures.events(since=7)] == [100.5, 100.75]
    assert measures.call_to_reply.largest == 0.25


def test_commands_and_their_ends_are_listed(bench: Bench) -> None:
    command = SetVolume(key=STREAM, channels=(0.5,))
    bench.measures.commanded(command, bench.measures.clock())
    sent_at = bench.measures.clock()
    bench.wait(0.5)
    bench.measures.finished(command, sent_at, failed=False)
    bench.measures.finished(command, sent_at, failed=True)
    assert [(e.what, e.detail, e.took) for e in bench.measures.events()] == [
        ("command", "SetVolume", 0.0),
        ("done", "SetVolume", 0.5),
        ("failed", "SetVolume", 0.5),
    ]
    assert bench.measures.counts.commands_failed == 1


def test_only_the_last_events_are_kept(bench: Bench) -> None:
    for index in range(KEPT + 10):
        bench.measures.noticed(Kind.SINK, index % 7)
    assert [e.number for e in bench.measures.events()] == list(range(10, KEPT + 10))
    assert list(bench.measures.events(since=KEPT + 10)) == []
    assert bench.measures.number == KEPT + 10


def test_who_waits_for_something_to_happen_is_told_once(bench: Bench) -> None:
    told: list[str] = []
    bench.measures.when_active(lambda: told.append("a"))

    def unwanted() -> None:
        told.append("b")

    bench.measures.when_active(unwanted)
    bench.measures.no_longer(unwanted)
    assert told == []
    bench.measures.connected()
    bench.measures.connected()
    assert told == ["a"]


def test_no_number_of_objects_callers_and_names_makes_it_large(bench: Bench) -> None:
    measures = bench.measures
    for number in range(3 * COSTS):
        measures.noticed(Kind.CLIENT, number)
        measures.gone(Kind.CLIENT, number)
        measures.cost_of(Kind.APP, f"bin:{number}")
        measures.answered(f"Method{number}" * 100, measures.called(f":1.{number}", "Ping"), failed=True)
    assert len(measures.costs) == COSTS
    assert len(measures.callers) == CALLERS
    assert ":1.6143" in measures.callers
    assert len(measures._words) == WORDS
    assert max(len(word) for word in measures._words) == WORD
    assert {e.detail for e in measures.events()} == {"", "Ping", "…"}
    assert not measures._noticed


def test_the_last_events_take_less_than_100_kib_and_the_next_one_takes_nothing(bench: Bench) -> None:
    measures = bench.measures
    tracemalloc.start()
    try:
        other = Measures(bench.clock)
        assert tracemalloc.get_traced_memory()[0] < 100 * 1024
        for _ in range(KEPT):
            measures.noticed(Kind.SINK, 3)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2 * KEPT):
            measures.noticed(Kind.SINK, 3)
        assert tracemalloc.get_traced_memory()[0] - before < 1024
    finally:
        tracemalloc.stop()
    assert sys.getsizeof(other._ring) < 100 * 1024


def test_an_application_is_named_by_its_id(bench: Bench) -> None:
    app = App(app_id=MUSIC, name="Music")
    bench.measures.told(bench.measures.clock(), Change(kind=Kind.APP, before=app, after=None))
    assert [(e.kind, e.detail) for e in bench.measures.events()] == [("app", MUSIC)]
