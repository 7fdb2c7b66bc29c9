"""The one projection of the state: plain JSON, with keys that scripts can rely on."""

import json
import math
from typing import Any

import pytest
from build import after, app, capture, card, client, no_parents, playback, process, sink, source, state_of
from build import stream as stream_of

from pwmixer_dbus.core.document import (
    ABSENT_DEVICE,
    all_properties,
    describe,
    describe_device,
    describe_target,
    explain_stream,
    written,
)
from pwmixer_dbus.core.events import Capped, Disconnected, Gone, Routed
from pwmixer_dbus.core.model import Availability, Kind, Port, Profile
from pwmixer_dbus.core.selectors import only, resolve
from pwmixer_dbus.core.state import MixerState

NODE = {"selector", "kind", "name", "description", "icon_name", "state", "volume", "muted", "channel_volumes"}
KINDS = ("sinks", "sources", "streams", "apps", "groups", "cards")
KEYS = {
    "": {"generation", "connected", "server", "defaults", "settings", "sinks", "sources", "streams", "apps"}
    | {"groups", "cards"},
    "server": {"name", "version"},
    "defaults": {"sink", "source"},
    "settings": {"max_volume", "step"},
    "sinks": NODE
    | {"index", "positions", "default", "monitor", "virtual", "form_factor", "bus", "card", "active_port"}
    | {"ports", "max_volume", "volume_writable", "locked"},
    "streams": NODE
    | {"number", "index", "direction", "app_id", "app_name", "media_name", "role", "binary", "pid", "device"}
    | {"positions", "corked", "max_volume", "volume_writable", "locked", "routed_by", "hidden", "group"},
    "apps": NODE | {"app_id", "streams", "active", "max_volume", "volume_writable", "locked", "hidden"},
    "groups": NODE | {"streams", "apps", "active", "max_volume", "volume_writable", "locked", "hidden"},
    "cards": {"selector", "kind", "index", "name", "description", "icon_name", "active_profile", "profiles"}
    | {"ports"},
}
"""Keys are only added to; whoever takes one away breaks somebody's bar."""


def decided(index: int, **fields: Any) -> Routed:
    return Routed(kind=Kind.PLAYBACK, index=index, by="", **fields)


def world() -> MixerState:
    port = Port(name="line", description="Line", available=Availability.YES)
    state = state_of(
        sink(1, ports=(port,), card=7),
        source(2),
        card(7, profiles=(Profile(name="duplex"),)),
        client(5),
        playback(10, client=5, device=1, process=process(42), media_name="Song"),
        capture(20, binary="", device=2),
        playback(11, binary="video", device=None),
    )
    return after(state, Gone(kind=Kind.PLAYBACK, index=11), decided(10, group="Chat"))


def documents(state: MixerState) -> list[dict[str, Any]]:
    whole: Any = describe(state)
    return [d for kind in KINDS for d in whole[kind]]


def plain(value: Any) -> bool:
    """Whether a value is what JSON can carry to any language."""
    if isinstance(value, dict):
        return all(type(k) is str and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(plain(v) for v in value)
    return type(value) in {str, int, float, bool, type(None)} and not (
        isinstance(value, float) and not math.isfinite(value)
    )


@pytest.mark.parametrize(
    "state", [world(), MixerState(), after(world(), Disconnected(reason="x"))], ids=["full", "empty", "stale"]
)
def test_the_document_is_plain_json(state: MixerState) -> None:
    whole = describe(state)
    assert plain(whole)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_no_key_is_ever_taken_away(kind: str) -> None:
    whole: Any = describe(world())
    found = whole if not kind else whole[kind][0] if isinstance(whole[kind], list) else whole[kind]
    assert set(found) >= KEYS[kind]


def test_the_whole_state_is_written_as_it_is_described() -> None:
    for state in (world(), MixerState()):
        assert written(state, json.dumps) == json.dumps(describe(state))


def test_sources_look_like_sinks() -> None:
    whole: Any = describe(world())
    assert list(whole["sources"][0]) == list(whole["sinks"][0])


def test_every_selector_in_the_document_leads_back_to_its_object() -> None:
    state = world()
    assert len(documents(state)) == 9
    for document in documents(state):
        target = only(document["selector"], resolve(state, document["selector"], no_parents))
        assert describe_target(state, target) == document


def test_values_are_those_that_are_in_force() -> None:
    state = state_of(sink(1, channels=(0.2, 0.4), muted=True), playback(10, device=1, corked=True))
    whole: Any = describe(state)
    device, stream, known = whole["sinks"][0], whole["streams"][0], whole["apps"][0]
    assert (device["volume"], device["channel_volumes"], device["muted"]) == (0.4, [0.2, 0.4], True)
    assert (device["default"], whole["defaults"]["sink"]) == (True, "speakers")
    assert (stream["device"], stream["state"], stream["number"]) == ("speakers", "corked", 1)
    assert (known["streams"], known["active"], known["state"]) == ([1], False, "idle")


def test_a_stream_between_two_devices_has_none() -> None:
    state = state_of(playback(device=None))
    whole: Any = describe(state)
    assert whole["streams"][0]["device"] is None


def test_applications_that_play_come_first() -> None:
    state = after(
        state_of(playback(10, "aaa"), playback(11, "bbb"), playback(12, "ccc")),
        Gone(kind=Kind.PLAYBACK, index=10),
    )
    whole: Any = describe(state)
    assert [a["app_id"] for a in whole["apps"]] == ["bin:bbb", "bin:ccc", "bin:aaa"]


def test_a_stream_is_completed_by_its_client() -> None:
    owner = client(5, binary="music", name="x")
    state = state_of(owner, playback(binary="", client=5, properties={"media.role": "game"}))
    whole: Any = describe(state)
    assert whole["streams"][0]["binary"] == "music"
    assert whole["streams"][0]["role"] == "game"
    assert all_properties(state, stream_of(state)) == {
        "application.process.binary": "music",
        "media.role": "game",
    }
    assert all_properties(state, app(state)) == {}


def test_why_a_stream_is_what_it_is_can_be_asked() -> None:
    state = state_of(sink(1), playback(device=1))
    explained: Any = explain_stream(state, stream_of(state))
    assert plain(explained)
    assert explained["evidence"][0] == {
        "source": "stream application.process.binary",
        "value": "music",
        "verdict": "used",
    }
    assert (explained["app_id"], explained["actual_device"]) == ("bin:music", "speakers")


def test_of_a_stream_whose_client_has_gone_it_is_said_that_it_came_from_there() -> None:
    state = state_of(client(5), playback(binary="", client=5, properties={"application.name": "Radio"}))
    gone = after(state, Gone(kind=Kind.CLIENT, index=5))
    explained: Any = explain_stream(gone, stream_of(gone))
    assert explained["app_id"] == "bin:music"
    assert [tuple(fact.values()) for fact in explained["evidence"]] == [
        ("client, which has gone since", "bin:music", "used"),
        ("stream application.name", "Radio", "weaker"),
    ]
    own = after(state_of(client(5), playback(client=5)), Gone(kind=Kind.CLIENT, index=5))
    explained = explain_stream(own, stream_of(own))
    assert [fact["source"] for fact in explained["evidence"]] == ["stream application.process.binary"]


def test_what_rules_say_of_how_it_looks_is_shown() -> None:
    state = state_of(playback(10), playback(11))
    look: dict[str, Any] = {"display_name": "Radio", "icon_name": "radio", "hidden": True, "group": "Chat"}
    some: Any = describe(after(state, decided(10, **look)))
    stream, other = some["streams"]
    assert (stream["app_name"], stream["name"], stream["icon_name"]) == ("Radio", "Radio", "radio")
    assert (stream["hidden"], stream["group"], stream["app_id"]) == (True, "Chat", "bin:music")
    assert (other["app_name"], other["hidden"], other["group"]) == (app(state).name, False, "")
    assert (some["apps"][0]["name"], some["apps"][0]["hidden"]) == (app(state).name, False)
    every: Any = describe(after(state, decided(10, **look), decided(11, **look)))
    known = every["apps"][0]
    assert (known["name"], known["description"], known["icon_name"]) == ("Radio", "Radio", "radio")
    assert known["hidden"]


def test_what_is_locked_is_shown_where_it_counts() -> None:
    state = state_of(sink(1), source(2), playback(10), playback(11, "talk"))
    state = after(state, Capped(caps={}, locked=frozenset({"sink:speakers", "bin:music"})))
    whole: Any = describe(state)
    locked = [d["selector"] for d in documents(state) if d.get("locked")]
    assert locked == ["sink:speakers", "stream:1", "app:bin:music"]
    assert whole["sources"][0]["locked"] is False


def test_a_silent_application_is_not_hidden() -> None:
    state = after(state_of(playback()), decided(10, hidden=True), Gone(kind=Kind.PLAYBACK, index=10))
    whole: Any = describe(state)
    assert not whole["apps"][0]["hidden"]


def test_a_group_is_as_loud_as_its_loudest_stream_and_muted_when_all_are() -> None:
    state = state_of(playback(10, volume=0.2, muted=True), playback(11, "talk", volume=0.4), playback(12))
    state = after(state, decided(10, group="Chat"), decided(11, group="Chat"), decided(12, group="all"))
    whole: Any = describe(state)
    shown = {
        "kind": "group",
        "icon_name": "music",
        "apps": ["bin:music"],
        "active": True,
        "state": "running",
        "muted": False,
        "channel_volumes": [],
        "max_volume": 1.0,
        "volume_writable": True,
        "locked": False,
        "hidden": False,
    }
    assert whole["groups"] == [
        {
            **shown,
            "selector": "group:all",
            "name": "all",
            "description": "all",
            "streams": [3],
            "volume": 0.5,
        },
        {
            **shown,
            "selector": "group:Chat",
            "name": "Chat",
            "description": "Chat",
            "icon_name": "",
            "streams": [1, 2],
            "apps": ["bin:music", "bin:talk"],
            "volume": 0.4,
        },
    ]


def test_a_group_is_what_all_of_its_streams_are() -> None:
    state = state_of(playback(10, corked=True), playback(11, "talk", corked=True, muted=True))
    state = after(
        state,
        decided(10, group="Chat", hidden=True, max_volume=0.5),
        decided(11, group="Chat", max_volume=0.7),
        Capped(caps={"bin:talk": 0.6}, locked=frozenset({"bin:talk"})),
    )
    (group,) = state.groups()
    shown = describe_target(state, group)
    assert (shown["active"], shown["state"], shown["muted"]) == (False, "idle", False)
    assert (shown["hidden"], shown["locked"], shown["max_volume"]) == (False, False, 0.6)
    state = after(state, decided(11, group="Chat", hidden=True), Gone(kind=Kind.PLAYBACK, index=10))
    (group,) = state.groups()
    shown = describe_target(state, group)
    assert (shown["hidden"], shown["locked"], shown["muted"]) == (True, True, True)
    assert all_properties(state, group) == {}


def test_a_default_that_is_not_there_can_be_shown() -> None:
    shown = describe_device(MixerState(), ABSENT_DEVICE)
    assert (shown["state"], shown["volume"], shown["default"], shown["volume_writable"]) == (
        "absent",
        0.0,
        False,
        False,
    )
