"""Target selectors: the words by which people and programs name what they mean, the same on every outlet.

    @sink @source      the default device            stream:N         one stream, by our number
    sink:NAME          a sink, by name or description    source:NAME      likewise
    app:ID             an application, by id (app:bin:firefox), by its last part (app:firefox) or by its name
    card:NAME          a card                        pid:N            the streams of a process, its children or parents
    group:NAME         a group, which is the streams that rules have put into it

NAME and ID may be globs (`*`, `?`, `[...]`), which may match many. Matching ignores case, an exact match wins.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from pwmixer_dbus.core.errors import AmbiguousError, InvalidArgumentError, NotFoundError
from pwmixer_dbus.core.model import TEXT_LIMIT, App, Card, Device, Group, Key, Kind, Stream, clean
from pwmixer_dbus.core.patterns import glob, is_glob
from pwmixer_dbus.core.state import MixerState

Target = Device | Stream | App | Group | Card
Named = TypeVar("Named", Device, App, Group, Card)
Some = TypeVar("Some", bound=Target)
Names = tuple[Callable[[Named], tuple[str, ...]], ...]
"""What something may be called by, better names first; a later one is only tried where nothing has an earlier one.
"""

SELECTOR_LIMIT = TEXT_LIMIT + len("source:")
NUMBER_DIGITS = 10
FORMS = (
    "@sink, @source, sink:NAME, source:NAME, app:ID, stream:N, group:NAME, card:NAME, pid:N or an object path"
)

_KINDS = frozenset({"sink", "source", "app", "stream", "group", "card", "pid"})
_MOST_HINTS = 3

ParentOf = Callable[[int], int | None]


def selector_of(target: Target) -> str:
    """Return the selector that names exactly this object."""
    match target:
        case Device():
            return f"{target.kind}:{target.name}"
        case Stream():
            return f"stream:{target.number}"
        case App():
            return f"app:{target.app_id}"
        case Group():
            return f"group:{target.name}"
        case Card():
            return f"card:{target.name}"


def label(state: MixerState, key: Key) -> str:
    """Name a device or a stream in the log: a stream with its application, what has gone by the server's index."""
    target = state.audible(key)
    if target is None:
        return f"{key[0]} #{key[1]}"
    return selector_of(target) + (f" ({target.identity.name})" if isinstance(target, Stream) else "")


def resolve(state: MixerState, selector: str, parent_of: ParentOf) -> tuple[Target, ...]:
    """Return what a selector means now, at least one object.

    `parent_of` gives the parent of a process id. Raises InvalidArgumentError for what is no selector, NotFoundError
    where nothing matches, AmbiguousError where a name without a glob fits several.
    """
    if len(selector) > SELECTOR_LIMIT:
        raise InvalidArgumentError(
            f"A selector has at most {SELECTOR_LIMIT} characters; this one has {len(selector)}."
        )
    if selector in {"@sink", "@source"}:
        return (_default(state, Kind(selector[1:])),)
    form, colon, name = selector.partition(":")
    if not colon or not name:
        raise _no_target(state, selector, f"“{clean(selector)}” is no target")
    match form:
        case "stream":
            return _streams(state, name, selector)
        case "sink" | "source":
            devices = [d for d in state.devices.values() if d.kind == form]
            return _named(devices, name, _DEVICE_NAMES, selector)
        case "app":
            app = state.apps.get(name)  # an id, as programs have it, is looked for before any other name
            return (app,) if app is not None else _named(state.apps.values(), name, _APP_NAMES, selector)
        case "card":
            return _named(state.cards.values(), name, _CARD_NAMES, selector)
        case "group":
            return _groups(state, name, selector)
        case "pid":
            return _streams_of_process(state, _number(name, selector), parent_of)
    raise _no_target(state, selector, f"“{clean(form)}:” is no kind of target")


def is_name(text: str) -> bool:
    """Whether a text is a plain name, and no selector or object path. Names may have colons, as those of Bluetooth have."""
    form, colon, _ = text.partition(":")
    return bool(text) and text[0] not in "@/" and not (colon and form in _KINDS)


def only(selector: str, targets: Sequence[Some]) -> Some:
    """Return the only one of the targets that a selector means; raises AmbiguousError for several."""
    if len(targets) > 1:
        raise _ambiguous(selector, targets, "Only one can be meant here: name it.")
    return targets[0]


def _default(state: MixerState, kind: Kind) -> Device:
    device = state.default(kind)
    if device is None:
        raise NotFoundError(f"There is no default {kind} at the moment.")
    return device


def _short_names(app: App) -> tuple[str, ...]:
    last = app.app_id.partition(":")[2]
    return last, app.name, last.rpartition(".")[2]


_DEVICE_NAMES: Names[Device] = (lambda device: (device.name,), lambda device: (device.description,))
_APP_NAMES: Names[App] = (lambda app: (app.app_id,), _short_names)
_CARD_NAMES: Names[Card] = (lambda card: (card.name,), lambda card: (card.description,))
_GROUP_NAMES: Names[Group] = (lambda group: (group.name,),)


def _named(candidates: Iterable[Named], name: str, names: Names[Named], selector: str) -> tuple[Named, ...]:
    """Find by name: what is named so exactly, else what the glob matches."""
    folded, known = name.casefold(), tuple(candidates)
    for names_of in names:
        exact = [c for c in known if folded in map(str.casefold, names_of(c))]
        if len(exact) > 1:  # names that differ in case only are told apart by it
            exact = [c for c in known if name in names_of(c)] or exact
        if len(exact) > 1:
            raise _ambiguous(selector, exact, "Name one of them, or use a glob for all.")
        if exact:
            return tuple(exact)
    if is_glob(folded):
        fits = glob(folded)
        found = tuple(c for c in known if any(map(fits, _folded(c, names))))
        if found:
            return found
    raise NotFoundError(
        f"Nothing is called “{clean(selector)}” now. {_there_is(selector, folded, known, names)}"
    )


def _folded(candidate: Named, names: Names[Named]) -> list[str]:
    return [name.casefold() for names_of in names for name in names_of(candidate)]


def _there_is(selector: str, folded: str, known: Sequence[Named], names: Names[Named]) -> str:
    """Suggest what holds the words that were given; plain containment is enough to catch what people mistype."""
    near = [c for c in known if any(folded in name for name in _folded(c, names))]
    suggested = ", ".join([selector_of(c) for c in near or known][:5])
    return f"There is {suggested or 'no ' + selector.partition(':')[0] + ' at all'}."


def _no_target(state: MixerState, selector: str, problem: str) -> InvalidArgumentError:
    near = list(dict.fromkeys(_meant(state, selector.strip().casefold())))[:_MOST_HINTS]
    return InvalidArgumentError(
        f"{problem}; did you mean {clean(' or '.join(near))}?" if near else f"{problem}; use {FORMS}."
    )


def _meant(state: MixerState, folded: str) -> Iterator[str]:
    """Yield the selectors that may have been meant by what is none."""
    form, _, name = folded.partition(":")
    if form in _KINDS and name:  # in capitals
        yield folded
    elif folded.startswith("@") or folded in {"sink", "source"}:
        # As pactl and wpctl write it, or as one says it.
        yield from (f"@{kind}" for kind in ("sink", "source") if kind in folded)
    elif folded:
        if state.stream_numbered(folded) is not None:
            yield f"stream:{folded}"
        yield from (f"app:{folded}" for app in state.apps.values() if folded in _folded(app, _APP_NAMES))
        devices = state.devices.values()
        yield from (selector_of(d) for d in devices if folded in _folded(d, _DEVICE_NAMES))


def _number(text: str, selector: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise InvalidArgumentError(f"“{clean(selector)}” needs a whole number after the colon.")
    return int(text)


def _streams(state: MixerState, name: str, selector: str) -> tuple[Stream, ...]:
    stream = state.stream_numbered(name)
    if stream is not None:
        return (stream,)
    found: tuple[Stream, ...] = ()
    if is_glob(name):
        fits = glob(name)
        found = tuple(s for s in state.streams.values() if fits(str(s.number)))
    elif (stream := state.stream_numbered(str(_number(name, selector)))) is not None:  # as of stream:007
        found = (stream,)
    if not found:
        raise NotFoundError(f"There is no “{clean(selector)}” now; streams come and go with what is playing.")
    return found


def _groups(state: MixerState, name: str, selector: str) -> tuple[Group, ...]:
    group = state.group_named(name)
    if group is not None:
        return (group,)
    groups = state.groups()
    if not groups:
        raise NotFoundError(f"Nothing is called “{clean(selector)}” now. Rules put streams into groups.")
    return _named(groups, name, _GROUP_NAMES, selector)


def _streams_of_process(state: MixerState, pid: int, parent_of: ParentOf) -> tuple[Stream, ...]:
    """Find the streams of a process and all below it, else of the nearest process above it.

    Browsers and games play from a child of the process that owns the window; some from its parent.
    """
    owners = [(s, s.process.pid) for s in state.streams.values() if s.process is not None]
    below = tuple(s for s, owner in owners if pid in _line_of(owner, parent_of))
    if below:
        return below
    for ancestor in _line_of(pid, parent_of)[1:]:
        found = tuple(s for s, owner in owners if owner == ancestor)
        if found:
            return found
    raise NotFoundError(f"Process {pid}, its children and its parents have no stream now.")


def _line_of(pid: int, parent_of: ParentOf) -> list[int]:
    """List a process and its ancestors, without init, which is everybody's."""
    line = [pid]
    while (parent := parent_of(line[-1])) is not None and parent > 1 and parent not in line:
        line.append(parent)
    return line


def _ambiguous(selector: str, targets: Iterable[Target], advice: str) -> AmbiguousError:
    named = ", ".join(selector_of(t) for t in targets)
    return AmbiguousError(f"“{clean(selector)}” fits several: {clean(named)}. {advice}")
