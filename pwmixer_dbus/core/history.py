"""What people did, so that it can be undone: for each request, the commands that bring back what was before.

A drag of a slider is one step: requests of one client for the same settings, each within `SAME_STEP` seconds of the one
before, are put together, and the first one's way back counts.
"""

from collections.abc import Callable, Collection, Mapping

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
    slot_of,
)
from pwmixer_dbus.core.events import KEEP, AppWanted, OnDevices
from pwmixer_dbus.core.model import Kind
from pwmixer_dbus.core.records import dataclass, replace
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.verbs import Plan, limited, max_volume

STEPS = 100
"""How many steps are kept; the oldest go first."""

SAME_STEP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that a person did: by which client, when (seconds of a monotonic clock), what it set, and the way back."""

    client: str
    at: float
    slots: frozenset[Slot]
    commands: tuple[Command, ...]
    wishes: tuple[AppWanted, ...] = ()


def step_of(
    state: MixerState,
    pending: Mapping[Slot, Command],
    wanted: Plan,
    client: str,
    at: float,
    *,
    given_up: Callable[[AppWanted], OnDevices] = lambda _: (),
) -> Step:
    """Return the step that a plan makes, seen before it is carried out; a plan that changes nothing has no way back.

    `given_up` says what is remembered of single devices whose place a wish takes.
    """
    slots = frozenset(slot_of(c) for c in wanted.commands)
    back = tuple(
        b for c in wanted.commands if (b := pending.get(slot_of(c)) or _as_it_is(state, c)) is not None
    )
    wishes = tuple(
        AppWanted(
            app_id=app.app_id,
            volume=KEEP if wish.volume is KEEP else app.volume,
            muted=KEEP if wish.muted is KEEP else app.muted,
            preferred_sink=KEEP if wish.preferred_sink is KEEP else app.preferred_sink,
            preferred_source=KEEP if wish.preferred_source is KEEP else app.preferred_source,
            on_devices=given_up(wish),
        )
        for wish in wanted.wishes
        if (app := state.apps.get(wish.app_id)) is not None
    )
    is_whole = len(back) == len(wanted.commands)
    if is_whole and all(map(_are_same, back, wanted.commands)) and wishes == wanted.wishes:
        back, wishes = (), ()
    return Step(client=client, at=at, slots=slots, commands=back, wishes=wishes)


def recorded(steps: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    """Return the history with one more step, or with its last step prolonged; a step without a way back is not added."""
    last = steps[-1] if steps else None
    if last is not None and _goes_on(last, step):
        return (*steps[:-1], replace(last, at=step.at))
    if not step.commands and not step.wishes:
        return steps
    return (*steps[-(STEPS - 1) :], step)


def undone(state: MixerState, steps: tuple[Step, ...], count: int) -> tuple[tuple[Step, ...], Plan, int]:
    """Return the history without its last steps, the plan that undoes them, and how many they are.

    Objects that have gone since are left out. Where two steps set the same, the older one's way back counts. Limits
    hold: what was louder than is allowed now comes back as loud as it may be.
    """
    kept, taken = steps[: max(len(steps) - count, 0)], steps[max(len(steps) - count, 0) :]
    commands = {slot_of(c): c for step in reversed(taken) for c in step.commands if _is_there(state, c)}
    allowed = tuple(limited(state, command) for command in commands.values())
    wishes: tuple[AppWanted, ...] = ()
    for step in reversed(taken):
        streams = ((type(c), state.streams.get(c.key)) for c in step.commands)
        set_alone = {(setting, s.identity.app_id) for setting, s in streams if s is not None}
        wishes = (*(_without(wish, set_alone) for wish in wishes), *step.wishes)
    return kept, Plan(commands=allowed, wishes=tuple(_limited_wish(state, w) for w in wishes)), len(taken)


def _without(wish: AppWanted, settings: Collection[tuple[type, str]]) -> AppWanted:
    """Return a wish without what an older step has set of the application's streams, and which comes back from that."""
    return replace(
        wish,
        volume=KEEP if (SetVolume, wish.app_id) in settings else wish.volume,
        muted=KEEP if (SetMuted, wish.app_id) in settings else wish.muted,
    )


def _limited_wish(state: MixerState, wish: AppWanted) -> AppWanted:
    app = state.apps.get(wish.app_id)
    if app is None or wish.volume is KEEP or wish.volume is None:
        return wish
    return replace(wish, volume=min(wish.volume, max_volume(state, app)))


def _goes_on(last: Step, step: Step) -> bool:
    is_same = last.client == step.client and last.slots == step.slots
    if not is_same or step.at - last.at > SAME_STEP:
        return False
    is_rest = not step.commands and not step.wishes
    return is_rest or {*map(_about, last.wishes)} == {*map(_about, step.wishes)}


def _about(wish: AppWanted) -> tuple[object, ...]:
    """Return whose and which settings a wish is about."""
    settings = (wish.volume, wish.muted, wish.preferred_sink, wish.preferred_source)
    return wish.app_id, *(each is KEEP for each in settings)


def _are_same(one: Command, other: Command) -> bool:
    if isinstance(one, SetVolume) and isinstance(other, SetVolume):
        return all(map(gain.same, one.channels, other.channels))
    return one == other


def _as_it_is(state: MixerState, command: Command) -> Command | None:
    """Return the command that takes another one back, as things are now; None where there is nothing to go back to."""
    kind, index = key = command.key
    device, stream = state.devices.get(key), state.streams.get(key)
    match command:
        case SetVolume() if (record := device or stream) is not None:
            return SetVolume(key=key, channels=record.channels)
        case SetMuted() if (record := device or stream) is not None:
            return SetMuted(key=key, muted=record.muted)
        case MoveStream() if stream is not None and stream.device is not None:
            return MoveStream(key=key, device=stream.device)
        case SetDefault() if (default := state.default(kind)) is not None:
            return SetDefault(key=(kind, default.index), name=default.name)
        case SetPort() if device is not None and device.active_port:
            return SetPort(key=key, port=device.active_port)
        case SetProfile() if index in state.cards and state.cards[index].active_profile:
            return SetProfile(key=key, profile=state.cards[index].active_profile)
    return None


def _is_there(state: MixerState, command: Command) -> bool:
    """Whether a command can still be carried out: its object is there, and so is the device that it moves a stream to."""
    kind, index = key = command.key
    if isinstance(command, MoveStream) and (kind.devices, command.device) not in state.devices:
        return False
    return index in state.cards if kind is Kind.CARD else key in state.devices or key in state.streams
