"""Commands on their way to the sound server: one lane per setting of an object, and the latest absolute value wins.

A lane has one command with the server and at most one waiting, which later ones replace; whoever asked for a replaced
one is answered with the one that replaced it. Nothing here is ever cancelled, only no longer waited for.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, assert_never

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import (
    SERVER,
    Command,
    LevelCommand,
    MoveStream,
    Origin,
    SetDefault,
    SetMuted,
    SetPort,
    SetProfile,
    SetVolume,
    Slot,
    slot_of,
)
from pwmixer_dbus.core.errors import (
    AudioServerError,
    AudioTimeoutError,
    MixerError,
    NotConnectedError,
    NotFoundError,
)
from pwmixer_dbus.core.measures import Measures
from pwmixer_dbus.core.memory import NO_WRITES, Write
from pwmixer_dbus.core.model import Device, Key, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.tally import DONE, FAILED, About

if TYPE_CHECKING:
    from pwmixer_dbus.core.succession import Asked

log = logging.getLogger(__name__)

GIVE_UP = 2.0
"""Seconds after which an answer of the sound server is no longer waited for."""

ASK_AGAIN = 0.5
"""Seconds after which a move, default, port or profile is asked for again that was acknowledged but did not happen.

The session manager carries these out after the acknowledgement, and drops a move of a stream that it has only just
linked (seen in one of five moves, 50 ms after birth, WirePlumber 0.5.8).
"""

PACE = 1 / 60
"""Least seconds between two volumes for one object: WirePlumber is the bottleneck of the stack."""

SHOWN_SOON = 0.1
"""Seconds in which a volume or mute that was acknowledged is shown, or else is not waited for any more.

On a busy machine 30 ms were seen. A null sink that is suspended acknowledges at once and applies it when it runs again.
"""

OWN_ECHO = 1.0
"""Seconds after an acknowledgement in which another value may still be an echo of our own earlier commands."""

ANSWER = "an outlet failed on an answer"

Done = Callable[[MixerError | None], None]


class SoundServer(Protocol):
    """Where commands go; see `pulse.server.SoundServer`."""

    def send(self, command: Command, done: Done) -> None:
        """Carry out a command and call back once."""

    def renew(self) -> None:
        """Look at everything anew; what the server shows may be old."""


class _Lane:
    """The commands of one slot; `timer` is for the right moment to send one, `acknowledged_at` when the running one was."""

    __slots__ = (
        "acknowledged_at",
        "done_running",
        "done_waiting",
        "origin",
        "running",
        "sent_at",
        "timer",
        "waiting",
        "waiting_origin",
    )

    def __init__(self, command: Command, origin: Origin, done: Done) -> None:
        self.running: Command | None = None
        self.waiting: Command | None = command
        self.origin = self.waiting_origin = origin
        self.done_running: list[Done] = []
        self.done_waiting = [done]
        self.sent_at = 0.0
        self.acknowledged_at: float | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def due(self) -> float:
        """When the running command is no longer waited for."""
        if self.acknowledged_at is None or not isinstance(self.running, LevelCommand):
            return self.sent_at + GIVE_UP
        return self.acknowledged_at + SHOWN_SOON

    def stop_timer(self) -> None:
        """Stop waiting for the right moment."""
        if self.timer is not None:
            self.timer.cancel()


class Lanes:
    """All commands that are not in force yet, `pending`. `state` tells what the server shows now."""

    def __init__(self, state: Callable[[], MixerState], measures: Measures) -> None:
        self.server: SoundServer | None = None
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Slot, _Lane] = {}
        self._pending: dict[Slot, Command] = {}
        self.pending: Mapping[Slot, Command] = self._pending
        self._lingering: dict[Slot, float] = {}
        self._sent_at: dict[Slot, float] = {}
        self._writes: dict[Slot, Write] = {}
        self._unanswered: dict[Slot, Command] = {}
        self._bereft: list[Done] = []
        self._drained: asyncio.Event | None = None
        self._look = Alarm(self._look_at_due)
        self._measures = measures
        self._queue = measures.queue("commands", lambda: len(self._lanes))

    @property
    def is_idle(self) -> bool:
        """Whether no command is on its way."""
        return not self._lanes

    def writes_of(self, key: Key) -> Mapping[Slot, Write]:
        """Return the latest volume and mute that were asked of an object.

        What is pending was asked just now, and so was what a server under load has not answered in time, and may yet do.
        """
        slots: tuple[Slot, ...] = (SetVolume, key), (SetMuted, key)
        if self._writes.keys().isdisjoint(slots):  # as for nearly all
            return NO_WRITES
        now = self._loop.time()
        return {
            slot: replace(self._writes[slot], at=now)
            if slot in self._pending or slot in self._unanswered
            else self._writes[slot]
            for slot in slots
            if slot in self._writes
        }

    def forget_all(self) -> None:
        """Drop what is kept of each object, as `forget` does: in another life of the server its index means another one."""
        for key in {key for setting, key in self._sent_at if setting is not SetDefault}:
            self.forget(key)

    def hand_over(self) -> "tuple[Asked, list[Done]]":
        """Return what was asked of objects, and what the server has not shown of it yet, for another instance; and who waits.

        What waits is not sent any more: that might come after what the other one is asked for.
        """
        from pwmixer_dbus.core.succession import Asked  # noqa: PLC0415 - once in the life of a service

        waiters: list[Done] = []
        for lane in self._lanes.values():
            waiters += (*lane.done_running, *lane.done_waiting)
            if lane.running is not None:
                lane.done_running += lane.done_waiting
                lane.waiting, lane.done_waiting = None, []
        lingering = tuple((self._pending[slot], since) for slot, since in self._lingering.items())
        return Asked(writes=tuple(self._writes.values()), lingering=lingering), waiters

    def take_over(self, asked: "Asked") -> None:
        """Go on with what was asked through another instance."""
        self._writes = {slot_of(write.command): write for write in asked.writes}
        self._lingering = {slot_of(command): since for command, since in asked.lingering}
        # What is under way still, where it is our own heir that has died, stays so.
        self._sent_at = dict.fromkeys((*self._writes, *self._lingering), 0.0) | self._sent_at
        self._pending.update((slot_of(command), command) for command, _ in asked.lingering)

    def enqueue(self, command: Command, origin: Origin, done: Done) -> None:
        """Send a command as soon as its lane is free; `done` is called once."""
        slot, now = slot_of(command), self._loop.time()
        self._pending[slot] = command
        self._lingering.pop(slot, None)
        self._unanswered.pop(slot, None)
        lane = self._lanes.get(slot)
        if lane is None:
            lane = self._lanes[slot] = _Lane(command, origin, done)
            self._advance(slot, lane, now)
            # It is on its way, and does not wait for the rest.
            self._queue.grew(len(self._lanes))
            self._written(slot, command, origin, now)
            return
        self._written(slot, command, origin, now)
        if lane.waiting is not None:
            self._measures.counts.commands_replaced += 1
        lane.waiting, lane.waiting_origin = command, origin
        lane.done_waiting.append(done)
        if lane.running is not None and lane.acknowledged_at is not None:
            self._finish(slot, lane, lane.running, None)  # nobody waits for what is overruled to happen

    def _written(self, slot: Slot, command: Command, origin: Origin, now: float) -> None:
        if isinstance(command, LevelCommand):
            self._writes[slot] = Write(command=command, origin=origin, at=now)

    def on_change(self, changes: Iterable[Change]) -> None:
        """Finish what the server shows by now or what has gone, and stop counting on what somebody else has overruled."""
        if not (self._lanes or self._lingering or self._bereft):
            return
        if self._bereft:
            bereft, self._bereft = self._bereft, []
            call_each(bereft, ANSWER, NotFoundError("That object has just gone."))
        state = self._state()
        if self._lingering:
            now = self._loop.time()
            for slot, since in list(self._lingering.items()):
                is_late = now - since > OWN_ECHO
                if _is_shown(state, self._pending[slot]) or (
                    is_late and any(_sets(slot, c) for c in changes)
                ):
                    self._let_go(slot)
        for slot, lane in list(self._lanes.items()):
            command = lane.running
            if command is not None and lane.acknowledged_at is not None and _is_shown(state, command):
                self._finish(slot, lane, command, None, is_shown=True)

    def rest(self) -> None:
        """Stop the timer where no command is on its way. Not part of `_finish`: whoever is answered need not wait for it."""
        if not self._lanes:
            self._look.stop()

    def give_way(self, slot: Slot) -> bool:
        """Give up what waits, and what was asked, of a setting that somebody else has taken over.

        Return whether there is a command with the server, which cannot be called back.
        """
        self._forget_write(slot)
        lane = self._lanes.get(slot)
        if lane is None:
            self._let_go(slot)
            return False
        waiters, lane.waiting, lane.done_waiting = lane.done_waiting, None, []
        if lane.running is not None:
            self._pending[slot] = lane.running
        else:
            lane.stop_timer()
            del self._lanes[slot]
            self._let_go(slot)
            self._end_settling()
        call_each(waiters, ANSWER, None)
        return lane.running is not None

    def let_go(self, key: Key) -> None:
        """Count no longer on what was asked of an object and acknowledged, but is not shown: somebody has set it otherwise."""
        for slot in [slot for slot in self._lingering if slot[1] == key]:
            self._let_go(slot)

    def forget(self, key: Key) -> None:
        """Drop what is kept of an object that has gone; whoever waits to change it is told by `on_change`."""
        for slot in [slot for slot in self._sent_at if slot[1] == key]:
            del self._sent_at[slot]
            self._forget_write(slot)
            self._let_go(slot)
            lane = self._lanes.pop(slot, None)
            if lane is not None:
                lane.stop_timer()
                lane.running = None
                self._bereft += (*lane.done_running, *lane.done_waiting)
                self._end_settling()

    async def settle(self, longest: float) -> None:
        """Wait, at most `longest` seconds, until no command is on its way but levels that are acknowledged and not shown yet."""
        for slot, lane in list(self._lanes.items()):
            is_level = isinstance(lane.running, LevelCommand)
            if lane.acknowledged_at is not None and lane.running is not None and is_level:
                self._finish(slot, lane, lane.running, None)
        self.rest()
        with suppress(TimeoutError):
            async with asyncio.timeout(longest):
                while self._lanes:  # who is answered may ask for more
                    self._drained = asyncio.Event()
                    await self._drained.wait()

    def _end_settling(self) -> None:
        """Let `settle` end where no command is on its way any more, but after those whose answers are being given right now."""
        if not self._lanes and self._drained is not None:
            self._loop.call_soon(self._drained.set)

    async def drain(self, longest: float) -> None:
        """Settle, then send nothing more; whoever still waits is told that it is not known what came of it."""
        await self.settle(longest)
        self.server = None
        lanes, self._lanes = self._lanes, {}
        for lane in lanes.values():
            lane.stop_timer()
            lane.running = None
            waiters = (*lane.done_running, *lane.done_waiting)
            call_each(
                waiters,
                ANSWER,
                NotConnectedError("The service is ending; it is not known whether that was done."),
            )

    def origin_of(self, keys: Collection[About]) -> Origin:
        """Say who is behind a change of these objects: whoever has a command for one with the server now."""
        for (_, key), lane in self._lanes.items():
            if key in keys and lane.running is not None:
                return lane.origin
        return SERVER

    def mover_of(self, stream: Stream) -> Origin:
        """Say who has a move of a stream with the server now, to where it is."""
        lane = self._lanes.get((MoveStream, (stream.kind, stream.index)))
        if lane is None or not isinstance(lane.running, MoveStream):
            return SERVER
        return lane.origin if lane.running.device == stream.device else SERVER

    def _advance(self, slot: Slot, lane: _Lane, now: float) -> None:
        command, server = lane.waiting, self.server
        if command is None:
            return
        if server is None:
            del self._lanes[slot], self._pending[slot]
            call_each(lane.done_waiting, ANSWER, NotConnectedError("The service is ending."))
            return
        early = self._sent_at.get(slot, 0.0) + PACE - now if isinstance(command, SetVolume) else 0.0
        if early > 0:
            lane.timer = self._loop.call_later(early, self._paced, slot, lane)
            return
        lane.running, lane.origin, lane.done_running = command, lane.waiting_origin, lane.done_waiting
        lane.waiting, lane.done_waiting, lane.acknowledged_at = None, [], None
        self._sent_at[slot] = lane.sent_at = now
        server.send(command, partial(self._acknowledged, slot, lane, command))
        # It is on its way, and does not wait for the rest.
        self._measures.commanded(command, now)
        write = self._writes.get(slot)
        if write is not None and write.command is command:  # it has waited
            self._writes[slot] = replace(write, at=now)
        if lane.running is command:
            self._look.by(now + SHOWN_SOON)

    def _paced(self, slot: Slot, lane: _Lane) -> None:
        self._advance(slot, lane, self._loop.time())

    def _look_at_due(self) -> None:
        """Wait no longer for what is due: one timer for all, since what is done in time would only have cancelled its own."""
        now = self._loop.time()
        for slot, lane in list(self._lanes.items()):
            command = lane.running
            if command is None or lane.due > now:
                continue
            if lane.acknowledged_at is not None and isinstance(command, LevelCommand):
                self._finish(slot, lane, command, None)
            else:
                self._gave_up(slot, lane, command)
        running = (lane.due for lane in self._lanes.values() if lane.running is not None)
        self._look.by(min(running, default=math.inf))

    def _acknowledged(self, slot: Slot, lane: _Lane, command: Command, error: MixerError | None) -> None:
        if lane.running is not command:
            # The answer comes after we gave up, or after it was seen to have happened.
            if self._unanswered.get(slot) is command:
                del self._unanswered[slot]
                self._writes[slot] = replace(self._writes[slot], at=self._loop.time())
            return
        is_shown = _is_shown(self._state(), command)
        if error is not None or lane.waiting is not None or is_shown:
            self._finish(slot, lane, command, error, is_shown=is_shown)
            self.rest()
            return
        lane.acknowledged_at = self._loop.time()
        if not isinstance(command, LevelCommand):
            lane.timer = self._loop.call_later(ASK_AGAIN, self._ask_again, slot, lane, command)
        elif lane.acknowledged_at > lane.sent_at + SHOWN_SOON / 2:  # else there will be a look before
            self._look.by(lane.due)

    def _ask_again(self, slot: Slot, lane: _Lane, command: Command) -> None:
        if self.server is None:
            return
        if isinstance(command, MoveStream) and _is_unlinked(self._state(), command):
            # It will be linked there. To ask again would only keep the session manager from that: it looks at all it has.
            lane.timer = self._loop.call_later(ASK_AGAIN, self._ask_again, slot, lane, command)
            return
        self._measures.counts.asked_again += 1
        if isinstance(command, SetDefault):
            self.server.renew()
        self.server.send(command, partial(self._acknowledged, slot, lane, command))

    def _gave_up(self, slot: Slot, lane: _Lane, command: Command) -> None:
        error: MixerError = AudioTimeoutError(f"The sound server did not answer within {GIVE_UP:g} s.")
        if lane.acknowledged_at is not None:
            suspect = "its program" if command.key[0].is_stream else "the device"
            error = AudioServerError(
                "The session manager left it as it is, although it was asked several times; "
                f"perhaps {suspect} or a rule of the session manager does not allow it."
            )
        if isinstance(command, MoveStream) and _is_unlinked(self._state(), command):
            error = AudioTimeoutError(
                f"The session manager has not linked that stream to any device within {GIVE_UP:g} s; "
                "it knows to which one it is wanted."
            )
        elif slot in self._writes:
            self._unanswered[slot] = command
        self._finish(slot, lane, command, error)

    def _finish(
        self,
        slot: Slot,
        lane: _Lane,
        command: Command,
        error: MixerError | None,
        *,
        is_shown: bool | None = None,
    ) -> None:
        """End the running command; `is_shown` says whether the server shows it, where that has been looked at."""
        lane.stop_timer()
        self._measures.note(
            DONE if error is None else FAILED, command.key, lane.sent_at, type(command).__name__
        )
        waiters, lane.done_running = lane.done_running, []
        lane.running = lane.acknowledged_at = None
        if lane.waiting is not None:
            self._advance(slot, lane, self._loop.time())
        else:
            del self._lanes[slot]
            if self._drained is not None:
                self._end_settling()
            if error is None and not (_is_shown(self._state(), command) if is_shown is None else is_shown):
                self._lingering[slot] = self._loop.time()
            else:
                del self._pending[slot]
                if error is not None and slot not in self._unanswered:
                    self._forget_write(slot)  # what shows just that is somebody else's
        call_each(waiters, ANSWER, error)

    def _forget_write(self, slot: Slot) -> None:
        self._writes.pop(slot, None)
        self._unanswered.pop(slot, None)

    def _let_go(self, slot: Slot) -> None:
        self._lingering.pop(slot, None)
        self._pending.pop(slot, None)


def call_each(everybody: Iterable[Callable[..., object]], failure: str, *about: object) -> None:
    """Tell everybody; one that fails, which is logged, must not keep the others waiting, nor stop what led here."""
    for each in everybody:
        try:
            each(*about)
        except Exception:
            log.exception(failure)


def _is_unlinked(state: MixerState, command: MoveStream) -> bool:
    stream = state.streams.get(command.key)
    return stream is not None and stream.device is None


def _sets(slot: Slot, change: Change) -> bool:
    """Whether a change is one of the setting that a slot is about."""
    setting, key = slot
    before, after = change.before, change.after
    if not (isinstance(before, Device | Stream) and isinstance(after, Device | Stream)):
        return False
    if (after.kind, after.index) != key:
        return False
    if setting is SetVolume:
        return before.channels != after.channels
    return setting is SetMuted and before.muted != after.muted


def _is_shown(state: MixerState, command: Command) -> bool:
    """Whether the server shows what a command asked for; True, too, where its object has gone: nothing more will come of it."""
    kind, index = command.key
    device, stream = state.devices.get(command.key), state.streams.get(command.key)
    match command:
        case SetVolume(channels=channels):
            shown = (device or stream or command).channels
            return channels == shown or all(map(gain.same, channels, shown))
        case SetMuted(muted=muted):
            return (device or stream or command).muted is muted
        case MoveStream():
            return stream is None or stream.device == command.device
        case SetDefault(name=name):
            return state.server.default(kind) == name
        case SetPort(port=port):
            return device is None or device.active_port == port
        case SetProfile(profile=profile):
            return index not in state.cards or state.cards[index].active_profile == profile
    assert_never(command)
