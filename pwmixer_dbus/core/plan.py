"""What the service does of its own accord when something changed, each command with its reason.

So far: a new stream of an application gets the volume and mute that a person asked of that application.
"""

from collections.abc import Iterable

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import Command, SetMuted, SetVolume
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
