"""`pwmixerctl rules` and `remember`, against the real service, and the words in which they speak."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from cli_rig import run, said
from service import CTL, Service
from session import completed

from pwmixer_dbus.cli.render import Terminal
from pwmixer_dbus.cli.rule_words import (
    actions_in_words,
    conditions_in_words,
    forecast,
    listing,
    rehearsal,
    trials,
)

YOUTUBE = (
    "--name",
    "YouTube",
    "--match",
    "app=firefox",
    "--match",
    "media_name=*YouTube*",
    "--to",
    "*headset*",
)


def refused(service: Service, *words: str, stdin: str = "", **environment: str) -> str:
    """Run a command that the service has to refuse, and return its sentence."""
    result = run(service, *words, stdin=stdin, **environment)
    assert (result.returncode, result.stdout) == (1, "")
    return result.stderr.strip()


def names(service: Service) -> list[str]:
    return [rule["name"] for rule in json.loads(said(service, "rules", "list", "--json"))]


def editor(service: Service, script: str, *, first: str = "") -> str:
    """Make an editor that does what a line of sed says, and something else before."""
    program = service.session.runtime / "editor"
    program.write_text(f'#!/bin/sh\n{first}\nexec sed -i "{script}" "$1"\n')
    program.chmod(0o755)
    return str(program)


# Words


def test_a_rule_reads_as_a_sentence() -> None:
    match = {"app": ["firefox", "chromium", "!*beta*"], "property:media.role": [""]}
    assert (
        conditions_in_words(match) == "app is firefox or chromium but is not *beta* and media.role is missing"
    )
    rule = {"to": ["A", "B"], "force": True, "volume": 0.5, "locked": True, "max_volume": 0.8, "muted": False}
    assert list(actions_in_words(rule)) == [
        "to A, else B even if pinned",
        "held at 50%",
        "at most 80%",
        "starts unmuted",
    ]
    more = {"group": "Chat", "display_name": "X", "icon": "y", "hide": True, "ignore": True, "continue": True}
    assert list(actions_in_words(more)) == [
        *("in group Chat", "shown as X", "with icon y", "hidden", "left alone", "then the rules below"),
    ]


def test_the_list_shows_the_order_and_the_files_in_columns() -> None:
    rules: list[dict[str, Any]] = [
        {"name": "A", "match": {"app": ["a"]}, "to": ["x"], "origin": "config"},
        {"name": "Longer", "match": {"role": ["game"]}, "enabled": False, "origin": "service"},
    ]
    assert listing(rules).splitlines() == [
        "   RULE          WHEN          THEN     FROM",
        "1  A             app is a      to x     config.toml",
        "2  Longer (off)  role is game  nothing  rules.toml",
    ]
    assert listing(rules, Terminal(width=30)).splitlines() == [
        "1  A",
        "  app is a",
        "  to x",
        "  config.toml",
        "2  Longer (off)",
        "  role is game",
        "  nothing",
        "  rules.toml",
    ]
    assert "no rules" in listing([])


def test_a_forecast_says_where_each_stream_is_and_will_be() -> None:
    state = {
        "sinks": [{"name": "a.b", "description": "Speakers"}, {"name": "h", "description": "Headset"}],
        "sources": [],
        "streams": [
            {"number": n, "selector": f"stream:{n}", "app_name": "App", "media_name": "", "device": "a.b"}
            for n in (1, 2)
        ],
    }
    root = "/org/pwmixer/Mixer"
    results = [
        [f"{root}/streams/1", f"{root}/sinks/h", "Games"],
        [f"{root}/streams/2", "/", ""],
        [f"{root}/streams/3", "/", ""],
    ]
    assert forecast(results, state).splitlines() == [
        "STREAM    WHAT  RULE     WHERE",
        "stream:1  App   Games    Speakers -> Headset",
        "stream:2  App   no rule  stays on Speakers",
    ]
    assert forecast(results, state, Terminal(width=24)).splitlines()[:3] == [
        "stream:1  App",
        "  Games",
        "  Speakers -> Headset",
    ]


def test_rules_for_which_the_same_is_to_be_said_share_a_line() -> None:
    tried = [
        {"name": name, "matched": name == "C", "reason": {"C": "yes", "A": "no"}.get(name, "not tried")}
        for name in "ACDEF"
    ]
    assert trials(tried).splitlines() == [
        "  -        A             no",
        "  matches  C             yes",
        "  -        D and 2 more  not tried",
    ]


def test_a_rehearsal_names_the_reasons_and_what_would_happen() -> None:
    tried = [
        {"name": "A", "matched": False, "reason": "why not"},
        {"name": "B", "matched": True, "reason": "why"},
    ]
    outcome = {"matched": ["B"], "to": ["x"], "volume": 0.5}
    assert rehearsal({"trials": tried, "outcome": outcome}).splitlines() == [
        "  -        A  why not",
        "  matches  B  why",
        "Rule B: to x, starts at 50%.",
    ]
    assert rehearsal({"trials": tried, "outcome": outcome}, Terminal(width=20)).splitlines() == [
        "  -  A",
        "    why not",
        "  matches  B",
        "    why",
        "Rule B: to x, starts",
        "at 50%.",
    ]
    assert rehearsal({"trials": [], "outcome": {"matched": []}}) == "No rule is for it."


# Commands


def test_rules_are_added_listed_moved_and_removed(service: Service) -> None:
    assert "no rules" in said(service, "rules", "list")
    assert said(service, "rules", "add", *YOUTUBE, "--volume", "50%") == "added YouTube"
    assert (
        said(service, "rules", "add", "--name", "b", "--match", "app=x", "--hide", "--place", "1")
        == "added b to place 1"
    )
    listed = said(service, "rules", "list").splitlines()
    assert listed[1].split() == ["1", "b", "app", "is", "x", "hidden", "rules.toml"]
    assert "app is firefox and media_name is *YouTube*  to *headset*, starts at 50%" in listed[2]
    assert said(service, "rules", "move", "b", "2") == "moved b to place 2"
    assert said(service, "rules", "move", "b", "3") == "moved b to place 2 (limited; 3 was asked)"
    assert names(service) == ["YouTube", "b"]
    assert said(service, "rules", "remove", "b") == "removed b"
    assert names(service) == ["YouTube"]


def test_rules_are_added_as_toml_with_and_without_a_header(service: Service) -> None:
    assert said(service, "rules", "add", stdin="# Nothing to suggest.\n") == "there is no rule to add"
    said(service, "rules", "add", stdin='name = "one"\nmatch.app = "a"\n')
    said(
        service,
        "rules",
        "add",
        stdin='[[rules]]\nname = "two"\nmatch.app = "a"\n[[rules]]\nname = "three"\nmatch.app = "b"\n',
    )
    assert names(service) == ["one", "two", "three"]
    assert "called “one” already" in refused(service, "rules", "add", stdin='name = "one"\nmatch.app = "a"\n')
    twice = "".join(f'[[rules]]\nname = "{name}"\nmatch.app = "a"\n' for name in ("four", "one"))
    assert "a rule called “one” above" in refused(service, "rules", "add", stdin=twice)
    assert names(service) == ["one", "two", "three"], "all or none"
    assert "stdin: rules[0].match.ap: no such key" in refused(
        service, "rules", "add", stdin='name = "x"\nmatch.ap = "a"\n'
    )


def test_what_is_wrong_is_one_sentence(service: Service) -> None:
    assert "volume: must be a number from 0.0 to 1.5" in refused(
        service, "rules", "add", *YOUTUBE, "--volume", "50"
    )
    assert "no rule called “zzz”" in refused(service, "rules", "remove", "zzz")
    for words in (("add", "--match", "x"), ("nonsense",), (), ("test", "--on", "x")):
        assert run(service, "rules", *words).returncode == 2
    assert run(service, "remember").returncode == 2
    assert "“?”" in refused(service, "rules", "remove", "\udcff")
    assert "“?”" in refused(service, "remember", "\udcff")
    binary = service.session.runtime / "binary.toml"
    binary.write_bytes(b"name = '\xff'\n")
    assert f"{binary}:1: this line is not UTF-8" in refused(service, "rules", "test", "--file", str(binary))
    assert "No closing quotation; set EDITOR" in refused(service, "rules", "edit", EDITOR='"ed')
    assert "no rule in /dev/null" in refused(service, "rules", "test", "--file", "/dev/null")


def test_the_editor_changes_the_rules_or_leaves_all_as_it_is(service: Service) -> None:
    said(service, "rules", "add", *YOUTUBE)
    assert said(service, "rules", "edit", EDITOR="true") == "nothing has changed"
    renaming = editor(service, "s/YouTube/Tube/")
    assert said(service, "rules", "edit", EDITOR=renaming) == "the service has 1 rule now"
    assert names(service) == ["Tube"]
    sentence = refused(service, "rules", "edit", EDITOR=editor(service, "s/match.app/match.ap/"))
    assert "no such key" in sentence
    kept = Path(sentence.rpartition("kept in ")[2].removesuffix("."))
    assert "match.ap " in kept.read_text()
    kept.unlink()
    other = f"{shlex.join(CTL)} rules add --name Other --match app=x >/dev/null"
    sentence = refused(service, "rules", "edit", EDITOR=editor(service, "s/Tube/Late/", first=other))
    assert "The rules have changed since revision" in sentence
    Path(sentence.rpartition("kept in ")[2].removesuffix(".")).unlink()
    said(service, "rules", "remove", "Other")
    assert "does not start" in refused(service, "rules", "edit", VISUAL="/nowhere/ed", EDITOR="true")
    assert names(service) == ["Tube"]


def test_rules_are_tried_on_streams_on_facts_and_from_a_file(service: Service) -> None:
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio", device="speakers")
    file = service.session.runtime / "try.toml"
    file.write_text('name = "Radios"\nmatch.app = "radio"\nto = "headset"\n')
    assert "Radios" in (told := said(service, "rules", "test", "--file", str(file)))
    assert "Speakers -> Headset" in told
    assert "no rule" in (told := said(service, "rules", "test"))
    assert "stays on Speakers" in told
    assert json.loads(said(service, "rules", "test", "--json", "--file", str(file))) == [
        {"stream": "stream:1", "device": "sink:headset", "rule": "Radios"}
    ]
    assert json.loads(said(service, "rules", "test", "--json"))[0]["device"] is None
    said(service, "rules", "add", *YOUTUBE)
    told = said(service, "rules", "test", "--on", "app=Firefox,media_name=One, two - YouTube")
    assert told.endswith("Rule YouTube: to *headset*.")
    assert json.loads(said(service, "rules", "test", "--json", "--on", "app=x"))["outcome"] == {"matched": []}
    assert "not “firefox”" in said(service, "rules", "test", "--on", "app=Chromium")
    assert "YouTube" in said(service, "explain", "app:radio")
    said(service, "rules", "add", "--name", "Muted", "--match", "app=radio", "--muted")
    said(service, "rules", "disable")
    assert "\nRules are switched off, so that none counts.\n" in said(service, "explain", "app:radio")


def test_what_is_suggested_can_be_added_and_what_is_remembered_is_named(service: Service) -> None:
    service.session.play("Radio", sink="headset")
    service.wait_for_stream("Radio", device="headset")
    said(service, "rules", "add", stdin=said(service, "rules", "suggest"))
    assert names(service) == ["Radio to Headset"]
    assert said(service, "remember", "app:radio") == "added Remembered: Radio"
    assert names(service) == ["Remembered: Radio", "Radio to Headset"]
    assert said(service, "rules", "suggest").startswith("# Nothing to suggest")
    service.session.play("Films", sink="headset")
    service.wait_for_stream("Films", device="headset")
    assert sorted(said(service, "remember", "app:*").splitlines()) == [
        "added Remembered: Films",
        "added Remembered: Radio",
    ]


def test_rules_are_switched_off_and_on(service: Service) -> None:
    said(service, "rules", "disable")
    assert "switched off" in said(service, "rules", "list")
    said(service, "rules", "enable")
    assert "switched off" not in said(service, "rules", "list")


def test_config_check_looks_at_the_services_file_as_well(service: Service) -> None:
    said(service, "rules", "add", *YOUTUBE)
    said(service, "config", "check")
    file = service.session.config.with_name("rules.toml")
    good = file.read_text()
    file.write_text("[volume]\n")
    assert refused(service, "config", "check") == f"{file}:1: volume: no such key; only [[rules]] stand here"
    service.session.wait_for(lambda: service.get("ConfigError"), "the problem")
    file.write_text(good)
    service.session.wait_for(lambda: not service.get("ConfigError"), "the problem to go")
    service.stop(errors=True)


def test_without_a_bus_the_reason_is_said(tmp_path: Path) -> None:
    env = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}
    result = completed(*CTL, "rules", "list", env=env)
    assert (result.returncode, result.stdout) == (3, "")
    assert f"no session bus at DBUS_SESSION_BUS_ADDRESS, which is unix:path={tmp_path}/bus;" in result.stderr
