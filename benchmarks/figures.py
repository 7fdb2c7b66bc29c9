"""What has been measured, as lines of a table. Pure: samples come in, lines and text go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

ENOUGH = 100
"""Samples without which a 99th percentile says nothing."""

SOME = 4
"""Samples without which quartiles say nothing."""

NOTCH = 1.57
"""Of the distance of the quartiles, over the root of the count: half of the interval that the median is in, 19 times of 20
(McGill, Tukey and Larsen, Variations of box plots, 1978)."""

Samples = Mapping[str, Sequence[float]]
"""By what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table: the median of `n` samples, their 99th percentile, None where they are too few, and the most.

    `ratio` is to the first line of its benchmark in the same run; `noise` is by what share of it the median may be wrong,
    as far as the spread of the samples tells, None where there are too few.
    """

    benchmark: str
    what: str
    unit: str
    n: int
    p50: float
    p99: float | None
    most: float
    ratio: float
    noise: float | None

    @property
    def name(self) -> str:
        """What it is called in files and comparisons."""
        return f"{self.benchmark}: {self.what}"


def lines(benchmark: str, unit: str, samples: Samples) -> list[Line]:
    """Summarise what was measured together; the first is what the others are compared with. Without samples, no line."""
    medians = {what: median(values) for what, values in samples.items() if values}
    first = next(iter(medians.values()), 0.0)
    return [
        Line(
            benchmark=benchmark,
            what=what,
            unit=unit,
            n=len(samples[what]),
            p50=p50,
            p99=quantiles(samples[what], n=100)[98] if len(samples[what]) >= ENOUGH else None,
            most=max(samples[what]),
            ratio=p50 / first if first else 1.0,
            noise=_noise(samples[what], p50),
        )
        for what, p50 in medians.items()
    ]


def _noise(values: Sequence[float], p50: float) -> float | None:
    if len(values) < SOME or not p50:
        return None
    low, _, high = quantiles(values, n=4)
    return float(NOTCH * (high - low) / len(values) ** 0.5 / p50)


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    if value >= 10_000:  # noqa: PLR2004
        return f"{value / 1000:.0f} k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.2g}"  # noqa: PLR2004


def table(found: Sequence[Line]) -> str:
    """Lay out lines for people."""
    return "\n".join(_rows(found))


def _rows(found: Sequence[Line]) -> Iterator[str]:
    wide, what = (max((len(text) for text in texts), default=0) for texts in _columns(found))
    yield f"{'':{wide}}  {'':{what}} {'n':>6} {'p50':>11} {'p99':>11} {'ratio':>8}"
    before = ""
    for line in found:
        head = "" if line.benchmark == before else line.benchmark
        before = line.benchmark
        p50 = f"{number(line.p50)} {line.unit}"
        p99 = "" if line.p99 is None else f"{number(line.p99)} {line.unit}"
        yield f"{head:{wide}}  {line.what:{what}} {line.n:6} {p50:>11} {p99:>11} {line.ratio:7.2f}x"


def _columns(found: Sequence[Line]) -> tuple[list[str], list[str]]:
    return [line.benchmark for line in found], [line.what for line in found]
