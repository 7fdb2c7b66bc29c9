"""What `levels` and `answers` write by hand, written by dbus-fast: `PWMIXER_PLAIN=1` puts this file in the place of both.

Tests hold those two to it, byte by byte.
"""

from dbus_fast import Message, MessageType, Variant

from pwmixer_dbus.core.document import Level
from pwmixer_dbus.outlets.bus.interfaces import NODE, PROPERTIES


def level_changed(path: str, old: Level, new: Level) -> bytearray | None:
    """Write the signal that an object is as loud as it is now, without a serial; None where it was so before."""
    volume, muted, channels = new
    changed = {
        "Volume": volume != old.volume and Variant("d", volume),
        "Muted": muted != old.muted and Variant("b", muted),
        "ChannelVolumes": channels != old.channels and Variant("ad", list(channels)),
    }
    entries = {name: value for name, value in changed.items() if value}
    if not entries:
        return None
    return _written(
        Message(
            message_type=MessageType.SIGNAL,
            path=path,
            interface=PROPERTIES.name,
            member="PropertiesChanged",
            signature="sa{sv}as",
            body=[NODE.name, entries, []],
        )
    )


def written_value(serial: int, client: str, kind: str, value: float | bool) -> bytearray:
    """Write the answer to a call by its serial and its sender, without a serial of its own."""
    return _written(
        Message(
            message_type=MessageType.METHOD_RETURN,
            reply_serial=serial,
            destination=client,
            signature="v",
            body=[Variant(kind, value)],
        )
    )


def _written(message: Message) -> bytearray:
    return bytearray(message._marshall(False))  # noqa: SLF001 - see the head of `connection`
