"""Keeps what people want of applications and devices: learns it, recalls it for new streams, and holds locks and caps.

A listener of the mixer. What counts as a person's intent, and what is to be corrected, is decided in `core.memory`; here
are the clock, the births, the order (learn, save, then correct) and the one timer.

Sliders move a hundred times a second, and nobody asks what has been learned of each step. So it is decided at once whether a
level says what a person wants, and only noted; it is learned when somebody asks, or is about to save it, and before
anything else happens, so that nobody can tell the difference.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import Command, Origin, SetMuted, SetVolume, Slot, slot_of, sounds_so
from pwmixer_dbus.core.errors import AudioTimeoutError, MixerError
from pwmixer_dbus.core.events import KEEP, AppsWanted, AppWanted, Capped, Forgotten, Keep, Known, OnDevices
from pwmixer_dbus.core.matching import Outcome
from pwmixer_dbus.core.memory import (
    BY_HAND,
    CORRECTIONS,
    ECHO,
    NO_WRITES,
    AppIntent,
    DeviceIntent,
    Intent,
    KnownApp,
    KnownDevice,
    Level,
    Memory,
    Moment,
    Remembered,
    all_learned,
    asked_for,
    asked_for_app,
    device_forgotten,
    device_key,
    enforcement,
    forgotten,
    intent_for,
    intent_of,
    is_device_key,
    is_upheaval,
    learned,
    meant,
    met,
    recall,
    recall_device,
)
from pwmixer_dbus.core.model import App, Device, Identity, Key, Kind, Record, Server, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.verbs import Plan, audible_streams, max_volume, muted_of, volume_of
from pwmixer_dbus.mixer import Mixer

if TYPE_CHECKING:
    from pwmixer_dbus.core.succession import Vigil

log = logging.getLogger(__name__)

MEMORY = Origin(kind="memory")

_AUDIBLE = (Device, Stream)
_LEVEL = attrgetter("channels", "muted")
_HELD_OF_STREAMS = attrgetter("channels", "muted", "device", "identity.app_id", "max_volume")
_HELD_OF_DEVICES = attrgetter("channels", "muted", "name", "properties")
"""Only a change of one of these can call for a correction."""

SLACK = 0.01
"""Seconds after the last one in which a change may be an echo of a person's own request."""

SECOND_LOOK = 0.2
"""Seconds until what does not show its correction is looked at again, although that was acknowledged.

A stream that sets itself back between the acknowledgement and our look shows what it showed before, so no change is
seen.
"""

_Noted = tuple[float | Keep, bool | Keep, bool]
"""A volume or a mute, and whether a person asked for it through us: then it is remembered as asked, whatever a cap
makes of it.
"""

PART = 10
"""How much of what was noted is learned at a time, where it is learned for being saved: 0.2 ms of work."""

LATEST_START = 30.0
"""Seconds after which a stream counts as begun, whatever it shows: of hundreds, the session manager links the last by
then.
"""


class Keeper:
    """Learns and enforces, from its making on; `start` gives it what is remembered from earlier.

    `rules` says what the rules want of a stream, which comes before what is remembered, and `locks` whether they hold its
    volume; `save` is told each new memory, and `save_soon` that there is one for whoever calls `learn_part`; `wall_clock` gives
    seconds since 1970.
    """

    def __init__(
        self,
        mixer: Mixer,
        *,
        rules: Callable[[Stream], Outcome],
        locks: Callable[[Stream], bool],
        save: Callable[[Memory], None],
        save_soon: Callable[[], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._memory = Memory()
        self._noted: dict[Slot, _Noted] = {}
        self._is_learning = False
        self._mixer = mixer
        self._rules = rules
        self._locks = locks
        self._save = save
        self._save_soon = save_soon
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        self._unrest_at = -math.inf
        self._born_at: dict[Key, float] = {}
        self._unlinked: set[Key] = set()
        self._elder: set[Key] = set()
        self._corrected_at: dict[Key, deque[float]] = {}
        self._again_at: dict[Key, float] = {}
        self._alarm = Alarm(self._look_at_due)
        mixer.subscribe(self.on_change)
        mixer.before_more(self._learn_before_more)
        mixer.hear(self.on_request)
        mixer.held, mixer.given_up = self.held, self.given_up

    @property
    def memory(self) -> Memory:
        """All that is remembered by now."""
        self.learn()
        return self._memory

    def start(self, memory: Memory) -> None:
        """Take over what is remembered from earlier; applications that do not run are listed from now on."""
        self._memory = memory
        apps = (
            App(
                app_id=app.app_id,
                name=app.name,
                icon_name=app.icon_name,
                volume=_level(app).volume,
                muted=_level(app).muted,
                preferred_sink=app.preferred_sink,
                preferred_source=app.preferred_source,
            )
            for app in memory.apps.values()
        )
        self._mixer.on_event(Known(apps=tuple(apps)), MEMORY)
        self._mixer.on_event(_held(memory), MEMORY)

    def hand_over(self) -> "Vigil":
        """Return what is known of births and corrections, for another instance."""
        from pwmixer_dbus.core.succession import Vigil  # noqa: PLC0415 - once in the life of a service

        self.close()
        asked = {command.key for command in self._mixer.pending.values()}
        under_way = (asked & self._corrected_at.keys() & self._mixer.state.streams.keys()) - self._unlinked
        return Vigil(
            born_at={key: at for key, at in self._born_at.items() if key not in self._elder},
            corrected_at={key: tuple(times) for key, times in self._corrected_at.items()},
            again_at={**dict.fromkeys(under_way, self._loop.time() + SECOND_LOOK), **self._again_at},
            unrest_at=self._unrest_at if math.isfinite(self._unrest_at) else None,
        )

    def take_over(self, vigil: "Vigil") -> None:
        """Go on with what another instance knew."""
        self._born_at = dict(vigil.born_at)
        self._elder.clear()  # of whose births nothing is handed over, also not to ourselves
        self._unlinked = {
            key for key, stream in self._mixer.state.streams.items() if _is_to_be_linked(stream)
        }
        self._corrected_at = {
            key: deque(times, maxlen=CORRECTIONS) for key, times in vigil.corrected_at.items()
        }
        self._again_at = dict(vigil.again_at)
        self._unrest_at = -math.inf if vigil.unrest_at is None else vigil.unrest_at
        self._set_timer()

    def close(self) -> None:
        """Stop the timer."""
        self._alarm.stop()

    # --- what happens

    def on_change(self, before: MixerState, changes: tuple[Change, ...], origin: Origin) -> None:
        """Learn from changes, then correct what they have brought about."""
        if not changes[0].is_level:
            self._follow(before, changes, origin)
            return
        known = self._memory
        for change in changes:
            if not self._follow_level(change, origin):
                self._follow(before, (change,), origin)
        if self._memory is not known:
            self.learn()  # what of this is put off would overtake what has been learned and is still to be told

    def _follow(self, before: MixerState, changes: tuple[Change, ...], origin: Origin) -> None:
        self.learn()
        now, state = self._loop.time(), self._mixer.state
        if is_upheaval(changes):
            self._unrest_at = now
        self._follow_births_and_deaths(before, changes, now)
        self._keep(*self._after(before, changes, origin))
        if (before.settings, before.caps) != (state.settings, state.caps):
            self._look_again()
            return
        for change in changes:
            self._look_at(change)

    def on_request(self, plan: Plan, origin: Origin) -> None:
        """Learn what a person has asked for, also where it was so before and nothing has changed."""
        if origin.kind not in {"user", "undo"}:
            return
        for command in plan.commands:
            self._doubt(command, ECHO + SLACK)
        if not plan.wishes:
            for command in plan.commands:
                if isinstance(command, SetVolume):
                    self._note((SetVolume, command.key), gain.level(command.channels), KEEP, is_asked=True)
                elif isinstance(command, SetMuted):
                    self._note((SetMuted, command.key), KEEP, command.muted, is_asked=True)
            return
        asked = _asked(self._mixer.state, plan, is_undo=origin.kind == "undo")
        self._keep(all_learned(self.memory, asked, self._wall_clock()))

    # --- what people ask of the memory itself

    def forget(self, *targets: App | Device | None) -> None:
        """Forget applications and devices; None forgets everything. What plays stays as it is."""
        memory, apps = self.memory, [target.app_id for target in targets if isinstance(target, App)]
        for target in targets:
            if isinstance(target, Device):
                memory = device_forgotten(memory, device_key(target))
            else:
                memory = forgotten(memory, None if target is None else target.app_id)
        self._keep(memory)
        for app_id in list(self._mixer.state.apps) if None in targets else apps:
            self._mixer.on_event(Forgotten(app_id=app_id), MEMORY)

    def set_lock(self, *targets: App | Device, locked: bool) -> None:
        """Hold applications and devices where they are now, against every other program, or let them go."""
        state = self._mixer.state
        intents: list[Intent] = []
        for target in targets:
            if locked and (isinstance(target, Device) or audible_streams(state, target)):
                shown = Plan(commands=_as_it_is(target), wishes=_as_wished(state, target))
                intents += _asked(state, shown)
            intents.append(replace(_about(target), locked=locked))
        self._keep(all_learned(self.memory, intents, self._wall_clock()))
        self._look_again()

    def set_cap(self, *targets: App | Device, max_volume: float | None) -> None:
        """Set the highest volume of applications and devices, for every program; None lifts it."""
        intents = (replace(_about(target), max_volume=max_volume) for target in targets)
        self._keep(all_learned(self.memory, intents, self._wall_clock()))

    def set_rules_off(self, *, off: bool) -> None:
        """Keep whether rules are switched off."""
        self._keep(replace(self.memory, rules_off=off) if off != self.memory.rules_off else self.memory)

    # --- what others ask about it

    def holds(self, record: Device | Stream) -> bool:
        """Whether what another program sets says nothing: it is against a lock, or by what has only just been born."""
        return self._is_held(record, self._moment((record.kind, record.index)))

    def held(self, key: Key) -> tuple[Command, ...]:
        """Return what brings something back to where it is locked, also where a hand is on it."""
        state = self._mixer.state
        record = state.audible(key)
        if record is None or not self._is_locked(record):
            return ()
        self.learn()
        shown = record if isinstance(record, Stream) else _as_stream(record)
        return enforcement(None, shown, self._recalled(record), Moment(now=self._loop.time())).commands

    def given_up(self, wish: AppWanted) -> OnDevices:
        """Return what is remembered of single devices where a wish takes its place: its application plays nowhere now."""
        state = self._mixer.state
        app = state.apps.get(wish.app_id)
        if app is None or (wish.volume is KEEP and wish.muted is KEEP):
            return ()
        if any(s.has_volume and s.device is not None for s in state.streams_of(app)):
            return ()
        known = self.memory.apps.get(wish.app_id)
        levels = () if known is None else known.levels.items()
        return tuple((key, each.volume, each.muted) for key, each in levels if is_device_key(key))

    # --- learning

    def learn(self) -> None:
        """Learn what has been noted, and what is still to be heard of."""
        self._mixer.tell_levels()
        if self._noted:
            noted, self._noted = self._noted, {}
            self._learn(noted)

    def learn_part(self) -> bool:
        """Learn at most `PART` of it, the oldest first, so that nobody waits for long; return whether there is more."""
        self._mixer.tell_levels()
        noted = dict(islice(self._noted.items(), PART))
        for slot in noted:
            del self._noted[slot]
        self._is_learning = True
        try:
            self._learn(noted)
        finally:
            self._is_learning = False
        return bool(self._noted)

    def _learn_before_more(self) -> None:
        if not self._is_learning:  # else it is what has been learned, and the rest may come after it
            self.learn()

    def _learn(self, noted: Mapping[Slot, _Noted]) -> None:
        state, memory = self._mixer.state, self._memory
        intents = [
            asked_for(record, volume, muted, state)
            if is_asked
            else intent_for(record, volume, muted, state, memory)
            for (_, key), (volume, muted, is_asked) in noted.items()
            if (record := state.audible(key)) is not None
        ]
        about = {intent.key if isinstance(intent, DeviceIntent) else intent.app_id for intent in intents}
        self._keep(all_learned(memory, intents, self._wall_clock()), about)

    def _follow_level(self, change: Change, origin: Origin) -> bool:
        """Handle a change of level in few steps; False where more follows from it, as for a stream without a volume.

        Of a stream that is being linked, a level may be its beginning.
        """
        record = change.after
        if not isinstance(record, _AUDIBLE) or (isinstance(record, Stream) and not record.has_volume):
            return False
        key = (record.kind, record.index)
        if key in self._unlinked:
            return False
        moment = self._moment(key)
        volume, muted = meant(change, origin, moment, self._mixer.state, self._memory)
        if not (volume is KEEP and muted is KEEP) and not self._is_ruled(record, origin):
            if volume is not KEEP:
                self._note((SetVolume, key), volume, KEEP)
            if muted is not KEEP:
                self._note((SetMuted, key), KEEP, muted)
        if not self._is_fine(record, moment):
            self.learn()
            self._look_at(change)
        return True

    def _note(self, slot: Slot, volume: float | Keep, muted: bool | Keep, *, is_asked: bool = False) -> None:
        """Note what is to be learned, the latest last; each setting by itself, as several streams may be of one application."""
        if not self._noted:
            self._save_soon()
        # What was asked may be noted before the change that it has led to.
        known = self._noted.pop(slot, None)
        self._noted[slot] = volume, muted, is_asked or known == (volume, muted, True)

    def _after(
        self, before: MixerState, changes: Iterable[Change], origin: Origin
    ) -> tuple[Memory, set[str]]:
        """Return the memory after changes, and of whom something was learned: ids of applications, keys of devices."""
        about: set[str] = set()
        memory, state, wall_clock = self._memory, self._mixer.state, self._wall_clock()
        first_volume: float | None = state.settings.first_volume
        if first_volume == gain.CEILING or not before.connected:
            first_volume = None  # what plays already when the service starts has been heard
        for change in changes:
            record = change.after
            if isinstance(record, App) and record.streams:
                memory = met(memory, record, wall_clock, first_volume)
                about.add(record.app_id)
            key = None
            if isinstance(record, _AUDIBLE):
                if not isinstance(change.before, _AUDIBLE) or _LEVEL(change.before) == _LEVEL(record):
                    continue  # as with nearly all: only how loud it is can be an intent
                key = (record.kind, record.index)
            moment = self._moment(key)
            intent = intent_of(change, origin, moment, state, memory)
            if intent is not None and not self._is_ruled(record, origin):
                memory = learned(memory, intent, wall_clock)
                about.add(intent.key if isinstance(intent, DeviceIntent) else intent.app_id)
        return memory, about

    def _is_ruled(self, record: Record | None, origin: Origin) -> bool:
        """Whether a rule's lock takes back at once what another program has just set."""
        return isinstance(record, Stream) and origin.kind in {"server", "fade"} and self._locks(record)

    def _keep(self, memory: Memory, about: Iterable[str] | None = None) -> None:
        """Make this the memory: save it, and show what applications will have when they next play.

        `about` says of whom something was learned, where that is known and no lock or cap is another one: with a thousand
        in the memory it would take long to look at all of them at each step of a slider.
        """
        known = self._memory
        if memory is known:
            return
        self._memory = memory
        self._save(memory)
        learned_of = [
            app
            for app_id in (memory.apps if about is None else about)
            if (app := memory.apps.get(app_id)) is not None and known.apps.get(app_id) is not app
        ]
        if learned_of:
            self._mixer.on_event(AppsWanted(wishes=tuple(map(_wish, learned_of))), MEMORY)
        if about is None or (
            memory.is_full and any(name not in known.apps and name not in known.devices for name in about)
        ):
            # Who is new may have taken the place of one who had a cap.
            self._mixer.on_event(_held(memory), MEMORY)

    def _moment(self, key: Key | None) -> Moment:
        now = self._loop.time()
        born_at = -math.inf if key is None else self._born_at.get(key, -math.inf)
        return Moment(
            now=now,
            born_at=now if key in self._unlinked and now - born_at < LATEST_START else born_at,
            unrest_at=self._unrest_at,
            writes=NO_WRITES if key is None else self._mixer.writes_of(key),
            grace=0.0 if key in self._elder else self._mixer.state.settings.grace,
        )

    def _follow_births_and_deaths(self, since: MixerState, changes: Iterable[Change], now: float) -> None:
        """Note births and forget the dead. What is older than us is not new: it is set once, and again where a rule moves it."""
        is_elder = not since.connected and since.server == Server()
        for change in changes:
            before, record = change.before, change.after
            # A device may be the same at another index, in another life of the server.
            if isinstance(before, Device | Stream) and getattr(record, "index", None) != before.index:
                key = (before.kind, before.index)
                self._born_at.pop(key, None)
                self._corrected_at.pop(key, None)
                self._again_at.pop(key, None)
                self._unlinked.discard(key)
                self._elder.discard(key)
            if not isinstance(record, Device | Stream):
                continue
            key = (record.kind, record.index)
            if before is None:
                self._born_at[key] = now
                if isinstance(record, Stream) and _is_to_be_linked(record):
                    self._unlinked.add(key)
                elif is_elder:
                    self._elder.add(key)
            elif key in self._unlinked and isinstance(record, Stream) and _has_begun(record):
                self._unlinked.discard(key)
                self._corrected_at.pop(key, None)  # whatever it showed until now was no fight
                self._born_at[key] = now
            elif key in self._elder and self._is_sent_elsewhere(change, now):
                self._born_at[key] = now

    def _is_sent_elsewhere(self, change: Change, now: float) -> bool:
        """Whether a stream that is older than us is moved so soon after our start that a new one would be in its grace."""
        before, after = change.before, change.after
        if not (isinstance(before, Stream) and isinstance(after, Stream)) or before.device == after.device:
            return False
        return now - self._born_at[after.kind, after.index] < self._mixer.state.settings.grace

    # --- correcting

    def _is_fine(self, record: Device | Stream, moment: Moment) -> bool:
        """Whether there can be nothing to correct about a level, however it differs from before: as nearly always."""
        state, key = self._mixer.state, (record.kind, record.index)
        if key in self._again_at or gain.level(record.channels) > max_volume(state, record):
            return False
        return not self._is_held(record, moment)

    def _is_held(self, record: Device | Stream, moment: Moment) -> bool:
        if self._is_locked(record):
            return True
        return isinstance(record, Stream) and (self._locks(record) or moment.is_in_grace)

    def _is_locked(self, record: Device | Stream) -> bool:
        locked = self._mixer.state.locked
        if not locked:  # as with most people
            return False
        return (device_key(record) if isinstance(record, Device) else record.identity.app_id) in locked

    def _look_at(self, change: Change) -> None:
        before, record = change.before, change.after
        if isinstance(record, Stream):
            was = before if isinstance(before, Stream) else None
            if was is None or _HELD_OF_STREAMS(was) != _HELD_OF_STREAMS(record):
                self._correct(was, record)
        elif isinstance(record, Device):
            known = before if isinstance(before, Device) else None
            if known is None or _HELD_OF_DEVICES(known) != _HELD_OF_DEVICES(record):
                self._correct_device(known, record)
            if known is not None and known.state == "suspended":
                # A sink that had never run may have lost what was set meanwhile.
                for command in self._mixer.pending.values():
                    if command.key == (record.kind, record.index):
                        self._doubt(command, SECOND_LOOK)

    def _look_again(self) -> None:
        """Look at everything as if it was new: a lock, a cap or the settings have changed."""
        for stream in self._mixer.state.streams.values():
            self._correct(None, stream)
        for device in self._mixer.state.devices.values():
            self._correct_device(None, device)

    def _correct(self, before: Stream | None, stream: Stream) -> None:
        state = self._mixer.state
        outcome = self._rules(stream)
        if outcome.ignore:
            return
        recalled = self._recalled(stream)
        caps = [cap for cap in (recalled.max_volume, outcome.max_volume) if cap is not None]
        wanted = replace(
            recalled,
            volume=_within(state, recalled.volume if outcome.volume is None else outcome.volume),
            muted=recalled.muted if outcome.muted is None else outcome.muted,
            locked=recalled.locked or outcome.locked,
            max_volume=min(caps, default=None),
            where=recalled.where if outcome.volume is None else " by a rule",
        )
        ruled = {
            *((SetVolume,) if outcome.volume is not None else ()),
            *((SetMuted,) if outcome.muted is not None else ()),
        }
        key = (stream.kind, stream.index)
        if before is not None and before.max_volume != stream.max_volume:
            # A rule's cap is another one now: look at all of it, unless that has just been done at its birth.
            before = before if (SetVolume, key) in self._mixer.pending else None
        self._enforce(before, stream, wanted, self._moment(key), ruled)

    def _correct_device(self, before: Device | None, device: Device) -> None:
        """Hold a device's lock and cap. Without them it is left alone, since the session manager restores devices."""
        if device.is_monitor:
            return
        recalled = self._recalled(device)
        if not recalled.locked:
            recalled = Remembered(max_volume=recalled.max_volume)
        recalled = replace(recalled, volume=_within(self._mixer.state, recalled.volume))
        moment = self._moment((device.kind, device.index))._replace(born_at=-math.inf)
        self._enforce(
            None if before is None else _as_stream(before), _as_stream(device), recalled, moment, set()
        )

    def _recalled(self, record: Stream | Device) -> Remembered:
        if isinstance(record, Device):
            return recall_device(self._memory, record)
        device = self._mixer.state.device_of(record)
        return recall(self._memory, record.identity.app_id, record.kind, device)

    def _enforce(
        self,
        before: Stream | None,
        stream: Stream,
        wanted: Remembered,
        moment: Moment,
        ruled: set[type[Command]],
    ) -> None:
        """Correct what has to be; `ruled` are the settings that a rule has decided."""
        key, settings = (stream.kind, stream.index), self._mixer.state.settings
        found = enforcement(
            before,
            stream,
            wanted,
            moment,
            corrected_at=self._corrected_at.get(key, ()),
            limit=settings.max_volume if settings.enforce_max else gain.CEILING,
        )
        if found.commands:
            self._corrected_at.setdefault(key, deque(maxlen=CORRECTIONS)).append(moment.now)
            for command in found.commands:
                kind = "rule" if type(command) in ruled else "memory"
                self._mixer.act([(command, found.reason)], kind, self._corrected)
        elif found.reason and (found.again_at is None or found.again_at != self._again_at.get(key)):
            log.info("%s", found.reason)
        planned = None if before is None else self._again_at.get(key)
        again_at = found.again_at or _after_a_hand(stream, moment) or planned
        if again_at is None:
            self._again_at.pop(key, None)
        else:
            self._again_at[key] = again_at
        self._set_timer()

    def _corrected(self, command: Command, error: MixerError | None) -> None:
        is_late = isinstance(error, AudioTimeoutError)
        if error is None or is_late:
            self._doubt(command, SECOND_LOOK, error)
        times = self._corrected_at.get(command.key)
        if times and is_late:
            times.pop()  # that was no fight

    def _doubt(self, command: Command, seconds: float, error: MixerError | None = None) -> None:
        """Look again some time after a command that was acknowledged, or may yet be, and is not shown by what should show it."""
        key, mixer = command.key, self._mixer
        if mixer.is_asleep:  # whoever is awake now looks after it
            return
        is_unshown = error is not None or mixer.pending.get(slot_of(command)) is command
        if is_unshown and self._is_awake(key):
            at = self._loop.time() + seconds
            self._again_at[key] = min(self._again_at.get(key, at), at)
            self._set_timer()

    def _is_awake(self, key: Key) -> bool:
        """Whether something shows at once what is set: a device shows it when it runs, a stream when it is linked."""
        device = self._mixer.state.devices.get(key)
        if device is not None:
            return device.state != "suspended"
        return key in self._mixer.state.streams and key not in self._unlinked

    def _set_timer(self) -> None:
        self._alarm.stop()
        self._alarm.by(min(self._again_at.values(), default=math.inf))

    def _look_at_due(self) -> None:
        self.learn()
        state, now = self._mixer.state, self._loop.time()
        for key in [key for key, at in self._again_at.items() if at <= now]:
            del self._again_at[key]
            if self._is_awake(key):
                self._mixer.let_go(key)
            if key in state.streams:
                self._correct(None, state.streams[key])
            elif key in state.devices:
                self._correct_device(None, state.devices[key])
        self._set_timer()


def _is_to_be_linked(stream: Stream) -> bool:
    return stream.device is None and stream.is_linked_for_it


def _has_begun(stream: Stream) -> bool:
    """Whether a stream is linked: until then it shows 0, even where the server says already that a move has led it somewhere."""
    return stream.device is not None and gain.level(stream.channels) > 0


def _within(state: MixerState, volume: float | None) -> float | None:
    """Bring what we would set within what may be set; whether others may go above is another question."""
    return None if volume is None else min(volume, state.settings.max_volume)


def _after_a_hand(stream: Stream, moment: Moment) -> float | None:
    """Say when to look again at what a person has just set through us, and something else has set otherwise since."""
    key = (stream.kind, stream.index)
    writes = (moment.fresh_write((setting, key)) for setting in (SetVolume, SetMuted))
    overruled = (write for write in writes if write is not None and not sounds_so(stream, write.command))
    return max((write.at + ECHO + SLACK for write in overruled if write.origin.kind in BY_HAND), default=None)


def _wish(app: KnownApp) -> AppWanted:
    level = _level(app)
    return AppWanted(
        app_id=app.app_id,
        volume=level.volume,
        muted=level.muted,
        preferred_sink=app.preferred_sink,
        preferred_source=app.preferred_source,
    )


def _level(app: KnownApp) -> Level:
    """Return what an application that does not play shows as its volume and mute."""
    return app.levels.get(Kind.PLAYBACK) or app.levels.get(Kind.CAPTURE) or Level()


def _held(memory: Memory) -> Capped:
    known: list[tuple[str, KnownApp | KnownDevice]] = [*memory.apps.items(), *memory.devices.items()]
    caps = {name: each.max_volume for name, each in known if each.max_volume is not None}
    return Capped(caps=caps, locked=frozenset(name for name, each in known if each.locked))


def _about(target: App | Device) -> Intent:
    if isinstance(target, Device):
        return DeviceIntent(key=device_key(target), name=target.description)
    return AppIntent(app_id=target.app_id, name=target.name, icon_name=target.icon_name)


def _as_it_is(target: App | Device) -> tuple[Command, ...]:
    if isinstance(target, App):
        return ()
    key = (target.kind, target.index)
    return SetVolume(key=key, channels=target.channels), SetMuted(key=key, muted=target.muted)


def _as_wished(state: MixerState, target: App | Device) -> tuple[AppWanted, ...]:
    if isinstance(target, Device):
        return ()
    volume, muted = volume_of(state, {}, target), muted_of(state, {}, target)
    return (AppWanted(app_id=target.app_id, volume=volume, muted=muted),)


def _as_stream(device: Device) -> Stream:
    """Show a device as the stream that `enforcement` asks for: the same key, volume and mute, and its name."""
    return Stream(
        kind=device.kind,
        index=device.index,
        channels=device.channels,
        muted=device.muted,
        identity=Identity(app_id=device_key(device), name=device.description or device.name),
    )


def _asked(state: MixerState, plan: Plan, *, is_undo: bool = False) -> Iterable[Intent]:
    """Say what a request that is in force was about: whole applications, or else single streams and devices.

    What an undo brings back of an application's streams may differ from what it brings back of the application; of several
    on one device the loudest counts.
    """
    wished = {
        (setting, wish.app_id)
        for wish in (() if is_undo else plan.wishes)
        for setting, value in ((SetVolume, wish.volume), (SetMuted, wish.muted))
        if value is not KEEP
    }
    levels = [command for command in plan.commands if isinstance(command, SetVolume | SetMuted)]
    for command in sorted(levels, key=_loudness) if is_undo else levels:
        volume = gain.level(command.channels) if isinstance(command, SetVolume) else KEEP
        muted = command.muted if isinstance(command, SetMuted) else KEEP
        record = state.audible(command.key)
        if record is None or (
            isinstance(record, Stream) and (type(command), record.identity.app_id) in wished
        ):
            continue
        yield asked_for(record, volume, muted, state)
    for wish in plan.wishes:
        app = state.apps.get(wish.app_id)
        if app is not None and (intent := asked_for_app(app, wish, state)) is not None:
            is_back_alone = is_undo and wish.volume is not None and wish.muted is not None
            yield replace(intent, devices=("",)) if is_back_alone else intent


def _loudness(command: SetVolume | SetMuted) -> float:
    return gain.level(command.channels) if isinstance(command, SetVolume) else not command.muted
