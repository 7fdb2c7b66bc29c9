"""A timer of the loop that rings once, at the earliest time that was asked for since it rang last."""

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Calls `ring` on the loop that runs now. `when` is the time for which it is set, by the loop's clock; infinity for none."""

    __slots__ = ("_handle", "_loop", "_ring", "when")

    def __init__(self, ring: Callable[[], None]) -> None:
        self.when = math.inf
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def by(self, when: float) -> None:
        """Ring at a time, unless it is set for an earlier one."""
        if when < self.when:
            self.stop()
            self.when = when
            self._handle = self._loop.call_at(when, self._rings)

    def stop(self) -> None:
        """Do not ring; no-op where it is not set."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self.when = None, math.inf

    def _rings(self) -> None:
        self._handle, self.when = None, math.inf
        self._ring()
