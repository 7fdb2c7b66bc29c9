"""Where streams should be: what rules and people want, against what the session manager does. Pure; time comes in.

The cases, strongest first, for a stream that may be moved at all:

1. A person has moved it, with us or with any other program: there it stays until it ends, whatever the default does.
2. A rule names devices: on the first of them that is there. If that is the default, it is held there all the same. A
   rule may ask where a stream is: then it counts where it was found, and not where rules have brought it since.
3. Its application prefers a device that is there: on that.
4. A rule or a preference had moved it and is gone, or it would hear itself there now: to the default, since removing a
   rule does not undo it by itself.
5. WirePlumber has led it where a rule sent another application: to the default. It remembers a move for all that share an
   application.id or application.name, and all Electron applications are “Chromium” to it.
6. Else it is the session manager's.

A move by somebody else is a person's when it has stood for `STABLE` seconds and nothing explains it: no device came or
went, no default changed, no server or session manager restarted, nobody moved it with us within `SETTLE` seconds before. What
is explained so is put right at once. Between two devices a stream may be seen on none, whoever moves it.

The default may have changed without a notice (docs/pipewire-versions.md). A stream that moves to a device, or comes up
on one, where it has no other reason to be, is a sign of that; if that device is found to be the default, the move is
explained.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from pwmixer_dbus.core.commands import SERVER, Command, MoveStream, Origin, Slot
from pwmixer_dbus.core.events import Routed
from pwmixer_dbus.core.loops import closes_a_loop, group_of
from pwmixer_dbus.core.matching import Outcome
from pwmixer_dbus.core.memory import device_of_key
from pwmixer_dbus.core.model import App, Client, Device, Key, Kind, Record, Server, Stream
from pwmixer_dbus.core.patterns import glob, is_glob
from pwmixer_dbus.core.records import dataclass, field, replace
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.table import with_entry, without

SETTLE = 1.5
STABLE = 2.0

TRIES, TRIES_IN = 3, 30.0
"""So many corrections of one stream within so many seconds are a fight; then it is left alone for a while."""

FIRST_REST, LAST_REST = 60.0, 300.0

LED = 1000
"""How many names of WirePlumber's are kept; the oldest go first."""


_SESSION_MANAGER, _ANOTHER_PROGRAM = "the session manager", "another program"
_OTHERS = frozenset((_SESSION_MANAGER, _ANOTHER_PROGRAM))

RETRY = 1.0
"""Seconds after which a move that failed is tried again."""


class World(NamedTuple):
    """What decisions are based on: the state, what the rules want of a stream, and the commands that are on their way.

    `mover` says who has asked just now for a stream to be moved to where it is: what else is asked of it meanwhile, as a
    volume is, says nothing of who moves it. `is_held` says whether some program holds a stream where it is, and `waits`
    whether a rule has to know first on which device a new one comes up.
    """

    state: MixerState
    wants: Callable[[Stream], Outcome]
    pending: Mapping[Slot, Command] = MappingProxyType({})
    mover: Callable[[Stream], Origin] = lambda _: SERVER
    is_held: Callable[[Stream], bool] = lambda _: False
    waits: Callable[[Stream], bool] = lambda _: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How one stream came to be where it is.

    `rule` has moved it, or it was `preferred`; `found_on` is the name of the device on which it found it, `placed_on` of
    that on which it has been as we want it, and `left` of that from which it has come to none without an explanation;
    `arrived` is whether nothing has been decided since our own move led it where it is; `override` is the name of the
    device that a person chose; `moved_at` is when we have moved it last; `foreign` is the name of one that somebody chose, and
    since when, while it is not yet known to be a person; `moved_by` says who was last. `linked` is whether it has been on
    any device yet.
    """

    born_at: float
    linked: bool = False
    rule: str = ""
    preferred: bool = False
    found_on: str = ""
    placed_on: str = ""
    left: str = ""
    arrived: bool = False
    override: str = ""
    moved_at: float = -math.inf
    foreign: tuple[str, float] | None = None
    moved_by: str = _SESSION_MANAGER
    tries: tuple[float, ...] = ()
    rests: int = 0
    rest_until: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All placements, when there last was an upheaval, and what the session manager has learned of us.

    `led` has the application for each name under which WirePlumber remembers a move that a rule has made.
    """

    placements: Mapping[Key, Placement] = field(default_factory=dict)
    unrest_at: float = -math.inf
    led: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What is left where it is while a program asks for that, by its unique name: all of some applications, or single streams."""

    cookie: int
    client: str
    target: str = ""
    reason: str = ""
    app_id: str = ""
    apps: frozenset[str] = frozenset()
    streams: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a rule's wish for a stream: `moving`, or `suspended` because something fights it."""

    rule: str
    stream: Key
    device: Device
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Where a stream should be, and by whose wish: `person`, `rule NAME`, `preference`, or "" for the default after those."""

    device: Device
    by: str


class Decided(NamedTuple):
    """What was decided of one stream: its `placement`, None while it is on its way, and where it should be.

    `step` is True for a move, False where it is suspended just now, None where nothing is done. `by` is what keeps it
    where it is, None where that is not to be told.
    """

    stream: Stream
    outcome: Outcome
    placement: Placement | None
    goal: Goal | None = None
    step: bool | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What to do: moves with their reasons. What is said of them is made when it is asked for, so that no move waits for it.

    `gone` are streams of which nothing need be kept. `doubtful` are streams that have come to where only another default
    than we know would lead them. `decided` is of the streams that were looked at, at a time.
    """

    routing: Routing
    gone: tuple[Key, ...] = ()
    moves: tuple[tuple[MoveStream, str], ...] = ()
    doubtful: tuple[Key, ...] = ()
    decided: tuple[Decided, ...] = ()
    at: float

    @property
    def routed(self) -> tuple[Routed, ...]:
        """What is decided of the streams that were looked at, where they do not say so already."""
        told = (_told(each.stream, each.by, each.outcome) for each in self.decided if each.by is not None)
        return tuple(chain.from_iterable(told))

    @property
    def applied(self) -> tuple[Applied, ...]:
        """What has become of the wishes of rules."""
        return tuple(
            Applied(
                rule=each.placement.rule,
                stream=(each.stream.kind, each.stream.index),
                device=each.goal.device,
                outcome="moving" if each.step else "suspended",
            )
            for each in self.decided
            if each.placement is not None
            and each.goal is not None
            and each.placement.rule
            and each.step is not None
        )

    @property
    def again_at(self) -> float | None:
        """When to look at these streams again without a cause, None where none of them needs it: what was planned of others stands."""
        times = (_times(each.placement, self.at) for each in self.decided if each.placement is not None)
        return min(chain.from_iterable(times), default=None)


def follow(routing: Routing, world: World, changes: Sequence[Change], now: float) -> Steps | None:
    """Return what follows from changes; the world is that after them.

    None where nothing does, as from nearly every change, which is one of how loud something is.
    """
    state = world.state
    is_unrest = any(map(_is_unrest, changes))
    routing = replace(routing, unrest_at=now) if is_unrest else routing
    noted = dict(_ahead_of_default(routing, changes)) if is_unrest else {}
    gone: list[Key] = []
    concerned: list[Key] = []
    for change in changes:
        record = change.after or change.before
        if not isinstance(record, Stream):
            concerned += () if is_unrest else _concerned_by(change, state)
            continue
        key = (record.kind, record.index)
        if change.after is None:
            gone.append(key)
            continue
        if _is_cause(change):
            concerned.append(key)
        known = routing.placements.get(key)
        now_at = known or Placement(born_at=now)
        before = change.before
        if isinstance(before, Stream) and record.device != before.device:
            origin = world.mover(record)
            now_at = _after_move(now_at, state, before, record, origin, now=now, unrest_at=routing.unrest_at)
        if now_at is not known:
            noted[key] = now_at
    if not (is_unrest or concerned or gone or noted):
        return None
    routing = _with_placements(routing, noted, gone)
    steps = decide(routing, world, state.streams if is_unrest else _with_other_ends(state, concerned), now)
    doubtful = () if is_unrest else tuple(_doubtful(state, noted))
    return replace(steps, gone=tuple(gone), doubtful=doubtful) if gone or doubtful else steps


def _with_placements(routing: Routing, noted: Mapping[Key, Placement], gone: Iterable[Key]) -> Routing:
    placements = routing.placements
    for key in gone:
        placements = without(placements, key) if key in placements else placements
    for key, placement in noted.items():
        placements = with_entry(placements, key, placement)
    return replace(routing, placements=placements)


def _ahead_of_default(routing: Routing, changes: Iterable[Change]) -> Iterable[tuple[Key, Placement]]:
    """Name the streams that another program seemed to move, and that were only seen to follow the default before it was."""
    for change in changes:
        before, server = change.before, change.after
        if not (isinstance(before, Server) and isinstance(server, Server)):
            continue
        for key, placement in routing.placements.items():
            kind = key[0].devices
            default = server.default(kind)
            if placement.foreign is not None and before.default(kind) != default == placement.foreign[0]:
                yield key, replace(placement, foreign=None, moved_by=_SESSION_MANAGER)


def _doubtful(state: MixerState, noted: Mapping[Key, Placement]) -> Iterable[Key]:
    for key, placement in noted.items():
        if placement.moved_by in _OTHERS and speaks_against_default(state, state.streams[key]):
            yield key


def speaks_against_default(state: MixerState, stream: Stream) -> bool:
    """Whether a stream has no reason that we know to be where it is, and is not where the default would lead it."""
    here = state.device_of(stream)
    if here is None or stream.routed_by or not stream.is_linked_for_it or is_pinned(stream):
        return False
    return here is not state.default(stream.kind.devices)


def _with_other_ends(state: MixerState, keys: Iterable[Key]) -> Iterable[Key]:
    """Add the other streams of loopbacks: where they are may decide whether one would hear itself."""
    found = dict.fromkeys(keys)
    groups = set[str]()
    for key in found:
        stream = state.streams.get(key)
        if stream is not None and (group := group_of(stream)):
            groups.add(group)
    if groups:
        found |= dict.fromkeys(key for key, stream in state.streams.items() if group_of(stream) in groups)
    return found


def decide(routing: Routing, world: World, keys: Iterable[Key], now: float) -> Steps:
    """Return what brings these streams where they should be; also after the rules changed, and at `again_at`."""
    state = world.state
    placements, led = routing.placements, routing.led
    moves: list[tuple[MoveStream, str]] = []
    decided: list[Decided] = []
    for key in keys:
        stream = state.streams.get(key)
        if stream is None:
            continue
        known = placements.get(key) or Placement(born_at=now)
        if stream.device is None and (not _is_to_be_linked(known, stream) or world.waits(stream)):
            continue  # it is on its way, and will be seen again
        outcome, found_on = wish_of(known, world, stream)
        linked = stream.device is not None
        is_as_noted = found_on == known.found_on and linked == known.linked
        placement = known if is_as_noted else replace(known, found_on=found_on, linked=linked)
        placement = _judged(placement, state, stream, outcome, now)
        if world.is_held(stream):
            placements = with_entry(placements, key, placement)
            decided.append(Decided(stream, outcome, placement))
            continue
        goal = goal_of(placement, state, stream, outcome) or _way_back(routing, placement, state, stream, now)
        is_there = goal is not None and goal.device.index == stream.device
        if (
            goal is not None
            and not is_there
            and world.pending.get((MoveStream, key)) == MoveStream(key=key, device=goal.device.index)
        ):
            decided.append(Decided(stream, outcome, None, by=stream.routed_by))
            continue  # it is on its way there, and its end will be a cause
        placement, step = _step(placement, stream, goal, now)
        placements = with_entry(placements, key, placement)
        if goal is not None and step:
            reason = f"{goal.by or 'no rule'} wants it on {goal.device.name}"
            moves.append((MoveStream(key=key, device=goal.device.index), reason))
            if goal.by not in {"", "person"}:
                led = _with_led(led, stream)
        by = goal.by if goal is not None and is_there else ""
        decided.append(Decided(stream, outcome, placement, goal, step, by))
    return Steps(
        routing=replace(routing, placements=placements, led=led),
        moves=tuple(moves),
        decided=tuple(decided),
        at=now,
    )


def _told(stream: Stream, by: str, outcome: Outcome) -> tuple[Routed, ...]:
    """Return the event with what was decided of a stream; none where the stream shows just that already."""
    max_volume = None if outcome.ignore else outcome.max_volume
    decided = (
        by,
        outcome.display_name,
        outcome.icon_name,
        outcome.hide,
        outcome.group,
        max_volume,
    )
    if decided == _SAID(stream):
        return ()
    told = Routed(
        kind=stream.kind,
        index=stream.index,
        by=by,
        display_name=outcome.display_name,
        icon_name=outcome.icon_name,
        hidden=outcome.hide,
        group=outcome.group,
        max_volume=max_volume,
    )
    return (told,)


_SAID = attrgetter("routed_by", "display_name", "icon_name", "hidden", "group", "max_volume")


def failed(routing: Routing, state: MixerState, key: Key, now: float) -> tuple[Routing, float | None]:
    """Note that a move of ours did not happen; return when to look again, None for not before something else happens.

    A stream that is on no device is not fought over: the session manager has not linked it yet, and knows where it is
    wanted. When it does link it, wherever that is, the stream is looked at anyway.
    """
    placement, stream = routing.placements.get(key), state.streams.get(key)
    if placement is None or stream is None or stream.device is None:
        return routing, None
    noted = replace(placement, tries=_recent(placement.tries, now))
    return replace(routing, placements=with_entry(routing.placements, key, noted)), now + RETRY


def wish_of(placement: Placement, world: World, stream: Stream) -> tuple[Outcome, str]:
    """Return what the rules want of a stream, and on which device the one that sends it found it: its name, "" for none.

    A device to which a rule has moved it counts for no rule: two rules could otherwise send it to and fro for ever, and
    a rule for what plays on some device would let go of each stream as soon as it had moved it.
    """
    outcome = world.wants(stream)
    here = world.state.device_of(stream)
    if placement.rule:
        found = world.state.device_named(stream.kind.devices, placement.found_on)
        if found is not here and (found is not None or not placement.found_on):
            before = world.wants(replace(stream, device=None if found is None else found.index))
            if before.to:
                by = {**outcome.decided_by, "to": before.decided_by["to"]}
                return replace(outcome, to=before.to, force=before.force, decided_by=by), placement.found_on
    return outcome, "" if here is None else here.name


def goal_of(placement: Placement, state: MixerState, stream: Stream, outcome: Outcome) -> Goal | None:
    """Return where a stream should be; None where that is nobody's business but the session manager's."""
    if outcome.ignore:
        return None
    kind = stream.kind.devices
    if placement.foreign is not None:
        return None
    chosen = state.device_named(kind, placement.override) if placement.override else None
    if chosen is not None:
        return Goal(device=chosen, by="person")
    if is_pinned(stream) and not outcome.force:
        return None
    device = first_there(state, kind, outcome.to, stream)
    if device is not None:
        return Goal(device=device, by=f"rule {outcome.decided_by['to'].name}")
    preferred = _preferred(state, stream)
    if preferred is not None:
        return Goal(device=preferred, by="preference")
    default = state.default(kind)
    here = state.device_of(stream)
    is_to_leave = not outcome.to or (here is not None and closes_a_loop(state, stream, here))
    if (placement.rule or placement.preferred) and is_to_leave and default is not None:
        return Goal(device=default, by="")
    return None


def _preferred(state: MixerState, stream: Stream) -> Device | None:
    app, kind = state.apps.get(stream.identity.app_id), stream.kind.devices
    key = "" if app is None else app.preferred(kind)
    device = device_of_key(state, key) if key else None
    return None if device is None or closes_a_loop(state, stream, device) else device


def is_settling(placement: Placement, unrest_at: float, now: float) -> bool:
    """Whether a move of a stream may still be the session manager's doing, and so is nobody's wish."""
    return now - max(unrest_at, placement.born_at, placement.moved_at) < SETTLE


def _way_back(
    routing: Routing, placement: Placement, state: MixerState, stream: Stream, now: float
) -> Goal | None:
    """Return the default for a new stream that is elsewhere only because another application was sent there."""
    if (
        placement.rule
        or placement.preferred
        or placement.foreign
        or is_pinned(stream)
        or now - placement.born_at >= SETTLE
    ):
        return None
    sent = routing.led.get(restore_name(stream), stream.identity.app_id)
    default = state.default(stream.kind.devices)
    if sent == stream.identity.app_id or default is None:
        return None
    return Goal(device=default, by="")


def restore_name(stream: Stream) -> str:
    """Return the name under which WirePlumber remembers a stream's device and volume."""
    for key in ("application.id", "application.name", "media.name", "node.name"):
        if stream.properties.get(key):
            return f"{stream.kind}:{key}:{stream.properties[key]}"
    return ""


def _with_led(led: Mapping[str, str], stream: Stream) -> Mapping[str, str]:
    name = restore_name(stream)
    others = without(led, name) if name in led else led
    latest = with_entry(others, name, stream.identity.app_id)  # what is put in again comes last
    return latest if len(latest) <= LED else without(latest, next(iter(latest)))


def is_pinned(stream: Stream) -> bool:
    """Whether a stream's own program has bound it to a device, or it is part of a filter or loopback."""
    said = stream.properties.get
    return (
        bool(said("target.object") or said("node.target") or said("node.link-group"))
        or said("node.dont-move") == "true"
        or said("node.dont-reconnect") == "true"
    )


def _is_to_be_linked(placement: Placement, stream: Stream) -> bool:
    """Whether the session manager has yet to link a new stream: who moves it now, has it linked there at once."""
    return stream.is_linked_for_it and not placement.linked and not group_of(stream)


def first_there(
    state: MixerState, kind: Kind, names: Iterable[str], stream: Stream | None = None
) -> Device | None:
    """Return the first device that is named and there: by selector, name, description, or a glob of either.

    One on which the stream would hear itself is passed over.
    """
    for name in names:
        device = _there(state, kind, name)
        if device is not None and (stream is None or not closes_a_loop(state, stream, device)):
            return device
    return None


def obstacle(state: MixerState, stream: Stream, outcome: Outcome) -> str:
    """Say in a sentence why a stream is not sent where a rule wants it; "" where it is, or no rule wants it anywhere."""
    if outcome.ignore or not outcome.to:
        return ""
    kind, rule = stream.kind.devices, outcome.decided_by["to"].name
    if is_pinned(stream) and not outcome.force:
        return f"Its own program has bound it to a device; the rule “{rule}” would move it only with force = true."
    device = first_there(state, kind, outcome.to, stream)
    wanted = first_there(state, kind, outcome.to)
    if wanted is None:
        return f"The rule “{rule}” names no {kind} that is there."
    if device is not wanted:
        return f"The rule “{rule}” names {wanted.name}, where it would hear itself."
    return ""


def _there(state: MixerState, kind: Kind, name: str) -> Device | None:
    if name in {f"@{kind}", "@default"}:
        return state.default(kind)
    form, colon, rest = name.partition(":")
    wanted = rest if colon and form == kind else name
    folded = wanted.casefold()
    for device in state.devices.values():
        if device.kind is kind and folded in (device.name.casefold(), device.description.casefold()):
            return device
    if not is_glob(folded):
        return None
    for device in state.devices.values():
        # A monitor is never meant by a glob: it would record what is played.
        names = (device.name.casefold(), device.description.casefold())
        if device.kind is kind and not device.is_monitor and any(map(glob(folded), names)):
            return device
    return None


def _is_unrest(change: Change) -> bool:
    """Whether streams may be moved because of a change: the server is another, or a device or the session manager came or went."""
    kind = change.kind
    if kind is Kind.SINK or kind is Kind.SOURCE:
        return change.before is None or change.after is None
    if kind is Kind.CLIENT:
        return _manages(change.before) is not _manages(change.after)
    return kind is Kind.SERVER


def _manages(client: Record | None) -> bool:
    return isinstance(client, Client) and client.properties.get("wireplumber.daemon") == "true"


def _concerned_by(change: Change, state: MixerState) -> Iterable[Key]:
    """List the streams that are to be looked at because an application prefers others, or a client says other things."""
    before, after = change.before, change.after
    if isinstance(after, Client):
        return [(stream.kind, stream.index) for stream in state.streams_of_client(after.index)]
    if not isinstance(after, App):
        return ()
    known = before if isinstance(before, App) else _NOBODY
    is_same = (known.preferred_sink, known.preferred_source) == (after.preferred_sink, after.preferred_source)
    return () if is_same else after.streams


_NOBODY = App(app_id="", name="")
"""What an application was before it came: it prefers no device."""


def _is_cause(change: Change) -> bool:
    """Whether a stream is to be looked at: it is new, has been moved, or says other things of itself than before."""
    before, after = change.before, change.after
    if not (isinstance(before, Stream) and isinstance(after, Stream)):
        return True
    return (
        before.device != after.device
        or before.identity != after.identity
        or before.media_name != after.media_name
        or before.properties != after.properties
    )


def _after_move(
    placement: Placement,
    state: MixerState,
    before: Stream,
    after: Stream,
    origin: Origin,
    *,
    now: float,
    unrest_at: float,
) -> Placement:
    """Note who has moved a stream that is on another device than before."""
    device = state.device_of(after)
    name = "" if device is None else device.name
    is_explained = is_settling(placement, unrest_at, now)
    if after.device is None:
        behind = state.device_of(before)
        return replace(placement, left="" if behind is None or is_explained else behind.name)
    if origin.kind in {"user", "undo"}:
        how = "by undo" if origin.kind == "undo" else f"with {origin.context or 'pwmixer'}"
        by = f"a person, {how}"
        return replace(placement, override=name, moved_at=now, foreign=None, left="", moved_by=by)
    if origin.kind == "rule":
        rule = f"rule {placement.rule}" if placement.rule else "pwmixer"
        by = "preference" if placement.preferred else rule
        return replace(placement, moved_by=by, moved_at=now, foreign=None, left="", arrived=True)
    if placement.left and placement.left == name:
        return replace(placement, left="")
    is_by_somebody = before.device is not None or _is_there(state, after, placement.left)
    if is_explained or not is_by_somebody:
        # However late it is linked first, that is when it begins.
        born_at = placement.born_at if placement.linked else now
        return replace(placement, moved_by=_SESSION_MANAGER, foreign=None, left="", born_at=born_at)
    return replace(placement, moved_by=_ANOTHER_PROGRAM, foreign=(name, now), left="")


def _is_there(state: MixerState, stream: Stream, name: str) -> bool:
    return bool(name) and state.device_named(stream.kind.devices, name) is not None


def _judged(
    placement: Placement, state: MixerState, stream: Stream, outcome: Outcome, now: float
) -> Placement:
    """Take a foreign move for a person's wish when it has stood long enough, and led away from where we want it."""
    if placement.foreign is None:
        return placement
    name, since = placement.foreign
    device = state.device_of(stream)
    ours = goal_of(replace(placement, foreign=None), state, stream, outcome)
    if device is None or device.name != name or (ours is not None and ours.device.index == device.index):
        return replace(placement, foreign=None)
    if now < since + STABLE:  # as `_times` has it: a difference may be rounded to less
        return placement
    return replace(placement, foreign=None, override=name, moved_by="a person, with another program")


def _step(
    placement: Placement, stream: Stream, goal: Goal | None, now: float
) -> tuple[Placement, bool | None]:
    """Decide whether to move: True to do so, False where it is suspended just now, None where nothing is to be done."""
    if goal is None:
        return (placement if placement.foreign else replace(placement, rule="", preferred=False)), None
    rule = goal.by.removeprefix("rule ") if goal.by.startswith("rule ") else ""
    preferred = goal.by == "preference"
    if goal.device.index == stream.device:
        there = goal.device.name
        return replace(placement, rule=rule, preferred=preferred, placed_on=there, arrived=False), None
    if now < placement.rest_until:
        return placement, None
    # To bring it back is a correction, and so is to send it on at its arrival, without any other cause; else it goes to
    # another device because there is a better one, or no other.
    is_correction = placement.placed_on == goal.device.name or placement.arrived
    tries = _recent(placement.tries, now) if is_correction else placement.tries
    if len(tries) > TRIES:
        rest = min(FIRST_REST * 2**placement.rests, LAST_REST)
        rests, until = placement.rests + 1, now + rest
        return replace(
            placement, rule=rule, preferred=preferred, tries=(), rests=rests, rest_until=until
        ), False
    return replace(placement, rule=rule, preferred=preferred, tries=tries, arrived=False), True


def _recent(tries: tuple[float, ...], now: float) -> tuple[float, ...]:
    return (*(t for t in tries if now - t < TRIES_IN), now)


def due(routing: Routing) -> list[Key]:
    """List the streams for which `again_at` may have a time: moved by others, left alone for a while, or moved in vain."""
    return [
        key
        for key, placement in routing.placements.items()
        if placement.foreign is not None or placement.rests or placement.tries
    ]


def _times(placement: Placement, now: float) -> Iterator[float]:
    """Yield when to look at a stream again if nothing happens: when its move counts as a person's, or its rest is over."""
    if placement.foreign is not None:
        yield placement.foreign[1] + STABLE
    if placement.rest_until > now:
        yield placement.rest_until
