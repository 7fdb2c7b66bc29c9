"""From what somebody asks for to commands: limits, balance and pending values minded, and refusals that help."""

from collections.abc import Callable
from typing import Any

import pytest
from build import (
    MUSIC,
    after,
    app,
    capture,
    card,
    playback,
    sink,
    source,
    state_of,
    stream,
    wanted,
)
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core import verbs
from pwmixer_dbus.core.commands import (
    Command,
    MoveStream,
    SetDefault,
    SetMuted,
    SetPort,
    SetProfile,
    SetVolume,
    Slot,
)
from pwmixer_dbus.core.errors import InvalidArgumentError, MixerError, NotFoundError, NotSupportedError
from pwmixer_dbus.core.events import AppWanted, Capped, Gone, Routed, Seen
from pwmixer_dbus.core.model import App, Availability, Device, Group, Kind, Port, Profile, Stream
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import MixerState

SPEAKERS = (Kind.SINK, 1)
MONITOR = source(9, "speakers.monitor", monitor_of=1)
PORTS = (
    Port(name="analog-speaker", description="Speakers"),
    Port(name="hdmi", description="HDMI", available=Availability.NO),
    Port(name="analog-headphones", description="Headphones", available=Availability.YES),
)
PROFILES = (
    Profile(name="off", description="Off"),
    Profile(name="duplex", description="Analog Stereo Duplex"),
)


def pending(*commands: Command) -> dict[Slot, Command]:
    return {(type(command), command.key): command for command in commands}


def volumes(plan: verbs.Plan) -> list[tuple[float, ...]]:
    return [c.channels for c in plan.commands if isinstance(c, SetVolume)]


def stepped(device: Device, delta: float, *, limit: float = 1.5, **chosen: Any) -> verbs.Plan:
    return verbs.adjust_volume(state_of(device, **chosen), {}, device, delta, limit)


# --- absolute volumes


def test_a_volume_is_set_with_the_balance_kept() -> None:
    device = sink(channels=(0.25, 0.5))
    plan = verbs.set_volume(state_of(device), {}, device, 0.8)
    assert plan == verbs.Plan(commands=(SetVolume(key=SPEAKERS, channels=(0.4, 0.8)),), volume=0.8)


def test_from_silence_all_channels_are_equal() -> None:
    device = sink(channels=(0.0, 0.0))
    assert volumes(verbs.set_volume(state_of(device), {}, device, 0.3)) == [(0.3, 0.3)]


def test_balance_is_that_of_the_pending_value() -> None:
    device = sink(channels=(0.5, 0.5))
    waiting = pending(SetVolume(key=SPEAKERS, channels=(0.2, 0.4)))
    assert volumes(verbs.set_volume(state_of(device), waiting, device, 0.8)) == [(0.4, 0.8)]


def test_a_pending_value_for_other_channels_does_not_count() -> None:
    device = sink(channels=(0.5, 0.5))
    waiting = pending(SetVolume(key=SPEAKERS, channels=(0.2,)))
    assert verbs.volume_of(state_of(device), waiting, device) == 0.5


@pytest.mark.parametrize(
    ("asked", "limit", "effective", "reason"),
    [
        (1.2, 1.5, 1.0, "above the limit of 100%"),
        (0.9, 0.6, 0.6, "above the limit of 60%"),
        (-0.2, 1.5, 0.0, "below 0 %"),
    ],
)
def test_a_clamped_volume_says_why(asked: float, limit: float, effective: float, reason: str) -> None:
    device = sink()
    plan = verbs.set_volume(state_of(device), {}, device, asked, limit)
    assert volumes(plan) == [(effective, effective)]
    assert plan.volume == effective
    assert plan.clamps == (verbs.Clamp(target=device, requested=asked, effective=effective, reason=reason),)


def ruled(*caps: float | None) -> MixerState:
    """Make an application of streams with these caps of rules."""
    state = state_of(*(playback(10 + i, volume=0.2) for i in range(len(caps))))
    return after(
        state,
        *(Routed(kind=Kind.PLAYBACK, index=10 + i, by="", max_volume=cap) for i, cap in enumerate(caps)),
    )


def test_a_rules_cap_holds_for_its_stream_and_says_why() -> None:
    state = ruled(0.4)
    target = stream(state)
    assert verbs.max_volume(state, target) == 0.4
    plan = verbs.set_volume(state, {}, target, 0.9)
    assert volumes(plan) == [(0.4, 0.4)]
    assert [(c.effective, c.reason) for c in plan.clamps] == [(0.4, "above the limit of 40%")]
    assert volumes(verbs.set_channels(state, target, (0.3, 0.9))) == [(0.3, 0.4)]
    assert verbs.max_volume(ruled(1.4), stream(ruled(1.4))) == 1.0


def test_an_application_goes_as_high_as_the_highest_of_its_streams_may() -> None:
    state = ruled(0.4, 0.6)
    assert verbs.max_volume(state, app(state)) == 0.6
    plan = verbs.set_volume(state, {}, app(state), 0.9)
    assert volumes(plan) == [(0.4, 0.4), (0.6, 0.6)]
    assert [(c.target, c.effective) for c in plan.clamps] == [(app(state), 0.6), (stream(state), 0.4)]


def test_the_cap_of_one_stream_leaves_the_others_alone() -> None:
    state = ruled(0.4, None)
    assert verbs.max_volume(state, app(state)) == 1.0
    plan = verbs.set_volume(state, {}, app(state), 0.9)
    assert volumes(plan) == [(0.4, 0.4), (0.9, 0.9)]
    assert (plan.volume, [c.target for c in plan.clamps]) == (0.9, [stream(state)])


def test_the_settings_may_allow_more_than_100_percent() -> None:
    device = sink()
    assert verbs.set_volume(state_of(device, max_volume=1.3), {}, device, 1.2).clamps == ()


def test_each_channel_can_be_set() -> None:
    device = sink()
    plan = verbs.set_channels(state_of(device), device, (0.2, 1.4))
    assert volumes(plan) == [(0.2, 1.0)]
    assert (plan.clamps[0].requested, plan.clamps[0].effective) == (1.4, 1.0)


def test_a_channel_above_the_limit_may_stay_where_it_is() -> None:
    device = sink(channels=(1.2, 0.5))
    assert volumes(verbs.set_channels(state_of(device), device, (1.2, 0.7))) == [(1.2, 0.7)]


# --- steps


def test_ten_steps_in_a_hurry_are_ten_steps() -> None:
    device, waiting = sink(volume=0.2), dict[Slot, Command]()
    state = state_of(device)
    for _ in range(10):
        waiting |= pending(*verbs.adjust_volume(state, waiting, device, 0.05).commands)
    assert verbs.volume_of(state, waiting, device) == 0.7


@given(st.lists(st.integers(-9, 9), max_size=20), st.floats(0.01, 1.0))
def test_steps_add_up_and_never_leave_the_range(steps: list[int], volume: float) -> None:
    volume = round(volume, 4)
    device, waiting, expected = sink(volume=volume), dict[Slot, Command](), volume
    state = state_of(device)
    for step in steps:
        plan = verbs.adjust_volume(state, waiting, device, step / 100)
        waiting |= pending(*plan.commands)
        expected = round(min(max(expected + step / 100, 0.0), 1.0), 4)
        assert plan.volume == expected


def test_a_step_up_never_lowers_what_another_program_has_raised() -> None:
    plan = stepped(sink(volume=1.3), 0.05)
    assert plan.volume == 1.3
    assert plan.clamps[0].reason == "above the limit of 100%"
    assert stepped(sink(volume=0.8), 0.05, limit=0.5).volume == 0.8


def test_a_step_down_from_above_the_limit_is_one_step() -> None:
    assert stepped(sink(volume=1.3), -0.05) == verbs.Plan(
        commands=(SetVolume(key=SPEAKERS, channels=(1.25, 1.25)),), volume=1.25
    )


def test_a_step_below_zero_ends_at_zero() -> None:
    plan = stepped(sink(volume=0.02), -0.05)
    assert (plan.volume, plan.clamps[0].reason) == (0.0, "below 0 %")


@pytest.mark.parametrize("delta", [1e300, -1e300])
def test_a_step_of_any_size_is_a_step(delta: float) -> None:
    assert 0.0 <= stepped(sink(), delta).volume <= 1.0


def test_a_step_up_unmutes() -> None:
    assert SetMuted(key=SPEAKERS, muted=False) in stepped(sink(muted=True), 0.05).commands


def test_a_step_down_does_not_unmute() -> None:
    assert volumes(stepped(sink(muted=True), -0.05)) == [(0.45, 0.45)]
    assert len(stepped(sink(muted=True), -0.05).commands) == 1


def test_unmuting_on_the_way_up_can_be_switched_off() -> None:
    assert len(stepped(sink(muted=True), 0.05, unmute_on_raise=False).commands) == 1


def test_a_step_up_leaves_alone_what_is_not_muted() -> None:
    assert len(stepped(sink(), 0.05).commands) == 1


# --- mute


@pytest.mark.parametrize(
    ("mode", "now", "then"),
    [
        ("on", False, True),
        ("on", True, True),
        ("off", True, False),
        ("toggle", False, True),
        ("toggle", True, False),
    ],
)
def test_mute_has_three_modes(mode: str, *, now: bool, then: bool) -> None:
    device = sink(muted=now)
    plan = verbs.set_muted(state_of(device), {}, device, mode)
    assert plan == verbs.Plan(commands=(SetMuted(key=SPEAKERS, muted=then),), muted=then)


def test_two_toggles_in_a_hurry_are_none() -> None:
    device = sink()
    first = verbs.set_muted(state_of(device), {}, device, "toggle")
    second = verbs.set_muted(state_of(device), pending(*first.commands), device, "toggle")
    assert (first.muted, second.muted) == (True, False)


# --- applications


def test_an_application_has_the_volume_of_its_loudest_stream() -> None:
    state = state_of(playback(10, volume=0.3), playback(11, volume=0.7))
    assert verbs.volume_of(state, {}, app(state)) == 0.7


def test_setting_an_application_sets_all_that_it_plays_and_is_kept_as_its_wish() -> None:
    state = state_of(playback(10), playback(11, channels=(0.1, 0.2)), capture(20))
    plan = verbs.set_volume(state, {}, app(state), 0.4)
    assert volumes(plan) == [(0.4, 0.4), (0.2, 0.4)]
    assert plan.wishes == (AppWanted(app_id=MUSIC, volume=0.4),)


def test_an_application_that_only_records_is_set_where_it_records() -> None:
    state = state_of(capture(20))
    assert [c.key for c in verbs.set_volume(state, {}, app(state), 0.4).commands] == [(Kind.CAPTURE, 20)]


def test_a_silent_application_can_be_set_beforehand() -> None:
    state = state_of()
    silent = App(app_id=MUSIC, name="Music", volume=0.8, muted=True)
    plan = verbs.set_volume(state, {}, silent, 0.4)
    assert plan == verbs.Plan(wishes=(AppWanted(app_id=MUSIC, volume=0.4),), volume=0.4)
    assert verbs.volume_of(state, {}, silent) == 0.8
    assert verbs.muted_of(state, {}, silent)


def test_an_application_that_begins_to_play_is_as_loud_as_it_was_set_until_its_stream_is_linked() -> None:
    autoconnect = {**playback().properties, "node.autoconnect": "true"}
    state = after(state_of(playback(9)), wanted(0.8, muted=True), Gone(kind=Kind.PLAYBACK, index=9))
    state = after(state, Seen(record=playback(volume=0.0, properties=autoconnect)))
    assert (verbs.volume_of(state, {}, app(state)), verbs.muted_of(state, {}, app(state))) == (0.8, True)
    step = verbs.adjust_volume(state, {}, app(state), -0.1)
    assert volumes(step) == [(0.7, 0.7)]
    assert verbs.volume_of(state, pending(*step.commands), app(state)) == 0.7
    linked = after(state, Seen(record=playback(volume=0.0, properties=autoconnect, device=1)))
    assert (verbs.volume_of(linked, {}, app(linked)), verbs.muted_of(linked, {}, app(linked))) == (0.0, False)
    left_alone = after(state, Seen(record=playback(volume=0.0)))
    assert verbs.volume_of(left_alone, {}, app(left_alone)) == 0.0, "nobody will link it"


def test_streams_that_cannot_be_set_are_left_out_of_an_application() -> None:
    state = state_of(playback(10), playback(11, volume_writable=False), playback(12, has_volume=False))
    assert [c.key[1] for c in verbs.set_volume(state, {}, app(state), 0.4).commands] == [10]


def test_an_application_is_muted_when_all_that_it_plays_is() -> None:
    state = state_of(playback(10, muted=True), playback(11))
    assert not verbs.muted_of(state, {}, app(state))
    plan = verbs.set_muted(state, {}, app(state), "toggle")
    assert verbs.muted_of(state, pending(*plan.commands), app(state))
    assert plan.wishes == (AppWanted(app_id=MUSIC, muted=True),)


def test_a_wish_for_the_volume_leaves_that_for_mute_alone_and_the_other_way_round() -> None:
    state = after(state_of(playback()), wanted(0.8, muted=True))
    assert verbs.set_volume(state, {}, app(state), 0.4).wishes == (AppWanted(app_id=MUSIC, volume=0.4),)
    assert verbs.set_muted(state, {}, app(state), "off").wishes == (AppWanted(app_id=MUSIC, muted=False),)


def test_plans_for_several_targets_become_one() -> None:
    state = state_of(sink(1, "a"), sink(3, "b"))
    plan = verbs.joined(verbs.set_volume(state, {}, d, 1.2) for d in state.devices.values())
    assert [c.key[1] for c in plan.commands] == [1, 3]
    assert len(plan.clamps) == 2
    assert plan.volume == 1.0
    assert verbs.joined([]) == verbs.Plan()


def test_a_step_up_unmutes_an_application_for_its_next_stream_too() -> None:
    state = after(state_of(playback(muted=True)), wanted(0.5, muted=True))
    state = after(state, *verbs.adjust_volume(state, {}, app(state), 0.05).wishes)
    assert (app(state).volume, app(state).muted) == (0.55, False)


def test_a_step_of_an_application_keeps_the_proportions_of_its_streams() -> None:
    state = state_of(playback(10, channels=(0.8, 0.8)), playback(11, channels=(0.2, 0.4)))
    plan = verbs.adjust_volume(state, {}, app(state), -0.2)
    assert [c.channels for c in plan.commands if isinstance(c, SetVolume)] == [(0.6, 0.6), (0.15, 0.3)]
    assert plan.volume == 0.6


# --- groups


def chat(*streams: Stream, **of_ten: Any) -> tuple[MixerState, Group]:
    """Put streams into one group; `of_ten` are what rules say of the first."""
    state = state_of(sink(), sink(3, name="headset"), *streams)
    for number, one in enumerate(streams):
        more = of_ten if number == 0 else {}
        state = after(state, Routed(kind=one.kind, index=one.index, by="", group="Chat", **more))
    (group,) = state.groups()
    return state, group


def test_setting_a_group_sets_all_of_its_streams_and_nobody_wishes_anything() -> None:
    state, group = chat(playback(10, volume=0.2), playback(11, "talk", volume=0.4), capture(volume=0.3))
    assert verbs.volume_of(state, {}, group) == 0.4
    plan = verbs.set_volume(state, {}, group, 0.6)
    assert (volumes(plan), plan.wishes, plan.volume) == ([(0.6, 0.6)] * 3, (), 0.6)
    assert verbs.volume_of(state, pending(*plan.commands), group) == 0.6


def test_a_step_of_a_group_keeps_the_proportions_of_its_streams() -> None:
    state, group = chat(playback(10, volume=0.2), playback(11, "talk", volume=0.4))
    plan = verbs.adjust_volume(state, {}, group, 0.2)
    assert (volumes(plan), plan.volume) == ([(0.3, 0.3), (0.6, 0.6)], 0.6)


def test_a_group_goes_as_high_as_the_highest_of_its_streams_may() -> None:
    state, group = chat(playback(10, volume=0.2), playback(11, "talk", volume=0.2), max_volume=0.4)
    state = after(state, Capped(caps={"bin:talk": 0.7}))
    assert verbs.max_volume(state, group) == 0.7
    plan = verbs.set_volume(state, {}, group, 0.9)
    assert volumes(plan) == [(0.4, 0.4), (0.7, 0.7)]
    assert [(c.target, c.effective) for c in plan.clamps] == [(group, 0.7), (stream(state), 0.4)]


def test_a_group_is_muted_as_one() -> None:
    state, group = chat(playback(10, muted=True), playback(11, "talk"))
    assert not verbs.muted_of(state, {}, group)
    plan = verbs.set_muted(state, {}, group, "toggle")
    assert [c.muted for c in plan.commands if isinstance(c, SetMuted)] == [True, True]
    assert (plan.muted, plan.wishes) == (True, ())
    assert not verbs.set_muted(state, pending(*plan.commands), group, "toggle").muted


def test_streams_that_cannot_be_set_are_left_out_of_a_group() -> None:
    state, group = chat(playback(10, volume_writable=False), playback(11, has_volume=False), playback(12))
    plan = verbs.set_volume(state, {}, group, 0.3)
    assert [c.key for c in plan.commands] == [(Kind.PLAYBACK, 12)]
    state, group = chat(playback(10, volume_writable=False))
    with pytest.raises(NotSupportedError, match="of group:Chat cannot be set"):
        verbs.set_volume(state, {}, group, 0.3)
    state, group = chat(playback(10, has_volume=False))
    assert verbs.volume_of(state, {}, group) == 1.0
    with pytest.raises(NotSupportedError, match="group:Chat has no volume"):
        verbs.set_volume(state, {}, group, 0.3)
    with pytest.raises(NotSupportedError, match="group:Chat has no volume"):
        verbs.set_muted(state, {}, group, "on")


def test_of_a_group_what_can_go_there_is_moved() -> None:
    state, group = chat(playback(10), capture())
    plan, moved = verbs.move(state, group, sink(3, name="headset"))
    assert [s.index for s in moved] == [10]
    assert [c.key for c in plan.commands] == [(Kind.PLAYBACK, 10)]
    state, group = chat(playback(10))
    with pytest.raises(NotFoundError, match="group:Chat has no stream now that could be moved to a source"):
        verbs.move(state, group, source())


# --- moves, defaults, ports and profiles


def test_a_stream_is_moved_to_a_device_of_its_direction() -> None:
    state = state_of(sink(), source(), playback(), capture())
    plan, moved = verbs.move(state, stream(state), sink())
    assert plan.commands == (MoveStream(key=(Kind.PLAYBACK, 10), device=1),)
    assert moved == (stream(state),)
    with pytest.raises(InvalidArgumentError, match="can be moved to a sink, not to source:microphone"):
        verbs.move(state, stream(state), source())


def test_moving_an_application_moves_what_can_go_there() -> None:
    state = state_of(sink(), source(), playback(10), playback(11), capture(20))
    assert [c.key[1] for c in verbs.move(state, app(state), sink())[0].commands] == [10, 11]
    assert [c.key[1] for c in verbs.move(state, app(state), source())[0].commands] == [20]


def test_a_device_becomes_the_default_but_no_monitor_does() -> None:
    assert verbs.set_default(sink()).commands == (SetDefault(key=SPEAKERS, name="speakers"),)
    with pytest.raises(NotSupportedError, match="choose a real source"):
        verbs.set_default(MONITOR)


@pytest.mark.parametrize("word", ["analog-headphones", "Headphones"])
def test_a_port_is_chosen_by_name_or_description(word: str) -> None:
    plan = verbs.set_port(sink(ports=PORTS), word)
    assert plan.commands == (SetPort(key=SPEAKERS, port="analog-headphones"),)


def test_a_port_may_be_chosen_before_something_is_plugged_in() -> None:
    assert verbs.set_port(sink(ports=PORTS), "hdmi").commands


@pytest.mark.parametrize("word", ["duplex", "Analog Stereo Duplex"])
def test_a_profile_is_chosen_by_name_or_description(word: str) -> None:
    plan = verbs.set_profile(card(profiles=PROFILES), word)
    assert plan.commands == (SetProfile(key=(Kind.CARD, 7), profile="duplex"),)


# --- preferred devices


def test_an_application_that_does_not_play_is_moved_beforehand() -> None:
    plan, moved = verbs.move(state_of(sink()), APP, sink())
    assert plan == verbs.Plan(wishes=(AppWanted(app_id=MUSIC, preferred_sink="sink:speakers"),))
    assert moved == ()
    plan, _ = verbs.move(state_of(source()), APP, source())
    assert plan.wishes == (AppWanted(app_id=MUSIC, preferred_source="source:microphone"),)


@pytest.mark.parametrize("word", ["speakers", "sink:speakers"])
def test_a_preferred_device_is_named_by_selector_or_name(word: str) -> None:
    plan = verbs.prefer(state_of(sink()), APP, Kind.SINK, word)
    assert plan.wishes == (AppWanted(app_id=MUSIC, preferred_sink="sink:speakers"),)


@pytest.mark.parametrize("word", ["", "sink:at-work", "sink:80:99:E7:00:00:01"])
def test_a_preferred_device_may_be_away_and_may_be_none(word: str) -> None:
    plan = verbs.prefer(state_of(sink()), APP, Kind.SINK, word)
    assert plan.wishes == (AppWanted(app_id=MUSIC, preferred_sink=word),)


# --- refusals

Verb = Callable[[MixerState], Any]
APP = App(app_id=MUSIC, name="Music")
UNKNOWN = App(app_id="stream:playback-10", name="?")
FIXED = playback(volume_writable=False)


def targets() -> list[Target]:
    return [sink(), playback(), APP, card()]


REFUSALS: list[tuple[type[MixerError], str, Verb]] = [
    (InvalidArgumentError, "such as 0.5", lambda s: verbs.set_volume(s, {}, sink(), float("nan"))),
    (InvalidArgumentError, "such as 0.5", lambda s: verbs.adjust_volume(s, {}, sink(), float("inf"))),
    (InvalidArgumentError, "such as 0.5", lambda s: verbs.set_channels(s, sink(), (0.5, float("nan")))),
    (
        InvalidArgumentError,
        "takes one volume for each of its channels, 2 in all, and not 1",
        lambda s: verbs.set_channels(s, sink(), (0.5,)),
    ),
    (InvalidArgumentError, "on, off or toggle", lambda s: verbs.set_muted(s, {}, sink(), "loud\x00")),
    (NotSupportedError, "those of a stream or a device", lambda s: verbs.set_channels(s, APP, (0.5,))),
    (NotSupportedError, "card:card0 has no volume", lambda s: verbs.set_volume(s, {}, card(), 0.5)),
    (NotSupportedError, "card:card0 has no volume", lambda s: verbs.adjust_volume(s, {}, card(), 0.5)),
    (NotSupportedError, "card:card0 has no volume", lambda s: verbs.set_muted(s, {}, card(), "on")),
    (NotSupportedError, "has no volume", lambda s: verbs.set_volume(s, {}, sink(channels=()), 0.5)),
    (NotSupportedError, "does not allow it", lambda s: verbs.set_volume(s, {}, FIXED, 0.5)),
    (
        NotSupportedError,
        "only streams, applications and groups",
        lambda s: verbs.move(s, sink(), sink(3, "b")),
    ),
    (NotFoundError, "nobody could recognise it", lambda s: verbs.move(s, UNKNOWN, source())),
    (NotSupportedError, "only an application does", lambda s: verbs.prefer(s, sink(), Kind.SINK, "")),
    (InvalidArgumentError, "is no sink to prefer", lambda s: verbs.prefer(s, APP, Kind.SINK, "source:mic")),
    (InvalidArgumentError, "is no source to prefer", lambda s: verbs.prefer(s, APP, Kind.SOURCE, "nonsense")),
    (NotSupportedError, "only a sink or a source can", lambda _: verbs.set_default(playback())),
    (NotSupportedError, "only a sink or a source may", lambda _: verbs.set_port(card(), "x")),
    (NotSupportedError, "only a card has", lambda _: verbs.set_profile(sink(), "x")),
    (
        NotFoundError,
        "there is: analog-speaker, analog-headphones",
        lambda _: verbs.set_port(sink(ports=PORTS), "x"),
    ),
    (NotFoundError, "none to choose from", lambda _: verbs.set_profile(card(), "x")),
]


@pytest.mark.parametrize(("error", "says", "verb"), REFUSALS)
def test_a_refusal_is_a_sentence_that_says_what_would_do(
    error: type[MixerError], says: str, verb: Verb
) -> None:
    with pytest.raises(error) as caught:
        verb(state_of(sink()))
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()


@given(st.floats(), st.floats(), st.text(max_size=10), st.lists(st.floats(), max_size=3))
def test_no_argument_does_more_than_be_refused(
    volume: float, delta: float, text: str, channels: list[float]
) -> None:
    state = state_of(sink(), playback(), card())
    attempts: list[Callable[[Target], Any]] = [
        lambda t: verbs.set_volume(state, {}, t, volume),
        lambda t: verbs.adjust_volume(state, {}, t, delta),
        lambda t: verbs.set_channels(state, t, tuple(channels)),
        lambda t: verbs.set_muted(state, {}, t, text),
        lambda t: verbs.set_port(t, text),
        lambda t: verbs.set_profile(t, text),
        verbs.set_default,
        lambda t: verbs.move(state, t, sink()),
    ]
    for attempt in attempts:
        for target in targets():
            try:
                attempt(target)
            except MixerError as error:
                assert str(error).endswith(".")  # noqa: PT017 - most attempts succeed
