"""A sound card for tests, made of nothing but PipeWire's protocol: no hardware, no compiler, no root."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pulsectl
from defaults import connected
from session import PATIENCE, Session

CARD = "alsa_card.fake"
SPEAKERS, HEADPHONES = "analog-output-speaker", "analog-output-headphones"
MICROPHONE, HDMI = "analog-input-mic", "hdmi-output"
OFF, DUPLEX, ANALOG, HDMI_ONLY = "off", "output:analog+input:analog", "output:analog", "output:hdmi"
SINK, SOURCE, HDMI_SINK = (
    "alsa_output.fake.analog-stereo",
    "alsa_input.fake.analog-stereo",
    "alsa_output.fake.hdmi-stereo",
)


class FakeCard:
    """The card in a session. Every method but `start` returns at once; what follows from it is to be waited for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._process: subprocess.Popen[bytes] | None = None
        self._witness: pulsectl.Pulse | None = None

    def start(self) -> "FakeCard":
        """Plug it in; return when WirePlumber has given it a profile with a sink."""
        # One client that stays looks on: one that leaves while PipeWire gathers the card's profiles for it, such as a pactl
        # that has its answer, leaves PipeWire with no profiles for all (impl-device.c, seen in 0.3.65, 1.4.2 and 1.6.8:
        # what has come by then counts as all there is). That was one card in 200.
        witness = self._witness = connected(self.session, "who sees the card")
        tests = str(Path(__file__).parent.parent)
        path = os.pathsep.join([tests, str(Path(tests).parent / "scripts")])
        argv = ("env", f"PYTHONPATH={path}", sys.executable, "-m", "fakecard")
        self._process = self.session._spawn("fakecard", argv, stdin=subprocess.PIPE)
        self.session.wait_for_child(
            "fakecard", lambda: SINK in {sink.name for sink in witness.sink_list()}, "to have a sink"
        )
        return self

    def stop(self) -> None:
        """Take it away for good."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate(timeout=PATIENCE)
        if self._witness is not None:
            self._witness.close()

    def set_jack(self, port: str, available: str) -> None:
        """Plug something into a port (`yes`), pull it out (`no`), or let nobody know (`unknown`)."""
        self._tell(f"jack {port} {available}")

    def change_profile(self, name: str) -> None:
        """Let the card change its profile by itself."""
        self._tell(f"profile {name}")

    def unplug(self) -> None:
        """Pull out the whole card."""
        self._tell("unplug")

    def plug(self) -> None:
        """Plug it in again; it is a new object."""
        self._tell("plug")

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()
