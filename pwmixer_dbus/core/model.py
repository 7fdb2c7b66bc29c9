"""The records that the whole program speaks in: frozen, compared by value, free of any server's structs.

Volumes are floats on Pulse's cubic scale, 1.0 = 100 %, rounded to `VOLUME_DIGITS`. Text is clean: it has passed
`clean()`, so that every D-Bus library accepts it. Indexes are the server's own and are used again only after the
server restarts; a stream's `number` is ours and is never used twice in one run.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from pwmixer_dbus.core.records import dataclass, field

VOLUME_DIGITS = 4
TEXT_LIMIT = 512

Properties = Mapping[str, str]
NO_PROPERTIES: Properties = MappingProxyType({})


def _no_properties() -> Properties:
    return NO_PROPERTIES


class Kind(StrEnum):
    """What a record is; with an index or a name it says which one."""

    SINK = "sink"
    SOURCE = "source"
    PLAYBACK = "playback"
    CAPTURE = "capture"
    CLIENT = "client"
    CARD = "card"
    APP = "app"
    GROUP = "group"
    SERVER = "server"

    @property
    def is_device(self) -> bool:
        """Whether this is a sink or a source."""
        return self is Kind.SINK or self is Kind.SOURCE

    @property
    def is_stream(self) -> bool:
        """Whether this is a stream of either direction."""
        return self is Kind.PLAYBACK or self is Kind.CAPTURE

    @property
    def devices(self) -> "Kind":
        """The kind of device that a stream of this kind is connected to."""
        return Kind.SINK if self is Kind.PLAYBACK else Kind.SOURCE


Key = tuple[Kind, int]
"""A device's or stream's kind and server index."""


class Availability(StrEnum):
    """Whether something is plugged into a port, or a profile can be used."""

    UNKNOWN = "unknown"
    NO = "no"
    YES = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A connector or path of a device, such as headphones; PipeWire calls it a route."""

    name: str
    description: str = ""
    available: Availability = Availability.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A configuration of a card, such as stereo output with microphone."""

    name: str
    description: str = ""
    available: Availability = Availability.YES


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A sink or a source. `channels` holds a volume per channel; `card` and `monitor_of` are server indexes."""

    kind: Kind
    index: int
    name: str
    description: str = ""
    channels: tuple[float, ...] = (1.0, 1.0)
    positions: tuple[str, ...] = ()
    muted: bool = False
    state: str = "suspended"
    card: int | None = None
    monitor_of: int | None = None
    virtual: bool = True
    ports: tuple[Port, ...] = ()
    active_port: str = ""
    properties: Properties = field(default_factory=_no_properties)

    @property
    def is_monitor(self) -> bool:
        """Whether this source only listens to what a sink plays."""
        return self.monitor_of is not None

    @property
    def is_placeholder(self) -> bool:
        """Whether this is PipeWire's and Pulse's stand-in for having no device at all."""
        return self.name in {"auto_null", "auto_null.monitor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the system says of the process behind a stream; absent where its pid cannot be trusted.

    `unit` is the systemd unit of its control group (`app-gnome-org.mozilla.firefox-1234.scope`), `steam_app` the id of
    the Steam game that it runs in, `command` its first two arguments, base names only.
    """

    pid: int
    comm: str = ""
    unit: str = ""
    steam_app: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which application a stream belongs to; `core.identity.evidence_for` says why.

    `app_id` is stable over restarts, updates and packaging: `flatpak:com.spotify.Client`, `steam:1091500`,
    `bin:vesktop`, `id:org.mozilla.firefox`, `name:my-sdl-game`, `tag:music`, or `stream:playback-17` for an unknown one,
    which is never merged with another.
    """

    app_id: str
    name: str
    icon_name: str = ""


UNRESOLVED = Identity(app_id="", name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One playback or capture stream. `device` and `client` are server indexes, None between two devices.

    `number`, `identity`, `routed_by` and what follows it are given by `state.apply`; an adapter leaves them alone.
    `routed_by` says what keeps the stream where it is: "" for the session manager, `person`, or `rule NAME`. The rest is
    what rules have decided: the name and the icon that are shown instead of the application's, whether lists leave it
    out, its group, and the highest volume that it may have; empty where they say nothing.
    """

    kind: Kind
    index: int
    client: int | None = None
    device: int | None = None
    media_name: str = ""
    channels: tuple[float, ...] = (1.0, 1.0)
    positions: tuple[str, ...] = ()
    muted: bool = False
    corked: bool = False
    has_volume: bool = True
    volume_writable: bool = True
    properties: Properties = field(default_factory=_no_properties)
    process: Process | None = None
    number: int = 0
    identity: Identity = UNRESOLVED
    routed_by: str = ""
    display_name: str = ""
    icon_name: str = ""
    hidden: bool = False
    group: str = ""
    max_volume: float | None = None

    @property
    def is_meter(self) -> bool:
        """Whether this only measures a level for some mixer's display; no person wants to see it."""
        return self.properties.get("resample.peaks") == "true"

    @property
    def is_linked_for_it(self) -> bool:
        """Whether its program leaves it to the session manager to link it to a device."""
        return self.properties.get("node.autoconnect") == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program's connection to the server. Its properties complete those of its streams."""

    index: int
    name: str = ""
    properties: Properties = field(default_factory=_no_properties)
    process: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A piece of hardware with profiles; its ports carry the availability of the jacks."""

    index: int
    name: str
    description: str = ""
    profiles: tuple[Profile, ...] = ()
    active_profile: str = ""
    ports: tuple[Port, ...] = ()
    properties: Properties = field(default_factory=_no_properties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The sound server. `cookie` tells one life of a server from the next; defaults are device names, "" for none."""

    name: str = ""
    version: str = ""
    default_sink: str = ""
    default_source: str = ""
    cookie: int = 0

    def default(self, kind: Kind) -> str:
        """Name the default sink or source."""
        return self.default_sink if kind is Kind.SINK else self.default_source


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An application that has been seen: its streams are server keys, in the order in which they appeared.

    `volume` and `muted` are what a person asked of the whole application; a stream that it opens later gets them.
    `preferred_sink` and `preferred_source` are the keys of the devices that its streams go to; "" for none.
    """

    app_id: str
    name: str
    icon_name: str = ""
    streams: tuple[Key, ...] = ()
    volume: float | None = None
    muted: bool | None = None
    preferred_sink: str = ""
    preferred_source: str = ""

    def preferred(self, kind: Kind) -> str:
        """Return the key of the sink or of the source that it prefers."""
        return self.preferred_sink if kind is Kind.SINK else self.preferred_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The streams that rules have given the same group, at least one: server keys, in the order of their numbers.

    No state holds it: `MixerState.group_named` finds it, and `state.apply` tells of its changes.
    """

    name: str
    streams: tuple[Key, ...]


Record = Device | Stream | Client | Card | Server | App | Group


_ILLEGAL = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\ud800-\udfff"  # lone surrogates
    "\ufdd0-\ufdef"
    + "".join(
        f"{chr(plane | 0xFFFE)}{chr(plane | 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
    )  # noncharacters
    + "\u202a-\u202e\u2066-\u2069"  # changes of the direction of text, which can forge what stands beside it
    + "]"
)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Make text legal for every D-Bus library and harmless on a terminal, at most `limit` characters long.

    Control characters, lone surrogates and Unicode non-characters go; those make libdbus, GLib or sd-bus drop the
    message or the connection.
    """
    if len(text) <= limit and text.isprintable():  # nothing of the above is printable
        return text
    return _ILLEGAL.sub("", text[: 2 * limit])[:limit]
