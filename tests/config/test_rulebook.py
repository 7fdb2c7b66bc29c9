import os
from collections.abc import Callable
from pathlib import Path

import pytest
from counting import taken

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.rulebook import LAST, RuleBook, Rules, merged, rules_text
from pwmixer_dbus.core.errors import (
    InvalidArgumentError,
    LimitsExceededError,
    MixerError,
    NotFoundError,
    StaleError,
)
from pwmixer_dbus.core.patterns import PATTERN_LIMIT
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.rules import PATTERNS_LIMIT, RULE_LIMIT, Rule, rule_from_plain


def rule(name: str, origin: str = "service", **more: object) -> Rule:
    return rule_from_plain(
        {"name": name, "match": {"app": "firefox"}, "to": "headset", "origin": origin, **more}
    )


def persons(*names: str) -> Rules:
    return tuple(rule(name, "config") for name in names)


def names(book: RuleBook) -> str:
    return " ".join(r.name for r in book.rules)


def filled(file: Path) -> RuleBook:
    """Make a book with a person's rules and the service's."""
    book = RuleBook(file, persons("A", "B"))
    book.set_service_rules(0, [rule(name) for name in "cde"])
    return book


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Name the file of the service's rules, whose folder is not there yet."""
    return tmp_path / "pwmixer" / "rules.toml"


# The order


def test_a_persons_rules_come_first_and_then_the_services(file: Path) -> None:
    book = filled(file)
    assert names(book) == "A B c d e"
    assert [plain["origin"] for plain in book.list_plain()] == ["config"] * 2 + ["service"] * 3


@pytest.mark.parametrize(
    ("position", "order"),
    [
        (LAST, "A B c d e x"),
        (0, "A B x c d e"),
        (2, "A B x c d e"),
        (3, "A B c x d e"),
        (4, "A B c d x e"),
        (5, "A B c d e x"),
        (99, "A B c d e x"),
    ],
)
def test_a_rule_is_added_at_a_place_of_all_but_never_before_a_persons(
    file: Path, position: int, order: str
) -> None:
    book = filled(file)
    book.add(rule("x"), position)
    assert names(book) == order


@pytest.mark.parametrize(
    ("name", "position", "order"),
    [
        ("e", 2, "A B e c d"),
        ("c", 3, "A B d c e"),
        ("c", 4, "A B d e c"),
        ("d", 0, "A B d c e"),
        ("d", 3, "A B c d e"),
    ],
)
def test_a_rule_moves_to_a_place_of_all(file: Path, name: str, position: int, order: str) -> None:
    book = filled(file)
    book.move(name, position)
    assert names(book) == order


def test_what_is_remembered_stands_first_and_in_place_of_what_was(file: Path) -> None:
    book = filled(file)
    book.put_first([rule("f"), rule("d", volume=0.5)], ["d"])
    assert names(book) == "A B f d c e"
    assert book.rules[3].volume == 0.5


# Writing and reading


def test_what_would_be_too_large_to_be_read_again_is_not_written(file: Path) -> None:
    book = RuleBook(file)
    before = book.add(rule("a"))
    large = [rule(f"r{n}", match={"app": ["é" * PATTERN_LIMIT] * PATTERNS_LIMIT}) for n in range(16)]
    with pytest.raises(
        LimitsExceededError, match=r"would be larger than 1 MiB; make the rules fewer or shorter\.$"
    ):
        book.set_service_rules(0, large)
    assert (book.revision, names(book), book.problem) == (before, "a", "")


def test_rules_whose_patterns_are_too_many_to_be_read_at_once_are_not_written(file: Path) -> None:
    book = RuleBook(file)
    large = [rule(f"r{n}", match={"app": [f"{n}{i}*{'x' * 400}" for i in range(9)]}) for n in range(27)]
    before = book.set_service_rules(0, large[:-1])
    with pytest.raises(LimitsExceededError, match=r"in place of regular expressions\.$"):
        book.add(large[-1])
    with pytest.raises(LimitsExceededError, match=r"in place of regular expressions\.$"):
        book.put_first([large[-1]])
    written = RuleBook(file)
    written.read()
    assert (book.revision, book.rules) == (before, written.rules)
    book.add(rule("after it"))


def filled_with(count: int, file: Path) -> RuleBook:
    book = RuleBook(file, persons("A", "B"))
    book.set_service_rules(0, [rule(f"r{number}") for number in range(count)])
    return book


def test_a_file_is_not_read_again_while_the_same_is_in_it(file: Path) -> None:
    few, many = (taken(filled_with(count, file).read) for count in (10, 100))
    assert many.steps == few.steps
    book = filled(file)
    text = file.read_text()
    file.write_text(text.replace('"c"', '"f"'))
    book.read()
    assert names(book) == "A B f d e"
    file.write_text("[[rules]")
    for _ in range(2):
        with pytest.raises(ConfigError):
            book.read()
    file.write_text(text)
    book.read()
    assert (names(book), book.problem) == ("A B c d e", "")
    file.unlink()
    book.read()
    assert names(book) == "A B"


def test_what_is_not_in_force_is_told_in_as_many_steps_of_many_rules_as_of_few(file: Path) -> None:
    few, many = filled_with(10, file), filled_with(100, file)
    assert taken(lambda: many.problem) == taken(lambda: few.problem)


def test_what_is_written_is_read_again_by_the_next_service(file: Path) -> None:
    written = filled(file)
    assert file.stat().st_mode & 0o777 == 0o600
    book = RuleBook(file, persons("A", "B"))
    book.read()
    assert book.rules == written.rules
    assert book.problem == ""


def test_without_a_file_there_are_only_a_persons_rules(file: Path) -> None:
    book = RuleBook(file, persons("A"))
    book.read()
    assert (names(book), book.problem, file.exists()) == ("A", "", False)


def test_every_change_is_told_once_with_a_new_revision(file: Path) -> None:
    told: list[int] = []
    book = RuleBook(file)
    book.on_change = lambda rules: told.append(len(rules))
    revisions = [book.add(rule("a")), book.add(rule("b")), book.move("b", 0), book.remove("a")]
    assert revisions == [2, 3, 4, 5]
    assert told == [1, 2, 2, 1]
    book.read()
    book.replace_config(())
    book.move("b", 0)
    assert (book.revision, told) == (5, [1, 2, 2, 1])


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    target.write_text(rules_text([rule("a")]))
    file.parent.mkdir()
    file.symlink_to(target)
    book = RuleBook(file)
    book.read()
    book.add(rule("b"))
    assert file.is_symlink()
    assert 'name = "b"' in target.read_text()


def test_nothing_is_left_behind_beside_the_file(file: Path) -> None:
    book = filled(file)
    book.set_service_rules(0, book.rules)
    book.remove("d")
    assert [path.name for path in file.parent.iterdir()] == ["rules.toml"]


# Two who write


def test_what_a_killed_service_left_is_swept_up_when_it_is_old(file: Path) -> None:
    file.parent.mkdir()
    for age in ("old", "young"):
        (file.parent / f".{file.name}.{age}.tmp").write_text("half")
    os.utime(file.parent / f".{file.name}.old.tmp", (0, 0))
    filled(file)
    assert {f".{file.name}.young.tmp", file.name} == {entry.name for entry in file.parent.iterdir()}


def test_rules_are_set_only_as_of_the_revision_that_was_looked_at(file: Path) -> None:
    book = filled(file)
    looked_at = book.revision
    book.add(rule("x"))
    with pytest.raises(StaleError, match=f"since revision {looked_at}, which is {book.revision} now"):
        book.set_service_rules(looked_at, [])
    assert names(book) == "A B c d e x"
    book.set_service_rules(book.revision, [rule("y")])
    assert names(book) == "A B y"
    book.set_service_rules(0, [])
    assert names(book) == "A B"


def test_what_is_listed_can_be_written_back(file: Path) -> None:
    book = filled(file)
    book.set_service_rules(book.revision, [rule_from_plain(plain) for plain in reversed(book.list_plain())])
    assert names(book) == "A B e d c"


def test_a_persons_rule_is_not_changed_by_writing_back(file: Path) -> None:
    book = filled(file)
    changed = [replace(r, volume=0.1) for r in book.rules]
    with pytest.raises(InvalidArgumentError, match=r"“A” is a person's own; edit it in .*config\.toml"):
        book.set_service_rules(0, changed)


# Names and limits


def test_a_name_is_used_once_in_both_files(file: Path) -> None:
    book = filled(file)
    with pytest.raises(InvalidArgumentError, match=r"called “A” in .*config\.toml; choose another"):
        book.add(rule("A"))
    with pytest.raises(InvalidArgumentError, match="called “c” already"):
        book.add(rule("c"))
    with pytest.raises(InvalidArgumentError, match="two rules called “x”"):
        book.set_service_rules(0, [rule("x"), rule("x")])
    with pytest.raises(InvalidArgumentError, match="called “B” in"):
        book.set_service_rules(0, [rule("B")])
    with pytest.raises(InvalidArgumentError, match="called “e” already"):
        book.put_first([rule("e")])
    assert names(book) == "A B c d e"


def test_a_person_may_take_a_name_and_the_services_rule_waits(file: Path) -> None:
    book = filled(file)
    book.replace_config(persons("d", "A"))
    assert names(book) == "d A c e"
    assert book.problem == f"{file}: not in force, since config.toml uses the name: “d”"
    book.add(rule("x"), 3)
    assert names(book) == "d A c x e"
    book.replace_config(persons("A"))
    assert (names(book), book.problem) == ("A c d x e", "")


def test_a_persons_rule_is_removed_by_the_person(file: Path) -> None:
    book = filled(file)
    changes: tuple[Callable[[], int], ...] = (lambda: book.remove("A"), lambda: book.move("A", 3))
    for change in changes:
        with pytest.raises(InvalidArgumentError, match=rf"edit it in {file.with_name('config.toml')}"):
            change()


def test_a_rule_that_is_not_there_is_not_found_and_others_are_named(file: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no rule called “zzz”\. There is “c”, “d”, “e”\."):
        filled(file).remove("zzz")


def test_there_are_no_more_rules_than_the_limit_in_both_files(file: Path) -> None:
    book = RuleBook(file, persons("A"))
    many = [rule(f"r{number}") for number in range(RULE_LIMIT)]
    with pytest.raises(LimitsExceededError):
        book.set_service_rules(0, many)
    book.set_service_rules(0, many[1:])
    with pytest.raises(LimitsExceededError):
        book.add(rule("x"))
    assert len(book.rules) == RULE_LIMIT


# Bad files and disks

BAD = '[[rules]]\nname = "x"\nmatch.app = "a"\nvolum = 1\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BAD, ':4: rules[0].volum: no such key; did you mean "volume"?'),
        ("[volume]\nmax = 1.0\n", ":1: volume: no such key; only [[rules]] stand here"),
        ("rules = 7", ": rules: must be tables, each written [[rules]]"),
        ("[[rules]", ":1:8: not valid TOML"),
        ("[[rules]]\n" * 11, "rules.toml: and 2 more"),
        (rules_text([rule("a"), rule("a")]), 'rules[1].name: there is a rule called "a" above'),
    ],
)
def test_a_bad_file_is_told_and_kept_and_the_last_good_rules_stay(
    file: Path, text: str, problem: str
) -> None:
    book = filled(file)
    file.write_text(text)
    with pytest.raises(ConfigError):
        book.read()
    assert book.problem.startswith(f"{file}:")
    assert problem in book.problem
    changes: tuple[Callable[[], int], ...] = (
        lambda: book.add(rule("x")),
        lambda: book.remove("c"),
        lambda: book.move("c", 3),
    )
    for change in changes:
        with pytest.raises(ConfigError, match="Mend that file first"):
            change()
    assert (names(book), file.read_text()) == ("A B c d e", text)


def test_a_bad_file_is_kept_aside_when_all_rules_are_set(file: Path) -> None:
    book = filled(file)
    file.write_text(BAD)
    with pytest.raises(ConfigError):
        book.read()
    book.set_service_rules(book.revision, [rule("x")])
    assert (names(book), book.problem) == ("A B x", "")
    assert file.with_name("rules.toml.bad").read_text() == BAD


def test_a_bad_file_that_cannot_be_kept_aside_is_not_replaced(file: Path) -> None:
    book = filled(file)
    file.write_text(BAD)
    with pytest.raises(ConfigError):
        book.read()
    file.with_name("rules.toml.bad").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be kept as rules\.toml\.bad: .*; nothing has changed"):
        book.set_service_rules(book.revision, [rule("x")])
    assert (names(book), file.read_text()) == ("A B c d e", BAD)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda book: book.add(rule("x")), "A B mine x"),
        (lambda book: book.put_first([rule("x")]), "A B x mine"),
        (lambda book: book.remove("mine"), "A B"),
    ],
)
def test_what_a_person_has_just_written_is_not_written_over(
    file: Path, change: Callable[[RuleBook], int], shown: str
) -> None:
    book = filled(file)
    file.write_text(rules_text([rule("mine")]))
    change(book)
    assert names(book) == shown
    file.write_text(rules_text([rule("mine"), rule("more")]))
    with pytest.raises(StaleError):
        book.set_service_rules(book.revision, [rule("y")])
    file.write_text(BAD)
    with pytest.raises(ConfigError, match="Mend that file first"):
        book.add(rule("z"))
    assert file.read_text() == BAD


def test_a_file_that_is_mended_is_in_force(file: Path) -> None:
    book = filled(file)
    file.write_text(BAD)
    with pytest.raises(ConfigError):
        book.read()
    file.write_text(rules_text([rule("x")]))
    book.read()
    assert (names(book), book.problem) == ("A B x", "")


def test_where_the_file_cannot_be_written_nothing_changes(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    book = RuleBook(tmp_path / ("r" * longest), persons("A"))
    with pytest.raises(MixerError, match="cannot be written: File name too long; nothing has changed"):
        book.add(rule("x"))
    assert (names(book), book.revision) == ("A", 1)


# From one instance to the next


def test_the_revision_goes_on_from_that_of_another_instance(file: Path) -> None:
    before = filled(file)
    same = RuleBook(file, persons("A", "B"))
    same.read()
    same.take_over(persons("A", "B"), before.rules, 7)
    assert same.revision == 7
    other = RuleBook(file, persons("A"))
    other.read()
    other.take_over(persons("A"), before.rules, 7)
    assert (names(other), other.revision) == ("A c d e", 8)


def test_the_rules_of_a_bad_file_stay_in_force_from_one_instance_to_the_next(file: Path) -> None:
    before = filled(file)
    file.write_text("[[rules]")
    book = RuleBook(file, persons("A", "B"))
    with pytest.raises(ConfigError):
        book.read()
    book.take_over(persons("A", "B"), before.rules, 7)
    assert (names(book), book.revision) == ("A B c d e", 7)
    assert "rules.toml" in book.problem
    book.take_over(persons("B"), before.rules, 7)
    assert names(book) == "B c d e"


def test_of_both_files_the_first_thousand_rules_count() -> None:
    config, own = persons(*(f"mine {n}" for n in range(RULE_LIMIT - 2))), (rule("a"), rule("b"), rule("c"))
    assert merged(config, own) == (*config, *own[:2])
