"""A run as a document: the machine, the versions, the load, and each line. What is written can be read again."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Line
from pwmixer_dbus import __version__

SCHEMA = 1
LIBRARIES = ("dbus-fast", "pulsectl", "pulsectl-asyncio")
PROGRAMS = ("pipewire", "wireplumber", "pactl")


class RecordError(Exception):
    """A document is not one of ours; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured, when, of which version, and on what; `load` is that of a minute, before and after."""

    version: str
    date: str
    machine: Mapping[str, str | int]
    versions: Mapping[str, str]
    load: tuple[float, float]
    lines: tuple[Line, ...]

    def by_name(self) -> dict[str, Line]:
        """Return the lines by their names."""
        return {line.name: line for line in self.lines}

    def on(self) -> str:
        """Say in a line what it was measured on."""
        machine, versions = self.machine, self.versions
        return (
            f"{machine['processor']}, {machine['processors']} processors, Linux {machine['kernel']}, Python {versions['python']}, "
            f"PipeWire {versions['pipewire']}, WirePlumber {versions['wireplumber']}; load {self.load[0]:.1f} before "
            f"and {self.load[1]:.1f} after; pwmixer {self.version}, {self.date}"
        )


def taken(lines: list[Line], load_before: float) -> Run:
    """Make the document of a run that has just ended on this machine."""
    versions = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    return Run(
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
        machine={
            "architecture": platform.machine(),
            "processor": _processor(),
            "processors": os.cpu_count() or 1,
            "kernel": platform.release(),
        },
        versions=versions | {name: _version_of(name) for name in PROGRAMS},
        load=(round(load_before, 2), round(os.getloadavg()[0], 2)),
        lines=tuple(lines),
    )


def joined(before: Run, run: Run) -> Run:
    """Return a run with what it has not measured as it was before; benchmarks stay whole, and in their order."""
    measured = {line.benchmark for line in run.lines}
    benchmarks: dict[str, list[Line]] = {line.benchmark: [] for line in (*before.lines, *run.lines)}
    for line in (*(line for line in before.lines if line.benchmark not in measured), *run.lines):
        benchmarks[line.benchmark].append(line)
    return replace(run, lines=tuple(line for found in benchmarks.values() for line in found))


def written(run: Run) -> str:
    """Write a document."""
    document = {"schema": SCHEMA} | {field.name: getattr(run, field.name) for field in fields(run)}
    document["lines"] = [_rounded(asdict(line)) for line in run.lines]
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> Run:
    """Read a document; raises RecordError for what is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise RecordError(f"{path} was written by another version of the benchmark")
        document["lines"] = tuple(Line(**line) for line in document["lines"])
        document["load"] = tuple(document["load"])
        return Run(**document)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(f"{path} is no record of a run: {error}") from error


def _rounded(line: dict[str, Any]) -> dict[str, Any]:
    """Keep the digits that say something."""
    return {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in line.items()}


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _version_of(program: str) -> str:
    """Return what a program says of its version: the last number with dots, since others name libraries before it."""
    if shutil.which(program) is None:
        return "none"
    done = subprocess.run((program, "--version"), capture_output=True, text=True, timeout=10, check=False)
    found = re.findall(r"\d+\.\d+(?:\.\d+)?", done.stdout)
    return found[-1] if found else "unknown"
