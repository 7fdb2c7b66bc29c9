"""What a request of any outlet means: which objects its selector names now, and a plan for each of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from pwmixer_dbus.core import gain, verbs
from pwmixer_dbus.core.commands import MoveStream, SetMuted, SetVolume
from pwmixer_dbus.core.errors import (
    AmbiguousError,
    InvalidArgumentError,
    MixerError,
    NotConnectedError,
    NotFoundError,
)
from pwmixer_dbus.core.model import App, Card, Device, Group, Key, Kind, Stream, clean
from pwmixer_dbus.core.selectors import ParentOf, Target, is_name, only, resolve, selector_of
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.verbs import Plan

Told = tuple[Target, str, float | bool | Device]
"""An object, what of it was asked for (`Volume`, `Muted` or `Device`), and what is in force."""

Resolved = Callable[[str], Sequence[Target]]
"""Finds what a selector means; raises MixerError."""

DEVICES = (Kind.SINK, Kind.SOURCE)

_NAMED = 5  # of those that a refusal names
_TITLE = 40

_AsOne = tuple[App | Group, str, float | bool]


def targets_of(state: MixerState, selector: str, parent_of: ParentOf) -> list[Target]:
    """Resolve a selector, at least one object; raises MixerError, as `resolve` does, or since there is no server."""
    try:
        return list(resolve(state, selector, parent_of))
    except NotFoundError as error:
        raise missing(state, error) from error


def missing(state: MixerState, error: NotFoundError) -> MixerError:
    """Return what to tell of something that was not found: without a sound server, also that."""
    if state.connected:
        return error
    return NotConnectedError(f"There is no sound server at the moment. {error}")


def one_called(state: MixerState, called: str, resolved: Resolved, kinds: Sequence[Kind] = DEVICES) -> Target:
    """Return the one object that is meant by a selector, or by the plain name of a device or card of one of the kinds.

    A name that fits to the letter comes before one that differs in case, and before a description. Raises
    NotFoundError, AmbiguousError where several are called so, such as a sink and a source, and what `resolved` raises.
    """
    if not is_name(called):
        return only(called, resolved(called))
    found: list[Target] = []
    for kind in kinds:
        with suppress(NotFoundError, NotConnectedError):
            found += resolved(f"{kind}:{called}")
    if not found:
        there = [selector_of(d) for d in state.devices.values() if d.kind in kinds and not d.is_monitor]
        there += [selector_of(card) for card in state.cards.values() if Kind.CARD in kinds]
        none = f"no {' and no '.join(kinds)}"
        hint = clean(", ".join(there[:_NAMED])) or f"{none} at all"
        error = NotFoundError(f"N{none[1:]} is called “{clean(called)}” now. There is {hint}.")
        raise missing(state, error)
    exact = [target for target in found if isinstance(target, Device | Card) and target.name == called]
    return only(called, exact or found)


def device_of(
    state: MixerState,
    called: str,
    resolved: Resolved,
    targets: Iterable[Target],
    *,
    if_any: Sequence[Kind] = DEVICES,
) -> Device:
    """Find the device that targets shall move to, by selector or by name, as `one_called` does.

    A name is looked for among the devices of the direction of their streams, or where they have both directions or no
    stream, among the kinds of `if_any`; among other devices only where none of these has it.
    """
    directions = {s.kind.devices for t in targets for s in _streams_of(state, t)}
    kinds = tuple(directions) if len(directions) == 1 else if_any
    try:
        target = one_called(state, called, resolved, kinds)
    except (NotFoundError, NotConnectedError):
        target = one_called(state, called, resolved)
    if not isinstance(target, Device):
        raise InvalidArgumentError(f"{selector_of(target)} is no sink or source to move to.")
    return target


def _streams_of(state: MixerState, target: Target) -> Iterable[Stream]:
    match target:
        case Stream():
            return (target,)
        case App() | Group():
            return state.streams_of(target)
    return ()


def stream_to_explain(state: MixerState, selector: str, targets: Iterable[Target]) -> Stream:
    """Return the one stream that a selector's targets are or have.

    Raises InvalidArgumentError for what has no streams by its nature, NotFoundError where nothing plays or records now, and
    AmbiguousError, which names them, where several do.
    """
    streams: dict[Key, Stream] = {}
    for target in targets:
        if isinstance(target, Device | Card):
            raise InvalidArgumentError(f"{selector_of(target)} is no stream; use stream:N.")
        streams.update(((s.kind, s.index), s) for s in _streams_of(state, target))
    if not streams:
        raise NotFoundError(f"“{clean(selector)}” has no stream now.")
    one, *others = streams.values()
    if others:
        named = ", ".join(_with_what_it_plays(stream) for stream in (one, *others)[:_NAMED])
        more = f" and {len(streams) - _NAMED} more" if len(streams) > _NAMED else ""
        raise AmbiguousError(
            f"“{clean(selector)}” has {len(streams)} streams, and one is explained at a time: {clean(named)}{more}."
        )
    return one


def _with_what_it_plays(stream: Stream) -> str:
    what = dict.fromkeys(filter(None, (stream.identity.name, clean(stream.media_name, _TITLE))))
    return f"{selector_of(stream)} ({': '.join(what)})"


def moves(
    state: MixerState, selector: str, targets: Iterable[Target], device: Device
) -> list[tuple[Plan, tuple[Stream, ...]]]:
    """Plan the moves of what a selector names to a device, each with the streams that it is about.

    Of several streams, an application or a group, what is of the other direction stays where it is.
    """
    named = list(targets)
    if len(named) > 1:  # what has no such stream now is only meant, for later ones, where it is named alone
        named = [t for t in named if isinstance(t, Device | Card) or _has_stream_for(state, t, device)]
        if not named:
            raise NotFoundError(
                f"{clean(selector)} has no stream now that could be moved to a {device.kind}."
            )
    return [verbs.move(state, target, device) for target in named]


def _has_stream_for(state: MixerState, target: Target, device: Device) -> bool:
    return any(s.kind.devices is device.kind for s in _streams_of(state, target))


def told_of(state: MixerState, plan: Plan) -> Iterator[Told]:
    """List what a plan of volumes, mutes and moves has changed, as a person asked for it.

    An application or a group is told as one.
    """
    settled: set[tuple[Key, type]] = set()
    for target, name, value in chain(_told_of_apps(state, plan), _told_of_groups(state, plan)):
        settled |= {(key, SetVolume if name == "Volume" else SetMuted) for key in target.streams}
        yield target, name, value
    for command in plan.commands:
        record = state.audible(command.key)
        if record is None or (command.key, type(command)) in settled:
            continue
        match command:
            case SetVolume(channels=channels):
                yield record, "Volume", gain.level(channels)
            case SetMuted(muted=muted):
                yield record, "Muted", muted
            case MoveStream(device=index) if isinstance(record, Stream):
                device = state.devices.get((record.kind.devices, index))
                if device is not None:
                    yield record, "Device", device


def _told_of_apps(state: MixerState, plan: Plan) -> Iterator[_AsOne]:
    for wish in plan.wishes:
        app = state.apps.get(wish.app_id)
        if app is not None and isinstance(wish.volume, float):
            yield app, "Volume", wish.volume
        if app is not None and isinstance(wish.muted, bool):
            yield app, "Muted", wish.muted


def _told_of_groups(state: MixerState, plan: Plan) -> Iterator[_AsOne]:
    for group in plan.groups:
        if state.group_named(group.name) is None:
            continue
        own = [command for command in plan.commands if command.key in group.streams]
        mutes = [command.muted for command in own if isinstance(command, SetMuted)]
        volumes = [gain.level(command.channels) for command in own if isinstance(command, SetVolume)]
        if mutes:
            yield group, "Muted", all(mutes)
        if volumes:
            yield group, "Volume", max(volumes)
