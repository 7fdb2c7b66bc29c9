"""A loop whose time jumps, and what runs on it: whoever sleeps there waits for nobody."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class JumpingLoop(asyncio.SelectorEventLoop):
    """A real loop that does not wait for its timers: where it would, its clock jumps to the next one."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self.now


class _Impatient(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._owner = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self._owner.now += timeout
        assert found or timeout is not None, "the test waits for what never comes"
        return found


def jumped(main: Coroutine[Any, Any, T]) -> T:
    """Run something on a loop of its own whose time jumps; return what comes of it."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


def as_test(test: Callable[..., object], main: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make of `main`, which runs a test where it belongs, what pytest calls by the name of the test."""

    def run() -> None:
        jumped(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
