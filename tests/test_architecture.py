"""The arrows: who may import whom, and who may import what from outside. A new file or folder needs a place here."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pwmixer_dbus"

CORE = [
    "errors",
    "records",
    "table",
    "model",
    "words",
    "patterns",
    "rules",
    "settings",
    "gain",
    "identity",
    "commands",
    "events",
    "directory",
    "state",
]
CORE += ["memory", "substrings", "matching", "loops"]
CORE += ["routing", "selectors", "verbs", "requests", "document", "subjects", "history", "suggestions"]
CORE += ["fading", "tally", "measures", "statistics", "plain", "succession", "metering"]
"""In the order in which they build on each other: each may import only what stands before it."""

MAY_IMPORT = {
    "core": {"core"},
    "alarm": set[str](),
    "lanes": {"alarm", "core"},
    "gathering": {"alarm", "core"},
    "mixer": {"core", "gathering", "lanes"},
    "announcer": {"alarm", "core"},
    "router": {"alarm", "core", "mixer"},
    "keeper": {"alarm", "core", "mixer"},
    "fader": {"alarm", "core", "mixer"},
    "meters": {"core", "mixer"},
    "config": {"core", "config"},
    "system/diagnostics": {"core", "mixer"},
    "system/runtime": set(),
    "system/profiling": {"core", "system/runtime"},
    "system/pidfile": {"system/runtime"},
    "outlets/stats": {"alarm", "core", "mixer", "system/diagnostics"},
    "outlets/barsignal": {"alarm", "core", "mixer"},
    "pulse": {"core", "pulse"},
    "outlets/bus": {
        "alarm",
        "announcer",
        "core",
        "system/profiling",
        "system/diagnostics",
        "mixer",
        "router",
        "keeper",
        "fader",
        "meters",
        "system/runtime",
        "outlets/bus",
        "__init__",
    },
    "outlets/osd": {"core", "mixer"},
    "outlets/shm/layout": {"core"},
    "outlets/shm/reader": set[str](),
    "outlets/shm/writer": {"outlets/shm/layout"},
    "outlets/shm/file": {"outlets/shm/layout"},
    "outlets/shm/outlet": {"core", "mixer", "outlets/shm/layout", "outlets/shm/writer", "outlets/shm/file"},
    "outlets/switches": {"core", "mixer", "outlets/bus"},
    "succession": {"core", "mixer", "router", "keeper", "fader", "config", "outlets/bus"},
    "outlets/socket": {"announcer", "core", "mixer", "outlets/socket", "system/runtime"},
    "system/journal": set[str](),
    "startup/settled": {"startup/bundle"},
    "system/prompt": set[str](),
    "system/supervisor": {"system/prompt"},
    "system/sandbox": set[str](),
    "daemon": {
        "core",
        "lanes",
        "mixer",
        "router",
        "keeper",
        "fader",
        "meters",
        "config",
        "pulse",
        "outlets/bus",
        "outlets/osd",
        "outlets/shm/outlet",
        "outlets/switches",
        "outlets/socket",
        "system/journal",
        "system/profiling",
        "system/runtime",
        "system/pidfile",
        "outlets/stats",
        "outlets/barsignal",
        "system/diagnostics",
        "succession",
        "startup/settled",
        "system/supervisor",
        "system/sandbox",
        "__init__",
    },
    "cli/rules": {"core", "cli", "config", "system/runtime"},
    "cli/stats": {"cli", "core", "__init__"},
    "startup/bundle": set[str](),
    "startup/sharing": set[str](),
    "startup/bundling": {
        "startup/bundle",
        "startup/later",
        "startup/sharing",
        "system/runtime",
    },
    "startup/typed": set[str](),
    "startup/later": {"startup/typed"},
    "start": {
        "startup/bundle",
        "core",
        "daemon",
        "gathering",
        "outlets/bus",
        "pulse",
        "startup/later",
        "system/prompt",
    },
    "cli": {"startup/bundle", "cli", "cli/rules", "cli/stats", "config", "system/runtime", "__init__"},
}
ONLY_IN = {
    "pulsectl": ["pulse"],
    "pulsectl_asyncio": ["pulse"],
    "ctypes": [
        "pulse",
        "config/watch",
        "startup/settled",
        "startup/bundling",
    ],  # inotify: the packages for it poll or start threads; madvise; prctl
    "dbus_fast": ["outlets/bus", "cli/watch", "cli/rules"],
    "pydantic": ["config", "outlets/socket/schema"],
    "pydantic_core": ["config"],
    "platformdirs": ["config"],
    "tomllib": ["config"],
}
IMPURE = {
    "asyncio",
    "os",
    "io",
    "socket",
    "subprocess",
    "threading",
    "time",
    "datetime",
    "logging",
    "pathlib",
}
IMPURE |= {
    "random",
    "secrets",
    "uuid",
    "sys",
    "ctypes",
    "signal",
    "shutil",
    "tempfile",
    "urllib",
    "importlib",
}

FILES = sorted(
    str(p.relative_to(PACKAGE).with_suffix(""))
    for p in PACKAGE.rglob("*.py")
    if p.name != "__init__.py" or p.stat().st_size > 200
)


@cache
def imports_of(name: str) -> list[tuple[str, str]]:
    """List what a file imports, wherever it does: the dotted module, and the name taken from it."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def inner(name: str) -> set[str]:
    """Return which files of ours a file imports."""
    found = set()
    for module, taken in imports_of(name):
        if module.split(".")[0] == PACKAGE.name:
            path = "/".join(module.split(".")[1:])
            deeper = f"{path}/{taken}" if path else taken
            is_file = (PACKAGE / f"{deeper}.py").exists() or (PACKAGE / deeper / "__init__.py").exists()
            found.add(deeper if is_file else path or "__init__")
    return found


def layer(name: str) -> str:
    return next((place for place in MAY_IMPORT if name == place or name.startswith(f"{place}/")), name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_what_its_layer_may(name: str) -> None:
    assert layer(name) in MAY_IMPORT, "this file has no place in the picture yet"
    assert {layer(other) for other in inner(name)} <= MAY_IMPORT[layer(name)]


@pytest.mark.parametrize("name", FILES)
def test_foreign_packages_stay_in_their_places(name: str) -> None:
    for module, _ in imports_of(name):
        outside = module.split(".")[0]
        assert outside in sys.stdlib_module_names or outside in {*ONLY_IN, PACKAGE.name}
        assert any(name == p or name.startswith(f"{p}/") for p in ONLY_IN.get(outside, [name])), outside


@pytest.mark.parametrize("name", [name for name in FILES if layer(name) == "core"])
def test_core_is_pure_and_has_no_circles(name: str) -> None:
    before = CORE[: CORE.index(name.removeprefix("core/"))]
    assert inner(name) <= {f"core/{other}" for other in before}
    assert not {module.split(".")[0] for module, _ in imports_of(name)} & IMPURE


def test_whatever_the_service_loads_makes_its_records_later() -> None:
    makers = [name for name in FILES if "dataclasses" in {module for module, _ in imports_of(name)}]
    assert [name for name in makers if layer(name) != "cli"] == ["core/records", "start"]


def test_there_is_one_writer() -> None:
    ways = {("pwmixer_dbus.core.state", name) for name in ("apply", "levelled", "more_than_levelled")}
    assert [n for n in FILES if ways.intersection(imports_of(n))] == ["mixer"]
    assert not [n for n in FILES if ("pwmixer_dbus.core", "state") in imports_of(n)]


def test_the_picture_has_no_place_that_is_empty() -> None:
    assert {layer(name) for name in FILES} == set(MAY_IMPORT)
    assert {f"core/{name}" for name in CORE} == {name for name in FILES if layer(name) == "core"}


def test_the_table_in_the_documentation_names_what_there_is() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    cells = re.findall(r"^\| (`.*?) \|", page.partition("## Decisions")[0], re.MULTILINE)
    assert len(cells) > 40
    for cell in cells:
        first, *others = re.findall("`([a-z_/]+)`", cell)
        folder = first.rpartition("/")[0]
        for place in (
            first,
            *(other if "/" in other else f"{folder}/{other}".lstrip("/") for other in others),
        ):
            assert PACKAGE.joinpath(place).is_dir() or PACKAGE.joinpath(f"{place}.py").is_file(), place


def test_every_test_that_the_readme_names_exists() -> None:
    here = Path(__file__).parent
    code = "\n".join(p.read_text(encoding="utf-8") for p in here.rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", (here / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    assert [name for name in named if f"def {name}(" not in code] == []
