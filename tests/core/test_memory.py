"""What is learned, what is recalled, what counts as a person's doing, and what is held against programs."""

import math
from typing import Any

import pytest
from build import (
    MUSIC,
    after,
    app,
    capture,
    card,
    playback,
    server,
    sink,
    snapshot,
    source,
    state_of,
    stream,
    wanted,
)
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core import memory as m
from pwmixer_dbus.core.commands import SERVER, Origin, SetMuted, SetVolume
from pwmixer_dbus.core.events import KEEP, Disconnected, Event, Gone, Seen
from pwmixer_dbus.core.memory import (
    CORRECTIONS,
    CORRECTIONS_IN,
    LATE,
    AppIntent,
    DeviceIntent,
    Enforcement,
    Intent,
    KnownApp,
    Level,
    Memory,
    Moment,
    Remembered,
    Write,
    bounded,
    device_forgotten,
    device_key,
    device_of_key,
    enforcement,
    forgotten,
    intent_of,
    is_upheaval,
    learned,
    met,
    recall,
    recall_device,
)
from pwmixer_dbus.core.model import App, Device, Kind, Stream
from pwmixer_dbus.core.state import MixerState, apply

NOW = 20_000 * m.DAY + 12_345.0
USER = Origin(kind="user", client=":1.7")
KEY = (Kind.PLAYBACK, 10)
SPEAKERS, HEADPHONES = sink(1, "speakers"), sink(3, "headphones")
OLD = Moment(now=100.0, born_at=0.0, unrest_at=0.0)
"""A quiet moment, long after birth."""
YOUNG = Moment(now=100.0, born_at=99.5, unrest_at=0.0)


def on(*devices: Device, **fields: Any) -> AppIntent:
    keys = tuple(device_key(d) for d in devices)
    return AppIntent(**{"app_id": MUSIC, "kind": Kind.PLAYBACK, "devices": keys, **fields})


def memory_of(*intents: Intent) -> Memory:
    memory = Memory()
    for intent in intents:
        memory = learned(memory, intent, NOW)
    return memory


def volume_on(memory: Memory, device: Device | None) -> float | None:
    return recall(memory, MUSIC, Kind.PLAYBACK, device).volume


# --- which device is it


@pytest.mark.parametrize(
    "fields",
    [
        {"properties": {"api.bluez5.address": "80:99:e7:00:00:01"}},
        {"properties": {"device.api": "bluez5", "device.string": "80:99:E7:00:00:01"}},
        {"name": "bluez_output.80_99_E7_00_00_01.a2dp-sink"},
        {"name": "bluez_sink.80_99_E7_00_00_01.handsfree_head_unit"},
    ],
)
def test_a_bluetooth_device_is_known_by_its_address(fields: dict[str, Any]) -> None:
    assert device_key(sink(1, **{"name": "bluez_output.1", **fields})) == "sink:80:99:E7:00:00:01"


def test_another_device_is_known_by_its_name() -> None:
    assert (
        device_key(sink(1, "alsa_output.pci", properties={"device.string": "front:0"}))
        == "sink:alsa_output.pci"
    )


def test_the_two_directions_and_the_monitor_of_a_headset_are_three_devices() -> None:
    fields: dict[str, Any] = {"properties": {"api.bluez5.address": "80:99:E7:00:00:01"}}
    devices = [sink(1, **fields), source(2, **fields), source(3, monitor_of=1, **fields)]
    assert len({device_key(d) for d in devices}) == 3


def test_a_device_is_found_by_its_key() -> None:
    state = state_of(SPEAKERS, HEADPHONES)
    assert device_of_key(state, "sink:headphones") == HEADPHONES
    assert device_of_key(state, "sink:gone") is None


# --- what is learned and recalled


def test_nothing_is_recalled_of_what_was_never_asked() -> None:
    assert recall(Memory(), MUSIC, Kind.PLAYBACK, SPEAKERS) == Remembered()
    assert recall_device(Memory(), SPEAKERS) == Remembered()


def test_a_volume_is_recalled_on_its_device_and_else_that_of_the_application() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4), on(HEADPHONES, volume=0.7))
    assert [volume_on(memory, d) for d in (SPEAKERS, HEADPHONES, sink(5, "tv"), None)] == [0.4, 0.7, 0.7, 0.7]


def test_volume_and_mute_are_recalled_each_for_itself() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4), on(muted=True))
    found = recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS)
    assert (found.volume, found.muted, found.where) == (0.4, True, " on this device")


def test_a_wish_for_all_of_an_application_replaces_those_for_single_devices() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4, muted=True), on(volume=0.2))
    found = recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS)
    assert (found.volume, found.muted) == (0.2, True)


def test_what_is_given_up_is_not_recalled() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4), on(volume=None))
    assert volume_on(memory, SPEAKERS) is None
    assert memory.apps[MUSIC].levels == {}


def test_what_a_program_records_says_nothing_of_what_it_plays() -> None:
    memory = memory_of(on(source(), kind=Kind.CAPTURE, volume=0.2))
    assert volume_on(memory, SPEAKERS) is None
    assert recall(memory, MUSIC, Kind.CAPTURE, source()).volume == 0.2


def test_a_wish_for_a_silent_recorder_is_for_what_it_records() -> None:
    memory = memory_of(on(source(), kind=Kind.CAPTURE, volume=0.2), on(kind=None, muted=True))
    assert recall(memory, MUSIC, Kind.CAPTURE, source()).muted is True
    assert recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS).muted is None


def test_a_device_has_a_volume_of_its_own() -> None:
    memory = memory_of(
        DeviceIntent(key=device_key(SPEAKERS), name="Speakers", volume=0.3, muted=False, locked=True)
    )
    assert recall_device(memory, SPEAKERS) == Remembered(volume=0.3, muted=False, locked=True)
    assert recall_device(memory, HEADPHONES) == Remembered()


def test_the_lower_cap_of_application_and_device_counts() -> None:
    memory = memory_of(on(max_volume=0.8), DeviceIntent(key=device_key(HEADPHONES), max_volume=0.5))
    caps = [recall(memory, MUSIC, Kind.PLAYBACK, d).max_volume for d in (SPEAKERS, HEADPHONES)]
    assert caps == [0.8, 0.5]
    assert recall(memory, "bin:other", Kind.PLAYBACK, HEADPHONES).max_volume == 0.5


def test_a_preferred_device_is_kept_for_each_direction() -> None:
    memory = memory_of(on(preferred_sink="sink:tv"), on(preferred_source="source:desk"))
    assert recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS).preferred == "sink:tv"
    assert recall(memory, MUSIC, Kind.CAPTURE, None).preferred == "source:desk"
    assert learned(memory, on(preferred_sink="source:desk"), NOW) is memory
    given_up = learned(memory, on(preferred_sink=""), NOW)
    assert recall(given_up, MUSIC, Kind.PLAYBACK, None).preferred == ""


def test_an_application_that_nobody_could_recognise_again_is_not_remembered() -> None:
    assert memory_of(on(app_id="stream:playback-17", volume=0.4), on(app_id="", volume=0.4)) == Memory()
    assert met(Memory(), App(app_id="stream:playback-17", name="?"), NOW) == Memory()


def test_what_makes_no_sense_changes_nothing() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4))
    assert learned(memory, on(SPEAKERS, volume=math.nan), NOW) is memory
    assert learned(memory, DeviceIntent(key="speakers", volume=0.4), NOW) is memory
    assert volume_on(learned(memory, on(SPEAKERS, volume=math.inf), NOW), SPEAKERS) == 1.5


def test_what_changes_nothing_gives_the_same_memory() -> None:
    memory = memory_of(on(SPEAKERS, volume=0.4))
    assert learned(memory, on(SPEAKERS, volume=0.4), NOW + 60) is memory
    assert met(memory, App(app_id=MUSIC, name="Another"), NOW + 60) is memory
    assert forgotten(memory, "bin:other") is memory
    assert device_forgotten(memory, "sink:other") is memory
    assert forgotten(Memory(), None) == Memory()


def test_an_application_that_was_seen_is_known_by_its_name_and_used_today() -> None:
    memory = met(Memory(), App(app_id=MUSIC, name="Music", icon_name="note"), NOW)
    assert memory.apps[MUSIC] == KnownApp(app_id=MUSIC, name="Music", icon_name="note", used=20_000 * m.DAY)
    assert met(memory, App(app_id=MUSIC, name="Player"), NOW + m.DAY).apps[MUSIC].name == "Player"


def test_forgetting_an_application_leaves_the_others() -> None:
    memory = memory_of(on(volume=0.4), on(app_id="bin:other", volume=0.4))
    assert list(forgotten(memory, MUSIC).apps) == ["bin:other"]
    assert forgotten(memory, None) == Memory()


def test_forgetting_a_device_takes_it_from_every_application() -> None:
    memory = memory_of(
        on(SPEAKERS, volume=0.4, preferred_sink="sink:speakers"),
        DeviceIntent(key="sink:speakers", volume=0.4),
    )
    after_ = device_forgotten(memory, "sink:speakers")
    assert after_.devices == {}
    assert after_.apps[MUSIC].levels == {"playback": Level(volume=0.4)}
    assert after_.apps[MUSIC].preferred_sink == ""


# --- limits


def test_of_more_than_a_thousand_applications_the_longest_unused_goes_first() -> None:
    apps = {
        f"bin:{i}": KnownApp(app_id=f"bin:{i}", locked=True, used=m.DAY * (i % 7 + 1)) for i in range(m.APPS)
    }
    memory = learned(Memory(apps=apps), on(volume=0.4), NOW)
    assert len(memory.apps) == m.APPS
    assert set(apps) - set(memory.apps) == {"bin:0"}
    assert MUSIC in memory.apps


def test_what_was_only_seen_goes_before_what_a_person_has_set() -> None:
    apps = {f"bin:{i}": KnownApp(app_id=f"bin:{i}", used=20_000 * m.DAY) for i in range(m.APPS)}
    old = KnownApp(app_id="bin:old", levels={"playback": Level(volume=0.1)}, used=0)
    memory = met(Memory(apps={"bin:old": old, **apps}), App(app_id=MUSIC, name="Music"), NOW)
    assert {"bin:old", MUSIC} <= set(memory.apps)


def test_a_stranger_does_not_push_out_what_people_have_set() -> None:
    apps = {f"bin:{i}": KnownApp(app_id=f"bin:{i}", locked=True) for i in range(m.APPS)}
    memory = Memory(apps=apps)
    assert met(memory, App(app_id=MUSIC, name="Music"), NOW) is memory


def test_the_device_set_longest_ago_is_forgotten_of_an_application_with_many() -> None:
    devices = [sink(i, f"s{i}") for i in range(m.DEVICES_PER_APP)]
    memory = memory_of(
        *(on(d, volume=0.1) for d in devices), on(devices[0], volume=0.2), on(SPEAKERS, volume=0.3)
    )
    keys = set(memory.apps[MUSIC].levels)
    assert len(keys) == m.DEVICES_PER_APP + 1
    assert "sink:s1" not in keys
    assert {"playback", "sink:s0", "sink:speakers"} <= keys


text = st.text(max_size=6)
keys = st.sampled_from(["sink:a", "sink:b", "source:c", "nonsense", ""]) | text
volumes = st.none() | st.just(KEEP) | st.floats()
switches = st.just(KEEP) | st.booleans()
app_intents = st.builds(
    AppIntent,
    app_id=st.sampled_from([MUSIC, "bin:b", "stream:x"]) | text,
    name=text,
    kind=st.none() | st.sampled_from([Kind.PLAYBACK, Kind.CAPTURE]),
    devices=st.lists(keys, max_size=3).map(tuple),
    volume=volumes,
    muted=st.none() | switches,
    locked=switches,
    max_volume=volumes,
    preferred_sink=st.just(KEEP) | keys,
    preferred_source=st.just(KEEP) | keys,
)
device_intents = st.builds(DeviceIntent, key=keys, name=text, volume=volumes, muted=st.none() | switches)
times = st.floats()


@given(st.lists(st.tuples(app_intents | device_intents, times), max_size=20))
def test_any_intents_at_any_time_leave_volumes_in_range(history: list[tuple[Intent, float]]) -> None:
    memory = Memory()
    for intent, now in history:
        memory = learned(memory, intent, now)
        assert learned(memory, intent, now) is memory
    levels = [level for known in memory.apps.values() for level in known.levels.values()]
    levels += [known.level for known in memory.devices.values()]
    assert all(level.volume is None or 0.0 <= level.volume <= 1.5 for level in levels)
    assert bounded(memory) is memory


@given(st.lists(st.tuples(app_intents, times), max_size=5), st.integers(0, 3000), st.integers(0, 400))
def test_no_history_makes_it_larger_than_its_limits(
    history: list[tuple[Intent, float]], apps: int, devices: int
) -> None:
    memory = Memory(
        apps={f"bin:{i}": KnownApp(app_id=f"bin:{i}", used=i) for i in range(apps)},
        devices={f"sink:{i}": m.KnownDevice(key=f"sink:{i}", used=i) for i in range(devices)},
    )
    for intent, now in history:
        memory = bounded(learned(memory, intent, now))
    assert len(bounded(memory).apps) <= m.APPS
    assert len(bounded(memory).devices) <= m.DEVICES


# --- whether it was a person


def intent_after(
    event: Event, origin: Origin = SERVER, moment: Moment = OLD, memory: Memory | None = None, **chosen: Any
) -> Intent | None:
    """Return the one intent in what an event does to a playing program."""
    before = state_of(server(), SPEAKERS, HEADPHONES, source(), playback(device=1), **chosen)
    return the_intent(before, event, origin, moment, memory)


def the_intent(
    before: MixerState, event: Event, origin: Origin, moment: Moment, memory: Memory | None = None
) -> Intent | None:
    state, changes = apply(before, event)
    found = [intent_of(change, origin, moment, state, memory or Memory()) for change in changes]
    intents = [intent for intent in found if intent is not None]
    assert len(intents) <= 1
    return intents[0] if intents else None


LOUDER = Seen(record=playback(device=1, volume=0.8))


def writes(volume: float, kind: str, at: float) -> dict[Any, Write]:
    command = SetVolume(key=KEY, channels=(volume, volume))
    return {(SetVolume, KEY): Write(command=command, origin=Origin(kind=kind), at=at)}


def moment_with(volume: float, kind: str, at: float = 99.9, born_at: float = 0.0) -> Moment:
    return Moment(now=100.0, born_at=born_at, unrest_at=0.0, writes=writes(volume, kind, at))


def test_what_a_person_does_through_us_counts_even_at_birth() -> None:
    wish = AppIntent(
        app_id=MUSIC,
        name="Music",
        icon_name="music",
        kind=Kind.PLAYBACK,
        devices=("sink:speakers",),
        volume=0.8,
    )
    asked = moment_with(0.8, "user")
    for moment in (asked, asked._replace(born_at=99.5), asked._replace(unrest_at=99.9)):
        found = intent_after(LOUDER, USER, moment)
        assert isinstance(found, AppIntent)
        assert (found.app_id, found.kind, found.devices, found.volume, found.muted) == (
            wish.app_id, wish.kind, wish.devices, 0.8, KEEP,
        )  # fmt: skip


def test_what_another_program_does_to_a_grown_stream_counts() -> None:
    found = intent_after(LOUDER)
    assert isinstance(found, AppIntent)
    assert found.volume == 0.8


@pytest.mark.parametrize("kind", ["rule", "duck", "scene", "app"])
def test_what_we_do_ourselves_does_not_count(kind: str) -> None:
    assert intent_after(LOUDER, Origin(kind=kind)) is None


def test_what_a_program_does_within_two_seconds_of_its_birth_does_not_count() -> None:
    assert intent_after(LOUDER, moment=YOUNG) is None
    assert intent_after(LOUDER, moment=Moment(now=100.0, born_at=98.0)) is None
    assert intent_after(LOUDER, moment=Moment(now=100.0, born_at=98.0 - LATE)) is not None


def test_what_happens_after_an_upheaval_does_not_count() -> None:
    assert intent_after(LOUDER, moment=Moment(now=100.0, unrest_at=99.5)) is None


@pytest.mark.parametrize(
    ("event", "is_one"),
    [
        (Gone(kind=Kind.SINK, index=3), True),
        (Seen(record=sink(4, "tv")), True),
        (Seen(record=sink(1, "speakers", active_port="hdmi")), True),
        (Seen(record=server("headphones")), True),
        (Disconnected(reason="gone"), True),
        (Seen(record=playback(device=3)), True),
        (Seen(record=card(active_profile="a2dp")), True),
        (Seen(record=card(description="Card")), False),
        (Seen(record=sink(1, "speakers", 0.9)), False),
        (Seen(record=playback(device=1, volume=0.8)), False),
        (Seen(record=playback(11)), False),
        (Gone(kind=Kind.PLAYBACK, index=10), False),
    ],
)
def test_devices_defaults_moves_and_the_server_are_upheavals(event: Event, is_one: bool) -> None:
    before = state_of(server(), SPEAKERS, HEADPHONES, card(active_profile=""), playback(device=1))
    assert is_upheaval(apply(before, event)[1]) is is_one


def test_the_echo_of_a_duck_or_rule_does_not_count_however_it_is_labelled() -> None:
    for kind in ("rule", "duck", "app"):
        assert intent_after(LOUDER, moment=moment_with(0.8, kind)) is None
        assert intent_after(LOUDER, moment=moment_with(0.6, kind)) is None
    assert intent_after(LOUDER, moment=moment_with(0.6, "duck", at=98.9)) is not None


def test_the_echo_of_a_persons_request_counts_as_what_was_asked() -> None:
    found = intent_after(LOUDER, moment=moment_with(0.81, "user"))
    assert isinstance(found, AppIntent)
    assert found.volume == 0.81


def test_a_mute_with_a_fresh_volume_of_ours_counts_for_itself() -> None:
    quiet = Seen(record=playback(device=1, volume=0.8, muted=True))
    found = intent_after(quiet, moment=moment_with(0.8, "duck"))
    assert isinstance(found, AppIntent)
    assert (found.volume, found.muted) == (KEEP, True)


def test_the_echo_of_our_own_mute_does_not_count() -> None:
    command = SetMuted(key=KEY, muted=True)
    for kind, wish in (("duck", False), ("user", True)):
        write = Write(command=command, origin=Origin(kind=kind), at=99.9)
        moment = Moment(now=100.0, writes={(SetMuted, KEY): write})
        assert bool(intent_after(Seen(record=playback(device=1, muted=True)), moment=moment)) is wish


def test_births_deaths_and_moves_do_not_count() -> None:
    assert intent_after(Seen(record=playback(11, device=1)), USER) is None
    assert intent_after(Gone(kind=Kind.PLAYBACK, index=10), USER) is None
    assert intent_after(Seen(record=playback(device=3)), USER) is None


def test_a_volume_that_changes_together_with_a_move_or_the_channels_does_not_count() -> None:
    assert intent_after(Seen(record=playback(device=3, volume=0.8))) is None
    mono = playback(device=1, channels=(0.8,), positions=("mono",))
    assert intent_after(Seen(record=mono)) is None


def test_a_change_of_the_balance_alone_does_not_count() -> None:
    assert intent_after(Seen(record=playback(device=1, channels=(0.5, 0.2))), USER) is None


def test_a_volume_above_the_limit_is_learned_as_the_limit() -> None:
    found = intent_after(Seen(record=playback(device=1, volume=1.4)), max_volume=1.0)
    assert isinstance(found, AppIntent)
    assert found.volume == 1.0
    capped = memory_of(on(max_volume=0.7))
    found = intent_after(LOUDER, memory=capped)
    assert isinstance(found, AppIntent)
    assert found.volume == 0.7


def test_other_programs_cannot_teach_against_a_lock_but_people_can() -> None:
    locked = memory_of(on(volume=0.5, locked=True))
    assert intent_after(LOUDER, memory=locked) is None
    assert intent_after(LOUDER, USER, moment_with(0.8, "user"), memory=locked) is not None


def test_what_changes_during_a_persons_request_for_something_else_is_judged_as_another_programs() -> None:
    muted = Seen(record=playback(device=1, muted=True))
    assert intent_after(muted, USER, OLD) is not None
    for moment in (YOUNG, Moment(now=100.0, unrest_at=99.9)):
        assert intent_after(muted, USER, moment) is None
    assert intent_after(muted, USER, OLD, memory=memory_of(on(volume=0.5, locked=True))) is None


def test_a_device_is_learned_from_any_program_but_not_with_its_port() -> None:
    louder = sink(1, "speakers", 0.9)
    found = intent_after(Seen(record=louder))
    assert found == DeviceIntent(key="sink:speakers", volume=0.9)
    assert intent_after(Seen(record=sink(1, "speakers", 0.9, active_port="hdmi"))) is None
    locked = memory_of(DeviceIntent(key="sink:speakers", locked=True))
    assert intent_after(Seen(record=louder), memory=locked) is None


def test_a_snapshot_after_a_restart_teaches_nothing() -> None:
    restarted = snapshot(server(cookie=2), SPEAKERS, playback(device=1, volume=0.9))
    assert intent_after(restarted) is None


def test_what_a_person_wishes_of_an_application_counts_on_the_devices_that_it_plays_on() -> None:
    before = state_of(SPEAKERS, HEADPHONES, source(), playback(device=1), capture(device=2))
    found = the_intent(before, wanted(0.3), USER, OLD)
    assert isinstance(found, AppIntent)
    assert (found.kind, found.devices, found.volume, found.muted) == (
        Kind.PLAYBACK,
        ("sink:speakers",),
        0.3,
        KEEP,
    )
    assert the_intent(before, wanted(0.3), SERVER, OLD) is None


def test_a_wish_for_a_silent_application_counts_for_all_devices() -> None:
    before = after(state_of(SPEAKERS, playback(device=1)), Gone(kind=Kind.PLAYBACK, index=10))
    found = the_intent(before, wanted(muted=True), USER, OLD)
    assert isinstance(found, AppIntent)
    assert (found.kind, found.devices, found.muted) == (None, (), True)


# --- what is enforced


def enforced(
    remembered: Remembered,
    shown: float = 1.0,
    *,
    moment: Moment = YOUNG,
    before: Stream | None = None,
    corrected_at: tuple[float, ...] = (),
    limit: float = 1.5,
    **fields: Any,
) -> Enforcement:
    now = stream(state_of(SPEAKERS, playback(volume=shown, device=1, **fields)))
    return enforcement(before, now, remembered, moment, corrected_at=corrected_at, limit=limit)


def before_it(volume: float, **fields: Any) -> Stream:
    return stream(state_of(SPEAKERS, playback(volume=volume, device=1, **fields)))


def to(volume: float) -> SetVolume:
    return SetVolume(key=KEY, channels=(volume, volume))


def test_a_new_stream_gets_what_is_remembered_with_the_reason() -> None:
    found = enforced(Remembered(volume=0.4, muted=True, where=" on this device"))
    assert found.commands == (to(0.4), SetMuted(key=KEY, muted=True))
    assert found.reason == (
        "Music was set to 40% on this device, and shows 100%; Music was muted on this device"
    )


def test_a_new_stream_that_is_as_remembered_or_has_no_memory_is_left_alone() -> None:
    assert enforced(Remembered(volume=0.4, muted=False), 0.4) == Enforcement()
    assert enforced(Remembered()) == Enforcement()


def test_the_balance_is_kept() -> None:
    assert enforced(Remembered(volume=0.4), channels=(0.5, 1.0)).commands == (
        SetVolume(key=KEY, channels=(0.2, 0.4)),
    )


def test_a_program_that_sets_itself_in_the_window_is_corrected_again() -> None:
    moment = moment_with(0.4, "app", born_at=99.0)
    assert enforced(Remembered(volume=0.4), 0.9, moment=moment, before=before_it(0.4)).commands == (to(0.4),)


def test_after_the_window_only_a_lock_holds() -> None:
    assert enforced(Remembered(volume=0.4, muted=True), moment=OLD, before=before_it(0.4)) == Enforcement()
    found = enforced(Remembered(volume=0.4, locked=True), moment=OLD, before=before_it(0.4))
    assert found.commands == (to(0.4),)
    assert found.reason == "Music was set to 40%, and is locked, and shows 100%"
    muted = before_it(1.0, muted=True)
    assert enforced(Remembered(muted=True, locked=True), moment=OLD, before=muted).commands


def test_what_did_not_change_is_not_corrected_again() -> None:
    assert enforced(Remembered(volume=0.4), before=before_it(1.0, muted=True)) == Enforcement()
    assert enforced(Remembered(muted=True), before=before_it(0.5)) == Enforcement()


def test_on_another_device_another_volume_is_right() -> None:
    elsewhere = stream(state_of(SPEAKERS, HEADPHONES, playback(volume=1.0, device=3)))
    assert enforced(Remembered(volume=0.4), before=elsewhere).commands == (to(0.4),)


def test_a_person_who_is_just_setting_it_is_left_in_peace() -> None:
    moment = moment_with(0.7, "user", born_at=99.0)
    assert enforced(Remembered(volume=0.4), 0.65, moment=moment) == Enforcement()
    write = Write(command=SetMuted(key=KEY, muted=False), origin=USER, at=99.9)
    moment = Moment(now=100.0, born_at=99.0, writes={(SetMuted, KEY): write})
    assert enforced(Remembered(muted=True), moment=moment) == Enforcement()


def test_what_a_rule_or_duck_has_set_is_left_as_it_is() -> None:
    assert (
        enforced(Remembered(volume=0.4), 0.2, moment=moment_with(0.2, "duck", born_at=99.0)) == Enforcement()
    )


def test_five_corrections_are_enough() -> None:
    times = (99.51, 99.52, 99.53, 99.54, 99.55)
    assert enforced(Remembered(volume=0.4), corrected_at=times[:4]).commands
    found = enforced(Remembered(volume=0.4), corrected_at=times)
    assert (found.commands, found.again_at) == ((), None)
    assert found.reason == "Music was set to 40%, and shows 100%; but it was corrected 5 times and is let be"


def test_a_lock_is_looked_at_again_when_the_fight_is_long_ago() -> None:
    times = (75.0, 76.0, 77.0, 78.0, 79.0)
    locked = Remembered(volume=0.4, locked=True)
    assert enforced(locked, moment=OLD, corrected_at=times) == Enforcement(
        reason="Music was set to 40%, and is locked, and shows 100%; but it was corrected 5 times and is let be",
        again_at=105.0,
    )
    assert enforced(locked, moment=Moment(now=105.0, born_at=0.0), corrected_at=times).commands


@pytest.mark.parametrize("wanted", [Remembered(volume=0.4, locked=True), Remembered(max_volume=0.4)])
def test_what_is_nearly_right_after_all_of_them_is_let_be_for_good(wanted: Remembered) -> None:
    """A device with coarse steps never shows what it is set to: to go on would be for ever."""
    times = (75.0, 76.0, 77.0, 78.0, 79.0)
    assert enforced(wanted, 0.409, moment=OLD, corrected_at=times[1:]).commands == (to(0.4),)
    assert enforced(wanted, 0.409, moment=OLD, corrected_at=times).again_at is None
    assert enforced(wanted, 0.45, moment=OLD, corrected_at=times).again_at == 105.0


def test_what_is_looked_at_again_at_its_time_is_not_told_to_wait_until_then() -> None:
    # Beyond 1024, sums are rounded more, so that a difference may come out too small.
    for corrected_at in (1015.0 + place / 51 for place in range(500)):
        at_its_time = Moment(now=corrected_at + CORRECTIONS_IN, born_at=0.0)
        locked = Remembered(volume=0.4, locked=True)
        assert enforced(locked, moment=at_its_time, corrected_at=(corrected_at,) * CORRECTIONS).commands


def test_a_cap_holds_at_any_time_against_everybody() -> None:
    for moment in (YOUNG, OLD, moment_with(1.0, "rule")):
        assert enforced(Remembered(max_volume=0.6), moment=moment).commands == (to(0.6),)
    found = enforced(Remembered(volume=0.9, max_volume=0.6), limit=0.8)
    assert found.commands == (to(0.6),)
    assert found.reason == "Music may not be above 60%, and shows 100%"
    assert enforced(Remembered(), limit=0.8, moment=OLD).commands == (to(0.8),)
    assert enforced(Remembered(), 0.8, limit=0.8, moment=OLD) == Enforcement()


def test_an_application_never_seen_starts_at_a_safe_volume_until_a_person_sets_one() -> None:
    memory = met(Memory(), App(app_id=MUSIC, name="Music"), NOW, first_volume=0.3)
    first = recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS)
    assert enforced(first).commands == (to(0.3),)
    assert enforced(first, 0.2) == Enforcement()
    assert enforced(first, moment=OLD, before=before_it(0.3)) == Enforcement()
    memory = learned(memory, on(SPEAKERS, muted=False), NOW)
    assert recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS).at_most == 0.3
    memory = learned(memory, on(SPEAKERS, volume=0.9), NOW)
    assert enforced(recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS), 0.9) == Enforcement()
    memory = learned(memory, on(SPEAKERS, volume=None), NOW)
    assert recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS).at_most is None


def test_how_loud_it_records_says_nothing_of_how_loud_it_may_start_to_play() -> None:
    memory = met(Memory(), App(app_id=MUSIC, name="Music"), NOW, first_volume=0.3)
    memory = learned(memory, on(source(), kind=Kind.CAPTURE, volume=0.9), NOW)
    assert enforced(recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS)).commands == (to(0.3),)


def test_an_application_that_is_known_needs_no_safe_volume() -> None:
    memory = met(Memory(), App(app_id=MUSIC, name="Music"), NOW)
    memory = met(memory, App(app_id=MUSIC, name="Music"), NOW + m.DAY, first_volume=0.3)
    assert recall(memory, MUSIC, Kind.PLAYBACK, SPEAKERS) == Remembered()


def test_what_cannot_be_set_is_not_tried() -> None:
    wish = Remembered(volume=0.4, muted=True)
    assert enforced(wish, has_volume=False) == Enforcement()
    assert [type(c) for c in enforced(wish, volume_writable=False).commands] == [SetMuted]
    assert enforced(Remembered(volume=0.4), channels=()) == Enforcement()


def test_what_is_learned_in_one_life_is_enforced_in_the_next() -> None:
    intent = intent_after(LOUDER)
    assert intent is not None
    memory = learned(Memory(), intent, NOW)
    known = app(state_of(playback()))
    assert enforced(recall(memory, known.app_id, Kind.PLAYBACK, SPEAKERS)).commands == (to(0.8),)


def test_rules_that_are_switched_off_stay_so_whatever_is_forgotten() -> None:
    memory = learned(Memory(rules_off=True), AppIntent(app_id=MUSIC, volume=0.5), NOW)
    assert forgotten(memory, None) == Memory(rules_off=True)
    assert device_forgotten(memory, "sink:speakers").rules_off
    assert bounded(memory).rules_off
