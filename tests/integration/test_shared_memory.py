"""The state in shared memory, of the real service with real streams: as true as the bus, and there as long as the service."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defaults import set_default
from outlets import shm_dump
from service import Json, Service
from session import PATIENCE, Session

from pwmixer_dbus.outlets.shm.reader import Reader, Snapshot


def path_of(session: Session) -> Path:
    return session.runtime / f"pwmixer-{os.getuid()}"


def seen(reader: Reader) -> Snapshot:
    snapshot = reader.read()
    assert snapshot is not None
    return snapshot


def described(state: Json) -> Json:
    """Return of `Describe` what the shared memory has of it, in the form of the readers."""
    devices = [
        {
            "kind": device["kind"],
            "server_index": device["index"],
            **{key: device[key] for key in ("name", "description", "icon_name", "volume", "max_volume")},
            **{key: device[key] for key in ("muted", "monitor", "locked")},
            "running": device["state"] == "running",
            "default": device["default"],
        }
        for device in (*state["sinks"], *state["sources"])
    ]
    apps = [
        {
            **{key: app[key] for key in ("app_id", "name", "icon_name", "volume", "max_volume", "muted")},
            **{key: app[key] for key in ("active", "hidden", "locked", "streams")},
            "writable": app["volume_writable"],
            "device": next((s["device"] for s in state["streams"] if s["number"] in app["streams"]), None),
        }
        for app in state["apps"]
    ]
    return {
        "generation": state["generation"],
        "connected": state["connected"],
        "devices": sorted(devices, key=lambda device: (device["kind"], device["server_index"])),
        "apps": sorted(apps, key=lambda app: str(app["app_id"])),
    }


def shown(state: Mapping[str, Any]) -> Json:
    """Return what a reader has read in the same form; ids are replaced by what they name."""
    names = {device["id"]: device["name"] for device in state["devices"]}
    defaults = {state["default_sink"], state["default_source"]}
    devices = [
        {key: value for key, value in device.items() if key not in {"id", "peak"}}
        | {"default": device["id"] in defaults}
        for device in state["devices"]
    ]
    apps = [
        {key: value for key, value in app.items() if key not in {"id", "peak", "stream_count"}}
        | {"device": names.get(app["device"])}
        for app in state["apps"]
    ]
    return {
        "generation": state["generation"],
        "connected": state["connected"],
        "devices": sorted(devices, key=lambda device: (device["kind"], device["server_index"])),
        "apps": sorted(apps, key=lambda app: str(app["app_id"])),
    }


def test_every_reader_shows_what_the_bus_describes(service: Service, tmp_path: Path) -> None:
    session, path = service.session, path_of(service.session)
    session.play("Radio")
    session.play("Radio", sink="headset")
    session.play("Quiet", properties={"application.name": 'Ünïcode "🎧"'})
    session.record("Recorder")
    service.wait_for_stream("Recorder")
    service.call("SetVolume", "sda{sv}", "app:radio", 0.3, 0)
    service.call("SetMuted", "ssa{sv}", "sink:headset", "on", 0)
    service.call("SetLock", "sb", "app:recorder", "true")

    def is_the_same() -> bool:
        (state,) = shm_dump.by_python([path])
        return state is not None and shown(state) == described(service.describe())

    session.wait_for(is_the_same, "the shared memory to show what the bus describes")
    before = path.read_bytes()
    (python,), (gjs,), (c,) = (
        shm_dump.by_python([path]),
        shm_dump.by_gjs([path]),
        shm_dump.by_c([path], tmp_path),
    )
    assert python == gjs == c
    assert python is not None
    (radio,) = [app for app in python["apps"] if app["name"] == "Radio"]
    assert (radio["volume"], radio["active"], len(radio["streams"])) == (0.3, True, 2)
    assert path.read_bytes() == before, "nothing has changed, so nothing was written"


def test_it_follows_every_change_without_being_asked(service: Service) -> None:
    session = service.session
    player = session.play("Radio")
    reader = Reader(str(path_of(session)))
    stream = service.wait_for_stream("Radio")
    look = reader.follow(stream["app_id"])

    def level() -> float | None:
        found = look()
        return None if found is None else found[0]

    session.pactl("set-sink-input-volume", str(stream["index"]), "40%")
    session.wait_for(lambda: level() == 0.4, "a change by another program")
    set_default(session, sink="headset")

    def default() -> str:
        device = seen(reader).device(seen(reader).default_sink)
        return "" if device is None else device.name

    session.wait_for(lambda: default() == "headset", "the new default")
    session.add_null_sink("third", "Third")
    session.wait_for(lambda: "third" in {d.name for d in seen(reader).devices}, "the new sink")
    player.terminate()
    session.wait_for(lambda: not seen(reader).apps[0].streams, "the stream to go")
    assert not seen(reader).apps[0].active
    session.stop_sound()
    session.wait_for(lambda: not seen(reader).connected, "the loss of the sound server")
    assert {d.name for d in seen(reader).devices} >= {"speakers", "headset", "third"}, "stale, but visible"


def test_it_can_be_off_and_have_another_name(service: Service) -> None:
    session = service.session
    reader, other = Reader(str(path_of(session))), Reader(str(session.runtime / "mine"))
    assert reader.read() is not None
    session.configure("[shared_memory]\nenabled = false\n")
    session.wait_for(lambda: reader.read() is None, "it to be off")
    session.wait_for(
        lambda: not path_of(session).exists(), "its file to go, which comes after the readers are told"
    )
    session.configure('[shared_memory]\nname = "mine"\n')
    session.wait_for(lambda: other.read() is not None, "it to be on under another name")
    assert seen(other).connected
    assert reader.read() is None


def test_it_goes_with_the_service_and_comes_with_the_next_one(session: Session) -> None:
    reader = Reader(str(path_of(session)))
    service = Service(session).start()
    assert seen(reader).connected
    service.stop()
    assert reader.read() is None
    assert [entry.name for entry in session.runtime.glob("pwmixer-*")] == []

    service = Service(session).start()
    assert seen(reader).connected
    service.process.send_signal(signal.SIGKILL)
    service.process.wait(PATIENCE)
    assert not reader.is_alive()
    service = Service(session).start()
    session.wait_for(lambda: seen(reader).connected, "the next one's file")
    assert reader.is_alive(), "the file of the dead is not looked at any more"
    service.stop()
    assert reader.read() is None


def test_readers_are_handed_over(service: Service) -> None:
    session = service.session
    reader = Reader(str(path_of(session)))
    old = service.process.pid
    assert seen(reader).connected
    new = Service(session, "--replace", name="new").start()
    assert service.process.wait(PATIENCE) == 0
    service.stop()
    header = path_of(session).read_bytes()[:20]
    assert header[16:20] == new.process.pid.to_bytes(4, sys.byteorder) != old.to_bytes(4, sys.byteorder)
    session.wait_for(lambda: seen(reader).connected, "the file of the new one")
    assert reader.is_alive()
    new.stop()
    assert reader.read() is None


def test_what_stands_in_its_way_is_told_and_left_alone(session: Session) -> None:
    path_of(session).write_text("samples of another program")
    service = Service(session).start()
    assert "ERROR shared memory is off" in service.log()
    assert "is not ours; remove it, or choose another name" in service.log()
    assert path_of(session).read_text() == "samples of another program"
    service.stop(errors=True)
    assert "Traceback" not in service.log()
