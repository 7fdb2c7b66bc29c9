"""What statistics look like: pure functions from what `Stats` and `Trace` say to lines of text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from pwmixer_dbus.cli import printable
from pwmixer_dbus.cli.render import Terminal, bar, cells, pad, shorten, table, wrapped

Document = dict[str, Any]

_COSTS = ("seconds", "notices", "fetches", "commands", "calls")
_HEADS = ("share", "notices", "looks", "commands", "calls")
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_LEAST_NAME = 12
_DELAYS = ((0, 1, 2, 3, 4, 5), (0, 1, 2, 4), (0, 2, 4), (0, 4))
"""The columns of the delays, for ever narrower terminals."""
_TWO_DIGITS = 9.95
_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def summary(measured: Document, terminal: Terminal) -> str:
    """Write everything at a glance."""
    heads = ("", "count", "half", "90%", "99%", "longest")
    delays = [
        (
            words(name),
            str(h["count"]),
            *(duration(h[key]) if h["count"] else "-" for key in ("p50", "p90", "p99", "max")),
        )
        for name, h in measured["histograms"].items()
    ]
    counters = [(words(name), str(value)) for name, value in measured["counters"].items()]
    queues = [(words(name), str(q["now"]), str(q["peak"])) for name, q in measured["queues"].items()]
    caches = [f"{words(name)} {c['rate']:.0%} hits" for name, c in measured["caches"].items()]
    clients = [f"{words(name)} {count}" for name, count in measured["clients"].items()]
    tables = [[tuple(line[i] for i in columns) for line in (heads, *delays)] for columns in _DELAYS]
    shown = next((rows for rows in tables if _width(rows) <= terminal.width), tables[-1])
    parts = (
        wrapped(_usage_line(measured), terminal.width),
        _headed("Delays", shown, terminal),
        _headed("How often", _folded(counters, terminal.width), terminal),
        _headed("What waits", [("", "now", "at most"), *queues], terminal),
        "\n".join(
            wrapped(line, terminal.width, "  ")
            for line in (f"Caches: {', '.join(caches)}", f"Clients: {', '.join(clients)}")
        ),
    )
    return "\n\n".join(parts)


def plots(measured: Document, terminal: Terminal) -> str:
    """Draw the histograms of all delays, one line for each bucket from the first to the last that is not empty."""
    return "\n\n".join(_plot(name, h, terminal) for name, h in measured["histograms"].items())


def _plot(name: str, histogram: Document, terminal: Terminal) -> str:
    count = histogram["count"]
    title = f"{words(name).capitalize()}, {'once' if count == 1 else f'{count} times'}"
    if not count:
        return terminal.paint(title, "heading")
    title += f": half within {duration(histogram['p50'])}, 99% within {duration(histogram['p99'])}"
    most = max(count for _, count in histogram["buckets"])
    up_to = "≤" if terminal.unicode else "<="
    room = max(10, terminal.width - 24)
    lines = [terminal.paint(wrapped(title, terminal.width, "  "), "heading")]
    for bound, count in _with_gaps(histogram["buckets"]):
        label = f"> {duration(10.0)}" if bound is None else f"{up_to} {duration(bound)}"
        drawn = bar(count / most, room, unicode=terminal.unicode).rstrip("·-")
        lines.append(f"{pad(' ' * max(0, 10 - cells(label)) + label, 10)}  {drawn} {count or ''}".rstrip())
    return "\n".join(lines)


def _with_gaps(buckets: list[tuple[float | None, int]]) -> Iterable[tuple[float | None, int]]:
    """Put the empty buckets between the others, five a decade as the service has them."""
    before = None
    for bound, count in buckets:
        while before is not None and bound is not None and bound > 1.7 * before:
            before = next(b for b in _bounds(before) if b > 1.1 * before)
            if bound > 1.1 * before:
                yield before, 0
        yield bound, count
        before = bound


def _bounds(after: float) -> Iterable[float]:
    power = 1e-5
    while power < 10 * after:
        yield from (power * step for step in (1.0, 1.6, 2.5, 4.0, 6.3))
        power *= 10


def event_line(event: Document) -> str:
    """Write one event of the trace: when, what, about what, and how long it took."""
    at = datetime.fromtimestamp(event["time"], UTC).astimezone()
    took = duration(event["took"]) if event["took"] else ""
    about = " ".join(filter(None, (event["object"], event["detail"])))
    return printable(f"{at:%H:%M:%S.%f} {event['what']:<12} {took:>8}  {about}").rstrip()


# --- what costs what


@dataclass(slots=True, kw_only=True)
class Group:
    """An application or whatever has costs of its own, with what belongs to it."""

    name: str
    costs: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COSTS, 0.0))
    members: list["Group"] = field(default_factory=list)

    def add(self, costs: Mapping[str, float]) -> None:
        """Count what something of it has cost."""
        for key in _COSTS:
            self.costs[key] += costs[key]


def top(
    measured: Document,
    before: Document | None,
    callers: Mapping[str, str],
    terminal: Terminal,
    height: int | None = None,
) -> str:
    """Draw what costs what, the dearest first: since `before` by the second, or since the start of the service.

    `callers` names those who call on the bus; `height` lines are enough.
    """
    seconds = measured["uptime"] - (before["uptime"] if before else 0.0)
    rate = seconds if before else 1.0
    spent = _difference(measured, before)
    used = measured["usage"]["cpu_seconds"] - (before["usage"]["cpu_seconds"] if before else 0.0)
    groups = sorted(_groups(spent, callers), key=_dearest)
    counted = sum(g.costs["seconds"] for g in groups)
    whole = max(used, counted, 1e-9)
    rest = Group(name="everything else")
    rest.costs["seconds"] = whole - counted
    head = _head(measured, before, used / max(seconds, 1e-9), rate, terminal.width)
    lines = [*head, "", *_table([*groups, rest], whole, rate, terminal.width)]
    if height is not None and len(lines) > height:
        lines = [*lines[: height - 1], f"and {len(lines) - height + 1} lines more"]
    fitting = [shorten(line, terminal.width, unicode=terminal.unicode) for line in lines]
    # After they were cut: a code that is cut in two would colour the rest of the screen.
    headings = (0, len(head) + 1)
    return "\n".join(
        terminal.paint(line, "heading" if i in headings else "") for i, line in enumerate(fitting)
    )


def _head(measured: Document, before: Document | None, load: float, rate: float, width: int) -> list[str]:
    counters, since = measured["counters"], before["counters"] if before else {}
    unit = "/s" if before else ""
    shown = [
        f"{words(name)} {_number((counters[name] - since.get(name, 0)) / rate)}{unit}"
        for name in ("notices", "fetches", "commands", "signals", "calls")
    ]
    title = f"pwmixer, {load:.1%} of a processor" + ("" if before else " since its start")
    return [title, _usage_line(measured), *wrap(", ".join(shown), max(width, _LEAST_NAME))]


def _usage_line(measured: Document) -> str:
    usage = measured["usage"]
    return (
        f"up {_long(measured['uptime'])}, {_long(usage['cpu_seconds'])} of processor time,"
        f" {usage['memory_private_dirty_bytes'] / 2**20:.1f} MiB"
    )


def _difference(measured: Document, before: Document | None) -> list[Document]:
    """Return the costs since before; what has not cost anything is left out."""
    known = {_key(c): c for c in before["costs"]} if before else {}
    found = []
    for cost in measured["costs"]:
        earlier = known.get(_key(cost), {})
        spent = {key: max(0.0, cost[key] - earlier.get(key, 0.0)) for key in _COSTS}
        if any(spent.values()):
            found.append({**cost, **spent})
    return found


def _key(cost: Document) -> tuple[str, ...]:
    return cost["kind"], cost["selector"], cost["name"]


def _groups(costs: Iterable[Document], callers: Mapping[str, str]) -> Iterable[Group]:
    """Gather what belongs to an application, and who calls under one name."""
    found: dict[str, Group] = {}
    for cost in costs:
        is_caller = cost["kind"] == "caller"
        name = (
            f"called by {callers.get(cost['name'], 'programs that have ended')}" if is_caller else _name(cost)
        )
        group = found.setdefault(name, Group(name=name))
        group.add(cost)
        if cost["app"] and cost["kind"] != "app":
            title = cost["selector"] or cost["kind"]
            member = Group(name=f"{title} {cost['name']}")
            member.add(cost)
            group.members.append(member)
    return found.values()


def _name(cost: Document) -> str:
    if cost["app"]:
        return f"app:{cost['app']}"
    return cost["selector"] or (cost["name"] if cost["kind"] != "client" else f"client {cost['name']}")


def _dearest(group: Group) -> tuple[float, str]:
    return -group.costs["seconds"], group.name


def _table(groups: Iterable[Group], whole: float, rate: float, width: int) -> list[str]:
    """Lay out one line for each group and its members; a narrow terminal has fewer columns."""
    columns = len(_HEADS) if width >= _LEAST_NAME + 10 * len(_HEADS) else 2
    heads = _HEADS[:columns]
    widths = [max(6, len(head)) for head in heads]
    lines = ["  ".join([*(f"{head:>{w}}" for head, w in zip(heads, widths, strict=True)), "for what"])]
    for group in groups:
        members = sorted(group.members, key=_dearest)
        if len(members) == 1:  # what both cost is the same, or nearly so
            group.name, members = f"{group.name}  {members[0].name}", []
        for depth, one in enumerate([group, *members]):
            figures = [
                f"{one.costs['seconds'] / whole:.1%}",
                *(_number(one.costs[key] / rate) for key in _COSTS[1:columns]),
            ]
            figures = [f"{f:>{w}}" for f, w in zip(figures, widths, strict=True)]
            lines.append("  ".join([*figures, ("  " if depth else "") + printable(one.name)]))
    return lines


# --- words and numbers


def words(name: str) -> str:
    """Write a key of the document for a person; a fetch is a look, as elsewhere."""
    return name.replace("fetches", "looks").replace("_", " ")


def duration(seconds: float) -> str:
    """Write a delay in the unit that fits: 12 µs, 1.6 ms, 2.5 s."""
    unit, name = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    value = seconds / unit
    return f"{_short(value)} {name}"


def _number(value: float) -> str:
    return _short(value) if value else "-"


def _short(value: float) -> str:
    """Write two digits, or more where there are more before the point."""
    return f"{value:.0f}" if value >= _TWO_DIGITS or value == int(value) else f"{value:.1f}"


def _long(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    days, rest = divmod(int(seconds), _DAY)
    clock = f"{rest // _HOUR}:{rest % _HOUR // _MINUTE:02}:{rest % _MINUTE:02}"
    return f"{days} d {clock}" if days else clock


def _headed(title: str, rows: list[tuple[str, ...]], terminal: Terminal) -> str:
    """Align rows under a title: each first cell, and the one after an empty column, to the left, figures to the right."""
    columns = list(zip(*(("  " + row[0], *row[1:]) for row in rows), strict=True))
    widths = [max(cells(cell) for cell in column) for column in columns]
    is_left = [i == 0 or not widths[i - 1] for i in range(len(columns))]
    aligned = [
        [pad(c, w) if left else " " * (w - cells(c)) + c for c in column]
        for column, w, left in zip(columns, widths, is_left, strict=True)
    ]
    return f"{terminal.paint(title, 'heading')}\n{table(list(zip(*aligned, strict=True)))}"


def _width(rows: list[tuple[str, ...]]) -> int:
    """Say how wide `_headed` draws rows."""
    return sum(2 + max(map(cells, column)) for column in zip(*rows, strict=True))


def _folded(rows: list[tuple[str, str]], width: int) -> list[tuple[str, ...]]:
    """Put pairs side by side in two columns, where there is room."""
    if width < 2 * _LEAST_NAME + 50:
        return [*rows]
    half = -(-len(rows) // 2)
    right = [*rows[half:], *[("", "")] * (2 * half - len(rows))]
    return [(*a, "", *b) for a, b in zip(rows[:half], right, strict=True)]
