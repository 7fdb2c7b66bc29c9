"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from session import SessionError

from benchmarks.figures import Line, table
from benchmarks.metrics import ALONE, IN_SESSION
from benchmarks.rig import FULL, REST, SHORT, STREAMS, Length, opened

FOOTNOTE = f"""\
Volumes go round robin over {STREAMS} streams, no sooner than {REST * 1000:.0f} ms after the last one for the same object: the service
sends one object at most 60 volumes a second and announces it at most 30 times a second, and a faster pace would measure
that. A ratio is to the first line of its group."""


async def measure(names: Sequence[str], length: Length) -> list[Line]:
    """Run benchmarks by name; return their lines."""
    found: list[Line] = []
    shared = [name for name in IN_SESSION if name in names]
    if shared:
        async with opened(length) as bench:
            for name in shared:
                found += await IN_SESSION[name](bench)
                print(f"{name} done", file=sys.stderr)
    for name in ALONE:
        if name in names:
            found += await ALONE[name](length)
            print(f"{name} done", file=sys.stderr)
    return found


def main() -> int:
    """Parse the command line, measure, and print."""
    # It is for finding this program only; what is measured starts as it does on a desktop.
    os.environ.pop("PYTHONPATH", None)
    every = [*IN_SESSION, *ALONE]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the service in a private session, beside others that do the same in the same run.",
        epilog=f"names: {', '.join(every)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these only; all without")
    parser.add_argument("--short", action="store_true", help="few rounds, for a CI that asks whether it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in every]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there is: {', '.join(every)}")
    try:
        found = asyncio.run(measure(options.names or every, SHORT if options.short else FULL))
    except (SessionError, TimeoutError) as error:
        print(f"bench: {str(error) or 'something that was to happen did not'}", file=sys.stderr)
        return 1
    load = f"{os.getloadavg()[0]:.1f}"
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, load {load} at the end, Python {platform.python_version()}\n"
    )
    print(table(found))
    print(f"\n{FOOTNOTE}")
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in found], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
