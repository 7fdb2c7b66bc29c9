"""What we ask of the sound server. Requests from a bus, a socket or a rule all become one of these.

Commands of one type for one key overwrite each other while they wait: the latest absolute value wins.
"""

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.model import Device, Key, Stream
from pwmixer_dbus.core.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVolume:
    """Set the volume of each channel of a device or stream."""

    key: Key
    channels: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMuted:
    """Mute or unmute a device or stream."""

    key: Key
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveStream:
    """Connect a stream to another device."""

    key: Key
    device: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefault:
    """Make a sink or source the default. `key` is that of the device, `name` its name."""

    key: Key
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPort:
    """Choose the active port of a device."""

    key: Key
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProfile:
    """Choose the active profile of a card."""

    key: Key
    profile: str


Slot = tuple[type, Key]
"""What commands compete for: one type of setting of one object."""

LevelCommand = SetVolume | SetMuted
Command = LevelCommand | MoveStream | SetDefault | SetPort | SetProfile


CONTEXT_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who wanted something and why: `kind` is user, undo, fade, rule, memory or server.

    `fade` is a step of a fade, on its way to what a user wants. `client` is a bus name or program; `context` is at most
    CONTEXT_LIMIT characters where a client gives it.
    """

    kind: str
    client: str = ""
    context: str = ""
    quiet: bool = False


SERVER = Origin(kind="server")


def sounds_so(record: Device | Stream, command: LevelCommand) -> bool:
    """Whether something is as loud, or as mute, as a command asks for; its balance may be another one."""
    if isinstance(command, SetVolume):
        return gain.same(gain.level(command.channels), gain.level(record.channels))
    return command.muted == record.muted


def slot_of(command: Command) -> Slot:
    """Return what a command competes for. There is one default of a kind, whichever device is named."""
    if isinstance(command, SetDefault):
        return SetDefault, (command.key[0], -1)
    return type(command), command.key
