"""The files that let the bus and systemd start the service agree with it and with each other."""

import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from session import completed

from pwmixer_dbus.daemon import EXIT_TAKEN
from pwmixer_dbus.outlets.bus.paths import BUS_NAME
from pwmixer_dbus.outlets.socket.place import NAME, PASSED_NAME
from pwmixer_dbus.system.runtime import runtime_folder

DATA = Path(__file__).resolve().parent.parent / "data"
UNIT = DATA / "systemd" / "user" / "pwmixer-dbus.service"
SOCKET = UNIT.with_suffix(".socket")
ACTIVATION = DATA / "dbus-1" / "services" / f"{BUS_NAME}.service"


class CaseKept(ConfigParser):
    """A parser whose keys are written as they stand."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def read(file: Path) -> ConfigParser:
    """Parse a file; a key that stands twice is an error."""
    parser = CaseKept(interpolation=None)
    text = file.read_text(encoding="utf-8")
    parser.read_string(
        text.replace("SystemCallFilter=~", "SystemCallFilterButNot=")
    )  # the one list in two parts
    return parser


def test_the_bus_starts_the_unit_that_owns_the_name() -> None:
    activation, unit = read(ACTIVATION)["D-BUS Service"], read(UNIT)["Service"]
    assert activation["Name"] == unit["BusName"] == BUS_NAME
    assert activation["SystemdService"] == UNIT.name
    assert activation["Exec"] == unit["ExecStart"]
    assert unit["Type"] == "dbus"


def test_the_unit_restarts_after_a_fault_but_not_beside_another_instance() -> None:
    unit = read(UNIT)["Service"]
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"] == str(EXIT_TAKEN)


def test_a_call_finds_the_name_owned_and_notes_are_heard() -> None:
    unit = read(UNIT)["Service"]
    assert unit["NotifyAccess"] == "main"  # which Type=dbus alone does not imply
    assert int(unit["WatchdogSec"]) > 0


def test_the_sandbox_is_one_that_systemd_252_does_not_leave_out() -> None:
    unit = read(UNIT)["Service"]
    assert unit["PrivateUsers"] == "yes"  # without it, a user's unit silently goes without the next two
    assert (unit["ProtectSystem"], unit["ProtectHome"]) == ("strict", "read-only")
    assert unit["MemoryDenyWriteExecute"] == unit["RestrictNamespaces"] == unit["NoNewPrivileges"] == "yes"
    assert unit["RestrictAddressFamilies"] == "AF_UNIX"


def test_libpulse_has_a_cookie_where_the_sandbox_lets_it_make_one() -> None:
    unit = read(UNIT)["Service"]
    assert unit["Environment"] == f"PULSE_COOKIE=%t/{unit['RuntimeDirectory']}/cookie"


def test_what_else_the_unit_runs_is_outside_of_the_sandbox_which_forbids_to_signal() -> None:
    unit = read(UNIT)["Service"]
    assert unit["ExecReload"] == "+/bin/kill -HUP $MAINPID"
    assert unit["ExecStartPre"].startswith("+")


def test_the_unit_needs_no_sound_server() -> None:
    unit = read(UNIT)
    assert unit["Unit"]["After"].split() == ["dbus.socket", "pipewire-pulse.socket", "pipewire-pulse.service"]
    assert not {"Requires", "Requisite", "BindsTo", "PartOf", "Wants"} & set(unit["Unit"])
    assert unit["Install"]["WantedBy"] == "default.target"


def test_the_socket_unit_listens_where_the_service_would_and_as_it_would(tmp_path: Path) -> None:
    unit = read(SOCKET)["Socket"]
    folder = runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert unit["ListenStream"].replace("%t", str(tmp_path)) == str(folder / NAME)
    assert unit["FileDescriptorName"] == PASSED_NAME
    assert (unit["SocketMode"], unit["DirectoryMode"]) == ("0600", "0700")


@pytest.mark.parametrize("name", [UNIT.name, SOCKET.name])
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path, name: str) -> None:
    for unit in (UNIT, SOCKET):
        there = unit.read_text().replace(read(UNIT)["Service"]["ExecStart"], sys.executable)
        (tmp_path / unit.name).write_text(there)
    copy = tmp_path / name
    done = completed(
        *("systemd-analyze", "--user", "--man=no", "verify", copy),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
