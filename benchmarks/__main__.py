"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path

from session import SessionError

from benchmarks.compare import comparison
from benchmarks.figures import Line, table
from benchmarks.metrics import ALONE, IN_SESSION
from benchmarks.publish import PUBLISHED, publish
from benchmarks.record import RecordError, Run, joined, read, taken, written
from benchmarks.rig import FULL, REST, SHORT, STREAMS, Length, opened

FOOTNOTE = f"""\
Volumes go round robin over {STREAMS} streams, no sooner than {REST * 1000:.0f} ms after the last one for the same object: the service
sends one object at most 60 volumes a second and announces it at most 30 times a second, and a faster pace would measure
that. A ratio is to the first line of its group."""


async def measure(names: Sequence[str], length: Length) -> tuple[list[Line], list[str]]:
    """Run benchmarks by name; return their lines, and what went wrong: one that fails does not take the others along."""
    found: list[Line] = []
    failures: list[str] = []

    async def tried(name: str, benchmark: Awaitable[list[Line]]) -> None:
        try:
            found.extend(await benchmark)
        except (SessionError, OSError) as error:
            failures.append(f"{name}: {str(error) or 'something that was to happen did not'}")
        print(f"{name} done", file=sys.stderr, flush=True)

    shared = [name for name in IN_SESSION if name in names]
    if shared:
        async with opened(length) as bench:
            for name in shared:
                await tried(name, IN_SESSION[name](bench))
    for name in ALONE:
        if name in names:
            await tried(name, ALONE[name](length))
    return found, failures


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; ends the program where it is wrong."""
    every = [*IN_SESSION, *ALONE]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure the service in a private session, beside others that do the same in the same run. "
        "Without names it takes about ten minutes, and writes docs/performance/ and the table of docs/performance.md.",
        epilog=f"names: {', '.join(every)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="run these only, and print what they say")
    parser.add_argument(
        "--short", action="store_true", help="few rounds, to see whether it runs; writes nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write what was measured again among the rest of docs/performance/",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="OLD.json", help="show what has changed since that run"
    )
    parser.add_argument(
        "--with", type=Path, metavar="NEW.json", dest="new", help="measure nothing, take that run"
    )
    options = parser.parse_args(words)
    unknown = [name for name in options.names if name not in every]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there is: {', '.join(every)}")
    options.is_whole = not (options.names or options.short or options.new)
    options.names = options.names or every
    return options


def measured(options: argparse.Namespace) -> tuple[Run, list[str]]:
    """Measure what is asked for, and print it; return what went wrong as well."""
    load = os.getloadavg()[0]
    lines, failures = asyncio.run(measure(options.names, SHORT if options.short else FULL))
    run = taken(lines, load)
    print(f"{run.on()}\n\n{table(run.lines)}\n\n{FOOTNOTE}")
    return run, failures


def main() -> int:
    """Measure, print, and write."""
    # It is for finding this program only; what is measured starts as it does on a desktop.
    os.environ.pop("PYTHONPATH", None)
    options = options_of(sys.argv[1:])
    try:
        old = read(options.compare) if options.compare else None
        run, failures = (read(options.new), []) if options.new else measured(options)
        if options.json:
            options.json.write_text(written(run), encoding="utf-8")
        if old:
            print(f"\n{comparison(old, run)}")
        if options.is_whole:
            publish(run)
        elif options.publish:
            publish(joined(read(PUBLISHED), run))
    except (SessionError, RecordError) as error:
        failures = [str(error)]
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
