"""The object tree: every method call comes in here, and is answered from the state as it is at that moment.

No object is kept for an object: what is at a path, its interfaces and its properties are derived at each call. Reads
announce first what is pending of what they read, so that a reply and a later signal never contradict each other.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from dbus_fast import Message, Variant

from pwmixer_dbus import __version__
from pwmixer_dbus.core import document
from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError
from pwmixer_dbus.core.model import App, Device, Group, Kind, Stream, clean
from pwmixer_dbus.core.routing import Applied
from pwmixer_dbus.core.selectors import Target
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.subjects import ROOT_SUBJECT, Subject, subject_of
from pwmixer_dbus.core.tally import ERROR, REPLY
from pwmixer_dbus.outlets.bus.call import Call, StandardError, fail
from pwmixer_dbus.outlets.bus.interfaces import (
    INTROSPECTABLE,
    MIXER,
    OBJECT_MANAGER,
    OF_LEVEL,
    PEER,
    PROPERTIES,
    RULES,
    Interface,
    Method,
    Property,
    alias_values,
    interfaces_of,
    values_of,
)
from pwmixer_dbus.outlets.bus.introspect import node_xml
from pwmixer_dbus.outlets.bus.methods import OPEN_CALLS, Methods, Parts, check_value, object_at
from pwmixer_dbus.outlets.bus.paths import ALIASED, ALIASES, FOLDERS, NOWHERE, ROOT, below_root, find, path_of
from pwmixer_dbus.outlets.bus.publisher import Publisher, interfaces_with_values, typed
from pwmixer_dbus.outlets.bus.succession import SUCCESSION, Heir, passed

log = logging.getLogger(__name__)

FEATURES = (
    "apps",
    "groups",
    "selectors",
    "describe",
    "explain",
    "apply",
    "undo",
    "memory",
    "rules",
    "fade",
    "holds",
    "statistics",
    "meters",
)

_STANDARD = (PROPERTIES, INTROSPECTABLE)

_AS_LOUD = (Stream, Device, App, Group)
"""What has a level, as all but a card."""

_OF_OTHERS = frozenset({PEER.name, SUCCESSION})
"""Interfaces whose calls are not of the mixer."""

LONG = 0.004
"""Seconds after which whoever else waits for the loop has his turn before the same client has another call answered.

With a quarter of it, thousands of short calls at once take twice as long, and nobody else waits less.
"""

_EVERYBODY = ""
"""Under this are the calls of all that wait, while nobody is answered."""


class BusService:
    """What the mixer is on the bus.

    `config_error` tells the last problem of the configuration, and `state_error` that of saving what is remembered.

    `heir` is the instance that takes over from us, `passes_on` whether calls are passed on to it, and `predecessor` the
    unique name of the one that we have taken over from.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        instance_id: str,
        config_error: Callable[[], str],
        state_error: Callable[[], str],
    ) -> None:
        self.parts = parts
        self._mixer = mixer = parts.mixer
        self._connection = connection = parts.connection
        self._instance_id = instance_id
        self._config_error = config_error
        self._state_error = state_error
        parts.router.on_applied = self._when_told
        self.publisher = Publisher(connection, mixer, self._root_document)
        self.methods = Methods(parts, self.publisher)
        self.heir = Heir(connection)
        self.passes_on = False
        self.predecessor = ""
        mixer.subscribe(self.publisher.on_change, before_answers=self._on_level)
        mixer.when_told(connection.release)
        mixer.hear(self.methods.on_request)
        self._waiting: dict[str, deque[Message]] = {_EVERYBODY: deque()}
        self._unsaid: list[Applied] = []
        self._measures = mixer.measures
        self._open: dict[int, tuple[str, float]] = {}
        self._queue = mixer.measures.queue("calls", lambda: len(self._open))
        mixer.measures.queue("messages", lambda: connection.backlog)
        connection.on_answer = self._answered

    def _root_document(self, state: MixerState) -> Mapping[str, Any]:
        """Return what the root's properties say in a state, by their keys."""
        sink, source = state.default(Kind.SINK), state.default(Kind.SOURCE)
        return {
            "version": __version__,
            "instance_id": self._instance_id,
            "features": list(FEATURES),
            "connected": state.connected,
            "server_name": state.server.name,
            "server_version": state.server.version,
            "default_sink": NOWHERE if sink is None else path_of(sink),
            "default_source": NOWHERE if source is None else path_of(source),
            "max_volume": state.settings.max_volume,
            "config_error": self._config_error(),
            "state_error": self._state_error(),
            "generation": state.generation,
            "rules_enabled": self.parts.router.enabled,
            "rules_revision": self.parts.rules.revision,
            "holds": self.methods.holds.listed(),
        }

    def _on_level(self, before: MixerState, state: MixerState, change: Change) -> None:
        self._connection.hold()  # more often than not, somebody is answered next
        self.publisher.on_level(before, state, change)

    def _when_told(self, applied: Applied) -> None:
        """Tell what becomes of a rule's wish when the stream that it is about has been told of."""
        if _EVERYBODY not in self._waiting:
            self._mixer.when_all_heard(partial(self._rule_applied, applied))
        else:
            self._unsaid.append(applied)

    def _rule_applied(self, applied: Applied) -> None:
        stream = self._mixer.state.streams.get(applied.stream)
        if stream is not None:
            body = [applied.rule, path_of(stream), path_of(applied.device), applied.outcome]
            self._connection.send(MIXER.signal(ROOT, "RuleApplied", body))

    def announce(self, name: str) -> None:
        """Announce a property of the root that does not come from the state, as what it says is another thing now."""
        self.publisher.heal(ROOT_SUBJECT, [name])

    def on_call(self, message: Message) -> bool:
        """Answer a method call, now or later. Calls of the Peer interface are left to the library.

        Until `release_calls`, calls are only collected. Those of one client are answered in their order.
        """
        self._mixer.tell_all()
        if message.interface in _OF_OTHERS:
            return self._is_of_succession(message)
        if self.passes_on:  # our heir knows all that we knew, and what has happened since
            self.heir.pass_on(message)
            return True
        measures = self._measures
        caller = message.sender or ""
        method = message.member or ""
        since = measures.called(caller, method)
        # By identity: the message is kept until it is answered, and it is answered exactly once.
        self._open[id(message)] = (method, since)
        if not self._waiting or not self._has_to_wait(caller, message):
            self._answer(message)
            if measures.spent(caller, since) - since > LONG:
                self._let_wait(caller)
        return True

    def _has_to_wait(self, caller: str, message: Message) -> bool:
        """Put a call off where nobody is answered, or others have their turn first; return whether it is."""
        queue = self._waiting.get(_EVERYBODY, self._waiting.get(caller))
        if queue is None:
            return False
        if len(queue) < OPEN_CALLS:
            queue.append(message)
        else:
            fail(self._connection, message, LimitsExceededError("Too many calls wait for their answers."))
        return True

    def _let_wait(self, caller: str) -> None:
        """Put off what a client asks next."""
        if not self._waiting:
            self._connection.when_written(self._take_turn)
        self._waiting[caller] = deque()

    def _take_turn(self) -> None:
        """Answer who waits longest, until that has taken long; then the next one, when others have had their turn."""
        if not self._waiting or _EVERYBODY in self._waiting:
            return
        caller = next(iter(self._waiting))
        queue = self._waiting.pop(caller)
        since = now = self._measures.clock()
        while queue and now - since <= LONG:
            self._mixer.tell_all()
            self._answer(queue.popleft())
            now = self._measures.spent(caller, now)
        if now - since > LONG:
            self._waiting[caller] = queue
        if self._waiting:
            self._connection.when_written(self._take_turn)

    def _is_of_succession(self, message: Message) -> bool:
        if message.interface != SUCCESSION:
            return False
        if message.member == "Pass" and message.sender == self.predecessor:
            call = passed(message)
            self._connection.answer_as(call, message)
            self.on_call(call)
        else:
            self.heir.on_call(message)
        return True

    def _answered(self, message: Message, failed: bool) -> None:
        """Measure how long a call has taken, and of how many it was one: there are never more than before one is answered."""
        self._queue.grew(len(self._open))
        method, since = self._open.pop(id(message), ("", 0.0))
        if method:
            self._measures.note(ERROR if failed else REPLY, None, since, method)

    @property
    def is_awaited(self) -> bool:
        """Whether there are calls that are held back."""
        return bool(self._waiting.get(_EVERYBODY))

    def hold_calls(self) -> None:
        """Hold calls back from now on."""
        self._waiting = {_EVERYBODY: deque(self._taken_calls())}

    def pass_calls_on(self) -> None:
        """Let our heir answer the calls that have been held back, and from now on all."""
        self.passes_on = True
        for message in self._taken_calls():
            self.heir.pass_on(message)

    def release_calls(self) -> None:
        """Answer the calls that have been held back until now, and from now on each when it comes."""
        self.publisher.announcer.is_asked = True
        for message in self._taken_calls():
            self._answer(message)
        unsaid, self._unsaid = self._unsaid, []
        for applied in unsaid:
            self._when_told(applied)

    def _taken_calls(self) -> list[Message]:
        waiting, self._waiting = self._waiting, {}
        return [message for queue in waiting.values() for message in queue]

    def _answer(self, message: Message) -> None:
        try:
            if message.member != "Get" or not self._is_loudness_told(message):
                self._dispatch(message)
        except MixerError as error:
            fail(self._connection, message, error)
        except Exception:
            log.exception("a call of %s.%s failed", message.interface, message.member)
            self._connection.fail(
                message, MixerError.dbus_name, "Something went wrong inside; the journal says what."
            )

    def _is_loudness_told(self, message: Message) -> bool:
        """Answer what is asked most, which is how loud an object is, in few steps; False for anything else."""
        if message.interface != PROPERTIES.name or message.signature != "ss":
            return False
        asked, state = OF_LEVEL.get(tuple(message.body)), self._mixer.state
        target = below_root(state, message.path or "")
        if asked is None or not isinstance(target, _AS_LOUD):
            return False
        if self.publisher.pending:
            self.publisher.flush((subject_of(target),))
        kind, read = asked
        self._connection.reply_value(message, kind, read(document.level_of(state, target)))
        return True

    def _dispatch(self, message: Message) -> None:
        path, name, member = message.path or "", message.interface or "", message.member or ""
        place, interface = _ROOT, MIXER
        method = interface.method(member) if path == ROOT and name == interface.name else None
        if method is None:
            place = self._place_at(path)
            interface, method = _member(place, name, member)
        if message.signature != method.signature:
            takes = f"the signature “{method.signature}”" if method.signature else "no arguments"
            raise InvalidArgumentError(f"{method.name} takes {takes}, not “{message.signature}”.")
        call = Call(self._connection, message, method)
        if interface is MIXER:
            self.methods.by_name[member](call)
        elif interface is RULES:
            call.reply(*self.methods.rules.carry_out(method.name, call.arguments))
        elif interface is PROPERTIES:
            self._property_call(place, method.name, call)
        elif interface is INTROSPECTABLE:
            call.reply(self._introspection(place))
        elif interface is OBJECT_MANAGER:
            self.publisher.flush()
            call.reply({path_of(t): interfaces_with_values(self._mixer.state, t) for t in self._targets()})
        else:
            call.reply(dict(document.all_properties(self._mixer.state, object_at(self._mixer, place.path))))

    def _place_at(self, path: str) -> "_Place":
        if path == ROOT:
            return _ROOT
        if path in ALIASED:
            return _Place(path, interfaces_of(document.ABSENT_DEVICE), (ALIASED[path], None))
        target = find(self._mixer.state, path)
        if target is not None:
            return _Place(path, interfaces_of(target), subject_of(target), target)
        if self._is_above(path):
            return _Place(path)
        raise StandardError("UnknownObject", f"There is no object at {path} (any more).")

    @staticmethod
    def _is_above(path: str) -> bool:
        """Whether this path only leads to objects, as `/org` does, or holds them, as `.../sinks` does."""
        leads = any(place.startswith(path.rstrip("/") + "/") for place in (ROOT, *ALIASES.values()))
        return leads or path in {f"{ROOT}/{folder}" for folder in FOLDERS}

    def _introspection(self, at: "_Place") -> str:
        places = [*ALIASES.values(), ROOT, *(f"{ROOT}/{folder}" for folder in FOLDERS)]
        prefix = at.path.rstrip("/") + "/"
        below = {p.removeprefix(prefix).partition("/")[0] for p in places if p.startswith(prefix)}
        if not below:
            below = {p.removeprefix(prefix) for p in map(path_of, self._targets()) if p.startswith(prefix)}
        return node_xml(at.interfaces, sorted(below))

    def _targets(self) -> Iterable[Target]:
        state = self._mixer.state
        yield from state.devices.values()
        yield from state.streams.values()
        yield from state.apps.values()
        yield from state.groups()
        yield from state.cards.values()

    def _property_call(self, place: "_Place", name: str, call: Call) -> None:
        interface = _interface_at(place, *call.arguments[:2])
        if name == "Set":
            self._set(place, interface, _property_of(interface, call.arguments[1]), call)
            return
        if place.subject is not None:
            self.publisher.flush((place.subject,))
        if name == "GetAll":
            call.reply(typed(interface, self._values_at(place, interface)))
            return
        prop = _property_of(interface, call.arguments[1])
        call.reply(Variant(prop.signature, self._values_at(place, interface)[prop.name]))

    def _values_at(self, place: "_Place", interface: Interface) -> Mapping[str, Any]:
        state = self._mixer.state
        if place.target is not None:
            return values_of(state, place.target, (interface,))
        if place.subject is None:
            return {}
        if place.path == ROOT:
            document = self._root_document(state)
            return {p.name: document[p.key] for p in interface.properties}
        return alias_values(state, place.subject[0])

    def _set(self, place: "_Place", interface: Interface, prop: Property, call: Call) -> None:
        value: Variant = call.arguments[2]
        try:
            if interface not in (MIXER, RULES):
                target = object_at(self._mixer, place.path)
                self.methods.write(call, [(target, prop.name, value)], call.reply)
                return
            check_value(prop, value)
            if prop.name == "Enabled":
                self.parts.router.enabled = value.value
                self.parts.keeper.set_rules_off(off=not value.value)
                self.methods.heal((ROOT_SUBJECT,), prop.name)
            else:
                self._set_max_volume(value.value)
            call.reply()
        except MixerError:
            if place.subject is not None:
                self.methods.heal((place.subject,), prop.name)
            raise

    def _set_max_volume(self, value: float) -> None:
        effective = self._mixer.limit_volume(value)
        if effective == value:
            self.publisher.flush()
        else:
            self.methods.heal((ROOT_SUBJECT,), "MaxVolume")


class _Place(NamedTuple):
    """What is at a path: the root, a default device, an object, or nothing but what leads to some."""

    path: str
    interfaces: tuple[Interface, ...] = ()
    subject: Subject | None = None
    target: Target | None = None

    @property
    def offered(self) -> tuple[Interface, ...]:
        """All interfaces, with those that every object has, which are what most calls are of."""
        return _STANDARD + self.interfaces


_ROOT = _Place(ROOT, (MIXER, RULES, OBJECT_MANAGER), ROOT_SUBJECT)


def _member(place: _Place, interface_name: str, name: str) -> tuple[Interface, Method]:
    """Find what is called; an interface need not be named, as the D-Bus specification has it."""
    is_offered = not interface_name
    for interface in place.offered:
        if not interface_name or interface_name == interface.name:
            is_offered = True
            method = interface.method(name)
            if method is not None:
                return interface, method
    if not is_offered:
        raise StandardError("UnknownInterface", f"{place.path} has no interface {interface_name}.")
    raise StandardError("UnknownMethod", f"{place.path} has no method {name}.")


def _interface_at(place: _Place, name: str, prop: str = "") -> Interface:
    """Find an interface by its name, or by a property of it where none is named, as the specification allows."""
    for interface in place.offered:
        if interface.name == name or (not name and interface.property(prop)):
            return interface
    raise StandardError("UnknownInterface", f"{place.path} has no interface “{clean(name, 100)}”.")


def _property_of(interface: Interface, name: str) -> Property:
    prop = interface.property(name)
    if prop is None:
        raise StandardError("UnknownProperty", f"{interface.name} has no property “{clean(name, 100)}”.")
    return prop
