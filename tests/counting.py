"""What something takes, counted so that no load and no machine changes it."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple


class Done(NamedTuple):
    """What one operation has taken: steps of the interpreter, and bytes at most, copies that were dropped again included."""

    steps: int
    bytes: int


def taken(do: Callable[[], object]) -> Done:
    """Count what is done, after it has been done once, since records make their methods when they are first used."""
    do()
    steps = 0

    def note(frame: FrameType, event: str, _about: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        do()
    finally:
        sys.settrace(before)
    gc.disable()
    tracemalloc.start()
    try:
        begun = tracemalloc.get_traced_memory()[0]
        kept = do()
        most = tracemalloc.get_traced_memory()[1] - begun
        del kept
    finally:
        tracemalloc.stop()
        gc.enable()
    return Done(steps, most)
