"""Which application a stream belongs to: what real programs show of themselves, and what has gone wrong elsewhere."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwmixer_dbus.core.identity import ID_LIMIT, Evidence, evidence_for, identify, is_sandboxed
from pwmixer_dbus.core.model import Client, Kind, Process, Stream, clean

RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "app_properties.json").read_text(encoding="utf-8")
)
EXPECTED = {
    "paplay": ("bin:paplay", "paplay"),
    "paplay --property": ("id:org.mozilla.firefox", "Firefox"),
    "parecord": ("bin:parecord", "parecord"),
    "pw-play": ("bin:pw-play", "pw-play"),
    "pw-play -P": ("bin:hl2_linux", "Half-Life"),
    "pw-cat raw": ("bin:pw-cat", "pw-cat"),
    "pw-record": ("bin:pw-record", "pw-record"),
    "gst pulsesink": ("bin:gst-launch-1.0", "gst-launch-1.0"),
    "gst pulsesink props": ("name:rhythmbox", "Rhythmbox"),
    "mpv --ao=pulse": ("bin:mpv", "mpv"),
    "mpv --ao=pipewire": ("bin:mpv", "mpv"),
    "ffplay (SDL pulse)": ("bin:ffplay", "ffplay"),
    "ffmpeg -f pulse": ("bin:ffmpeg", "ffmpeg"),
    "pygame (SDL pulse)": ("stream:playback-453", "python3.11"),
    "pygame (SDL pulse, SDL_AUDIO_DEVICE_APP_NAME)": ("name:my-sdl-game", "My SDL Game"),
    "sox play": ("bin:sox", "SoX"),
    "vlc": ("id:org.VideoLAN.VLC", "VLC media player"),
    "aplay -D pulse": ("bin:aplay", "aplay"),
    "aplay -D pipewire": ("bin:aplay", "aplay"),
    "firefox-esr --headless": ("bin:firefox-esr", "Firefox"),
    "firefox-esr two tabs": ("bin:firefox-esr", "Firefox"),
    "firefox-esr WebRTC call": ("bin:firefox-esr", "Firefox"),
    "chromium --headless=new": ("bin:chromium", "Chromium"),
    "chromium two sounds one page": ("bin:chromium", "Chromium"),
    "paplay as flatpak (bwrap)": ("flatpak:com.spotify.Client", "Spotify"),
}
SHORT = {
    "app": "application.name",
    "binary": "application.process.binary",
    "media": "media.name",
    "node": "node.name",
}


def props(**short: str) -> dict[str, str]:
    """Spell property names out: app, binary, media and node are short for the usual ones, `_` stands for `.`."""
    return {SHORT.get(key, key.replace("_", ".")): value for key, value in short.items()}


class Found(NamedTuple):
    """What a stream counts as, and why."""

    app_id: str
    name: str
    icon_name: str
    evidence: tuple[Evidence, ...]


def who(
    stream: dict[str, str],
    client: dict[str, str] | None = None,
    process: Process | None = None,
    *,
    index: int = 7,
    aliases: dict[str, str] | None = None,
) -> Found:
    owner = None if client is None else Client(index=3, properties=client)
    record = Stream(kind=Kind.PLAYBACK, index=index, client=3, properties=stream, process=process)
    identity = identify(record, owner, aliases or {})
    evidence = evidence_for(record, owner, aliases or {})
    return Found(identity.app_id, identity.name, identity.icon_name, evidence)


def started(comm: str, unit: str = "", steam: str = "", command: tuple[str, ...] = ()) -> Process:
    return Process(pid=4711, comm=comm, unit=unit, steam_app=steam, command=command)


def verdict(found: Found, source: str) -> str:
    return next(fact.verdict for fact in found.evidence if fact.source == source)


@pytest.mark.parametrize("program", sorted(EXPECTED))
def test_a_recorded_program_is_recognised(program: str) -> None:
    entry = RECORDED[program]
    for stream in entry["streams"]:
        record = Stream(kind=Kind(stream["kind"]), index=stream["index"], properties=stream["properties"])
        client = Client(index=stream["client"], properties=entry["clients"][str(stream["client"])])
        found = identify(record, client)
        assert (found.app_id, found.name) == EXPECTED[program]


def test_every_recorded_program_has_an_expectation() -> None:
    assert set(RECORDED) == set(EXPECTED)


# --- our own tag and the user's aliases ---


def test_a_tag_beats_everything_and_names_the_application() -> None:
    found = who(
        props(app="mpv", binary="mpv", pwmixer_app="Night Music"),
        props(pipewire_access_portal_app__id="x.y.z"),
    )
    assert (found.app_id, found.name) == ("tag:night-music", "Night Music")


def test_an_alias_replaces_the_id_that_would_result() -> None:
    discord = {"pipewire.access.portal.app_id": "com.discordapp.Discord", **props(app="Discord")}
    found = who(discord, aliases={"flatpak:com.discordapp.Discord": "bin:discord"})
    assert (found.app_id, found.name) == ("bin:discord", "Discord")
    assert [fact.verdict for fact in found.evidence][:2] == ["used", "used, then renamed to bin:discord"]


def test_an_alias_that_is_no_id_is_a_name_of_the_users_own() -> None:
    found = who(props(binary="mpv"), aliases={"bin:mpv": "My Music"})
    assert (found.app_id, found.name) == ("tag:my-music", "My Music")


def test_aliases_do_not_chain_and_an_empty_one_is_none() -> None:
    assert who(props(binary="a1"), aliases={"bin:a1": "bin:b2", "bin:b2": "bin:c3"}).app_id == "bin:b2"
    assert who(props(binary="a1"), aliases={"bin:a1": "  "}).app_id == "bin:a1"


def test_an_unknown_stream_cannot_be_aliased() -> None:
    assert who(props(app="audio-src"), aliases={"stream:playback-7": "bin:mpv"}).app_id == "stream:playback-7"


# --- sandboxes ---


def test_a_native_flatpak_is_known_by_its_client_alone() -> None:
    client = {"pipewire.access.portal.app_id": "com.spotify.Client", **props(app="spotify", binary="spotify")}
    found = who(props(app="audio-src", node="audio-src"), client)
    assert (found.app_id, found.name) == ("flatpak:com.spotify.Client", "spotify")
    assert found.icon_name == "com.spotify.Client"


def test_a_sandboxed_stream_cannot_claim_another_flatpak_than_its_clients() -> None:
    mine, other = ({"pipewire.access.portal.app_id": app} for app in ("org.me.Me", "org.other.Other"))
    assert who(other, mine).app_id == "flatpak:org.me.Me"


def test_a_game_in_steams_flatpak_is_the_game_and_steam_is_steam() -> None:
    steam = {"pipewire.access.portal.app_id": "com.valvesoftware.Steam"}
    assert who(steam | props(app="Half-Life", binary="hl2_linux")).app_id == "bin:hl2_linux"
    assert who(steam | props(app="Game.exe", binary="wine64-preloader")).app_id == "name:game"
    assert (
        who(steam | props(app="Chromium", binary="steamwebhelper")).app_id
        == "flatpak:com.valvesoftware.Steam"
    )
    assert who(steam | props(app="", binary="wine64-preloader")).app_id == "flatpak:com.valvesoftware.Steam"


@pytest.mark.parametrize("snap", ["spotify", "snap.spotify.spotify"])
def test_a_snap_is_known_by_its_name(snap: str) -> None:
    assert who({"pipewire.snap.id": snap, **props(binary="spotify")}).app_id == "snap:spotify"


def test_a_snaps_unit_names_it_but_not_what_its_terminal_starts() -> None:
    firefox = started("firefox", "snap.firefox.firefox-0c4e.scope")
    assert who(props(binary="firefox"), None, firefox).app_id == "snap:firefox"
    telegram = started("Telegram", "snap.telegram-desktop.telegram-desktop-0c4e.scope")
    assert who(props(binary="Telegram"), None, telegram).app_id == "snap:telegram-desktop"
    mpv = started("mpv", "snap.code.code-0c4e.scope")
    assert who(props(binary="mpv"), None, mpv).app_id == "bin:mpv"


def test_a_flatpaks_unit_names_it_where_the_server_does_not() -> None:
    process = started("telegram-deskto", "app-flatpak-org.telegram.desktop-1234.scope")
    found = who(props(binary="telegram-desktop"), None, process)
    assert found.app_id == "flatpak:org.telegram.desktop"


@pytest.mark.parametrize(
    "mark",
    [
        {"pipewire.access.portal.app_id": "a.b.c"},
        {"pipewire.snap.id": "x"},
        {"pipewire.access": "flatpak"},
        {"pipewire.client.access": "snap"},
        {"pipewire.sec.flatpak": "true"},
    ],
)
def test_any_mark_of_a_sandbox_counts(mark: dict[str, str]) -> None:
    assert is_sandboxed(mark)
    assert not is_sandboxed({"pipewire.access": "unrestricted"})


# --- the process ---


def test_a_sandboxed_process_id_is_not_trusted() -> None:
    client = props(pipewire_access="flatpak", binary="game")
    found = who({}, client, started("game", steam="440"))
    assert found.app_id == "bin:game"
    assert verdict(found, "process comm") == "not trusted: sandboxed"


def test_a_process_with_another_name_is_not_trusted() -> None:
    found = who(props(binary="vesktop"), None, started("bwrap", steam="440"))
    assert found.app_id == "bin:vesktop"
    assert verdict(found, "process comm") == "not trusted: comm says bwrap"


def test_a_name_that_the_kernel_cut_still_agrees() -> None:
    found = who(props(binary="averylongprogramname"), None, started("averylongprogra", steam="440"))
    assert found.app_id == "steam:440"


def test_a_renamed_thread_agrees_by_its_first_argument() -> None:
    assert (
        who(props(binary="firefox"), None, started("GeckoMain", steam="440", command=("firefox",))).app_id
        == "steam:440"
    )


def test_without_a_binary_only_the_kernel_can_vouch_for_a_process() -> None:
    vouched = props(pipewire_sec_pid="4711")
    assert who({}, vouched, started("x", steam="440")).app_id == "steam:440"
    assert who({}, {}, started("x", steam="440")).app_id == "stream:playback-7"


def test_the_clients_process_serves_where_the_stream_has_none() -> None:
    client = Client(index=1, properties=props(binary="hl2_linux"), process=started("hl2_linux", steam="220"))
    assert identify(Stream(kind=Kind.CAPTURE, index=1), client).app_id == "steam:220"


def test_a_proton_game_is_its_steam_number() -> None:
    process = started("Cyberpunk2077.e", steam="1091500", command=("Cyberpunk2077.exe",))
    found = who(props(app="Cyberpunk2077.exe", binary="wine64-preloader"), None, process)
    assert (found.app_id, found.name) == ("steam:1091500", "Cyberpunk2077")
    assert found.icon_name == "steam_icon_1091500"


def test_a_steam_unit_serves_where_the_environment_cannot_be_read() -> None:
    process = started("hl2_linux", "app-steam-app220-4711.scope")
    assert who(props(binary="hl2_linux"), None, process).app_id == "steam:220"


def test_a_program_of_steams_that_is_no_game_keeps_its_own_name() -> None:
    assert who(props(binary="retroarch"), None, started("retroarch", steam="0")).app_id == "bin:retroarch"


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "vte-spawn-5b1c.scope",
        "tmux-spawn-5b1c.scope",
        "app-gnome-org.gnome.Terminal-99.scope",
        "app-kitty-99.scope",
        "app-org.kde.konsole@5b1c.service",
        "app-gnome-code-99.scope",
        "app-gnome-mpv-99.scope",
        "app-gnome-io.mpv.Mpv-99.scope",
        "session-2.scope",
    ],
)
def test_a_program_is_the_same_from_the_menu_and_from_any_terminal(unit: str) -> None:
    assert who(props(app="mpv", binary="mpv"), None, started("mpv", unit)).app_id == "bin:mpv"


@pytest.mark.parametrize(
    ("unit", "app_id"),
    [
        ("app-gnome-obsidian-4711.scope", "bin:obsidian"),
        ("app-gnome-md.obsidian.Obsidian-4711.scope", "id:md.obsidian.Obsidian"),
        ("app-gnome-tidal\\x2dhifi-4711.scope", "bin:tidal-hifi"),
        ("app-tidal\\x2dhifi@5b1c.service", "bin:tidal-hifi"),
        ("app-KDE-org.foo.Bar@autostart.service", "id:org.foo.Bar"),
        ("app-org.foo.Bar.service", "id:org.foo.Bar"),
        ("dbus-:1.2-org.gnome.Weather@0.service", "id:org.gnome.Weather"),
        ("app-gnome-org.gnome.Terminal-4711.scope", "stream:playback-7"),
        ("app-Hyprland-kitty-4711.scope", "stream:playback-7"),
        ("app-gnome-jetbrains\\x2didea-4711.scope", "stream:playback-7"),
        ("vte-spawn-5b1c.scope", "stream:playback-7"),
        ("app-.scope", "stream:playback-7"),
        ("app-gnome-\\xff-1.scope", "stream:playback-7"),
    ],
)
def test_a_unit_names_an_electron_application_unless_it_is_a_terminals(unit: str, app_id: str) -> None:
    assert who(props(app="Chromium", binary="electron"), None, started("electron", unit)).app_id == app_id


def test_another_applications_unit_says_so() -> None:
    found = who(props(binary="mpv"), None, started("mpv", "app-gnome-org.gnome.Terminal-99.scope"))
    assert verdict(found, "process unit") == "another program's unit"


# --- Electron, Wine, interpreters ---


def test_two_electron_apps_stay_two() -> None:
    chromium = props(app="Chromium", binary="electron", media="Playback", node="Chromium")
    one = who(chromium, None, started("electron", command=("electron", "obsidian")), index=1)
    two = who(chromium, None, started("electron", command=("electron32", "signal-desktop")), index=2)
    assert [one.app_id, two.app_id] == ["bin:obsidian", "bin:signal-desktop"]
    assert one.name == "Obsidian"


def test_two_electron_apps_that_show_nothing_stay_two() -> None:
    chromium = props(app="Chromium", binary="electron", media="Playback", node="Chromium")
    ids = {who(chromium, chromium, index=index).app_id for index in range(5)}
    assert ids == {f"stream:playback-{index}" for index in range(5)}


def test_an_electron_app_may_be_known_by_its_icon() -> None:
    assert (
        who(props(app="Chromium", binary="electron", application_icon__name="x")).app_id
        == "stream:playback-7"
    )
    icon = {"application.icon_name": "vesktop"}
    assert who(props(app="Chromium", binary="electron") | icon).app_id == "bin:vesktop"
    assert (
        who(props(app="Chromium", binary="electron") | {"application.icon_name": "chromium-browser"}).name
        == "Chromium"
    )


def test_discords_voice_and_its_sounds_are_one_application() -> None:
    voice = who(props(app="WEBRTC VoiceEngine", binary="Discord", media="playStream"))
    sounds = who(
        props(app="Chromium", binary="Discord", media="Playback")
        | {"application.icon_name": "chromium-browser"}
    )
    assert (voice.app_id, voice.name, voice.icon_name) == ("bin:discord", "Discord", "discord")
    assert (sounds.app_id, sounds.name, sounds.icon_name) == ("bin:discord", "Discord", "discord")


def test_spotify_is_known_by_its_client() -> None:
    found = who(
        props(app="audio-src", node="audio-src", media="audio-src"), props(app="spotify", binary="spotify")
    )
    assert (found.app_id, found.name) == ("bin:spotify", "spotify")


def test_a_wine_program_is_its_windows_name() -> None:
    found = who(props(app="Game.exe", binary="wine64-preloader"))
    assert (found.app_id, found.name) == ("name:game", "Game")


def test_a_wine_program_without_a_name_is_known_by_its_process() -> None:
    process = started("DELTARUNE.exe", command=("DELTARUNE.exe",))
    assert who(props(app="", binary="wine64-preloader", node=""), None, process).app_id == "name:deltarune"
    assert who(props(app="", binary="wine64-preloader", node="")).app_id == "stream:playback-7"


def test_a_script_names_itself_only_if_the_application_does_not() -> None:
    process = started("python3", command=("python3", "mygame.py"))
    assert who(props(app="python3.11", binary="python3.11"), None, process).app_id == "bin:mygame"
    assert who(props(app="Lutris", binary="python3.11"), None, process).app_id == "name:lutris"
    java = started("java", command=("java", "Minecraft.jar"))
    assert who(props(app="ALSA plug-in [java]", binary="java"), None, java).app_id == "bin:minecraft"


# --- binaries and names ---


@pytest.mark.parametrize(
    ("binary", "app_id"),
    [
        (".firefox-wrapped", "bin:firefox"),
        ("..firefox-wrapped", "bin:firefox"),
        ("firefox-bin", "bin:firefox"),
        ("firefox (deleted)", "bin:firefox"),
        ("/opt/app/bin/Spotify", "bin:spotify"),
        ("Ferdium-6.7.0-x86_64.AppImage", "bin:ferdium"),
        ("Cider-linux-appimage-x64.AppImage", "bin:cider"),
        ("hollow_knight.x86_64", "bin:hollow_knight"),
        ("foobar2000.exe", "bin:foobar2000"),
        ("steamwebhelper", "bin:steam"),
        ("vivaldi-bin", "bin:vivaldi"),
        ("winamp", "bin:winamp"),
        ("Größe", "bin:grösse"),
    ],
)
def test_a_binary_is_reduced_to_its_program(binary: str, app_id: str) -> None:
    assert who(props(binary=binary)).app_id == app_id


@pytest.mark.parametrize(
    "binary",
    ["electron", "electron32", "java", "python3", "python3.11", "wine", "wine64", "wine-preloader", "wine64-preloader",
     "plugin-container", "bwrap", "pipewire", "node", "bash", "ld-linux-x86-64.so.2", "-bin", ".exe", "1234"],
)  # fmt: skip
def test_a_generic_binary_names_nobody(binary: str) -> None:
    found = who(props(binary=binary))
    assert found.app_id == "stream:playback-7"
    assert verdict(found, "stream application.process.binary") == "generic"


@pytest.mark.parametrize(
    ("name", "app_id"),
    [
        ("ZOOM VoiceEngine", "name:zoom"),
        ("ALSA plug-in [aplay]", "bin:aplay"),
        ("ALSA plug-in [doom.x86_64]", "name:doom"),
        ("PipeWire ALSA [Doom]", "name:doom"),
        ("VLC media player (LibVLC 3.0.24)", "name:vlc-media-player"),
        ("Audacity 3.4.2", "name:audacity"),
        ("Half-Life 2", "name:half-life-2"),
        ("Game.exe", "name:game"),
        ("  OBS   Studio ", "name:obs-studio"),
        ("a*b?[c]{d}$(e)", "name:a-b-c-d-e"),
        ("音楽 プレーヤー", "name:音楽-プレーヤー"),
    ],
)
def test_a_name_is_translated(name: str, app_id: str) -> None:
    assert who(props(app=name)).app_id == app_id


@pytest.mark.parametrize(
    "name",
    ["", " ", "WEBRTC VoiceEngine", "Chromium", "Chromium input", "audio-src", "AudioStream", "Playback", "audio stream #3",
     "SDL Application", "FMOD Ex App", "OpenAL Soft", "libcanberra", "ALSA plug-in [python3.11]", "Lavf59.27.100",
     "QtPulseAudio:4711", "python3.11", "output.loopback-4711-19", "ALSA plug-in []", "ALSA Playback", "12345"],
)  # fmt: skip
def test_a_generic_name_names_nobody(name: str) -> None:
    assert who(props(app=name, node=name)).app_id == "stream:playback-7"


def test_an_empty_string_is_absent() -> None:
    found = who(props(app="", binary="", node="", media="", application_id=""), props(app="", binary="mpv"))
    assert found.app_id == "bin:mpv"
    assert [fact.source for fact in found.evidence] == ["client application.process.binary"]


def test_an_application_id_beats_the_binary_and_a_plain_one_is_the_programs_name() -> None:
    assert who(props(binary="vlc", application_id="org.videolan.VLC")).app_id == "id:org.videolan.VLC"
    assert who(props(application_id="mpv")).app_id == "bin:mpv"
    assert who(props(application_id="firefox.desktop")).app_id == "bin:firefox"
    assert who(props(application_id="python3.11", app="My Game")).app_id == "name:my-game"


def test_two_players_that_were_given_names_are_two_applications() -> None:
    discord, spotify = (who(props(app=name, binary="pacat", node=name)) for name in ("Discord", "Spotify"))
    assert (discord.app_id, spotify.app_id) == ("name:discord", "name:spotify")
    assert discord.name == "Discord"


def test_the_streams_own_name_beats_the_tools_client() -> None:
    client = props(app="pw-cat", binary="pw-cat")
    assert who(props(app="Half-Life"), client).app_id == "name:half-life"
    assert who(props(app="pw-play"), client).app_id == who(props(app="pw-play"), None).app_id == "bin:pw-play"


def test_a_node_name_is_the_last_resort() -> None:
    assert who(props(app="Chromium", node="my synth")).app_id == "node:my-synth"
    assert who(props(node="alsa_playback.zsnes")).app_id == "node:zsnes"


def test_a_title_names_an_unknown_stream_but_never_identifies_it() -> None:
    found = who(props(app="Chromium", media="Cat Video"), index=9)
    assert (found.app_id, found.name) == ("stream:playback-9", "Cat Video")
    assert verdict(found, "stream media.name") == "names it, but never identifies"


def test_a_title_does_not_name_a_known_application() -> None:
    process = started("electron", command=("electron", "obsidian"))
    assert who(props(app="Chromium", binary="electron", media="Cat Video"), None, process).name == "Obsidian"


def test_the_unknown_are_never_merged() -> None:
    playback = identify(Stream(kind=Kind.PLAYBACK, index=1), None)
    capture = identify(Stream(kind=Kind.CAPTURE, index=1), None)
    assert (playback.app_id, capture.app_id, playback.name) == (
        "stream:playback-1",
        "stream:capture-1",
        "Unknown",
    )


def test_what_a_process_says_twice_is_one_piece_of_evidence() -> None:
    found = who(props(binary="mpv"), None, started("mpv", command=("mpv", "song.ogg")))
    said = [fact.value for fact in found.evidence if fact.source == "process command"]
    assert said == ["mpv", "song.ogg"]


def test_the_evidence_stands_strongest_first_and_says_what_became_of_it() -> None:
    found = who(
        props(app="Firefox", binary="firefox", node="Firefox"), props(app="Firefox", binary="firefox")
    )
    assert [(fact.source, fact.value, fact.verdict) for fact in found.evidence] == [
        ("stream application.process.binary", "firefox", "used"),
        ("stream application.name", "Firefox", "weaker"),
        ("stream node.name", "Firefox", "weaker"),
    ]


@pytest.mark.parametrize(
    "key", ["application.name", "application.process.binary", "application.id", "pwmixer.app"]
)
def test_hostile_text_is_cut_and_cleaned(key: str) -> None:
    hostile = clean("x\x00\x1b[31m\n\u202e\ud800* ?" * 1000)
    found = who({key: hostile, "application.icon_name": hostile})
    assert len(found.app_id) <= ID_LIMIT
    assert not set(found.app_id) & set("\x00\x1b\n *?[]\u202e\ud800")
    texts = [
        found.name,
        found.icon_name,
        *(text for fact in found.evidence for text in (fact.value, fact.verdict)),
    ]
    assert all(len(text) <= 512 and clean(text) == text for text in texts)


@pytest.mark.parametrize(
    "unit",
    [
        "-1.1",
        ".1_1",
        " (1",
        "(",
        " ",
        "-1-1",
        ".exe",
        " (deleted)",
        "-x86_64",
        ".a",
        "wine-preloader",
        "libav1",
        "\\x2d",
    ],
)
@pytest.mark.parametrize("end", ["", "!", ".AppImage", "!.AppImage"])
def test_no_hostile_name_takes_long(unit: str, end: str) -> None:
    hostile = "a" + unit * (512 // len(unit)) + end
    keys = [
        "application.name",
        "application.process.binary",
        "application.id",
        "application.icon_name",
        "node.name",
    ]
    process = started(hostile, f"app-gnome-{hostile}-1.scope", command=(hostile, hostile))
    before = time.process_time()
    who(dict.fromkeys(keys, hostile[-512:]), None, process)
    assert time.process_time() - before < 0.2


# --- for any properties at all ---

Text = dict[str, str]
TEXTS = st.text(st.characters(), max_size=40).map(clean) | st.sampled_from(
    [
        "electron",
        "Chromium",
        "mpv",
        "org.mozilla.firefox",
        "ALSA plug-in [x]",
        "wine64-preloader",
        "pacat",
        "",
        "4711",
    ]
)
KEYS = st.sampled_from(
    ["application.name", "application.process.binary", "application.id", "application.icon_name", "node.name",
     "media.icon_name", "pwmixer.app", "pipewire.access", "pipewire.access.portal.app_id", "pipewire.snap.id"]
)  # fmt: skip
PROPERTIES = st.dictionaries(KEYS, TEXTS, max_size=6) | st.dictionaries(TEXTS, TEXTS, max_size=3)
PROCESSES = st.none() | st.builds(
    Process,
    pid=st.integers(1, 99999),
    comm=TEXTS,
    unit=TEXTS | st.from_regex(r"app(-[a-z]+)?-[a-z.\\]+(-\d+\.scope|@x\.service)", fullmatch=True),
    steam_app=TEXTS,
    command=st.lists(TEXTS, max_size=3).map(tuple),
)


@given(PROPERTIES, PROPERTIES, PROCESSES, st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_any_properties_give_one_legal_id(
    ours: Text, theirs: Text, process: Process | None, aliases: Text
) -> None:
    found = who(ours, theirs, process, aliases=aliases)
    assert found == who(ours, theirs, process, aliases=aliases)
    assert 0 < len(found.app_id) <= ID_LIMIT
    assert found.name
    assert clean(found.app_id) == found.app_id
    used = [fact for fact in found.evidence if fact.verdict.startswith("used")]
    assert bool(used) is not found.app_id.startswith("stream:playback-")
    assert not any(letter.isspace() or letter in "*?[]{}'\"`$&;|<>()\\/!,#~" for letter in found.app_id)


@given(PROPERTIES, PROPERTIES, TEXTS, st.integers(0, 9999), st.integers(1, 99999))
def test_title_index_and_pid_change_nothing_that_is_known(
    ours: Text, theirs: Text, title: str, index: int, pid: int
) -> None:
    before = who(ours, theirs)
    after = who(ours | {"media.name": title, "application.process.id": str(pid)}, theirs, index=index)
    if before.app_id.startswith("stream:"):
        assert after.app_id == f"stream:playback-{index}"
    else:
        assert (after.app_id, after.name) == (before.app_id, before.name)


@given(PROPERTIES)
def test_an_id_is_its_own_alias(ours: Text) -> None:
    found = who(ours).app_id
    assert found.startswith("stream:") or who(ours, aliases={found: found}).app_id == found
