#!/usr/bin/env python3
"""A private sound session for trying out and testing: two buses, PipeWire, WirePlumber and pipewire-pulse.

Nothing of the user's own session is read, changed or left behind: home, configuration, state and sockets all
live in one runtime directory, and every process ends with the one that started it.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import IO, Self

POLL, SLOWEST_POLL = 0.01, 0.05
PATIENCE = 60.0
"""Seconds for whatever should happen: where all is well nobody waits for them, however busy the machine is."""

TOLD = 5.0
"""Seconds within which a client is told of a default, where anybody is; whoever comes later sees it in any case."""

LONGEST_RUNTIME = 107 - len("/pipewire-0-manager")
RATE = 48000

# The kernel ends the child when the parent dies, however it dies. (A preexec_fn could ask for it without another
# program, but is unsafe where there are threads, and Python 3.12 warns of it.)
END_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")

# Whatever would lead a child to the user's own session, desktop or sound server; XDG_ is set anew below.
FOREIGN = (
    "DBUS_",
    "PULSE_",
    "PIPEWIRE_",
    "SPA_",
    "WIREPLUMBER_",
    "XDG_",
    "JACK_",
    "LISTEN_",
    "GIO_LAUNCHED_",
)
FOREIGN_NAMES = {
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "DESKTOP_SESSION",
}

# Service directories of the machine are left out on purpose: activating a portal or a desktop service from
# here would block its caller for 25 s.  What a test writes to XDG_DATA_HOME/dbus-1/services is activatable.
# The limits are those of dbus-daemon's own session.conf; the built-in ones are the much lower system bus's.
BUS_CONFIG = """\
<busconfig>
  <type>{kind}</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_message_size">1000000000</limit>
  <limit name="service_start_timeout">120000</limit>
  <limit name="max_completed_connections">100000</limit>
  <limit name="max_connections_per_user">100000</limit>
  <limit name="max_names_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">50000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""

AS_SOURCE = "media.class=Audio/Source/Virtual"
"""What makes a source of a null sink."""

# Of a developer's own cards, cameras and headsets none belongs here; without them WirePlumber starts in three quarters
# of the time, too. Its second client, for export, is there as ever. (0.4 does not read this.)
NO_HARDWARE = """\
wireplumber.profiles = {
  main = {
    hardware.audio = disabled
    hardware.bluetooth = disabled
    hardware.video-capture = disabled
    support.export-core = required
  }
}
"""


class SessionError(Exception):
    """The session could not do what was asked; the message is one sentence for a person."""


class Session:
    """A private session in one runtime directory.

    runtime: an existing or new directory, kept afterwards; without it a temporary one, removed by stop().
    Sockets live in it, so its path must be short (a socket's path has at most 107 bytes).
    prefix: a folder of unpacked packages (`scripts/old-pipewire`) that PipeWire's programs are taken from.
    sound: whether start() also starts the sound server.

    Use it from the thread that outlives it: the kernel ends the children with the thread that started them.
    """

    def __init__(
        self, runtime: Path | None = None, *, prefix: Path | None = None, sound: bool = True
    ) -> None:
        self.runtime = runtime.absolute() if runtime else Path(tempfile.mkdtemp(prefix="pwm-"))
        self.env: dict[str, str] = _private_environment(self.runtime)
        self._prefix = prefix
        self._temporary = runtime is None
        self._sound = sound
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._streams = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start both buses and, if wanted, the sound server; return when they answer."""
        if len(os.fsencode(self.runtime)) > LONGEST_RUNTIME:
            raise SessionError(f"{self.runtime} is too long a path for the sockets in it")
        try:
            self.runtime.mkdir(parents=True, exist_ok=True)
            self.runtime.chmod(stat.S_IRWXU)
            for key in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
                Path(self.env[key]).mkdir(exist_ok=True)
            fragments = Path(self.env["XDG_CONFIG_HOME"], "wireplumber", "wireplumber.conf.d")
            fragments.mkdir(parents=True, exist_ok=True)
            (fragments / "no-hardware.conf").write_text(NO_HARDWARE)
            # An empty system bus: WirePlumber asks it for logind, rtkit and BlueZ, and takes "nobody" for an answer.
            self._start_bus("system", "system_bus")
            self._start_bus("session", "bus")
            if self._sound:
                self.start_sound()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process of the session, the latest first, and remove a temporary runtime directory."""
        self._end(*reversed(self._children))
        if self._temporary:
            shutil.rmtree(self.runtime, ignore_errors=True)

    def start_sound(self) -> None:
        """Start PipeWire, WirePlumber and pipewire-pulse; return when a default sink is known."""
        self.spawn("pipewire", "pipewire")
        self._wait_for_socket("pipewire", self.runtime / "pipewire-0")
        # One client that stays looks on meanwhile: one that leaves while PipeWire binds the metadata for it, such as a
        # pactl that has its answer, leaves all others without news of it for the rest of the session, and while
        # WirePlumber starts, that is one session in 150 (1.4.2; so too 0.3.65).
        told = self.runtime / "metadata.log"
        told.unlink(missing_ok=True)
        self.spawn("metadata", "pw-metadata", "--monitor", "--name", "default")
        self.spawn("wireplumber", "wireplumber")
        self.wait_for_child(
            "wireplumber", lambda: "Found" in told.read_text(), "to make the metadata of the defaults"
        )
        self.spawn("pipewire-pulse", "pipewire-pulse")
        # After a restart a client of the one before, on its way to the new one, may have left too soon all the same.
        with contextlib.suppress(SessionError):
            self.wait_for(lambda: "default.audio.sink" in told.read_text(), "a default sink to be told", TOLD)
        self._end("metadata")
        self._wait_for_pulse()

    def stop_sound(self, kill: bool = False) -> None:
        """End the sound server; with `kill` by SIGKILL, as if it crashed."""
        self._end(
            "pipewire-pulse", "wireplumber", "pipewire", sign=signal.SIGKILL if kill else signal.SIGTERM
        )

    def restart_sound(self) -> None:
        """End the sound server, and with it every stream, and start it again."""
        self.stop_sound()
        self.start_sound()

    def start_pulse(self) -> None:
        """Start pipewire-pulse alone; return when it answers and WirePlumber has chosen a default sink.

        pipewire-pulse makes a dummy sink where there is none, so there is one to choose in every session.
        """
        self.spawn("pipewire-pulse", "pipewire-pulse")
        self._wait_for_pulse()

    def stop_pulse(self) -> None:
        """End pipewire-pulse alone."""
        self._end("pipewire-pulse")

    @property
    def config(self) -> Path:
        """Where a service in the session looks for its configuration."""
        return Path(self.env["XDG_CONFIG_HOME"], "pwmixer", "config.toml")

    @property
    def state(self) -> Path:
        """Where a service in the session saves what it remembers."""
        return Path(self.env["XDG_STATE_HOME"], "pwmixer", "state.json")

    def configure(self, text: str) -> None:
        """Write the configuration as an editor does: a new file that is renamed into its place."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        new = self.config.with_name("new")
        new.write_text(text)
        new.rename(self.config)

    def run(self, *argv: str, check: bool = True, timeout: float = PATIENCE) -> str:
        """Run a command in the session and return what it printed; SessionError if it fails and `check`."""
        argv, env = self._resolve(argv)
        try:
            done = completed(*argv, env=env, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise SessionError(f"{shlex.join(argv)} took longer than {timeout:g} s") from error
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise SessionError(f"{shlex.join(argv)} failed with {done.returncode}: {said}")
        return done.stdout

    def spawn(self, name: str, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a background child that ends with the session; its output goes to NAME.log in the runtime.

        env: a complete environment instead of the session's own.
        """
        return self._spawn(name, argv, env=env, stdin=subprocess.DEVNULL)

    def pid_of(self, name: str) -> int:
        """Return the process id of a child."""
        return self._children[name].pid

    def pactl(self, *args: str) -> str:
        """Run pactl in the session and return what it printed."""
        return self.run("pactl", *args)

    def add_null_sink(self, name: str, description: str | None = None) -> int:
        """Add a sink that goes nowhere; return its module's index when the sink is listed."""
        return self._add_null("sinks", name, description)

    def add_null_source(self, name: str, description: str | None = None) -> int:
        """Add a silent source, such as a microphone; return its module's index when the source is listed."""
        return self._add_null("sources", name, description, AS_SOURCE)

    def play(
        self,
        name: str,
        *,
        sink: str | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        channels: int = 2,
        tone: int = 440,
    ) -> subprocess.Popen[bytes]:
        """Play a quiet tone of `tone` Hz (0: silence) without end; return when the stream is listed.

        The stream belongs to an application `name`, unless `properties` say otherwise.
        """
        # Without a tone, pacat reads silence by itself.
        source = () if tone else ("/dev/zero",)
        return self._add_stream(
            "sink-inputs", name, sink, properties, channels, "--playback", *source, tone=tone
        )

    def record(
        self,
        name: str,
        *,
        source: str | None = None,
        properties: Mapping[str, str] = MappingProxyType({}),
        channels: int = 2,
    ) -> subprocess.Popen[bytes]:
        """Record into nothing without end, as application `name`; return when the stream is listed."""
        return self._add_stream("source-outputs", name, source, properties, channels, "--record", "/dev/null")

    def wait_for(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        """Return as soon as `condition()` is true; SessionError naming `what` after `timeout` seconds."""
        began = time.monotonic()
        while not condition():
            waited = time.monotonic() - began
            if waited > timeout:
                raise SessionError(f"waited {timeout:g} s in vain for {what}")
            # Most conditions are asked of a program that is started for it: what takes long is asked for less often.
            time.sleep(min(max(POLL, waited / 10), SLOWEST_POLL))

    def wait_for_child(self, name: str, condition: Callable[[], object], what: str) -> None:
        """Return as soon as `condition()` is true; SessionError if child `name` ends first, or does not in time."""
        child = self._children[name]

        def ready() -> object:
            if child.poll() is not None:
                raise SessionError(f"{name} ended at once with {child.returncode}: {self.log_tail(name)}")
            return condition()

        self.wait_for(ready, f"{name} {what}")

    def log_tail(self, name: str, lines: int = 5) -> str:
        """Return the last lines that child `name` wrote."""
        text = (self.runtime / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "it said nothing"

    def _start_bus(self, kind: str, name: str) -> None:
        path = self.runtime / name
        config = self.runtime / f"{name}.conf"
        services = Path(
            self.env["XDG_DATA_HOME"], "dbus-1", "services" if kind == "session" else "system-services"
        )
        services.mkdir(parents=True, exist_ok=True)
        config.write_text(BUS_CONFIG.format(kind=kind, path=path, services=services))
        self.spawn(name, "dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        self._wait_for_socket(name, path)

    def _wait_for_pulse(self) -> None:
        def ready() -> bool:
            info = self.run("pactl", "info", check=False)
            default = next((line for line in info.splitlines() if line.startswith("Default Sink: ")), "")
            return default.removeprefix("Default Sink: ") not in ("", "@DEFAULT_SINK@", "(null)", "n/a")

        self.wait_for_child("pipewire-pulse", ready, "to answer with a default sink")

    def _wait_for_socket(self, name: str, path: Path) -> None:
        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as probe:
                # A file alone may be left from an earlier run in the same directory.
                return probe.connect_ex(str(path)) == 0

        self.wait_for_child(name, answers, f"to answer at {path}")

    def _resolve(self, argv: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Take the program from the prefix, with the libraries there, or else from PATH."""
        if self._prefix and (program := self._prefix / "usr/bin" / argv[0]).exists():
            return (str(program), *argv[1:]), self.env | _prefix_environment(self._prefix)
        if not shutil.which(argv[0], path=self.env["PATH"]):
            raise SessionError(
                f"{argv[0]} is not installed here; scripts/setup --test installs what a session needs"
            )
        return argv, self.env

    def _spawn(
        self, name: str, argv: tuple[str, ...], *, stdin: int, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        if (old := self._children.get(name)) and old.poll() is None:
            raise SessionError(f"{name} runs already")
        argv, own_env = self._resolve(argv)
        with (self.runtime / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                (*END_WITH_PARENT, *argv),
                env=dict(env) if env is not None else own_env,
                stdin=stdin,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.pop(name, None)
        self._children[name] = child
        return child

    def _end(self, *names: str, sign: signal.Signals = signal.SIGTERM) -> None:
        # Streams before the server, the server before the bus: nothing logs or waits for what has gone.
        for name in names:
            child = self._children.pop(name, None)
            if child is None:
                continue
            for attempt in (sign, signal.SIGKILL):
                # The whole group, even if its leader has gone: a child may have started children.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, attempt)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                    break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def _add_null(self, kind: str, name: str, description: str | None, *arguments: str) -> int:
        index = self.pactl("load-module", "module-null-sink", *null_device(name, description), *arguments)
        self.wait_for(lambda: f"\t{name}\t" in self.pactl("list", "short", kind), f"{name} among the {kind}")
        return int(index)

    def _add_stream(
        self,
        kind: str,
        name: str,
        device: str | None,
        properties: Mapping[str, str],
        channels: int,
        *arguments: str,
        tone: int = 0,
    ) -> subprocess.Popen[bytes]:
        # The mark tells the stream from any other, whatever names and process ids the properties claim.
        self._streams += 1
        mark = f"stream-{self._streams}"
        marked = {"application.name": name, "media.name": name, **properties, "pwmixer.session.stream": mark}
        argv = (
            "pacat",
            "--raw",
            "--format=s16le",
            f"--rate={RATE}",
            f"--channels={channels}",
            *([f"--device={device}"] if device else []),
            *(f"--property={key}={value}" for key, value in marked.items()),
            *arguments,
        )
        child = self._spawn(mark, argv, stdin=subprocess.PIPE if tone else subprocess.DEVNULL)
        if child.stdin:
            threading.Thread(target=_feed, args=(child.stdin, tone, channels), daemon=True).start()
        listed = f'pwmixer.session.stream = "{mark}"'
        self.wait_for_child(mark, lambda: listed in self.pactl("list", kind), f"({name}) among the {kind}")
        return child


def completed(
    *argv: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str = "",
    timeout: float = PATIENCE,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; return its status, and what it printed. With `check`, CalledProcessError if it fails."""
    return subprocess.run(
        argv, env=env, cwd=cwd, input=stdin, timeout=timeout, check=check, capture_output=True, text=True
    )


def null_device(name: str, description: str | None = None) -> tuple[str, str]:
    """Return the arguments by which module-null-sink makes a device."""
    return f"sink_name={name}", f"sink_properties={_module_properties(description or name)}"


def _module_properties(description: str) -> str:
    """Quote a description for module-null-sink's `sink_properties=`."""
    escape = str.maketrans({"\\": "\\\\", '"': '\\"'})
    if description.translate(escape) == description and "'" not in description:
        # PipeWire 0.3.65 takes a backslash as it is, so there are none where none are needed.
        return f"'device.description=\"{description}\"'"
    return '"' + f'device.description="{description.translate(escape)}"'.translate(escape) + '"'


def _private_environment(runtime: Path) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(FOREIGN) and key not in FOREIGN_NAMES
    }
    return kept | {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",  # pactl's words are read here
        "HOME": str(runtime / "home"),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CONFIG_HOME": str(runtime / "config"),
        "XDG_STATE_HOME": str(runtime / "state"),
        "XDG_DATA_HOME": str(runtime / "data"),
        "XDG_CACHE_HOME": str(runtime / "cache"),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime / 'bus'}",
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={runtime / 'system_bus'}",
        "PULSE_SERVER": f"unix:{runtime / 'pulse/native'}",
        "PIPEWIRE_RUNTIME_DIR": str(runtime),
        "PWMIXER_SHM_FOLDER": str(runtime),
    }


def _prefix_environment(prefix: Path) -> dict[str, str]:
    # Of every folder that exists the one of this architecture and this version: usr/lib/ARCH/wireplumber-0.4.
    def folder(pattern: str) -> str:
        found = sorted(prefix.glob(f"usr/lib/{pattern}"))
        if not found:
            raise SessionError(f"{prefix} has no usr/lib/{pattern}")
        return str(found[-1])

    spa = folder("*/spa-0.2")
    share = prefix / "usr/share"
    return {
        "LD_LIBRARY_PATH": f"{Path(spa).parent}:{Path(spa).parent / 'pulseaudio'}",
        "SPA_PLUGIN_DIR": spa,
        "PIPEWIRE_MODULE_DIR": folder("*/pipewire-0.3"),
        "PIPEWIRE_CONFIG_DIR": str(share / "pipewire"),
        "WIREPLUMBER_MODULE_DIR": folder("*/wireplumber-0.*"),
        "WIREPLUMBER_CONFIG_DIR": str(share / "wireplumber"),
        "WIREPLUMBER_DATA_DIR": str(share / "wireplumber"),
    }


def _feed(pipe: IO[bytes], tone: int, channels: int) -> None:
    """Write one and the same second of a tone, quiet at -30 dB, until the reader has gone."""
    amplitude = 32767 * 10 ** (-30 / 20)
    wave = (round(amplitude * math.sin(2 * math.pi * tone * frame / RATE)) for frame in range(RATE))
    second = b"".join(struct.pack("<h", sample) * channels for sample in wave)
    with contextlib.suppress(BrokenPipeError, ValueError), pipe:
        while True:
            pipe.write(second)


def populate(session: Session) -> None:
    """Fill the session with what a small desktop has: two outputs, a microphone, four programs that play."""
    session.add_null_sink("speakers", "Speakers")
    session.add_null_sink("headset", "Headset")
    session.add_null_source("microphone", "Microphone")
    session.pactl("set-default-sink", "speakers")
    session.pactl("set-default-source", "microphone")
    for tone, (name, binary, identity, media, role) in enumerate(
        (
            ("Firefox", "firefox", "org.mozilla.firefox", "YouTube", "video"),
            ("Spotify", "spotify", "com.spotify.Client", "Spotify", "music"),
            ("WEBRTC VoiceEngine", "Discord", "com.discordapp.Discord", "playStream", "phone"),
            ("mpv Media Player", "mpv", "io.mpv.Mpv", "A Film - mpv", "video"),
        ),
        start=4,
    ):
        session.play(
            name,
            tone=tone * 55,
            properties={
                "application.process.binary": binary,
                "application.id": identity,
                "application.icon_name": binary.lower(),
                "media.name": media,
                "media.role": role,
            },
        )


def _run_demo(command: list[str], *, beside: str, ready: str) -> int:
    """Run a command in a populated session; return its exit status (128 + n for signal n).

    beside: a program that runs in the background meanwhile; ready: one that succeeds as soon as it can be used.
    """
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        # Only the first one: a second must not cut the end of the session short, which is bounded in time.
        if not received:
            received.append(signum)
            raise KeyboardInterrupt

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, note)
    try:
        with Session() as session:
            populate(session)
            if beside:
                session.spawn("beside", *shlex.split(beside))
                session.wait_for_child("beside", lambda: _succeeds(session, ready), f"to be ready ({ready})")
            # The command stays in this process group, so that it may use the terminal.
            with subprocess.Popen((*END_WITH_PARENT, *command), env=session.env) as child:
                try:
                    status = child.wait()
                except KeyboardInterrupt:
                    _pass_on(received[0], child)
                    raise
            if status and beside:
                print(f"session.py: {beside} said:\n{session.log_tail('beside', 50)}", file=sys.stderr)
            return status if status >= 0 else 128 - status
    except KeyboardInterrupt:
        return 128 + received[0]


def _succeeds(session: Session, command: str) -> bool:
    try:
        session.run(*shlex.split(command))
    except SessionError:
        return False
    return True


def _pass_on(signum: int, child: subprocess.Popen[bytes]) -> None:
    # A terminal sends ctrl-C to the whole group: a second one would cut the command's own clean end short.
    for attempt in (signum, signal.SIGTERM, signal.SIGKILL):
        if not (attempt == signal.SIGINT and os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()):
            child.send_signal(attempt)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(3)
            return


def main() -> int:
    """Parse the command line and run it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="verb", required=True)
    demo = commands.add_parser("demo", help="run a command in a session with sinks, a source and streams")
    demo.add_argument("--beside", default="", metavar="COMMAND", help="run this in the background meanwhile")
    demo.add_argument(
        "--ready", default="true", metavar="COMMAND", help="wait until this succeeds before CMD"
    )
    demo.add_argument("command", nargs="+", metavar="CMD", help="after --")
    options = parser.parse_args()
    try:
        return _run_demo(options.command, beside=options.beside, ready=options.ready)
    except (SessionError, FileNotFoundError) as error:
        print(f"session.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
