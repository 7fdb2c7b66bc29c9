"""The command line against the real service and a real PipeWire."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_rig import first_line, run, running, said
from service import CTL, Service
from session import Session
from waybar_process import NUMBER, waybar

Record = dict[str, Any]


@pytest.fixture
def playing(service: Service) -> Service:
    """Play on both sinks: PipeWire takes the volume of a sink that has never played, but does not report it."""
    for sink in ("speakers", "headset"):
        service.session.play(f"Radio of {sink}", sink=sink)
        service.wait_for_stream(f"Radio of {sink}", device=sink)
    return service


def test_volumes_are_set_stepped_and_read_back_at_once(playing: Service) -> None:
    assert said(playing, "set", "50%") == "50%"
    assert said(playing, "get") == "50%"
    assert said(playing, "up") == "55%"
    assert said(playing, "down", "@sink", "10%") == "45%"
    assert said(playing, "get") == "45%"
    assert said(playing, "set", "sink:head*", "0.3") == "30%"
    assert said(playing, "get", "sink:headset", "-f", "{name} {percent}") == "headset 30"


def test_streams_move_and_explain_themselves(playing: Service) -> None:
    stream = said(playing, "list", "streams", "-f", "{selector} {device}").splitlines()[0].split()[0]
    assert said(playing, "move", stream, "sink:headset") == stream
    playing.session.wait_for(
        lambda: "It is on headset." in said(playing, "explain", stream), "the stream to have moved"
    )


def test_a_volume_over_the_limit_is_clamped_and_said(service: Service) -> None:
    assert said(service, "set", "150%") == "100% (limited; 150% was asked)"


def test_mute_and_default(playing: Service) -> None:
    assert said(playing, "toggle") == "muted"
    assert said(playing, "get").endswith(" muted")
    assert said(playing, "unmute") == "unmuted"
    assert said(playing, "default", "headset") == ""
    playing.session.wait_for(
        lambda: json.loads(said(playing, "describe"))["defaults"]["sink"] == "headset", "the new default"
    )


def test_status_list_and_resolve_show_the_devices(service: Service) -> None:
    assert "Headset" in said(service, "status")
    assert "sink:speakers" in said(service, "list", "sinks")
    path = said(service, "resolve", "@sink")
    assert said(service, "get", path) == said(service, "get")


def test_what_the_service_refuses_is_exit_code_1(service: Service) -> None:
    result = run(service, "up", "app:nobody")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "app:nobody" in result.stderr


def test_a_bar_lives_through_everything_that_goes_and_comes(service: Service) -> None:
    session, radio = service.session, "<b>Radio</b> & 'Co'"
    session.play(radio, sink="speakers")
    with running([*CTL, "waybar"], session.env) as bar:

        def wait_for(text: str, sort: str) -> Record:
            # Devices come one by one after a restart, and each may show for a moment.
            while (line := json.loads(first_line(bar)))["text"] != text or sort not in line["class"]:
                pass
            return dict(line)

        playing = wait_for("100%", "playing")
        assert playing["tooltip"] == "Speakers: 100%\n&lt;b&gt;Radio&lt;/b&gt; &amp; &#39;Co&#39;: 100%"
        said(service, "set", "50%")
        assert wait_for("50%", "playing")["percentage"] == 50
        said(service, "mute")
        wait_for("muted", "muted")
        session.stop_sound()
        wait_for("no sound", "no-server")
        session.start_sound()
        wait_for("no device", "no-device")
        session.add_null_sink("headset", "Headset")
        wait_for("100%", "output")
        service.stop()
        wait_for("no pwmixer", "no-service")
        service.start()
        assert wait_for("100%", "output")["tooltip"] == "Headset: 100%"


def test_a_target_that_can_never_be_one_ends_the_bar_with_the_reason(service: Service) -> None:
    result = run(service, "follow", "--target", "speaker")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "speaker" in result.stderr


def test_a_waybar_is_told_by_a_signal_while_the_configuration_asks_for_it(
    playing: Service, tmp_path: Path
) -> None:
    with waybar(tmp_path) as bar:
        said(playing, "set", "40%")
        assert bar.asked() == "asked"
        playing.session.configure(f"[bar_signal]\nenabled = true\nnumber = {NUMBER}\n")
        said(playing, "reload")
        said(playing, "set", "50%")
        assert bar.said() == "told"
        playing.session.config.unlink()
        said(playing, "reload")
        said(playing, "set", "60%")
        assert bar.asked() == "asked"


def test_the_doctor_tells_of_a_machine_without_any_output(bare_session: Session) -> None:
    service = Service(bare_session).start()
    try:
        told = run(service, "doctor")
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.startswith("There is no output device, and no card: ")
        assert told.stdout.endswith("\nApart from that, nothing is wrong.\n")
        assert run(service, "list", "sinks").stderr == "There is no output device.\n"
        bare_session.add_null_sink("speakers", "Speakers")
        service.session.wait_for(lambda: service.describe()["sinks"], "the output")
        assert said(service, "doctor") == "Nothing is wrong."
    finally:
        service.stop()


def test_the_doctor_takes_a_service_that_it_has_started_for_no_second_one(
    service: Service, tmp_path: Path
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        "#!/bin/sh\ncd ${0%/*}\necho LoadState=loaded\n"
        f"if [ -e asked ]; then echo MainPID={service.session.pid_of(service.name)}; else echo MainPID=0; fi\n: >asked\n"
    )
    systemctl.chmod(0o755)
    service.session.env["PATH"] = f"{tmp_path}:{service.session.env['PATH']}"
    assert said(service, "doctor") == "Nothing is wrong."
