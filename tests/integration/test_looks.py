"""What rules say of how streams look and belong together, over D-Bus."""

import sys
from pathlib import Path

import pytest
from recorder import Recorder
from service import ROOT, CallError, Service
from session import Session

pytestmark = pytest.mark.integration

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


def ctl(service: Service, *words: str) -> str:
    """Run pwmixerctl, and return what it prints."""
    program = "import sys; from pwmixer_dbus.cli import main; sys.exit(main())"
    return service.session.run(sys.executable, "-c", program, *words).strip()


def test_a_rule_names_hides_and_groups_streams_and_the_group_is_a_target(session: Session) -> None:
    folder = Path(session.env["XDG_CONFIG_HOME"], "pwmixer")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(RULES)
    service = Service(session).start()
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
        devices = {s["app_name"]: s["device"] for s in service.describe()["streams"]}
        assert devices == {"Kitchen": "headset", "Bath": "headset", "Game": "speakers"}
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
