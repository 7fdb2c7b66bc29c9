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
    """The settings in force. Whoever builds one keeps to the ranges.

    `max_volume`: the highest volume that a request can set, 0.0 to 1.5, where 1.0 is 100 %.
    `enforce_max`: whether that also holds against other programs.
    `step`: how far one step up or down goes where the caller names no amount, 0.001 to 0.5.
    `unmute_on_raise`: whether a step up also unmutes; a step down never does.
    `aliases`: app id to the app id that it counts as; looked up once, so an alias of an alias is not followed.
    `memory`: whether what people want is kept over restarts.
    `grace`: for how many seconds from its start an application's own volumes are set back and not learned, 0.0 to 10.0.
    `first_volume`: how loud an application that was never seen may start at most, 0.0 to 1.5.
    `stats`: the files of statistics.
    `socket`: the Unix socket for scripts and bars.
    `bar_signal`: the signal to waybar.
    `shared_memory`: the file for readers that look at frame rate.
    `osd`: the notification of changes on the screen.
    `nice`: the nice level to run at, -20 to 19; 0 leaves it as it is.
    `log_level`: debug, info, warning or error.
    `rules`: what a person wants to happen to streams, in order; no two share a name.
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
