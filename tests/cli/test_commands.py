"""What the command line accepts, calls and returns, run as a program against a stand-in for the service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from cli_rig import Ctl, FakeService
from documents import DOCUMENT, EXPLANATION
from session import completed
from terminal import terminal

from pwmixer_dbus import cli
from pwmixer_dbus.cli import (
    UsageError,
    change,
    completion,
    config,
    doctor,
    importing,
    install,
    meter,
    printable,
    rules,
    show,
    stats,
    top,
    usage,
    watch,
    wire,
)
from pwmixer_dbus.cli.bars import follow
from pwmixer_dbus.cli.change import parse_amount, parse_change
from pwmixer_dbus.cli.commands import COMMANDS
from pwmixer_dbus.cli.parser import Parser
from pwmixer_dbus.cli.render import Terminal, cells
from pwmixer_dbus.cli.show import explanation, print_json, wants_color
from pwmixer_dbus.cli.usage import columns, overview

HEAVY = {
    "re",
    "json",
    "enum",
    "socket",
    "asyncio",
    "pydantic",
    "argparse",
    "dataclasses",
    "typing",
    "collections",
}
PARSED: tuple[Callable[[str, dict[str, str], list[str]], int], ...] = (
    *(change.run, doctor.run, follow.run, importing.run, install.run),
    *(meter.run, show.run, stats.run, top.run, watch.run),
)
"""What runs commands whose words have been parsed; mypy sees here that each takes what it is given."""

READERS: tuple[Callable[[str, list[str]], int], ...] = (completion.run, config.run, rules.run, usage.run)
"""What reads its words itself."""

CONTEXT = {"context": "pwmixerctl"}
STEPS = {**CONTEXT, "steps": True}


def test_each_module_of_a_command_is_given_what_it_takes() -> None:
    parsed, readers = ({run.__module__ for run in runs} for runs in (PARSED, READERS))
    modules = {f"{cli.__name__}.{command.module}" for command in COMMANDS.values()}
    assert readers == {f"{cli.__name__}.{module}" for module in cli._READERS}
    assert parsed == modules - readers


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("50%", (0.5, False)),
        ("0.5", (0.5, False)),
        ("1", (1.0, False)),
        ("150%", (1.5, False)),
        ("12.5%", (0.125, False)),
        (".5", (0.5, False)),
        ("0", (0.0, False)),
        ("+5%", (0.05, True)),
        ("5%+", (0.05, True)),
        ("-5%", (-0.05, True)),
        ("5%-", (-0.05, True)),
        ("+0.05", (0.05, True)),
        ("0.05-", (-0.05, True)),
    ],
)
def test_volumes_are_written_as_in_wpctl_and_pactl(written: str, meant: tuple[float, bool]) -> None:
    assert parse_change(written) == meant


@pytest.mark.parametrize(
    "written", ["50", "2", "", "%", ".", "1.2.3", "nan", "inf", "1e3", "0,5", "५०%", "+-5%", "5%%"]
)
def test_what_is_ambiguous_or_no_volume_is_refused(written: str) -> None:
    with pytest.raises(UsageError):
        parse_change(written)


def test_the_refusal_of_a_bare_number_says_what_to_write() -> None:
    with pytest.raises(UsageError, match="write 50%"):
        parse_amount("50")


@pytest.mark.parametrize(("written", "right"), [("-5", "-5%"), ("+5", r"\+5%"), ("5-", "5%-")])
def test_the_refusal_of_a_bare_step_keeps_its_sign(written: str, right: str) -> None:
    with pytest.raises(UsageError, match=f"write {right} "):
        parse_change(written)


def test_the_refusal_of_a_cap_says_how_it_is_taken_away(ctl: Ctl) -> None:
    refused = ctl("cap", "app:firefox", "none")
    assert refused.returncode == 2
    assert "'none' is not a volume; write it as 50% or 0.5. 'off' takes a cap away." in refused.stderr


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x9b1m\u202ec\nd") == "a[2Jb1mc d"


def test_what_joins_letters_or_emoji_stays_where_it_joins() -> None:
    family, word = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0645"
    assert printable(f"{family} {word}") == f"{family} {word}"
    assert printable("\u200da\u200db \u200cé\u200d\u200d\u202e\u200dc") == "ab é\u200dc"


def test_blanks_of_any_kind_keep_words_apart() -> None:
    assert printable("Bonjour\xa0! C\u202f? 夜\u3000曲") == "Bonjour ! C ? 夜 曲"


@pytest.mark.parametrize(
    ("words", "call", "printed"),
    [
        (["up"], ["AdjustVolume", "@sink", 1.0, STEPS], "50%\n"),
        (["up", "10%"], ["AdjustVolume", "@sink", 0.1, CONTEXT], "50%\n"),
        (["down", "app:firefox"], ["AdjustVolume", "app:firefox", -1.0, STEPS], "50%\n"),
        (["set", "30%"], ["SetVolume", "@sink", 0.3, CONTEXT], "30%\n"),
        (
            ["set", "", "30%"],
            ["SetVolume", "", 0.3, CONTEXT],
            "30%\n",
        ),  # which the service refuses as no target
        (["set", "@sink", "-5%"], ["AdjustVolume", "@sink", -0.05, CONTEXT], "50%\n"),
        (["set", "@sink", "120%"], ["SetVolume", "@sink", 1.2, CONTEXT], "100% (limited; 120% was asked)\n"),
        (["set", "@sink", "1", "-q"], ["SetVolume", "@sink", 1.0, CONTEXT], ""),
        (["up", "--no-osd"], ["AdjustVolume", "@sink", 1.0, {**STEPS, "quiet": True}], "50%\n"),
        (["up", "--limit=80%"], ["AdjustVolume", "@sink", 1.0, {**STEPS, "limit": 0.8}], "50%\n"),
        (["fade", "20%"], ["FadeVolume", "@sink", 0.2, 1000, CONTEXT], ""),
        (["fade", "app:firefox", "0", "-s", "2.5"], ["FadeVolume", "app:firefox", 0.0, 2500, CONTEXT], ""),
        (["fade", "1", "--seconds=9999999"], ["FadeVolume", "@sink", 1.0, 2**32 - 1, CONTEXT], ""),
        (["fade", "1", "--seconds", "9" * 400], ["FadeVolume", "@sink", 1.0, 2**32 - 1, CONTEXT], ""),
        (["undo"], ["Undo", 1], "1 undone\n"),
        (["undo", "3", "-q"], ["Undo", 3], ""),
        (["mute"], ["SetMuted", "@sink", "on", CONTEXT], "muted\n"),
        (["unmute", "@source"], ["SetMuted", "@source", "off", CONTEXT], "unmuted\n"),
        (["toggle"], ["SetMuted", "@sink", "toggle", CONTEXT], "unmuted\n"),
        (["default", "sink:usb.dac"], ["SetDefault", "sink:usb.dac"], ""),
        (["move", "app:firefox", "@sink"], ["Move", "app:firefox", "@sink", CONTEXT], "stream:5\n"),
        (["port", "@sink", "hp"], ["SetPort", "@sink", "hp"], ""),
        (["profile", "card:pci", "off"], ["SetProfile", "card:pci", "off"], ""),
        (["lock", "@source"], ["SetLock", "@source", True], ""),
        (["unlock", "@source"], ["SetLock", "@source", False], ""),
        (["cap", "app:firefox", "60%"], ["SetCap", "app:firefox", 0.6], ""),
        (["cap", "app:firefox", "off"], ["SetCap", "app:firefox", -1.0], ""),
        (["forget", "*"], ["Forget", "*"], ""),
        (["reload"], ["ReloadConfig"], ""),
        (["resolve", "pid:7"], ["Resolve", "pid:7"], "/org/pwmixer/Mixer/streams/5\n"),
        (["get"], ["Describe", {}], "45%\n"),
        (["get", "group:music"], ["Describe", {}], "45%\n"),
        (["list", "groups"], ["Describe", {}], "group:Music  45%  stream:5 stream:6\n"),
        (["list", "groups", "-f", "{name} {percent}"], ["Describe", {}], "Music 45\n"),
        (["get", "sink:usb.dac"], ["Describe", {}], "120% muted\n"),
        (["get", "app:*fire*", "--format", r"{name}\t{percent}"], ["Describe", {}], "Firefox\t45\n"),
        (
            ["list", "apps", "-f", "{selector:<22}{mute}|{streams}"],
            ["Describe", {}],
            "app:bin:firefox       |5,6\napp:name:my sdl game  |\n",
        ),
    ],
)
def test_each_command_makes_its_call(
    ctl: Ctl, fake_service: FakeService, words: list[str], call: list[object], printed: str
) -> None:
    result = ctl(*words)
    assert (result.stdout, result.stderr, result.returncode) == (printed, "", 0)
    assert fake_service.last_call() == call


def test_a_refusal_is_one_clean_sentence_and_exit_code_1(ctl: Ctl, fake_service: FakeService) -> None:
    result = ctl("up", "app:nobody")
    assert result.returncode == 1
    assert result.stderr == "pwmixerctl: Nothing is called “app:nobody” now.[31m\n"
    assert fake_service.last_call()[0] == "AdjustVolume"


@pytest.mark.usefixtures("fake_service")
def test_a_refusal_can_be_read_where_its_quotation_marks_cannot_be_shown(ctl: Ctl) -> None:
    told = ctl("up", "app:nobody", PYTHONIOENCODING="ascii").stderr
    assert told == 'pwmixerctl: Nothing is called "app:nobody" now.[31m\n'


@pytest.mark.usefixtures("fake_service")
def test_a_selector_that_means_nothing_is_exit_code_1(ctl: Ctl) -> None:
    assert ctl("get", "pid:12").returncode == 1
    assert ctl("get", "card:pci").returncode == 1


@pytest.mark.usefixtures("fake_service")
def test_json_is_json(ctl: Ctl) -> None:
    assert json.loads(ctl("describe").stdout)["generation"] == 12
    assert [s["name"] for s in json.loads(ctl("list", "sinks", "--json").stdout)] == ["speakers", "usb.dac"]
    assert json.loads(ctl("get", "--json").stdout)[0]["selector"] == "sink:speakers"
    assert json.loads(ctl("explain", "stream:5", "--json").stdout)["moved_by"] == "pactl"
    assert "\x1b" not in ctl("describe").stdout


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("apps", "No application plays or records."),
        ("groups", "There is no group; rules put streams into groups."),
        ("streams", "Nothing plays or records. --all lists what is left out."),
        ("sinks", "There is no output device."),
        ("sources", "There is no input device. --all lists what is left out."),
        ("cards", "There is no card."),
    ],
)
def test_where_there_is_nothing_to_list_that_is_said_beside_the_output(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, bus_address: str, kind: str, told: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    left_out = {
        "sources": [{**DOCUMENT["sources"][0], "monitor": True}],
        "streams": [{**DOCUMENT["streams"][0], "hidden": True}],
    }
    wire.call("Become", "s", json.dumps({key: [] for key in ("sinks", "apps", "groups", "cards")} | left_out))
    for words in (["list", kind], ["list", kind, "--format", "{name}"]):
        result = ctl(*words)
        assert (result.stdout, result.stderr, result.returncode) == ("", f"{told}\n", 0)
    result = ctl("list", kind, "--json")
    assert (json.loads(result.stdout), result.stderr) == ([], "")


@pytest.mark.usefixtures("fake_service")
def test_what_was_known_last_is_listed_and_called_so(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, bus_address: str
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus_address)
    wire.call("Become", "s", json.dumps({"connected": False, "cards": []}))
    told = ctl("list", "cards")
    assert (told.stdout, told.returncode) == ("", 0)
    assert told.stderr == "The sound server is not there at the moment; this is what was known last.\n"
    for words in (
        ["list", "groups"],
        ["list", "groups", "--json"],
        ["get"],
        ["get", "group:music", "--json"],
        ["describe"],
        ["describe", "@sink"],
        ["resolve", "pid:7"],
        ["explain", "stream:5"],
        ["status", "--json"],
    ):
        found = ctl(*words)
        assert (found.stderr, found.returncode) == (told.stderr, 0), words
        assert found.stdout, words
    drawn = ctl("status")
    assert (drawn.stdout.startswith(told.stderr), drawn.stderr) == (True, "")


@pytest.mark.usefixtures("fake_service")
def test_the_options_of_status_need_no_command(ctl: Ctl) -> None:
    for words in (["--json"], ["-a"], ["--color=never", "--all"], ["--service"]):
        bare, named = ctl(*words), ctl("status", *words)
        assert (bare.stdout, bare.stderr, bare.returncode) == (named.stdout, named.stderr, named.returncode)
    assert "There is no command '--jsno'" in ctl("--jsno").stderr


@pytest.mark.usefixtures("fake_service")
def test_explain_says_where_a_stream_is_and_should_be(ctl: Ctl) -> None:
    told = ctl("explain", "stream:5").stdout
    assert "stream:5 belongs to Firefox (bin:firefox)." in told
    assert "It is on speakers.\nIt should be on usb.dac." in told
    assert "prefers" not in told
    held = explanation({**EXPLANATION, "reason": "A program holds it where it is."})
    assert "\nIt should be on usb.dac.\nA program holds it where it is.\n" in held
    in_40 = explanation(EXPLANATION, Terminal(width=40)).splitlines()
    assert in_40[0] == "stream:5 belongs to Firefox"
    assert in_40[4:6] == ["  application.process.binary  firefox", "    decides"]
    for wish, told in (
        ("preference", "It is the device that its application prefers."),
        ("person", "Somebody wants it there, which counts before every rule."),
    ):
        assert f"\n{told}\n" in explanation({**EXPLANATION, "desired_by": wish})


@pytest.mark.parametrize(
    "words",
    [
        ["stauts"],
        ["up", "@sink", "5%", "more"],
        ["up", "@sink", "50"],
        ["set"],
        ["set", "@sink"],
        ["move", "app:x"],
        ["fade"],
        ["undo", "-1"],
        ["undo", "0"],
        ["undo", "٣"],
        ["stats", "--profile", "0"],
        ["stats", "--profile", "99999999999"],
        ["stats", "--profile", "9" * 5000],
        ["trace", "--last", "9" * 5000],
        ["rules", "move", "a", "0"],
        ["rules", "move", "a", "99999999999"],
        ["rules", "add", "--place", "-5"],
        ["fade", "+5%"],
        ["fade", "app:x", "50%", "--seconds", "soon"],
        ["list"],
        ["list", "things"],
        ["remember"],
        ["remember", "--hard", "app:x"],
        ["status", "--service", "--json"],
        ["rules"],
        ["rules", "sing"],
        ["rules", "remove"],
        ["rules", "list", "all"],
        ["config"],
        ["config", "sing"],
        ["config", "check", "--file"],
        ["completion"],
        ["up", "--loud"],
        ["up", "--quiet=yes"],
        ["get", "--format"],
        ["status", "--color", "blue"],
        ["completion", "tcsh"],
        ["help", "nothing"],
    ],
)
def test_wrong_usage_is_exit_code_2_without_a_bus(ctl: Ctl, words: list[str]) -> None:
    result = ctl(*words, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("pwmixerctl: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list"], "it is used as: pwmixerctl list apps|groups|streams|sinks|sources|cards [OPTIONS]"),
        (["list", "sink"], "'list' takes apps, groups, streams, sinks, sources, cards, not 'sink'."),
        (["set", "louder"], "'set louder' lacks a volume, such as 50% or +5%."),
        (["fade", "app:x"], "'fade app:x' lacks a volume, such as 20%."),
        (["follow", "@source"], "'follow' takes its target as an option: --target @source"),
        (["waybar", "a", "b"], "'waybar' has an argument too many; it is used as: pwmixerctl waybar [OPTIONS]"),
        (["set", "50%", "@sink"], "'set' takes the target before the volume, as in: pwmixerctl set @sink 5%"),
        (["up", "5", "%"], "'up' takes the target before the volume, as in: pwmixerctl up @sink 5%"),
        (["undo", "0"], "'0' is no number of steps; write it as 1 or 3."),
        (["up", "+5%"], "'up' takes an amount without a sign, such as 5%, not '+5%'."),
        (["down", "@sink", "5%-"], "'down' takes an amount without a sign, such as 5%, not '5%-'."),
        (["completion", "tcsh"], "'completion' takes bash, zsh, fish, not 'tcsh'."),
        (["config", "sing"], "'config' takes check, show, path, init, not 'sing'."),
        (["rules", "sing"], "'rules' takes list, add, edit, remove, move, test, suggest, enable, disable, not 'sing'."),
        (["rules", "test", "stream:1"], "'rules test' does not know stream:1; 'pwmixerctl rules test --help' says how it is used."),
        (["config", "--file=x", "check", "y"], "'config check' does not know y; 'pwmixerctl config check --help' says how it is used."),
        (["rules", "move", "A"], "required: PLACE; 'pwmixerctl rules move --help' says how it is used."),
    ],
)  # fmt: skip
def test_the_refusal_of_a_word_says_which_there_are(ctl: Ctl, words: list[str], told: str) -> None:
    assert told in ctl(*words).stderr


@pytest.mark.usefixtures("fake_service")
def test_the_volumes_of_several_stand_in_columns(ctl: Ctl) -> None:
    assert ctl("get", "app:*").stdout.splitlines() == [
        "app:bin:firefox       45%",
        "app:name:my sdl game  100%",
    ]


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize("template", ["{nothing}", "{volume", "{volume.x}", "{}", "{volume:q}"])
def test_a_wrong_template_is_exit_code_2(ctl: Ctl, template: str) -> None:
    result = ctl("get", "--format", template)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_a_misspelt_command_gets_a_suggestion(ctl: Ctl) -> None:
    assert "did you mean 'stats' or 'status'?" in ctl("stauts").stderr
    assert "did you mean 'unlock'?" in ctl("unlcok").stderr
    assert "did you mean 'set'?" in ctl("SET", "50%").stderr
    assert "did you mean 'set 50%'?" in ctl("50%").stderr
    assert "did you mean 'set +5%'?" in ctl("+5%").stderr
    assert "did you mean 'set -5%'?" in ctl("-5%").stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("set-sink-volume @DEFAULT_SINK@ 50%", "'set'"),
        ("set-mute @DEFAULT_AUDIO_SINK@ toggle", "'mute'"),
        ("toggle-mute", "'toggle' or 'mute'"),
        ("set-default-sink headset", "'default'"),
        ("move-sink-input 71 headset", "'move'"),
        ("get-volume @DEFAULT_AUDIO_SINK@", "'get'"),
        ("subscribe", "'watch'"),
        ("inspect 33", "'describe'"),
        ("volume 50%", "'set'"),
    ],
)
def test_what_is_typed_out_of_habit_leads_to_our_command(ctl: Ctl, words: str, meant: str) -> None:
    assert ctl(*words.split()).stderr.endswith(f"; did you mean {meant}?\n")


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize(
    ("words", "right"),
    [("mute on", "mute"), ("mute off", "unmute"), ("mute toggle", "toggle"), ("toggle mute", "toggle")],
)
def test_a_mode_behind_a_command_that_is_one_leads_to_that_command(ctl: Ctl, words: str, right: str) -> None:
    refused = ctl(*words.split())
    assert refused.stderr == (
        f"pwmixerctl: '{words.split()[1]}' is no target; 'pwmixerctl {right}' does that to the default output.\n"
    )
    assert refused.returncode == 2


def test_an_option_before_the_command_is_told_its_place(ctl: Ctl) -> None:
    assert (
        ctl("-q", "up").stderr == "pwmixerctl: There is no command '-q'; options stand behind the command.\n"
    )


def test_help_is_given_on_each_topic(ctl: Ctl) -> None:
    both = ctl("help", "up", "selectors").stdout
    assert both == f"{ctl('up', '--help').stdout}\n{ctl('help', 'selectors').stdout}"


@pytest.mark.parametrize("words", [["up"], ["status"], ["get"]])
def test_no_service_and_no_bus_are_exit_code_3(ctl: Ctl, words: list[str]) -> None:
    without_service = ctl(*words)
    without_bus = ctl(*words, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")
    assert (without_service.returncode, without_bus.returncode) == (3, 3)
    assert "'pwmixerctl install' has it started by itself" in without_service.stderr
    assert "no session bus" in without_bus.stderr


def test_every_command_has_help_with_an_example(ctl: Ctl) -> None:
    overview = ctl("--help").stdout
    for command in COMMANDS.values():
        assert command.hidden or command.examples
        assert command.hidden or command.summary in overview
    assert "pwmixerctl up @source 2%" in ctl("up", "--help").stdout
    assert ctl("help", "up").stdout == ctl("up", "-h").stdout
    assert "{app_name" in ctl("help", "templates").stdout
    assert "pid:N" in ctl("help", "selectors").stdout
    assert "recording" in ctl("help", "bars").stdout
    assert ctl("--version").stdout.startswith("pwmixerctl ")


def test_help_keeps_within_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        ("up [TARGET]", "raise the volume by one step"),
        ("rules " + "x" * 40, "see and change the rules"),
    )
    assert columns(rows).splitlines() == [
        "  up [TARGET]  raise the volume by one step",
        "  rules " + "x" * 40,
        "               see and change the rules",
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "35")
    assert columns(rows[:1]).splitlines() == ["  up [TARGET]  raise the volume by", "               one step"]
    monkeypatch.setenv("COLUMNS", "80")
    longest = max(map(len, overview().splitlines()))
    assert longest <= 80


@pytest.mark.parametrize("width", [30, 40, 60, 80])
@pytest.mark.parametrize("topic", ["selectors", "templates", "bars", *COMMANDS])
def test_all_help_keeps_within_a_terminal_but_for_what_is_typed(
    topic: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(["help", topic]) == 0
    typed = {" ".join((command.name, *command.arguments)) for command in COMMANDS.values()}
    said = [line for line in capsys.readouterr().out.splitlines() if "pwmixerctl " not in line[:22]]
    assert [
        line for line in said if cells(line) > width and not typed & {line.strip()} and " " in line.strip()
    ] == []


@pytest.mark.parametrize("parser", [config.parser(), rules.parser(), *rules.parsers().values()])
def test_help_of_actions_keeps_within_a_terminal(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = parser.format_help()
    monkeypatch.setenv("COLUMNS", "40")
    narrow = parser.format_help()
    assert max(map(len, narrow.splitlines())) <= 40
    assert narrow.split() == said.split()  # no word is broken


def test_a_terminal_that_cannot_show_a_name_shows_the_rest(ctl: Ctl) -> None:
    done = ctl("config", "path", "--file", "/Grün/config.toml", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "/Gr?n/config.toml\n")


def test_a_command_that_is_interrupted_is_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupted)
    assert cli.main(["reload"]) == 130


@pytest.mark.parametrize(
    ("options", "environment", "is_coloured"),
    [
        ({}, {}, True),
        ({}, {"NO_COLOR": "1"}, False),
        ({}, {"NO_COLOR": ""}, True),  # as no-color.org has it
        ({}, {"TERM": "dumb"}, False),
        ({"--color": "always"}, {"NO_COLOR": "1"}, True),
        ({"--color": "never"}, {}, False),
    ],
)
def test_colours_are_for_terminals_that_nobody_wants_without(
    options: dict[str, str],
    environment: dict[str, str],
    is_coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.environ", environment)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert wants_color(options) == is_coloured
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert wants_color(options) == ("always" in options.values())


@pytest.mark.usefixtures("fake_service")
def test_a_list_keeps_within_a_terminal_and_is_whole_for_a_program(
    ctl: Ctl, environment: dict[str, str]
) -> None:
    assert "Firefox - A video[2J" in ctl("list", "streams", COLUMNS="46").stdout
    with terminal() as (ours, theirs):
        command = ["pwmixerctl", "list", "streams"]
        subprocess.run(command, env={**environment, "COLUMNS": "46"}, stdout=theirs, check=True)
        lines = os.read(ours, 65536).decode().splitlines()
    assert "Firefox - A vi…" in lines[1]
    assert [cells(line) for line in lines] == [46, 45]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (40, ["pwmixerctl: There is no command", "'stauts'; did you mean 'stats' or", "'status'?"]),
        (0, ["pwmixerctl: There is no command 'stauts'; did you mean 'stats' or 'status'?"]),
    ],
)
def test_a_refusal_is_broken_between_words_for_a_person(
    environment: dict[str, str], columns: int, told: list[str]
) -> None:
    with terminal(columns) as (ours, theirs):
        subprocess.run(["pwmixerctl", "stauts"], env=environment, stderr=theirs, check=False)
        lines = os.read(ours, 65536).decode().splitlines()
    assert lines == told


@pytest.mark.usefixtures("fake_service")
def test_a_terminal_without_utf_8_gets_ascii(ctl: Ctl) -> None:
    drawn = ctl("status", PYTHONIOENCODING="ascii").stdout
    assert drawn.isascii()
    assert "####" in drawn
    assert "####" not in ctl("status").stdout


@pytest.mark.usefixtures("fake_service")
def test_what_a_terminal_cannot_show_takes_the_place_that_it_would_take(ctl: Ctl) -> None:
    drawn = [line for line in ctl("status", PYTHONIOENCODING="ascii").stdout.splitlines() if "%" in line]
    assert any("USB DAC ??????" in line for line in drawn)
    assert len({line.index("%") for line in drawn}) == 1


def test_json_is_escaped_where_a_terminal_could_obey_it(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("\u202e\x9b2J", "é\u200dé"):
        print_json({"name": name})
        printed = capsys.readouterr().out
        assert printed.replace("\n", "").replace("\u200d", "").isprintable()
        assert json.loads(printed) == {"name": name}
    assert "é\u200dé" in printed


@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [("> /dev/full", 1, "pwmixerctl: No space left on device\n"), (">&-", 0, "")],
)
def test_an_output_that_cannot_be_written_or_is_closed_is_no_traceback(
    redirection: str, code: int, told: str, environment: dict[str, str]
) -> None:
    for words in ("help", "completion zsh", "config path"):
        command = ["sh", "-c", f"pwmixerctl {words} {redirection}"]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, told)


def test_a_refusal_is_no_output_where_errors_have_no_place(environment: dict[str, str]) -> None:
    command = ["sh", "-c", "pwmixerctl nonsense 2>&-"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_reader_that_leaves_early_is_no_error(environment: dict[str, str]) -> None:
    line = "pwmixerctl --help | true; echo ${PIPESTATUS[0]}"
    result = completed("bash", "-c", line, env=environment, check=True)
    assert (result.stdout, result.stderr) == ("0\n", "")


@pytest.mark.usefixtures("fake_service")
@pytest.mark.parametrize("words", ["up", "down", "set 50%", "mute", "toggle", "move a b", "default x"])
def test_a_key_binding_imports_nothing_heavy(environment: dict[str, str], words: str) -> None:
    program = (
        "import sys; before = set(sys.modules); from pwmixer_dbus.cli import main; "
        f"main({words.split()!r}); print(*sorted(set(sys.modules) - before))"
    )
    result = completed(
        *(sys.executable, "-I", "-S", "-c"),
        f"import sys; sys.path.append({environment['PYTHONPATH']!r}); {program}",
        env=environment,
        check=True,
    )
    loaded = set(result.stdout.splitlines()[-1].split())
    assert not loaded & HEAVY
    assert len(loaded) < 20, loaded
