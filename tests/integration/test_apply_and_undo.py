"""Many changes as one, and the way back."""

import pytest
from service import CallError, Service

SPEAKERS = "/org/pwmixer/Mixer/sinks/speakers"
HEADSET = "/org/pwmixer/Mixer/sinks/headset"


def volumes(service: Service) -> dict[str, float]:
    return {s["name"]: s["volume"] for s in service.describe()["sinks"]}


def play_on_both(service: Service) -> None:
    for sink in ("speakers", "headset"):
        service.session.play(sink, sink=sink)
    service.session.wait_for(
        lambda: {s["state"] for s in service.describe()["sinks"]} == {"running"}, "both sinks to run"
    )


def test_many_changes_are_one_request(service: Service) -> None:
    play_on_both(service)
    changes = (2, SPEAKERS, 2, "Volume", "d", 0.25, "Muted", "b", True, HEADSET, 1, "Volume", "d", 0.5)
    service.call("Apply", "ta(oa{sv})a{sv}", 0, *changes, 0)
    assert volumes(service) == {"speakers": 0.25, "headset": 0.5}
    assert service.get("Muted", path=SPEAKERS, interface="Node") is True


def test_if_one_change_is_refused_nothing_is_done(service: Service) -> None:
    play_on_both(service)
    changes = (2, SPEAKERS, 1, "Volume", "d", 0.25, HEADSET, 1, "Kind", "s", "toaster")
    with pytest.raises(CallError, match="Kind cannot be written"):
        service.call("Apply", "ta(oa{sv})a{sv}", 0, *changes, 0)
    assert volumes(service) == {"speakers": 1.0, "headset": 1.0}


def test_a_stale_generation_is_refused(service: Service) -> None:
    generation = service.get("Generation")
    service.session.play("Radio")
    service.wait_for_stream("Radio")
    with pytest.raises(CallError, match="moved on from generation"):
        service.call("Apply", "ta(oa{sv})a{sv}", generation, 1, SPEAKERS, 1, "Volume", "d", 0.5, 0)


def test_the_last_request_is_undone_as_a_whole(service: Service) -> None:
    play_on_both(service)
    service.call("SetVolume", "sda{sv}", "sink:*", 0.25, 0)
    service.call("SetMuted", "ssa{sv}", "@sink", "on", 0)
    assert service.call("Undo", "u", 1) == 1
    assert service.get("Muted", path=SPEAKERS, interface="Node") is False
    assert volumes(service) == {"speakers": 0.25, "headset": 0.25}
    assert service.call("Undo", "u", 5) == 1
    assert volumes(service) == {"speakers": 1.0, "headset": 1.0}
    assert service.call("Undo", "u", 1) == 0


def test_a_move_and_an_app_volume_are_undone(service: Service) -> None:
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio", device="speakers")
    assert service.call("Move", "ssa{sv}", "app:radio", "headset", 0) == [
        service.call("Resolve", "s", "stream:1")[0]
    ]
    service.wait_for_stream("Radio", device="headset")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    assert service.call("Undo", "u", 2) == 2
    # Under load, the session manager may link it once more after it was there.
    service.wait_for_stream("Radio", device="speakers", volume=1.0)
