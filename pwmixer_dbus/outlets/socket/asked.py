"""What can be asked over the socket, whichever dialect it was said in; and the ranges of its numbers."""

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.document import Document
from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.records import dataclass

LISTS = ("apps", "sinks", "sources", "streams", "groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVolume:
    """Set a volume. `target` is a selector or a name, here and below; see `carry`."""

    target: str
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Go one step `up` or down, by the step of the settings where no amount is named."""

    target: str
    up: bool
    amount: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMuted:
    """Mute `on`, `off` or `toggle`."""

    target: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Move an application's streams, or a stream, to a device."""

    target: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Tell volume and mute; in text, which has one value, the volume unless it is mute that is wanted."""

    target: str
    muted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAll:
    """Tell all objects of a kind, one of `LISTS`."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Read the configuration again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Tell from now on what changes."""


Change = SetVolume | Step | SetMuted | Route | Reload
Question = Look | ListAll | Watch
Request = Change | Question

Answer = Document
"""What was found or is in force now; its keys are those of the JSON answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, and what is passed on to whoever hears of it: why, and whether no display shall show it."""

    request: Request
    context: str = ""
    quiet: bool = False


def checked_volume(volume: float) -> float:
    """Return a volume; raises InvalidArgumentError for what is more likely a mistake than a wish."""
    if not 0.0 <= volume <= gain.CEILING:
        raise InvalidArgumentError(
            f"A volume is a number from 0.0 to 1.0, and to {gain.CEILING} where the configuration allows it; 50 % is 0.5."
        )
    return float(volume)


def checked_amount(amount: float) -> float:
    """Return the size of a step; raises InvalidArgumentError likewise."""
    if not 0.0 <= amount <= gain.CEILING:
        raise InvalidArgumentError(f"An amount is a number from 0.0 to {gain.CEILING}; 5 % is 0.05.")
    return float(amount)
