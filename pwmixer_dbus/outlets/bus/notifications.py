"""The desktop's notifications, asked over the bus on which we serve."""

from dbus_fast import Message, Variant

from pwmixer_dbus.outlets.bus.connection import BusConnection

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"


Notice = tuple[str, str, str, int, float]
"""A title, a text, the name of an icon, percent for a bar, and after how many seconds it goes away."""


class Notifications:
    """Shows notices one after the other, each instead of the one before."""

    def __init__(self, connection: BusConnection) -> None:
        self._connection = connection

    async def show(self, notice: Notice, replaced: int) -> int:
        """Show a notice instead of another (0: of none), and return its number.

        Raises OSError where there is no service for it, or it refuses.
        """
        title, text, icon, percent, seconds = notice
        # Not x-canonical-private-synchronous, which says the same as `replaced`: where both are there, mako 1.7 crashes. Of
        # low urgency (0), GNOME Shell puts it among those to be read some day, and shows nothing (48).
        hints = {
            "value": Variant("i", percent),
            "urgency": Variant("y", 1),
            "transient": Variant("b", True),
            "suppress-sound": Variant("b", True),
        }
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")  # since a body may have markup
        body = ["pwmixer", replaced, icon, title, escaped, [], hints]
        answer = await self._connection.ask(
            Message(
                destination=NAME,
                path=PATH,
                interface=NAME,
                member="Notify",
                signature="susssasa{sv}i",
                body=[*body, round(seconds * 1000)],
            )
        )
        number = answer[0] if answer else 0
        return number if isinstance(number, int) else 0
