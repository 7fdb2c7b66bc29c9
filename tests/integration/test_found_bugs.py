"""What the service does not do yet, each as a test that fails; a test moves to where it belongs when it passes."""

import pytest
from client import Client, with_speakers_running
from compare import wait_until_equal
from recorder import Recorder
from service import ALIAS, NAME, ROOT, Service

pytestmark = pytest.mark.integration

NODE = f"{NAME}.Node"
SPEAKERS = f"{ROOT}/sinks/speakers"


@pytest.fixture
def playing(service: Service) -> Service:
    """Make a service whose speakers run."""
    return with_speakers_running(service)


@pytest.mark.parametrize(
    ("path", "name", "asked", "given"),
    [
        (SPEAKERS, "ChannelVolumes", [9.0, 0.5], [1, 0.5]),
        (f"{ALIAS}/sink", "Volume", 9.0, 1),
        (SPEAKERS, "Volume", 0.50004, 0.5),
        (f"{ALIAS}/sink", "Volume", 0.50004, 0.5),
        (SPEAKERS, "ChannelVolumes", [0.50004, 0.25], [0.5, 0.25]),
        (f"{ROOT}/streams/1", "Volume", -1, 0),
        (f"{ROOT}/apps/name_3aradio", "Volume", 9.0, 1),
        (f"{ROOT}/apps/name_3aradio", "Volume", 0.50004, 0.5),
    ],
)
def test_a_write_that_was_clamped_or_rounded_is_healed_also_when_nothing_changes(
    playing: Service, path: str, name: str, asked: object, given: object
) -> None:
    with Client.gjs(playing.session, "writer.js", path, NODE, name) as client:
        for _ in range(2):
            assert client.ask(value=asked)["value"] == asked
            client.wait("changed", lambda event: event["changed"].get(name) == given)
            assert client.ask()["value"] == given


def test_the_alias_announces_also_the_name_of_another_default(playing: Service) -> None:
    with Client.gjs(playing.session, "proxy.js", f"{ALIAS}/sink", NODE) as alias:
        assert alias.ask(do="read", name="Name")["value"] == "speakers"
        playing.session.pactl("set-default-sink", "headset")
        alias.wait("changed", lambda event: event["changed"].get("Description") == "Headset")
        assert alias.ask(do="read", name="Name")["value"] == "headset"


def test_what_a_call_changes_is_announced_before_its_reply(playing: Service) -> None:
    """The server acknowledges a volume before it shows it; on a busy machine up to 30 ms pass between the two."""
    recorder = Recorder(playing)
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


def test_a_clamp_never_announces_the_value_from_before(playing: Service) -> None:
    """A slider would jump from where it was dragged to where it had been, and then to the limit."""
    playing.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
    wait_until_equal(playing)
    recorder = Recorder(playing)
    for _ in range(5):
        playing.call("SetVolume", "sda{sv}", "@sink", 1.4, 0)
        playing.call("SetVolume", "sda{sv}", "@sink", -1, 0)
    wait_until_equal(playing)
    volumes = [c["Volume"] for c in recorder.changes(SPEAKERS) if "Volume" in c]
    assert set(volumes) == {1.0, 0.0}


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
