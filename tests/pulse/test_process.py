"""What /proc says of a process: a made-up tree for the cases, and one real child for the truth."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pwmixer_dbus.core.model import Process
from pwmixer_dbus.pulse.process import ENVIRON_LIMIT, parent_of, read_process, trusted_pid

OURS = "0123456789abcdef0123456789abcdef"
APP_SLICE = "0::/user.slice/user-1000.slice/user@1000.service/app.slice"


def make(
    proc: Path,
    *,
    pid: int = 42,
    comm: str = "mpv",
    cgroup: str = "0::/",
    environ: bytes = b"",
    command: tuple[str, ...] = ("mpv",),
    parent: int = 1,
) -> Path:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "comm").write_text(comm + "\n")
    (folder / "cgroup").write_text(cgroup + "\n")
    (folder / "environ").write_bytes(environ)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
    (folder / "stat").write_text(f"{pid} ({comm}) S {parent} {pid} 0 0 -1\n")
    return proc


def command_of(proc: Path, *command: str) -> tuple[str, ...]:
    process = read_process(42, make(proc, command=command))
    assert process
    return process.command


def test_a_process_is_read(tmp_path: Path) -> None:
    make(
        tmp_path,
        comm="hl2_linux",
        cgroup=f"1:name=systemd:/x.service\n{APP_SLICE}/app-steam-app220-42.scope",
        environ=b"HOME=/root\0SteamAppId=220\0SteamGameId=220\0",
        command=("/games/hl2_linux", "-steam", "/games/map.bsp"),
    )
    assert read_process(42, tmp_path) == Process(
        pid=42,
        comm="hl2_linux",
        unit="app-steam-app220-42.scope",
        steam_app="220",
        command=("hl2_linux", "map.bsp"),
    )


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/app-gnome-mpv-42.scope", "app-gnome-mpv-42.scope"),
        ("/app-gnome-mpv-42.scope/inner", "app-gnome-mpv-42.scope"),
        ("/app-org.gnome.Terminal.slice/vte-spawn-1.scope", "vte-spawn-1.scope"),
        ("/app-mpv@1.service", "app-mpv@1.service"),
        ("", "user@1000.service"),
    ],
)
def test_the_innermost_unit_counts(tmp_path: Path, path: str, unit: str) -> None:
    process = read_process(42, make(tmp_path, cgroup=APP_SLICE + path))
    assert process
    assert process.unit == unit


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        (("/steam/reaper", "SteamLaunch", "AppId=220", "--", "/games/hl2.sh"), "220"),
        (("/steam/reaper", "SteamLaunch", "AppId=0", "--", "AppId=220"), ""),
        (("/steam/reaper", "SteamLaunch", "AppId=nonsense"), ""),
        (("/usr/bin/bash", "AppId=220"), ""),
    ],
)
def test_where_the_environment_cannot_be_read_steams_own_process_tells_the_game(
    tmp_path: Path, launcher: tuple[str, ...], number: str
) -> None:
    make(tmp_path, pid=10, comm="reaper", command=launcher)
    make(tmp_path, pid=11, comm="hl2.sh", command=("/bin/sh", "/games/hl2.sh"), parent=10)
    make(tmp_path, comm="hl2_linux", parent=11)
    (tmp_path / "42" / "environ").unlink()
    process = read_process(42, tmp_path)
    assert process
    assert process.steam_app == number


def test_there_is_no_unit_without_systemd(tmp_path: Path) -> None:
    process = read_process(42, make(tmp_path, cgroup="3:cpu:/a.scope"))
    assert process
    assert process.unit == ""


@pytest.mark.parametrize(
    ("environ", "number"),
    [
        (b"SteamAppId=440\0", "440"),
        (b"SteamAppId=0\0SteamGameId=17530126467497754624\0", "17530126467497754624"),
        (b"SteamAppId=0\0", ""),
        (b"SteamAppId=drop table\0", ""),
        (b"XSteamAppId=440\0", ""),
        (b"SteamAppId=44", ""),  # cut in the middle
        (b"A=" + b"x" * ENVIRON_LIMIT + b"\0SteamAppId=440\0", ""),
    ],
)
def test_the_steam_game_is_read_from_the_environment(tmp_path: Path, environ: bytes, number: str) -> None:
    process = read_process(42, make(tmp_path, environ=environ))
    assert process
    assert process.steam_app == number


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (("/usr/bin/python3", "-m", "mygame"), ("python3", "mygame")),
        (("/usr/bin/python3", "-X", "dev", "/home/me/mygame.py", "secret"), ("python3", "mygame.py")),
        (("python3", "-c", "print('private')"), ("python3",)),
        (("java", "-Xmx2G", "-cp", "/a:/b", "-jar", "/opt/Minecraft.jar"), ("java", "Minecraft.jar")),
        (("/usr/lib/electron32/electron", "/usr/lib/obsidian/resources/app.asar"), ("electron", "obsidian")),
        (("C:\\Games\\Game.exe", "-dx11"), ("Game.exe",)),
        (("/opt/thing --flag --other",), ("thing",)),
        (("",), ()),
        ((), ()),
        (("/", "/"), ()),
    ],
)
def test_a_command_keeps_names_only(tmp_path: Path, command: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert command_of(tmp_path, *command) == kept


@pytest.mark.parametrize("joined", [True, False])
def test_a_browsers_child_has_its_browsers_command(tmp_path: Path, *, joined: bool) -> None:
    child = ("/usr/lib/electron/electron", "--type=utility", "--utility-sub-type=audio.mojom.AudioService")
    make(
        tmp_path, pid=10, comm="electron", command=("/usr/lib/electron/electron", "/usr/lib/signal/app.asar")
    )
    make(tmp_path, pid=11, comm="electron", command=("electron --type=zygote",), parent=10)
    make(tmp_path, comm="electron", command=(" ".join(child),) if joined else child, parent=11)
    process = read_process(42, tmp_path)
    assert process
    assert process.command == ("electron", "signal")


def test_processes_that_are_each_others_parent_end(tmp_path: Path) -> None:
    make(tmp_path, pid=10, command=("electron", "--type=zygote"), parent=42)
    make(tmp_path, command=("electron", "--type=zygote"), parent=10)
    process = read_process(42, tmp_path)
    assert process
    assert process.command == ("electron",)


def test_a_process_that_is_gone_is_none(tmp_path: Path) -> None:
    assert read_process(42, tmp_path) is None
    assert parent_of(42, tmp_path) is None
    assert read_process(42, tmp_path / "nowhere") is None


def test_what_cannot_be_read_is_empty(tmp_path: Path) -> None:
    make(tmp_path, environ=b"SteamAppId=440\0")
    for name in ("environ", "cgroup", "cmdline"):
        (tmp_path / "42" / name).unlink()
        (tmp_path / "42" / name).mkdir()  # a read fails, even for root
    assert read_process(42, tmp_path) == Process(pid=42, comm="mpv")


def test_text_is_cleaned_and_bounded(tmp_path: Path) -> None:
    (make(tmp_path, command=("\x1b[31m" + "x" * 9000,)) / "42" / "comm").write_bytes(b"a\xff\x1b\nb\n")
    process = read_process(42, tmp_path)
    assert process
    assert process.comm == "a\ufffdb"
    assert "\x1b" not in process.command[0]
    assert len(process.command[0]) <= 128


@pytest.mark.parametrize("comm", ["mpv", "a) S 7 (b", ") ) )", "a b"])
def test_a_parent_is_found_behind_any_name(tmp_path: Path, comm: str) -> None:
    assert parent_of(42, make(tmp_path, comm=comm, parent=1234)) == 1234


@pytest.mark.parametrize("stat", ["", "42 (x", "42 (x) S", "42 (x) S 0 1", "42 (x) S x 1"])
def test_a_parent_that_cannot_be_read_is_none(tmp_path: Path, stat: str) -> None:
    (make(tmp_path) / "42" / "stat").write_text(stat)
    assert parent_of(42, tmp_path) is None


def test_a_real_child_is_read() -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    environment = {**os.environ, "SteamAppId": "440"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout
        child.stdout.readline()
        process = read_process(child.pid)
        assert parent_of(child.pid) == os.getpid()
        child.communicate(b"")
    assert process
    assert (process.pid, process.steam_app) == (child.pid, "440")
    assert process.comm.startswith("python")
    assert process.command == (Path(sys.executable).name,)
    assert read_process(child.pid) is None


PULSE = {"client.api": "pipewire-pulse", "pipewire.sec.pid": "143", "application.process.id": "169"}


@pytest.mark.parametrize(
    ("properties", "pid"),
    [
        (PULSE, 169),
        (PULSE | {"application.process.machine_id": OURS}, 169),
        (PULSE | {"application.process.machine_id": "f" * 32}, None),
        (PULSE | {"pulse.server.type": "tcp"}, None),
        (PULSE | {"pipewire.access.portal.app_id": "com.spotify.Client"}, None),
        (PULSE | {"pipewire.snap.id": "spotify"}, None),
        (PULSE | {"application.process.id": "0"}, None),
        (PULSE | {"application.process.id": "-5"}, None),
        (PULSE | {"application.process.id": "٣"}, None),
        (PULSE | {"application.process.id": "9" * 5000}, None),
        ({"client.api": "pipewire-pulse", "pipewire.sec.pid": "143"}, None),
        ({"pipewire.sec.pid": "197", "application.process.id": "5"}, 197),
        ({"pipewire.sec.pid": "197", "pipewire.access": "flatpak"}, None),
        ({"application.process.id": "197"}, 197),
        ({}, None),
    ],
)
def test_a_pid_is_trusted_only_if_it_is_of_this_machine(properties: dict[str, str], pid: int | None) -> None:
    assert trusted_pid(properties, OURS) == pid
