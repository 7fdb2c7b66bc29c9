"""Pictures of a run as SVG, with logarithmic axes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

from benchmarks.compare import is_ours
from benchmarks.figures import Line, number
from benchmarks.peers import BESIDE_PLAIN, IN_PYTHON
from benchmarks.record import Run

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 270, 90, 17, 34
OURS, IN_C, PLAIN, OTHERS, INK, GRID = "#2563eb", "#475569", "#7c8fc4", "#b6c2d1", "#1e293b", "#e2e8f0"
COLORS = ("#2563eb", "#059669", "#d97706", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#475569")
HEIGHT = 430
BY = " by "
"""In the name of a benchmark whose lines say how something grows: `SetVolume by streams`."""

BESIDE = {", in C": "5 4", ", in Python": "1 4"}
"""In the name of one that is a limit of another: it has that one's colour, and dashes by which it is told."""

Curves = Mapping[str, Sequence[tuple[float, float]]]


def pictures(run: Run) -> dict[str, str]:
    """Draw what there is; return file names with their contents."""
    found = {}
    for unit, name, title in (
        ("ms", "delays", "Delays: the median, and a tick at the 99th percentile"),
        ("%", "storms", "Share of a processor: a thousand notices a second, fifty meters"),
        ("MiB", "memory", "Memory with 50 streams"),
    ):
        shown = [line for line in run.lines if line.unit == unit and _is_shown(line)]
        if shown:
            found[f"{name}.svg"] = bars(title, unit, shown, is_linear=unit != "ms")
    for over in ("streams", "clients"):
        growing = _curves([line for line in run.lines if line.benchmark.endswith(f"{BY}{over}")])
        if growing:
            found[f"{over}.svg"] = curves(
                f"How cost grows with the number of {over}, both axes logarithmic", over, growing
            )
    return found


def _is_shown(line: Line) -> bool:
    is_shown = BY not in line.benchmark and not line.benchmark.startswith(
        ("1000 rules", "statistics", "new stream: never", "new stream: heard")
    )
    return is_shown and line.what != BESIDE_PLAIN


def _curves(lines: Sequence[Line]) -> Curves:
    found: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        found.setdefault(f"{line.benchmark.partition(BY)[0]}, {line.unit}", []).append(
            (float(line.what), line.p50)
        )
    return {label: points for label, points in found.items() if all(y > 0 for _, y in points)}


def bars(title: str, unit: str, lines: Sequence[Line], *, is_linear: bool) -> str:
    """Draw a bar for each line, those of a benchmark together."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.benchmark, []).append(line)
    values = [value for line in lines for value in (line.p50, line.p99 or line.p50) if value > 0]
    axis = (_Linear if is_linear else _Axis)(min(values), max(values), LEFT, WIDTH - RIGHT)
    height = 70 + sum(GAP + BAR * len(group) for group in groups.values())
    return _svg(WIDTH, height, title, [*_ticks(axis, unit, height), *_bars(groups, axis)])


def _bars(groups: Mapping[str, Sequence[Line]], axis: _Axis) -> Iterator[str]:
    y = 52.0
    for name, group in groups.items():
        y += GAP - BAR
        yield _text(14, y + 4, name, weight="600")
        y += BAR - 4
        for line in group:
            color = _color_of(line)
            yield _text(LEFT - 8, y + 12, line.what, anchor="end")
            end = axis.at(line.p50) if line.p50 else axis.start
            yield f'<rect x="{axis.start}" y="{y + 2:.0f}" width="{max(2.0, end - axis.start):.1f}" height="{BAR - 4}" rx="2" fill="{color}"/>'
            last = axis.at(line.p99) if line.p99 else end
            if line.p99:
                yield f'<path d="M{end:.1f} {y + BAR / 2:.1f}H{last:.1f}M{last:.1f} {y + 4:.1f}v{BAR - 8}" stroke="{color}"/>'
            yield _text(last + 6, y + 12, number(line.p50), fill=color if color != OTHERS else INK)
            y += BAR
        y += 4


def _color_of(line: Line) -> str:
    if "C" in line.what.split():
        return IN_C
    return PLAIN if line.what == IN_PYTHON else OURS if is_ours(line) else OTHERS


def curves(title: str, over: str, series: Curves) -> str:
    """Draw a curve for each series."""
    points = [point for curve in series.values() for point in curve]
    across = _Axis(min(x for x, _ in points), max(x for x, _ in points), 64, WIDTH - 300)
    up = _Axis(min(y for _, y in points), max(y for _, y in points), HEIGHT - 50, 50)
    parts = [
        f'<path d="M{across.start} {up.at(y):.1f}H{across.end}" stroke="{GRID}"/>{_text(across.start - 8, up.at(y) + 4, number(y), anchor="end")}'
        for y in up.ticks()
    ]
    parts += [
        f'<path d="M{across.at(x):.1f} {up.start}V{up.end}" stroke="{GRID}"/>{_text(across.at(x), up.start + 18, number(x), anchor="middle")}'
        for x in across.ticks()
    ]
    parts.append(_text(across.end, up.start + 36, over, anchor="end"))
    places = _spread([up.at(curve[-1][1]) for curve in series.values()])
    colors: dict[str, str] = {}
    for (label, curve), place in zip(series.items(), places, strict=True):
        limit = next((limit for limit in BESIDE if limit in label), "")
        color = colors.setdefault(label.replace(limit, ""), COLORS[len(colors) % len(COLORS)])
        parts += _curve([(across.at(x), up.at(y)) for x, y in curve], color, dashes=BESIDE.get(limit, ""))
        end = up.at(curve[-1][1])
        parts.append(
            f'<path d="M{across.end + 6} {end:.1f}L{across.end + 22} {place:.1f}" stroke="{color}"/>'
        )
        parts.append(_text(across.end + 28, place + 4, label, fill=color))
    return _svg(WIDTH, HEIGHT, title, parts)


def _curve(points: Sequence[tuple[float, float]], color: str, *, dashes: str) -> Iterator[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    broken = f' stroke-dasharray="{dashes}"' if dashes else ""
    yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{broken}/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points)


def _spread(places: Sequence[float], least: float = 16) -> list[float]:
    """Move labels apart that would be on each other."""
    found, last = dict.fromkeys(range(len(places)), 0.0), 0.0
    for which in sorted(found, key=places.__getitem__):
        last = found[which] = max(places[which], last + least)
    return list(found.values())


class _Axis:
    """Places values from one whole decade to another between two pixels."""

    def __init__(self, least: float, most: float, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._most = most
        self._low, self._high = floor(log10(least)), max(ceil(log10(most)), floor(log10(least)) + 1)

    def at(self, value: float) -> float:
        share = (log10(value) - self._low) / (self._high - self._low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]


class _Linear(_Axis):
    """Places values from nothing to a round number."""

    def at(self, value: float) -> float:
        return self.start + value / self._top * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [self._top * part / 4 for part in range(5)]

    @property
    def _top(self) -> float:
        decade = 10.0 ** floor(log10(self._most))
        return decade * next(step for step in (1, 2, 4, 6, 8, 10) if step * decade >= self._most)


def _ticks(axis: _Axis, unit: str, height: int) -> Iterator[str]:
    for value in axis.ticks():
        yield f'<path d="M{axis.at(value):.1f} 46V{height - 12}" stroke="{GRID}"/>'
        yield _text(axis.at(value), 42, f"{number(value)} {unit}", anchor="middle")


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = INK, weight: str = "400"
) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">{escape(words)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
                ' font-family="system-ui, sans-serif" font-size="12">'
            ),
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            f'<text x="14" y="22" font-size="15" font-weight="600" fill="{INK}">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )
