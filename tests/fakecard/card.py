"""A sound card that does not exist: what it has, and how it answers PipeWire and WirePlumber.

It exports a device with profiles and ports (PipeWire's routes), and makes a node without hardware for every sink and
source of the active profile. WirePlumber chooses its profile and ports as it does for an ALSA card, and pipewire-pulse
shows it as one. Every port keeps a volume of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fakecard import pod
from fakecard.native import DEVICE, NODE, NativeConnection

# Parameters of a device, and the types of the objects that carry them
ENUM_PROFILE, PROFILE, ENUM_ROUTE, ROUTE = 8, 9, 12, 13
PROPS_PARAM, PROPS_TYPE, PROFILE_TYPE, ROUTE_TYPE = 2, 0x40002, 0x40007, 0x40009
# Keys in those objects
P_INDEX, P_NAME, P_DESCRIPTION, P_PRIORITY, P_AVAILABLE, P_CLASSES, P_SAVE = 1, 2, 3, 4, 5, 7, 8
R_INDEX, R_DIRECTION, R_DEVICE, R_NAME, R_DESCRIPTION, R_PRIORITY, R_AVAILABLE = 1, 2, 3, 4, 5, 6, 7
R_INFO, R_PROFILES, R_PROPS, R_DEVICES, R_PROFILE, R_SAVE = 8, 9, 10, 11, 12, 13
MUTE, VOLUMES, BASE, STEP, POSITIONS = 0x10004, 0x10008, 0x10009, 0x1000A, 0x1000B
FRONT_LEFT, FRONT_RIGHT = 3, 4
# Methods that are called on a device, events that it sends, and a method of a node
SYNC, ENUM_PARAMS, SET_PARAM = 1, 2, 3
INFO, RESULT = 0, 1
NODE_SET_PARAM = 3
DEVICE_PARAMS = 1
PROPERTIES_AND_PARAMS, ONLY_PARAMS = 6, 4
CHANGED, READ, WRITE = 1, 2, 4

AVAILABILITY = {"unknown": 0, "no": 1, "yes": 2}
_RANK = {"no": 0, "unknown": 1, "yes": 2}
INITIAL_VOLUME = 0.4**3
"""Linear, as everything here; people call it 40 %."""


@dataclass
class Port:
    """A connector of one sink or source, with its own volume."""

    name: str
    description: str
    kind: str
    unit: str
    priority: int
    available: str
    volumes: list[float] = field(default_factory=lambda: [INITIAL_VOLUME] * 2)
    muted: bool = False
    saved: bool = False


@dataclass
class Unit:
    """A sink or source of the card, which exists as a node while the active profile has it."""

    name: str
    description: str
    is_sink: bool
    port: Port | None = None
    node: int | None = None


@dataclass(frozen=True)
class Profile:
    """A set of units."""

    name: str
    description: str
    priority: int
    units: tuple[str, ...] = ()


PROFILES = (
    Profile("off", "Off", 0),
    Profile(
        "output:analog+input:analog",
        "Analog Stereo Duplex",
        6500,
        ("output.analog-stereo", "input.analog-stereo"),
    ),
    Profile("output:analog", "Analog Stereo Output", 6000, ("output.analog-stereo",)),
    Profile("output:hdmi", "HDMI Output", 5000, ("output.hdmi-stereo",)),
)


class Card:
    """The card on a connection; see the methods for what can happen to it."""

    def __init__(self, connection: NativeConnection, name: str, description: str) -> None:
        self._connection = connection
        self._name = name
        self._description = description
        self._units = [
            Unit("output.analog-stereo", "Analog Stereo", is_sink=True),
            Unit("input.analog-stereo", "Analog Stereo", is_sink=False),
            Unit("output.hdmi-stereo", "HDMI Stereo", is_sink=True),
        ]
        self._ports = [
            Port("analog-output-speaker", "Speakers", "speaker", "output.analog-stereo", 9000, "unknown"),
            Port("analog-output-headphones", "Headphones", "headphones", "output.analog-stereo", 9900, "no"),
            Port("analog-input-mic", "Microphone", "mic", "input.analog-stereo", 8700, "yes"),
            Port("hdmi-output", "HDMI", "hdmi", "output.hdmi-stereo", 5900, "no"),
        ]
        self._profile = 0
        self._profile_saved = False
        self._device: int | None = None
        self._global_id: int | None = None
        self._flags = dict.fromkeys((ENUM_PROFILE, PROFILE, ENUM_ROUTE, ROUTE), 0)

    def plug(self) -> None:
        """Appear, as a new object, with all that was set before."""
        if self._device is not None:
            return
        properties = {
            "device.name": f"alsa_card.{self._name}",
            "device.description": self._description,
            "device.nick": self._description,
            "media.class": "Audio/Device",
            "device.api": "alsa",
            "device.bus": "pci",
            "device.icon-name": "audio-card-analog",
            "alsa.card_name": self._description,
            "object.path": f"fake:{self._name}",
        }
        self._device = self._connection.create(
            "client-device", DEVICE, 0, properties, on_message=self._on_message, on_bound=self._on_bound
        )
        self._announce(PROPERTIES_AND_PARAMS)

    def unplug(self) -> None:
        """Vanish with all sinks and sources."""
        if self._device is None:
            return
        for unit in self._units:
            self._remove_node(unit)
            unit.port = None
        self._connection.destroy(self._device)
        self._device = self._global_id = None

    def set_jack(self, name: str, available: str) -> None:
        """Plug something into a port, pull it out, or let nobody know."""
        (port,) = [p for p in self._ports if p.name == name]
        profiles = [self._availability_of(p) for p in PROFILES]
        port.available = available
        if [self._availability_of(p) for p in PROFILES] != profiles:
            self._changed(ENUM_PROFILE, PROFILE)
        # An ALSA card announces its routes even where the active ones are as they were. WirePlumber 0.5.8 then now and then
        # takes what was active before its own choice for somebody's wish, and goes back to it.
        self._changed(ENUM_ROUTE, *([ROUTE] if port in (u.port for u in self._active_units()) else []))

    def set_profile(self, index: int, *, save: bool = False) -> None:
        """Change the profile, and with it the sinks and sources."""
        self._profile, self._profile_saved = index, save
        for unit in self._units:
            if unit.name not in PROFILES[index].units:
                self._remove_node(unit)
            elif unit.node is None and self._global_id is not None:
                self._add_node(unit)
        self._changed(PROFILE, ENUM_ROUTE, ROUTE)

    def _on_bound(self, global_id: int) -> None:
        self._global_id = global_id
        self.set_profile(self._profile, save=self._profile_saved)

    def _on_message(self, opcode: int, arguments: list[Any]) -> None:
        if opcode == SYNC:
            self._result(arguments[0])
        elif opcode == ENUM_PARAMS:
            self._send_params(*arguments[:4])
        elif opcode == SET_PARAM:
            param, _, wanted = arguments[:3]
            if param == PROFILE:
                self._take_profile(wanted or {})
            elif param == ROUTE:
                self._take_route(wanted or {})

    def _take_profile(self, wanted: Mapping[int, Any]) -> None:
        by_name = [i for i, p in enumerate(PROFILES) if p.name == wanted.get(P_NAME)]
        index = wanted.get(P_INDEX, by_name[0] if by_name else 1)
        if 0 <= index < len(PROFILES):
            self.set_profile(index, save=wanted.get(P_SAVE, False))

    def _take_route(self, wanted: Mapping[int, Any]) -> None:
        by_name = [i for i, p in enumerate(self._ports) if p.name == wanted.get(R_NAME)]
        index = wanted.get(R_INDEX, by_name[0] if by_name else -1)
        if not 0 <= index < len(self._ports):
            return
        port = self._ports[index]
        unit = self._unit_of(port)
        if wanted.get(R_DEVICE) != self._units.index(unit):
            return
        before = (unit.port, port.muted, port.volumes, port.saved)
        properties = wanted.get(R_PROPS) or {}
        volumes = properties.get(VOLUMES) or port.volumes
        port.muted, port.volumes = properties.get(MUTE, port.muted), [volumes[0], volumes[-1]]
        port.saved = wanted.get(R_SAVE, False)
        unit.port = port
        # WirePlumber answers to an announcement: one of nothing new would go round for ever.
        if before != (port, port.muted, port.volumes, port.saved):
            self._set_node_volume(unit)
            self._changed(ROUTE)

    def _availability_of(self, profile: Profile) -> str:
        """Return that of the best port of what the profile has first."""
        ports = [p.available for p in self._ports if p.unit in profile.units[:1]]
        return max(ports, key=_RANK.__getitem__, default="yes")

    def _unit_of(self, port: Port) -> Unit:
        return next(u for u in self._units if u.name == port.unit)

    def _active_units(self) -> list[Unit]:
        return [u for u in self._units if u.name in PROFILES[self._profile].units]

    # --- nodes ---------------------------------------------------------------------------------------------------

    def _add_node(self, unit: Unit) -> None:
        if unit.port is None:
            ports = [p for p in self._ports if p.unit == unit.name]
            unit.port = max(ports, key=lambda p: (_RANK[p.available], p.priority))
        properties = {
            "factory.name": "support.null-audio-sink",
            "node.name": f"alsa_{unit.name.replace('.', f'.{self._name}.')}",
            "node.description": f"{self._description} {unit.description}",
            "media.class": "Audio/Sink" if unit.is_sink else "Audio/Source/Virtual",
            "audio.position": "[ FL FR ]",
            "monitor.channel-volumes": "false",
            "device.id": str(self._global_id),
            "device.api": "alsa",
            "device.class": "sound",
            "device.routes": str(sum(p.unit == unit.name for p in self._ports)),
            "card.profile.device": str(self._units.index(unit)),
            "priority.session": "1009" if unit.is_sink else "2009",
        }
        unit.node = self._connection.create(
            "adapter", NODE, 3, properties, on_message=lambda *_: None, on_bound=lambda _: None
        )
        self._set_node_volume(unit)

    def _remove_node(self, unit: Unit) -> None:
        if unit.node is not None:
            self._connection.destroy(unit.node)
            unit.node = None

    def _set_node_volume(self, unit: Unit) -> None:
        """Let the node show and apply the volume, which a real card would do in its own mixer."""
        if unit.node is None or unit.port is None:
            return
        values = {MUTE: pod.boolean(unit.port.muted), VOLUMES: pod.array(pod.FLOAT, unit.port.volumes)}
        properties = pod.thing(PROPS_TYPE, PROPS_PARAM, values)
        self._connection.send(unit.node, NODE_SET_PARAM, pod.ident(PROPS_PARAM), pod.integer(0), properties)

    # --- the device's events ---------------------------------------------------------------------------------------

    def _changed(self, *params: int) -> None:
        for param in params:
            self._flags[param] ^= CHANGED
        if self._device is not None:
            self._announce(ONLY_PARAMS)

    def _announce(self, mask: int) -> None:
        if self._device is None:
            return
        writable = {PROFILE, ROUTE}
        params = [
            pod.ident(param) + pod.integer(READ | (WRITE if param in writable else 0) | changed)
            for param, changed in self._flags.items()
        ]
        properties = {"device.api": "alsa", "media.class": "Audio/Device"}
        info = pod.sequence(
            pod.long(mask), pod.long(0), pod.pairs(properties), pod.integer(len(params)), *params
        )
        self._connection.send(self._device, INFO, info)

    def _result(self, sequence: int, *more: bytes) -> None:
        if self._device is not None:
            kind = DEVICE_PARAMS if more else 0
            self._connection.send(
                self._device, RESULT, pod.integer(sequence), pod.integer(0), pod.ident(kind), *more
            )

    def _send_params(self, sequence: int, param: int, start: int, count: int) -> None:
        values = self._params(param)
        for index in range(start, len(values))[: count & 0xFFFFFFFF]:
            self._result(
                sequence, pod.ident(param), pod.integer(index), pod.integer(index + 1), values[index]
            )

    def _params(self, param: int) -> list[bytes]:
        if param == ENUM_PROFILE:
            return [self._profile_param(param, i) for i in range(len(PROFILES))]
        if param == PROFILE:
            return [self._profile_param(param, self._profile)]
        if param == ENUM_ROUTE:
            return [self._route_param(param, port) for port in self._ports]
        if param == ROUTE:
            return [self._route_param(param, u.port) for u in self._active_units() if u.port is not None]
        return []

    def _profile_param(self, param: int, index: int) -> bytes:
        profile = PROFILES[index]
        classes = [
            pod.sequence(
                pod.string("Audio/Sink" if unit.is_sink else "Audio/Source"),
                pod.integer(1),
                pod.string("card.profile.devices"),
                pod.array(pod.INT, [number]),
            )
            for number, unit in enumerate(self._units)
            if unit.name in profile.units
        ]
        return pod.thing(
            PROFILE_TYPE,
            param,
            {
                P_INDEX: pod.integer(index),
                P_NAME: pod.string(profile.name),
                P_DESCRIPTION: pod.string(profile.description),
                P_PRIORITY: pod.integer(profile.priority),
                P_AVAILABLE: pod.ident(AVAILABILITY[self._availability_of(profile)]),
                P_CLASSES: pod.sequence(pod.integer(len(classes)), *classes),
            }
            | ({P_SAVE: pod.boolean(self._profile_saved)} if param == PROFILE else {}),
        )

    def _route_param(self, param: int, port: Port) -> bytes:
        unit = self._unit_of(port)
        number = self._units.index(unit)
        profiles = [i for i, p in enumerate(PROFILES) if unit.name in p.units]
        values = {
            R_INDEX: pod.integer(self._ports.index(port)),
            R_DIRECTION: pod.ident(int(unit.is_sink)),
            R_NAME: pod.string(port.name),
            R_DESCRIPTION: pod.string(port.description),
            R_PRIORITY: pod.integer(port.priority),
            R_AVAILABLE: pod.ident(AVAILABILITY[port.available]),
            R_INFO: pod.sequence(pod.pairs({"port.type": port.kind})),
            R_PROFILES: pod.array(pod.INT, profiles),
            R_DEVICES: pod.array(pod.INT, [number]),
        }
        if param == ROUTE:
            volume = {
                MUTE: pod.boolean(port.muted),
                VOLUMES: pod.array(pod.FLOAT, port.volumes),
                BASE: pod.real(1.0),
                STEP: pod.real(1 / 65536),
                POSITIONS: pod.array(pod.ID, [FRONT_LEFT, FRONT_RIGHT]),
            }
            values |= {
                R_DEVICE: pod.integer(number),
                R_PROFILE: pod.integer(self._profile),
                R_PROPS: pod.thing(PROPS_TYPE, param, volume, hardware=(MUTE, VOLUMES)),
                R_SAVE: pod.boolean(port.saved),
            }
        return pod.thing(ROUTE_TYPE, param, values)
