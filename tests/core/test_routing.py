"""Where streams should be: what rules and people want, and what is put right, when and how often."""

import pytest
from build import MUSIC, capture, client, playback, sink, source, state_of

from pwmixer_dbus.core.commands import SERVER, MoveStream, Origin
from pwmixer_dbus.core.events import AppWanted, Event, Gone, Seen
from pwmixer_dbus.core.matching import facts, outcome, prepared, waits_for_device
from pwmixer_dbus.core.model import Client, Device, Key, Kind, Server, Stream
from pwmixer_dbus.core.patterns import parse_pattern
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.routing import LED, TRIES, Routing, Steps, World, decide, failed, follow, obstacle
from pwmixer_dbus.core.rules import Condition, Rule
from pwmixer_dbus.core.state import MixerState, apply

SPEAKERS, HEADSET = sink(1, "speakers"), sink(3, "headset")
KEY = (Kind.PLAYBACK, 10)
USER = Origin(kind="user", client=":1.7", context="test")
RULE = Origin(kind="rule", context="rule music wants it")


def rule(*to: str, app: str = MUSIC, force: bool = False) -> Rule:
    condition = Condition(field="app_id", patterns=(parse_pattern(app),))
    return Rule(name="music", conditions=(condition,), to=to or ("headset",), force=force)


class Desk:
    """A mixer on paper: events go in with a time, and what the router would do is kept."""

    def __init__(self, *rules: Rule, devices: tuple[Device, ...] = (SPEAKERS, HEADSET)) -> None:
        self.state: MixerState = state_of(*devices)
        self.routing = Routing()
        self.now = 100.0
        self.ready = prepared(rules)
        self.moves: list[tuple[float, int]] = []
        self.again_at: float | None = None
        self.told: list[str] = []
        self.gone: list[Key] = []
        self.is_held = False

    def world(self) -> World:
        return World(
            state=self.state,
            wants=lambda s: outcome(self.ready, facts(self.ready, self.state, s)),
            is_held=lambda _: self.is_held,
            waits=lambda s: waits_for_device(self.ready, facts(self.ready, self.state, s)),
        )

    def does(self, event: Event, origin: Origin = SERVER) -> None:
        self.state, changes = apply(self.state, event)
        world = self.world()._replace(mover=lambda _: origin)
        steps = follow(self.routing, world, changes, self.now)
        if steps is not None:
            self._take(steps)

    def waits(self, seconds: float) -> None:
        """Let time go by, and the router look where it wanted to."""
        end = self.now + seconds
        while self.again_at is not None and self.again_at <= end:
            self.now = self.again_at
            self.again_at = None
            self._take(self.looks())
        self.now = end

    def has_rules(self, *rules: Rule) -> None:
        self.ready = prepared(rules)
        self._take(self.looks())

    def looks(self) -> Steps:
        """Look at all streams."""
        return decide(self.routing, self.world(), self.state.streams, self.now)

    def is_on(self, device: int | None, origin: Origin = SERVER) -> None:
        """Let the stream turn up on a device."""
        stream = self.state.streams.get(KEY) or playback(device=device)
        self.does(Seen(record=replace(stream, device=device)), origin)

    def prefers(self, key: str) -> None:
        """Let the application of the stream prefer a sink."""
        self.does(AppWanted(app_id=MUSIC, preferred_sink=key), USER)

    @property
    def routed_by(self) -> str:
        return self.state.streams[KEY].routed_by

    def _take(self, steps: Steps) -> None:
        self.routing = steps.routing
        if steps.again_at is not None:
            self.again_at = min(steps.again_at, self.again_at or steps.again_at)
        self.moves += [(self.now, command.device) for command, _ in steps.moves]
        self.gone += steps.gone
        self.told += [applied.outcome for applied in steps.applied]
        for routed in steps.routed:
            self.state, _ = apply(self.state, routed)


def settled(*rules: Rule) -> Desk:
    """Make a desk where the rule has had its way."""
    desk = Desk(*rules)
    desk.is_on(1)
    desk.is_on(3, RULE)
    desk.waits(10)
    desk.moves.clear()
    return desk


def test_a_new_stream_goes_where_its_rule_says() -> None:
    desk = Desk(rule())
    desk.is_on(1)
    assert desk.moves == [(100.0, 3)]
    assert desk.told == ["moving"]
    desk.is_on(3, RULE)
    assert desk.routed_by == "rule music"
    assert desk.moves == [(100.0, 3)]


def test_what_a_client_says_later_counts_for_its_streams() -> None:
    calls = Condition(field="property:media.role", patterns=(parse_pattern("phone"),))
    desk = Desk(Rule(name="calls", conditions=(calls,), to=("headset",)))
    desk.does(Seen(record=playback(device=1, client=5)))
    desk.does(Seen(record=client(5)))
    assert desk.moves == []
    desk.does(Seen(record=Client(index=5, properties={"media.role": "phone"})))
    assert desk.moves == [(100.0, 3)]
    desk.does(Gone(kind=Kind.CLIENT, index=5))
    assert desk.moves == [(100.0, 3)]


def test_a_stream_without_a_rule_is_the_session_managers() -> None:
    desk = Desk(rule(app="bin:other"))
    desk.is_on(3)
    assert (desk.moves, desk.routed_by) == ([], "")


def test_a_stream_that_is_ignored_is_the_session_managers() -> None:
    desk = Desk(replace(rule(), ignore=True))
    desk.is_on(1)
    desk.prefers("sink:headset")
    assert (desk.moves, desk.routed_by) == ([], "")


def test_where_no_device_of_its_rule_is_left_a_stream_is_the_session_managers() -> None:
    desk = settled(rule())
    desk.does(Seen(record=sink(5, "usb")))
    desk.does(Gone(kind=Kind.SINK, index=3))
    desk.is_on(5)
    assert desk.moves == []


def test_who_is_sent_after_another_application_of_the_same_name_is_brought_back() -> None:
    """WirePlumber remembers where something is by a name, such as that of the engine of several programs."""

    def engine(index: int, program: str, **more: str) -> Stream:
        named = {"application.process.binary": program, "application.name": "Engine", **more}
        return playback(index, device=3, properties=named)

    desk = Desk(rule())
    desk.does(Seen(record=replace(engine(10, "music"), device=1)))
    desk.does(Seen(record=engine(11, "music")))
    assert [device for _, device in desk.moves] == [3]
    desk.does(Seen(record=engine(12, "pinned", **{"node.target": "headset"})))
    desk.does(Seen(record=replace(engine(13, "other"), device=1)))
    desk.waits(10)
    desk.does(Seen(record=engine(13, "other")))
    desk.has_rules(rule())
    assert [device for _, device in desk.moves] == [3, 3], (
        "only the stream of the rule is sent anywhere again"
    )
    desk.does(Seen(record=engine(14, "other")))
    assert [device for _, device in desk.moves] == [3, 3, 1]


def test_the_first_device_that_is_there_is_taken_and_the_better_one_when_it_comes() -> None:
    desk = Desk(rule("usb*", "head*"))
    desk.is_on(1)
    desk.is_on(3, RULE)
    desk.waits(5)
    desk.does(Seen(record=sink(5, "usb-dac")))
    assert [device for _, device in desk.moves] == [3, 5]


def test_a_held_rule_is_asserted_when_the_default_changes() -> None:
    desk = settled(rule())
    desk.does(Seen(record=Server(default_sink="speakers", cookie=1)))
    desk.is_on(1)
    assert [device for _, device in desk.moves] == [3]


def test_a_device_that_returns_gets_its_streams_back() -> None:
    desk = settled(rule())
    desk.does(Gone(kind=Kind.SINK, index=3))
    desk.is_on(1)
    assert desk.moves == []
    desk.waits(30)
    desk.does(Seen(record=sink(7, "headset")))
    assert [device for _, device in desk.moves] == [7]


def test_a_person_wins_at_once_with_us() -> None:
    desk = settled(rule())
    desk.is_on(1, USER)
    desk.waits(60)
    assert (desk.moves, desk.routed_by) == ([], "person")


def test_a_person_wins_with_any_program_after_two_seconds() -> None:
    desk = settled(rule())
    desk.is_on(1)
    assert (desk.moves, desk.routed_by) == ([], "")
    desk.waits(2.1)
    assert (desk.moves, desk.routed_by) == ([], "person")


def test_where_a_person_moves_it_just_before_another_device_becomes_the_default_it_counts_all_the_same() -> (
    None
):
    desk = Desk(devices=(SPEAKERS, HEADSET, sink(5, "hdmi")))
    desk.is_on(1)
    desk.waits(10)
    desk.is_on(3)
    desk.does(Seen(record=Server(default_sink="hdmi", cookie=1)))
    desk.waits(2.1)
    assert desk.routed_by == "person"


def test_a_person_wins_also_where_the_stream_is_seen_between_the_two_devices() -> None:
    desk = settled(rule())
    desk.is_on(None)
    desk.is_on(1)
    desk.waits(60)
    assert (desk.moves, desk.routed_by) == ([], "person")


def test_a_stream_that_was_nowhere_for_a_moment_has_not_been_moved() -> None:
    desk = settled(rule())
    desk.is_on(1)
    desk.waits(1)
    desk.is_on(None)
    desk.is_on(1)
    desk.waits(60)
    assert (desk.moves, desk.routed_by) == ([], "person"), "the person's move of before still counts"
    desk = settled(rule())
    desk.is_on(None)
    desk.is_on(3)
    assert desk.routing.placements[KEY].moved_by == "rule music"
    desk.waits(60)
    assert (desk.moves, desk.routed_by) == ([], "rule music")


def test_where_a_stream_comes_after_its_device_has_gone_is_nobodys_wish() -> None:
    desk = settled(rule())
    desk.is_on(None)
    desk.does(Gone(kind=Kind.SINK, index=3))
    desk.waits(10)
    desk.is_on(1)
    desk.waits(10)
    assert desk.moves == []
    desk.does(Seen(record=HEADSET))
    assert [device for _, device in desk.moves] == [3]


@pytest.mark.parametrize("between", [0.0, 0.3, 20.0])
def test_what_happens_while_the_session_manager_restarts_is_nobodys_wish(between: float) -> None:
    manager = Client(index=7, properties={"wireplumber.daemon": "true"})
    desk = Desk(rule())
    desk.does(Seen(record=manager))
    desk.is_on(1)
    desk.is_on(3, RULE)
    desk.waits(10)
    desk.moves.clear()
    desk.is_on(None)
    desk.does(Gone(kind=Kind.CLIENT, index=7))
    desk.waits(between)
    desk.does(Seen(record=replace(manager, index=8, properties={})))
    desk.does(Seen(record=replace(manager, index=8)))
    desk.is_on(1)
    assert [device for _, device in desk.moves] == [3]


def test_who_moves_with_us_and_later_with_any_program_is_believed_both_times() -> None:
    desk = settled(rule())
    desk.is_on(1, USER)
    desk.waits(5)
    desk.is_on(3)
    desk.waits(2.1)
    assert (desk.moves, desk.routed_by) == ([], "person")
    desk.does(Seen(record=Server(default_sink="speakers", cookie=1)))
    desk.is_on(1)
    assert [device for _, device in desk.moves] == [3]


def test_what_the_session_manager_does_right_after_a_persons_move_is_put_right() -> None:
    desk = settled()
    desk.is_on(1, USER)
    desk.waits(0.5)
    desk.is_on(3)
    assert [device for _, device in desk.moves] == [1]


def test_a_move_that_is_taken_back_by_itself_is_nobodys_wish() -> None:
    desk = settled(rule())
    desk.is_on(1)
    desk.waits(1)
    desk.is_on(3)
    desk.waits(5)
    assert (desk.moves, desk.routed_by) == ([], "rule music")


def test_a_persons_wish_survives_the_default_changing_and_ends_with_the_stream() -> None:
    desk = settled(rule())
    desk.is_on(1, USER)
    desk.waits(5)
    desk.does(Seen(record=Server(default_sink="headset", cookie=1)))
    desk.is_on(3)
    assert [device for _, device in desk.moves] == [1]
    desk.does(Gone(kind=Kind.PLAYBACK, index=10))
    desk.moves.clear()
    desk.waits(10)
    desk.is_on(1)
    assert [device for _, device in desk.moves] == [3]


def test_removing_a_rule_brings_its_streams_back_to_the_default() -> None:
    desk = settled(rule())
    desk.does(Seen(record=Server(default_sink="speakers", cookie=1)))
    desk.has_rules()
    assert [device for _, device in desk.moves] == [1]
    desk.is_on(1, RULE)
    assert desk.routed_by == ""
    desk.waits(100)
    assert len(desk.moves) == 1


def test_a_fight_is_given_up_for_a_minute_then_two() -> None:
    desk = settled(rule())
    for turn in range(12):
        desk.does(Seen(record=Server(default_sink="speakers" if turn % 2 else "headset", cookie=1)))
        desk.is_on(1)
        desk.is_on(3, RULE)
        desk.waits(0.5)
    assert len(desk.moves) == 3
    assert "suspended" in desk.told
    desk.is_on(1)
    desk.waits(70)
    assert len(desk.moves) >= 3


@pytest.mark.parametrize(
    "pin",
    [
        {"target.object": "speakers"},
        {"node.target": "speakers"},
        {"node.dont-move": "true"},
        {"node.dont-reconnect": "true"},
    ],
)
def test_a_pinned_stream_is_left_alone_unless_the_rule_forces_it(pin: dict[str, str]) -> None:
    pinned = playback(device=1, properties={"application.process.binary": "music", **pin})
    for force, moves in ((False, 0), (True, 1)):
        desk = Desk(rule(force=force))
        desk.does(Seen(record=pinned))
        assert len(desk.moves) == moves


def test_a_stream_between_two_devices_is_waited_for() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=playback(device=None)))
    assert desk.moves == []
    desk.is_on(1)
    assert len(desk.moves) == 1


def test_a_stream_that_records_goes_to_a_source_and_a_glob_never_means_a_monitor() -> None:
    monitor = replace(source(8, "headset.monitor"), monitor_of=3)
    desk = Desk(rule("head*"), devices=(SPEAKERS, HEADSET, source(4, "microphone"), monitor))
    desk.does(Seen(record=capture(10, device=4)))
    assert desk.moves == []
    desk.does(Seen(record=source(9, "headphones.mic")))
    assert [device for _, device in desk.moves] == [9]


@pytest.mark.parametrize(
    "name", ["headset", "HEADSET", "sink:headset", "head*", "sink:head*", "a: b", "@default", "@sink"]
)
def test_a_device_is_named_by_name_selector_or_glob(name: str) -> None:
    headset = replace(HEADSET, description="A: B")
    desk = Desk(rule(name), devices=(source(2, "headset"), SPEAKERS, headset))
    desk.does(Seen(record=Server(default_sink="headset", cookie=1)))
    desk.is_on(1)
    assert [device for _, device in desk.moves] == [3]


def test_what_is_on_its_way_is_not_looked_at_over_and_over() -> None:
    desk = settled(rule())
    desk.is_on(1)
    assert desk.again_at == desk.now + 2.0, "when it may be a person's"
    desk.is_on(None)
    desk.again_at = None
    desk.now += 5.0
    assert desk.looks().again_at is None, "where it comes next, is a cause"


def test_what_is_planned_of_one_stream_is_not_planned_again_for_another() -> None:
    desk = settled(rule())
    desk.is_on(1)
    planned, desk.again_at = desk.again_at, None
    desk.does(Seen(record=playback(11, binary="other", device=1)))
    assert desk.again_at is None, "what was planned stands"
    assert desk.looks().again_at == planned


def test_of_streams_that_end_it_is_said_that_nothing_need_be_kept() -> None:
    desk = settled(rule())
    desk.does(Gone(kind=Kind.PLAYBACK, index=10))
    assert desk.gone == [KEY]


def test_the_oldest_of_the_names_that_wireplumber_has_learned_go_first() -> None:
    desk = Desk(rule())
    for i in range(LED + 1):
        named = {"application.process.binary": "music", "application.name": f"Name {i}"}
        desk.does(Seen(record=playback(10 + i, device=1, properties=named)))
        if i == 1:
            desk.does(
                Seen(record=playback(5000, device=1, properties={**named, "application.name": "Name 0"}))
            )
    assert [*desk.routing.led][:2] == ["playback:application.name:Name 0", "playback:application.name:Name 2"]
    assert len(desk.routing.led) == LED


def test_changes_of_volume_are_no_cause() -> None:
    desk = settled(rule())
    stream: Stream = desk.state.streams[KEY]
    before = desk.routing
    desk.does(Seen(record=replace(stream, channels=(0.1, 0.1))))
    assert desk.routing.placements == before.placements


def test_what_is_on_its_way_is_not_sent_again() -> None:
    desk = Desk(rule())
    desk.is_on(1)
    command = MoveStream(key=KEY, device=3)
    world = desk.world()._replace(pending={(MoveStream, KEY): command})
    assert decide(desk.routing, world, desk.state.streams, 100.1).moves == ()
    world = world._replace(pending={(MoveStream, KEY): replace(command, device=1)})
    assert [move for move, _ in decide(desk.routing, world, desk.state.streams, 100.1).moves] == [command]


def test_what_has_arrived_is_said_to_be_there_while_its_move_is_still_noted_as_pending() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=playback(device=3)), RULE)
    stream = replace(desk.state.streams[KEY], routed_by="")
    desk.state = replace(desk.state, streams={KEY: stream})
    world = desk.world()._replace(pending={(MoveStream, KEY): MoveStream(key=KEY, device=3)})
    steps = decide(desk.routing, world, desk.state.streams, 100.1)
    assert [(routed.index, routed.by) for routed in steps.routed] == [(10, "rule music")]


def looks(desk: Desk) -> tuple[str, str, bool, str]:
    stream = desk.state.streams[KEY]
    return stream.display_name, stream.icon_name, stream.hidden, stream.group


def test_how_a_stream_is_shown_is_decided_with_its_place_and_again_when_rules_change() -> None:
    shown = replace(rule(), display_name="Radio", icon_name="radio", hide=True, group="Chat")
    desk = Desk(shown)
    desk.is_on(1)
    assert looks(desk) == ("Radio", "radio", True, "Chat")
    desk.has_rules(replace(shown, hide=False))
    assert looks(desk) == ("Radio", "radio", False, "Chat")
    desk.is_on(3, RULE)
    assert (looks(desk), desk.routed_by) == (("Radio", "radio", False, "Chat"), "rule music")
    desk.has_rules()
    assert looks(desk) == ("", "", False, "")


def test_how_a_stream_is_shown_needs_no_place_and_does_not_wait_for_one() -> None:
    shown = replace(rule(), to=(), group="Chat")
    desk = Desk(shown)
    desk.is_on(1)
    assert (looks(desk)[3], desk.routed_by, desk.moves) == ("Chat", "", [])
    desk = Desk(rule())
    desk.is_on(1)
    desk.ready = prepared([replace(rule(), group="Chat")])
    world = desk.world()._replace(pending={(MoveStream, KEY): MoveStream(key=KEY, device=3)})
    steps = decide(desk.routing, world, desk.state.streams, 100.1)
    assert [(r.by, r.group) for r in steps.routed] == [("", "Chat")]


def test_a_rules_cap_is_decided_with_its_place_unless_the_stream_is_left_alone() -> None:
    capped = replace(rule(), max_volume=0.8)
    desk = Desk(capped)
    desk.is_on(1)
    assert desk.state.streams[KEY].max_volume == 0.8
    desk.has_rules(replace(capped, ignore=True))
    assert desk.state.streams[KEY].max_volume is None


def test_a_title_that_meets_another_rule_is_shown_otherwise() -> None:
    condition = Condition(field="media_name", patterns=(parse_pattern("*YouTube*"),))
    desk = Desk(Rule(name="films", conditions=(condition,), display_name="YouTube"))
    desk.is_on(1)
    assert looks(desk)[0] == ""
    desk.does(Seen(record=replace(desk.state.streams[KEY], media_name="A film - YouTube")))
    assert looks(desk)[0] == "YouTube"


def test_it_is_known_who_moved_a_stream_last() -> None:
    desk = Desk(rule())
    desk.is_on(1)
    for device, origin, who in (
        (3, RULE, "rule music"),
        (1, SERVER, "the session manager"),
        (3, USER, "a person, with test"),
        (1, Origin(kind="undo", client=":1.7"), "a person, by undo"),
        (3, Origin(kind="user", client=":1.7"), "a person, with pwmixer"),
    ):
        desk.is_on(device, origin)
        assert desk.routing.placements[KEY].moved_by == who


def unlinked(autoconnect: str) -> Stream:
    """Return a stream that is on no device yet, with a property as its program has set it."""
    stream = playback(device=None)
    return replace(stream, properties={**stream.properties, "node.autoconnect": autoconnect})


def test_a_new_stream_is_moved_before_the_session_manager_links_it() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=unlinked("true")))
    assert desk.moves == [(100.0, 3)]
    desk.is_on(3, RULE)
    assert (desk.moves, desk.routed_by) == ([(100.0, 3)], "rule music")


def test_a_new_stream_that_is_linked_elsewhere_all_the_same_is_moved_again() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=unlinked("true")))
    desk.is_on(1)
    assert desk.moves == [(100.0, 3), (100.0, 3)]


def test_a_new_stream_that_the_session_manager_links_where_it_remembers_it_is_sent_again_at_once() -> None:
    """WirePlumber writes what it remembers over what we have asked for, and then knows no better."""
    desk = Desk(rule())
    desk.does(Seen(record=unlinked("true")))
    desk.is_on(3, RULE)  # as PipeWire says for a second
    desk.is_on(None)
    desk.waits(0.2)
    desk.is_on(1)
    assert desk.moves == [(100.0, 3), (100.2, 3)]


def test_what_was_only_said_to_have_been_moved_was_moved_away_by_nobody() -> None:
    desk = Desk(rule())
    desk.is_on(1)
    desk.waits(1.0)
    desk.is_on(3, RULE)  # as PipeWire says for a second
    desk.waits(1.2)
    desk.is_on(1)
    desk.waits(10)
    assert (desk.moves, desk.told) == ([(100.0, 3), (102.2, 3)], ["moving", "moving"])


def test_a_move_of_a_stream_that_is_not_linked_yet_is_not_taken_for_fought() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=unlinked("true")))
    for _ in range(2 * TRIES):
        desk.routing, again_at = failed(desk.routing, desk.state, KEY, desk.now)
        assert again_at is None
    desk.waits(60)
    assert desk.moves == [(100.0, 3)]
    desk.is_on(1)
    assert desk.moves == [(100.0, 3), (160.0, 3)]
    assert desk.told == ["moving", "moving"]


def test_a_move_of_a_stream_that_stays_elsewhere_is_tried_again_and_then_suspended() -> None:
    desk = Desk(rule())
    desk.is_on(1)
    for _ in range(TRIES + 1):
        desk.routing, desk.again_at = failed(desk.routing, desk.state, KEY, desk.now)
        desk.is_on(3, RULE)
        desk.is_on(1)
        desk.waits(1)
    assert desk.told[-1] == "suspended"


def test_a_stream_that_is_linked_late_begins_then() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=unlinked("true")))
    desk.waits(30)
    desk.is_on(1)
    assert desk.routing.placements[KEY].born_at == 130.0
    desk.waits(30)
    desk.is_on(3)
    assert desk.routing.placements[KEY].born_at == 130.0


def test_a_new_stream_is_let_arrive_where_an_earlier_rule_asks_for_its_device() -> None:
    on_speakers = Condition(field="device", patterns=(parse_pattern("speakers"),))
    desk = Desk(Rule(name="away", conditions=(on_speakers,), to=("headset",)), rule("speakers"))
    desk.does(Seen(record=unlinked("true")))
    assert desk.moves == []
    desk.is_on(1)
    desk.is_on(3, RULE)
    assert (desk.moves, desk.routed_by) == ([(100.0, 3)], "rule away")


@pytest.mark.parametrize("autoconnect", ["", "false"])
def test_a_stream_that_its_program_links_itself_is_not_moved_before_it_has(autoconnect: str) -> None:
    desk = Desk(rule())
    desk.does(Seen(record=unlinked(autoconnect)))
    assert desk.moves == []


def test_a_stream_between_two_devices_is_let_arrive() -> None:
    desk = Desk(rule())
    desk.does(Seen(record=replace(unlinked("true"), device=3)))
    desk.does(Seen(record=replace(unlinked("true"), media_name="next")))
    assert desk.moves == []


# --- rules that ask where a stream is, and quarrels


def on(device: str, to: str, name: str) -> Rule:
    condition = Condition(field="device", patterns=(parse_pattern(device),))
    return Rule(name=name, conditions=(condition,), to=(to,))


TO_AND_FRO = (on("speakers", "headset", "there"), on("headset", "speakers", "back"))


@pytest.mark.parametrize("rules", [TO_AND_FRO, TO_AND_FRO[:1]])
def test_a_rule_that_asks_where_a_stream_is_holds_it_where_it_has_brought_it(rules: tuple[Rule, ...]) -> None:
    desk = Desk(*rules)
    desk.is_on(1)
    desk.is_on(3, RULE)
    assert ([device for _, device in desk.moves], desk.routed_by) == ([3], "rule there")
    desk.is_on(1)  # the session manager takes it back
    desk.is_on(3, RULE)
    desk.waits(60)
    assert ([device for _, device in desk.moves], desk.told) == ([3, 3], ["moving"] * 2)


def test_a_rule_that_asks_where_a_stream_is_lets_go_of_it_when_it_is_removed() -> None:
    desk = Desk(TO_AND_FRO[0])
    desk.is_on(1)
    desk.is_on(3, RULE)
    desk.has_rules()
    assert desk.moves[-1][1] == 1
    desk.has_rules(TO_AND_FRO[1])
    desk.is_on(3)
    assert desk.moves[-1][1] == 1


def test_what_a_rule_sets_on_a_device_is_set_where_another_has_brought_the_stream() -> None:
    quiet = replace(on("headset", "speakers", "quiet"), to=(), display_name="Quiet")
    desk = Desk(TO_AND_FRO[0], quiet)
    desk.is_on(1)
    desk.is_on(3, RULE)
    assert (desk.routed_by, desk.state.streams[KEY].display_name) == ("rule there", "Quiet")


def test_a_rule_that_asks_where_a_stream_is_not_holds_one_that_was_nowhere_at_first() -> None:
    desk = Desk(on("!headset", "headset", "not there"))
    desk.does(Seen(record=unlinked("true")))
    assert desk.moves == []
    desk.is_on(1)
    desk.is_on(3, RULE)
    desk.waits(60)
    assert ([device for _, device in desk.moves], desk.routed_by) == ([3], "rule not there")


def test_a_stream_whose_every_move_changes_what_the_rules_want_is_let_be() -> None:
    conditions = tuple(
        Condition(field="property:at", patterns=(parse_pattern(at),)) for at in ("home", "away")
    )
    desk = Desk(
        Rule(name="out", conditions=conditions[:1], to=("headset",)),
        Rule(name="in", conditions=conditions[1:], to=("speakers",)),
    )
    desk.does(Seen(record=playback(device=1, properties={"at": "home"})))
    for _ in range(20):
        there = desk.moves[-1][1]
        at = "home" if there == 1 else "away"
        desk.does(Seen(record=playback(device=there, properties={"at": at})), RULE)
    assert len(desk.moves) == 4
    assert desk.told[-1] == "suspended"
    desk.waits(60)
    assert len(desk.moves) == 5


def test_a_device_on_which_a_stream_would_hear_itself_is_passed_over() -> None:
    devices = (SPEAKERS, HEADSET, source(2, "speakers.monitor", monitor_of=1))
    properties = {"node.link-group": "loopback"}
    condition = Condition(field="direction", patterns=(parse_pattern("playback"),))
    one = Rule(name="echo", conditions=(condition,), to=("speakers",), force=True)
    desk = Desk(one, devices=devices)
    desk.does(Seen(record=capture(device=2, properties=properties)))
    desk.does(Seen(record=playback(device=3, properties=properties)))
    assert desk.moves == []
    stream = desk.state.streams[KEY]
    wants = desk.world().wants(stream)
    assert (
        obstacle(desk.state, stream, wants) == "The rule “echo” names speakers, where it would hear itself."
    )
    desk.has_rules(replace(one, to=("speakers", "tv")))
    desk.does(Seen(record=sink(5, "tv")))
    assert [device for _, device in desk.moves] == [5]


def test_a_loopback_whose_other_end_comes_where_it_listens_is_brought_away() -> None:
    monitor, microphone = source(2, "speakers.monitor", monitor_of=1), source(4, "microphone")
    properties = {"node.link-group": "loopback", "node.autoconnect": "true"}
    condition = Condition(field="direction", patterns=(parse_pattern("capture"),))
    listens = Rule(name="listens", conditions=(condition,), to=("speakers.monitor",), force=True)
    desk = Desk(listens, devices=(SPEAKERS, HEADSET, monitor, microphone))
    desk.does(Seen(record=capture(device=None, properties=properties)))
    desk.does(Seen(record=playback(device=None, properties=properties)))
    desk.does(Seen(record=capture(device=4, properties=properties)))
    assert desk.moves == []
    desk.does(Seen(record=playback(device=3, properties=properties)))
    assert [device for _, device in desk.moves] == [2]
    desk.does(Seen(record=capture(device=2, properties=properties)), RULE)
    desk.does(Seen(record=playback(device=1, properties=properties)))
    assert [device for _, device in desk.moves] == [2, 4]


def test_it_is_said_why_a_stream_is_not_sent_anywhere() -> None:
    desk = Desk(rule("tv", "speakers.monitor"))
    desk.is_on(1)
    stream = desk.state.streams[KEY]
    wants = desk.world().wants(stream)
    assert obstacle(desk.state, stream, wants) == "The rule “music” names no sink that is there."
    pinned = replace(stream, properties={**stream.properties, "target.object": "speakers"})
    assert "only with force = true" in obstacle(desk.state, pinned, wants)
    assert obstacle(desk.state, pinned, replace(wants, force=True, to=("speakers",))) == ""
    assert obstacle(desk.state, stream, replace(wants, ignore=True)) == ""


def test_a_stream_goes_where_its_application_prefers() -> None:
    desk = Desk()
    desk.is_on(1)
    desk.prefers("sink:headset")
    assert desk.moves == [(100.0, 3)]
    desk.is_on(3, RULE)
    assert desk.routed_by == "preference"
    desk.prefers("")
    assert desk.moves == [(100.0, 3), (100.0, 1)]


def test_a_rule_comes_before_what_an_application_prefers() -> None:
    desk = Desk(rule("speakers"))
    desk.is_on(1)
    desk.prefers("sink:headset")
    assert (desk.moves, desk.routed_by) == ([], "rule music")


def test_where_no_device_of_a_rule_is_there_the_preferred_one_is_taken() -> None:
    desk = Desk(rule("usb*"))
    desk.is_on(1)
    desk.prefers("sink:headset")
    assert desk.moves == [(100.0, 3)]


def test_a_person_comes_before_what_an_application_prefers() -> None:
    desk = Desk()
    desk.is_on(1)
    desk.prefers("sink:headset")
    desk.is_on(3, RULE)
    desk.waits(10)
    desk.is_on(1, USER)
    desk.waits(10)
    assert desk.routed_by == "person"
    assert desk.moves == [(100.0, 3)]


def test_a_preferred_device_that_is_away_is_taken_when_it_comes() -> None:
    desk = Desk(devices=(SPEAKERS,))
    desk.is_on(1)
    desk.prefers("sink:headset")
    assert desk.moves == []
    desk.does(Seen(record=HEADSET))
    assert desk.moves == [(100.0, 3)]


def test_what_an_application_records_does_not_go_to_the_sink_that_it_prefers() -> None:
    desk = Desk(devices=(SPEAKERS, HEADSET, source(7, "microphone")))
    desk.does(Seen(record=capture(device=7)))
    desk.prefers("sink:headset")
    assert desk.moves == []


def test_a_stream_that_is_held_is_left_alone_until_it_is_let_go() -> None:
    desk = Desk(rule())
    desk.is_held = True
    desk.is_on(1)
    desk.waits(10)
    assert (desk.moves, desk.routed_by) == ([], "")
    desk.is_held = False
    desk.has_rules(rule())
    assert [device for _, device in desk.moves] == [3]


def test_a_person_may_move_what_is_held() -> None:
    desk = settled(rule())
    desk.is_held = True
    desk.is_on(1)
    desk.waits(10)
    assert desk.again_at is None
    assert desk.routing.placements[KEY].override == "speakers", "which is told while it is held"
    desk.is_held = False
    desk.has_rules(rule())
    assert (desk.moves, desk.routed_by) == ([], "person")


def test_a_move_is_a_persons_at_the_very_moment_at_which_it_is_looked_at_again() -> None:
    for place in range(100):
        desk = settled(rule())
        # Beyond 1024, sums are rounded more, so that a difference may come out too small.
        desk.now = 1022.0 + place / 51
        desk.is_on(1)
        assert desk.again_at is not None
        desk.now = desk.again_at
        assert desk.looks().again_at is None
