"""What the sound server said, as facts. Every change of state enters through one of these."""

from dataclasses import dataclass

from pwmixer_dbus.core.model import Card, Client, Device, Kind, Server, Stream
from pwmixer_dbus.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that the server knows: the first listing, and the first one after each reconnect."""

    server: Server
    devices: tuple[Device, ...] = ()
    streams: tuple[Stream, ...] = ()
    clients: tuple[Client, ...] = ()
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One object as the server shows it now; new or changed."""

    record: Device | Stream | Client | Card | Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """One object that the server has removed."""

    kind: Kind
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The server has gone; what is known stays visible as stale until a new snapshot is in."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppWanted:
    """What a person asked of a whole application; None leaves or makes it undecided."""

    app_id: str
    volume: float | None
    muted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """The settings that are in force from now on."""

    settings: Settings


Event = Snapshot | Seen | Gone | Disconnected | AppWanted | Configured
