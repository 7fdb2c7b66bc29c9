"""Tells when files change, by inotify, so that nothing runs while nobody edits. Folders are watched, and never files.

An editor writes a new file and renames it into place, which the old file would not tell. Where a folder is missing, the
nearest one above it is watched until it comes; where a file is a link, the folder of its target is watched as well. The
Python package that offers inotify polls or starts threads, so libc is called.
"""

import asyncio
import ctypes
import errno
import logging
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

CALM = 0.02
"""Seconds from the first sign of a change until it is told, since most changes are several: remove, create, write, close."""

# From <sys/inotify.h>; the same on every architecture.
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED, _ONLYDIR = 0x400, 0x800, 0x4000, 0x8000, 0x1000000
_COMES_OR_GOES = _CREATE | _MOVED_TO | _MOVED_FROM | _DELETE
_SELF = _DELETE_SELF | _MOVE_SELF
_HEAD = struct.Struct("iIII")
_BUFFER = 64 * 1024

Spots = dict[Path, dict[str, set[Path]]]
"""Folders to watch, and in each the names that matter, with the files that they are about."""


class Watch:
    """Watches files, there or not yet, on the loop that runs now; `on_change` is told which of them may have changed.

    Without inotify, as when a user has too many watches, a warning is logged and nothing is told.
    """

    def __init__(self, files: Sequence[Path], on_change: Callable[[frozenset[Path]], None]) -> None:
        self._files = tuple(files)
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[int, dict[str, set[Path]]] = {}
        self._changed: set[Path] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._problem = ""
        self._descriptor = self._libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self._descriptor < 0:
            self._warn(ctypes.get_errno())
            return
        self._aim()
        self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        is_to_aim = False
        for number, mask, name in _events(os.read(self._descriptor, _BUFFER)):
            names = self._watched.get(number, {})
            if mask & _OVERFLOW:
                is_to_aim = True
                self._changed.update(self._files)
            elif mask & (_SELF | _IGNORED):
                is_to_aim = is_to_aim or bool(names)
                self._changed.update(*names.values())
            elif name in names:
                self._changed |= names[name]
                # What came or went may be a folder that was missing, or a link to elsewhere.
                is_to_aim = is_to_aim or not mask & _CLOSE_WRITE
        if is_to_aim:
            self._aim()
        if self._changed and self._timer is None:
            self._timer = self._loop.call_later(CALM, self._tell)

    def _tell(self) -> None:
        self._timer = None
        changed, self._changed = frozenset(self._changed), set()
        self._on_change(changed)

    def _aim(self) -> None:
        """Watch what has to be watched now, again until nothing has come or gone while we did."""
        spots: Spots = {}
        while (now := _spots(self._files)) != spots:
            spots = now
            homes = {path.parent for file in self._files for path in _paths(file)}
            wanted: dict[int, dict[str, set[Path]]] = {}
            for folder, names in spots.items():
                # Above a missing folder, what is written into files is nothing to us.
                mask = _COMES_OR_GOES | _SELF | _ONLYDIR | (_CLOSE_WRITE if folder in homes else 0)
                number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
                if number < 0:
                    self._warn(ctypes.get_errno())
                    continue
                known = wanted.setdefault(number, {})  # two paths may lead to one folder
                for name, files in names.items():
                    known[name] = known.get(name, set()) | files
            for number in self._watched.keys() - wanted.keys():
                self._libc.inotify_rm_watch(self._descriptor, number)
            self._watched = wanted

    def _warn(self, number: int) -> None:
        if number in {errno.ENOENT, errno.ENOTDIR}:
            return  # the folder has gone meanwhile
        problem = os.strerror(number)
        if problem != self._problem:
            self._problem = problem
            log.warning(
                "changes of the configuration are not noticed (%s); `pwmixerctl reload` reads it", problem
            )


def _paths(file: Path) -> set[Path]:
    return {file.absolute(), Path(os.path.realpath(file))}


def _spots(files: Sequence[Path]) -> Spots:
    spots: Spots = {}
    for file in files:
        for path in _paths(file):
            folder, name = path.parent, path.name
            while not os.path.isdir(folder) and folder != folder.parent:  # noqa: PTH112 - that of Path raises where we may not look
                folder, name = folder.parent, folder.name
            spots.setdefault(folder, {}).setdefault(name, set()).add(file)
    return spots


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    position = 0
    while position < len(data):
        number, mask, _, length = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        yield number, mask, os.fsdecode(data[position : position + length].rstrip(b"\0"))
        position += length
