"""From what somebody asks for to commands: pure planning, with limits, balance and pending values minded.

Every verb returns a `Plan`; nothing happens until it is submitted. A relative step counts from the *pending* value of
an object, so that ten steps of 5 % in 50 ms are 50 %. Setting an application or a group sets all its streams to the same
volume; a step keeps their proportions. Of an application, either is kept as its wish for the streams that it opens later.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.commands import (
    Command,
    MoveStream,
    SetDefault,
    SetMuted,
    SetPort,
    SetProfile,
    SetVolume,
    Slot,
)
from pwmixer_dbus.core.errors import InvalidArgumentError, NotFoundError, NotSupportedError
from pwmixer_dbus.core.events import AppWanted
from pwmixer_dbus.core.memory import NOBODY, device_key, device_of_key, is_device_key
from pwmixer_dbus.core.model import (
    VOLUME_DIGITS,
    App,
    Availability,
    Card,
    Device,
    Group,
    Key,
    Kind,
    Port,
    Profile,
    Stream,
    clean,
)
from pwmixer_dbus.core.records import dataclass
from pwmixer_dbus.core.selectors import Target, selector_of
from pwmixer_dbus.core.state import MixerState

Pending = Mapping[Slot, Command]
Audible = Device | Stream

MUTE_MODES = ("on", "off", "toggle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A volume that could not be had: what was asked for, what is in force instead, and why."""

    target: Target
    requested: float
    effective: float
    reason: str


class Plan(NamedTuple):
    """Commands to submit, wishes to keep, clamps to tell of, groups that are set as one, and the value that will be in force."""

    commands: tuple[Command, ...] = ()
    wishes: tuple[AppWanted, ...] = ()
    clamps: tuple[Clamp, ...] = ()
    groups: tuple[Group, ...] = ()
    volume: float = 0.0
    muted: bool = False


def joined(plans: Iterable[Plan]) -> Plan:
    """Put the plans for several targets together; the value in force is that of the last."""
    parts = tuple(plans)
    if len(parts) == 1:  # as nearly always
        return parts[0]
    return Plan(
        commands=tuple(c for p in parts for c in p.commands),
        wishes=tuple(w for p in parts for w in p.wishes),
        clamps=tuple(c for p in parts for c in p.clamps),
        groups=tuple(dict.fromkeys(g for p in parts for g in p.groups)),
        volume=parts[-1].volume if parts else 0.0,
        muted=parts[-1].muted if parts else False,
    )


def max_volume(state: MixerState, target: Target) -> float:
    """Return the highest volume that a target may be set to."""
    allowed, name = gain.CEILING, ""
    match target:
        case Stream():
            allowed, name = _allowed(state, target), target.identity.app_id
        case Device():
            name = device_key(target) if state.caps else ""
        case App():
            allowed = max((_allowed(state, s) for s in audible_streams(state, target)), default=allowed)
            name = target.app_id
        case Group():
            allowed = max((max_volume(state, s) for s in audible_streams(state, target)), default=allowed)
        case Card():
            pass
    return min(state.settings.max_volume, allowed, state.caps.get(name, gain.CEILING))


def _allowed(state: MixerState, stream: Stream) -> float:
    """Return the highest volume that rules and its device allow a stream, whatever its application is allowed."""
    device = state.device_of(stream) if state.caps else None  # as with most people, there are none
    on_device = gain.CEILING if device is None else state.caps.get(device_key(device), gain.CEILING)
    return on_device if stream.max_volume is None else min(stream.max_volume, on_device)


def limited(state: MixerState, command: Command) -> Command:
    """Return a command within the limits of what it is about; a volume that is above already may stay, but not rise."""
    record = state.audible(command.key)
    if not isinstance(command, SetVolume) or record is None:
        return command
    limit, now = max_volume(state, record), gain.level(record.channels)
    volume, _ = gain.limited(gain.level(command.channels), limit, now)
    if volume == gain.level(command.channels):
        return command
    return SetVolume(key=command.key, channels=gain.with_level(command.channels, volume))


def channels_of(pending: Pending, record: Audible) -> tuple[float, ...]:
    """Return a record's channel volumes as they will be when all that is pending is done."""
    waiting = pending.get((SetVolume, _key(record))) if pending else None
    if isinstance(waiting, SetVolume) and len(waiting.channels) == len(record.channels):
        return waiting.channels
    return record.channels


def volume_of(state: MixerState, pending: Pending, target: Target) -> float:
    """Return a target's pending volume; an application or a group has that of its loudest stream.

    Where no stream tells it, an application has the volume that it wishes, else 1.0, and a group has 1.0.
    """
    match target:
        case Device() | Stream():
            return gain.level(channels_of(pending, target))
        case App() | Group():
            levels = [gain.level(channels_of(pending, s)) for s in telling_streams(state, pending, target)]
            wish = target.volume if isinstance(target, App) else None
            return max(levels, default=1.0 if wish is None else wish)
        case Card():
            raise _has_no_volume(target)


def muted_of(state: MixerState, pending: Pending, target: Target) -> bool:
    """Return whether a target will be muted; an application or a group is where all its streams that tell are."""
    match target:
        case Device() | Stream():
            waiting = pending.get((SetMuted, _key(target)))
            return waiting.muted if isinstance(waiting, SetMuted) else target.muted
        case App() | Group():
            mutes = [muted_of(state, pending, s) for s in telling_streams(state, pending, target)]
            wish = isinstance(target, App) and bool(target.muted)
            return all(mutes) if mutes else wish
        case Card():
            raise _has_no_volume(target)


def audible_streams(state: MixerState, owner: App | Group) -> list[Stream]:
    """List what a volume is about: what an application plays, or where it only records, what it records.

    A group has been put together by hand, so all of it is meant.
    """
    known = state.streams
    streams = [s for key in owner.streams if (s := known.get(key)) is not None and s.has_volume]
    if len(streams) == 1 or isinstance(owner, Group):
        return streams
    playing = [s for s in streams if s.kind is Kind.PLAYBACK]
    return playing or streams


def telling_streams(state: MixerState, pending: Pending, owner: App | Group) -> list[Stream]:
    """List those of the audible streams that tell how loud an application or a group is.

    One that the session manager has yet to link shows 0 and no mute, whatever it will have.
    """
    return [
        s
        for s in audible_streams(state, owner)
        if s.device is not None or not s.is_linked_for_it or gain.level(channels_of(pending, s)) > 0.0
    ]


def set_volume(
    state: MixerState, pending: Pending, target: Target, volume: float, limit: float = gain.CEILING
) -> Plan:
    """Plan one absolute volume. `limit` is the caller's own; the lowest limit counts."""
    wanted = gain.checked(volume, "A volume")
    return _at_volume(state, pending, target, wanted, min(limit, max_volume(state, target)))


def adjust_volume(
    state: MixerState, pending: Pending, target: Target, delta: float, limit: float = gain.CEILING
) -> Plan:
    """Plan one step relative to the pending value. A step up unmutes, where the settings say so.

    The loudest stream of an application or a group takes the step, and the others keep their proportion to it.
    """
    step = gain.checked(delta, "A step")
    wanted = gain.checked(min(max(volume_of(state, pending, target) + step, -1.0), 10.0), "A volume")
    plan = _at_volume(
        state, pending, target, wanted, min(limit, max_volume(state, target)), in_proportion=True
    )
    if step > 0 and state.settings.unmute_on_raise and muted_of(state, pending, target):
        return joined((set_muted(state, pending, target, "off"), plan))
    return plan


def _at_volume(
    state: MixerState,
    pending: Pending,
    target: Target,
    wanted: float,
    limit: float,
    *,
    in_proportion: bool = False,
) -> Plan:
    if isinstance(target, Audible):
        return _one_at_volume(pending, target, wanted, limit)
    if isinstance(target, Card):
        raise _has_no_volume(target)
    effective, reason = gain.limited(wanted, limit, volume_of(state, pending, target))
    clamps = _clamped(target, wanted, effective, reason)
    audible = _heard(state, target)
    streams = [s for s in audible if s.volume_writable]
    if audible and not streams:
        raise NotSupportedError(f"The volume of {selector_of(target)} cannot be set: it does not allow it.")
    shares = [*_shares(state, pending, streams, effective, limit, in_proportion=in_proportion)]
    commands = tuple(
        SetVolume(key=_key(s), channels=gain.with_level(channels_of(pending, s), share.effective))
        for s, share in shares
    )
    # What holds for the whole has been told of it; what a rule, a device or a cap adds, of its stream.
    clamps += tuple(share for stream, share in shares if share.reason and max_volume(state, stream) < limit)
    wishes = (AppWanted(app_id=target.app_id, volume=effective),) if isinstance(target, App) else ()
    groups = (target,) if isinstance(target, Group) else ()
    return Plan(commands=commands, wishes=wishes, clamps=clamps, groups=groups, volume=effective)


def _one_at_volume(pending: Pending, record: Audible, wanted: float, limit: float) -> Plan:
    _require_volume(record)
    channels = channels_of(pending, record)
    effective, reason = gain.limited(wanted, limit, gain.level(channels))
    command = SetVolume(key=_key(record), channels=gain.with_level(channels, effective))
    clamps = _clamped(record, wanted, effective, reason)
    return Plan(commands=(command,), clamps=clamps, volume=effective)


def _clamped(target: Target, wanted: float, effective: float, reason: str) -> tuple[Clamp, ...]:
    if not reason:
        return ()
    return (Clamp(target=target, requested=wanted, effective=effective, reason=reason),)


def _shares(
    state: MixerState,
    pending: Pending,
    streams: list[Stream],
    volume: float,
    limit: float,
    *,
    in_proportion: bool,
) -> Iterator[tuple[Stream, Clamp]]:
    """Give each stream of an application or a group its volume: all the same, or in proportion to the loudest.

    What another program has raised above the limit may stay there, but it takes no other stream along.
    """
    levels = [volume_of(state, pending, stream) for stream in streams]
    loudest = max(levels, default=0.0)
    for stream, level in zip(streams, levels, strict=True):
        share = volume * level / loudest if in_proportion and loudest > 0.0 else volume
        asked = round(share, VOLUME_DIGITS)
        given, reason = gain.limited(asked, min(limit, max_volume(state, stream)), level)
        yield stream, Clamp(target=stream, requested=asked, effective=given, reason=reason)


def set_channels(state: MixerState, target: Target, channels: tuple[float, ...]) -> Plan:
    """Plan a volume for each channel, in the order of the target's `positions`."""
    if not isinstance(target, Device | Stream):
        raise NotSupportedError(
            f"{selector_of(target)} has no channels of its own; set those of a stream or a device."
        )
    _require_volume(target)
    if len(channels) != len(target.channels):
        raise InvalidArgumentError(
            f"{selector_of(target)} takes one volume for each of its channels, {len(target.channels)} in all, and not {len(channels)}."
        )
    checked = [gain.checked(c, "A channel volume") for c in channels]
    limits = [
        gain.limited(c, max_volume(state, target), now)
        for c, now in zip(checked, target.channels, strict=True)
    ]
    effective = tuple(c for c, _ in limits)
    reason = next((reason for _, reason in limits if reason), "")
    clamps = _clamped(target, gain.level(tuple(checked)), gain.level(effective), reason)
    command = SetVolume(key=_key(target), channels=effective)
    return Plan(commands=(command,), clamps=clamps, volume=gain.level(effective))


def set_muted(state: MixerState, pending: Pending, target: Target, mode: str) -> Plan:
    """Plan mute `on`, `off` or `toggle`; for an application or a group, of all its streams as one."""
    if mode not in MUTE_MODES:
        raise InvalidArgumentError(f"A mute mode is on, off or toggle; got “{clean(mode, 40)}”.")
    muted = not muted_of(state, pending, target) if mode == "toggle" else mode == "on"
    match target:
        case App() | Group():
            commands = tuple(SetMuted(key=_key(s), muted=muted) for s in _heard(state, target))
            wishes = (AppWanted(app_id=target.app_id, muted=muted),) if isinstance(target, App) else ()
            groups = (target,) if isinstance(target, Group) else ()
            return Plan(commands=commands, wishes=wishes, groups=groups, muted=muted)
        case Device() | Stream():
            if isinstance(target, Stream) and not target.has_volume:
                raise _has_no_volume(target)
            return Plan(commands=(SetMuted(key=_key(target), muted=muted),), muted=muted)
        case Card():
            raise _has_no_volume(target)


def move(state: MixerState, target: Target, device: Device) -> tuple[Plan, tuple[Stream, ...]]:
    """Plan the move of a stream, or of those of an application or a group, to a device; also says which streams those are.

    An application that has none of that direction now prefers the device from now on.
    """
    streams: tuple[Stream, ...]
    match target:
        case Stream():
            if target.kind.devices is not device.kind:
                raise InvalidArgumentError(
                    f"{selector_of(target)} is a {target.kind} stream; it can be moved to a {target.kind.devices}, "
                    f"not to {selector_of(device)}."
                )
            streams = (target,)
        case App() | Group():
            streams = tuple(s for s in state.streams_of(target) if s.kind.devices is device.kind)
            if not streams and isinstance(target, Group):
                raise NotFoundError(
                    f"{clean(selector_of(target))} has no stream now that could be moved to a {device.kind}."
                )
            if not streams and isinstance(target, App):
                return _preference(target, device.kind, device_key(device)), ()
        case _:
            raise NotSupportedError(
                f"{selector_of(target)} cannot be moved; only streams, applications and groups can."
            )
    return Plan(commands=tuple(MoveStream(key=_key(s), device=device.index) for s in streams)), streams


def prefer(state: MixerState, target: Target, kind: Kind, wanted: str) -> Plan:
    """Plan the device that an application's streams go to from now on: a sink or a source, by selector or name.

    "" is none any more. One that is not there now is named as it was remembered.
    """
    if not isinstance(target, App):
        raise NotSupportedError(f"{selector_of(target)} prefers no device; only an application does.")
    name = wanted.removeprefix(f"{kind}:")
    device = state.device_named(kind, name) or device_of_key(state, wanted)
    if device is not None:
        return _preference(target, kind, device_key(device))
    if wanted and not (is_device_key(wanted) and wanted.startswith(f"{kind}:") and name):
        raise InvalidArgumentError(
            f"“{clean(wanted, 80)}” is no {kind} to prefer; name one, as in {kind}:NAME, or none, as “”."
        )
    return _preference(target, kind, wanted)


def _preference(app: App, kind: Kind, key: str) -> Plan:
    if app.app_id.startswith(NOBODY):
        raise NotFoundError(
            f"{selector_of(app)} has no stream now that could be moved to a {kind}, and nobody could recognise it again."
        )
    wish = AppWanted(app_id=app.app_id, preferred_sink=key)
    if kind is Kind.SOURCE:
        wish = AppWanted(app_id=app.app_id, preferred_source=key)
    return Plan(wishes=(wish,))


def set_default(target: Target) -> Plan:
    """Plan a new default device."""
    if not isinstance(target, Device):
        raise NotSupportedError(f"{selector_of(target)} cannot be the default; only a sink or a source can.")
    if target.is_monitor:
        raise NotSupportedError(
            f"{selector_of(target)} only listens to a sink; choose a real source as the default."
        )
    return Plan(commands=(SetDefault(key=_key(target), name=target.name),))


def set_port(target: Target, port: str) -> Plan:
    """Plan the choice of a device's port, by name or description."""
    if not isinstance(target, Device):
        raise NotSupportedError(
            f"{selector_of(target)} has no ports to choose from; only a sink or a source may have."
        )
    return Plan(commands=(SetPort(key=_key(target), port=_choice(target, "port", target.ports, port)),))


def set_profile(target: Target, profile: str) -> Plan:
    """Plan the choice of a card's profile, by name or description."""
    if not isinstance(target, Card):
        raise NotSupportedError(f"{selector_of(target)} has no profiles; only a card has.")
    chosen = _choice(target, "profile", target.profiles, profile)
    return Plan(commands=(SetProfile(key=(Kind.CARD, target.index), profile=chosen),))


def _choice(target: Target, what: str, offered: Iterable[Port | Profile], wanted: str) -> str:
    options = tuple(offered)
    named = [o.name for o in options if o.name == wanted] or [
        o.name for o in options if o.description == wanted
    ]
    if named and wanted:
        return named[0]
    names = ", ".join(o.name for o in options if o.available is not Availability.NO)
    there = f"there is: {clean(names)}" if names else "it has none to choose from"
    raise NotFoundError(f"{selector_of(target)} has no {what} “{clean(wanted, 80)}”; {there}.")


def _require_volume(record: Audible) -> None:
    if isinstance(record, Stream) and not (record.has_volume and record.volume_writable):
        raise NotSupportedError(
            f"The volume of {selector_of(record)} cannot be set: its program does not allow it."
        )
    if not record.channels:
        raise _has_no_volume(record)


def _heard(state: MixerState, owner: App | Group) -> list[Stream]:
    """List the audible streams; of an application there need not be any, since its wish is kept."""
    streams = audible_streams(state, owner)
    if not streams and isinstance(owner, Group):
        raise _has_no_volume(owner)
    return streams


def _has_no_volume(target: Target) -> NotSupportedError:
    return NotSupportedError(f"{selector_of(target)} has no volume.")


def _key(record: Audible) -> Key:
    return record.kind, record.index
