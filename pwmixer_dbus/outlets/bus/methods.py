"""The verbs of the root, and what writing a property shares with them: resolve, plan, submit, announce, answer.

Whatever may refuse a call raises before anything is submitted. A reply follows the signals that its call caused.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from dbus_fast import Variant

from pwmixer_dbus.core import document, gain, requests, verbs
from pwmixer_dbus.core.commands import CONTEXT_LIMIT, Origin
from pwmixer_dbus.core.errors import (
    InvalidArgumentError,
    LimitsExceededError,
    MixerError,
    NotConnectedError,
    NotFoundError,
    NotSupportedError,
    StaleError,
)
from pwmixer_dbus.core.fading import LONGEST
from pwmixer_dbus.core.model import VOLUME_DIGITS, App, Card, Device, Group, Kind, Stream, clean
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.selectors import ParentOf, Target, selector_of
from pwmixer_dbus.core.subjects import ROOT_SUBJECT, Subject, shown_by, subject_of, target_of
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.call import Call, StandardError, options_of
from pwmixer_dbus.outlets.bus.connection import BusConnection, marshalled
from pwmixer_dbus.outlets.bus.holds import Holds
from pwmixer_dbus.outlets.bus.interfaces import MIXER, Property, interfaces_of, values_of
from pwmixer_dbus.outlets.bus.paths import ALIASES, ROOT, find, path_of
from pwmixer_dbus.outlets.bus.publisher import Publisher
from pwmixer_dbus.outlets.bus.rules import Book, RuleMethods
from pwmixer_dbus.router import Router

if TYPE_CHECKING:
    from pwmixer_dbus.meters import OpenTaps
    from pwmixer_dbus.outlets.bus.meters import MeterMethods
    from pwmixer_dbus.outlets.bus.statistics import StatisticsMethods

OPEN_CALLS = 10_000
CHANGES_LIMIT = 1000

Write = tuple[Target, str, Variant]
"""A property of an object, and its new value."""

_BY_CLIENT = {"context": "s", "quiet": "b"}
_TO_A_VOLUME = {**_BY_CLIENT, "limit": "d"}
_BY_STEPS = {**_TO_A_VOLUME, "steps": "b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What outlets build on, and another instance goes on with.

    `router` knows the rules in force, which are kept in `rules`. `reload` reads the configuration again and raises MixerError
    for a bad one. `parent_of` gives the parent of a process, `predecessor` the one that we take over from, if there is one,
    and `open_taps` the levels that meters show. `when_ready` calls back, at once or later, when it is known what there is;
    no question is answered before.
    """

    mixer: Mixer
    connection: BusConnection
    keeper: Keeper
    fader: Fader
    router: Router
    rules: Book
    parent_of: ParentOf
    reload: Callable[[], None]
    predecessor: Callable[[], int | None]
    open_taps: "OpenTaps"
    when_ready: Callable[[Callable[[], None]], None]


class Methods:
    """Carries out the methods of the root, `by_name`, which raise MixerError for what is refused at once."""

    def __init__(self, parts: Parts, publisher: Publisher) -> None:
        self.rules = RuleMethods(parts.mixer, parts.router, parts.rules, self._resolved)
        self._parts = parts
        self._mixer = mixer = parts.mixer
        self._connection = parts.connection
        self._publisher = publisher
        self._parent_of = parts.parent_of
        parts.fader.on_arrived = self._fade_arrived
        tell_holds = partial(publisher.heal, ROOT_SUBJECT, ["Holds"])
        self.holds = Holds(mixer, parts.router, parts.connection, tell_holds)
        self._open_calls = 0
        self.by_name: Mapping[str, Callable[[Call], None]] = {
            "SetVolume": self._set_volume,
            "AdjustVolume": self._adjust_volume,
            "FadeVolume": self._fade_volume,
            "SetMuted": self._set_muted,
            "SetDefault": self._set_default,
            "Move": self._move,
            "SetPort": self._set_port,
            "SetProfile": self._set_profile,
            "Apply": self._apply,
            "Undo": self._undo,
            "SetLock": self._set_lock,
            "SetCap": self._set_cap,
            "Forget": self._forget,
            "Resolve": self._resolve,
            "Describe": self._describe,
            "ExplainStream": self._explain_stream,
            "HoldRouting": self._hold_routing,
            "ReleaseHold": self._release_hold,
            "ReloadConfig": self._reload_config,
            "OpenMeter": self._open_meter,
            **dict.fromkeys(("Stats", "Trace", "FollowTrace", "Profile"), self._statistics),
        }
        self._statistics_methods: StatisticsMethods | None = None
        self._meters: MeterMethods | None = None

    def _set_volume(self, call: Call) -> None:
        selector, volume, options = call.arguments
        self._volume_verb(call, verbs.set_volume, selector, volume, options_of(options, _TO_A_VOLUME))

    def _adjust_volume(self, call: Call) -> None:
        selector, delta, options = call.arguments
        chosen = options_of(options, _BY_STEPS)
        size = self._mixer.state.settings.step if chosen.get("steps") else 1.0
        self._volume_verb(call, verbs.adjust_volume, selector, delta * size, chosen)

    def _volume_verb(
        self,
        call: Call,
        verb: Callable[..., verbs.Plan],
        selector: str,
        number: float,
        chosen: Mapping[str, Any],
    ) -> None:
        limit, mixer = _limit(chosen), self._mixer
        plans: list[verbs.Plan] = []
        writes: list[Write] = []
        for target in self._resolved(selector):
            plan = verb(mixer.state, mixer.pending, target, number, limit)
            plans.append(plan)
            writes.append((target, "Volume", Variant("d", plan.volume)))
        self._set_all(call, plans, writes, plans[-1].volume, chosen)

    def _fade_volume(self, call: Call) -> None:
        selector, volume, milliseconds, options = call.arguments
        chosen = options_of(options, _TO_A_VOLUME)
        seconds = milliseconds / 1000
        if seconds > LONGEST:
            raise InvalidArgumentError(
                f"A fade takes at most an hour, which is {LONGEST * 1000:.0f} ms; got {milliseconds} ms."
            )
        targets, limit, origin = self._resolved(selector), _limit(chosen), _origin(call, chosen)
        self._parts.fader.start(targets, volume, seconds=seconds, limit=limit, origin=origin)
        call.reply()

    def _fade_arrived(self, target: Target, plan: verbs.Plan, origin: Origin) -> None:
        self._tell(plan, [self._told((target, "Volume", Variant("d", plan.volume)), plan, origin)])

    def _set_muted(self, call: Call) -> None:
        selector, mode, options = call.arguments
        chosen = options_of(options, _BY_CLIENT)
        targets = self._resolved(selector)
        plans = [verbs.set_muted(self._mixer.state, self._mixer.pending, t, mode) for t in targets]
        writes: list[Write] = [
            (target, "Muted", Variant("b", plan.muted)) for target, plan in zip(targets, plans, strict=True)
        ]
        self._set_all(call, plans, writes, plans[-1].muted, chosen)

    def _set_all(
        self,
        call: Call,
        plans: list[verbs.Plan],
        writes: list[Write],
        answer: float | bool,
        options: Mapping[str, Any],
    ) -> None:
        """Carry out one plan for each target, and answer with the value in force for the last."""
        if self._run(call, verbs.joined(plans), writes, partial(call.reply, answer), options):
            call.write(answer)

    def _set_default(self, call: Call) -> None:
        target = requests.one_called(self._mixer.state, call.arguments[0], self._resolved)
        plan = verbs.set_default(target)
        self._run(call, plan, [(target, "Default", Variant("b", True))], call.reply)

    def _move(self, call: Call) -> None:
        selector, device_selector, options = call.arguments
        chosen = options_of(options, {**_BY_CLIENT, "remember": "b"})
        targets = self._resolved(selector)
        device = requests.device_of(self._mixer.state, device_selector, self._resolved, targets)
        moves = requests.moves(self._mixer.state, selector, targets, device)
        moved = [stream for _, streams in moves for stream in streams]
        rules = self.rules.rules_for((stream, device) for stream in moved) if chosen.get("remember") else []
        paths = [path_of(stream) for stream in moved]
        writes: list[Write] = [(stream, "Device", Variant("o", path_of(device))) for stream in moved]
        prefers = "PreferredDevice" if device.kind is Kind.SINK else "PreferredSource"
        wishes = [wish.app_id for plan, _ in moves for wish in plan.wishes]
        writes += [
            (self._mixer.state.apps[app_id], prefers, Variant("s", selector_of(device))) for app_id in wishes
        ]

        def succeed() -> None:
            try:
                self.rules.keep(rules)
            except MixerError as error:
                call.fail(_NotRememberedError(error))
            else:
                call.reply(paths)

        self._run(call, verbs.joined(plan for plan, _ in moves), writes, succeed, chosen)

    def _set_port(self, call: Call) -> None:
        selector, port = call.arguments
        target = requests.one_called(self._mixer.state, selector, self._resolved)
        plan = verbs.set_port(target, port)
        self._run(call, plan, [(target, "ActivePort", Variant("s", port))], call.reply)

    def _set_profile(self, call: Call) -> None:
        selector, profile = call.arguments
        target = requests.one_called(self._mixer.state, selector, self._resolved, (Kind.CARD,))
        plan = verbs.set_profile(target, profile)
        self._run(call, plan, [(target, "ActiveProfile", Variant("s", profile))], call.reply)

    def _apply(self, call: Call) -> None:
        generation, changes, options = call.arguments
        chosen = options_of(options, _BY_CLIENT)
        now = self._mixer.state.generation
        if generation not in {0, now}:
            raise StaleError(
                f"The state has moved on from generation {generation} to {now}; look again and decide anew."
            )
        if len(changes) > CHANGES_LIMIT:
            raise LimitsExceededError(
                f"At most {CHANGES_LIMIT} objects can be changed at once, not {len(changes)}."
            )
        writes = [
            (target, name, value)
            for path, properties in changes
            for target in (object_at(self._mixer, path),)
            for name, value in properties.items()
        ]
        self.write(call, writes, lambda: call.reply(self._mixer.state.generation), chosen)

    def _undo(self, call: Call) -> None:
        (steps,) = call.arguments

        def done(count: int, error: MixerError | None) -> None:
            self._publisher.flush()
            if error is None:
                call.reply(count)
            else:
                call.fail(error)

        self._mixer.undo(steps, Origin(kind="undo", client=call.client), done)

    def _set_lock(self, call: Call) -> None:
        selector, locked = call.arguments
        self._parts.keeper.set_lock(*self._remembered(selector), locked=locked)
        self._publisher.flush()
        call.reply()

    def _set_cap(self, call: Call) -> None:
        selector, number = call.arguments
        cap = gain.checked(number, "A cap")
        if cap > gain.CEILING:
            raise InvalidArgumentError(
                f"A cap is at most {gain.CEILING} (150 %), and below 0 there is none; got {cap:g}."
            )
        self._parts.keeper.set_cap(*self._remembered(selector), max_volume=None if cap < 0.0 else cap)
        self._publisher.flush()
        call.reply()

    def _forget(self, call: Call) -> None:
        (selector,) = call.arguments
        self._parts.keeper.forget(*((None,) if selector == "*" else self._remembered(selector)))
        self._publisher.flush()
        call.reply()

    def _remembered(self, selector: str) -> list[App | Device]:
        """Find what a selector names, or the plain name of a device, where something can be remembered of it."""
        targets: list[Target] = []
        try:
            targets = self._resolved(selector)
        except InvalidArgumentError:
            with suppress(NotFoundError, NotConnectedError):
                targets = [requests.one_called(self._mixer.state, selector, self._resolved)]
            if not targets:
                raise
        found: list[App | Device] = []
        for target in targets:
            if not isinstance(target, App | Device):
                raise NotSupportedError(
                    f"Nothing is remembered of {selector_of(target)} alone; name its application, or a device."
                )
            found.append(target)
        return found

    def write(
        self,
        call: Call,
        writes: list[Write],
        succeed: Callable[[], None],
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write properties of objects below the root as one request; raises MixerError if any of them is refused."""
        plan = verbs.joined(self._plan_of_write(*write) for write in writes)
        self._run(call, plan, writes, succeed, options)

    def _plan_of_write(self, target: Target, name: str, value: Variant) -> verbs.Plan:
        _check_write(target, name, value)
        state, pending, new = self._mixer.state, self._mixer.pending, value.value
        match name:
            case "Volume":
                return verbs.set_volume(state, pending, target, new)
            case "Muted":
                return verbs.set_muted(state, pending, target, "on" if new else "off")
            case "ChannelVolumes":
                return verbs.set_channels(state, target, tuple(new))
            case "ActivePort":
                return verbs.set_port(target, new)
            case "ActiveProfile":
                return verbs.set_profile(target, new)
            case "Device":
                device = object_at(self._mixer, new)
                if not isinstance(device, Device):
                    raise InvalidArgumentError(f"{selector_of(device)} is no sink or source to move to.")
                return verbs.move(state, target, device)[0]
            case "PreferredDevice" | "PreferredSource":
                kind = Kind.SINK if name == "PreferredDevice" else Kind.SOURCE
                return verbs.prefer(state, target, kind, new)
        raise StandardError("PropertyReadOnly", f"{name} cannot be written.")

    def _resolve(self, call: Call) -> None:
        call.reply([path_of(target) for target in self._resolved(call.arguments[0])])

    def _describe(self, call: Call) -> None:
        from json import JSONEncoder  # noqa: PLC0415 - nobody else needs it, and many sessions never ask

        options_of(call.arguments[0], {})
        self._publisher.flush()
        call.reply(document.written(self._mixer.state, JSONEncoder(ensure_ascii=False).encode))

    def _explain_stream(self, call: Call) -> None:
        from json import dumps  # noqa: PLC0415 - likewise

        (selector,) = call.arguments
        stream = requests.stream_to_explain(self._mixer.state, selector, self._resolved(selector))
        explained: dict[str, object] = {**document.explain_stream(self._mixer.state, stream)}
        explained |= self.rules.explained(stream)
        call.reply(dumps(explained, ensure_ascii=False))

    def _statistics(self, call: Call) -> None:
        self._mixer.tell_levels()  # that all have heard of one is an event of the trace
        self._measured().carry_out(call)

    def _measured(self) -> "StatisticsMethods":
        if self._statistics_methods is None:
            from pwmixer_dbus.outlets.bus.statistics import StatisticsMethods  # noqa: PLC0415 - likewise

            self._statistics_methods = StatisticsMethods(self._mixer, self._connection)
        return self._statistics_methods

    @property
    def followers(self) -> tuple[str, ...]:
        """The clients that follow the trace."""
        return () if self._statistics_methods is None else self._statistics_methods.followers.clients

    def go_on_telling(self, followers: Iterable[str]) -> None:
        """Let clients follow the trace that have followed that of another instance."""
        for client in followers:
            self._measured().followers.follow(client)

    def _open_meter(self, call: Call) -> None:
        if self._meters is None:
            from pwmixer_dbus.outlets.bus.meters import MeterMethods  # noqa: PLC0415 - likewise

            self._meters = MeterMethods(self._mixer, self._connection, self._resolved, self._parts.open_taps)
        self._meters.open(call)

    def close(self) -> None:
        """End what clients read from."""
        if self._meters is not None:
            self._meters.close()

    def _hold_routing(self, call: Call) -> None:
        selector, reason, app_id = call.arguments
        call.reply(self.holds.hold(call.client, selector, self._resolved(selector), reason, app_id))

    def _release_hold(self, call: Call) -> None:
        self.holds.release(call.client, call.arguments[0])
        call.reply()

    def _reload_config(self, call: Call) -> None:
        self._parts.reload()
        self._publisher.flush()
        call.reply()

    def _run(
        self,
        call: Call,
        plan: verbs.Plan,
        writes: list[Write],
        succeed: Callable[[], None],
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> bool:
        """Submit a plan, and when it is in force: announce, say who it was, and answer, in this order.

        `writes` are the properties that change, for ClientChange and for healing what a client believes of them. Return
        whether it is with the sound server: then there is time to write what will be said, if all goes well.
        """
        if self._open_calls >= OPEN_CALLS:
            raise LimitsExceededError(
                f"{OPEN_CALLS} calls wait for the sound server already; wait for their answers."
            )
        self._open_calls += 1
        origin = _origin(call, options)
        is_open = True
        told: list[_Told] = []

        def done(error: MixerError | None) -> None:
            nonlocal is_open
            is_open = False
            self._open_calls -= 1
            if error is not None:
                for target, name in {(subject_of(t), name): (t, name) for t, name, _ in writes}.values():
                    self.heal(self._subjects_of(target), name)
                call.fail(error)
                return
            self._tell(plan, told or [self._told(write, plan, origin) for write in writes])
            succeed()

        self._mixer.submit(plan, origin, done)
        if is_open and all(name in _AS_ACCEPTED for _, name, _ in writes):
            told += [self._told(write, plan, origin) for write in writes]
        return is_open

    def on_request(self, plan: verbs.Plan, origin: Origin) -> None:
        """Tell of what a person has asked for elsewhere, as over the socket, as if it had been asked here."""
        if origin.kind == "user" and not origin.client.startswith(":"):
            writes = [
                (t, name, _variant(value)) for t, name, value in requests.told_of(self._mixer.state, plan)
            ]
            self._tell(plan, [self._told(write, plan, origin) for write in writes])

    def _told(self, write: Write, plan: verbs.Plan, origin: Origin) -> "_Told":
        """Write down what is to be told of a property that a request has changed, or is about to."""
        target, name, asked = write
        value = self._in_force(target, name, asked, plan)
        body = [path_of(target), name, value, origin.client, origin.context, origin.quiet]
        client_change = marshalled(MIXER.signal(ROOT, "ClientChange", body))
        is_as_asked = value.value == asked.value or self._is_rounded(target, name, asked, value)
        return _Told(target, name, is_as_asked, client_change)

    def _tell(self, plan: verbs.Plan, told: "list[_Told]") -> None:
        """Announce what a request has changed, then say what could not be had, and who it was: not of what has gone meanwhile.

        Of one object alone, that would have failed; of several, or of a group, those that are there have been changed.
        """
        state = self._mixer.state
        if len(told) > 1 or (told and isinstance(told[0].target, Group)):
            told = [each for each in told if find(state, path_of(each.target)) is not None]
        for target, name, is_as_asked, _ in told:
            if not is_as_asked:  # one that led to another value than asked for is announced in any case
                self.heal(self._subjects_of(target), name)
            elif self._publisher.pending:
                # With a new default, the device that was it before has changed, too.
                self._publisher.flush(None if name == "Default" else self._subjects_of(target))
        for clamp in plan.clamps:
            path = path_of(clamp.target)
            if find(state, path) is not None:
                body = [path, clamp.requested, clamp.effective, clamp.reason]
                self._connection.send(MIXER.signal(ROOT, "VolumeClamped", body))
        for _, _, _, client_change in told:
            self._connection.send_marshalled(client_change)

    def _in_force(self, target: Target, name: str, asked: Variant, plan: verbs.Plan) -> Variant:
        """Return the value that a write has led to: volume and mute as accepted, the rest as the server shows it."""
        state = self._mixer.state
        if name == "Volume":
            volumes = [c.effective for c in plan.clamps if c.target == target]
            return Variant("d", volumes[0] if volumes else round(asked.value, VOLUME_DIGITS))
        now = target_of(state, subject_of(target))
        if name == "Muted" or now is None:
            return asked
        return Variant(asked.signature, values_of(state, now)[name])

    def _is_rounded(self, target: Target, name: str, asked: Variant, value: Variant) -> bool:
        """Whether a write only rounds its volume, and changes it, so that it is announced anyway: the case of most sliders."""
        if name != "Volume" or value.value != round(asked.value, VOLUME_DIGITS):
            return False
        return bool(document.level_of(self._mixer.state, target).volume != value.value)

    def heal(self, subjects: Iterable[Subject], name: str) -> None:
        """Announce the true value: a client such as gjs has put the one that it wrote into its cache already."""
        for subject in subjects:
            self._publisher.heal(subject, [name])

    def _subjects_of(self, target: Target) -> list[Subject]:
        """List what a command for a target may change, so that it is announced before the reply."""
        subjects = [ROOT_SUBJECT, subject_of(target)]
        match target:
            case Device():
                subjects.append((target.kind, None))
            case Stream():
                subjects += shown_by(target)
            case App() | Group():
                for stream in self._mixer.state.streams_of(target):
                    subjects += [subject_of(stream), *shown_by(stream)]
            case Card():
                subjects += [
                    subject_of(d) for d in self._mixer.state.devices.values() if d.card == target.index
                ]
        return subjects

    def _resolved(self, selector: str) -> list[Target]:
        if not selector.startswith("/"):
            return requests.targets_of(self._mixer.state, selector, self._parent_of)
        try:
            return [object_at(self._mixer, selector)]
        except NotFoundError as error:
            raise requests.missing(self._mixer.state, error) from error


_AS_ACCEPTED = frozenset({"Volume", "Muted"})
"""Properties that a request changes to what is accepted, whatever the sound server makes of it."""


class _Told(NamedTuple):
    """What is told of a property that a request has changed: whether its value is as asked, and the signal of who it was."""

    target: Target
    name: str
    is_as_asked: bool
    client_change: bytearray


def _variant(value: float | bool | Device) -> Variant:
    match value:
        case bool():
            return Variant("b", value)
        case Device():
            return Variant("o", path_of(value))
    return Variant("d", value)


def _origin(call: Call, options: Mapping[str, Any]) -> Origin:
    if not options:
        return Origin(kind="user", client=call.client)
    context = clean(options.get("context", ""), CONTEXT_LIMIT)
    return Origin(kind="user", client=call.client, context=context, quiet=bool(options.get("quiet", False)))


def _limit(options: Mapping[str, Any]) -> float:
    return (
        max(gain.checked(options["limit"], "The option limit"), 0.0) if "limit" in options else gain.CEILING
    )


class _NotRememberedError(MixerError):
    """A move that has happened, and that could not be made a rule of; it has the name of what was in the way."""

    def __init__(self, cause: MixerError) -> None:
        super().__init__(f"It was moved, but that is not remembered: {cause}")
        self.dbus_name = cause.dbus_name  # type: ignore[misc]  # each class has one, but this is told under many


def object_at(mixer: Mixer, path: str) -> Target:
    """Find the object at a path; raises NotFoundError with a sentence for each way in which there can be none."""
    target = find(mixer.state, path)
    if target is not None:
        return target
    for kind, alias in ALIASES.items():
        if path == alias:
            raise NotFoundError(f"There is no default {kind} at the moment.")
    raise NotFoundError(f"There is no object at {clean(path, 200)} (any more).")


def _check_write(target: Target, name: str, value: Variant) -> None:
    prop = next((p for i in interfaces_of(target) for p in i.properties if p.name == name), None)
    if prop is None:
        raise StandardError("UnknownProperty", f"{path_of(target)} has no property “{clean(name, 100)}”.")
    check_value(prop, value)


def check_value(prop: Property, value: Variant) -> None:
    """Raise what speaks against writing a value of such a type to a property."""
    if not prop.writable:
        raise StandardError("PropertyReadOnly", f"{prop.name} cannot be written.")
    if value.signature != prop.signature:
        raise InvalidArgumentError(f"{prop.name} has the type “{prop.signature}”, not “{value.signature}”.")
