#!/usr/bin/env python3
"""How soon a new stream is where a rule wants it, and how long it is heard elsewhere: 100 streams, 100 rules, one session.

The service runs as always, but notes inside itself when the server's notice of a new stream came and when its move was
accepted. What goes to the wrong sink is recorded from that sink's monitor. Beside it, in turns: a program that a rule
has moved before, a script of pactl, and a program that names its sink itself. Figures are for comparing.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from bench import Row, rotated, row, table
from session import RATE, Session, SessionError

CROWD, CONNECTIONS, RULES = 100, 4, 100
PLAYS, ENDS = 1.5, 0.1
"""Seconds for which a newcomer plays at most, and for which it goes on when it is where it should be."""

QUIET = 0.15
"""Seconds after which nothing of a stream that has ended is on its way to a monitor any more."""

LONGEST = 10.0
"""Seconds after which something that was to happen has failed."""

WRONG, RIGHT = "speakers", "headset"
RULED, AGAIN, SCRIPTED, BOUND = "ruled", "again", "scripted", "bound"

Text = TypeVar("Text", str, bytes)


def rules() -> str:
    """Write the rules: names, globs and regular expressions that match nobody, and last the one that matches."""
    forms = (
        'match.app = "Program {0}x"',
        'match.media_name = "*Site {0}*"',
        'match.app = "re:(?i)^tool {0}[a-f]+$"\nmatch.direction = "playback"',
        'match.media_name = ["*Radio {0}*", "re:^Song {0} (?:live|remix)"]',
    )
    tables = [
        f'[[rules]]\nname = "Rule {i}"\n{forms[i % len(forms)].format(i)}\nto = "{WRONG}"'
        for i in range(RULES - 1)
    ]
    tables.append(
        f'[[rules]]\nname = "Newcomers"\nmatch.app = "re:^(?:{RULED}|{AGAIN}) \\\\d+$"\nto = "{RIGHT}"'
    )
    return "\n".join(tables) + "\n"


# --- inside the service


@dataclass(slots=True)
class Notes:
    """When what happened to a stream, by its index, on the clock that all processes of a machine share."""

    noticed: dict[int, float] = field(default_factory=dict)
    known: dict[int, float] = field(default_factory=dict)
    sent: dict[int, float] = field(default_factory=dict)
    accepted: dict[int, float] = field(default_factory=dict)


def serve(path: Path) -> None:
    """Run the service with a note taken at four places; write the notes at its end. All of them cost a few µs."""
    from pwmixer_dbus import daemon  # noqa: PLC0415 - the other roles need none of it
    from pwmixer_dbus.core.commands import MoveStream  # noqa: PLC0415
    from pwmixer_dbus.core.model import Kind  # noqa: PLC0415
    from pwmixer_dbus.pulse.server import SoundServer  # noqa: PLC0415

    notes, new_playback = Notes(), 2
    on_notice, object_seen = SoundServer._on_notice, SoundServer._object_seen  # noqa: SLF001 - these are the places
    send, acknowledged = SoundServer.send, SoundServer._acknowledged  # noqa: SLF001

    def noticed(self: SoundServer, event: int, index: int) -> None:
        if event == new_playback:
            notes.noticed.setdefault(index, time.perf_counter())
        on_notice(self, event, index)

    def seen(self: SoundServer, kind: Kind, address: int) -> Any:
        if kind is Kind.PLAYBACK:
            index = ctypes.cast(address, ctypes.POINTER(ctypes.c_uint32))[0]
            notes.known.setdefault(index, time.perf_counter())
        return object_seen(self, kind, address)

    def sending(self: SoundServer, command: Any, done: Any) -> None:
        if isinstance(command, MoveStream):
            notes.sent.setdefault(command.key[1], time.perf_counter())
        send(self, command, done)

    def answered(self: SoundServer, key: tuple[Kind, int], done: Any, error: Any) -> None:
        if key[1] in notes.sent and error is None:
            notes.accepted.setdefault(key[1], time.perf_counter())
        acknowledged(self, key, done, error)

    for name, function in (
        ("_on_notice", noticed),
        ("_object_seen", seen),
        ("send", sending),
        ("_acknowledged", answered),
    ):
        setattr(SoundServer, name, function)
    sys.argv[1:] = []
    try:
        daemon.main()
    finally:
        found = {name: getattr(notes, name) for name in Notes.__slots__}
        path.write_text(json.dumps(found))


# --- the program that makes the streams


class Player:
    """Streams of one process over libpulse: a crowd that is paused, and newcomers that play a tone at once."""

    def __init__(self) -> None:
        import pulsectl  # noqa: PLC0415 - the service needs none of it

        self._pulsectl: Any = pulsectl
        self._library = library = ctypes.CDLL("libpulse.so.0")
        library.pa_stream_new.restype = ctypes.c_void_p
        library.pa_stream_get_device_name.restype = ctypes.c_char_p
        library.pa_stream_writable_size.restype = ctypes.c_size_t
        self._format = ctypes.create_string_buffer(12)  # S16LE, its rate, two channels
        ctypes.memmove(self._format, b"\3\0\0\0" + RATE.to_bytes(4, "little") + b"\2\0\0\0", 12)
        self._tone = ctypes.create_string_buffer(b"\x00\x08" * (RATE // 2))
        self._crowd: list[Any] = []

    def gather(self) -> None:
        """Open the crowd, paused, over few connections; return when the server has all of it."""
        for number in range(CONNECTIONS):
            pulse = self._pulsectl.Pulse(f"Crowd {number}")
            self._crowd.append(pulse)
            streams = [
                self._open(pulse, f"Title {number} {i}", None, corked=True)
                for i in range(CROWD // CONNECTIONS)
            ]
            while not all(self._is_ready(stream) for stream in streams):
                self._run(pulse, 0.05)

    def birth(self, name: str, device: str | None) -> dict[str, float | None]:
        """Be a program that begins to play and soon ends; return the seconds until it was told that it is on `RIGHT`."""
        pulse = self._pulsectl.Pulse(name)
        started = time.perf_counter()
        stream = self._open(pulse, name, device, corked=False)
        there: float | None = None
        while (now := time.perf_counter() - started) < PLAYS and (there is None or now < there + ENDS):
            self._run(pulse, 0.0005)
            if not self._is_ready(stream):
                continue
            if there is None and self._library.pa_stream_get_device_name(stream) == RIGHT.encode():
                there = time.perf_counter() - started
            room = min(self._library.pa_stream_writable_size(stream), len(self._tone) - 1)
            if room:
                self._library.pa_stream_write(
                    stream, self._tone, ctypes.c_size_t(room), None, ctypes.c_int64(0), 0
                )
        self._library.pa_stream_disconnect(stream)
        self._run(pulse, 0.005)
        pulse.close()
        return {"there": there}

    def _open(self, pulse: Any, title: str, device: str | None, *, corked: bool) -> ctypes.c_void_p:
        context = ctypes.cast(pulse._ctx, ctypes.c_void_p)  # noqa: SLF001 - pulsectl makes no streams
        stream = ctypes.c_void_p(self._library.pa_stream_new(context, title.encode(), self._format, None))
        name = device.encode() if device else None
        self._library.pa_stream_connect_playback(stream, name, None, int(corked), None, None)
        return stream

    def _is_ready(self, stream: ctypes.c_void_p) -> bool:
        return bool(self._library.pa_stream_get_state(stream) == 2)  # noqa: PLR2004 - PA_STREAM_READY

    def _run(self, pulse: Any, seconds: float) -> None:
        self._library.pa_mainloop_prepare(pulse._loop, int(seconds * 1e6))  # noqa: SLF001
        self._library.pa_mainloop_poll(pulse._loop)  # noqa: SLF001
        self._library.pa_mainloop_dispatch(pulse._loop)  # noqa: SLF001


def play() -> None:
    """Gather the crowd, then be one newcomer for each line of standard input: its name, and perhaps a device."""
    player = Player()
    player.gather()
    print(json.dumps({"crowd": CROWD}), flush=True)
    for line in sys.stdin:
        name, _, device = line.rstrip("\n").partition("\t")
        print(json.dumps(player.birth(name, device or None)), flush=True)


# --- who looks on


class Monitor:
    """Counts the frames that are heard on a sink, by recording its monitor."""

    def __init__(self, session: Session, sink: str) -> None:
        command = ("parec", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=10")
        self._process = subprocess.Popen(
            (*command, f"--device={sink}.monitor"), env=session.env, stdout=subprocess.PIPE
        )
        self.frames = self.heard = 0
        threading.Thread(target=self._read, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._process.terminate()
        self._process.wait(LONGEST)

    def _read(self) -> None:
        descriptor = _pipe(self._process.stdout).fileno()
        while data := os.read(descriptor, 1 << 16):
            samples = memoryview(data[: len(data) & ~1]).cast("h")
            self.frames += len(samples)
            self.heard += sum(1 for sample in samples if sample) if any(samples) else 0


class Script:
    """What people write: `pactl subscribe`, and a `pactl move-sink-input` upon the line of a new stream."""

    def __init__(self, session: Session) -> None:
        self.is_on = False
        self._session = session
        self._process = subprocess.Popen(
            ("pactl", "subscribe"), env=session.env, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._follow, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._process.terminate()
        self._process.wait(LONGEST)

    def _follow(self) -> None:
        for line in _pipe(self._process.stdout):
            event, _, number = line.strip().rpartition("#")
            if self.is_on and event == "Event 'new' on sink-input ":
                command = ("pactl", "move-sink-input", number, RIGHT)
                subprocess.run(command, env=self._session.env, check=False, stderr=subprocess.DEVNULL)


@dataclass(slots=True, kw_only=True)
class Heard:
    """What was measured of the newcomers of one way: seconds until on the target, and seconds heard elsewhere."""

    there: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)
    never: int = 0


def measure(births: int) -> tuple[Mapping[str, Heard], Notes]:
    """Make the session and the crowd, let newcomers come, and return what was seen from outside and from inside."""
    with Session() as session:
        for name in (WRONG, RIGHT):
            session.add_null_sink(name)
        session.pactl("set-default-sink", WRONG)
        folder = Path(session.env["XDG_CONFIG_HOME"], "pwmixer")
        folder.mkdir()
        (folder / "config.toml").write_text(rules())
        notes = session.runtime / "notes.json"
        service = session.spawn("pwmixer", sys.executable, __file__, "--as-service", str(notes))
        player = subprocess.Popen(
            (sys.executable, __file__, "--as-player"),
            env=session.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        monitor, script = Monitor(session, WRONG), Script(session)
        try:
            _pipe(player.stdout).readline()
            _wait_for_rules(session)
            session.wait_for(lambda: monitor.frames > 0, f"the monitor of {WRONG} to be heard")
            found = {way: Heard() for way in (RULED, AGAIN, SCRIPTED, BOUND)}
            _born(player, monitor, f"{AGAIN} 0", Heard())
            for turn in range(births):
                for way in rotated(list(found), turn):
                    script.is_on = way == SCRIPTED
                    name = f"{way} {0 if way == AGAIN else turn}"
                    _born(player, monitor, f"{name}\t{RIGHT if way == BOUND else ''}", found[way])
                print(f"{turn + 1} of {births}", end="\r", file=sys.stderr)
        finally:
            for each in (monitor, script):
                each.close()
            player.kill()
            player.wait()
        service.send_signal(signal.SIGTERM)
        service.wait(LONGEST)
        if not notes.exists():
            raise SessionError(f"the service ended badly: {session.log_tail('pwmixer', 20)}")
        return found, Notes(
            **{n: {int(i): t for i, t in at.items()} for n, at in json.loads(notes.read_text()).items()}
        )


def _wait_for_rules(session: Session) -> None:
    """Wait until the service has all rules and streams."""
    bus = ("busctl", "--user", "--json=short", "get-property", "org.pwmixer.Mixer", "/org/pwmixer/Mixer")
    session.wait_for(
        lambda: '"data":true' in session.run(*bus, "org.pwmixer.Mixer", "Connected", check=False),
        "the service to be connected",
        LONGEST,
    )


def _born(player: subprocess.Popen[str], monitor: Monitor, line: str, into: Heard) -> None:
    before, orders = monitor.heard, _pipe(player.stdin)
    orders.write(f"{line}\n")
    orders.flush()
    there = json.loads(_pipe(player.stdout).readline())["there"]
    time.sleep(QUIET)
    into.elsewhere.append((monitor.heard - before) / RATE)
    if there is None:
        into.never += 1
    else:
        into.there.append(there)


def _pipe(stream: IO[Text] | None) -> IO[Text]:
    if stream is None:
        raise SessionError("a program was started without its pipe")
    return stream


def rows(found: Mapping[str, Heard], notes: Notes) -> Iterator[Row]:
    """Summarise."""

    def spans(a: Mapping[int, float], b: Mapping[int, float]) -> list[float]:
        return [1000 * (b[i] - a[i]) for i in notes.accepted if i in a and i in b]

    inside = "in the service"
    yield row(inside, "notice to move accepted", spans(notes.noticed, notes.accepted))
    yield row(inside, "  notice to move sent", spans(notes.noticed, notes.sent))
    yield row(inside, "    notice to stream known", spans(notes.noticed, notes.known))
    yield row(inside, "    stream known to move sent", spans(notes.known, notes.sent))
    yield row(inside, "  move sent to its answer read", spans(notes.sent, notes.accepted))
    names = {
        RULED: "a rule, at a program's first start",
        AGAIN: "a rule, at its next starts",
        SCRIPTED: "pactl subscribe, then pactl move",
        BOUND: "its program names the sink",
    }
    for way, heard in found.items():
        if heard.there:
            yield row("on its target", names[way], [1000 * t for t in heard.there])
    for way, heard in found.items():
        yield row("heard elsewhere", names[way], [1000 * t for t in heard.elsewhere])


def main() -> int:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--births", type=int, default=120, help="newcomers of each way (default: 120)")
    parser.add_argument("--as-service", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as-player", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_service:
        serve(options.as_service)
        return 0
    if options.as_player:
        play()
        return 0
    before = os.getloadavg()[0]
    try:
        found, notes = measure(options.births)
    except SessionError as error:
        print(f"bench_routing: {error}", file=sys.stderr)
        return 1
    print(
        f"\n{platform.machine()}, {os.cpu_count()} processors, load {before:.1f} before and {os.getloadavg()[0]:.1f} after, "
        f"{CROWD} streams, {RULES} rules, Python {platform.python_version()}\n"
    )
    print(table(list(rows(found, notes))))
    for way, heard in found.items():
        silent = sum(not seconds for seconds in heard.elsewhere)
        longest = max(heard.elsewhere) * 1000
        print(
            f"{way}: {silent} of {len(heard.elsewhere)} never heard elsewhere, longest {longest:.1f} ms; {heard.never} never came"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
