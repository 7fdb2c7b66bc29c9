"""Rules over D-Bus and in files, with a foreign client: written, tried, remembered, and in force after an edit by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from recorder import Recorder
from service import ROOT, CallError, Json, Service

YOUTUBE = (
    "3",
    "name",
    "s",
    "YouTube",
    "match",
    "a{sas}",
    "1",
    "media_name",
    "1",
    "*YouTube*",
    "to",
    "s",
    "headset",
)
CONFIG = '[[rules]]\nname = "Films"\nmatch.app = "film"\nto = "headset"\n'


def call(service: Service, member: str, *arguments: str) -> Json:
    return service.call(member, *arguments, interface="Rules")


def refusal(service: Service, member: str, *arguments: str) -> str:
    with pytest.raises(CallError) as caught:
        call(service, member, *arguments)
    return str(caught.value)


def names(service: Service) -> list[str]:
    return [rule["name"] for rule in call(service, "ListRules")[1]]


def revision(service: Service) -> int:
    return int(service.get("Revision", interface="Rules"))


def add(service: Service, name: str, position: int = -1, app: str = "radio") -> int:
    return service.add_rule(name, app=app, position=position, to="headset")


def folder(service: Service) -> Path:
    return service.session.config.parent


def write(file: Path, text: str) -> Path:
    """Write as an editor does: a new file that is renamed into its place."""
    file.parent.mkdir(exist_ok=True)
    new = file.with_name("new")
    new.write_text(text)
    return new.rename(file)


def wait_for_names(service: Service, *wanted: str) -> None:
    service.session.wait_for(lambda: names(service) == list(wanted), f"the rules {wanted}")


# Writing


def test_rules_are_added_moved_removed_and_listed_in_their_order(service: Service) -> None:
    assert call(service, "ListRules") == [1, []]
    assert [add(service, "a"), add(service, "b"), add(service, "c", 0)] == [2, 3, 4]
    assert names(service) == ["c", "a", "b"]
    assert call(service, "MoveRule", "su", "c", "2") == 5
    assert call(service, "RemoveRule", "s", "a") == 6
    assert call(service, "ListRules") == [
        6,
        [
            {"name": name, "match": {"app": ["radio"]}, "to": ["headset"], "origin": "service"}
            for name in ("b", "c")
        ],
    ]
    assert 'name = "b"' in (folder(service) / "rules.toml").read_text()


def test_rules_are_set_only_as_of_the_revision_that_was_looked_at(service: Service) -> None:
    looked_at = revision(service)
    add(service, "a")
    said = refusal(service, "SetRules", "uaa{sv}", str(looked_at), "0")
    assert "The rules have changed since revision 1" in said
    now = call(service, "SetRules", "uaa{sv}", str(revision(service)), "1", *YOUTUBE)
    assert (now, names(service)) == (revision(service), ["YouTube"])


def test_the_new_revision_is_announced_before_the_reply(service: Service) -> None:
    recorder = Recorder(service)
    add(service, "a")
    recorder.assert_announced_before_the_reply("AddRule", (ROOT, "Revision"))
    service.set("Enabled", "b", False, path=ROOT, interface="Rules")
    recorder.assert_announced_before_the_reply("Set", (ROOT, "Enabled"))


def test_what_is_wrong_with_a_rule_is_said_in_a_sentence(service: Service) -> None:
    rule = ("2", "name", "s", "x", "match", "a{sv}", "1", "ap", "s", "radio")
    assert 'match.ap: no such key; did you mean "app"?' in refusal(service, "AddRule", "a{sv}i", *rule, "-1")
    assert "rules[0]: match.ap" in refusal(service, "SetRules", "uaa{sv}", "0", "1", *rule)
    add(service, "x")
    assert "called “x” already" in refusal(
        service, "AddRule", "a{sv}i", "2", "name", "s", "x", "match", "a{sv}", "1", "app", "s", "a", "-1"
    )
    assert "no rule called “y”" in refusal(service, "RemoveRule", "s", "y")


def test_rules_outlive_the_service(service: Service) -> None:
    add(service, "a")
    service.stop()
    service.start()
    assert names(service) == ["a"]


# Trying


def test_rules_are_tried_on_what_plays_now(service: Service) -> None:
    service.session.play("A song - YouTube", sink="speakers")
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio", device="speakers")
    tried = call(service, "TestRules", "aa{sv}", "1", *YOUTUBE)
    assert sorted(tried) == [
        [f"{ROOT}/streams/1", f"{ROOT}/sinks/headset", "YouTube"],
        [f"{ROOT}/streams/2", "/", ""],
    ]
    assert call(service, "TestRules", "aa{sv}", "0")[0][1:] == ["/", ""]
    add(service, "Radios")
    assert sorted(call(service, "TestRules", "aa{sv}", "0"))[1][1:] == [f"{ROOT}/sinks/headset", "Radios"]


def test_rules_are_tried_on_what_need_not_be_there(service: Service) -> None:
    facts = ("2", "app", "Firefox", "media_name", "A song - YouTube")
    told = json.loads(call(service, "TestProperties", "aa{sv}a{ss}", "1", *YOUTUBE, *facts))
    assert told["outcome"] == {"matched": ["YouTube"], "to": ["headset"], "decided_by": {"to": "YouTube"}}
    assert [(t["name"], t["matched"]) for t in told["trials"]] == [("YouTube", True)]
    assert "*YouTube*" in told["trials"][0]["reason"]
    assert "Nothing is known of a stream as “title”" in refusal(
        service, "TestProperties", "aa{sv}a{ss}", "0", "1", "title", "x"
    )


def test_an_explanation_names_every_rule_with_its_reason(service: Service) -> None:
    service.session.play("Radio", sink="speakers")
    service.wait_for_stream("Radio")
    call(service, "SetRules", "uaa{sv}", "0", "1", *YOUTUBE)
    add(service, "Radios")
    explained = service.explain("app:radio")["rules"]
    assert [(rule["name"], rule["matched"]) for rule in explained] == [("YouTube", False), ("Radios", True)]
    assert all(rule["reason"] for rule in explained)


# Remembering


def test_where_an_application_is_becomes_a_rule_which_the_next_one_replaces(service: Service) -> None:
    service.session.play("Radio", sink="headset")
    service.wait_for_stream("Radio", device="headset")
    assert call(service, "Remember", "s", "app:radio") == ["Remembered: Radio"]
    (rule,) = call(service, "ListRules")[1]
    assert rule["match"] == {"app_id": ["name:radio"], "direction": ["playback"]}
    assert rule["to"] == ["headset"]
    service.call("Move", "ssa{sv}", "app:radio", "speakers", 1, "remember", "b", True)
    (rule,) = call(service, "ListRules")[1]
    assert rule["to"] == ["speakers"]


def test_a_move_that_cannot_be_written_down_says_that_it_has_happened(service: Service) -> None:
    service.session.play("Radio", sink="headset")
    service.wait_for_stream("Radio", device="headset")
    folder(service).mkdir()
    (folder(service) / "rules.toml").symlink_to("/proc/nowhere/rules.toml")
    with pytest.raises(CallError, match=r"It was moved, but that is not remembered: .*cannot be written"):
        service.call("Move", "ssa{sv}", "app:radio", "speakers", 1, "remember", "b", True)
    service.wait_for_stream("Radio", device="speakers", routed_by="person")


def test_what_cannot_be_remembered_is_refused(service: Service) -> None:
    assert "Nothing is called" in refusal(service, "Remember", "s", "app:nobody")
    assert "is no stream or application" in refusal(service, "Remember", "s", "@sink")
    service.session.play("Film", sink="speakers")
    service.wait_for_stream("Film")
    write(folder(service) / "config.toml", CONFIG)
    wait_for_names(service, "Films")
    assert "The rule “Films” of config.toml comes first" in refusal(service, "Remember", "s", "app:film")


def test_applications_away_from_the_default_are_suggested(service: Service) -> None:
    player = service.session.play("Radio", sink="headset")
    service.session.play("Film", sink="speakers")
    service.wait_for_stream("Radio", device="headset")
    service.wait_for_stream("Film", device="speakers")
    (rule,) = call(service, "SuggestRules")
    assert (rule["name"], rule["to"]) == ("Radio to Headset", ["headset"])
    player.kill()
    service.session.wait_for(lambda: len(service.describe()["streams"]) == 1, "the radio to end")
    assert call(service, "SuggestRules") == [rule]
    assert names(service) == []


# Files


def test_an_edit_of_either_file_is_in_force_and_announced(service: Service) -> None:
    recorder = Recorder(service)
    add(service, "own")
    write(folder(service) / "config.toml", CONFIG)
    wait_for_names(service, "Films", "own")
    rules = folder(service) / "rules.toml"
    write(rules, rules.read_text().replace('"own"', '"edited"'))
    wait_for_names(service, "Films", "edited")
    (folder(service) / "config.toml").unlink()
    wait_for_names(service, "edited")
    said = [change["Revision"] for change in recorder.changes(ROOT) if "Revision" in change]
    assert len(said) == 4
    assert "edit it in" not in refusal(service, "RemoveRule", "s", "Films")


def test_a_persons_rule_is_not_removed_but_its_file_is_named(service: Service) -> None:
    file = write(folder(service) / "config.toml", CONFIG)
    wait_for_names(service, "Films")
    assert f"edit it in {file}" in refusal(service, "RemoveRule", "s", "Films")
    assert file.read_text() == CONFIG


def test_only_an_edit_by_a_person_is_told_in_the_log_as_one(with_rules: Callable[[str], Service]) -> None:
    service = with_rules("")  # so that there is a folder: one that comes is a change of its own

    def told() -> int:
        return service.log().count("INFO the configuration has been read again")

    config = write(folder(service) / "config.toml", CONFIG)
    service.session.wait_for(told, "the first edit to be told")
    for name in "abcdefghij":  # which takes longer than the service waits for an edit to be over
        add(service, name)
    assert "INFO rules in force: 11" in service.log()
    config.unlink()
    wait_for_names(service, *"abcdefghij")
    service.session.wait_for(lambda: told() > 1, "the second edit to be told")
    assert told() == 2


def test_whoever_sets_all_rules_in_place_of_a_bad_file_has_it_told_that_it_is_mended(
    service: Service,
) -> None:
    recorder = Recorder(service)

    def told() -> list[bool]:
        return [bool(c["ConfigError"]) for c in recorder.changes(ROOT) if "ConfigError" in c]

    write(folder(service) / "rules.toml", "[[rules]")
    service.session.wait_for(lambda: told() == [True], "the problem to be told")
    call(service, "SetRules", "uaa{sv}", "0", "0")
    service.session.wait_for(lambda: told() == [True, False], "that to be told")
    service.stop(errors=True)


def test_a_bad_file_is_told_and_kept_and_the_last_good_rules_stay(service: Service) -> None:
    add(service, "own")
    config = write(folder(service) / "config.toml", CONFIG)
    wait_for_names(service, "Films", "own")
    write(config, CONFIG.replace("match.app", "match.ap"))
    service.session.wait_for(lambda: service.get("ConfigError"), "the problem")
    rules = write(folder(service) / "rules.toml", "[[rules]]\nnam = 1\n")
    service.session.wait_for(lambda: "rules.toml" in service.get("ConfigError"), "the other problem")
    said = service.get("ConfigError")
    assert f"{config}:3: rules[0].match.ap: no such key" in said
    assert f"{rules}:2: rules[0].nam: no such key" in said
    assert f"{rules}:2: rules[0].nam" in service.log()
    assert names(service) == ["Films", "own"]
    assert "Mend that file first" in refusal(service, "RemoveRule", "s", "own")
    assert rules.read_text() == "[[rules]]\nnam = 1\n"
    config.unlink()
    rules.unlink()
    wait_for_names(service)
    assert service.get("ConfigError") == ""
    service.stop(errors=True)
