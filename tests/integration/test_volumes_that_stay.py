"""What people complain of in other mixers, played out on a real server: volumes that are lost, reset, or not held."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from service import ROOT, CallError, Json, Service
from session import PATIENCE, Session

from pwmixer_dbus.core.memory import GRACE, SETTLING

QUIET = GRACE + SETTLING + 0.2
"""Seconds after which what another program does counts as a person's doing."""

HEADSTRONG = """
import sys, time, pulsectl
from pulsectl import PulseLoopStop
pulse = pulsectl.Pulse("headstrong")
def heard(event):
    raise PulseLoopStop
pulse.event_mask_set("sink_input")
pulse.event_callback_set(heard)
print("ready", flush=True)
found = []
while not found:
    pulse.event_listen(timeout=0.01)
    found = [s for s in pulse.sink_input_list() if s.proplist.get("application.name") == "Game"]
born = time.monotonic()
for delay in map(float, sys.argv[1:]):
    while (left := born + delay - time.monotonic()) > 0:
        pulse.event_listen(timeout=left)
    while pulse.sink_input_info(found[0].index).volume.value_flat > 0.99:
        pulse.event_listen(timeout=0.01)
    pulse.volume_set_all_chans(found[0], 1.0)
    print("set", time.monotonic() - born, flush=True)
"""
"""A program that turns the Game up to 100 % again and again, as the Game itself would: each time as soon as so many seconds have
gone by since it was born, and it is not that loud."""


def set_by_hand(service: Service, volume: str) -> None:
    """Set the volume of the Game with another mixer."""
    index = service.stream_of("Game")["index"]
    service.session.pactl("set-sink-input-volume", str(index), volume)


def after(session: Session, since: float, seconds: float) -> None:
    """Wait until some seconds have gone by since then: what is waited for is the clock itself."""
    session.wait_for(lambda: time.monotonic() - since >= seconds, f"{seconds} s to pass")


def known(service: Service) -> Json:
    """Return what is listed of the Game."""
    return next((app for app in service.describe()["apps"] if app["app_id"] == "name:game"), None)


def saved(session: Session) -> Json:
    """Return what the state file says of the Game."""
    if not session.state.exists():
        return {}
    return json.loads(session.state.read_text())["apps"].get("name:game", {})


@pytest.fixture
def again(session: Session) -> Iterator[Callable[[], Service]]:
    """Start the service, again each time: the one before is ended first."""
    services: list[Service] = []

    def start() -> Service:
        if services:
            services[-1].stop()
        services.append(Service(session, name=f"pwmixer-{len(services)}").start())
        return services[-1]

    yield start
    if services:
        services[-1].stop()


def once_set(service: Service, volume: float) -> None:
    """Let the Game play, be set as a person does, and end."""
    player = service.session.play("Game")
    service.wait_for_stream("Game")
    assert service.call("SetVolume", "sda{sv}", "app:game", volume, 0) == volume
    player.kill()
    service.session.wait_for(lambda: not service.describe()["streams"], "the stream to go")


def test_the_game_sets_itself_to_full_volume_three_times_after_each_start(service: Service) -> None:
    session = service.session
    # With that of two seconds, a busy machine may be too late with what is set after two.
    with_config(service, "[memory]\ngrace = 10.0\n")
    once_set(service, 0.3)
    program = session.spawn("headstrong", sys.executable, "-c", HEADSTRONG, "0.005", "0.3", "2.0")
    session.wait_for(lambda: session.log_tail("headstrong") == "ready", "it to listen")
    # Not WirePlumber's doing: it would bring the volume back, too, once, at a time of its own.
    session.play("Game", properties={"state.restore-props": "false"})
    assert program.wait(PATIENCE) == 0
    service.wait_for_stream("Game", volume=0.3)
    session.wait_for(lambda: "30%" in session.pactl("list", "sink-inputs"), "the server to show it")
    assert service.log().count("was set to 30%") >= 3
    assert known(service)["volume"] == 0.3
    assert saved(session)["levels"]["playback"] == {"volume": 0.3}


def test_what_is_set_later_with_another_mixer_stays_and_is_remembered(service: Service) -> None:
    session = service.session
    once_set(service, 0.3)
    session.play("Game")
    service.wait_for_stream("Game", volume=0.3)
    born = time.monotonic()
    after(session, born, QUIET)
    set_by_hand(service, "80%")
    service.wait_for_stream("Game", volume=0.8)
    session.wait_for(
        lambda: saved(session).get("levels", {}).get("playback") == {"volume": 0.8}, "it to be learned"
    )


def test_what_is_set_within_the_first_seconds_is_not_learned(service: Service) -> None:
    session = service.session
    session.play("Game")
    service.wait_for_stream("Game")
    set_by_hand(service, "80%")
    service.wait_for_stream("Game", volume=0.8)
    session.wait_for(lambda: saved(session), "the game to be saved")
    assert "levels" not in saved(session)


def test_my_volumes_are_gone_after_a_restart_of_the_mixer(again: Callable[[], Service]) -> None:
    once_set(again(), 0.3)
    service = again()
    assert known(service)["volume"] == 0.3
    service.session.play("Game")
    service.wait_for_stream("Game")
    set_by_hand(service, "100%")
    service.wait_for_stream("Game", volume=0.3)


def test_what_plays_on_over_a_restart_of_the_mixer_may_be_set_otherwise_at_once(
    again: Callable[[], Service], session: Session
) -> None:
    session.configure("[memory]\ngrace = 10.0\n")
    service = again()
    once_set(service, 0.3)
    session.play("Game")
    game = service.wait_for_stream("Game", volume=0.3)
    service.stop()
    session.pactl("set-sink-input-volume", str(game["index"]), "50%")
    service = again()
    service.wait_for_stream("Game", volume=0.3)
    after(session, time.monotonic(), SETTLING + 0.2)
    set_by_hand(service, "80%")
    service.wait_for_stream("Game", volume=0.8)
    session.wait_for(
        lambda: saved(session).get("levels", {}).get("playback") == {"volume": 0.8}, "it to be learned"
    )


def test_without_memory_nothing_is_read_or_written_and_all_is_known_until_the_end(
    again: Callable[[], Service], session: Session
) -> None:
    service = again()
    once_set(service, 0.3)
    service.stop()
    before = session.state.read_bytes()
    session.configure("[memory]\nenabled = false\n")
    service = again()
    assert known(service) is None
    once_set(service, 0.6)
    session.play("Game")
    service.wait_for_stream("Game", volume=0.6)
    service.stop()
    assert session.state.read_bytes() == before


def test_rules_that_were_switched_off_are_back_after_a_restart(again: Callable[[], Service]) -> None:
    again().set("Enabled", "b", False, path=ROOT, interface="Rules")
    service = again()
    assert service.get("Enabled", path=ROOT, interface="Rules") is False
    service.set("Enabled", "b", True, path=ROOT, interface="Rules")
    assert again().get("Enabled", path=ROOT, interface="Rules") is True


def test_my_volumes_are_gone_after_a_restart_of_the_sound_server(service: Service) -> None:
    session = service.session
    once_set(service, 0.3)
    session.restart_sound()
    service.wait_connected()
    session.add_null_sink("speakers", "Speakers")
    session.play("Game")
    service.wait_for_stream("Game")
    set_by_hand(service, "100%")
    service.wait_for_stream("Game", volume=0.3)


def test_the_headset_is_far_too_loud_after_the_speakers(service: Service) -> None:
    session = service.session
    for sink, volume in (("speakers", 0.8), ("headset", 0.2)):
        player = session.play("Game", sink=sink)
        service.wait_for_stream("Game", device=sink)
        service.call("SetVolume", "sda{sv}", "app:game", volume, 0)
        player.kill()
        session.wait_for(lambda: not service.describe()["streams"], "the stream to go")
    for sink, volume in (("speakers", 0.8), ("headset", 0.2)):
        player = session.play("Game", sink=sink)
        service.wait_for_stream("Game", device=sink, volume=volume)
        player.kill()
        session.wait_for(lambda: not service.describe()["streams"], "the stream to go")


def test_an_app_can_only_be_set_while_it_plays(again: Callable[[], Service]) -> None:
    once_set(again(), 0.3)
    service = again()
    assert service.call("SetVolume", "sda{sv}", "app:game", 0.2, 0) == 0.2
    assert service.call("SetMuted", "ssa{sv}", "app:game", "on", 0) is True
    service.session.play("Game")
    service.wait_for_stream("Game", volume=0.2, muted=True)


def test_an_app_can_only_be_moved_while_it_plays(again: Callable[[], Service]) -> None:
    service = again()
    session = service.session
    once_set(service, 0.3)
    assert service.call("Move", "ssa{sv}", "app:game", "sink:headset", 0) == []
    assert known(service)["preferred_device"] == "sink:headset"
    service = again()
    path = f"{ROOT}/apps/name_3agame"
    assert service.get("PreferredDevice", path=path, interface="App") == "sink:headset"
    player = session.play("Game")
    stream = service.wait_for_stream("Game", device="headset", routed_by="preference")
    explained = service.explain(stream["selector"])
    assert (explained["desired_device"], explained["desired_by"]) == ("headset", "preference")
    service.set("PreferredDevice", "s", "", path=path, interface="App")
    service.wait_for_stream("Game", device="speakers", routed_by="")
    service.set("PreferredDevice", "s", "headset", path=path, interface="App")
    service.wait_for_stream("Game", device="headset", routed_by="preference")
    with pytest.raises(CallError, match="is no sink to prefer"):
        service.set("PreferredDevice", "s", "nonsense", path=path, interface="App")
    player.kill()


def test_what_is_set_while_the_only_device_is_away_does_away_with_what_it_has_there(service: Service) -> None:
    session = service.session
    session.play("Game", sink="speakers")
    service.wait_for_stream("Game", device="speakers")
    service.call("SetVolume", "sda{sv}", "app:game", 0.3, 0)
    for module in session.pactl("list", "short", "modules").splitlines():
        if "sink_name=" in module:
            session.pactl("unload-module", module.split("\t")[0])
    session.wait_for(
        lambda: service.stream_of("Game")["device"] is None and "auto_null" in session.pactl("list", "sinks"),
        "it to play on no device",
    )
    assert service.call("SetVolume", "sda{sv}", "app:game", 0.2, 0) == 0.2
    wanted = {"playback": {"volume": 0.2}, "sink:speakers": {"volume": 0.3}}
    session.wait_for(lambda: saved(session).get("levels") == wanted, "both to be kept")


def test_a_lock_holds_against_another_mixer(service: Service) -> None:
    session = service.session
    session.play("Game")
    service.wait_for_stream("Game")
    service.call("SetVolume", "sda{sv}", "app:game", 0.4, 0)
    service.call("SetLock", "sb", "app:game", True)
    born = time.monotonic()
    after(session, born, QUIET)
    set_by_hand(service, "90%")
    service.wait_for_stream("Game", volume=0.4)
    service.call("SetVolume", "sda{sv}", "@sink", 0.5, 0)
    service.call("SetLock", "sb", "@sink", True)
    session.pactl("set-sink-volume", "speakers", "95%")
    session.wait_for(lambda: service.describe()["sinks"][0]["volume"] == 0.5, "the sink to be held")


def test_a_cap_holds_against_another_mixer(service: Service) -> None:
    session = service.session
    session.play("Game")
    service.wait_for_stream("Game")
    service.call("SetCap", "sd", "app:game", 0.5)
    service.wait_for_stream("Game", volume=0.5, max_volume=0.5)
    set_by_hand(service, "90%")
    service.wait_for_stream("Game", volume=0.5)
    assert service.call("SetVolume", "sda{sv}", "app:game", 0.9, 0) == 0.5
    service.call("SetCap", "sd", "@sink", 0.6)
    session.pactl("set-sink-volume", "speakers", "90%")
    session.wait_for(lambda: service.describe()["sinks"][0]["volume"] == 0.6, "the sink to be held")
    service.call("SetCap", "sd", "app:game", -1.0)
    service.wait_for_stream("Game", max_volume=0.6)
    with pytest.raises(CallError, match="at most"):
        service.call("SetCap", "sd", "app:game", 2.0)


def test_where_only_devices_and_applications_are_meant_the_name_of_a_device_is_enough(
    service: Service,
) -> None:
    def headset() -> tuple[float, bool]:
        (sink,) = [s for s in service.describe()["sinks"] if s["name"] == "headset"]
        return sink["max_volume"], sink["locked"]

    service.call("SetCap", "sd", "headset", 0.6)
    service.call("SetLock", "sb", "HEADSET", True)
    assert headset() == (0.6, True)
    service.call("Forget", "s", "Headset")
    assert headset() == (1.0, False)
    service.session.play("Radio")
    service.wait_for_stream("Radio")
    for name, hint in (("radio", "did you mean app:radio?"), ("nobody", "use @sink, @source")):
        with pytest.raises(CallError, match=rf"“{name}” is no target; {hint}"):
            service.call("SetCap", "sd", name, 0.6)
    service.session.add_null_source("headset", "Headset")
    service.session.wait_for(lambda: service.describe()["sources"], "the source to be known")
    with pytest.raises(CallError, match="“headset” fits several: sink:headset, source:headset"):
        service.call("SetLock", "sb", "headset", True)


@pytest.mark.parametrize("target", ["app:game", "*"])
def test_what_is_forgotten_is_forgotten(service: Service, target: str) -> None:
    session = service.session
    once_set(service, 0.3)
    session.wait_for(lambda: "levels" in saved(session), "it to be saved")
    service.call("Forget", "s", target)
    assert known(service) is None
    session.wait_for(lambda: saved(session) == {}, "it to be gone from the file")


MANY = """
import ctypes, signal, sys, pulsectl
from pulsectl import _pulsectl as c
count, loud = map(int, sys.argv[1:])
pulse = pulsectl.Pulse("Game")
library = ctypes.CDLL("libpulse.so.0")
library.pa_stream_new.restype = ctypes.c_void_p
class Format(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))
context = ctypes.cast(pulse._ctx, ctypes.c_void_p)
form = Format(c.PA_SAMPLE_FLOAT32LE, 48000, 2)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
for i in range(count):
    stream = ctypes.c_void_p(library.pa_stream_new(context, b"%d" % i, ctypes.byref(form), None))
    library.pa_stream_connect_playback(stream, None, None, 1, None, None)
if loud:
    other = pulsectl.Pulse("Mixer")
    for stream in other.sink_input_list()[:loud]:
        other.volume_set_all_chans(stream, 1.0)
while True:
    library.pa_mainloop_prepare(pulse._loop, 50_000)
    library.pa_mainloop_poll(pulse._loop)
    library.pa_mainloop_dispatch(pulse._loop)
"""
"""A program that opens streams as quickly as it can when it gets SIGUSR1, and turns some of them up at once.

It does that through another connection: PipeWire 1.4.2 reads nothing more from one that has set the volume of a stream of
its own before that is linked, and then the whole session waits for it.
"""

TO_THE_HEADSET = '[[rules]]\nname = "games"\nmatch.app = "game"\nto = "headset"\n'


def ready(session: Session, count: int, *, loud: int = 0) -> subprocess.Popen[bytes]:
    """Start a program, the Game, that opens `count` streams when it gets SIGUSR1, and turns `loud` of them up."""
    program = session.spawn("many", sys.executable, "-c", MANY, str(count), str(loud))
    session.wait_for(lambda: session.log_tail("many") == "ready", "it to be connected")
    return program


def with_config(service: Service, text: str) -> None:
    service.session.configure(text)
    service.call("ReloadConfig")


def test_of_two_hundred_streams_that_are_born_within_a_second_some_are_lost(service: Service) -> None:
    session = service.session
    once_set(service, 0.3)
    with_config(service, TO_THE_HEADSET)
    session.wait_for(lambda: "levels" in saved(session), "it to be saved")
    before = saved(session)
    ready(session, 200, loud=20).send_signal(signal.SIGUSR1)
    wanted = [("headset", 0.3, "rule games")] * 200
    session.wait_for(
        lambda: [(s["device"], s["volume"], s["routed_by"]) for s in service.describe()["streams"]] == wanted,
        "all to be where they belong, as loud as they should be",
    )
    shown = session.pactl("list", "sink-inputs")
    headset = next(row for row in session.pactl("list", "short", "sinks").splitlines() if "headset" in row)
    assert shown.count(f"Sink: {headset.split()[0]}\n") == shown.count("front-left: 19661 /  30%") == 200
    once_saved(service)
    assert saved(session) == before
    assert "is suspended" not in service.log()


def test_where_the_session_manager_is_late_a_stream_is_as_loud_as_it_was_long_ago(service: Service) -> None:
    session = service.session
    with_config(service, TO_THE_HEADSET)
    once_set(service, 0.3)
    # Of this one WirePlumber knows nothing.
    assert service.call("SetVolume", "sda{sv}", "app:game", 0.2, 0) == 0.2
    game = ready(session, 1)
    manager = session.pid_of("wireplumber")
    os.kill(manager, signal.SIGSTOP)
    try:
        game.send_signal(signal.SIGUSR1)
        service.wait_for_stream("Game")
        after(session, time.monotonic(), QUIET)
    finally:
        os.kill(manager, signal.SIGCONT)
    service.wait_for_stream("Game", device="headset", volume=0.2, routed_by="rule games")
    session.wait_for(lambda: " 20% " in session.pactl("list", "sink-inputs"), "the server to show it")
    assert known(service)["volume"] == 0.2
    assert "is suspended" not in service.log()


def once_saved(service: Service) -> None:
    """Return when all that has been learned by now is in the file."""
    service.call("SetCap", "sd", "@source", 0.9)
    service.session.wait_for(
        lambda: '"max_volume": 0.9' in service.session.state.read_text(), "it to be saved"
    )


def test_a_service_that_is_killed_has_lost_nothing_older_than_half_a_second(session: Session) -> None:
    first = Service(session).start()
    session.play("Game")
    first.wait_for_stream("Game")
    first.call("SetVolume", "sda{sv}", "app:game", 0.3, 0)
    asked = time.monotonic()
    after(session, asked, 0.5)
    first.process.kill()
    first.process.wait(PATIENCE)
    assert saved(session)["levels"]["playback"] == {"volume": 0.3}
    second = Service(session, name="second").start()
    assert known(second)["volume"] == 0.3
    second.stop()


def test_what_nobody_has_asked_for_is_remembered_for_good(service: Service) -> None:
    """It is not: what a rule, the memory and the session manager set says nothing of what a person wants."""
    session = service.session
    with_config(service, '[[rules]]\nname = "loud"\nmatch.app = "ruled"\nvolume = 0.5\nmuted = true\n')
    once_set(service, 0.3)
    session.play("Ruled")
    service.wait_for_stream("Ruled", volume=0.5, muted=True)
    for volume in ("60%", "100%"):
        # What is set at its birth is not learned by us, but by WirePlumber, which restores it.
        player = session.play("Restored")
        stream = service.wait_for_stream("Restored", **({"volume": 0.6} if volume == "100%" else {}))
        session.pactl("set-sink-input-volume", str(stream["index"]), "60%")
        service.wait_for_stream("Restored", volume=0.6)
        player.kill()
        session.wait_for(lambda: len(service.describe()["streams"]) == 1, "it to end")
    session.play("Game")
    service.wait_for_stream("Game")
    set_by_hand(service, "100%")
    service.wait_for_stream("Game", volume=0.3)
    module = session.add_null_sink("tv", "TV")
    service.call(
        "SetDefault", "s", "sink:tv"
    )  # which is told even where the session tells nobody, see test_told_no_more
    session.pactl("unload-module", str(module))
    session.wait_for(lambda: service.describe()["defaults"]["sink"] != "tv", "the default to change back")
    once_saved(service)
    levels = {
        app_id: app.get("levels") for app_id, app in json.loads(session.state.read_text())["apps"].items()
    }
    assert levels.pop("name:game") == {"playback": {"volume": 0.3}, "sink:speakers": {"volume": 0.3}}
    assert levels == {"name:ruled": None, "name:restored": None}
    assert list(json.loads(session.state.read_text())["devices"]) == ["source:microphone"]
