"""Indexes of the streams: by number, by client and by group. Pure.

Everything in them follows from the streams themselves. `core.state` alone keeps them up to date, so that neither a
request nor a change has to go through all streams.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import TypeVar

from pwmixer_dbus.core.model import Key, Kind, Stream
from pwmixer_dbus.core.records import dataclass, field
from pwmixer_dbus.core.table import lasting, with_entry, without

N = TypeVar("N", bound=int | str)

age: Callable[[Key], tuple[int, Kind]] = itemgetter(1, 0)
"""The sort key that puts the oldest stream first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Keys of streams: by number (as text), and those of each client and each group that has any, oldest first."""

    numbers: Mapping[str, Key] = field(default_factory=dict)
    clients: Mapping[int, tuple[Key, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)


def directory_of(streams: Iterable[Stream]) -> Directory:
    """Return the directory of these streams."""
    numbers: dict[str, Key] = {}
    clients: dict[int, list[Key]] = {}
    groups: dict[str, list[Key]] = {}
    for stream in streams:
        key = numbers[str(stream.number)] = stream.kind, stream.index
        if stream.client is not None:
            clients.setdefault(stream.client, []).append(key)
        if stream.group:
            groups.setdefault(stream.group, []).append(key)
    return Directory(numbers=lasting(numbers), clients=_in_order(clients), groups=_in_order(groups))


def _in_order(members: Mapping[N, list[Key]]) -> Mapping[N, tuple[Key, ...]]:
    return lasting({name: tuple(sorted(keys, key=age)) for name, keys in members.items()})


def entered(directory: Directory, was: Stream | None, now: Stream | None) -> Directory:
    """Return the directory after a stream has come (it was None), has become another, or has gone (it is None now)."""
    before = _NOWHERE if was is None else _ENTRY(was)
    after = _NOWHERE if now is None else _ENTRY(now)
    stream = now or was
    if stream is None or before == after:  # as nearly always, when it has become another
        return directory
    key = stream.kind, stream.index
    (number, client, group), (next_number, next_client, next_group) = before, after
    numbers = directory.numbers
    if number != next_number and numbers.get(str(number)) == key:
        numbers = without(numbers, str(number))
    return Directory(
        numbers=with_entry(numbers, str(next_number), key) if next_number not in {0, number} else numbers,
        clients=_moved(directory.clients, client, next_client, key),
        groups=_moved(directory.groups, group or None, next_group or None, key),
    )


_ENTRY = attrgetter("number", "client", "group")
_NOWHERE = 0, None, ""
"""What a stream is indexed by; `_NOWHERE` is that of one that does not exist."""


def _moved(
    members: Mapping[N, tuple[Key, ...]], was: N | None, now: N | None, key: Key
) -> Mapping[N, tuple[Key, ...]]:
    """Return an index after the stream with this key has changed its client or group from `was` to `now`."""
    if was == now:
        return members
    if was is not None and was in members:
        rest = tuple(other for other in members[was] if other != key)
        members = with_entry(members, was, rest) if rest else without(members, was)
    if now is not None:
        members = with_entry(members, now, tuple(sorted((*members.get(now, ()), key), key=age)))
    return members
