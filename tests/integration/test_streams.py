"""A stream's life, with a real server and programs that nobody here wrote."""

from defaults import set_default
from service import Service
from session import PATIENCE, Session


def move_with_pactl(session: Session, index: int, sink: str) -> None:
    """Move a stream as a person does: again, where WirePlumber has swallowed the move of a very young stream."""

    def is_moved() -> bool:
        device = next(
            line.split()[0] for line in session.pactl("list", "short", "sinks").splitlines() if sink in line
        )
        streams = [line.split() for line in session.pactl("list", "short", "sink-inputs").splitlines()]
        if [str(index), device] in [s[:2] for s in streams]:
            return True
        session.pactl("move-sink-input", str(index), sink)
        return False

    session.wait_for(is_moved, f"pactl to move stream {index} to {sink}")


def test_a_stream_appears_is_changed_moved_and_dies(service: Service) -> None:
    session = service.session
    player = session.play("Radio", sink="speakers")
    stream = service.wait_for_stream("Radio", device="speakers")
    assert stream["direction"] == "playback"
    session.pactl("set-sink-input-volume", str(stream["index"]), "40%")
    service.wait_for_stream("Radio", volume=0.4)
    session.pactl("set-sink-input-mute", str(stream["index"]), "1")
    service.wait_for_stream("Radio", muted=True)
    move_with_pactl(session, stream["index"], "headset")
    service.wait_for_stream("Radio", device="headset")
    player.kill()
    session.wait_for(lambda: not service.describe()["streams"], "the stream to go")


def test_ten_steps_up_in_a_hurry_are_exactly_ten_steps(service: Service) -> None:
    session = service.session
    session.play("Radio", sink="speakers")
    service.call("SetVolume", "sda{sv}", "@sink", 0.2, 0)
    calls = [
        session.spawn(
            f"step-{i}",
            *("busctl", "--user", "call", "org.pwmixer.Mixer", "/org/pwmixer/Mixer", "org.pwmixer.Mixer"),
            *("AdjustVolume", "sda{sv}", "@sink", "0.05", "0"),
        )
        for i in range(10)
    ]
    assert [call.wait(PATIENCE) for call in calls] == [0] * 10
    assert service.describe()["sinks"][0]["volume"] == 0.7
    assert "70%" in session.pactl("get-sink-volume", "speakers")


def test_an_app_volume_reaches_all_its_streams_also_those_born_later(service: Service) -> None:
    session = service.session
    for title in ("One", "Two"):
        session.play("Browser", properties={"application.name": "Browser", "media.name": title})
    session.wait_for(lambda: len(service.describe()["streams"]) == 2, "two streams")
    assert service.call("SetVolume", "sda{sv}", "app:browser", 0.3, 0) == 0.3
    assert [s["volume"] for s in service.describe()["streams"]] == [0.3, 0.3]
    session.play("Browser", properties={"application.name": "Browser", "media.name": "Three"})
    session.wait_for(
        lambda: [s["volume"] for s in service.describe()["streams"]] == [0.3, 0.3, 0.3], "the third to follow"
    )


def test_a_sink_comes_and_goes(service: Service) -> None:
    session = service.session
    module = session.add_null_sink("third", "Third")
    session.wait_for(
        lambda: "third" in [s["name"] for s in service.describe()["sinks"]], "the sink to be known"
    )
    session.pactl("unload-module", str(module))
    session.wait_for(
        lambda: "third" not in [s["name"] for s in service.describe()["sinks"]], "the sink to be forgotten"
    )


def test_the_default_changes_and_its_alias_follows(service: Service) -> None:
    session = service.session
    alias = "/org/pwmixer/Default/sink"
    assert service.get("Name", path=alias, interface="Node") == "speakers"
    set_default(session, sink="headset")
    session.wait_for(lambda: service.describe()["defaults"]["sink"] == "headset", "the default to change")
    assert service.get("Name", path=alias, interface="Node") == "headset"
    assert service.get("DefaultSink") == "/org/pwmixer/Mixer/sinks/headset"
    service.call("SetDefault", "s", "sink:speakers")
    assert "Default Sink: speakers" in session.pactl("info")


def test_the_sound_server_is_killed_and_comes_back(service: Service) -> None:
    session = service.session
    session.play("Radio")
    service.wait_for_stream("Radio")
    session.stop_sound(kill=True)
    service.wait_connected(False)
    assert [s["name"] for s in service.describe()["sinks"]] == ["speakers", "headset"], "stale, but visible"
    session.start_sound()
    service.wait_connected()
    session.wait_for(lambda: service.describe()["sinks"] == [], "the old devices to go")
    session.add_null_sink("speakers", "Speakers")
    session.play("Radio")
    service.wait_for_stream("Radio", device="speakers")


def test_two_electron_apps_stay_two(service: Service) -> None:
    session = service.session
    for binary in ("vesktop", "teams-for-linux"):
        session.play(
            binary,
            properties={
                "application.name": "Chromium",
                "application.process.binary": binary,
                "media.name": "Playback",
            },
        )
    session.wait_for(lambda: len(service.describe()["streams"]) == 2, "two streams")
    assert sorted(a["app_id"] for a in service.describe()["apps"]) == ["bin:teams-for-linux", "bin:vesktop"]


def test_it_starts_before_there_is_a_sound_server(bare_session: Session) -> None:
    bare_session.stop_sound()
    service = Service(bare_session).start(connected=False)
    assert service.get("Connected") is False
    assert service.describe()["sinks"] == []
    bare_session.start_sound()
    bare_session.add_null_sink("speakers", "Speakers")
    service.wait_connected()
    bare_session.wait_for(
        lambda: [s["name"] for s in service.describe()["sinks"]] == ["speakers"], "the sink to be known"
    )
    service.stop()
