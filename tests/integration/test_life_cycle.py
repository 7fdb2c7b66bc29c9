"""How the service starts, survives, reloads, hands over and ends, in any order and at any moment."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
from service import CTL, NAME, ROOT, CallError, Json, Service
from session import PATIENCE, Session, completed
from talk import Talk, place

import pwmixer_dbus
from pwmixer_dbus.outlets.stats import EVERY
from pwmixer_dbus.startup import bundle

PLAIN = (sys.executable, "-m", "pwmixer_dbus.start")
"""The service exactly as it runs on a desktop: without Python's development mode."""

STUBBORN = f"""
import asyncio
from dbus_fast.aio import MessageBus

async def main():
    bus = await MessageBus().connect()
    await bus.request_name({NAME!r})
    await bus.wait_for_disconnect()

asyncio.run(main())
"""
"""Owns the name, and does not let it be replaced."""

HANGING = """
import os, signal
from pwmixer_dbus import daemon
from pwmixer_dbus.outlets.bus.connection import BusConnection

request = BusConnection._request

async def request_in_vain(self, *words):
    os.kill(await self.process_behind("org.freedesktop.DBus"), signal.SIGSTOP)
    await request(self, *words)

BusConnection._request = request_in_vain
daemon.main()
"""
"""The service, on a bus that hangs from the moment in which it is asked for the name."""

OK, FAILED, USAGE, TAKEN = 0, 1, 2, 3
WATCHED = 3
"""Seconds for which an idle service is watched."""

TIME_IS_UP = re.compile(r"nanosleep\(|ETIMEDOUT|\(Timeout\)|epoll_wait\(\d+, \[\], \d+, [1-9]\d*\) += 0")
"""A system call that has waited for nothing but time."""


@pytest.fixture
def deaf_service(silent_session: Session) -> Iterator[Service]:
    """Start the service where there is nothing to connect to."""
    service = start_deaf(silent_session)
    try:
        yield service
    finally:
        service.stop()


# Starting


def test_it_owns_its_name_and_answers_before_there_is_a_sound_server(deaf_service: Service) -> None:
    assert deaf_service.get("Connected") is False
    assert deaf_service.get("Version") == pwmixer_dbus.__version__
    assert deaf_service.describe()["sinks"] == []
    assert deaf_service.managed_objects() == {}


def test_an_edit_right_after_the_first_look_at_the_configuration_is_in_force(silent_session: Session) -> None:
    silent_session.configure("[volume]\nmax = 0.5\n")
    hasty_editor = (
        "from pathlib import Path; from pwmixer_dbus import daemon; read = daemon.load\n"
        "def edited_after(path):\n"
        "    settings, daemon.load = read(path), read\n"
        f"    Path({str(silent_session.config)!r}).write_text('[volume]\\nmax = 0.7\\n')\n"
        "    return settings\n"
        "daemon.load = edited_after\n"
        "daemon.main()"
    )
    silent_session.spawn("edited", sys.executable, "-c", hasty_editor)
    service = Service(silent_session, name="edited")

    def is_in_force() -> bool:
        with contextlib.suppress(CallError):
            return bool(service.get("MaxVolume") == 0.7)
        return False

    silent_session.wait_for(is_in_force, "the edited configuration to be in force")


def test_it_starts_while_the_sound_server_starts(silent_session: Session) -> None:
    silent_session.spawn("pipewire", "pipewire")
    service = start_deaf(silent_session)
    silent_session.spawn("wireplumber", "wireplumber")
    silent_session.start_pulse()
    service.wait_connected()
    service.stop()


def test_what_was_there_before_it_is_known_at_once(session: Session) -> None:
    session.play("Radio")
    service = Service(session).start()
    assert sinks(service) == ["speakers", "headset"]
    assert service.stream_of("Radio")["device"] == "speakers"
    service.stop()


def test_it_starts_as_a_module_and_as_a_program(silent_session: Session) -> None:
    program = (str(Path(sys.executable).with_name("pwmixer-dbus")),)
    for command in (PLAIN, program):
        done = run(silent_session, "--version", command=command)
        assert (done.returncode, done.stdout) == (OK, f"pwmixer-dbus {pwmixer_dbus.__version__}\n")


def test_help_names_every_option_and_the_exit_statuses(silent_session: Session) -> None:
    done = run(silent_session, "--help")
    assert done.returncode == OK
    for option in (
        "--version",
        "--replace",
        "--config",
        "--pid-file",
        "--verbose",
        "--debug",
        "--dump-events",
    ):
        assert option in done.stdout
    assert "exit status" in done.stdout


def test_an_option_that_there_is_not_is_a_usage_error(silent_session: Session) -> None:
    done = run(silent_session, "--volume=11")
    assert done.returncode == USAGE
    assert "--volume=11" in done.stderr


# Without a sound server

VERBS = (
    ("SetVolume", "sink:speakers", "0.3", "{}"),
    ("AdjustVolume", "sink:speakers", "0.1", "{}"),
    ("SetMuted", "sink:speakers", "toggle", "{}"),
    ("SetDefault", "sink:headset"),
    ("Move", "app:radio", "headset", "{}"),
)


def test_without_a_sound_server_verbs_say_so_and_stale_objects_stay(service: Service) -> None:
    session = service.session
    session.play("Radio")
    service.wait_for_stream("Radio", device="speakers")
    before = service.describe()
    session.stop_sound()
    service.wait_connected(False)
    for verb in VERBS:
        assert error_of(service, *verb).startswith("org.pwmixer.Error.NotConnected: There is no sound server")
    after = service.describe()
    assert [after[kind] for kind in ("sinks", "sources", "streams")] == [
        before[kind] for kind in ("sinks", "sources", "streams")
    ], "stale, but visible"
    assert f"{ROOT}/sinks/speakers" in service.managed_objects()


def test_without_a_sound_server_writing_a_property_says_so(service: Service) -> None:
    service.session.stop_sound()
    service.wait_connected(False)
    for prop, signature, value in (("Volume", "d", 0.3), ("Muted", "b", True)):
        with pytest.raises(CallError, match="no sound server"):
            service.set(prop, signature, value, path=f"{ROOT}/sinks/speakers", interface="Node")


# Reconnecting


def crash(session: Session) -> None:
    session.stop_sound(kill=True)
    session.start_sound()


def restart(session: Session) -> None:
    session.restart_sound()


def restart_pulse(session: Session) -> None:
    session.stop_pulse()
    session.start_pulse()


@pytest.mark.parametrize("disturb", [crash, restart, restart_pulse])
def test_it_reconnects_five_times_in_a_row_and_loses_nothing(
    bare_session: Session, disturb: Callable[[Session], None]
) -> None:
    service = Service(bare_session).start()
    open_files = descriptors(service)
    for turn in range(5):
        disturb(bare_session)
        # A sink that the new server has, and the old one had not, tells the one from the other.
        new = f"sink-{turn}"
        bare_session.add_null_sink(new)
        bare_session.wait_for(partial(is_listed, service, new), f"{new} to be known")
        assert service.get("Connected") is True
    bare_session.wait_for(
        lambda: descriptors(service) <= open_files, f"no more descriptors than before: {open_files}"
    )
    said = re.findall(r"INFO (connected to PulseAudio|the sound server has gone)", service.log())
    assert said[:2] == ["connected to PulseAudio", "the sound server has gone"]
    assert said.count("connected to PulseAudio") > 5
    service.stop()


def test_where_there_is_no_memory_for_a_connection_it_waits_until_there_is_some(service: Service) -> None:
    """For each, libpulse wants 64 MiB at once."""
    service.session.play("Radio")
    service.wait_for_stream("Radio")
    pid, mib = service.process.pid, 2**20
    taken = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken + 16 * mib, before[1]))
    service.call("OpenMeter", "asa{sv}", 1, "app:radio", 0)
    service.session.stop_pulse()
    service.wait_connected(False)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken - 48 * mib, before[1]))
    service.session.start_pulse()
    service.session.wait_for(lambda: service.log().count("no memory is left") > 1, "it to try again")
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    service.wait_connected()


def test_a_stream_number_is_never_used_again_after_a_server_restart(service: Service) -> None:
    session = service.session
    used: list[int] = []
    for turn in range(3):
        name = f"Radio {turn}"
        session.play(name)
        used.append(service.wait_for_stream(name)["number"])
        session.play(f"{name} again")
        used.append(service.wait_for_stream(f"{name} again")["number"])
        session.restart_sound()
        session.wait_for(lambda: service.describe()["streams"] == [], "the old streams to go")
    assert used == sorted(set(used))


# Ending


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(session: Session, sign: signal.Signals) -> None:
    service = Service(session).start()
    service.process.send_signal(sign)
    assert service.process.wait(PATIENCE) == OK
    assert "the sound server has gone" not in service.log()
    service.stop()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_without_a_sound_server(deaf_service: Service, sign: signal.Signals) -> None:
    deaf_service.process.send_signal(sign)
    assert deaf_service.process.wait(PATIENCE) == OK


def test_it_ends_cleanly_with_calls_in_flight(service: Service) -> None:
    session = service.session
    calls = [
        session.spawn(f"call-{i}", *command_of("SetVolume", "sda{sv}", "@sink", f"0.{i + 10}", "0"))
        for i in range(30)
    ]
    session.wait_for(lambda: any(call.poll() is not None for call in calls), "the first answer")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE) == OK
    assert {call.wait(PATIENCE) for call in calls} <= {0, 1}
    # Each caller is told something at once: the volume, that it was too late, or that nobody is there.
    assert not [i for i in range(30) if "timed out" in session.log_tail(f"call-{i}")]


def test_it_can_be_ended_at_any_moment_of_its_start(silent_session: Session) -> None:
    for milliseconds in range(0, 300, 20):
        name = f"hasty-{milliseconds}"
        process = silent_session.spawn(name, *PLAIN)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        process.terminate()
        # Before it listens to signals, Python ends by the signal itself.
        assert process.wait(PATIENCE) in {OK, -signal.SIGTERM}
        assert "Traceback" not in silent_session.log_tail(name, 100)


# Reading the configuration again


def test_a_good_file_is_read_on_sighup_and_the_change_is_announced(deaf_service: Service) -> None:
    session = deaf_service.session
    session.spawn("monitor", "gdbus", "monitor", "--session", f"--dest={NAME}")
    session.wait_for_child("monitor", lambda: "is owned by" in session.log_tail("monitor"), "to listen")
    assert deaf_service.get("MaxVolume") == 1.0
    session.configure("[volume]\nmax = 0.8\n")
    deaf_service.process.send_signal(signal.SIGHUP)
    session.wait_for(lambda: deaf_service.get("MaxVolume") == 0.8, "the new limit")
    session.wait_for(lambda: "'MaxVolume': <0.8" in session.log_tail("monitor"), "the announcement")
    assert deaf_service.get("ConfigError") == ""


def test_a_new_limit_is_in_force_at_once(service: Service) -> None:
    service.session.configure("[volume]\nmax = 0.8\n")
    service.call("ReloadConfig")
    service.call("SetVolume", "sda{sv}", "@sink", 0.5, 0)  # a volume above the limit may stay where it is
    assert service.call("SetVolume", "sda{sv}", "@sink", 1.0, 0) == 0.8


def test_a_bad_file_is_told_with_its_line_and_the_last_good_settings_stay(silent_session: Session) -> None:
    silent_session.configure("[volume]\nmax = 0.8\n")
    service = start_deaf(silent_session)
    silent_session.configure("[volume]\n\nmax = 'loud'\n")
    service.process.send_signal(signal.SIGHUP)
    silent_session.wait_for(lambda: service.get("ConfigError") != "", "the problem to be told")
    problem = service.get("ConfigError")
    assert problem.startswith(f"{silent_session.config}:3: volume.max:")
    assert problem in service.log()
    assert error_of(service, "ReloadConfig") == f"org.pwmixer.Error.Config: {problem}"
    assert service.get("MaxVolume") == 0.8

    silent_session.configure("[volume]\nmax = 0.7\n")
    service.process.send_signal(signal.SIGHUP)
    silent_session.wait_for(lambda: service.get("ConfigError") == "", "the problem to go")
    assert service.get("MaxVolume") == 0.7

    silent_session.config.unlink()
    service.call("ReloadConfig")
    assert service.get("MaxVolume") == 1.0
    service.stop(errors=True)


def test_it_starts_with_a_bad_file_and_says_so(silent_session: Session) -> None:
    silent_session.configure("[volum]\n")
    service = start_deaf(silent_session)
    assert service.get("ConfigError").startswith(f"{silent_session.config}:1: volum:")
    assert f"ERROR {silent_session.config}:1: volum:" in service.log()
    service.stop(errors=True)


@pytest.mark.parametrize("wanted", [True, False])
def test_with_a_bad_file_at_the_start_nothing_is_saved_until_a_good_one_says_whether_to(
    silent_session: Session, wanted: bool
) -> None:
    silent_session.configure("[memory]\nenabled = false\n[volum]\n")
    state = silent_session.state
    state.parent.mkdir(parents=True)
    before = (
        '{"version": 1, "apps": {"name:radio": {"name": "Radio", "levels": {"playback": {"volume": 0.4}}}}}'
    )
    state.write_text(before)
    service = start_deaf(silent_session)
    assert [app["volume"] for app in service.describe()["apps"]] == [0.4]
    assert "may say that nothing is to be saved" in service.get("StateError")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    new = Service(silent_session, "--replace", name="new").start(connected=False)
    assert service.process.wait(PATIENCE) == OK
    assert "may say that nothing is to be saved" in new.get("StateError")
    assert [app["volume"] for app in new.describe()["apps"]] == [0.3]
    silent_session.configure(f"[memory]\nenabled = {str(wanted).lower()}\n")
    new.call("ReloadConfig")
    assert new.get("StateError") == ""
    new.stop(errors=True)
    assert ('"volume": 0.3' in state.read_text(), state.read_text() == before) == (wanted, not wanted)


def test_with_a_bad_file_at_the_start_that_says_nothing_of_memory_what_is_learned_is_saved(
    silent_session: Session,
) -> None:
    silent_session.configure("[volume]\nmax = fast\n")
    state = silent_session.state
    state.parent.mkdir(parents=True)
    state.write_text(
        '{"version": 1, "apps": {"name:radio": {"name": "Radio", "levels": {"playback": {"volume": 0.4}}}}}'
    )
    service = start_deaf(silent_session)
    assert service.get("StateError") == ""
    service.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    service.stop(errors=True)
    assert '"volume": 0.3' in state.read_text()


def test_with_a_bad_file_at_the_start_what_it_may_switch_off_is_off_until_it_is_mended(
    silent_session: Session,
) -> None:
    silent_session.configure("[socket]\nenabled = off\n")
    memory = silent_session.runtime / f"pwmixer-{os.getuid()}"
    service = start_deaf(silent_session)
    doubt = f"{silent_session.config}: until it is mended there is no socket: it may say so"
    assert service.get("ConfigError").splitlines()[1:] == [doubt]
    assert not place(silent_session).exists()
    assert memory.exists()
    new = Service(silent_session, "--replace", name="new").start(connected=False)
    assert service.process.wait(PATIENCE) == OK
    assert new.get("ConfigError").splitlines()[-1] == doubt
    assert not place(silent_session).exists()
    silent_session.configure("[shared_memory]\nenabled = false\n")
    new.call("ReloadConfig")
    assert new.get("ConfigError") == ""
    assert place(silent_session).exists()
    assert not memory.exists()
    new.stop(errors=True)


def test_another_file_can_be_named(silent_session: Session) -> None:
    config = silent_session.runtime / "other.toml"
    config.write_text("[volume]\nmax = 0.6\n")
    service = start_deaf(silent_session, f"--config={config}")
    assert service.get("MaxVolume") == 0.6
    service.stop()


# One instance, and handing over


def test_a_second_instance_names_the_first_and_leaves(deaf_service: Service) -> None:
    done = run(deaf_service.session)
    assert done.returncode == TAKEN
    assert f"as process {deaf_service.process.pid};" in done.stderr
    assert "--replace" in done.stderr
    assert deaf_service.is_owner()


def test_a_new_instance_takes_over(service: Service) -> None:
    new = Service(service.session, "--replace", name="new").start(connected=False)
    assert isinstance(new.managed_objects(), dict)
    new.wait_connected()
    assert sinks(new) == ["speakers", "headset"]
    assert service.process.wait(PATIENCE) == OK
    assert "taken over" in service.log()
    service.stop()
    new.stop()


def test_replacing_nobody_is_starting(silent_session: Session) -> None:
    start_deaf(silent_session, "--replace").stop()


def test_who_lets_nobody_take_over_is_named(silent_session: Session) -> None:
    stubborn = Service(silent_session)
    stubborn.process = silent_session.spawn("stubborn", sys.executable, "-c", STUBBORN)
    silent_session.wait_for_child("stubborn", stubborn.is_owner, "to own the name")
    done = run(silent_session, "--replace", command=PLAIN)
    assert done.returncode == TAKEN
    assert f"as process {stubborn.process.pid}; that one lets nobody take over" in done.stderr


# The bus


@pytest.mark.parametrize("options", [(), ("--replace",)])
def test_it_says_so_and_fails_when_the_bus_does_not_let_it_have_its_name(
    silent_session: Session, options: tuple[str, ...]
) -> None:
    config = silent_session.runtime / "bus.conf"
    policy = config.read_text()
    config.write_text(policy.replace("</policy>", f'<deny own="{NAME}"/></policy>'))
    Service(silent_session).call_daemon("ReloadConfig")
    done = run(silent_session, *options, command=PLAIN)
    assert done.returncode == FAILED
    assert f"the session bus does not give us the name {NAME}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_it_says_so_and_fails_when_the_bus_goes_away(bare_session: Session, sign: signal.Signals) -> None:
    service = Service(bare_session).start()
    os.kill(service.call_daemon("GetConnectionUnixProcessID", "s", "org.freedesktop.DBus"), sign)
    assert service.process.wait(PATIENCE) == FAILED
    assert "ERROR the session bus has gone" in service.log()
    assert "the sound server has gone" not in service.log()
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("options", [(), ("--replace",)])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_can_be_ended_while_the_bus_hangs_that_is_to_give_it_the_name(
    silent_session: Session, options: tuple[str, ...], sign: signal.Signals
) -> None:
    bus = Service(silent_session).call_daemon("GetConnectionUnixProcessID", "s", "org.freedesktop.DBus")
    service = Service(silent_session)
    service.process = silent_session.spawn(service.name, sys.executable, "-c", HANGING, *options)
    try:
        silent_session.wait_for_child(service.name, partial(is_stopped, bus), "the bus to hang")
        service.process.send_signal(sign)
        assert service.process.wait(PATIENCE) == OK
    finally:
        os.kill(bus, signal.SIGCONT)
    assert "Traceback" not in service.log()


@pytest.mark.parametrize(
    "address", ["", "unix:path={runtime}/nobody", "nonsense", "unix:path={runtime}/file"]
)
def test_without_a_bus_it_says_so_and_waits_for_nothing(silent_session: Session, address: str) -> None:
    runtime, calls = silent_session.runtime, silent_session.runtime / "calls"
    (runtime / "file").touch()
    env = {**silent_session.env, "DBUS_SESSION_BUS_ADDRESS": address.format(runtime=runtime)}
    if not address:
        del env["DBUS_SESSION_BUS_ADDRESS"]
        env["XDG_RUNTIME_DIR"] = env["HOME"]
    done = run(silent_session, env=env, command=("strace", "-f", "-o", str(calls), *PLAIN))
    assert done.returncode == FAILED
    assert "there is no session bus to serve on" in done.stderr
    assert "Traceback" not in done.stderr
    assert [call for call in calls.read_text().splitlines() if TIME_IS_UP.search(call)] == []


def test_without_its_address_the_bus_is_the_one_in_the_runtime_folder(silent_session: Session) -> None:
    env = {key: value for key, value in silent_session.env.items() if key != "DBUS_SESSION_BUS_ADDRESS"}
    service = Service(silent_session)
    service.process = silent_session.spawn(service.name, *PLAIN, env=env)
    silent_session.wait_for_child(service.name, service.is_owner, "to own its name")
    # Over the connection of dbus-fast, which some commands have.
    done = run(silent_session, "rules", "list", command=CTL, env=env)
    assert (done.returncode, done.stderr) == (OK, "")
    service.stop()


# The log


@pytest.mark.parametrize(("option", "priorities"), [("", "6"), ("--verbose", "6"), ("--debug", "67")])
def test_log_lines_carry_their_priority_on_the_way_to_the_journal(
    silent_session: Session, option: str, priorities: str
) -> None:
    log = silent_session.runtime / "service.log"
    log.touch()
    status = log.stat()
    env = {**silent_session.env, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    process = silent_session.spawn("service", *PLAIN, *([option] if option else []), env=env)
    # The first attempt to reach the sound server, which is told to whom debugs, comes after the name is owned.
    wanted = "no sound server" if "7" in priorities else "serves"
    silent_session.wait_for_child("service", lambda: wanted in log.read_text(), "to log")
    process.terminate()
    assert process.wait(PATIENCE) == OK
    lines = log.read_text().splitlines()
    assert not [line for line in lines if not re.match(r"<[0-7]>\S", line)]
    assert {line[1] for line in lines} == set(priorities)


def test_log_lines_are_for_people_anywhere_else(silent_session: Session) -> None:
    # The variable is inherited by every program of a desktop, also by one in a terminal.
    env = {**silent_session.env, "JOURNAL_STREAM": "8:12345"}
    process = silent_session.spawn("service", *PLAIN, "--verbose", env=env)
    log = silent_session.runtime / "service.log"
    silent_session.wait_for_child("service", lambda: "serves" in log.read_text(), "to log")
    process.terminate()
    assert process.wait(PATIENCE) == OK
    assert not [x for x in log.read_text().splitlines() if not re.match(r"\d\d:\d\d:\d\d INFO \S", x)]


# Events, for a bug report


def test_dump_events_prints_what_the_server_says_as_json_lines(session: Session) -> None:
    process = session.spawn("events", *PLAIN, "--dump-events")
    session.wait_for_child("events", lambda: events(session), "to print the snapshot")
    assert events(session)[0]["event"] == "Snapshot"
    assert {"speakers", "headset"} < {device["name"] for device in events(session)[0]["devices"]}
    player = session.play("Radio")
    seen: list[int] = []

    def is_seen() -> bool:
        records = [event["record"] for event in events(session) if event["event"] == "Seen"]
        seen[:] = [r["index"] for r in records if r.get("media_name") == "Radio"]
        return bool(seen)

    session.wait_for(is_seen, "the stream to be seen")
    player.kill()
    gone = {"event": "Gone", "kind": "playback", "index": seen[0]}
    session.wait_for(lambda: gone in events(session), "the stream to be gone")
    process.terminate()
    assert process.wait(PATIENCE) == OK


def test_dump_events_leaves_the_running_service_alone(service: Service) -> None:
    session = service.session
    process = session.spawn("events", *PLAIN, "--dump-events")
    session.wait_for_child("events", lambda: events(session), "to print the snapshot")
    assert service.is_owner()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == OK


# Doing nothing


EVERY_OUTLET = """\
[stats]
file = true
prometheus = true
[bar_signal]
enabled = true
[osd]
enabled = true
[socket]
enabled = true
[shared_memory]
enabled = true
"""


def test_nothing_runs_while_nothing_changes(session: Session) -> None:
    session.configure(EVERY_OUTLET)
    for name in ("Radio", "Film", "Game"):
        session.play(name)
    with Supervision(session) as supervision:
        service = start_plainly(session, supervision.variables)
        service.wait_connected()
        with Talk(place(session)) as silent, Talk(place(session)) as watcher:
            assert watcher.ask("WATCH") == "OK"
            assert silent.ask("GET_VOLUME app:radio") == "OK 1.0"
            service.call("SetVolume", "sda{sv}", "app:radio", 0.5, 0)
            service.wait_for_stream("Radio", volume=0.5)
            session.wait_for(lambda: has_written_its_code(service), "the byte code of the next start")
            session.wait_for(
                lambda: not system_calls(service, EVERY + 0.5), "peace after the last statistics"
            )
            assert list(place(session).parent.glob("stats*")), "an outlet is off"
            assert system_calls(service, 10.0) == []
            assert supervision.notes[-1] == "WATCHDOG_USEC=0"
            service.stop()


def test_whoever_started_it_is_told_how_it_is(session: Session) -> None:
    with Supervision(session) as supervision:
        service = start_plainly(session, supervision.variables)
        session.wait_for(lambda: "READY=1" in supervision.notes, "READY=1")
        session.wait_for(
            lambda: "STATUS=Connected to PulseAudio" in " ".join(supervision.notes), "the status"
        )
        service.stop()
        session.wait_for(lambda: "STOPPING=1\nSTATUS=Stopping." in supervision.notes, "STOPPING=1")


def test_without_a_sound_server_only_the_next_attempt_is_waited_for(silent_session: Session) -> None:
    service = start_plainly(silent_session)
    calls = system_calls(service, WATCHED)
    # After 0.1 s, and each time twice as long, give or take a fifth: in no three seconds are there more than seven.
    attempts = sum("connect(" in call and "pulse/native" in call for call in calls)
    wakeups = sum("epoll_wait(" in call for call in calls)
    assert 1 <= attempts <= 7
    assert wakeups <= 5 * attempts, "\n".join(calls)
    service.stop()


# What the tests above say in one word


def start_deaf(session: Session, *options: str) -> Service:
    """Start the service where there is no sound server; return when it has tried to reach one."""
    service = Service(session, *options).start(connected=False)
    session.wait_for(lambda: "no sound server" in service.log(), "the first attempt")
    return service


class Supervision:
    """Listens as systemd would to what the service tells it; `notes` are what it has said so far."""

    def __init__(self, session: Session) -> None:
        self.notes: list[str] = []
        address = str(session.runtime / "notify")
        self.variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"}
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(address)
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while note := self._ear.recv(4096):
            self.notes.append(note.decode())

    def __enter__(self) -> "Supervision":  # noqa: PYI034 - it is final
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ear.shutdown(socket.SHUT_RD)
        self._thread.join(PATIENCE)
        self._ear.close()


def start_plainly(session: Session, variables: Mapping[str, str] = MappingProxyType({})) -> Service:
    """Start the service with no option, and without Python's development mode."""
    service = Service(session)
    service.process = session.spawn(service.name, *PLAIN, env={**session.env, **variables})
    session.wait_for_child(service.name, service.is_owner, "to own its name")
    return service


def run(
    session: Session,
    *options: str,
    command: tuple[str, ...] = (sys.executable, "-X", "dev", "-m", "pwmixer_dbus.daemon"),
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the service to its end."""
    return completed(*command, *options, env=session.env if env is None else env)


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def is_listed(service: Service, sink: str) -> bool:
    return sink in sinks(service)


def sinks(service: Service) -> list[str]:
    return [sink["name"] for sink in service.describe()["sinks"]]


def command_of(member: str, *arguments: str) -> tuple[str, ...]:
    return ("busctl", "--user", "call", NAME, ROOT, NAME, member, *arguments)


def error_of(service: Service, member: str, *arguments: str) -> str:
    """Call a method that has to fail; return the error's name and message, the first of which busctl does not tell."""
    call = ("gdbus", "call", "--session", f"--dest={NAME}", f"--object-path={ROOT}")
    done = completed(*call, f"--method={NAME}.{member}", *arguments, env=service.session.env)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().partition("GDBus.Error:")[2]


def descriptors(service: Service) -> Counter[str]:
    """Count what the service has open, by kind, but for the byte code: that of any start may be written anew meanwhile."""
    counted: Counter[str] = Counter()
    for entry in Path("/proc", str(service.process.pid), "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            kind = re.sub(r"\d+", "", str(entry.readlink()))
            if f"/{bundle.NAME}" not in kind:
                counted[kind] += 1
    return counted


def events(session: Session) -> list[Json]:
    """Return what `--dump-events` has printed so far; the last line may be in the making."""
    text = (session.runtime / "events.log").read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def has_written_its_code(service: Service) -> bool:
    """Whether the process has done its work that a service starts for the next one's start, where there is any to do."""
    own = Path("/proc", str(service.process.pid))
    variables = dict(line.split("=", 1) for line in (own / "environ").read_text().split("\0") if line)
    file = Path(variables["XDG_CACHE_HOME"], "pwmixer", bundle.NAME)
    return file.exists() and not (own / "task" / own.name / "children").read_text()


def system_calls(service: Service, seconds: float) -> list[str]:
    """Return the system calls that the service makes within some seconds, but for the wait in which it is."""
    calls = service.session.runtime / "calls"
    done = completed(
        *("timeout", "--preserve-status", "--signal=INT", str(seconds)),
        *("strace", "-f", "-o", str(calls), "-p", str(service.process.pid)),
        timeout=seconds + 10,
    )
    assert "attached" in done.stderr, done.stderr
    return [call for call in calls.read_text().splitlines() if "<detached ...>" not in call]
