"""What WirePlumber and gnome-pipewire-volume-mixer have kept, read from text as they really write it."""

from pathlib import Path

import pytest

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.importing import (
    Imported,
    add_rules,
    from_mixer_config,
    from_wireplumber,
    peek,
    remembered,
)
from pwmixer_dbus.config.rulebook import read_rules, rules_path
from pwmixer_dbus.core.events import KEEP
from pwmixer_dbus.core.memory import AppIntent, KnownApp, Level, Memory
from pwmixer_dbus.core.model import Kind

# As WirePlumber 0.5.8 wrote it when pactl had set 50 % and 25 %, and muted.
STATE = r"""[stream-properties]
Audio/Sink:node.name:speakers={"mute":false, "channelVolumes":[1.000000, 1.000000], "channelMap":["FL", "FR"], "volume":1.000000}
Input/Audio:application.name:Rec={"mute":false, "channelVolumes":[0.015625, 0.015625], "channelMap":["FL", "FR"], "volume":1.000000}
Output/Audio:application.id:org.videolan.VLC={"mute":true, "channelVolumes":[0.125000, 0.125000], "channelMap":["FL", "FR"], "volume":1.000000}
Output/Audio:application.name:Firefox={"mute":true, "channelVolumes":[0.125000, 0.125000], "channelMap":["FL", "FR"], "volume":1.000000}
Output/Audio:application.name:My\sApp:\s\ox\c\s\e\sy={"mute":true, "channelVolumes":[0.125000, 0.125000], "channelMap":["FL", "FR"], "volume":1.000000}
Output/Audio:media.role:Music={"channelMap":["FL", "FR"], "mute":true, "channelVolumes":[0.125000, 0.125000], "volume":1.000000, "target":"headset"}
"""
# As WirePlumber 0.4.13 wrote it.
OLD_STATE = r"""[restore-stream]
Audio/Sink:node.name:auto_null:volume=1.0
Output/Audio:application.id:org.videolan.VLC:channelMap=FL;FR;
Output/Audio:application.id:org.videolan.VLC:channelVolumes=0.125;0.125;
Output/Audio:application.id:org.videolan.VLC:mute=true
Output/Audio:application.id:org.videolan.VLC:volume=1.0
Output/Audio:application.name:My\sApp:\s\ox\c\s\e\sy:channelVolumes=0.125;0.125;
"""
MIXER = """
[cache]
update_interval_ms = 100
[[virtual_sinks]]
name = "Game"
display_name = 'The "games"'
icon = "applications-games-symbolic"
colour = "red"
[[virtual_sinks]]
name = "Chat"
description = "Voices"
[routing]
enable_auto_routing = true
default_sink = "Game"
[routing.rules]
firefox = "Game"
"Why? [live]" = "Chat"
broken = 7
"""


def read(text: str, *apps: KnownApp) -> Imported:
    return from_wireplumber(text, Memory(apps={app.app_id: app for app in apps}), {})


def line(key: str, values: str = '"channelVolumes":[0.125]') -> str:
    return f"{key}={{{values}}}\n"


def taken(found: Imported) -> dict[str, object]:
    return {intent.app_id: intent.volume for intent in found.intents}


def reasons(found: Imported) -> str:
    return "\n".join(f"{left.what}: {left.why}" for left in found.left_out)


# WirePlumber


def test_linear_volumes_become_what_people_read_in_percent() -> None:
    found = read(STATE)
    assert found.intents == (
        AppIntent(app_id="bin:rec", name="Rec", kind=Kind.CAPTURE, volume=0.25),
        AppIntent(
            app_id="id:org.videolan.VLC",
            name="VLC",
            kind=Kind.PLAYBACK,
            volume=0.5,
            muted=True,
        ),
        AppIntent(app_id="bin:firefox", name="Firefox", kind=Kind.PLAYBACK, volume=0.5, muted=True),
    )


def test_the_older_form_is_read_as_well() -> None:
    assert taken(read(OLD_STATE)) == {"id:org.videolan.VLC": 0.5}


def test_escaped_names_are_read() -> None:
    app = KnownApp(app_id="bin:mine", name="My App: [x] = y")
    assert taken(read(OLD_STATE, app))["bin:mine"] == 0.5
    assert taken(read(STATE, app))["bin:mine"] == 0.5


def test_the_loudest_channel_counts_and_the_volume_is_a_factor_of_it() -> None:
    values = '"volume":0.5, "channelVolumes":[0.25, 0.03]'
    assert taken(read(line("Output/Audio:application.name:mpv", values))) == {"bin:mpv": 0.5}


@pytest.mark.parametrize("key", ["media.role:Music", "media.name:A song", "node.name:my-synth"])
def test_what_names_no_application_is_left_out_with_the_reason(key: str) -> None:
    found = read(line(f"Output/Audio:{key}"))
    assert found.intents == ()
    assert key in reasons(found)


@pytest.mark.parametrize("name", ["Chromium", "WEBRTC VoiceEngine", "Chromium input", "ALSA plug-in", "42"])
def test_a_name_that_many_programs_share_is_left_out(name: str) -> None:
    found = read(line("Output/Audio:application.name:" + name.replace(" ", r"\s")))
    assert found.intents == ()
    assert "many programs call themselves that" in reasons(found)


def test_a_plain_application_id_is_the_name_of_a_program() -> None:
    assert taken(read(line("Output/Audio:application.id:mpv"))) == {"bin:mpv": 0.5}


def test_an_alias_counts_as_for_a_stream() -> None:
    found = from_wireplumber(line("Output/Audio:application.id:mpv"), Memory(), {"bin:mpv": "Music"})
    assert taken(found) == {"tag:music": 0.5}


def test_an_application_that_was_met_is_found_by_its_name() -> None:
    met = KnownApp(app_id="flatpak:org.mozilla.firefox", name="Firefox")
    assert taken(read(line("Output/Audio:application.name:Firefox"), met)) == {met.app_id: 0.5}
    vlc = KnownApp(app_id="flatpak:org.videolan.VLC", name="VLC")
    assert taken(read(line("Output/Audio:application.id:org.videolan.VLC"), vlc)) == {vlc.app_id: 0.5}


def test_two_applications_of_one_name_are_ambiguous() -> None:
    twice = [KnownApp(app_id=app_id, name="Firefox") for app_id in ("bin:firefox", "snap:firefox")]
    found = read(line("Output/Audio:application.name:Firefox"), *twice)
    assert found.intents == ()
    assert "it may be any of bin:firefox, snap:firefox" in reasons(found)


def test_a_name_of_several_words_waits_until_the_program_was_met() -> None:
    found = read(line(r"Output/Audio:application.name:My\sGame"))
    assert found.intents == ()
    assert "let it play once, then import again" in reasons(found)


def test_entries_that_disagree_about_one_application_are_left_out() -> None:
    other = line("Output/Audio:application.name:MPV", '"channelVolumes":[0.001]')
    found = read(line("Output/Audio:application.name:mpv") + other)
    assert found.intents == ()
    assert "all of them are bin:mpv, and their volumes differ" in reasons(found)


def test_full_volume_is_nobodys_wish() -> None:
    found = read(line("Output/Audio:application.name:mpv", '"channelVolumes":[1.0], "mute":false'))
    assert found.intents == ()
    assert "says nothing about what you want" in reasons(found)


def test_what_pwmixer_remembers_already_stays() -> None:
    level = Level(volume=0.8)
    app = KnownApp(app_id="bin:firefox", name="Firefox", levels={Kind.PLAYBACK: level})
    (intent,) = [i for i in read(STATE, app).intents if i.app_id == app.app_id]
    assert (intent.volume, intent.muted) == (KEEP, True)


def test_a_second_import_finds_everything_there() -> None:
    memory = remembered(Memory(), read(STATE).intents, 1e9)
    assert memory.apps["id:org.videolan.VLC"].levels == {Kind.PLAYBACK: Level(volume=0.5, muted=True)}
    assert memory.apps["bin:rec"].levels == {Kind.CAPTURE: Level(volume=0.25)}
    again = from_wireplumber(STATE, memory, {})
    assert again.intents == ()
    assert len(again.present) == 3


def test_a_device_becomes_the_advice_to_make_a_rule() -> None:
    found = read(line("Output/Audio:application.name:mpv", '"target":"headset"'))
    assert "--match 'app_id=bin:mpv' --match direction=playback --to 'headset'" in reasons(found)


@pytest.mark.parametrize(
    "text",
    [
        "no key",
        "Output/Audio:application.name:x={",
        "Output/Audio:application.name:x=[1]",
        "Output/Audio:application.name:x=" + "[" * 100_000,
        "=",
        "\\",
        line("Output/Audio:application.name:x", '"channelVolumes":["a"]'),
        line("Output/Audio:application.name:x", '"channelVolumes":7'),
        line("Output/Audio:application.name:x", '"volume":NaN'),
        line("Output/Audio:application.name:x", '"volume":-1'),
        line("Output/Audio:application.name:x", '"volume":1e400'),
        line("Output/Audio:application.name:x", f'"volume":1{"0" * 400}'),
        line("Somewhere", ""),
    ],
)
def test_what_is_damaged_is_said_and_costs_nothing_else(text: str) -> None:
    found = read(text + "\n" + line("Output/Audio:application.name:mpv"))
    assert taken(found) == {"bin:mpv": 0.5}
    assert len(found.left_out) == 1


def test_to_peek_at_a_damaged_state_file_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert peek(path) == Memory()
    path.write_bytes(b"{\xff")
    assert peek(path) == Memory()
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
    assert path.read_bytes() == b"{\xff"


# gnome-pipewire-volume-mixer


def test_each_routing_rule_becomes_a_rule() -> None:
    firefox, why = from_mixer_config(MIXER).rules
    assert (firefox.name, firefox.to) == ("Imported: firefox", ("Game",))
    assert {c.field: c.patterns[0].text for c in firefox.conditions} == {
        "app": "firefox",
        "direction": "playback",
    }
    assert why.conditions[0].patterns[0].text == "Why? [live]"


def test_whatever_is_not_taken_is_named() -> None:
    said = reasons(from_mixer_config(MIXER + "[new]\nx = 1\n"))
    assert "virtual_sinks.colour of Game: not understood" in said
    assert "routing.default_sink: what no rule is for" in said
    assert "pwmixerctl default 'sink:Game'" in said
    assert "routing.rules.broken: not understood: must be a device in quotes" in said
    assert "new: not understood" in said
    assert "cache: " in said


def test_sinks_become_a_configuration_of_pipewire() -> None:
    sinks = from_mixer_config(MIXER).sinks
    assert 'node.name = "Game" media.class = Audio/Sink' in sinks
    assert r'node.description = "The \"games\""' in sinks
    assert 'node.description = "Voices"' in sinks
    assert from_mixer_config("[routing]\n").sinks == ""


def test_rules_that_are_there_are_not_added_again(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    rules = from_mixer_config(MIXER).rules
    add_rules(config, (), rules)
    kept = read_rules(rules_path(config))
    assert [rule.name for rule in kept] == ["Imported: firefox", "Imported: Why? [live]"]
    again = from_mixer_config(MIXER, kept)
    assert again.rules == ()
    assert len(again.present) == 2
    changed = from_mixer_config(MIXER.replace('firefox = "Game"', 'firefox = "Chat"'), kept)
    assert changed.rules == ()
    assert "there is another rule “Imported: firefox” already" in reasons(changed)
    assert not config.exists()


@pytest.mark.parametrize(
    "text", ["routing = 7", "virtual_sinks = [7]", 'virtual_sinks = "x"', "[routing]\nrules = 1"]
)
def test_a_value_of_a_wrong_kind_is_said_and_no_error(text: str) -> None:
    assert "not understood" in reasons(from_mixer_config(text))


@pytest.mark.parametrize("text", ["", "[stream-properties]\n", "= 7", "[log]\nlevel = 1\n"])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"TOML|gnome-pipewire-volume-mixer"):
        from_mixer_config(text)
