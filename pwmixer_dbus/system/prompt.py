"""A selector that calls readers as soon as there is something to read; the loop by itself would take two more passes.

For a message that comes alone, asyncio first notes who is to be called, looks at its timers, and then calls; that is as much
different Python as many an answer, and whoever has asked waits for it. Here the order is that of asyncio: where something waits
for its turn already, all is left to the loop. What this leans on (`_selector` and `_fd_to_key` of the standard library's
selectors, and that the loop keeps two handles for each of its files) is checked by a test.
"""

import math
from select import EPOLLIN, EPOLLOUT
from selectors import EpollSelector, SelectorKey
from typing import Any


class PromptSelector(EpollSelector):
    """For the loop; what it waits for has been called when it has been waited for, unless that `is_prompt` is switched off."""

    is_prompt = True
    _selector: Any
    _fd_to_key: dict[int, SelectorKey]

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait as the loop asks for; return what is to be called in its turn."""
        if not self.is_prompt or (timeout is not None and timeout <= 0):
            in_turn = super().select(timeout)
            self.woken()
            return in_turn
        # In whole milliseconds, and not too early.
        seconds = -1 if timeout is None else math.ceil(timeout * 1e3) * 1e-3
        keys = self._fd_to_key
        ready = self._selector.poll(seconds, len(keys) or 1)
        self.woken()
        handles = []  # first, since who is called may have another file watched under the same number
        for fd, event in ready:
            key = keys.get(fd)
            if key is None:  # it was closed, and a copy of it was not
                continue
            reader, writer = key.data
            if reader is not None and event & ~EPOLLOUT:
                handles.append(reader)
            if writer is not None and event & ~EPOLLIN:
                handles.append(writer)
        for handle in handles:
            if not handle._cancelled:  # noqa: SLF001 - see the head of this file
                handle._run()  # noqa: SLF001 - likewise
        return []

    def woken(self) -> None:
        """Hear that the loop has waited, before anything that has come is handled."""
