"""Where streams go: follows what happens, lets `core.routing` decide, and sends the moves."""

from pwmixer_dbus.core.matching import NOTHING, Outcome, Trial, facts, outcome, prepared, tried
from pwmixer_dbus.core.model import Stream
from pwmixer_dbus.core.rules import Rule
from pwmixer_dbus.mixer import Mixer


class Router:
    """Keeps streams where rules and people want them."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._ready = prepared(())
        self._enabled = True

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, first things first."""
        return self._ready.rules

    def set_rules(self, rules: tuple[Rule, ...]) -> None:
        """Put rules in force, in this order; streams that they concern move, those of a removed rule go back."""
        self._ready = prepared(rules)

    @property
    def enabled(self) -> bool:
        """Whether rules are in use at all."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = enabled

    def outcome_of(self, stream: Stream) -> Outcome:
        """Return what the rules want of a stream."""
        return outcome(self._ready, facts(self._mixer.state, stream)) if self._enabled else NOTHING

    def trials_of(self, stream: Stream) -> tuple[Trial, ...]:
        """Return each rule with whether and why it counts for a stream."""
        return tried(self._ready, facts(self._mixer.state, stream))
