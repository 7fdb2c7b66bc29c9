"""What `doctor` makes of what it finds: nothing where all is well, and one sentence for each thing that is wrong."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from cli_rig import Ctl

from pwmixer_dbus import __version__
from pwmixer_dbus.cli.doctor import Facts, diagnose, lines, remark

SOCKET = "/run/user/1000/pwmixer/socket"
UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "MainPID": "77"}
WELL = Facts(
    unit=UNIT,
    program="/usr/bin/pwmixer-dbus",
    owner=77,
    version=__version__,
    connected=True,
    server="PulseAudio (on PipeWire 1.4.2)",
    outputs=2,
    cards=1,
    sockets={SOCKET: True, "pipewire-0": True, "pulse/native": True},
    wanted_socket=SOCKET,
)


def test_where_all_is_well_it_says_nothing() -> None:
    assert list(diagnose(WELL)) == []


def test_without_systemd_all_can_be_well_too() -> None:
    assert list(diagnose(replace(WELL, unit={}, program=""))) == []


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"version": "0.0.1"}, "'pwmixer-dbus --replace' starts the one that is installed."),
        ({"connected": False, "sockets": {SOCKET: True}}, "start 'pipewire' and 'pipewire-pulse'."),
        ({"connected": False, "sockets": {SOCKET: True, "pipewire-0": True}}, "start 'pipewire-pulse'."),
        ({"connected": False}, "end 'pipewire-pulse' and start it again, and see"),
        ({"sockets": {}}, "what the service has printed says why"),
    ],
)
def test_without_systemd_no_advice_is_about_it(wrong: dict[str, object], advice: str) -> None:
    (sentence,) = diagnose(replace(WELL, unit={}, program="", **wrong))  # type: ignore[arg-type]
    assert advice in sentence
    assert "ctl" not in sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"bus_problem": "There is no session bus; log in."}, "There is no session bus; log in."),
        (
            {"unit": {**UNIT, "LoadState": "masked"}, "version": "", "refusal": "It is not there."},
            "The unit is masked",
        ),
        ({"unit": {**UNIT, "UnitFileState": "masked"}}, "systemctl --user unmask pwmixer-dbus.service"),
        ({"unit": {"LoadState": "not-found"}}, "'pwmixerctl install'"),
        ({"program_is_there": False}, "/usr/bin/pwmixer-dbus, which is not there"),
        ({"unit": {**UNIT, "ActiveState": "failed", "Result": "exit-code"}}, "failed (exit-code)"),
        (
            {"unit": {**UNIT, "ActiveState": "failed"}, "program": "/tmp/x/pwmixer-dbus"},  # noqa: S108
            "The unit cannot see /tmp/x/pwmixer-dbus",
        ),
        ({"unit": {**UNIT, "NeedDaemonReload": "yes"}}, "daemon-reload"),
        (
            {"version": "", "refusal": "The pwmixer service is not there."},
            "The pwmixer service is not there.",
        ),
        ({"owner": 99}, "process 99 runs beside process 77 of the unit"),
        ({"unit": {**UNIT, "ActiveState": "inactive", "MainPID": "0"}}, "outside of its unit"),
        ({"version": "0.0.1"}, "is version 0.0.1"),
        ({"server": "pulseaudio"}, "The sound server is pulseaudio, not PipeWire"),
        ({"server": "PulseAudio (on PipeWire 0.3.48)"}, "PipeWire 0.3.48 is older than 0.3.65"),
        ({"connected": False, "sockets": {SOCKET: True}}, "PipeWire does not run"),
        ({"connected": False, "sockets": {SOCKET: True, "pipewire-0": True}}, "pipewire-pulse does not"),
        ({"connected": False}, "A sound server answers, but not to the service"),
        ({"connected": False, "pulse_server": "tcp:nas"}, "PULSE_SERVER is tcp:nas"),
        ({"connected": False, "outputs": 0, "sockets": {SOCKET: True}}, "PipeWire does not run"),
        ({"config_error": "/x/config.toml:3: volume.max: too large"}, "/x/config.toml:3: volume.max"),
        ({"state_error": "/x/state.json cannot be written"}, "/x/state.json cannot be written"),
        (
            {"twice": (Path("/usr/local/a"), Path("/usr/share/b"))},
            "installed twice: /usr/local/a goes before /usr/share/b of a package; 'pwmixerctl uninstall --system'",
        ),
        ({"sockets": {}}, f"Nobody answers at the socket {SOCKET}"),
    ],
)
def test_one_thing_is_told_in_one_sentence(wrong: dict[str, object], sentence: str) -> None:
    (problem,) = diagnose(replace(WELL, **wrong))  # type: ignore[arg-type]
    assert sentence in problem


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, ""),
        ({"outputs": 0}, "There is no output device: 'pwmixerctl list cards' shows whether"),
        ({"outputs": 0, "cards": 0}, "and no card: 'systemctl --user restart wireplumber'"),
        (
            {"outputs": 0, "cards": 0, "unit": {}, "program": ""},
            "and no card: see whether 'wireplumber' runs",
        ),
        ({"outputs": 0, "connected": False}, ""),
    ],
)
def test_a_machine_without_an_output_is_nothing_wrong_but_told(
    facts: dict[str, object], sentence: str
) -> None:
    found = replace(WELL, **facts)  # type: ignore[arg-type]
    assert remark(found).startswith("There is" if sentence else "")
    assert sentence in remark(found)
    assert not [problem for problem in diagnose(found) if "output" in problem]


def test_how_it_is_takes_a_few_lines() -> None:
    told = dict(lines(replace(WELL, unit={**UNIT, "StatusText": "Connected."})))
    assert told == {
        "Service": f"pwmixer {__version__}, process 77",
        "Unit": "active, enabled; Connected.",
        "Sound server": "PulseAudio (on PipeWire 1.4.2)",
        "Socket": SOCKET,
    }


def test_without_a_bus_it_says_so(ctl: Ctl, tmp_path: Path) -> None:
    done = ctl("doctor", DBUS_SESSION_BUS_ADDRESS=f"unix:path={tmp_path}/none", XDG_RUNTIME_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("! There is no session bus")
    assert len(done.stdout.splitlines()) == 1


def test_without_a_service_it_says_how_to_get_one(ctl: Ctl, tmp_path: Path) -> None:
    done = ctl("status", "--service", XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "Service:       does not run\n" in done.stdout
    assert "The pwmixer service is not there" in done.stdout


def test_a_service_that_does_not_listen_is_told_from_one_that_does(tmp_path: Path) -> None:
    from pwmixer_dbus.cli.doctor import _answers  # noqa: PLC0415 - private, and for this test alone

    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert not _answers(path)
        listening.listen()
        assert _answers(path)
    assert not _answers(path)
