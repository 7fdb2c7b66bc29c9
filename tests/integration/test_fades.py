"""Fades on a real server: how they go and are told, to whom they give way, and what stays of them."""

import json

import pytest
from recorder import Recorder
from service import NAME, ROOT, CallError, Json, Service

SPEAKERS = f"{ROOT}/sinks/speakers"


@pytest.fixture
def playing(service: Service) -> Service:
    """Play two streams of one game and the radio: a sink that never played does not report its volume."""
    for number in (1, 2):
        service.session.play("Game", sink="speakers", properties={"media.name": f"sound {number}"})
    service.session.play("Radio", sink="speakers")
    service.session.wait_for(lambda: len(service.describe()["streams"]) == 3, "three streams")
    return service


def volumes(service: Service, app: str) -> set[float]:
    return {s["volume"] for s in service.describe()["streams"] if s["app_name"] == app}


def told(recorder: Recorder) -> list[Json]:
    """Return whose volume has arrived where, in the order of the signals."""
    changes = [m["payload"]["data"] for m in recorder.signals("ClientChange")]
    return [(change[0], change[2]["data"], *change[4:]) for change in changes if change[1] == "Volume"]


def wait_for_volume(service: Service, app: str, volume: float) -> None:
    service.session.wait_for(lambda: volumes(service, app) == {volume}, f"{app} at {volume}")


def test_a_fade_is_told_on_its_way_and_at_its_end_remembered_and_undone_as_one(playing: Service) -> None:
    for arguments, sentence in {
        ("@sink", 0.5, 3_600_001, 0): "at most an hour",
        ("@sink", "nan", 100, 0): "must be a finite number",
        ("app:nobody", 0.5, 100, 0): "Nothing is called",
        ("@sink", 0.5, 100, 1, "fast", "b", True): "There is no option",
    }.items():
        with pytest.raises(CallError, match=sentence):
            playing.call("FadeVolume", "sdua{sv}", *arguments)
    playing.call("SetVolume", "sda{sv}", "@sink", 0.9, 0)
    recorder = Recorder(playing)
    playing.call("FadeVolume", "sdua{sv}", "@sink", 0.1, 600, 2, "context", "s", "dusk", "quiet", "b", True)
    playing.session.wait_for(lambda: told(recorder) != [], "the end of the fade")
    assert told(recorder) == [(SPEAKERS, 0.1, "dusk", True)]
    way = [change["Volume"] for change in recorder.changes(SPEAKERS) if "Volume" in change]
    assert len(way) > 3
    assert way == sorted(way, reverse=True)
    assert way[-1] == 0.1
    messages = recorder.messages()
    replies = [i for i, m in enumerate(messages) if m["type"] == "method_return"]
    ends = [i for i, m in enumerate(messages) if m.get("member") == "ClientChange"]
    assert replies[0] < ends[0]
    assert playing.call("Undo", "u", 1) == 1
    assert playing.get("Volume", path=SPEAKERS, interface="Node") == 0.9


def test_applications_fade_and_only_their_ends_are_saved(playing: Service) -> None:
    state = playing.session.state
    playing.session.run(
        *("gdbus", "call", "--session", "-d", NAME, "-o", ROOT),
        *("-m", f"{NAME}.FadeVolume", "app:game", "0.25", "400", "{}"),
    )
    playing.call("FadeVolume", "sdua{sv}", "app:radio", 0.0, 400, 0)
    wait_for_volume(playing, "Game", 0.25)
    wait_for_volume(playing, "Radio", 0.0)

    def saved() -> set[float]:
        apps = json.loads(state.read_text())["apps"] if state.exists() else {}
        return {level["volume"] for app in apps.values() for level in app.get("levels", {}).values()}

    playing.session.wait_for(lambda: saved() == {0.25, 0.0}, "both to be saved, and nothing else")


def test_whoever_takes_hold_of_a_fading_volume_has_it_and_no_service_stops_halfway(playing: Service) -> None:
    playing.call("FadeVolume", "sdua{sv}", "app:game", 0.9, 3_600_000, 0)
    playing.call("FadeVolume", "sdua{sv}", "@sink", 0.5, 3_600_000, 0)
    recorder = Recorder(playing)
    first, second = (s for s in playing.describe()["streams"] if s["app_name"] == "Game")
    playing.session.pactl("set-sink-input-volume", str(first["index"]), "40%")
    playing.session.wait_for(lambda: 0.4 in volumes(playing, "Game"), "the other program's volume")
    playing.call("AdjustVolume", "sda{sv}", "@sink", -0.2, 0)
    # What is left of the fades comes to its end at once: it must not touch what somebody has taken hold of.
    playing.call("FadeVolume", "sdua{sv}", second["selector"], 0.7, 0, 0)
    playing.session.wait_for(lambda: volumes(playing, "Game") == {0.4, 0.7}, "the streams to have parted")
    assert 0.7 < playing.get("Volume", path=SPEAKERS, interface="Node") <= 0.8
    assert [path for path, *_ in told(recorder)] == [SPEAKERS, f"{ROOT}/streams/{second['number']}"]
    playing.call("FadeVolume", "sdua{sv}", "app:game", 0.2, 3_600_000, 0)
    playing.stop()
    listed = json.loads(playing.session.pactl("--format=json", "list", "sink-inputs"))
    inputs = [i for i in listed if i["properties"]["application.name"] == "Game"]
    assert {c["value_percent"] for i in inputs for c in i["volume"].values()} == {"20%"}
