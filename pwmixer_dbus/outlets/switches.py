"""Outlets that the configuration switches on and off. None is imported before it is on, and one that fails stops no other."""

import logging
from collections.abc import Callable
from typing import Protocol

from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.outlets.bus.methods import Parts

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """What has been opened; after `close` nothing of it is left: no listener, timer, descriptor or file.

    But for answers that are owed already: what they need may stay until they have been given.
    """

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One outlet: its name for people, its part of the settings, and how it is opened with them.

    `section` returns None where the outlet is off; a section that differs from the last one closes and opens it.
    `open_with` raises OSError or MixerError where that cannot be. An `early` one is opened before we are ready, so that
    whoever comes meanwhile waits and is not refused.
    """

    name: str
    section: Callable[[Settings], object | None]
    open_with: Callable[[Parts, Settings], Outlet]
    early: bool = False


class Switchboard:
    """Keeps open exactly what the settings ask for that it was last told to follow."""

    def __init__(self, parts: Parts, switches: tuple[Switch, ...]) -> None:
        self._parts = parts
        self._switches = switches
        self._open: dict[str, Outlet] = {}
        self._sections: dict[str, object | None] = {}

    def follow(self, settings: Settings, *, early: bool = False) -> None:
        """Open and close outlets as these settings differ from the last ones: all of them, or the early ones only.

        An early one that cannot be opened yet is tried again the next time, and only then told.
        """
        for switch in self._switches:
            if early and not switch.early:
                continue
            section = switch.section(settings)
            if section == self._sections.get(switch.name):
                continue
            self._sections[switch.name] = section
            self._close(switch.name)
            if section is not None:
                self._try(switch, settings, again=early)

    def _try(self, switch: Switch, settings: Settings, *, again: bool) -> None:
        try:
            self._open[switch.name] = switch.open_with(self._parts, settings)
        except (OSError, MixerError) as error:
            if again:
                del self._sections[switch.name]
                return
            log.error("%s is off, since it could not be opened: %s", switch.name, error)

    def _close(self, name: str) -> None:
        outlet = self._open.pop(name, None)
        if outlet is not None:
            outlet.close()

    def close_early(self) -> None:
        """Close the early ones: nobody is let in any more. They are opened again by `follow`."""
        self._close_again(tuple(switch.name for switch in self._switches if switch.early))

    def open_anew(self, settings: Settings) -> None:
        """Close and open everything: another instance may have put its own in the place of what was open."""
        self._close_again(tuple(self._sections))
        self.follow(settings)

    def _close_again(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._sections.pop(name, None)
            self._close(name)

    def close(self) -> None:
        """Close every outlet, the last opened first; none is opened any more."""
        self._switches = ()
        for name in reversed(tuple(self._open)):
            self._close(name)
