"""The desktop's notifications, asked over the bus on which we serve."""

from typing import Protocol

from dbus_fast import Message, Variant

from pwmixer_dbus.outlets.bus.connection import BusConnection

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"


class Notice(Protocol):
    """What is shown: `percent` as a bar, for `seconds`."""

    @property
    def title(self) -> str:
        """What it is about."""

    @property
    def text(self) -> str:
        """What has become of it."""

    @property
    def icon(self) -> str:
        """A name from the icon theme."""

    @property
    def percent(self) -> int:
        """0 to 100."""

    @property
    def seconds(self) -> float:
        """After which it goes away."""


class Notifications:
    """Shows notices one after the other, each instead of the one before."""

    def __init__(self, connection: BusConnection) -> None:
        self._connection = connection

    async def show(self, notice: Notice, replaced: int) -> int:
        """Show a notice instead of another (0: of none), and return its number.

        Raises OSError where there is no service for it, or it refuses.
        """
        # Not x-canonical-private-synchronous, which says the same as `replaced`: where both are there, mako 1.7 crashes. Of
        # low urgency (0), GNOME Shell puts it among those to be read some day, and shows nothing (48).
        hints = {
            "value": Variant("i", notice.percent),
            "urgency": Variant("y", 1),
            "transient": Variant("b", True),
            "suppress-sound": Variant("b", True),
        }
        body = ["pwmixer", replaced, notice.icon, notice.title, _escaped(notice.text), [], hints]
        answer = await self._connection.ask(
            Message(
                destination=NAME,
                path=PATH,
                interface=NAME,
                member="Notify",
                signature="susssasa{sv}i",
                body=[*body, round(notice.seconds * 1000)],
            )
        )
        number = answer[0] if answer else 0
        return number if isinstance(number, int) else 0


def _escaped(text: str) -> str:
    """Keep text from being taken for markup, which the body of a notification may have."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
