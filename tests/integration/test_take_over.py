"""What only lives in a process goes over to the next one, and whoever calls meanwhile is answered as if there was one."""

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from calls import called, connected
from client import Client
from dbus_fast import Message, MessageType, NameFlag
from dbus_fast.aio import MessageBus
from recorder import Recorder, changed
from service import NAME, ROOT, CallError, Json, Service
from session import PATIENCE, Session

SUCCESSION = f"{NAME}.Succession"
STEP = 0.001
GONE = {"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NoReply"}


def taken_over(service: Service, name: str = "new") -> Service:
    """Start another instance that takes over, and wait until the first one has ended well."""
    new = Service(service.session, "--replace", name=name).start()
    assert service.process.wait(PATIENCE) == 0
    return new


def told_apart(described: Json) -> Json:
    """Leave out of a description what changes by itself: what runs, and the volumes of the fade and the steps."""
    moving = {"volume", "channel_volumes", "state"}
    kept = {
        kind: [{k: v for k, v in each.items() if k not in moving} for each in described[kind]]
        for kind in ("sinks", "sources", "streams", "apps", "groups", "cards")
    }
    return {**kept, "defaults": described["defaults"]}


def move_by_hand(service: Service, stream: Json, sink: str) -> None:
    """Move a stream with another program, and again where the session manager drops it, or seems to have done it."""

    def is_there() -> bool:
        found = service.explain(stream["selector"])
        is_on_it = found["actual_device"] == sink
        if is_on_it and found["moved_by"] != "the session manager":
            return True
        service.session.pactl("move-sink-input", str(stream["index"]), "speakers" if is_on_it else sink)
        return False

    service.session.wait_for(is_there, f"{stream['app_name']} on {sink}")


class Stepper:
    """A client that steps a volume up and down without a pause; each answer has to be one step from the one before."""

    def __init__(self) -> None:
        self.answered = 0
        self.volume = 0.0
        self.wrong: list[str] = []
        self._enough = threading.Event()

    def stop(self) -> None:
        """Ask for no more."""
        self._enough.set()

    async def run(self, session: Session, target: str, volume: float, instance: str = NAME) -> None:
        """Step until told to stop, or until an answer is wrong, or until the instance that is asked has gone."""
        bus = await connected(session)
        direction = 1
        while not self._enough.is_set() and not self.wrong:
            if not 0.1 < volume + direction * STEP < 0.9:
                direction = -direction
            expected = round(volume + direction * STEP, 4)
            size = direction * STEP
            reply = await bus.call(called("AdjustVolume", "sda{sv}", target, size, {}, to=instance))
            assert reply is not None
            if instance != NAME and reply.error_name in GONE:
                break
            if reply.message_type is MessageType.ERROR or reply.body[0] != expected:
                self.wrong.append(f"{reply.error_name} {reply.body} after {volume}, not {expected}")
            self.volume = volume = expected
            self.answered += 1
        bus.disconnect()


@contextmanager
def stepping(session: Session, target: str, volume: float, instance: str = NAME) -> Iterator[Stepper]:
    """Step the volume of a target, which is at `volume`, in the background; no step may be lost."""
    stepper = Stepper()
    thread = threading.Thread(target=lambda: asyncio.run(stepper.run(session, target, volume, instance)))
    thread.start()
    try:
        session.wait_for(lambda: stepper.answered > 10, "the first steps")
        yield stepper
    finally:
        stepper.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive(), "a step is not answered"
    assert stepper.wrong == []


def way_of(recorder: Recorder, stream: Json) -> list[tuple[str, float]]:
    """Return who has told which volumes of a stream, in the order of the signals."""
    path = f"{ROOT}/streams/{stream['number']}"
    told = [m for m in recorder.signals("PropertiesChanged") if m["path"] == path]
    return [(m["sender"], changed(m)["Volume"]) for m in told if "Volume" in changed(m)]


def arrivals(recorder: Recorder, context: str) -> list[tuple[str, Json]]:
    """Return who has told of which changes that were asked for in a context."""
    told = [(m["sender"], m["payload"]["data"]) for m in recorder.signals("ClientChange")]
    return [(sender, body[:2]) for sender, body in told if body[4] == context]


def assert_faded_without_a_jump(
    service: Service, recorder: Recorder, stream: Json, first: str, second: str
) -> None:
    """Wait for the end of the fade called dusk, and check that one instance has begun it and the other ended it."""
    service.session.wait_for(lambda: arrivals(recorder, "dusk") != [], "the end of the fade")
    # A volume that differs by less than the server keeps is in force before that difference is announced.
    service.session.wait_for(lambda: way_of(recorder, stream)[-1][1] == 0.1, "the last of its volumes")
    assert [sender for sender, _ in arrivals(recorder, "dusk")] == [second]
    way = way_of(recorder, stream)
    assert {sender for sender, _ in way} == {first, second}
    volumes = [volume for _, volume in way]
    assert volumes == sorted(volumes, reverse=True)
    end = volumes[-1]
    last = [volume for sender, volume in way if sender == first][-1]
    begin = next(volume for sender, volume in way if sender == second)
    assert last - begin < (last - end) / 10, "no jump"


def test_all_that_lives_in_a_process_goes_over_to_the_next(service: Service) -> None:
    session = service.session
    silent = session.play("Silent")
    for app in ("Radio", "Film", "Game"):
        session.play(app, sink="speakers")
    service.wait_for_stream("Silent", device="speakers")
    silent.kill()
    session.wait_for(lambda: len(service.describe()["streams"]) == 3, "three streams")
    service.add_rule("Talk", app="game", group="Chat")
    for app, volume in {"silent": 0.33, "film": 0.9, "game": 0.5}.items():
        service.call("SetVolume", "sda{sv}", f"app:{app}", volume, 0)
    radio, film = service.stream_of("Radio"), service.stream_of("Film")
    session.wait_for(lambda: not service.explain(radio["selector"])["settling"], "its move to be a person's")
    move_by_hand(service, radio, "headset")
    recorder = Recorder(service)
    with Client.gjs(session, "proxy.js", ROOT, NAME) as holder:
        (cookie,) = holder.ask(do="call", method="HoldRouting", arguments=["app:radio", "a test", ""])[
            "value"
        ]
        fade = ("app:film", 0.1, 8_000, 1, "context", "s", "dusk")
        service.call("FadeVolume", "sdua{sv}", *fade)
        # Late: a folder of rules that is new has the configuration read again, which ends this.
        service.set("MaxVolume", "d", 0.95, path=ROOT, interface="")
        before, holds = service.describe(), service.get("Holds")
        revision, generation = service.get("Revision", interface="Rules"), service.get("Generation")
        old_owner = service.call_daemon("GetNameOwner", "s", NAME)
        with stepping(session, "app:game", 0.5):
            new = taken_over(service)
        owner = new.call_daemon("GetNameOwner", "s", NAME)
        assert told_apart(new.describe()) == told_apart(before)
        assert new.get("Revision", interface="Rules") == revision > 1
        assert new.get("Generation") > generation
        assert new.get("MaxVolume") == 0.95
        assert [a["volume"] for a in new.describe()["apps"] if a["name"] == "Silent"] == [0.33]
        assert new.get("Holds") == holds
        assert [hold["cookie"] for hold in holds] == [cookie]
        # What another program did before is a person's doing two seconds later; while it is held, nobody says so.
        session.wait_for(
            lambda: new.explain(radio["selector"])["desired_by"] == "person", "the move to be a person's"
        )
        assert new.stream_of("Radio")["routed_by"] == ""
        holder.ask(do="call", method="HoldRouting", arguments=["app:game", "another", ""])
        assert [hold["cookie"] for hold in new.get("Holds")] == [cookie, cookie + 1]
    session.wait_for(lambda: new.get("Holds") == [], "the holds to end with their holder")
    new.wait_for_stream("Radio", device="headset", routed_by="person")
    assert_faded_without_a_jump(new, recorder, film, old_owner, owner)
    assert new.call("Undo", "u", 100) > 3
    assert {s["app_name"]: s["volume"] for s in new.describe()["streams"]} == {
        "Radio": 1.0,
        "Film": 0.95,
        "Game": 0.95,
    }
    news = [*recorder.signals("InterfacesAdded"), *recorder.signals("InterfacesRemoved")]
    assert owner not in {m["sender"] for m in news}, "no object has come or gone"
    new.stop()


def test_what_was_asked_in_the_last_moment_is_remembered(service: Service) -> None:
    """The client knows from which of the two each answer is, and reads what it has set from whoever it is then."""
    session = service.session
    player = session.play("Radio")
    service.wait_for_stream("Radio")  # or it has gone before a busy service has looked at it
    player.kill()
    session.wait_for(lambda: service.describe()["streams"] == [], "that plays no more")
    enough = threading.Event()
    read: list[tuple[str, str, float, float]] = []

    async def set_and_read() -> None:
        bus, number = await connected(session), 0
        while not enough.is_set():
            number += 1
            volume = number % 900 / 1000
            first = await bus.call(called("SetVolume", "sda{sv}", "app:radio", volume, {}))
            second = await bus.call(called("Describe", "a{sv}", {}))
            assert first is not None
            assert second is not None
            (app,) = json.loads(second.body[0])["apps"]
            read.append((str(first.sender), str(second.sender), volume, app["volume"]))
        bus.disconnect()

    caller = threading.Thread(target=lambda: asyncio.run(set_and_read()))
    caller.start()
    try:
        session.wait_for(lambda: len(read) > 10, "the first answers")
        new = taken_over(service)
        count = len(read)
        session.wait_for(lambda: len(read) > count + 10, "answers of the new one")
    finally:
        enough.set()
        caller.join(PATIENCE)
    assert not caller.is_alive()
    assert [entry for entry in read if entry[2] != entry[3]] == []
    senders = list(dict.fromkeys(sender for entry in read for sender in entry[:2]))
    assert len(senders) == 2, "first one has answered, then the other"
    new.stop()
    volume = read[-1][2]
    again = Service(session, name="again").start()
    assert [app["volume"] for app in again.describe()["apps"]] == [volume]
    again.stop()


def test_who_knows_the_old_one_by_its_own_name_is_answered_until_it_has_heard_of_the_new_one(
    service: Service,
) -> None:
    """GDBus's proxies call the owner that they know, and not the name."""
    session = service.session
    session.play("Game", sink="speakers")
    service.call("SetVolume", "sda{sv}", "app:game", 0.5, 0)
    owner = service.call_daemon("GetNameOwner", "s", NAME)
    with stepping(session, "app:game", 0.5, owner) as stepper:
        new = taken_over(service)
    shown = new.stream_of("Game")["volume"]
    assert stepper.answered > 10
    assert abs(shown - stepper.volume) < STEP * 1.5, (
        "the last one may have been carried out without an answer"
    )
    assert new.call("Undo", "u", 100) > 0
    new.stop()


def test_what_cannot_be_saved_is_handed_over_all_the_same(session: Session) -> None:
    folder = session.state.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    service = Service(session).start()
    player = session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio")
    player.kill()
    session.wait_for(
        lambda: [app["streams"] for app in service.describe()["apps"]] == [[]],
        "an application that has ended",
    )
    service.call("SetVolume", "sda{sv}", "app:radio", 0.4, 0)
    session.wait_for(lambda: service.get("StateError") != "", "the folder to be in the way")
    new = taken_over(service)
    assert [app["volume"] for app in new.describe()["apps"]] == [0.4]
    session.wait_for(lambda: new.get("StateError") != "", "the new one to have tried")
    folder.unlink()
    new.call("SetVolume", "sda{sv}", "app:radio", 0.5, 0)
    session.wait_for(lambda: new.get("StateError") == "", "it to be saved")
    service.stop()
    new.stop()


def test_the_last_good_settings_outlive_the_one_that_has_read_them(session: Session) -> None:
    session.configure('[volume]\nmax = 0.8\n[[rules]]\nname = "Talk"\nmatch.app = "game"\ngroup = "Chat"\n')
    service = Service(session).start()
    session.play("Game", sink="speakers")
    service.wait_for_stream("Game", group="Chat")
    session.configure("[volume")
    session.wait_for(lambda: service.get("ConfigError") != "", "the bad file to be read")
    revision = service.get("Revision", interface="Rules")
    new = taken_over(service)
    assert new.get("ConfigError") != ""
    assert new.get("MaxVolume") == 0.8
    assert new.get("Revision", interface="Rules") == revision
    assert new.stream_of("Game")["group"] == "Chat"
    session.configure("[volume]\nmax = 0.7\n")
    session.wait_for(lambda: new.get("MaxVolume") == 0.7, "the good file to be read")
    session.wait_for(lambda: new.stream_of("Game")["group"] == "", "the rule to be gone")
    service.stop(errors=True)
    new.stop(errors=True)


async def taken(session: Session) -> MessageBus:
    """Take the name as another program."""
    bus = await connected(session)
    await bus.request_name(NAME, NameFlag.REPLACE_EXISTING | NameFlag.ALLOW_REPLACEMENT)
    return bus


async def handed(bus: MessageBus, instance: str) -> Message:
    """Ask an instance for what it leaves."""
    reply = await bus.call(called("HandOver", to=instance, interface=SUCCESSION))
    assert reply is not None
    return reply


@pytest.mark.parametrize("asks", [True, False])
def test_where_the_new_one_dies_the_old_one_goes_on_as_if_nothing_had_been(
    service: Service, asks: bool
) -> None:
    session = service.session
    for app in ("Radio", "Film"):
        session.play(app, sink="speakers")
    radio = service.wait_for_stream("Radio", device="speakers")
    service.call("Move", "ssa{sv}", "app:radio", "headset", 0)
    service.call("SetVolume", "sda{sv}", "app:film", 0.9, 0)
    owner = service.call_daemon("GetNameOwner", "s", NAME)

    async def die_halfway() -> None:
        bus = await connected(session)
        refused = await handed(bus, owner)
        assert refused.error_name == "org.freedesktop.DBus.Error.AccessDenied"
        bus.disconnect()
        bus = await taken(session)
        if asks:
            left = json.loads((await handed(bus, owner)).body[0])
            assert [fade["volume"] for fade in left["fades"]] == [0.2]
        bus.disconnect()

    with Client.gjs(session, "proxy.js", ROOT, NAME) as holder:
        holder.ask(do="call", method="HoldRouting", arguments=["app:radio", "a test", ""])
        service.call("FadeVolume", "sdua{sv}", "app:film", 0.2, 3000, 0)
        asyncio.run(die_halfway())
        session.wait_for(lambda: owner_of(service) == owner, "the old one to have its name again")
        assert len(service.get("Holds")) == 1
        assert service.stream_of("Radio") == {**radio, "device": "headset", "routed_by": "person"}
        service.wait_for_stream("Film", volume=0.2)
    session.wait_for(lambda: service.get("Holds") == [], "the hold to end with its holder")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.7, 0)
    assert service.call("Undo", "u", 3) == 3
    assert service.stream_of("Film")["volume"] == 1.0
    new = taken_over(service)
    assert new.stream_of("Radio")["number"] == radio["number"]
    new.stop()


def owner_of(service: Service) -> str:
    try:
        return str(service.call_daemon("GetNameOwner", "s", NAME))
    except CallError:
        return ""


def test_an_older_one_that_does_not_ask_finds_every_fade_at_its_end(service: Service) -> None:
    session = service.session
    session.play("Film", sink="speakers")
    service.wait_for_stream("Film", device="speakers")
    service.call("FadeVolume", "sdua{sv}", "app:film", 0.2, 3_600_000, 0)

    async def be_older() -> None:
        bus = await taken(session)
        assert await asyncio.to_thread(service.process.wait, PATIENCE) == 0
        bus.disconnect()

    asyncio.run(be_older())
    listed = json.loads(session.pactl("--format=json", "list", "sink-inputs"))
    assert {c["value_percent"] for i in listed for c in i["volume"].values()} == {"20%"}


@contextmanager
def another_version(session: Session, answer: str) -> Iterator[None]:
    """Own the name as a version that hands over what this one does not know, or with no answer does not hand over."""
    is_there, enough = threading.Event(), threading.Event()

    def hand_over(call: Message) -> Message | None:
        if call.member != "HandOver":
            return None
        if not answer:
            return Message.new_error(call, "org.freedesktop.DBus.Error.UnknownMethod", "No such method")
        text = answer.replace("NOW", str(asyncio.get_running_loop().time()))
        return Message.new_method_return(call, "s", [text])

    async def be_there() -> None:
        bus = await taken(session)
        bus.add_message_handler(hand_over)
        is_there.set()
        await asyncio.to_thread(enough.wait)
        bus.disconnect()

    thread = threading.Thread(target=lambda: asyncio.run(be_there()))
    thread.start()
    is_there.wait(PATIENCE)
    try:
        yield
    finally:
        enough.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("", "has not handed over (No such method)"),
        ("[1, 2", "it is no document that this version can read"),
        ('{"made_at": 0.5}', "it is of another time"),
        (
            '{"made_at": NOW, "state": 7, "holds": [{}], "routing": {"led": 5}}',
            "cannot read: state, routing.led, holds[0]",
        ),
        ('{"made_at": NOW, "state": {"connected": true, "apps": {"x": {"app_id": "y", "name": "z"}}}}', ""),
    ],
)
def test_what_cannot_be_read_of_another_version_is_told_in_a_sentence(
    session: Session, answer: str, sentence: str
) -> None:
    session.play("Film", sink="speakers")
    with another_version(session, answer):
        new = Service(session, "--replace", name="new").start()
    assert new.wait_for_stream("Film", device="speakers")["number"] == 1
    assert [d["name"] for d in new.describe()["sinks"]] == ["speakers", "headset"]
    warnings = [line for line in new.log().splitlines() if "the instance before" in line]
    assert len(warnings) == (1 if sentence else 0)
    assert sentence in "".join(warnings)
    new.stop()


async def open_until(enough: threading.Event, session: Session, instance: str, answers: Counter[str]) -> None:
    """Open one meter after the other, and read its first frame."""
    bus = await connected(session, negotiate_unix_fd=True)
    while not (enough.is_set() or answers.keys() & GONE):
        async with asyncio.timeout(PATIENCE):
            reply = await bus.call(called("OpenMeter", "asa{sv}", ["@sink"], {}, to=instance))
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            answers[reply.error_name or ""] += 1
        for reader in reply.unix_fds:
            answers[f"{len(os.read(reader, 64))} bytes"] += 1
            os.close(reader)
    bus.disconnect()


@pytest.mark.parametrize("is_by_name", [True, False])
def test_whoever_opens_a_meter_while_another_instance_takes_over_has_one_or_an_answer(
    service: Service, is_by_name: bool
) -> None:
    """By the name, each has one; who still asks the old one itself is told to ask again, and nobody waits in vain."""
    session, answers, enough = service.session, Counter[str](), threading.Event()
    instance = NAME if is_by_name else service.call_daemon("GetNameOwner", "s", NAME)
    caller = threading.Thread(target=lambda: asyncio.run(open_until(enough, session, instance, answers)))
    caller.start()
    try:
        session.wait_for(lambda: answers["4 bytes"] > 5, "the first meters")
        new = taken_over(service)
        before = answers["4 bytes"]
        session.wait_for(lambda: not is_by_name or answers["4 bytes"] > before + 5, "meters of the new one")
    finally:
        enough.set()
        caller.join(PATIENCE)
    assert not caller.is_alive()
    refused = "org.freedesktop.DBus.Error.NotSupported"
    # What the old one had opened just before it left may end before its first frame.
    assert set(answers) <= {"4 bytes", "0 bytes"} | (set() if is_by_name else {refused, *GONE})
    new.stop()
