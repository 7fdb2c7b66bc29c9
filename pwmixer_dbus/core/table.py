"""Mappings of which a copy with one entry changed takes the same time however many entries there are. Pure.

Up to `SMALL` entries, a mapping is a dict that is copied as a whole, which nothing beats. A larger one is a `Table`.
Users need not know which they have; the rule of this file: but for time, nothing tells the two apart.
"""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_Entry = tuple[int, K, V]
"""Its place in the order, its key and its value."""

SMALL = 128
"""How many entries are copied at once; from here on that takes longer than what a `Table` does (docs/performance.md)."""

BUCKETS = 37
"""A prime, so that indexes that are given at regular intervals do not meet in a few of them."""


def with_entry(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """Return the mapping with an entry: in the place of the one with its key, or behind the last."""
    if type(mapping) is Table:
        return mapping.with_entry(key, value)
    if len(mapping) < SMALL:
        return {**mapping, key: value}
    return Table(mapping).with_entry(key, value)


def without(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    """Return the mapping without an entry. Raises KeyError where there is none with this key."""
    if type(mapping) is Table:
        return mapping.without(key)
    if len(mapping) > SMALL:
        return Table(mapping).without(key)
    rest = dict(mapping)
    del rest[key]
    return rest


def lasting(entries: dict[K, V]) -> Mapping[K, V]:
    """Return entries as such a mapping; the dictionary that was given must not be changed any more."""
    return entries if len(entries) <= SMALL else Table(entries)


class Table(Mapping[K, V]):
    """A frozen mapping in the order of a dict, whose entries lie in buckets, by the hashes of their keys.

    A change copies one bucket and the row of them. Each entry has its place in the order beside it, by which they are
    sorted whenever all are gone through: that is what it costs.
    """

    __slots__ = ("_buckets", "_length", "_next_place")

    def __init__(self, entries: Mapping[K, V]) -> None:
        self._buckets: list[dict[K, _Entry[K, V]]] = [{} for _ in range(BUCKETS)]
        for place, (key, value) in enumerate(entries.items()):
            self._buckets[hash(key) % BUCKETS][key] = place, key, value
        self._length = self._next_place = len(entries)

    def with_entry(self, key: K, value: V) -> "Table[K, V]":
        """See the function of this name."""
        which = hash(key) % BUCKETS
        bucket = self._buckets[which]
        known = bucket.get(key)
        place = self._next_place if known is None else known[0]
        return self._changed(which, {**bucket, key: (place, key, value)}, known is None)

    def without(self, key: K) -> Mapping[K, V]:
        """See the function of this name; what has become small is a dict."""
        which = hash(key) % BUCKETS
        bucket = self._buckets[which].copy()
        del bucket[key]
        fewer = self._changed(which, bucket, -1)
        return fewer if fewer._length > SMALL // 2 else fewer._in_order()  # noqa: SLF001 - another one of ours

    def _changed(self, which: int, bucket: dict[K, _Entry[K, V]], more: int) -> "Table[K, V]":
        changed: Table[K, V] = object.__new__(Table)
        changed._buckets = self._buckets.copy()
        changed._buckets[which] = bucket
        changed._length = self._length + more
        changed._next_place = self._next_place + (more > 0)
        return changed

    def _in_order(self) -> dict[K, V]:
        entries = chain.from_iterable([bucket.values() for bucket in self._buckets])
        return {key: value for _, key, value in sorted(entries, key=itemgetter(0))}

    def __getitem__(self, key: K) -> V:
        return self._buckets[hash(key) % BUCKETS][key][2]

    def get(self, key: K, default: Any = None, /) -> Any:
        """Return the value of a key, or what is given for none."""
        found = self._buckets[hash(key) % BUCKETS].get(key)
        return default if found is None else found[2]

    def __contains__(self, key: object) -> bool:
        return key in self._buckets[hash(key) % BUCKETS]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return iter(self._in_order())

    def keys(self) -> KeysView[K]:
        """Go through the keys, in order."""
        return self._in_order().keys()

    def values(self) -> ValuesView[V]:
        """Go through the values, in order."""
        return self._in_order().values()

    def items(self) -> ItemsView[K, V]:
        """Go through the entries, in order."""
        return self._in_order().items()

    def __eq__(self, other: object) -> bool:
        return self._in_order() == (other._in_order() if isinstance(other, Table) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._in_order())
