"""The on-screen display over a real bus, of the real service; the notification service is a double."""

import json
import sys
from pathlib import Path

from service import CallError, Json, Service
from session import Session

NAME = "org.freedesktop.Notifications"
PROGRAM = Path(__file__).with_name("notification_service.py")


def notices(session: Session) -> list[Json]:
    """Return the notices until now; the last line may be in the making."""
    text = (session.runtime / "notifications.log").read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def is_owned(service: Service) -> bool:
    try:
        service.call_daemon("GetNameOwner", "s", NAME)
    except CallError:
        return False
    return True


def test_what_is_asked_for_is_shown_in_one_notification_and_what_is_quiet_is_not(session: Session) -> None:
    session.configure("[osd]\nenabled = true\nseconds = 10.0\n")
    session.play("Radio")
    session.record("Recorder")  # a device that nobody uses would not show what it has acknowledged
    service = Service(session).start()
    service.wait_for_stream("Radio")
    service.wait_for_stream("Recorder")
    session.spawn("notifications", sys.executable, str(PROGRAM))
    session.wait_for_child("notifications", lambda: is_owned(service), "to own its name")

    def shown() -> list[tuple[str, str]]:
        return [(notice["title"], notice["text"]) for notice in notices(session)]

    service.call("SetVolume", "sda{sv}", "@sink", 0.3, 0)
    session.wait_for(lambda: shown()[-1:] == [("Speakers", "30%")], "the volume")
    service.call("SetVolume", "sda{sv}", "@sink", 0.6, 1, "quiet", "b", "true")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.2, 1, "quiet", "b", "true")
    service.call("SetMuted", "ssa{sv}", "app:radio", "on", 0)
    session.wait_for(lambda: shown()[-1:] == [("Radio", "muted")], "the mute")
    service.call("SetVolume", "sda{sv}", "@source", 0.9, 0)
    session.wait_for(lambda: shown()[-1:] == [("Microphone", "90%")], "the microphone")
    session.pactl("set-sink-volume", "speakers", "45%")
    session.wait_for(lambda: shown()[-1:] == [("Speakers", "45%")], "another program's change")

    assert shown() == [("Speakers", "30%"), ("Radio", "muted"), ("Microphone", "90%"), ("Speakers", "45%")]
    first, *others = notices(session)
    assert first["replaced"] == 0
    assert {notice["replaced"] for notice in others} == {first["number"]}
    assert (first["app"], first["icon"], first["timeout"]) == ("pwmixer", "audio-volume-low", 10_000)
    assert first["hints"]["value"] == ["i", 30]
    assert first["hints"]["urgency"] == ["y", 1], "GNOME Shell shows none of low urgency"
    assert set(first["hints"]) == {"value", "urgency", "transient", "suppress-sound"}, (
        "no second way to replace"
    )
    assert others[0]["icon"] == "audio-volume-muted"
    assert others[1]["icon"] == "microphone-sensitivity-high"
    service.stop()


def test_a_desktop_without_notifications_is_told_of_once_and_calls_are_answered(session: Session) -> None:
    session.configure("[osd]\nenabled = true\n")
    session.play("Radio")
    service = Service(session).start()
    service.wait_for_stream("Radio")
    for volume in (0.3, 0.4, 0.5):
        assert service.call("SetVolume", "sda{sv}", "@sink", volume, 0) == volume
    session.wait_for(lambda: "cannot be shown on the screen" in service.log(), "the warning")
    service.call("SetVolume", "sda{sv}", "@sink", 0.6, 0)
    service.stop()
    assert service.log().count("cannot be shown on the screen") == 1
