"""Fades: volumes that go to where a person wants them little by little, and give way to whoever takes hold of them.

Each step is an ordinary command that nobody learns from; the last one is the person's own request. One timer drives all
fades, and there is none without a fade. What a ramp is, and what is its echo, is decided in `core.fading`.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core import fading, gain, verbs
from pwmixer_dbus.core.commands import Origin, SetVolume
from pwmixer_dbus.core.errors import MixerError, NotConnectedError
from pwmixer_dbus.core.events import KEEP
from pwmixer_dbus.core.gain import Channels
from pwmixer_dbus.core.model import App, Card, Device, Group, Key, Kind, Stream
from pwmixer_dbus.core.records import dataclass, field, replace
from pwmixer_dbus.core.selectors import Target, label, selector_of
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.mixer import Mixer

if TYPE_CHECKING:
    from pwmixer_dbus.core.succession import Fading

log = logging.getLogger(__name__)

Arrived = Callable[[Target, verbs.Plan, Origin], None]
Name = Key | tuple[Kind, str]
"""What is faded: a device or a stream by its key, an application by its id, a group by its name."""


@dataclass(slots=True, kw_only=True)
class _Fade:
    """One target on its way. `left` are those of its streams that somebody has taken hold of meanwhile."""

    name: Name
    volume: float
    limit: float
    ends_at: float
    origin: Origin
    ramps: dict[Key, fading.Ramp] = field(default_factory=dict)
    left: set[Key] = field(default_factory=set)

    @property
    def interval(self) -> float:
        """Seconds between two steps."""
        return min(map(fading.interval, self.ramps.values()), default=fading.STEP)


class Fader:
    """All fades. It has to hear of changes before whoever learns from them, so it is made before the keeper.

    `on_arrived` is told of each target that has come to its end, and not of one that was interrupted. `holds` is the
    keeper's.
    """

    def __init__(self, mixer: Mixer) -> None:
        self.on_arrived: Arrived = lambda *_: None
        self.holds: Callable[[Device | Stream], bool] = lambda _: False
        self._mixer = mixer
        self._loop = asyncio.get_running_loop()
        self._fades: dict[Name, _Fade] = {}
        self._moving: dict[Key, tuple[_Fade, fading.Trail]] = {}
        self._overtaken: dict[Key, Channels] = {}
        self._alarm = Alarm(self._go_on)
        mixer.subscribe(self._on_change)
        mixer.hear_first(self._on_request)

    def start(
        self,
        targets: Sequence[Target],
        volume: float,
        *,
        seconds: float,
        limit: float,
        origin: Origin,
    ) -> None:
        """Let targets go to a volume within some seconds, from where they are; a fade of theirs gives way to this one.

        `limit` is the caller's own highest volume. Raises MixerError, before anything is done, for what cannot be.
        """
        state, ends_at = self._mixer.state, self._loop.time() + seconds
        plans = [verbs.set_volume(state, self._mixer.pending, t, volume, limit) for t in targets]
        wanted = verbs.joined(plans)
        if wanted.commands and not state.connected:
            raise NotConnectedError("There is no sound server at the moment.")
        self._interrupt(wanted)
        self._mixer.note(wanted, origin)
        for target in targets:
            self._begin(
                _Fade(name=_name_of(target), volume=volume, limit=limit, ends_at=ends_at, origin=origin)
            )

    def _begin(self, fade: _Fade) -> None:
        self._fades[fade.name] = fade
        self._go_on_with(fade)
        if fade.name in self._fades:
            self._alarm.by(self._due(fade))

    def hand_over(self) -> "tuple[Fading, ...]":
        """Stop every fade where it is, and return them for another instance."""
        from pwmixer_dbus.core.succession import Fading  # noqa: PLC0415 - once in the life of a service

        now, handed = self._loop.time(), []
        for fade in [*self._fades.values()]:
            kind, which = fade.name
            handed.append(
                Fading(
                    kind=kind,
                    index=which if isinstance(which, int) else 0,
                    name="" if isinstance(which, int) else which,
                    volume=fade.volume,
                    limit=fade.limit,
                    remaining=max(fade.ends_at - now, 0.0),
                    origin=fade.origin,
                    left=frozenset(fade.left),
                )
            )
            self._end(fade)
        return tuple(handed)

    def take_over(self, fades: "Iterable[Fading]") -> None:
        """Go on with fades that were handed over, from the volumes that there are now."""
        for each in fades:
            self._begin(
                _Fade(
                    name=(each.kind, each.name) if each.name else (each.kind, each.index),
                    volume=each.volume,
                    limit=each.limit,
                    ends_at=self._loop.time() + each.remaining,
                    origin=each.origin,
                    left=set(each.left),
                )
            )

    def finish(self) -> None:
        """Bring every fade to its end at once."""
        for fade in self._fades.values():
            fade.ends_at = self._loop.time()
        self._go_on()

    # --- the way

    def _go_on(self) -> None:
        """Bring all fades to where they should be by now, but for those that somebody else has taken hold of."""
        self._mixer.tell_levels()
        self._alarm.stop()
        for fade in [*self._fades.values()]:
            if self._fades.get(fade.name) is fade:
                self._go_on_with(fade)
        self._alarm.by(min(map(self._due, self._fades.values()), default=math.inf))

    def _go_on_with(self, fade: _Fade) -> None:
        now, target = self._loop.time(), _found(self._mixer.state, fade.name)
        records = [] if target is None else _records(self._mixer.state, target)
        steady = [record for record in records if _key(record) not in fade.left]
        if target is None or (records and not steady):
            self._end(fade)
        elif now >= fade.ends_at or not records:
            self._end(fade)
            self._arrive(fade, target)
        else:
            try:
                self._give_ramps(fade, target, steady, now)
            except MixerError as error:
                log.info("the fade of %s ends before its end: %s", selector_of(target), error)
                self._end(fade)
                return
            for record in steady:
                self._step(fade, record, now)

    def _give_ramps(
        self, fade: _Fade, target: Target, records: Iterable[Device | Stream], now: float
    ) -> None:
        """Give a ramp to what has none yet, or has other channels now: a stream may be born in the midst of a fade."""
        fresh = [record for record in records if not _fits(fade.ramps.get(_key(record)), record)]
        if not fresh:
            return
        state, pending = self._mixer.state, self._mixer.pending
        plan = verbs.set_volume(state, pending, target, fade.volume, fade.limit)
        ends = {command.key: command.channels for command in plan.commands if isinstance(command, SetVolume)}
        for record in fresh:
            key, begin = _key(record), verbs.channels_of(pending, record)
            fade.ramps[key] = fading.Ramp(begin=begin, end=ends[key], begins_at=now, ends_at=fade.ends_at)
            self._moving[key] = fade, fading.Trail(steps=(record.channels, begin))

    def _step(self, fade: _Fade, record: Device | Stream, now: float) -> None:
        key = _key(record)
        if key not in self._moving:
            return  # left in this very moment: the server has refused a step of another one
        _, trail = self._moving[key]
        channels = fading.at(fade.ramps[key], now)
        limit = min(fade.limit, verbs.max_volume(self._mixer.state, record))
        level, now_at = gain.level(channels), gain.level(verbs.channels_of(self._mixer.pending, record))
        allowed, _ = gain.limited(level, limit, now_at)
        if allowed < level:
            channels = gain.with_level(channels, allowed)
        if fading.is_step(trail.steps[-1], channels):
            self._moving[key] = fade, fading.sent(trail, channels)
            plan = verbs.Plan(commands=(SetVolume(key=key, channels=channels),))
            done = partial(self._stepped, fade, key, channels)
            self._mixer.submit(plan, replace(fade.origin, kind="fade"), done)

    def _stepped(self, fade: _Fade, key: Key, channels: Channels, error: MixerError | None) -> None:
        theirs, record = self._overtaken.pop(key, None), self._mixer.state.audible(key)
        if record is None:
            return
        if error is not None:
            log.info("the fade of %s ends halfway: %s", label(self._mixer.state, key), error)
            self._leave(fade, key)
        elif theirs is not None and all(map(gain.same, record.channels, channels)):
            plan = verbs.Plan(commands=(SetVolume(key=key, channels=theirs),))
            self._mixer.submit(plan, replace(fade.origin, kind="user"), lambda _: None, noted=True)

    def _arrive(self, fade: _Fade, target: Target) -> None:
        state, pending = self._mixer.state, self._mixer.pending
        try:
            plan = verbs.set_volume(state, pending, target, fade.volume, fade.limit)
        except MixerError as error:
            log.info("the fade of %s ends before its end: %s", selector_of(target), error)
            return
        commands = tuple(command for command in plan.commands if command.key not in fade.left)
        done = partial(self._arrived, fade, target, plan)
        self._mixer.submit(plan._replace(commands=commands), fade.origin, done, noted=True)

    def _arrived(self, fade: _Fade, target: Target, plan: verbs.Plan, error: MixerError | None) -> None:
        if error is None:
            self.on_arrived(target, plan, fade.origin)
        else:
            log.info("the fade of %s has not come to its end: %s", selector_of(target), error)

    def _due(self, fade: _Fade) -> float:
        return min(fade.ends_at, self._loop.time() + fade.interval)

    def _end(self, fade: _Fade) -> None:
        """Take a fade out, wherever it is, and with the last one the timer."""
        if self._fades.get(fade.name) is fade:
            del self._fades[fade.name]
        for key in fade.ramps:
            if key in self._moving and self._moving[key][0] is fade:
                del self._moving[key]
        if not self._fades:
            self._alarm.stop()

    # --- whoever comes between

    def _on_request(self, plan: verbs.Plan, origin: Origin) -> None:
        """Give way to what is asked through us: by a person, an undo, or whoever else."""
        if self._fades and origin.kind != "fade":
            self._interrupt(plan)

    def _interrupt(self, plan: verbs.Plan) -> None:
        names: set[Name] = {(Kind.APP, wish.app_id) for wish in plan.wishes if wish.volume is not KEEP}
        keys = {command.key for command in plan.commands if isinstance(command, SetVolume)}
        for name in (names | keys) & self._fades.keys():
            self._end(self._fades[name])
        for key in keys & self._moving.keys():
            self._leave(self._moving[key][0], key)

    def _leave(self, fade: _Fade, key: Key) -> None:
        """Let one stream or device of a fade be; where it was the last one, the next step is the end."""
        fade.left.add(key)
        self._moving.pop(key, None)

    def _on_change(self, _before: MixerState, changes: tuple[Change, ...], origin: Origin) -> None:
        """Give way to what another program sets; what the service corrects of its own accord, such as a cap, is none."""
        if not self._fades:
            return
        if not self._mixer.state.connected:
            for fade in [*self._fades.values()]:
                self._end(fade)
        elif origin.kind in {"server", "fade"}:
            for change in changes:
                self._look_at(change)

    def _look_at(self, change: Change) -> None:
        before, after = change.before, change.after
        if not isinstance(before, Device | Stream) or not isinstance(after, Device | Stream):
            return
        key = _key(after)
        if key not in self._moving or before.channels == after.channels:
            return
        fade, trail = self._moving[key]
        if len(after.channels) != len(trail.steps[-1]):
            return
        still = fading.shown(trail, after.channels)
        if still is not None:
            self._moving[key] = fade, still
            return
        if self.holds(after):
            return  # the next step takes it back
        self._leave(fade, key)
        if self._mixer.give_way((SetVolume, key)):
            # A step that is with the server now may come after theirs, which is then to be set again.
            self._overtaken[key] = after.channels


def _name_of(target: Target) -> Name:
    match target:
        case App():
            return Kind.APP, target.app_id
        case Group():
            return Kind.GROUP, target.name
        case Device() | Stream():
            return _key(target)
        case Card():
            raise AssertionError("a card has no volume; verbs.set_volume has said so")


def _key(record: Device | Stream) -> Key:
    return record.kind, record.index


def _found(state: MixerState, name: Name) -> App | Group | Device | Stream | None:
    kind, which = name
    if isinstance(which, int):
        return state.audible((kind, which))
    return state.apps.get(which) if kind is Kind.APP else state.group_named(which)


def _records(state: MixerState, target: App | Group | Device | Stream) -> list[Device | Stream]:
    """List what there is to step of a target."""
    if isinstance(target, App | Group):
        return [s for s in verbs.audible_streams(state, target) if s.volume_writable]
    return [target]


def _fits(ramp: fading.Ramp | None, record: Device | Stream) -> bool:
    return ramp is not None and len(ramp.begin) == len(record.channels)
