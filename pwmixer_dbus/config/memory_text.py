"""The text of the state file: memory as JSON, and back.

The file is ours, and the folder is the user's own, so what may be in it is damage and not an attack: a total reader
written by hand drops bad entries one by one, which pydantic does not do, and costs no 100 ms at start-up.
"""

import json
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pwmixer_dbus.core import gain
from pwmixer_dbus.core.memory import (
    LAST_DAY,
    NOBODY,
    KnownApp,
    KnownDevice,
    Level,
    Memory,
    bounded,
    is_device_key,
)
from pwmixer_dbus.core.model import VOLUME_DIGITS, Kind, clean

VERSION = 1
"""Of the format. An older service drops keys that it does not know, so one whose loss would matter raises this."""

SIZE_LIMIT = 8 * 1024 * 1024

D = TypeVar("D")


class DamagedError(Exception):
    """The file is none that a service of any version has written; the message ends the sentence `PATH …`."""


Lines = dict[str, tuple[KnownApp, str]]
"""What was written of each application last time: of a thousand, all but one are the same the next time."""


def text_of(memory: Memory, lines: Lines) -> str:
    """Write a memory as JSON, a line for each entry: json is quick where it need not indent, and people can read it."""
    for app_id, app in memory.apps.items():
        if app_id not in lines or lines[app_id][0] is not app:
            lines[app_id] = (app, f"\n{_json(app_id)}: {_json(_app_values(app))}")
    for gone in lines.keys() - memory.apps.keys():
        del lines[gone]
    apps = ",".join(lines[app_id][1] for app_id in memory.apps)
    devices = ",".join(f"\n{_json(k)}: {_json(_device_values(d))}" for k, d in memory.devices.items())
    rules = ',\n"rules_off": true' if memory.rules_off else ""
    return f'{{"version": {VERSION}{rules},\n"apps": {{{apps}}},\n"devices": {{{devices}}}}}\n'


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _app_values(app: KnownApp) -> Mapping[str, object]:
    return {
        "name": app.name,
        "icon_name": app.icon_name,
        "used": app.used,
        **({"locked": True} if app.locked else {}),
        **({"max_volume": app.max_volume} if app.max_volume is not None else {}),
        **({"first_volume": app.first_volume} if app.first_volume is not None else {}),
        **({"preferred_sink": app.preferred_sink} if app.preferred_sink else {}),
        **({"preferred_source": app.preferred_source} if app.preferred_source else {}),
        **(
            {"levels": {key: _level_values(level) for key, level in app.levels.items()}} if app.levels else {}
        ),
    }


def _device_values(device: KnownDevice) -> Mapping[str, object]:
    return {
        "name": device.name,
        "used": device.used,
        **({"locked": True} if device.locked else {}),
        **({"max_volume": device.max_volume} if device.max_volume is not None else {}),
        **_level_values(device.level),
    }


def _level_values(level: Level) -> Mapping[str, object]:
    return {
        **({"volume": level.volume} if level.volume is not None else {}),
        **({"muted": level.muted} if level.muted is not None else {}),
    }


def read_memory(path: Path) -> tuple[int, Memory, int]:
    """Read a file; return its version, the memory in it, and how many bad entries were left out.

    Raises DamagedError for what is no state file, and OSError where it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe could wait forever
        raise DamagedError("is no regular file")
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise DamagedError("is larger than 8 MiB, which no memory can be")
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError("is damaged: it is not valid JSON") from error
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise DamagedError("is damaged: it does not say which version it is")
    if version > VERSION:
        return version, Memory(), 0
    reader = _Reader()
    apps, devices = document.get("apps", {}), document.get("devices", {})
    if not (isinstance(apps, dict) and isinstance(devices, dict)):
        raise DamagedError("is damaged: its tables are none")
    memory = Memory(
        apps={app.app_id: app for app in reader.apps(apps)},
        devices={device.key: device for device in reader.devices(devices)},
        rules_off=reader.rules_off(document),
    )
    return version, bounded(memory), reader.dropped


class _Reader:
    """Takes what is good out of tables of any content, and counts what is not."""

    def __init__(self) -> None:
        self.dropped = 0

    def apps(self, table: Mapping[str, object]) -> Iterator[KnownApp]:
        """Read the applications."""
        for app_id, values in self._tables(table, _is_app_id):
            yield KnownApp(
                app_id=app_id,
                name=self._text(values, "name", app_id),
                icon_name=self._text(values, "icon_name", ""),
                levels=self._levels(values.get("levels", {})),
                locked=self._switch(values, "locked") or False,
                max_volume=self._volume(values, "max_volume"),
                first_volume=self._volume(values, "first_volume"),
                preferred_sink=self._device(values, Kind.SINK),
                preferred_source=self._device(values, Kind.SOURCE),
                used=self._time(values),
            )

    def devices(self, table: Mapping[str, object]) -> Iterator[KnownDevice]:
        """Read the devices."""
        for key, values in self._tables(table, is_device_key):
            yield KnownDevice(
                key=key,
                name=self._text(values, "name", key),
                level=self._level(values),
                locked=self._switch(values, "locked") or False,
                max_volume=self._volume(values, "max_volume"),
                used=self._time(values),
            )

    def rules_off(self, document: Mapping[str, object]) -> bool:
        """Read whether rules are switched off."""
        return self._switch(document, "rules_off") or False

    def _tables(
        self, table: object, is_key: Callable[[str], bool]
    ) -> Iterator[tuple[str, Mapping[str, object]]]:
        if not isinstance(table, dict):
            self.dropped += 1
            return
        for key, values in table.items():
            if is_key(key) and isinstance(values, dict):
                yield key, values
            else:
                self.dropped += 1

    def _levels(self, table: object) -> Mapping[str, Level]:
        levels = ((key, self._level(values)) for key, values in self._tables(table, _is_level_key))
        return {key: level for key, level in levels if level != Level()}

    def _level(self, values: Mapping[str, object]) -> Level:
        return Level(volume=self._volume(values, "volume"), muted=self._switch(values, "muted"))

    def _volume(self, values: Mapping[str, object], key: str) -> float | None:
        value = values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= gain.CEILING:
            return self._without(values, key, None)
        return round(float(value), VOLUME_DIGITS)

    def _switch(self, values: Mapping[str, object], key: str) -> bool | None:
        value = values.get(key)
        return value if isinstance(value, bool) else self._without(values, key, None)

    def _text(self, values: Mapping[str, object], key: str, default: str) -> str:
        value = values.get(key)
        return (
            value if isinstance(value, str) and clean(value) == value else self._without(values, key, default)
        )

    def _device(self, values: Mapping[str, object], kind: Kind) -> str:
        key = f"preferred_{kind}"
        value = self._text(values, key, "")
        return value if not value or value.startswith(f"{kind}:") else self._without(values, key, "")

    def _time(self, values: Mapping[str, object]) -> int:
        value = values.get("used")
        return value if type(value) is int and 0 <= value <= LAST_DAY else self._without(values, "used", 0)

    def _without(self, values: Mapping[str, object], key: str, default: D) -> D:
        """Do without a value, which counts where there is one."""
        self.dropped += key in values
        return default


def _is_app_id(text: str) -> bool:
    return bool(text) and not text.startswith(NOBODY) and clean(text) == text


def _is_level_key(text: str) -> bool:
    return text in {Kind.PLAYBACK, Kind.CAPTURE} or is_device_key(text)
