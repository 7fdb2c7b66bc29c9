"""Where streams go: follows what happens, lets `core.routing` decide, and sends the moves."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core.commands import Command, Origin
from pwmixer_dbus.core.errors import MixerError
from pwmixer_dbus.core.matching import (
    NOTHING,
    Outcome,
    Outcomes,
    Trial,
    facts,
    tried,
    waits_for_device,
)
from pwmixer_dbus.core.model import Key, Stream
from pwmixer_dbus.core.routing import (
    Applied,
    Placement,
    Routing,
    Steps,
    World,
    decide,
    due,
    failed,
    follow,
    goal_of,
    is_settling,
    obstacle,
    speaks_against_default,
    wish_of,
)
from pwmixer_dbus.core.rules import Rule
from pwmixer_dbus.core.selectors import label
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.tally import RULED
from pwmixer_dbus.mixer import Mixer

log = logging.getLogger(__name__)

FIRST_DOUBT, DOUBTS = 0.1, 1.0
"""Seconds after which a default that is in doubt is looked for anew, since it is mostly told of a moment later; and those
between two such looks, which are sooner than what another program has moved is taken for a person's wish.
"""


class Router:
    """Keeps streams where rules and people want them. `on_applied` is told what becomes of each rule's wish."""

    def __init__(self, mixer: Mixer) -> None:
        self.on_applied: Callable[[Applied], None] = lambda _: None
        self._mixer = mixer
        self._loop = asyncio.get_running_loop()
        self._outcomes = Outcomes(())
        self._any_locks = False
        self._enabled = True
        self._held = frozenset[str](), frozenset[Key]()
        self._routing = Routing()
        self._alarm = Alarm(self._decide_due)
        self._doubtful = set[Key]()
        self._doubt = Alarm(self._look_for_default)
        self._looked_at = -math.inf
        mixer.subscribe_first(self._on_change)

    def set_rules(self, rules: tuple[Rule, ...]) -> None:
        """Put rules in force, in this order; streams that they concern move, those of a removed rule go back."""
        self._outcomes = Outcomes(rules)
        self._any_locks = any(rule.locked for rule in rules)
        self._decide_all()

    @property
    def enabled(self) -> bool:
        """Whether rules are in use at all."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        if enabled != self._enabled:
            self._enabled = enabled
            self._decide_all()

    def hand_over(self) -> Routing:
        """Return how streams came to be where they are, for another instance."""
        self._alarm.stop()
        self._doubt.stop()
        return self._routing

    def take_over(self, routing: Routing, *, enabled: bool) -> None:
        """Go on with what another instance knew; nothing is decided before `look`."""
        self._routing, self._enabled = routing, enabled

    def look(self) -> None:
        """Look at all streams, without any other cause."""
        self._decide_all()

    def hold(self, apps: frozenset[str], streams: frozenset[Key]) -> None:
        """Leave these applications and streams where they are, until this is called again without them."""
        before, self._held = self._held, (apps, streams)
        if before[0] - apps or before[1] - streams:
            self._decide_all()

    def is_held(self, stream: Stream) -> bool:
        """Whether a stream is left where it is for now."""
        apps, streams = self._held
        return stream.identity.app_id in apps or (stream.kind, stream.index) in streams

    def outcome_of(self, stream: Stream) -> Outcome:
        """Return what the rules want of a stream."""
        return self._outcomes.of(self._mixer.state, stream) if self._enabled else NOTHING

    def locks(self, stream: Stream) -> bool:
        """Whether a rule holds the volume of a stream; hardly any rule does, so most streams need not be tried."""
        return self._any_locks and self.outcome_of(stream).locked

    def trials_of(self, stream: Stream) -> tuple[Trial, ...]:
        """Return each rule with whether and why it counts for a stream."""
        ready = self._outcomes.ready
        return tried(ready, facts(ready, self._mixer.state, stream))

    def explain(self, stream: Stream) -> dict[str, str | bool | None]:
        """Say where a stream should be and by whose wish, who moved it last, and why it is not where it should be.

        While it is `settling`, what other programs do to it is taken for the session manager's doing.
        """
        now = self._loop.time()
        placement = self._routing.placements.get((stream.kind, stream.index)) or Placement(born_at=now)
        state = self._mixer.state
        outcome, found_on = wish_of(placement, self._world(), stream)
        goal = goal_of(placement, state, stream, outcome)
        reason = "" if placement.override else obstacle(state, stream, outcome)
        if placement.foreign is not None:
            reason = "Another program has just moved it; in a moment that counts as a person's wish."
        elif self.is_held(stream):
            reason = "A program holds it where it is, as Holds tells; rules count again when that ends."
        elif goal is not None and goal.device.index != stream.device:
            rest = placement.rest_until - now
            reason = (
                f"Something fights the move, perhaps another rule; it is tried again in {rest:.0f} s."
                if rest > 0
                else "It is on its way."
            )
        elif goal is not None and outcome.to != self.outcome_of(stream).to and not placement.override:
            reason = f"The {goal.by} found it on {found_on or 'no device'} and brought it here; that is no reason to move it on."
        elif not self._enabled and any(trial.matched for trial in self.trials_of(stream)):
            reason = "Rules are switched off, so that none counts."
        return {
            "desired_device": None if goal is None else goal.device.name,
            "desired_by": "" if goal is None else goal.by,
            "moved_by": placement.moved_by,
            "reason": reason,
            "settling": is_settling(placement, self._routing.unrest_at, now),
        }

    def _on_change(self, _before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        steps = follow(self._routing, self._world(), changes, self._loop.time())
        if steps is not None:
            self._carry_out(steps)

    def _decide_all(self) -> None:
        self._decide(self._mixer.state.streams)

    def _decide_due(self) -> None:
        self._decide(due(self._routing))

    def _decide(self, keys: Iterable[Key]) -> None:
        self._alarm.stop()
        if not self._mixer.is_asleep:
            self._carry_out(decide(self._routing, self._world(), keys, self._loop.time()))

    def _world(self) -> World:
        return World(
            state=self._mixer.state,
            wants=self.outcome_of,
            pending=self._mixer.pending,
            mover=self._mixer.mover_of,
            is_held=self.is_held,
            waits=self._waits,
        )

    def _waits(self, stream: Stream) -> bool:
        ready = self._outcomes.ready
        if not self._enabled or not ready.by_device:
            return False
        return waits_for_device(ready, facts(ready, self._mixer.state, stream))

    def _carry_out(self, steps: Steps) -> None:
        self._routing = steps.routing
        # First of all, since the session manager is about to link a new stream, perhaps to a device where nobody wants
        # to hear it.
        self._mixer.act(steps.moves, "rule", self._moved)
        self._look_again(steps.again_at)
        if steps.doubtful:
            self._doubtful.update(steps.doubtful)
            self._doubt.by(max(self._loop.time() + FIRST_DOUBT, self._looked_at + DOUBTS))
        self._outcomes.forget(steps.gone)
        for told in steps.applied:
            if told.outcome == "suspended":
                log.warning(
                    "rule “%s” is suspended for %s: something, perhaps another rule, moves it away from %s",
                    told.rule,
                    label(self._mixer.state, told.stream),
                    told.device.name,
                )
            self.on_applied(told)
        for routed in steps.routed:
            self._mixer.on_event(routed)

    def _moved(self, command: Command, error: MixerError | None) -> None:
        if error is None:
            self._mixer.measures.note(RULED, command.key)
        else:
            now, state = self._loop.time(), self._mixer.state
            self._routing, again_at = failed(self._routing, state, command.key, now)
            self._look_again(again_at)

    def _look_for_default(self) -> None:
        state, server = self._mixer.state, self._mixer.server
        doubtful, self._doubtful = self._doubtful, set()
        streams = [state.streams[key] for key in doubtful if key in state.streams]
        if server is not None and any(speaks_against_default(state, stream) for stream in streams):
            self._looked_at = self._loop.time()
            server.renew()

    def _look_again(self, when: float | None) -> None:
        """Look at what is due at a time, or earlier if that was planned before; without a reason nothing is planned."""
        if when is not None:
            self._alarm.by(when)
