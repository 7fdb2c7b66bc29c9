"""What a change has cost: two runs, line by line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, hypot, log

from benchmarks.figures import Line, number
from benchmarks.peers import BESIDE_PLAIN, IN_C, IN_PYTHON
from benchmarks.record import Run

PEERS = frozenset(
    {
        *(IN_C, BESIDE_PLAIN, IN_PYTHON, "libpulse in C", "sd-bus in C", "an echo in C"),
        *("python -c pass", "unmeasured", "its program names the sink", "waybar's own pulseaudio module"),
    }
)
PROGRAMS = ("pactl", "wpctl", "pamixer", "pulsemixer", "busctl", "echo |", "pulsectl")
"""With these what is not ours begins."""

BESIDE_PEERS, ALONE = 0.05, 0.15
"""How much two runs of the same differ without a reason that the samples of one tell: with a peer in the same run, and without."""


def is_ours(line: Line) -> bool:
    """Whether a line is of pwmixer, and not of what it is compared with."""
    is_peer = line.what in PEERS or line.what.startswith(PROGRAMS) or ", in C" in line.benchmark
    return not is_peer


def comparison(old: Run, new: Run) -> str:
    """Lay out what both have, for people; what is ours and differs by more than noise has a mark."""
    before, after = old.by_name(), new.by_name()
    names = [name for name in after if name in before]
    wide = max((len(name) for name in names), default=0)
    head = f"{'':{wide}} {'before':>12} {'now':>12} {'change':>8} {'beside peers':>13}"
    rows = [_row(before[name], after[name], wide, *_first(old, new, name)) for name in names]
    only = [f"only before: {name}" for name in before if name not in after]
    only += [f"only now: {name}" for name in after if name not in before]
    foot = f"before: {old.on()}\nnow: {new.on()}\n< dearer, > cheaper than noise explains"
    return "\n".join([head, *rows, *only, "", foot])


def judged(
    before: Line, after: Line, peer_before: Line | None, peer_after: Line | None
) -> tuple[float, bool]:
    """Return how much dearer a line has become, beside its peer where it has one, and whether that is beyond noise."""
    dearer, noises, floor = _change(before, after), [before.noise, after.noise], ALONE
    if peer_before is not None and peer_after is not None:
        dearer /= _change(peer_before, peer_after)
        noises += [peer_before.noise, peer_after.noise]
        floor = BESIDE_PEERS
    return dearer, abs(log(dearer)) > floor + hypot(*(noise or 0.0 for noise in noises))


def _change(before: Line, after: Line) -> float:
    """Return the factor; nothing that becomes something is a hundredfold, as is the contrary."""
    if not (before.p50 or after.p50):
        return 1.0
    return exp(max(-log(100), min(log(100), log(after.p50 or 1e-9) - log(before.p50 or 1e-9))))


def _first(old: Run, new: Run, name: str) -> Iterator[Line | None]:
    """Find the peer of a line in both runs: the first of its benchmark, where that is not ours, and not nothing."""
    for run in (old, new):
        line = run.by_name()[name]
        first = next(other for other in run.lines if other.benchmark == line.benchmark)
        yield None if first.name == name or is_ours(first) or not first.p50 else first


def _row(before: Line, after: Line, wide: int, peer_before: Line | None, peer_after: Line | None) -> str:
    dearer, is_beyond = judged(before, after, peer_before, peer_after)
    is_better_high = after.unit.endswith("/s")
    mark = ("<" if (dearer > 1) != is_better_high else ">") if is_beyond and is_ours(after) else ""
    beside = f"{dearer:.2f}x" if peer_before and peer_after else ""
    figures = [f"{number(line.p50)} {line.unit}" for line in (before, after)]
    change = f"{_change(before, after):.2f}x"
    return f"{after.name:{wide}} {figures[0]:>12} {figures[1]:>12} {change:>8} {beside:>13} {mark}".rstrip()
