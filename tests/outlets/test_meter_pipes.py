"""The pipes of meters where the system has little left to give: a user with many pipes, a process without descriptors."""

import asyncio
import fcntl
import os
import resource
from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_mixer import Desk, on_a_desk

from pwmixer_dbus.core.errors import LimitsExceededError
from pwmixer_dbus.outlets.bus.meters import MeterMethods, Pipe


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as a number is all that is wanted


def test_a_pipe_that_may_not_grow_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_file: int, command: int, _size: int) -> int:
        assert command == fcntl.F_SETPIPE_SZ
        raise PermissionError("as to whoever has as many pipes as fs.pipe-user-pages-soft allows")

    async def main() -> None:
        pipe = Pipe(lambda: None)
        pipe.write(b"frame")
        assert os.read(pipe.reader, 100) == b"frame"
        pipe.close()
        assert os.read(pipe.reader, 100) == b""
        os.close(pipe.reader)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    asyncio.run(main())


@on_a_desk
async def test_without_a_descriptor_left_a_meter_is_refused_with_the_reason(desk: Desk) -> None:
    connection = SimpleNamespace(passes_descriptors=True, is_passed=lambda _: False)
    meters = MeterMethods(
        desk.mixer, cast("Any", connection), lambda _: [], lambda _: pytest.fail("nothing is measured")
    )
    call: Any = SimpleNamespace(arguments=(["@sink"], {}), client=":1.7", message=None)
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(LimitsExceededError, match="file descriptor"):
            meters.open(call)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert open_descriptors() == before
