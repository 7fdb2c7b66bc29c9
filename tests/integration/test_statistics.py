"""What the service measures of itself, on a real bus and a real PipeWire: told, traced, followed, kept in files, profiled."""

import json
import os
import pstats
import signal
import stat
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from service import CACHE, CTL, CallError, Json, Service
from session import PATIENCE, Session, completed
from talk import Talk, place
from terminal import on_screen
from test_life_cycle import WATCHED, has_written_its_code, start_plainly, system_calls

WARM = {"XDG_CACHE_HOME": str(CACHE)}
"""What has a service start from the byte code of the one before."""


def stats(service: Service) -> Json:
    return json.loads(service.call("Stats"))


def trace(service: Service, *options: object) -> list[Json]:
    found = json.loads(service.call("Trace", "a{sv}", *(options or (0,))))
    assert isinstance(found, list)
    return found


def ctl(service: Service, *words: str) -> str:
    done = completed(*CTL, *words, env=service.session.env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def ours(session: Session) -> Path:
    return Path(session.env["XDG_RUNTIME_DIR"], "pwmixer")


def kept_files(session: Session) -> set[str]:
    folder = ours(session)
    return {path.name for path in folder.glob("stats*")} if folder.exists() else set()


def test_what_happens_is_counted_timed_charged_and_listed(service: Service) -> None:
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio", device="speakers")
    before = stats(service)
    for volume in (0.3, 0.4, 0.5):
        service.call("SetVolume", "sda{sv}", "app:name:radio", volume, 0)
    with pytest.raises(CallError):
        service.call("SetVolume", "sda{sv}", "app:nobody", 0.3, 0)
    after = stats(service)
    more = {key: after["counters"][key] - before["counters"][key] for key in after["counters"]}
    assert more["commands"] == 3
    assert more["calls"] >= 5
    assert more["errors"] == 1
    assert more["notices"] >= 3
    assert more["fetches"] >= 3
    assert more["signals"] >= 3
    assert more["properties_hits"] >= 3
    for name in ("notice_to_state", "state_to_signal", "call_to_reply"):
        histogram = after["histograms"][name]
        assert histogram["count"] >= before["histograms"][name]["count"] + 3
        assert sum(count for _, count in histogram["buckets"]) == histogram["count"]
        assert 0 < histogram["p50"] <= histogram["p99"] <= histogram["max"]
    (stream,) = [c for c in after["costs"] if c["selector"].startswith("stream:")]
    assert (stream["app"], stream["commands"]) == ("name:radio", 3)
    assert stream["seconds"] > 0
    assert after["usage"]["memory_pss_bytes"] > 1e6
    assert after["usage"]["cpu_seconds"] > before["usage"]["cpu_seconds"]
    assert after["clients"]["sound_server"] >= 1
    assert after["queues"]["calls"] == {"now": 1, "peak": 1}
    words = [(e["what"], e["object"], e["detail"]) for e in trace(service)]
    about = stream["selector"]
    # From the last command on; the refused call comes after it.
    last = words[max(i for i, word in enumerate(words) if word == ("command", about, "SetVolume")) :]
    after_it = {word: i for i, word in enumerate(last)}
    assert (
        after_it["notice", about, ""]
        < after_it["done", about, "SetVolume"]
        < after_it["reply", "", "SetVolume"]
    )
    assert after_it["signal", about, ""] < after_it["reply", "", "SetVolume"]
    assert ("error", "", "SetVolume") in words
    assert len(trace(service, 1, "last", "u", 5)) == 5
    with Talk(place(service.session)) as talk:
        talk.ask("GET_VOLUME @sink")
        talk.ask("MUTE app:nobody true")
        last = stats(service)
        assert last["clients"]["socket"] == 1
    (cost,) = [c for c in last["costs"] if c["name"] == f"socket:{os.getpid()}"]
    assert cost["calls"] == 2
    assert last["counters"]["errors"] == after["counters"]["errors"] + 1


def test_a_new_stream_that_a_rule_moves_is_timed_and_what_it_cost_stays_with_its_application(
    service: Service,
) -> None:
    session = service.session
    session.configure('[[rules]]\nname = "Radio"\nmatch.app = "radio"\nto = "headset"\n')
    session.wait_for(lambda: service.get("Revision", interface="Rules") > 0, "the rule")
    player = session.play("Radio")
    service.wait_for_stream("Radio", device="headset")
    session.wait_for(
        lambda: stats(service)["histograms"]["new_stream_to_moved"]["count"] == 1, "the move to be timed"
    )
    assert "moved" in [e["what"] for e in trace(service)]
    player.terminate()
    session.wait_for(lambda: service.describe()["streams"] == [], "the end of the stream")
    (cost,) = [c for c in stats(service)["costs"] if c["kind"] == "app"]
    assert (cost["selector"], cost["commands"] >= 1, cost["seconds"] > 0) == ("app:name:radio", True, True)


def test_who_follows_the_trace_is_told_until_he_leaves_and_then_nothing_runs(session: Session) -> None:
    session.play("Radio", sink="speakers")
    service = start_plainly(session, WARM)
    service.wait_connected()
    follower = session.spawn("follower", *CTL, "trace", "--follow", "--json")
    said = session.runtime / "follower.log"
    session.wait_for(lambda: stats(service)["clients"].get("followers") == 1, "the follower")
    service.call("SetMuted", "ssa{sv}", "app:name:radio", "on", 0)
    session.wait_for(lambda: '"SetMuted"' in said.read_text(), "the news")
    events = [json.loads(line) for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]
    numbers = [event["number"] for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    follower.send_signal(signal.SIGINT)
    assert follower.wait(PATIENCE) == 0
    session.wait_for(lambda: "followers" not in stats(service)["clients"], "the follower to be forgotten")
    # busctl is gone before the bus can be asked to tell of its end.
    service.call("FollowTrace", "b", True)
    session.wait_for(lambda: "followers" not in stats(service)["clients"], "busctl to be forgotten")
    session.wait_for(lambda: has_written_its_code(service), "the byte code of the next start")
    session.wait_for(lambda: not system_calls(service, 0.5), "peace")
    assert system_calls(service, WATCHED) == []
    service.stop()


def test_files_are_kept_while_the_configuration_asks_for_them_and_cost_nothing_while_nothing_happens(
    session: Session,
) -> None:
    session.play("Radio", sink="speakers")
    service = start_plainly(session, WARM)
    service.wait_connected()
    assert kept_files(session) == set()
    session.configure("[stats]\nfile = true\nprometheus = true\n")
    session.wait_for(lambda: kept_files(session) == {"stats", "stats.prom"}, "the files")
    file = ours(session) / "stats"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    service.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
    session.wait_for(lambda: json.loads(file.read_text())["counters"]["commands"] == 1, "the command")
    session.wait_for(
        lambda: "pwmixer_commands_total 1\n" in (ours(session) / "stats.prom").read_text(), "the other file"
    )
    session.wait_for(lambda: has_written_its_code(service), "the byte code of the next start")
    session.wait_for(lambda: not system_calls(service, 1.5), "peace")
    assert system_calls(service, WATCHED) == []
    session.configure("[stats]\nfile = true\n")
    session.wait_for(lambda: kept_files(session) == {"stats"}, "one of them to go")
    service.stop()
    assert kept_files(session) == set()


def test_a_profile_is_written_for_the_user_alone_and_the_last_five_are_kept(service: Service) -> None:
    taken: list[str] = []
    for day in range(1, 8):
        (ours(service.session) / f"profile-2000010{day}-000000.pstats").touch()

    def is_taken() -> bool:
        # A start that finds other byte code than it has left notes what is called until it is over, by the same means.
        with suppress(CallError):
            taken.append(service.call("Profile", "u", 1))
        return bool(taken)

    service.session.wait_for(is_taken, "a profile to be taken")
    file = Path(taken[0])
    with pytest.raises(CallError, match="A profile is being taken already"):
        service.call("Profile", "u", 1)
    assert not file.exists()
    service.session.wait_for(file.exists, "the profile")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.parent == ours(service.session)
    profiles = file.parent.glob
    service.session.wait_for(lambda: len([*profiles("profile-*")]) == 5, "old profiles to go")
    assert [p.name[8:16] for p in sorted(profiles("profile-*"))[:4]] == [
        f"2000010{day}" for day in (4, 5, 6, 7)
    ]
    assert pstats.Stats(str(file)).total_calls > 0  # type: ignore[attr-defined]
    for seconds in (0, 601):
        with pytest.raises(CallError, match="1 to 600 seconds"):
            service.call("Profile", "u", seconds)
    service.process.send_signal(signal.SIGUSR2)
    service.session.wait_for(lambda: "taking a profile for 10 s" in service.log(), "the signal to be heard")


def test_the_command_line_shows_it(service: Service) -> None:
    service.call("SetVolume", "sda{sv}", "@sink", 0.4, 0)
    assert "call to reply" in ctl(service, "stats")
    assert "Call to reply, " in ctl(service, "stats", "--plot")
    assert json.loads(ctl(service, "stats", "--json"))["counters"]["commands"] == 1
    assert "pwmixer_commands_total 1\n" in ctl(service, "stats", "--prometheus")
    assert "SetVolume" in ctl(service, "trace")
    assert len(ctl(service, "trace", "--last", "3").splitlines()) == 3
    assert "sink:speakers" in ctl(service, "top")
    assert "called by this program" in ctl(service, "top")


@pytest.mark.parametrize("how", [b"q", signal.SIGINT, signal.SIGTERM])
def test_top_draws_a_screen_and_leaves_the_terminal_as_it_was(
    service: Service, how: bytes | signal.Signals
) -> None:
    with on_screen((*CTL, "top"), service.session.env) as screen:
        before = termios.tcgetattr(screen.end)
        assert screen.until("everything else").startswith("\x1b[?1049h")
        screen.until("/s")
        assert termios.tcgetattr(screen.end) != before
        if isinstance(how, bytes):
            os.write(screen.end, how)
        else:
            screen.process.send_signal(how)
        last = screen.until("\x1b[?1049l")
        assert screen.process.wait(PATIENCE) == 0
        assert "\x1b[?25h" in last
        assert termios.tcgetattr(screen.end) == before
