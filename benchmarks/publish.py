"""Puts a run where people see it: docs/performance/ gets its document and pictures, docs/performance.md its table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.figures import Line
from benchmarks.plots import pictures
from benchmarks.record import SCHEMA, Run, read, written
from benchmarks.targets import TARGETS, markdown, profile

DOCS = Path(__file__).resolve().parent.parent / "docs"
LATEST, HISTORY = "latest.json", "history.json"
PUBLISHED = DOCS / "performance" / LATEST
BEGIN, PROFILE = (
    "<!-- begin: table written by scripts/bench -->\n",
    "<!-- begin: profile written by scripts/bench -->\n",
)
END = "<!-- end -->\n"


def publish(run: Run, docs: Path = DOCS) -> None:
    """Write all of it; the row of this version in the history is replaced."""
    folder = docs / "performance"
    folder.mkdir(exist_ok=True)
    (folder / LATEST).write_text(written(run), encoding="utf-8")
    run = read(
        folder / LATEST
    )  # rounded, so that whoever makes the table of the document again gets the same
    for name, picture in pictures(run).items():
        (folder / name).write_text(picture, encoding="utf-8")
    history = folder / HISTORY
    before = json.loads(history.read_text(encoding="utf-8")) if history.exists() else None
    history.write_text(json.dumps(with_row(before, run), indent=1) + "\n", encoding="utf-8")
    page = docs / "performance.md"
    page.write_text(with_table(page.read_text(encoding="utf-8"), run), encoding="utf-8")


def with_row(history: dict[str, Any] | None, run: Run) -> dict[str, Any]:
    """Return the history with a row for the version of this run: what the targets are about."""
    rows = [row for row in (history or {}).get("releases", []) if row["version"] != run.version]
    lines = run.by_name()
    names = dict.fromkeys(
        name for target in TARGETS for name in (target.peer, target.plain, target.ours) if name in lines
    )
    row = {
        "version": run.version,
        "date": run.date,
        "processor": run.machine["processor"],
        "lines": {name: _figures(lines[name]) for name in names},
    }
    return {"schema": SCHEMA, "releases": [*rows, row]}


def with_table(page: str, run: Run) -> str:
    """Return the page with the tables of this run between their marks."""
    return _between(_between(page, BEGIN, markdown(run)), PROFILE, profile(run))


def _between(page: str, mark: str, table: str) -> str:
    between = f"(?<={re.escape(mark)}).*?(?={re.escape(END)})"
    return re.sub(between, lambda _: table, page, count=1, flags=re.DOTALL)


def _figures(line: Line) -> dict[str, float | str | None]:
    return {"p50": line.p50, "p99": line.p99, "unit": line.unit}
