#!/usr/bin/env python3
"""Figures of the service in a private session with fifty streams, beside those of pactl in the same run.

A benchmark is a function in BENCHMARKS that measures all its rows interleaved, so that whatever the machine does
meanwhile happens to all of them alike. Figures are for comparing with each other and with an earlier run; none is a limit.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import bench_limit
import bench_shm
import bench_socket
import pulsectl
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from session import Session, SessionError

NAME = "org.pwmixer.Mixer"
ROOT = "/org/pwmixer/Mixer"
PROPERTIES = "org.freedesktop.DBus.Properties"
BUS = "org.freedesktop.DBus"
SERVICE = (sys.executable, "-m", "pwmixer_dbus.start")
PACKAGE = Path(__file__).resolve().parent.parent / "pwmixer_dbus"

STREAMS = 50
REST = 0.04
"""Least seconds between two volumes for one object."""

RULES = "".join(
    f'[[rules]]\nname = "Rule {i}"\nmatch.media_name = "re:^Song {i} (?:live|remix)"\nto = "headset"\n'
    for i in range(100)
)

LONGEST = 5.0
"""Seconds after which something that was to happen has failed."""

GRACE = 2.5

ENOUGH = 100
"""Samples without which a 99th percentile says nothing."""

FOOTNOTE = f"""\
Volumes go round robin over the streams, no sooner than {REST * 1000:.0f} ms after the last one for the same object: the service
sends one object at most 60 volumes a second and announces it at most 30 times a second, and a faster pace would measure
that. external-change is timed from just before another mixer asks the server (over a connection that it keeps, or as a
pactl that is started for it) until the news has been read. A ratio is to the first row of its group."""


Way = TypeVar("Way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: the median of some samples and their 99th percentile, None where they are too few."""

    benchmark: str
    what: str
    unit: str
    count: int
    p50: float
    p99: float | None


@dataclass(slots=True, kw_only=True)
class Bench:
    """Where it is measured: a session with streams in which the service runs; `rounds` and `starts` say how often."""

    session: Session
    service: subprocess.Popen[bytes]
    bus: MessageBus
    rounds: int
    starts: int
    streams: Sequence[dict[str, Any]] = ()
    used_at: dict[str, float] = field(default_factory=dict)

    async def verb(self, member: str, *body: object) -> Any:
        """Call a method of the root; return its first value."""
        return await call(self.bus, ROOT, NAME, member, *body)

    async def rested(self, selector: str) -> None:
        """Return when an object has rested for long enough to be changed again."""
        early = self.used_at.get(selector, 0.0) + REST - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        self.used_at[selector] = time.monotonic()

    async def run(self, *command: str) -> None:
        """Run a program to its end; a failure ends the run, as a figure of failures would mislead."""
        # In a thread, so that signals are read meanwhile; asyncio's own way to run a program starts one, too, and more.
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=self.session.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode().strip()
            raise SessionError(f"{' '.join(command)} failed with {done.returncode}: {said}")


async def set_volume(bench: Bench) -> list[Row]:
    """Set a stream's volume until it is in force."""

    async def by_verb(stream: Mapping[str, Any], level: float) -> None:
        await bench.verb("SetVolume", stream["selector"], level, {})

    async def by_property(stream: Mapping[str, Any], level: float) -> None:
        path, value = f"{ROOT}/streams/{stream['number']}", Variant("d", level)
        await call(bench.bus, path, PROPERTIES, "Set", f"{NAME}.Node", "Volume", value)

    async def by_pactl(stream: Mapping[str, Any], level: float) -> None:
        await bench.run("pactl", "set-sink-input-volume", str(stream["index"]), f"{level:.0%}")

    ways = {"SetVolume over D-Bus": by_verb, "Volume over D-Bus": by_property, "pactl": by_pactl}
    samples: dict[str, list[float]] = {what: [] for what in ways}
    streams = cycle(bench.streams)
    for turn in range(bench.rounds):
        for what, way in rotated(list(ways.items()), turn):
            stream = next(streams)
            await bench.rested(stream["selector"])
            started = time.perf_counter()
            await way(stream, level_of(turn))
            samples[what].append(1000 * (time.perf_counter() - started))
    return [row("set-volume", what, values) for what, values in samples.items()]


async def external_change(bench: Bench) -> list[Row]:
    """See what another mixer changes: by our signal, and as people do without us, by pactl's notice and its listing."""
    samples: dict[str, list[float]] = {
        "PropertiesChanged": [],
        "PropertiesChanged, of a pactl": [],
        "pactl subscribe, then list": [],
    }
    news = News(bench.bus)
    # What other mixers do to a stream in its first two seconds is put right by the memory, and may never be seen.
    await asyncio.sleep(GRACE)
    subscriber = await asyncio.create_subprocess_exec(
        "pactl",
        "subscribe",
        env=bench.session.env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    reading = asyncio.create_task(news.read_lines(subscriber.stdout))
    # The other mixer waits for its answers, so it has a thread of its own.
    with ThreadPoolExecutor(1) as thread:
        mixer = await _in(thread, lambda: pulsectl.Pulse("another", server=bench.session.env["PULSE_SERVER"]))
        infos = {info.index: info for info in await _in(thread, mixer.sink_input_list)}
        streams = cycle(bench.streams)
        for turn in range(bench.rounds):
            for what, values in rotated(list(samples.items()), turn):
                # Never what set-volume has left there, which would be no change.
                stream, level = next(streams), (91 + turn % 9) / 100
                await bench.rested(stream["selector"])
                signal = news.of(f"{ROOT}/streams/{stream['number']}")
                line = news.of(f"Event 'change' on sink-input #{stream['index']}")
                started = time.perf_counter()
                if "of a pactl" in what:
                    await bench.run("pactl", "set-sink-input-volume", str(stream["index"]), f"{level:.0%}")
                else:
                    started = await _in(thread, partial(_ask, mixer, infos[stream["index"]], level))
                heard = await asyncio.wait_for(signal, LONGEST)
                if "subscribe" in what:
                    noticed = await asyncio.wait_for(line, LONGEST)
                    listing = time.perf_counter()
                    await bench.run("pactl", "-f", "json", "list", "sink-inputs")
                    heard = noticed + time.perf_counter() - listing
                values.append(1000 * (heard - started))
        await _in(thread, mixer.close)
    subscriber.terminate()
    await asyncio.gather(subscriber.wait(), reading)
    return [row("external-change", what, values) for what, values in samples.items()]


async def key_press(bench: Bench) -> list[Row]:
    """Step the default sink up from a key binding: a program is started for each press."""
    commands = {
        "pwmixerctl up": (str(Path(sys.executable).with_name("pwmixerctl")), "up"),
        "pactl set-sink-volume +5%": ("pactl", "set-sink-volume", "@DEFAULT_SINK@", "+5%"),
        "wpctl set-volume 5%+": ("wpctl", "set-volume", "@DEFAULT_AUDIO_SINK@", "5%+"),
    }
    usable = {what: command for what, command in commands.items() if shutil.which(command[0])}
    samples: dict[str, list[float]] = {what: [] for what in usable}
    for turn in range(bench.starts):
        for what, command in rotated(list(usable.items()), turn):
            await bench.verb("SetVolume", "@sink", 0.3, {})
            await bench.rested("@sink")
            started = time.perf_counter()
            await bench.run(*command)
            samples[what].append(1000 * (time.perf_counter() - started))
    return [row("key-press", what, values) for what, values in samples.items()]


async def start_up(bench: Bench) -> list[Row]:
    """Start the service on a bus of its own, in the same sound session: to its name, and to the first snapshot."""
    samples: dict[str, list[float]] = {
        "exec to name owned": [],
        "exec to first snapshot": [],
        "python -c pass": [],
    }
    owned, connected, python = samples.values()
    with Session(sound=False) as other:
        env = {**other.env, "PULSE_SERVER": bench.session.env["PULSE_SERVER"]}
        bus = await MessageBus(
            bus_address=env["DBUS_SESSION_BUS_ADDRESS"], bus_type=BusType.SESSION
        ).connect()
        news = News(bus)
        await listen(bus, f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'")
        await listen(bus, f"type='signal',path='{ROOT}',interface='{PROPERTIES}',arg0='{NAME}'")
        for turn in range(bench.starts):
            name, snapshot = news.of(NAME), news.of(ROOT)
            started = time.perf_counter()
            process = other.spawn(f"service-{turn}", *SERVICE, env=env)
            owned.append(1000 * (await asyncio.wait_for(name, LONGEST) - started))
            connected.append(1000 * (await asyncio.wait_for(snapshot, LONGEST) - started))
            gone = news.of(NAME)
            process.terminate()
            await asyncio.wait_for(gone, LONGEST)
            process.wait(LONGEST)
            started = time.perf_counter()
            await bench.run(sys.executable, "-c", "pass")
            python.append(1000 * (time.perf_counter() - started))
        bus.disconnect()
    return [row("start-up", what, values) for what, values in samples.items()]


async def edit(bench: Bench) -> list[Row]:
    """Edit config.toml, with a hundred rules, until it is in force: the first edit in a run, and the next."""
    samples: dict[str, list[float]] = {"first edit of config.toml": [], "next edit": []}
    with Session(sound=False) as other:
        bus = await MessageBus(
            bus_address=other.env["DBUS_SESSION_BUS_ADDRESS"], bus_type=BusType.SESSION
        ).connect()
        news = News(bus)
        await listen(bus, f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'")
        await listen(bus, f"type='signal',path='{ROOT}',interface='{PROPERTIES}',arg0='{NAME}'")
        file = Path(other.env["XDG_CONFIG_HOME"], "pwmixer", "config.toml")
        for turn in range(bench.starts):
            _edit(file, "")
            name = news.of(NAME)
            process = other.spawn(f"service-{turn}", *SERVICE)
            await asyncio.wait_for(name, LONGEST)
            await call(bus, ROOT, NAME, "Describe", {})
            for place, values in enumerate(samples.values()):
                text = f"[volume]\nmax = 0.{place + 1}\n{RULES}"
                in_force = news.of(ROOT)
                started = time.perf_counter()
                _edit(file, text)
                values.append(1000 * (await asyncio.wait_for(in_force, LONGEST) - started))
            gone = news.of(NAME)
            process.terminate()
            await asyncio.wait_for(gone, LONGEST)
            process.wait(LONGEST)
        bus.disconnect()
    return [row("edit", what, values) for what, values in samples.items()]


async def first_call(bench: Bench) -> list[Row]:
    """Call the service while it does not run: the bus starts it, as on a desktop that has no systemd."""
    rows = []
    for what, server in (
        ("first Describe", bench.session.env["PULSE_SERVER"]),
        ("without a sound server", ""),
    ):
        values = await _activations(bench.starts, server)
        rows.append(row("first-call", what, values))
        rows.append(row("first-call", f"{what}, 95th percentile", [quantiles(values, n=20)[18]]))
    return rows


async def _activations(count: int, server: str) -> list[float]:
    """Measure the first call so many times, in milliseconds; `server` is the sound server's address, "" for none."""
    other = Session(sound=False)
    other.env.update({"PULSE_SERVER": server} if server else {})
    values = []
    with other:
        services = Path(other.env["XDG_DATA_HOME"], "dbus-1", "services")
        services.joinpath(f"{NAME}.service").write_text(
            f"[D-BUS Service]\nName={NAME}\nExec={' '.join(SERVICE)}\n"
        )
        bus = await MessageBus(bus_address=other.env["DBUS_SESSION_BUS_ADDRESS"]).connect()
        news = News(bus)
        await listen(bus, f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'")
        await call(bus, "/org/freedesktop/DBus", BUS, "ReloadConfig")
        for _ in range(count):
            started = time.perf_counter()
            await call(bus, ROOT, NAME, "Describe", {})
            values.append(1000 * (time.perf_counter() - started))
            process = await call(bus, "/org/freedesktop/DBus", BUS, "GetConnectionUnixProcessID", NAME)
            gone = news.of(NAME)
            os.kill(process, signal.SIGTERM)
            await asyncio.wait_for(gone, LONGEST)
        bus.disconnect()
    return values


async def memory(bench: Bench) -> list[Row]:
    """Read what the service occupies, after all that has been measured before."""
    await bench.verb("Describe", {})
    text = _rollup(bench.service.pid)
    names = {"Pss": "PSS", "Private_Dirty": "private dirty", "Rss": "RSS"}
    found = {name: int(re.findall(rf"^{name}: +(\d+) kB", text, re.MULTILINE)[0]) / 1024 for name in names}
    return [row("memory", names[name], [size], unit="MiB") for name, size in found.items()]


async def limit(bench: Bench) -> list[Row]:
    """Do the same as a small service in C does, in turns with it."""
    try:
        with bench_limit.built() as folder:
            found = await bench_limit.compared(bench, folder, 2.0 if bench.rounds < ENOUGH else 10.0)
    except SessionError as error:
        print(f"bench: without the limit: {error}", file=sys.stderr)
        return []
    return [
        row(name, what, values, unit)
        for name, (unit, samples) in found.items()
        for what, values in samples.items()
    ]


async def shared_memory(bench: Bench) -> list[Row]:
    """Write and read the shared memory, in a file beside the service's."""
    path = bench.session.runtime / "shared-memory"
    samples = bench_shm.measured(path, max(ENOUGH, bench.rounds))
    return [row("shared-memory", what, values, unit="us") for what, values in samples.items()]


async def by_socket(bench: Bench) -> list[Row]:
    """Set volumes over the socket, beside the programs and the pipeline that it replaces."""
    return [row("socket", what, values) for what, values in (await bench_socket.changed(bench)).items()]


async def socket_look(bench: Bench) -> list[Row]:
    """Ask over the socket what needs no sound server, beside an echo in C."""
    return [row("socket-look", what, values) for what, values in (await bench_socket.looked(bench)).items()]


BENCHMARKS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "set-volume": set_volume,
    "external-change": external_change,
    "key-press": key_press,
    "socket": by_socket,
    "socket-look": socket_look,
    "start-up": start_up,
    "edit": edit,
    "first-call": first_call,
    "memory": memory,
    "shared-memory": shared_memory,
    "limit": limit,
}


class News:
    """What is awaited by a word: the path of an object that changes, the name of an owner, a line that is printed."""

    def __init__(self, bus: MessageBus) -> None:
        self._awaited: dict[str, asyncio.Future[float]] = {}
        bus.add_message_handler(self._look)

    def of(self, word: str) -> asyncio.Future[float]:
        """Return what will be the moment of the next news of this."""
        self._awaited[word] = future = asyncio.get_running_loop().create_future()
        return future

    async def read_lines(self, stream: asyncio.StreamReader | None) -> None:
        """Take each line as news, until the end."""
        while stream and (line := await stream.readline()):
            self._tell(line.decode().rstrip("\n"))

    def _look(self, message: Message) -> None:
        if message.member == "NameOwnerChanged":
            self._tell(message.body[0])
        elif message.member == "PropertiesChanged":
            is_root = message.path == ROOT
            wanted = {"Connected", "MaxVolume"} if is_root else {"Volume"}
            if wanted & message.body[1].keys():
                self._tell(message.path or "")

    def _tell(self, word: str) -> None:
        future = self._awaited.pop(word, None)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())


async def call(bus: MessageBus, path: str, interface: str, member: str, *body: object) -> Any:
    """Call a method of the service, or of the bus at its path; return its first value."""
    signatures = {"AddMatch": "s", "Describe": "a{sv}", "SetVolume": "sda{sv}", "Set": "ssv"}
    signatures |= {"GetConnectionUnixProcessID": "s", "ReloadConfig": ""}
    message = Message(
        destination=BUS if interface == BUS else NAME,
        path=path,
        interface=interface,
        member=member,
        signature=signatures[member],
        body=list(body),
    )
    reply = await asyncio.wait_for(bus.call(message), LONGEST)
    if reply is None or reply.message_type is MessageType.ERROR:
        raise SessionError(f"{member} failed: {reply.body[0] if reply and reply.body else 'no answer'}")
    return reply.body[0] if reply.body else None


async def listen(bus: MessageBus, rule: str) -> None:
    """Have signals delivered."""
    await call(bus, "/org/freedesktop/DBus", BUS, "AddMatch", rule)


async def _in(thread: ThreadPoolExecutor, function: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(thread, function)


def _ask(mixer: Any, info: Any, level: float) -> float:
    started = time.perf_counter()
    mixer.volume_set_all_chans(info, level)
    return started


def rotated(ways: list[Way], turn: int) -> list[Way]:
    """Begin with another one each time: whoever comes after a program that ends finds the server busy with that."""
    first = turn % len(ways)
    return ways[first:] + ways[:first]


def level_of(turn: int) -> float:
    """Return a volume that differs from that of the turns before, in whole percents, which pactl can say, too."""
    return (20 + turn * 7 % 70) / 100


def row(benchmark: str, what: str, values: Sequence[float], unit: str = "ms") -> Row:
    """Summarise samples."""
    p99 = quantiles(values, n=100)[98] if len(values) >= ENOUGH else None
    return Row(benchmark=benchmark, what=what, unit=unit, count=len(values), p50=median(values), p99=p99)


def table(rows: Sequence[Row]) -> str:
    """Lay out rows for people."""
    lines = [f"{'':16} {'':34} {'n':>5} {'p50':>10} {'p99':>10} {'ratio':>7}"]
    first: dict[str, float] = {}
    for r in rows:
        ratio = r.p50 / first.setdefault(r.benchmark, r.p50)
        head = r.benchmark if ratio == 1 else ""
        p99 = "" if r.p99 is None else f"{r.p99:.2f} {r.unit}"
        lines.append(f"{head:16} {r.what:34} {r.count:5} {r.p50:6.2f} {r.unit:3} {p99:>10} {ratio:6.2f}x")
    return "\n".join(lines)


async def measure(names: Sequence[str], *, short: bool) -> list[Row]:
    """Make the session, run the benchmarks by name, and return their rows."""
    # As an installed package has it; this environment may not let Python write it.
    compileall.compile_dir(PACKAGE, quiet=1)
    with Session() as session:
        session.add_null_sink("speakers", "Speakers")
        session.pactl("set-default-sink", "speakers")
        for number in range(STREAMS):
            # Not by play(), which waits for each.
            words = (f"--property=application.name=Program {number}", f"--property=media.name=Title {number}")
            session.spawn(f"player-{number}", "pacat", "--raw", "--playback", *words, "/dev/zero")
        session.wait_for(lambda: _count(session) == STREAMS, f"{STREAMS} streams", timeout=30)
        service = session.spawn("pwmixer", *SERVICE)
        address = session.env["DBUS_SESSION_BUS_ADDRESS"]
        bus = await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()
        bench = Bench(
            session=session,
            service=service,
            bus=bus,
            rounds=50 if short else 1000,
            starts=5 if short else 30,
        )
        await _ready(bench)
        await listen(bus, f"type='signal',interface='{PROPERTIES}',path_namespace='{ROOT}/streams'")
        rows: list[Row] = []
        for name in names:
            found = await BENCHMARKS[name](bench)
            rows += found
            print(f"{name} done", file=sys.stderr)
        bus.disconnect()
    return rows


def _edit(file: Path, text: str) -> None:
    """Write a file; with no text, remove it."""
    file.parent.mkdir(exist_ok=True)
    if text:
        file.write_text(text)
    else:
        file.unlink(missing_ok=True)


def _rollup(pid: int) -> str:
    return Path("/proc", str(pid), "smaps_rollup").read_text()


def _count(session: Session) -> int:
    return len(session.pactl("list", "short", "sink-inputs").splitlines())


async def _ready(bench: Bench) -> None:
    """Wait until the service knows all streams."""
    deadline = time.monotonic() + LONGEST
    while len(bench.streams) < STREAMS:
        if time.monotonic() > deadline:
            raise SessionError(
                f"the service knows {len(bench.streams)} of {STREAMS} streams: {bench.session.log_tail('pwmixer')}"
            )
        try:
            bench.streams = json.loads(await bench.verb("Describe", {}))["streams"]
        except SessionError:  # it does not own its name yet
            await asyncio.sleep(0.01)


def main() -> int:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"names: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these only; all without")
    parser.add_argument("--short", action="store_true", help="few rounds, for a CI that asks whether it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there is: {', '.join(BENCHMARKS)}")
    try:
        rows = asyncio.run(measure(options.names or list(BENCHMARKS), short=options.short))
    except (SessionError, TimeoutError) as error:
        print(f"bench: {error or 'something that was to happen did not'}", file=sys.stderr)
        return 1
    load = f"{os.getloadavg()[0]:.1f}"
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {load} at the end, {STREAMS} streams, Python {platform.python_version()}\n"
    )
    print(table(rows))
    print(f"\n{FOOTNOTE}")
    if options.json:
        machine = {
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        }
        options.json.write_text(json.dumps({**machine, "rows": [asdict(r) for r in rows]}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
