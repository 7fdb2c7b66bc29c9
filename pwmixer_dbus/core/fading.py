"""Fades, as arithmetic: where a ramp is at a moment, how often it has to move, and which values that are shown are its own.

A ramp is a straight line on the cubic scale, on which equal steps sound about equal. Channels are tuples of volumes as
everywhere; times are seconds of one monotonic clock.
"""

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.gain import Channels
from pwmixer_dbus.core.model import VOLUME_DIGITS
from pwmixer_dbus.core.records import dataclass

STEP = 1 / 50
"""Least seconds between two steps: about what the server mixes at a time, and less often than a volume may be sent."""

LEAST = 0.001
"""How far a step goes at least: a tenth of a percent, which nobody hears. A long fade need not wake anybody more often."""

LONGEST = 3600.0
"""Seconds that a fade takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A way from `begin` to `end`, which have equally many channels, between two moments."""

    begin: Channels
    end: Channels
    begins_at: float
    ends_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What the server may still show of a ramp: the last step that it has shown, and all that were sent since, in order.

    `is_exact`: whether it has shown a step exactly as it was sent. Then a value that is only near to one is somebody
    else's.
    """

    steps: tuple[Channels, ...]
    is_exact: bool = False


def at(ramp: Ramp, now: float) -> Channels:
    """Return the channels at a moment: `begin` until it begins, `end` once it is over; total."""
    if now >= ramp.ends_at:
        return ramp.end
    part = max(now - ramp.begins_at, 0.0) / (ramp.ends_at - ramp.begins_at)
    return tuple(
        round(begin + (end - begin) * min(part, 1.0), VOLUME_DIGITS)
        for begin, end in zip(ramp.begin, ramp.end, strict=True)
    )


def is_step(before: Channels, after: Channels) -> bool:
    """Whether going from one to the other is worth a command."""
    return distance(before, after) >= LEAST / 2


def distance(one: Channels, other: Channels) -> float:
    """Return how far the channel goes that goes furthest."""
    return max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)


def interval(ramp: Ramp) -> float:
    """Return the seconds between two steps: as long as it takes to get on by `LEAST`, and `STEP` at least."""
    seconds = max(ramp.ends_at - ramp.begins_at, 0.0)
    return max(STEP, seconds * min(LEAST / max(distance(ramp.begin, ramp.end), LEAST), 1.0))


def sent(trail: Trail, channels: Channels) -> Trail:
    """Return the trail with one more step."""
    return Trail(steps=(*trail.steps, channels), is_exact=trail.is_exact)


def shown(trail: Trail, channels: Channels) -> Trail | None:
    """Return the trail after the server has shown these channels; None where somebody else must have set them."""
    for place, step in enumerate(trail.steps):
        if len(step) == len(channels) and all(map(gain.same, step, channels)):
            return Trail(steps=trail.steps[place:], is_exact=True)
    levels = [gain.level(step) for step in trail.steps]
    is_near = min(levels) - gain.NEAR <= gain.level(channels) <= max(levels) + gain.NEAR
    return trail if is_near and not trail.is_exact else None
