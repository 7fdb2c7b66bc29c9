"""What is handed over comes back as it was; of what is bent or foreign, whatever is good does."""

import json
from functools import reduce
from typing import Any

import pytest
from anything import anything
from build import after, playback, sink, snapshot, state_of, wanted
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pwmixer_dbus.core.commands import SetMuted, SetVolume
from pwmixer_dbus.core.directory import directory_of
from pwmixer_dbus.core.history import step_of
from pwmixer_dbus.core.model import Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.routing import Placement, Routing
from pwmixer_dbus.core.rules import rule_from_plain
from pwmixer_dbus.core.state import MixerState, apply
from pwmixer_dbus.core.succession import LATEST, Fading, Succession, understood, written
from pwmixer_dbus.core.verbs import Plan

NOW = 1000.0
FEW = settings(max_examples=30)
"""Each of them is a whole world."""

WHOLE = anything(Succession).map(
    lambda s: replace(
        s,
        made_at=NOW,
        state=replace(s.state, directory=directory_of(s.state.streams.values())),
    )
)
JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("keep"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@FEW
@given(WHOLE)
def test_what_is_handed_over_comes_back_as_it_was(succession: Succession) -> None:
    assert understood(written(succession), NOW) == (succession, "")


@given(st.text(max_size=20) | JSON.map(json.dumps))
def test_what_is_no_document_is_refused_in_a_sentence(text: str) -> None:
    assert understood(text, NOW) == (None, "it is no document that this version can read")


@FEW
@given(WHOLE, st.data())
def test_of_a_document_that_is_bent_the_good_is_taken_and_the_rest_told(
    succession: Succession, data: st.DataObject
) -> None:
    document = json.loads(written(succession))
    bent = document
    while True:
        places = list(bent) if isinstance(bent, dict) else list(range(len(bent)))
        place = data.draw(st.sampled_from(places))
        if bent is document and place in {"version", "made_at"}:
            return
        if not isinstance(bent[place], dict | list) or not bent[place] or data.draw(st.booleans()):
            break
        bent = bent[place]
    bent[place] = data.draw(JSON)
    found, sentence = understood(json.dumps(document), NOW)
    assert found is not None
    assert "\n" not in sentence
    # What has been read can be handed over in its turn.
    assert understood(written(found), NOW) == (found, "")


def test_a_bad_entry_costs_only_itself() -> None:
    state = state_of(sink(), playback(10, device=1), playback(11, device=1))
    routing = Routing(placements={(Kind.PLAYBACK, 10): Placement(born_at=1.0, override="headset")})
    document = json.loads(written(Succession(made_at=NOW, state=state, routing=routing)))
    document["state"]["streams"][1][1]["channels"] = "loud"
    document["state"]["server"]["cookie"] = None
    document["fades"] = 7
    document["a later version's"] = {}
    found, sentence = understood(json.dumps(document), NOW)
    assert found is not None
    assert found.state.streams[Kind.PLAYBACK, 10] == state.streams[Kind.PLAYBACK, 10]
    assert found.state.streams[Kind.PLAYBACK, 11].channels == Stream(kind=Kind.PLAYBACK, index=0).channels
    assert found.routing == routing
    assert sentence.startswith("it has what this version cannot read: ")
    assert {"state.server.cookie", "fades"} <= set(sentence.replace(",", "").split())


MUTED = SetMuted(key=(Kind.SINK, 1), muted=True)
LEFT = Succession(
    made_at=NOW,
    state=(WORLD := after(state_of(sink(), playback(10, device=1)), wanted(0.25))),
    remembers=False,
    next_cookie=3,
    routing=Routing(placements={(Kind.PLAYBACK, 10): Placement(born_at=1.0, foreign=("headset", 3.0))}),
    rules=(rule_from_plain({"name": "quiet", "match": {"app": "music"}, "volume": 0.2}),),
    history=(step_of(WORLD, {}, Plan(commands=(MUTED,)), "key", 1.0),),
)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("state.devices.0.1.channels", 0.5, "state.devices.['sink', 1].channels"),
        ("state.devices.0.0", ["sink"], "state.devices[…]"),
        ("state.devices.0", 7, "state.devices[…]"),
        ("state.devices", "none", "state.devices"),
        ("state.streams.0.1.properties", {"media.name": 7}, "properties"),
        ("state.streams.0.1.properties", [], "properties"),
        ("state.streams.0.1.identity.name", "two\nlines", "identity"),
        ("state.apps.bin:music.volume", True, "state.apps.bin:music.volume"),
        ("state.apps.bin:music.volume", 10**400, "state.apps.bin:music.volume"),
        ("state.apps.bin:music.volume", float("nan"), "state.apps.bin:music.volume"),
        ("routing.placements.0.1.foreign", ["headset"], "foreign"),
        ("routing.placements.0.1.foreign", "headset", "foreign"),
        ("rules.0.volume", 7, "rules[0]"),
        ("rules.0", "quiet", "rules[0]"),
        ("history.0.slots.0.0", "SetFire", "history[0].slots[0]"),
        ("history.0.commands.0.muted", 1, "history[0].commands[0]"),
        ("history.0.commands.0.key", ["cloud", 1], "history[0].commands[0]"),
        ("next_cookie", 1.5, "next_cookie"),
        ("remembers", "yes", "remembers"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(place: str, value: object, told: str) -> None:
    document = json.loads(written(LEFT))
    *within, last = place.split(".")
    bent = reduce(lambda part, step: part[int(step) if isinstance(part, list) else step], within, document)
    bent[int(last) if isinstance(bent, list) else last] = value
    found, sentence = understood(json.dumps(document), NOW)
    assert found is not None
    assert found != LEFT
    assert sentence.startswith("it has what this version cannot read: ")
    assert sentence.endswith(told)


def test_a_document_of_another_time_is_not_believed() -> None:
    text = written(Succession(made_at=NOW))
    assert understood(text, NOW + LATEST)[0] is not None
    assert understood(text, NOW + LATEST + 1) == (None, "it is of another time")
    assert understood(text, NOW - 1) == (None, "it is of another time")


def test_whoever_inherits_sees_only_what_has_changed_since() -> None:
    state = state_of(sink(), playback(10, device=1))
    state, _ = apply(state, wanted(0.25))
    heir = understood(written(Succession(made_at=NOW, state=state)), NOW)[0]
    assert heir is not None
    assert apply(heir.state, snapshot(sink(), playback(10, device=1))) == (heir.state, ())
    now, changes = apply(heir.state, snapshot(sink(), playback(10, device=1, volume=0.1)))
    assert now.generation == state.generation + 1
    assert len(changes) == 1


def test_the_way_back_of_each_step_survives() -> None:
    state = state_of(sink())
    key = (Kind.SINK, 1)
    plan = Plan(commands=(SetVolume(key=key, channels=(0.1, 0.1)), SetMuted(key=key, muted=True)))
    step = step_of(state, {}, plan, ":1.5", 3.0)
    found, _ = understood(written(Succession(made_at=NOW, history=(step,))), NOW)
    assert found is not None
    assert found.history == (step,)


def test_a_document_without_anything_is_that_of_an_empty_mixer() -> None:
    found, sentence = understood('{"version": 1, "made_at": 1000.0}', NOW)
    assert (found, sentence) == (Succession(made_at=NOW), "")
    assert Succession(made_at=NOW).state == MixerState()


def test_a_fade_needs_to_say_where_it_goes() -> None:
    fade = {
        "kind": "app",
        "name": "bin:a",
        "volume": 0.5,
        "limit": 1.5,
        "remaining": 2,
        "origin": {"kind": "user"},
    }
    text = json.dumps({"made_at": NOW, "fades": [fade, {**fade, "volume": "nan"}]})
    found, sentence = understood(text, NOW)
    assert found is not None
    assert [(f.kind, f.name, f.volume) for f in found.fades] == [(Kind.APP, "bin:a", 0.5)]
    assert isinstance(found.fades[0], Fading)
    assert "fades[1]" in sentence
