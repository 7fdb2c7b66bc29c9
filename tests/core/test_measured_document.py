"""The document of what is measured: how things are called in it, and what is left of those that have gone."""

import pytest
from build import MUSIC, card, client, playback, sink, snapshot

from pwmixer_dbus.core.events import Gone
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.statistics import COUNTERS, HISTOGRAMS, Costs, describe, traced
from pwmixer_dbus.core.tally import CONNECTED, Traced


@pytest.fixture
def state() -> MixerState:
    """Return a world with one of each."""
    records = (sink(1), playback(10, client=5, media_name="A song", device=1), client(5, name="mpv"), card(7))
    return apply(MixerState(settings=Settings()), snapshot(*records))[0]


def cost(state: MixerState, kind: Kind, index: int | str) -> Costs:
    """Return what is told of the costs of one object."""
    measures = Measures(lambda: 0.0)
    measures.counted().cost_of((kind, index)).notices += 3
    (found,) = describe(measures, state, {})["costs"]
    assert (found["kind"], found["notices"]) == (kind, 3)
    return found


@pytest.mark.parametrize(
    ("kind", "index", "called"),
    [
        (Kind.SINK, 1, ("sink:speakers", "", "")),
        (Kind.PLAYBACK, 10, ("stream:1", "A song", MUSIC)),
        (Kind.CLIENT, 5, ("", "mpv", MUSIC)),
        (Kind.CARD, 7, ("card:card0", "", "")),
        (Kind.APP, MUSIC, (f"app:{MUSIC}", "mpv", MUSIC)),
        (Kind.APP, "bin:gone", ("app:bin:gone", "bin:gone", "bin:gone")),
        (Kind.SERVER, 0, ("", "the sound server", "")),
        (Kind.PLAYBACK, -1, ("", "every playback", "")),
        (Kind.PLAYBACK, 99, ("", "playback 99", "")),
        (Kind.CLIENT, 99, ("", "client 99", "")),
    ],
)
def test_costs_are_called_by_what_they_are_of(
    state: MixerState, kind: Kind, index: int | str, called: tuple[str, str, str]
) -> None:
    """A selector, a name for people, and the id of the application."""
    found = cost(state, kind, index)
    assert (found["selector"], found["name"], found["app"]) == called


def test_callers_are_called_by_their_names(state: MixerState) -> None:
    measures = Measures(lambda: 0.0)
    measures.called(":1.7", "Describe")
    (found,) = describe(measures, state, {})["costs"]
    assert (found["kind"], found["name"], found["calls"]) == ("caller", ":1.7", 1)


@pytest.mark.parametrize(
    ("kind", "index", "detail", "told"),
    [
        ("", 0, "SetVolume", ("", "SetVolume")),
        ("sink", 1, "", ("sink:speakers", "")),
        ("playback", 10, "MoveStream", ("stream:1", "MoveStream")),
        ("playback", 99, "", ("playback #99", "")),
        ("sink", None, "", ("every sink", "")),
        ("card", 7, "", ("card:card0", "")),
        ("client", 5, "", ("client #5", "")),
        ("server", 0, "", ("server", "")),
        ("app", 0, MUSIC, (f"app:{MUSIC}", "")),
    ],
)
def test_events_are_told_by_what_they_were_about(
    state: MixerState, kind: str, index: int | None, detail: str, told: tuple[str, str]
) -> None:
    event = Traced(number=3, at=5.0, what="changed", kind=kind, index=index, detail=detail, took=0.25)
    entry = traced(event, state, 1000.0)
    assert (entry["object"], entry["detail"]) == told
    assert (entry["number"], entry["time"], entry["took"]) == (3, 1005.0, 0.25)


def test_what_has_gone_is_told_by_its_number(state: MixerState) -> None:
    gone, _ = apply(state, Gone(kind=Kind.PLAYBACK, index=10))
    event = Traced(number=0, at=0.0, what="notice", kind="playback", index=10, detail="", took=0.0)
    assert traced(event, state, 0.0)["object"] == "stream:1"
    assert traced(event, gone, 0.0)["object"] == "playback #10"


def test_everything_that_is_measured_is_told(state: MixerState) -> None:
    measures = Measures(lambda: 100.0)
    measures.queue("calls", lambda: 2).grew(5)
    measures.clients["socket"] = lambda: 4
    measures.counts.properties_hits, measures.counts.properties_misses = 3, 1
    measures.note(CONNECTED)
    told = describe(measures, state, {"cpu_seconds": 1.5})
    assert set(told["counters"]) == set(measures.counts.__slots__) == set(COUNTERS)
    assert set(told["histograms"]) == set(HISTOGRAMS)
    assert told["queues"] == {"calls": {"now": 2, "peak": 5}}
    assert told["clients"] == {"sound_server": 1, "socket": 4}
    assert told["caches"] == {"properties": {"hits": 3, "misses": 1, "rate": 0.75}}
    assert told["usage"] == {"cpu_seconds": 1.5}
    assert told["trace"] == {"events": 1, "kept": 1}
