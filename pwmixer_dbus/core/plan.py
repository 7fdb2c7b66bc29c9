"""What the service does of its own accord when something changed, each command with its reason.

So far: a new stream of an application gets the volume and mute that a person asked of that application, until a person
sets one of its streams otherwise with another program.
"""

from collections.abc import Iterable

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import Command, SetMuted, SetVolume
from pwmixer_dbus.core.events import KEEP, AppWanted
from pwmixer_dbus.core.model import Stream
from pwmixer_dbus.core.state import Change, MixerState

Reasoned = tuple[Command, str]


def plan(state: MixerState, changes: Iterable[Change]) -> list[Reasoned]:
    """Return the commands that follow from changes, in order."""
    return [
        reasoned
        for change in changes
        if change.before is None and isinstance(change.after, Stream)
        for reasoned in _welcome(state, change.after)
    ]


def overruled(state: MixerState, changes: Iterable[Change]) -> list[AppWanted]:
    """Return the wishes to give up, given changes that nobody made through us and that were not made at birth."""
    given_up = []
    for change in changes:
        before, after = change.before, change.after
        if not (isinstance(before, Stream) and isinstance(after, Stream)):
            continue
        app = state.apps.get(after.identity.app_id)
        if app is None:
            continue
        level = gain.level(after.channels)
        keeps_volume = before.channels == after.channels or (
            app.volume is not None and gain.same(level, app.volume)
        )
        keeps_mute = after.muted in {before.muted, app.muted}
        given_up.append(
            AppWanted(
                app_id=app.app_id,
                volume=KEEP if keeps_volume else None,
                muted=KEEP if keeps_mute else None,
            )
        )
    return given_up


def _welcome(state: MixerState, stream: Stream) -> list[Reasoned]:
    app = state.apps.get(stream.identity.app_id)
    if app is None or not stream.has_volume:
        return []
    key = (stream.kind, stream.index)
    commands: list[Reasoned] = []
    if app.volume is not None and stream.volume_writable and gain.level(stream.channels) != app.volume:
        channels = gain.with_level(stream.channels, app.volume)
        commands.append((SetVolume(key=key, channels=channels), f"{app.name} was set to {app.volume:.0%}"))
    if app.muted is not None and stream.muted != app.muted:
        commands.append(
            (SetMuted(key=key, muted=app.muted), f"{app.name} was {'' if app.muted else 'un'}muted")
        )
    return commands
