"""A profile of the service, taken while it runs. Imported when somebody asks for one; before and after, it costs nothing."""

import asyncio
import cProfile
import logging
import marshal
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from pwmixer_dbus.core.errors import (
    InvalidArgumentError,
    LimitsExceededError,
    MixerError,
    NotSupportedError,
)
from pwmixer_dbus.system.runtime import runtime_folder

log = logging.getLogger(__name__)

LONGEST = 600
"""Seconds for which a profile may be taken."""

KEPT = 5
"""How many profiles stay in the folder; the oldest go first."""

_BUSY = "A profile is being taken already; wait until it is written."


def profile(seconds: int, environment: Mapping[str, str]) -> Path:
    """Take a profile from now on, and return the file which is written when it is done, for `python3 -m pstats`.

    Nobody else can read the file. Raises InvalidArgumentError for 0 or more than `LONGEST` seconds, LimitsExceededError
    while another one is being taken, NotSupportedError where there is no place for it.
    """
    if not 1 <= seconds <= LONGEST:
        raise InvalidArgumentError(f"A profile is taken for 1 to {LONGEST} seconds, not {seconds}.")
    try:
        folder = runtime_folder(environment)
    except OSError as error:
        raise NotSupportedError(f"There is no place for a profile: {error}.") from error
    profiler = cProfile.Profile()
    # Up to Python 3.11 the first one would silently be put aside.
    if sys.getprofile() is not None:
        raise LimitsExceededError(_BUSY)
    try:
        profiler.enable()
    except ValueError as error:
        raise LimitsExceededError(_BUSY) from error
    path = folder / f"profile-{time.strftime('%Y%m%d-%H%M%S')}.pstats"
    asyncio.get_running_loop().call_later(seconds, partial(_finish, profiler, path))
    log.info("taking a profile for %d s", seconds)
    return path


def _finish(profiler: cProfile.Profile, path: Path) -> None:
    profiler.disable()
    profiler.create_stats()
    try:
        _write(profiler, path)
    except OSError as error:
        log.warning("the profile could not be written: %s", error)
    else:
        log.info("the profile is in %s; read it with python3 -m pstats", path)


def _write(profiler: cProfile.Profile, path: Path) -> None:
    new = path.with_name("profile.new")  # always, so that what a killed service has left does not stay
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            marshal.dump(profiler.stats, file)  # what dump_stats writes, but for us alone
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    for old in sorted(path.parent.glob("profile-*.pstats"))[:-KEPT]:
        with suppress(OSError):
            old.unlink()


def profile_or_tell(seconds: int, environment: Mapping[str, str]) -> None:
    """Take a profile because of a signal, which nobody answers: what is wrong is logged."""
    try:
        profile(seconds, environment)
    except MixerError as error:
        log.warning("%s", error)
