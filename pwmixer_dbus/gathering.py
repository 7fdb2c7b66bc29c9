"""Levels that other programs set, on their way to those for whom nobody waits: the first at once, then several together.

Between two levels other programs run, so that each finds the caches of the processor cold; of several that are told together
only the first does. Of one object the latest counts, as if the sound server had been looked at less often.
"""

import asyncio
import math
from collections.abc import Callable

from pwmixer_dbus.alarm import Alarm
from pwmixer_dbus.core.state import Change, MixerState
from pwmixer_dbus.core.tally import About

TOGETHER = 0.005
"""Seconds from one telling to the next while levels keep coming: less than a third of a frame at 60 Hz."""

Since = tuple[float, About]
"""When a change began, and which object it is of."""


class Gathering:
    """What has been gathered; `tell` is called when it has waited long enough. At rest there is neither a level nor a timer."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._before: MixerState | None = None
        self._changes: dict[About, Change] = {}
        self._since: list[Since] = []
        self._told_at = -math.inf
        self._alarm = Alarm(tell)

    def __bool__(self) -> bool:
        """Whether there is anything to be told."""
        return self._before is not None

    def add(self, before: MixerState, about: About, change: Change, since: float) -> bool:
        """Gather a level that changed at `since`; return whether it is time to tell."""
        self._before = self._before or before
        known = self._changes.pop(about, None)
        self._changes[about] = change if known is None else change._replace(before=known.before)
        self._since.append((since, about))
        due = self._told_at + TOGETHER
        if since >= due:
            return True
        self._alarm.by(due)
        return False

    def take(self) -> tuple[MixerState, tuple[Change, ...], tuple[Since, ...]] | None:
        """Return all of it, to be told now; None where there is nothing.

        That is the state before, one change of each object, the latest last, and since when each level has waited.
        """
        before, self._before = self._before, None
        if before is None:
            return None
        self._alarm.stop()
        taken = before, tuple(self._changes.values()), tuple(self._since)
        self._changes.clear()
        self._since.clear()
        self._told_at = self._loop.time()
        return taken
