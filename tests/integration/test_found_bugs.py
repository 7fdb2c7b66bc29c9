"""What the service does not do yet, each as a test that fails; a test moves to where it belongs when it passes."""

import pytest
from client import with_speakers_running
from recorder import Recorder
from service import NAME, ROOT, Service

pytestmark = pytest.mark.integration

SPEAKERS = f"{ROOT}/sinks/speakers"


@pytest.fixture
def playing(service: Service) -> Service:
    """Make a service whose speakers run."""
    return with_speakers_running(service)


def test_the_default_of_before_is_announced_before_the_reply(playing: Service) -> None:
    """What was announced less than 33 ms ago is held back, also when the caller waits for it."""
    recorder = Recorder(playing)
    for now, before in (("headset", "speakers"), ("speakers", "headset")) * 3:
        playing.call("SetMuted", "ssa{sv}", "@sink", "toggle", 0)
        playing.call("SetDefault", "s", f"sink:{now}")
        recorder.assert_announced_before_the_reply(
            "SetDefault", (f"{ROOT}/sinks/{now}", "Default"), (f"{ROOT}/sinks/{before}", "Default")
        )


def test_an_interface_that_is_not_named_is_any_for_reading_a_property(playing: Service) -> None:
    """The D-Bus specification allows the empty interface name."""
    assert (
        playing.busctl(
            *("call", NAME, SPEAKERS, "org.freedesktop.DBus.Properties", "Get", "ss", "", "Volume")
        )
        == 1.0
    )
