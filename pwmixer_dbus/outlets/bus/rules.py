"""The interface org.pwmixer.Mixer.Rules: rules in and out of `a{sv}`, tried on streams, and made of what a person did.

Where rules are kept is not known here; what is refused raises before anything is changed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from json import dumps
from typing import Any, Protocol

from dbus_fast import Variant
from dbus_fast.unpack import unpack_variants

from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, NotFoundError
from pwmixer_dbus.core.matching import Outcome, Trial, facts, outcome, prepared, tried
from pwmixer_dbus.core.model import App, Device, Group, Kind, Stream, clean
from pwmixer_dbus.core.patterns import are_too_many
from pwmixer_dbus.core.requests import Resolved
from pwmixer_dbus.core.routing import first_there
from pwmixer_dbus.core.rules import (
    FIELDS,
    ORIGINS,
    PROPERTY,
    RULE_LIMIT,
    TOO_MANY_PATTERNS,
    Condition,
    Rule,
    plain_patterns,
    repeated_names,
    rule_from_plain,
    rule_to_plain,
    signature_of,
)
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.suggestions import REMEMBERED, Sightings, remembering, renamed, suggestions
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.bus.paths import NOWHERE, path_of
from pwmixer_dbus.router import Router

_FACTS = frozenset(FIELDS) | {"device_description"}


class Book(Protocol):
    """Where the rules are kept; see config.rulebook.RuleBook. Each change returns the new revision."""

    revision: int

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""

    def list_plain(self) -> list[dict[str, object]]:
        """List the rules in their plain form."""

    def set_service_rules(self, revision: int, rules: Sequence[Rule]) -> int:
        """Replace the service's rules."""

    def add(self, rule: Rule, position: int) -> int:
        """Add a rule."""

    def remove(self, name: str) -> int:
        """Remove a rule."""

    def move(self, name: str, position: int) -> int:
        """Put a rule elsewhere."""

    def take_over(self, config: tuple[Rule, ...], rules: tuple[Rule, ...], revision: int) -> None:
        """Go on from the rules of another instance."""

    def put_first(self, rules: Sequence[Rule], instead_of: Collection[str]) -> int:
        """Put rules before the service's others, in place of some."""


class RuleMethods:
    """Carries out the methods of the interface by name: arguments in, values of the reply out."""

    def __init__(self, mixer: Mixer, router: Router, book: Book, resolved: Resolved) -> None:
        self._mixer = mixer
        self._router = router
        self._book = book
        self._resolved = resolved
        self.sightings = Sightings()
        mixer.subscribe(self.sightings.on_change, levels=False)
        self._by_name: Mapping[str, Callable[..., tuple[Any, ...]]] = {
            "ListRules": self._list,
            "SetRules": lambda revision, rules: (book.set_service_rules(revision, rules_of(rules)),),
            "AddRule": lambda rule, position: (book.add(rule_of(rule), position),),
            "RemoveRule": lambda name: (book.remove(name),),
            "MoveRule": lambda name, position: (book.move(name, position),),
            "TestRules": self._test,
            "TestProperties": self._test_properties,
            "SuggestRules": self._suggest,
            "Remember": self._remember,
        }

    def carry_out(self, name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Carry out a method; returns the values of its reply, raises MixerError."""
        return self._by_name[name](*arguments)

    def explained(self, stream: Stream) -> dict[str, object]:
        """Return which rules were tried on a stream, where it should be and why, for ExplainStream."""
        rules = [described_trial(trial) for trial in self._router.trials_of(stream)]
        return {"rules": rules, **self._router.explain(stream)}

    def rules_for(self, moves: Iterable[tuple[Stream, Device]]) -> list[Rule]:
        """Return the rules that remember that streams are on devices, one for each application and direction.

        Raises InvalidArgumentError where a rule could not be written or would not count.
        """
        rules: dict[tuple[Condition, ...], Rule] = {}
        for stream, device in moves:
            rule = remembering(self._mixer.state, stream, device)
            self._check_counts(rule, stream)
            rules[rule.conditions] = rule
        return list(rules.values())

    def keep(self, rules: Sequence[Rule]) -> list[str]:
        """Write rules that remember something, each in place of what was remembered before; return their names."""
        about = {rule.conditions for rule in rules}
        kept = (r for r in self._book.rules if r.origin == "service" and r.name.startswith(REMEMBERED))
        earlier = {rule.name for rule in kept if rule.conditions in about}
        taken = {r.name for r in self._book.rules} - earlier
        named: list[Rule] = []
        for rule in rules:
            named.append(renamed(rule, taken))
            taken.add(named[-1].name)
        if named:
            self._book.put_first(named, earlier)
        return [rule.name for rule in named]

    def _list(self) -> tuple[Any, ...]:
        return self._book.revision, [typed_plain(plain) for plain in self._book.list_plain()]

    def _suggest(self) -> tuple[Any, ...]:
        state = self._mixer.state
        found = suggestions(state, self._book.rules, self.sightings.streams(state))
        return ([typed_plain(rule_to_plain(rule)) for rule in found],)

    def _test(self, tables: Sequence[Mapping[str, Variant]]) -> tuple[Any, ...]:
        state = self._mixer.state
        decide = self._deciding(tables)
        found = []
        for stream in sorted(state.streams.values(), key=lambda s: s.number):
            wanted = decide(stream)
            rule = wanted.decided_by.get("to") or next(iter(wanted.matched), None)
            device = first_there(state, stream.kind.devices, wanted.to, stream)
            place = NOWHERE if device is None else path_of(device)
            found.append([path_of(stream), place, "" if rule is None else rule.name])
        return (found,)

    def _deciding(self, tables: Sequence[Mapping[str, Variant]]) -> Callable[[Stream], Outcome]:
        if not tables:
            return self._router.outcome_of
        ready = prepared(rules_of(tables))
        return lambda stream: outcome(ready, facts(ready, self._mixer.state, stream))

    def _test_properties(
        self, tables: Sequence[Mapping[str, Variant]], known: Mapping[str, str]
    ) -> tuple[Any, ...]:
        for key in known:
            if key not in _FACTS and not (key.startswith(PROPERTY) and len(key) > len(PROPERTY)):
                there = ", ".join(sorted(_FACTS))
                raise InvalidArgumentError(
                    f"Nothing is known of a stream as “{clean(key, 80)}”; there is {there}, {PROPERTY}KEY."
                )
        ready = prepared(rules_of(tables) if tables else self._book.rules)
        subject = {**known, "app_name": known.get("app_name") or known.get("app", "")}
        answer = {
            "trials": [described_trial(trial) for trial in tried(ready, subject)],
            "outcome": described_outcome(outcome(ready, subject)),
        }
        return (dumps(answer, ensure_ascii=False),)

    def _remember(self, selector: str) -> tuple[Any, ...]:
        targets = self._resolved(selector)
        streams = [stream for target in targets for stream in self._streams_to_remember(target)]
        state = self._mixer.state
        moves = [(s, device) for s in streams if (device := state.device_of(s)) is not None]
        if not moves:
            raise NotFoundError(f"{selector_of(streams[0])} is on no device at the moment.")
        places: dict[tuple[str, Kind], set[str]] = {}
        for stream, device in moves:
            places.setdefault((stream.identity.app_id, stream.kind), set()).add(device.name)
        for (app_id, _), devices in places.items():
            if len(devices) > 1:
                there = ", ".join(sorted(devices))
                raise InvalidArgumentError(
                    f"app:{app_id} is on several devices ({there}); name one of its streams."
                )
        return (self.keep(self.rules_for(moves)),)

    def _streams_to_remember(self, target: Target) -> list[Stream]:
        match target:
            case Stream():
                return [target]
            case Group():
                return list(self._mixer.state.streams_of(target))
            case App():
                streams = list(self._mixer.state.streams_of(target))
                first = next(
                    (s.kind for s in sorted(streams, key=lambda s: s.kind.value != "playback")), None
                )
                if first is None:
                    raise NotFoundError(
                        f"{selector_of(target)} has no stream now; there is nothing to remember."
                    )
                return [s for s in streams if s.kind is first]
            case _:
                raise InvalidArgumentError(f"{selector_of(target)} is no stream or application.")

    def _check_counts(self, rule: Rule, stream: Stream) -> None:
        """Refuse to remember what rules of the person's own file decide otherwise, since those come first."""
        own = tuple(r for r in self._book.rules if r.origin == "config")
        ready = prepared((*own, rule))
        wanted = outcome(ready, facts(ready, self._mixer.state, stream))
        decides = wanted.decided_by.get("to") or next(iter(wanted.matched), None)
        if decides is not None and decides is not rule:
            raise InvalidArgumentError(
                f"The rule “{decides.name}” of config.toml comes first and decides on {stream.identity.name}; edit it there."
            )


def rules_of(tables: Sequence[Mapping[str, Variant]]) -> tuple[Rule, ...]:
    """Read rules; raises InvalidArgumentError, which names the place of the first bad one, and LimitsExceededError."""
    if len(tables) > RULE_LIMIT:
        raise LimitsExceededError(f"There can be {RULE_LIMIT} rules, not {len(tables)}.")
    plain = [unpack_variants(table) for table in tables]
    for origin in ORIGINS:
        of_origin = (each for each in plain if each.get("origin", "service") == origin)
        if are_too_many(pattern for each in of_origin for pattern in plain_patterns(each)):
            raise LimitsExceededError(f"{TOO_MANY_PATTERNS[0].upper()}{TOO_MANY_PATTERNS[1:]}.")
    rules = []
    for place, each in enumerate(plain):
        try:
            rules.append(rule_from_plain(each))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"rules[{place}]: {error}") from error
    for place, name in repeated_names(rules):
        raise InvalidArgumentError(f"rules[{place}]: there is a rule called “{name}” above.")
    return tuple(rules)


def rule_of(table: Mapping[str, Variant]) -> Rule:
    """Read a rule; raises InvalidArgumentError."""
    return rule_from_plain(unpack_variants(table))


def typed_plain(plain: Mapping[str, object]) -> dict[str, Variant]:
    """Write the plain form of a rule as a{sv}; match is a{sas}."""
    return {key: Variant(signature_of(value), value) for key, value in plain.items()}


def described_trial(trial: Trial) -> dict[str, object]:
    """Write a trial for JSON."""
    return {"name": trial.rule.name, "matched": trial.matched, "reason": trial.reason}


def described_outcome(wanted: Outcome) -> dict[str, object]:
    """Write an outcome for JSON: only the actions that a rule has set, and by which."""
    merged: dict[str, object] = {"matched": [rule.name for rule in wanted.matched]}
    for action in wanted.decided_by:
        merged[action] = getattr(wanted, action)
        companion = {"to": "force", "volume": "locked"}.get(action)
        if companion and getattr(wanted, companion):
            merged[companion] = True
    if wanted.decided_by:
        merged["decided_by"] = {action: rule.name for action, rule in wanted.decided_by.items()}
    return merged
