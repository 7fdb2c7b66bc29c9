"""Rules that stick, on a real server: each test answers a complaint that people have about other mixers."""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import prompted
import pytest
from defaults import connected, set_default
from recorder import Recorder
from service import ROOT, Service
from session import Session

from pwmixer_dbus.core.routing import TRIES

MUSIC = """
[[rules]]
name = "music"
match.app = "radio"
to = ["usb*", "headset"]
"""

Started = Callable[[str], Service]


@pytest.fixture
def ruled(with_rules: Started) -> Service:
    """Play what the rule brings to the headset."""
    service = with_rules(MUSIC)
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="headset", routed_by="rule music")
    return service


def test_a_new_stream_goes_where_its_rule_says(with_rules: Started) -> None:
    service = with_rules(MUSIC)
    service.session.play("Radio")
    assert service.wait_for_stream("Radio", device="headset", routed_by="rule music")
    service.session.play("Game")
    assert service.wait_for_stream("Game", device="speakers", routed_by="")


def test_what_wireplumber_remembers_of_new_streams_keeps_them_nowhere_else(
    session: Session, with_rules: Started
) -> None:
    session.add_null_sink("hdmi", "HDMI")
    names = {f"Radio{number}" for number in range(5)}
    players = [session.play(name) for name in names]
    session.wait_for(lambda: are_moved(session, "hdmi"), "all to be moved")
    for player in players:
        player.terminate()
        player.wait()
    remembered = Path(session.env["XDG_STATE_HOME"], "wireplumber", "stream-properties")
    session.wait_for(
        lambda: remembered.exists() and remembered.read_text().count("hdmi") >= len(names),
        "WirePlumber to remember it",
    )
    service = with_rules(MUSIC.replace('"radio"', '"radio*"'))
    for name in names:
        session.play(name)
    session.wait_for(
        lambda: not any(service.explain(f"app:{name}")["settling"] for name in names), "the streams to settle"
    )
    assert links(session, names) == {(name, "headset") for name in names}


def are_moved(session: Session, sink: str) -> bool:
    """Move all that plays to a sink as a person does: again, where WirePlumber has swallowed it, which it does now and then."""
    with connected(session, "another mixer") as mixer:
        wanted = mixer.get_sink_by_name(sink).index
        elsewhere = [stream for stream in mixer.sink_input_list() if stream.sink != wanted]
        for stream in elsewhere:
            mixer.sink_input_move(stream.index, wanted)
    return not elsewhere


def links(session: Session, players: set[str]) -> set[tuple[str, str]]:
    """List which player is linked to which sink, as PipeWire has it, which says nothing too early."""
    found, node = set[tuple[str, str]](), ""
    for line in session.run("pw-link", "--links").splitlines():
        if not line.startswith(" "):
            node = line.partition(":")[0]
        elif "|->" in line and node in players:
            found.add((node, line.partition("|->")[2].strip().partition(":")[0]))
    return found


def test_a_stream_that_played_before_the_service_started_is_brought_there_as_well(
    session: Session, with_rules: Started
) -> None:
    session.play("Radio")
    with_rules(MUSIC).wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_the_rule_holds_when_the_default_changes(ruled: Service) -> None:
    session = ruled.session
    # To move a stream to the default erases its pin, so it would follow the next one.
    for default in ("headset", "speakers", "headset", "speakers"):
        set_default(session, sink=default)
        wait_for_default(ruled, default)
    ruled.wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_a_better_target_is_taken_when_it_comes_and_the_fallback_when_it_goes(ruled: Service) -> None:
    session = ruled.session
    for _ in range(2):
        module = session.add_null_sink("usb-dac", "USB DAC")
        ruled.wait_for_stream("Radio", device="usb-dac", routed_by="rule music")
        session.pactl("unload-module", str(module))
        ruled.wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_the_rule_holds_over_a_restart_of_the_sound_server(ruled: Service) -> None:
    session = ruled.session
    session.restart_sound()
    ruled.wait_connected()
    session.add_null_sink("speakers", "Speakers")
    session.add_null_sink("headset", "Headset")
    set_default(session, sink="speakers")
    session.play("Radio")
    ruled.wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_the_rule_holds_over_a_restart_of_the_session_manager(ruled: Service) -> None:
    session = ruled.session
    session.wait_for(lambda: not ruled.explain("app:radio")["settling"], "the stream to settle")
    manager = session.pid_of("wireplumber")
    os.kill(manager, signal.SIGTERM)
    ruled.wait_for_stream("Radio", device=None)
    state = Path(f"/proc/{manager}/stat")
    session.wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "it to have ended")
    # What it has learned of our move goes with it, so that it links the stream to the default.
    Path(session.env["XDG_STATE_HOME"], "wireplumber", "stream-properties").unlink()
    session.spawn("another wireplumber", "wireplumber")
    ruled.wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_a_person_with_pactl_wins_and_keeps_winning(ruled: Service) -> None:
    session = ruled.session
    stream = ruled.stream_of("Radio")
    # What is moved while everything is still settling is taken for the session manager's doing.
    session.wait_for(lambda: not ruled.explain("app:radio")["settling"], "the stream to settle")
    session.wait_for(
        lambda: is_moved(ruled, stream["index"], "speakers"), "WirePlumber to carry out the move"
    )
    ruled.wait_for_stream("Radio", device="speakers", routed_by="person")
    set_default(session, sink="headset")
    wait_for_default(ruled, "headset")
    ruled.wait_for_stream("Radio", device="speakers", routed_by="person")


def is_moved(service: Service, index: int, sink: str) -> bool:
    """Move a stream as a person does: again, where WirePlumber has swallowed it, which it does now and then."""
    if service.stream_of("Radio")["device"] == sink:
        return True
    service.session.pactl("move-sink-input", str(index), sink)
    return False


def wait_for_default(service: Service, name: str) -> None:
    service.session.wait_for(lambda: service.describe()["defaults"]["sink"] == name, "the default to change")


def test_a_move_with_us_counts_at_once(ruled: Service) -> None:
    ruled.call("Move", "ssa{sv}", "app:radio", "speakers", 0)
    ruled.wait_for_stream("Radio", device="speakers", routed_by="person")


def test_two_tabs_of_one_browser_are_told_apart_by_their_titles_also_when_they_change(
    with_rules: Started,
) -> None:
    service = with_rules("""
[[rules]]
name = "videos"
match = { app = "browser", media_name = "*YouTube*" }
to = "headset"
""")
    session = service.session
    session.play("Browser", properties={"application.name": "Browser", "media.name": "News"})
    service.wait_for_stream("Browser", device="speakers")
    session.play("Tab", properties={"application.name": "Browser", "media.name": "A Song - YouTube"})
    session.wait_for(
        lambda: (
            {s["media_name"]: s["device"] for s in service.describe()["streams"]}
            == {"News": "speakers", "A Song - YouTube": "headset"}
        ),
        "each tab to be where it belongs",
    )


def test_two_electron_apps_go_two_ways(with_rules: Started) -> None:
    service = with_rules("""
[[rules]]
name = "chat"
match.binary = "vesktop"
to = "headset"
""")
    for binary in ("vesktop", "teams-for-linux"):
        service.session.play(
            binary, properties={"application.name": "Chromium", "application.process.binary": binary}
        )
    service.session.wait_for(
        lambda: (
            {s["binary"]: s["device"] for s in service.describe()["streams"]}
            == {"vesktop": "headset", "teams-for-linux": "speakers"}
        ),
        "each to be where it belongs",
    )


def test_a_rule_that_is_removed_brings_its_streams_back(ruled: Service) -> None:
    ruled.session.configure("")
    ruled.call("ReloadConfig")
    ruled.wait_for_stream("Radio", device="speakers", routed_by="")


def test_a_recording_is_routed_as_well(with_rules: Started) -> None:
    service = with_rules("""
[[rules]]
name = "talk"
match = { app = "recorder", direction = "capture" }
to = "second"
""")
    service.session.add_null_source("second", "Second")
    service.session.record("Recorder")
    service.wait_for_stream("Recorder", device="second", routed_by="rule talk")


def test_what_a_rule_does_is_announced_and_explained(with_rules: Started) -> None:
    service = with_rules(MUSIC)
    recorder = Recorder(service)
    service.session.play("Radio")
    service.wait_for_stream("Radio", device="headset", routed_by="rule music")
    told = [m["payload"]["data"] for m in recorder.signals("RuleApplied")]
    assert told[0] == ["music", f"{ROOT}/streams/1", f"{ROOT}/sinks/headset", "moving"]
    why = service.explain("app:radio")
    assert (why["desired_device"], why["desired_by"], why["reason"]) == ("headset", "rule music", "")
    # WirePlumber may take a newborn stream away and bring it back by itself, and was the last one then.
    assert why["moved_by"] in {"rule music", "the session manager"}
    assert [(rule["name"], rule["matched"]) for rule in why["rules"]] == [("music", True)]


def test_an_app_that_renames_itself_is_taken_for_what_it_is_now(with_rules: Started) -> None:
    service = with_rules(MUSIC)
    program = service.session.spawn(
        "renamed", sys.executable, prompted.__file__, "rename", "Launcher", "Radio"
    )
    service.wait_for_stream("Launcher", device="speakers", routed_by="")
    program.send_signal(signal.SIGUSR1)
    service.wait_for_stream("Radio", device="headset", routed_by="rule music")


def test_wireplumber_takes_it_back_again_and_again(with_rules: Started) -> None:
    service = with_rules(MUSIC)
    session, recorder = service.session, Recorder(service)
    session.play("Radio")
    stream = service.wait_for_stream("Radio", device="headset", routed_by="rule music")
    sinks = itertools.count()

    def outcomes() -> list[str]:
        return [m["payload"]["data"][3] for m in recorder.signals("RuleApplied")]

    def take_back() -> None:
        # While devices come, moves are the session manager's doing, whoever really makes them.
        session.pactl("load-module", "module-null-sink", f"sink_name=another-{next(sinks)}")
        session.pactl("move-sink-input", str(stream["index"]), "speakers")

    def is_given_up() -> bool:
        take_back()
        return outcomes()[-1] == "suspended"

    def is_back() -> bool:
        now = service.stream_of("Radio")
        if (now["device"], now["routed_by"]) == ("speakers", ""):
            return True
        take_back()  # again, since the last move may be one that has been swallowed
        return False

    session.wait_for(is_given_up, "the fight to be given up")
    assert outcomes().count("moving") >= TRIES
    assert f"rule “music” is suspended for stream:{stream['number']} (Radio): " in service.log()
    session.wait_for(is_back, "it to be taken back for good")
    why = service.explain("app:radio")
    assert (why["desired_device"], why["actual_device"]) == ("headset", "speakers")
    assert why["reason"].startswith("Something fights the move, perhaps another rule; it is tried again in ")
