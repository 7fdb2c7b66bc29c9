"""What is measured: histograms, what costs what, the last events, that all of it stays small, and when it is counted."""

import math
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from build import MUSIC, card, client, playback, server, sink
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.commands import SetMuted, SetVolume
from pwmixer_dbus.core.events import Gone, Seen
from pwmixer_dbus.core.measures import PENDING, Measures, place_of
from pwmixer_dbus.core.model import App, Card, Client, Device, Identity, Kind, Server, Stream
from pwmixer_dbus.core.state import Change
from pwmixer_dbus.core.tally import (
    BOUNDS,
    CALLERS,
    CHANGED,
    CONNECTED,
    COSTS,
    DISCONNECTED,
    DONE,
    ERROR,
    FAILED,
    FETCHED,
    FETCHING,
    FORGOTTEN,
    KEPT,
    NESTED,
    NEW,
    REPLY,
    RULED,
    SIGNAL,
    WORD,
    WORDS,
    Histogram,
    Tally,
)

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

    @property
    def counted(self) -> Tally:
        return self.measures.counted()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_bounds_go_from_ten_microseconds_to_ten_seconds_in_even_steps() -> None:
    assert (BOUNDS[0], BOUNDS[-1], len(BOUNDS)) == (0.00001, 10.0, 31)
    steps = [b / a for a, b in pairwise(BOUNDS)]
    assert all(1.5 < step < 1.65 for step in steps)


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
    measures.noticed(STREAM)
    bench.wait(0.001)
    measures.noticed(STREAM)
    bench.wait(0.002)
    measures.note(FETCHING, STREAM)
    measures.noticed(STREAM)
    bench.wait(0.004)
    measures.applied(Seen(record=playback(10)), changed=True)
    assert measures.counted().notice_to_state.largest == pytest.approx(0.007)
    measures.note(FETCHED, STREAM, measures.clock())
    measures.note(FETCHING, STREAM)
    bench.wait(0.1)
    measures.applied(Seen(record=playback(10)), changed=False)
    assert measures.counted().notice_to_state.count == 2
    assert measures.counted().notice_to_state.largest == pytest.approx(0.104)


def test_a_look_without_a_notice_and_one_that_fails_are_not_timed(bench: Bench) -> None:
    measures = bench.measures
    measures.note(FETCHING, STREAM)
    measures.applied(Seen(record=playback(10)), changed=True)
    measures.noticed(STREAM)
    measures.note(FETCHING, STREAM)
    measures.note(FETCHED, STREAM, measures.clock())
    measures.applied(Seen(record=playback(10)), changed=True)
    assert measures.counted().notice_to_state.count == 0
    assert measures.counted().counts.fetches == 2


def test_the_notice_of_an_end_is_timed_too(bench: Bench) -> None:
    bench.measures.noticed(STREAM)
    bench.wait(0.001)
    bench.measures.applied(Gone(kind=Kind.PLAYBACK, index=10), changed=True)
    assert bench.counted.notice_to_state.largest == pytest.approx(0.001)


def test_a_new_stream_is_timed_until_a_rule_has_moved_it_for_the_first_time(bench: Bench) -> None:
    measures = bench.measures
    measures.applied(Seen(record=playback(10)), changed=True)
    measures.follow((Change(kind=Kind.PLAYBACK, before=None, after=playback(10)),))
    bench.wait(0.05)
    measures.note(RULED, STREAM)
    measures.note(RULED, STREAM)
    assert measures.counted().new_stream_to_moved.count == 1
    assert measures.counted().new_stream_to_moved.largest == pytest.approx(0.05)


def test_an_old_stream_that_a_new_rule_moves_is_not_late(bench: Bench) -> None:
    bench.measures.follow((Change(kind=Kind.PLAYBACK, before=None, after=playback(10)),))
    bench.wait(NEW)
    bench.measures.note(RULED, STREAM)
    assert bench.counted.new_stream_to_moved.count == 0


def test_what_happens_within_something_is_not_charged_twice(bench: Bench) -> None:
    measures = bench.measures
    outer = measures.clock()
    bench.wait(1.0)
    for _ in range(2):
        inner = measures.clock()
        bench.wait(0.25)
        measures.spent(STREAM, inner)
    bench.wait(2.0)
    measures.spent(":1.7", outer)
    tally = measures.counted()
    assert (tally.callers[":1.7"].seconds, tally.costs[STREAM].seconds) == (3.0, 0.5)


@dataclass(frozen=True)
class Work:
    """Something that takes so many seconds by itself, and what happens within it."""

    seconds: int
    within: tuple["Work", ...] = ()


SECONDS = st.integers(min_value=0, max_value=9)
WORK = st.recursive(
    SECONDS.map(Work),
    lambda work: st.builds(Work, SECONDS, st.lists(work, max_size=4).map(tuple)),
    max_leaves=12,
)


@given(st.lists(WORK, max_size=4))
def test_everything_is_charged_for_its_own_time_however_deep_it_is(day: list[Work]) -> None:
    bench, own = Bench(), list[int]()

    def do(work: Work) -> None:
        began_at, number = bench.measures.clock(), len(own)
        own.append(work.seconds)
        for inner in work.within:
            do(inner)
        bench.wait(work.seconds)
        bench.measures.spent((Kind.SINK, number), began_at)

    for work in day:
        do(work)
    costs = bench.counted.costs
    assert [costs[Kind.SINK, number].seconds for number in range(len(own))] == own


def test_of_very_many_things_within_one_the_last_are_taken_off_it(bench: Bench) -> None:
    outer = bench.measures.clock()
    for _ in range(NESTED + 10):
        inner = bench.measures.clock()
        bench.wait(1.0)
        bench.measures.spent(STREAM, inner)
    bench.measures.spent(":1.7", outer)
    assert bench.counted.callers[":1.7"].seconds == 10.0


def test_what_a_stream_has_cost_is_its_applications_when_it_has_gone(bench: Bench) -> None:
    measures = bench.measures
    measures.noticed(STREAM)
    measures.commanded(SetVolume(key=STREAM, channels=(0.5,)), measures.clock())
    measures.spent(STREAM, measures.clock() - 0.5)
    gone = playback(10, identity=Identity(app_id=MUSIC, name="Music"))
    measures.follow((Change(kind=Kind.PLAYBACK, before=gone, after=None),))
    measures.note(FORGOTTEN, STREAM)
    assert set(measures.counted().costs) == {(Kind.APP, MUSIC)}
    cost = measures.counted().costs[Kind.APP, MUSIC]
    assert (cost.notices, cost.commands, cost.seconds) == (1, 1, 0.5)


def test_a_program_that_came_and_went_unseen_leaves_nothing(bench: Bench) -> None:
    bench.measures.noticed((Kind.CLIENT, 88))
    bench.measures.note(FETCHING, (Kind.CLIENT, 88))
    bench.measures.noticed((Kind.CLIENT, 88))
    bench.measures.note(FORGOTTEN, (Kind.CLIENT, 88))
    bench.measures.note(FETCHED, (Kind.CLIENT, 88), bench.clock())
    assert bench.counted.costs == {}
    assert bench.counted._noticed == bench.counted._awaited == {}


def test_events_are_listed_with_what_they_were_about(bench: Bench) -> None:
    measures = bench.measures
    measures.note(CONNECTED)
    measures.noticed(STREAM)
    asked_at = measures.note(FETCHING, STREAM)
    bench.wait(0.5)
    measures.note(FETCHED, STREAM, asked_at)
    measures.note(FETCHED, (Kind.SINK, -1), measures.clock())
    started = measures.clock()
    measures.note(CHANGED, place_of(sink(3)), started)
    measures.note(CHANGED, place_of(server()), started)
    measures.note(SIGNAL, place_of(App(app_id=MUSIC, name="Music")), started)
    since = measures.called(":1.7", "SetVolume")
    bench.wait(0.25)
    measures.note(REPLY, None, since, "SetVolume")
    listed = [(e.what, e.kind, e.index, e.detail, e.took) for e in measures.counted().events()]
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
    assert [e.number for e in measures.counted().events()] == list(range(9))
    assert [e.at for e in measures.counted().events(since=7)] == [100.5, 100.75]
    assert measures.counted().call_to_reply.largest == 0.25


def test_commands_and_their_ends_are_listed(bench: Bench) -> None:
    command = SetVolume(key=STREAM, channels=(0.5,))
    bench.measures.commanded(command, bench.measures.clock())
    sent_at = bench.measures.clock()
    bench.wait(0.5)
    bench.measures.note(DONE, STREAM, sent_at, "SetVolume")
    bench.measures.note(FAILED, STREAM, sent_at, "SetVolume")
    assert [(e.what, e.detail, e.took) for e in bench.counted.events()] == [
        ("command", "SetVolume", 0.0),
        ("done", "SetVolume", 0.5),
        ("failed", "SetVolume", 0.5),
    ]
    assert bench.counted.counts.commands_failed == 1


def test_only_the_last_events_are_kept(bench: Bench) -> None:
    for index in range(KEPT + 10):
        bench.measures.noticed((Kind.SINK, index % 7))
    assert [e.number for e in bench.counted.events()] == list(range(10, KEPT + 10))
    assert list(bench.counted.events(since=KEPT + 10)) == []
    assert bench.counted.number == KEPT + 10


def test_who_waits_for_something_to_happen_is_told_once(bench: Bench) -> None:
    told: list[str] = []
    bench.measures.when_active(lambda: told.append("a"))

    def unwanted() -> None:
        told.append("b")

    bench.measures.when_active(unwanted)
    bench.measures.no_longer(unwanted)
    assert told == []
    bench.measures.note(CONNECTED)
    bench.measures.note(CONNECTED)
    assert told == ["a"]


def test_no_number_of_objects_callers_and_names_makes_it_large(bench: Bench) -> None:
    measures = bench.measures
    for number in range(3 * COSTS):
        measures.noticed((Kind.CLIENT, number))
        measures.note(FORGOTTEN, (Kind.CLIENT, number))
        measures.spent((Kind.APP, f"bin:{number}"), measures.clock())
        measures.note(ERROR, None, measures.called(f":1.{number}", "Ping"), f"Method{number}" * 100)
    assert len(measures.counted().costs) == COSTS
    assert len(measures.counted().callers) == CALLERS
    assert ":1.6143" in measures.counted().callers
    assert len(measures.counted()._words) == WORDS
    assert max(len(word) for word in measures.counted()._words) == WORD
    assert {e.detail for e in measures.counted().events()} == {"", "Ping", "…"}
    assert not measures.counted()._noticed


def test_the_last_events_take_less_than_100_kib_and_the_next_one_takes_nothing(bench: Bench) -> None:
    measures = bench.measures
    tracemalloc.start()
    try:
        other = Measures(bench.clock)
        assert tracemalloc.get_traced_memory()[0] < 100 * 1024
        for _ in range(KEPT):
            measures.noticed((Kind.SINK, 3))
        measures.counted()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(2 * KEPT):
            measures.noticed((Kind.SINK, 3))
        measures.counted()
        after, most = tracemalloc.get_traced_memory()
        assert after - before < 1024
        assert most - before < 64 * 1024
    finally:
        tracemalloc.stop()
    assert sys.getsizeof(other.counted()._ring) < 100 * 1024


def test_an_application_is_named_by_its_id(bench: Bench) -> None:
    app = App(app_id=MUSIC, name="Music")
    bench.measures.note(CHANGED, place_of(app), bench.measures.clock())
    assert [(e.kind, e.detail) for e in bench.counted.events()] == [("app", MUSIC)]


# --- that it is the same, whenever it is counted


KEYS = [(Kind.SINK, 3), STREAM, (Kind.PLAYBACK, 11), (Kind.CLIENT, 5), (Kind.CAPTURE, -1)]
ABOUT = st.sampled_from([*KEYS, (Kind.SERVER, 0), (Kind.APP, MUSIC)])
RECORDS: st.SearchStrategy[Stream | Device | Client | Card | Server] = st.sampled_from(
    [playback(10), playback(11), sink(3), client(5), card(7), server()]
)
KEY, WORDY, FLAG = st.sampled_from(KEYS), st.sampled_from(["SetVolume", "Describe", "Ping"]), st.booleans()
AGO = st.integers(min_value=0, max_value=6).map(lambda halves: halves / 2)

Deed = Callable[[Bench], object]


def new(stream: Stream) -> tuple[Change, ...]:
    return (Change(kind=stream.kind, before=None, after=stream),)


def gone(stream: Stream) -> tuple[Change, ...]:
    return (Change(kind=stream.kind, before=stream, after=None),)


DEEDS: st.SearchStrategy[Deed] = st.one_of(
    st.sampled_from([CONNECTED, DISCONNECTED]).map(lambda what: lambda bench: bench.measures.note(what)),
    AGO.map(lambda seconds: lambda bench: bench.wait(seconds)),
    KEY.map(lambda key: lambda bench: bench.measures.noticed(key)),
    st.tuples(st.sampled_from([FETCHING, FORGOTTEN, RULED]), KEY).map(
        lambda it: lambda bench: bench.measures.note(*it)
    ),
    st.tuples(RECORDS, FLAG).map(
        lambda it: lambda bench: bench.measures.applied(Seen(record=it[0]), changed=it[1])
    ),
    st.tuples(KEY, FLAG).map(
        lambda it: lambda bench: bench.measures.applied(Gone(kind=it[0][0], index=it[0][1]), changed=it[1])
    ),
    st.sampled_from([new(playback(10)), new(playback(11)), gone(playback(10)), gone(playback(11))]).map(
        lambda changes: lambda bench: bench.measures.follow(changes)
    ),
    st.tuples(st.sampled_from([FETCHED, CHANGED, SIGNAL]), ABOUT, AGO).map(
        lambda it: lambda bench: bench.measures.note(it[0], it[1], bench.clock() - it[2])
    ),
    st.tuples(st.sampled_from([":1.5", ":1.7"]), WORDY).map(
        lambda it: lambda bench: bench.measures.called(*it)
    ),
    st.tuples(st.sampled_from([REPLY, ERROR]), AGO, WORDY).map(
        lambda it: lambda bench: bench.measures.note(it[0], None, bench.clock() - it[1], it[2])
    ),
    st.tuples(KEY, AGO).map(
        lambda it: (
            lambda bench: bench.measures.commanded(SetMuted(key=it[0], muted=True), bench.clock() - it[1])
        )
    ),
    st.tuples(st.sampled_from([DONE, FAILED]), KEY, AGO).map(
        lambda it: lambda bench: bench.measures.note(it[0], it[1], bench.clock() - it[2], "SetVolume")
    ),
    st.tuples(st.one_of(ABOUT, st.sampled_from([":1.5", ":1.7"])), AGO).map(
        lambda it: lambda bench: bench.measures.spent(it[0], bench.clock() - it[1])
    ),
)


def all_of(tally: Tally) -> Any:
    """Return all that can be read of what has been counted."""
    histograms = (
        tally.notice_to_state,
        tally.state_to_signal,
        tally.call_to_reply,
        tally.new_stream_to_moved,
    )
    return (
        [(name, getattr(tally.counts, name)) for name in tally.counts.__slots__],
        [(h.counts, h.total, h.largest) for h in histograms],
        [(about, [getattr(cost, name) for name in cost.__slots__]) for about, cost in tally.costs.items()],
        [(name, [getattr(cost, slot) for slot in cost.__slots__]) for name, cost in tally.callers.items()],
        tally.number,
        list(tally.events()),
    )


@given(st.lists(DEEDS, min_size=10, max_size=60), st.integers(min_value=1, max_value=9))
def test_it_does_not_matter_when_it_is_counted(deeds: list[Deed], rounds: int) -> None:
    at_once, late = Bench(), Bench()
    told: list[tuple[Bench, int]] = []
    for number, deed in enumerate(rounds * deeds):
        for bench in (at_once, late):
            if number % 7 == 0:
                bench.measures.when_active(partial(told.append, (bench, number)))
            deed(bench)
        at_once.measures.counted()
    assert all_of(late.counted) == all_of(at_once.counted)
    assert [n for bench, n in told if bench is late] == [n for bench, n in told if bench is at_once]


def test_what_is_read_of_a_record_is_noted_and_the_record_is_let_go(bench: Bench) -> None:
    """By a reference count, since records cannot be referred to weakly."""
    stream = playback(10, identity=Identity(app_id=MUSIC, name="Music"))
    seen = Seen(record=stream)
    before = sys.getrefcount(stream), sys.getrefcount(seen), sys.getrefcount(stream.identity)
    bench.measures.applied(seen, changed=True)
    bench.measures.follow(new(stream))
    bench.measures.follow(gone(stream))
    bench.measures.note(CHANGED, place_of(stream), bench.clock())
    assert (sys.getrefcount(stream), sys.getrefcount(seen), sys.getrefcount(stream.identity)) == before
    assert bench.counted.number == 1


def test_whatever_goes_on_for_ever_is_counted_meanwhile(bench: Bench) -> None:
    measures = bench.measures
    loops: list[Deed] = [
        lambda _: measures.noticed(STREAM),
        lambda _: measures.spent(STREAM, measures.clock()),
        lambda _: measures.note(REPLY, None, measures.called(":1.5", "GetVolume"), "GetVolume"),
    ]
    for loop in loops:
        for _ in range(10 * PENDING):
            loop(bench)
            assert len(measures._pending) <= 5 * (2 * PENDING + 2)


def test_a_mistake_in_counting_is_made_only_once(bench: Bench) -> None:
    bench.measures.note(SIGNAL, STREAM, "not a time")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        bench.measures.counted()
    bench.measures.noticed(STREAM)
    assert [event.what for event in bench.counted.events()] == ["notice"]
