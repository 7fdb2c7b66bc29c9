"""Runs the service, or with arguments the limit in Python, which counts what it executes between two signals; see metrics/code.py.

Upon the second one it writes FILE in XDG_RUNTIME_DIR, a JSON object of spans by name, each of them one from functions to the
number of their calls, of their opcodes, and of those that differ.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter, defaultdict
from pathlib import Path, PurePath
from types import CodeType, FrameType
from typing import Any

from benchmarks.peers import plain_start
from pwmixer_dbus import start

FILE = "counted"
BEGIN, END = signal.SIGRTMIN + 7, signal.SIGRTMIN + 8
ALL, UNTIL_MOVED = "all", "until the move is sent"
SEND, MOVE = ("server.py", "send"), ("plain.py", "_move")
"""By which a move is sent, in the service as every command and in the limit by itself."""


class Count:
    """What was executed since the first signal."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._clear()

    def _clear(self) -> None:
        self._calls: Counter[CodeType] = Counter()
        self._opcodes: Counter[CodeType] = Counter()
        self._different: defaultdict[CodeType, set[int]] = defaultdict(set)
        self._spans: dict[str, dict[str, tuple[int, int, int]]] = {}

    def begin(self, *_: object) -> None:
        """Count from now on; what runs already is not counted, which is the loop."""
        self._clear()
        sys.settrace(self._on_call)

    def end(self, *_: object) -> None:
        """Write what was counted."""
        sys.settrace(None)
        self._keep(ALL)
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps(self._spans), encoding="utf-8")
        draft.rename(self._file)

    def _on_call(self, frame: FrameType, _: str, __: Any) -> Any:
        code = frame.f_code
        if code.co_filename == __file__:
            return None
        place = PurePath(code.co_filename).name, code.co_name
        if place == MOVE or (place == SEND and type(frame.f_locals["command"]).__name__ == "MoveStream"):
            self._keep(UNTIL_MOVED)
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self._calls[code] += 1
        return self._on_opcode

    def _on_opcode(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self._opcodes[frame.f_code] += 1
            self._different[frame.f_code].add(frame.f_lasti)
        return self._on_opcode

    def _keep(self, span: str) -> None:
        """Keep a span, the first of its name."""
        self._spans.setdefault(
            span,
            {
                f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}": (
                    self._calls[code],
                    opcodes,
                    len(self._different[code]),
                )
                for code, opcodes in [*self._opcodes.items()]
            },
        )


if __name__ == "__main__":
    count = Count(Path(os.environ["XDG_RUNTIME_DIR"], FILE))
    signal.signal(BEGIN, count.begin)
    signal.signal(END, count.end)
    if sys.argv[1:]:
        plain_start.main()
    else:
        start.main()
