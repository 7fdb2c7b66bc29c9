"""Meters, read by gjs: what is played is what is shown, and all that is made for it ends with its reader."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from client import PYTHON, Client, example
from defaults import set_default
from service import ALIAS, CallError, Json, Service
from session import PATIENCE, Session

from pwmixer_dbus.outlets.bus.meters import KEPT

TONE = 10 ** (-30 / 20)
"""The peak of what a session plays."""


@pytest.fixture
def reader(service: Service) -> Iterator[Client]:
    """Start a program that opens meters."""
    with Client.gjs(service.session, "meter.js") as client:
        yield client


def tone(name: str, service: Service, sink: str = "speakers") -> subprocess.Popen[bytes]:
    """Play a tone, and wait until the service knows it."""
    player = service.session.play(name, tone=440, sink=sink)
    service.wait_for_stream(name, device=sink)
    return player


def recorded(session: Session) -> list[str]:
    """List the names of the devices that are recorded by meters, "" for a stream."""
    names = {
        line.split()[0]: line.split()[1] for line in session.pactl("list", "short", "sources").splitlines()
    }
    streams = session.pactl("list", "source-outputs").split("Source Output #")[1:]
    assert all('media.name = "pwmixer meter"' in stream for stream in streams)
    return sorted(names.get(re.findall(r"Source: (\d+)", stream)[0], "") for stream in streams)


def wait_until_recorded(session: Session, *names: str) -> None:
    session.wait_for(lambda: recorded(session) == sorted(names), f"meters to record {names}")


def shows(client: Client, meter: int, *levels: float | None) -> Json:
    """Wait for a frame with these levels."""

    def is_so(frame: Json) -> bool:
        wanted = [level if level is None else pytest.approx(level, rel=0.02) for level in levels]
        return bool(frame["meter"] == meter and frame["levels"] == wanted)

    return client.wait("frame", is_so)


def opened(client: Client, *targets: str, **order: object) -> int:
    answer = client.ask(do="open", targets=targets, **order)
    assert "error" not in answer, answer
    return int(answer["meter"])


def test_what_is_played_is_shown_and_nothing_is_left_when_the_last_reader_has_gone(
    service: Service, reader: Client
) -> None:
    session = service.session
    tone("Radio", service)
    session.play("Silence", tone=0, sink="headset")
    service.wait_for_stream("Silence", device="headset")
    before = service.describe()
    first = opened(reader, "@sink", "app:radio", "sink:headset", "stream:*")
    assert [f["levels"] for f in reader.all("frame") if f["meter"] == first][:1] in ([], [[0, 0, 0, 0]])
    shows(reader, first, TONE, TONE, 0, TONE)
    wait_until_recorded(session, "speakers.monitor", "headset.monitor", "", "")
    with Client.gjs(session, "meter.js") as second:
        again = opened(second, "sink:speakers", "@source", options={"rate": 5})
        shows(second, again, TONE, 0)
        wait_until_recorded(session, "speakers.monitor", "headset.monitor", "", "", "microphone")
        now = service.describe()
        for part in ("streams", "apps", "groups"):
            assert now[part] == before[part], "a meter is nobody's business"
        reader.ask(do="close", meter=first)
        wait_until_recorded(session, "speakers.monitor", "microphone")
    wait_until_recorded(session)
    session.wait_for(
        lambda: "pwmixer meter" not in session.pactl("list", "clients"), "the connections to end"
    )


def test_targets_are_followed_through_what_becomes_of_them(service: Service, reader: Client) -> None:
    session = service.session
    player = tone("Radio", service)
    stream = service.stream_of("Radio")["selector"]
    meter = opened(reader, "app:radio", stream, "@sink", f"{ALIAS}/sink", "sink:headset")
    shows(reader, meter, TONE, TONE, TONE, TONE, 0)
    player.kill()
    shows(reader, meter, 0, None, 0, 0, 0)
    tone("Radio", service, sink="headset")
    shows(reader, meter, TONE, None, 0, 0, TONE)
    set_default(session, sink="headset")
    shows(reader, meter, TONE, None, TONE, TONE, TONE)
    wait_until_recorded(session, "", "headset.monitor")


def test_nobody_remembers_how_loud_a_meter_was(service: Service, reader: Client) -> None:
    session = service.session
    tone("Radio", service)
    meter = opened(reader, "@sink")
    shows(reader, meter, TONE)
    (recording,) = session.pactl("list", "short", "source-outputs").splitlines()
    session.pactl("set-source-output-volume", recording.split()[0], "50%")
    shows(reader, meter, TONE / 8)
    reader.ask(do="close", meter=meter)
    wait_until_recorded(session)
    shows(reader, opened(reader, "@sink"), TONE)


def test_the_end_of_the_sound_server_is_shown_and_so_is_its_return(service: Service, reader: Client) -> None:
    session = service.session
    tone("Radio", service)
    meter = opened(reader, "sink:speakers", "app:radio")
    shows(reader, meter, TONE, TONE)
    session.stop_sound(kill=True)
    shows(reader, meter, None, None)
    session.start_sound()
    session.add_null_sink("speakers", "Speakers")
    service.wait_connected()
    tone("Radio", service)
    shows(reader, meter, TONE, TONE)


def test_a_reader_that_is_killed_or_leaves_the_bus_ends_its_meters(service: Service) -> None:
    session = service.session
    client = Client.gjs(session, "meter.js")
    try:
        opened(client, "@sink", "@source")
        opened(client, "sink:headset", wait=True)
        wait_until_recorded(session, "speakers.monitor", "microphone", "headset.monitor")
    finally:
        client._end()
    wait_until_recorded(session)
    service.call("OpenMeter", "asa{sv}", 1, "@sink", 0)  # which is busctl's, and that has left by now
    wait_until_recorded(session)


def test_who_does_not_read_finds_a_few_old_frames_and_then_the_newest(
    service: Service, reader: Client
) -> None:
    late, early = opened(reader, "@sink", wait=True), opened(reader, "@sink")
    for _ in range(3):
        player = tone("Radio", service)
        shows(reader, early, TONE)
        player.kill()
        shows(reader, early, 0)
    tone("Radio", service)
    shows(reader, early, TONE)

    def frames(meter: int) -> list[Json]:
        return [frame["levels"] for frame in reader.all("frame") if frame["meter"] == meter]

    reader.ask(do="read", meter=late)
    service.session.wait_for(
        lambda: len(frames(late)) > KEPT and frames(late)[-1] == frames(early)[-1], "the newest frame"
    )
    assert frames(late)[:KEPT] == frames(early)[:KEPT]
    assert len(frames(late)) < len(frames(early)), "what was between is lost"


@pytest.mark.parametrize("replaced", [False, True])
def test_when_the_service_stops_or_is_replaced_readers_read_the_end(
    service: Service, reader: Client, *, replaced: bool
) -> None:
    meter = opened(reader, "@sink")
    shows(reader, meter, 0)
    heir = Service(service.session, "--replace", name="heir")
    try:
        if replaced:
            heir.start()
        else:
            service.stop()
        reader.wait("end", lambda end: end["meter"] == meter)
        wait_until_recorded(service.session)
        if replaced:
            assert service.process.wait(PATIENCE) == 0
            shows(reader, opened(reader, "@sink"), 0)
    finally:
        heir.stop()


def test_what_cannot_be_measured_is_refused_with_the_reason(service: Service) -> None:
    session = service.session
    session.record("Recorder", source="microphone")
    recorder = service.wait_for_stream("Recorder")["selector"]

    def refused(*targets: str, options: tuple[str, ...] = ("0",)) -> str:
        with pytest.raises(CallError) as refusal:
            service.call("OpenMeter", "asa{sv}", len(targets), *targets, *options)
        return str(refusal.value)

    assert "needs a target" in refused()
    assert "at most 64 targets" in refused(*["@sink"] * 65)
    assert "no target" in refused("louder")
    assert "Nothing is called" in refused("@sink", "app:nobody")
    assert "only recorded when it is named" in refused("source:*")
    assert "records; only what plays" in refused(recorder)
    assert "no option" in refused("@sink", options=("1", "pace", "d", "3"))
    assert "has the type" in refused("@sink", options=("1", "rate", "u", "3"))
    assert "number of frames" in refused("@sink", options=("1", "rate", "d", "nan"))
    assert session.pactl("list", "short", "source-outputs").count("\n") <= 1, "only the recorder records"


def test_a_client_has_a_limit(service: Service, reader: Client) -> None:
    for _ in range(16):
        opened(reader, "@sink", options={"rate": 1000})
    assert reader.ask(do="open", targets=["@sink"])["error"] == "org.freedesktop.DBus.Error.LimitsExceeded"
    wait_until_recorded(service.session, "speakers.monitor")
    reader.ask(do="close", meter=3)
    service.session.wait_for(
        lambda: "error" not in reader.ask(do="open", targets=["@sink"]), "room for one more"
    )


@pytest.mark.parametrize(("language", "program"), [("js", ("gjs", "-m")), ("python", (PYTHON, "-u"))])
def test_the_examples_of_the_page_work_as_they_stand(
    service: Service, language: str, program: tuple[str, ...]
) -> None:
    tone("Radio", service)
    with example(service.session, "meters.md", language, *program) as lines:
        assert any(float(line.split()[0]) == pytest.approx(TONE, rel=0.02) for line in lines)
    wait_until_recorded(service.session)
