"""What requests mean: the same for every outlet."""

import pytest
from build import after, capture, no_parents, playback, sink, source, state_of

from pwmixer_dbus.core import requests, verbs
from pwmixer_dbus.core.errors import AmbiguousError, InvalidArgumentError, NotConnectedError, NotFoundError
from pwmixer_dbus.core.events import Gone, Routed, Seen
from pwmixer_dbus.core.model import Card, Device, Kind, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import Change, MixerState, apply
from pwmixer_dbus.core.subjects import ROOT_SUBJECT, affected

MUSIC = "group:Music"


def world() -> MixerState:
    """Make two sinks, a source, and a group that plays twice and records once."""
    state = state_of(
        sink(),
        sink(3, name="headset"),
        source(),
        playback(device=1),
        playback(11, device=1, muted=True),
        capture(device=2),
    )
    return after(state, *(Routed(kind=k, index=i, by="", group="Music") for k, i in state.streams))


def resolved(state: MixerState, selector: str) -> list[Target]:
    return requests.targets_of(state, selector, no_parents)


def device(state: MixerState, called: str, moved: str = "") -> Device:
    targets = resolved(state, moved) if moved else ()
    return requests.device_of(state, called, lambda s: resolved(state, s), targets)


def called(state: MixerState, name: str, *kinds: Kind) -> str:
    """Name what a plain name or a selector means where one object is asked for."""
    found = requests.one_called(state, name, lambda s: resolved(state, s), kinds or requests.DEVICES)
    return selector_of(found)


def two_headsets() -> MixerState:
    """Make a headset that is a sink and a source of one description, as Bluetooth has it."""
    return state_of(
        sink(description="Speakers"),
        sink(3, name="bluez_output.AA:BB", description="WH-1000"),
        source(4, name="bluez_input.AA:BB", description="WH-1000"),
        playback(device=1),
        capture(device=4),
        Card(index=5, name="bluez_card.AA", description="WH-1000"),
    )


def stream(state: MixerState, selector: str) -> Stream:
    return requests.stream_to_explain(state, selector, resolved(state, selector))


def test_what_is_not_there_is_told_with_the_reason_that_there_is_no_server() -> None:
    state = world()
    with pytest.raises(NotFoundError):
        resolved(state, "sink:tv")
    with pytest.raises(NotConnectedError, match=r"no sound server at the moment\. Nothing is called"):
        resolved(replace(state, connected=False), "sink:tv")


def test_a_device_is_named_by_selector_or_just_by_its_name() -> None:
    state = world()
    assert device(state, "headset").index == device(state, "sink:headset").index == 3
    assert device(state, "@source").kind is Kind.SOURCE
    with pytest.raises(InvalidArgumentError, match="no sink or source to move to"):
        device(state, "app:music")
    with pytest.raises(AmbiguousError):
        device(state, "sink:*")


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("sink:speakers", "sink:speakers"),
        ("speakers", "sink:speakers"),
        ("SPEAKERS", "sink:speakers"),
        ("@sink", "sink:speakers"),
        ("bluez_output.AA:BB", "sink:bluez_output.AA:BB"),
        ("sink:wh-1000", "sink:bluez_output.AA:BB"),
        ("app:music", "app:bin:music"),
        ("bluez_in*", "source:bluez_input.AA:BB"),
    ],
)
def test_a_plain_name_is_of_a_device_where_one_is_asked_for(name: str, means: str) -> None:
    assert called(two_headsets(), name) == means


def test_a_name_of_a_sink_and_a_source_is_refused_with_both() -> None:
    with pytest.raises(AmbiguousError) as caught:
        called(two_headsets(), "wh-1000")
    assert str(caught.value) == (
        "“wh-1000” fits several: sink:bluez_output.AA:BB, source:bluez_input.AA:BB. Only one can be meant here: name it."
    )
    assert called(two_headsets(), "wh-1000", Kind.SINK) == "sink:bluez_output.AA:BB"
    assert called(two_headsets(), "wh-1000", Kind.CARD) == "card:bluez_card.AA"


def test_a_name_that_is_exactly_right_is_no_ones_description() -> None:
    state = state_of(sink(name="headset"), source(name="microphone", description="headset"))
    assert called(state, "headset") == "sink:headset"
    with pytest.raises(AmbiguousError):
        called(state, "Headset")


def test_what_no_device_is_called_says_which_there_are() -> None:
    with pytest.raises(NotFoundError) as caught:
        called(two_headsets(), "tv")
    assert str(caught.value) == (
        "No sink and no source is called “tv” now. "
        "There is sink:speakers, sink:bluez_output.AA:BB, source:bluez_input.AA:BB."
    )
    with pytest.raises(NotFoundError, match=r"No card is called “tv” now\. There is card:bluez_card\.AA\."):
        called(two_headsets(), "tv", Kind.CARD)
    with pytest.raises(NotFoundError, match=r"No card is called “tv” now\. There is no card at all\."):
        called(state_of(sink()), "tv", Kind.CARD)
    with pytest.raises(NotConnectedError, match=r"no sound server at the moment\. No sink and no source"):
        called(replace(two_headsets(), connected=False), "tv")
    with pytest.raises(InvalidArgumentError, match="“” is no target; use @sink"):
        called(two_headsets(), "")


def test_where_something_moves_a_name_is_of_the_direction_of_its_streams() -> None:
    state = two_headsets()
    assert device(state, "WH-1000", "stream:1").kind is Kind.SINK
    assert device(state, "WH-1000", "stream:2").kind is Kind.SOURCE
    assert device(state, "speakers", "stream:2").kind is Kind.SINK  # of which the move says what is wrong
    with pytest.raises(AmbiguousError):
        device(state, "WH-1000", "stream:*")


def test_one_stream_is_named_by_whatever_has_no_other() -> None:
    state = world()
    assert stream(state, "stream:1").index == stream(state, "stream:[1]").index == 10
    alone = state_of(sink(), playback(device=1))
    assert stream(alone, "app:*").index == stream(alone, "stream:*").index == 10


def test_one_of_several_streams_has_to_be_chosen_by_what_each_plays() -> None:
    state = state_of(
        sink(), playback(10, media_name="A song"), playback(11), playback(12, media_name="Music"), capture()
    )
    for selector in ("app:music", "app:*", "stream:*"):
        with pytest.raises(AmbiguousError) as caught:
            stream(state, selector)
        assert str(caught.value) == (
            f"“{selector}” has 4 streams, and one is explained at a time: "
            "stream:1 (Music: A song), stream:2 (Music), stream:3 (Music), stream:4 (Music)."
        )
    many = state_of(sink(), *(playback(10 + i) for i in range(8)))
    with pytest.raises(AmbiguousError, match=r"stream:5 \(Music\) and 3 more\.$"):
        stream(many, "app:*")


def test_what_has_no_stream_says_whether_it_may_have_one() -> None:
    with pytest.raises(InvalidArgumentError, match=r"sink:headset is no stream; use stream:N"):
        stream(world(), "sink:headset")
    silent = after(state_of(sink(), playback(device=1)), Gone(kind=Kind.PLAYBACK, index=10))
    with pytest.raises(NotFoundError, match=r"“app:\*” has no stream now"):
        stream(silent, "app:*")


def test_of_a_group_only_one_direction_moves() -> None:
    state = world()
    moved = requests.moves(state, MUSIC, resolved(state, MUSIC), device(state, "headset"))
    assert [s.index for _, streams in moved for s in streams] == [10, 11]
    silent = after(state, *(Gone(kind=k, index=i) for k, i in state.streams if k is Kind.PLAYBACK))
    with pytest.raises(NotFoundError, match="group:Music has no stream now"):
        requests.moves(silent, MUSIC, resolved(silent, MUSIC), device(silent, "headset"))


def test_a_change_of_a_stream_shows_in_its_application_and_one_of_the_settings_everywhere() -> None:
    state = world()
    louder, changes = apply(state, Seen(record=playback(device=1, volume=0.9)))
    assert set(affected(state, louder, changes)) == {
        (Kind.PLAYBACK, 10),
        (Kind.APP, "bin:music"),
        (Kind.GROUP, "Music"),
    }
    capped = replace(state, caps={"bin:music": 0.5})
    server = Change(kind=Kind.SERVER, before=state.server, after=state.server)
    shown = set(affected(state, capped, (server,)))
    assert {ROOT_SUBJECT, (Kind.SINK, "speakers"), (Kind.PLAYBACK, 11), (Kind.APP, "bin:music")} <= shown
    assert (Kind.GROUP, "Music") in shown


def test_of_several_applications_those_are_moved_that_play() -> None:
    state = state_of(sink(), sink(3, name="headset"), playback(device=1), capture(20, "talk", device=2))
    moves = requests.moves(state, "app:*", resolved(state, "app:*"), device(state, "headset"))
    assert [[c.key for c in plan.commands] for plan, _ in moves] == [[(Kind.PLAYBACK, 10)]]
    assert not [wish for plan, _ in moves for wish in plan.wishes]
    two = after(state, *(Routed(kind=k, index=i, by="", group=k.value) for k, i in state.streams))
    moves = requests.moves(two, "group:*", resolved(two, "group:*"), device(two, "headset"))
    assert [[c.key for c in plan.commands] for plan, _ in moves] == [[(Kind.PLAYBACK, 10)]]
    silent = replace(state, streams={}, apps={i: replace(app, streams=()) for i, app in state.apps.items()})
    with pytest.raises(NotFoundError, match="could be moved to a sink"):
        requests.moves(silent, "app:*", resolved(silent, "app:*"), device(silent, "headset"))


def test_of_several_streams_those_of_the_other_direction_stay() -> None:
    state = state_of(sink(), sink(3, name="headset"), playback(device=1), capture(20, "talk", device=2))
    moves = requests.moves(state, "stream:*", resolved(state, "stream:*"), device(state, "headset"))
    assert [[c.key for c in plan.commands] for plan, _ in moves] == [[(Kind.PLAYBACK, 10)]]
    recording = state_of(sink(), capture(device=2), capture(21, "talk", device=2))
    with pytest.raises(NotFoundError, match=r"stream:\* has no stream now that could be moved to a sink"):
        requests.moves(recording, "stream:*", resolved(recording, "stream:*"), device(recording, "speakers"))
    with pytest.raises(InvalidArgumentError, match="can be moved to a source"):
        requests.moves(recording, "stream:1", resolved(recording, "stream:1"), device(recording, "speakers"))


def test_what_was_asked_of_an_application_is_told_as_one_and_of_others_for_each() -> None:
    state = state_of(
        sink(),
        sink(3, name="headset"),
        playback(device=1),
        playback(11, device=1),
        playback(12, "film", device=1),
    )
    app = state.apps["bin:music"]
    plans = [verbs.set_volume(state, {}, app, 0.3), verbs.set_muted(state, {}, app, "on")]
    assert list(requests.told_of(state, verbs.joined(plans))) == [(app, "Volume", 0.3), (app, "Muted", True)]
    film = state.streams[Kind.PLAYBACK, 12]
    stepped = verbs.adjust_volume(state, {}, film, 0.1)
    assert list(requests.told_of(state, stepped)) == [(film, "Volume", 0.6)]
    headset = device(state, "headset")
    moved, streams = verbs.move(state, app, headset)
    assert list(requests.told_of(state, moved)) == [(stream, "Device", headset) for stream in streams]
    assert list(requests.told_of(state_of(), moved)) == []


def test_what_was_asked_of_a_group_is_told_as_one() -> None:
    state = world()
    (group,) = state.groups()
    plan = verbs.joined((verbs.set_muted(state, {}, group, "off"), verbs.set_volume(state, {}, group, 0.3)))
    sink = device(state, "sink:speakers")
    both = verbs.joined((plan, verbs.set_volume(state, {}, sink, 0.4)))
    assert list(requests.told_of(state, both)) == [
        (group, "Muted", False),
        (group, "Volume", 0.3),
        (sink, "Volume", 0.4),
    ]
    moved, streams = verbs.move(state, group, device(state, "headset"))
    assert [told[:2] for told in requests.told_of(state, moved)] == [(stream, "Device") for stream in streams]
