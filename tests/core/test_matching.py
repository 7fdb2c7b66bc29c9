"""That rules which were made ready decide as one who reads them plainly, from the first to the last, would."""

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from random import Random

import pytest

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.matching import outcome, prepared
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.patterns import Pattern, PatternKind, is_sure, parse_pattern
from pwmixer_dbus.core.rules import Condition, Rule
from pwmixer_dbus.core.substrings import HEAD, finder

FIELDS = ("app", "app_id", "media_name", "group", "device", "direction", "role", "property:x")
WORDS = ("", "a", "ab", "abc", "b", "Site 1", "site 12", "kilo", "straße", "STRASSE", "\u0130b", "\u0131b", "\u212ailo",
         "ib", "I", "[live]", "a\u200db", "a" * 40, "a" * 40 + "b")  # fmt: skip
SHAPES = ("{0}", "={0}", "*{0}*", "*{0}", "{0}*", "?{0}*{1}", "[ab]*{0}", "re:{0}", "re:(?i){0}", "re:(?i)^(?:{0}|{1})$",
          "re:{0}.*{1}", "re:(?i)[k-s]{0}?", "re:(?i){0}|{1}", "re:.*{0}")  # fmt: skip


def fits(pattern: Pattern, text: str) -> bool:
    match pattern.kind:
        case PatternKind.EXACT:
            return text.casefold() == pattern.text.casefold()
        case PatternKind.GLOB:
            return fnmatchcase(text.casefold(), pattern.text.casefold())
        case PatternKind.REGEX:
            return re.search(pattern.text, text) is not None


def texts_of(known: dict[str, str], field: str) -> list[str]:
    found = [known.get(field, "")]
    if field == "app":
        app_id = known.get("app_id", "")
        names = (known.get("app_name", ""), app_id, app_id.partition(":")[2], app_id.rpartition(".")[2])
        found = [name for name in names if name] or [""]
        if ":" not in app_id:
            found = [name for name in (known.get("app_name", ""), app_id) if name] or [""]
    if field == "device" and known.get("device_description"):
        found.append(known["device_description"])
    return [clean(text) for text in found]


def holds(condition: Condition, known: dict[str, str]) -> bool:
    texts = texts_of(known, condition.field)
    wanted = [p for p in condition.patterns if not p.negated]
    unwanted = [p for p in condition.patterns if p.negated]
    if any(fits(pattern, text) for pattern in unwanted for text in texts):
        return False
    return not wanted or any(fits(pattern, text) for pattern in wanted for text in texts)


def that_count(rules: list[Rule], known: dict[str, str]) -> Iterator[Rule]:
    """Go through rules as the documentation says."""
    here = dict(known)
    for rule in rules:
        if rule.enabled and all(holds(condition, here) for condition in rule.conditions):
            yield rule
            if not rule.goes_on:
                return
            if not clean(here.get("group", "")):
                here["group"] = rule.group


def a_pattern(random: Random) -> Pattern:
    shape, words = random.choice(SHAPES), [random.choice(WORDS) for _ in "01"]
    if shape.startswith("re:"):
        words = [re.escape(word) for word in words]
    sign = random.choice(("", "", "", "!"))
    try:
        return parse_pattern(sign + shape.format(*words))
    except InvalidArgumentError:  # as “!*”, which nothing can match
        return parse_pattern("ab")


def a_rule(random: Random, name: str) -> Rule:
    fields = random.sample(FIELDS, random.choice((1, 1, 2, 3)))
    return Rule(
        name=name,
        conditions=tuple(
            Condition(
                field=field, patterns=tuple(a_pattern(random) for _ in range(random.choice((1, 1, 2, 3))))
            )
            for field in fields
        ),
        group=random.choice(("", "", "abc", "kilo")),
        goes_on=random.random() < 0.7,
        enabled=random.random() < 0.9,
    )


def a_text(random: Random) -> str:
    return random.choice((" ", "", "x")).join(
        random.choice(WORDS) for _ in range(random.choice((0, 1, 1, 2, 4)))
    )


@pytest.mark.parametrize("seed", range(20))
def test_rules_decide_as_one_who_reads_them_from_the_first_to_the_last(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - the same rules in every run
    matched = 0
    for _ in range(20):
        rules = [a_rule(random, str(i)) for i in range(random.choice((1, 5, 40)))]
        ready = prepared(rules)
        for _ in range(20):
            known = {
                **{field: a_text(random) for field in FIELDS if field != "app"},
                "app_id": random.choice(("", "bin:", "id:org.x.")) + a_text(random).strip("."),
                "app_name": a_text(random),
                "device_description": a_text(random),
            }
            found = outcome(ready, known).matched
            assert found == tuple(that_count(rules, known))
            matched += len(found)
    assert matched > 200, "there is something to compare"


def test_of_every_character_that_a_letter_can_mean_it_is_known_whether_it_folds_to_it() -> None:
    letter = re.compile("(?i)[a-z]")
    for character in map(chr, range(sys.maxunicode + 1)):
        if letter.match(character) and is_sure(character.casefold()):
            (meant,) = [one for one in "abcdefghijklmnopqrstuvwxyz" if re.match(f"(?i){one}", character)]
            assert character.casefold() == meant


def test_texts_that_begin_alike_overlap_or_hold_each_other_are_all_found() -> None:
    texts = ["a", "ab", "abc", "bcd", "cd", "(x|y)*", "x" * HEAD + "1", "x" * HEAD + "2"]
    found_in = finder({text: frozenset({place}) for place, text in enumerate(texts)})
    for subject in ("", "z", "abcd", "zzcd", "a(x|y)*b", "x" * HEAD + "2", "y" * 600 + "bcd"):
        assert found_in(subject) >= {place for place, text in enumerate(texts) if text in subject}
    assert not found_in("xyz" * 100)
    assert found_in("zbcdz") == {3, 4}


def test_a_thousand_texts_of_which_each_goes_on_where_the_other_ends_are_made_ready() -> None:
    texts = {"a" * i + "b": frozenset({i}) for i in range(1, 500)} | {
        "c" * i: frozenset({-i}) for i in range(1, 500)
    }
    found_in = finder(texts)
    assert found_in("aab") == {1, 2}
    assert 499 in found_in("a" * 499 + "b")
    assert -499 in found_in("c" * 500)
