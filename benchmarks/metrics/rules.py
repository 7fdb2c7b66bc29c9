"""How long it takes to decide what a thousand rules want of one stream, in milliseconds of processor time.

No rule matches but the last, so each has to be looked at. Figures are for comparing; none is a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from session import SessionError

from benchmarks.figures import ENOUGH, Line, lines
from benchmarks.rig import Length
from pwmixer_dbus.core.matching import outcome, prepared, tried
from pwmixer_dbus.core.rules import RULE_LIMIT, rule_from_plain

EXPLAINED_EACH = 50
"""Rounds for each time that what was decided is explained."""

STREAM = {
    "app_id": "id:org.mozilla.firefox",
    "app_name": "Firefox",
    "binary": "firefox",
    "direction": "playback",
    "media_name": "lofi hip hop radio - beats to relax/study to - YouTube",
}
SETS: dict[str, Callable[[int], dict[str, object]]] = {
    "an application each": lambda i: {"app": f"program{i}"},
    "a glob each": lambda i: {"media_name": f"*stream {i}*"},
    "a regular expression each": lambda i: {"media_name": rf"re:(?i)\bstream {i}\b.*live"},
    "one without a fixed text": lambda i: {"media_name": rf"re:(?i)^[a-f]\w+ (?:s|e)\d{{{i % 9}}} {i % 10}"},
    "application, then regular expression": lambda i: {"app": f"program{i}", "media_name": f"re:live {i}"},
    "regular expressions on every name": lambda i: {"app": f"re:(?i)^program{i}$|tool{i}"},
}


async def rules(length: Length) -> list[Line]:
    """Read rules, decide by them and explain that, for each kind of condition."""
    found = []
    for name, match in SETS.items():
        matches = [*(match(i) for i in range(RULE_LIMIT - 1)), {"app": "firefox"}]
        tables = [{"name": str(i), "match": m} for i, m in enumerate(matches)]
        ready = prepared([rule_from_plain(table) for table in tables])
        if [rule.name for rule in outcome(ready, STREAM).matched] != [str(RULE_LIMIT - 1)]:
            raise SessionError(f"{name}: not every rule was looked at")
        rounds = max(ENOUGH, length.rounds // 3)
        samples = {
            "decide": timed(partial(outcome, ready, STREAM), rounds),
            "explain": timed(partial(tried, ready, STREAM), rounds // EXPLAINED_EACH),
        }
        found += lines(f"{RULE_LIMIT} rules: {name}", "ms", samples)
    return found


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    """Take the milliseconds of processor time of each round."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.process_time_ns()
        act()
        taken.append((time.process_time_ns() - started) / 1e6)
    return taken
