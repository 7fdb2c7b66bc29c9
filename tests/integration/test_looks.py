"""What rules say of how streams look and belong together, over D-Bus."""

import pytest
from recorder import Recorder
from service import CTL, NAME, ROOT, CallError, Json, Service
from session import Session

HOUSE = f"{ROOT}/groups/House"

RULES = """
[[rules]]
name = "radio"
match.app = "radio"
display_name = "Kitchen"
icon = "radio"
hide = true
group = "House"
max_volume = 0.8

[[rules]]
name = "bath"
match.app = "bath"
group = "House"
"""


def wait_for_house(service: Service, volume: float, *, muted: bool) -> None:
    """Wait until the group of two shows this: the server may show what it has taken a little later."""

    def shows() -> bool:
        (group,) = service.describe()["groups"]
        return (group["name"], len(group["streams"]), group["volume"], group["muted"]) == (
            *("House", 2, volume),
            muted,
        )

    service.session.wait_for(shows, f"the group at {volume}, muted {muted}")


def groups(service: Service) -> list[str]:
    """List the objects of groups, as busctl finds them by introspection."""
    found = service.session.run("busctl", "--user", "tree", "--list", NAME).split()
    return [path for path in found if path.startswith(f"{ROOT}/groups/")]


def members(service: Service) -> Json:
    """Return the paths of the streams in the group."""
    return service.get("Streams", path=HOUSE, interface="Group")


def of_house(signals: list[Json]) -> list[Json]:
    """Choose what ObjectManager says of the group."""
    return [m["payload"]["data"] for m in signals if m["payload"]["data"][0] == HOUSE]


def ctl(service: Service, *words: str) -> str:
    """Run pwmixerctl, and return what it prints."""
    return service.session.run(*CTL, *words).strip()


def started(session: Session) -> Service:
    """Start the service with the rules."""
    session.configure(RULES)
    return Service(session).start()


def test_a_rule_names_hides_and_groups_streams_and_the_group_is_a_target(session: Session) -> None:
    service = started(session)
    try:
        session.play("Radio")
        session.play("Bath")
        session.play("Game")
        service.wait_for_stream("Kitchen", icon_name="radio", hidden=True, group="House")
        service.wait_for_stream("Bath", hidden=False, group="House")
        service.wait_for_stream("Game", hidden=False, group="")
        recorder = Recorder(service)
        kitchen = service.wait_for_stream("Kitchen", max_volume=0.8)
        assert service.call("SetVolume", "sda{sv}", kitchen["selector"], 0.95, 0) == 0.8
        assert len(recorder.signals("VolumeClamped")) == 1
        service.call("SetLock", "sb", "sink:headset", True)
        path = f"{ROOT}/sinks/headset"
        assert service.get("Locked", path=path, interface="Node") is True
        recorder.assert_announced_before_the_reply("SetLock", (path, "Locked"))
        hidden = {app["name"]: app["hidden"] for app in service.describe()["apps"]}
        assert hidden == {"Kitchen": True, "Bath": False, "Game": False}
        service.call("SetVolume", "sda{sv}", "group:house", 0.3, 0)
        service.call("SetMuted", "ssa{sv}", "app:bath", "on", 0)
        # Of a group that is muted in part, a toggle mutes the rest.
        assert service.call("SetMuted", "ssa{sv}", "group:House", "toggle", 0) is True
        wait_for_house(service, 0.3, muted=True)
        service.call("Move", "ssa{sv}", "group:House", "headset", 0)
        # The session manager may link one once more after its move, so that it is on no device for a moment.
        for name, device in (("Kitchen", "headset"), ("Bath", "headset"), ("Game", "speakers")):
            service.wait_for_stream(name, device=device)
        # The same by hand.
        assert ctl(service, "toggle", "group:House") == "unmuted"
        assert ctl(service, "set", "group:house", "50%") == "50%"
        wait_for_house(service, 0.5, muted=False)
        assert ctl(service, "get", "group:House") == "50%"
        assert ctl(service, "fade", "group:House", "20%", "--seconds", "0.2") == ""
        wait_for_house(service, 0.2, muted=False)
        assert ctl(service, "move", "group:House", "speakers").count("stream:") == 2
        assert ctl(service, "list", "groups").startswith("group:House  20%  stream:")
        assert service.wait_for_stream("Game")["volume"] == 1.0
        with pytest.raises(CallError, match="There is group:House"):
            service.call("SetMuted", "ssa{sv}", "group:nobody", "on", 0)
        with pytest.raises(CallError, match="could be moved to a source"):
            service.call("Move", "ssa{sv}", "group:House", "source:microphone", 0)
    finally:
        service.stop()


def test_a_group_is_an_object_for_as_long_as_a_stream_is_in_it(session: Session) -> None:
    service = started(session)
    try:
        assert groups(service) == []
        recorder = Recorder(service)
        radio, bath = session.play("Radio"), session.play("Bath")
        session.play("Game")
        streams = [
            service.wait_for_stream(name, group=group)["selector"].replace(":", "s/")
            for name, group in (("Kitchen", "House"), ("Bath", "House"), ("Game", ""))
        ]
        kitchen, bathroom, _ = (f"{ROOT}/{stream}" for stream in streams)
        assert groups(service) == [HOUSE]
        assert members(service) == [kitchen, bathroom]
        (added,) = of_house(recorder.signals("InterfacesAdded"))
        assert added[1].keys() == {f"{NAME}.Node", f"{NAME}.Group"}
        assert service.call("Resolve", "s", "group:house") == [HOUSE]
        service.set("Volume", "d", 0.3, path=HOUSE, interface="Node")
        recorder.assert_announced_before_the_reply(
            "Set", *((p, "Volume") for p in (HOUSE, kitchen, bathroom))
        )
        service.set("Muted", "b", True, path=HOUSE, interface="Node")
        recorder.assert_announced_before_the_reply("Set", *((p, "Muted") for p in (HOUSE, kitchen, bathroom)))
        wait_for_house(service, 0.3, muted=True)
        # What could not be had is told again to whoever believes to have set it.
        service.set("Volume", "d", 1.4, path=HOUSE, interface="Node")
        service.set("Volume", "d", 1.4, path=HOUSE, interface="Node")
        assert [change["Volume"] for change in recorder.changes(HOUSE) if "Volume" in change][-2:] == [
            1.0,
            1.0,
        ]
        assert [m["payload"]["data"][0] for m in recorder.signals("VolumeClamped")] == [HOUSE, kitchen] * 2
        volumes = {s["app_name"]: s["volume"] for s in service.describe()["streams"]}
        assert volumes == {"Kitchen": 0.8, "Bath": 1.0, "Game": 1.0}
        # What others do to one of its streams shows, too; and what they do to no stream of it, not.
        before = len(recorder.changes(HOUSE))
        session.pactl("set-sink-input-volume", str(service.stream_of("Game")["index"]), "90%")
        service.wait_for_stream("Game", volume=0.9)
        assert len(recorder.changes(HOUSE)) == before
        session.pactl("set-sink-input-volume", str(service.stream_of("Bath")["index"]), "95%")
        service.wait_for_stream("Bath", volume=0.95)
        assert recorder.changes(HOUSE)[before:] == [{"Volume": 0.95}]
        bath.terminate()
        session.wait_for(lambda: members(service) == [kitchen], "one stream in the group")
        assert of_house(recorder.signals("InterfacesRemoved")) == []
        radio.terminate()
        # busctl fails where an object goes between the one call and the next, so it looks when all have gone.
        session.wait_for(lambda: service.describe()["groups"] == [], "the end of the group")
        assert groups(service) == []
        (removed,) = of_house(recorder.signals("InterfacesRemoved"))
        assert sorted(removed[1]) == [f"{NAME}.Group", f"{NAME}.Node"]
        assert recorder.changes(HOUSE)[-1]["Streams"] == [kitchen]
        with pytest.raises(CallError, match="There is no object at"):
            service.get("Volume", path=HOUSE, interface="Node")
    finally:
        service.stop()
