"""Which of very many texts stand in another one, in one pass through it. Pure.

The texts are written as one regular expression that branches where they differ: a text in which none of them stands, as
nearly always, is found to be so in less than a microsecond, whether they are ten or a thousand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

HEAD: Final = 32
"""How many characters of a text are looked for: they bound how deep the expression branches."""


def finder(values: Mapping[str, frozenset[int]]) -> Callable[[str], frozenset[int]]:
    """Make a function that returns the values of all texts that stand in a text, and perhaps of some that nearly do.

    No text may be empty. It takes 5 to 20 µs to make for each text.
    """
    by_head: dict[str, frozenset[int]] = {}
    head = ""
    for text in sorted(values):  # so that each comes after those that it begins with
        if not head or not text.startswith(head):
            head = text[:HEAD]
        by_head[head] = by_head.get(head, frozenset()) | values[text]
    search = re.compile(_written([*by_head])).search

    def found_in(text: str) -> frozenset[int]:
        found = frozenset[int]()
        match = search(text)
        while match is not None:
            found |= by_head[match[0]]
            match = search(text, match.start() + 1)
        return found

    return found_in


def _written(texts: Sequence[str], start: int = 0) -> str:
    """Write sorted texts, of which none begins with another, from a place on as one expression."""
    if len(texts) == 1:
        return re.escape(texts[0][start:])
    branches = [
        re.escape(character) + _written([*same], start + 1)
        for character, same in groupby(texts, itemgetter(start))
    ]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
