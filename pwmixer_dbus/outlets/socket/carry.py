"""What is asked is carried out: resolve, plan and submit as for D-Bus, with the words that people use in scripts.

Beside the selectors, a plain name is understood: of a sink, else of an application. Whatever may refuse a request raises
before anything is submitted.
"""

from collections.abc import Callable
from typing import assert_never

from pwmixer_dbus.core import document, requests, verbs
from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import (
    InvalidArgumentError,
    MixerError,
    NotConnectedError,
    NotFoundError,
    NotSupportedError,
)
from pwmixer_dbus.core.model import Kind, clean
from pwmixer_dbus.core.selectors import ParentOf, Target, is_name, selector_of
from pwmixer_dbus.mixer import Mixer
from pwmixer_dbus.outlets.socket.asked import (
    Answer,
    Change,
    ListAll,
    Look,
    Question,
    Reload,
    Route,
    SetMuted,
    SetVolume,
    Step,
    Watch,
)

_OFF = (
    "The socket is switched off: config.toml says so, or has an error, which 'pwmixerctl config check' names."
)

Done = Callable[[Answer | MixerError], None]


class Carrier:
    """Carries out requests; `parent_of` gives the parent of a process, `reload` reads the configuration again."""

    def __init__(self, mixer: Mixer, parent_of: ParentOf, reload: Callable[[], None]) -> None:
        self.measures = mixer.measures
        self._mixer = mixer
        self._parent_of = parent_of
        self._reload = reload

    def answer(self, question: Question) -> Answer:
        """Answer from the state as it is, or was when the sound server went; raises MixerError."""
        self._mixer.tell_all()
        answer = self._found(question)
        return answer if self._mixer.state.connected else {**answer, "connected": False}

    def _found(self, question: Question) -> Answer:
        state = self._mixer.state
        match question:
            case Look(target=name):
                volume, muted = 0.0, True
                for target in self._resolved(name):
                    level = document.level_of(state, target)
                    volume, muted = max(volume, level.volume), muted and level.muted
                return {"volume": volume, "muted": muted}
            case ListAll(kind=kind):
                return {kind: document.describe(state)[kind]}
            case Watch():
                return {"state": document.describe(state)}
        assert_never(question)

    def carry_out(self, change: Change, origin: Origin, done: Done) -> None:
        """Submit a change; `done` is called once, when it is in force or has failed. Raises MixerError at once."""
        self._mixer.tell_all()
        if self._mixer.is_asleep:
            raise NotConnectedError("Another instance has taken over; connect again to ask that one.")
        if isinstance(change, Reload):
            self._reload()
            done({})
            return
        plans, answer = self._planned(change)
        plan = verbs.joined(plans)
        if plan.clamps:
            answer = {**answer, "limited": plan.clamps[-1].reason}
        self._mixer.submit(plan, origin, lambda error: done(error or answer))

    def _planned(self, change: SetVolume | Step | SetMuted | Route) -> tuple[list[verbs.Plan], Answer]:
        """Plan a change for all that it names, and the answer when it is in force, which is that of the last."""
        state, pending = self._mixer.state, self._mixer.pending
        if isinstance(change, Route):
            return self._routed(change)
        targets = self._resolved(change.target)
        match change:
            case SetVolume(volume=volume):
                plans = [verbs.set_volume(state, pending, t, volume) for t in targets]
                return plans, {"volume": plans[-1].volume}
            case Step(amount=amount):
                size = state.settings.step if amount is None else amount
                delta = size if change.up else -size
                plans = [verbs.adjust_volume(state, pending, t, delta) for t in targets]
                return plans, {"volume": plans[-1].volume}
            case SetMuted(mode=mode):
                plans = [verbs.set_muted(state, pending, t, mode) for t in targets]
                return plans, {"muted": plans[-1].muted}
        assert_never(change)

    def _routed(self, route: Route) -> tuple[list[verbs.Plan], Answer]:
        state = self._mixer.state
        selector = route.target if _is_selector(route.target) else f"app:{route.target}"
        targets = self._resolved(selector)
        device = requests.device_of(state, route.device, self._resolved, targets, if_any=(Kind.SINK,))
        moves = requests.moves(state, selector, targets, device)
        moved = [selector_of(stream) for _, streams in moves for stream in streams]
        return [plan for plan, _ in moves], {"streams": [*moved]}

    def _resolved(self, name: str) -> list[Target]:
        state = self._mixer.state
        if _is_selector(name):
            return requests.targets_of(state, name, self._parent_of)
        for form in ("sink", "app"):
            try:
                return requests.targets_of(state, f"{form}:{name}", self._parent_of)
            except (NotFoundError, NotConnectedError):
                continue
        error = NotFoundError(f"No sink and no application is called “{clean(name)}” now.")
        raise requests.missing(state, error)


class Refuser(Carrier):
    """Refuses everything, where the socket is switched off and systemd lets people in all the same."""

    def answer(self, _question: Question) -> Answer:
        """Raise NotSupportedError."""
        raise NotSupportedError(_OFF)

    def carry_out(self, _change: Change, _origin: Origin, _done: Done) -> None:
        """Raise NotSupportedError."""
        raise NotSupportedError(_OFF)


def _is_selector(name: str) -> bool:
    if not name or name.startswith("/"):
        raise InvalidArgumentError(
            "A target is a selector, such as @sink or app:firefox, or the name of a sink or an application."
        )
    return not is_name(name)
