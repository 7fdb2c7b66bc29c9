"""What the sound server said, as facts. Every change of state enters through one of these."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, TypeVar

from pwmixer_dbus.core.model import App, Card, Client, Device, Key, Kind, Server, Stream
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that the server knows: the first listing, and the first one after each reconnect."""

    server: Server
    devices: tuple[Device, ...] = ()
    streams: tuple[Stream, ...] = ()
    clients: tuple[Client, ...] = ()
    cards: tuple[Card, ...] = ()


class Seen(NamedTuple):
    """One object as the server shows it now; new or changed."""

    record: Device | Stream | Client | Card | Server


class Levelled(NamedTuple):
    """How loud a stream is now. Nothing else of it has changed since it was last seen; perhaps not even that has."""

    key: Key
    channels: tuple[float, ...]
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """One object that the server has removed."""

    kind: Kind
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The server has gone; what is known stays visible as stale until a new snapshot is in."""

    reason: str


class Keep(Enum):
    """Leaves a setting as it is, where None would say that nothing is wanted of it any more."""

    KEEP = "keep"


KEEP = Keep.KEEP


def kept(known: T, wanted: T | Keep) -> T:
    """Return what is wanted of a setting, or what is known where it is to stay."""
    return known if isinstance(wanted, Keep) else wanted


OnDevices = tuple[tuple[str, float | None, bool | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppWanted:
    """What a person asked of a whole application. None gives up what was asked before; for a preferred device "" does.

    `on_devices` is what an undo brings back of single devices beside that: keys, volumes and mutes.
    """

    app_id: str
    volume: float | Keep | None = KEEP
    muted: bool | Keep | None = KEEP
    preferred_sink: str | Keep = KEEP
    preferred_source: str | Keep = KEEP
    on_devices: OnDevices = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppsWanted:
    """What was asked of several applications, in this order."""

    wishes: tuple[AppWanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What has been decided of a stream, all of it: what keeps it where it is, how it is shown, and its cap.

    `by` is `person`, `rule NAME`, or "" for the session manager; the rest as in `Stream`.
    """

    kind: Kind
    index: int
    by: str
    display_name: str = ""
    icon_name: str = ""
    hidden: bool = False
    group: str = ""
    max_volume: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The settings that are in force from now on."""

    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Applications that are remembered from earlier, longest unused first; one that the state knows already stays as it is."""

    apps: tuple[App, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """An application of which nothing is remembered any more; it leaves the state at once, or with its last stream."""

    app_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """The caps and the locks of applications and devices, by app id and by device key; whatever is not named has none."""

    caps: Mapping[str, float]
    locked: frozenset[str] = frozenset()


Event = (
    Snapshot
    | Seen
    | Levelled
    | Gone
    | Disconnected
    | AppWanted
    | AppsWanted
    | Routed
    | Configured
    | Known
    | Forgotten
    | Capped
)
