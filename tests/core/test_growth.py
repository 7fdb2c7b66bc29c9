"""How much is done for many streams: counted in calls, in steps of the interpreter and in bytes, which no load changes."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from types import FrameType
from typing import Any

import pytest
from build import after, client, playback, sink, snapshot, state_of
from counting import Done, taken

from pwmixer_dbus.core.events import Event, Gone, Seen
from pwmixer_dbus.core.matching import Outcomes, facts, outcome, prepared
from pwmixer_dbus.core.memory import AppIntent, KnownApp, Memory, all_learned, learned
from pwmixer_dbus.core.model import Client, Kind, Stream
from pwmixer_dbus.core.routing import Routing, World, decide, follow
from pwmixer_dbus.core.rules import Rule, rule_from_plain
from pwmixer_dbus.core.state import Change, MixerState, apply
from pwmixer_dbus.core.subjects import affected
from pwmixer_dbus.core.table import SMALL, lasting

FEW, FACTOR = 200, 4
"""So many streams, and so many times as many."""

TEN, MANY = 10, 1000


class Calls:
    """How many functions were called, ours and those in C."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _frame: FrameType, event: str, _about: Any) -> None:
        self.count += event in {"call", "c_call"}


@contextmanager
def counted() -> Iterator[Calls]:
    calls, before = Calls(), sys.getprofile()
    gc.disable()  # hypothesis has a function of its own called whenever garbage is looked for
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        gc.enable()


def listing(count: int) -> int:
    """List an application with so many streams, each by a client of its own, and say what that affects."""
    clients = [client(1000 + i) for i in range(count)]
    listed = snapshot(sink(), *clients, *(playback(100 + i, client=1000 + i) for i in range(count)))
    before = MixerState()
    with counted() as calls:
        state, changes = apply(before, listed)
        shown = list(affected(before, state, changes))
    assert len(state.streams) == count
    assert len(shown) >= count
    return calls.count


def births(count: int) -> int:
    state = state_of(sink())
    with counted() as calls:
        for i in range(count):
            state, _ = apply(state, Seen(record=playback(100 + i)))
    assert len(state.streams) == count
    return calls.count


def deaths(count: int) -> int:
    state = state_of(sink(), *(playback(100 + i) for i in range(count)))
    with counted() as calls:
        for i in range(count):
            state, _ = apply(state, Gone(kind=Kind.PLAYBACK, index=100 + i))
    assert not state.streams
    return calls.count


def intents(count: int) -> int:
    """Learn ten intents where so many applications are known."""
    known = {f"bin:a{i}": KnownApp(app_id=f"bin:a{i}") for i in range(count)}
    memory = Memory(apps=lasting(known))
    asked = [AppIntent(app_id=f"bin:a{i}", volume=0.4) for i in range(10)]
    with counted() as calls:
        all_learned(memory, asked, 0.0)
    return calls.count


def outcomes(count: int) -> int:
    """Decide what so many rules want of a stream that is new to them."""
    shapes = (
        {"app": "program{}x"},
        {"media_name": "*Site {}*"},
        {"media_name": "re:(?i)^song {} (?:live|remix)"},
    )
    rules = [
        rule_from_plain({"name": str(i), "match": {field: text.format(i) for field, text in shape.items()}})
        for i, shape in zip(range(count), cycle(shapes), strict=False)
    ]
    state = state_of(sink(), playback(media_name="Songs of others \u2013 Sites"))
    decided = Outcomes(rules)
    with counted() as calls:
        for stream in state.streams.values():
            assert not decided.of(state, stream).matched
    return calls.count


def routes(count: int) -> int:
    """Let rules send one stream more, where they have sent so many."""
    crowd = (playback(100 + i, device=1, properties={"application.name": f"a{i}"}) for i in range(count + 1))
    state = state_of(sink(), sink(2, "headset"), *crowd)
    ready = prepared([Rule(name="all", conditions=(), to=("headset",))])
    world = World(state=state, wants=lambda stream: outcome(ready, facts(ready, state, stream)))
    *known, last = state.streams.values()
    routing = decide(Routing(), world, [(s.kind, s.index) for s in known], 1.0).routing
    change = Change(kind=last.kind, before=None, after=last)
    with counted() as calls:
        steps = follow(routing, world, (change,), 2.0)
    assert steps is not None
    assert len(steps.moves) == 1
    assert len(steps.routing.led) == count + 1
    return calls.count


@pytest.mark.parametrize("do", [listing, births, deaths])
def test_what_is_done_for_many_streams_grows_no_faster_than_they_are_more(do: Callable[[int], int]) -> None:
    do(FEW)  # records make their methods when they are first used
    assert do(FACTOR * FEW) <= 1.06 * FACTOR * do(FEW)


@pytest.mark.parametrize("do", [intents, outcomes, routes])
def test_what_is_done_for_a_change_does_not_grow(do: Callable[[int], int]) -> None:
    do(FEW)
    assert do(FACTOR * FEW) == do(FEW)


def player(i: int, **fields: Any) -> tuple[Client, Stream]:
    """Make a program with a client and a stream of its own."""
    index = 2 * i
    mine = client(5000 + index, binary=f"program{i}")
    return mine, playback(100 + index, binary=f"program{i}", client=mine.index, **fields)


def crowd(count: int) -> MixerState:
    return state_of(sink(), *(record for i in range(count) for record in player(i)))


HERE, NEW = 5, MANY - 1
"""Which of the programs changes, and one that is not there yet."""

CHANGES: dict[str, tuple[Event, ...]] = {
    "a level": (Seen(record=player(HERE, volume=0.9)[1]),),
    "another title": (Seen(record=player(HERE, media_name="Song")[1]),),
    "a birth": tuple(Seen(record=record) for record in player(NEW)),
    "a death": (
        Gone(kind=Kind.PLAYBACK, index=player(HERE)[1].index),
        Gone(kind=Kind.CLIENT, index=player(HERE)[0].index),
    ),
}


@pytest.mark.parametrize("events", CHANGES.values(), ids=CHANGES)
def test_a_change_of_one_object_costs_the_same_among_a_thousand(events: tuple[Event, ...]) -> None:
    assert_costs_the_same(crowd, lambda state: after(state, *events))


def test_an_intent_costs_the_same_among_a_thousand_applications_that_are_known() -> None:
    def known(count: int) -> Memory:
        return Memory(apps=lasting({f"bin:a{i}": KnownApp(app_id=f"bin:a{i}") for i in range(count)}))

    assert_costs_the_same(known, lambda memory: learned(memory, AppIntent(app_id="bin:a5", volume=0.4), 0.0))
    assert_costs_the_same(known, lambda memory: learned(memory, AppIntent(app_id="bin:b", volume=0.4), 0.0))


def test_where_a_stream_goes_costs_the_same_among_a_thousand_that_rules_have_sent_somewhere() -> None:
    def sent(count: int) -> tuple[Routing, World, Change]:
        *known, last = (playback(100 + i, device=1, media_name=f"a{i}") for i in range(count + 1))
        state = state_of(sink(), sink(2, "headset"), *known, last)
        ready = prepared([Rule(name="all", conditions=(), to=("headset",))])
        world = World(state=state, wants=lambda stream: outcome(ready, facts(ready, state, stream)))
        routing = decide(Routing(), world, [(s.kind, s.index) for s in known], 1.0).routing
        return routing, world, Change(kind=last.kind, before=None, after=last)

    assert_costs_the_same(sent, lambda crowd: follow(crowd[0], crowd[1], (crowd[2],), 2.0))


def assert_costs_the_same(made: Callable[[int], Any], do: Callable[[Any], object]) -> None:
    """Among ten, all tables are small, and have fewer steps; of those among many, one step more would be of each."""

    def among(count: int) -> Done:
        world = made(count)
        return taken(lambda: do(world))

    few, more, many = among(TEN), among(FEW), among(MANY - 1)
    assert many.steps == more.steps
    assert many.steps <= 1.5 * few.steps
    assert many.bytes <= among(SMALL - 1).bytes
