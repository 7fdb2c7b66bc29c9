"""Where things of the session are."""

import socket
import stat
from pathlib import Path

import pytest
from dbus_fast._private.address import parse_address

from pwmixer_dbus.system.runtime import runtime_folder, session_bus


def test_the_bus_is_where_it_is_told_to_be_else_in_the_runtime_folder_whatever_that_is_called(
    tmp_path: Path,
) -> None:
    runtime = tmp_path / "a b;c,d=%é"
    runtime.mkdir()
    environment = {"HOME": "/", "XDG_RUNTIME_DIR": str(runtime)}
    assert session_bus(environment) is None
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(runtime / "bus"))
        address = session_bus(environment)
        assert address is not None
        assert parse_address(address) == [("unix", {"path": str(runtime / "bus")})]
        told = {**environment, "DBUS_SESSION_BUS_ADDRESS": "unix:abstract=x"}
        assert session_bus(told) == "unix:abstract=x"


def test_a_runtime_folder_that_is_none_is_not_looked_into() -> None:
    assert session_bus({"HOME": "/"}) is None
    assert session_bus({"HOME": "/", "XDG_RUNTIME_DIR": "run"}) is None


def test_our_folder_is_for_nobody_else_whoever_has_made_it(tmp_path: Path) -> None:
    (tmp_path / "pwmixer").mkdir(mode=0o755)
    folder = runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OSError, match="is not a folder of ours"):
        runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    with pytest.raises(OSError, match="XDG_RUNTIME_DIR is not set"):
        runtime_folder({})
