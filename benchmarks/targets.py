"""What the service holds itself to, and whether a run has met it. Pure; the reasons for what is missed are in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Line, number
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.record import Run

CODE = "code: "
CALLS, DIFFERENT = f"{CODE}function calls", f"{CODE}different opcodes"
PLAINLY, PLAINLY_DIFFERENT = f"{CODE}opcodes in plain Python", f"{CODE}different opcodes in plain Python"
A_LITTLE = 0.02
"""Of the opcodes of an operation: parts below are not named."""

FIRST = "a rule, at a program's first start"
A_PAGE = 0.21
"""Bytes: memory is counted in pages, and one of them is this much of each of twenty thousand operations."""


BUSY = " **The machine was busy with other things, which is what most of these delays are.**"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row: `ours`, `peer` and `plain` are names of lines; the limits are for the median but for `p99` and `longest`.

    `times` is to the peer, `faster` how many times faster than other lines; `plain` is the limit in Python, and not held to anything.
    """

    metric: str
    ours: str
    peer: str = ""
    plain: str = ""
    times: float | None = None
    most: float | None = None
    least: float | None = None
    p99: float | None = None
    longest: float | None = None
    faster: Mapping[str, float] = field(default_factory=dict)


def in_c(benchmark: str) -> str:
    """Name the line of the service in C."""
    return f"{benchmark}: {IN_C}"


def in_python(benchmark: str) -> str:
    """Name the line of the limit in Python."""
    return f"{benchmark}: {IN_PYTHON}"


def _beside_both(metric: str, benchmark: str, ours: str, **limits: Any) -> Target:
    """Make the row of a benchmark that has a line of each of the three."""
    peer, plain = in_c(benchmark), in_python(benchmark)
    return Target(metric=metric, ours=f"{benchmark}: {ours}", peer=peer, plain=plain, **limits)


TARGETS = (
    Target(
        metric="the sound server sets a volume, round trip",
        ours="pulse: pwmixer's libpulse",
        peer="pulse: libpulse in C",
        times=1.6,
    ),
    _beside_both(
        "D-Bus SetVolume, until it is in force",
        "set-volume",
        "SetVolume",
        times=1.7,
        faster={"set-volume: pactl": 8, "set-volume: wpctl": 12},
    ),
    _beside_both("the same during 1000 notices/s", "busy", "SetVolume", most=1.0, p99=5.0),
    _beside_both(
        "notice to D-Bus signal sent, at 1000/s",
        "notice to signal",
        "notice to signal sent",
        most=0.2,
        p99=1.0,
    ),
    _beside_both(
        "external change to PropertiesChanged at a client", "external-change", "PropertiesChanged", times=1.3
    ),
    _beside_both(
        "new stream: notice to move request, 100 rules",
        "new stream: in the service",
        "notice to move sent",
        most=0.5,
        longest=5.0,
    ),
    _beside_both(
        "new stream: connect to really on its target, mean",
        "new stream: on its target, mean",
        FIRST,
        times=1.15,
    ),
    _beside_both("D-Bus call that needs no server", "look", "Get", times=1.5),
    _beside_both("socket command that needs no server", "socket-look", "GET_VOLUME", times=2.0),
    Target(metric="shared memory: write one object", ours="shared-memory: write: one application", most=1.0),
    Target(metric="shared memory: read one object", ours="shared-memory: read: one application", most=1.0),
    Target(
        metric="signals to one receiver, bursts of 20 000, all received",
        ours="signals to one receiver: pwmixer's connection",
        peer="signals to one receiver: sd-bus in C",
        least=45.0,
    ),
    _beside_both(
        "processor at 1000 notices/s over 100 streams", "storm: notices of many streams", "pwmixer", times=2.5
    ),
    _beside_both("processor for one slider at 1000/s", "storm: notices of one slider", "pwmixer", times=2.3),
    Target(
        metric="50 meters at 60 Hz: processor",
        ours="50 meters at 60 Hz: pwmixer",
        peer="50 meters at 60 Hz: libpulse in C",
        most=6.0,
    ),
    Target(
        metric="at rest, every outlet on: system calls",
        ours="at rest: system calls: pwmixer",
        peer=in_c("at rest: system calls"),
        most=0.0,
    ),
    Target(
        metric="at rest: wake-ups",
        ours="at rest: wake-ups: pwmixer",
        peer=in_c("at rest: wake-ups"),
        most=0.0,
    ),
    Target(
        metric="at rest: processor",
        ours="at rest: processor: pwmixer",
        peer=in_c("at rest: processor"),
        most=0.0,
    ),
    _beside_both("own memory (private dirty), 50 streams", "memory: own", "pwmixer", most=12.0),
    Target(
        metric="the same, a second after the first listing",
        ours="floor: own: the service, listed",
        most=12.0,
    ),
    _beside_both("resident memory, 50 streams", "memory: resident", "pwmixer", most=23.0),
    Target(
        metric="the same, a second after the first listing",
        ours="floor: resident: the service, listed",
        most=23.0,
    ),
    Target(metric="growth per command, over 20 000", ours="growth: by a command", most=A_PAGE),
    Target(metric="growth per notice, over 20 000", ours="growth: by a notice", most=A_PAGE),
    Target(
        metric="growth per client that comes and goes, over 20 000", ours="growth: by a client", most=A_PAGE
    ),
    Target(
        metric="exec to name owned and first snapshot, 50 streams",
        ours="start-up: exec to first snapshot",
        plain=in_python("start-up"),
        most=80.0,
    ),
    Target(
        metric="`pwmixerctl up` as a process",
        ours="key-press: pwmixerctl up",
        peer="key-press: pactl set-sink-volume +5%",
        times=3.5,
    ),
)


def missed(target: Target, lines: Mapping[str, Line]) -> list[str]:
    """Say by what a target is missed; nothing where it is met. Raises KeyError where it was not measured."""
    ours = lines[target.ours]
    found = []
    if target.times is not None and ours.p50 > target.times * lines[target.peer].p50:
        found.append(f"{ours.p50 / lines[target.peer].p50:.2f} x")
    if target.most is not None and ours.p50 > target.most:
        found.append(f"{number(ours.p50)} {ours.unit}")
    if target.least is not None and ours.p50 < target.least:
        found.append(f"{number(ours.p50)} {ours.unit}")
    if target.p99 is not None and (ours.p99 or ours.most) > target.p99:
        found.append(f"p99 {number(ours.p99 or ours.most)} {ours.unit}")
    if target.longest is not None and ours.most > target.longest:
        found.append(f"longest {number(ours.most)} {ours.unit}")
    found += [
        f"{lines[name].p50 / ours.p50:.1f} x faster than {name.partition(': ')[2]}"
        for name, times in target.faster.items()
        if lines[name].p50 < times * ours.p50
    ]
    return found


def markdown(run: Run) -> str:
    """Write the table for docs/performance.md; what was not measured is left out."""
    lines = run.by_name()
    head = ("metric", "in C", "in Python", "target", "pwmixer, p50 [p99]", "to C", "met")
    rows: list[tuple[str, ...]] = [head, ("---", "--:", "--:", "---", "--:", "--:", "---")]
    rows += [tuple(_cells(target, lines)) for target in TARGETS if {target.ours} <= lines.keys()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\nMeasured on {run.on()}.{BUSY if is_busy(run) else ''}\n"


def profile(run: Run) -> str:
    """Write the table of what each operation executes, for docs/performance.md; nothing where it was not counted."""
    lines = run.by_name()
    operations = {line.what: line for line in run.lines if line.benchmark == CALLS}
    head = ("operation", "calls", "opcodes", "different ones", "in Python", "of the opcodes")
    rows: list[tuple[str, ...]] = [head, ("---", "--:", "--:", "--:", "--:", "---")]
    for what, calls in operations.items():
        first, *parts = (line for line in run.lines if line.benchmark == f"{CODE}{what}")
        shares = (f"{part.what} {100 * part.ratio:.0f} %" for part in parts if part.ratio >= A_LITTLE)
        counts = (f"{line.p50:.0f}" for line in (calls, first, lines[f"{DIFFERENT}: {what}"]))
        plainly = [lines.get(f"{name}: {what}") for name in (PLAINLY, PLAINLY_DIFFERENT)]
        limit = ", ".join(f"{line.p50:.0f}" for line in plainly if line is not None) or "-"
        rows.append((what, *counts, limit, ", ".join(shares)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) if operations else ""


def is_busy(run: Run) -> bool:
    """Whether others wanted the machine as well: what ran in the minute before, since the benchmark itself fills it."""
    return run.load[0] > int(run.machine["processors"])


def _cells(target: Target, lines: Mapping[str, Line]) -> Iterator[str]:
    ours, peer = lines[target.ours], lines.get(target.peer)
    yield target.metric
    yield "-" if peer is None else f"{number(peer.p50)} {peer.unit}"
    yield _in_python(target, lines)
    yield "; ".join(_limits(target, ours.unit))
    yield f"{number(ours.p50)}{'' if ours.p99 is None else f' [{number(ours.p99)}]'} {ours.unit}"
    yield "-" if peer is None or not peer.p50 else f"{ours.p50 / peer.p50:.2f} x"
    if target.times is not None and peer is None:
        yield "-"
        return
    by = missed(target, lines)
    yield f"no: {', '.join(by)}" if by else "yes"


def _in_python(target: Target, lines: Mapping[str, Line]) -> str:
    """Write what the limit in Python takes, and what that is to the one in C in the same rounds."""
    plain = lines.get(target.plain)
    if plain is None:
        return "-"
    beside = lines.get(f"{plain.benchmark}: {BESIDE_PLAIN}", lines.get(target.peer))
    ratio = f", {plain.p50 / beside.p50:.2f} x" if beside is not None and beside.p50 else ""
    return f"{number(plain.p50)} {plain.unit}{ratio}"


def _limits(target: Target, unit: str) -> Iterator[str]:
    if target.times is not None:
        yield f"<= {target.times:g} x"
    if target.most is not None:
        yield f"<= {target.most:g} {unit}"
    if target.least is not None:
        yield f">= {target.least:g} {unit}"
    if target.p99 is not None:
        yield f"p99 <= {target.p99:g} {unit}"
    if target.longest is not None:
        yield f"longest <= {target.longest:g} {unit}"
    yield from (
        f">= {times:g} x faster than {name.partition(': ')[2]}" for name, times in target.faster.items()
    )
