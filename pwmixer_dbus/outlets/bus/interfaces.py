"""What the bus offers, as tables: members, signatures, argument names, access, and how a property is read.

`data/dbus-1/interfaces/*.xml` is the documented contract of the same; a test compares the two. Introspection, GetAll
and PropertiesChanged are all made from these tables.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from dbus_fast import Message, MessageType

from pwmixer_dbus.core.document import (
    ABSENT_DEVICE,
    Document,
    Level,
    describe_device,
    describe_target,
)
from pwmixer_dbus.core.model import App, Card, Device, Group, Kind, Port, Profile, Stream
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.outlets.bus.paths import BUS_NAME, NOWHERE, path_of

Argument = tuple[str, str]
"""A name and a D-Bus signature."""

Read = Callable[[MixerState, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property: `emits` is the value of its EmitsChangedSignal annotation (true, const or false).

    `key` is where the document of the object says the same, and so whether it differs; what has another form here is had by
    `read`.
    """

    name: str
    signature: str
    key: str
    read: Read | None = None
    writable: bool = False
    emits: str = "true"


def _joined(arguments: tuple[Argument, ...]) -> str:
    return "".join(signature for _, signature in arguments)


class Method:
    """A method with its named arguments, and the signatures of all that it takes and returns; nobody changes it."""

    __slots__ = ("name", "reply_signature", "returns", "signature", "takes")

    def __init__(
        self, name: str, *, takes: tuple[Argument, ...] = (), returns: tuple[Argument, ...] = ()
    ) -> None:
        self.name = name
        self.takes = takes
        self.returns = returns
        self.signature = _joined(takes)
        self.reply_signature = _joined(returns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal with its named arguments."""

    name: str
    carries: tuple[Argument, ...]


class Interface:
    """A named set of members, which nobody changes; what is looked up with every call is made once."""

    __slots__ = ("_by_key", "_by_name", "_carried", "_readable", "methods", "name", "properties", "signals")

    def __init__(
        self,
        *,
        name: str,
        methods: tuple[Method, ...] = (),
        signals: tuple[Signal, ...] = (),
        properties: tuple[Property, ...] = (),
    ) -> None:
        self.name = name
        self.methods = methods
        self.signals = signals
        self.properties = properties
        self._by_name = {method.name: method for method in methods}
        self._carried = {signal.name: _joined(signal.carries) for signal in signals}
        self._readable = {prop.name: prop for prop in properties}
        keys = dict.fromkeys(prop.key for prop in properties)
        self._by_key = {key: tuple(prop for prop in properties if prop.key == key) for key in keys}

    def property(self, name: str) -> Property | None:
        """Find a property by its name."""
        return self._readable.get(name)

    def saying(self, key: str) -> tuple[Property, ...]:
        """Find the properties that say the same as a key of the document."""
        return self._by_key.get(key, ())

    def method(self, name: str) -> Method | None:
        """Find a method by its name."""
        return self._by_name.get(name)

    def signal(self, path: str, name: str, body: list[Any], *, to: str | None = None) -> Message:
        """Make a signal of an object at a path, to everybody who listens or to one client only."""
        return Message(
            message_type=MessageType.SIGNAL,
            destination=to,
            path=path,
            interface=self.name,
            member=name,
            signature=self._carried[name],
            body=body,
        )


def _options(options: tuple[Port | Profile, ...]) -> list[list[str]]:
    return [[o.name, o.description, o.available.value] for o in options]


def _ports(_state: MixerState, target: Device | Card) -> list[list[str]]:
    return _options(target.ports)


def _positions(_state: MixerState, target: Target) -> list[str]:
    return list(target.positions) if isinstance(target, Device | Stream) else []


def _card_path(state: MixerState, device: Device) -> str:
    card = None if device.card is None else state.cards.get(device.card)
    return NOWHERE if card is None else path_of(card)


def _device_path(state: MixerState, stream: Stream) -> str:
    device = state.device_of(stream)
    return NOWHERE if device is None else path_of(device)


def _app_path(state: MixerState, stream: Stream) -> str:
    app = state.apps.get(stream.identity.app_id)
    return NOWHERE if app is None else path_of(app)


def _app_paths(state: MixerState, group: Group) -> list[str]:
    return [*dict.fromkeys(_app_path(state, stream) for stream in state.streams_of(group))]


def _stream_paths(state: MixerState, owner: App | Group) -> list[str]:
    return [path_of(stream) for stream in state.streams_of(owner)]


def _server_index(_state: MixerState, target: Target) -> int:
    return 0 if isinstance(target, App | Group) else target.index


def _constant_name(_state: MixerState, target: Target) -> str:
    match target:
        case Stream():
            return str(target.number)
        case App():
            return target.app_id
        case Device() | Group() | Card():
            return target.name


NODE = Interface(
    name=f"{BUS_NAME}.Node",
    methods=(Method("GetProperties", returns=(("properties", "a{ss}"),)),),
    properties=(
        Property(name="Kind", signature="s", key="kind", emits="const"),
        Property(name="Index", signature="u", key="index", read=_server_index),
        Property(name="Name", signature="s", key="name", read=_constant_name, emits="const"),
        Property(name="Description", signature="s", key="description"),
        Property(name="IconName", signature="s", key="icon_name"),
        Property(name="Volume", signature="d", key="volume", writable=True),
        Property(name="Muted", signature="b", key="muted", writable=True),
        Property(name="ChannelVolumes", signature="ad", key="channel_volumes", writable=True),
        Property(name="ChannelPositions", signature="as", key="positions", read=_positions),
        Property(name="State", signature="s", key="state"),
        Property(name="MaxVolume", signature="d", key="max_volume"),
        Property(name="VolumeWritable", signature="b", key="volume_writable"),
        Property(name="Locked", signature="b", key="locked"),
    ),
)

DEVICE = Interface(
    name=f"{BUS_NAME}.Device",
    properties=(
        Property(name="Default", signature="b", key="default"),
        Property(name="ActivePort", signature="s", key="active_port", writable=True),
        Property(name="Ports", signature="a(sss)", key="ports", read=_ports),
        Property(name="Card", signature="o", key="card", read=_card_path),
        Property(name="Monitor", signature="b", key="monitor", emits="const"),
        Property(name="Virtual", signature="b", key="virtual", emits="const"),
        Property(name="FormFactor", signature="s", key="form_factor", emits="const"),
        Property(name="Bus", signature="s", key="bus", emits="const"),
    ),
)

STREAM = Interface(
    name=f"{BUS_NAME}.Stream",
    properties=(
        Property(name="Device", signature="o", key="device", read=_device_path, writable=True),
        Property(name="Corked", signature="b", key="corked"),
        Property(name="MediaName", signature="s", key="media_name"),
        Property(name="RoutedBy", signature="s", key="routed_by"),
        Property(name="App", signature="o", key="app_id", read=_app_path),
        Property(name="AppName", signature="s", key="app_name"),
        Property(name="AppId", signature="s", key="app_id"),
        Property(name="Binary", signature="s", key="binary"),
        Property(name="Role", signature="s", key="role"),
        Property(name="ProcessId", signature="u", key="pid"),
        Property(name="Direction", signature="s", key="direction", emits="const"),
        Property(name="Hidden", signature="b", key="hidden"),
        Property(name="Group", signature="s", key="group"),
    ),
)

APP = Interface(
    name=f"{BUS_NAME}.App",
    properties=(
        Property(name="AppId", signature="s", key="app_id", emits="const"),
        Property(name="AppName", signature="s", key="name"),
        Property(name="Streams", signature="ao", key="streams", read=_stream_paths),
        Property(name="Active", signature="b", key="active"),
        Property(name="Hidden", signature="b", key="hidden"),
        Property(name="PreferredDevice", signature="s", key="preferred_device", writable=True),
        Property(name="PreferredSource", signature="s", key="preferred_source", writable=True),
    ),
)

GROUP = Interface(
    name=f"{BUS_NAME}.Group",
    properties=(
        Property(name="Streams", signature="ao", key="streams", read=_stream_paths),
        Property(name="Apps", signature="ao", key="apps", read=_app_paths),
        Property(name="Active", signature="b", key="active"),
        Property(name="Hidden", signature="b", key="hidden"),
    ),
)

CARD = Interface(
    name=f"{BUS_NAME}.Card",
    methods=(Method("GetProperties", returns=(("properties", "a{ss}"),)),),
    properties=(
        Property(name="Index", signature="u", key="index"),
        Property(name="Name", signature="s", key="name", emits="const"),
        Property(name="Description", signature="s", key="description"),
        Property(name="IconName", signature="s", key="icon_name"),
        Property(
            name="Profiles", signature="a(sss)", key="profiles", read=lambda _, card: _options(card.profiles)
        ),
        Property(name="ActiveProfile", signature="s", key="active_profile", writable=True),
        Property(name="Ports", signature="a(sss)", key="ports", read=_ports),
    ),
)

_OPTIONS: Argument = ("options", "a{sv}")

MIXER = Interface(
    name=BUS_NAME,
    methods=(
        Method(
            "SetVolume",
            takes=(("target", "s"), ("volume", "d"), _OPTIONS),
            returns=(("effective", "d"),),
        ),
        Method(
            "AdjustVolume",
            takes=(("target", "s"), ("delta", "d"), _OPTIONS),
            returns=(("effective", "d"),),
        ),
        Method("FadeVolume", takes=(("target", "s"), ("volume", "d"), ("milliseconds", "u"), _OPTIONS)),
        Method("SetMuted", takes=(("target", "s"), ("mode", "s"), _OPTIONS), returns=(("muted", "b"),)),
        Method("SetDefault", takes=(("target", "s"),)),
        Method("Move", takes=(("target", "s"), ("device", "s"), _OPTIONS), returns=(("moved", "ao"),)),
        Method("SetPort", takes=(("target", "s"), ("port", "s"))),
        Method("SetProfile", takes=(("card", "s"), ("profile", "s"))),
        Method("Resolve", takes=(("target", "s"),), returns=(("objects", "ao"),)),
        Method(
            "Apply",
            takes=(("generation", "t"), ("changes", "a(oa{sv})"), _OPTIONS),
            returns=(("new_generation", "t"),),
        ),
        Method("Undo", takes=(("steps", "u"),), returns=(("undone", "u"),)),
        Method("SetLock", takes=(("target", "s"), ("locked", "b"))),
        Method("SetCap", takes=(("target", "s"), ("max_volume", "d"))),
        Method("Forget", takes=(("target", "s"),)),
        Method("Describe", takes=(_OPTIONS,), returns=(("state", "s"),)),
        Method("ExplainStream", takes=(("target", "s"),), returns=(("explanation", "s"),)),
        Method(
            "HoldRouting",
            takes=(("target", "s"), ("reason", "s"), ("app_id", "s")),
            returns=(("cookie", "u"),),
        ),
        Method("ReleaseHold", takes=(("cookie", "u"),)),
        Method("OpenMeter", takes=(("targets", "as"), _OPTIONS), returns=(("frames", "h"),)),
        Method("ReloadConfig"),
        Method("Stats", returns=(("statistics", "s"),)),
        Method("Trace", takes=(_OPTIONS,), returns=(("events", "s"),)),
        Method("FollowTrace", takes=(("follow", "b"),)),
        Method("Profile", takes=(("seconds", "u"),), returns=(("file", "s"),)),
    ),
    signals=(
        Signal(
            name="ClientChange",
            carries=(
                ("object", "o"),
                ("property", "s"),
                ("value", "v"),
                ("client", "s"),
                ("context", "s"),
                ("quiet", "b"),
            ),
        ),
        Signal(
            name="VolumeClamped",
            carries=(("object", "o"), ("requested", "d"), ("effective", "d"), ("reason", "s")),
        ),
        Signal(
            name="RuleApplied",
            carries=(("rule", "s"), ("stream", "o"), ("device", "o"), ("outcome", "s")),
        ),
        Signal(name="HoldReleased", carries=(("cookie", "u"), ("reason", "s"))),
        Signal(name="Traced", carries=(("events", "s"),)),
    ),
    properties=(
        Property(name="Version", signature="s", key="version", emits="const"),
        Property(name="InstanceId", signature="s", key="instance_id", emits="const"),
        Property(name="Features", signature="as", key="features", emits="const"),
        Property(name="Connected", signature="b", key="connected"),
        Property(name="ServerName", signature="s", key="server_name"),
        Property(name="ServerVersion", signature="s", key="server_version"),
        Property(name="DefaultSink", signature="o", key="default_sink"),
        Property(name="DefaultSource", signature="o", key="default_source"),
        Property(name="MaxVolume", signature="d", key="max_volume", writable=True),
        Property(name="ConfigError", signature="s", key="config_error"),
        Property(name="StateError", signature="s", key="state_error"),
        Property(name="Holds", signature="aa{sv}", key="holds"),
        Property(name="Generation", signature="t", key="generation", emits="false"),
    ),
)

RULES = Interface(
    name=f"{BUS_NAME}.Rules",
    methods=(
        Method("ListRules", returns=(("revision", "u"), ("rules", "aa{sv}"))),
        Method("SetRules", takes=(("revision", "u"), ("rules", "aa{sv}")), returns=(("new_revision", "u"),)),
        Method("AddRule", takes=(("rule", "a{sv}"), ("position", "i")), returns=(("new_revision", "u"),)),
        Method("RemoveRule", takes=(("name", "s"),), returns=(("new_revision", "u"),)),
        Method("MoveRule", takes=(("name", "s"), ("position", "u")), returns=(("new_revision", "u"),)),
        Method("TestRules", takes=(("rules", "aa{sv}"),), returns=(("results", "a(oos)"),)),
        Method("TestProperties", takes=(("rules", "aa{sv}"), ("facts", "a{ss}")), returns=(("result", "s"),)),
        Method("SuggestRules", returns=(("rules", "aa{sv}"),)),
        Method("Remember", takes=(("target", "s"),), returns=(("names", "as"),)),
    ),
    properties=(
        Property(name="Enabled", signature="b", key="rules_enabled", writable=True),
        Property(name="Revision", signature="u", key="rules_revision"),
    ),
)

OBJECT_MANAGER = Interface(
    name="org.freedesktop.DBus.ObjectManager",
    methods=(Method("GetManagedObjects", returns=(("objects", "a{oa{sa{sv}}}"),)),),
    signals=(
        Signal(name="InterfacesAdded", carries=(("object", "o"), ("interfaces", "a{sa{sv}}"))),
        Signal(name="InterfacesRemoved", carries=(("object", "o"), ("interfaces", "as"))),
    ),
)

PROPERTIES = Interface(
    name="org.freedesktop.DBus.Properties",
    methods=(
        Method("Get", takes=(("interface", "s"), ("property", "s")), returns=(("value", "v"),)),
        Method("GetAll", takes=(("interface", "s"),), returns=(("properties", "a{sv}"),)),
        Method("Set", takes=(("interface", "s"), ("property", "s"), ("value", "v"))),
    ),
    signals=(
        Signal(
            name="PropertiesChanged",
            carries=(("interface", "s"), ("changed", "a{sv}"), ("invalidated", "as")),
        ),
    ),
)

INTROSPECTABLE = Interface(
    name="org.freedesktop.DBus.Introspectable",
    methods=(Method("Introspect", returns=(("xml", "s"),)),),
)

PEER = Interface(
    name="org.freedesktop.DBus.Peer",
    methods=(Method("Ping"), Method("GetMachineId", returns=(("machine_id", "s"),))),
)

OURS = (MIXER, NODE, DEVICE, STREAM, APP, GROUP, CARD, RULES)
STANDARD = (PROPERTIES, INTROSPECTABLE, PEER)


def interfaces_of(target: Target) -> tuple[Interface, ...]:
    """Return the interfaces of an object below the root."""
    match target:
        case Stream():
            return (NODE, STREAM)
        case App():
            return (NODE, APP)
        case Device():
            return (NODE, DEVICE)
        case Group():
            return (NODE, GROUP)
        case Card():
            return (CARD,)


def values_of(
    state: MixerState, target: Target, interfaces: tuple[Interface, ...] | None = None
) -> dict[str, Any]:
    """Return the values of all properties of an object, or of some of its interfaces; the names are unique over all."""
    chosen = interfaces_of(target) if interfaces is None else interfaces
    return _values(state, target, describe_target(state, target), chosen)


def _values(
    state: MixerState, target: Target, document: Document, interfaces: tuple[Interface, ...]
) -> dict[str, Any]:
    return {
        p.name: document[p.key] if p.read is None else p.read(state, target)
        for i in interfaces
        for p in i.properties
    }


_SAID: Mapping[str, Callable[[Level], Any]] = {
    "volume": attrgetter("volume"),
    "muted": attrgetter("muted"),
    "channel_volumes": lambda level: list(level.channels),
}

OF_LEVEL: Mapping[tuple[str, ...], tuple[str, Callable[[Level], Any]]] = {
    (NODE.name, prop.name): (prop.signature, _SAID[prop.key]) for prop in NODE.properties if prop.key in _SAID
}
"""The properties that say how loud an object is: their types, and what they say of a level, which is had without the rest."""


def default_shown(state: MixerState, kind: Kind) -> tuple[Device, Document]:
    """Return the device that the alias of a default shows, and its document; State is `absent` where there is none."""
    device = state.default(kind)
    if device is not None:
        return device, describe_device(state, device)
    return ABSENT_DEVICE, {**describe_device(state, ABSENT_DEVICE), "kind": kind.value}


def alias_values(state: MixerState, kind: Kind) -> dict[str, Any]:
    """Return the values that the alias of a default device shows."""
    return _values(state, *default_shown(state, kind), (NODE, DEVICE))
