"""Which streams a rule is for: how people write patterns, which rule counts, why, and what it can cost at most."""

import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from build import after, playback, sink, state_of, stream
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.events import Seen
from pwmixer_dbus.core.matching import (
    NOTHING,
    Outcomes,
    Prepared,
    facts,
    outcome,
    prepared,
    tried,
    waits_for_device,
)
from pwmixer_dbus.core.model import TEXT_LIMIT, Client, clean
from pwmixer_dbus.core.patterns import (
    PATTERN_LIMIT,
    Pattern,
    PatternKind,
    _regex,
    fits_of,
    parse_pattern,
    pattern_text,
)
from pwmixer_dbus.core.rules import (
    DIRECTIONS,
    FIELDS,
    KEYS,
    ORIGINS,
    PROBLEM_LIMIT,
    RULE_LIMIT,
    Condition,
    Rule,
    read_rule,
    read_tables,
    rule_from_plain,
    rule_to_plain,
)

BROWSER = {"app_id": "id:org.mozilla.firefox", "app_name": "Firefox Web Browser", "direction": "playback"}


def rule(name: str = "r", match: dict[str, object] | None = None, **keys: object) -> Rule:
    """Make a rule as a person writes it; `goes_on` stands for `continue`."""
    if "goes_on" in keys:
        keys["continue"] = keys.pop("goes_on")
    return rule_from_plain({"name": name, "match": match or {"app": "*"}, **keys})


def rules(*some: Rule) -> Prepared:
    return prepared(some)


def fits(pattern: str, text: str) -> bool:
    """Whether a text meets a condition that is this one pattern."""
    ready = rules(rule(match={"media_name": pattern}))
    return bool(outcome(ready, {"media_name": text}).matched)


def winner(ready: Prepared, **known: str) -> str:
    return ", ".join(one.name for one in outcome(ready, known).matched)


def problems(**plain: object) -> list[str]:
    _, found = read_rule({"name": "r", "match": {"app": "*"}, **plain})
    return [f"{'.'.join(map(str, path))}: {sentence}" for path, sentence in found]


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("Firefox", "firefox", True),
        ("Firefox", "firefox web browser", False),
        ("STRASSE", "straße", True),
        ("*youtube*", "Cats - YouTube - Firefox", True),
        ("*youtube", "Cats - YouTube - Firefox", False),
        ("s?n", "SUN", True),
        ("[st]un", "Tun", True),
        ("[!s]un", "Sun", False),
        ("re:You", "Cats - YouTube", True),
        ("re:you", "Cats - YouTube", False),
        ("re:(?i)you", "Cats - YouTube", True),
        ("re:^You", "Cats - YouTube", False),
        ("re:.*Tube", "Cats - YouTube", True),
        ("re:.*tube|Cats", "Cats - YouTube", True),
        ("re:^tube|You", "Cats - YouTube", True),
        ("re:(?i)i", "\u0131", True),
        ("re:(?i)kilo|mega", "\u212ailo", True),
        ("!Firefox", "firefox", False),
        ("!Firefox", "chromium", True),
        ("!*tube*", "YouTube", False),
        ("!re:Tube$", "YouTube", False),
        ("=What? [live]", "what? [LIVE]", True),
        ("=What? [live]", "whats l", False),
        ("=!a", "!A", True),
        ("!=a*", "a*", False),
        ("!!a", "!a", False),
        ("==", "=", True),
        ("", "", True),
        ("", "x", False),
        ("!", "x", True),
        ("!", "", False),
        ("*", "", True),
        ("[", "[", True),
    ],
)
def test_a_pattern_means_what_the_documentation_says(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected


def test_of_a_list_one_must_match_and_no_negated_one() -> None:
    ready = rules(rule(match={"media_name": ["*tube*", "twitch", "!*music*"]}))
    assert winner(ready, media_name="YouTube")
    assert winner(ready, media_name="Twitch")
    assert not winner(ready, media_name="YouTube Music")
    assert not winner(ready, media_name="radio")


def test_of_a_list_that_is_all_negated_none_may_match() -> None:
    ready = rules(rule(match={"media_name": ["!*tube*", "!twitch"]}))
    assert winner(ready, media_name="radio")
    assert winner(ready)
    assert not winner(ready, media_name="twitch")


TEXTS = st.text(max_size=30).map(clean)
PATTERNS = st.builds(
    lambda sign, text: sign + text,
    st.sampled_from(["", "!", "=", "!=", "re:", "!re:", "*", "?"]),
    st.one_of(TEXTS, st.text("ab*?[]!=re:.+()|^$\\-", max_size=12)),
)


@given(PATTERNS, TEXTS)
@example("*[", "[")
@example("[--a]", "a")
@example("[[a]", "a")
@example("re:[[a]", "a")
@example("re:(?i)\u0130", "i")
def test_a_pattern_is_refused_with_a_sentence_or_it_can_be_used_and_written(text: str, subject: str) -> None:
    try:
        pattern = parse_pattern(text)
    except InvalidArgumentError as error:
        assert str(error).startswith("must ")  # noqa: PT017 - to raise is one of two right ends
    else:
        assert parse_pattern(pattern_text(pattern)) == pattern
        fits_of(pattern)(subject, subject.casefold())


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("x" * 513, "must have at most 512 characters, not 513"),
        ("a\x00", "must be printable"),
        ("!" + "*x" * 33, "must have at most 32 of the signs *, ? and [; behind = they stand for themselves"),
        ("!*", 'must not be “!*”, which nothing can match; "" asks for a missing text'),
        ("re:(", "must be a regular expression, and this is none: missing ), unterminated subpattern at position 0"),
        (r"re:(a)\1", r"must be a regular expression without references to groups, such as \1"),
        ("re:(a)(?(1)b|c)", r"must be a regular expression without references to groups, such as \1"),
        ("re:[[a]", "must be a regular expression, and this is none: Possible nested set at position 1"),
        ("re:a{99999999999}", "must be a regular expression, and this is none: it is too deep or too large"),
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_told(pattern: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_pattern(pattern)
    assert str(caught.value) == sentence


# --- regular expressions that would run for ever

EVIL = [
    "(a+)+$",
    "(a*)*$",
    "(a|a)*$",
    "(a|aa)+$",
    "(a|a?)+$",
    "(.*a){20}",
    "(.*)*x",
    "([a-zA-Z]+)*$",
    r"(\w+\s?)*$",
    r"^(\w+\s?)*$",
    r"(?:(?:a?){20}){20}b",
    "a*a*a*a*b",
    "a?" * 30 + "a" * 30,
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(?=(a+)+b)a",
    r"(?<!x)(?:(a+)+)b",
    "(x+x+)+y",
    "(?i)(\u017f+s)*x|(s+\u017f*)*y",
    "foo.*bar.*baz",
    "(?>(a+)+b)",
    "((a+)+)++b",
    "[^xy]*a[^xy]*a[^xy]*a[^xy]*b",
    "[^b-dx]*a[^b-dx]*a[^b-dx]*a[^b-dx]*e",
    r"[^\sx]*a[^\sx]*a[^\sx]*a[^\sx]*b",
]


@pytest.mark.parametrize("regex", EVIL)
def test_a_regular_expression_that_could_run_for_ever_is_refused(regex: str) -> None:
    with pytest.raises(InvalidArgumentError, match="run for ever"):
        parse_pattern(f"re:{regex}")


@pytest.mark.parametrize(
    "regex",
    [
        "(?i)youtube|twitch",
        "youtube.*music",
        ".*(YouTube|Twitch|Netflix).*",
        r"S\d+E\d+",
        r"(\d+)x(\d+)",
        r"\w+@\w+\.com",
        "^.*foo.*bar$",
        "(?:foo|bar)+!",
        r"(?i)\byoutube\b.*\bmusic\b",
        r"^[^-]+ - [^-]+$",
        r"\s+- \w+$",
        "(?>.*?a).*b",
        "a*+a*+b",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        "^(?:Discord|WEBRTC VoiceEngine)$",
        r"Game\.exe",
        "[^-|]*-[^-|]*-[^-|]*-x",
        r"[^0-9x]+7[^0-9x]+7[^0-9x]+7\|",
        r"[^\dx]+7[^\dx]+7[^\dx]+7\|",
    ],
)
def test_what_people_write_is_accepted(regex: str) -> None:
    parse_pattern(f"re:{regex}")


PIECES = [
    "a",
    "b",
    "c",
    ".",
    "\\d",
    "\\w",
    "[ab]",
    "[^b]",
    "[a-z]",
    "(?i:a)",
    "a|b",
    "ab|ac",
    "|",
    "^",
    "$",
    "\\b",
    "(",
    "(?:",
    "(?>",
    "(?=",
    ")",
    ")",
    ")",
    "*",
    "+",
    "?",
    "{2,}",
    "{0,9}",
    "*?",
    "+?",
    "*+",
    "++",
]
REGEXES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)
SUBJECTS = [
    (unit * TEXT_LIMIT)[: TEXT_LIMIT - len(end)] + end
    for unit in ("a", "ab", "abc", "a1", "c", "ba")
    for end in ("", "!", "b")
]


@given(st.lists(REGEXES, min_size=30, max_size=30))
def test_no_accepted_regular_expression_runs_for_long(regexes: list[str]) -> None:
    accepted = []
    for regex in regexes:
        try:
            accepted.append(fits_of(parse_pattern(f"re:{regex}")))
        except InvalidArgumentError:
            continue
    assume(accepted)
    for one in accepted:
        started = time.process_time()
        for subject in SUBJECTS:
            one(subject, subject.casefold())
        # Seconds, where it takes milliseconds: what runs for ever is told from a busy machine.
        assert time.process_time() - started < len(SUBJECTS)


@pytest.mark.parametrize(
    "regex", [r"\w*\wa", "a.*aaaaaaaaaaaaaaaab", ".*a.*ab", "^.*a.*b", "(?i)a.*aaaaaaaab"]
)
def test_the_dearest_that_are_accepted_end_on_the_worst_texts(regex: str) -> None:
    code = (
        "import sys; from pwmixer_dbus.core.patterns import *;"
        "fits = fits_of(parse_pattern('re:' + sys.argv[1]));"
        f"[fits(text * {TEXT_LIMIT}, text * {TEXT_LIMIT}) for text in 'ab1']"
    )
    subprocess.run([sys.executable, "-c", code, regex], timeout=60, check=True)


def test_the_python_that_runs_this_shows_how_it_reads_regular_expressions() -> None:
    """The private module that their cost is told from; without it every regular expression is refused."""
    assert re._parser.parse("a+").getwidth()[0] == 1  # type: ignore[attr-defined]


def test_a_regular_expression_is_refused_where_its_cost_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(re, "_parser")
    monkeypatch.setitem(sys.modules, "re._parser", None)
    with pytest.raises(InvalidArgumentError, match="nobody can tell how long"):
        parse_pattern("re:never seen before")


# --- what a rule matches


@pytest.mark.parametrize(
    "pattern",
    ["id:org.mozilla.firefox", "org.mozilla.firefox", "firefox", "FIREFOX", "Firefox Web Browser", "*web*"],
)
def test_an_application_goes_by_each_of_its_names(pattern: str) -> None:
    assert outcome(rules(rule(match={"app": pattern})), BROWSER).matched
    assert not outcome(rules(rule(match={"app": f"!{pattern}"})), BROWSER).matched


def test_a_device_goes_by_its_name_and_its_description() -> None:
    known = {"device": "alsa_output.usb", "device_description": "My Headset"}
    assert outcome(rules(rule(match={"device": "*headset"})), known).matched
    assert outcome(rules(rule(match={"device": "alsa_output.usb"})), known).matched
    assert not outcome(rules(rule(match={"device": "!*headset"})), known).matched


def test_youtube_and_twitch_in_one_browser_are_two() -> None:
    ready = rules(
        rule("YouTube", {"app": "firefox", "media_name": "*YouTube*"}),
        rule("Twitch", {"app": "firefox", "media_name": "*Twitch*"}),
    )
    assert winner(ready, **BROWSER, media_name="Cats - YouTube") == "YouTube"
    assert winner(ready, **BROWSER, media_name="cats on twitch") == "Twitch"
    assert winner(ready, app_id="bin:mpv", media_name="Cats - YouTube") == ""


ALL_ASKED = rules(
    rule(match={name: "x" for name in (*FIELDS, "property:a", "property:x") if name != "direction"})
)


def test_the_facts_of_a_stream_are_its_own_then_its_clients_and_an_empty_one_is_none() -> None:
    state = state_of(
        sink(1, "usb", description="Headset"),
        Client(
            index=5, properties={"application.process.binary": "the-client", "a": "of the client", "x": "y"}
        ),
        playback(
            10, binary="", client=5, device=1, media_name="Song", properties={"media.role": "music", "a": ""}
        ),
    )
    known = facts(ALL_ASKED, state, stream(state))
    assert known["binary"] == "the-client"
    assert known["role"] == "music"
    assert known["media_name"] == "Song"
    assert (known["device"], known["device_description"]) == ("usb", "Headset")
    assert known["direction"] == "playback"
    assert (known["property:a"], known["property:x"]) == ("of the client", "y")


def test_nothing_is_looked_at_that_no_rule_asks_for() -> None:
    state = state_of(sink(1, "usb"), playback(10, device=1, properties={"media.role": "music"}))
    ready = rules(rule(match={"app": "x"}), rule("off", {"role": "music", "device": "usb"}, enabled=False))
    assert set(facts(ready, state, stream(state))) == {"app_id", "app_name", "direction"}


def test_a_rule_that_may_yet_match_by_the_device_is_waited_for() -> None:
    music, elsewhere = {"app_id": "music"}, {"app_id": "music", "device": "usb"}
    by_device = rule("d", match={"device": "usb", "app": "music"}, to="a")
    wide = rule("w", to="b")
    assert waits_for_device(rules(by_device, wide), music)
    assert waits_for_device(rules(by_device), music)
    assert waits_for_device(rules(rule("n", match={"device": "!usb"}, to="a")), music)
    assert waits_for_device(rules(rule("w", to="b", goes_on=True), by_device), music)
    assert not waits_for_device(rules(rule("o", {"app": "other"}), wide, by_device), music), (
        "the first that matches wins"
    )
    grouping = rule("g", group="Chat", goes_on=True)
    assert waits_for_device(rules(grouping, rule("d", {"device": "usb", "group": "chat"}, to="a")), music)
    assert not waits_for_device(rules(by_device, wide), elsewhere), "it has one"
    assert not waits_for_device(rules(by_device, wide), {"app_id": "other"})
    assert not waits_for_device(rules(wide), music)


def test_the_facts_of_a_stream_without_client_and_device_are_empty() -> None:
    state = state_of(playback(10))
    known = facts(ALL_ASKED, state, stream(state))
    assert [known.get(name, "") for name in ("device", "role", "property:a")] == [""] * 3


# --- when it is decided


def test_a_stream_is_matched_again_only_where_something_that_a_rule_asks_for_is_another() -> None:
    before = state_of(sink(1, "a"), sink(2, "b"), playback(10, device=1, media_name="one"))
    louder = after(before, Seen(record=playback(10, device=2, media_name="two", volume=0.9)))
    by_app = Outcomes([rule(match={"app": "music"}, to="x")])
    found = by_app.of(before, stream(before))
    assert found.to == ("x",)
    assert by_app.of(louder, stream(louder)) is found, "neither its title nor its device is asked for"
    for field, text in (("media_name", "two"), ("device", "b")):
        outcomes = Outcomes([rule("first", {field: text}), rule("last", {"app": "music"})])
        assert [one.name for one in outcomes.of(before, stream(before)).matched] == ["last"]
        assert [one.name for one in outcomes.of(louder, stream(louder)).matched] == ["first"]


def test_of_streams_that_have_gone_or_never_were_there_nothing_is_kept() -> None:
    state = state_of(playback(10), playback(11))
    one, other, elsewhere = stream(state, 10), stream(state, 11), playback(12)
    outcomes = Outcomes([rule()])
    first, kept, never = (outcomes.of(state, s) for s in (one, other, elsewhere))
    outcomes.forget([(one.kind, one.index), (elsewhere.kind, elsewhere.index)])
    assert outcomes.of(state, one) is not first
    assert outcomes.of(state, other) is kept
    assert outcomes.of(state, elsewhere) is not never


# --- which rule counts


def test_the_first_rule_that_matches_wins() -> None:
    ready = rules(rule("a", {"app": "x"}), rule("b", to="1"), rule("c", to="2"))
    assert outcome(ready, {}).matched == ready.rules[1:2]
    assert outcome(ready, {}).to == ("1",)


def test_the_order_holds_between_rules_found_by_text_and_others() -> None:
    ready = rules(
        rule("glob", {"app": "*"}, goes_on=True),
        rule("exact", {"app": ["music", "x"]}, goes_on=True),
        rule("regex", {"app": "re:mus"}, goes_on=True),
        rule("both", {"app": "music", "direction": "playback"}),
        rule("late"),
    )
    assert winner(ready, app_id="bin:music", direction="playback") == "glob, exact, regex, both"
    assert winner(ready, app_id="bin:music", direction="capture") == "glob, exact, regex, late"


def test_a_rule_that_goes_on_lets_others_add_what_is_open() -> None:
    ready = rules(
        rule("a", to="1", muted=False, goes_on=True),
        rule("b", to="2", force=True, volume=0.5, locked=True, muted=True, goes_on=True),
        rule("c", volume=0.1, max_volume=0.2, hide=True),
        rule("d", group="never"),
    )
    found = outcome(ready, {})
    assert (found.to, found.force) == (("1",), False)
    assert (found.volume, found.locked) == (0.5, True)
    assert (found.max_volume, found.muted, found.hide, found.group) == (0.2, False, True, "")
    assert {action: one.name for action, one in found.decided_by.items()} == {
        "to": "a",
        "muted": "a",
        "volume": "b",
        "max_volume": "c",
        "hide": "c",
    }


def test_a_group_that_a_rule_gives_counts_for_the_rules_below() -> None:
    ready = rules(
        rule("early", {"group": "Chat"}, to="0"),
        rule("chat", {"app": "discord"}, group="Chat", goes_on=True),
        rule("other", {"app": "discord"}, group="Other", goes_on=True),
        rule("chat goes", {"group": "chat"}, to="1"),
    )
    assert winner(ready, app_id="bin:discord") == "chat, other, chat goes"
    trials = tried(ready, {"app_id": "bin:discord"})
    assert [trial.reason for trial in trials if not trial.matched] == ["group is not set, not “Chat”"]
    assert outcome(ready, {"app_id": "bin:discord"}).group == "Chat"
    assert winner(ready, app_id="bin:discord", group="Mine") == "chat, other"


def test_only_a_rule_for_streams_without_a_group_may_give_one() -> None:
    for match in ("!Chat", "", ["Chat", "*"], "re:^(Chat)?$"):
        assert rule("fine", {"group": match}, group="Other").group == "Other"
    for match in ("Chat", ["Chat", "!Talk"], "Ch*", "re:^Chat"):
        with pytest.raises(InvalidArgumentError, match=r"means nothing beside match\.group"):
            rule("void", {"group": match}, group="Other")


def test_a_rule_that_is_switched_off_is_passed_over() -> None:
    ready = rules(rule("a", enabled=False), rule("b", {"app": "x"}, enabled=False))
    assert outcome(ready, {"app_id": "bin:x"}) is NOTHING
    assert [trial.reason for trial in tried(ready, {})] == ["is switched off"] * 2


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ({"media_name": "*Twitch*"}, "media_name is “YouTube”, not “*Twitch*”"),
        ({"media_name": ["a", "re:z"]}, "media_name is “YouTube”, not “a” or “re:z”"),
        ({"media_name": ["*", "!*tube"]}, "media_name is “YouTube”, which “!*tube” excludes"),
        ({"role": "music"}, "role is not set, not “music”"),
        ({"role": "!"}, "role is not set, which “!” excludes"),
        ({"app": "firefox"}, "app is “Fox” or “bin:fox” or “fox”, not “firefox”"),
        ({"media_name": ["a", "*tube"]}, "+media_name is “YouTube”, as “*tube” asks"),
        ({"role": "music", "app": "fox"}, "role is not set, not “music”"),
        ({"media_name": ["!a", "!b"]}, "+media_name is “YouTube”, which “!a” and “!b” allow"),
        ({"role": "", "app": "fox"}, "+role is not set, as “” asks; app is “Fox” or “bin:fox” or “fox”, as “fox” asks"),
    ],
)  # fmt: skip
def test_a_trial_tells_why(match: dict[str, object], reason: str) -> None:
    known = {"media_name": "YouTube", "app_id": "bin:fox", "app_name": "Fox"}
    (trial,) = tried(rules(rule(match=match)), known)
    assert trial.reason == reason.removeprefix("+")
    assert trial.matched is reason.startswith("+")


def test_rules_after_the_one_that_won_are_not_tried() -> None:
    trials = tried(rules(rule("a"), rule("b")), {})
    assert trials[1].reason == "not tried: “a” matched before it and does not continue"


# --- the plain form

NAMES = st.text(min_size=1, max_size=20).map(clean).filter(bool)
LEVELS = st.floats(0.0, 1.5)
CLEAN_PATTERNS = st.builds(
    lambda text, negated, is_exact: (
        Pattern(kind=PatternKind.EXACT, text=text, negated=negated)
        if is_exact
        else Pattern(kind=PatternKind.GLOB, text=f"{text}?x", negated=negated)
    ),
    TEXTS,
    st.booleans(),
    st.booleans(),
).filter(lambda p: p.kind is PatternKind.EXACT or not p.text.startswith(("!", "=", "re:"))) | st.builds(
    Pattern, kind=st.just(PatternKind.REGEX), text=st.sampled_from(["a|b", "(?i)x.*y"]), negated=st.booleans()
)
FIELD_NAMES = st.sampled_from([f for f in FIELDS if f != "direction"]) | NAMES.map("property:{}".format)
CONDITIONS = st.lists(
    st.builds(
        Condition, field=FIELD_NAMES, patterns=st.lists(CLEAN_PATTERNS, min_size=1, max_size=3).map(tuple)
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda condition: condition.field,
).map(tuple)
RULES = st.builds(
    Rule,
    name=NAMES,
    conditions=CONDITIONS,
    to=st.lists(NAMES, max_size=3).map(tuple),
    volume=st.none() | LEVELS,
    locked=st.booleans(),
    max_volume=st.none() | LEVELS,
    muted=st.none() | st.booleans(),
    group=st.just("") | NAMES,
    display_name=st.just("") | NAMES,
    icon_name=st.just("") | NAMES,
    hide=st.booleans(),
    ignore=st.booleans(),
    force=st.booleans(),
    goes_on=st.booleans(),
    enabled=st.booleans(),
    origin=st.sampled_from(ORIGINS),
).filter(lambda rule: (rule.volume is not None or not rule.locked) and (rule.to != () or not rule.force))


@given(RULES)
def test_a_rule_survives_its_plain_form(one: Rule) -> None:
    assert rule_from_plain(rule_to_plain(one)) == one


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=3) | st.text(max_size=5)
    | st.sampled_from(["50%", "x", "re:(a+)+", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*FIELDS, "properties", "property:", "property:x"]) | st.text(max_size=3), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([key.key for key in KEYS]) | st.text(max_size=4), JUNK))
@example({"name": "a", "match": {"app": "x"}, "volume": 10**5000})
@example({"name": "a", "match": {"app": "x"}, "volume": "9" * 120 + "%"})
@example({"name": "a", "match": {"app": "x"}, "origin": []})
def test_whatever_is_given_is_a_rule_or_an_error_with_a_sentence(plain: dict[str, object]) -> None:
    try:
        one = rule_from_plain(plain)
    except InvalidArgumentError as error:
        text = str(error)
        assert text.endswith(".")
        assert clean(text, len(text)) == text
    else:
        assert rule_from_plain(rule_to_plain(one)) == one


@given(
    st.lists(RULES, max_size=6),
    st.dictionaries(
        st.sampled_from([*FIELDS, "device_description", "property:x"]), st.text(max_size=20), max_size=5
    ),
)
def test_any_rules_and_any_facts_agree_on_what_counts(some: list[Rule], known: dict[str, str]) -> None:
    ready = prepared(some)
    found = outcome(ready, known)
    assert found.matched == tuple(trial.rule for trial in tried(ready, known) if trial.matched)
    assert all(trial.reason for trial in tried(ready, known))
    assert set(found.decided_by.values()) <= set(found.matched)


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        ({"name": ""}, 'name: must be text in quotes, 1 to 128 printable characters, not ""'),
        ({"name": "a\n"}, 'name: must be text in quotes, 1 to 128 printable characters, not "a\\n"'),
        ({"match": {}}, 'match: needs a condition, such as match.app = "firefox"; match.direction = "playback" is for all that plays'),
        ({"match": 1}, 'match: must be a table of conditions, such as match.app = "firefox", not 1'),
        ({"match": {"ap": "x"}}, 'match.ap: no such key; did you mean "app"?'),
        ({"match": {"media.name": "x"}}, 'match.media.name: no such key; did you mean "media_name"?'),
        ({"match": {"volume": "x"}}, "match.volume: no such condition; this key stands outside of match"),
        ({"match": {"zzz": "x"}}, "match.zzz: no such key; here may stand app, app_id, app_name, binary, media_name, role, direction, group, device, properties, property:KEY"),
        ({"match": {"zz": {"app": "x"}}}, "match.zz: no such key; here may stand app, app_id, app_name, binary, media_name, role, direction, group, device, properties, property:KEY"),
        ({"match": {1: "x"}}, "match.1: no such key; here may stand app, app_id, app_name, binary, media_name, role, direction, group, device, properties, property:KEY"),
        ({"match": {"app": 1}}, "match.app: must be a pattern in quotes, or a list of 1 to 64, not 1"),
        ({"match": {"app": []}}, "match.app: must be a pattern in quotes, or a list of 1 to 64, not a list of 0"),
        ({"match": {"app": ["x"] * 65}}, "match.app: must be a pattern in quotes, or a list of 1 to 64, not a list of 65"),
        ({"match": {"app": ["x", 1]}}, "match.app.1: must be a pattern in quotes, not 1"),
        ({"match": {"app": ["x", "\x00"]}}, "match.app.1: must be printable"),
        ({"match": {"direction": "output"}}, 'match.direction: must be one of "playback", "capture", not "output"'),
        ({"match": {"properties": "x"}}, 'match.properties: must be a table, such as properties."media.role" = "game" under match, not "x"'),
        ({"match": {"properties": {"": "x"}}}, "match.properties.: the key of a property has 1 to 128 printable characters"),
        ({"match": {"properties": {"a\n": "x"}}}, "match.properties.a\n: the key of a property has 1 to 128 printable characters"),
        ({"match": {"properties": {"a": "x"}, "property:a": "y"}}, "match.property:a: is set twice"),
        ({"match": {f"property:{i}": "x" for i in range(33)}}, "match: must have at most 32 conditions, not 33"),
        ({"to": []}, "to: must be a device in quotes, or a list of 1 to 16, not a list of 0"),
        ({"to": ["x"] * 17}, "to: must be a device in quotes, or a list of 1 to 16, not a list of 17"),
        ({"volume": 1.6}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not 1.6'),
        ({"volume": "151%"}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not "151%"'),
        ({"volume": float("nan")}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not nan'),
        ({"volume": True}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not true'),
        ({"volume": "0.5"}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not "0.5"'),
        ({"volume": "٣%"}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not "٣%"'),
        ({"volume": "x%"}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not "x%"'),
        ({"volume": "5.x%"}, 'volume: must be a number from 0.0 to 1.5 or a percentage such as "50%", not "5.x%"'),
        ({"muted": 1}, "muted: must be true or false, not 1"),
        ({"locked": True}, 'locked: means nothing without "volume"'),
        ({"force": True}, 'force: means nothing without "to"'),
        ({"match": {"group": "a"}, "group": "a"}, "group: means nothing beside match.group: a stream is in one group, and the first that it gets is its own"),
        ({"volum": 1}, 'volum: no such key; did you mean "volume"?'),
        ({"app": "x"}, 'app: no such key; did you mean "match.app"?'),
        ({"properties": {"a": "x"}}, 'properties: no such key; did you mean "match.properties"?'),
        ({"property:a": "x"}, 'property:a: no such key; did you mean "match.property:a"?'),
        ({"zzz": 1}, "zzz: no such key; here may stand name, match, to, volume, locked, max_volume, muted, group, display_name, icon, hide, ignore, force, continue, enabled"),
        ({"origin": "config"}, "origin: no such key; here may stand name, match, to, volume, locked, max_volume, muted, group, display_name, icon, hide, ignore, force, continue, enabled"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_told_with_what_would_be_right(plain: dict[str, object], problem: str) -> None:
    assert problems(**plain) == [problem]


@pytest.mark.parametrize(
    ("patterns", "is_read"),
    [
        (["re:" + f"{number:03}" * 169 for number in range(8)], True),
        (["re:" + f"{number:03}" * 169 for number in range(9)], False),
        (["=re:" + "x" * 500 for _ in range(9)], True),
        (["re:[\u4e00-\u9fff]", "re:(?i)^[a-zA-Z0-9_-]+$"], True),
        (["re:(?i)[\u4e00-\u9fff]"] * 12, True),
        (["re:(?i)[\u4e00-\u9fff]"] * 13, False),
        (["!re:" + "[\\u0100-\\uffff]" * 3], True),
        (["!re:" + "[\\u0100-\\uffff]" * 4], False),
        (["re:((?i:x|[^\u0100-\uffff]{2}))" * 5], False),
    ],
)
def test_what_regular_expressions_a_rule_can_have_is_bounded_by_how_long_it_takes_to_read_them(
    patterns: list[str], is_read: bool
) -> None:
    told = (
        "match: must have regular expressions of at most 4096 characters together, and fewer with wide ranges"
    )
    halves = {"app": patterns[:5], "role": patterns[5:] or "x"}  # it counts them all
    assert problems(match=halves) == ([] if is_read else [told])


@pytest.mark.parametrize(
    ("match", "are_read"),
    [
        (lambda i: {"app": f"re:(?i)^program{i}$|tool", "media_name": f"re:(?i)a song {i}.*live"}, True),
        (lambda i: {"app": [f"steam:{i}:*", f"*game {i}*"], "binary": [f"game{i}", f"=game*{i}"]}, True),
        (lambda i: {"app": [f"{i} {n}" for n in range(25)]}, True),
        (lambda i: {"app": [f"{i} {n}" for n in range(26)]}, False),
        (lambda i: {"app": [f"*{i} {n}*" for n in range(26)]}, False),
        (lambda i: {"app": f"re:{'x' * 100}{i}"}, False),
        (lambda i: {"app": [f"a{i}{n}*" for n in range(6)]}, False),
        (lambda i: {"app": [f"re:{i}{n}" for n in range(6)]}, False),
        (lambda i: {"app": "x", "properties": {"media.role": [f"re:{i}{n}" for n in range(6)]}}, False),
        (lambda i: {"app": [f"re:({n}{i}" for n in range(6)]}, False),
    ],
)
def test_of_more_patterns_than_can_be_read_at_once_none_is_read(
    match: Callable[[int], dict[str, object]], are_read: bool
) -> None:
    _regex.cache_clear()
    read, wrong = read_tables([{"name": f"{i}", "match": match(i)} for i in range(RULE_LIMIT)])
    if are_read:
        assert (len(read), wrong) == (RULE_LIMIT, ())
        return
    (problem,) = wrong
    assert problem[0] == ("rules",)
    assert "fewer or shorter" in problem[1]
    assert _regex.cache_info().misses == 0


def test_as_many_regular_expressions_as_a_file_may_have_are_each_read_once() -> None:
    _regex.cache_clear()
    tables = [{"name": f"{i}", "match": {"app": [f"re:{i}{n}" for n in "abcde"]}} for i in range(990)]
    read, _ = read_tables(tables)
    prepared(read)
    assert _regex.cache_info().misses == 5 * len(read) == 5 * len(tables)


def test_all_problems_of_a_rule_are_told_at_once() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        rule_from_plain({"volume": 2, "hidden": True})
    assert str(caught.value) == (
        'hidden: no such key; did you mean "hide"?; volume: must be a number from 0.0 to 1.5 or a percentage such as'
        ' "50%", not 2; rule: needs a name, such as name = "Music"; rule: needs a condition, such as'
        ' match.app = "firefox"; match.direction = "playback" is for all that plays.'
    )


def test_what_was_meant_is_looked_for_no_further_than_it_is_told() -> None:
    many = problems(**{f"volum{i}": 1 for i in range(100)})
    assert many[PROBLEM_LIMIT - 1] == 'volum19: no such key; did you mean "volume"?'
    assert many[PROBLEM_LIMIT] == "volum20: no such key"
    with pytest.raises(InvalidArgumentError, match=r"volum19: [^;]*; [^;]*; and 2 more\.$"):
        rule_from_plain({f"volum{i}": 1 for i in range(20)})


def test_a_question_has_one_mark() -> None:
    with pytest.raises(InvalidArgumentError, match=r'^match.ap: no such key; did you mean "app"\?$'):
        rule_from_plain({"name": "A", "match": {"ap": "x"}})


def test_an_origin_is_one_of_two() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r'^origin: must be one of "config", "service", not "me"\.$'
    ):
        rule_from_plain({"origin": "me"})


@pytest.mark.parametrize(
    ("written", "read"), [("50%", 0.5), ("12.5 %", 0.125), ("0%", 0.0), (1, 1.0), (1.5, 1.5)]
)
def test_a_volume_is_a_number_or_a_percentage(written: object, read: float) -> None:
    assert rule(volume=written).volume == read


def test_one_text_is_a_list_of_one() -> None:
    assert rule(to="x", match={"app": "y"}) == rule(to=["x"], match={"app": ["y"]})


def test_properties_may_stand_in_a_table_of_their_own() -> None:
    assert rule(match={"properties": {"media.icon": "x"}}) == rule(match={"property:media.icon": ["x"]})


def test_the_longest_pattern_and_the_directions_are_those_of_the_model() -> None:
    assert PATTERN_LIMIT == TEXT_LIMIT
    assert DIRECTIONS == ("playback", "capture")


def test_every_field_of_a_rule_but_its_origin_has_a_key() -> None:
    assert {key.field for key in KEYS} == set(Rule.__slots__) - {"origin"}
