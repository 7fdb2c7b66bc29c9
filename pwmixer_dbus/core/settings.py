"""What a person can set, with the defaults. Standard library only: where the values come from is not known here."""

from collections.abc import Mapping
from types import MappingProxyType

from pwmixer_dbus.core.records import dataclass, field
from pwmixer_dbus.core.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsSettings:
    """Which files of statistics are kept in the runtime folder: `stats`, as JSON, and `stats.prom`, for Prometheus."""

    file: bool = False
    prometheus: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSettings:
    """The Unix socket: whether there is one, and where; `path` is absolute, "" for the usual place."""

    enabled: bool = True
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSignalSettings:
    """Whether waybar gets a signal when something changes, and which: SIGRTMIN + `number`, 1 to 30."""

    enabled: bool = False
    number: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemorySettings:
    """The file in shared memory: whether there is one, and its name, in which `{uid}` stands for the user's number.

    `name` has 1 to 64 printable characters, no slash among them, and does not begin with a dot.
    """

    enabled: bool = True
    name: str = "pwmixer-{uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OsdSettings:
    """The notification of changes: whether there is one, and for how many seconds it stays, 0.5 to 10.0."""

    enabled: bool = False
    seconds: float = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force, each explained in `config.schema`; whoever builds one keeps to the ranges of `config.quick`.

    Volumes and the `step` are 1.0 at 100 %, times are seconds. `aliases`, from app id to app id, are looked up once, so an
    alias of an alias is not followed. `rules` are in order; no two share a name.
    """

    max_volume: float = 1.0
    enforce_max: bool = False
    step: float = 0.05
    unmute_on_raise: bool = True
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    memory: bool = True
    grace: float = 2.0
    first_volume: float = 1.5
    stats: StatisticsSettings = StatisticsSettings()
    socket: SocketSettings = SocketSettings()
    bar_signal: BarSignalSettings = BarSignalSettings()
    shared_memory: SharedMemorySettings = SharedMemorySettings()
    osd: OsdSettings = OsdSettings()
    nice: int = -11
    log_level: str = "info"
    rules: tuple[Rule, ...] = ()
