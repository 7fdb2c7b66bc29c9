"""Shows on the screen what has become of a volume: one desktop notification, which replaces the one before it.

Shown is what a person has asked for or taken back, unless quietly, also where it was so before, as at the end of the
scale; and what other programs do to the default devices. Never what the service does of its own accord, what an
application does to itself, or what is there when it starts.
"""

import asyncio
import logging
from typing import NamedTuple, Protocol

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import SERVER, Command, Origin, SetMuted, SetVolume, sounds_so
from pwmixer_dbus.core.document import describe_app, describe_device
from pwmixer_dbus.core.model import App, Device, Kind, Stream
from pwmixer_dbus.core.settings import OsdSettings
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.verbs import Plan
from pwmixer_dbus.mixer import Mixer

log = logging.getLogger(__name__)

SPACING = 0.05
"""Least seconds between two notifications; what changes meanwhile is in the next one."""

LATE = 2.0
"""For how many seconds a value that was asked for may be shown by the server and still be that request's."""

_LOUD, _LOW = 2 / 3, 1 / 3

_AUDIBLE = (Device, Stream)

Subject = tuple[Kind, int] | str
"""A device by its key, or an application by its id."""


class Notice(NamedTuple):
    """What stands on the screen. `percent` is for a bar, 0 to 100; it goes away by itself after `seconds`."""

    title: str
    text: str
    icon: str
    percent: int
    seconds: float


class Screen(Protocol):
    """Whoever shows notices."""

    async def show(self, notice: Notice, replaced: int) -> int:
        """Show one instead of another (0: of none), and return its number; raises OSError where that cannot be."""


class OnScreenDisplay:
    """Tells a screen of changes from now on; at most one notice is on its way, and then the latest follows."""

    def __init__(self, mixer: Mixer, settings: OsdSettings, screen: Screen) -> None:
        self._mixer = mixer
        self._settings = settings
        self._screen = screen
        self._loop = asyncio.get_running_loop()
        self._latest: Subject | None = None
        self._showing: asyncio.Task[None] | None = None
        self._shown = 0
        self._shown_at = 0.0
        self._is_told = False
        self._leave = mixer.subscribe(self._on_change)
        self._leave_requests = mixer.hear(self._on_request)

    def close(self) -> None:
        """Stop; a notice on the screen goes away by itself."""
        self._leave()
        self._leave_requests()
        if self._showing is not None:
            self._showing.cancel()

    def _on_change(self, before: MixerState, changes: tuple[Change, ...], origin: Origin) -> None:
        # What differs after a time without a server has not just been changed.
        if not (before.connected and self._mixer.state.connected):
            return
        for change in changes:
            subject = self._subject(change, origin)
            if subject is not None:
                self._latest = subject
        self._show_soon()

    def _on_request(self, plan: Plan, origin: Origin) -> None:
        """Show what already is as it was asked for; what changes now or later is heard of by `_on_change`."""
        if origin.kind != "user" or origin.quiet:
            return
        found = {self._asked(command) for command in plan.commands}
        if len(found) == 1:
            self._latest = found.pop() or self._latest
            self._show_soon()

    def _asked(self, command: Command) -> Subject | None:
        """Return the subject of a command that is in force already; None where it is not, or has none."""
        if not isinstance(command, SetVolume | SetMuted):
            return None
        state = self._mixer.state
        record = state.audible(command.key)
        return _subject_of(record) if record is not None and sounds_so(record, command) else None

    def _show_soon(self) -> None:
        if self._latest is not None and self._showing is None:
            self._showing = self._loop.create_task(self._show())

    def _subject(self, change: Change, origin: Origin) -> Subject | None:
        """Return the subject that a change is shown as; None where it is not shown."""
        before, after = change.before, change.after
        if not isinstance(after, _AUDIBLE) or not isinstance(before, _AUDIBLE):
            return None
        who = self._behind(after) if origin is SERVER else origin
        is_default = isinstance(after, Device) and self._mixer.state.default(after.kind) == after
        if who.quiet or not (who.kind in {"user", "undo"} or (is_default and who.kind == "server")):
            return None
        if gain.level(before.channels) == gain.level(after.channels) and before.muted == after.muted:
            return None
        return _subject_of(after)

    def _behind(self, record: Device | Stream) -> Origin:
        """Say who is behind a change by the server, which may show what was asked of it some time later."""
        writes = self._mixer.writes_of((record.kind, record.index))
        if not writes:
            return SERVER
        late = (
            w for w in writes.values() if self._loop.time() - w.at < LATE and sounds_so(record, w.command)
        )
        return next((write.origin for write in late), SERVER)

    async def _show(self) -> None:
        try:
            while self._latest is not None:
                subject, self._latest = self._latest, None
                notice = self._notice(subject)
                if notice is not None:
                    await self._send(notice)
                    await asyncio.sleep(SPACING)
        finally:
            self._showing = None

    async def _send(self, notice: Notice) -> None:
        # Numbers are given anew when the notification service is, so that an old one may be somebody else's.
        is_there = self._loop.time() - self._shown_at < self._settings.seconds
        try:
            self._shown = await self._screen.show(notice, self._shown if is_there else 0)
        except OSError as error:
            if not self._is_told:
                log.warning("changes cannot be shown on the screen: %s", error)
            self._is_told, self._shown = True, 0
        else:
            self._is_told = False
        self._shown_at = self._loop.time()

    def _notice(self, subject: Subject) -> Notice | None:
        """Describe how things are now; None where it has gone."""
        state = self._mixer.state
        target = state.apps.get(subject) if isinstance(subject, str) else state.devices.get(subject)
        match target:
            case App():
                document = describe_app(state, target)
            case Device():
                document = describe_device(state, target)
            case _:
                return None
        volume, muted = float(str(document["volume"])), bool(document["muted"])
        return Notice(
            title=str(document["description"] or document["name"]),
            text="muted" if muted else f"{volume:.0%}",
            icon=_icon(document["kind"] == Kind.SOURCE, volume, muted=muted),
            percent=min(round(volume * 100), 100),
            seconds=self._settings.seconds,
        )


def _subject_of(record: Device | Stream) -> Subject | None:
    if isinstance(record, Device):
        return record.kind, record.index
    return None if record.hidden else record.identity.app_id


def _icon(is_source: bool, volume: float, *, muted: bool) -> str:
    """Name an icon of the freedesktop and GNOME themes."""
    level = "high" if volume > _LOUD else "medium" if volume > _LOW else "low"
    return f"{'microphone-sensitivity' if is_source else 'audio-volume'}-{'muted' if muted or not volume else level}"
