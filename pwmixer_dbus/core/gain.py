"""Arithmetic on volumes: levels, balance, steps and limits. All volumes are cubic, 1.0 = 100 %, four digits."""

import math

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.model import VOLUME_DIGITS

CEILING = 1.5
"""No volume is ever set above this, whatever a configuration says (11 dB on the cubic scale)."""

NEAR = 0.02
"""How far from what was asked a device with coarse steps may be, and still have carried it out."""

_NOISE = 0.0003

Channels = tuple[float, ...]


def level(channels: Channels) -> float:
    """Return the volume of the loudest channel, which is what one slider shows; 0.0 without channels."""
    return max(channels, default=0.0)


def same(one: float, other: float) -> bool:
    """Whether two volumes are the same but for the way through the server, which keeps linear floats."""
    return abs(one - other) < _NOISE


def with_level(channels: Channels, volume: float) -> Channels:
    """Scale channels so that the loudest has `volume` and the balance is kept; from silence, all are equal."""
    loudest = level(channels)
    if loudest <= 0.0 or min(channels) == loudest:
        return (round(volume, VOLUME_DIGITS),) * len(channels)
    return tuple(round(channel * volume / loudest, VOLUME_DIGITS) for channel in channels)


def checked(value: float, what: str) -> float:
    """Return a finite number rounded to four digits; a zero has no sign.

    Raises InvalidArgumentError for NaN and the infinities: no clamp could be right for them.
    """
    if not math.isfinite(value):
        raise InvalidArgumentError(f"{what} must be a finite number, such as 0.5 for 50 %; got {value}.")
    return round(value, VOLUME_DIGITS) + 0.0


def limited(wanted: float, limit: float, current: float = 0.0) -> tuple[float, str]:
    """Bring a volume into range; return it with the reason, "" where nothing had to be changed.

    A volume that is above the limit already (set by another program) may stay or fall, but not rise.
    """
    highest = max(limit, min(current, wanted))
    if wanted < 0.0:
        return 0.0, "below 0 %"
    if wanted > highest:
        return highest, f"above the limit of {limit:.0%}"
    return wanted, ""
