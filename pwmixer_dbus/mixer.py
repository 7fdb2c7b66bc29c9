"""The one writer: owns the state, applies events, tells the listeners, and does what follows.

Events one way, commands the other. Outlets read `state`, ask through `submit`, and are told of changes by `subscribe`;
nothing here waits for any of them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import SERVER, Command, LevelCommand, Origin, Slot, slot_of
from pwmixer_dbus.core.errors import MixerError, NotFoundError
from pwmixer_dbus.core.events import AppWanted, Configured, Event, OnDevices
from pwmixer_dbus.core.history import Step, recorded, step_of, undone
from pwmixer_dbus.core.measures import Measures, place_of
from pwmixer_dbus.core.model import Card, Device, Key, Stream
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.selectors import label
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import Change, MixerState, Result, levelled, more_than_levelled, seen_in
from pwmixer_dbus.core.subjects import is_unseen
from pwmixer_dbus.core.tally import CHANGED
from pwmixer_dbus.core.verbs import Plan
from pwmixer_dbus.gathering import Gathering, Since
from pwmixer_dbus.lanes import Done, Lanes, SoundServer, call_each

if TYPE_CHECKING:
    from pwmixer_dbus.core.succession import Asked, Succession, UnderWay

log = logging.getLogger(__name__)

Listener = Callable[[MixerState, tuple[Change, ...], Origin], None]
OfLevel = Callable[[MixerState, MixerState, Change], None]
Heard = Callable[[Plan, Origin], None]

MOVE_FIRST = 0.001
"""Seconds that the sound server has for a move, which a change of a stream has caused, before anybody else hears of that change.

It runs on the same processors: as long as we go on, it often waits for the one that we are on.
"""

_Told = tuple[Iterable[Listener], MixerState, tuple[Change, ...], Origin, tuple[Since, ...]]


class Mixer:
    """State, commands and listeners. All calls are made on the thread of the loop that runs now.

    `server` has to be set before anything is submitted. What is measured goes to `measures`. `history` is what people did,
    oldest first, and `pending` what has been submitted and is not in force yet; relative steps count from it. This, who has
    asked for what, and how that comes to its end are those of `Lanes`. `held` and `given_up` are the keeper's: what is undone goes back to that.
    """

    def __init__(self, settings: Settings, measures: Measures | None = None) -> None:
        self.state = MixerState(settings=settings)
        self._loop = asyncio.get_running_loop()
        self.measures = measures or Measures(self._loop.time)
        self._lanes = lanes = Lanes(lambda: self.state, self.measures)
        self.pending, self.writes_of, self.mover_of = lanes.pending, lanes.writes_of, lanes.mover_of
        self.give_way, self.let_go = lanes.give_way, lanes.let_go
        self.settle, self.drain = lanes.settle, lanes.drain
        self._listeners: list[Listener] = []
        self._of_levels: list[Listener] = []
        self._before_answers: list[OfLevel] = []
        self._untold: deque[_Told] = deque()
        self._gathering = Gathering(self.tell_levels)
        self._are_levels_due = False
        self._when_all_heard: list[Callable[[], None]] = []
        self._heard_first: list[Heard] = []
        self._heard: list[Heard] = []
        self._first: list[Listener] = []
        self._put_off: list[Callable[[], None]] = []
        self._when_told: list[Callable[[], None]] = []
        self._answered: list[_Request] = []
        self._is_answering = False
        self._later: asyncio.TimerHandle | None = None
        self._has_acted = False
        self._telling = False
        self._next: deque[tuple[Event, Origin]] = deque()
        self.history: tuple[Step, ...] = ()
        self.is_asleep = False
        self.held: Callable[[Key], Iterable[Command]] = lambda _: ()
        self.given_up: Callable[[AppWanted], OnDevices] = lambda _: ()

    @property
    def server(self) -> SoundServer | None:
        """Where commands go."""
        return self._lanes.server

    @server.setter
    def server(self, server: SoundServer) -> None:
        self._lanes.server = server

    def subscribe(
        self, listener: Listener, *, levels: bool = True, before_answers: OfLevel | None = None
    ) -> Callable[[], None]:
        """Call `listener(state before, changes, origin)` after every change; it must return at once.

        Without `levels`, those that are but a level are not told. Of a level, those hear first that have given
        `before_answers(state before, state, change)`, by that and of each by itself; then whoever has asked for that level is
        answered. The others may hear of several levels together, each of another object, and a moment later. What is returned
        ends it; whoever leaves has heard of all.
        """
        self.tell_levels()
        self._listeners = [*self._listeners, listener]
        if before_answers is not None:
            self._before_answers = [*self._before_answers, before_answers]
        elif levels:
            self._of_levels = [*self._of_levels, listener]
        return partial(self._unsubscribe, listener, before_answers)

    def subscribe_first(self, listener: Listener) -> None:
        """Call a listener before all others; what it asks for is on its way before they are called.

        It is not told of levels.
        """
        self._first.append(listener)

    def before_more(self, do: Callable[[], None]) -> None:
        """Call `do()` before anything happens or is asked for that is more than a level: to do what has been put off."""
        self._put_off.append(do)

    def when_told(self, do: Callable[[], None]) -> None:
        """Call `do()` after each change, when those listeners that come before answers have heard and the answers are given."""
        self._when_told.append(do)

    def when_all_heard(self, do: Callable[[], None]) -> None:
        """Call `do()` as soon as all listeners have heard of what has happened until now."""
        if self._telling or self._later is not None:
            self._when_all_heard.append(do)
        else:
            do()

    def _catch_up(self) -> None:
        self.tell_all()
        if self._gathering:
            self._release_levels()
        waiting: Iterable[tuple[Event, Origin]] = ()
        if not self._telling:  # what it causes comes before whatever waits
            waiting, self._next = self._next, deque()
        try:
            self._tell_the_rest()
            call_each(self._put_off, "what had been put off failed")
        finally:
            self._next += waiting

    def _unsubscribe(self, listener: Listener, before_answers: OfLevel | None) -> None:
        self.tell_levels()
        # A new list, since a listener may come or go while all are being told.
        self._listeners = [other for other in self._listeners if other != listener]
        self._of_levels = [other for other in self._of_levels if other != listener]
        self._before_answers = [other for other in self._before_answers if other != before_answers]

    def hear(self, heard: Heard) -> Callable[[], None]:
        """Call `heard(plan, origin)` when a request is in force, also where it changed nothing, and has been answered.

        What is returned ends it.
        """
        self._heard = [*self._heard, heard]
        return partial(self._unhear, heard)

    def _unhear(self, heard: Heard) -> None:
        self._heard = [other for other in self._heard if other != heard]

    def hear_first(self, heard: Heard) -> None:
        """Call `heard(plan, origin)` before the commands of every request."""
        self._heard_first.append(heard)

    def on_event(self, event: Event, origin: Origin = SERVER) -> None:
        """Apply an event, tell the listeners, and do what follows from it.

        One that a listener causes is applied when all of them have heard of the one before.
        """
        if self._telling:
            self._next.append((event, origin))
            return
        if self._later is not None:
            self.tell_all()
        told = self._take(event, origin)
        # One after the other: a change of all streams causes one event for each.
        while self._next and self._later is None:
            told += self._take(*self._next.popleft())
        if told:
            self._answer(told)
        if self._are_levels_due:
            self._are_levels_due = False
            self._release_levels()
        if self._untold and self._later is None:
            self._tell_the_rest()

    def _answer(self, told: tuple[Change, ...]) -> None:
        """Answer whoever has asked for what has changed, have that written, and then see to what nobody waits for."""
        was_idle = self._lanes.is_idle
        self._is_answering = True
        try:
            self._lanes.on_change(told)
        finally:
            self._is_answering = False
        call_each(self._when_told, "an outlet failed on having told a change")
        if not was_idle:
            self._lanes.rest()
        if self._answered:
            self._remember_answered()

    def tell_all(self) -> None:
        """Tell everybody now of a change that only the first listeners have heard of: nobody is answered before all know it."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
            self._tell_the_rest()

    def tell_levels(self) -> None:
        """Tell gathered levels, too: before anything is made of what the listeners know for whom nobody waits."""
        self.tell_all()
        if self._gathering:
            self._release_levels()
            self._tell_the_rest()

    def _release_levels(self) -> None:
        taken = self._gathering.take()
        if taken is not None:
            before, changes, since = taken
            self._untold.append((self._of_levels, before, changes, SERVER, since))

    def _take(self, event: Event, origin: Origin) -> tuple[Change, ...]:
        """Apply an event, tell the listeners, and return what has changed; not what nobody sees."""
        since = self.measures.clock()
        result = levelled(self.state, event)
        if result is not None:
            self.measures.applied(event, changed=bool(result[1]))
            return self._levelled(result, origin, since)
        self._catch_up()
        before, measures = self.state, self.measures
        self.state, changes = more_than_levelled(before, event)
        measures.applied(event, changed=bool(changes))
        if before.server.cookie != self.state.server.cookie:
            self.history = ()  # its indexes mean other objects in another life of the server
            self._lanes.forget_all()
        if not changes:
            return ()
        if origin.kind == "memory" and is_unseen(self.state, changes):
            # Whoever has looked before has seen all that there is.
            self.state = replace(self.state, generation=before.generation)
            return ()
        if origin is SERVER and not self._lanes.is_idle:
            origin = self._lanes.origin_of(set(_keys_of(changes)))
        # First, since a listener may ask something of a stream that has the index of one that has just gone.
        self._forget_the_dead(changes)
        self._has_acted = False
        self._tell(self._first, before, changes, origin, ())
        measures.follow(changes)  # when a move is on its way, which need not wait for it
        begun = ((since, place_of(changes[0].after or changes[0].before)),)
        if self._has_acted:
            self._untold.append((self._listeners, before, changes, origin, begun))
            self._later = self._loop.call_later(MOVE_FIRST, self.tell_all)
        else:
            self._tell(self._listeners, before, changes, origin, begun)
        return changes

    def _levelled(self, result: Result, origin: Origin, since: float) -> tuple[Change, ...]:
        """Go the short way with a change that is but a level: nothing comes, goes or moves."""
        before = self.state
        self.state, changes = state, _ = result
        if not changes:
            return ()
        about = place_of(changes[0].after)
        # Whoever has asked for it, or is told over a wire, waits for nobody else who listens.
        if not self.is_asleep:
            self._telling = True
            call_each(self._before_answers, "an outlet failed on a level", before, state, changes[0])
            self._telling = False
        if not self._lanes.is_idle:  # it may be what was asked, and more may follow from that
            if origin is SERVER:
                origin = self._lanes.origin_of((about,))
            self._untold.append((self._of_levels, before, changes, origin, ((since, about),)))
        elif self._gathering.add(before, about, changes[0], since):
            self._are_levels_due = True
        return changes

    def _tell_the_rest(self) -> None:
        """Tell those who have not heard yet, and do what follows."""
        while self._untold and not self._telling:
            self._tell(*self._untold.popleft())
            while self._next:
                self.on_event(*self._next.popleft())

    def _tell(
        self,
        listeners: Iterable[Listener],
        before: MixerState,
        changes: tuple[Change, ...],
        origin: Origin,
        since: tuple[Since, ...],
    ) -> None:
        """Call listeners; with the last of them, note that all have heard of what has begun some time ago."""
        if self.is_asleep:
            return
        self._telling = True
        call_each(listeners, "an outlet failed on a change", before, changes, origin)
        self._telling = False
        for begun_at, about in since:
            self.measures.note(CHANGED, about, begun_at)
        if since and self._when_all_heard:
            said, self._when_all_heard = self._when_all_heard, []
            call_each(said, "what had come of a change could not be said")

    def sleep(self) -> None:
        """Only follow the sound server from now on: nobody is told of anything, so nothing follows from it."""
        self._catch_up()
        self.is_asleep = True

    def wake(self, state: MixerState) -> Event:
        """Go on from a state; return the event that makes of it what has been seen meanwhile, for `on_event`."""
        self.tell_levels()  # to nobody, since we are asleep: so they are dropped
        seen, self.state, self.is_asleep = self.state, state, False
        return seen_in(seen)

    def hand_over(self) -> "Asked":
        """Return what was asked of the sound server, for another instance; here, whoever has asked is only answered.

        A step of a fade is none of it: where that is taken over, it goes on from the volume that there is.
        """
        asked, waiters = self._lanes.hand_over()
        requests: dict[_Request, None] = dict.fromkeys(
            done.args[0] for done in waiters if isinstance(done, partial) and done.func == self._one_done
        )
        under_way = (each.hand_over(self.pending) for each in requests if each.origin.kind != "fade")
        return replace(asked, under_way=tuple(under_way))

    def take_over(self, history: tuple[Step, ...], asked: "Asked") -> None:
        """Go on with what people did and asked through another instance."""
        self.history = history
        self._lanes.take_over(asked)

    def resume(self, left: "Succession") -> None:
        """Bring to its end what was under way in another instance, if in this life of the server; nobody here waits for it."""
        if left.state.server.cookie != self.state.server.cookie:
            return
        for each in left.asked.under_way:
            plan = Plan(commands=each.commands, wishes=each.wishes)
            request = _Request(plan, each.origin, lambda _: None, None)
            request.noted = each.step
            for command in each.commands:
                self._lanes.enqueue(command, each.origin, partial(self._one_done, request))
            if not each.commands:
                self._finish(request, None)

    def note(self, wanted: Plan, origin: Origin) -> None:
        """Put a person's request that is carried out bit by bit into the history; its last part is submitted as `noted`."""
        self._catch_up()
        step = self._step_of(self.state, self.pending, wanted, origin.client, self._loop.time())
        self.history = recorded(self.history, step)

    def _step_of(
        self, state: MixerState, pending: Mapping[Slot, Command], wanted: Plan, client: str, at: float
    ) -> Step:
        held = {slot_of(each): each for command in wanted.commands for each in self.held(command.key)}
        return step_of(state, {**held, **pending}, wanted, client, at, given_up=self.given_up)

    def submit(self, wanted: Plan, origin: Origin, done: Done, *, noted: bool = False) -> None:
        """Send a plan's commands; `done` is called once, when all are in force or one failed.

        Its wishes are kept, and a person's request, unless it is `noted` already, can be undone, once it is in force.
        """
        if _is_of_levels(wanted):
            self.tell_all()
        else:
            self._catch_up()
        call_each(self._heard_first, "an outlet failed on a request", wanted, origin)
        step: Callable[[], Step] | None = None
        if origin.kind == "user" and not noted:
            pending, now = dict(self.pending), self._loop.time()
            step = partial(self._step_of, self.state, pending, wanted, origin.client, now)
        request = _Request(wanted, origin, done, step)
        if not wanted.commands:
            request.note()  # before the wishes are kept: they may take the place of what is remembered
            self._finish(request, None)
        for command in wanted.commands:
            self._lanes.enqueue(command, origin, partial(self._one_done, request))
        request.note()
        self.tell_levels()

    def _one_done(self, request: "_Request", error: MixerError | None) -> None:
        request.remaining -= 1
        if error is not None:
            request.fail(error)
        if not request.remaining:
            self._finish(request, request.failure)

    def _finish(self, request: "_Request", error: MixerError | None) -> None:
        """Keep the wishes and answer; when all answers of this moment are given, see to what nobody waits for."""
        if error is None:
            for wish in request.wanted.wishes:
                self.on_event(wish, request.origin)
        self.tell_all()  # whoever is answered has heard before what has come of it
        try:
            request.done(error)
        finally:
            if error is None:
                self._answered.append(request)
            if not self._is_answering:
                self._remember_answered()

    def _remember_answered(self) -> None:
        answered, self._answered = self._answered, []
        for request in answered:
            step = request.note()
            if step is not None:
                self.history = recorded(self.history, step)
            call_each(self._heard, "an outlet failed on an answered request", request.wanted, request.origin)

    def undo(self, count: int, origin: Origin, done: Callable[[int, MixerError | None], None]) -> None:
        """Take back the last steps of people; `done` is called as by `submit`, with how many there were."""
        self.history, wanted, taken = undone(self.state, self.history, count)
        self.submit(wanted, origin, partial(done, taken))

    def act(
        self,
        commands: Iterable[tuple[Command, str]],
        kind: str,
        done: Callable[[Command, MixerError | None], None] | None = None,
    ) -> None:
        """Carry out what the service has decided by itself, each with its reason; `kind` is rule or memory."""
        for command, reason in commands:

            def told(error: MixerError | None, command: Command = command) -> None:
                if error is not None:
                    log.info("%s: %s", label(self.state, command.key), error)
                if done is not None:
                    done(command, error)

            self._lanes.enqueue(command, Origin(kind=kind, context=reason), told)
            log.info("%s: %s", label(self.state, command.key), reason)
            self._has_acted = True
        self.tell_levels()

    def limit_volume(self, limit: float) -> float:
        """Set the highest volume until the configuration is read again; return it as it is in force."""
        effective = min(max(gain.checked(limit, "The highest volume"), 0.0), gain.CEILING)
        self.on_event(Configured(settings=replace(self.state.settings, max_volume=effective)))
        return effective

    def _forget_the_dead(self, changes: Iterable[Change]) -> None:
        for change in changes:
            record = change.before
            # A device may be the same at another index, where it has gone and come between two listings.
            if (
                isinstance(record, Device | Stream | Card)
                and getattr(change.after, "index", None) != record.index
            ):
                self._lanes.forget((change.kind, record.index))


class _Request:
    """A plan that is on its way; `step` says what it is for the history, where it is to be in there."""

    __slots__ = ("_gone", "_step", "done", "failure", "noted", "origin", "remaining", "wanted")

    def __init__(self, wanted: Plan, origin: Origin, done: Done, step: Callable[[], Step] | None) -> None:
        self.wanted = wanted
        self.origin = origin
        self.done = done
        self.remaining = len(wanted.commands)
        self.failure: MixerError | None = None
        self._gone = 0
        self._step = step
        self.noted: Step | None = None

    def fail(self, error: MixerError) -> None:
        """Note that a command has failed. That an object has gone meanwhile only counts where nothing else was asked for."""
        if isinstance(error, NotFoundError):
            self._gone += 1
            if self.wanted.wishes or self._gone < len(self.wanted.commands):
                return
        self.failure = self.failure or error

    def hand_over(self, pending: Mapping[Slot, Command]) -> "UnderWay":
        """Leave it to another instance, but for the answer: its commands that still count, its wishes and its step."""
        from pwmixer_dbus.core.succession import UnderWay  # noqa: PLC0415 - once in the life of a service

        commands = tuple(c for c in self.wanted.commands if pending.get(slot_of(c)) is c)
        step, self.noted = self.noted, None
        return UnderWay(commands=commands, wishes=self.wanted.wishes, origin=self.origin, step=step)

    def note(self) -> Step | None:
        """Make the step. Called when the commands are with the server, so that they need not wait for it."""
        if self._step is not None:
            self.noted, self._step = self._step(), None
        return self.noted


def _is_of_levels(plan: Plan) -> bool:
    """Whether a plan asks for levels only, for which nothing matters that has been put off."""
    if plan.wishes or not plan.commands:
        return False
    for command in plan.commands:  # noqa: SIM110 - a generator would be another function
        if not isinstance(command, LevelCommand):
            return False
    return True


def _keys_of(changes: Iterable[Change]) -> Iterable[Key]:
    for change in changes:
        if isinstance(change.after, Device | Stream):
            yield change.after.kind, change.after.index
