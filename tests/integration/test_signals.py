"""What is announced, when, and in which order; recorded by `busctl monitor` as the bus has seen it."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from calls import called, of_bus, signed_in, spoken
from compare import wait_until_equal
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from defaults import set_default
from fuzz import on_the_bus
from recorder import Recorder, announced, calls_with_replies, changed
from service import ALIAS, NAME, ROOT, Json, Service
from session import PATIENCE

SPEAKERS = f"{ROOT}/sinks/speakers"
NODE = f"{NAME}.Node"
STORM = "i=0; while [ $i -lt 60 ]; do pactl set-sink-volume speakers $((20 + i))%; i=$((i + 1)); done"


@pytest.fixture
def recorder(playing: Service) -> Recorder:
    """Record the bus."""
    return Recorder(playing)


def test_what_a_call_changes_is_announced_before_its_reply(playing: Service, recorder: Recorder) -> None:
    """The server acknowledges a volume before it shows it; on a busy machine up to 30 ms pass between the two."""
    sink, stream, app = f"{ALIAS}/sink", f"{ROOT}/streams/1", f"{ROOT}/apps/name_3aradio"
    for number in range(5):
        playing.call("SetVolume", "sda{sv}", "@sink", 0.1 + number / 10, 0)
        recorder.assert_announced_before_the_reply("SetVolume", (SPEAKERS, "Volume"), (sink, "Volume"))
        playing.call("AdjustVolume", "sda{sv}", "app:radio", -0.1, 0)
        recorder.assert_announced_before_the_reply("AdjustVolume", (stream, "Volume"), (app, "Volume"))
        playing.call("SetMuted", "ssa{sv}", "@sink", "toggle", 0)
        recorder.assert_announced_before_the_reply("SetMuted", (SPEAKERS, "Muted"), (sink, "Muted"))
        playing.set("Volume", "d", 0.15 + number / 10, path=stream, interface="Node")
        recorder.assert_announced_before_the_reply("Set", (stream, "Volume"), (app, "Volume"))


def test_what_a_call_moves_is_announced_before_its_reply(playing: Service, recorder: Recorder) -> None:
    headset = f"{ROOT}/sinks/headset"
    playing.call("Move", "ssa{sv}", "app:radio", "headset", 0)
    recorder.assert_announced_before_the_reply("Move", (f"{ROOT}/streams/1", "Device"))
    playing.call("SetDefault", "s", "sink:headset")
    recorder.assert_announced_before_the_reply(
        "SetDefault",
        *((ROOT, "DefaultSink"), (headset, "Default"), (f"{ALIAS}/sink", "Description")),
    )
    playing.set("Device", "o", SPEAKERS, path=f"{ROOT}/streams/1", interface="Stream")
    recorder.assert_announced_before_the_reply("Set", (f"{ROOT}/streams/1", "Device"))


def test_a_storm_of_changes_is_at_most_thirty_signals_a_second_and_ends_with_the_last_value(
    playing: Service, recorder: Recorder
) -> None:
    session = playing.session
    storms = [session.spawn(f"storm-{i}", "sh", "-c", STORM) for i in range(3)]
    assert [storm.wait(PATIENCE) for storm in storms] == [0, 0, 0]
    session.pactl("set-sink-volume", "speakers", "33%")
    wait_until_equal(playing)
    for path in (SPEAKERS, f"{ALIAS}/sink"):
        signals = [m for m in recorder.signals("PropertiesChanged") if announced(m, path, "Volume")]
        assert changed(signals[-1])["Volume"] == 0.33
        assert_at_most_thirty_a_second(signals)


def assert_at_most_thirty_a_second(signals: list[Json]) -> None:
    assert len(signals) > 10, "this was no storm"
    times = [m["timestamp-realtime"] / 1e6 for m in signals]
    # The first comes at once and the last may be flushed by a read; the rest keeps to the rate.
    assert len(signals) <= 30 * (times[-1] - times[0]) + 3


def test_a_storm_of_calls_is_paced_as_well(playing: Service, recorder: Recorder) -> None:
    async def storm(bus: MessageBus) -> list[Message]:
        return await asyncio.gather(*(set_volume(bus, "@sink", 0.2 + i / 1000) for i in range(500)))

    replies = on_the_bus(playing, lambda fuzz: storm(fuzz.bus))
    assert {reply.message_type for reply in replies} == {MessageType.METHOD_RETURN}
    wait_until_equal(playing)
    assert " 70%" in playing.session.pactl("get-sink-volume", "speakers")
    signals = [m for m in recorder.signals("PropertiesChanged") if announced(m, SPEAKERS, "Volume")]
    assert changed(signals[-1])["Volume"] == 0.699
    seconds = (signals[-1]["timestamp-realtime"] - signals[0]["timestamp-realtime"]) / 1e6
    assert len(signals) <= 60 * seconds + 3, "what is overtaken while it waits is never sent"


def test_reads_never_tell_what_was_not_announced_before(playing: Service, recorder: Recorder) -> None:
    session = playing.session
    last = playing.get("Volume", path=SPEAKERS, interface="Node")
    storm = session.spawn("storm", "sh", "-c", f"while :; do {STORM}; done")
    for _ in range(10):
        playing.get("Volume", path=SPEAKERS, interface="Node")
        playing.managed_objects()
        playing.describe()
    storm.terminate()
    messages = recorder.messages()
    replies = {reply: messages[call]["member"] for call, reply in calls_with_replies(messages)}
    compared = 0
    for position, message in enumerate(messages):
        if announced(message, SPEAKERS, "Volume"):
            last = changed(message)["Volume"]
        told = volume_told(replies.get(position, ""), message)
        if told is not None:
            assert told == last
            compared += 1
    assert compared >= 30


def volume_told(member: str, reply: Json) -> float | None:
    """Return the volume of the speakers in the reply to a read."""
    data = reply["payload"]["data"]
    match member:
        case "Get" if data[0]["type"] == "d":
            return float(data[0]["data"])
        case "GetManagedObjects":
            return float(data[0][SPEAKERS][NODE]["Volume"]["data"])
        case "Describe":
            (volume,) = (s["volume"] for s in json.loads(data[0])["sinks"] if s["name"] == "speakers")
            return float(volume)
    return None


def test_a_change_by_a_client_says_who_and_why(playing: Service, recorder: Recorder) -> None:
    playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 2, "context", "s", "wheel", "quiet", "b", True)
    playing.set("Muted", "b", True, path=f"{ROOT}/streams/1", interface="Node")
    first, second = (m["payload"]["data"] for m in recorder.signals("ClientChange"))
    senders = [m["sender"] for m in recorder.messages() if m.get("member") in {"SetVolume", "Set"}]
    assert first == [SPEAKERS, "Volume", {"type": "d", "data": 0.5}, senders[0], "wheel", True]
    assert second == [
        *(f"{ROOT}/streams/1", "Muted", {"type": "b", "data": True}),
        *(senders[1], "", False),
    ]


def test_a_clamp_says_what_was_asked_what_is_in_force_and_why(playing: Service, recorder: Recorder) -> None:
    assert playing.call("SetVolume", "sda{sv}", "@sink", 1.3, 0) == 1.0
    assert playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 0) == 0.5
    assert playing.call("SetVolume", "sda{sv}", "@sink", 0.9, 1, "limit", "d", 0.6) == 0.6
    assert playing.call("AdjustVolume", "sda{sv}", "@sink", -1, 0) == 0.0
    clamps = [m["payload"]["data"] for m in recorder.signals("VolumeClamped")]
    assert clamps == [
        [SPEAKERS, 1.3, 1.0, "above the limit of 100%"],
        [SPEAKERS, 0.9, 0.6, "above the limit of 60%"],
        [SPEAKERS, -0.4, 0.0, "below 0 %"],
    ]


def test_a_clamp_never_announces_the_value_from_before(playing: Service, recorder: Recorder) -> None:
    """A slider would jump from where it was dragged to where it had been, and then to the limit."""
    playing.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
    for _ in range(5):
        playing.call("SetVolume", "sda{sv}", "@sink", 1.4, 0)
        playing.call("SetVolume", "sda{sv}", "@sink", -1, 0)
    wait_until_equal(playing)
    volumes = [c["Volume"] for c in recorder.changes(SPEAKERS) if "Volume" in c]
    assert volumes == [0.4, *(1.0, 0.0) * 5]


def test_where_the_default_is_unplugged_its_alias_goes_over_to_the_next_one(playing: Service) -> None:
    session, alias = playing.session, f"{ALIAS}/sink"
    module = session.add_null_sink("dock", "Dock")
    set_default(session, sink="dock")
    session.wait_for(
        lambda: playing.get("Name", path=alias, interface="Node") == "dock", "the alias to be it"
    )
    recorder = Recorder(playing)
    session.pactl("unload-module", str(module))

    def named() -> list[str]:
        return [change["Name"] for change in recorder.changes(alias) if "Name" in change]

    session.wait_for(lambda: any(named()), "the alias of another one")
    assert named() == [playing.get("Name", path=alias, interface="Node")]


def test_nothing_is_announced_of_a_change_that_is_none(playing: Service, recorder: Recorder) -> None:
    session = playing.session
    playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 0)
    index = str(playing.stream_of("Radio")["index"])
    wait_until_equal(playing)
    before = len(recorder.signals("PropertiesChanged"))
    session.pactl("set-sink-volume", "speakers", "50%")
    session.pactl("set-sink-mute", "speakers", "0")
    session.pactl("set-default-sink", "speakers")
    session.pactl("move-sink-input", index, "speakers")
    assert playing.call("SetVolume", "sda{sv}", "@sink", 0.5, 0) == 0.5
    playing.call("SetMuted", "ssa{sv}", "@sink", "off", 0)
    session.pactl("set-sink-volume", "speakers", "60%")
    wait_until_equal(playing)
    after = [m for m in recorder.signals("PropertiesChanged") if m["path"] == SPEAKERS][-1:]
    assert [changed(m) for m in after] == [{"Volume": 0.6, "ChannelVolumes": [0.6, 0.6]}]
    assert len(recorder.signals("PropertiesChanged")) == before + 2, "the sink and its alias, once"


def test_no_signal_tells_of_the_generation(playing: Service, recorder: Recorder) -> None:
    before = playing.get("Generation")
    playing.call("SetLock", "sb", "@sink", True)
    recorder.assert_announced_before_the_reply("SetLock", (SPEAKERS, "Locked"))
    playing.call("SetCap", "sd", "app:radio", 0.5)
    recorder.assert_announced_before_the_reply("SetCap", (f"{ROOT}/streams/1", "MaxVolume"))
    assert playing.get("Generation") > before
    told = [name for signal in recorder.signals("PropertiesChanged") for name in signal["payload"]["data"][1]]
    assert {"Locked", "MaxVolume"} <= set(told)
    assert "Generation" not in told


def test_clients_that_never_read_cost_nobody_else_one_of_twenty_thousand_signals(playing: Service) -> None:
    session = playing.session
    streams, turns, at_once = 10, 77, 13
    calls = turns * at_once
    for i in range(streams - 1):
        session.play(f"Player {i}", tone=0)
    session.wait_for(lambda: len(playing.describe()["streams"]) == streams, "all streams")

    async def storm(bus: MessageBus) -> Counter[str]:
        counted: Counter[str] = Counter()
        complete = asyncio.Event()

        def count(message: Message) -> None:
            counted[message.member or ""] += 1
            if counted["ClientChange"] == streams * calls:
                complete.set()

        bus.add_message_handler(count)
        await bus.call(of_bus("AddMatch", "s", f"type='signal',sender='{NAME}'"))
        for _ in range(turns):  # all at once may be more than a busy machine answers in time
            replies = await asyncio.gather(*(set_volume(bus, "stream:*", 9.0) for _ in range(at_once)))
            assert {reply.message_type for reply in replies} == {MessageType.METHOD_RETURN}
        await asyncio.wait_for(complete.wait(), PATIENCE)
        return counted

    with deaf_client(playing), deaf_client(playing):
        counted = on_the_bus(playing, lambda fuzz: storm(fuzz.bus))
        assert counted["ClientChange"] == counted["VolumeClamped"] == streams * calls
        assert counted.total() > 20_000
        assert playing.call("SetVolume", "sda{sv}", "@sink", 0.3, 0) == 0.3
        wait_until_equal(playing)


@contextmanager
def deaf_client(service: Service) -> Iterator[None]:
    """Connect a client that wants every signal and never reads one."""
    with signed_in(service.session) as connection:
        connection.sendall(spoken(of_bus("AddMatch", "s", "type='signal'")))
        yield


async def set_volume(bus: MessageBus, target: str, volume: float) -> Message:
    reply = await bus.call(called("SetVolume", "sda{sv}", target, volume, {}))
    assert reply is not None
    return reply


def test_what_is_there_before_the_first_answer_has_not_come(playing: Service, recorder: Recorder) -> None:
    """Who asks at once is answered when it is known what there is, and who is told of a new owner asks him."""
    session, aliases = playing.session, {f"{ALIAS}/sink", f"{ALIAS}/source"}
    playing.stop()
    playing.start()
    owner = playing.call_daemon("GetNameOwner", "s", NAME)
    there = playing.managed_objects()
    radio, film = (
        {f"{ROOT}/apps/name_3a{name}", f"{ROOT}/streams/{number}"}
        for number, name in ((1, "radio"), (2, "film"))
    )
    assert {*there} > radio
    news = [m for m in recorder.messages() if m["sender"] == owner]
    assert any(announced(m, ROOT, "Connected") and changed(m)["DefaultSink"] == SPEAKERS for m in news)
    assert any(announced(m, f"{ALIAS}/sink", "Description") for m in news)
    assert {m["path"] for m in news if m.get("member") == "PropertiesChanged"} <= {ROOT, *aliases}
    shown = session.play("Film")
    playing.wait_for_stream("Film")  # or it has gone before a busy service has looked at it
    shown.terminate()
    session.wait_for(
        lambda: about(recorder, owner, "InterfacesRemoved") == [f"{ROOT}/streams/2"], "Film to go"
    )
    assert {*about(recorder, owner, "InterfacesAdded")} == film


def about(recorder: Recorder, owner: str, member: str) -> list[str]:
    """List the objects which somebody has told of by such a signal."""
    return [m["payload"]["data"][0] for m in recorder.signals(member) if m["sender"] == owner]


def test_an_application_that_plays_again_is_shown_as_loud_as_it_was_set_all_the_while(
    playing: Service, recorder: Recorder
) -> None:
    """A stream shows 0 until the session manager has linked it; the slider of an application does not fall and rise for that."""
    session, film = playing.session, f"{ROOT}/apps/name_3afilm"
    for number in range(3):
        shown = session.play("Film")
        playing.wait_for_stream("Film", device="speakers")
        if not number:
            playing.call("SetVolume", "sda{sv}", "app:film", 0.7, 0)
            playing.call("SetMuted", "ssa{sv}", "app:film", "on", 0)
        session.wait_for(
            lambda: playing.get("Volume", path=film, interface="Node") == 0.7,
            "Film to be as loud as it was set",
        )
        shown.terminate()
        session.wait_for(lambda: not playing.get("Active", path=film, interface="App"), "Film to end")
    volumes = [c["Volume"] for c in recorder.changes(film) if "Volume" in c]
    assert 0.7 in volumes
    assert 0.0 not in volumes


def test_no_signal_names_an_object_that_was_not_announced_before(
    with_rules: Callable[[str], Service],
) -> None:
    """Not even of streams that are moved at their birth, of which others hear last."""
    service = with_rules('[[rules]]\nname = "music"\nmatch.app = "radio"\nto = "headset"\ngroup = "Music"\n')
    recorder, session = Recorder(service), service.session
    service.managed_objects()
    radios = []
    for number in range(6):
        properties = {"application.name": "Radio", "media.name": f"song {number}"}
        radios.append(session.play(f"radio-{number}", properties=properties))
        session.play(f"app-{number}")
    session.wait_for(lambda: len(streams_on(service, "headset")) == 6, "the radios to be moved")
    session.add_null_sink("late", "Late")
    service.call("SetDefault", "s", "sink:late")
    for radio in radios[::2]:
        radio.terminate()
    session.wait_for(lambda: len(streams_on(service, "headset")) == 3, "some radios to have gone")
    moving = [m for m in recorder.signals("RuleApplied") if m["payload"]["data"][3] == "moving"]
    assert moving  # WirePlumber remembers, and brings others there by itself
    recorder.assert_nothing_is_named_before_it_is_announced()


def streams_on(service: Service, sink: str) -> list[Json]:
    return [stream for stream in service.describe()["streams"] if stream["device"] == sink]


def test_the_default_of_before_is_announced_before_the_reply(playing: Service) -> None:
    """What was announced less than 33 ms ago is held back, also when the caller waits for it."""
    recorder = Recorder(playing)
    for now, before in (("headset", "speakers"), ("speakers", "headset")) * 3:
        playing.call("SetMuted", "ssa{sv}", "@sink", "toggle", 0)
        playing.call("SetDefault", "s", f"sink:{now}")
        recorder.assert_announced_before_the_reply(
            "SetDefault", (f"{ROOT}/sinks/{now}", "Default"), (f"{ROOT}/sinks/{before}", "Default")
        )
