"""What the service does not do yet, each as a test that fails; a test moves to where it belongs when it passes."""

import pytest
from client import Client, with_speakers_running
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
