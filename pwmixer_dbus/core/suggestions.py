"""Rules that might be added, made of what was seen: streams that play, and those that have played in this run."""

import re
from collections.abc import Iterable, Iterator, Sequence

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.matching import facts, outcome, prepared
from pwmixer_dbus.core.memory import NOBODY
from pwmixer_dbus.core.model import App, Device, Stream, clean
from pwmixer_dbus.core.patterns import PATTERN_LIMIT, Pattern, PatternKind
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import NAME_LIMIT, Condition, Rule
from pwmixer_dbus.core.selectors import selector_of
from pwmixer_dbus.core.state import Change, MixerState

REMEMBERED = "Remembered: "
"""How the names of rules begin that were made of what a person did."""

SIGHTINGS = 200
"""How many streams that have ended are kept, each application's titles once; the oldest go first."""

_SITE = re.compile(r"\s+[-–—|·]\s+")  # noqa: RUF001 - what stands between a page's title and its site
_SHORTEST_SITE = 3


class Sightings:
    """The streams that have ended in this run, with the names of the devices that they were on. A listener of the mixer."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], tuple[Stream, str]] = {}

    def on_change(self, before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        """Keep what ends."""
        for change in changes:
            stream = change.before
            if change.after is None and isinstance(stream, Stream):
                device = before.device_of(stream)
                key = _sighting(stream)
                self._seen.pop(key, None)
                if device is not None:
                    self._seen[key] = stream, device.name
        while len(self._seen) > SIGHTINGS:
            del self._seen[next(iter(self._seen))]

    def hand_over(self) -> tuple[tuple[Stream, str], ...]:
        """Return what is kept, oldest first, for another instance."""
        return tuple(self._seen.values())

    def take_over(self, past: Iterable[tuple[Stream, str]]) -> None:
        """Go on with what another instance has kept."""
        self._seen = {_sighting(stream): (stream, device) for stream, device in past}

    def streams(self, state: MixerState) -> list[Stream]:
        """Return them, oldest first, each on the device that has the name now, or on none."""
        found = []
        for stream, name in self._seen.values():
            device = state.device_named(stream.kind.devices, name)
            found.append(replace(stream, client=None, device=None if device is None else device.index))
        return found


def _sighting(stream: Stream) -> tuple[str, str, str]:
    return stream.kind.value, stream.identity.app_id, stream.media_name


def remembering(state: MixerState, stream: Stream, device: Device) -> Rule:
    """Make the rule that sends what an application plays, or records, to a device; raises InvalidArgumentError."""
    app_id = stream.identity.app_id
    if not app_id or app_id.startswith(NOBODY):
        raise InvalidArgumentError(
            f"Nobody could recognise the program behind {selector_of(stream)} again, so nothing is remembered."
        )
    app = state.apps.get(app_id)
    shown = (app.name if app is not None else stream.identity.name) or app_id
    what = "" if stream.kind.value == "playback" else ", recording"
    return Rule(
        name=f"{REMEMBERED}{clean(shown, NAME_LIMIT // 2)}{what}",
        conditions=(_is(app_id, "app_id"), _is(stream.kind.value, "direction")),
        to=(device.name,),
        origin="service",
    )


def suggestions(state: MixerState, rules: Sequence[Rule], past: Sequence[Stream] = ()) -> Iterator[Rule]:
    """Propose rules for what no rule sends anywhere: applications on another device than the default, and sites.

    The sites are those of programs that play several, told apart by the end of their titles. `past` are streams that have
    ended, oldest first.
    """
    ready, taken = prepared(rules), {rule.name for rule in rules}
    for app in sorted(state.apps.values(), key=lambda a: a.app_id):
        if app.app_id.startswith(NOBODY):
            continue
        seen = (*(s for s in past if s.identity.app_id == app.app_id), *state.streams_of(app))
        streams = [s for s in seen if not outcome(ready, facts(ready, state, s)).decided_by.get("to")]
        for kind in sorted({s.kind for s in streams}, key=lambda k: k.value):
            of_kind = [s for s in streams if s.kind is kind]
            for rule in (*_by_site(state, app, of_kind), *_by_device(state, of_kind)):
                named = renamed(rule, taken)
                taken.add(named.name)
                yield named


def _by_device(state: MixerState, streams: Sequence[Stream]) -> Iterator[Rule]:
    """Propose a device for an application: where a person has put it last, else where all of it is if not on the default."""
    by_hand = [s for s in streams if s.routed_by == "person"]
    counting = by_hand[-1:] or streams
    places = {device.name: device for s in counting if (device := state.device_of(s)) is not None}
    if len(places) == 1:
        (device,) = places.values()
        if state.server.default(device.kind) != device.name:
            rule = remembering(state, streams[0], device)
            yield replace(
                rule,
                name=f"{rule.name.removeprefix(REMEMBERED)} to {clean(device.description or device.name, 40)}",
            )


def _by_site(state: MixerState, app: App, streams: Sequence[Stream]) -> Iterator[Rule]:
    """Propose one rule for each site that a program plays, where it plays several."""
    sites: dict[str, Stream] = {}
    for stream in streams:
        sites.setdefault(_site(stream.media_name, app.name), stream)
    sites.pop("", None)
    if len(sites) < 2:  # noqa: PLR2004 - one alone need not be told apart
        return
    for site, stream in sites.items():
        device = state.device_of(stream)
        if device is not None:
            rule = remembering(state, stream, device)
            title = Condition(field="media_name", patterns=(_title_pattern(site, stream.media_name),))
            shown = rule.name.removeprefix(REMEMBERED)
            yield replace(rule, name=f"{shown}: {clean(site, 40)}", conditions=(*rule.conditions, title))


def _site(title: str, app_name: str) -> str:
    """Return the end of a title that names its site, without the program's name: “Song - YouTube — Firefox” is YouTube."""
    parts = [part for part in _SITE.split(title) if part and app_name.casefold() not in part.casefold()]
    return clean(parts[-1], PATTERN_LIMIT // 2) if parts and len(parts[-1]) >= _SHORTEST_SITE else ""


def _title_pattern(site: str, title: str) -> Pattern:
    is_plain = site != title and not set(site) & set("*?[]!=")
    return (
        Pattern(kind=PatternKind.GLOB, text=f"*{site}*")
        if is_plain
        else Pattern(kind=PatternKind.EXACT, text=title[: PATTERN_LIMIT // 2])
    )


def _is(text: str, field: str) -> Condition:
    if len(text) > PATTERN_LIMIT - len("="):
        raise InvalidArgumentError("The program's id is too long for a rule.")
    return Condition(field=field, patterns=(Pattern(kind=PatternKind.EXACT, text=text),))


def renamed(rule: Rule, taken: Iterable[str]) -> Rule:
    """Give a rule a name that is free."""
    names, number, name = set(taken), 2, rule.name
    while name in names:
        name, number = f"{rule.name} {number}", number + 1
    return replace(rule, name=name)
