"""The one writer: owns the state, applies events, and sends commands so that the latest absolute value wins.

Events one way, commands the other. Outlets read `state`, ask through `submit`, and are told of changes by `subscribe`;
nothing here waits for any of them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import SERVER, Command, Origin, SetDefault, SetMuted, SetVolume, Slot
from pwmixer_dbus.core.errors import AudioTimeoutError, MixerError, NotFoundError
from pwmixer_dbus.core.events import AppWanted, Configured, Event, Gone
from pwmixer_dbus.core.model import Device, Key, Stream
from pwmixer_dbus.core.plan import plan
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change, MixerState, apply
from pwmixer_dbus.core.verbs import Plan

log = logging.getLogger(__name__)

GIVE_UP = 2.0
"""Seconds after which an answer of the sound server is no longer waited for."""

PACE = 1 / 60
"""Least seconds between two volumes for one object: WirePlumber is the bottleneck of the stack."""

LINGER = 1.0
"""Seconds for which an acknowledged value counts as pending while the server does not show it yet.

A device that is just starting acknowledges a volume at once and applies it when it runs; without this, the next relative
step would count from the old value.
"""

SAME_VOLUME = 0.0003
"""The server keeps linear floats; on the way back a volume may differ in the last digit."""

GRACE = 2.0
"""Seconds after its birth in which a stream's own volume says nothing about what a person wants."""

Done = Callable[[MixerError | None], None]
Listener = Callable[[MixerState, tuple[Change, ...], Origin], None]


class SoundServer(Protocol):
    """Where commands go; see `pulse.server.SoundServer`."""

    def send(self, command: Command, done: Done) -> None:
        """Carry out a command and call back once."""


class _Lane:
    """The commands of one slot: one with the server, and one waiting, which later ones replace."""

    __slots__ = ("done_running", "done_waiting", "origin", "running", "timer", "waiting", "waiting_origin")

    def __init__(self) -> None:
        self.running: Command | None = None
        self.waiting: Command | None = None
        self.origin = self.waiting_origin = SERVER
        self.done_running: list[Done] = []
        self.done_waiting: list[Done] = []
        self.timer: asyncio.TimerHandle | None = None


class Mixer:
    """State, commands and listeners. All calls are made on the thread of the loop that runs now."""

    def __init__(self, settings: Settings) -> None:
        self.state = MixerState(settings=settings)
        self.server: SoundServer | None = None
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._lanes: dict[Slot, _Lane] = {}
        self._pending: dict[Slot, Command] = {}
        self._lingering: dict[Slot, asyncio.TimerHandle] = {}
        self._sent_at: dict[Slot, float] = {}
        self._born_at: dict[Key, float] = {}

    @property
    def pending(self) -> Mapping[Slot, Command]:
        """What has been submitted and is not in force yet; relative steps count from it."""
        return self._pending

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(state before, changes, origin)` after every change; it must return at once."""
        self._listeners.append(listener)

    def on_event(self, event: Event, origin: Origin = SERVER) -> None:
        """Apply an event, tell the listeners, and do what follows from it."""
        before = self.state
        self.state, changes = apply(before, event)
        if isinstance(event, Gone):
            self._forget((event.kind, event.index))
        if not changes:
            return
        if origin is SERVER:
            origin = self._origin_of(changes)
        self._let_go_of_what_is_shown(changes)
        for listener in self._listeners:
            try:
                listener(before, changes, origin)
            except Exception:
                log.exception("an outlet failed on a change")
        self._note_births(changes)
        for command, reason in plan(self.state, changes):
            log.info("%s: %s", command, reason)
            self._enqueue(command, Origin(kind="app", context=reason), partial(_log_failure, command))
        self._forget_overruled_wishes(changes)

    def submit(self, wanted: Plan, origin: Origin, done: Done) -> None:
        """Keep a plan's wishes and send its commands; `done` is called once, when all are in force or one failed."""
        for wish in wanted.wishes:
            self.on_event(wish, origin)
        remaining = len(wanted.commands)
        if not remaining:
            done(None)
            return
        failure: MixerError | None = None

        def one_done(error: MixerError | None) -> None:
            nonlocal remaining, failure
            remaining -= 1
            failure = failure or error
            if not remaining:
                done(failure)

        for command in wanted.commands:
            self._enqueue(command, origin, one_done)

    def limit_volume(self, limit: float) -> float:
        """Set the highest volume until the configuration is read again; return it as it is in force."""
        effective = min(max(gain.checked(limit, "The highest volume"), 0.0), gain.CEILING)
        self.on_event(Configured(settings=replace(self.state.settings, max_volume=effective)))
        return effective

    def _enqueue(self, command: Command, origin: Origin, done: Done) -> None:
        slot = _slot_of(command)
        lane = self._lanes.get(slot)
        if lane is None:
            lane = self._lanes[slot] = _Lane()
        self._pending[slot] = command
        self._stop_lingering(slot)
        lane.waiting, lane.waiting_origin = command, origin
        lane.done_waiting.append(done)
        if lane.running is None and lane.timer is None:
            self._advance(slot, lane)

    def _advance(self, slot: Slot, lane: _Lane) -> None:
        command, server = lane.waiting, self.server
        if command is None or server is None:
            return
        now = self._loop.time()
        early = self._sent_at.get(slot, 0.0) + PACE - now if isinstance(command, SetVolume) else 0.0
        if early > 0:
            lane.timer = self._loop.call_later(early, self._paced, slot, lane)
            return
        lane.running, lane.origin, lane.done_running = command, lane.waiting_origin, lane.done_waiting
        lane.waiting, lane.done_waiting = None, []
        self._sent_at[slot] = now
        timed_out = AudioTimeoutError(f"The sound server did not answer within {GIVE_UP:g} s.")
        lane.timer = self._loop.call_later(GIVE_UP, self._finished, slot, lane, command, timed_out)
        server.send(command, partial(self._finished, slot, lane, command))

    def _paced(self, slot: Slot, lane: _Lane) -> None:
        lane.timer = None
        self._advance(slot, lane)

    def _finished(self, slot: Slot, lane: _Lane, command: Command, error: MixerError | None) -> None:
        if lane.running is not command:
            return  # the answer comes after we gave up
        if lane.timer is not None:
            lane.timer.cancel()
            lane.timer = None
        waiters, lane.done_running = lane.done_running, []
        lane.running = None
        if lane.waiting is not None:
            self._advance(slot, lane)
        else:
            del self._lanes[slot]
            if error is None and not _is_shown(self.state, command):
                self._lingering[slot] = self._loop.call_later(LINGER, self._let_go, slot)
            else:
                del self._pending[slot]
        for waiter in waiters:
            waiter(error)

    def _let_go_of_what_is_shown(self, changes: Iterable[Change]) -> None:
        if not self._lingering:
            return
        for change in changes:
            key = _key_of(change)
            for slot in [
                s for s in self._lingering if s[1] == key and _is_shown(self.state, self._pending[s])
            ]:
                self._let_go(slot)

    def _let_go(self, slot: Slot) -> None:
        self._stop_lingering(slot)
        self._pending.pop(slot, None)

    def _stop_lingering(self, slot: Slot) -> None:
        timer = self._lingering.pop(slot, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, key: Key) -> None:
        """Drop what is kept of an object that has gone, and tell whoever waits to change it."""
        self._born_at.pop(key, None)
        for slot in [slot for slot in self._sent_at if slot[1] == key]:
            del self._sent_at[slot]
            self._let_go(slot)
            lane = self._lanes.pop(slot, None)
            if lane is None:
                continue
            self._pending.pop(slot, None)
            if lane.timer is not None:
                lane.timer.cancel()
            waiters, lane.running = [*lane.done_running, *lane.done_waiting], None
            for waiter in waiters:
                waiter(NotFoundError("That object has just gone."))

    def _origin_of(self, changes: Iterable[Change]) -> Origin:
        """Say who is behind a change: whoever has a command for that object with the server now."""
        for change in changes:
            key = _key_of(change)
            for slot, lane in self._lanes.items():
                if slot[1] == key and lane.running is not None:
                    return lane.origin
        return SERVER

    def _note_births(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.before is None and isinstance(change.after, Stream):
                self._born_at[change.after.kind, change.after.index] = self._loop.time()

    def _forget_overruled_wishes(self, changes: Iterable[Change]) -> None:
        """Give up the wish for an application whose stream a person has set otherwise with another program."""
        for change in changes:
            before, after = change.before, change.after
            if not (isinstance(before, Stream) and isinstance(after, Stream)):
                continue
            key = (after.kind, after.index)
            app = self.state.apps.get(after.identity.app_id)
            is_young = self._loop.time() - self._born_at.get(key, 0.0) < GRACE
            if app is None or is_young:
                continue
            volume_overruled = app.volume is not None and _is_foreign(
                before.channels != after.channels,
                max(after.channels, default=0.0) == app.volume,
                (SetVolume, key) in self._lanes,
            )
            mute_overruled = app.muted is not None and _is_foreign(
                before.muted != after.muted, after.muted == app.muted, any(s[1] == key for s in self._lanes)
            )
            if volume_overruled or mute_overruled:
                volume = None if volume_overruled else app.volume
                self.on_event(
                    AppWanted(app_id=app.app_id, volume=volume, muted=None if mute_overruled else app.muted)
                )


def _is_foreign(changed: bool, as_wished: bool, ours: bool) -> bool:
    return changed and not as_wished and not ours


def _key_of(change: Change) -> Key | None:
    record = change.after
    return (record.kind, record.index) if isinstance(record, Device | Stream) else None


def _is_shown(state: MixerState, command: Command) -> bool:
    """Whether the server shows what a command asked for; only volume and mute are counted from."""
    record = state.devices.get(command.key) or state.streams.get(command.key)
    match command:
        case SetVolume(channels=channels) if record is not None:
            pairs = zip(channels, record.channels, strict=False)
            return all(abs(asked - shown) < SAME_VOLUME for asked, shown in pairs)
        case SetMuted(muted=muted) if record is not None:
            return record.muted is muted
    return True


def _slot_of(command: Command) -> Slot:
    if isinstance(command, SetDefault):
        return SetDefault, (command.key[0], -1)  # there is one default of a kind, whichever device is named
    return type(command), command.key


def _log_failure(command: Command, error: MixerError | None) -> None:
    if error is not None:
        log.info("%s: %s", command, error)
