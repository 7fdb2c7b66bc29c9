"""The object tree: every method call comes in here, and is answered from the state as it is at that moment.

No object is kept for an object: what is at a path, its interfaces and its properties are derived at each call. Reads
announce first what is pending of what they read, so that a reply and a later signal never contradict each other.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dbus_fast import Message, Variant

from pwmixer_dbus import __version__
from pwmixer_dbus.core import document
from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError
from pwmixer_dbus.core.model import Kind, clean
from pwmixer_dbus.core.routing import Applied
from pwmixer_dbus.core.selectors import ParentOf, Target
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.subjects import ROOT_SUBJECT, Subject, subject_of
from pwmixer_dbus.fader import Fader
from pwmixer_dbus.keeper import Keeper
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.errors import (
    PropertyReadOnlyError,
    UnknownInterfaceError,
    UnknownMethodError,
    UnknownObjectError,
    UnknownPropertyError,
)
from pwmixer_dbus.outlets.bus.interfaces import (
    INTROSPECTABLE,
    MIXER,
    OBJECT_MANAGER,
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
from pwmixer_dbus.outlets.bus.methods import OPEN_CALLS, Call, Methods, fail, object_at
from pwmixer_dbus.outlets.bus.paths import ALIASES, FOLDERS, NOWHERE, ROOT, find, path_of
from pwmixer_dbus.outlets.bus.publisher import Publisher, interfaces_with_values, typed
from pwmixer_dbus.outlets.bus.rules import Book
from pwmixer_dbus.router import Router

log = logging.getLogger(__name__)

FEATURES = ("apps", "selectors", "describe", "explain", "apply", "undo", "memory", "rules", "fade")

_STANDARD = (PROPERTIES, INTROSPECTABLE)


class BusService:
    """What the mixer is on the bus.

    `reload` reads the configuration again and raises MixerError for a bad one; `config_error` tells the last problem,
    and `state_error` that of saving what `keeper` remembers;
    `parent_of` gives the parent of a process; `router` knows the rules in force, which are kept in `rules`.
    """

    def __init__(
        self,
        mixer: Mixer,
        connection: BusConnection,
        *,
        instance_id: str,
        parent_of: ParentOf,
        reload: Callable[[], None],
        config_error: Callable[[], str],
        keeper: Keeper,
        fader: Fader,
        state_error: Callable[[], str],
        router: Router,
        rules: Book,
    ) -> None:
        self._mixer = mixer
        self._connection = connection
        self._instance_id = instance_id
        self._config_error = config_error
        self._state_error = state_error
        self._router = router
        router.on_applied = self._rule_applied
        self._rules = rules
        self.publisher = Publisher(connection, lambda: mixer.state, self.root_values, mixer.measures)
        self._methods = Methods(
            mixer,
            connection,
            self.publisher,
            parent_of=parent_of,
            reload=reload,
            keeper=keeper,
            fader=fader,
            router=router,
            rules=rules,
        )
        mixer.subscribe(self.publisher.on_change)
        self._held_calls: list[Message] | None = []
        self._measures = mixer.measures
        self._open: dict[int, tuple[str, float]] = {}
        self._queue = mixer.measures.queue("calls", lambda: len(self._open))
        mixer.measures.queue("messages", lambda: connection.backlog)
        connection.on_answer = self._answered

    def root_values(self, state: MixerState) -> Mapping[str, Any]:
        """Return the values of the root's properties in a state."""
        sink, source = state.default(Kind.SINK), state.default(Kind.SOURCE)
        values: dict[str, Any] = {
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
            "rules_enabled": self._router.enabled,
            "rules_revision": self._rules.revision,
        }
        return {p.name: p.read(state, None, values) for i in (MIXER, RULES) for p in i.properties}

    def _rule_applied(self, applied: Applied) -> None:
        """Tell what becomes of a rule's wish."""
        stream = self._mixer.state.streams.get(applied.stream)
        if stream is not None:
            body = [applied.rule, path_of(stream), path_of(applied.device), applied.outcome]
            signal = next(s for s in MIXER.signals if s.name == "RuleApplied")
            self._connection.signal(ROOT, MIXER.name, signal.name, signal.signature, body)

    def config_changed(self) -> None:
        """Announce what the root says of the configuration, good or bad."""
        self.publisher.heal(ROOT_SUBJECT, ["ConfigError"])

    def state_changed(self) -> None:
        """Announce whether what is remembered can be saved."""
        self.publisher.heal(ROOT_SUBJECT, ["StateError"])

    def rules_changed(self) -> None:
        """Announce that other rules are in force."""
        self.publisher.heal(ROOT_SUBJECT, ["Revision"])

    def on_call(self, message: Message) -> bool:
        """Answer a method call, now or later. Calls of the Peer interface are left to the library.

        Until `release_calls`, calls are only collected.
        """
        if message.interface == PEER.name:
            return False
        caller, method = message.sender or "", message.member or ""
        # By identity: the message is kept until it is answered, and it is answered exactly once.
        self._open[id(message)] = (method, self._measures.called(caller, method))
        self._queue.grew(len(self._open))
        if self._held_calls is None:
            started = self._measures.begin()
            self._answer(message)
            self._measures.end(started, self._measures.cost_of_caller(caller))
        elif len(self._held_calls) < OPEN_CALLS:
            self._held_calls.append(message)
        else:
            fail(
                self._connection,
                message,
                LimitsExceededError("Too many calls wait for the service to start."),
            )
        return True

    def _answered(self, message: Message, failed: bool) -> None:
        """Measure how long a call has taken."""
        method, since = self._open.pop(id(message), ("", 0.0))
        if method:
            self._measures.answered(method, since, failed=failed)

    def release_calls(self) -> None:
        """Answer the calls that have been held back until now, and from now on each at once."""
        held, self._held_calls = self._held_calls or [], None
        for message in held:
            self._answer(message)

    def _answer(self, message: Message) -> None:
        try:
            self._dispatch(message)
        except MixerError as error:
            fail(self._connection, message, error)
        except Exception:
            log.exception("a call of %s.%s failed", message.interface, message.member)
            self._connection.fail(
                message, MixerError.dbus_name, "Something went wrong inside; the journal says what."
            )

    def _dispatch(self, message: Message) -> None:
        path = message.path or ""
        interface, method = self._member(path, message.interface or "", message.member or "")
        if message.signature != method.signature:
            takes = f"the signature “{method.signature}”" if method.signature else "no arguments"
            raise InvalidArgumentError(f"{method.name} takes {takes}, not “{message.signature}”.")
        call = Call(self._connection, message, method)
        if interface is MIXER:
            self._methods.carry_out(method.name, call)
        elif interface is RULES:
            call.reply(*self._methods.rules.carry_out(method.name, call.arguments))
        elif interface is PROPERTIES:
            self._property_call(path, method.name, call)
        elif interface is INTROSPECTABLE:
            call.reply(self._introspection(path))
        elif interface is OBJECT_MANAGER:
            self.publisher.flush()
            call.reply({path_of(t): interfaces_with_values(self._mixer.state, t) for t in self._targets()})
        else:
            call.reply(dict(document.all_properties(self._mixer.state, object_at(self._mixer, path))))

    def _member(self, path: str, interface_name: str, name: str) -> tuple[Interface, Method]:
        """Find what is called; an interface need not be named, as the D-Bus specification has it."""
        offered = self._interfaces_at(path)
        if interface_name and interface_name not in {i.name for i in offered}:
            raise UnknownInterfaceError(f"{path} has no interface {interface_name}.")
        for interface in offered:
            method = interface.method(name)
            if method is not None and interface_name in {"", interface.name}:
                return interface, method
        raise UnknownMethodError(f"{path} has no method {name}.")

    def _own_interfaces_at(self, path: str) -> tuple[Interface, ...]:
        if path == ROOT:
            return (MIXER, RULES, OBJECT_MANAGER)
        target = document.ABSENT_DEVICE if path in ALIASES.values() else find(self._mixer.state, path)
        return () if target is None else interfaces_of(target)

    def _interfaces_at(self, path: str) -> tuple[Interface, ...]:
        own = self._own_interfaces_at(path)
        if not own and not self._is_above(path):
            raise UnknownObjectError(f"There is no object at {path} (any more).")
        return (*own, *_STANDARD)

    @staticmethod
    def _is_above(path: str) -> bool:
        """Whether this path only leads to objects, as `/org` does, or holds them, as `.../sinks` does."""
        leads = any(place.startswith(path.rstrip("/") + "/") for place in (ROOT, *ALIASES.values()))
        return leads or path in {f"{ROOT}/{folder}" for folder in FOLDERS}

    def _introspection(self, path: str) -> str:
        places = [*ALIASES.values(), ROOT, *(f"{ROOT}/{folder}" for folder in FOLDERS)]
        prefix = path.rstrip("/") + "/"
        below = {p.removeprefix(prefix).partition("/")[0] for p in places if p.startswith(prefix)}
        if not below:
            below = {p.removeprefix(prefix) for p in map(path_of, self._targets()) if p.startswith(prefix)}
        return node_xml(self._own_interfaces_at(path), sorted(below))

    def _targets(self) -> Iterable[Target]:
        state = self._mixer.state
        yield from state.devices.values()
        yield from state.streams.values()
        yield from state.apps.values()
        yield from state.cards.values()

    def _property_call(self, path: str, name: str, call: Call) -> None:
        interface = self._interface_at(path, *call.arguments[:2])
        if name == "Set":
            self._set(path, interface, _property_of(interface, call.arguments[1]), call)
            return
        self.publisher.flush(self._subjects_at(path))
        values = self._values_at(path)
        if name == "GetAll":
            call.reply(typed(interface, values))
        else:
            prop = _property_of(interface, call.arguments[1])
            call.reply(Variant(prop.signature, values[prop.name]))

    def _interface_at(self, path: str, name: str, prop: str = "") -> Interface:
        """Find an interface by its name, or by a property of it where none is named, as the specification allows."""
        for interface in self._interfaces_at(path):
            if interface.name == name or (not name and interface.property(prop)):
                return interface
        raise UnknownInterfaceError(f"{path} has no interface “{clean(name, 100)}”.")

    def _subjects_at(self, path: str) -> tuple[Subject, ...]:
        if path == ROOT:
            return (ROOT_SUBJECT,)
        for kind, alias in ALIASES.items():
            if path == alias:
                return ((kind, None),)
        target = find(self._mixer.state, path)
        return () if target is None else (subject_of(target),)

    def _values_at(self, path: str) -> Mapping[str, Any]:
        state = self._mixer.state
        if path == ROOT:
            return self.root_values(state)
        for kind, alias in ALIASES.items():
            if path == alias:
                return alias_values(state, kind)
        target = find(state, path)
        return {} if target is None else values_of(state, target)

    def _set(self, path: str, interface: Interface, prop: Property, call: Call) -> None:
        value: Variant = call.arguments[2]
        try:
            if interface not in (MIXER, RULES):
                target = object_at(self._mixer, path)
                self._methods.write(call, [(target, prop.name, value)], call.reply)
                return
            if not prop.writable:
                raise PropertyReadOnlyError(f"{interface.name}.{prop.name} cannot be written.")
            if value.signature != prop.signature:
                raise InvalidArgumentError(
                    f"{prop.name} has the type “{prop.signature}”, not “{value.signature}”."
                )
            if prop.name == "Enabled":
                self._router.enabled = value.value
                self._methods.heal((ROOT_SUBJECT,), prop.name)
            else:
                self._set_max_volume(value.value)
            call.reply()
        except MixerError:
            self._methods.heal(self._subjects_at(path), prop.name)
            raise

    def _set_max_volume(self, value: float) -> None:
        effective = self._mixer.limit_volume(value)
        if effective == value:
            self.publisher.flush()
        else:
            self._methods.heal((ROOT_SUBJECT,), "MaxVolume")


def _property_of(interface: Interface, name: str) -> Property:
    prop = interface.property(name)
    if prop is None:
        raise UnknownPropertyError(f"{interface.name} has no property “{clean(name, 100)}”.")
    return prop
