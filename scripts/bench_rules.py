#!/usr/bin/env python3
"""How long it takes to decide what a thousand rules want of one stream, in milliseconds of processor time.

No rule matches but the last, so each has to be looked at. Figures are for comparing; none is a limit.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles

from pwmixer_dbus.core.matching import outcome, prepared, tried
from pwmixer_dbus.core.rules import RULE_LIMIT, rule_from_plain

ROUNDS = 300
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


def main() -> None:
    """Print a row for each set of rules."""
    print(f"{'ms for ' + str(RULE_LIMIT) + ' rules':40} {'read':>8} {'decide':>8} {'p99':>8} {'explain':>8}")
    for name, match in SETS.items():
        matches = [*(match(i) for i in range(RULE_LIMIT - 1)), {"app": "firefox"}]
        started = time.process_time()
        ready = prepared([rule_from_plain({"name": str(i), "match": m}) for i, m in enumerate(matches)])
        read = time.process_time() - started
        decide = timed(partial(outcome, ready, STREAM), ROUNDS)
        explain = timed(partial(tried, ready, STREAM), 5)
        if [rule.name for rule in outcome(ready, STREAM).matched] != [str(RULE_LIMIT - 1)]:
            raise SystemExit(f"{name}: not every rule was looked at")
        figures = (read, median(decide), quantiles(decide, n=100)[98], median(explain))
        print(f"{name:40} " + " ".join(f"{figure * 1000:8.3f}" for figure in figures))


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    """Take the seconds of processor time of each round."""
    taken = []
    for _ in range(rounds):
        started = time.process_time_ns()
        act()
        taken.append((time.process_time_ns() - started) / 1e9)
    return taken


if __name__ == "__main__":
    main()
