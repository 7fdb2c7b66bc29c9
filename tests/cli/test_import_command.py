"""`pwmixerctl import`, with the real service and without it."""

import json
from pathlib import Path

import pytest
from cli_rig import run, said
from service import Service
from session import Session

VOLUMES = r"""[stream-properties]
Output/Audio:application.name:Firefox={"mute":true, "channelVolumes":[0.125, 0.125], "volume":1.0}
Output/Audio:application.name:Chromium={"mute":false, "channelVolumes":[0.125, 0.125], "volume":1.0}
"""
MIXER = """
[[virtual_sinks]]
name = "headset"
description = "Voices"
[routing]
default_sink = "speakers"
[routing.rules]
discord = "headset"
"Why? [live]" = "speakers"
"""


def written(folder: Path, text: str) -> str:
    path = folder / "theirs"
    path.write_text(text)
    return str(path)


def test_without_the_service_volumes_go_into_its_file(service: Service, tmp_path: Path) -> None:
    session, path = service.session, written(tmp_path, VOLUMES)
    service.stop()
    state = session.state
    before = state.read_bytes() if state.exists() else b""
    assert "Firefox (bin:firefox): plays at 50% and muted" in said(
        session, "import", "wireplumber", path, "--dry-run"
    )
    assert (state.read_bytes() if state.exists() else b"") == before
    printed = said(session, "import", "wireplumber", path)
    assert "remembered:\n  Firefox (bin:firefox): plays at 50% and muted\n" in printed
    assert "application.name:Chromium: many programs call themselves that" in printed
    levels = json.loads(state.read_text())["apps"]["bin:firefox"]["levels"]
    assert levels == {"playback": {"volume": 0.5, "muted": True}}
    assert "remembered:\n  nothing\nthere already:\n" in said(session, "import", "wireplumber", path)
    service.start()
    assert said(session, "get", "app:bin:firefox") == "50% muted"


def test_that_memory_is_switched_off_is_told(silent_session: Session, tmp_path: Path) -> None:
    silent_session.configure("[memory]\nenabled = false\n")
    result = run(silent_session, "import", "wireplumber", written(tmp_path, VOLUMES))
    assert (result.returncode, result.stdout.count("Firefox")) == (0, 1)
    assert f"memory.enabled is false in {silent_session.config}" in result.stderr


def test_the_service_sets_what_it_has_met_and_the_rest_waits(service: Service, tmp_path: Path) -> None:
    session = service.session
    session.play("Mine", sink="speakers")
    service.wait_for_stream("Mine", device="speakers")
    state = session.state
    session.wait_for(lambda: state.exists() and "name:mine" in state.read_text(), "the application to be met")
    theirs = VOLUMES.replace("Chromium", "Mine")
    result = run(session, "import", "wireplumber", written(tmp_path, theirs))
    assert result.returncode == 1
    assert "remembered:\n  Mine (name:mine): plays at 50%\n" in result.stdout
    assert "not yet:\n  Firefox (bin:firefox): plays at 50% and muted\n" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "import again" in result.stderr
    assert said(session, "get", "app:name:mine") == "50%"


@pytest.mark.parametrize("is_running", [True, False])
def test_rules_are_added_once(service: Service, tmp_path: Path, is_running: bool) -> None:
    session, path = service.session, written(tmp_path, MIXER)
    if not is_running:
        service.stop()
    rules = session.config.with_name("rules.toml")
    before = rules.read_bytes() if rules.exists() else b""
    assert "rules that would be added:\n  Imported: discord" in said(session, "import", path, "--dry-run")
    assert (rules.read_bytes() if rules.exists() else b"") == before
    printed = said(session, "import", path)
    assert "Imported: discord" in printed
    assert "routing.default_sink" in printed
    assert 'node.name = "headset" media.class = Audio/Sink' in printed
    text = rules.read_text()
    assert 'name = "Imported: Why? [live]"\nmatch.app = "=Why? [live]"\nmatch.direction = "playback"' in text
    assert "added:\n  nothing\nthere already:\n" in said(session, "import", path)
    assert rules.read_text() == text
    assert not rules.with_name("config.toml").exists()
    if not is_running:
        service.start()
    named = [rule["name"] for rule in json.loads(said(session, "rules", "list", "--json"))]
    assert named == ["Imported: discord", "Imported: Why? [live]"]


def test_the_file_that_wireplumber_really_wrote_is_found_and_read(session: Session) -> None:
    path = Path(session.env["XDG_STATE_HOME"]) / "wireplumber" / "stream-properties"
    # Without the service, which would remember it by itself on a machine that is slow.
    session.play("Theirs", sink="speakers")
    index = session.pactl("list", "short", "sink-inputs").split()[0]
    session.pactl("set-sink-input-volume", index, "50%")
    session.wait_for(
        lambda: path.exists() and "0.125" in path.read_text(),
        "WirePlumber to have saved it",
    )
    assert "Theirs (bin:theirs): plays at 50%" in said(session, "import", "wireplumber", "--dry-run")


def test_what_cannot_be_read_is_one_sentence(service: Service, tmp_path: Path) -> None:
    session = service.session
    for words in (["wireplumber", "/nowhere"], ["/nowhere"], [str(tmp_path)], [written(tmp_path, "x")]):
        result = run(session, "import", *words)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert run(session, "import").returncode == 2
    assert run(session, "import", "a", "b").returncode == 2
