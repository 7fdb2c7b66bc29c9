"""How a person writes what a text must look like, and whether a text does. Every pattern has a known highest cost.

    Firefox          the whole text, ignoring case            !PATTERN     not this
    *YouTube*        a glob (* ? [...]), the whole text, ignoring case
    re:S[0-9]+       a regular expression, anywhere in the text, minding case; (?i) in front ignores it
    =What? [live]    the whole text, ignoring case; no character of it is special

A text that is missing is empty: "" asks for that, "!" for one that is there. Texts come from strangers (the title of a
web page), so a regular expression whose cost could grow out of bounds on some text is refused when it is written.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache
from itertools import accumulate, combinations, zip_longest
from typing import Final, NamedTuple, cast

from pwmixer_dbus.core.errors import InvalidArgumentError
from pwmixer_dbus.core.model import TEXT_LIMIT, clean
from pwmixer_dbus.core.records import dataclass

PATTERN_LIMIT: Final = 512
"""The most characters that a pattern may have."""

GLOB_LIMIT: Final = 32
"""The most signs (* ? [) that a glob may have: to prepare one with hundreds would take 10 ms."""

WEIGHT_LIMIT: Final = 4096
"""The most that all patterns of a rule may weigh: to read them takes up to 3 µs for each character."""

TOTAL_LIMIT: Final = 100_000
"""The most that all patterns of a file may weigh together: to read and prepare them takes a third of a second at most."""

STEP_LIMIT: Final = 15_000_000
"""The most steps that a regular expression may need on any text: less than a tenth of a second."""

Fits = Callable[[str, str], bool]
"""Whether a text fits, given as it is and case-folded."""

_GLOB_SIGNS: Final = frozenset("*?[")
_PREFIXES: Final = ("!", "=", "re:")
_ASCII: Final = 128
# What a pattern weighs besides the characters of what has to be compiled.
_READ, _COMPILED, _OF_SET = 4, 16, 32
_FEW: Final = 8  # to look for more texts costs more than the expression
_COST_CAP: Final = 10 * STEP_LIMIT


class PatternKind(StrEnum):
    """How a pattern's text is read."""

    EXACT = "exact"
    GLOB = "glob"
    REGEX = "regex"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a text must look like; with `negated`, must not. `text` is without the prefixes."""

    kind: PatternKind
    text: str
    negated: bool = False


def parse_pattern(text: str) -> Pattern:
    """Read a pattern as a person writes it; raises InvalidArgumentError with a sentence."""
    if len(text) > PATTERN_LIMIT:
        raise InvalidArgumentError(f"must have at most {PATTERN_LIMIT} characters, not {len(text)}")
    if clean(text) != text:
        raise InvalidArgumentError("must be printable")
    negated = text.startswith("!")
    bare = text.removeprefix("!")
    if bare.startswith("="):
        return Pattern(kind=PatternKind.EXACT, text=bare.removeprefix("="), negated=negated)
    if bare.startswith("re:"):
        regex = bare.removeprefix("re:")
        _regex(regex)
        return Pattern(kind=PatternKind.REGEX, text=regex, negated=negated)
    if _GLOB_SIGNS.isdisjoint(bare):
        return Pattern(kind=PatternKind.EXACT, text=bare, negated=negated)
    if not is_glob(bare):
        raise InvalidArgumentError(
            f"must have at most {GLOB_LIMIT} of the signs *, ? and [; behind = they stand for themselves"
        )
    if negated and not bare.strip("*"):
        raise InvalidArgumentError('must not be “!*”, which nothing can match; "" asks for a missing text')
    return Pattern(kind=PatternKind.GLOB, text=bare, negated=negated)


@lru_cache(maxsize=4096)
def weight_of(text: str) -> int:
    """Tell how dear a pattern is to read: the characters of a regular expression, and one more for each 64 of a range."""
    bare = text.removeprefix("!")
    if not bare.startswith("re:"):
        return 0
    regex = bare.removeprefix("re:")
    if "-" in regex and len(regex) <= PATTERN_LIMIT:
        with suppress(InvalidArgumentError), _mistakes_told():
            return len(regex) + _span(_tree(regex)) // 64
    return len(regex)


def are_too_many(patterns: Iterable[str]) -> bool:
    """Whether patterns weigh more than those of a file may; none of them is looked at for longer than it takes to know."""
    return any(total > TOTAL_LIMIT for total in accumulate(map(_weight_among_all, patterns)))


def _weight_among_all(text: str) -> int:
    bare = text.removeprefix("!")
    if bare.startswith("re:"):
        return _COMPILED + weight_of(text) + _OF_SET * bare.count("[")
    inner = bare[1:-1] if bare[:1] == bare[-1:] == "*" else bare
    return _READ if bare.startswith("=") or _GLOB_SIGNS.isdisjoint(inner) else _COMPILED + len(bare)


def pattern_text(pattern: Pattern) -> str:
    """Write a pattern so that `parse_pattern` gives it back."""
    prefix = "!" if pattern.negated else ""
    match pattern.kind:
        case PatternKind.REGEX:
            return f"{prefix}re:{pattern.text}"
        case PatternKind.EXACT if pattern.text.startswith(_PREFIXES) or _GLOB_SIGNS & set(pattern.text):
            return f"{prefix}={pattern.text}"
        case _:
            return prefix + pattern.text


def is_glob(text: str) -> bool:
    """Whether a text has signs of a glob, and no more of them than a glob may have."""
    return 0 < sum(map(text.count, _GLOB_SIGNS)) <= GLOB_LIMIT


@lru_cache(maxsize=64)
def glob(pattern: str) -> Callable[[str], object]:
    """Prepare a case-folded glob, to find whether a case-folded text fits; fnmatch would keep the last 32768."""
    return re.compile(translate(pattern)).match


def fits_of(pattern: Pattern) -> Fits:
    """Prepare what a pattern asks for, whether it is negated or not; texts must have passed `clean`."""
    wanted = pattern.text.casefold()
    inner = _inner(pattern)
    match pattern.kind:
        case PatternKind.EXACT:
            return lambda _, folded: folded == wanted
        case PatternKind.GLOB if inner is not None:
            return lambda _, folded: (
                inner in folded
            )  # nearly every glob is this, and it takes a fifth of the time
        case PatternKind.GLOB:
            matches = glob(wanted)
            return lambda _, folded: matches(folded) is not None
        case PatternKind.REGEX:
            find = _regex(pattern.text).find
            return lambda text, _: find(text) is not None


def literals_of(pattern: Pattern) -> frozenset[str]:
    """Find texts of which one at least stands in each case-folded text that fits; none where that cannot be told.

    To look for them first takes 40 ns, a regular expression up to 2 µs. Those of a regular expression are only sure to
    stand in texts of which `is_sure` says so.
    """
    match pattern.kind:
        case PatternKind.EXACT:
            return frozenset({pattern.text.casefold()})
        case PatternKind.GLOB:
            return frozenset({_longest_part(pattern.text.casefold())} - {""})
        case PatternKind.REGEX:
            return _regex(pattern.text).literals


def is_sure(folded: str) -> bool:
    """Whether a case-folded text holds all literals of whatever regular expression it fits.

    Ignoring case, "i" also finds one without its dot and the capital one with a dot, neither of which folds to it.
    """
    return folded.isascii() or not ("\u0131" in folded or "i\u0307" in folded)


def _longest_part(glob: str) -> str:
    """Return the longest of the texts between the signs of a glob; "" where there is none, or a choice of characters."""
    return "" if "[" in glob else max(glob.replace("?", "*").split("*"), key=len)


def _inner(pattern: Pattern) -> str | None:
    """Return the folded text of a glob such as *text*, None for any other pattern."""
    folded = pattern.text.casefold()
    inner = folded.strip("*")
    is_inside = folded.startswith("*") and folded.endswith("*") and _GLOB_SIGNS.isdisjoint(inner)
    return inner if pattern.kind is PatternKind.GLOB and is_inside else None


class _Regex(NamedTuple):
    """A regular expression made ready; a text without any of the `literals` cannot match it."""

    find: Callable[[str], object]
    literals: frozenset[str]


@lru_cache(maxsize=8192)  # a reload of a thousand rules pays only for those that are new
def _regex(regex: str) -> _Regex:
    try:
        with _mistakes_told():
            items = _items(_tree(regex))
            compiled = re.compile(regex)
            starts_once = _starts_once(items)
            steps = _cost(items).work * (1 if starts_once else TEXT_LIMIT + 1)
    except _UnboundedError as error:
        raise InvalidArgumentError(str(error)) from error
    if steps > STEP_LIMIT:
        raise InvalidArgumentError(
            "must be a regular expression that is quick on any text, and this one could run for ever: use fewer *, +"
            " and {}, none of them around another, or a glob such as *one*two*"
        )
    return _Regex(compiled.match if starts_once else compiled.search, _literals_of(items))


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """Raise InvalidArgumentError for whatever Python says against a regular expression."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except (re.error, OverflowError, RecursionError, Warning) as error:
        reason = clean(str(error)) if isinstance(error, re.error | Warning) else "it is too deep or too large"
        raise InvalidArgumentError(f"must be a regular expression, and this is none: {reason}") from error


def _tree(regex: str) -> "Iterable[object]":
    """Read a regular expression as Python does, into operations with their arguments."""
    try:
        from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - private, so it may go
    except ImportError as error:
        raise InvalidArgumentError(
            "must be no regular expression: on this Python nobody can tell how long it would take"
        ) from error
    tree: Iterable[object] = _parser.parse(regex)
    return tree


def _span(part: object) -> int:
    """Count the characters of all ranges in a tree: Python goes through each when it makes the expression."""
    match part:
        case (operation, (int() as first, int() as last)) if str(operation) == "RANGE":
            return last - first
        case None | int() | str():
            return 0
    return sum(map(_span, cast("Iterable[object]", part)))


class _UnboundedError(Exception):
    """Something in a regular expression whose cost cannot be told."""


class _Cost(NamedTuple):
    """What a part of a regular expression costs at one place of a text, at most.

    `ways`: in how many ways it can match there, each of which the rest may have to try. `work`: steps to go through
    all of them. `width`: how many characters it takes at least.
    """

    ways: int
    work: int
    width: int


Item = tuple[str, object]
_ONE_CHARACTER: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "CATEGORY"})
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def _items(body: object) -> list[Item]:
    """Read one level of the tree that Python's parser makes, with operations by their names."""
    return [(str(operation), value) for operation, value in cast("Iterable[Item]", body)]


def _starts_once(items: list[Item]) -> bool:
    """Whether only the start of the text need be tried: after ^, or .*, as no text has a newline."""
    match items[:1]:
        case [("AT", where)]:
            return str(where) in {"AT_BEGINNING", "AT_BEGINNING_STRING"}
        case [(repeat, (0, int() as highest, body))] if repeat in _REPEATS and highest > TEXT_LIMIT:
            return [operation for operation, _ in _items(body)] == ["ANY"]
    return False


def _cost(items: list[Item]) -> _Cost:
    """Sum up a sequence: what follows is tried once for each way in which all before it can match."""
    ways, work, width = 1, 0, 0
    for item, following in zip_longest(items, items[1:]):
        part = _cost_of(item)
        work = min(work + ways * (part.work + part.ways), _COST_CAP)
        if following is None or not _ends_at(item, following):
            ways = min(ways * part.ways, _COST_CAP)
        width += part.width
    return _Cost(ways, work, width)


def _cost_of(item: Item) -> _Cost:
    match item:
        case ("IN", members):
            return _Cost(1, len(_items(members)) // 8, 1)
        case (operation, _) if operation in _ONE_CHARACTER:
            return _Cost(1, 0, 1)
        case ("AT" | "FAILURE", _):
            return _Cost(1, 0, 0)
        case ("MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", _):
            return _cost_of_repeat(item)
        case ("ATOMIC_GROUP", body):
            return _cost(_items(body))._replace(ways=1)
        case ("ASSERT" | "ASSERT_NOT", (_, body)):
            return _cost(_items(body))._replace(ways=1, width=0)
        case ("SUBPATTERN", (_, _, _, body)):
            return _cost(_items(body))
        case ("BRANCH", (_, list() as branches)):
            return _cost_of_branches([_items(branch) for branch in branches])
    if item[0].startswith("GROUPREF"):
        raise _UnboundedError("must be a regular expression without references to groups, such as \\1")
    raise _UnboundedError(f"must be a regular expression of known cost, and {item[0]} has none")


def _cost_of_branches(branches: list[list[Item]]) -> _Cost:
    costs = [_cost(branch) for branch in branches]
    ways = [cost.ways for cost in costs]
    return _Cost(
        min(max(ways) if _are_apart(branches) else sum(ways), _COST_CAP),
        min(sum(cost.work for cost in costs), _COST_CAP),
        min(cost.width for cost in costs),
    )


def _cost_of_repeat(item: Item) -> _Cost:
    match item:
        case (operation, (int() as lowest, int() as highest, body)):
            once = _cost(_items(body))
        case _:
            raise _UnboundedError("must be a regular expression whose repeats can be told")
    is_possessive = operation == "POSSESSIVE_REPEAT"  # each round keeps the first way that it finds
    each = 1 if is_possessive else once.ways
    most = min(highest, TEXT_LIMIT // max(once.width, 1))
    if each == 1:
        ways, work, paths = max(most + 1 - lowest, 0), most * once.work, 1
    else:
        ways, work, paths = 0, 0, 1
        for count in range(most + 1):
            ways += paths if count >= lowest else 0
            work += paths * once.work if count < most else 0
            paths *= each
            if paths > _COST_CAP:
                break
    if ways + work + paths > _COST_CAP:
        return _Cost(_COST_CAP, _COST_CAP, 0)
    return _Cost(1 if is_possessive else max(ways, 1), work + 1, min(lowest, most) * once.width)


def _ends_at(item: Item, following: Item) -> bool:
    """Whether one way at most is left after what follows: a run of characters ends where another one must stand."""
    while item[0] == "SUBPATTERN":
        match item[1]:
            case (_, 0, 0, body) if len(inner := _items(body)) == 1:
                item = inner[0]
            case _:
                return False
    match item, _literals(following):
        case ((repeat, (_, _, body)), list() as literals) if repeat in _REPEATS and literals:
            run = _items(body)
            return len(run) == 1 and not any(_may_admit(run[0], code) for code in literals)
    return False


def _are_apart(branches: list[list[Item]]) -> bool:
    """Whether no two branches can start with the same character."""
    firsts = []
    for branch in branches:
        literals = _literals(branch[0]) if branch else []
        if not literals:
            return False
        firsts.append({chr(code).casefold() for code in literals})
    return all(one.isdisjoint(other) for one, other in combinations(firsts, 2))


def _literals(item: Item) -> list[int]:
    """List the characters that an item can be, where those are few, plain and ASCII; else nothing."""
    match item:
        case ("LITERAL", int() as code) if code < _ASCII:
            return [code]
        case ("IN", members):
            each = [_literals(member) for member in _items(members)]
            return [code for codes in each for code in codes] if all(each) else []
    return []


def _may_admit(item: Item, code: int) -> bool:
    """Whether an item can be this ASCII character; True in doubt. Case is ignored, which can only be too careful."""
    both = {ord(chr(code).lower()), ord(chr(code).upper())}
    match item:
        case ("LITERAL", int() as mine):
            return mine in both or mine >= _ASCII
        case ("NOT_LITERAL", mine):
            return bool(both - {mine})
        case ("RANGE", (int() as first, int() as last)):
            return last >= _ASCII or any(first <= one <= last for one in both)
        case ("CATEGORY", category):
            return _category_may_admit(str(category), chr(code))
        case ("IN", members):
            match _items(members):
                case [("NEGATE", _), *others]:
                    return not any(_surely_admits(other, both) for other in others)
                case others:
                    return any(_may_admit(other, code) for other in others)
    return True


def _surely_admits(item: Item, both: set[int]) -> bool:
    match item:
        case ("LITERAL", mine):
            return both == {mine}
        case ("RANGE", (int() as first, int() as last)):
            return all(first <= one <= last for one in both)
        case ("CATEGORY", category):
            return all(_category_may_admit(str(category), chr(one)) for one in both)
    return False


def _category_may_admit(category: str, character: str) -> bool:
    within = {
        "DIGIT": character.isdecimal(),
        "SPACE": character.isspace(),
        "WORD": character.isalnum() or character == "_",
    }
    negated = "NOT_" in category
    name = category.rpartition("_")[2]
    return within[name] is not negated if name in within else True


def _literals_of(items: list[Item]) -> frozenset[str]:
    """Find texts, folded and ASCII, of which every match holds at least one; none where that cannot be told."""
    found: list[frozenset[str]] = []
    run = ""
    for item in items:
        match item:
            case ("LITERAL", int() as code) if code < _ASCII:
                run += chr(code).lower()
                continue
            case ("SUBPATTERN", (_, _, _, body)) | ("ATOMIC_GROUP", body):
                found.append(_literals_of(_items(body)))
            case ("BRANCH", (_, list() as branches)):
                each = [_literals_of(_items(branch)) for branch in branches]
                found.append(frozenset().union(*each) if all(each) else frozenset())
            case (repeat, (int() as lowest, _, body)) if repeat in _REPEATS and lowest:
                found.append(_literals_of(_items(body)))
        found.append(frozenset({run} - {""}))
        run = ""
    found.append(frozenset({run} - {""}))
    few = [literals for literals in found if 0 < len(literals) <= _FEW]
    return max(few, key=lambda literals: min(map(len, literals)), default=frozenset())
