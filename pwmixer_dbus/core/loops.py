"""Whether a stream would hear itself on a device. Pure.

Of a loopback or filter PipeWire tells which streams and devices belong together (`node.link-group`): what goes in at
one comes out at another. Of other programs that record and play nobody can know that.
"""

from pwmixer_dbus.core.model import Device, Kind, Stream
from pwmixer_dbus.core.state import MixerState


def closes_a_loop(state: MixerState, stream: Stream, device: Device) -> bool:
    """Whether what a stream of a loopback or filter plays would come back to it, by whatever ways, from a device.

    Also True as long as another end of it is not linked: where that goes is not known yet.
    """
    group = group_of(stream)
    if not group:
        return False
    others = (s for s in state.streams.values() if s.kind is not stream.kind and group_of(s) == group)
    if any(other.device is None for other in others):
        return True
    if stream.kind is Kind.PLAYBACK:
        return group in _fed(state, device.index)[1]
    if device.monitor_of is None:
        return False
    return any(device.monitor_of in _fed(state, sink)[0] for sink in _outlets(state, group))


def group_of(record: Stream | Device) -> str:
    """Name the loopback or filter that a stream or device is a part of; "" for none."""
    return record.properties.get("node.link-group", "")


def _fed(state: MixerState, sink: int) -> tuple[set[int], set[str]]:
    """Return the indexes of all sinks that get what goes into one, itself among them, and the groups that pass it on."""
    sinks, groups, found = {sink}, set[str](), [sink]
    while found:
        for group in _listeners(state, found.pop()) - groups:
            groups.add(group)
            found += _outlets(state, group) - sinks
            sinks |= _outlets(state, group)
    return sinks, groups


def _listeners(state: MixerState, sink: int) -> set[str]:
    device = state.devices.get((Kind.SINK, sink))
    streams = (s for s in state.streams.values() if s.kind is Kind.CAPTURE)
    monitoring = {group_of(s) for s in streams if (on := state.device_of(s)) and on.monitor_of == sink}
    return (monitoring | ({group_of(device)} if device else set())) - {""}


def _outlets(state: MixerState, group: str) -> set[int]:
    return {
        stream.device
        for stream in state.streams.values()
        if stream.kind is Kind.PLAYBACK and stream.device is not None and group_of(stream) == group
    }
