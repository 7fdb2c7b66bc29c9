"""Streams that the session manager connects to another device, of which the server says little or nothing.

A stream that plays is at least said to have changed; one that is paused is moved in silence. So the service lists the
streams again after what may have caused a move. `docs/pipewire-versions.md` says what has no cause that it could see.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import prompted
import pulsectl
import pytest
from defaults import set_default
from service import Service
from session import Session
from test_streams import move_with_pactl


def pause(session: Session, name: str, does: str = "play", *device: str) -> subprocess.Popen[bytes]:
    """Start a program with a paused stream, on a device of its own choice."""
    return session.spawn(name, sys.executable, prompted.__file__, does, name, *device)


@pytest.fixture(params=["playing", "paused"])
def radio(service: Service, request: pytest.FixtureRequest) -> Service:
    """Have a stream on the speakers, which nobody has ever moved."""
    if request.param == "playing":
        service.session.play("Radio")
    else:
        pause(service.session, "Radio")
    service.wait_for_stream("Radio", device="speakers", corked=request.param == "paused")
    return service


def test_a_stream_follows_the_default(radio: Service) -> None:
    for name in ("headset", "speakers"):
        set_default(radio.session, sink=name)
        radio.wait_for_stream("Radio", device=name)


@pytest.mark.parametrize("does", ["recording", "paused"])
def test_a_recording_follows_the_default(service: Service, does: str) -> None:
    service.session.add_null_source("second", "Second")
    if does == "paused":
        pause(service.session, "Recorder", "record")
    else:
        service.session.record("Recorder")
    for name in ("microphone", "second"):
        set_default(service.session, source=name)
        service.wait_for_stream("Recorder", device=name)


# In the rest, the service comes last: what it has noticed before might make it list the streams for another reason.


@pytest.fixture
def start(session: Session) -> Iterator[Callable[[], Service]]:
    """Give a function that starts the service, which has to end cleanly."""
    service = Service(session)
    try:
        yield service.start
    finally:
        service.stop()


Start = Callable[[], Service]


@pytest.mark.parametrize("does", ["playing", "paused"])
def test_a_stream_that_we_move_is_where_we_say(session: Session, start: Start, does: str) -> None:
    begin(session, does)
    wait_until_on(session, "speakers")
    service = start()
    stream = service.wait_for_stream("Radio", device="speakers")
    service.call("Move", "ssa{sv}", stream["selector"], "headset", 0)
    service.wait_for_stream("Radio", device="headset")


@pytest.mark.parametrize("does", ["playing", "paused"])
def test_a_stream_loses_its_own_sink(session: Session, start: Start, does: str) -> None:
    """It is not the default, so nothing else changes with it."""
    module = session.add_null_sink("third", "Third")
    begin(session, does, "third")
    wait_until_on(session, "third")
    service = start()
    service.wait_for_stream("Radio", device="third")
    session.pactl("unload-module", str(module))
    service.wait_for_stream("Radio", device="speakers")


@pytest.mark.parametrize("does", ["playing", "paused"])
def test_a_stream_gets_its_own_sink_back(session: Session, start: Start, does: str) -> None:
    """Only WirePlumber 0.5 brings it back."""
    module = session.add_null_sink("third", "Third")
    begin(session, does, "third")
    wait_until_on(session, "third")
    session.pactl("unload-module", str(module))
    wait_until_on(session, "speakers")
    service = start()
    service.wait_for_stream("Radio", device="speakers")
    session.add_null_sink("third", "Third")
    service.wait_for_stream("Radio", device="third")


def begin(session: Session, does: str, *sink: str) -> None:
    """Start a program with one stream, on a sink of its own choice."""
    if does == "paused":
        pause(session, "Radio", "play", *sink)
    else:
        session.play("Radio", sink=next(iter(sink), None))


def wait_until_on(session: Session, sink: str) -> None:
    """Wait until the server has the only stream on a sink."""

    def is_on() -> bool:
        sinks = {row.split()[1]: row.split()[0] for row in _rows(session, "sinks")}
        return [row.split()[1] for row in _rows(session, "sink-inputs")] == [sinks.get(sink)]

    session.wait_for(is_on, f"the stream to be on {sink}")


def _rows(session: Session, listing: str) -> list[str]:
    return session.pactl("list", "short", listing).splitlines()


def test_a_paused_stream_that_another_mixer_has_moved_is_seen_when_it_goes_on(service: Service) -> None:
    """Until then, nothing at all is said of it."""
    session = service.session
    player = pause(session, "Radio")
    stream = service.wait_for_stream("Radio", device="speakers", corked=True)
    move_with_pactl(session, stream["index"], "headset")
    player.send_signal(signal.SIGUSR1)
    service.wait_for_stream("Radio", device="headset", corked=False)


def test_a_loopback_is_where_it_is_linked_to_also_if_that_is_not_told(service: Service) -> None:
    """The last that is said of one in three is that it is linked to nothing."""
    session = service.session
    for _ in range(6):
        module = session.pactl("load-module", "module-loopback", "source=microphone", "sink=speakers").strip()
        session.wait_for(
            lambda: {s["device"] for s in service.describe()["streams"]} == {"microphone", "speakers"},
            "both its ends to be linked",
        )
        session.pactl("unload-module", module)
        session.wait_for(lambda: not service.describe()["streams"], "it to go")


def test_the_session_manager_is_known_by_what_it_says_of_itself(session: Session) -> None:
    """While it restarts, streams are on no device, and where they come then is nobody's wish (`core/routing.py`)."""

    def names() -> set[str]:
        said = [client.proplist for client in looker.client_list()]
        return {p["application.name"] for p in said if p.get("wireplumber.daemon") == "true"}

    # One connection from before, since the session manager is who lets others in.
    with pulsectl.Pulse("Looker", server=session.env["PULSE_SERVER"]) as looker:
        session.wait_for(
            # The second one is for export, and from WirePlumber 0.5.18 on, or a little before, for all clients.
            lambda: names() in ({"WirePlumber", f"WirePlumber [{kind}]"} for kind in ("export", "client")),
            "it and nobody else to say so",
        )
        os.kill(session.pid_of("wireplumber"), signal.SIGTERM)
        session.wait_for(lambda: not names(), "it to have gone")
