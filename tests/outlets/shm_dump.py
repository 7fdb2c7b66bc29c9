"""What each reader reads of a file, in one form: plain dictionaries, texts as texts, overflow as names."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from session import PATIENCE, completed

from pwmixer_dbus.outlets.shm.reader import Reader

HERE = Path(__file__).parent
READERS = HERE.parents[1] / "data" / "readers"
OVERFLOWS = ("devices", "apps", "streams", "texts")

State = dict[str, Any] | None


def compiled(source: Path, target: Path) -> Path:
    """Compile a program with the reader for C, as strictly as can be."""
    strict = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
    checked = ("-O2", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    command = ("cc", *strict, *checked, f"-I{READERS}", "-o", str(target), str(source))
    subprocess.run(command, check=True, timeout=PATIENCE)
    return target


def by_python(paths: Sequence[Path]) -> list[State]:
    """Read with the reader for Python."""
    return [_of_python(path) for path in paths]


def by_gjs(paths: Sequence[Path]) -> list[State]:
    """Read with the reader for GJS."""
    return [_of_gjs(json.loads(line)) for line in _run("gjs", "-m", HERE / "shm_dump.js", READERS, *paths)]


def by_c(paths: Sequence[Path], folder: Path) -> list[State]:
    """Read with the reader for C, which is compiled for it in a folder."""
    program = compiled(HERE / "shm_dump.c", folder / "dump")
    return [_of_c(json.loads(line)) for line in _run(program, *paths)]


def _run(*command: str | Path) -> list[str]:
    done = completed(*command)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def _of_python(path: Path) -> State:
    reader = Reader(str(path))
    seen = reader.read()
    assert reader.read() is seen
    reader.close()
    if seen is None:
        return None
    tables = {
        "devices": [device._asdict() for device in seen.devices],
        "apps": [app._asdict() | {"streams": list(app.streams)} for app in seen.apps],
    }
    return seen._asdict() | tables | {"overflow": list(seen.overflow)}


def _of_gjs(state: State) -> State:
    if state is None:
        return None
    snake = {_snake(key): value for key, value in state.items()}
    for table in ("devices", "apps"):
        snake[table] = [{_snake(key): value for key, value in record.items()} for record in snake[table]]
    for device in snake["devices"]:
        device["server_index"] = device.pop("index")
    return snake


def _of_c(state: dict[str, Any]) -> State:
    if state.get("status"):
        return None
    state["overflow"] = [name for name in OVERFLOWS if state.pop(f"overflow_{name}")]
    for device in state["devices"]:
        device["kind"] = "source" if device.pop("source") else "sink"
    for record in (*state["devices"], *state["apps"]):
        for key in ("name", "description", "icon_name", "app_id"):
            if key in record:
                record[key] = bytes.fromhex(record[key]).decode()
    return state


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
