"""The socket of the real service: asked by socat and nc as key bindings do, and by a bar that stays."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from compare import wait_until_equal
from defaults import set_default
from recorder import Recorder
from service import ROOT, Json, Service
from session import PATIENCE, Session
from talk import Talk, place

PLAIN = (sys.executable, "-m", "pwmixer_dbus.daemon")


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    """Start a session and the service in it for the tests that do not end it; every sink plays."""
    with Session() as session:
        for name in ("speakers", "headset"):
            session.add_null_sink(name, name.title())
            session.play("Silence", tone=0, sink=name)
        set_default(session, sink="speakers")
        service = Service(session).start()
        yield service
        service.stop()


@pytest.fixture
def talk(shared: Service) -> Iterator[Talk]:
    """Connect to the service, with the sinks as they were."""
    with Talk(place(shared.session)) as talk:
        shared.call("SetDefault", "s", "sink:speakers")
        for sink in ("speakers", "headset"):
            shared.call("SetVolume", "sda{sv}", f"sink:{sink}", 1.0, 0)
            shared.call("SetMuted", "ssa{sv}", f"sink:{sink}", "off", 0)
        yield talk


def test_text_sets_steps_mutes_moves_and_tells(shared: Service, talk: Talk) -> None:
    shared.session.play("Radio One", sink="speakers")
    selector = shared.wait_for_stream("Radio One", device="speakers")["selector"]
    for line, answer in (
        ("SET_VOLUME speakers 0.4", "OK 0.4"),
        ("SET_VOLUME @sink 50%", "OK 0.5"),
        ("VOLUME_UP speakers", "OK 0.55"),
        ("VOLUME_DOWN Speakers 0.15", "OK 0.4"),
        ("GET_VOLUME sink:speakers", "OK 0.4"),
        ("MUTE speakers true", "OK true"),
        ("MUTE speakers toggle", "OK false"),
        ("GET_MUTE speakers", "OK false"),
        ('SET_VOLUME "Radio One" 0.3', "OK 0.3"),
        ('GET_VOLUME "app:radio one"', "OK 0.3"),
        ('ROUTE "Radio One" Headset', f"OK {selector}"),
    ):
        assert talk.ask(line) == answer, line

    def listed() -> list[str]:
        assert talk.ask("LIST streams") == "OK 3"
        return [talk.line() for _ in range(3)]

    # The server has said that it has moved it, and links it a moment later; in between it is on no device.
    moved = f'{selector} 0.3 false "Radio One" "Radio One" headset'
    shared.session.wait_for(lambda: moved in listed(), "the stream to be listed where it has been moved")
    assert talk.ask('ROUTE "Radio One" Nowhere').startswith(
        "ERROR No sink and no source is called “Nowhere” now. There is sink:speakers, sink:headset"
    )
    assert talk.ask("LIST sinks") == "OK 2"
    assert talk.line() == "sink:speakers 0.4 false Speakers true"
    assert talk.line() == "sink:headset 1.0 false Headset false"
    assert talk.ask("LIST groups") == "OK 0"
    apps = int(talk.ask("LIST").removeprefix("OK "))
    assert 'app:name:radio-one 0.3 false "Radio One"' in [talk.line() for _ in range(apps)]
    wait_until_equal(shared)


def test_a_name_with_a_colon_is_no_selector(shared: Service, talk: Talk) -> None:
    player = shared.session.play("Chess: The Game")
    selector = shared.wait_for_stream("Chess: The Game")["selector"]
    assert talk.ask('SET_VOLUME "Chess: The Game" 0.3') == "OK 0.3"
    assert talk.json(app="chess: the game", action="get")["volume"] == 0.3
    assert talk.ask("GET_VOLUME sink:nowhere").startswith("ERROR Nothing is called “sink:nowhere” now")
    player.kill()
    shared.session.wait_for(
        lambda: selector not in {s["selector"] for s in shared.describe()["streams"]}, "it to end"
    )


def test_json_does_the_same_and_gives_ids_back(shared: Service, talk: Talk) -> None:
    shared.session.play("Radio", sink="speakers")
    selector = shared.wait_for_stream("Radio", device="speakers")["selector"]
    assert talk.json(app="radio", action="set", volume=0.3) == {"ok": True, "volume": 0.3}
    assert talk.json(app="radio", action="up", amount=0.05) == {"ok": True, "volume": 0.35}
    assert talk.json(app="radio", action="down") == {"ok": True, "volume": 0.3}
    assert talk.json(app="radio", action="toggle") == {"ok": True, "muted": True}
    assert talk.json(app="radio", action="get") == {"ok": True, "volume": 0.3, "muted": True}
    assert talk.json(app="radio", action="unmute") == {"ok": True, "muted": False}
    assert talk.json(id=7, command={"app": "radio", "action": "mute"}) == {"id": 7, "ok": True, "muted": True}
    assert talk.json(app="radio", action="route", device="headset") == {"ok": True, "streams": [selector]}
    limited = talk.json(target="@sink", action="set", volume=1.5)
    assert limited == {"ok": True, "volume": 1.0, "limited": "above the limit of 100%"}
    listed = talk.json(id="a", command="LIST sinks")
    assert [s["name"] for s in listed["sinks"]] == ["speakers", "headset"]
    refused = talk.json(id=8, app="nobody", action="up")
    assert refused.pop("error").startswith("Nothing is called “app:nobody” now. There is app:")
    assert refused == {"id": 8, "ok": False, "name": "org.pwmixer.Error.NotFound"}
    wait_until_equal(shared)


def test_ten_steps_that_come_at_once_are_ten_steps_and_are_answered_in_turn(talk: Talk) -> None:
    talk.ask("SET_VOLUME @sink 0.2")
    talk.say(*("VOLUME_UP @sink",) * 10, "GET_VOLUME @sink")
    assert [talk.line() for _ in range(11)] == [f"OK {0.25 + 0.05 * n:.4g}" for n in range(10)] + ["OK 0.7"]


def test_who_subscribes_can_keep_a_copy_of_the_state(shared: Service, talk: Talk) -> None:
    session = shared.session
    answer = talk.json(id=1, action="subscribe")
    assert (answer["id"], answer["ok"]) == (1, True)
    copy = objects(answer["state"])
    session.pactl("set-sink-volume", "speakers", "42%")
    shared.call("SetDefault", "s", "sink:headset")
    playing = session.play("Music")
    shared.wait_for_stream("Music")
    shared.call("SetMuted", "ssa{sv}", "app:music", "on", 0)
    playing.terminate()
    session.wait_for(lambda: not shared.describe()["apps"][-1]["streams"], "the stream to go")
    while copy != objects(shared.describe()):
        event = json.loads(talk.line())
        match event["event"]:
            case "changed":
                copy[event["selector"]] |= event["changes"]
            case "added":
                copy[event["selector"]] = event["object"]
            case "removed":
                del copy[event["selector"]]
    assert copy["sink:speakers"]["volume"] == 0.42
    assert copy["app:name:music"]["muted"] is True


def test_who_watches_hears_of_what_it_and_others_do(shared: Service, talk: Talk) -> None:
    session = shared.session
    assert talk.ask("WATCH") == "OK"
    assert talk.ask("SET_VOLUME @sink 0.4") == "CHANGED sink:speakers volume 0.4"
    assert talk.line() == "OK 0.4", "what a command changes is told before its answer"
    session.pactl("set-sink-mute", "speakers", "1")
    talk.until("CHANGED sink:speakers muted true")
    shared.call("SetDefault", "s", "sink:headset")
    assert "DEFAULT sink sink:headset" in talk.until("CHANGED sink:headset default true")
    playing = session.play("Radio Two", sink="headset")
    selector = shared.wait_for_stream("Radio Two")["selector"]
    lines = talk.until(f'ADDED {selector} "Radio Two"')
    assert 'ADDED app:name:radio-two "Radio Two"' in lines
    playing.terminate()
    talk.until(f"REMOVED {selector}")


def test_on_the_bus_it_is_told_who_asked_and_why(shared: Service, talk: Talk) -> None:
    shared.session.play("Told", sink="speakers")
    shared.wait_for_stream("Told", device="speakers")
    recorder = Recorder(shared)
    assert talk.json(app="told", action="up", amount=0.5, context="a key", quiet=True)["volume"] == 1.0
    assert talk.ask("MUTE speakers true") == "OK true"
    signals = [
        m["payload"]["data"]
        for m in recorder.messages()
        if m.get("member") in {"ClientChange", "VolumeClamped"}
    ]
    app = f"{ROOT}/apps/name_3atold"
    client = f"socket:{os.getpid()}"
    assert signals == [
        [app, 1.5, 1.0, "above the limit of 100%"],
        [app, "Volume", {"type": "d", "data": 1.0}, client, "a key", True],
        [f"{ROOT}/sinks/speakers", "Muted", {"type": "b", "data": True}, client, "", False],
    ]


def test_it_says_so_where_there_is_no_sound_server(shared: Service, talk: Talk) -> None:
    talk.say("WATCH")
    shared.session.stop_sound()
    talk.until("SERVER disconnected")
    assert talk.ask("SET_VOLUME speakers 0.5").startswith("ERROR There is no sound server at the moment")
    assert talk.json(app="nobody", action="up")["name"] == "org.pwmixer.Error.NotConnected"
    assert talk.json(target="@sink", action="get") == {
        "ok": True,
        "volume": 1.0,
        "muted": False,
        "connected": False,
    }
    talk.say("GET_VOLUME @sink", "WATCH")
    assert [talk.line() for _ in range(3)] == ["OK 1.0", "OK", "SERVER disconnected"]


def test_the_socket_is_the_owners_alone_and_goes_with_the_service(session: Session) -> None:
    path = place(session)
    service = Service(session).start()
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    service.stop()
    assert list(path.parent.iterdir()) == []


def test_a_new_instance_takes_the_socket_over_and_what_a_dead_one_left_too(service: Service) -> None:
    session = service.session
    path = place(session)
    with Talk(path) as old:
        new = Service(session, "--replace", name="new").start()
        assert service.process.wait(PATIENCE) == 0
        with pytest.raises(EOFError):
            old.line()
    with Talk(path) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"
    new.process.kill()
    new.process.wait(PATIENCE)
    assert path.is_socket()
    third = Service(session, name="third").start()
    with Talk(path) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"
    third.stop()


def test_an_instance_on_another_bus_leaves_the_socket_to_the_first(service: Service) -> None:
    session = service.session
    with Session(sound=False) as other:
        environment = session.env | {"DBUS_SESSION_BUS_ADDRESS": other.env["DBUS_SESSION_BUS_ADDRESS"]}
        second = other.spawn("second", *PLAIN, "--replace", env=environment)
        told = f"process {service.process.pid} listens at {place(session)} already"
        other.wait_for(lambda: told in other.log_tail("second"), "the second to find it taken")
        second.terminate()
        assert second.wait(PATIENCE) == 0
    with Talk(place(session)) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"


def test_it_can_be_switched_off_and_put_elsewhere(service: Service) -> None:
    session = service.session
    elsewhere = session.runtime / "pipewire-volume-mixer.sock"
    with Talk(place(session)) as talk:
        session.configure(f'[socket]\npath = "{elsewhere}"\n')
        talk.say("RELOAD_CONFIG", "GET_VOLUME @sink")
        assert [talk.line(), talk.line()] == ["OK", "OK 1.0"], "what was asked already is answered"
        with pytest.raises(EOFError):
            talk.line()
    assert not place(session).exists()
    with Talk(elsewhere) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"
    session.configure("[socket]\nenabled = false\n")
    session.wait_for(lambda: not elsewhere.exists(), "the socket to go")


def test_where_it_cannot_be_opened_everything_else_runs(session: Session) -> None:
    path = place(session)
    path.parent.mkdir()
    path.write_text("notes")
    service = Service(session).start()
    assert service.get("Connected") is True
    service.stop(errors=True)
    assert "the socket is off, since it could not be opened" in service.log()
    assert "is there already, and is no socket" in service.log()


def activate(session: Session) -> Path:
    """Listen in place of a service that is to be started by the first who comes, as systemd does; return where."""
    path = session.runtime / "listening"
    command = (
        "systemd-socket-activate",
        f"--listen={path}",
        "--fdname=pwmixer",
        "-E",
        "XDG_RUNTIME_DIR",
        *PLAIN,
    )
    passed = [f"-E{name}" for name in session.env if name != "XDG_RUNTIME_DIR"]
    session.spawn("activator", command[0], *passed, *command[1:])
    session.wait_for(lambda: "Listening on" in session.log_tail("activator"), "somebody to listen")
    return path


def test_systemd_may_listen_for_it_and_whoever_comes_first_is_answered(session: Session) -> None:
    with Talk(activate(session)) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"
    assert not place(session).exists()
    Service(session, name="activator").wait_connected()


def test_where_systemd_listens_and_it_is_switched_off_whoever_comes_is_told_so(session: Session) -> None:
    session.configure("[socket]\nenabled = false\n")
    path = activate(session)
    refusal = (
        "The socket is switched off: config.toml says so, or has an error, "
        "which 'pwmixerctl config check' names."
    )
    with Talk(path) as talk:
        assert talk.ask("GET_VOLUME @sink") == f"ERROR {refusal}"
        assert talk.ask("VOLUME_DOWN @sink") == f"ERROR {refusal}"
        assert talk.json(id=1, action="subscribe") == {
            "id": 1,
            "ok": False,
            "error": refusal,
            "name": "org.freedesktop.DBus.Error.NotSupported",
        }
        session.configure("")
        with pytest.raises(EOFError):
            talk.line()
    with Talk(path) as talk:
        assert talk.ask("GET_VOLUME @sink") == "OK 1.0"
        session.configure("[socket]\nenabled = false\n")
        with pytest.raises(EOFError):
            talk.line()
    with Talk(path) as talk:
        assert talk.ask("GET_VOLUME @sink") == f"ERROR {refusal}"


def test_the_running_service_has_not_imported_pydantic(session: Session) -> None:
    service = Service(session).start()
    with Talk(place(session)) as talk:
        assert talk.json(target="@sink", action="set", volume=0.5)["ok"]
    maps = Path("/proc", str(service.process.pid), "maps").read_text()
    assert "pydantic" not in maps
    service.stop()


def objects(state: Json) -> dict[str, Json]:
    """Return all objects of a state by their selectors."""
    return {o["selector"]: o for kind in ("sinks", "sources", "streams", "apps") for o in state[kind]}
