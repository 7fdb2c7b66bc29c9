"""Meters: what is measured for a target, and the frames in which it is told.

A level is a linear peak: 1.0 is full scale (0 dBFS), 0.5 is 6 dB below it; 20 * log10(level) gives decibels. It is not on
the scale of volumes.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence

from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError, NotSupportedError
from pwmixer_dbus.core.model import App, Device, Group, Kind, Server, Stream
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import Change, MixerState

TARGETS = 64
"""How many targets one meter has at most."""

SLOWEST, USUAL, FASTEST = 1.0, 30.0, 60.0
"""Frames a second."""

ABSENT = math.nan
"""The level of what is not there."""

Resolve = Callable[[str], Sequence[Target]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """What the sound server can measure by itself: a source, a sink by way of its monitor, or one playback stream.

    `index` is the server's; `source` the Pulse source that is recorded, "" for a stream; `positions` its channels.
    """

    kind: Kind
    index: int
    source: str = ""
    positions: tuple[str, ...] = ()


Plan = tuple[frozenset[Tap] | None, ...]
"""For each target of a meter the taps of which the loudest counts; None where it is not there."""


def rate_of(asked: float) -> float:
    """Return the frames a second for what was asked, at least 1 and at most 60; raises InvalidArgumentError for NaN."""
    if math.isnan(asked):
        raise InvalidArgumentError("The option rate is a number of frames a second, such as 30.0.")
    return min(max(asked, SLOWEST), FASTEST)


def followed(selectors: Sequence[str], resolve: Resolve) -> tuple[str, ...]:
    """Return the selectors by which targets are found again later.

    A name that fits one object stands for that object from then on; `@sink`, `@source`, `pid:N` and globs for whatever
    they mean at any time. Raises MixerError for what means nothing now, or cannot be measured.
    """
    if not selectors:
        raise InvalidArgumentError("A meter needs a target, such as @sink.")
    if len(selectors) > TARGETS:
        raise LimitsExceededError(f"A meter has at most {TARGETS} targets, not {len(selectors)}; open two.")
    return tuple(_followed(selector, resolve(selector)) for selector in selectors)


def _followed(selector: str, targets: Sequence[Target]) -> str:
    is_exact = any(selector == selector_of(target) for target in targets)
    is_glob = not is_exact and any(c in selector for c in "*?[")
    for target in targets:
        if is_glob and isinstance(target, Device) and target.kind is Kind.SOURCE:
            raise InvalidArgumentError(
                "A source is only recorded when it is named: use source:NAME, or @source."
            )
        if not is_glob:
            _check(target)
    if is_glob or selector.startswith(("@", "pid:")) or len(targets) != 1:
        return selector
    return selector_of(targets[0])


def _check(target: Target) -> None:
    match target:
        case Stream(kind=Kind.CAPTURE):
            raise NotSupportedError(
                f"{selector_of(target)} records; only what plays can be measured, or its source."
            )
        case Device() | Stream() | App() | Group():
            return
    raise NotSupportedError(
        f"{selector_of(target)} has no level; name a sink, a source, a stream or an application."
    )


def planned(state: MixerState, selectors: Iterable[str], resolve: Resolve) -> Plan:
    """Return what is to be measured for targets now; nothing of it is there while there is no sound server."""
    if not state.connected:
        return tuple(None for _ in selectors)
    return tuple(_taps(state, selector, resolve) for selector in selectors)


def _taps(state: MixerState, selector: str, resolve: Resolve) -> frozenset[Tap] | None:
    try:
        targets = resolve(selector)
    except MixerError:
        return None
    return frozenset(tap for target in targets for tap in _taps_of(state, target))


def _taps_of(state: MixerState, target: Target) -> Iterable[Tap]:
    match target:
        case Device():
            # Without a name, the server would take the default microphone; with this one, it takes the sink's monitor.
            source = f"{target.name}.monitor" if target.kind is Kind.SINK else target.name
            yield Tap(kind=target.kind, index=target.index, source=source, positions=target.positions)
        case Stream(kind=Kind.PLAYBACK):
            yield Tap(kind=target.kind, index=target.index, positions=target.positions)
        case App() | Group():
            for stream in state.streams_of(target):
                yield from _taps_of(state, stream)


def concerns(change: Change) -> bool:
    """Whether after this change a target may mean something else."""
    before, after = change.before, change.after
    match before, after:
        case (None, _) | (_, None) | (_, Server()):
            return True
        case Stream(), Stream():
            return (before.identity.app_id, before.group) != (after.identity.app_id, after.group)
        case ((App() | Group()), (App() | Group())):
            return before.streams != after.streams
        case Device(), Device():
            return (before.index, before.positions) != (after.index, after.positions)
    return False


def loudest(plan: Plan, levels: Mapping[Tap, float]) -> list[float]:
    """Return the level of each target, `ABSENT` for what is not there; what was not heard is silent."""
    return [
        ABSENT if taps is None else max((levels.get(tap, 0.0) for tap in taps), default=0.0) for taps in plan
    ]


def frame(levels: Sequence[float]) -> bytes:
    """Write a frame: a little-endian 32-bit float for each target, in their order."""
    return struct.pack(f"<{len(levels)}f", *levels)
