"""Rules in config.toml: what is read, what is told of what is wrong and at which line, and what is written."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import RULE_EXAMPLES, example, load, rule_text, show
from pwmixer_dbus.core.matching import Outcome, outcome, prepared
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.patterns import Pattern, PatternKind
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import RULE_LIMIT, Condition, Rule, rule_to_plain
from pwmixer_dbus.core.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def problems_of(file: Path, content: str) -> list[str]:
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    return str(caught.value).replace(f"{file.parent}/", "").split("\n")


def exact(text: str) -> Pattern:
    return Pattern(kind=PatternKind.EXACT, text=text)


def test_every_key_of_a_rule_is_read(file: Path) -> None:
    file.write_text(
        """
[[rules]]
name = "All"
to = ["a", "sink:b"]
volume = "50%"
locked = true
max_volume = 0.8
muted = false
group = "g"
display_name = "d"
icon = "i"
hide = true
ignore = true
force = true
continue = true
enabled = false
[rules.match]
app = "x"
media_name = ["*a*", "!re:b"]
properties = { "media.role" = "game" }
"""
    )
    assert load(file).rules == (
        Rule(
            name="All",
            conditions=(
                Condition(field="app", patterns=(exact("x"),)),
                Condition(
                    field="media_name",
                    patterns=(
                        Pattern(kind=PatternKind.GLOB, text="*a*"),
                        Pattern(kind=PatternKind.REGEX, text="b", negated=True),
                    ),
                ),
                Condition(field="property:media.role", patterns=(exact("game"),)),
            ),
            to=("a", "sink:b"),
            volume=0.5,
            locked=True,
            max_volume=0.8,
            muted=False,
            group="g",
            display_name="d",
            icon_name="i",
            hide=True,
            ignore=True,
            force=True,
            goes_on=True,
            enabled=False,
            origin="config",
        ),
    )


def test_the_order_of_the_file_is_the_order_of_the_rules(file: Path) -> None:
    file.write_text("".join(f'[[rules]]\nname = "{name}"\nmatch.app = "x"\n' for name in "cab"))
    assert [rule.name for rule in load(file).rules] == ["c", "a", "b"]


# --- what is wrong

HEAD = '[volume]\nmax = 1.0\n\n[[rules]]\nname = "A"\nmatch.app = "x"\n\n[[rules]]\n'
PLACE = "config.toml:"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('name = "B"\nmatch.app = "y"\nvolum = 1', '11: rules[1].volum: no such key; did you mean "volume"?'),
        ('name = "B"\nmatch.ap = "y"', '10: rules[1].match.ap: no such key; did you mean "app"?'),
        ('name = "B"\n[rules.match]\napp = [\n"y",\n1]', "11: rules[1].match.app[1]: must be a pattern in quotes, not 1"),
        ('name = "B"\napp = "y"\nmatch.app = "y"', '10: rules[1].app: no such key; did you mean "match.app"?'),
        ('name = "B"', '8: rules[1]: needs a condition, such as match.app = "firefox"; match.direction = "playback" is for all that plays'),
        ('match.app = "y"', '8: rules[1]: needs a name, such as name = "Music"'),
        ('name = "A"\nmatch.app = "y"', '9: rules[1].name: there is a rule called "A" above; each name is used once'),
        ('name = "B"\nmatch.app = "re:("', "10: rules[1].match.app: must be a regular expression, and this is none: missing ), unterminated subpattern at position 0"),
        ('name = "B"\nmatch.app = "re:(a+)+"', "10: rules[1].match.app: must be a regular expression that is quick on any text, and this one could run for ever: use fewer *, + and {}, none of them around another, or a glob such as *one*two*"),
        ('name = "B"\n[rules.match.properties]\n"media.role" = []', '11: rules[1].match.properties."media.role": must be a pattern in quotes, or a list of 1 to 64, not a list of 0'),
        ('name = "B"\nmatch.app = "y"\nlocked = true', '11: rules[1].locked: means nothing without "volume"'),
        ('name = "B"\nmatch.app = "y"\nvolume = 50', '11: rules[1].volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not 50'),
        ('name = "B"\nmatch.app = "y"\nvolume = 2026-01-02', '11: rules[1].volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not 2026-01-02'),
        ('name = "B"\nmatch.app = "y"\norigin = "service"', "11: rules[1].origin: no such key; here may stand name, match, to, volume, locked, max_volume, muted, group, display_name, icon, hide, ignore, force, continue, enabled"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told_with_file_line_and_key(file: Path, content: str, problem: str) -> None:
    assert problems_of(file, HEAD + content) == [PLACE + problem]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("rules = 3", "1: rules: must be tables, each written [[rules]], not 3"),
        ("[rules]\nname = 'x'", "1: rules: must be tables, each written [[rules]], not a table"),
        ("rules = [3]", "1: rules: must be tables, each written [[rules]], not a list of 1"),
        ("[[rule]]\nname = 'x'", '1: rule: no such key; did you mean "rules"?'),
    ],
)
def test_what_are_no_rules_is_told(file: Path, content: str, problem: str) -> None:
    assert problems_of(file, content) == [PLACE + problem]


def test_all_problems_of_all_rules_are_told_in_the_order_of_the_file(file: Path) -> None:
    told = problems_of(file, HEAD + "name = 1\nmatch = 1\n[[rules]]\nmuted = 1\n[log]\nlevel = 1\n")
    assert [line.split(":")[1] for line in told] == ["9", "10", "11", "11", "12", "14"]


def test_there_are_a_thousand_rules_at_most(file: Path) -> None:
    text = "".join(f'[[rules]]\nname = "{i}"\nmatch.app = "x"\n' for i in range(RULE_LIMIT))
    file.write_text(text)
    assert len(load(file).rules) == RULE_LIMIT
    assert problems_of(file, f"{text}[[rules]]") == [
        "config.toml:1: rules: there are 1001 rules; at most 1000 are possible"
    ]


def test_no_rule_is_used_while_another_is_wrong(file: Path) -> None:
    assert len(problems_of(file, HEAD)) == 2


# --- what is written

TEXTS = st.text(min_size=1, max_size=12).map(clean).filter(bool)
RULES = st.lists(
    st.builds(
        Rule,
        name=TEXTS,
        conditions=st.lists(
            st.builds(
                Condition,
                field=st.sampled_from(["app", "media_name", "role"]) | TEXTS.map("property:{}".format),
                patterns=st.lists(TEXTS.map(exact), min_size=1, max_size=3).map(tuple),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda condition: condition.field,
        ).map(tuple),
        to=st.lists(TEXTS, max_size=2).map(tuple),
        max_volume=st.none() | st.floats(0.0, 1.5),
        muted=st.none() | st.booleans(),
        group=st.just("") | TEXTS,
        goes_on=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda rule: rule.name,
).map(tuple)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=30,
)
@given(rules=RULES)
def test_rules_that_show_prints_load_as_the_same_rules(file: Path, rules: tuple[Rule, ...]) -> None:
    chosen = Settings(rules=rules)
    file.write_text(show(chosen), encoding="utf-8")
    loaded = load(file)
    assert replace(loaded, rules=()) == Settings()
    assert [rule_to_plain(rule) for rule in loaded.rules] == [rule_to_plain(rule) for rule in rules]


def test_a_rule_is_written_as_a_person_would(file: Path) -> None:
    file.write_text(RULE_EXAMPLES)
    found = {rule.name: rule for rule in load(file).rules}
    assert rule_text(found["Discord voices"]) == (
        '[[rules]]\nname = "Discord voices"\nmatch.app = "discord"\nmatch.direction = "playback"\n'
        'match.properties."application.name" = "WEBRTC VoiceEngine"\nto = "*Headset*"\ngroup = "Chat"\n'
    )
    assert 'to = ["*Headset*", "*Speakers*"]\n' in rule_text(found["Games"])


# --- the examples that `config init` writes


def decided(file: Path, **known: str) -> Outcome:
    file.write_text(RULE_EXAMPLES)
    return outcome(prepared(load(file).rules), {"direction": "playback", **known})


def test_the_examples_stand_in_the_example_commented_out() -> None:
    assert "\n#[[rules]]\n" in example()
    assert "rules" not in tomllib.loads(example())


def test_the_example_tells_youtube_from_twitch_in_one_browser(file: Path) -> None:
    firefox = {"app_id": "id:org.mozilla.firefox", "app_name": "Firefox"}
    assert decided(file, **firefox, media_name="Cats - YouTube").group == "Video"
    assert decided(file, **firefox, media_name="cats - Twitch").group == "Streams"
    assert not decided(file, **firefox, media_name="radio").matched


def test_the_example_tells_the_voices_of_discord_from_its_sounds(file: Path) -> None:
    voices = decided(file, app_id="bin:discord", **{"property:application.name": "WEBRTC VoiceEngine"})
    sounds = decided(file, app_id="bin:discord", **{"property:application.name": "Chromium"})
    assert (voices.to, voices.volume) == (("*Headset*",), None)
    assert (sounds.to, sounds.volume) == ((), 0.4)


def test_the_example_holds_the_level_of_the_microphone_and_hides_desktop_sounds(file: Path) -> None:
    microphone = decided(file, app_id="bin:teams-for-linux", direction="capture")
    assert (microphone.volume, microphone.locked) == (0.8, True)
    assert decided(file, role="event").hide
    assert decided(file, app_id="steam:1091500").to == ("*Headset*", "*Speakers*")
