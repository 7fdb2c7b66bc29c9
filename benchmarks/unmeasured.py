"""Runs a service in which nothing is measured, to see what it costs that things are; see benchmarks/metrics/statistics.py."""

import inspect
import sys

from pwmixer_dbus.core import measures
from pwmixer_dbus.daemon import main

KEEP = ("__init__", "queue", "when_active", "no_longer", "cost_of", "cost_of_caller", "number", "events")
"""What makes no measurement, or returns what a caller works on."""


def unmeasured() -> None:
    """Replace each measurement by nothing, then run the service."""
    cost = measures.Cost()
    for name, _ in inspect.getmembers(measures.Measures, inspect.isfunction):
        if name not in KEEP:
            setattr(measures.Measures, name, lambda *_, **__: 0.0)
    for name in ("cost_of", "cost_of_caller"):
        setattr(measures.Measures, name, lambda *_: cost)
    measures.Queue.grew = lambda *_: None  # type: ignore[method-assign]
    sys.argv = ["pwmixer-dbus"]
    main()


if __name__ == "__main__":
    unmeasured()
