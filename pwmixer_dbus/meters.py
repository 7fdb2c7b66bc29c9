"""Meters that are open: which record streams they need, and when a frame is due.

While something is heard, one timer reads all levels at the pace of the fastest meter; when nothing has come for a moment
it stops, and the first sound wakes it. Without a meter nothing of this is loaded.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.metering import Plan, Resolve, Tap, concerns, followed, frame, loudest, planned
from pwmixer_dbus.core.records import dataclass, field
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.mixer import Mixer

HELD = 0.3
"""Seconds for which a level counts that no other has followed: the server works in blocks of up to 0.17 s."""

RESTING = 0.5
"""Seconds without any sound after which the timer stops."""

Deliver = Callable[[bytes], None]


class Taps(Protocol):
    """Levels from the sound server; see pulse.meters."""

    def follow(self, wanted: frozenset[Tap]) -> None:
        """Measure exactly this from now on."""

    def read(self) -> Mapping[Tap, float]:
        """Return the level of each tap of which something has come since the last time."""

    def rest(self) -> None:
        """Call back when something comes; until then nobody reads."""

    def close(self) -> None:
        """Give everything back."""


OpenTaps = Callable[[Callable[[], None]], Taps]
"""Makes the taps, with what they call when something comes while nobody reads."""


@dataclass(slots=True, kw_only=True)
class Meter:
    """One that is open. `loudest` is the peak of each target since the last frame, which is kept in `told`."""

    selectors: tuple[str, ...]
    period: float
    deliver: Deliver
    plan: Plan = ()
    loudest: list[float] = field(default_factory=list)
    told: bytes = b""
    due: float = 0.0


class Meters:
    """All of them. `resolve` finds what a selector means, or raises MixerError."""

    def __init__(self, mixer: Mixer, resolve: Resolve, open_taps: OpenTaps) -> None:
        self._mixer = mixer
        self._resolve = resolve
        self._open_taps = open_taps
        self._loop = asyncio.get_running_loop()
        self._meters: list[Meter] = []
        self._taps: Taps | None = None
        self._levels: dict[Tap, float] = {}
        self._heard_at: dict[Tap, float] = {}
        self._last_heard = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._replanning: asyncio.Handle | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def open(self, selectors: Sequence[str], rate: float, deliver: Deliver) -> Meter:
        """Measure targets, `rate` times a second, until `close`; raises MixerError.

        `deliver` gets each frame that says something else than the one before, the first before anything is measured.
        """
        names = followed(selectors, self._resolve)
        meter = Meter(selectors=names, period=1.0 / rate, deliver=deliver)
        if self._taps is None:  # which may fail where no descriptor is left: then there is no meter
            self._taps = self._open_taps(self._wake)
            self._unsubscribe = self._mixer.subscribe(self._on_change)
        self._meters.append(meter)
        self._replan()
        return meter

    def close(self, meter: Meter) -> None:
        """End one; with the last, everything that was made for them."""
        self._meters.remove(meter)
        if self._meters:
            self._replan()
            return
        for handle in (self._timer, self._replanning):
            if handle is not None:
                handle.cancel()
        self._timer = self._replanning = None
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._taps is not None:
            self._taps.close()
        self._taps = self._unsubscribe = None
        self._levels.clear()
        self._heard_at.clear()

    def _on_change(self, _before: MixerState, changes: tuple[Change, ...], _origin: Origin) -> None:
        if self._replanning is None and any(map(concerns, changes)):
            self._replanning = self._loop.call_soon(self._replan)

    def _replan(self) -> None:
        """Find anew what the targets mean, and measure that; what is there no more is told at once."""
        if self._replanning is not None:
            self._replanning.cancel()
            self._replanning = None
        wanted = set[Tap]()
        for meter in self._meters:
            meter.plan = planned(self._mixer.state, meter.selectors, self._resolve)
            wanted.update(*(taps for taps in meter.plan if taps))
        for tap in self._levels.keys() - wanted:
            del self._levels[tap], self._heard_at[tap]
        if self._taps is not None:
            self._taps.follow(frozenset(wanted))
        if self._timer is None:
            self._tell(self._loop.time())

    def _wake(self) -> None:
        """Begin to read."""
        if self._timer is None and self._meters:
            self._tick(self._loop.time())

    def _tick(self, at: float) -> None:
        self._timer = None
        now = self._loop.time()
        self._hear(now)
        self._tell(now)
        if not self._meters or self._taps is None:
            return  # the last reader has just gone
        if now - self._last_heard > RESTING:
            self._taps.rest()
            return
        # Without the time that this has taken, and without catching up.
        following = max(at + min(meter.period for meter in self._meters), now)
        self._timer = self._loop.call_at(following, self._tick, following)

    def _hear(self, now: float) -> None:
        if self._taps is None:
            return
        heard = self._taps.read()
        for tap, level in heard.items():
            self._levels[tap] = level
            self._heard_at[tap] = now
        if heard:
            self._last_heard = now
        for tap, since in self._heard_at.items():
            if now - since > HELD:
                self._levels[tap] = 0.0

    def _tell(self, now: float) -> None:
        for meter in [*self._meters]:
            levels = loudest(meter.plan, self._levels)
            if len(meter.loudest) == len(levels):
                levels = [_louder(*pair) for pair in zip(meter.loudest, levels, strict=True)]
            meter.loudest = levels
            # A timer comes when it likes: half a period early is nearer than half a period late.
            if now < meter.due - meter.period / 2:
                continue
            meter.due = max(meter.due + meter.period, now)
            meter.loudest = []
            told = frame(levels)
            if told != meter.told:
                meter.told = told
                meter.deliver(told)


def _louder(before: float, now: float) -> float:
    """Return the louder one of two levels; whether it is there is what counts now."""
    return now if math.isnan(now) or math.isnan(before) else max(before, now)
